/* SPDX-License-Identifier: MIT */
/* download.c: see download.h. A part file is only continued when the server confirms that it still
 * serves the same bytes (If-Range with its ETag or date), or when the digest of the whole is known;
 * everything else starts again. What a server sends is believed only within the limits asked for.
 */
#include "download.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static tsr_status fail(download *d, tsr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static tsr_status fail(download *d, tsr_status status, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(d->error, sizeof d->error, format, list);
    va_end(list);
    return status;
}

void download_forget(const char *part) {
    char path[4200];
    unlink(part);
    if (snprintf(path, sizeof path, "%s.txt", part) < (int)sizeof path) unlink(path);
}

#ifndef TESSERA_WITH_CURL

tsr_status download_run(download *d) {
    return fail(d, TSR_ERROR_UNSUPPORTED, "this build of tessera has no libcurl");
}

#else

#include <curl/curl.h>

typedef struct transfer {
    download *d;
    CURL *curl;
    int fd;
    bool locked;         /* the part file is ours */
    uint64_t have;       /* bytes in the part file */
    uint64_t asked;      /* the range asked for starts here */
    char validator[256]; /* ETag or date of the bytes in the part file, "" = none */
    /* the answer at hand; a redirect starts it anew */
    int code;
    bool judged; /* the first byte of its body was seen */
    bool chunked, old_http;
    char answer_validator[256];
    uint64_t answer_size, range_start, range_total; /* UINT64_MAX = not said */
    tsr_status status;                              /* why a callback ended the transfer */
    bool again; /* ... and whether starting over from zero may help */
} transfer;

static tsr_status fail_errno(download *d, const char *what) {
    int error = errno;
    tsr_status status = error == ENOSPC || error == EDQUOT ? TSR_ERROR_NO_SPACE : TSR_ERROR_IO;
    return fail(d, status, "%.400s: %s: %s", d->part, what, strerror(error));
}

/* ---- what belongs to the bytes so far ---- */

static void load_validator(transfer *t) {
    char path[4200], line[2][1024] = {"", ""};
    t->validator[0] = 0;
    if (snprintf(path, sizeof path, "%s.txt", t->d->part) >= (int)sizeof path) return;
    FILE *file = fopen(path, "r");
    if (!file) return;
    for (int i = 0; i < 2; ++i)
        if (fgets(line[i], sizeof line[i], file)) line[i][strcspn(line[i], "\n")] = 0;
    fclose(file);
    /* Bytes of another address say nothing about this one. */
    if (strcmp(line[0], t->d->url) == 0)
        snprintf(t->validator, sizeof t->validator, "%.*s", (int)sizeof t->validator - 1, line[1]);
}

static void save_validator(transfer *t) {
    char path[4200];
    if (snprintf(path, sizeof path, "%s.txt", t->d->part) >= (int)sizeof path) return;
    unlink(path);
    if (!t->validator[0]) return;
    FILE *file = fopen(path, "w");
    if (!file) return; /* then the next run starts again */
    fprintf(file, "%s\n%s\n", t->d->url, t->validator);
    fclose(file);
}

static tsr_status start_over(transfer *t) {
    if (ftruncate(t->fd, 0) != 0 || lseek(t->fd, 0, SEEK_SET) != 0)
        return fail_errno(t->d, "empty it");
    t->have = 0;
    t->d->resumed_from = 0;
    return TSR_OK;
}

/* ---- headers ---- */

static bool header_is(const char *line, const char *name, const char **value) {
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':') return false;
    *value = line + n + 1 + strspn(line + n + 1, " \t");
    return true;
}

static uint64_t number_at(const char *text) {
    char *end;
    if (*text < '0' || *text > '9') return UINT64_MAX;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    return errno ? UINT64_MAX : (uint64_t)n;
}

static void take_digest(transfer *t, const char *value) {
    char text[70];
    if (*value == '"') ++value;
    snprintf(text, sizeof text, "%.66s", value);
    size_t n = strspn(text, "0123456789abcdef");
    if (n != 64 || (text[n] && text[n] != '"')) return;
    text[64] = 0;
    memcpy(t->d->server_sha256, text, 65);
}

