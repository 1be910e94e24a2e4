/* SPDX-License-Identifier: MIT */
/* token_streams.c: fields of streams to STRM chunks and back, each checked on both ways. */
#include "token_streams.h"
#include "../utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HAS_CODEBOOK = 1,
    HAS_NEWLINE = 2,
    HAS_GAINS = 4,
    HAS_WINDOW = 8,
    HAS_MAP = 16,
    FLAGS = 31,
    LABEL = 400
};

static const char *label_of(char label[LABEL], const char *name, uint64_t item, uint32_t number,
                            const char *stream) {
    snprintf(label, LABEL, "%.250s: item %llu, stream %u%s%.63s%s", name, (unsigned long long)item,
             number, *stream ? " (" : "", stream, *stream ? ")" : "");
    return label;
}

/* ---- checking ------------------------------------------------------------------------------- */

/* What is wrong with a field; `wrong` NULL: nothing. */
typedef struct verdict {
    const char *field, *wrong;
    uint64_t got;
} verdict;

static bool name_good(const char *name) {
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.";
    return strlen(name) <= TSR_STREAM_NAME && strspn(name, letters) == strlen(name);
}

static bool source_good(const char *source) {
    const size_t n = strlen(source);
    if (n > TSR_STREAM_SOURCE || !tsr_utf8_valid(source, n, NULL)) return false;
    for (size_t i = 0; i < n; ++i)
        if ((unsigned char)source[i] < 0x20 || source[i] == 0x7f) return false;
    return true;
}

static bool grid_good(uint32_t frames, uint32_t rows, uint32_t columns) {
    /* two factors of 2^32 are below 2^64, three need not be */
    const uint64_t frame = (uint64_t)rows * columns;
    return frame > 0 && frame <= TSR_STREAM_MAX_CELLS && frames > 0 &&
           frames <= TSR_STREAM_MAX_CELLS && frame * frames <= TSR_STREAM_MAX_CELLS;
}

static uint32_t pooled(uint32_t finer, uint32_t window) {
    return finer / window + (finer % window != 0);
}

/* Fields alone, without arrays; `newline` says whether there is such a row. */
static verdict judge(const tsr_token_stream *s, uint32_t number, uint32_t count, bool newline) {
    const uint32_t *w = s->window;
    const bool window = w[0] || w[1] || w[2];
    if (!name_good(s->name))
        return (verdict){"bytes of the name", "at most 63 letters, digits, '_', '-' and '.'",
                         strlen(s->name)};
    if (!source_good(s->source))
        return (verdict){"bytes of the source", "at most 255 of UTF-8 without control characters",
                         strlen(s->source)};
    if (!grid_good(s->frames, s->rows, s->columns))
        return (verdict){"frames x rows x columns", "1..2^26",
                         (uint64_t)s->rows * s->columns * s->frames};
    if (s->codebook_size == 0) return (verdict){"codebook size", "1 or more", 0};
    if (s->channels > TSR_STREAM_MAX_CHANNELS)
        return (verdict){"channels", "at most 65536", s->channels};
    const uint64_t rows = (uint64_t)s->codebook_size + newline;
    if (s->channels && rows * s->channels > TSR_TESS_MAX_IDS)
        return (verdict){"numbers of the codebook", "at most 2^26", rows * s->channels};
    if ((unsigned)s->codebook_type > TSR_CODEBOOK_INT8)
        return (verdict){"type of the codebook", "0..2", (uint64_t)s->codebook_type};
    if (!s->channels && s->codebook_type)
        return (verdict){"type of the codebook", "0 without one", (uint64_t)s->codebook_type};
    if (!s->finer) {
        if (window || s->finer_frames || s->finer_rows || s->finer_columns)
            return (verdict){"finer stream", "one, with a window or a size", 0};
        return (verdict){0};
    }
    if (s->finer > count || s->finer == number)
        return (verdict){"finer stream", "the number of another stream of the item", s->finer};
    if (!grid_good(s->finer_frames, s->finer_rows, s->finer_columns))
        return (verdict){"frames x rows x columns of the finer stream", "1..2^26",
                         (uint64_t)s->finer_rows * s->finer_columns * s->finer_frames};
    if (!window) return (verdict){0};
    if (!w[0] || !w[1] || !w[2]) return (verdict){"window", "sides of 1 or more", 0};
    if (s->frames != pooled(s->finer_frames, w[0]) || s->rows != pooled(s->finer_rows, w[1]) ||
        s->columns != pooled(s->finer_columns, w[2]))
        return (verdict){"grid", "the finer one divided by the window, rounded up",
                         tsr_stream_cells(s)};
    return (verdict){0};
}

