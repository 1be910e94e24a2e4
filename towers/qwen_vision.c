/* SPDX-License-Identifier: MIT */
/* qwen_vision.c: the tower of Qwen2-VL (P. Wang et al. 2024) and of Qwen2.5-VL (Bai et al. 2025).
 *
 *   frame pair ─► patches of 2 frames, cells of 2x2 together ─► linear, no bias ─► L blocks ─►
 * merger merger: norm of every row, the 4 rows of a cell joined ─► linear ─► GELU ─► linear
 *
 * Positions are angles: half of them turn with a patch's row, half with its column. Rows of a frame
 * pair see each other. In Qwen2.5-VL most blocks see windows alone: rows stand window by window
 * from the first block on, and merged rows are put back. */
#include "qwen_vision.h"
#include "../compute/arena.h"
#include "../formats/weights/config_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CELL = TSR_QWEN_MERGE * TSR_QWEN_MERGE,
    INPUTS = 3 * TSR_QWEN_FRAMES * TSR_QWEN_PATCH * TSR_QWEN_PATCH
};

/* ---- the model ---- */

typedef struct walk {
    const tsr_feature *list;
    int count, layer[TSR_FEATURES_MOST], deepest;
} walk;

static tsr_tensor *merge(tsr_run *r, const tsr_qwen_vision *t, const tsr_tensor *x) {
    const tsr_norm_spec norm = {
        .gamma = t->merge_gamma, .beta = t->merge_beta, .eps = t->layout.eps, .rms = t->layout.rms};
    const int64_t cells = x->dim[1] / CELL;
    x = tsr_layer_norm(r, x, &norm);
    x = tsr_reshape(r, x, 3, (int64_t[]){x->dim[0], cells, CELL * t->width}); /* [B, cells, 4D] */
    x = tsr_linear(r, x, t->fc1, &(tsr_epilogue){.bias = t->fc1_bias, .act = TSR_ACT_GELU});
    return tsr_linear(r, x, t->fc2, &(tsr_epilogue){.bias = t->fc2_bias});
}

/* What the list asks of layer i; true if there was something. */
static bool make_all(tsr_run *r, const tsr_qwen_vision *t, const walk *w, int i, tsr_tensor *x,
                     tsr_tensor **out) {
    bool made = false;
    for (int j = 0; j < w->count; ++j)
        if (w->layer[j] == i) {
            out[j] = w->list[j].kind == TSR_FEATURE_PROJECTED ? merge(r, t, x) : x;
            made = true;
        }
    return made;
}

/* in: rows [B, N, 1176], cosines and sines [N, D], swap [D]; with windows their rows, what is
 * empty, and places. out: what the walk's list asks for. */
static void tower_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_qwen_vision *t = model;
    const walk *w = tsr_run_args(r);
    const tsr_vit_attention whole = {
        .spec = {.heads = t->heads}, .cosines = in[1], .sines = in[2], .swap = in[3]};
    tsr_vit_attention windows = whole;
    if (t->window) {
        windows.windows = in[4];
        windows.empty = in[5];
        windows.places = in[6];
    }
    tsr_scope floor = tsr_scope_open(r);
    tsr_tensor *x = tsr_linear(r, in[0], t->patches, NULL); /* [B, N, D] */
    for (int i = 0;; ++i) {                                 /* x is hidden layer i */
        if (make_all(r, t, w, i, x, out)) floor = tsr_scope_open(r);
        if (i == w->deepest) return;
        const bool all = !t->window || t->whole[i];
        x = tsr_scope_close(r, floor,
                            tsr_vit_block_attend(r, &t->block[i], x, all ? &whole : &windows));
    }
}

/* ---- order, positions, windows ---- */

void tsr_qwen_vision_order(const tsr_qwen_vision *t, tsr_grid_size grid, int32_t *order) {
    const int64_t rows = grid.rows / TSR_QWEN_MERGE, columns = grid.columns / TSR_QWEN_MERGE;
    const int64_t high = t->window ? t->window : rows, wide = t->window ? t->window : columns;
    for (int64_t top = 0; top < rows; top += high)
        for (int64_t left = 0; left < columns; left += wide)
            for (int64_t y = top; y < rows && y < top + high; ++y)
                for (int64_t x = left; x < columns && x < left + wide; ++x)
                    for (int i = 0; i < CELL; ++i)
                        *order++ = (int32_t)((y * columns + x) * CELL + i);
}

