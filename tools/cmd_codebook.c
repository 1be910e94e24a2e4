/* SPDX-License-Identifier: MIT */
/* cmd_codebook.c: k-means codebooks on features or on patches of pictures. */
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct codebook_options {
    common_options common;
    const char *output, *tensor, *codebook;
    uint32_t codes, patch, per_picture, iterations, stages;
    uint64_t seed;
    double tolerance;
    int cosine;
} codebook_options;

#define AT(field) offsetof(codebook_options, field)
#define TENSOR                                                                                     \
    {                                                                                              \
        "tensor", 0, OPTION_TEXT, AT(tensor), "NAME", "the only one there is",                     \
            "which tensor of a .safetensors file holds the features", NULL, 0, 0                   \
    }
#define PATCH                                                                                      \
    {"patch",                                                                                      \
     'p',                                                                                          \
     OPTION_UINT,                                                                                  \
     AT(patch),                                                                                    \
     "P",                                                                                          \
     "8 for pictures",                                                                             \
     "pictures: cut into P x P pixels; a row is 3*P*P values in 0..1. Arrays: say with it that "   \
     "their rows are such patches, in the order (y, x, channel)",                                  \
     NULL,                                                                                         \
     1,                                                                                            \
     256},                                                                                         \
    {                                                                                              \
        "per-picture", 0, OPTION_UINT, AT(per_picture), "N", "all",                                \
            "pictures: take at most N patches of each, evenly spaced", NULL, 1, 1e9                \
    }
#define CODEBOOK                                                                                   \
    {                                                                                              \
        "codebook", 'c', OPTION_TEXT, AT(codebook), "CODES", NULL,                                 \
            "the codebook's .safetensors file", NULL, 0, 0                                         \
    }

static const option train_options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "CODES", NULL,
     "where to write the codebook (.safetensors)", NULL, 0, 0},
    {"codes", 'k', OPTION_UINT, AT(codes), "K", "256", "number of codes in each stage", NULL, 1,
     1u << 24},
    {"stages", 0, OPTION_UINT, AT(stages), "N", "1",
     "residual stages: each one codes what the ones before left over", NULL, 1, 64},
    {"cosine", 0, OPTION_FLAG, AT(cosine), NULL, NULL,
     "compare directions: rows and codes are l2-normalised", NULL, 0, 0},
    {"iterations", 0, OPTION_UINT, AT(iterations), "N", "50", "stop after N at the latest", NULL, 1,
     100000},
    {"tolerance", 0, OPTION_REAL, AT(tolerance), "T", "0.0001",
     "stop when the error falls by less than this share", NULL, 0, 1},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "1",
     "of the random numbers; the same seed gives the same codes", NULL, 0, 0},
    PATCH,
    TENSOR,
};
static const option assign_options[] = {
    CODEBOOK,
    {"output", 'o', OPTION_TEXT, AT(output), "IDS.npy", NULL,
     "where to write the ids, [rows, stages] i4; '-' is stdout", NULL, 0, 0},
    PATCH,
    TENSOR,
};
static const option stats_options[] = {CODEBOOK, PATCH, TENSOR};
#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

typedef struct features {
    float *x;
    uint64_t rows;
    uint32_t dim, patch; /* patch: side of the patches that the rows are; 0: they are none */
} features;

typedef struct codebook {
    float *codes;
    uint32_t stages, count, dim;
    int cosine;
} codebook;

/* Arrays and weights have a sure beginning; what has neither is taken for a picture. What cannot be
 * opened is left to the library to complain about. */
static bool is_array(const char *path) {
    unsigned char b[9] = {0};
    FILE *f = strcmp(path, "-") == 0 ? NULL : fopen(path, "rb");
    if (!f) return false;
    size_t n = fread(b, 1, sizeof b, f);
    fclose(f);
    if (n >= 6 && memcmp(b, "\x93NUMPY", 6) == 0) return true;
    return n == 9 && b[8] == '{' && !b[4] && !b[5] && !b[6] && !b[7];
}

