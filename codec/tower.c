/* SPDX-License-Identifier: MIT */
/* tower.c: opening towers, and features of pictures in memory. */
#include "tower.h"
#include "../compute/arena.h"
#include "../formats/arrays/feature_arrays.h"
#include "../nn/grid_pool.h"
#include "feature_tiles.h"
#include "view.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static tsr_status open_model(tsr_tower *t, const tsr_model_settings *settings) {
    tsr_status status = tsr_model_find(&t->model, settings->model);
    if (!status && !t->model.family->tower)
        status = tsr_fail(
            t->model.ctx, TSR_ERROR_UNSUPPORTED,
            "%s: wanted a tower (CLIP, SigLIP, DINOv2, Qwen2-VL), got the weights of %s, which "
            "makes no features",
            t->model.file, t->model.family->name);
    if (!status) status = tsr_model_open_devices(&t->model, settings);
    if (!status) status = tsr_model_open_state(&t->model);
    if (status) return status;
    t->model.family->tower->describe(t->model.state, &t->info);
    snprintf(t->info.family, sizeof t->info.family, "%s", t->model.family->name);
    status = tsr_safetensors_hash(t->model.ctx, t->model.weights, &t->info.weights_hash);
    return status ? status : tsr_model_check_values(&t->model);
}

tsr_status tsr_tower_open(tsr_context *ctx, tsr_tower **tower, const tsr_model_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!tower) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tower: wanted a pointer, got NULL");
    *tower = NULL;
    if (!settings || !settings->model)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tower: model: wanted a file or folder, got none");
    tsr_tower *t = tsr_alloc(ctx, 1, sizeof *t, "tower");
    if (!t) return TSR_ERROR_MEMORY;
    t->model.ctx = ctx;
    const tsr_status status = open_model(t, settings);
    if (status)
        tsr_tower_close(&t);
    else
        *tower = t;
    return status;
}

void tsr_tower_close(tsr_tower **tower) {
    if (!tower || !*tower) return;
    tsr_model_close(&(*tower)->model);
    free(*tower);
    *tower = NULL;
}

const tsr_tower_info *tsr_tower_properties(const tsr_tower *tower) {
    return &tower->info;
}

const char *tsr_tower_device(const tsr_tower *tower) {
    return tower->model.device_text;
}

/* ---- requests ---- */

int tsr_tower_layer(const tsr_tower *t, int layer) {
    return layer == TSR_LAYER_USUAL ? (int)t->info.feature_layer : layer;
}

int tsr_tower_block(const tsr_tower *t, int layer) {
    return layer == TSR_LAYER_USUAL ? (int)t->info.feature_layer - 1 : layer;
}

int64_t tsr_tower_attended(const tsr_tower *t, int64_t patches) {
    return patches + (t->info.has_class != 0);
}

tsr_status tsr_tower_newline(const tsr_tower *t, float **newline) {
    static const char tail[] = "image_newline";
    const tsr_safetensors *file = t->model.weights;
    *newline = NULL;
    for (int i = 0; i < tsr_safetensors_count(file); ++i) {
        const char *name = tsr_safetensors_name(file, i);
        const size_t size = strlen(name);
        const tsr_tensor *shape = tsr_safetensors_tensor(file, i);
        if (size + 1 < sizeof tail || strcmp(name + size + 1 - sizeof tail, tail)) continue;
        if (shape->rank != 1 || shape->dim[0] != t->info.projected) continue;
        const tsr_status status = tsr_safetensors_load(t->model.ctx, file, i);
        if (status) return status;
        return tsr_tensor_to_f32(t->model.ctx, name, tsr_safetensors_tensor(file, i), newline);
    }
    return TSR_OK;
}

static tsr_status check_number(const tsr_tower *t, const char *what, int got, int most) {
    if (got >= 0 && got <= most) return TSR_OK;
    return tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT, "%s: %s: wanted 0 to %d, got %d",
                    t->info.name, what, most, got);
}

