/* SPDX-License-Identifier: MIT */
/* journal.c: see journal.h. */
#include "journal.h"
#include "../compute/context.h"
#include "../formats/file.h"
#include "../formats/hash.h"
#include "../formats/utf8.h"

#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A line of the manifest. */
typedef struct record {
    char *shard;
    uint64_t input;
    bool complete;
    uint64_t order; /* later lines stand for earlier ones */
} record;

struct tsr_journal {
    tsr_context *ctx;
    char *folder, *lock_path;
    int folder_fd, lock;
    record *records; /* by name */
    size_t count;
    char **noted; /* [noted_count] shards that have lines in errors.jsonl of earlier runs */
    size_t noted_count;
    char *notes; /* lines for errors.jsonl */
    size_t notes_size;
    uint64_t job_hash;
};

enum { MOST_LINE = 1 << 16 };
static const char job_name[] = "job.json", manifest_name[] = "manifest.jsonl",
                  errors_name[] = "errors.jsonl";

static char *join(const char *folder, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static tsr_status no_memory(tsr_journal *j) {
    return tsr_fail(j->ctx, TSR_ERROR_MEMORY, "%s: no memory for its journal", j->folder);
}

/* ---- the lock ----------------------------------------------------------------------------- */

/* A lock file is deleted by whoever holds it, so one that was locked may be gone from its name. */
static tsr_status take_lock(tsr_journal *j, int rank) {
    if (asprintf(&j->lock_path, "%s/.rank-%d.lock", j->folder, rank) < 0) {
        j->lock_path = NULL;
        return no_memory(j);
    }
    for (;;) {
        struct stat held, named;
        j->lock = open(j->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (j->lock < 0) return tsr_fail_errno(j->ctx, "%s: open", j->lock_path);
        if (flock(j->lock, LOCK_EX | LOCK_NB) != 0) {
            const bool busy = errno == EWOULDBLOCK;
            const tsr_status status =
                busy ? tsr_fail(j->ctx, TSR_ERROR_STATE,
                                "%s: rank %d: wanted nobody at work on it, got a process that is",
                                j->folder, rank)
                     : tsr_fail_errno(j->ctx, "%s: lock", j->lock_path);
            close(j->lock);
            j->lock = -1;
            return status;
        }
        if (!fstat(j->lock, &held) && !stat(j->lock_path, &named) && held.st_ino == named.st_ino &&
            held.st_dev == named.st_dev)
            return TSR_OK;
        close(j->lock);
    }
}

/* ---- the job ------------------------------------------------------------------------------ */

static tsr_status read_text(tsr_journal *j, const char *path, char **text) {
    tsr_map map = {0};
    const tsr_status status = tsr_map_open(j->ctx, path, &map);
    if (status) return status;
    *text = strndup((const char *)map.bytes, map.size);
    tsr_map_close(&map);
    return *text ? TSR_OK : no_memory(j);
}

static tsr_status write_job(tsr_journal *j, const char *path, const tsr_job_field *fields,
                            int count) {
    cJSON *root = cJSON_CreateObject();
    for (int i = 0; i < count; ++i)
        cJSON_AddStringToObject(root, fields[i].name, fields[i].value);
    char *text = cJSON_Print(root);
    cJSON_Delete(root);
    if (!text) return no_memory(j);
    tsr_context_settings *settings = &j->ctx->settings;
    const int keep = settings->keep_existing;
    tsr_out out;
    settings->keep_existing = 0; /* another rank may write the same job meanwhile */
    tsr_status status = tsr_out_open(j->ctx, path, &out);
    settings->keep_existing = keep;
    if (!status) {
        status = tsr_out_write(j->ctx, &out, text, strlen(text));
        if (!status) status = tsr_out_write(j->ctx, &out, "\n", 1);
        status = status ? status : tsr_out_commit(j->ctx, &out);
        if (status) tsr_out_abandon(&out);
    }
    free(text);
    return status;
}

static tsr_status compare_job(tsr_journal *j, const char *path, const tsr_job_field *fields,
                              int count) {
    char *text = NULL;
    tsr_status status = read_text(j, path, &text);
    if (status) return status;
    cJSON *root = cJSON_Parse(text);
    free(text);
    if (!cJSON_IsObject(root))
        status =
            tsr_fail(j->ctx, TSR_ERROR_FORMAT, "%s: wanted a JSON object, got other text", path);
    for (int i = 0; i < count && !status; ++i) {
        const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, fields[i].name);
        const char *got = cJSON_IsString(value) ? value->valuestring : "nothing";
        if (strcmp(got, fields[i].value))
            status = tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                              "%s: %s: wanted %s as in the shards that stand there, got %s", path,
                              fields[i].name, got, fields[i].value);
    }
    cJSON_Delete(root);
    return status;
}

