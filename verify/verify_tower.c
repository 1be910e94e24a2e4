/* SPDX-License-Identifier: MIT */
/* verify_tower.c: golden cases of vision towers: every output that a run stores is asked for by its
 * name, several at a time, so that the walk through the tower is the one that features take. */
#include "verify_tower.h"

#include <stdlib.h>
#include <string.h>

typedef struct tower_model {
    tsr_synthetic *synthetic;
    tsr_vit_tower *tower;
} tower_model;

static void close_tower(void *model) {
    tower_model *m = model;
    tsr_vit_tower_close(&m->tower);
    tsr_synthetic_close(&m->synthetic);
}

static void open_tower(tsr_verify *v, void *model) {
    static const struct {
        const char *name;
        const tsr_vit_tower_kind *kind;
    } kinds[] = {{"clip-vision", &tsr_clip_vision},       {"siglip-vision", &tsr_siglip},
                 {"siglip2-vision", &tsr_siglip},         {"dinov2", &tsr_dinov2},
                 {"operator-pipeline", &tsr_clip_vision}, {"vqtoken-pipeline", &tsr_siglip}};
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    const char *name = tsr_verify_text(v, config, "kind");
    const tsr_vit_tower_kind *kind = NULL;
    tower_model *m = model;
    tsr_weights *weights = NULL;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        if (!strcmp(kinds[i].name, name)) kind = kinds[i].kind;
    if (!kind) tsr_verify_refuse(v, "kind: wanted a tower that this build has, got %s", name);
    const cJSON *upstream = cJSON_GetObjectItemCaseSensitive(config, "upstream_config");
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status)
        v->status =
            tsr_vit_tower_open(v->device, kind, upstream, NULL, weights, v->folder, &m->tower);
    if (v->status) return;
    /* Files that hold the last block, which a language model leaves out, do not say so. */
    const int own = m->tower->feature_layer, depth = m->tower->depth;
    const int layer = (int)tsr_verify_number(config, "feature_layer", own);
    m->tower->feature_layer = layer < 0 ? depth + 1 + layer : layer;
    if (m->tower->feature_layer < 0 || m->tower->feature_layer > depth)
        tsr_verify_refuse(v, "feature_layer: wanted one of %d layers, got %d", depth, layer);
}

const tsr_vit_tower *tsr_verify_tower_model(tsr_verify *v) {
    const tower_model *m = tsr_verify_model(v, sizeof *m, open_tower, close_tower);
    return m ? m->tower : NULL;
}

/* ---- outputs ---- */

/* What a stored output is. */
typedef struct wanted {
    const char *name;
    tsr_feature feature;
    bool head_mean; /* stored is the mean over heads, without the columns before the patches */
} wanted;

/* The array called `name`; false for what no tower makes. */
static bool find_feature(const char *name, wanted *w) {
    static const struct {
        const char *name; /* "hidden." takes a number */
        tsr_feature_kind kind;
        bool head_mean;
    } known[] = {{"embeddings", TSR_FEATURE_EMBEDDINGS, false},
                 {"hidden.", TSR_FEATURE_HIDDEN, false},
                 {"key.", TSR_FEATURE_KEYS, false},
                 {"attention.", TSR_FEATURE_ATTENTION, false},
                 {"cls_attention.", TSR_FEATURE_CLASS_ATTENTION, true},
                 {"last_hidden_state", TSR_FEATURE_LAST, false},
                 {"pooled", TSR_FEATURE_POOLED, false},
                 {"features", TSR_FEATURE_PATCHES, false},
                 {"projected", TSR_FEATURE_PROJECTED, false}};
    for (unsigned i = 0; i < sizeof known / sizeof *known; ++i) {
        const size_t size = strlen(known[i].name);
        const bool numbered = known[i].name[size - 1] == '.';
        if (numbered ? strncmp(name, known[i].name, size) : strcmp(name, known[i].name)) continue;
        *w = (wanted){name,
                      {known[i].kind, numbered ? atoi(name + size) : TSR_LAYER_USUAL, NULL},
                      known[i].head_mean};
        return true;
    }
    return false;
}

