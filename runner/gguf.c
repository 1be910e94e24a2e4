/* SPDX-License-Identifier: MIT */
/* gguf.c: reads headers, believing nothing they say before it was checked. */
#include "gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "../compute/tensor.h"

#define MAX_HEADER    ((uint64_t)1 << 30)
#define MAX_KEYS      65536u
#define MAX_TENSORS   (1u << 20)
#define MAX_KEY       65535u /* by the format */
#define MAX_NAME      63u    /* by its reader */
#define MAX_ALIGNMENT (1u << 20)

typedef struct key {
    char *name;
    tsr_gguf_type type, element;
    uint64_t count; /* of a list */
    uint64_t bits;  /* the value of a number, as its bytes */
    uint8_t *bytes; /* a text, or the elements of a list; texts stand one behind the other */
    uint64_t
        *starts; /* of a list of texts [count + 1]: text i ends with a zero at starts[i + 1] - 1 */
} key;

struct tsr_gguf {
    tsr_input in;
    char *path;
    uint32_t version;
    key *keys;
    int key_count;
    const key **keys_by_name;
    tsr_gguf_tensor *tensors;
    int tensor_count;
    const tsr_gguf_tensor **tensors_by_name;
    const key *pieces, *piece_types;
};

typedef struct reader {
    tsr_context *ctx;
    tsr_gguf *file;
    const char *name;
    uint64_t at; /* of the next byte */
    uint8_t *window;
    uint64_t window_at, window_size;
} reader;

enum { WINDOW = 64 << 10 };

/* Types of elements: the values of a block, as a power of two, and its bytes. */
static const struct {
    uint8_t type, values_log2;
    uint16_t bytes;
} blocks[] = {{0, 0, 4},    {1, 0, 2},    {2, 5, 18},  {3, 5, 20},   {6, 5, 22},   {7, 5, 24},
              {8, 5, 34},   {9, 5, 36},   {10, 8, 84}, {11, 8, 110}, {12, 8, 144}, {13, 8, 176},
              {14, 8, 210}, {15, 8, 292}, {16, 8, 66}, {17, 8, 74},  {18, 8, 98},  {19, 8, 50},
              {20, 5, 18},  {21, 8, 110}, {22, 8, 82}, {23, 8, 136}, {24, 0, 1},   {25, 0, 2},
              {26, 0, 4},   {27, 0, 8},   {28, 0, 8},  {29, 8, 56},  {30, 0, 2},   {34, 8, 54},
              {35, 8, 66},  {39, 5, 17},  {40, 6, 36}, {41, 7, 18},  {42, 6, 18}};

static tsr_status take(reader *r, void *to, uint64_t size, const char *what) {
    tsr_gguf *f = r->file;
    if (size > f->in.size - r->at)
        return tsr_fail(r->ctx, TSR_ERROR_TRUNCATED,
                        "%s: %s: wanted %" PRIu64 " bytes, got %" PRIu64, r->name, what, size,
                        f->in.size - r->at);
    if (size > MAX_HEADER - r->at)
        return tsr_fail(r->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: %s: wanted a header of at most %" PRIu64 " bytes, got more", r->name,
                        what, MAX_HEADER);
    if (size >= WINDOW) {
        tsr_status status = tsr_input_read(r->ctx, &f->in, r->name, r->at, to, (size_t)size);
        r->at += size;
        return status;
    }
    if (r->at < r->window_at || r->at + size > r->window_at + r->window_size) {
        const uint64_t left = f->in.size - r->at;
        r->window_at = r->at;
        r->window_size = left < WINDOW ? left : WINDOW;
        tsr_status status =
            tsr_input_read(r->ctx, &f->in, r->name, r->at, r->window, (size_t)r->window_size);
        if (status) {
            r->window_size = 0;
            return status;
        }
    }
    memcpy(to, r->window + (r->at - r->window_at), (size_t)size);
    r->at += size;
    return TSR_OK;
}

static uint64_t little(const uint8_t *bytes, size_t size) {
    uint64_t value = 0;
    for (size_t i = size; i-- > 0;)
        value = value << 8 | bytes[i];
    return value;
}

