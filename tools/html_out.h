/* SPDX-License-Identifier: MIT */
/* html_out.h: text of others inside HTML and SVG. */
#ifndef TOOLS_HTML_OUT_H
#define TOOLS_HTML_OUT_H

#include <stddef.h>
#include <stdio.h>

/* Writes a text so that it is text inside an element and inside a quoted attribute, whatever is in
 * it: & < > " ' are escaped; bytes that are no UTF-8, control characters, and those that turn the
 * direction of what stands around them, become U+FFFD. */
void html_text(FILE *file, const char *text);
/* The same with a format; the result is cut at 1,000 bytes. */
void html_format(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Writes bytes in base 64. */
void html_base64(FILE *file, const void *bytes, size_t size);

#endif
