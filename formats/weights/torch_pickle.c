/* SPDX-License-Identifier: MIT */
/* torch_pickle.c: see torch_pickle.h. First the container says where the pickle and the records
 * lie, then the pickle becomes a tree, then the tree's tensors are measured against the records. */
#include "torch_pickle.h"
#include "torch_container.h"
#include "../../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 64, MAX_PATH = 1024 };

static const struct {
    const char *storage, *dtype;
    size_t bytes;
} dtypes[] = {{"Float", "F32", 4},  {"Half", "F16", 2},         {"BFloat16", "BF16", 2},
              {"Double", "F64", 8}, {"Long", "I64", 8},         {"Int", "I32", 4},
              {"Short", "I16", 2},  {"Char", "I8", 1},          {"Byte", "U8", 1},
              {"Bool", "BOOL", 1},  {"ComplexFloat", "C64", 8}, {"ComplexDouble", "C128", 16}};

struct tsr_torch {
    char *name;   /* of the file */
    tsr_zip *zip; /* NULL in the old layout */
    tsr_pickle *tree;
    tsr_arena arena; /* paths */
    tsr_torch_tensor *tensors;
    int count;
    const char *weights_under; /* static */
};

typedef struct torch_reader {
    torch_container in; /* its zip and tree are the file's from the moment they are there */
    tsr_torch *file;
    uint64_t bytes_left, names_left, steps_left;
    int room; /* of tensors */
    char path[MAX_PATH];
} torch_reader;

static tsr_status refuse(torch_reader *r, const char *field, const char *what) {
    return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT, "%s: %s: %s", r->in.name, field, what);
}

/* ---- storages: the persistent ids ---- */

/* Up to `most` items of a tuple; false when there are more. */
static bool items_of(const tsr_pickle *p, tsr_pickle_ref ref, tsr_pickle_ref *items, uint32_t most,
                     uint32_t *count) {
    tsr_pickle_ref none;
    uint32_t place = 0;
    *count = tsr_pickle_look(p, ref).count;
    if (*count > most) return false;
    for (uint32_t i = 0; i < *count; ++i)
        if (!tsr_pickle_next(p, ref, &place, &none, &items[i])) return false;
    return true;
}

static bool get_size(const tsr_pickle *p, tsr_pickle_ref ref, uint64_t *value) {
    tsr_pickle_view v = tsr_pickle_look(p, ref);
    *value = (uint64_t)v.integer;
    return v.kind == TSR_PICKLE_INT && v.integer >= 0;
}

/* ('storage', torch.FloatStorage, key, device, elements[, view]) */
static tsr_status read_storage(torch_reader *r, tsr_pickle_ref ref, torch_storage *s) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_ref item[6], view[3];
    uint32_t count, view_count;
    *s = (torch_storage){.ref = ref};
    if (!items_of(p, ref, item, 6, &count) || count < 5 || !tsr_pickle_is(p, item[0], "storage"))
        return refuse(r, "persistent id", "wanted ('storage', type, key, device, elements)");
    tsr_pickle_view type = tsr_pickle_look(p, item[1]), key = tsr_pickle_look(p, item[2]);
    if (type.kind != TSR_PICKLE_GLOBAL || type.name != TSR_PICKLE_NAME_STORAGE)
        return refuse(r, "persistent id", "wanted a storage type, got something else");
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i)
        if (strlen(dtypes[i].storage) == type.text_size &&
            memcmp(dtypes[i].storage, type.text, type.text_size) == 0) {
            s->dtype = dtypes[i].dtype;
            s->element_bytes = dtypes[i].bytes;
        }
    if (!s->dtype) return refuse(r, "persistent id", "a storage type that is not known");
    bool plain = key.kind == TSR_PICKLE_TEXT && key.text_size > 0 && key.text_size < 200;
    for (size_t i = 0; plain && i < key.text_size; ++i)
        plain = (uint8_t)key.text[i] > 0x20 && !strchr("/\\", key.text[i]);
    if (!plain) return refuse(r, "storage key", "wanted a plain name, got something else");
    s->key = key.text;
    s->key_size = key.text_size;
    if (!get_size(p, item[4], &s->elements) || s->elements > (uint64_t)INT64_MAX / 16)
        return refuse(r, "storage", "wanted a number of elements from 0 to 2^59");
    s->view_elements = s->elements;
    if (count == 6 && tsr_pickle_look(p, item[5]).kind != TSR_PICKLE_NONE) {
        if (tsr_pickle_look(p, item[5]).kind != TSR_PICKLE_TUPLE ||
            !items_of(p, item[5], view, 3, &view_count) || view_count != 3 ||
            !get_size(p, view[1], &s->view_begin) || !get_size(p, view[2], &s->view_elements) ||
            s->view_begin > s->elements || s->elements - s->view_begin < s->view_elements)
            return refuse(r, "storage view", "wanted a range inside its storage");
    }
    return TSR_OK;
}

