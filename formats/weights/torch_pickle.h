/* SPDX-License-Identifier: MIT */
/* torch_pickle.h: checkpoints of torch.save (.pth, .pt, .ckpt, .bin) without Python: the zip layout
 * of PyTorch 1.6 and later, and the layout before it. Nothing of the file is run (unpickle.h) and
 * no name in it is used as a path.
 *
 * The tensors of the whole file are listed under their paths: keys and indices from the outermost
 * container inwards with '/' between them ("ema/encoder.conv_in.weight", "optimizer/state/0/step").
 * Views are kept as strides over the file's bytes; every index a tensor can reach is checked
 * against its storage, every storage against its record. Refused: TorchScript archives, big-endian
 * files, the tar layout of before 0.1.10, tensors that together would be more than 64 times the
 * file. Errors: NOT_FOUND, IO, FORMAT, TRUNCATED, UNSUPPORTED, CHECKSUM, TOO_LARGE, MEMORY. */
#ifndef FORMATS_TORCH_PICKLE_H
#define FORMATS_TORCH_PICKLE_H

#include "unpickle.h"

enum { TSR_TORCH_MAX_RANK = 8 };

typedef struct tsr_torch tsr_torch;

typedef struct tsr_torch_tensor {
    const char *path;  /* owned by the tsr_torch */
    const char *dtype; /* "F32", "F64", "BOOL" ...; static */
    size_t element_bytes;
    int rank;                                                    /* 0 for a single value */
    int64_t dim[TSR_TORCH_MAX_RANK], stride[TSR_TORCH_MAX_RANK]; /* in elements */
    uint64_t offset, elements, storage_elements;
    const uint8_t *storage; /* in the file; may be unaligned */
    int record;             /* of the storage, for tsr_torch_check */
} tsr_torch_tensor;

/* Do the bytes begin as one of the layouts does? */
bool tsr_torch_recognised(const void *bytes, size_t size);
/* `name` is the file's, for messages. `bytes` must stay valid until close. */
tsr_status tsr_torch_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                           tsr_torch **file);
void tsr_torch_close(tsr_torch **file);
const char *tsr_torch_layout(const tsr_torch *file); /* "torch zip" or "torch legacy" */
int tsr_torch_count(const tsr_torch *file);
const tsr_torch_tensor *tsr_torch_at(const tsr_torch *file, int index); /* in the file's order */
/* The container of the weights: "ema", "state_dict", "model" ... in this order of preference, or
 * "" when tensors stand at the top. Owned by the file. */
const char *tsr_torch_weights_under(const tsr_torch *file);
/* Compares the record a tensor lies in with its checksum (zip layout; else nothing is known). */
tsr_status tsr_torch_check(tsr_context *ctx, const tsr_torch *file, int index);
/* Row-major copy, little-endian, own element type: elements * element_bytes bytes. */
void tsr_torch_copy(const tsr_torch_tensor *tensor, void *bytes);
/* The tree, for what is not a tensor. */
const tsr_pickle *tsr_torch_tree(const tsr_torch *file);

#endif
