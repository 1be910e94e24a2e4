/* SPDX-License-Identifier: MIT */
/* dataset.h: token data sets in the formats of other tools. A format is one file and one line of
 * datasets.def: it reads records, writes records, or does both. Between formats and token files
 * stands the record: the ids of one item with key, shape and attributes. How items become records
 * and records items is decided once, in item_records.c; dataset_export.c and dataset_import.c drive
 * both.
 *
 * Ids are whole numbers from the first byte to the last: no reader makes them of floats, wraps,
 * rounds or clips them, and no writer is opened with a type that could not hold every id. */
#ifndef FORMATS_DATASET_H
#define FORMATS_DATASET_H

#include <tessera/datasets.h>
#include "../formats/tokens/token_layout.h"
#include "data_files.h"
#include "data_folder.h"
#include "../formats/json_text.h"

enum { TSR_RECORD_MAX_RANK = 4, TSR_RECORD_MAX_TEXT = 1 << 28 };

/* The ids of one item. */
typedef struct tsr_record {
    const char *key;     /* UTF-8; NULL: the format has no keys */
    const uint32_t *ids; /* [count] */
    uint64_t count;
    int rank; /* 1..4 */
    uint64_t shape[TSR_RECORD_MAX_RANK];
    const tsr_attribute *attributes; /* [attribute_count] "label" is a class, "caption" a text,
                                        "mode" a modality */
    uint32_t attribute_count;
} tsr_record;
/* The attribute of a record called `name` if it has the type, or NULL. */
const tsr_attribute *tsr_record_attribute(const tsr_record *record, const char *name,
                                          tsr_attribute_type type);

/* A record that is put together piece by piece; one after the other in the same memory. Starts as
 * zeros. */
typedef struct tsr_record_memory {
    tsr_record record; /* valid after tsr_record_finish */
    bool go_on;        /* set by a reader whose record is bad, but which can read the next one */
    bool has_key;
    bool has_shape;
    size_t ids_room, attributes_room;
    uint32_t *ids;
    tsr_attribute
        *attributes; /* their bytes are offsets into `texts` until the record is finished */
    tsr_bytes key, texts;
} tsr_record_memory;
void tsr_record_start(tsr_record_memory *m);
/* Errors: FORMAT (not UTF-8, or no key of a token file), MEMORY. `where` begins the detail text. */
tsr_status tsr_record_key(tsr_context *ctx, tsr_record_memory *m, const char *where,
                          const char *key, size_t size);
/* Room for `count` more ids; NULL after a failure. */
uint32_t *tsr_record_ids(tsr_context *ctx, tsr_record_memory *m, const char *where, uint64_t count);
/* Adds an attribute. The second one of a name is left out. Errors: FORMAT, TOO_LARGE, MEMORY. */
tsr_status tsr_record_text(tsr_context *ctx, tsr_record_memory *m, const char *where,
                           const char *name, const char *text, size_t size);
tsr_status tsr_record_integer(tsr_context *ctx, tsr_record_memory *m, const char *where,
                              const char *name, int64_t value);
/* Checks that the shape belongs to the ids, or makes a plain one of them. Errors: FORMAT, MEMORY.
 */
tsr_status tsr_record_finish(tsr_context *ctx, tsr_record_memory *m, const char *where);
void tsr_record_free(tsr_record_memory *m);

/* ---- types of ids in bytes ------------------------------------------------------------------- */

typedef enum tsr_id_type {
    TSR_ID_U8,
    TSR_ID_U16,
    TSR_ID_U32,
    TSR_ID_U64,
    TSR_ID_I8,
    TSR_ID_I16,
    TSR_ID_I32,
    TSR_ID_I64,
    TSR_ID_TYPES
} tsr_id_type;
/* "u16", "uint16", "<u2" and the like; false for any other word. */
bool tsr_id_type_find(const char *word, tsr_id_type *type);
const char *tsr_id_type_name(tsr_id_type type);  /* "u16" */
const char *tsr_id_type_numpy(tsr_id_type type); /* "<u2" */
size_t tsr_id_type_bytes(tsr_id_type type);
uint64_t tsr_id_type_most(tsr_id_type type);
/* Reads `count` numbers of a type as ids, each of them 0 .. codebook_size - 1. Errors: TOKENS,
 * naming the first wrong one. */
tsr_status tsr_ids_read(tsr_context *ctx, const char *where, const void *bytes, uint64_t count,
                        tsr_id_type type, bool big_endian, uint32_t codebook_size, uint32_t *ids);
