/* SPDX-License-Identifier: MIT */
/* bench_device.c: what a GPU does with single ops at the sizes that models of 256 x 256 pictures
 * have at batches of 1, 16 and 128, timed by its own clock; and what stands around ops: an empty
 * dispatch with its barrier, submissions of several sizes, copies to the device and back.
 *
 * Operands are made on the device from a few rows, and results reduced to a column, so that neither
 * has to travel. Rows have the op's own time (op_ms, op_tflops, op_gbs) beside the whole program's.
 * On software devices, which would need minutes, only with a filter that begins with "gpu". */
#include "bench.h"
#include "../compute/details.h"
#include "../compute/weights.h"
#include "../ops/ops.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { LINEAR, CONV, ATTENTION, NEAREST, GROUP_NORM, LAYER_NORM, COPY } kind;

enum { TABLE = 251 }; /* rows that operands are made of */

typedef struct device_row {
    const char *name;
    kind kind;
    const char *op;             /* that is timed */
    int64_t batch, rows, depth; /* x [batch, rows, depth]; CONV, GROUP_NORM: rows pixels each way */
    int64_t other;              /* LINEAR, CONV: columns; ATTENTION: heads; NEAREST: codes */
} device_row;

static const device_row rows[] = {
    {"gpu linear 385x512x1536", LINEAR, "linear", 1, 385, 512, 1536},
    {"gpu linear 385x512x512", LINEAR, "linear", 1, 385, 512, 512},
    {"gpu linear 385x512x2048", LINEAR, "linear", 1, 385, 512, 2048},
    {"gpu linear 385x2048x512", LINEAR, "linear", 1, 385, 2048, 512},
    {"gpu linear 385x768x3072", LINEAR, "linear", 1, 385, 768, 3072},
    {"gpu linear 6160x512x1536", LINEAR, "linear", 1, 6160, 512, 1536},
    {"gpu linear 6160x512x512", LINEAR, "linear", 1, 6160, 512, 512},
    {"gpu linear 6160x512x2048", LINEAR, "linear", 1, 6160, 512, 2048},
    {"gpu linear 6160x2048x512", LINEAR, "linear", 1, 6160, 2048, 512},
    {"gpu linear 6160x768x3072", LINEAR, "linear", 1, 6160, 768, 3072},
    {"gpu linear 49280x512x1536", LINEAR, "linear", 1, 49280, 512, 1536},
    {"gpu linear 49280x512x512", LINEAR, "linear", 1, 49280, 512, 512},
    {"gpu linear 49280x512x2048", LINEAR, "linear", 1, 49280, 512, 2048},
    {"gpu linear 49280x2048x512", LINEAR, "linear", 1, 49280, 2048, 512},
    {"gpu linear 49280x768x3072", LINEAR, "linear", 1, 49280, 768, 3072},
    {"gpu conv2d 1x16x16x512", CONV, "conv2d", 1, 16, 512, 512},
    {"gpu conv2d 1x64x64x256", CONV, "conv2d", 1, 64, 256, 256},
    {"gpu conv2d 1x256x256x128", CONV, "conv2d", 1, 256, 128, 128},
    {"gpu conv2d 8x16x16x512", CONV, "conv2d", 8, 16, 512, 512},
    {"gpu conv2d 8x64x64x256", CONV, "conv2d", 8, 64, 256, 256},
    {"gpu conv2d 8x256x256x128", CONV, "conv2d", 8, 256, 128, 128},
    {"gpu conv2d 64x16x16x512", CONV, "conv2d", 64, 16, 512, 512},
    {"gpu conv2d 64x64x64x256", CONV, "conv2d", 64, 64, 256, 256},
    {"gpu conv2d 64x256x256x128", CONV, "conv2d", 64, 256, 128, 128},
    {"gpu attention 16x385 d64 h8", ATTENTION, "attention", 16, 385, 512, 8},
    {"gpu attention 16x1024 d64 h12", ATTENTION, "attention", 16, 1024, 768, 12},
    {"gpu attention 16x256 d512 h1", ATTENTION, "attention", 16, 256, 512, 1},
    {"gpu nearest_code 4096 of 16384 d8", NEAREST, "nearest_code", 1, 4096, 8, 16384},
    {"gpu nearest_code 4096 of 65536 d256", NEAREST, "nearest_code", 1, 4096, 256, 65536},
    {"gpu group_norm 8x64x64x256", GROUP_NORM, "group_norm", 8, 64, 256, 0},
    {"gpu group_norm 8x256x256x128", GROUP_NORM, "group_norm", 8, 256, 128, 0},
    {"gpu layer_norm 6160x512", LAYER_NORM, "layer_norm", 1, 6160, 512, 0},
    {"gpu layer_norm 49280x768", LAYER_NORM, "layer_norm", 1, 49280, 768, 0},
    {"gpu scale 6160x512", COPY, "pointwise", 1, 6160, 512, 0},
    {"gpu scale 49280x768", COPY, "pointwise", 1, 49280, 768, 0},
};

