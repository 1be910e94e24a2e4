/* SPDX-License-Identifier: MIT */
/* token_file.c: the items of an open token file, and what else it answers. */
#include "token_reader.h"
#include "../checksum.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- one item --------------------------------------------------------------------------- */

typedef struct located {
    tsr_item_fields fields;
    tsr_cursor layers[TSR_TESS_MAX_LAYERS];
    uint32_t layer_count;
    tsr_cursor streams[TSR_MAX_STREAMS]; /* payloads of STRM */
    uint32_t stream_count, stream_total; /* found; that there are, 0: not known */
    const uint8_t *attributes;           /* payload of ATTR; NULL: none */
    size_t attributes_size;
    uint32_t
        distance;    /* of the item that the chain of this one begins with; 0: it is coded alone */
    tsr_status lost; /* of attributes that cannot be used */
    size_t lost_at;
} located;

/* Puts in front of what the coder said where it was. */
static tsr_status name_layer(tsr_token_file *f, uint64_t item, uint32_t layer, tsr_status status) {
    if (!status) return TSR_OK;
    snprintf(f->label, sizeof f->label, "%s", tsr_detail(f->ctx));
    return tsr_fail(f->ctx, status, "%s: item %llu, layer %u: %s", f->name,
                    (unsigned long long)item, layer, f->label);
}

static void lose_attributes(located *l, tsr_status status, size_t at) {
    if (l->lost) return;
    l->lost = status;
    l->lost_at = at;
}

/* Are all layers there, and the streams that are known of? */
static bool layers_whole(const tsr_token_file *f, const located *l) {
    return l->layer_count > 0 &&
           l->layer_count == tsr_layer_count(f->settings.layer_tokens, l->fields.most) &&
           l->stream_count == l->stream_total;
}

/* Are all chunks there that an item is decoded from? Attributes come behind them. How many streams
 * there are is said by the first of them. */
static bool item_whole(const tsr_token_file *f, const located *l) {
    return layers_whole(f, l) &&
           (f->info.version_minor < TSR_TESS_MINOR_STREAMS || l->stream_total);
}

static tsr_status locate_layer(tsr_token_file *f, uint64_t index, located *l, tsr_cursor c) {
    uint64_t item = tsr_cursor_varint(&c, UINT64_MAX), layer = tsr_cursor_varint(&c, 64);
    if (c.bad || l->attributes || l->stream_count || item != l->fields.number ||
        layer != l->layer_count || layer >= TSR_TESS_MAX_LAYERS)
        return tsr_fail(
            f->ctx, TSR_ERROR_FORMAT,
            "%s: item %llu: wanted layer %u of item %llu, got layer %llu of item %llu%s", f->name,
            (unsigned long long)index, l->layer_count, (unsigned long long)l->fields.number,
            (unsigned long long)layer, (unsigned long long)item,
            l->attributes     ? " behind the attributes"
            : l->stream_count ? " behind the streams"
                              : "");
    l->layers[l->layer_count++] = c;
    return TSR_OK;
}

static tsr_status locate_stream(tsr_token_file *f, uint64_t index, located *l, tsr_cursor c) {
    char name[TSR_STREAM_NAME + 1];
    uint64_t item = 0;
    uint32_t number = 0;
    const bool good =
        tsr_stream_probe(c.at, tsr_cursor_left(&c), &item, &number, &l->stream_total, name);
    if (!good || l->attributes || item != l->fields.number || number != l->stream_count + 1)
        return tsr_fail(
            f->ctx, TSR_ERROR_FORMAT,
            "%s: item %llu: wanted stream %u of item %llu, got stream %u of item %llu%s", f->name,
            (unsigned long long)index, l->stream_count + 1, (unsigned long long)l->fields.number,
            number, (unsigned long long)item, l->attributes ? " behind the attributes" : "");
    l->streams[l->stream_count++] = c;
    return TSR_OK;
}

