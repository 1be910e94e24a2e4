/* SPDX-License-Identifier: MIT */
/* prompt_build.c: a template, pictures and texts to a prompt. Parts are walked once; what a part
 * writes goes through put_token, so that ids and strings are laid out by the same lines. */
#include "../formats/tokens/token_layout.h"
#include "vocab_map.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct piece {
    uint64_t first, count; /* ids; of text: its place among the texts, SIZE_MAX */
    bool is_text;
    size_t at; /* of a text in `texts` */
} piece;

struct tsr_prompt {
    uint32_t *ids;
    uint64_t count;
    size_t room;
    tsr_bytes string; /* of TSR_PROMPT_STRING, with a zero byte that is not counted */
    tsr_bytes texts;  /* texts of pieces, each with its zero byte */
    piece *pieces;
    size_t piece_count, piece_room;
    tsr_prompt_run *runs;
    size_t run_count, run_room;
};

typedef struct builder {
    tsr_context *ctx;
    const tsr_vocab_map *map;
    const tsr_prompt_settings *s;
    const tsr_vocab_template *t;
    tsr_prompt *p;
    int picture;   /* the next one */
    uint64_t used; /* texts that had a place: one bit each */
    bool in_field;
    uint64_t field_text; /* ids of text that the field has room for */
    tsr_status status;
} builder;

#define FAIL(b, ...) ((b)->status = (b)->status ? (b)->status : tsr_fail((b)->ctx, __VA_ARGS__))

/* Room for `count` more ids. */
static uint32_t *more_ids(builder *b, uint64_t count) {
    tsr_prompt *p = b->p;
    if (b->status) return NULL;
    if (p->count + count > TSR_VOCAB_MOST_IDS) {
        FAIL(b, TSR_ERROR_TOO_LARGE, "prompt: wanted at most %d ids, got more", TSR_VOCAB_MOST_IDS);
        return NULL;
    }
    b->status = tsr_grow(b->ctx, &p->ids, &p->room, (size_t)(p->count + count), sizeof *p->ids,
                         "ids of a prompt");
    return b->status ? NULL : p->ids + p->count;
}

/* Notes that `count` ids were written behind the others. */
static void wrote_ids(builder *b, uint64_t count) {
    tsr_prompt *p = b->p;
    piece *last = p->piece_count ? &p->pieces[p->piece_count - 1] : NULL;
    if (last && !last->is_text) {
        last->count += count;
    } else if (count) {
        b->status = tsr_grow(b->ctx, &p->pieces, &p->piece_room, p->piece_count + 1,
                             sizeof *p->pieces, "pieces of a prompt");
        if (!b->status) p->pieces[p->piece_count++] = (piece){.first = p->count, .count = count};
    }
    p->count += count;
}

static void put_id(builder *b, uint32_t id) {
    uint32_t *to = more_ids(b, 1);
    if (!to) return;
    *to = id;
    wrote_ids(b, 1);
}

static void put_special(builder *b, int index) {
    if (index < 0 || b->status) return;
    const tsr_vocab_special *s = &b->map->specials[index];
    if (b->s->form == TSR_PROMPT_STRING) {
        if (!*s->text)
            FAIL(b, TSR_ERROR_UNSUPPORTED,
                 "map %s: special.%s: no text, so a string cannot hold it", b->map->name, s->name);
        else
            tsr_bytes_put(&b->p->string, s->text, strlen(s->text));
    } else if (s->id == TSR_NO_ID) {
        FAIL(b, TSR_ERROR_UNSUPPORTED,
             "map %s: special.%s: no id is known for \"%s\": give the model's tokenizer.json, or "
             "make "
             "a string",
             b->map->name, s->name, s->text);
    } else {
        put_id(b, s->id);
    }
}

/* ---- text ---- */

