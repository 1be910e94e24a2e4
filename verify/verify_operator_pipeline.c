/* SPDX-License-Identifier: MIT */
/* verify_operator_pipeline.c: golden chains from a picture through a tower and a token operator to
 * the projector: what operators read (features, keys, class attention) is what the tower made. */
#include "verify_operator.h"
#include "verify_tower.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the chains begin with. Rows are patches, the class row apart. */
typedef struct beginning {
    const tsr_vit_tower *tower;
    int64_t n, width, key_width;
    int64_t grid[3];
    float *patches, *class_row; /* [n, width], [width] */
    float *attention;           /* [heads, n] of the class row */
    float *keys;                /* [n, key_width] mean over heads */
} beginning;

static beginning begin(tsr_verify *v) {
    beginning b = {.tower = tsr_verify_tower_model(v)};
    const tsr_vit_tower *t = b.tower;
    const int layer = (int)tsr_verify_number(
        cJSON_GetObjectItemCaseSensitive(v->manifest, "config"), "attention_layer", 0);
    int width = 0, height = 0;
    tsr_feature_sizes size = {0};
    uint8_t *rgb = tsr_verify_picture(v, tsr_verify_text(v, v->run, "input"), &width, &height);
    const tsr_pixels p = {.rgb = rgb, .count = 1, .tile = {1, (uint32_t)height, (uint32_t)width}};
    if (!v->status) v->status = tsr_vit_tower_ops.sizes(t, p.tile, &size);
    const int64_t lead = v->status ? 0 : tsr_vit_tower_leading(t), n = size.patches, all = n + lead;
    float *rows = tsr_verify_take(v, n * (v->status ? 0 : tsr_vit_tower_inputs(t)) + 1,
                                  sizeof *rows, "patches");
    const int64_t heads = t ? t->heads : 0;
    b.n = n;
    b.width = t ? t->width : 0;
    b.key_width = heads ? b.width / heads : 0;
    b.grid[0] = 1;
    b.grid[1] = size.rows;
    b.grid[2] = size.columns;
    float *hidden = tsr_verify_take(v, all * b.width, sizeof *hidden, "hidden layer");
    float *keys = tsr_verify_take(v, all * b.width, sizeof *keys, "keys");
    float *attention = tsr_verify_take(v, heads * all, sizeof *attention, "attention");
    b.attention = tsr_verify_take(v, heads * n, sizeof *b.attention, "attention");
    b.keys = tsr_verify_take(v, n * b.key_width, sizeof *b.keys, "keys");
    tsr_feature features[] = {{TSR_FEATURE_HIDDEN, layer + 1, hidden},
                              {TSR_FEATURE_KEYS, layer, keys},
                              {TSR_FEATURE_CLASS_ATTENTION, layer, attention}};
    if (!v->status) {
        tsr_vit_tower_cut(t, &p, rows);
        v->status =
            tsr_vit_tower_rows(t, rows, 1, (tsr_grid_size){size.rows, size.columns}, features, 3);
    }
    free(rgb);
    if (v->status) return b;
    b.class_row = hidden;
    b.patches = hidden + lead * b.width;
    for (int64_t i = 0; i < heads * n; ++i)
        b.attention[i] = attention[i / n * all + lead + i % n];
    for (int64_t i = 0; i < n * b.key_width; ++i) {
        double sum = 0;
        for (int64_t h = 0; h < heads; ++h)
            sum += (double)
                keys[(lead + i / b.key_width) * b.width + h * b.key_width + i % b.key_width];
        b.keys[i] = (float)(sum / (double)heads);
    }
    return b;
}

static void project_fn(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_projector_run(r, model, in[0]);
}

