/* SPDX-License-Identifier: MIT */
/* foreign_file.h: what stands where weights should be when it is no weight file: a pointer, a page,
 * a model of another program. */
#ifndef FORMATS_FOREIGN_FILE_H
#define FORMATS_FOREIGN_FILE_H

#include "../../compute/context.h"

enum { TSR_FOREIGN_BYTES = 1024 }; /* first bytes that are looked at */

/* Refuses a file by its first bytes (at most TSR_FOREIGN_BYTES of `file_size`) when it is of a kind
 * that is known not to hold weights this library reads, saying what it is and what to do. Returns
 * TSR_OK when it is none of them, which does not mean that it holds weights. Errors: FORMAT. */
tsr_status tsr_foreign_refuse(tsr_context *ctx, const char *name, const uint8_t *bytes, size_t size,
                              uint64_t file_size);

#endif
