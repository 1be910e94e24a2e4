/* SPDX-License-Identifier: MIT */
/* verify_inception.c: golden cases of FID's Inception: the network, and rFID from files to the
 * number. */
#include "verify_picture.h"

#include <tessera/statistics.h>
#include "../metrics/judges/inception.h"

#include <stdlib.h>
#include <string.h>

enum { VALUES = TSR_INCEPTION_SIDE * TSR_INCEPTION_SIDE * 3, POOL3 = 2048 };

typedef struct inception_model {
    tsr_synthetic *synthetic;
    tsr_inception *inception;
} inception_model;

static void close_inception(void *model) {
    inception_model *m = model;
    tsr_inception_close(&m->inception);
    tsr_synthetic_close(&m->synthetic);
}

static void open_inception(tsr_verify *v, void *model) {
    inception_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_inception_open(v->device, weights, v->folder, &m->inception);
}

static tsr_inception_view find_view(tsr_verify *v) {
    const char *name = tsr_verify_text(v, v->run, "preprocess");
    for (int i = 0; i < TSR_INCEPTION_VIEWS; ++i)
        if (!strcmp(tsr_inception_view_names[i], name)) return (tsr_inception_view)i;
    tsr_verify_refuse(v, "preprocess: wanted tf1, torch or clean, got %s", name);
    return TSR_INCEPTION_TF1;
}

/* Input of the network from the picture called `name`. */
static void prepare(tsr_verify *v, const char *name, tsr_inception_view view, float *x) {
    tsr_picture p = {0};
    uint8_t *rgb = tsr_verify_picture(v, name, &p.width, &p.height);
    p.rgb = rgb;
    if (!v->status) v->status = tsr_inception_prepare(v->ctx, &p, view, x);
    free(rgb);
}

void tsr_verify_inception(tsr_verify *v) {
    const inception_model *m = tsr_verify_model(v, sizeof *m, open_inception, close_inception);
    const tsr_inception_view view = find_view(v);
    tsr_inception_output all[TSR_INCEPTION_OUTPUTS];
    float *values[TSR_INCEPTION_OUTPUTS], *x = tsr_verify_take(v, VALUES, sizeof *x, "picture");
    for (int i = 0; i < TSR_INCEPTION_OUTPUTS; ++i) {
        all[i] = (tsr_inception_output)i;
        values[i] = tsr_verify_take(v, tsr_inception_channels(all[i]), sizeof(float), "outputs");
    }
    const char *name = tsr_verify_text(v, v->run, "input");
    if (!v->status) prepare(v, name, view, x);
    if (!v->status)
        v->status = tsr_inception_run(m->inception, x, 1, all, TSR_INCEPTION_OUTPUTS, values);
    if (v->status) return;
    tsr_verify_planar(v, "resized", x, 1, TSR_INCEPTION_SIDE, TSR_INCEPTION_SIDE, 3, false);
    for (int i = 0; i < TSR_INCEPTION_OUTPUTS; ++i)
        tsr_verify_f32(v, tsr_inception_output_names[i], values[i], 1,
                       (int64_t[]){tsr_inception_channels(all[i])});
}

/* Features of the pictures that a list of the run names. */
static float *features(tsr_verify *v, const tsr_inception *m, const char *field,
                       tsr_inception_view view, int *count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, field), *item;
    const int n = *count = cJSON_GetArraySize(list);
    if (n < 2 || n > 64) tsr_verify_refuse(v, "%s: wanted 2 to 64 pictures, got %d", field, n);
    float *x = tsr_verify_take(v, (int64_t)VALUES * (n < 1 ? 1 : n), sizeof *x, "pictures");
    float *y = tsr_verify_take(v, (int64_t)POOL3 * (n < 1 ? 1 : n), sizeof *y, "features");
    int at = 0;
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        if (v->status) return NULL;
        prepare(v, name ? name : "", view, x + (size_t)VALUES * (size_t)at++);
    }
    const tsr_inception_output pool3 = TSR_INCEPTION_2048;
    if (!v->status) v->status = tsr_inception_run(m, x, n, &pool3, 1, &y);
    return y;
}

void tsr_verify_rfid(tsr_verify *v) {
    const inception_model *m = tsr_verify_model(v, sizeof *m, open_inception, close_inception);
    const tsr_inception_view view = find_view(v);
    tsr_frechet frechet;
    int n[2] = {0};
    if (v->status) return;
    const float *a = features(v, m->inception, "originals", view, &n[0]);
    const float *b = v->status ? NULL : features(v, m->inception, "reconstructions", view, &n[1]);
    if (!v->status) v->status = tsr_frechet_distance(v->ctx, a, n[0], b, n[1], POOL3, &frechet);
    if (!v->status) tsr_verify_f64(v, "distance", &frechet.distance, 1, (int64_t[]){1});
}
