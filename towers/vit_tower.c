/* SPDX-License-Identifier: MIT */
/* vit_tower.c: the walk through a tower. */
#include "vit_tower.h"
#include "../compute/arena.h"
#include "../nn/batching.h"

#include <stdio.h>
#include <string.h>

/* ---- the model ---- */

/* What one walk computes: the list, and the layer each entry needs, counted as blocks before it. */
typedef struct walk {
    const tsr_feature *list;
    int count;
    int layer[TSR_FEATURES_MOST];
    int deepest;
    const tsr_tower_tail *tail; /* NULL: none */
} walk;

static tsr_tensor *rows_of(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x, int64_t first,
                           int64_t count, bool usual) {
    tsr_tensor *y = tsr_slice_rows(r, x, first, count);
    return usual && t->feature_norm ? t->kind->norm(r, t, y) : y;
}

/* One entry of the list, of hidden layer x [B, R, D] in front of `block`. */
static tsr_tensor *make(tsr_run *r, const tsr_vit_tower *t, const tsr_feature *f,
                        const tsr_vit_block *block, tsr_tensor *x) {
    const int64_t lead = tsr_vit_tower_leading(t), n = x->dim[1] - lead;
    const bool usual = f->layer == TSR_LAYER_USUAL;
    switch (f->kind) {
    case TSR_FEATURE_LAST:
        return t->kind->norm ? t->kind->norm(r, t, x) : x;
    case TSR_FEATURE_POOLED:
        return t->kind->pool(r, t, x);
    case TSR_FEATURE_PATCHES:
        return rows_of(r, t, x, lead, n, usual);
    case TSR_FEATURE_CLASS:
        return rows_of(r, t, x, 0, 1, usual);
    case TSR_FEATURE_PROJECTED:
        return tsr_projector_run(r, &t->projector, rows_of(r, t, x, lead, n, true));
    case TSR_FEATURE_KEYS:
        return tsr_vit_block_keys(r, block, x);
    case TSR_FEATURE_ATTENTION:
        return tsr_vit_block_attention(r, block, x, t->heads, x->dim[1]);
    case TSR_FEATURE_CLASS_ATTENTION:
        return tsr_vit_block_attention(r, block, x, t->heads, 1);
    default: /* EMBEDDINGS, HIDDEN */
        return x;
    }
}

/* Entries of layer i; true if there was one. */
static bool make_all(tsr_run *r, const tsr_vit_tower *t, const walk *w, int i, tsr_tensor *x,
                     tsr_tensor **out) {
    bool made = false;
    for (int j = 0; j < w->count; ++j)
        if (w->layer[j] == i && w->list[j].kind != TSR_FEATURE_EMBEDDINGS) {
            out[j] = make(r, t, &w->list[j], &t->block[i], x);
            made = true;
        }
    return made;
}

/* Patch rows [B, N, 3 p p] and positions [N, D] to what the walk's list asks for. */
static void walk_blocks(tsr_run *r, const tsr_vit_tower *t, const walk *w, tsr_tensor *const *in,
                        tsr_tensor **out) {
    const tsr_attention_spec attention = {.heads = t->heads};
    tsr_scope floor = tsr_scope_open(r); /* a hidden layer takes the place of the one before it,
                                            unless something was made of that one */
    tsr_tensor *x = t->kind->embed(r, t, in[0], in[1]);
    bool made = false;
    for (int j = 0; j < w->count; ++j)
        if (w->list[j].kind == TSR_FEATURE_EMBEDDINGS) {
            out[j] = x;
            made = true;
        }
    if (made) floor = tsr_scope_open(r);
    if (t->kind->begin) x = tsr_scope_close(r, floor, t->kind->begin(r, t, x));
    for (int i = 0;; ++i) { /* x is hidden layer i */
        if (make_all(r, t, w, i, x, out)) floor = tsr_scope_open(r);
        if (i == w->deepest) return;
        x = tsr_scope_close(r, floor, tsr_vit_block_run(r, &t->block[i], x, &attention));
    }
}

/* in: patch rows [B, N, 3 p p], positions [N, D]. out: what the walk's list asks for, but for what
 * stays on the device, and what the tail makes of it. */
