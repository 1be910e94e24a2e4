/* SPDX-License-Identifier: MIT */
/* frames.c: which frames of a video are taken, by the rules that models were trained with. A rule
 * is a list of indices from 0 in display order; float64 and float32 stand where the published code
 * has them, since a rounded product decides which frame is shown. */
#include "operator.h"
#include "../formats/arrays/npy.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_FRAMES = 1 << 24 }; /* taken frames: 64 MiB of indices */

/* The frames that a rule takes of the n there are. */
typedef struct picks {
    tsr_operation *o;
    int64_t n;
    int32_t *index; /* [count] */
    int64_t count;
} picks;

/* Makes room for `count` frames. */
static bool make_room(picks *p, int64_t count) {
    if (count > MOST_FRAMES)
        tsr_operation_fail(p->o, TSR_ERROR_TOO_LARGE, "wanted at most %d frames, got %lld",
                           MOST_FRAMES, (long long)count);
    p->count = count;
    p->index = tsr_operation_take(p->o, count, sizeof *p->index, "frames");
    return !p->o->status;
}

/* ---- frame-select: rules that know the number of frames, and rates ---- */

/* Fails unless the rule takes no more frames than there are. */
static void check_count(picks *p, const char *name, int64_t count, int64_t least) {
    if (count < least || count > p->n)
        tsr_operation_fail(p->o, TSR_ERROR_ARGUMENT,
                           "%s: wanted %lld to the %lld frames there are, got %lld", name,
                           (long long)least, (long long)p->n, (long long)count);
}
/* Seconds of the video times the frames a second that are wanted. */
static double frames_at_rate(const picks *p) {
    return (double)p->n / tsr_operation_number(p->o, "fps") * tsr_operation_number(p->o, "rate");
}
static double floor_to(double x, int64_t step) {
    return floor(x / (double)step) * (double)step;
}
static double ceil_to(double x, int64_t step) {
    return ceil(x / (double)step) * (double)step;
}
static double between(double x, double least, double most) {
    return fmin(fmax(x, least), most);
}

static void take_linspace_trunc(picks *p, int64_t frames) {
    const double step = frames > 1 ? (double)(p->n - 1) / (double)(frames - 1) : 0;
    if (!make_room(p, frames)) return;
    for (int64_t i = 0; i < frames; ++i)
        p->index[i] = (int32_t)((double)i * step);
    if (frames > 1) p->index[frames - 1] = (int32_t)(p->n - 1);
}
static void linspace_trunc(picks *p) {
    take_linspace_trunc(p, tsr_operation_integer(p->o, "frames"));
}

/* Value i of `frames` float32 numbers from 0 to `last`: counted from both ends, as PyTorch does. */
static float torch_linspace(int64_t i, int64_t frames, int64_t last) {
    const float step = frames > 1 ? (float)last / (float)(frames - 1) : 0;
    if (i < frames / 2 || frames == 1) return (float)i * step;
    return (float)last - (float)(frames - 1 - i) * step;
}
static void take_linspace_round(picks *p, int64_t frames) {
    if (!make_room(p, frames)) return;
    for (int64_t i = 0; i < frames; ++i)
        p->index[i] = (int32_t)nearbyintf(torch_linspace(i, frames, p->n - 1));
}
static void linspace_round(picks *p) {
    take_linspace_round(p, tsr_operation_integer(p->o, "frames"));
}

static void start_of_segment(picks *p) {
    const bool given = tsr_operation_has(p->o, "frames");
    const int64_t frames = given ? tsr_operation_integer(p->o, "frames")
                                 : (int64_t)between(frames_at_rate(p), 1, 0x1p62);
    check_count(p, given ? "frames" : "rate", frames, 1);
    if (!make_room(p, frames)) return;
    for (int64_t i = 0; i < frames; ++i)
        p->index[i] = (int32_t)(i * p->n / frames);
}

static void segment_middle(picks *p) {
    const int64_t frames = tsr_operation_integer(p->o, "frames");
    if (!make_room(p, frames)) return;
    const double width = (double)p->n / (double)frames, half = (double)p->n / (double)(2 * frames);
    for (int64_t i = 0; i < frames; ++i)
        p->index[i] = (int32_t)(width * (double)i + half);
}

