/* SPDX-License-Identifier: MIT */
/* token_set_file.c: token sets in safetensors files. docs/TOKEN_SETS.md states the schema. */
#include "token_set.h"

#include "../formats/arrays/feature_arrays.h"
#include "../formats/spool.h"
#include "../formats/utf8.h"
#include "../formats/weights/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA "token-set/1"
enum { MAX_KEY = 1024, MAX_NAME = MAX_KEY + 1 + TSR_TOKEN_NAME };

/* ---- reading ---- */

struct tsr_token_sets {
    tsr_context *ctx;
    char *path;
    tsr_safetensors *file;
    char **keys; /* [count] in byte order */
    int64_t count;
};

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void tsr_token_sets_close(tsr_token_sets **sets) {
    if (!sets || !*sets) return;
    for (int64_t i = 0; i < (*sets)->count; ++i)
        free((*sets)->keys[i]);
    free((*sets)->keys);
    free((*sets)->path);
    tsr_safetensors_close(&(*sets)->file);
    free(*sets);
    *sets = NULL;
}

/* The key of a tensor called "<key>/features" or "features", which the caller frees; NULL for any
 * other, "/features" among them: an empty key is that of "features". */
static char *key_of(const char *name) {
    static const char features[] = "features";
    const size_t length = strlen(name), tail = sizeof features - 1;
    if (length < tail || strcmp(name + length - tail, features)) return NULL;
    if (length == tail) return strdup("");
    const size_t end = length - tail - 1;
    return end && name[end] == '/' ? strndup(name, end) : NULL;
}

static tsr_status find_keys(tsr_token_sets *s) {
    const int tensors = tsr_safetensors_count(s->file);
    s->keys = tsr_alloc(s->ctx, (size_t)tensors + 1, sizeof *s->keys, "keys of token sets");
    if (!s->keys) return TSR_ERROR_MEMORY;
    for (int i = 0; i < tensors; ++i) {
        const char *name = tsr_safetensors_name(s->file, i);
        char *key = key_of(name);
        if (key) s->keys[s->count++] = key;
        if (key && strlen(key) > MAX_KEY)
            return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                            "%s: %.60s...: wanted a key of at most %d bytes, got %zu", s->path,
                            name, MAX_KEY, strlen(key));
    }
    qsort(s->keys, (size_t)s->count, sizeof *s->keys, by_text);
    if (!s->count)
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a tensor \"features\" or \"<key>/features\", got none",
                        s->path);
    return TSR_OK;
}

/* Opens `path`, or `size` bytes of that name where bytes is not NULL. */
static tsr_status open_sets(tsr_context *ctx, const char *path, const void *bytes, size_t size,
                            tsr_token_sets **sets) {
    tsr_token_sets *s = tsr_alloc(ctx, 1, sizeof *s, "token sets");
    if (!s) return TSR_ERROR_MEMORY;
    s->ctx = ctx;
    s->path = strdup(path);
    tsr_status status = !s->path ? tsr_fail(ctx, TSR_ERROR_MEMORY, "token sets: path")
                        : bytes  ? tsr_safetensors_parse(ctx, path, bytes, size, &s->file)
                                 : tsr_safetensors_open(ctx, path, &s->file);
    const char *schema = status ? NULL : tsr_safetensors_metadata(s->file, "tessera.schema");
    if (!status && schema && strcmp(schema, SCHEMA))
        status = tsr_fail(ctx, TSR_ERROR_VERSION,
                          "%s: tessera.schema: wanted \"" SCHEMA "\", got \"%.60s\"", path, schema);
    if (!status) status = find_keys(s);
    if (status)
        tsr_token_sets_close(&s);
    else
        *sets = s;
    return status;
}

tsr_status tsr_token_sets_open(tsr_context *ctx, const char *path, tsr_token_sets **sets) {
    if (sets) *sets = NULL;
    if (!ctx || !path || !sets)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token sets: wanted a path and a place for the file, got NULL");
    return open_sets(ctx, path, NULL, 0, sets);
}

tsr_status tsr_token_sets_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                tsr_token_sets **sets) {
    *sets = NULL;
    return open_sets(ctx, name, bytes, size, sets);
}

