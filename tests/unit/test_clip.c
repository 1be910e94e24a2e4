/* SPDX-License-Identifier: MIT */
/* Clip codebooks: the three rules for K, first rows, limits, threads, and the way through a file
 * and back. */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tessera/clip.h>
#include <unistd.h>

#include "formats/arrays/npy.h"
#include "open_device.h"
#include "quantizer/spherical.h"
#include "reduce/farthest.h"

enum { T = 6, H = 5, W = 7, D = 24, N = T * H * W, TRUE_K = 15 };

static tsr_context *ctx;
static float features[N * D];
static int truth[N];
static char folder[] = "/tmp/tessera-clip-XXXXXX";

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, words, call)                                                                   \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status) && strstr(tsr_detail(ctx), words),                          \
                      "wanted %s and '%s', got %s: %s", tsr_status_name(status), words,            \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
    } while (0)

/* Cells around TRUE_K directions, with lengths of their own. */
static void setup(void) {
    float centre[TRUE_K * D];
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    random_normals(centre, TRUE_K * D);
    for (int i = 0; i < N; ++i) {
        truth[i] = (i / 5) % TRUE_K;
        const float gain = random_uniform(0.5f, 20);
        for (int d = 0; d < D; ++d)
            features[i * D + d] = gain * (centre[truth[i] * D + d] + 0.1f * random_normal());
    }
}

static void teardown(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    tsr_context_close(&ctx);
}

