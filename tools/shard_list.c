/* SPDX-License-Identifier: MIT */
/* shard_list.c: see shard_list.h. */
#include "shard_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

bool shard_is_folder(const char *path) {
    struct stat st;
    return strcmp(path, "-") != 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Takes `path`, which may be NULL: no memory. */
static int add(tool *t, shard_list *l, char *path) {
    if (path && l->count == l->room) {
        const size_t room = l->room ? 2 * l->room : 64;
        char **more = realloc(l->at, room * sizeof *more);
        if (more) {
            l->at = more;
            l->room = room;
        } else {
            free(path);
            path = NULL;
        }
    }
    if (!path) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for the names of files");
    l->at[l->count++] = path;
    return -1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_shard(const char *name) {
    const size_t n = strlen(name);
    return name[0] != '.' && n > 5 && strcmp(name + n - 5, ".tess") == 0;
}

int shard_list_add(tool *t, shard_list *l, const char *path) {
    struct stat st;
    if (strcmp(path, "-") == 0) return add(t, l, strdup(path));
    if (stat(path, &st) != 0)
        return tool_fail_text(t, errno == ENOENT ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO, "%s: %s",
                              path, strerror(errno));
    if (!S_ISDIR(st.st_mode)) return add(t, l, strdup(path));
    DIR *dir = opendir(path);
    if (!dir) return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", path, strerror(errno));
    const size_t before = l->count;
    const char *slash = path[strlen(path) - 1] == '/' ? "" : "/";
    int code = -1;
    for (struct dirent *e; code < 0 && (e = readdir(dir)) != NULL;) {
        char *name = NULL;
        if (!is_shard(e->d_name)) continue;
        if (asprintf(&name, "%s%s%s", path, slash, e->d_name) < 0) name = NULL;
        code = add(t, l, name);
    }
    closedir(dir);
    if (code >= 0) return code;
    if (l->count == before)
        return tool_fail_text(t, TSR_ERROR_NOT_FOUND, "%s: wanted token files (*.tess), got none",
                              path);
    qsort(l->at + before, l->count - before, sizeof *l->at, by_name);
    return -1;
}

void shard_list_free(shard_list *l) {
    for (size_t i = 0; i < l->count; ++i)
        free(l->at[i]);
    free(l->at);
    *l = (shard_list){0};
}