int64_t tsr_token_sets_count(const tsr_token_sets *sets) {
    return sets ? sets->count : 0;
}
const char *tsr_token_sets_key(const tsr_token_sets *sets, int64_t index) {
    return sets && index >= 0 && index < sets->count ? sets->keys[index] : "";
}

const char *tsr_token_sets_metadata(const tsr_token_sets *sets, const char *key) {
    return sets && key ? tsr_safetensors_metadata(sets->file, key) : NULL;
}

/* "<key>/<name>", or "<name>" where the key is "". False where it does not fit. */
static bool tensor_name(char name[MAX_NAME], const char *key, const char *column) {
    return (size_t)snprintf(name, MAX_NAME, "%s%s%s", key, *key ? "/" : "", column) < MAX_NAME;
}

/* Frames, rows, columns from "T,H,W" under `what` of a key; zeros where there are none. */
static tsr_status read_grid(const tsr_token_sets *s, const char *what, const char *key,
                            int64_t grid[3]) {
    char name[MAX_NAME + 32], *end;
    grid[0] = grid[1] = grid[2] = 0;
    snprintf(name, sizeof name, "%s%s%s", what, *key ? "/" : "", key);
    const char *text = tsr_safetensors_metadata(s->file, name), *at = text;
    for (int i = 0; text && i < 3; ++i) {
        grid[i] = strtoll(at, &end, 10);
        if (end == at || grid[i] < 1 || grid[i] > INT32_MAX || *end != (i < 2 ? ',' : 0))
            return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                            "%s: %s: wanted frames,rows,columns, got \"%.60s\"", s->path, name,
                            text);
        at = end + 1;
    }
    return TSR_OK;
}

/* Loads a tensor as f32 or i32. */
static tsr_status load(const tsr_token_sets *s, int index, tsr_array_type *type, void **data) {
    const tsr_tensor *t = tsr_safetensors_tensor(s->file, index);
    const char *name = tsr_safetensors_name(s->file, index);
    tsr_safetensors_info info;
    tsr_safetensors_describe(s->file, index, &info);
    *data = NULL;
    if (t->dtype == TSR_DTYPE_OTHER)
        return tsr_fail(s->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: %s: wanted F32, F16, BF16, I32, I64 or U8 of up to %d dimensions, got "
                        "%s of %d",
                        s->path, name, TSR_MAX_RANK, info.dtype, info.rank);
    tsr_status status = tsr_safetensors_load(s->ctx, s->file, index);
    if (status) return status;
    const int64_t n = tsr_elements(t);
    *type = t->dtype == TSR_DTYPE_I32 || t->dtype == TSR_DTYPE_I64 || t->dtype == TSR_DTYPE_U8
                ? TSR_ARRAY_I32
                : TSR_ARRAY_F32;
    if (*type == TSR_ARRAY_F32) {
        float *x = NULL;
        status = tsr_tensor_to_f32(s->ctx, name, t, &x);
        *data = x;
        return status;
    }
    int32_t *ids = tsr_alloc(s->ctx, (size_t)(n ? n : 1), sizeof *ids, name);
    if (!ids) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < n && !status; ++i) {
        const int64_t v = t->dtype == TSR_DTYPE_I32   ? ((const int32_t *)t->data)[i]
                          : t->dtype == TSR_DTYPE_I64 ? ((const int64_t *)t->data)[i]
                                                      : ((const uint8_t *)t->data)[i];
        if (v < INT32_MIN || v > INT32_MAX)
            status = tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                              "%s: %s: value %" PRId64 ": wanted 32 bits, got %" PRId64, s->path,
                              name, i, v);
        ids[i] = (int32_t)v;
    }
    *data = ids;
    return status;
}

/* Copies tensor "<key>/<column>" of this type and these dimensions to `to`; *found says whether
 * there is one. */
