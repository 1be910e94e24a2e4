/* SPDX-License-Identifier: MIT */
/* tool.c: see tool.h. */
#include "tool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t stop_asked;

static void on_interrupt(int number) {
    (void)number;
    stop_asked = 1;
}

static void write_stages(json_out *j, const char *stages, const char *device) {
    char name[32];
    for (size_t n; *(stages += strspn(stages, " ")); stages += n) {
        n = strcspn(stages, " ");
        snprintf(name, sizeof name, "%.*s", (int)n, stages);
        json_text(j, name, device);
    }
}

void tool_stages(json_out *j, const char *stages, const char *device, const char *on_host) {
    char brief[32];
    snprintf(brief, sizeof brief, "%.*s", (int)strcspn(device, " "), device);
    json_object(j, "stages");
    write_stages(j, stages, brief);
    write_stages(j, on_host, "cpu");
    json_end(j, '}');
}

const char *tool_on_host(const char *device, const char *on_host, char *text, size_t size) {
    text[0] = 0;
    on_host += strspn(on_host, " ");
    if (*on_host && strcmp(device, "cpu")) snprintf(text, size, ", on the host: %s", on_host);
    return text;
}

void tool_stage_seconds(json_out *j, const tsr_stage_times *t) {
    json_object(j, "stage_seconds");
    json_real(j, "passed", t->passed);
    json_real(j, "read", t->read);
    json_real(j, "decode", t->decode);
    json_int(j, "decoders", t->decoders);
    json_real(j, "encode", t->encode);
    json_int(j, "encoders", t->encoders);
    json_array(j, "encoded");
    for (int i = 0; i < t->encoders && i < (int)(sizeof t->encoded / sizeof *t->encoded); ++i)
        json_uint(j, NULL, t->encoded[i]);
    json_end(j, ']');
    json_real(j, "encode_idle", t->encode_idle);
    json_real(j, "device_busy", t->device_busy);
    json_real(j, "device_waited", t->device_waited);
    json_real(j, "host_waited", t->host_waited);
    json_real(j, "write", t->write);
    json_text(j, "bottleneck", tsr_stage_times_bottleneck(t));
    json_end(j, '}');
}

void tool_unused_keys(json_out *j, const tsr_unused_keys *u) {
    if (!u->known) return;
    json_object(j, "unused_keys");
    json_uint(j, "count", u->count);
    json_array(j, "first");
    for (size_t i = 0; i < sizeof u->first / sizeof *u->first && *u->first[i]; ++i)
        json_text(j, NULL, u->first[i]);
    json_end(j, ']');
    json_end(j, '}');
}

void tool_say_stages(tool *t, const tsr_stage_times *s) {
    const double all = s->passed > 0 ? s->passed : 1;
    tool_say(t,
             "busy: reading %.0f %%, decoding %.0f %% of %d thread%s, the model %.0f %% of %d "
             "device%s, writing %.0f %%",
             100 * s->read / all, 100 * s->decode / all / s->decoders, s->decoders,
             s->decoders == 1 ? "" : "s", 100 * s->encode / all / s->encoders, s->encoders,
             s->encoders == 1 ? "" : "s", 100 * s->write / all);
    tool_say(t, "the bottleneck was to %s; the model waited %.2f s for pictures",
             tsr_stage_times_bottleneck(s), s->encode_idle);
    if (!(s->host_waited > 0)) return; /* no device computed beside the host */
    tool_say(t,
             "the device%s computed for %.2f s and waited %.2f s for the host; the host waited "
             "%.2f s for %s",
             s->encoders == 1 ? "" : "s", s->device_busy, s->device_waited, s->host_waited,
             s->encoders == 1 ? "it" : "them");
}

double tool_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void on_log(void *user, tsr_log_level level, const char *text) {
    tool *t = user;
    static const char *const names[] = {"error: ", "warning: ", "", "debug: "};
    tool_progress_clear(t);
    fprintf(stderr, "tessera %s: %s%s\n", t->v->name, names[level], text);
}

/* Where GPUs keep their compiled programs, in `text`; NULL: nowhere. */
static const char *cache_folder(char *text, size_t size) {
    const char *off = getenv("TESSERA_PIPELINE_CACHE"), *cache = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    if (off && (!strcmp(off, "0") || !strcmp(off, "no") || !strcmp(off, "off"))) return NULL;
    const bool own = cache && *cache == '/'; /* the rule of that variable: no relative path */
    if (!own && (!home || *home != '/')) return NULL;
    const int n = snprintf(text, size, "%s%s/tessera", own ? cache : home, own ? "" : "/.cache");
    return n > 0 && (size_t)n < size ? text : NULL;
}

