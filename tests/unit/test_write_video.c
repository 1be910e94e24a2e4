/* SPDX-License-Identifier: MIT */
/* Videos to files and back: pixels of lossless ones, times of all, what y4m and GIF do with times,
 * bytes that do not depend on threads, and what is refused before anything is made. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <tessera/media.h>
#include "formats/file.h"
#include "needs.h"
#include "testing.h"

enum { W = 33, H = 17, FRAMES = 6, BYTES = W * H * 3 };
static char folder[64];
static tsr_context *ctx;

static void setup(void) {
    strcpy(folder, "/tmp/tessera-video-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static void teardown(void) {
    tsr_context_close(&ctx);
    ck_assert_int_eq(chdir("/"), 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

/* A square that moves over a slope. */
static const uint8_t *picture(int t) {
    static uint8_t rgb[BYTES];
    for (int y = 0; y < H; ++y)
        for (int x = 0; x < W; ++x) {
            const bool inside = abs(x - 4 - 3 * t) < 4 && abs(y - 8) < 4;
            uint8_t *p = rgb + (y * W + x) * 3;
            p[0] = (uint8_t)(x * 7), p[1] = (uint8_t)(y * 14), p[2] = inside ? 250 : 40;
        }
    return rgb;
}

/* Times that no rate has, in units of 1/1000 s. */
static const int64_t uneven[FRAMES] = {500, 540, 600, 733, 800, 1000};

static tsr_status write_clip(const char *path, const tsr_video_write_settings *s,
                             const int64_t *pts, tsr_video_write_report *report) {
    tsr_video_writer *writer;
    tsr_status status = tsr_video_writer_open(ctx, path, s, W, H, &writer);
    for (int t = 0; !status && t < FRAMES; ++t)
        status = tsr_video_writer_add(writer, picture(t), pts ? pts[t] : TSR_NO_TIME, 0);
    if (!status) return tsr_video_writer_finish(&writer, report);
    tsr_video_writer_abandon(&writer);
    ck_assert_ptr_null(writer);
    return status;
}

/* What a reader finds: times in seconds, and the largest difference of a value to picture(shown).
 */
typedef struct found {
    int count, worst;
    double seconds[3 * FRAMES];
    uint32_t width, height;
    char matrix[16], range[16], codec[32];
} found;

static found read_clip(const char *path, const int *shown) {
    found f = {0};
    tsr_video *video;
    const tsr_video_frame *frame;
    ck_assert_msg(!tsr_video_open(ctx, path, NULL, &video), "%s", tsr_detail(ctx));
    const tsr_video_info *info = tsr_video_properties(video);
    strcpy(f.matrix, info->color_matrix);
    strcpy(f.range, info->color_range);
    strcpy(f.codec, info->codec);
    for (;;) {
        ck_assert_msg(!tsr_video_next(video, &frame), "%s", tsr_detail(ctx));
        if (!frame) break;
        ck_assert_int_lt(f.count, 3 * FRAMES);
        f.width = frame->width;
        f.height = frame->height;
        const uint8_t *original = picture(shown ? shown[f.count] : f.count);
        for (uint32_t y = 0; y < H; ++y)
            for (uint32_t x = 0; x < W * 3; ++x) {
                const int off = frame->rgb[y * frame->width * 3 + x] - original[y * W * 3 + x];
                if (abs(off) > f.worst) f.worst = abs(off);
            }
        f.seconds[f.count++] =
            frame->pts == TSR_NO_TIME
                ? -1
                : (double)frame->pts * (double)info->time_base.num / (double)info->time_base.den;
    }
    tsr_video_close(&video);
    return f;
}

START_TEST(lossless_is_exact_and_keeps_times) {
    static const char *const paths[] = {"l.mkv", "l.mp4", "l.webm", "l.nut"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; ++i) {
        const tsr_video_write_settings s = {
            .lossless = 1, .time_base = {1, 1000}, .variable_rate = 1};
        tsr_video_write_report report;
        ck_assert_msg(!write_clip(paths[i], &s, uneven, &report), "%s", tsr_detail(ctx));
        ck_assert_uint_eq(report.frames, FRAMES);
        ck_assert_uint_eq(report.coded_width, W);
        struct stat st;
        ck_assert_int_eq(stat(paths[i], &st), 0);
        ck_assert_uint_eq(report.bytes, (uint64_t)st.st_size);
        const found f = read_clip(paths[i], NULL);
        ck_assert_int_eq(f.count, FRAMES);
        ck_assert_msg(f.worst == 0, "%s: %d", paths[i], f.worst);
        for (int t = 0; t < FRAMES; ++t)
            ck_assert_double_eq_tol(f.seconds[t], (double)uneven[t] / 1000, 1e-9);
    }
}
END_TEST

