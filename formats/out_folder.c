/* SPDX-License-Identifier: MIT */
/* out_folder.c: see out_folder.h. */
#include "out_folder.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)st, (void)kind, (void)where;
    return remove(path);
}

static void remove_tree(const char *path) {
    (void)nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Is there nothing in the folder, or something of ours? */
static bool may_be_replaced(const char *path, const char *mark) {
    char file[4200];
    struct stat st;
    snprintf(file, sizeof file, "%s/%s", path, mark);
    if (strlen(path) < 4096 && stat(file, &st) == 0 && S_ISREG(st.st_mode)) return true;
    DIR *d = opendir(path);
    bool empty = d != NULL;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = !strcmp(e->d_name, ".") || !strcmp(e->d_name, "..");
    if (d) closedir(d);
    return empty;
}

tsr_status tsr_out_folder_check(tsr_context *ctx, const char *path, const char *mark) {
    struct stat st;
    if (!*path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted the name of a folder, got \"\"");
    if (lstat(path, &st) != 0) return TSR_OK;
    if (ctx && ctx->settings.keep_existing)
        return tsr_fail(ctx, TSR_ERROR_EXISTS, "%s: wanted a new name, got that of a %s", path,
                        S_ISDIR(st.st_mode) ? "folder" : "file");
    if (!S_ISDIR(st.st_mode))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted the name of a folder, got that of a file", path);
    if (may_be_replaced(path, mark)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "%s: wanted a new folder, an empty one, or one with a %s to replace, got a "
                    "folder with other files",
                    path, mark);
}

/* ".NAME.tmp-XXXXXXXXXXXX" in the folder of `path`. */
static char *hidden_name(const char *path, const char *what, unsigned attempt) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t z = (uint64_t)now.tv_nsec ^ (uint64_t)now.tv_sec << 30 ^ (uint64_t)getpid() << 44;
    z = (z + attempt) * 0x9E3779B97F4A7C15u;
    char *text = NULL;
    if (asprintf(&text, "%.*s.%.200s.%s-%012llx", (int)(name - path), path, name, what,
                 (unsigned long long)((z ^ z >> 29) & 0xFFFFFFFFFFFFu)) < 0)
        return NULL;
    return text;
}

tsr_status tsr_out_folder_open(tsr_context *ctx, const char *path, const char *mark,
                               tsr_out_folder *folder) {
    *folder = (tsr_out_folder){.ctx = ctx, .mark = mark};
    tsr_status s = tsr_out_folder_check(ctx, path, mark);
    if (s) return s;
    folder->keep = ctx && ctx->settings.keep_existing;
    folder->path = strdup(path);
    for (char *end = folder->path ? folder->path + strlen(path) : NULL;
         end && end > folder->path + 1 && end[-1] == '/';)
        *--end = 0;
    if (!folder->path) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    for (unsigned attempt = 0; !folder->temporary && attempt < 100; ++attempt) {
        char *name = hidden_name(folder->path, "tmp", attempt);
        if (!name) s = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", path);
        if (s) break;
        if (mkdir(name, 0777) == 0) {
            folder->temporary = name;
            return TSR_OK;
        }
        if (errno != EEXIST) s = tsr_fail_errno(ctx, "%s: create in its folder", path);
        free(name);
        if (s) break;
    }
    if (!s) s = tsr_fail(ctx, TSR_ERROR_IO, "%s: no free temporary name in its folder", path);
    tsr_out_folder_abandon(folder);
    return s;
}

tsr_status tsr_out_folder_commit(tsr_out_folder *f) {
    if (!f->temporary) return TSR_OK;
    struct stat st;
    char *old = NULL;
    const bool exists = lstat(f->path, &st) == 0;
    if (exists && f->keep)
        return tsr_fail(f->ctx, TSR_ERROR_EXISTS, "%s: it appeared while its data were written",
                        f->path);
    if (exists) {
        tsr_status s = tsr_out_folder_check(f->ctx, f->path, f->mark);
        if (s) return s;
        if (!(old = hidden_name(f->path, "old", 0)))
            return tsr_fail(f->ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", f->path);
    }
    tsr_status s = TSR_OK;
    if (old && rename(f->path, old) != 0) {
        s = tsr_fail_errno(f->ctx, "%s: replace", f->path);
        free(old);
        old = NULL;
    }
    if (!s && rename(f->temporary, f->path) != 0) {
        s = tsr_fail_errno(f->ctx, "%s: rename", f->path);
        if (old) (void)rename(old, f->path);
    } else if (!s) {
        free(f->temporary);
        f->temporary = NULL;
        if (old) remove_tree(old);
    }
    free(old);
    return s;
}

void tsr_out_folder_abandon(tsr_out_folder *f) {
    if (f->temporary) remove_tree(f->temporary);
    free(f->temporary);
    free(f->path);
    f->temporary = f->path = NULL;
}
