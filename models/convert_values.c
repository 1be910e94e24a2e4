/* SPDX-License-Identifier: MIT */
/* convert_values.c: see convert_values.h. */
#include "convert_values.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name;
    size_t bytes;
    tsr_dtype to;
    bool is_float;
} rows[] = {{"F32", 4, TSR_DTYPE_F32, true},     {"F16", 2, TSR_DTYPE_F16, true},
            {"BF16", 2, TSR_DTYPE_BF16, true},   {"F64", 8, TSR_DTYPE_F32, true},
            {"F8_E4M3", 1, TSR_DTYPE_F32, true}, {"F8_E5M2", 1, TSR_DTYPE_F32, true},
            {"F8_E8M0", 1, TSR_DTYPE_F32, true}, {"I64", 8, TSR_DTYPE_I64, false},
            {"I32", 4, TSR_DTYPE_I32, false},    {"U8", 1, TSR_DTYPE_U8, false},
            {"BOOL", 1, TSR_DTYPE_I32, false},   {"I16", 2, TSR_DTYPE_I32, false},
            {"I8", 1, TSR_DTYPE_I32, false},     {"U16", 2, TSR_DTYPE_I32, false},
            {"U32", 4, TSR_DTYPE_I64, false},    {"U64", 8, TSR_DTYPE_I64, false}};
enum { ROWS = sizeof rows / sizeof *rows };

static size_t row_of(const char *name) {
    size_t i = 0;
    while (i < ROWS && strcmp(rows[i].name, name) != 0)
        ++i;
    return i;
}

bool tsr_convert_target(const char *from, const char *floats, tsr_dtype *to) {
    const size_t row = row_of(from);
    if (row == ROWS) return false;
    *to = rows[row].to;
    if (floats && rows[row].is_float)
        *to = !strcasecmp(floats, "f16")    ? TSR_DTYPE_F16
              : !strcasecmp(floats, "bf16") ? TSR_DTYPE_BF16
                                            : TSR_DTYPE_F32;
    return true;
}

/* Four bits of exponent with bias 7 and three of mantissa; 0x7F alone is NaN, nothing is infinite
 * (the "fn" of torch's float8_e4m3fn). */
static float f8_e4m3(uint8_t v) {
    const int exponent = v >> 3 & 15, mantissa = v & 7;
    float f = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((v & 0x7F) == 0x7F) f = NAN;
    return v & 0x80 ? -f : f;
}

/* Value `i` of a float type. */
static double load_real(size_t row, const uint8_t *in, uint64_t i) {
    uint16_t half;
    float single;
    double value;
    in += i * rows[row].bytes;
    switch (rows[row].bytes) {
    case 8:
        memcpy(&value, in, 8);
        return value;
    case 4:
        memcpy(&single, in, 4);
        return (double)single;
    case 2:
        memcpy(&half, in, 2);
        return (double)(rows[row].to == TSR_DTYPE_F16 ? tsr_f16_to_f32(half)
                                                      : tsr_bf16_to_f32(half));
    default:
        if (strcmp(rows[row].name, "F8_E4M3") == 0) return (double)f8_e4m3(*in);
        if (strcmp(rows[row].name, "F8_E5M2") == 0) /* the high byte of a half */
            return (double)tsr_f16_to_f32((uint16_t)(*in << 8));
        return *in == 255 ? NAN : ldexp(1, *in - 127); /* F8_E8M0: an exponent alone */
    }
}

/* False when a finite value became infinite. */
static bool store_real(double value, tsr_dtype to, uint8_t *out, uint64_t i) {
    const float f = (float)value;
    if (to == TSR_DTYPE_F32) {
        memcpy(out + 4 * i, &f, 4);
        return isfinite(f) || !isfinite(value);
    }
    const uint16_t half = to == TSR_DTYPE_F16 ? tsr_f32_to_f16(f) : tsr_f32_to_bf16(f);
    const float back = to == TSR_DTYPE_F16 ? tsr_f16_to_f32(half) : tsr_bf16_to_f32(half);
    memcpy(out + 2 * i, &half, 2);
    return isfinite(back) || !isfinite(value);
}

/* Value `i` of a type of whole numbers; false when it is beyond 63 bits. */
static bool load_whole(size_t row, const uint8_t *in, uint64_t i, int64_t *value) {
    const size_t bytes = rows[row].bytes;
    const bool is_signed = rows[row].name[0] == 'I';
    uint64_t bits = 0;
    memcpy(&bits, in + i * bytes, bytes);
    if (strcmp(rows[row].name, "BOOL") == 0) bits = bits != 0;
    if (is_signed && bytes < 8 && bits >> (8 * bytes - 1)) bits |= UINT64_MAX << 8 * bytes;
    *value = (int64_t)bits;
    return is_signed || *value >= 0;
}

uint64_t tsr_convert_values(const char *from, const void *in, tsr_dtype to, void *out, uint64_t n) {
    const size_t row = row_of(from), width = tsr_dtype_bytes(to);
    if (row == ROWS) return 0;
    if (to == rows[row].to && strcmp(from, tsr_dtype_name(to)) == 0) {
        if (n) memcpy(out, in, n * width);
        return n;
    }
    for (uint64_t i = 0; i < n; ++i) {
        int64_t whole;
        if (rows[row].is_float) {
            if (!store_real(load_real(row, in, i), to, out, i)) return i;
        } else {
            if (!load_whole(row, in, i, &whole)) return i;
            memcpy((uint8_t *)out + i * width, &whole, width); /* little-endian: the low bytes */
        }
    }
    return n;
}
