/* SPDX-License-Identifier: MIT */
/* map.h: vocabulary maps: how the codes of a visual tokenizer stand in the vocabulary of a language
 * model, and how a picture is laid out in its prompts. A map is a file of JSON
 * (docs/VOCABULARY_MAPS.md is its schema); those of published models are part of this library.
 * prompt.h makes prompts and reads replies by a map.
 *
 *     tsr_vocab_map *map;
 *     if (tsr_vocab_map_open(ctx, "emu3", &map)) ...
 *     uint32_t id = tsr_vocab_map_special(map, "eoi"); // 151853
 *     tsr_vocab_map_close(&map);
 *
 * A map is never changed after it was opened, but by tsr_vocab_map_resolve: any number of threads
 * may read it. Everything it gives belongs to it. Nothing here opens a connection. */
#ifndef TESSERA_RUNNER_MAP_H
#define TESSERA_RUNNER_MAP_H

#include <stddef.h>
#include <tessera/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How codes and text stand together in a model. */
typedef enum tsr_map_class {
    TSR_MAP_CAUSAL = 0, /* class A: one vocabulary, read from left to right: prompts and replies */
    TSR_MAP_MASKED = 1, /* class B: one vocabulary, but pictures are filled in by masks: ids are
                           good for data sets; a causal runner answers without meaning */
    TSR_MAP_OWN = 2,    /* class C: codes have a table or a head of their own: ids are for export,
                           and a runner must be told which places they stand in */
    TSR_MAP_REFUSED = 3 /* class D: the model has no discrete codes at all */
} tsr_map_class;

/* How the codes of a picture are arranged in a prompt. */
typedef enum tsr_map_geometry {
    TSR_MAP_GRID = 0,     /* frames x rows x columns, row by row, time outermost */
    TSR_MAP_SEQUENCE = 1, /* codes of an order of their own: 1-D tokenizers */
    TSR_MAP_KEPT = 2      /* codes of the kept places of a grid, row by row; the places are lost */
} tsr_map_geometry;

/* How the size of a picture stands before its codes. */
typedef enum tsr_map_size {
    TSR_MAP_SIZE_NONE = 0, /* it does not */
    TSR_MAP_SIZE_TEXT = 1, /* text "H*W", an id for each character */
    TSR_MAP_SIZE_GRID = 2  /* two ids, base + rows / unit and base + columns / unit */
} tsr_map_size;

/* Where ids stand between the rows of a picture. */
typedef enum tsr_map_rows {
    TSR_MAP_ROWS_NONE = 0,    /* nowhere */
    TSR_MAP_ROWS_BETWEEN = 1, /* between two rows */
    TSR_MAP_ROWS_EVERY = 2    /* after each row, the last one too */
} tsr_map_rows;

/* The id of a special token that is known by its text alone. */
#define TSR_NO_ID UINT32_MAX

/* A vocabulary map that was opened. */
typedef struct tsr_vocab_map tsr_vocab_map;

/* What a map says as a whole. Texts are "" where the map has none. */
typedef struct tsr_map_info {
    const char *name;          /* 1..63 of a-z 0-9 . _ - */
    const char *model;         /* for people */
    tsr_map_class kind;        /* class */
    const char *source;        /* repository that the layout was read from: "github:OWNER/NAME" */
    const char *revision;      /* commit of it */
    const char *reason;        /* of classes C and D: why its codes are not in the vocabulary */
    const char *use;           /* of classes C and D: what can be done all the same */
    uint32_t n_vocab;          /* rows of the output; 0: not known */
    uint32_t n_input;          /* rows of the input table: every id is below it; 0: not known */
    uint32_t codebook_size;    /* of the tokenizer that the model wants; 0: several, or none */
    uint32_t stride[3];        /* frames, rows and columns of pixels for one code; 0: none */
    tsr_map_geometry geometry; /* of its tokens */
    const char *families, *models; /* our families and catalog names that make such codes, with
                                      blanks between; "" where none does */
    const uint32_t *levels;        /* [level_count] of an FSQ codebook */
    uint32_t level_count;
    uint32_t text_length; /* ids of the field that templates cut or fill text to; 0: none
                             of them does */
    int blocks, specials, pictures, templates, notes; /* how many there are */
} tsr_map_info;