/* Takes the chunk at *at of an item that ends at `end`, and moves *at behind it. */
static tsr_status locate_chunk(tsr_token_file *f, uint64_t index, tsr_item_memory *memory,
                               located *l, size_t *at, size_t end) {
    const size_t here = *at;
    const bool first = l->layer_count == 0;
    const uint8_t *payload = f->bytes + here + TSR_TESS_CHUNK_BYTES;
    tsr_chunk chunk;
    *at = end;
    if (!tsr_token_chunk_within(f, here, end, &chunk)) {
        /* Only attributes can stand there, and they cost themselves alone. */
        const bool named = end - here >= 4 && tsr_get_u32(f->bytes + here) == TSR_TESS_ATTR;
        const bool expected = f->info.version_minor >= TSR_TESS_MINOR_ATTRIBUTES;
        if ((expected && item_whole(f, l)) || (named && layers_whole(f, l))) {
            lose_attributes(l, TSR_ERROR_CHECKSUM, here);
            return TSR_OK;
        }
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                        "%s: item %llu: byte %zu: wanted a chunk, got damaged bytes", f->name,
                        (unsigned long long)index, here);
    }
    const bool known = tsr_chunk_known(&chunk);
    const bool attributes = known && !first && chunk.type == TSR_TESS_ATTR;
    if (!known && chunk.flags & TSR_TESS_CRITICAL) return tsr_token_unknown_critical(f, here);
    *at = here + TSR_TESS_CHUNK_BYTES + (size_t)chunk.size;
    if (!tsr_token_payload_good(f, here, &chunk)) {
        if (!attributes)
            return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                            "%s: item %llu: byte %zu: wanted checksum %08x, got %08x", f->name,
                            (unsigned long long)index, here, chunk.payload_crc,
                            tsr_crc32c(payload, (size_t)chunk.size));
        lose_attributes(l, TSR_ERROR_CHECKSUM, here);
        return TSR_OK;
    }
    if (first && known && chunk.type == TSR_TESS_PRED) {
        const tsr_status s = tsr_token_frame_fields(f, index, payload, (size_t)chunk.size, memory,
                                                    &l->fields, &l->distance);
        if (!s) l->layers[l->layer_count++] = l->fields.data;
        return s;
    }
    if (first != (chunk.type == TSR_TESS_ITEM))
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT,
                        "%s: item %llu: byte %zu: wanted %s, got \"%.4s\"", f->name,
                        (unsigned long long)index, here, first ? "an ITEM chunk" : "a LAYR chunk",
                        (const char *)f->bytes + here);
    if (first) {
        const tsr_status s = tsr_token_item_get(f->ctx, f->name, payload, (size_t)chunk.size,
                                                &f->header, memory, &l->fields);
        if (!s) l->layers[l->layer_count++] = l->fields.data;
        return s;
    }
    if (attributes && l->attributes) lose_attributes(l, TSR_ERROR_FORMAT, here);
    if (attributes) {
        l->attributes = payload;
        l->attributes_size = (size_t)chunk.size;
    } else if (known && chunk.type == TSR_TESS_STRM) {
        return locate_stream(f, index, l,
                             (tsr_cursor){.at = payload, .end = payload + (size_t)chunk.size});
    } else if (known && chunk.type != TSR_TESS_LAYR) {
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: item %llu: wanted LAYR chunks, got \"%.4s\"",
                        f->name, (unsigned long long)index, (const char *)f->bytes + here);
    } else if (known) {
        return locate_layer(f, index, l,
                            (tsr_cursor){.at = payload, .end = payload + (size_t)chunk.size});
    }
    return TSR_OK;
}

/* The attributes of an item that was found by scanning, which may lie behind damage. */
static void locate_scanned_attributes(tsr_token_file *f, size_t at, located *l) {
    tsr_chunk chunk;
    if (!tsr_token_chunk_within(f, at, f->size, &chunk) || !tsr_token_payload_good(f, at, &chunk)) {
        lose_attributes(l, TSR_ERROR_CHECKSUM, at);
        return;
    }
    l->attributes = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    l->attributes_size = (size_t)chunk.size;
}

