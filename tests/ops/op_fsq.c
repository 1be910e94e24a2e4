/* SPDX-License-Identifier: MIT */
/* FSQ against float64, against the golden cases of FlexTok's official code, every id both ways, and
 * on every device: codes exact, ids equal except where a bounded value lies at a rounding border.
 */
#include "ops/ops.h"
#include "formats/arrays/npy.h"
#include "needs.h"
#include "op_case.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FSQ_CASE "/golden/flextok/fsq"

typedef struct recipe {
    int count, levels[TSR_FSQ_MAX_LEVELS + 1];
} recipe;

static void encode(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    tsr_fsq_result y = tsr_fsq_encode(r, in[0], x->levels, x->count);
    out[0] = y.bounded;
    out[1] = y.codes;
    out[2] = y.ids;
}

static void round_only(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    tsr_fsq_result y = tsr_fsq_round(r, in[0], x->levels, x->count);
    out[0] = y.codes;
    out[1] = y.ids;
}

static void decode(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_fsq_decode(r, in[0], x->levels, x->count);
}

static void decode_and_back(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const recipe *x = m;
    out[0] = tsr_fsq_decode(r, in[0], x->levels, x->count);
    /* A code is q / (L div 2): with one such factor for all channels, rounding takes it back. */
    tsr_tensor *q = tsr_scale(r, out[0], (float)(x->levels[0] / 2), 0);
    out[1] = tsr_fsq_round(r, q, x->levels, x->count).ids;
}

static double distance_to_border(double bounded) {
    return fabs(bounded - floor(bounded) - 0.5);
}

/* Devices may differ by some units in the last place of `bounded`, and in ids and codes only where
 * that reaches a border. */
static void near(const char *where, const everywhere_case *c, const tsr_tensor *got,
                 const tsr_tensor *want) {
    const recipe *m = c->model;
    const float *gb = got[0].data, *wb = want[0].data, *gc = got[1].data, *wc = want[1].data;
    const int32_t *gi = got[2].data, *wi = want[2].data;
    int64_t rows = tsr_elements(&got[2]), ties = 0;
    for (int64_t n = 0; n < rows; ++n) {
        bool tie = false;
        for (int i = 0; i < m->count; ++i) {
            int64_t at = n * m->count + i;
            double bound = 1e-6 * m->levels[i];
            ck_assert_msg(isnan(wb[at]) ? isnan(gb[at]) : fabs((double)gb[at] - wb[at]) <= bound,
                          "%s on %s: bounded %lld: wanted %.9g, got %.9g", c->name, where,
                          (long long)at, (double)wb[at], (double)gb[at]);
            bool border = !isnan(wb[at]) && distance_to_border(wb[at]) <= bound;
            ck_assert_msg(border || gc[at] == wc[at], "%s on %s: code %lld: wanted %.9g, got %.9g",
                          c->name, where, (long long)at, (double)wc[at], (double)gc[at]);
            tie |= border;
        }
        ck_assert_msg(tie || gi[n] == wi[n], "%s on %s: id %lld: wanted %d, got %d", c->name, where,
                      (long long)n, wi[n], gi[n]);
        ties += gi[n] != wi[n];
    }
    if (ties) printf("%s on %s: %lld near ties\n", c->name, where, (long long)ties);
}

static recipe random_levels(void) {
    recipe m = {.count = 1 + (int)random_below(6)};
    for (int i = 0; i < m.count; ++i)
        m.levels[i] = 2 + (int)random_below(i ? 12 : 60);
    return m;
}

