/* SPDX-License-Identifier: MIT */
/* mobilefacenet.c: MobileFaceNet (Chen et al. 2018) as Xiaoccer's MobileFaceNet_Pytorch has it.
 *
 *   crop ─► conv s2 ─► depthwise ─► 15 bottlenecks ─► conv 1x1 ─► depthwise over the whole map
 *        ─► linear, 128 numbers
 *
 * A bottleneck widens by 1x1, convolves depthwise, narrows by 1x1; where the size stays the input
 * is added. PReLU behind the first two; every convolution has a batch norm, which is folded into
 * it. */
#include "face_network.h"

#include <stdio.h>

enum { BLOCKS = 15 };

/* Factor of the widening, channels, stride of each bottleneck. */
static const struct {
    int widen, channels, stride;
} plan[BLOCKS] = {{2, 64, 2},  {2, 64, 1},  {2, 64, 1},  {2, 64, 1},  {2, 64, 1},
                  {4, 128, 2}, {2, 128, 1}, {2, 128, 1}, {2, 128, 1}, {2, 128, 1},
                  {2, 128, 1}, {2, 128, 1}, {4, 128, 2}, {2, 128, 1}, {2, 128, 1}};

typedef struct layer {
    tsr_weight *conv, *slope; /* slope NULL: no activation */
    tsr_batch_norm norm;
    tsr_folded folded;
} layer;

typedef struct mobilefacenet {
    tsr_face_network face; /* first */
    layer conv1, dw_conv1, blocks[BLOCKS][3], conv2, linear7, linear1;
} mobilefacenet;

static tsr_status read_shape(tsr_context *ctx, tsr_weights *weights, const char *path,
                             tsr_face_network *face) {
    const tsr_weight *w = tsr_weights_find(weights, "linear1.conv.weight");
    if (!w || w->tensor.rank != 4)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor linear1.conv.weight: wanted [numbers, 512, 1, 1], got %s", path,
                        w ? "another shape" : "none");
    face->channels = w->tensor.dim[0];
    return TSR_OK;
}

static void load_layer(tsr_weight_loader *l, const char *conv, const char *norm, const char *slope,
                       int64_t out, int64_t in, int64_t kh, int64_t kw, layer *to) {
    const int64_t dim[4] = {out, in, kh, kw};
    tsr_load_weight(l, conv, ".weight", 4, dim, &to->conv);
    tsr_load_batch_norm(l, norm, "", out, &to->norm);
    if (slope) tsr_load_weight(l, slope, ".weight", 1, &out, &to->slope);
}

static void load(tsr_weight_loader *l, tsr_face_network *face) {
    mobilefacenet *n = (mobilefacenet *)face;
    load_layer(l, "conv1.conv", "conv1.bn", "conv1.prelu", 64, 3, 3, 3, &n->conv1);
    load_layer(l, "dw_conv1.conv", "dw_conv1.bn", "dw_conv1.prelu", 64, 1, 3, 3, &n->dw_conv1);
    int64_t in = 64;
    for (int i = 0; i < BLOCKS; ++i) {
        const int64_t wide = in * plan[i].widen, out = plan[i].channels;
        char name[8][32];
        for (int k = 0; k < 8; ++k)
            snprintf(name[k], sizeof name[k], "blocks.%d.conv.%d", i, k);
        load_layer(l, name[0], name[1], name[2], wide, in, 1, 1, &n->blocks[i][0]);
        load_layer(l, name[3], name[4], name[5], wide, 1, 3, 3, &n->blocks[i][1]);
        load_layer(l, name[6], name[7], NULL, out, wide, 1, 1, &n->blocks[i][2]);
        in = out;
    }
    load_layer(l, "conv2.conv", "conv2.bn", "conv2.prelu", 512, in, 1, 1, &n->conv2);
    load_layer(l, "linear7.conv", "linear7.bn", NULL, 512, 1, 7, 6, &n->linear7);
    load_layer(l, "linear1.conv", "linear1.bn", NULL, face->channels, 512, 1, 1, &n->linear1);
}

static void fold_layer(tsr_folder *f, layer *l, bool depthwise) {
    if (depthwise)
        tsr_fold_depthwise(f, l->conv, &l->norm, &l->folded);
    else
        tsr_fold(f, l->conv, &l->norm, &l->folded);
}