/* Finds and checks the chunks of an item; counts are lowered to the layers that are there. */
static tsr_status locate(tsr_token_file *f, uint64_t index, tsr_item_memory *memory, located *l) {
    const unsigned long long number = index;
    tsr_token_entry e;
    tsr_status s = tsr_token_entry_at(f, index, &e);
    if (s) return s;
    const size_t end = (size_t)(e.offset + e.size);
    l->layer_count = l->stream_count = l->stream_total = l->distance = 0;
    l->attributes = NULL;
    l->lost = TSR_OK;
    for (size_t at = (size_t)e.offset; at < end && !s;)
        s = locate_chunk(f, index, memory, l, &at, end);
    if (s) return s;
    if (e.attributes_at) locate_scanned_attributes(f, (size_t)e.attributes_at, l);
    uint32_t wanted = tsr_layer_count(f->settings.layer_tokens, l->fields.most);
    if (l->layer_count > wanted || (l->layer_count < wanted && !f->info.recovered))
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: item %llu: layers: wanted %u, got %u",
                        f->name, number, wanted, l->layer_count);
    if (l->layer_count < wanted)
        tsr_item_fields_limit(&l->fields, memory, &f->header,
                              tsr_layer_end(f->settings.layer_tokens, l->layer_count - 1,
                                            tsr_token_positions(&f->header)));
    if (!f->info.recovered && (l->fields.number != index || l->fields.total != e.tokens))
        return tsr_fail(
            f->ctx, TSR_ERROR_FORMAT,
            "%s: item %llu: wanted number %llu with %llu ids as in the index, got number "
            "%llu with %llu",
            f->name, number, number, (unsigned long long)e.tokens,
            (unsigned long long)l->fields.number, (unsigned long long)l->fields.total);
    return TSR_OK;
}

/* ---- frames ----------------------------------------------------------------------------- */

static tsr_status decode_frame(tsr_token_file *f, uint64_t index, const located *l, uint32_t *ids) {
    tsr_frame_chain *c = &f->chain;
    const tsr_time_layout layout = tsr_frame_layout(&f->header, &l->fields.item);
    tsr_cursor data = l->layers[0];
    tsr_cursor_u8(&data);
    if (c->distance + 1 != l->distance || c->last + 1 != index)
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT,
                        "coded frame: wanted number %u of its chain, got %u", c->distance + 1,
                        l->distance);
    c->open = false;
    if (tsr_time_decode(&c->coder, &layout, data.at, tsr_cursor_left(&data), ids))
        return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "coded frame: wanted ids below %u, got another",
                        f->header.codebook_size);
    c->open = true;
    c->last = index;
    c->distance++;
    return TSR_OK;
}

/* Checks the only layer of an item of a chain. */
static tsr_status check_frame(tsr_token_file *f, const located *l) {
    tsr_tess_coding coding;
    const tsr_status s = tsr_token_coder_check(f->coder, l->layers[0], l->fields.total, &coding);
    if (s || coding == TSR_TESS_CODING_TIME) return s;
    return tsr_fail(f->ctx, TSR_ERROR_FORMAT, "coding of a frame: wanted 3, got %d", (int)coding);
}

