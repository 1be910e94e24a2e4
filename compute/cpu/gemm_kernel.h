/* SPDX-License-Identifier: MIT */
/* gemm_kernel.h: the body of gemm.c, included once for each instruction set. Before including it,
 * define NAME(x) (adds the set's suffix), TARGET (function attribute), VW (floats in a vector), MR
 * (rows of the register tile; its columns are two vectors). No include guard, on purpose. */

typedef float NAME(vf) __attribute__((vector_size(VW * 4), may_alias));
typedef int32_t NAME(vi) __attribute__((vector_size(VW * 4), may_alias));
typedef float NAME(vu) __attribute__((vector_size(VW * 4), may_alias, aligned(4)));
typedef uint32_t NAME(vw) __attribute__((vector_size(VW * 4), may_alias, aligned(4)));
#define VF          NAME(vf)
#define VI          NAME(vi)
#define INLINE      TARGET static inline __attribute__((always_inline))
#define NR          (2 * VW)
#define LOAD(p)     (*(const NAME(vu) *)(p))
#define STORE(p, v) (*(NAME(vu) *)(p) = (v))
#define SPLAT(x)    ((x) - (VF){0}) /* scalar - vector: the one broadcast both compilers know */

/* ---- small vector mathematics ----------------------------------------------------------- */

/* Lane by lane: `yes` where the mask is set, else `no`. */
INLINE VF NAME(select)(VI mask, VF yes, VF no) {
#if defined(SELECT)
    return SELECT(mask, yes, no);
#else
    return (VF)((mask & (VI)yes) | (~mask & (VI)no));
#endif
}
INLINE VI NAME(select_int)(VI mask, VI yes, VI no) {
    return (VI)NAME(select)(mask, (VF)yes, (VF)no);
}
/* Greater of two values; the first of equal ones, and of a pair with a NaN: a NaN in b is ignored.
 */
INLINE VF NAME(max)(VF a, VF b) {
#if defined(MAX)
    return MAX(b, a);
#else
    return NAME(select)((VI)(b > a), b, a);
#endif
}
/* Smaller of two values, with the rules of max. */
INLINE VF NAME(min)(VF a, VF b) {
#if defined(MIN)
    return MIN(b, a);
#else
    return NAME(select)((VI)(b < a), b, a);
#endif
}
INLINE VF NAME(absolute)(VF x) {
    return (VF)((VI)x & 0x7fffffff);
}

/* e^x within 2 units in the last place; overflows to infinity, NaN stays. x = n ln2 + r, and 2^n is
 * applied in two factors so that both ends of the range are reached. */
INLINE VF NAME(exp)(VF x) {
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer */
    x = NAME(select)((VI)(x < -104.0f), SPLAT(-104.0f), x);
    x = NAME(select)((VI)(x > 89.0f), SPLAT(89.0f), x);
    VF t = x * 1.44269504f + magic;
    VF n = t - magic;
    VI e = (VI)t - 0x4b400000;
    VF r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    VF p = r * 0.001394112237f + 0.008363235109f;
    p = p * r + 0.04166637524f;
    p = p * r + 0.1666657665f;
    p = p * r + 0.5f;
    p = p * (r * r) + r + 1.0f;
    VI half = e >> 1;
    return p * (VF)((half + 127) << 23) * (VF)((e - half + 127) << 23);
}

/* erf(x): an odd polynomial for |x| < 1, 1 - e^-q(|x|) above. */
INLINE VF NAME(erf)(VF x) {
    VF t = x * x;
    VF small = t * 7.889038199e-5f - 0.0008020816936f;
    small = small * t + 0.005189532608f;
    small = small * t - 0.02685444318f;
    small = small * t + 0.1128360014f;
    small = small * t - 0.3761262713f;
    small = (small * t + 1.128379166f) * x;
    VF a = NAME(absolute)(x);
    a = NAME(select)((VI)(a > 4.0f), SPLAT(4.0f), a);
    VF q = a * 2.168851661e-5f - 0.0004413565866f;
    q = q * a + 0.004204664542f;
    q = q * a - 0.02520854001f;
    q = q * a + 0.1084190358f;
    q = q * a + 0.6332194576f;
    q = q * a + 1.129578649f;
    q = q * a - 0.0001880888655f;
    VF large = 1.0f - NAME(exp)(-q);
    large = (VF)((VI)large | ((VI)x & (int32_t)0x80000000));
    return NAME(select)((VI)(NAME(absolute)(x) < 1.0f), small, large);
}

