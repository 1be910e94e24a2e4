/* SPDX-License-Identifier: MIT */
/* video.c: the public reader: a thread that decodes ahead into a ring of slots, and the caller who
 * takes them out in order. A seek ends the thread, sends the kind to a frame before, and starts it
 * again with the target, up to which the thread passes frames over. */
#include "video.h"
#include "../compute/threads.h"
#include "../formats/file.h"
#include "image.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SLOTS = 16, REMARKS = 32, REMARK_BYTES = 240 };

struct tsr_video_remark_list {
    tsr_context *ctx; /* whose log they go to */
    pthread_mutex_t lock;
    int count;
    const char *at[REMARKS];
    char text[REMARKS][REMARK_BYTES];
};

struct tsr_video {
    tsr_context *ctx; /* the caller's */
    tsr_context *own; /* of the kind: the caller's thread while opening and seeking, then the
                         decoder's */
    tsr_video_settings s;
    tsr_video_info info;
    tsr_video_remark_list remarks;
    tsr_video_input input;
    char *path, *name;
    const tsr_video_kind *kind;
    void *state;
    /* the ring: `filled` slots from `first` on; the caller holds one more, `held` */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool started, stop, ended;
    tsr_video_slot slot[SLOTS];
    int slots, first, filled;
    bool held;
    tsr_status status; /* of the end */
    char detail[1024];
    /* the decoder's */
    bool spare_filled;    /* `spare` holds the next frame that comes out */
    tsr_video_slot spare; /* the frame behind, while a target is looked for */
    int64_t target;       /* of a seek, or TSR_NO_TIME */
    bool rewound;         /* the target is looked for from the first frame on */
    uint64_t next_index;
    int64_t first_pts;
};

tsr_video_settings tsr_video_settings_default(void) {
    return (tsr_video_settings){.background = {255, 255, 255}};
}

/* ---- what kinds call ---------------------------------------------------------------------------
 */

void tsr_video_remark(tsr_video_remark_list *r, const char *format, ...) {
    char text[REMARK_BYTES];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    pthread_mutex_lock(&r->lock);
    bool known = r->count == REMARKS;
    for (int i = 0; i < r->count && !known; ++i)
        known = !strcmp(r->at[i], text);
    if (!known) {
        strcpy(r->text[r->count], text);
        r->at[r->count] = r->text[r->count];
        r->count++;
    }
    pthread_mutex_unlock(&r->lock);
    if (!known) tsr_log(r->ctx, TSR_LOG_INFO, "%s", text);
}

tsr_status tsr_video_slot_size(tsr_context *ctx, tsr_video_slot *slot, uint32_t width,
                               uint32_t height) {
    const size_t bytes = (size_t)width * height * 3;
    if (bytes > slot->room) {
        free(slot->bytes);
        slot->room = 0;
        slot->bytes = tsr_alloc(ctx, (size_t)width * height, 3, "frame of a video");
        if (!slot->bytes) return TSR_ERROR_MEMORY;
        slot->room = bytes;
    }
    slot->frame.rgb = slot->bytes;
    slot->frame.width = width;
    slot->frame.height = height;
    return TSR_OK;
}

tsr_status tsr_video_slot_turn(tsr_context *ctx, tsr_video_slot *slot, int orientation) {
    if (orientation == 1) return TSR_OK;
    tsr_image image = {
        .width = (int)slot->frame.width, .height = (int)slot->frame.height, .rgb = slot->bytes};
    const tsr_status s = tsr_image_turn(ctx, "frame of a video", orientation, &image);
    if (s) return s;
    slot->bytes = image.rgb;
    slot->room = (size_t)image.width * (size_t)image.height * 3;
    slot->frame.rgb = slot->bytes;
    slot->frame.width = (uint32_t)image.width;
    slot->frame.height = (uint32_t)image.height;
    return TSR_OK;
}

