/* SPDX-License-Identifier: MIT */
/* french_letters.h: the letters that docTR's readers know. */
#ifndef NN_FRENCH_LETTERS_H
#define NN_FRENCH_LETTERS_H

#include <stdint.h>

enum { TSR_FRENCH_LETTERS = 126 };
/* docTR's vocabulary "french" in the order of a reader's classes, as code points: digits, letters,
 * punctuation, the degree sign, currencies, letters with accents. There is no blank among them. */
extern const uint32_t tsr_french_letters[TSR_FRENCH_LETTERS];

#endif
