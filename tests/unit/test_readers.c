/* SPDX-License-Identifier: MIT */
/* test_readers.c: PARSeq and IResNet with small made-up weights: every batch size gives the same
 * bits; what PARSeq makes of a crop and of its logits; readers and embedders that are refused; the
 * trained MobileFaceNet on people, where it is there. */
#include <tessera/text_faces.h>

#include "metrics/judges/face_network.h"
#include "metrics/judges/parseq.h"
#include "nn/french_letters.h"
#include "open_device.h"
#include "testing.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- made-up weights ---- */

typedef struct made {
    tsr_context *ctx;
    tsr_weights *weights;
    float *memory[512];
    int count;
} made;

/* A tensor [dims..., ended by 0] of numbers around `offset`. */
static void add(made *m, const char *name, float scale, double offset, ...) {
    int64_t dim[TSR_MAX_RANK], n = 1;
    int rank = 0, next;
    va_list args;
    va_start(args, offset);
    while ((next = va_arg(args, int)) != 0)
        n *= dim[rank++] = next;
    va_end(args);
    float *data = m->memory[m->count++] = malloc((size_t)n * sizeof *data);
    ck_assert_ptr_nonnull(data);
    random_normals(data, n);
    for (int64_t i = 0; i < n; ++i)
        data[i] = data[i] * scale + (float)offset;
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    ck_assert_int_eq(tsr_weights_add(m->ctx, m->weights, name, &t), TSR_OK);
}

static void free_made(made *m) {
    for (int i = 0; i < m->count; ++i)
        free(m->memory[i]);
    m->count = 0;
}

static void add_pair(made *m, const char *name, int out, int in) {
    char whole[160];
    snprintf(whole, sizeof whole, "%s.weight", name);
    if (in)
        add(m, whole, .3f, 0, out, in, 0);
    else
        add(m, whole, .1f, 1, out, 0);
    snprintf(whole, sizeof whole, "%s.bias", name);
    add(m, whole, .1f, 0, out, 0);
}

enum { D = 24 };
static void make_parseq(made *m) {
    static const char *const norms[] = {"feat_extractor.1.layer_norm_input",
                                        "feat_extractor.1.layer_norm_attention",
                                        "feat_extractor.1.layer_norm_output",
                                        "decoder.query_norm",
                                        "decoder.content_norm",
                                        "decoder.feed_forward_norm",
                                        "decoder.output_norm",
                                        "decoder.attention_norm"};
    static const char *const attentions[] = {"feat_extractor.1.attention.0", "decoder.attention",
                                             "decoder.cross_attention"};
    static const char *const layers[] = {"linear_layers.0", "linear_layers.1", "linear_layers.2",
                                         "output_linear"};
    static const char *const ffn[] = {"feat_extractor.1.position_feed_forward.0",
                                      "decoder.position_feed_forward"};
    char name[128];
    add(m, "pos_queries", 1, 0, 1, TSR_PARSEQ_POSITIONS, D, 0);
    add(m, "feat_extractor.0.cls_token", 1, 0, 1, 1, D, 0);
    add(m, "feat_extractor.0.positions", 1, 0, 1, TSR_PARSEQ_PATCHES + 1, D, 0);
    add(m, "feat_extractor.0.projection.weight", .2f, 0, D, 3, 4, 8, 0);
    add(m, "feat_extractor.0.projection.bias", .2f, 0, D, 0);
    for (int i = 0; i < 8; ++i)
        add_pair(m, norms[i], D, 0);
    for (int i = 0; i < 12; ++i) {
        snprintf(name, sizeof name, "%s.%s", attentions[i / 4], layers[i % 4]);
        add_pair(m, name, D, D);
    }
    for (int i = 0; i < 4; ++i) {
        snprintf(name, sizeof name, "%s.%d", ffn[i / 2], i % 2 ? 3 : 0);
        add_pair(m, name, i % 2 ? D : 40, i % 2 ? 40 : D);
    }
    add_pair(m, "head", TSR_PARSEQ_CLASSES, D);
    add(m, "embed.embedding.weight", .3f, 0, TSR_PARSEQ_CLASSES + 2, D, 0);
}

static void add_norm(made *m, const char *name, int channels) {
    static const char *const part[] = {"weight", "bias", "running_mean", "running_var"};
    char whole[160];
    for (int i = 0; i < 4; ++i) {
        snprintf(whole, sizeof whole, "%s.%s", name, part[i]);
        add(m, whole, .1f, i == 0 || i == 3 ? 1 : 0, channels, 0);
    }
}