static void segment_mean(picks *p) {
    const int64_t frames = tsr_operation_integer(p->o, "frames");
    if (!make_room(p, frames)) return;
    const double width = (double)(p->n - 1) / (double)frames;
    for (int64_t i = 0; i < frames; ++i)
        p->index[i] = (int32_t)(((int64_t)nearbyint(width * (double)i) +
                                 (int64_t)nearbyint(width * (double)(i + 1))) /
                                2);
}

static void take_every(picks *p, int64_t step) {
    if (!make_room(p, (p->n + step - 1) / step)) return;
    for (int64_t i = 0; i < p->count; ++i)
        p->index[i] = (int32_t)(i * step);
}
static void every_nth(picks *p) {
    take_every(p, tsr_operation_integer(p->o, "step"));
}

static void llava_fps_cap(picks *p) {
    const double fps = tsr_operation_number(p->o, "fps"), rate = tsr_operation_number(p->o, "rate");
    const double step = nearbyint(fps / rate);
    const int64_t cap = tsr_operation_has(p->o, "most") ? tsr_operation_integer(p->o, "most") : 0;
    if (p->o->status) return;
    if (step < 1) {
        tsr_operation_fail(p->o, TSR_ERROR_ARGUMENT,
                           "rate: wanted at most twice the video's %g frames a second, got %g", fps,
                           rate);
        return;
    }
    const int64_t whole = (int64_t)fmin(step, (double)p->n);
    if (cap && (p->n + whole - 1) / whole > cap)
        take_linspace_trunc(p, cap);
    else
        take_every(p, whole);
}

static void qwen_smart_nframes(picks *p) {
    tsr_operation *o = p->o;
    double frames = 0;
    if (tsr_operation_has(o, "frames"))
        frames = nearbyint((double)tsr_operation_integer(o, "frames") / 2) * 2;
    else {
        const double least =
            ceil_to(tsr_operation_has(o, "least") ? tsr_operation_number(o, "least") : 4, 2);
        const double most = floor_to(tsr_operation_has(o, "most") ? tsr_operation_number(o, "most")
                                                                  : fmin(768, (double)p->n),
                                     2);
        frames = floor_to(fmin(between(frames_at_rate(p), least, most), (double)p->n), 2);
    }
    check_count(p, tsr_operation_has(o, "frames") ? "frames" : "rate", (int64_t)frames, 2);
    if (!o->status) take_linspace_round(p, (int64_t)frames);
}

static void qwen_hf_arange(picks *p) {
    tsr_operation *o = p->o;
    const int64_t patch = tsr_operation_has(o, "patch") ? tsr_operation_integer(o, "patch") : 2;
    double frames = 0;
    if (tsr_operation_has(o, "frames"))
        frames =
            nearbyint((double)tsr_operation_integer(o, "frames") / (double)patch) * (double)patch;
    else {
        const double least = tsr_operation_has(o, "least") ? tsr_operation_number(o, "least") : 4;
        const double most = tsr_operation_has(o, "most") ? tsr_operation_number(o, "most") : 768;
        const double cap = floor_to(fmin(most, (double)p->n), patch);
        frames = floor_to(fmin(between(frames_at_rate(p), least, cap), (double)p->n), patch);
    }
    check_count(p, tsr_operation_has(o, "frames") ? "frames" : "rate", (int64_t)frames, 1);
    if (!make_room(p, (int64_t)frames)) return;
    const double step = (double)p->n / frames;
    for (int64_t i = 0; i < p->count; ++i)
        p->index[i] = (int32_t)((double)i * step);
}

static void clips_regular(picks *p) {
    const int64_t clips = tsr_operation_integer(p->o, "clips"),
                  frames = tsr_operation_integer(p->o, "frames"),
                  gap = tsr_operation_has(p->o, "gap") ? tsr_operation_integer(p->o, "gap") : 1;
    const int64_t span = (frames - 1) * gap + 1;
    if (p->o->status) return;
    if (span > p->n) {
        tsr_operation_fail(p->o, TSR_ERROR_ARGUMENT,
                           "frames: wanted a clip within the %lld frames there are, got one over "
                           "%lld",
                           (long long)p->n, (long long)span);
        return;
    }
    if (frames > MOST_FRAMES / clips || !make_room(p, clips * frames)) {
        tsr_operation_fail(p->o, TSR_ERROR_TOO_LARGE, "wanted at most %d frames, got %lld x %lld",
                           MOST_FRAMES, (long long)clips, (long long)frames);
        return;
    }
    for (int64_t c = 0; c < clips; ++c)
        for (int64_t i = 0; i < frames; ++i)
            p->index[c * frames + i] =
                (int32_t)((int64_t)torch_linspace(c, clips, p->n - span) + i * gap);
}

