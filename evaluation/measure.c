/* SPDX-License-Identifier: MIT */
/* measure.c: one candidate against all originals, in one pass.
 *
 * Pictures go in groups. Of a group, tokens are decoded first, one item after the other on the
 * caller's thread with all threads inside; then each worker makes whole pairs: it reads the
 * original, fits it, reads or codes the candidate, and takes the plain metrics. Sessions (networks
 * and metrics of sets) see the pairs last, in order, on the caller's thread. What a worker does
 * depends on its picture alone, so no number depends on how many there are. */
#include "candidate.h"
#include "../compute/clock.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP_OF_SESSIONS = 8 }; /* pairs that networks see together at least */

typedef struct job {
    tsr_context *ctx;
    tsr_originals *originals;
    const tsr_candidate *candidate;
    tsr_measure_settings s;
    tsr_measurement *m;
    tsr_picture_set files; /* of a candidate of files */
    bool has_files, has_tokens;
    tsr_token_side tokens;
    const tsr_anchor *anchor;
    void **sessions; /* [metric_count] NULL: a plain metric */
    bool has_sessions;
    tsr_metric_shares shares;
    uint64_t session_pairs;
    int64_t *other; /* [pictures] of the candidate; -1: none */
    tsr_measure_worker *workers;
    int worker_count;
    tsr_pair_slot *slots; /* [group] */
    int group;
    uint64_t first; /* picture of slots[0] */
    double coding, decoding;
} job;

/* ---- which metrics ---- */

static const char *const usual[] = {"psnr", "ssim", "ssim_uniform", "l1"};

static tsr_status open_sessions(job *j) {
    j->sessions = tsr_alloc(j->ctx, (size_t)j->m->metric_count + 1, sizeof *j->sessions, "metrics");
    if (!j->sessions) return TSR_ERROR_MEMORY;
    const tsr_metric_settings settings = {.shares = &j->shares,
                                          .kept = &j->originals->kept_by_metrics,
                                          .pairs = j->m->originals,
                                          .seed = j->m->seed};
    tsr_status status = TSR_OK;
    for (int k = 0; k < j->m->metric_count && !status; ++k) {
        const tsr_metric *metric = j->m->metrics[k];
        if (!metric->open) continue;
        status = tsr_metric_session_open(j->ctx, &j->s, metric, &settings, &j->sessions[k]);
        j->has_sessions = true;
        if (!status && metric->model) metric->model(j->sessions[k], &j->m->models[k]);
    }
    return status;
}

static void close_sessions(job *j) {
    for (int k = 0; j->sessions && k < j->m->metric_count; ++k)
        if (j->sessions[k]) j->m->metrics[k]->close(j->sessions[k]);
    tsr_metric_shares_close(&j->shares);
    free(j->sessions);
}

/* ---- which pictures ---- */

/* A picture of the candidate that no original belongs to, at the end of the measurement. */
static tsr_status name_alone(job *j, uint64_t at, const char *name, tsr_status status,
                             const char *detail) {
    tsr_picture_score *p = &j->m->pictures[at];
    p->status = status;
    p->alone = true;
    const tsr_status copied = tsr_copy_text(j->ctx, name, &p->name);
    return copied ? copied : tsr_copy_text(j->ctx, detail, &p->detail);
}

/* The other side as names: NULL where an item cannot be read. */
static const char *other_name(const job *j, uint64_t i) {
    return j->has_tokens ? j->tokens.keys[i] : j->files.pictures[i].name;
}

