/* SPDX-License-Identifier: MIT */
/* media_convert.c: planes of any depth to 8 bits, chroma to full size, YCbCr or CMYK to RGB, alpha
 * over the background. One row at a time. */
#include "media_convert.h"

#include <libavutil/pixdesc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* One component as 8-bit samples. */
typedef struct plane {
    const uint8_t *data;
    ptrdiff_t stride;
    int width, height;
    int shift_x, shift_y; /* log2 of how much smaller than the picture */
    uint8_t *copy;        /* when the frame's own bytes would not do */
} plane;

/* YCbCr to RGB in 16-bit fixed point: luma times y after taking off `black`, chroma around 128. */
typedef struct matrix {
    int black, y, cr_r, cb_g, cr_g, cb_b;
} matrix;

typedef struct converter {
    tsr_context *ctx;
    const char *name;
    const AVFrame *frame;
    const AVPixFmtDescriptor *desc;
    const tsr_image_settings *settings;
    bool clip; /* 16-bit grey clipped as Pillow does */
    plane planes[4];
    int plane_count, alpha; /* alpha: which plane, -1 = none */
    matrix matrix;
    uint8_t *cb, *cr; /* a row of each at full width */
} converter;

static int clamp(int v) {
    return v < 0 ? 0 : v > 255 ? 255 : v;
}

/* ---- planes ------------------------------------------------------------------------------ */

/* The high 8 bits of deeper samples (what Pillow and libpng's strip_16 take); shallower ones spread
 * over 0..255. */
static uint8_t to_8_bits(unsigned v, int depth, bool clip) {
    if (depth > 8) return clip ? (uint8_t)(v > 255 ? 255 : v) : (uint8_t)(v >> (depth - 8));
    return depth == 8 ? (uint8_t)v : (uint8_t)(v * 255 / ((1u << depth) - 1));
}

static tsr_status take_plane(converter *c, int component, plane *p) {
    const AVComponentDescriptor *comp = &c->desc->comp[component];
    const AVFrame *f = c->frame;
    bool chroma = !(c->desc->flags & AV_PIX_FMT_FLAG_RGB) && c->desc->nb_components >= 3 &&
                  (component == 1 || component == 2);
    p->shift_x = chroma ? c->desc->log2_chroma_w : 0;
    p->shift_y = chroma ? c->desc->log2_chroma_h : 0;
    p->width = AV_CEIL_RSHIFT(f->width, p->shift_x);
    p->height = AV_CEIL_RSHIFT(f->height, p->shift_y);
    bool bits = c->desc->flags & AV_PIX_FMT_FLAG_BITSTREAM;
    if (!bits && comp->depth == 8 && comp->step == 1 && comp->shift == 0) {
        p->data = f->data[comp->plane] + comp->offset;
        p->stride = f->linesize[comp->plane];
        return TSR_OK;
    }
    p->copy = tsr_alloc(c->ctx, (size_t)p->width * (size_t)p->height, 1, c->name);
    if (!p->copy) return TSR_ERROR_MEMORY;
    p->data = p->copy;
    p->stride = p->width;
    if (!bits && comp->depth == 8 && comp->shift == 0) { /* packed bytes: the usual case, fast */
        for (int y = 0; y < p->height; ++y) {
            const uint8_t *from =
                f->data[comp->plane] + (ptrdiff_t)y * f->linesize[comp->plane] + comp->offset;
            uint8_t *to = p->copy + (ptrdiff_t)y * p->stride;
            for (int x = 0; x < p->width; ++x)
                to[x] = from[(ptrdiff_t)x * comp->step];
        }
        return TSR_OK;
    }
    uint16_t *line = tsr_alloc(c->ctx, (size_t)p->width, sizeof *line, c->name);
    if (!line) return TSR_ERROR_MEMORY;
    const bool inverted = f->format == AV_PIX_FMT_MONOWHITE;
    for (int y = 0; y < p->height; ++y) {
        av_read_image_line(line, (const uint8_t **)(uintptr_t)f->data, f->linesize, c->desc, 0, y,
                           component, p->width, 0);
        uint8_t *to = p->copy + (ptrdiff_t)y * p->stride;
        for (int x = 0; x < p->width; ++x) {
            to[x] = to_8_bits(line[x], comp->depth, c->clip);
            if (inverted) to[x] ^= 255;
        }
    }
    free(line);
    return TSR_OK;
}

