/* SPDX-License-Identifier: MIT */
/* parseq.c: PARSeq (Bautista and Atienza 2022), as docTR has it.
 *
 *   crop 32x128 ─► patches 4x8 ─► class row, positions ─► blocks that share their two norms ─► norm
 *        ─► memory [128, D]
 *   greedy: query i sees the start and the letters before it ─► attends the memory ─► letter i
 *   refinement: query i sees all letters but its own, up to the first end ─► letter i again
 *
 * Keys and values of letters are made once, when a letter is chosen, and those of the memory once
 * for a word; docTR projects them again at each step. */
#include "parseq.h"
#include "../../compute/arena.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { Q, K, V, OUT };
enum { ENCODER_HEADS = 6, DECODER_HEADS = 12, START = TSR_PARSEQ_CLASSES };
#define EPS 1e-5f

/* ---- loading ---- */

static void load_norm(tsr_weight_loader *l, const char *name, int64_t d, tsr_parseq_norm *norm) {
    tsr_load_layer(l, "", name, 1, &d, &norm->gamma, &norm->beta);
}

static void load_attention(tsr_weight_loader *l, const char *prefix, int64_t d,
                           tsr_parseq_attention *a) {
    static const char *const part[4] = {"linear_layers.0", "linear_layers.1", "linear_layers.2",
                                        "output_linear"};
    for (int i = 0; i < 4; ++i)
        tsr_load_layer(l, prefix, part[i], 2, (int64_t[]){d, d}, &a->layer[i], &a->bias[i]);
}

/* Rows of a matrix, 0 where there is none. */
static int64_t rows_of(tsr_weights *weights, const char *name) {
    const tsr_weight *w = tsr_weights_find(weights, name);
    return w && w->tensor.rank >= 2 ? w->tensor.dim[0] : 0;
}

/* Width and depth, from the shapes. */
static tsr_status read_shape(tsr_context *ctx, tsr_weights *weights, const char *path,
                             tsr_parseq *m) {
    char name[96];
    m->width = rows_of(weights, "feat_extractor.0.projection.weight");
    if (m->width < 1 || m->width % DECODER_HEADS)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor feat_extractor.0.projection.weight: wanted a multiple of %d "
                        "channels, got %lld",
                        path, DECODER_HEADS, (long long)m->width);
    for (m->depth = 0; m->depth < TSR_PARSEQ_BLOCKS; ++m->depth) {
        snprintf(name, sizeof name, "feat_extractor.1.attention.%d.output_linear.weight", m->depth);
        if (!rows_of(weights, name)) break;
    }
    const int64_t classes = rows_of(weights, "head.weight");
    if (classes != TSR_PARSEQ_CLASSES) /* other lists of letters have the same name */
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor head.weight: wanted %d rows, the vocabulary \"french\" of %d "
                        "letters and the end, got %lld",
                        path, TSR_PARSEQ_CLASSES, TSR_PARSEQ_LETTERS, (long long)classes);
    return TSR_OK;
}

static void load_block(tsr_weight_loader *l, tsr_parseq *m, int index, const tsr_parseq_norm *first,
                       const tsr_parseq_norm *second) {
    tsr_vit_block *b = &m->block[index];
    const int64_t d = m->width;
    tsr_parseq_attention a;
    char name[96];
    *b = (tsr_vit_block){.norm1_gamma = first->gamma,
                         .norm1_beta = first->beta,
                         .norm2_gamma = second->gamma,
                         .norm2_beta = second->beta,
                         .eps = EPS,
                         .act = TSR_ACT_GELU};
    snprintf(name, sizeof name, "feat_extractor.1.attention.%d.", index);
    load_attention(l, name, d, &a);
    if (l->status) return;
    for (int i = 0; i < 3; ++i) {
        b->layer[i] = a.layer[i];
        b->layer_bias[i] = a.bias[i];
    }
    b->proj = a.layer[OUT];
    b->proj_bias = a.bias[OUT];
    snprintf(name, sizeof name, "feat_extractor.1.position_feed_forward.%d.0.weight", index);
    const int64_t hidden = rows_of(l->weights, name);
    snprintf(name, sizeof name, "feat_extractor.1.position_feed_forward.%d.", index);
    tsr_load_layer(l, name, "0", 2, (int64_t[]){hidden, d}, &b->fc1, &b->fc1_bias);
    tsr_load_layer(l, name, "3", 2, (int64_t[]){d, hidden}, &b->fc2, &b->fc2_bias);
}

