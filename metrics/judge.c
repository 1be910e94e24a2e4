/* SPDX-License-Identifier: MIT */
/* judge.c: opening judges, and cutting what they judge into calls that fit the memory. */
#include <tessera/judges.h>

#include "../compute/arena.h"
#include "../models/model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsr_judge {
    tsr_model model;
    tsr_judge_info info;
};

/* ---- opening ---- */

static tsr_status open_model(tsr_judge *j, const tsr_model_settings *settings) {
    tsr_status status = tsr_model_find(&j->model, settings->model);
    if (!status && !j->model.family->judge)
        status = tsr_fail(
            j->model.ctx, TSR_ERROR_UNSUPPORTED,
            "%s: wanted a judge (LPIPS, DISTS, Inception, I3D, a reader, a face embedder), "
            "got the weights of %s, a %s",
            j->model.file, j->model.family->name, j->model.family->tower ? "tower" : "tokenizer");
    if (!status && settings->precision != TSR_PRECISION_F32)
        status = tsr_fail(j->model.ctx, TSR_ERROR_UNSUPPORTED,
                          "%s: precision: wanted f32, in which published numbers are computed, got "
                          "fast",
                          j->model.file);
    if (!status) status = tsr_model_open_devices(&j->model, settings);
    if (!status) status = tsr_model_open_state(&j->model);
    if (status) return status;
    const char *licence = tsr_safetensors_metadata(j->model.weights, "tessera.licence");
    const char *name = tsr_safetensors_metadata(j->model.weights, "tessera.name");
    j->model.family->judge->describe(j->model.state, &j->info);
    snprintf(j->info.family, sizeof j->info.family, "%s", j->model.family->name);
    snprintf(j->info.licence, sizeof j->info.licence, "%s", licence ? licence : "not stated");
    if (name) snprintf(j->info.name, sizeof j->info.name, "%s", name);
    status = tsr_safetensors_hash(j->model.ctx, j->model.weights, &j->info.weights_hash);
    return status ? status : tsr_model_check_values(&j->model);
}

tsr_status tsr_judge_open(tsr_context *ctx, tsr_judge **judge, const tsr_model_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!judge) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "judge: wanted a pointer, got NULL");
    *judge = NULL;
    if (!settings || !settings->model)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "judge: model: wanted a file or folder, got none");
    tsr_judge *j = tsr_alloc(ctx, 1, sizeof *j, "judge");
    if (!j) return TSR_ERROR_MEMORY;
    j->model.ctx = ctx;
    const tsr_status status = open_model(j, settings);
    if (status)
        tsr_judge_close(&j);
    else
        *judge = j;
    return status;
}

void tsr_judge_close(tsr_judge **judge) {
    if (!judge || !*judge) return;
    tsr_model_close(&(*judge)->model);
    free(*judge);
    *judge = NULL;
}

const tsr_judge_info *tsr_judge_properties(const tsr_judge *judge) {
    return &judge->info;
}

const char *tsr_judge_device(const tsr_judge *judge) {
    return judge->model.device_text;
}

/* ---- what a judge takes ---- */

tsr_status tsr_judge_takes(const tsr_judge *j, uint32_t width, uint32_t height) {
    const tsr_judge_info *i = &j->info;
    if (i->width && (width != i->width || height != i->height))
        return tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted pictures of %u x %u pixels, got %u x %u", i->name, i->width,
                        i->height, width, height);
    if (width < i->least_width || height < i->least_height || !width || !height)
        return tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted pictures of at least %u x %u pixels, got %u x %u", i->name,
                        i->least_width, i->least_height, width, height);
    return TSR_OK;
}

static tsr_status check_pictures(const tsr_judge *j, const tsr_picture *pictures, int count) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < count && !status; ++i) {
        const tsr_picture *p = &pictures[i];
        if (!p->rgb || p->width < 1 || p->height < 1)
            status = tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT,
                              "%s: picture %d: wanted a picture with pixels, got %d x %d",
                              j->info.name, i, p->width, p->height);
        else if (j->info.least_frames && p->frames < (int)j->info.least_frames)
            status = tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT,
                              "%s: clip %d: wanted at least %u frames, got %d", j->info.name, i,
                              j->info.least_frames, p->frames);
        else if (!j->info.least_frames && p->frames)
            status = tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT,
                              "%s: picture %d: wanted a picture, got a clip of %d frames",
                              j->info.name, i, p->frames);
        else
            status = tsr_judge_takes(j, (uint32_t)p->width, (uint32_t)p->height);
    }
    return status;
}

/* Refuses a call for what the judge does not do. */
static tsr_status want(const tsr_judge *j, tsr_judge_ability ability, const char *what,
                       bool arguments) {
    tsr_context *ctx = j->model.ctx;
    if (!(j->info.abilities & ability))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted a judge that %s, got %s",
                        j->model.file, what, j->info.protocol);
    if (!arguments)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted pictures and a place for the result, got none", j->info.name);
    return TSR_OK;
}

