// SPDX-License-Identifier: MIT
// conv2d.comp: y = residual + act(conv(x) + bias) of channels-last feature maps, a matrix product
// whose rows are output pixels and whose k runs over (kernel row, kernel column, channel). An
// address generator finds a pixel's input for each place in the kernel (doubled, when the input is
// upsampled; zeros outside); the kernel comes as [kh, kw, C, columns], columns a multiple of 4.
//
// Three bodies, as in linear.comp: a subgroup owns TM pixels and each lane TN words of 4 columns, the
// pixels' words travel by broadcast; or (SHARED_TILE) BM pixels and BN columns in shared memory; or
// (COOPMAT, with HALF, or PAIRS in f32's place) such a tile on matrix units.
// With HALF the kernel is f16, two channels of a column in a word, [kh, kw, C / 2, columns] with C a
// multiple of 4, or with COOPMAT rows of C as matrix units read them, [kh, kw, n, C], C a multiple of
// 8; x is rounded to f16 (half.glsl) unless it is f16 already, and y may be f16, too.
// Each sum goes through k in order, so a pixel's result does not depend on how many there are.
//
// A norm that reads y may have its statistics from here (statistics.glsl): of each STAT_ROWS pixels,
// which lie in one picture, and four channels; then n is a multiple of 4.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef LONG_WORDS
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#endif
#if !defined(SHARED_TILE) || defined(COOPMAT)
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_ballot : require
#endif
#define BINDINGS 6
#define PUSH                                                                                       \
    uint pixels; uint n; uint columns; uint c; uint h; uint w; uint oh; uint ow; uint kh; uint kw; \
    uint stride; uint top; uint left; uint up;
#include "common.glsl"
#include "activation.glsl"
#include "wide.glsl"

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint SUBGROUP = 32;
// Sums of one invocation: pixels and words of 4 columns; with COOPMAT of one subgroup: pixels and
// columns.
layout(constant_id = 2) const uint TM = 4;
layout(constant_id = 3) const uint TN = 1;
layout(constant_id = 4) const uint WIDE = 0; // c is a multiple of 4
layout(constant_id = 5) const uint ACT = 0;
// 1 bias, 2 residual; 8 x is f16, 16 y is f16, 32 n is a multiple of 4, 64 c is one of BK; from 256 on
// the pixels of a piece with statistics
layout(constant_id = 6) const uint PARTS = 0;
// 1: a loop finishes the sums, of f32 in y (linear.comp says why)
layout(constant_id = 7) const uint ROLLED = 0;
layout(constant_id = 8) const uint BM = 64; // shared tile: pixels, columns, depth
layout(constant_id = 9) const uint BN = 64;
layout(constant_id = 10) const uint BK = 16;

const bool X_HALF = (PARTS & 8) != 0, Y_HALF = (PARTS & 16) != 0;
const bool QUADS = (PARTS & 32) != 0, EVEN = (PARTS & 64) != 0;
const uint STAT_ROWS = PARTS >> 8; // 0: no statistics

TENSOR_READ(0, float, x);
WIDE_READ(0, x4);
#ifdef HALF
#include "half.glsl"
HALF_READ2(0, xh);
HALF_READ4(1, wh);
#else
WIDE_READ(1, w4);
#endif
TENSOR_READ(2, float, bias);
TENSOR_READ(3, float, residual);
TENSOR_WRITE(4, float, y);
WIDE_READ(2, bias4);
WIDE_READ(3, residual4);
TENSOR_WRITE4(4, y4);
#ifdef HALF
HALF_WRITE2(4, yh2);
#endif
TENSOR_WRITE(5, vec2, statistics);
#include "statistics.glsl"

// What is known of the STAT_ROWS pixels from `pixel` on and the four columns from col on.
void put_moments(Moments m, uint pixel, uint col) {
    if (pixel < push.pixels && col < push.n)
        statistics[OFFSET(5) / 2 + (pixel / max(STAT_ROWS, 1) * push.n + col) / 4] = vec2(m.mean, m.squares);
}

