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
    char *path;         /* of the file inside a folder; else NULL */
    const char
        *file; /* how messages call the weights: path, what the caller named, "bundled model" */
    char device_text[300];
} tsr_model;

/* The weights linked into the library (embedded.S). */
extern const unsigned char tsr_bundled_model[];
extern const unsigned char tsr_bundled_model_end[];

/* Opens the weights (a file, a folder, NULL = bundled) and finds their family. `name` outlives the
 * model. */
tsr_status tsr_model_find(tsr_model *model, const char *name);
tsr_status tsr_model_open_devices(tsr_model *model, const tsr_model_settings *settings);
/* Opens the family's state on the devices. */
tsr_status tsr_model_open_state(tsr_model *model);
/* Closes what is open; a zeroed model is accepted. */
void tsr_model_close(tsr_model *model);

#endif