static void put_plain(builder *b, const tsr_prompt_text *text) {
    tsr_prompt *p = b->p;
    const size_t size = strlen(text->text);
    if (b->s->form == TSR_PROMPT_STRING) {
        tsr_bytes_put(&p->string, text->text, size);
        return;
    }
    if (b->s->form != TSR_PROMPT_MIXED || b->in_field) {
        FAIL(b, TSR_ERROR_UNSUPPORTED,
             "text %.60s: wanted ids%s, got text: a map cuts no text into tokens, the model's "
             "server "
             "does",
             text->key, b->in_field ? ", since it is filled up to a length" : "");
        return;
    }
    if (!size) return;
    b->status = tsr_grow(b->ctx, &p->pieces, &p->piece_room, p->piece_count + 1, sizeof *p->pieces,
                         "pieces of a prompt");
    if (b->status) return;
    p->pieces[p->piece_count++] = (piece){.is_text = true, .at = p->texts.size};
    tsr_bytes_put(&p->texts, text->text, size + 1);
}

static void put_text(builder *b, const tsr_vocab_part *part) {
    for (int i = 0; i < b->s->text_count && !b->status; ++i) {
        const tsr_prompt_text *text = &b->s->texts[i];
        if (strcmp(text->key, part->name) != 0) continue;
        b->used |= (uint64_t)1 << i;
        if (text->text && (b->s->form == TSR_PROMPT_STRING || !text->ids)) {
            put_plain(b, text);
            return;
        }
        if (b->s->form == TSR_PROMPT_STRING) {
            FAIL(b, TSR_ERROR_UNSUPPORTED, "text %.60s: wanted text for a string, got ids",
                 text->key);
            return;
        }
        uint64_t count = text->ids ? text->count : 0;
        if (b->in_field && count > b->field_text) count = b->field_text;
        uint32_t *to = more_ids(b, count);
        for (uint64_t k = 0; k < count && to; ++k) {
            to[k] = text->ids[k];
            if (b->map->info.n_input && b->map->info.kind != TSR_MAP_OWN &&
                to[k] >= b->map->info.n_input)
                FAIL(b, TSR_ERROR_TOKENS, "text %.60s: id %llu: wanted one below %u, got %u",
                     text->key, (unsigned long long)k, b->map->info.n_input, to[k]);
        }
        if (to && !b->status) wrote_ids(b, count);
        return;
    }
    FAIL(b, TSR_ERROR_NOT_FOUND, "template %s of map %s: wanted text %s, got none", b->t->name,
         b->map->name, part->name);
}

/* ---- pictures ---- */

/* Fails unless codes fit a layout. */
static void check_codes(builder *b, const tsr_vocab_picture *p, const tsr_codes *c) {
    const tsr_vocab_block *block = &b->map->blocks[p->block];
    const uint32_t frames = c->frames ? c->frames : 1, rows = c->rows ? c->rows : 1;
    char wants[256];
    tsr_vocab_allowed_text(p, wants, sizeof wants);
    if (c->codebook_size && c->codebook_size != block->count) {
        FAIL(b, TSR_ERROR_TOKENS,
             "picture %d: codebook: map %s wants %u codes%s%s, got those of a tokenizer of %u",
             b->picture + 1, b->map->name, block->count, *b->map->families ? " of family " : "",
             b->map->families, c->codebook_size);
        return;
    }
    const bool grid = c->geometry == TSR_GEOMETRY_GRID;
    if ((p->geometry == TSR_MAP_GRID && !grid) || (p->geometry == TSR_MAP_SEQUENCE && grid) ||
        (p->geometry != TSR_MAP_KEPT && c->kept)) {
        FAIL(b, TSR_ERROR_TOKENS, "picture %d: geometry: map %s wants %s, got %s", b->picture + 1,
             b->map->name, wants,
             c->kept ? "the kept codes of a grid"
             : grid  ? "a grid"
                     : "a sequence of a 1-D tokenizer");
        return;
    }
    const uint64_t count = (uint64_t)frames * rows * c->columns;
    if (p->geometry == TSR_MAP_GRID
            ? !tsr_vocab_grid_allowed(p, frames, rows, c->columns)
            : p->most_codes && (count < p->least_codes || count > p->most_codes))
        FAIL(b, TSR_ERROR_TOKENS, "picture %d: layout %s of map %s: wanted %s, got %u x %u x %u",
             b->picture + 1, p->name, b->map->name, wants, frames, rows, c->columns);
}

