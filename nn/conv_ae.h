/* SPDX-License-Identifier: MIT */
/* conv_ae.h: the two halves of a convolutional autoencoder as VQGAN (P. Esser et al. 2021) and
 * latent diffusion (R. Rombach et al. 2022) have them: residual blocks with group norms, halving or
 * doubling between levels, attention at the smallest level. The published models differ in names
 * and in a few habits, which a tsr_conv_layout lists. */
#ifndef NN_CONV_AE_H
#define NN_CONV_AE_H

#include "conv_layers.h"

enum { TSR_CONV_LEVELS = 8, TSR_CONV_RESNETS = 6 };

typedef struct tsr_conv_resnet {
    tsr_conv_layer norm1, conv1, norm2, conv2, shortcut; /* shortcut: where the width changes */
    tsr_conv_attention attention;                        /* after it */
} tsr_conv_resnet;
typedef struct tsr_conv_level {
    tsr_conv_resnet resnet[TSR_CONV_RESNETS];
    tsr_conv_layer resize;
} tsr_conv_level;

/* Names and habits of a published model. Names lack the prefix of the half. */
typedef struct tsr_conv_layout {
    const char *down, *up;                     /* resnet k of level i: "down.%d.block.%d" */
    const char *down_attention, *up_attention; /* after resnet k of the smallest level, or NULL */
    const char *halve, *twice; /* "down.%d.downsample.conv"; halve NULL: the mean of 2x2 */
    const char *mid[3];        /* resnet, attention (NULL: none), resnet */
    const char *attention[5];  /* norm, query, key, value, out */
    const char *shortcut;      /* in a resnet */
    const char *norm_out;      /* last norm of a half */
    bool attention_matrix;     /* projections of attention are [D, D]; else 1x1 convolutions */
    bool bare;                 /* resnets and the encoder's conv_in have no biases */
    bool shortcut_after;       /* the shortcut acts on the branch, whose input is then lost */
    bool smallest_first;       /* the decoder's levels are counted from the smallest map */
    int out_kernel;            /* of the encoder's conv_out: 1 or 3 */
} tsr_conv_layout;

/* Sizes of a half, read from the shapes of the tensors. */
typedef struct tsr_conv_shape {
    int levels, resnets;            /* of a level */
    int64_t width[TSR_CONV_LEVELS]; /* channels, [0] at the picture's size */
    int64_t in, out;                /* channels the half takes and gives */
} tsr_conv_shape;

typedef struct tsr_conv_half { /* encoder or decoder; level[0] is the picture's size */
    tsr_conv_shape shape;
    int groups; /* of the norms */
    bool shortcut_after;
    tsr_conv_layer conv_in, norm_out, conv_out;
    tsr_conv_level level[TSR_CONV_LEVELS];
    tsr_conv_resnet mid[2]; /* attention after the first */
} tsr_conv_half;

/* Reads the sizes of a half, whose names begin with `prefix`: 1 to TSR_CONV_LEVELS levels, at most
 * TSR_CONV_RESNETS - 1 resnets. Errors: MODEL, naming the tensor. */
tsr_status tsr_conv_read_shape(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, const tsr_conv_layout *layout, bool decoder,
                               tsr_conv_shape *shape);
/* Loads every tensor of a half, each name beginning with `prefix` ("encoder."). half->groups may be
 * set before; 0 becomes 32. */
void tsr_conv_load(tsr_weight_loader *loader, const char *prefix, const tsr_conv_layout *layout,
                   bool decoder, const tsr_conv_shape *shape, tsr_conv_half *half);
/* Outputs of the parts of a half, for verification: conv_in, levels and the three of the middle in
 * their order of computation, norm_out before its activation, and of an encoder conv_out. With them
 * no activation is freed before the half is computed. */
typedef struct tsr_conv_parts {
    tsr_tensor **out; /* the caller's */
    int made;         /* outputs that are filled */
} tsr_conv_parts;

/* Computes a half: x [B, H, W, in] -> [B, H', W', out], after `levels` - 1 halvings or doublings of
 * H and W. parts may be NULL. */
tsr_tensor *tsr_conv_encode(tsr_run *r, const tsr_conv_half *half, tsr_tensor *x,
                            tsr_conv_parts *parts);
tsr_tensor *tsr_conv_decode(tsr_run *r, const tsr_conv_half *half, tsr_tensor *x,
                            tsr_conv_parts *parts);

#endif