/* Cosines, and sines with the sign of rotate_half, of the rows in their order; swap [D]. */
static void fill_positions(const tsr_qwen_vision *t, tsr_grid_size grid, const int32_t *order,
                           float *cosines, float *sines, int32_t *swap) {
    const int64_t head = t->width / t->heads, half = head / 2, quarter = head / 4;
    for (int64_t i = 0; i < grid.rows * grid.columns; ++i) {
        int64_t row, column;
        tsr_qwen_place(grid, order[i], &row, &column);
        for (int64_t c = 0; c < t->width; ++c) {
            const int64_t at = c % head, j = at % half;
            const double speed = pow(10000, -2.0 * (double)(j % quarter) / (double)half);
            const double angle = (double)(j < quarter ? row : column) * speed;
            cosines[i * t->width + c] = (float)cos(angle);
            sines[i * t->width + c] = (float)(at < half ? -sin(angle) : sin(angle));
        }
    }
    for (int64_t c = 0; c < t->width; ++c)
        swap[c] = (int32_t)(c % head < half ? c + half : c - half);
}

/* Windows of a grid: all of them as long as the longest, the rest of a shorter one is empty. */
typedef struct windows {
    int64_t count, length;
    int32_t *rows, *places; /* [B, count, length], [B N] */
    float *empty;           /* [B, count, length] */
} windows;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void size_windows(const tsr_qwen_vision *t, tsr_grid_size grid, windows *w) {
    const int64_t rows = grid.rows / TSR_QWEN_MERGE, columns = grid.columns / TSR_QWEN_MERGE;
    w->count = (rows + t->window - 1) / t->window * ((columns + t->window - 1) / t->window);
    w->length = CELL * least(rows, t->window) * least(columns, t->window);
}

static void fill_windows(const tsr_qwen_vision *t, tsr_grid_size grid, int64_t count, windows *w) {
    const int64_t rows = grid.rows / TSR_QWEN_MERGE, columns = grid.columns / TSR_QWEN_MERGE;
    int64_t row = 0, window = 0; /* of all pairs */
    for (int64_t b = 0; b < count; ++b)
        for (int64_t top = 0; top < rows; top += t->window)
            for (int64_t left = 0; left < columns; left += t->window, ++window) {
                const int64_t full =
                    CELL * least(rows - top, t->window) * least(columns - left, t->window);
                for (int64_t j = 0; j < w->length; ++j) {
                    const int64_t at = window * w->length + j;
                    w->rows[at] = (int32_t)(row + least(j, full - 1));
                    w->empty[at] = j < full ? 0 : -INFINITY;
                    if (j < full) w->places[row + j] = (int32_t)at;
                }
                row += full;
            }
}

/* ---- running it ---- */

static tsr_status plan_walk(const tsr_qwen_vision *t, walk *w, int64_t *variant) {
    uint64_t hash = 0xCBF29CE484222325u;
    if (w->count < 1 || w->count > TSR_FEATURES_MOST)
        return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT, "features: wanted 1 to %d, got %d",
                        TSR_FEATURES_MOST, w->count);
    for (int i = 0; i < w->count; ++i) {
        const tsr_feature *f = &w->list[i];
        if (f->kind != TSR_FEATURE_EMBEDDINGS && f->kind != TSR_FEATURE_HIDDEN &&
            f->kind != TSR_FEATURE_PROJECTED)
            return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: wanted a tower whose attention can be looked at, got Qwen2-VL's",
                            t->path);
        w->layer[i] = f->kind == TSR_FEATURE_HIDDEN ? f->layer : 0;
        if (f->kind == TSR_FEATURE_PROJECTED) w->layer[i] = t->depth;
        if (w->layer[i] < 0 || w->layer[i] > t->depth)
            return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT, "%s: layer: wanted 0 to %d, got %d",
                            t->path, t->depth, w->layer[i]);
        if (w->layer[i] > w->deepest) w->deepest = w->layer[i];
        hash = (hash ^ (uint64_t)f->kind) * 0x100000001B3u;
        hash = (hash ^ (uint64_t)(w->layer[i] + 1)) * 0x100000001B3u;
    }
    *variant = (int64_t)(hash >> 1);
    return TSR_OK;
}

