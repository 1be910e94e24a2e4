/* SPDX-License-Identifier: MIT */
/* write_video.c: videos to files: which kind a path and its settings mean, and when each frame is
 * shown. */
#include "../formats/file.h"
#include "../formats/out_folder.h"
#include "frames_list.h"
#include "video_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#ifdef TESSERA_WITH_VIDEO
#define CODED tsr_video_sink_coded
#define GIF   tsr_video_sink_gif
static const bool has_video = true;
#else /* never opened: kind_of refuses them */
#define CODED tsr_video_sink_folder
#define GIF   tsr_video_sink_folder
static const bool has_video = false;
#endif

enum {
    MOST_SIDE = 16384,
    GIF_LEAST = 2 /* hundredths: browsers slow down what is shown shorter */
};
static const int64_t most_time = (int64_t)1 << 53;

/* ---- kinds ---------------------------------------------------------------------------------- */

enum { H264, VP9, FFV1, RAW, GIF_CODEC, PNG };
static const tsr_video_codec codecs[] = {
    [H264] = {"h264", "libx264", "libx264rgb", 18, 51, true, true, true},
    [VP9] = {"vp9", "libvpx-vp9", "libvpx-vp9", 24, 63, true, false, false},
    [FFV1] = {"ffv1", NULL, "ffv1", 0, 0, false, false, false},
    [RAW] = {"yuv", "wrapped_avframe", NULL, 0, 0, true, false, false},
    [GIF_CODEC] = {"gif", "gif", NULL, 0, 0, true, false, false},
    [PNG] = {"png", NULL, NULL, 0, 0, false, false, false},
};

/* What becomes of times. */
typedef enum pace {
    KEPT,       /* as they are */
    CONSTANT,   /* ticks of the rate, held or dropped */
    HUNDREDTHS, /* from the first frame on */
} pace;

/* A kind of file. */
typedef struct kind {
    const char *name, *suffixes; /* suffixes with dots and a blank behind each */
    const char *muxer;           /* FFmpeg's name; NULL: a folder */
    pace pace;
    const tsr_video_sink *sink;
    int codec, lossless; /* defaults, places in `codecs`; lossless -1: cannot be */
    const char *codecs;  /* that may be asked for, a blank behind each */
    bool matrix_tag;     /* says by which matrix its samples were made */
} kind;

static const kind kinds[] = {
    {"mp4", ".mp4 .m4v ", "mp4", KEPT, &CODED, H264, H264, "h264 ", true},
    {"mkv", ".mkv ", "matroska", KEPT, &CODED, H264, FFV1, "h264 vp9 ffv1 ", true},
    {"webm", ".webm ", "webm", KEPT, &CODED, VP9, VP9, "vp9 ", true},
    {"nut", ".nut ", "nut", KEPT, &CODED, H264, FFV1, "h264 vp9 ffv1 ", true},
    {"y4m", ".y4m ", "yuv4mpegpipe", CONSTANT, &CODED, RAW, -1, "", false},
    {"gif", ".gif ", "gif", HUNDREDTHS, &GIF, GIF_CODEC, -1, "", true},
    {"frames", "/ ", NULL, KEPT, &tsr_video_sink_folder, PNG, PNG, "", true},
};
enum { KINDS = sizeof kinds / sizeof *kinds, Y4M = 4, FRAMES = 6 };
#define FORMATS_TEXT "mp4, mkv, webm, nut, y4m, gif or frames"

static bool in_list(const char *list, const char *word, size_t n) {
    for (const char *s = list; n && *s; s += strcspn(s, " ") + 1)
        if (strcspn(s, " ") == n && !strncasecmp(s, word, n)) return true;
    return false;
}