static tsr_status take_number(reader *r, size_t size, const char *what, uint64_t *value) {
    uint8_t bytes[8];
    *value = 0;
    tsr_status status = take(r, bytes, size, what);
    if (!status) *value = little(bytes, size);
    return status;
}

/* A name, ended by a zero byte; the caller frees *name. */
static tsr_status take_name(reader *r, const char *what, uint64_t most, char **name) {
    uint64_t size;
    *name = NULL;
    tsr_status status = take_number(r, 8, what, &size);
    if (status) return status;
    if (size == 0 || size > most)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: %s: wanted a name of 1 to %" PRIu64 " bytes, got %" PRIu64, r->name,
                        what, most, size);
    *name = tsr_alloc(r->ctx, (size_t)size + 1, 1, what);
    if (!*name) return TSR_ERROR_MEMORY;
    status = take(r, *name, size, what);
    if (!status && memchr(*name, 0, (size_t)size))
        status = tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: %s: wanted a name without U+0000, got %s",
                          r->name, what, *name);
    if (!status)
        for (char *c = *name; *c; ++c) /* a name from the file cannot break a line of text */
            if ((unsigned char)*c < 0x20 || *c == 0x7F)
                status = tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                                  "%s: %s: wanted a name without control bytes, got 0x%02x",
                                  r->name, what, (unsigned char)*c);
    if (!status) return TSR_OK;
    free(*name);
    *name = NULL;
    return status;
}

static size_t scalar_bytes(uint64_t type) {
    static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};
    return type < sizeof sizes ? sizes[type] : 0;
}

static tsr_status take_text(reader *r, key *k) {
    tsr_status status = take_number(r, 8, k->name, &k->count);
    if (status) return status;
    if (k->count > r->file->in.size - r->at)
        return tsr_fail(r->ctx, TSR_ERROR_TRUNCATED,
                        "%s: key %.100s: wanted %" PRIu64 " bytes, got %" PRIu64, r->name, k->name,
                        k->count, r->file->in.size - r->at);
    k->bytes = tsr_alloc(r->ctx, (size_t)k->count + 1, 1, "a text of a GGUF file");
    return k->bytes ? take(r, k->bytes, k->count, k->name) : TSR_ERROR_MEMORY;
}

/* A list of texts: `count` is believed as far as the file has bytes for their lengths. */
static tsr_status take_texts(reader *r, key *k) {
    tsr_context *ctx = r->ctx;
    uint64_t room = k->count * 8 + 64, used = 0;
    k->starts = tsr_alloc_raw(ctx, (size_t)k->count + 1, sizeof *k->starts, "texts of a GGUF file");
    k->bytes = tsr_alloc_raw(ctx, (size_t)room, 1, "texts of a GGUF file");
    if (!k->starts || !k->bytes) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < k->count; ++i) {
        uint64_t size;
        tsr_status status = take_number(r, 8, k->name, &size);
        if (status) return status;
        if (size > r->file->in.size - r->at)
            return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                            "%s: key %.100s: text %" PRIu64 ": wanted %" PRIu64
                            " bytes, got %" PRIu64,
                            r->name, k->name, i, size, r->file->in.size - r->at);
        if (size + 1 > room - used) {
            room = used + size + 1 + room / 2;
            uint8_t *more = tsr_alloc_raw(ctx, (size_t)room, 1, "texts of a GGUF file");
            if (!more) return TSR_ERROR_MEMORY;
            memcpy(more, k->bytes, (size_t)used);
            free(k->bytes);
            k->bytes = more;
        }
        k->starts[i] = used;
        status = take(r, k->bytes + used, size, k->name);
        if (status) return status;
        used += size;
        k->bytes[used++] = 0;
    }
    k->starts[k->count] = used;
    return TSR_OK;
}

