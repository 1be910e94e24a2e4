/* SPDX-License-Identifier: MIT */
/* from_bytes.c: 8-bit numbers to f32, so that pictures go to a device as bytes. A byte has 256
 * values: the table of what they become is computed on the host, and a device only looks up, so
 * that all devices agree to the bit with a division on the host. */
#include "rowwise.h"

enum { P_PLANES };
enum { VALUES = 256, PART = 1 << 14 }; /* PART: elements that a worker takes at a time */

typedef struct job {
    const uint8_t *x;
    float *y;
    const float *table;
    int64_t total, channels, plane; /* plane: pixels of a picture; 0: the order stays */
} job;

static job get_job(const tsr_call *c) {
    const tsr_tensor *x = c->in[0];
    const bool planes = c->p.i[P_PLANES] != 0;
    return (job){x->data,         c->out[0]->data,     c->table,
                 tsr_elements(x), x->dim[x->rank - 1], planes ? x->dim[1] * x->dim[2] : 0};
}

/* Place in x of element i of y. */
static inline int64_t source_of(const job *s, int64_t i) {
    if (!s->plane) return i;
    const int64_t picture = i / (s->plane * s->channels), inside = i % (s->plane * s->channels);
    return (picture * s->plane + inside % s->plane) * s->channels + inside / s->plane;
}

static void reference(const tsr_call *call) {
    const job s = get_job(call);
    for (int64_t i = 0; i < s.total; ++i)
        s.y[i] = s.table[s.x[source_of(&s, i)]];
}

static void part(void *arg, int64_t t, int worker) {
    (void)worker;
    const job *s = arg;
    const int64_t first = t * PART, end = first + PART < s->total ? first + PART : s->total;
    const int64_t step = s->plane ? s->channels : 1;
    for (int64_t i = first; i < end;) { /* runs inside a plane */
        const int64_t left = s->plane ? s->plane - i % s->plane : end - i;
        const int64_t n = left < end - i ? left : end - i;
        const uint8_t *from = s->x + source_of(s, i);
        for (int64_t k = 0; k < n; ++k)
            s->y[i + k] = s->table[from[k * step]];
        i += n;
    }
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    job s = get_job(call);
    tsr_parallel(tsr_device_context(device), tile_count(s.total, PART), part, &s);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const job s = get_job(call);
    *d = (tsr_gpu_dispatch){.variant = "from_bytes"};
    const uint32_t push[] = {(uint32_t)s.total, (uint32_t)s.channels, (uint32_t)s.plane};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    dispatch_bind(d, BIND_TABLE);
    grid_set(d, tile_count(s.total, GROUP_THREADS));
    return 1;
}

static const tsr_op op_from_bytes = {
    .name = "from_bytes", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_tensor *tsr_from_bytes_by(tsr_run *r, const tsr_tensor *x, const float *table, bool planes) {
    if (!want_tensor(r, "from_bytes: x", x, TSR_DTYPE_U8, planes ? 4 : 1)) return tsr_run_failed(r);
    char got[96];
    if (planes && x->rank != 4)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "from_bytes: x: wanted [B, H, W, C], got %s",
                            tsr_shape_text(x, got, sizeof got));
    tsr_call call = {.op = &op_from_bytes,
                     .in = {x},
                     .in_count = 1,
                     .out_count = 1,
                     .table = table,
                     .table_bytes = VALUES * sizeof *table};
    call.p.i[P_PLANES] = planes;
    const int64_t turned[4] = {x->dim[0], x->dim[3], x->dim[1], x->dim[2]};
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, planes ? turned : x->dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}

tsr_tensor *tsr_from_bytes(tsr_run *r, const tsr_tensor *x, float scale, float shift, bool planes) {
    float table[VALUES];
    for (int i = 0; i < VALUES; ++i)
        table[i] = (float)i / 255.0f * scale + shift;
    return tsr_from_bytes_by(r, x, table, planes);
}
