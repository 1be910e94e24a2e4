/* SPDX-License-Identifier: MIT */
/* measure.h: many pictures, several candidates, any metrics: what `tessera eval` and `tessera
 * report` do. All of it is experimental and may change between minor versions: define
 * TESSERA_EXPERIMENTAL before including the header. The conventions of tessera.h hold here, too.
 *
 *     tsr_originals *originals = NULL;
 *     tsr_measurement *m = NULL;
 *     const tsr_candidate candidate = {.path = "photos.tess"};
 *     tsr_status s = tsr_originals_open(ctx, "photos/", &originals);
 *     if (!s) s = tsr_measure(ctx, originals, &candidate, NULL, &m);
 *     tsr_summary psnr;
 *     if (!s) s = tsr_measurement_summary(m, "psnr", &psnr);
 *     tsr_measurement_close(&m);
 *     tsr_originals_close(&originals); */
#ifndef TESSERA_MEASURE_H
#define TESSERA_MEASURE_H

#include "evaluate.h"
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef TESSERA_EXPERIMENTAL

/* ---- metrics -------------------------------------------------------------------------------- */

/* A metric that can be asked for by its name. All texts have static storage. */
typedef struct tsr_metric_info {
    const char *name;     /* "psnr"; letters, digits, '-' and '_' */
    const char *label;    /* for people: "PSNR" */
    const char *unit;     /* "dB"; "" without one */
    const char *protocol; /* one line: everything that the value depends on */
    const char *source;   /* paper or code that defines it */
    int higher;           /* 1: more is better; 0: less is */
    int set;              /* 1: one number for all pictures together; 0: one for each picture */
    int clips; /* 1: of clips, for tsr_clip_measure_open; 0: of pictures, for tsr_measure */
    const char *weights; /* name of the model that it needs, for tsr_measure_settings.weights
                            instead of the metric's; NULL: none */
} tsr_metric_info;
/* Number of metrics in this build. */
int tsr_metric_count(void);
/* Fills *info with metric `index`, 0 .. tsr_metric_count - 1. An index out of range gives a metric
 * with an empty name. */
void tsr_metric_at(int index, tsr_metric_info *info);
/* Index of the metric called `name`, or -1. NULL is accepted. */
int tsr_metric_find(const char *name);

/* The model that a metric was computed with. Texts are cut to their room. */
typedef struct tsr_metric_model {
    char name[128];
    uint64_t hash; /* XXH64 identity of its weights */
    char licence[128];
} tsr_metric_model;
/* The number of a metric of sets. */
typedef struct tsr_set_score {
    double value;      /* NaN: there is none, and `warning` says why */
    uint64_t count;    /* pictures, or windows of clips, that it was made from */
    char warning[256]; /* what a reader of the number must know; "" without */
} tsr_set_score;

/* ---- originals ------------------------------------------------------------------------------ */

/* The pictures that candidates are compared with. */
typedef struct tsr_originals tsr_originals;
/* Finds them: one picture; a folder, all pictures in it and below it in natural order (hidden files
 * and other suffixes do not count, links are followed); or a tar archive, whose bytes are read once
 * into a temporary file. A picture is named by its path below the folder, or its key in the
 * archive. *originals is NULL on error; else the caller closes it with tsr_originals_close. It uses
 * ctx until then. Errors: reading errors; NOT_FOUND (no picture); ARGUMENT (two pictures whose
 * names differ by their suffixes alone). */
tsr_status tsr_originals_open(tsr_context *ctx, const char *path, tsr_originals **originals);
/* NULL and a NULL *originals are accepted. */
void tsr_originals_close(tsr_originals **originals);
/* Number of pictures. */
uint64_t tsr_originals_count(const tsr_originals *originals);
/* Name of picture `index`, 0 .. count - 1: "a/b.png". Owned by the originals; NULL beyond. */
const char *tsr_originals_name(const tsr_originals *originals, uint64_t index);
/* Reads picture `index` into *rgb, [*height, *width, 3], which the caller frees with free(). Alpha
 * lies over `background` (NULL is white); 16 bits become 8 and grey becomes RGB, as
 * tsr_picture_read says. Errors: reading errors. */
tsr_status tsr_originals_read(tsr_originals *originals, uint64_t index, const uint8_t background[3],
                              uint8_t **rgb, int *width, int *height);

/* ---- candidates and measurements ------------------------------------------------------------ */

typedef struct tsr_measurement tsr_measurement;