static void try_encode(recipe m, int64_t b, int64_t rows) {
    op_case c = {.run = {.fn = encode, .model = &m, .compare = near}};
    op_name(&c, "fsq_encode %d levels from %d, %lldx%lld", m.count, m.levels[0], (long long)b,
            (long long)rows);
    float *z = op_in(&c, TSR_DTYPE_F32, SHAPE(b, rows, m.count));
    float *bounded = op_out(&c, TSR_DTYPE_F32, SHAPE(b, rows, m.count));
    float *codes = op_out(&c, TSR_DTYPE_F32, SHAPE(b, rows, m.count));
    int32_t *ids = op_out(&c, TSR_DTYPE_I32, SHAPE(b, rows));
    int64_t n = b * rows;
    for (int64_t i = 0; i < n * m.count; ++i)
        z[i] = 1.5f * random_normal();
    if (n > 2) z[2 * m.count] = NAN;
    if (n > 3) z[3 * m.count] = INFINITY;
    if (n > 4) z[4 * m.count] = -INFINITY;
    op_run(&c);
    for (int64_t k = 0; k < n; ++k) {
        int64_t id = 0, basis = 1;
        bool tie = false;
        for (int i = 0; i < m.count; ++i) {
            int64_t at = k * m.count + i;
            int level = m.levels[i];
            double half = (level - 1) * 1.001 / 2, offset = level % 2 ? 0 : 0.5;
            double want = tanh(z[at] + atanh(offset / half)) * half - offset;
            if (isnan(z[at])) {
                ck_assert(isnan(bounded[at]));
                want = -(level / 2);
            } else {
                /* with 2 levels the f32 constants themselves are 1e-5 off: atanh(0.999) is steep */
                double bound = (level == 2 ? 2e-5 : 1e-6) * level;
                ck_assert_msg(fabs(bounded[at] - want) <= bound,
                              "%s: bounded: wanted %.9g got %.9g", c.name, want,
                              (double)bounded[at]);
                if (distance_to_border(want) <= bound) {
                    tie = true;
                    continue;
                }
            }
            int64_t q = (int64_t)rint(want);
            ck_assert(codes[at] == (float)q / (float)(level / 2));
            id += (q + level / 2) * basis;
            basis *= level;
        }
        if (!tie) ck_assert_int_eq(ids[k], id);
    }
    op_free(&c);
}

START_TEST(encodes_as_float64_does) {
    try_encode((recipe){6, {8, 8, 8, 5, 5, 5}}, 1, 1);
    try_encode((recipe){6, {8, 8, 8, 5, 5, 5}}, 2, 513);
    try_encode((recipe){16, {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2}}, 1, 255);
    try_encode((recipe){2, {1000, 999}}, 1, 257);
    try_encode((recipe){1, {3}}, 3, 100);
    for (int i = 0; i < 5; ++i)
        try_encode(random_levels(), 1 + random_below(4), 1 + random_below(300));
}
END_TEST

static void try_decode(recipe m, bool back) {
    int64_t codebook = 1;
    for (int i = 0; i < m.count; ++i)
        codebook *= m.levels[i];
    op_case c = {.run = {.fn = back ? decode_and_back : decode, .model = &m, .tolerance = 0}};
    op_name(&c, "fsq_decode %lld ids", (long long)codebook);
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(codebook));
    float *codes = op_out(&c, TSR_DTYPE_F32, SHAPE(codebook, m.count));
    int32_t *again = back ? op_out(&c, TSR_DTYPE_I32, SHAPE(codebook)) : NULL;
    for (int64_t i = 0; i < codebook; ++i)
        ids[i] = (int32_t)i;
    op_run(&c);
    for (int64_t n = 0; n < codebook; ++n) {
        int64_t rest = n;
        for (int i = 0; i < m.count; ++i) {
            int half = m.levels[i] / 2;
            ck_assert(codes[n * m.count + i] ==
                      (float)((double)(rest % m.levels[i] - half) / half));
            rest /= m.levels[i];
        }
        if (back) ck_assert_int_eq(again[n], n);
    }
    op_free(&c);
}

START_TEST(every_id_decodes_exactly) {
    try_decode((recipe){6, {8, 8, 8, 5, 5, 5}}, false);
    try_decode((recipe){6, {7, 6, 5, 4, 3, 2}}, false);
    try_decode((recipe){1, {1000}}, false);
}
END_TEST

START_TEST(every_id_comes_back) {
    try_decode((recipe){4, {8, 8, 8, 8}}, true);
    try_decode((recipe){2, {100, 100}}, true); /* f32 arithmetic would lose 202 of these */
    try_decode((recipe){3, {2, 3, 2}}, true);
}
END_TEST

START_TEST(batches_of_any_size_give_the_same_bits) {
    recipe m = {5, {8, 5, 7, 2, 16}};
    op_case c = {.run = {.name = "fsq batch", .fn = encode, .model = &m}};
    random_normals(op_in(&c, TSR_DTYPE_F32, SHAPE(3, 300, 5)), 3 * 300 * 5);
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, 300, 5));
    op_out(&c, TSR_DTYPE_F32, SHAPE(3, 300, 5));
    op_out(&c, TSR_DTYPE_I32, SHAPE(3, 300));
    op_same_in_batches(&c);
    op_free(&c);
}
END_TEST

