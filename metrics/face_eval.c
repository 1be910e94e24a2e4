/* SPDX-License-Identifier: MIT */
/* face_eval.c: marked faces, aligned, embedded and compared with those of the original. */
#include <tessera/text_faces.h>

#include "face_align.h"
#include "../compute/arena.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- embedders ---- */

struct tsr_embedder {
    tsr_context *ctx;
    tsr_judge *judge;
    const tsr_face_template *to;
    char protocol[512];
};

static tsr_status open_judge(tsr_embedder *e, const char *family, const char *path,
                             const tsr_model_settings *settings) {
    tsr_model_settings s = settings ? *settings : tsr_model_settings_default();
    s.model = path;
    tsr_status status = tsr_judge_open(e->ctx, &e->judge, &s);
    if (status) return status;
    const tsr_judge_info *info = tsr_judge_properties(e->judge);
    if (strcmp(info->family, family))
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT, "%s: wanted weights of %s, got those of %s",
                        path, family, info->family);
    snprintf(e->protocol, sizeof e->protocol,
             "%s; five marked points to the template by least squares, OpenCV 4's bilinear warp, "
             "the same points for both pictures",
             info->protocol);
    return TSR_OK;
}

tsr_status tsr_embedder_open(tsr_context *ctx, const char *text, const tsr_model_settings *settings,
                             tsr_embedder **embedder) {
    static const struct {
        const char *name;
        const tsr_face_template *to;
    } kinds[] = {{"arcface", &tsr_face_arcface}, {"mobilefacenet", &tsr_face_sphereface}};
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!text || !embedder)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "embedder: wanted a text, got NULL");
    *embedder = NULL;
    tsr_embedder *e = tsr_alloc(ctx, 1, sizeof *e, "embedder");
    if (!e) return TSR_ERROR_MEMORY;
    e->ctx = ctx;
    tsr_status status = TSR_ERROR_ARGUMENT;
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds && !e->to; ++i) {
        const size_t n = strlen(kinds[i].name);
        if (strncmp(text, kinds[i].name, n) || text[n] != ':' || !text[n + 1]) continue;
        e->to = kinds[i].to;
        status = open_judge(e, kinds[i].name, text + n + 1, settings);
    }
    if (!e->to)
        status =
            tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                     "embedder: wanted arcface:WEIGHTS or mobilefacenet:WEIGHTS, got \"%s\"", text);
    if (status)
        tsr_embedder_close(&e);
    else
        *embedder = e;
    return status;
}

void tsr_embedder_close(tsr_embedder **embedder) {
    if (!embedder || !*embedder) return;
    tsr_judge_close(&(*embedder)->judge);
    free(*embedder);
    *embedder = NULL;
}

const char *tsr_embedder_name(const tsr_embedder *e) {
    return tsr_judge_properties(e->judge)->name;
}

const char *tsr_embedder_protocol(const tsr_embedder *e) {
    return e->protocol;
}

const char *tsr_embedder_licence(const tsr_embedder *e) {
    return tsr_judge_properties(e->judge)->licence;
}

uint32_t tsr_embedder_channels(const tsr_embedder *e) {
    return tsr_judge_properties(e->judge)->outputs[0].channels;
}

tsr_status tsr_embedder_embed(tsr_embedder *e, const tsr_picture *picture,
                              const tsr_face_mark *faces, int count, float *embeddings) {
    if (!e) return TSR_ERROR_ARGUMENT;
    if (!picture || !picture->rgb || !faces || count < 1 || !embeddings)
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT,
                        "embedder: wanted a picture with faces and a place, got none");
    const size_t bytes = (size_t)e->to->width * (size_t)e->to->height * 3;
    tsr_scratch s = {.ctx = e->ctx};
    uint8_t *rgb = tsr_scratch_take(&s, (size_t)count, bytes, "faces");
    tsr_picture *crops = tsr_scratch_take(&s, (size_t)count, sizeof *crops, "faces");
    tsr_status status = s.status;
    for (int i = 0; i < count && !status; ++i) {
        double matrix[2][3];
        tsr_face_similarity(e->to, faces[i].points, matrix);
        tsr_face_warp(picture->rgb, picture->width, picture->height, (const double(*)[3])matrix,
                      rgb + (size_t)i * bytes, e->to->width, e->to->height);
        crops[i] = (tsr_picture){
            .rgb = rgb + (size_t)i * bytes, .width = e->to->width, .height = e->to->height};
    }
    if (!status) status = tsr_judge_embed(e->judge, crops, count, NULL, &embeddings);
    tsr_scratch_free(&s);
    return status;
}

