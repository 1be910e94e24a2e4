/* SPDX-License-Identifier: MIT */
/* picture_stream.h: the pictures of a pipe, one behind the other, as ffmpeg's image2pipe or `cat`
 * send them. Memory: the largest picture. */
#ifndef MEDIA_PICTURE_STREAM_H
#define MEDIA_PICTURE_STREAM_H

#include <stdbool.h>
#include <stdint.h>
#include "../compute/context.h"

typedef struct tsr_picture_stream tsr_picture_stream;

/* Reads up to `size` bytes of a pipe, as many as are there, and waits for one; *got 0 is the end.
 */
typedef tsr_status (*tsr_stream_read_fn)(void *user, void *to, size_t size, size_t *got);
/* Opens a stream over what `read` brings; `name` begins detail texts and is not copied. Errors:
 * MEMORY. */
tsr_status tsr_picture_stream_open(tsr_context *ctx, const char *name, tsr_stream_read_fn read,
                                   void *user, tsr_picture_stream **stream);
/* Hands out the next picture: the bytes of one, owned by the stream until its next call. Bytes that
 * begin no picture are handed out, too, with all that follows them, for the decoder to complain
 * about; of an empty pipe 0 bytes. *more: another one follows; without it no further call makes
 * sense. Errors: those of `read`, TOO_LARGE (beyond the memory limit), MEMORY. */
tsr_status tsr_picture_stream_next(tsr_picture_stream *stream, const uint8_t **bytes, size_t *size,
                                   bool *more);
void tsr_picture_stream_close(tsr_picture_stream **stream);

#endif
