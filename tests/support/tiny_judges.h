/* SPDX-License-Identifier: MIT */
/* tiny_judges.h: model files of judges with made-up weights. "Tiny" is what they are made of, not
 * their size, which is the published one. */
#ifndef TESTS_TINY_JUDGES_H
#define TESTS_TINY_JUDGES_H

#include "tiny_model.h"

/* SqueezeNet 1.1 with LPIPS's weights. */
void tiny_squeeze(tiny_model *m);
/* FID's Inception, 96 MB. */
void tiny_inception(tiny_model *m);
/* I3D, 51 MB. */
void tiny_i3d(tiny_model *m);

#endif
