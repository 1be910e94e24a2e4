/* SPDX-License-Identifier: MIT */
/* range_coder.h: ids through an adaptive binary range coder with neighbour contexts; SPEC.md,
 * section 9. */
#ifndef FORMATS_RANGE_CODER_H
#define FORMATS_RANGE_CODER_H

#include <tessera/tokens.h>
#include "range_bits.h"

enum { TSR_RANGE_MAX_DIGITS = 16, TSR_RANGE_SETS = 8 + 9 + 9 };

/* Arrangement of the ids of one layer: for each tile in turn, its ids number first, first + 1, ...
 */
typedef struct tsr_range_layout {
    const uint32_t *lengths; /* [tiles] ids of each tile in the layer */
    uint32_t tiles, first;
    uint32_t columns; /* columns of the grid; 0: a sequence */
} tsr_range_layout;

/* How an id is cut into digits, and which contexts code them. */
typedef struct tsr_range_model {
    uint32_t digits;
    uint32_t radix[TSR_RANGE_MAX_DIGITS]; /* with levels */
    uint32_t shift[TSR_RANGE_MAX_DIGITS]; /* without levels */
    uint32_t width[TSR_RANGE_MAX_DIGITS];
    uint32_t base[TSR_RANGE_MAX_DIGITS]; /* where a digit's contexts start */
    int by_levels;
    uint32_t codebook_size;
    uint32_t context_count;
} tsr_range_model;

/* Makes the model of a valid header. A codebook of one id gives a model of no digits. */
tsr_range_model tsr_range_model_of(const tsr_token_header *header);
/* Codes the ids of a layer into at most `room` bytes. Returns the number of bytes, or SIZE_MAX when
 * they exceed `room`. `contexts` is scratch, [model->context_count]. */
size_t tsr_range_encode(const tsr_range_model *model, tsr_range_context *contexts,
                        const tsr_range_layout *layout, const uint32_t *ids, uint8_t *bytes,
                        size_t room);
/* Decodes the ids of a layer. Returns 0, or -1 when an id is not below codebook_size. `contexts` is
 * scratch, [model->context_count]. */
int tsr_range_decode(const tsr_range_model *model, tsr_range_context *contexts,
                     const tsr_range_layout *layout, const uint8_t *bytes, size_t size,
                     uint32_t *ids);

#endif
