/* SPDX-License-Identifier: MIT */
/* probe.h: what a picture file says about itself, read from its bytes without decoding anything. */
#ifndef FORMATS_PROBE_H
#define FORMATS_PROBE_H

#include "image.h"

typedef enum tsr_picture_format {
    TSR_FORMAT_NONE = 0,
    TSR_FORMAT_PNG,
    TSR_FORMAT_JPEG,
    TSR_FORMAT_WEBP,
    TSR_FORMAT_GIF,
    TSR_FORMAT_BMP,
    TSR_FORMAT_TIFF,
    TSR_FORMAT_PBM,
    TSR_FORMAT_PGM,
    TSR_FORMAT_PPM,
    TSR_FORMAT_PAM,
    TSR_FORMAT_QOI,
    TSR_FORMAT_JPEG2000
} tsr_picture_format;

/* Facts from the header of a picture file. */
typedef struct tsr_probe {
    tsr_picture_format format; /* NONE: not a picture this library knows */
    tsr_image_source source;
    uint32_t width, height; /* as stored; 0, 0 when the header has no size */
    int orientation;        /* EXIF, 1..8; 1 when absent or nonsense */
    int components;         /* JPEG: colour components of the frame; else 0 */
    size_t adobe_at;        /* JPEG: offset of the text "Adobe" in its marker; 0: no marker */
    bool unfinished;        /* JPEG, QOI: the end mark is missing */
    int adobe_transform;    /* JPEG: Adobe's transform: 0 CMYK or RGB, 1 YCbCr, 2 YCCK */
    bool opaque;            /* BMP: the fourth byte of a pixel means nothing */
    bool animated;          /* WebP: frames instead of one picture */
} tsr_probe;

/* Reads the header of a picture file. */
tsr_probe tsr_picture_probe(const void *bytes, size_t size);
/* Orientation tag of an EXIF block, which is laid out as a TIFF file; 1 when there is none. */
int tsr_exif_orientation(const void *tiff, size_t size);

#endif
