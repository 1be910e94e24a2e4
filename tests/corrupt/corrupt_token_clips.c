/* SPDX-License-Identifier: MIT */
/* Damaged and hostile clips and frames coded by the one before, each named <what>_<fault>, made
 * here from a good file: what is said, and that what does not depend on them stays. */
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "token_sample.h"
#include "token_surgery.h"

static tsr_context *ctx;

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    surgery_open(ctx);
}

static void teardown(void) {
    tsr_context_close(&ctx);
}

#define BYTES(text) (text), sizeof(text) - 1

/* ---- CLIP -------------------------------------------------------------------------------- */

/* number, first item, items, name */
#define WHO "\0\0\3\1a"
/* time base, start, rate, frames of the source, coded size, display, aspect, colour, assumed, group
 */
#define FACTS     "\1\x19\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20"
#define WINDOWS   "\3\1\0"   /* three items of a frame */
#define STEPS     "\2\0\4\2" /* at the start, then two steps of 1 */
#define DURATIONS "\3\1"
static const struct clip_case {
    const char *name, *payload;
    size_t bytes;
    bool good;
} clip_cases[] = {
    {"good", BYTES(WHO FACTS WINDOWS STEPS DURATIONS), true},
    {"good_window", BYTES("\0\2\1\0" FACTS "\1\3\1" STEPS DURATIONS), true},
    {"good_missing", BYTES(WHO FACTS WINDOWS "\2\0\5" DURATIONS), true},
    {"empty", BYTES(""), false},
    {"items_none", BYTES("\0\0\0\1a" FACTS WINDOWS STEPS DURATIONS), false},
    {"items_end_before_the_last",
     BYTES("\0\0\2\1a" FACTS "\2\1\0"
           "\2\0\2\2"
           "\2\1"),
     false},
    {"items_beyond_the_last",
     BYTES("\0\0\4\1a" FACTS "\4\1\0"
           "\2\0\6\2"
           "\4\1"),
     false},
    {"items_too_many", BYTES("\0\0\x81\x80\x80\x80\x80\x20\1a" FACTS WINDOWS STEPS DURATIONS),
     false},
    {"name_with_control", BYTES("\0\0\3\1\n" FACTS WINDOWS STEPS DURATIONS), false},
    {"name_with_zero", BYTES("\0\0\3\1\0" FACTS WINDOWS STEPS DURATIONS), false},
    {"name_not_utf8", BYTES("\0\0\3\1\xe4" FACTS WINDOWS STEPS DURATIONS), false},
    {"name_beyond_the_end",
     BYTES("\0\0\3\xff"
           "a"),
     false},
    {"time_base_zero", BYTES(WHO "\0\x19\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20" WINDOWS STEPS DURATIONS),
     false},
    {"rate_half", BYTES(WHO "\1\x19\0\5\0\0\0\0\0\0\0\0\0\0\0\0\x20" WINDOWS STEPS DURATIONS),
     false},
    {"coded_half", BYTES(WHO "\1\x19\0\0\0\0\5\0\0\0\0\0\0\0\0\0\x20" WINDOWS STEPS DURATIONS),
     false},
    {"display_unknown",
     BYTES(WHO "\1\x19\0\0\0\0\0\0\x80\0\0\0\0\0\0\0\x20" WINDOWS STEPS DURATIONS), false},
    {"assumed_unknown",
     BYTES(WHO "\1\x19\0\0\0\0\0\0\0\0\0\0\0\0\0\x10\x20" WINDOWS STEPS DURATIONS), false},
    {"group_zero", BYTES(WHO "\1\x19\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" WINDOWS STEPS DURATIONS),
     false},
    {"windows_of_nothing", BYTES(WHO FACTS "\0\1\0" STEPS DURATIONS), false},
    {"windows_without_frames", BYTES(WHO FACTS "\3\0\0" STEPS DURATIONS), false},
    {"windows_too_many", BYTES(WHO FACTS "\4\1\0" STEPS DURATIONS), false},
    {"windows_alike", BYTES(WHO FACTS "\2\1\0\1\1\0" STEPS DURATIONS), false},
    {"steps_of_nothing", BYTES(WHO FACTS WINDOWS "\0\0\6\2" DURATIONS), false},
    {"steps_too_many", BYTES(WHO FACTS WINDOWS "\2\0\6\2" DURATIONS), false},
    {"steps_alike", BYTES(WHO FACTS WINDOWS "\2\0\4\0" DURATIONS), false},
    {"steps_missing", BYTES(WHO FACTS WINDOWS "\2\0"), false},
    {"step_too_large",
     BYTES(WHO FACTS WINDOWS "\2\0\4\xfe\xff\xff\xff\xff\xff\xff\xff\x3f" DURATIONS), false},
    {"durations_alike", BYTES(WHO FACTS WINDOWS STEPS "\1\1\2\1"), false},
    {"duration_too_long", BYTES(WHO FACTS WINDOWS STEPS "\3\x81\x80\x80\x80\x80\x80\x80\x80\x10"),
     false},
    {"bytes_behind", BYTES(WHO FACTS WINDOWS STEPS DURATIONS "\0"), false},
};
enum { CLIP_CASES = sizeof clip_cases / sizeof *clip_cases };

