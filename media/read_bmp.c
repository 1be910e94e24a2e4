/* SPDX-License-Identifier: MIT */
/* read_bmp.c: Windows and OS/2 bitmaps: 1, 2, 4 and 8 bits with a palette, plain or run-length
 * coded; 16, 24 and 32 bits, plain or with bit masks; bottom row first or top row first. */
#include "reader.h"

#include <stdlib.h>

enum { FILE_HEADER = 14, OS2_HEADER = 12, PLAIN = 0, RLE8 = 1, RLE4 = 2, MASKS = 3, MASKS4 = 6 };

static bool recognise(tsr_bytes b) {
    /* "BM" alone could begin any text; the size of a bitmap's header tells it apart. */
    uint32_t size = tsr_little(b, FILE_HEADER, 4);
    return tsr_bytes_have(b, 0, "BM", 2) && size >= OS2_HEADER && size <= 256;
}

typedef struct header {
    uint32_t size, width, height, bits, compression, colours;
    bool top_first;
    uint32_t masks[4];          /* red, green, blue, alpha; all 0: the usual places */
    size_t palette_at, data_at; /* offsets in the file */
    uint8_t palette[256][3];    /* RGB */
} header;

static void read_masks(tsr_bytes b, header *h) {
    /* Headers of 52 bytes hold the masks; behind shorter ones they stand by themselves. */
    int count = h->compression == MASKS4 || h->size >= 56 ? 4 : 3;
    for (int i = 0; i < count; ++i)
        h->masks[i] = tsr_little(b, FILE_HEADER + 40 + 4 * (size_t)i, 4);
    if (h->size < 52) h->palette_at += 4 * (size_t)count;
}

static header read_header(tsr_bytes b) {
    header h = {.size = tsr_little(b, FILE_HEADER, 4), .data_at = tsr_little(b, 10, 4)};
    h.palette_at = FILE_HEADER + (size_t)h.size;
    if (h.size == OS2_HEADER) {
        h.width = tsr_little(b, 18, 2);
        h.height = tsr_little(b, 20, 2);
        h.bits = tsr_little(b, 24, 2);
    } else {
        uint32_t height = tsr_little(b, 22, 4);
        h.width = tsr_little(b, 18, 4);
        h.top_first = height > INT32_MAX;
        h.height = h.top_first ? 0u - height : height;
        h.bits = tsr_little(b, 28, 2);
        if (h.size >= 20) h.compression = tsr_little(b, 30, 4);
        if (h.size >= 36) h.colours = tsr_little(b, 46, 4);
        if (h.compression == MASKS || h.compression == MASKS4) read_masks(b, &h);
    }
    if (h.bits > 8) return h;
    const size_t step = h.size == OS2_HEADER ? 3 : 4;
    if (h.colours == 0) h.colours = 1u << h.bits;
    /* Some writers forget the palette when they say where the pixels are. */
    if (h.data_at == FILE_HEADER + (size_t)h.size) h.data_at += 4 * (size_t)h.colours;
    if (h.data_at == 0) h.data_at = h.palette_at + step * (size_t)h.colours;
    for (uint32_t i = 0; i < 256; ++i)
        for (uint32_t c = 0; c < 3; ++c)
            h.palette[i][c] =
                (uint8_t)(i < h.colours ? tsr_little(b, h.palette_at + i * step + 2 - c, 1) : i);
    return h;
}

static void probe_bmp(tsr_bytes b, tsr_probe *probe) {
    if (tsr_little(b, FILE_HEADER, 4) == OS2_HEADER) {
        probe->width = tsr_little(b, 18, 2);
        probe->height = tsr_little(b, 20, 2);
        return;
    }
    uint32_t height = tsr_little(b, 22, 4);
    probe->width = tsr_little(b, 18, 4);
    probe->height = height > INT32_MAX ? 0u - height : height;
}

static uint8_t *row_of(const tsr_picture_decode *d, const header *h, size_t y) {
    return d->image->rgb + (h->top_first ? y : h->height - 1 - y) * (size_t)h->width * 3;
}

/* ---- palettes ---- */