static tsr_status fail_verdict(tsr_context *ctx, tsr_status status, const char *label, verdict v) {
    return tsr_fail(ctx, status, "%s: %s: wanted %s, got %llu", label, v.field, v.wrong,
                    (unsigned long long)v.got);
}

/* A stream as it is written: texts that are NULL are empty. */
static tsr_token_stream with_texts(const tsr_token_stream *stream) {
    tsr_token_stream s = *stream;
    if (!s.name) s.name = "";
    if (!s.source) s.source = "";
    return s;
}

static tsr_status check_arrays(tsr_context *ctx, const char *label, const tsr_token_stream *s) {
    const bool window = s->window[0] != 0;
    const char *wrong = NULL;
    if (!s->ids)
        wrong = "ids: wanted some, got NULL";
    else if (!s->channels != !s->codebook)
        wrong = "codebook: wanted rows and channels or neither, got one of them";
    else if (!s->channels && (s->newline || s->gains))
        wrong = "newline and gains: wanted none without a codebook, got one";
    else if (s->finer && window == (s->map != NULL))
        wrong = "finer stream: wanted a window or a map, got both or neither";
    else if (!s->finer && s->map)
        wrong = "map: wanted a finer stream, got none";
    return wrong ? tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: %s", label, wrong) : TSR_OK;
}

/* The finer stream of streams[i] has the size that is said of it. */
static tsr_status agree(tsr_context *ctx, tsr_status status, const char *label,
                        const tsr_token_stream *s, const tsr_token_stream *finer) {
    if (s->finer_frames == finer->frames && s->finer_rows == finer->rows &&
        s->finer_columns == finer->columns)
        return TSR_OK;
    return tsr_fail(ctx, status, "%s: size of the finer stream: wanted %ux%ux%u, got %ux%ux%u",
                    label, finer->frames, finer->rows, finer->columns, s->finer_frames,
                    s->finer_rows, s->finer_columns);
}

tsr_status tsr_streams_check(tsr_context *ctx, const char *name, uint64_t item,
                             const tsr_token_stream *streams, uint32_t count) {
    char label[LABEL];
    if (count > TSR_MAX_STREAMS || (count && !streams))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: item %llu: streams: wanted at most %u, got %u", name,
                        (unsigned long long)item, TSR_MAX_STREAMS, count);
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_token_stream s = with_texts(&streams[i]);
        label_of(label, name, item, i + 1, name_good(s.name) ? s.name : "");
        const verdict v = judge(&s, i + 1, count, s.newline != NULL);
        if (v.wrong) return fail_verdict(ctx, TSR_ERROR_ARGUMENT, label, v);
        tsr_status status = check_arrays(ctx, label, &s);
        if (!status && s.finer)
            status = agree(ctx, TSR_ERROR_ARGUMENT, label, &s, &streams[s.finer - 1]);
        if (status) return status;
        for (uint32_t j = 0; j < i; ++j)
            if (!strcmp(with_texts(&streams[j]).name, s.name))
                return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                                "%s: name: wanted another than that of stream %u, got '%s'", label,
                                j + 1, s.name);
    }
    return TSR_OK;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_text(tsr_bytes *b, const char *text) {
    const size_t n = strlen(text);
    tsr_bytes_u8(b, (uint32_t)n);
    tsr_bytes_put(b, text, n);
}