int tool_open(tool *t, const verb *v, const common_options *o) {
    memset(t, 0, sizeof *t);
    t->v = v;
    t->o = o;
    t->started = tool_seconds();
    t->bar = !o->quiet && isatty(STDERR_FILENO);
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = (int)o->threads;
    s.memory_limit = o->memory;
    s.keep_existing = v->writes && !o->force && !o->replace;
    int level = TSR_LOG_WARNING + o->verbose - o->quiet;
    s.log_level = level > TSR_LOG_DEBUG ? TSR_LOG_DEBUG : level < 0 ? 0 : (tsr_log_level)level;
    s.log = o->quiet > 1 ? NULL : on_log;
    s.log_user = t;
    char cache[4096];
    s.cache_folder = cache_folder(cache, sizeof cache);
    tsr_status status = tsr_context_open(&t->ctx, &s);
    if (status) return tool_fail(t, status);
    for (int i = 0; i < v->option_count; ++i) {
        const char **model = (const char **)((char *)o + v->options[i].offset);
        int code =
            v->options[i].kind == OPTION_MODEL && *model ? tool_locate(t, *model, model) : -1;
        if (code >= 0) {
            tool_close(t);
            return code;
        }
    }
    /* The second Ctrl-C ends the program the hard way. */
    struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return -1;
}

void tool_close(tool *t) {
    tool_progress_clear(t);
    for (size_t i = 0; i < sizeof t->located / sizeof *t->located; ++i)
        free(t->located[i]);
    memset(t->located, 0, sizeof t->located);
    tsr_context_close(&t->ctx);
}

bool tool_nearest_model(const tsr_catalog *catalog, const char *name, char *near, size_t size) {
    const char *names[512];
    int count = tsr_catalog_count(catalog);
    if (count > (int)(sizeof names / sizeof *names)) count = sizeof names / sizeof *names;
    for (int i = 0; i < count; ++i) {
        tsr_catalog_model m;
        tsr_catalog_at(catalog, i, &m);
        names[i] = m.name;
    }
    const char *found = args_suggest(name, names, count);
    if (found) snprintf(near, size, "%s", found);
    return found && strcmp(found, name) != 0;
}

int tool_locate(tool *t, const char *name, const char **path) {
    const size_t most = sizeof t->located / sizeof *t->located;
    size_t i = 0;
    char *found = NULL, near[128];
    tsr_status status = tsr_model_locate(t->ctx, name, &found);
    while (i + 1 < most && t->located[i])
        ++i;
    if (!status) {
        free(t->located[i]);
        *path = t->located[i] = found;
        return -1;
    }
    tsr_catalog *catalog = NULL;
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(t->ctx));
    bool hint = status == TSR_ERROR_NOT_FOUND && !tsr_catalog_open(t->ctx, NULL, &catalog) &&
                tsr_catalog_find(catalog, name) < 0 &&
                tool_nearest_model(catalog, name, near, sizeof near);
    tsr_catalog_close(&catalog);
    return hint ? tool_fail_text(t, status, "%s; did you mean '%s'?", detail, near)
                : tool_fail_text(t, status, "%s", detail);
}

int tool_exit_code(tsr_status status) {
    switch ((int)status / 10) {
    case 0:
        return EXIT_DONE;
    case TSR_ERROR_ARGUMENT / 10:
        return EXIT_USAGE;
    case TSR_ERROR_MEMORY / 10:
    case TSR_ERROR_IO / 10:
        return EXIT_FILES;
    case TSR_ERROR_FORMAT / 10:
        if (status == TSR_ERROR_DAMAGED) return EXIT_NEGATIVE;
        return EXIT_FORMAT;
    case TSR_ERROR_UNSUPPORTED / 10:
        return EXIT_FORMAT;
    case TSR_ERROR_MODEL / 10:
    case TSR_ERROR_DEVICE / 10:
        return EXIT_MODEL;
    default:
        return EXIT_INTERRUPTED;
    }
}

int tool_fail_text(tool *t, tsr_status status, const char *format, ...) {
    char text[1200], clean[1200];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    tool_progress_clear(t);
    if (t->o->quiet < 2)
        fprintf(stderr, "tessera %s: %s%s%s\n", t->v->name, tsr_status_text(status),
                *text ? ": " : "", tool_clean(text, clean, sizeof clean));
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_object(&j, "error");
        json_int(&j, "status", status);
        json_text(&j, "name", tsr_status_name(status));
        json_text(&j, "text", tsr_status_text(status));
        json_text(&j, "detail", text);
        json_end(&j, '}');
        json_close(&j);
    }
    return tool_exit_code(status);
}

