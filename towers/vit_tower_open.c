/* SPDX-License-Identifier: MIT */
/* vit_tower_open.c: towers from weights. Sizes are the tensors'; what they do not tell (heads, the
 * activation) is the configuration's, or what all published models have. */
#include "vit_tower.h"
#include "../formats/weights/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- names ---- */

/* Whether `name` ends with the mark; what stands before it becomes prefix[256]. */
static bool before_mark(const char *name, const char *mark, char prefix[256]) {
    const size_t size = strlen(name), tail = strlen(mark);
    if (size < tail || size - tail >= 256 || strcmp(name + size - tail, mark)) return false;
    memcpy(prefix, name, size - tail);
    prefix[size - tail] = 0;
    return size == tail || prefix[size - tail - 1] == '.';
}

bool tsr_vit_tower_recognise(const tsr_vit_tower_kind *kind, const tsr_safetensors *file) {
    char prefix[256], other[512];
    for (int i = 0; i < tsr_safetensors_count(file); ++i) {
        if (!before_mark(tsr_safetensors_name(file, i), kind->mark[0], prefix)) continue;
        snprintf(other, sizeof other, "%s%s", prefix, kind->mark[1]);
        if (tsr_safetensors_find(file, other) < 0) continue;
        snprintf(other, sizeof other, "%s%s", prefix, kind->without ? kind->without : "");
        if (!kind->without || tsr_safetensors_find(file, other) < 0) return true;
    }
    return false;
}

static tsr_status find_prefix(tsr_vit_tower *t, tsr_weights *weights) {
    char other[512];
    for (int i = 0; i < tsr_weights_count(weights); ++i) {
        if (!before_mark(tsr_weights_at(weights, i)->name, t->kind->mark[0], t->prefix)) continue;
        snprintf(other, sizeof other, "%s%s", t->prefix, t->kind->mark[1]);
        if (tsr_weights_find(weights, other)) return TSR_OK;
    }
    return tsr_fail(t->ctx, TSR_ERROR_MODEL, "%s: tensor ...%s: wanted one beside ...%s, got none",
                    t->path, t->kind->mark[0], t->kind->mark[1]);
}

static const tsr_weight *find(const tsr_vit_tower *t, tsr_weights *weights, const char *name,
                              const char *tail) {
    char whole[768];
    snprintf(whole, sizeof whole, "%s%s%s", t->prefix, name, tail);
    return tsr_weights_find(weights, whole);
}

/* ---- sizes ---- */

/* Heads of models that say nothing: those of all published ones. 0: they cannot be told. */
static int64_t usual_heads(int64_t width) {
    static const int64_t sixteen[] = {1152, 1280, 1408, 1664}; /* so400m, H, g, bigG */
    for (unsigned i = 0; i < sizeof sixteen / sizeof *sixteen; ++i)
        if (width == sixteen[i]) return 16;
    return width % 64 ? 0 : width / 64;
}

/* Pixels of the side of a patch from the elements of a channel's kernel, 3 p^2; 0: none. */
static int64_t patch_side(int64_t elements) {
    int64_t p = 1;
    while (3 * p * p < elements)
        ++p;
    return 3 * p * p == elements ? p : 0;
}

static void read_table(tsr_vit_tower *t, tsr_tower_config *c, const tsr_weight *table) {
    const int64_t rows =
        table ? tsr_elements(&table->tensor) / (t->width ? t->width : 1) - t->has_class : 0;
    for (t->side = 1; t->side < 4096 && t->side * t->side < rows;)
        t->side++;
    if (t->side * t->side != rows)
        tsr_tower_config_fail(c, TSR_ERROR_MODEL,
                              "tensor %s%s: wanted positions of a square of patches, got %lld",
                              t->prefix, t->kind->table, (long long)rows);
}

static void read_heads(tsr_vit_tower *t, tsr_tower_config *c) {
    const int64_t heads =
        tsr_tower_config_number(c, "num_attention_heads", usual_heads(t->width), 0, 1024);
    if (!heads || t->width % heads)
        tsr_tower_config_fail(c, TSR_ERROR_MODEL,
                              "num_attention_heads: wanted a divisor of %lld channels, got %lld",
                              (long long)t->width, (long long)heads);
    t->heads = (int)heads;
}

