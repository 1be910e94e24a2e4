/* SPDX-License-Identifier: MIT */
/* See alloc_fail.h. */
#include "alloc_fail.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local long countdown = -1;

void alloc_fail_at(long n) {
    countdown = n;
}

static int fails(void) {
    if (countdown < 0 || countdown-- > 0) return 0;
    errno = ENOMEM;
    return 1;
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
int __real_posix_memalign(void **p, size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *p, size_t size);
int __wrap_posix_memalign(void **p, size_t alignment, size_t size);

void *__wrap_malloc(size_t size) {
    return fails() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
    return fails() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *p, size_t size) {
    return fails() ? NULL : __real_realloc(p, size);
}
int __wrap_posix_memalign(void **p, size_t alignment, size_t size) {
    return fails() ? ENOMEM : __real_posix_memalign(p, alignment, size);
}
