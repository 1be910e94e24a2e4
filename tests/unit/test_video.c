/* SPDX-License-Identifier: MIT */
/* test_video: reading videos: seeking, threads, limits, damage, folders, playlists, and the frames
 * that rules choose. What comes out of each kind of clip is compared by the golden cases video-in.
 */
#include "../../media/video.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <tessera/media.h>
#include <unistd.h>

#define CLIPS TESSERA_TESTS "/golden/video-in/"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* ---- a whole clip in memory --------------------------------------------------------------------
 */

enum { MOST = 64 };
typedef struct clip {
    tsr_video_frame frame[MOST];
    uint64_t pixels[MOST]; /* hashes */
    int count;
    tsr_status end;
} clip;

static uint64_t hash_of(const tsr_video_frame *f) {
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ f->width ^ ((uint64_t)f->height << 32);
    for (size_t i = 0; f->rgb && i < (size_t)f->width * f->height * 3; ++i)
        h = (h ^ f->rgb[i]) * UINT64_C(0x100000001b3);
    return h;
}

static clip read_clip(const char *path, const tsr_video_settings *settings) {
    clip c = {.count = 0};
    tsr_video *video = NULL;
    const tsr_video_frame *f = NULL;
    c.end = tsr_video_open(ctx, path, settings, &video);
    while (!c.end && !(c.end = tsr_video_next(video, &f)) && f) {
        ck_assert_int_lt(c.count, MOST);
        c.frame[c.count] = *f;
        c.pixels[c.count++] = hash_of(f);
    }
    if (video && c.end) /* told again */
        ck_assert_int_eq(tsr_video_next(video, &f), c.end);
    tsr_video_close(&video);
    return c;
}

static void same_frames(const char *what, const clip *a, const clip *b, int count) {
    ck_assert_msg(a->count >= count && b->count >= count, "%s: %d and %d frames, wanted %d", what,
                  a->count, b->count, count);
    for (int i = 0; i < count; ++i)
        ck_assert_msg(a->pixels[i] == b->pixels[i] && a->frame[i].pts == b->frame[i].pts &&
                          a->frame[i].key == b->frame[i].key,
                      "%s: frame %d differs", what, i);
}

static const char *const clips[] = {
    CLIPS "codecs/h264-bframes.mp4", CLIPS "codecs/h264.ts",        CLIPS "codecs/vp9.webm",
    CLIPS "codecs/prores.mov",       CLIPS "timing/open-gop.mkv",   CLIPS "timing/long-gop.mp4",
    CLIPS "timing/trimmed.mp4",      CLIPS "timing/vfr.mkv",        CLIPS "animations/disposal.gif",
    CLIPS "animations/alpha.webp",   CLIPS "animations/alpha.apng",
};
enum { CLIPS_COUNT = sizeof clips / sizeof *clips };

/* ---- reading -----------------------------------------------------------------------------------
 */

