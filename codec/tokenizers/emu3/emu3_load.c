/* SPDX-License-Identifier: MIT */
/* emu3_load.c: the tensors of Emu3-VisionTokenizer by their names: those of the authors' class and
 * those of the transformers library, where the tokenizer may be a part of a larger file. */
#include "emu3_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define AUTHORS                                                                                    \
    .level = {"encoder.down.", "decoder.up."}, .mid = "mid", .norm = "attn.%d.norm",               \
    .mid_norm = "attn_1.norm", .parts = {"q", "k", "v", "proj_out"}
#define TRANSFORMERS                                                                               \
    .level = {"encoder.down_block.down.", "decoder.up_block.up."}, .mid = "middle_block",          \
    .norm = "attn_norms.%d", .mid_norm = "attn_norm",                                              \
    .parts = {"q_proj", "k_proj", "v_proj", "out_proj"}, .matrix = true

static const emu3_names all_names[] = {
    {.prefix = "", AUTHORS},
    {.prefix = "", TRANSFORMERS},
    {.prefix = "vqmodel.", TRANSFORMERS},
    {.prefix = "model.vqmodel.", TRANSFORMERS},
};

static bool has(const tsr_safetensors *file, tsr_weights *weights, const char *format, ...) {
    char name[160];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    return file ? tsr_safetensors_find(file, name) >= 0 : tsr_weights_find(weights, name) != NULL;
}

const emu3_names *tsr_emu3_names(const tsr_safetensors *file, tsr_weights *weights) {
    for (size_t i = 0; i < sizeof all_names / sizeof *all_names; ++i) {
        const emu3_names *n = &all_names[i];
        if (has(file, weights, "%sencoder.time_conv.0.conv.conv.weight", n->prefix) &&
            has(file, weights, "%squantize.embedding.weight", n->prefix) &&
            has(file, weights, "%s%s0.block.0.conv1.weight", n->prefix, n->level[0]))
            return n;
    }
    return NULL;
}

typedef struct position { /* among the names */
    tsr_weight_loader *l;
    const emu3_names *n;
    bool decoder;
    char name[160]; /* what a name begins with */
} position;

static void go(position *p, const char *format, ...) {
    const int n = snprintf(p->name, sizeof p->name, "%s", p->n->prefix);
    va_list args;
    va_start(args, format);
    vsnprintf(p->name + n, sizeof p->name - (size_t)n, format, args);
    va_end(args);
}

static const char *half_of(const position *p) {
    return p->decoder ? "decoder" : "encoder";
}

static const tsr_weight *find(const position *p, const char *part) {
    char name[256];
    snprintf(name, sizeof name, "%s%s", p->name, part);
    return tsr_weights_find(p->l->weights, name);
}

static int64_t rows_of(const tsr_weight *w) {
    return w ? w->tensor.dim[0] : 0;
}

static void load_conv(position *p, const char *part, int64_t out, int64_t in, int kernel,
                      tsr_conv_layer *layer) {
    tsr_conv_load_one(p->l, p->name, part, out, in, kernel, layer);
}

/* codes: channels of the codes that modulate the decoder's norms. */
static void load_norm(position *p, const char *part, int64_t width, int64_t codes, emu3_norm *n) {
    char name[96];
    snprintf(name, sizeof name, "%.64s%s", part, p->decoder ? ".norm_layer" : "");
    tsr_load_layer(p->l, p->name, name, 1, &width, &n->norm.weight, &n->norm.bias);
    if (!p->decoder) return;
    snprintf(name, sizeof name, "%.64s.conv_y", part);
    load_conv(p, name, width, codes, 1, &n->scale);
    snprintf(name, sizeof name, "%.64s.conv_b", part);
    load_conv(p, name, width, codes, 1, &n->shift);
}

static void load_resnet(position *p, int64_t in, int64_t out, int64_t codes, emu3_resnet *r) {
    load_norm(p, "norm1", in, codes, &r->norm1);
    load_conv(p, "conv1", out, in, 3, &r->conv1);
    load_norm(p, "norm2", out, codes, &r->norm2);
    load_conv(p, "conv2", out, out, 3, &r->conv2);
    if (in != out) load_conv(p, "nin_shortcut", out, in, 1, &r->shortcut);
}

