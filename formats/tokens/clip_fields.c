/* SPDX-License-Identifier: MIT */
/* clip_fields.c: facts and times of a clip to a CLIP chunk and back, each checked on both ways. */
#include "clip_times.h"
#include "../utf8.h"

enum { MIRRORED = 4, SOUND_DROPPED = 8, FIELDS_SHIFT = 4, DEINTERLACED = 64, DISPLAY = 127 };

/* ---- checking ------------------------------------------------------------------------------- */

/* What is wrong with a fact; `wrong` NULL: nothing. */
typedef struct verdict {
    const char *field, *wrong;
    int64_t got;
} verdict;

static bool name_good(const char *name) {
    const size_t n = strlen(name);
    if (n > TSR_CLIP_NAME || !tsr_utf8_valid(name, n, NULL)) return false;
    for (size_t i = 0; i < n; ++i)
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f) return false;
    return true;
}

/* A fraction of numbers up to 2^31 - 1, or both 0 where it may be unknown. */
static bool fraction_good(tsr_rational f, bool unknown) {
    if (unknown && !f.num && !f.den) return true;
    return f.num > 0 && f.den > 0 && f.num <= INT32_MAX && f.den <= INT32_MAX;
}

static bool ticks_good(int64_t ticks) {
    return ticks >= -TSR_CLIP_MOST_TICKS && ticks <= TSR_CLIP_MOST_TICKS;
}

static verdict judge(const tsr_token_clip *c) {
    const uint32_t colour[4] = {c->matrix, c->range, c->primaries, c->transfer};
    const int flags[3] = {c->mirrored, c->deinterlaced, c->sound_dropped};
    if (!name_good(c->name ? c->name : ""))
        return (verdict){"bytes of the name", "at most 255 of UTF-8 without control characters",
                         (int64_t)strlen(c->name)};
    if (!fraction_good(c->time_base, false))
        return (verdict){"time base", "two numbers of 1..2^31-1", c->time_base.num};
    if (!ticks_good(c->start)) return (verdict){"start", "at most 2^60 ticks from 0", c->start};
    if (!fraction_good(c->rate, true))
        return (verdict){"rate", "two numbers of 1..2^31-1, or 0 and 0", c->rate.num};
    if (!fraction_good(c->sample_aspect, true))
        return (verdict){"sample aspect", "two numbers of 1..2^31-1, or 0 and 0",
                         c->sample_aspect.num};
    if (c->source_frames > (uint64_t)INT64_MAX)
        return (verdict){"frames of the source", "below 2^63", INT64_MAX};
    if (c->coded_width > INT32_MAX || c->coded_height > INT32_MAX ||
        !c->coded_width != !c->coded_height)
        return (verdict){"coded size", "sides of 1..2^31-1, or 0 and 0", c->coded_width};
    if (c->rotation % 90 || c->rotation > 270)
        return (verdict){"rotation", "0, 90, 180 or 270", c->rotation};
    if ((unsigned)c->fields > TSR_CLIP_MIXED)
        return (verdict){"fields of the frames", "0..3", (int64_t)c->fields};
    for (int i = 0; i < 3; ++i)
        if (flags[i] < 0 || flags[i] > 1)
            return (verdict){"mirrored, deinterlaced and sound dropped", "0 or 1", flags[i]};
    for (int i = 0; i < 4; ++i)
        if (colour[i] > 255) return (verdict){"colour", "numbers below 256", colour[i]};
    if (c->assumed > TSR_CLIP_ASSUMED_ALL)
        return (verdict){"what was assumed", "bits below 16", c->assumed};
    if (c->group > TSR_CLIP_GROUP_MOST) return (verdict){"group", "at most 256", c->group};
    return (verdict){0};
}

tsr_status tsr_clip_check(tsr_context *ctx, tsr_status status, const char *name,
                          const tsr_token_clip *clip) {
    const verdict v = judge(clip);
    if (!v.wrong) return TSR_OK;
    return tsr_fail(ctx, status, "%s: clip: %s: wanted %s, got %lld", name, v.field, v.wrong,
                    (long long)v.got);
}