/* Square picture parts come back within what 4:2:0 and the quantiser leave; sizes of H.264 are even
 * and those of VP9 are not; tags are written. */
START_TEST(lossy_is_near_and_tagged) {
    static const struct {
        const char *path, *codec;
        int worst, width, height;
    } cases[] = {{"a.mp4", "h264", 150, 34, 18},
                 {"a.mkv", "h264", 150, 34, 18},
                 {"a.webm", "vp9", 150, W, H}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const tsr_video_write_settings s = {.rate = {30000, 1001}, .crf = 4};
        tsr_video_write_report report;
        ck_assert_msg(!write_clip(cases[i].path, &s, NULL, &report), "%s", tsr_detail(ctx));
        const found f = read_clip(cases[i].path, NULL);
        ck_assert_str_eq(f.codec, cases[i].codec);
        ck_assert_str_eq(f.matrix, "bt709");
        ck_assert_str_eq(f.range, "tv");
        ck_assert_uint_eq(f.width, cases[i].width);
        ck_assert_uint_eq(f.height, cases[i].height);
        ck_assert_uint_eq(report.coded_width, cases[i].width);
        ck_assert_int_le(f.worst, cases[i].worst);
        for (int t = 0; t < FRAMES; ++t) /* Matroska rounds to 1/1000 s */
            ck_assert_double_eq_tol(f.seconds[t], t * 1001 / 30000.0, i ? 0.0005 : 1e-9);
    }
}
END_TEST

/* Constant rates: a frame begins at the nearest tick and is held; two of one tick are one. */
START_TEST(y4m_holds_and_drops) {
    const tsr_video_write_settings s = {.time_base = {1, 1000}, .rate = {10, 1}};
    tsr_video_write_report report;
    ck_assert_msg(!write_clip("a.y4m", &s, uneven, &report), "%s", tsr_detail(ctx));
    /* 0, .04 -> 0, .1 -> 1, .233 -> 2, .3 -> 3, .5 -> 5 and as long as the one before: 2 */
    static const int shown[] = {1, 2, 3, 4, 4, 5, 5};
    ck_assert_uint_eq(report.frames, 7);
    ck_assert_uint_eq(report.repeated, 2);
    ck_assert_uint_eq(report.dropped, 1);
    const found f = read_clip("a.y4m", shown);
    ck_assert_int_eq(f.count, 7);
    ck_assert_uint_eq(f.width, W);
    ck_assert_int_le(f.worst, 150); /* chroma at the edges of the square */
    for (int t = 0; t < 7; ++t)
        ck_assert_double_eq_tol(f.seconds[t], t / 10.0, 1e-9);
    /* Matroska's rounded times of 24000/1001 are 24000/1001. */
    static const int64_t rounded[FRAMES] = {0, 42, 83, 125, 167, 209};
    const tsr_video_write_settings film = {.time_base = {1, 1000}, .rate = {24000, 1001}};
    ck_assert_int_eq(write_clip("b.y4m", &film, rounded, &report), TSR_OK);
    ck_assert_uint_eq(report.frames, FRAMES);
    ck_assert_uint_eq(report.repeated + report.dropped, 0);
}
END_TEST

