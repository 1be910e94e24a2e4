/* SPDX-License-Identifier: MIT */
/* safetensors_files.c: one tensor an item under its key, in one file. The bytes are those that the
 * library writes: tensors in the byte order of their names, and one pair of metadata,
 * "codebook_size", since two would come in any order there. */
#include "../formats/weights/safetensors.h"
#include "dataset.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_HEADER = 100000000 };

typedef struct reader {
    tsr_dataset_input input;
    tsr_safetensors *file;
    tsr_input in; /* of a file in memory */
    int at;
    tsr_bytes bytes;
} reader;

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_safetensors_close(&r->file);
    tsr_input_close(&r->in);
    tsr_bytes_free(&r->bytes);
    free(r);
    *out = NULL;
}

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    r->in.fd = -1;
    *out = r;
    tsr_status s;
    if (input->memory) {
        s = tsr_data_open(ctx, input->memory, input->path, &r->in);
        if (!s)
            s = tsr_safetensors_parse(ctx, input->path, r->in.map.bytes, r->in.map.size, &r->file);
    } else {
        s = tsr_safetensors_open(ctx, input->path, &r->file);
    }
    if (s) close_reader(out);
    return s;
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    tsr_context *ctx = r->input.ctx;
    tsr_safetensors_info info;
    tsr_id_type type;
    char where[700], word[8];
    *end = r->at == tsr_safetensors_count(r->file);
    if (*end) return TSR_OK;
    tsr_safetensors_describe(r->file, r->at, &info);
    tsr_record_start(m);
    snprintf(where, sizeof where, "%.400s: tensor %.200s", r->input.path, info.name);
    snprintf(word, sizeof word, "%c%.6s", info.dtype[0] | 0x20, info.dtype + (info.dtype[0] != 0));
    if (!tsr_id_type_find(word, &type))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: dtype: wanted whole numbers, got %.40s",
                        where, info.dtype);
    if (info.rank > TSR_RECORD_MAX_RANK)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: shape: wanted at most 4 axes, got %d",
                        where, info.rank);
    tsr_status s = tsr_record_key(ctx, m, where, info.name, strlen(info.name));
    uint32_t *ids = s ? NULL : tsr_record_ids(ctx, m, where, info.elements);
    if (!s && !ids) s = info.elements > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    r->bytes.size = 0;
    if (!s && !tsr_bytes_extend(&r->bytes, info.bytes ? (size_t)info.bytes : 1))
        s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its values", where);
    if (!s) s = tsr_safetensors_read(ctx, r->file, r->at, 0, r->bytes.at, (size_t)info.bytes);
    if (!s)
        s = tsr_ids_read(ctx, where, r->bytes.at, info.elements, type, false,
                         r->input.codebook_size, ids);
    m->has_shape = info.rank > 0;
    m->record.rank = info.rank;
    for (int i = 0; i < info.rank; ++i)
        m->record.shape[i] = (uint64_t)info.dim[i];
    ++r->at;
    return s ? s : tsr_record_finish(ctx, m, where);
}

/* ---- writing: ids go to a file of their own first, since they stand in the order of names ------
 */

typedef struct place {
    size_t name;      /* offset in `names` */
    const char *text; /* the name, once all are there */
    uint64_t at, bytes;
    int rank;
    uint64_t shape[TSR_RECORD_MAX_RANK];
} place;

typedef struct writer {
    tsr_dataset_output *output;
    tsr_data_file spool;
    place *places;
    size_t count, room;
    tsr_bytes names, bytes;
} writer;

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_data_file_remove(&w->spool);
    tsr_bytes_free(&w->names);
    tsr_bytes_free(&w->bytes);
    free(w->places);
    free(w);
    *out = NULL;
}

