/* SPDX-License-Identifier: MIT */
/* spool.h: bytes that have to wait until an output ends: what a writer must know at the end (an
 * index, keys to be sorted) and must not keep in memory. A little is kept in memory; more goes to a
 * temporary file beside the output, which has no name any more once it is open, so that nothing is
 * left behind whatever happens. */
#ifndef FORMATS_SPOOL_H
#define FORMATS_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../compute/context.h"

/* Bytes that stay in memory. */
enum { TSR_SPOOL_MEMORY = 1 << 18 };

/* Set `ctx`, `beside` and `room`; the rest starts as zeros. */
typedef struct tsr_spool {
    tsr_context *ctx;
    const char *beside; /* the output: its folder holds the file. NULL: an output without a name
                           (a pipe), whose spool goes to the system's folder for temporary files, or
                           stays in memory where there is none */
    bool in_memory;     /* never a file: the output itself is in memory */
    size_t most;        /* bytes that are kept in memory; 0 = TSR_SPOOL_MEMORY */
    uint8_t *bytes;     /* [used] the last bytes */
    size_t used, room;
    uint64_t size; /* of all bytes */
    bool filed;    /* `file` is open and holds the first size - used bytes */
    int file;
} tsr_spool;

/* Appends bytes. Errors: MEMORY, IO, NO_SPACE. */
tsr_status tsr_spool_put(tsr_spool *spool, const void *bytes, size_t size);
/* Copies `size` bytes from `offset`, which must be there. Errors: IO. */
tsr_status tsr_spool_read(tsr_spool *spool, uint64_t offset, void *to, size_t size);
/* Gives memory and file back and forgets the bytes; more may be put afterwards. */
void tsr_spool_clear(tsr_spool *spool);

#endif
