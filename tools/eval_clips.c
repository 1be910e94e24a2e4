/* SPDX-License-Identifier: MIT */
/* eval_clips.c: metrics of clips, and two folders of clips. */
#include "eval_video.h"

#include <tessera/videos.h>

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- metrics ---- */

tsr_status eval_metrics_open(tool *t, const measure_meaning *m, eval_metrics *metrics) {
    *metrics = (eval_metrics){.t = t, .names = &m->metrics};
    return m->metrics.count ? tsr_clip_measure_open(t->ctx, &m->settings, &metrics->measure)
                            : TSR_OK;
}

void eval_metrics_protocols(const eval_metrics *m, json_out *j) {
    for (int i = 0; m->measure && i < m->names->count; ++i) {
        tsr_metric_info info;
        tsr_metric_at(tsr_metric_find(m->names->at[i]), &info);
        json_text(j, info.name, info.protocol);
    }
}

/* Metric `i` of those asked for. */
static void metric_at(const eval_metrics *m, int i, tsr_metric_info *info, tsr_set_score *score,
                      tsr_metric_model *model) {
    tsr_metric_at(tsr_metric_find(m->names->at[i]), info);
    const tsr_status status = tsr_clip_measure_score(m->measure, i, score, model);
    if (status) {
        score->value = NAN;
        snprintf(score->warning, sizeof score->warning, "%.250s", tsr_detail(m->t->ctx));
    }
}

void eval_metrics_json(const eval_metrics *m, json_out *j) {
    if (!m->measure) return;
    json_object(j, "sets");
    for (int i = 0; i < m->names->count; ++i) {
        tsr_metric_info info;
        tsr_metric_model model;
        tsr_set_score score;
        metric_at(m, i, &info, &score, &model);
        json_object(j, info.name);
        json_real(j, "value", score.value);
        json_uint(j, "count", score.count);
        if (*score.warning) json_text(j, "warning", score.warning);
        json_text(j, "model", model.name);
        json_hash(j, "model_hash", model.hash);
        json_text(j, "licence", model.licence);
        json_end(j, '}');
    }
    json_end(j, '}');
}

void eval_metrics_print(const eval_metrics *m) {
    for (int i = 0; m->measure && i < m->names->count; ++i) {
        tsr_metric_info info;
        tsr_metric_model model;
        tsr_set_score score;
        metric_at(m, i, &info, &score, &model);
        if (isnan(score.value))
            printf("%-13s %12s  # %s\n", info.name, "-", score.warning);
        else
            printf("%-13s %12.6f  # %s\n", info.name, score.value, info.protocol);
        if (!isnan(score.value) && *score.warning) printf("# %s: %s\n", info.name, score.warning);
        printf("# %s: %s, %016" PRIx64 ", licence %s\n", info.name, model.name, model.hash,
               model.licence);
    }
}

/* ---- folders ---- */

/* The clips of a folder, in natural order. */
typedef struct clip_list {
    struct dirent **at;
    int count;
} clip_list;

static int is_shown(const struct dirent *entry) {
    return *entry->d_name != '.';
}

/* Returns -1, or the exit code. */
static int list_clips(tool *t, const char *folder, bool tokens, clip_list *list) {
    const int found = scandir(folder, &list->at, is_shown, versionsort);
    if (found < 0)
        return tool_fail_text(t, TSR_ERROR_IO, "%s: wanted a folder of clips, got none", folder);
    for (int i = 0; i < found; ++i) {
        char *path = NULL;
        const bool named = asprintf(&path, "%s/%s", folder, list->at[i]->d_name) >= 0;
        if (named && (tsr_video_is(path) || (tokens && eval_is_clip(t, path))))
            list->at[list->count++] = list->at[i];
        else
            free(list->at[i]);
        if (named) free(path);
    }
    return -1;
}

static void free_clips(clip_list *list) {
    for (int i = 0; i < list->count; ++i)
        free(list->at[i]);
    free(list->at);
}

/* Bytes of a name without its suffix. */
static size_t stem(const char *name) {
    const char *dot = strrchr(name, '.');
    return dot && dot != name ? (size_t)(dot - name) : strlen(name);
}

static int find_clip(const clip_list *list, const char *name) {
    const size_t n = stem(name);
    for (int i = 0; i < list->count; ++i)
        if (stem(list->at[i]->d_name) == n && !strncmp(list->at[i]->d_name, name, n)) return i;
    return -1;
}

typedef struct folders {
    tool *t;
    const char *folder[2];
    clip_list list[2];
    const eval_clip_choices *c;
    eval_metrics metrics;
    json_out j;
    uint64_t frames;   /* of all clips */
    tsr_status status; /* of the metrics: it stopped a comparison */
    int alone, failed;
} folders;

/* tsr_frame_score_fn */
static int take_frame(void *user, const tsr_frame_score *score) {
    folders *f = user;
    f->status = tsr_clip_measure_add(f->metrics.measure, score);
    return f->status || tool_progress(f->t, "comparing frames", ++f->frames, 0);
}