/* Everything one call of the program gets beside its rows. */
typedef struct operands {
    tsr_scratch scratch;
    int32_t *order, *swap;
    float *rows, *cosines, *sines, *merged;
    windows w;
} operands;

static tsr_status take_operands(const tsr_qwen_vision *t, tsr_grid_size grid, int64_t batch,
                                operands *o) {
    const int64_t n = grid.rows * grid.columns;
    tsr_scratch *s = &o->scratch;
    s->ctx = t->ctx;
    o->order = tsr_scratch_take(s, (size_t)n, sizeof *o->order, "tower: order");
    o->swap = tsr_scratch_take(s, (size_t)t->width, sizeof *o->swap, "tower: positions");
    o->rows = tsr_scratch_take(s, (size_t)(batch * n), INPUTS * sizeof *o->rows, "tower: patches");
    o->cosines =
        tsr_scratch_take(s, (size_t)(n * t->width), sizeof *o->cosines, "tower: positions");
    o->sines = tsr_scratch_take(s, (size_t)(n * t->width), sizeof *o->sines, "tower: positions");
    o->merged = tsr_scratch_take(s, (size_t)(batch * n / CELL * t->out), sizeof *o->merged,
                                 "tower: merged rows");
    if (t->window) {
        size_windows(t, grid, &o->w);
        const size_t places = (size_t)(batch * o->w.count * o->w.length);
        o->w.rows = tsr_scratch_take(s, places, sizeof *o->w.rows, "tower: windows");
        o->w.empty = tsr_scratch_take(s, places, sizeof *o->w.empty, "tower: windows");
        o->w.places =
            tsr_scratch_take(s, (size_t)(batch * n), sizeof *o->w.places, "tower: windows");
    }
    if (s->status) return s->status;
    tsr_qwen_vision_order(t, grid, o->order);
    fill_positions(t, grid, o->order, o->cosines, o->sines, o->swap);
    return TSR_OK;
}

/* `b` frame pairs in one run; values of the list are where they go. */
static tsr_status run_pairs(const tsr_qwen_vision *t, const tsr_program *program, const walk *w,
                            const float *rows, int64_t b, int64_t done, tsr_grid_size grid,
                            operands *o) {
    const int64_t n = grid.rows * grid.columns, d = t->width, cells = n / CELL;
    for (int64_t i = 0; i < b * n; ++i)
        memcpy(o->rows + i * INPUTS, rows + (i / n * n + o->order[i % n]) * INPUTS,
               INPUTS * sizeof *rows);
    const int64_t table[2] = {n, d};
    tsr_tensor in[7] = {tsr_host_tensor(TSR_DTYPE_F32, o->rows, 3, (int64_t[]){b, n, INPUTS}),
                        tsr_host_tensor(TSR_DTYPE_F32, o->cosines, 2, table),
                        tsr_host_tensor(TSR_DTYPE_F32, o->sines, 2, table),
                        tsr_host_tensor(TSR_DTYPE_I32, o->swap, 1, &d)};
    int inputs = 4;
    if (t->window) {
        const int64_t shape[2] = {b * o->w.count, o->w.length}, all = b * n;
        fill_windows(t, grid, b, &o->w);
        in[inputs++] = tsr_host_tensor(TSR_DTYPE_I32, o->w.rows, 2, shape);
        in[inputs++] = tsr_host_tensor(TSR_DTYPE_F32, o->w.empty, 2, shape);
        in[inputs++] = tsr_host_tensor(TSR_DTYPE_I32, o->w.places, 1, &all);
    }
    tsr_tensor out[TSR_FEATURES_MOST];
    float *merged = NULL;
    for (int i = 0; i < w->count; ++i) {
        const bool projected = w->list[i].kind == TSR_FEATURE_PROJECTED;
        const int64_t values = projected ? cells * t->out : n * d;
        float *to = w->list[i].values + done * values;
        if (projected) merged = to;
        out[i] = tsr_host_tensor(TSR_DTYPE_F32, to, 2, (int64_t[]){b, values});
    }
    const tsr_status status = tsr_execute(t->device, program, in, inputs, out, w->count);
    if (status || !merged || !t->window) return status;
    /* Merged rows go back from window order. */
    memcpy(o->merged, merged, (size_t)(b * cells * t->out) * sizeof *merged);
    for (int64_t i = 0; i < b * cells; ++i)
        memcpy(merged + (i / cells * cells + o->order[i % cells * CELL] / CELL) * t->out,
               o->merged + i * t->out, (size_t)t->out * sizeof *merged);
    return TSR_OK;
}