static tsr_status take_list(reader *r, key *k) {
    uint64_t element;
    tsr_status status = take_number(r, 4, k->name, &element);
    if (!status) status = take_number(r, 8, k->name, &k->count);
    if (status) return status;
    k->element = (tsr_gguf_type)element;
    if (element != TSR_GGUF_TEXT && !scalar_bytes(element))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: key %.100s: wanted a list of numbers or texts, got type %" PRIu64 "%s",
                        r->name, k->name, element,
                        element == TSR_GGUF_LIST ? " (a list of lists)" : "");
    const uint64_t least = element == TSR_GGUF_TEXT ? 8 : scalar_bytes(element);
    const uint64_t left = r->file->in.size - r->at;
    if (k->count > left / least)
        return tsr_fail(r->ctx, TSR_ERROR_TRUNCATED,
                        "%s: key %.100s: wanted %" PRIu64 " elements of at least %" PRIu64
                        " bytes, got %" PRIu64 " bytes",
                        r->name, k->name, k->count, least, left);
    if (element == TSR_GGUF_TEXT) return take_texts(r, k);
    k->bytes = tsr_alloc_raw(r->ctx, (size_t)(k->count * least) + 1, 1, "a list of a GGUF file");
    return k->bytes ? take(r, k->bytes, k->count * least, k->name) : TSR_ERROR_MEMORY;
}

static tsr_status take_key(reader *r, key *k) {
    uint64_t type;
    tsr_status status = take_name(r, "key", MAX_KEY, &k->name);
    if (!status) status = take_number(r, 4, k->name, &type);
    if (status) return status;
    k->type = (tsr_gguf_type)type;
    if (type == TSR_GGUF_TEXT) return take_text(r, k);
    if (type == TSR_GGUF_LIST) return take_list(r, k);
    if (!scalar_bytes(type))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: key %.100s: type: wanted 0 to 12, got %" PRIu64, r->name, k->name,
                        type);
    return take_number(r, scalar_bytes(type), k->name, &k->bits);
}

/* Bytes of a tensor; *known is false for a type whose blocks are not listed here. */
static tsr_status tensor_bytes(reader *r, tsr_gguf_tensor *t, bool *known) {
    uint64_t elements = 1;
    bool empty = false;
    for (int i = 0; i < TSR_GGUF_MAX_RANK; ++i) {
        if (t->dim[i] == 0)
            empty = true;
        else if ((uint64_t)t->dim[i] > (uint64_t)INT64_MAX / 8 / elements)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: tensor %s: its bytes overflow", r->name,
                            t->name);
        else
            elements *= (uint64_t)t->dim[i];
    }
    *known = false;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; ++i) {
        if (blocks[i].type != t->type) continue;
        const uint64_t values = (uint64_t)1 << blocks[i].values_log2;
        if ((uint64_t)t->dim[0] % values)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: tensor %s: wanted rows of a multiple of %" PRIu64
                            " values, got %" PRId64,
                            r->name, t->name, values, t->dim[0]);
        /* A block of more than 8 bytes has at least 32 values, so that this cannot overflow. */
        t->bytes = empty ? 0 : elements / values * blocks[i].bytes;
        *known = true;
    }
    return TSR_OK;
}

static tsr_status take_tensor(reader *r, tsr_gguf_tensor *t) {
    uint64_t rank, value;
    char *name;
    tsr_status status = take_name(r, "tensor", MAX_NAME, &name);
    t->name = name;
    if (!status) status = take_number(r, 4, "rank of a tensor", &rank);
    if (status) return status;
    if (rank > TSR_GGUF_MAX_RANK)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: tensor %s: wanted at most %d dimensions, got %" PRIu64, r->name,
                        t->name, TSR_GGUF_MAX_RANK, rank);
    t->rank = (int)rank;
    for (int i = 0; i < TSR_GGUF_MAX_RANK; ++i) {
        value = 1;
        if (i < t->rank && (status = take_number(r, 8, "shape of a tensor", &value))) return status;
        if (value > INT64_MAX)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: tensor %s: wanted sizes below 2^63, got %" PRIu64, r->name,
                            t->name, value);
        t->dim[i] = (int64_t)value;
    }
    status = take_number(r, 4, "type of a tensor", &value);
    t->type = (uint32_t)value;
    if (!status) status = take_number(r, 8, "offset of a tensor", &t->offset);
    return status;
}

/* Where tensors stand: `data` is the offset of the first, by which theirs become offsets in the
 * file. */
