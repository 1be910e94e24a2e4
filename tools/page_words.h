/* SPDX-License-Identifier: MIT */
/* page_words.h: the words of a page of text, in three kinds that look alike: what a reader makes of
 * them differs only by what it expects to read. The sentences come from a small grammar of our own,
 * so that no reader has seen them before. */
#ifndef TOOLS_PAGE_WORDS_H
#define TOOLS_PAGE_WORDS_H

#include <stdint.h>

typedef enum page_kind {
    PAGE_NATURAL,  /* sentences */
    PAGE_SHUFFLED, /* the same words; each stands where one of as many letters stood */
    PAGE_RANDOM    /* the same letters in any order: words without meaning, of the same lengths */
} page_kind;

enum { PAGE_WORD = 24 }; /* bytes of a word with its 0; all are ASCII */

typedef struct page_words {
    char (*at)[PAGE_WORD]; /* with their marks: "river," */
    int count;
} page_words;

/* Makes at least `least` words, up to the end of a sentence; the same seed gives the same page in
 * all three kinds. The caller frees words->at with free(). Returns 0 without memory. */
int page_words_make(page_words *words, page_kind kind, uint64_t seed, int least);

#endif
