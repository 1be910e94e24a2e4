/* SPDX-License-Identifier: MIT */
/* judges.h: networks that judge pictures: how far two pictures are from each other (LPIPS, DISTS),
 * what numbers stand for a picture, a face or a clip (Inception, ArcFace, I3D), which word a
 * picture shows (PARSeq).
 *
 *     tsr_model_settings s = tsr_model_settings_default();
 *     s.model = "lpips-alex.safetensors"; // or a name of the catalog
 *     tsr_judge *judge;
 *     double distance;
 *     tsr_judge_open(ctx, &judge, &s);
 *     tsr_judge_compare(judge, &original, &reconstruction, 1, &distance);
 *     tsr_judge_close(&judge);
 *
 * A judge never resizes, crops or aligns a picture beyond what its published protocol does inside
 * the network; the protocol of an open judge is a text, to be printed beside its numbers. No number
 * depends on how many pictures a call has or on threads: pictures are cut into batches by the
 * memory there is, and the same bits come out for each batch size. The conventions of tessera.h
 * hold here, too. */
#ifndef TESSERA_JUDGES_H
#define TESSERA_JUDGES_H

#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif

/* An open judge. */
typedef struct tsr_judge tsr_judge;

/* What a judge does; one judge may do several. */
typedef enum tsr_judge_ability {
    TSR_JUDGE_COMPARES = 1, /* tsr_judge_compare */
    TSR_JUDGE_EMBEDS = 2,   /* tsr_judge_embed */
    TSR_JUDGE_READS = 4     /* tsr_judge_read */
} tsr_judge_ability;

/* Most outputs of a judge that embeds, and most preparations. */
enum { TSR_JUDGE_OUTPUTS_MOST = 8 };

/* What is known about an open judge. Unused places of lists are zeros. */
typedef struct tsr_judge_info {
    char family[32]; /* "lpips", "dists", "inception", ... */
    char name[64];   /* what the weights' metadata call it, or family and network: "lpips-alex" */
    char protocol[256];     /* what is computed, in words: network, scale of the pixels, resizing */
    char licence[128];      /* "tessera.licence" of the weights' metadata; "not stated" without */
    uint64_t weights_hash;  /* identity of the weights, as in token files */
    unsigned abilities;     /* of tsr_judge_ability */
    uint32_t width, height; /* pixels of the pictures it takes; 0: any size from least_* on */
    uint32_t least_width, least_height; /* smallest picture it takes; at least 1 */
    uint32_t least_frames; /* 0: it takes pictures; else clips, pictures of so many frames or more:
                              tsr_picture.frames, rgb [frames, height, width, 3] */
    int mixed; /* 1: pictures of different sizes may share a batch (the network has one input size)
                */
    struct {
        char name[24];                 /* of the output: "2048", "logits_unbiased" */
        uint32_t channels;             /* numbers of a picture */
    } outputs[TSR_JUDGE_OUTPUTS_MOST]; /* of a judge that embeds; the first is the usual one */
    int output_count;
    /* How pictures become the network's input, where a protocol has several ways: "tf1", "torch".
       The first is the usual one. */
    char preparations[TSR_JUDGE_OUTPUTS_MOST][24];
    int preparation_count;
} tsr_judge_info;

/* Opens the judge in a weight file or in the folder with it. The caller closes *judge with
 * tsr_judge_close. settings->model must be set; tile sizes are not used. Errors: reading errors;
 * MODEL (tensors make no judge); UNSUPPORTED (a tokenizer's or tower's
 * weights; another precision than f32, in which published numbers are computed); device errors;
 * ARGUMENT. */
tsr_status tsr_judge_open(tsr_context *ctx, tsr_judge **judge, const tsr_model_settings *settings);
/* Closes a judge and sets *judge to NULL. NULL and a NULL *judge are accepted. */
void tsr_judge_close(tsr_judge **judge);
/* Description of an open judge. Owned by the judge. */
const tsr_judge_info *tsr_judge_properties(const tsr_judge *judge);
/* Device that a judge runs on, "cpu" or "vulkan:N (name)". Owned by the judge. */
const char *tsr_judge_device(const tsr_judge *judge);
/* Refuses pictures of a size that the judge cannot take, with the message the calls below would
 * give: a caller that reports such a number as unknown asks here. Errors: ARGUMENT. */
tsr_status tsr_judge_takes(const tsr_judge *judge, uint32_t width, uint32_t height);

/* Distances of a[i] and b[i] into distances [count]; 0 for equal pictures (DISTS: up to 1e-6).
 * a[i] and b[i] have one size, other pairs may have another.
 * Errors: UNSUPPORTED (the judge compares nothing); ARGUMENT (sizes, naming the picture); MODEL
 * (the result is not finite); MEMORY, device errors. */
tsr_status tsr_judge_compare(tsr_judge *judge, const tsr_picture *a, const tsr_picture *b,
                             int count, double *distances);

/* What tsr_judge_embed computes. A struct of zeros asks for the usual output alone. */
typedef struct tsr_embed_request {
    const char *preparation;                     /* of info.preparations; default NULL: the first */
    const char *outputs[TSR_JUDGE_OUTPUTS_MOST]; /* of info.outputs; default: the first */
    int output_count;                            /* default 0: one, the first */
} tsr_embed_request;
/* Numbers that stand for pictures: values[i] receives output i of the request, [count, channels].
 * They are not normalised. A judge of faces takes aligned crops of its size. Errors: UNSUPPORTED
 * (the judge embeds nothing); ARGUMENT (an output or preparation it does not have, a size); MODEL
 * (a value is not finite); MEMORY, device errors. */
tsr_status tsr_judge_embed(tsr_judge *judge, const tsr_picture *pictures, int count,
                           const tsr_embed_request *request, float *const *values);

/* Bytes of a reading's text with the final 0: more than any reader's longest word. */
enum { TSR_READING_BYTES = 256 };
/* What a reader reads in one picture. */
typedef struct tsr_reading {
    char text[TSR_READING_BYTES]; /* UTF-8, ended by 0; "" where it sees no character */
    double confidence;            /* 0..1, by the reader's own rule; 0 of an empty text */
} tsr_reading;
/* How tsr_judge_read reads. */
typedef struct tsr_read_request {
    int most;     /* characters, where the protocol limits them (TokBench: those of the longest
                     truth of the batch, at most 30); default 0: the reader's own limit */
    int together; /* 1: the pictures of a call are one batch, as a protocol whose results depend on
                     batch mates wants it (with `most`); TOO_LARGE where the memory does not hold
                     it. Default 0: every picture for itself, in any cut */
} tsr_read_request;
/* Reads the word in each of `count` cut-out pictures, of any sizes, into readings [count]. request
 * NULL: the defaults. Errors: UNSUPPORTED (the judge reads nothing); ARGUMENT; MODEL, MEMORY,
 * device errors. */
tsr_status tsr_judge_read(tsr_judge *judge, const tsr_picture *pictures, int count,
                          const tsr_read_request *request, tsr_reading *readings);

#ifdef __cplusplus
}
#endif
#endif