static tsr_status read_storages(torch_reader *r) {
    const tsr_pickle *p = r->in.tree;
    uint32_t nodes = tsr_pickle_count(p), count = 0;
    for (tsr_pickle_ref ref = 0; ref < nodes; ++ref)
        count += tsr_pickle_look(p, ref).kind == TSR_PICKLE_PERSISTENT;
    r->in.storages = tsr_alloc(r->in.ctx, count, sizeof *r->in.storages, r->in.name);
    if (!r->in.storages) return TSR_ERROR_MEMORY;
    for (tsr_pickle_ref ref = 0; ref < nodes; ++ref) {
        if (tsr_pickle_look(p, ref).kind != TSR_PICKLE_PERSISTENT) continue;
        tsr_status status = read_storage(r, ref, &r->in.storages[r->in.storage_count++]);
        if (status) return status;
    }
    return TSR_OK;
}

static int compare_refs(const void *a, const void *b) {
    tsr_pickle_ref x = ((const torch_storage *)a)->ref, y = ((const torch_storage *)b)->ref;
    return x < y ? -1 : x > y;
}

static const torch_storage *storage_of(const torch_reader *r, tsr_pickle_ref ref) {
    const torch_storage key = {.ref = ref};
    if (!r->in.storage_count) return NULL;
    return bsearch(&key, r->in.storages, r->in.storage_count, sizeof key, compare_refs);
}

/* ---- tensors ---- */

static tsr_status bad_tensor(torch_reader *r, const char *what) {
    return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: %s", r->in.name, r->path,
                    what);
}

static tsr_status read_shape(torch_reader *r, tsr_pickle_ref sizes, tsr_pickle_ref strides,
                             tsr_torch_tensor *t) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_ref size[TSR_TORCH_MAX_RANK], step[TSR_TORCH_MAX_RANK];
    uint32_t rank, steps;
    if (tsr_pickle_look(p, sizes).kind != TSR_PICKLE_TUPLE ||
        tsr_pickle_look(p, strides).kind != TSR_PICKLE_TUPLE)
        return bad_tensor(r, "wanted shape and strides, got something else");
    if (!items_of(p, sizes, size, TSR_TORCH_MAX_RANK, &rank))
        return tsr_fail(r->in.ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: tensor %.200s: wanted at most %d dimensions, got more", r->in.name,
                        r->path, TSR_TORCH_MAX_RANK);
    if (!items_of(p, strides, step, TSR_TORCH_MAX_RANK, &steps) || steps != rank)
        return bad_tensor(r, "wanted as many strides as dimensions");
    t->rank = (int)rank;
    t->elements = 1;
    uint64_t last = t->offset, dims[TSR_TORCH_MAX_RANK], stride[TSR_TORCH_MAX_RANK];
    bool empty = false;
    for (uint32_t d = 0; d < rank; ++d) {
        if (!get_size(p, size[d], &dims[d]) || !get_size(p, step[d], &stride[d]))
            return bad_tensor(r, "wanted sizes and strides from 0 to 2^63");
        t->dim[d] = (int64_t)dims[d];
        t->stride[d] = (int64_t)stride[d];
        empty = empty || dims[d] == 0;
    }
    for (uint32_t d = 0; d < rank && !empty; ++d) {
        if (dims[d] > (uint64_t)INT64_MAX / 16 / t->elements)
            return bad_tensor(r, "shape: its elements overflow");
        t->elements *= dims[d];
        uint64_t steps_taken = dims[d] - 1;
        if (steps_taken && stride[d] > ((uint64_t)INT64_MAX - last) / steps_taken)
            return bad_tensor(r, "strides: its last index overflows");
        last += steps_taken * stride[d];
    }
    if (empty)
        t->elements = 0;
    else if (last >= t->storage_elements)
        return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT,
                        "%s: tensor %.200s: wanted a storage of at least %llu elements, got %llu",
                        r->in.name, r->path, (unsigned long long)last + 1,
                        (unsigned long long)t->storage_elements);
    return TSR_OK;
}