static int append(tool *t, features *all, float *x, uint64_t rows, uint32_t dim, const char *path) {
    if (!all->x) {
        *all = (features){x, rows, dim, 0};
        return -1;
    }
    int code = -1;
    float *grown = NULL;
    if (dim != all->dim)
        code = tool_fail_text(t, TSR_ERROR_FORMAT, "%s: features: wanted %u values a row, got %u",
                              path, all->dim, dim);
    else if (!(grown = realloc(all->x, (all->rows + rows) * dim * sizeof(float))))
        code = tool_fail_text(t, TSR_ERROR_MEMORY, "%s: features", path);
    if (code < 0) {
        all->x = grown;
        memcpy(all->x + all->rows * dim, x, rows * dim * sizeof(float));
        all->rows += rows;
    }
    free(x);
    return code;
}

/* all->patch becomes the side of the patches that the rows are, or 0. */
static int read_features(tool *t, const codebook_options *o, char **paths, int count,
                         features *all) {
    int arrays = 0, code = -1;
    for (int i = 0; i < count; ++i)
        arrays += is_array(paths[i]);
    if (arrays && arrays < count)
        return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                              "wanted feature arrays or pictures, got both kinds");
    tsr_status s;
    const uint32_t patch = o->patch ? o->patch : 8;
    if (!arrays) {
        s = tsr_features_from_pictures(t->ctx, (const char *const *)paths, count, patch,
                                       o->per_picture, &all->x, &all->rows, &all->dim);
        all->patch = patch;
        return s ? tool_fail(t, s) : -1;
    }
    for (int i = 0; i < count && code < 0; ++i) {
        float *x = NULL;
        uint64_t rows = 0;
        uint32_t dim = 0;
        s = tsr_features_read(t->ctx, paths[i], o->tensor, &x, &rows, &dim);
        code = s ? tool_fail(t, s) : append(t, all, x, rows, dim, paths[i]);
    }
    if (code < 0 && o->patch && all->dim != 3 * o->patch * o->patch)
        code = tool_fail_text(t, TSR_ERROR_FORMAT, "%s: --patch %u: wanted %u values a row, got %u",
                              paths[0], o->patch, 3 * o->patch * o->patch, all->dim);
    all->patch = o->patch;
    return code;
}

static int read_codebook(tool *t, const codebook_options *o, const features *f, codebook *c) {
    tsr_status s = tsr_codebook_read(t->ctx, o->codebook, &c->codes, &c->stages, &c->count, &c->dim,
                                     &c->cosine);
    if (s) return tool_fail(t, s);
    if (c->dim != f->dim)
        return tool_fail_text(t, TSR_ERROR_FORMAT, "%s: codes: wanted %u values a row, got %u",
                              o->codebook, f->dim, c->dim);
    return -1;
}

static void print_stats(tool *t, const codebook *c, const tsr_codebook_stats *s, bool trained) {
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_uint(&j, "rows", s->rows);
        json_uint(&j, "dim", c->dim);
        json_uint(&j, "codes", c->count);
        json_uint(&j, "stages", c->stages);
        json_text(&j, "metric", c->cosine ? "cosine" : "euclid");
        json_real(&j, "mse", s->mse);
        json_real(&j, "used", s->used);
        json_real(&j, "perplexity", s->perplexity);
        if (trained) {
            json_uint(&j, "iterations", s->iterations);
            json_uint(&j, "revived", s->revived);
        } else
            json_uint(&j, "near_ties", s->near_ties);
        json_real(&j, "total_seconds", tool_seconds() - t->started);
        json_close(&j);
        return;
    }
    char values[32], stages[32], iterations[32], codes[32];
    printf("rows        %" PRIu64 " of %s\n", s->rows, tool_count(c->dim, "value", values));
    printf("codes       %u, %s, %s\n", c->count, tool_count(c->stages, "stage", stages),
           c->cosine ? "cosine" : "euclid");
    printf("mse         %.9g\n", s->mse);
    printf("used        %.2f %%\n", 100 * s->used);
    printf("perplexity  %.2f\n", s->perplexity);
    if (trained)
        printf("training    %s, %s revived\n", tool_count(s->iterations, "iteration", iterations),
               tool_count(s->revived, "dead code", codes));
    else
        printf("near ties   %" PRIu64 "\n", s->near_ties);
}

