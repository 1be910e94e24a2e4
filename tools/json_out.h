/* SPDX-License-Identifier: MIT */
/* json_out.h: writes one JSON document to a stream, two blanks for each level, one member a line,
 * so that a person and a line tool can read it too. Inside an array pass NULL as key. */
#ifndef TOOLS_JSON_OUT_H
#define TOOLS_JSON_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct json_out {
    FILE *file;
    int depth;
    bool filled[32]; /* whether a level has a member already */
} json_out;

void json_open(json_out *j, FILE *file); /* begins the outer object */
void json_close(json_out *j);            /* ends it, with a newline */
void json_object(json_out *j, const char *key);
void json_array(json_out *j, const char *key);
void json_end(json_out *j, char bracket); /* '}' or ']' */
/* Bytes that are not UTF-8 (file names may hold any) become U+FFFD. NULL writes null. */
void json_text(json_out *j, const char *key, const char *value);
/* A text that may hold zero bytes; one must stand behind it. */
void json_text_of(json_out *j, const char *key, const char *value, size_t size);
/* Bytes as a text in base 64 (RFC 4648). */
void json_base64(json_out *j, const char *key, const void *bytes, size_t size);
void json_uint(json_out *j, const char *key, uint64_t value);
void json_int(json_out *j, const char *key, int64_t value);
/* Shortest form that reads back as the same double; NaN and infinities become null. */
void json_real(json_out *j, const char *key, double value);
void json_bool(json_out *j, const char *key, bool value);
void json_null(json_out *j, const char *key);
void json_hash(json_out *j, const char *key, uint64_t value); /* 16 hexadecimal digits as text */
/* An array of numbers on one line. */
void json_numbers(json_out *j, const char *key, const uint32_t *values, uint64_t count);
/* An array of finite floats on one line, with digits enough to read them back. */
void json_floats(json_out *j, const char *key, const float *values, uint64_t count);
/* A value that is JSON already. */
void json_raw(json_out *j, const char *key, const char *json);

#endif