enum { C = 4, E = 8 };
static void make_iresnet(made *m) {
    char name[64];
    add(m, "conv1.weight", .3f, 0, C, 3, 3, 3, 0);
    add_norm(m, "bn1", C);
    add(m, "prelu.weight", .1f, .2f, C, 0);
    for (int i = 1; i <= 4; ++i) {
#define OF(text) (snprintf(name, sizeof name, "layer%d.0.%s", i, text), name)
        add_norm(m, OF("bn1"), C);
        add(m, OF("conv1.weight"), .2f, 0, C, C, 3, 3, 0);
        add_norm(m, OF("bn2"), C);
        add(m, OF("prelu.weight"), .1f, .2f, C, 0);
        add(m, OF("conv2.weight"), .2f, 0, C, C, 3, 3, 0);
        add_norm(m, OF("bn3"), C);
        add(m, OF("downsample.0.weight"), .3f, 0, C, C, 1, 1, 0);
        add_norm(m, OF("downsample.1"), C);
    }
    add_norm(m, "bn2", C);
    add_pair(m, "fc", E, C * 49);
    add_norm(m, "features", E);
}

/* ---- batches ---- */

enum { WORDS = 3, PIXELS = 3 * TSR_PARSEQ_HEIGHT * TSR_PARSEQ_WIDTH };

static void read_in_batches(const char *device) {
    enum { L = 6, ROW = L * TSR_PARSEQ_CLASSES, FEATURES = TSR_PARSEQ_PATCHES * D };
    own_device d = open_own_device(device, 2);
    made m = {.ctx = d.ctx};
    tsr_parseq *reader = NULL;
    float *prepared = malloc(WORDS * PIXELS * sizeof *prepared);
    float *logits = malloc(2 * WORDS * ROW * sizeof *logits);
    float *first = malloc(WORDS * ROW * sizeof *first);
    float *features = malloc(WORDS * FEATURES * sizeof *features);
    int32_t choices[WORDS * L];
    ck_assert(prepared && logits && first && features);
    random_normals(prepared, WORDS * PIXELS);
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m.weights), TSR_OK);
    make_parseq(&m);
    ck_assert_int_eq(tsr_parseq_open(d.device, m.weights, "made up", &reader), TSR_OK);
    const tsr_parseq_parts all = {features, first, choices, logits};
    ck_assert_int_eq(tsr_parseq_run(reader, prepared, WORDS, L - 1, &all), TSR_OK);
    for (int i = 0; i < WORDS; ++i) {
        const tsr_parseq_parts one = {.logits = logits + (WORDS + i) * ROW};
        ck_assert_int_eq(tsr_parseq_run(reader, prepared + i * PIXELS, 1, L - 1, &one), TSR_OK);
    }
    ck_assert_mem_eq(logits, logits + WORDS * ROW, WORDS * ROW * sizeof *logits);
    for (int i = 0; i < WORDS * L; ++i) { /* choices are the largest of the greedy pass */
        const float *row = first + i * TSR_PARSEQ_CLASSES;
        for (int k = 0; k < TSR_PARSEQ_CLASSES; ++k)
            ck_assert(row[k] <= row[choices[i]]);
    }
    /* A shorter limit changes no letter of the greedy pass before it. */
    float shorter[3 * TSR_PARSEQ_CLASSES];
    const tsr_parseq_parts cut = {features, shorter, choices, logits};
    float *keep = malloc(ROW * sizeof *keep);
    ck_assert_ptr_nonnull(keep);
    memcpy(keep, first, ROW * sizeof *keep);
    ck_assert_int_eq(tsr_parseq_run(reader, prepared, 1, 2, &cut), TSR_OK);
    ck_assert_mem_eq(shorter, keep, sizeof shorter);
    tsr_parseq_close(&reader);
    free_made(&m);
    free(keep), free(prepared), free(logits), free(first), free(features);
    close_own_device(&d);
}

static void embed_in_batches(const char *device) {
    own_device d = open_own_device(device, 2);
    made m = {.ctx = d.ctx};
    tsr_face_network *n = NULL;
    enum { FACES = 3, BYTES = 112 * 112 * 3 };
    uint8_t *rgb = malloc(FACES * BYTES);
    ck_assert_ptr_nonnull(rgb);
    for (int i = 0; i < FACES * BYTES; ++i)
        rgb[i] = (uint8_t)random_bits();
    const uint8_t *crops[FACES] = {rgb, rgb + BYTES, rgb + 2 * BYTES};
    float all[FACES * E], one[E];
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m.weights), TSR_OK);
    make_iresnet(&m);
    ck_assert_int_eq(tsr_face_open(d.device, &tsr_face_iresnet, m.weights, "made up", &n), TSR_OK);
    ck_assert_str_eq(n->variant, "r10");
    ck_assert_int_eq(tsr_face_embed(n, crops, FACES, NULL, all), TSR_OK);
    for (int i = 0; i < FACES; ++i) {
        ck_assert_int_eq(tsr_face_embed(n, &crops[i], 1, NULL, one), TSR_OK);
        ck_assert_mem_eq(one, all + i * E, sizeof one);
    }
    ck_assert(memcmp(all, all + E, sizeof one) != 0);
    tsr_face_close(&n);
    free_made(&m);
    free(rgb);
    close_own_device(&d);
}