static void load(tsr_weight_loader *l, tsr_parseq *m) {
    static const char extractor[] = "feat_extractor.0.", encoder[] = "feat_extractor.1.layer_norm_";
    const int64_t d = m->width, one[3] = {1, 1, d}, rows[3] = {1, TSR_PARSEQ_PATCHES + 1, d};
    const int64_t hidden = rows_of(l->weights, "decoder.position_feed_forward.0.weight");
    tsr_parseq_norm first = {0}, second = {0};
    tsr_load_weight(l, extractor, "cls_token", 3, one, &m->class_row);
    tsr_load_weight(l, extractor, "positions", 3, rows, &m->positions);
    tsr_load_layer(l, extractor, "projection", 4, (int64_t[]){d, 3, 4, 8}, &m->patches,
                   &m->patches_bias);
    tsr_load_layer(l, encoder, "input", 1, &d, &first.gamma, &first.beta);
    tsr_load_layer(l, encoder, "attention", 1, &d, &second.gamma, &second.beta);
    tsr_load_layer(l, encoder, "output", 1, &d, &m->encoder_end.gamma, &m->encoder_end.beta);
    for (int i = 0; i < m->depth; ++i)
        load_block(l, m, i, &first, &second);
    tsr_load_weight(l, "", "pos_queries", 3, (int64_t[]){1, TSR_PARSEQ_POSITIONS, d}, &m->queries);
    tsr_load_weight(l, "", "embed.embedding.weight", 2, (int64_t[]){TSR_PARSEQ_CLASSES + 2, d},
                    &m->embedding);
    load_attention(l, "decoder.attention.", d, &m->self);
    load_attention(l, "decoder.cross_attention.", d, &m->cross);
    tsr_load_layer(l, "decoder.position_feed_forward.", "0", 2, (int64_t[]){hidden, d}, &m->fc1,
                   &m->fc1_bias);
    tsr_load_layer(l, "decoder.position_feed_forward.", "3", 2, (int64_t[]){d, hidden}, &m->fc2,
                   &m->fc2_bias);
    load_norm(l, "decoder.query_norm", d, &m->query_norm);
    load_norm(l, "decoder.content_norm", d, &m->content_norm);
    load_norm(l, "decoder.feed_forward_norm", d, &m->ffn_norm);
    load_norm(l, "decoder.output_norm", d, &m->end_norm);
    tsr_load_layer(l, "", "head", 2, (int64_t[]){TSR_PARSEQ_CLASSES, d}, &m->head, &m->head_bias);
}

/* In files up to docTR 0.11, and used by nothing. */
static const char *const ignored[] = {"decoder.attention_norm.", "decoder.cross_attention_norm.",
                                      NULL};

tsr_status tsr_parseq_open(tsr_device *device, tsr_weights *weights, const char *path,
                           tsr_parseq **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_parseq *m = tsr_alloc(ctx, 1, sizeof *m, "parseq");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    *m = (tsr_parseq){.ctx = ctx, .device = device, .weights = weights};
    tsr_status status = read_shape(ctx, weights, path, m);
    if (!status) {
        tsr_weight_loader l = tsr_load_all_begin(ctx, weights, path);
        load(&l, m);
        status = tsr_load_all_end(&l, ignored);
    }
    if (status)
        tsr_parseq_close(&m);
    else
        *model = m;
    return status;
}

void tsr_parseq_close(tsr_parseq **model) {
    if (!model || !*model) return;
    tsr_parseq *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    free(m);
    *model = NULL;
}

