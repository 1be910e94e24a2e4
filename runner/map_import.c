/* SPDX-License-Identifier: MIT */
/* map_import.c: the map of a model that is laid out like another one, with the ids of its own
 * tokenizer. Nothing is guessed: what the table does not have by the text of the other map is a
 * failure. */
#include "../formats/json_text.h"
#include "vocab_map.h"

#include <stdlib.h>

typedef struct writer {
    tsr_context *ctx;
    const tsr_vocab_map *like;
    const tsr_token_table *table;
    tsr_bytes out;
    bool first; /* of the members of the object that is open */
    tsr_status status;
} writer;

static void put_text(writer *w, const char *text) {
    tsr_json_put(&w->out, text, strlen(text), false);
}

/* The name of the next member of an object, `level` deep. */
static void put_key(writer *w, int level, const char *key) {
    tsr_json_put_format(&w->out, "%s\n%*s", w->first ? "" : ",", 2 * level, "");
    w->first = false;
    put_text(w, key);
    tsr_json_put_format(&w->out, ": ");
}

static void put_member(writer *w, int level, const char *key, const char *text) {
    if (!*text) return;
    put_key(w, level, key);
    put_text(w, text);
}

static void put_number(writer *w, int level, const char *key, uint64_t number) {
    put_key(w, level, key);
    tsr_json_put_number(&w->out, number);
}

static void open_object(writer *w, int level, const char *key) {
    put_key(w, level, key);
    tsr_json_put_format(&w->out, "{");
    w->first = true;
}

static void close_object(writer *w, int level) {
    tsr_json_put_format(&w->out, "\n%*s}", 2 * level, "");
    w->first = false;
}

static uint32_t find(writer *w, const char *what, const char *text) {
    const uint32_t id = tsr_token_table_find(w->table, text, strlen(text));
    if (id == TSR_NO_ID && !w->status)
        w->status = *text ? tsr_fail(w->ctx, TSR_ERROR_NOT_FOUND,
                                     "map like %s: %s: wanted \"%s\" in the tokenizer, got none",
                                     w->like->name, what, text)
                          : tsr_fail(w->ctx, TSR_ERROR_NOT_FOUND,
                                     "map like %s: %s: wanted a text to look it up by, got none",
                                     w->like->name, what);
    return id;
}

static void put_blocks(writer *w) {
    char text[TSR_VOCAB_TEXT + 16];
    put_key(w, 1, "blocks");
    tsr_json_put_format(&w->out, "[");
    for (int i = 0; i < w->like->info.blocks && !w->status; ++i) {
        const tsr_vocab_block *b = &w->like->blocks[i];
        uint32_t first = 0;
        for (uint32_t k = 0; k < b->count && !w->status; ++k) {
            text[0] = '\0';
            tsr_vocab_code_text(b, b->first_code + k, text, sizeof text);
            const uint32_t id = find(w, b->name, text);
            if (!k) first = id;
            if (id != first + k && !w->status)
                w->status =
                    tsr_fail(w->ctx, TSR_ERROR_FORMAT,
                             "blocks.%s: wanted ids without gaps from %u, got %u for code %u",
                             b->name, first, id, b->first_code + k);
        }
        tsr_json_put_format(&w->out, "%s\n    {\"name\": ", i ? "," : "");
        put_text(w, b->name);
        tsr_json_put_format(&w->out,
                            ", \"first_code\": %u, \"count\": %u, \"first_id\": %u, "
                            "\"text\": ",
                            b->first_code, b->count, first);
        put_text(w, b->text);
        tsr_json_put_format(&w->out, "}");
    }
    tsr_json_put_format(&w->out, "\n  ]");
}

static void put_specials(writer *w) {
    open_object(w, 1, "special");
    for (int i = 0; i < w->like->info.specials && !w->status; ++i) {
        const tsr_vocab_special *s = &w->like->specials[i];
        const uint32_t id = find(w, s->name, s->text);
        put_key(w, 2, s->name);
        tsr_json_put_format(&w->out, "{\"id\": %u, \"text\": ", id);
        put_text(w, s->text);
        tsr_json_put_format(&w->out, "}");
    }
    close_object(w, 1);
    if (!w->like->has_size_text) return;
    open_object(w, 1, "size_text");
    for (int i = 0; i < 11 && !w->status; ++i) {
        const char text[2] = {"0123456789*"[i], '\0'};
        put_number(w, 2, text, find(w, "size_text", text));
    }
    close_object(w, 1);
}

static void put_range(writer *w, const char *key, uint32_t least, uint32_t most) {
    put_key(w, 3, key);
    if (least == most)
        tsr_json_put_format(&w->out, "%u", least);
    else
        tsr_json_put_format(&w->out, "[%u, %u]", least, most);
}