/* One thing that is compared with the originals. A struct of zeros with a path is valid. */
typedef struct tsr_candidate {
    const char
        *path;          /* a picture, a folder, a tar archive or a token file (.tess); NULL of an
                           anchor. Pictures and items belong to the original of the same name,
                           suffixes   aside; a single picture to a single original; and an item or
                           picture whose   whole path fits none to the only original of its file name */
    const char *name;   /* for people; default NULL: the path, with "first N tokens" */
    const char *series; /* candidates of one series are points of one curve; default NULL: the
                           tokenizer's name, the anchor's, or the path */
    uint32_t tokens; /* token files: decode at most the first N ids of each tile; default 0: all */
    const char *const *models; /* [model_count] token files: weights that may have made them, files
                                  or folders; default NULL: the bundled tokenizer, and the published
                                  model that the file names, where it was fetched, which are also
                                  tried after several that did not */
    int model_count;
    tsr_decode_settings
        decode;         /* token files: `tokens` and `progress` are not read; default zeros */
    const char *anchor; /* "jpeg", "webp", "avif" or "jxl": the originals again by that codec, each
                           picture at the most quality whose bytes are at most those that it takes
                           in `like`; "resize": made so small that its numbers are at most those of
                           its tokens in `like` (three numbers a pixel, Lanczos; brought back to
                           size by the same filter). Default NULL: no anchor */
    const tsr_measurement *like; /* anchors: measured before, over the same originals */
} tsr_candidate;

/* Which pictures are compared. */
typedef enum tsr_measure_at {
    TSR_AT_FITTED = 0,  /* of token files, what the tokenizer saw: the original fitted as the file
                           says, without padding, and the decoded picture of that size. Of files:
                           the pictures as they are */
    TSR_AT_ORIGINAL = 1 /* the original; what was decoded is brought to its size (Lanczos). Under
                           the fit "crop" only the part of the original that was cropped, which is
                           cut out at whole pixels */
} tsr_measure_at;

/* Receives each pair as it is compared, on the calling thread, in order: RGB [height, width, 3].
 * Nonzero stops the measurement with INTERRUPTED. */
typedef int (*tsr_pair_fn)(void *user, uint64_t index, const char *name, const uint8_t *original,
                           const uint8_t *candidate, int width, int height);

/* How many rows of features of pictures and windows networks computed, and how many were there. */
typedef struct tsr_feature_counts {
    uint64_t computed, reused;
} tsr_feature_counts;

/* How a measurement goes. A struct of zeros is the default. */
typedef struct tsr_measure_settings {
    const char *const
        *metrics; /* [metric_count] names; default NULL: psnr, ssim, ssim_uniform, l1 */
    int metric_count;
    const char *const
        *weights; /* [weight_count] "METRIC=PATH": weights of the judges; default NULL */
    int weight_count;
    tsr_measure_at at;     /* default TSR_AT_FITTED */
    int resize;            /* 1: a candidate of another size is brought to the original's (Lanczos),
                              and the picture's note says so; default 0: it is an error of that
                              picture */
    tsr_on_error on_error; /* STOP: the first picture that cannot be compared ends the call; SKIP:
                              it has a status and no numbers. Default STOP */
    uint64_t seed;         /* of the bootstrap, and of judges that draw; default 0: seed 1 */
    uint32_t resamples;    /* of the bootstrap, at most 1,000,000; default 0: 2000 */
    tsr_model_settings model; /* device, mask and precision of tokenizers and judges; its `model` is
                                 not read; default zeros, which is tsr_model_settings_default() */
    int force;         /* 1: token files are decoded with weights other than those they name */
    const char *cache; /* a folder, which is made: features of both sides that networks gave in
                          earlier runs (Inception's and I3D's: rfid, kid, is, precision, recall,
                          rfvd) are taken from its files, and new ones added at the end. A file is
                          of one judge, its weights, output, preparation, device and version of the
                          library; a row of the hash of the pixels. Default NULL: none */
    tsr_feature_counts *features; /* counts are added here; default NULL */
    tsr_pair_fn pair;             /* default NULL */
    void *pair_user;              /* first argument of `pair`; default NULL */
    tsr_progress_fn progress;     /* counts pictures; default NULL: no reports */
    void *progress_user;          /* first argument of `progress`; default NULL */
} tsr_measure_settings;

