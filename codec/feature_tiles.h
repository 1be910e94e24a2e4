/* SPDX-License-Identifier: MIT */
/* feature_tiles.h: features of a picture in tiles beside the whole of it, packed as LLaVA-1.6 and
 * LLaVA-OneVision give them to a language model. */
#ifndef CODEC_FEATURE_TILES_H
#define CODEC_FEATURE_TILES_H

#include "anyres.h"
#include "tower.h"

/* The plan of a picture for a tower's side. */
tsr_anyres_plan tsr_feature_tiles_plan(const tsr_tower *tower, tsr_tiling tiling,
                                       const tsr_picture *picture);
/* Computes the features of one picture in tiles. newline: [channels], or NULL. Errors: those of
 * tsr_tower_features. */
tsr_status tsr_feature_tiles(tsr_tower *tower, const tsr_picture *picture,
                             const tsr_feature_request *request, const float *newline,
                             tsr_picture_features *features);

#endif
