/* SPDX-License-Identifier: MIT */
/* vqgan.c: the model, its loading, and what the families of it have in common.
 *
 *   tile ─► encoder ─► (1x1 convolution) ─► nearest code of each place ─► ids
 *   ids ─► codes ─► (1x1 convolution) ─► decoder ─► tile
 *
 * A tile that memory does not hold at once goes window by window. */
#include "vqgan.h"
#include "../../compute/arena.h"
#include "../../nn/conv_window.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 14 }; /* of a side */

/* ---- names ---- */

/* Tensors of a file, or of weights. */
typedef struct names {
    const tsr_safetensors *file;
    tsr_weights *weights;
} names;

static bool has(const names *n, const char *prefix, const char *name) {
    char whole[256];
    snprintf(whole, sizeof whole, "%s%s", prefix, name);
    return n->file ? tsr_safetensors_find(n->file, whole) >= 0
                   : tsr_weights_find(n->weights, whole) != NULL ||
                         tsr_weights_other(n->weights, whole) != NULL; /* to be refused by name */
}

/* The kind's prefix and layout (an index of kind->names) that these tensors have; -1 when they have
 * none. */
static int find_layout(const tsr_grid_kind *kind, const names *n, const char **prefix) {
    if (kind->foreign && has(n, "", kind->foreign)) return -1;
    for (const char *const *p = kind->prefixes; *p; ++p)
        for (int i = 0; i < 2; ++i) {
            if (!kind->names[i].layout || !has(n, *p, kind->names[i].mark)) continue;
            if (!has(n, *p, "quantize.embedding.weight") ||
                has(n, *p, "encoder.conv_in.bias") == kind->names[i].layout->bare)
                continue;
            *prefix = *p;
            return i;
        }
    return -1;
}

bool tsr_grid_recognise(const tsr_grid_kind *kind, const tsr_safetensors *file) {
    const char *prefix;
    return find_layout(kind, &(names){.file = file}, &prefix) >= 0;
}

/* ---- opening ---- */

/* Reads the shapes of both halves. name: what the names of each begin with. */
static tsr_status read_shapes(const tsr_grid *g, tsr_weights *weights, const char *prefix,
                              const tsr_conv_layout *layout, char name[2][256],
                              tsr_conv_shape shape[2]) {
    for (int i = 0; i < 2; ++i) {
        snprintf(name[i], sizeof name[i], "%s%s.", prefix, i ? "decoder" : "encoder");
        const tsr_status status =
            tsr_conv_read_shape(g->ctx, weights, name[i], g->path, layout, i, &shape[i]);
        if (status) return status;
    }
    if (shape[0].levels == shape[1].levels) return TSR_OK;
    return tsr_fail(g->ctx, TSR_ERROR_MODEL, "%s: %s: wanted %d levels as the encoder has, got %d",
                    g->path, name[1], shape[0].levels, shape[1].levels);
}

/* Loads every tensor; all names begin with `prefix`. */
static void load_named(tsr_weight_loader *l, tsr_grid *g, const char *prefix,
                       const tsr_conv_layout *layout) {
    char name[2][256], codes[300];
    tsr_conv_shape shape[2];
    l->status = read_shapes(g, l->weights, prefix, layout, name, shape);
    snprintf(codes, sizeof codes, "%squantize.embedding.weight", prefix);
    tsr_code_table_load(l, codes, &g->codes);
    if (l->status) return;
    /* Without the convolutions between them features, codes and the decoder's input are one. */
    const int64_t d = g->codes.codes->tensor.dim[1];
    shape[0].in = 3;
    shape[1].out = 3;
    if (!g->kind->quant) shape[0].out = shape[1].in = d;
    tsr_conv_load(l, name[0], layout, false, &shape[0], &g->encoder);
    tsr_conv_load(l, name[1], layout, true, &shape[1], &g->decoder);
    if (g->kind->quant) {
        tsr_conv_load_one(l, prefix, "quant_conv", d, shape[0].out, 1, &g->quant);
        tsr_conv_load_one(l, prefix, "post_quant_conv", shape[1].in, d, 1, &g->post_quant);
    }
    for (int i = 0; i < shape[0].levels; ++i)
        for (int k = 0; k < 2; ++k)
            if (!l->status && shape[k].width[i] % 32)
                l->status = tsr_fail(g->ctx, TSR_ERROR_MODEL,
                                     "%s: %s: level %d: wanted a multiple of 32 channels, got %lld",
                                     g->path, name[k], i, (long long)shape[k].width[i]);
    g->step = (int64_t)1 << (shape[0].levels - 1);
}