static void tower_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const walk *w = tsr_run_args(r);
    tsr_tensor *made[TSR_FEATURES_MOST];
    walk_blocks(r, model, w, in, made);
    for (int j = 0; j < w->count; ++j)
        if (w->list[j].values) *out++ = made[j];
    if (w->tail) w->tail->record(r, w->tail, w->list, w->count, made, in[0]->dim[0], model, out);
}

static tsr_tensor *project(tsr_run *r, const void *model, tsr_tensor *rows) {
    return tsr_projector_run(r, &((const tsr_vit_tower *)model)->projector, rows);
}

/* ---- running it ---- */

int64_t tsr_feature_values(const tsr_vit_tower *t, tsr_feature_kind kind, tsr_grid_size grid) {
    const int64_t n = grid.rows * grid.columns, all = n + tsr_vit_tower_leading(t);
    switch (kind) {
    case TSR_FEATURE_POOLED:
    case TSR_FEATURE_CLASS:
        return t->width;
    case TSR_FEATURE_PATCHES:
        return n * t->width;
    case TSR_FEATURE_PROJECTED:
        return n * t->projector.width;
    case TSR_FEATURE_ATTENTION:
        return t->heads * all * all;
    case TSR_FEATURE_CLASS_ATTENTION:
        return t->heads * all;
    default:
        return all * t->width;
    }
}

void tsr_view_numbers(const tsr_view *view, float table[3][256]) {
    for (int c = 0; c < 3; ++c)
        for (int v = 0; v < 256; ++v)
            table[c][v] = ((float)(v * (1.0 / 255)) - view->mean[c]) / view->deviation[c];
}

tsr_status tsr_vit_tower_positions(const tsr_vit_tower *t, tsr_grid_size grid, float *positions) {
    const tsr_grid_size own = {t->side, t->side};
    const float *table;
    tsr_status status = tsr_weight_borrow(t->ctx, t->table, &table);
    if (status) return status;
    const float *patches = table + (t->has_class ? t->width : 0);
    if (grid.rows == own.rows && grid.columns == own.columns)
        memcpy(positions, patches, (size_t)(t->side * t->side * t->width) * sizeof *positions);
    else
        status = tsr_grid_resize(t->ctx, patches, own, t->width, t->filter, positions, grid);
    tsr_weight_return(t->table, table);
    return status;
}

static tsr_status refuse(const tsr_vit_tower *t, const char *what) {
    return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted a tower with %s, got one without",
                    t->path, what);
}

/* Which layer an entry needs; ARGUMENT and UNSUPPORTED for what the tower does not have. */
static tsr_status plan_entry(const tsr_vit_tower *t, const tsr_feature *f, int *layer) {
    const bool hidden = f->kind == TSR_FEATURE_HIDDEN || f->kind == TSR_FEATURE_PATCHES ||
                        f->kind == TSR_FEATURE_CLASS;
    const bool block = f->kind == TSR_FEATURE_KEYS || f->kind == TSR_FEATURE_ATTENTION ||
                       f->kind == TSR_FEATURE_CLASS_ATTENTION;
    const int most = block ? t->depth - 1 : t->depth;
    *layer = f->kind == TSR_FEATURE_PROJECTED                               ? t->feature_layer
             : f->kind == TSR_FEATURE_LAST || f->kind == TSR_FEATURE_POOLED ? t->depth
                                                                            : 0;
    if (block) *layer = f->layer == TSR_LAYER_USUAL ? t->feature_layer - 1 : f->layer;
    if (hidden) *layer = f->layer == TSR_LAYER_USUAL ? t->feature_layer : f->layer;
    if (*layer < 0 || *layer > most)
        return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT, "%s: layer: wanted 0 to %d, got %d", t->path,
                        most, *layer);
    if (!t->has_class && (f->kind == TSR_FEATURE_CLASS || f->kind == TSR_FEATURE_CLASS_ATTENTION))
        return refuse(t, "a class row");
    if (!t->can_pool && f->kind == TSR_FEATURE_POOLED) return refuse(t, "pooling");
    if (!t->projector.width && f->kind == TSR_FEATURE_PROJECTED) return refuse(t, "a projector");
    return TSR_OK;
}

