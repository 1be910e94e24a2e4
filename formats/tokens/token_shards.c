/* SPDX-License-Identifier: MIT */
/* token_shards.c: several token files to one, one to several, without a model. */
#include "token_layout.h"
#include "../file.h"
#include "../record_sort.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define PARTS_MOST 10000000u

/* ---- headers ---------------------------------------------------------------------------- */

/* The first field in which two headers differ, with both values as text; NULL when they agree. */
static const char *difference(const tsr_token_header *a, const tsr_token_header *b,
                              const tsr_token_writer_settings *x,
                              const tsr_token_writer_settings *y, char *wanted, char *got,
                              size_t size) {
#define NUMBER(name, field)                                                                        \
    if (a->field != b->field) {                                                                    \
        snprintf(wanted, size, "%llu", (unsigned long long)a->field);                              \
        snprintf(got, size, "%llu", (unsigned long long)b->field);                                 \
        return name;                                                                               \
    }
    if (strcmp(a->tokenizer, b->tokenizer)) {
        snprintf(wanted, size, "%s", a->tokenizer);
        snprintf(got, size, "%s", b->tokenizer);
        return "tokenizer";
    }
    if (a->weights_hash != b->weights_hash) {
        snprintf(wanted, size, "%016" PRIx64, a->weights_hash);
        snprintf(got, size, "%016" PRIx64, b->weights_hash);
        return "hash of the weights";
    }
    NUMBER("family", family)
    NUMBER("codebook size", codebook_size)
    NUMBER("channels", channels)
    NUMBER("type of numbers", latent_type)
    NUMBER("number of levels", level_count)
    for (uint32_t i = 0; i < a->level_count; ++i)
        NUMBER("level", levels[i])
    NUMBER("geometry", geometry)
    NUMBER("rows", rows)
    NUMBER("columns", columns)
    NUMBER("nested", nested)
    NUMBER("tile width", tile_width)
    NUMBER("tile height", tile_height)
    NUMBER("tile frames", tile_frames)
    NUMBER("frames of the grid", frames)
    NUMBER("fit", fit)
    NUMBER("filter", filter)
    for (int i = 0; i < 3; ++i)
        NUMBER("background", background[i])
    NUMBER("hints for decoding (present)", hints.present)
    if (a->hints.present) {
        NUMBER("steps of the hints", hints.steps)
        NUMBER("seed of the hints", hints.seed)
        NUMBER("precision of the hints", hints.fast)
        NUMBER("guidance mode of the hints", hints.plain)
        if (a->hints.guidance != b->hints.guidance) {
            snprintf(wanted, size, "%g", (double)a->hints.guidance);
            snprintf(got, size, "%g", (double)b->hints.guidance);
            return "guidance of the hints";
        }
    }
    if (x->layer_tokens == y->layer_tokens) return NULL;
    snprintf(wanted, size, "%u", x->layer_tokens);
    snprintf(got, size, "%u", y->layer_tokens);
    return "ids of the first layer";
#undef NUMBER
}

/* ---- attributes of the files -------------------------------------------------------------- */

typedef struct attribute_list {
    tsr_attribute *at; /* each with one block: name, zero, value */
    size_t room;
    uint32_t count;
} attribute_list;

static void list_free(attribute_list *l) {
    for (uint32_t i = 0; i < l->count; ++i)
        free((void *)l->at[i].name);
    free(l->at);
}

static bool equal_values(const tsr_attribute *a, const tsr_attribute *b) {
    return a->type == b->type && a->integer == b->integer && a->size == b->size &&
           (a->size == 0 || memcmp(a->bytes, b->bytes, a->size) == 0);
}

/* Adds an attribute that no input before had; *dropped counts other values of a name. */
static tsr_status list_add(tsr_context *ctx, attribute_list *l, const tsr_attribute *a,
                           uint64_t *dropped) {
    for (uint32_t i = 0; i < l->count; ++i)
        if (strcmp(l->at[i].name, a->name) == 0) {
            *dropped += !equal_values(&l->at[i], a);
            return TSR_OK;
        }
    const tsr_status s =
        tsr_grow(ctx, &l->at, &l->room, (size_t)l->count + 1, sizeof *l->at, "attributes");
    if (s) return s;
    const size_t name = strlen(a->name) + 1;
    char *block = tsr_alloc(ctx, name + a->size, 1, "attribute");
    if (!block) return TSR_ERROR_MEMORY;
    memcpy(block, a->name, name);
    if (a->size) memcpy(block + name, a->bytes, a->size);
    l->at[l->count] = *a;
    l->at[l->count].name = block;
    l->at[l->count].bytes = a->size ? block + name : NULL;
    l->count++;
    return TSR_OK;
}

