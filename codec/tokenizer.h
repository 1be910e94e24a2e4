/* SPDX-License-Identifier: MIT */
/* tokenizer.h: the inside of tsr_tokenizer, for the files of this folder. */
#ifndef CODEC_TOKENIZER_H
#define CODEC_TOKENIZER_H

#include <tessera/tessera.h>
#include "family.h"

struct tsr_tokenizer {
    tsr_context *ctx;
    tsr_device *device; /* where the model runs */
    tsr_device *host;   /* a cpu device for resampling; the same as device when that is cpu */
    tsr_safetensors *weights;
    const tsr_family *family;
    void *model;
    tsr_token_header header;
    char *path; /* of the file inside a folder */
    char device_text[300];
};

/* The weights linked into the library (models/bundled.c). */
extern const unsigned char tsr_bundled_model[];
extern const unsigned char tsr_bundled_model_end[];

/* Opens the weights (a file, a folder, NULL = bundled) and finds their family; *path is the file's,
 * owned by the tokenizer or the caller. */
tsr_status tsr_tokenizer_find(tsr_tokenizer *tokenizer, const char *model, const char **path);

/* The tokens of an item, to be changed. */
tsr_token_item *tsr_item_edit(tsr_item *item);
/* Keeps the first `count` ids of each tile; for items without a kept mask. */
void tsr_item_shorten(tsr_item *item, uint32_t count);
/* ARGUMENT unless the metric is known and the value in its range. */
tsr_status tsr_target_check(tsr_context *ctx, const tsr_target *target);

/* Fails with MODEL_MISMATCH (naming both) unless ids under `header` belong to this tokenizer;
 * `force` lets other weights of the same family and codebook pass. */
tsr_status tsr_tokenizer_accepts(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                 int force, const char *name);

#endif
