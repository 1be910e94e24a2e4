/* SPDX-License-Identifier: MIT */
/* sha256.c: see sha256.h. libcrypto takes the processor's own instructions for it where there are
 * some. */
#include "sha256.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>

struct tsr_sha256 {
    EVP_MD_CTX *state;
    bool failed;
};

/* libcrypto keeps its own record of errors; the only ones here are those of its memory. */
static tsr_status failure(tsr_context *ctx) {
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "sha256: wanted a digest from libcrypto, got an error");
}

tsr_status tsr_sha256_open(tsr_context *ctx, tsr_sha256 **digest) {
    *digest = NULL;
    tsr_sha256 *d = tsr_alloc(ctx, 1, sizeof *d, "sha256");
    if (!d) return TSR_ERROR_MEMORY;
    d->state = EVP_MD_CTX_new();
    if (!d->state || EVP_DigestInit_ex(d->state, EVP_sha256(), NULL) != 1) {
        tsr_sha256_close(&d);
        return failure(ctx);
    }
    *digest = d;
    return TSR_OK;
}

void tsr_sha256_add(tsr_sha256 *d, const void *bytes, size_t size) {
    if (EVP_DigestUpdate(d->state, bytes, size) != 1) d->failed = true;
}

tsr_status tsr_sha256_finish(tsr_context *ctx, tsr_sha256 *d, char hex[65]) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    hex[0] = 0;
    if (d->failed || EVP_DigestFinal_ex(d->state, bytes, NULL) != 1) return failure(ctx);
    for (int i = 0; i < 64; ++i)
        hex[i] = "0123456789abcdef"[bytes[i / 2] >> (i % 2 ? 0 : 4) & 15];
    hex[64] = 0;
    return TSR_OK;
}

void tsr_sha256_close(tsr_sha256 **digest) {
    if (!digest || !*digest) return;
    EVP_MD_CTX_free((*digest)->state);
    free(*digest);
    *digest = NULL;
}

tsr_status tsr_sha256_of(tsr_context *ctx, const void *bytes, size_t size, char hex[65]) {
    tsr_sha256 *digest;
    hex[0] = 0;
    tsr_status status = tsr_sha256_open(ctx, &digest);
    if (status) return status;
    tsr_sha256_add(digest, bytes, size);
    status = tsr_sha256_finish(ctx, digest, hex);
    tsr_sha256_close(&digest);
    return status;
}
