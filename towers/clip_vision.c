/* SPDX-License-Identifier: MIT */
/* clip_vision.c: the picture half of CLIP (Radford et al. 2021), the tower of LLaVA.
 *
 *   picture ─► patches ─► linear, no bias ─► + positions ─┬─► LayerNorm ─► L blocks ─► hidden.L
 *                              class row ─► + position ───┘
 *
 * LLaVA's features are the patches of hidden.(L-1): the last block is not run for them. */
#include "vit_tower.h"

#include <stdio.h>
#include <string.h>

static void read_clip(tsr_vit_tower *t, tsr_tower_config *c, tsr_weights *weights) {
    (void)weights;
    t->has_class = t->can_pool = true;
    int layer = t->depth - 1;
    layer = tsr_tower_config_layer(c, "mm_vision_select_layer", t->depth, layer);
    t->feature_layer = tsr_tower_config_layer(c, "vision_feature_layer", t->depth, layer);
    const cJSON *aspect = cJSON_GetObjectItemCaseSensitive(c->top, "image_aspect_ratio");
    const char *name = cJSON_GetStringValue(aspect);
    if (name && !strcmp(name, "pad")) t->view.kind = TSR_VIEW_PAD; /* LLaVA-1.5's own files */
}

static void load_clip(tsr_vit_tower *t, tsr_weight_loader *l) {
    const int64_t d = t->width;
    tsr_load_weight(l, t->prefix, "embeddings.class_embedding", 1, &d, &t->class_row);
    tsr_load_layer(l, t->prefix, "pre_layrnorm", 1, &d, &t->begin_gamma, &t->begin_beta);
    /* Towers inside a language model may be cut: their features need no pooling. */
    char post[512];
    snprintf(post, sizeof post, "%spost_layernorm.weight", t->prefix);
    t->can_pool = tsr_weights_find(l->weights, post) != NULL;
    if (t->can_pool)
        tsr_load_layer(l, t->prefix, "post_layernorm", 1, &d, &t->end_gamma, &t->end_beta);
}

static tsr_tensor *norm(tsr_run *r, const tsr_vit_tower *t, const tsr_tensor *x, tsr_weight *gamma,
                        tsr_weight *beta) {
    return tsr_layer_norm(r, x,
                          &(tsr_norm_spec){.gamma = gamma, .beta = beta, .eps = t->layout.eps});
}

/* rows [B, N, 3 p p], positions [N, D] -> [B, 1 + N, D] */
static tsr_tensor *embed(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *rows,
                         tsr_tensor *positions) {
    const int64_t one[2] = {1, t->width}, all[3] = {1, t->table->tensor.dim[0], t->width};
    tsr_tensor *x = tsr_linear(r, rows, t->patches, NULL);
    x = tsr_binary(r, x, positions, TSR_BINARY_ADD);
    tsr_tensor *first = tsr_reshape(r, tsr_from_weight(r, t->table), 3, all);
    first = tsr_reshape(r, tsr_slice_rows(r, first, 0, 1), 2, one);
    tsr_tensor *class_row = tsr_reshape(r, tsr_from_weight(r, t->class_row), 2, one);
    return tsr_concat_rows(r, tsr_binary(r, class_row, first, TSR_BINARY_ADD), x);
}

static tsr_tensor *begin(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    return norm(r, t, x, t->begin_gamma, t->begin_beta);
}

static tsr_tensor *pool(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    return norm(r, t, tsr_slice_rows(r, x, 0, 1), t->end_gamma, t->end_beta);
}

static const char *const ignored[] = {"embeddings.position_ids", NULL};

const tsr_vit_tower_kind tsr_clip_vision = {
    .name = "clip-vision",
    .mark = {"pre_layrnorm.weight", "embeddings.class_embedding"},
    .blocks = "encoder.layers.",
    .patches = "embeddings.patch_embedding",
    .table = "embeddings.position_embedding.weight",
    .ignored = ignored,
    .layout = {.norm1 = "layer_norm1",
               .query = "self_attn.q_proj",
               .key = "self_attn.k_proj",
               .value = "self_attn.v_proj",
               .proj = "self_attn.out_proj",
               .norm2 = "layer_norm2",
               .fc1 = "mlp.fc1",
               .fc2 = "mlp.fc2",
               .eps = 1e-5f,
               .act = TSR_ACT_QUICK_GELU},
    .view = {.kind = TSR_VIEW_CROP,
             .filter = TSR_RESAMPLING_BICUBIC,
             .background = {122, 116, 104}, /* int(255 mean) */
             .mean = {0.48145466f, 0.4578275f, 0.40821073f},
             .deviation = {0.26862954f, 0.26130258f, 0.27577711f}},
    .positions = TSR_GRID_BICUBIC,
    .read = read_clip,
    .load = load_clip,
    .embed = embed,
    .begin = begin,
    .pool = pool};

/* ---- the family ---- */

TSR_VIT_TOWER_FAMILY(tsr_clip_vision)

const tsr_family tsr_family_clip_vision = {
    .name = "clip-vision",
    .about = "a tower: features of pictures; CLIP's, also inside LLaVA",
    .needs = "the model.safetensors of a CLIP or LLaVA hub folder, or its index of several files, "
             "config.json beside it",
    .verified =
        "golden cases of transformers' CLIPVisionModel with synthetic weights: a small one, "
        "and ViT-L/14-336 in its published size with LLaVA's projector",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = tsr_vit_tower_close_file,
    .tower = &tsr_vit_tower_ops,
};