/* Compares one candidate with all originals, in one pass. Metrics of pictures run on all threads
 * of the context, one pair of pictures in memory for each; the numbers are the same for every
 * number of threads. *measurement is NULL on error; else the caller closes it with
 * tsr_measurement_close. settings may be NULL (the defaults).
 *
 * A picture in one folder alone, of another size, or unreadable, and a damaged item, is that
 * picture's status. Errors: ARGUMENT (an unknown metric or anchor, a metric of clips), MODEL and
 * MODEL_MISMATCH (no weights fit the token file; the judge's), UNSUPPORTED (a codec this build
 * lacks, features, video tokens), reading errors, device errors, INTERRUPTED; with STOP that of the
 * first picture. */
tsr_status tsr_measure(tsr_context *ctx, tsr_originals *originals, const tsr_candidate *candidate,
                       const tsr_measure_settings *settings, tsr_measurement **measurement);
/* Closes a measurement. NULL and a NULL *measurement are accepted. */
void tsr_measurement_close(tsr_measurement **measurement);

/* What is known of a candidate beside its quality. Texts are owned by the measurement. */
typedef struct tsr_measured {
    const char *name, *series;
    const char *kind;      /* "tokenizer", "files" or "anchor" */
    const char *model;     /* name of the tokenizer, or of the codec; "" of files */
    uint64_t model_hash;   /* XXH64 identity of the tokenizer's weights; 0: none */
    const char *precision; /* "f32" or "fast"; "" where nothing was decoded by a model */
    const char *device;    /* that decoded; "" likewise */
    tsr_measure_at at;
    uint32_t first_tokens; /* 0: all */
    uint64_t pictures;     /* of the originals, and those of the candidate without an original */
    uint64_t compared;     /* of `pictures`: have numbers */
    uint64_t failed;       /* of `pictures`: cannot be read or differ in size */
    uint64_t alone;        /* of `pictures`: in one of the two sides alone */
    uint64_t equal;        /* of `compared`: without any error in a pixel */
    uint64_t floored; /* anchors: pictures whose least bytes or numbers exceed what was asked */
    double tokens;    /* mean of the compared pictures; NaN of files and codecs */
    double bytes;     /* likewise, of the files, or of the items in the token file */
    double bits_per_pixel; /* all bits / all pixels as compared; NaN where bytes are not known */
    double encode_seconds; /* in all: of anchors the search; set by tsr_measurement_set_encode of
                              others; NaN: not known */
    double decode_seconds; /* in all; NaN where nothing was decoded by a model or codec */
} tsr_measured;
/* Fills *measured. */
void tsr_measurement_about(const tsr_measurement *measurement, tsr_measured *measured);
/* Says what encoding took, in seconds, for tsr_measured.encode_seconds. */
void tsr_measurement_set_encode(tsr_measurement *measurement, double seconds);

/* Says under which names the pair of picture `index` was written, relative to the report, for the
 * page; either may be NULL. Errors: ARGUMENT (beyond), MEMORY. */
tsr_status tsr_measurement_set_files(tsr_measurement *measurement, uint64_t index,
                                     const char *original, const char *candidate);

/* A metric of pictures over all of them. */
typedef struct tsr_summary {
    double mean;        /* over the `count` pictures with a finite value; infinity when all are
                           infinite; NaN without any */
    double sd;          /* sample standard deviation; NaN below two pictures */
    double low, high;   /* 95 % interval of the mean: percentiles 2.5 and 97.5 of the means of
                           `resamples` samples of the pictures with replacement; NaN below two */
    uint64_t count;     /* pictures in the mean */
    uint64_t infinite;  /* pictures whose value is infinite: PSNR without error */
    uint64_t missing;   /* compared pictures without the number */
    uint64_t worst;     /* index of the picture with the worst value; count 0: not set */
    double worst_value; /* NaN without any */
} tsr_summary;
/* Summarises a metric that was measured. Errors: NOT_FOUND (it was not), ARGUMENT (a metric of
 * sets), MEMORY. */
tsr_status tsr_measurement_summary(const tsr_measurement *measurement, const char *metric,
                                   tsr_summary *summary);
/* 95 % interval of a mean by the percentile bootstrap: percentiles 2.5 and 97.5, interpolated
 * linearly, of sum / weight of `resamples` (0: 2000) samples of `count` groups with replacement,
 * drawn by Philox from `seed` (0: 1). A group is a picture: sums [count] of its values, weights
 * [count] of what they are divided by (words, faces), above 0; NULL: 1 each. *low and *high are NaN
 * below two groups. The same for every number of threads. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_bootstrap_interval(tsr_context *ctx, const double *sums, const double *weights,
                                  uint64_t count, uint64_t seed, uint32_t resamples, double *low,
                                  double *high);
/* The number of a metric of sets. Errors: NOT_FOUND, ARGUMENT (a metric of pictures). */
tsr_status tsr_measurement_set(const tsr_measurement *measurement, const char *metric,
                               tsr_set_score *score);
