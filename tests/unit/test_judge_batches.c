/* SPDX-License-Identifier: MIT */
/* test_judge_batches.c: judges in their published sizes with made-up weights give the same bits for
 * every batch size: LPIPS over AlexNet and VGG16, DISTS, Inception, I3D, MobileFaceNet. (SqueezeNet
 * is in test_judges.c, PARSeq and IResNet in test_readers.c.) */
#include "metrics/judges/dists.h"
#include "metrics/judges/face_network.h"
#include "metrics/judges/i3d.h"
#include "metrics/judges/inception.h"
#include "metrics/judges/lpips.h"
#include "open_device.h"
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- made-up weights ---- */

typedef struct made {
    tsr_context *ctx;
    tsr_weights *weights;
    float *memory[600];
    int count;
} made;

/* Kernels keep the size of what they take; a norm is near the identity. */
static tsr_status make(void *user, const char *name, int rank, const int64_t *dim,
                       tsr_weight **where) {
    made *m = user;
    const tsr_tensor shape = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    const int64_t n = tsr_elements(&shape);
    const size_t length = strlen(name);
    const bool positive = strstr(name, "lin") || strstr(name, "alpha") || strstr(name, "beta");
    const bool one = rank == 1 && length > 4 && strcmp(name + length - 4, "bias") &&
                     strcmp(name + length - 4, "mean");
    const float scale = rank == 1 ? 0.1f : sqrtf(6 / (float)(n / dim[0]));
    static tsr_weight named; /* a family's list may give it another shape */
    named = (tsr_weight){.tensor = shape, .name = name};
    *where = &named;
    if (tsr_weights_find(m->weights, name)) return TSR_OK;
    ck_assert_int_lt(m->count, 600);
    float *data = m->memory[m->count++] = malloc((size_t)n * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < n; ++i)
        data[i] =
            positive ? random_uniform(0.1f, 0.2f) : random_uniform(-scale, scale) + (one ? 1 : 0);
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, data, rank, dim);
    return tsr_weights_add(m->ctx, m->weights, name, &t);
}

static void add(made *m, const char *name, int64_t a, int64_t b, int64_t c, int64_t d) {
    tsr_weight *ignored;
    ck_assert_int_eq(make(m, name, d ? 4 : 1, (int64_t[]){a, b, c, d}, &ignored), TSR_OK);
}

static own_device begin(made *m) {
    own_device d = open_own_device("cpu", 2);
    *m = (made){.ctx = d.ctx};
    ck_assert_int_eq(tsr_weights_open(d.ctx, &m->weights), TSR_OK);
    return d;
}

static void end(made *m, own_device *d) {
    for (int i = 0; i < m->count; ++i)
        free(m->memory[i]);
    close_own_device(d);
}

/* What the family's list names. */
static void make_all(made *m, void (*list)(const tsr_model_source *, tsr_weight_loader *)) {
    const tsr_model_source source = {.ctx = m->ctx, .path = "made up"};
    tsr_weight_loader l = {
        .ctx = m->ctx, .weights = m->weights, .path = "made up", .fn = make, .user = m};
    list(&source, &l);
    ck_assert_msg(l.status == TSR_OK, "%s", tsr_detail(m->ctx));
}

static tsr_picture picture(int width, int height, int frames) {
    const size_t n = (size_t)width * (size_t)height * 3 * (size_t)(frames ? frames : 1);
    uint8_t *rgb = malloc(n);
    ck_assert_ptr_nonnull(rgb);
    for (size_t i = 0; i < n; ++i)
        rgb[i] = (uint8_t)random_bits();
    return (tsr_picture){.rgb = rgb, .width = width, .height = height, .frames = frames};
}

static void free_picture(tsr_picture *p) {
    free((void *)(uintptr_t)p->rgb);
}

/* ---- pairs ---- */

enum { PAIRS = 3 };

static void make_backbone(made *m, const tsr_backbone_kind *kind) {
    char name[64];
    int64_t in = 3;
    for (const tsr_step *s = kind->step; s->kind; ++s) {
        if (s->kind != TSR_STEP_CONV) continue;
        snprintf(name, sizeof name, "features.%d.weight", s->number);
        add(m, name, s->channels, in, s->size, s->size);
        snprintf(name, sizeof name, "features.%d.bias", s->number);
        add(m, name, s->channels, 0, 0, 0);
        in = s->channels;
    }
}

