/* SPDX-License-Identifier: MIT */
/* feature_output.c: see feature_output.h. */
#include "feature_output.h"
#include "../datasets/zip_writer.h"
#include "../formats/arrays/npy.h"
#include "../formats/file.h"
#include "../formats/hash.h"
#include "../reduce/token_set.h"
#include "item_names.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef enum kind { KIND_FILE, KIND_NPZ, KIND_FOLDER } kind;

struct tsr_feature_output {
    tsr_context *ctx;
    const char *path;
    tsr_feature_output_settings s;
    kind kind;
    tsr_token_sets_writer *sets; /* KIND_FILE */
    tsr_out out;                 /* KIND_NPZ, behind `file` */
    tsr_data_file file;
    tsr_zip_writer zip;
    tsr_item_names names; /* KIND_FOLDER */
    uint64_t *keys;       /* [key_count] hashes of keys in a table of [key_room], 0: free */
    uint64_t key_count, key_room;
    uint64_t bytes;
};

static bool ends_with(const char *text, const char *tail) {
    const size_t n = strlen(text), m = strlen(tail);
    return n >= m && !strcmp(text + n - m, tail);
}

static tsr_status find_kind(tsr_context *ctx, const char *path, kind *k) {
    struct stat st;
    *k = KIND_FILE;
    if (ends_with(path, "/") || (!stat(path, &st) && S_ISDIR(st.st_mode)))
        *k = KIND_FOLDER;
    else if (ends_with(path, ".npz"))
        *k = KIND_NPZ;
    else if (strcmp(path, "-") && !ends_with(path, ".safetensors") && !tsr_in_is_stream(path))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted a name that ends with .safetensors or .npz, a folder, or a new "
                        "folder's name with / behind it",
                        path);
    return TSR_OK;
}

tsr_status tsr_feature_output_check(tsr_context *ctx, const char *path) {
    kind k;
    const tsr_status status = find_kind(ctx, path, &k);
    return status || k == KIND_FOLDER ? status : tsr_out_check(ctx, path);
}

/* ---- one key, one set ---- */

static tsr_status grow_keys(tsr_feature_output *o) {
    const uint64_t room = o->key_room ? 2 * o->key_room : 1024;
    uint64_t *grown = tsr_alloc(o->ctx, (size_t)room, sizeof *grown, "keys of pictures");
    if (!grown) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < o->key_room; ++i) {
        uint64_t at = o->keys[i] & (room - 1);
        if (!o->keys[i]) continue;
        while (grown[at])
            at = (at + 1) & (room - 1);
        grown[at] = o->keys[i];
    }
    free(o->keys);
    o->keys = grown;
    o->key_room = room;
    return TSR_OK;
}

/* Two keys with one hash of 64 bits are taken for equal. */
static tsr_status take_key(tsr_feature_output *o, const char *key) {
    if (2 * o->key_count >= o->key_room) {
        const tsr_status status = grow_keys(o);
        if (status) return status;
    }
    const uint64_t hash = tsr_hash64(key, strlen(key), 0) | 1;
    uint64_t at = hash & (o->key_room - 1);
    for (; o->keys[at]; at = (at + 1) & (o->key_room - 1))
        if (o->keys[at] == hash)
            return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                            "%s: key: wanted one that no picture before has, got \"%.200s\" again",
                            o->path, key);
    o->keys[at] = hash;
    ++o->key_count;
    return TSR_OK;
}

/* ---- safetensors ---- */

static tsr_status begin_sets(tsr_feature_output *o, const char *path, tsr_token_sets_writer **w) {
    tsr_status status = tsr_token_sets_create(o->ctx, path, w);
    if (!status && o->s.f16) tsr_token_sets_store_f16(*w);
    for (int i = 0; i < o->s.pair_count && !status; ++i)
        status = tsr_token_sets_describe(*w, o->s.pairs[i][0], o->s.pairs[i][1]);
    if (status) tsr_token_sets_abandon(w);
    return status;
}

