/* SPDX-License-Identifier: MIT */
/* encode_files.c: picture files to one token file. The pipeline does the work; here stands what
 * goes in and what becomes of what comes out; of videos only the second half. */
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "encode_job.h"
#include "target.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

tsr_status tsr_encode_check_arguments(tsr_context *ctx, const char *const *inputs, int count,
                                      const char *output, const tsr_encode_files_settings *s) {
    if (count < 0 || (count ? !inputs : !s->source.files_from))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted at least one picture, got none");
    if (!output) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted a path, got NULL");
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i)
        if (inputs[i]) status = tsr_out_not_input(ctx, output, inputs[i]);
    if (!status) status = tsr_out_not_input(ctx, output, s->source.files_from);
    if (!status) status = tsr_out_not_input(ctx, output, s->source.attributes);
    if (!status) status = tsr_out_not_input(ctx, output, s->model.model);
    if (!status) status = tsr_out_not_input(ctx, output, s->encode.noise);
    return status ? status : tsr_out_check(ctx, output);
}

/* ---- before: everything that can be known beforehand --------------------------------------- */

static void report_tolerance(const tsr_encoder *encoder, float quality, tsr_encode_report *r) {
    const tsr_tolerances *tolerances = encoder->tokenizer->model.family->tokenizer->tolerances;
    r->chooses = tolerances != NULL;
    r->quality_bin = -1;
    if (!tolerances || encoder->plan.target.metric) return;
    r->quality_bin = tsr_tolerance_index(tolerances, quality);
    r->quality_bins = tolerances->count;
    r->quality_taken = tolerances->value[r->quality_bin];
}

/* Opens the model and checks the settings before a picture is looked at. */
tsr_status tsr_encode_job_open(tsr_encode_job *j, const tsr_image_settings *image) {
    const tsr_pipeline_settings settings = {.encoder = {.model = &j->s->model,
                                                        .encode = &j->s->encode,
                                                        .hints = &j->s->hints,
                                                        .check = j->s->check != 0,
                                                        .tokenizer = j->s->tokenizer,
                                                        .turn = j->s->turn,
                                                        .turn_user = j->s->turn_user},
                                            .devices = j->s->devices,
                                            .device_count = j->s->device_count,
                                            .image = image};
    j->bad = (tsr_bad_inputs){.ctx = j->ctx,
                              .on_error = j->s->on_error,
                              .tell = j->s->failed,
                              .tell_user = j->s->failed_user,
                              .count = &j->report->failed};
    const tsr_status status = tsr_pipeline_open(j->ctx, &settings, &j->pipeline);
    if (status) return status;
    tsr_pipeline_describe(j->pipeline, &j->report->model);
    report_tolerance(tsr_pipeline_encoder(j->pipeline, 0), j->s->encode.choice.quality, j->report);
    return TSR_OK;
}

static tsr_status open_list(tsr_encode_job *j, const char *const *inputs, int count) {
    const tsr_status status = tsr_source_list_open(j->ctx, inputs, count, &j->s->source, &j->list);
    if (status) return status;
    const tsr_source_list_info info = tsr_source_list_properties(j->list);
    j->report->changed_keys = info.changed_keys;
    j->report->equal_keys = info.equal_keys;
    j->total = info.counted ? tsr_source_list_count(j->list) : 0;
    return TSR_OK;
}

/* Archives and pipes are not looked at: only reading them shows what is in them. */
static tsr_status look_at(tsr_encode_job *j, const tsr_image_settings *image, uint64_t index) {
    const tsr_source_entry entry = tsr_source_list_entry(j->list, index);
    tsr_status status = TSR_OK;
    if (entry.problem)
        status = tsr_fail(j->ctx, entry.problem, "%s", entry.detail);
    else if (entry.kind == TSR_SOURCE_PICTURE)
        status = tsr_image_look(j->ctx, entry.path, image);
    if (!status || !tsr_fault_of_input(status)) return status;
    tsr_source_list_leave_out(j->list, index);
    (void)tsr_bad_input_now(&j->bad, entry.path, status);
    return TSR_OK;
}