struct Pixel { // of y: where its kernel's first row and column lie in the (doubled) input
    uint image; // the number of its picture's first element
    int row, col;
};

Pixel find_pixel(uint at) {
    at = min(at, push.pixels - 1);
    Pixel p;
    p.image = at / (push.oh * push.ow) * (push.h * push.w * push.c);
    p.row = int(at / push.ow % push.oh * push.stride) - int(push.top);
    p.col = int(at % push.ow * push.stride) - int(push.left);
    return p;
}

const uint OUTSIDE = 0xFFFFFFFFu;

// The number of channel 0 under (ky, kx) of the kernel.
uint find_input(Pixel p, uint ky, uint kx) {
    uint row = uint(p.row + int(ky)), col = uint(p.col + int(kx)); // below 0 is far beyond the end
    if (row >= push.h << push.up || col >= push.w << push.up) return OUTSIDE;
    return p.image + ((row >> push.up) * push.w + (col >> push.up)) * push.c;
}

vec4 load_x_exact(uint at, uint c) {
    if (at == OUTSIDE || c >= push.c) return vec4(0.0);
    at += OFFSET(0);
    if (WIDE != 0) return WIDE_LOAD(x4, at + c);
    vec4 v = vec4(x[at + c], 0.0, 0.0, 0.0);
    if (c + 1 < push.c) v.y = x[at + c + 1];
    if (c + 2 < push.c) v.z = x[at + c + 2];
    if (c + 3 < push.c) v.w = x[at + c + 3];
    return v;
}

#ifdef HALF
uvec2 load_x_words(uint at, uint c) { // c and C of f16 maps are multiples of 4
    if (!X_HALF) return half_pack(load_x_exact(at, c));
    if (at == OUTSIDE || c >= push.c) return uvec2(0);
    return HALF_LOAD2(xh, OFFSET(0) + (at + c) / 2);
}
vec4 load_x(uint at, uint c) {
    if (X_HALF) return half_unpack(load_x_words(at, c));
    return half_round(load_x_exact(at, c));
}
// Four columns of channels c and c + 1 at one place of the kernel; past the last word of columns
// they repeat it, and are dropped later.
uvec4 load_w_words(uint tap, uint c, uint col) {
    uint row = tap * ((push.c + 3) / 4 * 2) + c / 2;
    return HALF_LOAD4(wh, OFFSET(1) + row * push.columns + min(col, push.columns - 4));
}
#else
vec4 load_x(uint at, uint c) { return load_x_exact(at, c); }
// Four columns of row k of the kernel; past the last word they repeat it, and are dropped later.
vec4 load_w(uint k, uint col) {
    return WIDE_LOAD(w4, OFFSET(1) + k * push.columns + min(col, push.columns - 4));
}
#endif

float finish(float sum, uint pixel, uint col) {
    if ((PARTS & 1) != 0) sum += bias[OFFSET(2) + col];
    sum = activate(sum, ACT);
    if ((PARTS & 2) != 0) sum += residual[OFFSET(3) + pixel * push.n + col];
    return sum;
}

// Finishes and writes four columns from col on; sum is then what can be read there.
void store4(inout vec4 sum, uint pixel, uint col) {
    if (pixel >= push.pixels || col >= push.n) return;
    uint at = pixel * push.n + col;
    if (!QUADS) {
        [[unroll]] for (uint i = 0; i < 4; ++i)
            if (col + i < push.n) y[OFFSET(4) + at + i] = finish(sum[i], pixel, col + i);
        return;
    }
    if ((PARTS & 1) != 0) sum += WIDE_LOAD(bias4, OFFSET(2) + col);
    [[unroll]] for (uint i = 0; i < 4; ++i) sum[i] = activate(sum[i], ACT);
    if ((PARTS & 2) != 0) sum += WIDE_LOAD(residual4, OFFSET(3) + at);
#ifdef HALF
    if (Y_HALF) {
        sum = half_round(sum);
        yh2[(OFFSET(4) + at / 2) / 2] = uvec2(packHalf2x16(sum.xy), packHalf2x16(sum.zw));
        return;
    }
#endif
    y4[(OFFSET(4) + at) / 4] = sum;
}

