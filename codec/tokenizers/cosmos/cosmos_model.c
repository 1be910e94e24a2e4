/* SPDX-License-Identifier: MIT */
/* cosmos_model.c: the networks, from top to bottom.
 *
 *   encoder: pixels ─► wavelets ─► conv ─► [resnets, half size] x levels ─► resnet, attention,
 *            resnet ─► norm, conv ─► 1x1 conv ─► latents (─► FSQ ─► ids)
 *   decoder: the mirror of it
 *
 * Maps are [B*T, H, W, C]; pictures are clips of one frame. Norms have eps 1e-6. */
#include "cosmos_model.h"
#include "../../../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int tsr_cosmos_levels[TSR_COSMOS_FSQ] = {8, 8, 8, 5, 5, 5};

int64_t tsr_cosmos_times(const cosmos *c, int64_t frames) {
    return 1 + (frames - 1) / c->time_factor;
}

/* ---- opening ---- */

/* Fills a model whose device, context and weights are set. */
static tsr_status load_model(cosmos *c, const char *path, const cosmos_hints *hints) {
    if (!(c->path = strdup(path)))
        return tsr_fail(c->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    c->clip = tsr_weights_find(c->weights, "encoder.conv_in.0.conv3d.weight") != NULL;
    tsr_weight_loader loader = tsr_load_all_begin(c->ctx, c->weights, path);
    tsr_cosmos_load(&loader, c, hints);
    const tsr_status status = tsr_load_all_end(&loader, tsr_cosmos_ignored);
    return status ? status : tsr_haar_open(c->ctx, c->weights, c->haar.patch, c->clip, &c->haar);
}

tsr_status tsr_cosmos_open(tsr_device *device, tsr_weights *weights, const char *path,
                           const cosmos_hints *hints, cosmos **model) {
    cosmos *c = tsr_alloc(tsr_device_context(device), 1, sizeof *c, "cosmos");
    *model = NULL;
    if (!c) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    c->device = device;
    c->ctx = tsr_device_context(device);
    c->weights = weights;
    const tsr_status status = load_model(c, path, hints);
    if (status)
        tsr_cosmos_close(&c);
    else
        *model = c;
    return status;
}

void tsr_cosmos_close(cosmos **model) {
    if (!model || !*model) return;
    cosmos *c = *model;
    tsr_device_forget(c->device, c);
    tsr_weights_close(&c->weights);
    tsr_haar_drop(&c->haar);
    free(c->path);
    free(c);
    *model = NULL;
}

/* ---- a walk ---- */

/* Arguments of a program. */
typedef struct arguments {
    int64_t frames; /* of a clip, as the program gets them */
    const tsr_layer_trace *trace;
} arguments;

typedef struct walk {
    tsr_run *r;
    const cosmos *c;
    tsr_layer_view view;
    int64_t frames; /* T of the map */
} walk;

static tsr_tensor *conv_time(walk *w, const tsr_tensor *x, const tsr_conv_layer *l,
                             const tsr_tensor *residual) {
    return tsr_causal_conv(
        w->r, x, l,
        &(tsr_causal_spec){.frames = w->frames, .front = 2, .conv = {.residual = residual}});
}

/* 3x3; in clips over space and then over time. */
static tsr_tensor *conv(walk *w, const tsr_tensor *x, const cosmos_conv *c,
                        const tsr_tensor *residual, const char *name) {
    tsr_tensor *y = tsr_conv_same(w->r, x, &c->space, false, c->time.weight ? NULL : residual);
    if (!c->time.weight) return y;
    return conv_time(w, tsr_layer_see(&w->view, y, "%s.0", name), &c->time, residual);
}

/* The one that reads the picture. */
static tsr_tensor *conv_first(walk *w, const tsr_tensor *x, const cosmos_conv *c) {
    tsr_tensor *y = tsr_conv_first(w->r, x, &c->space);
    if (c->time.weight)
        y = conv_time(w, tsr_layer_see(&w->view, y, "encoder.conv_in.0"), &c->time, NULL);
    return tsr_layer_see(&w->view, y, "encoder.conv_in");
}

static tsr_tensor *norm(walk *w, const tsr_tensor *x, const tsr_conv_layer *l, tsr_activation act) {
    return tsr_conv_norm(w->r, x, l, w->c->groups, act);
}

/* Norm and swish; the norm alone is what is looked at. */
static tsr_tensor *norm_swish(walk *w, const tsr_tensor *x, const tsr_conv_layer *l,
                              const char *name) {
    if (!w->view.trace) return norm(w, x, l, TSR_ACT_SILU);
    return tsr_unary(w->r, tsr_layer_see(&w->view, norm(w, x, l, TSR_ACT_NONE), "%s", name),
                     TSR_ACT_SILU);
}

static tsr_tensor *run_resnet(walk *w, const cosmos_resnet *n, tsr_tensor *x, const char *name) {
    const tsr_scope scope = tsr_scope_open(w->r);
    char part[128];
    snprintf(part, sizeof part, "%s.norm1", name);
    tsr_tensor *y = norm_swish(w, x, &n->norm1, part);
    snprintf(part, sizeof part, "%s.conv1", name);
    y = tsr_layer_see(&w->view, conv(w, y, &n->conv1, NULL, part), "%s", part);
    y = norm(w, y, &n->norm2, TSR_ACT_SILU);
    const tsr_tensor *straight = n->shortcut.weight ? tsr_conv_one(w->r, x, &n->shortcut) : x;
    snprintf(part, sizeof part, "%s.conv2", name);
    y = conv(w, y, &n->conv2, straight, part);
    return tsr_layer_see(&w->view, tsr_layer_close(&w->view, w->r, scope, y), "%s", name);
}

/* x + attention over the places of a frame, or over the frames at a place. */
static tsr_tensor *attend(walk *w, const tsr_conv_attention *a, tsr_tensor *x, bool over_time) {
    return tsr_conv_attend(w->r, a, x, norm(w, x, &a->norm, TSR_ACT_NONE),
                           over_time ? tsr_causal_attention : NULL, w->frames);
}

static tsr_tensor *run_attention(walk *w, const cosmos_attention *a, tsr_tensor *x,
                                 const char *name) {
    if (!a->space.norm.weight) return x;
    const tsr_scope scope = tsr_scope_open(w->r);
    x = attend(w, &a->space, x, false);
    if (a->time.norm.weight)
        x = attend(w, &a->time, tsr_layer_see(&w->view, x, "%s.0", name), true);
    return tsr_layer_see(&w->view, tsr_layer_close(&w->view, w->r, scope, x), "%s", name);
}

static tsr_tensor *run_middle(walk *w, const cosmos_half *h, tsr_tensor *x, const char *half) {
    char name[64];
    snprintf(name, sizeof name, "%s.mid.block_1", half);
    x = run_resnet(w, &h->mid[0], x, name);
    snprintf(name, sizeof name, "%s.mid.attn_1", half);
    x = run_attention(w, &h->mid[0].attention, x, name);
    snprintf(name, sizeof name, "%s.mid.block_2", half);
    return run_resnet(w, &h->mid[1], x, name);
}

static tsr_tensor *run_resnets(walk *w, const cosmos_half *h, int i, tsr_tensor *x,
                               const char *level) {
    char name[64];
    for (int k = 0; k < h->resnets; ++k) {
        const cosmos_resnet *n = &h->level[i].resnet[k];
        snprintf(name, sizeof name, "%s.%d.block.%d", level, i, k);
        x = run_resnet(w, n, x, name);
        snprintf(name, sizeof name, "%s.%d.attn.%d", level, i, k);
        x = run_attention(w, &n->attention, x, name);
    }
    return x;
}

static tsr_tensor *run_end(walk *w, const cosmos_half *h, tsr_tensor *x, const char *half) {
    char name[64];
    snprintf(name, sizeof name, "%s.norm_out", half);
    x = norm_swish(w, x, &h->norm_out, name);
    snprintf(name, sizeof name, "%s.conv_out", half);
    return tsr_layer_see(&w->view, conv(w, x, &h->conv_out, NULL, name), "%s", name);
}

/* ---- encoder ---- */

/* Half as many rows and columns: a zero row below and a zero column on the right. In clips the mean
 * of what is joined is added. */
static tsr_tensor *halve_space(walk *w, tsr_tensor *x, const tsr_conv_layer *l) {
    return tsr_conv2d(w->r, x, l->weight,
                      &(tsr_conv_spec){.bias = l->bias,
                                       .stride = 2,
                                       .bottom = 1,
                                       .right = 1,
                                       .residual = w->c->clip ? tsr_halve(w->r, x) : NULL});
}

/* 1 + 2m frames to 1 + m: a copy of the first in front of what is joined, and one more in front of
 * the kernel. */
static tsr_tensor *halve_time(walk *w, tsr_tensor *x, const tsr_conv_layer *l) {
    const tsr_causal_spec spec = {
        .frames = w->frames,
        .front = 2,
        .stride = 2,
        .conv = {.residual = tsr_causal_halve(w->r, x, w->frames)},
    };
    w->frames = tsr_causal_frames(&spec, 3);
    return tsr_causal_conv(w->r, x, l, &spec);
}

static tsr_tensor *downsample(walk *w, const cosmos_resize *s, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(w->r);
    if (s->space) x = halve_space(w, x, &s->conv[0]);
    if (s->time) x = halve_time(w, x, &s->conv[1]);
    if (w->c->clip && (s->space || s->time)) x = tsr_conv_one(w->r, x, &s->conv[2]);
    return tsr_layer_close(&w->view, w->r, scope, x);
}

/* planes [B*T, 3, H, W], with the first frame so often that the wavelets get whole patches ->
 * latents [B*t, h, w, channels]. */
static tsr_tensor *run_encoder(walk *w, tsr_tensor *planes) {
    const cosmos *c = w->c;
    const cosmos_half *h = &c->encoder;
    tsr_tensor *x = tsr_haar_split(w->r, &c->haar, planes); /* [B*T', H/p, W/p, 3p^2 or 3p^3] */
    if (c->clip) w->frames /= c->haar.patch;
    tsr_layer_see(&w->view, x, "encoder.patcher%s", c->clip ? "3d" : "");
    x = conv_first(w, x, &h->conv_in);
    for (int i = 0; i < h->levels; ++i) {
        const tsr_scope scope = tsr_scope_open(w->r);
        x = run_resnets(w, h, i, x, "encoder.down");
        x = tsr_layer_see(&w->view, downsample(w, &h->level[i].resize, x),
                          "encoder.down.%d.downsample", i);
        x = tsr_layer_close(&w->view, w->r, scope, x);
    }
    x = run_middle(w, h, x, "encoder");
    x = run_end(w, h, x, "encoder"); /* [B*t, h, w, z] */
    return tsr_conv_one(w->r, x, &c->quant);
}

/* ---- decoder ---- */

static tsr_tensor *upsample(walk *w, const cosmos_resize *s, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(w->r);
    const bool clip = w->c->clip;
    if (s->time) { /* 1 + m frames to 1 + 2m: every frame twice, but the first */
        if (w->frames > 1) {
            const tsr_frames_spec twice = {
                .frames = w->frames, .made = 2 * w->frames - 1, .front = -1, .twice = true};
            x = tsr_unfold_frames(w->r, x, &twice);
            w->frames = twice.made;
        }
        x = conv_time(w, x, &s->conv[0], x);
    }
    if (s->space) {
        const tsr_conv_layer *l = &s->conv[clip]; /* conv2 of clips */
        x = tsr_conv_same(w->r, x, l, true, clip ? tsr_double(w->r, x) : NULL);
    }
    if (clip && (s->space || s->time)) x = tsr_conv_one(w->r, x, &s->conv[2]);
    return tsr_layer_close(&w->view, w->r, scope, x);
}

/* latents [B*t, h, w, channels] -> planes [B*T, 3, H, W]. */
static tsr_tensor *run_decoder(walk *w, tsr_tensor *x) {
    const cosmos *c = w->c;
    const cosmos_half *h = &c->decoder;
    x = tsr_layer_see(&w->view, tsr_conv_one(w->r, x, &c->post_quant), "post_quant_conv");
    x = tsr_layer_see(&w->view, conv(w, x, &h->conv_in, NULL, "decoder.conv_in"),
                      "decoder.conv_in");
    x = run_middle(w, h, x, "decoder");
    for (int i = h->levels - 1; i >= 0; --i) {
        const tsr_scope scope = tsr_scope_open(w->r);
        x = run_resnets(w, h, i, x, "decoder.up");
        x = tsr_layer_see(&w->view, upsample(w, &h->level[i].resize, x), "decoder.up.%d.upsample",
                          i);
        x = tsr_layer_close(&w->view, w->r, scope, x);
    }
    x = run_end(w, h, x, "decoder");      /* [B*T', H/p, W/p, 3p^2 or 3p^3] */
    x = tsr_haar_join(w->r, &c->haar, x); /* [B*T'*p, 3, H, W] */
    if (!c->clip || c->haar.patch == 1) return x;
    /* The first patch was the first frame and copies of it. */
    const int64_t frames = w->frames * c->haar.patch, copies = c->haar.patch - 1;
    return tsr_unfold_frames(
        w->r, x,
        &(tsr_frames_spec){.frames = frames, .made = frames - copies, .front = (int)-copies});
}

/* ---- programs ---- */

static walk start(tsr_run *r, const cosmos *c, tsr_tensor **seen) {
    const arguments *a = tsr_run_args(r);
    return (walk){.r = r, .c = c, .view = {a->trace, seen}, .frames = a->frames};
}

/* Planes of -1 .. 1, of such planes or of bytes [N, H, W, 3]. */
static tsr_tensor *planes_of(tsr_run *r, tsr_tensor *x) {
    float table[256];
    if (x->dtype != TSR_DTYPE_U8) return x;
    for (int v = 0; v < 256; ++v)
        table[v] = (float)(v / 255.0 * 2 - 1);
    return tsr_from_bytes_by(r, x, table, true);
}

/* in: planes or bytes. out: latents [N, channels]; of discrete models also bounded [N, 6] and ids
 * [N]; then what is looked at. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const cosmos *c = model;
    const int own = c->continuous ? 1 : 3;
    walk w = start(r, c, out + own);
    out[0] = run_encoder(&w, planes_of(r, in[0]));
    if (c->continuous) return;
    const tsr_fsq_result q = tsr_fsq_encode(r, out[0], tsr_cosmos_levels, TSR_COSMOS_FSQ);
    out[1] = q.bounded;
    out[2] = q.ids;
}

/* in: ids [B*t, h, w], or latents [B*t, h, w, channels]. out: planes; then what is looked at. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const cosmos *c = model;
    walk w = start(r, c, out + 1);
    tsr_tensor *x = in[0];
    if (!c->continuous) x = tsr_fsq_decode(r, x, tsr_cosmos_levels, TSR_COSMOS_FSQ);
    out[0] = run_decoder(&w, x);
}

/* A walk differs by its frames, since a batch of clips is frames alone, and by what is looked at.
 */
static int64_t variant_of(const arguments *a) {
    return a->frames + (a->trace ? a->trace->variant << 20 : 0);
}

/* Begins the encoder on planes F32 [count, frames, 3, height, width] or bytes U8 [count, frames,
 * height, width, 3]. */
static tsr_status begin_encoder(const cosmos *c, tsr_dtype dtype, const void *pixels, int64_t count,
                                int64_t frames, int64_t height, int64_t width, float *z,
                                float *bounded, int32_t *ids, const tsr_layer_trace *trace,
                                tsr_flight *flight) {
    const int64_t copies = c->clip ? c->haar.patch - 1 : 0, t = tsr_cosmos_times(c, frames);
    const int64_t n = count * t * (height / c->factor) * (width / c->factor), d = c->channels;
    const size_t frame = (size_t)(3 * height * width) * tsr_dtype_bytes(dtype);
    const arguments args = {.frames = frames + copies, .trace = trace};
    const int64_t all = count * args.frames;
    const bool bytes = dtype == TSR_DTYPE_U8;
    char *first = NULL; /* clips with their first frame so often */
    if (copies) first = tsr_alloc_raw(c->ctx, (size_t)all, frame, "cosmos: frames");
    if (copies && !first) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < all && copies; ++i) {
        const int64_t f = i % args.frames < copies ? 0 : i % args.frames - copies;
        memcpy(first + (size_t)i * frame,
               (const char *)pixels + (size_t)(i / args.frames * frames + f) * frame, frame);
    }
    const tsr_tensor in = tsr_host_tensor(
        dtype, copies ? first : (void *)(uintptr_t)pixels, 4,
        (int64_t[]){all, bytes ? height : 3, bytes ? width : height, bytes ? 3 : width});
    tsr_tensor out[TSR_MAX_IO] = {tsr_host_tensor(TSR_DTYPE_F32, z, 2, (int64_t[]){n, d}),
                                  tsr_host_tensor(TSR_DTYPE_F32, bounded, 2, (int64_t[]){n, d}),
                                  tsr_host_tensor(TSR_DTYPE_I32, ids, 1, &n)};
    const tsr_program program = {.fn = encode_program,
                                 .model = c,
                                 .args = &args,
                                 .variant = variant_of(&args),
                                 .name = "cosmos encode"};
    const int outputs = tsr_layer_trace_add(trace, out, c->continuous ? 1 : 3);
    const tsr_status status = tsr_execute_begin(c->device, &program, &in, 1, out, outputs, flight);
    free(first);
    return status;
}

