/* SPDX-License-Identifier: MIT */
/* verify_clip.c: golden cases of VQToken's whole way: a video to frames, pixels, features and
 * projected rows, first rows, clusters, canonical labels, tokens with the learned newline, and the
 * number of clusters. */
#include "verify_tower.h"

#include "../codec/view.h"
#include "../quantizer/spherical.h"
#include "../reduce/farthest.h"
#include <tessera/media.h>

#include <string.h>

enum { MOST_K = 64, LEAST_K = 12, PASSES = 50 };

/* ---- the video to rows ------------------------------------------------------------------------
 */

/* Projected rows of the clip as directions. */
typedef struct rows {
    float *unit; /* [n, dim] */
    int64_t frames, cells, n, dim;
} rows;

static rows rows_of(tsr_verify *v, const float *projected, int64_t frames, int64_t cells,
                    int64_t dim) {
    rows r = {.frames = frames, .cells = cells, .n = frames * cells, .dim = dim};
    r.unit = tsr_verify_take(v, r.n * dim, sizeof *r.unit, "directions");
    if (!v->status) v->status = tsr_vq_check(v->ctx, "projected", projected, r.n, dim);
    if (!v->status) tsr_spherical_unit(v->ctx, projected, r.n, dim, r.unit);
    return r;
}

/* The rows as stored, by the run that makes them. */
static rows stored_rows(tsr_verify *v, const cJSON *run) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", "projected");
    const tsr_tensor t = tsr_verify_array(v, entry, TSR_DTYPE_F32);
    if (t.rank != 3) tsr_verify_refuse(v, "projected: wanted frames x cells x channels");
    return v->status ? (rows){0} : rows_of(v, t.data, t.dim[0], t.dim[1], t.dim[2]);
}

static void close_frames(void **frames) {
    tsr_frames *f = *frames;
    tsr_frames_close(&f);
}

/* Appends the frames of the run's video to rgb, which becomes [frames, height, width, 3]. False
 * where this build does not read videos. */
static bool read_frames(tsr_verify *v, int64_t frames, tsr_pixels *p) {
    const tsr_frame_choice choice = {.rule = TSR_FRAMES_COUNT, .frames = (uint32_t)frames};
    const tsr_video_frame *frame = NULL;
    const tsr_frame_pick *pick = NULL;
    tsr_frames *video = NULL;
    uint8_t *all = NULL;
    char path[4096];
    tsr_verify_path(v, tsr_verify_text(v, v->run, "input"), path, sizeof path);
    if (v->status) return true;
    tsr_status s = tsr_frames_open(v->ctx, path, NULL, &choice, NULL, NULL, &video);
    if (s == TSR_ERROR_UNSUPPORTED) {
        tsr_verify_leave_out(v, "frames", "this build was made without what reads the clip");
        return false;
    }
    tsr_verify_close_later(v, video, close_frames);
    while (!s && !(s = tsr_frames_next(video, &frame, &pick)) && frame && p->count < frames) {
        const size_t bytes = (size_t)frame->width * frame->height * 3;
        if (!all) {
            p->tile = (tsr_tile_size){1, frame->height, frame->width};
            all = tsr_verify_take(v, frames, bytes, "frames");
        }
        if (!all) break;
        memcpy(all + (size_t)p->count++ * bytes, frame->rgb, bytes);
    }
    p->rgb = all;
    if (s) tsr_verify_record(v, s);
    if (!v->status && p->count != frames)
        tsr_verify_refuse(v, "frames: wanted %lld, got %d", (long long)frames, p->count);
    tsr_verify_u8(v, "frames", all, 4, (int64_t[]){frames, p->tile.height, p->tile.width, 3});
    return true;
}

/* Frames as the tower takes them. */
static tsr_pixels make_views(tsr_verify *v, const tsr_view *view, const tsr_pixels *p) {
    const tsr_pixels out = {
        tsr_verify_take(v, p->count, (size_t)view->width * view->height * 3, "pixels"),
        p->count,
        {1, view->height, view->width}};
    for (int i = 0; i < p->count && !v->status; ++i) {
        const size_t from = (size_t)p->tile.width * p->tile.height * 3,
                     to = (size_t)view->width * view->height * 3;
        const tsr_picture picture = {
            .rgb = p->rgb + (size_t)i * from, .width = p->tile.width, .height = p->tile.height};
        v->status = tsr_view_make(v->device, view, &picture,
                                  (uint8_t *)(uintptr_t)out.rgb + (size_t)i * to);
    }
    tsr_verify_u8(v, "pixels", out.rgb, 4,
                  (int64_t[]){p->count, out.tile.height, out.tile.width, 3});
    return out;
}