static tsr_status read_part(const tsr_token_sets *s, const char *key, const char *column,
                            tsr_array_type type, int64_t rows, int64_t width, void *to,
                            bool *found) {
    char name[MAX_NAME];
    const int index = tensor_name(name, key, column) ? tsr_safetensors_find(s->file, name) : -1;
    *found = index >= 0;
    if (index < 0) return TSR_OK;
    const tsr_tensor *t = tsr_safetensors_tensor(s->file, index);
    tsr_array_type got;
    void *data;
    tsr_status status = load(s, index, &got, &data);
    if (!status && (got != type || tsr_elements(t) != rows * width))
        status =
            tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                     "%s: %s: wanted %" PRId64 " x %" PRId64 " %s, got %" PRId64 " %s", s->path,
                     name, rows, width, type == TSR_ARRAY_I32 ? "integers" : "numbers",
                     tsr_elements(t), got == TSR_ARRAY_I32 ? "integers" : "numbers");
    if (!status) memcpy(to, data, (size_t)(rows * width) * sizeof(float));
    free(data);
    return status;
}

/* The token axis of a column by its name and shape. */
static tsr_token_axis axis_of(const char *name, int rank, const int64_t *dim, int64_t count) {
    const int64_t last = dim[rank - 1];
    if (!strncmp(name, "attention", 9)) {
        if (rank >= 2 && dim[rank - 2] == last && (last == count || last == count + 1) && rank >= 3)
            return TSR_TOKEN_AXIS_SQUARE;
        return last == count ? TSR_TOKEN_AXIS_LAST : TSR_TOKEN_AXIS_NONE;
    }
    return dim[0] == count ? TSR_TOKEN_AXIS_FIRST : TSR_TOKEN_AXIS_NONE;
}

/* Whether the comma-separated list `names` has `name`; NULL has none. */
static bool is_listed(const char *names, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = names; at && *at; at += *at == ',') {
        const size_t part = strcspn(at, ",");
        if (part == length && !memcmp(at, name, length)) return true;
        at += part;
    }
    return false;
}

static tsr_status read_columns(const tsr_token_sets *s, const char *key, tsr_token_set *set) {
    static const char *const parts[] = {"features", "source_map", "positions", "sizes"};
    const size_t length = strlen(key);
    tsr_status status = TSR_OK;
    char where[MAX_NAME + 32];
    snprintf(where, sizeof where, "tessera.tables%s%s", *key ? "/" : "", key);
    const char *tables = tsr_safetensors_metadata(s->file, where);
    for (int i = 0; i < tsr_safetensors_count(s->file) && !status; ++i) {
        const char *name = tsr_safetensors_name(s->file, i);
        if (length && (strncmp(name, key, length) || name[length] != '/')) continue;
        const char *column = name + (length ? length + 1 : 0);
        bool is_part = strchr(column, '/') != NULL;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; ++p)
            is_part |= !strcmp(column, parts[p]);
        if (is_part) continue;
        const tsr_tensor *t = tsr_safetensors_tensor(s->file, i);
        tsr_token_array a = {.name = column, .rank = t->rank};
        void *data;
        status = load(s, i, &a.type, &data);
        memcpy(a.dim, t->dim, sizeof a.dim);
        a.data = data;
        a.axis = is_listed(tables, column) ? TSR_TOKEN_AXIS_NONE
                                           : axis_of(column, t->rank, t->dim, set->count);
        if (!status && tsr_token_set_add(set, &a)) {
            char why[512];
            snprintf(why, sizeof why, "%s", tsr_detail(s->ctx));
            status = tsr_fail(s->ctx, TSR_ERROR_FORMAT, "%s: %.500s", s->path, why);
        }
        free(data);
    }
    return status;
}

/* Maps, sizes and positions that the file leaves out. */
static void fill_parts(tsr_token_set *set, bool has_map, bool has_sizes, bool has_positions) {
    const int64_t *grid = set->grid;
    if (!has_map)
        for (int64_t i = 0; i < set->source; ++i)
            set->source_map[i] = (int32_t)i;
    if (!has_sizes)
        for (int64_t i = 0; i < set->source; ++i)
            if (set->source_map[i] >= 0 && set->source_map[i] < set->count)
                set->sizes[set->source_map[i]] += 1;
    if (has_positions) return;
    for (int64_t i = 0; i < set->count; ++i) {
        if (grid[0]) {
            set->positions[3 * i] = (float)(i / (grid[1] * grid[2]));
            set->positions[3 * i + 1] = (float)(i / grid[2] % grid[1]);
        }
        set->positions[3 * i + 2] = (float)(grid[0] ? i % grid[2] : i);
    }
}

