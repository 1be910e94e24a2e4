/* SPDX-License-Identifier: MIT */
/* clip_writer.h: clips, one by one, to a token file: what the calls share that make files of clips.
 */
#ifndef CODEC_CLIP_WRITER_H
#define CODEC_CLIP_WRITER_H

#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/clip.h>

#include "../compute/device.h"
#include "bad_inputs.h"

enum { TSR_CLIP_SOURCE_BYTES = 256 };

/* A clip's features as they were read. */
typedef struct tsr_clip_input {
    const char *file, *key; /* `file` begins detail texts */
    const float *features;
    uint32_t grid[3], channels;
    const float *newline; /* [channels] or NULL */
    const char *source;
    uint64_t weights_hash;
} tsr_clip_input;

/* A file of clips being written. */
typedef struct tsr_clip_writer {
    tsr_context *ctx;
    const tsr_clip_files_settings *s;
    const char *output;
    tsr_device *device;
    tsr_token_writer *writer;
    tsr_clip_report *report;
    tsr_bad_inputs bad; /* clips */
    double started;
} tsr_clip_writer;

/* Checks the paths and opens device and output. Call tsr_clip_writer_close in either case. Errors:
 * ARGUMENT, writing errors, device errors. */
tsr_status tsr_clip_writer_open(tsr_context *ctx, tsr_clip_writer *writer,
                                const char *const *inputs, int count, const char *output,
                                const tsr_clip_files_settings *settings, tsr_clip_report *report);
/* Clusters a clip, writes it and tells settings->encoded. */
tsr_status tsr_clip_writer_add(tsr_clip_writer *writer, const tsr_clip_input *input);
/* Tells settings->failed of a clip that failed with `status`, whose text the context has. What the
 * next clip would meet, too, is handed on, and so is everything with TSR_ON_ERROR_STOP; else the
 * answer is TSR_OK. */
tsr_status tsr_clip_writer_bad(tsr_clip_writer *writer, const char *input, tsr_status status);
/* Completes the file after the work ended with `status`, or leaves nothing, and fills the report.
 */
tsr_status tsr_clip_writer_close(tsr_clip_writer *writer, tsr_status status);

#endif