static tsr_status keep_tensor(torch_reader *r, tsr_torch_tensor *t) {
    tsr_torch *f = r->file;
    uint64_t bytes = t->elements * t->element_bytes;
    size_t length = strlen(r->path) + 1;
    /* Views cost nothing here, but whoever wants them row by row must pay for them. */
    if (bytes > r->bytes_left || length > r->names_left)
        return tsr_fail(r->in.ctx, TSR_ERROR_TOO_LARGE,
                        "%s: tensor %.200s: the tensors together are far more than the file",
                        r->in.name, r->path);
    r->bytes_left -= bytes;
    r->names_left -= length;
    if (f->count == r->room) {
        int room = r->room ? r->room * 2 : 64;
        tsr_torch_tensor *more = realloc(f->tensors, (size_t)room * sizeof *more);
        if (!more)
            return tsr_fail(r->in.ctx, TSR_ERROR_MEMORY, "%s: no memory for tensors", r->in.name);
        f->tensors = more;
        r->room = room;
    }
    char *path = tsr_arena_take(r->in.ctx, &f->arena, length);
    if (!path) return TSR_ERROR_MEMORY;
    t->path = memcpy(path, r->path, length);
    f->tensors[f->count++] = *t;
    return TSR_OK;
}

/* _rebuild_tensor_v2(storage, offset, size, stride, ...) */
static tsr_status read_tensor(torch_reader *r, tsr_pickle_ref call) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_ref item[8];
    uint32_t count;
    if (!items_of(p, call, item, 8, &count) || count < 4)
        return bad_tensor(r, "wanted storage, offset, shape and strides");
    const torch_storage *s = storage_of(r, item[0]);
    if (!s) return bad_tensor(r, "wanted a storage, got something else");
    tsr_torch_tensor t = {.dtype = s->dtype,
                          .element_bytes = s->element_bytes,
                          .storage_elements = s->view_elements,
                          .record = s->record};
    if (!get_size(p, item[1], &t.offset)) return bad_tensor(r, "wanted an offset from 0 to 2^63");
    tsr_status status = read_shape(r, item[2], item[3], &t);
    if (status) return status;
    if (!s->bytes && s->elements)
        return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT,
                        "%s: tensor %.200s: storage %.*s: wanted a record of it, got none",
                        r->in.name, r->path, (int)s->key_size, s->key);
    if (s->elements > s->record_bytes / s->element_bytes)
        return tsr_fail(r->in.ctx, TSR_ERROR_TRUNCATED,
                        "%s: tensor %.200s: storage %.*s: wanted %llu bytes, got %llu", r->in.name,
                        r->path, (int)s->key_size, s->key,
                        (unsigned long long)(s->elements * s->element_bytes),
                        (unsigned long long)s->record_bytes);
    t.storage = s->bytes ? s->bytes + s->view_begin * s->element_bytes : NULL;
    return keep_tensor(r, &t);
}

/* ---- the walk ---- */

static void append(torch_reader *r, size_t *at, const char *text, size_t size) {
    for (size_t i = 0; i < size && *at + 1 < sizeof r->path; ++i) {
        uint8_t c = (uint8_t)text[i];
        r->path[(*at)++] = c < 0x20 || c == 0x7F ? '?' : text[i];
    }
    r->path[*at] = 0;
}

static tsr_status append_key(torch_reader *r, size_t *at, tsr_pickle_ref key, uint32_t index,
                             bool keyed) {
    char number[24];
    tsr_pickle_view v = tsr_pickle_look(r->in.tree, key);
    if (*at) append(r, at, "/", 1);
    if (!keyed)
        append(r, at, number, (size_t)snprintf(number, sizeof number, "%u", index));
    else if (v.kind == TSR_PICKLE_INT || v.kind == TSR_PICKLE_BOOL)
        append(r, at, number,
               (size_t)snprintf(number, sizeof number, "%lld", (long long)v.integer));
    else if (v.kind == TSR_PICKLE_TEXT || v.kind == TSR_PICKLE_GLOBAL)
        append(r, at, v.text, v.text_size);
    else
        append(r, at, "?", 1);
    if (*at + 1 >= sizeof r->path)
        return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT, "%s: a path of more than %d bytes: %.200s...",
                        r->in.name, MAX_PATH, r->path);
    return TSR_OK;
}