/* Says how many items of all were written, and asks whether to go on. */
static tsr_status report_progress(tsr_context *ctx, const tsr_token_shard_settings *s,
                                  const char *what, uint64_t done, uint64_t total) {
    if (!s->progress || !s->progress(s->progress_user, what, done, total)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "%s: stopped after %llu of %llu items", what,
                    (unsigned long long)done, (unsigned long long)total);
}

/* ---- merging ---------------------------------------------------------------------------- */

typedef struct merge {
    tsr_context *ctx;
    const tsr_token_shard_settings *settings;
    tsr_token_shard_report *report;
    tsr_token_header header;           /* of the first input */
    tsr_token_writer_settings writing; /* of the output */
    attribute_list attributes;
    uint64_t items; /* of all inputs */
    tsr_record_sort keys;
    tsr_record before; /* while equal keys are counted */
    bool any;
} merge;

/* Adds the numbers of what was copied of one file. */
static void add_report(tsr_token_shard_report *r, const tsr_token_cut_report *c) {
    r->items += c->items;
    r->tokens += c->tokens;
    r->unreadable += c->unreadable;
    r->lost += c->lost;
    r->recovered |= c->recovered;
    r->damaged += c->recovered || c->damaged || c->unreadable || c->lost;
}

static tsr_status check_input(merge *m, const char *first, const char *path) {
    tsr_token_file *file;
    char wanted[80], got[80];
    if (tsr_in_is_stream(path))
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted a file, got a pipe: inputs of a merge are opened twice", path);
    tsr_status s = tsr_token_file_open(m->ctx, &file, path);
    if (s) return s;
    const tsr_token_header *h = tsr_token_file_header(file);
    const tsr_token_writer_settings *w = tsr_token_file_settings(file);
    if (path == first) {
        m->header = *h;
        m->writing = *w;
    }
    const char *field = difference(&m->header, h, &m->writing, w, wanted, got, sizeof got);
    m->writing.entropy |= w->entropy;
    m->items += tsr_token_file_properties(file)->items;
    if (field)
        s = tsr_fail(m->ctx, TSR_ERROR_MODEL_MISMATCH, "%s: %s: wanted %s as in %s, got %s", path,
                     field, wanted, first, got);
    uint32_t count = 0;
    const tsr_attribute *list = tsr_token_file_attributes(file, &count);
    for (uint32_t i = 0; i < count && !s; ++i)
        s = list_add(m->ctx, &m->attributes, &list[i], &m->report->dropped);
    tsr_token_file_close(&file);
    return s;
}

static tsr_status add_input(merge *m, const char *path, tsr_token_writer *writer) {
    tsr_token_file *file;
    tsr_token_cutter memory = {0};
    tsr_token_cut_report copied = {0};
    const tsr_token_cut_settings all = {.damaged = m->settings->damaged,
                                        .damaged_user = m->settings->damaged_user};
    tsr_status s = tsr_token_file_open(m->ctx, &file, path);
    if (s) return s;
    tsr_token_file_copy_begin(file, &all, &copied);
    const uint64_t items = tsr_token_file_properties(file)->items;
    for (uint64_t i = 0; i < items && !s; ++i) {
        const uint64_t number = m->report->items + copied.items;
        const char *key;
        s = report_progress(m->ctx, m->settings, "merge", number, m->items);
        if (!s) s = tsr_token_file_copy_item(file, i, writer, &memory, &all, &copied, &key);
        if (!s && key) s = tsr_record_sort_add(&m->keys, tsr_token_key_hash(key), number);
    }
    if (!s) s = tsr_token_file_copy_end(&memory, writer);
    tsr_token_cutter_free(&memory);
    tsr_token_file_close(&file);
    if (!s) add_report(m->report, &copied);
    return s;
}

