/* SPDX-License-Identifier: MIT */
/* picture_write.c: a picture to a file of the kind that its name says. */
#include "picture_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#ifndef TESSERA_WITH_JPEG
#define tsr_jpeg_put NULL
#endif
#ifndef TESSERA_WITH_WEBP
#define tsr_webp_put NULL
#endif
#ifndef TESSERA_WITH_AVIF
#define tsr_avif_put NULL
#endif
#ifndef TESSERA_WITH_JXL
#define tsr_jxl_put NULL
#endif
#ifndef TESSERA_WITH_TIFF
#define tsr_tiff_put NULL
#endif

static const tsr_picture_kind kinds[] = {
    {"png", "PNG", ".png ", false, true, 0x7fffffff, tsr_png_put},
    {"jpg", "JPEG", ".jpg .jpeg .jpe .jfif ", true, false, 65500, tsr_jpeg_put},
    {"webp", "WebP", ".webp ", true, true, 16383, tsr_webp_put},
    {"avif", "AVIF", ".avif ", true, true, 65536, tsr_avif_put},
    {"jxl", "JPEG XL", ".jxl ", true, true, 1 << 30, tsr_jxl_put},
    {"tiff", "TIFF", ".tiff .tif ", false, true, 0x7fffffff, tsr_tiff_put},
    {"ppm", "PPM", ".ppm .pnm ", false, true, 0x7fffffff, tsr_pnm_put},
};
enum { KINDS = sizeof kinds / sizeof *kinds, QUALITY = 95 };
#define FORMATS_TEXT "png, jpg, webp, avif, jxl, tiff or ppm"

/* The suffix of a path's last part, with its dot; "" where there is none. */
static const char *suffix_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot != name ? dot : "";
}

/* NULL: no kind has it. */
static const tsr_picture_kind *kind_of_suffix(const char *suffix) {
    const size_t n = strlen(suffix);
    for (int i = 0; n && i < KINDS; ++i)
        for (const char *s = kinds[i].suffixes; *s; s += strcspn(s, " ") + 1)
            if (strcspn(s, " ") == n && !strncasecmp(s, suffix, n)) return &kinds[i];
    return NULL;
}

bool tsr_picture_is_name(const char *path) {
    static const char *const unwritten[] = {".gif", ".bmp", ".heic", ".jp2", ".qoi"};
    const char *suffix = suffix_of(path);
    for (size_t i = 0; i < sizeof unwritten / sizeof *unwritten; ++i)
        if (!strcasecmp(suffix, unwritten[i])) return true;
    return kind_of_suffix(suffix) != NULL;
}

static const tsr_picture_kind *kind_of_format(const char *format) {
    char suffix[16];
    snprintf(suffix, sizeof suffix, ".%s", format);
    return kind_of_suffix(suffix);
}

/* Pipes and devices have names that mean nothing. */
static bool named_by_people(const char *path) {
    struct stat st;
    return strcmp(path, "-") && strncmp(path, "/dev/", 5) &&
           (stat(path, &st) || S_ISREG(st.st_mode));
}

tsr_status tsr_picture_kind_of(tsr_context *ctx, const char *path,
                               const tsr_picture_write_settings *settings,
                               const tsr_picture_kind **kind) {
    const tsr_picture_write_settings s = settings ? *settings : (tsr_picture_write_settings){0};
    const char *suffix = named_by_people(path) ? suffix_of(path) : "";
    const tsr_picture_kind *said = kind_of_suffix(suffix),
                           *wanted = s.format ? kind_of_format(s.format) : NULL;
    if (s.format && !wanted)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "format: wanted " FORMATS_TEXT ", got %s",
                        s.format);
    if (wanted && said && wanted != said)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a name for %s, got one for %s", path,
                        wanted->title, said->title);
    if (!wanted && !said && *suffix)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted the suffix of a picture (.png, .jpg, .webp, .avif, .jxl, "
                        ".tiff, .ppm) or a format beside the name, got %s",
                        path, suffix);
    const tsr_picture_kind *k = wanted ? wanted : said ? said : &kinds[0];
    if (s.quality < 0 || s.quality > 100)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "picture quality: wanted 1 to 100, got %d",
                        s.quality);
    if (s.quality && !k->lossy)
        return tsr_fail(
            ctx, TSR_ERROR_ARGUMENT,
            "picture quality: wanted JPEG, WebP, AVIF or JPEG XL with it, got %s, which "
            "keeps every pixel",
            k->title);
    if (s.quality && s.lossless)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "picture quality: wanted a quality or lossless, got both");
    if (s.lossless && !k->lossless)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "lossless: wanted a format that can, got %s",
                        k->title);
    if (!k->write) {
        const bool named = strcmp(path, "-"); /* a pipe, or one of a folder's pictures */
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s%sthis build writes no %s",
                        named ? path : "", named ? ": " : "", k->title);
    }
    *kind = k;
    return TSR_OK;
}

