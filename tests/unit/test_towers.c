/* SPDX-License-Identifier: MIT */
/* Vision towers: made-up models: names with anything before them, batches to the bit, what is run
 * and kept, what is refused. That the numbers are right is what golden cases say. */
#include <tessera/features.h>

#include "everywhere.h"
#include "needs.h"
#include "nn/grid_pool.h"
#include "open_device.h"
#include "tiny_model.h"
#include "towers/vit_tower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- made-up models: 64 wide, one head of 64, patches of 14, a table of 3x3 ---- */

enum { WIDTH = 64, HIDDEN = 40, PATCH = 14, SIDE = 3, N = SIDE * SIDE, REGISTERS = 2 };
typedef enum kind { CLIP, SIGLIP, DINOV2, KINDS } kind;

static const char *const families[KINDS] = {"clip-vision", "siglip", "dinov2"};
/* SIGLIP's 384 pixels of 27 patches in small: 44 = 3 * 14 + 2 */
static const char *const configs[KINDS] = {
    "{\"vision_config\": {\"num_attention_heads\": 2, \"image_size\": 42}}",
    "{\"num_attention_heads\": 2, \"image_size\": 44}", "{\"num_attention_heads\": 2}"};

static void add_block(tiny_model *m, kind k, const char *before, int i) {
    static const char *const names[2][7] = {
        {"layer_norm1", "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
         "self_attn.out_proj", "layer_norm2", "encoder.layers"},
        {"norm1", "attention.attention.query", "attention.attention.key",
         "attention.attention.value", "attention.output.dense", "norm2", "encoder.layer"}};
    const char *const *name = names[k == DINOV2];
    char block[256];
    snprintf(block, sizeof block, "%s%s.%d", before, name[6], i);
    tiny_model_norm(m, WIDTH, "%s.%s", block, name[0]);
    for (int j = 1; j < 5; ++j)
        tiny_model_layer(m, WIDTH, WIDTH, 0, true, "%s.%s", block, name[j]);
    tiny_model_norm(m, WIDTH, "%s.%s", block, name[5]);
    if (k != DINOV2) {
        tiny_model_layer(m, HIDDEN, WIDTH, 0, true, "%s.mlp.fc1", block);
        tiny_model_layer(m, WIDTH, HIDDEN, 0, true, "%s.mlp.fc2", block);
        return;
    }
    tiny_model_add(m, 0.5f, 1, 1, (int64_t[]){WIDTH}, "%s.layer_scale1.lambda1", block);
    tiny_model_add(m, 0.5f, 1, 1, (int64_t[]){WIDTH}, "%s.layer_scale2.lambda1", block);
    tiny_model_layer(m, 2 * HIDDEN, WIDTH, 0, true, "%s.mlp.weights_in", block);
    tiny_model_layer(m, WIDTH, HIDDEN, 0, true, "%s.mlp.weights_out", block);
}

static void add_head(tiny_model *m, const char *before) {
    tiny_model_add(m, 1, 0, 3, (int64_t[]){1, 1, WIDTH}, "%shead.probe", before);
    tiny_model_add(m, 0.2f, 0, 2, (int64_t[]){3 * WIDTH, WIDTH}, "%shead.attention.in_proj_weight",
                   before);
    tiny_model_add(m, 0.1f, 0, 1, (int64_t[]){3 * WIDTH}, "%shead.attention.in_proj_bias", before);
    tiny_model_layer(m, WIDTH, WIDTH, 0, true, "%shead.attention.out_proj", before);
    tiny_model_norm(m, WIDTH, "%shead.layernorm", before);
    tiny_model_layer(m, HIDDEN, WIDTH, 0, true, "%shead.mlp.fc1", before);
    tiny_model_layer(m, WIDTH, HIDDEN, 0, true, "%shead.mlp.fc2", before);
}

