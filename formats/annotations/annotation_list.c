/* SPDX-License-Identifier: MIT */
/* annotation_list.c: pictures by name, marks by picture. */
#include "annotation_list.h"
#include "../file.h"
#include "../utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 256 << 20 };

/* ---- pictures by name ---- */

/* Length of a name without the suffix of its last part. */
static size_t stem_of(const char *name) {
    const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
    return dot && dot > (slash ? slash + 1 : name) ? (size_t)(dot - name) : strlen(name);
}

static uint64_t hash_of(const char *name, size_t size) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; ++i)
        h = (h ^ (uint8_t)name[i]) * 0x100000001B3u;
    return h;
}

/* Index of a picture whose whole name, or whose name without suffix, is this one's; -1: none. */
static int64_t look_up(const tsr_annotations *a, const char *name, bool whole) {
    const size_t stem = stem_of(name);
    if (!a->slot_count) return -1;
    for (uint64_t i = hash_of(name, stem) & (a->slot_count - 1); a->slots[i];
         i = (i + 1) & (a->slot_count - 1)) {
        const char *other = a->pictures[a->slots[i] - 1].name;
        const bool same =
            whole ? !strcmp(other, name) : stem_of(other) == stem && !memcmp(other, name, stem);
        if (same) return (int64_t)a->slots[i] - 1;
    }
    return -1;
}

int64_t tsr_annotations_find(const tsr_annotations *a, const char *name) {
    const int64_t index = look_up(a, name, true);
    return index >= 0 ? index : look_up(a, name, false);
}

static void enter(tsr_annotations *a, uint64_t index) {
    const char *name = a->pictures[index].name;
    uint64_t i = hash_of(name, stem_of(name)) & (a->slot_count - 1);
    while (a->slots[i])
        i = (i + 1) & (a->slot_count - 1);
    a->slots[i] = index + 1;
}

/* Room for one more picture, and slots for twice as many. */
static tsr_status grow_pictures(tsr_context *ctx, tsr_annotations *a) {
    if (a->count < a->picture_room) return TSR_OK;
    const uint64_t room = a->picture_room ? 2 * a->picture_room : 64;
    tsr_marked_picture *pictures = tsr_alloc(ctx, room, sizeof *pictures, "annotations");
    uint64_t *slots = pictures ? tsr_alloc(ctx, 2 * room, sizeof *slots, "annotations") : NULL;
    if (!slots) {
        free(pictures);
        return TSR_ERROR_MEMORY;
    }
    if (a->count) memcpy(pictures, a->pictures, a->count * sizeof *pictures);
    free(a->pictures);
    free(a->slots);
    a->pictures = pictures;
    a->picture_room = room;
    a->slots = slots;
    a->slot_count = 2 * room;
    for (uint64_t i = 0; i < a->count; ++i)
        enter(a, i);
    return TSR_OK;
}

static char *copy_text(tsr_context *ctx, const char *text) {
    const size_t size = strlen(text) + 1;
    char *copy = tsr_alloc(ctx, size, 1, "annotations");
    if (copy) memcpy(copy, text, size);
    return copy;
}

tsr_status tsr_annotation_picture(tsr_annotation_reader *r, const char *name, int width, int height,
                                  uint64_t *index) {
    tsr_annotations *a = r->list;
    const int64_t known = look_up(a, name, true);
    if (known >= 0) {
        tsr_marked_picture *p = &a->pictures[known];
        if (width && p->width && (p->width != width || p->height != height))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: picture %.200s: wanted %dx%d as before, got %dx%d", r->name, name,
                            p->width, p->height, width, height);
        if (width) p->width = width, p->height = height;
        *index = (uint64_t)known;
        return TSR_OK;
    }
    tsr_status status = grow_pictures(r->ctx, a);
    char *copy = status ? NULL : copy_text(r->ctx, name);
    if (!copy) return status ? status : TSR_ERROR_MEMORY;
    *index = a->count;
    a->pictures[a->count] = (tsr_marked_picture){.name = copy, .width = width, .height = height};
    enter(a, a->count++);
    return TSR_OK;
}

/* ---- marks ---- */

