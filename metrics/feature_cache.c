/* SPDX-License-Identifier: MIT */
/* feature_cache.c: features in a safetensors file, with all that decided them as metadata. */
#include <tessera/statistics.h>

#include "../formats/sha256.h"
#include "../formats/weights/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- pictures ---- */

struct tsr_picture_digest {
    tsr_sha256 *sha;
    tsr_context *ctx;
};

tsr_status tsr_picture_digest_add(tsr_context *ctx, tsr_picture_digest **digest,
                                  const tsr_picture *p) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!digest || !p || !p->rgb || p->width < 1 || p->height < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "digest: wanted a picture, got none");
    if (!*digest) {
        tsr_picture_digest *d = tsr_alloc(ctx, 1, sizeof *d, "digest");
        if (!d) return TSR_ERROR_MEMORY;
        d->ctx = ctx;
        const tsr_status status = tsr_sha256_open(ctx, &d->sha);
        if (status) {
            free(d);
            return status;
        }
        *digest = d;
    }
    const uint32_t size[2] = {(uint32_t)p->width, (uint32_t)p->height};
    uint8_t bytes[8];
    for (int i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(size[i / 4] >> 8 * (i % 4));
    tsr_sha256_add((*digest)->sha, bytes, sizeof bytes);
    tsr_sha256_add((*digest)->sha, p->rgb, (size_t)p->width * (size_t)p->height * 3);
    return TSR_OK;
}

void tsr_picture_digest_end(tsr_picture_digest **digest, char hex[65]) {
    if (hex) hex[0] = 0;
    if (!digest || !*digest) return;
    if (hex && tsr_sha256_finish((*digest)->ctx, (*digest)->sha, hex)) hex[0] = 0;
    tsr_sha256_close(&(*digest)->sha);
    free(*digest);
    *digest = NULL;
}

/* ---- the file ---- */

enum { FIELDS = 9 };
typedef struct fields {
    char value[FIELDS][80];
} fields;
static const char *const names[FIELDS] = {"tessera.schema",
                                          "tessera.features.judge",
                                          "tessera.features.weights",
                                          "tessera.features.output",
                                          "tessera.features.preparation",
                                          "tessera.features.device",
                                          "tessera.features.pictures",
                                          "tessera.features.rows",
                                          "tessera.features.columns"};

static fields fields_of(const tsr_feature_key *k) {
    fields f;
    snprintf(f.value[0], sizeof f.value[0], "judge-features/1");
    snprintf(f.value[1], sizeof f.value[1], "%.63s", k->judge);
    snprintf(f.value[2], sizeof f.value[2], "%016" PRIx64, k->weights);
    snprintf(f.value[3], sizeof f.value[3], "%.23s", k->output);
    snprintf(f.value[4], sizeof f.value[4], "%.23s", k->preparation);
    snprintf(f.value[5], sizeof f.value[5], "%.63s", k->device);
    snprintf(f.value[6], sizeof f.value[6], "%.64s", k->pictures);
    snprintf(f.value[7], sizeof f.value[7], "%" PRIu64, k->rows);
    snprintf(f.value[8], sizeof f.value[8], "%" PRIu32, k->columns);
    return f;
}

tsr_status tsr_feature_cache_write(tsr_context *ctx, const char *path, const tsr_feature_key *key,
                                   const float *features) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !key || !features || !key->rows || !key->columns || !key->pictures[0])
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "features: wanted a path, features and all of their key");
    const fields f = fields_of(key);
    tsr_metadata_pair pairs[FIELDS];
    for (int i = 0; i < FIELDS; ++i)
        pairs[i] = (tsr_metadata_pair){names[i], f.value[i]};
    const int64_t dim[2] = {(int64_t)key->rows, key->columns};
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)features, 2, dim);
    const char *const name = "features";
    return tsr_safetensors_write(ctx, path, &name, &t, 1, pairs, FIELDS);
}

/* The file's tensor, if all metadata are those of the key. */
static tsr_status check(tsr_context *ctx, const char *path, const tsr_safetensors *file,
                        const tsr_feature_key *key, int *index) {
    const fields f = fields_of(key);
    for (int i = 0; i < FIELDS; ++i) {
        const char *got = tsr_safetensors_metadata(file, names[i]);
        if (!got && !i)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted features of a judge, got other data",
                            path);
        if (!got || strcmp(got, f.value[i]))
            return tsr_fail(ctx, TSR_ERROR_STATE,
                            "%s: %s: wanted %s, got %.80s: the features are of something else",
                            path, names[i], f.value[i], got ? got : "none");
    }
    *index = tsr_safetensors_find(file, "features");
    const tsr_tensor *t = *index < 0 ? NULL : tsr_safetensors_tensor(file, *index);
    if (!t || t->dtype != TSR_DTYPE_F32 || t->rank != 2 || t->dim[0] != (int64_t)key->rows ||
        t->dim[1] != (int64_t)key->columns)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: features: wanted f32 [%" PRIu64 ", %" PRIu32 "], got another tensor",
                        path, key->rows, key->columns);
    return TSR_OK;
}

tsr_status tsr_feature_cache_read(tsr_context *ctx, const char *path, const tsr_feature_key *key,
                                  float **features) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !key || !features)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "features: wanted a path, a key and a pointer");
    tsr_safetensors *file = NULL;
    int index = -1;
    *features = NULL;
    tsr_status status = tsr_safetensors_open(ctx, path, &file);
    if (!status) status = check(ctx, path, file, key, &index);
    const int64_t n = (int64_t)key->rows * key->columns;
    if (!status) {
        *features = tsr_alloc(ctx, (size_t)n, sizeof **features, "features");
        status = *features ? tsr_safetensors_read(ctx, file, index, 0, *features,
                                                  (size_t)n * sizeof **features)
                           : TSR_ERROR_MEMORY;
    }
    if (status) {
        free(*features);
        *features = NULL;
    }
    tsr_safetensors_close(&file);
    return status;
}
