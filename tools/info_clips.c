/* SPDX-License-Identifier: MIT */
/* info_clips.c: see info_clips.h. */
#include "info_clips.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* First and last time, and how many different steps there are between frames. */
typedef struct times {
    double first, last; /* seconds; NAN: not known */
    bool constant;      /* all frames have a pts, at equal steps */
    uint64_t missing;
} times;

/* Looks at every frame of a clip, whose number of frames is bounded by that of its items unless the
 * file lies; so at most 2^20 are looked at. */
static times times_of(tsr_token_file *file, uint64_t index, const tsr_token_clip *clip) {
    times t = {.first = (double)NAN, .last = (double)NAN, .constant = true};
    const uint64_t most = clip->frames < 1u << 20 ? clip->frames : 1u << 20;
    tsr_clip_place place;
    int64_t before = 0, step = 0;
    for (uint64_t i = 0; i < most; ++i) {
        if (tsr_token_file_clip_frame(file, index, i, &place)) return t;
        if (i == 0) t.first = place.seconds;
        t.missing += place.time.pts == TSR_NO_PTS;
        if (i == 1) step = place.time.pts - before;
        if (i > 1 && place.time.pts - before != step) t.constant = false;
        before = place.time.pts == TSR_NO_PTS ? 0 : place.time.pts;
    }
    t.constant = t.constant && !t.missing;
    if (!tsr_token_file_clip_frame(file, index, clip->frames - 1, &place)) t.last = place.seconds;
    return t;
}

static const char *assumed_text(uint32_t assumed, char *text, size_t size) {
    static const char *const names[] = {"matrix", "range", "rate", "times"};
    size_t n = 0;
    *text = 0;
    for (int i = 0; i < 4; ++i)
        if (assumed >> i & 1)
            n += (size_t)snprintf(text + n, size - n, "%s%s", n ? ", " : "", names[i]);
    return text;
}

static void clip_line(tsr_token_file *file, uint64_t index, const tsr_token_clip *c) {
    char clean[300], text[64];
    const times t = times_of(file, index, c);
    printf("clip        %s: %" PRIu64 " frames in items %" PRIu64 "..%" PRIu64,
           *c->name ? tool_clean(c->name, clean, sizeof clean) : "(no name)", c->frames,
           c->first_item, c->first_item + c->items - 1);
    if (c->lost_items) printf(" (%" PRIu64 " items lost)", c->lost_items);
    if (!isnan(t.last))
        printf(", %.6g to %.6g s%s", t.first, t.last, t.constant ? "" : ", at uneven steps");
    if (t.missing) printf(", %" PRIu64 " without times", t.missing);
    if (c->rate.den) printf(", %" PRId64 "/%" PRId64 " a second", c->rate.num, c->rate.den);
    if (c->coded_width) printf(", stored %ux%u", c->coded_width, c->coded_height);
    if (c->rotation || c->mirrored)
        printf(", turned by %u%s", c->rotation, c->mirrored ? " and mirrored" : "");
    if (c->sample_aspect.den && c->sample_aspect.num != c->sample_aspect.den)
        printf(", pixels %" PRId64 ":%" PRId64, c->sample_aspect.num, c->sample_aspect.den);
    if (c->deinterlaced) printf(", deinterlaced");
    if (c->sound_dropped) printf(", sound dropped");
    if (c->assumed) printf(", assumed: %s", assumed_text(c->assumed, text, sizeof text));
    putchar('\n');
}

void clip_lines(tsr_token_file *file) {
    const uint64_t clips = tsr_token_file_properties(file)->clips, shown = clips < 20 ? clips : 20;
    for (uint64_t i = 0; i < shown; ++i) {
        tsr_token_clip clip;
        if (!tsr_token_file_clip(file, i, &clip)) clip_line(file, i, &clip);
    }
    if (clips > shown) printf("clip        ... %" PRIu64 " more; --json has all\n", clips - shown);
}

static void json_fraction(json_out *j, const char *name, tsr_rational f) {
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 "/%" PRId64, f.num, f.den);
    json_text(j, name, f.den ? text : NULL);
}

void clip_json(json_out *j, tsr_token_file *file) {
    static const char *const fields[] = {"progressive", "top", "bottom", "mixed"};
    static const char *const ranges[] = {NULL, "limited", "full"};
    const uint64_t clips = tsr_token_file_properties(file)->clips;
    char text[64];
    if (!clips) return;
    json_array(j, "clips");
    for (uint64_t i = 0; i < clips; ++i) {
        tsr_token_clip c;
        if (tsr_token_file_clip(file, i, &c)) continue;
        const times t = times_of(file, i, &c);
        json_object(j, NULL);
        json_text(j, "name", c.name);
        json_uint(j, "first_item", c.first_item);
        json_uint(j, "items", c.items);
        json_uint(j, "lost_items", c.lost_items);
        json_uint(j, "frames", c.frames);
        json_uint(j, "source_frames", c.source_frames);
        json_fraction(j, "rate", c.rate);
        json_fraction(j, "time_base", c.time_base);
        json_int(j, "start", c.start);
        json_real(j, "first_seconds", t.first);
        json_real(j, "last_seconds", t.last);
        json_bool(j, "constant", t.constant);
        json_uint(j, "without_times", t.missing);
        json_uint(j, "coded_width", c.coded_width);
        json_uint(j, "coded_height", c.coded_height);
        json_uint(j, "rotation", c.rotation);
        json_bool(j, "mirrored", c.mirrored != 0);
        json_fraction(j, "sample_aspect", c.sample_aspect);
        json_text(j, "fields", fields[c.fields & 3]);
        json_bool(j, "deinterlaced", c.deinterlaced != 0);
        json_bool(j, "sound_dropped", c.sound_dropped != 0);
        json_uint(j, "matrix", c.matrix);
        json_text(j, "range", c.range < 3 ? ranges[c.range] : NULL);
        json_uint(j, "primaries", c.primaries);
        json_uint(j, "transfer", c.transfer);
        json_text(j, "assumed", assumed_text(c.assumed, text, sizeof text));
        json_uint(j, "group", c.group);
        json_end(j, '}');
    }
    json_end(j, ']');
}