/* Appends ids as numbers of a type that holds them. */
void tsr_ids_put(tsr_bytes *to, const uint32_t *ids, uint64_t count, tsr_id_type type);
/* True if the product of the shape is `count`. */
bool tsr_shape_fits(const uint64_t *shape, int rank, uint64_t count);

/* ---- reading --------------------------------------------------------------------------------- */

/* Names of columns, members or suffixes. NULL stands for the format's own. */
typedef struct tsr_dataset_columns {
    const char *ids, *key, *label, *caption, *shape;
} tsr_dataset_columns;

/* What a reader reads. Valid until it is closed. */
typedef struct tsr_dataset_input {
    tsr_context *ctx;
    const char *path;
    const char *key;                 /* what a file with one item has as key */
    const tsr_memory_folder *memory; /* in place of the file system; NULL: none */
    uint32_t codebook_size;          /* every id is below */
    tsr_dataset_columns columns;     /* never NULL inside */
} tsr_dataset_input;

/* ---- writing --------------------------------------------------------------------------------- */

/* What is known of all records before the first byte is written. */
typedef struct tsr_dataset_plan {
    uint64_t items, tokens;
    bool equal_shapes; /* all records have this shape */
    int rank;
    uint64_t shape[TSR_RECORD_MAX_RANK];
    bool labels, captions;             /* every record has one */
    bool modes;                        /* a record has one */
    size_t key_points, caption_points; /* code points of the longest */
    tsr_id_type type;
    const char *layout;                /* one of the format's */
    uint64_t shard_items, shard_bytes; /* 0: no limit */
    uint32_t group;
    const char *name;
    uint32_t codebook_size;
    tsr_dataset_columns columns; /* never NULL inside */
} tsr_dataset_plan;

/* Where a writer writes. Valid until it is closed. */
typedef struct tsr_dataset_output {
    tsr_context *ctx;
    tsr_data_folder *folder;
    const char *prefix; /* "" or "train/" */
    const tsr_dataset_plan *plan;
    uint64_t changed_keys; /* counted by writers that cannot take every key */
} tsr_dataset_output;

/* ---- formats --------------------------------------------------------------------------------- */

enum {
    TSR_DATASET_KEYS = 1,      /* keeps keys, each once */
    TSR_DATASET_PATHS = 2,     /* keys become names of files */
    TSR_DATASET_FILES = 4,     /* a fault of one file costs that file alone */
    TSR_DATASET_STREAM = 8,    /* can be read from, or written to, a pipe */
    TSR_DATASET_NO_EMPTY = 16, /* items without ids cannot be written */
    TSR_DATASET_COLUMNS = 32   /* has a label (or caption) for every item or for none */
};

typedef struct tsr_dataset_format {
    const char *name;
    const char *about; /* one line */
    const char
        *suffix; /* of its files, for folders that are given; NULL: the reader takes a folder */
    const char *layouts; /* "stacked|offsets|by-key", the first is the default; NULL: one layout */
    unsigned flags;
    /* Type of ids with so many different numbers, where nobody chose one; and which may be chosen,
     * one bit a type. NULL: it has text. */
    tsr_id_type (*choose)(uint64_t numbers);
    unsigned types;
    tsr_dataset_columns columns; /* its own names */

    /* Readers. `next` gives one record; *end is set behind the last. With m->go_on an error costs
     * the record alone. NULL: the format is written only. */
    tsr_status (*open)(const tsr_dataset_input *input, void **reader);
    tsr_status (*next)(void *reader, tsr_record_memory *m, bool *end);
    void (*close)(void **reader);

    /* Writers. NULL: the format is read only. */
    tsr_status (*begin)(tsr_dataset_output *output, void **writer);
    tsr_status (*add)(void *writer, const tsr_record *record);
    tsr_status (*finish)(void *writer);
    void (*abandon)(void **writer);
} tsr_dataset_format;

int tsr_dataset_formats(void);
const tsr_dataset_format *tsr_dataset_format_get(int index);
/* NULL for a name that no format has. */
const tsr_dataset_format *tsr_dataset_format_find(const char *name);
/* Names of those that can be written (or read), for messages, into text. */
const char *tsr_dataset_format_names(bool written, char *text, size_t size);

/* u16 up to 65,536 numbers, else u32. */
tsr_id_type tsr_choose_unsigned(uint64_t numbers);
enum {
    TSR_ID_ANY = (1 << TSR_ID_TYPES) - 1,
    TSR_ID_UNSIGNED = 1 << TSR_ID_U8 | 1 << TSR_ID_U16 | 1 << TSR_ID_U32 | 1 << TSR_ID_U64
};

#endif
