/* SPDX-License-Identifier: MIT */
/* verify_lpips.c: golden cases of LPIPS: distances, what each tap contributes, taps, the map. */
#include "verify_picture.h"

#include "../metrics/judges/lpips.h"
#include "../nn/grid_resize.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct lpips_model {
    tsr_synthetic *synthetic;
    tsr_lpips *lpips;
} lpips_model;

static void close_lpips(void *model) {
    lpips_model *m = model;
    tsr_lpips_close(&m->lpips);
    tsr_synthetic_close(&m->synthetic);
}

static void open_lpips(tsr_verify *v, void *model) {
    static const tsr_backbone_kind *const kinds[] = {&tsr_backbone_alex, &tsr_backbone_vgg,
                                                     &tsr_backbone_squeeze};
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    const char *net = tsr_verify_text(v, config, "net");
    const tsr_backbone_kind *kind = NULL;
    lpips_model *m = model;
    tsr_weights *weights = NULL;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; ++i)
        if (!strcmp(kinds[i]->name, net)) kind = kinds[i];
    if (!kind) tsr_verify_refuse(v, "net: wanted alex, vgg or squeeze, got %s", net);
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_lpips_open(v->device, kind, weights, v->folder, &m->lpips);
}

/* The spatial form: every tap's map enlarged to the picture, then added. */
static void compare_map(tsr_verify *v, const tsr_backbone_kind *kind, const tsr_picture *a,
                        const tsr_map_size *size, const tsr_lpips_parts *parts) {
    const int64_t n = (int64_t)a->width * a->height;
    const tsr_grid_size to = {a->height, a->width};
    if (!tsr_verify_output(v, "map")) return;
    float *map = tsr_verify_take(v, n, sizeof *map, "map");
    float *one = tsr_verify_take(v, n, sizeof *one, "map");
    for (int i = 0; i < kind->taps && !v->status; ++i) {
        const tsr_grid_size from = {size[i].rows, size[i].columns};
        v->status = tsr_grid_resize(v->ctx, parts->maps[i], from, 1, TSR_GRID_BILINEAR, one, to);
        for (int64_t k = 0; k < n; ++k)
            map[k] += one[k];
    }
    tsr_verify_f32(v, "map", map, 2, (int64_t[]){a->height, a->width});
}

static void compare(tsr_verify *v, const tsr_lpips *m, const tsr_picture *pair) {
    const tsr_backbone_kind *kind = m->backbone.kind;
    const cJSON *names = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(v->manifest, "config"), "layers");
    tsr_map_size size[TSR_BACKBONE_TAPS];
    double layers[TSR_BACKBONE_TAPS], sum = 0;
    float values[TSR_BACKBONE_TAPS], distance;
    tsr_lpips_parts parts = {.layers = layers};
    if (cJSON_GetArraySize(names) != kind->taps) tsr_verify_refuse(v, "layers: wanted all taps");
    tsr_backbone_sizes(kind, TSR_POOL2D_MAX, (uint32_t)pair->width, (uint32_t)pair->height, size);
    for (int i = 0; i < kind->taps; ++i) {
        const int64_t n = size[i].rows * size[i].columns, c = tsr_backbone_channels(kind, i);
        parts.maps[i] = tsr_verify_take(v, n, sizeof(float), "maps");
        parts.features[i] = tsr_verify_take(v, 2 * n * c, sizeof(float), "features");
    }
    if (!v->status) v->status = tsr_lpips_compare(m, &pair[0], &pair[1], 1, &parts);
    for (int i = 0; i < kind->taps && !v->status; ++i) {
        const char *tap = cJSON_GetStringValue(cJSON_GetArrayItem(names, i));
        char name[64];
        snprintf(name, sizeof name, "feat.%s", tap ? tap : "");
        tsr_verify_planar(v, name, parts.features[i], 1, size[i].rows, size[i].columns,
                          tsr_backbone_channels(kind, i), false);
        values[i] = (float)layers[i];
        sum += layers[i];
    }
    distance = (float)sum;
    tsr_verify_f32(v, "layers", values, 1, (int64_t[]){kind->taps});
    tsr_verify_f32(v, "distance", &distance, 1, (int64_t[]){1});
    compare_map(v, kind, pair, size, &parts);
}

void tsr_verify_lpips(tsr_verify *v) {
    const lpips_model *m = tsr_verify_model(v, sizeof *m, open_lpips, close_lpips);
    tsr_picture pair[2];
    uint8_t *rgb[2];
    tsr_verify_pair(v, "inputs", pair, rgb);
    if (!v->status) compare(v, m->lpips, pair);
    free(rgb[0]);
    free(rgb[1]);
}
