/* SPDX-License-Identifier: MIT */
/* verify_tower.h: the tower of a golden case, for the topics that run one. */
#ifndef VERIFY_VERIFY_TOWER_H
#define VERIFY_VERIFY_TOWER_H

#include "verify_picture.h"

#include "../towers/vit_tower.h"

/* The tower of the case, whose weights are made by rule. NULL after a failure. */
const tsr_vit_tower *tsr_verify_tower_model(tsr_verify *v);
/* Compares every output of the run that is made of `count` tiles given as patch rows
 * [count, N, 3 patch^2]. `batched`: outputs have an axis for tiles. */
void tsr_verify_tower_rows(tsr_verify *v, const tsr_vit_tower *t, const float *rows, int64_t count,
                           tsr_grid_size grid, bool batched);

#endif
