/* SPDX-License-Identifier: MIT */
/* read_heif.c: HEIC and its relatives through libheif, on one thread of a process of its own:
 * libde265 below it prints. The library turns the picture upright and cuts it as its properties
 * ask. */
#include "apart.h"
#include "bmff.h"

static bool recognise(tsr_bytes b) {
    static const char *const brands[] = {"heic", "heix", "heim", "heis",
                                         "hevc", "hevx", "mif1", "msf1"};
    if (tsr_bmff_has_brand(b, "avif") || tsr_bmff_has_brand(b, "avis")) return false;
    for (size_t i = 0; i < sizeof brands / sizeof *brands; ++i)
        if (tsr_bmff_has_brand(b, brands[i])) return true;
    return false;
}

static void probe_heif(tsr_bytes b, tsr_probe *probe) {
    tsr_bmff_size(b, &probe->width, &probe->height);
}

#ifdef TESSERA_WITH_HEIF
#include <libheif/heif.h>

static tsr_status fail_heif(const tsr_picture_decode *d, struct heif_error error) {
    if (error.code == heif_error_Memory_allocation_error) {
        bool limit = error.subcode == heif_suberror_Security_limit_exceeded;
        return tsr_fail(d->ctx, limit ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY, "%s: HEIC: %s",
                        d->name, error.message);
    }
    if (error.subcode == heif_suberror_End_of_data)
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    if (error.code == heif_error_Unsupported_feature ||
        error.code == heif_error_Unsupported_filetype ||
        error.code == heif_error_Plugin_loading_error)
        return tsr_picture_refuse(d, NULL, "this kind of HEIC (%s)", error.message);
    return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "%s", error.message);
}

typedef struct reader {
    struct heif_context *context;
    struct heif_image_handle *handle;
    struct heif_decoding_options *options;
    struct heif_image *image;
} reader;

static tsr_status convert(const tsr_picture_decode *d, const struct heif_image *image,
                          int channels) {
    const int width = heif_image_get_primary_width(image),
              height = heif_image_get_primary_height(image);
    int stride = 0;
    const uint8_t *plane = heif_image_get_plane_readonly(image, heif_channel_interleaved, &stride);
    if (!plane || width < 1 || height < 1)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "the picture has no pixels");
    tsr_status status = tsr_picture_allocate(d, (uint64_t)width, (uint64_t)height);
    for (int y = 0; y < height && !status; ++y)
        tsr_picture_row(d, plane + (ptrdiff_t)y * stride, channels, (size_t)width,
                        d->image->rgb + (size_t)y * (size_t)width * 3);
    return status;
}

static tsr_status read_picture(const tsr_picture_decode *d, reader *r) {
    const uint64_t most = d->settings->max_pixels;
    heif_context_set_max_decoding_threads(r->context, 0);
    heif_context_set_maximum_image_size_limit(r->context, most < 32768 ? (int)most : 32768);
    struct heif_error error =
        heif_context_read_from_memory_without_copy(r->context, d->bytes.p, d->bytes.size, NULL);
    if (!error.code) error = heif_context_get_primary_image_handle(r->context, &r->handle);
    if (error.code) return fail_heif(d, error);
    tsr_status status =
        tsr_image_check_size(d->ctx, d->name, (uint64_t)heif_image_handle_get_width(r->handle),
                             (uint64_t)heif_image_handle_get_height(r->handle), d->settings);
    if (status) return status;
    d->image->source_bits = heif_image_handle_get_luma_bits_per_pixel(r->handle) > 8 ? 16 : 8;
    const int channels = heif_image_handle_has_alpha_channel(r->handle) ? 4 : 3;
    r->options = heif_decoding_options_alloc();
    if (!r->options)
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libheif", d->name);
    r->options->ignore_transformations = !d->settings->apply_orientation;
    r->options->convert_hdr_to_8bit = 1;
    error = heif_decode_image(
        r->handle, &r->image, heif_colorspace_RGB,
        channels == 4 ? heif_chroma_interleaved_RGBA : heif_chroma_interleaved_RGB, r->options);
    return error.code ? fail_heif(d, error) : convert(d, r->image, channels);
}

static tsr_status decode_here(const tsr_picture_decode *d) {
    reader r = {.context = heif_context_alloc()};
    if (!r.context) return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libheif", d->name);
    tsr_status status = read_picture(d, &r);
    heif_image_release(r.image);
    heif_decoding_options_free(r.options);
    heif_image_handle_release(r.handle);
    heif_context_free(r.context);
    return status;
}
static tsr_status decode_heif(const tsr_picture_decode *d) {
    return tsr_decode_apart(d, decode_here);
}
#define DECODE decode_heif
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_heif = {.name = "HEIC",
                                            .option = "TESSERA_HEIF",
                                            .source = TSR_SOURCE_OTHER,
                                            .recognise = recognise,
                                            .probe = probe_heif,
                                            .decode = DECODE};