/* A tower whose names begin with `before`. Equal calls make equal values only through copies. */
static void make_model(tiny_model *m, kind k, int depth, const char *before) {
    *m = (tiny_model){0};
    if (k == DINOV2) {
        tiny_model_add(m, 1, 0, 3, (int64_t[]){1, 1, WIDTH}, "%sembeddings.cls_token", before);
        tiny_model_add(m, 1, 0, 2, (int64_t[]){1, WIDTH}, "%sembeddings.mask_token", before);
        tiny_model_add(m, 1, 0, 3, (int64_t[]){1, REGISTERS, WIDTH}, "%sembeddings.register_tokens",
                       before);
        tiny_model_add(m, 1, 0, 3, (int64_t[]){1, N + 1, WIDTH}, "%sembeddings.position_embeddings",
                       before);
        tiny_model_layer(m, WIDTH, 3, PATCH, true, "%sembeddings.patch_embeddings.projection",
                         before);
        tiny_model_norm(m, WIDTH, "%slayernorm", before);
    } else {
        tiny_model_layer(m, WIDTH, 3, PATCH, k == SIGLIP, "%sembeddings.patch_embedding", before);
        tiny_model_add(m, 1, 0, 2, (int64_t[]){N + (k == CLIP), WIDTH},
                       "%sembeddings.position_embedding.weight", before);
        tiny_model_norm(m, WIDTH, "%spost_layernorm", before);
    }
    if (k == CLIP) {
        tiny_model_add(m, 1, 0, 1, (int64_t[]){WIDTH}, "%sembeddings.class_embedding", before);
        tiny_model_norm(m, WIDTH, "%spre_layrnorm", before);
    }
    if (k == SIGLIP) add_head(m, before);
    for (int i = 0; i < depth; ++i)
        add_block(m, k, before, i);
}

/* The model in a folder of its own, with files beside it unless they are NULL. */
static char folder[] = "/tmp/tessera-tower-XXXXXX";
static char path[128], config_path[128], preprocessor_path[128];

