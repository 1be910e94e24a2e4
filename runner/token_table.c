/* SPDX-License-Identifier: MIT */
/* token_table.c: texts and ids of a tokenizer.json, of a config.json with a vocabulary_map, or of a
 * GGUF file. JSON is read value by value; entries are sorted by id and by text, and looked up by
 * halving. */
#include "../formats/json_text.h"
#include "gguf.h"
#include "vocab_map.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_BYTES = 256 << 20, MOST_ENTRIES = 1 << 24 };

typedef struct entry {
    uint32_t id;
    bool added;      /* found in text before anything else is: an added or a special token */
    size_t at, size; /* of its text, behind which a zero byte stands */
} entry;

struct tsr_token_table {
    tsr_bytes texts;
    entry *by_id, *by_text; /* [count] */
    size_t count, room;
    uint32_t vocab_size; /* that the config states; 0: none */
    size_t longest;      /* bytes of the longest added token */
};

typedef struct reader {
    tsr_context *ctx;
    const char *name;
    tsr_json j;
    tsr_token_table *t;
    bool several; /* a text may belong to several ids: the first is found */
    tsr_status status;
} reader;

static void refuse(reader *r, tsr_status status, const char *what) {
    if (!r->status && !r->j.wrong)
        r->status =
            status ? status : tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%.300s: %s", r->name, what);
    tsr_json_wrong(&r->j, "nothing more");
}

static void add(reader *r, const char *text, size_t size, uint64_t id, bool added) {
    tsr_token_table *t = r->t;
    if (r->j.wrong || r->status) return;
    if (id > TSR_VOCAB_MOST_N || t->count >= MOST_ENTRIES) {
        refuse(r, TSR_OK, "ids: wanted at most 2^28, and 2^24 tokens, got more");
        return;
    }
    const tsr_status status =
        tsr_grow(r->ctx, &t->by_id, &t->room, t->count + 1, sizeof *t->by_id, "tokens of a table");
    if (status) {
        refuse(r, status, "");
        return;
    }
    t->by_id[t->count++] = (entry){(uint32_t)id, added, t->texts.size, size};
    if (added && size > t->longest) t->longest = size;
    tsr_bytes_put(&t->texts, text, size);
    tsr_bytes_u8(&t->texts, 0);
}

/* {"text": id, ...} */
static void read_pairs(reader *r, bool added) {
    const char *name;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &name)) {
        char *copy = strdup(name);
        if (!copy) {
            refuse(r, tsr_fail(r->ctx, TSR_ERROR_MEMORY, "no memory for a token's text"), "");
            return;
        }
        const uint64_t id = tsr_json_unsigned(&r->j);
        add(r, copy, strlen(copy), id, added);
        free(copy);
    }
}

/* [["text", score], ...]: a token's id is its place. */
static void read_scored(reader *r) {
    uint64_t id = 0;
    if (!tsr_json_enter(&r->j, '[')) return;
    for (; tsr_json_element(&r->j); ++id) {
        size_t size;
        if (!tsr_json_enter(&r->j, '[')) return;
        for (int k = 0; tsr_json_element(&r->j); ++k)
            if (k == 0) {
                const char *text = tsr_json_string(&r->j, &size);
                add(r, text, size, id, false);
            } else {
                tsr_json_skip(&r->j);
            }
    }
}

static void read_added(reader *r) {
    const char *name;
    if (!tsr_json_enter(&r->j, '[')) return;
    while (tsr_json_element(&r->j)) {
        tsr_bytes text = {0};
        uint64_t id = UINT64_MAX;
        if (!tsr_json_enter(&r->j, '{')) return;
        while (tsr_json_member(&r->j, &name))
            if (!strcmp(name, "id")) {
                id = tsr_json_unsigned(&r->j);
            } else if (!strcmp(name, "content")) {
                size_t size;
                const char *got = tsr_json_string(&r->j, &size);
                text.size = 0;
                tsr_bytes_put(&text, got, size);
            } else {
                tsr_json_skip(&r->j);
            }
        if (id != UINT64_MAX && text.size)
            add(r, (const char *)text.at, text.size, id, true);
        else
            refuse(r, TSR_OK, "added_tokens: wanted an id and a content, got not both");
        tsr_bytes_free(&text);
    }
}

static void read_model(reader *r) {
    const char *name;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &name))
        if (strcmp(name, "vocab") != 0)
            tsr_json_skip(&r->j);
        else if (tsr_json_peek(&r->j) == '[')
            read_scored(r);
        else
            read_pairs(r, false);
}