static tsr_status add_file(tsr_feature_output *o, const char *key, const tsr_token_set *set) {
    tsr_token_sets_writer *w = NULL;
    char *path = tsr_item_names_path(&o->names, o->path, key);
    tsr_status status = path ? tsr_item_names_make_folders(o->ctx, o->path, path)
                             : tsr_fail(o->ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", key);
    if (!status) status = begin_sets(o, path, &w);
    if (!status) status = tsr_token_sets_append(w, "", set);
    if (status)
        tsr_token_sets_abandon(&w);
    else
        status = tsr_token_sets_finish(&w);
    free(path);
    return status;
}

/* ---- npz ---- */

static tsr_status open_npz(tsr_feature_output *o) {
    tsr_status status = tsr_out_open(o->ctx, o->path, &o->out);
    if (!status && !tsr_out_can_change(&o->out))
        status = tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                          "%s: wanted a file (an .npz is completed from behind), got a pipe or "
                          "device",
                          o->path);
    if (!status) status = tsr_data_file_over(o->ctx, o->out.fd, o->path, &o->file);
    o->zip.file = &o->file;
    return status;
}

/* One array under "<key>/<name>". */
static tsr_status put_array(tsr_feature_output *o, const char *key, const char *name,
                            const char *descr, size_t size, int rank, const int64_t *dim,
                            const void *data) {
    char header[TSR_NPY_HEADER_BYTES], member[1200];
    uint64_t shape[TSR_MAX_RANK] = {0}, count = 1;
    for (int i = 0; i < rank; ++i)
        count *= shape[i] = (uint64_t)dim[i];
    const bool named = *key && !o->s.unnamed;
    snprintf(member, sizeof member, "%s%s%s.npy", named ? key : "", named ? "/" : "", name);
    const size_t bytes = tsr_npy_header_make(descr, shape, rank, header);
    tsr_status status = tsr_zip_entry_begin(&o->zip, member);
    if (!status) status = tsr_zip_entry_put(&o->zip, header, bytes);
    if (!status) status = tsr_zip_entry_put(&o->zip, data, (size_t)count * size);
    return status ? status : tsr_zip_entry_end(&o->zip);
}

/* Floats, as f16 where that is asked for. */
static tsr_status put_floats(tsr_feature_output *o, const char *key, const char *name, int rank,
                             const int64_t *dim, const float *data) {
    if (!o->s.f16) return put_array(o, key, name, "<f4", 4, rank, dim, data);
    size_t count = 1;
    for (int i = 0; i < rank; ++i)
        count *= (size_t)dim[i];
    uint16_t *half = tsr_alloc(o->ctx, count, sizeof *half, name);
    tsr_status status = half ? TSR_OK : TSR_ERROR_MEMORY;
    for (size_t i = 0; i < count && half; ++i)
        half[i] = tsr_f32_to_f16(data[i]);
    if (!status) status = put_array(o, key, name, "<f2", 2, rank, dim, half);
    free(half);
    return status;
}

static tsr_status add_npz(tsr_feature_output *o, const char *key, const tsr_token_set *set) {
    const int64_t features[2] = {set->count, set->channels}, positions[2] = {set->count, 3};
    const int64_t three = 3;
    tsr_status status = put_floats(o, key, "features", 2, features, set->features);
    if (!status) status = put_array(o, key, "positions", "<f4", 4, 2, positions, set->positions);
    if (!status) status = put_array(o, key, "grid", "<i8", 8, 1, &three, set->grid);
    for (int i = 0; i < set->column_count && !status; ++i) {
        const tsr_token_array *a = &set->columns[i]->array;
        status = put_floats(o, key, a->name, a->rank, a->dim, a->data);
    }
    return status;
}

/* The metadata as a JSON object in an array of bytes. */
static tsr_status put_metadata(tsr_feature_output *o) {
    char text[2048];
    size_t used = (size_t)snprintf(text, sizeof text, "{\"tessera.schema\": \"token-set/1\"");
    for (int i = 0; i < o->s.pair_count && used < sizeof text; ++i) {
        used += (size_t)snprintf(text + used, sizeof text - used, ", \"%s\": \"", o->s.pairs[i][0]);
        for (const char *c = o->s.pairs[i][1]; *c && used + 8 < sizeof text; ++c) {
            if (*c == '"' || *c == '\\') text[used++] = '\\';
            text[used++] = (unsigned char)*c < 0x20 ? ' ' : *c;
        }
        text[used++] = '"';
    }
    text[used++] = '}';
    const int64_t dim = (int64_t)used;
    return put_array(o, "", "__metadata__", "|u1", 1, 1, &dim, text);
}