static tsr_status begin(tsr_dataset_output *output, void **out) {
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "safetensors");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    *out = w;
    tsr_status s = tsr_data_file_open(output->folder, output->prefix, ".ids", &w->spool);
    if (s) abandon(out);
    return s;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    tsr_context *ctx = w->output->ctx;
    tsr_status s =
        tsr_grow(ctx, &w->places, &w->room, w->count + 1, sizeof *w->places, "names of tensors");
    if (s) return s;
    if (!r->key[0] || !strcmp(r->key, "__metadata__"))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "safetensors: wanted a name of its own, got '%s'", r->key);
    w->bytes.size = 0;
    tsr_ids_put(&w->bytes, r->ids, r->count, w->output->plan->type);
    place *p = &w->places[w->count++];
    *p = (place){
        .name = w->names.size, .at = w->spool.written, .bytes = w->bytes.size, .rank = r->rank};
    memcpy(p->shape, r->shape, sizeof p->shape);
    tsr_bytes_put(&w->names, r->key, strlen(r->key) + 1);
    if (w->bytes.failed || w->names.failed)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "safetensors: no memory for the names");
    return tsr_data_file_put(&w->spool, w->bytes.at, w->bytes.size);
}

static int compare_names(const void *a, const void *b) {
    return strcmp(((const place *)a)->text, ((const place *)b)->text);
}

static tsr_status make_header(writer *w, tsr_bytes *h) {
    const tsr_dataset_plan *plan = w->output->plan;
    char dtype[8];
    uint64_t at = 0;
    snprintf(dtype, sizeof dtype, "%c%s", tsr_id_type_name(plan->type)[0] & ~0x20,
             tsr_id_type_name(plan->type) + 1);
    tsr_json_put_format(h, "{\"__metadata__\":{\"codebook_size\":\"%u\"}", plan->codebook_size);
    for (size_t i = 0; i < w->count; ++i) {
        const place *p = &w->places[i];
        tsr_bytes_u8(h, ',');
        tsr_json_put(h, p->text, strlen(p->text), false);
        tsr_json_put_format(h, ":{\"dtype\":\"%s\",\"shape\":[", dtype);
        for (int d = 0; d < p->rank; ++d)
            tsr_json_put_format(h, d ? ",%llu" : "%llu", (unsigned long long)p->shape[d]);
        tsr_json_put_format(h, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)at,
                            (unsigned long long)(at + p->bytes));
        at += p->bytes;
    }
    tsr_bytes_u8(h, '}');
    while (h->size % 8)
        tsr_bytes_u8(h, ' ');
    if (h->failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "safetensors: no memory for the header");
    if (h->size > MAX_HEADER)
        return tsr_fail(
            w->output->ctx, TSR_ERROR_UNSUPPORTED,
            "safetensors: header of %zu items: wanted at most %d bytes, got %zu; export "
            "fewer items into one file",
            w->count, MAX_HEADER, h->size);
    return TSR_OK;
}

static tsr_status finish(void *user) {
    writer *w = user;
    tsr_context *ctx = w->output->ctx;
    tsr_data_file file = {.fd = -1};
    tsr_bytes header = {0};
    uint8_t length[8];
    for (size_t i = 0; i < w->count; ++i)
        w->places[i].text = (const char *)w->names.at + w->places[i].name;
    if (w->count) qsort(w->places, w->count, sizeof *w->places, compare_names);
    tsr_status s = make_header(w, &header);
    if (!s) s = tsr_data_file_open(w->output->folder, w->output->prefix, "data.safetensors", &file);
    tsr_set_u64(length, header.size);
    if (!s) s = tsr_data_file_put(&file, length, 8);
    if (!s) s = tsr_data_file_put(&file, header.at, header.size);
    for (size_t i = 0; !s && i < w->count; ++i) {
        const place *p = &w->places[i];
        w->bytes.size = 0;
        if (!tsr_bytes_extend(&w->bytes, p->bytes ? (size_t)p->bytes : 1))
            s = tsr_fail(ctx, TSR_ERROR_MEMORY, "safetensors: no memory for a tensor");
        if (!s) s = tsr_data_file_get(&w->spool, p->at, w->bytes.at, (size_t)p->bytes);
        if (!s) s = tsr_data_file_put(&file, w->bytes.at, (size_t)p->bytes);
    }
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    tsr_data_file_remove(&w->spool);
    tsr_bytes_free(&header);
    return s;
}

const tsr_dataset_format tsr_dataset_safetensors = {
    .name = "safetensors",
    .about = "one tensor an item, in one file",
    .suffix = ".safetensors",
    .flags = TSR_DATASET_KEYS,
    .choose = tsr_choose_unsigned,
    .types = TSR_ID_ANY,
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
