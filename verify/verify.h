/* SPDX-License-Identifier: MIT */
/* verify.h: checking this build against a golden case: a folder with manifest.json, inputs and
 * known answers. verify_case.c reads the manifest and goes through the runs; each verify_<topic>.c
 * makes the outputs of some kinds of run and has a line in cases.def; verify.c is what topics call.
 *
 * A run is sticky. Its first failure is kept in tsr_verify.status, and every function that takes a
 * tsr_verify does nothing from then on: a topic reads and compares from top to bottom, and looks at
 * `status` only where it computes something itself. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include <cjson/cJSON.h>

#include "../compute/arena.h"
#include "../compute/device.h"

enum { TSR_VERIFY_LATER = 64 };
typedef struct tsr_verify {
    /* the case */
    tsr_context *ctx;
    tsr_device *device;
    const char *folder;
    const cJSON *manifest;
    const char *model, *family; /* names in the manifest; family is "" where there is none */
    double id_margin;           /* ids must agree where their margin is at least this */
    tsr_verify_settings settings;
    int passed, failed; /* lines so far */
    struct {            /* what tsr_verify_model opened; freed at the end of the case */
        void *data;
        void (*close)(void *data);
        bool opened; /* opening succeeded */
    } model_state;

    /* one run */
    const cJSON *run;    /* object of the manifest; its name begins messages and lines */
    tsr_status status;   /* first failure of the run */
    tsr_scratch scratch; /* arrays of the run; freed at its end */
    struct {             /* what else the run made; closed at its end */
        void *data;
        void (*close)(void **data);
    } later[TSR_VERIFY_LATER];
    int later_count;
} tsr_verify;

/* Makes and compares the outputs of v->run. A failure becomes a failed line with the message; the
 * case goes on with the next run unless memory or the device is gone. */
typedef void (*tsr_verify_run_fn)(tsr_verify *v);
#define TSR_VERIFY_OP(name, topic) void tsr_verify_##topic(tsr_verify *v);
#define TSR_VERIFY_FAMILY          TSR_VERIFY_OP
#include "cases.def"
#undef TSR_VERIFY_OP
#undef TSR_VERIFY_FAMILY

/* ---- the state of a run ---- */

/* Records a failure and its message, unless the run has failed before. */
void tsr_verify_fail(tsr_verify *v, tsr_status status, const char *format, ...) TSR_PRINTF(3, 4);
/* Records FORMAT with the message "<folder>/manifest.json: <run>: <text>". */
void tsr_verify_refuse(tsr_verify *v, const char *format, ...) TSR_PRINTF(2, 3);
/* Records the status of a call that has written its message, unless the run has failed before: for
 * calls during which outputs are compared. */
void tsr_verify_record(tsr_verify *v, tsr_status status);
/* Array of count * size bytes, zeroed, that lives until the end of the run. NULL after a failure,
 * which may be this call's: MEMORY, naming `what`. */
void *tsr_verify_take(tsr_verify *v, int64_t count, size_t size, const char *what);

/* Has `data` closed at the end of the run, or now where this call fails: FORMAT, for more
 * than TSR_VERIFY_LATER. NULL is accepted. */
void tsr_verify_close_later(tsr_verify *v, void *data, void (*close)(void **data));
/* Frees what the run made. */
void tsr_verify_run_end(tsr_verify *v);

/* Model that all runs of the case use: `size` bytes, zeroed and filled by `open` at the first call,
 * the same address at later calls. `open` records its failure in v->status. NULL after a failure;
 * where an earlier run failed to open the model: MODEL. `close` frees what `open` made, also after
 * a failure, but not `model` itself. */
void *tsr_verify_model(tsr_verify *v, size_t size, void (*open)(tsr_verify *v, void *model),
                       void (*close)(void *model));
/* Closes the case's model, if there is one; the next tsr_verify_model opens again. */
void tsr_verify_model_close(tsr_verify *v);

/* ---- reading the manifest: FORMAT, naming run and field, where a value cannot be used ---- */

