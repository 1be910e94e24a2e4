/* SPDX-License-Identifier: MIT */
/* features_files.c: picture files, or the frames of videos, to token sets. Pictures are read one
 * after the other, computed in small groups and written; a bad one costs no other. */
#include "tower.h"
#include "../datasets/source.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "../media/image.h"
#include "../reduce/operator.h"
#include "bad_inputs.h"
#include "encoder.h"
#include "feature_output.h"
#include "video_feed.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GROUP = 16 }; /* most pictures computed together unless more are asked for */

tsr_features_settings tsr_features_settings_default(void) {
    return (tsr_features_settings){
        .model = tsr_model_settings_default(),
        .request = {.key_layer = TSR_LAYER_USUAL, .attention_layer = TSR_LAYER_USUAL},
        .source = {.key = TSR_KEY_AUTO},
        .video = tsr_video_settings_default(),
        .on_error = TSR_ON_ERROR_SKIP};
}

/* One picture that waits for its group. */
typedef struct waiting {
    char *key, *name;
    tsr_image image;
} waiting;

typedef struct job {
    tsr_context *ctx;
    const tsr_features_settings *s;
    const char *output_path;
    tsr_tower *tower;
    const char *const *inputs; /* [input_count] */
    int input_count;
    tsr_source_list *list; /* of pictures */
    tsr_source *source;
    size_t remarks; /* in the report */
    tsr_feature_output *output;
    tsr_features_report *report;
    waiting *group; /* [most] */
    int count, most;
    uint64_t total, passed; /* pictures; total 0: not known */
    tsr_bad_inputs bad;     /* pictures */
    float *newline;         /* image_newline [projected], or NULL */
    char layers[128], hash[24];
    const char *pairs[8][2];
    int pair_count;
} job;

/* Tells of a picture that failed, unless its failure would meet the next one, too. */
static tsr_status tell_failure(job *j, const char *name, tsr_status status) {
    return status && tsr_fault_of_picture(status) ? tsr_bad_input_now(&j->bad, name, status)
                                                  : status;
}

/* ---- token sets ---- */

static tsr_status write_set(job *j, const char *key, const tsr_token_set *set) {
    const tsr_status status = tsr_feature_output_add(j->output, key, set);
    if (status) return status;
    j->report->pictures++;
    j->report->rows += (uint64_t)set->count;
    return TSR_OK;
}

/* Adds the learned newline to each set. */
static tsr_status add_newlines(job *j, tsr_token_set **sets, int count) {
    const tsr_token_array newline = {.name = "image_newline",
                                     .type = TSR_ARRAY_F32,
                                     .axis = TSR_TOKEN_AXIS_NONE,
                                     .rank = 1,
                                     .dim = {tsr_tower_properties(j->tower)->projected},
                                     .data = j->newline};
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && j->newline && !status; ++i)
        status = tsr_token_set_add(sets[i], &newline);
    return status;
}

/* The sets of pictures: sets[i] is that of pictures[i]. */
static tsr_status make_sets(job *j, const tsr_picture *pictures, int count, tsr_token_set **sets) {
    const tsr_feature_request *q = &j->s->request;
    if (j->s->operation_count)
        return tsr_tower_reduce(j->tower, pictures, count, q, j->s->operations,
                                j->s->operation_count, sets, &j->report->operators);
    tsr_picture_features *all = tsr_alloc(j->ctx, (size_t)count, sizeof *all, "features: group");
    tsr_status status = all ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status) status = tsr_tower_features(j->tower, pictures, count, q, all);
    for (int i = 0; i < count && !status; ++i)
        status = tsr_tower_set(j->tower, q, &all[i], &sets[i]);
    for (int i = 0; i < count && all; ++i)
        tsr_picture_features_free(&all[i]);
    for (int i = 0; i < count && status; ++i)
        tsr_token_set_close(&sets[i]);
    free(all);
    return status;
}

/* ---- groups ---- */

static void forget(waiting *w) {
    tsr_image_free(&w->image);
    free(w->key);
    free(w->name);
    *w = (waiting){0};
}