/* tanh(x): an odd polynomial for |x| < 0.65, 1 - 2 / (e^2|x| + 1) above. */
INLINE VF NAME(tanh)(VF x) {
    VF t = x * x;
    VF p = t * -0.005528416287f + 0.02048308627f;
    p = p * t - 0.05369288337f;
    p = p * t + 0.1333089851f;
    p = p * t - 0.3333326282f;
    VF small = x + x * t * p;
    VF a = NAME(absolute)(x);
    VF large = 1.0f - 2.0f / (NAME(exp)(a + a) + 1.0f);
    large = (VF)((VI)large | ((VI)x & (int32_t)0x80000000));
    return NAME(select)((VI)(a < 0.65f), small, large);
}

INLINE VF NAME(act)(tsr_activation act, VF x) {
    switch (act) {
    case TSR_ACT_GELU:
        return 0.5f * x * (1.0f + NAME(erf)(x * 0.70710678f));
    case TSR_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + NAME(tanh)(0.79788456f * (x + 0.044715f * x * x * x)));
    case TSR_ACT_SILU:
        return x / (1.0f + NAME(exp)(-x));
    case TSR_ACT_RELU:
        return NAME(select)((VI)(x < 0.0f), (VF){0}, x);
    case TSR_ACT_TANH:
        return NAME(tanh)(x);
    case TSR_ACT_SIGMOID:
        return 1.0f / (1.0f + NAME(exp)(-x));
    case TSR_ACT_QUICK_GELU:
        return x / (1.0f + NAME(exp)(-1.702f * x));
    case TSR_ACT_NONE:
        break;
    }
    return x;
}

/* Loads the first n < VW floats of p; the other lanes are `fill`. */
INLINE VF NAME(load_part)(const float *p, int64_t n, float fill) {
    VF v = SPLAT(fill);
    memcpy(&v, p, (size_t)n * sizeof *p);
    return v;
}

/* ---- the product ------------------------------------------------------------------------ */

TARGET static void NAME(pack)(float *panels, const float *b, int64_t k, int64_t n, int64_t stride_k,
                              int64_t stride_n) {
    for (int64_t n0 = 0; n0 < n; n0 += NR, panels += k * NR) {
        int64_t width = n - n0 < NR ? n - n0 : NR;
        for (int64_t i = 0; i < k; ++i) {
            const float *from = b + i * stride_k + n0 * stride_n;
            float *to = panels + i * NR;
            if (stride_n == 1) {
                for (int64_t j = 0; j < width; ++j)
                    to[j] = from[j];
            } else {
                for (int64_t j = 0; j < width; ++j)
                    to[j] = from[j * stride_n];
            }
            for (int64_t j = width; j < NR; ++j)
                to[j] = 0;
        }
    }
}

/* bf16 of f, as tsr_f32_to_bf16 gives it, without branches so that the loop vectorises. */
INLINE uint32_t NAME(bf16)(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    uint32_t near = (u + 0x7fff + (u >> 16 & 1)) >> 16, nan = u >> 16 | 0x40;
    return (u & 0x7fffffffu) > 0x7f800000u ? nan : near;
}

/* A word holds columns j and VW + j of the panel as bf16: a shift and a mask make both f32. */
TARGET static void NAME(pack_half)(float *panels, const float *b, int64_t k, int64_t n,
                                   int64_t stride_k, int64_t stride_n) {
    uint32_t *to = (uint32_t *)panels;
    for (int64_t n0 = 0; n0 < n; n0 += NR, to += k * VW) {
        int64_t width = n - n0 < NR ? n - n0 : NR;
        for (int64_t i = 0; i < k; ++i) {
            const float *from = b + i * stride_k + n0 * stride_n;
            float row[NR] = {0};
            for (int64_t j = 0; j < width; ++j)
                row[j] = from[j * stride_n];
            for (int64_t j = 0; j < VW; ++j)
                to[i * VW + j] = NAME(bf16)(row[VW + j]) << 16 | NAME(bf16)(row[j]);
        }
    }
}

