/* SPDX-License-Identifier: MIT */
/* stream_parts.c: the parts of a stream to bytes and back: codebook and gains as byte planes, ids
 * and maps packed, by zstd or by the map coder. */
#include "stream_parts.h"
#include "bitpack.h"
#include "map_coder.h"
#include "../../compute/tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CODING_RAW = 0,
    CODING_ZSTD = 1,
    CODING_MAP = 2,
    CODING_COUNT = 3,
    CELLS_OF_BYTE = 8192, /* of coded ids, at most */
    Q_MOST = 127
};
static const float SCALE_LEAST = 0x1p-110f, SCALE_BOUND = 0x1p113f;

static const char *const part_names[TSR_STREAM_PARTS] = {"codebook", "ids", "gains", "map"};

void tsr_stream_memory_free(tsr_stream_memory *m) {
    free(m->codebook);
    free(m->gains);
    free(m->ids);
    free(m->map);
    *m = (tsr_stream_memory){0};
}

void tsr_stream_coder_free(tsr_stream_coder *c) {
    tsr_token_zstd_free(&c->zstd);
    free(c->contexts);
    free(c->content);
    free(c->coded);
    *c = (tsr_stream_coder){.ctx = c->ctx};
}

static uint32_t bits_of(uint32_t codes) {
    uint32_t bits = 0;
    while (((uint64_t)1 << bits) < codes)
        ++bits;
    return bits;
}

static uint32_t bits_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static float f32_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static size_t at_least(uint64_t raw) {
    return (size_t)((raw + TSR_TESS_RATIO - 1) / TSR_TESS_RATIO);
}

static tsr_status put_data(tsr_stream_coder *c, const char *label, uint32_t coding,
                           const uint8_t *data, size_t size, tsr_bytes *bytes) {
    tsr_bytes_varint(bytes, size);
    tsr_bytes_u8(bytes, coding);
    tsr_bytes_put(bytes, data, size);
    return bytes->failed ? tsr_fail(c->ctx, TSR_ERROR_MEMORY, "%s: no memory", label) : TSR_OK;
}

/* ---- numbers: byte planes ----------------------------------------------------------------- */

/* Writes number i of n to its planes. */
static void set_planes(uint8_t *planes, uint64_t n, uint64_t i, uint32_t width, uint32_t value) {
    for (uint32_t p = 0; p < width; ++p)
        planes[p * n + i] = (uint8_t)(value >> 8 * p);
}

static uint32_t get_planes(const uint8_t *planes, uint64_t n, uint64_t i, uint32_t width) {
    uint32_t value = 0;
    for (uint32_t p = 0; p < width; ++p)
        value |= (uint32_t)planes[p * n + i] << 8 * p;
    return value;
}

/* Appends c->content [raw], raw or by zstd. */
static tsr_status put_content(tsr_stream_coder *c, const char *label, size_t raw, bool entropy,
                              tsr_bytes *bytes) {
    size_t size = SIZE_MAX;
    if (entropy && raw > 1) {
        tsr_status s = tsr_grow(c->ctx, &c->coded, &c->coded_room, raw, 1, "coded numbers");
        if (!s) s = tsr_token_zstd_put(c->ctx, &c->zstd, c->content, raw, c->coded, raw - 1, &size);
        if (s) return s;
    }
    if (size < raw && size >= at_least(raw))
        return put_data(c, label, CODING_ZSTD, c->coded, size, bytes);
    return put_data(c, label, CODING_RAW, c->content, raw, bytes);
}

/* Decompresses into c->content [raw]. */
static tsr_status get_zstd(tsr_stream_coder *c, const char *label, size_t raw,
                           const tsr_cursor *data) {
    const tsr_status s = tsr_token_zstd_get(c->ctx, &c->zstd, c->content, raw, data);
    char why[200];
    if (!s) return s;
    snprintf(why, sizeof why, "%s", tsr_detail(c->ctx));
    return tsr_fail(c->ctx, s, "%s: %s", label, why);
}

