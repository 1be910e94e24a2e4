/* SPDX-License-Identifier: MIT */
/* test_vocabulary_maps.c: every map that is part of the library: ids by its own numbers, round
 * trips of every layout of classes A and B, refusals of what does not fit; hostile maps. */
#include <tessera/runner/prompt.h>

#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tsr_context *ctx;

static void begin(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static tsr_vocab_map *open_map(const char *name) {
    tsr_vocab_map *map;
    if (tsr_vocab_map_open(ctx, name, &map)) ck_abort_msg("%s", tsr_detail(ctx));
    return map;
}

/* The token table that has the texts SEED-LLaMA's map lacks ids for. */
static void resolve(tsr_vocab_map *map) {
    static const char json[] = "{\"added_tokens\":[{\"id\":40192,\"content\":\"<img>\"},"
                               "{\"id\":40193,\"content\":\"</img>\"}]}";
    tsr_token_table *table;
    ck_assert_int_eq(tsr_token_table_parse(ctx, "seed", json, sizeof json - 1, &table), TSR_OK);
    ck_assert_int_eq(tsr_vocab_map_resolve(ctx, map, table), TSR_OK);
    ck_assert_uint_eq(tsr_vocab_map_special(map, "boi"), 40192);
    ck_assert_uint_eq(tsr_vocab_map_info(map)->n_vocab, 40194);
    tsr_token_table_close(&table);
}

/* A picture that a layout takes: the smallest number of frames and codes, or a grid of 6 x 8. */
static tsr_codes picture_for(const tsr_map_picture *p, uint32_t codebook, uint32_t seed) {
    tsr_codes c = {.geometry = TSR_GEOMETRY_GRID, .codebook_size = codebook};
    c.frames = p->most_frames > 1 ? 3 : 1;
    c.rows = p->grid_count ? p->grids[seed % (uint32_t)p->grid_count][0] : 6;
    c.columns = p->grid_count ? p->grids[seed % (uint32_t)p->grid_count][1] : 8;
    if (p->geometry != TSR_MAP_GRID) {
        c.geometry = TSR_GEOMETRY_SEQUENCE;
        c.frames = c.rows = 1;
        c.columns = p->most_codes ? (p->least_codes + p->most_codes) / 2 : 48;
        c.kept = p->geometry == TSR_MAP_KEPT;
    }
    const uint32_t n = c.frames * c.rows * c.columns;
    uint32_t *codes = malloc(n * sizeof *codes);
    for (uint32_t i = 0; i < n; ++i)
        codes[i] = (uint32_t)(((uint64_t)i * 2654435761u + seed) % codebook);
    codes[0] = 0; /* both ends of the codebook */
    codes[n - 1] = codebook - 1;
    c.codes = codes;
    return c;
}

static uint32_t size_of(const tsr_vocab_map *map, const tsr_map_picture *p) {
    for (int i = 0; i < tsr_vocab_map_info(map)->blocks; ++i)
        if (!strcmp(tsr_vocab_map_block(map, i).name, p->block))
            return tsr_vocab_map_block(map, i).count;
    return 0;
}

static void same_codes(const tsr_reply *r, const tsr_codes *c, const char *map) {
    if (r->verdict || !r->usable) ck_abort_msg("%s: %s", map, r->text);
    ck_assert_uint_eq(r->frames, c->frames);
    ck_assert_uint_eq(r->rows, c->rows);
    ck_assert_uint_eq(r->columns, c->columns);
    ck_assert_int_eq(memcmp(r->codes, c->codes, 4ul * c->frames * c->rows * c->columns), 0);
}

/* Ids and, where there are texts, the string, there and back. */
static int round_trip(tsr_vocab_map *map, int picture, uint32_t seed) {
    const tsr_map_picture p = tsr_vocab_map_picture(map, picture);
    const char *name = tsr_vocab_map_info(map)->name;
    tsr_codes c = picture_for(&p, size_of(map, &p), seed);
    tsr_reply_settings back = {.picture = p.name};
    if (p.geometry == TSR_MAP_GRID) {
        back.frames = c.frames;
        back.rows = c.rows;
        back.columns = c.columns;
    }
    int trips = 0;
    for (int t = 0; t < tsr_vocab_map_info(map)->templates; ++t) {
        const tsr_map_template one = tsr_vocab_map_template(map, t);
        char whole[80];
        snprintf(whole, sizeof whole, "picture:%s", p.name);
        if (strcmp(one.parts, whole) != 0 && (picture || strcmp(one.parts, "picture") != 0))
            continue;
        tsr_prompt_settings s = {.template_name = one.name, .pictures = &c, .picture_count = 1};
        tsr_prompt *prompt;
        tsr_reply reply;
        uint64_t count;
        if (tsr_prompt_build(ctx, map, &s, &prompt)) ck_abort_msg("%s", tsr_detail(ctx));
        const uint32_t *ids = tsr_prompt_ids(prompt, &count);
        for (uint64_t i = 0; i < count; ++i)
            ck_assert_uint_lt(ids[i], tsr_vocab_map_info(map)->n_input);
        if (tsr_reply_read(ctx, map, ids, count, &back, &reply))
            ck_abort_msg("%s", tsr_detail(ctx));
        same_codes(&reply, &c, name);
        ck_assert_uint_eq(reply.end, count);
        tsr_reply_free(&reply);
        tsr_prompt_close(&prompt);
        s.form = TSR_PROMPT_STRING;
        const tsr_status status = tsr_prompt_build(ctx, map, &s, &prompt);
        ck_assert(status == TSR_OK || status == TSR_ERROR_UNSUPPORTED);
        if (!status) {
            size_t size;
            const char *text = tsr_prompt_string(prompt, &size);
            ck_assert_int_eq(tsr_reply_read_string(ctx, map, text, size, &back, &reply), TSR_OK);
            same_codes(&reply, &c, name);
            tsr_reply_free(&reply);
        }
        tsr_prompt_close(&prompt);
        ++trips;
    }
    free((uint32_t *)(uintptr_t)c.codes);
    return trips;
}

START_TEST(round_trips) {
    int maps = 0, last[4] = {0};
    begin();
    for (int i = 0; i < tsr_vocab_map_count(); ++i) {
        if (i) ck_assert_int_lt(strcmp(tsr_vocab_map_name(i - 1), tsr_vocab_map_name(i)), 0);
        tsr_vocab_map *map = open_map(tsr_vocab_map_name(i));
        const tsr_map_info *m = tsr_vocab_map_info(map);
        ck_assert_str_eq(m->name, tsr_vocab_map_name(i));
        ++last[m->kind];
        if (!strcmp(m->name, "seed-llama")) resolve(map);
        int trips = 0;
        for (int p = 0; p < m->pictures; ++p)
            for (uint32_t seed = 0; seed < 2; ++seed)
                trips += round_trip(map, p, seed);
        if (m->kind <= TSR_MAP_MASKED) {
            if (trips < 2) ck_abort_msg("%s: no round trip", m->name);
            ++maps;
        }
        tsr_vocab_map_close(&map);
    }
    ck_assert_int_eq(maps, 12);
    ck_assert_int_eq(last[TSR_MAP_CAUSAL], 10);
    ck_assert_int_eq(last[TSR_MAP_MASKED], 2);
    ck_assert_int_eq(last[TSR_MAP_OWN], 6);
    ck_assert_int_eq(last[TSR_MAP_REFUSED], 4);
    tsr_context_close(&ctx);
}
END_TEST

/* ids of a prompt, against a list. */
static void ids_are(const tsr_vocab_map *map, const tsr_prompt_settings *s, const uint32_t *want,
                    uint64_t n) {
    tsr_prompt *prompt;
    uint64_t count;
    if (tsr_prompt_build(ctx, map, s, &prompt)) ck_abort_msg("%s", tsr_detail(ctx));
    const uint32_t *ids = tsr_prompt_ids(prompt, &count);
    ck_assert_uint_eq(count, n);
    for (uint64_t i = 0; i < n; ++i)
        ck_assert_uint_eq(ids[i], want[i]);
    tsr_prompt_close(&prompt);
}

/* Written out by hand from the layouts' words. */
START_TEST(by_hand) {
    static const uint32_t codes[] = {0, 1, 2, 3, 4, 32767};
    static const uint32_t caption[] = {64, 2518};
    begin();
    tsr_vocab_map *map = open_map("emu3");
    const tsr_codes grid = {codes, TSR_GEOMETRY_GRID, 1, 2, 3, 32768, 0};
    const tsr_prompt_text text = {.key = "caption", .ids = caption, .count = 2};
    tsr_prompt_settings s = {.template_name = "train",
                             .pictures = &grid,
                             .picture_count = 1,
                             .texts = &text,
                             .text_count = 1};
    ids_are(map, &s,
            (const uint32_t[]){151849, 64, 2518, 151852, 17, 9, 18, 151851, 151854, 151855, 151856,
                               151846, 151857, 151858, 184621, 151846, 151847, 151853},
            18);
    s.template_name = "generate";
    ids_are(map, &s, (const uint32_t[]){151849, 64, 2518, 151852, 17, 9, 18, 151851}, 8);
    tsr_vocab_map_close(&map);

    map = open_map("lumina-mgpt"); /* 2 x 4: grid ids count in twos */
    const tsr_codes wide = {
        (const uint32_t[]){7, 6, 5, 4, 3, 2, 1, 0}, TSR_GEOMETRY_GRID, 1, 2, 4, 8192, 0};
    s = (tsr_prompt_settings){.template_name = "image", .pictures = &wide, .picture_count = 1};
    ids_are(map, &s,
            (const uint32_t[]){8197, 8805, 8806, 11, 10, 9, 8, 8803, 7, 6, 5, 4, 8803, 8196}, 14);
    tsr_vocab_map_close(&map);

    map = open_map("lavit"); /* several pictures, by each */
    const tsr_codes kept[] = {{codes, TSR_GEOMETRY_SEQUENCE, 1, 1, 2, 16384, 1},
                              {codes + 2, TSR_GEOMETRY_SEQUENCE, 1, 1, 1, 16384, 1}};
    s = (tsr_prompt_settings){.template_name = "pictures", .pictures = kept, .picture_count = 2};
    ids_are(map, &s, (const uint32_t[]){32000, 32002, 32003, 32001, 32000, 32004, 32001}, 7);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(fields) {
    static const uint32_t many[] = {1, 2, 3, 4, 5, 6, 7, 8};
    begin();
    tsr_vocab_map *map = open_map("show-o");
    const tsr_map_picture p = tsr_vocab_map_picture(map, 0);
    const tsr_codes c = picture_for(&p, 8192, 0);
    tsr_prompt_text text = {.key = "caption", .ids = many, .count = 2};
    tsr_prompt_settings s = {.template_name = "t2i",
                             .pictures = &c,
                             .picture_count = 1,
                             .texts = &text,
                             .text_count = 1,
                             .text_length = 7};
    tsr_prompt *prompt;
    uint64_t count;
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_OK);
    const uint32_t filled[] = {50295, 50295, 50295, 50300, 50256, 1, 2, 50256, 50296, 50305};
    ck_assert_int_eq(memcmp(tsr_prompt_ids(prompt, &count), filled, sizeof filled), 0);
    ck_assert_uint_eq(count, 8 + 258);
    tsr_prompt_close(&prompt);
    text.count = 8; /* too long: cut, and closed all the same */
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_OK);
    const uint32_t cut[] = {50300, 50256, 1, 2, 3, 4, 5, 50256, 50296, 50305};
    ck_assert_int_eq(memcmp(tsr_prompt_ids(prompt, &count), cut, sizeof cut), 0);
    tsr_prompt_close(&prompt);
    s.text_length = 1;
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "text_length"));
    free((uint32_t *)(uintptr_t)c.codes);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(mixed) {
    static const uint32_t codes[4] = {1, 2, 3, 4};
    begin();
    tsr_vocab_map *map = open_map("emu3");
    const tsr_codes c = {codes, TSR_GEOMETRY_GRID, 1, 2, 2, 32768, 0};
    const tsr_prompt_text text = {.key = "caption", .text = "a red cat"};
    tsr_prompt_settings s = {.template_name = "train",
                             .pictures = &c,
                             .picture_count = 1,
                             .texts = &text,
                             .text_count = 1};
    tsr_prompt *prompt;
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "text caption: wanted ids, got text"));
    s.form = TSR_PROMPT_MIXED;
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_OK);
    ck_assert_int_eq(tsr_prompt_pieces(prompt), 3);
    ck_assert_uint_eq(tsr_prompt_piece_at(prompt, 0).count, 1);
    ck_assert_str_eq(tsr_prompt_piece_at(prompt, 1).text, "a red cat");
    ck_assert_uint_eq(tsr_prompt_piece_at(prompt, 2).ids[0], 151852);
    tsr_prompt_close(&prompt);
    s.form = TSR_PROMPT_STRING;
    size_t size;
    ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), TSR_OK);
    ck_assert_str_eq(
        tsr_prompt_string(prompt, &size),
        "<|extra_203|>a red cat<|image start|>2*2<|image token|><|visual token 000001|>"
        "<|visual token 000002|><|extra_200|><|visual token 000003|>"
        "<|visual token 000004|><|extra_200|><|extra_201|><|image end|>");
    tsr_prompt_close(&prompt);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(refused_prompts) {
    static const uint32_t codes[1024] = {0};
    static const uint32_t beyond[4] = {0, 32768, 0, 0};
    const struct {
        const char *map, *template_name;
        tsr_codes c;
        tsr_status status;
        const char *detail;
    } cases[] = {
        {"emu3",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 2, 2, 16384, 0},
         TSR_ERROR_TOKENS,
         "map emu3 wants 32768 codes of family emu3, got those of a tokenizer of 16384"},
        {"emu3",
         "image",
         {codes, TSR_GEOMETRY_SEQUENCE, 1, 1, 32, 32768, 0},
         TSR_ERROR_TOKENS,
         "got a sequence of a 1-D tokenizer"},
        {"emu3",
         "image",
         {beyond, TSR_GEOMETRY_GRID, 1, 2, 2, 32768, 0},
         TSR_ERROR_TOKENS,
         "wanted codes of 0 to 32767, got 32768"},
        {"emu3",
         "image",
         {codes, TSR_GEOMETRY_GRID, 2, 2, 2, 32768, 0},
         TSR_ERROR_TOKENS,
         "wanted rows x columns, got 2 x 2 x 2"},
        {"emu3",
         "none",
         {codes, TSR_GEOMETRY_GRID, 1, 2, 2, 32768, 0},
         TSR_ERROR_NOT_FOUND,
         "wants one of image, train, generate, reply, understand, got none"},
        {"seed-llama",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 4, 8, 8192, 0},
         TSR_ERROR_TOKENS,
         "wants 32 codes in a sequence, got a grid"},
        {"seed-llama",
         "image",
         {codes, TSR_GEOMETRY_SEQUENCE, 1, 1, 31, 8192, 0},
         TSR_ERROR_TOKENS,
         "wanted 32 codes in a sequence, got 1 x 1 x 31"},
        {"seed-llama",
         "image",
         {codes, TSR_GEOMETRY_SEQUENCE, 1, 1, 32, 8192, 0},
         TSR_ERROR_UNSUPPORTED,
         "special.boi: no id is known for \"<img>\""},
        {"chameleon",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 16, 16, 8192, 0},
         TSR_ERROR_TOKENS,
         "wanted 32 x 32, got 1 x 16 x 16"},
        {"lumina-mgpt",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 3, 4, 8192, 0},
         TSR_ERROR_TOKENS,
         "multiples of 2"},
        {"janus",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 24, 24, 16384, 0},
         TSR_ERROR_UNSUPPORTED,
         "a head of their own"},
        {"bagel",
         "image",
         {codes, TSR_GEOMETRY_GRID, 1, 24, 24, 16384, 0},
         TSR_ERROR_UNSUPPORTED,
         "no discrete codes"},
    };
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_vocab_map *map = open_map(cases[i].map);
        tsr_prompt *prompt;
        const tsr_prompt_settings s = {
            .template_name = cases[i].template_name, .pictures = &cases[i].c, .picture_count = 1};
        ck_assert_int_eq(tsr_prompt_build(ctx, map, &s, &prompt), cases[i].status);
        ck_assert_ptr_null(prompt);
        if (!strstr(tsr_detail(ctx), cases[i].detail))
            ck_abort_msg("case %zu: got %s", i, tsr_detail(ctx));
        tsr_vocab_map_close(&map);
    }
    tsr_vocab_map *map = open_map("show-o");
    ck_assert_int_eq(tsr_vocab_map_runnable(ctx, map), TSR_ERROR_UNSUPPORTED);
    tsr_vocab_map_close(&map);
    ck_assert_int_eq(tsr_vocab_map_open(ctx, "emu4", &map), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "did you mean emu3?"));
    tsr_context_close(&ctx);
}
END_TEST

