/* SPDX-License-Identifier: MIT */
/* inception_judge.c: pictures to Inception's input, in the three ways there are, and the family. */
#include "inception.h"
#include "../../compute/arena.h"
#include "../../compute/threads.h"
#include "../../nn/grid_resize.h"
#include "bilinear_input.h"

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = TSR_INCEPTION_SIDE };

/* ---- preparation ---- */

const char *const tsr_inception_view_names[TSR_INCEPTION_VIEWS] = {"tf1", "torch", "clean"};

static tsr_status clean(tsr_context *ctx, const tsr_picture *p, float *x) {
    const size_t n = (size_t)p->width * (size_t)p->height * 3;
    float *from = tsr_alloc(ctx, n, sizeof *from, "inception: pixels");
    if (!from) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < n; ++i)
        from[i] = (float)p->rgb[i];
    const tsr_status status =
        tsr_grid_resize(ctx, from, (tsr_grid_size){p->height, p->width}, 3,
                        TSR_GRID_BICUBIC_ANTIALIAS, x, (tsr_grid_size){SIDE, SIDE});
    for (int i = 0; i < SIDE * SIDE * 3 && !status; ++i)
        x[i] = ((x[i] < 0 ? 0 : x[i] > 255 ? 255 : x[i]) - 128) / 128;
    free(from);
    return status;
}

tsr_status tsr_inception_prepare(tsr_context *ctx, const tsr_picture *p, tsr_inception_view view,
                                 float *x) {
    if (view == TSR_INCEPTION_CLEAN) return clean(ctx, p, x);
    if (view == TSR_INCEPTION_TORCH)
        tsr_bilinear_input(p, SIDE, &(tsr_bilinear){true, 1.0f / 255, 2, -1}, x);
    else
        tsr_bilinear_input(p, SIDE, &(tsr_bilinear){false, 1, 1.0f / 128, -1}, x);
    return TSR_OK;
}

typedef struct preparation {
    tsr_context *ctx;
    const tsr_picture *pictures;
    tsr_inception_view view;
    float *x;
} preparation;

static void prepare_one(void *arg, int64_t i, int worker) {
    const preparation *p = arg;
    (void)worker;
    tsr_inception_prepare(p->ctx, &p->pictures[i], p->view, p->x + (size_t)i * SIDE * SIDE * 3);
}

/* ---- the family ---- */

/* Outputs as a judge lists them, the usual one first. */
static const tsr_inception_output order[TSR_INCEPTION_OUTPUTS] = {
    TSR_INCEPTION_2048, TSR_INCEPTION_LOGITS_UNBIASED, TSR_INCEPTION_64, TSR_INCEPTION_192,
    TSR_INCEPTION_768,  TSR_INCEPTION_LOGITS};

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "Mixed_7c.branch_pool.conv.weight") >= 0 &&
           tsr_safetensors_find(file, "Conv2d_1a_3x3.conv.weight") >= 0;
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_inception *m = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_inception_open(device, weights, source->path, &m);
    *model = m;
    return status;
}

static void close_model(void **model) {
    tsr_inception *m = model ? *model : NULL;
    tsr_inception_close(&m);
    if (model) *model = NULL;
}

static void describe(const void *model, tsr_judge_info *info) {
    (void)model;
    snprintf(info->name, sizeof info->name, "inception-2015-12-05");
    snprintf(
        info->protocol, sizeof info->protocol,
        "Inception v3, graph of 2015-12-05, f32; pictures to 299 x 299: tf1 as torch-fidelity, "
        "torch as pytorch-fid, clean as clean-fid");
    info->abilities = TSR_JUDGE_EMBEDS;
    info->least_width = info->least_height = 1;
    info->mixed = 1;
    info->output_count = TSR_INCEPTION_OUTPUTS;
    for (int i = 0; i < TSR_INCEPTION_OUTPUTS; ++i) {
        snprintf(info->outputs[i].name, sizeof info->outputs[i].name, "%s",
                 tsr_inception_output_names[order[i]]);
        info->outputs[i].channels = (uint32_t)tsr_inception_channels(order[i]);
    }
    info->preparation_count = TSR_INCEPTION_VIEWS;
    for (int i = 0; i < TSR_INCEPTION_VIEWS; ++i)
        snprintf(info->preparations[i], sizeof info->preparations[i], "%s",
                 tsr_inception_view_names[i]);
}

static tsr_tile_cost cost(const void *model, const tsr_picture *picture) {
    (void)model;
    (void)picture;
    /* The first three maps: 149 x 149 x 32, 147 x 147 x 32 and 147 x 147 x 64. */
    return (tsr_tile_cost){.bytes = 14 << 20, .tensor_bytes = 147 * 147 * 64 * 4};
}

static tsr_status embed(const void *model, const tsr_picture *pictures, int count, int view,
                        const int *outputs, int output_count, float *const *values) {
    const tsr_inception *m = model;
    tsr_inception_output list[TSR_INCEPTION_OUTPUTS];
    for (int i = 0; i < output_count; ++i)
        list[i] = order[outputs[i]];
    tsr_context *ctx = tsr_inception_context(m);
    float *x = tsr_alloc(ctx, (size_t)count * SIDE * SIDE * 3, sizeof *x, "inception: pictures");
    if (!x) return TSR_ERROR_MEMORY;
    preparation p = {ctx, pictures, (tsr_inception_view)view, x};
    tsr_status status = TSR_OK;
    if (view != TSR_INCEPTION_CLEAN) /* only clean-fid's needs memory, on the calling thread */
        tsr_parallel(ctx, count, prepare_one, &p);
    for (int i = 0; i < count && view == TSR_INCEPTION_CLEAN && !status; ++i)
        status = clean(ctx, &pictures[i], x + (size_t)i * SIDE * SIDE * 3);
    if (!status) status = tsr_inception_run(m, x, count, list, output_count, values);
    free(x);
    return status;
}

static const tsr_judge_ops judge_ops = {.describe = describe, .cost = cost, .embed = embed};

const tsr_family tsr_family_inception = {
    .name = "inception",
    .about = "a judge: Inception features of pictures for FID, KID, Inception Score and "
             "precision/recall",
    .needs = "pt_inception-2015-12-05-6726825d.pth or weights-inception-2015-12-05-6726825d.pth "
             "through `tessera model convert`",
    .verified = "golden cases of torch-fidelity (5e211a9) and pytorch-fid (b9c1811) with synthetic "
                "weights in the published size",
    .recognise = recognise,
    .list_tensors = tsr_inception_list,
    .open = open_model,
    .close = close_model,
    .judge = &judge_ops,
};