static void expect_items(tsr_token_file *file, const char *name) {
    tsr_token_item item;
    ck_assert_uint_eq(tsr_token_file_properties(file)->items, 3);
    for (uint64_t i = 0; i < 3; ++i) {
        ck_assert_msg(!tsr_token_file_item(file, i, &item), "%s: %s", name, tsr_detail(ctx));
        ck_assert(!token_item_difference(&surgery_header, &item, &surgery_items[i], UINT32_MAX));
    }
}

START_TEST(clips) {
    const struct clip_case *c = &clip_cases[_i];
    tsr_bytes b = good_file(false);
    uint64_t e[9];
    item_entries(&b, false, e);
    splice_chunk(&b, chunk_at(&b, TSR_TESS_INDX, 0), TSR_TESS_CLIP, 0, c->payload, c->bytes);
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, e, 9);
    for (int scanned = 0; scanned < 2; ++scanned) {
        tsr_token_file *file;
        tsr_token_damage damage;
        ck_assert_msg(!tsr_token_file_parse(ctx, &file, c->name, b.at, b.size - (size_t)scanned),
                      "%s", tsr_detail(ctx));
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        expect_items(file, c->name);
        /* in a scanned file the last items may be lost */
        const bool beyond = scanned && !strcmp(c->name, "items_beyond_the_last");
        ck_assert_msg(info->clips == (c->good || beyond) && info->damaged == !(c->good || beyond),
                      "%s: %llu clips, %d damaged places", c->name, (unsigned long long)info->clips,
                      info->damaged);
        if (info->damaged) {
            ck_assert_int_eq(tsr_token_file_damage(file, 0, &damage), TSR_OK);
            ck_assert_ptr_nonnull(strstr(damage.detail, "facts and times of a clip"));
        }
        tsr_token_file_close(&file);
    }
    tsr_bytes_free(&b);
}
END_TEST

/* ---- PRED -------------------------------------------------------------------------------- */

/* Three items of one clip, items 1 and 2 coded by the one before. */
static tsr_bytes chain_file(void) {
    tsr_token_writer *w;
    tsr_bytes b = {0};
    const tsr_token_clip clip = {.time_base = {1, 25}};
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &w, &surgery_header, NULL), TSR_OK);
    ck_assert_int_eq(tsr_token_writer_clip_begin(w, &clip), TSR_OK);
    for (int i = 0; i < 3; ++i) {
        surgery_items[i].source_width = 300;
        surgery_items[i].time = i / 25.0;
        ck_assert_int_eq(
            tsr_token_writer_clip_add(w, &surgery_items[i], &(tsr_clip_frame){i, 1}, 1, 0), TSR_OK);
    }
    ck_assert_int_eq(tsr_token_writer_close_memory(&w, &b.at, &b.size), TSR_OK);
    b.room = b.size;
    return b;
}

