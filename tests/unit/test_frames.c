/* SPDX-License-Identifier: MIT */
/* test_frames.c: frame selection and sizes: closed forms, counts, and what is refused. The rules
 * themselves are held by the golden cases video-select. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tessera/reduce.h>

#include "formats/arrays/npy.h"
#include "testing.h"

static tsr_context *ctx;

static tsr_token_set *plan(const char *operation) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_operator_plan(ctx, operation, &made) == TSR_OK, "%s: %s", operation,
                  tsr_detail(ctx));
    return made;
}
static void indices(const char *operation, int n, const int *want) {
    tsr_token_set *made = plan(operation);
    const tsr_token_array a = tsr_token_set_trace(made, "indices");
    ck_assert_ptr_nonnull(a.name);
    ck_assert_int_eq(a.dim[0], n);
    for (int i = 0; i < n; ++i)
        ck_assert_msg(((const int32_t *)a.data)[i] == want[i], "%s: frame %d is %d", operation, i,
                      ((const int32_t *)a.data)[i]);
    tsr_token_set_close(&made);
}
static void refused(const char *operation, tsr_status status, const char *text) {
    tsr_token_set *made = NULL;
    ck_assert_msg(tsr_operator_plan(ctx, operation, &made) == status, "%s: %s", operation,
                  tsr_detail(ctx));
    ck_assert_ptr_null(made);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "%s: %s", operation, tsr_detail(ctx));
}

START_TEST(more_frames_than_there_are) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    indices("frame-select:rule=linspace-trunc,n=3,frames=5", 5, (int[]){0, 0, 1, 1, 2});
    indices("frame-select:rule=linspace-round,n=2,frames=3", 3, (int[]){0, 0, 1}); /* 0.5 is even */
    refused("frame-select:rule=start-of-segment,n=3,frames=4", TSR_ERROR_ARGUMENT,
            "frames: wanted 1 to the 3 frames there are, got 4");
    refused("frame-select:rule=qwen-smart-nframes,n=3,frames=4", TSR_ERROR_ARGUMENT,
            "frames: wanted 2 to the 3 frames there are, got 4");
    refused("frame-select:rule=qwen-hf-arange,n=3,frames=8", TSR_ERROR_ARGUMENT,
            "wanted 1 to the 3 frames there are, got 8");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(linspace_ends) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    char text[128];
    for (int n = 1; n < 60; ++n)
        for (int f = 2; f < 12; ++f) {
            snprintf(text, sizeof text, "frame-select:rule=linspace-trunc,n=%d,frames=%d", n, f);
            tsr_token_set *made = plan(text);
            const int32_t *x = tsr_token_set_trace(made, "indices").data;
            ck_assert_int_eq(x[0], 0);
            ck_assert_int_eq(x[f - 1], n - 1);
            for (int i = 0; i < f; ++i) { /* exact, or one below where float64 rounds down */
                const int exact = i * (n - 1) / (f - 1);
                ck_assert(x[i] == exact || (x[i] == exact - 1 && i * (n - 1) % (f - 1) == 0));
            }
            tsr_token_set_close(&made);
        }
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(parameters_of_a_rule) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    refused("frame-select:rule=linspace-trunc,n=9", TSR_ERROR_ARGUMENT,
            "linspace-trunc: wanted frames, got less");
    refused("frame-select:rule=start-of-segment,n=9,fps=25", TSR_ERROR_ARGUMENT,
            "wanted frames, or fps rate, got less");
    refused("frame-select:rule=every-nth,n=9,step=2,gap=1", TSR_ERROR_ARGUMENT,
            "gap: wanted none with every-nth, got one");
    refused("frame-select:rule=every-nth,step=2", TSR_ERROR_ARGUMENT,
            "n: wanted a value, got none");
    refused("frame-select:rule=middle,n=9", TSR_ERROR_ARGUMENT, "rule: wanted one of ");
    refused("frame-select:rule=llava-fps-cap,n=9,fps=1,rate=9", TSR_ERROR_ARGUMENT,
            "rate: wanted at most twice");
    refused("frame-select:rule=clips-regular,n=9,clips=2,frames=5,gap=3", TSR_ERROR_ARGUMENT,
            "wanted a clip within the 9 frames there are, got one over 13");
    refused("frame-select:rule=clips-regular,n=99,clips=16777216,frames=9", TSR_ERROR_TOO_LARGE,
            "wanted at most 16777216 frames");
    refused("frame-select:rule=every-nth,n=2147483647,step=1", TSR_ERROR_TOO_LARGE,
            "wanted at most 16777216 frames, got 2147483647");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(held_in_time) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    /* 0, 40, 80, then a frame that stays for 320 ms */
    indices("frame-times:pts=0+40+80+400,base=1+1000,end=440,rate=10", 5, (int[]){0, 2, 2, 2, 3});
    indices("frame-times:pts=5000+5040+5080+5400,base=1+1000,end=5440,rate=10", 5,
            (int[]){0, 2, 2, 2, 3});
    /* exact fractions: 30000/1001 asked of 1001/30000 gives each frame once */
    indices("frame-times:pts=0+1001+2002+3003,base=1+30000,end=4004,rate=30000+1001", 4,
            (int[]){0, 1, 2, 3});
    refused("frame-times:pts=0+40+40,base=1+1000,end=80,rate=10", TSR_ERROR_ARGUMENT,
            "pts: frame 2: wanted a time after 40, got 40");
    refused("frame-times:pts=0+40.5,base=1+1000,end=80,rate=10", TSR_ERROR_ARGUMENT,
            "pts: frame 1: wanted a whole number of time base units, got 40.5");
    refused("frame-times:pts=0+40,base=1+1000,end=39,rate=10", TSR_ERROR_ARGUMENT, "end: wanted");
    refused("frame-times:pts=0+40,base=1+1000+2,end=80,rate=10", TSR_ERROR_ARGUMENT,
            "base: wanted a whole number, or two");
    refused("frame-times:base=1+1000,end=80,rate=10", TSR_ERROR_ARGUMENT,
            "wanted either pts or file, got none");
    refused("frame-times:pts=0,base=2147483647,end=9007199254740992,rate=2147483647",
            TSR_ERROR_TOO_LARGE, "pts: wanted times below");
    refused("frame-times:pts=0,base=1,end=2000000000,rate=10", TSR_ERROR_TOO_LARGE,
            "wanted at most 16777216 frames");
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(numbers_in_a_file) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    char path[] = "/tmp/tessera-frames-XXXXXX", text[256];
    const int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    int64_t pts[4] = {0, 40, 80, 400};
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_I64, pts, 1, (int64_t[]){4});
    ck_assert_int_eq(tsr_npy_write(ctx, path, &t), TSR_OK);
    snprintf(text, sizeof text, "frame-times:file=%s,base=1+1000,end=440,rate=10", path);
    indices(text, 5, (int[]){0, 2, 2, 2, 3});
    t.rank = 2;
    t.dim[0] = t.dim[1] = 2;
    ck_assert_int_eq(tsr_npy_write(ctx, path, &t), TSR_OK);
    refused(text, TSR_ERROR_FORMAT, "wanted an array with one axis, got 2");
    unlink(path);
    refused(text, TSR_ERROR_NOT_FOUND, path);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(marked) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    indices("frame-marks:rule=key-frames,values=1+0+0+1", 2, (int[]){0, 3});
    refused("frame-marks:rule=key-frames,values=1+2", TSR_ERROR_ARGUMENT,
            "values: frame 1: wanted 0 or 1, got 2");
    /* a cut: the difference jumps and falls back; steady motion is none */
    indices("frame-marks:rule=scene-difference,values=0+2+60+2+50+51,threshold=0.3", 3,
            (int[]){0, 2, 4});
    tsr_context_close(&ctx);
}
END_TEST

