/* SPDX-License-Identifier: MIT */
/* test_judge_metrics.c: metrics with a network over made-up weights: pictures that a network cannot
 * take, sets that are too small, equal sides, judges of another family or that cannot be read; that
 * features of originals are computed once for all candidates, and with a cache once for all runs;
 * the distance of clips. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "evaluation/measurement.h"
#include "metrics/kept_features.h"
#include "tiny_judges.h"

enum { PICTURES = 4 };
static tsr_context *ctx;
static char place[64];

static void write_picture(const char *folder, int index, int width, int height, int noise) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s/%d.ppm", place, folder, index);
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    fprintf(f, "P6\n%d %d\n255\n", width, height);
    for (int i = 0; i < width * height * 3; ++i)
        fputc((i * 7 + index * 31) % 200 + 20 + (noise ? i * 13 % (2 * noise + 1) : 0), f);
    ck_assert_int_eq(fclose(f), 0);
}

static void make_place(void) {
    snprintf(place, sizeof place, "/tmp/tessera-judge-metrics-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(place));
    for (const char *folder = "abc"; *folder; ++folder) {
        char path[128];
        snprintf(path, sizeof path, "%s/%c", place, *folder);
        ck_assert_int_eq(mkdir(path, 0777), 0);
    }
}

static void remove_place(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", place);
    ck_assert_int_eq(system(command), 0);
}

static tsr_originals *originals(void) {
    tsr_originals *o = NULL;
    char path[128];
    snprintf(path, sizeof path, "%s/a", place);
    ck_assert_msg(!tsr_originals_open(ctx, path, &o), "%s", tsr_detail(ctx));
    return o;
}

static tsr_status try_measure(tsr_originals *o, const char *folder, const char *const *metrics,
                              int count, const char *weights, tsr_measurement **m) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", place, folder);
    const tsr_candidate c = {.path = path};
    tsr_measure_settings s = {
        .metrics = metrics, .metric_count = count, .weights = &weights, .weight_count = 1};
    s.model.device = "cpu";
    return tsr_measure(ctx, o, &c, &s, m);
}

static tsr_measurement *measure(tsr_originals *o, const char *folder, const char *const *metrics,
                                int count, const char *weights) {
    tsr_measurement *m = NULL;
    ck_assert_msg(!try_measure(o, folder, metrics, count, weights, &m), "%s", tsr_detail(ctx));
    return m;
}

static void refused(const char *metric, const char *weights, tsr_status status, const char *said) {
    tsr_originals *o = originals();
    tsr_measurement *m = NULL;
    const tsr_status got = try_measure(o, "b", &metric, 1, weights, &m);
    ck_assert_msg(got == status && strstr(tsr_detail(ctx), said), "%d: %s", got, tsr_detail(ctx));
    ck_assert_ptr_null(m);
    tsr_originals_close(&o);
}

START_TEST(distances) {
    static const char *const lpips = "lpips-squeeze";
    tiny_model file;
    char weights[160], other[160];
    const char *why = NULL;
    make_place();
    tiny_squeeze(&file);
    snprintf(weights, sizeof weights, "lpips-squeeze=%s", tiny_model_write(&file, NULL, NULL));
    write_picture("a", 0, 40, 33, 0);
    write_picture("b", 0, 40, 33, 0); /* equal */
    write_picture("a", 1, 40, 33, 0);
    write_picture("b", 1, 40, 33, 9);
    write_picture("a", 2, 8, 8, 0); /* too small for the network */
    write_picture("b", 2, 8, 8, 9);
    tsr_originals *o = originals();
    tsr_measurement *m = measure(o, "b", &lpips, 1, weights);
    tsr_summary s;
    ck_assert(tsr_measurement_value(m, lpips, 0, &why) == 0);
    ck_assert(tsr_measurement_value(m, lpips, 1, &why) > 0);
    ck_assert(isnan(tsr_measurement_value(m, lpips, 2, &why)));
    ck_assert_str_eq(why, "a side is below what the network takes");
    ck_assert_int_eq(tsr_measurement_summary(m, lpips, &s), TSR_OK);
    ck_assert_uint_eq(s.count, 2);
    ck_assert_uint_eq(s.missing, 1);
    tsr_measurement_close(&m);
    tsr_originals_close(&o);

    snprintf(other, sizeof other, "lpips-alex=%s", file.path);
    refused("lpips-alex", other, TSR_ERROR_MODEL_MISMATCH, "wanted lpips-alex, got lpips-squeeze");
    snprintf(other, sizeof other, "inception=%s", file.path);
    refused("rfid", other, TSR_ERROR_MODEL_MISMATCH, "wanted inception, got lpips-squeeze");
    snprintf(other, sizeof other, "dists=%s", TESSERA_TESTS "/../models/mosaic-64.safetensors");
    refused("dists", other, TSR_ERROR_UNSUPPORTED, "wanted a judge");
    refused("dists", "dists=/no/such.safetensors", TSR_ERROR_NOT_FOUND, "/no/such.safetensors");
    snprintf(other, sizeof other, "dists=%s/a/0.ppm", place);
    refused("dists", other, TSR_ERROR_FORMAT, "0.ppm");
    refused("rfvd", weights, TSR_ERROR_ARGUMENT, "wanted metrics of pictures, got rfvd");
    refused("dists", "dists", TSR_ERROR_ARGUMENT, "weights: wanted METRIC=PATH, got dists");
    tiny_model_free(&file);
    remove_place();
}
END_TEST