START_TEST(same_for_every_thread_and_memory) {
    open_context();
    for (int i = 0; i < CLIPS_COUNT; ++i) {
        tsr_video_settings one = tsr_video_settings_default(), many = one;
        one.threads = 1;
        one.memory = 1; /* a frame at a time */
        many.threads = 5;
        const clip a = read_clip(clips[i], &one), b = read_clip(clips[i], &many);
        ck_assert_int_eq(a.end, TSR_OK);
        ck_assert_int_eq(a.count, b.count);
        same_frames(clips[i], &a, &b, a.count);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* The frame on screen is found from everywhere, on a frame's time, between two, before and behind.
 */
START_TEST(seeks_exactly) {
    open_context();
    for (int i = 0; i < CLIPS_COUNT; ++i) {
        const clip c = read_clip(clips[i], NULL);
        tsr_video *video = NULL;
        ck_assert_int_eq(tsr_video_open(ctx, clips[i], NULL, &video), TSR_OK);
        for (int turn = 0; turn < 8; ++turn) {
            const int want = (int)random_below(c.count);
            const tsr_video_frame *f = NULL;
            const int64_t next = want + 1 < c.count ? c.frame[want + 1].pts : c.frame[want].pts + 9;
            const int64_t gap = next - c.frame[want].pts;
            const int64_t pts = c.frame[want].pts + (gap > 1 ? random_below(gap) : 0);
            ck_assert_int_eq(tsr_video_seek(video, pts), TSR_OK);
            for (int k = want; k < c.count && k < want + 3; ++k) {
                ck_assert_int_eq(tsr_video_next(video, &f), TSR_OK);
                ck_assert_msg(f && hash_of(f) == c.pixels[k] && f->pts == c.frame[k].pts,
                              "%s: frame %d, %d behind a seek to %lld", clips[i], k, k - want,
                              (long long)pts);
                ck_assert(f->index == TSR_NO_INDEX);
            }
        }
        const tsr_video_frame *f = NULL;
        ck_assert_int_eq(tsr_video_seek(video, c.frame[0].pts - 1000), TSR_OK);
        ck_assert(!tsr_video_next(video, &f) && f && hash_of(f) == c.pixels[0]);
        ck_assert_int_eq(tsr_video_seek(video, INT64_MAX / 4), TSR_OK);
        ck_assert(!tsr_video_next(video, &f) && f && hash_of(f) == c.pixels[c.count - 1]);
        ck_assert(!tsr_video_next(video, &f) && !f);
        tsr_video_close(&video);
    }
    tsr_context_close(&ctx);
}
END_TEST

/* Frames that are whole in the decoder when the file ends come out: those of the whole clip. */
START_TEST(damage_comes_behind_whole_frames) {
    open_context();
    const clip whole = read_clip(CLIPS "codecs/h264-bframes.mp4", NULL);
    clip first = {.count = 0};
    tsr_video_settings s = tsr_video_settings_default();
    for (s.threads = 1; s.threads < 5; ++s.threads) {
        const clip cut = read_clip(CLIPS "damaged/truncated.mp4", &s);
        ck_assert_int_eq(cut.end, TSR_ERROR_DAMAGED);
        ck_assert(strstr(tsr_detail(ctx), "truncated.mp4: a frame of the file is cut; 6 whole"));
        ck_assert_int_eq(cut.count, 6);
        same_frames("truncated.mp4", &cut, &whole, 6);
        /* What flipped bytes become is open, but it does not depend on threads. */
        const clip flipped = read_clip(CLIPS "damaged/flipped-bytes.mp4", &s);
        ck_assert_int_eq(flipped.end, TSR_ERROR_DAMAGED);
        if (s.threads == 1) first = flipped;
        ck_assert_int_eq(flipped.count, first.count);
        same_frames("flipped-bytes.mp4", &flipped, &first, first.count);
    }
    s = tsr_video_settings_default();
    s.lenient = 1;
    const clip lenient = read_clip(CLIPS "damaged/flipped-bytes.mp4", &s);
    int marked = 0;
    for (int i = 0; i < lenient.count; ++i)
        marked += lenient.frame[i].damaged;
    ck_assert_int_ge(lenient.count, 10);
    ck_assert_int_gt(marked, 0);
    tsr_context_close(&ctx);
}
END_TEST

static void refused(const char *path, const tsr_video_settings *s, tsr_status status,
                    const char *text, int frames) {
    const clip c = read_clip(path, s);
    ck_assert_msg(c.end == status && strstr(tsr_detail(ctx), text) && c.count == frames,
                  "%s: wanted %s and \"%s\" behind %d frames, got %s and \"%s\" behind %d", path,
                  tsr_status_name(status), text, frames, tsr_status_name(c.end), tsr_detail(ctx),
                  c.count);
}

START_TEST(limits) {
    open_context();
    tsr_video_settings s = tsr_video_settings_default();
    s.max_pixels = 64 * 48 - 1;
    refused(CLIPS "codecs/h264-bframes.mp4", &s, TSR_ERROR_TOO_LARGE, "64 x 48", 0);
    refused(CLIPS "animations/alpha.webp", &(tsr_video_settings){.max_pixels = 1},
            TSR_ERROR_TOO_LARGE, "40x32", 0);
    s = tsr_video_settings_default();
    s.max_frames = 5;
    refused(CLIPS "codecs/h264-bframes.mp4", &s, TSR_ERROR_TOO_LARGE, "wanted at most 5, got more",
            5);
    s = tsr_video_settings_default();
    s.max_seconds = 0.2;
    refused(CLIPS "codecs/h264-bframes.mp4", &s, TSR_ERROR_TOO_LARGE, "wanted at most 0.2 s", 6);
    s.max_seconds = -1;
    refused(CLIPS "codecs/h264-bframes.mp4", &s, TSR_ERROR_ARGUMENT, "threads, a rate", 0);
    refused(CLIPS "no-such-file.mp4", NULL, TSR_ERROR_NOT_FOUND, "no-such-file.mp4", 0);
    s = tsr_video_settings_default();
    s.raw = "yuv420p,64x";
    refused(CLIPS "codecs/raw-rgb24-33x17.rgb", &s, TSR_ERROR_ARGUMENT, "FORMAT,WIDTHxHEIGHT", 0);
    s.raw = "rgb24,32x17"; /* 1632 bytes, of 5049 */
    refused(CLIPS "codecs/raw-rgb24-33x17.rgb", &s, TSR_ERROR_DAMAGED, "a frame of the file is cut",
            3);
    tsr_video *video = NULL;
    ck_assert_int_eq(tsr_video_open(ctx, CLIPS "codecs/h264.h264", NULL, &video), TSR_OK);
    ck_assert_int_eq(tsr_video_seek(video, 0), TSR_ERROR_UNSUPPORTED);
    tsr_video_close(&video);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- files made here ---------------------------------------------------------------------------
 */

static char folder[] = "/tmp/tessera-video-XXXXXX";

static void make_folder(void) {
    ck_assert_ptr_nonnull(mkdtemp(strcpy(folder, "/tmp/tessera-video-XXXXXX")));
}

static void remove_folder(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static const char *write_file(const char *name, const void *bytes, size_t size) {
    static char path[4][256];
    static int turn;
    char *p = path[turn++ % 4];
    snprintf(p, sizeof path[0], "%s/%s", folder, name);
    FILE *f = fopen(p, "wb");
    ck_assert(f && fwrite(bytes, 1, size, f) == size && !fclose(f));
    return p;
}

/* No other file is opened, whatever the bytes say. */
START_TEST(playlists) {
    open_context();
    make_folder();
    static const char hls[] = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n"
                              "/etc/hostname\n#EXT-X-ENDLIST\n",
                      concat[] = "ffconcat version 1.0\nfile /etc/hostname\n";
    refused(write_file("a.m3u8", hls, sizeof hls - 1), NULL, TSR_ERROR_UNSUPPORTED,
            "a list of other files (hls", 0);
    refused(write_file("a.txt", concat, sizeof concat - 1), NULL, TSR_ERROR_UNSUPPORTED,
            "a list of other files (concat", 0);
    refused(TESSERA_TESTS "/golden/towers/siglip-tiny/a.png", NULL, TSR_ERROR_UNSUPPORTED,
            "a still picture", 0);
    remove_folder();
    tsr_context_close(&ctx);
}
END_TEST

static void write_grey(const char *name, int grey) {
    char ppm[64];
    const int head = snprintf(ppm, sizeof ppm, "P6\n2 2\n255\n");
    memset(ppm + head, grey, 12);
    write_file(name, ppm, (size_t)head + 12);
}

START_TEST(folders) {
    open_context();
    make_folder();
    refused(folder, NULL, TSR_ERROR_FORMAT, "wanted numbered pictures, got none", 0);
    write_grey("f10.ppm", 30); /* natural order: 2, 9, 10 */
    write_grey("f2.ppm", 10);
    write_grey("f9.ppm", 20);
    write_file("notes.txt", "x", 1);
    tsr_video_settings s = tsr_video_settings_default();
    s.rate = (tsr_rational){30000, 1001};
    tsr_video *video = NULL;
    const tsr_video_frame *f = NULL;
    ck_assert_int_eq(tsr_video_open(ctx, folder, &s, &video), TSR_OK);
    const tsr_video_info *info = tsr_video_properties(video);
    ck_assert(info->time_base.num == 1001 && info->time_base.den == 30000 && info->rate_assumed);
    for (int i = 0; i < 3; ++i) {
        ck_assert_int_eq(tsr_video_next(video, &f), TSR_OK);
        ck_assert(f && f->rgb[0] == 10 * (i + 1) && f->pts == i && f->duration == 1);
        ck_assert(i == 0 || f->luma_change == 10);
    }
    ck_assert(!tsr_video_next(video, &f) && !f);
    ck_assert_int_eq(tsr_video_seek(video, 1), TSR_OK);
    ck_assert(!tsr_video_next(video, &f) && f->rgb[0] == 20);
    tsr_video_close(&video);
    static const char good[] = "# timecode format v2\n0\n40.5\n1000.001\n", late[] = "0\n40\n40\n",
                      few[] = "0\n40\n", word[] = "0\nx\n2\n";
    write_file("timecodes.txt", good, sizeof good - 1);
    const clip c = read_clip(folder, NULL);
    ck_assert(c.count == 3 && c.frame[1].pts == 40500 && c.frame[2].pts == 1000001);
    ck_assert(c.frame[1].duration == 959501);
    write_file("timecodes.txt", late, sizeof late - 1);
    refused(folder, NULL, TSR_ERROR_FORMAT, "line 3: wanted milliseconds that rise", 0);
    write_file("timecodes.txt", few, sizeof few - 1);
    refused(folder, NULL, TSR_ERROR_FORMAT, "a time for each of 3 pictures, got 2", 0);
    write_file("timecodes.txt", word, sizeof word - 1);
    refused(folder, NULL, TSR_ERROR_FORMAT, "line 2", 0);
    remove_folder();
    tsr_context_close(&ctx);
}
END_TEST

/* What decoding writes beside frames gives them their times back. */
START_TEST(folders_with_times) {
    static const struct {
        const char *json, *message;
    } bad[] = {
        {"", "frames.json: byte 0: wanted a value"},
        {"{\"frames\": [{\"file\": \"a.ppm\", \"pts\": 0}]}",
         "wanted \"time_base\" and \"frames\""},
        {"{\"time_base\": \"1/10\", \"frames\": []}", "wanted \"time_base\" and \"frames\""},
        {"{\"time_base\": \"1/0\"}", "wanted a fraction of seconds"},
        {"{\"time_base\": \"1/10\", \"rate\": \"25\"}", "wanted a fraction like \"25/1\""},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\"}]}", "a frame with \"file\""},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": 1.5}]}",
         "byte 59: wanted a whole number"},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": 3}, "
         "{\"file\": \"b.ppm\", \"pts\": 3}]}",
         "wanted pts that rise"},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": 3}, "
         "{\"file\": \"a.ppm\", \"pts\": 4}]}",
         "wanted each file once, got a.ppm twice"},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": 3}]}",
         "wanted a time for each picture, got none for b.ppm"},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": 3}], \"frames\": "
         "[]}",
         "wanted one list of frames"},
        {"{\"time_base\": \"1/10\", \"frames\": [{\"file\": \"a.ppm\", \"pts\": "
         "2305843009213693952}]}",
         "a pts of -2^60 to 2^60"},
    };
    static const char good[] =
        "{\"time_base\": \"1001/24000\", \"rate\": \"24000/1001\", \"frames\": ["
        "{\"file\": \"b.ppm\", \"pts\": -4, \"duration\": 3}, "
        "{\"file\": \"gone.ppm\", \"pts\": 2}, {\"file\": \"a.ppm\", \"pts\": 7}]}";
    open_context();
    make_folder();
    write_grey("a.ppm", 30);
    write_grey("b.ppm", 10);
    write_file("frames.json", good, sizeof good - 1);
    tsr_video *video = NULL;
    const tsr_video_frame *f = NULL;
    ck_assert_int_eq(tsr_video_open(ctx, folder, NULL, &video), TSR_OK);
    const tsr_video_info *info = tsr_video_properties(video);
    ck_assert(info->time_base.num == 1001 && info->time_base.den == 24000 && !info->rate_assumed);
    ck_assert(info->rate.num == 24000 && info->start == -4 && info->header_frames == 2);
    ck_assert(!tsr_video_next(video, &f) && f && f->rgb[0] == 10 && f->pts == -4);
    ck_assert_int_eq(f->duration, 3);
    ck_assert(!tsr_video_next(video, &f) && f && f->rgb[0] == 30 && f->pts == 7);
    ck_assert_int_eq(f->duration, 11);
    ck_assert(!tsr_video_next(video, &f) && !f);
    ck_assert_int_eq(tsr_video_seek(video, 6), TSR_OK);
    ck_assert(!tsr_video_next(video, &f) && f->pts == -4);
    tsr_video_close(&video);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        write_file("frames.json", bad[i].json, strlen(bad[i].json));
        refused(folder, NULL, TSR_ERROR_FORMAT, bad[i].message, 0);
    }
    remove_folder();
    tsr_context_close(&ctx);
}
END_TEST

