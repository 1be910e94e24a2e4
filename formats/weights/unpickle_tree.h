/* SPDX-License-Identifier: MIT */
/* unpickle_tree.h: what a pickle becomes, to be looked at. The tree may share nodes and may even
 * hold itself: walk it with a limit on depth and on steps. */
#ifndef FORMATS_UNPICKLE_TREE_H
#define FORMATS_UNPICKLE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "unpickle_names.h"

typedef enum tsr_pickle_kind {
    TSR_PICKLE_NONE,
    TSR_PICKLE_BOOL, /* integer 0 or 1 */
    TSR_PICKLE_INT,  /* integer */
    TSR_PICKLE_LONG, /* beyond 64 bits: text = the two's complement bytes, little-endian */
    TSR_PICKLE_FLOAT,
    TSR_PICKLE_TEXT, /* UTF-8, may hold U+0000 */
    TSR_PICKLE_BYTES,
    TSR_PICKLE_LIST,       /* items */
    TSR_PICKLE_TUPLE,      /* items */
    TSR_PICKLE_SET,        /* items */
    TSR_PICKLE_DICT,       /* items with keys; also OrderedDict, and Namespace with its members */
    TSR_PICKLE_GLOBAL,     /* name */
    TSR_PICKLE_CALL,       /* name called with the items */
    TSR_PICKLE_PERSISTENT, /* items: the tuple that names something outside the pickle */
    TSR_PICKLE_OBJECT /* what some Python class or function would make. Items with a key were set as
                         in a dictionary; those without are arguments, states and list items */
} tsr_pickle_kind;

typedef struct tsr_pickle tsr_pickle;
typedef uint32_t tsr_pickle_ref; /* a node; 0 is None */

typedef struct tsr_pickle_view { /* of one node */
    tsr_pickle_kind kind;
    int64_t integer;
    double real;
    tsr_pickle_name name;
    const char *text; /* inside the pickle's bytes, not terminated; of a GLOBAL its last part */
    size_t text_size;
    uint32_t count; /* of items */
} tsr_pickle_view;

/* Frees a tree and sets *pickle to NULL. NULL and a NULL *pickle are accepted. */
void tsr_pickle_close(tsr_pickle **pickle);
/* Outermost node. */
tsr_pickle_ref tsr_pickle_root(const tsr_pickle *pickle);
/* Number of nodes; every ref is below this number. */
uint32_t tsr_pickle_count(const tsr_pickle *pickle);
/* Contents of a node. */
tsr_pickle_view tsr_pickle_look(const tsr_pickle *pickle, tsr_pickle_ref ref);
/* Walks through the items of a node in order: start with *place = 0; false at the end. *key is None
 * for an item without key. */
bool tsr_pickle_next(const tsr_pickle *pickle, tsr_pickle_ref ref, uint32_t *place,
                     tsr_pickle_ref *key, tsr_pickle_ref *value);
/* Writes "module.name" of a GLOBAL, or of what an OBJECT is made by, into text and returns text.
 * Bytes that would drive a terminal become '?'; "an object" where no name is known. */
char *tsr_pickle_name_text(const tsr_pickle *pickle, tsr_pickle_ref ref, char *text, size_t size);
/* True if the node is a text equal to `text`. */
bool tsr_pickle_is(const tsr_pickle *pickle, tsr_pickle_ref ref, const char *text);

#endif