/* [count, H, R] -> mean over heads of the patches' columns [count, N]. */
static void compare_mean(tsr_verify *v, const tsr_vit_tower *t, const wanted *w, int64_t count,
                         int64_t n) {
    const int64_t lead = tsr_vit_tower_leading(t), all = lead + n;
    float *mean = tsr_verify_take(v, count * n, sizeof *mean, "attention");
    for (int64_t i = 0; i < count * n && mean; ++i) {
        double sum = 0;
        for (int64_t h = 0; h < t->heads; ++h)
            sum += w->feature.values[(i / n * t->heads + h) * all + lead + i % n];
        mean[i] = (float)(sum / t->heads);
    }
    tsr_verify_f32(v, w->name, mean, 2, (int64_t[]){count, n});
}

static void compare(tsr_verify *v, const tsr_vit_tower *t, const wanted *w, int64_t count,
                    int64_t n, bool batched) {
    const int64_t all = n + tsr_vit_tower_leading(t);
    if (w->head_mean) {
        compare_mean(v, t, w, count, n);
        return;
    }
    int64_t dim[4] = {count, all, t->width, 0};
    int rank = 3;
    if (w->feature.kind == TSR_FEATURE_POOLED) {
        dim[1] = t->width;
        rank = 2;
    } else if (w->feature.kind == TSR_FEATURE_ATTENTION) {
        dim[1] = t->heads;
        dim[2] = dim[3] = all;
        rank = 4;
    } else if (w->feature.kind == TSR_FEATURE_PATCHES)
        dim[1] = n;
    else if (w->feature.kind == TSR_FEATURE_PROJECTED) {
        dim[1] = n;
        dim[2] = t->projector.width;
    }
    tsr_verify_f32(v, w->name, w->feature.values, rank - !batched, dim + !batched);
}

void tsr_verify_tower_rows(tsr_verify *v, const tsr_vit_tower *t, const float *rows, int64_t count,
                           tsr_grid_size grid, bool batched) {
    const cJSON *outputs = cJSON_GetObjectItemCaseSensitive(v->run, "outputs");
    const cJSON *entry = outputs ? outputs->child : NULL;
    while (entry && !v->status) {
        wanted list[TSR_FEATURES_MOST];
        tsr_feature features[TSR_FEATURES_MOST];
        int asked = 0;
        for (; entry && asked < TSR_FEATURES_MOST; entry = entry->next) {
            wanted *w = &list[asked];
            if (!find_feature(tsr_verify_text(v, entry, "name"), w)) continue;
            const int64_t values = tsr_feature_values(t, w->feature.kind, grid);
            w->feature.values =
                tsr_verify_take(v, count * values, sizeof *w->feature.values, "features");
            features[asked++] = w->feature;
        }
        if (!v->status && asked)
            v->status = tsr_vit_tower_rows(t, rows, count, grid, features, asked);
        for (int i = 0; i < asked; ++i)
            compare(v, t, &list[i], count, grid.rows * grid.columns, batched);
    }
}

/* ---- runs over pictures ---- */

/* Positions as the model adds them, the class row's first. */
static void compare_positions(tsr_verify *v, const tsr_vit_tower *t, tsr_grid_size grid) {
    const int64_t first = t->has_class, n = first + grid.rows * grid.columns;
    if (!tsr_verify_output(v, "positions")) return;
    float *positions = tsr_verify_take(v, n * t->width, sizeof *positions, "positions");
    const float *table = NULL;
    if (v->status) return;
    v->status = tsr_vit_tower_positions(t, grid, positions + first * t->width);
    if (!v->status) v->status = tsr_weight_borrow(v->ctx, t->table, &table);
    if (table) memcpy(positions, table, (size_t)(first * t->width) * sizeof *positions);
    if (table) tsr_weight_return(t->table, table);
    tsr_verify_f32(v, "positions", positions, 2, (int64_t[]){n, t->width});
}