/* Pipes and devices have names that mean nothing. */
static bool named_by_people(const char *path) {
    struct stat st;
    return strcmp(path, "-") && strncmp(path, "/dev/", 5) &&
           (stat(path, &st) || S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static const char *suffix_of(const char *path) {
    const size_t n = strlen(path);
    if (n > 1 && path[n - 1] == '/') return path + n - 1;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    return dot && dot != name ? dot : "";
}

static const kind *kind_of_suffix(const char *suffix) {
    for (int i = 0; i < KINDS; ++i)
        if (in_list(kinds[i].suffixes, suffix, strlen(suffix))) return &kinds[i];
    return NULL;
}

static const kind *kind_of_format(const char *format) {
    for (int i = 0; i < KINDS; ++i)
        if (!strcmp(kinds[i].name, format)) return &kinds[i];
    return NULL;
}

int tsr_video_is_name(const char *path) {
    return path && named_by_people(path) && kind_of_suffix(suffix_of(path)) != NULL;
}

static tsr_status find_kind(tsr_context *ctx, const char *path, const char *format,
                            const kind **found) {
    const char *suffix = named_by_people(path) ? suffix_of(path) : "";
    const kind *said = kind_of_suffix(suffix), *wanted = format ? kind_of_format(format) : NULL;
    if (format && !wanted)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "format: wanted " FORMATS_TEXT ", got %s", format);
    /* A folder may have any name. */
    if (wanted && said && wanted != said && wanted != &kinds[FRAMES])
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a name for %s, got one for %s", path,
                        wanted->name, said->name);
    if (!wanted && !said && *suffix)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted the suffix of a video (.mp4, .mkv, .webm, .nut, .y4m, .gif), a "
                        "folder's '/' or a format beside the name, got %s",
                        path, suffix);
    *found = wanted ? wanted : said ? said : &kinds[Y4M];
    if (*found == &kinds[FRAMES] && !named_by_people(path))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted the name of a folder for frames",
                        path);
    if ((*found)->muxer && !has_video)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: this build writes no videos", path);
    return TSR_OK;
}

static tsr_status find_codec(tsr_context *ctx, const char *path, const kind *k,
                             const tsr_video_write_settings *s, const tsr_video_codec **found) {
    const int usual = s->lossless ? k->lossless : k->codec;
    if (usual < 0)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: lossless: wanted mkv, nut, mp4, webm or frames, got %s", path,
                        k->name);
    *found = &codecs[usual];
    if (!s->codec) return TSR_OK;
    if (!in_list(k->codecs, s->codec, strlen(s->codec)))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: codec: wanted %s%s, got %s", path,
                        *k->codecs ? "one of " : "none beside the format, which has its own",
                        k->codecs, s->codec);
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; ++i)
        if (!strcasecmp(codecs[i].name, s->codec)) *found = &codecs[i];
    return TSR_OK;
}

static tsr_status check_preset(tsr_context *ctx, const char *path, const tsr_video_codec *codec,
                               const char *preset) {
    static const char presets[] =
        "ultrafast superfast veryfast faster fast medium slow slower veryslow placebo ";
    if (!preset) return TSR_OK;
    if (!codec->presets)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: preset: wanted h264 with it, got %s", path,
                        codec->name);
    if (in_list(presets, preset, strlen(preset))) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: preset: wanted one of %sgot %s", path, presets,
                    preset);
}

static tsr_status check_quality(tsr_context *ctx, const char *path, const tsr_video_codec *codec,
                                const tsr_video_write_settings *s) {
    if (!s->crf) return TSR_OK;
    if (s->lossless || !codec->most_crf)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: crf: wanted h264 or vp9 with it, got %s%s",
                        path, s->lossless ? "lossless " : "", codec->name);
    if (s->crf < 1 || s->crf > codec->most_crf)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: crf: wanted 1 to %d of %s, got %d", path,
                        codec->most_crf, codec->name, s->crf);
    return TSR_OK;
}

/* A fraction whose halves fit FFmpeg's; 0/0 passes, too. */
static bool is_fraction(tsr_rational r) {
    return (!r.num && !r.den) ||
           (r.num > 0 && r.den > 0 && r.num <= INT32_MAX && r.den <= INT32_MAX);
}

static tsr_status check_settings(tsr_context *ctx, const char *path,
                                 const tsr_video_write_settings *s, const kind **k,
                                 const tsr_video_codec **codec) {
    tsr_status status = find_kind(ctx, path, s->format, k);
    if (!status) status = find_codec(ctx, path, *k, s, codec);
    if (!status) status = check_preset(ctx, path, *codec, s->preset);
    if (!status) status = check_quality(ctx, path, *codec, s);
    if (status) return status;
    if (!is_fraction(s->rate) || !is_fraction(s->time_base))
        return tsr_fail(
            ctx, TSR_ERROR_ARGUMENT,
            "%s: rate and time base: wanted fractions of 1 to 2147483647, got %lld/%lld "
            "and %lld/%lld",
            path, (long long)s->rate.num, (long long)s->rate.den, (long long)s->time_base.num,
            (long long)s->time_base.den);
    if (s->matrix < TSR_VIDEO_MATRIX_AUTO || s->matrix > TSR_VIDEO_MATRIX_BT2020)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "%s: matrix: wanted BT.601, BT.709 or BT.2020, got %d", path,
                        (int)s->matrix);
    if (s->range < TSR_VIDEO_RANGE_AUTO || s->range > TSR_VIDEO_RANGE_FULL)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: range: wanted limited or full, got %d", path,
                        (int)s->range);
    return (*k)->muxer ? tsr_out_check(ctx, path)
                       : tsr_out_folder_check(ctx, path, TSR_VIDEO_FRAMES_FILE);
}

