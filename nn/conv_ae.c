/* SPDX-License-Identifier: MIT */
/* conv_ae.c: the halves, from top to bottom.
 *
 *   encoder: picture ─► conv ─► [resnets, half size] x levels ─► resnet, attention, resnet ─► norm,
 *            conv ─► features
 *   decoder: features ─► conv ─► resnet, attention, resnet ─► [resnets, double size] x levels ─►
 *            norm, conv ─► picture
 *
 * Feature maps are [B, H, W, C]. Group norms have eps 1e-6. Halving by convolution pads a row at
 * the bottom and a column at the right only; doubling repeats pixels, inside the convolution that
 * follows it. */
#include "conv_ae.h"

#include <stdio.h>
#include <string.h>

/* ---- tensors ---- */

static const tsr_weight *find(tsr_weights *weights, const char *prefix, const char *format, int i,
                              int k, const char *end) {
    char name[256], part[128];
    snprintf(part, sizeof part, format, i, k);
    snprintf(name, sizeof name, "%s%s%s", prefix, part, end);
    return tsr_weights_find(weights, name);
}

/* The number the names have for a level. */
static int number_of(const tsr_conv_layout *layout, bool decoder, const tsr_conv_shape *shape,
                     int level) {
    return decoder && layout->smallest_first ? shape->levels - 1 - level : level;
}

tsr_status tsr_conv_read_shape(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, const tsr_conv_layout *layout, bool decoder,
                               tsr_conv_shape *s) {
    const char *resnet = decoder ? layout->up : layout->down;
    *s = (tsr_conv_shape){0};
    while (s->levels < TSR_CONV_LEVELS &&
           find(weights, prefix, resnet, s->levels, 0, ".conv1.weight"))
        s->levels++;
    while (s->resnets < TSR_CONV_RESNETS &&
           find(weights, prefix, resnet, 0, s->resnets, ".conv1.weight"))
        s->resnets++;
    char first[96];
    snprintf(first, sizeof first, resnet, 0, 0);
    if (!s->levels)
        return tsr_fail(ctx, TSR_ERROR_MODEL, "%s: tensor %s%s.conv1.weight: wanted one, got none",
                        path, prefix, first);
    if (s->resnets == TSR_CONV_RESNETS)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: resnets beside %s%s: wanted at most %d, got more", path, prefix, first,
                        TSR_CONV_RESNETS - 1);
    for (int i = 0; i < s->levels; ++i) {
        const tsr_weight *w =
            find(weights, prefix, resnet, number_of(layout, decoder, s, i), 0, ".conv1.weight");
        s->width[i] = w->tensor.dim[0];
    }
    const tsr_weight *in = find(weights, prefix, "conv_in", 0, 0, ".weight");
    const tsr_weight *out = find(weights, prefix, "conv_out", 0, 0, ".weight");
    if (!in || !out || in->tensor.rank != 4 || out->tensor.rank != 4)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor %sconv_%s.weight: wanted [N, C, kh, kw], got %s", path, prefix,
                        in && in->tensor.rank == 4 ? "out" : "in",
                        in && out ? "another shape" : "none");
    s->in = in->tensor.dim[1];
    s->out = out->tensor.dim[0];
    return TSR_OK;
}

typedef struct position { /* among the names */
    tsr_weight_loader *loader;
    const tsr_conv_layout *layout;
    char name[256];
} position;

static void load_layer(position *n, tsr_conv_layer *l, const char *part, int rank,
                       const int64_t *dim, bool bias) {
    tsr_load_layer(n->loader, n->name, part, rank, dim, &l->weight, bias ? &l->bias : NULL);
}

static void load_conv(position *n, tsr_conv_layer *l, const char *part, int64_t out, int64_t in,
                      int kernel, bool bias) {
    load_layer(n, l, part, 4, (int64_t[]){out, in, kernel, kernel}, bias);
}

/* Goes into <where>. and says how to come back. */
static size_t enter(position *n, const char *where) {
    const size_t length = strlen(n->name);
    snprintf(n->name + length, sizeof n->name - length, "%s.", where);
    return length;
}

static void load_attention(position *n, tsr_conv_attention *a, const char *where, int64_t d) {
    const size_t length = enter(n, where);
    load_layer(n, &a->norm, n->layout->attention[0], 1, &d, true);
    tsr_conv_load_attention(n->loader, n->name, n->layout->attention + 1,
                            n->layout->attention_matrix, d, a);
    n->name[length] = 0;
}

