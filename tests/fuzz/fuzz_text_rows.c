/* SPDX-License-Identifier: MIT */
/* Any bytes as rows of texts: what is accepted keeps the header's promises, and the edit distance
 * of its texts lies between the difference of their lengths and the longer of them. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "alloc_fail.h"
#include "must.h"
#include "reduce/text_distance.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_row(const tsr_text_rows *rows, const tsr_text_row *row, void *workspace) {
    const int64_t a = row->reference.count, b = row->prediction.count;
    const int64_t longest = a > b ? a : b;
    MUST(row->group >= 0 && row->group < rows->group_count);
    MUST(row->reference_name >= 0 && row->reference_name < rows->reference_count);
    MUST(a >= 0 && b >= 0 && longest <= rows->longest);
    MUST(!isinf(row->ratio));
    for (int64_t i = 0; i < a; ++i)
        MUST(row->reference.points[i] > 0 && row->reference.points[i] < 0x110000);
    const int64_t d = tsr_edit_distance(row->reference, row->prediction, workspace);
    MUST(d >= llabs(a - b) && d <= longest);
    MUST(d == tsr_edit_distance(row->prediction, row->reference, workspace));
    const tsr_word_scores s = tsr_compare_words(row->reference, row->prediction, workspace);
    MUST(s.precision >= 0 && s.precision <= 1 && s.recall >= 0 && s.recall <= 1);
    MUST(s.f >= 0 && s.f <= 1 && s.bleu >= 0 && s.bleu <= 1 + 1e-9);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_text_rows rows;
    if (tsr_context_open(&ctx, NULL)) return 0;
    const tsr_status status = tsr_text_rows_parse(ctx, "rows", data, size, &rows);
    MUST((status == TSR_OK) == (rows.count > 0));
    void *workspace = malloc(tsr_text_workspace(rows.longest));
    for (int64_t i = 0; workspace && i < rows.count; ++i)
        check_row(&rows, &rows.rows[i], workspace);
    free(workspace);
    tsr_text_rows_close(&rows);
    alloc_fail_at((long)(size % 16));
    tsr_text_rows_parse(ctx, "rows", data, size, &rows);
    alloc_fail_at(-1);
    tsr_text_rows_close(&rows);
    tsr_context_close(&ctx);
    return 0;
}
