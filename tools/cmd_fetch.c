/* SPDX-License-Identifier: MIT */
/* cmd_fetch.c: published models by name, into a cache folder, whole or not at all. download.c
 * brings the bytes; here is what is said about them, how they are checked and what is recorded. */
#include "tool.h"
#include "download.h"
#include "hub.h"

#include <tessera/models.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

typedef struct fetch_options {
    common_options common;
    const char *to, *catalog;
    int list, dry_run, check;
    uint32_t retries, timeout;
} fetch_options;

#define AT(field) offsetof(fetch_options, field)
static const option options[] = {
    {"to", 0, OPTION_TEXT, AT(to), "DIR", "a folder of the model's name in the cache",
     "the folder the files go to; made if missing", NULL, 0, 0},
    {"list", 'l', OPTION_FLAG, AT(list), NULL, NULL, "print the names that are known", NULL, 0, 0},
    {"dry-run", 'n', OPTION_FLAG, AT(dry_run), NULL, NULL,
     "say what would be fetched, from where to where and under which licence; fetch nothing", NULL,
     0, 0},
    {"check", 0, OPTION_FLAG, AT(check), NULL, NULL,
     "hash files that are there already and compare with what is known or was recorded", NULL, 0,
     0},
    {"retries", 0, OPTION_UINT, AT(retries), "N", "5",
     "tries in a row that bring nothing before it gives up", NULL, 0, 1000},
    {"timeout", 0, OPTION_UINT, AT(timeout), "S", "60",
     "seconds without a byte before a connection counts as cut", NULL, 1, 86400},
    {"catalog", 0, OPTION_TEXT, AT(catalog), "FILE", "the one built in",
     "another table of names; models/catalog in the source says how it is written", NULL, 0, 0},
};

typedef struct result {
    char path[4096], sha256[65];
    uint64_t bytes, resumed_from;
    bool present;        /* it was there before */
    const char *checked; /* against what: "catalog", "server", "record", or "none" */
} result;

enum { MAX_FILES = 16 };

typedef struct job {
    tool *t;
    const fetch_options *o;
    hub_settings hub;
    tsr_catalog *catalog;
    int index;
    tsr_catalog_model m;
    bool in_hub_cache; /* Hugging Face's own tools have downloaded it: nothing of it is ours */
    char folder[2048], notice[4096]; /* notice: the record's path */
    struct {
        char url[1200];
        bool of_hub;
    } address[MAX_FILES];
    result results[MAX_FILES];
} job;

/* File `index` of the model, with the address that is asked for it. */
static tsr_catalog_file file_of(const job *j, int index) {
    tsr_catalog_file f;
    tsr_catalog_file_at(j->catalog, j->index, index, &f);
    f.url = j->address[index].url;
    return f;
}

/* ---- places ---- */

/* Takes the model from Hugging Face's cache when all of it is there and not all of it here. */
static void look_into_hub_cache(job *j) {
    char *found[MAX_FILES] = {NULL};
    bool here = true, there = true;
    for (int i = 0; i < j->m.file_count; ++i) {
        tsr_catalog_file f;
        tsr_catalog_file_at(j->catalog, j->index, i, &f);
        here = here && access(j->results[i].path, F_OK) == 0;
        there = there && !tsr_hub_cached_file(j->t->ctx, f.url, &found[i]) &&
                strlen(found[i]) < sizeof j->folder;
    }
    j->in_hub_cache = there && !here;
    for (int i = 0; i < j->m.file_count; ++i) {
        if (j->in_hub_cache)
            snprintf(j->results[i].path, sizeof j->results[i].path, "%s", found[i]);
        free(found[i]);
    }
    if (!j->in_hub_cache) return;
    const char *path = j->results[0].path;
    snprintf(j->folder, sizeof j->folder, "%.*s", (int)(strrchr(path, '/') - path), path);
}

