/* SPDX-License-Identifier: MIT */
/* item_names.c: see item_names.h. A balanced tree and not a hash table: keys are not ours, and a
 * file could be made whose keys all hash alike. */
#include "item_names.h"
#include "../media/picture_write.h"

#include <errno.h>
#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct given {
    unsigned next; /* the number to try first when this name is wanted once more */
    char name[];
} given;

static int by_name(const void *a, const void *b) {
    return strcmp(((const given *)a)->name, ((const given *)b)->name);
}

/* The entry of a name, made when there is none; *taken says whether there was. */
static given *take(tsr_item_names *names, const char *name, bool *taken) {
    const size_t bytes = strlen(name) + 1;
    given *made = malloc(sizeof *made + bytes);
    if (!made) return NULL;
    made->next = 2;
    memcpy(made->name, name, bytes);
    given **place = tsearch(made, &names->tree, by_name);
    given *found = place ? *place : NULL;
    *taken = found != made;
    if (*taken) free(made);
    return found;
}

enum { MOST_PART = 199, MOST_NAME = 2200 };

/* Does a folder's name end like a picture's? It could then stand where a picture shall. */
static bool looks_like_picture(const char *part, size_t n) {
    char name[MOST_PART + 1];
    snprintf(name, sizeof name, "%.*s", (int)n, part);
    return tsr_picture_is_name(name);
}

/* The key's parts, harmless and without the suffix of the last one, into name[MOST_NAME]. */
static void clean_name(const char *key, char *name) {
    size_t used = 0;
    for (bool last = false; !last && used + 16 < MOST_NAME;) {
        const size_t length = strcspn(key, "/");
        last = !key[length];
        const char *dot = NULL;
        for (size_t i = 0; i < length; ++i)
            if (key[i] == '.') dot = key + i;
        size_t n = last && dot && dot != key ? (size_t)(dot - key) : length;
        if (n > MOST_PART) n = MOST_PART;
        while (n && n < length && ((unsigned char)key[n] & 0xc0) == 0x80)
            n--; /* not in the middle of a character */
        if (used + n + 8 > MOST_NAME) n = MOST_NAME - 8 - used;
        for (size_t i = 0; i < n; ++i) {
            const unsigned char c = (unsigned char)key[i];
            name[used + i] = c < 32 || c == 127 || (c == '.' && i == 0) ? '_' : (char)c;
        }
        used += n;
        if (!n) name[used++] = '_';
        if (!last && looks_like_picture(key, n)) name[used++] = '_';
        if (!last) name[used++] = '/';
        key += length + !last;
    }
    name[used] = 0;
}

char *tsr_item_names_path(tsr_item_names *names, const char *folder, const char *key) {
    char stem[MOST_NAME];
    clean_name(*key ? key : "item", stem);
    bool taken;
    given *first = take(names, stem, &taken), *last = first;
    while (last && taken) { /* names are never given back, so numbers below next stay taken */
        char numbered[MOST_NAME + 20];
        snprintf(numbered, sizeof numbered, "%s-%u", stem, first->next++);
        last = take(names, numbered, &taken);
    }
    if (!last) return NULL;
    const size_t slash = strlen(folder);
    char *path = NULL;
    if (asprintf(&path, "%s%s%s.%s", folder, slash && folder[slash - 1] == '/' ? "" : "/",
                 last->name, names->suffix ? names->suffix : "png") < 0)
        return NULL;
    return path;
}

tsr_status tsr_item_names_make_folders(tsr_context *ctx, const char *folder, char *path) {
    for (char *slash = path + strlen(folder) + 1; (slash = strchr(slash, '/')); ++slash) {
        *slash = 0;
        const bool failed = mkdir(path, 0777) && errno != EEXIST;
        tsr_status status = failed ? tsr_fail_errno(ctx, "%s: making the folder", path) : TSR_OK;
        *slash = '/';
        if (status) return status;
    }
    return TSR_OK;
}

void tsr_item_names_free(tsr_item_names *names) {
    while (names->tree) { /* the root; it becomes NULL with the last entry */
        given *entry = *(given **)names->tree;
        tdelete(entry, &names->tree, by_name);
        free(entry);
    }
}
