/* SPDX-License-Identifier: MIT */
/* content_spread.h: what was found in the words or the faces of each picture, from which the 95 %
 * intervals of T-ACC, T-NED, CER, WER and F-Sim are drawn: pictures are resampled with all that is
 * marked in them, since words of one page are read alike. */
#ifndef TOOLS_CONTENT_SPREAD_H
#define TOOLS_CONTENT_SPREAD_H

#include <stdbool.h>
#include <tessera/measure.h>
#include <tessera/text_faces.h>

/* Numbers that a mean is made of: sums of a value and of what it is divided by. */
typedef enum spread_number {
    SPREAD_FIRST,  /* T-ACC; F-Sim */
    SPREAD_SECOND, /* T-NED */
    SPREAD_CER,
    SPREAD_WER,
    SPREAD_NUMBERS
} spread_number;

enum { SPREAD_ALL = TSR_SIZE_BINS_MOST, SPREAD_CELLS }; /* behind the bins: all sizes together */

/* Of one picture. */
typedef struct spread_picture {
    double sum[SPREAD_NUMBERS][SPREAD_CELLS], weight[SPREAD_NUMBERS][SPREAD_CELLS];
} spread_picture;

/* A struct of zeros is empty. */
typedef struct content_spread {
    spread_picture *at; /* [count] */
    size_t count, room;
    const char *last; /* name of the last picture */
    bool failed;      /* there was no memory: no interval is known */
} content_spread;

void content_spread_clear(content_spread *s);
/* Adds a word or a face, whose picture is the last one or a new one: tsr_text_row_fn and
 * tsr_face_row_fn with a content_spread as user. */
void content_spread_text(void *spread, const tsr_text_row *row);
void content_spread_face(void *spread, const tsr_face_row *row);
/* 95 % interval of a mean in a bin, or over all with SPREAD_ALL; NaN below two pictures. Errors:
 * MEMORY. */
tsr_status content_spread_interval(tsr_context *ctx, const content_spread *s, spread_number number,
                                   int cell, uint64_t seed, uint32_t resamples, double *low,
                                   double *high);

#endif