int tool_fail(tool *t, tsr_status status) {
    const char *detail = t->ctx ? tsr_detail(t->ctx) : "";
    const char *hint = status == TSR_ERROR_EXISTS ? "; -f replaces it"
                       : status == TSR_ERROR_DEVICE_LOST
                           ? ": run the command again, or with --device cpu"
                           : "";
    return tool_fail_text(t, status, "%s%s", detail, hint);
}

void tool_say(tool *t, const char *format, ...) {
    if (t->o->quiet) return;
    tool_progress_clear(t);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

void tool_warn(tool *t, const char *format, ...) {
    if (t->o->quiet > 1) return;
    tool_progress_clear(t);
    fprintf(stderr, "tessera %s: ", t->v->name);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

const char *tool_count(uint64_t number, const char *one, char text[32]) {
    snprintf(text, 32, "%" PRIu64 " %s%s", number, one, number == 1 ? "" : "s");
    return text;
}

void tool_progress_clear(tool *t) {
    if (!t->bar_drawn) return;
    fputs("\r\033[K", stderr);
    t->bar_drawn = false;
}

/* "12" or "1.2 MB". */
static const char *amount(const tool *t, double number, char text[32]) {
    if (t->bar_bytes) return tool_bytes((uint64_t)number, text, 32);
    snprintf(text, 32, "%.0f", number);
    return text;
}

/* Columns of the terminal; 80 where it does not say. */
static int terminal_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col == 0) return 80;
    return size.ws_col;
}

/* Draws "encode [####....] 12/24  3.5/s  ETA 0:04" in less than the terminal's columns: a line that
 * wraps cannot be erased. What does not fit is left out from the right, the bar shrinks first. */
static void draw(const tool *t, uint64_t done, uint64_t total, double rate) {
    enum { WIDEST = 24, LEAST = 4 };
    const int columns = terminal_columns() - 1; /* the cursor stands behind the text */
    char a[32], b[32], part[3][72] = {"", "", ""}, name[sizeof t->bar_what];
    snprintf(name, sizeof name, "%.*s", columns > 0 ? columns : 0, t->bar_what);
    snprintf(part[0], sizeof part[0], " %s%s%s", amount(t, (double)done, a), total ? "/" : "",
             total ? amount(t, (double)total, b) : "");
    if (rate > 0 && t->bar_bytes)
        snprintf(part[1], sizeof part[1], "  %s/s", amount(t, rate, a));
    else if (rate > 0)
        snprintf(part[1], sizeof part[1], "  %.3g/s", rate);
    const double left = rate > 0 && total > done ? (double)(total - done) / rate : 0;
    if (left > 0 && left < 360000)
        snprintf(part[2], sizeof part[2], "  ETA %d:%02d", (int)left / 60, (int)left % 60);
    int used = (int)strlen(name), parts = 0;
    while (parts < 3 && used + (int)strlen(part[parts]) <= columns)
        used += (int)strlen(part[parts++]);
    const int width = columns - used - 3 < WIDEST ? columns - used - 3 : WIDEST; /* " [" and "]" */
    fprintf(stderr, "\r\033[K%s", name);
    if (total && width >= LEAST) {
        const int full = (int)(width * (done < total ? (double)done / (double)total : 1));
        fputs(" [", stderr);
        for (int i = 0; i < width; ++i)
            fputc(i < full ? '#' : '.', stderr);
        fputc(']', stderr);
    }
    for (int i = 0; i < parts; ++i)
        fputs(part[i], stderr);
    fflush(stderr);
}

int tool_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    tool *t = user;
    if (stop_asked) return 1;
    if (!t->bar) return 0;
    double now = tool_seconds();
    if (strncmp(t->bar_what, what, sizeof t->bar_what - 1) != 0) {
        snprintf(t->bar_what, sizeof t->bar_what, "%s", what);
        t->bar_started = t->bar_last > 0 ? now : t->started; /* the first work began with us */
        t->bar_last = 0;
        t->bar_base = t->bar_bytes ? done : 0;
    }
    if (now - t->bar_last < 0.1 && (done < total || !total)) return 0;
    t->bar_last = now;
    if (done < t->bar_base) t->bar_base = 0; /* begun again */
    const double spent = now - t->bar_started;
    draw(t, done, total, spent > 0 ? (double)(done - t->bar_base) / spent : 0);
    t->bar_drawn = true;
    return 0;
}

