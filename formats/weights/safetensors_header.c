/* SPDX-License-Identifier: MIT */
/* safetensors_header.c: reads headers, believing nothing they say before it was checked.
 *
 * A header goes through three sieves: its raw bytes (length, UTF-8, nesting, number of values),
 * then the JSON parser, then the meaning (types, shapes, offsets). Only then is anything exposed.
 */
#include "safetensors_parts.h"
#include "foreign_file.h"
#include "../utf8.h"

#include <stdlib.h>
#include <string.h>

#define MAX_HEADER  100000000u
#define MAX_VALUES  (1u << 21)
#define MAX_NESTING 8
#define MAX_INTEGER 9007199254740992.0 /* 2^53: a double counts exactly up to here */
#define METADATA    "__metadata__"

typedef struct reader {
    tsr_context *ctx;
    const char *name; /* of the file, for messages */
    tsr_safetensors *file;
    tsr_safetensors_part *part;
    const uint8_t *data; /* of a file in memory; NULL: it is read where it is needed */
    uint64_t data_size;
    int first; /* entry of this part */
} reader;

/* Element types by the format's own description. Sizes are in bits. */
static const struct {
    const char *name;
    int bits;
    tsr_dtype dtype;
} dtypes[] = {{"F32", 32, TSR_DTYPE_F32},      {"F16", 16, TSR_DTYPE_F16},
              {"BF16", 16, TSR_DTYPE_BF16},    {"I32", 32, TSR_DTYPE_I32},
              {"I64", 64, TSR_DTYPE_I64},      {"U8", 8, TSR_DTYPE_U8},
              {"F64", 64, TSR_DTYPE_OTHER},    {"BOOL", 8, TSR_DTYPE_OTHER},
              {"I8", 8, TSR_DTYPE_OTHER},      {"I16", 16, TSR_DTYPE_OTHER},
              {"U16", 16, TSR_DTYPE_OTHER},    {"U32", 32, TSR_DTYPE_OTHER},
              {"U64", 64, TSR_DTYPE_OTHER},    {"F8_E4M3", 8, TSR_DTYPE_OTHER},
              {"F8_E5M2", 8, TSR_DTYPE_OTHER}, {"F8_E8M0", 8, TSR_DTYPE_OTHER},
              {"C64", 64, TSR_DTYPE_OTHER},    {"F6_E2M3", 6, TSR_DTYPE_OTHER},
              {"F6_E3M2", 6, TSR_DTYPE_OTHER}, {"F4", 4, TSR_DTYPE_OTHER}};

/* Refuses bytes that every JSON reader would refuse, and amounts that would only serve to exhaust
 * memory: a parsed value takes some 64 bytes, so that 100 MB of "0,0,0," would become 3 GB. */
tsr_status tsr_safetensors_check_text(tsr_context *ctx, const char *name, size_t at,
                                      const uint8_t *text, size_t size) {
    size_t bad = 0;
    if (!tsr_utf8_valid(text, size, &bad))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: wanted UTF-8, got byte 0x%02x at %zu",
                        name, text[bad], bad + at);
    if (size == 0 || text[0] != '{')
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: wanted '{' first, got 0x%02x", name,
                        size ? text[0] : 0);
    bool quoted = false;
    unsigned depth = 0, values = 0;
    for (size_t i = 0; i < size; ++i) {
        uint8_t c = text[i];
        if (c < 0x20 && (quoted || (c != '\n' && c != '\r' && c != '\t')))
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: control byte 0x%02x at %zu", name,
                            c, i + at);
        if (quoted) {
            if (c == '"') quoted = false;
            if (c == '\\') {
                if (size - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
                    return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: U+0000 in a text at %zu",
                                    name, i + at);
                ++i;
            }
            continue;
        }
        if (c == '"') quoted = true;
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth) --depth;
        values += c == '[' || c == '{' || c == ',';
        if (depth > MAX_NESTING || values > MAX_VALUES)
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: header: wanted at most %u values nested %u deep, got more", name,
                            MAX_VALUES, MAX_NESTING);
    }
    return TSR_OK;
}