/* A rule, the parameters beside n that it must have, those that do instead, and those it may have.
 */
typedef struct rule {
    const char *name, *needs, *instead, *may;
    void (*take)(picks *p);
} rule;
static const rule rules[] = {
    {"linspace-trunc", "frames", NULL, "", linspace_trunc},
    {"linspace-round", "frames", NULL, "", linspace_round},
    {"start-of-segment", "frames", "fps rate", "", start_of_segment},
    {"segment-middle", "frames", NULL, "", segment_middle},
    {"segment-mean", "frames", NULL, "", segment_mean},
    {"every-nth", "step", NULL, "", every_nth},
    {"llava-fps-cap", "fps rate", NULL, "most", llava_fps_cap},
    {"qwen-smart-nframes", "frames", "fps rate", "fps rate least most", qwen_smart_nframes},
    {"qwen-hf-arange", "frames", "fps rate", "fps rate least most patch", qwen_hf_arange},
    {"clips-regular", "clips frames", NULL, "gap", clips_regular},
};
#define RULES                                                                                      \
    "linspace-trunc|linspace-round|start-of-segment|segment-middle|segment-mean|every-nth|"        \
    "llava-fps-cap|qwen-smart-nframes|qwen-hf-arange|clips-regular"

/* Whether `name` is one of the words of `list`. */
static bool has_word(const char *list, const char *name) {
    const size_t n = strlen(name);
    for (; list && *list; list += strspn(list, " ")) {
        const size_t length = strcspn(list, " ");
        if (length == n && !memcmp(list, name, n)) return true;
        list += length;
    }
    return false;
}

