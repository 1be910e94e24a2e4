/* SPDX-License-Identifier: MIT */
/* npz.c: NumPy's archive of arrays, in one of three layouts: "stacked", ids [items, ...] of equal
 * shapes; "offsets", the ids of all items in a row with offsets [items + 1]; both with keys, labels
 * and captions [items] where there are any; or "by-key", one array an item under its key. Reading
 * tells them apart by the names of the members; members that are no arrays are passed over. */
#include "npy_records.h"
#include "zip_writer.h"
#include "../formats/utf8.h"
#include "../formats/weights/zip_reader.h"

#include <stdio.h>
#include <stdlib.h>

enum { HEADER_ROOM = 1 << 16 };
#define MAX_FILE ((uint64_t)1 << 36)

/* A member, unpacked. */
typedef struct array {
    uint8_t *bytes;
    tsr_npy_header header;
    const uint8_t *data; /* in `bytes` */
} array;

typedef struct reader {
    tsr_dataset_input input;
    uint8_t *bytes;
    tsr_zip *zip;
    bool by_key;
    int entry;
    array ids, offsets, keys, labels, captions; /* bytes NULL: not there */
    tsr_id_type type;
    uint64_t items, at, row; /* row: ids of an item, stacked */
    tsr_bytes text;
} reader;

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    array *const all[] = {&r->ids, &r->offsets, &r->keys, &r->labels, &r->captions};
    for (int i = 0; i < 5; ++i)
        free(all[i]->bytes);
    tsr_bytes_free(&r->text);
    tsr_zip_close(&r->zip);
    free(r->bytes);
    free(r);
    *out = NULL;
}

/* Unpacks a member whose size is that of its array: no more memory is taken than the array has. */
static tsr_status unpack(reader *r, const tsr_zip_entry *e, const char *where, array *a) {
    tsr_context *ctx = r->input.ctx;
    const size_t first = e->plain < HEADER_ROOM ? (size_t)e->plain : HEADER_ROOM;
    uint8_t *head = tsr_alloc(ctx, first + 1, 1, where);
    if (!head) return TSR_ERROR_MEMORY;
    tsr_status s = tsr_zip_unpack(ctx, r->input.path, e, head, first);
    if (!s) s = tsr_npy_describe(ctx, where, head, first, &a->header);
    free(head);
    if (s) return s;
    if (a->header.data_at + a->header.data_bytes != e->plain)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted an array of %llu bytes, got a member of %llu", where,
                        (unsigned long long)(a->header.data_at + a->header.data_bytes),
                        (unsigned long long)e->plain);
    a->bytes = tsr_alloc(ctx, (size_t)e->plain, 1, where);
    if (!a->bytes) return TSR_ERROR_MEMORY;
    a->data = a->bytes + a->header.data_at;
    return tsr_zip_unpack(ctx, r->input.path, e, a->bytes, (size_t)e->plain);
}

static tsr_status find(reader *r, const char *name, array *a) {
    char member[256], where[700];
    snprintf(member, sizeof member, "%.240s.npy", name);
    snprintf(where, sizeof where, "%.400s: %s", r->input.path, member);
    const tsr_zip_entry *e = tsr_zip_find(r->zip, member);
    return e ? unpack(r, e, where, a) : TSR_OK;
}

/* A column beside the ids: one axis, as long as there are items, of a kind. */
static tsr_status check_column(reader *r, const char *name, const array *a, char kind,
                               uint64_t items) {
    if (!a->bytes) return TSR_OK;
    const bool good = (a->header.kind == kind && a->header.rank == 1 && !a->header.big &&
                       a->header.dim[0] == items && (kind == 'U' || a->header.bytes == 8));
    if (good) return TSR_OK;
    return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT, "%s: %s: wanted %llu %s, got another array",
                    r->input.path, name, (unsigned long long)items,
                    kind == 'U' ? "texts (<U)" : "numbers (<i8)");
}

/* Offsets rise from 0 to the number of ids. */
static tsr_status check_offsets(reader *r) {
    uint64_t before = 0;
    for (uint64_t i = 0; i <= r->items; ++i) {
        const uint64_t offset = tsr_get_u64(r->offsets.data + 8 * i);
        if (offset < before || offset > r->ids.header.elements || (i == 0 && offset) ||
            (i == r->items && offset != r->ids.header.elements))
            return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT,
                            "%s: offsets: entry %llu: wanted %llu..%llu, rising from 0 to all ids, "
                            "got %lld",
                            r->input.path, (unsigned long long)i, (unsigned long long)before,
                            (unsigned long long)r->ids.header.elements, (long long)offset);
        before = offset;
    }
    return TSR_OK;
}

