/* SPDX-License-Identifier: MIT */
/* catalog.c: reads the table of published models (models/catalog describes its lines) and hashes
 * files for it. The text is split in place: every field points into one copy of it. */
#define TESSERA_EXPERIMENTAL
#include <tessera/models.h>

#include "../compute/context.h"
#include "../formats/file.h"
#include "../formats/sha256.h"
#include "../formats/utf8.h"

#include <stdlib.h>
#include <string.h>

extern const uint8_t tsr_catalog_text[], tsr_catalog_text_end[];

enum { MAX_BYTES = 1 << 20, MAX_FILES = 16 };

typedef struct licence {
    const char *id, *title, *notice;
    int line;
} licence;

typedef struct model {
    tsr_catalog_model m;
    tsr_catalog_file files[MAX_FILES];
    int line;
} model;

struct tsr_catalog {
    char *text;
    licence *licences;
    model *models;
    int licence_count, model_count;
};

typedef struct reader {
    tsr_context *ctx;
    const char *name; /* of the catalog, for messages */
    tsr_catalog *c;
    int line;
    licence *licence; /* the section that is open: one of both, or none yet */
    model *model;
} reader;

static bool plain_name(const char *text, bool capitals) {
    if (!*text || *text == '.' || *text == '-') return false;
    for (; *text; ++text) {
        bool known = (*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9') ||
                     strchr("._-", *text) || (capitals && *text >= 'A' && *text <= 'Z');
        if (!known) return false;
    }
    return true;
}

static tsr_status refuse(reader *r, int line, const char *wanted, const char *got) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: line %d: wanted %s, got %.120s", r->name, line,
                    wanted, got);
}

static char *trim(char *text) {
    while (*text == ' ' || *text == '\t')
        ++text;
    size_t n = strlen(text);
    while (n && (text[n - 1] == ' ' || text[n - 1] == '\t' || text[n - 1] == '\r'))
        text[--n] = 0;
    return text;
}

static tsr_status open_section(reader *r, char *line) {
    char *end = strchr(line, ']'), *name = strchr(line, ' ');
    bool of_licence = strncmp(line, "[licence ", 9) == 0,
         of_model = strncmp(line, "[model ", 7) == 0;
    if (!end || end[1] || !name || (!of_licence && !of_model))
        return refuse(r, r->line, "[licence ID] or [model NAME]", line);
    *end = 0;
    name = trim(name + 1);
    r->licence = NULL;
    r->model = NULL;
    if (!plain_name(name, false))
        return refuse(r, r->line, "a name of a-z, 0-9, '.', '_' and '-'", name);
    if (of_licence) {
        for (int i = 0; i < r->c->licence_count; ++i)
            if (strcmp(r->c->licences[i].id, name) == 0)
                return refuse(r, r->line, "each licence once", name);
        r->licence = &r->c->licences[r->c->licence_count++];
        *r->licence = (licence){.id = name, .line = r->line};
    } else {
        if (tsr_catalog_find(r->c, name) >= 0) return refuse(r, r->line, "each model once", name);
        r->model = &r->c->models[r->c->model_count++];
        r->model->m = (tsr_catalog_model){.name = name};
        r->model->line = r->line;
    }
    return TSR_OK;
}

static bool get_bytes(const char *text, uint64_t *value) {
    char *end;
    if (!text || *text < '1' || *text > '9' || strlen(text) > 18) return false;
    *value = strtoull(text, &end, 10);
    return *end == 0;
}