/* Computes and writes `count` pictures of the group. */
static tsr_status compute(job *j, waiting *group, int count) {
    tsr_picture *pictures = tsr_alloc(j->ctx, (size_t)count, sizeof *pictures, "features: group");
    tsr_token_set **sets = tsr_alloc(j->ctx, (size_t)count, sizeof *sets, "features: group");
    tsr_status status = pictures && sets ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < count && !status; ++i)
        pictures[i] = (tsr_picture){.rgb = group[i].image.rgb,
                                    .width = group[i].image.width,
                                    .height = group[i].image.height,
                                    .key = group[i].name};
    if (!status) status = make_sets(j, pictures, count, sets);
    if (!status) status = add_newlines(j, sets, count);
    const bool made = !status;
    for (int i = 0; i < count && made && !status; ++i)
        status = tell_failure(j, group[i].name, write_set(j, group[i].key, sets[i]));
    for (int i = 0; i < count && sets; ++i)
        tsr_token_set_close(&sets[i]);
    free(pictures);
    free(sets);
    if (made || !tsr_fault_of_picture(status)) return status;
    if (count == 1) return tell_failure(j, group[0].name, status);
    status = TSR_OK; /* one of them is at fault: which one shows when each is alone */
    for (int i = 0; i < count && !status; ++i)
        status = compute(j, &group[i], 1);
    return status;
}

static tsr_status flush(job *j) {
    const tsr_status status = j->count ? compute(j, j->group, j->count) : TSR_OK;
    for (int i = 0; i < j->count; ++i)
        forget(&j->group[i]);
    j->passed += (uint64_t)j->count;
    j->count = 0;
    if (status) return status;
    if (j->s->progress && j->s->progress(j->s->progress_user, "features", j->passed, j->total))
        return tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", j->output_path);
    return TSR_OK;
}

/* Decodes a sample and lets it wait for its group. */
static tsr_status take(job *j, tsr_sample *sample) {
    tsr_image_settings image = tsr_image_settings_default();
    image.drop_alpha = true; /* as the towers' own processors do */
    waiting *w = &j->group[j->count];
    if (sample->status) {
        ++j->passed;
        return tsr_bad_input(&j->bad, sample->name, sample->status, sample->detail);
    }
    tsr_status status =
        tsr_image_decode(j->ctx, sample->name, sample->bytes, sample->size, &image, &w->image);
    if (status) {
        ++j->passed;
        return tell_failure(j, sample->name, status);
    }
    w->key = sample->key;
    w->name = sample->name;
    sample->key = sample->name = NULL;
    ++j->count;
    return j->count == j->most ? flush(j) : TSR_OK;
}

/* ---- frames of videos ---- */

static tsr_status take_frame(job *j, const char *path, const char *key,
                             const tsr_video_frame *frame, uint64_t index) {
    const size_t bytes = (size_t)frame->width * frame->height * 3;
    waiting *w = &j->group[j->count++];
    *w = (waiting){.image = {.width = (int)frame->width, .height = (int)frame->height}};
    w->image.rgb = tsr_alloc(j->ctx, bytes, 1, "frame of a video");
    if (asprintf(&w->key, "%s/%06" PRIu64, key, index) < 0) w->key = NULL;
    if (asprintf(&w->name, "%s: frame %" PRIu64, path, index) < 0) w->name = NULL;
    if (!w->image.rgb || !w->key || !w->name)
        return tsr_fail(j->ctx, TSR_ERROR_MEMORY, "%s: no memory for a frame", path);
    memcpy(w->image.rgb, frame->rgb, bytes);
    return j->count == j->most ? flush(j) : TSR_OK;
}

/* Keeps what was said about a video for the report. */
static void keep_remarks(job *j, tsr_frames *frames) {
    const size_t room = sizeof j->report->remarks / sizeof *j->report->remarks;
    int count = 0;
    const char *const *said = frames ? tsr_video_remarks(tsr_frames_video(frames), &count) : NULL;
    for (int i = 0; i < count && j->remarks < room; ++i, ++j->remarks)
        snprintf(j->report->remarks[j->remarks], sizeof *j->report->remarks, "%s", said[i]);
}