/* ---- repair ---- */

START_TEST(repairs) {
    const struct {
        const uint32_t ids[32];
        uint64_t count;
        tsr_reply_verdict verdict;
        uint32_t rows, columns;
        uint64_t invented, cut, left_out, separators;
    } cases[] = {
        /* 2 x 2 of codes 0 1 2 3, the end missing */
        {{151852, 17, 9, 17, 151851, 151854, 151855, 151846, 151856, 151857, 151846},
         11,
         TSR_REPLY_NO_END,
         2,
         2,
         0,
         0,
         0,
         0},
        /* the separator of row 0 missing */
        {{151852, 17, 9, 17, 151851, 151854, 151855, 151856, 151857, 151846, 151847, 151853},
         12,
         TSR_REPLY_MISSING_SEPARATOR,
         2,
         2,
         0,
         0,
         0,
         1},
        /* a text id among the codes */
        {{151852, 17, 9, 17, 151851, 151854, 5, 151855, 151846, 151856, 151857, 151846, 151847,
          151853},
         14,
         TSR_REPLY_OUTSIDE_BLOCK,
         2,
         2,
         0,
         0,
         1,
         0},
        /* row 1 has one code, row 0 three */
        {{151852, 17, 9, 17, 151851, 151854, 151855, 151855, 151846, 151856, 151846, 151847,
          151853},
         13,
         TSR_REPLY_LONG_ROW,
         2,
         2,
         1,
         1,
         0,
         0},
        /* no begin and no size: the rows say it */
        {{151854, 151855, 151846, 151856, 151857, 151846, 151847, 151853},
         8,
         TSR_REPLY_NO_BEGIN,
         2,
         2,
         0,
         0,
         0,
         0},
        /* a row more than the size says: the rows are believed */
        {{151852, 16, 9, 17, 151851, 151854, 151855, 151846, 151856, 151857, 151846, 151847,
          151853},
         13,
         TSR_REPLY_TOO_MANY_ROWS,
         2,
         2,
         0,
         0,
         0,
         0},
    };
    begin();
    tsr_vocab_map *map = open_map("emu3");
    tsr_reply reply;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const tsr_reply_settings plain = {0}, repair = {.repair = 1};
        ck_assert_int_eq(tsr_reply_read(ctx, map, cases[i].ids, cases[i].count, &plain, &reply),
                         TSR_OK);
        ck_assert_int_eq(reply.verdict, cases[i].verdict);
        ck_assert(!reply.usable && !reply.codes);
        tsr_reply_free(&reply);
        ck_assert_int_eq(tsr_reply_read(ctx, map, cases[i].ids, cases[i].count, &repair, &reply),
                         TSR_OK);
        ck_assert_int_eq(reply.verdict, cases[i].verdict);
        if (!reply.usable || !reply.repaired) ck_abort_msg("case %zu: %s", i, reply.text);
        ck_assert_uint_eq(reply.rows, cases[i].rows);
        ck_assert_uint_eq(reply.columns, cases[i].columns);
        ck_assert_uint_eq(reply.repairs.codes_invented, cases[i].invented);
        ck_assert_uint_eq(reply.repairs.codes_cut, cases[i].cut);
        ck_assert_uint_eq(reply.repairs.ids_left_out, cases[i].left_out);
        ck_assert_uint_eq(reply.repairs.separators_added, cases[i].separators);
        if (!cases[i].invented)
            for (uint32_t k = 0; k < 4; ++k)
                ck_assert_uint_eq(reply.codes[k], k);
        ck_assert_ptr_nonnull(strstr(reply.text, "; repaired:"));
        tsr_reply_free(&reply);
    }
    /* Nothing to repair with. */
    const tsr_reply_settings repair = {.repair = 1};
    ck_assert_int_eq(
        tsr_reply_read(ctx, map, (const uint32_t[]){151852, 151853}, 2, &repair, &reply), TSR_OK);
    ck_assert(reply.verdict && !reply.usable);
    tsr_reply_free(&reply);
    tsr_vocab_map_close(&map);
    map = open_map("chameleon"); /* 40 of 1024 codes: the last one is repeated, and counted */
    uint32_t ids[41] = {8197};
    for (uint32_t i = 1; i < 41; ++i)
        ids[i] = 4 + i;
    ck_assert_int_eq(tsr_reply_read(ctx, map, ids, 41, &repair, &reply), TSR_OK);
    ck_assert_uint_eq(reply.repairs.codes_invented, 1024 - 40);
    ck_assert_uint_eq(reply.codes[1023], 40);
    tsr_reply_free(&reply);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- maps of a user's own ---- */

