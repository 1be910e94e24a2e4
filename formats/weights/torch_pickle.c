/* SPDX-License-Identifier: MIT */
/* torch_pickle.c: see torch_pickle.h. First the container says where the pickle and the records
 * lie, then the pickle becomes a tree, then the tree's tensors are measured against the records. */
#include "torch_pickle.h"
#include "torch_container.h"
#include "../../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MAX_DEPTH = 64, MAX_PATH = 1024 };

/* Element types: the stem of the storage's name, torch's word, safetensors' word. */
static const struct {
    const char *storage, *torch, *dtype;
    size_t bytes;
} dtypes[] = {{"Float", "float32", "F32", 4},
              {"Half", "float16", "F16", 2},
              {"BFloat16", "bfloat16", "BF16", 2},
              {"Double", "float64", "F64", 8},
              {"Long", "int64", "I64", 8},
              {"Int", "int32", "I32", 4},
              {"Short", "int16", "I16", 2},
              {"Char", "int8", "I8", 1},
              {"Byte", "uint8", "U8", 1},
              {"Bool", "bool", "BOOL", 1},
              {"ComplexFloat", "complex64", "C64", 8},
              {"ComplexDouble", "complex128", "C128", 16},
              {"", "complex32", "C32", 4},
              {"", "uint16", "U16", 2},
              {"", "uint32", "U32", 4},
              {"", "uint64", "U64", 8},
              {"", "float8_e4m3fn", "F8_E4M3", 1},
              {"", "float8_e5m2", "F8_E5M2", 1},
              {"", "float8_e8m0fnu", "F8_E8M0", 1},
              {"", "float8_e4m3fnuz", "F8_E4M3FNUZ", 1},
              {"", "float8_e5m2fnuz", "F8_E5M2FNUZ", 1},
              {"QInt8", "", "QI8", 1},
              {"QUInt8", "", "QU8", 1},
              {"QInt32", "", "QI32", 4},
              {"Untyped", "", "BYTES", 1}};
enum { DTYPES = sizeof dtypes / sizeof *dtypes };

struct tsr_torch {
    char *name;   /* of the file */
    tsr_zip *zip; /* NULL in the old layout */
    tsr_pickle *tree;
    tsr_arena arena; /* paths */
    tsr_torch_tensor *tensors;
    int count;
    tsr_input in; /* of tsr_torch_open */
    uint8_t
        *room; /* an empty mapping as large as the file, where the description is put; or NULL */
    uint64_t size;
    uint32_t passed_over;
    char first_passed[400];
    bool script;
    tsr_script_facts facts;
};

