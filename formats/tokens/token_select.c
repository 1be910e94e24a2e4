/* SPDX-License-Identifier: MIT */
/* token_select.c: the items that a person names by number, range or key. */
#include "token_layout.h"

#include <stdlib.h>

/* Ranges of items, [count] of them, in the order they were named. What is kept grows with what was
 * named, not with the file. */
typedef struct range {
    uint64_t first, last;
} range;

typedef struct selection {
    tsr_context *ctx;
    tsr_token_file *file;
    uint64_t items;
    range *ranges;
    size_t count, room;
} selection;

static tsr_status add_range(selection *s, uint64_t first, uint64_t last) {
    const tsr_status status =
        tsr_grow(s->ctx, &s->ranges, &s->room, s->count + 1, sizeof *s->ranges, "choice of items");
    if (!status) s->ranges[s->count++] = (range){first, last};
    return status;
}

/* Digits alone, below 2^64; *text moves behind them. */
static bool read_number(const char **text, uint64_t *number) {
    const char *at = *text;
    *number = 0;
    for (; *at >= '0' && *at <= '9'; ++at) {
        if (*number > (UINT64_MAX - 9) / 10) return false;
        *number = *number * 10 + (uint64_t)(*at - '0');
    }
    const bool any = at != *text;
    *text = at;
    return any;
}

/* "3", "1-4", "0,2,5-7": adds the ranges; false, without any, when it is anything else, or beyond
 * the last item. */
static bool numbers(selection *s, const char *text, tsr_status *status) {
    const size_t before = s->count;
    for (;; ++text) {
        uint64_t first, last;
        if (!read_number(&text, &first)) break;
        last = first;
        if (*text == '-' && (++text, !read_number(&text, &last))) break;
        if (last < first || last >= s->items) break;
        if ((*status = add_range(s, first, last)) || !*text) return true;
        if (*text != ',') break;
    }
    s->count = before;
    return false;
}

/* Adds every item of that key; *found says whether there is one. */
static tsr_status by_key(selection *s, const char *text, bool *found) {
    tsr_key_search search = {0};
    uint64_t index;
    bool more = true;
    tsr_status status = TSR_OK;
    *found = false;
    while (!status && more) {
        status = tsr_token_file_next_key(s->file, text, &search, &index, &more);
        if (status || !more) break;
        status = add_range(s, index, index);
        *found = true;
    }
    return status;
}

static tsr_status no_item(const selection *s, const char *text) {
    char clean[200];
    tsr_token_key_clean(text ? text : "", clean, sizeof clean);
    if (!s->items)
        return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT,
                        "item: wanted one of the file, which has none, got '%s'", clean);
    return tsr_fail(s->ctx, TSR_ERROR_ARGUMENT,
                    "item: wanted a number from 0 to %llu, a range of them, or a key, got '%s'",
                    (unsigned long long)s->items - 1, clean);
}

static tsr_status add_all(selection *s, const char *const *texts, int count) {
    if (!count && s->items) return add_range(s, 0, s->items - 1);
    for (int i = 0; i < count; ++i) {
        bool found = true;
        tsr_status status = TSR_OK;
        if (texts[i] && !numbers(s, texts[i], &status)) status = by_key(s, texts[i], &found);
        if (status) return status;
        if (!texts[i] || !found) return no_item(s, texts[i]);
    }
    return TSR_OK;
}

static int by_first(const void *a, const void *b) {
    const range *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

/* Sorts the ranges and makes one of those that touch. Returns how many items they are. */
static uint64_t join(selection *s) {
    uint64_t total = 0;
    size_t kept = 0;
    if (s->count) qsort(s->ranges, s->count, sizeof *s->ranges, by_first);
    for (size_t i = 0; i < s->count; ++i) {
        range *before = kept ? &s->ranges[kept - 1] : NULL;
        if (!before || s->ranges[i].first > before->last)
            s->ranges[kept++] = s->ranges[i];
        else if (s->ranges[i].last > before->last)
            before->last = s->ranges[i].last;
    }
    s->count = kept;
    for (size_t i = 0; i < kept; ++i)
        total += s->ranges[i].last - s->ranges[i].first + 1;
    return total;
}

tsr_status tsr_token_file_select(tsr_token_file *file, const char *const *texts, int count,
                                 uint64_t **indexes, uint64_t *found) {
    if (!file) return TSR_ERROR_ARGUMENT;
    tsr_context *ctx = tsr_token_file_context(file);
    if (!indexes || !found || count < 0 || (count && !texts))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "items: wanted texts and two addresses, got NULL");
    *indexes = NULL;
    *found = 0;
    selection s = {.ctx = ctx, .file = file, .items = tsr_token_file_properties(file)->items};
    tsr_status status = add_all(&s, texts, count);
    const uint64_t total = status ? 0 : join(&s);
    uint64_t *list = status ? NULL : tsr_alloc(ctx, (size_t)total + 1, sizeof *list, "items");
    if (!status && !list) status = TSR_ERROR_MEMORY;
    uint64_t n = 0;
    for (size_t r = 0; r < s.count && !status; ++r)
        for (uint64_t i = s.ranges[r].first; i <= s.ranges[r].last; ++i)
            list[n++] = i;
    free(s.ranges);
    if (status) return status;
    *indexes = list;
    *found = n;
    return TSR_OK;
}
