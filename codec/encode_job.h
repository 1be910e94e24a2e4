/* SPDX-License-Identifier: MIT */
/* encode_job.h: one call that encodes to a token file: what pictures and videos share of it. */
#ifndef CODEC_ENCODE_JOB_H
#define CODEC_ENCODE_JOB_H

#include "bad_inputs.h"
#include "pipeline.h"

typedef struct tsr_encode_job tsr_encode_job;
struct tsr_encode_job {
    tsr_context *ctx;
    const tsr_encode_files_settings *s;
    const char *output;
    tsr_source_list *list;
    tsr_source *source; /* the reader's */
    tsr_pipeline *pipeline;
    tsr_token_writer *writer;
    /* How an item is written; NULL: tsr_token_writer_add. */
    tsr_status (*add)(tsr_encode_job *job, const tsr_token_item *item);
    bool later; /* `add` keeps items back, and tsr_encode_job_count counts them when they are
                   written */
    tsr_encode_report *report;
    uint64_t total, passed; /* pictures; total 0: not known */
    tsr_bad_inputs bad;     /* pictures */
};

/* Errors: ARGUMENT (no input; the output is an input, the model or the noise), EXISTS. */
tsr_status tsr_encode_check_arguments(tsr_context *ctx, const char *const *inputs, int count,
                                      const char *output, const tsr_encode_files_settings *s);
/* Opens the model and checks the settings before a picture is looked at; `image` outlives the job.
 */
tsr_status tsr_encode_job_open(tsr_encode_job *j, const tsr_image_settings *image);
tsr_status tsr_encode_job_open_writer(tsr_encode_job *j);
/* Runs the pipeline between these ends, whose `user` is the job. */
tsr_status tsr_encode_job_run(tsr_encode_job *j, tsr_feed_fn feeds, tsr_consume_fn consumes);
/* Writes and counts what came out of the pipeline for a sample, or reports why nothing did. */
tsr_status tsr_encode_job_consume(tsr_encode_job *j, const tsr_passed *passed);
/* Counts and tells an item that was written. */
void tsr_encode_job_count(tsr_encode_job *j, const tsr_encoded *done);
/* Closes the file, or after a failure keeps what was done where that was asked for. Returns the
 * first failure. */
tsr_status tsr_encode_job_finish(tsr_encode_job *j, tsr_status status);

#endif
