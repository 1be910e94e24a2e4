/* SPDX-License-Identifier: MIT */
/* token_damage.h: what verbs say of a token file that is not whole: a line for each damaged place,
 * the same list in JSON, and how many there are. */
#ifndef TOOLS_TOKEN_DAMAGE_H
#define TOOLS_TOKEN_DAMAGE_H

#include "tool.h"

/* A hostile file can have damage without end: of more places than these only the number is said. */
enum { DAMAGE_LISTED = 10000 };

typedef struct token_damage {
    tool *t;
    uint64_t items;  /* that cannot be used */
    uint64_t places; /* that were left out when the file was opened */
    uint64_t lost;   /* items without their attributes */
    FILE *file;      /* of `list`; NULL without --json */
    json_out list;   /* every place */
    char *text;
    size_t size;
} token_damage;

/* Starts a list; the lines go to stderr, and with --json the list is kept, too. */
void token_damage_open(token_damage *d, tool *t);
void token_damage_close(token_damage *d);
/* tsr_token_damage_fn with a token_damage as user: says one line and notes the place. */
void token_damage_add(void *user, const tsr_token_damage *damage);
/* Adds everything that opening `file` left out. */
void token_damage_add_places(token_damage *d, tsr_token_file *file);
/* Adds that the attributes of the item that was just read are damaged, if they are. */
void token_damage_add_lost(token_damage *d, const tsr_token_file *file);
/* Writes the members "recovered", "damaged", "unreadable_items", "lost_attributes" (items without
 * theirs), "whole" and "damage". Ends the list. */
void token_damage_json(token_damage *d, json_out *j, bool recovered);
/* "not whole: index missing, items found by scanning, ..." or "whole", into text; returns it. */
const char *token_damage_text(const token_damage *d, bool recovered, char *text, size_t size);
/* True if nothing is missing or damaged. */
bool token_damage_none(const token_damage *d, bool recovered);

#endif
