/* SPDX-License-Identifier: MIT */
/* patchify.c: image [B, C, H, W] <-> patches [B, (H/p)*(W/p), C*p*p], patches row by row, inside a
 * patch (channel, y, x). Both directions are a permutation of 4-byte elements in runs of p. */
#include "rowwise.h"

enum { P_CHANNELS, P_HEIGHT, P_WIDTH, P_PATCH, P_BACK };

typedef struct job {
    int64_t channels, height, width, patch;
    bool back;
    const uint32_t *from;
    uint32_t *to;
} job;

static job get_job(const tsr_call *c) {
    return (job){c->p.i[P_CHANNELS],  c->p.i[P_HEIGHT], c->p.i[P_WIDTH], c->p.i[P_PATCH],
                 c->p.i[P_BACK] != 0, c->in[0]->data,   c->out[0]->data};
}

static void reference(const tsr_call *call) {
    job s = get_job(call);
    int64_t p = s.patch, across = s.width / p, inside = s.channels * p * p;
    int64_t batch = tsr_elements(call->in[0]) / (s.channels * s.height * s.width);
    for (int64_t b = 0; b < batch; ++b)
        for (int64_t c = 0; c < s.channels; ++c)
            for (int64_t y = 0; y < s.height; ++y)
                for (int64_t x = 0; x < s.width; ++x) {
                    int64_t pixel = ((b * s.channels + c) * s.height + y) * s.width + x;
                    int64_t patch = (b * (s.height / p) + y / p) * across + x / p;
                    int64_t element = patch * inside + (c * p + y % p) * p + x % p;
                    if (s.back)
                        s.to[pixel] = s.from[element];
                    else
                        s.to[element] = s.from[pixel];
                }
}

/* A tile is one row of patches of one picture. */
static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const job *s = arg;
    int64_t p = s->patch, across = s->width / p, down = s->height / p, inside = s->channels * p * p;
    int64_t b = t / down, py = t % down;
    for (int64_t c = 0; c < s->channels; ++c)
        for (int64_t y = 0; y < p; ++y) {
            int64_t pixel = ((b * s->channels + c) * s->height + py * p + y) * s->width;
            int64_t element = (b * down + py) * across * inside + (c * p + y) * p;
            if (s->back)
                for (int64_t i = 0; i < across; ++i, pixel += p, element += inside)
                    memcpy(s->to + pixel, s->from + element, (size_t)p * 4);
            else
                for (int64_t i = 0; i < across; ++i, pixel += p, element += inside)
                    memcpy(s->to + element, s->from + pixel, (size_t)p * 4);
        }
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    job s = get_job(call);
    int64_t batch = tsr_elements(call->in[0]) / (s.channels * s.height * s.width);
    tsr_parallel(tsr_device_context(device), batch * (s.height / s.patch), tile, &s);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    int64_t n = tsr_elements(call->in[0]);
    uint32_t push[6] = {(uint32_t)n,
                        (uint32_t)call->p.i[P_CHANNELS],
                        (uint32_t)call->p.i[P_HEIGHT],
                        (uint32_t)call->p.i[P_WIDTH],
                        (uint32_t)call->p.i[P_PATCH],
                        (uint32_t)call->p.i[P_BACK]};
    *d = (tsr_gpu_dispatch){.variant = "patchify"};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    grid_set(d, tile_count(n, GROUP_THREADS));
    return 1;
}

static const tsr_op op_patchify = {
    .name = "patchify", .reference = reference, .cpu = cpu, .gpu = gpu};

static bool want_patch(tsr_run *r, const char *op, int64_t height, int64_t width, int patch) {
    if (patch >= 1 && height >= 1 && width >= 1 && height <= INT32_MAX && width <= INT32_MAX &&
        height % patch == 0 && width % patch == 0)
        return true;
    tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                 "%s: size: wanted multiples of the patch %d, got height %lld width %lld", op,
                 patch, (long long)height, (long long)width);
    return false;
}

static tsr_tensor *emit(tsr_run *r, const tsr_tensor *x, int64_t channels, int64_t height,
                        int64_t width, int patch, bool back, int rank, const int64_t *dim) {
    tsr_call call = {.op = &op_patchify, .in = {x}, .in_count = 1, .out_count = 1};
    call.p.i[P_CHANNELS] = (int32_t)channels;
    call.p.i[P_HEIGHT] = (int32_t)height;
    call.p.i[P_WIDTH] = (int32_t)width;
    call.p.i[P_PATCH] = patch;
    call.p.i[P_BACK] = back;
    call.out[0] = tsr_run_new(r, x->dtype, rank, dim);
    tsr_run_emit(r, &call);
    return call.out[0];
}

tsr_tensor *tsr_patchify(tsr_run *r, const tsr_tensor *x, int patch) {
    if (!want_words(r, "patchify: x", x, 4) ||
        !want_patch(r, "patchify", x->dim[2], x->dim[3], patch))
        return tsr_run_failed(r);
    int64_t count = (x->dim[2] / patch) * (x->dim[3] / patch);
    int64_t dim[3] = {x->dim[0], count, tsr_elements(x) / x->dim[0] / count};
    return emit(r, x, x->dim[1], x->dim[2], x->dim[3], patch, false, 3, dim);
}

tsr_tensor *tsr_unpatchify(tsr_run *r, const tsr_tensor *x, int channels, int64_t height,
                           int64_t width, int patch) {
    if (!want_words(r, "unpatchify: x", x, 3) || !want_patch(r, "unpatchify", height, width, patch))
        return tsr_run_failed(r);
    int64_t count = (height / patch) * (width / patch), inside = (int64_t)patch * patch;
    if (x->rank != 3 || channels < 1 || x->dim[1] != count || x->dim[2] % inside ||
        x->dim[2] / inside != channels) {
        char got[96];
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "unpatchify: x: wanted [B, %lld, %d*%d*%d], got %s", (long long)count,
                            channels, patch, patch, tsr_shape_text(x, got, sizeof got));
    }
    int64_t dim[4] = {x->dim[0], channels, height, width};
    return emit(r, x, channels, height, width, patch, true, 4, dim);
}
