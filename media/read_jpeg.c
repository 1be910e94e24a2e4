/* SPDX-License-Identifier: MIT */
/* read_jpeg.c: JPEG through libjpeg-turbo, with the library's own defaults (the slow integer DCT,
 * fancy upsampling, block smoothing), which are Pillow's as well.
 *
 * libjpeg reports errors through a function that must not return: everything that survives the jump
 * lives in one struct of the caller's frame. */
#include "orientation.h"
#include "reader.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "\xff\xd8\xff", 3);
}

static void probe_jpeg(tsr_bytes b, tsr_probe *probe) {
    static const char xmp_name[] = "http://ns.adobe.com/xap/1.0/"; /* with the zero behind it */
    bool has_exif = false, has_xmp = false, has_frame = false;
    int exif = 0, xmp = 0;
    for (size_t at = 2; at + 4 <= b.size;) {
        if (b.p[at] != 0xFF) { /* garbage between segments: decoders skip it as well */
            ++at;
            continue;
        }
        uint8_t marker = b.p[at + 1];
        if (marker == 0xFF) { /* padding */
            ++at;
            continue;
        }
        at += 2;
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) continue;
        if (marker == 0xDA || marker == 0xD9) { /* the scan: no FF D9 inside; the end */
            probe->unfinished = marker == 0xDA && !memmem(b.p + at, b.size - at, "\xff\xd9", 2);
            break;
        }
        uint32_t length = tsr_big(b, at, 2);
        if (length < 2) break;
        tsr_bytes segment = tsr_slice(b, at + 2, length - 2);
        if (marker == 0xE1 && !has_exif && tsr_bytes_have(segment, 0, "Exif\0", 5)) {
            has_exif = true;
            exif = tsr_exif_orientation(segment);
        }
        if (marker == 0xE1 && !has_xmp && tsr_bytes_have(segment, 0, xmp_name, sizeof xmp_name)) {
            has_xmp = true;
            xmp = tsr_xmp_orientation(segment);
        }
        bool frame =
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if ((frame || marker == 0xF7) && !has_frame) {
            has_frame = true;
            probe->height = tsr_big(segment, 1, 2);
            probe->width = tsr_big(segment, 3, 2);
        }
        at += length;
    }
    probe->orientation = tsr_orientation_choose(exif, xmp);
}

#ifdef TESSERA_WITH_JPEG
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <jerror.h>

/* Each scan of a progressive file is a pass over the whole picture; encoders write about ten, and a
 * small file can ask for thousands. */
enum { MOST_SCANS = 500 };

typedef struct reader {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf jump;
    const tsr_picture_decode *d;
    uint8_t *ink; /* one row of CMYK */
    tsr_status status;
} reader;

static void on_error(j_common_ptr common) {
    reader *r = common->client_data;
    char text[JMSG_LENGTH_MAX];
    common->err->format_message(common, text);
    switch (common->err->msg_code) {
    case JERR_OUT_OF_MEMORY:
        r->status = tsr_fail(r->d->ctx, TSR_ERROR_MEMORY, "%s: no memory for libjpeg", r->d->name);
        break;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        r->status = tsr_picture_refuse(r->d, NULL, "this kind of JPEG (%s)", text);
        break;
    default:
        r->status = tsr_picture_damaged(r->d, TSR_ERROR_FORMAT, "%s", text);
    }
    longjmp(r->jump, 1);
}

/* Damage ends the decoding: libjpeg would paint over it and Pillow would show that. */
static void on_message(j_common_ptr common, int level) {
    reader *r = common->client_data;
    if (level >= 0) return;
    char text[JMSG_LENGTH_MAX];
    switch (common->err->msg_code) {
    case JWRN_JPEG_EOF:
        r->status = tsr_picture_damaged(r->d, TSR_ERROR_TRUNCATED, "the file ends within the data");
        break;
    case JWRN_ARITH_BAD_CODE:
    case JWRN_HIT_MARKER:
    case JWRN_HUFF_BAD_CODE:
    case JWRN_MUST_RESYNC:
        common->err->format_message(common, text);
        r->status = tsr_picture_damaged(r->d, TSR_ERROR_FORMAT, "%s", text);
        break;
    default: /* stray bytes and odd headers harm no pixel */
        return;
    }
    longjmp(r->jump, 1);
}

static void on_print(j_common_ptr common) {
    (void)common;
}

static void on_progress(j_common_ptr common) {
    reader *r = common->client_data;
    if (r->jpeg.input_scan_number <= MOST_SCANS) return;
    r->status = tsr_picture_damaged(r->d, TSR_ERROR_FORMAT, "wanted at most %d scans, got more",
                                    MOST_SCANS);
    longjmp(r->jump, 1);
}