static void write_text(const char *name, const char *text) {
    FILE *f = text ? fopen(name, "w") : NULL;
    if (!text) return;
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static void write_model(tiny_model *m, const char *config, const char *preprocessor) {
    snprintf(folder, sizeof folder, "/tmp/tessera-tower-XXXXXX");
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

static tsr_tower *open_tower(const char *device, tsr_precision precision) {
    tsr_tower *t = NULL;
    const tsr_model_settings s = {.model = path, .device = device, .precision = precision};
    const tsr_status status = tsr_tower_open(everywhere_context(), &t, &s);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
    return t;
}

/* Pictures of several sizes. */
enum { PICTURES = 5 };
static uint8_t rgb[PICTURES][90 * 90 * 3];
static tsr_picture pictures[PICTURES];

static void draw(void) {
    static const int sizes[PICTURES][2] = {{60, 45}, {42, 42}, {90, 30}, {50, 77}, {33, 90}};
    for (int i = 0; i < PICTURES; ++i) {
        for (size_t p = 0; p < sizeof rgb[i]; ++p)
            rgb[i][p] = (uint8_t)random_below(256);
        pictures[i] = (tsr_picture){
            .rgb = rgb[i], .width = sizes[i][0], .height = sizes[i][1], .key = "made up"};
    }
}

static const tsr_feature_request everything = {.keys = 1,
                                               .key_layer = TSR_LAYER_USUAL,
                                               .attention = TSR_ATTENTION_FULL,
                                               .attention_layer = TSR_LAYER_USUAL};

static void run(tsr_tower *t, const tsr_picture *p, int count, const tsr_feature_request *q,
                tsr_picture_features *all) {
    const tsr_status status = tsr_tower_features(t, p, count, q, all);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(everywhere_context()));
}

/* Every array of two pictures has the same bits. */
static void same(const tsr_tower_info *info, const tsr_picture_features *a,
                 const tsr_picture_features *b) {
    const size_t n = (size_t)a->rows * a->columns, d = info->channels;
    ck_assert_uint_eq(a->rows, b->rows);
    ck_assert_uint_eq(a->columns, b->columns);
    ck_assert_mem_eq(a->features[0], b->features[0], n * d * sizeof(float));
    ck_assert_mem_eq(a->keys, b->keys, n * d * sizeof(float));
    ck_assert_mem_eq(a->attention, b->attention,
                     (size_t)info->heads * a->all * a->all * sizeof(float));
    ck_assert_int_eq(a->class_row != NULL, info->has_class);
    if (a->class_row) ck_assert_mem_eq(a->class_row, b->class_row, d * sizeof(float));
}

static void try_batches(kind k, const char *device, tsr_precision precision) {
    tsr_picture_features one[PICTURES], all[PICTURES];
    tiny_model m;
    make_model(&m, k, 3, "vision_model.");
    write_model(&m, configs[k], NULL);
    tsr_tower *t = open_tower(device, precision);
    const tsr_tower_info *info = tsr_tower_properties(t);
    ck_assert_str_eq(info->family, families[k]);
    run(t, pictures, PICTURES, &everything, all);
    for (int i = 0; i < PICTURES; ++i) {
        run(t, &pictures[i], 1, &everything, &one[i]);
        same(info, &one[i], &all[i]);
        if (i) /* and they are not all alike */
            ck_assert_mem_ne(one[0].features[0], one[i].features[0], WIDTH * sizeof(float));
    }
    for (int i = 0; i < PICTURES; ++i) {
        tsr_picture_features_free(&one[i]);
        tsr_picture_features_free(&all[i]);
    }
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
}

START_TEST(batches) {
    draw();
    for (int k = 0; k < KINDS; ++k) {
        try_batches(k, "cpu", TSR_PRECISION_F32);
        try_batches(k, "cpu", TSR_PRECISION_FAST);
    }
}
END_TEST

START_TEST(batches_on_vulkan) {
    draw();
    for (int k = 0; k < KINDS; ++k) {
        try_batches(k, "vulkan:0", TSR_PRECISION_F32);
        try_batches(k, "vulkan:0", TSR_PRECISION_FAST);
    }
}
END_TEST

/* Half precision gives nearly what f32 gives. */
START_TEST(fast) {
    draw();
    for (int k = 0; k < KINDS; ++k) {
        tsr_picture_features a, b;
        tiny_model m;
        make_model(&m, k, 3, "");
        write_model(&m, configs[k], NULL);
        tsr_tower *exact = open_tower("cpu", TSR_PRECISION_F32);
        tsr_tower *quick = open_tower("cpu", TSR_PRECISION_FAST);
        run(exact, pictures, 1, &everything, &a);
        run(quick, pictures, 1, &everything, &b);
        expect_close_f32("fast", b.features[0], a.features[0], N * WIDTH, 0.05);
        tsr_picture_features_free(&a);
        tsr_picture_features_free(&b);
        tsr_tower_close(&exact);
        tsr_tower_close(&quick);
        remove_files();
        tiny_model_free(&m);
    }
}
END_TEST

/* The model under another name in front. */
static void rename_all(tiny_model *m, size_t old, const char *before) {
    for (int i = 0; i < m->count; ++i) {
        char name[512];
        snprintf(name, sizeof name, "%s%s", before, m->name[i] + old);
        free(m->name[i]);
        m->name[i] = strdup(name);
        ck_assert_ptr_nonnull(m->name[i]);
    }
}

START_TEST(prefixes) {
    static const char *const before[] = {"", "vision_model.", "vision_tower.vision_model.",
                                         "model.vision_tower.vision_tower.vision_model.",
                                         "dinov2."};
    draw();
    for (int k = 0; k < KINDS; ++k) {
        tsr_picture_features first, f;
        tiny_model m;
        make_model(&m, k, 2, "");
        size_t old = 0;
        for (unsigned i = 0; i < sizeof before / sizeof *before; ++i) {
            rename_all(&m, old, before[i]);
            old = strlen(before[i]);
            if (i == 2) /* a language model beside it is nobody's business */
                tiny_model_layer(&m, 8, 8, 0, true, "language_model.layers.0.mlp.fc1");
            write_model(&m, configs[k], NULL);
            if (i == 2) {
                tiny_model_remove(&m, "language_model.layers.0.mlp.fc1.weight");
                tiny_model_remove(&m, "language_model.layers.0.mlp.fc1.bias");
            }
            tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
            run(t, pictures, 1, &everything, i ? &f : &first);
            if (i) {
                same(tsr_tower_properties(t), &first, &f);
                tsr_picture_features_free(&f);
            }
            tsr_tower_close(&t);
            remove_files();
        }
        tsr_picture_features_free(&first);
        tiny_model_free(&m);
    }
}
END_TEST

/* The usual features of CLIP and SigLIP do not know the last block; those of DINOv2 do. */
START_TEST(last_block) {
    draw();
    for (int k = 0; k < KINDS; ++k) {
        tsr_picture_features a, b;
        tiny_model m;
        make_model(&m, k, 3, "");
        for (int turn = 0; turn < 2; ++turn) {
            tsr_tensor *last =
                tiny_model_find(&m, k == DINOV2 ? "encoder.layer.2.mlp.weights_out.bias"
                                                : "encoder.layers.2.mlp.fc2.bias");
            if (turn) ((float *)last->data)[5] += 1;
            write_model(&m, configs[k], NULL);
            tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
            ck_assert_uint_eq(tsr_tower_properties(t)->feature_layer, k == DINOV2 ? 3 : 2);
            run(t, pictures, 1, &everything, turn ? &b : &a);
            tsr_tower_close(&t);
            remove_files();
        }
        const bool equal = !memcmp(a.features[0], b.features[0], N * WIDTH * sizeof(float));
        ck_assert_int_eq(equal, k != DINOV2);
        tsr_picture_features_free(&a);
        tsr_picture_features_free(&b);
        tiny_model_free(&m);
    }
}
END_TEST

/* A list of kinds gives what each gives alone, and one layer of a deep tower does not keep the
 * others in memory. */
START_TEST(lists_and_memory) {
    enum { SHALLOW = 3, DEEP = 24, KEPT = 6 };
    static const tsr_feature_kind kinds[KEPT] = {TSR_FEATURE_EMBEDDINGS, TSR_FEATURE_HIDDEN,
                                                 TSR_FEATURE_KEYS,       TSR_FEATURE_ATTENTION,
                                                 TSR_FEATURE_HIDDEN,     TSR_FEATURE_LAST};
    static const int layers[KEPT] = {0, 1, 1, 2, 2, 0};
    size_t peak[2];
    const tsr_grid_size grid = {SIDE, SIDE};
    for (int k = 0; k < KINDS; ++k)
        for (int turn = 0; turn < 2; ++turn) {
            tiny_model m;
            tsr_safetensors *file = NULL;
            own_device own = open_own_device("cpu", 2);
            tsr_context *ctx = own.ctx;
            void *model = NULL;
            const tsr_vit_tower_kind *const all[KINDS] = {&tsr_clip_vision, &tsr_siglip,
                                                          &tsr_dinov2};
            make_model(&m, k, turn ? DEEP : SHALLOW, "");
            write_model(&m, configs[k], NULL);
            ck_assert_int_eq(tsr_safetensors_open(ctx, path, &file), TSR_OK);
            tsr_device *device = own.device;
            const tsr_model_source source = {ctx, file, path};
            ck_assert_int_eq(tsr_vit_tower_open_file(all[k], device, &source, &model), TSR_OK);
            const tsr_vit_tower *t = model;
            float *rows = calloc((size_t)(N * tsr_vit_tower_inputs(t)), sizeof *rows);
            ck_assert_ptr_nonnull(rows);
            random_normals(rows, N * tsr_vit_tower_inputs(t));
            float *alone[KEPT], *together[KEPT];
            tsr_feature list[KEPT];
            for (int i = 0; i < KEPT; ++i) {
                const size_t values = (size_t)tsr_feature_values(t, kinds[i], grid);
                alone[i] = guarded(values * sizeof(float));
                together[i] = guarded(values * sizeof(float));
                list[i] = (tsr_feature){kinds[i], layers[i], alone[i]};
                ck_assert_int_eq(tsr_vit_tower_rows(t, rows, 1, grid, &list[i], 1), TSR_OK);
                if (kinds[i] == TSR_FEATURE_LAST) peak[turn] = tsr_device_peak_bytes(device);
                list[i].values = together[i];
            }
            ck_assert_int_eq(tsr_vit_tower_rows(t, rows, 1, grid, list, KEPT), TSR_OK);
            for (int i = 0; i < KEPT; ++i) {
                ck_assert_mem_eq(alone[i], together[i],
                                 (size_t)tsr_feature_values(t, kinds[i], grid) * sizeof(float));
                guarded_free(alone[i]);
                guarded_free(together[i]);
            }
            if (turn) ck_assert_uint_eq(peak[0], peak[1]);
            free(rows);
            tsr_vit_tower_close_file(&model);
            tsr_safetensors_close(&file);
            close_own_device(&own);
            remove_files();
            tiny_model_free(&m);
        }
}
END_TEST

/* LLaVA's files: the projector under both names, and what the configuration of the whole says. */
START_TEST(projectors) {
    static const char *const names[2][3] = {
        {"multi_modal_projector.linear_1", "multi_modal_projector.linear_2", "image_newline"},
        {"model.mm_projector.0", "model.mm_projector.2", "model.image_newline"}};
    const tsr_feature_request project = {.project = 1};
    draw();
    for (int i = 0; i < 2; ++i) {
        tsr_picture_features f;
        tiny_model m;
        make_model(&m, CLIP, 3, "vision_tower.vision_model.");
        tiny_model_layer(&m, 20, WIDTH, 0, true, "%s", names[i][0]);
        tiny_model_layer(&m, 24, 20, 0, true, "%s", names[i][1]);
        tiny_model_add(&m, 1, 0, 1, (int64_t[]){24}, "%s", names[i][2]);
        write_model(&m,
                    i ? "{\"vision_config\": {\"num_attention_heads\": 2}, "
                        "\"vision_feature_layer\": -1}"
                      : configs[CLIP],
                    NULL);
        tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
        ck_assert_uint_eq(tsr_tower_properties(t)->projected, 24);
        ck_assert_uint_eq(tsr_tower_properties(t)->feature_layer, i ? 3 : 2);
        run(t, pictures, 1, &project, &f);
        ck_assert_uint_eq(f.channels, 24);
        ck_assert_ptr_null(f.class_row);
        tsr_picture_features_free(&f);
        tsr_tower_close(&t);
        remove_files();
        tiny_model_free(&m);
    }
}
END_TEST

/* A configuration of a language model whose own sizes are not the tower's. */
START_TEST(language_configuration) {
    static const char config[] =
        "{\"mm_vision_tower\": \"a tower\", \"hidden_size\": 896, \"num_attention_heads\": 14, "
        "\"hidden_act\": \"swish\", \"mm_vision_select_layer\": -3, \"image_aspect_ratio\": "
        "\"pad\"}";
    for (int k = CLIP; k <= SIGLIP; ++k) {
        tiny_model m;
        make_model(&m, k, 3, "model.vision_tower.vision_tower.vision_model.");
        write_model(&m, config, NULL);
        tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
        const tsr_tower_info *info = tsr_tower_properties(t);
        ck_assert_uint_eq(info->heads, 1); /* 64 channels wide, as in published models */
        ck_assert_uint_eq(info->feature_layer, k == CLIP ? 1 : 2);
        ck_assert_int_eq(info->view.kind, k == CLIP ? TSR_VIEW_PAD : TSR_VIEW_STRETCH);
        tsr_tower_close(&t);
        remove_files();
        tiny_model_free(&m);
    }
}
END_TEST

/* SigLIP cut to what LLaVA-OneVision needs: its last block there is the features'. */
START_TEST(cut_siglip) {
    tiny_model m;
    make_model(&m, SIGLIP, 3, "");
    for (int i = m.count - 1; i >= 0; --i)
        if (!strncmp(m.name[i], "head.", 5)) tiny_model_remove(&m, m.name[i]);
    write_model(&m, configs[SIGLIP], NULL);
    tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
    ck_assert_uint_eq(tsr_tower_properties(t)->feature_layer, 3);
    ck_assert_uint_eq(tsr_tower_properties(t)->view.width, 44);
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
}
END_TEST

/* SigLIP2's NaFlex: pictures keep their shape within a number of patches, each of its own size. */
START_TEST(naflex) {
    static const uint32_t grids[PICTURES][2] = {{3, 4}, {3, 3}, {2, 6}, {4, 3}, {6, 2}};
    const tsr_feature_request usual = {.layer_count = 0};
    tsr_picture_features all[PICTURES], one;
    tiny_model m;
    draw();
    make_model(&m, SIGLIP, 2, "");
    tsr_tensor *patches = tiny_model_find(&m, "embeddings.patch_embedding.weight");
    patches->rank = 2;
    patches->dim[1] = 3 * PATCH * PATCH;
    write_model(&m, configs[SIGLIP], "{\"max_num_patches\": 12}");
    tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
    ck_assert_int_eq(tsr_tower_properties(t)->view.kind, TSR_VIEW_BUDGET);
    run(t, pictures, PICTURES, &usual, all);
    for (int i = 0; i < PICTURES; ++i) {
        ck_assert_uint_eq(all[i].rows, grids[i][0]);
        ck_assert_uint_eq(all[i].columns, grids[i][1]);
        run(t, &pictures[i], 1, &usual, &one);
        ck_assert_mem_eq(one.features[0], all[i].features[0],
                         (size_t)one.rows * one.columns * WIDTH * sizeof(float));
        tsr_picture_features_free(&one);
        tsr_picture_features_free(&all[i]);
    }
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
}
END_TEST

/* Values of a patch: (channel, row, column), of NaFlex (row, column, channel); pixels beyond whole
 * patches are left out. */
START_TEST(patches_of_pixels) {
    enum { W = 2 * PATCH + 5, H = PATCH + 3 };
    static uint8_t tiles[2][H * W * 3];
    for (int i = 0; i < H * W * 3; ++i) {
        tiles[0][i] = (uint8_t)random_below(256);
        tiles[1][i] = (uint8_t)random_below(256);
    }
    for (int last = 0; last < 2; ++last) {
        tsr_vit_tower t = {.patch = PATCH, .channels_last = last, .view = tsr_clip_vision.view};
        const tsr_pixels pixels = {tiles[0], 2, {1, H, W}};
        float *rows = guarded(2 * 2 * 3 * PATCH * PATCH * sizeof *rows);
        tsr_vit_tower_cut(&t, &pixels, rows);
        for (int i = 0; i < 2 * 2 * 3 * PATCH * PATCH; ++i) {
            const int row = i / (3 * PATCH * PATCH), at = i % (3 * PATCH * PATCH);
            const int c = last ? at % 3 : at / (PATCH * PATCH);
            const int y = (last ? at / 3 : at % (PATCH * PATCH)) / PATCH;
            const int x = (last ? at / 3 : at) % PATCH + row % 2 * PATCH;
            const float v = (float)tiles[row / 2][(y * W + x) * 3 + c] / 255;
            const float want = (v - t.view.mean[c]) / t.view.deviation[c];
            ck_assert_msg(fabsf(rows[i] - want) < 1e-6f, "row %d value %d: wanted %g, got %g", row,
                          at, (double)want, (double)rows[i]);
        }
        guarded_free(rows);
    }
}
END_TEST

/* ---- what is refused ---- */

static void refused_model(tiny_model *m, const char *config, const char *preprocessor,
                          tsr_status wanted, const char *text) {
    tsr_tower *t = NULL;
    write_model(m, config, preprocessor);
    const tsr_model_settings s = {.model = path, .device = "cpu"};
    const tsr_status status = tsr_tower_open(everywhere_context(), &t, &s);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == wanted, "wanted a refusal with \"%s\", got status %d: %s", text,
                  (int)status, detail);
    ck_assert_msg(strstr(detail, text) != NULL, "wanted \"%s\" in: %s", text, detail);
    ck_assert_ptr_null(t);
    remove_files();
    tiny_model_free(m);
}

