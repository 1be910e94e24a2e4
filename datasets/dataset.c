/* SPDX-License-Identifier: MIT */
/* dataset.c: which formats there are, records, and ids in bytes. */
#include "dataset.h"
#include "../formats/utf8.h"

#include <stdio.h>
#include <stdlib.h>

#define FORMAT(name) extern const tsr_dataset_format tsr_dataset_##name;
#include "datasets.def"
#undef FORMAT
static const tsr_dataset_format *const formats[] = {
#define FORMAT(name) &tsr_dataset_##name,
#include "datasets.def"
#undef FORMAT
};

int tsr_dataset_formats(void) {
    return (int)(sizeof formats / sizeof *formats);
}

const tsr_dataset_format *tsr_dataset_format_get(int index) {
    return index >= 0 && index < tsr_dataset_formats() ? formats[index] : NULL;
}

const tsr_dataset_format *tsr_dataset_format_find(const char *name) {
    for (int i = 0; i < tsr_dataset_formats(); ++i)
        if (strcmp(formats[i]->name, name) == 0) return formats[i];
    return NULL;
}

const char *tsr_dataset_format_names(bool written, char *text, size_t size) {
    size_t used = 0;
    *text = 0;
    for (int i = 0; i < tsr_dataset_formats(); ++i) {
        if (written ? !formats[i]->begin : !formats[i]->open) continue;
        const int n =
            snprintf(text + used, size - used, "%s%s", used ? ", " : "", formats[i]->name);
        if (n < 0 || (size_t)n >= size - used) break;
        used += (size_t)n;
    }
    return text;
}

/* ---- records -------------------------------------------------------------------------------- */

const tsr_attribute *tsr_record_attribute(const tsr_record *r, const char *name,
                                          tsr_attribute_type type) {
    for (uint32_t i = 0; i < r->attribute_count; ++i)
        if (r->attributes[i].type == type && strcmp(r->attributes[i].name, name) == 0)
            return &r->attributes[i];
    return NULL;
}

void tsr_record_start(tsr_record_memory *m) {
    m->record = (tsr_record){0};
    m->go_on = m->has_key = m->has_shape = false;
    m->key.size = m->texts.size = 0;
}

tsr_status tsr_record_key(tsr_context *ctx, tsr_record_memory *m, const char *where,
                          const char *key, size_t size) {
    char clean[128];
    m->key.size = 0;
    tsr_bytes_put(&m->key, key, size);
    tsr_bytes_u8(&m->key, 0);
    if (m->key.failed) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a key", where);
    const char *text = (const char *)m->key.at;
    const char *problem = strlen(text) != size               ? "no U+0000"
                          : !tsr_utf8_valid(key, size, NULL) ? "UTF-8"
                                                             : tsr_token_key_problem(text);
    if (problem)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: key: wanted %s, got '%s'", where, problem,
                        tsr_token_key_clean(text, clean, sizeof clean));
    m->has_key = true;
    return TSR_OK;
}

uint32_t *tsr_record_ids(tsr_context *ctx, tsr_record_memory *m, const char *where,
                         uint64_t count) {
    const uint64_t total = m->record.count + count;
    if (count > TSR_TESS_MAX_IDS || total > TSR_TESS_MAX_IDS) {
        tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d ids in an item, got more", where,
                 TSR_TESS_MAX_IDS);
        return NULL;
    }
    if (tsr_grow(ctx, &m->ids, &m->ids_room, total ? (size_t)total : 1, sizeof *m->ids, "ids"))
        return NULL;
    uint32_t *at = m->ids + m->record.count;
    m->record.count = total;
    return at;
}

/* An attribute without its value; NULL after a failure, or with *there where it is there. */
static tsr_attribute *add_attribute(tsr_context *ctx, tsr_record_memory *m, const char *where,
                                    const char *name, size_t size, bool *there, tsr_status *s) {
    *there = false;
    *s = TSR_OK;
    for (uint32_t i = 0; i < m->record.attribute_count; ++i)
        if (strcmp((const char *)m->texts.at + (uintptr_t)m->attributes[i].name, name) == 0) {
            *there = true;
            return NULL;
        }
    const size_t bytes = strlen(name);
    bool plain = bytes > 0 && bytes < 256;
    for (const char *c = name; *c; ++c)
        plain &= (unsigned char)*c >= 0x20 && *c != 0x7f;
    if (!plain)
        *s = tsr_fail(ctx, TSR_ERROR_FORMAT,
                      "%s: name of an attribute: wanted 1 to 255 bytes without control characters",
                      where);
    else if (m->record.attribute_count == TSR_MAX_ATTRIBUTES || size > TSR_MAX_ATTRIBUTE_BYTES ||
             m->texts.size + bytes + size + 2 > TSR_MAX_ATTRIBUTES_BYTES)
        *s = tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                      "%s: attribute %.60s: wanted at most %u of them, of %u bytes each", where,
                      name, TSR_MAX_ATTRIBUTES, TSR_MAX_ATTRIBUTE_BYTES);
    else
        *s = tsr_grow(ctx, &m->attributes, &m->attributes_room,
                      (size_t)m->record.attribute_count + 1, sizeof *m->attributes, "attributes");
    if (*s) return NULL;
    tsr_attribute *a = &m->attributes[m->record.attribute_count++];
    *a = (tsr_attribute){.name = (const char *)(uintptr_t)m->texts.size};
    tsr_bytes_put(&m->texts, name, bytes + 1);
    return a;
}

static tsr_status memory_left(tsr_context *ctx, const tsr_record_memory *m, const char *where) {
    if (!m->texts.failed) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for attributes", where);
}

