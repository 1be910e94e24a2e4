/* SPDX-License-Identifier: MIT */
/* needs.h: what a part of a test program may need, see TEST_PARTS. Each returns NULL where it is
 * there, otherwise why the part cannot run. */
#ifndef TESTS_NEEDS_H
#define TESTS_NEEDS_H

const char *need_vulkan(void);        /* at least one Vulkan device */
const char *need_shared_golden(void); /* golden cases that are not in the tree: ../shared/golden */
/* A Vulkan device, and no sanitizer: for tests that take a minute on a software driver without. */
const char *need_vulkan_at_full_speed(void);

#endif
