/* SPDX-License-Identifier: MIT */
/* bench_reduce.c: token operators at the sizes of one picture, of a picture in tiles and of a clip,
 * and codebooks of clips, warm: rows "operators N name" and "clips TxHxW rule". Features are made
 * by rule around centres, as features of pictures lie, so that bench/rival_operators.py has the
 * same ones. Rows that take seconds are measured only where --filter asks for "operators" or
 * "clips". "activation_bytes" is what a call takes beyond what was there before the first one. */
#include "bench.h"
#include <tessera/clip.h>
#include <tessera/reduce.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { CHANNELS = 1024, HEADS = 16, LARGE = 4096, CLIP_CHANNELS = 896, CLIP_CENTRES = 4 };

/* ---- features ----------------------------------------------------------------------------- */

/* n rows of dim channels: centre + half as much noise, variance 1 and 1/4. The caller frees them
 * with free(). */
static float *make_features(tsr_context *ctx, int64_t n, int64_t dim, int64_t centres) {
    const float scale = sqrtf(3);
    float *x = tsr_bench_floats(ctx, (size_t)(n * dim), 1);
    float *centre = tsr_bench_floats(ctx, (size_t)(centres * dim), 2);
    float *owner = tsr_bench_floats(ctx, (size_t)n, 3);
    if (!x || !centre || !owner) {
        free(x);
        x = NULL;
    }
    for (int64_t i = 0; x && i < n; ++i) {
        const int64_t at = (int64_t)(((double)owner[i] + 1) / 2 * (double)centres);
        for (int64_t j = 0; j < dim; ++j)
            x[i * dim + j] = (centre[at * dim + j] + 0.5f * x[i * dim + j]) * scale;
    }
    free(centre);
    free(owner);
    return x;
}

/* ---- memory ------------------------------------------------------------------------------- */

static size_t peak_bytes(void) {
    struct rusage use;
    return getrusage(RUSAGE_SELF, &use) ? 0 : (size_t)use.ru_maxrss * 1024;
}

/* Linux forgets the peak when it is asked to; elsewhere the peak of the process goes on, and what a
 * call takes below it is not seen. */
static void forget_peak(void) {
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5", f);
    fclose(f);
}

/* Calls the body once; the row gets what it took. */
static tsr_status measure_bytes(tsr_bench_row *row, tsr_bench_body body, void *arg) {
    forget_peak();
    const size_t before = peak_bytes();
    const tsr_status status = body(arg);
    row->activation_bytes = peak_bytes() - before;
    return status;
}

static tsr_status time_row(tsr_bencher *b, tsr_bench_row *row, tsr_bench_body body, void *arg) {
    const tsr_status status = measure_bytes(row, body, arg);
    return status ? status : tsr_bench_time(b, row, body, arg);
}

/* ---- operators ---------------------------------------------------------------------------- */

typedef struct size {
    int64_t n, rows, columns;
} size;

typedef struct operator_case {
    const char *name;
    const char *format; /* of the operation, with one number */
    double share;       /* the number is this share of the tokens, rounded half to even */
    double pairs;       /* share of all pairs of tokens whose product is needed at least */
} operator_case;

static const size sizes[] = {{576, 24, 24}, {2880, 48, 60}, {11664, 108, 108}};
static const operator_case cases[] = {
    {"bipartite-merge", "bipartite-merge:r=%d", 0.25, 0.25},
    {"dpc-knn", "dpc-knn:k=%d", 0.45, 0.5},
    {"diverse-maxmin", "diverse-maxmin:k=%d", 0.098, 0},
    {"coverage-greedy", "coverage-greedy:k=%d", 1.0 / 9, 0.5},
    {"dct-lowpass", "dct-lowpass:gain=ortho,size=%d", 0, 0},
    {"cls-attention-topk", "cls-attention-topk:k=%d", 0.25, 0},
};

typedef struct reduction {
    const tsr_token_set *set;
    const char *operation, *device;
} reduction;

static tsr_status reduce(void *arg) {
    const reduction *r = arg;
    tsr_token_set *less = NULL;
    const tsr_status status = tsr_token_set_reduce(
        r->set, &r->operation, 1, &(tsr_reduce_settings){.device = r->device}, &less);
    tsr_token_set_close(&less);
    return status;
}

static tsr_status make_set(tsr_context *ctx, const size *s, tsr_token_set **set) {
    float *x = make_features(ctx, s->n, CHANNELS, s->n / 16);
    float *attention = tsr_bench_floats(ctx, (size_t)(HEADS * s->n), 4);
    tsr_status status = x && attention ? TSR_OK : TSR_ERROR_MEMORY;
    for (int64_t i = 0; !status && i < HEADS * s->n; ++i)
        attention[i] = (attention[i] + 1) / 2;
    if (!status)
        status = tsr_token_set_create(ctx, x, s->n, CHANNELS,
                                      (const int64_t[]){1, s->rows, s->columns}, set);
    if (!status)
        status = tsr_token_set_add(*set, &(tsr_token_array){.name = "attention",
                                                            .type = TSR_ARRAY_F32,
                                                            .axis = TSR_TOKEN_AXIS_LAST,
                                                            .rank = 2,
                                                            .dim = {HEADS, s->n},
                                                            .data = attention});
    free(x);
    free(attention);
    return status;
}

