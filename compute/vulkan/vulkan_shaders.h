/* SPDX-License-Identifier: MIT */
/* vulkan_shaders.h: the SPIR-V modules that are built in (a table made by cmake/shaders.cmake). */
#ifndef COMPUTE_VULKAN_SHADERS_H
#define COMPUTE_VULKAN_SHADERS_H

#include <stdint.h>

typedef struct tsr_shader {
    const char *name;
    const uint32_t *words;
    uint32_t count;
} tsr_shader;

extern const tsr_shader tsr_shaders[];
extern const int tsr_shader_count;

#endif
