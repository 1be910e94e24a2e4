/* SPDX-License-Identifier: MIT */
/* safetensors.c: reads weight files, believing nothing they say before it was checked.
 *
 * The header goes through three sieves: its raw bytes (length, UTF-8, nesting, number of values),
 * then the JSON parser, then the meaning (types, shapes, offsets). Only then is anything exposed.
 */
#include "safetensors.h"
#include "../hash.h"
#include "../utf8.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

#define MAX_HEADER  100000000u
#define MAX_VALUES  (1u << 21)
#define MAX_NESTING 8
#define MAX_INTEGER 9007199254740992.0 /* 2^53: a double counts exactly up to here */
#define METADATA    "__metadata__"

typedef struct entry {
    const char *name; /* inside the JSON tree */
    tsr_tensor view;
    uint64_t begin, end; /* from the start of the data */
    void *copy;          /* of an unaligned tensor */
} entry;

struct tsr_safetensors {
    tsr_map map; /* empty when the bytes are the caller's */
    cJSON *root; /* keeps the strings */
    entry *entries;
    int count;
    const entry **by_name;       /* entries in the byte order of names */
    tsr_metadata_pair *metadata; /* in the byte order of keys */
    int metadata_count;
};

typedef struct reader {
    tsr_context *ctx;
    const char *name; /* of the file, for messages */
    tsr_safetensors *file;
    const uint8_t *data;
    uint64_t data_size;
} reader;

static const char *const known_dtypes[] = {"BOOL",    "F4",  "F6_E2M3", "F6_E3M2", "I8",
                                           "F8_E5M2", "F64", "F8_E4M3", "F8_E8M0", "I16",
                                           "U16",     "U32", "U64",     "C64"};

/* Bytes that every JSON reader would refuse, and amounts that would only serve to exhaust memory:
 * a parsed value takes some 64 bytes, so that 100 MB of "0,0,0," would become 3 GB. */
static tsr_status check_text(reader *r, const uint8_t *text, size_t size) {
    size_t bad = 0;
    if (!tsr_utf8_valid(text, size, &bad))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: header: wanted UTF-8, got byte 0x%02x at %zu", r->name, text[bad],
                        bad + 8);
    if (size == 0 || text[0] != '{')
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: header: wanted '{' first, got 0x%02x",
                        r->name, size ? text[0] : 0);
    bool quoted = false;
    unsigned depth = 0, values = 0;
    for (size_t i = 0; i < size; ++i) {
        uint8_t c = text[i];
        if (c < 0x20 && (quoted || (c != '\n' && c != '\r' && c != '\t')))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: header: control byte 0x%02x at %zu",
                            r->name, c, i + 8);
        if (quoted) {
            if (c == '"') quoted = false;
            if (c == '\\') {
                if (size - i > 5 && memcmp(text + i, "\\u0000", 6) == 0)
                    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: header: U+0000 in a text at %zu",
                                    r->name, i + 8);
                ++i;
            }
            continue;
        }
        if (c == '"') quoted = true;
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth) --depth;
        values += c == '[' || c == '{' || c == ',';
        if (depth > MAX_NESTING || values > MAX_VALUES)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: header: wanted at most %u values nested %u deep, got more",
                            r->name, MAX_VALUES, MAX_NESTING);
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

static tsr_status read_dtype(reader *r, const char *name, const cJSON *item, tsr_dtype *dtype) {
    if (!cJSON_IsString(item))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: dtype: wanted one text",
                        r->name, name);
    static const tsr_dtype ours[] = {TSR_DTYPE_F32, TSR_DTYPE_F16, TSR_DTYPE_BF16,
                                     TSR_DTYPE_I32, TSR_DTYPE_I64, TSR_DTYPE_U8};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; ++i) {
        *dtype = ours[i];
        if (strcmp(item->valuestring, tsr_dtype_name(ours[i])) == 0) return TSR_OK;
    }
    tsr_status status = TSR_ERROR_FORMAT;
    for (size_t i = 0; i < sizeof known_dtypes / sizeof *known_dtypes; ++i)
        if (strcmp(item->valuestring, known_dtypes[i]) == 0) status = TSR_ERROR_UNSUPPORTED;
    return tsr_fail(r->ctx, status,
                    "%s: tensor %.200s: dtype: wanted F32, F16, BF16, I32, I64 or U8, got %.40s",
                    r->name, name, item->valuestring);
}

