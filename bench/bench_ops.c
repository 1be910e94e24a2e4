/* SPDX-License-Identifier: MIT */
/* bench_ops.c: one row or more for each op, at the shapes a ViT-B sized tokenizer calls it with
 * (1024 rows of 768 channels, 12 heads), and nearest code at the sizes of known codebooks. Matrix
 * products have a suite of their own, where rivals stand beside them. */
#include "bench.h"
#include "../ops/ops.h"
#include <stdlib.h>
#include <string.h>

#define ROWS  1024
#define WIDTH 768
#define HEADS 12

/* Operands of one case; freed together. */
typedef struct operands {
    tsr_bencher *b;
    tsr_tensor in[4], out[2];
    int in_count, out_count;
    tsr_status status;
} operands;

static size_t dtype_bytes(tsr_dtype dtype) {
    return dtype == TSR_DTYPE_U8 ? 1 : 4;
}

static void give(operands *o, tsr_dtype dtype, int rank, const int64_t *dim, int64_t below) {
    tsr_tensor t = tsr_host_tensor(dtype, NULL, rank, dim);
    size_t n = (size_t)tsr_elements(&t);
    if (o->status) return;
    if (dtype == TSR_DTYPE_F32) {
        t.data = tsr_bench_floats(o->b->ctx, n, (uint32_t)o->in_count + 1);
    } else {
        t.data = tsr_alloc(o->b->ctx, n, dtype_bytes(dtype), "benchmark operand");
        for (size_t i = 0; t.data && i < n; ++i) {
            uint32_t v = (uint32_t)((i * 2654435761u) >> 7) % (uint32_t)below;
            if (dtype == TSR_DTYPE_U8)
                ((uint8_t *)t.data)[i] = (uint8_t)v;
            else
                ((int32_t *)t.data)[i] = (int32_t)v;
        }
    }
    if (!t.data) o->status = TSR_ERROR_MEMORY;
    o->in[o->in_count++] = t;
}

static void take(operands *o, tsr_dtype dtype, int rank, const int64_t *dim) {
    tsr_tensor t = tsr_host_tensor(dtype, NULL, rank, dim);
    if (o->status) return;
    t.data = tsr_alloc(o->b->ctx, (size_t)tsr_elements(&t), dtype_bytes(dtype), "benchmark result");
    if (!t.data) o->status = TSR_ERROR_MEMORY;
    o->out[o->out_count++] = t;
}

#define DIMS(...) ((const int64_t[]){__VA_ARGS__})

/* Runs the case and frees the operands, whatever happened before. */
static tsr_status finish(operands *o, tsr_bench_case *c) {
    c->in = o->in, c->in_count = o->in_count;
    c->out = o->out, c->out_count = o->out_count;
    if (c->bytes == 0) { /* each operand once */
        for (int i = 0; i < o->in_count; ++i)
            c->bytes += (double)tsr_elements(&o->in[i]) * (double)dtype_bytes(o->in[i].dtype);
        for (int i = 0; i < o->out_count; ++i)
            c->bytes += (double)tsr_elements(&o->out[i]) * (double)dtype_bytes(o->out[i].dtype);
    }
    tsr_status s = o->status ? o->status : tsr_bench_program(o->b, c);
    for (int i = 0; i < o->in_count; ++i)
        free(o->in[i].data);
    for (int i = 0; i < o->out_count; ++i)
        free(o->out[i].data);
    return s;
}