/* Fails unless the rule has what it needs and nothing that it does not read. */
static void check_parameters(tsr_operation *o, const rule *r) {
    static const char *const all[] = {"frames", "fps",  "rate",  "least", "most",
                                      "patch",  "step", "clips", "gap"};
    bool has_needs = true, has_instead = r->instead != NULL;
    for (size_t i = 0; i < sizeof all / sizeof *all; ++i) {
        const bool given = tsr_operation_has(o, all[i]), needed = has_word(r->needs, all[i]),
                   does = has_word(r->instead, all[i]);
        has_needs &= given || !needed;
        has_instead &= given || !does;
        if (given && !needed && !does && !has_word(r->may, all[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted none with %s, got one", all[i],
                               r->name);
    }
    if (!has_needs && !has_instead)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted %s%s%s, got less", r->name, r->needs,
                           r->instead ? ", or " : "", r->instead ? r->instead : "");
}

static void frame_select(tsr_operation *o) {
    picks p = {.o = o, .n = tsr_operation_integer(o, "n")};
    const char *name = tsr_operation_text(o, "rule");
    for (size_t i = 0; i < sizeof rules / sizeof *rules && !o->status; ++i) {
        if (strcmp(rules[i].name, name)) continue;
        check_parameters(o, &rules[i]);
        if (!o->status) rules[i].take(&p);
        if (!o->status) tsr_operation_trace_i32(o, "indices", p.index, p.count);
    }
}

const tsr_operator tsr_operator_frame_select = {
    .info =
        {.name = "frame-select",
         .kind = TSR_OPERATOR_PLAN,
         .about = "says which of n frames a rule takes",
         .formula =
             "linspace-trunc: floor(i (n-1)/(F-1)) in float64, the last is n-1; linspace-round: "
             "the same points in float32, counted from both ends, rounded half to even; "
             "start-of-segment: floor(i n/F) in integers, F = max(1, int(n/fps rate)); "
             "segment-middle: int(n/F i + n/(2F)); segment-mean: (round(s i) + round(s (i+1))) "
             "div 2, s = (n-1)/F; every-nth: 0, step, 2 step ...; llava-fps-cap: every "
             "round(fps/rate)-th frame, more than `most`: linspace-trunc of `most`; "
             "qwen-smart-nframes: F = n/fps rate, within `least` rounded up and `most` rounded "
             "down to even and n, rounded down to even, then linspace-round; qwen-hf-arange: "
             "the same F with `patch` for 2, then int(i (n/F)); clips-regular: starts are a "
             "truncated float32 linspace over n - ((F-1) gap + 1), each clip F frames `gap` "
             "apart",
         .source = "numpy linspace (VQToken, LLaVA-NeXT), torch linspace and smart_nframes "
                   "(qwen-vl-utils 0.0.14), transformers 5.24, torchcodec 0.17; segment-middle "
                   "(TSN), segment-mean (Video-ChatGPT) and llava-fps-cap in our own words",
         .differs = NULL,
         .cost = "one step for each frame taken",
         .columns = NULL},
    .parameters = {{"rule", TSR_PARAMETER_CHOICE, NULL, 0, 0, RULES, "which rule"},
                   {"n", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "frames of the video"},
                   {"frames", TSR_PARAMETER_INTEGER, NULL, 1, MOST_FRAMES, NULL,
                    "F, frames wanted (of a clip)"},
                   {"fps", TSR_PARAMETER_NUMBER, NULL, 1e-6, 1e6, NULL,
                    "frames a second of the video"},
                   {"rate", TSR_PARAMETER_NUMBER, NULL, 1e-6, 1e6, NULL,
                    "frames a second that are wanted"},
                   {"least", TSR_PARAMETER_INTEGER, NULL, 1, MOST_FRAMES, NULL,
                    "fewest frames of the rules of Qwen; they take 4 without it"},
                   {"most", TSR_PARAMETER_INTEGER, NULL, 0, MOST_FRAMES, NULL,
                    "most frames; the rules of Qwen take 768 without it, llava-fps-cap any number "
                    "without it or with 0"},
                   {"patch", TSR_PARAMETER_INTEGER, NULL, 1, 1024, NULL,
                    "frames of a token with qwen-hf-arange, 2 without it"},
                   {"step", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "distance of frames with every-nth"},
                   {"clips", TSR_PARAMETER_INTEGER, NULL, 1, MOST_FRAMES, NULL,
                    "number of clips with clips-regular"},
                   {"gap", TSR_PARAMETER_INTEGER, NULL, 1, MOST_FRAMES, NULL,
                    "distance of the frames of a clip, 1 without it"}},
    .apply = frame_select,
};

/* ---- numbers of frames, in a list or in a file ---- */

/* One number for each frame: the list `name`, or the array in the file `file`, which has one axis.
 * NULL after a failure. */
static const double *frame_numbers(tsr_operation *o, const char *name, int64_t *n) {
    const bool listed = tsr_operation_has(o, name), filed = tsr_operation_has(o, "file");
    *n = 0;
    if (listed == filed) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted either %s or file, got %s", name,
                           listed ? "both" : "none");
        return NULL;
    }
    if (listed) {
        int count = 0;
        const double *list = tsr_operation_list(o, name, &count);
        *n = count;
        return list;
    }
    const char *path = tsr_operation_text(o, "file");
    tsr_tensor t = {0};
    if (!o->status) o->status = tsr_npy_read(o->ctx, path, &t);
    if (o->status) return NULL;
    if (t.rank != 1 || tsr_elements(&t) < 1)
        tsr_operation_fail(o, TSR_ERROR_FORMAT, "%s: wanted an array with one axis, got %d axes",
                           path, t.rank);
    double *list = tsr_operation_take(o, tsr_elements(&t), sizeof *list, path);
    for (int64_t i = 0; list && i < tsr_elements(&t); ++i)
        list[i] = t.dtype == TSR_DTYPE_I64   ? (double)((const int64_t *)t.data)[i]
                  : t.dtype == TSR_DTYPE_I32 ? (double)((const int32_t *)t.data)[i]
                                             : (double)((const float *)t.data)[i];
    *n = tsr_elements(&t);
    const bool readable =
        t.dtype == TSR_DTYPE_I64 || t.dtype == TSR_DTYPE_I32 || t.dtype == TSR_DTYPE_F32;
    free(t.data);
    if (!readable)
        tsr_operation_fail(o, TSR_ERROR_UNSUPPORTED, "%s: wanted f4, f8, i4, i8 or u2 numbers",
                           path);
    return o->status ? NULL : list;
}

/* ---- frame-times: rules that know when each frame is shown ---- */

typedef struct ratio {
    int64_t up, down;
} ratio;

/* "30000+1001" is 30000/1001, "25" is 25/1. */
static ratio read_ratio(tsr_operation *o, const char *name) {
    int count = 0;
    const double *list = tsr_operation_list(o, name, &count);
    if (!o->status &&
        (count > 2 || list[0] != floor(list[0]) || (count == 2 && list[1] != floor(list[1]))))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "%s: wanted a whole number, or two for a fraction: 30000+1001", name);
    if (o->status) return (ratio){1, 1};
    return (ratio){(int64_t)list[0], count == 2 ? (int64_t)list[1] : 1};
}
static int64_t common_divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

