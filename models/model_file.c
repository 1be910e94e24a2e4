/* SPDX-License-Identifier: MIT */
/* model_file.c: what a file of weights holds, whatever its format, and the list of families. */
#include "model_file.h"
#include "registry.h"
#include "../nn/family.h"

#include <stdlib.h>
#include <string.h>

tsr_status tsr_model_file_open(tsr_context *ctx, const char *path, tsr_model_file **file) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!file || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "model file: %s: wanted an address, got NULL",
                        file ? "path" : "file");
    *file = NULL;
    tsr_model_file *f = tsr_alloc(ctx, 1, sizeof *f, path);
    if (!f) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_map_open(ctx, path, &f->map);
    if (!status && tsr_torch_recognised(f->map.bytes, f->map.size))
        status = tsr_torch_parse(ctx, path, f->map.bytes, f->map.size, &f->torch);
    else if (!status)
        status = tsr_safetensors_parse(ctx, path, f->map.bytes, f->map.size, &f->safetensors);
    if (!status && f->torch) tsr_torch_choose(f->torch, &f->choice);
    if (status) tsr_model_file_close(&f);
    *file = f;
    return status;
}

void tsr_model_file_close(tsr_model_file **file) {
    if (!file || !*file) return;
    tsr_safetensors_close(&(*file)->safetensors);
    tsr_torch_close(&(*file)->torch);
    tsr_map_close(&(*file)->map);
    free(*file);
    *file = NULL;
}

const char *tsr_model_file_format(const tsr_model_file *file) {
    return file->torch ? tsr_torch_layout(file->torch) : "safetensors";
}

uint64_t tsr_model_file_bytes(const tsr_model_file *file) {
    return file->map.size;
}

int tsr_model_file_count(const tsr_model_file *file) {
    return file->torch ? tsr_torch_count(file->torch) : tsr_safetensors_count(file->safetensors);
}

static void look_at_torch(const tsr_torch_tensor *t, tsr_model_tensor *tensor) {
    tensor->name = t->path;
    tensor->dtype = t->dtype;
    tensor->rank = t->rank;
    for (int d = 0; d < t->rank; ++d)
        tensor->dim[d] = t->dim[d];
    tensor->elements = t->elements;
    tensor->bytes = t->elements * t->element_bytes;
    tensor->refused = t->refused;
}

void tsr_model_file_tensor(const tsr_model_file *file, int index, tsr_model_tensor *tensor) {
    *tensor = (tsr_model_tensor){.name = "", .dtype = ""};
    if (index < 0 || index >= tsr_model_file_count(file)) return;
    if (file->torch) {
        look_at_torch(tsr_torch_at(file->torch, index), tensor);
        return;
    }
    const tsr_tensor *t = tsr_safetensors_tensor(file->safetensors, index);
    tensor->name = tsr_safetensors_name(file->safetensors, index);
    tensor->dtype = tsr_dtype_name(t->dtype);
    tensor->rank = t->rank;
    for (int d = 0; d < t->rank; ++d)
        tensor->dim[d] = t->dim[d];
    tensor->elements = (uint64_t)tsr_elements(t);
    tensor->bytes = tensor->elements * tsr_dtype_bytes(t->dtype);
}

tsr_status tsr_model_file_read(tsr_context *ctx, const tsr_model_file *file, int index,
                               void *bytes) {
    if (file->torch) {
        tsr_status status = tsr_torch_check(ctx, file->torch, index);
        if (!status) tsr_torch_copy(tsr_torch_at(file->torch, index), bytes);
        return status;
    }
    const tsr_tensor *t = tsr_safetensors_tensor(file->safetensors, index);
    size_t size = (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
    if (size) memcpy(bytes, t->data, size);
    return TSR_OK;
}

int tsr_model_file_metadata_count(const tsr_model_file *file) {
    return file->torch ? 0 : tsr_safetensors_metadata_count(file->safetensors);
}

void tsr_model_file_metadata(const tsr_model_file *file, int index, const char **key,
                             const char **value) {
    if (key) *key = NULL;
    if (value) *value = NULL;
    if (!file->torch) tsr_safetensors_metadata_at(file->safetensors, index, key, value);
}

const char *tsr_model_file_weights_under(const tsr_model_file *file) {
    return file->choice.unclear[0] ? NULL : file->choice.path;
}

const char *tsr_model_file_unclear(const tsr_model_file *file) {
    return file->choice.unclear;
}

uint64_t tsr_model_file_passed_over(const tsr_model_file *file, const char **first) {
    const char *unused;
    if (!first) first = &unused;
    *first = "";
    return file->torch ? tsr_torch_passed_over(file->torch, first) : 0;
}

int tsr_family_count(void) {
    return tsr_registry_count;
}

void tsr_family_at(int index, tsr_family_info *info) {
    *info = (tsr_family_info){.name = "", .about = ""};
    if (index < 0 || index >= tsr_registry_count) return;
    const tsr_family *f = tsr_registry[index].family;
    *info = (tsr_family_info){tsr_registry[index].id, f->name, f->about, f->needs, f->verified};
}
