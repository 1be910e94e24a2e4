/* SPDX-License-Identifier: MIT */
/* text_distance.h: how far a text is from another: edit distance on code points, sets of words,
 * BLEU. */
#ifndef REDUCE_TEXT_DISTANCE_H
#define REDUCE_TEXT_DISTANCE_H

#include <stddef.h>

#include "text_rows.h"

/* Bytes of the workspace that texts of up to `longest` code points need. */
size_t tsr_text_workspace(int64_t longest);

/* Levenshtein distance: insertions, deletions and substitutions of one code point. The workspace
 * is aligned to 16. */
int64_t tsr_edit_distance(tsr_text a, tsr_text b, void *workspace);

/* Levenshtein distance over words, which stand between whitespace as below; *words becomes how many
 * the first text has. */
int64_t tsr_word_distance(tsr_text a, tsr_text b, void *workspace, int64_t *words);

/* Agreement of words, which stand between whitespace (Unicode's, as Python's str.split takes it).
 */
typedef struct tsr_word_scores {
    double precision, recall, f; /* of the sets of words; 0 where a text has none */
    double bleu; /* BLEU-4 of one sentence with one reference, equal weights; an order of n-grams
                    without a match counts as 2^-1022, no common word gives 0 (as NLTK 3.8) */
} tsr_word_scores;
tsr_word_scores tsr_compare_words(tsr_text reference, tsr_text prediction, void *workspace);

#endif