/* ---- the network ---- */

static tsr_tensor *norm(tsr_run *r, const tsr_tensor *x, const tsr_parseq_norm *n) {
    return tsr_layer_norm(r, x, &(tsr_norm_spec){.gamma = n->gamma, .beta = n->beta, .eps = EPS});
}

static tsr_tensor *linear(tsr_run *r, const tsr_tensor *x, tsr_weight *w, tsr_weight *bias,
                          const tsr_tensor *residual) {
    return tsr_linear(r, x, w, &(tsr_epilogue){.bias = bias, .residual = residual});
}

static tsr_tensor *project(tsr_run *r, const tsr_tensor *x, const tsr_parseq_attention *a,
                           int part) {
    return linear(r, x, a->layer[part], a->bias[part], NULL);
}

/* patches [B, 128, 96] -> memory [B, 128, D] */
static tsr_tensor *encode(tsr_run *r, const tsr_parseq *m, tsr_tensor *patches) {
    const int64_t d = m->width, one[2] = {1, d}, all[2] = {TSR_PARSEQ_PATCHES + 1, d};
    const tsr_attention_spec attention = {.heads = ENCODER_HEADS};
    tsr_tensor *x = linear(r, patches, m->patches, m->patches_bias, NULL);
    x = tsr_concat_rows(r, tsr_reshape(r, tsr_from_weight(r, m->class_row), 2, one), x);
    x = tsr_binary(r, x, tsr_reshape(r, tsr_from_weight(r, m->positions), 2, all), TSR_BINARY_ADD);
    for (int i = 0; i < m->depth; ++i)
        x = tsr_vit_block_run(r, &m->block[i], x, &attention);
    return norm(r, tsr_slice_rows(r, x, 1, TSR_PARSEQ_PATCHES), &m->encoder_end);
}

/* Which arrays come down, and how long words are. */
typedef struct walk_args {
    int64_t positions;
    bool parts;
    const int32_t *starts; /* [count] the class that stands before each word */
    const int32_t *places; /* [count, positions] 0 .. positions - 1 for each word */
} walk_args;

/* What all steps of decoding share, for B words of L positions. */
typedef struct decoding {
    const tsr_parseq *m;
    int64_t b, l;
    tsr_tensor *memory_keys, *memory_values; /* [B, 128, D] */
    tsr_tensor *queries;                     /* [B, L, D] */
    tsr_tensor *looks;                       /* [B, L, D] queries as attention over letters asks */
    tsr_tensor *keys, *values;               /* [B, letters so far, D] */
    tsr_tensor *ends;                        /* [B, letters so far, 1] -infinity from the end on */
} decoding;

/* attended [B, n, D], the queries' answers from the letters -> logits [B, n, 127] */
static tsr_tensor *finish(tsr_run *r, const decoding *d, const tsr_tensor *attended,
                          const tsr_tensor *queries) {
    const tsr_parseq *m = d->m;
    const tsr_attention_spec attention = {.heads = DECODER_HEADS};
    tsr_tensor *t = linear(r, attended, m->self.layer[OUT], m->self.bias[OUT], queries);
    tsr_tensor *q = project(r, norm(r, t, &m->query_norm), &m->cross, Q);
    q = tsr_attention(r, q, d->memory_keys, d->memory_values, &attention);
    t = linear(r, q, m->cross.layer[OUT], m->cross.bias[OUT], t);
    tsr_tensor *h = tsr_linear(r, norm(r, t, &m->ffn_norm), m->fc1,
                               &(tsr_epilogue){.bias = m->fc1_bias, .act = TSR_ACT_GELU});
    t = linear(r, h, m->fc2, m->fc2_bias, t);
    return linear(r, norm(r, t, &m->end_norm), m->head, m->head_bias, NULL);
}

static tsr_tensor *append(tsr_run *r, tsr_tensor *rows, tsr_tensor *row) {
    return rows ? tsr_concat_rows(r, rows, row) : row;
}