tsr_status tsr_clip_check_frames(tsr_context *ctx, tsr_status status, const char *name,
                                 const tsr_clip_frame *frames, uint32_t count, uint32_t skip) {
    if (count == 0 || count > TSR_MAX_ITEM_FRAMES || skip >= TSR_MAX_ITEM_FRAMES)
        return tsr_fail(ctx, status,
                        "%s: frames of an item: wanted 1..65536 behind at most 65535, got %u "
                        "behind %u",
                        name, count, skip);
    for (uint32_t i = 0; i < count; ++i)
        if ((frames[i].pts != TSR_NO_PTS && !ticks_good(frames[i].pts)) ||
            frames[i].duration > (uint64_t)TSR_CLIP_MOST_TICKS)
            return tsr_fail(ctx, status,
                            "%s: frame %u of an item: wanted pts and duration of at most 2^60 "
                            "ticks, got %lld and %llu",
                            name, i, (long long)frames[i].pts,
                            (unsigned long long)frames[i].duration);
    return TSR_OK;
}

double tsr_clip_seconds(const tsr_token_clip *clip, int64_t pts) {
    return (double)(pts - clip->start) * (double)clip->time_base.num / (double)clip->time_base.den;
}

/* ---- writing -------------------------------------------------------------------------------- */

static void put_zigzag(tsr_bytes *b, int64_t n) {
    tsr_bytes_varint(b, n < 0 ? ~((uint64_t)n << 1) : (uint64_t)n << 1);
}

static void put_fraction(tsr_bytes *b, tsr_rational f) {
    tsr_bytes_varint(b, (uint64_t)f.num);
    tsr_bytes_varint(b, (uint64_t)f.den);
}

static void put_times(tsr_bytes *b, const tsr_clip_times *t) {
    for (size_t i = 0; i < t->window_count; ++i) {
        const uint64_t end = i + 1 < t->window_count ? t->windows[i + 1].item : t->items;
        tsr_bytes_varint(b, end - t->windows[i].item);
        tsr_bytes_varint(b, t->windows[i].frames);
        tsr_bytes_varint(b, t->windows[i].skip);
    }
    int64_t step = 0;
    for (size_t i = 0; i < t->step_count; ++i) {
        const tsr_step_run *s = &t->steps[i];
        const uint64_t end = i + 1 < t->step_count ? t->steps[i + 1].frame : t->frames;
        tsr_bytes_varint(b, (end - s->frame) * 2 + s->missing);
        if (s->missing) continue;
        put_zigzag(b, s->step - step);
        step = s->step;
    }
    for (size_t i = 0; i < t->duration_count; ++i) {
        const uint64_t end = i + 1 < t->duration_count ? t->durations[i + 1].frame : t->frames;
        tsr_bytes_varint(b, end - t->durations[i].frame);
        tsr_bytes_varint(b, t->durations[i].duration);
    }
}

void tsr_clip_put(tsr_bytes *b, const tsr_clip_record *r) {
    const tsr_token_clip *c = &r->clip;
    const size_t start = tsr_bytes_chunk_start(b), name = strlen(c->name);
    tsr_bytes_varint(b, r->number);
    tsr_bytes_varint(b, r->first_item);
    tsr_bytes_varint(b, r->times.items);
    tsr_bytes_u8(b, (uint32_t)name);
    tsr_bytes_put(b, c->name, name);
    put_fraction(b, c->time_base);
    put_zigzag(b, c->start);
    put_fraction(b, c->rate);
    tsr_bytes_varint(b, c->source_frames);
    tsr_bytes_varint(b, c->coded_width);
    tsr_bytes_varint(b, c->coded_height);
    tsr_bytes_u8(b, c->rotation / 90 | (c->mirrored ? MIRRORED : 0) |
                        (c->sound_dropped ? SOUND_DROPPED : 0) |
                        (uint32_t)c->fields << FIELDS_SHIFT | (c->deinterlaced ? DEINTERLACED : 0));
    put_fraction(b, c->sample_aspect);
    tsr_bytes_u8(b, c->matrix);
    tsr_bytes_u8(b, c->range);
    tsr_bytes_u8(b, c->primaries);
    tsr_bytes_u8(b, c->transfer);
    tsr_bytes_u8(b, c->assumed);
    tsr_bytes_varint(b, c->group);
    put_times(b, &r->times);
    tsr_bytes_chunk_finish(b, start, TSR_TESS_CLIP, 0);
}