/* Reads the item that a chain begins with, into the chain. */
static tsr_status begin_chain(tsr_token_file *f, uint64_t index) {
    tsr_frame_chain *c = &f->chain;
    tsr_item_memory *m = &c->memory;
    tsr_tess_coding coding;
    located l;
    c->open = c->learnt = false;
    tsr_status s = locate(f, index, m, &l);
    if (!s && l.distance)
        s = tsr_token_no_base(f, index, "an item that is coded alone, got another");
    if (!s) s = tsr_token_coder_check(f->coder, l.layers[0], l.fields.total, &coding);
    const size_t total = s ? 0 : (size_t)l.fields.total;
    if (!s) s = tsr_grow(f->ctx, &m->ids, &m->ids_room, total ? total : 1, sizeof *m->ids, "ids");
    if (s) return s;
    c->base = l.fields.item;
    const tsr_id_span span = {
        .lengths = m->counts, .tiles = c->base.tile_columns * c->base.tile_rows, .total = total};
    s = tsr_token_coder_get(f->coder, &span, l.layers[0], m->ids);
    if (!s) s = tsr_frame_chain_learn(f->ctx, c, &f->header);
    c->open = !s;
    c->last = index;
    c->distance = 0;
    return s;
}

/* Brings f->chain to the item before `index`, from where it is if that is on the way. */
static tsr_status follow_chain(tsr_token_file *f, uint64_t index, uint32_t distance) {
    tsr_frame_chain *c = &f->chain;
    tsr_item_memory *m = &f->frame;
    const uint64_t base = index - distance;
    const bool near =
        c->open && c->last >= base && c->last < index && c->last - c->distance == base;
    tsr_status s = near ? TSR_OK : begin_chain(f, base);
    while (!s && c->last + 1 < index) {
        located l;
        const uint64_t next = c->last + 1;
        s = locate(f, next, m, &l);
        if (!s && !l.distance) s = tsr_token_no_base(f, next, "a frame of a chain, got an item");
        if (!s) s = check_frame(f, &l);
        const size_t total = s ? 0 : (size_t)l.fields.total;
        if (!s)
            s = tsr_grow(f->ctx, &m->ids, &m->ids_room, total ? total : 1, sizeof *m->ids, "ids");
        if (!s) s = decode_frame(f, next, &l, m->ids);
    }
    return s;
}

/* Reads the ids of an item that is coded from others. */
static tsr_status read_frame(tsr_token_file *f, uint64_t index, const located *l) {
    tsr_status s = follow_chain(f, index, l->distance);
    if (s && s != TSR_ERROR_MEMORY) {
        snprintf(f->label, sizeof f->label, "%s", tsr_detail(f->ctx));
        return tsr_fail(f->ctx, s, "%s: item %llu: what it is coded from is damaged: %s", f->name,
                        (unsigned long long)index, f->label);
    }
    return s ? s : name_layer(f, index, 0, decode_frame(f, index, l, f->memory.ids));
}

static uint64_t layer_ids(const tsr_token_file *f, const tsr_token_item *item, uint32_t layer,
                          uint32_t *first, uint32_t *end) {
    uint32_t positions = tsr_token_positions(&f->header), step = f->settings.layer_tokens;
    uint32_t tiles = item->tile_columns * item->tile_rows;
    uint64_t total = 0;
    *first = layer ? tsr_layer_end(step, layer - 1, positions) : 0;
    *end = tsr_layer_end(step, layer, positions);
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t last = item->counts[t] < *end ? item->counts[t] : *end;
        total += last > *first ? last - *first : 0;
    }
    return total;
}

static tsr_status read_layer(tsr_token_file *f, const located *l, uint32_t layer) {
    tsr_item_memory *m = &f->memory;
    const tsr_token_item *item = &l->fields.item;
    uint32_t tiles = item->tile_columns * item->tile_rows, first, end;
    tsr_id_span span = {.lengths = m->counts, .tiles = tiles, .sequence = item->kept != NULL};
    span.total = layer_ids(f, item, layer, &first, &end);
    span.first = first;
    if (f->header.channels)
        return tsr_token_coder_get_latents(f->coder, span.total, l->layers[layer], m->latents);
    if (l->layer_count == 1 && end >= l->fields.most)
        return tsr_token_coder_get(f->coder, &span, l->layers[layer], m->ids);
    tsr_status s = tsr_grow(f->ctx, &m->lengths, &m->lengths_room, tiles, 4, "layer");
    if (!s) s = tsr_grow(f->ctx, &m->flat, &m->flat_room, (size_t)span.total, 4, "layer");
    if (s) return s;
    for (uint32_t t = 0; t < tiles; ++t) {
        uint32_t last = m->counts[t] < end ? m->counts[t] : end;
        m->lengths[t] = last > first ? last - first : 0;
    }
    span.lengths = m->lengths;
    s = tsr_token_coder_get(f->coder, &span, l->layers[layer], m->flat);
    if (s) return s;
    const uint32_t *from = m->flat;
    uint32_t *tile = m->ids;
    for (uint32_t t = 0; t < tiles; tile += m->counts[t++]) {
        if (m->lengths[t]) memcpy(tile + first, from, m->lengths[t] * sizeof *from);
        from += m->lengths[t];
    }
    return TSR_OK;
}

