/* SPDX-License-Identifier: MIT */
/* report_data.h: report.json (schema "tessera.report/1", docs/REPORT.md) as structs. All texts
 * point into the document. A number that does not exist is NaN; keys that are not known are passed
 * over.
 */
#ifndef TOOLS_REPORT_DATA_H
#define TOOLS_REPORT_DATA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

enum {
    REPORT_METRICS = 64,
    REPORT_CANDIDATES = 256,
    REPORT_BINS = 1024 /* of a histogram */
};
/* Bytes of the largest report that is read. */
#define REPORT_MOST_BYTES ((size_t)256 << 20)

typedef struct report_metric {
    const char *name, *label, *unit, *protocol, *source; /* label: name where there is none */
    bool lower;                                          /* less is better */
    bool set; /* a number of all pictures together, not one of each */
    const char *weights_name, *weights_hash, *weights_licence; /* NULL without weights */
} report_metric;

/* What a metric says of a candidate. */
typedef struct report_summary {
    bool known; /* asked for: there is an object for it */
    double mean, sd, low, high;
    int64_t count, missing;
    const char *worst_picture; /* or NULL */
    double worst;
    const char *why; /* it has no number, or a warning; or NULL */
} report_summary;

/* A mean and its 95 % interval; NaN what is not known. */
typedef struct report_mean {
    double value, low, high;
} report_mean;

typedef struct report_bin {
    double low, high; /* pixels per character; pixels of a face */
    int64_t count;
    report_mean first, second; /* T-ACC and T-NED; F-Sim and nothing */
} report_bin;

typedef struct report_bins {
    report_bin *at;
    int count;
} report_bins;

typedef struct report_codes {
    bool known;
    int64_t codebook, used;
    double perplexity, entropy_bits;
    double *bits_by_position, *histogram; /* histogram: of the most used code first */
    int positions, codes;
} report_codes;

typedef struct report_text {
    bool known;
    const char *reader;
    report_mean t_acc, t_ned;
    double cer, wer;
    int64_t words;
    report_bins bins;
} report_text;

typedef struct report_faces {
    bool known;
    const char *embedder;
    report_mean f_sim;
    int64_t count;
    report_bins bins;
} report_faces;

typedef enum report_kind { REPORT_TOKENIZER, REPORT_ANCHOR, REPORT_FILES } report_kind;

typedef struct report_candidate {
    const char *name, *series; /* series: of the curve it is a point of */
    report_kind kind;
    const char *model_name, *model_hash, *precision; /* NULL without a model */
    const cJSON *parameters, *command;               /* an object; an array of texts; or NULL */
    double tokens, bytes, bits_per_pixel, encode_seconds, decode_seconds;
    int64_t compared, floored; /* pictures, and those of an anchor that takes more than was asked */
    report_summary *summary;   /* one of each metric */
    report_codes codes;
    report_text text;
    report_faces faces;
} report_candidate;

/* One candidate's picture. */
typedef struct report_cell {
    int candidate;
    const char *status; /* "ok", or what went wrong */
    const char *file;   /* or NULL */
    double tokens, bytes;
    const cJSON *values; /* report_cell_value */
} report_cell;

typedef struct report_picture {
    const char *name, *file; /* file: or NULL */
    int width, height;       /* 0: not known */
    report_cell *cells;
    int count;
} report_picture;

typedef struct report_data {
    const char *program, *created, *device, *originals, *originals_hash, *fitted;
    const cJSON *command;             /* an array of texts, or NULL */
    int64_t threads, originals_count; /* -1: not said */
    double seed;
    report_metric metrics[REPORT_METRICS];
    int metric_count;
    report_candidate *candidates;
    int candidate_count;
    report_picture *pictures;
    int picture_count;
    cJSON *document;
} report_data;

/* Reads `size` bytes of JSON. NULL: `error` says in one line which field is wrong, what was wanted
 * and what came. */
report_data *report_data_read(const void *bytes, size_t size, char *error, size_t error_size);
void report_data_free(report_data *r);

/* A metric's value in a cell: NaN where there is none. */
double report_cell_value(const report_cell *cell, const char *metric);
/* The candidate's cell of a picture, or NULL. */
const report_cell *report_picture_cell(const report_picture *p, int candidate);

#endif
