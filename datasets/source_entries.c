/* SPDX-License-Identifier: MIT */
/* source_entries.c: the entries of a list and the texts they own. */
#include "source_parts.h"

#include "../formats/tokens/token_layout.h"

#include <stdlib.h>
#include <string.h>

/* Texts live as long as the list: many in a block. */
enum { BLOCK_BYTES = 1 << 16 };
struct tsr_text_block {
    tsr_text_block *before;
    size_t used, room;
    char bytes[];
};

const char *tsr_list_text(tsr_source_list *list, const char *text) {
    const size_t size = strlen(text) + 1;
    tsr_text_block *block = list->texts;
    if (!block || block->room - block->used < size) {
        const size_t room = size > BLOCK_BYTES ? size : BLOCK_BYTES;
        block = malloc(sizeof *block + room);
        if (!block) {
            tsr_fail(list->ctx, TSR_ERROR_MEMORY, "inputs: no memory for %zu names", list->count);
            return NULL;
        }
        *block = (tsr_text_block){.before = list->texts, .room = room};
        list->texts = block;
    }
    char *copy = block->bytes + block->used;
    memcpy(copy, text, size);
    block->used += size;
    return copy;
}

tsr_list_entry *tsr_list_add_entry(tsr_source_list *list, const char *path, uint64_t line,
                                   tsr_source_kind kind) {
    if (tsr_grow(list->ctx, &list->entries, &list->room, list->count + 1, sizeof *list->entries,
                 "inputs"))
        return NULL;
    tsr_list_entry *e = &list->entries[list->count];
    *e = (tsr_list_entry){.line = line, .kind = (uint8_t)kind};
    e->path = tsr_list_text(list, path);
    e->key = "";
    if (!e->path) return NULL;
    list->count++;
    return e;
}

tsr_status tsr_list_add_bad(tsr_source_list *list, const char *path, uint64_t line,
                            tsr_status status) {
    const char *problem = tsr_list_text(list, tsr_detail(list->ctx));
    tsr_list_entry *e = problem ? tsr_list_add_entry(list, path, line, TSR_SOURCE_PICTURE) : NULL;
    if (!e) return TSR_ERROR_MEMORY;
    e->problem = problem;
    e->status = (uint8_t)status;
    return TSR_OK;
}

void tsr_list_texts_free(tsr_source_list *list) {
    while (list->texts) {
        tsr_text_block *block = list->texts;
        list->texts = block->before;
        free(block);
    }
}