typedef struct times {
    const double *pts; /* [n] whole, ascending */
    int64_t n;
    double end;
    ratio per_unit; /* frames wanted in a unit of the times */
} times;

static void read_times(tsr_operation *o, times *t) {
    t->pts = frame_numbers(o, "pts", &t->n);
    const ratio base = read_ratio(o, "base"), rate = read_ratio(o, "rate");
    t->end = tsr_operation_number(o, "end");
    if (o->status) return;
    const int64_t a = common_divisor(base.up, rate.down), b = common_divisor(rate.up, base.down);
    t->per_unit = (ratio){base.up / a * (rate.up / b), base.down / b * (rate.down / a)};
    for (int64_t i = 0; i < t->n && !o->status; ++i)
        if (t->pts[i] != floor(t->pts[i]) || fabs(t->pts[i]) > 0x1p53)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "pts: frame %lld: wanted a whole number of time base units, got %g",
                               (long long)i, t->pts[i]);
        else if (i && t->pts[i] <= t->pts[i - 1])
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "pts: frame %lld: wanted a time after %.17g, got %.17g",
                               (long long)i, t->pts[i - 1], t->pts[i]);
    if (!o->status && (t->end != floor(t->end) || t->end < t->pts[t->n - 1]))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "end: wanted a whole number, at least the last time %.17g, got %.17g",
                           t->pts[t->n - 1], t->end);
}

/* Output frames that `units` >= 0 of time are worth, and what is left over. */
static int64_t outputs(tsr_operation *o, const times *t, double units, int64_t *rest) {
    int64_t product = 0;
    *rest = 0;
    if (__builtin_mul_overflow((int64_t)units, t->per_unit.up, &product))
        tsr_operation_fail(o, TSR_ERROR_TOO_LARGE, "pts: wanted times below 2^63 / %lld, got %.17g",
                           (long long)t->per_unit.up, units);
    if (o->status) return 0;
    *rest = product % t->per_unit.down;
    return product / t->per_unit.down;
}

/* The frame that is on screen at first + k / rate, until the end of the last frame: frame i begins
 * to be shown at the first k that is not before it. */
static void time_hold(picks *p, const times *t) {
    int64_t rest = 0;
    int64_t total = outputs(p->o, t, t->end - t->pts[0], &rest);
    total += rest > 0;
    if (p->o->status || !make_room(p, total)) return;
    for (int64_t i = 0, k = 0; i < t->n; ++i) {
        int64_t next = total;
        if (i + 1 < t->n) {
            next = outputs(p->o, t, t->pts[i + 1] - t->pts[0], &rest);
            next += rest > 0;
        }
        for (; k < next; ++k)
            p->index[k] = (int32_t)i;
    }
}

/* A time after the first in output frames, rounded as FFmpeg's av_rescale_q_rnd does: near is half
 * up, since the program ffmpeg lets every file begin at 0. */
static int64_t rescaled(tsr_operation *o, const times *t, double pts, bool near) {
    int64_t rest = 0;
    const int64_t k = outputs(o, t, pts - t->pts[0], &rest), down = t->per_unit.down;
    return near && rest >= down - rest ? k + 1 : k;
}

/* FFmpeg's filter fps: a frame is repeated until the next one's rounded time has come. */
static void ffmpeg_fps(picks *p, const times *t, bool near) {
    const int64_t total = rescaled(p->o, t, t->end, near);
    if (p->o->status || !make_room(p, total)) return;
    for (int64_t i = 0, k = 0; i < t->n; ++i) {
        const int64_t next = i + 1 < t->n ? rescaled(p->o, t, t->pts[i + 1], near) : total;
        for (; k < next && k < total; ++k)
            p->index[k] = (int32_t)i;
    }
}

static void frame_times(tsr_operation *o) {
    times t = {0};
    picks p = {.o = o};
    read_times(o, &t);
    if (o->status) return;
    if (tsr_operation_is(o, "rule", "time-hold"))
        time_hold(&p, &t);
    else
        ffmpeg_fps(&p, &t, tsr_operation_is(o, "rule", "ffmpeg-fps-near"));
    const ratio base = read_ratio(o, "base");
    double *seconds = tsr_operation_take(o, p.count, sizeof *seconds, "times");
    if (o->status) return;
    for (int64_t i = 0; i < p.count; ++i)
        seconds[i] = t.pts[p.index[i]] * (double)base.up / (double)base.down;
    tsr_operation_trace_i32(o, "indices", p.index, p.count);
    tsr_operation_trace_f64(o, "seconds", seconds, p.count);
}

