/* SPDX-License-Identifier: MIT */
/* config_file.c: see config_file.h. */
#include "config_file.h"
#include "../file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_json_file_beside(tsr_context *ctx, const char *path, const char *file,
                                cJSON **json) {
    const char *slash = strrchr(path, '/');
    char *beside = NULL;
    *json = NULL;
    if (asprintf(&beside, "%.*s%s", slash ? (int)(slash - path + 1) : 0, path, file) < 0)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    tsr_map map = {0};
    tsr_status status = tsr_map_open(ctx, beside, &map);
    if (!status && map.size > (8u << 20))
        status = tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most 8 MiB, got %zu bytes",
                          beside, map.size);
    if (!status) *json = cJSON_ParseWithLength((const char *)map.bytes, map.size);
    tsr_map_close(&map);
    if (!status && !cJSON_IsObject(*json)) {
        status =
            tsr_fail(ctx, TSR_ERROR_MODEL, "%s: wanted a JSON object, got something else", beside);
        cJSON_Delete(*json);
        *json = NULL;
    }
    free(beside);
    return status;
}

tsr_status tsr_config_file_read(tsr_context *ctx, const char *path, cJSON **json) {
    return tsr_json_file_beside(ctx, path, "config.json", json);
}
