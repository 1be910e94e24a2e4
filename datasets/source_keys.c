/* SPDX-License-Identifier: MIT */
/* source_keys.c: the keys of the items that files become, all made before one is read. */
#include "source_parts.h"

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

static void form_key(const char *path, const char *below, tsr_key kind, char *key) {
    const char *slash = strrchr(path, '/');
    if (!strcmp(path, "-"))
        strcpy(key, "stdin");
    else if (kind == TSR_KEY_PATH)
        path_key(below ? below : path, key);
    else
        strcpy(key, slash ? slash + 1 : path);
    char *dot = strrchr(key, '.');
    if (kind == TSR_KEY_STEM && dot && dot != key) *dot = 0;
}

/* Of "clips/a.mp4" "clips/a", of "frames/" "frames": numbers of frames follow. */
static void drop_suffix(char *key) {
    size_t n = strlen(key);
    while (n && key[n - 1] == '/')
        key[--n] = 0;
    char *slash = strrchr(key, '/'), *name = slash ? slash + 1 : key, *dot = strrchr(name, '.');
    if (dot && dot != name) *dot = 0;
}

/* The name in a path, and the '/' behind it of a folder of frames. */
static const char *name_of(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        --n;
    while (n && path[n - 1] != '/')
        --n;
    return path + n;
}

static const char *clean(const char *text, char out[200]) {
    return tsr_token_key_clean(text, out, 200);
}

static bool replace_controls(char *key) {
    bool changed = false;
    for (char *c = key; *c; ++c)
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '_';
            changed = true;
        }
    return changed;
}

/* Counts a key that was changed, and says so of the first ones. */
static void tell_changed(tsr_source_list *list, const char *path, const char *key) {
    if (list->changed++ >= MOST_LINES) return;
    char name[200], shown[200];
    tsr_log(list->ctx, TSR_LOG_WARNING, "%s: control characters in the name: its key is '%s'",
            clean(path, name), clean(key, shown));
}

tsr_status tsr_list_make_key(tsr_source_list *list, tsr_list_entry *e, const char *below) {
    const size_t n = strlen(e->path);
    tsr_status status =
        tsr_grow(list->ctx, &list->scratch, &list->scratch_room, n + sizeof "stdin", 1, "keys");
    if (status) return status;
    tsr_key kind = list->settings.key;
    if (kind == TSR_KEY_AUTO) kind = below || e->line ? TSR_KEY_PATH : TSR_KEY_NAME;
    form_key(e->path, below, kind, list->scratch);
    if (e->kind == TSR_SOURCE_VIDEO) {
        if (kind == TSR_KEY_NAME || kind == TSR_KEY_STEM)
            strcpy(list->scratch, strcmp(e->path, "-") ? name_of(e->path) : "stdin");
        drop_suffix(list->scratch);
    }
    if (replace_controls(list->scratch) && e->kind != TSR_SOURCE_ARCHIVE)
        tell_changed(list, e->path, list->scratch);
    const size_t m = strlen(list->scratch);
    if (m <= n && !strcmp(e->path + n - m, list->scratch)) /* most keys are the end of their path */
        e->key = e->path + n - m;
    else
        e->key = tsr_list_text(list, list->scratch);
    if (!e->key) return TSR_ERROR_MEMORY;
    const char *problem = tsr_token_key_problem(e->key);
    if (!problem || e->named || e->kind == TSR_SOURCE_ARCHIVE) return TSR_OK;
    char name[200];
    tsr_fail(list->ctx, TSR_ERROR_ARGUMENT, "%s: key: wanted %s, got another", clean(e->path, name),
             problem);
    e->status = TSR_ERROR_ARGUMENT;
    e->problem = tsr_list_text(list, tsr_detail(list->ctx));
    return e->problem ? TSR_OK : TSR_ERROR_MEMORY;
}

