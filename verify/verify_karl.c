/* SPDX-License-Identifier: MIT */
/* verify_karl.c: golden cases of KARL. Pictures are decoded from the stored ids and the stored
 * mask; continuous models' from the factors. */
#include "verify_picture.h"

#include "../codec/fit.h"
#include "../codec/tokenizers/karl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct kept { /* the case's model, from run to run */
    tsr_synthetic *synthetic;
    tsr_karl *model;
    char input[128]; /* whose features these are, */
    bool drawn;      /* with the noise of the run */
    float *features;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_karl_close(&k->model);
    tsr_synthetic_close(&k->synthetic);
    free(k->features);
    free(k);
}

static tsr_status open_karl(tsr_verify *v, kept **result) {
    kept *k = v->kept;
    if (!k) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
        tsr_weights *weights = NULL;
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
        tsr_status status = tsr_synthetic_open(v, TSR_DTYPE_F32, &k->synthetic, &weights);
        if (!status) status = tsr_karl_open(v->device, config, weights, v->folder, &k->model);
        if (!status) {
            k->features = tsr_alloc(v->ctx, (size_t)(TSR_KARL_PLACES * 2 * k->model->base),
                                    sizeof *k->features, "features");
            if (!k->features) status = TSR_ERROR_MEMORY;
        }
        if (status) return status;
    }
    *result = k;
    return k->features
               ? TSR_OK
               : tsr_fail(v->ctx, TSR_ERROR_MODEL, "%s: wanted a model, got none", v->folder);
}

/* The base's features of the run's picture, drawn with its noise; kept while they are the same. */
static tsr_status make_features(tsr_verify *v, const cJSON *run, kept *k, const char *input,
                                const uint8_t *rgb) {
    tsr_karl *m = k->model;
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "vae_noise"));
    const bool noisy = name && tsr_verify_entry(v->manifest, "inputs", name);
    const bool asked =
        tsr_verify_entry(run, "outputs", "features") || tsr_verify_entry(run, "outputs", "moments");
    if (!asked && !noisy && !k->drawn && !strcmp(k->input, input)) return TSR_OK;
    tsr_tensor noise = {0};
    tsr_status status = tsr_karl_features(m, rgb, 1, k->features);
    if (!status)
        status =
            tsr_verify_planar(v, run, m->vae ? "moments" : "features", k->features, 1,
                              TSR_KARL_GRID, TSR_KARL_GRID, m->vae ? 2 * m->base : m->base, false);
    if (!status && noisy) status = tsr_synthetic_input(v, run, name, &noise);
    if (!status && noise.data && tsr_elements(&noise) != TSR_KARL_PLACES * m->base)
        status =
            tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %lld values, got %lld", v->folder,
                     name, (long long)(TSR_KARL_PLACES * m->base), (long long)tsr_elements(&noise));
    if (!status) tsr_karl_draw(m, 1, k->features, noise.data);
    free(noise.data);
    snprintf(k->input, sizeof k->input, "%s", status ? "" : input);
    k->drawn = noisy;
    return status;
}

/* The tokens that stay: by the halting logits, or as the run says. */
static tsr_status keep(tsr_verify *v, const cJSON *run, const float *halt, int64_t budget,
                       int32_t *mask) {
    const cJSON *forced = cJSON_GetObjectItemCaseSensitive(run, "forced_drop"), *range;
    for (int64_t i = 0; i < budget; ++i)
        mask[i] = forced || !(halt[i] > tsr_karl_halt_above);
    cJSON_ArrayForEach(range, forced) {
        const cJSON *first = cJSON_GetArrayItem(range, 0), *end = cJSON_GetArrayItem(range, 1);
        if (!cJSON_IsNumber(first) || !cJSON_IsNumber(end) || first->valueint < 0 ||
            end->valueint > budget)
            return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                            "%s/manifest.json: %s: forced_drop: wanted ranges inside the budget",
                            v->folder, tsr_verify_name(run));
        for (int i = first->valueint; i < end->valueint; ++i)
            mask[i] = 0;
    }
    return tsr_verify_i32(v, run, "kept", mask, 1, &budget, (tsr_verify_ties){0});
}

