/* SPDX-License-Identifier: MIT */
/* read_avif.c: AVIF through libavif, on one thread of a process of its own: dav1d below it prints.
 */
#include "apart.h"
#include "bmff.h"

static bool recognise(tsr_bytes b) {
    return tsr_bmff_has_brand(b, "avif") || tsr_bmff_has_brand(b, "avis");
}

static void probe_avif(tsr_bytes b, tsr_probe *probe) {
    tsr_bmff_size(b, &probe->width, &probe->height);
}

#ifdef TESSERA_WITH_AVIF
#include <avif/avif.h>
#include <stdlib.h>

#if AVIF_VERSION >= 1000000 /* the field has had two names, and one meaning */
#define MIRROR_AXIS axis
#else
#define MIRROR_AXIS mode
#endif

static tsr_status fail_avif(const tsr_picture_decode *d, avifResult result) {
    switch (result) {
    case AVIF_RESULT_OUT_OF_MEMORY:
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libavif", d->name);
    case AVIF_RESULT_TRUNCATED_DATA:
    case AVIF_RESULT_WAITING_ON_IO:
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    case AVIF_RESULT_NOT_IMPLEMENTED:
    case AVIF_RESULT_NO_CODEC_AVAILABLE:
    case AVIF_RESULT_UNSUPPORTED_DEPTH:
        return tsr_picture_refuse(d, NULL, "this kind of AVIF (%s)", avifResultToString(result));
    default:
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "%s", avifResultToString(result));
    }
}

/* The turn and then the mirror that the file asks for, as one EXIF orientation. The file's EXIF
 * block does not count: the format says so. */
static int orientation_of(const avifImage *image) {
    static const int table[4][3] = {{1, 4, 2}, {8, 5, 7}, {3, 2, 4}, {6, 7, 5}};
    int turn = image->transformFlags & AVIF_TRANSFORM_IROT ? image->irot.angle & 3 : 0;
    int mirror =
        image->transformFlags & AVIF_TRANSFORM_IMIR ? 1 + (image->imir.MIRROR_AXIS & 1) : 0;
    return table[turn][mirror];
}

static tsr_status convert(const tsr_picture_decode *d, const avifImage *image) {
    tsr_status status = tsr_picture_allocate(d, image->width, image->height);
    if (status) return status;
    const size_t pixels = (size_t)image->width * image->height;
    const uint32_t channels = image->alphaPlane ? 4 : 3;
    uint8_t *own = NULL;
    if (channels == 4 && !(own = tsr_alloc(d->ctx, pixels, 4, d->name))) return TSR_ERROR_MEMORY;
    avifRGBImage rgb;
    avifRGBImageSetDefaults(&rgb, image);
    rgb.depth = 8;
    rgb.format = channels == 4 ? AVIF_RGB_FORMAT_RGBA : AVIF_RGB_FORMAT_RGB;
    rgb.pixels = own ? own : d->image->rgb;
    rgb.rowBytes = image->width * channels;
    avifResult result = avifImageYUVToRGB(image, &rgb);
    if (result != AVIF_RESULT_OK)
        status = fail_avif(d, result);
    else if (own)
        tsr_picture_row(d, own, 4, pixels, d->image->rgb);
    free(own);
    return status;
}

static tsr_status read_picture(const tsr_picture_decode *d, avifDecoder *decoder) {
    decoder->maxThreads = 1;
    decoder->ignoreExif = AVIF_TRUE;
    decoder->ignoreXMP = AVIF_TRUE;
    const uint64_t most = d->settings->max_pixels;
    decoder->imageSizeLimit = most < AVIF_DEFAULT_IMAGE_SIZE_LIMIT ? (uint32_t)(most ? most : 1)
                                                                   : AVIF_DEFAULT_IMAGE_SIZE_LIMIT;
    decoder->strictFlags &= ~(avifStrictFlags)AVIF_STRICT_PIXI_REQUIRED; /* old files lack it */
    avifResult result = avifDecoderSetIOMemory(decoder, d->bytes.p, d->bytes.size);
    if (result == AVIF_RESULT_OK) result = avifDecoderParse(decoder);
    if (result != AVIF_RESULT_OK) return fail_avif(d, result);
    if (decoder->imageCount > 1)
        return tsr_fail(d->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a still picture, got an animated AVIF", d->name);
    tsr_status status = tsr_image_check_size(d->ctx, d->name, decoder->image->width,
                                             decoder->image->height, d->settings);
    if (status) return status;
    result = avifDecoderNextImage(decoder);
    if (result != AVIF_RESULT_OK) return fail_avif(d, result);
    d->image->orientation = orientation_of(decoder->image);
    d->image->source_bits = decoder->image->depth > 8 ? 16 : 8;
    return convert(d, decoder->image);
}

static tsr_status decode_here(const tsr_picture_decode *d) {
    avifDecoder *decoder = avifDecoderCreate();
    if (!decoder) return fail_avif(d, AVIF_RESULT_OUT_OF_MEMORY);
    tsr_status status = read_picture(d, decoder);
    avifDecoderDestroy(decoder);
    return status;
}
static tsr_status decode_avif(const tsr_picture_decode *d) {
    return tsr_decode_apart(d, decode_here);
}
#define DECODE decode_avif
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_avif = {.name = "AVIF",
                                            .option = "TESSERA_AVIF",
                                            .source = TSR_SOURCE_OTHER,
                                            .recognise = recognise,
                                            .probe = probe_avif,
                                            .decode = DECODE};