static bool get_integer(const cJSON *item, uint64_t *value) {
    if (!cJSON_IsNumber(item)) return false;
    double d = item->valuedouble;
    if (!(d >= 0 && d <= MAX_INTEGER) || d != (double)(uint64_t)d) return false;
    *value = (uint64_t)d;
    return true;
}

/* A member that must be there once. */
static const cJSON *get_member(const cJSON *object, const char *key) {
    const cJSON *found = NULL;
    for (const cJSON *item = object->child; item; item = item->next) {
        if (strcmp(item->string, key) != 0) continue;
        if (found) return NULL;
        found = item;
    }
    return found;
}

/* A word like the format's own: what it is, how many bits, and what else: "F8_E3M4". */
static bool like_a_dtype(const char *text) {
    static const char *const kinds[] = {"F", "BF", "I", "U", "C"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i) {
        const size_t n = strlen(kinds[i]);
        char *end;
        if (strncmp(text, kinds[i], n) != 0 || text[n] < '1' || text[n] > '9') continue;
        const unsigned long bits = strtoul(text + n, &end, 10);
        const bool usual = bits == 6 || (bits <= 128 && (bits & (bits - 1)) == 0);
        const size_t rest = strspn(end, "_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789");
        if (usual && (!*end || *end == '_') && !end[rest] && rest < 16) return true;
    }
    return false;
}

/* *bits becomes the size of an element, or 0 for a type that is not known. */
static tsr_status read_dtype(reader *r, const cJSON *item, tsr_safetensors_entry *e, int *bits) {
    if (!cJSON_IsString(item))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: dtype: wanted one text",
                        r->name, e->info.name);
    e->info.dtype = item->valuestring;
    e->view.dtype = TSR_DTYPE_OTHER;
    *bits = 0;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i)
        if (strcmp(item->valuestring, dtypes[i].name) == 0) {
            *bits = dtypes[i].bits;
            e->view.dtype = dtypes[i].dtype;
        }
    if (*bits || like_a_dtype(item->valuestring)) return TSR_OK;
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                    "%s: tensor %.200s: dtype: wanted a type like F32 or I64, got %.40s", r->name,
                    e->info.name, item->valuestring);
}

/* The shape, and the bytes that belong to it; UINT64_MAX: the type has no known size. */
static tsr_status read_shape(reader *r, const cJSON *shape, int bits, tsr_safetensors_entry *e,
                             uint64_t *bytes) {
    tsr_context *ctx = r->ctx;
    const char *name = e->info.name;
    if (!cJSON_IsArray(shape))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: shape: wanted one list", r->name,
                        name);
    uint64_t product = 1; /* of all sizes but 0, in bits */
    const uint64_t most = (uint64_t)INT64_MAX / (bits ? (uint64_t)bits : 64);
    bool empty = false;
    for (const cJSON *d = shape->child; d; d = d->next) {
        uint64_t value;
        if (e->info.rank == TSR_SAFETENSORS_MAX_RANK)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: tensor %.200s: shape: wanted at most %d dimensions, got %d",
                            r->name, name, TSR_SAFETENSORS_MAX_RANK, cJSON_GetArraySize(shape));
        if (!get_integer(d, &value))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: tensor %.200s: shape: wanted whole numbers from 0 to 2^53",
                            r->name, name);
        if (value == 0)
            empty = true;
        else if (product > most / value)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: shape: its bytes overflow",
                            r->name, name);
        else
            product *= value;
        e->info.dim[e->info.rank++] = (int64_t)value;
    }
    e->info.elements = empty ? 0 : product;
    *bytes = UINT64_MAX;
    if (bits && e->info.elements * (uint64_t)bits % 8)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: tensor %.200s: wanted whole bytes, got %llu bits", r->name, name,
                        (unsigned long long)(e->info.elements * (uint64_t)bits));
    if (bits) *bytes = e->info.elements * (uint64_t)bits / 8;
    return TSR_OK;
}