static void compare_lpips(const tsr_backbone_kind *kind, int side) {
    made m;
    own_device d = begin(&m);
    tsr_lpips *net = NULL;
    tsr_picture a[PAIRS], b[PAIRS];
    double all[PAIRS * TSR_BACKBONE_TAPS], one[TSR_BACKBONE_TAPS];
    char name[64];
    int tap = 0;
    make_backbone(&m, kind);
    for (const tsr_step *s = kind->step; s->kind; ++s) {
        if (!s->tap) continue;
        snprintf(name, sizeof name, "lin%d.model.1.weight", tap++);
        add(&m, name, 1, s->channels, 1, 1);
    }
    ck_assert_int_eq(tsr_lpips_open(d.device, kind, m.weights, "made up", &net), TSR_OK);
    for (int i = 0; i < PAIRS; ++i) {
        a[i] = picture(side, side + 5, 0);
        b[i] = picture(side, side + 5, 0);
    }
    ck_assert_int_eq(tsr_lpips_compare(net, a, b, PAIRS, &(tsr_lpips_parts){.layers = all}),
                     TSR_OK);
    for (int i = 0; i < PAIRS; ++i) {
        ck_assert_int_eq(tsr_lpips_compare(net, &a[i], &b[i], 1, &(tsr_lpips_parts){.layers = one}),
                         TSR_OK);
        for (int k = 0; k < kind->taps; ++k)
            ck_assert(one[k] > 0 && one[k] == all[i * kind->taps + k]);
        free_picture(&a[i]);
        free_picture(&b[i]);
    }
    tsr_lpips_close(&net);
    end(&m, &d);
}

START_TEST(lpips) {
    compare_lpips(&tsr_backbone_alex, 40);
    compare_lpips(&tsr_backbone_vgg, 33);
}
END_TEST

START_TEST(dists) {
    made m;
    own_device d = begin(&m);
    tsr_dists *net = NULL;
    tsr_picture a[PAIRS], b[PAIRS];
    double all[PAIRS], one;
    make_backbone(&m, &tsr_backbone_vgg);
    add(&m, "alpha", 1, TSR_DISTS_CHANNELS, 1, 1);
    add(&m, "beta", 1, TSR_DISTS_CHANNELS, 1, 1);
    ck_assert_int_eq(tsr_dists_open(d.device, m.weights, "made up", &net), TSR_OK);
    for (int i = 0; i < PAIRS; ++i) {
        a[i] = picture(37, 32, 0);
        b[i] = picture(37, 32, 0);
    }
    ck_assert_int_eq(tsr_dists_compare(net, a, b, PAIRS, all, NULL), TSR_OK);
    for (int i = 0; i < PAIRS; ++i) {
        ck_assert_int_eq(tsr_dists_compare(net, &a[i], &b[i], 1, &one, NULL), TSR_OK);
        ck_assert(one > 1e-3 && one == all[i]);
        ck_assert_int_eq(tsr_dists_compare(net, &a[i], &a[i], 1, &one, NULL), TSR_OK);
        ck_assert(fabs(one) < 1e-6);
        free_picture(&a[i]);
        free_picture(&b[i]);
    }
    tsr_dists_close(&net);
    end(&m, &d);
}
END_TEST

/* ---- numbers of one picture ---- */

static void same_rows(const float *all, const float *one, int row, int columns) {
    float largest = 0;
    for (int k = 0; k < columns; ++k)
        largest = fmaxf(largest, fabsf(one[k]));
    ck_assert(largest > 0 && isfinite(largest));
    ck_assert_mem_eq(all + row * columns, one, (size_t)columns * sizeof *one);
}

