/* SPDX-License-Identifier: MIT */
/* cosmos_model.h: the networks of the Cosmos tokenizers (NVIDIA 2024, "Cosmos World Foundation
 * Model Platform"): a wavelet packet, a convolutional encoder, FSQ or continuous latents, and the
 * mirror of it. Pictures (DI, CI) have 2-D convolutions and group norms; clips (DV, CV) have
 * convolutions over space and over time in turn, a norm over each frame, and attention over each
 * frame and then over time. All that is causal: no frame depends on a later one. */
#ifndef CODEC_COSMOS_MODEL_H
#define CODEC_COSMOS_MODEL_H

#include "../../../nn/causal_conv.h"
#include "../../../nn/haar.h"
#include "../../../nn/layer_trace.h"

enum { TSR_COSMOS_LEVELS = 4, TSR_COSMOS_RESNETS = 6 };

/* A convolution 3x3; in clips (1,3,3) and then (3,1,1). */
typedef struct cosmos_conv {
    tsr_conv_layer space, time; /* time.weight NULL in pictures */
} cosmos_conv;

typedef struct cosmos_attention {
    tsr_conv_attention space, time; /* norm.weight NULL: none */
} cosmos_attention;

typedef struct cosmos_resnet {
    tsr_conv_layer norm1, norm2, shortcut; /* shortcut: where the width changes */
    cosmos_conv conv1, conv2;
    cosmos_attention attention; /* after it */
} cosmos_resnet;

/* Halving or doubling behind a level. In pictures conv[0] does it. In clips a level may change rows
 * and columns, frames, both or nothing: conv[0] and conv[1] do one each, conv[2] mixes. */
typedef struct cosmos_resize {
    bool space, time;
    tsr_conv_layer conv[3];
} cosmos_resize;

typedef struct cosmos_level {
    cosmos_resnet resnet[TSR_COSMOS_RESNETS];
    cosmos_resize resize;
} cosmos_level;

typedef struct cosmos_half {                 /* encoder or decoder; level[0] has the most pixels */
    int levels, resnets;                     /* resnets: of a level */
    int64_t width[TSR_COSMOS_LEVELS], first; /* channels; first: conv_in's */
    cosmos_conv conv_in, conv_out;
    tsr_conv_layer norm_out;
    cosmos_level level[TSR_COSMOS_LEVELS];
    cosmos_resnet mid[2]; /* attention after the first */
} cosmos_half;

/* What the tensors of a file may leave open. 0: they, or what is published, decide. */
typedef struct cosmos_hints {
    int groups; /* of the norms of pictures */
    /* Of clips whose file keeps unused tensors: the factors, or else how many levels halve. */
    int space_factor, time_factor;
    int space_halvings, time_halvings;
} cosmos_hints;

typedef struct cosmos {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    bool clip, continuous;
    int groups;                  /* of the norms; in clips 1, over each frame */
    int64_t channels;            /* of the latents: 6 for FSQ */
    int64_t factor, time_factor; /* pixels of a place's side, frames of a time */
    tsr_haar haar;
    cosmos_half encoder, decoder;
    tsr_conv_layer quant, post_quant;
    uint32_t frames, height, width; /* of a tile */
} cosmos;

/* Loads every tensor of a model whose context, path and clip are set; l->weights must have them.
 * Sets all that the tensors say. Failures: MODEL, naming the tensor. cosmos_load.c */
void tsr_cosmos_load(tsr_weight_loader *l, cosmos *c, const cosmos_hints *hints);
/* Beginnings of names that a file may have and no network needs; ended by NULL. */
extern const char *const tsr_cosmos_ignored[];
/* Opens a model. Takes over `weights`, also on failure. `path` begins messages. Errors: MODEL,
 * UNSUPPORTED, MEMORY. */
tsr_status tsr_cosmos_open(tsr_device *device, tsr_weights *weights, const char *path,
                           const cosmos_hints *hints, cosmos **model);
/* Closes a model; NULL and a NULL *model are accepted. */
void tsr_cosmos_close(cosmos **model);

/* FSQ of all discrete models: 64000 ids, the first level the lowest digit. */
enum { TSR_COSMOS_FSQ = 6 };
extern const int tsr_cosmos_levels[TSR_COSMOS_FSQ];

/* Frames over time that T frames become, 1 + (T - 1) / factor. In pictures 1. */
int64_t tsr_cosmos_times(const cosmos *c, int64_t frames);

/* Encodes pixels of -1 .. 1, planes [count, frames, 3, height, width]: sides are multiples of the
 * factor, frames 1 + m * time_factor. z [count, t, h, w, channels] are the latents; of discrete
 * models `bounded` of the same shape are they before rounding, and ids [count, t, h, w]. z, bounded
 * and trace may be NULL; bounded and ids are with continuous models. Errors: MEMORY, the device's.
 */
tsr_status tsr_cosmos_encode(const cosmos *c, const float *planes, int64_t count, int64_t frames,
                             int64_t height, int64_t width, float *z, float *bounded, int32_t *ids,
                             const tsr_layer_trace *trace);
/* Begins the same of bytes, RGB [count, frames, height, width, 3]: they are read when it returns,
 * and what it gives is there after tsr_execute_end of the flight. Errors: as above. */
tsr_status tsr_cosmos_encode_begin(const cosmos *c, const uint8_t *rgb, int64_t count,
                                   int64_t frames, int64_t height, int64_t width, float *z,
                                   float *bounded, int32_t *ids, tsr_flight *flight);
/* Decodes ids [count, t, h, w], or latents [..., channels] of continuous models, to planes [count,
 * frames, 3, height, width] of about -1 .. 1, where frames, height and width are those of t, h and
 * w. trace may be NULL. Errors: MEMORY, the device's. */
tsr_status tsr_cosmos_decode(const cosmos *c, const int32_t *ids, const float *latents,
                             int64_t count, int64_t frames, int64_t height, int64_t width,
                             float *planes, const tsr_layer_trace *trace);

#endif