double tsr_embedding_cosine(const float *a, const float *b, uint32_t channels) {
    double dot = 0, aa = 0, bb = 0;
    for (uint32_t i = 0; i < channels; ++i) {
        dot += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return aa > 0 && bb > 0 ? dot / sqrt(aa * bb) : 0;
}

/* ---- evaluation ---- */

struct tsr_face_eval {
    tsr_context *ctx;
    const tsr_annotations *annotations;
    tsr_embedder *embedder;
    tsr_face_eval_settings settings;
    uint8_t *seen;
    double sum;
    tsr_face_result result;
};

tsr_status tsr_face_eval_open(tsr_context *ctx, const tsr_annotations *annotations,
                              tsr_embedder *embedder, const tsr_face_eval_settings *settings,
                              tsr_face_eval **eval) {
    static const tsr_size_bins usual = {5, {0, 24, 48, 96, 192, 1e9}};
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!annotations || !embedder || !eval ||
        tsr_annotations_kind(annotations) != TSR_ANNOTATION_FACES)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "faces: wanted annotations of faces and an embedder, got others");
    *eval = NULL;
    const tsr_size_bins *b = settings && settings->bins.count ? &settings->bins : &usual;
    bool good = b->count >= 1 && b->count <= TSR_SIZE_BINS_MOST;
    for (int i = 0; good && i < b->count; ++i)
        good = b->edges[i] < b->edges[i + 1];
    if (!good)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "faces: bins: wanted 1 to %d with rising edges",
                        TSR_SIZE_BINS_MOST);
    tsr_face_eval *e = tsr_alloc(ctx, 1, sizeof *e, "faces");
    if (!e) return TSR_ERROR_MEMORY;
    e->ctx = ctx;
    e->annotations = annotations;
    e->embedder = embedder;
    if (settings) e->settings = *settings;
    e->settings.bins = e->result.bins = *b;
    e->seen = tsr_alloc(ctx, tsr_annotations_count(annotations) + 1, 1, "faces");
    if (!e->seen) {
        tsr_face_eval_close(&e);
        return TSR_ERROR_MEMORY;
    }
    *eval = e;
    return TSR_OK;
}

void tsr_face_eval_close(tsr_face_eval **eval) {
    if (!eval || !*eval) return;
    free((*eval)->seen);
    free(*eval);
    *eval = NULL;
}

/* Side of the aligned crop, in pixels of the picture. */
static double side_of(const tsr_embedder *e, const tsr_face_mark *face) {
    double m[2][3];
    tsr_face_similarity(e->to, face->points, m);
    const double scale = sqrt(m[0][0] * m[0][0] + m[1][0] * m[1][0]);
    return scale > 0 ? e->to->height / scale : NAN;
}

static void take_score(tsr_face_eval *e, const tsr_picture *p, const char *name, uint64_t face,
                       const tsr_face_mark *mark, double similarity) {
    const double side = side_of(e->embedder, mark);
    const double longer = p->width > p->height ? p->width : p->height;
    const double size = !e->settings.by_ratio ? side : mark->size > 0 ? mark->size : side / longer;
    const int bin = tsr_size_bins_find(&e->settings.bins, size);
    tsr_bin_means_add(&e->result.similarities, bin, similarity);
    e->result.faces++;
    e->sum += similarity;
    const tsr_face_row row = {name, face, size, similarity, bin};
    if (e->settings.row) e->settings.row(e->settings.row_user, &row);
}

tsr_status tsr_face_eval_pair(tsr_face_eval *e, const char *name, const tsr_picture *original,
                              const tsr_picture *candidate) {
    enum { AT_ONCE = 64 };
    if (!e) return TSR_ERROR_ARGUMENT;
    if (!name || !original || !candidate)
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT, "faces: wanted two pictures, got none");
    const int64_t index = tsr_annotations_find(e->annotations, name);
    if (index < 0) return TSR_OK;
    const tsr_marked_picture *p = tsr_annotations_picture(e->annotations, (uint64_t)index);
    if (original->width != candidate->width || original->height != candidate->height ||
        (p->width && (p->width != original->width || p->height != original->height)))
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT,
                        "%s: size: wanted that in which its faces are marked, got %dx%d and %dx%d",
                        name, original->width, original->height, candidate->width,
                        candidate->height);
    e->result.pictures += !e->seen[index];
    e->seen[index] = 1;
    const uint32_t channels = tsr_embedder_channels(e->embedder);
    float *both = tsr_alloc(e->ctx, (size_t)2 * AT_ONCE * channels, sizeof *both, "faces");
    tsr_status status = both ? TSR_OK : TSR_ERROR_MEMORY;
    float *of_candidate = both ? both + (size_t)AT_ONCE * channels : NULL;
    for (uint64_t done = 0; done < p->count && !status; done += AT_ONCE) {
        tsr_face_mark marks[AT_ONCE];
        const int n = p->count - done < AT_ONCE ? (int)(p->count - done) : AT_ONCE;
        for (int i = 0; i < n; ++i)
            marks[i] = *tsr_annotations_face(e->annotations, p->first + done + (uint64_t)i);
        status = tsr_embedder_embed(e->embedder, original, marks, n, both);
        if (!status) status = tsr_embedder_embed(e->embedder, candidate, marks, n, of_candidate);
        for (int i = 0; i < n && !status; ++i)
            take_score(e, original, p->name, done + (uint64_t)i, &marks[i],
                       tsr_embedding_cosine(both + (size_t)i * channels,
                                            of_candidate + (size_t)i * channels, channels));
    }
    free(both);
    return status;
}

void tsr_face_eval_finish(tsr_face_eval *e, tsr_face_result *result) {
    e->result.similarity = e->result.faces ? e->sum / (double)e->result.faces : NAN;
    e->result.missing_pictures = tsr_annotations_count(e->annotations) - e->result.pictures;
    *result = e->result;
}
