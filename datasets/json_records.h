/* SPDX-License-Identifier: MIT */
/* json_records.h: records as JSON objects, and files with one object a line. */
#ifndef FORMATS_JSON_RECORDS_H
#define FORMATS_JSON_RECORDS_H

#include "dataset.h"

/* Reads a list of ids, each of them below the codebook size, behind those of `m`. Faults of JSON
 * are left in `json`. Errors: TOKENS, TOO_LARGE, MEMORY. */
tsr_status tsr_json_ids(tsr_context *ctx, const char *where, tsr_json *json, uint32_t codebook_size,
                        tsr_record_memory *m);
/* Which members of an object there were. */
typedef struct tsr_json_seen {
    bool key, ids, label, caption, shape;
} tsr_json_seen;
/* Reads an object: the members that `input` names as key, ids, shape, label and caption, each at
 * most once (a NULL name is none); other texts and whole numbers become attributes, other values
 * are passed over. A label is a whole number or a text, and null is no value. Errors: FORMAT,
 * TOKENS, TOO_LARGE, MEMORY. */
tsr_status tsr_json_record(tsr_context *ctx, const char *where, tsr_json *json,
                           const tsr_dataset_columns *columns, uint32_t codebook_size,
                           tsr_record_memory *m, tsr_json_seen *seen);
/* Appends ids as a list. */
void tsr_json_put_ids(tsr_bytes *to, const uint32_t *ids, uint64_t count);
/* Appends a list of the shape. */
void tsr_json_put_shape(tsr_bytes *to, const tsr_record *record);
/* Appends ", " unless the object has just begun, and a name. */
void tsr_json_put_name(tsr_bytes *to, const char *name);
/* Appends the attributes that are texts or integers, but for those called `without` (ended by
 * NULL). */
void tsr_json_put_attributes(tsr_bytes *to, const tsr_record *record, const char *const *without,
                             bool ascii);

/* A file with one JSON text a line. */
typedef struct tsr_line_reader {
    tsr_dataset_input input;
    tsr_data_stream stream;
    tsr_bytes line;
    uint64_t number; /* of the line, from 1 */
    char where[600]; /* "FILE: line 12" */
} tsr_line_reader;
/* Reads one line into a record; *none: the line holds no item. */
typedef tsr_status (*tsr_line_fn)(tsr_line_reader *lines, tsr_json *json, tsr_record_memory *m,
                                  bool *none);
/* `next` and `close` of formats whose reader is a tsr_line_reader; blank lines are passed over, and
 * a bad line costs itself alone. */
tsr_status tsr_lines_open(const tsr_dataset_input *input, void **reader);
tsr_status tsr_lines_next(void *reader, tsr_record_memory *m, bool *end, tsr_line_fn parse);
void tsr_lines_close(void **reader);

/* Writes lines into numbered files of a data set, "NAME-00000.jsonl", a new one whenever the plan's
 * limits of a shard are reached. */
typedef struct tsr_line_writer {
    tsr_dataset_output *output;
    const char *pattern; /* with one %05u; without: one file */
    tsr_data_file file;
    bool open;
    unsigned shards;
    uint64_t items; /* in the file */
    tsr_bytes line;
} tsr_line_writer;
tsr_status tsr_line_writer_begin(tsr_dataset_output *output, const char *pattern, void **writer);
/* Writes w->line, to which the caller has added a line with its LF, and empties it. */
tsr_status tsr_line_writer_put(tsr_line_writer *w);
tsr_status tsr_line_writer_finish(void *writer);
void tsr_line_writer_abandon(void **writer);

#endif
