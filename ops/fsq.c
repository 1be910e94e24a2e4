/* SPDX-License-Identifier: MIT */
/* fsq.c: finite scalar quantisation (Mentzer et al. 2023), with the f32 constants of FlexTok's
 * official code: for a channel with L levels
 *     half = (L-1)*1.001/2,  offset = L even ? 0.5 : 0,  shift = atanh(offset / half)
 *     bounded = tanh(z + shift) * half - offset,  q = bounded rounded half to even
 *     code = q / (L div 2),  digit = q + L div 2,  id = sum of digit * basis, channel 0 lowest.
 * Digits are integers here all the way. The official code divides by L div 2, multiplies back and
 * truncates in f32, which is the same for every level set in use, but not for all (two channels of
 * 100 levels lose 202 of 10,000 ids there; here every id comes back).
 * A digit is held inside 0..L-1; NaN gives digit 0 and shows in `bounded`.
 *
 * Constants and all code values go to the device in a table: a GPU's division need not be exact. */
#include <math.h>
#include <stdlib.h>

#include "rowwise.h"

enum { P_MODE, P_LEVELS, P_CODEBOOK };
enum { ENCODE, ROUND, DECODE }; /* z -> bounded, codes, ids; bounded -> codes, ids; ids -> codes */

/* One for each channel at the start of the table; then the code values, channel after channel. */
typedef struct channel {
    float half, offset, shift;
    int32_t level, basis;
    int32_t codes; /* where its code values start, in words from the start of the table */
} channel;

static int32_t get_digit(const channel *c, float bounded) {
    int32_t half = c->level / 2;
    float q = rintf(bounded); /* the default rounding mode is to nearest, ties to even */
    float low = (float)-half, high = (float)(c->level - 1 - half);
    return (int32_t)(q >= low ? q < high ? q : high : low) + half;
}

static void do_row(const tsr_call *call, int64_t n) {
    const channel *channels = call->table;
    const float *values = call->table;
    int64_t count = call->p.i[P_LEVELS];
    int mode = call->p.i[P_MODE];
    float *bounded = mode == ENCODE ? (float *)call->out[2]->data + n * count : NULL;
    float *codes = (float *)call->out[0]->data + n * count;
    if (mode == DECODE) {
        int64_t id = ((const int32_t *)call->in[0]->data)[n], end = call->p.i[P_CODEBOOK];
        id = id < 0 ? 0 : id >= end ? end - 1 : id;
        for (int64_t i = 0; i < count; ++i)
            codes[i] = values[channels[i].codes + id / channels[i].basis % channels[i].level];
        return;
    }
    const float *x = (const float *)call->in[0]->data + n * count;
    int32_t id = 0;
    for (int64_t i = 0; i < count; ++i) {
        const channel *c = &channels[i];
        float b = x[i];
        if (mode == ENCODE) {
            float t = tanhf(x[i] + c->shift) * c->half;
            bounded[i] = b = t - c->offset;
        }
        int32_t digit = get_digit(c, b);
        codes[i] = values[c->codes + digit];
        id += digit * c->basis;
    }
    ((int32_t *)call->out[1]->data)[n] = id;
}

static void reference(const tsr_call *call) {
    for (int64_t n = 0; n < tsr_rows(call->out[0]); ++n)
        do_row(call, n);
}

enum { TILE_ROWS = 256 };

static void tile(void *arg, int64_t t, int worker) {
    (void)worker;
    const tsr_call *c = arg;
    int64_t rows = tsr_rows(c->out[0]);
    for (int64_t n = t * TILE_ROWS; n < rows && n < (t + 1) * TILE_ROWS; ++n)
        do_row(c, n);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), tile_count(tsr_rows(call->out[0]), TILE_ROWS), tile,
                 (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    int64_t rows = tsr_rows(call->out[0]);
    int mode = call->p.i[P_MODE];
    uint32_t push[3] = {(uint32_t)rows, (uint32_t)call->p.i[P_LEVELS],
                        (uint32_t)call->p.i[P_CODEBOOK]};
    *d = (tsr_gpu_dispatch){.variant = "fsq", .spec = {(uint32_t)mode}, .spec_count = 1};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_OUT);
    /* what a mode has not got is bound to the codes and left alone */
    dispatch_bind(d, BIND_OUT + (mode == DECODE ? 0 : 1));
    dispatch_bind(d, BIND_OUT + (mode == ENCODE ? 2 : 0));
    dispatch_bind(d, BIND_TABLE);
    grid_set(d, tile_count(rows, GROUP_THREADS));
    return 1;
}

static const tsr_op op_fsq = {.name = "fsq", .reference = reference, .cpu = cpu, .gpu = gpu};

