/* SPDX-License-Identifier: MIT */
/* judge_metrics.c: distances that a network tells, picture by picture, as metrics that have a name.
 */
#include "judge_metrics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tessera/models.h>

tsr_status tsr_metric_judge_open(tsr_context *ctx, const tsr_metric_settings *s, const char *name,
                                 const char *published, const char *family, tsr_judge **judge) {
    *judge = NULL;
    char *found = NULL;
    if (!s->weights && tsr_model_locate(ctx, published, &found))
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                        "%s: weights: wanted %s=PATH or the fetched model %s, got none", name, name,
                        published);
    tsr_model_settings settings = s->model ? *s->model : tsr_model_settings_default();
    settings.model = s->weights ? s->weights : found;
    settings.precision = TSR_PRECISION_F32; /* published numbers are */
    tsr_status status = tsr_judge_open(ctx, judge, &settings);
    const tsr_judge_info *info = status ? NULL : tsr_judge_properties(*judge);
    /* A family of several networks says which one it is behind its own name. */
    const size_t n = strlen(family);
    const bool named = info && !strncmp(info->name, family, n) && info->name[n] == '-' &&
                       !strncmp(name, family, n) && name[n] == '-';
    if (info && (strcmp(info->family, family) || (named && strcmp(info->name, name))))
        status = tsr_fail(ctx, TSR_ERROR_MODEL_MISMATCH, "%s: judge: wanted %s, got %s",
                          settings.model, name, info->name);
    free(found);
    if (status) tsr_judge_close(judge);
    return status;
}

void tsr_metric_judge_model(const tsr_judge *judge, tsr_metric_model *model) {
    const tsr_judge_info *info = tsr_judge_properties(judge);
    snprintf(model->name, sizeof model->name, "%s", info->name);
    snprintf(model->licence, sizeof model->licence, "%s", info->licence);
    model->hash = info->weights_hash;
}

/* ---- LPIPS, DISTS ---- */

typedef struct session {
    tsr_context *ctx;
    tsr_judge *judge;
} session;

static void session_close(void *object) {
    session *s = object;
    tsr_judge_close(&s->judge);
    free(s);
}

static tsr_status open_named(tsr_context *ctx, const tsr_metric_settings *settings,
                             const char *name, const char *published, const char *family,
                             void **object) {
    session *s = tsr_alloc(ctx, 1, sizeof *s, name);
    *object = NULL;
    if (!s) return TSR_ERROR_MEMORY;
    s->ctx = ctx;
    const tsr_status status =
        tsr_metric_judge_open(ctx, settings, name, published, family, &s->judge);
    if (status)
        free(s);
    else
        *object = s;
    return status;
}

/* Pairs that the network takes are compared together, the others have no number. */
static tsr_status session_add(void *object, tsr_metric_pair *pairs, int count, uint64_t first,
                              double *values, const char **why) {
    (void)first;
    session *s = object;
    tsr_picture *a = tsr_alloc(s->ctx, (size_t)count, sizeof *a, "judge: pictures");
    tsr_picture *b = tsr_alloc(s->ctx, (size_t)count, sizeof *b, "judge: pictures");
    double *distances = tsr_alloc(s->ctx, (size_t)count, sizeof *distances, "judge: distances");
    int *place = tsr_alloc(s->ctx, (size_t)count, sizeof *place, "judge: places");
    tsr_status status = a && b && distances && place ? TSR_OK : TSR_ERROR_MEMORY;
    int n = 0;
    for (int i = 0; i < count && !status; ++i) {
        const tsr_metric_pair *p = &pairs[i];
        if (tsr_judge_takes(s->judge, (uint32_t)p->width, (uint32_t)p->height)) {
            why[i] = "a side is below what the network takes";
            continue;
        }
        a[n] = (tsr_picture){.rgb = p->original, .width = p->width, .height = p->height};
        b[n] = (tsr_picture){.rgb = p->candidate, .width = p->width, .height = p->height};
        place[n++] = i;
    }
    if (!status && n) status = tsr_judge_compare(s->judge, a, b, n, distances);
    for (int i = 0; i < n && !status; ++i)
        values[place[i]] = distances[i];
    free(a);
    free(b);
    free(distances);
    free(place);
    return status;
}

static void session_model(const void *object, tsr_metric_model *model) {
    tsr_metric_judge_model(((const session *)object)->judge, model);
}

#define LPIPS_PROTOCOL                                                                             \
    "LPIPS 0.1 with its linear layers, 8-bit RGB scaled to -1..1, no resizing, mean over places; "

static tsr_status open_alex(tsr_context *ctx, const tsr_metric_settings *s, void **object) {
    return open_named(ctx, s, "lpips-alex", "lpips-alex", "lpips", object);
}
const tsr_metric tsr_metric_lpips_alex = {
    .info = {.name = "lpips-alex",
             .label = "LPIPS (AlexNet)",
             .unit = "",
             .protocol = LPIPS_PROTOCOL "AlexNet: the variant of most tables",
             .source = "Zhang et al. 2018; package lpips, net='alex'",
             .weights = "lpips-alex"},
    .open = open_alex,
    .add = session_add,
    .model = session_model,
    .close = session_close,
};

