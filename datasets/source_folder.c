/* SPDX-License-Identifier: MIT */
/* source_folder.c: what is in a folder and in the folders below it. */
#include "source_parts.h"

#include "../formats/tokens/token_layout.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Folders that were read, by what they are: a link that leads to one of them is a loop, or would
 * bring the same files twice. */
typedef struct identity {
    dev_t device;
    ino_t number;
} identity;

typedef struct walk {
    tsr_source_list *list;
    uint64_t line;
    size_t root; /* bytes of a path before its part below the folder */
    identity *seen;
    size_t seen_count, seen_room;
    char **links; /* folders behind links, which are read when all others have been */
    size_t link_count, link_room;
    uint64_t others;   /* files that are no pictures */
    uint64_t repeated; /* links to folders that were read */
} walk;

typedef struct name {
    char *text;
    bool is_file; /* the folder says so: a million of them need not be asked */
} name;

typedef struct names {
    name *name;
    size_t count, room;
} names;

static void free_names(names *n) {
    for (size_t i = 0; i < n->count; ++i)
        free(n->name[i].text);
    free(n->name);
    *n = (names){0};
}

static int by_name(const void *a, const void *b) {
    return tsr_natural_order(((const name *)a)->text, ((const name *)b)->text);
}

static tsr_status no_memory(walk *w, const char *path) {
    return tsr_fail(w->list->ctx, TSR_ERROR_MEMORY, "%s: no memory for its names", path);
}

/* The names in a folder but for hidden ones, in natural order. *status_of_folder: why it cannot be
 * read. */
static tsr_status read_names(walk *w, const char *path, names *found,
                             tsr_status *status_of_folder) {
    DIR *folder = opendir(path);
    *status_of_folder = folder ? TSR_OK : tsr_fail_errno(w->list->ctx, "%s: open", path);
    if (!folder) return TSR_OK;
    tsr_status status = TSR_OK;
    for (;;) {
        errno = 0;
        const struct dirent *d = readdir(folder);
        if (!d && errno) *status_of_folder = tsr_fail_errno(w->list->ctx, "%s: read", path);
        if (!d || status) break;
        if (d->d_name[0] == '.') continue;
        status = tsr_grow(w->list->ctx, &found->name, &found->room, found->count + 1,
                          sizeof *found->name, "folder");
        if (status) break;
        name *n = &found->name[found->count++];
        *n = (name){.text = strdup(d->d_name)};
#ifdef DT_REG /* not of POSIX, but of Linux, macOS and the BSDs */
        n->is_file = d->d_type == DT_REG;
#endif
        if (!n->text) status = no_memory(w, path);
    }
    closedir(folder);
    if (!status && found->count) qsort(found->name, found->count, sizeof *found->name, by_name);
    return status;
}

static bool was_seen(const walk *w, const struct stat *st) {
    for (size_t i = 0; i < w->seen_count; ++i)
        if (w->seen[i].device == st->st_dev && w->seen[i].number == st->st_ino) return true;
    return false;
}

static tsr_status add_file(walk *w, const char *path) {
    const tsr_name_kind kind = tsr_file_kind(path);
    if (w->list->videos && tsr_is_video_name(path))
        return tsr_list_add(w->list, path, path + w->root, w->line, TSR_SOURCE_VIDEO);
    if (kind == TSR_NAME_OTHER) {
        w->others++;
        return TSR_OK;
    }
    return tsr_list_add(w->list, path, path + w->root, w->line,
                        kind == TSR_NAME_ARCHIVE ? TSR_SOURCE_ARCHIVE : TSR_SOURCE_PICTURE);
}

static tsr_status walk_folder(walk *w, const char *path, const struct stat *st);

/* What stands at `path`: a file, a folder, or a link to one of them. Pipes and devices are left out
 * as files that are no pictures. */
