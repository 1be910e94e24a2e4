/* SPDX-License-Identifier: MIT */
/* token_damage.c: see token_damage.h. */
#include "token_damage.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void token_damage_open(token_damage *d, tool *t) {
    memset(d, 0, sizeof *d);
    d->t = t;
    if (!t->o->json) return;
    d->file = open_memstream(&d->text, &d->size);
    if (!d->file) return;
    d->list = (json_out){.file = d->file};
    fputc('[', d->file);
}

static void end_list(token_damage *d) {
    if (!d->file) return;
    fputs(d->list.filled[0] ? "\n  ]" : "]", d->file);
    const bool failed = fclose(d->file) != 0;
    d->file = NULL;
    if (!failed) return;
    free(d->text);
    d->text = NULL;
}

void token_damage_close(token_damage *d) {
    end_list(d);
    free(d->text);
    d->text = NULL;
}

void token_damage_add(void *user, const tsr_token_damage *damage) {
    token_damage *d = user;
    char clean[700];
    const bool item = damage->item != TSR_NO_ITEM;
    *(damage->attributes ? &d->lost : item ? &d->items : &d->places) += 1;
    if (d->items + d->places + d->lost > DAMAGE_LISTED) return;
    tool_clean(damage->detail, clean, sizeof clean);
    if (item)
        tool_warn(d->t, "item %" PRIu64 ": %s: %s", damage->item, tsr_status_text(damage->status),
                  clean);
    else
        tool_warn(d->t, "%s: %s", tsr_status_text(damage->status), clean);
    if (!d->file) return;
    json_object(&d->list, NULL);
    if (item)
        json_uint(&d->list, "item", damage->item);
    else
        json_null(&d->list, "item");
    json_uint(&d->list, "offset", damage->offset);
    json_text(&d->list, "error", damage->detail);
    json_end(&d->list, '}');
}

void token_damage_add_places(token_damage *d, tsr_token_file *file) {
    tsr_token_damage damage;
    const int count = tsr_token_file_properties(file)->damaged;
    for (int i = 0; i < count && !tsr_token_file_damage(file, i, &damage); ++i)
        token_damage_add(d, &damage);
}

void token_damage_add_lost(token_damage *d, const tsr_token_file *file) {
    tsr_token_damage damage;
    if (tsr_token_file_item_lost(file, &damage)) token_damage_add(d, &damage);
}

void token_damage_json(token_damage *d, json_out *j, bool recovered) {
    end_list(d);
    json_bool(j, "recovered", recovered);
    json_uint(j, "damaged", d->places + d->items + d->lost);
    json_uint(j, "unreadable_items", d->items);
    json_uint(j, "lost_attributes", d->lost);
    json_bool(j, "whole", token_damage_none(d, recovered));
    json_raw(j, "damage", d->text ? d->text : "[]");
}

const char *token_damage_text(const token_damage *d, bool recovered, char *text, size_t size) {
    if (token_damage_none(d, recovered)) {
        snprintf(text, size, "whole");
        return text;
    }
    int n = snprintf(text, size, "not whole:%s",
                     recovered ? " index missing, items found by scanning," : "");
    if (recovered || d->places)
        n += snprintf(text + n, size - (size_t)n, " %" PRIu64 " damaged %s left out%s", d->places,
                      d->places == 1 ? "chunk" : "chunks", d->items || d->lost ? "," : "");
    if (d->items)
        n += snprintf(text + n, size - (size_t)n, " %" PRIu64 " %s unreadable%s", d->items,
                      d->items == 1 ? "item" : "items", d->lost ? "," : "");
    if (d->lost)
        snprintf(text + n, size - (size_t)n, " %" PRIu64 " %s without attributes", d->lost,
                 d->lost == 1 ? "item" : "items");
    return text;
}

bool token_damage_none(const token_damage *d, bool recovered) {
    return !recovered && !d->places && !d->items && !d->lost;
}
