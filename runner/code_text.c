/* SPDX-License-Identifier: MIT */
/* code_text.c: the texts of codes, by a pattern with one conversion: %d, %0Nd, or %A, the decimal
 * digits as letters A..J (Chameleon). Nothing of printf is used: a pattern comes from a file. */
#include "vocab_map.h"

#include <string.h>

enum { LETTERS = -1, MOST_DIGITS = 9 };

bool tsr_vocab_pattern(tsr_vocab_block *b) {
    const char *percent = strchr(b->text, '%');
    if (!percent || strchr(percent + 1, '%')) return false;
    const char *at = percent + 1;
    b->prefix = (int)(percent - b->text);
    b->digits = 0;
    if (*at == 'A') {
        b->digits = LETTERS;
    } else if (*at == '0' && at[1] >= '1' && at[1] <= '0' + MOST_DIGITS) {
        b->digits = at[1] - '0';
        at += 2;
    }
    if (b->digits != LETTERS && *at != 'd') return false;
    b->after = (int)(at + 1 - b->text);
    /* Behind digits of any number a digit could not be told from them. */
    const char next = b->text[b->after];
    return b->digits == LETTERS ? !(next >= 'A' && next <= 'J') : !(next >= '0' && next <= '9');
}

size_t tsr_vocab_code_text(const tsr_vocab_block *b, uint32_t code, char *text, size_t size) {
    char digits[16];
    int n = 0;
    if (!*b->text || code < b->first_code || code - b->first_code >= b->count) return 0;
    const char zero = b->digits == LETTERS ? 'A' : '0';
    for (uint32_t c = code; n == 0 || c; c /= 10)
        digits[n++] = (char)(zero + (char)(c % 10));
    while (n < b->digits)
        digits[n++] = '0';
    const size_t tail = strlen(b->text + b->after);
    const size_t length = (size_t)b->prefix + (size_t)n + tail;
    if (length >= size) return 0;
    memcpy(text, b->text, (size_t)b->prefix);
    for (int i = 0; i < n; ++i)
        text[b->prefix + i] = digits[n - 1 - i];
    memcpy(text + b->prefix + n, b->text + b->after, tail + 1);
    return length;
}

size_t tsr_vocab_code_read(const tsr_vocab_block *b, const char *text, size_t size,
                           uint32_t *code) {
    const size_t prefix = (size_t)b->prefix, tail = strlen(b->text + b->after);
    const char zero = b->digits == LETTERS ? 'A' : '0';
    if (!*b->text || size < prefix || memcmp(text, b->text, prefix) != 0) return 0;
    size_t at = prefix;
    uint64_t value = 0;
    for (; at < size && at - prefix <= MOST_DIGITS && text[at] >= zero && text[at] < zero + 10;
         ++at)
        value = 10 * value + (uint64_t)(text[at] - zero);
    if (at == prefix || value < b->first_code || value - b->first_code >= b->count) return 0;
    /* One way alone to write a code: as many digits as the pattern says, no zero before others. */
    char right[TSR_VOCAB_TEXT + 16];
    const size_t length = tsr_vocab_code_text(b, (uint32_t)value, right, sizeof right);
    if (!length || length > size || length != at + tail || memcmp(text, right, length) != 0)
        return 0;
    *code = (uint32_t)value;
    return length;
}
