/* SPDX-License-Identifier: MIT */
/* encode_clip.h: encode --clip-codebook: features of clips, or the pictures of one, to codebooks
 * and index maps. */
#ifndef TOOLS_ENCODE_CLIP_H
#define TOOLS_ENCODE_CLIP_H

#include "video_options.h"

/* Member `clip` of the verb's options. */
typedef struct clip_choices {
    const char *rule; /* "K", "elbow" or "error=E"; NULL: pictures are encoded */
    const char *source;
    int type, gains, first;
    int project;
    uint32_t least, most;
} clip_choices;

/* What of the verb's other options holds for clips, too. */
typedef struct clip_job {
    const clip_choices *choices;
    const common_options *common;
    const char *output;
    char **inputs;
    int input_count;
    const tsr_model_settings
        *tower; /* its model, a path by then; NULL there: inputs are features */
    const tsr_source_settings *source;
    const video_meaning *video; /* which frames, and how a video is read */
    bool is_video;              /* the input is one */
    uint64_t seed;
    tsr_token_writer_settings file;
    tsr_on_error on_error;
} clip_job;
/* Encodes the inputs and reports, with an open tool, which it closes. Returns the exit code. */
int encode_clips(tool *t, const clip_job *job);
/* Reads what the choices say. Returns -1, or the exit code after a mistake of the command line. */
int encode_clips_check(const verb *v, const clip_job *job);

#endif