/* Projects rows [n, width of the tower]. NULL after a failure. */
static const float *project(tsr_verify *v, const beginning *b, const float *rows, int64_t n) {
    const int64_t in_dim[2] = {n, b->width},
                  out_dim[2] = {n, b->tower ? b->tower->projector.width : 0};
    float *tokens = tsr_verify_take(v, n * out_dim[1] + 1, sizeof *tokens, "projected rows");
    if (v->status) return NULL;
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)rows, 2, in_dim);
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, tokens, 2, out_dim);
    const tsr_program program = {
        .fn = project_fn, .model = &b->tower->projector, .name = "projector"};
    v->status = tsr_execute(v->device, &program, &in, 1, &out, 1);
    return tokens;
}

static void compare_projected(tsr_verify *v, const beginning *b, const char *name,
                              const float *rows, int64_t n) {
    const float *tokens = project(v, b, rows, n);
    if (tokens) tsr_verify_f32(v, name, tokens, 2, (int64_t[]){n, b->tower->projector.width});
}

static void compare_trace(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_array a = tsr_token_set_trace(made, name);
    if (!a.name)
        tsr_verify_refuse(v, "%s: wanted this array of the trace, got none", name);
    else
        tsr_verify_i32(v, name, a.data, 1, a.dim);
}

static tsr_token_set_info info_of(const tsr_token_set *set) {
    tsr_token_set_info info;
    tsr_token_set_info_get(set, &info);
    return info;
}

/* Tokens that a selection kept, in the order of the set. */
static void compare_kept(tsr_verify *v, const tsr_token_set_info *info) {
    int32_t *kept = tsr_verify_take(v, info->count + 1, sizeof *kept, "indices");
    for (int64_t i = 0; kept && i < info->source; ++i)
        if (info->source_map[i] >= 0) kept[info->source_map[i]] = (int32_t)i;
    tsr_verify_i32(v, "indices", kept, 1, (int64_t[]){info->count});
}

static void compare_map(tsr_verify *v, const tsr_token_set_info *info, int32_t before) {
    int32_t *map = tsr_verify_take(v, info->source + 1, sizeof *map, "source map");
    for (int64_t i = 0; map && i < info->source; ++i)
        map[i] = info->source_map[i] + before;
    tsr_verify_i32(v, "source_map", map, 1, (int64_t[]){info->source});
}

/* The scores of the selection are an output of the run that made the features. */
static void compare_score(tsr_verify *v, const tsr_token_set *made) {
    const cJSON *run = v->run;
    const tsr_token_array score = tsr_token_set_trace(made, "score");
    cJSON_ArrayForEach(v->run, cJSON_GetObjectItemCaseSensitive(v->manifest, "runs")) {
        if (score.name && tsr_verify_output(v, "score"))
            tsr_verify_f32(v, "score", score.data, 1, score.dim);
    }
    v->run = run;
}

/* ---- the chains ---- */

static int number(const tsr_verify *v, const char *field) {
    return (int)tsr_verify_number(v->run, field, 0);
}

static void fastervlm(tsr_verify *v, const beginning *b, tsr_token_set *set) {
    const tsr_token_set *made = tsr_case_reduce(v, set, "cls-attention-topk:k=%d", number(v, "k"));
    const tsr_token_set_info info = info_of(made);
    compare_score(v, made);
    compare_kept(v, &info);
    compare_projected(v, b, "tokens", info.features, info.count);
}

/* Picks among the projected rows. */
static void divprune(tsr_verify *v, const beginning *b, tsr_token_set *set) {
    (void)set;
    const float *projected = project(v, b, b->patches, b->n);
    const int64_t width = b->tower ? b->tower->projector.width : 0;
    const tsr_token_set *all = tsr_case_set(v, projected, b->n, width, b->grid);
    const tsr_token_set *made = tsr_case_reduce(v, all, "diverse-maxmin:k=%d", number(v, "k"));
    const tsr_token_set_info info = info_of(made);
    if (made) compare_trace(v, "order", made);
    compare_kept(v, &info);
    tsr_verify_f32(v, "tokens", info.features, 2, (int64_t[]){info.count, info.channels});
}

