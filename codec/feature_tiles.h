/* SPDX-License-Identifier: MIT */
/* feature_tiles.h: features of a picture in tiles beside the whole of it, packed as LLaVA-1.6 and
 * LLaVA-OneVision give them to a language model. */
#ifndef CODEC_FEATURE_TILES_H
#define CODEC_FEATURE_TILES_H

#include "../models/model.h"
#include "anyres.h"

/* Computes the features of one picture in tiles by the tower `model`, described by `info`.
 * newline: [channels] behind each row of the canvas, or NULL. The caller frees what *features
 * holds, also after a failure. Errors: those of tsr_tower_features. */
tsr_status tsr_feature_tiles(tsr_model *model, const tsr_tower_info *info,
                             const tsr_picture *picture, const tsr_feature_request *request,
                             const float *newline, tsr_picture_features *features);

#endif