START_TEST(gif_counts_hundredths) {
    static const int64_t quick[FRAMES] = {0, 40, 50, 100, 114, 200};
    const tsr_video_write_settings s = {.time_base = {1, 1000}};
    tsr_video_write_report report;
    ck_assert_msg(!write_clip("a.gif", &s, quick, &report), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(report.dropped, 2); /* 5 comes 1/100 s after 4, 11 after 10 */
    static const int shown[] = {0, 1, 3, 5};
    const found f = read_clip("a.gif", shown);
    ck_assert_int_eq(f.count, 4);
    static const double seconds[] = {0, .04, .1, .2};
    for (int t = 0; t < 4; ++t)
        ck_assert_double_eq_tol(f.seconds[t], seconds[t], 1e-9);
    ck_assert_int_le(f.worst, 48); /* one palette, with its dither */
}
END_TEST

START_TEST(folders_have_times) {
    const tsr_video_write_settings s = {.time_base = {1, 1000}, .rate = {6, 1}};
    ck_assert_msg(!write_clip("frames/", &s, uneven, NULL), "%s", tsr_detail(ctx));
    const found f = read_clip("frames", NULL);
    ck_assert_int_eq(f.count, FRAMES);
    ck_assert_int_eq(f.worst, 0);
    tsr_map json;
    ck_assert_int_eq(tsr_map_open(ctx, "frames/frames.json", &json), TSR_OK);
    char text[1000] = "";
    ck_assert_uint_lt(json.size, sizeof text);
    memcpy(text, json.bytes, json.size);
    tsr_map_close(&json);
    ck_assert_ptr_nonnull(strstr(text, "\"time_base\": \"1/1000\", \"rate\": \"6/1\""));
    ck_assert_ptr_nonnull(
        strstr(text, "{\"file\": \"frame_000004.png\", \"pts\": 733, \"duration\": 67}"));
    /* One of ours is replaced, another one is not. */
    ck_assert_int_eq(write_clip("frames/", &s, NULL, NULL), TSR_OK);
    ck_assert_int_eq(mkdir("other", 0777), 0);
    ck_assert_int_eq(write_clip("other/", &s, NULL, NULL), TSR_OK);
    ck_assert_int_eq(remove("other/frames.json"), 0);
    ck_assert_int_eq(write_clip("other/", &s, NULL, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(access("other/frame_000001.png", F_OK), 0);
}
END_TEST

/* Equal clips are equal files, whatever the threads; an mp4 has its index in front. */
START_TEST(bytes_are_decided) {
    static const char *const suffixes[] = {"mp4", "mkv", "webm", "gif", "y4m", "nut"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; ++i) {
        tsr_map files[2];
        for (int k = 0; k < 2; ++k) {
            tsr_context *before = ctx;
            tsr_context_settings settings = tsr_context_settings_default();
            settings.threads = 1 + k;
            ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
            char path[16];
            snprintf(path, sizeof path, "%d.%s", k, suffixes[i]);
            ck_assert_msg(!write_clip(path, NULL, NULL, NULL), "%s", tsr_detail(ctx));
            ck_assert_int_eq(tsr_map_open(ctx, path, &files[k]), TSR_OK);
            tsr_context_close(&ctx);
            ctx = before;
        }
        const tsr_map *a = &files[0];
        ck_assert_uint_eq(a->size, files[1].size);
        ck_assert_mem_eq(a->bytes, files[1].bytes, a->size);
        if (i == 0)
            ck_assert(memmem(a->bytes, a->size, "moov", 4) < memmem(a->bytes, a->size, "mdat", 4));
        tsr_map_close(&files[0]);
        tsr_map_close(&files[1]);
    }
}
END_TEST

START_TEST(times_that_do_not_rise) {
    static const int64_t wild[FRAMES] = {0, 100, 100, 90, 300, 299};
    const tsr_video_write_settings s = {.time_base = {1, 1000}, .lossless = 1};
    tsr_video_write_report report;
    ck_assert_int_eq(write_clip("a.mkv", &s, wild, &report), TSR_OK);
    ck_assert_uint_eq(report.frames, FRAMES);
    ck_assert_uint_eq(report.moved, 3);
    const found f = read_clip("a.mkv", NULL);
    static const double seconds[] = {0, .1, .101, .102, .3, .301};
    for (int t = 0; t < FRAMES; ++t)
        ck_assert_double_eq_tol(f.seconds[t], seconds[t], 1e-9);
}
END_TEST

static void refused(const char *path, tsr_video_write_settings s, tsr_status wanted) {
    ck_assert_int_eq(tsr_video_write_check(ctx, path, &s), wanted);
    ck_assert_msg(write_clip(path, &s, NULL, NULL) == wanted, "%s: %s", path, tsr_detail(ctx));
    ck_assert_int_ne(access(path, F_OK), 0);
}

START_TEST(what_cannot_be_is_refused) {
    typedef tsr_video_write_settings set;
    refused("a.avi", (set){0}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.format = "webm"}, TSR_ERROR_ARGUMENT);
    refused("a", (set){.format = "ogg"}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.codec = "ffv1"}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.codec = "h26"}, TSR_ERROR_ARGUMENT);
    refused("a.gif", (set){.codec = "gif"}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.crf = 52}, TSR_ERROR_ARGUMENT);
    refused("a.mkv", (set){.crf = 3, .lossless = 1}, TSR_ERROR_ARGUMENT);
    refused("a.gif", (set){.crf = 3}, TSR_ERROR_ARGUMENT);
    refused("a.webm", (set){.preset = "fast"}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.preset = "quick"}, TSR_ERROR_ARGUMENT);
    refused("a.y4m", (set){.lossless = 1}, TSR_ERROR_UNSUPPORTED);
    refused("a.gif", (set){.lossless = 1}, TSR_ERROR_UNSUPPORTED);
    refused("a.mp4", (set){.rate = {25, 0}}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.time_base = {1, -5}}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.matrix = TSR_VIDEO_MATRIX_RGB}, TSR_ERROR_ARGUMENT);
    refused("a.mp4", (set){.range = 3}, TSR_ERROR_ARGUMENT);
    tsr_video_writer *w;
    ck_assert_int_eq(tsr_video_writer_open(ctx, "a.mp4", NULL, 0, 4, &w), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(w);
    ck_assert_int_eq(tsr_video_writer_open(ctx, "a.mp4", NULL, 4, 99999, &w), TSR_ERROR_TOO_LARGE);
    ck_assert_int_eq(tsr_video_writer_open(ctx, "no/a.mp4", NULL, 4, 4, &w), TSR_ERROR_NOT_FOUND);
    ck_assert_int_eq(tsr_video_writer_open(ctx, "a.mp4", NULL, 4, 4, &w), TSR_OK);
    ck_assert_int_eq(tsr_video_writer_finish(&w, NULL), TSR_ERROR_ARGUMENT); /* no frames */
    ck_assert_ptr_null(w);
    ck_assert_int_eq(rmdir(folder) == -1 && errno == ENOTEMPTY, 0); /* nothing was left */
    ck_assert_int_eq(mkdir(folder, 0777), 0);
}
END_TEST

