/* SPDX-License-Identifier: MIT */
/* status.h: what every call of the library answers, and the context that holds the detail.
 *
 *     tsr_context *ctx = NULL;
 *     tsr_context_open(&ctx, NULL);
 *     if (tsr_x(ctx, ...) != TSR_OK) fprintf(stderr, "%s\n", tsr_detail(ctx));
 *     tsr_context_close(&ctx);
 *
 * The library never aborts, never prints and has no global state. A context may be used by one
 * thread at a time; different contexts may be used by different threads at the same time. */
#ifndef TESSERA_STATUS_H
#define TESSERA_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Numbers are pinned in tens by kind and never reused; 0 is success. */
typedef enum tsr_status {
    TSR_OK = 0,
    TSR_ERROR_ARGUMENT = 10,  /* a caller's value is out of range or missing */
    TSR_ERROR_STATE = 11,     /* the call does not fit what was called before */
    TSR_ERROR_MEMORY = 20,    /* an allocation failed */
    TSR_ERROR_TOO_LARGE = 21, /* refused before allocating: input would need more than the limit */
    TSR_ERROR_IO = 30,        /* open, read, write, rename failed; detail has errno's text */
    TSR_ERROR_NOT_FOUND = 31,
    TSR_ERROR_NO_SPACE = 32,  /* disk full */
    TSR_ERROR_FORMAT = 40,    /* the bytes are not what the format says */
    TSR_ERROR_TRUNCATED = 41, /* the bytes end too early */
    TSR_ERROR_CHECKSUM = 42,
    TSR_ERROR_VERSION = 43,        /* a major version this build does not know */
    TSR_ERROR_MODEL = 50,          /* weights or configuration do not make a model */
    TSR_ERROR_MODEL_MISMATCH = 51, /* a good model, but not the one asked for */
    TSR_ERROR_TOKENS = 52,         /* ids, counts or geometry do not fit the model */
    TSR_ERROR_DEVICE = 60,         /* a device call failed */
    TSR_ERROR_NO_DEVICE = 61,
    TSR_ERROR_DEVICE_LOST = 62, /* sticky: the device answers nothing more */
    TSR_ERROR_UNSUPPORTED = 70, /* well-formed, but this build cannot do it */
    TSR_ERROR_INTERRUPTED = 80  /* a callback asked to stop */
} tsr_status;

/* Short English text of a status ("file is truncated"). Never NULL, static storage. */
const char *tsr_status_text(tsr_status status);
/* Its constant's name ("TSR_ERROR_TRUNCATED"). Never NULL, static storage. */
const char *tsr_status_name(tsr_status status);

typedef struct tsr_context tsr_context;

typedef enum tsr_log_level {
    TSR_LOG_ERROR = 0,
    TSR_LOG_WARNING = 1,
    TSR_LOG_INFO = 2,
    TSR_LOG_DEBUG = 3
} tsr_log_level;
/* Called on whichever thread logs. `text` is one line without newline, valid during the call. */
typedef void (*tsr_log_fn)(void *user, tsr_log_level level, const char *text);

typedef struct tsr_context_settings {
    int threads;             /* worker threads for CPU work; 0 = one for each online core */
    uint64_t memory_limit;   /* bytes a single call may plan for; 0 = three quarters of RAM */
    tsr_log_level log_level; /* default TSR_LOG_WARNING */
    tsr_log_fn log;          /* NULL = silent */
    void *log_user;
} tsr_context_settings;

tsr_context_settings tsr_context_settings_default(void);

/* Opens a context. `settings` may be NULL for the defaults. *ctx is NULL on error.
 * Errors: ARGUMENT (ctx NULL, threads negative or over 1024), MEMORY. */
tsr_status tsr_context_open(tsr_context **ctx, const tsr_context_settings *settings);
/* Closes it and sets *ctx to NULL. NULL and a NULL *ctx are accepted. */
void tsr_context_close(tsr_context **ctx);
/* One line about the last failed call: file, field, wanted and got. Owned by the context, valid
 * until its next call; "" if nothing failed. */
const char *tsr_detail(const tsr_context *ctx);

#ifdef __cplusplus
}
#endif
#endif