tsr_status tsr_video_change_of(tsr_context *ctx, tsr_video_change *c, const uint8_t *from,
                               ptrdiff_t stride, size_t bytes, uint32_t rows, double *difference) {
    const size_t all = bytes * rows;
    const bool compare = c->filled && c->bytes == all;
    uint64_t sum = 0;
    if (all > c->room) {
        free(c->last);
        *c = (tsr_video_change){.last = tsr_alloc(ctx, all, 1, "luma of a frame")};
        if (!c->last) return TSR_ERROR_MEMORY;
        c->room = all;
    }
    for (uint32_t y = 0; y < rows; ++y) {
        const uint8_t *a = from + (ptrdiff_t)y * stride;
        uint8_t *b = c->last + y * bytes;
        uint32_t row = 0;
        if (compare)
            for (size_t i = 0; i < bytes; ++i)
                row += (uint32_t)(a[i] < b[i] ? b[i] - a[i] : a[i] - b[i]);
        sum += row;
        memcpy(b, a, bytes);
    }
    c->bytes = all;
    c->filled = true;
    *difference = compare ? (double)sum / (double)all : 0;
    return TSR_OK;
}

/* ---- the decoder's thread ----------------------------------------------------------------------
 */

/* The limits that a frame may exceed. */
static tsr_status check_limits(tsr_video *v, const tsr_video_frame *f) {
    const tsr_rational base = v->info.time_base;
    if (v->next_index != TSR_NO_INDEX && v->next_index >= v->s.max_frames)
        return tsr_fail(v->own, TSR_ERROR_TOO_LARGE, "%s: frames: wanted at most %llu, got more",
                        v->name, (unsigned long long)v->s.max_frames);
    if (f->pts == TSR_NO_TIME || !base.den || v->s.max_seconds <= 0) return TSR_OK;
    if (v->first_pts == TSR_NO_TIME) v->first_pts = f->pts;
    const double at = ((double)f->pts - (double)v->first_pts) * (double)base.num / (double)base.den;
    if (at <= v->s.max_seconds) return TSR_OK;
    return tsr_fail(v->own, TSR_ERROR_TOO_LARGE,
                    "%s: length: wanted at most %g s, got a frame at %g s", v->name,
                    v->s.max_seconds, at);
}

static void swap_slots(tsr_video_slot *a, tsr_video_slot *b) {
    const tsr_video_slot t = *a;
    *a = *b;
    *b = t;
}

static tsr_status next_of(tsr_video *v, tsr_video_slot *slot, bool *end) {
    *end = false;
    return v->kind->next(v->state, slot, end);
}

/* Decodes into `slot` the next frame that comes out. While a target is looked for the frame on
 * screen there is the last at or before it, which the one behind it shows: that waits in `spare`.
 */
static tsr_status decode_one(tsr_video *v, tsr_video_slot *slot, bool *end) {
    *end = false;
    if (v->spare_filled) { /* the frame behind the target's */
        swap_slots(slot, &v->spare);
        v->spare_filled = false;
        return TSR_OK;
    }
    tsr_status s = next_of(v, slot, end);
    bool found = false;
    while (!s && v->target != TSR_NO_TIME) {
        if (*end && found) { /* the target is on or behind the last frame */
            swap_slots(slot, &v->spare);
            v->target = TSR_NO_TIME;
            *end = false; /* the kind says again that it is at its end */
            return TSR_OK;
        }
        if (*end && v->rewound) break;
        if (*end) { /* nothing could be shown from there on */
            v->rewound = true;
            s = v->kind->seek(v->state, TSR_NO_TIME);
            if (!s) s = next_of(v, slot, end);
            continue;
        }
        const bool behind = slot->frame.pts != TSR_NO_TIME && slot->frame.pts > v->target;
        if (behind && (found || v->rewound)) { /* without one before, it is the first of all */
            v->target = TSR_NO_TIME;
            if (found) swap_slots(slot, &v->spare);
            v->spare_filled = found;
            return TSR_OK;
        }
        if (behind) {
            v->rewound = true;
            s = v->kind->seek(v->state, TSR_NO_TIME);
        } else {
            swap_slots(slot, &v->spare);
            found = true;
        }
        if (!s) s = next_of(v, slot, end);
    }
    return s;
}

