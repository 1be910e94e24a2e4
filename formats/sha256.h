/* SPDX-License-Identifier: MIT */
/* sha256.h: SHA-256 through libcrypto, to tell whether a file is the one somebody else wrote down.
 */
#ifndef FORMATS_SHA256_H
#define FORMATS_SHA256_H

#include <stddef.h>

#include "../compute/context.h"

/* Digest over bytes that come in pieces. The borders of the pieces do not change the digest. */
typedef struct tsr_sha256 tsr_sha256;
/* Opens a digest, which the caller closes with tsr_sha256_close. Errors: MEMORY. */
tsr_status tsr_sha256_open(tsr_context *ctx, tsr_sha256 **digest);
/* Adds bytes. */
void tsr_sha256_add(tsr_sha256 *digest, const void *bytes, size_t size);
/* Writes the digest of all that was added as 64 lower-case hexadecimal digits and a final 0; call
 * it once. Errors: MEMORY (libcrypto failed in one of the calls since open). */
tsr_status tsr_sha256_finish(tsr_context *ctx, tsr_sha256 *digest, char hex[65]);
/* Closes a digest and sets *digest to NULL. NULL and a NULL *digest are accepted. */
void tsr_sha256_close(tsr_sha256 **digest);

/* Computes the digest of bytes in memory, see tsr_sha256_finish. Errors: MEMORY. */
tsr_status tsr_sha256_of(tsr_context *ctx, const void *bytes, size_t size, char hex[65]);

#endif
