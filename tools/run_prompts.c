/* SPDX-License-Identifier: MIT */
/* run_prompts.c: prompts for a model. */
#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "run_job.h"

enum { MOST_ID_BYTES = 256 << 20 };

int run_prompts_add(tool *t, run_prompts *p, const char *name, uint32_t *ids, size_t count) {
    if (p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 16;
        run_prompt *at = realloc(p->at, room * sizeof *at);
        if (at) p->at = at, p->room = room;
    }
    char *copy = p->count < p->room ? strdup(name) : NULL;
    if (!copy) {
        free(ids);
        return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: memory for its prompt", name);
    }
    p->at[p->count++] = (run_prompt){copy, ids, count};
    return -1;
}

void run_prompts_free(run_prompts *p) {
    for (size_t i = 0; i < p->count; ++i) {
        free(p->at[i].name);
        free(p->at[i].ids);
    }
    free(p->at);
    *p = (run_prompts){0};
}

/* ---- ids as they are ---- */

static int read_whole(tool *t, const char *path, char **bytes, size_t *size) {
    FILE *file = strcmp(path, "-") ? fopen(path, "rb") : stdin;
    if (!file)
        return tool_fail_text(t, errno == ENOENT ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO, "%s: %s",
                              path, strerror(errno));
    size_t room = 0;
    char *all = NULL;
    for (*size = 0;;) {
        if (*size + 65537 > room) {
            room = room ? 2 * room : 1 << 17;
            char *grown = room <= 2 * (size_t)MOST_ID_BYTES ? realloc(all, room) : NULL;
            if (!grown) break;
            all = grown;
        }
        const size_t n = fread(all + *size, 1, 65536, file);
        *size += n;
        if (n < 65536) break;
    }
    const bool whole = feof(file) && !ferror(file);
    if (file != stdin) fclose(file);
    if (!whole || !all || *size > MOST_ID_BYTES) {
        free(all);
        return tool_fail_text(t, TSR_ERROR_IO, "%s: wanted at most 256 MiB that can be read", path);
    }
    all[*size] = 0;
    *bytes = all;
    return -1;
}

static int ids_of_json(tool *t, const char *path, const char *text, size_t size, uint32_t **ids,
                       size_t *count) {
    cJSON *json = cJSON_ParseWithLength(text, size);
    const cJSON *list = cJSON_IsObject(json) ? cJSON_GetObjectItemCaseSensitive(json, "ids") : json;
    int code = -1;
    *count = 0;
    if (!cJSON_IsArray(list) || !cJSON_GetArraySize(list)) {
        code = tool_fail_text(t, TSR_ERROR_FORMAT, "%s: wanted a list of ids in JSON", path);
    } else if (!(*ids = malloc((size_t)cJSON_GetArraySize(list) * sizeof **ids))) {
        code = tool_fail_text(t, TSR_ERROR_MEMORY, "%s: memory for its ids", path);
    } else {
        const cJSON *id;
        cJSON_ArrayForEach(id, list) {
            const double n = cJSON_IsNumber(id) ? id->valuedouble : -1;
            if (!(n >= 0 && n <= INT32_MAX) || n != (double)(uint32_t)n) {
                code = tool_fail_text(t, TSR_ERROR_FORMAT,
                                      "%s: id %zu: wanted a whole number from 0 to 2147483647",
                                      path, *count);
                break;
            }
            (*ids)[(*count)++] = (uint32_t)n;
        }
    }
    if (code >= 0) free(*ids), *ids = NULL;
    cJSON_Delete(json);
    return code;
}

static int ids_of_bytes(tool *t, const char *path, const char *bytes, size_t size, uint32_t **ids,
                        size_t *count) {
    if (!size || size % 4)
        return tool_fail_text(t, TSR_ERROR_FORMAT, "%s: wanted 4 bytes for each id, got %zu bytes",
                              path, size);
    *count = size / 4;
    if (!(*ids = malloc(size)))
        return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: memory for its ids", path);
    for (size_t i = 0; i < *count; ++i) {
        const uint8_t *b = (const uint8_t *)bytes + 4 * i;
        (*ids)[i] =
            (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
    return -1;
}

int run_read_ids(tool *t, const char *path, uint32_t **ids, size_t *count) {
    char *bytes = NULL;
    size_t size = 0;
    *ids = NULL;
    *count = 0;
    int code = read_whole(t, path, &bytes, &size);
    if (code >= 0) return code;
    const size_t length = strlen(path);
    const bool binary = length > 4 && !strcmp(path + length - 4, ".bin");
    code = binary ? ids_of_bytes(t, path, bytes, size, ids, count)
                  : ids_of_json(t, path, bytes, size, ids, count);
    free(bytes);
    return code;
}
