// SPDX-License-Identifier: MIT
// pair_moments.comp: PART: moments of 256 places of a channel of two maps; else: chunks of them
// merged in their order. An invocation for each channel (of each chunk).
#version 450
#extension GL_GOOGLE_include_directive : require
#define BINDINGS 2
#define PUSH uint n; uint places; uint c; uint chunks; uint batch;
#include "common.glsl"
#include "grid.glsl"
const uint CHUNK = 256; // as in ops/pair_moments.c

#ifdef PART
TENSOR_READ(0, float, x);
TENSOR_WRITE(1, float, part);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint c = at % push.c, chunk = at / push.c, first = chunk % push.chunks * CHUNK;
    uint n = min(push.places - first, CHUNK);
    uint from = (chunk / push.chunks * push.places + first) * push.c + c;
    uint pa = OFFSET(0) + from, pb = pa + push.batch * push.places * push.c;
    float ma = 0.0, mb = 0.0, va = 0.0, vb = 0.0, ab = 0.0;
    for (uint p = 0; p < n; ++p) {
        ma += x[pa + p * push.c];
        mb += x[pb + p * push.c];
    }
    ma /= float(n);
    mb /= float(n);
    for (uint p = 0; p < n; ++p) {
        float da = x[pa + p * push.c] - ma, db = x[pb + p * push.c] - mb;
        va += da * da;
        vb += db * db;
        ab += da * db;
    }
    uint to = OFFSET(1) + chunk * 5 * push.c + c;
    part[to] = ma;
    part[to + push.c] = mb;
    part[to + 2 * push.c] = va;
    part[to + 3 * push.c] = vb;
    part[to + 4 * push.c] = ab;
}
#else
TENSOR_READ(0, float, part);
TENSOR_WRITE(1, float, y);

void main() {
    uint at = thread_id();
    if (at >= push.n) return;
    uint c = push.c, item = at / c, i = at % c;
    float s[5] = float[](0.0, 0.0, 0.0, 0.0, 0.0);
    for (uint k = 0; k < push.chunks; ++k) {
        uint from = OFFSET(0) + (item * push.chunks + k) * 5 * c + i, before = k * CHUNK;
        float n = float(min(push.places - before, CHUNK));
        float share = n / (float(before) + n), weight = float(before) * share;
        float da = part[from] - s[0], db = part[from + c] - s[1];
        s[0] += da * share;
        s[1] += db * share;
        s[2] += part[from + 2 * c] + da * da * weight;
        s[3] += part[from + 3 * c] + db * db * weight;
        s[4] += part[from + 4 * c] + da * db * weight;
    }
    uint to = OFFSET(1) + item * 5 * c + i;
    y[to] = s[0];
    y[to + c] = s[1];
    for (uint m = 2; m < 5; ++m)
        y[to + m * c] = s[m] / float(push.places);
}
#endif
