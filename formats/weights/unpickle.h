/* SPDX-License-Identifier: MIT */
/* unpickle.h: reads Python pickles (protocols 0 to 5) as data. Nothing is ever called or imported.
 *
 * A pickle is a program for a small stack machine that may ask Python to call any function. Here
 * the machine builds nodes. A name of a Python object is looked up in a short list: a call of a
 * listed name becomes a container or a CALL node that says what was to be called with what, and who
 * reads the tree decides what it means; what any other name would make becomes an OBJECT, to be
 * passed over. Names that only serve to run programs are refused (UNSUPPORTED). Each opcode costs
 * at most a few words, lengths are checked before use, and there is no recursion.
 * Errors: FORMAT, TRUNCATED, UNSUPPORTED, TOO_LARGE, MEMORY, naming the byte. */
#ifndef FORMATS_UNPICKLE_H
#define FORMATS_UNPICKLE_H

#include "../../compute/context.h"
#include "unpickle_tree.h"

/* Parses one pickle from the start of `bytes` to its STOP; *used becomes its length in bytes.
 * `name` begins detail texts. `bytes` must stay valid until tsr_pickle_close. *pickle is NULL on
 * error. */
tsr_status tsr_pickle_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            tsr_pickle **pickle, size_t *used);

#endif
