/* SPDX-License-Identifier: MIT */
/* safetensors_file.c: weight files that are open: their tensors by name, their values, their
 * identity. See safetensors_header.c for what is checked before that. */
#include "safetensors_parts.h"
#include "../hash.h"

#include <stdlib.h>
#include <string.h>

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const tsr_metadata_pair *)a)->key, ((const tsr_metadata_pair *)b)->key);
}

static int compare_names(const void *a, const void *b) {
    return strcmp((*(const tsr_safetensors_entry *const *)a)->info.name,
                  (*(const tsr_safetensors_entry *const *)b)->info.name);
}

/* Order by name, no name twice. */
static tsr_status sort_names(tsr_context *ctx, const char *path, tsr_safetensors *f) {
    f->by_name = tsr_alloc(ctx, (size_t)f->count, sizeof *f->by_name, "tensor names");
    if (!f->by_name) return TSR_ERROR_MEMORY;
    for (int i = 0; i < f->count; ++i)
        f->by_name[i] = &f->entries[i];
    qsort(f->by_name, (size_t)f->count, sizeof *f->by_name, compare_names);
    for (int i = 1; i < f->count; ++i) {
        const char *name = f->by_name[i]->info.name;
        if (strcmp(name, f->by_name[i - 1]->info.name) == 0)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: tensor %.200s: wanted once, got twice",
                            path, name);
    }
    if (f->metadata_count > 1)
        qsort(f->metadata, (size_t)f->metadata_count, sizeof *f->metadata, compare_pairs);
    for (int i = 1; i < f->metadata_count; ++i)
        if (strcmp(f->metadata[i].key, f->metadata[i - 1].key) == 0)
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: __metadata__: %.200s: wanted once, got twice", path,
                            f->metadata[i].key);
    return TSR_OK;
}

/* Tensors in memory that do not stand at a multiple of their element's size are copied. Only now,
 * when it is known that none overlap: a thousand of them over the same bytes must not become a
 * thousand copies. */
static tsr_status align_data(tsr_context *ctx, tsr_safetensors *f) {
    for (int i = 0; i < f->count; ++i) {
        const tsr_tensor *t = &f->entries[i].view;
        if (!t->data || !f->entries[i].info.bytes ||
            (uintptr_t)t->data % tsr_dtype_bytes(t->dtype) == 0)
            continue;
        tsr_status status = tsr_safetensors_load(ctx, f, i);
        if (status) return status;
    }
    return TSR_OK;
}

/* What is the same for one file and for an index, once the parts are read. */
static tsr_status finish(tsr_context *ctx, const char *path, tsr_status status,
                         tsr_safetensors **file) {
    if (!status) status = sort_names(ctx, path, *file);
    if (!status) status = align_data(ctx, *file);
    if (status) tsr_safetensors_close(file);
    return status;
}

static tsr_status open_one(tsr_context *ctx, const char *path, tsr_input *in,
                           tsr_safetensors **file) {
    tsr_safetensors *f = *file = tsr_alloc(ctx, 1, sizeof *f, path);
    tsr_safetensors_part *part = f ? tsr_alloc(ctx, 1, sizeof *part, path) : NULL;
    if (!part) {
        tsr_input_close(in);
        tsr_safetensors_close(file);
        return TSR_ERROR_MEMORY;
    }
    f->parts = part;
    f->part_count = 1;
    part->in = *in;
    part->path = strdup(path);
    tsr_status status =
        part->path ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (!status) status = tsr_safetensors_add(ctx, path, f, part);
    return finish(ctx, path, status, file);
}

tsr_status tsr_safetensors_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_safetensors **file) {
    tsr_input in = tsr_input_memory(bytes, size);
    return open_one(ctx, name, &in, file);
}

tsr_status tsr_safetensors_open(tsr_context *ctx, const char *path, tsr_safetensors **file) {
    *file = NULL;
    const size_t length = strlen(path);
    if (length > 5 && strcmp(path + length - 5, ".json") == 0) {
        tsr_safetensors *f = *file = tsr_alloc(ctx, 1, sizeof *f, path);
        if (!f) return TSR_ERROR_MEMORY;
        return finish(ctx, path, tsr_safetensors_add_index(ctx, path, f), file);
    }
    tsr_input in;
    tsr_status status = tsr_input_open(ctx, path, &in);
    return status ? status : open_one(ctx, path, &in, file);
}