static void load_tensors(tsr_weight_loader *l, tsr_grid *g) {
    const char *prefix = "";
    const int i = find_layout(g->kind, &(names){.weights = l->weights}, &prefix);
    if (l->status) return;
    if (i < 0)
        l->status = tsr_fail(g->ctx, TSR_ERROR_MODEL,
                             "%s: wanted tensors of %s (%s, quantize.embedding.weight, %s), got "
                             "another set",
                             g->path, g->kind->name, g->kind->names[0].mark,
                             g->kind->names[0].layout->bare ? "no encoder.conv_in.bias"
                                                            : "encoder.conv_in.bias");
    else
        load_named(l, g, prefix, g->kind->names[i].layout);
}

/* Fills a model whose device, context, weights and kind are set. */
static tsr_status load_model(tsr_grid *g, const char *path) {
    if (!(g->path = strdup(path)))
        return tsr_fail(g->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    tsr_weight_loader loader = tsr_load_all_begin(g->ctx, g->weights, path);
    load_tensors(&loader, g);
    const tsr_status status = tsr_load_all_end(&loader, g->kind->ignored);
    if (status) return status;
    return tsr_code_table_prepare(g->ctx, g->weights, g->kind->normalised, !g->kind->quant,
                                  &g->codes);
}

tsr_status tsr_grid_open(tsr_device *device, const tsr_grid_kind *kind, tsr_weights *weights,
                         const char *path, tsr_grid **grid) {
    tsr_grid *g = tsr_alloc(tsr_device_context(device), 1, sizeof *g, kind->name);
    *grid = NULL;
    if (!g) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    g->device = device;
    g->ctx = tsr_device_context(device);
    g->weights = weights;
    g->kind = kind;
    const tsr_status status = load_model(g, path);
    if (status)
        tsr_grid_close(&g);
    else
        *grid = g;
    return status;
}

void tsr_grid_close(tsr_grid **grid) {
    if (!grid || !*grid) return;
    tsr_grid *g = *grid;
    tsr_device_forget(g->device, g);
    tsr_weights_close(&g->weights);
    tsr_code_table_drop(&g->codes);
    free(g->path);
    free(g);
    *grid = NULL;
}

/* ---- the model ---- */

/* Bytes to the model's range. */
static tsr_tensor *spread(tsr_run *r, const tsr_grid *g, tsr_tensor *x) {
    return g->kind->centred ? tsr_from_bytes(r, x, 2, -1, false)
                            : tsr_from_bytes(r, x, 1, 0, false);
}

/* in: pictures U8 [B, H, W, 3]. out: ids [B*h*w], margin [B*h*w], squared length of the features
 * [B*h*w, 1]; traced: features and the encoder's output [B, h, w, C]. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_grid *g = model;
    const bool *traced = tsr_run_args(r);
    tsr_tensor *x = tsr_conv_encode(r, &g->encoder, spread(r, g, in[0]), NULL);
    if (*traced) out[4] = x;
    if (g->quant.weight) x = tsr_conv_one(r, x, &g->quant);
    if (*traced) out[3] = x;
    const int64_t flat[2] = {x->dim[0] * x->dim[1] * x->dim[2], x->dim[3]};
    tsr_code_table_search(r, &g->codes, tsr_reshape(r, x, 2, flat), &out[0], &out[1], &out[2]);
}

/* A window's: in: picture U8 [1, H, W, 3]. out: features [1, h, w, D]. */
static void features_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                             tsr_tensor **out) {
    const tsr_grid *g = model;
    tsr_tensor *x = tsr_conv_encode(r, &g->encoder, spread(r, g, in[0]), NULL);
    out[0] = g->quant.weight ? tsr_conv_one(r, x, &g->quant) : x;
}