static tsr_status check_grid(const tsr_token_sets *s, const char *key, const char *what,
                             const int64_t grid[3], int64_t tokens) {
    int64_t n = 0;
    if (!grid[0] || (!__builtin_mul_overflow(grid[0], grid[1], &n) &&
                     !__builtin_mul_overflow(n, grid[2], &n) && n == tokens))
        return TSR_OK;
    return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                    "%s: %s of \"%.100s\": wanted a grid of %" PRId64 " tokens, got %" PRId64
                    " x %" PRId64 " x %" PRId64,
                    s->path, what, key, tokens, grid[0], grid[1], grid[2]);
}

tsr_status tsr_token_sets_read(tsr_token_sets *s, int64_t index, tsr_token_set **set) {
    char name[MAX_NAME];
    if (set) *set = NULL;
    if (!s) return TSR_ERROR_ARGUMENT;
    if (!set || index < 0 || index >= s->count)
        return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted one of %" PRId64 " sets, got number %" PRId64, s->path,
                        s->count, index);
    const char *key = s->keys[index];
    tensor_name(name, key, "features");
    const tsr_tensor *t = tsr_safetensors_tensor(s->file, tsr_safetensors_find(s->file, name));
    if (t->rank != 2 || t->dim[0] < 1 || t->dim[0] > INT32_MAX || t->dim[1] < 1)
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                        "%s: %s: wanted tokens x channels, at least one of each, got rank %d with "
                        "%" PRId64 " rows",
                        s->path, name, t->rank, t->dim[0]);
    const int64_t count = t->dim[0], channels = t->dim[1];
    int64_t source = count;
    if (tensor_name(name, key, "source_map")) {
        const int map = tsr_safetensors_find(s->file, name);
        if (map >= 0) source = tsr_elements(tsr_safetensors_tensor(s->file, map));
    }
    if (source < 1 || source > INT32_MAX)
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT,
                        "%s: %s: wanted 1 source token or more, below 2^31, got %" PRId64, s->path,
                        name, source);
    tsr_token_set *made = tsr_token_set_make(s->ctx, source, count, channels);
    if (!made) return TSR_ERROR_MEMORY;
    bool found, has_map = false, has_sizes = false, has_positions = false;
    tsr_status status =
        read_part(s, key, "features", TSR_ARRAY_F32, count, channels, made->features, &found);
    if (!status)
        status =
            read_part(s, key, "source_map", TSR_ARRAY_I32, source, 1, made->source_map, &has_map);
    if (!status)
        status = read_part(s, key, "sizes", TSR_ARRAY_F32, count, 1, made->sizes, &has_sizes);
    if (!status)
        status = read_part(s, key, "positions", TSR_ARRAY_F32, count, 3, made->positions,
                           &has_positions);
    if (!status) status = read_grid(s, "tessera.grid", key, made->grid);
    if (!status) status = read_grid(s, "tessera.source_grid", key, made->source_grid);
    if (!status) {
        if (!has_map && !made->source_grid[0])
            memcpy(made->source_grid, made->grid, sizeof made->grid);
        status = check_grid(s, key, "tessera.grid", made->grid, count);
    }
    if (!status) status = check_grid(s, key, "tessera.source_grid", made->source_grid, source);
    if (!status) {
        fill_parts(made, has_map, has_sizes, has_positions);
        status = tsr_token_set_check(made, s->path);
    }
    if (!status) status = read_columns(s, key, made);
    if (!status) {
        snprintf(name, sizeof name, "tessera.stream%s%s", *key ? "/" : "", key);
        const char *stream = tsr_safetensors_metadata(s->file, name);
        snprintf(made->stream, sizeof made->stream, "%s", stream ? stream : "");
    }
    if (status)
        tsr_token_set_close(&made);
    else
        *set = made;
    return status;
}