static tsr_status place_tensors(reader *r, uint64_t data, uint64_t alignment) {
    tsr_gguf *f = r->file;
    uint64_t next = 0; /* UINT64_MAX behind a tensor of unknown size */
    for (int i = 0; i < f->tensor_count; ++i) {
        tsr_gguf_tensor *t = &f->tensors[i];
        bool known = false;
        tsr_status status = tensor_bytes(r, t, &known);
        if (status) return status;
        if (next == UINT64_MAX ? t->offset % alignment != 0 : t->offset != next)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: tensor %s: offset: wanted %s%" PRIu64 ", got %" PRIu64, r->name,
                            t->name, next == UINT64_MAX ? "a multiple of " : "",
                            next == UINT64_MAX ? alignment : next, t->offset);
        const uint64_t there = data < f->in.size ? f->in.size - data : 0;
        if (t->offset > there || t->bytes > there - t->offset)
            return tsr_fail(r->ctx, TSR_ERROR_TRUNCATED,
                            "%s: tensor %s: wanted %" PRIu64 " bytes at %" PRIu64
                            " of the data, got %" PRIu64 " bytes of data",
                            r->name, t->name, t->bytes, t->offset, there);
        /* Both are below 2^63. */
        next = known ? (t->offset + t->bytes + alignment - 1) / alignment * alignment : UINT64_MAX;
        t->offset += data;
    }
    return TSR_OK;
}

static int compare_keys(const void *a, const void *b) {
    return strcmp((*(const key *const *)a)->name, (*(const key *const *)b)->name);
}

static int compare_tensors(const void *a, const void *b) {
    return strcmp((*(const tsr_gguf_tensor *const *)a)->name,
                  (*(const tsr_gguf_tensor *const *)b)->name);
}

static tsr_status twice(reader *r, const char *what, const char *name) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: %s %.100s: wanted once, got twice", r->name,
                    what, name);
}

static const key *find_key(const tsr_gguf *f, const char *name) {
    key wanted = {.name = (char *)(uintptr_t)name};
    const key *w = &wanted;
    if (!f->key_count) return NULL;
    const key **found = bsearch(&w, f->keys_by_name, (size_t)f->key_count, sizeof w, compare_keys);
    return found ? *found : NULL;
}

static tsr_status read_keys(reader *r, uint64_t count) {
    tsr_gguf *f = r->file;
    f->keys = tsr_alloc(r->ctx, (size_t)count, sizeof *f->keys, "keys of a GGUF file");
    f->keys_by_name =
        tsr_alloc(r->ctx, (size_t)count, sizeof *f->keys_by_name, "keys of a GGUF file");
    if (!f->keys || !f->keys_by_name) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < count; ++i) {
        f->key_count = (int)i + 1;
        tsr_status status = take_key(r, &f->keys[i]);
        if (status) return status;
        f->keys_by_name[i] = &f->keys[i];
    }
    if (count) qsort(f->keys_by_name, (size_t)count, sizeof *f->keys_by_name, compare_keys);
    for (uint64_t i = 1; i < count; ++i)
        if (compare_keys(&f->keys_by_name[i - 1], &f->keys_by_name[i]) == 0)
            return twice(r, "key", f->keys_by_name[i]->name);
    return TSR_OK;
}

static tsr_status read_tensors(reader *r, uint64_t count) {
    tsr_gguf *f = r->file;
    uint32_t alignment = 32;
    const key *k = find_key(f, "general.alignment");
    if (k) {
        alignment = (uint32_t)k->bits;
        if (k->type != TSR_GGUF_U32 || !alignment || alignment > MAX_ALIGNMENT ||
            (alignment & (alignment - 1)))
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                            "%s: key general.alignment: wanted a U32 that is a power of two up to "
                            "%u, got type %d, %u",
                            r->name, MAX_ALIGNMENT, (int)k->type, alignment);
    }
    f->tensors = tsr_alloc(r->ctx, (size_t)count, sizeof *f->tensors, "tensors of a GGUF file");
    f->tensors_by_name =
        tsr_alloc(r->ctx, (size_t)count, sizeof *f->tensors_by_name, "tensors of a GGUF file");
    if (!f->tensors || !f->tensors_by_name) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < count; ++i) {
        f->tensor_count = (int)i + 1;
        tsr_status status = take_tensor(r, &f->tensors[i]);
        if (status) return status;
        f->tensors_by_name[i] = &f->tensors[i];
    }
    if (count)
        qsort(f->tensors_by_name, (size_t)count, sizeof *f->tensors_by_name, compare_tensors);
    for (uint64_t i = 1; i < count; ++i)
        if (compare_tensors(&f->tensors_by_name[i - 1], &f->tensors_by_name[i]) == 0)
            return twice(r, "tensor", f->tensors_by_name[i]->name);
    return place_tensors(r, (r->at + alignment - 1) / alignment * alignment, alignment);
}

