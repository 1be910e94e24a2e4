/* SPDX-License-Identifier: MIT */
/* conv_window.h: a half of a convolutional autoencoder over pictures whose feature maps would not
 * fit into memory, window by window.
 *
 * Windows are of one size, overlap and are spread evenly. Next to a cut a window counts for nothing
 * (its zeros stand where the picture goes on), then it fades into its neighbour. This is not the
 * whole run to the bit, and no cutting could be: group norms take their statistics, and attention
 * its keys, from the whole map, now from the whole window. */
#ifndef NN_CONV_WINDOW_H
#define NN_CONV_WINDOW_H

#include "batching.h"
#include "conv_ae.h"

/* In places, the positions of the smallest map. */
enum {
    TSR_WINDOW_MARGIN = 4, /* next to a cut: not used */
    TSR_WINDOW_FADE = 8,   /* then: weights from 0 to 1 */
    TSR_WINDOW_OVERLAP = 2 * TSR_WINDOW_MARGIN + TSR_WINDOW_FADE,
    TSR_WINDOW_UNIT = 8,                      /* a cut window's sides are multiples of it, */
    TSR_WINDOW_LEAST = 2 * TSR_WINDOW_OVERLAP /* and at least this */
};

typedef struct tsr_window_plan {
    int64_t height, width;  /* of the whole, in places */
    int64_t side_y, side_x; /* of a window */
    int64_t rows, columns;  /* of windows; 1 x 1: the whole at once */
} tsr_window_plan;

/* Activations may take half of the context's memory limit and, on a device with memory of its own,
 * half of that; a map must fit into a binding. What is no larger than the smallest window is never
 * cut. Fails with TOO_LARGE when not even that window fits. */
tsr_status tsr_window_plan_make(tsr_device *device, const tsr_conv_half *half, bool decoder,
                                const char *path, int64_t height, int64_t width,
                                tsr_window_plan *plan);
static inline bool tsr_window_plan_cuts(const tsr_window_plan *plan) {
    return plan->rows * plan->columns > 1;
}
/* The name of a tokenizer that encodes by this plan: "base", or "base/window-WxH" in pixels,
 * `scale` of them to a place, when tiles are cut. text may be base. */
void tsr_window_name(const tsr_window_plan *plan, int64_t scale, const char *base, char text[64]);
/* Bytes of activations at their peak for each place. */
uint64_t tsr_window_bytes(const tsr_conv_half *half, bool decoder);

/* Cost of a picture of this plan in the half; alone when it is cut. */
tsr_tile_cost tsr_window_cost(const tsr_conv_half *half, bool decoder, const tsr_window_plan *plan);

/* Computes the window that starts at place (y, x): `made` is [side_y*scale, side_x*scale, C]. */
typedef tsr_status (*tsr_window_fn)(void *user, int64_t y, int64_t x, float *made);
/* Puts out [height*scale, width*scale, channels] together. scale: rows of `out` to a place. */
tsr_status tsr_window_run(tsr_context *ctx, const tsr_window_plan *plan, int64_t scale,
                          int64_t channels, float *out, tsr_window_fn fn, void *user);

#endif