static tsr_status open_columns(reader *r) {
    tsr_context *ctx = r->input.ctx;
    const tsr_dataset_columns *c = &r->input.columns;
    const tsr_npy_header *h = &r->ids.header;
    tsr_status s = find(r, c->ids, &r->ids);
    if (!s) s = find(r, "offsets", &r->offsets);
    if (!s) s = find(r, c->key, &r->keys);
    if (!s) s = find(r, c->label, &r->labels);
    if (!s) s = find(r, c->caption, &r->captions);
    if (!s) s = tsr_npy_id_type(ctx, r->input.path, h, &r->type);
    if (s) return s;
    if (h->fortran && h->rank > 1)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: %s: wanted rows in order, got column order", r->input.path, c->ids);
    if (r->offsets.bytes) {
        const tsr_npy_header *o = &r->offsets.header;
        if (h->rank != 1 || o->rank != 1 || o->kind != 'i' || o->bytes != 8 || o->big || !o->dim[0])
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: wanted ids [n] and offsets int64 [items + 1], got other arrays",
                            r->input.path);
        r->items = o->dim[0] - 1;
        s = check_offsets(r);
    } else {
        if (h->rank < 2)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted [items, ...], got one axis",
                            r->input.path, c->ids);
        r->items = h->dim[0];
        r->row = r->items ? h->elements / r->items : 0;
    }
    if (!s) s = check_column(r, c->key, &r->keys, 'U', r->items);
    if (!s) s = check_column(r, c->label, &r->labels, 'i', r->items);
    return s ? s : check_column(r, c->caption, &r->captions, 'U', r->items);
}

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    size_t size;
    char ids[256], keys[256];
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    *out = r;
    tsr_status s = tsr_data_load(ctx, input->memory, input->path, MAX_FILE, &r->bytes, &size);
    if (!s) s = tsr_zip_parse_packed(ctx, input->path, r->bytes, size, &r->zip);
    if (!s) {
        snprintf(ids, sizeof ids, "%.240s.npy", input->columns.ids);
        snprintf(keys, sizeof keys, "%.240s.npy", input->columns.key);
        r->by_key = !tsr_zip_find(r->zip, ids) ||
                    (!tsr_zip_find(r->zip, keys) && !tsr_zip_find(r->zip, "offsets.npy"));
        if (!r->by_key) s = open_columns(r);
    }
    if (s) close_reader(out);
    return s;
}

/* Text `index` of an array of texts: code points of 4 bytes, filled up with zeros. */
static tsr_status text_at(reader *r, const array *a, uint64_t index, const char *what) {
    const uint8_t *p = a->data + index * a->header.bytes;
    size_t n = a->header.units;
    while (n && !tsr_get_u32(p + 4 * (n - 1)))
        --n;
    r->text.size = 0;
    for (size_t i = 0; i < n; ++i) {
        char utf8[4];
        const uint32_t c = tsr_get_u32(p + 4 * i);
        if (!c || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
            return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT,
                            "%s: %s: text %llu: wanted characters, got U+%04X", r->input.path, what,
                            (unsigned long long)index, c);
        tsr_bytes_put(&r->text, utf8, tsr_utf8_put(c, utf8));
    }
    tsr_bytes_u8(&r->text, 0);
    --r->text.size;
    return r->text.failed
               ? tsr_fail(r->input.ctx, TSR_ERROR_MEMORY, "%s: no memory for a text", r->input.path)
               : TSR_OK;
}