static void resized(const char *operation, int width, int height, double tokens) {
    tsr_token_set *made = plan(operation);
    const int32_t *size = tsr_token_set_trace(made, "resized").data;
    ck_assert_msg(size[0] == width && size[1] == height, "%s: %d x %d", operation, size[0],
                  size[1]);
    ck_assert_double_eq(*(const double *)tsr_token_set_trace(made, "tokens").data, tokens);
    tsr_token_set_close(&made);
}

START_TEST(sizes) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    resized("smart-resize:sizes=42+70,min=1", 56, 56, 4);   /* 1.5 and 2.5: both to 2 */
    resized("smart-resize:sizes=14+1400,min=1", 28, 28, 1); /* a side of 0 is below min */
    resized("smart-resize:sizes=640+640,factor=32,max=102400", 320, 320, 100);
    refused("smart-resize:sizes=640", TSR_ERROR_ARGUMENT,
            "sizes: wanted a width and a height for each picture, got 1 numbers");
    refused("smart-resize:sizes=201+1", TSR_ERROR_ARGUMENT, "within 1 to 200 of each other");
    refused("smart-resize:sizes=640.5+480", TSR_ERROR_ARGUMENT, "wanted whole numbers");
    refused("smart-resize:sizes=64+64,min=9,max=8", TSR_ERROR_ARGUMENT, "max: wanted at least min");
    resized("video-budget:sizes=280+280,frames=5,min=1", 280, 280, 300); /* three pairs */
    refused("video-budget:sizes=280+280", TSR_ERROR_ARGUMENT, "frames: wanted a value");
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("frames", more_frames_than_there_are, linspace_ends, parameters_of_a_rule, held_in_time,
          numbers_in_a_file, marked, sizes)
