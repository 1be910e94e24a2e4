/* SPDX-License-Identifier: MIT */
/* token_reader.h: the inside of an open token file: token_open.c opens it, token_file.c reads its
 * items, token_keys.c looks for keys, token_clips.c for clips. */
#ifndef FORMATS_TOKEN_READER_H
#define FORMATS_TOKEN_READER_H

#include "clip_times.h"
#include "frame_chain.h"
#include "token_layout.h"
#include "token_streams.h"
#include "../file.h"

/* A stream that was read: its texts and its arrays. */
typedef struct tsr_open_stream {
    tsr_stream_fields fields;
    tsr_stream_memory memory;
} tsr_open_stream;

/* Where an item lies. */
typedef struct tsr_token_entry {
    uint64_t offset, size;  /* of its chunks; of a scanned file those of ITEM, LAYR and STRM */
    uint64_t tokens;        /* that its counts must sum up to */
    uint64_t attributes_at; /* of a scanned file: its ATTR chunk, or 0 */
    uint64_t number;        /* likewise: as it says; without loss that is its index */
} tsr_token_entry;

/* The index stays where it is in the file. For every CHECKPOINT_ITEMS-th item it is known where its
 * entry and its chunks begin, and an entry is read from the nearest one before it. */
enum { TSR_CHECKPOINT_ITEMS = 16 };
typedef struct tsr_checkpoint {
    uint64_t entry;  /* offset of the entry in the file */
    uint64_t offset; /* where the chunks of the item before it end */
} tsr_checkpoint;

/* What opening left out. */
typedef struct tsr_left_out {
    uint64_t offset;
    tsr_status status;
    const char *what;
} tsr_left_out;

/* A clip of the file: where its chunk is, and its items that are there. */
typedef struct tsr_open_clip {
    uint64_t at;
    uint64_t item, items;
    uint64_t end; /* number behind that of its last item */
} tsr_open_clip;

/* A stretch of a mapped file that is read in order. */
typedef struct tsr_touched {
    uint64_t from, to;
} tsr_touched;

struct tsr_token_file {
    tsr_context *ctx;
    char *name;
    tsr_map map;
    bool mapped; /* `map` is to be closed */
    const uint8_t *bytes;
    size_t size, head_end;
    tsr_token_header header;
    tsr_token_writer_settings settings;
    tsr_token_file_info info;

    tsr_checkpoint *checkpoints; /* of an indexed file */
    size_t checkpoints_room;
    uint64_t index_at, index_end; /* INDX chunk; the end of its payload */
    uint64_t next_item;           /* whose entry begins at `next`: items are mostly read in order */
    tsr_checkpoint next;
    tsr_token_entry *entries; /* of a scanned file */
    size_t entries_room;

    tsr_left_out *damage; /* [info.damaged] */
    size_t damage_room;
    tsr_attribute_memory own;       /* of the file */
    size_t own_at;                  /* its ATTR chunk; 0: none */
    const uint8_t *keys;            /* [key_count] records of KEYS; NULL: there is no key index */
    uint64_t key_count, keys_bytes; /* keys_bytes: of the chunk */

    tsr_open_clip *clips; /* [info.clips] in the order of their items */
    size_t clips_room;
    uint64_t next_clip;    /* the least number that the next one may have */
    tsr_clip_record clip;  /* the one that was read last */
    uint64_t clip_index;   /* which that is; UINT64_MAX: none */
    tsr_frame_chain chain; /* of items that were read last */
    tsr_item_memory frame; /* of items between the chain's first and the one asked for */

    tsr_token_coder *coder;
    tsr_item_memory memory; /* of the item last asked for */
    tsr_item_memory probe;  /* for looking at items without disturbing it */
    tsr_attribute_memory attributes;
    tsr_open_stream *open_streams; /* of that item */
    tsr_token_stream *stream_list; /* what they are, in one array */
    size_t open_streams_room, stream_list_room;
    tsr_open_stream asked; /* the stream last asked for alone */
    tsr_stream_coder stream_coder;
    uint64_t lost_item; /* whose attributes could not be read when it was last asked for */
    tsr_status lost;    /* 0: they could */
    uint64_t lost_at;
    char lost_text[700];
    char label[512]; /* of a damaged place, or what the coder said */

    tsr_touched walks[2]; /* through the items, and through index and keys */
    uint64_t touched;     /* bytes, of a mapped file */
};

/* Reads the chunk header at `at` of a chunk that is whole before `end`. */
bool tsr_token_chunk_within(const tsr_token_file *file, size_t at, size_t end, tsr_chunk *chunk);
/* Is the checksum of the payload right? */
bool tsr_token_payload_good(tsr_token_file *file, size_t at, const tsr_chunk *chunk);
/* Fails with UNSUPPORTED, naming the critical chunk at `at`. */
tsr_status tsr_token_unknown_critical(tsr_token_file *file, size_t at);
/* Takes the CLIP chunk at `at`, whose checksum is right and which follows item number `next` - 1;
 * *taken is false if it is none of the items that are there, or cannot be read. Errors: MEMORY. */
tsr_status tsr_token_take_clip(tsr_token_file *file, size_t at, const tsr_chunk *chunk,
                               uint64_t next, bool *taken);
/* Fields of the item whose PRED payload this is, which is or becomes number `index` of the file,
 * out of the ITEM it goes back to; *distance: how far that is. Errors: FORMAT, CHECKSUM, MEMORY. */
tsr_status tsr_token_frame_fields(tsr_token_file *file, uint64_t index, const uint8_t *payload,
                                  size_t size, tsr_item_memory *memory, tsr_item_fields *fields,
                                  uint32_t *distance);
/* Seconds of the first frame of an item from the start of its clip; false: it has no clip or pts.
 */
bool tsr_token_item_seconds(tsr_token_file *file, uint64_t index, double *seconds);
/* Fails with FORMAT: a frame that cannot be had from what it is coded from. */
tsr_status tsr_token_no_base(tsr_token_file *file, uint64_t index, const char *wanted);
/* Reads the entry that begins at p->entry and moves *p behind it; *gap: bytes between the item
 * before and this one. False: it cannot be one. */
bool tsr_token_entry_read(const tsr_token_file *file, tsr_checkpoint *p, tsr_token_entry *entry,
                          uint64_t *gap);
/* Finds the entry of item `index`, which is below info.items. Errors: IO (the index changed since
 * it was read). */
tsr_status tsr_token_entry_at(tsr_token_file *file, uint64_t index, tsr_token_entry *entry);
/* Opens the bytes of a file whose name, bytes and size are set. */
tsr_status tsr_token_file_read_all(tsr_token_file *file);
/* Hash and item of a record of the key index. */
static inline uint64_t tsr_key_record_hash(const tsr_token_file *f, uint64_t record) {
    return tsr_get_u64(f->keys + record * TSR_TESS_RECORD_BYTES);
}

static inline uint64_t tsr_key_record_item(const tsr_token_file *f, uint64_t record) {
    return tsr_get_u64(f->keys + record * TSR_TESS_RECORD_BYTES + 8);
}

/* Notes that bytes are about to be read. The pages of a mapped file count as memory of the process
 * until they are given back. What is read in order is given back behind the reader, a few MiB at a
 * time; of a file that is read at random, where a page may well be wanted again, a quarter of a GiB
 * may stay. */
void tsr_token_file_touch(tsr_token_file *file, uint64_t at, uint64_t size);
enum { TSR_ENTRY_WINDOW = 1024 }; /* bytes of the index that are touched for an entry */
/* Gives back all pages of a mapped file. */
void tsr_token_file_give_back(tsr_token_file *file);

#endif
