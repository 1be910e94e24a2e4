/* SPDX-License-Identifier: MIT */
/* encode_files.c: picture files to one token file. Pictures are read and encoded in groups, so that
 * memory does not grow with their number and small ones share batches. */
#include "../formats/media/image.h"
#include "compare.h"
#include "encode_pictures.h"
#include "item.h"
#include "item_keys.h"
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
                                  const char *output) {
    if (!inputs || count < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted at least one picture, got none");
    if (!output) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted a path, got NULL");
    struct stat out, in;
    const bool exists = strcmp(output, "-") && !stat(output, &out);
    int pipes = 0;
    for (int i = 0; i < count; ++i) {
        if (!inputs[i]) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: %d is NULL", i);
        if (!strcmp(inputs[i], "-") && pipes++)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "-: wanted once among the inputs, got twice");
        if (exists && strcmp(inputs[i], "-") && !stat(inputs[i], &in) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "%s: output: wanted a file that is not an input, got the same file",
                            output);
    }
    return TSR_OK;
}

typedef struct group {
    tsr_image images[GROUP_PICTURES];
    tsr_picture pictures[GROUP_PICTURES];
    tsr_item *items[GROUP_PICTURES];
    int count;
} group;

static void group_clear(group *g) {
    for (int i = 0; i < g->count; ++i) {
        tsr_image_free(&g->images[i]);
        tsr_item_close(&g->items[i]);
    }
    g->count = 0;
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
    tsr_item_keys keys;
    group group;
} job;

/* Search, check and writing of an item that was encoded. */
static tsr_status finish_item(job *j, tsr_item *item) {
    const tsr_token_item *tokens = tsr_item_tokens(item);
    const float quality = j->s->encode.choice.quality;
    tsr_encode_report *r = j->report;
    tsr_encoded done = {.item = tokens,
                        .details = tsr_item_selection(item),
                        .error = NAN,
                        .predicted = quality > 0 ? tsr_item_predicted_error(item) : NAN};
    tsr_status status = TSR_OK;
    if (j->plan.target.metric) {
        status = tsr_search(j->t, &j->plan, item, &done.decodes);
        if (status) return status;
        done.details = tsr_item_selection(item);
        done.reached = tsr_target_met(&j->plan.target, (double)tokens->target.reached);
        r->target_decodes += done.decodes;
        r->target_reached += (uint64_t)done.reached;
    }
    r->pictures++;
    r->predicted += !isnan(done.predicted);
    r->out_of_reach += done.predicted > (double)quality;
    r->tiles += (uint64_t)tokens->tile_columns * tokens->tile_rows;
    r->tokens += tsr_token_item_total(tokens);
    if (j->s->check) {
        status = check_item(j->t, item, &done.error);
        if (status) return status;
        r->error_sum += done.error;
        r->within_quality += quality > 0 && done.error <= (double)quality;
    }
    status = tsr_token_writer_add(j->writer, tokens);
    if (!status && j->s->encoded) j->s->encoded(j->s->encoded_user, &done);
    return status;
}

static tsr_status encode_group(job *j) {
    group *g = &j->group;
    const double began = now();
    tsr_status status =
        tsr_encode_pictures(j->t, &j->plan, g->pictures, g->count, g->items, &j->report->near_ties);
    j->report->seconds += now() - began;
    for (int i = 0; i < g->count && !status; ++i)
        status = finish_item(j, g->items[i]);
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

/* Opens everything that the settings ask for, and checks it before a picture is read. */
static tsr_status open_job(job *j, const char *output) {
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
    memcpy(j->report->tokenizer, h->tokenizer, sizeof j->report->tokenizer);
    j->report->weights_hash = h->weights_hash;
    j->report->fit = h->fit;
    report_tolerance(j);
    return tsr_token_writer_open(j->ctx, &j->writer, output, h, &j->s->file);
}

static tsr_status encode_all(job *j, const char *const *inputs, int count, const char *output) {
    const tsr_encode_settings *s = &j->s->encode;
    group *g = &j->group;
    tsr_image_settings image_settings = tsr_image_settings_default();
    memcpy(image_settings.background, s->fit.background, 3);
    uint64_t pixels = 0;
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        tsr_image *image = &g->images[g->count];
        status = tsr_image_read(j->ctx, inputs[i], &image_settings, image);
        if (status) break;
        g->pictures[g->count++] = (tsr_picture){.rgb = image->rgb,
                                                .width = image->width,
                                                .height = image->height,
                                                .key = j->keys.key[i],
                                                .orientation = image->orientation};
        pixels += (uint64_t)image->width * (uint64_t)image->height;
        if (g->count == GROUP_PICTURES || pixels >= group_pixels || i + 1 == count) {
            status = encode_group(j);
            pixels = 0;
        }
        if (!status && s->progress &&
            s->progress(s->progress_user, "encode", (uint64_t)i + 1, (uint64_t)count))
            status = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", output);
    }
    group_clear(g);
    return status ? status : tsr_encode_plan_finish(j->ctx, &j->plan);
}

tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_files_settings *settings,
                            tsr_encode_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_encode_files_settings s = settings ? *settings : tsr_encode_files_settings_default();
    tsr_encode_report own;
    if (!report) report = &own;
    *report = (tsr_encode_report){0};
    tsr_status status = check_arguments(ctx, inputs, input_count, output);
    if (status) return status;
    job *j = tsr_alloc(ctx, 1, sizeof *j, "encode: group");
    if (!j) return TSR_ERROR_MEMORY;
    j->ctx = ctx;
    j->s = &s;
    j->report = report;
    status = tsr_item_keys_make(ctx, inputs, input_count, s.key, &j->keys);
    report->changed_keys = j->keys.changed;
    report->equal_keys = j->keys.equal;
    if (!status) status = open_job(j, output);
    if (!status) status = encode_all(j, inputs, input_count, output);
    if (status)
        tsr_token_writer_abandon(&j->writer);
    else
        status = tsr_token_writer_close(&j->writer);
    struct stat st;
    if (!status && strcmp(output, "-") && !stat(output, &st)) report->bytes = (uint64_t)st.st_size;
    tsr_encode_plan_close(&j->plan);
    tsr_tokenizer_close(&j->t);
    tsr_item_keys_free(&j->keys);
    free(j);
    return status;
}
