/* SPDX-License-Identifier: MIT */
/* map_read.c: the JSON of a vocabulary map. Members may come in any order, so names of tokens and
 * layouts are kept as text here and resolved by map_check.c; every key is known, and comes once. */
#include "map_read.h"
#include "../formats/json_text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct reader {
    tsr_context *ctx;
    const char *name; /* of the file, for messages */
    tsr_json j;
    tsr_vocab_map *map;
    tsr_status status;
} reader;

static void refuse(reader *r, const char *format, ...) TSR_PRINTF(2, 3);
static void refuse(reader *r, const char *format, ...) {
    char text[600];
    va_list args;
    if (r->status || r->j.wrong) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->status = tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%.300s: %s", r->name, text);
    tsr_json_wrong(&r->j, "nothing more"); /* ends every loop */
}

/* Notes that a key was read; false, and a failure, when it was read before. */
static bool once(reader *r, uint32_t *seen, int bit, const char *where, const char *key) {
    if (*seen & 1u << bit) refuse(r, "%s%.64s: wanted it once, got it again", where, key);
    *seen |= 1u << bit;
    return !r->status;
}

static void read_text(reader *r, const char *key, char *to, size_t size) {
    size_t length;
    const char *text = tsr_json_string(&r->j, &length);
    if (length >= size || strlen(text) != length)
        refuse(r, "%s: wanted at most %zu bytes without U+0000, got %zu", key, size - 1, length);
    else
        memcpy(to, text, length + 1);
}

static void read_name(reader *r, const char *key, char to[TSR_VOCAB_NAME]) {
    read_text(r, key, to, TSR_VOCAB_NAME);
    if (r->status || r->j.wrong) return;
    bool good = *to && *to != '.' && *to != '-';
    for (const char *c = to; *c; ++c)
        good &= (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || strchr("._-", *c) != NULL;
    if (!good) refuse(r, "%s: wanted a name of a-z 0-9 . _ -, got \"%s\"", key, to);
}

static uint32_t read_number(reader *r, const char *key, uint32_t least, uint32_t most) {
    const uint64_t n = tsr_json_unsigned(&r->j);
    if (n < least || n > most)
        refuse(r, "%s: wanted %u to %u, got %llu", key, least, most, (unsigned long long)n);
    return (uint32_t)n;
}

/* A word of a list that ends with NULL; its place. */
static int read_word(reader *r, const char *key, const char *const *words) {
    char got[TSR_VOCAB_NAME] = "", all[256] = "";
    read_text(r, key, got, sizeof got);
    for (int i = 0; words[i]; ++i) {
        if (!strcmp(got, words[i])) return i;
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s%s", i ? ", " : "", words[i]);
    }
    refuse(r, "%s: wanted one of %s, got \"%s\"", key, all, got);
    return 0;
}

/* Place of a key in a list that ends with NULL. */
static int key_of(reader *r, const char *where, const char *key, const char *const *keys) {
    for (int i = 0; keys[i]; ++i)
        if (!strcmp(key, keys[i])) return i;
    refuse(r, "%s%.64s: wanted a key of the schema, got another", where, key);
    return -1;
}

/* Number of entries so far plus one, or a failure. */
static bool room_for(reader *r, const char *key, int count, int most) {
    if (count >= most) refuse(r, "%s: wanted at most %d, got more", key, most);
    return !r->status;
}

static void read_names(reader *r, const char *key, char *to, size_t size) {
    size_t used = 0;
    to[0] = '\0';
    if (!tsr_json_enter(&r->j, '[')) return;
    while (tsr_json_element(&r->j)) {
        char name[TSR_VOCAB_NAME];
        read_name(r, key, name);
        if (r->status || r->j.wrong) return;
        const int wrote = snprintf(to + used, size - used, "%s%s", used ? " " : "", name);
        if ((size_t)wrote >= size - used) {
            refuse(r, "%s: wanted at most %zu bytes of names, got more", key, size - 1);
            return;
        }
        used += (size_t)wrote;
    }
}

static const char *const geometries[] = {"grid", "sequence", "kept", NULL};

static void read_tokenizer(reader *r) {
    static const char *const keys[] = {"codebook_size", "stride", "geometry", "families",
                                       "models",        "levels", NULL};
    tsr_vocab_map *m = r->map;
    const char *key;
    uint32_t seen = 0;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "tokenizer.", key, keys);
        int n = 0;
        if (k < 0 || !once(r, &seen, k, "tokenizer.", key)) return;
        switch (k) {
        case 0:
            m->info.codebook_size = read_number(r, "tokenizer.codebook_size", 2, TSR_VOCAB_MOST_N);
            break;
        case 1:
            tsr_json_enter(&r->j, '[');
            for (; tsr_json_element(&r->j); ++n)
                if (room_for(r, "tokenizer.stride", n, 3))
                    m->info.stride[n] = read_number(r, "tokenizer.stride", 1, 4096);
            if (n != 3) refuse(r, "tokenizer.stride: wanted frames, rows, columns, got %d", n);
            break;
        case 2:
            m->info.geometry = (tsr_map_geometry)read_word(r, "tokenizer.geometry", geometries);
            break;
        case 3:
            read_names(r, "tokenizer.families", m->families, sizeof m->families);
            break;
        case 4:
            read_names(r, "tokenizer.models", m->models, sizeof m->models);
            break;
        default:
            tsr_json_enter(&r->j, '[');
            while (tsr_json_element(&r->j))
                if (room_for(r, "tokenizer.levels", (int)m->info.level_count, TSR_VOCAB_LEVELS))
                    m->levels[m->info.level_count++] = read_number(r, "tokenizer.levels", 2, 65536);
        }
    }
}

