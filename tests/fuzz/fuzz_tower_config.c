/* SPDX-License-Identifier: MIT */
/* Any text as config.json, and behind a zero byte as preprocessor_config.json, of a vision tower:
 * what is accepted is within its limits, and a view that is accepted makes pictures of whole sizes.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "codec/view.h"
#include "towers/tower_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_config(tsr_context *ctx, const cJSON *json) {
    tsr_tower_config c = tsr_tower_config_begin(ctx, "fuzz", json);
    const int64_t heads = tsr_tower_config_number(&c, "num_attention_heads", 16, 1, 1024);
    const double eps = tsr_tower_config_real(&c, "layer_norm_eps", 1e-6, 0, 1);
    const int layer = tsr_tower_config_layer(&c, "vision_feature_layer", 24, 23);
    const tsr_activation act = tsr_tower_config_activation(&c, "hidden_act", TSR_ACT_GELU);
    tsr_tower_config_agree(&c, "hidden_size", 64);
    tsr_tower_config_need(&c, "qkv_bias", true);
    if (c.status && c.status != TSR_ERROR_MODEL && c.status != TSR_ERROR_UNSUPPORTED) abort();
    if (heads < 1 || heads > 1024 || !(eps >= 0 && eps <= 1) || layer < 0 || layer > 24) abort();
    if (act < TSR_ACT_NONE || act > TSR_ACT_QUICK_GELU) abort();
}

static void read_view(tsr_context *ctx, const cJSON *json, tsr_view_kind kind) {
    static const int sizes[][2] = {{1, 1}, {640, 480}, {3, 500}};
    tsr_view view = {.kind = kind,
                     .shortest = 336,
                     .width = 336,
                     .height = 336,
                     .step = 28,
                     .min_pixels = 3136,
                     .max_pixels = 1003520,
                     .filter = TSR_RESAMPLING_BICUBIC,
                     .deviation = {1, 1, 1}};
    const tsr_status status = tsr_tower_view_read(ctx, "fuzz", json, &view);
    const uint8_t pixel[3] = {0};
    if (status && status != TSR_ERROR_MODEL && status != TSR_ERROR_UNSUPPORTED) abort();
    if (status) return;
    if (view.filter < TSR_RESAMPLING_BILINEAR || view.filter > TSR_RESAMPLING_LANCZOS) abort();
    for (int i = 0; i < 3; ++i)
        if (!(view.deviation[i] > 0) || !(fabsf(view.mean[i]) <= 1)) abort();
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        const tsr_picture p = {.rgb = pixel, .width = sizes[i][0], .height = sizes[i][1]};
        uint32_t width = 0, height = 0;
        if (tsr_view_size(ctx, &view, &p, &width, &height)) abort();
        if (view.kind != TSR_VIEW_SMART && (!width || !height)) abort();
        if (view.kind >= TSR_VIEW_SMART && (width % view.step || height % view.step)) abort();
        if (view.kind == TSR_VIEW_CROP && (width > view.shortest || height > view.shortest))
            abort();
    }
}

static void read_all(tsr_context *ctx, const uint8_t *data, size_t size) {
    const uint8_t *end = memchr(data, 0, size);
    const size_t first = end ? (size_t)(end - data) : size;
    cJSON *config = cJSON_ParseWithLength((const char *)data, first);
    cJSON *view = end ? cJSON_ParseWithLength((const char *)end + 1, size - first - 1) : NULL;
    if (cJSON_IsObject(config)) read_config(ctx, config);
    for (int kind = TSR_VIEW_CROP; kind <= TSR_VIEW_BUDGET && cJSON_IsObject(view); ++kind)
        read_view(ctx, view, (tsr_view_kind)kind);
    cJSON_Delete(config);
    cJSON_Delete(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (!size || tsr_context_open(&ctx, NULL)) return 0;
    read_all(ctx, data, size);
    alloc_fail_at(size % 16);
    read_all(ctx, data, size);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
