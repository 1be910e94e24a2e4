/* SPDX-License-Identifier: MIT */
/* picture_write.h: the kinds of picture files that are written, one write_<kind>.c each. A kind
 * writes RGB pixels into an output that is open already; picture_write.c chooses it by the file's
 * suffix, and opens and commits the output. */
#ifndef MEDIA_PICTURE_WRITE_H
#define MEDIA_PICTURE_WRITE_H

#include <tessera/tessera.h>
#include "../formats/file.h"

/* One picture on its way into a file. */
typedef struct tsr_picture_job {
    tsr_out *out;
    const char *name; /* begins the detail text */
    int width, height;
    const uint8_t *rgb; /* [height, width, 3] */
    int quality;        /* 1..100 */
    bool lossless;
    bool half_chroma; /* jpg alone */
} tsr_picture_job;

/* A kind of picture file. */
typedef struct tsr_picture_kind {
    const char *name;  /* "jpg": what tsr_picture_write_settings.format says; ".jpg" is a suffix */
    const char *title; /* "JPEG" */
    const char
        *suffixes; /* with dots and a blank behind each, the usual one first: ".jpg .jpeg " */
    bool lossy, lossless; /* has a quality; can keep every pixel */
    int most_side;        /* pixels */
    /* Writes the whole file into job->out. NULL: this build cannot. Errors: writing errors. */
    tsr_status (*write)(tsr_context *ctx, const tsr_picture_job *job);
} tsr_picture_kind;

tsr_status tsr_png_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_pnm_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_jpeg_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_webp_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_avif_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_jxl_put(tsr_context *ctx, const tsr_picture_job *job);
tsr_status tsr_tiff_put(tsr_context *ctx, const tsr_picture_job *job);

/* The kind that a file of this name and these settings gets; checks the settings against it.
 * Errors: ARGUMENT (an unknown format or suffix, a suffix of another format, a quality where there
 * is none), UNSUPPORTED (a kind that this build was made without). */
tsr_status tsr_picture_kind_of(tsr_context *ctx, const char *path,
                               const tsr_picture_write_settings *settings,
                               const tsr_picture_kind **kind);

/* True if a path ends as the names of pictures do, also of formats that are not written. */
bool tsr_picture_is_name(const char *path);

#endif
