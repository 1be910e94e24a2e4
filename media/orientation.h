/* SPDX-License-Identifier: MIT */
/* orientation.h: the EXIF orientation, from the blocks that carry it. */
#ifndef MEDIA_ORIENTATION_H
#define MEDIA_ORIENTATION_H

#include "reader.h"

/* Each returns 0 where the tag is absent, otherwise what stands there, be it nonsense: a tag with a
 * nonsense value still hides the carriers that come after it. */

/* From an EXIF block, which is laid out as a TIFF file, with or without "Exif\0\0" before it. */
int tsr_exif_orientation(tsr_bytes exif);
/* From an XMP packet: the first tiff:Orientation, as attribute or as element. */
int tsr_xmp_orientation(tsr_bytes xmp);
/* From the text that ImageMagick writes into a PNG as "Raw profile type exif": a name, a length and
 * the block in hexadecimal, on lines of their own. */
int tsr_profile_text_orientation(tsr_bytes text);

/* What is applied: the tag of EXIF where there is one, otherwise that of XMP; 1..8, nonsense is 1.
 */
int tsr_orientation_choose(int exif, int xmp);

#endif
