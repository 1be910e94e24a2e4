/* SPDX-License-Identifier: MIT */
/* tower.h: the inside of tsr_tower, for the files of this folder. */
#ifndef CODEC_TOWER_H
#define CODEC_TOWER_H

#include "../models/model.h"
#include "../reduce/token_set.h"

struct tsr_tower {
    tsr_model model;
    tsr_tower_info info;
};

/* Checks a request against a tower, before any picture is read. Errors: ARGUMENT, UNSUPPORTED. */
tsr_status tsr_tower_check(const tsr_tower *tower, const tsr_feature_request *request);
/* Hidden layer that a request's layer means; block that a layer of keys or attention means. */
int tsr_tower_layer(const tsr_tower *tower, int layer);
int tsr_tower_block(const tsr_tower *tower, int layer);
/* The learned row that LLaVA puts behind rows of patches and frames: image_newline [projected],
 * freed by the caller; NULL where the weights have none. Errors: the weights', MEMORY. */
tsr_status tsr_tower_newline(const tsr_tower *tower, float **newline);
/* Rows and columns of attention with TSR_ATTENTION_FULL: the class row and the patches. */
int64_t tsr_tower_attended(const tsr_tower *tower, int64_t patches);

/* Number of pictures, from the first on, whose views have the first one's size: *tile. 0 after a
 * failure. */
int tsr_tower_group(const tsr_tower *tower, const tsr_picture *pictures, int count,
                    tsr_tile_size *tile, tsr_status *status);
/* Computes features of pictures of one such group; all[i] is zeroed before. With a tail, features
 * of the first layer stay on the device, for the tail alone. Errors: those of tsr_tower_features;
 * UNSUPPORTED (no tail can be recorded behind this tower). */
tsr_status tsr_tower_run(tsr_tower *tower, const tsr_picture *pictures, int count,
                         tsr_tile_size tile, const tsr_feature_request *request,
                         const tsr_tower_tail *tail, tsr_picture_features *all);
/* The token set of a picture: features of the first layer, the rest as columns. Features that
 * stayed on a device are zeros in it. Errors: MEMORY, ARGUMENT. */
tsr_status tsr_tower_set(const tsr_tower *tower, const tsr_feature_request *request,
                         const tsr_picture_features *features, tsr_token_set **set);
/* The token sets of pictures, reduced by operations: sets[i] is that of pictures[i], which the
 * caller closes; NULL on error. request->project puts the features of the result through the
 * projector, or with tiles or pooled grids those the operators take. On a GPU tower, operators and
 * projector are one program where all of the operators can be recorded. report counts near ties of
 * all pictures; its traffic is that of the tower's device since it was opened. Errors: those of
 * tsr_tower_features and tsr_token_set_reduce. */
tsr_status tsr_tower_reduce(tsr_tower *tower, const tsr_picture *pictures, int count,
                            const tsr_feature_request *request, const char *const *operations,
                            int operation_count, tsr_token_set **sets, tsr_reduce_report *report);

#endif