static char *in_folder(char *path, const char *name) {
    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static tsr_status make(const tsr_clip_settings *s, tsr_clip *clip) {
    return tsr_clip_make(ctx, features, T, H, W, D, s, clip);
}

/* What every clip promises. */
static void check_clip(const tsr_clip *c, const float *x, int64_t n, int64_t dim) {
    uint32_t next = 0, used = 0;
    double cosine = 0;
    uint32_t *counts = calloc(c->clusters, sizeof *counts);
    for (int64_t i = 0; i < n; ++i) {
        const float *row = c->codebook + (int64_t)c->ids[i] * dim;
        double dot = 0, a = 0, b = 0;
        ck_assert_uint_lt(c->ids[i], c->clusters);
        ck_assert_uint_le(c->ids[i], next); /* numbered by their first cell */
        next += c->ids[i] == next;
        counts[c->ids[i]]++;
        for (int64_t d = 0; d < dim; ++d) {
            dot += (double)x[i * dim + d] * (double)row[d];
            a += (double)x[i * dim + d] * (double)x[i * dim + d];
            b += (double)row[d] * (double)row[d];
        }
        if (a > 0 && b > 0) cosine += dot / sqrt(a * b);
        ck_assert(fabs(sqrt(a) - (double)c->gains[i]) <= 1e-6 * sqrt(a));
    }
    for (uint32_t k = 0; k < c->clusters; ++k) {
        used += counts[k] > 0;
        ck_assert_uint_eq(counts[k], c->counts[k]);
    }
    ck_assert_uint_eq(used, c->used);
    ck_assert_msg(fabs(cosine / (double)n - c->cosine) < 1e-5, "%g, %g", cosine / (double)n,
                  c->cosine);
    ck_assert(c->perplexity <= used + 1e-9 && c->perplexity >= 1 - 1e-9);
    free(counts);
}

START_TEST(fixed) {
    tsr_clip_settings s = tsr_clip_settings_default();
    tsr_clip clip, again;
    for (int drawn = 0; drawn < 2; ++drawn) {
        s.clusters = TRUE_K;
        s.first = drawn ? TSR_CLIP_DRAWN : TSR_CLIP_MAX_MIN;
        OK(make(&s, &clip));
        check_clip(&clip, features, N, D);
        ck_assert_uint_eq(clip.tried, 1);
        if (!drawn) /* far first rows find every direction */
            for (int i = 0; i < N; ++i)
                for (int j = 0; j < i; ++j)
                    ck_assert_int_eq(truth[i] == truth[j], clip.ids[i] == clip.ids[j]);
        OK(make(&s, &again));
        ck_assert_mem_eq(clip.ids, again.ids, sizeof(uint32_t) * N);
        ck_assert_mem_eq(clip.codebook, again.codebook, sizeof(float) * TRUE_K * D);
        tsr_clip_free(&again);
        tsr_clip_free(&clip);
        ck_assert_ptr_null(clip.ids);
    }
    /* Another seed draws other rows. */
    s.clusters = 40;
    OK(make(&s, &clip));
    s.seed = 1;
    OK(make(&s, &again));
    ck_assert(memcmp(clip.ids, again.ids, sizeof(uint32_t) * N));
    tsr_clip_free(&again);
    tsr_clip_free(&clip);
}
END_TEST

START_TEST(threads_change_nothing) {
    tsr_clip_settings s = tsr_clip_settings_default();
    tsr_clip clip[2];
    s.rule = TSR_CLIP_ELBOW;
    for (int i = 0; i < 2; ++i) {
        tsr_context *own;
        const tsr_context_settings threads = {.threads = 1 + 2 * i};
        ck_assert_int_eq(tsr_context_open(&own, &threads), TSR_OK);
        ck_assert_int_eq(tsr_clip_make(own, features, T, H, W, D, &s, &clip[i]), TSR_OK);
        tsr_context_close(&own);
    }
    ck_assert_uint_eq(clip[0].clusters, clip[1].clusters);
    ck_assert_mem_eq(clip[0].ids, clip[1].ids, sizeof(uint32_t) * N);
    ck_assert_mem_eq(clip[0].codebook, clip[1].codebook,
                     sizeof(float) * (size_t)clip[0].clusters * D);
    ck_assert_mem_eq(clip[0].gains, clip[1].gains, sizeof(float) * N);
    tsr_clip_free(&clip[0]);
    tsr_clip_free(&clip[1]);
}
END_TEST

/* The elbow is where there are as many clusters as directions. */
START_TEST(elbow) {
    tsr_clip_settings s = tsr_clip_settings_default();
    tsr_clip clip;
    s.rule = TSR_CLIP_ELBOW;
    OK(make(&s, &clip));
    check_clip(&clip, features, N, D);
    ck_assert_uint_eq(clip.clusters, TRUE_K);
    ck_assert_uint_eq(clip.tried, 32 - 12 + 2);
    tsr_clip_free(&clip);
    s.least = 3;
    s.most = 4; /* two distortions have no bend */
    OK(make(&s, &clip));
    ck_assert_uint_eq(clip.clusters, 3);
    tsr_clip_free(&clip);
}
END_TEST

/* The smallest K within the error, found with few tries; and the most when none is. */
START_TEST(error) {
    tsr_clip_settings s = tsr_clip_settings_default(), fixed = s;
    tsr_clip clip, fewer;
    s.rule = TSR_CLIP_ERROR;
    s.error = 0.05;
    OK(make(&s, &clip));
    check_clip(&clip, features, N, D);
    ck_assert(clip.reached && 1 - clip.cosine <= 0.05);
    ck_assert_uint_le(clip.tried, 12);
    fixed.clusters = clip.clusters - 1;
    OK(make(&fixed, &fewer));
    ck_assert(1 - fewer.cosine > 0.05);
    tsr_clip_free(&fewer);
    tsr_clip_free(&clip);
    s.error = 1e-9;
    s.most = 20;
    OK(make(&s, &clip));
    ck_assert(!clip.reached && clip.clusters == 20);
    check_clip(&clip, features, N, D);
    tsr_clip_free(&clip);
    s.error = 2; /* anything will do */
    OK(make(&s, &clip));
    ck_assert(clip.reached && clip.clusters == 1 && clip.tried == 1);
    tsr_clip_free(&clip);
    s.error = 1e-5;
    s.most = 100000; /* more than there are cells */
    OK(make(&s, &clip));
    ck_assert(clip.reached && clip.clusters <= N);
    tsr_clip_free(&clip);
}
END_TEST

START_TEST(limits) {
    tsr_clip_settings s = tsr_clip_settings_default();
    tsr_clip clip;
    s.clusters = 7;
    OK(tsr_clip_make(ctx, features, 1, 1, 7, D, &s, &clip)); /* one frame, as many as tokens */
    check_clip(&clip, features, 7, D);
    ck_assert(clip.used == 7 && clip.cosine > 1 - 1e-6);
    tsr_clip_free(&clip);
    s.clusters = 8;
    NOT(TSR_ERROR_ARGUMENT, "K: wanted 1 to 7, the cells of the clip, got 8",
        tsr_clip_make(ctx, features, 1, 1, 7, D, &s, &clip));
    ck_assert_ptr_null(clip.ids);
    s.clusters = 0;
    NOT(TSR_ERROR_ARGUMENT, "K: wanted 1 to 7",
        tsr_clip_make(ctx, features, 1, 1, 7, D, &s, &clip));
    s.clusters = 1;
    OK(tsr_clip_make(ctx, features, 1, 1, 1, D, &s, &clip));
    tsr_clip_free(&clip);
    s.passes = 0;
    NOT(TSR_ERROR_ARGUMENT, "passes", make(&s, &clip));
    s.passes = 5;
    s.rule = (tsr_clip_rule)3;
    NOT(TSR_ERROR_ARGUMENT, "rule", make(&s, &clip));
    s.rule = TSR_CLIP_ERROR;
    s.error = -1;
    NOT(TSR_ERROR_ARGUMENT, "error", make(&s, &clip));
    s.error = NAN;
    NOT(TSR_ERROR_ARGUMENT, "error", make(&s, &clip));
    s.rule = TSR_CLIP_ELBOW;
    s.least = 20;
    s.most = 10;
    NOT(TSR_ERROR_ARGUMENT, "least K", make(&s, &clip));
    NOT(TSR_ERROR_ARGUMENT, "1 or more", tsr_clip_make(ctx, features, 0, 1, 1, D, NULL, &clip));
    NOT(TSR_ERROR_ARGUMENT, "below 2^31",
        tsr_clip_make(ctx, features, 65536, 65536, 65536, D, NULL, &clip));
    features[3 * D + 2] = NAN;
    NOT(TSR_ERROR_ARGUMENT, "features", make(NULL, &clip));
    features[3 * D + 2] = INFINITY;
    NOT(TSR_ERROR_ARGUMENT, "features", make(NULL, &clip));
}
END_TEST

/* Equal cells and cells of zeros: clusters without cells come last and are zeros. */
START_TEST(equal_cells) {
    tsr_clip_settings s = tsr_clip_settings_default();
    tsr_clip clip;
    s.clusters = 5;
    for (int i = 1; i < N; ++i)
        memcpy(features + i * D, features + (i % 2) * D, sizeof *features * D);
    OK(make(&s, &clip));
    check_clip(&clip, features, N, D);
    ck_assert_uint_eq(clip.used, 2);
    for (int d = 0; d < 3 * D; ++d)
        ck_assert(clip.codebook[2 * D + d] == 0);
    tsr_clip_free(&clip);
    memset(features + 9 * D, 0, sizeof *features * D * 20);
    OK(make(&s, &clip));
    check_clip(&clip, features, N, D);
    tsr_clip_free(&clip);
    memset(features, 0, sizeof features);
    OK(make(&s, &clip));
    ck_assert(clip.cosine == 0);
    tsr_clip_free(&clip);
}
END_TEST

/* Picks are far from each other by definition: compared with a plain search. */
START_TEST(farthest_rows) {
    static float unit[N * D];
    own_device d = open_own_device("cpu", 2);
    tsr_farthest f;
    memset(features + 4 * D, 0, sizeof *features * D); /* comes last */
    tsr_spherical_unit(d.ctx, features, N, D, unit);
    ck_assert_int_eq(tsr_farthest_open(d.device, &f, unit, N, D), TSR_OK);
    tsr_farthest_pick(&f, 9);
    ck_assert_int_eq(f.count, 9);
    tsr_farthest_pick(&f, N + 5);
    ck_assert_int_eq(f.count, N);
    ck_assert_int_eq(f.rows[N - 1], 4);
    double nearest[N];
    int best = -1;
    for (int k = 0; k < 30; ++k) {
        for (int i = 0; i < N; ++i) {
            double least = INFINITY;
            for (int j = 0; j < (k ? k : N); ++j) {
                const int64_t other = k ? f.rows[j] : j;
                double dot = 0;
                for (int c = 0; c < D; ++c)
                    dot += (double)unit[i * D + c] * (double)unit[other * D + c];
                if (other != i || k) least = fmin(least, 1 - dot);
            }
            nearest[i] = i == 4 ? -1 : least;
        }
        best = 0;
        for (int i = 1; i < N; ++i)
            if (nearest[i] > nearest[best] + 1e-12) best = i;
        ck_assert_msg(f.rows[k] == best, "pick %d: wanted %d, got %d", k, best, (int)f.rows[k]);
    }
    tsr_farthest_close(&f);
    close_own_device(&d);
}
END_TEST

/* ---- files --------------------------------------------------------------------------------- */

static void write_array(const char *path, const float *x, int64_t t, int64_t h, int64_t w,
                        int64_t d) {
    const tsr_tensor tensor = tsr_host_tensor(TSR_DTYPE_F32, (void *)x, 4, (int64_t[]){t, h, w, d});
    OK(tsr_npy_write(ctx, path, &tensor));
}

/* Features to a file and back: what comes back has the cosine that was promised. */
START_TEST(there_and_back) {
    char in[256], tess[256], back[256];
    write_array(in_folder(in, "clip.npy"), features, T, H, W, D);
    in_folder(tess, "clip.tess");
    in_folder(back, "back.safetensors");
    for (int type = 0; type < 3; ++type)
        for (int gains = 0; gains < 2; ++gains) {
            tsr_clip_files_settings s = tsr_clip_files_settings_default();
            s.clip.clusters = TRUE_K;
            s.codebook_type = (tsr_codebook_type)type;
            s.gains = gains;
            s.source = "made here";
            tsr_clip_report report;
            OK(tsr_clip_encode_files(ctx, (const char *const[]){in}, 1, tess, &s, &report));
            ck_assert(report.clips == 1 && report.tokens == TRUE_K && report.cells == N);
            ck_assert_uint_gt(report.bytes, report.codebook_bytes + report.map_bytes);
            ck_assert_int_eq(report.gains_bytes > 0, gains);
            OK(tsr_clip_decode_file(ctx, tess, back, NULL, NULL));
            tsr_token_set *set, *original;
            tsr_token_set_info info;
            tsr_token_set_comparison c;
            OK(tsr_token_set_read(ctx, back, "clip", &set));
            tsr_token_set_info_get(set, &info);
            ck_assert(info.count == N && info.channels == D && info.grid[0] == T &&
                      info.grid[1] == H && info.grid[2] == W);
            OK(tsr_token_set_create(ctx, features, N, D, info.grid, &original));
            OK(tsr_token_set_compare(original, set, &c));
            ck_assert_msg(fabs(c.cosine - report.cosine) < (type == 2 ? 1e-4 : 1e-5), "%g, %g",
                          c.cosine, report.cosine);
            ck_assert(gains ? c.squared_error < 0.03 : c.squared_error > 0.5);
            const tsr_token_array ids = tsr_token_set_column(set, "ids");
            ck_assert(ids.rank == 1 && ids.dim[0] == N && ((const int32_t *)ids.data)[0] == 0);
            ck_assert_int_eq(tsr_token_set_column(set, "codebook").dim[0], TRUE_K);
            ck_assert_int_eq(tsr_token_set_column(set, "gains").name != NULL, gains);
            tsr_token_set_close(&original);
            tsr_token_set_close(&set);
        }
}
END_TEST

/* Several sets, one of them bad; and what cannot be decoded. */
START_TEST(several_clips) {
    char in[256], tess[256], back[256];
    const int64_t grid[3] = {T, H, W};
    const float newline[D] = {1, 2, 3};
    tsr_token_sets_writer *writer;
    OK(tsr_token_sets_create(ctx, in_folder(in, "sets.safetensors"), &writer));
    OK(tsr_token_sets_describe(writer, "tower", "tiny"));
    OK(tsr_token_sets_describe(writer, "layer", "3"));
    OK(tsr_token_sets_describe(writer, "weights", "00000000000000ff"));
    for (int i = 0; i < 3; ++i) {
        tsr_token_set *set;
        OK(tsr_token_set_create(ctx, features, N, D, i == 1 ? NULL : grid, &set));
        const tsr_token_array a = {"image_newline", TSR_ARRAY_F32, TSR_TOKEN_AXIS_NONE, 1, {D},
                                   newline};
        if (i == 2) OK(tsr_token_set_add(set, &a));
        OK(tsr_token_sets_append(writer, i == 0 ? "a" : i == 1 ? "b" : "c/d", set));
        tsr_token_set_close(&set);
    }
    OK(tsr_token_sets_finish(&writer));
    tsr_clip_files_settings s = tsr_clip_files_settings_default();
    tsr_clip_report report;
    in_folder(tess, "sets.tess");
    NOT(TSR_ERROR_UNSUPPORTED, "set \"b\": wanted tokens on a grid",
        tsr_clip_encode_files(ctx, (const char *const[]){in}, 1, tess, &s, &report));
    ck_assert_int_ne(access(tess, F_OK), 0);
    s.on_error = TSR_ON_ERROR_SKIP;
    OK(tsr_clip_encode_files(ctx, (const char *const[]){in}, 1, tess, &s, &report));
    ck_assert(report.clips == 2 && report.failed == 1 && report.tokens == 65);
    tsr_token_file *file;
    tsr_token_stream stream;
    OK(tsr_token_file_open(ctx, &file, tess));
    OK(tsr_token_file_stream(file, 1, TSR_CLIP_STREAM, &stream));
    ck_assert_str_eq(stream.source, "tiny, layer 3");
    ck_assert_uint_eq(stream.weights_hash, 255);
    ck_assert(stream.newline && stream.newline[2] == 3);
    tsr_token_file_close(&file);
    tsr_clip_decode_report decoded;
    in_folder(back, "back.safetensors");
    OK(tsr_clip_decode_file(ctx, tess, back, NULL, &decoded));
    ck_assert(decoded.items == 2 && decoded.streams == 2);
    tsr_token_set *set;
    OK(tsr_token_set_read(ctx, back, "c/d", &set));
    ck_assert_ptr_nonnull(tsr_token_set_column(set, "image_newline").name);
    tsr_token_set_close(&set);
    const char *one[] = {"a"};
    OK(tsr_clip_decode_file(ctx, tess, back,
                            &(tsr_clip_decode_settings){.items = one, .item_count = 1}, &decoded));
    ck_assert_uint_eq(decoded.streams, 1);
    NOT(TSR_ERROR_UNSUPPORTED, "no decoder to pixels", tsr_decode_file(ctx, tess, back, NULL));
    NOT(TSR_ERROR_MODEL, "model.cross_attention",
        tsr_clip_decode_file(ctx, tess, back, &(tsr_clip_decode_settings){.vq_attention = in},
                             NULL));
}
END_TEST

/* 10,000 frames: memory stays within a few copies of the features. */
START_TEST(long_clip) {
    enum { FRAMES = 10000, CELLS = 4, WIDTH = 32 };
    const size_t values = (size_t)FRAMES * CELLS * WIDTH; /* 5 MB */
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        tsr_context *own;
        tsr_clip clip;
        float *x = malloc(values * sizeof *x);
        tsr_context_settings few = {.threads = 1, .memory_limit = 64 << 20};
        if (!x || tsr_context_open(&own, &few)) _exit(2);
        for (size_t i = 0; i < values; ++i)
            x[i] = (float)((i / WIDTH / 40 * 7 + i % WIDTH * 5) % 11) - 5 +
                   (float)(i * 2654435761u % 97) / 97;
        tsr_clip_settings s = tsr_clip_settings_default();
        s.clusters = 12;
        if (tsr_clip_make(own, x, FRAMES, 2, 2, WIDTH, &s, &clip)) _exit(3);
        struct rusage usage;
        getrusage(RUSAGE_SELF, &usage);
        const bool small = usage.ru_maxrss < 120 * 1024;
        if (!small) fprintf(stderr, "%ld KiB\n", usage.ru_maxrss);
        _exit(small && clip.used == 12 ? 0 : 4);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "status %d", status);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("clips");
    TCase *tc = tcase_create("clips");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, fixed);
    tcase_add_test(tc, threads_change_nothing);
    tcase_add_test(tc, elbow);
    tcase_add_test(tc, error);
    tcase_add_test(tc, limits);
    tcase_add_test(tc, equal_cells);
    tcase_add_test(tc, farthest_rows);
    tcase_add_test(tc, there_and_back);
    tcase_add_test(tc, several_clips);
    tcase_add_test(tc, long_clip);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
