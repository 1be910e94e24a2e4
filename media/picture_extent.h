/* SPDX-License-Identifier: MIT */
/* picture_extent.h: where a picture ends among bytes that go on behind it, found from its structure
 * without decoding it: for pipes in which pictures follow one another. */
#ifndef MEDIA_PICTURE_EXTENT_H
#define MEDIA_PICTURE_EXTENT_H

#include <stddef.h>
#include <stdint.h>

typedef enum tsr_extent {
    TSR_EXTENT_KNOWN, /* the picture ends at `end` */
    TSR_EXTENT_MORE,  /* at least `end` bytes are wanted to say more */
    TSR_EXTENT_REST,  /* nothing says where it ends, or its structure is broken */
    TSR_EXTENT_NONE   /* no picture begins here */
} tsr_extent;

/* What was seen so far of a picture that is still growing; zeros in the beginning. The bytes that
 * were seen must not change, and may move. */
typedef struct tsr_extent_scan {
    size_t at;         /* bytes that are behind us */
    uint64_t left;     /* samples, pixels or blocks to come, where they are counted */
    int inside;        /* in the data of a scan, a block or a raster */
    size_t last, also; /* JPEG: end of the pictures that belong to it (MPF), and begin of one */
} tsr_extent_scan;

/* Looks at the first `size` bytes of a picture. Every offset is checked before it is used, and
 * nothing is allocated. */
tsr_extent tsr_picture_extent(const void *bytes, size_t size, tsr_extent_scan *scan, size_t *end);

#endif