/* A palette's entries are native 32-bit words 0xAARRGGBB. */
static tsr_status take_palette(converter *c) {
    const AVFrame *f = c->frame;
    const uint32_t *palette = (const uint32_t *)(const void *)f->data[1];
    static const int shift[4] = {16, 8, 0, 24};
    for (int i = 0; i < 4; ++i) {
        plane *p = &c->planes[i];
        p->width = f->width;
        p->height = f->height;
        p->stride = f->width;
        p->data = p->copy = tsr_alloc(c->ctx, (size_t)p->width * (size_t)p->height, 1, c->name);
        if (!p->copy) return TSR_ERROR_MEMORY;
        for (int y = 0; y < p->height; ++y) {
            const uint8_t *from = f->data[0] + (ptrdiff_t)y * f->linesize[0];
            uint8_t *to = p->copy + (ptrdiff_t)y * p->stride;
            for (int x = 0; x < p->width; ++x)
                to[x] = (uint8_t)(palette[from[x]] >> shift[i]);
        }
    }
    c->plane_count = 4;
    c->alpha = 3;
    return TSR_OK;
}

/* ---- chroma to full size ----------------------------------------------------------------- */

/* The triangle filter: a new sample is 3/4 of the nearer and 1/4 of the farther old one, in each
 * direction that grows. The rounding constants alternate so that no direction is favoured; they and
 * the treatment of borders are those of the JPEG library. `near` and `far` are the old rows (the
 * same row when the height does not grow). */
static void grow_row(const uint8_t *near, const uint8_t *far, int old_width, bool wide, bool tall,
                     bool lower, int width, uint8_t *to) {
    if (!wide) {
        int bias = lower ? 2 : 1;
        for (int x = 0; x < width; ++x)
            to[x] = (uint8_t)((near[x] * 3 + far[x] + bias) >> 2);
        return;
    }
    /* tall: sums of 16 parts; else of 4 */
    const int shift = tall ? 4 : 2, left = tall ? 8 : 1, right = tall ? 7 : 2;
    for (int x = 0; x < width; ++x) {
        int i = x >> 1, j = x & 1 ? i + 1 : i - 1;
        int a = tall ? near[i] * 3 + far[i] : near[i];
        if (j < 0 || j >= old_width) {
            int part = tall ? (a * 4 + (x & 1 ? right : left)) >> 4 : a;
            to[x] = (uint8_t)part;
            continue;
        }
        int b = tall ? near[j] * 3 + far[j] : near[j];
        to[x] = (uint8_t)((a * 3 + b + (x & 1 ? right : left)) >> shift);
    }
}

/* Row y of plane p at the picture's width: in place, or in `to`. */
static const uint8_t *full_row(const plane *p, int y, int width, uint8_t *to) {
    int row = y >> p->shift_y;
    const uint8_t *near = p->data + (ptrdiff_t)row * p->stride;
    if (!p->shift_x && !p->shift_y) return near;
    bool wide = p->shift_x == 1, tall = p->shift_y == 1;
    /* As the JPEG library: very narrow planes and factors other than 2 are only repeated. */
    if (p->shift_x > 1 || p->shift_y > 1 || (wide && p->width <= 2)) {
        for (int x = 0; x < width; ++x)
            to[x] = near[x >> p->shift_x];
        return to;
    }
    int other = tall ? (y & 1 ? row + 1 : row - 1) : row;
    if (other < 0 || other >= p->height) other = row;
    grow_row(near, p->data + (ptrdiff_t)other * p->stride, p->width, wide, tall, y & 1, width, to);
    return to;
}