static void *decode_all(void *arg) {
    tsr_video *v = arg;
    pthread_mutex_lock(&v->lock);
    while (!v->stop && !v->ended) {
        if (v->filled + (v->held ? 1 : 0) >= v->slots) {
            pthread_cond_wait(&v->changed, &v->lock);
            continue;
        }
        tsr_video_slot *slot = &v->slot[(v->first + v->filled + (v->held ? 1 : 0)) % v->slots];
        pthread_mutex_unlock(&v->lock);
        bool end = false;
        tsr_status s = decode_one(v, slot, &end);
        if (!s && !end) s = check_limits(v, &slot->frame);
        if (!s && !end) {
            slot->frame.index = v->next_index;
            if (v->next_index != TSR_NO_INDEX) v->next_index++;
        }
        if (!s && end && v->next_index == 0)
            s = tsr_fail(v->own, TSR_ERROR_TRUNCATED, "%s: wanted at least one frame, got none",
                         v->name);
        pthread_mutex_lock(&v->lock);
        if (s || end) {
            v->status = s;
            snprintf(v->detail, sizeof v->detail, "%s", s ? tsr_detail(v->own) : "");
            v->ended = true;
        } else
            v->filled++;
        pthread_cond_broadcast(&v->changed);
    }
    pthread_mutex_unlock(&v->lock);
    return NULL;
}

static tsr_status start(tsr_video *v) {
    v->stop = v->ended = false;
    v->status = TSR_OK;
    v->first = v->filled = 0;
    v->held = false;
    if (pthread_create(&v->thread, NULL, decode_all, v))
        return tsr_fail(v->ctx, TSR_ERROR_MEMORY, "%s: no thread to decode with", v->name);
    v->started = true;
    return TSR_OK;
}

static void halt(tsr_video *v) {
    if (!v->started) return;
    pthread_mutex_lock(&v->lock);
    v->stop = true;
    pthread_cond_broadcast(&v->changed);
    pthread_mutex_unlock(&v->lock);
    pthread_join(v->thread, NULL);
    v->started = false;
}

/* ---- the caller --------------------------------------------------------------------------------
 */

/* Hands on what the kind said on its own context. */
static tsr_status hand_on(tsr_video *v, tsr_status status) {
    return status ? tsr_fail(v->ctx, status, "%s", tsr_detail(v->own)) : TSR_OK;
}

static tsr_status open_input(tsr_video *v, const char *path) {
    tsr_video_input *in = &v->input;
    struct stat st;
    v->path = strdup(path);
    v->name = strdup(strcmp(path, "-") ? path : "standard input");
    if (!v->path || !v->name) return tsr_fail(v->ctx, TSR_ERROR_MEMORY, "no memory for a path");
    in->path = v->path;
    in->name = v->name;
    in->fd = -1;
    if (strcmp(path, "-") && !stat(path, &st) && S_ISDIR(st.st_mode)) return TSR_OK;
    tsr_status s = tsr_in_open(v->ctx, path, &in->fd);
    size_t got = 1;
    while (!s && got && in->head_size < TSR_VIDEO_HEAD) {
        s = tsr_in_read(v->ctx, v->name, in->fd, in->head + in->head_size,
                        TSR_VIDEO_HEAD - in->head_size, &got);
        in->head_size += got;
    }
    if (s) return s;
    in->seekable = !fstat(in->fd, &st) && S_ISREG(st.st_mode);
    if (!in->head_size)
        return tsr_fail(v->ctx, TSR_ERROR_TRUNCATED, "%s: wanted a video, got 0 bytes", v->name);
    return TSR_OK;
}