static bool is_map(const device_row *r) {
    return r->kind == CONV || r->kind == GROUP_NORM;
}

static int64_t positions(const device_row *r) {
    return r->batch * r->rows * (is_map(r) ? r->rows : 1);
}

typedef struct device_bench {
    tsr_bencher *b;
    tsr_bench_device *d;
    tsr_device *device;
    const device_row *row;
    tsr_weights *weights;
    tsr_weight *w;
    float *values; /* of w */
    tsr_program program;
    tsr_tensor in[3], out;
    int in_count;
} device_bench;

static void walk(tsr_run *run, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const device_bench *m = model;
    const device_row *r = m->row;
    const int64_t map[] = {r->batch, r->rows, r->rows, r->depth};
    const int64_t list[] = {r->batch, r->rows, r->depth};
    tsr_tensor *x = tsr_gather_rows(run, in[0], in[1]), *y = NULL;
    if (is_map(r))
        x = tsr_reshape(run, x, 4, map);
    else if (r->kind != NEAREST)
        x = tsr_reshape(run, x, 3, list);
    switch (r->kind) {
    case LINEAR:
        y = tsr_linear(run, x, m->w, NULL);
        break;
    case CONV:
        y = tsr_conv2d(run, x, m->w,
                       &(tsr_conv_spec){.top = 1, .bottom = 1, .left = 1, .right = 1});
        break;
    case ATTENTION:
        y = tsr_attention(run, x, x, x, &(tsr_attention_spec){.heads = (int)r->other});
        break;
    case NEAREST:
        out[0] = tsr_nearest_code(run, x, tsr_gather_rows(run, in[0], in[2]), NULL,
                                  TSR_METRIC_EUCLID, NULL);
        return;
    case GROUP_NORM:
        y = tsr_group_norm(run, x, &(tsr_group_norm_spec){.eps = 1e-6f});
        break;
    case LAYER_NORM:
        y = tsr_layer_norm(run, x, &(tsr_norm_spec){.eps = 1e-6f});
        break;
    case COPY:
        y = tsr_scale(run, x, 1.5f, 0.5f);
        break;
    }
    out[0] = tsr_reduce(run, y, TSR_REDUCE_MEAN);
}

static tsr_status execute(void *arg) {
    device_bench *m = arg;
    const tsr_status s =
        tsr_execute(m->device, &m->program, m->in, m->in_count, &m->out, m->out.data ? 1 : 0);
    if (s != TSR_ERROR_TOO_LARGE) return s;
    char why[512];
    snprintf(why, sizeof why, "%s", tsr_detail(m->b->ctx));
    return tsr_fail(m->b->ctx, TSR_ERROR_UNSUPPORTED, "%s", why); /* of this device: no failure */
}

static void take_ids(device_bench *m, int64_t n) {
    tsr_tensor *t = &m->in[m->in_count++];
    *t = tsr_host_tensor(TSR_DTYPE_I32, NULL, 1, &n);
    int32_t *ids = t->data = tsr_alloc(m->b->ctx, (size_t)n, sizeof *ids, "benchmark operand");
    for (int64_t i = 0; ids && i < n; ++i)
        ids[i] = (int32_t)((i * 7919 + i / TABLE) % TABLE);
}

static void take_out(device_bench *m, tsr_dtype dtype, int64_t n) {
    m->out = tsr_host_tensor(dtype, NULL, 1, &n);
    m->out.data = tsr_alloc(m->b->ctx, (size_t)n, 4, "benchmark result");
}

static void take_table(device_bench *m, int64_t depth) {
    float *table = tsr_bench_floats(m->b->ctx, (size_t)(TABLE * depth), 1);
    m->in[m->in_count++] =
        tsr_host_tensor(TSR_DTYPE_F32, table, 2, (const int64_t[]){TABLE, depth});
}

static tsr_status take_weight(device_bench *m, int rank, const int64_t *dim) {
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    tsr_status s = tsr_weights_open(m->b->ctx, &m->weights);
    float *data = s ? NULL : tsr_bench_floats(m->b->ctx, (size_t)tsr_elements(&t), 2);
    if (!data) return s ? s : TSR_ERROR_MEMORY;
    t.data = m->values = data; /* they stay ours */
    s = tsr_weights_add(m->b->ctx, m->weights, "w", &t);
    return s ? s : tsr_weights_get(m->b->ctx, m->weights, "w", rank, dim, &m->w);
}

