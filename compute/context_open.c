/* SPDX-License-Identifier: MIT */
/* context_open.c: opening a context, and closing it with its threads. */
#include "arena.h"
#include "context.h"
#include "limits.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>

tsr_context_settings tsr_context_settings_default(void) {
    return (tsr_context_settings){.log_level = TSR_LOG_WARNING};
}

tsr_status tsr_context_open(tsr_context **ctx, const tsr_context_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    *ctx = NULL;
    tsr_context_settings s = settings ? *settings : tsr_context_settings_default();
    if (s.threads < 0 || s.threads > 1024) return TSR_ERROR_ARGUMENT;
    if (s.threads == 0) s.threads = tsr_limits_processors();
    if (s.memory_limit == 0) {
        s.memory_limit = tsr_limits_memory() / 4 * 3;
        if (s.memory_limit < 1 << 20) s.memory_limit = 1 << 20; /* 0 would be the default again */
    }
    tsr_context *c = calloc(1, sizeof *c);
    if (!c) return TSR_ERROR_MEMORY;
    c->settings = s;
    if (s.cache_folder && !(c->settings.cache_folder = strdup(s.cache_folder))) {
        free(c);
        return TSR_ERROR_MEMORY;
    }
    *ctx = c;
    return TSR_OK;
}

void tsr_context_close(tsr_context **ctx) {
    if (!ctx || !*ctx) return;
    tsr_threads_close(&(*ctx)->threads);
    tsr_scratch_forget(*ctx);
    free((*ctx)->cpu);
    free((void *)(*ctx)->settings.cache_folder);
    free(*ctx);
    *ctx = NULL;
}