static void read_vocab_size(reader *r) {
    const uint64_t n = tsr_json_unsigned(&r->j);
    if (n > TSR_VOCAB_MOST_N) refuse(r, TSR_OK, "vocab_size: wanted at most 2^28, got more");
    if (n > r->t->vocab_size) r->t->vocab_size = (uint32_t)n;
}

static void read_top(reader *r) {
    const char *name, *inner;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &name))
        if (!strcmp(name, "added_tokens"))
            read_added(r);
        else if (!strcmp(name, "vocabulary_map") && tsr_json_peek(&r->j) == '{')
            read_pairs(r, true);
        else if (!strcmp(name, "model") && tsr_json_peek(&r->j) == '{')
            read_model(r);
        else if (!strcmp(name, "vocab_size") && tsr_json_peek(&r->j) == '0')
            read_vocab_size(r);
        else if (!strcmp(name, "text_config") && tsr_json_peek(&r->j) == '{') {
            tsr_json_enter(&r->j, '{');
            while (tsr_json_member(&r->j, &inner))
                if (!strcmp(inner, "vocab_size") && tsr_json_peek(&r->j) == '0')
                    read_vocab_size(r);
                else
                    tsr_json_skip(&r->j);
        } else
            tsr_json_skip(&r->j);
}

/* ---- order ---- */

static int compare_ids(const void *a, const void *b) {
    const entry *x = a, *y = b;
    return x->id != y->id ? (x->id < y->id ? -1 : 1) : (x->at > y->at) - (x->at < y->at);
}

static int compare_text(const char *a, size_t a_size, const char *b, size_t b_size) {
    const size_t least = a_size < b_size ? a_size : b_size;
    const int order = least ? memcmp(a, b, least) : 0;
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_entries(const void *a, const void *b, void *table) {
    const entry *x = a, *y = b;
    const char *texts = (const char *)((const tsr_token_table *)table)->texts.at;
    return compare_text(texts + x->at, x->size, texts + y->at, y->size);
}

/* Sorts both ways, drops entries that came twice, and refuses those that disagree. */
static tsr_status sort(reader *r) {
    tsr_token_table *t = r->t;
    const char *texts = (const char *)t->texts.at;
    size_t kept = 0;
    if (!t->count)
        return tsr_fail(
            r->ctx, TSR_ERROR_FORMAT,
            "%.300s: wanted a tokenizer.json with added_tokens, or a config.json with a "
            "vocabulary_map, got no token",
            r->name);
    qsort(t->by_id, t->count, sizeof *t->by_id, compare_ids);
    for (size_t i = 0; i < t->count; ++i) {
        const entry *e = &t->by_id[i], *last = kept ? &t->by_id[kept - 1] : NULL;
        const bool same = last && last->id == e->id;
        if (same && compare_text(texts + last->at, last->size, texts + e->at, e->size) != 0)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%.300s: id %u: wanted one text, got \"%.80s\" and \"%.80s\"", r->name,
                            e->id, texts + last->at, texts + e->at);
        if (same)
            t->by_id[kept - 1].added |= e->added;
        else
            t->by_id[kept++] = *e;
    }
    t->count = kept;
    t->by_text = tsr_alloc_raw(r->ctx, t->count, sizeof *t->by_text, "tokens of a table");
    if (!t->by_text) return TSR_ERROR_MEMORY;
    memcpy(t->by_text, t->by_id, t->count * sizeof *t->by_text);
    qsort_r(t->by_text, t->count, sizeof *t->by_text, compare_entries, t);
    for (size_t i = 1; i < t->count && !r->several; ++i)
        if (!compare_entries(&t->by_text[i - 1], &t->by_text[i], t))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%.300s: token \"%.80s\": wanted one id, got %u and %u", r->name,
                            texts + t->by_text[i].at, t->by_text[i - 1].id, t->by_text[i].id);
    return TSR_OK;
}

/* The entries of a table: sorted, or gone after a failure. */
static tsr_status finish(reader *r, tsr_token_table **table) {
    if (!r->status && r->t->texts.failed)
        r->status = tsr_fail(r->ctx, TSR_ERROR_MEMORY, "no memory for the texts of tokens");
    if (!r->status) r->status = sort(r);
    if (r->status)
        tsr_token_table_close(&r->t);
    else
        *table = r->t;
    return r->status;
}