START_TEST(refuses) {
    recipe m = {3, {8, 1, 5}};
    op_case c = {.run = {.name = "fsq", .fn = encode, .model = &m}};
    memset(op_in(&c, TSR_DTYPE_F32, SHAPE(2, 3)), 0, 24);
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 3));
    op_out(&c, TSR_DTYPE_F32, SHAPE(2, 3));
    op_out(&c, TSR_DTYPE_I32, SHAPE(2));
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq: level 1: wanted 2 to 1000, got 1");
    m.levels[1] = 1001;
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq: level 1: wanted 2 to 1000, got 1001");
    m = (recipe){17, {0}};
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq: levels: wanted 1 to 16 of them, got 17");
    m = (recipe){4, {1000, 1000, 1000, 1000}};
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq: levels: wanted a product of at most");
    m = (recipe){2, {8, 8}};
    op_refused(&c, TSR_ERROR_ARGUMENT, "fsq_encode: z: wanted [..., 2], got [2, 3]");
    op_free(&c);
    op_case d = {.run = {.name = "fsq", .fn = decode, .model = &m}};
    int32_t *ids = op_in(&d, TSR_DTYPE_I32, SHAPE(2));
    op_out(&d, TSR_DTYPE_F32, SHAPE(2, 2));
    ids[0] = 63;
    ids[1] = 64;
    op_refused(&d, TSR_ERROR_TOKENS, "fsq_decode: id 1: wanted 0..63, got 64");
    ids[0] = -1;
    op_refused(&d, TSR_ERROR_TOKENS, "fsq_decode: id 0: wanted 0..63, got -1");
    op_free(&d);
}
END_TEST

/* ---- golden cases ---- */

static const char *golden; /* folder of the case being run */

static void *read_array(const cJSON *list, const char *name, int64_t *n) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        if (strcmp(cJSON_GetObjectItem(item, "name")->valuestring, name)) continue;
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", golden,
                 cJSON_GetObjectItem(item, "file")->valuestring);
        tsr_tensor t;
        tsr_context *ctx = everywhere_context();
        ck_assert_msg(tsr_npy_read(ctx, path, &t) == TSR_OK, "%s", tsr_detail(ctx));
        *n = tsr_elements(&t);
        return t.data;
    }
    ck_abort_msg("no array %s", name);
    return NULL;
}

static double number(const cJSON *list, const char *name, const char *key) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) if (!strcmp(cJSON_GetObjectItem(item, "name")->valuestring,
                                               name)) return cJSON_GetObjectItem(item, key)
        ->valuedouble;
    return NAN;
}

/* Which codes and ids count: all, or those with a margin of at least 1e-3. */
static void compare_golden(const char *name, const recipe *m, const float *codes,
                           const int32_t *ids, const cJSON *outputs, const float *margin) {
    int64_t n, nc;
    int32_t *want_ids = read_array(outputs, "ids", &n);
    float *want_codes = read_array(outputs, "codes", &nc);
    ck_assert_int_eq(nc, n * m->count);
    for (int64_t i = 0; i < n; ++i) {
        if (margin && margin[i] < 1e-3f) continue;
        ck_assert_msg(ids[i] == want_ids[i], "%s: id %lld: wanted %d, got %d", name, (long long)i,
                      want_ids[i], ids[i]);
        for (int j = 0; j < m->count; ++j)
            ck_assert_msg(codes[i * m->count + j] == want_codes[i * m->count + j],
                          "%s: code of %lld", name, (long long)i);
    }
    free(want_ids);
    free(want_codes);
}

static void golden_encode(const char *name, recipe *m, const cJSON *run, const cJSON *outputs) {
    int64_t n, count;
    float *z = read_array(cJSON_GetObjectItem(run, "inputs"), "z", &n);
    float *want = read_array(outputs, "bounded", &count);
    ck_assert_int_eq(n, count);
    int64_t rows = n / m->count;
    float *margin = read_array(outputs, "margin", &count);
    ck_assert_int_eq(rows, count);
    op_case c = {.run = {.fn = encode, .model = m, .compare = near}};
    op_name(&c, "golden %s", name);
    memcpy(op_in(&c, TSR_DTYPE_F32, SHAPE(rows, m->count)), z, (size_t)n * 4);
    float *bounded = op_out(&c, TSR_DTYPE_F32, SHAPE(rows, m->count));
    float *codes = op_out(&c, TSR_DTYPE_F32, SHAPE(rows, m->count));
    int32_t *ids = op_out(&c, TSR_DTYPE_I32, SHAPE(rows));
    op_run(&c);
    double tolerance = number(outputs, "bounded", "tol");
    for (int64_t i = 0; i < n; ++i)
        ck_assert_msg(fabs((double)bounded[i] - want[i]) <= tolerance,
                      "%s: bounded %lld: wanted %.9g, got %.9g", name, (long long)i,
                      (double)want[i], (double)bounded[i]);
    compare_golden(name, m, codes, ids, outputs, margin);
    op_free(&c);
    free(z);
    free(want);
    free(margin);
}

