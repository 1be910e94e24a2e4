/* SPDX-License-Identifier: MIT */
/* Any bytes as the frames.json of a folder: whatever is read has names, and times that rise. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include "alloc_fail.h"
#include "media/frames_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const tsr_frames_list *list) {
    bool good = list->count > 0 && list->time_base.num > 0 && list->time_base.den > 0;
    good = good && (list->rate.num > 0) == (list->rate.den > 0);
    for (uint64_t i = 0; i < list->count && good; ++i)
        good = list->frame[i].file && list->frame[i].file[0] && list->frame[i].duration >= 0 &&
               (!i || list->frame[i].pts > list->frame[i - 1].pts);
    if (!good) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_frames_list list;
    if (tsr_context_open(&ctx, NULL)) return 0;
    if (!tsr_frames_list_parse(ctx, "frames.json", data, size, &list)) check(&list);
    tsr_frames_list_free(&list);
    alloc_fail_at((long)(size % 16));
    if (!tsr_frames_list_parse(ctx, "frames.json", data, size, &list)) check(&list);
    alloc_fail_at(-1);
    tsr_frames_list_free(&list);
    tsr_context_close(&ctx);
    return 0;
}
