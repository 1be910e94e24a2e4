/* SPDX-License-Identifier: MIT */
/* npy_records.c: see npy_records.h. */
#include "npy_records.h"

#include <stdlib.h>

tsr_status tsr_npy_id_type(tsr_context *ctx, const char *where, const tsr_npy_header *h,
                           tsr_id_type *type) {
    char word[4] = {h->kind, (char)('0' + (h->units < 10 ? h->units : 0)), 0, 0};
    static const char *const words[TSR_ID_TYPES] = {"u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8"};
    for (int i = 0; i < TSR_ID_TYPES; ++i)
        if (!strcmp(words[i], word)) {
            *type = (tsr_id_type)i;
            return TSR_OK;
        }
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: descr: wanted whole numbers (u1 to u8, i1 to i8), got %c%u", where,
                    h->kind, h->units);
}

/* From column order to row order: element (i0, i1, ...) of the file stands at i0 + i1 * d0 + ... */
static tsr_status transpose(tsr_context *ctx, const char *where, tsr_record *r, uint32_t *ids) {
    uint32_t *copy = tsr_alloc(ctx, (size_t)r->count, sizeof *copy, where);
    if (!copy) return TSR_ERROR_MEMORY;
    if (r->count) memcpy(copy, ids, (size_t)r->count * sizeof *copy);
    uint64_t index[TSR_RECORD_MAX_RANK] = {0};
    for (uint64_t to = 0; to < r->count; ++to) {
        uint64_t from = 0;
        for (int d = r->rank - 1; d >= 0; --d)
            from = from * r->shape[d] + index[d];
        ids[to] = copy[from];
        for (int d = r->rank - 1; d >= 0 && ++index[d] == r->shape[d]; --d)
            index[d] = 0;
    }
    free(copy);
    return TSR_OK;
}

tsr_status tsr_npy_record(tsr_context *ctx, const char *where, const void *bytes, size_t size,
                          uint32_t codebook_size, tsr_record_memory *m) {
    tsr_npy_header h;
    tsr_id_type type;
    tsr_status s = tsr_npy_describe(ctx, where, bytes, size, &h);
    if (!s) s = tsr_npy_id_type(ctx, where, &h, &type);
    if (s) return s;
    const size_t have = size - h.data_at;
    if (h.data_bytes > have)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: data: wanted %llu bytes, got %zu", where,
                        (unsigned long long)h.data_bytes, have);
    if (h.data_bytes < have)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: %llu bytes behind the array are left out", where,
                (unsigned long long)(have - h.data_bytes));
    uint32_t *ids = tsr_record_ids(ctx, m, where, h.elements);
    if (!ids) return h.elements > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    s = tsr_ids_read(ctx, where, (const uint8_t *)bytes + h.data_at, h.elements, type, h.big,
                     codebook_size, ids);
    if (s) return s;
    tsr_record *r = &m->record;
    m->has_shape = h.rank > 0;
    r->rank = h.rank;
    for (int i = 0; i < h.rank; ++i)
        r->shape[i] = h.dim[i];
    return h.fortran && h.rank > 1 ? transpose(ctx, where, r, ids) : TSR_OK;
}

void tsr_npy_put(tsr_bytes *to, const uint32_t *ids, uint64_t count, const uint64_t *shape,
                 int rank, tsr_id_type type) {
    char header[TSR_NPY_HEADER_BYTES];
    tsr_bytes_put(to, header, tsr_npy_header_make(tsr_id_type_numpy(type), shape, rank, header));
    tsr_ids_put(to, ids, count, type);
}