static tsr_status find_vocabulary(reader *r) {
    tsr_gguf *f = r->file;
    const key *pieces = find_key(f, "tokenizer.ggml.tokens");
    const key *types = find_key(f, "tokenizer.ggml.token_type");
    if (!pieces) return TSR_OK;
    if (pieces->type != TSR_GGUF_LIST || pieces->element != TSR_GGUF_TEXT ||
        pieces->count > INT32_MAX)
        return tsr_fail(
            r->ctx, TSR_ERROR_FORMAT,
            "%s: key tokenizer.ggml.tokens: wanted a list of at most 2^31 - 1 texts, got "
            "type %d of %" PRIu64,
            r->name, (int)pieces->type, pieces->count);
    if (types && (types->type != TSR_GGUF_LIST || types->element != TSR_GGUF_I32 ||
                  types->count != pieces->count))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: key tokenizer.ggml.token_type: wanted a list of %" PRIu64
                        " I32, got type %d of %" PRIu64,
                        r->name, pieces->count, (int)types->element, types->count);
    f->pieces = pieces;
    f->piece_types = types;
    return TSR_OK;
}

static tsr_status read_header(reader *r) {
    tsr_gguf *f = r->file;
    tsr_context *ctx = r->ctx;
    uint8_t magic[4];
    uint64_t version, tensors, keys;
    tsr_status status = take(r, magic, 4, "magic");
    if (status) return status;
    if (memcmp(magic, "GGUF", 4) != 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a GGUF file (47 47 55 46), got %02x %02x %02x %02x", r->name,
                        magic[0], magic[1], magic[2], magic[3]);
    status = take_number(r, 4, "version", &version);
    if (status) return status;
    f->version = (uint32_t)version;
    if (version != 2 && version != 3)
        return tsr_fail(ctx, TSR_ERROR_VERSION, "%s: version: wanted 2 or 3, got %" PRIu64 "%s",
                        r->name, version,
                        version && !(version & 0xFFFF) ? " (a big-endian file)" : "");
    status = take_number(r, 8, "number of tensors", &tensors);
    if (!status) status = take_number(r, 8, "number of keys", &keys);
    if (status) return status;
    /* A key takes at least 14 bytes, a tensor 25. */
    const uint64_t left = f->in.size - r->at;
    if (keys > MAX_KEYS || tensors > MAX_TENSORS)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted at most %u keys and %u tensors, got %" PRIu64 " and %" PRIu64,
                        r->name, MAX_KEYS, MAX_TENSORS, keys, tensors);
    if (keys > left / 14 || tensors > left / 25)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted %" PRIu64 " keys and %" PRIu64 " tensors, got %" PRIu64
                        " bytes",
                        r->name, keys, tensors, left);
    status = read_keys(r, keys);
    if (!status) status = find_vocabulary(r);
    return status ? status : read_tensors(r, tensors);
}

/* Takes `in`, whatever comes of it. */
static tsr_status open_input(tsr_context *ctx, const char *name, tsr_input in, tsr_gguf **file) {
    tsr_gguf *f = tsr_alloc(ctx, 1, sizeof *f, name);
    reader r = {.ctx = ctx, .file = f, .name = name};
    r.window = tsr_alloc_raw(ctx, 1, WINDOW, name);
    if (!f) tsr_input_close(&in);
    tsr_status status = f && r.window ? TSR_OK : TSR_ERROR_MEMORY;
    if (f) f->in = in;
    if (!status) {
        f->path = tsr_alloc(ctx, strlen(name) + 1, 1, name);
        if (!f->path) status = TSR_ERROR_MEMORY;
    }
    if (!status) {
        strcpy(f->path, name);
        status = read_header(&r);
    }
    free(r.window);
    if (status) tsr_gguf_close(&f);
    *file = f;
    return status;
}

