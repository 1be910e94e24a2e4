/* SPDX-License-Identifier: MIT */
/* write_webp.c: WebP through libwebp; lossy pictures have chroma at half resolution, as the format
 * wants it, reduced with care (sharp YUV). */
#include "picture_write.h"

#include <webp/encode.h>

typedef struct writer {
    tsr_context *ctx;
    const tsr_picture_job *job;
    tsr_status status;
} writer;

static int on_write(const uint8_t *bytes, size_t size, const WebPPicture *picture) {
    writer *w = picture->custom_ptr;
    w->status = tsr_out_write(w->ctx, w->job->out, bytes, size);
    return w->status == TSR_OK;
}

tsr_status tsr_webp_put(tsr_context *ctx, const tsr_picture_job *job) {
    writer w = {.ctx = ctx, .job = job};
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted another version of libwebp",
                        job->name);
    config.lossless = job->lossless;
    config.quality = job->lossless ? 75 : (float)job->quality; /* lossless: effort */
    config.use_sharp_yuv = 1;
    picture.width = job->width;
    picture.height = job->height;
    picture.use_argb = 1; /* as it is, for both kinds; the encoder makes YUV of it */
    picture.writer = on_write;
    picture.custom_ptr = &w;
    int done = WebPPictureImportRGB(&picture, job->rgb, job->width * 3);
    if (done) done = WebPEncode(&config, &picture);
    if (!done && !w.status)
        w.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: WebP: libwebp's error %d", job->name,
                            (int)picture.error_code);
    WebPPictureFree(&picture);
    return w.status;
}