/* Makes the letters of `ids` [B] letter number `at` of what queries see. */
static void add_letter(tsr_run *r, decoding *d, const tsr_tensor *ids, int64_t at) {
    const tsr_parseq *m = d->m;
    const int64_t one[3] = {d->b, 1, m->width}, all[2] = {TSR_PARSEQ_POSITIONS, m->width};
    tsr_tensor *x = tsr_gather_rows(r, tsr_from_weight(r, m->embedding), ids);
    x = tsr_scale(r, tsr_reshape(r, x, 3, one), sqrtf((float)m->width), 0);
    if (at > 0) { /* the start has no position */
        const tsr_tensor *table = tsr_reshape(r, tsr_from_weight(r, m->queries), 2, all);
        const tsr_tensor *ids_at =
            tsr_constant(r, TSR_DTYPE_I32, 1, (int64_t[]){1}, (int32_t[]){(int32_t)at - 1});
        x = tsr_binary(r, x, tsr_gather_rows(r, table, ids_at), TSR_BINARY_ADD);
    }
    x = norm(r, x, &m->content_norm);
    d->keys = append(r, d->keys, project(r, x, &m->self, K));
    d->values = append(r, d->values, project(r, x, &m->self, V));

    float is_end[TSR_PARSEQ_CLASSES + 2] = {0};
    is_end[TSR_PARSEQ_LETTERS] = -INFINITY;
    const tsr_tensor *table =
        tsr_constant(r, TSR_DTYPE_F32, 2, (int64_t[]){TSR_PARSEQ_CLASSES + 2, 1}, is_end);
    const int64_t number[3] = {d->b, 1, 1};
    tsr_tensor *end = tsr_reshape(r, tsr_gather_rows(r, table, ids), 3, number);
    if (at > 0) end = tsr_binary(r, end, tsr_slice_rows(r, d->ends, at - 1, 1), TSR_BINARY_MIN);
    d->ends = append(r, d->ends, end);
}

/* Logits [B, L, 127] of the greedy pass, and its choices [B, L, 1]. */
static tsr_tensor *decode(tsr_run *r, decoding *d, tsr_tensor **choices) {
    const walk_args *args = tsr_run_args(r);
    const tsr_tensor *ids = tsr_constant(r, TSR_DTYPE_I32, 1, &d->b, args->starts);
    tsr_tensor *logits = NULL;
    for (int64_t i = 0; i < d->l; ++i) {
        add_letter(r, d, ids, i);
        tsr_tensor *look =
            tsr_attention(r, d->looks, d->keys, d->values,
                          &(tsr_attention_spec){.heads = DECODER_HEADS, .first = i, .count = 1});
        tsr_tensor *y = finish(r, d, look, tsr_slice_rows(r, d->queries, i, 1)); /* [B, 1, 127] */
        tsr_tensor *choice = tsr_reduce(r, y, TSR_REDUCE_ARGMAX);
        logits = append(r, logits, y);
        *choices = append(r, *choices, choice);
        ids = tsr_reshape(r, choice, 1, (int64_t[]){d->b});
    }
    return logits;
}

/* Logits [B, L, 127] of the refinement: query i sees letter j unless it is its own (i + 1), or an
 * end stands at j or before. */
static tsr_tensor *refine(tsr_run *r, const decoding *d) {
    tsr_tensor *ends = tsr_reshape(r, d->ends, 2, (int64_t[]){d->b, d->l}), *all = NULL;
    for (int64_t i = 0; i < d->l; ++i) {
        float own[TSR_PARSEQ_POSITIONS] = {0};
        if (i + 1 < d->l) own[i + 1] = -INFINITY;
        const tsr_tensor *hidden = tsr_constant(r, TSR_DTYPE_F32, 1, &d->l, own);
        const tsr_attention_spec attention = {.heads = DECODER_HEADS,
                                              .key_bias =
                                                  tsr_binary(r, ends, hidden, TSR_BINARY_ADD),
                                              .first = i,
                                              .count = 1};
        all = append(r, all, tsr_attention(r, d->looks, d->keys, d->values, &attention));
    }
    return finish(r, d, all, d->queries);
}

