/* SPDX-License-Identifier: MIT */
/* run.c: one walk through a model function: making tensors, sticky failure, scopes. The same code
 * serves both devices; what differs is behind device->backend. */
#include "run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool tsr_run_is_failed(const tsr_run *r) {
    return r->status != TSR_OK;
}

tsr_tensor *tsr_run_failed(tsr_run *r) {
    return &r->failed;
}

static tsr_tensor *fail_with(tsr_run *r, tsr_status status) {
    if (!r->status) r->status = status ? status : TSR_ERROR_STATE;
    return &r->failed;
}

tsr_tensor *tsr_run_fail(tsr_run *r, tsr_status status, const char *format, ...) {
    if (r->status) return &r->failed;
    char text[sizeof r->device->ctx->detail];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail_with(r, tsr_fail(r->device->ctx, status, "%s", text));
}

static tsr_tensor *new_node(tsr_run *r, tsr_tensor value) {
    tsr_tensor *t = tsr_arena_take(r->device->ctx, &r->device->nodes, sizeof *t);
    if (!t) return fail_with(r, TSR_ERROR_MEMORY);
    *t = value;
    return t;
}

/* Elements of a shape, or -1 when it is not one. Zero-sized tensors are refused: no op wants them.
 */
static int64_t count_elements(int rank, const int64_t *dim) {
    if (rank < 1 || rank > TSR_MAX_RANK) return -1;
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        if (dim[i] < 1 || __builtin_mul_overflow(n, dim[i], &n)) return -1;
    return n > INT64_MAX / 16 ? -1 : n;
}

tsr_tensor *tsr_run_new(tsr_run *r, tsr_dtype dtype, int rank, const int64_t *dim) {
    if (r->status) return &r->failed;
    tsr_tensor t = tsr_host_tensor(dtype, NULL, rank < 1 || rank > TSR_MAX_RANK ? 0 : rank, dim);
    char text[96];
    if (count_elements(rank, dim) < 0)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "new tensor: wanted 1 to %d positive sizes, got %s", TSR_MAX_RANK,
                            tsr_shape_text(&t, text, sizeof text));
    tsr_status status = r->device->backend->make(r, &t);
    return status ? fail_with(r, status) : new_node(r, t);
}

tsr_tensor *tsr_run_view(tsr_run *r, const tsr_tensor *x, int rank, const int64_t *dim) {
    if (r->status) return &r->failed;
    if (count_elements(rank, dim) != tsr_elements(x)) {
        tsr_tensor wanted =
            tsr_host_tensor(x->dtype, NULL, rank < 1 || rank > TSR_MAX_RANK ? 0 : rank, dim);
        char want[96], got[96];
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "reshape: wanted the elements of %s, got %s",
                            tsr_shape_text(&wanted, want, sizeof want),
                            tsr_shape_text(x, got, sizeof got));
    }
    tsr_tensor t = *x;
    t.rank = rank;
    for (int i = 0; i < TSR_MAX_RANK; ++i)
        t.dim[i] = i < rank ? dim[i] : 1;
    return new_node(r, t);
}

tsr_tensor *tsr_reshape(tsr_run *r, const tsr_tensor *x, int rank, const int64_t *dim) {
    return tsr_run_view(r, x, rank, dim);
}

tsr_tensor *tsr_from_weight(tsr_run *r, tsr_weight *w) {
    if (r->status) return &r->failed;
    if (!w) return tsr_run_fail(r, TSR_ERROR_ARGUMENT, "from_weight: wanted a weight, got NULL");
    if (r->device->info.kind == TSR_DEVICE_CPU) { /* elsewhere the device has its own copy */
        tsr_status status = tsr_weight_pin(r->device->ctx, w);
        if (status) return fail_with(r, status);
    }
    return tsr_run_weight(r, w);
}

tsr_tensor *tsr_run_weight(tsr_run *r, tsr_weight *w) {
    if (r->status) return &r->failed;
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, w->tensor.rank, w->tensor.dim);
    tsr_status status = r->device->backend->weight(r, &t, w, false);
    return status ? fail_with(r, status) : new_node(r, t);
}

tsr_tensor *tsr_run_kernel(tsr_run *r, tsr_weight *w) {
    if (r->status) return &r->failed;
    if (r->device->info.kind == TSR_DEVICE_CPU) return tsr_run_weight(r, w);
    const int64_t *d = w->tensor.dim;
    int64_t dim[4] = {d[2], d[3], d[1], (d[0] + 3) / 4 * 4};
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, 4, dim);
    tsr_status status = r->device->backend->weight(r, &t, w, true);
    return status ? fail_with(r, status) : new_node(r, t);
}

void tsr_run_emit(tsr_run *r, const tsr_call *call) {
    if (r->status) return;
    tsr_status status = r->device->backend->emit(r, call);
    if (status) fail_with(r, status);
}

tsr_device *tsr_run_device(const tsr_run *r) {
    return r->device;
}

const void *tsr_run_args(const tsr_run *r) {
    return r->args;
}

tsr_context *tsr_run_context(const tsr_run *r) {
    return r->device->ctx;
}

tsr_scope tsr_scope_open(tsr_run *r) {
    tsr_arena_mark mark = tsr_arena_position(&r->device->data);
    return (tsr_scope){mark.block, mark.used};
}

tsr_tensor *tsr_scope_close(tsr_run *r, tsr_scope scope, tsr_tensor *result) {
    if (r->status) return &r->failed;
    if (r->device->settings.guard) return result; /* fenced activations stay where they are */
    tsr_arena *arena = &r->device->data;
    tsr_arena_mark mark = {scope.block, scope.used};
    if (!result || !result->data || !tsr_arena_holds(arena, mark, result->data)) {
        tsr_arena_rewind(arena, mark); /* result is older than the scope, or lives on a device */
        return result;
    }
    size_t bytes = (size_t)tsr_elements(result) * tsr_dtype_bytes(result->dtype);
    tsr_arena_rewind(arena, mark);
    /* Cannot fail: the piece fits where it lies, which is at or after the place it moves to. */
    void *to = tsr_arena_take(r->device->ctx, arena, bytes);
    if (!to) return fail_with(r, TSR_ERROR_MEMORY);
    if (to != result->data) memmove(to, result->data, bytes);
    result->data = to;
    return result;
}

tsr_status tsr_run_walk(tsr_run *run, const tsr_program *program, tsr_tensor *const *in,
                        tsr_tensor **made, int out_count) {
    run->failed = tsr_host_tensor(TSR_DTYPE_F32, NULL, 0, NULL);
    for (int i = 0; i < TSR_MAX_IO; ++i)
        made[i] = NULL;
    run->device->run = run;
    run->args = program->args;
    program->fn(run, program->model, in, made);
    run->args = NULL;
    run->device->run = NULL;
    const char *name = program->name ? program->name : "program";
    for (int i = 0; i < out_count && !run->status; ++i)
        if (!made[i] || made[i]->rank == 0)
            tsr_run_fail(run, TSR_ERROR_STATE, "%s: output %d: wanted a tensor, got none", name, i);
    return run->status;
}
