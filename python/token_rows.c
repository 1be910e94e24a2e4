/* SPDX-License-Identifier: MIT */
/* token_rows.c: see token_rows.h. */
#include "token_rows.h"

#include <string.h>

/* Copies n ids to place `at` of the array; 0 when one of them does not fit its type. */
static int put(const tessera_rows *rows, uint64_t at, const uint32_t *ids, uint64_t n) {
    if (rows->id_bytes == 4) {
        if (n) memcpy((uint32_t *)rows->ids + at, ids, (size_t)n * sizeof *ids);
        return 1;
    }
    if (rows->id_bytes == 8) {
        int64_t *to = (int64_t *)rows->ids + at;
        for (uint64_t i = 0; i < n; ++i)
            to[i] = ids[i];
        return 1;
    }
    uint16_t *to = (uint16_t *)rows->ids + at;
    uint32_t all = 0;
    for (uint64_t i = 0; i < n; ++i) {
        to[i] = (uint16_t)ids[i];
        all |= ids[i];
    }
    return all <= UINT16_MAX;
}

static void pad(const tessera_rows *rows, uint64_t at, uint64_t end) {
    for (; at < end; ++at)
        if (rows->id_bytes == 2)
            ((uint16_t *)rows->ids)[at] = (uint16_t)rows->padding;
        else if (rows->id_bytes == 4)
            ((uint32_t *)rows->ids)[at] = (uint32_t)rows->padding;
        else
            ((int64_t *)rows->ids)[at] = rows->padding;
}

tsr_status tessera_read_rows(tsr_token_file *file, tessera_rows *rows) {
    uint64_t at = 0;
    if (!file) return TSR_ERROR_ARGUMENT;
    rows->done = rows->needed = 0;
    if (!tsr_token_file_header(file)->codebook_size) return TSR_ERROR_ARGUMENT;
    if (rows->id_bytes != 2 && rows->id_bytes != 4 && rows->id_bytes != 8)
        return TSR_ERROR_ARGUMENT;
    for (uint64_t i = 0; i < rows->count; ++i) {
        tsr_token_item item;
        const uint64_t index = rows->indexes ? rows->indexes[i] : rows->first + i;
        tsr_status status = tsr_token_file_item(file, index, &item);
        if (status) return status;
        const uint64_t total = tsr_token_item_total(&item);
        const uint64_t span = rows->stride ? rows->stride : total;
        if (total > span || span > rows->room - at) {
            rows->needed = total;
            return TSR_ERROR_TOO_LARGE;
        }
        if (!put(rows, at, item.ids, total)) return TSR_ERROR_ARGUMENT;
        pad(rows, at + total, at + span);
        if (rows->totals) rows->totals[i] = total;
        at += span;
        rows->done = i + 1;
    }
    return TSR_OK;
}

int64_t tessera_read_row(tsr_token_file *file, uint64_t index, int id_bytes, void *ids,
                         uint64_t room) {
    tessera_rows rows = {
        .first = index, .count = 1, .id_bytes = id_bytes, .ids = ids, .room = room};
    uint64_t total;
    rows.totals = &total;
    const tsr_status status = tessera_read_rows(file, &rows);
    if (status == TSR_ERROR_TOO_LARGE && rows.needed) return (int64_t)rows.needed;
    return status ? -(int64_t)status : (int64_t)total;
}