void tsr_safetensors_close(tsr_safetensors **file) {
    if (!file || !*file) return;
    tsr_safetensors *f = *file;
    for (int i = 0; i < f->count; ++i)
        free(f->entries[i].copy);
    for (int i = 0; i < f->part_count; ++i) {
        cJSON_Delete(f->parts[i].root);
        tsr_input_close(&f->parts[i].in);
        free(f->parts[i].path);
    }
    free(f->parts);
    free(f->entries);
    free(f->by_name);
    free(f->metadata);
    free(f);
    *file = NULL;
}

int tsr_safetensors_file_count(const tsr_safetensors *file) {
    return file->part_count;
}

uint64_t tsr_safetensors_file_bytes(const tsr_safetensors *file) {
    uint64_t bytes = 0;
    for (int i = 0; i < file->part_count; ++i)
        bytes += file->parts[i].in.size;
    return bytes;
}

int tsr_safetensors_count(const tsr_safetensors *file) {
    return file->count;
}

const char *tsr_safetensors_name(const tsr_safetensors *file, int index) {
    return index >= 0 && index < file->count ? file->entries[index].info.name : NULL;
}

const tsr_tensor *tsr_safetensors_tensor(const tsr_safetensors *file, int index) {
    return index >= 0 && index < file->count ? &file->entries[index].view : NULL;
}

