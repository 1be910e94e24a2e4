/* SPDX-License-Identifier: MIT */
/* python_repr.h: reads the text Python's repr() gives for plain data, as found in the metadata of
 * some weight files: "{'levels': [8, 8, 5], 'bias': False, 'eps': 1e-06, 'name': None}". */
#ifndef FORMATS_PYTHON_REPR_H
#define FORMATS_PYTHON_REPR_H

#include <cjson/cJSON.h>
#include "../../compute/context.h"

/* Parses text into *json, which the caller frees with cJSON_Delete. Understood are strings (both
 * quotes, all escapes but \N{...}), True, False, None, numbers, lists, tuples (lists and tuples
 * become arrays) and dicts, whose keys are strings, or numbers that become their text. `inf`
 * becomes the number, `nan` null; integers beyond 2^53 lose digits, as in any JSON reader.
 * Everything else (bytes, sets, complex numbers, calls, names) is refused. At most 1 MiB of text,
 * 64 levels, 4096 keys in a dict. `name` begins the detail text.
 * Errors: FORMAT, TOO_LARGE, MEMORY. */
tsr_status tsr_python_repr_parse(tsr_context *ctx, const char *name, const char *text, size_t size,
                                 cJSON **json);

#endif
