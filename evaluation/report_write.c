/* SPDX-License-Identifier: MIT */
/* report_write.c: a report as JSON (docs/EVALUATION.md) and as tables of comma-separated values. */
#include "report.h"
#include "../formats/json_text.h"
#include "../formats/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is being built; the first failure stays. */
typedef struct builder {
    bool failed;
} builder;

static cJSON *keep(builder *b, cJSON *added) {
    if (!added) b->failed = true;
    return added;
}

/* Bytes that are not UTF-8, which names of files may hold, become U+FFFD. */
static void put_text(builder *b, cJSON *to, const char *key, const char *text) {
    size_t bad, size = strlen(text), used = 0;
    if (tsr_utf8_valid(text, size, NULL)) {
        keep(b, cJSON_AddStringToObject(to, key, text));
        return;
    }
    char *clean = malloc(3 * size + 1);
    for (const char *p = text; clean && size;) {
        const bool valid = tsr_utf8_valid(p, size, &bad);
        const size_t good = valid ? size : bad;
        memcpy(clean + used, p, good);
        used += good;
        if (!valid) used += tsr_utf8_put(0xFFFD, clean + used);
        p += good + !valid;
        size -= good + !valid;
    }
    if (clean) clean[used] = 0;
    keep(b, clean ? cJSON_AddStringToObject(to, key, clean) : NULL);
    free(clean);
}

static void put_number(builder *b, cJSON *to, const char *key, double value) {
    keep(b, isnan(value)   ? cJSON_AddNullToObject(to, key)
            : isinf(value) ? cJSON_AddStringToObject(to, key, value > 0 ? "inf" : "-inf")
                           : cJSON_AddNumberToObject(to, key, value));
}

static void put_count(builder *b, cJSON *to, const char *key, uint64_t value) {
    keep(b, cJSON_AddNumberToObject(to, key, (double)value));
}

static void put_hash(builder *b, cJSON *to, const char *key, uint64_t hash) {
    char text[24];
    snprintf(text, sizeof text, "%016" PRIx64, hash);
    put_text(b, to, key, text);
}

static void put_copy(builder *b, cJSON *to, const char *key, const cJSON *value) {
    cJSON *copy = value ? keep(b, cJSON_Duplicate(value, true)) : NULL;
    if (copy) keep(b, cJSON_AddItemToObject(to, key, copy) ? copy : NULL);
}

static void put_all(builder *b, cJSON *to, const cJSON *object) {
    for (const cJSON *e = object ? object->child : NULL; e; e = e->next)
        put_copy(b, to, e->string, e);
}

static cJSON *object_in(builder *b, cJSON *array) {
    cJSON *o = keep(b, cJSON_CreateObject());
    if (o) cJSON_AddItemToArray(array, o);
    return o;
}

/* ---- parts of the document ---- */

static bool known(const tsr_report *r, int before, const tsr_metric *metric) {
    for (int i = 0; i < before; ++i)
        if (tsr_measurement_metric(r->candidates[i].m, metric->info.name) >= 0) return true;
    return false;
}

static void put_metrics(builder *b, cJSON *root, const tsr_report *r) {
    cJSON *list = keep(b, cJSON_AddArrayToObject(root, "metrics"));
    for (int i = 0; i < r->count && list; ++i) {
        const tsr_measurement *m = r->candidates[i].m;
        for (int k = 0; k < m->metric_count; ++k) {
            const tsr_metric_info *info = &m->metrics[k]->info;
            cJSON *o = known(r, i, m->metrics[k]) ? NULL : object_in(b, list);
            if (!o) continue;
            put_text(b, o, "name", info->name);
            put_text(b, o, "label", info->label);
            put_text(b, o, "unit", info->unit);
            put_text(b, o, "better", info->higher ? "higher" : "lower");
            put_text(b, o, "scope", info->set ? "set" : "picture");
            put_text(b, o, "protocol", info->protocol);
            put_text(b, o, "source", info->source);
            cJSON *w = *m->models[k].name ? keep(b, cJSON_AddObjectToObject(o, "weights")) : NULL;
            if (!w) continue;
            put_text(b, w, "name", m->models[k].name);
            put_hash(b, w, "hash", m->models[k].hash);
            put_text(b, w, "licence", m->models[k].licence);
        }
    }
}