static int find_folder(job *j) {
    int n;
    if (j->o->to) {
        n = snprintf(j->folder, sizeof j->folder, "%s", j->o->to);
    } else {
        char *path = NULL;
        tsr_status s = tsr_cache_folder(j->t->ctx, j->m.name, &path);
        if (s == TSR_ERROR_ARGUMENT)
            return args_wrong(j->t->v, "%s; say --to DIR", tsr_detail(j->t->ctx));
        if (s) return tool_fail(j->t, s);
        n = snprintf(j->folder, sizeof j->folder, "%s", path);
        free(path);
    }
    if (n == 0 || n >= (int)sizeof j->folder - 1)
        return args_wrong(j->t->v, "--to: wanted a path below %zu bytes", sizeof j->folder);
    while (n > 1 && j->folder[n - 1] == '/')
        j->folder[--n] = 0;
    snprintf(j->notice, sizeof j->notice, "%s/NOTICE-%s.txt", j->folder, j->m.name);
    for (int i = 0; i < j->m.file_count; ++i) {
        tsr_catalog_file f;
        tsr_catalog_file_at(j->catalog, j->index, i, &f);
        j->address[i].of_hub =
            hub_address(&j->hub, f.url, j->address[i].url, sizeof j->address[i].url);
        snprintf(j->results[i].path, sizeof j->results[i].path, "%s/%s", j->folder, f.name);
    }
    if (!j->o->to) look_into_hub_cache(j);
    return -1;
}

static tsr_status make_folder(char *path) {
    for (char *slash = path + 1;; ++slash) {
        if (*slash && *slash != '/') continue;
        char held = *slash;
        *slash = 0;
        int made = mkdir(path, 0777);
        int error = errno;
        *slash = held;
        if (made != 0 && error != EEXIST) {
            errno = error;
            return error == ENOSPC ? TSR_ERROR_NO_SPACE : TSR_ERROR_IO;
        }
        if (!held) return TSR_OK;
    }
}

/* ---- the record beside the files ---- */

/* Hugging Face's cache keeps large files under their SHA-256, and links to them. */
static void linked_digest(const char *path, char hex[65]) {
    char *target = realpath(path, NULL);
    const char *name = target ? strrchr(target, '/') + 1 : "";
    if (strlen(name) == 64 && strspn(name, "0123456789abcdef") == 64) memcpy(hex, name, 65);
    free(target);
}

/* The digest an earlier run wrote down for this file, or "". */
static void recorded_digest(const job *j, const char *name, const char *path, char hex[65]) {
    char line[1200], current[300] = "";
    hex[0] = 0;
    if (j->in_hub_cache) {
        linked_digest(path, hex);
        return;
    }
    FILE *file = fopen(j->notice, "r");
    if (!file) return;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "file      ", 10) == 0)
            snprintf(current, sizeof current, "%.290s", line + 10);
        else if (strncmp(line, "  sha256  ", 10) == 0 && strcmp(current, name) == 0 &&
                 strlen(line + 10) == 64)
            memcpy(hex, line + 10, 65);
    }
    fclose(file);
}

static int write_record(job *j) {
    char when[32], path[4200];
    time_t now = time(NULL);
    struct tm utc;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    snprintf(path, sizeof path, "%s.part", j->notice);
    FILE *file = fopen(path, "w");
    if (!file) return tool_fail_text(j->t, TSR_ERROR_IO, "%s: %s", path, strerror(errno));
    fprintf(file,
            "model     %s\nabout     %s\npage      %s\nlicence   %s\nnotice    %s\n"
            "recorded  %s by tessera %s\n",
            j->m.name, j->m.about, j->m.page, j->m.licence_title, j->m.notice, when, tsr_version());
    for (int i = 0; i < j->m.file_count; ++i) {
        const tsr_catalog_file f = file_of(j, i);
        const result *r = &j->results[i];
        fprintf(file, "file      %s\n  url     %s\n  bytes   %" PRIu64 "\n  sha256  %s\n", f.name,
                f.url, r->bytes, r->sha256);
        fprintf(file, "  checked %s\n", r->checked);
    }
    bool lost = ferror(file) != 0;
    if (fclose(file) != 0 || lost || rename(path, j->notice) != 0)
        return tool_fail_text(j->t, TSR_ERROR_IO, "%s: %s", j->notice, strerror(errno));
    return EXIT_DONE;
}

/* ---- one file ---- */

/* Hashes `path` and compares with what is known best. `stated` is the server's word. */
static int check_digest(job *j, const tsr_catalog_file *f, const char *path, const char *stated,
                        result *r) {
    char recorded[65];
    recorded_digest(j, f->name, path, recorded);
    const char *want = f->sha256 ? f->sha256 : *stated ? stated : r->present ? recorded : "";
    r->checked = f->sha256 ? "catalog" : *stated ? "server" : *want ? "record" : "none";
    tsr_status s = tsr_file_sha256(j->t->ctx, path, r->sha256, tool_progress, j->t);
    tool_progress_clear(j->t);
    if (s) return tool_fail(j->t, s);
    if (*want && strcmp(want, r->sha256) != 0)
        return tool_fail_text(j->t, TSR_ERROR_CHECKSUM, "%s: sha256: wanted %s (%s), got %s%s",
                              r->path, want, r->checked, r->sha256,
                              r->present ? "; remove it to fetch it again"
                                         : "; what came was thrown away");
    return -1;
}

