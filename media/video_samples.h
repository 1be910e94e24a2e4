/* SPDX-License-Identifier: MIT */
/* video_samples.h: the colour rule of videos that are written: 8-bit R, G, B to samples of 8 bits.
 * It is the inverse of the rule by which videos are read (docs/VIDEO.md). With r, g, b on the 0..1
 * scale and Kg = 1 - Kr - Kb:
 *
 *     y = Kr r + Kg g + Kb b        u = (b - y) / (2 (1 - Kb))        v = (r - y) / (2 (1 - Kr))
 *
 *     limited range    Y = floor(16 + 219 y + 1/2)    C = floor(128 + 224 c + 1/2)
 *     full range       Y = floor(255 y + 1/2)         C = min(255, floor(128 + 255 c + 1/2))
 *
 * Kr, Kb: BT.601 .299 .114, BT.709 .2126 .0722, BT.2020 .2627 .0593 (ITU-R). All of it is computed
 * in integers, so that no sample depends on a compiler. Chroma of 4:2:0 is the *box* average: that
 * of the mean of the 2 x 2 pixels that the sample covers (sited at their centre), which is nearest
 * in the mean square for readers that repeat chroma. At an odd edge the last row or column counts
 * twice. */
#ifndef MEDIA_VIDEO_SAMPLES_H
#define MEDIA_VIDEO_SAMPLES_H

#include <tessera/media.h>

/* Numbers of the formulas; K in units of 1/10000. */
typedef struct tsr_sample_rule {
    int32_t red, green, blue; /* Kr, Kg, Kb */
    int32_t black, luma, chroma;
} tsr_sample_rule;
/* `matrix` is one of BT601, BT709, BT2020, `range` LIMITED or FULL. */
tsr_sample_rule tsr_sample_rule_of(tsr_video_matrix matrix, tsr_video_range range);

/* Where the samples of a picture go. */
typedef struct tsr_sample_planes {
    uint8_t *y, *u, *v;
    int y_stride, u_stride, v_stride; /* bytes */
} tsr_sample_planes;
/* Converts RGB [height, width, 3] to 4:2:0: Y is [height, width], U and V are [(height + 1) / 2,
 * (width + 1) / 2]. With `even` an odd last row and column of Y stand twice: Y then has an even
 * number of both. */
void tsr_samples_420(const tsr_sample_rule *rule, const uint8_t *rgb, uint32_t width,
                     uint32_t height, int even, const tsr_sample_planes *planes);

#endif
