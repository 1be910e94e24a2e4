/* SPDX-License-Identifier: MIT */
/* clip_pictures.c: pictures as the frames of one clip: tower, projector, codebook and map. */
#include "../datasets/source.h"
#include "../formats/arrays/feature_arrays.h"
#include "../formats/tokens/token_layout.h"
#include "../media/image.h"
#include "clip_writer.h"
#include "tower.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUP = 8 }; /* pictures computed together */

tsr_clip_pictures_settings tsr_clip_pictures_settings_default(void) {
    return (tsr_clip_pictures_settings){.files = tsr_clip_files_settings_default(),
                                        .tower = tsr_model_settings_default(),
                                        .video = tsr_video_settings_default()};
}

/* One call's work. */
typedef struct job {
    tsr_context *ctx;
    const tsr_clip_pictures_settings *s;
    tsr_clip_writer *writer;
    tsr_tower *tower;
    tsr_source_list *list;
    tsr_image group[GROUP];
    char *names[GROUP];
    int count;
    uint64_t passed, total; /* frames; total 0: not known */
    float *features;        /* [grid[0], grid[1], grid[2], channels] */
    size_t room;
    uint32_t grid[3], channels;
    float *newline; /* [channels] or NULL */
} job;

/* ---- frames -----------------------------------------------------------------------------------
 */

static void forget(job *j) {
    for (int i = 0; i < j->count; ++i) {
        tsr_image_free(&j->group[i]);
        free(j->names[i]);
    }
    j->count = 0;
}

/* Puts a frame's features behind those before. */
static tsr_status append(job *j, const char *name, const tsr_picture_features *f) {
    if (!j->grid[0]) {
        j->grid[1] = f->rows;
        j->grid[2] = f->columns;
        j->channels = f->channels;
    }
    if (f->rows != j->grid[1] || f->columns != j->grid[2])
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: frame %u: wanted %u x %u cells as in the frames before, got %u x %u",
                        name, j->grid[0], j->grid[1], j->grid[2], f->rows, f->columns);
    const size_t values = (size_t)f->rows * f->columns * f->channels;
    const tsr_status s = tsr_grow(j->ctx, &j->features, &j->room, (j->grid[0] + 1) * values,
                                  sizeof *j->features, "features of a clip");
    if (s) return s;
    memcpy(j->features + j->grid[0] * values, f->features[0], values * sizeof *j->features);
    ++j->grid[0];
    return TSR_OK;
}

/* Computes the waiting frames. */
static tsr_status flush(job *j) {
    const tsr_feature_request request = {.key_layer = TSR_LAYER_USUAL,
                                         .attention_layer = TSR_LAYER_USUAL,
                                         .project = j->s->project != 0};
    tsr_picture pictures[GROUP];
    tsr_picture_features all[GROUP];
    if (!j->count) return TSR_OK;
    for (int i = 0; i < j->count; ++i)
        pictures[i] = (tsr_picture){.rgb = j->group[i].rgb,
                                    .width = j->group[i].width,
                                    .height = j->group[i].height,
                                    .key = j->names[i]};
    tsr_status s = tsr_tower_features(j->tower, pictures, j->count, &request, all);
    const bool made = !s;
    for (int i = 0; i < j->count && made; ++i) {
        if (!s) s = append(j, j->names[i], &all[i]);
        tsr_picture_features_free(&all[i]);
    }
    j->passed += (uint64_t)j->count;
    forget(j);
    const tsr_clip_settings *c = &j->s->files.clip;
    if (!s && c->progress && c->progress(c->progress_user, "features", j->passed, j->total))
        s = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "clip: stopped by the caller");
    return s;
}

static tsr_status take(job *j, tsr_sample *sample) {
    tsr_image_settings image = tsr_image_settings_default();
    image.drop_alpha = true; /* as the towers' own processors do */
    if (sample->status) return tsr_fail(j->ctx, sample->status, "%.1000s", sample->detail);
    const tsr_status s = tsr_image_decode(j->ctx, sample->name, sample->bytes, sample->size, &image,
                                          &j->group[j->count]);
    if (s) return s;
    j->names[j->count++] = sample->name;
    sample->name = NULL;
    return j->count == GROUP ? flush(j) : TSR_OK;
}

/* The frames of list entries first .. first + count - 1. */
static tsr_status read_entries(job *j, uint64_t first, uint64_t count) {
    tsr_source *source = NULL;
    tsr_status s = tsr_source_open(j->ctx, j->list, first, count, &source);
    for (bool more = true; more && !s;) {
        tsr_sample *sample = NULL;
        s = tsr_source_next(source, &sample);
        more = sample != NULL;
        if (sample && !s) s = take(j, sample);
        tsr_sample_free(&sample);
    }
    tsr_source_close(&source);
    return s;
}

/* Frame i of `frames` among n: as numpy.linspace(0, n - 1, frames) cut to whole numbers, whose
 * steps are added up in float64. */
static uint64_t frame_at(uint64_t i, uint64_t frames, uint64_t n) {
    if (frames == 1) return 0;
    if (i == frames - 1) return n - 1;
    return (uint64_t)floor((double)i * ((double)(n - 1) / (double)(frames - 1)));
}

