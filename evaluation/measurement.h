/* SPDX-License-Identifier: MIT */
/* measurement.h: the inside of a measurement and of the originals, for the files of this folder. */
#ifndef EVALUATION_MEASUREMENT_H
#define EVALUATION_MEASUREMENT_H

#include "../metrics/metric.h"
#include "picture_set.h"

/* A tokenizer that stays open from one candidate to the next, since points of one curve share it.
 */
typedef struct tsr_kept_tokenizer {
    tsr_tokenizer *tokenizer;
    char *model; /* as it was asked for; NULL: the bundled one */
    char *device;
    tsr_precision precision;
} tsr_kept_tokenizer;

struct tsr_originals {
    tsr_context *ctx;
    tsr_picture_set set;
    tsr_kept_tokenizer kept;
    tsr_metric_shares kept_by_metrics; /* features of the originals */
};

/* One picture of a measurement. Texts are owned. */
typedef struct tsr_picture_score {
    char *name; /* of the original, or of the picture of the candidate that has none */
    tsr_status status;
    char *detail, *note;   /* NULL: "" */
    char *original, *file; /* of the report: where both sides were written; NULL: nowhere */
    int width, height;
    uint64_t tokens, bytes;
    bool equal, alone, floored;
} tsr_picture_score;

struct tsr_measurement {
    char *name, *series, *kind, *model, *precision, *device;
    uint64_t model_hash;
    tsr_measure_at at;
    uint32_t first_tokens;
    uint64_t seed;
    uint32_t resamples;
    double encode_seconds, decode_seconds;
    bool has_header; /* fitted by `header`: anchors are fitted likewise */
    tsr_token_header header;
    uint32_t numbers; /* in a token: 1, or the channels of vectors */
    int metric_count;
    const tsr_metric **metrics; /* [metric_count] rows of the registry */
    tsr_metric_model *models;   /* [metric_count] name "" without */
    tsr_set_score *sets;        /* [metric_count] of metrics of sets */
    tsr_summary *summaries;     /* [metric_count] of metrics of pictures */
    uint64_t count, originals;  /* pictures; those of them that are originals, which come first */
    tsr_picture_score *pictures;
    double *values;    /* [count, metric_count] NaN: none */
    const char **whys; /* [count, metric_count] NULL: ""; static storage */
};

/* A measurement with room for `count` pictures; names and numbers are set by the caller. NULL after
 * a MEMORY failure. */
tsr_measurement *tsr_measurement_new(tsr_context *ctx, uint64_t count, int metric_count);
/* Index of a metric among those measured, or -1. */
int tsr_measurement_metric(const tsr_measurement *m, const char *name);
/* strdup that fails by MEMORY; sets *copy. */
tsr_status tsr_copy_text(tsr_context *ctx, const char *text, char **copy);

/* Fills the summaries from the values. Percentiles of the interval are interpolated linearly
 * between the sorted means (type 7 of Hyndman and Fan 1996); samples are drawn by Philox, resample
 * r from stream r of the seed, so that metrics with equally many values see the same draws. Errors:
 * MEMORY.
 */
tsr_status tsr_measurement_summarise(tsr_context *ctx, tsr_measurement *m);

#endif
