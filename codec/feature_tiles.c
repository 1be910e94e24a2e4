/* SPDX-License-Identifier: MIT */
/* feature_tiles.c: a picture's tiles through a tower in one batch, then one row after the other:
 * the whole picture's, the canvas row by row, each row of it with image_newline behind. */
#include "feature_tiles.h"
#include "../compute/arena.h"

#include <string.h>

enum { ONEVISION_MOST = 9 }; /* "anyres_max_9" */

static tsr_anyres_plan plan_tiles(int64_t side, tsr_tiling tiling, const tsr_picture *picture) {
    const tsr_anyres_size size = {picture->height, picture->width};
    tsr_anyres_size canvas[TSR_ANYRES_ONEVISION];
    tsr_anyres_onevision(side, canvas);
    if (tiling == TSR_TILING_ONEVISION)
        return tsr_anyres_choose(size, canvas, TSR_ANYRES_ONEVISION, side);
    for (int i = 0; i < TSR_ANYRES_NEXT; ++i) /* published for tiles of 336 pixels */
        canvas[i] = (tsr_anyres_size){tsr_anyres_next[i].height / 336 * side,
                                      tsr_anyres_next[i].width / 336 * side};
    return tsr_anyres_choose(size, canvas, TSR_ANYRES_NEXT, side);
}

/* Tiles -> features [tiles, cells^2, channels]. */
static tsr_status run_tiles(tsr_model *m, const tsr_anyres_plan *plan, const tsr_picture *picture,
                            const tsr_feature_request *q, tsr_resampling filter, tsr_scratch *s,
                            float *values) {
    const int64_t tiles = tsr_anyres_tiles(plan), side = plan->side;
    uint8_t *rgb = tsr_scratch_take(s, (size_t)(tiles * side * side), 3, "tiles: pixels");
    if (s->status) return s->status;
    const tsr_status status = tsr_anyres_cut(m->host, plan, picture, filter, rgb);
    if (status) return status;
    const tsr_pixels pixels = {rgb, (int)tiles, {1, (uint32_t)side, (uint32_t)side}};
    const tsr_feature feature = {q->project ? TSR_FEATURE_PROJECTED : TSR_FEATURE_PATCHES,
                                 q->layer_count ? q->layers[0] : TSR_LAYER_USUAL, values};
    return m->family->tower->features(m->state, &pixels, &feature, 1);
}

/* Part (0 the whole picture, 1 the canvas), row and column of `count` packed rows. */
static void write_positions(float *positions, int64_t count, int64_t cells, int64_t width) {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t first = cells * cells, at = i < first ? i : i - first,
                      columns = i < first ? cells : width;
        positions[3 * i] = i < first ? 0 : 1;
        positions[3 * i + 1] = (float)(at / columns);
        positions[3 * i + 2] = (float)(at % columns);
    }
}

tsr_status tsr_feature_tiles(tsr_model *m, const tsr_tower_info *info, const tsr_picture *picture,
                             const tsr_feature_request *q, const float *newline,
                             tsr_picture_features *f) {
    const tsr_anyres_plan plan = plan_tiles(info->view.width, q->tiling, picture);
    const int64_t cells = plan.side / info->patch, tiles = tsr_anyres_tiles(&plan);
    const int64_t channels = q->project ? info->projected : info->channels;
    const int64_t most = q->tiling == TSR_TILING_ONEVISION ? ONEVISION_MOST : INT32_MAX;
    const tsr_anyres_size made = tsr_anyres_limited(&plan, cells, most);
    const int64_t width = made.width + (newline != NULL),
                  count = cells * cells + made.height * width;
    tsr_scratch s = {.ctx = m->ctx};
    float *values = tsr_scratch_take(&s, (size_t)(tiles * cells * cells * channels), sizeof *values,
                                     "tiles: features");
    f->features[0] =
        tsr_alloc(s.ctx, (size_t)(count * channels), sizeof *f->features[0], "features");
    f->positions = tsr_alloc(s.ctx, (size_t)count * 3, sizeof *f->positions, "positions");
    tsr_status status = s.status ? s.status
                        : f->features[0] && f->positions
                            ? run_tiles(m, &plan, picture, q, info->view.filter, &s, values)
                            : TSR_ERROR_MEMORY;
    if (!status)
        status =
            tsr_anyres_pack(s.ctx, &plan, cells, most, values, channels, newline, f->features[0]);
    if (!status) write_positions(f->positions, count, cells, width);
    f->rows = (uint32_t)count;
    f->columns = 1;
    f->channels = (uint32_t)channels;
    f->all = f->rows;
    tsr_scratch_free(&s);
    return status;
}
