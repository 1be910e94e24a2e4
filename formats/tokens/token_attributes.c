/* SPDX-License-Identifier: MIT */
/* token_attributes.c: attributes of an item or a file to bytes and back, checked on both ways.
 * Their order is that of the names, so that equal attributes have one form and equal names are
 * neighbours.
 */
#include "token_layout.h"
#include "../utf8.h"

#include <stdio.h>
#include <stdlib.h>

/* Fails with `what` is wrong of attribute number `index`. */
static tsr_status bad_attribute(tsr_context *ctx, tsr_status status, const char *file,
                                uint64_t owner, uint32_t index, const char *wanted, uint64_t got) {
    char who[48] = "the file";
    if (owner != TSR_OWNER_FILE)
        snprintf(who, sizeof who, "item %llu", (unsigned long long)owner - 1);
    return tsr_fail(ctx, status, "%s: %s: attribute %u: wanted %s, got %llu", file, who, index,
                    wanted, (unsigned long long)got);
}

/* What a name would have to be, or NULL when it is good. */
static const char *name_problem(const void *name, size_t size) {
    const uint8_t *b = name;
    if (size < 1 || size > TSR_TESS_MAX_NAME) return "a name of 1..255 bytes";
    for (size_t i = 0; i < size; ++i)
        if (b[i] < 0x20 || b[i] == 0x7f) return "a name without control characters";
    return tsr_utf8_valid(name, size, NULL) ? NULL : "a name in UTF-8";
}

static int by_name(const void *a, const void *b) {
    const tsr_attribute *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

/* What the value of an attribute would have to be, or NULL when it is good. */
static const char *value_problem(const tsr_attribute *a) {
    switch (a->type) {
    case TSR_ATTRIBUTE_INTEGER:
        return a->size ? "no bytes beside an integer" : NULL;
    case TSR_ATTRIBUTE_TEXT:
    case TSR_ATTRIBUTE_BYTES:
        if (a->integer) return "no integer beside text or bytes";
        if (a->size > TSR_MAX_ATTRIBUTE_BYTES) return "a value of at most 1048576 bytes";
        if (a->size && !a->bytes) return "the bytes of its value, not NULL";
        if (a->type == TSR_ATTRIBUTE_TEXT && !tsr_utf8_valid(a->bytes, a->size, NULL))
            return "text in UTF-8";
        return NULL;
    default:
        return "type 0, 1 or 2";
    }
}

tsr_status tsr_attributes_check(tsr_context *ctx, const char *name, uint64_t owner,
                                const tsr_attribute *attributes, uint32_t count,
                                tsr_attribute_order *order) {
    if (!count) return TSR_OK;
    if (count > TSR_MAX_ATTRIBUTES)
        return bad_attribute(ctx, TSR_ERROR_ARGUMENT, name, owner, 0, "at most 4096 of them",
                             count);
    if (!attributes)
        return bad_attribute(ctx, TSR_ERROR_ARGUMENT, name, owner, 0, "attributes, not NULL", 0);
    const tsr_status s =
        tsr_grow(ctx, &order->at, &order->room, count, sizeof *order->at, "attributes");
    if (s) return s;
    uint64_t total = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_attribute *a = &attributes[i];
        const size_t length = a->name ? strlen(a->name) : 0;
        const char *wrong = name_problem(a->name, length);
        if (wrong) return bad_attribute(ctx, TSR_ERROR_ARGUMENT, name, owner, i, wrong, length);
        wrong = value_problem(a);
        if (wrong)
            return bad_attribute(ctx, TSR_ERROR_ARGUMENT, name, owner, i, wrong,
                                 a->type > TSR_ATTRIBUTE_BYTES ? (uint64_t)a->type : a->size);
        total += length + (a->type == TSR_ATTRIBUTE_INTEGER ? 8 : a->size);
        order->at[i] = a;
    }
    if (total > TSR_MAX_ATTRIBUTES_BYTES)
        return bad_attribute(ctx, TSR_ERROR_ARGUMENT, name, owner, count - 1,
                             "at most 16777216 bytes of all names and values", total);
    if (count > 1) qsort(order->at, count, sizeof *order->at, by_name);
    for (uint32_t i = 1; i < count; ++i)
        if (by_name(&order->at[i - 1], &order->at[i]) == 0)
            return bad_attribute(
                ctx, TSR_ERROR_ARGUMENT, name, owner, (uint32_t)(order->at[i] - attributes),
                "a name that no other attribute has", (uint64_t)(order->at[i - 1] - attributes));
    return TSR_OK;
}

