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

static tsr_status want_positions(const tsr_wanted *wanted, const char *part,
                                 const tsr_flextok_positions *p, int64_t dim, tsr_weight **where) {
    char name[256];
    const int64_t longest = p->max[0] > p->max[1] ? p->max[0] : p->max[1];
    const int64_t sum[4] = {p->axes, 1, dim, longest}, grid[4] = {1, dim, p->max[0], p->max[1]};
    return tsr_want(wanted, name_of(name, sizeof name, part, p->module, "posembs"), "", 4,
                    p->sum ? sum : grid, where);
}

static tsr_status want_blocks(const tsr_wanted *wanted, const char *part, const char *module,
                              const tsr_flextok_block_spec *spec, tsr_flextok_block *blocks) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < spec->depth && !status; ++i) {
        char name[256], rest[32];
        snprintf(rest, sizeof rest, "blocks.%d.", i);
        status = tsr_flextok_block_want(wanted, name_of(name, sizeof name, part, module, rest),
                                        spec, &blocks[i]);
    }
    return status;
}

static tsr_status want_encoder(const tsr_flextok_config *c, const tsr_wanted *wanted,
                               tsr_flextok *m) {
    const char *const part = "encoder";
    const int64_t d = c->encoder.trunk.dim, channels = c->patch * c->patch * c->channels;
    char name[256];
    tsr_status status = tsr_want_layer(
        wanted, name_of(name, sizeof name, part, c->encoder.patches, ""), "patch_proj", 2,
        (int64_t[]){d, channels}, true, &m->encoder.patch, &m->encoder.patch_bias);
    if (!status)
        status = want_positions(wanted, part, &c->encoder.positions, d, &m->encoder.positions);
    if (!status)
        status = tsr_want(wanted, name_of(name, sizeof name, part, c->encoder.registers, ""),
                          "registers", 2, (int64_t[]){c->encoder.table, d}, &m->encoder.registers);
    if (!status)
        status =
            want_blocks(wanted, part, c->encoder.transformer, &c->encoder.trunk, m->encoder.block);
    if (!status)
        status = tsr_want_layer(wanted, name_of(name, sizeof name, part, c->encoder.head, ""),
                                "proj", 2, (int64_t[]){c->level_count, d}, c->encoder.head_bias,
                                &m->encoder.head, &m->encoder.head_bias);
    return status;
}

static tsr_status want_token_step(const tsr_flextok_config *c, const tsr_wanted *wanted, int i,
                                  tsr_flextok *m) {
    const tsr_flextok_token_step *step = &c->decoder.step[i];
    const int64_t d = c->decoder.trunk.dim;
    char name[256];
    name_of(name, sizeof name, "decoder", step->module, "");
    switch (step->kind) {
    case TSR_FLEXTOK_STEP_LINEAR:
        return tsr_want_layer(wanted, name, "proj", 2, (int64_t[]){d, c->level_count}, step->bias,
                              &m->decoder.step[i], &m->decoder.step_bias[i]);
    case TSR_FLEXTOK_STEP_POSITIONS:
        return want_positions(wanted, "decoder", &c->decoder.token_positions, d,
                              &m->decoder.step[i]);
    case TSR_FLEXTOK_STEP_DROPOUT:
        return tsr_want(wanted, name, "dropout_mask_token", 1, &d, &m->decoder.step[i]);
    case TSR_FLEXTOK_STEP_NULL:
        return step->learned ? tsr_want(wanted, name, "nullcond", 1, &d, &m->decoder.step[i])
                             : TSR_OK;
    }
    return TSR_OK;
}

