/* SPDX-License-Identifier: MIT */
/* download.h: one file from a URL into a part file that survives a cut and is resumed. Needs
 * libcurl (TESSERA_WITH_CURL); without it every call answers UNSUPPORTED. */
#ifndef TOOLS_DOWNLOAD_H
#define TOOLS_DOWNLOAD_H

#include <tessera/tessera.h>

#include <stdbool.h>

typedef struct download {
    const char *url;
    const char *part;   /* where bytes wait until the file is complete */
    uint64_t size;      /* bytes wanted; 0 = not known */
    const char *sha256; /* known digest or NULL: a part may then be resumed without a validator */
    unsigned retries;   /* tries in a row that bring no byte before it is given up */
    unsigned timeout;   /* seconds without a byte before a connection is given up */
    tsr_progress_fn progress;
    void *user;
    const char *what; /* for progress */
    /* results */
    uint64_t bytes, resumed_from; /* resumed_from: bytes that were there before this run */
    uint64_t server_size;         /* as the server said, or 0 */
    char server_sha256[65];       /* as the server said, or "" */
    bool unreachable;             /* the host could not be reached at all */
    char error[640];              /* one line */
} download;

/* On success `part` is complete and flushed, but not checked against a digest. On failure it is
 * kept for the next try unless it cannot be of use. Beside it a file PART.txt holds what the server
 * said to tell versions apart; download_forget removes both. */
tsr_status download_run(download *d);
void download_forget(const char *part);

#endif