tsr_status tsr_video_write_check(tsr_context *ctx, const char *path,
                                 const tsr_video_write_settings *settings) {
    const tsr_video_write_settings s = settings ? *settings : (tsr_video_write_settings){0};
    const kind *k;
    const tsr_video_codec *codec;
    if (!path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_video_write_check: wanted a path, got NULL");
    return check_settings(ctx, path, &s, &k, &codec);
}

/* ---- the writer ----------------------------------------------------------------------------- */

struct tsr_video_writer {
    tsr_context *ctx;
    const kind *kind;
    char *path;
    tsr_video_job job;
    void *state;
    tsr_status failed;
    tsr_rational time_base; /* of the caller's times; the job's is that of the file */
    uint64_t added;
    int64_t first, last; /* pts of the first and last frame that was added */
    int64_t unit;        /* duration of a frame of the rate, at least 1 */
    /* The frame that waits until its duration is known: it is over when the next one begins. */
    uint8_t *waiting;
    int64_t begin, duration; /* in units of the file; duration 0: not told */
    int64_t before;          /* duration of the frame before it, or that of the rate */
    bool filled;
    tsr_video_write_report report;
};

/* value * from / to, rounded to nearest, halves up, and clipped to 2^53. */
static int64_t scaled(int64_t value, tsr_rational from, tsr_rational to) {
    const __int128 below = (__int128)from.den * to.num;
    const __int128 above = (__int128)value * from.num * to.den;
    const __int128 twice = 2 * above + below;
    __int128 q = twice / (2 * below);
    if (twice % (2 * below) < 0) q--;
    return q > most_time ? most_time : q < -most_time ? -most_time : (int64_t)q;
}

static void fill_job(tsr_video_writer *w, const tsr_video_write_settings *s,
                     const tsr_video_codec *codec, uint32_t width, uint32_t height) {
    tsr_rational rate = s->rate, base = s->time_base;
    if (!rate.den && base.den && base.den >= base.num && base.den <= 240 * base.num)
        rate = (tsr_rational){base.den, base.num};
    if (!rate.den) rate = (tsr_rational){25, 1};
    if (!base.den) base = (tsr_rational){rate.den, rate.num};
    static const tsr_rational hundredth = {1, 100};
    const pace pace = w->kind->pace;
    w->time_base = base;
    w->job = (tsr_video_job){
        .ctx = w->ctx,
        .name = w->path,
        .muxer = w->kind->muxer,
        .codec = codec,
        .width = width,
        .height = height,
        .crf = s->crf ? s->crf : codec->crf,
        .preset = s->preset ? s->preset : "medium",
        .lossless = s->lossless || !codec->lossy,
        .rate = rate,
        .time_base = pace == CONSTANT     ? (tsr_rational){rate.den, rate.num}
                     : pace == HUNDREDTHS ? hundredth
                                          : base,
        .rate_known = !s->variable_rate || pace == CONSTANT,
        .matrix = s->matrix             ? s->matrix
                  : w->kind->matrix_tag ? TSR_VIDEO_MATRIX_BT709
                                        : TSR_VIDEO_MATRIX_BT601,
        .range = s->range ? s->range : TSR_VIDEO_RANGE_LIMITED,
    };
    w->unit = scaled(1, (tsr_rational){rate.den, rate.num}, base);
    if (w->unit < 1) w->unit = 1;
    w->before = scaled(1, (tsr_rational){rate.den, rate.num}, w->job.time_base);
    if (w->before < 1) w->before = 1;
    snprintf(w->report.format, sizeof w->report.format, "%s", w->kind->name);
    snprintf(w->report.codec, sizeof w->report.codec, "%s", codec->name);
}

tsr_status tsr_video_writer_open(tsr_context *ctx, const char *path,
                                 const tsr_video_write_settings *settings, uint32_t width,
                                 uint32_t height, tsr_video_writer **writer) {
    const tsr_video_write_settings s = settings ? *settings : (tsr_video_write_settings){0};
    const kind *k;
    const tsr_video_codec *codec;
    if (!ctx || !writer) return TSR_ERROR_ARGUMENT;
    *writer = NULL;
    if (!path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tsr_video_writer_open: wanted a path, got NULL");
    tsr_status status = check_settings(ctx, path, &s, &k, &codec);
    if (status) return status;
    if (!width || !height)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: size: wanted at least 1x1, got %ux%u", path,
                        width, height);
    if (width > MOST_SIDE || height > MOST_SIDE)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted at most %d pixels a side, got %ux%u", path, MOST_SIDE,
                        width, height);
    tsr_video_writer *w = tsr_alloc(ctx, 1, sizeof *w, "video writer");
    if (!w) return TSR_ERROR_MEMORY;
    w->ctx = ctx;
    w->kind = k;
    w->path = strdup(path);
    w->waiting = tsr_alloc(ctx, (size_t)width * height, 3, "frame");
    if (!w->path) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (!w->path || !w->waiting) status = TSR_ERROR_MEMORY;
    if (!status) {
        fill_job(w, &s, codec, width, height);
        status = k->sink->open(&w->job, &w->state);
    }
    *writer = w;
    if (status) tsr_video_writer_abandon(writer);
    return status;
}

