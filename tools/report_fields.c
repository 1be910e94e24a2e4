/* SPDX-License-Identifier: MIT */
/* report_fields.c: see report_fields.h. */
#include "report_fields.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void fields_wrong(fields *f, const char *key, const char *format, ...) {
    if (*f->error) return;
    char text[400];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    snprintf(f->error, sizeof f->error, "%s%s%s: %s", f->at, *f->at && *key ? "." : "",
             *key || *f->at ? key : "the document", text);
}

size_t fields_into(fields *f, const char *key, int index) {
    const size_t mark = strlen(f->at), room = sizeof f->at - mark;
    if (index >= 0)
        snprintf(f->at + mark, room, "[%d]", index);
    else
        snprintf(f->at + mark, room, "%s%s", mark ? "." : "", key);
    return mark;
}

void fields_back(fields *f, size_t mark) {
    f->at[mark] = 0;
}

static const char *kind_of(const cJSON *v) {
    return !v                  ? "nothing"
           : cJSON_IsNull(v)   ? "null"
           : cJSON_IsBool(v)   ? "true or false"
           : cJSON_IsNumber(v) ? "a number"
           : cJSON_IsString(v) ? "a text"
           : cJSON_IsArray(v)  ? "an array"
                               : "an object";
}

static const cJSON *member(const cJSON *object, const char *key) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(v) ? NULL : v;
}

const char *fields_text(fields *f, const cJSON *object, const char *key, const char *otherwise,
                        bool must) {
    const cJSON *v = member(object, key);
    if (!v && !(must && !otherwise)) return otherwise;
    if (!cJSON_IsString(v)) {
        fields_wrong(f, key, "wanted a text, got %s", kind_of(v));
        return otherwise ? otherwise : "";
    }
    if (strlen(v->valuestring) > 4096)
        fields_wrong(f, key, "wanted at most 4096 bytes, got %zu", strlen(v->valuestring));
    return v->valuestring;
}

double fields_real(fields *f, const cJSON *object, const char *key, bool infinite) {
    const cJSON *v = member(object, key);
    if (!v) return NAN;
    if (infinite && cJSON_IsString(v) && !strcmp(v->valuestring, "inf")) return INFINITY;
    if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble)) {
        fields_wrong(f, key, "wanted a finite number%s, got %s", infinite ? ", \"inf\"" : "",
                     cJSON_IsNumber(v) ? "one beyond a double" : kind_of(v));
        return NAN;
    }
    return v->valuedouble;
}

int64_t fields_count(fields *f, const cJSON *object, const char *key, int64_t otherwise) {
    const double v = fields_real(f, object, key, false);
    if (isnan(v)) return otherwise;
    if (!(v >= 0 && v <= 9007199254740992.0) || v != floor(v)) {
        fields_wrong(f, key, "wanted a whole number, 0 or more, got %.17g", v);
        return otherwise;
    }
    return (int64_t)v;
}

const cJSON *fields_object(fields *f, const cJSON *object, const char *key, bool must) {
    const cJSON *v = member(object, key);
    if (v || must) {
        if (cJSON_IsObject(v)) return v;
        fields_wrong(f, key, "wanted an object, got %s", kind_of(v));
    }
    return NULL;
}

const cJSON *fields_array(fields *f, const cJSON *object, const char *key, int most, bool must) {
    const cJSON *v = member(object, key);
    if (!v && !must) return NULL;
    if (!cJSON_IsArray(v)) {
        fields_wrong(f, key, "wanted an array, got %s", kind_of(v));
        return NULL;
    }
    if (cJSON_GetArraySize(v) > most) {
        fields_wrong(f, key, "wanted at most %d elements, got %d", most, cJSON_GetArraySize(v));
        return NULL;
    }
    return v;
}

double *fields_reals(fields *f, const cJSON *object, const char *key, int most, int *count) {
    const cJSON *array = fields_array(f, object, key, most, false), *v;
    *count = 0;
    if (!array) return NULL;
    double *values = fields_room(f, cJSON_GetArraySize(array), sizeof *values);
    if (!values) return NULL;
    cJSON_ArrayForEach(v, array) {
        if (!cJSON_IsNumber(v) || !isfinite(v->valuedouble))
            fields_wrong(f, key, "[%d]: wanted a finite number, got %s", *count, kind_of(v));
        values[(*count)++] = cJSON_IsNumber(v) ? v->valuedouble : NAN;
    }
    return values;
}

void *fields_room(fields *f, int count, size_t size) {
    void *room = calloc(count > 0 ? (size_t)count : 1, size);
    if (!room) fields_wrong(f, "", "no memory for %d elements", count);
    return room;
}