/* `norm` and the parts behind `where` follow p->name. */
static void load_attention(position *p, const char *norm, const char *where, int64_t width,
                           int64_t codes, emu3_attention *a) {
    char prefix[256];
    load_norm(p, norm, width, codes, &a->norm);
    snprintf(prefix, sizeof prefix, "%s%.32s.", p->name, where);
    tsr_conv_load_attention(p->l, prefix, p->n->parts, p->n->matrix, width, &a->parts);
}

/* ---- over time ---- */

static void load_batch_norm(position *p, const char *part, int64_t width, emu3_batch_norm *n) {
    char name[64];
    tsr_load_layer(p->l, p->name, part, 1, &width, &n->weight, &n->bias);
    snprintf(name, sizeof name, "%s.running_mean", part);
    tsr_load_weight(p->l, p->name, name, 1, &width, &n->mean);
    snprintf(name, sizeof name, "%s.running_var", part);
    tsr_load_weight(p->l, p->name, name, 1, &width, &n->variance);
}

static void load_time(position *p, int64_t width, emu3_half *h) {
    const int taps = p->decoder ? 3 : 4, three[3] = {3, 3, 3};
    for (int i = 0; i < TSR_EMU3_TIMES; ++i) {
        go(p, "%s.time_conv.%d.conv.", half_of(p), i);
        if (!find(p, "conv.weight")) break;
        tsr_load_causal(p->l, p->name, "conv", width, width, (int[]){taps, 3, 3}, &h->time_conv[i]);
        h->times = i + 1;
    }
    for (int i = 0; i < TSR_EMU3_RESNETS; ++i) {
        emu3_time_resnet *r = &h->time_resnet[i];
        go(p, "%s.time_res_stack.%d.", half_of(p), i);
        if (!find(p, "norm1.weight")) break;
        load_batch_norm(p, "norm1", width, &r->norm1);
        tsr_load_causal(p->l, p->name, "conv1.conv", width, width, three, &r->conv1);
        load_batch_norm(p, "norm2", width, &r->norm2);
        tsr_load_causal(p->l, p->name, "conv2.conv", width, width, three, &r->conv2);
        h->time_resnets = i + 1;
    }
}

/* ---- a half ---- */

/* Counts levels and resnets, and reads the widths. */
static void read_shape(position *p, emu3_half *h) {
    const char *level = p->n->level[p->decoder];
    for (h->levels = 0; h->levels < TSR_EMU3_LEVELS; ++h->levels) {
        go(p, "%s%d.block.0.", level, h->levels);
        if (!find(p, "conv1.weight")) break;
        h->width[h->levels] = rows_of(find(p, "conv1.weight"));
        if (h->width[h->levels] % 32 && !p->l->status)
            p->l->status = tsr_fail(p->l->ctx, TSR_ERROR_MODEL,
                                    "%s: tensor %sconv1.weight: wanted a multiple of 32 rows, got "
                                    "%lld",
                                    p->l->path, p->name, (long long)h->width[h->levels]);
    }
    for (h->resnets = 0; h->resnets < TSR_EMU3_RESNETS; ++h->resnets) {
        go(p, "%s0.block.%d.", level, h->resnets);
        if (!find(p, "conv1.weight")) break;
    }
    if (!p->l->status && (!h->levels || !h->resnets))
        p->l->status = tsr_fail(p->l->ctx, TSR_ERROR_MODEL,
                                "%s: tensor %s%s0.block.0.conv1.weight: wanted one, got none",
                                p->l->path, p->n->prefix, level);
}

static void load_middle(position *p, int64_t codes, emu3_half *h) {
    const int64_t width = h->width[h->levels - 1];
    go(p, "%s.%s.block_1.", half_of(p), p->n->mid);
    load_resnet(p, width, width, codes, &h->mid[0]);
    go(p, "%s.%s.", half_of(p), p->n->mid);
    load_attention(p, p->n->mid_norm, "attn_1", width, codes, &h->mid[0].attention);
    go(p, "%s.%s.block_2.", half_of(p), p->n->mid);
    load_resnet(p, width, width, codes, &h->mid[1]);
}