tsr_status tsr_record_text(tsr_context *ctx, tsr_record_memory *m, const char *where,
                           const char *name, const char *text, size_t size) {
    bool there;
    tsr_status s;
    if (!tsr_utf8_valid(text, size, NULL))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %.60s: wanted UTF-8, got other bytes", where,
                        name);
    tsr_attribute *a = add_attribute(ctx, m, where, name, size, &there, &s);
    if (!a) return s;
    a->type = TSR_ATTRIBUTE_TEXT;
    a->size = size;
    a->bytes = (const void *)(uintptr_t)m->texts.size;
    tsr_bytes_put(&m->texts, text, size);
    tsr_bytes_u8(&m->texts, 0);
    return memory_left(ctx, m, where);
}

tsr_status tsr_record_integer(tsr_context *ctx, tsr_record_memory *m, const char *where,
                              const char *name, int64_t value) {
    bool there;
    tsr_status s;
    tsr_attribute *a = add_attribute(ctx, m, where, name, 0, &there, &s);
    if (!a) return s;
    a->type = TSR_ATTRIBUTE_INTEGER;
    a->integer = value;
    return memory_left(ctx, m, where);
}

bool tsr_shape_fits(const uint64_t *shape, int rank, uint64_t count) {
    uint64_t product = 1;
    bool empty = false;
    for (int i = 0; i < rank; ++i) {
        if (shape[i] == 0)
            empty = true;
        else if (product > UINT64_MAX / shape[i])
            return false;
        else
            product *= shape[i];
    }
    return (empty ? 0 : product) == count;
}

tsr_status tsr_record_finish(tsr_context *ctx, tsr_record_memory *m, const char *where) {
    tsr_record *r = &m->record;
    if (m->texts.failed) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", where);
    if (!m->has_shape) {
        r->rank = 1;
        r->shape[0] = r->count;
    } else if (!tsr_shape_fits(r->shape, r->rank, r->count)) {
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted one of %llu ids, got another",
                        where, (unsigned long long)r->count);
    }
    for (uint32_t i = 0; i < r->attribute_count; ++i) {
        tsr_attribute *a = &m->attributes[i];
        a->name = (const char *)m->texts.at + (uintptr_t)a->name;
        if (a->type == TSR_ATTRIBUTE_TEXT) a->bytes = m->texts.at + (uintptr_t)a->bytes;
    }
    r->key = m->has_key ? (const char *)m->key.at : NULL;
    r->ids = m->ids;
    r->attributes = m->attributes;
    return TSR_OK;
}

void tsr_record_free(tsr_record_memory *m) {
    free(m->ids);
    free(m->attributes);
    tsr_bytes_free(&m->key);
    tsr_bytes_free(&m->texts);
    *m = (tsr_record_memory){0};
}

/* ---- ids in bytes --------------------------------------------------------------------------- */

static const struct {
    const char *name, *numpy;
    size_t bytes;
    bool is_signed;
} types[TSR_ID_TYPES] = {{"u8", "|u1", 1, false},  {"u16", "<u2", 2, false},
                         {"u32", "<u4", 4, false}, {"u64", "<u8", 8, false},
                         {"i8", "|i1", 1, true},   {"i16", "<i2", 2, true},
                         {"i32", "<i4", 4, true},  {"i64", "<i8", 8, true}};

bool tsr_id_type_find(const char *word, tsr_id_type *type) {
    for (int i = 0; i < TSR_ID_TYPES; ++i) {
        char full[16];
        snprintf(full, sizeof full, "%s%s", types[i].is_signed ? "int" : "uint", types[i].name + 1);
        *type = (tsr_id_type)i;
        if (!strcmp(word, types[i].name) || !strcmp(word, types[i].numpy) || !strcmp(word, full))
            return true;
    }
    return false;
}

const char *tsr_id_type_name(tsr_id_type type) {
    return types[type].name;
}
const char *tsr_id_type_numpy(tsr_id_type type) {
    return types[type].numpy;
}
size_t tsr_id_type_bytes(tsr_id_type type) {
    return types[type].bytes;
}
uint64_t tsr_id_type_most(tsr_id_type type) {
    return UINT64_MAX >> (64 - 8 * types[type].bytes + types[type].is_signed);
}

tsr_status tsr_ids_read(tsr_context *ctx, const char *where, const void *bytes, uint64_t count,
                        tsr_id_type type, bool big_endian, uint32_t codebook_size, uint32_t *ids) {
    const size_t size = types[type].bytes;
    const uint8_t *p = bytes;
    for (uint64_t i = 0; i < count; ++i, p += size) {
        uint64_t value = 0;
        for (size_t k = 0; k < size; ++k)
            value |= (uint64_t)p[big_endian ? size - 1 - k : k] << 8 * k;
        const bool minus = types[type].is_signed && value >> (8 * size - 1);
        if (value < codebook_size && !minus) {
            ids[i] = (uint32_t)value;
            continue;
        }
        const uint64_t magnitude = minus ? (~value & UINT64_MAX >> (64 - 8 * size)) + 1 : value;
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: id %llu: wanted 0..%u, got %s%llu", where,
                        (unsigned long long)i, codebook_size - 1, minus ? "-" : "",
                        (unsigned long long)magnitude);
    }
    return TSR_OK;
}

void tsr_ids_put(tsr_bytes *to, const uint32_t *ids, uint64_t count, tsr_id_type type) {
    const size_t size = types[type].bytes;
    uint8_t *p = tsr_bytes_extend(to, (size_t)count * size);
    for (uint64_t i = 0; p && i < count; ++i)
        for (size_t k = 0; k < size; ++k)
            *p++ = k < 4 ? (uint8_t)(ids[i] >> 8 * k) : 0;
}

tsr_id_type tsr_choose_unsigned(uint64_t numbers) {
    return numbers <= 65536 ? TSR_ID_U16 : TSR_ID_U32;
}