/* number 1, distance 1, a key of its own, coding 3 */
#define KEY "\0\7two.png"
static const struct frame_case {
    const char *name, *payload;
    size_t bytes;
    const char *why;
} frame_cases[] = {
    {"number_of_another", BYTES("\2\1" KEY "\3\xff"), "wanted"},
    {"distance_none", BYTES("\1\0" KEY "\3\xff"), "fields of a frame in range"},
    {"distance_beyond_the_first", BYTES("\1\2" KEY "\3\xff"), "fields of a frame in range"},
    {"key_longer_than_shared", BYTES("\1\1\x08\0\3\xff"), "an item that it can be coded from"},
    {"key_too_long", BYTES("\1\1\0\x81\x08"), "fields of a frame in range"},
    {"key_with_control", BYTES("\1\1\0\1\n\3\xff"), "a key that items may have"},
    {"key_beyond_the_end",
     BYTES("\1\1\0\x50"
           "two"),
     "fields of a frame in range"},
    {"coding_missing", BYTES("\1\1" KEY), "wanted a byte, got the end"},
    {"coding_raw", BYTES("\1\1" KEY "\0\xff"), "raw ids: wanted"},
    {"coding_of_items", BYTES("\1\1" KEY "\2\xff"), "coding of a frame: wanted 3, got 2"},
    {"data_ends_in_zero", BYTES("\1\1" KEY "\3\xff\0"), "a last byte other than 0"},
    {"data_as_long_as_raw",
     BYTES("\1\1" KEY "\3"
           "0123456789012345678901234567890123456789"),
     "wanted less than"},
    {"ids_out_of_range", BYTES("\1\1" KEY "\3\x4d\1\x23\1"), "wanted ids below 1000"},
};
enum { FRAME_CASES = sizeof frame_cases / sizeof *frame_cases };

START_TEST(frames) {
    const struct frame_case *c = &frame_cases[_i];
    tsr_bytes b = chain_file();
    tsr_token_file *file;
    tsr_token_item item;
    const size_t at = chunk_at(&b, TSR_TESS_PRED, 0), before = chunk_end(&b, at) - at;
    uint64_t entries[9] = {0}, sizes[3];
    sizes[0] = at - chunk_at(&b, TSR_TESS_ITEM, 0);
    sizes[2] = chunk_end(&b, chunk_at(&b, TSR_TESS_PRED, 1)) - (at + before);
    splice_bytes(&b, at, NULL, -(long)before);
    splice_chunk(&b, at, TSR_TESS_PRED, TSR_TESS_CRITICAL, c->payload, c->bytes);
    sizes[1] = TSR_TESS_CHUNK_BYTES + c->bytes;
    for (int i = 0; i < 3; ++i) {
        entries[3 * i + 1] = sizes[i];
        entries[3 * i + 2] = 27;
    }
    new_index(&b, chunk_at(&b, TSR_TESS_INDX, 0), 3, entries, 9);
    ck_assert_msg(!tsr_token_file_parse(ctx, &file, c->name, b.at, b.size), "%s", tsr_detail(ctx));
    for (int i = 2; i >= 0; --i) {
        const tsr_status s = tsr_token_file_item(file, (uint64_t)i, &item);
        ck_assert_msg((s == TSR_OK) == (i == 0), "%s: item %d: %s", c->name, i, tsr_detail(ctx));
        if (i == 1)
            ck_assert_msg(strstr(tsr_detail(ctx), c->why) &&
                              !strncmp(tsr_detail(ctx), c->name, strlen(c->name)),
                          "%s", tsr_detail(ctx));
        if (i == 2) ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "what it is coded from"));
    }
    tsr_token_file_close(&file);
    tsr_bytes_free(&b);
}
END_TEST

/* A third of the flipped bits of a file with a clip: each is reported, or changes nothing that is
 * read. */
START_TEST(flipped_bits) {
    tsr_bytes b = chain_file();
    int silent = 0;
    for (size_t bit = (size_t)random_below(3); bit < 8 * b.size; bit += 3) {
        tsr_token_file *file;
        tsr_token_item item;
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (!tsr_token_file_parse(ctx, &file, "flipped", b.at, b.size)) {
            const tsr_token_file_info *info = tsr_token_file_properties(file);
            bool reported = info->recovered || info->damaged;
            for (uint64_t i = 0; i < info->items; ++i) {
                if (tsr_token_file_item(file, i, &item)) {
                    reported = true;
                    continue;
                }
                /* without the clip's chunk a frame has the time of its chain */
                if (!info->recovered && !info->damaged && info->items == 3)
                    ck_assert(!token_item_difference(&surgery_header, &item, &surgery_items[i],
                                                     UINT32_MAX));
            }
            silent += !reported;
            tsr_token_file_close(&file);
        }
        b.at[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ck_assert_msg(silent == 0, "%d flips were not reported", silent);
    tsr_bytes_free(&b);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("corrupt token clips");
    TCase *tc = tcase_create("cases");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, clips, 0, CLIP_CASES);
    tcase_add_loop_test(tc, frames, 0, FRAME_CASES);
    tcase_add_test(tc, flipped_bits);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
