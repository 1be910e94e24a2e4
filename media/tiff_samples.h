/* SPDX-License-Identifier: MIT */
/* tiff_samples.h: strips and tiles of a TIFF to RGB. */
#ifndef MEDIA_TIFF_SAMPLES_H
#define MEDIA_TIFF_SAMPLES_H

#include "reader.h"

#include <tiffio.h>

enum { TSR_TIFF_MOST_SAMPLES = 32 };

/* How the samples of a TIFF lie, checked: 1..16 bits unsigned, colours <= samples <=
 * TSR_TIFF_MOST_SAMPLES, blocks of at least 1x1 and within the limit on pixels. */
typedef struct tsr_tiff_layout {
    uint32_t width, height;
    uint32_t bits, samples, sample_format, photometric, compression, ink_set; /* tags */
    int colours;        /* bands that are colours, from the first: 1, 3, 4 */
    int alpha;          /* band that is transparency, -1: none */
    bool premultiplied; /* colours were multiplied by alpha */
    bool separate;      /* each band in strips or tiles of its own */
    bool tiled;
    uint32_t block_width, block_height; /* of a tile, or of a strip */
} tsr_tiff_layout;

/* Reads every pixel into d->image, which is allocated. false: libtiff failed, or *status says
 * why. */
bool tsr_tiff_read(const tsr_picture_decode *d, TIFF *tiff, const tsr_tiff_layout *layout,
                   tsr_status *status);

#endif
