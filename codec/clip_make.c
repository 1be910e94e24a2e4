/* SPDX-License-Identifier: MIT */
/* clip_make.c: the features of a clip to K directions and an index map; the number K by one of
 * three rules. Clustering is quantizer/spherical.c. */
#include "clip_make.h"
#include "../compute/sums.h"
#include "../quantizer/spherical.h"
#include "../reduce/farthest.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { K_USUAL = 32, ELBOW_LEAST = 12, ELBOW_MOST = 32, ERROR_MOST = 256, PASSES = 50 };

tsr_clip_settings tsr_clip_settings_default(void) {
    return (tsr_clip_settings){.clusters = K_USUAL, .passes = PASSES};
}

void tsr_clip_free(tsr_clip *clip) {
    if (!clip) return;
    free(clip->ids);
    free(clip->counts);
    free(clip->codebook);
    free(clip->gains);
    *clip = (tsr_clip){0};
}

/* One clip being clustered: n unit rows of dim numbers. */
typedef struct job {
    tsr_context *ctx;
    tsr_device *device;
    const char *name;
    const tsr_clip_settings *s;
    int64_t n, dim;
    uint32_t least, most; /* K that may be asked for */
    float *unit;          /* [n, dim] */
    double square;        /* sum of their squared lengths: rows that are not zeros */
    tsr_farthest farthest;
    float *first;     /* [most, dim] of TSR_CLIP_DRAWN */
    float *centroids; /* [most, dim] */
    tsr_spherical_result result;
    uint32_t tried, expected; /* clusterings so far; about as many as there will be */
} job;

/* ---- settings ---------------------------------------------------------------------------------
 */

static tsr_status wrong(const job *j, const char *field, const char *wanted, double got) {
    return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "%s: clip codebook: %s: wanted %s, got %.10g",
                    j->name, field, wanted, got);
}

/* Checks the settings and finds which K may come. */
static tsr_status plan(job *j) {
    const tsr_clip_settings *s = j->s;
    const uint32_t cells = (uint32_t)j->n;
    if (s->passes < 1) return wrong(j, "passes", "1 or more", s->passes);
    if ((unsigned)s->first > TSR_CLIP_DRAWN) return wrong(j, "first rows", "0 or 1", s->first);
    if (s->rule == TSR_CLIP_FIXED) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "1 to %u, the cells of the clip", cells);
        j->least = j->most = s->clusters;
        return s->clusters >= 1 && s->clusters <= cells ? TSR_OK
                                                        : wrong(j, "K", wanted, s->clusters);
    }
    if (s->rule != TSR_CLIP_ELBOW && s->rule != TSR_CLIP_ERROR)
        return wrong(j, "rule", "0..2", s->rule);
    const bool elbow = s->rule == TSR_CLIP_ELBOW;
    j->least = s->least ? s->least : elbow ? ELBOW_LEAST : 1;
    j->most = s->most ? s->most : elbow ? ELBOW_MOST : ERROR_MOST;
    if (j->least > j->most) return wrong(j, "least K", "at most the most", j->least);
    if (!elbow && !(s->error >= 0 && s->error <= 2))
        return wrong(j, "error", "a mean 1 - cosine, 0..2", s->error);
    if (j->most > cells) j->most = cells;
    if (j->least > cells) j->least = cells;
    return TSR_OK;
}

/* ---- one clustering ----------------------------------------------------------------------------
 */

/* Draws the first rows of every K at once: those of fewer are the first of more. */
static tsr_status draw(job *j) {
    const tsr_kmeans_settings settings = {
        .codes = j->most, .seed = j->s->seed, .metric = TSR_METRIC_COSINE};
    return tsr_kmeans_seed(j->ctx, j->unit, j->n, j->dim, &settings, j->first);
}

