/* SPDX-License-Identifier: MIT */
/* unpickle_tree.h: what a pickle becomes: nodes and items in two arrays, for unpickle*.c alone. */
#ifndef FORMATS_UNPICKLE_TREE_H
#define FORMATS_UNPICKLE_TREE_H

#include "unpickle.h"

typedef struct node {
    uint8_t kind;
    uint8_t name;   /* tsr_pickle_name of a GLOBAL or CALL */
    uint32_t count; /* of items; of bytes for texts */
    union {
        int64_t integer;
        double real;
        uint64_t at; /* of a text's first byte */
        struct {
            uint32_t first, last; /* items + 1; 0 = none */
        } items;
    } u;
} node;

typedef struct item {
    tsr_pickle_ref key, value;
    uint32_t next; /* items + 1; 0 = none */
} item;

struct tsr_pickle {
    const uint8_t *bytes;
    node *nodes;
    item *items;
    uint32_t node_count, node_room, item_count, item_room;
    tsr_pickle_ref root;
};

/* *stem: how much of the name matters ("Float" of "FloatStorage"). */
bool tsr_pickle_known(const char *module, size_t module_size, const char *name, size_t size,
                      tsr_pickle_name *kind, size_t *stem);

#endif
