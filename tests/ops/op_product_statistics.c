/* SPDX-License-Identifier: MIT */
/* A group norm of a map that a convolution has made, on Vulkan devices: the convolution gives the
 * map's statistics (vulkan_statistics.c). Against float64 over the map that was written, against
 * the norm that reads the map itself, and each picture alone against its batch, to the bit. Every
 * body of the convolution, also in the tiles of devices that are no software. */
#include "ops/ops.h"
#include "compute/weights.h"
#include "everywhere.h"
#include "fake_layer.h"
#include "needs.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* CHAIN: of what an op before it keeps as f16, where such is kept. */
typedef enum how { SAME, RESIDUAL, TWICE, HALVED, SILU, CHAIN } how;

typedef struct shape {
    int64_t batch, h, w, c, n;
    int groups;
    how how;
    float centre; /* of the map */
} shape;

typedef struct layers {
    shape s;
    bool rounded; /* the map is for the norm alone, and f16 where the device keeps such */
    tsr_weights *weights;
    tsr_weight *kernel, *bias, *same;
} layers;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const layers *l = m;
    const int stride = l->s.how == HALVED ? 2 : 1, before = stride == 1;
    const tsr_tensor *from = l->s.how == CHAIN ? tsr_unary(r, in[0], TSR_ACT_SILU) : in[0];
    tsr_tensor *x =
        tsr_conv2d(r, from, l->kernel,
                   &(tsr_conv_spec){.bias = l->bias,
                                    .act = l->s.how == SILU ? TSR_ACT_SILU : TSR_ACT_NONE,
                                    .residual = l->s.how == RESIDUAL ? in[1] : NULL,
                                    .stride = stride,
                                    .upsample = l->s.how == TWICE,
                                    .top = before,
                                    .left = before,
                                    .bottom = 1,
                                    .right = 1});
    tsr_tensor *y =
        tsr_group_norm(r, x, &(tsr_group_norm_spec){.groups = l->s.groups, .eps = 1e-6f});
    out[1] = x;
    out[0] = l->rounded ? tsr_linear(r, y, l->same, NULL) : y; /* a copy of what was rounded */
}

/* ---- devices ---- */

static int given; /* norms with statistics from their products, of the last recording */

static void see_given(void *user, tsr_log_level level, const char *text) {
    (void)user, (void)level;
    const char *at = strstr(text, "statistics of ");
    if (at) sscanf(at, "statistics of %d", &given);
}

static tsr_device *open_device(tsr_context *ctx, int number, bool fast, const char *mask,
                               const char *more) {
    char name[32], masks[256];
    snprintf(name, sizeof name, "vulkan:%d", number);
    snprintf(masks, sizeof masks, "group_norm_whole%s%s%s", *mask ? "," : "", mask, more);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    s.mask = masks;
    s.precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    s.guard = true;
    s.try_matrices = tsr_try_matrices;
    s.validation = getenv("TESSERA_VALIDATION") != NULL;
    tsr_device *d = NULL;
    ck_assert_msg(!tsr_device_open(ctx, &d, &s), "%s without %s: %s", name, masks, tsr_detail(ctx));
    return d;
}

/* ---- one shape ---- */

static void out_size(const shape *s, int64_t *h, int64_t *w) {
    *h = s->how == TWICE ? 2 * s->h : s->how == HALVED ? (s->h - 2) / 2 + 1 : s->h;
    *w = s->how == TWICE ? 2 * s->w : s->how == HALVED ? (s->w - 2) / 2 + 1 : s->w;
}

/* The norm of `map`, each number first as f16 has it where that is what the norm reads. */
static void expected(const shape *s, const float *map, int64_t positions, bool f16, double *want) {
    const int64_t width = s->n / s->groups;
    for (int64_t b = 0; b < s->batch; ++b)
        for (int64_t g = 0; g < s->groups; ++g) {
            double mean = 0, variance = 0;
            for (int pass = 0; pass < 3; ++pass)
                for (int64_t p = 0; p < positions; ++p)
                    for (int64_t i = 0; i < width; ++i) {
                        const int64_t at = (b * positions + p) * s->n + g * width + i;
                        const double x = f16 ? tsr_f16_to_f32(tsr_f32_to_f16(map[at])) : map[at];
                        const double count = (double)(positions * width);
                        if (pass == 0) mean += x / count;
                        if (pass == 1) variance += (x - mean) * (x - mean) / count;
                        if (pass == 2) want[at] = (x - mean) / sqrt(variance + 1e-6);
                    }
        }
}

static void run(tsr_device *d, layers *l, bool rounded, tsr_tensor *in, tsr_tensor *norm,
                tsr_tensor *map) {
    tsr_tensor out[2] = {*norm};
    out[1] = map ? *map : tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, norm->dim);
    l->rounded = rounded;
    const tsr_program p = {
        .fn = model, .model = l, .name = "statistics", .pictures = true, .variant = rounded};
    given = -1;
    ck_assert_msg(!tsr_execute(d, &p, in, 2, out, 2), "%s", tsr_detail(tsr_device_context(d)));
}