/* One picture of a measurement. Texts are owned by it. */
typedef struct tsr_measured_picture {
    const char *name;
    tsr_status status;  /* OK: it was compared */
    const char *detail; /* of another status; "" with OK */
    const char *note;   /* what happened to it: "resized from 10x10"; "" nothing */
    int width, height;  /* as compared */
    uint64_t tokens;    /* 0: none */
    uint64_t bytes;     /* 0: not known */
} tsr_measured_picture;
/* Fills *picture with picture `index`, 0 .. pictures - 1: those of the originals in their order,
 * then those without an original. Errors: ARGUMENT (beyond). */
tsr_status tsr_measurement_picture(const tsr_measurement *measurement, uint64_t index,
                                   tsr_measured_picture *picture);
/* Value of a metric of pictures for picture `index`; NaN where there is none, and *why (may be
 * NULL) then says why, or is "". */
double tsr_measurement_value(const tsr_measurement *measurement, const char *metric, uint64_t index,
                             const char **why);

/* ---- clips ---------------------------------------------------------------------------------- */

/* Metrics of clips, fed with the frames of any number of pairs of clips, one after the other, as
 * tsr_video_evaluate and tsr_clip_evaluate hand them to their callback. */
typedef struct tsr_clip_measure tsr_clip_measure;
/* Opens settings->metrics [metric_count], metrics of clips all of them, with their judges. Of the
 * settings weights, seed and model are read, too. *measure is NULL on error; else the caller closes
 * it with tsr_clip_measure_close. Errors: ARGUMENT (none, an unknown metric, one twice, one of
 * pictures); those of opening judges. */
tsr_status tsr_clip_measure_open(tsr_context *ctx, const tsr_measure_settings *settings,
                                 tsr_clip_measure **measure);
/* NULL and a NULL *measure are accepted. */
void tsr_clip_measure_close(tsr_clip_measure **measure);
/* Takes the next frame of the clip at hand, both sides of it. Errors: MEMORY, the judges'. */
tsr_status tsr_clip_measure_add(tsr_clip_measure *measure, const tsr_frame_score *frame);
/* Ends the clip at hand: the next frame is the first of another one. */
void tsr_clip_measure_end(tsr_clip_measure *measure);
/* The number of metric `index`, in the order of the settings, over all clips so far, and what its
 * judge is (`model` may be NULL). Errors: ARGUMENT (beyond), MEMORY. */
tsr_status tsr_clip_measure_score(tsr_clip_measure *measure, int index, tsr_set_score *score,
                                  tsr_metric_model *model);

/* ---- reports -------------------------------------------------------------------------------- */

/* Measurements of several candidates over the same originals, and the document that says them:
 * JSON of the schema "tessera.report/1" (docs/EVALUATION.md). */
typedef struct tsr_report tsr_report;
/* What a report says of itself. Texts are copied. */
typedef struct tsr_report_head {
    const char *const *command; /* [command_count] the command that repeats it; default NULL */
    int command_count;
    const char *device;  /* default NULL: "cpu" */
    uint64_t seed;       /* default 0: seed 1 */
    const char *created; /* time in ISO 8601; default NULL: now */
} tsr_report_head;
/* Begins a report on these originals, of which it takes names and hash: NULL of a report without
 * pictures. *report is NULL on error. Errors: reading errors (the hash reads every file), MEMORY.
 */
tsr_status tsr_report_open(tsr_context *ctx, tsr_originals *originals, const char *path,
                           const tsr_report_head *head, tsr_report **report);
/* NULL and a NULL *report are accepted. */
void tsr_report_close(tsr_report **report);
/* Adds a measurement, which the report takes over: *measurement becomes NULL, also on error.
 * `command` [command_count] is the command that repeats this candidate, and may be NULL. Errors:
 * ARGUMENT (other originals than those before), MEMORY. */
tsr_status tsr_report_add(tsr_report *report, tsr_measurement **measurement,
                          const char *const *command, int command_count);
/* Moves all candidates of `from` behind those of `report`, with what was attached to them. Errors:
 * ARGUMENT (other originals), MEMORY. */
