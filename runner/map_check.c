/* SPDX-License-Identifier: MIT */
/* map_check.c: whether what a map says fits together: names, ranges of ids, layouts, templates. */
#include "vocab_map.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

typedef struct checker {
    tsr_context *ctx;
    const char *name;
    tsr_vocab_map *map;
    tsr_status status;
} checker;

static void refuse(checker *c, const char *format, ...) TSR_PRINTF(2, 3);
static void refuse(checker *c, const char *format, ...) {
    char text[600];
    va_list args;
    if (c->status) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->status = tsr_fail(c->ctx, TSR_ERROR_FORMAT, "%.300s: %s", c->name, text);
}

int tsr_vocab_special_find(const tsr_vocab_map *map, const char *name) {
    for (int i = 0; i < map->info.specials; ++i)
        if (!strcmp(map->specials[i].name, name)) return i;
    return -1;
}

int tsr_vocab_picture_find(const tsr_vocab_map *map, const char *name) {
    if (!name || !*name) return map->info.pictures ? 0 : -1;
    for (int i = 0; i < map->info.pictures; ++i)
        if (!strcmp(map->pictures[i].name, name)) return i;
    return -1;
}

int tsr_vocab_template_find(const tsr_vocab_map *map, const char *name) {
    for (int i = 0; i < map->info.templates; ++i)
        if (!strcmp(map->templates[i].name, name)) return i;
    return -1;
}

/* The block that an id lies in, or NULL. */
static const tsr_vocab_block *block_of(const tsr_vocab_map *m, uint32_t id) {
    for (int i = 0; i < m->info.blocks; ++i)
        if (id >= m->blocks[i].first_id && id - m->blocks[i].first_id < m->blocks[i].count)
            return &m->blocks[i];
    return NULL;
}

static void check_blocks(checker *c) {
    tsr_vocab_map *m = c->map;
    for (int i = 0; i < m->info.blocks; ++i) {
        tsr_vocab_block *b = &m->blocks[i];
        const uint64_t end = (uint64_t)b->first_id + b->count;
        if (m->info.n_input && end > m->info.n_input)
            refuse(c, "blocks: %s: wanted ids below %u, got up to %llu", b->name, m->info.n_input,
                   (unsigned long long)end - 1);
        if ((uint64_t)b->first_code + b->count > TSR_VOCAB_MOST_N)
            refuse(c, "blocks: %s: wanted codes below %d, got more", b->name, TSR_VOCAB_MOST_N);
        if (*b->text && !tsr_vocab_pattern(b))
            refuse(c, "blocks: %s: text: wanted one of %%d, %%0Nd and %%A in it, got \"%s\"",
                   b->name, b->text);
        for (int k = 0; k < i; ++k) {
            const tsr_vocab_block *other = &m->blocks[k];
            if (!strcmp(b->name, other->name))
                refuse(c, "blocks: %s: wanted it once, got it again", b->name);
            if (b->first_id < (uint64_t)other->first_id + other->count && other->first_id < end)
                refuse(c, "blocks: %s: wanted ids of its own, got some of %s", b->name,
                       other->name);
            if (*b->text && !strcmp(b->text, other->text))
                refuse(c, "blocks: %s: text: wanted one of its own, got that of %s", b->name,
                       other->name);
        }
    }
}

/* True if a layout writes the special token: of class C only those stand among the codes. */
static bool in_layout(const tsr_vocab_map *m, const char *name) {
    for (int i = 0; i < m->info.pictures; ++i)
        for (int k = 1; k < 8; ++k)
            if (!strcmp(m->pictures[i].names[k], name)) return true;
    return false;
}