static bool get_digest(const char *text) {
    return text && strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

static tsr_status read_file(reader *r, char *value) {
    tsr_catalog_model *m = &r->model->m;
    if (m->file_count == MAX_FILES) return refuse(r, r->line, "at most 16 files", "one more");
    char *save = NULL, *name = strtok_r(value, " ", &save), *url = strtok_r(NULL, " ", &save);
    if (!name || !plain_name(name, true))
        return refuse(r, r->line, "a file name without folder", name ? name : "none");
    if (!url || (strncmp(url, "https://", 8) != 0 && strncmp(url, "http://", 7) != 0))
        return refuse(r, r->line, "a URL of https:// or http://", url ? url : "none");
    tsr_catalog_file f = {.name = name, .url = url};
    for (int i = 0; i < m->file_count; ++i)
        if (strcmp(r->model->files[i].name, name) == 0)
            return refuse(r, r->line, "each file of a model once", name);
    for (char *key; (key = strtok_r(NULL, " ", &save));) {
        char *text = strtok_r(NULL, " ", &save);
        bool good = false;
        if (strcmp(key, "size") == 0)
            good = get_bytes(text, &f.size);
        else if (strcmp(key, "about") == 0)
            good = get_bytes(text, &f.about);
        else if (strcmp(key, "sha256") == 0 && (good = get_digest(text)))
            f.sha256 = text;
        if (!good)
            return refuse(r, r->line, "size N, about N (bytes) or sha256 and 64 digits", key);
    }
    r->model->files[m->file_count++] = f;
    return TSR_OK;
}

static tsr_status read_field(reader *r, char *line) {
    char *equals = strchr(line, '=');
    if (!equals) return refuse(r, r->line, "KEY = VALUE", line);
    *equals = 0;
    const char *key = trim(line);
    char *value = trim(equals + 1);
    if (!r->licence && !r->model) return refuse(r, r->line, "[licence ID] or [model NAME]", key);
    if (!*value) return refuse(r, r->line, "a value", "none");
    if (r->model && strcmp(key, "file") == 0) return read_file(r, value);
    const struct {
        const char *key, **at;
    } of_licence[] = {{"title", r->licence ? &r->licence->title : NULL},
                      {"notice", r->licence ? &r->licence->notice : NULL}},
      of_model[] = {{"family", r->model ? &r->model->m.family : NULL},
                    {"about", r->model ? &r->model->m.about : NULL},
                    {"licence", r->model ? &r->model->m.licence : NULL},
                    {"page", r->model ? &r->model->m.page : NULL},
                    {"note", r->model ? &r->model->m.note : NULL}};
    const char **at = NULL;
    for (size_t i = 0; r->licence && i < sizeof of_licence / sizeof *of_licence; ++i)
        if (strcmp(key, of_licence[i].key) == 0) at = of_licence[i].at;
    for (size_t i = 0; r->model && i < sizeof of_model / sizeof *of_model; ++i)
        if (strcmp(key, of_model[i].key) == 0) at = of_model[i].at;
    if (!at)
        return refuse(r, r->line,
                      r->licence ? "title or notice" : "family, about, licence, page, note or file",
                      key);
    if (*at) return refuse(r, r->line, "each key once", key);
    *at = value;
    return TSR_OK;
}

/* What a section must have, once all are read: a model may stand before its licence. */
static tsr_status check(reader *r) {
    for (int i = 0; i < r->c->licence_count; ++i) {
        const licence *l = &r->c->licences[i];
        if (!l->title || !l->notice)
            return refuse(r, l->line, "a licence with title and notice", l->id);
    }
    for (int i = 0; i < r->c->model_count; ++i) {
        tsr_catalog_model *m = &r->c->models[i].m;
        if (!m->family || !m->about || !m->licence || !m->page || !m->file_count)
            return refuse(r, r->c->models[i].line,
                          "a model with family, about, licence, page and file", m->name);
        for (int k = 0; k < r->c->licence_count; ++k)
            if (strcmp(r->c->licences[k].id, m->licence) == 0) {
                m->licence_title = r->c->licences[k].title;
                m->notice = r->c->licences[k].notice;
            }
        if (!m->notice)
            return refuse(r, r->c->models[i].line, "a licence that has a section", m->licence);
    }
    return TSR_OK;
}

static tsr_status read_all(reader *r, const uint8_t *bytes, size_t size) {
    size_t bad = 0;
    if (size > MAX_BYTES)
        return tsr_fail(r->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d bytes, got %zu",
                        r->name, MAX_BYTES, size);
    if (!tsr_utf8_valid(bytes, size, &bad) || (size && memchr(bytes, 0, size)))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: wanted UTF-8 text, got other bytes",
                        r->name);
    r->c->text = tsr_alloc(r->ctx, size + 1, 1, r->name);
    if (!r->c->text) return TSR_ERROR_MEMORY;
    if (size) memcpy(r->c->text, bytes, size);
    size_t sections = 1;
    for (size_t i = 0; i < size; ++i)
        sections += bytes[i] == '[';
    r->c->licences = tsr_alloc(r->ctx, sections, sizeof *r->c->licences, r->name);
    r->c->models = tsr_alloc(r->ctx, sections, sizeof *r->c->models, r->name);
    if (!r->c->licences || !r->c->models) return TSR_ERROR_MEMORY;
    tsr_status status = TSR_OK;
    for (char *at = r->c->text; at && !status;) {
        char *next = strchr(at, '\n');
        if (next) *next++ = 0;
        r->line++;
        char *line = trim(at);
        if (*line == '[')
            status = open_section(r, line);
        else if (*line && *line != '#')
            status = read_field(r, line);
        at = next;
    }
    return status ? status : check(r);
}