static uint64_t content_bytes(const tsr_stream_fields *f, tsr_stream_part part) {
    const tsr_token_stream *s = &f->stream;
    if (part == TSR_STREAM_GAINS) return 2 * tsr_stream_cells(s);
    static const uint32_t widths[] = {4, 2, 1};
    const uint64_t rows = (uint64_t)s->codebook_size + f->newline;
    const uint64_t scales = s->codebook_type == TSR_CODEBOOK_INT8 ? 4 * rows : 0;
    return scales + rows * s->channels * widths[s->codebook_type];
}

/* Content of a part as byte planes: in the file, or decompressed into c->content. */
static tsr_status get_content(tsr_stream_coder *c, const char *label, const tsr_stream_fields *f,
                              tsr_stream_part part, const uint8_t **content) {
    const tsr_cursor *data = &f->part[part].data;
    *content = data->at;
    if (f->part[part].coding == CODING_RAW) return TSR_OK;
    const size_t raw = (size_t)content_bytes(f, part);
    const tsr_status s = tsr_grow(c->ctx, &c->content, &c->content_room, raw, 1, "numbers");
    if (s) return s;
    *content = c->content;
    return get_zstd(c, label, raw, data);
}

/* ---- codebook ----------------------------------------------------------------------------- */

static tsr_status bad_number(tsr_context *ctx, tsr_status status, const char *label,
                             const char *what, uint64_t row, uint64_t column, const char *wanted,
                             float got) {
    return tsr_fail(ctx, status, "%s: %s: row %llu, number %llu: wanted %s, got %g", label, what,
                    (unsigned long long)row, (unsigned long long)column, wanted, (double)got);
}

/* Scale of a row of int8: such that 127 scales are exactly its greatest magnitude, or just above.
 */
static float scale_of(const float *row, uint32_t channels) {
    float most = 0;
    for (uint32_t j = 0; j < channels; ++j)
        if (fabsf(row[j]) > most) most = fabsf(row[j]);
    const float exact = most / Q_MOST;
    uint32_t bits = bits_f32(exact);
    if (bits & 255) bits = (bits | 255) + 1;
    const float scale = f32_bits(bits);
    return scale < SCALE_LEAST ? 0 : scale;
}

static int quantised(float value, float scale) {
    const int q = scale > 0 ? (int)lrintf(value / scale) : 0; /* half to even */
    return q > Q_MOST ? Q_MOST : q < -Q_MOST ? -Q_MOST : q;
}

void tsr_stream_round_row(tsr_codebook_type type, float *row, uint32_t channels) {
    const float scale = type == TSR_CODEBOOK_INT8 ? scale_of(row, channels) : 0;
    for (uint32_t j = 0; j < channels; ++j)
        if (type == TSR_CODEBOOK_F16)
            row[j] = tsr_f16_to_f32(tsr_f32_to_f16(row[j]));
        else if (type == TSR_CODEBOOK_INT8)
            row[j] = scale * (float)quantised(row[j], scale);
}

static tsr_status stage_row(tsr_stream_coder *c, const char *label, const tsr_token_stream *s,
                            const float *row, uint64_t i, uint64_t rows) {
    const uint64_t n = rows * s->channels, first = i * s->channels;
    uint8_t *numbers = c->content;
    float scale = 0;
    if (s->codebook_type == TSR_CODEBOOK_INT8) {
        for (uint32_t j = 0; j < s->channels; ++j)
            if (!(fabsf(row[j]) / Q_MOST < SCALE_BOUND))
                return bad_number(c->ctx, TSR_ERROR_TOKENS, label, "codebook", i, j,
                                  "a finite one below 127 x 2^113", row[j]);
        scale = scale_of(row, s->channels);
        set_planes(numbers, rows, i, 4, bits_f32(scale));
        numbers += 4 * rows;
    }
    for (uint32_t j = 0; j < s->channels; ++j) {
        uint32_t stored = bits_f32(row[j]), width = 4;
        bool good = isfinite(row[j]);
        if (s->codebook_type == TSR_CODEBOOK_F16) {
            stored = tsr_f32_to_f16(row[j]);
            width = 2;
            good = (stored & 0x7c00) != 0x7c00;
        } else if (s->codebook_type == TSR_CODEBOOK_INT8) {
            stored = (uint32_t)quantised(row[j], scale);
            width = 1;
        }
        if (!good)
            return bad_number(c->ctx, TSR_ERROR_TOKENS, label, "codebook", i, j,
                              width == 2 ? "a finite one that f16 can hold" : "a finite one",
                              row[j]);
        set_planes(numbers, n, first + j, width, stored);
    }
    return TSR_OK;
}

