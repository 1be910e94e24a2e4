/* SPDX-License-Identifier: MIT */
/* safetensors.h: the weight file: u64 little-endian header length, JSON header, raw tensors.
 * Reading maps the file and copies nothing; every offset is checked before it is used.
 *
 * Accepted is what the format's own rules accept: a header of at most 100,000,000 bytes that begins
 * with '{' and ends with spaces; UTF-8; no name twice; bytes of every tensor = elements x size;
 * tensors cover the rest of the file without holes, overlaps or a tail. Beyond the rules: names and
 * metadata hold no U+0000, and the header no more than 2^21 values. Element types other than F32,
 * F16, BF16, I32, I64 and U8 are refused by name (UNSUPPORTED). A tensor of shape [] is seen as
 * [1]. Errors: NOT_FOUND, IO, TRUNCATED, FORMAT, UNSUPPORTED, MEMORY, each naming the tensor. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "../../compute/tensor.h"
#include "../file.h"

typedef struct tsr_safetensors tsr_safetensors;

/* Opens and checks a file; *file is NULL on error. */
tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file);
/* Opens and checks bytes in memory, which must stay valid until close (bundled models, fuzzing).
 * `name` begins detail texts. */
tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file);
/* Closes a file and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_safetensors_close(tsr_safetensors **file);
/* True if tensor `index` lies in a mapping of the file, false if it was read or copied to memory.
 */
bool tsr_safetensors_is_mapped(const tsr_safetensors *file, int index);
/* Number of tensors. */
int tsr_safetensors_count(const tsr_safetensors *file);
/* Name of tensor `index`, in the order of the data in the file. Owned by the file. */
const char *tsr_safetensors_name(const tsr_safetensors *file, int index);
/* Host view of tensor `index`. Its data points into the file, or into a copy when the file's bytes
 * are not aligned. Ranks beyond TSR_MAX_RANK are an UNSUPPORTED failure at open. */
const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index);
/* Index of the tensor called `name`, or -1. */
int tsr_safetensors_find(const tsr_safetensors *file, const char *name);
/* Value of `key` in __metadata__, or NULL. Owned by the file. */
const char *tsr_safetensors_metadata(const tsr_safetensors *file, const char *key);
/* Number of pairs in __metadata__, and pair `index` of them. Texts are owned by the file. */
int tsr_safetensors_metadata_count(const tsr_safetensors *file);
void tsr_safetensors_metadata_at(const tsr_safetensors *file, int index, const char **key,
                                 const char **value);
/* Gives the memory of a mapped tensor back to the system; pages come again from the file when they
 * are touched. */
void tsr_safetensors_release(const tsr_safetensors *file, int index);
/* Identity of a model: a hash of all tensors and metadata that does not depend on their order. It
 * is XXH64 with seed 0 of, for each tensor in the byte order of names: name, 0x00, the dtype as
 * written in the file, 0x00, rank and dimensions as u64 little-endian, the tensor's bytes; then
 * 0x00; then for each metadata pair in the byte order of keys: key, 0x00, value, 0x00. */
uint64_t tsr_safetensors_hash(const tsr_safetensors *file);

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
 * that one such tensor is in memory at a time. */
tsr_status tsr_safetensors_write_made(tsr_context *ctx, const char *path, const char *const *names,
                                      const tsr_tensor *tensors, int count,
                                      const tsr_metadata_pair *metadata, int metadata_count,
                                      tsr_tensor_fill_fn fill, void *user);

#endif