static size_t on_header(char *bytes, size_t size, size_t count, void *user) {
    transfer *t = user;
    char line[1024];
    const char *value;
    size *= count;
    size_t n = size < sizeof line - 1 ? size : sizeof line - 1;
    memcpy(line, bytes, n);
    while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' '))
        --n;
    line[n] = 0;
    if (strncmp(line, "HTTP/", 5) == 0) {
        const char *blank = strchr(line, ' ');
        t->code = blank ? atoi(blank) : 0;
        t->old_http = strncmp(line, "HTTP/1", 6) == 0;
        t->judged = t->chunked = false;
        t->answer_validator[0] = 0;
        t->answer_size = t->range_start = t->range_total = UINT64_MAX;
    } else if (header_is(line, "content-length", &value)) {
        t->answer_size = number_at(value);
    } else if (header_is(line, "transfer-encoding", &value)) {
        t->chunked = strcasestr(value, "chunked") != NULL;
    } else if (header_is(line, "content-range", &value)) {
        const char *slash = strchr(value, '/');
        if (strncasecmp(value, "bytes ", 6) == 0) t->range_start = number_at(value + 6);
        if (slash) t->range_total = number_at(slash + 1);
    } else if (header_is(line, "etag", &value)) {
        /* A weak one does not promise equal bytes. */
        if (*value == '"' && strlen(value) < sizeof t->answer_validator)
            snprintf(t->answer_validator, sizeof t->answer_validator, "%.255s", value);
    } else if (header_is(line, "last-modified", &value)) {
        if (!t->answer_validator[0])
            snprintf(t->answer_validator, sizeof t->answer_validator, "%.255s", value);
    } else if (header_is(line, "x-linked-etag", &value)) {
        take_digest(t, value); /* how the hub states the SHA-256 of a large file */
    } else if (header_is(line, "x-linked-size", &value)) {
        uint64_t stated = number_at(value);
        if (stated != UINT64_MAX) t->d->server_size = stated;
    }
    return size;
}

/* ---- body ---- */

static uint64_t total_of(const transfer *t) {
    if (t->d->size) return t->d->size;
    if (t->code == 206 && t->range_total != UINT64_MAX) return t->range_total;
    if (t->code == 200 && t->answer_size != UINT64_MAX) return t->answer_size;
    return t->d->server_size;
}

/* Called before the first byte of a body is written: does the answer fit what was asked? */
static tsr_status judge(transfer *t) {
    download *d = t->d;
    t->judged = true;
    if (t->code == 206) {
        if (!t->asked || t->range_start != t->asked) {
            t->again = true;
            return fail(d, TSR_ERROR_FORMAT, "%.400s: the server sent another range than asked",
                        d->url);
        }
    } else { /* 200: the whole file, whatever was asked */
        tsr_status status = start_over(t);
        if (status) return status;
    }
    uint64_t total = t->code == 206 ? t->range_total : t->answer_size;
    if (total == UINT64_MAX) total = d->server_size;
    if (total) d->server_size = total;
    if (d->size && total && total != d->size)
        return fail(d, TSR_ERROR_FORMAT,
                    "%.400s: size: wanted %llu bytes, the server has %llu: not the file meant",
                    d->url, (unsigned long long)d->size, (unsigned long long)total);
    if (!total && !d->size && !d->sha256 && t->old_http && !t->chunked)
        return fail(d, TSR_ERROR_FORMAT,
                    "%.400s: the server states no length, so a cut could not be told from the end",
                    d->url);
    snprintf(t->validator, sizeof t->validator, "%s", t->answer_validator);
    save_validator(t);
    return TSR_OK;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    transfer *t = user;
    size *= count;
    if (t->code != 200 && t->code != 206) return size; /* the text of an error page */
    if (!t->judged && (t->status = judge(t)) != TSR_OK) return 0;
    uint64_t total = total_of(t);
    if (total && size > total - t->have) {
        t->status = fail(t->d, TSR_ERROR_FORMAT, "%.400s: wanted %llu bytes, the server sent more",
                         t->d->url, (unsigned long long)total);
        start_over(t);
        return 0;
    }
    for (size_t done = 0; done < size;) {
        ssize_t put = write(t->fd, bytes + done, size - done);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) {
            t->status = fail_errno(t->d, "write");
            return 0;
        }
        done += (size_t)put;
        t->have += (uint64_t)put;
    }
    return size;
}