static void read_block(reader *r) {
    static const char *const keys[] = {"name", "first_code", "count", "first_id", "text", NULL};
    if (!room_for(r, "blocks", r->map->info.blocks, TSR_VOCAB_BLOCKS)) return;
    tsr_vocab_block *b = &r->map->blocks[r->map->info.blocks++];
    const char *key;
    uint32_t seen = 0;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "blocks.", key, keys);
        if (k < 0 || !once(r, &seen, k, "blocks.", key)) return;
        switch (k) {
        case 0:
            read_name(r, "blocks.name", b->name);
            break;
        case 1:
            b->first_code = read_number(r, "blocks.first_code", 0, TSR_VOCAB_MOST_N);
            break;
        case 2:
            b->count = read_number(r, "blocks.count", 1, TSR_VOCAB_MOST_N);
            break;
        case 3:
            b->first_id = read_number(r, "blocks.first_id", 0, TSR_VOCAB_MOST_N);
            break;
        default:
            read_text(r, "blocks.text", b->text, sizeof b->text);
        }
    }
    if ((seen & 15) != 15)
        refuse(r, "blocks: wanted name, first_code, count and first_id, got not all of them");
}

static void read_special(reader *r, const char *name) {
    static const char *const keys[] = {"id", "text", NULL};
    if (!room_for(r, "special", r->map->info.specials, TSR_VOCAB_SPECIALS)) return;
    tsr_vocab_special *s = &r->map->specials[r->map->info.specials++];
    const char *key;
    uint32_t seen = 0;
    s->id = TSR_NO_ID;
    snprintf(s->name, sizeof s->name, "%.63s", name);
    if (strlen(name) >= sizeof s->name || !*name)
        refuse(r, "special: wanted names of 1 to %zu bytes, got \"%.80s\"", sizeof s->name - 1,
               name);
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "special.", key, keys);
        if (k < 0 || !once(r, &seen, k, "special.", key)) return;
        if (k == 0)
            s->id = read_number(r, "special.id", 0, TSR_VOCAB_MOST_N);
        else
            read_text(r, "special.text", s->text, sizeof s->text);
    }
    if (s->id == TSR_NO_ID && !*s->text)
        refuse(r, "special.%s: wanted an id or a text, got neither", s->name);
}

static void read_size_text(reader *r) {
    static const char characters[] = "0123456789*";
    const char *key;
    uint32_t seen = 0;
    r->map->has_size_text = true;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const char *at = strlen(key) == 1 ? strchr(characters, *key) : NULL;
        if (!at) {
            refuse(r, "size_text: wanted a digit or *, got \"%.32s\"", key);
            return;
        }
        if (!once(r, &seen, (int)(at - characters), "size_text.", key)) return;
        r->map->size_text[at - characters] = read_number(r, "size_text", 0, TSR_VOCAB_MOST_N);
    }
    if (seen != (1u << 11) - 1) refuse(r, "size_text: wanted ids of 0 to 9 and *, got not all");
}

