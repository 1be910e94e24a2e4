/* SPDX-License-Identifier: MIT */
/* annotation_list.h: the inside of annotations: what the readers of the forms add marks to. */
#ifndef ANNOTATIONS_ANNOTATION_LIST_H
#define ANNOTATIONS_ANNOTATION_LIST_H

#include <tessera/annotations.h>

#include <cjson/cJSON.h>

#include <stdbool.h>

#include "../../compute/context.h"

enum { TSR_MARKS_MOST = 1 << 26 };

/* A mark as it was added; sorted by picture at the end. */
typedef struct tsr_mark {
    uint64_t picture;
    union {
        tsr_text_mark text;
        tsr_face_mark face;
    } as;
} tsr_mark;

struct tsr_annotations {
    tsr_annotation_kind kind;
    tsr_marked_picture *pictures;
    uint64_t count, picture_room;
    tsr_mark *marks;
    uint64_t mark_count, mark_room;
    uint64_t refused;
    uint64_t *slots; /* by hash of the name without suffix: index + 1; 0 empty */
    uint64_t slot_count;
};

/* A file that is being read. */
typedef struct tsr_annotation_reader {
    tsr_context *ctx;
    const char *name; /* begins messages */
    tsr_annotations *list;
    tsr_annotation_problem_fn problem;
    void *user;
    int64_t line; /* of a file of lines; else 0 */
} tsr_annotation_reader;

/* Finds or adds a picture; *index is its number. width and height may be 0. Errors: MEMORY, FORMAT
 * (another size than before). */
tsr_status tsr_annotation_picture(tsr_annotation_reader *r, const char *name, int width, int height,
                                  uint64_t *index);
/* Adds a mark of the reader's kind, or leaves it out and says why; text is copied. Errors: MEMORY,
 * TOO_LARGE. */
tsr_status tsr_annotation_text(tsr_annotation_reader *r, uint64_t picture, const char *text,
                               const double box[4], double size);
tsr_status tsr_annotation_face(tsr_annotation_reader *r, uint64_t picture, double points[5][2],
                               double size);
/* Leaves a mark out: "NAME: [line N:] picture P: FORMAT". */
void tsr_annotation_refuse(tsr_annotation_reader *r, uint64_t picture, const char *format, ...)
    TSR_PRINTF(3, 4);

/* Readers of the forms. Errors: FORMAT, those of adding. */
tsr_status tsr_annotation_json(tsr_annotation_reader *r, const char *bytes, size_t size);
tsr_status tsr_annotation_rows(tsr_annotation_reader *r, const char *bytes, size_t size);

#endif
