/* SPDX-License-Identifier: MIT */
/* vocabulary.h: which ids of a language model codes become, from a JSON file:
 *
 *     {"name": "liquid-7b", "revision": "2024-12", "n_vocab": 264192,
 *      "blocks": [{"first_code": 0, "count": 8192, "first_id": 256000}],
 *      "special": {"boi": 7, "eoi": 8}, "rows": {"eol_after": "none"}}
 *
 * An item becomes bos, boi, its codes, eoi, eos, as far as these are in "special", with eol after
 * each row ("every") or between rows ("between"). Members that are not known are refused, since the
 * sequence would not be the one that the map means. */
#ifndef FORMATS_VOCABULARY_H
#define FORMATS_VOCABULARY_H

#include "dataset.h"

typedef enum tsr_special {
    TSR_BOS,
    TSR_EOS,
    TSR_BOI,
    TSR_EOI,
    TSR_EOL,
    TSR_PAD,
    TSR_SPECIALS
} tsr_special;

typedef struct tsr_vocabulary {
    char name[128], revision[128], sha256[65];
    uint64_t numbers;  /* n_vocab: every id is below, at most 2^32 */
    uint64_t codes;    /* count of the block */
    uint64_t first_id; /* of code 0 */
    bool has[TSR_SPECIALS];
    uint32_t special[TSR_SPECIALS];
    bool eol_between, eol_every;
    uint32_t *ids; /* of the record that was mapped last */
    size_t room;
} tsr_vocabulary;
/* Reads a file. Errors: reading errors, FORMAT, TOO_LARGE. */
tsr_status tsr_vocabulary_load(tsr_context *ctx, const char *path, tsr_vocabulary *v);
/* Reads bytes in memory; `name` begins the detail text. */
tsr_status tsr_vocabulary_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                tsr_vocabulary *v);
/* Puts the sequence in place of the record's codes; valid until the next call. A shape stays where
 * nothing is added. `columns` are the codes of a row. Errors: TOO_LARGE, MEMORY. */
tsr_status tsr_vocabulary_apply(tsr_context *ctx, tsr_vocabulary *v, tsr_record *record);
/* Takes the codes, 0 .. codes - 1, out of a sequence that tsr_vocabulary_apply made; valid until
 * the next call. Where rows have ends, the shape becomes [rows, columns]. `where` begins the detail
 * text. Errors: TOKENS (an id that the map does not put there), MEMORY. */
tsr_status tsr_vocabulary_undo(tsr_context *ctx, tsr_vocabulary *v, const char *where,
                               uint32_t codes, tsr_record *record);
void tsr_vocabulary_free(tsr_vocabulary *v);

#endif
