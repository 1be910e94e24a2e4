/* SPDX-License-Identifier: MIT */
/* unpickle_nodes.h: a tree's memory: nodes and items in two arrays, for unpickle.c, which fills
 * them, and unpickle_tree.c, which reads them. */
#ifndef FORMATS_UNPICKLE_NODES_H
#define FORMATS_UNPICKLE_NODES_H

#include <stdint.h>

typedef struct node {
    uint8_t kind;
    uint8_t name;         /* tsr_pickle_name of a GLOBAL, CALL or Namespace */
    uint16_t module_size; /* GLOBAL: bytes of the module's name, at most 200 */
    uint32_t count;       /* of items; of bytes for texts; OBJECT: its class, a tsr_pickle_ref */
    union {
        int64_t integer;
        double real;
        uint64_t at; /* of a text's first byte */
        struct {
            uint32_t at, module_at; /* of a GLOBAL's two names: a pickle has less than 2^28 bytes */
        } global;
        struct {
            uint32_t first, last; /* items + 1; 0 = none */
        } items;
    } u;
} node;

typedef struct item {
    uint32_t key, value; /* nodes: tsr_pickle_ref */
    uint32_t next;       /* items + 1; 0 = none */
} item;

struct tsr_pickle {
    const uint8_t *bytes;
    node *nodes;
    item *items;
    uint32_t node_count, node_room, item_count, item_room;
    uint32_t root; /* tsr_pickle_ref */
};

#endif