/* A recording is found by its variant, so that it is a hash of the list. */
static tsr_status plan_walk(const tsr_vit_tower *t, walk *w, int64_t *variant) {
    uint64_t hash = 0xCBF29CE484222325u;
    tsr_status status = TSR_OK;
    if (w->count < 1 || w->count > TSR_FEATURES_MOST)
        return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT, "features: wanted 1 to %d, got %d",
                        TSR_FEATURES_MOST, w->count);
    for (int i = 0; i < w->count && !status; ++i) {
        const tsr_feature *f = &w->list[i];
        status = plan_entry(t, f, &w->layer[i]);
        if (w->layer[i] > w->deepest) w->deepest = w->layer[i];
        hash = (hash ^ (uint64_t)f->kind) * 0x100000001B3u;
        hash = (hash ^ (uint64_t)(f->layer + 1)) * 0x100000001B3u;
        hash = (hash ^ (uint64_t)(f->values != NULL)) * 0x100000001B3u;
    }
    if (w->tail) hash = (hash ^ (uint64_t)w->tail->variant) * 0x100000001B3u;
    *variant = (int64_t)(hash >> 1);
    return status;
}

/* Bytes of a tile: those of a transformer, and what is made beside it. */
static tsr_tile_cost cost_of(const tsr_vit_tower *t, const walk *w, tsr_grid_size grid) {
    const int64_t all = grid.rows * grid.columns + tsr_vit_tower_leading(t);
    const int64_t wide = t->hidden * (t->layout.gated ? 4 : 1);
    tsr_tile_cost cost = tsr_tile_cost_rows(all, t->width > wide / 4 ? t->width : wide / 4);
    for (int i = 0; i < w->count; ++i) {
        const uint64_t bytes =
            (uint64_t)tsr_feature_values(t, w->list[i].kind, grid) * sizeof(float);
        cost.bytes += 2 * bytes;
        if (bytes > cost.tensor_bytes) cost.tensor_bytes = bytes;
    }
    return cost;
}

/* What comes down from b tiles, from tile `done` on; returns how many arrays there are. */
static int list_outputs(const tsr_vit_tower *t, const walk *w, tsr_grid_size grid, int64_t done,
                        int64_t b, tsr_tensor *out) {
    int count = 0;
    for (int i = 0; i < w->count; ++i) {
        const int64_t values = tsr_feature_values(t, w->list[i].kind, grid);
        if (w->list[i].values)
            out[count++] = tsr_host_tensor(TSR_DTYPE_F32, w->list[i].values + done * values, 2,
                                           (int64_t[]){b, values});
    }
    for (int i = 0; w->tail && i < w->tail->output_count; ++i) {
        const tsr_tower_output *o = &w->tail->outputs[i];
        out[count++] = tsr_host_tensor(
            o->dtype, (char *)o->data + (size_t)(done * o->values) * tsr_dtype_bytes(o->dtype), 2,
            (int64_t[]){b, o->values});
    }
    return count;
}

static tsr_status run_rows(const tsr_vit_tower *t, const float *rows, int64_t count,
                           tsr_grid_size grid, const tsr_feature *list, int features,
                           const tsr_tower_tail *tail) {
    walk w = {.list = list, .count = features, .tail = tail};
    tsr_program program = {.fn = tower_program, .model = t, .args = &w, .name = t->kind->name};
    tsr_status status = plan_walk(t, &w, &program.variant);
    if (status) return status;
    const int64_t n = grid.rows * grid.columns, inputs = tsr_vit_tower_inputs(t);
    const tsr_tile_cost cost = cost_of(t, &w, grid);
    tsr_scratch s = {.ctx = t->ctx};
    float *positions =
        tsr_scratch_take(&s, (size_t)(n * t->width), sizeof *positions, "tower: positions");
    status = s.status;
    if (!status) status = tsr_vit_tower_positions(t, grid, positions);
    for (int64_t done = 0, b; done < count && !status; done += b) {
        b = tsr_tiles_in_run(t->device, &cost, count - done);
        const tsr_tensor in[2] = {
            tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)rows + done * n * inputs, 3,
                            (int64_t[]){b, n, inputs}),
            tsr_host_tensor(TSR_DTYPE_F32, positions, 2, (int64_t[]){n, t->width})};
        tsr_tensor out[TSR_FEATURES_MOST + TSR_TOWER_OUTPUTS];
        const int outputs = list_outputs(t, &w, grid, done, b, out);
        status = tsr_execute(t->device, &program, in, 2, out, outputs);
    }
    tsr_scratch_free(&s);
    return status;
}

tsr_status tsr_vit_tower_rows(const tsr_vit_tower *t, const float *rows, int64_t count,
                              tsr_grid_size grid, const tsr_feature *list, int features) {
    return run_rows(t, rows, count, grid, list, features, NULL);
}

