/* SPDX-License-Identifier: MIT */
/* prompt.h: codes of pictures to the ids that a language model reads, and the ids of its reply back
 * to codes, by a vocabulary map (map.h).
 *
 *     tsr_codes picture = {.codes = codes, .rows = 32, .columns = 32, .codebook_size = 8192};
 *     tsr_prompt_settings s = {.template_name = "image", .pictures = &picture, .picture_count = 1};
 *     tsr_prompt *prompt;
 *     if (tsr_prompt_build(ctx, map, &s, &prompt)) ...
 *     const uint32_t *ids = tsr_prompt_ids(prompt, &count);
 *
 * A map does not cut text into tokens. Where a template has text, its ids are given, or the text
 * itself stays between the ids for a server that takes both. */
#ifndef TESSERA_RUNNER_PROMPT_H
#define TESSERA_RUNNER_PROMPT_H

#include <tessera/runner/map.h>
#include <tessera/tokens.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The codes of one picture, video or clip part. */
typedef struct tsr_codes {
    const uint32_t *codes; /* [frames * rows * columns] time outermost, then row by row; below
                              codebook_size. May be NULL where a template asks for the size alone */
    tsr_geometry geometry; /* TSR_GEOMETRY_SEQUENCE: columns codes, frames and rows 1. Default: a
                              sequence */
    uint32_t frames, rows, columns; /* default 0: 1 */
    uint32_t codebook_size; /* of the tokenizer that made them; must be the map's. Default 0: not
                               known, and not compared */
    int kept;               /* 1: a sequence of the codes of the kept places of a grid; default 0 */
} tsr_codes;

/* Text for the place that a template calls `key` ("text:caption"). */
typedef struct tsr_prompt_text {
    const char *key;
    const uint32_t *ids; /* [count]; NULL: `text` alone is known */
    uint64_t count;
    const char *text; /* UTF-8; default NULL: the ids alone are known */
} tsr_prompt_text;

/* What becomes of text. */
typedef enum tsr_prompt_form {
    TSR_PROMPT_IDS = 0,   /* ids alone: text without ids is refused */
    TSR_PROMPT_MIXED = 1, /* text without ids stays text between ids */
    TSR_PROMPT_STRING = 2 /* one string, for runners that take no ids: structure and codes as the
                             texts of their tokens. The runner must parse special tokens in it; what
                             ids it makes of it nobody sees: best effort */
} tsr_prompt_form;

/* What a prompt is made of. A struct of zeros lacks the template. */
typedef struct tsr_prompt_settings {
    const char *template_name; /* of the map */
    const tsr_codes *pictures; /* [picture_count] in the order of the template */
    int picture_count;
    const tsr_prompt_text *texts; /* [text_count] those the template has no place for are refused */
    int text_count;
    tsr_prompt_form form; /* default TSR_PROMPT_IDS */
    uint32_t text_length; /* of the fields that text is cut or filled to; default 0: the map's */
} tsr_prompt_settings;

/* A prompt that was built. */
typedef struct tsr_prompt tsr_prompt;
/* Builds a prompt. *prompt is NULL on error; else the caller closes it. Errors: NOT_FOUND (no such
 * template, no text for a place), TOKENS (codes that do not fit the map: codebook, geometry,
 * number, rows and columns; a code outside the codebook), UNSUPPORTED (a map without layouts: its
 * reason; text without ids; a token without an id, or without a text), ARGUMENT (NULL; pictures or
 * texts that are left over), TOO_LARGE (more than 2^26 ids), MEMORY. */
tsr_status tsr_prompt_build(tsr_context *ctx, const tsr_vocab_map *map,
                            const tsr_prompt_settings *settings, tsr_prompt **prompt);
void tsr_prompt_close(tsr_prompt **prompt);
/* Ids of a prompt and their number; text that stayed text is not among them. Owned by the prompt.
 */
const uint32_t *tsr_prompt_ids(const tsr_prompt *prompt, uint64_t *count);
/* The string of TSR_PROMPT_STRING, and its bytes; "" for other forms. Owned by the prompt. */
const char *tsr_prompt_string(const tsr_prompt *prompt, size_t *size);
/* A piece of a prompt: ids, or text. */
typedef struct tsr_prompt_piece {
    const uint32_t *ids; /* [count] NULL: text */
    uint64_t count;
    const char *text; /* NULL: ids */
} tsr_prompt_piece;
/* Number of pieces of a prompt, and one of them: of TSR_PROMPT_IDS there is one at most. */
int tsr_prompt_pieces(const tsr_prompt *prompt);
tsr_prompt_piece tsr_prompt_piece_at(const tsr_prompt *prompt, int index);
/* A run of ids that stand in a table of their own (class C). */
typedef struct tsr_prompt_run {
    uint64_t first, count; /* of the ids of the prompt */
} tsr_prompt_run;
/* Runs of ids of a model of class C that its own table holds; none for other classes. *count
 * becomes their number. Owned by the prompt. */