static tsr_status read_frames(job *j) {
    const uint64_t n = tsr_source_list_count(j->list), frames = j->s->frames;
    const bool counted = tsr_source_list_properties(j->list).counted;
    tsr_status s = TSR_OK;
    j->total = frames ? frames : counted ? n : 0;
    if (!frames) s = read_entries(j, 0, n);
    if (frames && !counted)
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                        "frames: wanted pictures that can be counted to choose %u of them, got an "
                        "archive or a pipe",
                        j->s->frames);
    for (uint64_t i = 0; i < frames && !s; ++i)
        s = read_entries(j, frame_at(i, frames, n), 1);
    return s ? s : flush(j);
}

/* The chosen frames of a video; transparent pixels lie over the background, as a video has it. */
static tsr_status read_video(job *j, const char *path) {
    const tsr_clip_settings *c = &j->s->files.clip;
    tsr_frames *frames = NULL;
    const tsr_video_frame *frame = NULL;
    const tsr_frame_pick *pick = NULL;
    tsr_status s = tsr_frames_open(j->ctx, path, &j->s->video, &j->s->choice, c->progress,
                                   c->progress_user, &frames);
    while (!s && !(s = tsr_frames_next(frames, &frame, &pick)) && frame) {
        tsr_image *image = &j->group[j->count];
        const size_t bytes = (size_t)frame->width * frame->height * 3;
        *image = (tsr_image){.width = (int)frame->width, .height = (int)frame->height};
        image->rgb = tsr_alloc(j->ctx, bytes, 1, "frame of a video");
        j->names[j->count] = strdup(path);
        if (!image->rgb || !j->names[j->count]) s = TSR_ERROR_MEMORY;
        if (!s) memcpy(image->rgb, frame->rgb, bytes);
        if (++j->count == GROUP && !s) s = flush(j);
        if (s) break;
    }
    tsr_frames_close(&frames);
    return s ? s : flush(j);
}

/* ---- the clip ---------------------------------------------------------------------------------
 */

/* The key of the clip: the first input without folder and suffix. */
static void key_of(const job *j, const char *input, char key[TSR_TESS_MAX_KEY + 1]) {
    size_t n = strlen(input);
    while (n > 1 && input[n - 1] == '/')
        --n;
    size_t name = n, dot = n;
    while (name && input[name - 1] != '/')
        --name;
    for (size_t i = name + 1; i < n; ++i)
        if (input[i] == '.') dot = i;
    if (j->s->key)
        snprintf(key, TSR_TESS_MAX_KEY + 1, "%s", j->s->key);
    else
        snprintf(key, TSR_TESS_MAX_KEY + 1, "%.*s", (int)(dot - name), input + name);
    if (tsr_token_key_problem(key)) snprintf(key, TSR_TESS_MAX_KEY + 1, "clip");
}

static tsr_status encode(job *j, const char *input) {
    const tsr_tower_info *info = tsr_tower_properties(j->tower);
    char key[TSR_TESS_MAX_KEY + 1], source[TSR_CLIP_SOURCE_BYTES];
    tsr_status s = j->s->is_video ? read_video(j, input) : read_frames(j);
    if (!s && j->s->project) s = tsr_tower_newline(j->tower, &j->newline);
    if (s) return s;
    key_of(j, input, key);
    snprintf(source, sizeof source, "%s, layer %d%s", info->name,
             tsr_tower_layer(j->tower, TSR_LAYER_USUAL), j->s->project ? ", projected" : "");
    const tsr_clip_input in = {.file = key,
                               .key = key,
                               .features = j->features,
                               .grid = {j->grid[0], j->grid[1], j->grid[2]},
                               .channels = j->channels,
                               .newline = j->newline,
                               .source = j->s->files.source ? j->s->files.source : source,
                               .weights_hash = info->weights_hash};
    return tsr_clip_writer_add(j->writer, &in);
}

tsr_status tsr_clip_encode_pictures(tsr_context *ctx, const char *const *inputs, int count,
                                    const char *output, const tsr_clip_pictures_settings *settings,
                                    tsr_clip_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!settings)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "clip: wanted settings with a tower, got NULL");
    const tsr_feature_request request = {.key_layer = TSR_LAYER_USUAL,
                                         .attention_layer = TSR_LAYER_USUAL,
                                         .project = settings->project != 0};
    tsr_clip_report own;
    tsr_clip_writer w;
    tsr_status s = tsr_clip_writer_open(ctx, &w, inputs, count, output, &settings->files,
                                        report ? report : &own);
    job j = {.ctx = ctx, .s = settings, .writer = &w};
    if (!s && settings->is_video && count != 1)
        s = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "clip: wanted one video, got %d", count);
    if (!s && !settings->is_video)
        s = tsr_source_list_open(ctx, inputs, count, &settings->source, &j.list);
    if (!s) s = tsr_tower_open(ctx, &j.tower, &settings->tower);
    if (!s) s = tsr_tower_check(j.tower, &request);
    if (!s) s = encode(&j, inputs[0]);
    s = tsr_clip_writer_close(&w, s);
    forget(&j);
    tsr_source_list_close(&j.list);
    tsr_tower_close(&j.tower);
    free(j.features);
    free(j.newline);
    return s;
}
