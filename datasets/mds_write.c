/* SPDX-License-Identifier: MIT */
/* mds_write.c: writes shards of MosaicML Streaming, byte for byte as the library does: columns in
 * the order of their names, sha1 and xxh64 in the index. Layouts: "static", one shape for all ids
 * and no size beside them; "dynamic", a shape for each; "typed", the type beside each, too. */
#include "mds.h"
#include "../formats/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

enum { LIMIT = 1 << 26 }; /* the library's default, 64 MiB */

int tsr_mds_type_code(tsr_id_type type) {
    static const int codes[TSR_ID_TYPES] = {8, 16, 32, 64, 9, 17, 33, 65};
    return codes[type];
}

const char *tsr_mds_type_word(tsr_id_type type, char word[16]) {
    const char *name = tsr_id_type_name(type);
    snprintf(word, 16, "%s%s", name[0] == 'u' ? "uint" : "int", name + 1);
    return word;
}

typedef enum kind { IDS, KEY, LABEL, CAPTION, KINDS } kind;

typedef struct column {
    kind kind;
    const char *name;
    char encoding[128];
    uint64_t size; /* UINT64_MAX: free */
} column;

typedef struct writer {
    tsr_dataset_output *output;
    column columns[KINDS];
    int count;
    uint64_t limit;
    bool fixed, typed;
    tsr_bytes config, sample, samples, sizes, index, shard;
    uint64_t items; /* in the shard */
    unsigned shards;
} writer;

void tsr_mds_abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_bytes *const all[] = {&w->config, &w->sample, &w->samples, &w->sizes, &w->index, &w->shard};
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i)
        tsr_bytes_free(all[i]);
    free(w);
    *out = NULL;
}

static int compare_columns(const void *a, const void *b) {
    return strcmp(((const column *)a)->name, ((const column *)b)->name);
}

static void put_list(tsr_bytes *to, const writer *w, bool encodings) {
    tsr_bytes_u8(to, '[');
    for (int i = 0; i < w->count; ++i) {
        const char *text = encodings ? w->columns[i].encoding : w->columns[i].name;
        if (i) tsr_bytes_put(to, ", ", 2);
        tsr_json_put(to, text, strlen(text), true);
    }
    tsr_bytes_u8(to, ']');
}

/* What a shard says of itself; its entry in the index has more in between. */
static void put_columns(tsr_bytes *to, const writer *w) {
    tsr_json_put_format(to, "{\"column_encodings\": ");
    put_list(to, w, true);
    tsr_json_put_format(to, ", \"column_names\": ");
    put_list(to, w, false);
    tsr_json_put_format(to, ", \"column_sizes\": [");
    for (int i = 0; i < w->count; ++i) {
        if (i) tsr_bytes_put(to, ", ", 2);
        if (w->columns[i].size == UINT64_MAX)
            tsr_bytes_put(to, "null", 4);
        else
            tsr_json_put_number(to, w->columns[i].size);
    }
    tsr_json_put_format(to, "], \"compression\": null, \"format\": \"mds\", \"hashes\": [\"sha1\", "
                            "\"xxh64\"]");
}

static void put_limit(tsr_bytes *to, const writer *w) {
    tsr_json_put_format(to, ", \"size_limit\": %llu, \"version\": 2", (unsigned long long)w->limit);
}

static void describe_ids(writer *w, column *c) {
    const tsr_dataset_plan *plan = w->output->plan;
    char word[16];
    size_t n = (size_t)snprintf(c->encoding, sizeof c->encoding, "ndarray");
    if (!w->typed)
        n += (size_t)snprintf(c->encoding + n, sizeof c->encoding - n, ":%s",
                              tsr_mds_type_word(plan->type, word));
    if (!w->fixed) return;
    c->size = tsr_id_type_bytes(plan->type);
    for (int d = 0; d < plan->rank; ++d) {
        n += (size_t)snprintf(c->encoding + n, sizeof c->encoding - n, "%c%llu", d ? ',' : ':',
                              (unsigned long long)plan->shape[d]);
        c->size *= plan->shape[d];
    }
}