/* Number of pictures, from the first on, that make one call. */
static int next_call(const tsr_judge *j, const tsr_picture *pictures, int count) {
    const tsr_judge_ops *ops = j->model.family->judge;
    const tsr_picture *p = pictures;
    int same = 1;
    while (
        same < count && pictures[same].frames == p->frames &&
        (j->info.mixed || (pictures[same].width == p->width && pictures[same].height == p->height)))
        ++same;
    const tsr_tile_cost cost = ops->cost(j->model.state, p);
    return (int)tsr_tiles_in_run(j->model.device, &cost, same);
}

/* ---- judging ---- */

tsr_status tsr_judge_compare(tsr_judge *j, const tsr_picture *a, const tsr_picture *b, int count,
                             double *distances) {
    if (!j) return TSR_ERROR_ARGUMENT;
    tsr_context *ctx = j->model.ctx;
    tsr_status status =
        want(j, TSR_JUDGE_COMPARES, "compares pictures", a && b && distances && count > 0);
    if (!status) status = check_pictures(j, a, count);
    if (!status) status = check_pictures(j, b, count);
    for (int i = 0; i < count && !status; ++i)
        if (a[i].width != b[i].width || a[i].height != b[i].height)
            status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                              "%s: pair %d: wanted pictures of one size, got %d x %d and %d x %d",
                              j->info.name, i, a[i].width, a[i].height, b[i].width, b[i].height);
    for (int done = 0, n; done < count && !status; done += n) {
        n = next_call(j, a + done, count - done);
        status = j->model.family->judge->compare(j->model.state, a + done, b + done, n,
                                                 distances + done);
        for (int i = done; i < done + n && !status; ++i)
            if (!isfinite(distances[i]))
                status = tsr_not_finite(ctx, "distances", (float)distances[i]);
    }
    return status;
}

/* Number of the list's text, 0 for NULL; fails with ARGUMENT. */
static tsr_status find_text(const tsr_judge *j, const char *what, const char *wanted,
                            const char *list, size_t step, int count, int *number) {
    char names[TSR_JUDGE_OUTPUTS_MOST * 26] = "";
    *number = 0;
    if (!wanted) return TSR_OK;
    for (int i = 0; i < count; ++i) {
        const char *name = list + (size_t)i * step;
        if (!strcmp(name, wanted)) {
            *number = i;
            return TSR_OK;
        }
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "", name);
    }
    return tsr_fail(j->model.ctx, TSR_ERROR_ARGUMENT, "%s: %s: wanted %s%s, got %.40s",
                    j->info.name, what, count > 1 ? "one of " : "", count ? names : "none", wanted);
}

tsr_status tsr_judge_embed(tsr_judge *j, const tsr_picture *pictures, int count,
                           const tsr_embed_request *request, float *const *values) {
    if (!j) return TSR_ERROR_ARGUMENT;
    const tsr_embed_request usual = {0}, *q = request ? request : &usual;
    const tsr_judge_info *info = &j->info;
    int preparation = 0, outputs[TSR_JUDGE_OUTPUTS_MOST] = {0};
    const int asked = q->output_count ? q->output_count : 1;
    float *at[TSR_JUDGE_OUTPUTS_MOST];
    tsr_status status =
        want(j, TSR_JUDGE_EMBEDS, "embeds pictures",
             pictures && values && count > 0 && asked > 0 && asked <= TSR_JUDGE_OUTPUTS_MOST);
    if (!status) status = check_pictures(j, pictures, count);
    if (!status)
        status = find_text(j, "preparation", q->preparation, info->preparations[0],
                           sizeof info->preparations[0], info->preparation_count, &preparation);
    for (int i = 0; i < q->output_count && !status; ++i)
        status = find_text(j, "output", q->outputs[i], info->outputs[0].name,
                           sizeof info->outputs[0], info->output_count, &outputs[i]);
    for (int done = 0, n; done < count && !status; done += n) {
        n = next_call(j, pictures + done, count - done);
        for (int i = 0; i < asked; ++i)
            at[i] = values[i] + (size_t)done * info->outputs[outputs[i]].channels;
        status = j->model.family->judge->embed(j->model.state, pictures + done, n, preparation,
                                               outputs, asked, at);
        for (int i = 0; i < asked && !status; ++i)
            for (size_t k = 0; k < (size_t)n * info->outputs[outputs[i]].channels && !status; ++k)
                if (!isfinite(at[i][k]))
                    status = tsr_not_finite(j->model.ctx, "embedding", at[i][k]);
    }
    return status;
}

tsr_status tsr_judge_read(tsr_judge *j, const tsr_picture *pictures, int count,
                          const tsr_read_request *request, tsr_reading *readings) {
    if (!j) return TSR_ERROR_ARGUMENT;
    const tsr_read_request usual = {0}, *q = request ? request : &usual;
    tsr_status status =
        want(j, TSR_JUDGE_READS, "reads words", pictures && readings && count > 0 && q->most >= 0);
    if (!status) status = check_pictures(j, pictures, count);
    if (!status) memset(readings, 0, (size_t)count * sizeof *readings);
    for (int done = 0, n; done < count && !status; done += n) {
        n = q->together ? count : next_call(j, pictures + done, count - done);
        status =
            j->model.family->judge->read(j->model.state, pictures + done, n, q, readings + done);
    }
    return status;
}
