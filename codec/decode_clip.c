/* SPDX-License-Identifier: MIT */
/* decode_clip.c: see decode_clip.h. One decoded item is in memory, whatever the clip's length. */
#include "decode_clip.h"

#include "../compute/context.h"
#include "../formats/file.h"
#include "../formats/tokens/token_layout.h"
#include "tokenizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool tsr_clip_is_wanted(const tsr_decode_file_settings *s, const tsr_token_file *file,
                        const char *output) {
    const size_t n = strlen(output);
    const bool slash = n && output[n - 1] == '/', folder = slash || is_folder(output);
    if (s->video.format || s->video.codec || s->video.preset || s->video.crf) return true;
    if (s->clip || s->from > 0 || s->to > 0) return true;
    if (!folder && tsr_video_is_name(output)) return true;
    if (tsr_token_file_properties(file)->clips != 1 || s->item_count || s->picture.format ||
        s->picture.quality)
        return false;
    return folder || !strcmp(output, "-");
}

/* ---- which frames, and their rate ----------------------------------------------------------- */

static tsr_status choose_clip(tsr_clip_job *j) {
    const uint64_t clips = tsr_token_file_properties(j->file)->clips;
    if (!clips)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a clip%s%s, got none", j->input,
                        j->output ? " for the video " : "", j->output ? j->output : "");
    if (!j->s->clip && clips > 1)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "%s: clip: wanted a number from 1 to %llu, got none", j->input,
                        (unsigned long long)clips);
    if (j->s->clip > clips)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "%s: clip: wanted 1 to %llu, got %u", j->input,
                        (unsigned long long)clips, j->s->clip);
    j->clip = j->s->clip ? j->s->clip - 1 : 0;
    return tsr_token_file_clip(j->file, j->clip, &j->facts);
}

/* The frames on screen in [from, to). */
static tsr_status choose_frames(tsr_clip_job *j) {
    const tsr_decode_file_settings *s = j->s;
    j->end = j->facts.frames;
    if (!(s->from >= 0) || !(s->to >= 0) || (s->to > 0 && s->to <= s->from))
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "%s: from and to: wanted seconds, the first before the second, got %g and "
                        "%g",
                        j->input, s->from, s->to);
    tsr_status status = TSR_OK;
    tsr_clip_place place;
    if (s->from > 0) status = tsr_token_file_clip_at(j->file, j->clip, s->from, &j->first);
    if (!status && s->to > 0) {
        status = tsr_token_file_clip_at(j->file, j->clip, s->to, &j->end);
        if (!status) status = tsr_token_file_clip_frame(j->file, j->clip, j->end, &place);
        /* One that begins at `to` is not shown before it. */
        if (!status && place.seconds < s->to * (1 - 1e-12)) j->end++;
    }
    if (!status && s->from > 0) {
        status = tsr_token_file_clip_frame(j->file, j->clip, j->facts.frames - 1, &place);
        const double tick = (double)j->facts.time_base.num / (double)j->facts.time_base.den;
        const double shown = place.time.duration ? (double)place.time.duration * tick : 0;
        if (!status && s->from > place.seconds + shown)
            return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                            "%s: from: wanted at most %.3f s, where the clip ends, got %g",
                            j->input, place.seconds + shown, s->from);
    }
    if (!status && j->first >= j->end)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "%s: frames: wanted one or more, got none",
                        j->input);
    return status;
}

/* Frames at equal distances, to a tick, have a rate, which is that of the source unless frames were
 * left out. */