tsr_status tsr_mds_begin(tsr_dataset_output *output, void **out) {
    const tsr_dataset_plan *plan = output->plan;
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "mds");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->limit = plan->shard_bytes ? plan->shard_bytes : LIMIT;
    w->fixed = !strcmp(plan->layout, "static");
    w->typed = !strcmp(plan->layout, "typed");
    *out = w;
    const struct {
        kind kind;
        const char *name, *encoding;
        bool there;
    } all[KINDS] = {{IDS, plan->columns.ids, NULL, true},
                    {KEY, plan->columns.key, "str", true},
                    {LABEL, plan->columns.label, "int", plan->labels},
                    {CAPTION, plan->columns.caption, "str", plan->captions}};
    for (int i = 0; i < KINDS; ++i) {
        if (!all[i].there) continue;
        column *c = &w->columns[w->count++];
        *c = (column){.kind = all[i].kind, .name = all[i].name, .size = UINT64_MAX};
        if (c->kind == LABEL) c->size = 8;
        if (c->kind == IDS)
            describe_ids(w, c);
        else
            snprintf(c->encoding, sizeof c->encoding, "%s", all[i].encoding);
    }
    qsort(w->columns, (size_t)w->count, sizeof *w->columns, compare_columns);
    tsr_status s = TSR_OK;
    for (int i = 1; i < w->count; ++i)
        if (!strcmp(w->columns[i].name, w->columns[i - 1].name))
            s = tsr_fail(output->ctx, TSR_ERROR_ARGUMENT,
                         "mds: column %s: wanted one of the name, got two", w->columns[i].name);
    if (!s && w->fixed && plan->items && !plan->equal_shapes)
        s = tsr_fail(
            output->ctx, TSR_ERROR_UNSUPPORTED,
            "mds: layout static: wanted items of one shape, got others; dynamic takes them");
    put_columns(&w->config, w);
    put_limit(&w->config, w);
    tsr_bytes_u8(&w->config, '}');
    if (!s && w->config.failed) s = tsr_fail(output->ctx, TSR_ERROR_MEMORY, "mds: no memory");
    if (s) tsr_mds_abandon(out);
    return s;
}

static tsr_status end_shard(writer *w) {
    tsr_context *ctx = w->output->ctx;
    char name[64];
    uint8_t sha1[EVP_MAX_MD_SIZE];
    unsigned digest = 0;
    tsr_data_file file = {.fd = -1};
    tsr_bytes *b = &w->shard, *x = &w->index;
    uint64_t offset = 4 + 4 * (w->items + 1) + w->config.size;
    b->size = 0;
    tsr_bytes_u32(b, (uint32_t)w->items);
    tsr_bytes_u32(b, (uint32_t)offset);
    for (uint64_t i = 0; i < w->items; ++i) {
        offset += tsr_get_u32(w->sizes.at + 4 * i);
        tsr_bytes_u32(b, (uint32_t)offset);
    }
    tsr_bytes_put(b, w->config.at, w->config.size);
    tsr_bytes_put(b, w->samples.at, w->samples.size);
    if (b->failed || w->samples.failed || w->sizes.failed)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "mds: no memory for a shard");
    if (offset > UINT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "mds: shard: wanted less than 4 GiB, got %llu bytes",
                        (unsigned long long)offset);
    snprintf(name, sizeof name, "shard.%05u.mds", w->shards);
    tsr_status s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &file);
    if (!s) s = tsr_data_file_put(&file, b->at, b->size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    if (!s && !EVP_Digest(b->at, b->size, sha1, &digest, EVP_sha1(), NULL))
        s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its SHA-1", name);
    if (s) return s;
    tsr_json_put_format(x, "%s", w->shards ? ", " : "{\"shards\": [");
    put_columns(x, w);
    tsr_json_put_format(
        x, ", \"raw_data\": {\"basename\": \"%s\", \"bytes\": %zu, \"hashes\": {\"sha1\": \"", name,
        b->size);
    for (unsigned i = 0; i < digest; ++i)
        tsr_json_put_format(x, "%02x", sha1[i]);
    tsr_json_put_format(x, "\", \"xxh64\": \"%016llx\"}}, \"samples\": %llu",
                        (unsigned long long)tsr_hash64(b->at, b->size, 0),
                        (unsigned long long)w->items);
    put_limit(x, w);
    tsr_json_put_format(x, ", \"zip_data\": null}");
    ++w->shards;
    w->items = 0;
    w->samples.size = w->sizes.size = 0;
    return TSR_OK;
}

