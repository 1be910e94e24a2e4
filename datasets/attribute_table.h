/* SPDX-License-Identifier: MIT */
/* attribute_table.h: attributes of keys, from a .tsv or .jsonl file. */
#ifndef DATASETS_ATTRIBUTE_TABLE_H
#define DATASETS_ATTRIBUTE_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <tessera/tokens.h>

typedef struct tsr_attribute_table tsr_attribute_table;
/* Opens a table by its suffix and checks every row. Memory: the file and about 40 bytes a row.
 *
 * .tsv: lines of fields with a tab between them. The first line names the columns; the first column
 * is the key, the others are attributes. Every line has as many fields as the first; an empty field
 * is no attribute.
 * .jsonl: a JSON object a line with the text "key"; its other members are attributes, null is none.
 * Values are texts and integers: in a .tsv a field is an integer when it is written like one (no
 * '+', no zeros in front), in a .jsonl a number within +-2^53. Empty lines, a byte order mark and a
 * carriage return before the newline are passed over.
 *
 * Errors: NOT_FOUND, IO, ARGUMENT (another suffix), FORMAT (a line that is not as above, names the
 * line), TOO_LARGE (beyond the limits of tokens.h), MEMORY. */
tsr_status tsr_attribute_table_open(tsr_context *ctx, const char *path,
                                    tsr_attribute_table **table);
/* The same of bytes in memory, which are copied; `name` begins detail texts and its suffix says the
 * format. */
tsr_status tsr_attribute_table_parse(tsr_context *ctx, const char *name, const void *bytes,
                                     size_t size, tsr_attribute_table **table);
void tsr_attribute_table_close(tsr_attribute_table **table);
/* Rows of the table. */
uint64_t tsr_attribute_table_rows(const tsr_attribute_table *table);

/* Receives one attribute of a key; the struct is valid during the call. Another status than OK ends
 * the call that it came from. */
typedef tsr_status (*tsr_attribute_fn)(void *user, const tsr_attribute *attribute);
/* Hands the attributes of a key to `fn`; a key without a row has none. Threads may ask at the same
 * time. Errors: those of `fn`, MEMORY. */
tsr_status tsr_attribute_table_find(tsr_context *ctx, const tsr_attribute_table *table,
                                    const char *key, tsr_attribute_fn fn, void *user);
/* Notes that a key was asked for, as tsr_attribute_table_find does. */
void tsr_attribute_table_use(const tsr_attribute_table *table, const char *key);
/* Number of rows that no call has asked for. keys[0] to keys[most - 1] become the keys of the first
 * of them, which the caller frees; NULL: fewer, or no memory. */
uint64_t tsr_attribute_table_unused(const tsr_attribute_table *table, char **keys, int most);
/* The path, or the name, that the table was opened by. */
const char *tsr_attribute_table_name(const tsr_attribute_table *table);

#endif