/* Pixels that a model takes, where the family has no size of its own. */
static void read_view(tsr_vit_tower *t, tsr_tower_config *c) {
    if (t->view.kind == TSR_VIEW_BUDGET) return;
    /* 27 patches of 14 are so400m's 384 pixels, of which 6 are left out. */
    const int64_t own = t->side == 27 && t->patch == 14 ? 384 : t->side * t->patch;
    const uint32_t side = (uint32_t)tsr_tower_config_number(c, "image_size", own, t->patch, 16384);
    if (!t->view.width) t->view.width = t->view.height = side;
    if (!t->view.shortest && t->view.kind != TSR_VIEW_STRETCH) t->view.shortest = side;
}

/* Numbers of the model, from shapes and configuration. */
static tsr_status read_model(tsr_vit_tower *t, tsr_weights *weights, const cJSON *config) {
    tsr_status status = find_prefix(t, weights);
    if (status) return status;
    tsr_tower_config c = tsr_tower_config_begin(t->ctx, t->path, config);
    t->layout = t->kind->layout;
    t->filter = t->kind->positions;
    t->view = t->kind->view;
    const tsr_weight *patches = find(t, weights, t->kind->patches, ".weight");
    if (!patches || patches->tensor.rank < 2)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL, "%s: tensor %s%s.weight: wanted one, got none",
                        t->path, t->prefix, t->kind->patches);
    t->width = patches->tensor.dim[0];
    t->patch = patch_side(tsr_elements(&patches->tensor) / (t->width ? t->width : 1));
    if (!t->patch)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL,
                        "%s: tensor %s: wanted 3 x p x p values a channel, got %lld", t->path,
                        patches->name, (long long)tsr_elements(&patches->tensor));
    for (char first[128]; t->depth <= TSR_TOWER_DEPTH; ++t->depth) {
        snprintf(first, sizeof first, "%s%d.%s", t->kind->blocks, t->depth, t->layout.norm1);
        if (!find(t, weights, first, ".weight")) break;
    }
    if (t->depth < 1 || t->depth > TSR_TOWER_DEPTH)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL, "%s: tensors %s%sN: wanted 1 to %d, got %s",
                        t->path, t->prefix, t->kind->blocks, TSR_TOWER_DEPTH,
                        t->depth ? "more" : "none");
    t->layout.eps = (float)tsr_tower_config_real(&c, "layer_norm_eps", (double)t->layout.eps, 0, 1);
    t->layout.act = tsr_tower_config_activation(&c, "hidden_act", t->layout.act);
    t->kind->read(t, &c, weights);
    char fc2[128];
    snprintf(fc2, sizeof fc2, "%s0.%s", t->kind->blocks, t->layout.fc2);
    const tsr_weight *out = find(t, weights, fc2, ".weight");
    t->hidden = out && out->tensor.rank == 2 ? out->tensor.dim[1] : 4 * t->width;
    tsr_tower_config_agree(&c, "hidden_size", t->width);
    tsr_tower_config_agree(&c, "patch_size", t->patch);
    tsr_tower_config_need(&c, "attention_bias", true);
    read_table(t, &c, find(t, weights, t->kind->table, ""));
    read_heads(t, &c);
    read_view(t, &c);
    return c.status;
}

/* ---- tensors ---- */

static void load_model(tsr_vit_tower *t, tsr_weight_loader *l) {
    const tsr_weight *patches = find(t, l->weights, t->kind->patches, ".weight");
    const tsr_weight *table = find(t, l->weights, t->kind->table, "");
    const bool bias = find(t, l->weights, t->kind->patches, ".bias") != NULL;
    char prefix[512];
    if (l->status) return;
    tsr_load_layer(l, t->prefix, t->kind->patches, patches->tensor.rank, patches->tensor.dim,
                   &t->patches, bias ? &t->patches_bias : NULL);
    tsr_load_weight(l, t->prefix, t->kind->table, table->tensor.rank, table->tensor.dim, &t->table);
    t->kind->load(t, l);
    for (int i = 0; i < t->depth; ++i) {
        snprintf(prefix, sizeof prefix, "%s%s%d.", t->prefix, t->kind->blocks, i);
        tsr_vit_block_load(l, &t->layout, prefix, t->width, t->hidden, &t->block[i]);
    }
    tsr_projector_load(l, t->width, &t->projector);
}

