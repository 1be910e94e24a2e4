/* SPDX-License-Identifier: MIT */
/* megatron.c: the indexed data sets of Megatron-LM: NAME.bin has the ids back to back, NAME.idx
 * says how they are cut. The index, little-endian: "MMIDIDX" 00 00, u64 version 1, u8 type of the
 * ids, u64 sequences, u64 entries of the document index, i32 length[sequence], i64 offset[sequence]
 * in bytes, i64 document[entry] (from 0 to the number of sequences), and where a sequence has a
 * modality i8 mode[sequence]. Types: 1 u8, 2 i8, 3 i16, 4 i32, 5 i64, 6 f64, 7 f32, 8 u16: no u32.
 *
 * The library's own reader believes most of this; here every length, offset and document is
 * checked, and sequences follow one another in the .bin, since the library reads slices as if they
 * did. */
#include "dataset.h"

#include <stdio.h>
#include <stdlib.h>

static const char magic[9] = "MMIDIDX\0";
enum { HEAD = 34 };
/* By code; TSR_ID_TYPES: not whole numbers. */
static const tsr_id_type types[] = {TSR_ID_TYPES, TSR_ID_U8,    TSR_ID_I8,
                                    TSR_ID_I16,   TSR_ID_I32,   TSR_ID_I64,
                                    TSR_ID_TYPES, TSR_ID_TYPES, TSR_ID_U16};

typedef struct reader {
    tsr_dataset_input input;
    char *index_path, *data_path;
    tsr_input index, data;
    tsr_id_type type;
    uint64_t sequences, documents, at;
    uint64_t offset; /* where the next sequence must begin */
    bool modes;
    tsr_bytes bytes;
} reader;

static uint64_t lengths_at(void) {
    return HEAD;
}
static uint64_t offsets_at(const reader *r) {
    return HEAD + 4 * r->sequences;
}
static uint64_t documents_at(const reader *r) {
    return HEAD + 12 * r->sequences;
}
static uint64_t modes_at(const reader *r) {
    return documents_at(r) + 8 * r->documents;
}

static tsr_status read_head(reader *r) {
    tsr_context *ctx = r->input.ctx;
    const char *name = r->index_path;
    uint8_t head[HEAD];
    if (r->index.size < HEAD)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted %d bytes, got %llu", name,
                        HEAD, (unsigned long long)r->index.size);
    tsr_status s = tsr_input_read(ctx, &r->index, name, 0, head, HEAD);
    if (s) return s;
    if (memcmp(head, magic, sizeof magic) != 0)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted an index of Megatron, got other bytes",
                        name);
    if (tsr_get_u64(head + 9) != 1)
        return tsr_fail(ctx, TSR_ERROR_VERSION, "%s: version: wanted 1, got %llu", name,
                        (unsigned long long)tsr_get_u64(head + 9));
    const uint8_t code = head[17];
    if (code >= sizeof types / sizeof *types || types[code] == TSR_ID_TYPES)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: type of ids: wanted whole numbers (1 to 5, or 8), got %u", name, code);
    r->type = types[code];
    r->sequences = tsr_get_u64(head + 18);
    r->documents = tsr_get_u64(head + 26);
    const uint64_t left = r->index.size - HEAD;
    if (r->sequences > left / 12 || r->documents > (left - 12 * r->sequences) / 8)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted room for %llu sequences and %llu documents, got %llu bytes",
                        name, (unsigned long long)r->sequences, (unsigned long long)r->documents,
                        (unsigned long long)left);
    const uint64_t rest = r->index.size - modes_at(r);
    if (rest && rest != r->sequences)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted an end, or modes of %llu sequences, got %llu bytes", name,
                        (unsigned long long)r->sequences, (unsigned long long)rest);
    r->modes = rest > 0;
    return TSR_OK;
}

/* The document index rises from 0 to the number of sequences. */
static tsr_status check_documents(reader *r) {
    tsr_context *ctx = r->input.ctx;
    uint64_t before = 0;
    for (uint64_t i = 0; i < r->documents; ++i) {
        uint8_t bytes[8];
        tsr_status s =
            tsr_input_read(ctx, &r->index, r->index_path, documents_at(r) + 8 * i, bytes, 8);
        if (s) return s;
        const uint64_t entry = tsr_get_u64(bytes);
        if (entry < before || entry > r->sequences || (i == 0 && entry))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: document %llu: wanted %s%llu..%llu, got %lld", r->index_path,
                            (unsigned long long)i, i ? "" : "0, in ", (unsigned long long)before,
                            (unsigned long long)r->sequences, (long long)entry);
        before = entry;
    }
    if (r->documents && before == r->sequences) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_FORMAT,
                    "%s: document index: wanted it to end with %llu, got %s%llu", r->index_path,
                    (unsigned long long)r->sequences, r->documents ? "" : "none; as if ",
                    (unsigned long long)before);
}

