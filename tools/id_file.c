/* SPDX-License-Identifier: MIT */
/* id_file.c: see id_file.h. */
#include "id_file.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 1 << 30 };

bool id_file_ends(const char *path, const char *suffix) {
    const size_t n = strlen(path), m = strlen(suffix);
    return n >= m && !strcmp(path + n - m, suffix);
}

int id_file_bytes(tool *t, const char *path, char **bytes, size_t *size) {
    const bool input = !strcmp(path, "-");
    FILE *file = input ? stdin : fopen(path, "rb");
    size_t room = 0;
    *bytes = NULL;
    *size = 0;
    if (!file)
        return tool_fail_text(t, errno == ENOENT ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO, "%s: %s",
                              path, strerror(errno));
    int code = -1;
    while (code < 0) {
        if (*size + 1 >= room) {
            room = room ? 2 * room : 1 << 16;
            char *more = room > (size_t)MOST_BYTES + 1 ? NULL : realloc(*bytes, room);
            if (!more) {
                code = tool_fail_text(t, TSR_ERROR_TOO_LARGE,
                                      "%s: wanted at most %d bytes, got more", path, MOST_BYTES);
                break;
            }
            *bytes = more;
        }
        const size_t got = fread(*bytes + *size, 1, room - 1 - *size, file);
        *size += got;
        if (!got) break;
    }
    if (code < 0 && ferror(file))
        code = tool_fail_text(t, TSR_ERROR_IO, "%s: %s", path, strerror(errno));
    if (!input) fclose(file);
    if (code >= 0) {
        free(*bytes);
        *bytes = NULL;
    } else {
        (*bytes)[*size] = '\0';
    }
    return code;
}

/* The list of ids of a document. */
static int read_json(tool *t, const char *path, const char *text, size_t size, uint32_t **ids,
                     uint64_t *count) {
    cJSON *root = cJSON_ParseWithLength(text, size);
    const cJSON *list = root, *item;
    if (cJSON_IsObject(root)) {
        list = cJSON_GetObjectItemCaseSensitive(root, "ids");
        if (!list) list = cJSON_GetObjectItemCaseSensitive(root, "tokens");
    }
    int code = -1;
    uint64_t n = 0;
    if (!cJSON_IsArray(list))
        code =
            tool_fail_text(t, TSR_ERROR_FORMAT,
                           "%s: wanted a list of ids, or an object with \"ids\" or \"tokens\", got "
                           "something else",
                           path);
    else
        *ids = malloc(((size_t)cJSON_GetArraySize(list) + 1) * sizeof **ids);
    if (code < 0 && !*ids) code = tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for ids");
    if (code < 0) {
        cJSON_ArrayForEach(item, list) {
            const double d = cJSON_IsNumber(item) ? item->valuedouble : -1;
            if (!(d >= 0 && d < 4294967295.0) || d != floor(d)) {
                code = tool_fail_text(t, TSR_ERROR_FORMAT,
                                      "%s: id %llu: wanted a whole number from 0 to 2^32 - 2, got "
                                      "another value",
                                      path, (unsigned long long)n);
                break;
            }
            (*ids)[n++] = (uint32_t)d;
        }
    }
    cJSON_Delete(root);
    *count = n;
    return code;
}

int id_file_read(tool *t, const char *path, uint32_t **ids, uint64_t *count) {
    char *bytes;
    size_t size;
    *ids = NULL;
    *count = 0;
    int code = id_file_bytes(t, path, &bytes, &size);
    if (code >= 0) return code;
    if (!id_file_ends(path, ".bin")) {
        code = read_json(t, path, bytes, size, ids, count);
    } else if (size % 4) {
        code = tool_fail_text(t, TSR_ERROR_FORMAT, "%s: wanted a multiple of 4 bytes, got %zu",
                              path, size);
    } else if (!(*ids = malloc(size + 4))) {
        code = tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for ids");
    } else {
        const uint8_t *b = (const uint8_t *)bytes;
        *count = size / 4;
        for (uint64_t i = 0; i < *count; ++i, b += 4)
            (*ids)[i] = b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
    }
    free(bytes);
    if (code >= 0) {
        free(*ids);
        *ids = NULL;
    }
    return code;
}

void id_file_put(FILE *file, const uint32_t *ids, uint64_t count) {
    uint8_t block[4096];
    for (uint64_t i = 0; i < count;) {
        size_t n = 0;
        for (; n < sizeof block && i < count; ++i, n += 4)
            for (int k = 0; k < 4; ++k)
                block[n + (size_t)k] = (uint8_t)(ids[i] >> 8 * k);
        fwrite(block, 1, n, file);
    }
}