static void load_resnet(position *n, tsr_conv_resnet *r, const char *where, int64_t in,
                        int64_t out) {
    const size_t length = enter(n, where);
    const bool bias = !n->layout->bare;
    load_layer(n, &r->norm1, "norm1", 1, &in, true);
    load_conv(n, &r->conv1, "conv1", out, in, 3, bias);
    load_layer(n, &r->norm2, "norm2", 1, &out, true);
    load_conv(n, &r->conv2, "conv2", out, out, 3, bias);
    if (in != out)
        load_conv(n, &r->shortcut, n->layout->shortcut, out, n->layout->shortcut_after ? out : in,
                  1, bias);
    n->name[length] = 0;
}

static void load_middle(position *n, tsr_conv_half *h, int64_t d) {
    load_resnet(n, &h->mid[0], n->layout->mid[0], d, d);
    if (n->layout->mid[1]) load_attention(n, &h->mid[0].attention, n->layout->mid[1], d);
    load_resnet(n, &h->mid[1], n->layout->mid[2], d, d);
}

static void load_level(position *n, tsr_conv_half *h, bool decoder, int i, int64_t in,
                       int64_t out) {
    const tsr_conv_layout *l = n->layout;
    const int number = number_of(l, decoder, &h->shape, i);
    const bool smallest = i + 1 == h->shape.levels;
    const char *attention = decoder ? l->up_attention : l->down_attention;
    const char *resize = decoder ? l->twice : l->halve;
    char where[96];
    for (int k = 0; k < h->shape.resnets; ++k) {
        tsr_conv_resnet *r = &h->level[i].resnet[k];
        snprintf(where, sizeof where, decoder ? l->up : l->down, number, k);
        load_resnet(n, r, where, k ? out : in, out);
        if (!smallest || !attention) continue;
        snprintf(where, sizeof where, attention, number, k);
        load_attention(n, &r->attention, where, out);
    }
    if (!resize || (decoder ? i == 0 : smallest)) return;
    snprintf(where, sizeof where, resize, number);
    load_conv(n, &h->level[i].resize, where, out, out, 3, true);
}

void tsr_conv_load(tsr_weight_loader *loader, const char *prefix, const tsr_conv_layout *layout,
                   bool decoder, const tsr_conv_shape *shape, tsr_conv_half *h) {
    position n = {.loader = loader, .layout = layout};
    const int64_t *width = shape->width, last = width[shape->levels - 1];
    snprintf(n.name, sizeof n.name, "%s", prefix);
    h->shape = *shape;
    h->shortcut_after = layout->shortcut_after;
    if (!h->groups) h->groups = 32;
    if (decoder) {
        load_conv(&n, &h->conv_in, "conv_in", last, shape->in, 3, true);
        load_middle(&n, h, last);
        for (int i = shape->levels - 1; i >= 0; --i)
            load_level(&n, h, true, i, i + 1 < shape->levels ? width[i + 1] : last, width[i]);
        load_layer(&n, &h->norm_out, layout->norm_out, 1, &width[0], true);
        load_conv(&n, &h->conv_out, "conv_out", shape->out, width[0], 3, true);
    } else {
        load_conv(&n, &h->conv_in, "conv_in", width[0], shape->in, 3, !layout->bare);
        for (int i = 0; i < shape->levels; ++i)
            load_level(&n, h, false, i, i ? width[i - 1] : width[0], width[i]);
        load_middle(&n, h, last);
        load_layer(&n, &h->norm_out, layout->norm_out, 1, &last, true);
        load_conv(&n, &h->conv_out, "conv_out", shape->out, last, layout->out_kernel, true);
    }
}

/* ---- the model ---- */

typedef struct walk {
    tsr_run *r;
    const tsr_conv_half *h;
    tsr_conv_parts *parts;
    tsr_scope scope;
} walk;

/* Ends a part of the model: its other activations may go; if traced, it is an output too. */
static tsr_tensor *part(walk *w, tsr_tensor *x) {
    if (w->parts) return w->parts->out[w->parts->made++] = x;
    x = tsr_scope_close(w->r, w->scope, x);
    w->scope = tsr_scope_open(w->r);
    return x;
}