/* ---- sets ---- */

static const tsr_kept_features *kept(const tsr_originals *o) {
    return tsr_metric_share_find(&o->kept_by_metrics, "inception tf1");
}

static double set_value(const tsr_measurement *m, const char *metric, const char *warning) {
    tsr_set_score score;
    ck_assert_int_eq(tsr_measurement_set(m, metric, &score), TSR_OK);
    ck_assert_msg(strstr(score.warning, warning), "%s: %s", metric, score.warning);
    ck_assert_uint_eq(score.count, PICTURES);
    return score.value;
}

START_TEST(sets) {
    static const char *const metrics[] = {"rfid", "kid", "precision", "recall", "is"};
    tiny_model file;
    char weights[160];
    make_place();
    tiny_inception(&file);
    snprintf(weights, sizeof weights, "inception=%s", tiny_model_write(&file, NULL, NULL));
    for (int i = 0; i < PICTURES; ++i) {
        write_picture("a", i, 24, 16, 0);
        write_picture("b", i, 24, 16, 30);
        write_picture("c", i, 24, 16, 0);
    }
    tsr_originals *o = originals();
    tsr_measurement *b = measure(o, "b", metrics, 5, weights);
    ck_assert_uint_eq(kept(o)->computed, PICTURES); /* once for five metrics */
    ck_assert_uint_eq(kept(o)->reused, 0);
    const double rfid = set_value(b, "rfid", "4 pictures are fewer than 2,048 dimensions");
    ck_assert(rfid > 0);
    ck_assert(isfinite(set_value(b, "kid", "deviation of 100 subsets")));
    ck_assert(isnan(set_value(b, "is", "wanted at least 10 pictures, got 4")));

    /* The next candidates compute theirs alone; the numbers are those of originals opened anew. */
    tsr_measurement *c = measure(o, "c", metrics, 4, weights);
    ck_assert_uint_eq(kept(o)->computed, PICTURES);
    ck_assert_uint_eq(kept(o)->reused, PICTURES);
    ck_assert(fabs(set_value(c, "rfid", "biased")) < 1e-6); /* equal sides */
    ck_assert(set_value(c, "precision", "") == 1);
    ck_assert(set_value(c, "recall", "") == 1);
    tsr_measurement_close(&c);
    c = measure(o, "b", metrics, 1, weights);
    ck_assert_uint_eq(kept(o)->computed, PICTURES);
    ck_assert_uint_eq(kept(o)->reused, 2 * PICTURES);
    ck_assert(set_value(c, "rfid", "") == rfid);
    tsr_measurement_close(&c);
    tsr_measurement_close(&b);
    tsr_originals_close(&o);
    tiny_model_free(&file);
    remove_place();
}
END_TEST

/* ---- the cache ---- */

static char *cache_file(void) {
    static char name[320];
    char command[160];
    snprintf(command, sizeof command, "ls %s/cache/*.safetensors", place);
    FILE *f = popen(command, "r");
    ck_assert(f && fgets(name, sizeof name, f));
    name[strcspn(name, "\n")] = 0;
    ck_assert_int_eq(pclose(f), 0);
    return name;
}

/* rFID of folders a and b by originals of their own, as another run has them. */
static double cached_rfid(const char *weights, uint64_t computed, uint64_t reused) {
    static const char *const metrics[] = {"rfid", "precision"};
    char path[128], folder[128];
    tsr_feature_counts counts = {0};
    tsr_measurement *m = NULL;
    tsr_originals *o = originals();
    snprintf(path, sizeof path, "%s/b", place);
    snprintf(folder, sizeof folder, "%s/cache", place);
    const tsr_candidate c = {.path = path};
    tsr_measure_settings s = {.metrics = metrics,
                              .metric_count = 2,
                              .weights = &weights,
                              .weight_count = 1,
                              .cache = folder,
                              .features = &counts};
    s.model.device = "cpu";
    ck_assert_msg(!tsr_measure(ctx, o, &c, &s, &m), "%s", tsr_detail(ctx));
    ck_assert_uint_eq(counts.computed, computed);
    ck_assert_uint_eq(counts.reused, reused);
    const double rfid = set_value(m, "rfid", "");
    tsr_measurement_close(&m);
    tsr_originals_close(&o);
    return rfid;
}