/* in: features [h*w, D] made of windows. out: as encode_program's first three. */
static void search_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_grid *g = model;
    tsr_code_table_search(r, &g->codes, in[0], &out[0], &out[1], &out[2]);
}

static tsr_tensor *decode_codes(tsr_run *r, const tsr_grid *g, tsr_tensor *x) {
    if (g->post_quant.weight) x = tsr_conv_one(r, x, &g->post_quant);
    return tsr_conv_decode(r, &g->decoder, x, NULL);
}

/* in: ids [B, h, w]. out: pictures [B, H, W, 3]. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_grid *g = model;
    out[0] = decode_codes(r, g, tsr_code_table_rows(r, &g->codes, in[0]));
}

/* in: logits [1, h, w, K]. out: picture [1, H, W, 3], mixed codes [1, h, w, D]. */
static void soft_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_grid *g = model;
    out[1] = tsr_code_table_mix(r, &g->codes, in[0]);
    out[0] = decode_codes(r, g, out[1]);
}

/* ---- running it ---- */

static tsr_status check_size(const tsr_grid *g, tsr_status status, int64_t height, int64_t width) {
    const int64_t step = g->step;
    if (height >= step && width >= step && height % step == 0 && width % step == 0 &&
        height <= MOST_PIXELS && width <= MOST_PIXELS)
        return TSR_OK;
    return tsr_fail(g->ctx, status, "%s: tile: wanted multiples of %lld up to %d, got %lldx%lld",
                    g->path, (long long)step, MOST_PIXELS, (long long)width, (long long)height);
}

/* Plans a half for h x w places. */
static tsr_status plan_half(const tsr_grid *g, bool decoder, int64_t h, int64_t w,
                            tsr_window_plan *plan) {
    return tsr_window_plan_make(g->device, decoder ? &g->decoder : &g->encoder, decoder, g->path, h,
                                w, plan);
}

/* What a window is cut from. */
typedef struct source {
    const tsr_grid *g;
    const tsr_window_plan *plan;
    const uint8_t *rgb; /* to encode */
    const int32_t *ids; /* to decode */
    void *cut;          /* room for a window of it */
} source;

static tsr_status encode_window(void *user, int64_t y, int64_t x, float *made) {
    const source *s = user;
    const tsr_grid *g = s->g;
    const int64_t h = s->plan->side_y, w = s->plan->side_x, step = g->step;
    const int64_t row = w * step * 3, whole = s->plan->width * step * 3;
    for (int64_t i = 0; i < h * step; ++i)
        memcpy((uint8_t *)s->cut + i * row, s->rgb + (y * step + i) * whole + x * step * 3,
               (size_t)row);
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_U8, s->cut, 4, (int64_t[]){1, h * step, w * step, 3});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, made, 4,
                                     (int64_t[]){1, h, w, g->codes.codes->tensor.dim[1]});
    const tsr_program program = {.fn = features_program, .model = g, .name = "grid window"};
    return tsr_execute(g->device, &program, &in, 1, &out, 1);
}

/* Features by windows, then the codes of all of them. out: as encode_program's first three. */
static tsr_status encode_cut(const tsr_grid *g, const uint8_t *rgb, const tsr_window_plan *plan,
                             tsr_tensor *out) {
    const int64_t n = plan->height * plan->width, d = g->codes.codes->tensor.dim[1];
    source s = {.g = g, .plan = plan, .rgb = rgb};
    tsr_scratch memory = {.ctx = g->ctx};
    float *features =
        tsr_scratch_take(&memory, (size_t)(n * d), sizeof *features, "grid: features");
    s.cut = tsr_scratch_take(&memory, (size_t)(plan->side_y * plan->side_x * g->step * g->step), 3,
                             "grid: window");
    tsr_status status = memory.status;
    if (!status) status = tsr_window_run(g->ctx, plan, 1, d, features, encode_window, &s);
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, features, 2, (int64_t[]){n, d});
    const tsr_program program = {.fn = search_program, .model = g, .name = "grid codes"};
    if (!status) status = tsr_execute(g->device, &program, &in, 1, out, 3);
    tsr_scratch_free(&memory);
    return status;
}

