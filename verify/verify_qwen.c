/* SPDX-License-Identifier: MIT */
/* verify_qwen.c: golden cases of Qwen2-VL's towers: patches given directly, one or several grids.
 */
#include "verify_picture.h"

#include "../towers/qwen_vision.h"

#include <stdlib.h>
#include <string.h>

typedef struct qwen_model {
    tsr_synthetic *synthetic;
    tsr_qwen_vision *tower;
} qwen_model;

static void close_qwen(void *model) {
    qwen_model *m = model;
    tsr_qwen_vision_close(&m->tower);
    tsr_synthetic_close(&m->synthetic);
}

static void open_qwen(tsr_verify *v, void *model) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    qwen_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    config = cJSON_GetObjectItemCaseSensitive(config, "upstream_config");
    if (!v->status)
        v->status = tsr_qwen_vision_open(v->device, config, NULL, weights, v->folder, &m->tower);
}

/* Every output of all grids; grids follow one another in it. */
typedef struct outputs {
    tsr_feature list[TSR_FEATURES_MOST];
    const char *name[TSR_FEATURES_MOST];
    int count;
} outputs;

static void take_outputs(tsr_verify *v, const tsr_qwen_vision *t, int64_t rows, outputs *o) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(v->run, "outputs")) {
        const char *name = tsr_verify_text(v, entry, "name");
        tsr_feature f = {.kind = TSR_FEATURE_HIDDEN};
        int64_t values = rows * t->width;
        if (!strcmp(name, "embeddings"))
            f.kind = TSR_FEATURE_EMBEDDINGS;
        else if (!strcmp(name, "merged")) {
            f.kind = TSR_FEATURE_PROJECTED;
            values = rows / 4 * t->out;
        } else if (!strncmp(name, "hidden.", 7))
            f.layer = atoi(name + 7);
        else
            tsr_verify_refuse(v, "outputs: wanted embeddings, hidden.N or merged, got %s", name);
        if (v->status || o->count == TSR_FEATURES_MOST) return;
        f.values = tsr_verify_take(v, values, sizeof *f.values, "features");
        o->name[o->count] = name;
        o->list[o->count++] = f;
    }
}

/* One grid; moves the places of the outputs behind its rows. */
static void run_grid(tsr_verify *v, const tsr_qwen_vision *t, const float *rows, int64_t pairs,
                     tsr_grid_size grid, outputs *o) {
    const int64_t n = grid.rows * grid.columns;
    float *copy = tsr_verify_take(v, n * t->width, sizeof *copy, "rows");
    int32_t *order = tsr_verify_take(v, n, sizeof *order, "order");
    if (v->status) return;
    v->status = tsr_qwen_vision_rows(t, rows, pairs, grid, o->list, o->count);
    tsr_qwen_vision_order(t, grid, order);
    for (int i = 0; i < o->count && !v->status; ++i) {
        const bool merged = o->list[i].kind == TSR_FEATURE_PROJECTED;
        float *values = o->list[i].values;
        /* The case has embeddings in merge order. */
        for (int64_t p = 0; p < pairs && o->list[i].kind == TSR_FEATURE_EMBEDDINGS; ++p) {
            float *at = values + p * n * t->width;
            memcpy(copy, at, (size_t)(n * t->width) * sizeof *copy);
            for (int64_t r = 0; r < n; ++r)
                memcpy(at + order[r] * t->width, copy + r * t->width,
                       (size_t)t->width * sizeof *copy);
        }
        o->list[i].values += merged ? pairs * n / 4 * t->out : pairs * n * t->width;
    }
}

void tsr_verify_qwen(tsr_verify *v) {
    const qwen_model *m = tsr_verify_model(v, sizeof *m, open_qwen, close_qwen);
    const tsr_tensor patches = tsr_synthetic_input(v, tsr_verify_text(v, v->run, "patches"));
    const cJSON *grids = cJSON_GetObjectItemCaseSensitive(v->run, "grid_thw"), *item;
    outputs o = {0};
    int64_t done = 0;
    if (v->status) return;
    const tsr_qwen_vision *t = m->tower;
    const int64_t rows = patches.dim[0], inputs = patches.dim[1];
    take_outputs(v, t, rows, &o);
    float *begin[TSR_FEATURES_MOST];
    for (int i = 0; i < o.count; ++i)
        begin[i] = o.list[i].values;
    cJSON_ArrayForEach(item, grids) {
        int64_t thw[3];
        for (int i = 0; i < 3; ++i) {
            const cJSON *side = cJSON_GetArrayItem(item, i);
            thw[i] = cJSON_IsNumber(side) && side->valueint > 0 ? side->valueint : 0;
        }
        const int64_t n = thw[0] * thw[1] * thw[2];
        if (n < 1 || n > rows - done || thw[1] % 2 || thw[2] % 2 ||
            inputs != 6 * TSR_QWEN_PATCH * TSR_QWEN_PATCH) {
            tsr_verify_refuse(v, "grid_thw: wanted even grids of %lld rows", (long long)rows);
            return;
        }
        run_grid(v, t, (const float *)patches.data + done * inputs, thw[0],
                 (tsr_grid_size){thw[1], thw[2]}, &o);
        done += n;
    }
    for (int i = 0; i < o.count; ++i) {
        const bool merged = o.list[i].kind == TSR_FEATURE_PROJECTED;
        tsr_verify_f32(v, o.name[i], begin[i], 2,
                       (int64_t[]){merged ? rows / 4 : rows, merged ? t->out : t->width});
    }
}