tsr_status tsr_stream_put_codebook(tsr_stream_coder *c, const char *label,
                                   const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes) {
    const tsr_stream_fields f = {.stream = *stream, .newline = stream->newline != NULL};
    const uint64_t rows = (uint64_t)stream->codebook_size + f.newline;
    const size_t raw = (size_t)content_bytes(&f, TSR_STREAM_CODEBOOK);
    tsr_status s = tsr_grow(c->ctx, &c->content, &c->content_room, raw, 1, "codebook");
    for (uint64_t i = 0; i < rows && !s; ++i)
        s = stage_row(c, label, stream,
                      i < stream->codebook_size ? stream->codebook + i * stream->channels
                                                : stream->newline,
                      i, rows);
    return s ? s : put_content(c, label, raw, entropy, bytes);
}

/* A row of int8 is good if the writer could have made it. */
static tsr_status get_int8_row(tsr_context *ctx, const char *label, const uint8_t *content,
                               uint64_t rows, uint64_t i, uint32_t channels, float *row) {
    const float scale = f32_bits(get_planes(content, rows, i, 4));
    const int8_t *q = (const int8_t *)content + 4 * rows + i * channels;
    int most = 0;
    for (uint32_t j = 0; j < channels; ++j) {
        const int magnitude = q[j] < 0 ? -q[j] : q[j];
        if (magnitude > most) most = magnitude;
        row[j] = scale * (float)q[j];
        if (q[j] == 0) row[j] = 0; /* no negative zeros */
    }
    const bool zero = bits_f32(scale) == 0 && most == 0;
    if (!zero &&
        (!(scale >= SCALE_LEAST && scale < SCALE_BOUND) || bits_f32(scale) & 255 || most != Q_MOST))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: codebook: row %llu: wanted a scale of 16 bits and a greatest number "
                        "of 127, got %g and %d",
                        label, (unsigned long long)i, (double)scale, most);
    return TSR_OK;
}

static tsr_status get_codebook(tsr_stream_coder *c, const char *label, tsr_stream_fields *f,
                               tsr_stream_memory *m) {
    tsr_token_stream *s = &f->stream;
    const uint64_t rows = (uint64_t)s->codebook_size + f->newline, n = rows * s->channels;
    const uint8_t *content = NULL;
    tsr_status status = get_content(c, label, f, TSR_STREAM_CODEBOOK, &content);
    if (!status)
        status =
            tsr_grow(c->ctx, &m->codebook, &m->codebook_room, (size_t)n, sizeof(float), "codebook");
    if (s->codebook_type == TSR_CODEBOOK_INT8)
        for (uint64_t i = 0; i < rows && !status; ++i)
            status = get_int8_row(c->ctx, label, content, rows, i, s->channels,
                                  m->codebook + i * s->channels);
    else
        for (uint64_t i = 0; i < n && !status; ++i) {
            const bool half = s->codebook_type == TSR_CODEBOOK_F16;
            const uint32_t stored = get_planes(content, n, i, half ? 2 : 4);
            m->codebook[i] = half ? tsr_f16_to_f32((uint16_t)stored) : f32_bits(stored);
            if (!isfinite(m->codebook[i]))
                status = bad_number(c->ctx, TSR_ERROR_FORMAT, label, "codebook", i / s->channels,
                                    i % s->channels, "a finite one", m->codebook[i]);
        }
    if (status) return status;
    s->codebook = m->codebook;
    s->newline = f->newline ? m->codebook + (n - s->channels) : NULL;
    return TSR_OK;
}

/* ---- gains -------------------------------------------------------------------------------- */

