/* SPDX-License-Identifier: MIT */
/* face_align.c: five points to a similarity, and the warp by it. The rounding of both is the
 * protocol's: contraction is off for this file (cmake/library.cmake). */
#include "face_align.h"

#include <math.h>
#include <string.h>

/* The official arrays are float32, which moves a crop of a small face by 2e-5 of a pixel. */
const tsr_face_template tsr_face_arcface = {112,
                                            112,
                                            {{38.2946f, 51.6963f},
                                             {73.5318f, 51.5014f},
                                             {56.0252f, 71.7366f},
                                             {41.5493f, 92.3655f},
                                             {70.7299f, 92.2041f}}};
const tsr_face_template tsr_face_sphereface = {96,
                                               112,
                                               {{30.2946f, 51.6963f},
                                                {65.5318f, 51.5014f},
                                                {48.0252f, 71.7366f},
                                                {33.5493f, 92.3655f},
                                                {62.7299f, 92.2041f}}};

void tsr_face_similarity(const tsr_face_template *to, const double points[5][2],
                         double matrix[2][3]) {
    double from_mean[2] = {0, 0}, to_mean[2] = {0, 0}, length = 0, a = 0, b = 0;
    for (int i = 0; i < 5; ++i)
        for (int k = 0; k < 2; ++k) {
            from_mean[k] += points[i][k] / 5;
            to_mean[k] += to->points[i][k] / 5;
        }
    for (int i = 0; i < 5; ++i) {
        const double x = points[i][0] - from_mean[0], y = points[i][1] - from_mean[1];
        const double u = to->points[i][0] - to_mean[0], v = to->points[i][1] - to_mean[1];
        length += x * x + y * y;
        a += x * u + y * v;
        b += x * v - y * u;
    }
    a /= length;
    b /= length;
    matrix[0][0] = a;
    matrix[0][1] = -b;
    matrix[1][0] = b;
    matrix[1][1] = a;
    matrix[0][2] = to_mean[0] - (a * from_mean[0] - b * from_mean[1]);
    matrix[1][2] = to_mean[1] - (b * from_mean[0] + a * from_mean[1]);
}

/* A place in 1/1024 of a pixel; far outside of every picture where the number is out of range. */
static int64_t place(double value) {
    const double p = rint(value * 1024);
    return p > 0x1p40 ? (int64_t)1 << 40 : p < -0x1p40 ? -((int64_t)1 << 40) : (int64_t)p;
}

void tsr_face_warp(const uint8_t *rgb, int width, int height, const double m[2][3], uint8_t *crop,
                   int w, int h) {
    const double d = 1 / (m[0][0] * m[1][1] - m[0][1] * m[1][0]);
    const double i0 = m[1][1] * d, i1 = -m[0][1] * d, i3 = -m[1][0] * d, i4 = m[0][0] * d;
    const double i2 = -i0 * m[0][2] - i1 * m[1][2], i5 = -i3 * m[0][2] - i4 * m[1][2];
    for (int y = 0; y < h; ++y) {
        const int64_t from_x = place(i1 * y + i2) + 16, from_y = place(i4 * y + i5) + 16;
        for (int x = 0; x < w; ++x, crop += 3) {
            const int64_t at_x = (from_x + place(i0 * x)) >> 5,
                          at_y = (from_y + place(i3 * x)) >> 5;
            const int64_t sx = at_x >> 5, sy = at_y >> 5;
            const int fx = (int)(at_x & 31), fy = (int)(at_y & 31);
            int sum[3] = {512, 512, 512};
            for (int k = 0; k < 4; ++k) {
                const int64_t px = sx + (k & 1), py = sy + (k >> 1);
                const int weight = (k & 1 ? fx : 32 - fx) * (k >> 1 ? fy : 32 - fy);
                if (px < 0 || py < 0 || px >= width || py >= height) continue;
                const uint8_t *p = rgb + (py * width + px) * 3;
                for (int c = 0; c < 3; ++c)
                    sum[c] += weight * p[c];
            }
            for (int c = 0; c < 3; ++c)
                crop[c] = (uint8_t)(sum[c] >> 10);
        }
    }
}