static tsr_status cluster(job *j, uint32_t k) {
    const size_t row = sizeof *j->unit * (size_t)j->dim;
    if (j->s->first == TSR_CLIP_DRAWN) {
        memcpy(j->centroids, j->first, k * row);
    } else {
        tsr_farthest_pick(&j->farthest, k);
        for (uint32_t c = 0; c < k; ++c)
            memcpy(j->centroids + c * j->dim, j->unit + j->farthest.rows[c] * j->dim, row);
    }
    ++j->tried;
    tsr_status s = tsr_spherical_kmeans_unit(j->device, j->unit, j->n, j->dim, k, j->s->passes,
                                             j->centroids, &j->result);
    if (s || !j->s->progress) return s;
    if (j->expected < j->tried) j->expected = j->tried;
    if (j->s->progress(j->s->progress_user, "clustering", j->tried, j->expected))
        s = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", j->name);
    return s;
}

static double error_of(const job *j, uint32_t k) {
    return 1 - tsr_spherical_cosine(&j->result, k, j->dim, j->n);
}

/* ---- rules ------------------------------------------------------------------------------------
 */

/* The distortion needs no pass of its own: the counts and means of the last one say it. */
static tsr_status by_elbow(job *j, uint32_t *k) {
    const uint32_t count = j->most - j->least + 1;
    j->expected = count + 1;
    float *distortions = tsr_alloc(j->ctx, count, sizeof *distortions, "clip codebook: curve");
    tsr_status s = distortions ? TSR_OK : TSR_ERROR_MEMORY;
    for (uint32_t i = 0; i < count && !s; ++i) {
        s = cluster(j, j->least + i);
        if (!s)
            distortions[i] =
                (float)tsr_spherical_distortion(&j->result, j->least + i, j->dim, j->square);
    }
    if (!s) *k = (uint32_t)tsr_elbow(distortions, count, j->least);
    free(distortions);
    return s ? s : cluster(j, *k);
}

static tsr_status by_error(job *j, uint32_t *k, bool *reached) {
    uint32_t high = j->least, low = j->least - 1; /* low is too few */
    for (uint32_t left = j->most; left; left /= 2)
        j->expected += 2;
    tsr_status s = cluster(j, high);
    double error = s ? 0 : error_of(j, high);
    while (!s && error > j->s->error && high < j->most) {
        low = high;
        high = high > j->most / 2 ? j->most : 2 * high;
        s = cluster(j, high);
        if (!s) error = error_of(j, high);
    }
    *reached = error <= j->s->error;
    while (!s && *reached && high - low > 1) {
        const uint32_t middle = low + (high - low) / 2;
        s = cluster(j, middle);
        if (s) break;
        error = error_of(j, middle);
        if (error <= j->s->error)
            high = middle;
        else
            low = middle;
    }
    *k = high;
    /* the last one tried may have been too few */
    return s || error <= j->s->error || !*reached ? s : cluster(j, high);
}

/* ---- the clip ---------------------------------------------------------------------------------
 */

static tsr_status open_job(job *j, const float *features) {
    const size_t n = (size_t)j->n, k = j->most, dim = (size_t)j->dim;
    j->unit = tsr_alloc_raw(j->ctx, n * dim, sizeof *j->unit, "clip codebook: directions");
    j->centroids = tsr_alloc(j->ctx, k * dim, sizeof *j->centroids, "clip codebook: centroids");
    j->result.labels = tsr_alloc(j->ctx, n, sizeof(int32_t), "clip codebook: labels");
    j->result.counts = tsr_alloc(j->ctx, k, sizeof(int32_t), "clip codebook: counts");
    j->result.codebook = tsr_alloc(j->ctx, k * dim, sizeof(float), "clip codebook: means");
    if (!j->unit || !j->centroids || !j->result.labels || !j->result.counts || !j->result.codebook)
        return TSR_ERROR_MEMORY;
    tsr_spherical_unit(j->ctx, features, j->n, j->dim, j->unit);
    for (size_t i = 0; i < n; ++i) {
        j->square += tsr_dot(j->unit + i * dim, j->unit + i * dim, j->dim);
    }
    if (j->s->first == TSR_CLIP_MAX_MIN)
        return tsr_farthest_open(j->device, &j->farthest, j->unit, j->n, j->dim);
    j->first = tsr_alloc(j->ctx, k * dim, sizeof *j->first, "clip codebook: first rows");
    return j->first ? draw(j) : TSR_ERROR_MEMORY;
}

static void close_job(job *j) {
    tsr_farthest_close(&j->farthest);
    free(j->unit);
    free(j->first);
    free(j->centroids);
    free(j->result.labels);
    free(j->result.counts);
    free(j->result.codebook);
}