int tsr_safetensors_find(const tsr_safetensors *file, const char *name) {
    int low = 0, high = file->count;
    while (low < high) {
        int middle = low + (high - low) / 2;
        int order = strcmp(name, file->by_name[middle]->info.name);
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

void tsr_safetensors_describe(const tsr_safetensors *file, int index, tsr_safetensors_info *info) {
    *info = index >= 0 && index < file->count ? file->entries[index].info
                                              : (tsr_safetensors_info){.name = "", .dtype = ""};
}

tsr_status tsr_safetensors_read(tsr_context *ctx, const tsr_safetensors *file, int index,
                                uint64_t first, void *bytes, size_t size) {
    const tsr_safetensors_entry *e = &file->entries[index];
    const tsr_safetensors_part *part = &file->parts[e->part];
    if (first > e->info.bytes || e->info.bytes - first < size)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: tensor %.200s: wanted at most %llu bytes",
                        part->path, e->info.name, (unsigned long long)e->info.bytes);
    return tsr_input_read(ctx, &part->in, part->path, part->data_at + e->begin + first, bytes,
                          size);
}

tsr_status tsr_safetensors_load(tsr_context *ctx, const tsr_safetensors *file, int index) {
    tsr_safetensors_entry *e = &file->entries[index];
    const size_t bytes = (size_t)e->info.bytes;
    if (e->copy || (e->view.data && (uintptr_t)e->view.data % tsr_dtype_bytes(e->view.dtype) == 0))
        return TSR_OK;
    e->copy = tsr_alloc(ctx, 1, bytes, e->info.name);
    if (!e->copy) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_safetensors_read(ctx, file, index, 0, e->copy, bytes);
    if (!status) {
        e->view.data = e->copy;
        return TSR_OK;
    }
    free(e->copy);
    e->copy = NULL;
    return status;
}

/* ---- identity ---- */

static void hash_number(tsr_hash *hash, uint64_t value) {
    uint8_t bytes[8];
    for (int i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(value >> 8 * i);
    tsr_hash_add(hash, bytes, 8);
}

static void hash_text(tsr_hash *hash, const char *text) {
    tsr_hash_add(hash, text, strlen(text) + 1);
}

/* Index of the first of n values that no arithmetic survives, or n: those that are not finite, and
 * those from 2^64 on, whose squares are not. Bit patterns grow with the magnitude, whatever the
 * type; a whole piece is looked at without branches first, so that this costs little beside the
 * hash. */
static size_t find_unusable(tsr_dtype dtype, const void *values, size_t n) {
    const bool single = dtype == TSR_DTYPE_F32;
    const int32_t most = single                    ? 0x5F7FFFFF /* below 2^64 */
                         : dtype == TSR_DTYPE_BF16 ? 0x5F7F
                                                   : 0x7BFF; /* the largest of F16 */
    const int32_t *wide = values;
    const int16_t *half = values;
    int32_t below = 0; /* negative once a magnitude was greater */
    int16_t half_below = 0;
    for (size_t i = 0; i < n && single; ++i)
        below |= most - (wide[i] & 0x7FFFFFFF);
    for (size_t i = 0; i < n && !single; ++i)
        half_below = (int16_t)(half_below | (int16_t)((int16_t)most - (half[i] & 0x7FFF)));
    if (below >= 0 && half_below >= 0) return n;
    size_t i = 0;
    while (i < n && (single ? wide[i] & 0x7FFFFFFF : half[i] & 0x7FFF) <= most)
        ++i;
    return i;
}

static float value_of(tsr_dtype dtype, const void *values, size_t i) {
    if (dtype == TSR_DTYPE_F32) return ((const float *)values)[i];
    const uint16_t half = ((const uint16_t *)values)[i];
    return dtype == TSR_DTYPE_F16 ? tsr_f16_to_f32(half) : tsr_bf16_to_f32(half);
}

/* Hashes the values of one tensor and looks at them, a piece in the processor's cache at a time. */
static tsr_status hash_values(tsr_context *ctx, const tsr_safetensors *file, int index,
                              tsr_hash *hash, void *buffer, size_t room) {
    tsr_safetensors_entry *e = &file->entries[index];
    const tsr_dtype dtype = e->view.dtype;
    const bool floats = dtype == TSR_DTYPE_F32 || dtype == TSR_DTYPE_F16 || dtype == TSR_DTYPE_BF16;
    const size_t width = tsr_dtype_bytes(dtype);
    e->unusable = -1;
    for (uint64_t at = 0; at < e->info.bytes; at += room) {
        const uint64_t left = e->info.bytes - at;
        const size_t size = left < room ? (size_t)left : room;
        const void *values = buffer;
        if (e->view.data) {
            values = (const uint8_t *)e->view.data + at;
        } else {
            tsr_status status = tsr_safetensors_read(ctx, file, index, at, buffer, size);
            if (status) return status;
        }
        tsr_hash_add(hash, values, size);
        if (!floats || e->unusable >= 0) continue;
        const size_t n = size / width, bad = find_unusable(dtype, values, n);
        if (bad == n) continue;
        e->unusable = (int64_t)(at / width + bad);
        e->unusable_value = value_of(dtype, values, bad);
    }
    return TSR_OK;
}

tsr_status tsr_safetensors_hash(tsr_context *ctx, const tsr_safetensors *file, uint64_t *result) {
    enum { PIECE = 256 << 10 };
    tsr_hash hash;
    *result = 0;
    void *buffer = tsr_alloc(ctx, 1, PIECE, "weights");
    tsr_status status = buffer ? TSR_OK : TSR_ERROR_MEMORY;
    tsr_hash_start(&hash, 0);
    for (int i = 0; i < file->count && !status; ++i) {
        const tsr_safetensors_info *e = &file->by_name[i]->info;
        hash_text(&hash, e->name);
        hash_text(&hash, e->dtype);
        hash_number(&hash, e->rank ? (uint64_t)e->rank : 1);
        for (int d = 0; d < e->rank; ++d)
            hash_number(&hash, (uint64_t)e->dim[d]);
        if (!e->rank) hash_number(&hash, 1);
        status =
            hash_values(ctx, file, (int)(file->by_name[i] - file->entries), &hash, buffer, PIECE);
    }
    free(buffer);
    if (status) return status;
    tsr_hash_add(&hash, "", 1);
    for (int i = 0; i < file->metadata_count; ++i) {
        hash_text(&hash, file->metadata[i].key);
        hash_text(&hash, file->metadata[i].value);
    }
    *result = tsr_hash_finish(&hash);
    return TSR_OK;
}

int64_t tsr_safetensors_unusable(const tsr_safetensors *file, int index, float *value) {
    if (value) *value = file->entries[index].unusable_value;
    return file->entries[index].unusable;
}