static void put_size(builder *b, const tsr_vocab_picture *p, const tsr_codes *c) {
    char text[32];
    if (p->size == TSR_MAP_SIZE_NONE) return;
    const uint32_t rows = c->rows ? c->rows : 1;
    if (p->size == TSR_MAP_SIZE_GRID) {
        const tsr_vocab_special *base = &b->map->specials[p->size_base];
        const uint64_t most =
            (uint64_t)base->id + (rows > c->columns ? rows : c->columns) / p->size_unit;
        if (b->s->form == TSR_PROMPT_STRING)
            FAIL(b, TSR_ERROR_UNSUPPORTED,
                 "map %s: the ids of sizes have no text, so a string cannot hold them",
                 b->map->name);
        else if (b->map->info.n_input && most >= b->map->info.n_input)
            FAIL(b, TSR_ERROR_TOKENS, "picture %d: map %s has no id for %u x %u codes",
                 b->picture + 1, b->map->name, rows, c->columns);
        put_id(b, base->id + rows / p->size_unit);
        put_id(b, base->id + c->columns / p->size_unit);
        return;
    }
    snprintf(text, sizeof text, "%u*%u", rows, c->columns);
    if (b->s->form == TSR_PROMPT_STRING) {
        tsr_bytes_put(&b->p->string, text, strlen(text));
        return;
    }
    for (const char *d = text; *d; ++d)
        put_id(b, b->map->size_text[*d == '*' ? TSR_VOCAB_STAR : *d - '0']);
}

/* `count` codes without anything between them. */
static void put_codes(builder *b, const tsr_vocab_block *block, const uint32_t *codes,
                      uint64_t count) {
    char text[TSR_VOCAB_TEXT + 16];
    if (b->s->form == TSR_PROMPT_STRING) {
        for (uint64_t i = 0; i < count && !b->status; ++i) {
            const size_t length = tsr_vocab_code_text(block, codes[i], text, sizeof text);
            if (!length)
                FAIL(b, TSR_ERROR_TOKENS, "picture %d: wanted a code below %u, got %u",
                     b->picture + 1, block->first_code + block->count, codes[i]);
            else
                tsr_bytes_put(&b->p->string, text, length);
        }
        return;
    }
    uint32_t *to = more_ids(b, count);
    if (!to) return;
    uint32_t worst = 0;
    for (uint64_t i = 0; i < count; ++i) {
        const uint32_t place = codes[i] - block->first_code; /* wraps below the first */
        worst = place > worst ? place : worst;
        to[i] = block->first_id + place;
    }
    if (worst >= block->count)
        FAIL(b, TSR_ERROR_TOKENS, "picture %d: wanted codes of %u to %u, got %u", b->picture + 1,
             block->first_code, block->first_code + block->count - 1, worst + block->first_code);
    else
        wrote_ids(b, count);
}

static void put_body(builder *b, const tsr_vocab_picture *p, const tsr_codes *c) {
    const tsr_vocab_block *block = &b->map->blocks[p->block];
    const uint32_t frames = c->frames ? c->frames : 1, rows = c->rows ? c->rows : 1;
    const uint64_t frame = (uint64_t)rows * c->columns;
    if (b->status) return;
    if (!c->codes) {
        FAIL(b, TSR_ERROR_ARGUMENT, "picture %d: wanted codes, got its size alone", b->picture + 1);
        return;
    }
    if (b->s->form == TSR_PROMPT_STRING && !*block->text) {
        FAIL(b, TSR_ERROR_UNSUPPORTED,
             "map %s: blocks.%s: codes have no text, so a string cannot "
             "hold them",
             b->map->name, block->name);
        return;
    }
    if (p->frame_separator >= 0) {
        for (uint32_t f = 0; f < frames; ++f) {
            put_codes(b, block, c->codes + f * frame, frame);
            if (f + 1 < frames) put_special(b, p->frame_separator);
        }
    } else if (p->rows) {
        for (uint32_t r = 0; r < rows; ++r) {
            put_codes(b, block, c->codes + (uint64_t)r * c->columns, c->columns);
            if (p->rows == TSR_MAP_ROWS_EVERY || r + 1 < rows) put_special(b, p->eol);
        }
    } else {
        put_codes(b, block, c->codes, frames * frame);
    }
    put_special(b, p->frame_end);
    put_special(b, p->end);
}