/* dtype, shape and data_offsets of one tensor, and that they agree. */
static tsr_status read_entry(reader *r, const cJSON *item, tsr_safetensors_entry *e) {
    tsr_context *ctx = r->ctx;
    const char *name = e->info.name = item->string;
    int bits = 0;
    uint64_t bytes = 0;
    e->part = (int)(r->part - r->file->parts);
    e->unusable = -1;
    if (!cJSON_IsObject(item))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted an object", r->name,
                        name);
    tsr_status status = read_dtype(r, get_member(item, "dtype"), e, &bits);
    if (!status) status = read_shape(r, get_member(item, "shape"), bits, e, &bytes);
    if (status) return status;

    const cJSON *offsets = get_member(item, "data_offsets");
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        !get_integer(offsets->child, &e->begin) || !get_integer(offsets->child->next, &e->end))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: tensor %.200s: data_offsets: wanted two whole numbers", r->name, name);
    if (e->begin > e->end || e->end > r->data_size)
        return tsr_fail(
            ctx, e->begin > e->end ? TSR_ERROR_FORMAT : TSR_ERROR_TRUNCATED,
            "%s: tensor %.200s: data_offsets: wanted a range within 0..%llu, got %llu..%llu",
            r->name, name, (unsigned long long)r->data_size, (unsigned long long)e->begin,
            (unsigned long long)e->end);
    if (bytes != UINT64_MAX && e->end - e->begin != bytes)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted %llu bytes, got %llu",
                        r->name, name, (unsigned long long)bytes,
                        (unsigned long long)(e->end - e->begin));

    e->info.bytes = e->end - e->begin;
    void *data = r->data ? (void *)(r->data + e->begin) : NULL;
    const int64_t size = (int64_t)e->info.bytes, one = 1;
    if (e->view.dtype == TSR_DTYPE_OTHER || e->info.rank > TSR_MAX_RANK)
        e->view = tsr_host_tensor(TSR_DTYPE_OTHER, data, 1, &size);
    else if (e->info.rank)
        e->view = tsr_host_tensor(e->view.dtype, data, e->info.rank, e->info.dim);
    else
        e->view = tsr_host_tensor(e->view.dtype, data, 1, &one);
    return TSR_OK;
}

/* Adds the pairs to those that are there already, from other files. */
static tsr_status read_metadata(reader *r, const cJSON *object, bool *seen) {
    tsr_safetensors *f = r->file;
    if (!cJSON_IsObject(object) || *seen)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: " METADATA ": wanted one object", r->name);
    *seen = true;
    const size_t count = (size_t)f->metadata_count + (size_t)cJSON_GetArraySize(object);
    tsr_metadata_pair *pairs = tsr_alloc(r->ctx, count, sizeof *pairs, "metadata");
    if (!pairs) return TSR_ERROR_MEMORY;
    const int before = f->metadata_count;
    if (before) memcpy(pairs, f->metadata, (size_t)before * sizeof *pairs);
    free(f->metadata);
    f->metadata = pairs;
    for (const cJSON *item = object->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: " METADATA ": %.200s: wanted a text",
                            r->name, item->string);
        int same = 0; /* what an earlier file said stays */
        while (same < before && strcmp(pairs[same].key, item->string) != 0)
            ++same;
        if (same == before)
            pairs[f->metadata_count++] = (tsr_metadata_pair){item->string, item->valuestring};
    }
    return TSR_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const tsr_safetensors_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1; /* empty ones first */
    return strcmp(x->info.name, y->info.name);
}

/* Order by offset, no holes and overlaps. */
static tsr_status check_layout(reader *r) {
    tsr_safetensors *f = r->file;
    qsort(f->entries + r->first, (size_t)(f->count - r->first), sizeof *f->entries,
          compare_offsets);
    uint64_t at = 0;
    for (int i = r->first; i < f->count; ++i) {
        const tsr_safetensors_entry *e = &f->entries[i];
        if (e->begin != at)
            return tsr_fail(
                r->ctx, TSR_ERROR_FORMAT,
                "%s: tensor %.200s: data_offsets: wanted a start at %llu, got %llu (%s)", r->name,
                e->info.name, (unsigned long long)at, (unsigned long long)e->begin,
                e->begin > at ? "a hole" : "an overlap");
        at = e->end;
    }
    if (at != r->data_size)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: data: wanted %llu bytes, got %llu", r->name,
                        (unsigned long long)at, (unsigned long long)r->data_size);
    return TSR_OK;
}