const tsr_prompt_run *tsr_prompt_own_runs(const tsr_prompt *prompt, uint64_t *count);

/* ---- replies ---- */

/* What a reply is. Checks are made in an order that is written at tsr_reply_read; the first that
 * fails is the verdict. Numbers never change. */
typedef enum tsr_reply_verdict {
    TSR_REPLY_OK = 0,
    TSR_REPLY_NO_BEGIN = 1,      /* the id that begins a picture is not there */
    TSR_REPLY_BAD_SIZE = 2,      /* no well-formed size before the codes */
    TSR_REPLY_NO_END = 3,        /* the reply stops before the id that ends the picture */
    TSR_REPLY_OUTSIDE_BLOCK = 4, /* an id that is no code: `position`, `id` */
    TSR_REPLY_EXTRA_SEPARATOR =
        5, /* an empty row, or a separator where none belongs: `row` before */
    TSR_REPLY_MISSING_SEPARATOR = 6, /* `row` or `frame` before the place */
    TSR_REPLY_SHORT_ROW = 7,         /* `row`, `got`, `want` */
    TSR_REPLY_LONG_ROW = 8,
    TSR_REPLY_SIZE_DISAGREES = 9, /* `size` before the codes, `body` of the codes */
    TSR_REPLY_TOO_FEW_ROWS = 10,  /* `got`, `want` */
    TSR_REPLY_TOO_MANY_ROWS = 11,
    TSR_REPLY_MISSING_FRAME_END = 12,
    TSR_REPLY_TOO_FEW_CODES = 13, /* `got`, `want`, `want_most`; of a frame: `frame` */
    TSR_REPLY_TOO_MANY_CODES = 14,
    TSR_REPLY_TOO_FEW_FRAMES = 15, /* `got`, `want` */
    TSR_REPLY_TOO_MANY_FRAMES = 16
} tsr_reply_verdict;
/* Name of a verdict ("short_row"). Never NULL, static storage. */
const char *tsr_reply_verdict_name(tsr_reply_verdict verdict);

/* How a reply is read. A struct of zeros is the default. */
typedef struct tsr_reply_settings {
    const char *picture; /* layout of the map; default NULL: its first */
    int begun; /* 1: the prompt ended with the head of the picture (begin id, size), and the
                  reply goes on behind it; default 0 */
    uint32_t frames, rows, columns; /* grid that was asked for; default 0: what the reply says, or
                                       what the map allows. `columns` of a sequence: its codes */
    uint64_t offset;                /* where to begin: *end of the picture before; default 0 */
    int repair; /* 1: damage is repaired where codes are left, see tsr_reply; default 0 */
} tsr_reply_settings;

/* What repairing did. All zeros: nothing. */
typedef struct tsr_reply_repairs {
    uint64_t ids_left_out; /* that were no codes */
    uint64_t separators_added, separators_left_out;
    uint64_t codes_cut;         /* beyond the row, the grid or the number */
    uint64_t codes_invented;    /* where codes lacked: the last one before is repeated */
    int begin_added, end_added; /* as if the ids were there */
    int size_left_out;          /* the size before the codes was not used */
} tsr_reply_repairs;

/* A picture in a reply. */
typedef struct tsr_reply {
    tsr_reply_verdict verdict;     /* before any repair */
    int64_t row, frame, position;  /* counted from 0; -1: not of this verdict. `position` counts ids
                                      of the reply, or bytes of a string */
    uint32_t id;                   /* of TSR_REPLY_OUTSIDE_BLOCK; TSR_NO_ID in a string */
    uint64_t got, want, want_most; /* want_most: the upper end of a range, or `want` */
    uint32_t size[2], body[2];     /* rows and columns, of TSR_REPLY_SIZE_DISAGREES */
    int usable;                    /* 1: `codes` are there: the verdict is ok, or it was repaired */
    int repaired;                  /* 1: `repairs` says how */
    tsr_reply_repairs repairs;
    uint64_t end;    /* where the picture ends: the next one may begin there */
    uint64_t before; /* ids, or bytes, in front of the picture: text of the model */
    tsr_map_geometry geometry;
    uint32_t frames, rows, columns; /* of the codes; a sequence: 1, 1 and its codes */
    uint32_t *codes; /* [frames * rows * columns] NULL where not usable. Of a number of codes that
                        the map allows in several grids, the square one */
    char text[256];  /* the verdict and its numbers in words */
} tsr_reply;