static void check_specials(checker *c) {
    tsr_vocab_map *m = c->map;
    bool all = true;
    for (int i = 0; i < m->info.specials; ++i) {
        const tsr_vocab_special *s = &m->specials[i];
        const bool beside = m->info.kind == TSR_MAP_OWN && !in_layout(m, s->name);
        if (s->id == TSR_NO_ID) {
            all = false;
        } else if (!beside) {
            const tsr_vocab_block *b = block_of(m, s->id);
            if (m->info.n_input && s->id >= m->info.n_input)
                refuse(c, "special.%s: wanted an id below %u, got %u", s->name, m->info.n_input,
                       s->id);
            if (b)
                refuse(c, "special.%s: wanted an id outside the blocks, got %u of %s", s->name,
                       s->id, b->name);
        }
        for (int k = 0; k < i; ++k) {
            const tsr_vocab_special *other = &m->specials[k];
            if (!strcmp(s->name, other->name))
                refuse(c, "special.%s: wanted it once, got it again", s->name);
            if (*s->text && !strcmp(s->text, other->text) && s->id != other->id)
                refuse(c, "special.%s: text: wanted one of its own, got that of %s", s->name,
                       other->name);
        }
    }
    for (int i = 0; i < 11 && m->has_size_text; ++i) {
        if (m->info.n_input && m->size_text[i] >= m->info.n_input)
            refuse(c, "size_text: wanted ids below %u, got %u", m->info.n_input, m->size_text[i]);
        if (block_of(m, m->size_text[i]))
            refuse(c, "size_text: wanted ids outside the blocks, got %u", m->size_text[i]);
        for (int k = 0; k < i; ++k)
            if (m->size_text[k] == m->size_text[i])
                refuse(c, "size_text: wanted different ids, got %u twice", m->size_text[i]);
    }
    if (all && !m->info.n_vocab && m->info.kind <= TSR_MAP_MASKED)
        refuse(c, "n_vocab: wanted it, since every special token has an id, got none");
}

/* Place of the special token that a layout names, -1 for none. */
static int named(checker *c, const tsr_vocab_picture *p, int which, const char *key) {
    const char *name = p->names[which];
    if (!*name) return -1;
    const int at = tsr_vocab_special_find(c->map, name);
    if (at < 0)
        refuse(c, "pictures.%s.%s: wanted a special token of the map, got \"%s\"", p->name, key,
               name);
    return at;
}

static void check_picture(checker *c, tsr_vocab_picture *p) {
    const tsr_vocab_map *m = c->map;
    p->block = *p->names[0] ? -1 : 0;
    for (int i = 0; i < m->info.blocks; ++i)
        if (!strcmp(m->blocks[i].name, p->names[0])) p->block = i;
    if (!m->info.blocks || p->block < 0)
        refuse(c, "pictures.%s.block: wanted a block of the map, got \"%s\"", p->name, p->names[0]);
    p->begin = named(c, p, 1, "begin");
    p->start = named(c, p, 2, "start");
    p->eol = named(c, p, 3, "eol");
    p->frame_separator = named(c, p, 4, "frame_separator");
    p->frame_end = named(c, p, 5, "frame_end");
    p->end = named(c, p, 6, "end");
    p->size_base = named(c, p, 7, "size_base");
    if (!p->has_geometry) p->geometry = m->info.geometry;
    if ((p->rows != TSR_MAP_ROWS_NONE) != (p->eol >= 0))
        refuse(c, "pictures.%s: wanted rows and eol together, got one of them", p->name);
    if (p->size == TSR_MAP_SIZE_TEXT && (!m->has_size_text || p->start < 0))
        refuse(c, "pictures.%s.size: wanted size_text and start for a size in text, got none",
               p->name);
    if ((p->size == TSR_MAP_SIZE_GRID) != (p->size_base >= 0))
        refuse(c, "pictures.%s: wanted size_base with a size as grid, got one of them", p->name);
    if (p->size == TSR_MAP_SIZE_GRID && p->size_base >= 0 &&
        m->specials[p->size_base].id == TSR_NO_ID)
        refuse(c, "pictures.%s.size_base: wanted a token with an id, got none", p->name);
    const bool separated = p->rows || p->size || p->frame_separator >= 0 || p->grid_count;
    if (p->geometry != TSR_MAP_GRID && separated)
        refuse(c,
               "pictures.%s: wanted rows, sizes and grids of a grid alone, got them of a sequence",
               p->name);
    if (p->geometry == TSR_MAP_GRID && p->most_codes)
        refuse(c, "pictures.%s.codes: wanted it of a sequence alone, got it of a grid", p->name);
    if (p->rows && (p->frame_separator >= 0 || p->end < 0 || p->most_frames > 1))
        refuse(c, "pictures.%s: wanted rows with an end and one frame, got them otherwise",
               p->name);
    if (p->frame_separator >= 0 && (p->end < 0 || p->grid_count != 1))
        refuse(c, "pictures.%s.frame_separator: wanted an end and one grid with it, got none",
               p->name);
    if (p->frame_end >= 0 && p->rows != TSR_MAP_ROWS_EVERY)
        refuse(c, "pictures.%s.frame_end: wanted rows \"every\" with it, got others", p->name);
    const int around[] = {p->begin, p->start, p->eol, p->frame_separator, p->frame_end, p->end};
    for (int i = 0; i < 6; ++i)
        for (int k = 0; k < i; ++k)
            if (around[i] >= 0 && around[k] >= 0 &&
                tsr_vocab_id(m, around[i]) == tsr_vocab_id(m, around[k]))
                refuse(c, "pictures.%s: wanted tokens that differ, got %s twice", p->name,
                       m->specials[around[i]].name);
    for (int i = 0; i < p->grid_count; ++i)
        if (p->grids[i][0] % p->size_unit || p->grids[i][1] % p->size_unit)
            refuse(c, "pictures.%s.grids: wanted multiples of %u, got %u x %u", p->name,
                   p->size_unit, p->grids[i][0], p->grids[i][1]);
}

