/* SPDX-License-Identifier: MIT */
/* rvq_search.c: the M-algorithm on a tree whose levels are the stages of a residual quantizer. */
#include "rvq_search.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

/* Eight sums side by side: a fixed order that compilers can turn into vector instructions. */
static float dot(const float *a, const float *b, int n) {
    float sum[LANES] = {0};
    for (int i = 0; i < n; i += LANES)
        for (int l = 0; l < LANES; ++l)
            sum[l] += a[i + l] * b[i + l];
    return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

void tsr_rvq_norms(const float *codes, int size, int dim, float *norms) {
    for (int i = 0; i < size; ++i)
        norms[i] = dot(codes + (size_t)i * (size_t)dim, codes + (size_t)i * (size_t)dim, dim);
}

size_t tsr_rvq_search_scratch(int dim, int beam) {
    return 2 * (size_t)beam * (size_t)dim;
}

/* A chain of codes: which chain it goes on from, the code it adds, and its error so far. */
typedef struct chain {
    float error;
    int from, code;
} chain;

float tsr_rvq_search(const tsr_rvq_stage *stage, int stages, int dim, int beam, const float *x,
                     float *scratch, int *codes) {
    const size_t row = (size_t)dim;
    float *rest = scratch, *next = scratch + (size_t)beam * row; /* what each chain leaves */
    int history[TSR_RVQ_MOST_STAGES][TSR_RVQ_MOST_BEAM][2];      /* from, code */
    float error[TSR_RVQ_MOST_BEAM] = {dot(x, x, dim)};
    chain best[TSR_RVQ_MOST_BEAM + 1];
    int kept = 1;
    float margin = INFINITY;
    memcpy(rest, x, sizeof *x * row);

    for (int s = 0; s < stages; ++s) {
        int found = 0;
        for (int b = 0; b < kept; ++b)
            for (int c = 0; c < stage[s].size; ++c) {
                const float *code = stage[s].codes + (size_t)c * row;
                const float e =
                    error[b] + (stage[s].norms[c] - 2 * dot(rest + (size_t)b * row, code, dim));
                if (found == beam && !(e < best[found - 1].error)) continue;
                int at = found < beam ? found++ : found - 1;
                for (; at > 0 && e < best[at - 1].error; --at)
                    best[at] = best[at - 1];
                best[at] = (chain){.error = e, .from = b, .code = c};
            }
        for (int i = 0; i < found; ++i) {
            const float *code = stage[s].codes + (size_t)best[i].code * row;
            const float *from = rest + (size_t)best[i].from * row;
            for (size_t d = 0; d < row; ++d)
                next[(size_t)i * row + d] = from[d] - code[d];
            history[s][i][0] = best[i].from;
            history[s][i][1] = best[i].code;
            error[i] = best[i].error;
        }
        float *swap = rest;
        rest = next;
        next = swap;
        kept = found;
        margin = found > 1 ? error[1] - error[0] : INFINITY;
    }
    for (int s = stages, at = 0; s-- > 0; at = history[s][at][0])
        codes[s] = history[s][at][1];
    return margin;
}