int tool_make_folders(tool *t, const char *path) {
    char part[4200];
    const size_t n = strlen(path);
    for (size_t i = 1; i <= n && n < sizeof part; ++i) {
        if (path[i] != '/' && path[i]) continue;
        snprintf(part, i + 1, "%s", path);
        if (mkdir(part, 0777) && errno != EEXIST)
            return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", part, strerror(errno));
    }
    return n < sizeof part
               ? -1
               : tool_fail_text(t, TSR_ERROR_ARGUMENT, "%s: the path is too long", path);
}

void tool_json(tool *t, json_out *j) {
    tool_json_to(t, j, stdout);
}
void tool_json_to(tool *t, json_out *j, FILE *file) {
    json_open(j, file);
    json_text(j, "tessera", tsr_version());
    json_text(j, "verb", t->v->name);
}

bool tool_is_stream(const char *path) {
    struct stat st;
    return args_is_stdout(path) ||
           (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode));
}

/* Would bytes that go to `path` appear on a terminal? */
static bool leads_to_terminal(const char *path) {
    struct stat st;
    if (args_is_stdout(path)) return isatty(STDOUT_FILENO);
    if (stat(path, &st) != 0 || !S_ISCHR(st.st_mode)) return false;
    const int fd = open(path, O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    const bool terminal = fd >= 0 && isatty(fd);
    if (fd >= 0) close(fd);
    return terminal;
}

/* Asks the person at the terminal; no answer is no. */
static bool asked_to_replace(const verb *v, const char *path) {
    char answer[16] = "", clean[1024];
    FILE *terminal = fopen("/dev/tty", "r");
    if (!terminal) return false;
    fprintf(stderr, "tessera %s: %s exists; replace it? (y/N) ", v->name,
            tool_clean(path, clean, sizeof clean));
    fflush(stderr);
    const bool yes = fgets(answer, sizeof answer, terminal) && (*answer == 'y' || *answer == 'Y');
    fclose(terminal);
    return yes;
}

/* The tool of a verb that has not opened its own yet. */
static int fail_early(const verb *v, const common_options *o, tsr_status status, const char *format,
                      const char *path) {
    tool t = {.v = v, .o = o};
    return tool_fail_text(&t, status, format, path);
}

int tool_output(const verb *v, common_options *o, const char *path) {
    struct stat st;
    if (o->json && args_is_stdout(path))
        return args_wrong(v, "--json and -o %s would both write to stdout", path);
    if (o->force) return -1;
    if (leads_to_terminal(path))
        return fail_early(v, o, TSR_ERROR_ARGUMENT,
                          "-o %s: wanted a file or a pipe, got a terminal; "
                          "-f writes to it",
                          path);
    if (args_is_stdout(path) || strncmp(path, "/dev/fd/", 8) == 0) return -1;
    if (stat(path, &st) != 0 ? lstat(path, &st) != 0 : !S_ISREG(st.st_mode)) return -1;
    const bool ask = isatty(STDERR_FILENO) && isatty(STDIN_FILENO) && !o->quiet && !o->json;
    if (ask && asked_to_replace(v, path)) {
        o->replace = 1;
        return -1;
    }
    return fail_early(v, o, TSR_ERROR_EXISTS, "%s; -f replaces it", path);
}

int tool_not_input(const verb *v, const char *output, const char *input) {
    struct stat x, y;
    if (!input || args_is_stdout(output) || strcmp(input, "-") == 0) return -1;
    if (stat(output, &x) != 0 || stat(input, &y) != 0 || x.st_dev != y.st_dev ||
        x.st_ino != y.st_ino || !S_ISREG(x.st_mode))
        return -1;
    return args_wrong(v, "%s: wanted an output that is not the input", output);
}

const char *tool_bytes(uint64_t bytes, char *text, size_t size) {
    if (bytes < 10000)
        snprintf(text, size, "%u bytes", (unsigned)bytes);
    else if (bytes < 10000000)
        snprintf(text, size, "%.1f kB", (double)bytes / 1e3);
    else
        snprintf(text, size, "%.1f MB", (double)bytes / 1e6);
    return text;
}

const char *tool_clean(const char *text, char *clean, size_t size) {
    size_t n = 0;
    for (; *text && n + 1 < size; ++text) {
        unsigned char c = (unsigned char)*text;
        clean[n++] = c < 0x20 || c == 0x7F ? '?' : (char)c;
    }
    clean[n] = 0;
    return clean;
}

void tool_stem(const char *path, char *stem, size_t size) {
    const char *slash = strrchr(path, '/');
    snprintf(stem, size, "%s", slash ? slash + 1 : path);
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem) *dot = 0;
}
