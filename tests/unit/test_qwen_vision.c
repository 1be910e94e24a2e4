/* SPDX-License-Identifier: MIT */
/* Qwen2-VL's towers: made-up models: pictures of any size together and alone, the order of rows
 * with windows and without, what is refused. That the numbers are right is what golden cases say.
 */
#include <tessera/features.h>

#include "everywhere.h"
#include "needs.h"
#include "tiny_model.h"
#include "towers/qwen_vision.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Heads of 16; Qwen2.5-VL has windows of 2x2 cells here. */
enum { WIDTH = 32, HIDDEN = 40, OUT = 20, DEPTH = 2 };

static void make_model(tiny_model *m, bool gated) {
    *m = (tiny_model){0};
    tiny_model_add(m, 0.05f, 0, 4, (int64_t[]){WIDTH, 3, 2, 14 * 14},
                   "visual.patch_embed.proj.weight");
    for (int i = 0; i < DEPTH; ++i) {
        for (int n = 1; n < 3; ++n) {
            tiny_model_add(m, 0.1f, 1, 1, (int64_t[]){WIDTH}, "visual.blocks.%d.norm%d.weight", i,
                           n);
            if (!gated)
                tiny_model_add(m, 0.1f, 0, 1, (int64_t[]){WIDTH}, "visual.blocks.%d.norm%d.bias", i,
                               n);
        }
        tiny_model_layer(m, 3 * WIDTH, WIDTH, 0, true, "visual.blocks.%d.attn.qkv", i);
        tiny_model_layer(m, WIDTH, WIDTH, 0, true, "visual.blocks.%d.attn.proj", i);
        tiny_model_layer(m, HIDDEN, WIDTH, 0, true, "visual.blocks.%d.mlp.%s", i,
                         gated ? "gate_proj" : "fc1");
        if (gated) tiny_model_layer(m, HIDDEN, WIDTH, 0, true, "visual.blocks.%d.mlp.up_proj", i);
        tiny_model_layer(m, WIDTH, HIDDEN, 0, true, "visual.blocks.%d.mlp.%s", i,
                         gated ? "down_proj" : "fc2");
    }
    tiny_model_add(m, 0.1f, 1, 1, (int64_t[]){WIDTH}, "visual.merger.ln_q.weight");
    if (!gated) tiny_model_add(m, 0.1f, 0, 1, (int64_t[]){WIDTH}, "visual.merger.ln_q.bias");
    tiny_model_layer(m, 4 * WIDTH, 4 * WIDTH, 0, true, "visual.merger.mlp.0");
    tiny_model_layer(m, OUT, 4 * WIDTH, 0, true, "visual.merger.mlp.2");
    /* a language model beside it */
    tiny_model_layer(m, 8, 8, 0, true, "model.layers.0.mlp.gate_proj");
}

/* The model in a folder of its own, with files beside it unless they are NULL. */
static char folder[64], path[128], config_path[128], preprocessor_path[128];