tsr_status tsr_report_move(tsr_report *report, tsr_report *from);
/* Puts a value that is JSON already under `key` of candidate `index` ("codes", "text", "faces"), or
 * of the report itself with index -1. Errors: ARGUMENT (beyond; not JSON), MEMORY. */
tsr_status tsr_report_attach(tsr_report *report, int index, const char *key, const char *json);
/* Hash of the names and bytes of the originals. */
uint64_t tsr_report_hash(const tsr_report *report);
/* Number of originals. */
uint64_t tsr_report_originals(const tsr_report *report);
/* Number of candidates. */
int tsr_report_count(const tsr_report *report);
/* Candidate `index`, owned by the report; NULL beyond. */
const tsr_measurement *tsr_report_candidate(const tsr_report *report, int index);
/* Makes the document, which the caller frees with free(). Errors: MEMORY. */
tsr_status tsr_report_json(const tsr_report *report, char **json);
/* Makes a table of comma-separated values (RFC 4180), which the caller frees with free(): a line
 * for each candidate, or with `pictures` 1 for each picture of each candidate; cells are empty
 * where there is no number, and "inf" where it is infinite. Errors: MEMORY. */
tsr_status tsr_report_csv(const tsr_report *report, int pictures, char **csv);
/* Writes `text` to a file, which appears when it is complete; "-" is stdout. Errors: EXISTS,
 * writing errors. */
tsr_status tsr_report_write(tsr_context *ctx, const char *path, const char *text);
/* Reads a document that tsr_report_json made. *report is NULL on error. Errors: reading errors,
 * FORMAT (the member in the detail text), VERSION (another schema). */
tsr_status tsr_report_read(tsr_context *ctx, const char *path, tsr_report **report);
/* The same from memory; `name` begins detail texts. */
tsr_status tsr_report_parse(tsr_context *ctx, const char *name, const char *json, size_t size,
                            tsr_report **report);

/* ---- laws ----------------------------------------------------------------------------------- */

/* Quality against tokens: quality = a * tokens^-b + d. */
typedef struct tsr_law {
    int points;                                         /* candidates that it was fitted to */
    double a, b, d;                                     /* NaN: not fitted, and `why` says why */
    double a_low, a_high, b_low, b_high, d_low, d_high; /* 95 %: percentiles over resampled pictures
                                                           (all points of a resample see the same);
                                                           NaN where pictures are fewer than two */
    double rms;         /* of the residuals at the points, in the unit of the metric */
    double least, most; /* tokens of the points */
    char why[200];
} tsr_law;
/* How laws are fitted. A struct of zeros is the default. */
typedef struct tsr_law_settings {
    const char *series; /* candidates of this series; default NULL: all tokenizers' together, such
                           as patch codebooks of several sizes */
    uint64_t seed;      /* default 0: the report's */
    uint32_t resamples; /* at most 100,000; default 0: 500 */
} tsr_law_settings;
/* Fits the law to the candidates of kind "tokenizer" that have a mean of `metric` and a number of
 * tokens, by least squares over their means, each weighted alike: a and d are linear for a given b,
 * which is searched over 0.001 .. 8 on a logarithmic grid of 400 and refined by golden section. At
 * least three different numbers of tokens are needed. Errors: NOT_FOUND (no candidate has the
 * metric), ARGUMENT (a metric of sets), MEMORY. */
tsr_status tsr_report_law(const tsr_report *report, const char *metric,
                          const tsr_law_settings *settings, tsr_law *law);
/* Quality that a law predicts. */
double tsr_law_at(const tsr_law *law, double tokens);

/* The fewest tokens of one picture that are good enough. */
typedef struct tsr_fewest {
    int candidate;   /* that has them; -1: none is good enough */
    uint64_t tokens; /* 0: none */
    double value;    /* of the metric there; NaN: none */
} tsr_fewest;
/* Finds them for each original, among the candidates of a series (NULL: of all tokenizers): with
 * `within` 0, those whose value is at least `threshold` (at most, where less is better); with
 * `within` 1, at most `threshold` worse than the best that the picture has in the series. fewest
 * [originals of the report] is the caller's. Errors: as tsr_report_law. */
tsr_status tsr_report_fewest(const tsr_report *report, const char *metric, const char *series,
                             int within, double threshold, tsr_fewest *fewest);

#endif /* TESSERA_EXPERIMENTAL */
#ifdef __cplusplus
}
#endif
#endif
