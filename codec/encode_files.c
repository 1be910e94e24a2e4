/* SPDX-License-Identifier: MIT */
/* encode_files.c: picture files to one token file. Pictures are read and encoded in groups, so that
 * memory does not grow with their number and small ones share batches. */
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "compare.h"
#include "encode_inputs.h"
#include "encode_pictures.h"
#include "item.h"
#include "search.h"
#include "target.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { GROUP_PICTURES = 64 };
static const uint64_t group_pixels = (uint64_t)1 << 22;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static tsr_status check_arguments(tsr_context *ctx, const char *const *inputs, int count,
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

typedef struct group {
    tsr_image images[GROUP_PICTURES];
    tsr_picture pictures[GROUP_PICTURES];
    tsr_item *items[GROUP_PICTURES];
    tsr_sample *samples[GROUP_PICTURES]; /* what they came from */
    uint64_t pixels;
    int count;
} group;

static void group_clear(group *g) {
    for (int i = 0; i < g->count; ++i) {
        tsr_image_free(&g->images[i]);
        tsr_item_close(&g->items[i]);
        tsr_sample_free(&g->samples[i]);
    }
    g->count = 0;
    g->pixels = 0;
}

/* Decodes the item again and compares it with what the model saw. */
static tsr_status check_item(tsr_tokenizer *t, const tsr_item *item, double *error) {
    tsr_compare compare;
    tsr_status status = tsr_compare_open(t, item, &compare);
    if (!status)
        status = tsr_compare_measure(&compare, tsr_item_tokens(item), 0, TSR_TARGET_L1, error);
    tsr_compare_close(&compare);
    return status;
}

/* One call's work, from picture files to the token file. */
typedef struct job {
    tsr_context *ctx;
    const tsr_encode_files_settings *s;
    tsr_tokenizer *t;
    tsr_encode_plan plan;
    tsr_token_writer *writer;
    tsr_encode_report *report;
    tsr_encode_inputs inputs;
    tsr_status first; /* of the bad pictures, with its text */
    char first_detail[1024];
    group group;
} job;

/* Is it this picture alone that cannot be read or encoded, or would the next one fail alike? */
static bool is_of_the_picture(tsr_status status) {
    switch (status) {
    case TSR_ERROR_ARGUMENT:
    case TSR_ERROR_TOO_LARGE:
    case TSR_ERROR_FORMAT:
    case TSR_ERROR_TRUNCATED:
    case TSR_ERROR_CHECKSUM:
    case TSR_ERROR_VERSION:
    case TSR_ERROR_UNSUPPORTED:
    case TSR_ERROR_TOKENS:
        return true;
    default:
        return false;
    }
}

/* The same while it is read: there a file may be missing, and need more memory than the next. */
static bool is_of_the_input(tsr_status status) {
    return is_of_the_picture(status) || status == TSR_ERROR_IO || status == TSR_ERROR_NOT_FOUND ||
           status == TSR_ERROR_MEMORY;
}

/* Reports a bad picture. With SKIP the others go on: TSR_OK. */
static tsr_status tell_bad(job *j, const char *input, tsr_status status) {
    if (!j->report->failed++) {
        j->first = status;
        snprintf(j->first_detail, sizeof j->first_detail, "%s", tsr_detail(j->ctx));
    }
    const tsr_encode_failure failure = {input, status, tsr_detail(j->ctx)};
    if (j->s->failed) j->s->failed(j->s->failed_user, &failure);
    return j->s->on_error == TSR_ON_ERROR_SKIP ? TSR_OK : status;
}

/* Search, check and writing of an item that was encoded. */
static tsr_status finish_item(job *j, tsr_item *item, const tsr_sample *sample) {
    const tsr_token_item *tokens = tsr_item_tokens(item);
    const float quality = j->s->encode.choice.quality;
    tsr_encode_report *r = j->report;
    tsr_token_item whole;
    tsr_encoded done = {.item = &whole,
                        .details = tsr_item_selection(item),
                        .error = NAN,
                        .predicted = quality > 0 ? tsr_item_predicted_error(item) : NAN};
    tsr_status status = TSR_OK;
    if (j->plan.target.metric) {
        status = tsr_search(j->t, &j->plan, item, &done.decodes);
        if (status) return status;
        done.details = tsr_item_selection(item);
        done.reached = tsr_target_met(&j->plan.target, (double)tokens->target.reached);
    }
    if (j->s->check) status = check_item(j->t, item, &done.error);
    whole = *tokens;
    whole.attributes = sample->attributes;
    whole.attribute_count = sample->attribute_count;
    if (!status) status = tsr_token_writer_add(j->writer, &whole);
    if (status) return status;
    r->target_decodes += done.decodes;
    r->target_reached += (uint64_t)done.reached;
    r->pictures++;
    r->predicted += !isnan(done.predicted);
    r->out_of_reach += done.predicted > (double)quality;
    r->tiles += (uint64_t)tokens->tile_columns * tokens->tile_rows;
    r->tokens += tsr_token_item_total(tokens);
    if (j->s->check) {
        r->error_sum += done.error;
        r->within_quality += quality > 0 && done.error <= (double)quality;
    }
    if (j->s->encoded) j->s->encoded(j->s->encoded_user, &done);
    return TSR_OK;
}

/* Encodes and writes `count` pictures of the group from `first` on. */
static tsr_status encode_span(job *j, int first, int count) {
    group *g = &j->group;
    const double began = now();
    tsr_status status = tsr_encode_pictures(j->t, &j->plan, g->pictures + first, count,
                                            g->items + first, &j->report->near_ties);
    j->report->seconds += now() - began;
    if (status) return status;
    for (int i = first; i < first + count && !status; ++i) {
        status = finish_item(j, g->items[i], g->samples[i]);
        if (is_of_the_picture(status)) status = tell_bad(j, g->samples[i]->name, status);
    }
    return status;
}

/* When a whole group cannot be encoded, its pictures are tried one by one, so that the one at fault
 * is known: no id depends on the company. */
static tsr_status encode_group(job *j) {
    group *g = &j->group;
    const uint64_t near_ties = j->report->near_ties, done = j->report->pictures + j->report->failed;
    tsr_status status = g->count ? encode_span(j, 0, g->count) : TSR_OK;
    const bool untouched = j->report->pictures + j->report->failed == done;
    if (status && untouched && is_of_the_picture(status) && !j->plan.request.noise) {
        j->report->near_ties = near_ties;
        status = TSR_OK;
        for (int i = 0; i < g->count && !status; ++i) {
            const uint64_t failed = j->report->failed;
            status = encode_span(j, i, 1);
            if (is_of_the_picture(status) && j->report->failed == failed)
                status = tell_bad(j, g->samples[i]->name, status);
        }
    }
    group_clear(g);
    return status;
}

static void report_tolerance(const job *j) {
    const tsr_tolerances *tolerances = j->t->model.family->tokenizer->tolerances;
    tsr_encode_report *r = j->report;
    r->chooses = tolerances != NULL;
    r->quality_bin = -1;
    if (!tolerances || j->plan.target.metric) return;
    r->quality_bin = tsr_tolerance_index(tolerances, j->s->encode.choice.quality);
    r->quality_bins = tolerances->count;
    r->quality_taken = tolerances->value[r->quality_bin];
}

/* Opens everything that the settings ask for, and checks it before a picture is looked at. */
static tsr_status open_job(job *j) {
    tsr_encode_settings encode = j->s->encode;
    encode.progress = NULL; /* counted in pictures here */
    encode.keep_fitted = j->s->check;
    tsr_status status = tsr_tokenizer_open(j->ctx, &j->t, &j->s->model);
    if (!status) status = tsr_encode_plan_open(j->t, &encode, &j->plan);
    if (!status)
        status = tsr_encode_plan_set_hints(j->t, &j->s->hints, j->s->model.precision, &j->plan);
    if (status) return status;
    const tsr_token_header *h = &j->plan.header;
    snprintf(j->report->device, sizeof j->report->device, "%s", tsr_tokenizer_device(j->t));
    snprintf(j->report->host_stages, sizeof j->report->host_stages, "%s%s",
             tsr_tokenizer_host_stages(j->t, 0), encode.noise ? " draw" : "");
    j->report->vectors = h->channels != 0;
    memcpy(j->report->tokenizer, h->tokenizer, sizeof j->report->tokenizer);
    j->report->weights_hash = h->weights_hash;
    j->report->fit = h->fit;
    report_tolerance(j);
    return TSR_OK;
}

/* Finds all bad files by their headers. With STOP, one is enough to encode nothing. */
static tsr_status look_at_all(job *j) {
    const tsr_encode_settings *s = &j->s->encode;
    const uint64_t all = tsr_source_list_count(j->inputs.list);
    for (uint64_t i = 0; i < all; ++i) {
        const tsr_status status = tsr_encode_inputs_look(&j->inputs, i);
        if (status && !is_of_the_input(status)) return status;
        if (status) (void)tell_bad(j, tsr_source_list_entry(j->inputs.list, i).path, status);
        if (s->progress && i % 64 == 63 && s->progress(s->progress_user, "look", i + 1, all))
            return tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "stopped by the caller");
    }
    const uint64_t bad = j->report->failed;
    if (!bad || (j->s->on_error == TSR_ON_ERROR_SKIP && bad < all)) return TSR_OK;
    if (all == 1 || bad == 1) return tsr_fail(j->ctx, j->first, "%s", j->first_detail);
    return tsr_fail(j->ctx, j->first,
                    "%llu of %llu inputs are bad, nothing was encoded; the first: %s",
                    (unsigned long long)bad, (unsigned long long)all, j->first_detail);
}