static tsr_status stored_i32(tsr_verify *v, const cJSON *run, const char *output, int64_t count,
                             int32_t *values) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", output);
    tsr_tensor t = {0};
    if (!entry) return TSR_OK;
    tsr_status status = tsr_verify_array(v, run, entry, TSR_DTYPE_I32, &t);
    if (!status && tsr_elements(&t) == count)
        memcpy(values, t.data, (size_t)count * sizeof *values);
    if (!status && tsr_elements(&t) != count)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: %s: wanted %lld values, got %lld",
                          v->folder, tsr_verify_name(run), output, (long long)count,
                          (long long)tsr_elements(&t));
    free(t.data);
    return status;
}

static tsr_status verify_decode(tsr_verify *v, const cJSON *run, tsr_karl *m, int64_t budget,
                                int32_t *ids, int32_t *mask, const float *factors) {
    const int64_t depth = m->head[1]->tensor.dim[0], side = TSR_KARL_SIDE;
    int64_t n = 0;
    int32_t *positions = tsr_alloc(v->ctx, (size_t)budget, sizeof *positions, "positions");
    float *vectors = tsr_alloc(v->ctx, (size_t)(budget * m->size), sizeof *vectors, "factors");
    float *rgb = tsr_alloc(v->ctx, (size_t)(side * side * 3), sizeof *rgb, "picture");
    float *head = tsr_alloc(v->ctx, (size_t)(TSR_KARL_PLACES * depth), sizeof *head, "head");
    tsr_status status = positions && vectors && rgb && head ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = stored_i32(v, run, "ids", budget, ids);
    if (!status) status = stored_i32(v, run, "kept", budget, mask);
    for (int64_t i = 0; i < budget && !status; ++i) {
        if (!mask[i]) continue;
        positions[n] = (int32_t)i;
        ids[n] = ids[i];
        memcpy(vectors + n * m->size, factors + i * m->size, (size_t)m->size * sizeof *vectors);
        ++n;
    }
    if (!status)
        status =
            tsr_karl_decode(m, m->continuous ? NULL : ids, vectors, positions, 1, n, rgb, head);
    if (!status)
        status = tsr_verify_f32(v, run, "decoder_out", head, 2, (int64_t[]){TSR_KARL_PLACES, depth},
                                (tsr_verify_ties){0});
    if (!status) status = tsr_verify_planar(v, run, "image", rgb, 1, side, side, 3, false);
    free(positions);
    free(vectors);
    free(rgb);
    free(head);
    return status;
}

static tsr_status verify_run(tsr_verify *v, const cJSON *run, kept *k, const uint8_t *rgb,
                             int64_t budget, int bin) {
    tsr_karl *m = k->model;
    float *halt = tsr_alloc(v->ctx, (size_t)budget, 2 * sizeof *halt, "halting logits");
    float *factors = tsr_alloc(v->ctx, (size_t)(budget * m->size), sizeof *factors, "factors");
    float *tokens =
        tsr_alloc(v->ctx, (size_t)(TSR_KARL_PLACES * m->encoder.width), sizeof *tokens, "tokens");
    int32_t *ids = tsr_alloc(v->ctx, (size_t)budget, 2 * sizeof *ids, "ids");
    tsr_status status = halt && factors && tokens && ids ? TSR_OK : TSR_ERROR_MEMORY;
    const tsr_karl_result result = {.halt = halt,
                                    .factors = factors,
                                    .ids = ids,
                                    .margin = halt ? halt + budget : NULL,
                                    .tokens = tokens};
    if (!status) status = tsr_karl_encode(m, rgb, k->features, 1, bin, budget, &result);
    const tsr_verify_ties none = {0};
    if (!status)
        status = tsr_verify_f32(v, run, "tokens", tokens, 2,
                                (int64_t[]){TSR_KARL_PLACES, m->encoder.width}, none);
    if (!status) status = tsr_verify_f32(v, run, "halt_logits", halt, 1, &budget, none);
    if (!status)
        status = tsr_verify_f32(v, run, "factors", factors, 2, (int64_t[]){budget, m->size}, none);
    if (!status && !m->continuous) status = tsr_verify_ids(v, run, ids, halt + budget, 1, &budget);
    if (!status) status = keep(v, run, halt, budget, ids + budget);
    if (!status) status = verify_decode(v, run, m, budget, ids, ids + budget, factors);
    free(halt);
    free(factors);
    free(tokens);
    free(ids);
    return status;
}