static tsr_status open_vgg(tsr_context *ctx, const tsr_metric_settings *s, void **object) {
    return open_named(ctx, s, "lpips-vgg", "lpips-vgg", "lpips", object);
}
const tsr_metric tsr_metric_lpips_vgg = {
    .info = {.name = "lpips-vgg",
             .label = "LPIPS (VGG)",
             .unit = "",
             .protocol = LPIPS_PROTOCOL "VGG-16: the variant that tokenizers are trained with",
             .source = "Zhang et al. 2018; package lpips, net='vgg'",
             .weights = "lpips-vgg"},
    .open = open_vgg,
    .add = session_add,
    .model = session_model,
    .close = session_close,
};

static tsr_status open_squeeze(tsr_context *ctx, const tsr_metric_settings *s, void **object) {
    return open_named(ctx, s, "lpips-squeeze", "lpips-squeeze", "lpips", object);
}
const tsr_metric tsr_metric_lpips_squeeze = {
    .info = {.name = "lpips-squeeze",
             .label = "LPIPS (SqueezeNet)",
             .unit = "",
             .protocol = LPIPS_PROTOCOL "SqueezeNet 1.1",
             .source = "Zhang et al. 2018; package lpips, net='squeeze'",
             .weights = "lpips-squeeze"},
    .open = open_squeeze,
    .add = session_add,
    .model = session_model,
    .close = session_close,
};

static tsr_status open_dists(tsr_context *ctx, const tsr_metric_settings *s, void **object) {
    return open_named(ctx, s, "dists", "dists-vgg", "dists", object);
}
const tsr_metric tsr_metric_dists = {
    .info = {.name = "dists",
             .label = "DISTS",
             .unit = "",
             .protocol = "VGG-16 with L2 pooling, 8-bit RGB scaled to 0..1, no resizing, published "
                         "alpha and beta",
             .source = "Ding et al. 2020; DISTS_pytorch",
             .weights = "dists"},
    .open = open_dists,
    .add = session_add,
    .model = session_model,
    .close = session_close,
};

/* ---- structure ---- */

static tsr_status measure_ms_ssim(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                  const char **why) {
    const tsr_structure *structure;
    const tsr_status status = tsr_metric_structure(ctx, p, &structure);
    *value = structure->ms_ssim_torchmetrics;
    *why = "a side is below 176 pixels";
    return status;
}
const tsr_metric tsr_metric_ms_ssim = {
    .info = {.name = "ms_ssim",
             .label = "MS-SSIM",
             .unit = "",
             .protocol = "8-bit RGB, 11x11 gaussian window, sigma 1.5, 5 scales, means over "
                         "channels and places before the powers, reflected border at the last "
                         "scale, sides from 176 on: torchmetrics' form",
             .source = "Wang et al. 2003; torchmetrics "
                       "MultiScaleStructuralSimilarityIndexMeasure, normalize='relu'",
             .higher = 1},
    .structural = true,
    .measure = measure_ms_ssim,
};

static tsr_status measure_ms_ssim_cropped(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                          const char **why) {
    const tsr_structure *structure;
    const tsr_status status = tsr_metric_structure(ctx, p, &structure);
    *value = structure->ms_ssim_torchmetrics_cropped;
    *why = "a side is below 176 pixels";
    return status;
}
const tsr_metric tsr_metric_ms_ssim_cropped = {
    .info = {.name = "ms_ssim_cropped",
             .label = "MS-SSIM (cropped)",
             .unit = "",
             .protocol = "as ms_ssim, but the last scale counts places where the window lies "
                         "inside: torchmetrics' form before 1.4.2",
             .source = "torchmetrics MultiScaleStructuralSimilarityIndexMeasure, normalize='relu'",
             .higher = 1},
    .structural = true,
    .measure = measure_ms_ssim_cropped,
};

static tsr_status measure_ms_ssim_piq(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                      const char **why) {
    const tsr_structure *structure;
    const tsr_status status = tsr_metric_structure(ctx, p, &structure);
    *value = structure->ms_ssim_piq;
    *why = "a side is below 161 pixels";
    return status;
}
const tsr_metric tsr_metric_ms_ssim_piq = {
    .info = {.name = "ms_ssim_piq",
             .label = "MS-SSIM (piq)",
             .unit = "",
             .protocol = "8-bit RGB, 11x11 gaussian window, sigma 1.5, 5 scales, each channel for "
                         "itself, mean over channels at the end, sides from 161 on: piq's form",
             .source = "Wang et al. 2003; piq multi_scale_ssim",
             .higher = 1},
    .structural = true,
    .measure = measure_ms_ssim_piq,
};

static tsr_status measure_ssim_reflected(tsr_context *ctx, tsr_metric_pair *p, double *value,
                                         const char **why) {
    const tsr_structure *structure;
    const tsr_status status = tsr_metric_structure(ctx, p, &structure);
    *value = structure->ssim_torchmetrics;
    *why = "a side is below 6 pixels";
    return status;
}
const tsr_metric tsr_metric_ssim_torchmetrics = {
    .info = {.name = "ssim_torchmetrics",
             .label = "SSIM (reflected)",
             .unit = "",
             .protocol = "8-bit RGB, 11x11 gaussian window, sigma 1.5, the picture reflected by 5 "
                         "pixels and every place counted: torchmetrics' form from 1.4.2 on",
             .source = "torchmetrics StructuralSimilarityIndexMeasure",
             .higher = 1},
    .structural = true,
    .measure = measure_ssim_reflected,
};
