/* SPDX-License-Identifier: MIT */
/* verify_karl.c: golden cases of KARL. Pictures are decoded from the stored ids and the stored
 * mask; continuous models' from the factors. */
#include "verify_picture.h"

#include "../codec/fit.h"
#include "../codec/tokenizers/karl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct karl_model {
    tsr_synthetic *synthetic;
    tsr_karl *karl;
    float *features; /* [places, 2 * base] of one picture */
    char input[128]; /* name of that picture, "" before there is one */
    bool drawn;      /* with a run's noise */
} karl_model;

static void close_karl(void *model) {
    karl_model *m = model;
    tsr_karl_close(&m->karl);
    tsr_synthetic_close(&m->synthetic);
    free(m->features);
}

static void open_karl(tsr_verify *v, void *model) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    karl_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_karl_open(v->device, config, weights, v->folder, &m->karl);
    if (v->status) return;
    m->features = tsr_alloc(v->ctx, (size_t)(TSR_KARL_PLACES * 2 * m->karl->base),
                            sizeof *m->features, "features");
    if (!m->features) v->status = TSR_ERROR_MEMORY;
}

/* The base's features of the run's picture, drawn with the run's noise; those of the run before
 * stay where picture and noise have not changed. */
static void make_features(tsr_verify *v, karl_model *k, const char *input, const uint8_t *rgb) {
    tsr_karl *m = k->karl;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->run, "vae_noise"));
    const bool noisy = name && tsr_verify_entry(v->manifest, "inputs", name);
    const bool asked = tsr_verify_output(v, "features") || tsr_verify_output(v, "moments");
    if (v->status || (!asked && !noisy && !k->drawn && !strcmp(k->input, input))) return;
    tsr_tensor noise = {0};
    v->status = tsr_karl_features(m, rgb, 1, k->features);
    tsr_verify_planar(v, m->vae ? "moments" : "features", k->features, 1, TSR_KARL_GRID,
                      TSR_KARL_GRID, m->vae ? 2 * m->base : m->base, false);
    if (noisy) noise = tsr_synthetic_input(v, name);
    if (noise.data && tsr_elements(&noise) != TSR_KARL_PLACES * m->base)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted %lld values, got %lld", v->folder,
                        name, (long long)(TSR_KARL_PLACES * m->base),
                        (long long)tsr_elements(&noise));
    if (!v->status) tsr_karl_draw(m, 1, k->features, noise.data);
    snprintf(k->input, sizeof k->input, "%s", v->status ? "" : input);
    k->drawn = noisy;
}

/* mask [budget]: 1 for tokens that stay, by the halting logits or by the run's "forced_drop". */
static void choose_tokens(tsr_verify *v, const float *halt, int64_t budget, int32_t *mask) {
    const cJSON *forced = cJSON_GetObjectItemCaseSensitive(v->run, "forced_drop"), *range;
    if (v->status) return;
    for (int64_t i = 0; i < budget; ++i)
        mask[i] = forced || !(halt[i] > tsr_karl_halt_above);
    cJSON_ArrayForEach(range, forced) {
        const cJSON *first = cJSON_GetArrayItem(range, 0), *end = cJSON_GetArrayItem(range, 1);
        if (!cJSON_IsNumber(first) || !cJSON_IsNumber(end) || first->valueint < 0 ||
            end->valueint > budget) {
            tsr_verify_refuse(v, "forced_drop: wanted ranges inside the budget");
            return;
        }
        for (int i = first->valueint; i < end->valueint; ++i)
            mask[i] = 0;
    }
    tsr_verify_i32(v, "kept", mask, 1, &budget);
}

/* Replaces values [count] by the run's stored output, if it stores it. */
static void stored_i32(tsr_verify *v, const char *output, int64_t count, int32_t *values) {
    const cJSON *entry = tsr_verify_output(v, output);
    if (!entry) return;
    const tsr_tensor t = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    if (tsr_elements(&t) != count)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: %s: wanted %lld values, got %lld", v->folder,
                        tsr_verify_name(v), output, (long long)count, (long long)tsr_elements(&t));
    if (!v->status) memcpy(values, t.data, (size_t)count * sizeof *values);
}

static void verify_decode(tsr_verify *v, tsr_karl *m, int64_t budget, int32_t *ids, int32_t *mask,
                          const float *factors) {
    const int64_t depth = m->head[1]->tensor.dim[0], side = TSR_KARL_SIDE;
    int64_t n = 0;
    int32_t *positions = tsr_verify_take(v, budget, sizeof *positions, "positions");
    float *vectors = tsr_verify_take(v, budget * m->size, sizeof *vectors, "factors");
    float *rgb = tsr_verify_take(v, side * side * 3, sizeof *rgb, "picture");
    float *head = tsr_verify_take(v, TSR_KARL_PLACES * depth, sizeof *head, "head");
    stored_i32(v, "ids", budget, ids);
    stored_i32(v, "kept", budget, mask);
    if (v->status) return;
    for (int64_t i = 0; i < budget; ++i) {
        if (!mask[i]) continue;
        positions[n] = (int32_t)i;
        ids[n] = ids[i];
        memcpy(vectors + n * m->size, factors + i * m->size, (size_t)m->size * sizeof *vectors);
        ++n;
    }
    v->status = tsr_karl_decode(m, m->continuous ? NULL : ids, vectors, positions, 1, n, rgb, head);
    tsr_verify_f32(v, "decoder_out", head, 2, (int64_t[]){TSR_KARL_PLACES, depth});
    tsr_verify_planar(v, "image", rgb, 1, side, side, 3, false);
}

