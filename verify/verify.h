/* SPDX-License-Identifier: MIT */
/* verify.h: checking this build against a golden case: a folder with manifest.json, inputs and
 * known answers. verify_case.c reads the manifest; each verify_<topic>.c knows how to make
 * the outputs of some runs, has a line in cases.def, and compares by what stands here. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include <cjson/cJSON.h>

#include "../compute/device.h"

typedef struct tsr_verify {
    tsr_context *ctx;
    tsr_device *device;
    const char *folder;
    const char *model, *family; /* of the manifest */
    const cJSON *manifest;
    double id_margin; /* ids must agree where the margin is at least this */
    /* What a topic keeps from run to run (a model's weights), and how it is closed. */
    void *kept;
    void (*close_kept)(void *kept);
    tsr_verify_settings settings;
    int passed, failed;
} tsr_verify;

/* Makes and compares the outputs of one run. A failure becomes a failed line of its own; the rest
 * of the case goes on unless memory or the device is gone. */
typedef tsr_status (*tsr_verify_run_fn)(tsr_verify *v, const cJSON *run);
#define TSR_VERIFY_OP(name, topic) tsr_status tsr_verify_##topic(tsr_verify *v, const cJSON *run);
#define TSR_VERIFY_FAMILY          TSR_VERIFY_OP
#include "cases.def"
#undef TSR_VERIFY_OP
#undef TSR_VERIFY_FAMILY

/* ---- reading the manifest: each fails with FORMAT naming run and field ---- */

const char *tsr_verify_name(const cJSON *run); /* the run's name, never NULL */
tsr_status tsr_verify_text(tsr_verify *v, const cJSON *run, const cJSON *object, const char *field,
                           const char **text);
/* A number, or `otherwise` where there is none. */
double tsr_verify_number(const cJSON *object, const char *field, double otherwise);
/* Array of exactly `count` integers, or of 1 .. most when *count is 0. */
tsr_status tsr_verify_integers(tsr_verify *v, const cJSON *run, const cJSON *object,
                               const char *field, int *values, int most, int *count);
tsr_status tsr_verify_hash(tsr_verify *v, const cJSON *run, const cJSON *object, const char *field,
                           uint64_t *hash); /* "0x..." */
/* Path of a file of the case, or of "../inputs", which cases share; names that lead elsewhere are
 * refused. */
tsr_status tsr_verify_path(tsr_verify *v, const cJSON *run, const char *file, char *path,
                           size_t bytes);
/* The entry of "inputs" or "outputs" called `name`; NULL when there is none. */
const cJSON *tsr_verify_entry(const cJSON *run, const char *list, const char *name);
/* Reads the array an entry names. tensor->data is malloc'd. */
tsr_status tsr_verify_array(tsr_verify *v, const cJSON *run, const cJSON *entry, tsr_dtype dtype,
                            tsr_tensor *tensor);

/* ---- reporting ---- */

/* One line, "run/output". */
void tsr_verify_line(tsr_verify *v, const cJSON *run, const char *output, bool passed,
                     const char *format, ...) TSR_PRINTF(5, 6);

/* Rows whose decision another machine may take otherwise; they are counted, not compared. */
typedef struct tsr_verify_ties {
    const uint8_t *row; /* [rows] 1 = near tie; NULL = none */
    int64_t width;      /* values of a row in the output compared */
} tsr_verify_ties;

/* Compares a whole array that was made with the entry called `output`: shape, values (all, or every
 * stride-th), for strided files also sum and sum of squares. A case without the entry has nothing
 * to compare and gives no line. */
tsr_status tsr_verify_f32(tsr_verify *v, const cJSON *run, const char *output, const float *got,
                          int rank, const int64_t *dim, tsr_verify_ties ties);
tsr_status tsr_verify_i32(tsr_verify *v, const cJSON *run, const char *output, const int32_t *got,
                          int rank, const int64_t *dim, tsr_verify_ties ties);
/* 8-bit pictures: at most `tol` in at most `max_fraction` of the values. */
tsr_status tsr_verify_u8(tsr_verify *v, const cJSON *run, const char *output, const uint8_t *got,
                         int rank, const int64_t *dim);

/* FNV-1a, 64 bits. */
uint64_t tsr_verify_fnv(const void *bytes, size_t size);

#endif
