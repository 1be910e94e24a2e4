/* SPDX-License-Identifier: MIT */
/* registry.c: the table of tokenizer families, made from registry.def. */
#include "../nn/family.h"

#define FAMILY(id, name) extern const tsr_family tsr_family_##name;
#include "registry.def"
#undef FAMILY

const tsr_registry_row tsr_registry[] = {
#define FAMILY(id, name) {id, &tsr_family_##name},
#include "registry.def"
#undef FAMILY
};
const int tsr_registry_count = sizeof tsr_registry / sizeof *tsr_registry;