tsr_status tsr_catalog_open(tsr_context *ctx, const char *path, tsr_catalog **catalog) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!catalog) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "catalog: wanted an address, got NULL");
    *catalog = NULL;
    tsr_map map = {.bytes = tsr_catalog_text,
                   .size = (size_t)(tsr_catalog_text_end - tsr_catalog_text)};
    tsr_status status = path ? tsr_map_open(ctx, path, &map) : TSR_OK;
    if (status) return status;
    reader r = {.ctx = ctx, .name = path ? path : "built-in catalog"};
    r.c = tsr_alloc(ctx, 1, sizeof *r.c, r.name);
    status = r.c ? read_all(&r, map.bytes, map.size) : TSR_ERROR_MEMORY;
    if (path) tsr_map_close(&map);
    if (status) tsr_catalog_close(&r.c);
    *catalog = r.c;
    return status;
}

void tsr_catalog_close(tsr_catalog **catalog) {
    if (!catalog || !*catalog) return;
    free((*catalog)->text);
    free((*catalog)->licences);
    free((*catalog)->models);
    free(*catalog);
    *catalog = NULL;
}

int tsr_catalog_count(const tsr_catalog *catalog) {
    return catalog->model_count;
}

int tsr_catalog_find(const tsr_catalog *catalog, const char *name) {
    for (int i = 0; i < catalog->model_count; ++i)
        if (strcmp(catalog->models[i].m.name, name) == 0) return i;
    return -1;
}

void tsr_catalog_at(const tsr_catalog *catalog, int index, tsr_catalog_model *m) {
    *m = (tsr_catalog_model){0};
    if (index >= 0 && index < catalog->model_count) *m = catalog->models[index].m;
}

void tsr_catalog_file_at(const tsr_catalog *catalog, int index, int file, tsr_catalog_file *entry) {
    *entry = (tsr_catalog_file){0};
    if (index < 0 || index >= catalog->model_count) return;
    const model *m = &catalog->models[index];
    if (file >= 0 && file < m->m.file_count) *entry = m->files[file];
}

tsr_status tsr_file_sha256(tsr_context *ctx, const char *path, char hex[65],
                           tsr_progress_fn progress, void *user) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !hex) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "sha256: wanted addresses");
    enum { PIECE = 8 << 20 };
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    tsr_sha256 *digest;
    status = tsr_sha256_open(ctx, &digest);
    for (size_t at = 0; at < map.size && !status; at += PIECE) {
        size_t size = map.size - at < PIECE ? map.size - at : PIECE;
        tsr_sha256_add(digest, map.bytes + at, size);
        if (progress && progress(user, "sha256", at + size, map.size))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", path);
    }
    if (!status) status = tsr_sha256_finish(ctx, digest, hex);
    tsr_sha256_close(&digest);
    tsr_map_close(&map);
    return status;
}