static tsr_status load_tensors(tsr_vit_tower *t) {
    const char *ignored[8];
    char names[4][512];
    int count = 0;
    for (; t->kind->ignored[count] && count < 4; ++count) {
        snprintf(names[count], sizeof names[count], "%s%s", t->prefix, t->kind->ignored[count]);
        ignored[count] = names[count];
    }
    ignored[count] = NULL;
    tsr_weight_loader l = tsr_load_all_begin(t->ctx, t->weights, t->path);
    load_model(t, &l);
    return tsr_load_part_end(&l, t->prefix, ignored);
}

/* ---- opening ---- */

tsr_status tsr_vit_tower_open(tsr_device *device, const tsr_vit_tower_kind *kind,
                              const cJSON *config, const cJSON *preprocessor, tsr_weights *weights,
                              const char *path, tsr_vit_tower **tower) {
    tsr_vit_tower *t = tsr_alloc(tsr_device_context(device), 1, sizeof *t, "tower");
    *tower = NULL;
    if (!t) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    t->kind = kind;
    t->device = device;
    t->ctx = tsr_device_context(device);
    t->weights = weights;
    t->path = strdup(path);
    tsr_status status =
        t->path ? TSR_OK : tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (!status) status = read_model(t, weights, config);
    if (!status) status = tsr_tower_view_read(t->ctx, t->path, preprocessor, &t->view);
    if (!status) status = load_tensors(t);
    snprintf(t->name, sizeof t->name, "%s-%lldx%d-%lld", kind->name, (long long)t->width, t->depth,
             (long long)(t->side * t->patch));
    if (status)
        tsr_vit_tower_close(&t);
    else
        *tower = t;
    return status;
}

void tsr_vit_tower_close(tsr_vit_tower **tower) {
    if (!tower || !*tower) return;
    tsr_vit_tower *t = *tower;
    tsr_device_forget(t->device, t);
    tsr_weights_close(&t->weights);
    free(t->path);
    free(t);
    *tower = NULL;
}

/* ---- the family's functions ---- */

/* Reads a file beside the weights; *json stays NULL where there is none. */
static tsr_status read_beside(const tsr_model_source *source, const char *file, cJSON **json) {
    const tsr_status status = tsr_json_file_beside(source->ctx, source->path, file, json);
    if (status != TSR_ERROR_NOT_FOUND) return status;
    tsr_log(source->ctx, TSR_LOG_INFO, "%s: no %s beside it", source->path, file);
    return TSR_OK;
}

void tsr_vit_tower_list(const tsr_vit_tower_kind *kind, const tsr_model_source *source,
                        tsr_weight_loader *loader) {
    cJSON *config = NULL;
    tsr_vit_tower *t = tsr_alloc(source->ctx, 1, sizeof *t, "tower");
    loader->status = t ? read_beside(source, "config.json", &config) : TSR_ERROR_MEMORY;
    if (!loader->status) {
        t->kind = kind;
        t->ctx = source->ctx;
        t->path = (char *)(uintptr_t)source->path;
        loader->status = read_model(t, loader->weights, config);
    }
    if (!loader->status) load_model(t, loader);
    cJSON_Delete(config);
    free(t);
}

tsr_status tsr_vit_tower_open_file(const tsr_vit_tower_kind *kind, tsr_device *device,
                                   const tsr_model_source *source, void **model) {
    cJSON *config = NULL, *preprocessor = NULL;
    tsr_weights *weights = NULL;
    tsr_vit_tower *t = NULL;
    tsr_status status = read_beside(source, "config.json", &config);
    if (!status) status = read_beside(source, "preprocessor_config.json", &preprocessor);
    if (!status) status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status)
        status = tsr_vit_tower_open(device, kind, config, preprocessor, weights, source->path, &t);
    cJSON_Delete(config);
    cJSON_Delete(preprocessor);
    if (status) return status;
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    if (name) snprintf(t->name, sizeof t->name, "%s", name);
    *model = t;
    return TSR_OK;
}

void tsr_vit_tower_close_file(void **model) {
    if (!model || !*model) return;
    tsr_vit_tower *t = *model;
    tsr_vit_tower_close(&t);
    *model = NULL;
}