/* Text of the operation at this size. */
static void write_operation(const operator_case *c, const size *s, char text[80]) {
    if (c->share > 0)
        snprintf(text, 80, c->format, (int)nearbyint(c->share * (double)s->n));
    else { /* half the rows and half the columns */
        snprintf(text, 80, c->format, (int)(s->rows / 2));
        snprintf(text + strlen(text), 80 - strlen(text), "+%d", (int)(s->columns / 2));
    }
}

static tsr_status bench_operator(tsr_bencher *b, const tsr_bench_device *d, const size *s,
                                 const operator_case *c, const tsr_token_set *set,
                                 const char *name) {
    char text[80], device[32] = "cpu";
    write_operation(c, s, text);
    if (d->info.kind != TSR_DEVICE_CPU) snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    const double n = (double)s->n;
    tsr_bench_row row = {.name = name,
                         .by = "tessera",
                         .device = &d->info,
                         .flops = 2 * c->pairs * n * n * CHANNELS,
                         .bytes = 4 * n * CHANNELS};
    return time_row(b, &row, reduce, &(reduction){set, text, device});
}

static bool is_measured(const tsr_bencher *b, const tsr_bench_device *d) {
    return !d->reference && (!d->info.software || b->settings.device);
}

static bool wants_large(const tsr_bencher *b, const char *suite) {
    return b->settings.filter && strstr(b->settings.filter, suite);
}

tsr_status tsr_bench_suite_operators(tsr_bencher *b) {
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !status; ++i) {
        tsr_token_set *set = NULL;
        for (size_t j = 0; j < sizeof cases / sizeof *cases && !status; ++j) {
            char name[80];
            snprintf(name, sizeof name, "operators %d %s", (int)sizes[i].n, cases[j].name);
            if (!tsr_bench_wants(b, name)) continue;
            if (sizes[i].n > LARGE && !wants_large(b, "operators")) continue;
            if (!set) status = make_set(b->ctx, &sizes[i], &set);
            for (int k = 0; k < b->device_count && !status; ++k)
                if (is_measured(b, &b->devices[k]))
                    status = bench_operator(b, &b->devices[k], &sizes[i], &cases[j], set, name);
        }
        tsr_token_set_close(&set);
    }
    return status;
}

/* ---- clips -------------------------------------------------------------------------------- */

typedef struct clip_case {
    const char *name;
    uint32_t frames, rows, columns;
    tsr_clip_rule rule;
    uint32_t clusters, passes;
} clip_case;

/* The passes are those that are made: in clusters of noise no clustering settles so soon. */
static const clip_case clips[] = {
    {"clips 2x27x27 K=32", 2, 27, 27, TSR_CLIP_FIXED, 32, 3},
    {"clips 2x27x27 elbow", 2, 27, 27, TSR_CLIP_ELBOW, 0, 3},
    {"clips 32x27x27 K=32", 32, 27, 27, TSR_CLIP_FIXED, 32, 10},
    {"clips 32x27x27 elbow", 32, 27, 27, TSR_CLIP_ELBOW, 0, 10},
};

typedef struct clustering {
    tsr_context *ctx;
    const clip_case *c;
    const float *features;
    const char *device;
} clustering;

static tsr_status cluster(void *arg) {
    const clustering *w = arg;
    tsr_clip clip;
    tsr_clip_settings settings = tsr_clip_settings_default();
    settings.rule = w->c->rule;
    settings.passes = w->c->passes;
    settings.device = w->device;
    if (w->c->clusters) settings.clusters = w->c->clusters;
    tsr_status status = tsr_clip_make(w->ctx, w->features, w->c->frames, w->c->rows, w->c->columns,
                                      CLIP_CHANNELS, &settings, &clip);
    if (status) return status;
    if (clip.passes != w->c->passes)
        status = tsr_fail(w->ctx, TSR_ERROR_STATE, "%s: wanted %u passes, got %u", w->c->name,
                          w->c->passes, clip.passes);
    tsr_clip_free(&clip);
    return status;
}

static tsr_status bench_clip(tsr_bencher *b, const clip_case *c, const tsr_bench_device *d) {
    const int64_t n = (int64_t)c->frames * c->rows * c->columns;
    char device[32] = "cpu";
    if (d->info.kind != TSR_DEVICE_CPU) snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    float *x = make_features(b->ctx, n, CLIP_CHANNELS, CLIP_CENTRES);
    tsr_bench_row row = {.name = c->name, .by = "tessera", .device = &d->info};
    const tsr_status status =
        x ? time_row(b, &row, cluster, &(clustering){b->ctx, c, x, device}) : TSR_ERROR_MEMORY;
    free(x);
    return status;
}

tsr_status tsr_bench_suite_clips(tsr_bencher *b) {
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < sizeof clips / sizeof *clips && !status; ++i) {
        const clip_case *c = &clips[i];
        const bool large = c->frames * c->rows * c->columns > LARGE;
        if (!tsr_bench_wants(b, c->name) || (large && !wants_large(b, "clips"))) continue;
        for (int k = 0; k < b->device_count && !status; ++k)
            if (is_measured(b, &b->devices[k])) status = bench_clip(b, c, &b->devices[k]);
    }
    return status;
}