/* Containers may be shared and may even hold themselves, so depth and steps have limits. */
static tsr_status walk(torch_reader *r, tsr_pickle_ref ref, size_t at, int depth) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_view v = tsr_pickle_look(p, ref);
    if (v.kind == TSR_PICKLE_CALL && v.name == TSR_PICKLE_NAME_REBUILD_PARAMETER) {
        tsr_pickle_ref none, data = 0;
        uint32_t place = 0;
        if (!tsr_pickle_next(p, ref, &place, &none, &data) || depth > MAX_DEPTH)
            return bad_tensor(r, "wanted a parameter's tensor");
        return walk(r, data, at, depth + 1);
    }
    if (v.kind == TSR_PICKLE_CALL) return read_tensor(r, ref);
    if (v.kind != TSR_PICKLE_DICT && v.kind != TSR_PICKLE_LIST && v.kind != TSR_PICKLE_TUPLE &&
        v.kind != TSR_PICKLE_SET)
        return TSR_OK;
    if (depth > MAX_DEPTH)
        return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT,
                        "%s: wanted containers nested %d deep, got more", r->in.name, MAX_DEPTH);
    tsr_pickle_ref key, value;
    uint32_t index = 0;
    for (uint32_t place = 0; tsr_pickle_next(p, ref, &place, &key, &value); ++index) {
        if (r->steps_left-- == 0)
            return tsr_fail(r->in.ctx, TSR_ERROR_TOO_LARGE,
                            "%s: its containers share themselves too often", r->in.name);
        tsr_pickle_kind kind = tsr_pickle_look(p, value).kind;
        if (kind < TSR_PICKLE_LIST || kind == TSR_PICKLE_GLOBAL) continue; /* plain values */
        size_t end = at;
        tsr_status status = append_key(r, &end, key, index, v.kind == TSR_PICKLE_DICT);
        if (!status) status = walk(r, value, end, depth + 1);
        if (status) return status;
        r->path[at] = 0;
    }
    return TSR_OK;
}