/* Begins the encoder on `count` pictures, or where memory is short computes them window by window
 * here and now. rows [2, B*h*w]: margins and squared lengths of the features; NULL: not asked for.
 */
static tsr_status begin_encoder(const tsr_grid *g, const uint8_t *rgb, int64_t count,
                                int64_t height, int64_t width, const tsr_grid_result *result,
                                float *rows, tsr_flight *flight) {
    const int64_t h = height / g->step, w = width / g->step, each = h * w, n = count * each;
    const int64_t d = g->codes.codes->tensor.dim[1];
    const bool traced = result->features && result->encoder_out;
    tsr_window_plan plan;
    tsr_status status = check_size(g, TSR_ERROR_ARGUMENT, height, width);
    if (!status) status = plan_half(g, false, h, w, &plan);
    if (status) return status;
    /* A cut picture goes alone. */
    const bool cut = tsr_window_plan_cuts(&plan) && !traced;
    const int64_t step = cut ? 1 : count, places = step * each;
    for (int64_t first = 0; first < count && !status; first += step) {
        const int64_t at = first * each;
        tsr_tensor out[] = {
            tsr_host_tensor(TSR_DTYPE_I32, result->ids + at, 1, &places),
            tsr_host_tensor(TSR_DTYPE_F32, rows ? rows + at : NULL, 1, &places),
            tsr_host_tensor(TSR_DTYPE_F32, rows ? rows + n + at : NULL, 2, (int64_t[]){places, 1}),
            tsr_host_tensor(TSR_DTYPE_F32, result->features, 4, (int64_t[]){step, h, w, d}),
            tsr_host_tensor(TSR_DTYPE_F32, result->encoder_out, 4,
                            (int64_t[]){step, h, w, g->encoder.shape.out}),
        };
        const uint8_t *from = rgb + first * height * width * 3;
        const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)from, 4,
                                              (int64_t[]){step, height, width, 3});
        const tsr_program program = {.fn = encode_program,
                                     .model = g,
                                     .args = &traced,
                                     .variant = traced,
                                     .name = "grid encoder"};
        status = cut ? encode_cut(g, from, &plan, out)
                     : tsr_execute_begin(g->device, &program, &in, 1, out, traced ? 5 : 3, flight);
    }
    return status;
}

tsr_status tsr_grid_encode(const tsr_grid *g, const uint8_t *rgb, int64_t count, int64_t height,
                           int64_t width, const tsr_grid_result *result) {
    const int64_t n = count * (height / g->step) * (width / g->step);
    float *rows = NULL;
    if ((result->margin || result->near_ties) && n > 0) {
        rows = tsr_alloc_raw(g->ctx, (size_t)n, 2 * sizeof *rows, "grid: rows");
        if (!rows) return TSR_ERROR_MEMORY;
    }
    tsr_flight flight = {0};
    tsr_status status = begin_encoder(g, rgb, count, height, width, result, rows, &flight);
    if (!status) status = tsr_execute_end(g->device, &flight);
    if (!status && result->margin) memcpy(result->margin, rows, (size_t)n * sizeof *rows);
    if (!status && result->near_ties)
        status = tsr_code_table_near_ties(g->ctx, &g->codes, rows, rows + n, n, result->near_ties);
    free(rows);
    return status;
}

static tsr_status decode_ids(const tsr_grid *g, const int32_t *ids, int64_t count, int64_t h,
                             int64_t w, float *rgb) {
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)ids, 3, (int64_t[]){count, h, w});
    tsr_tensor out =
        tsr_host_tensor(TSR_DTYPE_F32, rgb, 4, (int64_t[]){count, h * g->step, w * g->step, 3});
    const tsr_program program = {
        .fn = decode_program, .model = g, .name = "grid decoder", .pictures = true};
    return tsr_execute(g->device, &program, &in, 1, &out, 1);
}