static void fn_attention(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_attention(r, in[0], in[1], in[2], m);
}
static void fn_nearest(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_nearest_code(r, in[0], in[1], NULL, TSR_METRIC_EUCLID, NULL);
}
static void fn_norm(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_layer_norm(r, in[0], m);
}
static void fn_norm_modulate(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    tsr_norm_spec spec = *(const tsr_norm_spec *)m;
    spec.scale = in[1];
    spec.shift = in[2];
    out[0] = tsr_layer_norm(r, in[0], &spec);
}
static void fn_softmax(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_softmax(r, in[0]);
}
static void fn_mean(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_reduce(r, in[0], TSR_REDUCE_MEAN);
}
static void fn_argmax(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_reduce(r, in[0], TSR_REDUCE_ARGMAX);
}
static void fn_gelu(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_unary(r, in[0], TSR_ACT_GELU);
}
static void fn_add(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_binary(r, in[0], in[1], TSR_BINARY_ADD);
}
static void fn_transpose(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_transpose(r, in[0]);
}
static void fn_concat(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_concat_rows(r, in[0], in[1]);
}
static void fn_patchify(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_patchify(r, in[0], 16);
}
static void fn_unpatchify(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_unpatchify(r, in[0], 3, 256, 256, 16);
}
static void fn_gather(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_gather_rows(r, in[0], in[1]);
}
static const int fsq_levels[6] = {8, 8, 8, 5, 5, 5}; /* 64,000 codes */
static void fn_fsq_encode(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_fsq_encode(r, in[0], fsq_levels, 6).ids;
}
static void fn_fsq_decode(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_fsq_decode(r, in[0], fsq_levels, 6);
}
static void fn_segment_sum(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_segment_sum(r, in[0], in[1], 4096, &out[1]);
}
static void fn_group_mean(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_group_mean(r, in[0], NULL, in[1], 512);
}
static void fn_distances(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_square_distances(r, in[0], in[0]);
}
static void fn_top_k(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_top_k(r, in[0], 64, TSR_ORDER_ASCENDING, NULL);
}
static void fn_pick_farthest(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_pick_farthest(r, in[0], TSR_FARTHEST_MAXMIN, -1, 64).order;
}
static void fn_cover(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_cover(r, in[0], 64).order;
}
static void fn_peaks(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    out[0] = tsr_density_peaks(r, in[0], 1024, 5).score;
}
static void fn_beam(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    (void)m;
    const tsr_beam beam = {.rest = in[0], .score = in[1]};
    out[0] = tsr_beam_step(r, &beam, in[2], in[3], 16).choice;
}
static void fn_slot_errors(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    static const int ends[] = {48, 96, 192, 384, 768, 1536};
    out[0] = tsr_fsq_slots_errors(r, in[0], in[1], m, ends, 6);
}
static void fn_slot_digits(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    tsr_tensor *margin;
    out[0] = tsr_fsq_slots_round(r, in[0], in[1], m, &margin);
}
static void fn_resize(tsr_run *r, const void *m, tsr_tensor *const *in, tsr_tensor **out) {
    out[0] = tsr_resize(r, in[0], 256, 384, *(const tsr_filter *)m);
}

static tsr_status bench_attention(tsr_bencher *b) {
    static const struct {
        const char *name;
        tsr_mask mask;
    } forms[] = {{"attention 4x256x768 h12", TSR_MASK_NONE},
                 {"attention 4x256x768 h12 causal", TSR_MASK_CAUSAL}};
    tsr_status s = TSR_OK;
    for (size_t f = 0; f < sizeof forms / sizeof *forms && !s; ++f) {
        if (!tsr_bench_wants(b, forms[f].name)) continue;
        operands o = {.b = b};
        tsr_attention_spec spec = {.heads = HEADS, .mask = forms[f].mask};
        for (int i = 0; i < 3; ++i)
            give(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, WIDTH), 0);
        take(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, WIDTH));
        double flops = 4.0 * 4 * 256 * 256 * WIDTH; /* QK and PV; of a causal one, half */
        tsr_bench_case c = {.name = forms[f].name,
                            .fn = fn_attention,
                            .model = &spec,
                            .flops = spec.mask == TSR_MASK_CAUSAL ? flops / 2 : flops};
        s = finish(&o, &c);
    }
    return s;
}

static tsr_status bench_nearest(tsr_bencher *b) {
    static const struct {
        const char *name;
        int64_t n, k, d;
    } sizes[] = {{"nearest_code n4096 k4096 d8", 4096, 4096, 8},
                 {"nearest_code n4096 k4096 d64", 4096, 4096, 64},
                 {"nearest_code n1024 k16384 d32", 1024, 16384, 32}};
    tsr_status s = TSR_OK;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes && !s; ++i) {
        if (!tsr_bench_wants(b, sizes[i].name)) continue;
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(sizes[i].n, sizes[i].d), 0);
        give(&o, TSR_DTYPE_F32, 2, DIMS(sizes[i].k, sizes[i].d), 0);
        take(&o, TSR_DTYPE_I32, 1, DIMS(sizes[i].n));
        tsr_bench_case c = {.name = sizes[i].name,
                            .fn = fn_nearest,
                            .flops = 2.0 * (double)(sizes[i].n * sizes[i].k * sizes[i].d)};
        s = finish(&o, &c);
    }
    return s;
}