void store_raw(vec4 sum, uint pixel, uint col) {
    if (pixel < push.pixels)
        [[unroll]] for (uint i = 0; i < 4; ++i)
            if (col + i < push.n) y[OFFSET(4) + pixel * push.n + col + i] = sum[i];
}

void finish_later(uint pixel, uint col) {
    for (uint i = 0; i < 4; ++i) {
        uint at = OFFSET(4) + pixel * push.n + col + i;
        if (pixel < push.pixels && col + i < push.n) y[at] = finish(y[at], pixel, col + i);
    }
}

// Four columns that this invocation has written.
vec4 written(uint pixel, uint col) {
    uint at = min(pixel, push.pixels - 1) * push.n + min(col, push.n - 4);
#ifdef HALF
    if (Y_HALF) return half_unpack(yh2[(OFFSET(4) + at / 2) / 2]);
#endif
    if (ROLLED == 0) return y4[(OFFSET(4) + at) / 4];
    at += OFFSET(4);
    return vec4(y[at], y[at + 1], y[at + 2], y[at + 3]);
}

vec4 fma4(float a, vec4 b, vec4 sum) { return fma(vec4(a), b, sum); }

#ifdef COOPMAT

#ifdef PAIRS
WORDS_READ4(1, w_pairs);
#else
HALF_READ4(0, xh4);
#endif

const bool ALL_KEPT = false; // a kernel reaches over the edges
void fetch(uint step);
#include "coopmat.glsl"

Pixel pixel[XL];
uint x_at[XL], w_at[WL]; // of this place in the kernel: the word of channel 0, or OUTSIDE; of f32 x
                         // the element
uint first_col, tap, depth; // depth: words of channels that are done

#ifdef PAIRS
void find_words() {
    uint last = min(tap, push.kh * push.kw - 1); // one fetch too many is made
    uint ky = last / push.kw, kx = last % push.kw, words = (push.c + 7) / 8;
    [[unroll]] for (uint n = 0; n < XL; ++n) {
        x_at[n] = find_input(pixel[n], ky, kx);
        if (WIDE != 0 && x_at[n] != OUTSIDE) x_at[n] = (OFFSET(0) + x_at[n]) / 4 + word_of(n) * 2;
    }
    [[unroll]] for (uint n = 0; n < WL; ++n)
        w_at[n] = OFFSET(1) / 4 + (last * push.n + min(first_col + row_of(n), push.n - 1)) * words * 2;
}

// Steps come in order: all channels of one place in the kernel, then those of the next.
void fetch(uint step) {
    uint words = (push.c + 7) / 8;
    if (depth == 0) find_words();
    [[unroll]] for (uint i = 0; i < 2 * XL; ++i) {
        uint c = (depth + word_of(i / 2)) * 8 + i % 2 * 4;
        kept_x[i] = x_at[i / 2] != OUTSIDE && (EVEN || c < push.c);
        if (WIDE != 0)
            next_x[i] = x4[kept_x[i] ? x_at[i / 2] + depth * 2 + i % 2 : 0];
        else
            next_x[i] = load_x_exact(x_at[i / 2], c);
    }
    [[unroll]] for (uint i = 0; i < 2 * WL; ++i) {
        uint word = depth + word_of(i / 2);
        next_w[i] = w_pairs[w_at[i / 2] + 2 * (EVEN ? word : min(word, words - 1)) + i % 2];
    }
    depth += WORDS;
    if (depth >= words) {
        depth = 0;
        ++tap;
    }
}
#else
void find_words() {
    uint last = min(tap, push.kh * push.kw - 1); // one fetch too many is made
    uint ky = last / push.kw, kx = last % push.kw, words = (push.c + 7) / 8;
    [[unroll]] for (uint n = 0; n < XL; ++n) {
        x_at[n] = find_input(pixel[n], ky, kx);
        if (X_HALF && x_at[n] != OUTSIDE) x_at[n] = OFFSET(0) / 4 + x_at[n] / 8 + word_of(n);
    }
    [[unroll]] for (uint n = 0; n < WL; ++n)
        w_at[n] = OFFSET(1) / 4 + (last * push.n + min(first_col + row_of(n), push.n - 1)) * words + word_of(n);
}

