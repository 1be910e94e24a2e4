/* SPDX-License-Identifier: MIT */
/* report_fields.h: fields of a JSON document one after the other, with the first mistake kept:
 * later calls do nothing, so that a reader has no checks in it. */
#ifndef TOOLS_REPORT_FIELDS_H
#define TOOLS_REPORT_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

typedef struct fields {
    char at[300];     /* where the reader stands: "candidates[2].summary" */
    char error[1000]; /* "" while all is well */
} fields;

/* Notes a mistake in the field `key` of where the reader stands; key "" is that place itself. */
void fields_wrong(fields *f, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Goes into key, or into element `index` where that is 0 or more; returns what fields_back takes.
 */
size_t fields_into(fields *f, const char *key, int index);
void fields_back(fields *f, size_t mark);

/* A text without control characters; where it is absent or null, `otherwise`, and a mistake where
 * that is NULL and `must`. */
const char *fields_text(fields *f, const cJSON *object, const char *key, const char *otherwise,
                        bool must);
/* A finite number, NaN where it is absent or null; with `infinite` also the text "inf". */
double fields_real(fields *f, const cJSON *object, const char *key, bool infinite);
/* A whole number from 0 to 2^53; `otherwise` where it is absent or null. */
int64_t fields_count(fields *f, const cJSON *object, const char *key, int64_t otherwise);
/* An object or an array, NULL where it is absent or null; a mistake if it is absent and `must`. */
const cJSON *fields_object(fields *f, const cJSON *object, const char *key, bool must);
const cJSON *fields_array(fields *f, const cJSON *object, const char *key, int most, bool must);
/* An array of finite numbers, at most `most`, whose memory the caller frees with free(). */
double *fields_reals(fields *f, const cJSON *object, const char *key, int most, int *count);
/* count members of `size` bytes of zeros, at least one. NULL and a mistake without memory. */
void *fields_room(fields *f, int count, size_t size);

#endif