/* A video that is damaged is told behind its whole frames. */
static tsr_status take_video(job *j, const char *path) {
    tsr_frames *frames = NULL;
    const tsr_video_frame *frame = NULL;
    const tsr_frame_pick *pick = NULL;
    char key[TSR_TESS_MAX_KEY + 1];
    tsr_video_key(path, key, sizeof key);
    bool read = false; /* what failed is the reading */
    tsr_status status = tsr_frames_open(j->ctx, path, &j->s->video, &j->s->frames, j->s->progress,
                                        j->s->progress_user, &frames);
    read = status != TSR_OK;
    while (!status) {
        status = tsr_frames_next(frames, &frame, &pick);
        read = status != TSR_OK;
        if (status || !frame) break;
        status = take_frame(j, path, key, frame, pick->index);
    }
    keep_remarks(j, frames);
    tsr_frames_close(&frames);
    if (!read || !tsr_fault_of_input(status)) return status;
    return tsr_bad_input_now(&j->bad, path, status);
}

static tsr_status run_videos(job *j) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < j->input_count && !status; ++i)
        status = take_video(j, j->inputs[i]);
    if (!status) status = flush(j);
    if (!status && !j->report->pictures && j->report->failed) status = tsr_bad_inputs_fail(&j->bad);
    return status;
}

static tsr_status run(job *j) {
    tsr_status status = TSR_OK;
    if (j->s->is_video) return run_videos(j);
    for (bool more = true; more && !status;) {
        tsr_sample *sample = NULL;
        status = tsr_source_next(j->source, &sample);
        more = sample != NULL;
        if (sample && !status) status = take(j, sample);
        tsr_sample_free(&sample);
    }
    if (!status) status = flush(j);
    if (!status && !j->report->pictures && j->report->failed) /* all were bad and skipped */
        status = tsr_bad_inputs_fail(&j->bad);
    return status;
}

/* ---- before and after ---- */

/* What the file says of all its sets. */
static void describe(job *j) {
    const tsr_tower_info *info = tsr_tower_properties(j->tower);
    const tsr_feature_request *q = &j->s->request;
    static const char *const views[] = {"crop", "stretch", "pad", "smart", "budget"},
                             *const tilings[] = {"", "next", "onevision"};
    const bool usual = !q->layer_count || q->layers[0] == TSR_LAYER_USUAL;
    size_t used = 0;
    for (int i = 0; i < (q->layer_count ? q->layer_count : 1); ++i)
        used += (size_t)snprintf(
            j->layers + used, sizeof j->layers - used, "%s%d", i ? "," : "",
            tsr_tower_layer(j->tower, q->layer_count ? q->layers[i] : TSR_LAYER_USUAL));
    snprintf(j->hash, sizeof j->hash, "%016" PRIx64, info->weights_hash);
    const char *const pairs[][2] = {{"tower", info->name},
                                    {"family", info->family},
                                    {"layer", j->layers},
                                    {"features", q->project                    ? "projected"
                                                 : usual && info->feature_norm ? "normed"
                                                                               : "hidden"},
                                    {"weights", j->hash},
                                    {"view", views[info->view.kind]},
                                    {"tiles", tilings[q->tiling]}};
    memcpy(j->pairs, pairs, sizeof pairs);
    j->pair_count = q->tiling ? 7 : 6;
}

/* Pictures of a group: as many as asked for, or as many as an eighth of the memory holds. */
static tsr_status choose_group(job *j) {
    const tsr_tower_info *info = tsr_tower_properties(j->tower);
    const uint64_t side =
        info->view.width > info->view.height ? info->view.width : info->view.height;
    const uint64_t cells = side ? side / info->patch
                                : (uint64_t)(sqrt((double)info->view.max_pixels) / info->patch),
                   n = cells * cells + info->leading;
    uint64_t values = n * info->channels * 4;
    if (j->s->request.attention == TSR_ATTENTION_FULL) values += 3 * info->heads * n * n;
    if (j->s->request.tiling) values *= 1 + (j->s->request.tiling == TSR_TILING_NEXT ? 4 : 36);
    const uint64_t fit = j->ctx->settings.memory_limit / 8 / (values * sizeof(float) + 1);
    const uint64_t most = j->s->batch ? j->s->batch : GROUP;
    if (j->s->batch > TSR_MAX_BATCH)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "batch: wanted 1 to %d, got %u", TSR_MAX_BATCH,
                        j->s->batch);
    j->most = (int)(fit < 1 ? 1 : fit < most ? fit : most);
    j->group = tsr_alloc(j->ctx, (size_t)j->most, sizeof *j->group, "features: group");
    return j->group ? TSR_OK : TSR_ERROR_MEMORY;
}

