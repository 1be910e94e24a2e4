/* SPDX-License-Identifier: MIT */
/* reply_grammar.c: the layout of a picture as a grammar of ids, <[id]> in llama.cpp's GBNF. */
#include <stdlib.h>
#include "formats/json_text.h"
#include "vocab_map.h"

static void put_id(tsr_bytes *g, uint32_t id) {
    tsr_json_put_format(g, " <[%u]>", id);
}

/* The id of a token of the layout; TSR_NO_ID where it has none. */
static tsr_status find_id(tsr_context *ctx, const tsr_vocab_map *map, int special, uint32_t *id) {
    *id = special < 0 ? TSR_NO_ID : map->specials[special].id;
    if (special >= 0 && *id == TSR_NO_ID)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "map %s: %s: wanted an id for a grammar, got a text alone", map->name,
                        map->specials[special].name);
    return TSR_OK;
}

static bool allowed(const tsr_vocab_picture *p, const tsr_reply_settings *s) {
    const uint32_t frames = s->frames ? s->frames : 1, rows = s->rows ? s->rows : 1;
    if (!s->columns) return false;
    if (p->geometry != TSR_MAP_GRID) {
        const uint64_t codes = (uint64_t)rows * s->columns;
        return frames == 1 &&
               (!p->most_codes || (codes >= p->least_codes && codes <= p->most_codes));
    }
    bool found = p->grid_count == 0;
    for (int i = 0; i < p->grid_count; ++i)
        found |= p->grids[i][0] == rows && p->grids[i][1] == s->columns;
    return found && (!p->most_frames || (frames >= p->least_frames && frames <= p->most_frames));
}

/* The codes of a frame with the separators of its rows. */
static void put_frame(tsr_bytes *g, const tsr_vocab_picture *p, uint32_t rows, uint32_t columns,
                      uint32_t eol) {
    if (p->geometry != TSR_MAP_GRID || p->rows == TSR_MAP_ROWS_NONE) {
        tsr_json_put_format(g, "frame ::= code{%llu}\n", (unsigned long long)rows * columns);
        return;
    }
    const uint32_t ended = p->rows == TSR_MAP_ROWS_EVERY ? rows : rows - 1;
    tsr_json_put_format(g, "row ::= code{%u}", columns);
    put_id(g, eol);
    tsr_json_put_format(g, "\nframe ::=");
    if (ended) tsr_json_put_format(g, " row{%u}", ended);
    if (ended < rows) tsr_json_put_format(g, " code{%u}", columns);
    tsr_json_put_format(g, "\n");
}

tsr_status tsr_reply_grammar(tsr_context *ctx, const tsr_vocab_map *map,
                             const tsr_reply_settings *s, char **text) {
    uint32_t eol = TSR_NO_ID, separator = TSR_NO_ID, frame_end = TSR_NO_ID, end = TSR_NO_ID;
    if (!map || !s || !text)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "reply: wanted a map and settings, got NULL");
    *text = NULL;
    const int at = tsr_vocab_picture_find(map, s->picture);
    if (at < 0)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "map %s: wanted the layout %s, got none",
                        map->name, s->picture ? s->picture : "of a picture");
    const tsr_vocab_picture *p = &map->pictures[at];
    if (!allowed(p, s))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "map %s: grid: wanted one that the layout %s allows, got %u,%u,%u",
                        map->name, p->name, s->frames, s->rows, s->columns);
    tsr_status status = find_id(ctx, map, p->eol, &eol);
    if (!status) status = find_id(ctx, map, p->frame_separator, &separator);
    if (!status) status = find_id(ctx, map, p->frame_end, &frame_end);
    if (!status) status = find_id(ctx, map, p->end, &end);
    const uint32_t other = p->rows ? eol : separator != TSR_NO_ID ? separator : end;
    if (!status && other == TSR_NO_ID)
        status = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                          "map %s: layout %s: wanted an id that ends something, got none",
                          map->name, p->name);
    if (status) return status;
    const uint32_t frames = s->frames ? s->frames : 1;
    tsr_bytes g = {0};
    tsr_json_put_format(&g, "root ::= frame");
    if (frames > 1 && separator != TSR_NO_ID)
        tsr_json_put_format(&g, " (<[%u]> frame){%u}", separator, frames - 1);
    else if (frames > 1)
        tsr_json_put_format(&g, " frame{%u}", frames - 1);
    if (frame_end != TSR_NO_ID) put_id(&g, frame_end);
    if (end != TSR_NO_ID) put_id(&g, end);
    tsr_json_put_format(&g, "\n");
    put_frame(&g, p, s->rows ? s->rows : 1, s->columns, eol);
    tsr_json_put_format(&g, "code ::= !<[%u]>\n", other);
    tsr_bytes_u8(&g, 0);
    if (g.failed) {
        tsr_bytes_free(&g);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "map %s: memory for a grammar", map->name);
    }
    *text = (char *)g.at;
    return TSR_OK;
}