/* A frame that is too late leaves nothing, and what exists is kept where that is asked for. */
START_TEST(full_disks_and_what_exists) {
    static const char *const formats[] = {"mp4", "mkv", "webm", "nut", "y4m", "gif"};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; ++i) {
        const tsr_video_write_settings s = {.format = formats[i]};
        const tsr_status status = write_clip("/dev/full", &s, NULL, NULL);
        ck_assert_msg(status == TSR_ERROR_NO_SPACE, "%s: %s", formats[i], tsr_detail(ctx));
    }
    ck_assert_int_eq(write_clip("k.mp4", NULL, NULL, NULL), TSR_OK);
    ck_assert_int_eq(write_clip("f/", NULL, NULL, NULL), TSR_OK);
    tsr_context *before = ctx;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.keep_existing = 1;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    ck_assert_int_eq(write_clip("k.mp4", NULL, NULL, NULL), TSR_ERROR_EXISTS);
    ck_assert_int_eq(write_clip("f/", NULL, NULL, NULL), TSR_ERROR_EXISTS);
    tsr_context_close(&ctx);
    ctx = before;
}
END_TEST

int main(void) {
    const char *missing = need_video();
    if (missing) skip_all("%s", missing);
    Suite *suite = suite_create("write_video");
    TCase *tests = tcase_create("write_video");
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_test(tests, lossless_is_exact_and_keeps_times);
    tcase_add_test(tests, lossy_is_near_and_tagged);
    tcase_add_test(tests, y4m_holds_and_drops);
    tcase_add_test(tests, gif_counts_hundredths);
    tcase_add_test(tests, folders_have_times);
    tcase_add_test(tests, bytes_are_decided);
    tcase_add_test(tests, times_that_do_not_rise);
    tcase_add_test(tests, what_cannot_be_is_refused);
    tcase_add_test(tests, full_disks_and_what_exists);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