typedef struct torch_reader {
    torch_container in; /* its zip and tree are the file's from the moment they are there */
    tsr_torch *file;
    uint64_t bytes_left, names_left, steps_left;
    int room; /* of tensors */
    int keys; /* on the path */
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
    if (type.kind != TSR_PICKLE_GLOBAL)
        return refuse(r, "persistent id", "wanted a storage type, got something else");
    /* An unknown type has no size: a tensor on it is refused where it is wanted. */
    s->element_bytes = 1;
    for (size_t i = 0; i < DTYPES && type.name == TSR_PICKLE_NAME_STORAGE; ++i)
        if (strlen(dtypes[i].storage) == type.text_size &&
            memcmp(dtypes[i].storage, type.text, type.text_size) == 0) {
            s->dtype = dtypes[i].dtype;
            s->element_bytes = dtypes[i].bytes;
        }
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

/* Old files name modules by persistent ids too: what is no storage is passed over. */
static bool names_storage(const tsr_pickle *p, tsr_pickle_ref ref) {
    tsr_pickle_ref none, first = 0;
    uint32_t place = 0;
    return tsr_pickle_look(p, ref).kind == TSR_PICKLE_PERSISTENT &&
           tsr_pickle_next(p, ref, &place, &none, &first) && tsr_pickle_is(p, first, "storage");
}

static tsr_status read_storages(torch_reader *r) {
    const tsr_pickle *p = r->in.tree;
    uint32_t nodes = tsr_pickle_count(p), count = 0;
    for (tsr_pickle_ref ref = 0; ref < nodes; ++ref)
        count += names_storage(p, ref);
    r->in.storages = tsr_alloc(r->in.ctx, count, sizeof *r->in.storages, r->in.name);
    if (!r->in.storages) return TSR_ERROR_MEMORY;
    for (tsr_pickle_ref ref = 0; ref < nodes; ++ref) {
        if (!names_storage(p, ref)) continue;
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
    if (!*r->path) strcpy(r->path, "tensor"); /* a file that is one tensor: names are not empty */
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
    t->keys = r->in.script ? 1 : r->keys; /* modules in modules are one set of names */
    f->tensors[f->count++] = *t;
    return TSR_OK;
}

/* {"conj": True} or {"neg": True} behind the other arguments: operations that torch had put off. */
static void read_pending(const tsr_pickle *p, tsr_pickle_ref metadata, tsr_torch_tensor *t) {
    tsr_pickle_ref key, value;
    for (uint32_t place = 0; tsr_pickle_look(p, metadata).kind == TSR_PICKLE_DICT &&
                             tsr_pickle_next(p, metadata, &place, &key, &value);) {
        const bool set = tsr_pickle_look(p, value).integer != 0;
        if (tsr_pickle_is(p, key, "neg")) t->negated = set;
        if (tsr_pickle_is(p, key, "conj")) t->conjugated = set;
    }
}

/* The element type of a tensor on an untyped storage. */
static tsr_status read_dtype(torch_reader *r, tsr_pickle_ref ref, tsr_torch_tensor *t) {
    const tsr_pickle_view v = tsr_pickle_look(r->in.tree, ref);
    if (v.kind != TSR_PICKLE_GLOBAL || v.name != TSR_PICKLE_NAME_DTYPE)
        return bad_tensor(r, "wanted an element type, got something else");
    for (size_t i = 0; i < DTYPES; ++i)
        if (strlen(dtypes[i].torch) == v.text_size &&
            memcmp(dtypes[i].torch, v.text, v.text_size) == 0) {
            t->storage_elements = t->storage_elements * t->element_bytes / dtypes[i].bytes;
            t->dtype = dtypes[i].dtype;
            t->element_bytes = dtypes[i].bytes;
            return TSR_OK;
        }
    t->refused = "of an element type that is not known";
    return TSR_OK;
}

/* A tensor that is described and not read: its shape, where it is plain, and why. */
static tsr_status list_refused(torch_reader *r, tsr_torch_tensor *t, tsr_pickle_ref sizes) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_ref size[TSR_TORCH_MAX_RANK];
    uint32_t rank = 0;
    uint64_t dim;
    if (tsr_pickle_look(p, sizes).kind == TSR_PICKLE_TUPLE &&
        items_of(p, sizes, size, TSR_TORCH_MAX_RANK, &rank))
        for (t->rank = 0; t->rank < (int)rank && get_size(p, size[t->rank], &dim); ++t->rank)
            t->dim[t->rank] = (int64_t)dim;
    t->elements = 0;
    t->storage = NULL;
    t->record = -1;
    return keep_tensor(r, t);
}

/* _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]); version 3
 * has the element type before the metadata. `call` holds the arguments. */
static tsr_status read_tensor(torch_reader *r, tsr_pickle_ref call, tsr_pickle_name name) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_ref item[9];
    uint32_t count;
    const bool typed = name == TSR_PICKLE_NAME_REBUILD_TENSOR_V3;
    if (!items_of(p, call, item, 9, &count) || count < (typed ? 7u : 4u))
        return bad_tensor(r, "wanted storage, offset, shape and strides");
    const torch_storage *s = storage_of(r, item[0]);
    if (!s) return bad_tensor(r, "wanted a storage, got something else");
    tsr_torch_tensor t = {.dtype = s->dtype ? s->dtype : "OTHER",
                          .element_bytes = s->element_bytes,
                          .storage_elements = s->view_elements,
                          .record = s->record};
    if (!s->dtype || t.dtype[0] == 'Q' || (!typed && strcmp(t.dtype, "BYTES") == 0))
        t.refused = t.dtype[0] == 'Q' ? "quantized" : "on a storage of a type that is not known";
    tsr_status status = typed ? read_dtype(r, item[6], &t) : TSR_OK;
    if (!get_size(p, item[1], &t.offset)) return bad_tensor(r, "wanted an offset from 0 to 2^63");
    if (count > (typed ? 7u : 6u)) read_pending(p, item[typed ? 7 : 6], &t);
    const bool floats = strchr("FBC", t.dtype[0]) && strcmp(t.dtype, "BOOL") != 0;
    if (t.negated && !floats) t.refused = "of whole numbers with a sign that was put off";
    if (!status && t.refused) return list_refused(r, &t, item[2]);
    if (!status) status = read_shape(r, item[2], item[3], &t);
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

/* A tensor in any of the ways in which torch writes one: parameters and subclasses lead to what
 * they are made from. */
static tsr_status read_call(torch_reader *r, tsr_pickle_ref call) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_view v = tsr_pickle_look(p, call);
    tsr_pickle_name name = v.name;
    for (int depth = 0;
         name == TSR_PICKLE_NAME_REBUILD_PARAMETER || name == TSR_PICKLE_NAME_REBUILD_SUBCLASS;
         ++depth) {
        const bool parameter = name == TSR_PICKLE_NAME_REBUILD_PARAMETER;
        tsr_pickle_ref item[4];
        uint32_t count;
        if (depth == 8 || !items_of(p, call, item, 4, &count) || count < (parameter ? 1u : 3u))
            return bad_tensor(r, "wanted what a parameter is made from");
        v = tsr_pickle_look(p, item[0]);
        name = v.kind == (parameter ? TSR_PICKLE_CALL : TSR_PICKLE_GLOBAL)
                   ? v.name
                   : TSR_PICKLE_NAME_REBUILD_OTHER;
        call = parameter ? item[0] : item[2];
    }
    if (name == TSR_PICKLE_NAME_REBUILD_TENSOR || name == TSR_PICKLE_NAME_REBUILD_TENSOR_V2 ||
        name == TSR_PICKLE_NAME_REBUILD_TENSOR_V3)
        return read_tensor(r, call, name);
    tsr_torch_tensor t = {.dtype = "OTHER", .element_bytes = 1, .refused = "not dense"};
    tsr_pickle_ref item[9], sizes = 0;
    uint32_t count = 0;
    if (name == TSR_PICKLE_NAME_REBUILD_SPARSE) {
        t.dtype = "SPARSE";
        t.refused = "sparse";
        if (items_of(p, call, item, 9, &count) && count > 1 &&
            tsr_pickle_look(p, item[1]).kind == TSR_PICKLE_TUPLE &&
            items_of(p, item[1], item, 9, &count) && count > 2)
            sizes = item[tsr_pickle_look(p, item[2]).kind == TSR_PICKLE_TUPLE ? 2
                         : count > 3                                          ? 3
                                                                              : 0];
    } else if (name == TSR_PICKLE_NAME_REBUILD_QUANTIZED) {
        t.dtype = "QUANT";
        t.refused = "quantized";
        if (items_of(p, call, item, 9, &count) && count > 2) sizes = item[2];
    }
    return list_refused(r, &t, sizes);
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
    if (*at) append(r, at, r->in.script ? "." : "/", 1);
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

/* Notes a value that is neither a tensor, nor a container, nor plain. */
static void pass_over(torch_reader *r, tsr_pickle_ref ref) {
    char text[256];
    if (r->file->passed_over++ == 0)
        snprintf(r->file->first_passed, sizeof r->file->first_passed, "%s%.200s: %.150s",
                 *r->path ? "" : "the whole file", r->path,
                 tsr_pickle_name_text(r->in.tree, ref, text, sizeof text));
}

/* Containers may be shared and may even hold themselves, so depth and steps have limits. Of an
 * object only what was set in it as in a dictionary is looked at: then it is one; of a module of a
 * script also its state, which is one. */
static tsr_status walk(torch_reader *r, tsr_pickle_ref ref, size_t at, int depth) {
    const tsr_pickle *p = r->in.tree;
    tsr_pickle_view v = tsr_pickle_look(p, ref);
    if (v.kind == TSR_PICKLE_CALL) return read_call(r, ref);
    const bool object = v.kind == TSR_PICKLE_OBJECT;
    if ((object && !r->in.script) || v.kind == TSR_PICKLE_PERSISTENT) pass_over(r, ref);
    if (v.kind != TSR_PICKLE_DICT && v.kind != TSR_PICKLE_LIST && v.kind != TSR_PICKLE_TUPLE &&
        v.kind != TSR_PICKLE_SET && !object)
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
        const bool named = !object || tsr_pickle_look(p, key).kind == TSR_PICKLE_TEXT;
        size_t end = at;
        tsr_status status = TSR_OK;
        if (!named && r->in.script && kind == TSR_PICKLE_DICT) {
            status = walk(r, value, at, depth + 1); /* the attributes of a module */
            if (status) return status;
        }
        if (!named) continue;
        status = append_key(r, &end, key, index, object || v.kind == TSR_PICKLE_DICT);
        r->keys++;
        if (!status) status = walk(r, value, end, depth + 1);
        r->keys--;
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

/* ---- the file ---- */

static tsr_status read_all(torch_reader *r) {
    const bool zip = r->in.fetch || tsr_zip_recognised(r->in.bytes, r->in.size);
    r->bytes_left =
        r->in.size > UINT64_MAX / 128 ? UINT64_MAX : (uint64_t)r->in.size * 64 + (1 << 20);
    r->names_left = (uint64_t)r->in.size * 16 + (1 << 20);
    if (!(r->file->name = strdup(r->in.name)))
        return tsr_fail(r->in.ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", r->in.name);
    tsr_status status = zip ? tsr_torch_open_zip(&r->in) : tsr_torch_open_legacy(&r->in);
    r->file->zip = r->in.zip;
    r->file->tree = r->in.tree;
    r->file->script = r->in.script;
    r->file->facts = r->in.facts;
    if (!status) status = read_storages(r);
    if (!status) status = zip ? tsr_torch_place_zip(&r->in) : tsr_torch_place_legacy(&r->in);
    if (status) return status;
    r->steps_left = (uint64_t)tsr_pickle_count(r->in.tree) * 8 + 1024;
    status = walk(r, tsr_pickle_root(r->in.tree), 0, 0);
    if (!status) status = check_paths(r);
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

/* Refuses what is no checkpoint by what it is. */
static tsr_status check_kind(tsr_context *ctx, const char *name, const void *bytes, size_t size) {
    if (!tsr_torch_recognised(bytes, size))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a checkpoint of torch.save, got other bytes", name);
    if (size <= 262 || memcmp((const uint8_t *)bytes + 257, "ustar", 5) != 0) return TSR_OK;
    static const char *const members[] = {"sys_info", "pickle", "tensors", "storages"};
    for (size_t i = 0; i < sizeof members / sizeof *members; ++i)
        if (strncmp(bytes, members[i], 100) == 0)
            return tsr_fail(
                ctx, TSR_ERROR_UNSUPPORTED,
                "%s: a checkpoint in the tar layout of before PyTorch 0.1.10: in Python, "
                "load it and torch.save it again",
                name);
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: wanted weights, got a tar archive (its first file is %.100s): unpack it "
                    "first",
                    name, (const char *)bytes);
}

static tsr_status parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                        tsr_zip_fetch_fn fetch, void *user, tsr_torch **file) {
    *file = NULL;
    torch_reader *r = tsr_alloc(ctx, 1, sizeof *r, name);
    if (!r) return TSR_ERROR_MEMORY;
    r->in = (torch_container){
        .ctx = ctx, .name = name, .bytes = bytes, .size = size, .fetch = fetch, .user = user};
    r->file = tsr_alloc(ctx, 1, sizeof *r->file, name);
    if (r->file) {
        r->file->in = tsr_input_memory(bytes, size);
        r->file->size = size;
    }
    tsr_status status = r->file ? read_all(r) : TSR_ERROR_MEMORY;
    if (status) tsr_torch_close(&r->file);
    *file = r->file;
    free(r->in.storages);
    free(r);
    return status;
}

tsr_status tsr_torch_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                           tsr_torch **file) {
    *file = NULL;
    tsr_status status = check_kind(ctx, name, bytes, size);
    return status ? status : parse(ctx, name, bytes, size, NULL, NULL, file);
}

typedef struct opening {
    tsr_context *ctx;
    const char *path;
    tsr_input in;
    uint8_t *room;
} opening;

/* tsr_zip_fetch_fn */
static tsr_status fetch_part(void *user, uint64_t at, uint64_t size) {
    opening *o = user;
    return tsr_input_read(o->ctx, &o->in, o->path, at, o->room + at, (size_t)size);
}

tsr_status tsr_torch_open(tsr_context *ctx, const char *path, tsr_torch **file) {
    opening o = {.ctx = ctx, .path = path};
    uint8_t begin[512];
    *file = NULL;
    tsr_status status = tsr_input_open(ctx, path, &o.in);
    if (status) return status;
    const size_t size = (size_t)o.in.size, seen = size < sizeof begin ? size : sizeof begin;
    status = tsr_input_read(ctx, &o.in, path, 0, begin, seen);
    if (!status) status = check_kind(ctx, path, begin, seen);
    if (!status && !o.in.map.bytes) {
        /* Address space alone: memory is taken for the pages that something is put on. */
        void *room = mmap(NULL, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (room == MAP_FAILED)
            status = tsr_fail_errno(ctx, "%s: no room for %zu bytes", path, size);
        else
            o.room = room;
        const bool zip = tsr_zip_recognised(begin, seen);
        if (!status && !zip) status = fetch_part(&o, 0, size);
        if (!status) status = parse(ctx, path, o.room, size, zip ? fetch_part : NULL, &o, file);
        if (status && o.room) munmap(o.room, size);
    } else if (!status) {
        status = parse(ctx, path, o.in.map.bytes, size, NULL, NULL, file);
    }
    if (status) {
        tsr_input_close(&o.in);
        return status;
    }
    (*file)->in = o.in;
    (*file)->room = o.room;
    return TSR_OK;
}

void tsr_torch_close(tsr_torch **file) {
    if (!file || !*file) return;
    tsr_torch *f = *file;
    tsr_pickle_close(&f->tree);
    tsr_zip_close(&f->zip);
    tsr_arena_free(&f->arena);
    tsr_input_close(&f->in);
    if (f->room) munmap(f->room, (size_t)f->size);
    free(f->name);
    free(f->tensors);
    free(f);
    *file = NULL;
}

const char *tsr_torch_layout(const tsr_torch *file) {
    return file->script ? "torchscript" : file->zip ? "torch zip" : "torch legacy";
}

bool tsr_torch_is_script(const tsr_torch *file) {
    return file->script;
}

const tsr_script_facts *tsr_torch_facts(const tsr_torch *file) {
    return &file->facts;
}

int tsr_torch_count(const tsr_torch *file) {
    return file->count;
}

const tsr_torch_tensor *tsr_torch_at(const tsr_torch *file, int index) {
    return index >= 0 && index < file->count ? &file->tensors[index] : NULL;
}

uint32_t tsr_torch_passed_over(const tsr_torch *file, const char **first) {
    *first = file->first_passed;
    return file->passed_over;
}

tsr_status tsr_torch_check(tsr_context *ctx, const tsr_torch *file, int index) {
    const tsr_torch_tensor *t = tsr_torch_at(file, index);
    if (!t || !file->zip || t->record < 0) return TSR_OK;
    return tsr_zip_check(ctx, file->name, tsr_zip_at(file->zip, t->record));
}

uint64_t tsr_torch_bytes(const tsr_torch *file) {
    return file->size;
}

/* The record's checksum, a piece at a time. */
static tsr_status check_record(tsr_context *ctx, const tsr_torch *file, const tsr_torch_tensor *t) {
    enum { PIECE = 256 << 10 };
    if (!file->zip || t->record < 0) return TSR_OK;
    const tsr_zip_entry *e = tsr_zip_at(file->zip, t->record);
    uint8_t *piece = tsr_alloc(ctx, PIECE, 1, file->name);
    tsr_status status = piece ? TSR_OK : TSR_ERROR_MEMORY;
    uint32_t crc = 0;
    for (uint64_t at = 0; at < e->size && !status; at += PIECE) {
        const size_t n = e->size - at < PIECE ? (size_t)(e->size - at) : PIECE;
        status = tsr_input_read(ctx, &file->in, file->name, (uint64_t)(e->bytes - file->room) + at,
                                piece, n);
        if (!status) crc = tsr_zip_crc(crc, piece, n);
    }
    free(piece);
    if (!status && crc != e->crc)
        status =
            tsr_fail(ctx, TSR_ERROR_CHECKSUM, "%s: zip entry %.200s: CRC-32: wanted %08x, got %08x",
                     file->name, e->name, e->crc, crc);
    return status;
}

tsr_status tsr_torch_read(tsr_context *ctx, const tsr_torch *file, int index, void *bytes) {
    tsr_torch_tensor t = *tsr_torch_at(file, index);
    if (!file->room || !file->zip) { /* all of it is in memory */
        tsr_status status = tsr_torch_check(ctx, file, index);
        if (!status) tsr_torch_copy(&t, bytes);
        return status;
    }
    if (!t.elements) return TSR_OK;
    tsr_status status = check_record(ctx, file, &t);
    if (status) return status;
    /* From its first to its last element, then row by row. */
    uint64_t span = 1;
    for (int d = 0; d < t.rank; ++d)
        span += (uint64_t)(t.dim[d] - 1) * (uint64_t)t.stride[d];
    const size_t size = (size_t)span * t.element_bytes;
    uint8_t *part = tsr_alloc(ctx, size, 1, t.path);
    if (!part) return TSR_ERROR_MEMORY;
    status =
        tsr_input_read(ctx, &file->in, file->name,
                       (uint64_t)(t.storage - file->room) + t.offset * t.element_bytes, part, size);
    t.storage = part;
    t.offset = 0;
    if (!status) tsr_torch_copy(&t, bytes);
    free(part);
    return status;
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

/* Flips the signs that torch had put off: of every part of a number, and of imaginary parts. The
 * sign is the highest bit of a float's last byte. */
static void resolve_pending(const tsr_torch_tensor *t, uint8_t *bytes) {
    const size_t step = t->dtype[0] == 'C' ? t->element_bytes / 2 : t->element_bytes;
    const uint64_t parts = t->elements * t->element_bytes / step;
    for (uint64_t i = 0; i < parts; ++i)
        if (t->negated != (t->conjugated && t->dtype[0] == 'C' && i % 2))
            bytes[i * step + step - 1] ^= 0x80;
}

void tsr_torch_copy(const tsr_torch_tensor *tensor, void *bytes) {
    if (!tensor->elements) return;
    copy_level(tensor, 0, tensor->offset, bytes);
    if (tensor->negated || tensor->conjugated) resolve_pending(tensor, bytes);
}
