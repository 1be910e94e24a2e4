/* SPDX-License-Identifier: MIT */
/* context_open.c: opening a context, and closing it with its threads. */
#include "context.h"
#include "threads.h"

#include <stdlib.h>
#include <unistd.h>

tsr_context_settings tsr_context_settings_default(void) {
    return (tsr_context_settings){.log_level = TSR_LOG_WARNING};
}

tsr_status tsr_context_open(tsr_context **ctx, const tsr_context_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    *ctx = NULL;
    tsr_context_settings s = settings ? *settings : tsr_context_settings_default();
    if (s.threads < 0 || s.threads > 1024) return TSR_ERROR_ARGUMENT;
    if (s.threads == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        s.threads = cores < 1 ? 1 : cores > 1024 ? 1024 : (int)cores;
    }
    if (s.memory_limit == 0) {
        long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
        s.memory_limit =
            pages > 0 && page > 0 ? (uint64_t)pages * (uint64_t)page / 4 * 3 : (uint64_t)1 << 31;
    }
    tsr_context *c = calloc(1, sizeof *c);
    if (!c) return TSR_ERROR_MEMORY;
    c->settings = s;
    *ctx = c;
    return TSR_OK;
}

void tsr_context_close(tsr_context **ctx) {
    if (!ctx || !*ctx) return;
    tsr_threads_close(&(*ctx)->threads);
    free(*ctx);
    *ctx = NULL;
}