static tsr_status sequence_at(reader *r, uint64_t i, uint64_t *length, uint64_t *offset) {
    tsr_context *ctx = r->input.ctx;
    uint8_t n[4], at[8];
    tsr_status s = tsr_input_read(ctx, &r->index, r->index_path, lengths_at() + 4 * i, n, 4);
    if (!s) s = tsr_input_read(ctx, &r->index, r->index_path, offsets_at(r) + 8 * i, at, 8);
    if (s) return s;
    *length = tsr_get_u32(n);
    *offset = tsr_get_u64(at);
    if (*length > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: sequence %llu: length: wanted 0 or more, got %d", r->index_path,
                        (unsigned long long)i, (int)(int32_t)tsr_get_u32(n));
    return TSR_OK;
}

/* Before the first id is read: sequences lie one behind the other, inside the .bin. */
static tsr_status check_sequences(reader *r) {
    tsr_context *ctx = r->input.ctx;
    uint64_t want = 0;
    for (uint64_t i = 0; i < r->sequences; ++i) {
        uint64_t length, offset;
        tsr_status s = sequence_at(r, i, &length, &offset);
        if (s) return s;
        if (offset != want)
            return tsr_fail(
                ctx, TSR_ERROR_FORMAT,
                "%s: sequence %llu: offset: wanted %llu, behind the one before, got %lld",
                r->index_path, (unsigned long long)i, (unsigned long long)want, (long long)offset);
        want += length * tsr_id_type_bytes(r->type); /* below 2^34 each, 2^60 at most in all */
        if (want > r->data.size)
            return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                            "%s: sequence %llu: wanted %llu bytes, got a file of %llu",
                            r->data_path, (unsigned long long)i, (unsigned long long)want,
                            (unsigned long long)r->data.size);
    }
    if (want < r->data.size)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: %llu bytes that no sequence uses are left out",
                r->data_path, (unsigned long long)(r->data.size - want));
    return TSR_OK;
}

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_input_close(&r->index);
    tsr_input_close(&r->data);
    tsr_bytes_free(&r->bytes);
    free(r->index_path);
    free(r->data_path);
    free(r);
    *out = NULL;
}

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    r->index.fd = r->data.fd = -1;
    *out = r;
    const bool named = tsr_ends_with(input->path, ".idx") || tsr_ends_with(input->path, ".bin");
    const int stem = (int)strlen(input->path) - (named ? 4 : 0);
    if (asprintf(&r->index_path, "%.*s.idx", stem, input->path) < 0) r->index_path = NULL;
    if (asprintf(&r->data_path, "%.*s.bin", stem, input->path) < 0) r->data_path = NULL;
    tsr_status s = r->index_path && r->data_path
                       ? TSR_OK
                       : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for names", input->path);
    if (!s) s = tsr_data_open(ctx, input->memory, r->index_path, &r->index);
    if (!s) s = read_head(r);
    if (!s) s = check_documents(r);
    if (!s) s = tsr_data_open(ctx, input->memory, r->data_path, &r->data);
    if (!s) s = check_sequences(r);
    if (s) close_reader(out);
    return s;
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    tsr_context *ctx = r->input.ctx;
    char where[600];
    uint64_t length, offset;
    *end = r->at == r->sequences;
    if (*end) return TSR_OK;
    tsr_record_start(m);
    snprintf(where, sizeof where, "%.500s: sequence %llu", r->data_path, (unsigned long long)r->at);
    tsr_status s = sequence_at(r, r->at, &length, &offset);
    uint32_t *ids = s ? NULL : tsr_record_ids(ctx, m, where, length);
    if (!s && !ids) s = length > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    const size_t size = (size_t)length * tsr_id_type_bytes(r->type);
    r->bytes.size = 0;
    if (!s && !tsr_bytes_extend(&r->bytes, size ? size : 1))
        s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", where, size);
    if (!s) s = tsr_input_read(ctx, &r->data, r->data_path, offset, r->bytes.at, size);
    if (!s)
        s = tsr_ids_read(ctx, where, r->bytes.at, length, r->type, false, r->input.codebook_size,
                         ids);
    if (!s && r->modes) {
        int8_t mode;
        s = tsr_input_read(ctx, &r->index, r->index_path, modes_at(r) + r->at, &mode, 1);
        if (!s && mode) s = tsr_record_integer(ctx, m, where, "mode", mode);
    }
    ++r->at;
    return s ? s : tsr_record_finish(ctx, m, where);
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
    tsr_dataset_output *output;
    tsr_data_file data;
    tsr_bytes lengths, documents, modes, bytes;
    uint64_t sequences;
} writer;

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_data_file_abandon(&w->data);
    tsr_bytes_free(&w->lengths);
    tsr_bytes_free(&w->documents);
    tsr_bytes_free(&w->modes);
    tsr_bytes_free(&w->bytes);
    free(w);
    *out = NULL;
}

