/* SPDX-License-Identifier: MIT */
/* text_rows.h: reading what was written in pictures and what a recogniser read: JSON lines.
 *
 * A line is an object {"ref": ..., "pred": ...}, or {"gt": ..., "pred": ...}, with more fields that
 * are optional: "file" or "set" (the group of the row), "reference" (what the reference text is
 * called), "ratio" (size of the text relative to the picture); or a list [group, reference text,
 * prediction, ratio]. Further fields are not looked at; empty lines are skipped. */
#ifndef REDUCE_TEXT_ROWS_H
#define REDUCE_TEXT_ROWS_H

#include <stdint.h>

#include "../compute/context.h"

/* Code points; they belong to the rows. */
typedef struct tsr_text {
    const uint32_t *points;
    int64_t count;
} tsr_text;

typedef struct tsr_text_row {
    tsr_text reference, prediction;
    double ratio;           /* NaN where the row has none */
    int32_t group;          /* index into groups */
    int32_t reference_name; /* index into reference_names */
} tsr_text_row;

enum { TSR_TEXT_MOST_NAMES = 4096 };

typedef struct tsr_text_rows {
    tsr_text_row *rows;
    int64_t count, longest; /* longest: code points of the longest text */
    char **groups; /* [group_count] in the order they first come; "" where rows have none */
    char **reference_names; /* [reference_count] the same */
    int group_count, reference_count;
    uint32_t *points;
} tsr_text_rows;

/* Reads a file. Errors: reading errors, FORMAT naming file, line, field, wanted and got (a field
 * that is missing or of another type, a text that is not UTF-8 or has a code point 0, a ratio that
 * is not finite, no row at all), TOO_LARGE (more than TSR_TEXT_MOST_NAMES groups or names), MEMORY.
 */
tsr_status tsr_text_rows_read(tsr_context *ctx, const char *path, tsr_text_rows *rows);
/* Reads bytes; `name` begins detail texts. */
tsr_status tsr_text_rows_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                               tsr_text_rows *rows);
/* Frees rows and zeroes the struct. Zeroed rows are accepted. */
void tsr_text_rows_close(tsr_text_rows *rows);

#endif