static tsr_status check_index(tsr_token_file *f, uint64_t index) {
    if (index < f->info.items) return TSR_OK;
    return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: item: wanted below %llu, got %llu", f->name,
                    (unsigned long long)f->info.items, (unsigned long long)index);
}

/* ---- streams ---------------------------------------------------------------------------- */

/* Reads stream `number` of item `index`, from its payload. */
static tsr_status read_stream(tsr_token_file *f, uint64_t index, const tsr_cursor *payload,
                              tsr_open_stream *open) {
    tsr_status s =
        tsr_stream_get(f->ctx, f->name, payload->at, tsr_cursor_left(payload), &open->fields);
    if (s) return s;
    snprintf(f->label, sizeof f->label, "%s: item %llu, stream %u%s%s%s", f->name,
             (unsigned long long)index, open->fields.number, *open->fields.name ? " (" : "",
             open->fields.name, *open->fields.name ? ")" : "");
    return tsr_stream_read(&f->stream_coder, f->label, &open->fields, &open->memory);
}

/* Reads all streams of a located item into f->stream_list. */
static tsr_status read_streams(tsr_token_file *f, uint64_t index, const located *l) {
    const size_t before = f->open_streams_room;
    const uint32_t count = l->stream_count;
    tsr_status s = tsr_grow(f->ctx, &f->open_streams, &f->open_streams_room, count,
                            sizeof *f->open_streams, "streams");
    if (!s && f->open_streams_room > before)
        memset(f->open_streams + before, 0,
               (f->open_streams_room - before) * sizeof *f->open_streams);
    if (!s)
        s = tsr_grow(f->ctx, &f->stream_list, &f->stream_list_room, count, sizeof *f->stream_list,
                     "streams");
    for (uint32_t i = 0; i < count && !s; ++i) {
        tsr_open_stream *o = &f->open_streams[i];
        s = read_stream(f, index, &l->streams[i], o);
        f->stream_list[i] = o->fields.stream;
        for (uint32_t j = 0; j < i && !s; ++j)
            if (!strcmp(f->open_streams[j].fields.name, o->fields.name))
                s = tsr_fail(f->ctx, TSR_ERROR_FORMAT,
                             "%s: item %llu: streams %u and %u: wanted names that differ, got '%s'",
                             f->name, (unsigned long long)index, j + 1, i + 1, o->fields.name);
        if (!s && o->fields.count != count && (!f->info.recovered || o->fields.count < count))
            s = tsr_fail(f->ctx, TSR_ERROR_FORMAT, "%s: item %llu: streams: wanted %u, got %u",
                         f->name, (unsigned long long)index, o->fields.count, count);
    }
    snprintf(f->label, sizeof f->label, "%s: item %llu", f->name, (unsigned long long)index);
    return s ? s : tsr_streams_agree(f->ctx, f->label, f->stream_list, count);
}

/* Payload of the stream called `name` among the chunks from `at` to `end`; false: it is not there.
 * Nothing is looked at but chunk headers and the beginnings of STRM payloads. */
