/* SPDX-License-Identifier: MIT */
/* apart.h: a decoder in a process of its own.
 *
 * Some libraries write their findings about a damaged file on the standard error or output, and
 * some end the process where a check of theirs fails; neither can be switched off. For them the
 * calling process forks: the child has no standard streams and a bound on its memory, decodes, and
 * sends the picture back through a pipe. Whatever happens to it, the caller gets a status. */
#ifndef MEDIA_APART_H
#define MEDIA_APART_H

#include "reader.h"

/* What `decode` would do, see tsr_picture_reader.decode. Errors: those of `decode`; FORMAT where it
 * did not come back. */
tsr_status tsr_decode_apart(const tsr_picture_decode *d,
                            tsr_status (*decode)(const tsr_picture_decode *d));

#endif