static tsr_status open_all(job *j, const char *const *inputs, int count) {
    tsr_status status = TSR_OK;
    if (!j->s->is_video)
        status = tsr_source_list_open(j->ctx, inputs, count, &j->s->source, &j->list);
    if (!status) status = tsr_tower_open(j->ctx, &j->tower, &j->s->model);
    if (!status) status = tsr_tower_check(j->tower, &j->s->request);
    if (!status) status = choose_group(j);
    if (!status && j->s->request.project) status = tsr_tower_newline(j->tower, &j->newline);
    if (status) return status;
    const uint64_t entries = j->list ? tsr_source_list_count(j->list) : 0;
    j->total = j->list && tsr_source_list_properties(j->list).counted ? entries : 0;
    j->report->tower = *tsr_tower_properties(j->tower);
    snprintf(j->report->device, sizeof j->report->device, "%s", tsr_tower_device(j->tower));
    describe(j);
    const tsr_feature_output_settings s = {.f16 = j->s->f16 != 0,
                                           .unnamed = j->total == 1,
                                           .pairs = (const char *const(*)[2])j->pairs,
                                           .pair_count = j->pair_count};
    status = tsr_feature_output_open(j->ctx, j->output_path, &s, &j->output);
    return status || !j->list ? status : tsr_source_open(j->ctx, j->list, 0, entries, &j->source);
}

static tsr_status check_arguments(tsr_context *ctx, const char *const *inputs, int count,
                                  const char *output, const tsr_features_settings *s) {
    if (count < 0 || (count ? !inputs : !s->source.files_from))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted at least one picture, got none");
    for (int i = 0; i < count && s->is_video; ++i)
        if (!inputs[i]) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted a path, got NULL");
    if (s->is_video && s->source.files_from)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted videos by name, got a list");
    if (!output) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted a path, got NULL");
    tsr_status status = tsr_operations_check(ctx, s->operations, s->operation_count);
    for (int i = 0; i < count && !status; ++i)
        if (inputs[i]) status = tsr_out_not_input(ctx, output, inputs[i]);
    if (!status) status = tsr_out_not_input(ctx, output, s->source.files_from);
    if (!status) status = tsr_out_not_input(ctx, output, s->model.model);
    return status ? status : tsr_feature_output_check(ctx, output);
}

tsr_status tsr_features_files(tsr_context *ctx, const char *const *inputs, int count,
                              const char *output, const tsr_features_settings *settings,
                              tsr_features_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_features_settings s = settings ? *settings : tsr_features_settings_default();
    tsr_features_report own;
    if (!report) report = &own;
    *report = (tsr_features_report){0};
    tsr_status status = check_arguments(ctx, inputs, count, output, &s);
    if (status) return status;
    job *j = tsr_alloc(ctx, 1, sizeof *j, "features: job");
    if (!j) return TSR_ERROR_MEMORY;
    *j = (job){.ctx = ctx,
               .s = &s,
               .inputs = inputs,
               .input_count = count,
               .output_path = output,
               .report = report,
               .bad = {.ctx = ctx,
                       .on_error = s.on_error,
                       .tell = s.failed,
                       .tell_user = s.failed_user,
                       .count = &report->failed}};
    status = open_all(j, inputs, count);
    if (!status) status = run(j);
    if (!status) {
        report->bytes = tsr_feature_output_bytes(j->output);
        status = tsr_feature_output_finish(&j->output);
    }
    tsr_feature_output_abandon(&j->output);
    for (int i = 0; i < j->count; ++i)
        forget(&j->group[i]);
    free(j->group);
    free(j->newline);
    tsr_source_close(&j->source);
    tsr_source_list_close(&j->list);
    tsr_tower_close(&j->tower);
    free(j);
    return status;
}
