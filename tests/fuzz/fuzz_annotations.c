/* SPDX-License-Identifier: MIT */
/* Any bytes as annotations of text and of faces: what is accepted keeps the header's promises. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/annotations.h>
#include "alloc_fail.h"
#include "must.h"
#include "formats/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_line(void *user, const char *line) {
    ++*(uint64_t *)user;
    MUST(*line);
}

static void check_text(const tsr_text_mark *m, const tsr_marked_picture *p) {
    MUST(m && *m->text && tsr_utf8_valid(m->text, strlen(m->text), NULL));
    MUST(isnan(m->size) || m->size > 0);
    if (isnan(m->box[0])) return;
    MUST(m->box[0] >= 0 && m->box[1] >= 0 && m->box[0] < m->box[2] && m->box[1] < m->box[3]);
    if (p->width) MUST(m->box[2] <= p->width && m->box[3] <= p->height);
}

static void check_face(const tsr_face_mark *m) {
    double spread = 0;
    MUST(m && (isnan(m->size) || m->size > 0));
    for (int i = 0; i < 10; ++i) {
        MUST(isfinite(m->points[i / 2][i % 2]));
        spread += fabs(m->points[i / 2][i % 2] - m->points[0][i % 2]);
    }
    MUST(spread > 0);
}

static void check(const tsr_annotations *a, uint64_t lines) {
    uint64_t marks = 0;
    MUST(tsr_annotations_marks(a) > 0 && tsr_annotations_refused(a) == lines);
    for (uint64_t i = 0; i < tsr_annotations_count(a); ++i) {
        const tsr_marked_picture *p = tsr_annotations_picture(a, i);
        MUST(p->first == marks && tsr_annotations_find(a, p->name) == (int64_t)i);
        MUST((p->width > 0) == (p->height > 0));
        for (uint64_t k = p->first; k < p->first + p->count; ++k)
            if (tsr_annotations_kind(a) == TSR_ANNOTATION_TEXT)
                check_text(tsr_annotations_text(a, k), p);
            else
                check_face(tsr_annotations_face(a, k));
        marks += p->count;
    }
    MUST(marks == tsr_annotations_marks(a));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    for (int kind = 0; kind < 2; ++kind) {
        tsr_annotations *a = NULL;
        uint64_t lines = 0;
        const tsr_status status = tsr_annotations_parse(
            ctx, "marks", data, size, (tsr_annotation_kind)kind, count_line, &lines, &a);
        MUST((status == TSR_OK) == (a != NULL));
        if (a) check(a, lines);
        tsr_annotations_close(&a);
        alloc_fail_at((long)(size % 16));
        tsr_annotations_parse(ctx, "marks", data, size, (tsr_annotation_kind)kind, NULL, NULL, &a);
        alloc_fail_at(-1);
        tsr_annotations_close(&a);
    }
    tsr_context_close(&ctx);
    return 0;
}