/* The class row stands before the set's rows. */
static void visiondrop(tsr_verify *v, const beginning *b, tsr_token_set *set) {
    const tsr_token_set *made =
        tsr_case_reduce(v, set, "dominant-contextual:dominant=%d,contextual=%d",
                        number(v, "dominant"), number(v, "contextual"));
    const tsr_token_set_info info = info_of(made);
    const int64_t dim[2] = {info.count + 1, b->width};
    float *rows = tsr_verify_take(v, dim[0] * dim[1] + 1, sizeof *rows, "rows");
    if (v->status) return;
    memcpy(rows, b->class_row, (size_t)b->width * sizeof *rows);
    memcpy(rows + b->width, info.features, (size_t)(info.count * b->width) * sizeof *rows);
    compare_trace(v, "dominant", made);
    compare_trace(v, "targets", made);
    compare_map(v, &info, 0);
    tsr_verify_f32(v, "rows", rows, 2, dim);
    compare_projected(v, b, "tokens", rows, dim[0]);
}

static void tome(tsr_verify *v, const beginning *b, tsr_token_set *set) {
    const tsr_token_set_info info =
        info_of(tsr_case_reduce(v, set, "bipartite-merge:r=%d", number(v, "r")));
    int32_t *size = tsr_verify_take(v, info.count + 1, sizeof *size, "sizes");
    for (int64_t i = 0; size && i < info.count; ++i)
        size[i] = (int32_t)info.sizes[i];
    compare_map(v, &info, 0);
    tsr_verify_i32(v, "size", size, 1, (int64_t[]){info.count});
    tsr_verify_f32(v, "rows", info.features, 2, (int64_t[]){info.count, info.channels});
    compare_projected(v, b, "tokens", info.features, info.count);
}

static void fourier(tsr_verify *v, const beginning *b, tsr_token_set *set) {
    int to[2] = {0};
    tsr_verify_integers(v, v->run, "to", to, 2, 2);
    const tsr_token_set_info ortho =
        info_of(tsr_case_reduce(v, set, "dct-lowpass:size=%d+%d,gain=ortho", to[0], to[1]));
    tsr_verify_f32(v, "rows", ortho.features, 2, (int64_t[]){ortho.count, ortho.channels});
    compare_projected(v, b, "tokens", ortho.features, ortho.count);
    const tsr_token_set_info kept =
        info_of(tsr_case_reduce(v, set, "dct-lowpass:size=%d+%d,gain=preserve", to[0], to[1]));
    compare_projected(v, b, "tokens_preserve", kept.features, kept.count);
}

void tsr_verify_operator_pipeline(tsr_verify *v) {
    static const struct {
        const char *name;
        void (*fn)(tsr_verify *v, const beginning *b, tsr_token_set *set);
    } chains[] = {{"cls-attention-topk", fastervlm},
                  {"diverse-maxmin", divprune},
                  {"dominant-contextual", visiondrop},
                  {"bipartite-merge", tome},
                  {"dct-lowpass", fourier}};
    const char *name = tsr_verify_text(v, v->run, "operator");
    const beginning b = begin(v);
    tsr_token_set *set = tsr_case_set(v, b.patches, b.n, b.width, b.grid);
    if (v->status) return;
    tsr_case_column(v, set, "attention", TSR_TOKEN_AXIS_LAST, TSR_ARRAY_F32, 2,
                    (int64_t[]){b.tower->heads, b.n}, b.attention);
    tsr_case_column(v, set, "keys", TSR_TOKEN_AXIS_FIRST, TSR_ARRAY_F32, 2,
                    (int64_t[]){b.n, b.key_width}, b.keys);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; ++i)
        if (!strcmp(chains[i].name, name)) {
            chains[i].fn(v, &b, set);
            return;
        }
    tsr_verify_refuse(v, "operator: wanted one of the five chains, got \"%s\"", name);
}