/* in: patches [B, 128, 96]. out: refined logits; with parts features, greedy logits, choices. */
static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_parseq *m = model;
    const walk_args *args = tsr_run_args(r);
    decoding d = {.m = m, .b = in[0]->dim[0], .l = args->positions};
    tsr_tensor *memory = encode(r, m, in[0]), *choices = NULL;
    d.memory_keys = project(r, memory, &m->cross, K);
    d.memory_values = project(r, memory, &m->cross, V);

    /* The queries are the same for each word. */
    const int64_t table[2] = {TSR_PARSEQ_POSITIONS, m->width};
    d.queries =
        tsr_gather_rows(r, tsr_reshape(r, tsr_from_weight(r, m->queries), 2, table),
                        tsr_constant(r, TSR_DTYPE_I32, 2, (int64_t[]){d.b, d.l}, args->places));
    d.looks = project(r, norm(r, d.queries, &m->query_norm), &m->self, Q);
    tsr_tensor *first = decode(r, &d, &choices);
    out[0] = refine(r, &d);
    if (!args->parts) return;
    out[1] = memory;
    out[2] = first;
    out[3] = choices;
}

/* prepared [3, 32, 128] -> rows of patches [128, 96], each (channel, row, column) */
static void cut(const float *prepared, float *rows) {
    enum { H = TSR_PARSEQ_HEIGHT, W = TSR_PARSEQ_WIDTH, PH = 4, PW = 8 };
    for (int p = 0; p < TSR_PARSEQ_PATCHES; ++p)
        for (int c = 0; c < 3; ++c)
            for (int y = 0; y < PH; ++y, rows += PW)
                memcpy(rows, prepared + (c * H + p / (W / PW) * PH + y) * W + p % (W / PW) * PW,
                       PW * sizeof *rows);
}

tsr_status tsr_parseq_run(const tsr_parseq *m, const float *prepared, int count, int limit,
                          const tsr_parseq_parts *parts) {
    enum { PIXELS = 3 * TSR_PARSEQ_HEIGHT * TSR_PARSEQ_WIDTH };
    const int64_t l = limit + 1, rows[3] = {count, TSR_PARSEQ_PATCHES, TSR_PARSEQ_PATCH};
    const int64_t logits[3] = {count, l, TSR_PARSEQ_CLASSES}, ids[3] = {count, l, 1};
    const int64_t features[3] = {count, TSR_PARSEQ_PATCHES, m->width};
    tsr_scratch s = {.ctx = m->ctx};
    float *patches = tsr_scratch_take(&s, (size_t)count * PIXELS, sizeof *patches, "crops");
    int32_t *starts = tsr_scratch_take(&s, (size_t)count, sizeof *starts, "crops");
    int32_t *places = tsr_scratch_take(&s, (size_t)(count * l), sizeof *places, "crops");
    tsr_status status = s.status;
    for (int64_t i = 0; i < count * l && !status; ++i)
        places[i] = (int32_t)(i % l);
    for (int i = 0; i < count && !status; ++i)
        starts[i] = START;
    const walk_args args = {l, parts->features != NULL, starts, places};
    for (int i = 0; i < count && !status; ++i)
        cut(prepared + (size_t)i * PIXELS, patches + (size_t)i * PIXELS);
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, patches, 3, rows);
    tsr_tensor out[4] = {tsr_host_tensor(TSR_DTYPE_F32, parts->logits, 3, logits),
                         tsr_host_tensor(TSR_DTYPE_F32, parts->features, 3, features),
                         tsr_host_tensor(TSR_DTYPE_F32, parts->first, 3, logits),
                         tsr_host_tensor(TSR_DTYPE_I32, parts->choices, 3, ids)};
    const tsr_program program = {
        .fn = walk, .model = m, .args = &args, .variant = 2 * l + args.parts, .name = "parseq"};
    if (!status) status = tsr_execute(m->device, &program, &in, 1, out, args.parts ? 4 : 1);
    tsr_scratch_free(&s);
    return status;
}

