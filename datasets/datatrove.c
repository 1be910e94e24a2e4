/* SPDX-License-Identifier: MIT */
/* datatrove.c: the token files of datatrove (and nanotron): NAME.ds has the ids as u16 or u32,
 * NAME.ds.index for each document where it ends, in ids, as u64, NAME.ds.metadata three lines:
 * "name| bytes of an id", the number of ids, and that number for people. NAME.ds.loss has one byte
 * an id: 1 says that it counts in the loss. Readers that cut windows out of the ids never look at
 * the index; here it must agree with the data. */
#include "dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_METADATA = 1 << 16 };

typedef struct reader {
    tsr_dataset_input input;
    char *index_path;
    tsr_input data, index;
    tsr_id_type type;
    uint64_t documents, at, end;
    tsr_bytes bytes;
} reader;

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_input_close(&r->data);
    tsr_input_close(&r->index);
    tsr_bytes_free(&r->bytes);
    free(r->index_path);
    free(r);
    *out = NULL;
}

/* Bytes of an id and number of ids by the metadata; false where they say something else. */
static bool read_metadata(const char *text, unsigned *bytes, uint64_t *count) {
    const char *line = strchr(text, '\n'), *bar = NULL;
    for (const char *c = text; line && c < line; ++c)
        if (*c == '|') bar = c;
    if (!bar || (bar[1] != '2' && bar[1] != '4') || bar + 2 != line) return false;
    *bytes = (unsigned)(bar[1] - '0');
    *count = 0;
    const char *digit = line + 1;
    for (; *digit >= '0' && *digit <= '9'; ++digit) {
        if (*count > UINT64_MAX / 10 - 1) return false;
        *count = *count * 10 + (uint64_t)(*digit - '0');
    }
    return digit > line + 1 && (*digit == '\n' || !*digit);
}

static tsr_status choose_type(reader *r, uint64_t last) {
    tsr_context *ctx = r->input.ctx;
    const char *name = r->input.path;
    char *path = NULL;
    uint8_t *text = NULL;
    size_t size;
    unsigned bytes = 0;
    uint64_t count = last;
    if (asprintf(&path, "%s.metadata", name) < 0)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for names", name);
    tsr_status s = tsr_data_load(ctx, r->input.memory, path, MAX_METADATA, &text, &size);
    const bool there = s != TSR_ERROR_NOT_FOUND;
    if (!s && !read_metadata((const char *)text, &bytes, &count))
        s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted lines NAME|2 or NAME|4 and a number of ids",
                     path);
    free(text);
    free(path);
    if (s && there) return s;
    if (!there) bytes = last && r->data.size / last == 4 ? 4 : 2;
    r->type = bytes == 4 ? TSR_ID_U32 : TSR_ID_U16;
    if (count != last)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s.metadata: wanted %llu ids as in the index, got %llu", name,
                        (unsigned long long)last, (unsigned long long)count);
    if (last > UINT64_MAX / 4 || last * bytes != r->data.size)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted %llu ids of %u bytes by its index, got %llu bytes", name,
                        (unsigned long long)last, bytes, (unsigned long long)r->data.size);
    return TSR_OK;
}

static tsr_status end_of(reader *r, uint64_t document, uint64_t *end) {
    uint8_t bytes[8];
    tsr_status s = tsr_input_read(r->input.ctx, &r->index, r->index_path, 8 * document, bytes, 8);
    *end = s ? 0 : tsr_get_u64(bytes);
    return s;
}

static tsr_status check_index(reader *r, uint64_t *last) {
    tsr_context *ctx = r->input.ctx;
    if (r->index.size % 8)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted numbers of 8 bytes, got %llu bytes",
                        r->index_path, (unsigned long long)r->index.size);
    r->documents = r->index.size / 8;
    *last = 0;
    for (uint64_t i = 0; i < r->documents; ++i) {
        uint64_t end;
        tsr_status s = end_of(r, i, &end);
        if (s) return s;
        if (end < *last)
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: document %llu: wanted an end from %llu, got %llu", r->index_path,
                            (unsigned long long)i, (unsigned long long)*last,
                            (unsigned long long)end);
        *last = end;
    }
    return TSR_OK;
}

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    uint64_t last = 0;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    r->index.fd = r->data.fd = -1;
    *out = r;
    if (asprintf(&r->index_path, "%s.index", input->path) < 0) r->index_path = NULL;
    tsr_status s = r->index_path ? tsr_data_open(ctx, input->memory, input->path, &r->data)
                                 : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", input->path);
    if (!s) s = tsr_data_open(ctx, input->memory, r->index_path, &r->index);
    if (!s) s = check_index(r, &last);
    if (!s) s = choose_type(r, last);
    if (s) close_reader(out);
    return s;
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    tsr_context *ctx = r->input.ctx;
    char where[600];
    uint64_t stop;
    *end = r->at == r->documents;
    if (*end) return TSR_OK;
    tsr_record_start(m);
    snprintf(where, sizeof where, "%.500s: document %llu", r->input.path,
             (unsigned long long)r->at);
    tsr_status s = end_of(r, r->at, &stop);
    if (!s && stop < r->end) s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: its index changed", where);
    const uint64_t count = s ? 0 : stop - r->end;
    uint32_t *ids = s ? NULL : tsr_record_ids(ctx, m, where, count);
    if (!s && !ids) s = count > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    const size_t wide = tsr_id_type_bytes(r->type), size = (size_t)count * wide;
    r->bytes.size = 0;
    if (!s && !tsr_bytes_extend(&r->bytes, size ? size : 1))
        s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", where, size);
    if (!s) s = tsr_input_read(ctx, &r->data, r->input.path, r->end * wide, r->bytes.at, size);
    if (!s)
        s = tsr_ids_read(ctx, where, r->bytes.at, count, r->type, false, r->input.codebook_size,
                         ids);
    r->end = stop;
    ++r->at;
    return s ? s : tsr_record_finish(ctx, m, where);
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
    tsr_dataset_output *output;
    tsr_data_file data, loss;
    tsr_bytes index, bytes;
    uint64_t tokens, items; /* in the shard */
    unsigned shards;
    bool open;
} writer;