START_TEST(batches_of_any_size_give_the_same_bits) {
    read_in_batches("cpu");
    embed_in_batches("cpu");
}
END_TEST

START_TEST(other_weights_are_named) {
    own_device d = open_own_device("cpu", 1);
    made m = {.ctx = d.ctx};
    tsr_parseq *reader = NULL;
    tsr_face_network *n = NULL;
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m.weights), TSR_OK);
    make_iresnet(&m);
    ck_assert_int_eq(tsr_parseq_open(d.device, m.weights, "x", &reader), TSR_ERROR_MODEL);
    ck_assert_ptr_nonnull(
        strstr(tsr_detail(d.ctx), "x: tensor feat_extractor.0.projection.weight"));
    free_made(&m);
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m.weights), TSR_OK);
    add(&m, "feat_extractor.0.projection.weight", 1, 0, D, 3, 4, 8, 0);
    add(&m, "head.weight", 1, 0, 195, D, 0); /* a later list of letters */
    ck_assert_int_eq(tsr_parseq_open(d.device, m.weights, "x", &reader), TSR_ERROR_MODEL);
    ck_assert_ptr_nonnull(strstr(tsr_detail(d.ctx), "head.weight: wanted 127 rows"));
    free_made(&m);
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m.weights), TSR_OK);
    add(&m, "conv1.weight", 1, 0, C, 3, 3, 3, 0);
    ck_assert_int_eq(tsr_face_open(d.device, &tsr_face_iresnet, m.weights, "x", &n),
                     TSR_ERROR_MODEL);
    ck_assert_ptr_nonnull(strstr(tsr_detail(d.ctx), "layer1.0.conv1.weight: wanted a kernel"));
    free_made(&m);
    close_own_device(&d);
}
END_TEST

/* ---- crops and letters ---- */

static int columns_of(tsr_context *ctx, int width, int height) {
    float *prepared = malloc(PIXELS * sizeof *prepared);
    uint8_t *rgb = malloc((size_t)(width * height) * 3);
    ck_assert(prepared && rgb);
    memset(rgb, 255, (size_t)(width * height) * 3);
    ck_assert_int_eq(tsr_parseq_prepare(ctx, rgb, width, height, prepared), TSR_OK);
    int columns = 0; /* white is above the mean, the padding below it */
    while (columns < TSR_PARSEQ_WIDTH && prepared[columns] > 0)
        ++columns;
    free(prepared), free(rgb);
    return columns;
}

START_TEST(crops_and_letters) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    ck_assert_int_eq(columns_of(ctx, 128, 32), 128);
    ck_assert_int_eq(columns_of(ctx, 93, 32), 92); /* 32 / (32 / 93.0) is below 93 */
    ck_assert_int_eq(columns_of(ctx, 1, 300), 1);
    ck_assert_int_eq(columns_of(ctx, 900, 3), 128);
    float logits[3 * TSR_PARSEQ_CLASSES] = {0};
    tsr_reading r;
    int euro = 0;
    while (tsr_french_letters[euro] != 0x20AC)
        ++euro;
    logits[10] = 50; /* 'a' */
    logits[TSR_PARSEQ_CLASSES + euro] = 50;
    logits[2 * TSR_PARSEQ_CLASSES + TSR_PARSEQ_LETTERS] = 50;
    tsr_parseq_text(logits, 3, &r);
    ck_assert_str_eq(r.text, "a\xE2\x82\xAC");
    ck_assert(fabs(r.confidence - 1) < 1e-9);
    logits[TSR_PARSEQ_LETTERS] = 60; /* ends at once */
    tsr_parseq_text(logits, 3, &r);
    ck_assert_str_eq(r.text, "");
    ck_assert(r.confidence == 0);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- the public calls ---- */