/* Kinds that libjpeg would meet with words of its own, or with a guess. */
static tsr_status refuse_kind(const tsr_picture_decode *d) {
    tsr_bytes b = d->bytes;
    for (size_t at = 2; at + 4 <= b.size;) {
        uint8_t marker = b.p[at + 1];
        if (b.p[at] != 0xFF || marker == 0xFF) {
            ++at;
            continue;
        }
        at += 2;
        if (marker == 0xDA || marker == 0xD9) return TSR_OK;
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) continue;
        if (marker == 0xF7) return tsr_picture_refuse(d, NULL, "JPEG-LS");
        if (marker == 0xC3 || marker == 0xC7 || marker == 0xCB || marker == 0xCF)
            return tsr_picture_refuse(d, NULL, "lossless JPEG");
        if (marker == 0xC5 || marker == 0xC6 || marker == 0xCD || marker == 0xCE)
            return tsr_picture_refuse(d, NULL, "hierarchical JPEG");
        if (marker >= 0xC0 && marker <= 0xCA && marker != 0xC4 && marker != 0xC8) {
            uint32_t bits = tsr_big(b, at + 2, 1), components = tsr_big(b, at + 7, 1);
            if (bits == 12 || bits == 16)
                return tsr_picture_refuse(d, NULL, "JPEG of %u bits a sample", bits);
            if (tsr_big(b, at + 3, 2) == 0 && tsr_big(b, at + 5, 2) != 0)
                return tsr_picture_refuse(
                    d, NULL, "JPEG that has its height behind the picture (DNL marker)");
            if (components == 2 || components > 4)
                return tsr_picture_refuse(d, NULL, "JPEG of %u components", components);
            return TSR_OK;
        }
        uint32_t length = tsr_big(b, at, 2);
        if (length < 2) return TSR_OK;
        at += length;
    }
    return TSR_OK;
}

static void read_rows(reader *r) {
    const tsr_picture_decode *d = r->d;
    struct jpeg_decompress_struct *j = &r->jpeg;
    jpeg_mem_src(j, d->bytes.p, d->bytes.size);
    jpeg_read_header(j, TRUE);
    /* Pillow inverts all four inks of every CMYK file, with Adobe's marker or without. */
    const bool ink = j->num_components == 4, grey = j->num_components == 1;
    j->out_color_space = ink ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    const size_t width = j->image_width, height = j->image_height;
    r->status = tsr_picture_allocate(d, width, height);
    if (!r->status && (ink || grey)) {
        r->ink = tsr_alloc(d->ctx, width, 4, d->name);
        if (!r->ink) r->status = TSR_ERROR_MEMORY;
    }
    if (r->status) longjmp(r->jump, 1);
    jpeg_start_decompress(j);
    for (size_t y = 0; y < height; ++y) {
        uint8_t *to = d->image->rgb + y * width * 3, *row = ink || grey ? r->ink : to;
        jpeg_read_scanlines(j, &row, 1);
        if (grey) tsr_picture_row(d, row, 1, width, to);
        for (size_t x = 0; x < width && ink; ++x) {
            for (int c = 0; c < 4; ++c)
                row[x * 4 + (size_t)c] = (uint8_t)~row[x * 4 + (size_t)c];
            tsr_ink_to_rgb(row + x * 4, to + x * 3);
        }
    }
    jpeg_finish_decompress(j);
}

/* Alone in its frame with setjmp. */
static void read_guarded(reader *r) {
    if (setjmp(r->jump)) return;
    jpeg_create_decompress(&r->jpeg);
    r->jpeg.progress = &r->progress;
    read_rows(r);
}

static tsr_status decode_jpeg(const tsr_picture_decode *d) {
    tsr_status status = refuse_kind(d);
    if (status) return status;
    reader *r = tsr_alloc(d->ctx, 1, sizeof *r, d->name);
    if (!r) return TSR_ERROR_MEMORY;
    r->d = d;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->jpeg.client_data = r; /* kept by jpeg_create_decompress */
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->errors.output_message = on_print;
    r->progress.progress_monitor = on_progress;
    read_guarded(r);
    status = r->status;
    jpeg_destroy_decompress(&r->jpeg);
    free(r->ink);
    free(r);
    return status;
}
#define DECODE decode_jpeg
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_jpeg = {.name = "JPEG",
                                            .option = "TESSERA_JPEG",
                                            .source = TSR_SOURCE_JPEG,
                                            .recognise = recognise,
                                            .probe = probe_jpeg,
                                            .decode = DECODE};