static int take_present(job *j, const tsr_catalog_file *f, const struct stat *st, result *r) {
    r->present = true;
    r->bytes = (uint64_t)st->st_size;
    if (!S_ISREG(st->st_mode))
        return tool_fail_text(j->t, TSR_ERROR_IO, "%s: wanted a file, got something else", r->path);
    if (f->size && r->bytes != f->size)
        return tool_fail_text(j->t, TSR_ERROR_FORMAT,
                              "%s: size: wanted %" PRIu64 " bytes, got %" PRIu64
                              "; remove it to fetch it again",
                              r->path, f->size, r->bytes);
    recorded_digest(j, f->name, r->path, r->sha256);
    r->checked = "record";
    if (*r->sha256 && !j->o->check) return -1; /* it was checked when it came */
    return check_digest(j, f, r->path, "", r);
}

/* Some hosts answer a gone file with a page for people. */
static bool is_web_page(const char *path) {
    char text[64] = "";
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    size_t n = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[n] = 0;
    const char *at = text + strspn(text, " \t\r\n");
    return strncasecmp(at, "<!doctype html", 14) == 0 || strncasecmp(at, "<html", 5) == 0;
}

/* What to do without us: said after every failure that another way to the file could get around. */
static int fail_download(job *j, const tsr_catalog_file *f, const download *d, tsr_status s,
                         const result *r) {
    if (s == TSR_ERROR_INTERRUPTED || s == TSR_ERROR_STATE || s == TSR_ERROR_NO_SPACE)
        return tool_fail_text(j->t, s, "%s", d->error);
    return tool_fail_text(j->t, s,
                          "%s; get %s on another way, put it at %s and run this again: it is then "
                          "checked and recorded (the authors' page: %s)",
                          d->error, f->url, r->path, j->m.page);
}

static int bring(job *j, int index, const tsr_catalog_file *f, result *r) {
    char part[4200], what[80];
    snprintf(part, sizeof part, "%s/.%s.part", j->folder, f->name);
    snprintf(what, sizeof what, "%.60s", f->name);
    download d = {.url = f->url,
                  .part = part,
                  .size = f->size,
                  .token = j->address[index].of_hub && *j->hub.token ? j->hub.token : NULL,
                  .of_hub = j->address[index].of_hub,
                  .sha256 = f->sha256,
                  .retries = j->o->retries,
                  .timeout = j->o->timeout,
                  .progress = tool_progress,
                  .user = j->t,
                  .what = what};
    if (j->hub.offline) {
        snprintf(d.error, sizeof d.error, "HF_HUB_OFFLINE is set, so nothing is downloaded");
        return fail_download(j, f, &d, TSR_ERROR_IO, r);
    }
    tsr_status s = download_run(&d);
    tool_progress_clear(j->t);
    if (s) return fail_download(j, f, &d, s, r);
    r->bytes = d.bytes;
    r->resumed_from = d.resumed_from;
    if (is_web_page(part)) {
        download_forget(part);
        snprintf(d.error, sizeof d.error, "%s: the server sent a web page instead of the file",
                 f->url);
        return fail_download(j, f, &d, TSR_ERROR_FORMAT, r);
    }
    int code = check_digest(j, f, part, d.server_sha256, r);
    if (code >= 0) {
        if (code == EXIT_FORMAT) download_forget(part);
        return code;
    }
    if (rename(part, r->path) != 0)
        return tool_fail_text(j->t, TSR_ERROR_IO, "%s: rename into place: %s", r->path,
                              strerror(errno));
    download_forget(part);
    int folder = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) { /* so that the name survives a power cut; not every file system can */
        (void)fsync(folder);
        close(folder);
    }
    return -1;
}

static int fetch_file(job *j, int index) {
    const tsr_catalog_file f = file_of(j, index);
    struct stat st;
    result *r = &j->results[index];
    bool present = stat(r->path, &st) == 0;
    int code = present ? take_present(j, &f, &st, r) : bring(j, index, &f, r);
    if (code >= 0) return code;
    char text[64];
    tool_bytes(r->bytes, text, sizeof text);
    if (r->present)
        tool_say(j->t, "%s: there already (%s)", r->path, text);
    else if (r->resumed_from)
        tool_say(j->t, "%s: %s, went on from byte %" PRIu64, r->path, text, r->resumed_from);
    else
        tool_say(j->t, "%s: %s", r->path, text);
    if (strcmp(r->checked, "none") == 0)
        tool_say(j->t,
                 "%s: nobody states its size or hash, so only the transfer was checked; "
                 "sha256 %s",
                 f.name, r->sha256);
    return -1;
}

