/* SPDX-License-Identifier: MIT */
/* compare.h: how much of a picture its ids give back, measured against what the model saw
 * (tsr_item_fitted). */
#ifndef CODEC_COMPARE_H
#define CODEC_COMPARE_H

#include "tokenizer.h"

typedef struct tsr_compare {
    tsr_tokenizer *tokenizer;
    const tsr_token_header *header;
    int width, height;
    const uint8_t *fitted; /* [height, width, 3], the item's */
    uint8_t *decoded;      /* [height, width, 3] */
} tsr_compare;

/* Prepares comparisons with what `item` keeps fitted; the item outlives them. Errors: ARGUMENT (it
 * keeps none), MEMORY. On success tsr_compare_close. */
tsr_status tsr_compare_open(tsr_tokenizer *tokenizer, const tsr_item *item, tsr_compare *compare);
void tsr_compare_close(tsr_compare *compare);
/* Decodes the first `count` ids of each tile (0: all) and measures. *value: dB, SSIM, or mean
 * absolute error on the 0..1 scale. Errors: ARGUMENT (too small for SSIM), those of decoding. */
tsr_status tsr_compare_measure(tsr_compare *compare, const tsr_token_item *item, uint32_t count,
                               tsr_target_metric metric, double *value);

#endif
