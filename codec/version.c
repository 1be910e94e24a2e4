/* SPDX-License-Identifier: MIT */
/* version.c: what this build of the library is: its version, commit, parts and libraries. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include "tessera_build.h"
#include "tessera_commit.h"

const char *tsr_version(void) {
    return TESSERA_VERSION;
}

const char *tsr_build_commit(void) {
    return TESSERA_COMMIT;
}

const char *tsr_build_features(void) {
    return TESSERA_FEATURES;
}

const char *tsr_build_libraries(void) {
    return TESSERA_LIBRARIES;
}
