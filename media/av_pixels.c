/* SPDX-License-Identifier: MIT */
/* av_pixels.c: the samples of a decoded frame, in whatever format, to RGB by the rule of
 * video_color.h. Planes of 8 bits are read where they lie; every other format row by row through
 * FFmpeg's description of it. */
#ifdef TESSERA_WITH_VIDEO
#include "av.h"
#include "reader.h"

#include <stdlib.h>
#include <string.h>

tsr_video_planes tsr_av_planes(const AVFrame *f) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    tsr_video_planes p = {0};
    if (!d) return p;
    p.count = av_pix_fmt_count_planes(f->format);
    for (int i = 0; i < p.count; ++i) {
        const int bytes = av_image_get_linesize(f->format, f->width, i);
        const bool chroma = (i == 1 || i == 2) && !(d->flags & AV_PIX_FMT_FLAG_RGB);
        p.row[i] = f->data[i];
        p.stride[i] = f->linesize[i];
        p.bytes[i] = bytes > 0 ? (size_t)bytes : 0;
        p.rows[i] = (uint32_t)(chroma ? AV_CEIL_RSHIFT(f->height, d->log2_chroma_h) : f->height);
    }
    return p;
}

/* ---- rows of samples ---------------------------------------------------------------------------
 */

static tsr_status make_rows(tsr_av_pixels *p, uint32_t width) {
    if (p->room >= width) return TSR_OK;
    free(p->rows);
    p->room = 0;
    p->rows = tsr_alloc(p->ctx, (size_t)width * 4, sizeof *p->rows, "row of samples");
    if (!p->rows) return TSR_ERROR_MEMORY;
    p->room = width;
    return TSR_OK;
}

/* Samples of component c in row y of its plane, which has `width` of them. */
static void read_row(const AVFrame *f, const AVPixFmtDescriptor *d, int c, int y, int width,
                     uint16_t *to) {
    const uint8_t *data[4] = {f->data[0], f->data[1], f->data[2], f->data[3]};
    av_read_image_line2(to, data, f->linesize, d, 0, y, c, width, d->flags & AV_PIX_FMT_FLAG_PAL,
                        sizeof *to);
}

static uint8_t scaled(uint32_t value, uint32_t most) {
    return (uint8_t)((value * 255 + most / 2) / most);
}

static void row_of_rgb(tsr_av_pixels *p, const AVFrame *f, const AVPixFmtDescriptor *d, int y,
                       uint8_t *rgb) {
    const bool palette = (d->flags & AV_PIX_FMT_FLAG_PAL) != 0;
    const int colours = palette ? 3 : d->nb_components >= 3 ? 3 : 1;
    const bool alpha = palette || (d->flags & AV_PIX_FMT_FLAG_ALPHA);
    uint32_t most[4] = {255, 255, 255, 255};
    uint16_t *row[4];
    for (int c = 0; c < 4; ++c) {
        row[c] = p->rows + (size_t)c * p->room;
        const int from = c == 3 ? (palette ? 3 : d->nb_components - 1) : c < colours ? c : 0;
        if (c == 3 && !alpha) break;
        read_row(f, d, from, y, f->width, row[c]);
        if (!palette) most[c] = (1u << d->comp[from].depth) - 1;
    }
    for (int x = 0; x < f->width; ++x, rgb += 3) {
        const unsigned a = alpha ? scaled(row[3][x], most[3]) : 255;
        for (int c = 0; c < 3; ++c) {
            const unsigned v = scaled(row[c][x], most[c]);
            rgb[c] = a == 255 ? (uint8_t)v : tsr_composite(v, a, p->background[c]);
        }
    }
}

static void lay_over(tsr_av_pixels *p, const AVFrame *f, const AVPixFmtDescriptor *d, int y,
                     uint8_t *rgb) {
    uint16_t *alpha = p->rows + 3 * p->room;
    const int c = d->nb_components - 1;
    const uint32_t most = (1u << d->comp[c].depth) - 1;
    read_row(f, d, c, y, f->width, alpha);
    for (int x = 0; x < f->width; ++x, rgb += 3)
        for (int k = 0; k < 3; ++k)
            rgb[k] = tsr_composite(rgb[k], scaled(alpha[x], most), p->background[k]);
}

/* Planes of single bytes: no copy is needed. */
static bool lies_in_bytes(const AVPixFmtDescriptor *d, bool chroma) {
    bool yes = (d->flags & AV_PIX_FMT_FLAG_BITSTREAM) == 0;
    for (int c = 0; c < (chroma ? 3 : 1); ++c)
        yes &= d->comp[c].depth == 8 && d->comp[c].step == 1 && !d->comp[c].offset &&
               !d->comp[c].shift;
    return yes;
}

