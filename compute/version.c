/* SPDX-License-Identifier: MIT */
/* version.c: the version of the linked library, from the build's project version. */
#include <tessera/tessera.h>

__attribute__((weak)) const char *tsr_version(void) {
    return TESSERA_VERSION;
}
