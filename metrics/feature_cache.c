/* SPDX-License-Identifier: MIT */
/* feature_cache.c: features in safetensors files, with all that decided them as metadata: those of
 * one set of pictures, and rows that grow from run to run (kept_features.h). */
#include <tessera/statistics.h>
#include <tessera/tessera.h>

#include "kept_features.h"
#include "../compute/context.h"
#include "../formats/hash.h"
#include "../formats/sha256.h"
#include "../formats/weights/safetensors.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- what decides features, as metadata ---- */

enum { FIELDS_MOST = 9 };
typedef struct fields {
    const char *name[FIELDS_MOST];
    char text[FIELDS_MOST][80];
    int count;
} fields;

static char *next_field(fields *f, const char *name) {
    f->name[f->count] = name;
    return f->text[f->count++];
}

static void begin_fields(fields *f, const char *schema, const tsr_feature_key *k) {
    f->count = 0;
    snprintf(next_field(f, "tessera.schema"), 80, "%s", schema);
    snprintf(next_field(f, "tessera.features.judge"), 80, "%.63s", k->judge);
    snprintf(next_field(f, "tessera.features.weights"), 80, "%016" PRIx64, k->weights);
    snprintf(next_field(f, "tessera.features.output"), 80, "%.23s", k->output);
    snprintf(next_field(f, "tessera.features.preparation"), 80, "%.23s", k->preparation);
    snprintf(next_field(f, "tessera.features.device"), 80, "%.63s", k->device);
    snprintf(next_field(f, "tessera.features.columns"), 80, "%" PRIu32, k->columns);
}

/* Features of one set of pictures. */
static fields set_fields(const tsr_feature_key *k) {
    fields f;
    begin_fields(&f, "judge-features/1", k);
    snprintf(next_field(&f, "tessera.features.pictures"), 80, "%.64s", k->pictures);
    snprintf(next_field(&f, "tessera.features.rows"), 80, "%" PRIu64, k->rows);
    return f;
}

/* Refuses a file that has other fields. */
static tsr_status check_fields(tsr_context *ctx, const char *path, const tsr_safetensors *file,
                               const fields *f) {
    for (int i = 0; i < f->count; ++i) {
        const char *name = f->name[i], *got = tsr_safetensors_metadata(file, name);
        if (!got && !i)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted features of a judge, got other data",
                            path);
        if (!got || strcmp(got, f->text[i]))
            return tsr_fail(ctx, TSR_ERROR_STATE,
                            "%s: %s: wanted %s, got %.80s: the features are of something else",
                            path, name, f->text[i], got ? got : "none");
    }
    return TSR_OK;
}

/* Finds a tensor of two dimensions; rows -1: any number of them. */
static tsr_status find_tensor(tsr_context *ctx, const char *path, const tsr_safetensors *file,
                              const char *name, tsr_dtype dtype, int64_t rows, int64_t columns,
                              int *index) {
    *index = tsr_safetensors_find(file, name);
    const tsr_tensor *t = *index < 0 ? NULL : tsr_safetensors_tensor(file, *index);
    if (!t || t->dtype != dtype || t->rank != 2 || t->dim[1] != columns ||
        (rows >= 0 && t->dim[0] != rows))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: %s: wanted %s [%" PRId64 ", %" PRId64 "], got another tensor", path,
                        name, dtype == TSR_DTYPE_F32 ? "f32" : "u8", rows, columns);
    return TSR_OK;
}

static tsr_status write_file(tsr_context *ctx, const char *path, const char *const *names,
                             const tsr_tensor *tensors, int count, const fields *f) {
    tsr_metadata_pair pairs[FIELDS_MOST];
    for (int i = 0; i < f->count; ++i)
        pairs[i] = (tsr_metadata_pair){f->name[i], f->text[i]};
    return tsr_safetensors_write(ctx, path, names, tensors, count, pairs, f->count);
}

/* ---- a set of pictures ---- */

tsr_status tsr_feature_cache_write(tsr_context *ctx, const char *path, const tsr_feature_key *key,
                                   const float *features) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!path || !key || !features || !key->rows || !key->columns || !key->pictures[0])
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "features: wanted a path, features and all of their key");
    const fields f = set_fields(key);
    const int64_t dim[2] = {(int64_t)key->rows, key->columns};
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)features, 2, dim);
    const char *const name = "features";
    return write_file(ctx, path, &name, &t, 1, &f);
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
    const fields f = set_fields(key);
    if (!status) status = check_fields(ctx, path, file, &f);
    if (!status)
        status = find_tensor(ctx, path, file, "features", TSR_DTYPE_F32, (int64_t)key->rows,
                             key->columns, &index);
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

/* ---- rows of many runs, each with the hash of its pixels ---- */

enum { HASH_BYTES = 16 };

static fields row_fields(const tsr_feature_key *k) {
    fields f;
    begin_fields(&f, "kept-features/1", k);
    snprintf(next_field(&f, "tessera.version"), 80, "%s", tsr_version());
    return f;
}

