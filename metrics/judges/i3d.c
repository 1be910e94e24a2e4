/* SPDX-License-Identifier: MIT */
/* i3d.c: the two-stream network's RGB half of Carreira and Zisserman 2017 (Quo Vadis, Action
 * Recognition?), Inception v1 whose kernels and pools also look along time, trained on Kinetics-400
 * as pytorch-i3d publishes it. Its logits are what the Frechet video distance (Unterthiner et al.
 * 2018) takes.
 *
 *   clip ─► conv 7 ─► pool ─► conv 1 ─► conv 3 ─► pool ─► M M ─► pool ─► M M M M M ─► pool ─► M M
 *        ─► mean over 2 x 7 x 7 ─► classes ─► mean over times
 *
 * M is four branches beside each other: 1 | 1, 3 | 1, 3 | pool, 1. A clip is a map [B*T, H, W, C]:
 * a kernel of kt taps over time is a 2-D one over kt frames side by side (tsr_unfold_frames), a
 * pool over time the maximum of shifted clips. Padding is TensorFlow's "same", which is longer
 * behind; the zeros around a pool take part in the maximum, which changes nothing behind a ReLU. */
#include "i3d.h"
#include "../../compute/arena.h"
#include "../../nn/causal_conv.h"
#include "backbone.h"
#include "folded_norm.h"

#include <stdlib.h>
#include <string.h>

/* ---- the convolutions, in the order of the walk ---- */

typedef struct row {
    const char *name;
    short out, in, size, stride;
} row;

#define MIXED(m, in, b0, b1a, b1b, b2a, b2b, b3b)                                                  \
    {m ".b0", b0, in, 1, 1}, {m ".b1a", b1a, in, 1, 1}, {m ".b1b", b1b, b1a, 3, 1},                \
        {m ".b2a", b2a, in, 1, 1}, {m ".b2b", b2b, b2a, 3, 1}, {                                   \
        m ".b3b", b3b, in, 1, 1                                                                    \
    }

static const row rows[] = {
    {"Conv3d_1a_7x7", 64, 3, 7, 2},
    {"Conv3d_2b_1x1", 64, 64, 1, 1},
    {"Conv3d_2c_3x3", 192, 64, 3, 1},
    MIXED("Mixed_3b", 192, 64, 96, 128, 16, 32, 32),
    MIXED("Mixed_3c", 256, 128, 128, 192, 32, 96, 64),
    MIXED("Mixed_4b", 480, 192, 96, 208, 16, 48, 64),
    MIXED("Mixed_4c", 512, 160, 112, 224, 24, 64, 64),
    MIXED("Mixed_4d", 512, 128, 128, 256, 24, 64, 64),
    MIXED("Mixed_4e", 512, 112, 144, 288, 32, 64, 64),
    MIXED("Mixed_4f", 528, 256, 160, 320, 32, 128, 128),
    MIXED("Mixed_5b", 832, 256, 160, 320, 32, 128, 128),
    MIXED("Mixed_5c", 832, 384, 192, 384, 48, 128, 128),
};
enum { CONVS = sizeof rows / sizeof *rows, WIDTH = 1024 };

/* ---- weights ---- */

typedef struct conv {
    tsr_weight *kernel;  /* the file's, [out, in * kt, k, k] */
    tsr_batch_norm norm; /* likewise */
    tsr_folded folded;   /* what is run */
} conv;

struct tsr_i3d {
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    tsr_folder folder;
    conv conv[CONVS];
    tsr_conv_layer logits;
};

static void load(tsr_weight_loader *l, tsr_i3d *m) {
    for (int i = 0; i < CONVS; ++i) {
        const row *s = &rows[i];
        const int kernel[3] = {s->size, s->size, s->size};
        tsr_load_kernel_over_frames(l, s->name, ".conv3d", s->out, s->in, kernel,
                                    &m->conv[i].kernel);
        tsr_load_batch_norm(l, s->name, ".bn", s->out, &m->conv[i].norm);
    }
    tsr_load_causal(l, "logits", ".conv3d", TSR_I3D_CLASSES, WIDTH, (const int[]){1, 1, 1},
                    &m->logits);
}

static tsr_status prepare(tsr_i3d *m, const char *path) {
    tsr_weight_loader l = tsr_load_all_begin(m->ctx, m->weights, path);
    load(&l, m);
    const tsr_status status = tsr_load_all_end(&l, NULL);
    for (int i = 0; i < CONVS && !status; ++i)
        tsr_fold(&m->folder, m->conv[i].kernel, &m->conv[i].norm, &m->conv[i].folded);
    return status ? status : m->folder.made.status;
}

tsr_status tsr_i3d_open(tsr_device *device, tsr_weights *weights, const char *path,
                        tsr_i3d **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_i3d *m = tsr_alloc(ctx, 1, sizeof *m, "i3d");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->ctx = ctx;
    m->device = device;
    m->weights = weights;
    m->folder = (tsr_folder){weights, 1e-3f, {.ctx = ctx}};
    const tsr_status status = prepare(m, path);
    if (status)
        tsr_i3d_close(&m);
    else
        *model = m;
    return status;
}