/* Nothing but what a journal makes may stand in a folder without a job. */
static tsr_status check_empty(tsr_journal *j) {
    DIR *dir = opendir(j->folder);
    if (!dir) return tsr_fail_errno(j->ctx, "%s: list", j->folder);
    tsr_status status = TSR_OK;
    for (struct dirent *e; (e = readdir(dir)) && !status;)
        if (e->d_name[0] != '.')
            status =
                tsr_fail(j->ctx, TSR_ERROR_EXISTS,
                         "%s: wanted an empty folder or one of an earlier run, got one with %s",
                         j->folder, e->d_name);
    closedir(dir);
    return status;
}

static tsr_status open_job(tsr_journal *j, const tsr_job_field *fields, int count, bool overwrite) {
    char *path = join(j->folder, job_name);
    if (!path) return no_memory(j);
    tsr_status status;
    if (access(path, F_OK) == 0) {
        status = compare_job(j, path, fields, count);
        if (overwrite && (status == TSR_ERROR_ARGUMENT || status == TSR_ERROR_FORMAT)) {
            char *manifest = join(j->folder, manifest_name), *errors = join(j->folder, errors_name);
            status = manifest && errors ? TSR_OK : no_memory(j);
            if (!status) {
                unlink(manifest);
                unlink(errors);
                status = write_job(j, path, fields, count);
            }
            free(manifest);
            free(errors);
        }
    } else {
        status = overwrite ? TSR_OK : check_empty(j);
        if (!status) status = write_job(j, path, fields, count);
    }
    free(path);
    tsr_hash hash;
    tsr_hash_start(&hash, 0);
    for (int i = 0; i < count; ++i) {
        tsr_hash_add(&hash, fields[i].name, strlen(fields[i].name) + 1);
        tsr_hash_add(&hash, fields[i].value, strlen(fields[i].value) + 1);
    }
    j->job_hash = tsr_hash_finish(&hash);
    return status;
}

/* ---- the manifest ------------------------------------------------------------------------- */

static bool read_hash(const cJSON *root, const char *name, uint64_t *hash) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(root, name);
    char *end;
    if (!cJSON_IsString(value) || strlen(value->valuestring) != 16) return false;
    *hash = strtoull(value->valuestring, &end, 16);
    return !*end;
}

/* A line that a killed process left unfinished is no record. */
static tsr_status read_line(tsr_journal *j, const char *line, uint64_t number, size_t *room) {
    cJSON *root = cJSON_Parse(line);
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(root, "shard");
    uint64_t input, job;
    tsr_status status = TSR_OK;
    if (!cJSON_IsString(shard) || !read_hash(root, "input_hash", &input) ||
        !read_hash(root, "job_hash", &job)) {
        tsr_log(j->ctx, TSR_LOG_WARNING, "%s/%s: line %" PRIu64 ": no record, left out", j->folder,
                manifest_name, number);
    } else if (job != j->job_hash) {
        status = tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                          "%s/%s: line %" PRIu64 ": job hash: wanted %016" PRIx64
                          " of these settings, got %016" PRIx64,
                          j->folder, manifest_name, number, j->job_hash, job);
    } else {
        if (j->count == *room) {
            *room = *room ? 2 * *room : 64;
            record *more = realloc(j->records, *room * sizeof *more);
            if (!more) status = no_memory(j);
            j->records = more ? more : j->records;
        }
        char *name = status ? NULL : strdup(shard->valuestring);
        if (name)
            j->records[j->count++] = (record){
                .shard = name,
                .input = input,
                .complete = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(root, "complete")),
                .order = number};
        else if (!status)
            status = no_memory(j);
    }
    cJSON_Delete(root);
    return status;
}