// Steps come in order: all channels of one place in the kernel, then those of the next.
void fetch(uint step) {
    uint words = (push.c + 7) / 8;
    if (depth == 0) find_words();
    [[unroll]] for (uint n = 0; n < XL; ++n) {
        uint word = depth + word_of(n);
        kept_x[n] = x_at[n] != OUTSIDE && (EVEN || word < words);
        if (X_HALF)
            next_x[n] = xh4[kept_x[n] ? x_at[n] + depth : 0];
        else
            next_x[n] = uvec4(load_x_words(x_at[n], word * 8), load_x_words(x_at[n], word * 8 + 4));
    }
    [[unroll]] for (uint n = 0; n < WL; ++n)
        next_w[n] =
            wh[w_at[n] + (EVEN ? depth : min(depth + word_of(n), words - 1) - word_of(n))];
    depth += WORDS;
    if (depth >= words) {
        depth = 0;
        ++tap;
    }
}
#endif

void main() {
    first_col = gl_WorkGroupID.x * BN;
    uint words = (push.c + 7) / 8, steps = push.kh * push.kw * ((words + WORDS - 1) / WORDS);
    for (uint pixel0 = gl_WorkGroupID.y * BM; pixel0 < push.pixels; pixel0 += gl_NumWorkGroups.y * BM) {
        [[unroll]] for (uint n = 0; n < XL; ++n) pixel[n] = find_pixel(pixel0 + row_of(n));
        tap = 0;
        depth = 0;
        coopmat_tile(steps, pixel0, first_col);
    }
}

#elif !defined(SHARED_TILE)

const uint XW = TM > SUBGROUP ? TM / SUBGROUP : 1; // words of x a lane loads for each four k