/* A picture, or its head or body. */
static void put_picture(builder *b, const tsr_vocab_part *part) {
    const tsr_vocab_picture *p = &b->map->pictures[part->index];
    tsr_prompt *prompt = b->p;
    if (b->picture >= b->s->picture_count) {
        FAIL(b, TSR_ERROR_ARGUMENT,
             "template %s of map %s: wanted a picture for its place %d, got %d", b->t->name,
             b->map->name, b->picture + 1, b->s->picture_count);
        return;
    }
    const tsr_codes *c = &b->s->pictures[b->picture];
    check_codes(b, p, c);
    const uint64_t first = prompt->count;
    if (part->kind != TSR_PART_BODY) {
        put_special(b, p->begin);
        put_size(b, p, c);
        put_special(b, p->start);
    }
    if (part->kind == TSR_PART_HEAD) return;
    put_body(b, p, c);
    ++b->picture;
    if (b->map->info.kind != TSR_MAP_OWN || b->status || prompt->count == first) return;
    b->status = tsr_grow(b->ctx, &prompt->runs, &prompt->run_room, prompt->run_count + 1,
                         sizeof *prompt->runs, "runs of a prompt");
    if (!b->status)
        prompt->runs[prompt->run_count++] = (tsr_prompt_run){first, prompt->count - first};
}

/* ---- templates ---- */

/* Writes the fill of a field, and says how many ids of text it has room for. `end` is its last
 * part. Returns the number of ids that fill it on the right. */
static uint64_t open_field(builder *b, const tsr_vocab_part *field, int end) {
    const uint64_t length =
        (b->s->text_length ? b->s->text_length : b->map->info.text_length) + field->extra;
    uint64_t fixed = 0, text = 0;
    if (b->s->form == TSR_PROMPT_STRING) {
        FAIL(b, TSR_ERROR_UNSUPPORTED,
             "template %s of map %s: a field of fixed length has no form as a string", b->t->name,
             b->map->name);
        return 0;
    }
    for (const tsr_vocab_part *p = field + 1; p < &b->t->parts[end]; ++p) {
        fixed += p->kind == TSR_PART_SPECIAL;
        for (int i = 0; i < b->s->text_count && p->kind == TSR_PART_TEXT; ++i)
            if (!strcmp(b->s->texts[i].key, p->name)) text += b->s->texts[i].count;
    }
    if (fixed > length) {
        FAIL(b, TSR_ERROR_ARGUMENT,
             "text_length: template %s of map %s wants %llu ids at least, got "
             "%llu",
             b->t->name, b->map->name, (unsigned long long)fixed, (unsigned long long)length);
        return 0;
    }
    b->in_field = true;
    b->field_text = length - fixed;
    const uint64_t fill = text < b->field_text ? b->field_text - text : 0;
    for (uint64_t i = 0; field->left && i < fill && !b->status; ++i)
        put_special(b, field->index);
    return field->left ? 0 : fill;
}

static void walk(builder *b) {
    const tsr_vocab_template *t = b->t;
    uint64_t fill = 0;
    int each = -1, field = -1;
    for (int i = 0; i < t->count && !b->status; ++i) {
        const tsr_vocab_part *p = &t->parts[i];
        int end = i;
        switch (p->kind) {
        case TSR_PART_SPECIAL:
            put_special(b, p->index);
            break;
        case TSR_PART_TEXT:
            put_text(b, p);
            break;
        case TSR_PART_EACH:
            each = i;
            while (b->picture >= b->s->picture_count && t->parts[i].kind != TSR_PART_EACH_END)
                ++i;
            break;
        case TSR_PART_EACH_END:
            if (b->picture < b->s->picture_count) i = each;
            break;
        case TSR_PART_FIELD:
            while (t->parts[end].kind != TSR_PART_FIELD_END)
                ++end;
            field = i;
            fill = open_field(b, p, end);
            break;
        case TSR_PART_FIELD_END:
            b->in_field = false;
            for (; fill && !b->status; --fill)
                put_special(b, t->parts[field].index);
            break;
        default:
            put_picture(b, p);
        }
    }
    const bool open = t->count && t->parts[t->count - 1].kind == TSR_PART_HEAD;
    const int took = b->picture + open;
    if (took < b->s->picture_count)
        FAIL(b, TSR_ERROR_ARGUMENT, "template %s of map %s: wanted %d picture%s, got %d", t->name,
             b->map->name, took, took == 1 ? "" : "s", b->s->picture_count);
    for (int i = 0; i < b->s->text_count; ++i)
        if (!(b->used & (uint64_t)1 << i))
            FAIL(b, TSR_ERROR_ARGUMENT, "template %s of map %s: wanted no text %.60s, got it",
                 t->name, b->map->name, b->s->texts[i].key);
}

