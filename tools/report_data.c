/* SPDX-License-Identifier: MIT */
/* report_data.c: see report_data.h. */
#include "report_data.h"
#include "report_fields.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char schema[] = "tessera.report/1";

/* ---- metrics ---- */

static void read_metric(fields *f, const cJSON *v, report_metric *m) {
    m->name = fields_text(f, v, "name", NULL, true);
    if (m->name && !*m->name) fields_wrong(f, "name", "wanted a name, got an empty text");
    m->label = fields_text(f, v, "label", m->name, false);
    m->unit = fields_text(f, v, "unit", "", false);
    m->protocol = fields_text(f, v, "protocol", "", false);
    m->source = fields_text(f, v, "source", "", false);
    const char *better = fields_text(f, v, "better", NULL, true);
    m->lower = better && !strcmp(better, "lower");
    if (better && !m->lower && strcmp(better, "higher"))
        fields_wrong(f, "better", "wanted \"higher\" or \"lower\", got \"%.40s\"", better);
    const char *scope = fields_text(f, v, "scope", "picture", false);
    m->set = !strcmp(scope, "set");
    if (!m->set && strcmp(scope, "picture"))
        fields_wrong(f, "scope", "wanted \"picture\" or \"set\", got \"%.40s\"", scope);
    const cJSON *weights = fields_object(f, v, "weights", false);
    if (!weights) return;
    const size_t mark = fields_into(f, "weights", -1);
    m->weights_name = fields_text(f, weights, "name", "", false);
    m->weights_hash = fields_text(f, weights, "hash", "", false);
    m->weights_licence = fields_text(f, weights, "licence", "", false);
    fields_back(f, mark);
}

static void read_metrics(fields *f, report_data *r) {
    const cJSON *array = fields_array(f, r->document, "metrics", REPORT_METRICS, true), *v;
    if (!array) return;
    const size_t mark = fields_into(f, "metrics", -1);
    cJSON_ArrayForEach(v, array) {
        const int i = r->metric_count++;
        const size_t element = fields_into(f, "", i);
        if (!cJSON_IsObject(v))
            fields_wrong(f, "", "wanted an object");
        else
            read_metric(f, v, &r->metrics[i]);
        for (int k = 0; k < i && !*f->error; ++k)
            if (!strcmp(r->metrics[k].name, r->metrics[i].name))
                fields_wrong(f, "name", "the name \"%.60s\" comes twice", r->metrics[i].name);
        fields_back(f, element);
        if (*f->error) break;
    }
    fields_back(f, mark);
}

/* ---- candidates ---- */

static void read_summary(fields *f, const cJSON *v, bool set, report_summary *s) {
    s->known = true;
    s->mean = fields_real(f, v, set ? "value" : "mean", true);
    s->sd = fields_real(f, v, "sd", true);
    s->low = fields_real(f, v, "low", true);
    s->high = fields_real(f, v, "high", true);
    s->count = fields_count(f, v, "count", 0);
    s->missing = fields_count(f, v, "missing", 0);
    s->why = fields_text(f, v, "why", NULL, false);
    if (!s->why) s->why = fields_text(f, v, "warning", NULL, false);
    s->worst = NAN;
    const cJSON *worst = fields_object(f, v, "worst", false);
    if (!worst) return;
    const size_t mark = fields_into(f, "worst", -1);
    s->worst_picture = fields_text(f, worst, "picture", NULL, false);
    s->worst = fields_real(f, worst, "value", true);
    fields_back(f, mark);
}

static void read_summaries(fields *f, const cJSON *v, const report_data *r, report_candidate *c) {
    c->summary = fields_room(f, r->metric_count, sizeof *c->summary);
    if (!c->summary) return;
    static const char *const keys[] = {"summary", "sets"};
    for (int i = 0; i < r->metric_count; ++i)
        c->summary[i].mean = c->summary[i].sd = c->summary[i].low = c->summary[i].high =
            c->summary[i].worst = NAN;
    for (int set = 0; set < 2; ++set) {
        const cJSON *all = fields_object(f, v, keys[set], false);
        if (!all) continue;
        const size_t mark = fields_into(f, keys[set], -1);
        for (int i = 0; i < r->metric_count; ++i) {
            const report_metric *m = &r->metrics[i];
            const cJSON *one = m->set == (set == 1) ? fields_object(f, all, m->name, false) : NULL;
            if (!one) continue;
            const size_t inner = fields_into(f, m->name, -1);
            read_summary(f, one, m->set, &c->summary[i]);
            fields_back(f, inner);
        }
        fields_back(f, mark);
    }
}

