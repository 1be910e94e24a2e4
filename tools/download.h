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
    uint64_t size;      /* bytes of the file; 0: not known */
    const char *token;  /* a login that the host of `url` alone gets to see, no host it redirects
                           to; NULL: none */
    bool of_hub;        /* HF_TOKEN may open what is refused */
    const char *sha256; /* known digest or NULL: a part may then be resumed without a validator */
    unsigned retries;   /* tries in a row that bring no byte before it is given up */
    unsigned timeout;   /* seconds without a byte before a connection is given up */
    tsr_progress_fn progress;
    void *user;
    const char *what; /* for progress */
    /* results */
    uint64_t bytes, resumed_from; /* resumed_from: bytes that were there before this run */
    uint64_t server_size;         /* bytes by the server's headers; 0: not stated */
    char server_sha256[65];       /* digest by the server's headers; "": not stated */
    bool unreachable;             /* the host could not be reached at all */
    char error[640];              /* one line */
} download;

/* Downloads into the file `part`. On success that file is complete and flushed, but not checked
 * against a digest. On failure it stays for the next try if it can be resumed. A file PART.txt
 * beside it holds the server's validators, which tell versions apart. */
tsr_status download_run(download *d);
/* Deletes `part` and its PART.txt. */
void download_forget(const char *part);

#endif
