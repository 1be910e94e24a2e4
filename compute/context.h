/* SPDX-License-Identifier: MIT */
/* context.h: the inside of tsr_context, and how the library reports a failure.
 *
 * Every internal function that can fail takes the context first and ends with
 *     return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header length: wanted at most %zu, got %zu",
 * ...); The text names the file, the field, wanted and got, in this order. The first failure
 * stands: a caller that fails because its callee failed returns the callee's status unchanged. */
#ifndef COMPUTE_CONTEXT_H
#define COMPUTE_CONTEXT_H

#include <stddef.h>
#include <tessera/status.h>

typedef struct tsr_threads tsr_threads;
typedef struct tsr_scratch_piece tsr_scratch_piece;

struct tsr_context {
    tsr_context_settings settings; /* with zeros replaced by the real numbers, texts our own */
    tsr_threads *threads;          /* started at the first parallel call */
    tsr_scratch_piece *kept;       /* arrays for the next call (arena.h), the newest first */
    size_t kept_bytes;
    char detail[1024];
    struct tsr_device_info *cpu; /* as its first cpu device found it: reading it takes a third of a
                                    millisecond; NULL before */
};

#if defined(__GNUC__)
#define TSR_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define TSR_PRINTF(f, a)
#endif

/* Writes the detail text of ctx and returns `status`. ctx may be NULL (the text is then lost). */
tsr_status tsr_fail(tsr_context *ctx, tsr_status status, const char *format, ...) TSR_PRINTF(3, 4);
/* Fails like tsr_fail, with ": " and errno's text added and the status that belongs to errno:
 * ENOENT gives NOT_FOUND, ENOSPC and EDQUOT NO_SPACE, ENOMEM MEMORY, any other IO. Call this
 * function before any that may change errno. */
tsr_status tsr_fail_errno(tsr_context *ctx, const char *format, ...) TSR_PRINTF(2, 3);
/* Hands a message to the context's log function if its level is asked for. ctx may be NULL. */
void tsr_log(tsr_context *ctx, tsr_log_level level, const char *format, ...) TSR_PRINTF(3, 4);

/* Allocates count * size zeroed bytes, which the caller frees with free(). NULL after a MEMORY
 * failure that names `what`: no memory, or count * size overflows or exceeds the context's limit.
 */
void *tsr_alloc(tsr_context *ctx, size_t count, size_t size, const char *what);
/* The same, not zeroed: for large arrays that are written before they are read. */
void *tsr_alloc_raw(tsr_context *ctx, size_t count, size_t size, const char *what);

#endif
