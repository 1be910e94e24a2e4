/* SPDX-License-Identifier: MIT */
/* model_file.c: what a file of weights holds, whatever its format, and the list of families. */
#include "model_file.h"
#include "registry.h"
#include "weights_path.h"
#include "../nn/family.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first bytes tell the format. A pipe can be read once only: it is read to memory. */
static tsr_status open_found(tsr_context *ctx, const char *path, tsr_model_file *f) {
    uint8_t begin[512];
    tsr_input in;
    tsr_status status = tsr_input_open(ctx, path, &in);
    if (status) return status;
    const size_t size = in.size < sizeof begin ? (size_t)in.size : sizeof begin;
    status = tsr_input_read(ctx, &in, path, 0, begin, size);
    const bool torch = !status && tsr_torch_recognised(begin, size);
    if (strcmp(path, "-") == 0) {
        f->map = in.map;
        if (status) return status;
        return torch ? tsr_torch_parse(ctx, path, f->map.bytes, f->map.size, &f->torch)
                     : tsr_safetensors_parse(ctx, path, f->map.bytes, f->map.size, &f->safetensors);
    }
    tsr_input_close(&in);
    if (status) return status;
    if (torch) return tsr_torch_open(ctx, path, &f->torch);
    return tsr_safetensors_open(ctx, path, &f->safetensors);
}

static void note_fact(tsr_model_file *f, const char *key, uint64_t value) {
    snprintf(f->facts[f->fact_count].value, sizeof f->facts[0].value, "%llu",
             (unsigned long long)value);
    f->facts[f->fact_count++].key = key;
}

/* What the code of a TorchScript archive says, as metadata. */
static void note_facts(tsr_model_file *f) {
    const tsr_script_facts *facts = tsr_torch_facts(f->torch);
    if (facts->groups) note_fact(f, "torchscript.group_norm", (uint64_t)facts->groups);
    if (!facts->space_pools && !facts->time_pools) return;
    note_fact(f, "torchscript.space_pools", facts->space_pools);
    note_fact(f, "torchscript.time_pools", facts->time_pools);
}

tsr_status tsr_model_file_open(tsr_context *ctx, const char *path, tsr_model_file **file) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!file || !path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "model file: %s: wanted an address, got NULL",
                        file ? "path" : "file");
    *file = NULL;
    tsr_model_file *f = tsr_alloc(ctx, 1, sizeof *f, path);
    if (!f) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_weights_path(ctx, path, &f->path);
    if (!status) status = open_found(ctx, f->path, f);
    if (!status && f->torch) tsr_torch_choose(f->torch, &f->choice);
    if (!status && f->torch) note_facts(f);
    if (status) tsr_model_file_close(&f);
    *file = f;
    return status;
}

void tsr_model_file_close(tsr_model_file **file) {
    if (!file || !*file) return;
    tsr_safetensors_close(&(*file)->safetensors);
    tsr_torch_close(&(*file)->torch);
    tsr_map_close(&(*file)->map);
    free((*file)->path);
    free(*file);
    *file = NULL;
}

const char *tsr_model_file_format(const tsr_model_file *file) {
    return file->torch ? tsr_torch_layout(file->torch) : "safetensors";
}

uint64_t tsr_model_file_bytes(const tsr_model_file *file) {
    return file->torch ? tsr_torch_bytes(file->torch)
                       : tsr_safetensors_file_bytes(file->safetensors);
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
    tsr_safetensors_info t;
    tsr_safetensors_describe(file->safetensors, index, &t);
    tensor->name = t.name;
    tensor->dtype = t.dtype;
    tensor->rank = t.rank;
    memcpy(tensor->dim, t.dim, sizeof t.dim);
    tensor->elements = t.elements;
    tensor->bytes = t.bytes;
}

tsr_status tsr_model_file_read(tsr_context *ctx, const tsr_model_file *file, int index,
                               void *bytes) {
    if (file->torch) return tsr_torch_read(ctx, file->torch, index, bytes);
    tsr_safetensors_info t;
    tsr_safetensors_describe(file->safetensors, index, &t);
    return tsr_safetensors_read(ctx, file->safetensors, index, 0, bytes, (size_t)t.bytes);
}

int tsr_model_file_metadata_count(const tsr_model_file *file) {
    return file->torch ? file->fact_count : tsr_safetensors_metadata_count(file->safetensors);
}

void tsr_model_file_metadata(const tsr_model_file *file, int index, const char **key,
                             const char **value) {
    if (key) *key = NULL;
    if (value) *value = NULL;
    if (!file->torch) {
        tsr_safetensors_metadata_at(file->safetensors, index, key, value);
    } else if (index >= 0 && index < file->fact_count) {
        if (key) *key = file->facts[index].key;
        if (value) *value = file->facts[index].value;
    }
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
    *info = (tsr_family_info){.trade = "", .name = "", .about = ""};
    if (index < 0 || index >= tsr_registry_count) return;
    const tsr_family *f = tsr_registry[index].family;
    const char *trade = f->tokenizer ? "tokenizer" : f->tower ? "tower" : "judge";
    *info =
        (tsr_family_info){tsr_registry[index].id, trade, f->name, f->about, f->needs, f->verified};
}
