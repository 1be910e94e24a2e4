/* SPDX-License-Identifier: MIT */
/* verify_faces.c: golden cases of networks that embed faces. */
#include "verify_picture.h"

#include "../metrics/judges/face_network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct face_model {
    tsr_synthetic *synthetic;
    tsr_safetensors *file;
    tsr_face_network *network;
    bool absent; /* the case's weights are a file that is not there */
} face_model;

static void close_faces(void *model) {
    face_model *m = model;
    tsr_face_close(&m->network);
    tsr_synthetic_close(&m->synthetic);
    tsr_safetensors_close(&m->file);
}

/* Weights in a file of the folder above the golden cases. */
static void open_file(tsr_verify *v, face_model *m, const cJSON *entry, tsr_weights **weights) {
    char path[4096];
    struct stat info;
    const char *name = tsr_verify_text(v, entry, "path");
    snprintf(path, sizeof path, "%s/../../../%s", v->folder, name);
    m->absent = stat(path, &info) != 0;
    if (m->absent || v->status) return;
    v->status = tsr_safetensors_open(v->ctx, path, &m->file);
    if (!v->status) v->status = tsr_file_weights(v->ctx, m->file, weights);
}

static void open_faces(tsr_verify *v, void *model) {
    face_model *m = model;
    tsr_weights *weights = NULL;
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    const cJSON *file = cJSON_GetObjectItemCaseSensitive(v->manifest, "weights_file");
    const char *kind = tsr_verify_text(v, config, "kind");
    if (file)
        open_file(v, m, file, &weights);
    else
        tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (v->status || m->absent) return;
    v->status = tsr_face_open(v->device,
                              strcmp(kind, "iresnet") ? &tsr_face_mobilefacenet : &tsr_face_iresnet,
                              weights, v->folder, &m->network);
}

static const tsr_face_network *network_of(tsr_verify *v, const char *output) {
    const face_model *m = tsr_verify_model(v, sizeof *m, open_faces, close_faces);
    if (m && m->absent) tsr_verify_leave_out(v, output, "the trained weights are not there");
    return m ? m->network : NULL;
}

/* A crop of the manifest, as the network takes it. NULL after a failure. */
static uint8_t *read_crop(tsr_verify *v, const tsr_face_network *n, const char *name) {
    int width = 0, height = 0;
    uint8_t *rgb = tsr_verify_picture(v, name, &width, &height);
    if (rgb && (width != n->kind->width || height != n->kind->height))
        tsr_verify_refuse(v, "input: wanted %dx%d, got %dx%d", n->kind->width, n->kind->height,
                          width, height);
    return rgb;
}

static void compare_part(tsr_verify *v, const char *name, const tsr_face_part *p) {
    if (!p->values) return;
    if (p->dim[0] * p->dim[1] == 1 && !strcmp(name, "fc"))
        tsr_verify_f32(v, name, p->values, 1, p->dim + 2);
    else
        tsr_verify_planar(v, name, p->values, 1, p->dim[0], p->dim[1], p->dim[2], false);
}

/* All arrays that the run stores. */
static void compare_parts(tsr_verify *v, const tsr_face_network *n, const uint8_t *rgb) {
    const tsr_face_kind *kind = n->kind;
    tsr_face_part parts[TSR_FACE_PARTS] = {{0}};
    float *embedding = tsr_verify_take(v, n->channels, sizeof *embedding, "embedding");
    if (v->status) return;
    for (int i = 0; i + 1 < kind->parts; ++i) /* no part is larger than 128 channels of the crop */
        if (tsr_verify_output(v, kind->part[i]))
            parts[i].values = tsr_verify_take(v, (int64_t)kind->width * kind->height * 128,
                                              sizeof(float), kind->part[i]);
    if (!v->status) v->status = tsr_face_embed(n, &rgb, 1, parts, embedding);
    for (int i = 0; i + 1 < kind->parts && !v->status; ++i)
        compare_part(v, kind->part[i], &parts[i]);
    tsr_verify_f32(v, "embedding", embedding, 1, &n->channels);
}

/* The embedding of the mirrored crop. */
static void compare_mirrored(tsr_verify *v, const tsr_face_network *n, const uint8_t *rgb) {
    const int w = n->kind->width, h = n->kind->height;
    if (!tsr_verify_output(v, "embedding_flip")) return;
    float *embedding = tsr_verify_take(v, n->channels, sizeof *embedding, "embedding");
    uint8_t *mirrored = tsr_verify_take(v, (int64_t)w * h, 3, "crop");
    if (v->status) return;
    for (int y = 0; y < h; ++y)
        for (int x = 0; x < w; ++x)
            memcpy(mirrored + (y * w + x) * 3, rgb + (y * w + w - 1 - x) * 3, 3);
    v->status = tsr_face_embed(n, (const uint8_t *const *)&mirrored, 1, NULL, embedding);
    tsr_verify_f32(v, "embedding_flip", embedding, 1, &n->channels);
}

void tsr_verify_faces(tsr_verify *v) {
    const tsr_face_network *n = network_of(v, "embedding");
    uint8_t *rgb = n ? read_crop(v, n, tsr_verify_text(v, v->run, "input")) : NULL;
    if (rgb && !v->status) compare_parts(v, n, rgb);
    if (rgb && !v->status) compare_mirrored(v, n, rgb);
    free(rgb);
}

void tsr_verify_cosine(tsr_verify *v) {
    const tsr_face_network *n = network_of(v, "cosine");
    const cJSON *pairs = cJSON_GetObjectItemCaseSensitive(v->run, "pairs"), *pair;
    const int64_t count = cJSON_GetArraySize(pairs);
    float *cosine = tsr_verify_take(v, count, sizeof *cosine, "cosine");
    int64_t at = 0;
    if (!n) return;
    float *e = tsr_verify_take(v, 2 * n->channels, sizeof *e, "embeddings");
    cJSON_ArrayForEach(pair, pairs) {
        double dot = 0, a = 0, b = 0;
        for (int i = 0; i < 2 && !v->status; ++i) {
            const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(pair, i));
            uint8_t *rgb = read_crop(v, n, name ? name : "");
            if (!v->status)
                v->status =
                    tsr_face_embed(n, (const uint8_t *const *)&rgb, 1, NULL, e + i * n->channels);
            free(rgb);
        }
        for (int64_t i = 0; i < n->channels && !v->status; ++i) {
            dot += (double)e[i] * (double)e[n->channels + i];
            a += (double)e[i] * (double)e[i];
            b += (double)e[n->channels + i] * (double)e[n->channels + i];
        }
        if (!v->status) cosine[at++] = (float)(dot / sqrt(a * b));
    }
    tsr_verify_f32(v, "cosine", cosine, 1, &count);
}