void tsr_annotation_refuse(tsr_annotation_reader *r, uint64_t picture, const char *format, ...) {
    char text[1024], line[2048], place[32] = "";
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    r->list->refused++;
    if (!r->problem) return;
    if (r->line) snprintf(place, sizeof place, "%lld:", (long long)r->line);
    snprintf(line, sizeof line, "%.400s:%s picture %.400s: %s", r->name, place,
             r->list->pictures[picture].name, text);
    r->problem(r->user, line);
}

static tsr_status add(tsr_annotation_reader *r, const tsr_mark *mark) {
    tsr_annotations *a = r->list;
    if (a->mark_count == TSR_MARKS_MOST)
        return tsr_fail(r->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d marks, got more",
                        r->name, TSR_MARKS_MOST);
    if (a->mark_count == a->mark_room) {
        const uint64_t room = a->mark_room ? 2 * a->mark_room : 256;
        tsr_mark *marks = tsr_alloc(r->ctx, room, sizeof *marks, "annotations");
        if (!marks) return TSR_ERROR_MEMORY;
        if (a->mark_count) memcpy(marks, a->marks, a->mark_count * sizeof *marks);
        free(a->marks);
        a->marks = marks;
        a->mark_room = room;
    }
    a->marks[a->mark_count++] = *mark;
    return TSR_OK;
}

static bool all_finite(const double *values, int count) {
    for (int i = 0; i < count; ++i)
        if (!isfinite(values[i])) return false;
    return true;
}

tsr_status tsr_annotation_text(tsr_annotation_reader *r, uint64_t picture, const char *text,
                               const double box[4], double size) {
    const tsr_marked_picture *p = &r->list->pictures[picture];
    const bool whole = isnan(box[0]);
    const char *at = text;
    while (*at == ' ' || *at == '\t' || *at == '\r' || *at == '\n')
        ++at;
    if (!*at) {
        tsr_annotation_refuse(r, picture, "text: wanted a text, got an empty one");
        return TSR_OK;
    }
    if (!tsr_utf8_valid(text, strlen(text), NULL)) {
        tsr_annotation_refuse(r, picture, "text: wanted UTF-8, got other bytes");
        return TSR_OK;
    }
    const bool sized = p->width > 0;
    if (!whole && (!all_finite(box, 4) || box[0] < 0 || box[1] < 0 || !(box[0] < box[2]) ||
                   !(box[1] < box[3]) || (sized && (box[2] > p->width || box[3] > p->height)))) {
        char inside[48] = "the picture";
        if (sized) snprintf(inside, sizeof inside, "%dx%d", p->width, p->height);
        tsr_annotation_refuse(
            r, picture, "box of \"%.80s\": wanted x0 < x1, y0 < y1 inside %s, got %g,%g,%g,%g",
            text, inside, box[0], box[1], box[2], box[3]);
        return TSR_OK;
    }
    tsr_mark mark = {.picture = picture, .as.text = {.size = size > 0 ? size : NAN}};
    memcpy(mark.as.text.box, box, sizeof mark.as.text.box);
    char *copy = copy_text(r->ctx, text);
    if (!copy) return TSR_ERROR_MEMORY;
    mark.as.text.text = copy;
    const tsr_status status = add(r, &mark);
    if (status) free(copy);
    return status;
}

tsr_status tsr_annotation_face(tsr_annotation_reader *r, uint64_t picture, double points[5][2],
                               double size) {
    double spread = 0;
    tsr_mark mark = {.picture = picture, .as.face = {.size = size > 0 ? size : NAN}};
    for (int i = 1; i < 5; ++i)
        spread += fabs(points[i][0] - points[0][0]) + fabs(points[i][1] - points[0][1]);
    if (!all_finite(points[0], 10) || !(spread > 0) || !(spread < 1e9)) {
        tsr_annotation_refuse(r, picture,
                              "face: wanted five points that are not all one, got others");
        return TSR_OK;
    }
    memcpy(mark.as.face.points, points, sizeof mark.as.face.points);
    return add(r, &mark);
}

/* ---- a file ---- */

