/* SPDX-License-Identifier: MIT */
/* model.h: a model that is open: its weights, the family that reads them, the devices. */
#ifndef MODELS_MODEL_H
#define MODELS_MODEL_H

#include "../nn/family.h"

typedef struct tsr_model {
    tsr_context *ctx;
    tsr_device *device; /* where the model runs */
    tsr_device *host;   /* a cpu device for resampling; the same as device when that is cpu */
    tsr_safetensors *weights;
    const tsr_family *family;
    uint32_t family_id; /* as in token files */
    void *state;        /* what the family opened */
    char *path;         /* of the file inside a folder */
    char device_text[300];
} tsr_model;

/* The weights linked into the library (bundled.c). */
extern const unsigned char tsr_bundled_model[];
extern const unsigned char tsr_bundled_model_end[];

/* Opens the weights (a file, a folder, NULL = bundled) and finds their family; *path is the file's,
 * owned by the model or the caller. */
tsr_status tsr_model_find(tsr_model *model, const char *name, const char **path);
tsr_status tsr_model_open_devices(tsr_model *model, const tsr_tokenizer_settings *settings);
/* Closes what is open; a zeroed model is accepted. */
void tsr_model_close(tsr_model *model);

/* "mosaic, flextok" into text, for messages. Returns text. */
const char *tsr_registry_names(char *text, size_t bytes);

/* Tiles to what the family makes of them, and back. values: ids [count, capacity], or vectors
 * [count, capacity, channels] of f32, as the header says; both are of tsr_value_bytes. kept [count,
 * (capacity + 7) / 8] is filled by families that choose. */
size_t tsr_value_bytes(const tsr_token_header *header);
tsr_status tsr_model_encode_tiles(const tsr_model *model, const tsr_token_header *header,
                                  const uint8_t *tiles, int count, uint32_t tokens,
                                  const tsr_selection *selection, void *values, uint32_t *counts,
                                  uint8_t *kept, uint64_t *near_ties);
tsr_status tsr_model_decode_tiles(const tsr_model *model, const tsr_token_header *header,
                                  const void *values, const uint32_t *counts, int count,
                                  const tsr_sampling *sampling, float *rgb);

#endif
