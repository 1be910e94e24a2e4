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

tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file);
/* The same over bytes in memory, which must stay valid until close (bundled models, fuzzing). */
tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file);
void tsr_safetensors_close(tsr_safetensors **file);
/* True if tensor `index` lies in a mapping of the file, false if it was read or copied to memory.
 */
bool tsr_safetensors_is_mapped(const tsr_safetensors *file, int index);
int tsr_safetensors_count(const tsr_safetensors *file);
const char *tsr_safetensors_name(const tsr_safetensors *file,
                                 int index); /* file order of offsets */
/* A host view of tensor `index`; data points into the file and may be unaligned only if the file
 * is (then it was copied). Ranks beyond TSR_MAX_RANK are an UNSUPPORTED failure at open. */
const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index);
int tsr_safetensors_find(const tsr_safetensors *file, const char *name); /* -1 if absent */
/* A value of __metadata__, or NULL. Owned by the file. */
const char *tsr_safetensors_metadata(const tsr_safetensors *file, const char *key);
int tsr_safetensors_metadata_count(const tsr_safetensors *file);
void tsr_safetensors_metadata_at(const tsr_safetensors *file, int index, const char **key,
                                 const char **value);
/* Gives the memory of a mapped tensor back to the system; it comes again when it is touched. */
void tsr_safetensors_release(const tsr_safetensors *file, int index);
/* Hash of all tensors, independent of order, dtype of storage kept: 64 bits over (name, dtype,
 * shape, bytes) sorted by name, then over the metadata sorted by key. The model's identity.
 * In full: XXH64 with seed 0 of, for each tensor in the byte order of names: name, 0x00, the dtype
 * as written in the file, 0x00, rank and dimensions as u64 little-endian, the tensor's bytes; then
 * 0x00; then for each metadata pair in the byte order of keys: key, 0x00, value, 0x00. */
uint64_t tsr_safetensors_hash(const tsr_safetensors *file);

typedef struct tsr_metadata_pair {
    const char *key, *value;
} tsr_metadata_pair;
/* Canonical: the same tensors and metadata give the same bytes whatever order they come in. Tensors
 * lie by element size, largest first, then by name, so that each is aligned; metadata by key; the
 * header is padded with spaces to 8 bytes. Tensors must be host tensors.
 * Errors: ARGUMENT (a name twice, empty or not UTF-8, no data), IO, NO_SPACE, MEMORY. */
tsr_status tsr_safetensors_write(tsr_context *ctx, const char *path, const char *const *names,
                                 const tsr_tensor *tensors, int count,
                                 const tsr_metadata_pair *metadata, int metadata_count);

/* The same when tensors are made while they are written, one at a time: those whose data is NULL
 * are asked for with `fill`, which writes the bytes of tensor `index` (as in `tensors`). */
typedef tsr_status (*tsr_tensor_fill_fn)(void *user, int index, void *bytes);
tsr_status tsr_safetensors_write_made(tsr_context *ctx, const char *path, const char *const *names,
                                      const tsr_tensor *tensors, int count,
                                      const tsr_metadata_pair *metadata, int metadata_count,
                                      tsr_tensor_fill_fn fill, void *user);

#endif