START_TEST(refused_tensors) {
    tiny_model m;
    make_model(&m, CLIP, 2, "vision_model.");
    tiny_model_remove(&m, "vision_model.encoder.layers.1.mlp.fc2.bias");
    refused_model(&m, configs[CLIP], NULL, TSR_ERROR_MODEL,
                  "tensor vision_model.encoder.layers.1.mlp.fc2.bias: wanted [64], got none");
    make_model(&m, CLIP, 2, "vision_model.");
    tiny_model_add(&m, 1, 0, 1, (int64_t[]){4}, "vision_model.encoder.layers.0.surplus");
    refused_model(&m, configs[CLIP], NULL, TSR_ERROR_MODEL,
                  "tensor vision_model.encoder.layers.0.surplus: wanted none");
    make_model(&m, SIGLIP, 2, "");
    tiny_model_find(&m, "embeddings.position_embedding.weight")->dim[0] = N - 1;
    refused_model(&m, configs[SIGLIP], NULL, TSR_ERROR_MODEL, "a square of patches, got 8");
    make_model(&m, DINOV2, 2, "");
    tiny_model_find(&m, "embeddings.patch_embeddings.projection.weight")->dim[2] = 13;
    refused_model(&m, configs[DINOV2], NULL, TSR_ERROR_MODEL, "3 x p x p values a channel");
    make_model(&m, CLIP, 2, "");
    tiny_model_layer(&m, 8, WIDTH, 0, true, "model.mm_projector");
    refused_model(&m, configs[CLIP], NULL, TSR_ERROR_UNSUPPORTED, "mlp2x_gelu");
    make_model(&m, CLIP, 2, "");
    ((float *)tiny_model_find(&m, "encoder.layers.0.mlp.fc1.bias")->data)[3] = NAN;
    refused_model(&m, configs[CLIP], NULL, TSR_ERROR_MODEL,
                  "encoder.layers.0.mlp.fc1.bias: wanted finite values");
}
END_TEST

