/* SPDX-License-Identifier: MIT */
/* gguf.h: the header of a GGUF model file: its typed keys, its vocabulary, what its tensors are. No
 * weights are loaded; rows of one tensor can be read.
 *
 * Layout (versions 2 and 3, little-endian): "GGUF", u32 version, u64 tensors, u64 keys; each key a
 * text, a u32 type and a value; each tensor a text, u32 rank, u64 sizes with the innermost first, a
 * u32 type, a u64 offset from the start of the data; the data begin at the next multiple of
 * general.alignment (default 32). A text is a u64 length and its bytes.
 *
 * Accepted is what the format's own reader accepts, but for: the header is at most 1 GiB, of at
 * most 65,536 keys and 1,048,576 tensors; names hold no U+0000. Every count is checked against the
 * bytes that are left before anything is allocated. Lists of lists are refused, as are names that
 * occur twice. Tensors stand one behind the other, each padded to the alignment, and end within the
 * file. Values are read with pread: a file that becomes shorter gives TRUNCATED. Errors: NOT_FOUND,
 * IO, TRUNCATED, FORMAT, VERSION, TOO_LARGE, MEMORY, each naming the key or tensor.
 *
 * An open file is never written to: threads may share it, each with a context of its own. */
#ifndef RUNNER_GGUF_H
#define RUNNER_GGUF_H

#include <stdbool.h>
#include "../formats/file.h"

enum { TSR_GGUF_MAX_RANK = 4 };

/* Types of values, by the format's numbers. */
typedef enum tsr_gguf_type {
    TSR_GGUF_U8 = 0,
    TSR_GGUF_I8 = 1,
    TSR_GGUF_U16 = 2,
    TSR_GGUF_I16 = 3,
    TSR_GGUF_U32 = 4,
    TSR_GGUF_I32 = 5,
    TSR_GGUF_F32 = 6,
    TSR_GGUF_BOOL = 7,
    TSR_GGUF_TEXT = 8,
    TSR_GGUF_LIST = 9,
    TSR_GGUF_U64 = 10,
    TSR_GGUF_I64 = 11,
    TSR_GGUF_F64 = 12
} tsr_gguf_type;

/* Types of vocabulary entries, by the numbers of tokenizer.ggml.token_type. */
typedef enum tsr_gguf_piece_type {
    TSR_GGUF_PIECE_UNDEFINED = 0,
    TSR_GGUF_PIECE_NORMAL = 1,
    TSR_GGUF_PIECE_UNKNOWN = 2,
    TSR_GGUF_PIECE_CONTROL = 3,
    TSR_GGUF_PIECE_USER_DEFINED = 4,
    TSR_GGUF_PIECE_UNUSED = 5,
    TSR_GGUF_PIECE_BYTE = 6
} tsr_gguf_piece_type;

/* Types of elements that rows can be read of, by the format's numbers; others are described. */
enum { TSR_GGUF_TENSOR_F32 = 0, TSR_GGUF_TENSOR_F16 = 1, TSR_GGUF_TENSOR_BF16 = 30 };

typedef struct tsr_gguf tsr_gguf;

/* A tensor as the file describes it. */
typedef struct tsr_gguf_tensor {
    const char *name;               /* owned by the file */
    int rank;                       /* 0..TSR_GGUF_MAX_RANK */
    int64_t dim[TSR_GGUF_MAX_RANK]; /* innermost first; those beyond `rank` are 1 */
    uint32_t type;
    uint64_t offset; /* of the first byte, in the file */
    uint64_t bytes;  /* 0 also where the type's size is not known */
} tsr_gguf_tensor;

/* Opens a file and reads its header; *file is NULL on error. */
tsr_status tsr_gguf_open(tsr_context *ctx, const char *path, tsr_gguf **file);
/* The same for bytes in memory, which must stay valid until close. `name` begins detail texts. */
tsr_status tsr_gguf_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                          tsr_gguf **file);
/* Closes a file and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_gguf_close(tsr_gguf **file);

/* 2 or 3. */
uint32_t tsr_gguf_version(const tsr_gguf *file);
/* Number of keys, and the name of key i (0 .. count - 1, in the order of the file). */
int tsr_gguf_key_count(const tsr_gguf *file);
const char *tsr_gguf_key_name(const tsr_gguf *file, int i);
/* Type of key i; for a list *count becomes its length and *element its elements' type (each may be
 * NULL). */
tsr_gguf_type tsr_gguf_key_type(const tsr_gguf *file, int i, uint64_t *count,
                                tsr_gguf_type *element);
/* True, and *value, if there is a key of that name with a number that the type holds: a whole
 * number of any width from 0 to 2^32 - 1 (also a BOOL, as 0 or 1), or an F32 or F64 that is a
 * finite float. */
bool tsr_gguf_u32(const tsr_gguf *file, const char *key, uint32_t *value);
bool tsr_gguf_f32(const tsr_gguf *file, const char *key, float *value);
/* The text of a key, ended by a zero byte and owned by the file; NULL if there is none. *size is
 * its length, since a text may hold zeros; `size` may be NULL. */
const char *tsr_gguf_text(const tsr_gguf *file, const char *key, size_t *size);
/* The same of "<general.architecture>.<key>": "context_length", "embedding_length". */
bool tsr_gguf_model_u32(const tsr_gguf *file, const char *key, uint32_t *value);

/* Length of tokenizer.ggml.tokens; 0 when the file has no vocabulary. */
int32_t tsr_gguf_n_vocab(const tsr_gguf *file);
/* The piece of an id from 0 to n_vocab - 1, ended by a zero byte and owned by the file; *size is
 * its length (may be NULL). NULL for any other id. */
const char *tsr_gguf_piece(const tsr_gguf *file, int32_t id, size_t *size);
/* Its type; NORMAL where the file gives no types, UNDEFINED for an id out of range. */
tsr_gguf_piece_type tsr_gguf_piece_type_of(const tsr_gguf *file, int32_t id);
/* The id of a piece, or -1: of equal pieces the first. Looks at each piece in turn. */
int32_t tsr_gguf_piece_id(const tsr_gguf *file, const char *piece);

/* Tensors, in the order of the file. */
int tsr_gguf_tensor_count(const tsr_gguf *file);
const tsr_gguf_tensor *tsr_gguf_tensor_at(const tsr_gguf *file, int i);
/* The tensor of that name, or NULL. */
const tsr_gguf_tensor *tsr_gguf_find(const tsr_gguf *file, const char *name);
/* Reads `count` rows (dim[0] values each) from row `first` on as float32 into values [count,
 * dim[0]]. Rows run over all dimensions but the innermost. Errors: ARGUMENT (rows out of range),
 * UNSUPPORTED (the type is not F32, F16 or BF16), TRUNCATED, IO, MEMORY. */
tsr_status tsr_gguf_rows(tsr_context *ctx, const tsr_gguf *file, const tsr_gguf_tensor *tensor,
                         int64_t first, int64_t count, float *values);

#endif