static tsr_status next_row(reader *r, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    const tsr_dataset_columns *c = &r->input.columns;
    const uint64_t i = r->at++;
    char where[600];
    snprintf(where, sizeof where, "%.500s: item %llu", r->input.path, (unsigned long long)i);
    const bool flat = r->offsets.bytes != NULL;
    const uint64_t from = flat ? tsr_get_u64(r->offsets.data + 8 * i) : i * r->row;
    const uint64_t count = flat ? tsr_get_u64(r->offsets.data + 8 * (i + 1)) - from : r->row;
    uint32_t *ids = tsr_record_ids(ctx, m, where, count);
    if (!ids) return count > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    tsr_status s = tsr_ids_read(ctx, where, r->ids.data + from * r->ids.header.bytes, count,
                                r->type, r->ids.header.big, r->input.codebook_size, ids);
    for (int d = 1; !flat && d < r->ids.header.rank; ++d)
        m->record.shape[m->record.rank++] = r->ids.header.dim[d];
    m->has_shape = !flat;
    if (!s && r->keys.bytes && !(s = text_at(r, &r->keys, i, c->key)))
        s = tsr_record_key(ctx, m, where, (const char *)r->text.at, r->text.size);
    if (!s && r->labels.bytes)
        s = tsr_record_integer(ctx, m, where, "label",
                               (int64_t)tsr_get_u64(r->labels.data + 8 * i));
    if (!s && r->captions.bytes && !(s = text_at(r, &r->captions, i, c->caption)))
        s = tsr_record_text(ctx, m, where, "caption", (const char *)r->text.at, r->text.size);
    return s ? s : tsr_record_finish(ctx, m, where);
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    tsr_context *ctx = r->input.ctx;
    char where[700];
    tsr_record_start(m);
    if (!r->by_key) {
        *end = r->at == r->items;
        return *end ? TSR_OK : next_row(r, m);
    }
    const tsr_zip_entry *e = NULL;
    while (r->entry < tsr_zip_count(r->zip) &&
           !tsr_ends_with((e = tsr_zip_at(r->zip, r->entry))->name, ".npy"))
        ++r->entry;
    *end = r->entry == tsr_zip_count(r->zip);
    if (*end) return TSR_OK;
    ++r->entry;
    array a = {0};
    snprintf(where, sizeof where, "%.400s: %.200s", r->input.path, e->name);
    tsr_status s = unpack(r, e, where, &a);
    if (!s) s = tsr_npy_record(ctx, where, a.bytes, (size_t)e->plain, r->input.codebook_size, m);
    if (!s) s = tsr_record_key(ctx, m, where, e->name, strlen(e->name) - 4);
    free(a.bytes);
    return s ? s : tsr_record_finish(ctx, m, where);
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
    tsr_dataset_output *output;
    tsr_data_file file;
    tsr_zip_writer zip;
    bool by_key, open;
    uint64_t ids;
    tsr_bytes bytes, keys, offsets, labels, captions;
} writer;

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_bytes *const all[] = {&w->bytes, &w->keys, &w->offsets, &w->labels, &w->captions};
    for (int i = 0; i < 5; ++i)
        tsr_bytes_free(all[i]);
    tsr_zip_writer_free(&w->zip);
    tsr_data_file_abandon(&w->file);
    free(w);
    *out = NULL;
}

static tsr_status put_header(writer *w, const char *descr, const uint64_t *dim, int rank) {
    char header[TSR_NPY_HEADER_BYTES];
    return tsr_zip_entry_put(&w->zip, header, tsr_npy_header_make(descr, dim, rank, header));
}

static tsr_status begin_member(writer *w, const char *name) {
    char member[256];
    snprintf(member, sizeof member, "%.240s.npy", name);
    return tsr_zip_entry_begin(&w->zip, member);
}

static tsr_status begin(tsr_dataset_output *output, void **out) {
    const tsr_dataset_plan *plan = output->plan;
    const bool stacked = !strcmp(plan->layout, "stacked");
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "npz");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->file.fd = -1;
    w->zip.file = &w->file;
    w->by_key = !strcmp(plan->layout, "by-key");
    *out = w;
    tsr_status s = TSR_OK;
    if (stacked && plan->items && (!plan->equal_shapes || plan->rank == TSR_RECORD_MAX_RANK))
        s = tsr_fail(output->ctx, TSR_ERROR_UNSUPPORTED,
                     "npz: layout stacked: wanted items of one shape of 1 to 3 axes, got others; "
                     "offsets takes them");
    if (!s) s = tsr_data_file_open(output->folder, output->prefix, "data.npz", &w->file);
    if (!s && !w->by_key) {
        uint64_t dim[TSR_RECORD_MAX_RANK] = {stacked ? plan->items : plan->tokens};
        int rank = 1;
        for (int d = 0; stacked && d < plan->rank && rank < TSR_RECORD_MAX_RANK; ++d)
            dim[rank++] = plan->shape[d];
        if (stacked && rank == 1) dim[rank++] = 0;
        s = begin_member(w, plan->columns.ids);
        if (!s) s = put_header(w, tsr_id_type_numpy(plan->type), dim, rank);
    }
    if (!stacked) tsr_bytes_u64(&w->offsets, 0);
    if (s) abandon(out);
    return s;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    const tsr_attribute *caption = tsr_record_attribute(r, "caption", TSR_ATTRIBUTE_TEXT);
    tsr_status s = TSR_OK;
    if (caption && caption->size && memchr(caption->bytes, 0, caption->size))
        return tsr_fail(w->output->ctx, TSR_ERROR_UNSUPPORTED,
                        "npz: caption of '%s': wanted no U+0000, which ends a text of NumPy",
                        r->key);
    w->bytes.size = 0;
    if (w->by_key) {
        tsr_npy_put(&w->bytes, r->ids, r->count, r->shape, r->rank, plan->type);
        w->keys.size = 0;
        tsr_bytes_put(&w->keys, r->key, strlen(r->key));
        tsr_bytes_put(&w->keys, ".npy", sizeof ".npy");
        if (w->keys.size > UINT16_MAX) /* never: keys have 1024 bytes at most */
            return tsr_fail(w->output->ctx, TSR_ERROR_TOO_LARGE,
                            "npz: key of more than 65535 bytes");
        if (!w->keys.failed) s = tsr_zip_entry_begin(&w->zip, (const char *)w->keys.at);
    } else {
        tsr_ids_put(&w->bytes, r->ids, r->count, plan->type);
        w->ids += r->count;
        tsr_bytes_u64(&w->offsets, w->ids);
        tsr_bytes_put(&w->keys, r->key, strlen(r->key) + 1);
        if (plan->labels) tsr_bytes_u64(&w->labels, label ? (uint64_t)label->integer : 0);
        if (plan->captions && caption) tsr_bytes_put(&w->captions, caption->bytes, caption->size);
        if (plan->captions) tsr_bytes_u8(&w->captions, 0);
    }
    if (w->bytes.failed || w->keys.failed || w->offsets.failed || w->labels.failed ||
        w->captions.failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "npz: no memory for the columns");
    if (!s) s = tsr_zip_entry_put(&w->zip, w->bytes.at, w->bytes.size);
    return s || !w->by_key ? s : tsr_zip_entry_end(&w->zip);
}