/* "29.0 T", "1.50 kT", "1.23 MT": three digits, as Python's humanize.metric gives them. */
static void for_people(uint64_t count, char *text, size_t size) {
    static const char steps[] = "kMGTPE";
    const int exponent = count ? (int)floor(log10((double)count)) : 0;
    const double value = (double)count / pow(10, exponent / 3 * 3);
    const char step[2] = {exponent >= 3 ? steps[exponent / 3 - 1] : 0, 0};
    snprintf(text, size, "%.*f %sT", 2 - exponent % 3, value, step);
}

static void shard_name(const writer *w, const char *end, char name[64]) {
    snprintf(name, 64, "%05u_tokens.ds%s", w->shards, end);
}

static tsr_status write_small(writer *w, const char *end, const void *bytes, size_t size) {
    char name[64];
    tsr_data_file file;
    shard_name(w, end, name);
    tsr_status s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &file);
    if (!s) s = tsr_data_file_put(&file, bytes, size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    return s;
}

static tsr_status end_shard(writer *w) {
    char people[32];
    const tsr_dataset_plan *plan = w->output->plan;
    tsr_status s = tsr_data_file_close(&w->data);
    if (!s && w->loss.buffer) s = tsr_data_file_close(&w->loss);
    if (!s && w->index.failed)
        s = tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "datatrove: no memory for the index");
    if (!s) s = write_small(w, ".index", w->index.at, w->index.size);
    for_people(w->tokens, people, sizeof people);
    w->bytes.size = 0;
    tsr_json_put_format(&w->bytes, "%.63s|%zu\n%llu\n%s", plan->name, tsr_id_type_bytes(plan->type),
                        (unsigned long long)w->tokens, people);
    if (!s) s = write_small(w, ".metadata", w->bytes.at, w->bytes.size);
    w->index.size = 0;
    w->tokens = w->items = 0;
    w->open = false;
    ++w->shards;
    return s;
}

static tsr_status begin_shard(writer *w) {
    char name[64];
    shard_name(w, "", name);
    tsr_status s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &w->data);
    shard_name(w, ".loss", name);
    if (!s && !strcmp(w->output->plan->layout, "loss"))
        s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &w->loss);
    w->open = !s;
    return s;
}

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_data_file_abandon(&w->data);
    tsr_data_file_abandon(&w->loss);
    tsr_bytes_free(&w->index);
    tsr_bytes_free(&w->bytes);
    free(w);
    *out = NULL;
}

static tsr_status begin(tsr_dataset_output *output, void **out) {
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "datatrove");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->data.fd = w->loss.fd = -1;
    *out = w;
    return TSR_OK;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    const uint64_t size = r->count * tsr_id_type_bytes(plan->type);
    tsr_status s = TSR_OK;
    if (w->items && ((plan->shard_items && w->items >= plan->shard_items) ||
                     (plan->shard_bytes && w->data.written + size > plan->shard_bytes)))
        s = end_shard(w);
    if (!s && !w->open) s = begin_shard(w);
    w->bytes.size = 0;
    tsr_ids_put(&w->bytes, r->ids, r->count, plan->type);
    w->tokens += r->count;
    ++w->items;
    tsr_bytes_u64(&w->index, w->tokens);
    if (!s && w->bytes.failed)
        s = tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "datatrove: no memory for %llu ids",
                     (unsigned long long)r->count);
    if (!s) s = tsr_data_file_put(&w->data, w->bytes.at, w->bytes.size);
    if (s || !w->loss.buffer) return s;
    if (r->count) memset(w->bytes.at, 1, (size_t)r->count); /* every id counts */
    return tsr_data_file_put(&w->loss, w->bytes.at, (size_t)r->count);
}

static tsr_status finish(void *user) {
    writer *w = user;
    tsr_status s = w->open || w->shards ? TSR_OK : begin_shard(w);
    return s || !w->open ? s : end_shard(w);
}

const tsr_dataset_format tsr_dataset_datatrove = {
    .name = "datatrove",
    .about = "token files of datatrove and nanotron, one document an item",
    .suffix = ".ds",
    .layouts = "plain|loss",
    .choose = tsr_choose_unsigned,
    .types = 1 << TSR_ID_U16 | 1 << TSR_ID_U32,
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