/* Product of `rows` rows with one panel. `rows` and `half` are constants wherever this function is
 * inlined, so that the sums live in registers. `first` starts the sums at 0, else at c. */
INLINE void NAME(tile)(int rows, bool half, const float *a, int64_t lda, const float *panel,
                       int64_t k, float *c, int64_t ldc, bool first) {
    VF sum[MR][2];
    UNROLL
    for (int r = 0; r < rows; ++r) {
        sum[r][0] = first ? (VF){0} : LOAD(c + r * ldc);
        sum[r][1] = first ? (VF){0} : LOAD(c + r * ldc + VW);
    }
    for (int64_t i = 0; i < k; ++i, panel += half ? VW : NR) {
        VF b0, b1;
        if (half) {
            NAME(vw) both = *(const NAME(vw) *)panel;
            b0 = (VF)(both << 16);
            b1 = (VF)(both & 0xffff0000u);
        } else {
            b0 = LOAD(panel);
            b1 = LOAD(panel + VW);
        }
        UNROLL
        for (int r = 0; r < rows; ++r) {
            VF x = SPLAT(a[r * lda + i]);
            sum[r][0] += x * b0;
            sum[r][1] += x * b1;
        }
    }
    UNROLL
    for (int r = 0; r < rows; ++r) {
        STORE(c + r * ldc, sum[r][0]);
        STORE(c + r * ldc + VW, sum[r][1]);
    }
}

TARGET static void NAME(tile_full)(const float *a, int64_t lda, const float *panel, int64_t k,
                                   float *c, int64_t ldc, bool first) {
    NAME(tile)(MR, false, a, lda, panel, k, c, ldc, first);
}

TARGET static void NAME(tile_half)(const float *a, int64_t lda, const float *panel, int64_t k,
                                   float *c, int64_t ldc, bool first) {
    NAME(tile)(MR, true, a, lda, panel, k, c, ldc, first);
}

/* Product of the last 1 to 7 rows of a block, as 4 + 2 + 1: each count would otherwise cost a
 * kernel of its own. */
INLINE void NAME(rest)(int64_t rows, bool half, const float *a, int64_t lda, const float *panel,
                       int64_t k, float *c, int64_t ldc, bool first) {
    if (rows & 4) {
        NAME(tile)(4, half, a, lda, panel, k, c, ldc, first);
        a += 4 * lda;
        c += 4 * ldc;
    }
    if (rows & 2) {
        NAME(tile)(2, half, a, lda, panel, k, c, ldc, first);
        a += 2 * lda;
        c += 2 * ldc;
    }
    if (rows & 1) NAME(tile)(1, half, a, lda, panel, k, c, ldc, first);
}

TARGET static void NAME(tile_rest)(int64_t rows, bool half, const float *a, int64_t lda,
                                   const float *panel, int64_t k, float *c, int64_t ldc,
                                   bool first) {
    if (half)
        NAME(rest)(rows, true, a, lda, panel, k, c, ldc, first);
    else
        NAME(rest)(rows, false, a, lda, panel, k, c, ldc, first);
}

