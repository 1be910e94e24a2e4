/* SPDX-License-Identifier: MIT */
/* siglip.c: the picture half of SigLIP (Zhai et al. 2023), the tower of LLaVA-OneVision and
 * VQToken, and of SigLIP2 (Tschannen et al. 2025) with pictures of any shape ("NaFlex").
 *
 *   picture ─► patches ─► linear ─► + positions ─► L blocks ─► hidden.L ─► LayerNorm ─► last
 *   last ─► attention of one learned query ─► + MLP of its LayerNorm ─► pooled
 *
 * There is no class row. The usual features are hidden.(L-1) without a norm; of files that were cut
 * to what LLaVA-OneVision needs, and have no pooling, the output of the last block that is there.
 */
#include "vit_tower.h"

#include <stdio.h>
#include <string.h>

static bool has(const tsr_vit_tower *t, tsr_weights *weights, const char *name) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", t->prefix, name);
    return tsr_weights_find(weights, whole) != NULL;
}

static void read_siglip(tsr_vit_tower *t, tsr_tower_config *c, tsr_weights *weights) {
    char name[512];
    t->can_pool = has(t, weights, "head.probe");
    const int layer = t->can_pool ? t->depth - 1 : t->depth;
    t->feature_layer = tsr_tower_config_layer(c, "vision_feature_layer", t->depth, layer);
    snprintf(name, sizeof name, "%s%s.weight", t->prefix, t->kind->patches);
    const tsr_weight *patches = tsr_weights_find(weights, name);
    t->channels_last = patches && patches->tensor.rank == 2; /* NaFlex: a linear layer */
    if (!t->channels_last) return;
    t->filter = TSR_GRID_BILINEAR_ANTIALIAS;
    t->view.kind = TSR_VIEW_BUDGET; /* pictures keep their shape, 256 patches by default */
    t->view.filter = TSR_RESAMPLING_BILINEAR;
    t->view.step = (uint32_t)t->patch;
    t->view.max_pixels = 256 * (uint64_t)(t->patch * t->patch);
}

static void load_siglip(tsr_vit_tower *t, tsr_weight_loader *l) {
    const int64_t d = t->width, one[3] = {1, 1, d};
    if (has(t, l->weights, "post_layernorm.weight"))
        tsr_load_layer(l, t->prefix, "post_layernorm", 1, &d, &t->end_gamma, &t->end_beta);
    if (!t->can_pool) return;
    char head[300];
    snprintf(head, sizeof head, "%shead.", t->prefix);
    tsr_load_weight(l, head, "probe", 3, one, &t->head.probe);
    tsr_load_weight(l, head, "attention.in_proj_weight", 2, (int64_t[]){3 * d, d}, &t->head.qkv);
    tsr_load_weight(l, head, "attention.in_proj_bias", 1, (int64_t[]){3 * d}, &t->head.qkv_bias);
    tsr_load_layer(l, head, "attention.out_proj", 2, (int64_t[]){d, d}, &t->head.proj,
                   &t->head.proj_bias);
    tsr_load_layer(l, head, "layernorm", 1, &d, &t->head.gamma, &t->head.beta);
    tsr_load_layer(l, head, "mlp.fc1", 2, (int64_t[]){t->hidden, d}, &t->head.fc1,
                   &t->head.fc1_bias);
    tsr_load_layer(l, head, "mlp.fc2", 2, (int64_t[]){d, t->hidden}, &t->head.fc2,
                   &t->head.fc2_bias);
}

/* rows [B, N, 3 p p], positions [N, D] -> [B, N, D] */
static tsr_tensor *embed(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *rows,
                         tsr_tensor *positions) {
    tsr_tensor *x = tsr_linear(r, rows, t->patches, &(tsr_epilogue){.bias = t->patches_bias});
    return tsr_binary(r, x, positions, TSR_BINARY_ADD);
}

static tsr_tensor *norm(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    if (!t->end_gamma) return x;
    return tsr_layer_norm(
        r, x, &(tsr_norm_spec){.gamma = t->end_gamma, .beta = t->end_beta, .eps = t->layout.eps});
}

/* hidden.L [B, N, D] -> [B, 1, D] */
static tsr_tensor *pool(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    const int64_t d = t->width;
    x = norm(r, t, x);
    /* The query is the same for every tile: its row is added to a row of zeros of each. */
    tsr_tensor *q = tsr_reshape(r, tsr_from_weight(r, t->head.probe), 2, (int64_t[]){1, d});
    q = tsr_linear(r, q, t->head.qkv, &(tsr_epilogue){.bias = t->head.qkv_bias}); /* [1, 3D] */
    q = tsr_binary(r, tsr_scale(r, tsr_slice_rows(r, x, 0, 1), 0, 0), tsr_slice_cols(r, q, 0, d),
                   TSR_BINARY_ADD); /* [B, 1, D] */
    tsr_tensor *kv = tsr_linear(r, x, t->head.qkv, &(tsr_epilogue){.bias = t->head.qkv_bias});
    tsr_tensor *y = tsr_attention(
        r, q, kv, kv,
        &(tsr_attention_spec){.heads = t->heads, .channels = d, .k_at = d, .v_at = 2 * d});
    y = tsr_linear(r, y, t->head.proj, &(tsr_epilogue){.bias = t->head.proj_bias});
    tsr_tensor *z = tsr_layer_norm(
        r, y, &(tsr_norm_spec){.gamma = t->head.gamma, .beta = t->head.beta, .eps = t->layout.eps});
    z = tsr_linear(r, z, t->head.fc1,
                   &(tsr_epilogue){.bias = t->head.fc1_bias, .act = t->layout.act});
    return tsr_linear(r, z, t->head.fc2, &(tsr_epilogue){.bias = t->head.fc2_bias, .residual = y});
}

static const char *const ignored[] = {"embeddings.position_ids", NULL};

const tsr_vit_tower_kind tsr_siglip = {
    .name = "siglip",
    .mark = {"embeddings.patch_embedding.bias", "encoder.layers.0.self_attn.k_proj.weight"},
    .without = "embeddings.class_embedding",
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
               .eps = 1e-6f,
               .act = TSR_ACT_GELU_TANH},
    .view = {.kind = TSR_VIEW_STRETCH,
             .filter = TSR_RESAMPLING_BICUBIC,
             .background = {127, 127, 127},
             .mean = {0.5f, 0.5f, 0.5f},
             .deviation = {0.5f, 0.5f, 0.5f}},
    .positions = TSR_GRID_BICUBIC,
    .read = read_siglip,
    .load = load_siglip,
    .embed = embed,
    .norm = norm,
    .pool = pool};

/* ---- the family ---- */

TSR_VIT_TOWER_FAMILY(tsr_siglip)

const tsr_family tsr_family_siglip = {
    .name = "siglip",
    .about = "a tower: features of pictures; SigLIP's and SigLIP2's, also inside LLaVA-OneVision",
    .needs = "the model.safetensors of a SigLIP, SigLIP2 or LLaVA-OneVision hub folder, or its "
             "index of several files, config.json beside it",
    .verified = "golden cases of transformers' SiglipVisionModel and Siglip2VisionModel with "
                "synthetic weights: small ones, and so400m-patch14-384 in its published size",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = tsr_vit_tower_close_file,
    .tower = &tsr_vit_tower_ops,
};