START_TEST(refused_configurations) {
    static const struct {
        const char *config, *text;
        tsr_status status;
    } cases[] = {
        {"{\"hidden_act\": \"swish\"}", "hidden_act: wanted gelu, quick_gelu",
         TSR_ERROR_UNSUPPORTED},
        {"{\"hidden_size\": 65}", "hidden_size: wanted 64 as the tensors have it, got 65",
         TSR_ERROR_MODEL},
        {"{\"patch_size\": 16}", "patch_size: wanted 14", TSR_ERROR_MODEL},
        {"{\"num_attention_heads\": 5}", "num_attention_heads: wanted a divisor of 64",
         TSR_ERROR_MODEL},
        {"{\"num_attention_heads\": 1.5}", "num_attention_heads: wanted a whole number",
         TSR_ERROR_MODEL},
        {"{\"layer_norm_eps\": \"small\"}", "layer_norm_eps: wanted a number", TSR_ERROR_MODEL},
        {"{\"vision_feature_layer\": [-2, -5]}", "vision_feature_layer: wanted one layer",
         TSR_ERROR_UNSUPPORTED},
        {"{\"vision_feature_layer\": -9}", "vision_feature_layer: wanted one layer from -3 to 2",
         TSR_ERROR_UNSUPPORTED},
        {"[]", "wanted a JSON object", TSR_ERROR_MODEL},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tiny_model m;
        make_model(&m, CLIP, 2, "");
        refused_model(&m, cases[i].config, NULL, cases[i].status, cases[i].text);
    }
}
END_TEST