tsr_status tsr_token_set_read(tsr_context *ctx, const char *path, const char *key,
                              tsr_token_set **set) {
    tsr_token_sets *s = NULL;
    if (set) *set = NULL;
    tsr_status status = tsr_token_sets_open(ctx, path, &s);
    if (status) return status;
    int64_t index = 0;
    if (key) {
        char **at = bsearch(&key, s->keys, (size_t)s->count, sizeof *s->keys, by_text);
        if (at)
            index = at - s->keys;
        else
            status = tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                              "%s: wanted the token set \"%.200s\", got %" PRId64
                              " others, the first \"%.200s\"",
                              path, key, s->count, s->keys[0]);
    } else if (s->count > 1)
        status =
            tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                     "%s: key: wanted one of %" PRId64 " token sets, the first \"%.200s\", got "
                     "none",
                     path, s->count, s->keys[0]);
    if (!status) status = tsr_token_sets_read(s, index, set);
    tsr_token_sets_close(&s);
    return status;
}

/* ---- writing ---- */

struct tsr_token_sets_writer {
    tsr_context *ctx;
    char *path;
    tsr_spool spool; /* the values of all tensors */
    char **names;    /* [count] of tensors */
    tsr_tensor *tensors;
    uint64_t *offsets; /* of the values in the spool */
    int count, room;
    char **pairs; /* [2 * pair_count] keys and values of the metadata */
    int pair_count, pair_room;
    int64_t sets;
    bool unnamed; /* the set with key "" is there */
    bool f16;
};

void tsr_token_sets_abandon(tsr_token_sets_writer **writer) {
    if (!writer || !*writer) return;
    tsr_token_sets_writer *w = *writer;
    for (int i = 0; i < w->count; ++i)
        free(w->names[i]);
    for (int i = 0; i < 2 * w->pair_count; ++i)
        free(w->pairs[i]);
    tsr_spool_clear(&w->spool);
    free(w->names);
    free(w->tensors);
    free(w->offsets);
    free(w->pairs);
    free(w->path);
    free(w);
    *writer = NULL;
}

tsr_status tsr_token_sets_create(tsr_context *ctx, const char *path,
                                 tsr_token_sets_writer **writer) {
    if (writer) *writer = NULL;
    if (!ctx || !path || !writer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token sets: wanted a path and a place for the writer, got NULL");
    tsr_status status = tsr_out_check(ctx, path);
    if (status) return status;
    tsr_token_sets_writer *w = tsr_alloc(ctx, 1, sizeof *w, "writer of token sets");
    if (!w) return TSR_ERROR_MEMORY;
    w->ctx = ctx;
    w->path = strdup(path);
    if (!w->path) {
        free(w);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "token sets: path");
    }
    w->spool = (tsr_spool){.ctx = ctx, .beside = tsr_in_is_stream(path) ? NULL : w->path};
    *writer = w;
    return TSR_OK;
}

/* Makes room for one more of the pairs. */
static tsr_status describe(tsr_token_sets_writer *w, const char *key, const char *value) {
    if (w->pair_count == w->pair_room) {
        const int room = w->pair_room ? 2 * w->pair_room : 16;
        char **grown = realloc(w->pairs, 2 * (size_t)room * sizeof *grown);
        if (!grown) return tsr_fail(w->ctx, TSR_ERROR_MEMORY, "token sets: metadata");
        w->pairs = grown;
        w->pair_room = room;
    }
    char *k = strdup(key), *v = strdup(value);
    if (!k || !v) {
        free(k);
        free(v);
        return tsr_fail(w->ctx, TSR_ERROR_MEMORY, "token sets: metadata");
    }
    w->pairs[2 * w->pair_count] = k;
    w->pairs[2 * w->pair_count++ + 1] = v;
    return TSR_OK;
}

