/* SPDX-License-Identifier: MIT */
/* status.h: the result of every call of the library, and the context that holds the detail text.
 *
 *     tsr_context *ctx = NULL;
 *     tsr_context_open(&ctx, NULL);
 *     if (tsr_x(ctx, ...) != TSR_OK) fprintf(stderr, "%s\n", tsr_detail(ctx));
 *     tsr_context_close(&ctx);
 *
 * The library never aborts, never prints and has no global state. A context may be used by one
 * thread at a time; different contexts may be used by different threads at the same time.
 *
 * After fork() the child may go on with the parent's contexts, and with what was opened with them
 * on the cpu; worker threads are started again there. What was opened on a GPU fails in the child
 * with DEVICE_LOST and may only be closed: open it again in the child. fork() while another thread
 * is inside a call leaves that call's context to be closed alone. */
#ifndef TESSERA_STATUS_H
#define TESSERA_STATUS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Result of a call: 0 is success. Numbers are grouped in tens by kind, never change and are never
 * reused. */
typedef enum tsr_status {
    TSR_OK = 0,
    TSR_ERROR_ARGUMENT = 10,  /* a caller's value is out of range or missing */
    TSR_ERROR_STATE = 11,     /* the call does not fit what was called before */
    TSR_ERROR_MEMORY = 20,    /* an allocation failed */
    TSR_ERROR_TOO_LARGE = 21, /* refused before allocating: the input exceeds a limit */
    TSR_ERROR_IO = 30,        /* open, read, write or rename failed; the detail has errno's text */
    TSR_ERROR_NOT_FOUND = 31, /* no file, tensor or model of that name */
    TSR_ERROR_NO_SPACE = 32,  /* the disk is full */
    TSR_ERROR_EXISTS = 33,    /* the output exists, and the context keeps what exists */
    TSR_ERROR_FORMAT = 40,    /* the bytes are not what the format says */
    TSR_ERROR_TRUNCATED = 41, /* the bytes end too early */
    TSR_ERROR_CHECKSUM = 42,  /* the bytes disagree with their checksum */
    TSR_ERROR_VERSION = 43,   /* a major version this build does not know */
    TSR_ERROR_DAMAGED = 44,   /* a file is cut or damaged; what is whole in it was used */
    TSR_ERROR_MODEL = 50,     /* weights or configuration do not make a model */
    TSR_ERROR_MODEL_MISMATCH = 51, /* a good model, but not the one asked for */
    TSR_ERROR_TOKENS = 52,         /* ids, counts or geometry do not fit the model */
    TSR_ERROR_DEVICE = 60,         /* a device call failed */
    TSR_ERROR_NO_DEVICE = 61,      /* no usable device of that name */
    TSR_ERROR_DEVICE_LOST = 62,    /* every later call on the device fails with this status, too */
    TSR_ERROR_UNSUPPORTED = 70,    /* well-formed, but this build cannot do it */
    TSR_ERROR_INTERRUPTED = 80     /* a callback asked to stop */
} tsr_status;

/* Short English text of a status ("file is truncated"). Never NULL, static storage. */
const char *tsr_status_text(tsr_status status);
/* Name of a status's constant ("TSR_ERROR_TRUNCATED"). Never NULL, static storage. */
const char *tsr_status_name(tsr_status status);

/* An exact fraction, such as 30000/1001 frames a second. den is above 0; 0 where the number is not
 * known. */
typedef struct tsr_rational {
    int64_t num, den;
} tsr_rational;

/* Settings, worker threads and the detail text of the last failure. */
typedef struct tsr_context tsr_context;

/* Weight of a log message; a larger number is more detail. */
typedef enum tsr_log_level {
    TSR_LOG_ERROR = 0,
    TSR_LOG_WARNING = 1,
    TSR_LOG_INFO = 2,
    TSR_LOG_DEBUG = 3
} tsr_log_level;
/* Receives one log message, on the thread that logs, which may be a worker thread. `text` is one
 * line without newline, valid during the call. */
typedef void (*tsr_log_fn)(void *user, tsr_log_level level, const char *text);

/* How a context works. A struct of zeros differs from the default in log_level alone. */
typedef struct tsr_context_settings {
    int threads; /* worker threads for CPU work, 0..1024; default 0: one for each processor the
                    process may use, by its CPU affinity and the quotas of its control groups,
                    rounded up */
    uint64_t memory_limit;    /* bytes that a single call may plan for; default 0: three quarters of
                                 the memory the process may use, which is the least of the RAM, the
                                 limits of its control groups and what is left of RLIMIT_AS when the
                                 context is opened */
    int keep_existing;        /* 1: no call replaces a file that exists: the call fails with EXISTS,
                                 before it computes anything where it knows the file's name by then,
                                 and also when the file appeared meanwhile. 0: the new file takes
                                 the place of the old one when it is complete; default 0, since a
                                 program that names a file has decided. Devices and pipes are never
                                 refused */
    tsr_log_level log_level;  /* messages up to this level are logged; default TSR_LOG_WARNING */
    tsr_log_fn log;           /* receives messages; default NULL: silence */
    void *log_user;           /* first argument of `log`; default NULL */
    const char *cache_folder; /* folder where GPU devices keep their compiled programs, which makes
                                 the next start quicker; made when something is first written to
                                 it. What is damaged in it or of another device is not used, and a
                                 folder that cannot be written is no failure. Copied. Default NULL:
                                 nothing is kept */
} tsr_context_settings;
/* Default settings of a context. */
tsr_context_settings tsr_context_settings_default(void);

/* Opens a context, which the caller closes with tsr_context_close. `settings` may be NULL (the
 * defaults). *ctx is NULL on error. Errors: ARGUMENT (ctx NULL; threads out of range), MEMORY. */
tsr_status tsr_context_open(tsr_context **ctx, const tsr_context_settings *settings);
/* Closes a context and sets *ctx to NULL. NULL and a NULL *ctx are accepted. Everything that was
 * opened with the context must be closed before. */
void tsr_context_close(tsr_context **ctx);
/* One line about the last call that failed: file, field, wanted and got. "" when none failed, and
 * for ctx NULL. Owned by the context and valid until its next call. */
const char *tsr_detail(const tsr_context *ctx);

/* Receives the progress of a long call, on the calling thread: `done` of `total` steps of `what`, a
 * text that is valid during the call. A nonzero result stops the work: the long call then returns
 * INTERRUPTED and leaves no
 * output, or what it says. `total` 0: it is not known. */
typedef int (*tsr_progress_fn)(void *user, const char *what, uint64_t done, uint64_t total);

#ifdef __cplusplus
}
#endif
#endif