/* Ops of one or two equal inputs. `count` inputs of shape [ROWS, WIDTH] (rank 3 where the op wants
 * a batch), one output of the same shape unless `columns` says otherwise. */
typedef struct plain_case {
    const char *name;
    tsr_model_fn fn;
    int inputs;
    int64_t columns; /* of the output; 0 = WIDTH */
    tsr_dtype dtype; /* of the output */
    double flops;    /* for each element of the input; a convention, transcendental = 1 */
} plain_case;

static tsr_status bench_plain(tsr_bencher *b) {
    static const plain_case cases[] = {
        {"softmax 1024x768", fn_softmax, 1, 0, TSR_DTYPE_F32, 4},
        {"reduce mean 1024x768", fn_mean, 1, 1, TSR_DTYPE_F32, 1},
        {"reduce argmax 1024x768", fn_argmax, 1, 1, TSR_DTYPE_I32, 1},
        {"pointwise gelu 1024x768", fn_gelu, 1, 0, TSR_DTYPE_F32, 5},
        {"pointwise add 1024x768", fn_add, 2, 0, TSR_DTYPE_F32, 1},
    };
    tsr_status s = TSR_OK;
    for (size_t i = 0; i < sizeof cases / sizeof *cases && !s; ++i) {
        const plain_case *p = &cases[i];
        if (!tsr_bench_wants(b, p->name)) continue;
        operands o = {.b = b};
        for (int k = 0; k < p->inputs; ++k)
            give(&o, TSR_DTYPE_F32, 2, DIMS(ROWS, WIDTH), 0);
        take(&o, p->dtype, 2, DIMS(ROWS, p->columns ? p->columns : WIDTH));
        tsr_bench_case c = {.name = p->name, .fn = p->fn, .flops = p->flops * ROWS * WIDTH};
        s = finish(&o, &c);
    }
    return s;
}

static tsr_status bench_norm(tsr_bencher *b) {
    tsr_norm_spec spec = {.eps = 1e-6f};
    tsr_status s = TSR_OK;
    if (tsr_bench_wants(b, "layer_norm 1024x768")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(ROWS, WIDTH), 0);
        take(&o, TSR_DTYPE_F32, 2, DIMS(ROWS, WIDTH));
        tsr_bench_case c = {.name = "layer_norm 1024x768",
                            .fn = fn_norm,
                            .model = &spec,
                            .flops = 7.0 * ROWS * WIDTH};
        s = finish(&o, &c);
    }
    if (!s && tsr_bench_wants(b, "layer_norm modulate 4x256x768")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, WIDTH), 0);
        give(&o, TSR_DTYPE_F32, 2, DIMS(4, WIDTH), 0);
        give(&o, TSR_DTYPE_F32, 2, DIMS(4, WIDTH), 0);
        take(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, WIDTH));
        tsr_bench_case c = {.name = "layer_norm modulate 4x256x768",
                            .fn = fn_norm_modulate,
                            .model = &spec,
                            .flops = 9.0 * ROWS * WIDTH};
        s = finish(&o, &c);
    }
    return s;
}

static tsr_status bench_movement(tsr_bencher *b) {
    tsr_status s = TSR_OK;
    if (tsr_bench_wants(b, "movement transpose 1024x768")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(ROWS, WIDTH), 0);
        take(&o, TSR_DTYPE_F32, 2, DIMS(WIDTH, ROWS));
        s = finish(&o,
                   &(tsr_bench_case){.name = "movement transpose 1024x768", .fn = fn_transpose});
    }
    if (!s && tsr_bench_wants(b, "movement concat 4x256+256x768")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, WIDTH), 0);
        give(&o, TSR_DTYPE_F32, 2, DIMS(256, WIDTH), 0);
        take(&o, TSR_DTYPE_F32, 3, DIMS(4, 512, WIDTH));
        s = finish(&o, &(tsr_bench_case){.name = "movement concat 4x256+256x768", .fn = fn_concat});
    }
    if (!s && tsr_bench_wants(b, "patchify 4x3x256x256 p16")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 4, DIMS(4, 3, 256, 256), 0);
        take(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, 768));
        s = finish(&o, &(tsr_bench_case){.name = "patchify 4x3x256x256 p16", .fn = fn_patchify});
    }
    if (!s && tsr_bench_wants(b, "unpatchify 4x3x256x256 p16")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 3, DIMS(4, 256, 768), 0);
        take(&o, TSR_DTYPE_F32, 4, DIMS(4, 3, 256, 256));
        s = finish(&o,
                   &(tsr_bench_case){.name = "unpatchify 4x3x256x256 p16", .fn = fn_unpatchify});
    }
    if (!s && tsr_bench_wants(b, "gather rows 1024 of 16384x64")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(16384, 64), 0);
        give(&o, TSR_DTYPE_I32, 1, DIMS(ROWS), 16384);
        take(&o, TSR_DTYPE_F32, 2, DIMS(ROWS, 64));
        s = finish(&o, &(tsr_bench_case){.name = "gather rows 1024 of 16384x64",
                                         .fn = fn_gather,
                                         .bytes = 2.0 * ROWS * 64 * 4 + ROWS * 4});
    }
    return s;
}

