/* SPDX-License-Identifier: MIT */
/* safetensors_write.c: one canonical byte form for a set of tensors (see safetensors.h). */
#include "safetensors.h"
#include "../utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct source {
    const char *name;
    const tsr_tensor *tensor;
    const tsr_safetensors_info *shape; /* NULL: the tensor's */
    uint64_t bytes;
    int index; /* as the caller counts */
} source;

typedef struct maker {
    tsr_tensor_fill_fn fill; /* NULL: every tensor has its data */
    void *user;
} maker;

static int compare_names(const void *a, const void *b) {
    return strcmp(((const source *)a)->name, ((const source *)b)->name);
}

/* Larger elements first: sizes are 8, 4, 2, 1, so each tensor then starts at a multiple of its own.
 */
static int compare_places(const void *a, const void *b) {
    size_t x = tsr_dtype_bytes(((const source *)a)->tensor->dtype);
    size_t y = tsr_dtype_bytes(((const source *)b)->tensor->dtype);
    return x != y ? (x > y ? -1 : 1) : compare_names(a, b);
}

static int compare_pairs(const void *a, const void *b) {
    return strcmp(((const tsr_metadata_pair *)a)->key, ((const tsr_metadata_pair *)b)->key);
}

static void put_text(FILE *to, const char *text) {
    putc('"', to);
    for (const uint8_t *p = (const uint8_t *)text; *p; ++p) {
        if (*p == '"' || *p == '\\')
            fprintf(to, "\\%c", *p);
        else if (*p < 0x20)
            fprintf(to, "\\u%04x", *p);
        else
            putc(*p, to);
    }
    putc('"', to);
}

static void put_header(FILE *to, const source *sources, int count,
                       const tsr_metadata_pair *metadata, int metadata_count) {
    putc('{', to);
    if (metadata_count > 0) {
        fputs("\"__metadata__\":{", to);
        for (int i = 0; i < metadata_count; ++i) {
            if (i) putc(',', to);
            put_text(to, metadata[i].key);
            putc(':', to);
            put_text(to, metadata[i].value);
        }
        putc('}', to);
        if (count) putc(',', to);
    }
    uint64_t at = 0;
    for (int i = 0; i < count; ++i) {
        const tsr_tensor *t = sources[i].tensor;
        if (i) putc(',', to);
        put_text(to, sources[i].name);
        fprintf(to, ":{\"dtype\":\"%s\",\"shape\":[", tsr_dtype_name(t->dtype));
        const tsr_safetensors_info *wide = sources[i].shape;
        for (int d = 0; d < (wide ? wide->rank : t->rank); ++d)
            fprintf(to, d ? ",%lld" : "%lld", (long long)(wide ? wide->dim[d] : t->dim[d]));
        fprintf(to, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                (unsigned long long)(at + sources[i].bytes));
        at += sources[i].bytes;
    }
    putc('}', to);
}

static tsr_status check_text(tsr_context *ctx, const char *path, const char *what,
                             const char *text) {
    if (!text || !tsr_utf8_valid(text, strlen(text), NULL))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: %s: wanted UTF-8 text, got %s", path, what,
                        text ? "other bytes" : "none");
    return TSR_OK;
}

/* Fills `sources` in canonical order, `pairs` sorted; checks everything the caller said. */
static tsr_status arrange(tsr_context *ctx, const char *path, const char *const *names,
                          const tsr_tensor *tensors, const tsr_safetensors_info *shapes, int count,
                          source *sources, tsr_metadata_pair *pairs, int pair_count, bool made) {
    for (int i = 0; i < count; ++i) {
        const tsr_tensor *t = &tensors[i];
        tsr_status status = check_text(ctx, path, "tensor name", names[i]);
        if (status) return status;
        if (!names[i][0] || strcmp(names[i], "__metadata__") == 0)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "%s: tensor name: wanted a name of its own, got \"%s\"", path,
                            names[i]);
        int64_t elements = tsr_elements(t);
        if (t->rank < 1 || t->rank > TSR_MAX_RANK || elements < 0 ||
            (elements && !t->data && !made))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: tensor %.200s: wanted a host tensor",
                            path, names[i]);
        sources[i] = (source){names[i], t, shapes ? &shapes[i] : NULL,
                              (uint64_t)elements * tsr_dtype_bytes(t->dtype), i};
    }
    qsort(sources, (size_t)count, sizeof *sources, compare_names);
    for (int i = 1; i < count; ++i)
        if (strcmp(sources[i].name, sources[i - 1].name) == 0)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: tensor %.200s: wanted once, got twice",
                            path, sources[i].name);
    qsort(sources, (size_t)count, sizeof *sources, compare_places);
    for (int i = 0; i < pair_count; ++i) {
        tsr_status status = check_text(ctx, path, "metadata key", pairs[i].key);
        if (!status) status = check_text(ctx, path, "metadata value", pairs[i].value);
        if (status) return status;
    }
    qsort(pairs, (size_t)pair_count, sizeof *pairs, compare_pairs);
    for (int i = 1; i < pair_count; ++i)
        if (strcmp(pairs[i].key, pairs[i - 1].key) == 0)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: metadata %.200s: wanted once, got twice",
                            path, pairs[i].key);
    return TSR_OK;
}