static void try_shape(tsr_device *const d[2], const char *where, bool fast, const shape *s) {
    layers l = {.s = *s};
    int64_t h, w;
    out_size(s, &h, &w);
    const int64_t count = s->batch * h * w * s->n, kernel = s->n * s->c * 9;
    float *values = malloc((size_t)(kernel + s->n + s->n * s->n) * sizeof *values);
    ck_assert_ptr_nonnull(values);
    random_normals(values, kernel);
    for (int64_t i = 0; i < kernel; ++i)
        values[i] /= 3 * sqrtf((float)s->c);
    for (int64_t i = 0; i < s->n; ++i)
        values[kernel + i] = s->centre + (s->centre > 0 ? 0 : random_normal());
    for (int64_t i = 0; i < s->n * s->n; ++i)
        values[kernel + s->n + i] = i / s->n == i % s->n;
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &l.weights), TSR_OK);
    const tsr_tensor t[3] = {
        tsr_host_tensor(TSR_DTYPE_F32, values, 4, (int64_t[]){s->n, s->c, 3, 3}),
        tsr_host_tensor(TSR_DTYPE_F32, values + kernel, 1, &s->n),
        tsr_host_tensor(TSR_DTYPE_F32, values + kernel + s->n, 2, (int64_t[]){s->n, s->n})};
    static const char *const names[3] = {"kernel", "bias", "same"};
    for (int i = 0; i < 3; ++i)
        ck_assert_int_eq(tsr_weights_add(everywhere_context(), l.weights, names[i], &t[i]), TSR_OK);
    l.kernel = tsr_weights_find(l.weights, "kernel");
    l.bias = tsr_weights_find(l.weights, "bias");
    l.same = tsr_weights_find(l.weights, "same");
    tsr_tensor in[2] = {
        tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, (int64_t[]){s->batch, s->h, s->w, s->c}),
        tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, (int64_t[]){s->batch, h, w, s->n})};
    tsr_tensor norm = in[1], map = in[1], plain = in[1], alone = in[1];
    in[0].data = guarded((size_t)tsr_elements(&in[0]) * 4);
    tsr_tensor *all[] = {&in[1], &norm, &map, &plain, &alone};
    for (int i = 0; i < 5; ++i)
        all[i]->data = guarded((size_t)count * 4);
    random_normals(in[0].data, tsr_elements(&in[0]));
    random_normals(in[1].data, count);
    double *want = malloc((size_t)count * sizeof *want);
    ck_assert_ptr_nonnull(want);

    char what[192];
    snprintf(what, sizeof what, "%s: %lldx%lldx%lldx%lld to %lld in %d, %d", where,
             (long long)s->batch, (long long)s->h, (long long)s->w, (long long)s->c,
             (long long)s->n, s->groups, (int)s->how);
    /* Pieces are of 16 to 64 pixels, and of four channels. */
    const int most = s->n / s->groups % 4 == 0 && h * w % 16 == 0;
    const int least = most && h * w % 64 == 0;
    run(d[0], &l, false, in, &norm, &map);
    ck_assert_msg(given >= least && given <= most,
                  "%s: wanted %d to %d norms with statistics, got %d", what, least, most, given);
    expected(s, map.data, h * w, false, want);
    /* What is left is f32's own error in the mean. */
    const double tolerance = s->centre > 0 ? s->centre * 6e-7 : 4e-6;
    expect_close(what, norm.data, want, count, tolerance);
    run(d[1], &l, false, in, &plain, &map);
    ck_assert_int_eq(given, 0);
    expect_close_f32(what, norm.data, plain.data, count, 2 * tolerance);
    if (fast && most) { /* of an f16 map that the norm alone reads; it was asked for above */
        expected(s, map.data, h * w, true, want);
        run(d[0], &l, true, in, &plain, NULL);
        ck_assert(given >= least);
        expect_close(what, plain.data, want, count, 0x1p-11 + tolerance);
    }
    tsr_tensor one[2] = {in[0], in[1]};
    one[0].dim[0] = one[1].dim[0] = alone.dim[0] = 1;
    for (int64_t b = 0; b < s->batch && s->batch > 1; ++b) {
        for (int i = 0; i < 2; ++i)
            one[i].data = (float *)in[i].data + b * tsr_elements(&one[i]);
        run(d[0], &l, false, one, &alone, NULL);
        ck_assert_msg(!memcmp(alone.data, (float *)norm.data + b * (count / s->batch),
                              (size_t)(count / s->batch) * 4),
                      "%s: picture %lld: wanted the bits of the batch", what, (long long)b);
    }
    for (int i = 0; i < 2; ++i)
        tsr_device_forget(d[i], &l);
    tsr_weights_close(&l.weights);
    guarded_free(in[0].data);
    for (int i = 0; i < 5; ++i)
        guarded_free(all[i]->data);
    free(values);
    free(want);
}

typedef struct body {
    const char *mask;
    bool fast;
} body;