static const tsr_video_kind *kind_of(const tsr_video_input *in) {
    if (in->fd < 0) return &tsr_video_kind_folder;
    if (in->head_size >= 12 && !memcmp(in->head, "RIFF", 4) && !memcmp(in->head + 8, "WEBP", 4))
        return &tsr_video_kind_webp;
    return &tsr_video_kind_av;
}

/* Puts numbers in the place of defaults. Errors: ARGUMENT. */
static tsr_status complete_settings(tsr_video *v, const tsr_video_settings *given) {
    tsr_video_settings *s = &v->s;
    *s = given ? *given : tsr_video_settings_default();
    if ((unsigned)s->matrix > TSR_VIDEO_MATRIX_BT2020 || (unsigned)s->range > TSR_VIDEO_RANGE_FULL)
        return tsr_fail(v->ctx, TSR_ERROR_ARGUMENT,
                        "video: wanted a matrix of BT601, BT709 or BT2020 and a range, got %d, %d",
                        (int)s->matrix, (int)s->range);
    if (s->threads < 0 || s->threads > 16 || s->rate.num < 0 || s->rate.den < 0 ||
        !(s->max_seconds >= 0) || (s->rate.den && !s->rate.num))
        return tsr_fail(
            v->ctx, TSR_ERROR_ARGUMENT,
            "video: wanted 0..16 threads, a rate and a length that are not below 0, got "
            "%d, %lld/%lld, %g",
            s->threads, (long long)s->rate.num, (long long)s->rate.den, s->max_seconds);
    if (!s->threads) s->threads = tsr_thread_count(v->ctx) < 4 ? tsr_thread_count(v->ctx) : 4;
    if (!s->max_pixels) s->max_pixels = (uint64_t)1 << 26;
    if (!s->max_frames) s->max_frames = INT32_MAX;
    if (!s->memory) s->memory = (uint64_t)64 << 20;
    return TSR_OK;
}

static tsr_status open_kind(tsr_video *v, tsr_video_tap_fn tap, void *tap_user) {
    const tsr_video_opening o = {.ctx = v->own,
                                 .input = &v->input,
                                 .settings = &v->s,
                                 .info = &v->info,
                                 .remarks = &v->remarks,
                                 .tap = tap,
                                 .tap_user = tap_user};
    v->kind = kind_of(&v->input);
    v->info.loops = -1;
    v->info.seekable = v->input.fd < 0 || v->input.seekable;
    tsr_status s = v->kind->open(&o, &v->state);
    if (s) return hand_on(v, s);
    const uint64_t pixels = (uint64_t)v->info.width * v->info.height;
    if (pixels > v->s.max_pixels)
        return tsr_fail(v->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: frame: wanted at most %llu pixels, got %u x %u", v->name,
                        (unsigned long long)v->s.max_pixels, v->info.width, v->info.height);
    /* One is in the caller's hands, one is decoded: what fits beside them waits. */
    const uint64_t fit = v->s.memory / (pixels ? pixels * 3 : 1);
    v->slots = fit < 2 ? 2 : fit > SLOTS ? SLOTS : (int)fit;
    return start(v);
}

tsr_status tsr_video_open_tapped(tsr_context *ctx, const char *path,
                                 const tsr_video_settings *settings, tsr_video_tap_fn tap,
                                 void *tap_user, tsr_video **video) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (video) *video = NULL;
    if (!path || !video)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "video: %s: wanted an address, got NULL",
                        path ? "video" : "path");
    tsr_video *v = tsr_alloc(ctx, 1, sizeof *v, "video");
    if (!v) return TSR_ERROR_MEMORY;
    v->ctx = v->remarks.ctx = ctx;
    v->input.fd = -1;
    v->target = v->first_pts = TSR_NO_TIME;
    pthread_mutex_init(&v->lock, NULL);
    pthread_mutex_init(&v->remarks.lock, NULL);
    pthread_cond_init(&v->changed, NULL);
    tsr_context_settings own = ctx->settings;
    own.threads = 1;
    tsr_status s = complete_settings(v, settings);
    if (!s && tsr_context_open(&v->own, &own))
        s = tsr_fail(ctx, TSR_ERROR_MEMORY, "video: no memory for a context");
    if (!s) s = open_input(v, path);
    if (!s) s = open_kind(v, tap, tap_user);
    if (s)
        tsr_video_close(&v);
    else
        *video = v;
    return s;
}

