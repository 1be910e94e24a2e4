/* SPDX-License-Identifier: MIT */
/* token_coding.c: one layer's ids to bytes and back: packed, zstd on byte planes, range coder; and
 * vectors: raw, zstd on byte planes. SPEC.md, section 8. */
#include "token_layout.h"
#include "bitpack.h"
#include "range_coder.h"
#include "time_coder.h"
#include "../../compute/tensor.h"

#include <math.h>
#include <stdlib.h>

struct tsr_token_coder {
    tsr_context *ctx;
    uint32_t bits, columns, codebook_size;
    uint32_t frame;           /* ids of a frame of a video tokenizer's tile; else 0 */
    uint32_t channels, width; /* of vectors: numbers, bytes of each; else 0 */
    tsr_range_model model;
    tsr_range_context *contexts; /* made at first use, as are the arrays */
    tsr_time_coder time;
    tsr_token_zstd zstd;
    uint8_t *planes, *coded;
    size_t planes_room, coded_room;
};

tsr_status tsr_token_coder_open(tsr_context *ctx, tsr_token_coder **coder,
                                const tsr_token_header *header) {
    tsr_token_coder *c = *coder = tsr_alloc(ctx, 1, sizeof *c, "token coder");
    if (!c) return TSR_ERROR_MEMORY;
    c->ctx = ctx;
    c->bits = tsr_token_bits(header);
    c->columns = header->geometry == TSR_GEOMETRY_GRID ? header->columns : 0;
    c->codebook_size = header->codebook_size;
    c->frame = header->frames ? header->rows * header->columns : 0;
    c->channels = header->channels;
    c->width = header->latent_type == TSR_LATENT_F16 ? 2 : 4;
    if (!c->channels) c->model = tsr_range_model_of(header);
    return TSR_OK;
}

void tsr_token_coder_close(tsr_token_coder **coder) {
    tsr_token_coder *c = *coder;
    if (!c) return;
    tsr_token_zstd_free(&c->zstd);
    tsr_time_coder_free(&c->time);
    free(c->contexts);
    free(c->planes);
    free(c->coded);
    free(c);
    *coder = NULL;
}

static tsr_status need_contexts(tsr_token_coder *c) {
    if (!c->contexts)
        c->contexts = tsr_alloc(c->ctx, c->model.context_count, sizeof *c->contexts, "range coder");
    return c->contexts ? TSR_OK : TSR_ERROR_MEMORY;
}

static tsr_range_layout layout_of(const tsr_token_coder *c, const tsr_id_span *span) {
    return (tsr_range_layout){.lengths = span->lengths,
                              .tiles = span->tiles,
                              .first = span->first,
                              .columns = span->sequence ? 0 : c->columns};
}

static uint64_t raw_bytes(const tsr_token_coder *c, uint64_t total) {
    if (c->channels) return total * c->channels * c->width; /* at most 2^28 */
    return tsr_bitpack_bytes(total, c->bits);
}

/* ---- encoding --------------------------------------------------------------------------- */

static tsr_status try_range(tsr_token_coder *c, const tsr_id_span *span, const uint32_t *ids,
                            size_t room, size_t *size) {
    tsr_status s = need_contexts(c);
    if (s) return s;
    tsr_range_layout layout = layout_of(c, span);
    *size = tsr_range_encode(&c->model, c->contexts, &layout, ids, c->coded, room);
    return TSR_OK;
}

static tsr_time_layout time_layout_of(const tsr_token_coder *c, const tsr_id_span *span) {
    return (tsr_time_layout){
        .lengths = span->lengths, .tiles = span->tiles, .frame = c->frame, .columns = c->columns};
}

/* Can ids be coded frame by frame? */
static bool has_frames(const tsr_token_coder *c, const tsr_id_span *span) {
    if (!c->frame || span->sequence || span->first) return false;
    for (uint32_t t = 0; t < span->tiles; ++t)
        if (span->lengths[t] % c->frame) return false;
    return true;
}

