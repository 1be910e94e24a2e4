/* SPDX-License-Identifier: MIT */
/* devices_json.c: the device list as text for programs. */
#define TESSERA_EXPERIMENTAL
#include <tessera/tessera.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "device.h"

static cJSON *device_json(const tsr_device_info *d) {
    cJSON *o = cJSON_CreateObject();
    char name[32];
    if (d->kind == TSR_DEVICE_CPU)
        snprintf(name, sizeof name, "cpu");
    else
        snprintf(name, sizeof name, "vulkan:%d", d->index);
    bool ok = o && cJSON_AddStringToObject(o, "device", name) &&
              cJSON_AddStringToObject(o, "name", d->name) &&
              cJSON_AddStringToObject(o, "vendor", d->vendor) &&
              cJSON_AddStringToObject(o, "driver", d->driver) &&
              cJSON_AddStringToObject(o, "api", d->api) &&
              cJSON_AddBoolToObject(o, "software", d->software) &&
              cJSON_AddBoolToObject(o, "usable", d->usable) &&
              cJSON_AddBoolToObject(o, "chosen", d->chosen) &&
              cJSON_AddStringToObject(o, "reason", d->reason) &&
              cJSON_AddNumberToObject(o, "memory_bytes", (double)d->memory_bytes) &&
              (d->memory_free_bytes
                   ? cJSON_AddNumberToObject(o, "memory_free_bytes", (double)d->memory_free_bytes)
                   : cJSON_AddNullToObject(o, "memory_free_bytes")) &&
              cJSON_AddBoolToObject(o, "fp16", d->fp16) &&
              cJSON_AddBoolToObject(o, "bf16", d->bf16) &&
              cJSON_AddBoolToObject(o, "int8", d->int8) &&
              cJSON_AddBoolToObject(o, "cooperative_matrix", d->cooperative_matrix);
    cJSON *s = ok && d->kind == TSR_DEVICE_VULKAN ? cJSON_AddObjectToObject(o, "subgroup") : NULL;
    if (s)
        ok = cJSON_AddNumberToObject(s, "size", d->subgroup_size) &&
             cJSON_AddNumberToObject(s, "min", d->subgroup_min) &&
             cJSON_AddNumberToObject(s, "max", d->subgroup_max) &&
             cJSON_AddBoolToObject(s, "can_be_set", d->subgroup_size_control);
    cJSON *l = s ? cJSON_AddObjectToObject(o, "limits") : NULL;
    if (l)
        ok = ok &&
             cJSON_AddNumberToObject(l, "storage_range_bytes", (double)d->max_storage_range) &&
             cJSON_AddNumberToObject(l, "allocation_bytes", (double)d->max_allocation) &&
             cJSON_AddNumberToObject(l, "shared_bytes", d->max_shared_bytes) &&
             cJSON_AddNumberToObject(l, "workgroup", d->max_workgroup) &&
             cJSON_AddNumberToObject(l, "push_bytes", d->max_push_bytes) &&
             cJSON_AddNumberToObject(o, "cores", d->cores);
    cJSON *i = l ? cJSON_AddObjectToObject(o, "ids") : NULL;
    if (i)
        ok = ok && cJSON_AddNumberToObject(i, "vendor", d->vendor_id) &&
             cJSON_AddNumberToObject(i, "device", d->device_id) &&
             cJSON_AddNumberToObject(i, "driver", d->driver_id);
    cJSON *c = i ? cJSON_AddObjectToObject(o, "choices") : NULL;
    if (c)
        ok = ok && cJSON_AddBoolToObject(c, "subgroup_bodies", d->subgroup_bodies) &&
             cJSON_AddStringToObject(c, "subgroup_reason", d->subgroup_reason) &&
             cJSON_AddBoolToObject(c, "matrix_units", d->matrix_subgroup > 0) &&
             cJSON_AddNumberToObject(c, "matrix_subgroup", d->matrix_subgroup) &&
             cJSON_AddStringToObject(c, "matrix_reason", d->matrix_reason);
    if (ok && (c || d->kind == TSR_DEVICE_CPU)) return o;
    cJSON_Delete(o);
    return NULL;
}

tsr_status tsr_devices_json(tsr_context *ctx, char **json) {
    if (!json) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "devices: wanted a place, got NULL");
    *json = NULL;
    tsr_device_info *list = NULL;
    int count = 0;
    tsr_status status = tsr_device_list(ctx, &list, &count);
    if (status) return status;
    cJSON *root = cJSON_CreateObject(),
          *array = root ? cJSON_AddArrayToObject(root, "devices") : NULL;
    bool ok = array != NULL;
    for (int i = 0; i < count && ok; ++i) {
        cJSON *o = device_json(&list[i]);
        ok = o && cJSON_AddItemToArray(array, o);
    }
    free(list);
    char *text = ok ? cJSON_Print(root) : NULL;
    cJSON_Delete(root);
    if (text) { /* cJSON's memory functions may be replaced; ours is malloc */
        *json = strdup(text);
        cJSON_free(text);
    }
    return *json ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "devices: no memory for the text");
}