static tsr_tensor *norm(walk *w, const tsr_tensor *x, const tsr_conv_layer *l, tsr_activation act) {
    return tsr_conv_norm(w->r, x, l, w->h->groups, act);
}

static tsr_tensor *run_attention(walk *w, const tsr_conv_attention *a, tsr_tensor *x) {
    return tsr_conv_attend(w->r, a, x, norm(w, x, &a->norm, TSR_ACT_NONE), NULL, 0);
}

static tsr_tensor *run_resnet(walk *w, const tsr_conv_resnet *n, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(w->r);
    tsr_tensor *y = norm(w, x, &n->norm1, TSR_ACT_SILU);
    y = tsr_conv_same(w->r, y, &n->conv1, false, NULL);
    y = norm(w, y, &n->norm2, TSR_ACT_SILU);
    if (!n->shortcut.weight)
        y = tsr_conv_same(w->r, y, &n->conv2, false, x);
    else if (!w->h->shortcut_after)
        y = tsr_conv_same(w->r, y, &n->conv2, false,
                          tsr_conv_same(w->r, x, &n->shortcut, false, NULL));
    else {
        y = tsr_conv_same(w->r, y, &n->conv2, false, NULL);
        y = tsr_conv_same(w->r, y, &n->shortcut, false, y);
    }
    return w->parts ? y : tsr_scope_close(w->r, scope, y);
}

static tsr_tensor *run_level(walk *w, const tsr_conv_level *l, tsr_tensor *x) {
    for (int k = 0; k < w->h->shape.resnets; ++k) {
        x = run_resnet(w, &l->resnet[k], x);
        if (l->resnet[k].attention.norm.weight) x = run_attention(w, &l->resnet[k].attention, x);
    }
    return x;
}

static tsr_tensor *run_middle(walk *w, tsr_tensor *x) {
    x = part(w, run_resnet(w, &w->h->mid[0], x));
    if (w->h->mid[0].attention.norm.weight)
        x = part(w, run_attention(w, &w->h->mid[0].attention, x));
    return part(w, run_resnet(w, &w->h->mid[1], x));
}

static tsr_tensor *run_out(walk *w, tsr_tensor *x) {
    if (w->parts) { /* the norm is wanted before its activation */
        x = part(w, norm(w, x, &w->h->norm_out, TSR_ACT_NONE));
        x = tsr_unary(w->r, x, TSR_ACT_SILU);
    } else
        x = norm(w, x, &w->h->norm_out, TSR_ACT_SILU);
    return tsr_conv_same(w->r, x, &w->h->conv_out, false, NULL);
}

tsr_tensor *tsr_conv_encode(tsr_run *r, const tsr_conv_half *h, tsr_tensor *x,
                            tsr_conv_parts *parts) {
    walk w = {.r = r, .h = h, .parts = parts, .scope = tsr_scope_open(r)};
    x = part(&w, tsr_conv_first(r, x, &h->conv_in)); /* [B, H, W, width 0] */
    for (int i = 0; i < h->shape.levels; ++i) {
        x = run_level(&w, &h->level[i], x);
        if (h->level[i].resize.weight)
            x = tsr_conv2d(r, x, h->level[i].resize.weight,
                           &(tsr_conv_spec){.bias = h->level[i].resize.bias,
                                            .stride = 2,
                                            .bottom = 1,
                                            .right = 1}); /* [B, H/2, W/2, width i] */
        else if (i + 1 < h->shape.levels)
            x = tsr_halve(r, x);
        x = part(&w, x);
    }
    x = run_middle(&w, x);
    x = run_out(&w, x); /* [B, h, w, out] */
    return parts ? part(&w, x) : x;
}

tsr_tensor *tsr_conv_decode(tsr_run *r, const tsr_conv_half *h, tsr_tensor *x,
                            tsr_conv_parts *parts) {
    walk w = {.r = r, .h = h, .parts = parts, .scope = tsr_scope_open(r)};
    x = part(&w,
             tsr_conv_same(r, x, &h->conv_in, false, NULL)); /* [B, h, w, width of the smallest] */
    x = run_middle(&w, x);
    for (int i = h->shape.levels - 1; i >= 0; --i) {
        x = run_level(&w, &h->level[i], x);
        if (i) x = tsr_conv_same(r, x, &h->level[i].resize, true, NULL); /* [B, 2h, 2w, width i] */
        x = part(&w, x);
    }
    return run_out(&w, x);
}