#define HEAD                                                                                       \
    "{\"format\":\"tessera vocabulary map 1\",\"name\":\"m\",\"model\":\"M\",\"class\":\"A\","
#define REST                                                                                       \
    "\"n_vocab\":100,\"tokenizer\":{\"codebook_size\":16},\"blocks\":[{\"name\":\"b\","            \
    "\"first_code\":0,\"count\":16,\"first_id\":50}],\"special\":{\"boi\":{\"id\":1},"             \
    "\"eoi\":{\"id\":2}},\"pictures\":{\"p\":{\"begin\":\"boi\",\"end\":\"eoi\"}},"                \
    "\"templates\":{\"t\":[\"picture\"]}"

START_TEST(refused_maps) {
    const struct {
        const char *text, *detail;
    } cases[] = {
        {"", "a value"},
        {"[]", "an object"},
        {"{}", "format: wanted it, got none"},
        {"{\"format\":\"tessera vocabulary map 2\"}", "wanted \"tessera vocabulary map 1\""},
        {HEAD REST ",\"name\":\"n\"}", "name: wanted it once, got it again"},
        {HEAD REST ",\"colour\":1}", "colour: wanted a key of the schema"},
        {HEAD "\"n_vocab\":100}", "wanted blocks, pictures and templates for class A or B"},
        {HEAD "\"n_vocab\":1e9}", "without point or exponent"},
        {HEAD "\"n_vocab\":99999999999}", "n_vocab: wanted 1 to"},
        {HEAD "\"blocks\":[{\"name\":\"b\",\"first_code\":0,\"count\":16,\"first_id\":90}],"
              "\"n_vocab\":100}",
         "class: wanted"},
        {HEAD "\"blocks\":[{\"name\":\"b\"}]}", "wanted name, first_code, count and first_id"},
        {HEAD "\"special\":{\"x\":{}}}", "special.x: wanted an id or a text"},
        {HEAD "\"special\":{\"X\":{\"id\":1}}}", "wanted names of a-z"},
        {HEAD "\"pictures\":{\"p\":{\"rows\":\"some\"}}}", "wanted one of none, between, every"},
        {HEAD "\"templates\":{\"t\":[\"image\"]}}", "wanted @NAME, text:KEY, picture"},
        {HEAD "\"templates\":{\"t\":[{\"each\":[{\"each\":[]}]}]}}", "got an object"},
        {HEAD
         "\"templates\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
         "an object"},
        {HEAD "\"notes\":[\"\xff\"]}", "UTF-8"},
    };
    /* Text that takes the place of another in a good map. */
    const struct {
        const char *from, *to, *detail;
    } changes[] = {
        {"\"first_id\":50", "\"first_id\":90", "b: wanted ids below 100, got up to 105"},
        {"\"id\":2", "\"id\":60", "special.eoi: wanted an id outside the blocks, got 60 of b"},
        {"\"id\":2", "\"id\":100", "special.eoi: wanted an id below 100, got 100"},
        {"\"id\":2", "\"id\":1", "wanted tokens that differ"},
        {"\"eoi\":{", "\"boi\":{", "special.boi: wanted it once, got it again"},
        {"\"end\":\"eoi\"", "\"end\":\"eol\"", "wanted a special token of the map, got \"eol\""},
        {"\"end\":\"eoi\"", "\"end\":\"eoi\",\"rows\":\"every\"", "wanted rows and eol together"},
        {"\"end\":\"eoi\"", "\"end\":\"eoi\",\"size\":\"text\"", "wanted size_text and start"},
        {"\"end\":\"eoi\"", "\"end\":\"eoi\",\"codes\":5", "wanted it of a sequence alone"},
        {"\"end\":\"eoi\"", "\"end\":\"eoi\",\"block\":\"c\"", "wanted a block of the map"},
        {"[\"picture\"]", "[\"picture:q\"]", "wanted layouts of the map, got \"q\""},
        {"[\"picture\"]", "[\"@x\"]", "wanted special tokens of the map, got \"x\""},
        {"[\"picture\"]", "[\"head\",\"picture\"]", "wanted a body behind a head"},
        {"[\"picture\"]", "[{\"each\":[\"@boi\"]}]", "wanted a picture inside each"},
        {"[\"picture\"]", "[{\"field\":\"left\",\"with\":\"boi\",\"parts\":[]}]", "text_length"},
        {"\"first_id\":50", "\"first_id\":50,\"text\":\"<%s>\"", "wanted one of %d, %0Nd and %A"},
        {"\"first_id\":50", "\"first_id\":50,\"text\":\"<%d1>\"", "wanted one of %d, %0Nd and %A"},
        {"}],\"special\"",
         "},{\"name\":\"c\",\"first_code\":0,\"count\":4,\"first_id\":65}],\"special\"",
         "c: wanted ids of its own, got some of b"},
        {"\"codebook_size\":16", "\"codebook_size\":16,\"levels\":[4,5]", "wanted a product of 16"},
        {"\"n_vocab\":100", "\"n_vocab\":100,\"n_input\":99", "n_input: wanted at least n_vocab"},
        {"\"class\":\"A\"", "\"class\":\"D\"", "reason: wanted why"},
    };
    tsr_vocab_map *map;
    begin();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        ck_assert_int_eq(
            tsr_vocab_map_parse(ctx, "own", cases[i].text, strlen(cases[i].text), &map),
            TSR_ERROR_FORMAT);
        ck_assert_ptr_null(map);
        if (!strstr(tsr_detail(ctx), cases[i].detail))
            ck_abort_msg("case %zu: got %s", i, tsr_detail(ctx));
    }
    static const char good[] = HEAD REST "}";
    ck_assert_int_eq(tsr_vocab_map_parse(ctx, "own", good, sizeof good - 1, &map), TSR_OK);
    tsr_vocab_map_close(&map);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i) {
        char text[2048];
        const char *at = strstr(good, changes[i].from);
        ck_assert_ptr_nonnull(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, changes[i].to,
                 at + strlen(changes[i].from));
        ck_assert_int_eq(tsr_vocab_map_parse(ctx, "own", text, strlen(text), &map),
                         TSR_ERROR_FORMAT);
        if (!strstr(tsr_detail(ctx), changes[i].detail))
            ck_abort_msg("change %zu: got %s", i, tsr_detail(ctx));
    }
    tsr_context_close(&ctx);
}
END_TEST

