/* SPDX-License-Identifier: MIT */
/* av_filters.c: see av_filters.h. */
#ifdef TESSERA_WITH_VIDEO
#include "av_filters.h"
#include "../compute/context.h"

#include <dlfcn.h>
#include <libavutil/macros.h>

#define MAJOR AV_STRINGIFY(LIBAVFILTER_VERSION_MAJOR)
#ifdef __APPLE__
#define FILE_NAME "libavfilter." MAJOR ".dylib"
#else
#define FILE_NAME "libavfilter.so." MAJOR
#endif

tsr_status tsr_av_filters_open(tsr_context *ctx, const char *name, const char *what,
                               tsr_av_filters *filters) {
    /* Never closed: it registers what must outlive it, and the next one comes back at once. */
    void *library = dlopen(FILE_NAME, RTLD_NOW | RTLD_LOCAL);
    const char *missing = library ? NULL : dlerror();
    if (!library)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: %s: wanted the library %s, got: %s", name,
                        what, FILE_NAME, missing ? missing : "no reason");
#define X(function)                                                                                \
    *(void **)&filters->function = dlsym(library, #function);                                      \
    if (!filters->function && !missing) missing = #function;
    TSR_AV_FILTER_FUNCTIONS(X)
#undef X
    if (missing)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: %s: wanted %s in %s, got none", name, what,
                        missing, FILE_NAME);
    const unsigned major = filters->avfilter_version() >> 16;
    if (major != LIBAVFILTER_VERSION_MAJOR)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: %s: wanted version %d of %s, got %u", name,
                        what, LIBAVFILTER_VERSION_MAJOR, FILE_NAME, major);
    return TSR_OK;
}
#else
typedef int tsr_av_filters_are_left_out;
#endif
