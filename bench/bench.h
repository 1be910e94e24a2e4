/* SPDX-License-Identifier: MIT */
/* bench.h: how a benchmark row is made. `tessera bench` runs every suite of suites.def; a suite is
 * one function in bench_<suite>.c that builds its operands and calls tsr_bench_case (a model
 * function: timed on every device, and on the cpu once more through the plain C reference) or
 * tsr_bench_time (anything else: a rival library, a memory copy).
 *
 *     tsr_status tsr_bench_suite_example(tsr_bencher *b) {
 *         ...
 *         tsr_bench_case c = {.name = "softmax 4096x256", .fn = softmax, .flops = ..., .bytes =
 * ..., .in = &x, .in_count = 1, .out = &y, .out_count = 1}; return tsr_bench_program(b, &c);
 *     }
 *
 * Each row is one line of JSON: name, by (tessera, reference, onednn ...), device, driver, dtype,
 * n, min/median/p95 in ms, cpu_ms (mean CPU time of all threads), GFLOP/s and GB/s of the median,
 * share of the measured peak, activation bytes, peak resident bytes, threads, version and commit.
 * On a GPU with timestamps also what its own clock says: device_ms of one item, host_ms (the median
 * less that), and "programs": for each program that ran its name, runs, ms of a run and "ops" as
 * tsr_times_json of compute/times.h writes them; rows of one op have op, op_ms (of one item),
 * op_tflops and op_gbs. A
 * row that fails says so in "error" and the other rows still run; the first failure is what
 * tsr_bench returns. */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/tessera.h>
#include "../compute/context.h"
#include "../compute/device.h"

#define TSR_BENCH_DEVICES 16

typedef struct tsr_bench_device {
    tsr_device_info info;
    tsr_device *device; /* opened at the first row that needs it */
    tsr_status opened;  /* result of opening the device */
    bool tried;
    bool reference; /* cpu, plain C reference of every op */
} tsr_bench_device;

/* Measured peak of the cpu with all threads; 0: not known. */
typedef struct tsr_bench_peaks {
    double gflops, gbs; /* fused multiply-adds in registers; bytes read and written in a copy */
} tsr_bench_peaks;

typedef struct tsr_bencher {
    tsr_context *ctx;
    tsr_bench_settings settings;
    tsr_bench_fn row;
    void *user;
    tsr_bench_device devices[TSR_BENCH_DEVICES]; /* cpu, cpu reference, then vulkan:N */
    int device_count;
    tsr_bench_peaks peaks;
    uint64_t rows; /* given */
    tsr_status first_failure;
    char first_detail[1024];
} tsr_bencher;

/* A row without its times. */
typedef struct tsr_bench_row {
    const char *name;              /* the work: "linear 1024x768x768"; equal for all who do it */
    const char *by;                /* "tessera", "reference", "onednn", "faiss", ... */
    const char *dtype;             /* NULL = "f32" */
    const tsr_device_info *device; /* NULL = the cpu */
    double flops, bytes; /* work of one item: multiply and add count as two; each operand once */
    int items;           /* how many items one call of the body does; 0 = 1 */
    size_t activation_bytes;
    double setup_seconds; /* packing, recording, shader compilation: the call before warm-up */
    double *median;       /* gets the seconds of one item; NULL = not asked for */
    tsr_device *timed;    /* the device the body runs on, whose ops are timed in further calls;
                             NULL = not timed */
    const char *timed_op; /* the op that the row is about; NULL = the whole */
} tsr_bench_row;

typedef tsr_status (*tsr_bench_body)(void *arg);

/* Hands a row over as text. Frees `row`. INTERRUPTED when the caller wants no more. */
struct cJSON;
tsr_status tsr_bench_row_give(tsr_bencher *b, struct cJSON *row);
/* True if the row is asked for (--filter). Ask before building operands. */
bool tsr_bench_wants(const tsr_bencher *b, const char *name);
/* True if rows of the cpu device are asked for (--device). */
bool tsr_bench_wants_cpu(const tsr_bencher *b);
/* Warms up, times the body at least ten times (three when that would take over five seconds; "n"
 * says so) and emits the row. Returns OK also when the body failed: the row carries the error. */
tsr_status tsr_bench_time(tsr_bencher *b, const tsr_bench_row *row, tsr_bench_body body, void *arg);

typedef struct tsr_bench_case {
    const char *name;
    tsr_model_fn fn;
    void *model; /* handed to fn; may be NULL */
    int64_t variant;
    const char *dtype; /* NULL = "f32" */
    double flops, bytes;
    const tsr_tensor *in;
    int in_count;
    tsr_tensor *out;
    int out_count;
    bool no_reference; /* the reference would take minutes */
} tsr_bench_case;

/* Times a model function on every device that was asked for. On a hardware GPU the function is
 * recorded 16 times in one submission and the time divided by 16, so that the transfer of operands
 * and the submission weigh as little as they do inside a model. */
tsr_status tsr_bench_program(tsr_bencher *b, const tsr_bench_case *c);

/* Device `index` of the bencher, opened; NULL (with the reason recorded as a row of `name`) when it
 * cannot be. For suites that need the device itself. */
tsr_device *tsr_bench_open(tsr_bencher *b, int index, const char *name);
/* The same device opened once more with another tsr_device_settings.submission; the caller closes
 * it. */
tsr_device *tsr_bench_open_for(tsr_bencher *b, const tsr_bench_device *d, const char *name,
                               double submission);
/* tsr_bench_row.dtype of rows on devices from tsr_bench_open: "fast", or NULL for f32. */
const char *tsr_bench_dtype(const tsr_bencher *b);

/* Makes n floats from a counter-based generator, uniform in -1..1, which the caller frees with
 * free(). NULL after a MEMORY failure. */
float *tsr_bench_floats(tsr_context *ctx, size_t n, uint32_t seed);

/* Paints picture `number`, rgb [height, width, 3], with the spectrum of a photograph, roughly:
 * noise summed at several scales. */
void tsr_bench_paint(uint8_t *rgb, int number, int width, int height);

/* Measures the cpu's peaks in some tenths of a second. gbs is 0 without memory for the copy. */
tsr_bench_peaks tsr_bench_measure_peaks(tsr_context *ctx);

/* Emits a row for each Vulkan device that says what it is ("details": compute/details.h). */
tsr_status tsr_bench_describe(tsr_bencher *b);

/* Whether the weights of this name are a tower's, which another suite measures than tokenizers. */
bool tsr_bench_is_tower(tsr_context *ctx, const char *name);

#define TSR_BENCH_SUITE(name) tsr_status tsr_bench_suite_##name(tsr_bencher *b);
#include "suites.def"
#undef TSR_BENCH_SUITE

#endif
