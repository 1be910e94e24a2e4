/* SPDX-License-Identifier: MIT */
/* data_files.h: the files of a data set as its reader sees them: in the file system, or all of them
 * in memory (tests, fuzzing); as a whole, or as a stream of bytes. */
#ifndef FORMATS_DATA_FILES_H
#define FORMATS_DATA_FILES_H

#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"

/* Files in memory, which take the place of the file system. */
typedef struct tsr_memory_file {
    const char *path;
    const void *bytes;
    size_t size;
} tsr_memory_file;
typedef struct tsr_memory_folder {
    const tsr_memory_file *files;
    int count;
} tsr_memory_folder;

/* Opens a file for reading in pieces. Errors: as tsr_input_open. */
tsr_status tsr_data_open(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                         tsr_input *in);
/* Reads a file of at most `most` bytes to memory; a zero byte follows. The caller frees *bytes.
 * Errors: reading errors, TOO_LARGE. */
tsr_status tsr_data_load(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                         uint64_t most, uint8_t **bytes, size_t *size);

/* Paths, in the byte order of their parts. */
typedef struct tsr_path_list {
    char **at;
    size_t count, room;
} tsr_path_list;
/* Adds the files below `folder` whose names end with one of the suffixes in `suffix`
 * ("one|another"), with `recursive` also those of its folders; hidden ones and links to folders are
 * left out. Paths begin with the folder's. Errors: IO, NOT_FOUND, TOO_LARGE (nesting), MEMORY. */
tsr_status tsr_data_list(tsr_context *ctx, const tsr_memory_folder *memory, const char *folder,
                         const char *suffix, bool recursive, tsr_path_list *list);
void tsr_path_list_free(tsr_path_list *list);
bool tsr_data_is_folder(const tsr_memory_folder *memory, const char *path);
/* Folder of a path with the slash at its end, or "", with `name` behind it. The caller frees it;
 * NULL: no memory. */
char *tsr_data_beside(const char *path, const char *name);
bool tsr_ends_with(const char *text, const char *end);
/* Length of that of the suffixes "one|another" which the text ends with; 0: none. */
size_t tsr_suffix_length(const char *text, const char *suffixes);

/* Bytes that are read once, from their beginning to their end. */
typedef struct tsr_data_stream {
    tsr_context *ctx;
    const char *name; /* for messages */
    int fd;           /* -1: memory */
    const uint8_t *bytes;
    size_t at, size; /* of `bytes` */
    uint64_t passed; /* bytes before bytes[0] */
    uint8_t *buffer; /* of a file, or of what is unpacked */
    bool ended;
    struct tsr_unpack *unpack;      /* NULL: the bytes are as they are stored */
    struct tsr_data_stream *packed; /* what `unpack` reads */
} tsr_data_stream;
/* Opens a file; "-" is stdin. What begins as gzip or zstd is unpacked while it is read, and its
 * check sums are compared. `path` must stay valid. Errors, here and below: those of tsr_in_open and
 * of tsr_unpack_read. */
tsr_status tsr_stream_open(tsr_context *ctx, const tsr_memory_folder *memory, const char *path,
                           tsr_data_stream *s);
void tsr_stream_close(tsr_data_stream *s);
/* Position of the next byte. */
uint64_t tsr_stream_position(const tsr_data_stream *s);
/* Makes the next bytes available at s->bytes + s->at, s->size - s->at of them, at least one unless
 * the stream has ended. */
tsr_status tsr_stream_fill(tsr_data_stream *s);
/* Appends up to `size` bytes to `to`; *got is fewer at the end. Memory grows as bytes arrive. */
tsr_status tsr_stream_take(tsr_data_stream *s, uint64_t size, tsr_bytes *to, uint64_t *got);
/* Passes over up to `size` bytes. */
tsr_status tsr_stream_skip(tsr_data_stream *s, uint64_t size, uint64_t *got);
/* Appends a line without its LF to `to`, at most `most` bytes; *whole says whether it was within
 * the limit (the rest of a longer one is passed over), *end that there was none. */
tsr_status tsr_stream_line(tsr_data_stream *s, size_t most, tsr_bytes *to, bool *whole, bool *end);

#endif