START_TEST(preprocessors) {
    static const struct {
        const char *text, *refused;
        tsr_view_kind kind;
        uint32_t shortest, width;
        tsr_resampling filter;
    } cases[] = {
        {"{\"size\": {\"shortest_edge\": 56}, \"crop_size\": {\"height\": 42, \"width\": 28}}",
         NULL, TSR_VIEW_CROP, 56, 28, TSR_RESAMPLING_BICUBIC},
        {"{\"size\": 56, \"crop_size\": 42, \"resample\": 2}", NULL, TSR_VIEW_CROP, 56, 42,
         TSR_RESAMPLING_BILINEAR},
        {"{\"size\": {\"height\": 56, \"width\": 70}, \"resample\": 1}", NULL, TSR_VIEW_STRETCH, 0,
         70, TSR_RESAMPLING_LANCZOS},
        {"{}", NULL, TSR_VIEW_CROP, 42, 42, TSR_RESAMPLING_BICUBIC},
        {"{\"do_pad\": true}", NULL, TSR_VIEW_PAD, 42, 42, TSR_RESAMPLING_BICUBIC},
        {"{\"do_pad\": true, \"image_grid_pinpoints\": []}", NULL, TSR_VIEW_CROP, 42, 42,
         TSR_RESAMPLING_BICUBIC},
        {"{\"size\": 0}", "size: wanted 1 to 16384 pixels", 0, 0, 0, 0},
        {"{\"resample\": 0}", "resample: wanted 1, 2 or 3", 0, 0, 0, 0},
        {"{\"do_center_crop\": false}", "do_center_crop: wanted true", 0, 0, 0, 0},
        {"{\"size\": 42, \"crop_size\": 56}", "crop_size: wanted no more", 0, 0, 0, 0},
        {"{\"do_normalize\": false}", "do_normalize: wanted true", 0, 0, 0, 0},
        {"{\"rescale_factor\": 1}", "rescale_factor: wanted 1/255", 0, 0, 0, 0},
        {"{\"image_mean\": [1, 2]}", "image_mean: wanted three numbers", 0, 0, 0, 0},
        {"{\"image_std\": [0, 1, 1]}", "image_std: wanted three numbers", 0, 0, 0, 0},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tiny_model m;
        make_model(&m, CLIP, 1, "");
        if (cases[i].refused) {
            refused_model(&m, configs[CLIP], cases[i].text,
                          strstr(cases[i].refused, "size: wanted 1 to") ||
                                  strstr(cases[i].refused, "three")
                              ? TSR_ERROR_MODEL
                              : TSR_ERROR_UNSUPPORTED,
                          cases[i].refused);
            continue;
        }
        write_model(&m, configs[CLIP], cases[i].text);
        tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
        const tsr_view *v = &tsr_tower_properties(t)->view;
        ck_assert_int_eq(v->kind, cases[i].kind);
        ck_assert_uint_eq(v->shortest, cases[i].shortest);
        ck_assert_uint_eq(v->width, cases[i].width);
        ck_assert_int_eq(v->filter, cases[i].filter);
        tsr_tower_close(&t);
        remove_files();
        tiny_model_free(&m);
    }
}
END_TEST