static tsr_status bench_quantizers(tsr_bencher *b) {
    tsr_status s = TSR_OK;
    if (tsr_bench_wants(b, "fsq encode 65536x6")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(65536, 6), 0);
        take(&o, TSR_DTYPE_I32, 1, DIMS(65536));
        s = finish(&o, &(tsr_bench_case){.name = "fsq encode 65536x6", .fn = fn_fsq_encode});
    }
    if (!s && tsr_bench_wants(b, "fsq decode 65536x6")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_I32, 1, DIMS(65536), 64000);
        take(&o, TSR_DTYPE_F32, 2, DIMS(65536, 6));
        s = finish(&o, &(tsr_bench_case){.name = "fsq decode 65536x6", .fn = fn_fsq_decode});
    }
    if (!s && tsr_bench_wants(b, "segment_sum n65536 k4096 d64")) {
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(65536, 64), 0);
        give(&o, TSR_DTYPE_I32, 1, DIMS(65536), 4096);
        take(&o, TSR_DTYPE_F32, 2, DIMS(4096, 64));
        take(&o, TSR_DTYPE_I32, 1, DIMS(4096));
        s = finish(&o, &(tsr_bench_case){.name = "segment_sum n65536 k4096 d64",
                                         .fn = fn_segment_sum,
                                         .flops = 65536.0 * 64});
    }
    return s;
}

/* Chains of three slots in 64 classes, as mosaic's are about. */
static tsr_status bench_slots(tsr_bencher *b) {
    enum { CLASSES = 64, SLOTS = 1536, NUMBERS = 12288, CHAIN = 3, WIDTH_OF_TABLE = 8 };
    enum { ALL = CLASSES * SLOTS };
    static const char *const names[] = {"fsq_slots errors 8 of 64x1536", "fsq_slots round 8x1536"};
    if (!tsr_bench_wants(b, names[0]) && !tsr_bench_wants(b, names[1])) return TSR_OK;
    int32_t *links = tsr_alloc(b->ctx, 2 * ALL, sizeof *links, "benchmark slots");
    float *values = tsr_bench_floats(b->ctx, (WIDTH_OF_TABLE + 1) * (size_t)ALL, 7);
    tsr_status s = links && values ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < ALL && !s; ++i) {
        const int slot = i % SLOTS;
        links[i] = slot / CHAIN * 7 % NUMBERS;
        links[ALL + i] = slot % CHAIN ? slot - 1 : -1;
    }
    tsr_fsq_slots slots = {.classes = CLASSES,
                           .slots = SLOTS,
                           .levels = fsq_levels,
                           .level_count = 6,
                           .source = links,
                           .previous = s ? NULL : links + ALL,
                           .scale = values,
                           .table = s ? NULL : values + ALL,
                           .width = WIDTH_OF_TABLE};
    for (int digits = 0; digits < 2 && !s; ++digits) {
        operands o = {.b = b};
        if (!tsr_bench_wants(b, names[digits])) continue;
        give(&o, TSR_DTYPE_F32, 2, DIMS(8, NUMBERS), 0);
        give(&o, digits ? TSR_DTYPE_I32 : TSR_DTYPE_F32, 2, DIMS(8, 1), CLASSES);
        if (digits)
            take(&o, TSR_DTYPE_I32, 2, DIMS(8, SLOTS));
        else
            take(&o, TSR_DTYPE_F32, 3, DIMS(8, CLASSES, 6));
        s = finish(&o, &(tsr_bench_case){.name = names[digits],
                                         .fn = digits ? fn_slot_digits : fn_slot_errors,
                                         .model = &slots});
    }
    free(links);
    free(values);
    return s;
}

