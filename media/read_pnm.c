/* SPDX-License-Identifier: MIT */
/* read_pnm.c: the formats of Netpbm: PBM, PGM and PPM as text (P1 to P3) and binary (P4 to P6), and
 * PAM (P7). Samples 0..maxval become round(sample / maxval * 255), halves to even, as Pillow does
 * for colour. */
#include "reader.h"

#include <math.h>
#include <stdlib.h>

static bool is_blank(uint8_t c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool recognise(tsr_bytes b) {
    return b.size >= 3 && b.p[0] == 'P' && b.p[1] >= '1' && b.p[1] <= '7' &&
           (is_blank(b.p[2]) || b.p[2] == '#');
}

/* Skips blanks, and comments to the end of their line. */
static void skip_blanks(tsr_bytes b, size_t *at) {
    while (*at < b.size && (is_blank(b.p[*at]) || b.p[*at] == '#'))
        if (b.p[(*at)++] == '#')
            while (*at < b.size && b.p[*at] != '\n' && b.p[*at] != '\r')
                ++*at;
}

/* The next decimal number after blanks and comments, at most UINT32_MAX; false where there is none.
 * *at is then behind its last digit. */
static bool next_number(tsr_bytes b, size_t *at, uint32_t *number) {
    skip_blanks(b, at);
    uint64_t value = 0;
    size_t first = *at;
    for (; *at < b.size && b.p[*at] >= '0' && b.p[*at] <= '9'; ++*at)
        if (value < UINT32_MAX) value = value * 10 + (b.p[*at] - '0');
    *number = value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
    return *at > first;
}

typedef struct header {
    char kind; /* '1'..'7' */
    uint32_t width, height, depth, maxval;
    tsr_bytes tuple; /* PAM's TUPLTYPE, may be empty */
    size_t data_at;  /* 0: the header is not whole */
} header;

static bool line_is(tsr_bytes line, const char *keyword, tsr_bytes *value) {
    size_t length = strlen(keyword);
    if (line.size < length || memcmp(line.p, keyword, length) != 0) return false;
    if (line.size > length && !is_blank(line.p[length])) return false;
    *value = tsr_slice(line, length, line.size);
    return true;
}

static void read_pam_header(tsr_bytes b, header *h) {
    for (size_t at = 2; at < b.size;) {
        while (at < b.size && is_blank(b.p[at]))
            ++at;
        const uint8_t *end = at < b.size ? memchr(b.p + at, '\n', b.size - at) : NULL;
        if (!end) return;
        tsr_bytes line = tsr_slice(b, at, (size_t)(end - b.p) - at), value;
        at += line.size + 1;
        size_t zero = 0;
        if (line_is(line, "WIDTH", &value)) {
            next_number(value, &zero, &h->width);
        } else if (line_is(line, "HEIGHT", &value)) {
            next_number(value, &zero, &h->height);
        } else if (line_is(line, "DEPTH", &value)) {
            next_number(value, &zero, &h->depth);
        } else if (line_is(line, "MAXVAL", &value)) {
            next_number(value, &zero, &h->maxval);
        } else if (line_is(line, "TUPLTYPE", &value)) {
            while (value.size && is_blank(value.p[0]))
                value = tsr_slice(value, 1, value.size);
            while (value.size && is_blank(value.p[value.size - 1]))
                --value.size;
            h->tuple = value;
        } else if (line_is(line, "ENDHDR", &value)) {
            h->data_at = at;
            return;
        }
    }
}

static header read_header(tsr_bytes b) {
    header h = {.kind = (char)b.p[1], .depth = b.p[1] == '3' || b.p[1] == '6' ? 3 : 1};
    if (h.kind == '7') {
        h.depth = 0;
        read_pam_header(b, &h);
        return h;
    }
    size_t at = 2;
    bool whole = next_number(b, &at, &h.width) && next_number(b, &at, &h.height);
    h.maxval = 1;
    if (h.kind != '1' && h.kind != '4') whole = whole && next_number(b, &at, &h.maxval);
    /* One blank parts the header from the samples. */
    if (whole && at < b.size && is_blank(b.p[at])) h.data_at = at + 1;
    return h;
}

static void probe_pnm(tsr_bytes b, tsr_probe *probe) {
    header h = read_header(b);
    probe->width = h.width;
    probe->height = h.height;
}

/* scale[v] = the 8-bit sample of v; values above maxval stand for maxval. Taken and freed by the
 * caller. */
static uint8_t *make_scale(const tsr_picture_decode *d, const header *h) {
    uint8_t *scale = tsr_alloc(d->ctx, 1 << 16, 1, d->name);
    /* Pillow spreads grey of more than 8 bits over 16, and cuts it at 255 when it becomes RGB. */
    const double most =
        d->settings->pillow_grey16 && h->maxval > 255 && h->depth == 1 ? 65535 : 255;
    for (uint32_t v = 0; scale && v < 1 << 16; ++v) {
        double scaled = v < h->maxval ? nearbyint((double)v / h->maxval * most) : most;
        scale[v] = scaled < 255 ? (uint8_t)scaled : 255;
    }
    return scale;
}

static tsr_status cut_short(const tsr_picture_decode *d, size_t wanted, size_t got) {
    return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "wanted %zu bytes of samples, got %zu",
                               wanted, got);
}

