/* SPDX-License-Identifier: MIT */
/* needs.h: what a part of a test program may need, see TEST_PARTS. Each returns NULL where it is
 * there, otherwise why the part cannot run. */
#ifndef TESTS_NEEDS_H
#define TESTS_NEEDS_H

#include <stdbool.h>

const char *need_vulkan(void);        /* at least one Vulkan device */
const char *need_shared_golden(void); /* golden cases that are not in the tree: ../shared/golden */
/* A Vulkan device, and no sanitizer: for tests that take a minute on a software driver without. */
const char *need_vulkan_at_full_speed(void);
const char *need_jpeg(void); /* a build with JPEG */
const char *need_gif(void);
const char *need_video(void);
const char *need_libllama(void); /* scripts/llama.sh brings it */
/* $TESSERA_LLAMA, or where scripts/llama.sh puts the library without a folder. */
const char *libllama_path(void);

/* Whether this build was made with the library of a picture format: "JPEG", "JPEG 2000" ..., as
 * readers and writers call it. Asks the build, not the library under test. Says what is left out
 * where it was not. */
bool built_with(const char *format);

#endif
