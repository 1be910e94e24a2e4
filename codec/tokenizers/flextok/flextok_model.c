/* SPDX-License-Identifier: MIT */
/* flextok_model.c: the tensors of a FlexTok model. */
#include "flextok_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* <encoder|decoder>.module_dict.<module>.<rest> */
static const char *name_of(char *text, size_t size, const char *part, const char *module,
                           const char *rest) {
    snprintf(text, size, "%s.module_dict.%s.%s", part, module, rest);
    return text;
}

static void load_positions(tsr_weight_loader *l, const char *part, const tsr_flextok_positions *p,
                           int64_t dim, tsr_weight **where) {
    char name[256];
    const int64_t longest = p->max[0] > p->max[1] ? p->max[0] : p->max[1];
    const int64_t sum[4] = {p->axes, 1, dim, longest}, grid[4] = {1, dim, p->max[0], p->max[1]};
    tsr_load_weight(l, name_of(name, sizeof name, part, p->module, "posembs"), "", 4,
                    p->sum ? sum : grid, where);
}

static void load_blocks(tsr_weight_loader *l, const char *part, const char *module,
                        const tsr_flextok_block_spec *spec, tsr_flextok_block *blocks) {
    for (int i = 0; i < spec->depth; ++i) {
        char name[256], rest[32];
        snprintf(rest, sizeof rest, "blocks.%d.", i);
        tsr_flextok_block_load(l, name_of(name, sizeof name, part, module, rest), spec, &blocks[i]);
    }
}

static void load_encoder(tsr_weight_loader *l, const tsr_flextok_config *c, tsr_flextok *m) {
    const char *const part = "encoder";
    const int64_t d = c->encoder.trunk.dim, channels = c->patch * c->patch * c->channels;
    char name[256];
    tsr_load_layer(l, name_of(name, sizeof name, part, c->encoder.patches, ""), "patch_proj", 2,
                   (int64_t[]){d, channels}, &m->encoder.patch, &m->encoder.patch_bias);
    load_positions(l, part, &c->encoder.positions, d, &m->encoder.positions);
    tsr_load_weight(l, name_of(name, sizeof name, part, c->encoder.registers, ""), "registers", 2,
                    (int64_t[]){c->encoder.table, d}, &m->encoder.registers);
    load_blocks(l, part, c->encoder.transformer, &c->encoder.trunk, m->encoder.block);
    tsr_load_layer(l, name_of(name, sizeof name, part, c->encoder.head, ""), "proj", 2,
                   (int64_t[]){c->level_count, d}, &m->encoder.head,
                   c->encoder.head_bias ? &m->encoder.head_bias : NULL);
}

static void load_token_step(tsr_weight_loader *l, const tsr_flextok_config *c, int i,
                            tsr_flextok *m) {
    const tsr_flextok_token_step *step = &c->decoder.step[i];
    const int64_t d = c->decoder.trunk.dim;
    char name[256];
    name_of(name, sizeof name, "decoder", step->module, "");
    switch (step->kind) {
    case TSR_FLEXTOK_STEP_LINEAR:
        tsr_load_layer(l, name, "proj", 2, (int64_t[]){d, c->level_count}, &m->decoder.step[i],
                       step->bias ? &m->decoder.step_bias[i] : NULL);
        break;
    case TSR_FLEXTOK_STEP_POSITIONS:
        load_positions(l, "decoder", &c->decoder.token_positions, d, &m->decoder.step[i]);
        break;
    case TSR_FLEXTOK_STEP_DROPOUT:
        tsr_load_weight(l, name, "dropout_mask_token", 1, &d, &m->decoder.step[i]);
        break;
    case TSR_FLEXTOK_STEP_NULL:
        if (step->learned) tsr_load_weight(l, name, "nullcond", 1, &d, &m->decoder.step[i]);
        break;
    }
}