static void refused_request(tsr_tower *t, tsr_feature_request q, tsr_status wanted,
                            const char *text) {
    tsr_picture_features f;
    const tsr_status status = tsr_tower_features(t, pictures, 1, &q, &f);
    const char *detail = tsr_detail(everywhere_context());
    ck_assert_msg(status == wanted && strstr(detail, text), "wanted \"%s\", got %d: %s", text,
                  (int)status, detail);
    ck_assert_ptr_null(f.features[0]);
}

START_TEST(refused_requests) {
    tiny_model m;
    draw();
    make_model(&m, SIGLIP, 2, "");
    write_model(&m, configs[SIGLIP], NULL);
    tsr_tower *t = open_tower("cpu", TSR_PRECISION_F32);
    refused_request(t, (tsr_feature_request){.layers = {3}, .layer_count = 1}, TSR_ERROR_ARGUMENT,
                    "layer: wanted 0 to 2, got 3");
    refused_request(t, (tsr_feature_request){.layers = {1, 1}, .layer_count = 2},
                    TSR_ERROR_ARGUMENT, "each layer once, got 1 twice");
    refused_request(t, (tsr_feature_request){.keys = 1, .key_layer = 2}, TSR_ERROR_ARGUMENT,
                    "layer of keys: wanted 0 to 1, got 2");
    refused_request(t,
                    (tsr_feature_request){.attention = TSR_ATTENTION_FULL, .attention_layer = -2},
                    TSR_ERROR_ARGUMENT, "layer of attention: wanted 0 to 1, got -2");
    refused_request(t, (tsr_feature_request){.attention = TSR_ATTENTION_CLASS},
                    TSR_ERROR_UNSUPPORTED, "wanted that of a class row");
    refused_request(t, (tsr_feature_request){.project = 1}, TSR_ERROR_UNSUPPORTED,
                    "wanted weights with a projector");
    tsr_tower_close(&t);
    remove_files();
    tiny_model_free(&m);
    tsr_tokenizer *tokenizer = NULL;
    make_model(&m, SIGLIP, 1, "");
    write_model(&m, configs[SIGLIP], NULL);
    ck_assert_int_eq(tsr_tokenizer_open(everywhere_context(), &tokenizer,
                                        &(tsr_model_settings){.model = path, .device = "cpu"}),
                     TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(everywhere_context()), "makes no tokens"));
    remove_files();
    tiny_model_free(&m);
}
END_TEST