tsr_status tsr_tower_check(const tsr_tower *t, const tsr_feature_request *q) {
    const int layers = (int)t->info.layers;
    tsr_context *ctx = t->model.ctx;
    tsr_status status = TSR_OK;
    if (q->layer_count < 0 || q->layer_count > TSR_FEATURE_LAYERS_MOST)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "layers: wanted at most %d, got %d",
                        TSR_FEATURE_LAYERS_MOST, q->layer_count);
    for (int i = 0; i < q->layer_count && !status; ++i) {
        status = check_number(t, "layer", tsr_tower_layer(t, q->layers[i]), layers);
        for (int j = 0; j < i && !status; ++j)
            if (q->layers[j] == q->layers[i])
                status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                                  "layers: wanted each layer once, got %d twice", q->layers[i]);
    }
    if (!status && q->keys)
        status = check_number(t, "layer of keys", tsr_tower_block(t, q->key_layer), layers - 1);
    if (!status && q->attention)
        status = check_number(t, "layer of attention", tsr_tower_block(t, q->attention_layer),
                              layers - 1);
    if (status) return status;
    if ((q->keys || q->attention) && !t->info.attends)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a tower whose keys and attention can be asked for, got %s",
                        t->info.name, t->info.family);
    if (q->attention == TSR_ATTENTION_CLASS && !t->info.has_class)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: attention: wanted that of a class row, got a tower without one (take "
                        "the attention of all rows)",
                        t->info.name);
    if (q->project && !t->info.projected)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted weights with a projector, got none (LLaVA's files have one)",
                        t->info.name);
    if ((q->tiling || q->pooling) && (q->layer_count > 1 || q->keys || q->attention))
        return tsr_fail(
            ctx, TSR_ERROR_UNSUPPORTED,
            "%s: wanted the features of one layer alone in tiles or pooled, got further "
            "layers, keys or attention",
            t->info.name);
    if (q->tiling && q->pooling)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted tiles or pooled frames, got both",
                        t->info.name);
    if (q->tiling && (!t->info.view.width || t->info.view.width != t->info.view.height ||
                      t->info.view.kind == TSR_VIEW_SMART || t->info.view.kind == TSR_VIEW_BUDGET))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a tower of pictures of one size for tiles, got one that takes "
                        "any",
                        t->info.name);
    if (q->project && q->layer_count && (q->layer_count > 1 || q->layers[0] != TSR_LAYER_USUAL))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted the usual layer for the projector, got other layers",
                        t->info.name);
    return TSR_OK;
}

/* ---- features ---- */

/* Arrays of a group of pictures with one size of view. */
typedef struct group {
    const tsr_tower *t;
    const tsr_feature_request *q;
    tsr_feature list[TSR_FEATURES_MOST];
    size_t values[TSR_FEATURES_MOST]; /* of one picture */
    int count, layers;
    tsr_feature_sizes size;
    bool stays; /* features of the first layer do not come down */
    tsr_scratch scratch;
} group;

static void ask(group *g, int pictures, tsr_feature_kind kind, int layer, int64_t values) {
    float *all = NULL;
    if (!g->stays || g->count)
        all = tsr_scratch_take(&g->scratch, (size_t)pictures * (size_t)values, sizeof *all,
                               "features");
    g->values[g->count] = (size_t)values;
    g->list[g->count++] = (tsr_feature){kind, layer, all};
}

/* The list of what is asked for: layers, then class row, keys, attention. */
static void ask_all(group *g, int pictures) {
    const tsr_feature_request *q = g->q;
    const tsr_tower_info *info = &g->t->info;
    const int64_t n = g->size.patches, all = g->size.all, d = info->channels, h = info->heads;
    const int64_t m = g->size.projected_rows * g->size.projected_columns;
    g->layers = q->layer_count ? q->layer_count : 1;
    for (int i = 0; i < g->layers; ++i)
        ask(g, pictures, q->project ? TSR_FEATURE_PROJECTED : TSR_FEATURE_PATCHES,
            q->layer_count ? q->layers[i] : TSR_LAYER_USUAL,
            q->project ? m * info->projected : n * d);
    if (info->has_class && !q->project)
        ask(g, pictures, TSR_FEATURE_CLASS, q->layer_count ? q->layers[0] : TSR_LAYER_USUAL, d);
    if (q->keys) ask(g, pictures, TSR_FEATURE_KEYS, q->key_layer, all * d);
    if (q->attention == TSR_ATTENTION_CLASS)
        ask(g, pictures, TSR_FEATURE_CLASS_ATTENTION, q->attention_layer, h * all);
    if (q->attention == TSR_ATTENTION_FULL)
        ask(g, pictures, TSR_FEATURE_ATTENTION, q->attention_layer, h * all * all);
}

/* Copies `rows` rows of values, of which the first `skip` are passed over but for row 0 where
 * `first` is kept, for each of `outer` blocks. A value that is not finite: MODEL. */