/* "key", "key_low" and "key_high", which older reports lack. */
static report_mean read_mean(fields *f, const cJSON *v, const char *key) {
    char low[32], high[32];
    snprintf(low, sizeof low, "%s_low", key);
    snprintf(high, sizeof high, "%s_high", key);
    return (report_mean){fields_real(f, v, key, false), fields_real(f, v, low, false),
                         fields_real(f, v, high, false)};
}

static void read_bins(fields *f, const cJSON *v, const char *first, const char *second,
                      report_bins *bins) {
    const cJSON *array = fields_array(f, v, "bins", REPORT_BINS, false), *one;
    if (!array) return;
    bins->at = fields_room(f, cJSON_GetArraySize(array), sizeof *bins->at);
    if (!bins->at) return;
    const size_t mark = fields_into(f, "bins", -1);
    cJSON_ArrayForEach(one, array) {
        report_bin *b = &bins->at[bins->count];
        const size_t element = fields_into(f, "", bins->count++);
        b->low = fields_real(f, one, "low", false);
        b->high = fields_real(f, one, "high", false);
        b->count = fields_count(f, one, "count", 0);
        b->first = read_mean(f, one, first);
        b->second = second ? read_mean(f, one, second) : (report_mean){NAN, NAN, NAN};
        if (!cJSON_IsObject(one) || isnan(b->low))
            fields_wrong(f, "", "wanted an object with low, high and count");
        fields_back(f, element);
    }
    fields_back(f, mark);
}

static void read_codes(fields *f, const cJSON *v, report_codes *c) {
    c->known = true;
    c->codebook = fields_count(f, v, "codebook", 0);
    c->used = fields_count(f, v, "used", 0);
    c->perplexity = fields_real(f, v, "perplexity", false);
    c->entropy_bits = fields_real(f, v, "entropy_bits", false);
    c->bits_by_position = fields_reals(f, v, "bits_by_position", 1 << 20, &c->positions);
    c->histogram = fields_reals(f, v, "histogram", REPORT_BINS, &c->codes);
}

/* What was measured of texts, faces and codes. */
static void read_parts(fields *f, const cJSON *v, report_candidate *c) {
    const cJSON *part = fields_object(f, v, "codes", false);
    size_t mark = fields_into(f, "codes", -1);
    if (part) read_codes(f, part, &c->codes);
    fields_back(f, mark);
    part = fields_object(f, v, "text", false);
    mark = fields_into(f, "text", -1);
    c->text.known = part != NULL;
    c->text.reader = fields_text(f, part, "reader", "", false);
    c->text.t_acc = read_mean(f, part, "t_acc");
    c->text.t_ned = read_mean(f, part, "t_ned");
    c->text.cer = fields_real(f, part, "cer", false);
    c->text.wer = fields_real(f, part, "wer", false);
    c->text.words = fields_count(f, part, "words", 0);
    if (part) read_bins(f, part, "t_acc", "t_ned", &c->text.bins);
    fields_back(f, mark);
    part = fields_object(f, v, "faces", false);
    mark = fields_into(f, "faces", -1);
    c->faces.known = part != NULL;
    c->faces.embedder = fields_text(f, part, "embedder", "", false);
    c->faces.f_sim = read_mean(f, part, "f_sim");
    c->faces.count = fields_count(f, part, "count", 0);
    if (part) read_bins(f, part, "f_sim", NULL, &c->faces.bins);
    fields_back(f, mark);
}

static const cJSON *read_command(fields *f, const cJSON *v) {
    const cJSON *array = fields_array(f, v, "command", 4096, false), *word;
    cJSON_ArrayForEach(word, array) {
        if (!cJSON_IsString(word)) fields_wrong(f, "command", "wanted texts");
    }
    return array;
}