tsr_status tsr_token_sets_describe(tsr_token_sets_writer *writer, const char *key,
                                   const char *value) {
    if (!writer) return TSR_ERROR_ARGUMENT;
    if (!key || !value || !strncmp(key, "tessera.", 8))
        return tsr_fail(writer->ctx, TSR_ERROR_ARGUMENT,
                        "token sets: metadata: wanted a key that does not begin with \"tessera.\", "
                        "and a value, got \"%.100s\"",
                        key ? key : "");
    for (int i = 0; i < writer->pair_count; ++i)
        if (!strcmp(writer->pairs[2 * i], key))
            return tsr_fail(writer->ctx, TSR_ERROR_ARGUMENT,
                            "token sets: metadata: wanted each key once, got \"%.100s\" twice",
                            key);
    return describe(writer, key, value);
}

void tsr_token_sets_store_f16(tsr_token_sets_writer *writer) {
    writer->f16 = true;
}

static tsr_status put(tsr_token_sets_writer *w, const char *key, const char *column,
                      tsr_dtype dtype, int rank, const int64_t *dim, const void *data) {
    char name[MAX_NAME];
    tensor_name(name, key, column);
    if (w->count == w->room) {
        const int room = w->room ? 2 * w->room : 64;
        char **names = realloc(w->names, (size_t)room * sizeof *names);
        if (names) w->names = names;
        tsr_tensor *tensors = names ? realloc(w->tensors, (size_t)room * sizeof *tensors) : NULL;
        if (tensors) w->tensors = tensors;
        uint64_t *offsets = tensors ? realloc(w->offsets, (size_t)room * sizeof *offsets) : NULL;
        if (offsets) w->offsets = offsets;
        if (!offsets) return tsr_fail(w->ctx, TSR_ERROR_MEMORY, "token sets: list of tensors");
        w->room = room;
    }
    char *copy = strdup(name);
    if (!copy) return tsr_fail(w->ctx, TSR_ERROR_MEMORY, "token sets: list of tensors");
    w->names[w->count] = copy;
    w->tensors[w->count] = tsr_host_tensor(dtype, NULL, rank, dim);
    w->offsets[w->count] = w->spool.size;
    const size_t bytes = (size_t)tsr_elements(&w->tensors[w->count]) * tsr_dtype_bytes(dtype);
    ++w->count;
    return tsr_spool_put(&w->spool, data, bytes);
}

/* Puts floats, as f16 where that is asked for. */
static tsr_status put_floats(tsr_token_sets_writer *w, const char *key, const char *column,
                             int rank, const int64_t *dim, const float *data) {
    if (!w->f16) return put(w, key, column, TSR_DTYPE_F32, rank, dim, data);
    const tsr_tensor shape = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    const int64_t n = tsr_elements(&shape);
    uint16_t *half = tsr_alloc(w->ctx, (size_t)(n ? n : 1), sizeof *half, column);
    if (!half) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < n; ++i)
        half[i] = tsr_f32_to_f16(data[i]);
    const tsr_status status = put(w, key, column, TSR_DTYPE_F16, rank, dim, half);
    free(half);
    return status;
}

/* Writes "T,H,W" under `what`. */
static tsr_status put_grid(tsr_token_sets_writer *w, const char *what, const char *key,
                           const int64_t grid[3]) {
    char name[MAX_NAME + 32], text[64];
    if (!grid[0]) return TSR_OK;
    snprintf(name, sizeof name, "%s%s%s", what, *key ? "/" : "", key);
    snprintf(text, sizeof text, "%" PRId64 ",%" PRId64 ",%" PRId64, grid[0], grid[1], grid[2]);
    return describe(w, name, text);
}

/* Names the columns that belong to no token under tessera.tables: their shape may look otherwise.
 */
static tsr_status put_tables(tsr_token_sets_writer *w, const char *key, const tsr_token_set *set) {
    char name[MAX_NAME + 32], list[TSR_TOKEN_SET_COLUMNS * TSR_TOKEN_NAME] = "";
    size_t at = 0;
    for (int i = 0; i < set->column_count; ++i) {
        const tsr_token_array *a = &set->columns[i]->array;
        if (a->axis == TSR_TOKEN_AXIS_NONE)
            at += (size_t)snprintf(list + at, sizeof list - at, "%s%s", at ? "," : "", a->name);
    }
    snprintf(name, sizeof name, "tessera.tables%s%s", *key ? "/" : "", key);
    return at ? describe(w, name, list) : TSR_OK;
}