/* Why a candidate has no mean: why its pictures have no number, or why none was compared. */
static void put_why(builder *b, cJSON *o, const tsr_measurement *m, const char *why) {
    char text[900] = "no picture was compared";
    for (uint64_t i = 0; i < m->count && !*why; ++i) {
        const tsr_picture_score *p = &m->pictures[i];
        if (!p->status) continue;
        snprintf(text, sizeof text, "no picture was compared; %.200s: %.600s", p->name,
                 p->detail ? p->detail : tsr_status_text(p->status));
        break;
    }
    put_text(b, o, "why", *why ? why : text);
}

static void put_summary(builder *b, cJSON *to, const tsr_measurement *m, int k) {
    const tsr_summary *s = &m->summaries[k];
    cJSON *o = keep(b, cJSON_AddObjectToObject(to, m->metrics[k]->info.name));
    if (!o) return;
    put_number(b, o, "mean", s->mean);
    put_number(b, o, "sd", s->sd);
    put_number(b, o, "low", s->low);
    put_number(b, o, "high", s->high);
    put_count(b, o, "count", s->count);
    put_count(b, o, "infinite", s->infinite);
    put_count(b, o, "missing", s->missing);
    if (isnan(s->worst_value)) {
        const char *why = "";
        for (uint64_t i = 0; i < m->count && !*why; ++i)
            if (!m->pictures[i].status)
                (void)tsr_measurement_value(m, m->metrics[k]->info.name, i, &why);
        put_why(b, o, m, why);
        return;
    }
    cJSON *worst = keep(b, cJSON_AddObjectToObject(o, "worst"));
    if (!worst) return;
    put_text(b, worst, "picture", m->pictures[s->worst].name);
    put_number(b, worst, "value", s->worst_value);
}

static void put_sets(builder *b, cJSON *o, const tsr_measurement *m) {
    cJSON *sets = NULL;
    for (int k = 0; k < m->metric_count; ++k) {
        if (!m->metrics[k]->info.set) continue;
        if (!sets) sets = keep(b, cJSON_AddObjectToObject(o, "sets"));
        cJSON *s = sets ? keep(b, cJSON_AddObjectToObject(sets, m->metrics[k]->info.name)) : NULL;
        if (!s) return;
        put_number(b, s, "value", m->sets[k].value);
        put_count(b, s, "count", m->sets[k].count);
        if (*m->sets[k].warning) put_text(b, s, "warning", m->sets[k].warning);
    }
}

/* What an anchor must know of the fit to be fitted likewise. */
static void put_fit(builder *b, cJSON *parameters, const tsr_measurement *m) {
    static const char *const fits[] = {"auto", "crop", "pad", "stretch", "tile"};
    const tsr_token_header *h = &m->header;
    cJSON *o = m->has_header ? keep(b, cJSON_AddObjectToObject(parameters, "fit")) : NULL;
    if (!o) return;
    put_text(b, o, "mode", fits[h->fit]);
    put_count(b, o, "filter", h->filter);
    put_count(b, o, "tile_width", h->tile_width);
    put_count(b, o, "tile_height", h->tile_height);
    char colour[8];
    snprintf(colour, sizeof colour, "%02x%02x%02x", h->background[0], h->background[1],
             h->background[2]);
    put_text(b, o, "background", colour);
    put_count(b, o, "numbers_of_a_token", m->numbers);
}