static int compare_records(const void *a, const void *b) {
    const record *x = a, *y = b;
    const int names = strcmp(x->shard, y->shard);
    return names ? names : (x->order > y->order) - (x->order < y->order);
}

static tsr_status read_manifest(tsr_journal *j) {
    char *path = join(j->folder, manifest_name), *line = NULL;
    if (!path) return no_memory(j);
    FILE *f = fopen(path, "re");
    tsr_status status = TSR_OK;
    if (!f && errno != ENOENT) status = tsr_fail_errno(j->ctx, "%s: open", path);
    size_t size = 0, room = 0;
    uint64_t number = 0;
    while (f && !status && getline(&line, &size, f) > 0)
        if (strlen(line) < MOST_LINE && line[0] != '\n')
            status = read_line(j, line, ++number, &room);
    if (f) fclose(f);
    free(line);
    free(path);
    if (j->count) qsort(j->records, j->count, sizeof *j->records, compare_records);
    return status;
}

tsr_shard_state tsr_journal_state(const tsr_journal *j, const char *shard, uint64_t input) {
    size_t low = 0, high = j->count; /* the first record behind all of this name */
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (strcmp(j->records[middle].shard, shard) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low || strcmp(j->records[low - 1].shard, shard)) return TSR_SHARD_ABSENT;
    const record *r = &j->records[low - 1];
    if (faccessat(j->folder_fd, shard, F_OK, 0) != 0) return TSR_SHARD_ABSENT;
    if (r->input != input) return r->complete ? TSR_SHARD_CHANGED : TSR_SHARD_ABSENT;
    return r->complete ? TSR_SHARD_DONE : TSR_SHARD_PARTIAL;
}

void tsr_journal_sweep(tsr_journal *j, const char *shard) {
    DIR *dir = opendir(j->folder);
    if (!dir) return;
    char start[256];
    const int length = snprintf(start, sizeof start, ".%.200s.tmp-", shard);
    for (struct dirent *e; (e = readdir(dir));)
        if (!strncmp(e->d_name, start, (size_t)length)) unlinkat(j->folder_fd, e->d_name, 0);
    closedir(dir);
}

/* ---- lines -------------------------------------------------------------------------------- */

/* The shard that a line of errors.jsonl is about: malloc'd, or NULL. */
static char *shard_of(const char *line) {
    cJSON *root = cJSON_Parse(line);
    const cJSON *shard = cJSON_GetObjectItemCaseSensitive(root, "shard");
    char *name = cJSON_IsString(shard) ? strdup(shard->valuestring) : NULL;
    cJSON_Delete(root);
    return name;
}

static tsr_status read_errors(tsr_journal *j) {
    char *path = join(j->folder, errors_name), *line = NULL;
    if (!path) return no_memory(j);
    FILE *f = fopen(path, "re");
    tsr_status status = TSR_OK;
    if (!f && errno != ENOENT) status = tsr_fail_errno(j->ctx, "%s: open", path);
    size_t size = 0;
    while (f && !status && getline(&line, &size, f) > 0) {
        char *name = shard_of(line);
        if (!name || (j->noted_count && !strcmp(j->noted[j->noted_count - 1], name))) {
            free(name);
            continue;
        }
        char **more = realloc(j->noted, (j->noted_count + 1) * sizeof *more);
        if (more) {
            j->noted = more;
            j->noted[j->noted_count++] = name;
        } else {
            free(name);
            status = no_memory(j);
        }
    }
    if (f) fclose(f);
    free(line);
    free(path);
    return status;
}

/* Takes out of the open file what an earlier try at the shard said, which never became a line of
 * the manifest. */