/* Brings the marks of each picture together, in their order. */
static tsr_status sort_marks(tsr_context *ctx, tsr_annotations *a) {
    tsr_mark *sorted = tsr_alloc(ctx, a->mark_count + 1, sizeof *sorted, "annotations");
    if (!sorted) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < a->mark_count; ++i)
        a->pictures[a->marks[i].picture].count++;
    uint64_t at = 0;
    for (uint64_t i = 0; i < a->count; ++i) {
        a->pictures[i].first = at;
        at += a->pictures[i].count;
        a->pictures[i].count = 0;
    }
    for (uint64_t i = 0; i < a->mark_count; ++i) {
        tsr_marked_picture *p = &a->pictures[a->marks[i].picture];
        sorted[p->first + p->count++] = a->marks[i];
    }
    free(a->marks);
    a->marks = sorted;
    return TSR_OK;
}

tsr_status tsr_annotations_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_annotation_kind kind, tsr_annotation_problem_fn problem,
                                 void *user, tsr_annotations **annotations) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!annotations || !name || (!bytes && size))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "annotations: wanted bytes and a place, got NULL");
    *annotations = NULL;
    if (size > BYTES_MOST)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d bytes, got %zu", name,
                        BYTES_MOST, size);
    tsr_annotations *a = tsr_alloc(ctx, 1, sizeof *a, "annotations");
    if (!a) return TSR_ERROR_MEMORY;
    a->kind = kind;
    tsr_annotation_reader r = {
        .ctx = ctx, .name = name, .list = a, .problem = problem, .user = user};
    const char *text = bytes;
    size_t at = size >= 3 && !memcmp(text, "\xEF\xBB\xBF", 3) ? 3 : 0;
    text += at;
    size -= at;
    for (at = 0; at < size && strchr(" \t\r\n", text[at]) && text[at];)
        ++at;
    const bool json = at < size && (text[at] == '[' || text[at] == '{');
    tsr_status status =
        json ? tsr_annotation_json(&r, text, size) : tsr_annotation_rows(&r, text, size);
    if (!status && !a->mark_count)
        status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted marks, got none%s", name,
                          a->refused ? " that can be used" : "");
    if (!status) status = sort_marks(ctx, a);
    if (status)
        tsr_annotations_close(&a);
    else
        *annotations = a;
    return status;
}

tsr_status tsr_annotations_open(tsr_context *ctx, const char *path, tsr_annotation_kind kind,
                                tsr_annotation_problem_fn problem, void *user,
                                tsr_annotations **annotations) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !annotations)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "annotations: wanted a path, got NULL");
    *annotations = NULL;
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    status =
        tsr_annotations_parse(ctx, path, map.bytes, map.size, kind, problem, user, annotations);
    tsr_map_close(&map);
    return status;
}

void tsr_annotations_close(tsr_annotations **annotations) {
    if (!annotations || !*annotations) return;
    tsr_annotations *a = *annotations;
    for (uint64_t i = 0; i < a->count; ++i)
        free((char *)(uintptr_t)a->pictures[i].name);
    for (uint64_t i = 0; i < a->mark_count && a->kind == TSR_ANNOTATION_TEXT; ++i)
        free((char *)(uintptr_t)a->marks[i].as.text.text);
    free(a->pictures);
    free(a->marks);
    free(a->slots);
    free(a);
    *annotations = NULL;
}

tsr_annotation_kind tsr_annotations_kind(const tsr_annotations *a) {
    return a->kind;
}

uint64_t tsr_annotations_count(const tsr_annotations *a) {
    return a->count;
}

uint64_t tsr_annotations_marks(const tsr_annotations *a) {
    return a->mark_count;
}

uint64_t tsr_annotations_refused(const tsr_annotations *a) {
    return a->refused;
}

const tsr_marked_picture *tsr_annotations_picture(const tsr_annotations *a, uint64_t index) {
    return index < a->count ? &a->pictures[index] : NULL;
}

const tsr_text_mark *tsr_annotations_text(const tsr_annotations *a, uint64_t index) {
    return index < a->mark_count && a->kind == TSR_ANNOTATION_TEXT ? &a->marks[index].as.text
                                                                   : NULL;
}

const tsr_face_mark *tsr_annotations_face(const tsr_annotations *a, uint64_t index) {
    return index < a->mark_count && a->kind == TSR_ANNOTATION_FACES ? &a->marks[index].as.face
                                                                    : NULL;
}