static void check_template(checker *c, tsr_vocab_template *t) {
    bool head = false, each = false, in_each = false;
    int before = 0;
    t->pictures = 0;
    for (int i = 0; i < t->count; ++i) {
        tsr_vocab_part *p = &t->parts[i];
        p->index = 0;
        switch (p->kind) {
        case TSR_PART_FIELD:
            if (!c->map->info.text_length)
                refuse(c, "text_length: wanted it, since template %s has a field, got none",
                       t->name);
            /* fall through */
        case TSR_PART_SPECIAL:
            p->index = tsr_vocab_special_find(c->map, p->name);
            if (p->index < 0)
                refuse(c, "templates.%s: wanted special tokens of the map, got \"%s\"", t->name,
                       p->name);
            break;
        case TSR_PART_PICTURE:
        case TSR_PART_HEAD:
        case TSR_PART_BODY:
            p->index = tsr_vocab_picture_find(c->map, p->name);
            if (p->index < 0)
                refuse(c, "templates.%s: wanted layouts of the map, got \"%s\"", t->name, p->name);
            if (head && p->kind != TSR_PART_BODY)
                refuse(c, "templates.%s: wanted a body behind a head, got another picture",
                       t->name);
            head = p->kind == TSR_PART_HEAD;
            if (!head) ++t->pictures;
            break;
        case TSR_PART_EACH:
            if (each || head) refuse(c, "templates.%s: wanted one each, got more", t->name);
            each = in_each = true;
            before = t->pictures;
            break;
        case TSR_PART_EACH_END:
            if (t->pictures == before)
                refuse(c, "templates.%s: wanted a picture inside each, got none", t->name);
            in_each = false;
            break;
        default:
            break;
        }
        if (each && !in_each && p->kind != TSR_PART_EACH_END && t->pictures > before &&
            (p->kind == TSR_PART_PICTURE || p->kind == TSR_PART_HEAD || p->kind == TSR_PART_BODY))
            refuse(c, "templates.%s: wanted no picture behind each, got one", t->name);
    }
    if (head) ++t->pictures; /* a prompt that ends with the head: the size alone */
    if (each) t->pictures = -1;
}