static tsr_status find_rate(tsr_clip_job *j) {
    const tsr_token_clip *c = &j->facts;
    tsr_clip_place at;
    int64_t first = 0, last = 0, least = INT64_MAX, most = 0;
    bool told = true;
    for (uint64_t i = j->first; i < j->end; ++i) {
        const tsr_status s = tsr_token_file_clip_frame(j->file, j->clip, i, &at);
        if (s) return s;
        if (at.time.pts == TSR_NO_PTS) {
            told = false;
            break;
        }
        const int64_t step = i > j->first ? at.time.pts - last : 0;
        if (i == j->first) first = at.time.pts;
        if (i > j->first && step < least) least = step;
        if (step > most) most = step;
        last = at.time.pts;
    }
    const bool known = c->rate.den != 0;
    tsr_rational rate = c->rate;
    const uint64_t steps = j->end - j->first - 1;
    if (told && steps) {
        const double mean = (double)(last - first) / (double)steps,
                     source = known ? (double)c->time_base.den * (double)rate.den /
                                          ((double)c->time_base.num * (double)rate.num)
                                    : 0;
        j->video.variable_rate = most - least > 1 || least < 1;
        if (!j->video.variable_rate && fabs(mean - source) > 1 && least * c->time_base.num > 0)
            rate = (tsr_rational){c->time_base.den, least * c->time_base.num};
    }
    while (rate.num > INT32_MAX || rate.den > INT32_MAX) { /* FFmpeg's fractions have no more */
        rate.num = (rate.num + 1) / 2;
        rate.den = (rate.den + 1) / 2;
    }
    j->video.rate = rate;
    return TSR_OK;
}

tsr_status tsr_clip_job_choose(tsr_clip_job *j) {
    const tsr_status s = choose_clip(j);
    return s ? s : choose_frames(j);
}

tsr_status tsr_clip_job_open(tsr_clip_job *j) {
    j->video = j->s->video;
    const size_t n = strlen(j->output);
    if (!j->video.format && (is_folder(j->output) || (n && j->output[n - 1] == '/')))
        j->video.format = "frames";
    if (j->s->picture.format || j->s->picture.quality || j->s->item_count)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted a video, got %s, which is of pictures", j->output,
                        j->s->item_count       ? "a choice of items"
                        : j->s->picture.format ? j->s->picture.format
                                               : "a picture quality");
    tsr_status s = tsr_clip_job_choose(j);
    if (!s) s = tsr_video_write_check(j->ctx, j->output, &j->video);
    if (!s) s = tsr_out_not_input(j->ctx, j->output, j->input);
    if (!s) s = find_rate(j);
    j->video.time_base = j->facts.time_base;
    return s;
}

/* ---- the work ------------------------------------------------------------------------------- */

static void count_bad(const tsr_clip_job *j, uint64_t item, tsr_status status) {
    tsr_token_damage damage;
    tsr_token_file_item_damage(j->file, item, status, &damage);
    if (j->s->damaged) j->s->damaged(j->s->damaged_user, &damage);
    ++j->report->unreadable;
}

/* Room for the first item's frames; later ones have its size. */
static tsr_status fit_size(tsr_clip_frames *d, const tsr_token_item *item) {
    int width, height;
    tsr_item_size(d->j->header, item, &width, &height);
    if (d->rgb && width == d->width && height == d->height) return TSR_OK;
    if (d->rgb)
        return tsr_fail(d->j->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: size of item %llu: wanted %dx%d as the frames before, got %dx%d",
                        d->j->input, (unsigned long long)d->item, d->width, d->height, width,
                        height);
    const uint64_t pixels = (uint64_t)(width > 0 ? width : 0) * (uint64_t)(height > 0 ? height : 0),
                   frames = d->j->header->tile_frames ? d->j->header->tile_frames : 1;
    if (!pixels || pixels > (uint64_t)1 << 28)
        return tsr_fail(d->j->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted 1 to %llu pixels, got %dx%d", item->key, 1ull << 28,
                        width, height);
    d->width = width;
    d->height = height;
    d->rgb = tsr_alloc(d->j->ctx, (size_t)(pixels * frames), 3, "decode: frames");
    return d->rgb ? TSR_OK : TSR_ERROR_MEMORY;
}

/* Decodes an item unless it is the one at hand. One that is damaged is told, and not whole. */
static tsr_status decode_item(tsr_clip_frames *d, uint64_t index) {
    const tsr_clip_job *j = d->j;
    if (d->item == index) return TSR_OK;
    d->item = index;
    d->whole = false;
    tsr_token_item item;
    tsr_status s = tsr_token_file_item(j->file, index, &item);
    if (s == TSR_ERROR_MEMORY) return s;
    if (s) {
        count_bad(j, index, s);
        return TSR_OK;
    }
    s = fit_size(d, &item);
    tsr_decode_settings inner = j->s->decode;
    inner.progress = NULL;
    if (!s) s = tsr_tokenizer_decode_with(d->t, j->header, &item, &inner, d->rgb);
    d->whole = !s;
    return s;
}