tsr_status tsr_gguf_open(tsr_context *ctx, const char *path, tsr_gguf **file) {
    tsr_input in = {0};
    *file = NULL;
    tsr_status status = tsr_input_open(ctx, path, &in);
    return status ? status : open_input(ctx, path, in, file);
}

tsr_status tsr_gguf_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                          tsr_gguf **file) {
    *file = NULL;
    return open_input(ctx, name, tsr_input_memory(bytes, size), file);
}

void tsr_gguf_close(tsr_gguf **file) {
    if (!file || !*file) return;
    tsr_gguf *f = *file;
    for (int i = 0; i < f->key_count; ++i) {
        free(f->keys[i].name);
        free(f->keys[i].bytes);
        free(f->keys[i].starts);
    }
    for (int i = 0; i < f->tensor_count; ++i)
        free((char *)(uintptr_t)f->tensors[i].name);
    free(f->keys);
    free(f->keys_by_name);
    free(f->tensors);
    free(f->tensors_by_name);
    free(f->path);
    tsr_input_close(&f->in);
    free(f);
    *file = NULL;
}

uint32_t tsr_gguf_version(const tsr_gguf *file) {
    return file->version;
}

int tsr_gguf_key_count(const tsr_gguf *file) {
    return file->key_count;
}

const char *tsr_gguf_key_name(const tsr_gguf *file, int i) {
    return file->keys[i].name;
}

tsr_gguf_type tsr_gguf_key_type(const tsr_gguf *file, int i, uint64_t *count,
                                tsr_gguf_type *element) {
    const key *k = &file->keys[i];
    if (count) *count = k->type == TSR_GGUF_LIST ? k->count : 1;
    if (element) *element = k->type == TSR_GGUF_LIST ? k->element : k->type;
    return k->type;
}

bool tsr_gguf_u32(const tsr_gguf *file, const char *name, uint32_t *value) {
    const key *k = find_key(file, name);
    if (!k) return false;
    uint64_t bits = k->bits;
    switch (k->type) {
    case TSR_GGUF_BOOL:
        bits = bits != 0;
        break;
    case TSR_GGUF_I8:
        bits = (uint64_t)(int64_t)(int8_t)bits;
        break;
    case TSR_GGUF_I16:
        bits = (uint64_t)(int64_t)(int16_t)bits;
        break;
    case TSR_GGUF_I32:
        bits = (uint64_t)(int64_t)(int32_t)bits;
        break;
    case TSR_GGUF_U8:
    case TSR_GGUF_U16:
    case TSR_GGUF_U32:
    case TSR_GGUF_U64:
    case TSR_GGUF_I64:
        break;
    default:
        return false;
    }
    if (bits > UINT32_MAX) return false; /* negative ones, too */
    *value = (uint32_t)bits;
    return true;
}

bool tsr_gguf_f32(const tsr_gguf *file, const char *name, float *value) {
    const key *k = find_key(file, name);
    float single;
    double wide;
    if (!k || (k->type != TSR_GGUF_F32 && k->type != TSR_GGUF_F64)) return false;
    if (k->type == TSR_GGUF_F32) {
        const uint32_t bits = (uint32_t)k->bits;
        memcpy(&single, &bits, sizeof single);
    } else {
        memcpy(&wide, &k->bits, sizeof wide);
        if (!(fabs(wide) < 0x1p128)) return false;
        single = (float)wide;
    }
    if (!isfinite(single)) return false;
    *value = single;
    return true;
}

const char *tsr_gguf_text(const tsr_gguf *file, const char *name, size_t *size) {
    const key *k = find_key(file, name);
    if (!k || k->type != TSR_GGUF_TEXT) return NULL;
    if (size) *size = (size_t)k->count;
    return (const char *)k->bytes;
}

bool tsr_gguf_model_u32(const tsr_gguf *file, const char *name, uint32_t *value) {
    char full[256];
    const char *model = tsr_gguf_text(file, "general.architecture", NULL);
    if (!model || strlen(model) + strlen(name) + 2 > sizeof full) return false;
    strcpy(full, model);
    strcat(full, ".");
    strcat(full, name);
    return tsr_gguf_u32(file, full, value);
}

