/* SPDX-License-Identifier: MIT */
/* simd.h: TSR_CLONES on a function lets the compiler build it for several instruction sets; the
 * right one is picked when the program is loaded. Loops inside must be plain enough to vectorise.
 * Sanitizer builds go without: the picking runs before their runtime is ready. */
#ifndef COMPUTE_SIMD_H
#define COMPUTE_SIMD_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer) || __has_feature(undefined_behavior_sanitizer)
#define TSR_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TSR_SANITIZED 1
#endif

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) &&       \
    !defined(TSR_SANITIZED)
#define TSR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TSR_CLONES
#endif

/* Stands before a loop whose iterations do not depend on each other, whatever its pointers are.
 * clang's pragma becomes an error where clang does not vectorise (sanitizers, -O1), so clang gets
 * none. */
#if defined(__GNUC__) && !defined(__clang__)
#define TSR_INDEPENDENT _Pragma("GCC ivdep")
#else
#define TSR_INDEPENDENT
#endif

#endif