static void put_fields(tsr_bytes *b, uint64_t item, uint32_t number, uint32_t count,
                       const tsr_token_stream *s) {
    tsr_bytes_varint(b, item);
    tsr_bytes_varint(b, number);
    tsr_bytes_varint(b, count);
    put_text(b, s->name);
    put_text(b, s->source);
    tsr_bytes_u64(b, s->weights_hash);
    tsr_bytes_u8(b, (s->channels ? HAS_CODEBOOK : 0) | (s->newline ? HAS_NEWLINE : 0) |
                        (s->gains ? HAS_GAINS : 0) |
                        (s->finer ? (s->map ? HAS_MAP : HAS_WINDOW) : 0));
    tsr_bytes_varint(b, s->frames);
    tsr_bytes_varint(b, s->rows);
    tsr_bytes_varint(b, s->columns);
    tsr_bytes_varint(b, s->codebook_size);
    if (s->channels) {
        tsr_bytes_varint(b, s->channels);
        tsr_bytes_u8(b, (uint32_t)s->codebook_type);
    }
    if (!s->finer) return;
    tsr_bytes_varint(b, s->finer);
    tsr_bytes_varint(b, s->finer_frames);
    tsr_bytes_varint(b, s->finer_rows);
    tsr_bytes_varint(b, s->finer_columns);
    for (int i = 0; i < 3 && !s->map; ++i)
        tsr_bytes_varint(b, s->window[i]);
}

tsr_status tsr_streams_put(tsr_stream_coder *coder, const char *name, uint64_t item,
                           const tsr_token_stream *streams, uint32_t count, bool entropy,
                           tsr_bytes *bytes) {
    char label[LABEL];
    tsr_status status = TSR_OK;
    for (uint32_t i = 0; i < count && !status; ++i) {
        const tsr_token_stream s = with_texts(&streams[i]);
        label_of(label, name, item, i + 1, s.name);
        const size_t chunk = tsr_bytes_chunk_start(bytes);
        put_fields(bytes, item, i + 1, count, &s);
        if (s.channels) status = tsr_stream_put_codebook(coder, label, &s, entropy, bytes);
        if (!status) status = tsr_stream_put_ids(coder, label, &s, entropy, bytes);
        if (!status && s.gains) status = tsr_stream_put_gains(coder, label, &s, entropy, bytes);
        if (!status && s.map) status = tsr_stream_put_map(coder, label, &s, entropy, bytes);
        if (!status) tsr_bytes_chunk_finish(bytes, chunk, TSR_TESS_STRM, TSR_TESS_CRITICAL);
    }
    return status;
}

/* ---- reading -------------------------------------------------------------------------------- */

/* Copies a text of at most `most` bytes; bad if it is longer or holds a zero byte. */
static void get_text(tsr_cursor *c, char *to, uint32_t most) {
    const uint32_t n = tsr_cursor_u8(c);
    const uint8_t *text = tsr_cursor_take(c, n);
    *to = 0;
    if (!text || n > most || memchr(text, 0, n)) {
        c->bad = true;
        return;
    }
    memcpy(to, text, n);
    to[n] = 0;
}

bool tsr_stream_probe(const uint8_t *payload, size_t size, uint64_t *item, uint32_t *number,
                      uint32_t *count, char name[TSR_STREAM_NAME + 1]) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    *item = tsr_cursor_varint(&c, UINT64_MAX);
    *number = (uint32_t)tsr_cursor_varint(&c, TSR_MAX_STREAMS);
    *count = (uint32_t)tsr_cursor_varint(&c, TSR_MAX_STREAMS);
    get_text(&c, name, TSR_STREAM_NAME);
    return !c.bad && *number > 0;
}

static void get_part(tsr_cursor *c, tsr_stream_fields *f, tsr_stream_part part) {
    const size_t size = (size_t)tsr_cursor_varint(c, tsr_cursor_left(c));
    f->part[part].coding = tsr_cursor_u8(c);
    const uint8_t *data = tsr_cursor_take(c, size);
    if (!data) return;
    f->part[part].there = true;
    f->part[part].data = (tsr_cursor){.at = data, .end = data + size};
}

