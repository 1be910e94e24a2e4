/* SPDX-License-Identifier: MIT */
/* fake_layer.h: tests put tests/vulkan_layer between the Vulkan loader and a driver. */
#ifndef TESTS_FAKE_LAYER_H
#define TESTS_FAKE_LAYER_H

#include <stdbool.h>
#include <stddef.h>

/* Why the layer cannot be used, for TEST_PARTS; NULL: it can. Asks for a Vulkan device, too. */
const char *need_fake_layer(void);
/* Lets instances made from now on go through the layer, whose variables (fake_device_layer.c) are
 * set to those of `variables`, "NAME=value" each, ended by NULL, and no others. */
void fake_layer(const char *const *variables);
/* Lets instances made from now on go to the drivers alone. */
void fake_layer_off(void);
/* The layer's log, emptied when `fake_layer` is called: how many of its lines begin with `start`.
 */
int fake_layer_lines(const char *start);

#endif
