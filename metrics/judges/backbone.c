/* SPDX-License-Identifier: MIT */
/* backbone.c: AlexNet (Krizhevsky 2014), VGG16 (Simonyan and Zisserman 2015) and SqueezeNet 1.1
 * (Iandola et al. 2016) up to their last feature maps. */
#include "../../ops/ops.h"
#include "backbone.h"

#include <stdio.h>
#include <string.h>

/* ---- the networks: kind, N, channels, size, stride, padding, tap ---- */

#define CONV(n, channels, size, stride, padding, tap)                                              \
    { TSR_STEP_CONV, n, channels, size, stride, padding, tap }
#define POOL(size)                                                                                 \
    { TSR_STEP_POOL, 0, 0, size, 2, 0, false }
#define FIRE(n, channels, squeeze, tap)                                                            \
    { TSR_STEP_FIRE, n, channels, squeeze, 1, 0, tap }

const tsr_backbone_kind tsr_backbone_alex = {
    .name = "alex",
    .step = {CONV(0, 64, 11, 4, 2, true), POOL(3), CONV(3, 192, 5, 1, 2, true), POOL(3),
             CONV(6, 384, 3, 1, 1, true), CONV(8, 256, 3, 1, 1, true),
             CONV(10, 256, 3, 1, 1, true)},
    .taps = 5,
    .least = 31};

const tsr_backbone_kind tsr_backbone_vgg = {
    .name = "vgg",
    .step = {CONV(0, 64, 3, 1, 1, false), CONV(2, 64, 3, 1, 1, true), POOL(2),
             CONV(5, 128, 3, 1, 1, false), CONV(7, 128, 3, 1, 1, true), POOL(2),
             CONV(10, 256, 3, 1, 1, false), CONV(12, 256, 3, 1, 1, false),
             CONV(14, 256, 3, 1, 1, true), POOL(2), CONV(17, 512, 3, 1, 1, false),
             CONV(19, 512, 3, 1, 1, false), CONV(21, 512, 3, 1, 1, true), POOL(2),
             CONV(24, 512, 3, 1, 1, false), CONV(26, 512, 3, 1, 1, false),
             CONV(28, 512, 3, 1, 1, true)},
    .taps = 5,
    .least = 16};

const tsr_backbone_kind tsr_backbone_squeeze = {
    .name = "squeeze",
    .step = {CONV(0, 64, 3, 2, 0, true), POOL(3), FIRE(3, 128, 16, false), FIRE(4, 128, 16, true),
             POOL(3), FIRE(6, 256, 32, false), FIRE(7, 256, 32, true), POOL(3),
             FIRE(9, 384, 48, true), FIRE(10, 384, 48, true), FIRE(11, 512, 64, true),
             FIRE(12, 512, 64, true)},
    .taps = 7,
    .least = 17,
    .ceil = true};

int tsr_backbone_channels(const tsr_backbone_kind *kind, int tap) {
    for (const tsr_step *s = kind->step; s->kind; ++s)
        if (s->tap && !tap--) return s->channels;
    return 0;
}

/* ---- weights ---- */

static void load_conv(tsr_weight_loader *l, const char *name, int64_t out, int64_t in, int size,
                      tsr_backbone_layer *layer) {
    tsr_load_layer(l, "", name, 4, (int64_t[]){out, in, size, size}, &layer->weight, &layer->bias);
}

const tsr_backbone_kind *tsr_backbone_find(const tsr_safetensors *file) {
    static const struct {
        const char *names[2]; /* one of them is there */
        const tsr_backbone_kind *kind;
    } marks[] = {
        {{"features.3.squeeze.weight", "net.slice2.3.squeeze.weight"}, &tsr_backbone_squeeze},
        {{"features.28.weight", "net.slice5.28.weight"}, &tsr_backbone_vgg},
        {{"features.6.weight", "net.slice3.6.weight"}, &tsr_backbone_alex}};
    for (unsigned i = 0; i < sizeof marks / sizeof *marks; ++i)
        for (int k = 0; k < 2; ++k)
            if (tsr_safetensors_find(file, marks[i].names[k]) >= 0) return marks[i].kind;
    return NULL;
}

void tsr_backbone_load(tsr_weight_loader *l, tsr_backbone *b) {
    const bool slices = l->weights && tsr_weights_find(l->weights, "net.slice1.0.weight");
    int64_t in = 3;
    char name[64], stem[32] = "features";
    for (int i = 0, slice = 1; b->kind->step[i].kind; ++i) {
        const tsr_step *s = &b->kind->step[i];
        if (slices) snprintf(stem, sizeof stem, "net.slice%d", slice);
        slice += s->tap;
        if (s->kind == TSR_STEP_POOL) continue;
        if (s->kind == TSR_STEP_CONV) {
            snprintf(name, sizeof name, "%s.%d", stem, s->number);
            load_conv(l, name, s->channels, in, s->size, &b->layer[i][0]);
        } else {
            snprintf(name, sizeof name, "%s.%d.squeeze", stem, s->number);
            load_conv(l, name, s->size, in, 1, &b->layer[i][0]);
            snprintf(name, sizeof name, "%s.%d.expand1x1", stem, s->number);
            load_conv(l, name, s->channels / 2, s->size, 1, &b->layer[i][1]);
            snprintf(name, sizeof name, "%s.%d.expand3x3", stem, s->number);
            load_conv(l, name, s->channels / 2, s->size, 3, &b->layer[i][2]);
        }
        in = s->channels;
    }
}

