/* SPDX-License-Identifier: MIT */
/* lpips.c: LPIPS v0.1 (Zhang et al. 2018): how far two pictures are from each other in the feature
 * maps of a classifier.
 *
 *   picture ─► scaling ─► AlexNet, VGG16 or SqueezeNet 1.1 ─► unit vectors over channels at each
 * tap pair ─► squared difference ─► weighted sum over channels ─► mean over places ─► sum over taps
 */
#include "lpips.h"
#include "../../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>

#define EPS 1e-10f /* added to the length, after the root */

/* v / 255 * 2 - 1, then the scaling layer, whose numbers are no tensors. */
static const tsr_input_scale input_scale = {
    .multiply = 2, .add = -1, .mean = {-.030, -.088, -.188}, .deviation = {.458, .448, .450}};

/* ---- the network ---- */

static void load(tsr_weight_loader *l, tsr_lpips *m) {
    tsr_backbone_load(l, &m->backbone);
    for (int i = 0; i < m->backbone.kind->taps; ++i) {
        char name[48];
        snprintf(name, sizeof name, "lin%d.model.1.weight", i);
        const int64_t dim[4] = {1, tsr_backbone_channels(m->backbone.kind, i), 1, 1};
        tsr_load_weight(l, "", name, 4, dim, &m->linear[i]);
    }
}

/* The classifier, LPIPS's second list of the same weights, and what torchmetrics keeps. */
static const char *const ignored[] = {"classifier.", "lins.", "scaling_layer.", NULL};

tsr_status tsr_lpips_open(tsr_device *device, const tsr_backbone_kind *kind, tsr_weights *weights,
                          const char *path, tsr_lpips **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_lpips *m = tsr_alloc(ctx, 1, sizeof *m, "lpips");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    *m = (tsr_lpips){.ctx = ctx, .device = device, .weights = weights, .backbone = {.kind = kind}};
    tsr_weight_loader l = tsr_load_all_begin(ctx, weights, path);
    load(&l, m);
    const tsr_status status = tsr_load_all_end(&l, ignored);
    if (status)
        tsr_lpips_close(&m);
    else
        *model = m;
    return status;
}

void tsr_lpips_close(tsr_lpips **model) {
    if (!model || !*model) return;
    tsr_lpips *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    free(m);
    *model = NULL;
}

/* in: pictures [2B, H, W, 3], out: distances [B, h, w] of each tap; with features also the taps. */
static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_lpips *m = model;
    const bool *features = tsr_run_args(r);
    tsr_tensor *taps[TSR_BACKBONE_TAPS] = {NULL};
    tsr_backbone_walk(r, &m->backbone, in[0], TSR_POOL2D_MAX, taps);
    for (int i = 0; i < m->backbone.kind->taps; ++i) {
        out[i] = tsr_unit_distance(r, taps[i], m->linear[i], EPS);
        if (*features) out[m->backbone.kind->taps + i] = taps[i];
    }
}

/* ---- pictures ---- */

typedef struct job {
    tsr_tensor in, out[2 * TSR_BACKBONE_TAPS];
    tsr_map_size size[TSR_BACKBONE_TAPS];
    bool features;
    tsr_scratch scratch;
} job;

static void take_outputs(job *j, const tsr_lpips *m, int count, const tsr_lpips_parts *parts) {
    const int taps = m->backbone.kind->taps;
    for (int i = 0; i < taps; ++i) {
        const int64_t h = j->size[i].rows, w = j->size[i].columns;
        float *map = parts->maps[i];
        if (!map)
            map = tsr_scratch_take(&j->scratch, (size_t)(count * h * w), sizeof *map, "distances");
        j->out[i] = tsr_host_tensor(TSR_DTYPE_F32, map, 3, (int64_t[]){count, h, w});
        const int64_t dim[4] = {2 * count, h, w, tsr_backbone_channels(m->backbone.kind, i)};
        j->out[taps + i] = tsr_host_tensor(TSR_DTYPE_F32, parts->features[i], 4, dim);
    }
}

/* Means over places, in double and in one order. */
static void take_means(const job *j, int count, int taps, double *layers) {
    for (int i = 0; i < taps; ++i) {
        const int64_t n = j->size[i].rows * j->size[i].columns;
        const float *map = j->out[i].data;
        for (int p = 0; p < count; ++p) {
            double sum = 0;
            for (int64_t k = 0; k < n; ++k)
                sum += (double)map[p * n + k];
            layers[p * taps + i] = sum / (double)n;
        }
    }
}