/* Room for the tensors of one more file. */
static tsr_status add_room(reader *r, int count) {
    tsr_safetensors *f = r->file;
    tsr_safetensors_entry *entries =
        tsr_alloc(r->ctx, (size_t)f->count + (size_t)count, sizeof *entries, "tensors");
    if (!entries) return TSR_ERROR_MEMORY;
    if (f->count) memcpy(entries, f->entries, (size_t)f->count * sizeof *entries);
    free(f->entries);
    f->entries = entries;
    return TSR_OK;
}

/* The text of the header, in `part`'s memory or a copy: *text is freed with free(*owned). */
static tsr_status find_header(reader *r, const uint8_t **text, size_t *size, uint8_t **owned) {
    tsr_context *ctx = r->ctx;
    const tsr_input *in = &r->part->in;
    uint8_t begin[TSR_FOREIGN_BYTES] = {0};
    const size_t seen = in->size < sizeof begin ? (size_t)in->size : sizeof begin;
    tsr_status status = tsr_input_read(ctx, in, r->name, 0, begin, seen);
    if (!status) status = tsr_foreign_refuse(ctx, r->name, begin, seen, in->size);
    if (status) return status;
    if (in->size < 8)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header length: wanted 8 bytes, got %llu",
                        r->name, (unsigned long long)in->size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i)
        length = length << 8 | begin[i];
    if (length > MAX_HEADER)
        return tsr_fail(
            ctx, TSR_ERROR_FORMAT,
            "%s: header length: wanted at most %u bytes, got %llu (not a safetensors file?)",
            r->name, MAX_HEADER, (unsigned long long)length);
    if (length > in->size - 8)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted %llu bytes, got %llu",
                        r->name, (unsigned long long)length, (unsigned long long)(in->size - 8));
    r->part->data_at = 8 + length;
    r->data_size = in->size - 8 - length;
    *size = (size_t)length;
    if (in->map.bytes) {
        *text = in->map.bytes + 8;
        r->data = in->map.bytes + 8 + length;
        return TSR_OK;
    }
    *text = *owned = tsr_alloc(ctx, (size_t)length + 1, 1, r->name);
    return *owned ? tsr_input_read(ctx, in, r->name, 8, *owned, (size_t)length) : TSR_ERROR_MEMORY;
}

static tsr_status read_text(reader *r, const uint8_t *bytes, size_t length) {
    tsr_context *ctx = r->ctx;
    tsr_safetensors *f = r->file;
    tsr_status status = tsr_safetensors_check_text(ctx, r->name, 8, bytes, length);
    if (status) return status;
    const char *text = (const char *)bytes, *end = text;
    const cJSON *root = r->part->root = cJSON_ParseWithLengthOpts(text, length, &end, 0);
    if (!cJSON_IsObject(root))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: wanted JSON, stopped at byte %zu",
                        r->name, (size_t)(end - text) + 8);
    while (end < text + length && (*end == ' ' || *end == '\n' || *end == '\t' || *end == '\r'))
        ++end;
    if (end < text + length)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: header: wanted spaces after it, got 0x%02x at %zu", r->name,
                        (uint8_t)*end, (size_t)(end - text) + 8);
    bool seen = false;
    status = add_room(r, cJSON_GetArraySize(root));
    for (const cJSON *item = root->child; item && !status; item = item->next) {
        if (strcmp(item->string, METADATA) == 0)
            status = read_metadata(r, item, &seen);
        else
            status = read_entry(r, item, &f->entries[f->count++]);
    }
    return status ? status : check_layout(r);
}

tsr_status tsr_safetensors_add(tsr_context *ctx, const char *name, tsr_safetensors *file,
                               tsr_safetensors_part *part) {
    reader r = {.ctx = ctx, .name = name, .file = file, .part = part, .first = file->count};
    const uint8_t *text = NULL;
    uint8_t *owned = NULL;
    size_t size = 0;
    tsr_status status = find_header(&r, &text, &size, &owned);
    if (!status) status = read_text(&r, text, size);
    free(owned);
    return status;
}