/* Name of the run, "(unnamed)" where it has none. */
const char *tsr_verify_name(const tsr_verify *v);
/* Text of a field that must be there. "" after a failure. */
const char *tsr_verify_text(tsr_verify *v, const cJSON *object, const char *field);
/* Number of a field, `otherwise` where there is none. */
double tsr_verify_number(const cJSON *object, const char *field, double otherwise);
/* Reads a list of `least` to `most` integers into values [most]; returns how many there are, 0
 * after a failure. */
int tsr_verify_integers(tsr_verify *v, const cJSON *object, const char *field, int *values,
                        int least, int most);
/* Hash of a field: "0x" and 16 digits. 0 after a failure. */
uint64_t tsr_verify_hash(tsr_verify *v, const cJSON *object, const char *field);
/* Writes the path of a file of the case, or of "../inputs", the folder that cases share, into
 * path [bytes]. FORMAT for a name that leads elsewhere, ARGUMENT for a path that is too long; path
 * is "" after a failure. */
void tsr_verify_path(tsr_verify *v, const char *file, char *path, size_t bytes);
/* Entry called `name` of the object's list ("inputs", "outputs"); NULL when there is none. */
const cJSON *tsr_verify_entry(const cJSON *object, const char *list, const char *name);
/* Entry of the run's outputs called `name`; NULL when there is none. */
const cJSON *tsr_verify_output(const tsr_verify *v, const char *name);
/* Array in the file an entry names, of this element type; its data lives until the end of the run.
 * Zeroed after a failure. */
tsr_tensor tsr_verify_array(tsr_verify *v, const cJSON *entry, tsr_dtype dtype);
/* Array of f8 or f4 in the file an entry names, unrounded: [*count] until the end of the run. NULL
 * after a failure. */
const double *tsr_verify_doubles(tsr_verify *v, const cJSON *entry, int64_t *count);

/* ---- reporting ---- */

/* Reports one line called "<run>/<output>", or "<run>" where output is "", and counts it. */
void tsr_verify_line(tsr_verify *v, const char *output, bool passed, const char *format, ...)
    TSR_PRINTF(4, 5);
/* Reports that an output is not compared, and why: neither passed nor failed. */
void tsr_verify_leave_out(tsr_verify *v, const char *output, const char *why);
/* Reports a hash: passed if got == want. */
void tsr_verify_hash_line(tsr_verify *v, const char *output, uint64_t want, uint64_t got);

/* Rows whose decision another machine may take otherwise; a difference there is counted as a near
 * tie, and is no failure. */
typedef struct tsr_verify_ties {
    const uint8_t *row; /* [rows] 1 = near tie; NULL = none */
    int64_t width;      /* values of a row in the output compared */
} tsr_verify_ties;
/* Near ties among n decisions, [n] of 0 or 1, until the end of the run: where the run's stored
 * output "margin" [n] is below the case's id_margin. All 0 where the run stores none. NULL after a
 * failure. */
const uint8_t *tsr_verify_near_ties(tsr_verify *v, int64_t n);

/* Compare an array with the entry called `output`: shape, values (all, or every stride-th), for
 * strided files also sum and sum of squares. One line is reported; none where the run has no such
 * entry. With settings.write the array is also written. */
void tsr_verify_f32(tsr_verify *v, const char *output, const float *got, int rank,
                    const int64_t *dim);
void tsr_verify_f32_ties(tsr_verify *v, const char *output, const float *got, int rank,
                         const int64_t *dim, tsr_verify_ties ties);
void tsr_verify_i32(tsr_verify *v, const char *output, const int32_t *got, int rank,
                    const int64_t *dim);
void tsr_verify_i32_ties(tsr_verify *v, const char *output, const int32_t *got, int rank,
                         const int64_t *dim, tsr_verify_ties ties);
/* The same for float64, stored as such. */
void tsr_verify_f64(tsr_verify *v, const char *output, const double *got, int rank,
                    const int64_t *dim);
/* Compares an 8-bit picture: values may differ by at most the entry's `tol`, in at most its
 * `max_fraction` of the values. */
void tsr_verify_u8(tsr_verify *v, const char *output, const uint8_t *got, int rank,
                   const int64_t *dim);

/* FNV-1a of `size` bytes, 64 bits. */
uint64_t tsr_verify_fnv(const void *bytes, size_t size);

#endif
