/* SPDX-License-Identifier: MIT */
/* Programs in flight: what is begun and ended later gives the bits of tsr_execute, whatever else is
 * on its way; outputs without memory stay on the device. */
#include "compute/device.h"
#include "everywhere.h"
#include "ops/ops.h"
#include "testing.h"

#include <stdio.h>

#include <stdlib.h>
#include <string.h>

enum { ROWS = 300, WIDTH = 64, MOST = 7 };

typedef struct network {
    tsr_weights *weights;
    tsr_weight *w[2];
    float values[2][WIDTH * WIDTH];
} network;

static network *open_network(void) {
    network *n = calloc(1, sizeof *n);
    ck_assert_ptr_nonnull(n);
    ck_assert_int_eq(tsr_weights_open(everywhere_context(), &n->weights), TSR_OK);
    for (int i = 0; i < 2; ++i) {
        const int64_t dim[2] = {WIDTH, WIDTH};
        for (int k = 0; k < WIDTH * WIDTH; ++k)
            n->values[i][k] = ((float)random_below(2001) - 1000) / 8000;
        const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, n->values[i], 2, dim);
        ck_assert_int_eq(tsr_weights_add(everywhere_context(), n->weights, i ? "b" : "a", &t),
                         TSR_OK);
        ck_assert_int_eq(
            tsr_weights_get(everywhere_context(), n->weights, i ? "b" : "a", 2, dim, &n->w[i]),
            TSR_OK);
    }
    return n;
}

/* in: x [N, W]. out: two products; the first product alone; sums of rows [N, 1]. */
static void model(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    const network *n = m;
    out[1] = tsr_linear(r, in[0], n->w[0], NULL);
    out[0] = tsr_linear(r, tsr_unary(r, out[1], TSR_ACT_TANH), n->w[1], NULL);
    out[2] = tsr_reduce(r, out[1], TSR_REDUCE_SUM);
}

typedef struct job {
    int64_t rows;
    float *x, *y[3], *want[3];
    tsr_flight flight;
} job;

static float *floats(int64_t count) {
    float *p = calloc((size_t)count, sizeof *p);
    ck_assert_ptr_nonnull(p);
    return p;
}

static int64_t values_of(const job *j, int output) {
    return j->rows * (output == 2 ? 1 : WIDTH);
}

/* Outputs over y or want; `asked` has a bit for each that has memory. */
static void list_outputs(const job *j, float *const *at, int asked, tsr_tensor *out) {
    for (int i = 0; i < 3; ++i)
        out[i] = tsr_host_tensor(TSR_DTYPE_F32, asked >> i & 1 ? at[i] : NULL, 2,
                                 (int64_t[]){j->rows, i == 2 ? 1 : WIDTH});
}

static job make_job(tsr_device *d, const tsr_program *p, int64_t rows) {
    job j = {.rows = rows, .x = floats(rows * WIDTH)};
    for (int64_t i = 0; i < rows * WIDTH; ++i)
        j.x[i] = ((float)random_below(2001) - 1000) / 1000;
    for (int i = 0; i < 3; ++i) {
        j.y[i] = floats(values_of(&j, i));
        j.want[i] = floats(values_of(&j, i));
    }
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, j.x, 2, (int64_t[]){rows, WIDTH});
    tsr_tensor out[3];
    list_outputs(&j, j.want, 7, out);
    ck_assert_msg(!tsr_execute(d, p, &in, 1, out, 3), "%s", tsr_detail(tsr_device_context(d)));
    return j;
}

static void begin(tsr_device *d, const tsr_program *p, job *j, int asked) {
    tsr_tensor out[3];
    float *own = floats(j->rows * WIDTH);
    memcpy(own, j->x, (size_t)(j->rows * WIDTH) * sizeof *own);
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, own, 2, (int64_t[]){j->rows, WIDTH});
    list_outputs(j, j->y, asked, out);
    ck_assert_msg(!tsr_execute_begin(d, p, &in, 1, out, 3, &j->flight), "%s",
                  tsr_detail(tsr_device_context(d)));
    memset(own, 0xFF, (size_t)(j->rows * WIDTH) * sizeof *own); /* it has been read */
    free(own);
}

static void end(tsr_device *d, job *j, int asked) {
    for (int twice = 0; twice < 2; ++twice)
        ck_assert_int_eq(tsr_execute_end(d, &j->flight), TSR_OK);
    for (int i = 0; i < 3; ++i) {
        const size_t bytes = (size_t)values_of(j, i) * sizeof(float);
        if (asked >> i & 1)
            ck_assert_msg(!memcmp(j->y[i], j->want[i], bytes), "output %d of %d rows differs", i,
                          (int)j->rows);
        else
            for (int64_t k = 0; k < values_of(j, i); ++k)
                ck_assert(j->y[i][k] == 0); /* untouched */
        memset(j->y[i], 0, bytes);
    }
}

static void free_jobs(job *jobs, int count) {
    for (int k = 0; k < count; ++k) {
        free(jobs[k].x);
        for (int i = 0; i < 3; ++i) {
            free(jobs[k].y[i]);
            free(jobs[k].want[i]);
        }
    }
}