static void check_class(checker *c) {
    tsr_vocab_map *m = c->map;
    const bool outside = m->info.kind >= TSR_MAP_OWN;
    if (outside && !*m->reason)
        refuse(c, "reason: wanted why class C or D is not in the vocabulary, got none");
    if (!outside && (!m->info.blocks || !m->info.pictures || !m->info.templates))
        refuse(c, "class: wanted blocks, pictures and templates for class A or B, got not all");
    if (m->info.kind == TSR_MAP_REFUSED && (m->info.blocks || m->info.pictures))
        refuse(c, "class: wanted no blocks and pictures in class D, got some");
    if (m->info.pictures && !m->info.codebook_size)
        refuse(c, "tokenizer.codebook_size: wanted it where there are pictures, got none");
    uint64_t product = 1;
    for (uint32_t i = 0; i < m->info.level_count && product <= TSR_VOCAB_MOST_N; ++i)
        product *= m->levels[i];
    if (m->info.level_count && product != m->info.codebook_size)
        refuse(c, "tokenizer.levels: wanted a product of %u, got %llu", m->info.codebook_size,
               (unsigned long long)product);
    if (m->info.n_input && m->info.n_input < m->info.n_vocab)
        refuse(c, "n_input: wanted at least n_vocab, %u, got %u", m->info.n_vocab, m->info.n_input);
    if (!m->info.n_input) m->info.n_input = m->info.n_vocab;
}

tsr_status tsr_vocab_map_settle(tsr_context *ctx, const char *name, tsr_vocab_map *m) {
    checker c = {.ctx = ctx, .name = name, .map = m};
    check_class(&c);
    check_blocks(&c);
    check_specials(&c);
    for (int i = 0; i < m->info.pictures; ++i) {
        if (tsr_vocab_picture_find(m, m->pictures[i].name) != i)
            refuse(&c, "pictures.%s: wanted it once, got it again", m->pictures[i].name);
        check_picture(&c, &m->pictures[i]);
    }
    for (int i = 0; i < m->info.templates; ++i) {
        if (tsr_vocab_template_find(m, m->templates[i].name) != i)
            refuse(&c, "templates.%s: wanted it once, got it again", m->templates[i].name);
        check_template(&c, &m->templates[i]);
    }
    m->info.name = m->name;
    m->info.model = m->model;
    m->info.source = m->source;
    m->info.revision = m->revision;
    m->info.reason = m->reason;
    m->info.use = m->use;
    m->info.families = m->families;
    m->info.models = m->models;
    m->info.levels = m->levels;
    return c.status;
}

bool tsr_vocab_grid_allowed(const tsr_vocab_picture *p, uint32_t frames, uint32_t rows,
                            uint32_t columns) {
    if (frames < p->least_frames || frames > p->most_frames || !rows || !columns) return false;
    if (rows % p->size_unit || columns % p->size_unit) return false;
    for (int i = 0; i < p->grid_count; ++i)
        if (p->grids[i][0] == rows && p->grids[i][1] == columns) return true;
    return !p->grid_count;
}

void tsr_vocab_allowed_text(const tsr_vocab_picture *p, char *text, size_t size) {
    size_t used = 0;
    if (p->geometry != TSR_MAP_GRID) {
        const char *what = p->geometry == TSR_MAP_KEPT ? "kept codes" : "codes in a sequence";
        if (!p->most_codes)
            snprintf(text, size, "%s", what);
        else if (p->least_codes == p->most_codes)
            snprintf(text, size, "%u %s", p->most_codes, what);
        else
            snprintf(text, size, "%u to %u %s", p->least_codes, p->most_codes, what);
        return;
    }
    if (p->most_frames > 1)
        used = (size_t)snprintf(text, size, "%u to %u frames of ", p->least_frames, p->most_frames);
    for (int i = 0; i < p->grid_count && used < size; ++i)
        used += (size_t)snprintf(text + used, size - used, "%s%u x %u", i ? " or " : "",
                                 p->grids[i][0], p->grids[i][1]);
    if (!p->grid_count && used < size && p->size_unit > 1)
        snprintf(text + used, size - used, "rows x columns, multiples of %u", p->size_unit);
    else if (!p->grid_count && used < size)
        snprintf(text + used, size - used, "rows x columns");
}
