/* SPDX-License-Identifier: MIT */
/* exact_products.c: how near products of f16 pairs come to f32's. Each operand is x = h + l 2^-11
 * with h and l in f16, which keeps 22 bits; a product is the sum of h h, h l and l h, each added up
 * in f32 as a matrix unit would. Prints a table of errors against f64 in units of 2^-24 |x| |w|,
 * and fails where pairs are worse than three times f32. No GPU is used.
 *
 *     exact_products > table.txt */
#include "compute/tensor.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef enum form {
    F32,           /* one product after the other, each addition rounded */
    PAIRS,         /* three such sums of f16 products */
    PAIRS_CUT,     /* a matrix unit that adds 16 products exactly and cuts the sum to f32 */
    PAIRS_EMPTIED, /* the same, its sum emptied into one in f32 after every 256, as the shader does
                    */
    SINGLE_F16,    /* operands rounded to f16, what --precision fast does */
    FORMS
} form;

static const char *const names[] = {"f32", "pairs", "pairs, sums cut", "pairs, cut, emptied",
                                    "f16"};

static uint64_t state = 1;

static double uniform(void) { /* splitmix64, 0 to 1 */
    uint64_t z = state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

static float normal(void) {
    const double u = 1 - uniform(), v = uniform();
    return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

static float half(float x) {
    return tsr_f16_to_f32(tsr_f32_to_f16(x));
}

/* The f32 next to x on the side of zero. */
static float cut(double x) {
    float f = (float)x;
    return fabs((double)f) > fabs(x) ? nextafterf(f, 0) : f;
}

/* a . b added up as `how` says. */
static float added(form how, const float *a, const float *b, int n) {
    enum { BLOCK = 16, EMPTIED = 256 };
    const bool cuts = how == PAIRS_CUT || how == PAIRS_EMPTIED;
    float sum = 0, emptied = 0;
    for (int i = 0; i < n && !cuts; ++i)
        sum = fmaf(a[i], b[i], sum);
    for (int i = 0; i < n && cuts; i += BLOCK) {
        double block = sum;
        for (int k = i; k < n && k < i + BLOCK; ++k)
            block += (double)a[k] * b[k];
        sum = cut(block);
        if (how == PAIRS_EMPTIED && i % EMPTIED == EMPTIED - BLOCK) {
            emptied += sum;
            sum = 0;
        }
    }
    return emptied + sum;
}

static float product(form how, const float *x, const float *w, int n) {
    static float part[4][1 << 13]; /* h and l of both */
    if (how == F32) return added(F32, x, w, n);
    for (int i = 0; i < n; ++i) {
        part[0][i] = half(x[i]);
        part[1][i] = half((x[i] - part[0][i]) * 2048);
        part[2][i] = half(w[i]);
        part[3][i] = half((w[i] - part[2][i]) * 2048);
    }
    const float hh = added(how, part[0], part[2], n);
    if (how == SINGLE_F16) return hh;
    return hh + (added(how, part[0], part[3], n) + added(how, part[1], part[2], n)) / 2048;
}

int main(void) {
    enum { MOST = 4608, TIMES = 4000 };
    static float x[MOST], w[MOST];
    static const struct {
        const char *what;
        int n;
        float large; /* every 61st of x is so many times larger: channels that stand out */
        float scale; /* of w */
    } cases[] = {{"attention head", 64, 1, 1},
                 {"TiTok S", 512, 1, 0.04f},
                 {"TiTok S, fc2", 2048, 1, 0.02f},
                 {"conv 3x3 of 512", 4608, 1, 0.015f},
                 {"channels that stand out", 768, 100, 0.04f},
                 {"small weights", 768, 1, 1e-4f}};
    int failed = 0;
    printf("| product | terms | form | rms error | largest |\n|---|---|---|---|---|\n");
    for (size_t c = 0; c < sizeof cases / sizeof *cases; ++c) {
        double squares[FORMS] = {0}, largest[FORMS] = {0};
        const int n = cases[c].n;
        for (int t = 0; t < TIMES; ++t) {
            double exact = 0, xx = 0, ww = 0;
            for (int i = 0; i < n; ++i) {
                x[i] = normal() * (i % 61 ? 1 : cases[c].large);
                w[i] = normal() * cases[c].scale;
                exact += (double)x[i] * w[i];
                xx += (double)x[i] * x[i];
                ww += (double)w[i] * w[i];
            }
            const double unit = 0x1p-24 * sqrt(xx * ww);
            for (int f = 0; f < FORMS; ++f) {
                const double error = fabs((double)product((form)f, x, w, n) - exact) / unit;
                squares[f] += error * error;
                largest[f] = fmax(largest[f], error);
            }
        }
        for (int f = 0; f < FORMS; ++f)
            printf("| %s | %d | %s | %.3g | %.3g |\n", cases[c].what, n, names[f],
                   sqrt(squares[f] / TIMES), largest[f]);
        failed |= squares[PAIRS] > 9 * squares[F32] || squares[PAIRS_EMPTIED] > 9 * squares[F32];
    }
    if (failed) fprintf(stderr, "exact_products: pairs are more than three times as far as f32\n");
    return failed;
}
