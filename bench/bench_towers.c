/* SPDX-License-Identifier: MIT */
/* bench_towers.c: pictures to features, one and several in a run: DINOv2 S/14 at 224 pixels with
 * made-up weights, or the tower that was asked for; in f32, and in fast where a device has that. */
#include "bench.h"
#include "../compute/arena.h"
#include "../models/model.h"
#include "../towers/vit_tower.h"

#include <stdio.h>
#include <string.h>

enum { MOST = 16 };
static const double long_run = 100; /* seconds a row of several pictures may take */

typedef struct tower_bench {
    tsr_context *ctx;
    const tsr_tower_ops *ops;
    const void *model;
    tsr_pixels pixels;
    tsr_feature wanted;
    double alone; /* seconds of one picture, for too_long */
    tsr_scratch scratch;
} tower_bench;

static tsr_status body(void *arg) {
    tower_bench *m = arg;
    return m->ops->features(m->model, &m->pixels, &m->wanted, 1);
}

static tsr_status too_long(void *arg) {
    const tower_bench *m = arg;
    return tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED, "one takes %.1f s", m->alone);
}

/* 2 x multiply-adds of the usual features of one picture: blocks, and the projection of patches. */
static double work_of(const tsr_tower_info *info, const tsr_feature_sizes *size, double hidden) {
    const double t = (double)size->all, d = info->channels;
    return info->feature_layer * (2 * t * (4 * d * d + hidden) + 4 * t * t * d) +
           2.0 * (double)size->patches * d * 3 * info->patch * info->patch;
}

static const char *row_name(char name[128], const char *title, bool fast, int count) {
    snprintf(name, 128, "%s features in %s, %d picture%s", title, fast ? "fast" : "f32", count,
             count == 1 ? "" : "s");
    return name;
}

/* Whether a row of this tower is asked for. */
static bool wants(const tsr_bencher *b, const char *title, bool fast) {
    char name[128];
    return tsr_bench_wants(b, row_name(name, title, fast, 1)) ||
           tsr_bench_wants(b, row_name(name, title, fast, MOST));
}

/* Rows of 1 and MOST pictures. hidden: multiply-adds of an MLP for a row; 0: not known. */
static tsr_status time_tower(tsr_bencher *b, tower_bench *m, const tsr_bench_device *d, bool fast,
                             const char *title, double hidden) {
    tsr_tower_info info = {0};
    tsr_feature_sizes size;
    m->ops->describe(m->model, &info);
    const tsr_tile_size tile = {1, info.view.height, info.view.width};
    const size_t bytes = (size_t)tile.width * tile.height * 3;
    tsr_status status = m->ops->sizes(m->model, tile, &size);
    if (status) return status;
    m->scratch = (tsr_scratch){.ctx = b->ctx};
    uint8_t *rgb = tsr_scratch_take(&m->scratch, MOST, bytes, "bench: pictures");
    m->wanted = (tsr_feature){TSR_FEATURE_PATCHES, TSR_LAYER_USUAL, NULL};
    m->wanted.values = tsr_scratch_take(&m->scratch, (size_t)(MOST * size.patches) * info.channels,
                                        sizeof(float), "bench: features");
    status = m->scratch.status;
    for (size_t i = 0; i < MOST * bytes && !status; ++i)
        rgb[i] = (uint8_t)((i * 2654435761u) >> 13);
    m->alone = 0;
    for (int count = 1; count <= MOST && !status; count *= MOST) {
        char name[128];
        if (!tsr_bench_wants(b, row_name(name, title, fast, count))) continue;
        m->pixels = (tsr_pixels){rgb, count, tile};
        const tsr_bench_row row = {.name = name,
                                   .by = d->reference ? "reference" : "tessera",
                                   .dtype = fast ? "fast" : NULL,
                                   .device = &d->info,
                                   .flops = hidden > 0 ? work_of(&info, &size, hidden) : 0,
                                   .items = count,
                                   .median = &m->alone};
        status = tsr_bench_time(b, &row, m->alone * 5 * count > long_run ? too_long : body, m);
    }
    tsr_scratch_free(&m->scratch);
    return status;
}

/* ---- the tower that was asked for ---- */

static const char *device_name(const tsr_bench_device *d, char text[32]) {
    snprintf(text, 32, d->info.kind == TSR_DEVICE_CPU ? "cpu" : "vulkan:%d", d->info.index);
    return text;
}

bool tsr_bench_is_tower(tsr_context *ctx, const char *name) {
    tsr_model m = {.ctx = ctx};
    const bool tower = !tsr_model_find(&m, name) && m.family->tower;
    tsr_model_close(&m);
    return tower;
}

/* Multiply-adds of a row in the MLP of a block; 0: not known. */
static double mlp_work(const tsr_model *model) {
    if (model->family->tower != &tsr_vit_tower_ops) return 0;
    const tsr_vit_tower *t = model->state;
    return (t->layout.gated ? 3.0 : 2.0) * (double)(t->width * t->hidden);
}

/* title: the tower's name once it has been opened; a row that nobody wants does not open it again.
 */
static tsr_status bench_model(tsr_bencher *b, const tsr_bench_device *d, bool fast,
                              char title[64]) {
    if (*title && !wants(b, title, fast)) return TSR_OK;
    char device[32];
    tsr_model model = {.ctx = b->ctx};
    const tsr_model_settings s = {.model = b->settings.model,
                                  .device = device_name(d, device),
                                  .mask = b->settings.mask,
                                  .reference = d->reference,
                                  .precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32};
    tsr_status status = tsr_model_find(&model, s.model);
    if (!status) status = tsr_model_open_devices(&model, &s);
    if (!status && (!fast || *tsr_device_fast_path(model.device)))
        status = tsr_model_open_state(&model);
    if (!status && model.state) {
        tower_bench m = {.ctx = b->ctx, .ops = model.family->tower, .model = model.state};
        tsr_tower_info info = {0};
        m.ops->describe(m.model, &info);
        snprintf(title, 64, "%s", info.name);
        status = time_tower(b, &m, d, fast, title, mlp_work(&model));
    }
    tsr_model_close(&model);
    return status;
}