tsr_status tsr_lpips_compare(const tsr_lpips *m, const tsr_picture *a, const tsr_picture *b,
                             int count, const tsr_lpips_parts *parts) {
    const int64_t w = a->width, h = a->height, n = count * w * h * 3;
    const int taps = m->backbone.kind->taps;
    job j = {.features = parts->features[0] != NULL, .scratch = {.ctx = m->ctx}};
    tsr_backbone_sizes(m->backbone.kind, TSR_POOL2D_MAX, (uint32_t)w, (uint32_t)h, j.size);
    float *x = tsr_scratch_take(&j.scratch, (size_t)n * 2, sizeof *x, "pictures");
    take_outputs(&j, m, count, parts);
    tsr_status status = j.scratch.status;
    if (!status) {
        tsr_scale_pictures(&input_scale, a, count, x);
        tsr_scale_pictures(&input_scale, b, count, x + n);
        j.in = tsr_host_tensor(TSR_DTYPE_F32, x, 4, (int64_t[]){2 * count, h, w, 3});
        const tsr_program program = {
            .fn = walk, .model = m, .args = &j.features, .variant = j.features, .name = "lpips"};
        status = tsr_execute(m->device, &program, &j.in, 1, j.out, j.features ? 2 * taps : taps);
    }
    if (!status && parts->layers) take_means(&j, count, taps, parts->layers);
    tsr_scratch_free(&j.scratch);
    return status;
}

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "lin0.model.1.weight") >= 0 && tsr_backbone_find(file);
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_lpips m = {.backbone = {.kind = tsr_backbone_find(source->weights)}};
    if (m.backbone.kind)
        load(l, &m);
    else
        l->status = tsr_fail(source->ctx, TSR_ERROR_MODEL,
                             "%s: wanted features of AlexNet, VGG16 or SqueezeNet 1.1, got none",
                             source->path);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    const tsr_backbone_kind *kind = tsr_backbone_find(source->weights);
    tsr_weights *weights = NULL;
    tsr_lpips *m = NULL;
    if (!kind)
        return tsr_fail(source->ctx, TSR_ERROR_MODEL,
                        "%s: wanted features of AlexNet, VGG16 or SqueezeNet 1.1, got none",
                        source->path);
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_lpips_open(device, kind, weights, source->path, &m);
    *model = m;
    return status;
}

static void close_model(void **model) {
    tsr_lpips *m = model ? *model : NULL;
    tsr_lpips_close(&m);
    if (model) *model = NULL;
}

static void describe(const void *model, tsr_judge_info *info) {
    const tsr_lpips *m = model;
    snprintf(info->name, sizeof info->name, "lpips-%s", m->backbone.kind->name);
    snprintf(info->protocol, sizeof info->protocol,
             "LPIPS v0.1, %s: pixels to -1..1, no resizing, mean over places of each tap, summed",
             m->backbone.kind->name);
    info->abilities = TSR_JUDGE_COMPARES;
    info->least_width = info->least_height = (uint32_t)m->backbone.kind->least;
}

static tsr_tile_cost cost(const void *model, const tsr_picture *picture) {
    const tsr_lpips *m = model;
    const tsr_tile_cost one =
        tsr_backbone_cost(m->backbone.kind, (uint32_t)picture->width, (uint32_t)picture->height);
    return (tsr_tile_cost){.bytes = 2 * one.bytes, .tensor_bytes = 2 * one.tensor_bytes};
}

static tsr_status compare(const void *model, const tsr_picture *a, const tsr_picture *b, int count,
                          double *distances) {
    const tsr_lpips *m = model;
    const int taps = m->backbone.kind->taps;
    double *layers = tsr_alloc(m->ctx, (size_t)(count * taps), sizeof *layers, "distances");
    if (!layers) return TSR_ERROR_MEMORY;
    const tsr_lpips_parts parts = {.layers = layers};
    const tsr_status status = tsr_lpips_compare(m, a, b, count, &parts);
    for (int i = 0; i < count && !status; ++i) {
        distances[i] = 0;
        for (int k = 0; k < taps; ++k)
            distances[i] += layers[i * taps + k];
    }
    free(layers);
    return status;
}

static const tsr_judge_ops judge_ops = {.describe = describe, .cost = cost, .compare = compare};

const tsr_family tsr_family_lpips = {
    .name = "lpips",
    .about = "a judge: the perceptual distance LPIPS v0.1 over AlexNet, VGG16 or SqueezeNet 1.1",
    .needs = "a backbone of torchvision with LPIPS's linear weights added: `tessera model convert "
             "alexnet-owt-7be5be79.pth lpips-alex.safetensors --with alex.pth`; or a saved "
             "lpips.LPIPS",
    .verified = "golden cases of PerceptualSimilarity (082bb24) with synthetic weights: all three "
                "networks in their published size",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .judge = &judge_ops,
};