/* ---- reading -------------------------------------------------------------------------------- */

static int64_t get_zigzag(tsr_cursor *c, uint64_t most) {
    const uint64_t n = tsr_cursor_varint(c, most), half = n >> 1;
    return n & 1 ? -(int64_t)half - 1 : (int64_t)half;
}

static tsr_rational get_fraction(tsr_cursor *c) {
    tsr_rational f;
    f.num = (int64_t)tsr_cursor_varint(c, INT32_MAX);
    f.den = (int64_t)tsr_cursor_varint(c, INT32_MAX);
    return f;
}

/* Each run differs from the one before, or they would be one. */
static tsr_status get_windows(tsr_context *ctx, tsr_cursor *c, tsr_clip_times *t, uint64_t items) {
    while (t->items < items && !c->bad) {
        const uint64_t n = tsr_cursor_varint(c, items - t->items);
        tsr_window_run run = {.item = t->items, .frame = t->frames};
        run.frames = (uint32_t)tsr_cursor_varint(c, TSR_MAX_ITEM_FRAMES);
        run.skip = (uint32_t)tsr_cursor_varint(c, TSR_MAX_ITEM_FRAMES - 1);
        const tsr_window_run *before = t->window_count ? &t->windows[t->window_count - 1] : NULL;
        if (!n || !run.frames ||
            (before && before->frames == run.frames && before->skip == run.skip))
            c->bad = true;
        if (c->bad) return TSR_OK;
        const tsr_status s = tsr_grow(ctx, &t->windows, &t->window_room, t->window_count + 1,
                                      sizeof run, "times of a clip");
        if (s) return s;
        t->windows[t->window_count++] = run;
        t->items += n;
        t->frames += n * run.frames;
    }
    return TSR_OK;
}

static tsr_status get_steps(tsr_context *ctx, tsr_cursor *c, tsr_clip_times *t) {
    int64_t step = 0;
    for (uint64_t frame = 0; frame < t->frames && !c->bad;) {
        const uint64_t number = tsr_cursor_varint(c, (t->frames - frame) * 2 + 1), n = number >> 1;
        tsr_step_run run = {.frame = frame, .missing = number & 1, .pts = t->last};
        if (!run.missing)
            run.step = step += get_zigzag(c, ((uint64_t)1 << 62) - 1); /* twice 2^60, both ways */
        const tsr_step_run *before = t->step_count ? &t->steps[t->step_count - 1] : NULL;
        const int64_t most = 2 * TSR_CLIP_MOST_TICKS;
        if (!n || step < -most || step > most || n > t->frames - frame ||
            (before && before->missing == run.missing && before->step == run.step))
            c->bad = true;
        /* so many steps stay within 2^61 of where they start */
        const uint64_t stride = step < 0 ? (uint64_t)-step : (uint64_t)step;
        if (!c->bad && !run.missing && stride && n > (uint64_t)most / stride) c->bad = true;
        if (!c->bad && !run.missing) t->last += (int64_t)n * step;
        if (c->bad || !ticks_good(t->last)) {
            c->bad = true;
            return TSR_OK;
        }
        const tsr_status s = tsr_grow(ctx, &t->steps, &t->step_room, t->step_count + 1, sizeof run,
                                      "times of a clip");
        if (s) return s;
        t->steps[t->step_count++] = run;
        frame += n;
    }
    return TSR_OK;
}

