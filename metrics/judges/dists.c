/* SPDX-License-Identifier: MIT */
/* dists.c: DISTS (Ding et al. 2020): how alike the structure and the texture of two pictures are.
 *
 *   picture ─► mean and deviation of ImageNet ─► VGG16, pools of l2 norms ─► 5 taps
 *   the picture itself and the taps ─► means, variances, covariance of each channel
 *   1 - sum over channels of alpha (likeness of means) + beta (likeness of what is around them) */
#include "dists.h"
#include "../../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>

enum { STAGES = 6 };
#define C1 1e-6
#define C2 1e-6

static const tsr_input_scale plain = {.multiply = 1, .deviation = {1, 1, 1}};
static const tsr_input_scale imagenet = {
    .multiply = 1, .mean = {.485, .456, .406}, .deviation = {.229, .224, .225}};

/* ---- the network ---- */

static void load(tsr_weight_loader *l, tsr_dists *m) {
    const int64_t dim[4] = {1, TSR_DISTS_CHANNELS, 1, 1};
    tsr_backbone_load(l, &m->backbone);
    tsr_load_weight(l, "", "alpha", 4, dim, &m->alpha);
    tsr_load_weight(l, "", "beta", 4, dim, &m->beta);
}

static const char *const ignored[] = {"classifier.", NULL};

tsr_status tsr_dists_open(tsr_device *device, tsr_weights *weights, const char *path,
                          tsr_dists **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_dists *m = tsr_alloc(ctx, 1, sizeof *m, "dists");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    *m = (tsr_dists){
        .ctx = ctx, .device = device, .weights = weights, .backbone = {.kind = &tsr_backbone_vgg}};
    tsr_weight_loader l = tsr_load_all_begin(ctx, weights, path);
    load(&l, m);
    tsr_status status = tsr_load_all_end(&l, ignored);
    if (!status) status = tsr_weight_pin(ctx, m->alpha);
    if (!status) status = tsr_weight_pin(ctx, m->beta);
    if (status)
        tsr_dists_close(&m);
    else
        *model = m;
    return status;
}

void tsr_dists_close(tsr_dists **model) {
    if (!model || !*model) return;
    tsr_dists *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    free(m);
    *model = NULL;
}

/* in: pictures [2B, H, W, 3] as they are and scaled, out: moments [B, 5, C] of each stage; with
 * features also the taps. */
static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_dists *m = model;
    const bool *features = tsr_run_args(r);
    tsr_tensor *taps[TSR_BACKBONE_TAPS] = {NULL};
    out[0] = tsr_pair_moments(r, in[0]);
    tsr_backbone_walk(r, &m->backbone, in[1], TSR_POOL2D_BINOMIAL, taps);
    for (int i = 0; i + 1 < STAGES; ++i) {
        out[1 + i] = tsr_pair_moments(r, taps[i]);
        if (*features) out[STAGES + i] = taps[i];
    }
}

/* ---- pictures ---- */

/* Likeness of one stage's channels, weighted: adds to *sum. */
static void add_stage(const float *moments, int channels, const float *alpha, const float *beta,
                      double *sum) {
    const float *ma = moments, *mb = ma + channels, *va = mb + channels, *vb = va + channels;
    const float *ab = vb + channels;
    for (int i = 0; i < channels; ++i) {
        const double a = (double)ma[i], b = (double)mb[i];
        const double means = (2 * a * b + C1) / (a * a + b * b + C1);
        const double rest = (2 * (double)ab[i] + C2) / ((double)va[i] + (double)vb[i] + C2);
        *sum += (double)alpha[i] * means + (double)beta[i] * rest;
    }
}

static void judge(const tsr_dists *m, const tsr_tensor *moments, int count, double *distances) {
    double total = 0;
    for (int i = 0; i < TSR_DISTS_CHANNELS; ++i)
        total += (double)m->alpha->f32[i] + (double)m->beta->f32[i];
    for (int p = 0; p < count; ++p) {
        double sum = 0;
        for (int s = 0, first = 0; s < STAGES; ++s) {
            const int channels = (int)tsr_cols(&moments[s]);
            add_stage((const float *)moments[s].data + (size_t)p * 5 * (size_t)channels, channels,
                      m->alpha->f32 + first, m->beta->f32 + first, &sum);
            first += channels;
        }
        distances[p] = 1 - sum / total;
    }
}

