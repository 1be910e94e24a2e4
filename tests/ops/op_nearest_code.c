/* SPDX-License-Identifier: MIT */
/* Nearest code against brute force in float64, on every device. Ids must be equal except where two
 * codes are nearly as near; such near ties are counted and printed. */
#include "ops/ops.h"
#include "everywhere.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct book {
    tsr_metric metric;
    bool margin;
    int64_t n, k, d;
    const float *x, *codes;
    const char *name;
    bool known; /* the codes' squares are given */
} book;

static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const book *b = m;
    out[0] = tsr_nearest_code(r, in[0], in[1], b->known ? in[2] : NULL, b->metric,
                              b->margin ? &out[1] : NULL);
}

static double norm(const float *v, int64_t d) {
    double sum = 0;
    for (int64_t i = 0; i < d; ++i)
        sum += (double)v[i] * v[i];
    return sqrt(sum);
}

static double distance(const book *b, int64_t i, int64_t j) {
    const float *x = b->x + i * b->d, *c = b->codes + j * b->d;
    double xs = 1, cs = 1, sum = 0;
    if (b->metric == TSR_METRIC_COSINE) {
        double xn = norm(x, b->d), cn = norm(c, b->d);
        xs = xn == 0 ? 0 : 1 / xn;
        cs = cn == 0 ? 0 : 1 / cn;
    }
    for (int64_t l = 0; l < b->d; ++l)
        sum += (x[l] * xs - c[l] * cs) * (x[l] * xs - c[l] * cs);
    return sum;
}

/* Brute force: the nearest, its distance and the second best distance. */
static int32_t brute(const book *b, int64_t i, double *best, double *second) {
    int32_t id = 0;
    *best = *second = INFINITY;
    for (int64_t j = 0; j < b->k; ++j) {
        double d = distance(b, i, j);
        if (d < *best) {
            *second = *best;
            *best = d;
            id = (int32_t)j;
        } else if (d < *second) {
            *second = d;
        }
    }
    return id;
}

static void check(const char *where, const everywhere_case *c, const tsr_tensor *got,
                  const tsr_tensor *reference) {
    (void)reference;
    const book *b = c->model;
    const int32_t *ids = got[0].data;
    const float *margin = b->margin ? got[1].data : NULL;
    int64_t ties = 0;
    for (int64_t i = 0; i < b->n; ++i) {
        double best, second;
        int32_t id = brute(b, i, &best, &second);
        bool nan = best == INFINITY;
        double xn = norm(b->x + i * b->d, b->d), scale = 1;
        if (b->metric == TSR_METRIC_EUCLID) scale += xn * xn + best;
        double tolerance = 4e-7 * scale * sqrt((double)b->d);
        ck_assert_msg(ids[i] >= 0 && ids[i] < b->k, "%s on %s: row %lld: id %d", b->name, where,
                      (long long)i, (int)ids[i]);
        if (ids[i] != id) {
            double off = distance(b, i, ids[i]) - best;
            /* Equal to the bit in the data means the lowest index, near or not. */
            ck_assert_msg(off > 0 && off <= tolerance && !nan,
                          "%s on %s: row %lld: wanted code %d, got %d, %g further", b->name, where,
                          (long long)i, (int)id, (int)ids[i], off);
            ++ties;
        }
        if (!margin) continue;
        if (nan && b->k > 1) {
            ck_assert_msg(isnan(margin[i]), "%s on %s: row %lld: margin of a NaN row is %g",
                          b->name, where, (long long)i, margin[i]);
            continue;
        }
        double wanted = b->k == 1 ? 0 : second - best;
        ck_assert_msg(fabs(margin[i] - wanted) <= 2 * tolerance,
                      "%s on %s: row %lld: margin: wanted %.9g, got %.9g", b->name, where,
                      (long long)i, wanted, margin[i]);
    }
    if (ties) printf("%s on %s: %lld near ties\n", b->name, where, (long long)ties);
    ck_assert_msg(ties <= 1 + b->n / 100, "%s on %s: %lld near ties of %lld", b->name, where,
                  (long long)ties, (long long)b->n);
}

/* Kernels of the cpu, and bodies of the shader, in turn switched off. */
static const char *const cpu_masks[] = {"avx512", "avx2,avx512", NULL};
static const char *const gpu_masks[] = {"nearest_code_sg", "nearest_code_sg,nearest_code_sm", NULL};

/* The plain body refuses codebooks that would take it too many loop iterations. */
static bool one_body;

static void on_all(everywhere_case c) {
    c.masks = cpu_masks;
    c.cpu_only = true;
    everywhere(&c);
    c.masks = one_body ? NULL : gpu_masks;
    c.cpu_only = false;
    everywhere(&c);
}