static void read_candidate(fields *f, const cJSON *v, const report_data *r, report_candidate *c) {
    static const char *const kinds[] = {"tokenizer", "anchor", "files"};
    c->name = fields_text(f, v, "name", NULL, true);
    c->series = fields_text(f, v, "series", c->name, false);
    const char *kind = fields_text(f, v, "kind", "files", false);
    int i = 0;
    while (i < 3 && strcmp(kind, kinds[i]))
        ++i;
    if (i == 3)
        fields_wrong(f, "kind", "wanted \"tokenizer\", \"anchor\" or \"files\", got \"%.40s\"",
                     kind);
    c->kind = i < 3 ? (report_kind)i : REPORT_FILES;
    const cJSON *model = fields_object(f, v, "model", false);
    size_t mark = fields_into(f, "model", -1);
    c->model_name = fields_text(f, model, "name", NULL, false);
    c->model_hash = fields_text(f, model, "hash", NULL, false);
    c->precision = fields_text(f, model, "precision", NULL, false);
    fields_back(f, mark);
    c->parameters = fields_object(f, v, "parameters", false);
    c->command = read_command(f, v);
    const cJSON *cost = fields_object(f, v, "cost", false);
    mark = fields_into(f, "cost", -1);
    c->tokens = fields_real(f, cost, "tokens", false);
    c->bytes = fields_real(f, cost, "bytes", false);
    c->bits_per_pixel = fields_real(f, cost, "bits_per_pixel", false);
    c->encode_seconds = fields_real(f, cost, "encode_seconds", false);
    c->decode_seconds = fields_real(f, cost, "decode_seconds", false);
    fields_back(f, mark);
    const cJSON *counts = fields_object(f, v, "counts", false);
    mark = fields_into(f, "counts", -1);
    c->compared = fields_count(f, counts, "compared", 0);
    c->floored = fields_count(f, counts, "floored", 0);
    fields_back(f, mark);
    read_summaries(f, v, r, c);
    read_parts(f, v, c);
}

static void read_candidates(fields *f, report_data *r) {
    const cJSON *array = fields_array(f, r->document, "candidates", REPORT_CANDIDATES, true), *v;
    if (!array || *f->error) return;
    r->candidates = fields_room(f, cJSON_GetArraySize(array), sizeof *r->candidates);
    if (!r->candidates) return;
    const size_t mark = fields_into(f, "candidates", -1);
    cJSON_ArrayForEach(v, array) {
        const size_t element = fields_into(f, "", r->candidate_count);
        if (!cJSON_IsObject(v))
            fields_wrong(f, "", "wanted an object");
        else
            read_candidate(f, v, r, &r->candidates[r->candidate_count++]);
        fields_back(f, element);
        if (*f->error) break;
    }
    fields_back(f, mark);
}

/* ---- pictures ---- */

static void read_cell(fields *f, const cJSON *v, const report_data *r, report_cell *c) {
    const int64_t candidate = fields_count(f, v, "candidate", -1);
    if (candidate < 0 || candidate >= r->candidate_count) {
        fields_wrong(f, "candidate", "wanted one of %d candidates, got %lld", r->candidate_count,
                     (long long)candidate);
        return;
    }
    c->candidate = (int)candidate;
    c->status = fields_text(f, v, "status", "ok", false);
    c->file = fields_text(f, v, "file", NULL, false);
    c->tokens = fields_real(f, v, "tokens", false);
    c->bytes = fields_real(f, v, "bytes", false);
    c->values = v;
    for (int i = 0; i < r->metric_count; ++i)
        if (!r->metrics[i].set) fields_real(f, v, r->metrics[i].name, true);
}

static void read_picture(fields *f, const cJSON *v, const report_data *r, report_picture *p) {
    p->name = fields_text(f, v, "name", NULL, true);
    p->file = fields_text(f, v, "file", NULL, false);
    const int64_t width = fields_count(f, v, "width", 0), height = fields_count(f, v, "height", 0);
    if (width > 1 << 24 || height > 1 << 24)
        fields_wrong(f, "width", "wanted sides of at most 2^24 pixels");
    else {
        p->width = (int)width;
        p->height = (int)height;
    }
    const cJSON *array = fields_array(f, v, "values", REPORT_CANDIDATES, false), *one;
    if (!array || *f->error) return;
    p->cells = fields_room(f, cJSON_GetArraySize(array), sizeof *p->cells);
    if (!p->cells) return;
    const size_t mark = fields_into(f, "values", -1);
    cJSON_ArrayForEach(one, array) {
        const size_t element = fields_into(f, "", p->count);
        if (!cJSON_IsObject(one))
            fields_wrong(f, "", "wanted an object");
        else
            read_cell(f, one, r, &p->cells[p->count++]);
        fields_back(f, element);
        if (*f->error) break;
    }
    fields_back(f, mark);
}

