/* SPDX-License-Identifier: MIT */
/* attribute_out.h: attributes for people and as JSON. */
#ifndef TOOLS_ATTRIBUTE_OUT_H
#define TOOLS_ATTRIBUTE_OUT_H

#include <tessera/tokens.h>
#include "json_out.h"

/* Prints a line "<before>NAME = VALUE" for each: text up to 200 bytes without control characters,
 * bytes as their number. */
void attribute_lines(const char *before, const tsr_attribute *list, uint32_t count);
/* Writes the object `key`: a member for each, text as text, integers as numbers, bytes as an object
 * with the member "base64". */
void attribute_json(json_out *j, const char *key, const tsr_attribute *list, uint32_t count);

#endif
