/* SPDX-License-Identifier: MIT */
/* json_out.c: see json_out.h. */
#include "json_out.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Length of the UTF-8 sequence at p, 0 when it is none (overlong and surrogate forms included). */
static int sequence(const unsigned char *p) {
    if (p[0] < 0x80) return 1;
    int n = p[0] >= 0xC2 && p[0] < 0xE0   ? 2
            : p[0] >= 0xE0 && p[0] < 0xF0 ? 3
            : p[0] >= 0xF0 && p[0] < 0xF5 ? 4
                                          : 0;
    for (int i = 1; i < n; ++i)
        if ((p[i] & 0xC0) != 0x80) return 0;
    if (n == 3 && ((p[0] == 0xE0 && p[1] < 0xA0) || (p[0] == 0xED && p[1] > 0x9F))) return 0;
    if (n == 4 && ((p[0] == 0xF0 && p[1] < 0x90) || (p[0] == 0xF4 && p[1] > 0x8F))) return 0;
    return n;
}

/* A zero byte stands behind the text, which no sequence goes beyond. */
static void write_text(FILE *f, const char *text, size_t size) {
    fputc('"', f);
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    while (p < end) {
        int n = sequence(p);
        if (n == 0) {
            fputs("\\ufffd", f);
            p++;
        } else if (n > 1) {
            fwrite(p, 1, (size_t)n, f);
            p += n;
        } else {
            if (*p == '"' || *p == '\\')
                fprintf(f, "\\%c", *p);
            else if (*p == '\n')
                fputs("\\n", f);
            else if (*p == '\t')
                fputs("\\t", f);
            else if (*p < 0x20 || *p == 0x7F)
                fprintf(f, "\\u%04x", *p);
            else
                fputc(*p, f);
            p++;
        }
    }
    fputc('"', f);
}

static void member(json_out *j, const char *key) {
    if (j->filled[j->depth]) fputc(',', j->file);
    j->filled[j->depth] = true;
    fprintf(j->file, "\n%*s", 2 * (j->depth + 1), "");
    if (key) {
        write_text(j->file, key, strlen(key));
        fputs(": ", j->file);
    }
}

static void deeper(json_out *j, char bracket) {
    fputc(bracket, j->file);
    if (j->depth < 31) j->depth++;
    j->filled[j->depth] = false;
}

void json_open(json_out *j, FILE *file) {
    j->file = file;
    j->depth = 0;
    j->filled[0] = false;
    fputc('{', file);
}

void json_close(json_out *j) {
    fputs(j->filled[0] ? "\n}\n" : "}\n", j->file);
}

void json_object(json_out *j, const char *key) {
    member(j, key);
    deeper(j, '{');
}

void json_array(json_out *j, const char *key) {
    member(j, key);
    deeper(j, '[');
}

void json_end(json_out *j, char bracket) {
    bool filled = j->filled[j->depth];
    j->depth--;
    if (filled) fprintf(j->file, "\n%*s", 2 * (j->depth + 1), "");
    fputc(bracket, j->file);
}

void json_text(json_out *j, const char *key, const char *value) {
    member(j, key);
    if (value)
        write_text(j->file, value, strlen(value));
    else
        fputs("null", j->file);
}

void json_text_of(json_out *j, const char *key, const char *value, size_t size) {
    member(j, key);
    write_text(j->file, value, size);
}

void json_base64(json_out *j, const char *key, const void *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *b = bytes;
    member(j, key);
    fputc('"', j->file);
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t word = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) |
                              (left > 2 ? b[i + 2] : 0);
        for (size_t k = 0; k < 4; ++k)
            fputc(k <= left ? digits[word >> (18 - 6 * k) & 63] : '=', j->file);
    }
    fputc('"', j->file);
}

void json_uint(json_out *j, const char *key, uint64_t value) {
    member(j, key);
    fprintf(j->file, "%" PRIu64, value);
}

void json_int(json_out *j, const char *key, int64_t value) {
    member(j, key);
    fprintf(j->file, "%" PRId64, value);
}

void json_real(json_out *j, const char *key, double value) {
    member(j, key);
    if (!isfinite(value)) {
        fputs("null", j->file);
        return;
    }
    char text[40];
    for (int digits = 6; digits <= 17; ++digits) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    fputs(text, j->file);
}

void json_bool(json_out *j, const char *key, bool value) {
    member(j, key);
    fputs(value ? "true" : "false", j->file);
}

void json_null(json_out *j, const char *key) {
    member(j, key);
    fputs("null", j->file);
}

void json_hash(json_out *j, const char *key, uint64_t value) {
    member(j, key);
    fprintf(j->file, "\"%016" PRIx64 "\"", value);
}

void json_raw(json_out *j, const char *key, const char *json) {
    member(j, key);
    fputs(json, j->file);
}

void json_numbers(json_out *j, const char *key, const uint32_t *values, uint64_t count) {
    member(j, key);
    fputc('[', j->file);
    for (uint64_t i = 0; i < count; ++i)
        fprintf(j->file, i ? ", %" PRIu32 : "%" PRIu32, values[i]);
    fputc(']', j->file);
}

void json_floats(json_out *j, const char *key, const float *values, uint64_t count) {
    member(j, key);
    fputc('[', j->file);
    for (uint64_t i = 0; i < count; ++i)
        fprintf(j->file, i ? ", %.9g" : "%.9g", (double)values[i]);
    fputc(']', j->file);
}
