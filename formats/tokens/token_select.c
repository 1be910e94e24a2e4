/* SPDX-License-Identifier: MIT */
/* token_select.c: the items that a person names by number, range or key. */
#include "token_layout.h"

#include <stdlib.h>

typedef struct selection {
    tsr_token_file *file;
    uint8_t *chosen; /* [items] */
    uint64_t items;
} selection;

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

/* "3", "1-4", "0,2,5-7": marks the items if `mark`; false when it is anything else, or beyond the
 * last item. */
static bool numbers(selection *s, const char *text, bool mark) {
    for (;; ++text) {
        uint64_t first, last;
        if (!read_number(&text, &first)) return false;
        last = first;
        if (*text == '-' && (++text, !read_number(&text, &last))) return false;
        if (last < first || last >= s->items) return false;
        if (mark) memset(s->chosen + first, 1, (size_t)(last - first + 1));
        if (!*text) return true;
        if (*text != ',') return false;
    }
}

/* Marks every item of that key; *found says whether there is one. */
static tsr_status by_key(selection *s, const char *text, bool *found) {
    *found = false;
    for (uint64_t i = 0; i < s->items; ++i) {
        const char *key;
        tsr_status status = tsr_token_file_item_key(s->file, i, &key);
        if (status == TSR_ERROR_MEMORY) return status;
        if (status || strcmp(key, text) != 0) continue;
        s->chosen[i] = 1;
        *found = true;
    }
    return TSR_OK;
}

static tsr_status no_item(tsr_context *ctx, const selection *s, const char *text) {
    char clean[200];
    tsr_token_key_clean(text ? text : "", clean, sizeof clean);
    if (!s->items)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "item: wanted one of the file, which has none, got '%s'", clean);
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "item: wanted a number from 0 to %llu, a range of them, or a key, got '%s'",
                    (unsigned long long)s->items - 1, clean);
}

static tsr_status mark_all(tsr_context *ctx, selection *s, const char *const *texts, int count) {
    for (int i = 0; i < count; ++i) {
        bool found = true;
        tsr_status status = TSR_OK;
        if (texts[i] && numbers(s, texts[i], false))
            numbers(s, texts[i], true);
        else if (texts[i])
            status = by_key(s, texts[i], &found);
        if (status) return status;
        if (!texts[i] || !found) return no_item(ctx, s, texts[i]);
    }
    return TSR_OK;
}

tsr_status tsr_token_file_select(tsr_token_file *file, const char *const *texts, int count,
                                 uint64_t **indexes, uint64_t *found) {
    if (!file) return TSR_ERROR_ARGUMENT;
    tsr_context *ctx = tsr_token_file_context(file);
    if (!indexes || !found || count < 0 || (count && !texts))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "items: wanted texts and two addresses, got NULL");
    *indexes = NULL;
    *found = 0;
    const uint64_t items = tsr_token_file_properties(file)->items;
    selection s = {.file = file, .items = items};
    s.chosen = tsr_alloc(ctx, (size_t)items + 1, 1, "choice of items");
    uint64_t *list = tsr_alloc(ctx, (size_t)items + 1, sizeof *list, "choice of items");
    tsr_status status = s.chosen && list ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = mark_all(ctx, &s, texts, count);
    uint64_t n = 0;
    for (uint64_t i = 0; i < items && !status; ++i)
        if (!count || s.chosen[i]) list[n++] = i;
    free(s.chosen);
    if (status) {
        free(list);
        return status;
    }
    *indexes = list;
    *found = n;
    return TSR_OK;
}