/* ---- what is said ---- */

static const char *size_text(const tsr_catalog_file *f, char *text, size_t size) {
    char bytes[40];
    if (f->size)
        snprintf(text, size, "%s", tool_bytes(f->size, bytes, sizeof bytes));
    else if (f->about)
        snprintf(text, size, "about %s", tool_bytes(f->about, bytes, sizeof bytes));
    else
        snprintf(text, size, "size not known");
    return text;
}

static void say_licence(job *j) {
    tool_say(j->t, "%s: %s", j->m.name, j->m.about);
    tool_say(j->t, "licence: %s. %s", j->m.licence_title, j->m.notice);
}

static void json_model(json_out *out, const tsr_catalog_model *m) {
    json_text(out, "name", m->name);
    json_text(out, "family", m->family);
    json_text(out, "about", m->about);
    json_text(out, "page", m->page);
    json_text(out, "note", m->note);
    json_text(out, "licence", m->licence_title);
    json_text(out, "notice", m->notice);
}

static void json_file(json_out *out, const tsr_catalog_file *f) {
    json_text(out, "file", f->name);
    json_text(out, "url", f->url);
    if (f->size)
        json_uint(out, "size", f->size);
    else
        json_null(out, "size");
    if (f->about)
        json_uint(out, "about_bytes", f->about);
    else
        json_null(out, "about_bytes");
}

static int list_models(tool *t, tsr_catalog *catalog) {
    json_out out;
    if (t->o->json) {
        tool_json(t, &out);
        json_array(&out, "models");
    }
    for (int i = 0; i < tsr_catalog_count(catalog); ++i) {
        tsr_catalog_model m;
        tsr_catalog_file f;
        char text[80];
        tsr_catalog_at(catalog, i, &m);
        tsr_catalog_file_at(catalog, i, 0, &f);
        if (!t->o->json) {
            printf("%-35s %-15s %s\n", m.name, size_text(&f, text, sizeof text), m.about);
            continue;
        }
        json_object(&out, NULL);
        json_model(&out, &m);
        json_array(&out, "files");
        for (int k = 0; k < m.file_count; ++k) {
            tsr_catalog_file_at(catalog, i, k, &f);
            json_object(&out, NULL);
            json_file(&out, &f);
            json_end(&out, '}');
        }
        json_end(&out, ']');
        json_end(&out, '}');
    }
    if (t->o->json) {
        json_end(&out, ']');
        json_close(&out);
    }
    return EXIT_DONE;
}

static void print_plan(job *j) {
    printf("model    %s: %s\npage     %s\nlicence  %s\nnotice   %s\n", j->m.name, j->m.about,
           j->m.page, j->m.licence_title, j->m.notice);
    if (j->m.note) printf("note     %s\n", j->m.note);
    for (int i = 0; i < j->m.file_count; ++i) {
        const tsr_catalog_file f = file_of(j, i);
        char text[80];
        printf("get      %s (%s)\nput at   %s%s\n", f.url, size_text(&f, text, sizeof text),
               j->results[i].path, access(j->results[i].path, F_OK) == 0 ? " (there already)" : "");
    }
}

static void print_json(job *j, bool fetched) {
    json_out out;
    tool_json(j->t, &out);
    json_model(&out, &j->m);
    json_text(&out, "folder", j->folder);
    json_bool(&out, "fetched", fetched);
    json_array(&out, "files");
    for (int i = 0; i < j->m.file_count; ++i) {
        const tsr_catalog_file f = file_of(j, i);
        const result *r = &j->results[i];
        json_object(&out, NULL);
        json_file(&out, &f);
        json_text(&out, "path", r->path);
        if (fetched) {
            json_uint(&out, "bytes", r->bytes);
            json_text(&out, "sha256", r->sha256);
            json_text(&out, "checked", r->checked);
            json_bool(&out, "there_already", r->present);
            json_uint(&out, "resumed_from", r->resumed_from);
        }
        json_end(&out, '}');
    }
    json_end(&out, ']');
    json_real(&out, "total_seconds", tool_seconds() - j->t->started);
    json_close(&out);
}

/* ---- the verb ---- */