static bool find_stream(const tsr_token_file *f, size_t at, size_t end, const char *name,
                        size_t *found, tsr_chunk *chunk) {
    for (; at < end && tsr_token_chunk_within(f, at, end, chunk);
         at += TSR_TESS_CHUNK_BYTES + (size_t)chunk->size) {
        char got[TSR_STREAM_NAME + 1];
        uint64_t item;
        uint32_t number, count;
        const size_t size =
            (size_t)chunk->size < TSR_STREAM_PROBE ? (size_t)chunk->size : TSR_STREAM_PROBE;
        *found = at;
        if (chunk->type == TSR_TESS_STRM && tsr_chunk_known(chunk) &&
            tsr_stream_probe(f->bytes + at + TSR_TESS_CHUNK_BYTES, size, &item, &number, &count,
                             got) &&
            !strcmp(got, name))
            return true;
    }
    return false;
}

/* Reads the attributes of a located item. Those that cannot be are noted. Errors: MEMORY. */
static tsr_status read_attributes(tsr_token_file *f, uint64_t index, located *l) {
    f->attributes.count = 0;
    if (l->lost) {
        snprintf(f->lost_text, sizeof f->lost_text,
                 "%s: item %llu: byte %zu: damaged attributes are left out", f->name,
                 (unsigned long long)index, l->lost_at);
    } else if (l->attributes) {
        const tsr_status s = tsr_attributes_get(f->ctx, f->name, l->attributes, l->attributes_size,
                                                l->fields.number + 1, &f->attributes);
        if (s == TSR_ERROR_MEMORY) return s;
        if (s) lose_attributes(l, s, (size_t)(l->attributes - f->bytes) - TSR_TESS_CHUNK_BYTES);
        if (s) snprintf(f->lost_text, sizeof f->lost_text, "%s", tsr_detail(f->ctx));
    }
    f->lost = l->lost;
    f->lost_at = l->lost_at;
    f->lost_item = index;
    return TSR_OK;
}

tsr_status tsr_token_file_item(tsr_token_file *f, uint64_t index, tsr_token_item *item) {
    if (!f || !item)
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: item: got NULL", f->name)
                 : TSR_ERROR_ARGUMENT;
    *item = (tsr_token_item){0};
    f->lost = TSR_OK;
    located l;
    tsr_status s = check_index(f, index);
    if (!s) s = locate(f, index, &f->memory, &l);
    /* First all layers are looked at, then memory is taken. */
    for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer) {
        uint32_t first, end;
        tsr_tess_coding coding;
        uint64_t total = layer_ids(f, &l.fields.item, layer, &first, &end);
        s = name_layer(f, index, layer,
                       l.distance
                           ? check_frame(f, &l)
                           : tsr_token_coder_check(f->coder, l.layers[layer], total, &coding));
    }
    size_t total = s ? 0 : (size_t)l.fields.total;
    const uint32_t channels = f->header.channels;
    if (!s && channels)
        s = tsr_grow(f->ctx, &f->memory.latents, &f->memory.latents_room,
                     total ? total * channels : 1, sizeof(float), "vectors");
    else if (!s)
        s = tsr_grow(f->ctx, &f->memory.ids, &f->memory.ids_room, total ? total : 1, 4, "ids");
    if (!s && l.distance)
        s = read_frame(f, index, &l);
    else
        for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer)
            s = name_layer(f, index, layer, read_layer(f, &l, layer));
    if (!s) s = read_streams(f, index, &l);
    if (!s) s = read_attributes(f, index, &l);
    if (s) return s;
    *item = l.fields.item;
    if (l.distance)
        tsr_token_item_seconds(f, index, &item->time); /* else that of the chain's first */
    item->streams = l.stream_count ? f->stream_list : NULL;
    item->stream_count = l.stream_count;
    if (channels)
        item->latents = f->memory.latents;
    else
        item->ids = f->memory.ids;
    item->attributes = f->attributes.count ? f->attributes.list : NULL;
    item->attribute_count = f->attributes.count;
    return TSR_OK;
}