/* Gives the clip what was found for K clusters. */
static tsr_status hand_over(job *j, const float *features, uint32_t k, tsr_clip *clip) {
    tsr_status s = tsr_spherical_canonical(j->ctx, j->n, j->dim, k, &j->result);
    clip->gains = tsr_alloc(j->ctx, (size_t)j->n, sizeof *clip->gains, "clip codebook: gains");
    uint64_t *uses = tsr_alloc(j->ctx, k, sizeof *uses, "clip codebook: uses"), used = 0;
    if (!s && (!clip->gains || !uses)) s = TSR_ERROR_MEMORY;
    if (s) {
        free(uses);
        return s;
    }
    for (int64_t i = 0; i < j->n; ++i) {
        const float *row = features + i * j->dim;
        clip->gains[i] = (float)sqrt(tsr_dot(row, row, j->dim));
    }
    for (uint32_t c = 0; c < k; ++c)
        uses[c] = (uint64_t)j->result.counts[c];
    clip->perplexity = tsr_perplexity(uses, k, &used);
    clip->cosine = tsr_spherical_cosine(&j->result, k, j->dim, j->n);
    clip->used = (uint32_t)used;
    clip->clusters = k;
    clip->passes = j->result.passes;
    clip->tried = j->tried;
    free(uses);
    /* labels and counts are not negative */
    clip->ids = (uint32_t *)j->result.labels;
    clip->counts = (uint32_t *)j->result.counts;
    clip->codebook = j->result.codebook;
    j->result = (tsr_spherical_result){0};
    return TSR_OK;
}

tsr_status tsr_clip_make_on(tsr_device *device, const char *name, const float *features,
                            const uint32_t grid[3], uint32_t channels,
                            const tsr_clip_settings *settings, tsr_clip *clip) {
    tsr_context *ctx = tsr_device_context(device);
    job j = {.ctx = ctx, .device = device, .name = name, .s = settings, .dim = channels};
    const uint64_t frame = (uint64_t)grid[1] * grid[2];
    *clip = (tsr_clip){0};
    if (!frame || frame > INT32_MAX || !grid[0] || frame * grid[0] > INT32_MAX || !channels)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: clip codebook: wanted frames x rows x columns x channels, 1 or more "
                        "each and below 2^31 cells, got %u x %u x %u x %u",
                        name, grid[0], grid[1], grid[2], channels);
    j.n = (int64_t)(frame * grid[0]);
    tsr_status s = plan(&j);
    if (!s) s = tsr_vq_check(ctx, name, features, j.n, channels);
    if (!s) s = open_job(&j, features);
    uint32_t k = j.most;
    bool reached = true;
    if (!s && settings->rule == TSR_CLIP_ELBOW)
        s = by_elbow(&j, &k);
    else if (!s && settings->rule == TSR_CLIP_ERROR)
        s = by_error(&j, &k, &reached);
    else if (!s)
        s = cluster(&j, k);
    if (!s) s = hand_over(&j, features, k, clip);
    close_job(&j);
    if (s) {
        tsr_clip_free(clip);
        return s;
    }
    clip->frames = grid[0];
    clip->rows = grid[1];
    clip->columns = grid[2];
    clip->channels = channels;
    clip->reached = reached;
    return TSR_OK;
}

tsr_status tsr_clip_make(tsr_context *ctx, const float *features, uint32_t frames, uint32_t rows,
                         uint32_t columns, uint32_t channels, const tsr_clip_settings *settings,
                         tsr_clip *clip) {
    const tsr_clip_settings s = settings ? *settings : tsr_clip_settings_default();
    if (!clip) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "clip codebook: clip: got NULL");
    *clip = (tsr_clip){0};
    if (!features) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "clip codebook: features: got NULL");
    tsr_device *device = NULL;
    tsr_device_settings d = tsr_device_settings_default();
    d.name = s.device ? s.device : "cpu";
    tsr_status status = tsr_device_open(ctx, &device, &d);
    if (!status)
        status = tsr_clip_make_on(device, "features", features,
                                  (const uint32_t[3]){frames, rows, columns}, channels, &s, clip);
    tsr_device_close(&device);
    return status;
}