/* Codes that stand next to each other in the vocabulary: id = first_id + code - first_code. */
typedef struct tsr_map_block {
    const char *name;
    uint32_t first_code, count, first_id;
    const char *text; /* how the token of a code is written: printf's %d or %05d of the code, or %A,
                         its decimal digits as letters A..J; "" where it has no text */
} tsr_map_block;

/* A token of structure. */
typedef struct tsr_map_special {
    const char *name; /* "boi", "eol" */
    uint32_t id;      /* TSR_NO_ID: known by its text alone */
    const char *text; /* how it is written; "" where that is not known */
} tsr_map_special;

/* The layout of one picture. Names of special tokens are "" where the layout has none. */
typedef struct tsr_map_picture {
    const char *name;
    const char *block;
    tsr_map_geometry geometry;
    const char *begin, *start; /* before the size, and between it and the codes */
    tsr_map_size size;
    uint32_t size_unit; /* of TSR_MAP_SIZE_GRID; rows and columns are multiples of it */
    tsr_map_rows rows;
    const char *eol, *frame_separator, *frame_end, *end;
    uint32_t least_codes, most_codes;   /* of a sequence; 0, 0: any number */
    uint32_t least_frames, most_frames; /* of a grid; 1, 1 for pictures */
    const uint32_t (*grids)[2];         /* [grid_count] rows and columns that are allowed */
    int grid_count;                     /* 0: any */
} tsr_map_picture;

/* A sequence that prompts are made by. */
typedef struct tsr_map_template {
    const char *name;
    const char *parts; /* as the map writes them, with blanks between */
    int pictures;      /* how many it takes; -1: any number */
} tsr_map_template;

/* Number of maps that are part of the library, and the name of one, in alphabetical order. */
int tsr_vocab_map_count(void);
const char *tsr_vocab_map_name(int index);
/* Opens the map called `name`, or, when it holds a '/' or ends in .json, a file of the user's own.
 * *map is NULL on error; else the caller closes it. Errors: NOT_FOUND (no such file; no such map:
 * the detail names a near one), FORMAT (the detail names file, key, wanted and got), TOO_LARGE (a
 * file above a MiB), IO, MEMORY, ARGUMENT (NULL). */
tsr_status tsr_vocab_map_open(tsr_context *ctx, const char *name, tsr_vocab_map **map);
/* Opens a map from text in memory, which is not needed afterwards. `name` begins detail texts.
 * Errors: as above. */
tsr_status tsr_vocab_map_parse(tsr_context *ctx, const char *name, const void *text, size_t size,
                               tsr_vocab_map **map);
/* Closes a map and sets *map to NULL. NULL and a NULL *map are accepted. */
void tsr_vocab_map_close(tsr_vocab_map **map);

/* What a map holds. `map` must not be NULL, and an index must be below the number in the info. */
const tsr_map_info *tsr_vocab_map_info(const tsr_vocab_map *map);
tsr_map_block tsr_vocab_map_block(const tsr_vocab_map *map, int index);
tsr_map_special tsr_vocab_map_special_at(const tsr_vocab_map *map, int index);
tsr_map_picture tsr_vocab_map_picture(const tsr_vocab_map *map, int index);
tsr_map_template tsr_vocab_map_template(const tsr_vocab_map *map, int index);
const char *tsr_vocab_map_note(const tsr_vocab_map *map, int index);
/* Id of the special token called `name`; TSR_NO_ID where there is none, or none with an id. */
uint32_t tsr_vocab_map_special(const tsr_vocab_map *map, const char *name);
/* Writes how the token of `code` is written, at most size - 1 bytes and a zero, and returns its
 * length; 0 where it has no text or the code is not in the block. */
size_t tsr_vocab_map_code_text(const tsr_vocab_map *map, int block, uint32_t code, char *text,
                               size_t size);
/* Fails with UNSUPPORTED unless a runner can be sent prompts of this map and its replies mean
 * something: class A. The detail says why not, and what can be done. */
tsr_status tsr_vocab_map_runnable(tsr_context *ctx, const tsr_vocab_map *map);

/* ---- a model's vocabulary beside a map ---- */

/* The vocabulary of a model: of a GGUF file, a tokenizer.json, a server. */
typedef struct tsr_vocabulary {
    uint32_t count; /* ids are below it; 0: not known */
    /* The text of the token `id`, which is valid until the next call, and its bytes; NULL where it
     * has none. May be NULL: then nothing is known but `count`. */
    const char *(*text)(void *user, uint32_t id, size_t *size);
    void *user; /* first argument of `text` */
} tsr_vocabulary;

