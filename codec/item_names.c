/* SPDX-License-Identifier: MIT */
/* item_names.c: see item_names.h. A balanced tree and not a hash table: keys are not ours, and a
 * file could be made whose keys all hash alike. */
#include "item_names.h"

#include <search.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

char *tsr_item_names_path(tsr_item_names *names, const char *folder, const char *key) {
    char stem[200];
    snprintf(stem, sizeof stem, "%s", *key ? key : "item");
    char *dot = strrchr(stem, '.');
    if (dot && dot != stem) *dot = 0;
    for (char *c = stem; *c; ++c)
        if (*c == '/' || (unsigned char)*c < 32) *c = '_';
    if (stem[0] == '.') stem[0] = '_';
    bool taken;
    given *first = take(names, stem, &taken), *last = first;
    while (last && taken) { /* names are never given back, so numbers below next stay taken */
        char numbered[220];
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

void tsr_item_names_free(tsr_item_names *names) {
    while (names->tree) { /* the root; it becomes NULL with the last entry */
        given *entry = *(given **)names->tree;
        tdelete(entry, &names->tree, by_name);
        free(entry);
    }
}