static tsr_status drop_lines(tsr_journal *j, int fd, const char *shard) {
    char start[300];
    const int length = snprintf(start, sizeof start, "{\"shard\":\"%s\",", shard);
    const off_t size = lseek(fd, 0, SEEK_END);
    if (size <= 0) return TSR_OK;
    char *text = tsr_alloc(j->ctx, (size_t)size, 1, "journal");
    if (!text) return TSR_ERROR_MEMORY;
    size_t left = 0;
    const ssize_t got = pread(fd, text, (size_t)size, 0);
    for (ssize_t at = 0; at < got;) {
        const char *end = memchr(text + at, '\n', (size_t)(got - at));
        const size_t line = end ? (size_t)(end - text - at) + 1 : (size_t)(got - at);
        if (line < (size_t)length || memcmp(text + at, start, (size_t)length)) {
            memmove(text + left, text + at, line);
            left += line;
        }
        at += (ssize_t)line;
    }
    tsr_status status = TSR_OK;
    /* The file appends: what stays is written anew from the start. */
    if (got > 0 && left < (size_t)got && (ftruncate(fd, 0) || write(fd, text, left) < 0))
        status = tsr_fail_errno(j->ctx, "%s/%s: write", j->folder, errors_name);
    free(text);
    return status;
}

static bool was_noted(const tsr_journal *j, const char *shard) {
    for (size_t i = 0; i < j->noted_count; ++i)
        if (!strcmp(j->noted[i], shard)) return true;
    return false;
}

