// SPDX-License-Identifier: MIT
// activation.glsl: the functions of tsr_activation, with the formulas of compute/activation.h
// (built-in exp and tanh differ too much between drivers).

const uint ACT_NONE = 0, ACT_GELU = 1, ACT_GELU_TANH = 2, ACT_SILU = 3, ACT_RELU = 4, ACT_TANH = 5,
           ACT_SIGMOID = 6, ACT_QUICK_GELU = 7;

float fast_exp(float x) {
    float c = x > 88.0 ? 88.0 : x;
    c = c < -87.0 ? -87.0 : c;
    float n = roundEven(c * 1.44269504);
    // ln 2 in two parts: as one term, which fast arithmetic would make of it, n loses its last digits
    precise float r = (c - n * 0.693145752) - n * 1.42860677e-6;
    float p = 1.0 / 720.0;
    p = p * r + 1.0 / 120.0;
    p = p * r + 1.0 / 24.0;
    p = p * r + 1.0 / 6.0;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    float y = p * intBitsToFloat((int(n) + 127) << 23);
    return x < -87.0 ? 0.0 : y;
}

float fast_tanh(float x) {
    float e = fast_exp(2.0 * x), x2 = x * x;
    float far = 1.0 - 2.0 / (e + 1.0);
    float near = x * (1.0 + x2 * (-1.0 / 3.0 + x2 * (2.0 / 15.0 + x2 * (-17.0 / 315.0))));
    return x2 < 0.01 ? near : far;
}

float fast_erf(float x) {
    float a = abs(x), t = 1.0 / (1.0 + 0.3275911 * a);
    float p = 1.061405429;
    p = p * t - 1.453152027;
    p = p * t + 1.421413741;
    p = p * t - 0.284496736;
    p = p * t + 0.254829592;
    float y = 1.0 - p * t * fast_exp(-a * a);
    return x < 0.0 ? -y : y;
}

float activate(float x, uint act) {
    switch (act) {
    case ACT_GELU: return 0.5 * x * (1.0 + fast_erf(x * 0.70710678));
    case ACT_GELU_TANH: return 0.5 * x * (1.0 + fast_tanh(0.79788456 * (x + 0.044715 * x * x * x)));
    case ACT_SILU: return x / (1.0 + fast_exp(-x));
    case ACT_RELU: return x > 0.0 ? x : is_nan(x) ? x : 0.0;
    case ACT_TANH: return fast_tanh(x);
    case ACT_SIGMOID: return 1.0 / (1.0 + fast_exp(-x));
    case ACT_QUICK_GELU: return x / (1.0 + fast_exp(-1.702 * x));
    }
    return x;
}
