/* SPDX-License-Identifier: MIT */
/* unpickle_tree.c: looking at what a pickle became. */
#include "unpickle_tree.h"
#include "unpickle_nodes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void tsr_pickle_close(tsr_pickle **pickle) {
    if (!pickle || !*pickle) return;
    free((*pickle)->nodes);
    free((*pickle)->items);
    free(*pickle);
    *pickle = NULL;
}

tsr_pickle_ref tsr_pickle_root(const tsr_pickle *pickle) {
    return pickle->root;
}

uint32_t tsr_pickle_count(const tsr_pickle *pickle) {
    return pickle->node_count;
}

static bool has_items(tsr_pickle_kind kind) {
    return kind == TSR_PICKLE_LIST || kind == TSR_PICKLE_TUPLE || kind == TSR_PICKLE_SET ||
           kind == TSR_PICKLE_DICT || kind == TSR_PICKLE_CALL || kind == TSR_PICKLE_PERSISTENT ||
           kind == TSR_PICKLE_OBJECT;
}

tsr_pickle_view tsr_pickle_look(const tsr_pickle *pickle, tsr_pickle_ref ref) {
    const node *n = &pickle->nodes[ref];
    tsr_pickle_view v = {.kind = (tsr_pickle_kind)n->kind, .name = (tsr_pickle_name)n->name};
    switch (v.kind) {
    case TSR_PICKLE_BOOL:
    case TSR_PICKLE_INT:
        v.integer = n->u.integer;
        break;
    case TSR_PICKLE_FLOAT:
        v.real = n->u.real;
        break;
    case TSR_PICKLE_TEXT:
    case TSR_PICKLE_BYTES:
    case TSR_PICKLE_LONG:
        v.text = (const char *)pickle->bytes + n->u.at;
        v.text_size = n->count;
        break;
    case TSR_PICKLE_GLOBAL:
        v.text = (const char *)pickle->bytes + n->u.global.at;
        v.text_size = n->count;
        break;
    case TSR_PICKLE_OBJECT:
        break;
    default:
        v.count = has_items(v.kind) ? n->count : 0;
    }
    return v;
}

bool tsr_pickle_next(const tsr_pickle *pickle, tsr_pickle_ref ref, uint32_t *place,
                     tsr_pickle_ref *key, tsr_pickle_ref *value) {
    const node *n = &pickle->nodes[ref];
    if (!has_items((tsr_pickle_kind)n->kind) || *place == UINT32_MAX) return false;
    uint32_t at = *place ? *place : n->u.items.first;
    if (!at) return false;
    const item *i = &pickle->items[at - 1];
    /* A tuple's items may be shared by a call, but lists of items always end at `last`. */
    *place = at == n->u.items.last || !i->next ? UINT32_MAX : i->next;
    *key = i->key;
    *value = i->value;
    return true;
}

bool tsr_pickle_is(const tsr_pickle *pickle, tsr_pickle_ref ref, const char *text) {
    tsr_pickle_view v = tsr_pickle_look(pickle, ref);
    return v.kind == TSR_PICKLE_TEXT && strlen(text) == v.text_size &&
           memcmp(v.text, text, v.text_size) == 0;
}

char *tsr_pickle_name_text(const tsr_pickle *pickle, tsr_pickle_ref ref, char *text, size_t size) {
    const node *n = &pickle->nodes[ref];
    if (n->kind == TSR_PICKLE_OBJECT) n = &pickle->nodes[n->count];
    if (n->kind == TSR_PICKLE_PERSISTENT && n->u.items.first) { /* ("module", class, ...) */
        const uint32_t second = pickle->items[n->u.items.first - 1].next;
        if (second) n = &pickle->nodes[pickle->items[second - 1].value];
    }
    if (n->kind != TSR_PICKLE_GLOBAL) {
        snprintf(text, size, "an object");
        return text;
    }
    snprintf(text, size, "%.*s.%.*s", (int)n->module_size,
             (const char *)pickle->bytes + n->u.global.module_at,
             (int)(n->count < 200 ? n->count : 200), (const char *)pickle->bytes + n->u.global.at);
    for (char *c = text; *c; ++c)
        if ((uint8_t)*c < 0x20 || (uint8_t)*c >= 0x7F) *c = '?';
    return text;
}