tsr_status tsr_picture_write_check(tsr_context *ctx, const char *path,
                                   const tsr_picture_write_settings *settings) {
    const tsr_picture_kind *kind;
    if (!path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_picture_write: wanted a path, got NULL");
    const tsr_status status = tsr_picture_kind_of(ctx, path, settings, &kind);
    return status ? status : tsr_out_check(ctx, path);
}

static tsr_status check_size(tsr_context *ctx, const tsr_picture_kind *kind, const char *path,
                             int width, int height, const uint8_t *rgb) {
    if (width < 1 || height < 1 || !rgb)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted at least 1x1, got %dx%d", path,
                        width, height);
    if (width > kind->most_side || height > kind->most_side)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted at most %d pixels a side (%s), got %dx%d", path,
                        kind->most_side, kind->title, width, height);
    return TSR_OK;
}

static tsr_picture_job job_of(tsr_out *out, const char *name, int width, int height,
                              const uint8_t *rgb, const tsr_picture_write_settings *s) {
    return (tsr_picture_job){.out = out,
                             .name = name,
                             .width = width,
                             .height = height,
                             .rgb = rgb,
                             .quality = s && s->quality ? s->quality : QUALITY,
                             .lossless = s && s->lossless,
                             .half_chroma = s && s->half_chroma};
}

static tsr_status write_as(tsr_context *ctx, const tsr_picture_kind *kind, const char *path,
                           int width, int height, const uint8_t *rgb,
                           const tsr_picture_write_settings *s) {
    tsr_status status = check_size(ctx, kind, path, width, height, rgb);
    if (status) return status;
    tsr_out out;
    status = tsr_out_open(ctx, path, &out);
    if (status) return status;
    const tsr_picture_job job = job_of(&out, path, width, height, rgb, s);
    status = kind->write(ctx, &job);
    if (!status) status = tsr_out_commit(ctx, &out);
    tsr_out_abandon(&out);
    return status;
}

tsr_status tsr_picture_write(tsr_context *ctx, const char *path, int width, int height,
                             const uint8_t *rgb, const tsr_picture_write_settings *settings) {
    const tsr_picture_kind *kind = NULL;
    if (!path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_picture_write: wanted a path, got NULL");
    const tsr_status status = tsr_picture_kind_of(ctx, path, settings, &kind);
    return status ? status : write_as(ctx, kind, path, width, height, rgb, settings);
}

tsr_status tsr_picture_encode(tsr_context *ctx, int width, int height, const uint8_t *rgb,
                              const tsr_picture_write_settings *settings, uint8_t **bytes,
                              size_t *size) {
    const tsr_picture_kind *kind = NULL;
    if (!bytes || !size)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_picture_encode: wanted an address, got NULL");
    *bytes = NULL;
    *size = 0;
    tsr_status status = tsr_picture_kind_of(ctx, "-", settings, &kind);
    if (!status) status = check_size(ctx, kind, "picture", width, height, rgb);
    if (status) return status;
    tsr_out out = tsr_out_memory();
    const tsr_picture_job job = job_of(&out, "picture", width, height, rgb, settings);
    status = kind->write(ctx, &job);
    if (status) {
        free(out.bytes);
        return status;
    }
    *bytes = out.bytes;
    *size = (size_t)out.written;
    return TSR_OK;
}

tsr_status tsr_png_write(tsr_context *ctx, const char *path, int width, int height,
                         const uint8_t *rgb) {
    return write_as(ctx, &kinds[0], path, width, height, rgb, NULL);
}

tsr_status tsr_picture_write_png(tsr_context *ctx, const char *path, int width, int height,
                                 const uint8_t *rgb) {
    if (!path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_picture_write_png: wanted a path, got NULL");
    return tsr_png_write(ctx, path, width, height, rgb);
}
