/* SPDX-License-Identifier: MIT */
/* vocab_map.h: the inside of a vocabulary map. Places of names are resolved once, when the map is
 * read (map_read.c) and checked (map_check.c); nobody else looks names up. */
#ifndef RUNNER_VOCAB_MAP_H
#define RUNNER_VOCAB_MAP_H

#include <stdbool.h>
#include <tessera/runner/prompt.h>
#include "../compute/context.h"

enum {
    TSR_VOCAB_BLOCKS = 8,
    TSR_VOCAB_SPECIALS = 128,
    TSR_VOCAB_PICTURES = 8,
    TSR_VOCAB_TEMPLATES = 16,
    TSR_VOCAB_PARTS = 32, /* of a template */
    TSR_VOCAB_GRIDS = 16,
    TSR_VOCAB_NOTES = 16,
    TSR_VOCAB_LEVELS = 16,
    TSR_VOCAB_NAME = 64,
    TSR_VOCAB_TEXT = 128,
    TSR_VOCAB_LONG = 512,
    TSR_VOCAB_BYTES = 1 << 20, /* of a file */
    TSR_VOCAB_MOST_IDS = 1 << 26,
    TSR_VOCAB_MOST_N = 1 << 28, /* n_vocab */
    TSR_VOCAB_STAR = 10         /* place of '*' in size_text */
};
/* Ids of tokens that have a text alone stand above this number while a string is read. */
#define TSR_VOCAB_PSEUDO  0xFFFF0000u
#define TSR_VOCAB_TEXT_ID (TSR_VOCAB_PSEUDO - 1)
#define TSR_VOCAB_SIZE_ID (TSR_VOCAB_PSEUDO - 32) /* + 0..10: a digit or '*' without an id */

typedef struct tsr_vocab_block {
    char name[TSR_VOCAB_NAME];
    uint32_t first_code, count, first_id;
    char text[TSR_VOCAB_TEXT];
    int prefix, digits; /* of `text`: bytes before the conversion, and its width; -1: letters */
    int after;          /* where the text behind the conversion begins */
} tsr_vocab_block;

typedef struct tsr_vocab_special {
    char name[TSR_VOCAB_NAME];
    uint32_t id;
    char text[TSR_VOCAB_TEXT];
} tsr_vocab_special;

/* Places in `specials` of what a layout writes; -1: nothing. */
typedef struct tsr_vocab_picture {
    char name[TSR_VOCAB_NAME];
    char names[8][TSR_VOCAB_NAME]; /* block, begin, start, eol, frame_separator, frame_end, end,
                                      size base, as they were read */
    int block, begin, start, eol, frame_separator, frame_end, end, size_base;
    tsr_map_geometry geometry;
    bool has_geometry;
    tsr_map_size size;
    uint32_t size_unit;
    tsr_map_rows rows;
    uint32_t least_codes, most_codes, least_frames, most_frames;
    uint32_t grids[TSR_VOCAB_GRIDS][2];
    int grid_count;
} tsr_vocab_picture;

typedef enum tsr_vocab_part_kind {
    TSR_PART_SPECIAL, /* "@name" */
    TSR_PART_TEXT,    /* "text:key" */
    TSR_PART_PICTURE, /* "picture", "picture:name": all of a layout */
    TSR_PART_HEAD,    /* "head": up to its first code */
    TSR_PART_BODY,    /* "body": from its first code on */
    TSR_PART_EACH,    /* {"each": [...]}: once for each picture that is left */
    TSR_PART_EACH_END,
    TSR_PART_FIELD, /* {"field": "left", "extra": n, "with": name, "parts": [...]} */
    TSR_PART_FIELD_END
} tsr_vocab_part_kind;
typedef struct tsr_vocab_part {
    tsr_vocab_part_kind kind;
    int index;                 /* of the special token or the layout */
    bool left;                 /* of a field: filled on the left */
    uint32_t extra;            /* of a field: its length is text_length + extra */
    char name[TSR_VOCAB_NAME]; /* of what is named */
} tsr_vocab_part;
typedef struct tsr_vocab_template {
    char name[TSR_VOCAB_NAME];
    tsr_vocab_part parts[TSR_VOCAB_PARTS];
    int count, pictures;
    char text[1024];
} tsr_vocab_template;

struct tsr_vocab_map {
    tsr_map_info info; /* its texts are the arrays below */
    char name[TSR_VOCAB_NAME], model[TSR_VOCAB_TEXT], source[TSR_VOCAB_TEXT];
    char revision[TSR_VOCAB_TEXT], reason[TSR_VOCAB_LONG], use[TSR_VOCAB_LONG];
    char families[TSR_VOCAB_TEXT], models[TSR_VOCAB_TEXT];
    uint32_t levels[TSR_VOCAB_LEVELS];
    uint32_t size_text[11]; /* ids of the digits and of '*'; TSR_NO_ID */
    bool has_size_text;
    tsr_vocab_block blocks[TSR_VOCAB_BLOCKS];
    tsr_vocab_special specials[TSR_VOCAB_SPECIALS];
    tsr_vocab_picture pictures[TSR_VOCAB_PICTURES];
    tsr_vocab_template templates[TSR_VOCAB_TEMPLATES];
    char notes[TSR_VOCAB_NOTES][TSR_VOCAB_LONG];
};

/* Checks a map that was read and fills in the places of names. `name` begins detail texts. */
tsr_status tsr_vocab_map_settle(tsr_context *ctx, const char *name, tsr_vocab_map *map);
/* Place of a special token, a layout (NULL: the first) or a template; -1 where there is none. */
int tsr_vocab_special_find(const tsr_vocab_map *map, const char *name);
int tsr_vocab_picture_find(const tsr_vocab_map *map, const char *name);
int tsr_vocab_template_find(const tsr_vocab_map *map, const char *name);
/* Id of special token `index`, or a number above TSR_VOCAB_PSEUDO that stands for its text. */
static inline uint32_t tsr_vocab_id(const tsr_vocab_map *map, int index) {
    const uint32_t id = map->specials[index].id;
    return id == TSR_NO_ID ? TSR_VOCAB_PSEUDO + (uint32_t)index : id;
}
/* Id of digit 0..9 or TSR_VOCAB_STAR of a size in words. */
static inline uint32_t tsr_vocab_size_id(const tsr_vocab_map *map, int character) {
    const uint32_t id = map->size_text[character];
    return id == TSR_NO_ID ? TSR_VOCAB_SIZE_ID + (uint32_t)character : id;
}
/* True when a layout allows a grid of that many frames, rows and columns. */
bool tsr_vocab_grid_allowed(const tsr_vocab_picture *picture, uint32_t frames, uint32_t rows,
                            uint32_t columns);
/* Writes what a layout allows: "32 x 32", "1 to 256 codes". */
void tsr_vocab_allowed_text(const tsr_vocab_picture *picture, char *text, size_t size);
/* Writes the text of a code, at most size - 1 bytes; returns its length. */
size_t tsr_vocab_code_text(const tsr_vocab_block *block, uint32_t code, char *text, size_t size);
/* Splits the pattern of a block; false where it is none. */
bool tsr_vocab_pattern(tsr_vocab_block *block);
/* Reads the token of a code at `text`: its length, and *code; 0 where there is none. */
size_t tsr_vocab_code_read(const tsr_vocab_block *block, const char *text, size_t size,
                           uint32_t *code);
/* Fails with UNSUPPORTED where a map has no layouts, with its reason. */
tsr_status tsr_vocab_has_layouts(tsr_context *ctx, const tsr_vocab_map *map);

#endif
