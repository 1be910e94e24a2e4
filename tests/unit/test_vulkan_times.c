/* SPDX-License-Identifier: MIT */
/* Times of ops on a Vulkan device (compute/times.h), and how recordings are cut into submissions
 * and dispatches: sums and their order, that timing changes no bit, and that a product cut into
 * many dispatches gives the bits of the whole one. */
#include "compute/times.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "compute/op.h"
#include "everywhere.h"
#include "needs.h"
#include "ops/ops.h"

/* ---- sums alone ---- */

START_TEST(sums_are_kept_by_program_op_and_shape) {
    tsr_context *ctx = everywhere_context();
    tsr_times t = {0};
    ck_assert_int_eq(tsr_times_program(ctx, &t, "a"), 0);
    ck_assert_int_eq(tsr_times_program(ctx, &t, NULL), 1);
    ck_assert_int_eq(tsr_times_program(ctx, &t, "a"), 0);
    tsr_timed_op linear = {.op = "linear", .shader = "linear_sm", .shape = "[1,2]"};
    ck_assert_int_eq(tsr_times_op(ctx, &t, &linear), 0);
    ck_assert_int_eq(tsr_times_op(ctx, &t, &linear), 0);
    snprintf(linear.shape, sizeof linear.shape, "[1,3]");
    ck_assert_int_eq(tsr_times_op(ctx, &t, &linear), 1);
    linear.shader = "linear_sg";
    ck_assert_int_eq(tsr_times_op(ctx, &t, &linear), 2);
    linear.program = 1;
    ck_assert_int_eq(tsr_times_op(ctx, &t, &linear), 3);
    for (int i = 0; i < 100; ++i) { /* more than the first room */
        char shape[32];
        snprintf(shape, sizeof shape, "%d", i);
        tsr_timed_op other = {.op = "add", .shader = "pointwise"};
        snprintf(other.shape, sizeof other.shape, "%s", shape);
        ck_assert_int_eq(tsr_times_op(ctx, &t, &other), 4 + i);
    }
    t.ops[1].seconds = 3, t.ops[50].seconds = 5, t.ops[2].seconds = 4, t.ops[3].seconds = 9;
    int order[104];
    ck_assert_int_eq(tsr_times_slowest(&t, 0, order), 103);
    ck_assert_int_eq(order[0], 50);
    ck_assert_int_eq(order[1], 2);
    ck_assert_int_eq(order[2], 1);
    ck_assert_int_eq(order[3], 0); /* equal ones in the order they came */
    ck_assert_int_eq(order[4], 4);
    ck_assert_int_eq(tsr_times_slowest(&t, 1, order), 1);
    ck_assert_int_eq(order[0], 3);
    tsr_times_free(&t);
    ck_assert_int_eq(t.op_count, 0);
}
END_TEST

START_TEST(what_bounds_an_op) {
    tsr_timed_op op = {.multiply_adds = 800, .bytes = 100};
    ck_assert_int_eq(tsr_timed_bound(&op), TSR_BOUND_ARITHMETIC);
    op.bytes = 101;
    ck_assert_int_eq(tsr_timed_bound(&op), TSR_BOUND_MEMORY);
    op.multiply_adds = op.bytes = 0;
    ck_assert_int_eq(tsr_timed_bound(&op), TSR_BOUND_MEMORY);
}
END_TEST

START_TEST(the_cpu_device_has_no_timestamps) {
    tsr_device *d = everywhere_device("cpu", NULL);
    ck_assert_int_eq(tsr_device_time_ops(d, true), TSR_ERROR_UNSUPPORTED);
    ck_assert_int_eq(tsr_device_time_ops(d, false), TSR_OK);
    ck_assert_int_eq(tsr_device_times(d)->op_count, 0);
}
END_TEST

/* ---- a model of products ---- */

enum { ROWS = 300, WIDTH = 64, COLUMNS = 96, SIDE = 24, CHANNELS = 12, KERNELS = 20, CODES = 256 };

typedef struct products {
    tsr_weights *weights;
    tsr_weight *linear, *bias, *kernel;
} products;