#define NUMBERS_FILE                                                                               \
    { "file", TSR_PARAMETER_FILE, NULL, 0, 0, NULL, "the same numbers as an .npy array" }

const tsr_operator tsr_operator_frame_times = {
    .info = {.name = "frame-times",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says which frames are taken at a constant rate, from the time of each frame",
             .formula =
                 "time-hold: the frame on screen at pts_0 + k / rate, until the end of the last "
                 "frame; ffmpeg-fps-near, -down: times become round((pts - pts_0) base rate) (half "
                 "up) or floor, and frame i fills the outputs from its time to that of frame i + 1",
             .source = "time-hold is ours, and right for variable rates; ffmpeg-fps-*: the filter "
                       "fps of FFmpeg 5.1",
             .differs = NULL,
             .cost = "one step for each frame and for each frame taken; arithmetic in integers",
             .columns = NULL},
    .parameters = {{"rule", TSR_PARAMETER_CHOICE, "time-hold", 0, 0,
                    "time-hold|ffmpeg-fps-near|ffmpeg-fps-down", "which rule"},
                   {"pts", TSR_PARAMETER_LIST, NULL, -0x1p53, 0x1p53, NULL,
                    "time of each frame in units of the time base, in display order; or give file"},
                   NUMBERS_FILE,
                   {"base", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
                    "time base in seconds as a fraction: 1+90000"},
                   {"end", TSR_PARAMETER_NUMBER, NULL, -0x1p53, 0x1p53, NULL,
                    "end of the last frame, in units of the time base: for ffmpeg-fps-* its time "
                    "and its stored "
                    "duration, which may be 0"},
                   {"rate", TSR_PARAMETER_LIST, NULL, 1, 2147483647, NULL,
                    "frames a second that are wanted: 2, or 30000+1001"}},
    .apply = frame_times,
};

/* ---- frame-marks: rules that know something of each frame ---- */

static void frame_marks(tsr_operation *o) {
    picks p = {.o = o};
    const double *value = frame_numbers(o, "values", &p.n);
    const bool keys = tsr_operation_is(o, "rule", "key-frames"),
               differences = tsr_operation_is(o, "rule", "scene-difference");
    const double threshold = tsr_operation_number(o, "threshold");
    double *score = tsr_operation_take(o, p.n, sizeof *score, "scores");
    if (o->status || !make_room(&p, p.n)) return;
    p.count = 0;
    for (int64_t i = 0; i < p.n; ++i) {
        if (keys && value[i] != 0 && value[i] != 1)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "values: frame %lld: wanted 0 or 1, got %g",
                               (long long)i, value[i]);
        score[i] = value[i];
        if (differences)
            score[i] = i ? between(fmin(value[i], fabs(value[i] - value[i - 1])) / 100, 0, 1) : 0;
        if (keys ? value[i] != 0 : i == 0 || score[i] > threshold) p.index[p.count++] = (int32_t)i;
    }
    tsr_operation_trace_i32(o, "indices", p.index, p.count);
    if (differences) tsr_operation_trace_f64(o, "scores", score, p.n);
}

const tsr_operator tsr_operator_frame_marks = {
    .info = {.name = "frame-marks",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says which frames begin something: key frames, and scenes",
             .formula = "key-frames: frames marked 1; scene-change: frame 0 and frames whose score "
                        "is above the threshold; scene-difference: the same with score = min(m, "
                        "|m - previous m|) / 100 within 0..1, m the mean absolute difference of "
                        "luma (0..255) to the previous frame, 0 for frame 0",
             .source = "FFmpeg's filter select (scene)",
             .differs = NULL,
             .cost = "one step for each frame",
             .columns = NULL},
    .parameters = {{"rule", TSR_PARAMETER_CHOICE, NULL, 0, 0,
                    "key-frames|scene-change|scene-difference", "which rule"},
                   {"values", TSR_PARAMETER_LIST, NULL, 0, 255, NULL,
                    "for each frame its mark, score or difference; or give file"},
                   NUMBERS_FILE,
                   {"threshold", TSR_PARAMETER_NUMBER, "0.4", 0, 1, NULL,
                    "score above which a scene begins"}},
    .apply = frame_marks,
};