/* The table in malloc'd memory, or NULL with the run failed. */
static void *make_table(tsr_run *r, const int *levels, int count, tsr_call *call) {
    if (!levels || count < 1 || count > TSR_FSQ_MAX_LEVELS) {
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "fsq: levels: wanted 1 to %d of them, got %d",
                     TSR_FSQ_MAX_LEVELS, levels ? count : 0);
        return NULL;
    }
    int64_t codebook = 1, words = (int64_t)(sizeof(channel) / 4) * count;
    channel channels[TSR_FSQ_MAX_LEVELS];
    for (int i = 0; i < count; ++i) {
        /* Beyond 1,000 levels the factor 1.001 alone would reach past the last one. */
        if (levels[i] < 2 || levels[i] > 1000) {
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "fsq: level %d: wanted 2 to 1000, got %d", i,
                         levels[i]);
            return NULL;
        }
        float half = (float)(levels[i] - 1) * 1.001f / 2.0f;
        float offset = levels[i] % 2 ? 0.0f : 0.5f;
        channels[i] = (channel){
            half, offset, atanhf(offset / half), levels[i], (int32_t)codebook, (int32_t)words};
        words += levels[i];
        codebook *= levels[i];
        if (codebook > INT32_MAX) {
            tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                         "fsq: levels: wanted a product of at most %d, got more", INT32_MAX);
            return NULL;
        }
    }
    float *table = tsr_alloc(tsr_run_context(r), (size_t)words, 4, "fsq: table");
    if (!table) {
        tsr_run_fail(r, TSR_ERROR_MEMORY, "fsq: table: out of memory");
        return NULL;
    }
    memcpy(table, channels, sizeof(channel) * (size_t)count);
    for (int i = 0; i < count; ++i)
        for (int j = 0; j < levels[i]; ++j)
            table[channels[i].codes + j] = (float)(j - levels[i] / 2) / (float)(levels[i] / 2);
    call->op = &op_fsq;
    call->in_count = 1;
    call->p.i[P_LEVELS] = count;
    call->p.i[P_CODEBOOK] = (int32_t)codebook;
    call->table = table;
    call->table_bytes = (size_t)words * 4;
    return table;
}

static tsr_fsq_result encode(tsr_run *r, const char *what, const tsr_tensor *x, const int *levels,
                             int count, int mode) {
    tsr_call call = {0};
    void *table = NULL;
    if (want_tensor(r, what, x, TSR_DTYPE_F32, 1) &&
        (table = make_table(r, levels, count, &call)) && tsr_cols(x) != count) {
        char got[96];
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "%s: wanted [..., %d], got %s", what, count,
                     tsr_shape_text(x, got, sizeof got));
    }
    if (tsr_run_is_failed(r)) {
        free(table);
        return (tsr_fsq_result){tsr_run_failed(r), tsr_run_failed(r), tsr_run_failed(r)};
    }
    call.p.i[P_MODE] = mode;
    call.in[0] = x;
    call.out_count = mode == ENCODE ? 3 : 2;
    int64_t one = 1;
    call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    call.out[1] =
        tsr_run_new(r, TSR_DTYPE_I32, x->rank > 1 ? x->rank - 1 : 1, x->rank > 1 ? x->dim : &one);
    if (mode == ENCODE) call.out[2] = tsr_run_new(r, TSR_DTYPE_F32, x->rank, x->dim);
    tsr_run_emit(r, &call);
    free(table);
    return (tsr_fsq_result){.bounded = call.out[2], .codes = call.out[0], .ids = call.out[1]};
}

tsr_fsq_result tsr_fsq_encode(tsr_run *r, const tsr_tensor *z, const int *levels, int level_count) {
    return encode(r, "fsq_encode: z", z, levels, level_count, ENCODE);
}

tsr_fsq_result tsr_fsq_round(tsr_run *r, const tsr_tensor *bounded, const int *levels,
                             int level_count) {
    tsr_fsq_result result = encode(r, "fsq_round: bounded", bounded, levels, level_count, ROUND);
    result.bounded = NULL;
    return result;
}

tsr_tensor *tsr_fsq_decode(tsr_run *r, const tsr_tensor *ids, const int *levels, int level_count) {
    tsr_call call = {0};
    if (!want_tensor(r, "fsq_decode: ids", ids, TSR_DTYPE_I32, 1)) return tsr_run_failed(r);
    if (ids->rank >= TSR_MAX_RANK)
        return tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                            "fsq_decode: ids: wanted at most %d dimensions, got %d",
                            TSR_MAX_RANK - 1, ids->rank);
    void *table = make_table(r, levels, level_count, &call);
    if (!table) return tsr_run_failed(r);
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, ids->dim, sizeof dim);
    dim[ids->rank] = level_count;
    if (want_size(r, "fsq_decode", ids->rank + 1, dim) &&
        want_ids(r, "fsq_decode", ids, 0, call.p.i[P_CODEBOOK])) {
        call.p.i[P_MODE] = DECODE;
        call.in[0] = ids;
        call.out_count = 1;
        call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, ids->rank + 1, dim);
        tsr_run_emit(r, &call);
    }
    free(table);
    return tsr_run_is_failed(r) ? tsr_run_failed(r) : call.out[0];
}
