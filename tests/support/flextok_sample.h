/* SPDX-License-Identifier: MIT */
/* flextok_sample.h: a FlexTok checkpoint small enough to be made by a test: 16x16 pictures, 16
 * patches, 12 registers, levels 8 6 5. Tests change its configuration or tensors before writing. */
#ifndef TESTS_FLEXTOK_SAMPLE_H
#define TESTS_FLEXTOK_SAMPLE_H

#include <cjson/cJSON.h>

#include "compute/tensor.h"

enum { FLEXTOK_SIDE = 16, FLEXTOK_REGISTERS = 12, FLEXTOK_CODES = 240 };

typedef struct flextok_sample {
    cJSON *config; /* {"vae": {...}, "encoder": ...} */
    char **names;
    tsr_tensor *tensors; /* F32; data is malloc'd */
    int count;
} flextok_sample;

/* Normals of the process's random stream, scaled so that activations stay moderate. */
flextok_sample *flextok_sample_make(void);
/* The tensors the configuration asks for after it was changed. */
void flextok_sample_fill(flextok_sample *sample);
void flextok_sample_free(flextok_sample *sample);
/* {"_target_": ...} of a module: encoder or decoder, "enc_patch_emb". Fails when absent. */
cJSON *flextok_sample_module(flextok_sample *sample, const char *part, const char *name);
/* Moves a module to place `place` (0 = first) of its list. */
void flextok_sample_move(flextok_sample *sample, const char *part, const char *name, int place);
tsr_tensor *flextok_sample_tensor(flextok_sample *sample, const char *name);

typedef enum flextok_form {
    FLEXTOK_JSON,   /* configuration as JSON in the metadata */
    FLEXTOK_PYTHON, /* as Python writes it: single quotes, True, None */
    FLEXTOK_BESIDE  /* in config.json beside the file */
} flextok_form;
/* Writes it with tensors of `dtype` (F32, F16, BF16). */
void flextok_sample_write(const flextok_sample *sample, const char *path, flextok_form form,
                          tsr_dtype dtype);

#endif