static tsr_status compare(folders *f, const char *original, const char *candidate,
                          tsr_video_evaluation *e) {
    tsr_status status;
    if (eval_is_clip(f->t, candidate)) {
        tsr_clip_evaluate_settings s = tsr_clip_evaluate_settings_default();
        s.model = f->c->m->settings.model;
        s.model.model = f->c->m->model_count ? f->c->m->models[0] : NULL;
        s.square_pixels = f->c->square_pixels;
        status = tsr_clip_evaluate(f->t->ctx, original, candidate, &s, take_frame, f, e, NULL);
    } else {
        status = tsr_video_evaluate(f->t->ctx, original, candidate, NULL, take_frame, f, e);
    }
    tsr_clip_measure_end(f->metrics.measure);
    return status;
}

static void tell_clip(folders *f, const char *name, const tsr_video_evaluation *e,
                      const char *error) {
    tool_progress_clear(f->t);
    if (error) {
        f->failed++;
        tool_warn(f->t, "%s: %s", name, error);
    }
    if (!f->t->o->json) {
        char clean[1024];
        printf("%-32s %8" PRIu64 " %9.4f %9.6f %9.4f\n", tool_clean(name, clean, sizeof clean),
               e->frames, e->psnr_pooled, e->ssim_gaussian, e->flicker);
        return;
    }
    json_object(&f->j, NULL);
    json_text(&f->j, "name", name);
    if (error) json_text(&f->j, "error", error);
    json_uint(&f->j, "frames", e->frames);
    json_real(&f->j, "psnr_pooled", e->psnr_pooled);
    json_real(&f->j, "ssim_gaussian", e->ssim_gaussian);
    json_real(&f->j, "flicker", e->flicker);
    json_end(&f->j, '}');
}

/* Compares the clip of a name. A clip that cannot be compared to its end costs what is left of it
 * alone. Returns -1, or the exit code of what ends all. */
static int one_clip(folders *f, const char *name) {
    tsr_video_evaluation e = {0};
    char *path[2] = {NULL, NULL};
    const int other = find_clip(&f->list[1], name);
    if (other < 0) {
        f->alone++;
        tool_warn(f->t, "%s: no reconstruction", name);
        return -1;
    }
    const char *const names[2] = {name, f->list[1].at[other]->d_name};
    tsr_status status = TSR_OK;
    for (int i = 0; i < 2 && !status; ++i)
        if (asprintf(&path[i], "%s/%s", f->folder[i], names[i]) < 0) status = TSR_ERROR_MEMORY;
    if (!status) status = compare(f, path[0], path[1], &e);
    free(path[0]);
    free(path[1]);
    if (f->status || status == TSR_ERROR_MEMORY || status == TSR_ERROR_INTERRUPTED ||
        status == TSR_ERROR_DEVICE || status == TSR_ERROR_DEVICE_LOST)
        return tool_fail(f->t, f->status ? f->status : status);
    tell_clip(f, name, &e, status ? tsr_detail(f->t->ctx) : NULL);
    return -1;
}

static void begin(folders *f) {
    if (!f->t->o->json) {
        printf("%-32s %8s %9s %9s %9s\n", "clip", "frames", "psnr", "ssim_gau", "flicker");
        return;
    }
    tool_json(f->t, &f->j);
    json_object(&f->j, "protocol");
    eval_metrics_protocols(&f->metrics, &f->j);
    json_end(&f->j, '}');
    json_text(&f->j, "originals", f->folder[0]);
    json_text(&f->j, "candidates", f->folder[1]);
    json_array(&f->j, "clips");
}

static int compare_all(folders *f) {
    int code = -1;
    begin(f);
    for (int i = 0; i < f->list[0].count && code < 0; ++i)
        code = one_clip(f, f->list[0].at[i]->d_name);
    for (int i = 0; i < f->list[1].count && code < 0; ++i)
        if (find_clip(&f->list[0], f->list[1].at[i]->d_name) < 0) {
            f->alone++;
            tool_warn(f->t, "%s: no original", f->list[1].at[i]->d_name);
        }
    tool_progress_clear(f->t);
    if (code >= 0) return code;
    if (f->t->o->json) {
        json_end(&f->j, ']');
        eval_metrics_json(&f->metrics, &f->j);
        json_close(&f->j);
    } else {
        eval_metrics_print(&f->metrics);
    }
    return f->alone || f->failed ? EXIT_NEGATIVE : EXIT_DONE;
}

int eval_clip_folders(tool *t, const char *originals, const char *candidates,
                      const eval_clip_choices *choices) {
    folders f = {.t = t, .folder = {originals, candidates}, .c = choices};
    int code = list_clips(t, originals, false, &f.list[0]);
    if (code < 0) code = list_clips(t, candidates, true, &f.list[1]);
    if (code < 0 && (!f.list[0].count || !f.list[1].count))
        code = tool_fail_text(t, TSR_ERROR_NOT_FOUND, "%s: wanted clips, got none",
                              f.list[0].count ? candidates : originals);
    if (code < 0) {
        const tsr_status status = eval_metrics_open(t, choices->m, &f.metrics);
        code = status ? tool_fail(t, status) : compare_all(&f);
    }
    tsr_clip_measure_close(&f.metrics.measure);
    free_clips(&f.list[0]);
    free_clips(&f.list[1]);
    return code;
}