/* Pairs both sides by name, makes the measurement with all pictures of either. */
static tsr_status pair_names(job *j, int metric_count) {
    const tsr_picture_set *set = &j->originals->set;
    const uint64_t others = j->has_tokens ? j->tokens.items : j->has_files ? j->files.count : 0;
    const bool single =
        j->has_files && set->count == 1 && j->files.count == 1 && set->single && j->files.single;
    int64_t *of = tsr_alloc(j->ctx, others + 1, sizeof *of, "pairs");
    j->other = tsr_alloc(j->ctx, set->count, sizeof *j->other, "pairs");
    if (!of || !j->other) {
        free(of);
        return TSR_ERROR_MEMORY;
    }
    for (uint64_t i = 0; i < set->count; ++i)
        j->other[i] = j->anchor ? (int64_t)i : -1;
    uint64_t alone = 0;
    for (uint64_t i = 0; i < others; ++i) {
        const char *name = other_name(j, i);
        of[i] = single ? 0 : name ? tsr_picture_set_find(set, name) : -1;
        if (of[i] >= 0 && j->other[of[i]] >= 0) of[i] = -1; /* a second one of that name */
        if (of[i] >= 0)
            j->other[of[i]] = (int64_t)i;
        else
            alone++;
    }
    j->m = tsr_measurement_new(j->ctx, set->count + alone, metric_count);
    tsr_status status = j->m ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) j->m->originals = set->count;
    for (uint64_t i = 0; i < set->count && !status; ++i)
        status = tsr_copy_text(j->ctx, set->pictures[i].name, &j->m->pictures[i].name);
    uint64_t at = set->count;
    for (uint64_t i = 0; i < others && !status; ++i) {
        if (of[i] >= 0) continue;
        char number[48];
        snprintf(number, sizeof number, "item %llu", (unsigned long long)i);
        status = other_name(j, i)
                     ? name_alone(j, at++, other_name(j, i), TSR_ERROR_NOT_FOUND, "no original")
                     : name_alone(j, at++, number, TSR_ERROR_DAMAGED, "damaged in the token file");
    }
    free(of);
    return status;
}

/* ---- one group ---- */

static void slot_free(tsr_pair_slot *slot) {
    tsr_image_free(&slot->original);
    free(slot->rgb);
    *slot = (tsr_pair_slot){0};
}

/* Keeps why a picture has no numbers. */
static void fail_picture(job *j, uint64_t index, tsr_status status, const char *detail) {
    tsr_picture_score *p = &j->m->pictures[index];
    if (p->status) return;
    p->status = status;
    p->detail = strdup(detail);
}

static tsr_status read_pair(job *j, const tsr_measure_worker *w, tsr_pair_slot *slot) {
    const char *name = j->m->pictures[slot->index].name;
    tsr_image_settings settings = tsr_image_settings_default();
    if (j->m->has_header) memcpy(settings.background, j->m->header.background, 3);
    tsr_status status =
        tsr_picture_set_read(w->ctx, &j->originals->set, slot->index, &settings, &slot->original);
    if (!status && j->m->has_header) status = tsr_slot_fit(w, &j->m->header, j->s.at, name, slot);
    if (!status && j->has_files) {
        tsr_image other = {0};
        status = tsr_picture_set_read(w->ctx, &j->files, (uint64_t)slot->other, &settings, &other);
        slot->rgb = other.rgb;
        slot->width = other.width;
        slot->height = other.height;
        slot->bytes = tsr_picture_set_bytes(&j->files, (uint64_t)slot->other);
    } else if (!status && j->anchor) {
        const tsr_measurement *like = j->candidate->like;
        status =
            tsr_anchor_make(w, j->anchor, &like->pictures[slot->index], like->numbers, name, slot);
    }
    const int width = slot->original.width, height = slot->original.height;
    if (status || (slot->width == width && slot->height == height)) return status;
    if (!j->s.resize)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "%s: size: wanted %dx%d as the original, got %dx%d",
                        j->has_files ? j->files.pictures[slot->other].name : name, width, height,
                        slot->width, slot->height);
    snprintf(slot->note, sizeof slot->note, "resized from %dx%d", slot->width, slot->height);
    return tsr_slot_resize(w, slot, width, height);
}