static void try_book(book b, float *x, float *codes) {
    char name[96];
    snprintf(name, sizeof name, "nearest_code n%lld k%lld d%lld%s%s", (long long)b.n,
             (long long)b.k, (long long)b.d, b.metric ? " cosine" : "", b.margin ? " margin" : "");
    b.x = x;
    b.codes = codes;
    b.name = name;
    float *squares = guarded((size_t)b.k * 4);
    tsr_code_squares(codes, b.k, b.d, squares);
    tsr_tensor in[3] = {tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){b.n, b.d}),
                        tsr_host_tensor(TSR_DTYPE_F32, codes, 2, (int64_t[]){b.k, b.d}),
                        tsr_host_tensor(TSR_DTYPE_F32, squares, 1, &b.k)};
    tsr_tensor out[2] = {tsr_host_tensor(TSR_DTYPE_I32, NULL, 1, &b.n),
                         tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, &b.n)};
    b.known = (b.d % 4 == 0) != b.margin; /* with and without, for every metric */
    on_all((everywhere_case){.name = name,
                             .fn = model,
                             .model = &b,
                             .in = in,
                             .in_count = b.known ? 3 : 2,
                             .out = out,
                             .out_count = b.margin ? 2 : 1,
                             .compare = check});
    guarded_free(squares);
}

static void try_random(int64_t n, int64_t k, int64_t d, tsr_metric metric, bool margin, int extra) {
    float *x = guarded((size_t)(n * d) * 4), *codes = guarded((size_t)(k * d) * 4);
    random_normals(x, n * d);
    random_normals(codes, k * d);
    if (extra) { /* copies of codes, rows that are codes, rows and codes of zeros, NaN */
        for (int64_t j = k / 2; j < k; j += 3)
            memcpy(codes + j * d, codes + random_below(k / 2) * d, (size_t)d * 4);
        for (int64_t i = 0; i < n; i += 4)
            memcpy(x + i * d, codes + random_below(k) * d, (size_t)d * 4);
        memset(x + (n / 2) * d, 0, (size_t)d * 4);
        memset(codes + (k / 3) * d, 0, (size_t)d * 4);
        x[(n / 3) * d + d / 2] = NAN;
        codes[(k / 4) * d] = NAN;
    }
    try_book((book){metric, margin, n, k, d, NULL, NULL, NULL, false}, x, codes);
    guarded_free(x);
    guarded_free(codes);
}