/* Product of all rows with columns n0 .. n1 - 1; `fresh` starts the sums at 0, else at c. */
INLINE void NAME(sweep)(const float *a, int64_t lda, int64_t rows, const tsr_gemm_panels *b,
                        int64_t n0, int64_t n1, float *c, int64_t ldc, bool fresh) {
    /* A slice of a panel that stays in the first-level cache while all rows pass over it. */
    const int64_t slice = b->half ? 2 * KC : KC;
    if (b->k == 0) {
        for (int64_t r = 0; r < rows && fresh; ++r)
            memset(c + r * ldc, 0, (size_t)(n1 - n0) * sizeof *c);
        return;
    }
    for (int64_t k0 = 0; k0 < b->k; k0 += slice) {
        int64_t k = b->k - k0 < slice ? b->k - k0 : slice;
        bool first = fresh && k0 == 0;
        for (int64_t n = n0; n < n1; n += NR) {
            const float *panel = b->data + (n * b->depth + k0 * NR) / (b->half ? 2 : 1);
            float *out = c + (n - n0);
            if (n1 - n >= NR) {
                int64_t r = 0;
                for (; r + MR <= rows; r += MR)
                    (b->half ? NAME(tile_half) : NAME(tile_full))(a + r * lda + k0, lda, panel, k,
                                                                  out + r * ldc, ldc, first);
                for (; r < rows; r += (rows - r) & 7 ? (rows - r) & 7 : 4) {
                    int64_t some = (rows - r) & 7 ? (rows - r) & 7 : 4;
                    NAME(tile_rest)
                    (some, b->half, a + r * lda + k0, lda, panel, k, out + r * ldc, ldc, first);
                }
                continue;
            }
            /* Columns past n must not be written: the tile goes through a buffer. */
            size_t width = (size_t)(n1 - n) * sizeof *c;
            for (int64_t r = 0; r < rows; r += 4) {
                float buffer[4 * NR];
                int64_t some = rows - r < 4 ? rows - r : 4;
                for (int64_t i = 0; i < some && !first; ++i)
                    memcpy(buffer + i * NR, out + (r + i) * ldc, width);
                NAME(tile_rest)
                (some, b->half, a + r * lda + k0, lda, panel, k, buffer, NR, first);
                for (int64_t i = 0; i < some; ++i)
                    memcpy(out + (r + i) * ldc, buffer + i * NR, width);
            }
        }
    }
}

TARGET static void NAME(product)(const float *a, int64_t lda, int64_t rows,
                                 const tsr_gemm_panels *b, int64_t n0, int64_t n1, float *c,
                                 int64_t ldc) {
    NAME(sweep)(a, lda, rows, b, n0, n1, c, ldc, true);
}

TARGET static void NAME(accumulate)(const float *a, int64_t lda, int64_t rows,
                                    const tsr_gemm_panels *b, int64_t n0, int64_t n1, float *c,
                                    int64_t ldc) {
    NAME(sweep)(a, lda, rows, b, n0, n1, c, ldc, false);
}

/* ---- what follows a product ------------------------------------------------------------- */

INLINE void NAME(finish_rows)(const tsr_gemm_epilogue *e, tsr_activation act, float *c, int64_t ldc,
                              int64_t row0, int64_t rows, int64_t n0, int64_t n1) {
    int64_t n = n1 - n0;
    const float *bias = e->bias ? e->bias + n0 : NULL;
    for (int64_t i = 0; i < rows; ++i, c += ldc) {
        int64_t group = e->gate ? (row0 + i) / e->gate_rows : 0;
        if (group > e->gate_last) group = e->gate_last;
        const float *gate = e->gate ? e->gate + group * e->gate_stride + n0 : NULL;
        const float *residual =
            e->residual ? e->residual + (row0 + i) * e->residual_stride + n0 : NULL;
        int64_t j = 0;
        for (; j + VW <= n; j += VW) {
            VF y = LOAD(c + j);
            if (bias) y += LOAD(bias + j);
            y = NAME(act)(act, y);
            if (gate) y *= LOAD(gate + j);
            if (residual) y += LOAD(residual + j);
            STORE(c + j, y);
        }
        if (j < n) {
            VF y = NAME(load_part)(c + j, n - j, 0);
            if (bias) y += NAME(load_part)(bias + j, n - j, 0);
            y = NAME(act)(act, y);
            if (gate) y *= NAME(load_part)(gate + j, n - j, 0);
            if (residual) y += NAME(load_part)(residual + j, n - j, 0);
            memcpy(c + j, &y, (size_t)(n - j) * sizeof *c);
        }
    }
}

TARGET static void NAME(epilogue)(const tsr_gemm_epilogue *e, float *c, int64_t ldc, int64_t row0,
                                  int64_t rows, int64_t n0, int64_t n1) {
#define FINISH(a)                                                                                  \
    case a:                                                                                        \
        NAME(finish_rows)(e, a, c, ldc, row0, rows, n0, n1);                                       \
        break;
    switch (e->act) {
        FINISH(TSR_ACT_NONE)
        FINISH(TSR_ACT_GELU)
        FINISH(TSR_ACT_GELU_TANH)
        FINISH(TSR_ACT_SILU)
        FINISH(TSR_ACT_RELU)
        FINISH(TSR_ACT_TANH)
        FINISH(TSR_ACT_SIGMOID)
        FINISH(TSR_ACT_QUICK_GELU)
    }
#undef FINISH
}