START_TEST(cache) {
    static const char *const rfid = "rfid";
    tiny_model file;
    char weights[160], command[800], folder[128];
    make_place();
    tiny_inception(&file);
    snprintf(weights, sizeof weights, "inception=%s", tiny_model_write(&file, NULL, NULL));
    for (int i = 0; i < PICTURES; ++i) {
        write_picture("a", i, 24, 16, 0);
        write_picture("b", i, 24, 16, 30);
    }
    tsr_originals *o = originals();
    tsr_measurement *m = measure(o, "b", &rfid, 1, weights);
    const double plain = set_value(m, "rfid", "");
    tsr_measurement_close(&m);
    tsr_originals_close(&o);
    ck_assert(cached_rfid(weights, 2 * PICTURES, 0) == plain);
    ck_assert(cached_rfid(weights, 0, 2 * PICTURES) == plain); /* nothing is computed again */
    write_picture("b", 1, 24, 16, 31);                         /* one other picture: one row */
    ck_assert(cached_rfid(weights, 1, 2 * PICTURES - 1) != plain);
    ck_assert(cached_rfid(weights, 0, 2 * PICTURES) != plain);

    /* Other weights have a file of their own; under this one's name theirs are refused. */
    char mine[320];
    snprintf(mine, sizeof mine, "%s", cache_file());
    snprintf(command, sizeof command, "mv %s %s/kept", mine, place);
    ck_assert_int_eq(system(command), 0);
    tiny_model other;
    char others[160];
    tiny_inception(&other);
    ((float *)other.tensor[0].data)[0] += 1;
    snprintf(others, sizeof others, "inception=%s", tiny_model_write(&other, NULL, NULL));
    (void)cached_rfid(others, 2 * PICTURES, 0);
    ck_assert_str_ne(cache_file(), mine);
    snprintf(command, sizeof command, "mv %s/kept %s", place, cache_file());
    ck_assert_int_eq(system(command), 0);
    const tsr_candidate c = {.path = place};
    snprintf(folder, sizeof folder, "%s/cache", place);
    const char *list[] = {others};
    tsr_measure_settings s = {
        .metrics = &rfid, .metric_count = 1, .weights = list, .weight_count = 1, .cache = folder};
    s.model.device = "cpu";
    o = originals();
    for (int i = 0; i < 2; ++i) { /* also when it is asked again */
        ck_assert_int_eq(tsr_measure(ctx, o, &c, &s, &m), TSR_ERROR_STATE);
        ck_assert_msg(strstr(tsr_detail(ctx), "tessera.features.weights: wanted "), "%s",
                      tsr_detail(ctx));
    }
    /* A file that is cut, and a place that is no folder. */
    snprintf(command, sizeof command, "truncate -s 3000 %s", cache_file());
    ck_assert_int_eq(system(command), 0);
    ck_assert_int_eq(tsr_measure(ctx, o, &c, &s, &m), TSR_ERROR_TRUNCATED);
    s.cache = file.path;
    ck_assert_int_eq(tsr_measure(ctx, o, &c, &s, &m), TSR_ERROR_IO);
    ck_assert_msg(strstr(tsr_detail(ctx), "wanted a folder to keep features in"), "%s",
                  tsr_detail(ctx));
    tsr_originals_close(&o);
    tiny_model_free(&other);
    tiny_model_free(&file);
    remove_place();
}
END_TEST

START_TEST(kept_rows) {
    enum { COLUMNS = 3, MANY = 200 };
    uint8_t rgb[2 * 3 * 3] = {0};
    tsr_picture p = {.rgb = rgb, .width = 2, .height = 3};
    tsr_kept_features *k = tsr_kept_features_open(ctx, COLUMNS);
    float row[COLUMNS];
    ck_assert_ptr_nonnull(k);
    ck_assert_ptr_null(tsr_kept_features_find(k, &p));
    for (int i = 0; i < MANY; ++i) {
        rgb[4] = (uint8_t)i;
        for (int c = 0; c < COLUMNS; ++c)
            row[c] = (float)(i * COLUMNS + c);
        ck_assert_int_eq(tsr_kept_features_add(k, &p, row), TSR_OK);
    }
    ck_assert_int_eq(tsr_kept_features_add(k, &p, row), TSR_OK); /* the same again */
    ck_assert_uint_eq(k->count, MANY);
    for (int i = MANY; i-- > 0;) {
        rgb[4] = (uint8_t)i;
        const float *found = tsr_kept_features_find(k, &p);
        ck_assert(found && found[0] == (float)(i * COLUMNS) &&
                  found[2] == (float)(i * COLUMNS + 2));
    }
    p.width = 3, p.height = 2; /* the same bytes of another picture */
    ck_assert_ptr_null(tsr_kept_features_find(k, &p));
    tsr_kept_features_close(k);
}
END_TEST

