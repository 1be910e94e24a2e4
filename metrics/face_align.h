/* SPDX-License-Identifier: MIT */
/* face_align.h: a face in a picture to the upright crop that a recognition network takes. */
#ifndef METRICS_FACE_ALIGN_H
#define METRICS_FACE_ALIGN_H

#include <stdint.h>

/* Where the five points of a face lie in a crop: left eye, right eye, nose, left and right corner
 * of the mouth, as seen in the picture. */
typedef struct tsr_face_template {
    int width, height; /* of the crop, in pixels */
    double points[5][2];
} tsr_face_template;
extern const tsr_face_template tsr_face_arcface;    /* 112 x 112 */
extern const tsr_face_template tsr_face_sphereface; /* 96 x 112: the same, 8 pixels to the left */

/* Similarity (rotation, one scale, shift) that brings `points` nearest to the template in the sense
 * of least squares: matrix [2][3] from picture to crop, whose rows act on (x, y, 1). The points
 * must not all be one. Source: Umeyama 1991, which in the plane is a closed form. */
void tsr_face_similarity(const tsr_face_template *to, const double points[5][2],
                         double matrix[2][3]);
/* Warps RGB [height, width, 3] by a matrix from picture to crop: crop [h, w, 3]. Outside is black.
 * Byte for byte OpenCV 4's warpAffine with bilinear interpolation: places in 1/1024 of a pixel,
 * fractions in 1/32; OpenCV 5 interpolates otherwise. */
void tsr_face_warp(const uint8_t *rgb, int width, int height, const double matrix[2][3],
                   uint8_t *crop, int w, int h);

#endif
