/* SPDX-License-Identifier: MIT */
/* compare.c: see compare.h. */
#include "compare.h"
#include "../metrics/metrics.h"

#include <math.h>
#include <stdlib.h>

tsr_status tsr_compare_open(tsr_tokenizer *t, const tsr_item *item, tsr_compare *c) {
    *c = (tsr_compare){.tokenizer = t, .header = tsr_item_header(item)};
    c->fitted = tsr_item_fitted(item, &c->width, &c->height);
    if (!c->fitted)
        return tsr_fail(t->model.ctx, TSR_ERROR_ARGUMENT,
                        "%s: fitted picture: wanted an item encoded with keep_fitted, got none",
                        tsr_item_tokens(item)->key);
    c->decoded =
        tsr_alloc(t->model.ctx, (size_t)c->width * (size_t)c->height, 3, "compare: picture");
    return c->decoded ? TSR_OK : TSR_ERROR_MEMORY;
}

void tsr_compare_close(tsr_compare *c) {
    free(c->decoded);
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
    tsr_status status =
        tsr_tokenizer_decode(c->tokenizer, c->header, &as_fitted, count, c->decoded);
    if (status) return status;
    tsr_pixel_error error;
    if (metric == TSR_TARGET_SSIM)
        status = tsr_ssim_gaussian(ctx, c->fitted, c->decoded, c->width, c->height, value);
    else if (!(status = tsr_psnr(ctx, c->fitted, c->decoded, c->width, c->height, &error)))
        *value = metric == TSR_TARGET_PSNR ? error.psnr : error.l1;
    if (!status && isnan(*value))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: target: wanted at least 11x11 pixels for ssim, got %dx%d", item->key,
                        c->width, c->height);
    return status;
}