START_TEST(names_that_mean_nothing) {
    tsr_context *ctx = NULL;
    tsr_reader *reader;
    tsr_embedder *embedder;
    static const char *const readers[] = {"", "parseq", "parseq:", "tesseracts", "tesseract:"};
    static const char *const embedders[] = {"", "arcface", "arcface:", "facenet:x"};
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (unsigned i = 0; i < sizeof readers / sizeof *readers; ++i) {
        ck_assert_int_eq(tsr_reader_open(ctx, readers[i], NULL, &reader), TSR_ERROR_ARGUMENT);
        ck_assert_ptr_null(reader);
    }
    for (unsigned i = 0; i < sizeof embedders / sizeof *embedders; ++i) {
        ck_assert_int_eq(tsr_embedder_open(ctx, embedders[i], NULL, &embedder), TSR_ERROR_ARGUMENT);
        ck_assert_ptr_null(embedder);
    }
    ck_assert_int_eq(tsr_reader_open(ctx, "parseq:/nowhere", NULL, &reader), TSR_ERROR_NOT_FOUND);
    const float a[2] = {1, 0}, b[2] = {0, 3}, c[2] = {-2, 0}, zero[2] = {0, 0};
    ck_assert(tsr_embedding_cosine(a, b, 2) == 0 && tsr_embedding_cosine(a, c, 2) == -1);
    ck_assert(tsr_embedding_cosine(a, a, 2) == 1 && tsr_embedding_cosine(a, zero, 2) == 0);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- people ---- */

#define FACES_FOLDER TESSERA_SHARED "/data/faces"

static const char *need_faces(void) {
    return access(FACES_FOLDER "/identities.tsv", R_OK) ||
                   access(TESSERA_SHARED "/data/weights/mobilefacenet.safetensors", R_OK)
               ? "../shared/data has no faces and weights"
               : NULL;
}

/* Embeds all faces of a picture of the folder. */
static void embed(tsr_context *ctx, tsr_embedder *e, const tsr_annotations *marks, const char *name,
                  float *to) {
    char path[512];
    const int64_t index = tsr_annotations_find(marks, name);
    tsr_picture p = {0};
    uint8_t *rgb = NULL;
    ck_assert(index >= 0);
    snprintf(path, sizeof path, "%s/%s", FACES_FOLDER, name);
    ck_assert_int_eq(tsr_picture_read(ctx, path, NULL, &rgb, &p.width, &p.height), TSR_OK);
    p.rgb = rgb;
    const tsr_face_mark *face =
        tsr_annotations_face(marks, tsr_annotations_picture(marks, (uint64_t)index)->first);
    ck_assert_int_eq(tsr_embedder_embed(e, &p, face, 1, to), TSR_OK);
    free(rgb);
}

START_TEST(trained_weights_tell_people_apart) {
    static const char *const names[] = {"caltech/image_0022.jpg", "caltech/image_0023.jpg",
                                        "caltech/image_0024.jpg"};
    tsr_context *ctx = NULL;
    tsr_embedder *e = NULL;
    tsr_annotations *marks = NULL;
    float all[4][128];
    char other[64] = "";
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    ck_assert_int_eq(tsr_embedder_open(ctx,
                                       "mobilefacenet:" TESSERA_SHARED
                                       "/data/weights/mobilefacenet.safetensors",
                                       NULL, &e),
                     TSR_OK);
    ck_assert_int_eq(tsr_annotations_open(ctx, FACES_FOLDER "/landmarks.tsv", TSR_ANNOTATION_FACES,
                                          NULL, NULL, &marks),
                     TSR_OK);
    ck_assert_int_eq(tsr_embedder_channels(e), 128);
    for (uint64_t i = 0; i < tsr_annotations_count(marks) && !*other; ++i)
        if (!strncmp(tsr_annotations_picture(marks, i)->name, "lfw/", 4))
            snprintf(other, sizeof other, "%s", tsr_annotations_picture(marks, i)->name);
    for (int i = 0; i < 3; ++i)
        embed(ctx, e, marks, names[i], all[i]);
    embed(ctx, e, marks, other, all[3]);
    /* 0.41 is where the weights' own check draws the line. */
    ck_assert(tsr_embedding_cosine(all[0], all[1], 128) > 0.41);
    ck_assert(tsr_embedding_cosine(all[0], all[2], 128) > 0.41);
    ck_assert(tsr_embedding_cosine(all[0], all[3], 128) < 0.41);
    tsr_annotations_close(&marks);
    tsr_embedder_close(&e);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("readers",
           PART(own, NULL, batches_of_any_size_give_the_same_bits, other_weights_are_named,
                crops_and_letters, names_that_mean_nothing),
           PART(people, need_faces, trained_weights_tell_people_apart))