static void flights_on(const char *name, const char *mask) {
    tsr_device *d = everywhere_device(name, mask);
    ck_assert_ptr_nonnull(d);
    network *n = open_network();
    const tsr_program p = {.fn = model, .model = n, .name = "flight"};
    static job jobs[MOST];
    for (int k = 0; k < MOST; ++k)
        jobs[k] = make_job(d, &p, k % 3 ? 1 + (int64_t)random_below(ROWS) : ROWS);
    const bool cpu = !strcmp(name, "cpu");
    for (int round = 0; round < 3; ++round) { /* the second time nothing is recorded any more */
        const uint64_t before = tsr_device_traffic_of(d).executions;
        /* pipelined: the next is begun before the last is ended */
        for (int k = 0; k < MOST; ++k) {
            begin(d, &p, &jobs[k], 7);
            if (k) end(d, &jobs[k - 1], 7);
        }
        end(d, &jobs[MOST - 1], 7);
        /* more than there is room for, ended in any order */
        for (int k = 0; k < MOST; ++k)
            begin(d, &p, &jobs[k], 7);
        for (int k = 0; k < MOST; ++k)
            end(d, &jobs[(k * 3 + 2) % MOST], 7);
        /* a whole execution between */
        begin(d, &p, &jobs[0], 7);
        const tsr_tensor in =
            tsr_host_tensor(TSR_DTYPE_F32, jobs[1].x, 2, (int64_t[]){jobs[1].rows, WIDTH});
        tsr_tensor out[3];
        list_outputs(&jobs[1], jobs[1].y, 7, out);
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, out, 3), TSR_OK);
        end(d, &jobs[1], 7);
        end(d, &jobs[0], 7);
        ck_assert_uint_eq(tsr_device_traffic_of(d).executions - before, 2 * MOST + 2);
    }
    /* outputs that nobody asks for */
    for (int asked = 1; asked < 8; ++asked)
        for (int round = 0; round < 2; ++round) {
            const uint64_t before = tsr_device_traffic_of(d).bytes_down;
            uint64_t want = 0;
            begin(d, &p, &jobs[0], asked);
            begin(d, &p, &jobs[1], 7 - asked ? 7 - asked : 7);
            end(d, &jobs[0], asked);
            end(d, &jobs[1], 7 - asked ? 7 - asked : 7);
            for (int i = 0; i < 3; ++i) {
                if (asked >> i & 1) want += (uint64_t)values_of(&jobs[0], i) * 4;
                if (asked == 7 || !(asked >> i & 1)) want += (uint64_t)values_of(&jobs[1], i) * 4;
            }
            ck_assert_uint_eq(tsr_device_traffic_of(d).bytes_down - before, cpu ? 0 : want);
        }
    const tsr_device_traffic t = tsr_device_traffic_of(d);
    ck_assert(t.busy > 0);
    ck_assert(cpu ? t.host_waited == 0 : t.host_waited > 0);
    tsr_device_forget(d, n);
    tsr_weights_close(&n->weights);
    free_jobs(jobs, MOST);
    free(n);
}

START_TEST(on_cpu) {
    flights_on("cpu", NULL);
}
END_TEST

START_TEST(on_vulkan) {
    for (int i = 0; i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        flights_on(name, NULL);
        flights_on(name, "in_flight");
    }
}
END_TEST

static void refusals_on(const char *name) {
    tsr_device *d = everywhere_device(name, NULL);
    tsr_context *ctx = tsr_device_context(d);
    network *n = open_network();
    const tsr_program p = {.fn = model, .model = n, .name = "flight"};
    job j = make_job(d, &p, 5), other = make_job(d, &p, 5);
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, j.x, 2, (int64_t[]){5, WIDTH});
    tsr_tensor out[3];
    list_outputs(&j, j.y, 7, out);
    out[1].dim[0] = 6; /* a wrong size is refused, and what is on its way arrives */
    begin(d, &p, &other, 7);
    tsr_flight none = {0};
    for (int i = 0; i < 2; ++i) {
        tsr_flight *flight = i ? &none : &j.flight;
        const tsr_status status = tsr_execute_begin(d, &p, &in, 1, out, 3, flight);
        ck_assert_int_eq(status, TSR_ERROR_ARGUMENT);
        ck_assert_str_eq(tsr_detail(ctx), "flight: output 1: wanted F32 [6, 64], got F32 [5, 64]");
        ck_assert(!flight->pending);
    }
    if (other.flight.pending) { /* a flight is begun once */
        list_outputs(&other, other.y, 7, out);
        ck_assert_int_eq(tsr_execute_begin(d, &p, &in, 1, out, 3, &other.flight), TSR_ERROR_STATE);
    }
    end(d, &other, 7);
    /* a model that is forgotten on its way arrives first */
    begin(d, &p, &other, 7);
    tsr_device_forget(d, n);
    end(d, &other, 7);
    job both[2] = {j, other};
    free_jobs(both, 2);
    tsr_weights_close(&n->weights);
    free(n);
}

START_TEST(refusals) {
    refusals_on("cpu");
    if (everywhere_has_vulkan()) refusals_on("vulkan:0");
}
END_TEST

TEST_MAIN("flights", on_cpu, refusals, on_vulkan)
