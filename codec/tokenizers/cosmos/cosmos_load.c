/* SPDX-License-Identifier: MIT */
/* cosmos_load.c: the tensors of a Cosmos tokenizer by their published names, and what they say of
 * the model: patch, widths, levels, which of them change size. */
#include "cosmos_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Tables of the wavelets and of FSQ, which are known. */
const char *const tsr_cosmos_ignored[] = {"encoder.patcher", "decoder.unpatcher", "quantizer.",
                                          "inv_quant.",      "distribution.",     NULL};

typedef struct position { /* among the names */
    tsr_weight_loader *l;
    bool clip;
    char name[160]; /* what a name begins with, with its dot */
} position;

/* Goes to <format>. below a half's name. */
static void go(position *p, const char *half, const char *format, ...) {
    const int n = snprintf(p->name, sizeof p->name, "%s.", half);
    va_list args;
    va_start(args, format);
    vsnprintf(p->name + n, sizeof p->name - (size_t)n, format, args);
    va_end(args);
}

static const tsr_weight *find(const position *p, const char *part) {
    char name[256];
    snprintf(name, sizeof name, "%s%s%s.weight", p->name, part, p->clip ? ".conv3d" : "");
    return tsr_weights_find(p->l->weights, name);
}

static void load_conv(position *p, const char *part, int64_t out, int64_t in, const int kernel[3],
                      tsr_conv_layer *layer) {
    char name[96];
    snprintf(name, sizeof name, "%.64s%s", part, p->clip ? ".conv3d" : "");
    if (p->clip)
        tsr_load_causal(p->l, p->name, name, out, in, kernel, layer);
    else
        tsr_conv_load_one(p->l, p->name, name, out, in, kernel[1], layer);
}

static const int one[3] = {1, 1, 1}, space[3] = {1, 3, 3}, time_only[3] = {3, 1, 1};

/* A 3x3, or its two halves. */
static void load_pair(position *p, const char *part, int64_t out, int64_t in, cosmos_conv *c) {
    char name[96];
    snprintf(name, sizeof name, "%.64s%s", part, p->clip ? ".0" : "");
    load_conv(p, name, out, in, space, &c->space);
    if (!p->clip) return;
    snprintf(name, sizeof name, "%.64s.1", part);
    load_conv(p, name, out, out, time_only, &c->time);
}

static void load_norm(position *p, const char *part, int64_t width, tsr_conv_layer *layer) {
    char name[96];
    snprintf(name, sizeof name, "%.64s%s", part, p->clip ? ".norm" : "");
    tsr_load_layer(p->l, p->name, name, 1, &width, &layer->weight, &layer->bias);
}

static void load_resnet(position *p, int64_t in, int64_t out, cosmos_resnet *r) {
    load_norm(p, "norm1", in, &r->norm1);
    load_pair(p, "conv1", out, in, &r->conv1);
    load_norm(p, "norm2", out, &r->norm2);
    load_pair(p, "conv2", out, out, &r->conv2);
    if (in != out) load_conv(p, "nin_shortcut", out, in, one, &r->shortcut);
}

static void load_one_attention(position *p, const char *sub, int64_t width, tsr_conv_attention *a) {
    static const char *const parts[4] = {"q", "k", "v", "proj_out"};
    tsr_conv_layer *const layers[4] = {&a->query, &a->key, &a->value, &a->out};
    char name[96];
    snprintf(name, sizeof name, "%snorm", sub);
    load_norm(p, name, width, &a->norm);
    for (int i = 0; i < 4; ++i) {
        snprintf(name, sizeof name, "%s%s", sub, parts[i]);
        load_conv(p, name, width, width, one, layers[i]);
    }
}

static void load_attention(position *p, int64_t width, cosmos_attention *a) {
    load_one_attention(p, p->clip ? "0." : "", width, &a->space);
    if (p->clip) load_one_attention(p, "1.", width, &a->time);
}

/* Which sizes the level changes is told by the layers that are there: conv1 and conv2 of clips are
 * space and time in the encoder, time and space in the decoder. */
static void load_resize(position *p, bool decoder, int64_t width, cosmos_resize *r) {
    static const char *const names[3] = {"conv1", "conv2", "conv3"};
    if (!p->clip) {
        r->space = find(p, "conv") != NULL;
        if (r->space) load_conv(p, "conv", width, width, space, &r->conv[0]);
        return;
    }
    r->space = find(p, names[decoder]) != NULL;
    r->time = find(p, names[!decoder]) != NULL;
    if (r->space) load_conv(p, names[decoder], width, width, space, &r->conv[decoder]);
    if (r->time) load_conv(p, names[!decoder], width, width, time_only, &r->conv[!decoder]);
    if (r->space || r->time) load_conv(p, names[2], width, width, one, &r->conv[2]);
}

/* ---- a half ---- */

static int64_t rows_of(const tsr_weight *w) {
    return w ? w->tensor.dim[0] : 0;
}