tsr_status tsr_dists_compare(const tsr_dists *m, const tsr_picture *a, const tsr_picture *b,
                             int count, double *distances, float *const *features) {
    const int64_t w = a->width, h = a->height, n = count * w * h * 3;
    const bool all = features != NULL;
    tsr_map_size size[TSR_BACKBONE_TAPS];
    tsr_tensor in[2], out[2 * STAGES];
    tsr_scratch scratch = {.ctx = m->ctx};
    tsr_backbone_sizes(m->backbone.kind, TSR_POOL2D_BINOMIAL, (uint32_t)w, (uint32_t)h, size);
    for (int s = 0; s < STAGES; ++s) {
        const int64_t c = s ? tsr_backbone_channels(m->backbone.kind, s - 1) : 3;
        float *moments =
            tsr_scratch_take(&scratch, (size_t)(count * 5 * c), sizeof *moments, "moments");
        out[s] = tsr_host_tensor(TSR_DTYPE_F32, moments, 3, (int64_t[]){count, 5, c});
        if (s && all)
            out[STAGES + s - 1] =
                tsr_host_tensor(TSR_DTYPE_F32, features[s - 1], 4,
                                (int64_t[]){2 * count, size[s - 1].rows, size[s - 1].columns, c});
    }
    for (int i = 0; i < 2; ++i) {
        float *x = tsr_scratch_take(&scratch, (size_t)n * 2, sizeof *x, "pictures");
        in[i] = tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){2 * count, h, w, 3});
        if (scratch.status) break;
        tsr_scale_pictures(i ? &imagenet : &plain, a, count, x);
        tsr_scale_pictures(i ? &imagenet : &plain, b, count, x + n);
    }
    tsr_status status = scratch.status;
    const tsr_program program = {
        .fn = walk, .model = m, .args = &all, .variant = all, .name = "dists"};
    if (!status)
        status = tsr_execute(m->device, &program, in, 2, out, all ? 2 * STAGES - 1 : STAGES);
    if (!status) judge(m, out, count, distances);
    tsr_scratch_free(&scratch);
    return status;
}

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "alpha") >= 0 && tsr_safetensors_find(file, "beta") >= 0 &&
           tsr_backbone_find(file) == &tsr_backbone_vgg;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_dists m = {.ctx = source->ctx, .backbone = {.kind = &tsr_backbone_vgg}};
    load(l, &m);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_dists *m = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_dists_open(device, weights, source->path, &m);
    *model = m;
    return status;
}

static void close_model(void **model) {
    tsr_dists *m = model ? *model : NULL;
    tsr_dists_close(&m);
    if (model) *model = NULL;
}

static void describe(const void *model, tsr_judge_info *info) {
    (void)model;
    snprintf(info->name, sizeof info->name, "dists-vgg");
    snprintf(info->protocol, sizeof info->protocol,
             "DISTS, VGG16 with l2 pooling: pixels 0..1, no resizing (the paper's own evaluation "
             "resizes the short side to 256)");
    info->abilities = TSR_JUDGE_COMPARES;
    info->least_width = info->least_height = 1;
}

static tsr_tile_cost cost(const void *model, const tsr_picture *picture) {
    const tsr_dists *m = model;
    const tsr_tile_cost one =
        tsr_backbone_cost(m->backbone.kind, (uint32_t)picture->width, (uint32_t)picture->height);
    return (tsr_tile_cost){.bytes = 2 * one.bytes, .tensor_bytes = 2 * one.tensor_bytes};
}

static tsr_status compare(const void *model, const tsr_picture *a, const tsr_picture *b, int count,
                          double *distances) {
    return tsr_dists_compare(model, a, b, count, distances, NULL);
}

static const tsr_judge_ops judge_ops = {.describe = describe, .cost = cost, .compare = compare};

const tsr_family tsr_family_dists = {
    .name = "dists",
    .about = "a judge: DISTS, the likeness of structure and texture over VGG16",
    .needs = "torchvision's VGG16 with DISTS's weights added: `tessera model convert "
             "vgg16-397923af.pth dists.safetensors --with weights.pt`",
    .verified = "a golden case of DISTS-pytorch 0.1 with synthetic weights in its published size",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .judge = &judge_ops,
};