/* ---- tables ---- */

START_TEST(tables) {
    static const char config[] =
        "{\"vocabulary_map\":{\"<b>\":500,\"<e>\":501,\"<c 0>\":700,\"<c 1>\":701,\"<c 2>\":702},"
        "\"text_config\":{\"vocab_size\":1000}}";
    static const char like_text[] =
        "{\"format\":\"tessera vocabulary map "
        "1\",\"name\":\"like\",\"model\":\"L\",\"class\":\"A\","
        "\"n_vocab\":9,\"tokenizer\":{\"codebook_size\":3},\"blocks\":[{\"name\":\"b\","
        "\"first_code\":0,\"count\":3,\"first_id\":5,\"text\":\"<c %d>\"}],\"special\":{\"boi\":"
        "{\"id\":1,\"text\":\"<b>\"},\"eoi\":{\"id\":2,\"text\":\"<e>\"}},\"pictures\":{\"p\":"
        "{\"begin\":\"boi\",\"end\":\"eoi\",\"grids\":[[1,3]]}},\"templates\":{\"t\":[\"@boi\","
        "{\"each\":[\"picture:p\"]},\"text:x\"]}}";
    static const char gap[] = "{\"vocabulary_map\":{\"<b>\":500,\"<e>\":501,\"<c 0>\":700,"
                              "\"<c 1>\":702,\"<c 2>\":701}}";
    tsr_vocab_map *like, *made;
    tsr_token_table *table;
    char *text;
    int failed;
    begin();
    ck_assert_int_eq(tsr_vocab_map_parse(ctx, "l", like_text, sizeof like_text - 1, &like), TSR_OK);
    ck_assert_int_eq(tsr_token_table_parse(ctx, "c", config, sizeof config - 1, &table), TSR_OK);
    ck_assert_uint_eq(tsr_token_table_find(table, "<c 1>", 5), 701);
    ck_assert_int_eq(tsr_vocab_map_import(ctx, table, like, "mine", &text), TSR_OK);
    ck_assert_int_eq(tsr_vocab_map_parse(ctx, "mine", text, strlen(text), &made), TSR_OK);
    ck_assert_uint_eq(tsr_vocab_map_info(made)->n_vocab, 1000);
    ck_assert_uint_eq(tsr_vocab_map_block(made, 0).first_id, 700);
    ck_assert_uint_eq(tsr_vocab_map_special(made, "eoi"), 501);
    ck_assert_str_eq(tsr_vocab_map_template(made, 0).parts, "@boi each( picture:p ) text:x");
    tsr_vocabulary v = tsr_token_table_vocabulary(table);
    ck_assert_int_eq(tsr_vocab_map_check(ctx, made, &v, 1, NULL, NULL, &failed), TSR_OK);
    ck_assert_int_eq(failed, 0);
    ck_assert_int_eq(tsr_vocab_map_check(ctx, like, &v, 0, NULL, NULL, &failed), TSR_OK);
    ck_assert_int_eq(failed, 4); /* both tokens, the block, the number */
    v.count += 24;               /* filled up */
    ck_assert_int_eq(tsr_vocab_map_check(ctx, made, &v, 0, NULL, NULL, &failed), TSR_OK);
    ck_assert_int_eq(failed, 0);
    v.text = NULL; /* nothing to compare with but the number, which differs */
    ck_assert_int_eq(tsr_vocab_map_check(ctx, made, &v, 0, NULL, NULL, &failed), TSR_OK);
    ck_assert_int_eq(failed, 1);
    uint32_t *ids;
    uint64_t count;
    ck_assert_int_eq(tsr_token_table_ids(ctx, table, "<b><c 2><e>", &ids, &count), TSR_OK);
    ck_assert(count == 3 && ids[0] == 500 && ids[1] == 702 && ids[2] == 501);
    free(ids);
    ck_assert_int_eq(tsr_token_table_ids(ctx, table, "<b>a cat", &ids, &count),
                     TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "got other text at byte 3"));
    free(text);
    tsr_token_table_close(&table);
    tsr_vocab_map_close(&made);
    ck_assert_int_eq(tsr_token_table_parse(ctx, "g", gap, sizeof gap - 1, &table), TSR_OK);
    ck_assert_int_eq(tsr_vocab_map_import(ctx, table, like, "mine", &text), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted ids without gaps from 700, got 702"));
    tsr_token_table_close(&table);
    static const char *const bad[] = {"{}",
                                      "{\"added_tokens\":[{\"id\":1}]}",
                                      "{\"vocabulary_map\":{\"a\":1,\"b\":1}}",
                                      "{\"vocabulary_map\":{\"a\":1,\"a\":2}}",
                                      "{\"vocabulary_map\":{\"a\":-1}}",
                                      "{\"vocabulary_map\":{\"a\":1.5}}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
        ck_assert_int_eq(tsr_token_table_parse(ctx, "bad", bad[i], strlen(bad[i]), &table),
                         TSR_ERROR_FORMAT);
    tsr_vocab_map_close(&like);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- token files ---- */

START_TEST(items) {
    static const uint32_t ids[] = {151852, 17,     9,      17,     151851, 151854, 151855,
                                   151846, 151856, 151857, 151846, 151847, 151853};
    begin();
    tsr_vocab_map *map = open_map("emu3");
    tsr_reply reply;
    tsr_token_header header;
    tsr_token_item item;
    tsr_codes codes;
    uint32_t tokens;
    ck_assert_int_eq(tsr_reply_read(ctx, map, ids, 13, NULL, &reply), TSR_OK);
    ck_assert_int_eq(tsr_reply_header(ctx, map, &reply, NULL, &header), TSR_OK);
    ck_assert_str_eq(header.tokenizer, "emu3-vision");
    ck_assert_uint_eq(header.tile_width, 16);
    ck_assert_uint_eq(header.family, 11);
    ck_assert_int_eq(tsr_reply_item(ctx, &header, &reply, "k", &tokens, &item), TSR_OK);
    ck_assert_int_eq(tsr_codes_of_item(ctx, &header, &item, &codes), TSR_OK);
    ck_assert(codes.rows == 2 && codes.columns == 2 && codes.codebook_size == 32768);
    const tsr_codes two[2] = {codes, codes};
    tsr_codes joined;
    ck_assert_int_eq(tsr_codes_join(ctx, two, 2, &joined), TSR_OK);
    ck_assert(joined.frames == 2 && joined.codes[7] == 3);
    free((uint32_t *)(uintptr_t)joined.codes);
    item.tile_columns = 2;
    ck_assert_int_eq(tsr_codes_of_item(ctx, &header, &item, &codes), TSR_ERROR_TOKENS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "item k: wanted one tile"));
    header.codebook_size = 0;
    header.channels = 4;
    ck_assert_int_eq(tsr_codes_of_item(ctx, &header, &item, &codes), TSR_ERROR_TOKENS);
    tsr_token_header like = {.tokenizer = "other", .codebook_size = 8192};
    ck_assert_int_eq(tsr_reply_header(ctx, map, &reply, &like, &header), TSR_ERROR_TOKENS);
    tsr_reply_free(&reply);
    tsr_vocab_map_close(&map);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("test_vocabulary_maps", round_trips, by_hand, fields, mixed, refused_prompts, repairs,
          refused_maps, tables, items)
