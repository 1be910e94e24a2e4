/* SPDX-License-Identifier: MIT */
/* registry.h: the families this build knows; the table is registry.def. */
#ifndef MODELS_REGISTRY_H
#define MODELS_REGISTRY_H

#include "../nn/family.h"

typedef struct tsr_registry_row {
    uint32_t id; /* of a tokenizer: written to token files, never reused; 0 of towers and judges */
    const tsr_family *family;
} tsr_registry_row;
extern const tsr_registry_row tsr_registry[];
extern const int tsr_registry_count;

/* "mosaic, flextok" into text, for messages. Returns text. */
const char *tsr_registry_names(char *text, size_t bytes);

enum { TSR_SWITCHES_MOST = 64 };
/* The switches of all families, ended by NULL: tsr_device_settings.switches. */
void tsr_registry_switches(const char *names[TSR_SWITCHES_MOST + 1]);

#endif