void main() {
    uint waves = gl_WorkGroupSize.x / SUBGROUP, lane = gl_SubgroupInvocationID;
    uint col0 = (gl_WorkGroupID.x * SUBGROUP * TN + lane) * 4;
    uint step = gl_NumWorkGroups.y * waves * TM;
    for (uint pixel0 = (gl_WorkGroupID.y * waves + gl_SubgroupID) * TM; pixel0 < push.pixels;
         pixel0 += step) {
        vec4 sum[TM][TN];
        Pixel pixel[XW];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = vec4(0.0);
        [[unroll]] for (uint i = 0; i < XW; ++i)
            pixel[i] = find_pixel(pixel0 + min(i * SUBGROUP + lane, TM - 1));
        for (uint tap = 0; tap < push.kh * push.kw; ++tap) {
            uint from[XW];
            [[unroll]] for (uint i = 0; i < XW; ++i)
                from[i] = find_input(pixel[i], tap / push.kw, tap % push.kw);
            for (uint c = 0; c < push.c; c += 4) {
                vec4 xv[XW], wv[4][TN];
                [[unroll]] for (uint i = 0; i < XW; ++i) xv[i] = load_x(from[i], c);
#ifdef HALF
                [[unroll]] for (uint k = 0; k < 4; k += 2)
                    [[unroll]] for (uint j = 0; j < TN; ++j) {
                        uvec4 words = load_w_words(tap, c + k, col0 + j * SUBGROUP * 4);
                        [[unroll]] for (uint i = 0; i < 4; ++i) {
                            vec2 pair = unpackHalf2x16(words[i]);
                            wv[k][j][i] = pair.x;
                            wv[k + 1][j][i] = pair.y;
                        }
                    }
#else
                [[unroll]] for (uint k = 0; k < 4; ++k)
                    [[unroll]] for (uint j = 0; j < TN; ++j)
                        wv[k][j] = load_w(tap * push.c + (WIDE != 0 ? c + k : min(c + k, push.c - 1)),
                                          col0 + j * SUBGROUP * 4);
#endif
                [[unroll]] for (uint r = 0; r < TM; ++r) {
                    vec4 row = subgroupBroadcast(xv[r / SUBGROUP], r % SUBGROUP);
                    [[unroll]] for (uint k = 0; k < 4; ++k)
                        [[unroll]] for (uint j = 0; j < TN; ++j)
                            sum[r][j] = fma4(row[k], wv[k][j], sum[r][j]);
                }
            }
        }
        if (ROLLED != 0 && !Y_HALF) {
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint j = 0; j < TN; ++j)
                    store_raw(sum[r][j], pixel0 + r, col0 + j * SUBGROUP * 4);
            for (uint i = 0; i < TM * TN && (ACT | PARTS & 3) != 0; ++i)
                finish_later(pixel0 + i / TN, col0 + i % TN * SUBGROUP * 4);
        } else if (ROLLED != 0) {
            vec4 kept[TM * TN];
            [[unroll]] for (uint i = 0; i < TM * TN; ++i) kept[i] = sum[i / TN][i % TN];
            for (uint i = 0; i < TM * TN && pixel0 + i / TN < push.pixels; ++i)
                store4(kept[i], pixel0 + i / TN, col0 + i % TN * SUBGROUP * 4);
        } else
            [[unroll]] for (uint r = 0; r < TM; ++r)
                [[unroll]] for (uint j = 0; j < TN; ++j)
                    store4(sum[r][j], pixel0 + r, col0 + j * SUBGROUP * 4);
        if (STAT_ROWS != 0) // TM pixels
            [[unroll]] for (uint j = 0; j < TN; ++j) {
                Moments m = Moments(0.0, 0.0);
                if (ROLLED != 0)
                    for (uint r = 0; r < TM; ++r) moments_add(m, written(pixel0 + r, col0 + j * SUBGROUP * 4), r + 1);
                else
                    [[unroll]] for (uint r = 0; r < TM; ++r) moments_add(m, sum[r][j], r + 1);
                put_moments(m, pixel0, col0 + j * SUBGROUP * 4);
            }
    }
}

#else

// A shared value holds EACH channels of four pixels or columns.
#ifdef HALF
#define WORDS uvec4
const uint EACH = 2;
#else
#define WORDS vec4
const uint EACH = 1;
#endif

// Stored k-major. Four words of padding keep words of four whole and neighbouring k in other banks.
const uint XS = BM + 4;
shared WORDS xs[BK / EACH * (BM + 4) / 4];
shared WORDS ws[BK / EACH * BN / 4];
const uint THREADS = BM / TM * (BN / (4 * TN)), UNITS = BK / 4;
// Of an invocation's TM pixels and each of its words of columns.
shared vec2 moments[STAT_ROWS != 0 ? BM / TM * (BN / 4) : 1];
// Of four channels of pixels, how many an invocation stages, and pixels between two, a multiple of 4.
const uint XL = BM * UNITS / THREADS, NEXT = THREADS / UNITS;
// Of words of the kernel, how many there are, and an invocation stages: the last may be too many.
const uint ALL_W = BK / EACH * BN / 4, WL = (ALL_W + THREADS - 1) / THREADS;

#ifdef HALF
#define X_UNIT uvec2
#define W4 wh
#else
#define X_UNIT vec4
#define W4 w4
#endif

// Four channels from c on: where they lie at one place of the kernel, found once for all steps, as a
// step adds as much for all; with EVEN in units of four.
struct Place {
    uint at;
    bool inside;
};