static void verify_tokens(tsr_verify *v, karl_model *k, const uint8_t *rgb, int64_t budget,
                          int bin) {
    tsr_karl *m = k->karl;
    const int64_t width = m->encoder.width;
    float *halt = tsr_verify_take(v, budget, sizeof *halt, "halting logits");
    float *margin = tsr_verify_take(v, budget, sizeof *margin, "margins");
    float *factors = tsr_verify_take(v, budget * m->size, sizeof *factors, "factors");
    float *tokens = tsr_verify_take(v, TSR_KARL_PLACES * width, sizeof *tokens, "tokens");
    int32_t *ids = tsr_verify_take(v, budget, sizeof *ids, "ids");
    int32_t *mask = tsr_verify_take(v, budget, sizeof *mask, "mask");
    if (v->status) return;
    const tsr_karl_result result = {
        .halt = halt, .factors = factors, .ids = ids, .margin = margin, .tokens = tokens};
    v->status = tsr_karl_encode(m, rgb, k->features, 1, bin, budget, &result);
    tsr_verify_f32(v, "tokens", tokens, 2, (int64_t[]){TSR_KARL_PLACES, width});
    tsr_verify_f32(v, "halt_logits", halt, 1, &budget);
    tsr_verify_f32(v, "factors", factors, 2, (int64_t[]){budget, m->size});
    if (!m->continuous) tsr_verify_ids(v, ids, margin, 1, &budget);
    choose_tokens(v, halt, budget, mask);
    verify_decode(v, m, budget, ids, mask, factors);
}

/* Picture preparation: resized bicubically, cut from the centre. */
static void verify_prepared(tsr_verify *v) {
    const tsr_token_header header = {.tile_width = TSR_KARL_SIDE,
                                     .tile_height = TSR_KARL_SIDE,
                                     .fit = TSR_FIT_CROP,
                                     .filter = TSR_FILTER_BICUBIC};
    const int64_t dim[3] = {TSR_KARL_SIDE, TSR_KARL_SIDE, 3};
    tsr_picture picture = {0};
    tsr_canvas canvas = {0};
    int size[2], at[2];
    const char *input = tsr_verify_text(v, v->run, "input");
    tsr_verify_integers(v, v->run, "resized", size, 2, 2);
    tsr_verify_integers(v, v->run, "crop_at", at, 2, 2);
    const uint64_t hash = tsr_verify_hash(v, v->run, "rgb_fnv1a64");
    uint8_t *tile = tsr_verify_take(v, TSR_KARL_SIDE * TSR_KARL_SIDE, 3, "tile");
    uint8_t *rgb = tsr_verify_picture(v, input, &picture.width, &picture.height);
    picture.rgb = rgb;
    picture.key = input;
    if (!v->status) v->status = tsr_canvas_open(v->device, &picture, &header, &canvas);
    if (!v->status) {
        tsr_canvas_cut(&canvas, 0, tile);
        tsr_verify_line(v, "resized", canvas.width == size[0] && canvas.height == size[1],
                        "wanted %dx%d, got %dx%d", size[0], size[1], canvas.width, canvas.height);
        tsr_verify_line(v, "crop_at", canvas.crop_x == at[0] && canvas.crop_y == at[1],
                        "wanted %d,%d, got %d,%d", at[0], at[1], canvas.crop_x, canvas.crop_y);
        tsr_verify_hash_line(v, "rgb_fnv1a64", hash,
                             tsr_verify_fnv(tile, TSR_KARL_SIDE * TSR_KARL_SIDE * 3));
        tsr_verify_u8(v, "rgb", tile, 3, dim);
        tsr_canvas_free(&canvas);
    }
    free(rgb);
}

void tsr_verify_karl(tsr_verify *v) {
    if (tsr_verify_output(v, "rgb")) {
        verify_prepared(v);
        return;
    }
    const cJSON *budget = cJSON_GetObjectItemCaseSensitive(v->run, "budget");
    const cJSON *epsilon = cJSON_GetObjectItemCaseSensitive(v->run, "epsilon");
    const cJSON *bin = cJSON_GetObjectItemCaseSensitive(v->run, "epsilon_bin");
    const char *input = tsr_verify_text(v, v->run, "input");
    int width = 0, height = 0;
    if (!cJSON_IsNumber(budget) || budget->valueint < 1 || budget->valueint > 4096 ||
        !cJSON_IsNumber(epsilon) || !cJSON_IsNumber(bin))
        tsr_verify_refuse(v, "budget, epsilon and epsilon_bin: wanted numbers, got others");
    karl_model *k = tsr_verify_model(v, sizeof *k, open_karl, close_karl);
    uint8_t *rgb = tsr_verify_picture(v, input, &width, &height);
    if (width != TSR_KARL_SIDE || height != TSR_KARL_SIDE)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: wanted 256x256, got %dx%d", v->folder, input,
                        width, height);
    if (!v->status) {
        const int got = tsr_karl_bin((float)epsilon->valuedouble);
        tsr_verify_line(v, "epsilon_bin", got == bin->valueint, "wanted %d, got %d", bin->valueint,
                        got);
        make_features(v, k, input, rgb);
        verify_tokens(v, k, rgb, budget->valueint, got);
    }
    free(rgb);
}