/* software false: the device must say that it is none. */
static void try_shapes(const body *bodies, int body_count, const shape *shapes, int shape_count,
                       bool software) {
    for (int v = 0; v < everywhere_vulkan_count(); ++v)
        for (int i = 0; i < body_count; ++i) {
            tsr_context_settings settings = tsr_context_settings_default();
            settings.log = see_given;
            settings.log_level = TSR_LOG_INFO;
            tsr_context *ctx = NULL;
            ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
            const body *b = &bodies[i];
            tsr_device *d[2] = {open_device(ctx, v, b->fast, b->mask, ""),
                                open_device(ctx, v, b->fast, b->mask, ",product_statistics")};
            if (!software) ck_assert(!tsr_device_properties(d[0])->software);
            char where[128];
            snprintf(where, sizeof where, "vulkan:%d%s without %s", v, b->fast ? " fast" : "",
                     *b->mask ? b->mask : "nothing");
            for (int k = 0; k < shape_count; ++k)
                try_shape(d, where, b->fast, &shapes[k]);
            for (int k = 0; k < 2; ++k)
                tsr_device_close(&d[k]);
            tsr_context_close(&ctx);
        }
}

#define TRY(bodies, shapes, software)                                                              \
    try_shapes(bodies, sizeof bodies / sizeof *bodies, shapes, sizeof shapes / sizeof *shapes,     \
               software)

static const shape shapes[] = {
    {2, 16, 16, 4, 128, 32, RESIDUAL, 0}, /* 4 channels a group */
    {3, 8, 8, 8, 96, 6, SAME, 0},         /* 16: tiles of columns end within a group */
    {1, 12, 12, 4, 24, 2, SILU, 0},       /* 9 pieces of 16 pixels, none of 64 */
    {1, 8, 16, 4, 32, 32, SAME, 0},       /* 1: no pieces */
    {2, 9, 7, 4, 16, 4, SAME, 0},         /* pieces would lie in two pictures */
    {2, 4, 8, 4, 40, 5, TWICE, 0},        /* 8 */
    {1, 32, 32, 4, 16, 4, HALVED, 0},     /* few columns */
    {1, 16, 16, 4, 64, 16, SAME, 1000},   /* E[x^2] - mean^2 would be nothing but noise */
};

/* What differs in the bodies, for those that are not the first: compiling takes a software driver
 * long. */
static const shape few[] = {
    {2, 16, 16, 4, 96, 24, RESIDUAL, 0},
    {1, 12, 12, 4, 24, 2, SILU, 0},
    {1, 16, 16, 4, 64, 16, SAME, 1000},
};

/* A software driver's own choice in f32, and the bodies behind it. */
START_TEST(software) {
    static const body first[] = {{"", false}},
                      more[] = {{"conv2d_sg,conv2d_sg64", false}, {"int64", false}};
    fake_layer_off();
    TRY(first, shapes, true);
    TRY(more, few, true);
}
END_TEST

/* With f16, and on matrix units where there are any. */
START_TEST(software_halves) {
    static const body bodies[] = {{"", true},
                                  {"coopmat,conv2d_half_sg,conv2d_half_sg64", true},
                                  {"coopmat2,conv2d_half_sg,conv2d_half_sg64", true}};
    static const shape two[] = {{2, 16, 16, 4, 96, 24, RESIDUAL, 0},
                                {1, 16, 16, 4, 64, 16, SAME, 1000}};
    fake_layer_off();
    TRY(bodies, two, true);
}
END_TEST

/* Matrices that a workgroup holds. */
START_TEST(software_workgroups) {
    static const body bodies[] = {{"conv2d_half_sg,conv2d_half_sg64", true}};
    static const shape chains[] = {
        {2, 16, 16, 8, 64, 16, CHAIN, 0},
        {3, 10, 8, 8, 96, 6, CHAIN, 0}, /* the last patch is cut */
        {1, 16, 16, 8, 64, 16, CHAIN, 1000},
    };
    fake_layer_off();
    TRY(bodies, chains, true);
}
END_TEST

START_TEST(software_pairs) {
    static const body bodies[] = {{"+pairs", false}};
    fake_layer_off();
    TRY(bodies, few, true);
}
END_TEST

/* The same driver as what is no software: larger tiles, which unroll all they do. */
START_TEST(hardware) {
    static const body bodies[] = {{"", false},
                                  {"conv2d_sm", false},
                                  {"coopmat", true},
                                  {"coopmat2", true},
                                  {"+pairs", false}};
    static const shape more[] = {
        {1, 128, 64, 1, 128, 32, SAME, 0}, /* tiles of 128 x 128 */
        {2, 16, 16, 8, 16, 4, SAME, 0},    /* of 256 x 16 */
        {2, 16, 16, 16, 96, 6, RESIDUAL, 0},
        {1, 16, 16, 4, 64, 16, SAME, 1000},
    };
    fake_layer((const char *[]){"FAKE_TYPE=discrete", NULL});
    TRY(bodies, more, false);
    fake_layer_off();
}
END_TEST

TEST_PARTS("op_product_statistics",
           PART(own, need_vulkan, software, software_halves, software_workgroups, software_pairs),
           PART(hardware, need_fake_layer, hardware))
