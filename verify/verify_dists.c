/* SPDX-License-Identifier: MIT */
/* verify_dists.c: golden cases of DISTS. */
#include "verify_picture.h"

#include "../metrics/judges/dists.h"

#include <stdlib.h>

typedef struct dists_model {
    tsr_synthetic *synthetic;
    tsr_dists *dists;
} dists_model;

static void close_dists(void *model) {
    dists_model *m = model;
    tsr_dists_close(&m->dists);
    tsr_synthetic_close(&m->synthetic);
}

static void open_dists(tsr_verify *v, void *model) {
    dists_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_dists_open(v->device, weights, v->folder, &m->dists);
}

static void compare(tsr_verify *v, const tsr_dists *m, const tsr_picture *pair) {
    static const char *const taps[] = {"feat.relu1_2", "feat.relu2_2", "feat.relu3_3",
                                       "feat.relu4_3", "feat.relu5_3"};
    const tsr_backbone_kind *kind = m->backbone.kind;
    tsr_map_size size[TSR_BACKBONE_TAPS];
    float *features[TSR_BACKBONE_TAPS], value;
    double distance;
    tsr_backbone_sizes(kind, TSR_POOL2D_BINOMIAL, (uint32_t)pair->width, (uint32_t)pair->height,
                       size);
    for (int i = 0; i < kind->taps; ++i)
        features[i] =
            tsr_verify_take(v, 2 * size[i].rows * size[i].columns * tsr_backbone_channels(kind, i),
                            sizeof(float), "features");
    if (!v->status) v->status = tsr_dists_compare(m, &pair[0], &pair[1], 1, &distance, features);
    for (int i = 0; i < kind->taps && !v->status; ++i)
        tsr_verify_planar(v, taps[i], features[i], 1, size[i].rows, size[i].columns,
                          tsr_backbone_channels(kind, i), false);
    if (!v->status) v->status = tsr_dists_compare(m, &pair[0], &pair[1], 1, &distance, NULL);
    if (v->status) return;
    value = (float)distance;
    tsr_verify_f32(v, "distance", &value, 1, (int64_t[]){1});
}

void tsr_verify_dists(tsr_verify *v) {
    const dists_model *m = tsr_verify_model(v, sizeof *m, open_dists, close_dists);
    tsr_picture pair[2];
    uint8_t *rgb[2];
    tsr_verify_pair(v, "inputs", pair, rgb);
    if (!v->status) compare(v, m->dists, pair);
    free(rgb[0]);
    free(rgb[1]);
}
