/* SPDX-License-Identifier: MIT */
/* item_keys.c: see item_keys.h. */
#include "item_keys.h"
#include "../compute/context.h"
#include "../formats/tokens/token_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_LINES = 10 };

/* The path without its root and without "." and ".." parts, into key[strlen(path) + 1]. */
static void path_key(const char *path, char *key) {
    size_t used = 0;
    for (const char *part = path; *part;) {
        const size_t n = strcspn(part, "/");
        const bool up = n == 2 && !memcmp(part, "..", 2);
        if (up) { /* takes the part before it away */
            while (used && key[--used] != '/') {
            }
        } else if (n && !(n == 1 && *part == '.')) {
            if (used) key[used++] = '/';
            memcpy(key + used, part, n);
            used += n;
        }
        part += n + (part[n] == '/');
    }
    key[used] = 0;
}

static char *make_key(const char *input, tsr_key kind, bool *changed) {
    const char *slash = strrchr(input, '/');
    char *key = malloc(strlen(input) + sizeof "stdin");
    if (!key) return NULL;
    if (!strcmp(input, "-"))
        strcpy(key, "stdin");
    else if (kind == TSR_KEY_PATH)
        path_key(input, key);
    else
        strcpy(key, slash ? slash + 1 : input);
    *changed = false;
    for (char *c = key; *c; ++c)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '_';
            *changed = true;
        }
    return key;
}

static const char *clean(const char *text, char out[200]) {
    return tsr_token_key_clean(text, out, 200);
}

/* One error for all inputs that cannot have a key: their number and the first names. */
static tsr_status refuse(tsr_context *ctx, const char *const *inputs, const tsr_item_keys *keys) {
    char names[400] = "", name[200];
    const char *why = NULL;
    int bad = 0;
    for (int i = 0; i < keys->count; ++i) {
        const char *problem = tsr_token_key_problem(keys->key[i]);
        if (!problem) continue;
        const size_t used = strlen(names);
        if (!why) why = problem;
        if (bad++ < 4)
            snprintf(names + used, sizeof names - used, "%s%.80s", used ? ", " : "",
                     clean(inputs[i], name));
    }
    if (!bad) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "key: wanted %s, got %d %s%s%s%s", why, bad,
                    bad == 1 ? "picture " : "pictures: ", bad == 1 ? "with another: " : "", names,
                    bad > 4 ? " ..." : "");
}

typedef struct numbered {
    const char *key;
    int index;
} numbered;

static int by_key(const void *a, const void *b) {
    const numbered *x = a, *y = b;
    const int order = strcmp(x->key, y->key);
    return order ? order : x->index - y->index;
}

/* Counts keys that were there before, and names some. */
static tsr_status find_equal(tsr_context *ctx, const char *const *inputs, tsr_item_keys *keys) {
    numbered *list = tsr_alloc(ctx, (size_t)keys->count, sizeof *list, "keys");
    if (!list) return TSR_ERROR_MEMORY;
    for (int i = 0; i < keys->count; ++i)
        list[i] = (numbered){keys->key[i], i};
    qsort(list, (size_t)keys->count, sizeof *list, by_key);
    int groups = 0;
    for (int i = 0, end; i < keys->count; i = end) {
        for (end = i + 1; end < keys->count && !strcmp(list[end].key, list[i].key);)
            ++end;
        if (end == i + 1) continue;
        keys->equal += (uint64_t)(end - i - 1);
        int other = i + 1; /* one picture that is named several times surprises nobody */
        while (other < end && !strcmp(inputs[list[other].index], inputs[list[i].index]))
            ++other;
        if (other == end) continue;
        if (groups++ >= MOST_LINES) continue;
        char key[200], first[200], second[200];
        tsr_log(ctx, TSR_LOG_WARNING, "%d pictures have the key '%s': %s, %s%s", end - i,
                clean(list[i].key, key), clean(inputs[list[i].index], first),
                clean(inputs[list[other].index], second), end > i + 2 ? " ..." : "");
    }
    if (groups > MOST_LINES)
        tsr_log(ctx, TSR_LOG_WARNING, "%d more keys are those of several pictures",
                groups - MOST_LINES);
    free(list);
    return TSR_OK;
}

tsr_status tsr_item_keys_make(tsr_context *ctx, const char *const *inputs, int count, tsr_key kind,
                              tsr_item_keys *keys) {
    *keys = (tsr_item_keys){0};
    if (kind != TSR_KEY_NAME && kind != TSR_KEY_PATH)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "key: wanted 0 or 1, got %d", (int)kind);
    keys->key = tsr_alloc(ctx, (size_t)count, sizeof *keys->key, "keys");
    if (!keys->key) return TSR_ERROR_MEMORY;
    for (int i = 0; i < count; ++i) {
        bool changed = false;
        keys->key[i] = make_key(inputs[i], kind, &changed);
        if (!keys->key[i]) {
            tsr_item_keys_free(keys);
            return tsr_fail(ctx, TSR_ERROR_MEMORY, "keys: no memory for %d", count);
        }
        keys->count = i + 1;
        if (!changed || keys->changed++ >= MOST_LINES) continue;
        char name[200], key[200];
        tsr_log(ctx, TSR_LOG_WARNING, "%s: control characters in the name: its key is '%s'",
                clean(inputs[i], name), clean(keys->key[i], key));
    }
    if (keys->changed > MOST_LINES)
        tsr_log(ctx, TSR_LOG_WARNING,
                "%llu more names with control characters: '_' stands for them",
                (unsigned long long)keys->changed - MOST_LINES);
    tsr_status status = refuse(ctx, inputs, keys);
    if (!status) status = find_equal(ctx, inputs, keys);
    if (status) tsr_item_keys_free(keys);
    return status;
}

void tsr_item_keys_free(tsr_item_keys *keys) {
    for (int i = 0; i < keys->count; ++i)
        free(keys->key[i]);
    free(keys->key);
    *keys = (tsr_item_keys){0};
}