static void put_candidate(builder *b, cJSON *list, const struct tsr_report_entry *e) {
    tsr_measured about;
    tsr_measurement_about(e->m, &about);
    cJSON *o = object_in(b, list);
    if (!o) return;
    put_text(b, o, "name", about.name);
    put_text(b, o, "kind", about.kind);
    put_text(b, o, "series", about.series);
    cJSON *part = *about.model ? keep(b, cJSON_AddObjectToObject(o, "model")) : NULL;
    if (part) {
        put_text(b, part, "name", about.model);
        if (about.model_hash) put_hash(b, part, "hash", about.model_hash);
        if (*about.precision) put_text(b, part, "precision", about.precision);
        if (*about.device) put_text(b, part, "device", about.device);
    }
    part = keep(b, cJSON_AddObjectToObject(o, "parameters"));
    if (part && about.first_tokens) put_count(b, part, "tokens", about.first_tokens);
    if (part) {
        put_text(b, part, "at", about.at == TSR_AT_ORIGINAL ? "original" : "fitted");
        put_count(b, part, "bootstrap_seed", e->m->seed);
        put_count(b, part, "bootstrap_resamples", e->m->resamples);
        put_fit(b, part, e->m);
    }
    put_copy(b, o, "command", e->command);
    part = keep(b, cJSON_AddObjectToObject(o, "cost"));
    if (part) {
        put_number(b, part, "tokens", about.tokens);
        put_number(b, part, "bytes", about.bytes);
        put_number(b, part, "bits_per_pixel", about.bits_per_pixel);
        put_number(b, part, "encode_seconds", about.encode_seconds);
        put_number(b, part, "decode_seconds", about.decode_seconds);
    }
    part = keep(b, cJSON_AddObjectToObject(o, "counts"));
    if (part) {
        put_count(b, part, "compared", about.compared);
        put_count(b, part, "failed", about.failed);
        put_count(b, part, "alone", about.alone);
        put_count(b, part, "equal", about.equal);
        put_count(b, part, "floored", about.floored);
    }
    part = keep(b, cJSON_AddObjectToObject(o, "summary"));
    for (int k = 0; part && k < e->m->metric_count; ++k)
        if (!e->m->metrics[k]->info.set) put_summary(b, part, e->m, k);
    put_sets(b, o, e->m);
    put_all(b, o, e->extras);
}

static void put_cell(builder *b, cJSON *list, const tsr_measurement *m, int candidate, uint64_t i) {
    const tsr_picture_score *p = &m->pictures[i];
    cJSON *o = object_in(b, list), *whys = NULL;
    if (!o) return;
    put_count(b, o, "candidate", (uint64_t)candidate);
    put_text(b, o, "status", p->status ? p->detail ? p->detail : tsr_status_text(p->status) : "ok");
    if (p->status) {
        put_text(b, o, "error", tsr_status_name(p->status));
        if (p->alone) keep(b, cJSON_AddTrueToObject(o, "alone"));
        return;
    }
    if (p->note) put_text(b, o, "note", p->note);
    put_count(b, o, "width", (uint64_t)p->width);
    put_count(b, o, "height", (uint64_t)p->height);
    for (int k = 0; k < m->metric_count; ++k) {
        const uint64_t at = i * (uint64_t)m->metric_count + (uint64_t)k;
        const char *name = m->metrics[k]->info.name;
        if (m->metrics[k]->info.set) continue;
        put_number(b, o, name, m->values[at]);
        if (!isnan(m->values[at]) || !m->whys[at]) continue;
        if (!whys) whys = keep(b, cJSON_AddObjectToObject(o, "why"));
        if (whys) put_text(b, whys, name, m->whys[at]);
    }
    if (p->tokens) put_count(b, o, "tokens", p->tokens);
    if (p->bytes) put_count(b, o, "bytes", p->bytes);
    if (p->equal) keep(b, cJSON_AddTrueToObject(o, "equal"));
    if (p->floored) keep(b, cJSON_AddTrueToObject(o, "floored"));
    if (p->file) put_text(b, o, "file", p->file);
    if (p->original) put_text(b, o, "original", p->original);
}