/* The vocabulary of a GGUF file. */
static tsr_status read_gguf(tsr_context *ctx, const char *path, tsr_token_table **table) {
    tsr_gguf *file;
    reader r = {.ctx = ctx, .name = path, .several = true};
    r.status = tsr_gguf_open(ctx, path, &file);
    if (r.status) return r.status;
    r.t = tsr_alloc(ctx, 1, sizeof *r.t, "token table");
    if (!r.t) r.status = TSR_ERROR_MEMORY;
    for (int32_t id = 0; id < tsr_gguf_n_vocab(file) && !r.status; ++id) {
        size_t size;
        const char *piece = tsr_gguf_piece(file, id, &size);
        const tsr_gguf_piece_type type = tsr_gguf_piece_type_of(file, id);
        if (piece)
            add(&r, piece, size, (uint64_t)id,
                type == TSR_GGUF_PIECE_CONTROL || type == TSR_GGUF_PIECE_USER_DEFINED);
    }
    tsr_gguf_close(&file);
    return finish(&r, table);
}

tsr_status tsr_token_table_parse(tsr_context *ctx, const char *name, const void *text, size_t size,
                                 tsr_token_table **table) {
    if (table) *table = NULL;
    if (!table || !name || (!text && size))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_token_table_parse: wanted name, text and table, got NULL");
    if (size > MOST_BYTES)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%.300s: wanted at most %d bytes, got %zu", name,
                        MOST_BYTES, size);
    reader r = {.ctx = ctx, .name = name, .j = tsr_json_start(text, size)};
    r.t = tsr_alloc(ctx, 1, sizeof *r.t, "token table");
    if (!r.t) return TSR_ERROR_MEMORY;
    read_top(&r);
    if (tsr_json_finish(&r.j) && !r.status) r.status = tsr_json_failed(ctx, name, &r.j);
    tsr_json_free(&r.j);
    return finish(&r, table);
}

tsr_status tsr_token_table_open(tsr_context *ctx, const char *path, tsr_token_table **table) {
    tsr_map map;
    if (table) *table = NULL;
    if (!table || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_token_table_open: wanted a path and a table, got NULL");
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    const bool gguf = map.size >= 4 && !memcmp(map.bytes, "GGUF", 4);
    if (!gguf) status = tsr_token_table_parse(ctx, path, map.bytes, map.size, table);
    tsr_map_close(&map);
    return gguf ? read_gguf(ctx, path, table) : status;
}

void tsr_token_table_close(tsr_token_table **table) {
    if (!table || !*table) return;
    free((*table)->by_id);
    free((*table)->by_text);
    tsr_bytes_free(&(*table)->texts);
    free(*table);
    *table = NULL;
}

static const char *text_of(void *user, uint32_t id, size_t *size) {
    const tsr_token_table *t = user;
    size_t low = 0, high = t->count;
    *size = 0;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (t->by_id[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == t->count || t->by_id[low].id != id) return NULL;
    *size = t->by_id[low].size;
    return (const char *)t->texts.at + t->by_id[low].at;
}

tsr_vocabulary tsr_token_table_vocabulary(tsr_token_table *table) {
    const uint32_t most = table->by_id[table->count - 1].id + 1;
    return (tsr_vocabulary){.count = table->vocab_size > most ? table->vocab_size : most,
                            .text = text_of,
                            .user = table};
}

/* The entry of a text, or NULL; of equal texts (GGUF) any. */
static const entry *find(const tsr_token_table *t, const char *text, size_t size) {
    const char *texts = (const char *)t->texts.at;
    size_t low = 0, high = t->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const entry *e = &t->by_text[middle];
        const int order = compare_text(texts + e->at, e->size, text, size);
        if (!order) return e;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

uint32_t tsr_token_table_find(const tsr_token_table *t, const char *text, size_t size) {
    const entry *e = find(t, text, size);
    return e ? e->id : TSR_NO_ID;
}

tsr_status tsr_token_table_ids(tsr_context *ctx, const tsr_token_table *t, const char *text,
                               uint32_t **ids, uint64_t *count) {
    if (ids) *ids = NULL;
    if (!t || !text || !ids || !count)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_token_table_ids: wanted table, text, ids and count, got NULL");
    const size_t size = strlen(text);
    uint32_t *out = tsr_alloc_raw(ctx, size + 1, sizeof *out, "ids of a text");
    if (!out) return TSR_ERROR_MEMORY;
    *count = 0;
    for (size_t at = 0; at < size;) {
        size_t length = size - at < t->longest ? size - at : t->longest;
        const entry *e = NULL;
        for (; length && !e; --length) { /* the longest one */
            e = find(t, text + at, length);
            if (e && !e->added) e = NULL;
        }
        if (!e) {
            free(out);
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "text \"%.60s\": wanted added or special tokens alone, got other text "
                            "at byte %zu: only the model's own tokenizer can say its ids (its "
                            "server, or ids given)",
                            text, at);
        }
        out[(*count)++] = e->id;
        at += e->size;
    }
    *ids = out;
    return TSR_OK;
}