/* Counts levels and resnets, and reads the widths. */
static void read_shape(position *p, const char *half, bool decoder, cosmos_half *h) {
    const char *level = decoder ? "up" : "down", *conv1 = p->clip ? "conv1.0" : "conv1";
    for (h->levels = 0; h->levels < TSR_COSMOS_LEVELS; ++h->levels) {
        go(p, half, "%s.%d.block.0.", level, h->levels);
        if (!find(p, conv1)) break;
        h->width[h->levels] = rows_of(find(p, conv1));
    }
    for (h->resnets = 0; h->resnets < TSR_COSMOS_RESNETS; ++h->resnets) {
        go(p, half, "%s.0.block.%d.", level, h->resnets);
        if (!find(p, conv1)) break;
    }
    go(p, half, "");
    h->first = rows_of(find(p, p->clip ? "conv_in.0" : "conv_in"));
    if (!h->levels || !h->resnets || !h->first)
        p->l->status =
            tsr_fail(p->l->ctx, TSR_ERROR_MODEL, "%s: tensors of %s: wanted %s.0.block.0, got none",
                     p->l->path, half, level);
}

static void load_middle(position *p, const char *half, int64_t width, cosmos_half *h) {
    go(p, half, "mid.block_1.");
    load_resnet(p, width, width, &h->mid[0]);
    go(p, half, "mid.attn_1.");
    load_attention(p, width, &h->mid[0].attention);
    go(p, half, "mid.block_2.");
    load_resnet(p, width, width, &h->mid[1]);
}

static void load_level(position *p, const char *half, bool decoder, int i, int64_t in,
                       cosmos_half *h) {
    const char *level = decoder ? "up" : "down";
    for (int k = 0; k < h->resnets; ++k) {
        cosmos_resnet *r = &h->level[i].resnet[k];
        go(p, half, "%s.%d.block.%d.", level, i, k);
        load_resnet(p, k ? h->width[i] : in, h->width[i], r);
        go(p, half, "%s.%d.attn.%d.", level, i, k);
        if (find(p, p->clip ? "0.q" : "q")) load_attention(p, h->width[i], &r->attention);
    }
    go(p, half, "%s.%d.%ssample.", level, i, level);
    load_resize(p, decoder, h->width[i], &h->level[i].resize);
}

/* in, out: channels the half takes and gives. */
static void load_half(position *p, bool decoder, int64_t in, int64_t out, cosmos_half *h) {
    const char *half = decoder ? "decoder" : "encoder";
    const int last = h->levels - 1;
    go(p, half, "");
    load_pair(p, "conv_in", h->first, in, &h->conv_in);
    if (decoder) load_middle(p, half, h->first, h);
    for (int n = 0; n < h->levels; ++n) {
        const int i = decoder ? last - n : n;
        const int64_t before = !n ? h->first : h->width[decoder ? i + 1 : i - 1];
        load_level(p, half, decoder, i, before, h);
    }
    if (!decoder) load_middle(p, half, h->width[last], h);
    go(p, half, "");
    const int64_t end = h->width[decoder ? 0 : last];
    load_norm(p, "norm_out", end, &h->norm_out);
    load_pair(p, "conv_out", out, end, &h->conv_out);
}

/* ---- which levels change size ---- */

static int log_of(int64_t n) { /* of a power of two */
    int log = 0;
    while (n > 1)
        n /= 2, ++log;
    return log;
}

/* Whether every level but the smallest of both halves has all three layers: a file that keeps the
 * unused ones, which say nothing. */
static bool keeps_unused(const cosmos *c) {
    for (int i = 0; i + 1 < c->encoder.levels; ++i) {
        const cosmos_resize *r = &c->encoder.level[i].resize;
        if (!r->space || !r->time) return false;
    }
    for (int i = 1; i < c->decoder.levels; ++i) {
        const cosmos_resize *r = &c->decoder.level[i].resize;
        if (!r->space || !r->time) return false;
    }
    return c->encoder.levels > 1;
}

/* The published rule, by the factors. */
static void choose_levels(cosmos *c, int space_steps, int time_steps) {
    for (int i = 0; i < c->encoder.levels; ++i) {
        cosmos_resize *r = &c->encoder.level[i].resize;
        r->space = r->space && i < space_steps;
        r->time = r->time && i < time_steps;
    }
    for (int i = 0; i < c->decoder.levels; ++i) {
        cosmos_resize *r = &c->decoder.level[i].resize;
        const int k = c->decoder.levels - 1 - i;
        const bool time = k > 0 && k <= time_steps;
        r->space = r->space && (time || (k < space_steps && space_steps > time_steps));
        r->time = r->time && time;
    }
}