static int find_model(job *j, const char *name) {
    j->index = tsr_catalog_find(j->catalog, name);
    if (j->index >= 0) {
        tsr_catalog_at(j->catalog, j->index, &j->m);
        return -1;
    }
    char near[128];
    if (tool_nearest_model(j->catalog, name, near, sizeof near))
        return args_wrong(j->t->v, "no model is called '%s'; did you mean '%s'?", name, near);
    return args_wrong(j->t->v, "no model is called '%s'; tessera fetch --list names them", name);
}

/* Torch files are converted once, to where -t NAME looks for them. */
static void say_convert(job *j) {
    const char *weights = j->results[0].path, *dot = strrchr(weights, '.');
    if (j->m.note) tool_say(j->t, "note: %s", j->m.note);
    if (j->in_hub_cache || (dot && strcmp(dot, ".safetensors") == 0)) return;
    tool_say(j->t, "next: tessera model convert %s %s/model.safetensors%s", weights, j->folder,
             j->o->to ? "" : ", which -t takes by this name then");
}

static int fetch_model(job *j) {
    say_licence(j);
    tsr_status s = j->in_hub_cache ? TSR_OK : make_folder(j->folder);
    if (s) return tool_fail_text(j->t, s, "%s: make the folder: %s", j->folder, strerror(errno));
    j->t->bar_bytes = true;
    for (int i = 0; i < j->m.file_count; ++i) {
        int code = fetch_file(j, i);
        if (code >= 0) return code;
    }
    int code = j->in_hub_cache ? EXIT_DONE : write_record(j);
    if (code != EXIT_DONE) return code;
    say_convert(j);
    if (j->o->common.json)
        print_json(j, true);
    else
        printf("%s\n", j->results[0].path);
    return EXIT_DONE;
}

static int run_job(job *j, int operands, char **argv) {
    if (j->o->list) return list_models(j->t, j->catalog);
    if (operands == 0)
        return args_wrong(j->t->v, "NAME is missing; tessera fetch --list prints the names");
    int code = hub_read_settings(j->t->v, &j->hub);
    if (code < 0) code = find_model(j, argv[0]);
    if (code < 0) code = find_folder(j);
    if (code >= 0) return code;
    if (!j->o->dry_run) return fetch_model(j);
    if (j->o->common.json)
        print_json(j, false);
    else
        print_plan(j);
    return EXIT_DONE;
}

static int run(const verb *v, int argc, char **argv) {
    fetch_options o = {.retries = 5, .timeout = 60};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    job *j = calloc(1, sizeof *j);
    if (!j) {
        code = tool_fail_text(&t, TSR_ERROR_MEMORY, "no memory");
    } else {
        *j = (job){.t = &t, .o = &o};
        tsr_status s = tsr_catalog_open(t.ctx, o.catalog, &j->catalog);
        code = s ? tool_fail(&t, s) : run_job(j, operands, argv);
        tsr_catalog_close(&j->catalog);
    }
    free(j);
    tool_close(&t);
    return code;
}

const verb verb_fetch = {
    .name = "fetch",
    .summary = "download a published model by its name",
    .usage = "tessera fetch NAME [--to DIR] [--dry-run] [--check] [--json]\n"
             "tessera fetch --list",
    .about =
        "No weights come with Tessera but its own tokenizer's. This brings somebody else's: it "
        "says under which licence they are, downloads them into the cache "
        "($XDG_CACHE_HOME/tessera/NAME, or ~/.cache/tessera/NAME) and prints the path of the "
        "weights; -t takes that path or NAME (a torch file goes through 'tessera model convert' "
        "first). A cut connection is taken up again, in this run and in the next one; a file gets "
        "its name only when it is complete and its size and hash are the ones that are known (from "
        "the table of names, else as the server states them). NOTICE-NAME.txt beside the files "
        "keeps licence, source, size and sha256. What Hugging Face's own tools have downloaded is "
        "found in their cache and not fetched again. HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE are "
        "honoured. Without a network: --dry-run says which file to "
        "bring from where, and where to put it; run again, it is then checked and recorded.",
    .exits = "3 when the server or the network fails, 4 when the bytes are not the ones meant;\n"
             "what came so far is kept in a hidden .part file for the next run",
    .examples = "# what there is\n"
                "tessera fetch --list\n"
                "# licence, sizes and places, before anything is downloaded\n"
                "tessera fetch flextok-d12-d12 --dry-run\n"
                "# fetch, and use by the same name\n"
                "tessera fetch flextok-d12-d12\n"
                "tessera encode photo.jpg -o photo.tess -t flextok-d12-d12",
    .options = options,
    .option_count = COUNT(options),
    .least_operands = 0,
    .most_operands = 1,
    .operands = "NAME",
    .operand_kind = OPTION_MODEL,
    .run = run,
};
