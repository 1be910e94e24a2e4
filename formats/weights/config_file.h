/* SPDX-License-Identifier: MIT */
/* config_file.h: the config.json that many publishers put beside a weights file, and its kin. */
#ifndef FORMATS_CONFIG_FILE_H
#define FORMATS_CONFIG_FILE_H

#include <cjson/cJSON.h>
#include "../../compute/context.h"

/* Reads config.json in the folder of the weights file `path`: an object of at most 8 MiB. *json is
 * freed with cJSON_Delete; NULL after a failure. Errors: NOT_FOUND (there is none), IO, TOO_LARGE,
 * MODEL (not a JSON object), MEMORY. */
tsr_status tsr_config_file_read(tsr_context *ctx, const char *path, cJSON **json);
/* Reads another file of that folder in the same way. */
tsr_status tsr_json_file_beside(tsr_context *ctx, const char *path, const char *file, cJSON **json);

#endif