/* One error for all named inputs that cannot have a key: their number and the first names. */
static tsr_status refuse(tsr_source_list *list) {
    char names[400] = "", name[200];
    const char *why = NULL;
    int bad = 0;
    for (size_t i = 0; i < list->count; ++i) {
        const tsr_list_entry *e = &list->entries[i];
        const char *problem =
            e->named && e->kind != TSR_SOURCE_ARCHIVE ? tsr_token_key_problem(e->key) : NULL;
        if (!problem) continue;
        const size_t used = strlen(names);
        if (!why) why = problem;
        if (bad++ < 4)
            snprintf(names + used, sizeof names - used, "%s%.80s", used ? ", " : "",
                     clean(e->path, name));
    }
    if (!bad) return TSR_OK;
    return tsr_fail(list->ctx, TSR_ERROR_ARGUMENT, "key: wanted %s, got %d %s%s%s%s", why, bad,
                    bad == 1 ? "picture " : "pictures: ", bad == 1 ? "with another: " : "", names,
                    bad > 4 ? " ..." : "");
}

/* An entry by the hash of its key: comparing numbers is what makes a million keys quick. */
typedef struct numbered {
    uint64_t hash;
    size_t index;
} numbered;

static int by_hash(const void *a, const void *b) {
    const numbered *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Pictures first, second (another file) and `count` in all have one key. */
typedef struct alike {
    const tsr_list_entry *first, *second;
    size_t count;
} alike;

static int by_key(const void *a, const void *b) {
    const alike *x = a, *y = b;
    return strcmp(x->first->key, y->first->key);
}

static void tell_alike(tsr_source_list *list, alike *groups, size_t count, size_t all) {
    qsort(groups, count, sizeof *groups, by_key);
    for (size_t i = 0; i < count; ++i) {
        char key[200], first[200], second[200];
        tsr_log(list->ctx, TSR_LOG_WARNING, "%zu pictures have the key '%s': %s, %s%s",
                groups[i].count, clean(groups[i].first->key, key),
                clean(groups[i].first->path, first), clean(groups[i].second->path, second),
                groups[i].count > 2 ? " ..." : "");
    }
    if (all > count)
        tsr_log(list->ctx, TSR_LOG_WARNING, "%zu more keys are those of several pictures",
                all - count);
}

/* Counts keys that were there before, and names some. */
static void find_equal(tsr_source_list *list, const numbered *sorted, size_t count) {
    alike groups[MOST_LINES];
    size_t told = 0, all = 0;
    for (size_t i = 0, end; i < count; i = end) {
        alike g = {.first = &list->entries[sorted[i].index], .count = 1};
        for (end = i + 1; end < count && sorted[end].hash == sorted[i].hash; ++end) {
            const tsr_list_entry *e = &list->entries[sorted[end].index];
            if (strcmp(e->key, g.first->key)) continue; /* the hashes alone are alike */
            g.count++;
            /* one picture that is named several times surprises nobody */
            if (!g.second && strcmp(e->path, g.first->path)) g.second = e;
        }
        list->equal += g.count - 1;
        if (g.second && all++ < MOST_LINES) groups[told++] = g;
    }
    tell_alike(list, groups, told, all);
}

tsr_status tsr_list_check_keys(tsr_source_list *list) {
    if (list->changed > MOST_LINES)
        tsr_log(list->ctx, TSR_LOG_WARNING,
                "%llu more names with control characters: '_' stands for them",
                (unsigned long long)list->changed - MOST_LINES);
    const tsr_status status = refuse(list);
    if (status) return status;
    numbered *sorted = tsr_alloc(list->ctx, list->count, sizeof *sorted, "keys");
    if (!sorted) return TSR_ERROR_MEMORY;
    size_t count = 0;
    for (size_t i = 0; i < list->count; ++i) {
        const tsr_list_entry *e = &list->entries[i];
        if (e->kind == TSR_SOURCE_ARCHIVE || e->problem) continue;
        sorted[count++] = (numbered){tsr_hash64(e->key, strlen(e->key), 0), i};
    }
    qsort(sorted, count, sizeof *sorted, by_hash);
    find_equal(list, sorted, count);
    free(sorted);
    return TSR_OK;
}

tsr_status tsr_list_add(tsr_source_list *list, const char *path, const char *below, uint64_t line,
                        tsr_source_kind kind) {
    tsr_list_entry *e = tsr_list_add_entry(list, path, line, kind);
    if (!e) return TSR_ERROR_MEMORY;
    e->named = !below && !line;
    return tsr_list_make_key(list, e, below ? e->path + (below - path) : NULL);
}