static void colour_row(const tsr_picture_decode *d, const header *h, const uint8_t *indices,
                       size_t y) {
    uint8_t *to = row_of(d, h, y);
    for (size_t x = 0; x < h->width; ++x)
        memcpy(to + 3 * x, h->palette[indices[x]], 3);
}

/* One call of a run-length stream goes to the end of a row, or further. */
typedef struct run_reader {
    tsr_bytes data;
    size_t at, x, y;
    bool four, ended;
} run_reader;

static void put_index(const header *h, run_reader *r, uint8_t *indices, uint8_t index) {
    if (r->x < h->width) indices[r->y * h->width + r->x] = index;
    ++r->x;
}

/* One code. false at the end of the data. */
static bool next_code(const header *h, run_reader *r, uint8_t *indices) {
    if (r->data.size - r->at < 2) return false;
    const uint8_t count = r->data.p[r->at], value = r->data.p[r->at + 1];
    r->at += 2;
    if (count) {
        for (size_t i = 0; i < count; ++i)
            put_index(h, r, indices, r->four ? (i & 1 ? value & 15 : value >> 4) : value);
    } else if (value == 0) {
        r->x = 0, ++r->y;
    } else if (value == 1) {
        r->ended = true;
    } else if (value == 2) {
        if (r->data.size - r->at < 2) return false;
        r->x += r->data.p[r->at];
        r->y += r->data.p[r->at + 1];
        r->at += 2;
    } else {
        const size_t bytes = r->four ? ((size_t)value + 1) / 2 : value;
        if (r->data.size - r->at < bytes) return false;
        for (size_t i = 0; i < value; ++i) {
            uint8_t byte = r->data.p[r->at + (r->four ? i / 2 : i)];
            put_index(h, r, indices, r->four ? (i & 1 ? byte & 15 : byte >> 4) : byte);
        }
        r->at += bytes + (bytes & 1);
        if (r->at > r->data.size) r->at = r->data.size; /* the last padding may be missing */
    }
    return true;
}

/* Pixels that no code reaches have index 0. */
static tsr_status read_runs(const tsr_picture_decode *d, const header *h) {
    uint8_t *indices = tsr_alloc(d->ctx, (size_t)h->width * h->height, 1, d->name);
    if (!indices) return TSR_ERROR_MEMORY;
    run_reader r = {.data = tsr_slice(d->bytes, h->data_at, d->bytes.size),
                    .four = h->compression == RLE4};
    tsr_status status = TSR_OK;
    while (!r.ended && r.y < h->height) {
        if (next_code(h, &r, indices)) continue;
        if (r.y + 1 < h->height || r.x < h->width)
            status = tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "wanted %u rows, got %zu",
                                         h->height, r.y);
        break;
    }
    for (size_t y = 0; y < h->height && !status; ++y)
        colour_row(d, h, indices + y * h->width, y);
    free(indices);
    return status;
}

static tsr_status read_indices(const tsr_picture_decode *d, const header *h, tsr_bytes data,
                               size_t stride) {
    uint8_t *row = tsr_alloc(d->ctx, h->width, 1, d->name);
    if (!row) return TSR_ERROR_MEMORY;
    const size_t in_byte = 8 / h->bits;
    for (size_t y = 0; y < h->height; ++y) {
        const uint8_t *from = data.p + y * stride;
        for (size_t x = 0; x < h->width; ++x)
            row[x] = (uint8_t)(from[x / in_byte] >> (8 - h->bits * (x % in_byte + 1)) &
                               ((1u << h->bits) - 1));
        colour_row(d, h, row, y);
    }
    free(row);
    return TSR_OK;
}

/* ---- colours ---- */

typedef struct channel {
    uint32_t mask, shift, most;
} channel;

static channel channel_of(uint32_t mask) {
    channel c = {.mask = mask};
    while (mask && !(mask >> c.shift & 1))
        ++c.shift;
    c.most = mask >> c.shift;
    return c;
}

/* Spreads a channel over 0..255, cutting fractions as Pillow does. */
static uint8_t value_of(const channel *c, uint32_t word) {
    return c->most ? (uint8_t)((uint64_t)((word & c->mask) >> c->shift) * 255 / c->most) : 0;
}