static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const products *p = model;
    tsr_tensor *gate = in[3];
    out[0] = tsr_linear(
        r, in[0], p->linear,
        &(tsr_epilogue){.bias = p->bias, .act = TSR_ACT_GELU, .gate = gate, .gate_rows = ROWS / 3});
    out[1] = tsr_conv2d(r, in[1], p->kernel,
                        &(tsr_conv_spec){.top = 1, .bottom = 1, .left = 1, .right = 1});
    out[2] = tsr_nearest_code(r, in[0], in[2], NULL, TSR_METRIC_EUCLID, &out[3]);
}

typedef struct operands {
    products p;
    tsr_tensor in[4], out[4];
} operands;

static void give(tsr_tensor *t, tsr_dtype dtype, int rank, const int64_t *dim) {
    *t = tsr_host_tensor(dtype, NULL, rank, dim);
    t->data = guarded((size_t)tsr_elements(t) * 4);
    if (dtype == TSR_DTYPE_F32) random_normals(t->data, tsr_elements(t));
}

static float *kept[3]; /* values of the weights, which are not copied */
static int kept_count;

static tsr_weight *weigh(tsr_weights *w, const char *name, int rank, const int64_t *dim) {
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    float *data = calloc((size_t)tsr_elements(&t), sizeof *data);
    random_normals(data, tsr_elements(&t));
    t.data = kept[kept_count++] = data;
    ck_assert_int_eq(tsr_weights_add(everywhere_context(), w, name, &t), TSR_OK);
    return tsr_weights_find(w, name);
}

static void open_operands(operands *o) {
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &o->p.weights), TSR_OK);
    o->p.linear = weigh(o->p.weights, "w", 2, (int64_t[]){COLUMNS, WIDTH});
    o->p.bias = weigh(o->p.weights, "b", 1, (int64_t[]){COLUMNS});
    o->p.kernel = weigh(o->p.weights, "k", 4, (int64_t[]){KERNELS, CHANNELS, 3, 3});
    give(&o->in[0], TSR_DTYPE_F32, 2, (int64_t[]){ROWS, WIDTH});
    give(&o->in[1], TSR_DTYPE_F32, 4, (int64_t[]){2, SIDE, SIDE, CHANNELS});
    give(&o->in[2], TSR_DTYPE_F32, 2, (int64_t[]){CODES, WIDTH});
    give(&o->in[3], TSR_DTYPE_F32, 2, (int64_t[]){3, COLUMNS});
    give(&o->out[0], TSR_DTYPE_F32, 2, (int64_t[]){ROWS, COLUMNS});
    give(&o->out[1], TSR_DTYPE_F32, 4, (int64_t[]){2, SIDE, SIDE, KERNELS});
    give(&o->out[2], TSR_DTYPE_I32, 1, (int64_t[]){ROWS});
    give(&o->out[3], TSR_DTYPE_F32, 1, (int64_t[]){ROWS});
}

static void close_operands(operands *o) {
    for (int i = 0; i < 4; ++i)
        guarded_free(o->in[i].data), guarded_free(o->out[i].data);
    tsr_weights_close(&o->p.weights);
    while (kept_count)
        free(kept[--kept_count]);
}

static void execute(tsr_device *d, operands *o) {
    const tsr_program p = {.fn = walk, .model = &o->p, .name = "products"};
    for (int i = 0; i < 4; ++i)
        memset(o->out[i].data, 0xFF, (size_t)tsr_elements(&o->out[i]) * 4);
    const tsr_status status = tsr_execute(d, &p, o->in, 4, o->out, 4);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(tsr_device_context(d)));
}

/* What the recorder said last about submissions and pieces. */
typedef struct recorder_said {
    int submissions, cut, pieces, tables;
} recorder_said;

static void listen(void *user, tsr_log_level level, const char *text) {
    recorder_said *s = user;
    const char *at = strstr(text, " dispatches, ");
    recorder_said now = *s;
    if (level == TSR_LOG_DEBUG && at &&
        sscanf(at, " dispatches, %d submissions; %d dispatches cut into %d", &now.submissions,
               &now.cut, &now.pieces) == 3)
        *s = now;
    if (level == TSR_LOG_DEBUG && strstr(text, "a run on the device")) ++s->tables;
}

static tsr_device *open_device(tsr_context *ctx, int index, const tsr_device_settings *settings) {
    char name[32];
    snprintf(name, sizeof name, "vulkan:%d", index);
    tsr_device_settings s = *settings;
    s.name = name;
    const char *validation = getenv("TESSERA_VALIDATION");
    s.validation = validation && !strcmp(validation, "1");
    tsr_device *d = NULL;
    const tsr_status status = tsr_device_open(ctx, &d, &s);
    ck_assert_msg(status == TSR_OK, "%s: %s", name, tsr_detail(ctx));
    return d;
}