static tsr_status measure_pair(job *j, const tsr_measure_worker *w, tsr_pair_slot *slot) {
    tsr_picture_score *p = &j->m->pictures[slot->index];
    tsr_metric_pair pair = {.original = slot->original.rgb,
                            .candidate = slot->rgb,
                            .width = slot->width,
                            .height = slot->height};
    for (int k = 0; k < j->m->metric_count; ++k)
        pair.structural |= j->m->metrics[k]->structural;
    const tsr_pixel_error *error;
    tsr_status status = tsr_metric_pixels(w->ctx, &pair, &error);
    for (int k = 0; k < j->m->metric_count && !status; ++k) {
        const uint64_t at = slot->index * (uint64_t)j->m->metric_count + (uint64_t)k;
        const tsr_metric *metric = j->m->metrics[k];
        if (metric->measure)
            status = metric->measure(w->ctx, &pair, &j->m->values[at], &j->m->whys[at]);
    }
    if (status) return status;
    p->equal = error->mse == 0;
    p->width = slot->width;
    p->height = slot->height;
    p->tokens = slot->tokens;
    p->bytes = slot->bytes;
    p->floored = slot->floored;
    if (*slot->note) p->note = strdup(slot->note);
    return TSR_OK;
}

static void work(job *j, const tsr_measure_worker *w, tsr_pair_slot *slot) {
    if (j->m->pictures[slot->index].status) return;
    tsr_status status = TSR_OK;
    if (slot->other < 0) status = tsr_fail(w->ctx, TSR_ERROR_NOT_FOUND, "no reconstruction");
    if (!status) status = read_pair(j, w, slot);
    if (!status) status = measure_pair(j, w, slot);
    if (status) {
        j->m->pictures[slot->index].alone = slot->other < 0;
        fail_picture(j, slot->index, status, tsr_detail(w->ctx));
    }
    if (status || (!j->has_sessions && !j->s.pair)) { /* no longer needed */
        tsr_image_free(&slot->original);
        free(slot->rgb);
        slot->rgb = NULL;
    }
}

/* tsr_tile_fn */
static void work_tile(void *arg, int64_t tile, int worker) {
    job *j = arg;
    work(j, &j->workers[worker], &j->slots[tile]);
}

/* Sessions see the pairs of the group that have both pictures. */
static tsr_status feed_sessions(job *j, int count) {
    tsr_metric_pair *pairs = tsr_alloc(j->ctx, (size_t)count, sizeof *pairs, "pairs");
    double *values = tsr_alloc(j->ctx, (size_t)count, sizeof *values, "pairs");
    const char **whys = tsr_alloc(j->ctx, (size_t)count, sizeof *whys, "pairs");
    int *slot_of = tsr_alloc(j->ctx, (size_t)count, sizeof *slot_of, "pairs");
    tsr_status status = pairs && values && whys && slot_of ? TSR_OK : TSR_ERROR_MEMORY;
    int n = 0;
    for (int i = 0; i < count && !status; ++i) {
        const tsr_pair_slot *s = &j->slots[i];
        if (!s->rgb || j->m->pictures[s->index].status) continue;
        slot_of[n] = i;
        pairs[n++] = (tsr_metric_pair){.original = s->original.rgb,
                                       .candidate = s->rgb,
                                       .width = s->width,
                                       .height = s->height};
    }
    for (int k = 0; k < j->m->metric_count && n && !status; ++k) {
        if (!j->sessions[k]) continue;
        for (int i = 0; i < n; ++i)
            values[i] = NAN, whys[i] = NULL;
        const tsr_metric *metric = j->m->metrics[k];
        status = metric->add(j->sessions[k], pairs, n, j->session_pairs, values, whys);
        for (int i = 0; i < n && !status && !metric->info.set; ++i) {
            const uint64_t at = j->slots[slot_of[i]].index * (uint64_t)j->m->metric_count;
            j->m->values[at + (uint64_t)k] = values[i];
            j->m->whys[at + (uint64_t)k] = whys[i];
        }
    }
    j->session_pairs += (uint64_t)n;
    free(pairs);
    free(values);
    free(whys);
    free(slot_of);
    return status;
}

