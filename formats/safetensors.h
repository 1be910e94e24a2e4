/* SPDX-License-Identifier: MIT */
/* safetensors.h: the weight file: u64 little-endian header length, JSON header, raw tensors.
 * Reading maps the file and copies nothing; every offset is checked before it is used. */
#ifndef FORMATS_SAFETENSORS_H
#define FORMATS_SAFETENSORS_H

#include "../compute/tensor.h"
#include "file.h"

typedef struct tsr_safetensors tsr_safetensors;

tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file);
/* The same over bytes in memory, which must stay valid until close (bundled models, fuzzing). */
tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file);
void tsr_safetensors_close(tsr_safetensors **file);
int tsr_safetensors_count(const tsr_safetensors *file);
const char *tsr_safetensors_name(const tsr_safetensors *file, int index); /* file order of offsets */
/* A host view of tensor `index`; data points into the file and may be unaligned only if the file
 * is (then it was copied). Ranks beyond TSR_MAX_RANK are an UNSUPPORTED failure at open. */
const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index);
int tsr_safetensors_find(const tsr_safetensors *file, const char *name); /* -1 if absent */
/* A value of __metadata__, or NULL. Owned by the file. */
const char *tsr_safetensors_metadata(const tsr_safetensors *file, const char *key);
int tsr_safetensors_metadata_count(const tsr_safetensors *file);
void tsr_safetensors_metadata_at(const tsr_safetensors *file, int index, const char **key,
                                 const char **value);
/* Hash of all tensors, independent of order, dtype of storage kept: 64 bits over (name, dtype,
 * shape, bytes) sorted by name, then over the metadata sorted by key. The model's identity. */
uint64_t tsr_safetensors_hash(const tsr_safetensors *file);

typedef struct tsr_metadata_pair {
    const char *key, *value;
} tsr_metadata_pair;
tsr_status tsr_safetensors_write(tsr_context *ctx, const char *path, const char *const *names,
                                 const tsr_tensor *tensors, int count,
                                 const tsr_metadata_pair *metadata, int metadata_count);

#endif
