/* SPDX-License-Identifier: MIT */
/* compare.c: see compare.h. */
#include "compare.h"
#include "../metrics/metrics.h"
#include "fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_compare_open(tsr_tokenizer *t, const tsr_token_header *header,
                            const tsr_picture *picture, tsr_compare *c) {
    *c = (tsr_compare){.tokenizer = t, .header = header};
    tsr_canvas canvas;
    tsr_status status = tsr_canvas_open(t->model.host, picture, header, &canvas);
    if (status) return status;
    const bool crop = canvas.fit == TSR_FIT_CROP;
    c->width = crop ? canvas.tile_width : canvas.width;
    c->height = crop ? canvas.tile_height : canvas.height;
    const size_t bytes = (size_t)c->width * (size_t)c->height * 3;
    c->wanted = tsr_alloc(t->model.ctx, bytes, 1, "compare: picture");
    c->got = tsr_alloc(t->model.ctx, bytes, 1, "compare: picture");
    if (!c->wanted || !c->got)
        status = TSR_ERROR_MEMORY;
    else if (crop)
        tsr_canvas_cut(&canvas, 0, c->wanted);
    else
        memcpy(c->wanted, canvas.rgb, bytes);
    tsr_canvas_free(&canvas);
    if (status) tsr_compare_close(c);
    return status;
}

void tsr_compare_close(tsr_compare *c) {
    free(c->wanted);
    free(c->got);
    *c = (tsr_compare){0};
}

tsr_status tsr_compare_measure(tsr_compare *c, const tsr_token_item *item, uint32_t count,
                               tsr_target_metric metric, double *value) {
    tsr_context *ctx = c->tokenizer->model.ctx;
    tsr_token_item as_fitted = *item; /* stretch: not resized back */
    if (c->header->fit == TSR_FIT_STRETCH) {
        as_fitted.source_width = (uint32_t)c->width;
        as_fitted.source_height = (uint32_t)c->height;
    }
    int width, height;
    tsr_item_size(c->header, &as_fitted, &width, &height);
    if (width != c->width || height != c->height)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted %dx%d as the picture, got %dx%d",
                        item->key, c->width, c->height, width, height);
    tsr_status status = tsr_tokenizer_decode(c->tokenizer, c->header, &as_fitted, count, c->got);
    if (status) return status;
    tsr_pixel_error error;
    if (metric == TSR_TARGET_SSIM)
        status = tsr_ssim_gaussian(ctx, c->wanted, c->got, c->width, c->height, value);
    else if (!(status = tsr_psnr(ctx, c->wanted, c->got, c->width, c->height, &error)))
        *value = metric == TSR_TARGET_PSNR ? error.psnr : error.l1;
    if (!status && isnan(*value))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: target: wanted at least 11x11 pixels for ssim, got %dx%d", item->key,
                        c->width, c->height);
    return status;
}