TARGET static void NAME(activate)(tsr_activation act, const float *x, float *y, int64_t n) {
    if (y != x) memmove(y, x, (size_t)n * sizeof *y);
    tsr_gemm_epilogue e = {.act = act};
    NAME(epilogue)(&e, y, n, 0, 1, 0, n);
}

TARGET static float NAME(softmax)(float *s, int64_t n, float scale, const float *bias) {
    VF high = SPLAT(-INFINITY), sum = {0};
    int64_t j = 0;
    for (; j + VW <= n; j += VW) {
        VF x = LOAD(s + j) * scale;
        if (bias) x += LOAD(bias + j);
        STORE(s + j, x);
        high = NAME(max)(high, x);
    }
    if (j < n) {
        VF x = NAME(load_part)(s + j, n - j, 0) * scale;
        if (bias) x += NAME(load_part)(bias + j, n - j, 0);
        memcpy(s + j, &x, (size_t)(n - j) * sizeof *s);
        high = NAME(max)(high, NAME(load_part)(s + j, n - j, -INFINITY));
    }
    float max = -INFINITY;
    for (int i = 0; i < VW; ++i)
        max = high[i] > max ? high[i] : max;
    if (max == -INFINITY) { /* no key at all, unless one is NaN */
        bool nan = false;
        for (int64_t i = 0; i < n; ++i)
            nan |= s[i] != s[i];
        if (!nan) {
            memset(s, 0, (size_t)n * sizeof *s);
            return 0;
        }
    }
    for (j = 0; j + VW <= n; j += VW) {
        VF x = NAME(exp)(LOAD(s + j) - max);
        STORE(s + j, x);
        sum += x;
    }
    if (j < n) {
        VF x = NAME(exp)(NAME(load_part)(s + j, n - j, -INFINITY) - max);
        memcpy(s + j, &x, (size_t)(n - j) * sizeof *s);
        for (int64_t i = n - j; i < VW; ++i)
            x[i] = 0; /* exp(-inf - max), but max may be NaN */
        sum += x;
    }
    float total = 0;
    for (int i = 0; i < VW; ++i)
        total += sum[i];
    return total;
}

/* ---- nearest code ----------------------------------------------------------------------- */

/* Scores `rows` rows against the panels of codes n0 .. n1 - 1. Each lane holds its own best, and
 * the lanes are merged last. A later code replaces an earlier one only if it is strictly better, so
 * that ties go to the lowest index. */