int32_t tsr_gguf_n_vocab(const tsr_gguf *file) {
    return file->pieces ? (int32_t)file->pieces->count : 0;
}

const char *tsr_gguf_piece(const tsr_gguf *file, int32_t id, size_t *size) {
    if (id < 0 || id >= tsr_gguf_n_vocab(file)) return NULL;
    const key *k = file->pieces;
    if (size) *size = (size_t)(k->starts[id + 1] - k->starts[id] - 1);
    return (const char *)k->bytes + k->starts[id];
}

tsr_gguf_piece_type tsr_gguf_piece_type_of(const tsr_gguf *file, int32_t id) {
    if (id < 0 || id >= tsr_gguf_n_vocab(file)) return TSR_GGUF_PIECE_UNDEFINED;
    if (!file->piece_types) return TSR_GGUF_PIECE_NORMAL;
    return (tsr_gguf_piece_type)little(file->piece_types->bytes + 4 * (size_t)id, 4);
}

int32_t tsr_gguf_piece_id(const tsr_gguf *file, const char *piece) {
    const size_t wanted = strlen(piece);
    for (int32_t id = 0; id < tsr_gguf_n_vocab(file); ++id) {
        size_t size;
        const char *p = tsr_gguf_piece(file, id, &size);
        if (size == wanted && memcmp(p, piece, size) == 0) return id;
    }
    return -1;
}

int tsr_gguf_tensor_count(const tsr_gguf *file) {
    return file->tensor_count;
}

const tsr_gguf_tensor *tsr_gguf_tensor_at(const tsr_gguf *file, int i) {
    return &file->tensors[i];
}

const tsr_gguf_tensor *tsr_gguf_find(const tsr_gguf *file, const char *name) {
    const tsr_gguf_tensor wanted = {.name = name}, *w = &wanted;
    if (!file->tensor_count) return NULL;
    const tsr_gguf_tensor **found =
        bsearch(&w, file->tensors_by_name, (size_t)file->tensor_count, sizeof w, compare_tensors);
    return found ? *found : NULL;
}

tsr_status tsr_gguf_rows(tsr_context *ctx, const tsr_gguf *file, const tsr_gguf_tensor *tensor,
                         int64_t first, int64_t count, float *values) {
    const bool single = tensor->type == TSR_GGUF_TENSOR_F32;
    if (!single && tensor->type != TSR_GGUF_TENSOR_F16 && tensor->type != TSR_GGUF_TENSOR_BF16)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: tensor %s: wanted F32, F16 or BF16, got type %u", file->path,
                        tensor->name, tensor->type);
    const uint64_t width = single ? 4 : 2, row = (uint64_t)tensor->dim[0] * width;
    const int64_t rows = row ? (int64_t)(tensor->bytes / row) : 0;
    if (first < 0 || count < 0 || first > rows || count > rows - first)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: tensor %s: rows: wanted a range within 0..%" PRId64 ", got %" PRId64
                        " from %" PRId64,
                        file->path, tensor->name, rows, count, first);
    const uint64_t n = (uint64_t)count * (uint64_t)tensor->dim[0];
    uint64_t at = tensor->offset + (uint64_t)first * row;
    for (uint64_t done = 0; done < n;) {
        uint8_t piece[4096];
        const uint64_t left = n - done, room = sizeof piece / width;
        const uint64_t now = left < room ? left : room;
        tsr_status status =
            tsr_input_read(ctx, &file->in, file->path, at, piece, (size_t)(now * width));
        if (status) return status;
        for (uint64_t i = 0; i < now; ++i) {
            const uint32_t bits = (uint32_t)little(piece + i * width, (size_t)width);
            if (single)
                memcpy(&values[done + i], &bits, sizeof bits);
            else
                values[done + i] = tensor->type == TSR_GGUF_TENSOR_F16
                                       ? tsr_f16_to_f32((uint16_t)bits)
                                       : tsr_bf16_to_f32((uint16_t)bits);
        }
        done += now;
        at += now * width;
    }
    return TSR_OK;
}
