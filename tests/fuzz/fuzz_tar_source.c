/* SPDX-License-Identifier: MIT */
/* Any bytes as an archive of samples: a tar, plain or packed. Every sample is whole or says why it
 * is not, and what ends the archive early comes last. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "alloc_fail.h"
#include "must.h"
#include "datasets/source_parts.h"
#include "formats/tokens/token_layout.h"
#include "formats/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_sample(const tsr_sample *s) {
    MUST(s->key && s->name && s->detail && s->entry == 7);
    MUST((s->status == TSR_OK) == (s->bytes != NULL) && (s->status == TSR_OK) == !*s->detail);
    if (s->status) {
        MUST(!s->attribute_count && !s->attributes);
        return;
    }
    MUST(!s->rest_lost && !tsr_token_key_problem(s->key));
    for (uint32_t i = 0; i < s->attribute_count; ++i) {
        const tsr_attribute *a = &s->attributes[i];
        MUST(a->size <= TSR_MAX_ATTRIBUTE_BYTES && !((const char *)a->bytes)[a->size]);
        MUST(a->type == TSR_ATTRIBUTE_INTEGER ? !a->size : tsr_utf8_valid(a->bytes, a->size, NULL));
        for (uint32_t k = 0; k < i; ++k)
            MUST(strcmp(a->name, s->attributes[k].name) != 0);
    }
}

/* Reads all samples; false: no memory was left. */
static bool read_samples(tsr_context *ctx, const uint8_t *data, size_t size) {
    tsr_hash hash;
    tsr_hash_start(&hash, 0);
    tsr_source_bytes bytes = {
        .ctx = ctx, .name = "x", .fd = -1, .hash = &hash, .memory = data, .memory_size = size};
    tsr_tar *tar = NULL;
    tsr_status status = tsr_tar_open(ctx, &bytes, 7, &tar);
    MUST((status == TSR_OK) == (tar != NULL));
    const bool opened = !status;
    bool lost = false, end = false;
    while (!status && !end) {
        tsr_sample *sample;
        status = tsr_tar_next(tar, &sample);
        end = !status && !sample;
        MUST(!sample || !lost);
        if (!status && sample) {
            check_sample(sample);
            lost = sample->rest_lost;
        }
        tsr_sample_free(&sample);
    }
    tsr_tar_close(&tar);
    MUST(!status || !opened || status == TSR_ERROR_MEMORY);
    if (end && !lost) MUST(tsr_hash_finish(&hash) == tsr_hash64(data, size, 0));
    return status != TSR_ERROR_MEMORY;
}

/* Changed headers get past the sum that stands in them: sets it in every block that says "ustar".
 */
static void mend_sums(uint8_t *data, size_t size) {
    for (size_t at = 0; size - at >= 512; at += 512) {
        uint8_t *block = data + at;
        unsigned sum = 8 * ' ';
        char digits[9];
        if (memcmp(block + 257, "ustar", 5)) continue;
        for (int i = 0; i < 512; ++i)
            sum += i < 148 || i >= 156 ? block[i] : 0;
        snprintf(digits, sizeof digits, "%06o", sum);
        memcpy(block + 148, digits, 7);
        block[155] = ' ';
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    if (tsr_context_open(&ctx, NULL)) return 0;
    read_samples(ctx, data, size);
    uint8_t *mended = malloc(size + 1);
    if (mended && size) {
        memcpy(mended, data, size);
        mend_sums(mended, size);
        read_samples(ctx, mended, size);
    }
    free(mended);
    alloc_fail_at(size % 64);
    read_samples(ctx, data, size);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return 0;
}
