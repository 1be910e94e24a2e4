// SPDX-License-Identifier: MIT
// divide.glsl: division by a number that the host knows, as one multiplication: the compiler's own
// takes some twenty instructions. `magic` and `shift` come from divisor_of in ops/rowwise.h; n is
// below 2^31.
uint divided(uint n, uint magic, uint shift) {
    uint high, low;
    umulExtended(n << 1, magic, high, low);
    return high >> shift;
}