typedef struct picker {
    int64_t outer, rows, width; /* of the source: [outer, rows, width] */
    int64_t lead;               /* rows before the patches */
    bool first;                 /* keeps row 0 of them */
} picker;

static float *pick(tsr_context *ctx, const float *from, picker p) {
    const int64_t kept = p.rows - p.lead + p.first;
    float *to = tsr_alloc(ctx, (size_t)(p.outer * kept * p.width), sizeof *to, "features");
    float *at = to;
    for (int64_t o = 0; o < p.outer && to; ++o)
        for (int64_t r = 0; r < p.rows; ++r) {
            if (r < p.lead && (r || !p.first)) continue;
            memcpy(at, from + (o * p.rows + r) * p.width, (size_t)p.width * sizeof *to);
            at += p.width;
        }
    return to;
}

/* Attention without the rows and columns of registers. */
static float *pick_square(tsr_context *ctx, const float *from, int64_t heads, int64_t all,
                          int64_t lead, bool has_class) {
    float *rows = pick(ctx, from, (picker){heads, all, all, lead, has_class});
    const int64_t kept = all - lead + has_class;
    float *square = rows ? pick(ctx, rows, (picker){heads * kept, all, 1, lead, has_class}) : NULL;
    free(rows);
    return square;
}

static tsr_status check_finite(tsr_context *ctx, const float *values, size_t count) {
    for (size_t i = 0; i < count; ++i)
        if (!isfinite(values[i])) return tsr_not_finite(ctx, "features", values[i]);
    return TSR_OK;
}

/* Halves the grid of the features. */
static tsr_status pool_features(const group *g, tsr_picture_features *f) {
    static const tsr_pool pools[] = {[TSR_POOLING_BILINEAR] = TSR_POOL_BILINEAR,
                                     [TSR_POOLING_AVERAGE] = TSR_POOL_AVERAGE,
                                     [TSR_POOLING_MAX] = TSR_POOL_MAX};
    tsr_context *ctx = g->t->model.ctx;
    const tsr_pool pool = pools[g->q->pooling];
    const tsr_grid_size from = {f->rows, f->columns}, to = tsr_pool_size(pool, from);
    if (!to.rows || !to.columns)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: pooling: wanted a grid of at least 2 x 2 patches, got %u x %u",
                        g->t->info.name, f->rows, f->columns);
    float *made = tsr_alloc(ctx, (size_t)(to.rows * to.columns) * f->channels, sizeof *made,
                            "features: pooled");
    if (!made) return TSR_ERROR_MEMORY;
    const tsr_status status = tsr_pool_grids(ctx, pool, f->features[0], 1, from, f->channels, made);
    free(f->features[0]);
    f->features[0] = made;
    f->rows = (uint32_t)to.rows;
    f->columns = (uint32_t)to.columns;
    return status;
}

/* Hands the arrays of picture `index` of the group over. */
static tsr_status hand_over(const group *g, int index, tsr_picture_features *f) {
    const tsr_tower_info *info = &g->t->info;
    tsr_context *ctx = g->t->model.ctx;
    const int64_t n = g->size.patches, all = g->size.all, d = info->channels;
    const int64_t lead = info->leading, heads = info->heads;
    f->rows = (uint32_t)(g->q->project ? g->size.projected_rows : g->size.rows);
    f->columns = (uint32_t)(g->q->project ? g->size.projected_columns : g->size.columns);
    f->channels = g->q->project ? info->projected : info->channels;
    f->all = (uint32_t)tsr_tower_attended(g->t, n);
    for (int i = 0; i < g->count; ++i) {
        if (!g->list[i].values) continue;
        const float *from = g->list[i].values + (size_t)index * g->values[i];
        const tsr_status status = check_finite(ctx, from, g->values[i]);
        float **to = &f->features[i < g->layers ? i : 0], *made;
        if (status) return status;
        switch (g->list[i].kind) {
        case TSR_FEATURE_CLASS:
            to = &f->class_row;
            made = pick(ctx, from, (picker){1, 1, d, 0, false});
            break;
        case TSR_FEATURE_KEYS:
            to = &f->keys;
            made = pick(ctx, from, (picker){1, all, d, lead, false});
            break;
        case TSR_FEATURE_CLASS_ATTENTION:
            to = &f->attention;
            made = pick(ctx, from, (picker){heads, all, 1, lead, false});
            break;
        case TSR_FEATURE_ATTENTION:
            to = &f->attention;
            made = pick_square(ctx, from, heads, all, lead, info->has_class != 0);
            break;
        default:
            made =
                pick(ctx, from, (picker){1, (int64_t)f->rows * f->columns, f->channels, 0, false});
        }
        if (!made) return TSR_ERROR_MEMORY;
        *to = made;
    }
    return g->q->pooling ? pool_features(g, f) : TSR_OK;
}

