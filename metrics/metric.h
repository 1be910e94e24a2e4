/* SPDX-License-Identifier: MIT */
/* metric.h: what a metric has to bring to be asked for by its name (`--metrics psnr,ssim`). Each is
 * one `const tsr_metric tsr_metric_<name>` beside its function, and a row of metrics.def.
 *
 * A metric is of one of two kinds, and of pictures, or of the frames of clips (info.clips). A plain
 * one computes a number from one pair of pictures, on any thread: it has `measure`. A session sees
 * all pairs, in their order and on one thread: networks, which like batches, and numbers about a
 * whole set. */
#ifndef METRICS_METRIC_H
#define METRICS_METRIC_H

#include <stdbool.h>
#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/measure.h>
#include <tessera/statistics.h>
#include "metrics.h"

/* Two pictures of one size, RGB [height, width, 3]. */
typedef struct tsr_metric_pair {
    const uint8_t *original, *candidate;
    int width, height;
    bool known; /* `pixels` is filled: ask tsr_metric_pixels */
    tsr_pixel_error pixels;
    uint64_t clip;   /* number of the clip, of a metric of clips */
    bool structural; /* a metric of this pair wants its structure: others take it from there, too */
    bool structured; /* `structure` is filled */
    tsr_structure structure;
} tsr_metric_pair;
/* Mean squared error, PSNR and L1 of the pair, computed once for all metrics that want it. Errors:
 * MEMORY. */
tsr_status tsr_metric_pixels(tsr_context *ctx, tsr_metric_pair *pair,
                             const tsr_pixel_error **error);

/* SSIM and MS-SSIM in their forms, computed once for all metrics that want them. Errors: MEMORY. */
tsr_status tsr_metric_structure(tsr_context *ctx, tsr_metric_pair *pair,
                                const tsr_structure **structure);

typedef struct tsr_metric tsr_metric;

/* What several sessions of one measurement share: an object, under a key. The features of one
 * network, of which several metrics are made, are computed once so. */
enum { TSR_METRIC_SHARES = 8 };
typedef struct tsr_metric_shares {
    struct {
        const char *key; /* static storage */
        void *object;
        void (*close)(void *object);
    } at[TSR_METRIC_SHARES];
    int count;
} tsr_metric_shares;
/* NULL: nothing has this key yet. */
void *tsr_metric_share_find(const tsr_metric_shares *shares, const char *key);
/* Keeps an object until the shares are closed: when the measurement ends, or with the originals.
 * Errors: MEMORY (no room), and the object is closed. */
tsr_status tsr_metric_share_add(tsr_context *ctx, tsr_metric_shares *shares, const char *key,
                                void *object, void (*close)(void *object));

/* Closes all objects, the last one first. */
void tsr_metric_shares_close(tsr_metric_shares *shares);

/* How a session is opened. */
typedef struct tsr_metric_settings {
    const char *weights;             /* file or folder of the judge; NULL: none was given */
    const tsr_model_settings *model; /* device, mask and precision; its `model` is not read */
    tsr_metric_shares *shares;
    tsr_metric_shares *kept; /* what outlives the measurement, as long as the originals; or NULL */
    uint64_t pairs;          /* that will come at most */
    uint64_t seed;           /* of whatever is drawn */
    const char *cache;       /* as in tsr_measure_settings, and so are the counts */
    tsr_feature_counts *features;
} tsr_metric_settings;

struct tsr_metric {
    tsr_metric_info info;
    bool structural; /* it is taken from tsr_metric_structure */
    /* Plain metrics. *value NaN where the pair has no such number; *why then says in a few words of
     * static storage why. */
    tsr_status (*measure)(tsr_context *ctx, tsr_metric_pair *pair, double *value, const char **why);
    /* Sessions. NULL in a plain metric. Pairs of a metric of clips are frames, in their order, and
     * `first` counts frames of all clips. `add` gets pairs first .. first + count - 1 of those that
     * could be read; of a metric of pictures it fills values [count] and why [count], of a metric
     * of sets it leaves them. `finish` and `model` may be NULL. */
    tsr_status (*open)(tsr_context *ctx, const tsr_metric_settings *settings, void **session);
    tsr_status (*add)(void *session, tsr_metric_pair *pairs, int count, uint64_t first,
                      double *values, const char **why);
    tsr_status (*finish)(void *session, tsr_set_score *score);
    void (*model)(const void *session, tsr_metric_model *model);
    void (*close)(void *session);
};

/* The metric of a name, or NULL. */
const tsr_metric *tsr_metric_named(const char *name);
/* The metrics of settings->metrics, all of pictures or all of clips, into list [metric_count].
 * Errors: ARGUMENT (unknown, twice, of the other kind). */
tsr_status tsr_metrics_choose(tsr_context *ctx, const tsr_measure_settings *settings, bool clips,
                              const tsr_metric **list);
/* Opens the session of a metric with the weights that settings->weights name for it. Errors:
 * ARGUMENT (weights that are not METRIC=PATH); those of the metric. */
tsr_status tsr_metric_session_open(tsr_context *ctx, const tsr_measure_settings *settings,
                                   const tsr_metric *metric, const tsr_metric_settings *rest,
                                   void **session);

#endif