/* Size and file of the original, as the first candidate that was compared saw it. */
static void put_picture(builder *b, cJSON *list, const tsr_report *r, uint64_t i) {
    cJSON *o = object_in(b, list);
    if (!o) return;
    put_text(b, o, "name", r->candidates[0].m->pictures[i].name);
    for (int c = 0; c < r->count; ++c) {
        const tsr_picture_score *p = &r->candidates[c].m->pictures[i];
        if (p->status) continue;
        put_count(b, o, "width", (uint64_t)p->width);
        put_count(b, o, "height", (uint64_t)p->height);
        if (p->original) put_text(b, o, "file", p->original);
        break;
    }
    cJSON *values = keep(b, cJSON_AddArrayToObject(o, "values"));
    for (int c = 0; c < r->count && values; ++c)
        put_cell(b, values, r->candidates[c].m, c, i);
}

static void put_pictures(builder *b, cJSON *root, const tsr_report *r) {
    cJSON *list = keep(b, cJSON_AddArrayToObject(root, "pictures"));
    for (uint64_t i = 0; list && r->count && i < r->originals; ++i)
        put_picture(b, list, r, i);
    for (int c = 0; list && c < r->count; ++c) /* without an original */
        for (uint64_t i = r->originals; i < r->candidates[c].m->count; ++i) {
            cJSON *o = object_in(b, list);
            if (!o) return;
            put_text(b, o, "name", r->candidates[c].m->pictures[i].name);
            cJSON *values = keep(b, cJSON_AddArrayToObject(o, "values"));
            if (values) put_cell(b, values, r->candidates[c].m, c, i);
        }
}

tsr_status tsr_report_json(const tsr_report *r, char **json) {
    builder b = {0};
    *json = NULL;
    cJSON *root = keep(&b, cJSON_CreateObject());
    if (root) {
        put_text(&b, root, "schema", TSR_REPORT_SCHEMA);
        put_text(&b, root, "program", r->program);
        put_text(&b, root, "created", r->created);
        put_copy(&b, root, "command", r->command);
        put_text(&b, root, "device", r->device);
        put_count(&b, root, "threads", (uint64_t)r->threads);
        put_count(&b, root, "seed", r->seed);
        cJSON *o = keep(&b, cJSON_AddObjectToObject(root, "originals"));
        if (o) {
            put_text(&b, o, "path", r->path);
            put_count(&b, o, "count", r->originals);
            put_hash(&b, o, "hash", r->hash);
        }
        const bool original = r->count && r->candidates[0].m->at == TSR_AT_ORIGINAL;
        put_text(&b, root, "at", original ? "original" : "fitted");
        put_metrics(&b, root, r);
        o = keep(&b, cJSON_AddArrayToObject(root, "candidates"));
        for (int i = 0; o && i < r->count; ++i)
            put_candidate(&b, o, &r->candidates[i]);
        put_pictures(&b, root, r);
        put_all(&b, root, r->extras);
    }
    char *text = b.failed ? NULL : cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    tsr_bytes bytes = {0};
    if (text) tsr_json_put_laid_out(&bytes, text);
    cJSON_free(text);
    tsr_bytes_put(&bytes, "\n", 2); /* and the zero */
    if (text && !bytes.failed) {
        *json = (char *)bytes.at;
        return TSR_OK;
    }
    tsr_bytes_free(&bytes);
    return tsr_fail(r->ctx, TSR_ERROR_MEMORY, "report: no memory for the document");
}

/* ---- tables ---- */

static void csv_text(FILE *f, const char *text, const char *after) {
    fputc('"', f);
    for (const char *c = text; *c; ++c) {
        if (*c == '"') fputc('"', f);
        fputc(*c, f);
    }
    fprintf(f, "\"%s", after);
}

static void csv_number(FILE *f, double value) {
    if (isnan(value))
        fputc(',', f);
    else
        fprintf(f, ",%.9g", value);
}

/* Metrics of all candidates, in the order in which they were met. */
static int all_metrics(const tsr_report *r, bool sets, const tsr_metric **list, int most) {
    int n = 0;
    for (int i = 0; i < r->count; ++i)
        for (int k = 0; k < r->candidates[i].m->metric_count && n < most; ++k) {
            const tsr_metric *metric = r->candidates[i].m->metrics[k];
            if (metric->info.set == sets && !known(r, i, metric)) list[n++] = metric;
        }
    return n;
}