tsr_status tsr_qwen_vision_rows(const tsr_qwen_vision *t, const float *rows, int64_t count,
                                tsr_grid_size grid, const tsr_feature *list, int features) {
    walk w = {.list = list, .count = features};
    tsr_program program = {.fn = tower_program, .model = t, .args = &w, .name = "qwen vision"};
    tsr_status status = plan_walk(t, &w, &program.variant);
    if (status) return status;
    const int64_t n = grid.rows * grid.columns;
    const int64_t wide = t->hidden * (t->layout.gated ? 2 : 1);
    const tsr_tile_cost cost = tsr_tile_cost_rows(n, t->width > wide / 4 ? t->width : wide / 4);
    const int64_t most = tsr_tiles_in_run(t->device, &cost, count);
    operands o = {0};
    status = take_operands(t, grid, most, &o);
    for (int64_t done = 0, b; done < count && !status; done += b) {
        b = least(most, count - done);
        status = run_pairs(t, &program, &w, rows + done * n * INPUTS, b, done, grid, &o);
    }
    tsr_scratch_free(&o.scratch);
    return status;
}

/* ---- opening ---- */

static const tsr_weight *find(const tsr_qwen_vision *t, tsr_weights *weights, const char *name) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", t->prefix, name);
    return tsr_weights_find(weights, whole);
}

static const char mark[] = "merger.ln_q.weight";

/* What stands before the mark in a name, into prefix[256]; false: it is not there. */
static bool before_mark(const char *name, char prefix[256]) {
    const size_t size = strlen(name), tail = sizeof mark - 1;
    if (size < tail || size - tail >= 256 || strcmp(name + size - tail, mark)) return false;
    snprintf(prefix, 256, "%.*s", (int)(size - tail), name);
    return true;
}

/* Which blocks of Qwen2.5-VL see whole frame pairs. */
static void read_windows(tsr_qwen_vision *t, tsr_tower_config *c) {
    static const int usual[] = {7, 15, 23, 31};
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(c->vision, "fullatt_block_indexes"), *item;
    const int64_t cell = TSR_QWEN_PATCH * TSR_QWEN_MERGE;
    const int64_t pixels = tsr_tower_config_number(c, "window_size", 4 * cell, cell, 16384);
    t->window = pixels / cell;
    for (unsigned i = 0; i < sizeof usual / sizeof *usual && !list; ++i)
        t->whole[usual[i]] = true;
    cJSON_ArrayForEach(item, list) {
        if (!cJSON_IsNumber(item) || item->valueint < 0 || item->valueint >= TSR_QWEN_DEPTH)
            tsr_tower_config_fail(c, TSR_ERROR_MODEL,
                                  "fullatt_block_indexes: wanted blocks 0 to %d, got another value",
                                  TSR_QWEN_DEPTH - 1);
        else
            t->whole[item->valueint] = true;
    }
}

static const tsr_vit_layout plain = {.norm1 = "norm1",
                                     .qkv_weight = "attn.qkv.weight",
                                     .qkv_bias = "attn.qkv.bias",
                                     .proj = "attn.proj",
                                     .norm2 = "norm2",
                                     .fc1 = "mlp.fc1",
                                     .fc2 = "mlp.fc2",
                                     .eps = 1e-6f,
                                     .act = TSR_ACT_QUICK_GELU};
static const tsr_view usual_view = {.kind = TSR_VIEW_SMART,
                                    .step = TSR_QWEN_PATCH * TSR_QWEN_MERGE,
                                    .min_pixels = 56 * 56,
                                    .max_pixels = 28 * 28 * 1280,
                                    .filter = TSR_RESAMPLING_BICUBIC,
                                    .mean = {0.48145466f, 0.4578275f, 0.40821073f},
                                    .deviation = {0.26862954f, 0.26130258f, 0.27577711f}};