INLINE void NAME(search)(int rows, const float *x, int64_t ldx, const tsr_gemm_panels *codes,
                         const float *half, int64_t n0, int64_t n1, bool want_second,
                         tsr_code_best *best) {
    VF top[MR], second[MR];
    VI id[MR], lane;
    for (int i = 0; i < VW; ++i)
        lane[i] = i;
    for (int r = 0; r < rows; ++r) {
        top[r] = SPLAT(-INFINITY);
        second[r] = SPLAT(-INFINITY);
        id[r] = (VI){0};
    }
    for (int64_t n = n0; n < n1; n += NR) {
        const float *panel = codes->data + n * codes->depth;
        VF sum[MR][2];
        VF h0 = -LOAD(half + n), h1 = -LOAD(half + n + VW);
        UNROLL
        for (int r = 0; r < rows; ++r) {
            sum[r][0] = h0;
            sum[r][1] = h1;
        }
        for (int64_t i = 0; i < codes->k; ++i, panel += NR) {
            VF b0 = LOAD(panel), b1 = LOAD(panel + VW);
            UNROLL
            for (int r = 0; r < rows; ++r) {
                VF v = SPLAT(x[r * ldx + i]);
                sum[r][0] += v * b0;
                sum[r][1] += v * b1;
            }
        }
        VI i0 = lane + (int32_t)n, i1 = i0 + VW;
        UNROLL
        for (int r = 0; r < rows; ++r) {
            if (want_second) {
                second[r] = NAME(max)(second[r], NAME(min)(sum[r][0], top[r]));
                id[r] = NAME(select_int)((VI)(sum[r][0] > top[r]), i0, id[r]);
                top[r] = NAME(max)(top[r], sum[r][0]);
                second[r] = NAME(max)(second[r], NAME(min)(sum[r][1], top[r]));
                id[r] = NAME(select_int)((VI)(sum[r][1] > top[r]), i1, id[r]);
                top[r] = NAME(max)(top[r], sum[r][1]);
            } else {
                /* Two vectors meet first: half the work on the row's own state. The score of a code
                 * with NaN must not hide the one it meets. */
                VF left = NAME(max)(SPLAT(-INFINITY), sum[r][0]);
                VI right = (VI)(sum[r][1] > left);
                VF s = NAME(max)(left, sum[r][1]);
                VI i = NAME(select_int)(right, i1, i0);
                id[r] = NAME(select_int)((VI)(s > top[r]), i, id[r]);
                top[r] = NAME(max)(top[r], s);
            }
        }
    }
    for (int r = 0; r < rows; ++r) {
        tsr_code_best b = best[r];
        tsr_code_best found = {-INFINITY, -INFINITY, INT32_MAX};
        for (int i = 0; i < VW; ++i) {
            float t = top[r][i], s = second[r][i];
            if (t > found.best || (t == found.best && id[r][i] < found.id)) {
                s = found.best > s ? found.best : s;
                found.best = t;
                found.id = id[r][i];
            } else {
                s = t > s ? t : s;
            }
            found.second = s > found.second ? s : found.second;
        }
        /* Earlier codes have lower indices, so they keep a tie. */
        if (found.best > b.best) {
            b.second = b.best > found.second ? b.best : found.second;
            b.best = found.best;
            b.id = found.id;
        } else if (found.best > b.second) {
            b.second = found.best;
        }
        best[r] = b;
    }
}

TARGET static void NAME(search_full)(const float *x, int64_t ldx, const tsr_gemm_panels *codes,
                                     const float *half, int64_t n0, int64_t n1,
                                     tsr_code_best *best) {
    NAME(search)(MR, x, ldx, codes, half, n0, n1, false, best);
}
TARGET static void NAME(search_second)(const float *x, int64_t ldx, const tsr_gemm_panels *codes,
                                       const float *half, int64_t n0, int64_t n1,
                                       tsr_code_best *best) {
    NAME(search)(MR, x, ldx, codes, half, n0, n1, true, best);
}
TARGET static void NAME(search_one)(const float *x, int64_t ldx, const tsr_gemm_panels *codes,
                                    const float *half, int64_t n0, int64_t n1,
                                    tsr_code_best *best) {
    NAME(search)(1, x, ldx, codes, half, n0, n1, true, best);
}

TARGET static void NAME(nearest)(const float *x, int64_t ldx, int64_t rows,
                                 const tsr_gemm_panels *codes, const float *half, int64_t n0,
                                 int64_t n1, bool second, tsr_code_best *best) {
    int64_t r = 0;
    for (; r + MR <= rows; r += MR) {
        if (second)
            NAME(search_second)(x + r * ldx, ldx, codes, half, n0, n1, best + r);
        else
            NAME(search_full)(x + r * ldx, ldx, codes, half, n0, n1, best + r);
    }
    for (; r < rows; ++r)
        NAME(search_one)(x + r * ldx, ldx, codes, half, n0, n1, best + r);
}

static const tsr_gemm_kernels NAME(kernels) = {
    KERNEL_NAME,
    MR,
    NR,
    NAME(pack),
    NAME(pack_half),
    NAME(product),
    NAME(accumulate),
    NAME(epilogue),
    NAME(activate),
    NAME(softmax),
    NAME(nearest),
};

#undef VF
#undef VI
#undef INLINE
#undef NR
#undef LOAD
#undef STORE
#undef SPLAT
#undef NAME
#undef TARGET
#undef VW
#undef MR
#undef KC
#undef KERNEL_NAME
#ifdef SELECT
#undef SELECT
#endif
#ifdef MAX
#undef MAX
#undef MIN
#endif
