/* SPDX-License-Identifier: MIT */
/* safetensors.h: the weight file: u64 little-endian header length, JSON header, raw tensors; or an
 * index (model.safetensors.index.json), whose files together are one set of tensors.
 * Every offset is checked before it is used. Values are read where they are needed, with pread: a
 * file that becomes shorter gives TRUNCATED, and nothing raises SIGBUS. (A mapping would: only a
 * signal handler could catch that, and signals belong to the program, not to a library. Values are
 * packed for a device anyway, so that reading costs one more copy of one tensor.)
 *
 * Accepted is what the format's own rules accept: a header of at most 100,000,000 bytes that begins
 * with '{' and ends with spaces; UTF-8; no name twice; bytes of every tensor = elements x size;
 * tensors cover the rest of the file without holes, overlaps or a tail. Beyond the rules: names and
 * metadata hold no U+0000, the header no more than 2^21 values, a shape at most 8 dimensions. Every
 * element type is described; types that this build does not know need a name like one ("F8_E3M4"),
 * and are as long as the file says. A tensor of shape [] is seen as [1]. Errors: NOT_FOUND, IO,
 * TRUNCATED, FORMAT, UNSUPPORTED, MEMORY, each naming the tensor. What is no weight file at all is
 * called by its name (foreign_file.h). */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "../../compute/tensor.h"
#include "../file.h"

enum { TSR_SAFETENSORS_MAX_RANK = 8 };

typedef struct tsr_safetensors tsr_safetensors;

/* One tensor as the file describes it. */
typedef struct tsr_safetensors_info {
    const char *name;  /* owned by the file */
    const char *dtype; /* the file's own word; owned by the file */
    int rank;          /* 0 for a single value */
    int64_t dim[TSR_SAFETENSORS_MAX_RANK];
    uint64_t elements, bytes;
} tsr_safetensors_info;

/* Opens and checks a file; *file is NULL on error. A name that ends with ".json" is an index: its
 * weight_map gives for each tensor the name of a file in the same folder. Every tensor of the map
 * must be in its file, and no tensor in two files. Metadata are those of all files; where they
 * disagree, those of the first file in the byte order of names. */
tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file);
/* Opens and checks bytes in memory, which must stay valid until close (bundled models, fuzzing).
 * `name` begins detail texts. */
tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file);
/* Closes a file and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_safetensors_close(tsr_safetensors **file);
/* Number of files that hold the tensors: 1, or those of an index. */
int tsr_safetensors_file_count(const tsr_safetensors *file);
/* Bytes of these files. */
uint64_t tsr_safetensors_file_bytes(const tsr_safetensors *file);
/* Number of tensors. */
int tsr_safetensors_count(const tsr_safetensors *file);
/* Name of tensor `index`, in the order of the data in the file. Owned by the file. */
const char *tsr_safetensors_name(const tsr_safetensors *file, int index);
/* Host view of tensor `index`. Its dtype is OTHER, and its shape its number of bytes, when no op
 * reads its type or it has more than TSR_MAX_RANK dimensions. Its data is NULL while the values are
 * in the file: tsr_safetensors_load and tsr_safetensors_read get them. */
const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index);
/* Fills *info with tensor `index`; zeros and empty texts for an index out of range. */
void tsr_safetensors_describe(const tsr_safetensors *file, int index, tsr_safetensors_info *info);
/* Loads the values of tensor `index` to memory, where they stay until close; its view then has
 * data, aligned to its elements. Not from two threads at once. Errors: MEMORY, TRUNCATED, IO. */
tsr_status tsr_safetensors_load(tsr_context *ctx, const tsr_safetensors *file, int index);
/* Copies `size` bytes of tensor `index` from byte `first` of its values. Threads may read from one
 * file. Errors: TRUNCATED, IO. */
tsr_status tsr_safetensors_read(tsr_context *ctx, const tsr_safetensors *file, int index,
                                uint64_t first, void *bytes, size_t size);
/* Index of the tensor called `name`, or -1. */
int tsr_safetensors_find(const tsr_safetensors *file, const char *name);
/* Value of `key` in __metadata__, or NULL. Owned by the file. */
const char *tsr_safetensors_metadata(const tsr_safetensors *file, const char *key);
/* Number of pairs in __metadata__, and pair `index` of them. Texts are owned by the file. */
int tsr_safetensors_metadata_count(const tsr_safetensors *file);
void tsr_safetensors_metadata_at(const tsr_safetensors *file, int index, const char **key,
                                 const char **value);
/* Identity of a model: a hash of all tensors and metadata that does not depend on their order, nor
 * on the number of files they are spread over. It is XXH64 with seed 0 of, for each tensor in the
 * byte order of names: name, 0x00, the dtype as written in the file, 0x00, rank and dimensions as
 * u64 little-endian (a single value has rank 1 and dimension 1), the tensor's bytes; then 0x00;
 * then for each metadata pair in the byte order of keys: key, 0x00, value, 0x00. Since all values
 * pass by, it is noted which of them no arithmetic survives: tsr_safetensors_unusable. Errors:
 * TRUNCATED, IO. */
tsr_status tsr_safetensors_hash(tsr_context *ctx, const tsr_safetensors *file, uint64_t *hash);
/* After tsr_safetensors_hash: index of the first value of a float tensor (F32, F16, BF16) that is
 * not finite, or has no finite square in f32 (2^64 or more), or -1; *value (may be NULL) becomes
 * that value. */
int64_t tsr_safetensors_unusable(const tsr_safetensors *file, int index, float *value);

typedef struct tsr_metadata_pair {
    const char *key, *value;
} tsr_metadata_pair;
/* Writes a file of `count` host tensors. The bytes do not depend on the order of tensors and
 * metadata: tensors are sorted by element size, largest first, then by name, so that each is
 * aligned; metadata by key. The header is padded with spaces to 8 bytes. Errors: ARGUMENT (a name
 * twice, empty or not UTF-8, no data), IO, NO_SPACE, MEMORY. */
tsr_status tsr_safetensors_write(tsr_context *ctx, const char *path, const char *const *names,
                                 const tsr_tensor *tensors, int count,
                                 const tsr_metadata_pair *metadata, int metadata_count);

/* Writes the bytes of tensor `index` of the array `tensors`. */
typedef tsr_status (*tsr_tensor_fill_fn)(void *user, int index, void *bytes);
/* Writes a file like tsr_safetensors_write, calling `fill` for each tensor whose data is NULL, so
 * that one such tensor is in memory at a time. shapes [count]: rank and dim of each as the file
 * shall have them, with as many elements as the tensor, for more dimensions than a tensor can have;
 * NULL: those of the tensors. */
tsr_status tsr_safetensors_write_made(tsr_context *ctx, const char *path, const char *const *names,
                                      const tsr_tensor *tensors, const tsr_safetensors_info *shapes,
                                      int count, const tsr_metadata_pair *metadata,
                                      int metadata_count, tsr_tensor_fill_fn fill, void *user);

#endif
