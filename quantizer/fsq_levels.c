/* SPDX-License-Identifier: MIT */
/* fsq_levels.c: finite scalar quantisation (Mentzer et al. 2023): the arithmetic of levels and ids
 * on the host, and the op on a device for many rows. */
#include "quantizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_levels_check(tsr_context *ctx, const int *levels, int count, int64_t *codebook) {
    int64_t product = 1;
    if (count < 1 || count > TSR_FSQ_MAX_LEVELS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fsq: number of levels: wanted 1 to %d, got %d",
                        TSR_FSQ_MAX_LEVELS, count);
    for (int i = 0; i < count; ++i) {
        if (levels[i] < 2 || levels[i] > 1000)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fsq: level %d: wanted 2 to 1000, got %d", i,
                            levels[i]);
        product *= levels[i];
        if (product > INT32_MAX)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "fsq: codebook: wanted at most %d codes, got more with level %d",
                            INT32_MAX, i);
    }
    if (codebook) *codebook = product;
    return TSR_OK;
}

int32_t tsr_levels_pack(const int *levels, int count, const int *digits) {
    int64_t id = 0;
    for (int i = count; i-- > 0;)
        id = id * levels[i] + digits[i];
    return (int32_t)id;
}

void tsr_levels_unpack(const int *levels, int count, int32_t id, int *digits) {
    for (int i = 0; i < count; ++i) {
        digits[i] = id % levels[i];
        id /= levels[i];
    }
}

float tsr_levels_value(int level, int digit) {
    return (float)(digit - level / 2) / (float)(level / 2);
}

/* Nearest digit of a value that counts from -level/2. */
static int digit_of(int level, float value) {
    float digit = rintf(value) + (float)(level / 2); /* the default rounding is half to even */
    if (!(digit > 0)) return 0;
    return digit < (float)(level - 1) ? (int)digit : level - 1;
}

int32_t tsr_levels_round(const int *levels, int count, const float *bounded, float *codes) {
    int digits[TSR_FSQ_MAX_LEVELS];
    for (int i = 0; i < count; ++i) {
        digits[i] = digit_of(levels[i], bounded[i]);
        if (codes) codes[i] = tsr_levels_value(levels[i], digits[i]);
    }
    return tsr_levels_pack(levels, count, digits);
}

float tsr_levels_margin(int count, const float *bounded) {
    float margin = 0.5f;
    for (int i = 0; i < count; ++i) {
        const float m = 0.5f - fabsf(bounded[i] - rintf(bounded[i]));
        if (m < margin) margin = m; /* not of NaN and infinities: their digits are certain */
    }
    return margin;
}

int32_t tsr_levels_id(const int *levels, int count, const float *codes) {
    int digits[TSR_FSQ_MAX_LEVELS];
    for (int i = 0; i < count; ++i)
        digits[i] = digit_of(levels[i], codes[i] * (float)(levels[i] / 2));
    return tsr_levels_pack(levels, count, digits);
}

/* ---- on a device ---- */

enum { CHUNK = 65536 };

typedef struct fsq {
    int levels[TSR_FSQ_MAX_LEVELS], count;
} fsq;

static void encode(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const fsq *m = model;
    tsr_fsq_result y = tsr_fsq_encode(r, in[0], m->levels, m->count);
    out[0] = y.codes;
    out[1] = y.ids;
    out[2] = y.bounded;
}

static void decode(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const fsq *m = model;
    out[0] = tsr_fsq_decode(r, in[0], m->levels, m->count);
}

static void round_only(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const fsq *m = model;
    tsr_fsq_result y = tsr_fsq_round(r, in[0], m->levels, m->count);
    out[0] = y.codes;
    out[1] = y.ids;
}

/* x is z, or bounded values when `fn` is round_only, which has no output for them. */
static tsr_status quantize(tsr_device *device, tsr_model_fn fn, const float *x, int64_t n,
                           const int *levels, int count, float *bounded, float *codes,
                           int32_t *ids) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_status status = tsr_levels_check(ctx, levels, count, NULL);
    if (status || n == 0) return status;
    fsq m = {.count = count};
    memcpy(m.levels, levels, sizeof *levels * (size_t)count);
    int64_t rows = n < CHUNK ? n : CHUNK;
    size_t values = (size_t)(rows * count);
    /* Where an output is not wanted it goes here. */
    float *scratch = tsr_alloc(ctx, values * 2 + (size_t)rows, sizeof(float), "fsq: chunk");
    if (!scratch) return TSR_ERROR_MEMORY;
    for (int64_t first = 0; first < n && !status; first += rows) {
        int64_t part = n - first < rows ? n - first : rows;
        const int64_t shape[2] = {part, count};
        float *b = bounded ? bounded + first * count : scratch;
        float *c = codes ? codes + first * count : scratch + values;
        int32_t *i = ids ? ids + first : (int32_t *)(void *)(scratch + values * 2);
        tsr_tensor in =
            tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)(x + first * count), 2, shape);
        tsr_tensor out[3] = {tsr_host_tensor(TSR_DTYPE_F32, c, 2, shape),
                             tsr_host_tensor(TSR_DTYPE_I32, i, 1, shape),
                             tsr_host_tensor(TSR_DTYPE_F32, b, 2, shape)};
        tsr_program program = {.fn = fn, .model = &m, .name = "fsq"};
        status = tsr_execute(device, &program, &in, 1, out, fn == encode ? 3 : 2);
    }
    tsr_device_forget(device, &m); /* a recording is keyed by the model's address */
    free(scratch);
    return status;
}

tsr_status tsr_fsq_quantize(tsr_device *device, const float *z, int64_t n, const int *levels,
                            int count, float *bounded, float *codes, int32_t *ids) {
    return quantize(device, encode, z, n, levels, count, bounded, codes, ids);
}

tsr_status tsr_fsq_round_rows(tsr_device *device, const float *bounded, int64_t n,
                              const int *levels, int count, float *codes, int32_t *ids) {
    return quantize(device, round_only, bounded, n, levels, count, NULL, codes, ids);
}

tsr_status tsr_fsq_dequantize(tsr_device *device, const int32_t *ids, int64_t n, const int *levels,
                              int count, float *codes) {
    tsr_context *ctx = tsr_device_context(device);
    int64_t codebook = 0;
    tsr_status status = tsr_levels_check(ctx, levels, count, &codebook);
    if (status) return status;
    for (int64_t i = 0; i < n; ++i)
        if (ids[i] < 0 || ids[i] >= codebook)
            return tsr_fail(ctx, TSR_ERROR_TOKENS, "fsq: id %lld: wanted 0 to %lld, got %d",
                            (long long)i, (long long)codebook - 1, ids[i]);
    fsq m = {.count = count};
    memcpy(m.levels, levels, sizeof *levels * (size_t)count);
    for (int64_t first = 0; first < n && !status; first += CHUNK) {
        int64_t part = n - first < CHUNK ? n - first : CHUNK;
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_I32, (void *)(uintptr_t)(ids + first), 1, &part);
        tsr_tensor out =
            tsr_host_tensor(TSR_DTYPE_F32, codes + first * count, 2, (int64_t[]){part, count});
        tsr_program program = {.fn = decode, .model = &m, .name = "fsq decode"};
        status = tsr_execute(device, &program, &in, 1, &out, 1);
    }
    tsr_device_forget(device, &m);
    return status;
}