static tsr_status sizes(const void *model, tsr_tile_size tile, tsr_feature_sizes *sizes) {
    const tsr_vit_tower *t = model;
    *sizes = (tsr_feature_sizes){.rows = tile.height / t->patch, .columns = tile.width / t->patch};
    sizes->patches = sizes->rows * sizes->columns;
    sizes->all = sizes->patches + tsr_vit_tower_leading(t);
    sizes->projected_rows = sizes->rows;
    sizes->projected_columns = sizes->columns;
    if (tile.frames != 1 || !sizes->patches)
        return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT,
                        "%s: tile: wanted 1 frame of at least %lldx%lld pixels, got %u of %ux%u",
                        t->path, (long long)t->patch, (long long)t->patch, tile.frames, tile.width,
                        tile.height);
    return TSR_OK;
}

/* Patches of one tile as rows; pixels beyond whole patches are left out. */
static void cut_patches(const tsr_vit_tower *t, const uint8_t *rgb, uint32_t width,
                        tsr_grid_size grid, float number[3][256], float *rows) {
    const int64_t p = t->patch, along = t->channels_last ? 3 : 1,
                  apart = t->channels_last ? 1 : p * p;
    for (int64_t i = 0; i < grid.rows * grid.columns; ++i, rows += 3 * p * p)
        for (int64_t y = 0; y < p; ++y) {
            const uint8_t *at =
                rgb + ((i / grid.columns * p + y) * width + i % grid.columns * p) * 3;
            for (int64_t x = 0; x < p; ++x)
                for (int c = 0; c < 3; ++c)
                    rows[(y * p + x) * along + c * apart] = number[c][at[x * 3 + c]];
        }
}

void tsr_vit_tower_cut(const tsr_vit_tower *t, const tsr_pixels *pixels, float *rows) {
    const tsr_grid_size grid = {pixels->tile.height / t->patch, pixels->tile.width / t->patch};
    const int64_t values = grid.rows * grid.columns * tsr_vit_tower_inputs(t);
    const size_t bytes = (size_t)pixels->tile.width * pixels->tile.height * 3;
    float number[3][256];
    tsr_view_numbers(&t->view, number);
    for (int i = 0; i < pixels->count; ++i)
        cut_patches(t, pixels->rgb + (size_t)i * bytes, pixels->tile.width, grid, number,
                    rows + i * values);
}

static tsr_status features_and(const void *model, const tsr_pixels *pixels, const tsr_feature *list,
                               int count, const tsr_tower_tail *tail) {
    const tsr_vit_tower *t = model;
    tsr_feature_sizes size;
    tsr_status status = sizes(t, pixels->tile, &size);
    if (status) return status;
    const int64_t values = size.patches * tsr_vit_tower_inputs(t);
    tsr_scratch s = {.ctx = t->ctx};
    float *rows = tsr_scratch_take(&s, (size_t)pixels->count * (size_t)values, sizeof *rows,
                                   "tower: patches");
    status = s.status;
    if (!status) {
        tsr_vit_tower_cut(t, pixels, rows);
        status = run_rows(t, rows, pixels->count, (tsr_grid_size){size.rows, size.columns}, list,
                          count, tail);
    }
    tsr_scratch_free(&s);
    return status;
}

static tsr_status features(const void *model, const tsr_pixels *pixels, const tsr_feature *list,
                           int count) {
    return features_and(model, pixels, list, count, NULL);
}

static void describe(const void *model, tsr_tower_info *info) {
    const tsr_vit_tower *t = model;
    memcpy(info->name, t->name, sizeof info->name);
    info->layers = (uint32_t)t->depth;
    info->channels = (uint32_t)t->width;
    info->heads = (uint32_t)t->heads;
    info->patch = (uint32_t)t->patch;
    info->leading = (uint32_t)tsr_vit_tower_leading(t);
    info->has_class = t->has_class;
    info->feature_layer = (uint32_t)t->feature_layer;
    info->feature_norm = t->feature_norm;
    info->projected = (uint32_t)t->projector.width;
    info->attends = 1;
    info->view = t->view;
}

const tsr_tower_ops tsr_vit_tower_ops = {.describe = describe,
                                         .sizes = sizes,
                                         .features = features,
                                         .features_and = features_and,
                                         .project = project};
