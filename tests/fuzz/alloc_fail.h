/* SPDX-License-Identifier: MIT */
/* alloc_fail.h: allocations of the library that fail on demand. The linker sends the malloc family
 * of everything linked statically through alloc_fail.c (--wrap). */
#ifndef TESTS_ALLOC_FAIL_H
#define TESTS_ALLOC_FAIL_H

/* The n-th allocation from now on (0 = the next) fails, once; negative = none. */
void alloc_fail_at(long n);

#endif
