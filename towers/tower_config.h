/* SPDX-License-Identifier: MIT */
/* tower_config.h: what config.json and preprocessor_config.json say of a tower. Sticky: after the
 * first failure every call returns its `otherwise`. */
#ifndef TOWERS_TOWER_CONFIG_H
#define TOWERS_TOWER_CONFIG_H

#include <cjson/cJSON.h>

#include "../compute/activation.h"
#include "../nn/family.h"

typedef struct tsr_tower_config {
    tsr_context *ctx;
    const char *path;    /* of the weights: begins messages */
    const cJSON *top;    /* config.json; NULL: there is none */
    const cJSON *vision; /* the part about the tower: top.vision_config, or top itself; NULL where
                            top is about a language model and says nothing of the tower inside */
    tsr_status status;   /* the first failure: MODEL, UNSUPPORTED */
} tsr_tower_config;

/* Begins reading; top may be NULL. */
tsr_tower_config tsr_tower_config_begin(tsr_context *ctx, const char *path, const cJSON *top);
/* Records a failure, unless there is one. */
void tsr_tower_config_fail(tsr_tower_config *config, tsr_status status, const char *format, ...)
    TSR_PRINTF(3, 4);
/* Whole number of the tower's part, `otherwise` where it is not said. */
int64_t tsr_tower_config_number(tsr_tower_config *config, const char *key, int64_t otherwise,
                                int64_t least, int64_t most);
/* Number of the tower's part, `otherwise` where it is not said. */
double tsr_tower_config_real(tsr_tower_config *config, const char *key, double otherwise,
                             double least, double most);
/* Fails unless the tower's part has this whole number, or none: what the tensors say. */
void tsr_tower_config_agree(tsr_tower_config *config, const char *key, int64_t number);
/* Fails unless the tower's part says this, or nothing: what is not supported otherwise. */
void tsr_tower_config_need(tsr_tower_config *config, const char *key, bool value);
/* Activation called by transformers' name: gelu, quick_gelu, gelu_pytorch_tanh, silu. */
tsr_activation tsr_tower_config_activation(tsr_tower_config *config, const char *key,
                                           tsr_activation otherwise);
/* Hidden layer of a model around the tower, `otherwise` where it is not said: `key` of the whole
 * configuration, counted from the end of layers + 1 where it is negative. */
int tsr_tower_config_layer(tsr_tower_config *config, const char *key, int layers, int otherwise);

/* Changes *view, which holds the family's usual, to what a preprocessor_config.json says; NULL: no
 * change. Errors: MODEL, UNSUPPORTED, naming the key. */
tsr_status tsr_tower_view_read(tsr_context *ctx, const char *path, const cJSON *preprocessor,
                               tsr_view *view);

#endif
