/* SPDX-License-Identifier: MIT */
/* context.c: failure texts, logging, memory within the limit. */
#include "context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

const char *tsr_detail(const tsr_context *ctx) {
    return ctx ? ctx->detail : "";
}

tsr_status tsr_fail(tsr_context *ctx, tsr_status status, const char *format, ...) {
    if (ctx) {
        /* The arguments may point into the old detail, so write aside first. */
        char text[sizeof ctx->detail];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        /* Names come from files: none may break the line or speak to a terminal. */
        for (char *p = text; *p; ++p)
            if ((unsigned char)*p < 0x20 || *p == 0x7F) *p = '?';
        memcpy(ctx->detail, text, sizeof text);
    }
    return status;
}

tsr_status tsr_fail_errno(tsr_context *ctx, const char *format, ...) {
    int error = errno;
    tsr_status status = error == ENOENT                      ? TSR_ERROR_NOT_FOUND
                        : error == ENOSPC || error == EDQUOT ? TSR_ERROR_NO_SPACE
                        : error == ENOMEM                    ? TSR_ERROR_MEMORY
                                                             : TSR_ERROR_IO;
    char text[sizeof ctx->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return tsr_fail(ctx, status, "%s: %s", text, strerror(error));
}

void tsr_log(tsr_context *ctx, tsr_log_level level, const char *format, ...) {
    if (!ctx || !ctx->settings.log || level > ctx->settings.log_level) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    ctx->settings.log(ctx->settings.log_user, level, text);
}

static void *allocate(tsr_context *ctx, size_t count, size_t size, const char *what, bool zeroed) {
    uint64_t limit = ctx ? ctx->settings.memory_limit : UINT64_MAX;
    if (size && count > SIZE_MAX / size) {
        tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: %zu x %zu bytes overflow", what, count, size);
        return NULL;
    }
    if ((uint64_t)count * size > limit) {
        tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: wanted at most %llu bytes (the memory limit), got %zu",
                 what, (unsigned long long)limit, count * size);
        return NULL;
    }
    if (!count) count = 1;
    if (!size) size = 1;
    void *p = zeroed ? calloc(count, size) : malloc(count * size);
    if (!p) tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", what, count * size);
    return p;
}

void *tsr_alloc(tsr_context *ctx, size_t count, size_t size, const char *what) {
    return allocate(ctx, count, size, what, true);
}

/* Touching a large array for the first time costs as much as a pass over it when each page of 4 KiB
 * is asked for alone. */
static void want_huge_pages(void *p, size_t bytes) {
#ifdef MADV_HUGEPAGE
    const uintptr_t huge = (uintptr_t)1 << 21, from = ((uintptr_t)p + huge - 1) / huge * huge;
    const uintptr_t to = ((uintptr_t)p + bytes) / huge * huge;
    if (bytes >= 4 * huge && to > from) madvise((void *)from, to - from, MADV_HUGEPAGE);
#else
    (void)p, (void)bytes;
#endif
}

void *tsr_alloc_raw(tsr_context *ctx, size_t count, size_t size, const char *what) {
    void *p = allocate(ctx, count, size, what, false);
    if (p) want_huge_pages(p, count * size);
    return p;
}
