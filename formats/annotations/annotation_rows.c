/* SPDX-License-Identifier: MIT */
/* annotation_rows.c: annotations as lines with tabs between their fields. */
#include "annotation_list.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MOST = 1 << 20, FIELDS_MOST = 16 };

static tsr_status refuse_line(const tsr_annotation_reader *r, const char *wanted) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s:%lld: wanted %s", r->name, (long long)r->line,
                    wanted);
}

/* Splits a line at tabs, in place; all beyond the last field stays in it. */
static int split(char *line, char *field[FIELDS_MOST]) {
    int n = 0;
    for (char *at = line; at && n < FIELDS_MOST;) {
        field[n++] = at;
        at = n < FIELDS_MOST ? strchr(at, '\t') : NULL;
        if (at) *at++ = '\0';
    }
    return n;
}

/* A number that fills its text up to `stop`; *text moves behind it. */
static bool take_number(const char **text, char stop, double *value) {
    char *end;
    *value = strtod(*text, &end);
    if (end == *text || *end != stop || !isfinite(*value)) return false;
    *text = end + (stop != '\0');
    return true;
}

static bool take_box(const char *text, double box[4]) {
    for (int i = 0; i < 4; ++i)
        if (!take_number(&text, i < 3 ? ',' : '\0', &box[i])) return false;
    return true;
}

static tsr_status read_word(tsr_annotation_reader *r, char *const *field, int n) {
    double box[4] = {NAN, NAN, NAN, NAN};
    uint64_t picture = 0;
    if (n != 2 && n != 3) return refuse_line(r, "file, x0,y0,x1,y1 and text with tabs between");
    tsr_status status = tsr_annotation_picture(r, field[0], 0, 0, &picture);
    if (status) return status;
    if (n == 3 && !take_box(field[1], box)) {
        tsr_annotation_refuse(r, picture, "box: wanted x0,y0,x1,y1, got \"%.80s\"", field[1]);
        return TSR_OK;
    }
    return tsr_annotation_text(r, picture, field[n - 1], box, NAN);
}

static tsr_status read_face(tsr_annotation_reader *r, char *const *field, int n) {
    double points[5][2];
    uint64_t picture = 0;
    tsr_status status = tsr_annotation_picture(r, field[0], 0, 0, &picture);
    if (status) return status;
    bool good = n == 11;
    for (int i = 0; i < 10 && good; ++i) {
        const char *text = field[i + 1];
        good = take_number(&text, '\0', &points[i / 2][i % 2]);
    }
    if (good) return tsr_annotation_face(r, picture, points, NAN);
    tsr_annotation_refuse(r, picture, "face: wanted ten numbers, x and y of five points, got %s",
                          n == 1 ? "none" : "others");
    return TSR_OK;
}

tsr_status tsr_annotation_rows(tsr_annotation_reader *r, const char *bytes, size_t size) {
    char *line = NULL;
    tsr_status status = TSR_OK;
    for (size_t at = 0; at < size && !status;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        size_t length = end ? (size_t)(end - bytes) - at : size - at;
        const char *from = bytes + at;
        at += length + 1;
        r->line++;
        if (length && from[length - 1] == '\r') --length;
        if (!length) continue;
        if (length > LINE_MOST || memchr(from, '\0', length)) {
            status = refuse_line(r, "lines of text below 1 MiB");
            break;
        }
        free(line);
        line = tsr_alloc(r->ctx, length + 1, 1, "line");
        if (!line) return TSR_ERROR_MEMORY;
        memcpy(line, from, length);
        char *field[FIELDS_MOST];
        const int n = split(line, field);
        if (r->line == 1 && !strcmp(field[0], "file")) continue; /* a heading */
        if (!*field[0])
            status = refuse_line(r, "the name of a picture in front, got none");
        else
            status = r->list->kind == TSR_ANNOTATION_FACES ? read_face(r, field, n)
                                                           : read_word(r, field, n);
    }
    free(line);
    r->line = 0;
    return status;
}