static void get_fields(tsr_cursor *c, tsr_stream_fields *f, uint32_t flags) {
    tsr_token_stream *s = &f->stream;
    s->frames = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
    s->rows = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
    s->columns = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
    s->codebook_size = (uint32_t)tsr_cursor_varint(c, UINT32_MAX);
    if (flags & HAS_CODEBOOK) {
        s->channels = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CHANNELS);
        s->codebook_type = (tsr_codebook_type)tsr_cursor_u8(c);
        if (!s->channels) c->bad = true;
    }
    if (flags & (HAS_WINDOW | HAS_MAP)) {
        s->finer = (uint32_t)tsr_cursor_varint(c, TSR_MAX_STREAMS);
        s->finer_frames = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
        s->finer_rows = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
        s->finer_columns = (uint32_t)tsr_cursor_varint(c, TSR_STREAM_MAX_CELLS);
        if (!s->finer) c->bad = true;
    }
    for (int i = 0; i < 3 && flags & HAS_WINDOW; ++i) {
        s->window[i] = (uint32_t)tsr_cursor_varint(c, UINT32_MAX);
        if (!s->window[i]) c->bad = true;
    }
    if (flags & HAS_CODEBOOK) get_part(c, f, TSR_STREAM_CODEBOOK);
    get_part(c, f, TSR_STREAM_IDS);
    if (flags & HAS_GAINS) get_part(c, f, TSR_STREAM_GAINS);
    if (flags & HAS_MAP) get_part(c, f, TSR_STREAM_MAP);
    if (c->at != c->end) c->bad = true;
}

tsr_status tsr_stream_get(tsr_context *ctx, const char *name, const uint8_t *payload, size_t size,
                          tsr_stream_fields *f) {
    *f = (tsr_stream_fields){.stream = {.name = f->name, .source = f->source}};
    tsr_cursor c = {.at = payload, .end = payload + size};
    char label[LABEL];
    f->item = tsr_cursor_varint(&c, UINT64_MAX);
    f->number = (uint32_t)tsr_cursor_varint(&c, TSR_MAX_STREAMS);
    f->count = (uint32_t)tsr_cursor_varint(&c, TSR_MAX_STREAMS);
    get_text(&c, f->name, TSR_STREAM_NAME);
    get_text(&c, f->source, TSR_STREAM_SOURCE);
    label_of(label, name, f->item, f->number, name_good(f->name) ? f->name : "");
    const uint8_t *hash = tsr_cursor_take(&c, 8);
    const uint32_t flags = tsr_cursor_u8(&c);
    const bool alone = (flags & HAS_CODEBOOK) == 0 && (flags & (HAS_NEWLINE | HAS_GAINS)) != 0;
    const bool two_ways = (flags & HAS_WINDOW) != 0 && (flags & HAS_MAP) != 0;
    if (!c.bad && (flags > FLAGS || alone || two_ways))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: flags: wanted bits that go together, got %u",
                        label, flags);
    if (!c.bad) get_fields(&c, f, flags);
    if (c.bad || !f->number || f->number > f->count)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: fields of the stream: wanted numbers in range, up to the end of the "
                        "chunk, got others before byte %zu of %zu",
                        label, (size_t)(c.at - payload), size);
    f->stream.weights_hash = tsr_get_u64(hash);
    f->newline = (flags & HAS_NEWLINE) != 0;
    const verdict v = judge(&f->stream, f->number, f->count, f->newline);
    if (v.wrong) return fail_verdict(ctx, TSR_ERROR_FORMAT, label, v);
    uint64_t *const sizes[TSR_STREAM_PARTS] = {&f->stream.bytes.codebook, &f->stream.bytes.ids,
                                               &f->stream.bytes.gains, &f->stream.bytes.map};
    tsr_status s = TSR_OK;
    for (int i = 0; i < TSR_STREAM_PARTS && !s; ++i) {
        if (!f->part[i].there) continue;
        *sizes[i] = tsr_cursor_left(&f->part[i].data);
        s = tsr_stream_check_part(ctx, label, f, (tsr_stream_part)i);
    }
    f->stream.bytes.all = TSR_TESS_CHUNK_BYTES + size;
    return s;
}

tsr_status tsr_streams_agree(tsr_context *ctx, const char *name, const tsr_token_stream *streams,
                             uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_token_stream *s = &streams[i];
        if (!s->finer || s->finer > count) continue; /* lost behind damage */
        const tsr_status status = agree(ctx, TSR_ERROR_FORMAT, name, s, &streams[s->finer - 1]);
        if (status) return status;
    }
    return TSR_OK;
}