enum { MOST_METRICS = 256 };

static void csv_candidates(FILE *f, const tsr_report *r) {
    const tsr_metric *metrics[MOST_METRICS], *sets[MOST_METRICS];
    const int n = all_metrics(r, false, metrics, MOST_METRICS);
    const int n_sets = all_metrics(r, true, sets, MOST_METRICS);
    fputs("candidate,kind,series,model,compared,failed,alone,tokens,bytes,bits_per_pixel,"
          "encode_seconds,decode_seconds",
          f);
    for (int k = 0; k < n; ++k) {
        const char *name = metrics[k]->info.name;
        fprintf(f, ",%s,%s_sd,%s_low,%s_high,%s_count", name, name, name, name, name);
    }
    for (int k = 0; k < n_sets; ++k)
        fprintf(f, ",%s", sets[k]->info.name);
    fputc('\n', f);
    for (int i = 0; i < r->count; ++i) {
        const tsr_measurement *m = r->candidates[i].m;
        tsr_measured about;
        tsr_measurement_about(m, &about);
        csv_text(f, about.name, ",");
        fprintf(f, "%s,", about.kind);
        csv_text(f, about.series, ",");
        csv_text(f, about.model, ",");
        fprintf(f, "%" PRIu64 ",%" PRIu64 ",%" PRIu64, about.compared, about.failed, about.alone);
        csv_number(f, about.tokens);
        csv_number(f, about.bytes);
        csv_number(f, about.bits_per_pixel);
        csv_number(f, about.encode_seconds);
        csv_number(f, about.decode_seconds);
        for (int k = 0; k < n; ++k) {
            tsr_summary s = {.mean = NAN, .sd = NAN, .low = NAN, .high = NAN};
            (void)tsr_measurement_summary(m, metrics[k]->info.name, &s);
            csv_number(f, s.mean);
            csv_number(f, s.sd);
            csv_number(f, s.low);
            csv_number(f, s.high);
            fprintf(f, ",%" PRIu64, s.count);
        }
        for (int k = 0; k < n_sets; ++k) {
            tsr_set_score s = {.value = NAN};
            (void)tsr_measurement_set(m, sets[k]->info.name, &s);
            csv_number(f, s.value);
        }
        fputc('\n', f);
    }
}

static void csv_pictures(FILE *f, const tsr_report *r) {
    const tsr_metric *metrics[MOST_METRICS];
    const int n = all_metrics(r, false, metrics, MOST_METRICS);
    fputs("candidate,picture,status,width,height,tokens,bytes", f);
    for (int k = 0; k < n; ++k)
        fprintf(f, ",%s", metrics[k]->info.name);
    fputc('\n', f);
    for (int i = 0; i < r->count; ++i) {
        const tsr_measurement *m = r->candidates[i].m;
        for (uint64_t p = 0; p < m->count; ++p) {
            tsr_measured_picture picture;
            (void)tsr_measurement_picture(m, p, &picture);
            csv_text(f, m->name, ",");
            csv_text(f, picture.name, ",");
            csv_text(f, picture.status ? picture.detail : "ok", "");
            csv_number(f, picture.status ? NAN : picture.width);
            csv_number(f, picture.status ? NAN : picture.height);
            csv_number(f, picture.tokens ? (double)picture.tokens : NAN);
            csv_number(f, picture.bytes ? (double)picture.bytes : NAN);
            for (int k = 0; k < n; ++k)
                csv_number(f, tsr_measurement_value(m, metrics[k]->info.name, p, NULL));
            fputc('\n', f);
        }
    }
}

tsr_status tsr_report_csv(const tsr_report *r, int pictures, char **csv) {
    size_t size = 0;
    *csv = NULL;
    FILE *f = open_memstream(csv, &size);
    if (f && pictures)
        csv_pictures(f, r);
    else if (f)
        csv_candidates(f, r);
    if (f && !fclose(f)) return TSR_OK;
    free(*csv);
    *csv = NULL;
    return tsr_fail(r->ctx, TSR_ERROR_MEMORY, "report: no memory for a table");
}