void tsr_i3d_close(tsr_i3d **model) {
    if (!model || !*model) return;
    tsr_i3d *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    tsr_scratch_free(&m->folder.made);
    free(m);
    *model = NULL;
}

tsr_context *tsr_i3d_context(const tsr_i3d *m) {
    return m->ctx;
}

void tsr_i3d_list(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_i3d *m = tsr_alloc(source->ctx, 1, sizeof *m, "i3d");
    if (m)
        load(l, m);
    else
        l->status = TSR_ERROR_MEMORY;
    free(m);
}

/* ---- the walk ---- */

/* Zeros that TensorFlow's "same" puts around a dimension. */
typedef struct same {
    int front, behind;
} same;
static same pad(int64_t n, int size, int stride) {
    const int over = (int)(n % stride), all = size - (over ? over : stride);
    const int total = all > 0 ? all : 0;
    return (same){total / 2, total - total / 2};
}

typedef struct walker {
    tsr_run *r;
    const tsr_i3d *m;
    int64_t times; /* of a clip in the map at hand */
    int next;      /* convolution */
} walker;

static tsr_tensor *conv_next(walker *w, const tsr_tensor *x) {
    const row *s = &rows[w->next];
    const conv *c = &w->m->conv[w->next++];
    const same time = pad(w->times, s->size, s->stride);
    const same down = pad(x->dim[1], s->size, s->stride);
    const same across = pad(x->dim[2], s->size, s->stride);
    const int64_t made = (w->times + s->stride - 1) / s->stride;
    if (s->size > 1)
        x = tsr_unfold_frames(w->r, x,
                              &(tsr_frames_spec){.frames = w->times,
                                                 .made = made,
                                                 .taps = s->size,
                                                 .stride = s->stride,
                                                 .front = time.front,
                                                 .zeros = true});
    w->times = made;
    return tsr_conv2d(w->r, x, c->folded.weight,
                      &(tsr_conv_spec){.bias = c->folded.bias,
                                       .stride = s->stride,
                                       .top = down.front,
                                       .bottom = down.behind,
                                       .left = across.front,
                                       .right = across.behind,
                                       .act = TSR_ACT_RELU});
}

/* The maximum over `size` frames. */
static tsr_tensor *max_over_time(walker *w, tsr_tensor *x, int size, int stride) {
    const same time = pad(w->times, size, stride);
    tsr_frames_spec s = {.frames = w->times,
                         .made = (w->times + stride - 1) / stride,
                         .stride = stride,
                         .zeros = true};
    tsr_tensor *y = NULL;
    for (int k = 0; k < size; ++k) {
        s.front = time.front - k;
        tsr_tensor *shifted = tsr_unfold_frames(w->r, x, &s);
        y = y ? tsr_binary(w->r, y, shifted, TSR_BINARY_MAX) : shifted;
    }
    w->times = s.made;
    return y;
}

/* The maximum over size_time x size x size places. */
static tsr_tensor *max_pool(walker *w, tsr_tensor *x, int size_time, int size, int stride_time,
                            int stride) {
    const same down = pad(x->dim[1], size, stride), across = pad(x->dim[2], size, stride);
    x = tsr_pool2d(w->r, x,
                   &(tsr_pool_spec){.size = size,
                                    .stride = stride,
                                    .top = down.front,
                                    .bottom = down.behind,
                                    .left = across.front,
                                    .right = across.behind});
    return size_time > 1 ? max_over_time(w, x, size_time, stride_time) : x;
}

static tsr_tensor *mixed(walker *w, tsr_tensor *x) {
    tsr_tensor *one = conv_next(w, x);
    tsr_tensor *wide = conv_next(w, x);
    wide = conv_next(w, wide);
    tsr_tensor *narrow = conv_next(w, x);
    narrow = conv_next(w, narrow);
    tsr_tensor *pool = conv_next(w, max_pool(w, x, 3, 3, 1, 1));
    return tsr_maps_beside(w->r, tsr_maps_beside(w->r, one, wide),
                           tsr_maps_beside(w->r, narrow, pool));
}

/* Means over 2 x 7 x 7 places, and over the times that leaves: [B*T, 7, 7, C] -> [B, C]. */
static tsr_tensor *mean(walker *w, const tsr_tensor *x, int64_t clips) {
    tsr_run *r = w->r;
    x = tsr_pool2d(r, x, &(tsr_pool_spec){.kind = TSR_POOL2D_MEAN, .size = 7});
    tsr_frames_spec s = {.frames = w->times, .made = w->times - 1};
    tsr_tensor *y = tsr_unfold_frames(r, x, &s);
    s.front = -1;
    y = tsr_scale(r, tsr_binary(r, y, tsr_unfold_frames(r, x, &s), TSR_BINARY_ADD), 0.5f, 0);
    y = tsr_transpose(r, tsr_reshape(r, y, 3, (int64_t[]){clips, s.made, WIDTH}));
    return tsr_reshape(r, tsr_reduce(r, y, TSR_REDUCE_MEAN), 4, (int64_t[]){clips, 1, 1, WIDTH});
}