/* ---- a made-up one ---- */

enum { WIDTH = 384, DEPTH = 12, HIDDEN = 4 * WIDTH, PATCH = 14, SIDE = 37 };

/* Values by name and place, small enough that activations stay finite. */
static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    (void)ctx;
    (void)user;
    const bool norm = strstr(name, "norm") || strstr(name, "lambda1");
    const bool weight = strstr(name, "weight") || strstr(name, "lambda1");
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t h = (uint32_t)(first + i + (int64_t)strlen(name)) * 2654435761u;
        const float u = (float)(h >> 8) * 0x1p-24f - 0.5f;
        f32[i] = norm && weight ? 1 + 0.1f * u : 0.1f * u;
    }
    return TSR_OK;
}
static const tsr_weight_source made = {.fill = fill};

static void add(tsr_context *ctx, tsr_weights *w, tsr_status *status, const char *name, int rank,
                const int64_t *dim) {
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    if (!*status) *status = tsr_weights_add_lazy(ctx, w, name, &t, &made);
}

/* <name>.weight [out, in] and .bias; in 0: a norm. */
static void add_layer(tsr_context *ctx, tsr_weights *w, tsr_status *status, const char *prefix,
                      const char *part, int64_t out, int64_t in) {
    char name[128];
    snprintf(name, sizeof name, "%s%s.weight", prefix, part);
    add(ctx, w, status, name, in ? 2 : 1, (int64_t[]){out, in});
    snprintf(name, sizeof name, "%s%s.bias", prefix, part);
    add(ctx, w, status, name, 1, &out);
}

static tsr_status make_weights(tsr_context *ctx, tsr_weights **weights) {
    static const char *const layers[] = {"attention.attention.query", "attention.attention.key",
                                         "attention.attention.value", "attention.output.dense"};
    const int64_t d = WIDTH;
    char block[64], name[128];
    tsr_status status = tsr_weights_open(ctx, weights);
    if (status) return status;
    tsr_weights *w = *weights;
    add(ctx, w, &status, "embeddings.cls_token", 3, (int64_t[]){1, 1, d});
    add(ctx, w, &status, "embeddings.position_embeddings", 3, (int64_t[]){1, SIDE * SIDE + 1, d});
    add(ctx, w, &status, "embeddings.patch_embeddings.projection.weight", 4,
        (int64_t[]){d, 3, PATCH, PATCH});
    add(ctx, w, &status, "embeddings.patch_embeddings.projection.bias", 1, &d);
    add_layer(ctx, w, &status, "", "layernorm", d, 0);
    for (int i = 0; i < DEPTH; ++i) {
        snprintf(block, sizeof block, "encoder.layer.%d.", i);
        add_layer(ctx, w, &status, block, "norm1", d, 0);
        add_layer(ctx, w, &status, block, "norm2", d, 0);
        for (int j = 0; j < 4; ++j)
            add_layer(ctx, w, &status, block, layers[j], d, d);
        add_layer(ctx, w, &status, block, "mlp.fc1", HIDDEN, d);
        add_layer(ctx, w, &status, block, "mlp.fc2", d, HIDDEN);
        for (int j = 1; j < 3; ++j) {
            snprintf(name, sizeof name, "%slayer_scale%d.lambda1", block, j);
            add(ctx, w, &status, name, 1, &d);
        }
    }
    return status;
}

static const char made_title[] = "tower dinov2-s";

static tsr_status bench_made(tsr_bencher *b, const tsr_bench_device *d, bool fast) {
    char name[32];
    if (!wants(b, made_title, fast)) return TSR_OK;
    tsr_device *device = NULL;
    tsr_weights *weights = NULL;
    tsr_vit_tower *tower = NULL;
    const tsr_device_settings s = {.name = device_name(d, name),
                                   .mask = b->settings.mask,
                                   .reference = d->reference,
                                   .precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32};
    tsr_status status = tsr_device_open(b->ctx, &device, &s);
    if (!status && fast && !*tsr_device_fast_path(device)) {
        tsr_device_close(&device);
        return TSR_OK;
    }
    if (!status) status = make_weights(b->ctx, &weights);
    if (!status)
        status =
            tsr_vit_tower_open(device, &tsr_dinov2, NULL, NULL, weights, "made-up tower", &tower);
    else
        tsr_weights_close(&weights);
    tower_bench m = {.ctx = b->ctx, .ops = &tsr_vit_tower_ops, .model = tower};
    if (!status) status = time_tower(b, &m, d, fast, made_title, 2.0 * WIDTH * HIDDEN);
    tsr_vit_tower_close(&tower);
    tsr_device_close(&device);
    return status;
}

tsr_status tsr_bench_suite_towers(tsr_bencher *b) {
    const bool model = b->settings.model != NULL;
    char title[64] = "";
    tsr_status status = TSR_OK;
    for (int i = 0; i < b->device_count && !status; ++i)
        for (int fast = 0; fast < 2 && !status; ++fast) {
            /* The reference takes 10 s a picture of the made-up tower, of a published one minutes.
             */
            if (b->devices[i].reference) continue;
            status = model ? bench_model(b, &b->devices[i], fast, title)
                           : bench_made(b, &b->devices[i], fast);
        }
    return status;
}