tsr_status tsr_token_file_stream(tsr_token_file *f, uint64_t index, const char *name,
                                 tsr_token_stream *stream) {
    if (stream) *stream = (tsr_token_stream){0};
    if (!f || !name || !stream)
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: stream: got NULL", f->name)
                 : TSR_ERROR_ARGUMENT;
    tsr_token_entry e;
    tsr_chunk chunk;
    size_t at = 0;
    tsr_status s = check_index(f, index);
    if (!s) s = tsr_token_entry_at(f, index, &e);
    if (s) return s;
    if (!find_stream(f, (size_t)e.offset, (size_t)(e.offset + e.size), name, &at, &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_NOT_FOUND, "%s: item %llu: no stream is called '%.63s'",
                        f->name, (unsigned long long)index, name);
    if (!tsr_token_payload_good(f, at, &chunk))
        return tsr_fail(f->ctx, TSR_ERROR_CHECKSUM,
                        "%s: item %llu: stream '%s': wanted checksum %08x, got another", f->name,
                        (unsigned long long)index, name, chunk.payload_crc);
    const uint8_t *payload = f->bytes + at + TSR_TESS_CHUNK_BYTES;
    s = read_stream(f, index, &(tsr_cursor){.at = payload, .end = payload + (size_t)chunk.size},
                    &f->asked);
    if (!s) *stream = f->asked.fields.stream;
    return s;
}

int tsr_token_file_item_lost(const tsr_token_file *f, tsr_token_damage *damage) {
    if (!f || !f->lost) return 0;
    if (damage)
        *damage = (tsr_token_damage){.item = f->lost_item,
                                     .offset = f->lost_at,
                                     .status = f->lost,
                                     .detail = f->lost_text,
                                     .attributes = 1};
    return 1;
}

tsr_status tsr_token_file_item_storage(tsr_token_file *f, uint64_t index, uint64_t *bytes,
                                       const char **coding) {
    static const char *const names[] = {"raw", "zstd", "range", "time"};
    if (!f) return TSR_ERROR_ARGUMENT;
    located l;
    tsr_status s = check_index(f, index);
    if (!s) s = locate(f, index, &f->probe, &l);
    const char *name = NULL;
    for (uint32_t layer = 0; !s && layer < l.layer_count; ++layer) {
        uint32_t first, end;
        tsr_tess_coding got;
        uint64_t total = layer_ids(f, &l.fields.item, layer, &first, &end);
        s = name_layer(f, index, layer,
                       tsr_token_coder_check(f->coder, l.layers[layer], total, &got));
        if (!s) name = !name || name == names[got] ? names[got] : "mixed";
    }
    if (s) return s;
    tsr_token_entry e;
    if ((s = tsr_token_entry_at(f, index, &e))) return s;
    if (e.attributes_at) e.size += TSR_TESS_CHUNK_BYTES + l.attributes_size;
    if (bytes) *bytes = e.size;
    if (coding) *coding = name;
    return TSR_OK;
}

tsr_status tsr_token_file_item_key(tsr_token_file *f, uint64_t index, const char **key) {
    located l;
    tsr_status s = locate(f, index, &f->probe, &l);
    *key = s ? NULL : f->probe.key;
    return s;
}

void tsr_token_file_item_damage(const tsr_token_file *f, uint64_t index, tsr_status status,
                                tsr_token_damage *damage) {
    *damage = (tsr_token_damage){.item = index,
                                 .offset = tsr_token_file_item_offset(f, index),
                                 .status = status,
                                 .detail = tsr_detail(f->ctx)};
}

tsr_status tsr_token_file_damage(tsr_token_file *f, int index, tsr_token_damage *damage) {
    if (!f) return TSR_ERROR_ARGUMENT;
    if (!damage || index < 0 || index >= f->info.damaged)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: damage: wanted 0 to %d, got %d", f->name,
                        f->info.damaged - 1, index);
    const tsr_left_out *p = &f->damage[index];
    snprintf(f->label, sizeof f->label, "%s: byte %llu: %s", f->name, (unsigned long long)p->offset,
             p->what);
    *damage = (tsr_token_damage){
        .item = TSR_NO_ITEM, .offset = p->offset, .status = p->status, .detail = f->label};
    return TSR_OK;
}