static void golden_round(const char *name, recipe *m, const cJSON *run, const cJSON *outputs) {
    int64_t n;
    float *bounded = read_array(cJSON_GetObjectItem(run, "inputs"), "bounded", &n);
    op_case c = {.run = {.fn = round_only, .model = m, .tolerance = 0}};
    op_name(&c, "golden %s", name);
    memcpy(op_in(&c, TSR_DTYPE_F32, SHAPE(n / m->count, m->count)), bounded, (size_t)n * 4);
    float *codes = op_out(&c, TSR_DTYPE_F32, SHAPE(n / m->count, m->count));
    int32_t *ids = op_out(&c, TSR_DTYPE_I32, SHAPE(n / m->count));
    op_run(&c);
    compare_golden(name, m, codes, ids, outputs, NULL);
    op_free(&c);
    free(bounded);
}

static void golden_codes(const char *name, recipe *m, const cJSON *outputs, int64_t codebook) {
    op_case c = {.run = {.fn = decode, .model = m, .tolerance = 0}};
    op_name(&c, "golden %s", name);
    int32_t *ids = op_in(&c, TSR_DTYPE_I32, SHAPE(codebook));
    uint8_t *codes = op_out(&c, TSR_DTYPE_F32, SHAPE(codebook, m->count));
    for (int64_t i = 0; i < codebook; ++i)
        ids[i] = (int32_t)i;
    op_run(&c);
    uint64_t hash = 0xCBF29CE484222325u; /* FNV-1a over the little-endian floats */
    for (int64_t i = 0; i < codebook * m->count * 4; ++i)
        hash = (hash ^ codes[i]) * 0x100000001B3u;
    const cJSON *table = cJSON_GetArrayItem(outputs, 0);
    uint64_t want = strtoull(cJSON_GetObjectItem(table, "fnv1a64")->valuestring, NULL, 0);
    ck_assert_msg(hash == want, "%s: hash of the code table", name);
    op_free(&c);
}

/* Every run of the case in the folder, of which there are `runs`. */
static void golden_case(const char *folder, int runs) {
    char path[4096];
    golden = folder;
    snprintf(path, sizeof path, "%s/manifest.json", folder);
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s is not there", path);
    char *text = calloc(1, 1 << 20);
    ck_assert_ptr_nonnull(text);
    ck_assert_uint_gt(fread(text, 1, (1 << 20) - 1, f), 0);
    fclose(f);
    cJSON *manifest = cJSON_Parse(text);
    free(text);
    ck_assert_ptr_nonnull(manifest);
    int done = 0;
    const cJSON *run;
    cJSON_ArrayForEach(run, cJSON_GetObjectItem(manifest, "runs")) {
        const char *op = cJSON_GetObjectItem(run, "op")->valuestring;
        const char *name = cJSON_GetObjectItem(run, "name")->valuestring;
        const cJSON *outputs = cJSON_GetObjectItem(run, "outputs"), *level;
        recipe m = {0};
        cJSON_ArrayForEach(level, cJSON_GetObjectItem(run, "levels")) m.levels[m.count++] =
            level->valueint;
        if (!strcmp(op, "fsq"))
            golden_encode(name, &m, run, outputs);
        else if (!strcmp(op, "fsq_round"))
            golden_round(name, &m, run, outputs);
        else if (!strcmp(op, "fsq_codes"))
            golden_codes(name, &m, outputs, cJSON_GetObjectItem(run, "codebook")->valueint);
        else
            ck_abort_msg("unknown op %s", op);
        ++done;
    }
    ck_assert_int_eq(done, runs);
    cJSON_Delete(manifest);
}

START_TEST(golden_cases) {
    golden_case(TESSERA_TESTS FSQ_CASE, 6);
}
END_TEST

START_TEST(every_golden_case) {
    golden_case(TESSERA_SHARED FSQ_CASE, 25);
}
END_TEST

TEST_PARTS("op_fsq",
           PART(own, NULL, encodes_as_float64_does, every_id_decodes_exactly, every_id_comes_back,
                batches_of_any_size_give_the_same_bits, refuses, golden_cases),
           PART(golden, need_shared_golden, every_golden_case))