Place find_place(Pixel p, uint ky, uint kx, uint c) {
    Place found;
    found.at = find_input(p, ky, kx);
    found.inside = found.at != OUTSIDE;
    if (!EVEN) return found;
    uint at = found.inside ? found.at + c : 0; // what is read in its stead is dropped
    found.at = X_HALF ? OFFSET(0) / 2 + at / 4 : (OFFSET(0) + at) / 4;
    return found;
}

X_UNIT stage_x(Place from, uint c0, uint c) {
    X_UNIT v;
#ifdef HALF
    if (!EVEN) return load_x_words(from.at, c0 + c);
    if (X_HALF) v = xh[from.at + c0 / 4];
    else v = half_pack(x4[from.at + c0 / 4]);
#else
    if (!EVEN) return load_x(from.at, c0 + c);
    v = x4[from.at + c0 / 4];
#endif
    return from.inside ? v : X_UNIT(0);
}

// Of `each` invocations' pixels behind each other: mean first.
Moments moments_of(uint word, uint first, uint each) {
    float near = moments[first * (BN / 4) + word].x, sum = 0.0;
    for (uint i = 1; i < each; ++i) sum += moments[(first + i) * (BN / 4) + word].x - near;
    Moments m = Moments(near + sum / float(each), 0.0);
    for (uint i = 0; i < each; ++i) {
        vec2 of = moments[(first + i) * (BN / 4) + word];
        float d = of.x - m.mean;
        m.squares += of.y + d * d * float(4 * TM);
    }
    return m;
}