/* ---- open and close --------------------------------------------------------------------- */

static tsr_status open_named(tsr_context *ctx, tsr_token_file **file, const char *name) {
    tsr_token_file *f = *file = tsr_alloc(ctx, 1, sizeof *f, "token file");
    if (!f) return TSR_ERROR_MEMORY;
    f->ctx = f->stream_coder.ctx = ctx;
    f->name = strdup(strcmp(name, "-") == 0 ? "standard input" : name);
    if (f->name) return TSR_OK;
    tsr_token_file_close(file);
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", name);
}

tsr_status tsr_token_file_open(tsr_context *ctx, tsr_token_file **file, const char *path) {
    if (file) *file = NULL;
    if (!file || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token file: wanted an address and a path, got NULL");
    tsr_token_file *f;
    tsr_status s = open_named(ctx, &f, path);
    if (s) return s;
    s = tsr_map_open(ctx, path, &f->map);
    if (!s) {
        f->mapped = true;
        f->bytes = f->map.bytes;
        f->size = f->map.size;
        s = tsr_token_file_read_all(f);
    }
    if (s) tsr_token_file_close(&f);
    *file = f;
    return s;
}

tsr_status tsr_token_file_parse(tsr_context *ctx, tsr_token_file **file, const char *name,
                                const void *bytes, size_t size) {
    if (file) *file = NULL;
    if (!file || (!bytes && size))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token file: wanted an address and bytes, got NULL");
    tsr_token_file *f;
    tsr_status s = open_named(ctx, &f, name ? name : "token file in memory");
    if (s) return s;
    f->bytes = bytes ? bytes : (const uint8_t *)"";
    f->size = size;
    s = tsr_token_file_read_all(f);
    if (s) tsr_token_file_close(&f);
    *file = f;
    return s;
}

void tsr_token_file_close(tsr_token_file **file) {
    if (!file || !*file) return;
    tsr_token_file *f = *file;
    if (f->mapped) tsr_map_close(&f->map);
    tsr_token_coder_close(&f->coder);
    tsr_item_memory_free(&f->memory);
    tsr_item_memory_free(&f->probe);
    tsr_attribute_memory_free(&f->attributes);
    tsr_attribute_memory_free(&f->own);
    for (size_t i = 0; i < f->open_streams_room; ++i)
        tsr_stream_memory_free(&f->open_streams[i].memory);
    tsr_stream_memory_free(&f->asked.memory);
    tsr_stream_coder_free(&f->stream_coder);
    tsr_clip_times_free(&f->clip.times);
    tsr_frame_chain_free(&f->chain);
    tsr_item_memory_free(&f->frame);
    free(f->clips);
    free(f->open_streams);
    free(f->stream_list);
    free(f->checkpoints);
    free(f->entries);
    free(f->damage);
    free(f->name);
    free(f);
    *file = NULL;
}

const tsr_token_header *tsr_token_file_header(const tsr_token_file *f) {
    return &f->header;
}

const tsr_token_file_info *tsr_token_file_properties(const tsr_token_file *f) {
    return &f->info;
}

const tsr_attribute *tsr_token_file_attributes(const tsr_token_file *f, uint32_t *count) {
    if (count) *count = f->own.count;
    return f->own.count ? f->own.list : NULL;
}

const tsr_token_writer_settings *tsr_token_file_settings(const tsr_token_file *f) {
    return &f->settings;
}

tsr_context *tsr_token_file_context(const tsr_token_file *f) {
    return f->ctx;
}
