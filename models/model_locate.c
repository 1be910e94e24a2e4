/* SPDX-License-Identifier: MIT */
/* model_locate.c: which file or folder the name of a model means: a path, a published model in
 * Tessera's cache, or a repository in the cache that Hugging Face's own tools keep. Looks at the
 * environment and at folders, never at a network. */
#define TESSERA_EXPERIMENTAL
#include <tessera/models.h>

#include "../compute/context.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "https://huggingface.co/ORG/NAME/resolve/REVISION/FILE", in its parts. */
typedef struct hub_address {
    char repository[200], revision[100], file[300];
} hub_address;

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static tsr_status print(tsr_context *ctx, char **text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static tsr_status print(tsr_context *ctx, char **text, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int n = vasprintf(text, format, list);
    va_end(list);
    if (n >= 0) return TSR_OK;
    *text = NULL;
    return tsr_fail(ctx, TSR_ERROR_MEMORY, "no memory for a path");
}

/* Words of repositories, revisions and files go into paths: no separators, nothing hidden. */
static bool is_plain(const char *text, size_t length) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    return length > 0 && length < 128 && text[0] != '.' && text[0] != '-' &&
           strspn(text, letters) >= length;
}

static bool is_repository(const char *name) {
    const char *slash = strchr(name, '/');
    return slash && is_plain(name, (size_t)(slash - name)) && !strchr(slash + 1, '/') &&
           is_plain(slash + 1, strlen(slash + 1));
}

static bool parse_address(const char *url, hub_address *a) {
    static const char hub[] = "https://huggingface.co/", resolve[] = "/resolve/";
    if (strncmp(url, hub, sizeof hub - 1) != 0) return false;
    const char *name = url + sizeof hub - 1, *middle = strstr(name, resolve);
    if (!middle) return false;
    const char *revision = middle + sizeof resolve - 1, *slash = strchr(revision, '/');
    if (!slash || strlen(slash + 1) >= sizeof a->file ||
        (size_t)(middle - name) >= sizeof a->repository ||
        (size_t)(slash - revision) >= sizeof a->revision ||
        !is_plain(revision, (size_t)(slash - revision)))
        return false;
    snprintf(a->repository, sizeof a->repository, "%.*s", (int)(middle - name), name);
    snprintf(a->revision, sizeof a->revision, "%.*s", (int)(slash - revision), revision);
    snprintf(a->file, sizeof a->file, "%s", slash + 1);
    for (const char *part = a->file; part;) {
        size_t length = strcspn(part, "/");
        if (!is_plain(part, length)) return false;
        part = part[length] ? part + length + 1 : NULL;
    }
    return is_repository(a->repository);
}

/* ---- Hugging Face's cache ---- */

/* "~/x" as Python's expanduser has it: such values come from files that no shell has read. */
static tsr_status expand(tsr_context *ctx, const char *value, const char *tail, char **path) {
    const char *home = getenv("HOME");
    if (value[0] == '~' && (value[1] == '/' || !value[1]) && home)
        return print(ctx, path, "%s%s%s", home, value + 1, tail);
    return print(ctx, path, "%s%s", value, tail);
}

/* The folder of all repositories; *path NULL when the environment names none. */
static tsr_status find_hub(tsr_context *ctx, char **path) {
    static const struct {
        const char *variable, *tail;
    } places[] = {{"HF_HUB_CACHE", ""},
                  {"HUGGINGFACE_HUB_CACHE", ""},
                  {"HF_HOME", "/hub"},
                  {"XDG_CACHE_HOME", "/huggingface/hub"},
                  {"HOME", "/.cache/huggingface/hub"}};
    *path = NULL;
    for (size_t i = 0; i < sizeof places / sizeof *places; ++i) {
        const char *value = getenv(places[i].variable);
        if (value && *value) return expand(ctx, value, places[i].tail, path);
    }
    return TSR_OK;
}

/* The commit a reference file names. What it holds goes into a path, so anything else is refused.
 */
static bool read_reference(const char *path, char commit[128]) {
    FILE *file = is_file(path) ? fopen(path, "rb") : NULL;
    if (!file) return false;
    size_t n = fread(commit, 1, 127, file);
    fclose(file);
    commit[n] = 0;
    n = strcspn(commit, " \r\n");
    if (commit[n + strspn(commit + n, " \r\n")]) return false;
    commit[n] = 0;
    return is_plain(commit, n);
}

