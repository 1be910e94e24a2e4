/* SPDX-License-Identifier: MIT */
/* eval_video.h: the part of `tessera eval` that compares clips. */
#ifndef TOOLS_EVAL_VIDEO_H
#define TOOLS_EVAL_VIDEO_H

#include "measure_options.h"

/* What comparing clips takes beside their names. */
typedef struct eval_clip_choices {
    const measure_meaning *m; /* located: its models decode; its metrics are those of clips */
    uint32_t clip;            /* of a token file, from 1; 0: the only one */
    bool square_pixels, per_frame, csv;
} eval_clip_choices;
/* Metrics of clips. */
typedef struct eval_metrics {
    tool *t;
    const name_list *names;
    tsr_clip_measure *measure; /* NULL: none was asked for */
} eval_metrics;
/* Errors: those of tsr_clip_measure_open. Close `measure` in the end. */
tsr_status eval_metrics_open(tool *t, const measure_meaning *m, eval_metrics *metrics);
/* Members of a document's object "protocol", and its member "sets"; lines of a table. */
void eval_metrics_protocols(const eval_metrics *metrics, json_out *j);
void eval_metrics_json(const eval_metrics *metrics, json_out *j);
void eval_metrics_print(const eval_metrics *metrics);

/* Compares two clips and prints what is found: a table, with `per_frame` a line for each frame;
 * with `csv` a line for each frame alone; or JSON. Returns the exit code. */
int eval_videos(tool *t, const char *original, const char *reconstruction,
                const eval_clip_choices *choices);
/* True for a token file that has a clip. */
bool eval_is_clip(tool *t, const char *path);
/* Decodes the clip of a token file on the way, and prints as eval_videos does. Returns the exit
 * code. */
int eval_clip(tool *t, const char *original, const char *tokens, const eval_clip_choices *choices);
/* Compares each clip of a folder with the one of its name in another folder, a video or a token
 * file, and takes the metrics over all of them. Returns the exit code. */
int eval_clip_folders(tool *t, const char *originals, const char *candidates,
                      const eval_clip_choices *choices);

#endif