void tsr_attributes_put(tsr_bytes *bytes, uint64_t owner, const tsr_attribute_order *order,
                        uint32_t count) {
    if (!count) return;
    const size_t start = tsr_bytes_chunk_start(bytes);
    tsr_bytes_varint(bytes, owner);
    tsr_bytes_varint(bytes, count);
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_attribute *a = order->at[i];
        const size_t length = strlen(a->name);
        tsr_bytes_u8(bytes, (uint32_t)a->type);
        tsr_bytes_u8(bytes, (uint32_t)length);
        tsr_bytes_put(bytes, a->name, length);
        if (a->type == TSR_ATTRIBUTE_INTEGER) { /* zigzag */
            const uint64_t n = (uint64_t)a->integer;
            tsr_bytes_varint(bytes, a->integer < 0 ? ~(n << 1) : n << 1);
        } else {
            tsr_bytes_varint(bytes, a->size);
            tsr_bytes_put(bytes, a->bytes, a->size);
        }
    }
    tsr_bytes_chunk_finish(bytes, start, TSR_TESS_ATTR, 0);
}

/* ---- reading ---------------------------------------------------------------------------- */

uint64_t tsr_attributes_owner(const uint8_t *payload, size_t size) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    const uint64_t owner = tsr_cursor_varint(&c, UINT64_MAX - 1);
    return c.bad ? UINT64_MAX : owner;
}

/* Reads one attribute; name and bytes point into the payload, the name is not terminated. Returns
 * what was wanted, or NULL. */
static const char *next_attribute(tsr_cursor *c, tsr_attribute *a, size_t *length) {
    const uint32_t type = tsr_cursor_u8(c);
    *length = tsr_cursor_u8(c);
    *a = (tsr_attribute){.type = (tsr_attribute_type)type};
    a->name = (const char *)tsr_cursor_take(c, *length);
    if (c->bad) return "a name";
    const char *wrong = name_problem(a->name, *length);
    if (wrong) return wrong;
    if (type == TSR_ATTRIBUTE_INTEGER) {
        const uint64_t n = tsr_cursor_varint(c, UINT64_MAX);
        const uint64_t half = n >> 1;
        a->integer = n & 1 ? -(int64_t)half - 1 : (int64_t)half;
        return c->bad ? "an integer" : NULL;
    }
    a->size = (size_t)tsr_cursor_varint(c, TSR_MAX_ATTRIBUTE_BYTES);
    a->bytes = tsr_cursor_take(c, a->size);
    return c->bad ? "the bytes of its value" : value_problem(a);
}

/* Names rise as strings of bytes. */
static bool name_above(const tsr_attribute *a, size_t length, const tsr_attribute *before,
                       size_t before_length) {
    const int order =
        memcmp(a->name, before->name, length < before_length ? length : before_length);
    return order > 0 || (order == 0 && length > before_length);
}

tsr_status tsr_attributes_get(tsr_context *ctx, const char *name, const uint8_t *payload,
                              size_t size, uint64_t owner, tsr_attribute_memory *memory) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    memory->count = 0;
    const uint64_t said = tsr_cursor_varint(&c, UINT64_MAX);
    const uint32_t count = (uint32_t)tsr_cursor_varint(&c, TSR_MAX_ATTRIBUTES);
#define BAD(index, wanted, got)                                                                    \
    return bad_attribute(ctx, TSR_ERROR_FORMAT, name, owner, index, wanted, got)
    if (c.bad || count == 0) BAD(0, "1..4096 of them", count);
    if (said != owner) BAD(0, "those of this owner", said);
    const tsr_cursor first = c;
    uint64_t total = 0;
    size_t text = 0, length = 0, before_length = 0;
    tsr_attribute a = {0}, before = {0};
    for (uint32_t i = 0; i < count; ++i, before = a, before_length = length) {
        const char *wrong = next_attribute(&c, &a, &length);
        if (wrong) BAD(i, wrong, (uint64_t)(c.at - payload));
        if (i && !name_above(&a, length, &before, before_length))
            BAD(i, "a name above the one before it", i);
        total += length + (a.type == TSR_ATTRIBUTE_INTEGER ? 8 : a.size);
        text += length + 1 + a.size + 1;
        if (total > TSR_MAX_ATTRIBUTES_BYTES)
            BAD(i, "at most 16777216 bytes of all names and values", total);
    }
    if (tsr_cursor_left(&c)) BAD(count - 1, "the end behind it", tsr_cursor_left(&c));
#undef BAD
    tsr_status s =
        tsr_grow(ctx, &memory->list, &memory->list_room, count, sizeof *memory->list, "attributes");
    if (!s) s = tsr_grow(ctx, &memory->text, &memory->text_room, text, 1, "attributes");
    if (s) return s;
    char *to = memory->text;
    c = first;
    for (uint32_t i = 0; i < count; ++i) {
        next_attribute(&c, &a, &length);
        memcpy(to, a.name, length);
        to[length] = 0;
        a.name = to;
        to += length + 1;
        if (a.type != TSR_ATTRIBUTE_INTEGER) {
            if (a.size) memcpy(to, a.bytes, a.size);
            to[a.size] = 0;
            a.bytes = to;
            to += a.size + 1;
        }
        memory->list[i] = a;
    }
    memory->count = count;
    return TSR_OK;
}

void tsr_attribute_memory_free(tsr_attribute_memory *memory) {
    free(memory->list);
    free(memory->text);
    *memory = (tsr_attribute_memory){0};
}
