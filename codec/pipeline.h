/* SPDX-License-Identifier: MIT */
/* pipeline.h: samples to items, with reading, decoding, encoding and writing at the same time.
 *
 *   reader (1 thread)   decoders (n)              encoders (1 for each device)   caller
 *   sample            > picture, fitted         > item                         > consume
 *
 * Everything comes out in the order in which it went in, whatever the number of threads and
 * devices. What waits between the stages is bounded, in pictures and in bytes. */
#ifndef CODEC_PIPELINE_H
#define CODEC_PIPELINE_H

#include "../datasets/source.h"
#include "../media/image.h"
#include "encoder.h"

/* One step of the input: a sample, or a mark that passes through to the consumer in its place. */
typedef struct tsr_feed {
    tsr_sample *sample; /* the pipeline's from here on */
    tsr_image image; /* of a sample without bytes: its picture, decoded already, such as the frame
                        of a video; the pipeline's from here on */
    int frames;      /* of a tokenizer of video: image.rgb is [frames, height, width, 3]; 0: one
                        picture */
    void *mark;      /* the consumer's */
} tsr_feed;
/* Gives the next step; neither sample nor mark: the end. Called on the reader's thread; `ctx`
 * belongs to it and stays the same. */
typedef tsr_status (*tsr_feed_fn)(void *user, tsr_context *ctx, tsr_feed *feed);

/* One step of the output. Valid during the call, but for the mark. */
typedef struct tsr_passed {
    const tsr_sample *sample; /* NULL: a mark */
    void *mark;
    const tsr_encoding *encoding; /* the item, or why there is none */
} tsr_passed;
/* Receives the steps in order, on the calling thread. A status ends the run. */
typedef tsr_status (*tsr_consume_fn)(void *user, const tsr_passed *passed);
/* Called on the calling thread a few times a second, and for every step; true ends the run with
 * INTERRUPTED. */
typedef bool (*tsr_stop_fn)(void *user);

typedef struct tsr_pipeline_settings {
    tsr_encoder_settings encoder;
    const char *const *devices; /* [device_count] names of several devices; NULL: model->device,
                                   where "vulkan:all" names every hardware device */
    int device_count;           /* 0: one */
    const tsr_image_settings *image;
} tsr_pipeline_settings;

typedef struct tsr_pipeline tsr_pipeline;
/* Opens the encoders. Everything `settings` points at outlives the pipeline. Errors: those of
 * tsr_encoder_open; ARGUMENT (noise with several devices). */
tsr_status tsr_pipeline_open(tsr_context *ctx, const tsr_pipeline_settings *settings,
                             tsr_pipeline **pipeline);
void tsr_pipeline_close(tsr_pipeline **pipeline);
/* Encoder of device `index`; not to be used while the pipeline runs. */
tsr_encoder *tsr_pipeline_encoder(tsr_pipeline *pipeline, int index);
/* Describes the first encoder for a report. */
void tsr_pipeline_describe(const tsr_pipeline *pipeline, tsr_encoding_model *model);

/* What a run has to do with the world. */
typedef struct tsr_pipeline_ends {
    tsr_feed_fn feed;
    tsr_consume_fn consume;
    tsr_stop_fn stop; /* NULL: never */
    void *user;       /* first argument of all three */
} tsr_pipeline_ends;
/* Runs until the feed ends. Pictures that cannot be read or encoded reach the consumer like the
 * others. After a failure of a stage steps that were not done yet are dropped, marks too; when the
 * consumer ends the run, it has had every step before. Errors: those of feed and consume; of an
 * encoder those that are not a picture's; INTERRUPTED, MEMORY. */
tsr_status tsr_pipeline_run(tsr_pipeline *pipeline, const tsr_pipeline_ends *ends);
/* Adds what the last run took. */
void tsr_pipeline_times(const tsr_pipeline *pipeline, tsr_stage_times *times);

#endif