/* ---- the walk ---- */

static tsr_tensor *conv(tsr_run *r, const tsr_tensor *x, const tsr_backbone_layer *l, int stride,
                        int padding) {
    return tsr_conv2d(r, x, l->weight,
                      &(tsr_conv_spec){.bias = l->bias,
                                       .stride = stride,
                                       .top = padding,
                                       .left = padding,
                                       .bottom = padding,
                                       .right = padding,
                                       .act = TSR_ACT_RELU});
}

tsr_tensor *tsr_maps_beside(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b) {
    const int64_t n = a->dim[0] * a->dim[1] * a->dim[2], ca = a->dim[3], cb = b->dim[3];
    int64_t width = ca, rest = cb; /* rows to be joined are of the greatest common divisor */
    while (rest) {
        const int64_t next = width % rest;
        width = rest;
        rest = next;
    }
    tsr_tensor *x = tsr_concat_rows(r, tsr_reshape(r, a, 3, (int64_t[]){n, ca / width, width}),
                                    tsr_reshape(r, b, 3, (int64_t[]){n, cb / width, width}));
    return tsr_reshape(r, x, 4, (int64_t[]){a->dim[0], a->dim[1], a->dim[2], ca + cb});
}

static tsr_tensor *step(tsr_run *r, const tsr_backbone *b, int i, tsr_tensor *x,
                        tsr_pool_kind pool) {
    const tsr_step *s = &b->kind->step[i];
    const tsr_backbone_layer *l = b->layer[i];
    if (s->kind == TSR_STEP_POOL && pool == TSR_POOL2D_BINOMIAL)
        return tsr_pool2d(r, x,
                          &(tsr_pool_spec){.kind = pool,
                                           .size = 3,
                                           .stride = 2,
                                           .top = 1,
                                           .left = 1,
                                           .bottom = 1,
                                           .right = 1});
    if (s->kind == TSR_STEP_POOL)
        return tsr_pool2d(
            r, x, &(tsr_pool_spec){.size = s->size, .stride = s->stride, .ceil = b->kind->ceil});
    if (s->kind == TSR_STEP_CONV) return conv(r, x, &l[0], s->stride, s->padding);
    tsr_scope scope = tsr_scope_open(r);
    x = conv(r, x, &l[0], 1, 0);
    x = tsr_maps_beside(r, conv(r, x, &l[1], 1, 0), conv(r, x, &l[2], 1, 1));
    return tsr_scope_close(r, scope, x);
}

void tsr_backbone_walk(tsr_run *r, const tsr_backbone *b, tsr_tensor *x, tsr_pool_kind pool,
                       tsr_tensor **taps) {
    tsr_scope scope = tsr_scope_open(r);
    for (int i = 0, tap = 0; b->kind->step[i].kind; ++i) {
        x = step(r, b, i, x, pool);
        if (!b->kind->step[i].tap) continue;
        x = taps[tap++] = tsr_scope_close(r, scope, x); /* what lies between taps may go */
        scope = tsr_scope_open(r);
    }
    tsr_scope_close(r, scope, x);
}

static int64_t pooled(int64_t n, const tsr_step *s, bool ceil, tsr_pool_kind pool) {
    if (pool == TSR_POOL2D_BINOMIAL) return (n - 1) / 2 + 1;
    return (n - s->size + (ceil ? s->stride - 1 : 0)) / s->stride + 1;
}

void tsr_backbone_sizes(const tsr_backbone_kind *kind, tsr_pool_kind pool, uint32_t width,
                        uint32_t height, tsr_map_size *taps) {
    int64_t w = width, h = height;
    for (const tsr_step *s = kind->step; s->kind; ++s) {
        if (s->kind == TSR_STEP_POOL) {
            h = pooled(h, s, kind->ceil, pool);
            w = pooled(w, s, kind->ceil, pool);
        } else if (s->kind == TSR_STEP_CONV) {
            h = (h + 2 * s->padding - s->size) / s->stride + 1;
            w = (w + 2 * s->padding - s->size) / s->stride + 1;
        }
        if (s->tap) *taps++ = (tsr_map_size){h, w};
    }
}

tsr_tile_cost tsr_backbone_cost(const tsr_backbone_kind *kind, uint32_t width, uint32_t height) {
    /* Input, the first two maps, and what the later ones add: less than another such map. */
    const uint64_t first = (uint64_t)kind->step[0].stride, pixels = (uint64_t)width * height;
    const uint64_t map = pixels / (first * first) * (uint64_t)kind->step[0].channels * 4;
    return (tsr_tile_cost){.bytes = pixels * 12 + 3 * map, .tensor_bytes = map + pixels * 12};
}

/* ---- pictures ---- */

void tsr_scale_pictures(const tsr_input_scale *scale, const tsr_picture *pictures, int count,
                        float *to) {
    float table[3][256]; /* all that a byte can become */
    for (int c = 0; c < 3; ++c)
        for (int v = 0; v < 256; ++v)
            table[c][v] = (float)((v / 255.0 * scale->multiply + scale->add - scale->mean[c]) /
                                  scale->deviation[c]);
    for (int i = 0; i < count; ++i) {
        const size_t pixels = (size_t)pictures[i].width * (size_t)pictures[i].height;
        for (size_t p = 0; p < pixels; ++p, to += 3)
            for (int c = 0; c < 3; ++c)
                to[c] = table[c][pictures[i].rgb[p * 3 + (size_t)c]];
    }
}
