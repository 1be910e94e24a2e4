/* SPDX-License-Identifier: MIT */
/* verify_pickle.c: golden cases of torch checkpoints: files that must be read, with every tensor
 * they hold, and files that must be refused. */
#include "verify.h"
#include "../formats/file.h"
#include "../formats/sha256.h"
#include "../formats/weights/torch_pickle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const dtypes[][2] = {
    {"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}, {"float64", "F64"},
    {"int64", "I64"},   {"int32", "I32"},   {"int16", "I16"},     {"int8", "I8"},
    {"uint8", "U8"},    {"bool", "BOOL"}};

static bool same_numbers(const cJSON *list, int count, const int64_t *values) {
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != count) return false;
    for (int i = 0; i < count; ++i)
        if (cJSON_GetNumberValue(cJSON_GetArrayItem(list, i)) != (double)values[i]) return false;
    return true;
}

static bool same_number(const cJSON *object, const char *field, uint64_t value) {
    return cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(object, field)) == (double)value;
}

static bool same_text(const cJSON *object, const char *field, const char *value) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, field));
    return text && strcmp(text, value) == 0;
}

/* What differs, or NULL. */
static const char *compare_tensor(tsr_verify *v, const cJSON *want, const tsr_torch *file,
                                  int index) {
    const tsr_torch_tensor *t = tsr_torch_at(file, index);
    const char *type = "unknown";
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; ++i)
        if (strcmp(dtypes[i][1], t->dtype) == 0) type = dtypes[i][0];
    if (!same_text(want, "path", t->path)) return "path";
    if (!same_text(want, "dtype", type)) return "dtype";
    if (!same_numbers(cJSON_GetObjectItemCaseSensitive(want, "shape"), t->rank, t->dim))
        return "shape";
    if (!same_numbers(cJSON_GetObjectItemCaseSensitive(want, "stride"), t->rank, t->stride))
        return "stride";
    if (!same_number(want, "storage_offset", t->offset)) return "storage_offset";
    if (!same_number(want, "storage_elements", t->storage_elements)) return "storage_elements";
    size_t bytes = (size_t)t->elements * t->element_bytes;
    if (!same_number(want, "bytes", bytes)) return "bytes";
    void *copy = tsr_alloc(v->ctx, bytes, 1, t->path);
    if (!copy) return "memory";
    char hex[65];
    tsr_torch_copy(t, copy);
    const tsr_status status = tsr_sha256_of(v->ctx, copy, bytes, hex);
    free(copy);
    if (status) return "memory";
    if (tsr_torch_check(v->ctx, file, index)) return "checksum of its record";
    return same_text(want, "sha256", hex) ? NULL : "sha256";
}

/* "args.model": the member `args` of the outermost dictionary, and its member `model`. */
static bool find_value(const tsr_pickle *p, const char *path, tsr_pickle_ref *found) {
    *found = tsr_pickle_root(p);
    while (*path) {
        size_t n = strcspn(path, ".");
        tsr_pickle_ref key, value;
        bool here = false;
        for (uint32_t place = 0; !here && tsr_pickle_next(p, *found, &place, &key, &value);) {
            tsr_pickle_view k = tsr_pickle_look(p, key);
            here = k.kind == TSR_PICKLE_TEXT && k.text_size == n && memcmp(k.text, path, n) == 0;
        }
        if (!here) return false;
        *found = value;
        path += n + (path[n] == '.');
    }
    return true;
}

static bool same_value(const tsr_pickle *p, const cJSON *want) {
    tsr_pickle_ref ref;
    if (!find_value(p, want->string, &ref)) return false;
    tsr_pickle_view v = tsr_pickle_look(p, ref);
    if (cJSON_IsString(want)) return tsr_pickle_is(p, ref, want->valuestring);
    if (cJSON_IsBool(want)) return v.kind == TSR_PICKLE_BOOL && v.integer == cJSON_IsTrue(want);
    double got = v.kind == TSR_PICKLE_FLOAT ? v.real : (double)v.integer;
    return cJSON_IsNumber(want) && got == want->valuedouble;
}

static void compare_file(tsr_verify *v, const tsr_torch *file) {
    const cJSON *run = v->run, *want;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(run, "tensors");
    const cJSON *values = cJSON_GetObjectItemCaseSensitive(run, "plain_values");
    int index = 0, wrong = 0, plain = 0;
    if (!cJSON_IsArray(list)) {
        tsr_verify_refuse(v, "tensors: wanted a list");
        return;
    }
    cJSON_ArrayForEach(want, list) {
        const char *differs =
            index < tsr_torch_count(file) ? compare_tensor(v, want, file, index) : "missing";
        if (differs) {
            const cJSON *path = cJSON_GetObjectItemCaseSensitive(want, "path");
            tsr_verify_line(v, cJSON_IsString(path) ? path->valuestring : "?", false, "%s differs",
                            differs);
            ++wrong;
        }
        ++index;
    }
    if (index != tsr_torch_count(file)) ++wrong;
    tsr_verify_line(v, "tensors", wrong == 0,
                    "wanted %d, got %d; %d differ in path, type, shape, strides or bytes", index,
                    tsr_torch_count(file), wrong);
    cJSON_ArrayForEach(want, values) {
        if (!same_value(tsr_torch_tree(file), want))
            tsr_verify_line(v, want->string, false, "another value");
        else
            ++plain;
    }
    if (values)
        tsr_verify_line(v, "plain values", plain == cJSON_GetArraySize(values),
                        "%d of %d as written down", plain, cJSON_GetArraySize(values));
    const char *under = tsr_torch_weights_under(file);
    if (cJSON_GetObjectItemCaseSensitive(run, "weights_under"))
        tsr_verify_line(v, "weights under", same_text(run, "weights_under", under), "\"%s\"",
                        under);
}

void tsr_verify_pickle(tsr_verify *v) {
    const char *name = tsr_verify_text(v, v->run, "file");
    char path[4096];
    tsr_map map = {0};
    tsr_torch *file = NULL;
    tsr_verify_path(v, name, path, sizeof path);
    if (v->status) return;
    v->status = tsr_map_open(v->ctx, path, &map);
    if (v->status) return;
    const bool refuse = same_text(v->run, "expect", "refuse");
    const tsr_status status = tsr_torch_parse(v->ctx, name, map.bytes, map.size, &file);
    if (refuse)
        tsr_verify_line(v, "refused", status && status != TSR_ERROR_MEMORY, "%s",
                        status ? tsr_detail(v->ctx) : "it was read");
    else
        v->status = status;
    if (!status && !refuse) compare_file(v, file);
    tsr_torch_close(&file);
    tsr_map_close(&map);
}