static tsr_status add_path(walk *w, char *path) {
    struct stat st, target;
    if (lstat(path, &st)) {
        const tsr_status status = tsr_fail_errno(w->list->ctx, "%s: look", path);
        return tsr_list_add_bad(w->list, path, w->line, status);
    }
    if (S_ISDIR(st.st_mode)) return walk_folder(w, path, &st);
    if (!S_ISLNK(st.st_mode) || stat(path, &target)) /* a link to nothing fails when it is read */
        target = st;
    if (S_ISREG(target.st_mode) || S_ISLNK(target.st_mode)) return add_file(w, path);
    if (!S_ISDIR(target.st_mode)) {
        w->others++;
        return TSR_OK;
    }
    const tsr_status status = tsr_grow(w->list->ctx, &w->links, &w->link_room, w->link_count + 1,
                                       sizeof *w->links, "links");
    if (status) return status;
    w->links[w->link_count] = strdup(path);
    return w->links[w->link_count++] ? TSR_OK : no_memory(w, path);
}

static tsr_status walk_folder(walk *w, const char *path, const struct stat *st) {
    tsr_status bad, status = tsr_grow(w->list->ctx, &w->seen, &w->seen_room, w->seen_count + 1,
                                      sizeof *w->seen, "folders");
    if (status) return status;
    w->seen[w->seen_count++] = (identity){st->st_dev, st->st_ino};
    names found = {0};
    status = read_names(w, path, &found, &bad);
    if (!status && bad) status = tsr_list_add_bad(w->list, path, w->line, bad);
    const size_t n = strlen(path);
    for (size_t i = 0; i < found.count && !status; ++i) {
        char *below = NULL;
        const name *entry = &found.name[i];
        if (asprintf(&below, "%s%s%s", path, n && path[n - 1] == '/' ? "" : "/", entry->text) < 0)
            below = NULL;
        if (!below)
            status = no_memory(w, path);
        else
            status = entry->is_file ? add_file(w, below) : add_path(w, below);
        free(below);
    }
    free_names(&found);
    return status;
}

/* Folders behind links, after those that were reached without, each once. */
static tsr_status walk_links(walk *w) {
    tsr_status status = TSR_OK;
    for (size_t i = 0; i < w->link_count && !status; ++i) {
        struct stat st;
        char *path = w->links[i]; /* the array may move while it is walked */
        if (stat(path, &st)) continue;
        if (was_seen(w, &st))
            w->repeated++;
        else
            status = walk_folder(w, path, &st);
    }
    return status;
}

static int by_path(const void *a, const void *b) {
    const tsr_list_entry *x = a, *y = b;
    return tsr_natural_order(x->path, y->path);
}

tsr_status tsr_list_add_folder(tsr_source_list *list, const char *folder, uint64_t line) {
    walk w = {.list = list, .line = line, .root = strlen(folder)};
    const size_t first = list->count;
    struct stat st;
    if (w.root && folder[w.root - 1] != '/') w.root++;
    if (stat(folder, &st)) {
        const tsr_status bad = tsr_fail_errno(list->ctx, "%s: open", folder);
        return tsr_list_add_bad(list, folder, line, bad);
    }
    tsr_status status = walk_folder(&w, folder, &st);
    if (!status) status = walk_links(&w);
    if (!status && w.link_count) /* each at the place of its path */
        qsort(list->entries + first, list->count - first, sizeof *list->entries, by_path);
    if (!status && w.others)
        tsr_log(list->ctx, TSR_LOG_INFO,
                "%s: %llu files that are no pictures by their suffix are left out", folder,
                (unsigned long long)w.others);
    if (!status && w.repeated)
        tsr_log(list->ctx, TSR_LOG_INFO, "%s: %llu links to folders that were read are left out",
                folder, (unsigned long long)w.repeated);
    if (!status && list->count == first) {
        const tsr_status bad = tsr_fail(
            list->ctx, TSR_ERROR_NOT_FOUND,
            "%s: wanted pictures or archives in this folder, got none by their suffix", folder);
        status = tsr_list_add_bad(list, folder, line, bad);
    }
    for (size_t i = 0; i < w.link_count; ++i)
        free(w.links[i]);
    free(w.links);
    free(w.seen);
    return status;
}