tsr_status tsr_stream_put_gains(tsr_stream_coder *c, const char *label,
                                const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes) {
    const uint64_t n = tsr_stream_cells(stream);
    tsr_status s = tsr_grow(c->ctx, &c->content, &c->content_room, (size_t)(2 * n), 1, "gains");
    for (uint64_t i = 0; i < n && !s; ++i) {
        const uint32_t stored = tsr_f32_to_f16(stream->gains[i]);
        if (!(stream->gains[i] >= 0) || (stored & 0x7c00) == 0x7c00)
            s = tsr_fail(c->ctx, TSR_ERROR_TOKENS,
                         "%s: gain %llu: wanted 0 or more and below 65520, got %g", label,
                         (unsigned long long)i, (double)stream->gains[i]);
        else
            set_planes(c->content, n, i, 2, stored & 0x7fff); /* no negative zeros */
    }
    return s ? s : put_content(c, label, (size_t)(2 * n), entropy, bytes);
}

static tsr_status get_gains(tsr_stream_coder *c, const char *label, tsr_stream_fields *f,
                            tsr_stream_memory *m) {
    const uint64_t n = tsr_stream_cells(&f->stream);
    const uint8_t *content = NULL;
    tsr_status s = get_content(c, label, f, TSR_STREAM_GAINS, &content);
    if (!s) s = tsr_grow(c->ctx, &m->gains, &m->gains_room, (size_t)n, sizeof(float), "gains");
    for (uint64_t i = 0; i < n && !s; ++i) {
        const uint32_t stored = get_planes(content, n, i, 2);
        m->gains[i] = tsr_f16_to_f32((uint16_t)stored);
        if (stored >= 0x7c00)
            s = tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                         "%s: gain %llu: wanted a finite one, 0 or more, got %g", label,
                         (unsigned long long)i, (double)m->gains[i]);
    }
    if (!s) f->stream.gains = m->gains;
    return s;
}

/* ---- ids and maps --------------------------------------------------------------------------- */

/* A grid of ids as it is coded. */
typedef struct grid {
    tsr_map_layout layout;
    uint64_t n;
    bool counts; /* may ids 0, 1, 2 ... be left out? */
    const char *what;
} grid;

static grid ids_grid(const tsr_token_stream *s) {
    return (grid){.layout = {s->frames, s->rows, s->columns, s->codebook_size},
                  .n = tsr_stream_cells(s),
                  .counts = true,
                  .what = "id"};
}

/* Of the finer cells: the cell plus 1, 0 where it was dropped. */
static grid map_grid(const tsr_token_stream *s) {
    return (grid){.layout = {s->finer_frames, s->finer_rows, s->finer_columns,
                             (uint32_t)tsr_stream_cells(s) + 1},
                  .n = tsr_stream_finer_cells(s),
                  .what = "cell of the map"};
}

static bool is_counting(const grid *g, const uint32_t *ids) {
    if (!g->counts || g->n != g->layout.codes) return false;
    for (uint64_t i = 0; i < g->n; ++i)
        if (ids[i] != i) return false;
    return true;
}

static void id_planes(const grid *g, const uint32_t *ids, uint32_t width, uint8_t *planes) {
    for (uint64_t i = 0; i < g->n; ++i)
        set_planes(planes, g->n, i, width, ids[i]);
}

static tsr_status need_contexts(tsr_stream_coder *c, const grid *g) {
    return tsr_grow(c->ctx, &c->contexts, &c->contexts_room, tsr_map_context_count(g->layout.codes),
                    sizeof *c->contexts, "map coder");
}

