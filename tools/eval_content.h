/* SPDX-License-Identifier: MIT */
/* eval_content.h: text and faces in the pictures that a verb measures: their annotations, the
 * reader and the embedder, and what was found, for people and as JSON. */
#ifndef TOOLS_EVAL_CONTENT_H
#define TOOLS_EVAL_CONTENT_H

#include <tessera/measure.h>
#include <tessera/text_faces.h>
#include "content_spread.h"
#include "tool.h"

/* Member `content` of a verb's options (eval_content.def). A struct of zeros is the default. */
typedef struct content_choices {
    const char *text, *reader, *faces, *embedder;
    int ignore_case;
} content_choices;

/* What stands open. A struct of zeros is closed. */
typedef struct content {
    tool *t;
    const content_choices *choices;
    tsr_annotations *words, *faces;
    tsr_reader *reader;
    tsr_embedder *embedder;
    tsr_text_eval *text_eval; /* of the candidate that is being measured */
    tsr_face_eval *face_eval;
    tsr_status status; /* first failure inside content_pair; its detail stands in the context */
    content_spread word_spread, face_spread; /* by picture, of the candidate */
    uint64_t seed;                           /* of the intervals, as in tsr_measure_settings */
    uint32_t resamples;
    uint64_t problems; /* marks that were left out, each said on stderr */
    FILE *people;      /* what content_show prints; NULL: nothing yet */
    char *shown;
    size_t shown_size;
} content;

/* Refuses --text without --reader and the like. Returns -1, or the exit code. */
int content_check(const verb *v, const content_choices *choices);
/* Whether anything was asked for. */
bool content_wanted(const content_choices *choices);
/* Opens annotations, reader and embedder; says the licence of weights that have one. Of settings
 * the bootstrap's are read. Returns -1, or the exit code. content_close closes in any case. */
int content_open(tool *t, const content_choices *choices, const tsr_measure_settings *settings,
                 content *c);
void content_close(content *c);
/* Opens a reader or an embedder by "KIND:NAME", whose name may be one of the catalog. Returns -1,
 * or the exit code. */
int content_open_reader(tool *t, const char *text, tsr_reader **reader);
int content_open_embedder(tool *t, const char *text, tsr_embedder **embedder);
/* Opens annotations, saying each mark that is left out. Returns -1, or the exit code. */
int content_open_marks(tool *t, const char *path, tsr_annotation_kind kind, uint64_t *problems,
                       tsr_annotations **marks);

/* Begins a candidate. */
tsr_status content_begin(content *c);
/* tsr_pair_fn with a content as user: looks at a pair. Nonzero after a failure. */
int content_pair(void *user, uint64_t index, const char *name, const uint8_t *original,
                 const uint8_t *candidate, int width, int height);
/* Ends the candidate called `name`, the last of the report: what was found becomes its "text" and
 * "faces". */
tsr_status content_attach(content *c, const char *name, tsr_report *report);
/* Prints what was found in all candidates, for people. */
void content_show(content *c);

#endif