/* P1: digits 0 and 1, with or without blanks; P2, P3: numbers. `row` has room for one row. */
static tsr_status read_text(const tsr_picture_decode *d, const header *h, const uint8_t *scale,
                            uint8_t *row) {
    tsr_bytes b = d->bytes;
    size_t at = h->data_at;
    const size_t samples = (size_t)h->width * h->depth;
    for (size_t y = 0; y < h->height; ++y) {
        for (size_t i = 0; i < samples; ++i) {
            uint32_t value;
            if (h->kind == '1') {
                skip_blanks(b, &at);
                value = at < b.size ? (uint32_t)b.p[at] - '0' : UINT32_MAX;
                at += at < b.size;
            } else if (!next_number(b, &at, &value)) {
                value = UINT32_MAX;
            }
            if (value > h->maxval && at >= b.size)
                return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED,
                                           "wanted %zu rows of samples, got %zu", (size_t)h->height,
                                           y);
            if (value > h->maxval)
                return tsr_picture_damaged(d, TSR_ERROR_FORMAT,
                                           "sample: wanted a number up to %u at byte %zu",
                                           h->maxval, at);
            row[i] = h->kind == '1' ? (value ? 0 : 255) : scale[value];
        }
        tsr_picture_row(d, row, (int)h->depth, h->width, d->image->rgb + y * (size_t)h->width * 3);
    }
    return TSR_OK;
}

static tsr_status read_bits(const tsr_picture_decode *d, const header *h, uint8_t *row) {
    const size_t row_bytes = ((size_t)h->width + 7) / 8;
    tsr_bytes data = tsr_slice(d->bytes, h->data_at, d->bytes.size);
    if (data.size / row_bytes < h->height) return cut_short(d, row_bytes * h->height, data.size);
    for (size_t y = 0; y < h->height; ++y) {
        for (size_t x = 0; x < h->width; ++x)
            row[x] = data.p[y * row_bytes + x / 8] >> (7 - x % 8) & 1 ? 0 : 255;
        tsr_picture_row(d, row, 1, h->width, d->image->rgb + y * (size_t)h->width * 3);
    }
    return TSR_OK;
}

/* Is the last of a PAM's channels transparency? A tuple type that says otherwise is believed. */
static bool has_alpha(const header *h) {
    static const char ending[] = "_ALPHA";
    if (h->depth != 2 && h->depth != 4) return false;
    return h->tuple.size == 0 || (h->tuple.size >= sizeof ending - 1 &&
                                  tsr_bytes_have(h->tuple, h->tuple.size - (sizeof ending - 1),
                                                 ending, sizeof ending - 1));
}

static tsr_status read_binary(const tsr_picture_decode *d, const header *h, const uint8_t *scale,
                              uint8_t *row) {
    const size_t samples = (size_t)h->width * h->depth, bytes = h->maxval > 255 ? 2 : 1;
    tsr_bytes data = tsr_slice(d->bytes, h->data_at, d->bytes.size);
    if (data.size / bytes / samples < h->height)
        return cut_short(d, bytes * samples * h->height, data.size);
    /* Channels that reach the picture: an extra one that is no transparency is left out. */
    const uint32_t channels = h->depth == 2 || h->depth == 4 ? h->depth - !has_alpha(h) : h->depth;
    for (size_t y = 0; y < h->height; ++y) {
        const uint8_t *from = data.p + y * samples * bytes;
        uint8_t *to = row;
        for (size_t i = 0; i < samples; ++i, from += bytes)
            if (i % h->depth < channels)
                *to++ = scale[bytes == 2 ? (uint32_t)from[0] << 8 | from[1] : from[0]];
        tsr_picture_row(d, row, (int)channels, h->width, d->image->rgb + y * (size_t)h->width * 3);
    }
    return TSR_OK;
}

static tsr_status check_header(const tsr_picture_decode *d, const header *h) {
    if (!h->data_at)
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the header");
    if (h->maxval < 1 || h->maxval > 65535)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "maxval: wanted 1 to 65535, got %u",
                                   h->maxval);
    if (h->depth < 1)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "depth: wanted at least 1, got %u",
                                   h->depth);
    if (h->depth > 4) return tsr_picture_refuse(d, NULL, "PAM of depth %u", h->depth);
    if (h->tuple.size == 4 && memcmp(h->tuple.p, "CMYK", 4) == 0)
        return tsr_picture_refuse(d, NULL, "PAM of tuple type CMYK");
    return TSR_OK;
}

static tsr_status decode_pnm(const tsr_picture_decode *d) {
    header h = read_header(d->bytes);
    tsr_status status = check_header(d, &h);
    if (!status) status = tsr_picture_allocate(d, h.width, h.height);
    if (status) return status;
    d->image->source_bits = h.maxval > 255 ? 16 : 8;
    uint8_t *scale = make_scale(d, &h), *row = NULL;
    if (scale) row = tsr_alloc(d->ctx, h.width, h.depth, d->name);
    if (!row)
        status = TSR_ERROR_MEMORY;
    else if (h.kind <= '3')
        status = read_text(d, &h, scale, row);
    else if (h.kind == '4')
        status = read_bits(d, &h, row);
    else
        status = read_binary(d, &h, scale, row);
    free(row);
    free(scale);
    return status;
}

const tsr_picture_reader tsr_reader_pnm = {.name = "PNM",
                                           .source = TSR_SOURCE_PNM,
                                           .recognise = recognise,
                                           .probe = probe_pnm,
                                           .decode = decode_pnm};