static tsr_status begin(tsr_dataset_output *output, void **out) {
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "megatron");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->data.fd = -1;
    *out = w;
    tsr_status s = tsr_data_file_open(output->folder, output->prefix, "data.bin", &w->data);
    if (s) abandon(out);
    return s;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    const tsr_attribute *mode = tsr_record_attribute(r, "mode", TSR_ATTRIBUTE_INTEGER);
    const int64_t number = mode ? mode->integer : 0;
    if (number < INT8_MIN || number > INT8_MAX)
        return tsr_fail(w->output->ctx, TSR_ERROR_UNSUPPORTED,
                        "megatron: sequence %llu: mode: wanted -128..127, got %lld",
                        (unsigned long long)w->sequences, (long long)number);
    if (w->sequences % w->output->plan->group == 0) tsr_bytes_u64(&w->documents, w->sequences);
    tsr_bytes_u32(&w->lengths, (uint32_t)r->count);
    tsr_bytes_u8(&w->modes, (uint8_t)number);
    w->bytes.size = 0;
    tsr_ids_put(&w->bytes, r->ids, r->count, w->output->plan->type);
    ++w->sequences;
    if (w->bytes.failed || w->lengths.failed || w->documents.failed || w->modes.failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "megatron: no memory for the index");
    return tsr_data_file_put(&w->data, w->bytes.at, w->bytes.size);
}

static tsr_status finish(void *user) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    tsr_data_file index = {.fd = -1};
    tsr_status s = tsr_data_file_close(&w->data);
    if (!s) s = tsr_data_file_open(w->output->folder, w->output->prefix, "data.idx", &index);
    uint8_t head[HEAD], number[8];
    uint8_t code = 1;
    while (types[code] != plan->type)
        ++code;
    if (w->sequences) tsr_bytes_u64(&w->documents, w->sequences);
    if (!w->sequences) tsr_bytes_u64(&w->documents, 0);
    if (!s && w->documents.failed)
        s = tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "megatron: no memory for the index");
    memcpy(head, magic, sizeof magic);
    tsr_set_u64(head + 9, 1);
    head[17] = code;
    tsr_set_u64(head + 18, w->sequences);
    tsr_set_u64(head + 26, w->documents.size / 8);
    if (!s) s = tsr_data_file_put(&index, head, HEAD);
    if (!s) s = tsr_data_file_put(&index, w->lengths.at, w->lengths.size);
    uint64_t offset = 0;
    for (uint64_t i = 0; !s && i < w->sequences; ++i) {
        tsr_set_u64(number, offset);
        s = tsr_data_file_put(&index, number, 8);
        offset += tsr_get_u32(w->lengths.at + 4 * i) * (uint64_t)tsr_id_type_bytes(plan->type);
    }
    if (!s) s = tsr_data_file_put(&index, w->documents.at, w->documents.size);
    if (!s && plan->modes) s = tsr_data_file_put(&index, w->modes.at, w->modes.size);
    if (!s) s = tsr_data_file_close(&index);
    tsr_data_file_abandon(&index);
    return s;
}

/* As Megatron's own tools choose: u16 below 65,500 numbers, and no u32. */
static tsr_id_type choose(uint64_t numbers) {
    return numbers < 65500 ? TSR_ID_U16 : TSR_ID_I32;
}

const tsr_dataset_format tsr_dataset_megatron = {
    .name = "megatron",
    .about = "data.bin and data.idx of Megatron-LM, one sequence an item",
    .suffix = ".idx",
    .choose = choose,
    .types = 1 << TSR_ID_U8 | 1 << TSR_ID_U16 | 1 << TSR_ID_I8 | 1 << TSR_ID_I16 | 1 << TSR_ID_I32 |
             1 << TSR_ID_I64,
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