static void write_text(const char *name, const char *text) {
    FILE *f = text ? fopen(name, "w") : NULL;
    if (!text) return;
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void write_model(tiny_model *m, const char *config, const char *preprocessor) {
    snprintf(folder, sizeof folder, "/tmp/tessera-qwen-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(config_path, sizeof config_path, "%s/config.json", folder);
    snprintf(preprocessor_path, sizeof preprocessor_path, "%s/preprocessor_config.json", folder);
    ck_assert_int_eq(rename(tiny_model_write(m, NULL, NULL), path), 0);
    *m->path = 0;
    write_text(config_path, config);
    write_text(preprocessor_path, preprocessor);
}

static void remove_files(void) {
    unlink(path);
    unlink(config_path);
    unlink(preprocessor_path);
    rmdir(folder);
}

static tsr_tower *open_tower(const char *device) {
    tsr_tower *t = NULL;
    const tsr_model_settings s = {.model = path, .device = device};
    const tsr_status status = tsr_tower_open(everywhere_context(), &t, &s);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    return t;
}

enum { PICTURES = 4 };
static uint8_t rgb[PICTURES][170 * 170 * 3];
static tsr_picture pictures[PICTURES];

static void draw(void) {
    static const int sizes[PICTURES][2] = {{60, 90}, {60, 90}, {170, 80}, {84, 140}};
    for (int i = 0; i < PICTURES; ++i) {
        for (size_t p = 0; p < sizeof rgb[i]; ++p)
            rgb[i][p] = (uint8_t)random_below(256);
        pictures[i] = (tsr_picture){
            .rgb = rgb[i], .width = sizes[i][0], .height = sizes[i][1], .key = "made up"};
    }
}

static void run(tsr_tower *t, const tsr_picture *p, int count, const tsr_feature_request *q,
                tsr_picture_features *all) {
    const tsr_status status = tsr_tower_features(t, p, count, q, all);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
}

#define HEADS   "\"num_heads\": 2"
#define WINDOWS "\"window_size\": 56, \"fullatt_block_indexes\": [1]"

static void try_batches(bool gated, const char *device) {
    static const tsr_feature_request requests[2] = {{.layers = {1}, .layer_count = 1},
                                                    {.project = 1}};
    tsr_picture_features all[PICTURES], one;
    tiny_model m;
    make_model(&m, gated);
    write_model(&m, "{\"vision_config\": {" HEADS ", " WINDOWS "}}",
                "{\"min_pixels\": 784, \"max_pixels\": 15680}");
    tsr_tower *t = open_tower(device);
    ck_assert_str_eq(tsr_tower_properties(t)->family, "qwen-vision");
    ck_assert_uint_eq(tsr_tower_properties(t)->projected, OUT);
    ck_assert_uint_eq(tsr_tower_properties(t)->view.max_pixels, 15680);
    for (int q = 0; q < 2; ++q) {
        run(t, pictures, PICTURES, &requests[q], all);
        ck_assert_uint_eq(all[0].rows, q ? 3 : 6); /* 60x90 becomes 56x84 */
        ck_assert_uint_eq(all[0].columns, q ? 2 : 4);
        for (int i = 0; i < PICTURES; ++i) {
            run(t, &pictures[i], 1, &requests[q], &one);
            ck_assert_uint_eq(one.rows, all[i].rows);
            ck_assert_uint_eq(one.channels, q ? OUT : WIDTH);
            ck_assert_mem_eq(one.features[0], all[i].features[0],
                             (size_t)one.rows * one.columns * one.channels * sizeof(float));
            if (i == 1)
                ck_assert_mem_ne(all[0].features[0], all[1].features[0], WIDTH * sizeof(float));
            tsr_picture_features_free(&one);
        }
        for (int i = 0; i < PICTURES; ++i)
            tsr_picture_features_free(&all[i]);
    }
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
}

START_TEST(batches) {
    draw();
    for (int gated = 0; gated < 2; ++gated)
        try_batches(gated, "cpu");
}
END_TEST

START_TEST(batches_on_vulkan) {
    draw();
    for (int gated = 0; gated < 2; ++gated)
        try_batches(gated, "vulkan:0");
}
END_TEST

/* Rows that stand window by window, while every block sees all of them, give what rows in merge
 * order give; with a block that sees windows alone they do not. */
START_TEST(window_order) {
    static const char *const configs[3] = {
        "{" HEADS ", \"window_size\": 16384, \"fullatt_block_indexes\": [0, 1]}",
        "{" HEADS ", \"window_size\": 56, \"fullatt_block_indexes\": [0, 1]}",
        "{" HEADS ", " WINDOWS "}"};
    static const tsr_feature_request requests[2] = {{.keys = 0}, {.project = 1}};
    tsr_picture_features f[3][2];
    tiny_model m;
    draw();
    make_model(&m, true);
    for (int c = 0; c < 3; ++c) {
        write_model(&m, configs[c], "{\"min_pixels\": 784, \"max_pixels\": 15680}");
        tsr_tower *t = open_tower("cpu");
        for (int q = 0; q < 2; ++q)
            run(t, &pictures[3], 1, &requests[q], &f[c][q]);
        tsr_tower_close(&t);
        remove_files();
    }
    for (int q = 0; q < 2; ++q) {
        const int64_t n = (int64_t)f[0][q].rows * f[0][q].columns * f[0][q].channels;
        float far = 0;
        expect_close_f32("window order", f[1][q].features[0], f[0][q].features[0], n, 1e-5);
        for (int64_t i = 0; i < n; ++i) {
            const float d = f[2][q].features[0][i] - f[0][q].features[0][i];
            far = d > far ? d : far;
        }
        ck_assert(far > 1e-3f);
        for (int c = 0; c < 3; ++c)
            tsr_picture_features_free(&f[c][q]);
    }
    tiny_model_free(&m);
}
END_TEST

static void refused(tiny_model *m, const char *config, const char *preprocessor, tsr_status wanted,
                    const char *text) {
    tsr_tower *t = NULL;
    write_model(m, config, preprocessor);
    const tsr_model_settings s = {.model = path, .device = "cpu"};
    const tsr_status status = tsr_tower_open(everywhere_context(), &t, &s);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == wanted && strstr(detail, text), "wanted \"%s\", got %d: %s", text,
                  (int)status, detail);
    ck_assert_ptr_null(t);
    remove_files();
    tiny_model_free(m);
}

START_TEST(refusals) {
    static const struct {
        const char *config, *preprocessor, *text;
        tsr_status status;
    } cases[] = {
        {"{\"num_heads\": 3}", NULL, "num_heads: wanted heads of a multiple of 4", TSR_ERROR_MODEL},
        {"{\"patch_size\": 16}", NULL, "patch_size: wanted 14", TSR_ERROR_MODEL},
        {"{\"depth\": 3}", NULL, "depth: wanted 2 as the tensors have it", TSR_ERROR_MODEL},
        {"{" HEADS ", \"fullatt_block_indexes\": [-1]}", NULL, "fullatt_block_indexes: wanted",
         TSR_ERROR_MODEL},
        {"{" HEADS ", \"window_size\": 20}", NULL, "window_size: wanted a number from 28",
         TSR_ERROR_MODEL},
        {"{" HEADS "}", "{\"min_pixels\": 0}", "min_pixels: wanted 1 to 2^28", TSR_ERROR_MODEL},
        {"{" HEADS "}", "{\"max_pixels\": 784}", "max_pixels: wanted at least min_pixels",
         TSR_ERROR_MODEL},
        {"{" HEADS "}", "{\"merge_size\": 4}", "merge_size: wanted 14, 2 and 2",
         TSR_ERROR_UNSUPPORTED},
    };
    tiny_model m;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        make_model(&m, true);
        refused(&m, cases[i].config, cases[i].preprocessor, cases[i].status, cases[i].text);
    }
    make_model(&m, false);
    tiny_model_remove(&m, "visual.blocks.1.attn.qkv.bias");
    refused(&m, "{" HEADS "}", NULL, TSR_ERROR_MODEL,
            "tensor visual.blocks.1.attn.qkv.bias: wanted [96], got none");
    make_model(&m, false);
    tiny_model_find(&m, "visual.patch_embed.proj.weight")->dim[2] = 1;
    refused(&m, "{" HEADS "}", NULL, TSR_ERROR_MODEL, "patches of 2 frames of 14x14");

    tsr_picture_features f;
    draw();
    make_model(&m, false);
    write_model(&m, "{" HEADS "}", NULL);
    tsr_tower *t = open_tower("cpu");
    ck_assert_int_eq(tsr_tower_features(t, pictures, 1, &(tsr_feature_request){.keys = 1}, &f),
                     TSR_ERROR_UNSUPPORTED);
    pictures[0].width = 1; /* an aspect beyond 200 */
    pictures[0].height = 201;
    ck_assert_int_eq(tsr_tower_features(t, pictures, 1, &(tsr_feature_request){.project = 1}, &f),
                     TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(everywhere_context()), "aspect: wanted at most 200"));
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
}
END_TEST

TEST_PARTS("qwen_vision", PART(own, NULL, batches, window_order, refusals),
           PART(batches, need_vulkan, batches_on_vulkan))