/* dtype, shape and data_offsets of one tensor, and that they agree. */
static tsr_status read_entry(reader *r, const cJSON *item, entry *e) {
    tsr_context *ctx = r->ctx;
    const char *name = e->name = item->string;
    if (!cJSON_IsObject(item))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted an object", r->name,
                        name);
    tsr_dtype dtype = TSR_DTYPE_F32;
    tsr_status status = read_dtype(r, name, get_member(item, "dtype"), &dtype);
    if (status) return status;

    const cJSON *shape = get_member(item, "shape");
    if (!cJSON_IsArray(shape))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: shape: wanted one list", r->name,
                        name);
    int64_t dim[TSR_MAX_RANK] = {1, 1, 1, 1};
    int rank = 0;
    uint64_t bytes = tsr_dtype_bytes(dtype);
    bool empty = false;
    for (const cJSON *d = shape->child; d; d = d->next) {
        uint64_t value;
        if (rank == TSR_MAX_RANK)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: tensor %.200s: shape: wanted at most %d dimensions, got %d",
                            r->name, name, TSR_MAX_RANK, cJSON_GetArraySize(shape));
        if (!get_integer(d, &value))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: tensor %.200s: shape: wanted whole numbers from 0 to 2^53",
                            r->name, name);
        if (value == 0)
            empty = true;
        else if (bytes > (uint64_t)INT64_MAX / value)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: shape: its bytes overflow",
                            r->name, name);
        else
            bytes *= value;
        dim[rank++] = (int64_t)value;
    }
    if (empty) bytes = 0;

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
    if (e->end - e->begin != bytes)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted %llu bytes, got %llu",
                        r->name, name, (unsigned long long)bytes,
                        (unsigned long long)(e->end - e->begin));

    e->view = tsr_host_tensor(dtype, (void *)(r->data + e->begin), rank ? rank : 1, dim);
    return TSR_OK;
}

static tsr_status read_metadata(reader *r, const cJSON *object) {
    tsr_safetensors *f = r->file;
    if (!cJSON_IsObject(object) || f->metadata)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: " METADATA ": wanted one object", r->name);
    int count = cJSON_GetArraySize(object);
    f->metadata = tsr_alloc(r->ctx, (size_t)count, sizeof *f->metadata, "metadata");
    if (!f->metadata) return TSR_ERROR_MEMORY;
    for (const cJSON *item = object->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: " METADATA ": %.200s: wanted a text",
                            r->name, item->string);
        f->metadata[f->metadata_count++] = (tsr_metadata_pair){item->string, item->valuestring};
    }
    return TSR_OK;
}

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const tsr_metadata_pair *)a)->key, ((const tsr_metadata_pair *)b)->key);
}

static int compare_offsets(const void *a, const void *b) {
    const entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    if (x->end != y->end) return x->end < y->end ? -1 : 1; /* empty ones first */
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const entry *const *)a)->name, (*(const entry *const *)b)->name);
}