/* The rows that the case's tower and projector make of the video. */
static rows make_rows(tsr_verify *v) {
    const int64_t frames = (int64_t)tsr_verify_number(v->run, "frames", 0);
    const tsr_vit_tower *t = tsr_verify_tower_model(v);
    tsr_pixels p = {0};
    if (frames < 1 || frames > 1024) tsr_verify_refuse(v, "frames: wanted 1 to 1024");
    if (v->status) return (rows){0};
    if (!read_frames(v, frames, &p)) return stored_rows(v, v->run);
    if (v->status) return (rows){0};
    p = make_views(v, &t->view, &p);
    const tsr_grid_size grid = {t->view.height / t->patch, t->view.width / t->patch};
    const int64_t cells = grid.rows * grid.columns, dim = t->projector.width;
    float *patches =
        tsr_verify_take(v, frames * cells * tsr_vit_tower_inputs(t), sizeof *patches, "patches");
    tsr_feature list[2] = {
        {TSR_FEATURE_PATCHES, TSR_LAYER_USUAL,
         tsr_verify_take(v, frames * cells * t->width, sizeof(float), "features")},
        {TSR_FEATURE_PROJECTED, TSR_LAYER_USUAL,
         tsr_verify_take(v, frames * cells * dim, sizeof(float), "projected rows")}};
    if (v->status) return (rows){0};
    tsr_vit_tower_cut(t, &p, patches);
    v->status = tsr_vit_tower_rows(t, patches, frames, grid, list, 2);
    tsr_verify_f32(v, "features", list[0].values, 3, (int64_t[]){frames, cells, t->width});
    tsr_verify_f32(v, "projected", list[1].values, 3, (int64_t[]){frames, cells, dim});
    return v->status ? (rows){0} : rows_of(v, list[1].values, frames, cells, dim);
}

/* Picks `count` first rows and compares them with the run's. */
static void pick_rows(tsr_verify *v, const rows *r, int count, float *first) {
    int wanted[MOST_K];
    tsr_verify_integers(v, v->run, "first_rows", wanted, count, count);
    tsr_farthest f = {0};
    if (!v->status) v->status = tsr_farthest_open(v->device, &f, r->unit, r->n, r->dim);
    if (!v->status) tsr_farthest_pick(&f, count);
    int same = 0;
    for (int c = 0; c < count && !v->status; ++c) {
        same += f.rows[c] == wanted[c];
        memcpy(first + c * r->dim, r->unit + f.rows[c] * r->dim, sizeof *first * (size_t)r->dim);
    }
    tsr_verify_line(v, "first_rows", same == count, "%d of %d", same, count);
    tsr_farthest_close(&f);
}

static tsr_spherical_result take_result(tsr_verify *v, const rows *r, int k) {
    return (tsr_spherical_result){
        .labels = tsr_verify_take(v, r->n, sizeof(int32_t), "labels"),
        .margins = tsr_verify_take(v, r->n, sizeof(float), "margins"),
        .counts = tsr_verify_take(v, k, sizeof(int32_t), "counts"),
        .codebook = tsr_verify_take(v, k * r->dim, sizeof(float), "codebook"),
    };
}

/* ---- a fixed number ---------------------------------------------------------------------------
 */

/* Codebook rows, then the learned newline. */
static void compare_tokens(tsr_verify *v, const float *codebook, int k, int64_t dim) {
    const tsr_vit_tower *t = tsr_verify_tower_model(v);
    float *tokens = tsr_verify_take(v, (k + 1) * dim, sizeof *tokens, "tokens");
    tsr_weight *newline = v->status ? NULL : tsr_weights_find(t->weights, "image_newline");
    const float *values = NULL;
    if (!v->status && !newline) tsr_verify_refuse(v, "image_newline: wanted a tensor");
    if (!v->status) v->status = tsr_weight_borrow(v->ctx, newline, &values);
    if (v->status) return;
    memcpy(tokens, codebook, sizeof *tokens * (size_t)(k * dim));
    memcpy(tokens + k * dim, values, sizeof *tokens * (size_t)dim);
    tsr_weight_return(newline, values);
    tsr_verify_f32(v, "tokens", tokens, 2, (int64_t[]){k + 1, dim});
}