static bool ends_all(tsr_status status) {
    return status == TSR_ERROR_MEMORY || status == TSR_ERROR_INTERRUPTED ||
           status == TSR_ERROR_DEVICE || status == TSR_ERROR_DEVICE_LOST;
}

/* Hands the pairs on in order, and looks whether one of the group ends the call. */
static tsr_status end_group(job *j, int count) {
    tsr_status status = j->has_sessions ? feed_sessions(j, count) : TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        const tsr_pair_slot *s = &j->slots[i];
        const tsr_picture_score *p = &j->m->pictures[s->index];
        j->coding += s->seconds;
        j->decoding += s->decode_seconds;
        if (p->status && (j->s.on_error == TSR_ON_ERROR_STOP || ends_all(p->status)))
            status = tsr_fail(j->ctx, p->status, "%s", p->detail ? p->detail : p->name);
        else if (s->rgb && j->s.pair &&
                 j->s.pair(j->s.pair_user, s->index, p->name, s->original.rgb, s->rgb, s->width,
                           s->height))
            status = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", p->name);
    }
    return status;
}

static tsr_status measure_group(job *j, int count) {
    for (int i = 0; i < count; ++i) {
        tsr_pair_slot *slot = &j->slots[i];
        *slot = (tsr_pair_slot){.index = j->first + (uint64_t)i, .other = j->other[j->first + i]};
        if (!j->has_tokens || slot->other < 0) continue;
        const tsr_status status = tsr_token_side_decode(&j->tokens, slot);
        if (status) fail_picture(j, slot->index, status, tsr_detail(j->ctx));
    }
    if (count == 1) /* a picture alone has all threads inside */
        work(j, &(tsr_measure_worker){j->ctx, j->workers[0].host}, &j->slots[0]);
    else
        tsr_parallel(j->ctx, count, work_tile, j);
    const tsr_status status = end_group(j, count);
    for (int i = 0; i < count; ++i)
        slot_free(&j->slots[i]);
    return status;
}

/* ---- all of it ---- */

static tsr_status open_workers(job *j) {
    j->worker_count = tsr_thread_count(j->ctx);
    j->group = j->worker_count;
    /* Of files, a worker holds a pair only while it works at it. */
    if (!j->has_tokens && !j->has_sessions && !j->s.pair) j->group *= 4;
    if (j->has_sessions && j->group < GROUP_OF_SESSIONS) j->group = GROUP_OF_SESSIONS;
    j->workers = tsr_alloc(j->ctx, (size_t)j->worker_count, sizeof *j->workers, "workers");
    j->slots = tsr_alloc(j->ctx, (size_t)j->group, sizeof *j->slots, "pairs");
    if (!j->workers || !j->slots) return TSR_ERROR_MEMORY;
    tsr_context_settings settings = j->ctx->settings;
    settings.threads = 1;
    if (settings.log_level > TSR_LOG_WARNING) settings.log_level = TSR_LOG_WARNING;
    for (int i = 0; i < j->worker_count; ++i) {
        tsr_measure_worker *w = &j->workers[i];
        tsr_device_settings cpu = tsr_device_settings_default();
        cpu.name = "cpu";
        tsr_status status = tsr_context_open(&w->ctx, &settings);
        if (!status && (status = tsr_device_open(w->ctx, &w->host, &cpu)))
            return tsr_fail(j->ctx, status, "%s", tsr_detail(w->ctx));
        if (status) return tsr_fail(j->ctx, status, "measure: no memory for a context");
    }
    return TSR_OK;
}