static void load_decoder(tsr_weight_loader *l, const tsr_flextok_config *c, tsr_flextok *m) {
    const char *const part = "decoder";
    const int64_t d = c->decoder.trunk.dim, channels = c->patch * c->patch * c->channels;
    char name[256];
    for (int i = 0; i < c->decoder.step_count; ++i)
        load_token_step(l, c, i, m);
    tsr_load_layer(l, name_of(name, sizeof name, part, c->decoder.patches, ""), "patch_proj", 2,
                   (int64_t[]){d, channels}, &m->decoder.patch, &m->decoder.patch_bias);
    load_positions(l, part, &c->decoder.positions, d, &m->decoder.positions);
    name_of(name, sizeof name, part, c->decoder.time, "");
    tsr_load_layer(l, name, "mlp.0", 2, (int64_t[]){d, c->decoder.frequencies}, &m->decoder.time1,
                   &m->decoder.time1_bias);
    tsr_load_layer(l, name, "mlp.2", 2, (int64_t[]){d, d}, &m->decoder.time2,
                   &m->decoder.time2_bias);
    load_blocks(l, part, c->decoder.transformer, &c->decoder.trunk, m->decoder.block);
    name_of(name, sizeof name, part, c->decoder.head, "");
    if (c->decoder.head_modulated)
        tsr_load_layer(l, name, "adaLN_modulation.1", 2, (int64_t[]){2 * d, d},
                       &m->decoder.modulation, &m->decoder.modulation_bias);
    tsr_load_layer(l, name, "proj", 2, (int64_t[]){channels, d}, &m->decoder.head,
                   c->decoder.head_bias ? &m->decoder.head_bias : NULL);
}

void tsr_flextok_load(tsr_weight_loader *l, const tsr_flextok_config *c, tsr_flextok *m) {
    load_encoder(l, c, m);
    load_decoder(l, c, m);
}

void tsr_flextok_list(tsr_weight_loader *l, tsr_flextok_config *config) {
    if (l->status) return;
    tsr_flextok *m = tsr_alloc(l->ctx, 1, sizeof *m, "flextok"); /* filled, and thrown away */
    if (m)
        tsr_flextok_load(l, config, m);
    else
        l->status = TSR_ERROR_MEMORY;
    free(m);
    if (l->status) return;
    l->status = tsr_vae_read_shapes(l->ctx, l->weights, TSR_FLEXTOK_VAE, l->path, &config->vae);
    tsr_vae_list(l, &config->vae, TSR_FLEXTOK_VAE);
}

static void warn_of_extra(const tsr_flextok *m, int found) {
    const int there = tsr_weights_count(m->weights);
    if (there > found)
        tsr_log(m->ctx, TSR_LOG_WARNING, "%s: %d of %d tensors are not used", m->path,
                there - found, there);
}

const char *const tsr_flextok_switches[TSR_FLEXTOK_SAVINGS + 1] = {
    "collapse", "time_table", "one_pass", "last_rows", "first_k", NULL};

/* Joins the layers of all blocks, once all tensors are counted. */
static tsr_status join_blocks(tsr_flextok *m) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < m->config.encoder.trunk.depth && !status; ++i)
        status = tsr_flextok_block_join(m->ctx, m->weights, &m->encoder.block[i]);
    for (int i = 0; i < m->config.decoder.trunk.depth && !status; ++i)
        status = tsr_flextok_block_join(m->ctx, m->weights, &m->decoder.block[i]);
    return status;
}

/* Fills a model whose device, context, weights and configuration are set. */
static tsr_status load_model(tsr_flextok *m, const char *path) {
    tsr_vae_config *vae = &m->config.vae;
    tsr_weight_loader loader = {.ctx = m->ctx, .weights = m->weights, .path = path};
    if (!(m->path = strdup(path))) return tsr_fail(m->ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    tsr_flextok_load(&loader, &m->config, m);
    tsr_status status = loader.status;
    if (!status) status = tsr_vae_read_shapes(m->ctx, m->weights, TSR_FLEXTOK_VAE, path, vae);
    if (!status) status = tsr_vae_open(m->device, vae, m->weights, TSR_FLEXTOK_VAE, path, &m->vae);
    if (!status) warn_of_extra(m, loader.found + tsr_vae_tensors(m->vae));
    if (!status) status = join_blocks(m);
    return status;
}

tsr_status tsr_flextok_open(tsr_device *device, const tsr_flextok_config *config,
                            tsr_weights *weights, const char *path, tsr_flextok **model) {
    tsr_flextok *m = tsr_alloc(tsr_device_context(device), 1, sizeof *m, "flextok");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->device = device;
    m->ctx = tsr_device_context(device);
    m->weights = weights;
    m->config = *config;
    m->savings = TSR_FLEXTOK_SAVE_ALL;
    for (int i = 0; i < TSR_FLEXTOK_SAVINGS; ++i)
        if (tsr_device_masked(device, tsr_flextok_switches[i])) m->savings &= ~(1u << i);
    const tsr_status status = load_model(m, path);
    if (status)
        tsr_flextok_close(&m);
    else
        *model = m;
    return status;
}

void tsr_flextok_close(tsr_flextok **model) {
    if (!model || !*model) return;
    tsr_flextok *m = *model;
    tsr_device_forget(m->device, m);
    tsr_vae_close(&m->vae);
    tsr_weights_close(&m->weights);
    free(m->encoder.own);
    free(m->path);
    free(m);
    *model = NULL;
}