static tsr_status decode_window(void *user, int64_t y, int64_t x, float *made) {
    const source *s = user;
    const int64_t h = s->plan->side_y, w = s->plan->side_x;
    for (int64_t i = 0; i < h; ++i)
        memcpy((int32_t *)s->cut + i * w, s->ids + (y + i) * s->plan->width + x,
               (size_t)w * sizeof *s->ids);
    return decode_ids(s->g, s->cut, 1, h, w, made);
}

static tsr_status decode_cut(const tsr_grid *g, const int32_t *ids, const tsr_window_plan *plan,
                             float *rgb) {
    source s = {.g = g, .plan = plan, .ids = ids};
    s.cut = tsr_alloc(g->ctx, (size_t)(plan->side_y * plan->side_x), sizeof *ids, "grid: window");
    const tsr_status status =
        s.cut ? tsr_window_run(g->ctx, plan, g->step, 3, rgb, decode_window, &s) : TSR_ERROR_MEMORY;
    free(s.cut);
    return status;
}

tsr_status tsr_grid_decode(const tsr_grid *g, const int32_t *ids, int64_t count, int64_t h,
                           int64_t w, float *rgb) {
    const int64_t k = g->codes.codes->tensor.dim[0], n = h * w, pixels = n * g->step * g->step;
    tsr_window_plan plan;
    tsr_status status = check_size(g, TSR_ERROR_ARGUMENT, h * g->step, w * g->step);
    if (status) return status;
    for (int64_t i = 0; i < count * n; ++i)
        if (ids[i] < 0 || ids[i] >= k)
            return tsr_fail(g->ctx, TSR_ERROR_TOKENS, "%s: id: wanted below %lld, got %d", g->path,
                            (long long)k, ids[i]);
    status = plan_half(g, true, h, w, &plan);
    if (!status && !tsr_window_plan_cuts(&plan)) return decode_ids(g, ids, count, h, w, rgb);
    for (int64_t i = 0; i < count && !status; ++i)
        status = decode_cut(g, ids + i * n, &plan, rgb + i * pixels * 3);
    return status;
}

tsr_status tsr_grid_decode_soft(const tsr_grid *g, const float *logits, int64_t h, int64_t w,
                                float *rgb, float *mixed) {
    const int64_t d = g->codes.codes->tensor.dim[1], k = g->codes.codes->tensor.dim[0];
    tsr_status status = check_size(g, TSR_ERROR_ARGUMENT, h * g->step, w * g->step);
    if (status) return status;
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_F32, (float *)logits, 4, (int64_t[]){1, h, w, k});
    tsr_tensor out[] = {
        tsr_host_tensor(TSR_DTYPE_F32, rgb, 4, (int64_t[]){1, h * g->step, w * g->step, 3}),
        tsr_host_tensor(TSR_DTYPE_F32, mixed, 4, (int64_t[]){1, h, w, d})};
    const tsr_program program = {
        .fn = soft_program, .model = g, .name = "grid soft decoder", .pictures = true};
    return tsr_execute(g->device, &program, &in, 1, out, 2);
}

/* ---- what the families share ---- */

void tsr_grid_family_list(const tsr_grid_kind *kind, tsr_weight_loader *loader) {
    tsr_grid g = {.ctx = loader->ctx, .kind = kind, .path = (char *)loader->path};
    load_tensors(loader, &g);
}

tsr_status tsr_grid_family_open(const tsr_grid_kind *kind, tsr_device *device,
                                const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_grid *g = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_grid_open(device, kind, weights, source->path, &g);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name)
        snprintf(g->name, sizeof g->name, "%s", name);
    else
        snprintf(g->name, sizeof g->name, "%s-f%d-%u", kind->name, (int)g->step,
                 (unsigned)g->codes.codes->tensor.dim[0]);
    g->height = g->width = g->step < 256 ? 256 : g->step; /* what these models were trained with */
    *model = g;
    return TSR_OK;
}

