/* SPDX-License-Identifier: MIT */
/* measure_codes.c: see measure_codes.h. A tile is what positions are counted in. */
#include "measure_codes.h"

#include <stdlib.h>

#include <tessera/scores.h>

enum { MOST_BINS = 1024 };

static tsr_status count_item(tsr_code_use *use, const tsr_token_item *item, uint32_t tokens) {
    const uint32_t *ids = item->ids;
    tsr_status status = TSR_OK;
    const uint64_t tiles = (uint64_t)item->tile_columns * item->tile_rows;
    for (uint64_t i = 0; i < tiles && !status; ids += item->counts[i++]) {
        const uint32_t all = item->counts[i], n = tokens && tokens < all ? tokens : all;
        if (n) status = tsr_code_use_add(use, ids, n);
    }
    return status;
}

static int falling(const void *a, const void *b) {
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x > y ? -1 : x < y;
}

/* Counts from the most used code on, as many as a page shows. */
static void write_histogram(json_out *j, const tsr_code_use *use, uint32_t codes) {
    uint64_t *sorted = malloc((size_t)codes * sizeof *sorted);
    json_array(j, "histogram");
    if (sorted) {
        const uint64_t *counts = tsr_code_use_counts(use);
        for (uint32_t i = 0; i < codes; ++i)
            sorted[i] = counts[i];
        qsort(sorted, codes, sizeof *sorted, falling);
        for (uint32_t i = 0; i < codes && i < MOST_BINS && sorted[i]; ++i)
            json_uint(j, NULL, sorted[i]);
    }
    json_end(j, ']');
    free(sorted);
}

static tsr_status write_codes(json_out *j, const tsr_code_use *use) {
    tsr_code_use_summary s;
    tsr_code_use_summarise(use, &s);
    double *bits = calloc((size_t)s.positions + 1, sizeof *bits);
    if (!bits) return TSR_ERROR_MEMORY;
    const tsr_status status = tsr_code_use_positions(use, bits);
    json_uint(j, "codebook", s.codes);
    json_uint(j, "tokens", s.tokens);
    json_uint(j, "used", s.used);
    json_real(j, "perplexity", s.perplexity);
    json_real(j, "entropy_bits", s.entropy_bits);
    json_array(j, "bits_by_position");
    for (uint32_t i = 0; i < s.positions; ++i)
        json_real(j, NULL, bits[i]);
    json_end(j, ']');
    write_histogram(j, use, s.codes);
    free(bits);
    return status;
}

static tsr_status count_file(tool *t, const char *path, uint32_t tokens, tsr_code_use **use) {
    tsr_token_file *file = NULL;
    tsr_status status = tsr_token_file_open(t->ctx, &file, path);
    const tsr_token_header *header = status ? NULL : tsr_token_file_header(file);
    if (header && header->codebook_size && header->codebook_size <= 1u << 24)
        status = tsr_code_use_open(t->ctx, header->codebook_size, use);
    const uint64_t items = *use ? tsr_token_file_properties(file)->items : 0;
    for (uint64_t i = 0; i < items && !status; ++i) {
        tsr_token_item item;
        /* A damaged item is told where it is compared. */
        if (!tsr_token_file_item(file, i, &item) && item.ids)
            status = count_item(*use, &item, tokens);
    }
    tsr_token_file_close(&file);
    return status;
}

int measure_codes(tool *t, const char *path, uint32_t tokens, tsr_report *report, int index) {
    tsr_code_use *use = NULL;
    char *text = NULL;
    size_t size = 0;
    tsr_status status = count_file(t, path, tokens, &use);
    FILE *file = !status && use ? open_memstream(&text, &size) : NULL;
    if (file) {
        json_out j;
        json_open(&j, file);
        status = write_codes(&j, use);
        json_close(&j);
        if (fclose(file)) status = TSR_ERROR_MEMORY;
        if (!status) status = tsr_report_attach(report, index, "codes", text);
    }
    free(text);
    tsr_code_use_close(&use);
    return status ? tool_fail(t, status) : -1;
}
