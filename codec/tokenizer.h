/* SPDX-License-Identifier: MIT */
/* tokenizer.h: the inside of tsr_tokenizer, for the files of this folder. */
#ifndef CODEC_TOKENIZER_H
#define CODEC_TOKENIZER_H

#include <tessera/tessera.h>
#include "../nn/family.h"

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

/* Tiles to what the family makes of them, and back. values: ids [count, capacity], or vectors
 * [count, capacity, channels] of f32, as the header says; both are of tsr_value_bytes. kept [count,
 * (capacity + 7) / 8] is filled by families that choose. */
size_t tsr_value_bytes(const tsr_token_header *header);
tsr_status tsr_tokenizer_encode_tiles(tsr_tokenizer *tokenizer, const uint8_t *tiles, int count,
                                      uint32_t tokens, const tsr_selection *selection, void *values,
                                      uint32_t *counts, uint8_t *kept, uint64_t *near_ties);
tsr_status tsr_tokenizer_decode_tiles(tsr_tokenizer *tokenizer, const void *values,
                                      const uint32_t *counts, int count,
                                      const tsr_sampling *sampling, float *rgb);

enum { TSR_STEPS_MOST = 10000, TSR_GUIDANCE_MOST = 1000 };
/* ARGUMENT unless a decoder that samples can do it. */
tsr_status tsr_sampling_check(tsr_context *ctx, const tsr_decode_hints *hints,
                              tsr_guidance_mode mode);

/* Noise that draws latents, and how many tiles have had theirs. */
typedef struct tsr_encode_noise {
    bool given; /* else there is none */
    tsr_tensor tensor;
    uint64_t used;
} tsr_encode_noise;
/* Reads settings' noise, if there is any. UNSUPPORTED where nothing is drawn. Free tensor.data. */
tsr_status tsr_encode_noise_open(tsr_tokenizer *tokenizer, const tsr_encode_settings *settings,
                                 tsr_encode_noise *noise);
/* ARGUMENT unless there was one for each tile and none over. */
tsr_status tsr_encode_noise_finish(tsr_context *ctx, const tsr_encode_noise *noise);
/* tsr_tokenizer_encode whose tiles take the next of `noise`; settings' own is not looked at. */
tsr_status tsr_tokenizer_encode_drawn(tsr_tokenizer *tokenizer, const tsr_picture *pictures,
                                      int count, const tsr_encode_settings *settings,
                                      tsr_encode_noise *noise, tsr_item **items,
                                      uint64_t *near_ties);

/* The tokens of an item, to be changed. */
tsr_token_item *tsr_item_edit(tsr_item *item);
/* Keeps the first `count` ids of each tile; for items without a kept mask. */
void tsr_item_shorten(tsr_item *item, uint32_t count);
/* Gives *a's tokens to *b and the other way round. */
void tsr_item_swap(tsr_item *a, tsr_item *b);
/* Index of the tolerated error that stands for `quality` (0: none is asked for). */
int tsr_tolerance_index(const tsr_tolerances *tolerances, float quality);
/* ARGUMENT unless the metric is known and the value in its range. */
tsr_status tsr_target_check(tsr_context *ctx, const tsr_target *target);
/* Whether the value does. */
bool tsr_target_met(const tsr_target *target, double value);
/* About which tolerated error reaches it; 0: cannot be said. */
float tsr_target_tolerance(const tsr_target *target);
/* tsr_tokenizer_search for a family that chooses its tokens. */
tsr_status tsr_tolerance_search(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                const tsr_picture *picture, const tsr_encode_settings *settings,
                                tsr_item *item, uint32_t *decodes);

/* How vectors are to be stored; UNSUPPORTED when there are none. */
tsr_status tsr_tokenizer_set_latents(tsr_tokenizer *tokenizer, tsr_token_header *header,
                                     const tsr_encode_settings *settings);

/* Fails with MODEL_MISMATCH (naming both) unless ids under `header` belong to this tokenizer;
 * `force` lets other weights of the same family and codebook pass. */
tsr_status tsr_tokenizer_accepts(tsr_tokenizer *tokenizer, const tsr_token_header *header,
                                 int force, const char *name);

#endif
