/* SPDX-License-Identifier: MIT */
/* verify_patch_vq.c: golden cases of patch VQ. The codebook lies in the case's folder; ids and
 * pictures are what tsr_tokenizer_encode and tsr_tokenizer_decode give. */
#include "verify_picture.h"

#include <stdlib.h>

/* Opens the case's codebook for one tile as large as the picture. */
static tsr_tokenizer *open_codebook(tsr_verify *v, int width, int height) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    char path[4096];
    tsr_verify_path(v, tsr_verify_text(v, config, "codebook"), path, sizeof path);
    tsr_tokenizer *t = NULL;
    if (!v->status)
        v->status = tsr_tokenizer_open(v->ctx, &t,
                                       &(tsr_model_settings){.model = path,
                                                             .device = v->settings.device,
                                                             .tile_width = (uint32_t)width,
                                                             .tile_height = (uint32_t)height});
    return t;
}

/* Ids [stages, patches] of a tile, whose token file has them in this order. */
static void compare_ids(tsr_verify *v, const tsr_token_item *tokens) {
    const cJSON *entry = tsr_verify_output(v, "ids");
    if (!entry) return;
    const tsr_tensor want = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    const int64_t n = (int64_t)tsr_token_item_total(tokens);
    if (tsr_elements(&want) != n)
        tsr_verify_refuse(v, "ids: wanted %lld of them, got another number", (long long)n);
    const uint8_t *tie = tsr_verify_near_ties(v, n);
    tsr_verify_i32_ties(v, "ids", (const int32_t *)tokens->ids, want.rank, want.dim,
                        (tsr_verify_ties){tie, 1});
}

void tsr_verify_patch_vq(tsr_verify *v) {
    int width = 0, height = 0;
    uint8_t *rgb = tsr_verify_picture(v, tsr_verify_text(v, v->run, "input"), &width, &height);
    tsr_tokenizer *t = v->status ? NULL : open_codebook(v, width, height);
    uint8_t *back = tsr_verify_take(v, (int64_t)width * height, 3, "picture");
    tsr_item *item = NULL;
    if (!v->status) {
        const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = "run"};
        v->status = tsr_tokenizer_encode(t, &picture, 1, NULL, &item, NULL);
    }
    if (!v->status) {
        tsr_token_header header = *tsr_tokenizer_header(t);
        header.fit = TSR_FIT_TILE;
        compare_ids(v, tsr_item_tokens(item));
        if (!v->status)
            v->status = tsr_tokenizer_decode(t, &header, tsr_item_tokens(item), 0, back);
        tsr_verify_u8(v, "image", back, 3, (int64_t[]){height, width, 3});
    }
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    free(rgb);
}
