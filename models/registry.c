/* SPDX-License-Identifier: MIT */
/* registry.c: the table of tokenizer families, made from registry.def. */
#include "../nn/family.h"

#include <stdio.h>

#define FAMILY(id, name) extern const tsr_family tsr_family_##name;
#include "registry.def"
#undef FAMILY

const tsr_registry_row tsr_registry[] = {
#define FAMILY(id, name) {id, &tsr_family_##name},
#include "registry.def"
#undef FAMILY
};
const int tsr_registry_count = sizeof tsr_registry / sizeof *tsr_registry;

const char *tsr_registry_names(char *text, size_t bytes) {
    size_t used = 0;
    text[0] = 0;
    for (int i = 0; i < tsr_registry_count && used < bytes; ++i)
        used += (size_t)snprintf(text + used, bytes - used, "%s%s", i ? ", " : "",
                                 tsr_registry[i].family->name);
    return text;
}