static void read_levels(tsr_weight_loader *l, cosmos *c, const cosmos_hints *hints) {
    const int64_t patch = c->haar.patch;
    int64_t changes[2][2] = {{0}}; /* by half; of space, of time */
    if (c->clip && keeps_unused(c)) {
        const bool factors = hints->space_factor >= patch && hints->time_factor >= patch;
        if (factors)
            choose_levels(c, log_of(hints->space_factor / patch),
                          log_of(hints->time_factor / patch));
        else if (hints->space_halvings)
            choose_levels(c, hints->space_halvings, hints->time_halvings);
        else {
            l->status = tsr_fail(
                l->ctx, TSR_ERROR_MODEL,
                "%s: wanted a file or folder named like DV8x16x16 (time, height, width), since its "
                "tensors are those of 4x8x8, 8x8x8 and 8x16x16 alike, got another name",
                l->path);
            return;
        }
    }
    for (int half = 0; half < 2; ++half)
        for (int i = 0; i < TSR_COSMOS_LEVELS; ++i) {
            const cosmos_half *h = half ? &c->decoder : &c->encoder;
            changes[half][0] += h->level[i].resize.space;
            changes[half][1] += h->level[i].resize.time;
        }
    if (memcmp(changes[0], changes[1], sizeof changes[0]))
        l->status = tsr_fail(l->ctx, TSR_ERROR_MODEL,
                             "%s: decoder: wanted %lld doublings of space and %lld of time, as the "
                             "encoder halves, got %lld and %lld",
                             l->path, (long long)changes[0][0], (long long)changes[0][1],
                             (long long)changes[1][0], (long long)changes[1][1]);
    c->factor = patch << changes[0][0];
    c->time_factor = c->clip ? patch << changes[0][1] : 1;
}

/* Sizes that both halves and the layers between them share; *z: what they exchange. */
static void read_sizes(tsr_weight_loader *l, cosmos *c, int64_t *pixels, int64_t *z) {
    position p = {.l = l, .clip = c->clip};
    const tsr_weight *in, *out, *quant;
    go(&p, "encoder", "");
    in = find(&p, c->clip ? "conv_in.0" : "conv_in");
    out = find(&p, c->clip ? "conv_out.0" : "conv_out");
    p.name[0] = 0;
    quant = find(&p, "quant_conv");
    if (!in || !out || !quant) {
        l->status =
            tsr_fail(l->ctx, TSR_ERROR_MODEL, "%s: tensor %s: wanted one, got none", l->path,
                     !in    ? "encoder.conv_in.weight"
                     : !out ? "encoder.conv_out.weight"
                            : "quant_conv.weight");
        return;
    }
    *pixels = in->tensor.dim[1];
    *z = out->tensor.dim[0];
    c->channels = quant->tensor.dim[0];
    c->continuous = c->channels != TSR_COSMOS_FSQ;
    for (int patch = 1; patch <= 8; patch *= 2)
        if (*pixels == 3 * patch * patch * (c->clip ? patch : 1)) c->haar.patch = patch;
    if (!c->haar.patch)
        l->status = tsr_fail(
            l->ctx, TSR_ERROR_MODEL, "%s: encoder.conv_in: wanted %s channels, got %lld", l->path,
            c->clip ? "3, 24, 192 or 1536" : "3, 12, 48 or 192", (long long)*pixels);
    if (c->channels > 4096)
        l->status = tsr_fail(l->ctx, TSR_ERROR_MODEL,
                             "%s: quant_conv: wanted at most 4096 channels, got "
                             "%lld",
                             l->path, (long long)c->channels);
}

/* Norms of pictures: 32 groups, but for the one published model that has 1 (patch 2, factor 16,
 * ids). */
static void choose_groups(tsr_weight_loader *l, cosmos *c, const cosmos_hints *hints) {
    const bool single = c->haar.patch == 2 && c->factor == 16 && !c->continuous;
    c->groups = c->clip ? 1 : hints->groups ? hints->groups : single ? 1 : 32;
    for (int half = 0; half < 2; ++half) {
        const cosmos_half *h = half ? &c->decoder : &c->encoder;
        for (int i = -1; i < h->levels && !l->status; ++i) {
            const int64_t width = i < 0 ? h->first : h->width[i];
            if (width % c->groups)
                l->status = tsr_fail(l->ctx, TSR_ERROR_MODEL,
                                     "%s: level %d: wanted a multiple of %d channels (groups of "
                                     "the norms), got %lld",
                                     l->path, i, c->groups, (long long)width);
        }
    }
}

void tsr_cosmos_load(tsr_weight_loader *l, cosmos *c, const cosmos_hints *hints) {
    position p = {.l = l, .clip = c->clip};
    int64_t pixels = 0, z = 0;
    if (!l->status) read_sizes(l, c, &pixels, &z);
    if (!l->status) read_shape(&p, "encoder", false, &c->encoder);
    if (!l->status) read_shape(&p, "decoder", true, &c->decoder);
    if (l->status) return;
    load_half(&p, false, pixels, z, &c->encoder);
    p.name[0] = 0;
    load_conv(&p, "quant_conv", c->channels, z, one, &c->quant);
    load_conv(&p, "post_quant_conv", z, c->channels, one, &c->post_quant);
    load_half(&p, true, z, pixels, &c->decoder);
    if (!l->status) read_levels(l, c, hints);
    if (!l->status) choose_groups(l, c, hints);
}