/* ---- colour ------------------------------------------------------------------------------ */

static matrix choose_matrix(const AVFrame *f, const tsr_probe *probe) {
    bool full = f->color_range == AVCOL_RANGE_JPEG || probe->format == TSR_FORMAT_JPEG;
    switch (f->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P:
        full = true;
        break;
    default:
        break;
    }
    bool bt709 = f->colorspace == AVCOL_SPC_BT709;
    bool bt2020 = f->colorspace == AVCOL_SPC_BT2020_NCL || f->colorspace == AVCOL_SPC_BT2020_CL;
    /* JPEG's own constants, of five digits. */
    if (full && !bt709 && !bt2020) return (matrix){0, 65536, 91881, -22554, -46802, 116130};
    double kr = bt709 ? 0.2126 : bt2020 ? 0.2627 : 0.299;
    double kb = bt709 ? 0.0722 : bt2020 ? 0.0593 : 0.114, kg = 1 - kr - kb;
    double luma = full ? 65536 : 65536 * 255.0 / 219, chroma = full ? 65536 : 65536 * 255.0 / 224;
    return (matrix){.black = full ? 0 : 16,
                    .y = (int)lround(luma),
                    .cr_r = (int)lround(2 * (1 - kr) * chroma),
                    .cb_g = (int)lround(-2 * (1 - kb) * kb / kg * chroma),
                    .cr_g = (int)lround(-2 * (1 - kr) * kr / kg * chroma),
                    .cb_b = (int)lround(2 * (1 - kb) * chroma)};
}

static void colour_row(const converter *c, int row, uint8_t *to) {
    const matrix m = c->matrix;
    const int width = c->frame->width;
    const plane *luma = &c->planes[0];
    const uint8_t *y = luma->data + (ptrdiff_t)row * luma->stride;
    const uint8_t *cb = full_row(&c->planes[1], row, width, c->cb);
    const uint8_t *cr = full_row(&c->planes[2], row, width, c->cr);
    for (int x = 0; x < width; ++x, to += 3) {
        int l = m.y * (y[x] - m.black) + 32768, b = cb[x] - 128, r = cr[x] - 128;
        to[0] = (uint8_t)clamp((l + m.cr_r * r) >> 16);
        to[1] = (uint8_t)clamp((l + m.cb_g * b + m.cr_g * r) >> 16);
        to[2] = (uint8_t)clamp((l + m.cb_b * b) >> 16);
    }
}

/* Three planes, or one thrice. */
static void plain_row(const converter *c, int row, uint8_t *to) {
    const uint8_t *from[3];
    for (int i = 0; i < 3; ++i) {
        const plane *p = &c->planes[c->plane_count >= 3 ? i : 0];
        from[i] = p->data + (ptrdiff_t)row * p->stride;
    }
    for (int x = 0; x < c->frame->width; ++x, to += 3)
        to[0] = from[0][x], to[1] = from[1][x], to[2] = from[2][x];
}

/* a * b / 255, rounded, as graphics programs do it. */
static int times(int a, int b) {
    int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
}

/* CMYK to RGB. The fourth plane is 255 - black, the first three are 255 - ink, or ink when they
 * came through YCCK; files that do not say so (no Adobe marker) are read alike, as other programs
 * do. */
static void ink_row(const converter *c, int row, bool inverted, uint8_t *to) {
    const plane *black = &c->planes[3];
    const uint8_t *k = black->data + (ptrdiff_t)row * black->stride;
    for (int x = 0; x < c->frame->width; ++x, to += 3) {
        int white = k[x];
        for (int i = 0; i < 3; ++i)
            to[i] = (uint8_t)(white - times(inverted ? 255 - to[i] : to[i], white));
    }
}