/* Finds all bad files by their headers. With STOP, one is enough to encode nothing. */
static tsr_status look_at_all(tsr_encode_job *j, const tsr_image_settings *image) {
    const tsr_encode_settings *s = &j->s->encode;
    const uint64_t all = tsr_source_list_count(j->list);
    for (uint64_t i = 0; i < all; ++i) {
        const tsr_status status = look_at(j, image, i);
        if (status) return status;
        if (s->progress && i % 64 == 63 && s->progress(s->progress_user, "look", i + 1, all))
            return tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "stopped by the caller");
    }
    const uint64_t bad = j->passed = j->report->failed;
    if (!bad || (j->s->on_error == TSR_ON_ERROR_SKIP && bad < all)) return TSR_OK;
    if (all == 1 || bad == 1) return tsr_bad_inputs_fail(&j->bad);
    return tsr_fail(j->ctx, j->bad.status,
                    "%llu of %llu inputs are bad, nothing was encoded; the first: %s",
                    (unsigned long long)bad, (unsigned long long)all, j->bad.detail);
}

/* ---- meanwhile: the ends of the pipeline ---------------------------------------------------- */

/* tsr_feed_fn */
static tsr_status feed(void *user, tsr_context *ctx, tsr_feed *f) {
    tsr_encode_job *j = user;
    tsr_status status = TSR_OK;
    if (!j->source)
        status = tsr_source_open(ctx, j->list, 0, tsr_source_list_count(j->list), &j->source);
    return status ? status : tsr_source_next(j->source, &f->sample);
}

void tsr_encode_job_count(tsr_encode_job *j, const tsr_encoded *done) {
    const float quality = j->s->encode.choice.quality;
    tsr_encode_report *r = j->report;
    r->target_decodes += done->decodes;
    r->target_reached += (uint64_t)done->reached;
    r->pictures++;
    r->predicted += !isnan(done->predicted);
    r->out_of_reach += done->predicted > (double)quality;
    r->tiles += (uint64_t)done->item->tile_columns * done->item->tile_rows;
    r->tokens += tsr_token_item_total(done->item);
    if (j->s->check) {
        r->error_sum += done->error;
        r->within_quality += quality > 0 && done->error <= (double)quality;
    }
    if (j->s->encoded) j->s->encoded(j->s->encoded_user, done);
}

/* Writes an item and counts it. */
static tsr_status take_item(tsr_encode_job *j, const tsr_encoding *e) {
    const tsr_token_item *tokens = tsr_item_tokens(e->item);
    const tsr_encoded done = {.item = tokens,
                              .details = tsr_item_selection(e->item),
                              .error = e->error,
                              .reached = e->reached,
                              .predicted = e->predicted,
                              .decodes = e->decodes};
    const tsr_status status = j->add ? j->add(j, tokens) : tsr_token_writer_add(j->writer, tokens);
    if (!status && !j->later) tsr_encode_job_count(j, &done);
    return status;
}

tsr_status tsr_encode_job_consume(tsr_encode_job *j, const tsr_passed *passed) {
    const tsr_encoding *e = passed->encoding;
    const char *name = passed->sample->name;
    ++j->passed;
    j->report->near_ties += e->near_ties;
    if (e->item) {
        const tsr_status status = take_item(j, e);
        return tsr_fault_of_picture(status) ? tsr_bad_input_now(&j->bad, name, status) : status;
    }
    const char *detail = e->detail ? e->detail : "no memory for what happened";
    return tsr_fault_of_input(e->status) ? tsr_bad_input(&j->bad, name, e->status, detail)
                                         : tsr_fail(j->ctx, e->status, "%s", detail);
}

/* tsr_consume_fn */
static tsr_status consume(void *user, const tsr_passed *passed) {
    return tsr_encode_job_consume(user, passed);
}

