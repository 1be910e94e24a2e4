/* SPDX-License-Identifier: MIT */
/* backbone.h: the convolutional halves of three classifiers of ImageNet, as torchvision publishes
 * them: what LPIPS and DISTS measure distances in. */
#ifndef JUDGES_BACKBONE_H
#define JUDGES_BACKBONE_H

#include "../../nn/family.h"
#include "../../ops/ops.h"

enum { TSR_BACKBONE_STEPS = 20, TSR_BACKBONE_TAPS = 7 };

typedef enum tsr_step_kind {
    TSR_STEP_CONV = 1, /* convolution with bias, ReLU */
    TSR_STEP_FIRE,     /* SqueezeNet's: 1x1, then 1x1 beside 3x3, ReLU each */
    TSR_STEP_POOL      /* maximum */
} tsr_step_kind;

/* One step of a backbone. */
typedef struct tsr_step {
    tsr_step_kind kind;
    int number;                /* N of the tensors' names, features.N */
    int channels;              /* of the result; POOL: 0 */
    int size, stride, padding; /* of CONV and POOL; FIRE: size is the width of the squeeze */
    bool tap;                  /* the result is looked at */
} tsr_step;

/* A published network. */
typedef struct tsr_backbone_kind {
    const char *name;                  /* "alex", "vgg", "squeeze" */
    tsr_step step[TSR_BACKBONE_STEPS]; /* ended by kind 0 */
    int taps;
    int least; /* pixels of the shortest side that leaves a place at every tap */
    bool ceil; /* pools hang over the right and bottom edge */
} tsr_backbone_kind;

extern const tsr_backbone_kind tsr_backbone_alex, tsr_backbone_vgg, tsr_backbone_squeeze;

typedef struct tsr_backbone_layer {
    tsr_weight *weight, *bias;
} tsr_backbone_layer;

/* A network with its weights. */
typedef struct tsr_backbone {
    const tsr_backbone_kind *kind;
    tsr_backbone_layer layer[TSR_BACKBONE_STEPS][3]; /* FIRE: squeeze, 1x1, 3x3 */
} tsr_backbone;

/* The network in a file whose tensors are called features.N.*, as torchvision has them, or
 * net.sliceK.N.*, as a saved LPIPS has them; NULL: none. */
const tsr_backbone_kind *tsr_backbone_find(const tsr_safetensors *file);
/* Loads the tensors of backbone->kind. */
void tsr_backbone_load(tsr_weight_loader *loader, tsr_backbone *backbone);
/* Channels of tap number `tap`. */
int tsr_backbone_channels(const tsr_backbone_kind *kind, int tap);
/* Walks x [B, H, W, 3] through the network; taps [kind->taps] become maps. `pool`: what pools do
 * (DISTS puts its own in the place of the maximum). */
void tsr_backbone_walk(tsr_run *r, const tsr_backbone *backbone, tsr_tensor *x, tsr_pool_kind pool,
                       tsr_tensor **taps);
/* Rows and columns of every tap [kind->taps] for pictures of a size that kind->least allows. */
typedef struct tsr_map_size {
    int64_t rows, columns;
} tsr_map_size;
void tsr_backbone_sizes(const tsr_backbone_kind *kind, tsr_pool_kind pool, uint32_t width,
                        uint32_t height, tsr_map_size *taps);
/* Bytes of the activations of one picture at their peak, roughly. */
tsr_tile_cost tsr_backbone_cost(const tsr_backbone_kind *kind, uint32_t width, uint32_t height);

/* Maps beside each other: a [B, H, W, Ca], b [B, H, W, Cb] -> [B, H, W, Ca + Cb]. */
tsr_tensor *tsr_maps_beside(tsr_run *r, const tsr_tensor *a, const tsr_tensor *b);

/* How bytes become the network's input: (value / 255 * multiply + add - mean) / deviation. */
typedef struct tsr_input_scale {
    double multiply, add, mean[3], deviation[3];
} tsr_input_scale;
/* Pictures of one size as f32 [count, height, width, 3]. */
void tsr_scale_pictures(const tsr_input_scale *scale, const tsr_picture *pictures, int count,
                        float *to);

#endif
