/* SPDX-License-Identifier: MIT */
/* dinov2.c: DINOv2 (Oquab et al. 2023), with registers (Darcet et al. 2024) or without.
 *
 *   picture ─► patches ─► linear ─► + positions ─┐
 *                                   registers ───┼─► L blocks ─► hidden.L ─► LayerNorm ─► last
 *                     class row ─► + position ───┘
 *
 * In a block each branch is multiplied by a factor for each channel; the giant model's MLP is
 * SwiGLU. Features are the patches after the final norm. */
#include "vit_tower.h"

#include <stdio.h>

static bool has(const tsr_vit_tower *t, tsr_weights *weights, const char *name) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", t->prefix, name);
    return tsr_weights_find(weights, whole) != NULL;
}

static void read_dinov2(tsr_vit_tower *t, tsr_tower_config *c, tsr_weights *weights) {
    char name[512];
    t->has_class = t->can_pool = t->feature_norm = true;
    t->feature_layer = t->depth;
    snprintf(name, sizeof name, "%sembeddings.register_tokens", t->prefix);
    const tsr_weight *registers = tsr_weights_find(weights, name);
    if (registers) {
        const int64_t count = registers->tensor.dim[1];
        if (registers->tensor.rank != 3 || count < 1 || count > TSR_TOWER_REGISTERS)
            tsr_tower_config_fail(c, TSR_ERROR_MODEL, "tensor %s: wanted 1 to %d registers", name,
                                  TSR_TOWER_REGISTERS);
        t->registers = (int)count;
        t->filter = TSR_GRID_BICUBIC_ANTIALIAS; /* the classes differ in this, too */
    }
    tsr_tower_config_agree(c, "num_register_tokens", t->registers);
    if (has(t, weights, "encoder.layer.0.mlp.weights_in.weight")) {
        t->layout.fc1 = "mlp.weights_in";
        t->layout.fc2 = "mlp.weights_out";
        t->layout.gated = true;
        t->layout.act = TSR_ACT_SILU; /* whatever hidden_act says: the gate's is fixed */
    }
    tsr_tower_config_need(c, "qkv_bias", true);
}

static void load_dinov2(tsr_vit_tower *t, tsr_weight_loader *l) {
    const int64_t d = t->width, one[3] = {1, 1, d}, some[3] = {1, t->registers, d};
    tsr_load_weight(l, t->prefix, "embeddings.cls_token", 3, one, &t->class_row);
    if (t->registers)
        tsr_load_weight(l, t->prefix, "embeddings.register_tokens", 3, some, &t->register_rows);
    tsr_load_layer(l, t->prefix, "layernorm", 1, &d, &t->end_gamma, &t->end_beta);
}

/* rows [B, N, 3 p p], positions [N, D] -> [B, 1 + registers + N, D] */
static tsr_tensor *embed(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *rows,
                         tsr_tensor *positions) {
    const int64_t d = t->width, one[2] = {1, d}, some[2] = {t->registers, d};
    tsr_tensor *x = tsr_linear(r, rows, t->patches, &(tsr_epilogue){.bias = t->patches_bias});
    x = tsr_binary(r, x, positions, TSR_BINARY_ADD);
    tsr_tensor *first = tsr_slice_rows(r, tsr_from_weight(r, t->table), 0, 1);
    first = tsr_reshape(r, first, 2, one);
    tsr_tensor *class_row = tsr_reshape(r, tsr_from_weight(r, t->class_row), 2, one);
    first = tsr_binary(r, class_row, first, TSR_BINARY_ADD);
    if (t->registers) /* they have no position */
        first = tsr_concat_rows(r, first,
                                tsr_reshape(r, tsr_from_weight(r, t->register_rows), 2, some));
    return tsr_concat_rows(r, first, x);
}

static tsr_tensor *norm(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    return tsr_layer_norm(
        r, x, &(tsr_norm_spec){.gamma = t->end_gamma, .beta = t->end_beta, .eps = t->layout.eps});
}

static tsr_tensor *pool(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x) {
    return norm(r, t, tsr_slice_rows(r, x, 0, 1));
}

static const char *const ignored[] = {"embeddings.mask_token", NULL};

const tsr_vit_tower_kind tsr_dinov2 = {
    .name = "dinov2",
    .mark = {"embeddings.cls_token", "encoder.layer.0.layer_scale1.lambda1"},
    .blocks = "encoder.layer.",
    .patches = "embeddings.patch_embeddings.projection",
    .table = "embeddings.position_embeddings",
    .ignored = ignored,
    .layout = {.norm1 = "norm1",
               .query = "attention.attention.query",
               .key = "attention.attention.key",
               .value = "attention.attention.value",
               .proj = "attention.output.dense",
               .norm2 = "norm2",
               .fc1 = "mlp.fc1",
               .fc2 = "mlp.fc2",
               .scale1 = "layer_scale1.lambda1",
               .scale2 = "layer_scale2.lambda1",
               .eps = 1e-6f,
               .act = TSR_ACT_GELU},
    .view = {.kind = TSR_VIEW_CROP,
             .shortest = 256,
             .width = 224,
             .height = 224,
             .filter = TSR_RESAMPLING_BICUBIC,
             .background = {123, 116, 103},
             .mean = {0.485f, 0.456f, 0.406f},
             .deviation = {0.229f, 0.224f, 0.225f}},
    .positions = TSR_GRID_BICUBIC,
    .read = read_dinov2,
    .load = load_dinov2,
    .embed = embed,
    .norm = norm,
    .pool = pool};

/* ---- the family ---- */

TSR_VIT_TOWER_FAMILY(tsr_dinov2)

const tsr_family tsr_family_dinov2 = {
    .name = "dinov2",
    .about = "a tower: dense features of pictures; DINOv2's, with registers or without",
    .needs = "the model.safetensors of a DINOv2 hub folder, config.json beside it",
    .verified = "golden cases of transformers' Dinov2Model and Dinov2WithRegistersModel with "
                "synthetic weights: small ones with the plain MLP, SwiGLU and registers",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = tsr_vit_tower_close_file,
    .tower = &tsr_vit_tower_ops,
};