static void row_of_yuv(tsr_av_pixels *p, const AVFrame *f, const AVPixFmtDescriptor *d, int y,
                       uint8_t *rgb) {
    const bool chroma = d->nb_components >= 3, alpha = (d->flags & AV_PIX_FMT_FLAG_ALPHA) != 0;
    const int cy = y >> d->log2_chroma_h, cw = AV_CEIL_RSHIFT(f->width, d->log2_chroma_w);
    if (lies_in_bytes(d, chroma)) {
        const uint8_t *at[3] = {0};
        for (int c = 0; c < (chroma ? 3 : 1); ++c)
            at[c] =
                f->data[d->comp[c].plane] + (ptrdiff_t)(c ? cy : y) * f->linesize[d->comp[c].plane];
        tsr_yuv_row8(&p->table, at[0], at[1], at[2], (uint32_t)f->width, d->log2_chroma_w, rgb);
    } else {
        read_row(f, d, 0, y, f->width, p->rows);
        for (int c = 1; c < 3 && chroma; ++c)
            read_row(f, d, c, cy, cw, p->rows + (size_t)c * p->room);
        tsr_yuv_row(&p->table, p->rows, chroma ? p->rows + p->room : NULL,
                    chroma ? p->rows + 2 * p->room : NULL, (uint32_t)f->width, d->log2_chroma_w,
                    rgb);
    }
    if (alpha) lay_over(p, f, d, y, rgb);
}

/* ---- change of luma ----------------------------------------------------------------------------
 */

/* Luma of more than 8 bits is cut to 8 for this. */
static tsr_status measure(tsr_av_pixels *p, const AVFrame *f, const AVPixFmtDescriptor *d,
                          tsr_video_slot *slot) {
    double *to = &slot->frame.luma_change;
    const uint32_t rows = (uint32_t)f->height;
    if (d->flags & AV_PIX_FMT_FLAG_RGB) { /* every byte of its planes */
        const tsr_video_planes planes = tsr_av_planes(f);
        return tsr_video_change_of(p->ctx, &p->change, planes.row[0], planes.stride[0],
                                   planes.bytes[0], planes.rows[0], to);
    }
    if (lies_in_bytes(d, false))
        return tsr_video_change_of(p->ctx, &p->change, f->data[d->comp[0].plane],
                                   f->linesize[d->comp[0].plane], (size_t)f->width, rows, to);
    const size_t pixels = (size_t)f->width * rows;
    if (p->luma_room < pixels) {
        free(p->luma);
        p->luma_room = 0;
        p->luma = tsr_alloc(p->ctx, pixels, 1, "luma of a frame");
        if (!p->luma) return TSR_ERROR_MEMORY;
        p->luma_room = pixels;
    }
    const int shift = d->comp[0].depth > 8 ? d->comp[0].depth - 8 : 0;
    for (int y = 0; y < f->height; ++y) {
        read_row(f, d, 0, y, f->width, p->rows);
        for (int x = 0; x < f->width; ++x)
            p->luma[(size_t)y * (size_t)f->width + (size_t)x] = (uint8_t)(p->rows[x] >> shift);
    }
    return tsr_video_change_of(p->ctx, &p->change, p->luma, f->width, (size_t)f->width, rows, to);
}

/* ---- all ---------------------------------------------------------------------------------------
 */

static tsr_status check_format(const tsr_av_pixels *p, const AVFrame *f,
                               const AVPixFmtDescriptor *d) {
    const bool rgb = d && (d->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL));
    const bool known =
        d &&
        !(d->flags & (AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT)) &&
        d->nb_components >= 1 && d->comp[0].depth <= 16 && (rgb || d->comp[0].depth >= 8) &&
        f->format != AV_PIX_FMT_XYZ12LE && f->format != AV_PIX_FMT_XYZ12BE;
    if (known) return TSR_OK;
    return tsr_fail(p->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: samples: wanted integers of luma and chroma, or of R, G and B, got %s",
                    p->name, d ? d->name : "an unknown format");
}

tsr_status tsr_av_pixels_make(tsr_av_pixels *p, const AVFrame *f, tsr_video_matrix matrix,
                              tsr_video_range range, tsr_video_slot *slot) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    tsr_status s = check_format(p, f, d);
    if (!s) s = tsr_video_slot_size(p->ctx, slot, (uint32_t)f->width, (uint32_t)f->height);
    if (!s) s = make_rows(p, (uint32_t)f->width);
    if (s) return s;
    const bool rgb = matrix == TSR_VIDEO_MATRIX_RGB;
    const int bits = d->comp[0].depth < 8 ? 8 : d->comp[0].depth;
    if (!rgb && (p->table.bits != bits || p->matrix != matrix || p->range != range)) {
        tsr_yuv_table_free(&p->table);
        s = tsr_yuv_table_make(p->ctx, bits, matrix, range, &p->table);
        p->matrix = matrix;
        p->range = range;
    }
    for (int y = 0; y < f->height && !s; ++y) {
        uint8_t *row = slot->bytes + (size_t)y * (size_t)f->width * 3;
        if (rgb)
            row_of_rgb(p, f, d, y, row);
        else
            row_of_yuv(p, f, d, y, row);
    }
    return s ? s : measure(p, f, d, slot);
}

tsr_status tsr_av_pixels_measure(tsr_av_pixels *p, const AVFrame *f, tsr_video_slot *slot) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    tsr_status s = check_format(p, f, d);
    if (!s) s = make_rows(p, (uint32_t)f->width);
    return s ? s : measure(p, f, d, slot);
}

void tsr_av_pixels_free(tsr_av_pixels *p) {
    tsr_yuv_table_free(&p->table);
    free(p->rows);
    free(p->luma);
    free(p->change.last);
    *p = (tsr_av_pixels){0};
}
#else
typedef int tsr_av_pixels_are_left_out;
#endif
