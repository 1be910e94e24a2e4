/* SPDX-License-Identifier: MIT */
/* safetensors_index.c: weights that are spread over several files ("shards") with an index beside
 * them: {"metadata": {...}, "weight_map": {"name of a tensor": "name of a file", ...}}. */
#include "safetensors_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_INDEX = 64 << 20, MOST_PARTS = 4096 };

static int compare_texts(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name of a file in the index's own folder, and of no other. */
static bool plain_name(const char *name) {
    const size_t n = strlen(name);
    if (n < 13 || n > 255 || name[0] == '.' || strcmp(name + n - 12, ".safetensors") != 0)
        return false;
    for (const char *c = name; *c; ++c)
        if ((uint8_t)*c < 0x20 || *c == 0x7F || *c == '/' || *c == '\\' || *c == ':') return false;
    return true;
}

/* The files of the map, each once, in the byte order of their names. */
static tsr_status list_files(tsr_context *ctx, const char *path, const cJSON *map,
                             const char ***files, int *count) {
    *files = tsr_alloc(ctx, (size_t)cJSON_GetArraySize(map) + 1, sizeof **files, path);
    if (!*files) return TSR_ERROR_MEMORY;
    size_t all = 0;
    for (const cJSON *item = map->child; item; item = item->next) {
        if (!cJSON_IsString(item) || !plain_name(item->valuestring))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: weight_map: %.200s: wanted the name of a .safetensors file in the "
                            "same folder, got %.200s",
                            path, item->string,
                            cJSON_IsString(item) ? item->valuestring : "something else");
        (*files)[all++] = item->valuestring;
    }
    if (all) qsort(*files, all, sizeof **files, compare_texts);
    *count = 0;
    for (size_t i = 0; i < all; ++i) {
        if (i && strcmp((*files)[i], (*files)[i - 1]) == 0) continue;
        if (*count == MOST_PARTS)
            return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: weight_map: wanted at most %d files",
                            path, MOST_PARTS);
        const char *name = (*files)[i];
        (*files)[(*count)++] = name;
    }
    if (!*count)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: weight_map: wanted tensors, got none", path);
    return TSR_OK;
}

static tsr_status add_part(tsr_context *ctx, const char *path, const char *name,
                           tsr_safetensors *file) {
    tsr_safetensors_part *part = &file->parts[file->part_count++];
    const char *slash = strrchr(path, '/');
    part->in = tsr_input_memory(NULL, 0);
    if (asprintf(&part->path, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, name) < 0) {
        part->path = NULL;
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", path);
    }
    tsr_status status = tsr_input_open(ctx, part->path, &part->in);
    if (status == TSR_ERROR_NOT_FOUND)
        return tsr_fail(ctx, status, "%s: named in %s, wanted it beside it, got none", part->path,
                        slash ? slash + 1 : path);
    return status ? status : tsr_safetensors_add(ctx, part->path, file, part);
}

typedef struct named { /* a tensor of the parts */
    const char *name;
    int part;
} named;

static int compare_named(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

/* Every tensor of the map is in the file that the map says. */
static tsr_status check_map(tsr_context *ctx, const char *path, const cJSON *map,
                            const char *const *files, const tsr_safetensors *file) {
    named *list = tsr_alloc(ctx, (size_t)file->count + 1, sizeof *list, path);
    if (!list) return TSR_ERROR_MEMORY;
    for (int i = 0; i < file->count; ++i)
        list[i] = (named){file->entries[i].info.name, file->entries[i].part};
    qsort(list, (size_t)file->count, sizeof *list, compare_named);
    tsr_status status = TSR_OK;
    for (int i = 1; i < file->count && !status; ++i)
        if (strcmp(list[i].name, list[i - 1].name) == 0)
            status = tsr_fail(ctx, TSR_ERROR_FORMAT,
                              "%s: tensor %.200s: wanted once, got twice (in %s and %s)", path,
                              list[i].name, files[list[i - 1].part], files[list[i].part]);
    for (const cJSON *item = map->child; item && !status; item = item->next) {
        const named key = {.name = item->string};
        const named *found = bsearch(&key, list, (size_t)file->count, sizeof *list, compare_named);
        if (!found || strcmp(files[found->part], item->valuestring) != 0)
            status = tsr_fail(ctx, TSR_ERROR_FORMAT,
                              "%s: weight_map: tensor %.200s: wanted it in %.200s, got it in %s",
                              path, item->string, item->valuestring,
                              found ? files[found->part] : "none of the files");
    }
    free(list);
    return status;
}

static tsr_status read_index(tsr_context *ctx, const char *path, const tsr_input *in,
                             cJSON **root) {
    if (in->size > MOST_INDEX)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted an index of at most %d bytes, got %llu", path, MOST_INDEX,
                        (unsigned long long)in->size);
    uint8_t *text = tsr_alloc(ctx, (size_t)in->size + 1, 1, path);
    tsr_status status =
        text ? tsr_input_read(ctx, in, path, 0, text, (size_t)in->size) : TSR_ERROR_MEMORY;
    if (!status) status = tsr_safetensors_check_text(ctx, path, 0, text, (size_t)in->size);
    if (!status) *root = cJSON_ParseWithLength((const char *)text, (size_t)in->size);
    free(text);
    if (!status && !cJSON_IsObject(*root))
        status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted JSON, got something else", path);
    return status;
}

tsr_status tsr_safetensors_add_index(tsr_context *ctx, const char *path, tsr_safetensors *file) {
    tsr_input in;
    cJSON *root = NULL;
    const char **files = NULL;
    int count = 0;
    tsr_status status = tsr_input_open(ctx, path, &in);
    if (status) return status;
    status = read_index(ctx, path, &in, &root);
    tsr_input_close(&in);
    const cJSON *map = root ? cJSON_GetObjectItemCaseSensitive(root, "weight_map") : NULL;
    if (!status && !cJSON_IsObject(map))
        status = tsr_fail(ctx, TSR_ERROR_FORMAT,
                          "%s: wanted the index of a set of .safetensors files (an object "
                          "\"weight_map\"), got other JSON",
                          path);
    if (!status) status = list_files(ctx, path, map, &files, &count);
    if (!status) {
        file->parts = tsr_alloc(ctx, (size_t)count, sizeof *file->parts, path);
        if (!file->parts) status = TSR_ERROR_MEMORY;
    }
    for (int i = 0; i < count && !status; ++i)
        status = add_part(ctx, path, files[i], file);
    if (!status) status = check_map(ctx, path, map, files, file);
    free(files);
    cJSON_Delete(root);
    return status;
}