void tsr_verify_vqtoken_clip(tsr_verify *v) {
    const rows r = make_rows(v);
    const int k = (int)tsr_verify_number(v->run, "clusters", 0);
    const int passes = (int)tsr_verify_number(v->run, "passes", 0);
    if (k < 1 || k > MOST_K) tsr_verify_refuse(v, "clusters: wanted 1 to %d, got %d", MOST_K, k);
    if (v->status) return;
    float *first = tsr_verify_take(v, k * r.dim, sizeof *first, "first rows");
    tsr_spherical_result c = take_result(v, &r, k);
    if (!v->status) pick_rows(v, &r, k, first);
    if (!v->status)
        v->status = tsr_spherical_kmeans_unit(v->device, r.unit, r.n, r.dim, k, PASSES, first, &c);
    tsr_verify_line(v, "passes", (int)c.passes == passes, "wanted %d, got %u", passes, c.passes);
    tsr_verify_ids(v, c.labels, c.margins, 2, (int64_t[]){r.frames, r.cells});
    tsr_verify_i32(v, "counts", c.counts, 1, (int64_t[]){k});
    tsr_verify_f32(v, "codebook", c.codebook, 2, (int64_t[]){k, r.dim});
    if (!v->status) compare_tokens(v, c.codebook, k, r.dim);
    if (!v->status) v->status = tsr_spherical_canonical(v->ctx, r.n, r.dim, k, &c);
    tsr_verify_i32(v, "canonical_ids", c.labels, 2, (int64_t[]){r.frames, r.cells});
}

/* ---- the elbow --------------------------------------------------------------------------------
 */

/* The run of the case that stores projected rows. */
static const cJSON *rows_run(tsr_verify *v) {
    const cJSON *runs = cJSON_GetObjectItemCaseSensitive(v->manifest, "runs"), *run;
    cJSON_ArrayForEach(run, runs) {
        if (tsr_verify_entry(run, "outputs", "projected")) return run;
    }
    tsr_verify_refuse(v, "runs: wanted one that stores projected rows, got none");
    return NULL;
}

static void compare_curve(tsr_verify *v, const float *got, int count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "distortions"), *item;
    const double tolerance = tsr_verify_number(v->run, "distortion_tolerance", 0);
    double worst = 0;
    int n = 0;
    cJSON_ArrayForEach(item, list) {
        const double difference = n < count ? item->valuedouble - (double)got[n] : 0;
        if (difference > worst) worst = difference;
        if (-difference > worst) worst = -difference;
        ++n;
    }
    tsr_verify_line(v, "distortions", n == count && worst <= tolerance,
                    "%d of %d numbers, worst difference %.3g, wanted at most %.3g", n, count, worst,
                    tolerance);
}

static void compare_k(tsr_verify *v, const char *field, int64_t got) {
    const int wanted = (int)tsr_verify_number(v->run, field, -1);
    tsr_verify_line(v, field, got == wanted, "wanted %d, got %d", wanted, (int)got);
}

void tsr_verify_vqtoken_elbow(tsr_verify *v) {
    const cJSON *run = rows_run(v);
    const rows r = run ? stored_rows(v, run) : (rows){0};
    const int from = (int)tsr_verify_number(v->run, "k_from", 0);
    const int to = (int)tsr_verify_number(v->run, "k_to", 0);
    const int passes = (int)tsr_verify_number(v->run, "rounds_max", 0);
    if (from != LEAST_K || to < from + 2 || to > MOST_K || passes < 1)
        tsr_verify_refuse(v, "k_from, k_to and rounds_max: wanted 12 and numbers above");
    if (v->status) return;
    float *first = tsr_verify_take(v, to * r.dim, sizeof *first, "first rows");
    float *moved = tsr_verify_take(v, to * r.dim, sizeof *moved, "centroids");
    tsr_spherical_result c = take_result(v, &r, to);
    float curve[MOST_K];
    if (!v->status) pick_rows(v, &r, to, first);
    for (int k = from; k <= to && !v->status; ++k) {
        memcpy(moved, first, sizeof *moved * (size_t)(k * r.dim));
        v->status = tsr_spherical_kmeans_unit(v->device, r.unit, r.n, r.dim, k, (uint32_t)passes,
                                              moved, &c);
        curve[k - from] = (float)tsr_spherical_distortion(&c, k, r.dim, (double)r.n);
    }
    if (v->status) return;
    compare_curve(v, curve, to - from + 1);
    compare_k(v, "released_K", tsr_elbow_released(curve, to - from + 1));
    compare_k(v, "true_elbow_K", tsr_elbow(curve, to - from + 1, from));
}
