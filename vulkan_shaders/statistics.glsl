// SPDX-License-Identifier: MIT
// statistics.glsl: mean and sum of squared differences of the numbers that a product writes, for a
// norm that reads them (tsr_op.gives_statistics). Pieces of numbers are put together by the formula
// of Chan, Golub and LeVeque, in an order that the layer alone decides; nowhere is a square of a
// number taken that has not its mean subtracted.
struct Moments {
    float mean, squares;
};

// Adds the k-th four, from 1 on, to those of k - 1.
void moments_add(inout Moments m, vec4 v, uint k) {
    float mean = ((v.x + v.y) + (v.z + v.w)) * 0.25, share = 1.0 / float(k), delta = mean - m.mean;
    vec4 d = v - mean;
    if (k == 1) m.mean = mean;
    else m.mean += delta * share;
    m.squares += (d.x * d.x + d.y * d.y) + (d.z * d.z + d.w * d.w);
    if (k > 1) m.squares += delta * delta * (float(4 * (k - 1)) * share);
}

// Of twice as many numbers: of two pieces of `count` each. Their order does not matter.
Moments moments_join(Moments a, Moments b, float count) {
    float delta = b.mean - a.mean;
    return Moments((a.mean + b.mean) * 0.5, a.squares + b.squares + delta * delta * (count * 0.5));
}