static tsr_status put_grid(tsr_stream_coder *c, const char *label, const grid *g,
                           const uint32_t *ids, bool entropy, tsr_bytes *bytes) {
    const uint32_t bits = bits_of(g->layout.codes), width = (bits + 7) / 8;
    const size_t raw = (size_t)tsr_bitpack_bytes(g->n, bits), n = (size_t)g->n;
    for (size_t i = 0; i < n; ++i)
        if (ids[i] >= g->layout.codes)
            return tsr_fail(c->ctx, TSR_ERROR_TOKENS, "%s: %s %zu: wanted below %u, got %u", label,
                            g->what, i, g->layout.codes, ids[i]);
    if (is_counting(g, ids)) return put_data(c, label, CODING_COUNT, NULL, 0, bytes);
    tsr_status s = tsr_grow(c->ctx, &c->coded, &c->coded_room, 3 * raw + 1, 1, "coded ids");
    if (s) return s;
    uint8_t *packed = c->coded, *zstd = packed + raw, *map = zstd + raw, *best = packed;
    size_t least = raw, size = SIZE_MAX;
    uint32_t coding = CODING_RAW;
    if (raw) packed[raw - 1] = 0;
    tsr_bitpack(ids, g->n, bits, packed);
    if (entropy && raw > 1) {
        s = tsr_grow(c->ctx, &c->content, &c->content_room, n * width, 1, "id planes");
        if (s) return s;
        id_planes(g, ids, width, c->content);
        s = tsr_token_zstd_put(c->ctx, &c->zstd, c->content, n * width, zstd, raw - 1, &size);
        if (s) return s;
        if (size < least && g->n / CELLS_OF_BYTE <= size)
            coding = CODING_ZSTD, least = size, best = zstd;
        if ((s = need_contexts(c, g))) return s;
        size = tsr_map_encode(&g->layout, c->contexts, ids, map, least - 1);
        if (size < least && g->n / CELLS_OF_BYTE <= size)
            coding = CODING_MAP, least = size, best = map;
    }
    return put_data(c, label, coding, best, least, bytes);
}

tsr_status tsr_stream_put_ids(tsr_stream_coder *c, const char *label,
                              const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes) {
    const grid g = ids_grid(stream);
    return put_grid(c, label, &g, stream->ids, entropy, bytes);
}

tsr_status tsr_stream_put_map(tsr_stream_coder *c, const char *label,
                              const tsr_token_stream *stream, bool entropy, tsr_bytes *bytes) {
    const grid g = map_grid(stream);
    uint32_t *shifted = tsr_alloc(c->ctx, (size_t)g.n, sizeof *shifted, "map");
    if (!shifted) return TSR_ERROR_MEMORY;
    tsr_status s = TSR_OK;
    for (uint64_t i = 0; i < g.n && !s; ++i) {
        shifted[i] = stream->map[i] + 1; /* TSR_NO_CELL becomes 0 */
        if (shifted[i] >= g.layout.codes)
            s = tsr_fail(c->ctx, TSR_ERROR_TOKENS, "%s: map: cell %llu: wanted below %u, got %u",
                         label, (unsigned long long)i, g.layout.codes - 1, stream->map[i]);
    }
    if (!s) s = put_grid(c, label, &g, shifted, entropy, bytes);
    free(shifted);
    return s;
}

static tsr_status get_grid(tsr_stream_coder *c, const char *label, const grid *g, uint32_t coding,
                           const tsr_cursor *data, uint32_t *ids) {
    const uint32_t bits = bits_of(g->layout.codes), width = (bits + 7) / 8;
    const size_t n = (size_t)g->n;
    tsr_status s = TSR_OK;
    if (coding == CODING_COUNT) {
        for (size_t i = 0; i < n; ++i)
            ids[i] = (uint32_t)i;
    } else if (coding == CODING_RAW) {
        if (!tsr_bitunpack(data->at, g->n, bits, ids))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "%s: bits after the last %s: wanted 0", label,
                            g->what);
    } else if (coding == CODING_ZSTD) {
        s = tsr_grow(c->ctx, &c->content, &c->content_room, n * width, 1, "id planes");
        if (!s) s = get_zstd(c, label, n * width, data);
        for (size_t i = 0; i < n && !s; ++i)
            ids[i] = get_planes(c->content, n, i, width);
    } else {
        s = need_contexts(c, g);
        if (!s && tsr_map_decode(&g->layout, c->contexts, data->at, tsr_cursor_left(data), ids))
            s = tsr_fail(c->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted below %u, got another", label,
                         g->what, g->layout.codes);
    }
    for (size_t i = 0; i < n && !s; ++i)
        if (ids[i] >= g->layout.codes)
            s = tsr_fail(c->ctx, TSR_ERROR_FORMAT, "%s: %s %zu: wanted below %u, got %u", label,
                         g->what, i, g->layout.codes, ids[i]);
    return s;
}