/* Numbers of the model, from shapes and configuration. */
static tsr_status read_model(tsr_qwen_vision *t, tsr_weights *weights, const cJSON *config) {
    tsr_tower_config c = tsr_tower_config_begin(t->ctx, t->path, config);
    bool found = false;
    for (int i = 0; i < tsr_weights_count(weights) && !found; ++i)
        found = before_mark(tsr_weights_at(weights, i)->name, t->prefix);
    const tsr_weight *patches = found ? find(t, weights, "patch_embed.proj.weight") : NULL;
    if (!patches || tsr_elements(&patches->tensor) != patches->tensor.dim[0] * INPUTS)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL,
                        "%s: tensor %spatch_embed.proj.weight: wanted patches of 2 frames of 14x14 "
                        "pixels, got others",
                        t->path, t->prefix);
    t->view = usual_view;
    t->layout = plain;
    t->width = patches->tensor.dim[0];
    for (char name[64]; t->depth <= TSR_QWEN_DEPTH; ++t->depth) {
        snprintf(name, sizeof name, "blocks.%d.norm1.weight", t->depth);
        if (!find(t, weights, name)) break;
    }
    const bool gated = find(t, weights, "blocks.0.mlp.gate_proj.weight") != NULL;
    const tsr_weight *down =
        find(t, weights, gated ? "blocks.0.mlp.down_proj.weight" : "blocks.0.mlp.fc2.weight");
    const tsr_weight *out = find(t, weights, "merger.mlp.2.weight");
    if (t->depth < 1 || t->depth > TSR_QWEN_DEPTH || !down || down->tensor.rank != 2 || !out)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL,
                        "%s: tensors %sblocks.N and merger: wanted 1 to %d blocks, got %d", t->path,
                        t->prefix, TSR_QWEN_DEPTH, t->depth);
    t->hidden = down->tensor.dim[1];
    t->out = out->tensor.dim[0];
    if (gated) {
        t->layout.fc1 = "mlp.gate_proj";
        t->layout.up = "mlp.up_proj";
        t->layout.fc2 = "mlp.down_proj";
        t->layout.act = TSR_ACT_SILU;
        t->layout.gated = t->layout.rms = true;
        read_windows(t, &c);
    }
    t->layout.act = tsr_tower_config_activation(&c, "hidden_act", t->layout.act);
    t->heads = (int)tsr_tower_config_number(&c, "num_heads", 16, 1, 1024);
    tsr_tower_config_agree(&c, "patch_size", TSR_QWEN_PATCH);
    tsr_tower_config_agree(&c, "temporal_patch_size", TSR_QWEN_FRAMES);
    tsr_tower_config_agree(&c, "spatial_merge_size", TSR_QWEN_MERGE);
    tsr_tower_config_agree(&c, "depth", t->depth);
    if (t->width % (4 * t->heads))
        tsr_tower_config_fail(&c, TSR_ERROR_MODEL,
                              "num_heads: wanted heads of a multiple of 4 of %lld channels, got %d",
                              (long long)t->width, t->heads);
    return c.status;
}

static void load_model(tsr_qwen_vision *t, tsr_weight_loader *l) {
    const int64_t d = t->width, joined = CELL * d;
    char name[512];
    if (l->status) return;
    const tsr_weight *patches = find(t, l->weights, "patch_embed.proj.weight");
    tsr_load_layer(l, t->prefix, "patch_embed.proj", patches->tensor.rank, patches->tensor.dim,
                   &t->patches, NULL);
    for (int i = 0; i < t->depth; ++i) {
        snprintf(name, sizeof name, "%sblocks.%d.", t->prefix, i);
        tsr_vit_block_load(l, &t->layout, name, d, t->hidden, &t->block[i]);
    }
    tsr_load_layer(l, t->prefix, "merger.ln_q", 1, &d, &t->merge_gamma,
                   t->layout.rms ? NULL : &t->merge_beta);
    tsr_load_layer(l, t->prefix, "merger.mlp.0", 2, (int64_t[]){joined, joined}, &t->fc1,
                   &t->fc1_bias);
    tsr_load_layer(l, t->prefix, "merger.mlp.2", 2, (int64_t[]){t->out, joined}, &t->fc2,
                   &t->fc2_bias);
}