static void close_bench(device_bench *m) {
    if (m->device && m->program.model) tsr_device_forget(m->device, m->program.model);
    for (int i = 0; i < m->in_count; ++i)
        free(m->in[i].data);
    free(m->out.data);
    tsr_weights_close(&m->weights);
    free(m->values);
}

static tsr_status open_row(device_bench *m) {
    const device_row *r = m->row;
    m->program = (tsr_program){.fn = walk, .model = m, .name = r->name};
    take_table(m, r->depth);
    take_ids(m, positions(r));
    if (r->kind == NEAREST) take_ids(m, r->other);
    take_out(m, r->kind == NEAREST ? TSR_DTYPE_I32 : TSR_DTYPE_F32, positions(r));
    for (int i = 0; i < m->in_count; ++i)
        if (!m->in[i].data) return TSR_ERROR_MEMORY;
    if (!m->out.data) return TSR_ERROR_MEMORY;
    return r->kind == LINEAR ? take_weight(m, 2, (const int64_t[]){r->other, r->depth})
           : r->kind == CONV ? take_weight(m, 4, (const int64_t[]){r->other, r->depth, 3, 3})
                             : TSR_OK;
}

static tsr_status time_program(device_bench *m, const char *name, const char *op, int items) {
    const tsr_bench_row row = {.name = name,
                               .by = "tessera",
                               .dtype = tsr_bench_dtype(m->b),
                               .device = &m->d->info,
                               .items = items,
                               .timed = m->device,
                               .timed_op = op};
    return tsr_bench_time(m->b, &row, execute, m);
}

static tsr_status bench_row(tsr_bencher *b, tsr_bench_device *d, int index, const device_row *r) {
    device_bench m = {.b = b, .d = d, .row = r};
    if (!(m.device = tsr_bench_open(b, index, r->name))) return TSR_OK;
    tsr_status s = open_row(&m);
    if (!s) s = time_program(&m, r->name, r->op, 1);
    close_bench(&m);
    return s;
}

/* ---- what stands around ops ---- */

enum { EMPTY = 1000 };

static void walk_empty(tsr_run *run, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *x = in[0];
    for (int i = 0; i < EMPTY; ++i) /* each reads what the last wrote: a barrier between */
        x = tsr_scale(run, x, 1, 0);
    out[0] = x;
}

static void walk_up(tsr_run *run, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_reduce(run, in[0], TSR_REDUCE_MEAN);
}

static void walk_down(tsr_run *run, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_gather_rows(run, in[0], in[1]);
}

static tsr_status bench_empty(tsr_bencher *b, tsr_bench_device *d, int index) {
    const char *name = "gpu empty dispatch and barrier";
    device_bench m = {.b = b, .d = d};
    if (!tsr_bench_wants(b, name) || !(m.device = tsr_bench_open(b, index, name))) return TSR_OK;
    m.program = (tsr_program){.fn = walk_empty, .model = &m, .name = name};
    m.in[m.in_count++] =
        tsr_host_tensor(TSR_DTYPE_F32, tsr_bench_floats(b->ctx, 1, 1), 1, (const int64_t[]){1});
    take_out(&m, TSR_DTYPE_F32, 1);
    const tsr_status s =
        m.in[0].data && m.out.data ? time_program(&m, name, "pointwise", EMPTY) : TSR_ERROR_MEMORY;
    close_bench(&m);
    return s;
}

/* host_ms of these rows is what the host needs to copy the bytes into, or out of, the memory that
 * both see, and to submit. */
static tsr_status bench_copies(tsr_bencher *b, tsr_bench_device *d, int index, bool up) {
    enum { WIDTH = 1024 };
    const int64_t mib = d->info.software ? 16 : 256, count = mib * 256;
    char name[64];
    snprintf(name, sizeof name, "gpu %s %d MiB", up ? "upload" : "download", (int)mib);
    device_bench m = {.b = b, .d = d};
    if (!tsr_bench_wants(b, name) || !(m.device = tsr_bench_open(b, index, name))) return TSR_OK;
    m.program = (tsr_program){.fn = up ? walk_up : walk_down, .model = &m, .name = name};
    if (up) {
        float *x = tsr_bench_floats(b->ctx, (size_t)(count * WIDTH), 1);
        m.in[m.in_count++] = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (const int64_t[]){count, WIDTH});
        take_out(&m, TSR_DTYPE_F32, count);
    } else {
        take_table(&m, WIDTH);
        take_ids(&m, count);
        take_out(&m, TSR_DTYPE_F32, count * WIDTH);
    }
    tsr_status s = m.in[0].data && m.out.data && (up || m.in[1].data) ? TSR_OK : TSR_ERROR_MEMORY;
    if (!s) s = time_program(&m, name, up ? "copy in" : "copy out", 1);
    close_bench(&m);
    return s;
}