static void fold(tsr_folder *f, tsr_face_network *face) {
    mobilefacenet *n = (mobilefacenet *)face;
    fold_layer(f, &n->conv1, false);
    fold_layer(f, &n->dw_conv1, true);
    for (int i = 0; i < BLOCKS; ++i)
        for (int k = 0; k < 3; ++k)
            fold_layer(f, &n->blocks[i][k], k == 1);
    fold_layer(f, &n->conv2, false);
    fold_layer(f, &n->linear7, true);
    fold_layer(f, &n->linear1, false);
}

static tsr_tensor *dense(tsr_run *r, const layer *l, const tsr_tensor *x, int pad, int stride,
                         const tsr_tensor *residual) {
    const tsr_conv_spec spec = {.bias = l->folded.bias,
                                .stride = stride,
                                .top = pad,
                                .left = pad,
                                .bottom = pad,
                                .right = pad,
                                .residual = residual};
    tsr_tensor *y = tsr_conv2d(r, x, l->folded.weight, &spec);
    return l->slope ? tsr_face_prelu(r, y, l->slope) : y;
}

static tsr_tensor *each(tsr_run *r, const layer *l, const tsr_tensor *x, int pad, int stride) {
    const tsr_depthwise_spec spec = {stride, pad, pad, pad, pad};
    tsr_tensor *y = tsr_depthwise(r, x, tsr_from_weight(r, l->folded.weight),
                                  tsr_from_weight(r, l->folded.bias), &spec);
    return l->slope ? tsr_face_prelu(r, y, l->slope) : y;
}

/* x [B, H, W, in] -> [B, H / stride, W / stride, out] */
static tsr_tensor *bottleneck(tsr_run *r, const layer *l, tsr_tensor *x, int stride, bool same) {
    const tsr_scope scope = tsr_scope_open(r);
    tsr_tensor *y = dense(r, &l[0], x, 0, 1, NULL);
    y = each(r, &l[1], y, 1, stride);
    return tsr_scope_close(r, scope, dense(r, &l[2], y, 0, 1, same ? x : NULL));
}

enum { CONV1, DW_CONV1, AFTER_BLOCKS, CONV2, LINEAR7, EMBEDDING };

static void walk(tsr_run *r, const tsr_face_network *face, tsr_tensor *x, tsr_tensor **part) {
    const mobilefacenet *n = (const mobilefacenet *)face;
    part[CONV1] = x = dense(r, &n->conv1, x, 1, 2, NULL); /* [B, 56, 48, 64] */
    part[DW_CONV1] = x = each(r, &n->dw_conv1, x, 1, 1);
    for (int i = 0; i < BLOCKS; ++i)
        x = bottleneck(r, n->blocks[i], x, plan[i].stride,
                       plan[i].stride == 1 && i && plan[i - 1].channels == plan[i].channels);
    part[AFTER_BLOCKS] = x; /* [B, 7, 6, 128] */
    part[CONV2] = x = dense(r, &n->conv2, x, 0, 1, NULL);
    part[LINEAR7] = x = each(r, &n->linear7, x, 0, 1); /* [B, 1, 1, 512] */
    x = dense(r, &n->linear1, x, 0, 1, NULL);
    part[EMBEDDING] = tsr_reshape(r, x, 2, (int64_t[]){x->dim[0], x->dim[3]});
}

const tsr_face_kind tsr_face_mobilefacenet = {
    .name = "mobilefacenet",
    .bytes = sizeof(mobilefacenet),
    .width = 96,
    .height = 112,
    .deviation = 128,
    .parts = EMBEDDING + 1,
    .part = {"conv1", "dw_conv1", "blocks", "conv2", "linear7", "embedding"},
    .read_shape = read_shape,
    .load = load,
    .fold = fold,
    .walk = walk};

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "dw_conv1.conv.weight") >= 0 &&
           tsr_safetensors_find(file, "linear7.conv.weight") >= 0;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    tsr_face_list(&tsr_face_mobilefacenet, source, loader);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    return tsr_face_open_file(device, &tsr_face_mobilefacenet, source, model);
}

static const tsr_judge_ops judge_ops = {
    .describe = tsr_face_describe, .cost = tsr_face_cost, .embed = tsr_face_judge};

const tsr_family tsr_family_mobilefacenet = {
    .name = "mobilefacenet",
    .about = "a judge: 128 numbers that stand for a face; MobileFaceNet, 96x112 crops",
    .needs = "the 068.ckpt of Xiaoccer/MobileFaceNet_Pytorch, converted by `tessera model convert`",
    .verified = "golden cases of Xiaoccer's MobileFacenet (26bd8d2) with synthetic weights and "
                "with the trained ones",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = tsr_face_close_file,
    .judge = &judge_ops,
};