/* Picture preparation is crop's, bicubic. */
static tsr_status verify_prepared(tsr_verify *v, const cJSON *run) {
    const tsr_token_header header = {.tile_width = TSR_KARL_SIDE,
                                     .tile_height = TSR_KARL_SIDE,
                                     .fit = TSR_FIT_CROP,
                                     .filter = TSR_FILTER_BICUBIC};
    const int64_t dim[3] = {TSR_KARL_SIDE, TSR_KARL_SIDE, 3};
    const char *input = NULL;
    uint8_t *rgb = NULL, *tile = NULL;
    tsr_picture picture = {0};
    int size[2], at[2], two = 2;
    uint64_t hash = 0;
    tsr_canvas canvas = {0};
    tsr_status status = tsr_verify_text(v, run, run, "input", &input);
    if (!status) status = tsr_verify_integers(v, run, run, "resized", size, 2, &two);
    if (!status) status = tsr_verify_integers(v, run, run, "crop_at", at, 2, &two);
    if (!status) status = tsr_verify_hash(v, run, run, "rgb_fnv1a64", &hash);
    if (!status) status = tsr_verify_picture(v, run, input, &rgb, &picture.width, &picture.height);
    picture.rgb = rgb;
    picture.key = input;
    if (!status && !(tile = tsr_alloc(v->ctx, TSR_KARL_SIDE * TSR_KARL_SIDE, 3, "tile")))
        status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_canvas_open(v->device, &picture, &header, &canvas);
    if (!status) {
        tsr_canvas_cut(&canvas, 0, tile);
        tsr_verify_line(v, run, "resized", canvas.width == size[0] && canvas.height == size[1],
                        "wanted %dx%d, got %dx%d", size[0], size[1], canvas.width, canvas.height);
        tsr_verify_line(v, run, "crop_at", canvas.crop_x == at[0] && canvas.crop_y == at[1],
                        "wanted %d,%d, got %d,%d", at[0], at[1], canvas.crop_x, canvas.crop_y);
        const uint64_t got = tsr_verify_fnv(tile, TSR_KARL_SIDE * TSR_KARL_SIDE * 3);
        tsr_verify_line(v, run, "rgb_fnv1a64", got == hash, "wanted 0x%016llx, got 0x%016llx",
                        (unsigned long long)hash, (unsigned long long)got);
        status = tsr_verify_u8(v, run, "rgb", tile, 3, dim);
        tsr_canvas_free(&canvas);
    }
    free(tile);
    free(rgb);
    return status;
}

tsr_status tsr_verify_karl(tsr_verify *v, const cJSON *run) {
    if (tsr_verify_entry(run, "outputs", "rgb")) return verify_prepared(v, run);
    kept *k = NULL;
    const char *input = NULL;
    uint8_t *rgb = NULL;
    int width = 0, height = 0;
    const cJSON *budget = cJSON_GetObjectItemCaseSensitive(run, "budget");
    const cJSON *epsilon = cJSON_GetObjectItemCaseSensitive(run, "epsilon");
    const cJSON *bin = cJSON_GetObjectItemCaseSensitive(run, "epsilon_bin");
    tsr_status status = tsr_verify_text(v, run, run, "input", &input);
    if (!status && (!cJSON_IsNumber(budget) || budget->valueint < 1 || budget->valueint > 4096 ||
                    !cJSON_IsNumber(epsilon) || !cJSON_IsNumber(bin)))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                          "%s/manifest.json: %s: budget, epsilon and epsilon_bin: wanted numbers, "
                          "got others",
                          v->folder, tsr_verify_name(run));
    if (!status) status = open_karl(v, &k);
    if (!status) status = tsr_verify_picture(v, run, input, &rgb, &width, &height);
    if (!status && (width != TSR_KARL_SIDE || height != TSR_KARL_SIDE))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted 256x256, got %dx%d", v->folder,
                          input, width, height);
    if (!status) {
        const int got = tsr_karl_bin((float)epsilon->valuedouble);
        tsr_verify_line(v, run, "epsilon_bin", got == bin->valueint, "wanted %d, got %d",
                        bin->valueint, got);
        status = make_features(v, run, k, input, rgb);
        if (!status) status = verify_run(v, run, k, rgb, budget->valueint, got);
    }
    free(rgb);
    return status;
}
