/* SPDX-License-Identifier: MIT */
/* torch_pickle.h: checkpoints of torch.save (.pth, .pt, .ckpt, .bin) without Python: the zip layout
 * of PyTorch 1.6 and later, and the layout before it; and TorchScript archives (.jit, .pt), which
 * are the zip layout with the code of a module beside it. Nothing of the file is run (unpickle.h)
 * and no name in it is used as a path.
 *
 * The tensors of the whole file are listed under their paths: keys and indices from the outermost
 * container inwards with '/' between them ("ema/encoder.conv_in.weight", "optimizer/state/0/step").
 * Views are kept as strides over the file's bytes; every index a tensor can reach is checked
 * against its storage, every storage against its record. Objects of other kinds (scores of numpy,
 * paths, classes) are passed over; sparse and quantized tensors are listed and not read. Refused:
 * big-endian files, the tar layout of before 0.1.10, files that name what
 * runs programs, tensors that together would be more than 64 times the file. Errors: NOT_FOUND, IO,
 * FORMAT, TRUNCATED, UNSUPPORTED, CHECKSUM, TOO_LARGE, MEMORY. */
#ifndef FORMATS_TORCH_PICKLE_H
#define FORMATS_TORCH_PICKLE_H

#include "script_code.h"
#include "unpickle.h"
#include "../file.h"

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
    int keys;               /* on its path */
    bool negated;           /* the file holds the values with the other sign */
    bool conjugated;     /* the file holds complex values with imaginary parts of the other sign */
    const char *refused; /* why the values cannot be had: "sparse", "quantized" ..., a word that
                            follows "a tensor that is"; then elements is 0. NULL: they can */
} tsr_torch_tensor;

/* True if the bytes begin like a checkpoint of torch.save. */
bool tsr_torch_recognised(const void *bytes, size_t size);
/* Reads the list of tensors. `name` begins detail texts. `bytes` must stay valid until close. *file
 * is NULL on error. */
tsr_status tsr_torch_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                           tsr_torch **file);
/* Opens a file of 1 MiB or more without mapping it: the description is read to memory (of the old
 * layout the whole file), values by tsr_torch_read. Smaller files are read at once. *file is NULL
 * on error. */
tsr_status tsr_torch_open(tsr_context *ctx, const char *path, tsr_torch **file);
/* Reads tensor `index` row by row into bytes, as tsr_torch_copy does, after its record was compared
 * with the record's checksum. Errors: CHECKSUM, TRUNCATED (also: the file became shorter), IO,
 * MEMORY. */
tsr_status tsr_torch_read(tsr_context *ctx, const tsr_torch *file, int index, void *bytes);
/* Size of the file. */
uint64_t tsr_torch_bytes(const tsr_torch *file);
/* Closes a checkpoint and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_torch_close(tsr_torch **file);
/* Name of the layout: "torch zip", "torch legacy" or "torchscript". Static storage. */
const char *tsr_torch_layout(const tsr_torch *file);
/* Whether the file is a TorchScript archive: its tensors are those of one module, under their names
 * with dots. */
bool tsr_torch_is_script(const tsr_torch *file);
/* What the code of a TorchScript archive says; zeros for other files. Owned by the file. */
const tsr_script_facts *tsr_torch_facts(const tsr_torch *file);
/* Number of tensors. */
int tsr_torch_count(const tsr_torch *file);
/* Tensor `index`, in the file's order. Owned by the file. */
const tsr_torch_tensor *tsr_torch_at(const tsr_torch *file, int index);
/* Number of values that are neither tensors nor plain and were passed over. *first becomes the path
 * of the first of them and what makes it ("best: numpy._core.multiarray.scalar"). Owned by the
 * file. */
uint32_t tsr_torch_passed_over(const tsr_torch *file, const char **first);
/* Compares the record that holds a tensor with the record's checksum. The legacy layout has none,
 * and this returns TSR_OK. Errors: CHECKSUM. */
tsr_status tsr_torch_check(tsr_context *ctx, const tsr_torch *file, int index);
/* Copies a tensor of a file in memory row by row, little-endian, in its element type: elements *
 * element_bytes bytes. Signs that torch had put off (a pending negation or conjugation) are put in.
 */
void tsr_torch_copy(const tsr_torch_tensor *tensor, void *bytes);
/* Tree of the pickle, for values that are no tensors. Owned by the file. */
const tsr_pickle *tsr_torch_tree(const tsr_torch *file);

#endif