static tsr_status want_decoder(const tsr_flextok_config *c, const tsr_wanted *wanted,
                               tsr_flextok *m) {
    const char *const part = "decoder";
    const int64_t d = c->decoder.trunk.dim, channels = c->patch * c->patch * c->channels;
    char name[256];
    tsr_status status = TSR_OK;
    for (int i = 0; i < c->decoder.step_count && !status; ++i)
        status = want_token_step(c, wanted, i, m);
    if (!status)
        status = tsr_want_layer(wanted, name_of(name, sizeof name, part, c->decoder.patches, ""),
                                "patch_proj", 2, (int64_t[]){d, channels}, true, &m->decoder.patch,
                                &m->decoder.patch_bias);
    if (!status)
        status = want_positions(wanted, part, &c->decoder.positions, d, &m->decoder.positions);
    if (!status)
        status = tsr_want_layer(wanted, name_of(name, sizeof name, part, c->decoder.time, ""),
                                "mlp.0", 2, (int64_t[]){d, c->decoder.frequencies}, true,
                                &m->decoder.time1, &m->decoder.time1_bias);
    if (!status)
        status = tsr_want_layer(wanted, name, "mlp.2", 2, (int64_t[]){d, d}, true,
                                &m->decoder.time2, &m->decoder.time2_bias);
    if (!status)
        status =
            want_blocks(wanted, part, c->decoder.transformer, &c->decoder.trunk, m->decoder.block);
    name_of(name, sizeof name, part, c->decoder.head, "");
    if (!status && c->decoder.head_modulated)
        status = tsr_want_layer(wanted, name, "adaLN_modulation.1", 2, (int64_t[]){2 * d, d}, true,
                                &m->decoder.modulation, &m->decoder.modulation_bias);
    if (!status)
        status = tsr_want_layer(wanted, name, "proj", 2, (int64_t[]){channels, d},
                                c->decoder.head_bias, &m->decoder.head, &m->decoder.head_bias);
    return status;
}

tsr_status tsr_flextok_want(const tsr_flextok_config *c, const tsr_wanted *wanted, tsr_flextok *m) {
    tsr_status status = want_encoder(c, wanted, m);
    return status ? status : want_decoder(c, wanted, m);
}

static void warn_of_extra(const tsr_flextok *m, int wanted) {
    const int there = tsr_weights_count(m->weights);
    if (there > wanted)
        tsr_log(m->ctx, TSR_LOG_WARNING, "%s: %d of %d tensors are not used", m->path,
                there - wanted, there);
}

tsr_status tsr_flextok_want_all(tsr_context *ctx, tsr_flextok_config *config, tsr_weights *weights,
                                const char *path, const tsr_wanted *wanted) {
    tsr_flextok *m = tsr_alloc(ctx, 1, sizeof *m, "flextok"); /* a place for what is found */
    if (!m) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_flextok_want(config, wanted, m);
    free(m);
    if (!status) status = tsr_vae_read_shapes(ctx, weights, TSR_FLEXTOK_VAE, path, &config->vae);
    if (!status) status = tsr_vae_list(ctx, &config->vae, TSR_FLEXTOK_VAE, wanted);
    return status;
}

const char *const tsr_flextok_switches[TSR_FLEXTOK_SAVINGS + 1] = {
    "collapse", "time_table", "one_pass", "last_rows", "first_k", NULL};

tsr_status tsr_flextok_open(tsr_device *device, const tsr_flextok_config *config,
                            tsr_weights *weights, const char *path, tsr_flextok **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_flextok *m = tsr_alloc(ctx, 1, sizeof *m, "flextok");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->device = device;
    m->ctx = ctx;
    m->weights = weights;
    m->config = *config;
    m->savings = TSR_FLEXTOK_SAVE_ALL;
    for (int i = 0; i < TSR_FLEXTOK_SAVINGS; ++i)
        if (tsr_device_masked(device, tsr_flextok_switches[i])) m->savings &= ~(1u << i);
    m->path = strdup(path);
    tsr_wanted_loader loader = {.ctx = ctx, .weights = weights, .path = path};
    const tsr_wanted wanted = {tsr_wanted_load, &loader};
    tsr_status status = m->path ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    if (!status) status = tsr_flextok_want(config, &wanted, m);
    if (!status) status = tsr_vae_read_shapes(ctx, weights, TSR_FLEXTOK_VAE, path, &m->config.vae);
    if (!status)
        status = tsr_vae_open(device, &m->config.vae, weights, TSR_FLEXTOK_VAE, path, &m->vae);
    if (!status) warn_of_extra(m, loader.found + tsr_vae_tensors(m->vae));
    if (status) {
        tsr_flextok_close(&m);
        return status;
    }
    *model = m;
    return TSR_OK;
}

void tsr_flextok_close(tsr_flextok **model) {
    if (!model || !*model) return;
    tsr_flextok *m = *model;
    tsr_device_forget(m->device, m);
    tsr_vae_close(&m->vae);
    tsr_weights_close(&m->weights);
    free(m->path);
    free(m);
    *model = NULL;
}
