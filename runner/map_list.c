/* SPDX-License-Identifier: MIT */
/* map_list.c: the maps that are part of the library, maps of files, and what a map says. */
#include "../formats/file.h"
#include "map_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP(symbol, name, file)                                                                    \
    extern const uint8_t tsr_vocab_map_text_##symbol[], tsr_vocab_map_text_end_##symbol[];
#include "maps.def"
#undef MAP

static const struct {
    const char *name;
    const uint8_t *text, *end;
} maps[] = {
#define MAP(symbol, name, file)                                                                    \
    {name, tsr_vocab_map_text_##symbol, tsr_vocab_map_text_end_##symbol},
#include "maps.def"
#undef MAP
};
enum { COUNT = sizeof maps / sizeof *maps };

int tsr_vocab_map_count(void) {
    return COUNT;
}

const char *tsr_vocab_map_name(int index) {
    return maps[index].name;
}

tsr_status tsr_vocab_map_parse(tsr_context *ctx, const char *name, const void *text, size_t size,
                               tsr_vocab_map **map) {
    if (map) *map = NULL;
    if (!map || !name || (!text && size))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_parse: wanted name, text and map, "
                        "got NULL");
    tsr_vocab_map *m = tsr_alloc(ctx, 1, sizeof *m, "vocabulary map");
    if (!m) return TSR_ERROR_MEMORY;
    const tsr_status status = tsr_vocab_map_read(ctx, name, text, size, m);
    if (status)
        free(m);
    else
        *map = m;
    return status;
}

/* How many of its beginning letters a name has in common with another, for a suggestion. */
static size_t alike(const char *a, const char *b) {
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        ++n;
    return n;
}

static tsr_status no_map(tsr_context *ctx, const char *name) {
    int best = 0;
    for (int i = 1; i < COUNT; ++i)
        if (alike(maps[i].name, name) > alike(maps[best].name, name)) best = i;
    const bool near = alike(maps[best].name, name) > 1;
    return tsr_fail(
        ctx, TSR_ERROR_NOT_FOUND,
        "%.300s: wanted the name of a vocabulary map, or a file (with '/' in it or .json "
        "at its end), got neither%s%s%s",
        name, near ? "; did you mean " : "", near ? maps[best].name : "", near ? "?" : "");
}

tsr_status tsr_vocab_map_open(tsr_context *ctx, const char *name, tsr_vocab_map **map) {
    if (map) *map = NULL;
    if (!map || !name)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_open: wanted a name and a map, got NULL");
    const size_t length = strlen(name);
    const bool file = strchr(name, '/') || (length > 5 && !strcmp(name + length - 5, ".json"));
    for (int i = 0; i < COUNT && !file; ++i)
        if (!strcmp(maps[i].name, name))
            return tsr_vocab_map_parse(ctx, name, maps[i].text,
                                       (size_t)(maps[i].end - maps[i].text), map);
    if (!file) return no_map(ctx, name);
    tsr_map bytes;
    tsr_status status = tsr_map_open(ctx, name, &bytes);
    if (status) return status;
    status = tsr_vocab_map_parse(ctx, name, bytes.bytes, bytes.size, map);
    tsr_map_close(&bytes);
    return status;
}

void tsr_vocab_map_close(tsr_vocab_map **map) {
    if (!map) return;
    free(*map);
    *map = NULL;
}

const tsr_map_info *tsr_vocab_map_info(const tsr_vocab_map *map) {
    return &map->info;
}

tsr_map_block tsr_vocab_map_block(const tsr_vocab_map *map, int index) {
    const tsr_vocab_block *b = &map->blocks[index];
    return (tsr_map_block){b->name, b->first_code, b->count, b->first_id, b->text};
}

tsr_map_special tsr_vocab_map_special_at(const tsr_vocab_map *map, int index) {
    const tsr_vocab_special *s = &map->specials[index];
    return (tsr_map_special){s->name, s->id, s->text};
}

tsr_map_picture tsr_vocab_map_picture(const tsr_vocab_map *map, int index) {
    const tsr_vocab_picture *p = &map->pictures[index];
    return (tsr_map_picture){
        .name = p->name,
        .block = map->blocks[p->block].name,
        .geometry = p->geometry,
        .begin = p->names[1],
        .start = p->names[2],
        .size = p->size,
        .size_unit = p->size_unit,
        .rows = p->rows,
        .eol = p->names[3],
        .frame_separator = p->names[4],
        .frame_end = p->names[5],
        .end = p->names[6],
        .least_codes = p->least_codes,
        .most_codes = p->most_codes,
        .least_frames = p->least_frames,
        .most_frames = p->most_frames,
        .grids = (const uint32_t(*)[2])p->grids,
        .grid_count = p->grid_count,
    };
}

tsr_map_template tsr_vocab_map_template(const tsr_vocab_map *map, int index) {
    const tsr_vocab_template *t = &map->templates[index];
    return (tsr_map_template){t->name, t->text, t->pictures};
}

const char *tsr_vocab_map_note(const tsr_vocab_map *map, int index) {
    return map->notes[index];
}

uint32_t tsr_vocab_map_special(const tsr_vocab_map *map, const char *name) {
    const int at = tsr_vocab_special_find(map, name);
    return at < 0 ? TSR_NO_ID : map->specials[at].id;
}

size_t tsr_vocab_map_code_text(const tsr_vocab_map *map, int block, uint32_t code, char *text,
                               size_t size) {
    if (size) *text = '\0';
    return size ? tsr_vocab_code_text(&map->blocks[block], code, text, size) : 0;
}

tsr_status tsr_vocab_has_layouts(tsr_context *ctx, const tsr_vocab_map *map) {
    if (map->info.pictures) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "map %s: no prompts: %s%s%s", map->name,
                    map->reason, *map->use ? "; " : "", map->use);
}

tsr_status tsr_vocab_map_runnable(tsr_context *ctx, const tsr_vocab_map *map) {
    if (map->info.kind == TSR_MAP_CAUSAL) return TSR_OK;
    if (map->info.kind == TSR_MAP_MASKED)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "map %s: class B: pictures are filled in by masks, and a causal runner "
                        "answers without meaning; ids are good for data sets",
                        map->name);
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "map %s: class %c: %s%s%s", map->name,
                    map->info.kind == TSR_MAP_OWN ? 'C' : 'D', map->reason, *map->use ? "; " : "",
                    map->use);
}