/* ---- grids ---- */

START_TEST(grids) {
    static const tsr_grid_filter filters[] = {TSR_GRID_BILINEAR, TSR_GRID_BICUBIC,
                                              TSR_GRID_BILINEAR_ANTIALIAS,
                                              TSR_GRID_BICUBIC_ANTIALIAS};
    float from[4 * 6 * 2], to[9 * 5 * 2], again[4 * 6 * 2];
    tsr_context *ctx = everywhere_context();
    for (unsigned f = 0; f < 4; ++f) {
        for (int i = 0; i < 48; ++i) /* one channel flat, one a slope along columns */
            from[i] = i % 2 ? (float)(i / 2 % 6) : 3;
        const tsr_grid_size a = {4, 6}, b = {9, 5};
        ck_assert_int_eq(tsr_grid_resize(ctx, from, a, 2, filters[f], to, b), TSR_OK);
        for (int i = 0; i < 45; ++i) {
            ck_assert(fabsf(to[2 * i] - 3) < 1e-6f);
            if (i >= 5) ck_assert(to[2 * i + 1] == to[2 * (i % 5) + 1]);    /* rows are alike */
            if (i % 5 == 2) ck_assert(fabsf(to[2 * i + 1] - 2.5f) < 1e-6f); /* the middle */
        }
        random_normals(from, 48);
        ck_assert_int_eq(tsr_grid_resize(ctx, from, a, 2, filters[f], again, a), TSR_OK);
        expect_close_f32("the same size", again, from, 48, 1e-6);
    }
}
END_TEST

START_TEST(pools) {
    float from[2 * 5 * 4], to[2 * 3 * 2];
    tsr_context *ctx = everywhere_context();
    const tsr_grid_size size = {5, 4};
    for (int i = 0; i < 40; ++i)
        from[i] = (float)(i % 20);
    tsr_grid_size made = tsr_pool_size(TSR_POOL_BILINEAR, size);
    ck_assert_int_eq(made.rows, 3);
    ck_assert_int_eq(made.columns, 2);
    made = tsr_pool_size(TSR_POOL_MAX, size);
    ck_assert_int_eq(made.rows, 2);
    ck_assert_int_eq(tsr_pool_grids(ctx, TSR_POOL_AVERAGE, from, 2, size, 1, to), TSR_OK);
    ck_assert(to[0] == 2.5f && to[1] == 4.5f && to[2] == 10.5f && to[4] == 2.5f);
    ck_assert_int_eq(tsr_pool_grids(ctx, TSR_POOL_MAX, from, 2, size, 1, to), TSR_OK);
    ck_assert(to[0] == 5 && to[1] == 7 && to[3] == 15 && to[7] == 15);
    ck_assert_int_eq(tsr_pool_grids(ctx, TSR_POOL_BILINEAR, from, 2, size, 1, to), TSR_OK);
    ck_assert(to[0] > 1.5f && to[0] < 2.5f && to[11] == to[5]);
}
END_TEST

TEST_PARTS("towers",
           PART(own, NULL, batches, fast, prefixes, last_block, lists_and_memory, projectors,
                language_configuration, cut_siglip, naflex, patches_of_pixels, refused_tensors,
                refused_configurations, preprocessors, refused_requests, grids, pools),
           PART(batches, need_vulkan, batches_on_vulkan))
