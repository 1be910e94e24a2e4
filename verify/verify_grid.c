/* SPDX-License-Identifier: MIT */
/* verify_grid.c: golden cases of the grid tokenizers. Features, ids and pictures come from the
 * model as it is used; pictures are decoded from the stored ids. */
#include "verify_picture.h"

#include "../codec/tokenizers/vqgan.h"

#include <stdlib.h>
#include <string.h>

typedef struct kept { /* the case's model, from run to run */
    tsr_synthetic *synthetic;
    tsr_grid *grid;
} kept;

static void close_kept(void *user) {
    kept *k = user;
    tsr_grid_close(&k->grid);
    tsr_synthetic_close(&k->synthetic);
    free(k);
}

static tsr_status open_grid(tsr_verify *v, const cJSON *run, tsr_grid **grid) {
    static const tsr_grid_kind *const kinds[] = {&tsr_grid_maskgit, &tsr_grid_taming,
                                                 &tsr_grid_llamagen};
    static const char *const names[] = {"maskgit-vqgan", "taming", "llamagen"};
    kept *k = v->kept;
    if (!k) {
        const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
        const char *kind = NULL;
        const tsr_grid_kind *found = NULL;
        tsr_weights *weights = NULL;
        if (!(k = tsr_alloc(v->ctx, 1, sizeof *k, "golden model"))) return TSR_ERROR_MEMORY;
        v->kept = k;
        v->close_kept = close_kept;
        tsr_status status = tsr_verify_text(v, run, config, "kind", &kind);
        for (int i = 0; i < 3 && !status; ++i)
            if (!strcmp(kind, names[i])) found = kinds[i];
        if (!status && !found)
            status = tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED,
                              "%s/manifest.json: config.kind: wanted a grid tokenizer, got %s",
                              v->folder, kind);
        if (!status) status = tsr_synthetic_open(v, TSR_DTYPE_F32, &k->synthetic, &weights);
        if (!status) status = tsr_grid_open(v->device, found, weights, v->folder, &k->grid);
        if (status) return status;
    }
    *grid = k->grid;
    return *grid ? TSR_OK
                 : tsr_fail(v->ctx, TSR_ERROR_MODEL, "%s: wanted a model, got none", v->folder);
}

static tsr_status verify_encode(tsr_verify *v, const cJSON *run, tsr_grid *g, const uint8_t *rgb,
                                int height, int width) {
    const int64_t h = height / g->step, w = width / g->step, n = h * w;
    const int64_t d = g->codes.codes->tensor.dim[1], before = g->encoder.shape.out;
    const int64_t grid[2] = {h, w};
    float *features = tsr_alloc(v->ctx, (size_t)(n * d), sizeof *features, "features");
    float *encoder = tsr_alloc(v->ctx, (size_t)(n * before), sizeof *encoder, "features");
    float *margin = tsr_alloc(v->ctx, (size_t)n, sizeof *margin, "margins");
    int32_t *ids = tsr_alloc(v->ctx, (size_t)n, sizeof *ids, "ids");
    int32_t *again = tsr_alloc(v->ctx, (size_t)n, sizeof *again, "ids");
    tsr_status status = features && encoder && margin && ids && again ? TSR_OK : TSR_ERROR_MEMORY;
    tsr_grid_result result = {ids, margin, features, encoder, NULL};
    if (!status) status = tsr_grid_encode(g, rgb, 1, height, width, &result);
    if (!status) status = tsr_verify_planar(v, run, "encoder_out", encoder, 1, h, w, before, false);
    if (!status) status = tsr_verify_planar(v, run, "features", features, 1, h, w, d, false);
    if (!status) status = tsr_verify_ids(v, run, ids, margin, 2, grid);
    /* The plain way gives the same ids as the traced one. */
    result = (tsr_grid_result){.ids = again};
    if (!status) status = tsr_grid_encode(g, rgb, 1, height, width, &result);
    if (!status && memcmp(ids, again, (size_t)n * sizeof *ids) != 0)
        tsr_verify_line(v, run, "ids", false, "another way of running gives other ids");
    free(features);
    free(encoder);
    free(margin);
    free(ids);
    free(again);
    return status;
}

static tsr_status verify_decode(tsr_verify *v, const cJSON *run, tsr_grid *g) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", "ids");
    tsr_tensor ids = {0};
    if (!entry || !tsr_verify_entry(run, "outputs", "hard_image")) return TSR_OK;
    tsr_status status = tsr_verify_array(v, run, entry, TSR_DTYPE_I32, &ids);
    if (!status && ids.rank != 2)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: ids: wanted [rows, columns]",
                          v->folder, tsr_verify_name(run));
    const int64_t height = ids.dim[0] * g->step, width = ids.dim[1] * g->step;
    float *rgb = NULL;
    if (!status && !(rgb = tsr_alloc(v->ctx, (size_t)(height * width * 3), sizeof *rgb, "picture")))
        status = TSR_ERROR_MEMORY;
    if (!status) status = tsr_grid_decode(g, ids.data, 1, ids.dim[0], ids.dim[1], rgb);
    if (!status) status = tsr_verify_planar(v, run, "hard_image", rgb, 1, height, width, 3, false);
    free(rgb);
    free(ids.data);
    return status;
}

/* Logits of a square grid of places. */
static tsr_status verify_soft(tsr_verify *v, const cJSON *run, tsr_grid *g, const char *input) {
    tsr_tensor logits = {0};
    const int64_t k = g->codes.codes->tensor.dim[0], d = g->codes.codes->tensor.dim[1];
    int64_t side = 1;
    tsr_status status = tsr_synthetic_input(v, run, input, &logits);
    while (side * side < logits.dim[0])
        ++side;
    if (!status && (logits.rank != 2 || logits.dim[1] != k || side * side != logits.dim[0]))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                          "%s: %s: wanted logits of a square grid of %lld codes, got another shape",
                          v->folder, input, (long long)k);
    const int64_t pixels = side * g->step;
    float *rgb = NULL, *mixed = NULL;
    if (!status) {
        rgb = tsr_alloc(v->ctx, (size_t)(pixels * pixels * 3), sizeof *rgb, "picture");
        mixed = tsr_alloc(v->ctx, (size_t)(side * side * d), sizeof *mixed, "codes");
        if (!rgb || !mixed) status = TSR_ERROR_MEMORY;
    }
    if (!status) status = tsr_grid_decode_soft(g, logits.data, side, side, rgb, mixed);
    if (!status) status = tsr_verify_planar(v, run, "soft_code", mixed, 1, side, side, d, false);
    if (!status) status = tsr_verify_planar(v, run, "soft_image", rgb, 1, pixels, pixels, 3, false);
    free(rgb);
    free(mixed);
    free(logits.data);
    return status;
}

tsr_status tsr_verify_grid(tsr_verify *v, const cJSON *run) {
    tsr_grid *g = NULL;
    const char *input = NULL;
    uint8_t *rgb = NULL;
    int width = 0, height = 0;
    tsr_status status = tsr_verify_text(v, run, run, "input", &input);
    if (!status) status = open_grid(v, run, &g);
    if (status) return status;
    if (tsr_verify_entry(run, "outputs", "soft_image")) return verify_soft(v, run, g, input);
    status = tsr_verify_picture(v, run, input, &rgb, &width, &height);
    if (!status) status = verify_encode(v, run, g, rgb, height, width);
    if (!status) status = verify_decode(v, run, g);
    free(rgb);
    return status;
}
