/* SPDX-License-Identifier: MIT */
/* write_avif.c: AVIF through libavif, 8 bits, chroma at full resolution. Lossless pictures keep
 * their RGB as it is (identity matrix). One thread, so that equal pixels give equal bytes. */
#include "picture_write.h"

#include <avif/avif.h>

/* Quality 1..100 as libavif's quantizers, 63 (worst) to 0, which releases before 1.0 want. */
static void set_quality(avifEncoder *encoder, int quality) {
#if AVIF_VERSION_MAJOR >= 1
    encoder->quality = quality;
#else
    encoder->minQuantizer = encoder->maxQuantizer = ((100 - quality) * 63 + 50) / 100;
#endif
}

static tsr_status fail(tsr_context *ctx, const tsr_picture_job *job, avifResult result) {
    return tsr_fail(
        ctx, result == AVIF_RESULT_NO_CODEC_AVAILABLE ? TSR_ERROR_UNSUPPORTED : TSR_ERROR_MEMORY,
        "%s: AVIF: %s", job->name, avifResultToString(result));
}

tsr_status tsr_avif_put(tsr_context *ctx, const tsr_picture_job *job) {
    avifImage *image =
        avifImageCreate((uint32_t)job->width, (uint32_t)job->height, 8, AVIF_PIXEL_FORMAT_YUV444);
    avifEncoder *encoder = avifEncoderCreate();
    avifRWData bytes = AVIF_DATA_EMPTY;
    avifResult result = AVIF_RESULT_OUT_OF_MEMORY;
    if (image && encoder) {
        image->colorPrimaries = AVIF_COLOR_PRIMARIES_BT709;
        image->transferCharacteristics = AVIF_TRANSFER_CHARACTERISTICS_SRGB;
        image->matrixCoefficients =
            job->lossless ? AVIF_MATRIX_COEFFICIENTS_IDENTITY : AVIF_MATRIX_COEFFICIENTS_BT601;
        image->yuvRange = AVIF_RANGE_FULL;
        encoder->maxThreads = 1;
        encoder->speed = 6;
        set_quality(encoder, job->lossless ? 100 : job->quality);
        avifRGBImage rgb;
        avifRGBImageSetDefaults(&rgb, image);
        rgb.format = AVIF_RGB_FORMAT_RGB;
        rgb.pixels = (uint8_t *)job->rgb; /* only read */
        rgb.rowBytes = (uint32_t)job->width * 3;
        result = avifImageRGBToYUV(image, &rgb);
        if (result == AVIF_RESULT_OK) result = avifEncoderWrite(encoder, image, &bytes);
    }
    const tsr_status status = result == AVIF_RESULT_OK
                                  ? tsr_out_write(ctx, job->out, bytes.data, bytes.size)
                                  : fail(ctx, job, result);
    avifRWDataFree(&bytes);
    if (encoder) avifEncoderDestroy(encoder);
    if (image) avifImageDestroy(image);
    return status;
}