/* Parts of the network; a pool has sizes and strides over time and over space. */
static const struct part {
    enum { CONV, POOL, MIX } kind;
    int8_t size_time, size, stride_time, stride;
    int8_t tap; /* output that leaves here, less one; -1: none */
} plan[] = {
    {CONV, .tap = TSR_I3D_CONV3D_1A},
    {POOL, 1, 3, 1, 2, -1},
    {CONV, .tap = -1},
    {CONV, .tap = TSR_I3D_CONV3D_2C},
    {POOL, 1, 3, 1, 2, -1},
    {MIX, .tap = -1},
    {MIX, .tap = TSR_I3D_MIXED_3C},
    {POOL, 3, 3, 2, 2, -1},
    {MIX, .tap = -1},
    {MIX, .tap = -1},
    {MIX, .tap = -1},
    {MIX, .tap = -1},
    {MIX, .tap = TSR_I3D_MIXED_4F},
    {POOL, 2, 2, 2, 2, -1},
    {MIX, .tap = -1},
    {MIX, .tap = TSR_I3D_MIXED_5C},
};

typedef struct wanted {
    const tsr_i3d_output *outputs;
    int count, frames;
} wanted;

/* in: [B*T, 224, 224, 3], out: what is wanted. */
static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const wanted *q = tsr_run_args(r);
    walker w = {r, model, q->frames, 0};
    tsr_tensor *x = in[0], *made[TSR_I3D_OUTPUTS] = {NULL};
    const int64_t clips = x->dim[0] / q->frames;
    for (unsigned i = 0; i < sizeof plan / sizeof *plan; ++i) {
        const struct part *p = &plan[i];
        const tsr_scope scope = tsr_scope_open(r);
        if (p->kind == CONV)
            x = conv_next(&w, x);
        else if (p->kind == MIX)
            x = mixed(&w, x);
        else
            x = max_pool(&w, x, p->size_time, p->size, p->stride_time, p->stride);
        x = tsr_scope_close(r, scope, x);
        if (p->tap >= 0) made[p->tap] = x;
    }
    x = mean(&w, x, clips);
    made[TSR_I3D_FEATURES] = tsr_reshape(r, x, 2, (int64_t[]){clips, WIDTH});
    x = tsr_conv2d(r, x, w.m->logits.weight, &(tsr_conv_spec){.bias = w.m->logits.bias});
    made[TSR_I3D_LOGITS] = tsr_reshape(r, x, 2, (int64_t[]){clips, TSR_I3D_CLASSES});
    for (int i = 0; i < q->count; ++i)
        out[i] = made[q->outputs[i]];
}

const char *const tsr_i3d_output_names[TSR_I3D_OUTPUTS] = {
    "Conv3d_1a_7x7", "Conv3d_2c_3x3", "Mixed_3c", "Mixed_4f", "Mixed_5c", "features", "logits"};

void tsr_i3d_size(tsr_i3d_output output, int frames, int64_t dim[4]) {
    static const struct {
        short halved, side, channels; /* halved: how often time was */
    } sizes[TSR_I3D_OUTPUTS] = {{1, 112, 64},  {1, 56, 192},  {1, 28, 480},           {2, 14, 832},
                                {3, 7, WIDTH}, {0, 1, WIDTH}, {0, 1, TSR_I3D_CLASSES}};
    dim[0] = sizes[output].halved ? frames : 1;
    for (int i = 0; i < sizes[output].halved; ++i)
        dim[0] = (dim[0] + 1) / 2;
    dim[1] = dim[2] = sizes[output].side;
    dim[3] = sizes[output].channels;
}

tsr_status tsr_i3d_run(const tsr_i3d *m, const float *x, int count, int frames,
                       const tsr_i3d_output *outputs, int output_count, float *const *values) {
    const wanted q = {outputs, output_count, frames};
    const int64_t dim[4] = {(int64_t)count * frames, TSR_I3D_SIDE, TSR_I3D_SIDE, 3};
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)x, 4, dim);
    tsr_tensor out[TSR_I3D_OUTPUTS];
    tsr_program program = {.fn = walk, .model = m, .args = &q, .variant = frames, .name = "i3d"};
    for (int i = 0; i < output_count; ++i) {
        int64_t size[4];
        tsr_i3d_size(outputs[i], frames, size);
        size[0] *= count;
        const bool flat = outputs[i] >= TSR_I3D_FEATURES;
        if (flat) size[1] = size[3];
        out[i] = tsr_host_tensor(TSR_DTYPE_F32, values[i], flat ? 2 : 4, size);
        program.variant = program.variant * 8 + (int64_t)outputs[i] + 1;
    }
    return tsr_execute(m->device, &program, &in, 1, out, output_count);
}
