/* SPDX-License-Identifier: MIT */
/* verify_grid.c: golden cases of the grid tokenizers. Features, ids and pictures come from the
 * model as it is used; pictures are decoded from the stored ids. */
#include "verify_picture.h"

#include "../codec/tokenizers/vqgan.h"

#include <stdlib.h>
#include <string.h>

typedef struct grid_model {
    tsr_synthetic *synthetic;
    tsr_grid *grid;
} grid_model;

static void close_grid(void *model) {
    grid_model *m = model;
    tsr_grid_close(&m->grid);
    tsr_synthetic_close(&m->synthetic);
}

static void open_grid(tsr_verify *v, void *model) {
    static const tsr_grid_kind *const kinds[] = {&tsr_grid_maskgit, &tsr_grid_taming,
                                                 &tsr_grid_llamagen};
    static const char *const names[] = {"maskgit-vqgan", "taming", "llamagen"};
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    const char *kind = tsr_verify_text(v, config, "kind");
    const tsr_grid_kind *found = NULL;
    grid_model *m = model;
    tsr_weights *weights = NULL;
    for (int i = 0; i < 3; ++i)
        if (!strcmp(kind, names[i])) found = kinds[i];
    if (!found)
        tsr_verify_fail(v, TSR_ERROR_UNSUPPORTED,
                        "%s/manifest.json: config.kind: wanted a grid tokenizer, got %s", v->folder,
                        kind);
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_grid_open(v->device, found, weights, v->folder, &m->grid);
}

static void verify_encode(tsr_verify *v, tsr_grid *g, const uint8_t *rgb, int height, int width) {
    const int64_t h = height / g->step, w = width / g->step, n = h * w;
    const int64_t d = g->codes.codes->tensor.dim[1], before = g->encoder.shape.out;
    float *features = tsr_verify_take(v, n * d, sizeof *features, "features");
    float *encoder = tsr_verify_take(v, n * before, sizeof *encoder, "features");
    float *margin = tsr_verify_take(v, n, sizeof *margin, "margins");
    int32_t *ids = tsr_verify_take(v, n, sizeof *ids, "ids");
    int32_t *again = tsr_verify_take(v, n, sizeof *again, "ids");
    if (v->status) return;
    tsr_grid_result result = {ids, margin, features, encoder, NULL};
    v->status = tsr_grid_encode(g, rgb, 1, height, width, &result);
    tsr_verify_planar(v, "encoder_out", encoder, 1, h, w, before, false);
    tsr_verify_planar(v, "features", features, 1, h, w, d, false);
    tsr_verify_ids(v, ids, margin, 2, (int64_t[]){h, w});
    if (v->status) return;
    /* The plain way gives the ids of the traced one. */
    result = (tsr_grid_result){.ids = again};
    v->status = tsr_grid_encode(g, rgb, 1, height, width, &result);
    if (memcmp(ids, again, (size_t)n * sizeof *ids) != 0)
        tsr_verify_line(v, "ids", false, "another way of running gives other ids");
}

/* The stored ids [rows, columns] to a picture. */
static void verify_decode(tsr_verify *v, tsr_grid *g) {
    const cJSON *entry = tsr_verify_output(v, "ids");
    if (!entry || !tsr_verify_output(v, "hard_image")) return;
    const tsr_tensor ids = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    if (ids.rank != 2)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: ids: wanted [rows, columns]", v->folder,
                        tsr_verify_name(v));
    const int64_t height = ids.dim[0] * g->step, width = ids.dim[1] * g->step;
    float *rgb = tsr_verify_take(v, height * width * 3, sizeof *rgb, "picture");
    if (v->status) return;
    v->status = tsr_grid_decode(g, ids.data, 1, ids.dim[0], ids.dim[1], rgb);
    tsr_verify_planar(v, "hard_image", rgb, 1, height, width, 3, false);
}

/* Logits [side * side, codes] to mixed codes and a picture. */
static void verify_soft(tsr_verify *v, tsr_grid *g, const char *input) {
    const int64_t k = g->codes.codes->tensor.dim[0], d = g->codes.codes->tensor.dim[1];
    const tsr_tensor logits = tsr_synthetic_input(v, input);
    int64_t side = 1;
    while (side * side < logits.dim[0])
        ++side;
    if (logits.rank != 2 || logits.dim[1] != k || side * side != logits.dim[0])
        tsr_verify_fail(v, TSR_ERROR_FORMAT,
                        "%s: %s: wanted logits of a square grid of %lld codes, got another shape",
                        v->folder, input, (long long)k);
    const int64_t pixels = side * g->step;
    float *rgb = tsr_verify_take(v, pixels * pixels * 3, sizeof *rgb, "picture");
    float *mixed = tsr_verify_take(v, side * side * d, sizeof *mixed, "codes");
    if (v->status) return;
    v->status = tsr_grid_decode_soft(g, logits.data, side, side, rgb, mixed);
    tsr_verify_planar(v, "soft_code", mixed, 1, side, side, d, false);
    tsr_verify_planar(v, "soft_image", rgb, 1, pixels, pixels, 3, false);
}

void tsr_verify_grid(tsr_verify *v) {
    const char *input = tsr_verify_text(v, v->run, "input");
    grid_model *m = tsr_verify_model(v, sizeof *m, open_grid, close_grid);
    int width = 0, height = 0;
    if (v->status) return;
    if (tsr_verify_output(v, "soft_image")) {
        verify_soft(v, m->grid, input);
        return;
    }
    uint8_t *rgb = tsr_verify_picture(v, input, &width, &height);
    verify_encode(v, m->grid, rgb, height, width);
    verify_decode(v, m->grid);
    free(rgb);
}
