/* SPDX-License-Identifier: MIT */
/* server_answer.h: what a server answers to a request, byte by byte: a JSON text, or a stream of
 * events (text/event-stream) with a JSON text each. Nothing in it is believed. */
#ifndef RUNNER_SERVER_ANSWER_H
#define RUNNER_SERVER_ANSWER_H

#include "dialect.h"

enum {
    TSR_ANSWER_MOST_BYTES = 256 << 20, /* of an answer */
    TSR_ANSWER_MOST_LINE = 16 << 20,   /* of one event, or of an answer in one piece 256 MiB */
    TSR_ANSWER_MOST_TOP = 100
};

typedef struct tsr_answer_reader {
    const tsr_dialect *dialect;
    uint32_t vocabulary; /* ids are below it; 0: not known */
    uint32_t most_ids;   /* more than these are refused */
    uint32_t top_count;  /* likeliest ids to note for each; 0: no probabilities are read */
    bool events;         /* set before the first byte */
    /* what came; `ids` and what belongs to them grow over several answers */
    uint32_t *ids;
    float *logprobs;        /* [id_count] with top_count */
    tsr_token_logprob *top; /* [id_count, top_count] */
    size_t id_count, id_room;
    tsr_bytes text; /* a zero byte follows */
    tsr_generate_stop stop;
    uint32_t prompt_tokens;
    bool ended;   /* the server said that this was all */
    bool foreign; /* a reply without ids came: the dialect does not give them */
    /* of the answer at hand */
    tsr_bytes line;
    uint64_t bytes;
    int refused;     /* code of an error that came inside the answer, 0: none */
    char wrong[300]; /* what is wrong with it; "": nothing */
    bool no_memory;
} tsr_answer_reader;

/* Makes ready for the next answer; what came before stays. */
void tsr_answer_begin(tsr_answer_reader *r, bool events);
/* Takes bytes of an answer. False when it is wrong, or refused by an error event. */
bool tsr_answer_take(tsr_answer_reader *r, const uint8_t *bytes, size_t size);
/* Takes the end of an answer: one in a single piece is read here. False as for tsr_answer_take. */
bool tsr_answer_finish(tsr_answer_reader *r);
/* Forgets the ids and text that came. */
void tsr_answer_forget(tsr_answer_reader *r);
void tsr_answer_free(tsr_answer_reader *r);

/* The message of an error's body into text[size]: {"error": {"message"}} and the forms like it, or
 * the body's beginning. Returns text. */
const char *tsr_refusal_text(const tsr_bytes *body, char *text, size_t size);

#endif
