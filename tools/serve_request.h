/* SPDX-License-Identifier: MIT */
/* serve_request.h: what a client of `tessera serve` asks for: options by the names of the command
 * line, from the address, from fields of a form or from a JSON document. Nothing here knows of
 * HTTP, opens a file or follows an address. */
#ifndef TOOLS_SERVE_REQUEST_H
#define TOOLS_SERVE_REQUEST_H

#include "encode_options.h"

/* Numbers, texts and lists that a JSON document may have, so that its memory is bounded. */
enum {
    SERVE_MOST_VALUES = 1 << 18,
    SERVE_MOST_TEXTS = 64,
    SERVE_MOST_PLACES = 16,
    SERVE_MOST_PICTURES = 32 /* of a prompt */
};

/* Why a request is refused. */
typedef struct serve_refusal {
    int status;       /* of HTTP */
    const char *code; /* a word for programs, static storage: "bad_request" */
    char text[700];   /* one line */
} serve_refusal;
/* Fills *wrong; returns false. */
bool serve_refuse(serve_refusal *wrong, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The word for a status of HTTP: "bad_request" for 400. Static storage. */
const char *serve_code(int status);

typedef enum serve_action { SERVE_ENCODE = 1, SERVE_DECODE = 2, SERVE_PROMPT = 4 } serve_action;

/* Ids that came as JSON, as tsr_token_item and the header have them. */
typedef struct serve_ids {
    bool placed; /* there was an "item"; else the ids are those of a single tile */
    uint32_t source_width, source_height, orientation, width, height;
    int32_t crop_x, crop_y;
    uint32_t tile_width, tile_height, tile_columns, tile_rows, overlap;
    int fit, filter;
    uint8_t background[3];
    uint32_t *counts, *ids;
    uint8_t *kept;
    uint64_t count_of_counts, count_of_ids, bytes_of_kept;
} serve_ids;

/* A request; zeros but for `action` and `choices` (ENCODE_CHOICES) in the beginning. */
typedef struct serve_request {
    serve_action action;
    encode_choices choices;
    const char *format, *name;
    const char *item;                       /* option: the last one that was named */
    const char *items[SERVE_MOST_PICTURES]; /* all that were named, of a prompt */
    int item_count;
    const char *map, *template_name, *form; /* of a prompt */
    const char *text_keys[SERVE_MOST_PLACES], *text_values[SERVE_MOST_PLACES];
    int place_count; /* texts for places of the template */
    uint32_t picture_quality;
    uint32_t frames, every; /* of a clip; 0: not said */
    int lossless, force;
    uint8_t *bytes; /* a picture, or a token file, from JSON; owned */
    size_t size;
    serve_ids ids[SERVE_MOST_PICTURES]; /* [ids_count] 0: there is a token file */
    int ids_count;
    uint64_t weights;              /* hash that the document names; 0: none */
    char *texts[SERVE_MOST_TEXTS]; /* values of options, owned */
    int text_count;
} serve_request;
void serve_request_free(serve_request *request);

/* Sets the option `name` to a text that is copied. False, with *wrong, when the action has no such
 * option or it cannot have this value. */
bool serve_request_option(serve_request *request, const char *name, const char *value,
                          serve_refusal *wrong);
/* Reads a JSON document [size]: options, and "image" or "tess" in base 64, or "item" or "ids". */
bool serve_request_json(serve_request *request, const char *json, size_t size,
                        serve_refusal *wrong);
/* Reads base 64 (RFC 4648, with or without padding, no other characters) of `size` characters into
 * malloc'd *bytes. False when it is none, and without memory. */
bool serve_base64(const char *text, size_t size, uint8_t **bytes, size_t *count);

#endif