static tsr_status begin_time(tsr_token_coder *c, const tsr_time_layout *layout) {
    return tsr_time_begin(c->ctx, &c->time, &c->model, tsr_time_cells(layout), layout->tiles);
}

static tsr_status try_time(tsr_token_coder *c, const tsr_id_span *span, const uint32_t *ids,
                           uint8_t *out, size_t room, size_t *size) {
    const tsr_time_layout layout = time_layout_of(c, span);
    *size = SIZE_MAX;
    if (!has_frames(c, span)) return TSR_OK;
    const tsr_status s = begin_time(c, &layout);
    if (!s) *size = tsr_time_encode(&c->time, &layout, ids, out, room);
    return s;
}

static tsr_status id_planes(tsr_token_coder *c, const tsr_id_span *span, const uint32_t *ids) {
    size_t n = span->total, planes = (c->bits + 7) / 8;
    tsr_status s = tsr_grow(c->ctx, &c->planes, &c->planes_room, n * planes, 1, "id planes");
    for (size_t p = 0; p < planes && !s; ++p)
        for (size_t i = 0; i < n; ++i)
            c->planes[p * n + i] = (uint8_t)(ids[i] >> 8 * p);
    return s;
}

tsr_status tsr_token_coder_put(tsr_token_coder *c, const tsr_id_span *span, const uint32_t *ids,
                               bool entropy, tsr_bytes *bytes) {
    size_t raw = (size_t)raw_bytes(c, span->total), best = raw,
           least = (raw + TSR_TESS_RATIO - 1) / TSR_TESS_RATIO;
    tsr_tess_coding coding = TSR_TESS_CODING_RAW;
    uint8_t *range = NULL, *zstd = NULL, *time = NULL;
    if (entropy && raw > 1) {
        tsr_status s = tsr_grow(c->ctx, &c->coded, &c->coded_room, 3 * raw, 1, "coded ids");
        if (s) return s;
        range = c->coded;
        zstd = range + raw;
        time = zstd + raw;
        size_t size = SIZE_MAX;
        if ((s = id_planes(c, span, ids))) return s;
        size_t planes = span->total * ((c->bits + 7) / 8);
        if ((s = tsr_token_zstd_put(c->ctx, &c->zstd, c->planes, planes, zstd, best - 1, &size)))
            return s;
        if (size < best && size >= least) coding = TSR_TESS_CODING_ZSTD, best = size;
        if ((s = try_range(c, span, ids, best - 1, &size))) return s;
        if (size < best && size >= least) coding = TSR_TESS_CODING_RANGE, best = size;
        if ((s = try_time(c, span, ids, time, best - 1, &size))) return s;
        if (size < best && size >= span->total / TSR_TESS_IDS_OF_BYTE)
            coding = TSR_TESS_CODING_TIME, best = size;
    }
    tsr_bytes_u8(bytes, coding);
    uint8_t *out = tsr_bytes_extend(bytes, best);
    if (!out) return tsr_fail(c->ctx, TSR_ERROR_MEMORY, "coded ids: no memory for %zu bytes", best);
    if (coding == TSR_TESS_CODING_RAW) {
        if (best) out[best - 1] = 0;
        tsr_bitpack(ids, span->total, c->bits, out);
    } else {
        const uint8_t *const coded[] = {NULL, zstd, range, time};
        if (best) memcpy(out, coded[coding], best);
    }
    return TSR_OK;
}

/* A number as stored; false when it cannot be. */
static bool stored_form(const tsr_token_coder *c, float value, uint32_t *bits) {
    if (c->width == 2) {
        *bits = tsr_f32_to_f16(value);
        return (*bits & 0x7c00) != 0x7c00;
    }
    memcpy(bits, &value, 4);
    return isfinite(value);
}