/* Order by offset, no holes and overlaps; order by name, no name twice. */
static tsr_status check_layout(reader *r) {
    tsr_safetensors *f = r->file;
    qsort(f->entries, (size_t)f->count, sizeof *f->entries, compare_offsets);
    uint64_t at = 0;
    for (int i = 0; i < f->count; ++i) {
        const entry *e = &f->entries[i];
        if (e->begin != at)
            return tsr_fail(
                r->ctx, TSR_ERROR_FORMAT,
                "%s: tensor %.200s: data_offsets: wanted a start at %llu, got %llu (%s)", r->name,
                e->name, (unsigned long long)at, (unsigned long long)e->begin,
                e->begin > at ? "a hole" : "an overlap");
        at = e->end;
    }
    if (at != r->data_size)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: data: wanted %llu bytes, got %llu", r->name,
                        (unsigned long long)at, (unsigned long long)r->data_size);
    f->by_name = tsr_alloc(r->ctx, (size_t)f->count, sizeof *f->by_name, "tensor names");
    if (!f->by_name) return TSR_ERROR_MEMORY;
    for (int i = 0; i < f->count; ++i)
        f->by_name[i] = &f->entries[i];
    qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, compare_names);
    for (int i = 1; i < f->count; ++i) {
        const char *name = f->by_name[i]->name;
        if (strcmp(name, f->by_name[i - 1]->name) == 0)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted once, got twice",
                            r->name, name);
    }
    if (f->metadata_count > 1)
        qsort(f->metadata, (size_t)f->metadata_count, sizeof *f->metadata, compare_pairs);
    for (int i = 1; i < f->metadata_count; ++i)
        if (strcmp(f->metadata[i].key, f->metadata[i - 1].key) == 0)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: " METADATA ": %.200s: wanted once, got twice", r->name,
                            f->metadata[i].key);
    return TSR_OK;
}

/* Tensors that do not stand at a multiple of their element's size are copied. Only now, when it is
 * known that none overlap: a thousand of them over the same bytes must not become a thousand
 * copies. */
static tsr_status align_data(reader *r) {
    tsr_safetensors *f = r->file;
    for (int i = 0; i < f->count; ++i) {
        entry *e = &f->entries[i];
        size_t bytes = (size_t)(e->end - e->begin);
        if (bytes == 0 || (uintptr_t)e->view.data % tsr_dtype_bytes(e->view.dtype) == 0) continue;
        e->copy = tsr_alloc(r->ctx, 1, bytes, e->name);
        if (!e->copy) return TSR_ERROR_MEMORY;
        e->view.data = memcpy(e->copy, e->view.data, bytes);
    }
    return TSR_OK;
}

static tsr_status read_header(reader *r, const uint8_t *bytes, size_t size) {
    tsr_context *ctx = r->ctx;
    tsr_safetensors *f = r->file;
    if (size < 8)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header length: wanted 8 bytes, got %zu",
                        r->name, size);
    uint64_t length = 0;
    for (int i = 7; i >= 0; --i)
        length = length << 8 | bytes[i];
    if (length > MAX_HEADER)
        return tsr_fail(
            ctx, TSR_ERROR_FORMAT,
            "%s: header length: wanted at most %u bytes, got %llu (not a safetensors file?)",
            r->name, MAX_HEADER, (unsigned long long)length);
    if (length > size - 8)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted %llu bytes, got %zu", r->name,
                        (unsigned long long)length, size - 8);
    r->data = bytes + 8 + length;
    r->data_size = size - 8 - length;
    tsr_status status = check_text(r, bytes + 8, (size_t)length);
    if (status) return status;

    const char *text = (const char *)bytes + 8, *end = text;
    f->root = cJSON_ParseWithLengthOpts(text, (size_t)length, &end, 0);
    if (!cJSON_IsObject(f->root))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: header: wanted JSON, stopped at byte %zu",
                        r->name, (size_t)(end - text) + 8);
    while (end < text + length && (*end == ' ' || *end == '\n' || *end == '\t' || *end == '\r'))
        ++end;
    if (end < text + length)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: header: wanted spaces after it, got 0x%02x at %zu", r->name,
                        (uint8_t)*end, (size_t)(end - text) + 8);

    f->entries = tsr_alloc(ctx, (size_t)cJSON_GetArraySize(f->root), sizeof *f->entries, "tensors");
    if (!f->entries) return TSR_ERROR_MEMORY;
    for (const cJSON *item = f->root->child; item && !status; item = item->next) {
        if (strcmp(item->string, METADATA) == 0)
            status = read_metadata(r, item);
        else
            status = read_entry(r, item, &f->entries[f->count++]);
    }
    if (!status) status = check_layout(r);
    return status ? status : align_data(r);
}

tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file) {
    *file = NULL;
    reader r = {.ctx = ctx, .name = name, .file = tsr_alloc(ctx, 1, sizeof *r.file, name)};
    if (!r.file) return TSR_ERROR_MEMORY;
    tsr_status status = read_header(&r, bytes, size);
    if (status) tsr_safetensors_close(&r.file);
    *file = r.file;
    return status;
}

tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file) {
    *file = NULL;
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    status = tsr_safetensors_parse(ctx, path, map.bytes, map.size, file);
    if (status)
        tsr_map_close(&map);
    else
        (*file)->map = map;
    return status;
}

void tsr_safetensors_close(tsr_safetensors **file) {
    if (!file || !*file) return;
    tsr_safetensors *f = *file;
    for (int i = 0; i < f->count; ++i)
        free(f->entries[i].copy);
    free(f->entries);
    free(f->by_name);
    free(f->metadata);
    cJSON_Delete(f->root);
    tsr_map_close(&f->map);
    free(f);
    *file = NULL;
}

int tsr_safetensors_count(const tsr_safetensors *file) {
    return file->count;
}

const char *tsr_safetensors_name(const tsr_safetensors *file, int index) {
    return index >= 0 && index < file->count ? file->entries[index].name : NULL;
}

const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index) {
    return index >= 0 && index < file->count ? &file->entries[index].view : NULL;
}

int tsr_safetensors_find(const tsr_safetensors *file, const char *name) {
    int low = 0, high = file->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->name);
        if (order == 0) return (int)(file->by_name[middle] - file->entries);
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return -1;
}

const char *tsr_safetensors_metadata(const tsr_safetensors *file, const char *key) {
    for (int i = 0; i < file->metadata_count; ++i)
        if (strcmp(file->metadata[i].key, key) == 0) return file->metadata[i].value;
    return NULL;
}

int tsr_safetensors_metadata_count(const tsr_safetensors *file) {
    return file->metadata_count;
}

void tsr_safetensors_metadata_at(const tsr_safetensors *file, int index, const char **key,
                                 const char **value) {
    bool there = index >= 0 && index < file->metadata_count;
    if (key) *key = there ? file->metadata[index].key : NULL;
    if (value) *value = there ? file->metadata[index].value : NULL;
}

bool tsr_safetensors_is_mapped(const tsr_safetensors *file, int index) {
    return index >= 0 && index < file->count && file->map.mapped && !file->entries[index].copy;
}

void tsr_safetensors_release(const tsr_safetensors *file, int index) {
    if (!tsr_safetensors_is_mapped(file, index)) return;
    const entry *e = &file->entries[index];
    tsr_map_release(e->view.data, (size_t)(e->end - e->begin));
}

static void hash_number(tsr_hash *hash, uint64_t value) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(value >> 8 * i);
    tsr_hash_add(hash, bytes, 8);
}

static void hash_text(tsr_hash *hash, const char *text) {
    tsr_hash_add(hash, text, strlen(text) + 1);
}

uint64_t tsr_safetensors_hash(const tsr_safetensors *file) {
    tsr_hash hash;
    tsr_hash_start(&hash, 0);
    for (int i = 0; i < file->count; ++i) {
        const entry *e = file->by_name[i];
        hash_text(&hash, e->name);
        hash_text(&hash, tsr_dtype_name(e->view.dtype));
        hash_number(&hash, (uint64_t)e->view.rank);
        for (int d = 0; d < e->view.rank; ++d)
            hash_number(&hash, (uint64_t)e->view.dim[d]);
        tsr_hash_add(&hash, e->view.data, (size_t)(e->end - e->begin));
        tsr_safetensors_release(file, (int)(e - file->entries)); /* not all of a large model */
    }
    tsr_hash_add(&hash, "", 1);
    for (int i = 0; i < file->metadata_count; ++i) {
        hash_text(&hash, file->metadata[i].key);
        hash_text(&hash, file->metadata[i].value);
    }
    return tsr_hash_finish(&hash);
}