/* A number, or the least and the most of a range. */
static void read_range(reader *r, const char *key, uint32_t *least, uint32_t *most) {
    if (tsr_json_peek(&r->j) != '[') {
        *least = *most = read_number(r, key, 1, TSR_VOCAB_MOST_IDS);
        return;
    }
    int n = 0;
    tsr_json_enter(&r->j, '[');
    for (; tsr_json_element(&r->j); ++n)
        if (room_for(r, key, n, 2))
            *(n ? most : least) = read_number(r, key, 1, TSR_VOCAB_MOST_IDS);
    if (n != 2 || *least > *most)
        refuse(r, "%s: wanted a number or [least, most], got others", key);
}

static void read_grids(reader *r, tsr_vocab_picture *p) {
    tsr_json_enter(&r->j, '[');
    while (tsr_json_element(&r->j)) {
        int n = 0;
        if (!room_for(r, "pictures.grids", p->grid_count, TSR_VOCAB_GRIDS)) return;
        tsr_json_enter(&r->j, '[');
        for (; tsr_json_element(&r->j); ++n)
            if (room_for(r, "pictures.grids", n, 2))
                p->grids[p->grid_count][n] = read_number(r, "pictures.grids", 1, 65536);
        if (n != 2) refuse(r, "pictures.grids: wanted [rows, columns], got %d numbers", n);
        ++p->grid_count;
    }
}

enum { NAMED = 8 }; /* keys whose value is a name, in the order of tsr_vocab_picture.names */

static void read_picture(reader *r, const char *name) {
    static const char *const keys[] = {
        "block", "begin", "start",    "eol",   "frame_separator", "frame_end", "end",  "size_base",
        "size",  "rows",  "geometry", "codes", "frames",          "grids",     "unit", NULL};
    static const char *const sizes[] = {"none", "text", "grid", NULL};
    static const char *const rows[] = {"none", "between", "every", NULL};
    if (!room_for(r, "pictures", r->map->info.pictures, TSR_VOCAB_PICTURES)) return;
    tsr_vocab_picture *p = &r->map->pictures[r->map->info.pictures++];
    const char *key;
    uint32_t seen = 0;
    p->least_frames = p->most_frames = 1;
    p->size_unit = 1;
    if (!*name || strlen(name) >= sizeof p->name)
        refuse(r, "pictures: wanted names of 1 to %zu bytes, got \"%.80s\"", sizeof p->name - 1,
               name);
    snprintf(p->name, sizeof p->name, "%.63s", name);
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "pictures.", key, keys);
        if (k < 0 || !once(r, &seen, k, "pictures.", key)) return;
        if (k < NAMED) {
            read_name(r, keys[k], p->names[k]);
            continue;
        }
        switch (k) {
        case NAMED:
            p->size = (tsr_map_size)read_word(r, "pictures.size", sizes);
            break;
        case NAMED + 1:
            p->rows = (tsr_map_rows)read_word(r, "pictures.rows", rows);
            break;
        case NAMED + 2:
            p->geometry = (tsr_map_geometry)read_word(r, "pictures.geometry", geometries);
            p->has_geometry = true;
            break;
        case NAMED + 3:
            read_range(r, "pictures.codes", &p->least_codes, &p->most_codes);
            break;
        case NAMED + 4:
            read_range(r, "pictures.frames", &p->least_frames, &p->most_frames);
            break;
        case NAMED + 5:
            read_grids(r, p);
            break;
        default:
            p->size_unit = read_number(r, "pictures.unit", 1, 4096);
        }
    }
}

/* ---- templates ---- */

static tsr_vocab_part *add_part(reader *r, tsr_vocab_template *t, tsr_vocab_part_kind kind) {
    if (!room_for(r, "templates: parts of one", t->count, TSR_VOCAB_PARTS)) return NULL;
    t->parts[t->count].kind = kind;
    return &t->parts[t->count++];
}

/* Adds to the text of a template that people read. */
static void add_words(tsr_vocab_template *t, const char *words) {
    const size_t used = strlen(t->text);
    snprintf(t->text + used, sizeof t->text - used, "%s%s", used ? " " : "", words);
}