static void read_pictures(fields *f, report_data *r) {
    const cJSON *array = fields_array(f, r->document, "pictures", 1 << 24, false), *v;
    if (!array || *f->error) return;
    r->pictures = fields_room(f, cJSON_GetArraySize(array), sizeof *r->pictures);
    if (!r->pictures) return;
    const size_t mark = fields_into(f, "pictures", -1);
    cJSON_ArrayForEach(v, array) {
        const size_t element = fields_into(f, "", r->picture_count);
        if (!cJSON_IsObject(v))
            fields_wrong(f, "", "wanted an object");
        else
            read_picture(f, v, r, &r->pictures[r->picture_count++]);
        fields_back(f, element);
        if (*f->error) break;
    }
    fields_back(f, mark);
}

/* ---- the document ---- */

static void read_document(fields *f, report_data *r) {
    const cJSON *d = r->document;
    const char *got = fields_text(f, d, "schema", NULL, true);
    if (!*f->error && strcmp(got, schema))
        fields_wrong(f, "schema", "wanted \"%s\", got \"%.60s\"", schema, got);
    r->program = fields_text(f, d, "program", "tessera", false);
    r->created = fields_text(f, d, "created", "", false);
    r->device = fields_text(f, d, "device", "", false);
    r->fitted = fields_text(f, d, "at", "", false);
    r->command = read_command(f, d);
    r->threads = fields_count(f, d, "threads", -1);
    r->seed = fields_real(f, d, "seed", false);
    const cJSON *originals = fields_object(f, d, "originals", false);
    const size_t mark = fields_into(f, "originals", -1);
    r->originals = fields_text(f, originals, "path", "", false);
    r->originals_hash = fields_text(f, originals, "hash", "", false);
    r->originals_count = fields_count(f, originals, "count", -1);
    fields_back(f, mark);
    if (!*f->error) read_metrics(f, r);
    if (!*f->error) read_candidates(f, r);
    if (!*f->error) read_pictures(f, r);
}

report_data *report_data_read(const void *bytes, size_t size, char *error, size_t error_size) {
    fields f = {.at = ""};
    report_data *r = size > REPORT_MOST_BYTES ? NULL : calloc(1, sizeof *r);
    if (!r) {
        snprintf(error, error_size, "%s",
                 size > REPORT_MOST_BYTES ? "the document has more than 256 MiB" : "no memory");
        return NULL;
    }
    const char *end = NULL;
    r->document = cJSON_ParseWithLengthOpts(bytes, size, &end, false);
    if (!r->document) {
        const size_t at = end ? (size_t)(end - (const char *)bytes) : 0;
        snprintf(error, error_size, "no JSON from byte %zu of %zu on%s", at, size,
                 at + 1 >= size ? ": it ends in the middle" : "");
    } else if (!cJSON_IsObject(r->document)) {
        snprintf(error, error_size, "the document: wanted an object");
    } else {
        read_document(&f, r);
        if (!*f.error) return r;
        snprintf(error, error_size, "%s", f.error);
    }
    report_data_free(r);
    return NULL;
}

void report_data_free(report_data *r) {
    if (!r) return;
    for (int i = 0; i < r->candidate_count; ++i) {
        report_candidate *c = &r->candidates[i];
        free(c->summary);
        free(c->codes.bits_by_position);
        free(c->codes.histogram);
        free(c->text.bins.at);
        free(c->faces.bins.at);
    }
    free(r->candidates);
    for (int i = 0; i < r->picture_count; ++i)
        free(r->pictures[i].cells);
    free(r->pictures);
    cJSON_Delete(r->document);
    free(r);
}

double report_cell_value(const report_cell *cell, const char *metric) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(cell->values, metric);
    if (cJSON_IsNumber(v)) return v->valuedouble;
    return cJSON_IsString(v) && !strcmp(v->valuestring, "inf") ? INFINITY : NAN;
}

const report_cell *report_picture_cell(const report_picture *p, int candidate) {
    for (int i = 0; i < p->count; ++i)
        if (p->cells[i].candidate == candidate) return &p->cells[i];
    return NULL;
}