tsr_status tsr_cosmos_encode(const cosmos *c, const float *planes, int64_t count, int64_t frames,
                             int64_t height, int64_t width, float *z, float *bounded, int32_t *ids,
                             const tsr_layer_trace *trace) {
    tsr_flight flight = {0};
    const tsr_status status = begin_encoder(c, TSR_DTYPE_F32, planes, count, frames, height, width,
                                            z, bounded, ids, trace, &flight);
    return status ? status : tsr_execute_end(c->device, &flight);
}

tsr_status tsr_cosmos_encode_begin(const cosmos *c, const uint8_t *rgb, int64_t count,
                                   int64_t frames, int64_t height, int64_t width, float *z,
                                   float *bounded, int32_t *ids, tsr_flight *flight) {
    return begin_encoder(c, TSR_DTYPE_U8, rgb, count, frames, height, width, z, bounded, ids, NULL,
                         flight);
}

tsr_status tsr_cosmos_decode(const cosmos *c, const int32_t *ids, const float *latents,
                             int64_t count, int64_t frames, int64_t height, int64_t width,
                             float *planes, const tsr_layer_trace *trace) {
    const int64_t t = tsr_cosmos_times(c, frames), h = height / c->factor, w = width / c->factor;
    const arguments args = {.frames = t, .trace = trace};
    const tsr_tensor in = c->continuous ? tsr_host_tensor(TSR_DTYPE_F32, (float *)latents, 4,
                                                          (int64_t[]){count * t, h, w, c->channels})
                                        : tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)ids, 3,
                                                          (int64_t[]){count * t, h, w});
    tsr_tensor out[TSR_MAX_IO] = {
        tsr_host_tensor(TSR_DTYPE_F32, planes, 4, (int64_t[]){count * frames, 3, height, width})};
    const tsr_program program = {.fn = decode_program,
                                 .model = c,
                                 .args = &args,
                                 .variant = variant_of(&args),
                                 .name = "cosmos decode",
                                 .pictures = true};
    return tsr_execute(c->device, &program, &in, 1, out, tsr_layer_trace_add(trace, out, 1));
}