tsr_status tsr_tower_run(tsr_tower *t, const tsr_picture *pictures, int count, tsr_tile_size tile,
                         const tsr_feature_request *q, const tsr_tower_tail *tail,
                         tsr_picture_features *all) {
    group g = {.t = t, .q = q, .stays = tail != NULL, .scratch = {.ctx = t->model.ctx}};
    const tsr_tower_ops *ops = t->model.family->tower;
    const size_t bytes = (size_t)tile.width * tile.height * 3;
    tsr_status status = TSR_OK;
    if (tail && !ops->features_and)
        return tsr_fail(t->model.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a tower that can be recorded with operators behind it",
                        t->info.name);
    status = ops->sizes(t->model.state, tile, &g.size);
    if (status) return status;
    uint8_t *rgb = tsr_scratch_take(&g.scratch, (size_t)count, bytes, "features: pixels");
    ask_all(&g, count);
    status = g.scratch.status;
    for (int i = 0; i < count && !status; ++i)
        status = tsr_view_make(t->model.host, &t->info.view, &pictures[i], rgb + (size_t)i * bytes);
    const tsr_pixels pixels = {rgb, count, tile};
    if (!status)
        status = tail ? ops->features_and(t->model.state, &pixels, g.list, g.count, tail)
                      : ops->features(t->model.state, &pixels, g.list, g.count);
    for (int i = 0; i < count && !status; ++i)
        status = hand_over(&g, i, &all[i]);
    tsr_scratch_free(&g.scratch);
    return status;
}

/* Pictures in tiles, one after the other. */
static tsr_status run_tiles(tsr_tower *t, const tsr_picture *pictures, int count,
                            const tsr_feature_request *q, tsr_picture_features *all) {
    float *newline = NULL;
    tsr_status status = q->project ? tsr_tower_newline(t, &newline) : TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        status = tsr_feature_tiles(&t->model, &t->info, &pictures[i], q, newline, &all[i]);
        if (!status)
            status = check_finite(t->model.ctx, all[i].features[0],
                                  (size_t)all[i].rows * all[i].channels);
    }
    free(newline);
    return status;
}

int tsr_tower_group(const tsr_tower *t, const tsr_picture *pictures, int count, tsr_tile_size *tile,
                    tsr_status *status) {
    tsr_tile_size next = *tile = (tsr_tile_size){.frames = 1};
    const tsr_view *view = &t->info.view;
    int n = 1;
    if (!*status)
        *status = tsr_view_size(t->model.ctx, view, &pictures[0], &tile->width, &tile->height);
    for (; n < count && !*status; ++n) {
        *status = tsr_view_size(t->model.ctx, view, &pictures[n], &next.width, &next.height);
        if (next.width != tile->width || next.height != tile->height) break;
    }
    return *status ? 0 : n;
}

tsr_status tsr_tower_features(tsr_tower *t, const tsr_picture *pictures, int count,
                              const tsr_feature_request *request, tsr_picture_features *all) {
    if (!t || !pictures || count < 1 || !request || !all)
        return t ? tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT,
                            "features: wanted pictures, a request and a place for the result")
                 : TSR_ERROR_ARGUMENT;
    memset(all, 0, (size_t)count * sizeof *all);
    tsr_status status = tsr_tower_check(t, request);
    if (!status && request->tiling) {
        status = run_tiles(t, pictures, count, request, all);
        count = status ? count : 0; /* all done */
    }
    for (int done = 0, n; done < count && !status; done += n) {
        tsr_tile_size tile;
        n = tsr_tower_group(t, pictures + done, count - done, &tile, &status);
        if (!status) status = tsr_tower_run(t, pictures + done, n, tile, request, NULL, all + done);
    }
    for (int i = 0; i < count && status; ++i)
        tsr_picture_features_free(&all[i]);
    return status;
}

void tsr_picture_features_free(tsr_picture_features *f) {
    if (!f) return;
    for (int i = 0; i < TSR_FEATURE_LAYERS_MOST; ++i)
        free(f->features[i]);
    free(f->class_row);
    free(f->keys);
    free(f->attention);
    free(f->positions);
    *f = (tsr_picture_features){0};
}
