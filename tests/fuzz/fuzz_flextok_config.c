/* SPDX-License-Identifier: MIT */
/* Any text as the configuration of a FlexTok checkpoint: what is accepted names its tensors, all of
 * them with positive sizes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "codec/tokenizers/flextok/flextok_decoder.h"
#include "codec/tokenizers/flextok/flextok_encoder.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static tsr_status look(void *user, const char *name, int rank, const int64_t *dim,
                       tsr_weight **where) {
    (void)user;
    if (!*name || rank < 1 || rank > TSR_MAX_RANK || !where) abort();
    for (int i = 0; i < rank; ++i)
        if (dim[i] < 1 || dim[i] > (int64_t)1 << 40) abort();
    return TSR_OK;
}

static void read_config(tsr_context *ctx, const char *text, size_t size) {
    cJSON *json = cJSON_ParseWithLength(text, size);
    tsr_flextok_config *config = calloc(1, sizeof *config);
    tsr_flextok *model = calloc(1, sizeof *model);
    tsr_weight_loader loader = {.ctx = ctx, .path = "fuzz", .fn = look};
    if (json && config && model && !tsr_flextok_read_config(ctx, "fuzz", json, config))
        tsr_flextok_load(&loader, config, model);
    if (loader.status) abort();
    free(model);
    free(config);
    cJSON_Delete(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    read_config(ctx, (const char *)data, size);
    alloc_fail_at(size % 64);
    read_config(ctx, (const char *)data, size);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
