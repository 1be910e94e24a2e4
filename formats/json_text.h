/* SPDX-License-Identifier: MIT */
/* json_text.h: JSON read strictly, value by value, without a tree: integers stay integers (no
 * float ever becomes one), a member is seen as often as it is there, nesting has a limit, and
 * memory is taken for the longest text alone. RFC 8259; the text must be UTF-8 and is checked.
 *
 *     tsr_json j = tsr_json_start(bytes, size);
 *     tsr_json_enter(&j, '{');
 *     while (tsr_json_member(&j, &name))
 *         if (!strcmp(name, "n")) n = tsr_json_unsigned(&j); else tsr_json_skip(&j);
 *     if (tsr_json_finish(&j)) ... j.wrong says what is wrong at byte j.bad_at
 *     tsr_json_free(&j);
 *
 * The first fault is kept and ends every loop: one check at the end is enough. */
#ifndef FORMATS_JSON_TEXT_H
#define FORMATS_JSON_TEXT_H

#include "tokens/token_layout.h"

enum { TSR_JSON_DEPTH = 64 };

typedef struct tsr_json {
    const uint8_t *start, *at, *end;
    const char *wrong; /* what was wanted at byte `bad_at`; NULL: no fault so far. Static storage */
    size_t bad_at;
    int depth;
    bool first[TSR_JSON_DEPTH]; /* nothing was read at this level yet */
    char kind[TSR_JSON_DEPTH];  /* '{' or '[' */
    tsr_bytes text, name;
} tsr_json;

/* Starts reading one JSON text, which must stay valid. Text that is not UTF-8 is a fault. */
tsr_json tsr_json_start(const void *text, size_t size);
void tsr_json_free(tsr_json *json);
/* Notes a fault at the place that is read, unless there is one. Returns 0. */
int tsr_json_wrong(tsr_json *json, const char *wanted);
/* First byte of the next value: '{' '[' '"' 't' 'f' 'n', '0' for a number; 0 after a fault. */
char tsr_json_peek(tsr_json *json);
/* Goes into an object '{' or a list '['. */
bool tsr_json_enter(tsr_json *json, char bracket);
/* Goes to the next member of the object and reads its name, which is valid until the next name is
 * read; false behind the last one. A name with U+0000 is a fault. */
bool tsr_json_member(tsr_json *json, const char **name);
/* Goes to the next element of the list; false behind the last one. */
bool tsr_json_element(tsr_json *json);
/* Reads a text; *size is its bytes, and a zero byte follows. Valid until the next text is read. ""
 * after a fault. */
const char *tsr_json_string(tsr_json *json, size_t *size);
/* Reads a whole number: digits alone, without point, exponent or leading zeros. 0 after a fault. */
uint64_t tsr_json_unsigned(tsr_json *json);
int64_t tsr_json_signed(tsr_json *json);
/* True if the next value is a number without point and exponent that fits an int64. */
bool tsr_json_is_signed(tsr_json *json);
/* Passes over a value. */
void tsr_json_skip(tsr_json *json);
/* True if there is a fault, or anything but blanks behind the value. */
bool tsr_json_finish(tsr_json *json);
/* Fails with what `json` found wrong: FORMAT, or MEMORY. `where` begins the detail text. */
tsr_status tsr_json_failed(tsr_context *ctx, const char *where, const tsr_json *json);

/* Appends a text with quotes and escapes; with `ascii` all that is not ASCII is escaped, too. The
 * text must be UTF-8. */
void tsr_json_put(tsr_bytes *to, const void *text, size_t size, bool ascii);
/* Appends a number, and formatted text of at most 255 bytes. */
void tsr_json_put_number(tsr_bytes *to, uint64_t number);
void tsr_json_put_format(tsr_bytes *to, const char *format, ...) TSR_PRINTF(2, 3);
/* Appends valid JSON that has no blanks between its values as people and line tools read it: two
 * blanks a level, one member or element a line; a list of numbers stays on one line. */
void tsr_json_put_laid_out(tsr_bytes *to, const char *compact);

#endif
