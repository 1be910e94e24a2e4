/* SPDX-License-Identifier: MIT */
/* read_qoi.c: QOI, the "Quite OK Image" format: 14 bytes of header, a stream of one-byte and longer
 * steps from pixel to pixel, eight bytes that end it. */
#include "reader.h"

enum { HEADER = 14, END = 8 };

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "qoif", 4);
}

static void probe_qoi(tsr_bytes b, tsr_probe *probe) {
    probe->width = tsr_big(b, 4, 4);
    probe->height = tsr_big(b, 8, 4);
    probe->unfinished =
        b.size < HEADER + END || !tsr_bytes_have(b, b.size - END, "\0\0\0\0\0\0\0\1", END);
}

typedef struct pixel {
    uint8_t r, g, b, a;
} pixel;

/* The next pixel and how often it stands there; false at the end of the data. `pixels` are the last
 * ones by their hash. */
static bool next_pixel(tsr_bytes data, size_t *at, pixel pixels[64], pixel *p, uint32_t *run) {
    uint32_t op = tsr_big(data, *at, 1);
    size_t length = op == 0xFF ? 5 : op == 0xFE ? 4 : op >> 6 == 2 ? 2 : 1;
    if (data.size - *at < length) return false;
    const uint8_t *from = data.p + *at + 1;
    *at += length;
    *run = 1;
    if (op >= 0xFE) {
        *p = (pixel){from[0], from[1], from[2], op == 0xFF ? from[3] : p->a};
    } else if (op >> 6 == 0) {
        *p = pixels[op];
    } else if (op >> 6 == 1) {
        p->r = (uint8_t)(p->r + (op >> 4 & 3) - 2);
        p->g = (uint8_t)(p->g + (op >> 2 & 3) - 2);
        p->b = (uint8_t)(p->b + (op & 3) - 2);
    } else if (op >> 6 == 2) {
        uint32_t green = (op & 63) - 32;
        p->r = (uint8_t)(p->r + green + (from[0] >> 4) - 8);
        p->g = (uint8_t)(p->g + green);
        p->b = (uint8_t)(p->b + green + (from[0] & 15) - 8);
    } else {
        *run = (op & 63) + 1;
    }
    pixels[(p->r * 3 + p->g * 5 + p->b * 7 + p->a * 11) % 64] = *p;
    return true;
}

static tsr_status decode_qoi(const tsr_picture_decode *d) {
    uint32_t channels = tsr_big(d->bytes, 12, 1);
    if (channels != 3 && channels != 4)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "channels: wanted 3 or 4, got %u",
                                   channels);
    tsr_status status = tsr_picture_allocate(d, d->probe->width, d->probe->height);
    if (status) return status;
    const size_t total = (size_t)d->probe->width * d->probe->height;
    tsr_bytes data = tsr_slice(d->bytes, HEADER, d->bytes.size - HEADER - END);
    pixel pixels[64] = {0}, p = {0, 0, 0, 255};
    for (size_t i = 0, at = 0; i < total;) {
        uint32_t run;
        if (!next_pixel(data, &at, pixels, &p, &run))
            return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "wanted %zu pixels, got %zu", total,
                                       i);
        const uint8_t rgba[4] = {p.r, p.g, p.b, channels == 4 ? p.a : 255};
        for (; run && i < total; --run, ++i)
            tsr_picture_row(d, rgba, 4, 1, d->image->rgb + i * 3);
    }
    return TSR_OK;
}

const tsr_picture_reader tsr_reader_qoi = {.name = "QOI",
                                           .source = TSR_SOURCE_OTHER,
                                           .recognise = recognise,
                                           .probe = probe_qoi,
                                           .decode = decode_qoi};