static tsr_status open_tensors(tsr_qwen_vision *t) {
    tsr_weight_loader l = tsr_load_all_begin(t->ctx, t->weights, t->path);
    load_model(t, &l);
    char blocks[300];
    snprintf(blocks, sizeof blocks, "%sblocks.", t->prefix);
    return tsr_load_part_end(&l, blocks, NULL);
}

tsr_status tsr_qwen_vision_open(tsr_device *device, const cJSON *config, const cJSON *preprocessor,
                                tsr_weights *weights, const char *path, tsr_qwen_vision **tower) {
    tsr_qwen_vision *t = tsr_alloc(tsr_device_context(device), 1, sizeof *t, "tower");
    *tower = NULL;
    if (!t) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    t->device = device;
    t->ctx = tsr_device_context(device);
    t->weights = weights;
    t->path = strdup(path);
    tsr_status status =
        t->path ? TSR_OK : tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (!status) status = read_model(t, weights, config);
    if (!status) status = tsr_tower_view_read(t->ctx, t->path, preprocessor, &t->view);
    if (!status) status = open_tensors(t);
    snprintf(t->name, sizeof t->name, "qwen2%s-vision-%lldx%d", t->layout.gated ? ".5" : "",
             (long long)t->width, t->depth);
    if (status)
        tsr_qwen_vision_close(&t);
    else
        *tower = t;
    return status;
}

void tsr_qwen_vision_close(tsr_qwen_vision **tower) {
    if (!tower || !*tower) return;
    tsr_qwen_vision *t = *tower;
    tsr_device_forget(t->device, t);
    tsr_weights_close(&t->weights);
    free(t->path);
    free(t);
    *tower = NULL;
}

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    char prefix[256], other[512];
    for (int i = 0; i < tsr_safetensors_count(file); ++i) {
        if (!before_mark(tsr_safetensors_name(file, i), prefix)) continue;
        snprintf(other, sizeof other, "%spatch_embed.proj.weight", prefix);
        if (tsr_safetensors_find(file, other) >= 0) return true;
    }
    return false;
}

static tsr_status read_beside(const tsr_model_source *source, const char *file, cJSON **json) {
    const tsr_status status = tsr_json_file_beside(source->ctx, source->path, file, json);
    return status == TSR_ERROR_NOT_FOUND ? TSR_OK : status;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    cJSON *config = NULL;
    tsr_qwen_vision *t = tsr_alloc(source->ctx, 1, sizeof *t, "tower");
    loader->status = t ? read_beside(source, "config.json", &config) : TSR_ERROR_MEMORY;
    if (!loader->status) {
        t->ctx = source->ctx;
        t->path = (char *)(uintptr_t)source->path;
        loader->status = read_model(t, loader->weights, config);
    }
    if (!loader->status) load_model(t, loader);
    cJSON_Delete(config);
    free(t);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    cJSON *config = NULL, *preprocessor = NULL;
    tsr_weights *weights = NULL;
    tsr_qwen_vision *t = NULL;
    tsr_status status = read_beside(source, "config.json", &config);
    if (!status) status = read_beside(source, "preprocessor_config.json", &preprocessor);
    if (!status) status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status)
        status = tsr_qwen_vision_open(device, config, preprocessor, weights, source->path, &t);
    cJSON_Delete(config);
    cJSON_Delete(preprocessor);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name) snprintf(t->name, sizeof t->name, "%s", name);
    *model = t;
    return TSR_OK;
}

static void close_model(void **model) {
    if (!model || !*model) return;
    tsr_qwen_vision *t = *model;
    tsr_qwen_vision_close(&t);
    *model = NULL;
}

static void describe(const void *model, tsr_tower_info *info) {
    const tsr_qwen_vision *t = model;
    memcpy(info->name, t->name, sizeof info->name);
    info->layers = info->feature_layer = (uint32_t)t->depth;
    info->channels = (uint32_t)t->width;
    info->heads = (uint32_t)t->heads;
    info->patch = TSR_QWEN_PATCH;
    info->projected = (uint32_t)t->out;
    info->view = t->view;
}

