/* SPDX-License-Identifier: MIT */
/* bench_flextok.c: what each exact saving of FlexTok is worth: a guided decoder step of a picture
 * and an encode, with all savings and without one after the other. Widths and rows are those of
 * d12-d12, but 3 blocks instead of 12 and no autoencoder; weights are made up. */
#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../codec/tokenizers/flextok/flextok_decoder.h"
#include "../codec/tokenizers/flextok/flextok_encoder.h"

enum { WIDTH = 768, HIDDEN = 2048, BLOCKS = 3, REGISTERS = 256, GRID = 16, SIDE = 2 * GRID };
enum { CHANNELS = 16, LATENTS = CHANNELS * SIDE * SIDE, KEPT = 64, STEPS = 2 };

/* Anything moderate will do, as long as it is the same each time. */
static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    (void)user, (void)ctx;
    uint32_t state = 1;
    for (; *name; ++name)
        state = state * 31 + (unsigned char)*name;
    for (int64_t i = 0; i < count; ++i) {
        const uint32_t h = (state + (uint32_t)(first + i)) * 2654435761u;
        f32[i] = ((float)(h >> 8) * 0x1p-24f - 0.5f) * 0.1f;
    }
    return TSR_OK;
}

static const tsr_weight_source source = {.fill = fill};

static tsr_status add_weight(void *user, const char *name, int rank, const int64_t *dim,
                             tsr_weight **where) {
    (void)where;
    const tsr_weight_loader *l = user;
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    return tsr_weights_add_lazy(l->ctx, l->weights, name, &t, &source);
}