/* Times count from the first frame where the beginning was cut off, and are the source's else. */
static int64_t time_of(const tsr_clip_job *j, const tsr_clip_place *place, int64_t first) {
    if (place->time.pts != TSR_NO_PTS) return place->time.pts - first;
    if (isnan(place->seconds)) return TSR_NO_TIME;
    const double ticks =
        place->seconds * (double)j->facts.time_base.den / (double)j->facts.time_base.num;
    return (int64_t)floor(ticks + 0.5) + j->facts.start - first;
}

/* Says how far it is. */
static tsr_status show(const tsr_clip_job *j, uint64_t done) {
    const tsr_decode_settings *s = &j->s->decode;
    if (!s->progress || !s->progress(s->progress_user, "decode", done, j->end - j->first))
        return TSR_OK;
    return tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", j->input);
}

tsr_status tsr_clip_frames_next(void *user, const tsr_video_frame **frame) {
    tsr_clip_frames *d = user;
    const tsr_clip_job *j = d->j;
    tsr_status status = TSR_OK;
    *frame = NULL;
    while (!status && !*frame && j->first + d->done < j->end) {
        tsr_clip_place place;
        const uint64_t i = j->first + d->done;
        if (d->done) status = show(j, d->done);
        if (!status) status = tsr_token_file_clip_frame(j->file, j->clip, i, &place);
        if (status) break;
        if (!d->done && j->first) d->first = time_of(j, &place, 0);
        ++d->done;
        if (place.item == TSR_NO_ITEM) continue;
        status = decode_item(d, place.item);
        if (status || !d->whole) continue;
        d->frame = (tsr_video_frame){.rgb = d->rgb + place.decoded *
                                                         ((size_t)d->width * (size_t)d->height * 3),
                                     .width = (uint32_t)d->width,
                                     .height = (uint32_t)d->height,
                                     .pts = time_of(j, &place, d->first),
                                     .duration = (int64_t)place.time.duration,
                                     .index = i};
        *frame = &d->frame;
    }
    return status || *frame ? status : show(j, d->done);
}

void tsr_clip_frames_free(tsr_clip_frames *frames) {
    free(frames->rgb);
    frames->rgb = NULL;
}

static tsr_status write_frames(const tsr_clip_job *j, tsr_clip_frames *d,
                               tsr_video_writer **writer) {
    const tsr_video_frame *frame = NULL;
    tsr_status status;
    while (!(status = tsr_clip_frames_next(d, &frame)) && frame) {
        if (!*writer)
            status = tsr_video_writer_open(j->ctx, j->output, &j->video, frame->width,
                                           frame->height, writer);
        if (!status)
            status = tsr_video_writer_add(*writer, frame->rgb, frame->pts, frame->duration);
        if (status) break;
        j->report->written++;
    }
    return status;
}

tsr_status tsr_clip_job_run(const tsr_clip_job *j, tsr_tokenizer *tokenizer) {
    tsr_decode_report *r = j->report;
    tsr_video_writer *writer = NULL;
    tsr_clip_frames d = {.j = j, .t = tokenizer, .item = TSR_NO_ITEM};
    tsr_token_damage damage;
    for (int i = 0; i < r->damaged && !tsr_token_file_damage(j->file, i, &damage); ++i)
        if (j->s->damaged) j->s->damaged(j->s->damaged_user, &damage);
    tsr_status s = write_frames(j, &d, &writer);
    tsr_clip_frames_free(&d);
    if (!s && !writer)
        s = tsr_fail(j->ctx, TSR_ERROR_DAMAGED, "%s: wanted one or more whole frames, got none",
                     j->input);
    if (s) {
        tsr_video_writer_abandon(&writer);
        return s;
    }
    s = tsr_video_writer_finish(&writer, &r->video);
    if (!s && (r->recovered || r->damaged || r->unreadable || j->facts.lost_items))
        s = tsr_fail(j->ctx, TSR_ERROR_DAMAGED,
                     "%s: the file is cut or damaged: %llu of %llu frames written", j->input,
                     (unsigned long long)r->written, (unsigned long long)(j->end - j->first));
    return s;
}