static int on_progress(void *user, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t e) {
    transfer *t = user;
    (void)a, (void)b, (void)c, (void)e;
    if (!t->d->progress || !t->d->progress(t->d->user, t->d->what, t->have, total_of(t))) return 0;
    t->status = fail(t->d, TSR_ERROR_INTERRUPTED, "%.400s: stopped; what came is kept", t->d->url);
    return 1;
}

/* ---- one request ---- */

static void allow_protocols(transfer *t) {
    /* Never from https to http on the way. */
    bool secure = strncmp(t->d->url, "https:", 6) == 0;
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
#else
    long both = CURLPROTO_HTTP | CURLPROTO_HTTPS;
    curl_easy_setopt(t->curl, CURLOPT_PROTOCOLS, both);
    curl_easy_setopt(t->curl, CURLOPT_REDIR_PROTOCOLS, secure ? (long)CURLPROTO_HTTPS : both);
#endif
}

static CURLcode request(transfer *t) {
    char range[32], condition[300];
    struct curl_slist *headers = NULL;
    curl_easy_reset(t->curl);
    curl_easy_setopt(t->curl, CURLOPT_URL, t->d->url);
    curl_easy_setopt(t->curl, CURLOPT_USERAGENT, "tessera");
    curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(t->curl, CURLOPT_MAXREDIRS, 8L);
    curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT, (long)t->d->timeout);
    curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(t->curl, CURLOPT_LOW_SPEED_TIME, (long)t->d->timeout);
    curl_easy_setopt(t->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(t->curl, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
    allow_protocols(t);
    /* libcurl sends it to the host and port of the address alone, whatever that redirects to. */
    if (t->d->token) {
        curl_easy_setopt(t->curl, CURLOPT_HTTPAUTH, CURLAUTH_BEARER);
        curl_easy_setopt(t->curl, CURLOPT_XOAUTH2_BEARER, t->d->token);
    }
    t->asked = t->have;
    t->code = 0;
    t->judged = false;
    t->status = TSR_OK;
    t->again = false;
    t->answer_size = t->range_start = t->range_total = UINT64_MAX;
    if (t->asked) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)t->asked);
        curl_easy_setopt(t->curl, CURLOPT_RANGE, range);
        if (t->validator[0]) {
            snprintf(condition, sizeof condition, "If-Range: %s", t->validator);
            headers = curl_slist_append(NULL, condition);
            curl_easy_setopt(t->curl, CURLOPT_HTTPHEADER, headers);
        }
    }
    CURLcode result = curl_easy_perform(t->curl);
    curl_slist_free_all(headers);
    return result;
}

typedef enum verdict { COMPLETE, RETRY, FINAL } verdict;

static verdict refuse_code(transfer *t, tsr_status *status) {
    download *d = t->d;
    /* All of it was here, and is what the server has still (If-Range). */
    if (t->code == 416 && t->validator[0] && t->range_total == t->have) {
        *status = TSR_OK;
        return COMPLETE;
    }
    if (t->code == 416 && t->asked) { /* fewer bytes there than here: another file */
        *status = start_over(t);
        return *status ? FINAL : RETRY;
    }
    bool busy = t->code == 408 || t->code == 429 || t->code >= 500;
    bool hidden = t->code == 401 || t->code == 403;
    *status = fail(d, t->code == 404 || t->code == 410 ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO,
                   "%.400s: the server answered %d%s%s%s", d->url, t->code,
                   hidden ? " (the page may ask to log in or to accept terms first" : "",
                   hidden && d->of_hub && !d->token ? "; HF_TOKEN carries a login" : "",
                   hidden ? ")" : "");
    return busy ? RETRY : FINAL;
}

