/* SPDX-License-Identifier: MIT */
/* model.c: opening a file of weights by what it says it is, and the device it runs on. */
#include "model.h"
#include "registry.h"
#include "weights_path.h"
#include "../formats/weights/torch_pickle.h"
#include "../ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* True if the file begins like a checkpoint of torch.save. */
static bool is_torch(tsr_context *ctx, const char *path) {
    uint8_t begin[512];
    tsr_input in;
    if (strcmp(path, "-") == 0 || tsr_input_open(ctx, path, &in)) return false;
    const size_t size = in.size < sizeof begin ? (size_t)in.size : sizeof begin;
    const bool torch =
        !tsr_input_read(ctx, &in, path, 0, begin, size) && tsr_torch_recognised(begin, size);
    tsr_input_close(&in);
    return torch;
}

static tsr_status open_weights(tsr_model *m, const char *model, const char **path) {
    *path = model ? model : "bundled model";
    if (!model)
        return tsr_safetensors_parse(m->ctx, *path, tsr_bundled_model,
                                     (size_t)(tsr_bundled_model_end - tsr_bundled_model),
                                     &m->weights);
    tsr_status status = tsr_weights_path(m->ctx, model, &m->path);
    if (status) return status;
    *path = m->path;
    if (is_torch(m->ctx, m->path))
        return tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted .safetensors, got a checkpoint of torch.save: `tessera "
                        "model convert` makes one of it",
                        m->path);
    return tsr_safetensors_open(m->ctx, m->path, &m->weights);
}

static tsr_status find_family(tsr_model *m, const char *path) {
    char names[256];
    const char *name = tsr_safetensors_metadata(m->weights, "tessera.family");
    for (int i = 0; i < tsr_registry_count; ++i) {
        const tsr_family *family = tsr_registry[i].family;
        if (name ? strcmp(family->name, name) != 0
                 : !family->recognise || !family->recognise(m->weights))
            continue;
        m->family = tsr_registry[i].family;
        m->family_id = tsr_registry[i].id;
        return TSR_OK;
    }
    if (!name && tsr_safetensors_find(m->weights, "decoder.conv_in.weight") >= 0 &&
        tsr_safetensors_find(m->weights, "encoder.conv_in.weight") >= 0)
        return tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a tokenizer, got an autoencoder whose tensors have neither "
                        "diffusers' names nor a codebook",
                        path);
    if (!name)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: wanted tensors of a family this build knows, or one of %s as "
                        "__metadata__ tessera.family, got none",
                        path, tsr_registry_names(names, sizeof names));
    return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                    "%s: __metadata__ tessera.family: wanted one of %s, got %.64s", path,
                    tsr_registry_names(names, sizeof names), name);
}

tsr_status tsr_model_find(tsr_model *m, const char *name) {
    tsr_status status = open_weights(m, name, &m->file);
    return status ? status : find_family(m, m->file);
}

tsr_status tsr_model_open_devices(tsr_model *m, const tsr_model_settings *settings) {
    tsr_device_settings d = tsr_device_settings_default();
    if (settings->device) d.name = settings->device;
    d.precision = settings->precision;
    d.try_matrices = tsr_try_matrices;
    const char *switches[TSR_SWITCHES_MOST + 1];
    tsr_registry_switches(switches);
    d.mask = settings->mask;
    d.switches = switches;
    d.reference = settings->reference;
    d.validation = settings->validation;
    tsr_status status = tsr_device_open(m->ctx, &m->device, &d);
    if (status) return status;
    const tsr_device_info *info = tsr_device_properties(m->device);
    if (info->kind == TSR_DEVICE_CPU) {
        m->host = m->device;
        snprintf(m->device_text, sizeof m->device_text, "cpu");
        return TSR_OK;
    }
    snprintf(m->device_text, sizeof m->device_text, "vulkan:%d (%s)", info->index, info->name);
    d = tsr_device_settings_default();
    d.name = "cpu";
    return tsr_device_open(m->ctx, &m->host, &d);
}

tsr_status tsr_model_open_state(tsr_model *m) {
    const tsr_model_source source = {.ctx = m->ctx, .weights = m->weights, .path = m->file};
    return m->family->open(m->device, &source, &m->state);
}

void tsr_model_close(tsr_model *m) {
    if (m->family && m->state) {
        tsr_device_forget(m->device, m->state);
        m->family->close(&m->state);
    }
    if (m->host != m->device) tsr_device_close(&m->host);
    tsr_device_close(&m->device);
    tsr_safetensors_close(&m->weights);
    free(m->path);
    *m = (tsr_model){0};
}