/* ---- all parts ------------------------------------------------------------------------------ */

static tsr_status bad_size(tsr_context *ctx, const char *label, tsr_stream_part part,
                           const char *wanted, uint64_t bound, uint64_t got) {
    return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %s %llu bytes, got %llu", label,
                    part_names[part], wanted, (unsigned long long)bound, (unsigned long long)got);
}

tsr_status tsr_stream_check_part(tsr_context *ctx, const char *label, const tsr_stream_fields *f,
                                 tsr_stream_part part) {
    const bool ids = part == TSR_STREAM_IDS || part == TSR_STREAM_MAP;
    const uint32_t coding = f->part[part].coding;
    const tsr_cursor *data = &f->part[part].data;
    const uint64_t size = tsr_cursor_left(data);
    if (coding > (part == TSR_STREAM_IDS ? CODING_COUNT : ids ? CODING_MAP : CODING_ZSTD))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: coding of the %s: wanted another, got %u",
                        label, part_names[part], coding);
    if (!ids) {
        const uint64_t raw = content_bytes(f, part);
        if (coding == CODING_RAW)
            return size == raw ? TSR_OK : bad_size(ctx, label, part, "exactly", raw, size);
        if (size >= raw) return bad_size(ctx, label, part, "less than", raw, size);
        return size >= at_least(raw) ? TSR_OK
                                     : bad_size(ctx, label, part, "at least", at_least(raw), size);
    }
    const grid g = part == TSR_STREAM_IDS ? ids_grid(&f->stream) : map_grid(&f->stream);
    const uint64_t raw = tsr_bitpack_bytes(g.n, bits_of(g.layout.codes));
    if (coding == CODING_RAW)
        return size == raw ? TSR_OK : bad_size(ctx, label, part, "exactly", raw, size);
    if (coding == CODING_COUNT) {
        if (size) return bad_size(ctx, label, part, "exactly", 0, size);
        if (g.n == g.layout.codes) return TSR_OK;
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: ids that count: wanted K = %llu cells, got %u",
                        label, (unsigned long long)g.n, g.layout.codes);
    }
    if (size >= raw) return bad_size(ctx, label, part, "less than", raw, size);
    if (size < g.n / CELLS_OF_BYTE)
        return bad_size(ctx, label, part, "at least", g.n / CELLS_OF_BYTE, size);
    if (coding == CODING_MAP && size && data->end[-1] == 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted a last byte other than 0, got 0",
                        label, part_names[part]);
    return TSR_OK;
}

tsr_status tsr_stream_read(tsr_stream_coder *c, const char *label, tsr_stream_fields *f,
                           tsr_stream_memory *m) {
    tsr_token_stream *s = &f->stream;
    tsr_status status = TSR_OK;
    if (f->part[TSR_STREAM_CODEBOOK].there) status = get_codebook(c, label, f, m);
    const grid ids = ids_grid(s);
    if (!status) status = tsr_grow(c->ctx, &m->ids, &m->ids_room, (size_t)ids.n, 4, "ids");
    if (!status)
        status = get_grid(c, label, &ids, f->part[TSR_STREAM_IDS].coding,
                          &f->part[TSR_STREAM_IDS].data, m->ids);
    if (!status) s->ids = m->ids;
    if (!status && f->part[TSR_STREAM_GAINS].there) status = get_gains(c, label, f, m);
    if (status || !f->part[TSR_STREAM_MAP].there) return status;
    const grid map = map_grid(s);
    status = tsr_grow(c->ctx, &m->map, &m->map_room, (size_t)map.n, 4, "map");
    if (!status)
        status = get_grid(c, label, &map, f->part[TSR_STREAM_MAP].coding,
                          &f->part[TSR_STREAM_MAP].data, m->map);
    for (uint64_t i = 0; i < map.n && !status; ++i)
        m->map[i] -= 1; /* 0 becomes TSR_NO_CELL */
    if (!status) s->map = m->map;
    return status;
}