/* Hands the waiting frame on; the next one, in units of the file, begins at `end`. */
static tsr_status pass_on(tsr_video_writer *w, int64_t end) {
    tsr_status s = TSR_OK;
    if (!w->filled) return s;
    if (w->kind->pace == CONSTANT) {
        if (end == w->begin) w->report.dropped++;
        for (int64_t tick = w->begin; !s && tick < end; ++tick) {
            s = w->kind->sink->add(w->state, w->waiting, tick, 1);
            w->report.frames++;
            w->report.repeated += tick > w->begin;
        }
    } else {
        const int64_t told = w->kind->pace == KEPT ? w->duration : 0;
        s = w->kind->sink->add(w->state, w->waiting, w->begin, told > 0 ? told : end - w->begin);
        w->report.frames++;
    }
    w->before = end > w->begin ? end - w->begin : w->before;
    w->filled = false;
    return s;
}

/* The frame's own time, after that of the frame before. */
static tsr_status time_of(tsr_video_writer *w, int64_t pts, int64_t *time) {
    if (pts == TSR_NO_TIME)
        pts = scaled((int64_t)w->added, (tsr_rational){w->job.rate.den, w->job.rate.num},
                     w->time_base);
    if (pts >= most_time || pts <= -most_time)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT,
                        "%s: time of frame %llu: wanted less than 2^53 units, got %lld", w->path,
                        (unsigned long long)w->added, (long long)pts);
    if (w->added && pts <= w->last) {
        pts = w->last + 1;
        w->report.moved++;
    }
    *time = pts;
    return TSR_OK;
}

tsr_status tsr_video_writer_add(tsr_video_writer *w, const uint8_t *rgb, int64_t pts,
                                int64_t duration) {
    if (!w) return TSR_ERROR_ARGUMENT;
    if (w->failed) return w->failed;
    if (!rgb)
        return tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: frame: wanted pixels, got NULL", w->path);
    int64_t time = 0;
    tsr_status s = time_of(w, pts, &time);
    if (s) return w->failed = s;
    if (!w->added) w->first = time;
    const int64_t begin =
        w->kind->pace == KEPT ? time : scaled(time - w->first, w->time_base, w->job.time_base);
    if (w->kind->pace == HUNDREDTHS && w->filled && begin < w->begin + GIF_LEAST) {
        w->report.dropped++;
    } else {
        s = pass_on(w, begin);
        memcpy(w->waiting, rgb, (size_t)w->job.width * w->job.height * 3);
        w->begin = begin;
        w->filled = true;
    }
    w->duration =
        duration > 0 && duration < most_time ? scaled(duration, w->time_base, w->job.time_base) : 0;
    w->last = time;
    w->added++;
    return w->failed = s;
}

tsr_status tsr_video_writer_finish(tsr_video_writer **writer, tsr_video_write_report *report) {
    if (!writer || !*writer) return TSR_ERROR_ARGUMENT;
    tsr_video_writer *w = *writer;
    tsr_status s = w->failed;
    if (!s && !w->added)
        s = tsr_fail(w->ctx, TSR_ERROR_ARGUMENT, "%s: frames: wanted one or more, got none",
                     w->path);
    if (!s) s = pass_on(w, w->begin + (w->duration > 0 ? w->duration : w->before));
    if (!s) s = w->kind->sink->finish(w->state, &w->report);
    if (report) *report = w->report;
    tsr_video_writer_abandon(writer);
    return s;
}

void tsr_video_writer_abandon(tsr_video_writer **writer) {
    if (!writer || !*writer) return;
    tsr_video_writer *w = *writer;
    if (w->state) w->kind->sink->close(w->state);
    free(w->waiting);
    free(w->path);
    free(w);
    *writer = NULL;
}