/* ---- the output ---- */

tsr_status tsr_feature_output_open(tsr_context *ctx, const char *path,
                                   const tsr_feature_output_settings *settings,
                                   tsr_feature_output **output) {
    tsr_feature_output *o = tsr_alloc(ctx, 1, sizeof *o, "features: output");
    *output = NULL;
    if (!o) return TSR_ERROR_MEMORY;
    o->ctx = ctx;
    o->path = path;
    o->s = *settings;
    o->file.fd = -1;
    o->out.fd = -1;
    o->names.suffix = "safetensors";
    tsr_status status = find_kind(ctx, path, &o->kind);
    if (!status && o->kind == KIND_FOLDER && mkdir(path, 0777) && errno != EEXIST)
        status = tsr_fail_errno(ctx, "%s: making the folder", path);
    if (!status && o->kind == KIND_FILE) status = begin_sets(o, path, &o->sets);
    if (!status && o->kind == KIND_NPZ) status = open_npz(o);
    if (status)
        tsr_feature_output_abandon(&o);
    else
        *output = o;
    return status;
}

/* A value that f16 cannot hold, found before anything of its set is written. */
static tsr_status check_f16(tsr_feature_output *o, const char *key, const tsr_token_set *set) {
    for (int i = -1; i < set->column_count; ++i) {
        const tsr_token_array *a = i < 0 ? NULL : &set->columns[i]->array;
        const float *values = a ? a->data : set->features;
        const int64_t n = a ? tsr_token_array_elements(a) : set->count * set->channels;
        for (int64_t j = 0; j < n; ++j)
            if (fabsf(values[j]) >= 65520)
                return tsr_fail(o->ctx, TSR_ERROR_ARGUMENT,
                                "%.200s: %s: wanted values up to 65504 for f16, got %g (f32 holds "
                                "them)",
                                key, a ? a->name : "features", (double)values[j]);
    }
    return TSR_OK;
}

tsr_status tsr_feature_output_add(tsr_feature_output *o, const char *key,
                                  const tsr_token_set *set) {
    tsr_status status = o->s.f16 ? check_f16(o, key, set) : TSR_OK;
    if (!status && o->kind != KIND_FOLDER) status = take_key(o, key);
    if (status) return status;
    if (o->kind == KIND_FOLDER)
        status = add_file(o, key, set);
    else if (o->kind == KIND_NPZ)
        status = add_npz(o, key, set);
    else
        status = tsr_token_sets_append(o->sets, o->s.unnamed ? "" : key, set);
    uint64_t values = (uint64_t)(set->count * set->channels);
    for (int i = 0; i < set->column_count; ++i)
        values += (uint64_t)tsr_token_array_elements(&set->columns[i]->array);
    if (!status) o->bytes += values * (o->s.f16 ? 2 : 4) + (uint64_t)set->count * 12;
    return status;
}

uint64_t tsr_feature_output_bytes(const tsr_feature_output *o) {
    return o->bytes;
}

tsr_status tsr_feature_output_finish(tsr_feature_output **output) {
    tsr_feature_output *o = *output;
    tsr_status status = TSR_OK;
    if (o->kind == KIND_FILE) status = tsr_token_sets_finish(&o->sets);
    if (o->kind == KIND_NPZ) {
        status = put_metadata(o);
        if (!status) status = tsr_zip_writer_end(&o->zip);
        if (!status) status = tsr_data_file_close(&o->file);
        if (!status) status = tsr_out_commit(o->ctx, &o->out);
    }
    tsr_feature_output_abandon(output);
    return status;
}

void tsr_feature_output_abandon(tsr_feature_output **output) {
    if (!output || !*output) return;
    tsr_feature_output *o = *output;
    tsr_token_sets_abandon(&o->sets);
    tsr_zip_writer_free(&o->zip);
    tsr_data_file_abandon(&o->file);
    if (o->kind == KIND_NPZ) tsr_out_abandon(&o->out);
    tsr_item_names_free(&o->names);
    free(o->keys);
    free(o);
    *output = NULL;
}