static tsr_status get_durations(tsr_context *ctx, tsr_cursor *c, tsr_clip_times *t) {
    for (uint64_t frame = 0; frame < t->frames && !c->bad;) {
        const uint64_t n = tsr_cursor_varint(c, t->frames - frame);
        const tsr_duration_run run = {
            .frame = frame, .duration = tsr_cursor_varint(c, (uint64_t)TSR_CLIP_MOST_TICKS)};
        if (!n ||
            (t->duration_count && t->durations[t->duration_count - 1].duration == run.duration))
            c->bad = true;
        if (c->bad) return TSR_OK;
        const tsr_status s = tsr_grow(ctx, &t->durations, &t->duration_room, t->duration_count + 1,
                                      sizeof run, "times of a clip");
        if (s) return s;
        t->durations[t->duration_count++] = run;
        frame += n;
    }
    return TSR_OK;
}

static void get_facts(tsr_cursor *c, tsr_clip_record *r) {
    tsr_token_clip *clip = &r->clip;
    clip->time_base = get_fraction(c);
    clip->start = get_zigzag(c, (uint64_t)TSR_CLIP_MOST_TICKS * 2);
    clip->rate = get_fraction(c);
    clip->source_frames = tsr_cursor_varint(c, INT64_MAX);
    clip->coded_width = (uint32_t)tsr_cursor_varint(c, INT32_MAX);
    clip->coded_height = (uint32_t)tsr_cursor_varint(c, INT32_MAX);
    const uint32_t display = tsr_cursor_u8(c);
    if (display > DISPLAY) c->bad = true;
    clip->rotation = display % 4 * 90;
    clip->mirrored = (display & MIRRORED) != 0;
    clip->sound_dropped = (display & SOUND_DROPPED) != 0;
    clip->fields = (tsr_clip_fields)(display >> FIELDS_SHIFT & 3);
    clip->deinterlaced = (display & DEINTERLACED) != 0;
    clip->sample_aspect = get_fraction(c);
    clip->matrix = tsr_cursor_u8(c);
    clip->range = tsr_cursor_u8(c);
    clip->primaries = tsr_cursor_u8(c);
    clip->transfer = tsr_cursor_u8(c);
    clip->assumed = tsr_cursor_u8(c);
    clip->group = (uint32_t)tsr_cursor_varint(c, TSR_CLIP_GROUP_MOST);
    if (!clip->group) c->bad = true;
}

bool tsr_clip_probe(const uint8_t *payload, size_t size, uint64_t *number, uint64_t *first,
                    uint64_t *items) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    *number = tsr_cursor_varint(&c, INT64_MAX);
    *first = tsr_cursor_varint(&c, INT64_MAX);
    *items = tsr_cursor_varint(&c, TSR_CLIP_MOST_ITEMS);
    return !c.bad && *items > 0;
}

tsr_status tsr_clip_get(tsr_context *ctx, const char *name, const uint8_t *payload, size_t size,
                        tsr_clip_record *r) {
    tsr_cursor c = {.at = payload, .end = payload + size};
    uint64_t items = 0;
    r->clip = (tsr_token_clip){.name = r->name};
    *r->name = 0;
    if (!tsr_clip_probe(payload, size, &r->number, &r->first_item, &items)) c.bad = true;
    for (int i = 0; i < 3 && !c.bad; ++i)
        tsr_cursor_varint(&c, UINT64_MAX);
    const uint32_t n = tsr_cursor_u8(&c);
    const uint8_t *text = tsr_cursor_take(&c, n);
    if (text && memchr(text, 0, n)) c.bad = true;
    if (text && !c.bad) {
        memcpy(r->name, text, n);
        r->name[n] = 0;
    }
    get_facts(&c, r);
    tsr_status s = c.bad ? TSR_OK : tsr_clip_check(ctx, TSR_ERROR_FORMAT, name, &r->clip);
    tsr_clip_times_clear(&r->times, r->clip.start);
    if (!s && !c.bad) s = get_windows(ctx, &c, &r->times, items);
    if (!s && !c.bad) s = get_steps(ctx, &c, &r->times);
    if (!s && !c.bad) s = get_durations(ctx, &c, &r->times);
    if (s || (!c.bad && c.at == c.end)) return s;
    return tsr_fail(ctx, TSR_ERROR_FORMAT,
                    "%s: clip: wanted facts and times in range, up to the end of the chunk, got "
                    "others before byte %zu of %zu",
                    name, (size_t)(c.at - payload), size);
}
