/* SPDX-License-Identifier: MIT */
/* token_clips.c: the clips of an open token file. What stays in memory of a clip is where its chunk
 * is; facts and times of one are read when they are asked for. */
#include "token_reader.h"

#include <math.h>

/* The first index whose item has `number` or a higher one; numbers are indexes unless items are
 * lost. */
static uint64_t index_of_number(const tsr_token_file *f, uint64_t number) {
    if (!f->info.recovered) return number;
    uint64_t low = 0, high = f->info.items;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (f->entries[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static uint64_t number_of_index(const tsr_token_file *f, uint64_t index) {
    return f->info.recovered ? f->entries[index].number : index;
}

tsr_status tsr_token_take_clip(tsr_token_file *f, size_t at, const tsr_chunk *chunk, uint64_t next,
                               bool *taken) {
    const size_t count = (size_t)f->info.clips;
    tsr_clip_record *r = &f->clip;
    *taken = false;
    f->clip_index = UINT64_MAX;
    tsr_status s =
        tsr_clip_get(f->ctx, f->name, f->bytes + at + TSR_TESS_CHUNK_BYTES, (size_t)chunk->size, r);
    if (s) return s == TSR_ERROR_MEMORY ? s : TSR_OK;
    tsr_open_clip c = {.at = at, .end = r->first_item + r->times.items};
    const uint64_t least = count ? f->clips[count - 1].end : 0;
    /* The last items of a scanned file may be lost; of another the clip's last one is the last. */
    if (r->number < f->next_clip || r->first_item < least ||
        (f->info.recovered ? c.end < next : c.end != next))
        return TSR_OK;
    c.item = index_of_number(f, r->first_item);
    c.items = (f->info.recovered ? f->info.items : next) - c.item;
    if (!c.items) return TSR_OK;
    s = tsr_grow(f->ctx, &f->clips, &f->clips_room, count + 1, sizeof *f->clips, "clips");
    if (s) return s;
    f->clips[count] = c;
    f->next_clip = r->number + 1;
    f->info.clips = count + 1;
    f->info.payload_bytes += TSR_TESS_CHUNK_BYTES + chunk->size;
    *taken = true;
    return TSR_OK;
}

/* Reads clip `index` into f->clip. */
static tsr_status need_clip(tsr_token_file *f, uint64_t index) {
    if (index >= f->info.clips)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: clip: wanted below %llu, got %llu",
                        f->name, (unsigned long long)f->info.clips, (unsigned long long)index);
    if (f->clip_index == index) return TSR_OK;
    f->clip_index = UINT64_MAX;
    const size_t at = (size_t)f->clips[index].at;
    const uint64_t size = tsr_get_u64(f->bytes + at + 8);
    if (size > f->size - at - TSR_TESS_CHUNK_BYTES)
        return tsr_fail(f->ctx, TSR_ERROR_IO,
                        "%s: clip %llu: wanted what was there when the file "
                        "was opened",
                        f->name, (unsigned long long)index);
    tsr_token_file_touch(f, at, TSR_TESS_CHUNK_BYTES + size);
    const tsr_status s =
        tsr_clip_get(f->ctx, f->name, f->bytes + at + TSR_TESS_CHUNK_BYTES, (size_t)size, &f->clip);
    if (!s) f->clip_index = index;
    return s;
}

tsr_status tsr_token_file_clip(tsr_token_file *f, uint64_t index, tsr_token_clip *clip) {
    if (clip) *clip = (tsr_token_clip){0};
    if (!f || !clip)
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: clip: got NULL", f->name)
                 : TSR_ERROR_ARGUMENT;
    const tsr_status s = need_clip(f, index);
    if (s) return s;
    *clip = f->clip.clip;
    clip->first_item = f->clips[index].item;
    clip->items = f->clips[index].items;
    clip->frames = f->clip.times.frames;
    clip->lost_items = f->clip.times.items - clip->items;
    return TSR_OK;
}

tsr_status tsr_token_file_clip_frame(tsr_token_file *f, uint64_t clip, uint64_t frame,
                                     tsr_clip_place *place) {
    if (place) *place = (tsr_clip_place){.item = TSR_NO_ITEM};
    if (!f || !place)
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT, "%s: frame of a clip: got NULL", f->name)
                 : TSR_ERROR_ARGUMENT;
    const tsr_status s = need_clip(f, clip);
    if (s) return s;
    const tsr_clip_times *t = &f->clip.times;
    const tsr_token_clip *c = &f->clip.clip;
    if (frame >= t->frames)
        return tsr_fail(f->ctx, TSR_ERROR_ARGUMENT,
                        "%s: clip %llu: frame: wanted below %llu, got %llu", f->name,
                        (unsigned long long)clip, (unsigned long long)t->frames,
                        (unsigned long long)frame);
    const tsr_window_run *w = tsr_clip_window_of_frame(t, frame);
    const uint64_t number = f->clip.first_item + w->item + (frame - w->frame) / w->frames;
    const uint64_t index = index_of_number(f, number);
    if (index < f->info.items && number_of_index(f, index) == number) place->item = index;
    place->decoded = w->skip + (uint32_t)((frame - w->frame) % w->frames);
    uint64_t last;
    int64_t pts;
    place->time = tsr_clip_times_at(t, frame, &last, &pts);
    place->seconds = tsr_clip_seconds(c, pts);
    if (last == frame) return TSR_OK;
    /* before the first pts the first frame counts as shown at the start */
    const uint64_t since = last == UINT64_MAX ? frame : frame - last;
    place->seconds +=
        c->rate.num ? (double)since * (double)c->rate.den / (double)c->rate.num : (double)NAN;
    return TSR_OK;
}

tsr_status tsr_token_file_clip_at(tsr_token_file *f, uint64_t clip, double seconds,
                                  uint64_t *frame) {
    if (!f || !frame || isnan(seconds))
        return f ? tsr_fail(f->ctx, TSR_ERROR_ARGUMENT,
                            "%s: time in a clip: wanted a number and an address, got another",
                            f->name)
                 : TSR_ERROR_ARGUMENT;
    const tsr_status s = need_clip(f, clip);
    if (s) return s;
    const tsr_token_clip *c = &f->clip.clip;
    const double most = (double)TSR_CLIP_MOST_TICKS;
    double ticks = floor(seconds * (double)c->time_base.den / (double)c->time_base.num + 0.001);
    ticks = ticks < -most ? -most : ticks > most ? most : ticks;
    const uint64_t found = tsr_clip_times_find(&f->clip.times, c->start + (int64_t)ticks);
    if (found == UINT64_MAX)
        return tsr_fail(f->ctx, TSR_ERROR_NOT_FOUND,
                        "%s: clip %llu: wanted frames with a pts, got none", f->name,
                        (unsigned long long)clip);
    *frame = found;
    return TSR_OK;
}

tsr_status tsr_token_file_item_clip(tsr_token_file *f, uint64_t item, uint64_t *clip,
                                    uint64_t *first, uint32_t *count) {
    if (!f) return TSR_ERROR_ARGUMENT;
    uint64_t low = 0, high = f->info.clips; /* the first clip that ends behind the item */
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (f->clips[middle].item + f->clips[middle].items <= item)
            low = middle + 1;
        else
            high = middle;
    }
    if (item >= f->info.items || low == f->info.clips || f->clips[low].item > item)
        return tsr_fail(f->ctx, TSR_ERROR_NOT_FOUND, "%s: item %llu belongs to no clip", f->name,
                        (unsigned long long)item);
    const tsr_status s = need_clip(f, low);
    if (s) return s;
    const uint64_t n = number_of_index(f, item) - f->clip.first_item;
    const tsr_window_run *w = tsr_clip_window_of_item(&f->clip.times, n);
    if (clip) *clip = low;
    if (first) *first = w->frame + (n - w->item) * w->frames;
    if (count) *count = w->frames;
    return TSR_OK;
}

bool tsr_token_item_seconds(tsr_token_file *f, uint64_t index, double *seconds) {
    uint64_t clip, first;
    tsr_clip_place place;
    if (!f->info.clips || tsr_token_file_item_clip(f, index, &clip, &first, NULL) ||
        tsr_token_file_clip_frame(f, clip, first, &place))
        return false;
    *seconds = place.time.pts == TSR_NO_PTS ? 0 : place.seconds;
    return true;
}