static tsr_status run(job *j) {
    const uint64_t count = j->m->originals;
    tsr_status status = TSR_OK;
    for (j->first = 0; j->first < count && !status; j->first += (uint64_t)j->group) {
        if (j->s.progress && j->s.progress(j->s.progress_user, "measure", j->first, count))
            return tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "measure: stopped by the caller");
        const uint64_t left = count - j->first;
        status = measure_group(j, left < (uint64_t)j->group ? (int)left : j->group);
    }
    for (uint64_t i = count; i < j->m->count && !status; ++i)
        if (j->s.on_error == TSR_ON_ERROR_STOP)
            status = tsr_fail(j->ctx, j->m->pictures[i].status, "%s: %s", j->m->pictures[i].name,
                              j->m->pictures[i].detail);
    for (int k = 0; k < j->m->metric_count && !status; ++k)
        if (j->sessions[k] && j->m->metrics[k]->finish)
            status = j->m->metrics[k]->finish(j->sessions[k], &j->m->sets[k]);
    if (!status) status = tsr_measurement_summarise(j->ctx, j->m);
    if (!status && j->s.progress) (void)j->s.progress(j->s.progress_user, "measure", count, count);
    return status;
}

/* What the candidate is called, and what made it. */
static tsr_status describe(job *j) {
    const tsr_candidate *c = j->candidate;
    tsr_measurement *m = j->m;
    const tsr_measurement *like = c->like;
    char name[512], series[256];
    const char *model = "", *precision = "", *device = "";
    if (j->anchor) {
        snprintf(series, sizeof series, "%s", j->anchor->title);
        snprintf(name, sizeof name, "%s like %s", j->anchor->title, like->name);
        model = j->anchor->title;
        m->has_header = like->has_header;
        m->header = like->header;
        m->at = like->at;
    } else if (j->has_tokens) {
        m->has_header = true;
        m->header = *j->tokens.header;
        m->numbers = m->header.channels ? m->header.channels : 1;
        m->first_tokens = c->tokens;
        m->model_hash = m->header.weights_hash;
        snprintf(series, sizeof series, "%s", m->header.tokenizer);
        snprintf(name, sizeof name, c->tokens ? "%s, %u tokens" : "%s", tsr_last_part(c->path),
                 c->tokens);
        model = m->header.tokenizer;
        precision = j->s.model.precision ? "fast" : "f32";
        device = tsr_tokenizer_device(j->tokens.tokenizer);
    } else {
        snprintf(name, sizeof name, "%s", c->path);
        snprintf(series, sizeof series, "%s", c->path);
    }
    m->seed = j->s.seed ? j->s.seed : 1;
    m->resamples = j->s.resamples ? j->s.resamples : 2000;
    if (m->resamples > 1000000)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "resamples: wanted at most 1000000, got %u",
                        m->resamples);
    tsr_status status = tsr_copy_text(j->ctx, c->name ? c->name : name, &m->name);
    if (!status) status = tsr_copy_text(j->ctx, c->series ? c->series : series, &m->series);
    if (!status)
        status = tsr_copy_text(j->ctx,
                               j->anchor       ? "anchor"
                               : j->has_tokens ? "tokenizer"
                                               : "files",
                               &m->kind);
    if (!status) status = tsr_copy_text(j->ctx, model, &m->model);
    if (!status) status = tsr_copy_text(j->ctx, precision, &m->precision);
    if (!status) status = tsr_copy_text(j->ctx, device, &m->device);
    return status;
}

static bool is_token_file(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".tess");
}

static tsr_status open_candidate(job *j) {
    const tsr_candidate *c = j->candidate;
    if (c->anchor) {
        tsr_status status = tsr_anchor_find(j->ctx, c->anchor, &j->anchor);
        if (!status && (!c->like || c->like->originals != j->originals->set.count))
            status = tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                              "anchor: wanted a measurement of the same originals, got %s",
                              c->like ? "one of others" : "none");
        if (!status) j->s.at = c->like->at;
        return status;
    }
    if (!c->path) return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "candidate: wanted a path, got NULL");
    if (is_token_file(c->path)) {
        j->has_tokens = true;
        return tsr_token_side_open(j->ctx, j->originals, c, &j->s, &j->tokens);
    }
    const tsr_status status = tsr_picture_set_open(j->ctx, c->path, &j->files);
    j->has_files = !status;
    if (!status && j->files.single != j->originals->set.single)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "wanted two pictures or two folders, got %s as originals and %s '%s'",
                        j->originals->set.single ? "a picture" : "a folder",
                        j->files.single ? "the picture" : "the folder", c->path);
    return status;
}

