/* SPDX-License-Identifier: MIT */
/* Any bytes as the answer of a server, in each dialect, in one piece or as events, cut into pieces:
 * what is accepted is within what was asked for. */
#include <stdlib.h>
#include "alloc_fail.h"
#include "runner/server_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_one(const uint8_t *data, size_t size, unsigned how) {
    tsr_answer_reader r = {.dialect = tsr_dialect_of((tsr_server_dialect)(1 + how % 4)),
                           .vocabulary = 1000,
                           .most_ids = 20,
                           .top_count = how / 4 % 3};
    const size_t piece = 1 + how / 16;
    bool good = true;
    tsr_answer_begin(&r, how & 8);
    for (size_t at = 0; at < size && good; at += piece)
        good = tsr_answer_take(&r, data + at, size - at < piece ? size - at : piece);
    if (good) good = tsr_answer_finish(&r);
    if (!good && !r.wrong[0]) abort();
    if (r.id_count > r.most_ids) abort();
    for (size_t i = 0; i < r.id_count; ++i)
        if (r.ids[i] >= r.vocabulary) abort();
    tsr_answer_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char text[100];
    if (size < 1) return 0;
    read_one(data + 1, size - 1, data[0]);
    alloc_fail_at(size % 16);
    read_one(data + 1, size - 1, data[0]);
    alloc_fail_at(-1);
    tsr_bytes body = {0};
    tsr_bytes_put(&body, data, size);
    if (!body.failed) tsr_refusal_text(&body, text, sizeof text);
    tsr_bytes_free(&body);
    return 0;
}