void tsr_grid_family_close(void **model) {
    if (!model || !*model) return;
    tsr_grid *g = *model;
    tsr_grid_close(&g);
    *model = NULL;
}

/* Plans both halves for the tile's size, so that what cannot run is refused before it begins, and
 * says in the name how tiles are encoded when not at once. */
static tsr_status describe(const void *model, tsr_token_header *h) {
    const tsr_grid *g = model;
    tsr_window_plan plan;
    const int64_t rows = g->height / g->step, columns = g->width / g->step;
    tsr_status status = plan_half(g, true, rows, columns, &plan);
    if (!status) status = plan_half(g, false, rows, columns, &plan);
    if (status) return status;
    h->codebook_size = (uint32_t)g->codes.codes->tensor.dim[0];
    h->geometry = TSR_GEOMETRY_GRID;
    h->rows = (uint32_t)rows;
    h->columns = (uint32_t)columns;
    h->tile_height = (uint32_t)g->height;
    h->tile_width = (uint32_t)g->width;
    tsr_window_name(&plan, g->step, g->name, h->tokenizer);
    return TSR_OK;
}

static tsr_status resize(void *model, tsr_tile_size size, tsr_token_header *header) {
    tsr_grid *g = model;
    tsr_status status = check_size(g, TSR_ERROR_ARGUMENT, size.height, size.width);
    if (status) return status;
    const int64_t before[2] = {g->height, g->width};
    g->width = size.width;
    g->height = size.height;
    status = describe(g, header);
    if (status) g->height = before[0], g->width = before[1];
    return status;
}

static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const tsr_grid *g = model;
    const bool decoder = !request;
    tsr_window_plan plan;
    if (plan_half(g, decoder, g->height / g->step, g->width / g->step, &plan))
        return (tsr_tile_cost){.alone = true}; /* the run will say why */
    return tsr_window_cost(decoder ? &g->decoder : &g->encoder, decoder, &plan);
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    (void)request; /* all ids or none: the plan has seen to it */
    const tsr_grid *g = model;
    tsr_token_batch *t = &flight->tokens;
    const size_t n = (size_t)t->count * (size_t)(g->height / g->step * (g->width / g->step));
    flight->rows =
        tsr_scratch_take_raw(&flight->scratch, n, 2 * sizeof *flight->rows, "grid: rows");
    if (!flight->rows) return flight->scratch.status;
    for (int i = 0; i < t->count; ++i)
        t->counts[i] = t->capacity;
    const tsr_grid_result result = {.ids = t->values};
    return begin_encoder(g, pixels->rgb, pixels->count, g->height, g->width, &result, flight->rows,
                         &flight->program);
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const tsr_grid *g = model;
    tsr_token_batch *t = &flight->tokens;
    const int64_t n = t->count * (g->height / g->step) * (g->width / g->step);
    const tsr_status status = tsr_execute_end(g->device, &flight->program);
    return status ? status
                  : tsr_code_table_near_ties(g->ctx, &g->codes, flight->rows, flight->rows + n, n,
                                             &t->near_ties);
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const tsr_grid *g = model;
    const int64_t h = g->height / g->step, w = g->width / g->step;
    const int64_t values = batch->count * g->height * g->width * 3;
    for (int i = 0; i < batch->count; ++i)
        if (batch->counts[i] != h * w)
            return tsr_fail(g->ctx, TSR_ERROR_TOKENS, "%s: ids of a tile: wanted %lld, got %u",
                            g->path, (long long)(h * w), batch->counts[i]);
    const tsr_status status = tsr_grid_decode(g, batch->values, batch->count, h, w, rgb);
    for (int64_t v = 0; v < values && g->kind->centred && !status; ++v)
        rgb[v] = rgb[v] * 0.5f + 0.5f;
    return status;
}

const tsr_tokenizer_ops tsr_grid_ops = {.describe = describe,
                                        .resize = resize,
                                        .cost = cost,
                                        .encode_begin = encode_begin,
                                        .encode_end = encode_end,
                                        .decode = decode};