START_TEST(sizes_around_the_tiles) {
    static const int64_t sizes[][3] = {{1, 1, 1},    {1, 2, 3},      {5, 15, 8},   {6, 16, 8},
                                       {7, 17, 8},   {23, 511, 7},   {24, 512, 8}, {25, 513, 9},
                                       {97, 65, 64}, {40, 1000, 16}, {3, 33, 300}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
        for (int form = 0; form < 4; ++form)
            try_random(sizes[i][0], sizes[i][1], sizes[i][2], (tsr_metric)(form & 1), form & 2, 0);
}
END_TEST

START_TEST(ties_zeros_and_nan) {
    for (int form = 0; form < 4; ++form) {
        try_random(50, 60, 8, (tsr_metric)(form & 1), form & 2, 1);
        try_random(90, 700, 5, (tsr_metric)(form & 1), form & 2, 1);
    }
}
END_TEST

/* A code with NaN hides no other code, wherever it stands beside it in the kernels' vectors. */
START_TEST(one_code_with_nan) {
    enum { K = 64, D = 8 };
    for (int form = 0; form < 4; ++form)
        for (int64_t broken = 0; broken < K; broken += 3) {
            float *x = guarded((size_t)K * D * 4), *codes = guarded((size_t)K * D * 4);
            random_normals(codes, (int64_t)K * D);
            memcpy(x, codes, (size_t)K * D * 4);
            codes[broken * D + D / 2] = NAN;
            try_book((book){(tsr_metric)(form & 1), form & 2, K, K, D, NULL, NULL, NULL, false}, x,
                     codes);
            guarded_free(x);
            guarded_free(codes);
        }
}
END_TEST

/* Codes that repeat every `period`: equal ones meet in every lane, panel and slice. */
START_TEST(the_lowest_of_equal_codes) {
    enum { N = 13, K = 600, D = 8 };
    for (int form = 0; form < 4; ++form)
        for (int64_t period = 1; period <= 4; period *= 4) {
            float *x = guarded((size_t)N * D * 4), *codes = guarded((size_t)K * D * 4);
            random_normals(x, (int64_t)N * D);
            random_normals(codes, period * D);
            for (int64_t j = period; j < K; ++j)
                memcpy(codes + j * D, codes + j % period * D, D * 4);
            try_book((book){(tsr_metric)(form & 1), form & 2, N, K, D, NULL, NULL, NULL, false}, x,
                     codes);
            guarded_free(x);
            guarded_free(codes);
        }
}
END_TEST

/* The same code twice, on both sides of every border that a cut into parts may have: the lower
 * index wins, whichever part or lane has it, and the margin is 0. */
START_TEST(ties_across_parts) {
    enum { N = 16, K = 4096, D = 8 };
    for (int form = 0; form < 4; ++form) {
        float *x = guarded((size_t)N * D * 4), *codes = guarded((size_t)K * D * 4);
        random_normals(codes, (int64_t)K * D);
        random_normals(x, (int64_t)N * D);
        for (int64_t i = 0; i < N; ++i) { /* nothing is nearer to a row than the row */
            const int64_t border = 256 * (i % 15 + 1), lower = border - 1 - (i & 3) * 40;
            const int64_t upper = border + (i & 1) * 100;
            memcpy(codes + lower * D, x + i * D, D * 4);
            memcpy(codes + upper * D, x + i * D, D * 4);
        }
        try_book((book){(tsr_metric)(form & 1), form & 2, N, K, D, NULL, NULL, NULL, false}, x,
                 codes);
        guarded_free(x);
        guarded_free(codes);
    }
}
END_TEST

/* The cut depends on the number of rows; ids and margins must not. */
START_TEST(parts_change_nothing) {
    enum { N = 1100, K = 3000, D = 12, FEW = 37 };
    for (int v = 0; v < everywhere_vulkan_count(); ++v) {
        char device[32];
        snprintf(device, sizeof device, "vulkan:%d", v);
        tsr_device *d = everywhere_device(device, NULL);
        float *x = guarded((size_t)N * D * 4), *codes = guarded((size_t)K * D * 4);
        random_normals(x, (int64_t)N * D);
        random_normals(codes, (int64_t)K * D);
        memcpy(codes + (K - 5) * D, codes + 7 * D, D * 4);
        memcpy(x + 3 * D, codes + 7 * D, D * 4);
        int32_t all[N], some[N];
        float margin[N], some_margin[N];
        book b = {TSR_METRIC_EUCLID, true, N, K, D, x, codes, "parts", false};
        for (int64_t from = 0; from <= N; from += FEW) {
            const int64_t n = from == 0 ? N : from + FEW > N ? N - from + FEW : FEW;
            const int64_t at = from == 0 ? 0 : from - FEW;
            tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, x + at * D, 2, (int64_t[]){n, D}),
                                tsr_host_tensor(TSR_DTYPE_F32, codes, 2, (int64_t[]){K, D})};
            tsr_tensor out[2] = {
                tsr_host_tensor(TSR_DTYPE_I32, from ? some + at : all, 1, &n),
                tsr_host_tensor(TSR_DTYPE_F32, from ? some_margin + at : margin, 1, &n)};
            tsr_program p = {.fn = model, .model = &b, .variant = 0, .name = "parts"};
            ck_assert_msg(!tsr_execute(d, &p, in, 2, out, 2), "%s",
                          tsr_detail(tsr_device_context(d)));
        }
        tsr_device_forget(d, &b);
        ck_assert(!memcmp(all, some, sizeof all) && !memcmp(margin, some_margin, sizeof margin));
        ck_assert(all[3] == 7 && margin[3] == 0);
        guarded_free(x);
        guarded_free(codes);
    }
}
END_TEST

START_TEST(real_codebook_sizes) {
    try_random(200, 4096, 8, TSR_METRIC_EUCLID, true, 0);
    try_random(64, 4096, 64, TSR_METRIC_COSINE, false, 0);
    try_random(40, 9000, 12, TSR_METRIC_EUCLID, false, 0);
}
END_TEST

/* So many words of code that the subgroup body needs several dispatches too. */
START_TEST(a_codebook_split_over_dispatches) {
    one_body = true;
    try_random(3, 26000, 256, TSR_METRIC_EUCLID, true, 1);
    try_random(3, 26000, 256, TSR_METRIC_COSINE, false, 0);
    one_body = false;
}
END_TEST

START_TEST(wrong_shapes_are_refused) {
    float x[64] = {0};
    int32_t ids[8];
    book b = {TSR_METRIC_EUCLID, false, 4, 4, 8, NULL, NULL, NULL, false};
    tsr_device *d = everywhere_device("cpu", NULL);
    tsr_program p = {.fn = model, .model = &b, .variant = 0, .name = "wrong"};
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){4, 8}),
                        tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){4, 7})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_I32, ids, 1, (int64_t[]){4});
    ck_assert_int_eq(tsr_execute(d, &p, in, 2, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(tsr_device_context(d)),
                     "nearest_code: codes: wanted [K, 8], got [4, 7]");
}
END_TEST

TEST_MAIN("op_nearest_code", sizes_around_the_tiles, ties_zeros_and_nan, one_code_with_nan,
          the_lowest_of_equal_codes, ties_across_parts, parts_change_nothing, real_codebook_sizes,
          a_codebook_split_over_dispatches, wrong_shapes_are_refused)
