/* SPDX-License-Identifier: MIT */
/* map_fit.c: a map beside the vocabulary of a model: whether it fits, and the ids of tokens that
 * the map knows by their text alone. */
#include "vocab_map.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct fitter {
    const tsr_vocab_map *map;
    const tsr_vocabulary *v;
    tsr_map_line_fn line;
    void *user;
    int failed, agreed; /* `agreed`: texts that were compared and are the map's */
} fitter;

static void tell(fitter *f, const char *what, int agrees, const char *format, ...) TSR_PRINTF(4, 5);
static void tell(fitter *f, const char *what, int agrees, const char *format, ...) {
    char text[600];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    f->failed += agrees == 0;
    if (f->line) f->line(f->user, what, agrees, text);
}

/* True when the token `id` is written so; *got is what it is, NULL for none. */
static bool same(const fitter *f, uint32_t id, const char *want, const char **got, size_t *size) {
    *got = f->v->text(f->v->user, id, size);
    return *got && *size == strlen(want) && !memcmp(*got, want, *size);
}

static void fit_special(fitter *f, const tsr_vocab_special *s) {
    char what[TSR_VOCAB_NAME + 16];
    const char *got;
    size_t size;
    snprintf(what, sizeof what, "special %s", s->name);
    if (s->id == TSR_NO_ID)
        tell(f, what, -1, "known by its text alone: \"%s\"", s->text);
    else if (f->v->count && s->id >= f->v->count)
        tell(f, what, 0, "wanted an id below %u, got %u", f->v->count, s->id);
    else if (!f->v->text)
        tell(f, what, -1, "the vocabulary has no texts");
    else if (!*s->text)
        tell(f, what, -1, "the map has no text for id %u", s->id);
    else if (same(f, s->id, s->text, &got, &size)) {
        ++f->agreed;
        tell(f, what, 1, "id %u is \"%s\"", s->id, s->text);
    } else
        tell(f, what, 0, "id %u: wanted \"%s\", got %s%.*s%s", s->id, s->text, got ? "\"" : "",
             got ? (int)(size < 80 ? size : 80) : 7, got ? got : "nothing", got ? "\"" : "");
}

static void fit_block(fitter *f, const tsr_vocab_block *b, bool all) {
    char what[TSR_VOCAB_NAME + 16], want[TSR_VOCAB_TEXT + 16];
    uint32_t compared = 0;
    snprintf(what, sizeof what, "block %s", b->name);
    const uint64_t end = (uint64_t)b->first_id + b->count;
    if (f->v->count && end > f->v->count) {
        tell(f, what, 0, "wanted ids below %u, got up to %llu", f->v->count,
             (unsigned long long)end - 1);
        return;
    }
    if (!f->v->text || !*b->text) {
        tell(f, what, -1, "%s",
             *b->text ? "the vocabulary has no texts" : "its codes have no text");
        return;
    }
    const uint32_t step = all || b->count < 16 ? 1 : b->count / 13;
    for (uint64_t k = 0; k < b->count;
         k = k + step < b->count || k + 1 == b->count ? k + step : b->count - 1) {
        const char *got;
        size_t size;
        const uint32_t code = b->first_code + (uint32_t)k, id = b->first_id + (uint32_t)k;
        tsr_vocab_code_text(b, code, want, sizeof want);
        if (!same(f, id, want, &got, &size)) {
            tell(f, what, 0, "id %u: wanted \"%s\", got %s%.*s%s", id, want, got ? "\"" : "",
                 got ? (int)(size < 80 ? size : 80) : 7, got ? got : "nothing", got ? "\"" : "");
            return;
        }
        ++compared;
    }
    ++f->agreed;
    tell(f, what, 1, "%u of %u codes are written as the map says", compared, b->count);
}

tsr_status tsr_vocab_map_check(tsr_context *ctx, const tsr_vocab_map *map,
                               const tsr_vocabulary *vocabulary, int all, tsr_map_line_fn line,
                               void *user, int *failed) {
    if (failed) *failed = 0;
    if (!map || !vocabulary || !failed)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_check: wanted map, vocabulary and failed, got NULL");
    const tsr_status status = tsr_vocab_has_layouts(ctx, map);
    if (status) return status;
    fitter f = {.map = map, .v = vocabulary, .line = line, .user = user};
    for (int i = 0; i < map->info.specials; ++i)
        fit_special(&f, &map->specials[i]);
    for (int i = 0; i < map->info.blocks; ++i)
        fit_block(&f, &map->blocks[i], all != 0);
    const uint32_t n = vocabulary->count;
    if (!n || !map->info.n_vocab)
        tell(&f, "n_vocab", -1, "not known %s", n ? "to the map" : "of the vocabulary");
    else if (n == map->info.n_vocab || n == map->info.n_input)
        tell(&f, "n_vocab", 1, "%u", n);
    else if (n > map->info.n_input && f.agreed && !f.failed)
        tell(&f, "n_vocab", 1, "wanted %u, got %u: filled up, as converters do; the texts agree",
             map->info.n_vocab, n);
    else
        tell(&f, "n_vocab", 0, "wanted %u, got %u", map->info.n_vocab, n);
    *failed = f.failed;
    return TSR_OK;
}

tsr_status tsr_vocab_map_resolve(tsr_context *ctx, tsr_vocab_map *map,
                                 const tsr_token_table *table) {
    if (!map || !table)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_resolve: wanted a map and a table, got NULL");
    tsr_vocab_map changed = *map;
    for (int i = 0; i < map->info.specials; ++i) {
        tsr_vocab_special *s = &changed.specials[i];
        if (s->id != TSR_NO_ID) continue;
        s->id = tsr_token_table_find(table, s->text, strlen(s->text));
        if (s->id == TSR_NO_ID)
            return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                            "map %s: special.%s: wanted \"%s\" in the tokenizer, got none",
                            map->name, s->name, s->text);
    }
    if (!changed.info.n_vocab)
        changed.info.n_vocab =
            tsr_token_table_vocabulary((tsr_token_table *)(uintptr_t)table).count;
    const tsr_status status = tsr_vocab_map_settle(ctx, map->name, &changed);
    if (status) return status;
    *map = changed;
    /* Texts of the info point into the map itself. */
    return tsr_vocab_map_settle(ctx, map->name, map);
}
