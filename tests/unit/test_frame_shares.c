/* SPDX-License-Identifier: MIT */
/* test_frame_shares: tokens split over frames by what changes: the formula, its bounds, what is
 * left over, and what is refused. */
#include <math.h>
#include <string.h>
#include <tessera/tessera.h>
#include "testing.h"

static tsr_context *ctx;

static void shares(uint64_t budget, int n, const double *change, const uint64_t *least,
                   const uint64_t *most, const uint64_t *wanted) {
    uint64_t tokens[8];
    ck_assert_int_eq(tsr_frames_share(ctx, (uint64_t)n, budget, change, least, most, tokens),
                     TSR_OK);
    for (int i = 0; i < n; ++i)
        ck_assert_msg(tokens[i] == wanted[i], "frame %d: wanted %llu, got %llu", i,
                      (unsigned long long)wanted[i], (unsigned long long)tokens[i]);
}

static void refused(uint64_t budget, int n, const double *change, const uint64_t *least,
                    const uint64_t *most, const char *text) {
    uint64_t tokens[8];
    ck_assert_int_eq(tsr_frames_share(ctx, (uint64_t)n, budget, change, least, most, tokens),
                     TSR_ERROR_ARGUMENT);
    ck_assert_msg(strstr(tsr_detail(ctx), text) != NULL, "%s", tsr_detail(ctx));
}

START_TEST(half_evenly_half_by_change) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const double change[] = {1, 0, 0, 3}, none[] = {0, 0, 0};
    shares(800, 4, change, NULL, NULL, (uint64_t[]){200, 100, 100, 400});
    shares(10, 3, none, NULL, NULL, (uint64_t[]){4, 3, 3}); /* what is left goes to the first */
    shares(0, 3, none, NULL, NULL, (uint64_t[]){0, 0, 0});
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(bounds) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const double change[] = {1, 0, 0, 3};
    const uint64_t one[] = {1, 1, 1, 1}, many[] = {150, 150, 150, 150}, big[] = {0, 300, 0, 0};
    /* what the first and the last cannot take goes to the others */
    shares(500, 4, change, one, many, (uint64_t[]){150, 100, 100, 150});
    shares(600, 4, change, one, many, (uint64_t[]){150, 150, 150, 150});
    shares(9999, 4, change, one, many, (uint64_t[]){150, 150, 150, 150}); /* all there is */
    shares(4, 4, change, one, many, (uint64_t[]){1, 1, 1, 1});
    uint64_t tokens[4], sum = 0;
    ck_assert_int_eq(tsr_frames_share(ctx, 4, 500, change, big, NULL, tokens), TSR_OK);
    for (int i = 0; i < 4; ++i)
        sum += tokens[i];
    ck_assert(tokens[1] == 300 && tokens[2] < tokens[0] && tokens[0] < tokens[3] && sum == 500);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(refusals) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const double change[] = {1, 2}, below[] = {1, -1}, endless[] = {1, INFINITY};
    const uint64_t two[] = {2, 2}, one[] = {1, 1};
    refused(3, 2, change, two, NULL, "wanted at least 4 tokens for 2 frames");
    refused(9, 2, below, NULL, NULL, "frame 1: wanted a change of 0 or more");
    refused(9, 2, endless, NULL, NULL, "frame 1: wanted a change of 0 or more");
    refused(9, 2, change, two, one, "frame 0: wanted a change of 0 or more and bounds in order");
    refused(9, 0, change, NULL, NULL, "wanted frames, got none");
    ck_assert_int_eq(tsr_frames_share(NULL, 1, 1, change, NULL, NULL, NULL), TSR_ERROR_ARGUMENT);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("frame_shares", half_evenly_half_by_change, bounds, refusals)
