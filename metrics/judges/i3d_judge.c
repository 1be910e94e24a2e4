/* SPDX-License-Identifier: MIT */
/* i3d_judge.c: clips to I3D's input, and the family. */
#include "../../compute/arena.h"
#include "../../compute/threads.h"
#include "bilinear_input.h"
#include "i3d.h"

#include <stdio.h>
#include <stdlib.h>

enum { VALUES = TSR_I3D_SIDE * TSR_I3D_SIDE * 3 }; /* of a frame */

/* ---- preparation ---- */

static void prepare_frame(const tsr_picture *clip, int64_t frame, float *x) {
    const size_t bytes = (size_t)clip->width * (size_t)clip->height * 3;
    tsr_picture p = *clip;
    p.rgb += (size_t)frame * bytes;
    tsr_bilinear_input(&p, TSR_I3D_SIDE, &(tsr_bilinear){true, 1, 2.0f / 255, -1}, x);
}

void tsr_i3d_prepare(const tsr_picture *clip, float *x) {
    for (int i = 0; i < clip->frames; ++i)
        prepare_frame(clip, i, x + (size_t)i * VALUES);
}

typedef struct preparation {
    const tsr_picture *clips;
    float *x;
} preparation;

static void prepare_one(void *arg, int64_t i, int worker) {
    const preparation *p = arg;
    const int frames = p->clips->frames; /* of each */
    (void)worker;
    prepare_frame(&p->clips[i / frames], i % frames, p->x + (size_t)i * VALUES);
}

/* ---- the family ---- */

/* Outputs as a judge lists them, the usual one first. */
static const tsr_i3d_output order[] = {TSR_I3D_LOGITS, TSR_I3D_FEATURES};
enum { ORDER = sizeof order / sizeof *order };

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "Mixed_5c.b3b.conv3d.weight") >= 0 &&
           tsr_safetensors_find(file, "Conv3d_1a_7x7.conv3d.weight") >= 0;
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_i3d *m = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_i3d_open(device, weights, source->path, &m);
    *model = m;
    return status;
}

static void close_model(void **model) {
    tsr_i3d *m = model ? *model : NULL;
    tsr_i3d_close(&m);
    if (model) *model = NULL;
}

static void describe(const void *model, tsr_judge_info *info) {
    (void)model;
    snprintf(info->name, sizeof info->name, "i3d-rgb");
    snprintf(
        info->protocol, sizeof info->protocol,
        "I3D of RGB frames (Kinetics-400, the PyTorch port), f32; whole frames to 224 x 224 by "
        "PyTorch's bilinear without antialias, pixels to -1..1; logits: mean over times");
    info->abilities = TSR_JUDGE_EMBEDS;
    info->least_width = info->least_height = 1;
    info->least_frames = TSR_I3D_LEAST_FRAMES;
    info->mixed = 1;
    info->output_count = ORDER;
    for (int i = 0; i < ORDER; ++i) {
        int64_t size[4];
        tsr_i3d_size(order[i], TSR_I3D_LEAST_FRAMES, size);
        snprintf(info->outputs[i].name, sizeof info->outputs[i].name, "%s",
                 tsr_i3d_output_names[order[i]]);
        info->outputs[i].channels = (uint32_t)size[3];
    }
    snprintf(info->preparations[0], sizeof info->preparations[0], "bilinear");
    info->preparation_count = 1;
}

static tsr_tile_cost cost(const void *model, const tsr_picture *clip) {
    (void)model;
    /* The input, and the first kernel's taps beside each other and what it makes of them: 224 x 224
       x 3, and of each second frame 224 x 224 x 21 and 112 x 112 x 64. */
    const uint64_t frames = (uint64_t)clip->frames;
    return (tsr_tile_cost){.bytes = frames * (9 << 19), .tensor_bytes = frames * (9 << 18)};
}

static tsr_status embed(const void *model, const tsr_picture *clips, int count, int preparation_,
                        const int *outputs, int output_count, float *const *values) {
    const tsr_i3d *m = model;
    const int frames = clips->frames;
    tsr_i3d_output list[ORDER * TSR_JUDGE_OUTPUTS_MOST];
    (void)preparation_; /* there is one */
    for (int i = 0; i < output_count; ++i)
        list[i] = order[outputs[i]];
    tsr_context *ctx = tsr_i3d_context(m);
    const size_t all = (size_t)count * (size_t)frames;
    float *x = tsr_alloc(ctx, all * VALUES, sizeof *x, "i3d: frames");
    if (!x) return TSR_ERROR_MEMORY;
    preparation p = {clips, x};
    tsr_parallel(ctx, (int64_t)all, prepare_one, &p);
    const tsr_status status = tsr_i3d_run(m, x, count, frames, list, output_count, values);
    free(x);
    return status;
}

static const tsr_judge_ops judge_ops = {.describe = describe, .cost = cost, .embed = embed};

const tsr_family tsr_family_i3d = {
    .name = "i3d",
    .about = "a judge: I3D features of clips for the Frechet video distance",
    .needs = "rgb_imagenet.pt of pytorch-i3d through `tessera model convert`",
    .verified =
        "golden cases of pytorch-i3d (05783d1) with synthetic weights in the published size",
    .recognise = recognise,
    .list_tensors = tsr_i3d_list,
    .open = open_model,
    .close = close_model,
    .judge = &judge_ops,
};