/* tsr_stop_fn */
static bool stop(void *user) {
    const tsr_encode_job *j = user;
    const tsr_encode_settings *s = &j->s->encode;
    return s->progress && s->progress(s->progress_user, "encode", j->passed, j->total) != 0;
}

tsr_status tsr_encode_job_run(tsr_encode_job *j, tsr_feed_fn feeds, tsr_consume_fn consumes) {
    const tsr_pipeline_ends ends = {.feed = feeds, .consume = consumes, .stop = stop, .user = j};
    tsr_status status = tsr_pipeline_run(j->pipeline, &ends);
    if (status == TSR_ERROR_INTERRUPTED)
        status = tsr_fail(j->ctx, status, "%s: stopped by the caller", j->output);
    tsr_pipeline_times(j->pipeline, &j->report->stages);
    j->report->seconds = j->report->stages.encode;
    if (!status && !j->report->pictures && j->report->failed) /* all were bad and skipped */
        status = tsr_bad_inputs_fail(&j->bad);
    return status;
}

/* ---- afterwards ---------------------------------------------------------------------------- */

/* What was done before a failure is kept under another name, and the detail text says so. */
static void keep_partial(tsr_encode_job *j, tsr_status why) {
    tsr_encode_report *r = j->report;
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(j->ctx));
    if (!tsr_token_writer_close_partial(&j->writer, r->partial, sizeof r->partial)) {
        (void)tsr_fail(j->ctx, why, "%.600s; the pictures that were done (%llu) are kept as %.300s",
                       detail, (unsigned long long)r->pictures, r->partial);
        return;
    }
    *r->partial = 0;
    (void)tsr_fail(j->ctx, why, "%s", detail);
}

tsr_status tsr_encode_job_open_writer(tsr_encode_job *j) {
    return tsr_token_writer_open(j->ctx, &j->writer, j->output,
                                 &tsr_pipeline_encoder(j->pipeline, 0)->plan.header, &j->s->file);
}

tsr_status tsr_encode_job_finish(tsr_encode_job *j, tsr_status status) {
    if (!status) status = tsr_out_check(j->ctx, j->output); /* it may have appeared meanwhile */
    if (!status) status = tsr_token_writer_close(&j->writer);
    if (status && j->writer && j->s->keep_partial) keep_partial(j, status);
    tsr_token_writer_abandon(&j->writer);
    struct stat st;
    if (!status && strcmp(j->output, "-") && !stat(j->output, &st))
        j->report->bytes = (uint64_t)st.st_size;
    return status;
}

static tsr_status run_job(tsr_encode_job *j, const char *const *inputs, int count) {
    tsr_image_settings image = tsr_image_settings_default();
    memcpy(image.background, j->s->encode.fit.background, 3);
    tsr_status status = open_list(j, inputs, count);
    if (!status) status = tsr_encode_job_open(j, &image);
    if (!status) status = look_at_all(j, &image);
    if (!status) status = tsr_encode_job_open_writer(j);
    if (!status) status = tsr_encode_job_run(j, feed, consume);
    if (!status) tsr_source_list_unused_keys(j->ctx, j->list, &j->report->unused_keys);
    return tsr_encode_job_finish(j, status);
}

tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_files_settings *settings,
                            tsr_encode_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_encode_files_settings s = settings ? *settings : tsr_encode_files_settings_default();
    tsr_encode_report own;
    if (!report) report = &own;
    *report = (tsr_encode_report){0};
    tsr_status status = tsr_encode_check_arguments(ctx, inputs, input_count, output, &s);
    if (status) return status;
    tsr_encode_job *j = tsr_alloc(ctx, 1, sizeof *j, "encode: job");
    if (!j) return TSR_ERROR_MEMORY;
    j->ctx = ctx;
    j->s = &s;
    j->output = output;
    j->report = report;
    status = run_job(j, inputs, input_count);
    tsr_source_close(&j->source);
    tsr_pipeline_close(&j->pipeline);
    tsr_source_list_close(&j->list);
    free(j);
    return status;
}