static tsr_status check_settings(tsr_context *ctx, const tsr_vocab_map *map,
                                 const tsr_prompt_settings *s) {
    const tsr_status status = tsr_vocab_has_layouts(ctx, map);
    if (status) return status;
    if (!s->template_name)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "prompt: wanted a template, got NULL");
    if (s->picture_count < 0 || (s->picture_count && !s->pictures) || s->text_count < 0 ||
        s->text_count > 64 || (s->text_count && !s->texts))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "prompt: wanted pictures, and at most 64 texts, got %d and %d, or NULL",
                        s->picture_count, s->text_count);
    for (int i = 0; i < s->text_count; ++i)
        if (!s->texts[i].key || (!s->texts[i].ids && !s->texts[i].text && s->texts[i].count))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "prompt: text %d: wanted a key and ids or text, got NULL", i);
    if (tsr_vocab_template_find(map, s->template_name) >= 0) return TSR_OK;
    char all[512] = "";
    for (int i = 0; i < map->info.templates; ++i)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "",
                 map->templates[i].name);
    return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "template: map %s wants one of %s, got %.60s",
                    map->name, all, s->template_name);
}

tsr_status tsr_prompt_build(tsr_context *ctx, const tsr_vocab_map *map,
                            const tsr_prompt_settings *settings, tsr_prompt **prompt) {
    if (prompt) *prompt = NULL;
    if (!map || !settings || !prompt)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_prompt_build: wanted map, settings and prompt, got NULL");
    const tsr_status status = check_settings(ctx, map, settings);
    if (status) return status;
    builder b = {.ctx = ctx, .map = map, .s = settings};
    b.t = &map->templates[tsr_vocab_template_find(map, settings->template_name)];
    b.p = tsr_alloc(ctx, 1, sizeof *b.p, "prompt");
    if (!b.p) return TSR_ERROR_MEMORY;
    walk(&b);
    if (settings->form == TSR_PROMPT_STRING) {
        tsr_bytes_u8(&b.p->string, 0);
        if (b.p->string.failed) FAIL(&b, TSR_ERROR_MEMORY, "no memory for the string of a prompt");
    }
    if (b.p->texts.failed) FAIL(&b, TSR_ERROR_MEMORY, "no memory for the texts of a prompt");
    if (b.status)
        tsr_prompt_close(&b.p);
    else
        *prompt = b.p;
    return b.status;
}

void tsr_prompt_close(tsr_prompt **prompt) {
    if (!prompt || !*prompt) return;
    free((*prompt)->ids);
    free((*prompt)->pieces);
    free((*prompt)->runs);
    tsr_bytes_free(&(*prompt)->string);
    tsr_bytes_free(&(*prompt)->texts);
    free(*prompt);
    *prompt = NULL;
}

const uint32_t *tsr_prompt_ids(const tsr_prompt *p, uint64_t *count) {
    *count = p->count;
    return p->ids;
}

const char *tsr_prompt_string(const tsr_prompt *p, size_t *size) {
    *size = p->string.size ? p->string.size - 1 : 0;
    return p->string.size ? (const char *)p->string.at : "";
}

int tsr_prompt_pieces(const tsr_prompt *p) {
    return (int)p->piece_count;
}

tsr_prompt_piece tsr_prompt_piece_at(const tsr_prompt *p, int index) {
    const piece *one = &p->pieces[index];
    if (one->is_text) return (tsr_prompt_piece){.text = (const char *)p->texts.at + one->at};
    return (tsr_prompt_piece){.ids = p->ids + one->first, .count = one->count};
}

const tsr_prompt_run *tsr_prompt_own_runs(const tsr_prompt *p, uint64_t *count) {
    *count = p->run_count;
    return p->runs;
}