static void put_pictures(writer *w) {
    static const char *const keys[] = {"block",           "begin",     "start", "eol",
                                       "frame_separator", "frame_end", "end",   "size_base"};
    static const char *const sizes[] = {"", "text", "grid"}, *const rows[] = {"", "between",
                                                                              "every"};
    static const char *const geometries[] = {"grid", "sequence", "kept"};
    open_object(w, 1, "pictures");
    for (int i = 0; i < w->like->info.pictures; ++i) {
        const tsr_vocab_picture *p = &w->like->pictures[i];
        open_object(w, 2, p->name);
        for (int k = 0; k < 8; ++k)
            put_member(w, 3, keys[k], p->names[k]);
        put_member(w, 3, "size", sizes[p->size]);
        put_member(w, 3, "rows", rows[p->rows]);
        if (p->has_geometry) put_member(w, 3, "geometry", geometries[p->geometry]);
        if (p->most_codes) put_range(w, "codes", p->least_codes, p->most_codes);
        if (p->most_frames > 1) put_range(w, "frames", p->least_frames, p->most_frames);
        if (p->size_unit > 1) put_number(w, 3, "unit", p->size_unit);
        if (p->grid_count) {
            put_key(w, 3, "grids");
            for (int g = 0; g < p->grid_count; ++g)
                tsr_json_put_format(&w->out, "%s[%u, %u]", g ? ", " : "[", p->grids[g][0],
                                    p->grids[g][1]);
            tsr_json_put_format(&w->out, "]");
        }
        if (w->first) tsr_json_put_format(&w->out, "\n");
        close_object(w, 2);
    }
    close_object(w, 1);
}

static void put_templates(writer *w) {
    static const char *const words[] = {"@", "text:", "picture", "head", "body"};
    open_object(w, 1, "templates");
    for (int i = 0; i < w->like->info.templates; ++i) {
        const tsr_vocab_template *t = &w->like->templates[i];
        bool first = true;
        put_key(w, 2, t->name);
        tsr_json_put_format(&w->out, "[");
        for (int k = 0; k < t->count; ++k) {
            const tsr_vocab_part *p = &t->parts[k];
            const bool end = p->kind == TSR_PART_EACH_END || p->kind == TSR_PART_FIELD_END;
            tsr_json_put_format(&w->out, "%s", end ? "]}" : first ? "" : ", ");
            first = p->kind == TSR_PART_EACH || p->kind == TSR_PART_FIELD;
            if (p->kind == TSR_PART_EACH)
                tsr_json_put_format(&w->out, "{\"each\": [");
            else if (p->kind == TSR_PART_FIELD)
                tsr_json_put_format(&w->out,
                                    "{\"field\": \"%s\", \"with\": \"%s\", \"extra\": %u, "
                                    "\"parts\": [",
                                    p->left ? "left" : "right", p->name, p->extra);
            else if (!end)
                tsr_json_put_format(&w->out, "\"%s%s%s\"", words[p->kind],
                                    p->kind >= TSR_PART_PICTURE && *p->name ? ":" : "", p->name);
        }
        tsr_json_put_format(&w->out, "]");
    }
    close_object(w, 1);
}

static void put_tokenizer(writer *w) {
    static const char *const geometries[] = {"grid", "sequence", "kept"};
    const tsr_map_info *m = &w->like->info;
    open_object(w, 1, "tokenizer");
    put_number(w, 2, "codebook_size", m->codebook_size);
    if (m->stride[0]) {
        put_key(w, 2, "stride");
        tsr_json_put_format(&w->out, "[%u, %u, %u]", m->stride[0], m->stride[1], m->stride[2]);
    }
    put_member(w, 2, "geometry", geometries[m->geometry]);
    if (m->level_count) put_key(w, 2, "levels");
    for (uint32_t i = 0; i < m->level_count; ++i)
        tsr_json_put_format(&w->out, "%s%u%s", i ? ", " : "[", m->levels[i],
                            i + 1 == m->level_count ? "]" : "");
    close_object(w, 1);
}

tsr_status tsr_vocab_map_import(tsr_context *ctx, const tsr_token_table *table,
                                const tsr_vocab_map *like, const char *name, char **text) {
    static const char *const classes[] = {"A", "B", "C", "D"};
    if (text) *text = NULL;
    if (!table || !like || !name || !text)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_import: wanted table, map, name and text, got NULL");
    writer w = {.ctx = ctx, .like = like, .table = table, .first = true};
    const uint32_t n = tsr_token_table_vocabulary((tsr_token_table *)(uintptr_t)table).count;
    w.status = tsr_vocab_has_layouts(ctx, like);
    tsr_json_put_format(&w.out, "{");
    put_member(&w, 1, "format", "tessera vocabulary map 1");
    put_member(&w, 1, "name", name);
    put_member(&w, 1, "model", like->model);
    put_member(&w, 1, "class", classes[like->info.kind]);
    put_member(&w, 1, "reason", like->reason);
    put_member(&w, 1, "use", like->use);
    put_number(&w, 1, "n_vocab", n);
    if (like->info.text_length) put_number(&w, 1, "text_length", like->info.text_length);
    put_tokenizer(&w);
    put_blocks(&w);
    put_specials(&w);
    put_pictures(&w);
    put_templates(&w);
    put_key(&w, 1, "notes");
    tsr_json_put_format(&w.out, "[");
    put_text(&w, "Laid out like another map; the ids are those of its tokenizer.");
    tsr_json_put_format(&w.out, "]\n}\n");
    tsr_bytes_u8(&w.out, 0);
    if (!w.status && w.out.failed)
        w.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "no memory for a vocabulary map");
    tsr_vocab_map *made = NULL; /* what was written must be a map, too */
    if (!w.status) w.status = tsr_vocab_map_parse(ctx, name, w.out.at, w.out.size - 1, &made);
    tsr_vocab_map_close(&made);
    if (w.status)
        tsr_bytes_free(&w.out);
    else
        *text = (char *)w.out.at;
    return w.status;
}