static tsr_status check_key(const tsr_token_sets_writer *w, const char *key) {
    const size_t length = key ? strlen(key) : 0;
    if (!key || length > MAX_KEY || !tsr_utf8_valid(key, length, NULL))
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "%s: key: wanted at most %d bytes of UTF-8, got %zu", w->path, MAX_KEY,
                        length);
    if (w->unnamed || (!*key && w->sets))
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "%s: key: wanted names for all sets of a file with several, got \"\"",
                        w->path);
    return TSR_OK;
}

tsr_status tsr_token_sets_append(tsr_token_sets_writer *w, const char *key,
                                 const tsr_token_set *set) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (!set)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a token set, got NULL", w->path);
    tsr_status status = check_key(w, key);
    if (status) return status;
    const int64_t features[2] = {set->count, set->channels}, positions[2] = {set->count, 3};
    status = put_floats(w, key, "features", 2, features, set->features);
    if (!status) status = put(w, key, "positions", TSR_DTYPE_F32, 2, positions, set->positions);
    if (!status)
        status = put(w, key, "source_map", TSR_DTYPE_I32, 1, &set->source, set->source_map);
    if (!status) status = put(w, key, "sizes", TSR_DTYPE_F32, 1, &set->count, set->sizes);
    for (int i = 0; i < set->column_count && !status; ++i) {
        const tsr_token_array *a = &set->columns[i]->array;
        if (a->type == TSR_ARRAY_F64) continue;
        status = a->type == TSR_ARRAY_I32
                     ? put(w, key, a->name, TSR_DTYPE_I32, a->rank, a->dim, a->data)
                     : put_floats(w, key, a->name, a->rank, a->dim, a->data);
    }
    if (!status) status = put_grid(w, "tessera.grid", key, set->grid);
    if (!status) status = put_grid(w, "tessera.source_grid", key, set->source_grid);
    if (!status) status = put_tables(w, key, set);
    if (!status && *set->stream) {
        char name[MAX_NAME + 32];
        snprintf(name, sizeof name, "tessera.stream%s%s", *key ? "/" : "", key);
        status = describe(w, name, set->stream);
    }
    w->unnamed |= !*key;
    ++w->sets;
    return status;
}

static tsr_status fill(void *user, int index, void *bytes) {
    tsr_token_sets_writer *w = user;
    const tsr_tensor *t = &w->tensors[index];
    return tsr_spool_read(&w->spool, w->offsets[index], bytes,
                          (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype));
}

tsr_status tsr_token_sets_finish(tsr_token_sets_writer **writer) {
    if (!writer || !*writer) return TSR_ERROR_ARGUMENT;
    tsr_token_sets_writer *w = *writer;
    tsr_status status =
        w->sets ? describe(w, "tessera.schema", SCHEMA)
                : tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a token set, got none", w->path);
    tsr_metadata_pair *pairs =
        status ? NULL : tsr_alloc(w->ctx, (size_t)w->pair_count, sizeof *pairs, "metadata");
    if (!status && !pairs) status = TSR_ERROR_MEMORY;
    for (int i = 0; i < w->pair_count && pairs; ++i)
        pairs[i] = (tsr_metadata_pair){w->pairs[2 * i], w->pairs[2 * i + 1]};
    if (!status)
        status =
            tsr_safetensors_write_made(w->ctx, w->path, (const char *const *)w->names, w->tensors,
                                       NULL, w->count, pairs, w->pair_count, fill, w);
    free(pairs);
    tsr_token_sets_abandon(writer);
    return status;
}

tsr_status tsr_token_set_write(const tsr_token_set *set, const char *path) {
    if (!set) return TSR_ERROR_ARGUMENT;
    tsr_token_sets_writer *w = NULL;
    tsr_status status = tsr_token_sets_create(set->ctx, path, &w);
    if (!status) status = tsr_token_sets_append(w, "", set);
    if (!status) return tsr_token_sets_finish(&w);
    tsr_token_sets_abandon(&w);
    return status;
}