tsr_status tsr_token_coder_put_latents(tsr_token_coder *c, const char *name, uint64_t total,
                                       const float *latents, bool entropy, tsr_bytes *bytes) {
    const size_t n = (size_t)total * c->channels, raw = n * c->width;
    const size_t least = (raw + TSR_TESS_RATIO - 1) / TSR_TESS_RATIO;
    size_t size = SIZE_MAX;
    tsr_status s =
        tsr_grow(c->ctx, &c->planes, &c->planes_room, raw ? raw : 1, 1, "vectors' planes");
    if (s) return s;
    for (size_t i = 0; i < n; ++i) {
        uint32_t stored = 0;
        if (!stored_form(c, latents[i], &stored))
            return tsr_fail(c->ctx, TSR_ERROR_TOKENS,
                            "%s: vector %zu: number %zu: wanted a finite one%s, got %g", name,
                            i / c->channels, i % c->channels,
                            c->width == 2 ? " that f16 can hold" : "", (double)latents[i]);
        for (uint32_t p = 0; p < c->width; ++p)
            c->planes[p * n + i] = (uint8_t)(stored >> 8 * p);
    }
    if (entropy && raw > 1) {
        s = tsr_grow(c->ctx, &c->coded, &c->coded_room, raw, 1, "coded vectors");
        if (!s) s = tsr_token_zstd_put(c->ctx, &c->zstd, c->planes, raw, c->coded, raw - 1, &size);
        if (s) return s;
    }
    const bool wins = size < raw && size >= least;
    if (!wins) size = raw;
    tsr_bytes_u8(bytes, wins ? TSR_TESS_CODING_ZSTD : TSR_TESS_CODING_RAW);
    uint8_t *out = tsr_bytes_extend(bytes, size);
    if (!out)
        return tsr_fail(c->ctx, TSR_ERROR_MEMORY, "coded vectors: no memory for %zu bytes", size);
    if (wins) {
        memcpy(out, c->coded, size);
        return TSR_OK;
    }
    for (size_t i = 0; i < n; ++i)
        for (uint32_t p = 0; p < c->width; ++p)
            *out++ = c->planes[p * n + i];
    return TSR_OK;
}

/* ---- decoding --------------------------------------------------------------------------- */

tsr_status tsr_token_coder_check(tsr_token_coder *c, tsr_cursor data, uint64_t total,
                                 tsr_tess_coding *coding) {
    uint32_t number = tsr_cursor_u8(&data);
    uint64_t raw = raw_bytes(c, total), size = tsr_cursor_left(&data);
    if (data.bad) return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "coding: wanted a byte, got the end");
    *coding = (tsr_tess_coding)number;
    switch (number) {
    case TSR_TESS_CODING_RAW:
        if (size != raw)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "raw %s: wanted %llu bytes, got %llu",
                            c->channels ? "vectors" : "ids", (unsigned long long)raw,
                            (unsigned long long)size);
        return TSR_OK;
    case TSR_TESS_CODING_TIME:
        if (c->channels)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "coding of vectors: wanted 0 or 1, got 3");
        if (size && data.end[-1] == 0)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "ids coded over time: wanted a last byte other than 0, got 0");
        if (size >= raw || size < total / TSR_TESS_IDS_OF_BYTE)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "ids coded over time: wanted less than %llu bytes and at least one for "
                            "65536 ids, got %llu",
                            (unsigned long long)raw, (unsigned long long)size);
        return TSR_OK;
    case TSR_TESS_CODING_RANGE:
        if (c->channels)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "coding of vectors: wanted 0 or 1, got 2");
        if (size && data.end[-1] == 0)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "range-coded ids: wanted a last byte other than 0, got 0");
        /* fall through */
    case TSR_TESS_CODING_ZSTD:
        if (size >= raw || size < (raw + TSR_TESS_RATIO - 1) / TSR_TESS_RATIO)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "coded tokens: wanted less than %llu bytes and at least 1/256 of it, "
                            "got %llu",
                            (unsigned long long)raw, (unsigned long long)size);
        return TSR_OK;
    default:
        return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "coding: wanted 0..3, got %u", number);
    }
}