/* ---- the family ---- */

static bool recognise(const tsr_safetensors *file) {
    return tsr_safetensors_find(file, "pos_queries") >= 0 &&
           tsr_safetensors_find(file, "feat_extractor.0.positions") >= 0;
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_parseq *m = tsr_alloc(source->ctx, 1, sizeof *m, "parseq");
    l->status = m ? read_shape(source->ctx, l->weights, source->path, m) : TSR_ERROR_MEMORY;
    if (m) load(l, m);
    free(m);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_parseq *m = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_parseq_open(device, weights, source->path, &m);
    *model = m;
    return status;
}

static void close_model(void **model) {
    tsr_parseq *m = model ? *model : NULL;
    tsr_parseq_close(&m);
    if (model) *model = NULL;
}

static void describe(const void *model, tsr_judge_info *info) {
    const tsr_parseq *m = model;
    snprintf(info->name, sizeof info->name, "parseq");
    snprintf(
        info->protocol, sizeof info->protocol,
        "PARSeq of docTR, %d blocks of %lld: crop into 32x128 with antialias, padded right and "
        "below, greedy, one refinement, vocabulary french",
        m->depth, (long long)m->width);
    info->abilities = TSR_JUDGE_READS;
    info->least_width = info->least_height = 1;
    info->mixed = 1;
}

/* The encoder's rows, and letters beside them. */
static tsr_tile_cost cost(const void *model, const tsr_picture *picture) {
    const tsr_parseq *m = model;
    (void)picture; /* every crop becomes 32 x 128 */
    return tsr_tile_cost_rows(TSR_PARSEQ_PATCHES + 1 + 6 * TSR_PARSEQ_POSITIONS, m->width);
}

static tsr_status read(const void *model, const tsr_picture *pictures, int count,
                       const tsr_read_request *request, tsr_reading *readings) {
    enum { PIXELS = 3 * TSR_PARSEQ_HEIGHT * TSR_PARSEQ_WIDTH, MOST = TSR_PARSEQ_POSITIONS - 1 };
    const tsr_parseq *m = model;
    const int limit = request->most > 0 && request->most < MOST ? request->most : MOST;
    const size_t word = (size_t)(limit + 1) * TSR_PARSEQ_CLASSES;
    tsr_scratch s = {.ctx = m->ctx};
    float *prepared = tsr_scratch_take(&s, (size_t)count * PIXELS, sizeof *prepared, "crops");
    float *logits = tsr_scratch_take(&s, (size_t)count * word, sizeof *logits, "letters");
    tsr_status status = s.status;
    for (int i = 0; i < count && !status; ++i)
        status = tsr_parseq_prepare(m->ctx, pictures[i].rgb, pictures[i].width, pictures[i].height,
                                    prepared + (size_t)i * PIXELS);
    const tsr_parseq_parts parts = {.logits = logits};
    if (!status) status = tsr_parseq_run(m, prepared, count, limit, &parts);
    for (size_t i = 0; i < (size_t)count * word && !status; ++i)
        if (!isfinite(logits[i])) status = tsr_not_finite(m->ctx, "letters", logits[i]);
    for (int i = 0; i < count && !status; ++i)
        tsr_parseq_text(logits + (size_t)i * word, limit + 1, &readings[i]);
    tsr_scratch_free(&s);
    return status;
}

static const tsr_judge_ops judge_ops = {.describe = describe, .cost = cost, .read = read};

const tsr_family tsr_family_parseq = {
    .name = "parseq",
    .about = "a judge: reads the word in a picture; PARSeq as docTR has it (TokBench's reader)",
    .needs = "docTR's parseq-56125471.pt, converted by `tessera model convert`",
    .verified = "golden cases of docTR's PARSeq (as TokBench bundles it) with synthetic weights: a "
                "narrow one and the published size",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .judge = &judge_ops,
};