static tsr_status count_equal(void *user, const tsr_record *record) {
    merge *m = user;
    tsr_token_shard_report *r = m->report;
    if (m->any && record->first == m->before.first) {
        if (!r->equal_keys || record->second < r->equal_second) {
            r->equal_first = m->before.second;
            r->equal_second = record->second;
        }
        r->equal_keys++;
    }
    m->before = *record;
    m->any = true;
    return TSR_OK;
}

static tsr_status write_merged(merge *m, const char *const *inputs, int count, const char *output) {
    tsr_token_writer *writer;
    tsr_status s = tsr_token_writer_open(m->ctx, &writer, output, &m->header, &m->writing);
    if (s) return s;
    s = tsr_token_writer_attributes(writer, m->attributes.at, m->attributes.count);
    for (int i = 0; i < count && !s; ++i)
        s = add_input(m, inputs[i], writer);
    if (!s) s = tsr_record_sort_walk(&m->keys, count_equal, m);
    const bool nothing = m->report->damaged && !m->report->items;
    if (!s && !nothing) s = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    if (!s) m->report->files = !nothing;
    return s;
}

static tsr_status damaged_or(tsr_context *ctx, tsr_status s, const tsr_token_shard_report *report) {
    if (s || !report->damaged) return s;
    return tsr_fail(ctx, TSR_ERROR_DAMAGED,
                    "%llu of the inputs are cut or damaged: %llu items written",
                    (unsigned long long)report->damaged, (unsigned long long)report->items);
}

tsr_status tsr_token_file_merge(tsr_context *ctx, const char *const *inputs, int count,
                                const char *output, const tsr_token_shard_settings *settings,
                                tsr_token_shard_report *report) {
    const tsr_token_shard_settings chosen = settings ? *settings : (tsr_token_shard_settings){0};
    tsr_token_shard_report own;
    if (!report) report = &own;
    *report = (tsr_token_shard_report){0};
    if (!inputs || !output || count < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "merge: wanted inputs and an output, got none");
    merge m = {.ctx = ctx, .settings = &chosen, .report = report};
    tsr_status s = TSR_OK;
    for (int i = 0; i < count && !s; ++i)
        s = inputs[i] ? check_input(&m, inputs[0], inputs[i])
                      : tsr_fail(ctx, TSR_ERROR_ARGUMENT, "merge: input: wanted a path, got NULL");
    m.writing.key_index |= chosen.key_index;
    m.keys.spool = (tsr_spool){.ctx = ctx, .beside = tsr_in_is_stream(output) ? NULL : output};
    if (!s) s = write_merged(&m, inputs, count, output);
    tsr_record_sort_free(&m.keys);
    list_free(&m.attributes);
    return damaged_or(ctx, s, report);
}

/* ---- splitting -------------------------------------------------------------------------- */

typedef struct split {
    tsr_context *ctx;
    tsr_token_file *file;
    const char *folder, *stem;
    int stem_bytes, digits;
    uint64_t items, parts;
    const tsr_token_shard_settings *settings;
    tsr_token_cut_settings all;
    tsr_token_cut_report copied;
    char *path; /* of the part at hand */
} split;

static void name_stem(split *p, const char *input) {
    const char *slash = strrchr(input, '/');
    p->stem = strcmp(input, "-") == 0 ? "stdin" : slash ? slash + 1 : input;
    size_t n = strlen(p->stem);
    if (n > 5 && strcmp(p->stem + n - 5, ".tess") == 0) n -= 5;
    p->stem_bytes = n < 200 ? (int)n : 200;
    p->digits = 5;
    for (uint64_t most = 100000; p->parts > most; most *= 10)
        p->digits++;
}

static tsr_status name_part(split *p, uint64_t part) {
    free(p->path);
    if (asprintf(&p->path, "%s/%.*s-%0*llu.tess", p->folder, p->stem_bytes, p->stem, p->digits,
                 (unsigned long long)part) >= 0)
        return TSR_OK;
    p->path = NULL;
    return tsr_fail(p->ctx, TSR_ERROR_MEMORY, "%s: no memory for the name of a part", p->folder);
}

/* The first item of a part; of the part behind the last, the number of items. */
static uint64_t first_item(const split *p, uint64_t part) {
    if (!p->settings->items)
        return p->items / p->parts * part +
               (part < p->items % p->parts ? part : p->items % p->parts);
    return part == p->parts ? p->items : part * p->settings->items;
}