/* What was compressed into c->planes: wanted are exactly so many bytes. */
static tsr_status get_zstd(tsr_token_coder *c, size_t bytes, const tsr_cursor *data) {
    tsr_status s = tsr_grow(c->ctx, &c->planes, &c->planes_room, bytes, 1, "planes");
    return s ? s : tsr_token_zstd_get(c->ctx, &c->zstd, c->planes, bytes, data);
}

tsr_status tsr_token_coder_get(tsr_token_coder *c, const tsr_id_span *span, tsr_cursor data,
                               uint32_t *ids) {
    tsr_tess_coding coding;
    tsr_status s = tsr_token_coder_check(c, data, span->total, &coding);
    if (s) return s;
    ++data.at;
    if (coding == TSR_TESS_CODING_RAW) {
        if (!tsr_bitunpack(data.at, span->total, c->bits, ids))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "bits after the last id: wanted 0");
    } else if (coding == TSR_TESS_CODING_ZSTD) {
        const size_t n = (size_t)span->total, planes = (c->bits + 7) / 8;
        if ((s = get_zstd(c, n * planes, &data))) return s;
        memset(ids, 0, n * sizeof *ids);
        for (size_t p = 0; p < planes; ++p)
            for (size_t i = 0; i < n; ++i)
                ids[i] |= (uint32_t)c->planes[p * n + i] << 8 * p;
    } else if (coding == TSR_TESS_CODING_TIME) {
        const tsr_time_layout layout = time_layout_of(c, span);
        if (!has_frames(c, span))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "coding: wanted 0..2 of ids without whole frames, got 3");
        if ((s = begin_time(c, &layout))) return s;
        if (tsr_time_decode(&c->time, &layout, data.at, tsr_cursor_left(&data), ids))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "ids coded over time: wanted ids below %u, got another",
                            c->codebook_size);
    } else {
        if ((s = need_contexts(c))) return s;
        tsr_range_layout layout = layout_of(c, span);
        if (tsr_range_decode(&c->model, c->contexts, &layout, data.at, tsr_cursor_left(&data), ids))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "range-coded ids: wanted ids below %u, got another", c->codebook_size);
    }
    uint32_t largest = 0; /* first without a branch an id: nearly always all are good */
    for (uint64_t i = 0; i < span->total; ++i)
        largest = ids[i] > largest ? ids[i] : largest;
    for (uint64_t i = 0; largest >= c->codebook_size && i < span->total; ++i)
        if (ids[i] >= c->codebook_size)
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT, "id %llu: wanted below %u, got %u",
                            (unsigned long long)i, c->codebook_size, ids[i]);
    return TSR_OK;
}

tsr_status tsr_token_coder_get_latents(tsr_token_coder *c, uint64_t total, tsr_cursor data,
                                       float *latents) {
    const size_t n = (size_t)total * c->channels;
    tsr_tess_coding coding;
    tsr_status s = tsr_token_coder_check(c, data, total, &coding);
    if (s) return s;
    ++data.at;
    const uint8_t *from = data.at;
    size_t plane = 1, step = c->width; /* from byte to byte of a number, from number to number */
    if (coding == TSR_TESS_CODING_ZSTD) {
        if ((s = get_zstd(c, n * c->width, &data))) return s;
        from = c->planes;
        plane = n;
        step = 1;
    }
    for (size_t i = 0; i < n; ++i) {
        uint32_t stored = 0;
        for (uint32_t p = 0; p < c->width; ++p)
            stored |= (uint32_t)from[i * step + p * plane] << 8 * p;
        if (c->width == 2)
            latents[i] = tsr_f16_to_f32((uint16_t)stored);
        else
            memcpy(&latents[i], &stored, 4);
        if (!isfinite(latents[i]))
            return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                            "vector %zu: number %zu: wanted a finite one, got %g", i / c->channels,
                            i % c->channels, (double)latents[i]);
    }
    return TSR_OK;
}