static tsr_status write_tensor(tsr_context *ctx, tsr_out *out, const source *s, maker make) {
    if (s->tensor->data || !s->bytes)
        return tsr_out_write(ctx, out, s->tensor->data, (size_t)s->bytes);
    void *bytes = tsr_alloc(ctx, (size_t)s->bytes, 1, s->name);
    tsr_status status = bytes ? make.fill(make.user, s->index, bytes) : TSR_ERROR_MEMORY;
    if (!status) status = tsr_out_write(ctx, out, bytes, (size_t)s->bytes);
    free(bytes);
    return status;
}

static tsr_status write_file(tsr_context *ctx, const char *path, char *header, size_t header_size,
                             const source *sources, int count, maker make) {
    uint8_t length[8];
    for (int i = 0; i < 8; ++i)
        length[i] = (uint8_t)((uint64_t)header_size >> 8 * i);
    tsr_out out;
    tsr_status status = tsr_out_open(ctx, path, &out);
    if (!status) status = tsr_out_write(ctx, &out, length, sizeof length);
    if (!status) status = tsr_out_write(ctx, &out, header, header_size);
    for (int i = 0; i < count && !status; ++i)
        status = write_tensor(ctx, &out, &sources[i], make);
    if (!status) status = tsr_out_commit(ctx, &out);
    tsr_out_abandon(&out);
    return status;
}

tsr_status tsr_safetensors_write(tsr_context *ctx, const char *path, const char *const *names,
                                 const tsr_tensor *tensors, int count,
                                 const tsr_metadata_pair *metadata, int metadata_count) {
    return tsr_safetensors_write_made(ctx, path, names, tensors, NULL, count, metadata,
                                      metadata_count, NULL, NULL);
}

tsr_status tsr_safetensors_write_made(tsr_context *ctx, const char *path, const char *const *names,
                                      const tsr_tensor *tensors, const tsr_safetensors_info *shapes,
                                      int count, const tsr_metadata_pair *metadata,
                                      int metadata_count, tsr_tensor_fill_fn fill, void *user) {
    if (count < 0 || metadata_count < 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted counts from 0, got %d and %d", path,
                        count, metadata_count);
    source *sources = tsr_alloc(ctx, (size_t)count, sizeof *sources, "tensors");
    tsr_metadata_pair *pairs = tsr_alloc(ctx, (size_t)metadata_count, sizeof *pairs, "metadata");
    char *header = NULL;
    size_t size = 0;
    tsr_status status = sources && pairs ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) {
        if (metadata_count) memcpy(pairs, metadata, (size_t)metadata_count * sizeof *pairs);
        status = arrange(ctx, path, names, tensors, shapes, count, sources, pairs, metadata_count,
                         fill != NULL);
    }
    if (!status) {
        FILE *to = open_memstream(&header, &size);
        bool lost = !to;
        if (to) {
            put_header(to, sources, count, pairs, metadata_count);
            fflush(to);
            for (size_t pad = (8 - size % 8) % 8; pad > 0; --pad)
                putc(' ', to);
            lost = ferror(to) != 0;
            if (fclose(to) != 0) lost = true;
        }
        if (lost) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for the header", path);
    }
    if (!status) status = write_file(ctx, path, header, size, sources, count, (maker){fill, user});
    free(header);
    free(pairs);
    free(sources);
    return status;
}