START_TEST(inception) {
    enum { PICTURES = 2, VALUES = TSR_INCEPTION_SIDE * TSR_INCEPTION_SIDE * 3 };
    static float x[PICTURES * VALUES], all[2][PICTURES * 2048], one[2][2048];
    static const tsr_inception_output outputs[] = {TSR_INCEPTION_2048, TSR_INCEPTION_LOGITS};
    made m;
    own_device d = begin(&m);
    tsr_inception *net = NULL;
    make_all(&m, tsr_inception_list);
    ck_assert_int_eq(tsr_inception_open(d.device, m.weights, "made up", &net), TSR_OK);
    for (int i = 0; i < PICTURES; ++i) { /* of different sizes, in one batch */
        tsr_picture p = picture(60 + 40 * i, 48, 0);
        ck_assert_int_eq(tsr_inception_prepare(d.ctx, &p, TSR_INCEPTION_TF1, x + i * VALUES),
                         TSR_OK);
        free_picture(&p);
    }
    float *const to[] = {all[0], all[1]}, *const single[] = {one[0], one[1]};
    ck_assert_int_eq(tsr_inception_run(net, x, PICTURES, outputs, 2, to), TSR_OK);
    for (int i = 0; i < PICTURES; ++i) {
        ck_assert_int_eq(tsr_inception_run(net, x + i * VALUES, 1, outputs, 2, single), TSR_OK);
        same_rows(all[0], one[0], i, 2048);
        same_rows(all[1], one[1], i, 1008);
    }
    tsr_inception_close(&net);
    end(&m, &d);
}
END_TEST

START_TEST(i3d) {
    enum { CLIPS = 2, FRAMES = 9, VALUES = FRAMES * TSR_I3D_SIDE * TSR_I3D_SIDE * 3 };
    static const tsr_i3d_output outputs[] = {TSR_I3D_LOGITS, TSR_I3D_FEATURES};
    static float all[2][CLIPS * 1024], one[2][1024];
    float *x = malloc((size_t)CLIPS * VALUES * sizeof *x);
    made m;
    own_device d = begin(&m);
    tsr_i3d *net = NULL;
    ck_assert_ptr_nonnull(x);
    make_all(&m, tsr_i3d_list);
    ck_assert_int_eq(tsr_i3d_open(d.device, m.weights, "made up", &net), TSR_OK);
    for (int i = 0; i < CLIPS; ++i) {
        tsr_picture p = picture(30 + 20 * i, 24, FRAMES);
        tsr_i3d_prepare(&p, x + (size_t)i * VALUES);
        free_picture(&p);
    }
    float *const to[] = {all[0], all[1]}, *const single[] = {one[0], one[1]};
    ck_assert_int_eq(tsr_i3d_run(net, x, CLIPS, FRAMES, outputs, 2, to), TSR_OK);
    for (int i = 0; i < CLIPS; ++i) {
        ck_assert_int_eq(tsr_i3d_run(net, x + (size_t)i * VALUES, 1, FRAMES, outputs, 2, single),
                         TSR_OK);
        same_rows(all[0], one[0], i, TSR_I3D_CLASSES);
        same_rows(all[1], one[1], i, 1024);
    }
    tsr_i3d_close(&net);
    free(x);
    end(&m, &d);
}
END_TEST

static void list_mobilefacenet(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_face_list(&tsr_face_mobilefacenet, source, l);
}

START_TEST(mobilefacenet) {
    enum { FACES = 3, BYTES = 112 * 96 * 3, E = 128 };
    made m;
    own_device d = begin(&m);
    tsr_face_network *net = NULL;
    uint8_t *rgb = malloc(FACES * BYTES);
    float all[FACES * E], one[E];
    ck_assert_ptr_nonnull(rgb);
    add(&m, "linear1.conv.weight", E, 512, 1, 1); /* its shape is read first */
    make_all(&m, list_mobilefacenet);
    ck_assert_int_eq(tsr_face_open(d.device, &tsr_face_mobilefacenet, m.weights, "made up", &net),
                     TSR_OK);
    for (int i = 0; i < FACES * BYTES; ++i)
        rgb[i] = (uint8_t)random_bits();
    const uint8_t *crops[FACES] = {rgb, rgb + BYTES, rgb + 2 * BYTES};
    ck_assert_int_eq(tsr_face_embed(net, crops, FACES, NULL, all), TSR_OK);
    for (int i = 0; i < FACES; ++i) {
        ck_assert_int_eq(tsr_face_embed(net, &crops[i], 1, NULL, one), TSR_OK);
        same_rows(all, one, i, E);
    }
    tsr_face_close(&net);
    free(rgb);
    end(&m, &d);
}
END_TEST

TEST_MAIN("judge_batches", lpips, dists, inception, i3d, mobilefacenet)