static void job_close(job *j) {
    if (j->m) close_sessions(j);
    for (int i = 0; j->workers && i < j->worker_count; ++i) {
        tsr_device_close(&j->workers[i].host);
        tsr_context_close(&j->workers[i].ctx);
    }
    free(j->workers);
    free(j->slots);
    free(j->other);
    if (j->has_tokens) tsr_token_side_close(&j->tokens);
    if (j->has_files) tsr_picture_set_close(&j->files);
}

tsr_status tsr_measure(tsr_context *ctx, tsr_originals *originals, const tsr_candidate *candidate,
                       const tsr_measure_settings *settings, tsr_measurement **measurement) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!originals || !candidate || !measurement)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "measure: wanted an address, got NULL");
    *measurement = NULL;
    job j = {.ctx = ctx, .originals = originals, .candidate = candidate};
    if (settings) j.s = *settings;
    if (!j.s.metrics || j.s.metric_count <= 0) {
        j.s.metrics = usual;
        j.s.metric_count = (int)(sizeof usual / sizeof *usual);
    }
    tsr_status status = open_candidate(&j);
    if (!status) status = pair_names(&j, j.s.metric_count);
    if (!status) j.m->at = j.s.at;
    if (!status) status = tsr_metrics_choose(ctx, &j.s, false, j.m->metrics);
    if (!status) status = describe(&j);
    if (!status) status = open_sessions(&j);
    if (!status) status = open_workers(&j);
    if (!status) status = run(&j);
    if (!status && j.has_tokens) j.m->decode_seconds = j.tokens.seconds;
    if (!status && j.anchor) {
        j.m->encode_seconds = j.coding;
        j.m->decode_seconds = j.decoding;
    }
    job_close(&j);
    if (status)
        tsr_measurement_close(&j.m);
    else
        *measurement = j.m;
    return status;
}

/* ---- originals ---- */

tsr_status tsr_originals_open(tsr_context *ctx, const char *path, tsr_originals **originals) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !originals)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "originals: wanted an address, got NULL");
    *originals = NULL;
    tsr_originals *o = tsr_alloc(ctx, 1, sizeof *o, "originals");
    if (!o) return TSR_ERROR_MEMORY;
    o->ctx = ctx;
    const tsr_status status = tsr_picture_set_open(ctx, path, &o->set);
    if (status)
        free(o);
    else
        *originals = o;
    return status;
}

void tsr_originals_close(tsr_originals **originals) {
    if (!originals || !*originals) return;
    tsr_originals *o = *originals;
    tsr_tokenizer_close(&o->kept.tokenizer);
    free(o->kept.model);
    free(o->kept.device);
    tsr_metric_shares_close(&o->kept_by_metrics);
    tsr_picture_set_close(&o->set);
    free(o);
    *originals = NULL;
}

uint64_t tsr_originals_count(const tsr_originals *o) {
    return o->set.count;
}

const char *tsr_originals_name(const tsr_originals *o, uint64_t index) {
    return index < o->set.count ? o->set.pictures[index].name : NULL;
}

tsr_status tsr_originals_read(tsr_originals *o, uint64_t index, const uint8_t background[3],
                              uint8_t **rgb, int *width, int *height) {
    if (!rgb || !width || !height || index >= o->set.count)
        return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT, "originals: wanted picture 0 to %llu",
                        (unsigned long long)o->set.count - 1);
    tsr_image_settings settings = tsr_image_settings_default();
    if (background) memcpy(settings.background, background, 3);
    tsr_image image = {0};
    const tsr_status status = tsr_picture_set_read(o->ctx, &o->set, index, &settings, &image);
    *rgb = image.rgb;
    *width = image.width;
    *height = image.height;
    return status;
}
