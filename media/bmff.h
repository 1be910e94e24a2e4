/* SPDX-License-Identifier: MIT */
/* bmff.h: the little that is read here of the boxes of AVIF and HEIC files. */
#ifndef MEDIA_BMFF_H
#define MEDIA_BMFF_H

#include "reader.h"

/* Does the file's first box ("ftyp") name this brand of four letters, as major or compatible one?
 */
bool tsr_bmff_has_brand(tsr_bytes file, const char brand[4]);
/* Sets width and height to those of the largest picture that the file's properties ("ispe" inside
 * "meta") speak of, before any turn; 0, 0 where there are none. */
void tsr_bmff_size(tsr_bytes file, uint32_t *width, uint32_t *height);

#endif