tsr_status tsr_video_open(tsr_context *ctx, const char *path, const tsr_video_settings *settings,
                          tsr_video **video) {
    return tsr_video_open_tapped(ctx, path, settings, NULL, NULL, video);
}

void tsr_video_close(tsr_video **video) {
    tsr_video *v = video ? *video : NULL;
    if (!v) return;
    halt(v);
    if (v->kind && v->state) v->kind->close(v->state);
    if (v->input.fd >= 0) tsr_in_close(v->input.fd);
    for (int i = 0; i < SLOTS; ++i)
        free(v->slot[i].bytes);
    free(v->spare.bytes);
    free(v->path);
    free(v->name);
    tsr_context_close(&v->own);
    pthread_cond_destroy(&v->changed);
    pthread_mutex_destroy(&v->remarks.lock);
    pthread_mutex_destroy(&v->lock);
    free(v);
    *video = NULL;
}

const tsr_video_info *tsr_video_properties(const tsr_video *video) {
    return video ? &video->info : NULL;
}

tsr_status tsr_video_next(tsr_video *video, const tsr_video_frame **frame) {
    if (!video || !frame) return TSR_ERROR_ARGUMENT;
    tsr_video *v = video;
    *frame = NULL;
    pthread_mutex_lock(&v->lock);
    if (v->held) { /* the frame of the call before is free */
        v->held = false;
        v->first = (v->first + 1) % v->slots;
        pthread_cond_broadcast(&v->changed);
    }
    while (!v->filled && !v->ended)
        pthread_cond_wait(&v->changed, &v->lock);
    tsr_status s = TSR_OK;
    if (v->filled) {
        v->filled--;
        v->held = true;
        *frame = &v->slot[v->first].frame;
    } else if (v->status)
        s = tsr_fail(v->ctx, v->status, "%s", v->detail);
    pthread_mutex_unlock(&v->lock);
    return s;
}

tsr_status tsr_video_seek(tsr_video *video, int64_t pts) {
    if (!video) return TSR_ERROR_ARGUMENT;
    tsr_video *v = video;
    if (!v->info.seekable || !v->info.has_times)
        return tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: seek: wanted a file whose frames have times, got %s", v->name,
                        v->info.seekable ? "frames without" : "a pipe");
    if (pts == TSR_NO_TIME)
        return tsr_fail(v->ctx, TSR_ERROR_ARGUMENT, "%s: seek: wanted a time, got none", v->name);
    halt(v);
    v->spare_filled = false;
    v->target = pts;
    v->rewound = false;
    v->next_index = TSR_NO_INDEX;
    const tsr_status s = hand_on(v, v->kind->seek(v->state, pts));
    if (!s) return start(v);
    pthread_mutex_lock(&v->lock);
    v->ended = true;
    v->filled = 0;
    v->held = false;
    v->status = s;
    snprintf(v->detail, sizeof v->detail, "%s", tsr_detail(v->ctx));
    pthread_mutex_unlock(&v->lock);
    return s;
}

const char *const *tsr_video_remarks(tsr_video *video, int *count) {
    *count = 0;
    if (!video) return NULL;
    pthread_mutex_lock(&video->remarks.lock);
    *count = video->remarks.count;
    pthread_mutex_unlock(&video->remarks.lock);
    return video->remarks.at;
}
