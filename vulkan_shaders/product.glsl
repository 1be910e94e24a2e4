// SPDX-License-Identifier: MIT
// product.glsl: rows of x times rows of w, both contiguous along k, the core that linear.comp and
// nearest_code.comp share. The including shader binds x as tensor 0 and w as tensor 1 and defines
// push members m, n, k and the specialisation constants SUBGROUP, TM, TN, WIDE.
//
// Subgroup broadcast: a subgroup owns TM rows and SUBGROUP * TN columns. Each lane keeps TM x TN
// sums; its columns are lane, lane + SUBGROUP, ... so that stores of neighbours meet. Four k at a
// time, lane l loads its columns' words and row l's word, which all others get by broadcast. No
// shared memory, no barrier: right for software drivers and for GPUs where shared memory is slow.
//
// With HALF the rows of w are pairs of f16 (half.glsl), padded to a multiple of 8, and x is rounded
// to f16, or with X_HALF is f16 already, k a multiple of 8; the sums stay f32. With Y_HALF a lane's
// columns are neighbours two by two, as a word of y is written by one lane.

#include "wide.glsl"

TENSOR_READ(0, float, x);
// The same memory as 16-byte words, used when k is a multiple of 4 (WIDE).
WIDE_READ(0, x4);
#ifdef HALF
#include "half.glsl"
HALF_READ2(0, xh);
HALF_READ2(1, wh);
#else
TENSOR_READ(1, float, w);
WIDE_READ(1, w4);
#endif

vec4 load_x_exact(uint row, uint k) {
    uint at = OFFSET(0) + row * push.k + k;
    if (WIDE != 0) return WIDE_LOAD(x4, at);
    vec4 v = vec4(x[at], 0.0, 0.0, 0.0);
    if (k + 1 < push.k) v.y = x[at + 1];
    if (k + 2 < push.k) v.z = x[at + 2];
    if (k + 3 < push.k) v.w = x[at + 3];
    return v;
}

#ifdef HALF
uvec2 load_x_words(uint row, uint k) {
    if (X_HALF) return HALF_LOAD2(xh, OFFSET(0) + (row * push.k + k) / 2);
    return half_pack(load_x_exact(row, k));
}
vec4 load_x(uint row, uint k) {
    if (X_HALF) return half_unpack(load_x_words(row, k));
    return half_round(load_x_exact(row, k));
}
uvec2 load_w_words(uint row, uint k) {
    return HALF_LOAD2(wh, OFFSET(1) + row * ((push.k + 7) / 8 * 4) + k / 2);
}
vec4 load_w(uint row, uint k) { return half_unpack(load_w_words(row, k)); }
#else
vec4 load_x(uint row, uint k) { return load_x_exact(row, k); }
vec4 load_w(uint row, uint k) {
    uint at = OFFSET(1) + row * push.k + k;
    if (WIDE != 0) return WIDE_LOAD(w4, at);
    vec4 v = vec4(w[at], 0.0, 0.0, 0.0);
    if (k + 1 < push.k) v.y = w[at + 1];
    if (k + 2 < push.k) v.z = w[at + 2];
    if (k + 3 < push.k) v.w = w[at + 3];
    return v;
}
#endif

float fma4(vec4 a, vec4 b, float sum) {
    return fma(a.w, b.w, fma(a.z, b.z, fma(a.y, b.y, fma(a.x, b.x, sum))));
}

#ifdef SUBGROUP_PRODUCT
const uint XW = TM > SUBGROUP ? TM / SUBGROUP : 1; // words of x a lane loads for each four k

uint lane_column(uint j) {
    uint lane = gl_SubgroupInvocationID;
#ifdef HALF
    if (Y_HALF) return (j / 2 * SUBGROUP + lane) * 2 + j % 2;
#endif
    return j * SUBGROUP + lane;
}

// Adds rows row0 .. row0 + TM times columns col0 + lane_column(j) to sum. Rows and columns past
// the end repeat the last one; the caller drops them. Also sums the squares of the loaded rows and
// columns when SQUARES is defined.
void subgroup_product(uint row0, uint col0, inout float sum[TM][TN]
#ifdef SQUARES
                      , inout float xx[XW], inout float ww[TN]
#endif
) {
    uint lane = gl_SubgroupInvocationID;
    for (uint k = 0; k < push.k; k += 4) {
        vec4 xv[XW], wv[TN];
        [[unroll]] for (uint i = 0; i < XW; ++i)
            xv[i] = load_x(min(row0 + min(i * SUBGROUP + lane, TM - 1), push.m - 1), k);
        [[unroll]] for (uint j = 0; j < TN; ++j)
            wv[j] = load_w(min(col0 + lane_column(j), push.n - 1), k);
#ifdef SQUARES
        [[unroll]] for (uint i = 0; i < XW; ++i) xx[i] = fma4(xv[i], xv[i], xx[i]);
        [[unroll]] for (uint j = 0; j < TN; ++j) ww[j] = fma4(wv[j], wv[j], ww[j]);
#endif
        [[unroll]] for (uint r = 0; r < TM; ++r) {
            vec4 row = subgroupBroadcast(xv[r / SUBGROUP], r % SUBGROUP);
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = fma4(row, wv[j], sum[r][j]);
        }
    }
}
#endif