/* Reads a picture in the ids of a reply. In this order, as golden section 4 of the schema has it:
 * the begin id is looked for, text before it is no damage; the size is read; ids are read up to the
 * first that is neither a code nor a separator, which must be the end id; then rows, frames and
 * numbers are compared. A layout without an end id ends with the reply. TSR_OK whatever the
 * verdict: look at reply->verdict and usable. The caller ends *reply with tsr_reply_free. Errors:
 * NOT_FOUND (no such layout), UNSUPPORTED (a map without layouts; a token of the layout without an
 * id), ARGUMENT (NULL; an offset behind the ids; a grid that the map does not allow), TOO_LARGE
 * (above 2^26 ids), MEMORY. */
tsr_status tsr_reply_read(tsr_context *ctx, const tsr_vocab_map *map, const uint32_t *ids,
                          uint64_t count, const tsr_reply_settings *settings, tsr_reply *reply);
/* The same for a string in the texts of the tokens, as TSR_PROMPT_STRING writes them: for runners
 * that answer text alone. Best effort: many of them leave special tokens out of their text. Errors:
 * as above; UNSUPPORTED (a block without a text). */
tsr_status tsr_reply_read_string(tsr_context *ctx, const tsr_vocab_map *map, const char *text,
                                 size_t size, const tsr_reply_settings *settings, tsr_reply *reply);
/* Frees the codes and zeroes *reply. A zeroed reply is accepted. */
void tsr_reply_free(tsr_reply *reply);

/* A grammar (GBNF of llama.cpp) that a reply must fit to be a picture of the settings' grid, for a
 * prompt that ended with the head of the picture: separators and the end stand where the layout has
 * them. Between them it allows every id but the separator, since a list of all codes would slow the
 * model down: tsr_reply_read still says what came. *text is freed by the caller with free().
 * Errors: ARGUMENT (NULL; no grid, or one that the map does not allow), UNSUPPORTED (a layout
 * without ids that end something; a token without an id), NOT_FOUND (no such layout), MEMORY. */
tsr_status tsr_reply_grammar(tsr_context *ctx, const tsr_vocab_map *map,
                             const tsr_reply_settings *settings, char **text);

/* ---- token files ---- */

/* The codes of an item of a token file, for prompts: one tile, whole or cut where the tokenizer
 * allows it. codes->codes points into item->ids. Errors: TOKENS (several tiles, vectors, no tokens,
 * streams alone), ARGUMENT (NULL). */
tsr_status tsr_codes_of_item(tsr_context *ctx, const tsr_token_header *header,
                             const tsr_token_item *item, tsr_codes *codes);
/* Joins pictures of one grid to the frames of one: *joined owns its codes, which the caller frees
 * with free(). Errors: TOKENS (other sizes or codebooks), TOO_LARGE, ARGUMENT, MEMORY. */
tsr_status tsr_codes_join(tsr_context *ctx, const tsr_codes *pictures, int count,
                          tsr_codes *joined);
/* The header of a token file for a reply. `like` is the header of the file that the prompt was made
 * of: tokenizer, weights and preprocessing are taken from it, and its codebook must be the map's.
 * NULL: the map's catalog name, its codebook and strides, weights not known. Errors: TOKENS
 * (another codebook; a reply without codes), UNSUPPORTED (a map without strides, and no `like`),
 * ARGUMENT. */
tsr_status tsr_reply_header(tsr_context *ctx, const tsr_vocab_map *map, const tsr_reply *reply,
                            const tsr_token_header *like, tsr_token_header *header);
/* An item of such a file with the codes of a reply. item->ids points into the reply, item->counts
 * at *tokens, which must stay. `key` is not copied. Errors: ARGUMENT (NULL), TOKENS (a grid that is
 * not the header's). */
tsr_status tsr_reply_item(tsr_context *ctx, const tsr_token_header *header, const tsr_reply *reply,
                          const char *key, uint32_t *tokens, tsr_token_item *item);

#ifdef __cplusplus
}
#endif
#endif
