/* SPDX-License-Identifier: MIT */
/* conv_window.h: a half of a convolutional autoencoder over pictures whose feature maps would not
 * fit into memory, window by window.
 *
 * Windows are of one size, overlap and are spread evenly. Next to a cut a window is not used, for
 * its padding stands where the picture goes on; then the window fades into its neighbour. The
 * result is not the whole picture's to the bit, and no cutting could give that: group norms take
 * their statistics, and attention its keys, from the whole map, and here from a window. */
#ifndef NN_CONV_WINDOW_H
#define NN_CONV_WINDOW_H

#include "batching.h"
#include "conv_ae.h"

/* Widths in places. A place is a position of the smallest map. */
enum {
    TSR_WINDOW_MARGIN = 4, /* next to a cut; not used */
    TSR_WINDOW_FADE = 8,   /* behind the margin; weights rise from 0 to 1 */
    TSR_WINDOW_OVERLAP = 2 * TSR_WINDOW_MARGIN + TSR_WINDOW_FADE,
    TSR_WINDOW_UNIT = 8,                      /* sides of a cut window are multiples of the unit */
    TSR_WINDOW_LEAST = 2 * TSR_WINDOW_OVERLAP /* shortest side of a cut window */
};

typedef struct tsr_window_plan {
    int64_t height, width;  /* of the picture, in places */
    int64_t side_y, side_x; /* of a window, in places */
    int64_t rows, columns;  /* of windows; 1 x 1: the picture is not cut */
} tsr_window_plan;

/* Plans a half for a picture of height x width places. Activations may take half of the context's
 * memory limit and, on a device with memory of its own, half of the device's; a map must fit into a
 * binding. A picture no larger than the smallest window is not cut. `path` begins messages. Errors:
 * TOO_LARGE when the smallest window does not fit. */
tsr_status tsr_window_plan_make(tsr_device *device, const tsr_conv_half *half, bool decoder,
                                const char *path, int64_t height, int64_t width,
                                tsr_window_plan *plan);
/* Whether the picture is cut into more than one window. */
static inline bool tsr_window_plan_cuts(const tsr_window_plan *plan) {
    return plan->rows * plan->columns > 1;
}
/* Writes the name of a tokenizer that encodes by a plan: `base`, or "base/window-WxH" when tiles
 * are cut. W and H are in pixels, `scale` pixels to a place. text may be base. */
void tsr_window_name(const tsr_window_plan *plan, int64_t scale, const char *base, char text[64]);
/* Bytes of activations of a half at their peak, for each place. */
uint64_t tsr_window_bytes(const tsr_conv_half *half, bool decoder);

/* Cost of a half for a picture of a plan; `alone` when the picture is cut. */
tsr_tile_cost tsr_window_cost(const tsr_conv_half *half, bool decoder, const tsr_window_plan *plan);

/* Computes the window that starts at place (y, x) into made [side_y*scale, side_x*scale, C]. */
typedef tsr_status (*tsr_window_fn)(void *user, int64_t y, int64_t x, float *made);
/* Computes out [height*scale, width*scale, channels] from the windows of a plan, one after the
 * other. scale: rows of `out` to a place. Errors: MEMORY, those of fn. */
tsr_status tsr_window_run(tsr_context *ctx, const tsr_window_plan *plan, int64_t scale,
                          int64_t channels, float *out, tsr_window_fn fn, void *user);

#endif