static void read_word_part(reader *r, tsr_vocab_template *t) {
    static const struct {
        const char *word;
        tsr_vocab_part_kind kind;
        bool named; /* must have a name behind ':' */
    } words[] = {{"@", TSR_PART_SPECIAL, true},        {"text:", TSR_PART_TEXT, true},
                 {"picture:", TSR_PART_PICTURE, true}, {"picture", TSR_PART_PICTURE, false},
                 {"head:", TSR_PART_HEAD, true},       {"head", TSR_PART_HEAD, false},
                 {"body:", TSR_PART_BODY, true},       {"body", TSR_PART_BODY, false}};
    char got[2 * TSR_VOCAB_NAME] = "";
    read_text(r, "templates", got, sizeof got);
    for (size_t i = 0; i < sizeof words / sizeof *words && !r->status && !r->j.wrong; ++i) {
        const size_t length = strlen(words[i].word);
        const char *name = got + length;
        if (strncmp(got, words[i].word, length) != 0 || (!words[i].named && *name)) continue;
        if (strlen(name) >= TSR_VOCAB_NAME || (words[i].named && !*name)) break;
        tsr_vocab_part *p = add_part(r, t, words[i].kind);
        if (p) snprintf(p->name, sizeof p->name, "%.63s", name);
        add_words(t, got);
        return;
    }
    refuse(r, "templates: wanted @NAME, text:KEY, picture, head or body, got \"%s\"", got);
}

static void read_parts(reader *r, tsr_vocab_template *t, bool inside);

/* {"each": [parts]}, or {"field": side, "with": name, "extra": n, "parts": [parts]}. */
static void read_object_part(reader *r, tsr_vocab_template *t, bool inside) {
    static const char *const keys[] = {"each", "field", "with", "extra", "parts", NULL};
    static const char *const sides[] = {"left", "right", NULL};
    const char *key;
    uint32_t seen = 0;
    tsr_vocab_part field = {.kind = TSR_PART_FIELD};
    if (inside) {
        refuse(r, "templates: wanted words inside each and parts, got an object");
        return;
    }
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "templates.", key, keys);
        if (k < 0 || !once(r, &seen, k, "templates.", key)) return;
        if (k == 1)
            field.left = read_word(r, "templates.field", sides) == 0;
        else if (k == 2)
            read_name(r, "templates.with", field.name);
        else if (k == 3)
            field.extra = read_number(r, "templates.extra", 0, 64);
        else {
            tsr_vocab_part *p = add_part(r, t, k ? TSR_PART_FIELD : TSR_PART_EACH);
            if (k && (seen & 6) != 6)
                refuse(r, "templates: wanted field and with before parts, got not both");
            if (!p || r->status) return;
            if (k) *p = field;
            add_words(t, k == 0 ? "each(" : field.left ? "field-left(" : "field-right(");
            read_parts(r, t, true);
            add_part(r, t, k ? TSR_PART_FIELD_END : TSR_PART_EACH_END);
            add_words(t, ")");
        }
    }
    if (seen != 1 && (seen & 0x17) != 0x16)
        refuse(r, "templates: wanted an object of each, or of field, with and parts, got another");
    if ((seen & 8) && (seen & 0x10)) /* extra may stand behind the parts */
        for (int i = t->count; i-- > 0;)
            if (t->parts[i].kind == TSR_PART_FIELD) {
                t->parts[i].extra = field.extra;
                break;
            }
}

static void read_parts(reader *r, tsr_vocab_template *t, bool inside) {
    if (!tsr_json_enter(&r->j, '[')) return;
    while (tsr_json_element(&r->j))
        if (tsr_json_peek(&r->j) == '{')
            read_object_part(r, t, inside);
        else
            read_word_part(r, t);
}

/* ---- the whole ---- */

/* The members of an object, one after the other. */
static void read_members(reader *r, const char *what, void (*read)(reader *r, const char *name)) {
    const char *key;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        char name[TSR_VOCAB_NAME + 32];
        bool good = *key && strlen(key) < TSR_VOCAB_NAME;
        for (const char *c = key; *c; ++c)
            good &= (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-';
        if (!good) refuse(r, "%s: wanted names of a-z 0-9 _ -, got \"%.80s\"", what, key);
        if (r->status) return;
        snprintf(name, sizeof name, "%s", key);
        read(r, name);
    }
}

static void read_template(reader *r, const char *name) {
    if (!room_for(r, "templates", r->map->info.templates, TSR_VOCAB_TEMPLATES)) return;
    tsr_vocab_template *t = &r->map->templates[r->map->info.templates++];
    snprintf(t->name, sizeof t->name, "%.63s", name);
    read_parts(r, t, false);
}

static void read_notes(reader *r) {
    tsr_json_enter(&r->j, '[');
    while (tsr_json_element(&r->j))
        if (room_for(r, "notes", r->map->info.notes, TSR_VOCAB_NOTES))
            read_text(r, "notes", r->map->notes[r->map->info.notes++], TSR_VOCAB_LONG);
}