static tsr_context *listening(recorder_said *said) {
    tsr_context_settings s = tsr_context_settings_default();
    s.log = listen;
    s.log_user = said;
    s.log_level = TSR_LOG_DEBUG;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

/* Copies of the outputs, one after the other. */
static uint8_t *keep(const operands *o, size_t *bytes) {
    *bytes = 0;
    for (int i = 0; i < 4; ++i)
        *bytes += (size_t)tsr_elements(&o->out[i]) * 4;
    uint8_t *all = malloc(*bytes);
    for (size_t i = 0, at = 0; i < 4; ++i) {
        const size_t n = (size_t)tsr_elements(&o->out[i]) * 4;
        memcpy(all + at, o->out[i].data, n);
        at += n;
    }
    return all;
}

static void same(const operands *o, const uint8_t *want, const char *what) {
    size_t bytes;
    uint8_t *got = keep(o, &bytes);
    ck_assert_msg(!memcmp(got, want, bytes), "%s: other bits", what);
    free(got);
}

START_TEST(pieces_give_the_bits_of_the_whole) {
    /* forms that a device may choose, one after the other */
    static const char *const masks[] = {NULL, "int64", "subgroup"};
    recorder_said said = {0};
    tsr_context *ctx = listening(&said);
    operands o = {0};
    open_operands(&o);
    for (int i = 0; i < everywhere_vulkan_count(); ++i)
        for (size_t m = 0; m < sizeof masks / sizeof *masks; ++m)
            for (int fast = 0; fast < (m == 1 ? 1 : 2); ++fast) {
                tsr_device_settings s = tsr_device_settings_default();
                s.mask = masks[m];
                s.precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
                tsr_device *whole = open_device(ctx, i, &s);
                execute(whole, &o);
                ck_assert_int_eq(said.cut, 0);
                size_t bytes;
                uint8_t *want = keep(&o, &bytes);
                tsr_device_close(&whole);
                /* 50 ms of these rates are a third of a product and a few rows; the last of all has
                 * submissions for single pieces, too */
                static const double rates[] = {20.0 * ROWS * WIDTH * COLUMNS / 3, 20000, 20};
                for (int k = 0; k < 3; ++k) {
                    s.rate = rates[k];
                    s.submission = k == 2 ? 1 : 0;
                    tsr_device *cut = open_device(ctx, i, &s);
                    execute(cut, &o);
                    ck_assert_int_ge(said.cut, 3);
                    ck_assert_int_ge(said.pieces, (k ? 4 : 2) * said.cut);
                    ck_assert_int_ge(said.submissions, k == 2 ? said.pieces : 1);
                    same(&o, want, "first run in pieces");
                    execute(cut, &o);
                    same(&o, want, "replay in pieces");
                    tsr_device_close(&cut);
                }
                free(want);
            }
    close_operands(&o);
    tsr_context_close(&ctx);
}
END_TEST

static const tsr_timed_op *find(const tsr_times *t, const char *name) {
    for (int i = 0; i < t->op_count; ++i)
        if (!strcmp(t->ops[i].op, name)) return &t->ops[i];
    ck_abort_msg("no times of %s", name);
}

static void check_times(const tsr_times *t, uint64_t runs) {
    ck_assert_int_eq(t->program_count, 1);
    const tsr_timed_program *p = &t->programs[0];
    ck_assert_str_eq(p->name, "products");
    ck_assert_uint_eq(p->runs, runs);
    const tsr_timed_op *linear = find(t, "linear"), *conv = find(t, "conv2d"),
                       *nearest = find(t, "nearest_code"), *in = find(t, "copy in");
    const double n = (double)runs;
    ck_assert_uint_eq(linear->count, runs);
    ck_assert_double_eq(linear->multiply_adds, n * ROWS * WIDTH * COLUMNS);
    ck_assert_double_eq(conv->multiply_adds, n * 2 * SIDE * SIDE * KERNELS * CHANNELS * 9);
    ck_assert_double_eq(nearest->multiply_adds, n * ROWS * WIDTH * CODES);
    ck_assert_double_eq(
        linear->bytes,
        n * 4 * (ROWS * WIDTH + WIDTH * COLUMNS + COLUMNS + 3 * COLUMNS + ROWS * COLUMNS));
    ck_assert_double_eq(
        in->bytes,
        n * 4 * (ROWS * WIDTH + 2 * SIDE * SIDE * CHANNELS + CODES * WIDTH + 3 * COLUMNS));
    ck_assert_msg(strstr(linear->shape, "[300, 64]") && strstr(linear->shape, "-> [300, 96]"), "%s",
                  linear->shape);
    double inside = 0;
    for (int i = 0; i < t->op_count; ++i) {
        ck_assert_msg(t->ops[i].seconds >= 0, "%s: %g s", t->ops[i].op, t->ops[i].seconds);
        inside += t->ops[i].seconds;
    }
    ck_assert_double_gt(p->seconds, 0);
    ck_assert_double_lt(p->seconds, 600);
    ck_assert_double_le(inside, p->seconds * (1 + 1e-9));
    ck_assert_double_gt(linear->seconds + conv->seconds + nearest->seconds, 0);
}

static void check_json(const tsr_times *t) {
    char *text = NULL;
    ck_assert_int_eq(tsr_times_json(everywhere_context(), t, 0, &text), TSR_OK);
    cJSON *list = cJSON_Parse(text);
    ck_assert_int_eq(cJSON_GetArraySize(list), t->op_count);
    double before = INFINITY, share = 0;
    const cJSON *row;
    cJSON_ArrayForEach(row, list) {
        const double ms = cJSON_GetObjectItem(row, "ms")->valuedouble;
        ck_assert_double_le(ms, before);
        before = ms;
        share += cJSON_GetObjectItem(row, "share")->valuedouble;
        ck_assert_double_eq(cJSON_GetObjectItem(row, "count")->valuedouble, 1);
    }
    ck_assert_double_le(share, 1 + 1e-9);
    cJSON_Delete(list);
    free(text);
}

START_TEST(ops_are_timed_and_stay_the_same_bits) {
    operands o = {0};
    open_operands(&o);
    tsr_context *ctx = everywhere_context();
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        tsr_device_settings s = tsr_device_settings_default();
        tsr_device *d = open_device(ctx, i, &s);
        execute(d, &o);
        ck_assert_int_eq(tsr_device_times(d)->op_count, 0); /* off */
        size_t bytes;
        uint8_t *want = keep(&o, &bytes);
        if (tsr_device_time_ops(d, true)) {
            leave_out("%s", tsr_detail(ctx));
            tsr_device_close(&d);
            free(want);
            continue;
        }
        for (int k = 0; k < 3; ++k) {
            execute(d, &o);
            same(&o, want, "timed");
        }
        check_times(tsr_device_times(d), 3);
        check_json(tsr_device_times(d));
        ck_assert_int_eq(tsr_device_time_ops(d, true), TSR_OK); /* anew, with an old recording */
        execute(d, &o);
        check_times(tsr_device_times(d), 1);
        ck_assert_int_eq(tsr_device_time_ops(d, false), TSR_OK);
        execute(d, &o);
        same(&o, want, "off again");
        check_times(tsr_device_times(d), 1);
        tsr_device_close(&d);
        free(want);
    }
    close_operands(&o);
}
END_TEST

/* A context that logs DEBUG has ops timed, in pieces too, and a table when the device is closed. */
START_TEST(a_table_is_logged) {
    recorder_said said = {0};
    tsr_context *ctx = listening(&said);
    operands o = {0};
    open_operands(&o);
    tsr_device_settings s = tsr_device_settings_default();
    s.rate = 20000;
    tsr_device *d = open_device(ctx, 0, &s);
    execute(d, &o);
    execute(d, &o);
    const bool timed = tsr_device_times(d)->op_count > 0;
    if (timed) check_times(tsr_device_times(d), 2);
    if (!timed) leave_out("vulkan:0 has no timestamps");
    tsr_device_close(&d);
    ck_assert_int_eq(said.tables, timed);
    close_operands(&o);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("vulkan_times",
           PART(own, NULL, sums_are_kept_by_program_op_and_shape, what_bounds_an_op,
                the_cpu_device_has_no_timestamps),
           PART(device, need_vulkan, pieces_give_the_bits_of_the_whole,
                ops_are_timed_and_stay_the_same_bits, a_table_is_logged))
