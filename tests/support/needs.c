/* SPDX-License-Identifier: MIT */
/* needs.c: see needs.h. */
#include "needs.h"

#include "everywhere.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WITHOUT "this build was made without "

const char *need_vulkan(void) {
    return everywhere_has_vulkan() ? NULL : EVERYWHERE_NO_VULKAN;
}

const char *need_shared_golden(void) {
    return access(TESSERA_SHARED "/golden", R_OK) ? "../shared/golden is not there" : NULL;
}

const char *need_vulkan_at_full_speed(void) {
#if defined(__SANITIZE_ADDRESS__)
    return "a minute on a software driver, several under a sanitizer";
#else
    return need_vulkan();
#endif
}

const char *libllama_path(void) {
    const char *set = getenv("TESSERA_LLAMA");
    return set && *set ? set : TESSERA_TESTS "/../build/llama/lib/libllama.v0.5.0.so";
}

const char *need_libllama(void) {
    return access(libllama_path(), R_OK) ? "libllama is not there (scripts/llama.sh brings it)"
                                         : NULL;
}

static const char *const formats[] = {
#ifdef TESSERA_WITH_JPEG
    "JPEG",
#endif
#ifdef TESSERA_WITH_TIFF
    "TIFF",
#endif
#ifdef TESSERA_WITH_WEBP
    "WebP",
#endif
#ifdef TESSERA_WITH_GIF
    "GIF",
#endif
#ifdef TESSERA_WITH_JPEG2000
    "JPEG 2000",
#endif
#ifdef TESSERA_WITH_AVIF
    "AVIF",
#endif
#ifdef TESSERA_WITH_JXL
    "JPEG XL",
#endif
#ifdef TESSERA_WITH_HEIF
    "HEIC",
#endif
#ifdef TESSERA_WITH_VIDEO
    "video",
#endif
    NULL};

static bool has_format(const char *format) {
    for (int i = 0; formats[i]; ++i)
        if (!strcmp(formats[i], format)) return true;
    return false;
}

const char *need_jpeg(void) {
    return has_format("JPEG") ? NULL : WITHOUT "JPEG";
}

const char *need_gif(void) {
    return has_format("GIF") ? NULL : WITHOUT "GIF";
}

const char *need_video(void) {
    return has_format("video") ? NULL : WITHOUT "video";
}

bool built_with(const char *format) {
    const bool has = has_format(format);
    if (!has) leave_out(WITHOUT "%s", format);
    return has;
}
