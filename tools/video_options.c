/* SPDX-License-Identifier: MIT */
/* video_options.c: see video_options.h. */
#include "video_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "25", "0.5" or "30000/1001", up to `end`; false when it is anything else. */
static bool parse_rate(const char *text, const char *end, tsr_rational *rate) {
    char *stop;
    const double number = strtod(text, &stop);
    if (stop == text || !(number > 0) || number > 1e6) return false;
    *rate = (tsr_rational){(int64_t)number, 1};
    if (stop < end && *stop == '/') {
        const char *below = stop + 1;
        const long long den = *below >= '1' && *below <= '9' ? strtoll(below, &stop, 10) : 0;
        if (den < 1 || den > 1000000 || number != floor(number)) return false;
        rate->den = den;
    } else if (number != floor(number))
        *rate = (tsr_rational){llrint(number * 1e6), 1000000};
    return stop == end && rate->num > 0;
}

/* The rule behind a ':'; false when it is too long. */
static bool take_rounding(video_meaning *m, const char *colon) {
    if (!colon) return true;
    if (!colon[1] || strlen(colon + 1) >= sizeof m->rounding) return false;
    strcpy(m->rounding, colon + 1);
    m->choice.rounding = m->rounding;
    return true;
}

static int read_rules(const verb *v, const video_choices *o, video_meaning *m) {
    tsr_frame_choice *c = &m->choice;
    const int rules = (o->frames != NULL) + (o->fps != NULL) + (o->clips != NULL) + (o->every > 0) +
                      (o->cover > 0) + (o->keyframes != 0) + (o->scenes > 0);
    if (rules > 1)
        return args_wrong(v, "--frames, --fps, --every, --keyframes, --scenes, --cover and --clips "
                             "exclude each other: wanted one of them");
    if (o->frames) {
        const char *colon = strchr(o->frames, ':');
        char *end;
        const unsigned long n =
            *o->frames >= '1' && *o->frames <= '9' ? strtoul(o->frames, &end, 10) : 0;
        if (n < 1 || n > 1000000 || (*end && end != colon) || !take_rounding(m, colon))
            return args_wrong(v, "--frames: wanted N or N:RULE, as 32:linspace-round, got '%s'",
                              o->frames);
        c->rule = TSR_FRAMES_COUNT;
        c->frames = (uint32_t)n;
    }
    if (o->fps) {
        const char *colon = strchr(o->fps, ':');
        if (!parse_rate(o->fps, colon ? colon : o->fps + strlen(o->fps), &c->rate) ||
            !take_rounding(m, colon))
            return args_wrong(v,
                              "--fps: wanted F or F:RULE, as 2 or 30000/1001:ffmpeg-fps-near, "
                              "got '%s'",
                              o->fps);
        c->rule = TSR_FRAMES_RATE;
    }
    if (o->clips) {
        unsigned clips = 0, frames = 0, gap = 1;
        int used = 0;
        const bool three = sscanf(o->clips, "%7u:%7u:%7u%n", &clips, &frames, &gap, &used) == 3;
        if (!three && sscanf(o->clips, "%7u:%7u%n", &clips, &frames, &used) != 2) clips = 0;
        if (!clips || !frames || !gap || o->clips[used])
            return args_wrong(v, "--clips: wanted C:N or C:N:GAP, as 4:8, got '%s'", o->clips);
        c->rule = TSR_FRAMES_CLIPS;
        c->clips = clips;
        c->frames = frames;
        c->gap = gap;
    }
    if (o->every) c->rule = TSR_FRAMES_EVERY;
    if (o->keyframes) c->rule = TSR_FRAMES_KEYS;
    if (o->scenes > 0) c->rule = TSR_FRAMES_SCENES;
    if (o->cover) {
        c->rule = TSR_FRAMES_COVER;
        c->frames = o->cover;
    }
    c->every = o->every;
    c->threshold = o->scenes;
    return -1;
}

int video_meaning_read(const verb *v, const video_choices *o, video_meaning *m) {
    *m = (video_meaning){.settings = tsr_video_settings_default()};
    tsr_video_settings *s = &m->settings;
    s->matrix = (tsr_video_matrix)o->matrix;
    s->range = (tsr_video_range)o->range;
    s->deinterlace = o->deinterlace;
    s->lenient = o->lenient;
    s->raw = o->raw;
    if (o->rate && !parse_rate(o->rate, o->rate + strlen(o->rate), &s->rate))
        return args_wrong(v, "--rate: wanted frames a second, as 25 or 30000/1001, got '%s'",
                          o->rate);
    if (o->end > 0 && o->end <= o->start)
        return args_wrong(v, "--end: wanted seconds behind --start %g, got %g", o->start, o->end);
    m->choice.start = o->start;
    m->choice.end = o->end;
    m->choice.square_pixels = o->square;
    return read_rules(v, o, m);
}

int video_inputs(const video_choices *o, char *const *inputs, int count) {
    int videos = 0;
    if (o->as_video || o->raw) return count ? 1 : 0;
    for (int i = 0; i < count; ++i)
        videos += tsr_video_is(inputs[i]);
    return !videos ? 0 : videos == count ? 1 : 2;
}

void video_say_remarks(tool *t, tsr_video *video) {
    int count = 0;
    const char *const *remarks = tsr_video_remarks(video, &count);
    for (int i = 0; i < count; ++i) {
        char clean[300];
        tool_say(t, "%s", tool_clean(remarks[i], clean, sizeof clean));
    }
}