static void load_level(position *p, int i, int64_t in, int64_t codes, emu3_half *h) {
    const char *level = p->n->level[p->decoder];
    char norm[64], where[64], query[96];
    for (int k = 0; k < h->resnets; ++k) {
        emu3_resnet *r = &h->level[i].resnet[k];
        go(p, "%s%d.block.%d.", level, i, k);
        load_resnet(p, k ? h->width[i] : in, h->width[i], codes, r);
        go(p, "%s%d.", level, i);
        snprintf(norm, sizeof norm, p->n->norm, k);
        snprintf(where, sizeof where, "attn.%d", k);
        snprintf(query, sizeof query, "%s.%s.weight", where, p->n->parts[0]);
        if (find(p, query)) load_attention(p, norm, where, h->width[i], codes, &r->attention);
    }
    if (p->decoder ? i == 0 : i == h->levels - 1) return;
    go(p, "%s%d.%ssample.", level, i, p->decoder ? "up" : "down");
    load_conv(p, "conv", h->width[i], h->width[i], 3, &h->level[i].resize);
}

/* z: channels between the two halves. */
static void load_half(position *p, int64_t z, int64_t codes, emu3_half *h) {
    const int last = h->levels - 1;
    const int64_t first = h->width[p->decoder ? last : 0], end = h->width[p->decoder ? 0 : last];
    go(p, "%s.", half_of(p));
    load_conv(p, "conv_in", first, p->decoder ? z : 3, 3, &h->conv_in);
    if (p->decoder) load_middle(p, codes, h);
    for (int n = 0; n < h->levels; ++n) {
        const int i = p->decoder ? last - n : n;
        load_level(p, i, n ? h->width[p->decoder ? i + 1 : i - 1] : first, codes, h);
    }
    if (!p->decoder) load_middle(p, codes, h);
    go(p, "%s.", half_of(p));
    load_norm(p, "norm_out", end, codes, &h->norm_out);
    load_conv(p, "conv_out", p->decoder ? 3 : z, end, 3, &h->conv_out);
    load_time(p, z, h);
}

void tsr_emu3_load(tsr_weight_loader *l, const emu3_names *names, emu3 *m) {
    position p = {.l = l, .n = names};
    const int three[3] = {3, 1, 1};
    char name[96];
    if (l->status) return;
    snprintf(name, sizeof name, "%squantize.embedding.weight", names->prefix);
    tsr_code_table_load(l, name, &m->codes);
    if (!l->status) read_shape(&p, &m->encoder);
    p.decoder = true;
    if (!l->status) read_shape(&p, &m->decoder);
    if (l->status) return;
    const int64_t d = m->channels = m->codes.codes->tensor.dim[1];
    go(&p, "encoder.conv_out.");
    const int64_t z = rows_of(find(&p, "weight"));
    p.decoder = false;
    load_half(&p, z, d, &m->encoder);
    go(&p, "");
    tsr_load_causal(l, p.name, "quant_conv.conv", d, z, three, &m->quant);
    tsr_load_causal(l, p.name, "post_quant_conv.conv", z, d, three, &m->post_quant);
    p.decoder = true;
    load_half(&p, z, d, &m->decoder);
    const emu3_half *a = &m->encoder, *b = &m->decoder;
    if (!l->status && (a->levels != b->levels || a->times != b->times || z != d))
        l->status =
            tsr_fail(l->ctx, TSR_ERROR_MODEL,
                     "%s: decoder: wanted %d levels, %d of time and %lld channels, as the "
                     "encoder and the codes have, got %d, %d and %lld",
                     l->path, a->levels, a->times, (long long)d, b->levels, b->times, (long long)z);
    m->factor = (int64_t)1 << (a->levels - 1);
    m->time_factor = (int64_t)1 << a->times;
}
