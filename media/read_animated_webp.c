/* SPDX-License-Identifier: MIT */
/* read_animated_webp.c: animated WebP as a video, through libwebp's demuxer (FFmpeg 8 still has
 * none). A still one is a video of one frame. */
#include "video.h"

#ifdef TESSERA_WITH_WEBP
#include "../formats/file.h"
#include "reader.h"

#include <stdlib.h>
#include <string.h>
#include <webp/demux.h>

typedef struct webp_video {
    tsr_video_opening o;
    tsr_map map;    /* of a file */
    uint8_t *bytes; /* of a pipe */
    size_t size, room;
    WebPAnimDecoder *decoder;
    WebPAnimInfo info;
    int64_t end; /* of the frame before, ms */
    uint32_t shown;
    tsr_video_change change;
} webp_video;

static tsr_status damaged(const webp_video *v) {
    return tsr_fail(v->o.ctx, v->shown ? TSR_ERROR_DAMAGED : TSR_ERROR_FORMAT,
                    "%s: WebP: wanted %u whole frames, got damaged data after %u", v->o.input->name,
                    v->info.frame_count, v->shown);
}

/* All of a pipe, behind the head. */
static tsr_status read_pipe(webp_video *v) {
    const tsr_video_input *in = v->o.input;
    tsr_status s = TSR_OK;
    v->room = 1 << 16;
    v->bytes = tsr_alloc(v->o.ctx, v->room, 1, "animated WebP");
    if (!v->bytes) return TSR_ERROR_MEMORY;
    memcpy(v->bytes, in->head, v->size = in->head_size);
    for (size_t got = 1; got && !s; v->size += got) {
        if (v->size == v->room) {
            uint8_t *more = tsr_alloc(v->o.ctx, v->room * 2, 1, "animated WebP");
            if (!more) return TSR_ERROR_MEMORY;
            memcpy(more, v->bytes, v->size);
            free(v->bytes);
            v->bytes = more;
            v->room *= 2;
        }
        got = 0;
        s = tsr_in_read(v->o.ctx, in->name, in->fd, v->bytes + v->size, v->room - v->size, &got);
    }
    return s;
}

static tsr_status open_webp(const tsr_video_opening *o, void **state) {
    webp_video *v = tsr_alloc(o->ctx, 1, sizeof *v, "video");
    if (!v) return TSR_ERROR_MEMORY;
    *state = v;
    v->o = *o;
    tsr_status s =
        o->input->seekable ? tsr_map_open(o->ctx, o->input->path, &v->map) : read_pipe(v);
    if (s) return s;
    const WebPData data = {v->map.bytes ? v->map.bytes : v->bytes,
                           v->map.bytes ? v->map.size : v->size};
    const tsr_probe probe = tsr_picture_probe(data.bytes, data.size);
    const tsr_image_settings limit = {.max_pixels = o->settings->max_pixels};
    s = tsr_image_check_size(o->ctx, o->input->name, probe.width, probe.height, &limit);
    if (s) return s;
    WebPAnimDecoderOptions options;
    if (!WebPAnimDecoderOptionsInit(&options))
        return tsr_fail(o->ctx, TSR_ERROR_UNSUPPORTED, "%s: libwebp is of another version",
                        o->input->name);
    options.color_mode = MODE_RGBA;
    options.use_threads = 0;
    v->decoder = WebPAnimDecoderNew(&data, &options);
    if (!v->decoder || !WebPAnimDecoderGetInfo(v->decoder, &v->info)) return damaged(v);
    tsr_video_info *info = o->info;
    strcpy(info->container, "webp");
    strcpy(info->codec, "webp");
    strcpy(info->samples, "rgba");
    info->streams = info->video_streams = 1;
    info->width = info->display_width = v->info.canvas_width;
    info->height = info->display_height = v->info.canvas_height;
    info->time_base = (tsr_rational){1, 1000};
    info->start = 0;
    info->duration = TSR_NO_TIME;
    info->header_frames = v->info.frame_count;
    info->has_times = 1;
    info->primaries = info->transfer = 2;
    info->matrix = TSR_VIDEO_MATRIX_RGB;
    info->range = TSR_VIDEO_RANGE_FULL;
    info->loops = v->info.frame_count > 1 ? (int)v->info.loop_count : -1;
    return TSR_OK;
}

static tsr_status next_webp(void *state, tsr_video_slot *slot, bool *end) {
    webp_video *v = state;
    uint8_t *rgba = NULL;
    int until = 0;
    if (!WebPAnimDecoderHasMoreFrames(v->decoder)) {
        *end = true;
        return TSR_OK;
    }
    if (!WebPAnimDecoderGetNext(v->decoder, &rgba, &until)) return damaged(v);
    const uint32_t width = v->info.canvas_width, height = v->info.canvas_height;
    tsr_status s = tsr_video_slot_size(v->o.ctx, slot, width, height);
    if (s) return s;
    for (size_t i = 0; i < (size_t)width * height; ++i)
        for (size_t c = 0; c < 3; ++c)
            slot->bytes[i * 3 + c] =
                tsr_composite(rgba[i * 4 + c], rgba[i * 4 + 3], v->o.settings->background[c]);
    tsr_video_frame *f = &slot->frame;
    *f = (tsr_video_frame){.rgb = slot->bytes,
                           .width = width,
                           .height = height,
                           .pts = v->end,
                           .duration = until - v->end,
                           .type = '?',
                           .key = v->shown == 0};
    v->end = until;
    ++v->shown;
    return tsr_video_change_of(v->o.ctx, &v->change, slot->bytes, (ptrdiff_t)width * 3,
                               (size_t)width * 3, height, &f->luma_change);
}

static tsr_status seek_webp(void *state, int64_t pts) {
    webp_video *v = state;
    (void)pts; /* every frame needs those before */
    WebPAnimDecoderReset(v->decoder);
    v->end = 0;
    v->shown = 0;
    v->change.filled = false;
    return TSR_OK;
}

static void close_webp(void *state) {
    webp_video *v = state;
    WebPAnimDecoderDelete(v->decoder);
    tsr_map_close(&v->map);
    free(v->bytes);
    free(v->change.last);
    free(v);
}

#else

static tsr_status open_webp(const tsr_video_opening *o, void **state) {
    (void)state;
    return tsr_fail(
        o->ctx, TSR_ERROR_UNSUPPORTED,
        "%s: wanted a video that this build reads, got WebP (this build was made without "
        "WebP; -DTESSERA_WEBP=ON brings it)",
        o->input->name);
}
static tsr_status next_webp(void *state, tsr_video_slot *slot, bool *end) {
    (void)state, (void)slot, (void)end;
    return TSR_ERROR_UNSUPPORTED;
}
static tsr_status seek_webp(void *state, int64_t pts) {
    (void)state, (void)pts;
    return TSR_ERROR_UNSUPPORTED;
}
static void close_webp(void *state) {
    (void)state;
}

#endif

const tsr_video_kind tsr_video_kind_webp = {open_webp, next_webp, seek_webp, close_webp};