/* Appends whole lines about a shard; what a killed process left of one is ended first. */
static tsr_status append(tsr_journal *j, const char *name, const char *shard, const char *lines,
                         size_t size) {
    char *path = join(j->folder, name);
    if (!path) return no_memory(j);
    tsr_status status = TSR_OK;
    const int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0 || flock(fd, LOCK_EX) != 0) status = tsr_fail_errno(j->ctx, "%s: open", path);
    if (!status && name == errors_name && was_noted(j, shard)) status = drop_lines(j, fd, shard);
    const off_t end = status ? 0 : lseek(fd, 0, SEEK_END);
    char last = '\n';
    if (end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n' && write(fd, "\n", 1) != 1)
        status = tsr_fail_errno(j->ctx, "%s: write", path);
    for (size_t done = 0; done < size && !status;) {
        const ssize_t n = write(fd, lines + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (n == 0 || errno != EINTR)
            status = tsr_fail_errno(j->ctx, "%s: write", path);
    }
    /* Half a line is taken back, so that it does not look like a killed process. */
    if (status && fd >= 0 && end >= 0 && ftruncate(fd, end) != 0) errno = 0;
    if (!status && fsync(fd) != 0 && errno != EINVAL)
        status = tsr_fail_errno(j->ctx, "%s: write", path);
    if (fd >= 0) close(fd);
    free(path);
    return status;
}

static void add_hash(cJSON *root, const char *name, uint64_t hash) {
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    cJSON_AddStringToObject(root, name, text);
}

/* A copy in which each byte that is not UTF-8 became U+FFFD: cJSON passes bytes on as they are.
 * NULL: no memory. */
static char *clean_text(const char *text) {
    size_t size = strlen(text), bad = 0, to = 0;
    char *clean = malloc(3 * size + 1);
    while (clean && !tsr_utf8_valid(text, size, &bad)) {
        memcpy(clean + to, text, bad);
        to += bad;
        to += tsr_utf8_put(0xFFFD, clean + to);
        text += bad + 1;
        size -= bad + 1;
    }
    if (clean) memcpy(clean + to, text, size + 1);
    return clean;
}

static void add_text(cJSON *root, const char *name, const char *text) {
    char *clean = text ? clean_text(text) : NULL;
    if (clean)
        cJSON_AddStringToObject(root, name, clean);
    else
        cJSON_AddNullToObject(root, name);
    free(clean);
}

/* The object as a line; deletes it. NULL: no memory. */
static char *line_of(cJSON *root) {
    char *text = cJSON_PrintUnformatted(root), *line = NULL;
    cJSON_Delete(root);
    if (text && asprintf(&line, "%s\n", text) < 0) line = NULL;
    free(text);
    return line;
}

tsr_status tsr_journal_note(tsr_journal *j, const char *shard, const char *key, const char *input,
                            tsr_status status, const char *detail) {
    cJSON *root = cJSON_CreateObject();
    add_text(root, "shard", shard);
    add_text(root, "key", key);
    add_text(root, "input", input);
    cJSON_AddStringToObject(root, "error", tsr_status_name(status));
    add_text(root, "detail", detail);
    char *line = line_of(root);
    char *more = line ? realloc(j->notes, j->notes_size + strlen(line) + 1) : NULL;
    if (more) {
        memcpy(more + j->notes_size, line, strlen(line) + 1);
        j->notes = more;
        j->notes_size += strlen(line);
    }
    free(line);
    return more ? TSR_OK : no_memory(j);
}

void tsr_journal_forget(tsr_journal *j) {
    free(j->notes);
    j->notes = NULL;
    j->notes_size = 0;
}

tsr_status tsr_journal_give_up(tsr_journal *j, const char *shard) {
    const bool said = j->notes_size || was_noted(j, shard);
    const tsr_status status =
        said ? append(j, errors_name, shard, j->notes ? j->notes : "", j->notes_size) : TSR_OK;
    tsr_journal_forget(j);
    return status;
}

tsr_status tsr_journal_finish(tsr_journal *j, const tsr_batch_shard *s) {
    tsr_status status = tsr_journal_give_up(j, s->name);
    if (status) return status;
    cJSON *root = cJSON_CreateObject();
    add_text(root, "shard", s->name);
    add_text(root, "input", s->input);
    add_hash(root, "input_hash", s->input_hash);
    add_hash(root, "content_hash", s->content_hash);
    cJSON_AddNumberToObject(root, "items", (double)s->items);
    cJSON_AddNumberToObject(root, "tokens", (double)s->tokens);
    cJSON_AddNumberToObject(root, "errors", (double)s->errors);
    cJSON_AddNumberToObject(root, "bytes", (double)s->bytes);
    cJSON_AddBoolToObject(root, "complete", s->complete);
    cJSON_AddNumberToObject(root, "seconds", (double)(int64_t)(s->seconds * 1e3 + 0.5) / 1e3);
    add_hash(root, "job_hash", j->job_hash);
    char *line = line_of(root);
    if (!line) return no_memory(j);
    status = append(j, manifest_name, s->name, line, strlen(line));
    free(line);
    return status;
}

/* ---- opening ------------------------------------------------------------------------------ */

tsr_status tsr_journal_open(tsr_context *ctx, const char *folder, const tsr_job_field *fields,
                            int count, int rank, bool overwrite, tsr_journal **journal) {
    *journal = NULL;
    tsr_journal *j = tsr_alloc(ctx, 1, sizeof *j, "journal");
    if (!j) return TSR_ERROR_MEMORY;
    j->ctx = ctx;
    j->lock = j->folder_fd = -1;
    j->folder = strdup(folder);
    tsr_status status =
        j->folder ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a journal", folder);
    if (!status && mkdir(folder, 0777) != 0 && errno != EEXIST)
        status = tsr_fail_errno(ctx, "%s: make the folder", folder);
    if (!status && (j->folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        status = tsr_fail_errno(ctx, "%s: open the folder", folder);
    if (!status) status = take_lock(j, rank);
    if (!status) status = open_job(j, fields, count, overwrite);
    if (!status) status = read_manifest(j);
    if (!status) status = read_errors(j);
    if (status)
        tsr_journal_close(&j);
    else
        *journal = j;
    return status;
}

void tsr_journal_close(tsr_journal **journal) {
    if (!journal || !*journal) return;
    tsr_journal *j = *journal;
    if (j->lock >= 0) {
        unlink(j->lock_path);
        close(j->lock);
    }
    if (j->folder_fd >= 0) close(j->folder_fd);
    for (size_t i = 0; i < j->count; ++i)
        free(j->records[i].shard);
    for (size_t i = 0; i < j->noted_count; ++i)
        free(j->noted[i]);
    free(j->noted);
    free(j->records);
    free(j->notes);
    free(j->lock_path);
    free(j->folder);
    free(j);
    *journal = NULL;
}