/* The name of the only folder in `snapshots`; false when there is none, or a choice. */
static bool only_snapshot(const char *snapshots, char commit[128]) {
    int count = 0;
    DIR *folder = opendir(snapshots);
    for (struct dirent *entry; folder && (entry = readdir(folder));)
        if (is_plain(entry->d_name, strlen(entry->d_name)) && ++count == 1)
            snprintf(commit, 128, "%.127s", entry->d_name);
    if (folder) closedir(folder);
    return count == 1;
}

/* The folder of a repository's files at a revision; *path NULL when it is not there. */
static tsr_status find_snapshot(tsr_context *ctx, const char *repository, const char *revision,
                                char **path) {
    const int organisation = (int)strcspn(repository, "/");
    char *hub = NULL, *model = NULL, *file = NULL, commit[128] = "";
    *path = NULL;
    tsr_status status = find_hub(ctx, &hub);
    if (!status && hub)
        status = print(ctx, &model, "%s/models--%.*s--%s", hub, organisation, repository,
                       repository + organisation + 1);
    free(hub);
    if (!status && model) status = print(ctx, &file, "%s/refs/%s", model, revision);
    if (!status && model && !read_reference(file, commit)) {
        free(file);
        status = print(ctx, &file, "%s/snapshots", model);
        /* A download by commit writes no reference. */
        if (!status && !only_snapshot(file, commit))
            snprintf(commit, sizeof commit, "%s", revision);
    }
    if (!status && model) status = print(ctx, path, "%s/snapshots/%s", model, commit);
    free(file);
    free(model);
    if (*path && !is_folder(*path)) {
        free(*path);
        *path = NULL;
    }
    return status;
}

/* *path NULL when the file is not there. */
static tsr_status find_hub_file(tsr_context *ctx, const char *url, char **path) {
    hub_address a;
    char *snapshot = NULL;
    *path = NULL;
    if (!parse_address(url, &a)) return TSR_OK;
    tsr_status status = find_snapshot(ctx, a.repository, a.revision, &snapshot);
    if (!status && snapshot) status = print(ctx, path, "%s/%s", snapshot, a.file);
    free(snapshot);
    if (*path && !is_file(*path)) { /* also a link to bytes that are gone */
        free(*path);
        *path = NULL;
    }
    return status;
}

tsr_status tsr_hub_cached_file(tsr_context *ctx, const char *url, char **path) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!url || !path) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "hub file: wanted addresses");
    tsr_status status = find_hub_file(ctx, url, path);
    if (!status && !*path)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted it in Hugging Face's cache, got none",
                        url);
    return status;
}

/* ---- Tessera's cache ---- */

tsr_status tsr_cache_folder(tsr_context *ctx, const char *name, char **path) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!name || !path) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "cache: wanted addresses");
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    *path = NULL;
    if (!is_plain(name, strlen(name)))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted the name of a published model", name);
    if (cache && *cache == '/') return print(ctx, path, "%s/tessera/%s", cache, name);
    if (home && *home == '/') return print(ctx, path, "%s/.cache/tessera/%s", home, name);
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "neither XDG_CACHE_HOME nor HOME is set");
}

static bool is_safetensors(const char *name) {
    static const char suffix[] = ".safetensors";
    const size_t n = strlen(name), m = sizeof suffix - 1;
    return n > m && strcmp(name + n - m, suffix) == 0;
}

/* The path of file `file` of a model in one of the two caches; *path NULL when it is not there. */
static tsr_status find_file(tsr_context *ctx, const tsr_catalog_file *f, const char *folder,
                            bool in_hub, char **path) {
    *path = NULL;
    if (in_hub) return find_hub_file(ctx, f->url, path);
    if (!folder) return TSR_OK;
    tsr_status status = print(ctx, path, "%s/%s", folder, f->name);
    if (!status && !is_file(*path)) {
        free(*path);
        *path = NULL;
    }
    return status;
}

/* The weights, where all files of the model are in the same cache; else *path stays NULL. */
static tsr_status find_whole(tsr_context *ctx, const tsr_catalog *catalog, int index,
                             const char *folder, bool in_hub, char **path) {
    tsr_catalog_model m;
    tsr_catalog_at(catalog, index, &m);
    *path = NULL;
    for (int i = 0; i < m.file_count; ++i) {
        tsr_catalog_file f;
        char *found = NULL;
        tsr_catalog_file_at(catalog, index, i, &f);
        tsr_status status = find_file(ctx, &f, folder, in_hub, &found);
        if (!found) {
            free(*path);
            *path = NULL;
            return status;
        }
        if (i == 0)
            *path = found;
        else
            free(found);
    }
    return TSR_OK;
}