static void group_add(group *g, const tsr_encode_input *input) {
    const tsr_image *image = &input->image;
    g->images[g->count] = *image;
    g->samples[g->count] = input->sample;
    g->items[g->count] = NULL;
    g->pictures[g->count++] = (tsr_picture){.rgb = image->rgb,
                                            .width = image->width,
                                            .height = image->height,
                                            .key = input->sample->key,
                                            .orientation = image->orientation};
    g->pixels += (uint64_t)image->width * (uint64_t)image->height;
}

/* A bad picture: those before it are encoded, then it is told. */
static tsr_status pass_bad(job *j, const tsr_encode_input *input) {
    char detail[1024];
    snprintf(detail, sizeof detail, "%s", tsr_detail(j->ctx));
    tsr_status status = encode_group(j);
    if (status) return status;
    status = tsr_fail(j->ctx, input->status, "%s", detail);
    return input->sample && is_of_the_input(status) ? tell_bad(j, input->sample->name, status)
                                                    : status;
}

static tsr_status encode_all(job *j, const char *output) {
    const tsr_encode_settings *s = &j->s->encode;
    const bool counted = tsr_source_list_properties(j->inputs.list).counted;
    const uint64_t total = counted ? tsr_source_list_count(j->inputs.list) : 0;
    group *g = &j->group;
    tsr_encode_input input;
    uint64_t read = j->report->failed;
    tsr_status status = TSR_OK;
    while (!status && tsr_encode_inputs_next(&j->inputs, &input)) {
        if (input.status) {
            status = pass_bad(j, &input);
            tsr_sample_free(&input.sample);
        } else
            group_add(g, &input);
        if (g->count == GROUP_PICTURES || g->pixels >= group_pixels) status = encode_group(j);
        if (!status && s->progress && s->progress(s->progress_user, "encode", ++read, total))
            status = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", output);
    }
    if (!status) status = encode_group(j);
    group_clear(g);
    if (!status && !j->report->pictures && j->report->failed) /* all were bad and skipped */
        status = tsr_fail(j->ctx, j->first, "%s", j->first_detail);
    return status ? status : tsr_encode_plan_finish(j->ctx, &j->plan);
}

