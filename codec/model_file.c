/* SPDX-License-Identifier: MIT */
/* model_file.c: what a file of weights holds, whatever its format, and the list of families. */
#define TESSERA_EXPERIMENTAL
#include <tessera/models.h>

#include "family.h"
#include "../formats/safetensors.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct tsr_model_file {
    uint64_t bytes;
    tsr_safetensors *safetensors;
};

tsr_status tsr_model_file_open(tsr_context *ctx, const char *path, tsr_model_file **file) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!file || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "model file: %s: wanted an address, got NULL",
                        file ? "path" : "file");
    *file = NULL;
    tsr_model_file *f = tsr_alloc(ctx, 1, sizeof *f, path);
    if (!f) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_safetensors_open(ctx, path, &f->safetensors);
    struct stat st;
    if (!status && stat(path, &st) == 0) f->bytes = (uint64_t)st.st_size;
    if (status) tsr_model_file_close(&f);
    *file = f;
    return status;
}

void tsr_model_file_close(tsr_model_file **file) {
    if (!file || !*file) return;
    tsr_safetensors_close(&(*file)->safetensors);
    free(*file);
    *file = NULL;
}

const char *tsr_model_file_format(const tsr_model_file *file) {
    (void)file;
    return "safetensors";
}

uint64_t tsr_model_file_bytes(const tsr_model_file *file) {
    return file->bytes;
}

int tsr_model_file_count(const tsr_model_file *file) {
    return tsr_safetensors_count(file->safetensors);
}

void tsr_model_file_tensor(const tsr_model_file *file, int index, tsr_model_tensor *tensor) {
    *tensor = (tsr_model_tensor){.name = "", .dtype = ""};
    const tsr_tensor *t = tsr_safetensors_tensor(file->safetensors, index);
    if (!t) return;
    tensor->name = tsr_safetensors_name(file->safetensors, index);
    tensor->dtype = tsr_dtype_name(t->dtype);
    tensor->rank = t->rank;
    for (int d = 0; d < t->rank; ++d)
        tensor->dim[d] = t->dim[d];
    tensor->elements = (uint64_t)tsr_elements(t);
    tensor->bytes = tensor->elements * tsr_dtype_bytes(t->dtype);
}

int tsr_model_file_metadata_count(const tsr_model_file *file) {
    return tsr_safetensors_metadata_count(file->safetensors);
}

void tsr_model_file_metadata(const tsr_model_file *file, int index, const char **key,
                             const char **value) {
    tsr_safetensors_metadata_at(file->safetensors, index, key, value);
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
