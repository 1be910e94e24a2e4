/* SPDX-License-Identifier: MIT */
/* iresnet.c: IResNet, the network of ArcFace (Deng et al. 2019) as insightface's arcface_torch has
 * it.
 *
 *   crop ─► conv, PReLU ─► four layers of blocks, each halving the map ─► norm ─► linear ─► norm
 *
 *   x ─┬─► norm ─► conv ─► PReLU ─► conv (stride) ─► + ─►      norms behind convolutions are
 * folded; └─────────► conv 1x1 where the size changes ──┘        the one before, whose result is
 * padded with zeros, cannot be */
#include "face_network.h"

#include <stdio.h>
#include <string.h>

enum { LAYERS = 4, BLOCKS = 64 };

typedef struct block {
    tsr_batch_norm norm[3], shortcut_norm;
    tsr_weight *conv[2], *shortcut, *slope;
    tsr_affine before;
    tsr_folded first, second, beside;
} block;

typedef struct iresnet {
    tsr_face_network face; /* first */
    int depth[LAYERS];
    int64_t width[LAYERS + 1]; /* [0]: of the stem */
    tsr_weight *stem, *stem_slope, *linear, *linear_bias;
    tsr_batch_norm stem_norm, last_norm, end_norm;
    tsr_folded stem_folded;
    tsr_affine last, end;
    block blocks[LAYERS][BLOCKS];
} iresnet;

static const tsr_weight *find(tsr_weights *weights, const char *prefix, const char *name) {
    char whole[128];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return tsr_weights_find(weights, whole);
}

static int count_blocks(const iresnet *n, tsr_weights *weights, int layer) {
    char name[64];
    int depth = 0;
    do
        snprintf(name, sizeof name, "layer%d.%d.conv1.weight", layer + 1, depth);
    while (find(weights, n->face.prefix, name) && ++depth < BLOCKS);
    return depth;
}

static tsr_status read_shape(tsr_context *ctx, tsr_weights *weights, const char *path,
                             tsr_face_network *face) {
    iresnet *n = (iresnet *)face;
    char name[64], got[96];
    if (tsr_weights_find(weights, "module.conv1.weight")) strcpy(face->prefix, "module.");
    int convs = 2;
    for (int i = 0; i <= LAYERS; ++i) {
        snprintf(name, sizeof name, i ? "layer%d.0.conv1.weight" : "conv1.weight", i);
        const tsr_weight *w = find(weights, face->prefix, name);
        if (!w || w->tensor.rank != 4)
            return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: tensor %s%s: wanted a kernel, got %s", path,
                            face->prefix, name,
                            w ? tsr_shape_text(&w->tensor, got, sizeof got) : "none");
        n->width[i] = w->tensor.dim[0];
        if (i) convs += 2 * (n->depth[i - 1] = count_blocks(n, weights, i - 1));
    }
    const tsr_weight *fc = find(weights, face->prefix, "fc.weight");
    if (!fc || fc->tensor.rank != 2)
        return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: tensor %sfc.weight: wanted a matrix, got %s",
                        path, face->prefix,
                        fc ? tsr_shape_text(&fc->tensor, got, sizeof got) : "none");
    face->channels = fc->tensor.dim[0];
    snprintf(face->variant, sizeof face->variant, "r%d", convs);
    return TSR_OK;
}

static void load_block(tsr_weight_loader *l, const char *prefix, block *b, int64_t in, int64_t out,
                       bool first) {
    const int64_t one[4] = {out, in, 3, 3}, two[4] = {out, out, 3, 3}, beside[4] = {out, in, 1, 1};
    tsr_load_batch_norm(l, prefix, "bn1", in, &b->norm[0]);
    tsr_load_weight(l, prefix, "conv1.weight", 4, one, &b->conv[0]);
    tsr_load_batch_norm(l, prefix, "bn2", out, &b->norm[1]);
    tsr_load_weight(l, prefix, "prelu.weight", 1, &out, &b->slope);
    tsr_load_weight(l, prefix, "conv2.weight", 4, two, &b->conv[1]);
    tsr_load_batch_norm(l, prefix, "bn3", out, &b->norm[2]);
    if (!first) return;
    tsr_load_weight(l, prefix, "downsample.0.weight", 4, beside, &b->shortcut);
    tsr_load_batch_norm(l, prefix, "downsample.1", out, &b->shortcut_norm);
}

static void load(tsr_weight_loader *l, tsr_face_network *face) {
    iresnet *n = (iresnet *)face;
    const int64_t stem[4] = {n->width[0], 3, 3, 3}, e = face->channels;
    const int64_t linear[2] = {e, n->width[LAYERS] * 49};
    tsr_load_weight(l, face->prefix, "conv1.weight", 4, stem, &n->stem);
    tsr_load_batch_norm(l, face->prefix, "bn1", n->width[0], &n->stem_norm);
    tsr_load_weight(l, face->prefix, "prelu.weight", 1, n->width, &n->stem_slope);
    for (int i = 0; i < LAYERS; ++i)
        for (int k = 0; k < n->depth[i]; ++k) {
            char name[64];
            snprintf(name, sizeof name, "%slayer%d.%d.", face->prefix, i + 1, k);
            load_block(l, name, &n->blocks[i][k], n->width[k ? i + 1 : i], n->width[i + 1], !k);
        }
    tsr_load_batch_norm(l, face->prefix, "bn2", n->width[LAYERS], &n->last_norm);
    tsr_load_layer(l, face->prefix, "fc", 2, linear, &n->linear, &n->linear_bias);
    tsr_load_batch_norm(l, face->prefix, "features", e, &n->end_norm);
}