/* One luma of 81, chroma 90 and 240: a red of BT.601 limited; by hand from the formula. */
START_TEST(untagged_colours) {
    open_context();
    make_folder();
    static const char y4m[] = "YUV4MPEG2 W2 H2 F25:1 C420jpeg\nFRAME\n\x51\x51\x51\x51\x5a\xf0";
    const char *path = write_file("red.y4m", y4m, sizeof y4m - 1);
    static const uint8_t want[2][3] = {{254, 0, 0}, {255, 24, 0}};
    for (int m = 0; m < 2; ++m) {
        tsr_video_settings s = tsr_video_settings_default();
        s.matrix = m ? TSR_VIDEO_MATRIX_BT709 : TSR_VIDEO_MATRIX_AUTO;
        tsr_video *video = NULL;
        const tsr_video_frame *f = NULL;
        int count = 0;
        ck_assert_int_eq(tsr_video_open(ctx, path, &s, &video), TSR_OK);
        ck_assert_int_eq(tsr_video_next(video, &f), TSR_OK);
        ck_assert_msg(f && !memcmp(f->rgb, want[m], 3), "matrix %d: %d %d %d", m, f->rgb[0],
                      f->rgb[1], f->rgb[2]);
        ck_assert_int_eq(tsr_video_properties(video)->matrix_assumed, 1);
        const char *const *said = tsr_video_remarks(video, &count);
        ck_assert(count >= 1 &&
                  strstr(said[0], m ? "BT.709 is used as asked" : "BT.601 is assumed"));
        tsr_video_close(&video);
    }
    remove_folder();
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(deinterlaced) {
    open_context();
    tsr_video_settings s = tsr_video_settings_default();
    s.deinterlace = 1;
    const clip woven = read_clip(CLIPS "geometry/interlaced-tff.mp4", NULL),
               made = read_clip(CLIPS "geometry/interlaced-tff.mp4", &s);
    ck_assert_int_eq(made.end, TSR_OK);
    ck_assert_int_eq(made.count, woven.count);
    for (int i = 0; i < made.count; ++i) {
        ck_assert(made.frame[i].pts == woven.frame[i].pts && woven.frame[i].interlaced);
        ck_assert(!made.frame[i].interlaced && made.pixels[i] != woven.pixels[i]);
    }
    const clip plain = read_clip(CLIPS "codecs/h264-bframes.mp4", NULL),
               passed = read_clip(CLIPS "codecs/h264-bframes.mp4", &s);
    ck_assert_int_eq(passed.count, plain.count);
    same_frames("progressive", &plain, &passed, plain.count);
    refused(CLIPS "geometry/size-change.h264", &s, TSR_ERROR_UNSUPPORTED, "frames of one size", 3);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(recognised) {
    static const struct {
        const char *file;
        int video;
    } files[] = {{"codecs/h264-bframes.mp4", 1},
                 {"codecs/h264.ts", 1},
                 {"codecs/h264.h264", 1},
                 {"codecs/vp9.webm", 1},
                 {"codecs/odd-interlaced.y4m", 1},
                 {"codecs/prores.mov", 1},
                 {"animations/alpha.webp", 1},
                 {"animations/still.webp", 0},
                 {"animations/disposal.gif", 0},
                 {"animations/alpha.apng", 0},
                 {"damaged/text.mp4", 0},
                 {"damaged/empty.mp4", 0},
                 {"codecs", 0},
                 {"none", 0}};
    for (size_t i = 0; i < sizeof files / sizeof *files; ++i) {
        char path[512];
        snprintf(path, sizeof path, CLIPS "%s", files[i].file);
        ck_assert_msg(tsr_video_is(path) == files[i].video, "%s", files[i].file);
    }
    ck_assert_int_eq(tsr_video_recognised("\0\0\0\x18"
                                          "ftypheic",
                                          12),
                     0);
    ck_assert_int_eq(tsr_video_recognised("\0\0\0\x18"
                                          "ftypisom",
                                          12),
                     1);
    ck_assert_int_eq(tsr_video_recognised(NULL, 0), 0);
}
END_TEST

/* ---- choosing ----------------------------------------------------------------------------------
 */

static void chosen(const char *path, tsr_frame_choice choice, int count, const int *want) {
    const clip c = read_clip(path, NULL);
    tsr_frames *frames = NULL;
    const tsr_video_frame *f = NULL;
    const tsr_frame_pick *pick = NULL;
    int n = 0;
    ck_assert_msg(!tsr_frames_open(ctx, path, NULL, &choice, NULL, NULL, &frames), "%s",
                  tsr_detail(ctx));
    for (; !tsr_frames_next(frames, &f, &pick) && f; ++n) {
        ck_assert_msg(n < count && (int)pick->index == want[n], "%s: pick %d: got %d, wanted %d",
                      path, n, (int)pick->index, n < count ? want[n] : -1);
        ck_assert(hash_of(f) == c.pixels[want[n]] && pick->pts == c.frame[want[n]].pts);
    }
    ck_assert_int_eq(n, count);
    tsr_frames_close(&frames);
}
static void not_chosen(const char *path, tsr_frame_choice choice, tsr_status status,
                       const char *text) {
    tsr_frames *frames = NULL;
    const tsr_status s = tsr_frames_open(ctx, path, NULL, &choice, NULL, NULL, &frames);
    ck_assert_msg(s == status && strstr(tsr_detail(ctx), text) && !frames, "got %s: %s",
                  tsr_status_name(s), tsr_detail(ctx));
}

START_TEST(choices) {
    open_context();
    const char *vfr = CLIPS "timing/vfr.mkv", *keys = CLIPS "timing/open-gop.mkv";
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_COUNT, .frames = 4}, 4,
           (int[]){0, 5, 10, 15});
    chosen(vfr,
           (tsr_frame_choice){.rule = TSR_FRAMES_COUNT, .frames = 3, .rounding = "segment-middle"},
           3, (int[]){2, 8, 13});
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_RATE, .rate = {2, 1}}, 5,
           (int[]){0, 7, 9, 11, 13});
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_RATE, .rate = {5, 1}}, 12,
           (int[]){0, 4, 7, 7, 7, 9, 10, 11, 12, 13, 13, 14}); /* frame 7 stays */
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_EVERY, .every = 6}, 3, (int[]){0, 6, 12});
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_EVERY, .every = 2, .start = 0.3, .end = 1.2},
           3, (int[]){6, 8, 10}); /* of 6..10 */
    chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_COUNT, .frames = 2, .start = 1}, 2,
           (int[]){9, 15});
    chosen(keys, (tsr_frame_choice){.rule = TSR_FRAMES_KEYS}, 3, (int[]){0, 8, 16});
    chosen(keys, (tsr_frame_choice){.rule = TSR_FRAMES_CLIPS, .clips = 2, .frames = 3, .gap = 2}, 6,
           (int[]){0, 2, 4, 19, 21, 23});
    chosen(CLIPS "timing/long-gop.mp4",
           (tsr_frame_choice){.rule = TSR_FRAMES_SCENES, .threshold = 0.1}, 4,
           (int[]){0, 1, 8, 16});
    chosen(CLIPS "codecs/h264.h264", (tsr_frame_choice){.rule = TSR_FRAMES_RATE, .rate = {5, 1}}, 3,
           (int[]){0, 5, 10}); /* without times: 25 a second */
    chosen(CLIPS "animations/alpha.webp", (tsr_frame_choice){.rule = TSR_FRAMES_COVER, .frames = 9},
           4, (int[]){0, 1, 2, 3});
    not_chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_COUNT}, TSR_ERROR_ARGUMENT,
               "frames of 1 or more");
    not_chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_COUNT, .frames = 2, .rounding = "best"},
               TSR_ERROR_ARGUMENT, "rule: wanted one of");
    not_chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_COUNT, .frames = 2, .start = 9},
               TSR_ERROR_ARGUMENT, "wanted frames between 9 s and");
    not_chosen(vfr, (tsr_frame_choice){.rule = TSR_FRAMES_CLIPS, .clips = 1, .frames = 17},
               TSR_ERROR_ARGUMENT, "one over 17");
    tsr_context_close(&ctx);
}
END_TEST

static const char *need_video(void) {
#ifdef TESSERA_WITH_VIDEO
    return NULL;
#else
    return "this build was made without FFmpeg";
#endif
}

TEST_PARTS("video", PART(own, NULL, folders, folders_with_times, recognised),
           PART(files, need_video, same_for_every_thread_and_memory, seeks_exactly,
                damage_comes_behind_whole_frames, limits, playlists, untagged_colours, deinterlaced,
                choices))