/* Normalised values, channels first. */
static void compare_pixels(tsr_verify *v, const tsr_vit_tower *t, const tsr_pixels *p) {
    const int64_t plane = (int64_t)p->tile.height * p->tile.width;
    float number[3][256];
    if (!tsr_verify_output(v, "pixel_values")) return;
    float *values = tsr_verify_take(v, p->count * 3 * plane, sizeof *values, "pixels");
    tsr_view_numbers(&t->view, number);
    for (int64_t i = 0; i < p->count * plane && values; ++i)
        for (int c = 0; c < 3; ++c)
            values[(i / plane * 3 + c) * plane + i % plane] = number[c][p->rgb[i * 3 + c]];
    tsr_verify_f32(v, "pixel_values", values, 4,
                   (int64_t[]){p->count, 3, p->tile.height, p->tile.width});
}

/* The run's pictures, all of one size. */
static tsr_pixels read_pictures(tsr_verify *v) {
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(v->run, "input"), *name;
    tsr_pixels p = {.tile = {1, 0, 0}};
    uint8_t *all = NULL;
    cJSON_ArrayForEach(name, names) {
        int width = 0, height = 0;
        const char *text = cJSON_GetStringValue(name);
        uint8_t *rgb = tsr_verify_picture(v, text ? text : "", &width, &height);
        const size_t bytes = (size_t)width * (size_t)height * 3;
        if (!all) {
            all = tsr_verify_take(v, cJSON_GetArraySize(names), bytes ? bytes : 1, "pictures");
            p.tile = (tsr_tile_size){1, (uint32_t)height, (uint32_t)width};
        }
        if (p.tile.width != (uint32_t)width || p.tile.height != (uint32_t)height)
            tsr_verify_refuse(v, "input: wanted pictures of one size, got %dx%d and %ux%u", width,
                              height, p.tile.width, p.tile.height);
        if (!v->status) memcpy(all + (size_t)p.count * bytes, rgb, bytes);
        p.count++;
        free(rgb);
    }
    if (!p.count) tsr_verify_refuse(v, "input: wanted names of pictures, got none");
    p.rgb = all;
    return p;
}

void tsr_verify_tower(tsr_verify *v) {
    const tsr_vit_tower *t = tsr_verify_tower_model(v);
    const tsr_pixels p = read_pictures(v);
    tsr_feature_sizes size = {0};
    if (!v->status) v->status = tsr_vit_tower_ops.sizes(t, p.tile, &size);
    if (v->status) return;
    const tsr_grid_size grid = {size.rows, size.columns};
    const int64_t values = size.patches * tsr_vit_tower_inputs(t);
    float *rows = tsr_verify_take(v, p.count * values, sizeof *rows, "patches");
    if (rows) tsr_vit_tower_cut(t, &p, rows);
    compare_positions(v, t, grid);
    compare_pixels(v, t, &p);
    tsr_verify_tower_rows(v, t, rows, p.count, grid, true);
}

/* SigLIP2: valid rows of one picture of a packed batch. */
void tsr_verify_siglip2_tower(tsr_verify *v) {
    const tsr_vit_tower *t = tsr_verify_tower_model(v);
    int shape[2] = {0};
    const tsr_tensor all = tsr_synthetic_input(v, tsr_verify_text(v, v->run, "patches"));
    const int64_t index = (int64_t)tsr_verify_number(v->run, "index", -1);
    tsr_verify_integers(v, v->run, "spatial_shape", shape, 2, 2);
    if (v->status) return;
    const int64_t n = (int64_t)shape[0] * shape[1], inputs = tsr_vit_tower_inputs(t);
    if (all.rank != 3 || index < 0 || index >= all.dim[0] || n < 1 || n > all.dim[1] ||
        all.dim[2] != inputs) {
        tsr_verify_refuse(v, "patches: wanted [pictures, rows, %lld] that hold the picture",
                          (long long)inputs);
        return;
    }
    tsr_verify_tower_rows(v, t, (const float *)all.data + index * all.dim[1] * inputs, 1,
                          (tsr_grid_size){shape[0], shape[1]}, false);
}