static void fold(tsr_folder *f, tsr_face_network *face) {
    iresnet *n = (iresnet *)face;
    tsr_fold(f, n->stem, &n->stem_norm, &n->stem_folded);
    for (int i = 0; i < LAYERS; ++i)
        for (int k = 0; k < n->depth[i]; ++k) {
            block *b = &n->blocks[i][k];
            tsr_fold_alone(f, &b->norm[0], &b->before);
            tsr_fold(f, b->conv[0], &b->norm[1], &b->first);
            tsr_fold(f, b->conv[1], &b->norm[2], &b->second);
            if (!k) tsr_fold(f, b->shortcut, &b->shortcut_norm, &b->beside);
        }
    tsr_fold_alone(f, &n->last_norm, &n->last);
    tsr_fold_alone(f, &n->end_norm, &n->end);
}

static tsr_tensor *affine(tsr_run *r, tsr_tensor *x, const tsr_affine *a) {
    x = tsr_binary(r, x, tsr_from_weight(r, a->scale), TSR_BINARY_MUL);
    return tsr_binary(r, x, tsr_from_weight(r, a->shift), TSR_BINARY_ADD);
}

/* x [B, H, W, in] -> [B, H / stride, W / stride, out] */
static tsr_tensor *run_block(tsr_run *r, const block *b, tsr_tensor *x, bool first) {
    const tsr_scope scope = tsr_scope_open(r);
    const tsr_tensor *beside = x;
    if (first)
        beside = tsr_conv2d(r, x, b->beside.weight,
                            &(tsr_conv_spec){.bias = b->beside.bias, .stride = 2});
    tsr_conv_spec spec = {.bias = b->first.bias, .top = 1, .left = 1, .bottom = 1, .right = 1};
    tsr_tensor *y = tsr_conv2d(r, affine(r, x, &b->before), b->first.weight, &spec);
    y = tsr_face_prelu(r, y, b->slope);
    spec.bias = b->second.bias;
    spec.stride = first ? 2 : 1;
    spec.residual = beside;
    return tsr_scope_close(r, scope, tsr_conv2d(r, y, b->second.weight, &spec));
}

enum { PRELU, LAYER1, BN2 = LAYER1 + LAYERS, FC, EMBEDDING };

static void walk(tsr_run *r, const tsr_face_network *face, tsr_tensor *x, tsr_tensor **part) {
    const iresnet *n = (const iresnet *)face;
    const tsr_conv_spec spec = {
        .bias = n->stem_folded.bias, .top = 1, .left = 1, .bottom = 1, .right = 1};
    x = tsr_conv2d(r, x, n->stem_folded.weight, &spec);
    part[PRELU] = x = tsr_face_prelu(r, x, n->stem_slope); /* [B, 112, 112, 64] */
    for (int i = 0; i < LAYERS; ++i) {
        for (int k = 0; k < n->depth[i]; ++k)
            x = run_block(r, &n->blocks[i][k], x, k == 0);
        part[LAYER1 + i] = x;
    }
    part[BN2] = x = affine(r, x, &n->last); /* [B, 7, 7, 512] */
    const int64_t b = x->dim[0], places = x->dim[1] * x->dim[2], c = x->dim[3];
    x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){b, places, c})); /* channels first */
    x = tsr_reshape(r, x, 2, (int64_t[]){b, c * places});
    part[FC] = x = tsr_linear(r, x, n->linear, &(tsr_epilogue){.bias = n->linear_bias});
    part[EMBEDDING] = affine(r, x, &n->end);
}

const tsr_face_kind tsr_face_iresnet = {
    .name = "arcface",
    .bytes = sizeof(iresnet),
    .width = 112,
    .height = 112,
    .deviation = 127.5,
    .parts = EMBEDDING + 1,
    .part = {"prelu", "layer1", "layer2", "layer3", "layer4", "bn2", "fc", "embedding"},
    .read_shape = read_shape,
    .load = load,
    .fold = fold,
    .walk = walk};

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return (tsr_safetensors_find(file, "layer1.0.prelu.weight") >= 0 &&
            tsr_safetensors_find(file, "features.running_mean") >= 0) ||
           tsr_safetensors_find(file, "module.layer1.0.prelu.weight") >= 0;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    tsr_face_list(&tsr_face_iresnet, source, loader);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    return tsr_face_open_file(device, &tsr_face_iresnet, source, model);
}

static const tsr_judge_ops judge_ops = {
    .describe = tsr_face_describe, .cost = tsr_face_cost, .embed = tsr_face_judge};

const tsr_family tsr_family_arcface = {
    .name = "arcface",
    .about = "a judge: 512 numbers that stand for a face; ArcFace's IResNet of any depth",
    .needs = "the backbone.pth of insightface's arcface_torch, converted by `tessera model "
             "convert`; published weights are for non-commercial research alone",
    .verified = "golden cases of insightface's iresnet.py (7fadd42) with synthetic weights: "
                "r18, r50 and r100",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = tsr_face_close_file,
    .judge = &judge_ops,
};