static verdict look(transfer *t, CURLcode result, tsr_status *status) {
    download *d = t->d;
    *status = t->status;
    if (t->status) return t->again && start_over(t) == TSR_OK ? RETRY : FINAL;
    if (t->code >= 400 || (t->code >= 300 && result == CURLE_OK)) return refuse_code(t, status);
    if (result == CURLE_OK && !t->judged) { /* an empty file has no first byte */
        *status = judge(t);
        if (*status) return FINAL;
    }
    uint64_t total = total_of(t);
    if (result == CURLE_OK && (!total || t->have == total)) return COMPLETE;
    *status =
        fail(d, TSR_ERROR_IO, "%.400s: %s", d->url,
             result == CURLE_OK ? "the connection ended too early" : curl_easy_strerror(result));
    switch (result) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
        d->unreachable = d->bytes == 0;
        return d->unreachable ? FINAL : RETRY;
    case CURLE_OK:
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
        return RETRY;
    default:
        return FINAL;
    }
}

/* Waits before try number `tries` in a row that brought nothing; false when the user says stop. */
static bool wait_for_try(transfer *t, unsigned tries) {
    unsigned steps = tries > 1 ? 2u << (tries < 7 ? tries : 7) : 2; /* of 50 ms: 0.1 s to 13 s */
    for (unsigned i = 0; i < steps; ++i) {
        if (on_progress(t, 0, 0, 0, 0)) return false;
        usleep(50000);
    }
    return true;
}

static tsr_status transfer_all(transfer *t) {
    download *d = t->d;
    tsr_status status = TSR_OK;
    for (unsigned idle = 0;;) {
        uint64_t before = t->have;
        if (d->size && t->have == d->size) return TSR_OK;
        verdict v = look(t, request(t), &status);
        if (v == COMPLETE) return TSR_OK;
        if (v == FINAL) return status;
        if (t->have > before) {
            d->bytes = t->have;
            idle = 0;
        }
        if (++idle > d->retries) return status;
        if (t->have && !t->validator[0] && !d->sha256 && (status = start_over(t)) != TSR_OK)
            return status;
        if (!wait_for_try(t, idle)) return t->status;
    }
}

static tsr_status open_part(transfer *t) {
    download *d = t->d;
    struct stat st;
    t->fd = open(d->part, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (t->fd < 0) return fail_errno(d, "create");
    if (flock(t->fd, LOCK_EX | LOCK_NB) != 0)
        return fail(d, TSR_ERROR_STATE, "%.400s: another tessera fetch is writing it", d->part);
    t->locked = true;
    if (fstat(t->fd, &st) != 0) return fail_errno(d, "stat");
    load_validator(t);
    t->have = (uint64_t)st.st_size;
    bool useful = t->validator[0] || d->sha256;
    if (!useful || (d->size && t->have > d->size)) return start_over(t);
    d->resumed_from = t->have;
    return lseek(t->fd, 0, SEEK_END) < 0 ? fail_errno(d, "seek") : TSR_OK;
}

tsr_status download_run(download *d) {
    transfer t = {.d = d, .fd = -1};
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(t.curl = curl_easy_init()))
        return fail(d, TSR_ERROR_MEMORY, "libcurl could not be started");
    tsr_status status = open_part(&t);
    if (!status) status = transfer_all(&t);
    if (!status && fsync(t.fd) != 0 && errno != EINVAL) status = fail_errno(d, "flush");
    d->bytes = t.have;
    if (t.fd >= 0 && close(t.fd) != 0 && !status) status = fail_errno(d, "close");
    if (status && !t.have && t.locked) download_forget(d->part);
    curl_easy_cleanup(t.curl);
    curl_global_cleanup();
    return status;
}

#endif