static tsr_flextok_config make_config(void) {
    const tsr_flextok_block_spec trunk = {.dim = WIDTH,
                                          .hidden = HIDDEN,
                                          .depth = BLOCKS,
                                          .heads = WIDTH / 64,
                                          .gated_mlp = true,
                                          .qk_norm = true};
    const tsr_flextok_positions grid = {.module = "pos", .axes = 2, .max = {GRID, GRID}};
    tsr_flextok_config c = {.channels = CHANNELS,
                            .patch = 2,
                            .levels = {8, 8, 8, 5, 5, 5},
                            .level_count = 6,
                            .codebook = 64000,
                            .registers = REGISTERS};
    c.vae = (tsr_vae_config){
        .channels = CHANNELS, .scaling_factor = 1, .blocks = 1, .width = {32}, .resnets = 1};
    c.vae.groups = 32;
    c.encoder.trunk = c.decoder.trunk = trunk;
    c.encoder.table = REGISTERS;
    c.encoder.positions = c.decoder.positions = grid;
    c.encoder.head_bias = c.decoder.head_bias = c.decoder.head_modulated = true;
    c.decoder.trunk.groups = 2;
    c.decoder.frequencies = 256;
    c.decoder.max_timestep = 1;
    c.decoder.step_count = 4;
    c.decoder.step[0] = (tsr_flextok_token_step){TSR_FLEXTOK_STEP_LINEAR, "in", true, false, false};
    c.decoder.step[1] =
        (tsr_flextok_token_step){TSR_FLEXTOK_STEP_POSITIONS, "tpos", false, false, false};
    c.decoder.step[2] =
        (tsr_flextok_token_step){TSR_FLEXTOK_STEP_DROPOUT, "drop", false, true, false};
    c.decoder.step[3] = (tsr_flextok_token_step){TSR_FLEXTOK_STEP_NULL, "null", false, true, false};
    c.decoder.token_positions =
        (tsr_flextok_positions){.module = "tpos", .axes = 1, .max = {REGISTERS, 1}, .sum = true};
    const struct {
        char *name;
        const char *value;
    } names[] = {{c.encoder.patches, "patch"}, {c.encoder.registers, "registers"},
                 {c.encoder.head, "head"},     {c.encoder.transformer, "trunk"},
                 {c.decoder.patches, "patch"}, {c.decoder.time, "time"},
                 {c.decoder.head, "head"},     {c.decoder.transformer, "trunk"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        snprintf(names[i].name, TSR_FLEXTOK_NAME, "%s", names[i].value);
    return c;
}

typedef struct flextok_bench {
    tsr_flextok *m;
    float *noise, *x, *z;
    uint32_t ids[REGISTERS];
    int64_t k; /* of the encode */
} flextok_bench;

/* STEPS guided steps: the modulation's share is that of a short decode. */
static tsr_status decode_body(void *arg) {
    flextok_bench *f = arg;
    const uint32_t count = KEPT;
    const tsr_flextok_decode_settings s = {
        .flow = {.steps = STEPS, .guidance = 7.5f, .normalized = true}};
    memcpy(f->x, f->noise, LATENTS * sizeof *f->x);
    return tsr_flextok_decode(f->m, f->ids, &count, 1, SIDE, SIDE, &s, f->x);
}

static tsr_status encode_body(void *arg) {
    flextok_bench *f = arg;
    return tsr_flextok_encode(f->m, f->noise, 1, SIDE, SIDE, f->k, f->z, NULL);
}

static const struct {
    const char *name;
    unsigned off;
    bool encode, decode;
} variants[] = {
    {"", 0, true, true},
    {" without collapse", TSR_FLEXTOK_COLLAPSE, false, true},
    {" without time_table", TSR_FLEXTOK_TABLE, false, true},
    {" without one_pass", TSR_FLEXTOK_ONE_PASS, false, true},
    {" without last_rows", TSR_FLEXTOK_LAST_ROWS, true, true},
    {" without first_k", TSR_FLEXTOK_FIRST_K, true, false},
    {" plain", TSR_FLEXTOK_SAVE_ALL, true, true},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

static const char *row_name(char *text, size_t size, int variant, bool encode) {
    if (encode)
        snprintf(text, size, "flextok encoder k=%d%s", KEPT, variants[variant].name);
    else
        snprintf(text, size, "flextok %d guided steps k=%d%s", STEPS, KEPT, variants[variant].name);
    return text;
}

static tsr_status bench_device(tsr_bencher *b, int index, flextok_bench *f) {
    tsr_device *device = tsr_bench_open(b, index, "flextok");
    if (!device) return TSR_OK;
    const tsr_flextok_config config = make_config();
    tsr_weight_loader loader = {.ctx = b->ctx, .path = "bench", .fn = add_weight, .user = &loader};
    tsr_flextok *place = tsr_alloc(b->ctx, 1, sizeof *place, "bench");
    if (!place) return TSR_ERROR_MEMORY;
    loader.status = tsr_weights_open(b->ctx, &loader.weights);
    tsr_flextok_load(&loader, &config, place);
    tsr_vae_list(&loader, &config.vae, TSR_FLEXTOK_VAE);
    free(place);
    tsr_status s = loader.status;
    if (s) {
        tsr_weights_close(&loader.weights);
        return s;
    }
    s = tsr_flextok_open(device, &config, loader.weights, "bench", &f->m);
    for (int v = 0; v < VARIANTS && !s; ++v)
        for (int encode = 0; encode < 2 && !s; ++encode) {
            char name[96];
            row_name(name, sizeof name, v, encode);
            if (!(encode ? variants[v].encode : variants[v].decode) || !tsr_bench_wants(b, name))
                continue;
            const tsr_bench_row row = {
                .name = name, .by = "tessera", .device = &b->devices[index].info};
            f->m->savings = TSR_FLEXTOK_SAVE_ALL & ~variants[v].off;
            s = tsr_bench_time(b, &row, encode ? encode_body : decode_body, f);
        }
    tsr_flextok_close(&f->m);
    return s;
}

tsr_status tsr_bench_suite_flextok(tsr_bencher *b) {
    bool any = false;
    for (int i = 0; i < 2 * VARIANTS; ++i) {
        char name[96];
        any |= tsr_bench_wants(b, row_name(name, sizeof name, i / 2, i % 2));
    }
    if (!any) return TSR_OK;
    flextok_bench f = {.k = KEPT};
    f.noise = tsr_bench_floats(b->ctx, LATENTS, 1);
    f.x = tsr_bench_floats(b->ctx, LATENTS, 2);
    f.z = tsr_bench_floats(b->ctx, (size_t)REGISTERS * 6, 3);
    for (uint32_t i = 0; i < REGISTERS; ++i)
        f.ids[i] = i * 251 % 64000;
    tsr_status s = f.noise && f.x && f.z ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < b->device_count && !s; ++i) {
        /* The plain reference would take minutes. */
        if (b->devices[i].reference) continue;
        if (!b->devices[i].info.usable && !b->settings.device) continue;
        s = bench_device(b, i, &f);
    }
    free(f.noise);
    free(f.x);
    free(f.z);
    return s;
}