/* What was done before a failure is kept under another name, and the detail text says so. */
static void keep_partial(job *j, tsr_status why) {
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

/* A table of attributes that fits no sample is most often one of other keys. */
static void tell_unused(const job *j) {
    char *first;
    const uint64_t unused = tsr_source_list_unused_keys(j->inputs.list, &first);
    char clean[200];
    if (unused)
        tsr_log(j->ctx, TSR_LOG_WARNING, "%s: no picture has %llu of its keys; the first is '%s'",
                j->s->source.attributes, (unsigned long long)unused,
                tsr_token_key_clean(first ? first : "", clean, sizeof clean));
    free(first);
}

static tsr_status run_job(job *j, const char *output) {
    tsr_status status = open_job(j);
    if (!status) status = look_at_all(j);
    if (!status)
        status = tsr_token_writer_open(j->ctx, &j->writer, output, &j->plan.header, &j->s->file);
    if (!status) status = encode_all(j, output);
    if (!status) tell_unused(j);
    if (!status) status = tsr_out_check(j->ctx, output); /* it may have appeared meanwhile */
    if (!status) return tsr_token_writer_close(&j->writer);
    if (j->writer && j->s->keep_partial) keep_partial(j, status);
    tsr_token_writer_abandon(&j->writer);
    return status;
}

static tsr_status open_inputs(job *j, const char *const *inputs, int count,
                              const tsr_image_settings *settings) {
    const tsr_status status =
        tsr_encode_inputs_open(j->ctx, inputs, count, &j->s->source, settings, &j->inputs);
    if (status) return status;
    const tsr_source_list_info info = tsr_source_list_properties(j->inputs.list);
    j->report->changed_keys = info.changed_keys;
    j->report->equal_keys = info.equal_keys;
    return TSR_OK;
}

tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_files_settings *settings,
                            tsr_encode_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_encode_files_settings s = settings ? *settings : tsr_encode_files_settings_default();
    tsr_encode_report own;
    if (!report) report = &own;
    *report = (tsr_encode_report){0};
    tsr_status status = check_arguments(ctx, inputs, input_count, output, &s);
    if (status) return status;
    job *j = tsr_alloc(ctx, 1, sizeof *j, "encode: group");
    if (!j) return TSR_ERROR_MEMORY;
    j->ctx = ctx;
    j->s = &s;
    j->report = report;
    tsr_image_settings image = tsr_image_settings_default();
    memcpy(image.background, s.encode.fit.background, 3);
    status = open_inputs(j, inputs, input_count, &image);
    if (!status) status = run_job(j, output);
    struct stat st;
    if (!status && strcmp(output, "-") && !stat(output, &st)) report->bytes = (uint64_t)st.st_size;
    tsr_encode_plan_close(&j->plan);
    tsr_tokenizer_close(&j->t);
    tsr_encode_inputs_close(&j->inputs);
    free(j);
    return status;
}