void main() {
    const uint across = BN / (4 * TN);
    uint t = gl_LocalInvocationIndex, tx = t % across, ty = t / across;
    uint unit = t % UNITS * 4, staged_pixel = t / UNITS;
    uint quartet = unit / EACH * (XS / 4) + staged_pixel / 4;
    uint col0 = gl_WorkGroupID.x * BN, step = gl_NumWorkGroups.y * BM;
#ifdef HALF
    uint rows = (push.c + 3) / 4 * 2; // of the kernel, for one place
#else
    uint rows = push.c;
#endif
    uint w_at[WL], w_row[WL]; // in words of four columns; past the last one it is repeated
    [[unroll]] for (uint i = 0; i < WL; ++i) {
        uint at = t + i * THREADS;
        w_row[i] = at / (BN / 4);
        w_at[i] = (OFFSET(1) + w_row[i] * push.columns + min(col0 + at % (BN / 4) * 4, push.columns - 4)) / 4;
    }
    for (uint pixel0 = gl_WorkGroupID.y * BM; pixel0 < push.pixels; pixel0 += step) {
        vec4 sum[TM][TN];
        Pixel pixel[XL];
        [[unroll]] for (uint r = 0; r < TM; ++r)
            [[unroll]] for (uint j = 0; j < TN; ++j) sum[r][j] = vec4(0.0);
        [[unroll]] for (uint i = 0; i < XL; ++i) pixel[i] = find_pixel(pixel0 + staged_pixel + i * NEXT);
        for (uint tap = 0; tap < push.kh * push.kw; ++tap) {
            Place from[XL];
            [[unroll]] for (uint i = 0; i < XL; ++i)
                from[i] = find_place(pixel[i], tap / push.kw, tap % push.kw, unit);
            for (uint c0 = 0; c0 < push.c; c0 += BK) {
                X_UNIT x_unit[XL];
                WORDS w_unit[WL];
                uint row = tap * rows + c0 / EACH;
                [[unroll]] for (uint i = 0; i < XL; ++i) x_unit[i] = stage_x(from[i], c0, unit);
                [[unroll]] for (uint i = 0; i < WL; ++i) {
                    w_unit[i] = WORDS(0);
                    if (EVEN || c0 + w_row[i] * EACH < push.c)
                        w_unit[i] = W4[w_at[i] + row * (push.columns / 4)];
                }
                [[unroll]] for (uint i = 0; i < XL; ++i)
                    [[unroll]] for (uint e = 0; e < 4 / EACH; ++e)
                        xs[quartet + e * (XS / 4) + i * (NEXT / 4)][staged_pixel % 4] = x_unit[i][e];
                [[unroll]] for (uint i = 0; i < WL; ++i)
                    if (ALL_W % THREADS == 0 || t + i * THREADS < ALL_W) ws[t + i * THREADS] = w_unit[i];
                barrier();
#ifdef HALF
                for (uint k = 0; k < BK / 2; ++k) {
                    vec4 even[TN], odd[TN];
                    [[unroll]] for (uint j = 0; j < TN; ++j) {
                        uvec4 words = ws[k * (BN / 4) + tx + j * across];
                        [[unroll]] for (uint i = 0; i < 4; ++i) {
                            vec2 pair = unpackHalf2x16(words[i]);
                            even[j][i] = pair.x;
                            odd[j][i] = pair.y;
                        }
                    }
                    [[unroll]] for (uint r = 0; r < TM; r += 4) {
                        uvec4 words = xs[k * (XS / 4) + ty * (TM / 4) + r / 4];
                        [[unroll]] for (uint e = 0; e < 4; ++e) {
                            vec2 a = unpackHalf2x16(words[e]);
                            [[unroll]] for (uint j = 0; j < TN; ++j)
                                sum[r + e][j] = fma4(a.y, odd[j], fma4(a.x, even[j], sum[r + e][j]));
                        }
                    }
                }
#else
                for (uint k = 0; k < BK; ++k) {
                    vec4 b[TN];
                    [[unroll]] for (uint j = 0; j < TN; ++j)
                        b[j] = ws[k * (BN / 4) + tx + j * across];
                    [[unroll]] for (uint r = 0; r < TM; r += 4) {
                        vec4 a = xs[k * (XS / 4) + ty * (TM / 4) + r / 4];
                        [[unroll]] for (uint e = 0; e < 4; ++e)
                            [[unroll]] for (uint j = 0; j < TN; ++j)
                                sum[r + e][j] = fma4(a[e], b[j], sum[r + e][j]);
                    }
                }
#endif
                barrier();
            }
        }
        if (ROLLED != 0) {
            vec4 kept[TM * TN];
            [[unroll]] for (uint i = 0; i < TM * TN; ++i) kept[i] = sum[i / TN][i % TN];
            for (uint i = 0; i < TM * TN && pixel0 + ty * TM + i / TN < push.pixels; ++i)
                store4(kept[i], pixel0 + ty * TM + i / TN, col0 + (tx + i % TN * across) * 4);
            if (STAT_ROWS != 0)
                for (uint j = 0; j < TN; ++j) {
                    Moments m = Moments(0.0, 0.0);
                    for (uint r = 0; r < TM; ++r)
                        moments_add(m, kept[r * TN + j], r + 1);
                    moments[ty * (BN / 4) + tx + j * across] = vec2(m.mean, m.squares);
                }
        } else
            [[unroll]] for (uint j = 0; j < TN; ++j) {
                Moments m = Moments(0.0, 0.0);
                [[unroll]] for (uint r = 0; r < TM; ++r) {
                    store4(sum[r][j], pixel0 + ty * TM + r, col0 + (tx + j * across) * 4);
                    if (STAT_ROWS != 0) moments_add(m, sum[r][j], r + 1);
                }
                if (STAT_ROWS != 0) moments[ty * (BN / 4) + tx + j * across] = vec2(m.mean, m.squares);
            }
        if (STAT_ROWS != 0) {
            barrier();
            uint each = STAT_ROWS / TM;
            for (uint i = t; i < BM / (each * TM) * (BN / 4); i += THREADS) {
                uint word = i % (BN / 4), first = i / (BN / 4) * each;
                put_moments(moments_of(word, first, each), pixel0 + first * TM, col0 + word * 4);
            }
        }
    }
}

#endif