static tsr_status put_numbers(writer *w, const char *name, const tsr_bytes *numbers) {
    const uint64_t count = numbers->size / 8;
    tsr_status s = begin_member(w, name);
    if (!s) s = put_header(w, "<i8", &count, 1);
    if (!s) s = tsr_zip_entry_put(&w->zip, numbers->at, numbers->size);
    return s ? s : tsr_zip_entry_end(&w->zip);
}

/* Texts that end with zero bytes, as an array of the longest one's size. */
static tsr_status put_texts(writer *w, const char *name, const tsr_bytes *texts, size_t points) {
    const tsr_dataset_plan *plan = w->output->plan;
    char descr[32];
    const size_t width = points ? points : 1;
    snprintf(descr, sizeof descr, "<U%zu", width);
    tsr_status s = begin_member(w, name);
    if (!s) s = put_header(w, descr, &plan->items, 1);
    const uint8_t *p = texts->at;
    for (uint64_t i = 0; !s && i < plan->items; ++i) {
        w->bytes.size = 0;
        uint8_t *to = tsr_bytes_extend(&w->bytes, 4 * width);
        if (!to) return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "npz: no memory for a text");
        memset(to, 0, 4 * width);
        for (size_t n = 0; *p && n < width; ++n) {
            const int more = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
            uint32_t c = more ? *p & (0x3Fu >> more) : *p;
            for (int k = 0; k < more; ++k)
                c = c << 6 | (*++p & 0x3F);
            ++p;
            tsr_set_u32(to + 4 * n, c);
        }
        ++p;
        s = tsr_zip_entry_put(&w->zip, w->bytes.at, w->bytes.size);
    }
    return s ? s : tsr_zip_entry_end(&w->zip);
}

static tsr_status finish(void *user) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    const tsr_dataset_columns *c = &plan->columns;
    tsr_status s = w->by_key ? TSR_OK : tsr_zip_entry_end(&w->zip);
    if (!s && !strcmp(plan->layout, "offsets")) s = put_numbers(w, "offsets", &w->offsets);
    if (!s && !w->by_key) s = put_texts(w, c->key, &w->keys, plan->key_points);
    if (!s && !w->by_key && plan->labels) s = put_numbers(w, c->label, &w->labels);
    if (!s && !w->by_key && plan->captions)
        s = put_texts(w, c->caption, &w->captions, plan->caption_points);
    if (!s) s = tsr_zip_writer_end(&w->zip);
    if (!s) s = tsr_data_file_close(&w->file);
    return s;
}

const tsr_dataset_format tsr_dataset_npz = {
    .name = "npz",
    .about = "NumPy's archive: stacked, in a row with offsets, or one array a key",
    .suffix = ".npz",
    .layouts = "auto|stacked|offsets|by-key",
    .flags = TSR_DATASET_KEYS | TSR_DATASET_COLUMNS,
    .choose = tsr_choose_unsigned,
    .types = TSR_ID_ANY,
    .columns = {"ids", "keys", "labels", "captions", NULL},
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