static const char format_name[] = "tessera vocabulary map 1";
enum {
    KEY_FORMAT,
    KEY_NAME,
    KEY_MODEL,
    KEY_CLASS,
    KEY_SOURCE,
    KEY_REVISION,
    KEY_REASON,
    KEY_USE,
    KEY_N_VOCAB,
    KEY_N_INPUT,
    KEY_TEXT_LENGTH,
    KEY_TOKENIZER,
    KEY_BLOCKS,
    KEY_SPECIAL,
    KEY_SIZE_TEXT,
    KEY_PICTURES,
    KEY_TEMPLATES,
    KEY_NOTES
};
static const char *const top_keys[] = {"format",      "name",      "model",  "class",   "source",
                                       "revision",    "reason",    "use",    "n_vocab", "n_input",
                                       "text_length", "tokenizer", "blocks", "special", "size_text",
                                       "pictures",    "templates", "notes",  NULL};

static void read_top(reader *r, int k) {
    static const char *const classes[] = {"A", "B", "C", "D", NULL};
    tsr_vocab_map *m = r->map;
    char format[sizeof format_name + 16] = "";
    switch (k) {
    case KEY_FORMAT:
        read_text(r, "format", format, sizeof format);
        if (strcmp(format, format_name) != 0)
            refuse(r, "format: wanted \"%s\", got \"%s\"", format_name, format);
        break;
    case KEY_NAME:
        read_name(r, "name", m->name);
        break;
    case KEY_MODEL:
        read_text(r, "model", m->model, sizeof m->model);
        break;
    case KEY_CLASS:
        m->info.kind = (tsr_map_class)read_word(r, "class", classes);
        break;
    case KEY_SOURCE:
        read_text(r, "source", m->source, sizeof m->source);
        break;
    case KEY_REVISION:
        read_text(r, "revision", m->revision, sizeof m->revision);
        break;
    case KEY_REASON:
        read_text(r, "reason", m->reason, sizeof m->reason);
        break;
    case KEY_USE:
        read_text(r, "use", m->use, sizeof m->use);
        break;
    case KEY_N_VOCAB:
        m->info.n_vocab = read_number(r, "n_vocab", 1, TSR_VOCAB_MOST_N);
        break;
    case KEY_N_INPUT:
        m->info.n_input = read_number(r, "n_input", 1, TSR_VOCAB_MOST_N);
        break;
    case KEY_TEXT_LENGTH:
        m->info.text_length = read_number(r, "text_length", 1, 65536);
        break;
    case KEY_TOKENIZER:
        read_tokenizer(r);
        break;
    case KEY_BLOCKS:
        tsr_json_enter(&r->j, '[');
        while (tsr_json_element(&r->j))
            read_block(r);
        break;
    case KEY_SPECIAL:
        read_members(r, "special", read_special);
        break;
    case KEY_SIZE_TEXT:
        read_size_text(r);
        break;
    case KEY_PICTURES:
        read_members(r, "pictures", read_picture);
        break;
    case KEY_TEMPLATES:
        read_members(r, "templates", read_template);
        break;
    default:
        read_notes(r);
    }
}

static void read_map(reader *r) {
    const char *key;
    uint32_t seen = 0;
    if (!tsr_json_enter(&r->j, '{')) return;
    while (tsr_json_member(&r->j, &key)) {
        const int k = key_of(r, "", key, top_keys);
        if (k < 0 || !once(r, &seen, k, "", key)) return;
        read_top(r, k);
    }
    for (int k = KEY_FORMAT; k <= KEY_CLASS; ++k)
        if (!(seen & 1u << k)) refuse(r, "%s: wanted it, got none", top_keys[k]);
}

tsr_status tsr_vocab_map_read(tsr_context *ctx, const char *name, const void *text, size_t size,
                              tsr_vocab_map *map) {
    if (size > TSR_VOCAB_BYTES)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%.300s: wanted a map of at most %d bytes, got %zu", name, TSR_VOCAB_BYTES,
                        size);
    reader r = {.ctx = ctx, .name = name, .j = tsr_json_start(text, size), .map = map};
    for (int i = 0; i < 11; ++i)
        map->size_text[i] = TSR_NO_ID;
    read_map(&r);
    if (tsr_json_finish(&r.j) && !r.status) r.status = tsr_json_failed(ctx, name, &r.j);
    tsr_json_free(&r.j);
    return r.status ? r.status : tsr_vocab_map_settle(ctx, name, map);
}