static int compare_paths(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static tsr_status check_paths(torch_reader *r) {
    tsr_torch *f = r->file;
    const char **paths = tsr_alloc(r->in.ctx, (size_t)f->count, sizeof *paths, r->in.name);
    if (!paths) return TSR_ERROR_MEMORY;
    for (int i = 0; i < f->count; ++i)
        paths[i] = f->tensors[i].path;
    qsort(paths, (size_t)f->count, sizeof *paths, compare_paths);
    const char *twice = NULL;
    for (int i = 1; i < f->count && !twice; ++i)
        if (strcmp(paths[i], paths[i - 1]) == 0) twice = paths[i];
    free(paths);
    if (!twice) return TSR_OK;
    return tsr_fail(r->in.ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted once, got twice",
                    r->in.name, twice);
}

static const char *find_weights(const tsr_torch *f) {
    static const char *const names[] = {"ema", "model_ema", "state_dict", "model", "module"};
    for (int i = 0; i < f->count; ++i)
        if (!strchr(f->tensors[i].path, '/')) return "";
    for (size_t n = 0; n < sizeof names / sizeof *names; ++n) {
        size_t length = strlen(names[n]);
        for (int i = 0; i < f->count; ++i)
            if (strncmp(f->tensors[i].path, names[n], length) == 0 &&
                f->tensors[i].path[length] == '/')
                return names[n];
    }
    return "";
}

/* ---- the file ---- */

static tsr_status read_all(torch_reader *r) {
    bool zip = tsr_zip_recognised(r->in.bytes, r->in.size);
    r->bytes_left =
        r->in.size > UINT64_MAX / 128 ? UINT64_MAX : (uint64_t)r->in.size * 64 + (1 << 20);
    r->names_left = (uint64_t)r->in.size * 16 + (1 << 20);
    if (!(r->file->name = strdup(r->in.name)))
        return tsr_fail(r->in.ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", r->in.name);
    tsr_status status = zip ? tsr_torch_open_zip(&r->in) : tsr_torch_open_legacy(&r->in);
    r->file->zip = r->in.zip;
    r->file->tree = r->in.tree;
    if (!status) status = read_storages(r);
    if (!status) status = zip ? tsr_torch_place_zip(&r->in) : tsr_torch_place_legacy(&r->in);
    if (status) return status;
    r->steps_left = (uint64_t)tsr_pickle_count(r->in.tree) * 8 + 1024;
    status = walk(r, tsr_pickle_root(r->in.tree), 0, 0);
    if (!status) status = check_paths(r);
    r->file->weights_under = find_weights(r->file);
    return status;
}

/* 0x1950a86a20f9469cfc6c, which opens files of the old layout. */
static const char legacy_magic[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

bool tsr_torch_recognised(const void *bytes, size_t size) {
    const uint8_t *p = bytes;
    if (tsr_zip_recognised(bytes, size)) return true;
    if (size > 262 && memcmp(p + 257, "ustar", 5) == 0) return true; /* to be refused by name */
    return size >= 14 && p[0] == 0x80 && p[1] >= 1 && p[1] <= 5 && p[2] == 0x8A && p[3] == 10 &&
           memcmp(p + 4, legacy_magic, 10) == 0;
}

tsr_status tsr_torch_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                           tsr_torch **file) {
    *file = NULL;
    if (!tsr_torch_recognised(bytes, size))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a checkpoint of torch.save, got other bytes", name);
    if (size > 262 && memcmp((const uint8_t *)bytes + 257, "ustar", 5) == 0)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: a checkpoint in the tar layout of before PyTorch 0.1.10", name);
    torch_reader *r = tsr_alloc(ctx, 1, sizeof *r, name);
    if (!r) return TSR_ERROR_MEMORY;
    r->in = (torch_container){.ctx = ctx, .name = name, .bytes = bytes, .size = size};
    r->file = tsr_alloc(ctx, 1, sizeof *r->file, name);
    tsr_status status = r->file ? read_all(r) : TSR_ERROR_MEMORY;
    if (status) tsr_torch_close(&r->file);
    *file = r->file;
    free(r->in.storages);
    free(r);
    return status;
}

void tsr_torch_close(tsr_torch **file) {
    if (!file || !*file) return;
    tsr_torch *f = *file;
    tsr_pickle_close(&f->tree);
    tsr_zip_close(&f->zip);
    tsr_arena_free(&f->arena);
    free(f->name);
    free(f->tensors);
    free(f);
    *file = NULL;
}

const char *tsr_torch_layout(const tsr_torch *file) {
    return file->zip ? "torch zip" : "torch legacy";
}

int tsr_torch_count(const tsr_torch *file) {
    return file->count;
}

const tsr_torch_tensor *tsr_torch_at(const tsr_torch *file, int index) {
    return index >= 0 && index < file->count ? &file->tensors[index] : NULL;
}

const char *tsr_torch_weights_under(const tsr_torch *file) {
    return file->weights_under;
}

tsr_status tsr_torch_check(tsr_context *ctx, const tsr_torch *file, int index) {
    const tsr_torch_tensor *t = tsr_torch_at(file, index);
    if (!t || !file->zip || t->record < 0) return TSR_OK;
    return tsr_zip_check(ctx, file->name, tsr_zip_at(file->zip, t->record));
}

const tsr_pickle *tsr_torch_tree(const tsr_torch *file) {
    return file->tree;
}

static uint8_t *copy_level(const tsr_torch_tensor *t, int level, uint64_t at, uint8_t *to) {
    size_t size = t->element_bytes;
    if (level == t->rank) {
        memcpy(to, t->storage + at * size, size);
        return to + size;
    }
    uint64_t n = (uint64_t)t->dim[level], stride = (uint64_t)t->stride[level];
    if (level == t->rank - 1 && stride == 1) {
        memcpy(to, t->storage + at * size, n * size);
        return to + n * size;
    }
    for (uint64_t i = 0; i < n; ++i)
        to = copy_level(t, level + 1, at + i * stride, to);
    return to;
}

void tsr_torch_copy(const tsr_torch_tensor *tensor, void *bytes) {
    if (tensor->elements) copy_level(tensor, 0, tensor->offset, bytes);
}