static tsr_status bench_beam(tsr_bencher *b) {
    const char *name = "beam 8x16 of 512x160";
    if (!tsr_bench_wants(b, name)) return TSR_OK;
    operands o = {.b = b};
    give(&o, TSR_DTYPE_F32, 3, DIMS(8, 16, 160), 0);
    give(&o, TSR_DTYPE_F32, 2, DIMS(8, 16), 0);
    give(&o, TSR_DTYPE_F32, 3, DIMS(8, 16, 512), 0);
    give(&o, TSR_DTYPE_F32, 2, DIMS(512, 160), 0);
    take(&o, TSR_DTYPE_I32, 2, DIMS(8, 16));
    return finish(&o, &(tsr_bench_case){.name = name, .fn = fn_beam});
}

static tsr_status bench_resize(tsr_bencher *b) {
    static const struct {
        const char *name;
        tsr_filter filter;
    } forms[] = {{"resize bilinear 512x768 to 256x384", TSR_FILTER_BILINEAR},
                 {"resize bicubic 512x768 to 256x384", TSR_FILTER_BICUBIC},
                 {"resize lanczos 512x768 to 256x384", TSR_FILTER_LANCZOS}};
    tsr_status s = TSR_OK;
    for (size_t f = 0; f < sizeof forms / sizeof *forms && !s; ++f) {
        if (!tsr_bench_wants(b, forms[f].name)) continue;
        tsr_filter filter = forms[f].filter;
        operands o = {.b = b};
        give(&o, TSR_DTYPE_U8, 3, DIMS(512, 768, 3), 256);
        take(&o, TSR_DTYPE_U8, 3, DIMS(256, 384, 3));
        s = finish(&o, &(tsr_bench_case){.name = forms[f].name,
                                         .fn = fn_resize,
                                         .model = &filter,
                                         .dtype = "u8",
                                         .variant = (int64_t)filter});
    }
    return s;
}

/* What operators on the 576 tokens of a CLIP tower are recorded with. */
static tsr_status bench_choosing(tsr_bencher *b) {
    enum { N = 576, D = 1024, K = 64, GROUPS = 512 };
    static const struct {
        const char *name;
        tsr_model_fn fn;
        int64_t in[2], out[2];
        bool picks; /* the output is I32 */
        double flops;
    } rows[] = {
        {"group_mean 576x1024 into 512", fn_group_mean, {N, D}, {GROUPS, D}, false, N * D},
        {"distances 576x576 d1024", fn_distances, {N, D}, {N, N}, false, 3.0 * N * N * D},
        {"top_k 64 of 576", fn_top_k, {N, 1}, {K, 1}, true, N * N},
        {"pick_farthest 64 of 576", fn_pick_farthest, {N, N}, {K, 1}, true, N * (N + 2.0 * K)},
        {"cover 64 of 576", fn_cover, {N, N}, {K, 1}, true, 2.0 * K * N * N},
        {"peaks 576 k5", fn_peaks, {N, N}, {N, 1}, false, 6.0 * N * N}};
    tsr_status s = TSR_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && !s; ++i) {
        if (!tsr_bench_wants(b, rows[i].name)) continue;
        operands o = {.b = b};
        give(&o, TSR_DTYPE_F32, 2, DIMS(rows[i].in[0], rows[i].in[1]), 0);
        if (rows[i].fn == fn_group_mean) give(&o, TSR_DTYPE_I32, 1, DIMS(N), GROUPS);
        take(&o, rows[i].picks ? TSR_DTYPE_I32 : TSR_DTYPE_F32, 2,
             DIMS(rows[i].out[0], rows[i].out[1]));
        s = finish(
            &o, &(tsr_bench_case){.name = rows[i].name, .fn = rows[i].fn, .flops = rows[i].flops});
    }
    return s;
}

tsr_status tsr_bench_suite_ops(tsr_bencher *b) {
    tsr_status (*const parts[])(tsr_bencher *) = {
        bench_attention,  bench_nearest, bench_norm, bench_plain,  bench_movement,
        bench_quantizers, bench_slots,   bench_beam, bench_resize, bench_choosing};
    tsr_status s = TSR_OK;
    for (size_t i = 0; i < sizeof parts / sizeof *parts && !s; ++i)
        s = parts[i](b);
    return s;
}
