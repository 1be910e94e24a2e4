/* SPDX-License-Identifier: MIT */
/* emu3_model.h: the networks of Emu3-VisionTokenizer (BAAI 2024, "Emu3: Next-Token Prediction is
 * All You Need"): a VQGAN encoder for each frame, two convolutions that halve time, the nearest of
 * 32768 codes of four numbers; back, convolutions that double time, then a decoder for each frame
 * whose norms are modulated by the codes (MoVQ, C. Zheng et al. 2022). All over time is causal. */
#ifndef CODEC_EMU3_MODEL_H
#define CODEC_EMU3_MODEL_H

#include "../../../nn/causal_conv.h"
#include "../../../nn/code_table.h"
#include "../../../nn/layer_trace.h"

enum { TSR_EMU3_LEVELS = 6, TSR_EMU3_RESNETS = 6, TSR_EMU3_TIMES = 4 };

/* A group norm; in the decoder group norm times conv_y plus conv_b, convolutions of the codes. */
typedef struct emu3_norm {
    tsr_conv_layer norm, scale, shift; /* scale.weight NULL in the encoder */
} emu3_norm;

typedef struct emu3_attention {
    emu3_norm norm;
    tsr_conv_attention parts; /* all but its norm; query.weight NULL: no attention */
} emu3_attention;

typedef struct emu3_resnet {
    emu3_norm norm1, norm2;
    tsr_conv_layer conv1, conv2, shortcut; /* shortcut: where the width changes */
    emu3_attention attention;              /* after it */
} emu3_resnet;

typedef struct emu3_level {
    emu3_resnet resnet[TSR_EMU3_RESNETS];
    tsr_conv_layer resize; /* weight NULL: the last level keeps its size */
} emu3_level;

/* A batch norm with the statistics of training: x times scale plus shift. */
typedef struct emu3_batch_norm {
    tsr_weight *weight, *bias, *mean, *variance; /* as in the file */
    tsr_weight *scale, *shift;                   /* [C] made of them */
} emu3_batch_norm;

typedef struct emu3_time_resnet {
    emu3_batch_norm norm1, norm2;
    tsr_conv_layer conv1, conv2; /* (3,3,3) */
} emu3_time_resnet;

typedef struct emu3_half { /* encoder or decoder; level[0] has the most pixels */
    int levels, resnets;   /* resnets: of a level */
    int64_t width[TSR_EMU3_LEVELS];
    tsr_conv_layer conv_in, conv_out;
    emu3_norm norm_out;
    emu3_level level[TSR_EMU3_LEVELS];
    emu3_resnet mid[2]; /* attention after the first */
    int times, time_resnets;
    tsr_conv_layer time_conv[TSR_EMU3_TIMES]; /* (4,3,3) that halve, (3,3,3) behind doubling */
    emu3_time_resnet time_resnet[TSR_EMU3_RESNETS];
} emu3_half;

/* How a file names its tensors. */
typedef struct emu3_names {
    const char *prefix;   /* of all names */
    const char *level[2]; /* "encoder.down.", "decoder.up." */
    const char *mid;      /* "mid" */
    const char *norm;     /* of the attention behind resnet J: "attn.%d.norm" */
    const char *mid_norm; /* "attn_1.norm" */
    const char *parts[4]; /* of attention: query, key, value, out */
    bool matrix;          /* they are [C, C], else 1x1 convolutions */
} emu3_names;

typedef struct emu3 {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    int64_t channels;            /* of codes */
    int64_t factor, time_factor; /* pixels of a place's side, frames of a time */
    emu3_half encoder, decoder;
    tsr_conv_layer quant, post_quant; /* (3,1,1) */
    tsr_code_table codes;
    float *tables;                  /* of the batch norms */
    uint32_t frames, height, width; /* of a tile */
} emu3;

/* The names that a file, or weights, have; NULL: those of no Emu3 tokenizer. emu3_load.c */
const emu3_names *tsr_emu3_names(const tsr_safetensors *file, tsr_weights *weights);
/* Loads every tensor of a model whose context and path are set. Sets all that the tensors say.
 * Failures: MODEL, naming the tensor. */
void tsr_emu3_load(tsr_weight_loader *l, const emu3_names *names, emu3 *m);
/* Opens a model. Takes over `weights`, also on failure. `path` begins messages. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_emu3_open(tsr_device *device, tsr_weights *weights, const char *path, emu3 **model);
/* Closes a model; NULL and a NULL *model are accepted. */
void tsr_emu3_close(emu3 **model);

/* Halves of the model over frames alone and over time. Frames are [n, ...]: a clip's one after the
 * other. features are what the two exchange: [n, h, w, channels]. trace may be NULL. Errors:
 * MEMORY, the device's. */

/* Encodes frames of -1 .. 1, planes [n, 3, height, width], each by itself. */
tsr_status tsr_emu3_encode_frames(const emu3 *m, const float *planes, int64_t n, int64_t height,
                                  int64_t width, float *features, const tsr_layer_trace *trace);
/* What encoding over time gives; all but ids may be NULL. */
typedef struct emu3_codes {
    int32_t *ids;        /* [count, t, h, w] */
    float *z;            /* [count, t, h, w, channels] vectors that codes are looked for */
    float *margin;       /* [count, t, h, w] */
    float *square;       /* [count, t, h, w] squared lengths of the vectors */
    uint64_t *near_ties; /* added to */
} emu3_codes;
/* Encodes features of clips [count * frames, h, w, channels], t = frames / time_factor rounded down
 * for each factor of two; `frames` 1: a picture, which counts as time_factor equal frames. */
tsr_status tsr_emu3_encode_time(const emu3 *m, const float *features, int64_t count, int64_t frames,
                                int64_t h, int64_t w, const emu3_codes *codes,
                                const tsr_layer_trace *trace);
/* Begins to encode clips of 8 bits, RGB [count * frames, height, width, 3]: all frames and all over
 * time in one program, of a clip of very many frames all over time. A clip counts as one of
 * `filled` frames, those behind being copies of the last. The pixels are read when this returns;
 * ends with tsr_execute_end. codes->near_ties is not looked at: tsr_code_table_near_ties with
 * margin and square says it. Errors: as above. */
tsr_status tsr_emu3_encode_begin(const emu3 *m, const uint8_t *rgb, int64_t count, int64_t frames,
                                 int64_t filled, int64_t height, int64_t width,
                                 const emu3_codes *codes, tsr_flight *flight);
/* Frames of this size that are computed at once. */
int64_t tsr_emu3_frames_at_once(int64_t height, int64_t width);
/* Decodes ids [count, t, h, w], below the number of codes, to features and modulation [count *
 * frames, h, w, channels] of the first `frames` of t * time_factor frames. */
tsr_status tsr_emu3_decode_time(const emu3 *m, const int32_t *ids, int64_t count, int64_t t,
                                int64_t h, int64_t w, int64_t frames, float *features,
                                float *modulation, const tsr_layer_trace *trace);
/* Decodes frames to planes [n, 3, h * factor, w * factor] of about -1 .. 1. */
tsr_status tsr_emu3_decode_frames(const emu3 *m, const float *features, const float *modulation,
                                  int64_t n, int64_t h, int64_t w, float *planes,
                                  const tsr_layer_trace *trace);
/* Positions along time of so many frames. */
int64_t tsr_emu3_times(const emu3 *m, int64_t frames);

#endif