/* Blue, green, red in whole bytes, as nearly every bitmap has them. */
static void reverse_row(const uint8_t *from, size_t step, size_t count, uint8_t *to) {
    for (size_t x = 0; x < count; ++x, from += step, to += 3)
        to[0] = from[2], to[1] = from[1], to[2] = from[0];
}

static void read_colours(const tsr_picture_decode *d, const header *h, tsr_bytes data,
                         size_t stride) {
    static const uint32_t usual16[4] = {0x7C00, 0x3E0, 0x1F, 0},
                          usual[4] = {0xFF0000, 0xFF00, 0xFF, 0};
    const uint32_t *masks = h->masks[0] | h->masks[1] | h->masks[2] ? h->masks
                            : h->bits == 16                         ? usual16
                                                                    : usual;
    channel c[4];
    for (int i = 0; i < 4; ++i)
        c[i] = channel_of(masks[i]);
    const int bytes = (int)h->bits / 8;
    bool opaque = !c[3].mask;
    if (!opaque) { /* nothing but zeros: the writer left the channel empty */
        bool any = false;
        for (size_t y = 0; y < h->height && !any; ++y)
            for (size_t x = 0; x < h->width && !any; ++x)
                any = (tsr_little(data, y * stride + x * (size_t)bytes, bytes) & c[3].mask) != 0;
        opaque = !any;
    }
    const bool usual_bytes = bytes > 2 && opaque && memcmp(masks, usual, 3 * sizeof *usual) == 0;
    for (size_t y = 0; y < h->height; ++y) {
        uint8_t *to = row_of(d, h, y);
        if (usual_bytes) {
            reverse_row(data.p + y * stride, (size_t)bytes, h->width, to);
            continue;
        }
        for (size_t x = 0; x < h->width; ++x) {
            uint32_t word = tsr_little(data, y * stride + x * (size_t)bytes, bytes);
            const uint8_t rgba[4] = {value_of(&c[0], word), value_of(&c[1], word),
                                     value_of(&c[2], word), opaque ? 255 : value_of(&c[3], word)};
            tsr_picture_row(d, rgba, 4, 1, to + 3 * x);
        }
    }
}

static tsr_status refuse_kind(const tsr_picture_decode *d, const header *h) {
    static const char *const names[] = {"", "RLE8", "RLE4", "", "JPEG", "PNG"};
    const uint32_t bits = h->bits, c = h->compression;
    const bool os2 = h->size == 64;
    if (c > MASKS4 || (c >= MASKS && os2))
        return tsr_picture_refuse(d, NULL, "%sbitmap of compression %u", os2 ? "OS/2 " : "", c);
    if (c == 4 || c == 5) return tsr_picture_refuse(d, NULL, "a bitmap that holds a %s", names[c]);
    if (bits != 1 && bits != 2 && bits != 4 && bits != 8 && bits != 16 && bits != 24 && bits != 32)
        return tsr_picture_refuse(d, NULL, "bitmap of %u bits a pixel", bits);
    if ((c == RLE8 && bits != 8) || (c == RLE4 && bits != 4))
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "%s with %u bits a pixel", names[c], bits);
    return TSR_OK;
}

static tsr_status decode_bmp(const tsr_picture_decode *d) {
    header h = read_header(d->bytes);
    tsr_status status = refuse_kind(d, &h);
    if (!status) status = tsr_picture_allocate(d, h.width, h.height);
    if (status) return status;
    if (h.compression == RLE8 || h.compression == RLE4) return read_runs(d, &h);
    const size_t used = ((size_t)h.width * h.bits + 7) / 8, stride = (used + 3) / 4 * 4;
    tsr_bytes data = tsr_slice(d->bytes, h.data_at, d->bytes.size);
    const size_t wanted = stride * (h.height - 1) + used; /* the last padding may be missing */
    if (data.size < wanted)
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "wanted %zu bytes of pixels, got %zu",
                                   wanted, data.size);
    if (h.bits <= 8) return read_indices(d, &h, data, stride);
    read_colours(d, &h, data, stride);
    return TSR_OK;
}

const tsr_picture_reader tsr_reader_bmp = {.name = "BMP",
                                           .source = TSR_SOURCE_BMP,
                                           .recognise = recognise,
                                           .probe = probe_bmp,
                                           .decode = decode_bmp};