static tsr_status sizes(const void *model, tsr_tile_size tile, tsr_feature_sizes *sizes) {
    const tsr_qwen_vision *t = model;
    const uint32_t step = TSR_QWEN_PATCH * TSR_QWEN_MERGE;
    if (tile.frames != 1 || !tile.height || !tile.width || tile.height % step || tile.width % step)
        return tsr_fail(t->ctx, TSR_ERROR_ARGUMENT,
                        "%s: tile: wanted 1 frame of multiples of %u pixels, got %u of %ux%u",
                        t->path, step, tile.frames, tile.width, tile.height);
    *sizes = (tsr_feature_sizes){.rows = tile.height / TSR_QWEN_PATCH,
                                 .columns = tile.width / TSR_QWEN_PATCH,
                                 .projected_rows = tile.height / step,
                                 .projected_columns = tile.width / step};
    sizes->patches = sizes->all = sizes->rows * sizes->columns;
    return TSR_OK;
}

/* Rows [count, N, D] from the blocks' order to row by row. */
static void to_raster(const tsr_qwen_vision *t, tsr_grid_size grid, const int32_t *order,
                      int64_t count, float *values, float *copy) {
    const int64_t n = grid.rows * grid.columns;
    const size_t row_bytes = (size_t)t->width * sizeof *values;
    memcpy(copy, values, (size_t)(count * n) * row_bytes);
    for (int64_t i = 0; i < count * n; ++i) {
        int64_t row, column;
        tsr_qwen_place(grid, order[i % n], &row, &column);
        memcpy(values + (i / n * n + row * grid.columns + column) * t->width, copy + i * t->width,
               row_bytes);
    }
}

static tsr_status features(const void *model, const tsr_pixels *pixels, const tsr_feature *list,
                           int count) {
    const tsr_qwen_vision *t = model;
    tsr_feature_sizes size = {0};
    tsr_feature made[TSR_FEATURES_MOST];
    tsr_status status = sizes(t, pixels->tile, &size);
    if (status) return status;
    const tsr_grid_size grid = {size.rows, size.columns};
    const size_t all = (size_t)pixels->count * (size_t)size.patches;
    tsr_scratch s = {.ctx = t->ctx};
    float *rows = tsr_scratch_take(&s, all, INPUTS * sizeof *rows, "tower: patches");
    float *copy = tsr_scratch_take(&s, all, (size_t)t->width * sizeof *copy, "tower: rows");
    int32_t *order = tsr_scratch_take(&s, (size_t)size.patches, sizeof *order, "tower: order");
    status = s.status;
    for (int i = 0; i < count && i < TSR_FEATURES_MOST; ++i) {
        made[i] = list[i];
        if (made[i].kind != TSR_FEATURE_PATCHES) continue;
        made[i].kind = TSR_FEATURE_HIDDEN; /* there are no rows before the patches, and no norm */
        if (made[i].layer == TSR_LAYER_USUAL) made[i].layer = t->depth;
    }
    if (!status) {
        tsr_qwen_cut(pixels, &t->view, rows);
        tsr_qwen_vision_order(t, grid, order);
        status = tsr_qwen_vision_rows(t, rows, pixels->count, grid, made, count);
    }
    for (int i = 0; i < count && !status; ++i)
        if (made[i].kind != TSR_FEATURE_PROJECTED)
            to_raster(t, grid, order, pixels->count, made[i].values, copy);
    tsr_scratch_free(&s);
    return status;
}

const tsr_family tsr_family_qwen_vision = {
    .name = "qwen-vision",
    .about = "a tower: features of pictures of any size; that of Qwen2-VL and Qwen2.5-VL",
    .needs =
        "the model.safetensors of a Qwen2-VL or Qwen2.5-VL hub folder, or its index of several "
        "files, config.json beside it",
    .verified = "golden cases of transformers' classes with synthetic weights: small ones of both, "
                "pictures and clips",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tower = &(const tsr_tower_ops){.describe = describe, .sizes = sizes, .features = features},
};