/* ---- submissions ---- */

enum { PRODUCTS = 64 };

static void walk_products(tsr_run *run, const void *model, tsr_tensor *const *in,
                          tsr_tensor **out) {
    const device_bench *m = model;
    tsr_tensor *x = tsr_gather_rows(run, in[0], in[1]);
    for (int i = 0; i < PRODUCTS; ++i)
        x = tsr_linear(run, x, m->w, NULL);
    out[0] = tsr_reduce(run, x, TSR_REDUCE_MEAN);
}

/* The same 64 products in submissions of one, 4, 16 and 64 of them. */
static tsr_status bench_submissions(tsr_bencher *b, tsr_bench_device *d) {
    const int64_t width = d->info.software ? 256 : 2048, count = d->info.software ? 128 : 1024;
    const int each = d->info.software ? 23 : 32; /* log2 of a product's multiply-adds */
    tsr_status s = TSR_OK;
    for (int k = 0; k <= 6 && !s; k += 2) {
        char name[64];
        snprintf(name, sizeof name, "gpu 2^%d in submissions of 2^%d", each + 6, each + k);
        if (!tsr_bench_wants(b, name)) continue;
        device_bench m = {.b = b, .d = d};
        m.device = tsr_bench_open_for(b, d, name, (double)((uint64_t)1 << (each + k)));
        if (!m.device) continue;
        m.program = (tsr_program){.fn = walk_products, .model = &m, .name = name};
        take_table(&m, width);
        take_ids(&m, count);
        take_out(&m, TSR_DTYPE_F32, count);
        s = m.in[0].data && m.in[1].data && m.out.data
                ? take_weight(&m, 2, (const int64_t[]){width, width})
                : TSR_ERROR_MEMORY;
        if (!s) s = time_program(&m, name, "linear", 1);
        close_bench(&m);
        tsr_device_close(&m.device);
    }
    return s;
}

/* A row without times: what the device is. */
static tsr_status describe(tsr_bencher *b, const tsr_bench_device *d) {
    char *details = NULL;
    const char *name = "gpu device";
#ifdef TESSERA_WITH_VULKAN
    const tsr_status s = tsr_vulkan_details(b->ctx, d->info.index, &details);
#else
    const tsr_status s = tsr_fail(b->ctx, TSR_ERROR_UNSUPPORTED, "this build has no Vulkan");
#endif
    cJSON *j = cJSON_CreateObject();
    char device[32];
    snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    cJSON_AddStringToObject(j, "name", name);
    cJSON_AddStringToObject(j, "by", "tessera");
    cJSON_AddStringToObject(j, "device", device);
    if (s)
        cJSON_AddStringToObject(j, "skipped", tsr_detail(b->ctx));
    else
        cJSON_AddItemToObject(j, "details", cJSON_Parse(details));
    free(details);
    return tsr_bench_row_give(b, j);
}

tsr_status tsr_bench_describe(tsr_bencher *b) {
    tsr_status s = TSR_OK;
    for (int i = 0; i < b->device_count && !s; ++i)
        if (b->devices[i].info.kind == TSR_DEVICE_VULKAN) s = describe(b, &b->devices[i]);
    return s;
}

tsr_status tsr_bench_suite_device(tsr_bencher *b) {
    const char *filter = b->settings.filter;
    const bool asked = filter && !strncmp(filter, "gpu", 3);
    tsr_status s = TSR_OK;
    for (int i = 0; i < b->device_count && !s; ++i) {
        tsr_bench_device *d = &b->devices[i];
        if (d->info.kind == TSR_DEVICE_CPU || (d->info.software && !asked)) continue;
        for (size_t k = 0; k < sizeof rows / sizeof *rows && !s; ++k)
            if (tsr_bench_wants(b, rows[k].name)) s = bench_row(b, d, i, &rows[k]);
        if (!s) s = bench_empty(b, d, i);
        if (!s) s = bench_submissions(b, d);
        if (!s) s = bench_copies(b, d, i, true);
        if (!s) s = bench_copies(b, d, i, false);
    }
    return s;
}
