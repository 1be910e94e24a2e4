/* SPDX-License-Identifier: MIT */
/* activation.h: the functions that follow a product, in two forms: with libm (the reference), and
 * with short polynomials the compiler turns into vector code. They differ by less than 1e-6
 * absolute where |x| < 10 (relative to max(1, |y|) beyond). The shaders use the second form's
 * formulas. */
#ifndef COMPUTE_ACTIVATION_H
#define COMPUTE_ACTIVATION_H

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef enum tsr_activation { /* numbers are shared with the shaders */
                              TSR_ACT_NONE = 0,
                              TSR_ACT_GELU,      /* exact, with erf */
                              TSR_ACT_GELU_TANH, /* 0.5x(1+tanh(sqrt(2/pi)(x+0.044715x^3))) */
                              TSR_ACT_SILU,
                              TSR_ACT_RELU,
                              TSR_ACT_TANH,
                              TSR_ACT_SIGMOID,
                              TSR_ACT_QUICK_GELU /* x sigmoid(1.702 x), CLIP's */
} tsr_activation;

/* Activation of x with libm: the reference. */
static inline float tsr_activate_exact(float x, tsr_activation act) {
    switch (act) {
    case TSR_ACT_NONE:
        return x;
    case TSR_ACT_GELU:
        return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
    case TSR_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
    case TSR_ACT_SILU:
        return x / (1.0f + expf(-x));
    case TSR_ACT_RELU:
        return x > 0 ? x : x != x ? x : 0.0f;
    case TSR_ACT_TANH:
        return tanhf(x);
    case TSR_ACT_SIGMOID:
        return 1.0f / (1.0f + expf(-x));
    case TSR_ACT_QUICK_GELU:
        return x / (1.0f + expf(-1.702f * x));
    }
    return x;
}

/* e^x with a relative error of 2e-7: 0 below -87, at most 2.4e38 above 88, NaN for NaN. */
static inline float tsr_fast_exp(float x) {
    float c = x > 88.0f ? 88.0f : x;
    c = c < -87.0f ? -87.0f : c;
    float n = (c * 1.44269504f + 12582912.0f) - 12582912.0f; /* to the nearest integer */
    float r = (c - n * 0.693145752f) - n * 1.42860677e-6f;   /* ln 2 in two parts */
    /* Taylor to r^6 on |r| <= ln(2)/2: the first term left out is 1.2e-7 of the sum. */
    float p = 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    int32_t e = (int32_t)(n == n ? n : 0.0f); /* NaN has no integer; p keeps it */
    uint32_t bits = (uint32_t)(e + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    float y = p * scale;
    return x < -87.0f ? 0.0f : y;
}

/* tanh(x) from tsr_fast_exp, and from its Taylor series near 0. */
static inline float tsr_fast_tanh(float x) {
    float e = tsr_fast_exp(2.0f * x), x2 = x * x;
    float far = 1.0f - 2.0f / (e + 1.0f);
    float near = x * (1.0f + x2 * (-1.0f / 3 + x2 * (2.0f / 15 + x2 * (-17.0f / 315))));
    return x2 < 0.01f ? near : far; /* the far form cancels near 0 */
}

/* erf(x) by Abramowitz and Stegun 7.1.26, with an absolute error of 1.5e-7. */
static inline float tsr_fast_erf(float x) {
    float a = x < 0 ? -x : x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p = 1.061405429f;
    p = p * t - 1.453152027f;
    p = p * t + 1.421413741f;
    p = p * t - 0.284496736f;
    p = p * t + 0.254829592f;
    float y = 1.0f - p * t * tsr_fast_exp(-a * a);
    return x < 0 ? -y : y;
}

/* Activation of x with the polynomials above. */
static inline float tsr_activate_fast(float x, tsr_activation act) {
    switch (act) {
    case TSR_ACT_NONE:
        return x;
    case TSR_ACT_GELU:
        return 0.5f * x * (1.0f + tsr_fast_erf(x * 0.70710678f));
    case TSR_ACT_GELU_TANH:
        return 0.5f * x * (1.0f + tsr_fast_tanh(0.79788456f * (x + 0.044715f * x * x * x)));
    case TSR_ACT_SILU:
        return x / (1.0f + tsr_fast_exp(-x));
    case TSR_ACT_RELU:
        return x > 0 ? x : x != x ? x : 0.0f;
    case TSR_ACT_TANH:
        return tsr_fast_tanh(x);
    case TSR_ACT_SIGMOID:
        return 1.0f / (1.0f + tsr_fast_exp(-x));
    case TSR_ACT_QUICK_GELU:
        return x / (1.0f + tsr_fast_exp(-1.702f * x));
    }
    return x;
}

/* Computes y = act(x) for n values; y may be x. One loop for each function, so that each
 * vectorises. */
static inline __attribute__((always_inline)) void tsr_activate_many(float *y, const float *x,
                                                                    int64_t n, tsr_activation act) {
#define TSR_ACTIVATE_LOOP(name)                                                                    \
    case name:                                                                                     \
        for (int64_t i = 0; i < n; ++i)                                                            \
            y[i] = tsr_activate_fast(x[i], name);                                                  \
        break;
    switch (act) {
        TSR_ACTIVATE_LOOP(TSR_ACT_NONE)
        TSR_ACTIVATE_LOOP(TSR_ACT_GELU)
        TSR_ACTIVATE_LOOP(TSR_ACT_GELU_TANH)
        TSR_ACTIVATE_LOOP(TSR_ACT_SILU)
        TSR_ACTIVATE_LOOP(TSR_ACT_RELU)
        TSR_ACTIVATE_LOOP(TSR_ACT_TANH)
        TSR_ACTIVATE_LOOP(TSR_ACT_SIGMOID)
        TSR_ACTIVATE_LOOP(TSR_ACT_QUICK_GELU)
    }
#undef TSR_ACTIVATE_LOOP
}

#endif