/* FOLDER/<judge>-<preparation>-<hash of all fields>.safetensors, so that every key has its own. */
static tsr_status name_file(tsr_kept_features *k, const char *folder) {
    const fields f = row_fields(&k->key);
    uint64_t hash = 0;
    for (int i = 0; i < f.count; ++i)
        hash = tsr_hash64(f.text[i], strlen(f.text[i]), hash + 1);
    const size_t size = strlen(folder) + sizeof k->key.judge + sizeof k->key.preparation + 40;
    k->path = tsr_alloc(k->ctx, size, 1, "kept features");
    if (!k->path) return TSR_ERROR_MEMORY;
    char *end = k->path + snprintf(k->path, size, "%s/", folder);
    snprintf(end, size - (size_t)(end - k->path), "%s-%s-%016" PRIx64 ".safetensors", k->key.judge,
             k->key.preparation, hash);
    for (; *end; ++end)
        if (*end == '/' || *end == ' ') *end = '_';
    return TSR_OK;
}

static tsr_status take_rows(tsr_kept_features *k, const tsr_safetensors *file) {
    const int64_t columns = (int64_t)k->columns;
    int features = -1, pixels = -1;
    tsr_status status =
        find_tensor(k->ctx, k->path, file, "features", TSR_DTYPE_F32, -1, columns, &features);
    if (status) return status;
    const int64_t rows = tsr_safetensors_tensor(file, features)->dim[0];
    status = find_tensor(k->ctx, k->path, file, "pixels", TSR_DTYPE_U8, rows, HASH_BYTES, &pixels);
    float *row = status ? NULL : tsr_alloc(k->ctx, k->columns, sizeof *row, "kept features");
    if (!status && !row) status = TSR_ERROR_MEMORY;
    const size_t bytes = k->columns * sizeof *row;
    for (uint64_t i = 0; i < (uint64_t)rows && !status; ++i) {
        uint8_t from[HASH_BYTES];
        uint64_t hash[2] = {0};
        status = tsr_safetensors_read(k->ctx, file, features, i * bytes, row, bytes);
        if (!status)
            status = tsr_safetensors_read(k->ctx, file, pixels, i * HASH_BYTES, from, HASH_BYTES);
        for (int b = 0; b < HASH_BYTES; ++b)
            hash[b / 8] |= (uint64_t)from[b] << 8 * (b % 8);
        if (!status) status = tsr_kept_features_put(k, hash, row);
    }
    free(row);
    k->in_file = (size_t)rows; /* more than were taken where memory has an end: they stay */
    return status;
}

tsr_status tsr_kept_features_load(tsr_kept_features *k, const char *folder, const tsr_judge *judge,
                                  const char *output, const char *preparation) {
    if (k->path) return TSR_OK;
    const tsr_judge_info *info = tsr_judge_properties(judge);
    k->key = (tsr_feature_key){.weights = info->weights_hash, .columns = (uint32_t)k->columns};
    snprintf(k->key.judge, sizeof k->key.judge, "%s", info->name);
    snprintf(k->key.output, sizeof k->key.output, "%s", output);
    snprintf(k->key.preparation, sizeof k->key.preparation, "%s", preparation);
    snprintf(k->key.device, sizeof k->key.device, "%.63s", tsr_judge_device(judge));
    if ((mkdir(folder, 0777) && errno != EEXIST) || access(folder, R_OK | W_OK | X_OK))
        return tsr_fail(k->ctx, TSR_ERROR_IO, "%s: wanted a folder to keep features in: %s", folder,
                        strerror(errno));
    tsr_status status = name_file(k, folder);
    if (status || access(k->path, F_OK)) return status;
    const fields f = row_fields(&k->key);
    tsr_safetensors *file = NULL;
    status = tsr_safetensors_open(k->ctx, k->path, &file);
    if (!status) status = check_fields(k->ctx, k->path, file, &f);
    if (!status) status = take_rows(k, file);
    tsr_safetensors_close(&file);
    if (status) { /* it stays as it is */
        free(k->path);
        k->path = NULL;
    }
    return status;
}

tsr_status tsr_kept_features_save(tsr_kept_features *k) {
    if (!k->path || k->count <= k->in_file) return TSR_OK;
    uint8_t *pixels = tsr_alloc(k->ctx, k->count, HASH_BYTES, "kept features");
    if (!pixels) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < k->slots; ++i)
        for (int b = 0; k->table[i].place && b < HASH_BYTES; ++b)
            pixels[(k->table[i].place - 1) * HASH_BYTES + (size_t)b] =
                (uint8_t)(k->table[i].hash[b / 8] >> 8 * (b % 8));
    const int64_t features_dim[2] = {(int64_t)k->count, (int64_t)k->columns};
    const int64_t pixels_dim[2] = {(int64_t)k->count, HASH_BYTES};
    const tsr_tensor tensors[2] = {tsr_host_tensor(TSR_DTYPE_F32, k->rows, 2, features_dim),
                                   tsr_host_tensor(TSR_DTYPE_U8, pixels, 2, pixels_dim)};
    const char *const names[2] = {"features", "pixels"};
    const fields f = row_fields(&k->key);
    const int keep = k->ctx->settings.keep_existing;
    k->ctx->settings.keep_existing = 0; /* it is the cache's own file, and grows */
    const tsr_status status = write_file(k->ctx, k->path, names, tensors, 2, &f);
    k->ctx->settings.keep_existing = keep;
    if (!status) k->in_file = k->count;
    free(pixels);
    return status;
}