/* ---- clips ---- */

static tsr_feature_counts windows; /* that open_clips's measures computed and found */

/* cache: NULL: none. */
static tsr_status open_clips(const char *metric, const char *weights, const char *cache,
                             tsr_clip_measure **m) {
    tsr_measure_settings s = {.metrics = &metric,
                              .metric_count = 1,
                              .weights = &weights,
                              .weight_count = 1,
                              .cache = cache,
                              .features = &windows};
    s.model.device = "cpu";
    return tsr_clip_measure_open(ctx, &s, m);
}

/* Two clips of a window each, and some frames more. */
static double clip_distance(const char *weights, const char *cache, int noise,
                            const char *warning) {
    enum { SIDE = 20, BYTES = SIDE * SIDE * 3 };
    uint8_t a[BYTES], b[BYTES];
    const tsr_frame_score frame = {
        .width = SIDE, .height = SIDE, .original_rgb = a, .reconstruction_rgb = b};
    tsr_clip_measure *m = NULL;
    tsr_set_score score;
    tsr_metric_model model;
    ck_assert_msg(!open_clips("rfvd", weights, cache, &m), "%s", tsr_detail(ctx));
    ck_assert_int_eq(tsr_clip_measure_score(m, 0, &score, NULL), TSR_OK);
    ck_assert(isnan(score.value) &&
              strstr(score.warning, "at least 2 windows of 16 frames, got 0"));
    for (int clip = 0; clip < 2; ++clip) {
        for (int k = 0; k < 16 + 3 * clip; ++k) {
            for (int i = 0; i < BYTES; ++i) {
                a[i] = (uint8_t)((i * 7 + k * 5 * (clip + 1) + clip * 60) % 200);
                b[i] = (uint8_t)(a[i] + (noise ? (i * 13 + k) % (noise + 1) : 0));
            }
            ck_assert_msg(!tsr_clip_measure_add(m, &frame), "%s", tsr_detail(ctx));
        }
        tsr_clip_measure_end(m);
    }
    ck_assert_int_eq(tsr_clip_measure_score(m, 0, &score, &model), TSR_OK);
    ck_assert_uint_eq(score.count, 2);
    ck_assert_str_eq(model.name, "i3d-rgb");
    ck_assert_msg(strstr(score.warning, warning), "%s", score.warning);
    ck_assert_int_eq(tsr_clip_measure_score(m, 1, &score, NULL), TSR_ERROR_ARGUMENT);
    tsr_clip_measure_close(&m);
    return score.value;
}

START_TEST(clips) {
    tiny_model file;
    char weights[160];
    tsr_clip_measure *m = NULL;
    tiny_i3d(&file);
    snprintf(weights, sizeof weights, "rfvd=%s", tiny_model_write(&file, NULL, NULL));
    const double differs = clip_distance(weights, NULL, 40, "3 frames filled no window");
    ck_assert(differs > 0 && isfinite(differs));
    make_place();
    char folder[128];
    snprintf(folder, sizeof folder, "%s/cache", place);
    windows = (tsr_feature_counts){0};
    ck_assert(clip_distance(weights, folder, 40, "") == differs);
    ck_assert(windows.computed == 4 && windows.reused == 0);
    ck_assert(clip_distance(weights, folder, 40, "") == differs);
    ck_assert(windows.computed == 4 && windows.reused == 4); /* nothing anew */
    remove_place();
    ck_assert(fabs(clip_distance(weights, NULL, 0, "2 windows are fewer than 2,048")) <
              1e-9 * differs);
    ck_assert_int_eq(open_clips("psnr", weights, NULL, &m), TSR_ERROR_ARGUMENT);
    ck_assert_msg(strstr(tsr_detail(ctx), "wanted metrics of clips, got psnr"), "%s",
                  tsr_detail(ctx));
    ck_assert_ptr_null(m);
    ck_assert_int_eq(tsr_clip_measure_open(ctx, NULL, &m), TSR_ERROR_ARGUMENT);
    tiny_model_free(&file);
}
END_TEST

static int run(void) {
    const TTest *const tests[] = {distances, sets, cache, kept_rows, clips};
    return run_tests("judge_metrics", tests, (int)(sizeof tests / sizeof *tests));
}

int main(void) {
    if (tsr_context_open(&ctx, NULL)) return 1;
    const int code = run();
    tsr_context_close(&ctx);
    return code;
}
