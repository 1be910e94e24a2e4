/* SPDX-License-Identifier: MIT */
/* Any bytes as a vocabulary map, and as the ids and the text of a reply: what is accepted keeps the
 * headers' promises, and what a map builds it reads back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/runner/prompt.h>
#include "alloc_fail.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A picture of a layout, all of one code. */
static uint32_t codes[4096];

static void walk(tsr_context *ctx, const tsr_vocab_map *map) {
    const tsr_map_info *m = tsr_vocab_map_info(map);
    MUST(*m->name && m->n_input >= m->n_vocab);
    for (int i = 0; i < m->specials; ++i) {
        const tsr_map_special s = tsr_vocab_map_special_at(map, i);
        MUST(*s.name && (s.id != TSR_NO_ID || *s.text));
    }
    for (int t = 0; t < m->templates && m->pictures; ++t) {
        const tsr_map_template one = tsr_vocab_map_template(map, t);
        const tsr_map_picture p = tsr_vocab_map_picture(map, 0);
        tsr_codes c = {.codes = codes, .geometry = TSR_GEOMETRY_GRID, .rows = 2, .columns = 4};
        if (p.grid_count) {
            c.rows = p.grids[0][0];
            c.columns = p.grids[0][1];
        }
        if (p.geometry != TSR_MAP_GRID) {
            c = (tsr_codes){.codes = codes, .columns = p.most_codes ? p.least_codes : 3};
            c.kept = p.geometry == TSR_MAP_KEPT;
        }
        if ((uint64_t)(c.rows ? c.rows : 1) * c.columns > 4096) return;
        for (int f = 0; f < 3; ++f) {
            const tsr_prompt_settings s = {.template_name = one.name,
                                           .pictures = &c,
                                           .picture_count = 1,
                                           .form = (tsr_prompt_form)f,
                                           .text_length = 40};
            tsr_prompt *prompt;
            const tsr_status status = tsr_prompt_build(ctx, map, &s, &prompt);
            MUST((status == TSR_OK) == (prompt != NULL));
            tsr_prompt_close(&prompt);
        }
    }
}

/* Bytes as a reply of a map that is part of the library. */
static void reply(tsr_context *ctx, const char *name, const uint8_t *data, size_t size) {
    tsr_vocab_map *map;
    tsr_reply r;
    MUST(tsr_vocab_map_open(ctx, name, &map) == TSR_OK);
    const tsr_map_info *m = tsr_vocab_map_info(map);
    uint32_t *ids = malloc(size * 4 + 4);
    MUST(ids);
    /* A byte is a token: special ones, digits of sizes, and the first codes. */
    for (size_t i = 0; i < size; ++i) {
        const int b = data[i];
        ids[i] = b < m->specials ? tsr_vocab_map_special_at(map, b).id
                 : b < 64        ? (uint32_t)b - 30
                                 : tsr_vocab_map_block(map, 0).first_id + (uint32_t)b - 64;
    }
    for (int k = 0; k < 4; ++k) {
        const tsr_reply_settings s = {
            .repair = k & 1, .begun = k >> 1, .rows = k >> 1 ? 32 : 0, .columns = k >> 1 ? 32 : 0};
        if (tsr_reply_read(ctx, map, ids, size, &s, &r) == TSR_OK) {
            MUST(r.usable == (r.codes != NULL) && r.end <= size && *r.text);
            MUST(r.usable == (r.verdict == TSR_REPLY_OK || r.repaired));
            for (uint64_t i = 0; r.codes && i < (uint64_t)r.frames * r.rows * r.columns; ++i)
                MUST(r.codes[i] < m->codebook_size);
        }
        tsr_reply_free(&r);
        alloc_fail_at((long)(size % 8));
        tsr_reply_read(ctx, map, ids, size, &s, &r);
        alloc_fail_at(-1);
        tsr_reply_free(&r);
        if (tsr_reply_read_string(ctx, map, (const char *)data, size, &s, &r) == TSR_OK)
            MUST(r.end <= size);
        tsr_reply_free(&r);
    }
    free(ids);
    tsr_vocab_map_close(&map);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_vocab_map *map;
    if (tsr_context_open(&ctx, NULL)) return 0;
    const tsr_status status = tsr_vocab_map_parse(ctx, "fuzz", data, size, &map);
    MUST((status == TSR_OK) == (map != NULL) && (map || *tsr_detail(ctx)));
    if (map) walk(ctx, map);
    tsr_vocab_map_close(&map);
    alloc_fail_at((long)(size % 16));
    tsr_vocab_map_parse(ctx, "fuzz", data, size, &map);
    alloc_fail_at(-1);
    tsr_vocab_map_close(&map);
    if (size < 2048 && size && *data != '{') {
        static const char *const names[] = {"emu3", "lumina-mgpt", "chameleon", "lwm", "show-o"};
        reply(ctx, names[size % 5], data, size);
    }
    tsr_context_close(&ctx);
    return 0;
}