/* Receives one comparison: what was compared, 1 when it agrees, 0 when not, -1 when it cannot be
 * compared, and a line about it. Texts are valid during the call. */
typedef void (*tsr_map_line_fn)(void *user, const char *what, int agrees, const char *text);
/* Compares a map with a vocabulary: the number of ids, the text of every special token, and the
 * text of codes of every block (first, last and some between, or with `all` each one). A vocabulary
 * of more ids than the map passes where texts were compared and agree, since converters fill up.
 * *failed becomes the number of comparisons that do not agree; `line` may be NULL. Errors: ARGUMENT
 * (NULL), UNSUPPORTED (class D). */
tsr_status tsr_vocab_map_check(tsr_context *ctx, const tsr_vocab_map *map,
                               const tsr_vocabulary *vocabulary, int all, tsr_map_line_fn line,
                               void *user, int *failed);

/* A tokenizer.json of Hugging Face (its added tokens and its vocabulary), a config.json with a
 * vocabulary_map, or the vocabulary of a GGUF file: texts and their ids, and nothing of how text is
 * cut into tokens. */
typedef struct tsr_token_table tsr_token_table;
/* Opens one. *table is NULL on error; else the caller closes it. Errors: NOT_FOUND, IO, TOO_LARGE
 * (JSON above 256 MiB), FORMAT (none of them; an id twice with different texts; a text twice),
 * MEMORY. */
tsr_status tsr_token_table_open(tsr_context *ctx, const char *path, tsr_token_table **table);
/* The same from JSON in memory, which is not needed afterwards. */
tsr_status tsr_token_table_parse(tsr_context *ctx, const char *name, const void *text, size_t size,
                                 tsr_token_table **table);
void tsr_token_table_close(tsr_token_table **table);
/* The table as a vocabulary, valid as long as the table. `count` is the config's vocab_size, or
 * else the greatest id plus 1. */
tsr_vocabulary tsr_token_table_vocabulary(tsr_token_table *table);
/* Id of the token written exactly so; TSR_NO_ID where there is none. */
uint32_t tsr_token_table_find(const tsr_token_table *table, const char *text, size_t size);
/* Ids of a text that is added and special tokens alone, one behind the other, the longest first.
 * How other text becomes tokens is not in a table: it is refused. *ids [*count] is freed by the
 * caller with free(), NULL on error. Errors: UNSUPPORTED (other text, and where it begins),
 * ARGUMENT (NULL), MEMORY. */
tsr_status tsr_token_table_ids(tsr_context *ctx, const tsr_token_table *table, const char *text,
                               uint32_t **ids, uint64_t *count);

/* Gives special tokens that are known by their text alone the ids of a table, and a map without
 * n_vocab the table's. Errors: NOT_FOUND (a text that the table lacks), FORMAT (an id inside a
 * block), ARGUMENT (NULL). */
tsr_status tsr_vocab_map_resolve(tsr_context *ctx, tsr_vocab_map *map,
                                 const tsr_token_table *table);
/* Makes the map of a model that is laid out like `like` but numbers its tokens otherwise: every
 * special token and every block of `like` is looked up in the table by its text, and a block's ids
 * must be without gaps. *text is the map, JSON in UTF-8 with a zero byte at its end, which the
 * caller frees with free(). Errors: NOT_FOUND (a text that the table lacks; a token without text),
 * FORMAT (ids of a block with gaps), ARGUMENT (NULL; a name that is none), MEMORY. */
tsr_status tsr_vocab_map_import(tsr_context *ctx, const tsr_token_table *table,
                                const tsr_vocab_map *like, const char *name, char **text);

/* Checks the cases and replies of a golden file of maps ("vocabulary-map-golden 1"): prompts are
 * built from its codes and compared id by id, read back, and damaged replies must get their
 * verdicts, with the map called `model` in the file. `line` receives each comparison and may be
 * NULL. *passed and *failed become their numbers. TSR_OK also when comparisons failed. Errors:
 * NOT_FOUND, IO, FORMAT, MEMORY. */
tsr_status tsr_vocab_map_verify(tsr_context *ctx, const char *path, tsr_map_line_fn line,
                                void *user, int *passed, int *failed);

#ifdef __cplusplus
}
#endif
#endif
