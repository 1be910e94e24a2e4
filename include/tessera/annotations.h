/* SPDX-License-Identifier: MIT */
/* annotations.h: where text stands and faces are in pictures, read from the files that data sets
 * have. The conventions of tessera.h hold here, too. */
#ifndef TESSERA_ANNOTATIONS_H
#define TESSERA_ANNOTATIONS_H

#include "status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What is marked in the pictures. */
typedef enum tsr_annotation_kind {
    TSR_ANNOTATION_TEXT = 0,
    TSR_ANNOTATION_FACES = 1
} tsr_annotation_kind;

/* A word or a line of text in a picture. */
typedef struct tsr_text_mark {
    const char *text; /* what is written there, UTF-8, not empty. Owned by the annotations */
    double box[4]; /* x0, y0, x1, y1 in pixels, x0 < x1 and y0 < y1; four NaN: the whole picture */
    double size;   /* relative size that the file states (TokBench's "ratio"); NaN: none */
} tsr_text_mark;

/* A face in a picture. */
typedef struct tsr_face_mark {
    double points[5][2]; /* x, y in pixels: left eye, right eye, nose, left and right corner of the
                            mouth, as seen in the picture */
    double size;         /* relative size that the file states (TokBench's "ratio"); NaN: none */
} tsr_face_mark;

/* A picture of which something is marked. */
typedef struct tsr_marked_picture {
    const char *name;  /* as the file writes it: a path below the folder of pictures. Owned by the
                          annotations */
    int width, height; /* in pixels, where the file says them; else 0 */
    uint64_t first, count; /* its marks */
} tsr_marked_picture;

/* The marks of a set of pictures. */
typedef struct tsr_annotations tsr_annotations;
/* Receives a line about a mark that cannot be used, which is then left out: "FILE: picture a.jpg:
 * word 3: ...". On the calling thread. */
typedef void (*tsr_annotation_problem_fn)(void *user, const char *line);

/* Reads a file of annotations. Which form it has is seen from its first character:
 *   '['  TokBench's lists: [{"file_name", "height", "width", "annotations": [{"bbox": [x0, y0, x1,
 *        y1], "rec", "ratio"}]}] of text; [{"image_name", "img_height", "img_width", "faces":
 *        [{"kps": [[x, y] x 5], "ratio"}]}] of faces;
 *   '{'  docTR's, of text: {"a.jpg": {"img_dimensions": [h, w], "polygons": [[[x, y] x 4]],
 *        "labels": []}}, or {"a.jpg": "the word in it"};
 *   else lines with a tab between fields: of text "file", "x0,y0,x1,y1", text, or "file", text of
 *        the whole picture; of faces "file" and ten numbers, x and y of the points in their order.
 *        A first line whose first field is "file" is a heading; empty lines are skipped.
 *
 * A mark that cannot be used is left out, counted, and said to `problem` (may be NULL): an empty
 * text, a box that is empty or reaches outside of its picture, a face without five points. A file
 * that is not of its form is refused as a whole. *annotations is NULL on error; else the caller
 * closes it. Errors: reading errors, FORMAT (naming place, field, wanted and got; nothing that can
 * be used in it), TOO_LARGE (above 256 MiB, or 2^26 marks), MEMORY, ARGUMENT. */
tsr_status tsr_annotations_open(tsr_context *ctx, const char *path, tsr_annotation_kind kind,
                                tsr_annotation_problem_fn problem, void *user,
                                tsr_annotations **annotations);
/* Reads the same from bytes in memory; `name` begins detail texts. */
tsr_status tsr_annotations_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_annotation_kind kind, tsr_annotation_problem_fn problem,
                                 void *user, tsr_annotations **annotations);
/* Closes annotations. NULL and a NULL *annotations are accepted. */
void tsr_annotations_close(tsr_annotations **annotations);
/* What is marked. */
tsr_annotation_kind tsr_annotations_kind(const tsr_annotations *annotations);
/* Number of pictures, which come in the order they first stand in the file. */
uint64_t tsr_annotations_count(const tsr_annotations *annotations);
/* Marks of all pictures, and marks that were left out. */
uint64_t tsr_annotations_marks(const tsr_annotations *annotations);
uint64_t tsr_annotations_refused(const tsr_annotations *annotations);
/* Picture `index`, below the count. Owned by the annotations. */
const tsr_marked_picture *tsr_annotations_picture(const tsr_annotations *annotations,
                                                  uint64_t index);
/* Mark `index`, below the marks; of the other kind NULL. Owned by the annotations. */
const tsr_text_mark *tsr_annotations_text(const tsr_annotations *annotations, uint64_t index);
const tsr_face_mark *tsr_annotations_face(const tsr_annotations *annotations, uint64_t index);
/* Finds the picture called `name`: by the whole path, or without the suffixes of both (a PNG made
 * of a JPEG). Returns its index, or -1. */
int64_t tsr_annotations_find(const tsr_annotations *annotations, const char *name);

#ifdef __cplusplus
}
#endif
#endif
