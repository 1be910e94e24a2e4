/* SPDX-License-Identifier: MIT */
/* beam.c: one stage of residual vector quantization with a beam. What a chain takes away is kept as
 * half of the squared length it has removed: (|x|^2 - |rest|^2) / 2, which a code adds to by
 * rest . code - |code|^2 / 2. So the best chain has the greatest score, scores begin at 0, and the
 * products of a stage come from one tsr_linear.
 *
 * A choice is the chain it goes on from times the codes of the stage, plus the code: the place of
 * the product. Of equal scores the lowest place wins; NaN is the greatest value, as in reduce. */
#include <math.h>

#include "rowwise.h"

enum { REST, SCORE, PRODUCTS, CODES };
enum { NEXT_REST, NEXT_SCORE, CHOICE };

static bool greater(float a, float b) {
    return a > b || (isnan(a) && !isnan(b));
}

/* Chains and sizes of a call. */
typedef struct sizes {
    int64_t chains, codes, dim, width; /* width: chains that go on */
} sizes;

static sizes sizes_of(const tsr_call *c) {
    return (sizes){.chains = tsr_cols(c->in[SCORE]),
                   .codes = tsr_cols(c->in[PRODUCTS]),
                   .dim = tsr_cols(c->in[REST]),
                   .width = tsr_cols(c->out[NEXT_SCORE])};
}

static void do_item(const tsr_call *c, int64_t item) {
    const sizes s = sizes_of(c);
    const int64_t places = s.chains * s.codes;
    const float *score = (const float *)c->in[SCORE]->data + item * s.chains;
    const float *products = (const float *)c->in[PRODUCTS]->data + item * places;
    float *best = (float *)c->out[NEXT_SCORE]->data + item * s.width;
    int32_t *choice = (int32_t *)c->out[CHOICE]->data + item * s.width;
    int64_t found = 0;
    for (int64_t i = 0; i < places; ++i) {
        const float v = score[i / s.codes] + products[i];
        if (found == s.width && !greater(v, best[found - 1])) continue;
        int64_t at = found < s.width ? found++ : found - 1;
        for (; at > 0 && greater(v, best[at - 1]); --at) {
            best[at] = best[at - 1];
            choice[at] = choice[at - 1];
        }
        best[at] = v;
        choice[at] = (int32_t)i;
    }
    for (int64_t k = 0; k < s.width; ++k) {
        const float *from =
            (const float *)c->in[REST]->data + (item * s.chains + choice[k] / s.codes) * s.dim;
        const float *code = (const float *)c->in[CODES]->data + choice[k] % s.codes * s.dim;
        float *to = (float *)c->out[NEXT_REST]->data + (item * s.width + k) * s.dim;
        for (int64_t d = 0; d < s.dim; ++d)
            to[d] = from[d] - code[d];
    }
}

static void reference(const tsr_call *call) {
    for (int64_t item = 0; item < tsr_rows(call->in[SCORE]); ++item)
        do_item(call, item);
}

static void tile(void *arg, int64_t item, int worker) {
    (void)worker;
    do_item(arg, item);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), tsr_rows(call->in[SCORE]), tile, (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const sizes s = sizes_of(call);
    const int64_t items = tsr_rows(call->in[SCORE]);
    const int64_t rounds = tile_count(s.chains * s.codes, GROUP_THREADS) * s.width;
    const uint32_t push[5] = {(uint32_t)items, (uint32_t)s.chains, (uint32_t)s.codes,
                              (uint32_t)s.dim, (uint32_t)s.width};
    if (rounds > LOOP_LIMIT) return 0;
    for (uint32_t pass = 0; pass < 2; ++pass) { /* the choices; then what they leave */
        d[pass] =
            (tsr_gpu_dispatch){.variant = "beam", .spec = {GROUP_THREADS, pass}, .spec_count = 2};
        dispatch_push(&d[pass], push, sizeof push);
        for (int i = REST; i <= CODES; ++i)
            dispatch_bind(&d[pass], BIND_IN + i);
        for (int i = NEXT_REST; i <= CHOICE; ++i)
            dispatch_bind(&d[pass], BIND_OUT + i);
    }
    grid_set(&d[0], items);
    grid_set(&d[1], tile_count(items * s.width * s.dim, GROUP_THREADS));
    return 2;
}

static const tsr_op op_beam = {.name = "beam", .reference = reference, .cpu = cpu, .gpu = gpu};

tsr_beam tsr_beam_step(tsr_run *r, const tsr_beam *beam, const tsr_tensor *products,
                       const tsr_tensor *codes, int width) {
    const tsr_beam failed = {tsr_run_failed(r), tsr_run_failed(r), tsr_run_failed(r)};
    if (!want_tensor(r, "beam: rest", beam->rest, TSR_DTYPE_F32, 3) ||
        !want_tensor(r, "beam: score", beam->score, TSR_DTYPE_F32, 2) ||
        !want_tensor(r, "beam: products", products, TSR_DTYPE_F32, 3) ||
        !want_tensor(r, "beam: codes", codes, TSR_DTYPE_F32, 2))
        return failed;
    const int64_t items = beam->rest->dim[0], chains = beam->rest->dim[1], dim = tsr_cols(codes);
    const int64_t count = tsr_rows(codes), places = chains * count;
    char got[3][96];
    if (beam->rest->rank != 3 || beam->rest->dim[2] != dim || tsr_rows(beam->score) != items ||
        tsr_cols(beam->score) != chains || tsr_cols(products) != count ||
        tsr_rows(products) != items * chains) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "beam: wanted rest [B, K, D], score [B, K] and products [B, K, %lld] for "
                     "codes [%lld, %lld], got %s, %s and %s",
                     (long long)count, (long long)count, (long long)dim,
                     tsr_shape_text(beam->rest, got[0], sizeof got[0]),
                     tsr_shape_text(beam->score, got[1], sizeof got[1]),
                     tsr_shape_text(products, got[2], sizeof got[2]));
        return failed;
    }
    if (width < 1 || width > TSR_MAX_BEAM) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "beam: width: wanted 1 to %d, got %d", TSR_MAX_BEAM,
                     width);
        return failed;
    }
    const int64_t next = places < width ? places : width;
    tsr_call call = {.op = &op_beam,
                     .in = {beam->rest, beam->score, products, codes},
                     .in_count = 4,
                     .out_count = 3};
    call.out[NEXT_REST] = tsr_run_new(r, TSR_DTYPE_F32, 3, (int64_t[]){items, next, dim});
    call.out[NEXT_SCORE] = tsr_run_new(r, TSR_DTYPE_F32, 2, (int64_t[]){items, next});
    call.out[CHOICE] = tsr_run_new(r, TSR_DTYPE_I32, 2, (int64_t[]){items, next});
    tsr_run_emit(r, &call);
    return (tsr_beam){call.out[NEXT_REST], call.out[NEXT_SCORE], call.out[CHOICE]};
}