static tsr_status plan_parts(split *p, const char *input) {
    const uint64_t each = p->settings->items;
    p->items = tsr_token_file_properties(p->file)->items;
    p->parts = p->settings->parts;
    if (each) p->parts = p->items ? (p->items - 1) / each + 1 : 1;
    if ((!each && p->parts > (p->items ? p->items : 1)) || p->parts > PARTS_MOST)
        return tsr_fail(p->ctx, TSR_ERROR_ARGUMENT, "%s: parts: wanted at most %llu, got %llu",
                        input, (unsigned long long)(p->items < PARTS_MOST ? p->items : PARTS_MOST),
                        (unsigned long long)p->parts);
    name_stem(p, input);
    /* All names before the first byte. */
    tsr_status s = TSR_OK;
    for (uint64_t i = 0; i < p->parts && !s; ++i) {
        s = name_part(p, i);
        if (!s) s = tsr_out_check(p->ctx, p->path);
        if (!s) s = tsr_out_not_input(p->ctx, p->path, input);
    }
    if (!s && mkdir(p->folder, 0777) != 0 && errno != EEXIST)
        s = tsr_fail_errno(p->ctx, "%s: make the folder", p->folder);
    struct stat st;
    if (!s && stat(p->folder, &st) == 0 && !S_ISDIR(st.st_mode))
        s = tsr_fail(p->ctx, TSR_ERROR_IO, "%s: wanted a folder, got a file", p->folder);
    return s;
}

static tsr_status write_part(split *p, uint64_t part) {
    tsr_token_writer *writer;
    tsr_token_cutter memory = {0};
    tsr_token_writer_settings writing = *tsr_token_file_settings(p->file);
    uint32_t count = 0;
    const tsr_attribute *list = tsr_token_file_attributes(p->file, &count);
    writing.key_index |= p->settings->key_index;
    tsr_status s = name_part(p, part);
    if (!s)
        s = tsr_token_writer_open(p->ctx, &writer, p->path, tsr_token_file_header(p->file),
                                  &writing);
    if (s) return s;
    s = tsr_token_writer_attributes(writer, list, count);
    const uint64_t end = first_item(p, part + 1);
    const char *key;
    for (uint64_t i = first_item(p, part); i < end && !s; ++i) {
        s = report_progress(p->ctx, p->settings, "split", i, p->items);
        if (!s)
            s = tsr_token_file_copy_item(p->file, i, writer, &memory, &p->all, &p->copied, &key);
    }
    if (!s) s = tsr_token_file_copy_end(&memory, writer);
    tsr_token_cutter_free(&memory);
    if (s == TSR_ERROR_INTERRUPTED)
        s = tsr_fail(p->ctx, s, "%s: stopped: %llu of %llu parts are complete", p->folder,
                     (unsigned long long)part, (unsigned long long)p->parts);
    if (!s) s = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    return s;
}

tsr_status tsr_token_file_split(tsr_context *ctx, const char *input, const char *folder,
                                const tsr_token_shard_settings *settings,
                                tsr_token_shard_report *report) {
    tsr_token_shard_report own;
    if (!report) report = &own;
    *report = (tsr_token_shard_report){0};
    if (!input || !folder || !settings || !*folder)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "split: wanted an input, a folder and settings, got NULL or nothing");
    if (!settings->items == !settings->parts)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "split: wanted the items of a part or the number of parts, got %s",
                        settings->items ? "both" : "neither");
    split p = {.ctx = ctx, .folder = folder, .settings = settings};
    p.all = (tsr_token_cut_settings){.damaged = settings->damaged,
                                     .damaged_user = settings->damaged_user};
    tsr_status s = tsr_token_file_open(ctx, &p.file, input);
    if (s) return s;
    s = plan_parts(&p, input);
    if (!s) tsr_token_file_copy_begin(p.file, &p.all, &p.copied);
    for (uint64_t i = 0; i < p.parts && !s; ++i) {
        s = write_part(&p, i);
        if (!s) report->files++;
    }
    add_report(report, &p.copied);
    tsr_token_file_close(&p.file);
    free(p.path);
    return damaged_or(ctx, s, report);
}