static tsr_status fail_missing(tsr_context *ctx, const tsr_catalog_model *m,
                               const tsr_catalog_file *weights, const char *folder) {
    char size[64] = "size not known";
    const uint64_t bytes = weights->size ? weights->size : weights->about;
    if (bytes)
        snprintf(size, sizeof size, "%s%.1f MB", weights->size ? "" : "about ",
                 (double)bytes / 1e6);
    return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                    "%s: wanted its weights in %s or in Hugging Face's cache, got none: `tessera "
                    "fetch %s` brings them (%s; licence: %s)",
                    m->name, folder ? folder : "the cache", m->name, size, m->licence_title);
}

/* Weights that are published in torch's format are used once they are converted; the result is
 * looked for under one name, so that the name of the model means it from then on. */
static tsr_status fail_torch(tsr_context *ctx, const tsr_catalog_model *m, const char *weights,
                             const char *folder) {
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: wanted .safetensors, got the torch file %s: run `%s%s%stessera model "
                    "convert %s %s/model.safetensors` once",
                    m->name, weights, is_folder(folder) ? "" : "mkdir -p ",
                    is_folder(folder) ? "" : folder, is_folder(folder) ? "" : " && ", weights,
                    folder);
}

static tsr_status locate_published(tsr_context *ctx, const tsr_catalog *catalog, int index,
                                   char **path) {
    tsr_catalog_model m;
    tsr_catalog_file weights;
    char *folder = NULL, *converted = NULL, *found = NULL;
    tsr_catalog_at(catalog, index, &m);
    tsr_catalog_file_at(catalog, index, 0, &weights);
    tsr_status status = tsr_cache_folder(ctx, m.name, &folder);
    if (status == TSR_ERROR_ARGUMENT) status = TSR_OK; /* no place of its own: the hub's may do */
    const bool torch = !is_safetensors(weights.name);
    if (!status && folder && torch) status = print(ctx, &converted, "%s/model.safetensors", folder);
    if (converted && is_file(converted)) {
        found = converted;
        converted = NULL;
    } else {
        if (!status) status = find_whole(ctx, catalog, index, folder, false, &found);
        if (!status && !found) status = find_whole(ctx, catalog, index, folder, true, &found);
        if (!status && !found)
            status = fail_missing(ctx, &m, &weights, folder);
        else if (!status && torch)
            status = fail_torch(ctx, &m, found, folder ? folder : ".");
    }
    free(folder);
    free(converted);
    if (status)
        free(found);
    else
        *path = found;
    return status;
}

/* The model whose weights are published in this repository, or -1. */
static int find_by_repository(const tsr_catalog *catalog, const char *repository) {
    for (int i = 0; i < tsr_catalog_count(catalog); ++i) {
        tsr_catalog_file f;
        hub_address a;
        tsr_catalog_file_at(catalog, i, 0, &f);
        if (parse_address(f.url, &a) && strcmp(a.repository, repository) == 0) return i;
    }
    return -1;
}

static tsr_status locate_name(tsr_context *ctx, const tsr_catalog *catalog, const char *name,
                              char **path) {
    const bool repository = is_repository(name);
    int index = tsr_catalog_find(catalog, name);
    if (index < 0 && repository) index = find_by_repository(catalog, name);
    if (index >= 0) return locate_published(ctx, catalog, index, path);
    if (!repository)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                        "%s: wanted a file, a folder or the name of a published model, got none "
                        "of them",
                        name);
    tsr_status status = find_snapshot(ctx, name, "main", path);
    if (!status && !*path)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                        "%s: wanted a file, a folder or a repository in Hugging Face's cache, got "
                        "none of them",
                        name);
    return status;
}

tsr_status tsr_model_locate(tsr_context *ctx, const char *name, char **path) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!name || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "model: %s: wanted an address, got NULL",
                        name ? "path" : "name");
    *path = NULL;
    struct stat st;
    if (strcmp(name, "-") == 0 || stat(name, &st) == 0) return print(ctx, path, "%s", name);
    tsr_catalog *catalog = NULL;
    tsr_status status = tsr_catalog_open(ctx, NULL, &catalog);
    if (!status) status = locate_name(ctx, catalog, name, path);
    tsr_catalog_close(&catalog);
    return status;
}
