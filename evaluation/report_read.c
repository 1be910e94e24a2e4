/* SPDX-License-Identifier: MIT */
/* report_read.c: reports from their JSON, which may come from anybody. Members that are not known
 * are passed over, and so are metrics that this build lacks. */
#include "report.h"
#include "../formats/file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CANDIDATES = 4096, MOST_DEPTH_TEXT = 200 };
static const size_t most_bytes = (size_t)1 << 30;

typedef struct reader {
    tsr_context *ctx;
    const char *name;
    tsr_report *report;
} reader;

static tsr_status wrong(const reader *r, const char *member, const char *wanted) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %s, got something else", r->name,
                    member, wanted);
}

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_in(const cJSON *object, const char *key, const char *fallback) {
    const cJSON *v = member(object, key);
    return cJSON_IsString(v) ? v->valuestring : fallback;
}

/* NaN for null and for what is no number. */
static double number_in(const cJSON *object, const char *key) {
    const cJSON *v = member(object, key);
    if (cJSON_IsString(v) && !strcmp(v->valuestring, "inf")) return INFINITY;
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static uint64_t count_in(const cJSON *object, const char *key) {
    const double v = number_in(object, key);
    return v >= 0 && v < 9007199254740992.0 ? (uint64_t)v : 0;
}

static uint64_t hash_in(const cJSON *object, const char *key) {
    return strtoull(text_in(object, key, "0"), NULL, 16);
}

/* ---- a candidate ---- */

static void read_fit(tsr_measurement *m, const cJSON *fit) {
    static const char *const fits[] = {"crop", "pad", "stretch", "tile"};
    tsr_token_header *h = &m->header;
    unsigned colour = 0xffffff;
    (void)sscanf(text_in(fit, "background", "ffffff"), "%6x", &colour);
    for (int i = 0; i < 4; ++i)
        if (!strcmp(text_in(fit, "mode", ""), fits[i])) h->fit = (tsr_fit)(i + 1);
    h->filter = count_in(fit, "filter") <= 2 ? (uint32_t)count_in(fit, "filter") : 2;
    const uint64_t width = count_in(fit, "tile_width"), height = count_in(fit, "tile_height");
    const uint64_t numbers = count_in(fit, "numbers_of_a_token");
    if (width < 1 || width > 65536 || height < 1 || height > 65536 || !h->fit) return;
    h->tile_width = (uint32_t)width;
    h->tile_height = (uint32_t)height;
    for (int i = 0; i < 3; ++i)
        h->background[i] = (uint8_t)(colour >> (16 - 8 * i));
    m->numbers = numbers >= 1 && numbers <= 65536 ? (uint32_t)numbers : 1;
    m->has_header = true;
}

/* Metrics of a candidate: the members of "summary" and "sets" that this build knows. */
static int known_metrics(const cJSON *candidate, const tsr_metric **list, int most) {
    static const char *const parts[] = {"summary", "sets"};
    int n = 0;
    for (int part = 0; part < 2; ++part) {
        const cJSON *object = member(candidate, parts[part]);
        for (const cJSON *e = cJSON_IsObject(object) ? object->child : NULL; e; e = e->next) {
            const tsr_metric *metric = tsr_metric_named(e->string);
            bool twice = false;
            for (int i = 0; i < n; ++i)
                twice = twice || list[i] == metric;
            if (metric && !twice && metric->info.set == part && n < most) list[n++] = metric;
        }
    }
    return n;
}

static void read_numbers(tsr_measurement *m, const cJSON *candidate, const cJSON *metrics) {
    const cJSON *summary = member(candidate, "summary"), *sets = member(candidate, "sets");
    for (int k = 0; k < m->metric_count; ++k) {
        const char *name = m->metrics[k]->info.name;
        const cJSON *s = member(m->metrics[k]->info.set ? sets : summary, name);
        if (m->metrics[k]->info.set) {
            m->sets[k].value = number_in(s, "value");
            m->sets[k].count = count_in(s, "count");
            snprintf(m->sets[k].warning, sizeof m->sets[k].warning, "%s",
                     text_in(s, "warning", ""));
        } else {
            m->summaries[k] = (tsr_summary){.mean = number_in(s, "mean"),
                                            .sd = number_in(s, "sd"),
                                            .low = number_in(s, "low"),
                                            .high = number_in(s, "high"),
                                            .count = count_in(s, "count"),
                                            .infinite = count_in(s, "infinite"),
                                            .missing = count_in(s, "missing"),
                                            .worst_value = number_in(member(s, "worst"), "value")};
        }
        const cJSON *e;
        cJSON_ArrayForEach(e, metrics) {
            const cJSON *w = member(e, "weights");
            if (!w || strcmp(text_in(e, "name", ""), name)) continue;
            snprintf(m->models[k].name, sizeof m->models[k].name, "%s", text_in(w, "name", ""));
            snprintf(m->models[k].licence, sizeof m->models[k].licence, "%s",
                     text_in(w, "licence", ""));
            m->models[k].hash = hash_in(w, "hash");
        }
    }
}

static tsr_status read_texts(const reader *r, tsr_measurement *m, const cJSON *o) {
    const cJSON *model = member(o, "model"), *parameters = member(o, "parameters");
    const cJSON *cost = member(o, "cost");
    m->at = !strcmp(text_in(parameters, "at", ""), "original") ? TSR_AT_ORIGINAL : TSR_AT_FITTED;
    m->first_tokens = (uint32_t)(count_in(parameters, "tokens") & UINT32_MAX);
    m->seed = count_in(parameters, "bootstrap_seed");
    m->resamples = (uint32_t)(count_in(parameters, "bootstrap_resamples") & UINT32_MAX);
    m->model_hash = hash_in(model, "hash");
    m->encode_seconds = number_in(cost, "encode_seconds");
    m->decode_seconds = number_in(cost, "decode_seconds");
    const cJSON *fit = member(parameters, "fit");
    if (cJSON_IsObject(fit)) read_fit(m, fit);
    tsr_status status = tsr_copy_text(r->ctx, text_in(o, "name", ""), &m->name);
    if (!status) status = tsr_copy_text(r->ctx, text_in(o, "series", ""), &m->series);
    if (!status) status = tsr_copy_text(r->ctx, text_in(o, "kind", "files"), &m->kind);
    if (!status) status = tsr_copy_text(r->ctx, text_in(model, "name", ""), &m->model);
    if (!status) status = tsr_copy_text(r->ctx, text_in(model, "precision", ""), &m->precision);
    if (!status) status = tsr_copy_text(r->ctx, text_in(model, "device", ""), &m->device);
    return status;
}

/* ---- pictures ---- */

static tsr_status status_named(const char *name) {
    for (int s = 1; s < 100; ++s)
        if (!strcmp(tsr_status_name((tsr_status)s), name)) return (tsr_status)s;
    return TSR_ERROR_FORMAT;
}

static int side_in(const cJSON *o, const char *key) {
    const uint64_t v = count_in(o, key);
    return v <= 1 << 28 ? (int)v : 0;
}

static tsr_status read_cell(const reader *r, const char *name, const cJSON *cell,
                            tsr_measurement *m, uint64_t i) {
    tsr_picture_score *p = &m->pictures[i];
    if (p->name) return wrong(r, "pictures: values", "one of each candidate");
    tsr_status status = tsr_copy_text(r->ctx, name, &p->name);
    if (status) return status;
    p->alone = cJSON_IsTrue(member(cell, "alone"));
    if (strcmp(text_in(cell, "status", "ok"), "ok")) {
        p->status = status_named(text_in(cell, "error", ""));
        return tsr_copy_text(r->ctx, text_in(cell, "status", ""), &p->detail);
    }
    p->width = side_in(cell, "width");
    p->height = side_in(cell, "height");
    p->tokens = count_in(cell, "tokens");
    p->bytes = count_in(cell, "bytes");
    p->equal = cJSON_IsTrue(member(cell, "equal"));
    p->floored = cJSON_IsTrue(member(cell, "floored"));
    if (member(cell, "note")) status = tsr_copy_text(r->ctx, text_in(cell, "note", ""), &p->note);
    if (!status && member(cell, "file"))
        status = tsr_copy_text(r->ctx, text_in(cell, "file", ""), &p->file);
    if (!status && member(cell, "original"))
        status = tsr_copy_text(r->ctx, text_in(cell, "original", ""), &p->original);
    for (int k = 0; k < m->metric_count; ++k)
        if (!m->metrics[k]->info.set)
            m->values[i * (uint64_t)m->metric_count + (uint64_t)k] =
                number_in(cell, m->metrics[k]->info.name);
    return status;
}

/* Place of the worst picture, which the document names. */
static void find_worst(tsr_measurement *m, const cJSON *candidate) {
    for (int k = 0; k < m->metric_count; ++k) {
        const cJSON *s = member(member(candidate, "summary"), m->metrics[k]->info.name);
        const char *worst = text_in(member(s, "worst"), "picture", "");
        for (uint64_t i = 0; i < m->count; ++i)
            if (m->pictures[i].name && !strcmp(m->pictures[i].name, worst))
                m->summaries[k].worst = i;
    }
}

/* Pictures of one candidate: the first `originals`, then those that have a cell of it. */
static tsr_status read_pictures(const reader *r, const cJSON *pictures, int candidate,
                                tsr_measurement *m) {
    uint64_t at = 0, alone = m->originals;
    const cJSON *picture, *cell;
    cJSON_ArrayForEach(picture, pictures) {
        cJSON_ArrayForEach(cell, member(picture, "values")) {
            const double number = number_in(cell, "candidate");
            if (number != candidate) continue;
            const uint64_t i = at < m->originals ? at : alone++;
            if (i >= m->count) return wrong(r, "pictures", "one cell of each candidate");
            const tsr_status status = read_cell(r, text_in(picture, "name", ""), cell, m, i);
            if (status) return status;
        }
        at++;
    }
    for (uint64_t i = 0; i < m->count; ++i)
        if (!m->pictures[i].name) return wrong(r, "pictures", "a cell for each candidate");
    return TSR_OK;
}

static uint64_t count_alone(const cJSON *pictures, uint64_t originals, int candidate) {
    uint64_t at = 0, n = 0;
    const cJSON *picture, *cell;
    cJSON_ArrayForEach(picture, pictures) {
        if (at++ < originals) continue;
        cJSON_ArrayForEach(cell, member(picture, "values")) n +=
            number_in(cell, "candidate") == candidate;
    }
    return n;
}

/* Members that something attached, and no other. */
static cJSON *read_extras(const cJSON *o, const char *const *keys, int count) {
    cJSON *extras = NULL;
    for (int i = 0; i < count; ++i) {
        const cJSON *v = member(o, keys[i]);
        if (v && !extras) extras = cJSON_CreateObject();
        if (v && extras) cJSON_AddItemToObject(extras, keys[i], cJSON_Duplicate(v, true));
    }
    return extras;
}

static tsr_status read_candidate(const reader *r, const cJSON *root, const cJSON *o, int index) {
    static const char *const extras[] = {"codes", "text", "faces", "laws"};
    const tsr_metric *metrics[256];
    const cJSON *pictures = member(root, "pictures");
    const uint64_t originals = r->report->originals;
    const int n = known_metrics(o, metrics, 256);
    tsr_measurement *m =
        tsr_measurement_new(r->ctx, originals + count_alone(pictures, originals, index), n);
    if (!m) return TSR_ERROR_MEMORY;
    m->originals = originals;
    for (int k = 0; k < n; ++k)
        m->metrics[k] = metrics[k];
    tsr_status status = read_texts(r, m, o);
    if (!status) read_numbers(m, o, member(root, "metrics"));
    if (!status) status = read_pictures(r, pictures, index, m);
    if (status) {
        tsr_measurement_close(&m);
        return status;
    }
    find_worst(m, o);
    const cJSON *command = member(o, "command");
    return tsr_report_take(r->report, m, command ? cJSON_Duplicate(command, true) : NULL,
                           read_extras(o, extras, 4));
}

/* ---- the document ---- */

static tsr_status read_head(const reader *r, const cJSON *root) {
    tsr_report *report = r->report;
    const cJSON *o = member(root, "originals"), *command = member(root, "command");
    report->hash = hash_in(o, "hash");
    report->originals = count_in(o, "count");
    report->seed = count_in(root, "seed");
    report->threads = (int)(count_in(root, "threads") & 0xffff);
    if (command) report->command = cJSON_Duplicate(command, true);
    tsr_status status = tsr_copy_text(r->ctx, text_in(root, "program", ""), &report->program);
    if (!status) status = tsr_copy_text(r->ctx, text_in(o, "path", ""), &report->path);
    if (!status) status = tsr_copy_text(r->ctx, text_in(root, "created", ""), &report->created);
    if (!status) status = tsr_copy_text(r->ctx, text_in(root, "device", ""), &report->device);
    return status;
}

static tsr_status read_root(reader *r, const cJSON *root) {
    if (!cJSON_IsObject(root)) return wrong(r, "document", "an object of JSON");
    const char *schema = text_in(root, "schema", "");
    if (strcmp(schema, TSR_REPORT_SCHEMA))
        return tsr_fail(r->ctx, TSR_ERROR_VERSION, "%s: schema: wanted %s, got '%.*s'", r->name,
                        TSR_REPORT_SCHEMA, MOST_DEPTH_TEXT, schema);
    const cJSON *candidates = member(root, "candidates"), *pictures = member(root, "pictures");
    if (!cJSON_IsArray(candidates)) return wrong(r, "candidates", "an array");
    if (!cJSON_IsArray(pictures)) return wrong(r, "pictures", "an array");
    r->report = tsr_alloc(r->ctx, 1, sizeof *r->report, "report");
    if (!r->report) return TSR_ERROR_MEMORY;
    r->report->ctx = r->ctx;
    tsr_status status = read_head(r, root);
    if (!status && cJSON_GetArraySize(candidates) > MOST_CANDIDATES)
        status = wrong(r, "candidates", "at most 4096");
    if (!status && candidates->child &&
        r->report->originals > (uint64_t)cJSON_GetArraySize(pictures))
        status = wrong(r, "originals: count", "at most the number of pictures");
    int index = 0;
    for (const cJSON *e = candidates->child; e && !status; e = e->next)
        status = read_candidate(r, root, e, index++);
    return status;
}

tsr_status tsr_report_parse(tsr_context *ctx, const char *name, const char *json, size_t size,
                            tsr_report **report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!name || !json || !report)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "report: wanted an address, got NULL");
    *report = NULL;
    if (size > most_bytes)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %zu bytes, got %zu", name,
                        most_bytes, size);
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(json, size, &end, false);
    if (!root)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted JSON, got something else at byte %zu",
                        name, end ? (size_t)(end - json) : (size_t)0);
    reader r = {.ctx = ctx, .name = name};
    const tsr_status status = read_root(&r, root);
    cJSON_Delete(root);
    if (status)
        tsr_report_close(&r.report);
    else
        *report = r.report;
    return status;
}

tsr_status tsr_report_read(tsr_context *ctx, const char *path, tsr_report **report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !report)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "report: wanted an address, got NULL");
    *report = NULL;
    tsr_map map = {0};
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (!status) status = tsr_report_parse(ctx, path, (const char *)map.bytes, map.size, report);
    tsr_map_close(&map);
    return status;
}