/* An array with its type and shape, as far as the column does not say them. */
static void put_array(writer *w, const tsr_record *r) {
    const tsr_dataset_plan *plan = w->output->plan;
    tsr_bytes *b = &w->sample;
    uint64_t most = 0;
    if (w->typed) tsr_bytes_u8(b, (uint32_t)tsr_mds_type_code(plan->type));
    for (int d = 0; d < r->rank; ++d)
        if (r->shape[d] > most) most = r->shape[d];
    const uint32_t wide = most < 1u << 8 ? 0 : most < 1u << 16 ? 1 : most <= UINT32_MAX ? 2 : 3;
    if (!w->fixed) tsr_bytes_u8(b, (uint32_t)r->rank << 2 | wide);
    for (int d = 0; !w->fixed && d < r->rank; ++d)
        for (uint32_t k = 0; k < 1u << wide; ++k)
            tsr_bytes_u8(b, (uint32_t)(r->shape[d] >> 8 * k) & 0xFF);
    tsr_ids_put(b, r->ids, r->count, plan->type);
}

tsr_status tsr_mds_add(void *user, const tsr_record *r) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    const tsr_attribute *caption = tsr_record_attribute(r, "caption", TSR_ATTRIBUTE_TEXT);
    tsr_bytes *b = &w->sample;
    b->size = 0;
    for (int i = 0; i < w->count; ++i) /* sizes, filled in below */
        if (w->columns[i].size == UINT64_MAX) tsr_bytes_u32(b, 0);
    size_t at = 0;
    for (int i = 0; i < w->count && !b->failed; ++i) {
        const size_t before = b->size;
        switch (w->columns[i].kind) {
        case IDS:
            put_array(w, r);
            break;
        case KEY:
            tsr_bytes_put(b, r->key, strlen(r->key));
            break;
        case LABEL:
            tsr_bytes_u64(b, label ? (uint64_t)label->integer : 0);
            break;
        default:
            if (caption) tsr_bytes_put(b, caption->bytes, caption->size);
        }
        if (w->columns[i].size != UINT64_MAX || b->failed) continue;
        tsr_set_u32(b->at + at, (uint32_t)(b->size - before));
        at += 4;
    }
    if (b->failed) return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "mds: no memory for a sample");
    const uint64_t whole = 4 + 4 + w->config.size + w->samples.size + 4 * w->items + b->size + 4;
    tsr_status s = TSR_OK;
    if (w->items && (whole > w->limit || (plan->shard_items && w->items >= plan->shard_items)))
        s = end_shard(w);
    tsr_bytes_put(&w->samples, b->at, b->size);
    tsr_bytes_u32(&w->sizes, (uint32_t)b->size);
    ++w->items;
    return s;
}

tsr_status tsr_mds_finish(void *user) {
    writer *w = user;
    tsr_data_file file = {.fd = -1};
    tsr_status s = w->items ? end_shard(w) : TSR_OK;
    if (!w->shards) tsr_json_put_format(&w->index, "{\"shards\": [");
    tsr_json_put_format(&w->index, "], \"version\": 2}");
    if (!s && w->index.failed)
        s = tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "mds: no memory for the index");
    if (!s) s = tsr_data_file_open(w->output->folder, w->output->prefix, "index.json", &file);
    if (!s) s = tsr_data_file_put(&file, w->index.at, w->index.size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    return s;
}