/* Over the background; true if anything shone through. */
static bool alpha_row(const converter *c, int row, uint8_t *to) {
    const plane *p = &c->planes[c->alpha];
    const uint8_t *a = p->data + (ptrdiff_t)row * p->stride;
    int all = 255;
    for (int x = 0; x < c->frame->width; ++x, to += 3) {
        all &= a[x];
        for (int i = 0; i < 3; ++i)
            to[i] = tsr_composite(to[i], a[x], c->settings->background[i]);
    }
    return all != 255;
}

/* ---- all of it --------------------------------------------------------------------------- */

static tsr_status convert(converter *c, const tsr_probe *probe, tsr_image *image) {
    const AVFrame *f = c->frame;
    const uint64_t flags = c->desc->flags;
    const bool palette = flags & AV_PIX_FMT_FLAG_PAL;
    const bool ink = probe->format == TSR_FORMAT_JPEG && probe->components == 4;
    tsr_status status = tsr_image_allocate(c->ctx, c->name, (uint64_t)f->width, (uint64_t)f->height,
                                           c->settings, image);
    c->alpha = -1;
    if (palette) {
        if (!status) status = take_palette(c);
    } else {
        c->plane_count = c->desc->nb_components;
        if (flags & AV_PIX_FMT_FLAG_ALPHA) c->alpha = c->plane_count - 1;
        c->clip = c->settings->pillow_grey16 && c->plane_count == 1 && c->desc->comp[0].depth == 16;
        for (int i = 0; i < c->plane_count && !status; ++i)
            status = take_plane(c, i, &c->planes[i]);
    }
    /* libav calls JPEG's four planes YCbCr and alpha whatever they are. */
    const bool yuv = !palette && c->plane_count >= 3 && !(flags & AV_PIX_FMT_FLAG_RGB) &&
                     (!ink || probe->adobe_transform == 2);
    const bool alpha = c->alpha >= 0 && !ink && !probe->opaque && !c->settings->drop_alpha;
    if (!status && yuv) {
        c->matrix = choose_matrix(f, probe);
        c->cb = tsr_alloc(c->ctx, (size_t)f->width, 2, c->name);
        if (!c->cb)
            status = TSR_ERROR_MEMORY;
        else
            c->cr = c->cb + f->width;
    }
    if (!status && ink &&
        (c->plane_count != 4 || (!yuv && c->planes[1].shift_x + c->planes[1].shift_y > 0)))
        status = tsr_fail(c->ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted four planes of CMYK, got %s",
                          c->name, c->desc->name);
    if (status) return status;
    image->source_bits = palette ? 8 : c->desc->comp[0].depth;
    for (int y = 0; y < f->height; ++y) {
        uint8_t *to = image->rgb + (size_t)y * (size_t)f->width * 3;
        if (yuv)
            colour_row(c, y, to);
        else
            plain_row(c, y, to);
        if (ink)
            ink_row(c, y, !yuv, to);
        else if (alpha)
            image->had_alpha |= alpha_row(c, y, to);
    }
    return TSR_OK;
}

tsr_status tsr_media_convert(tsr_context *ctx, const char *name, const AVFrame *frame,
                             const tsr_probe *probe, const tsr_image_settings *settings,
                             tsr_image *image) {
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get((enum AVPixelFormat)frame->format);
    const uint64_t refused =
        AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER | AV_PIX_FMT_FLAG_FLOAT;
    if (!desc || (desc->flags & refused) || desc->comp[0].depth > 16)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: pixels: wanted integers of up to 16 bits, got %s", name,
                        desc ? desc->name : "an unknown format");
    converter c = {.ctx = ctx, .name = name, .frame = frame, .desc = desc, .settings = settings};
    tsr_status status = convert(&c, probe, image);
    for (int i = 0; i < 4; ++i)
        free(c.planes[i].copy);
    free(c.cb);
    if (status) tsr_image_free(image);
    return status;
}