static tsr_codebook_settings settings_for(tool *t, const codebook_options *o) {
    tsr_codebook_settings s = tsr_codebook_settings_default();
    s.codes = o->codes;
    s.iterations = o->iterations;
    s.tolerance = o->tolerance;
    s.seed = o->seed;
    s.cosine = o->cosine;
    s.stages = o->stages;
    s.device = o->common.device;
    s.progress = tool_progress;
    s.progress_user = t;
    return s;
}

/* Reads the command line; the three parts have the same defaults. */
static int begin(const verb *v, int argc, char **argv, codebook_options *o, int *operands) {
    tsr_codebook_settings d = tsr_codebook_settings_default();
    *o = (codebook_options){.codes = 256,
                            .iterations = d.iterations,
                            .tolerance = d.tolerance,
                            .seed = d.seed,
                            .stages = 1};
    return args_parse(v, argc, argv, o, operands);
}

static int claim_output(const verb *v, codebook_options *o, char **inputs, int count) {
    int code = o->codebook ? tool_not_input(v, o->output, o->codebook) : -1;
    for (int i = 0; i < count && code < 0; ++i)
        code = tool_not_input(v, o->output, inputs[i]);
    return code < 0 ? tool_output(v, &o->common, o->output) : code;
}

static int run_train(const verb *v, int argc, char **argv) {
    codebook_options o;
    tool t;
    int operands;
    int code = begin(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o CODES is missing");
    if (o.cosine && o.stages > 1)
        return args_wrong(v, "--cosine and --stages: a residual has no length to normalise; wanted "
                             "one of them");
    if ((code = claim_output(v, &o, argv, operands)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    features f = {0};
    codebook c = {.stages = o.stages, .count = o.codes, .cosine = o.cosine};
    code = read_features(&t, &o, argv, operands, &f);
    c.dim = f.dim;
    if (code < 0 && !(c.codes = calloc((size_t)o.stages * o.codes * f.dim + 1, sizeof(float))))
        code = tool_fail_text(&t, TSR_ERROR_MEMORY, "codes");
    if (code < 0) {
        tsr_codebook_settings s = settings_for(&t, &o);
        tsr_codebook_stats stats = {0};
        tsr_status status = tsr_codebook_train(t.ctx, f.x, f.rows, f.dim, &s, c.codes, &stats);
        if (!status)
            status = tsr_codebook_write(t.ctx, o.output, c.codes, c.stages, c.count, c.dim,
                                        c.cosine, f.patch);
        tool_progress_clear(&t);
        if (status)
            code = tool_fail(&t, status);
        else if (!args_is_stdout(o.output))
            print_stats(&t, &c, &stats, true);
    }
    free(f.x);
    free(c.codes);
    tool_close(&t);
    return code < 0 ? EXIT_DONE : code;
}

/* assign writes the ids, stats only counts them. */
static int run_assign(const verb *v, int argc, char **argv) {
    codebook_options o;
    tool t;
    int operands;
    int code = begin(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    bool writes = v->options == assign_options;
    if (!o.codebook) return args_wrong(v, "-c CODES is missing");
    if (writes && !o.output) return args_wrong(v, "-o IDS.npy is missing");
    const bool pipe = writes && args_is_stdout(o.output); /* where the numbers would go, too */
    if (writes && (code = claim_output(v, &o, argv, operands)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    features f = {0};
    codebook c = {0};
    uint32_t *ids = NULL;
    code = read_features(&t, &o, argv, operands, &f);
    if (code < 0) code = read_codebook(&t, &o, &f, &c);
    if (code < 0 && !(ids = calloc(f.rows * c.stages + 1, sizeof *ids)))
        code = tool_fail_text(&t, TSR_ERROR_MEMORY, "ids");
    if (code < 0) {
        tsr_codebook_settings s = settings_for(&t, &o);
        s.codes = c.count;
        s.stages = c.stages;
        s.cosine = c.cosine;
        tsr_codebook_stats stats = {0};
        tsr_status status =
            tsr_codebook_assign(t.ctx, f.x, f.rows, f.dim, c.codes, &s, ids, &stats);
        tool_progress_clear(&t);
        if (!status && writes) status = tsr_ids_write(t.ctx, o.output, ids, f.rows, c.stages);
        if (status)
            code = tool_fail(&t, status);
        else if (!pipe)
            print_stats(&t, &c, &stats, false);
    }
    free(f.x);
    free(c.codes);
    free(ids);
    tool_close(&t);
    return code < 0 ? EXIT_DONE : code;
}

static const verb verb_codebook_train = {
    .name = "codebook train",
    .summary = "make a codebook from features or pictures",
    .usage = "tessera codebook train IN... -o CODES.safetensors [-k K] [--stages N] [--cosine]\n"
             "                       [--seed N] [--device cpu|vulkan[:N]] [--json]",
    .about =
        "IN are .npy or .safetensors arrays (the last dimension is a row of features, several "
        "files "
        "are joined), or pictures, which are cut into patches. k-means++ chooses the first codes, "
        "codes that nobody uses are replaced while training. A codebook of patches is a tokenizer: "
        "encode and decode take it as -t CODES.",
    .examples =
        "# 1024 codes for 8x8 patches of photographs\n"
        "tessera codebook train photos/*.jpg -p 8 --per-picture 400 -k 1024 -o c.safetensors\n"
        "tessera encode photo.jpg -t c.safetensors --tile 768x512 -o photo.tess\n"
        "# four residual stages on features of your own\n"
        "tessera codebook train features.npy -k 256 --stages 4 -o rvq.safetensors",
    .options = train_options,
    .writes = true,
    .option_count = COUNT(train_options),
    .device_options = DEVICE_NAME,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "IN",
    .run = run_train,
};
static const verb verb_codebook_assign = {
    .name = "codebook assign",
    .summary = "write the nearest code of every row",
    .usage = "tessera codebook assign IN... -c CODES.safetensors -o IDS.npy [--json]",
    .about =
        "Writes one id for each row and stage. Ties go to the lowest id; near ties are rows whose "
        "two best codes are so close that another device may choose the other one.",
    .examples = "# ids of features\n"
                "tessera codebook assign features.npy -c rvq.safetensors -o ids.npy",
    .options = assign_options,
    .writes = true,
    .option_count = COUNT(assign_options),
    .device_options = DEVICE_NAME,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "IN",
    .run = run_assign,
};
static const verb verb_codebook_stats = {
    .name = "codebook stats",
    .summary = "error and use of a codebook on features or pictures",
    .usage = "tessera codebook stats IN... -c CODES.safetensors [--json]",
    .about =
        "Prints the mean squared error, the share of codes that are used, and the perplexity: how "
        "many equally used codes would carry as much information.",
    .examples = "# how well a codebook fits other pictures\n"
                "tessera codebook stats test/*.png -c c.safetensors",
    .options = stats_options,
    .option_count = COUNT(stats_options),
    .device_options = DEVICE_NAME,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "IN",
    .run = run_assign,
};
static const verb *const parts[] = {&verb_codebook_train, &verb_codebook_assign,
                                    &verb_codebook_stats, NULL};

const verb verb_codebook = {
    .name = "codebook",
    .summary = "train and use k-means codebooks: train, assign, stats",
    .usage = "tessera codebook train IN... -o CODES.safetensors [-k K] ...\n"
             "tessera codebook assign IN... -c CODES.safetensors -o IDS.npy\n"
             "tessera codebook stats IN... -c CODES.safetensors",
    .about = "Vector quantization on your own data: features from .npy or .safetensors files, or "
             "patches "
             "of pictures. Each part has its own --help.",
    .examples = "tessera codebook train --help",
    .least_operands = 1,
    .most_operands = -1,
    .operands = "train, assign or stats",
    .run = args_run_part,
    .parts = parts,
};
