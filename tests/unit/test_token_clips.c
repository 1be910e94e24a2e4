/* SPDX-License-Identifier: MIT */
/* Clips in a token file: facts and exact times come back, whatever they are; where a frame is and
 * what is on screen at a time; what stays of clips when files are cut, split, merged and damaged.
 */
#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "formats/tokens/clip_times.h"

enum { ROWS = 2, COLUMNS = 3, CODES = 50, MOST = 40 };

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-token-clips-XXXXXX";

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void) {
    char command[256];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    tsr_context_close(&ctx);
}

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))
#define NOT(status, call)                                                                          \
    do {                                                                                           \
        tsr_status got_ = (call);                                                                  \
        ck_assert_msg(got_ == (status), "wanted %s, got %s: %s", tsr_status_name(status),          \
                      tsr_status_name(got_), tsr_detail(ctx));                                     \
    } while (0)

static tsr_token_header header_of(uint32_t frames, uint32_t tile_frames) {
    return (tsr_token_header){.tokenizer = "test-video",
                              .family = 9,
                              .codebook_size = CODES,
                              .geometry = TSR_GEOMETRY_GRID,
                              .rows = ROWS,
                              .columns = COLUMNS,
                              .frames = frames,
                              .tile_frames = tile_frames,
                              .tile_width = 24,
                              .tile_height = 16,
                              .fit = TSR_FIT_STRETCH};
}

static const tsr_token_clip facts = {.name = "caf\xc3\xa9 1.mp4",
                                     .time_base = {1, 90000},
                                     .start = -1500,
                                     .rate = {30000, 1001},
                                     .source_frames = 77,
                                     .coded_width = 1920,
                                     .coded_height = 1088,
                                     .rotation = 270,
                                     .mirrored = 1,
                                     .sample_aspect = {40, 33},
                                     .fields = TSR_CLIP_BOTTOM_FIRST,
                                     .deinterlaced = 1,
                                     .sound_dropped = 1,
                                     .matrix = 1,
                                     .range = 2,
                                     .primaries = 9,
                                     .transfer = 16,
                                     .assumed = TSR_CLIP_ASSUMED_RANGE | TSR_CLIP_ASSUMED_TIMES,
                                     .group = 7};

static void expect_facts(const tsr_token_clip *got, const tsr_token_clip *want) {
    tsr_token_clip a = *got, b = *want;
    ck_assert_str_eq(a.name, b.name);
    a.name = b.name = NULL;
    a.first_item = a.items = a.frames = a.lost_items = 0;
    ck_assert_mem_eq(&a, &b, sizeof a);
}

static uint32_t ids[4 * ROWS * COLUMNS];
static uint32_t counts[1];

static tsr_token_item item_of(const char *key, uint32_t count, uint32_t seed) {
    for (uint32_t i = 0; i < 4 * ROWS * COLUMNS; ++i)
        ids[i] = (seed * 7 + i * 5) % CODES;
    counts[0] = count;
    return (tsr_token_item){.key = key,
                            .source_width = 24,
                            .source_height = 16,
                            .orientation = 1,
                            .width = 24,
                            .height = 16,
                            .tile_columns = 1,
                            .tile_rows = 1,
                            .counts = counts,
                            .ids = ids};
}

static tsr_token_item picture(uint32_t seed) {
    static char key[32];
    snprintf(key, sizeof key, "picture%u", seed);
    return item_of(key, ROWS * COLUMNS, seed);
}

/* A clip of one frame an item. */
static void add_clip(tsr_token_writer *w, const tsr_token_clip *clip, const tsr_clip_frame *frames,
                     uint32_t count) {
    OK(tsr_token_writer_clip_begin(w, clip));
    for (uint32_t i = 0; i < count; ++i) {
        const tsr_token_item item = picture(i);
        OK(tsr_token_writer_clip_add(w, &item, &frames[i], 1, 0));
    }
    OK(tsr_token_writer_clip_end(w));
}

static tsr_token_file *written(tsr_token_writer **w, uint8_t **bytes, size_t *size) {
    tsr_token_file *file;
    OK(tsr_token_writer_close_memory(w, bytes, size));
    OK(tsr_token_file_parse(ctx, &file, "clips", *bytes, *size));
    return file;
}

static tsr_token_writer *to_memory(const tsr_token_header *header) {
    tsr_token_writer *w;
    OK(tsr_token_writer_open_memory(ctx, &w, header, NULL));
    return w;
}

static void expect_times(tsr_token_file *file, uint64_t clip, const tsr_clip_frame *frames,
                         uint32_t count) {
    tsr_token_clip c;
    tsr_clip_place p;
    OK(tsr_token_file_clip(file, clip, &c));
    ck_assert_uint_eq(c.frames, count);
    for (uint32_t i = 0; i < count; ++i) {
        OK(tsr_token_file_clip_frame(file, clip, i, &p));
        ck_assert_int_eq(p.time.pts, frames[i].pts);
        ck_assert_uint_eq(p.time.duration, frames[i].duration);
        ck_assert_uint_eq(p.item, c.first_item + i);
        ck_assert_uint_eq(p.decoded, 0);
        if (p.time.pts != TSR_NO_PTS)
            ck_assert(p.seconds == (double)(p.time.pts - c.start) * (double)c.time_base.num /
                                       (double)c.time_base.den);
    }
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_clip_frame(file, clip, count, &p));
}

START_TEST(facts_and_times_come_back) {
    tsr_clip_frame f[MOST];
    for (int round = 0; round < 60; ++round) {
        tsr_token_clip clip = facts;
        const uint32_t n = 1 + (uint32_t)random_below(MOST - 1);
        clip.start = random_below(3) ? random_below(1000) - 500 : -TSR_CLIP_MOST_TICKS;
        int64_t at = clip.start;
        const int64_t step = random_below(4) ? random_below(3000) : random_below(5) << 55;
        for (uint32_t i = 0; i < n; ++i) {
            /* constant, jittered, anywhere, and some missing */
            const int64_t pts = round % 4 == 0   ? at
                                : round % 4 == 1 ? at + random_below(3)
                                                 : random_below(2000) - 1000;
            at = at + step <= TSR_CLIP_MOST_TICKS ? at + step : clip.start;
            f[i] = (tsr_clip_frame){
                .pts = round % 4 == 3 && random_below(2) ? TSR_NO_PTS : pts,
                .duration = (uint64_t)(random_below(3) ? step : random_below(4)),
            };
        }
        const tsr_token_header header = header_of(0, 0);
        tsr_token_writer *w = to_memory(&header);
        tsr_token_item loose = picture(99);
        if (round % 2) OK(tsr_token_writer_add(w, &loose));
        add_clip(w, &clip, f, n);
        add_clip(w, &(tsr_token_clip){.time_base = {1, 1}, .group = 1}, f, n);
        loose = picture(98);
        OK(tsr_token_writer_add(w, &loose));
        uint8_t *bytes;
        size_t size;
        tsr_token_file *file = written(&w, &bytes, &size);
        ck_assert_uint_eq(tsr_token_file_properties(file)->clips, 2);
        ck_assert_uint_eq(tsr_token_file_properties(file)->version_minor, 4);
        ck_assert(!tsr_token_file_properties(file)->damaged);
        tsr_token_clip got;
        OK(tsr_token_file_clip(file, 0, &got));
        expect_facts(&got, &clip);
        ck_assert_uint_eq(got.first_item, round % 2);
        ck_assert_uint_eq(got.items, n);
        expect_times(file, 0, f, n);
        expect_times(file, 1, f, n);
        NOT(TSR_ERROR_NOT_FOUND,
            tsr_token_file_item_clip(file, 2 * n + (round % 2), NULL, NULL, NULL));
        uint64_t which, first;
        uint32_t count;
        OK(tsr_token_file_item_clip(file, n + (round % 2), &which, &first, &count));
        ck_assert(which == 1 && first == 0 && count == 1);
        tsr_token_file_close(&file);
        free(bytes);
    }
}
END_TEST

START_TEST(constant_rate_costs_nothing) {
    const tsr_token_header header = header_of(0, 0);
    size_t size[2];
    for (int half = 0; half < 2; ++half) {
        tsr_clip_record r = {.clip = facts};
        tsr_bytes b = {0};
        r.clip.name = "";
        tsr_clip_times_clear(&r.times, 0);
        for (int i = 0; i < (half ? 5000 : 10000); ++i)
            OK(tsr_clip_times_add(ctx, &r.times, &(tsr_clip_frame){i * 3003, 3003}, 1, 0));
        tsr_clip_put(&b, &r);
        size[half] = b.size;
        tsr_bytes_free(&b);
        tsr_clip_times_free(&r.times);
    }
    ck_assert_uint_lt(size[0], 90);
    ck_assert_uint_le(size[0] - size[1], 1); /* a longer number */
    ck_assert_uint_eq(header.frames, 0);
}
END_TEST

START_TEST(what_is_on_screen) {
    const tsr_clip_frame steady[] = {{100, 10}, {110, 10}, {120, 10}, {130, 10}};
    const tsr_clip_frame odd[] = {{TSR_NO_PTS, 0}, {100, 5}, {100, 5}, {140, 5},
                                  {120, 5},        {90, 5},  {200, 0}};
    const tsr_clip_frame none[] = {{TSR_NO_PTS, 1}, {TSR_NO_PTS, 1}, {TSR_NO_PTS, 1}};
    const tsr_token_header header = header_of(0, 0);
    tsr_token_writer *w = to_memory(&header);
    const tsr_token_clip clip = {.time_base = {1, 30}, .start = 100, .rate = {60, 2}};
    add_clip(w, &clip, steady, 4);
    add_clip(w, &clip, odd, 7);
    add_clip(w, &clip, none, 3);
    add_clip(w, &(tsr_token_clip){.time_base = {1, 30}}, none, 3);
    uint8_t *bytes;
    size_t size;
    tsr_token_file *file = written(&w, &bytes, &size);
    const struct {
        uint64_t clip;
        double ticks;
        uint64_t frame;
    } cases[] = {{0, -50, 0}, {0, 0, 0},    {0, 9.9, 0}, {0, 10, 1}, {0, 10 - 1e-9, 1},
                 {0, 29, 2},  {0, 1e30, 3}, {1, 0, 5},   {1, 25, 5}, {1, -5, 5},
                 {1, 99, 5},  {1, 100, 6},  {1, -11, 1}, {0, 30, 3}};
    uint64_t frame;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        OK(tsr_token_file_clip_at(file, cases[i].clip, cases[i].ticks / 30, &frame));
        ck_assert_msg(frame == cases[i].frame, "case %zu: %llu", i, (unsigned long long)frame);
    }
    for (int i = 0; i < 4; ++i) { /* seconds that were computed find their frame */
        tsr_clip_place p;
        OK(tsr_token_file_clip_frame(file, 0, (uint64_t)i, &p));
        OK(tsr_token_file_clip_at(file, 0, p.seconds, &frame));
        ck_assert_uint_eq(frame, (uint64_t)i);
    }
    NOT(TSR_ERROR_NOT_FOUND, tsr_token_file_clip_at(file, 2, 0, &frame));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_clip_at(file, 0, (double)NAN, &frame));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_file_clip_at(file, 4, 0, &frame));
    tsr_clip_place p;
    OK(tsr_token_file_clip_frame(file, 2, 2, &p));
    ck_assert(p.seconds == 2.0 / 30);
    OK(tsr_token_file_clip_frame(file, 1, 0, &p));
    ck_assert(p.seconds == 0 && p.time.pts == TSR_NO_PTS);
    OK(tsr_token_file_clip_frame(file, 3, 1, &p));
    ck_assert(isnan(p.seconds));
    tsr_token_item item;
    OK(tsr_token_file_item(file, 3, &item));
    ck_assert(item.time == 1.0); /* frame 3 of the first clip: 30 ticks */
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* Windows of a video tokenizer: 3 frames of a grid for up to 9 pictures. */
static void write_windows(tsr_token_writer *w) {
    tsr_clip_frame f[9];
    const uint32_t shown[] = {9, 9, 8, 4}, skipped[] = {0, 0, 1, 1};
    int64_t pts = 0;
    OK(tsr_token_writer_clip_begin(w, &(tsr_token_clip){.name = "v", .time_base = {1, 25}}));
    for (uint32_t i = 0; i < 4; ++i) {
        for (uint32_t k = 0; k < shown[i]; ++k)
            f[k] = (tsr_clip_frame){pts++, 1};
        tsr_token_item item = item_of("v", (i < 3 ? 3 : 2) * ROWS * COLUMNS, i);
        item.frames = i < 3 ? 9 : 5;
        OK(tsr_token_writer_clip_add(w, &item, f, shown[i], skipped[i]));
    }
    OK(tsr_token_writer_clip_end(w));
}

START_TEST(windows_of_frames) {
    const tsr_token_header header = header_of(3, 9);
    tsr_token_writer *w = to_memory(&header);
    write_windows(w);
    uint8_t *bytes;
    size_t size;
    tsr_token_file *file = written(&w, &bytes, &size);
    const tsr_token_header *h = tsr_token_file_header(file);
    ck_assert(h->frames == 3 && h->tile_frames == 9 && h->rows == ROWS);
    ck_assert_uint_eq(tsr_token_positions(h), 3 * ROWS * COLUMNS);
    tsr_clip_place p;
    const struct {
        uint64_t frame, item;
        uint32_t decoded;
    } cases[] = {{0, 0, 0}, {8, 0, 8}, {9, 1, 0}, {18, 2, 1}, {25, 2, 8}, {26, 3, 1}, {29, 3, 4}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        OK(tsr_token_file_clip_frame(file, 0, cases[i].frame, &p));
        ck_assert(p.item == cases[i].item && p.decoded == cases[i].decoded);
        ck_assert_int_eq(p.time.pts, (int64_t)cases[i].frame);
    }
    uint64_t first;
    uint32_t count;
    OK(tsr_token_file_item_clip(file, 2, NULL, &first, &count));
    ck_assert(first == 18 && count == 8);
    tsr_token_item item;
    OK(tsr_token_file_item(file, 3, &item));
    ck_assert_uint_eq(item.counts[0], 2 * ROWS * COLUMNS);
    ck_assert(item.time == 26 / 25.0);
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

static char *in_folder(char *path, const char *name) {
    snprintf(path, 256, "%s/%s", folder, name);
    return path;
}

static void expect_same(const char *a, const char *b) {
    char command[600];
    snprintf(command, sizeof command, "cmp -s '%s' '%s'", a, b);
    ck_assert_msg(system(command) == 0, "%s and %s differ", a, b);
}

/* Two clips of 10 frames at 3 ticks, the picture 50 between them and 51 behind. */
static void write_two(const char *path, uint32_t group) {
    tsr_token_clip clip = facts;
    clip.group = group;
    const tsr_token_header header = header_of(0, 0);
    tsr_token_writer *w;
    tsr_clip_frame f[10];
    for (int i = 0; i < 10; ++i)
        f[i] = (tsr_clip_frame){i * 3, 3};
    OK(tsr_token_writer_open(ctx, &w, path, &header, NULL));
    add_clip(w, &clip, f, 10);
    tsr_token_item loose = picture(50);
    OK(tsr_token_writer_add(w, &loose));
    add_clip(w, &clip, f, 10);
    loose = picture(51);
    OK(tsr_token_writer_add(w, &loose));
    OK(tsr_token_writer_close(&w));
}

START_TEST(cut_split_and_merged) {
    char in[256], out[256], parts[256], name[300];
    write_two(in_folder(in, "in.tess"), facts.group);
    OK(tsr_token_file_cut(ctx, in, in_folder(out, "copy.tess"), NULL, NULL));
    expect_same(in, out);
    const char *chosen[] = {"2,5-7,10,12"};
    const tsr_token_cut_settings some = {.items = chosen, .item_count = 1};
    OK(tsr_token_file_cut(ctx, in, in_folder(out, "some.tess"), &some, NULL));
    tsr_token_file *file;
    tsr_clip_place p;
    tsr_token_clip clip;
    OK(tsr_token_file_open(ctx, &file, out));
    ck_assert_uint_eq(tsr_token_file_properties(file)->clips, 2);
    OK(tsr_token_file_clip(file, 0, &clip));
    expect_facts(&clip, &facts);
    ck_assert(clip.items == 4 && clip.frames == 4);
    OK(tsr_token_file_clip_frame(file, 0, 1, &p));
    ck_assert_int_eq(p.time.pts, 15);
    OK(tsr_token_file_clip_frame(file, 1, 0, &p));
    ck_assert(p.time.pts == 3 && p.item == 5);
    tsr_token_file_close(&file);
    /* a clip that is split goes on in the next part */
    OK(tsr_token_file_split(ctx, in, in_folder(parts, "parts"),
                            &(tsr_token_shard_settings){.items = 8}, NULL));
    snprintf(name, sizeof name, "%s/in-00001.tess", parts);
    OK(tsr_token_file_open(ctx, &file, name));
    ck_assert_uint_eq(tsr_token_file_properties(file)->clips, 2);
    OK(tsr_token_file_clip_frame(file, 0, 0, &p));
    ck_assert_int_eq(p.time.pts, 24);
    OK(tsr_token_file_clip(file, 0, &clip));
    ck_assert(clip.items == 2);
    tsr_token_file_close(&file);
    const char *twice[] = {in, in};
    OK(tsr_token_file_merge(ctx, twice, 2, in_folder(out, "merged.tess"), NULL, NULL));
    OK(tsr_token_file_open(ctx, &file, out));
    ck_assert_uint_eq(tsr_token_file_properties(file)->clips, 4);
    OK(tsr_token_file_clip_frame(file, 2, 9, &p));
    ck_assert(p.time.pts == 27 && p.item == 31);
    tsr_token_file_close(&file);
}
END_TEST

static uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    ck_assert_ptr_nonnull(f);
    uint8_t *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, f);
    fclose(f);
    return bytes;
}

/* Cut anywhere, the items that are whole keep their clip if its chunk is there. */
START_TEST(cut_short_and_damaged) {
    char in[256];
    size_t size, clip_at[2] = {0};
    write_two(in_folder(in, "in.tess"), 1);
    uint8_t *bytes = read_file(in, &size);
    for (size_t i = 0, n = 0; i + 4 < size && n < 2; ++i)
        if (!memcmp(bytes + i, "CLIP", 4)) clip_at[n++] = i;
    for (size_t cut = 200; cut < size; cut += 7) {
        tsr_token_file *file;
        OK(tsr_token_file_parse(ctx, &file, "cut", bytes, cut));
        const tsr_token_file_info *info = tsr_token_file_properties(file);
        const uint64_t least = cut > clip_at[1] + 150 ? 2 : cut > clip_at[0] + 150;
        const uint64_t most = cut > clip_at[1] ? 2 : cut > clip_at[0];
        ck_assert(info->clips >= least && info->clips <= most);
        tsr_token_clip clip;
        for (uint64_t c = 0; c < info->clips; ++c) {
            OK(tsr_token_file_clip(file, c, &clip));
            ck_assert(clip.first_item == c * 11 && clip.items == 10 && !clip.lost_items);
        }
        tsr_token_file_close(&file);
    }
    /* without the end, and with its sixth item broken, the first clip has 9 items of 10 */
    size_t at = 0;
    for (int n = 0; n < 6; ++at)
        if (!memcmp(bytes + at, "ITEM", 4)) ++n;
    bytes[at + 30] ^= 1;
    tsr_token_file *file;
    tsr_clip_place p;
    tsr_token_clip clip;
    OK(tsr_token_file_parse(ctx, &file, "broken", bytes, size - 1));
    OK(tsr_token_file_clip(file, 0, &clip));
    ck_assert(clip.items == 9 && clip.lost_items == 1 && clip.frames == 10);
    OK(tsr_token_file_clip_frame(file, 0, 5, &p));
    ck_assert(p.item == TSR_NO_ITEM && p.time.pts == 15);
    OK(tsr_token_file_clip_frame(file, 0, 6, &p));
    ck_assert(p.item == 5);
    uint64_t first;
    OK(tsr_token_file_item_clip(file, 5, NULL, &first, NULL));
    ck_assert_uint_eq(first, 6);
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* Frames of a clip where `moving` of 16 ids change from frame to frame; mostly by a little. */
enum { FRAMES = 40, TILES = 2, CELLS = TILES * ROWS * COLUMNS * 3 };
static uint32_t moving_ids[FRAMES][CELLS];
static void move_ids(int moving, uint32_t codes) {
    for (int t = 0; t < FRAMES; ++t)
        for (int i = 0; i < CELLS; ++i) {
            const uint32_t before = t ? moving_ids[t - 1][i] : (uint32_t)random_below(codes);
            moving_ids[t][i] = t && random_below(16) >= moving
                                   ? before
                                   : (before + (uint32_t)random_below(3)) % codes;
        }
}

static void write_moving(tsr_token_writer *w, uint32_t each, uint32_t group) {
    const uint32_t lengths[TILES] = {each, each};
    char key[32];
    OK(tsr_token_writer_clip_begin(w, &(tsr_token_clip){.time_base = {1, 25}, .group = group}));
    for (int t = 0; t < FRAMES; ++t) {
        tsr_token_item item = picture(0);
        snprintf(key, sizeof key, "walk/%05d.png", t);
        item.key = key;
        item.tile_columns = TILES;
        item.counts = lengths;
        item.ids = moving_ids[t];
        item.frames = each > ROWS * COLUMNS ? 9 : 0;
        OK(tsr_token_writer_clip_add(w, &item, &(tsr_clip_frame){t, 1}, 1, 0));
    }
    OK(tsr_token_writer_clip_end(w));
}

static void expect_moving(tsr_token_file *file, int t, uint32_t each) {
    tsr_token_item item;
    char key[32];
    snprintf(key, sizeof key, "walk/%05d.png", t);
    OK(tsr_token_file_item(file, (uint64_t)t, &item));
    ck_assert_str_eq(item.key, key);
    ck_assert(item.time == t / 25.0 && item.tile_columns == TILES && item.counts[1] == each);
    ck_assert_mem_eq(item.ids, moving_ids[t], TILES * each * sizeof *item.ids);
    uint64_t found;
    OK(tsr_token_file_find(file, key, &found));
    ck_assert_uint_eq(found, (uint64_t)t);
}

/* Read in order, backwards and anywhere; written again, the bytes are the same. */
START_TEST(frames_are_coded_by_the_frame_before) {
    for (int round = 0; round < 12; ++round) {
        const bool video = round % 3 == 2;
        const uint32_t group = round % 4 == 0 ? 0 : (uint32_t)random_below(9) + 1;
        const uint32_t each = ROWS * COLUMNS * (video ? 3 : 1);
        tsr_token_header header = header_of(video ? 3 : 0, video ? 9 : 0);
        if (round % 3 == 1) {
            header.level_count = 3;
            header.levels[0] = 5, header.levels[1] = 2, header.levels[2] = 5;
        }
        move_ids(round % 5, CODES);
        tsr_token_writer *w = to_memory(&header);
        write_moving(w, each, group);
        uint8_t *bytes, *again;
        size_t size, again_size;
        tsr_token_file *file = written(&w, &bytes, &size);
        for (int t = 0; t < FRAMES; ++t)
            expect_moving(file, t, each);
        for (int t = FRAMES; t-- > 0;)
            expect_moving(file, t, each);
        for (int i = 0; i < FRAMES; ++i)
            expect_moving(file, (int)random_below(FRAMES), each);
        w = to_memory(&header);
        tsr_token_cut_report report = {0};
        OK(tsr_token_file_copy(ctx, file, w, &(tsr_token_cut_settings){0}, &report));
        OK(tsr_token_writer_close_memory(&w, &again, &again_size));
        ck_assert(again_size == size && !memcmp(again, bytes, size));
        int frames = 0;
        for (size_t i = 0; i + 4 < size; ++i)
            frames += !memcmp(bytes + i, "PRED", 4);
        ck_assert_int_eq(frames == 0, group == 1);
        tsr_token_file_close(&file);
        free(bytes);
        free(again);
    }
}
END_TEST

START_TEST(still_frames_cost_nothing) {
    const tsr_token_header header = header_of(0, 0);
    move_ids(0, CODES);
    tsr_token_writer *w = to_memory(&header);
    write_moving(w, ROWS * COLUMNS, 0);
    uint8_t *bytes;
    size_t size;
    tsr_token_file *file = written(&w, &bytes, &size);
    uint64_t stored;
    const char *coding;
    for (uint64_t t = 1; t < FRAMES; ++t) {
        OK(tsr_token_file_item_storage(file, t, &stored, &coding));
        if (t == 32) continue; /* a group begins */
        ck_assert_str_eq(coding, "time");
        ck_assert_uint_le(stored, TSR_TESS_CHUNK_BYTES + 11);
    }
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* A frame that is damaged costs itself and those coded from it, up to the next that is not. */
START_TEST(damage_within_a_group) {
    const tsr_token_header header = header_of(0, 0);
    move_ids(3, CODES);
    tsr_token_writer *w = to_memory(&header);
    write_moving(w, ROWS * COLUMNS, 10);
    uint8_t *bytes;
    size_t size, at = 0;
    tsr_token_file *file = written(&w, &bytes, &size);
    uint64_t first[5], firsts = 0; /* items that are coded alone */
    const char *coding;
    for (uint64_t t = 0; t < FRAMES; ++t) {
        OK(tsr_token_file_item_storage(file, t, NULL, &coding));
        if (strcmp(coding, "time") && firsts < 5) first[firsts++] = t;
    }
    ck_assert(firsts == 4 && first[1] == 10 && first[3] == 30);
    at = (size_t)tsr_token_file_item_offset(file, 14);
    tsr_token_file_close(&file);
    bytes[at + TSR_TESS_CHUNK_BYTES + 2] ^= 4;
    for (int scanned = 0; scanned < 2; ++scanned) {
        OK(tsr_token_file_parse(ctx, &file, "damaged", bytes, size - (size_t)scanned));
        tsr_token_item item;
        if (scanned) ck_assert_uint_eq(tsr_token_file_properties(file)->items, FRAMES - 6);
        for (int t = FRAMES; t-- > 0;) {
            if (t > 13 && t < 20)
                ck_assert(scanned || tsr_token_file_item(file, (uint64_t)t, &item) != TSR_OK);
            else if (!scanned)
                expect_moving(file, t, ROWS * COLUMNS);
            else
                OK(tsr_token_file_item(file, (uint64_t)(t < 14 ? t : t - 6), &item));
            if (scanned && (t < 14 || t > 19)) ck_assert(item.time == t / 25.0);
        }
        tsr_token_file_close(&file);
    }
    free(bytes);
}
END_TEST

START_TEST(what_is_refused) {
    const tsr_token_header header = header_of(0, 0);
    tsr_token_writer *w = to_memory(&header);
    const tsr_token_item item = picture(1);
    const tsr_clip_frame frame = {0, 0};
    tsr_token_clip clip = facts;
    NOT(TSR_ERROR_STATE, tsr_token_writer_clip_end(w));
    NOT(TSR_ERROR_STATE, tsr_token_writer_clip_add(w, &item, &frame, 1, 0));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_clip_begin(w, NULL));
#define WRONG(field, value)                                                                        \
    clip = facts;                                                                                  \
    clip.field = value;                                                                            \
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_clip_begin(w, &clip))
    WRONG(name, "a\nb");
    WRONG(name, "\xff");
    WRONG(time_base.num, 0);
    WRONG(time_base.den, 0x80000000u);
    WRONG(start, TSR_CLIP_MOST_TICKS + 1);
    WRONG(rate.den, 0);
    WRONG(sample_aspect.num, 0);
    WRONG(coded_width, 0);
    WRONG(rotation, 45);
    WRONG(rotation, 360);
    WRONG(mirrored, 2);
    WRONG(sound_dropped, -1);
    WRONG(fields, (tsr_clip_fields)4);
    WRONG(matrix, 256);
    WRONG(assumed, 16);
    WRONG(group, 257);
#undef WRONG
    OK(tsr_token_writer_clip_begin(w, &facts));
    NOT(TSR_ERROR_STATE, tsr_token_writer_clip_begin(w, &facts));
    NOT(TSR_ERROR_STATE, tsr_token_writer_add(w, &item));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_clip_add(w, &item, &frame, 0, 0));
    NOT(TSR_ERROR_ARGUMENT, tsr_token_writer_clip_add(w, &item, &frame, 1, 65536));
    NOT(TSR_ERROR_ARGUMENT,
        tsr_token_writer_clip_add(w, &item, &(tsr_clip_frame){TSR_NO_PTS + 1, 0}, 1, 0));
    NOT(TSR_ERROR_ARGUMENT,
        tsr_token_writer_clip_add(w, &item, &(tsr_clip_frame){0, UINT64_MAX}, 1, 0));
    OK(tsr_token_writer_clip_end(w)); /* nothing of it is in the file */
    OK(tsr_token_writer_clip_begin(w, &facts));
    OK(tsr_token_writer_clip_add(w, &item, &frame, 1, 0));
    uint8_t *bytes;
    size_t size;
    tsr_token_file *file = written(&w, &bytes, &size); /* which ends the clip */
    ck_assert_uint_eq(tsr_token_file_properties(file)->clips, 1);
    tsr_token_file_close(&file);
    free(bytes);
}
END_TEST

/* ---- files of version 1.4, read for ever -------------------------------------------------- */

/* The content: 12 frames of pictures at uneven times, one without, in groups of 5, a picture of no
 * clip, and the windows above in a second file. It must never be made otherwise: `--write FOLDER`
 * wrote tests/golden/tess/v1_4_*.tess. */
enum { GOLDEN_FRAMES = 12 };

static uint32_t golden_id(uint32_t frame, uint32_t place) {
    const uint32_t changed = (frame * 5 + place * 3) % 7 < 2 ? frame : frame / 4;
    return (changed * 31 + place * 11) % CODES;
}

static tsr_clip_frame golden_time(uint32_t frame) {
    return (tsr_clip_frame){frame == 7 ? TSR_NO_PTS : (int64_t)frame * 3003 - (frame > 4) * 10,
                            frame == 11 ? 0 : 3003};
}

static const tsr_token_item *golden_item(uint32_t frame) {
    static char key[32];
    static uint32_t golden_ids[ROWS * COLUMNS];
    static tsr_token_item item;
    snprintf(key, sizeof key, "clip/%03u", frame);
    item = picture(0);
    item.key = key;
    item.ids = golden_ids;
    for (uint32_t i = 0; i < ROWS * COLUMNS; ++i)
        golden_ids[i] = golden_id(frame, i);
    return &item;
}

static void write_golden(const char *where) {
    char path[600];
    tsr_token_header header = header_of(0, 0);
    tsr_token_writer *w;
    tsr_token_clip clip = facts;
    clip.group = 5;
    header.level_count = 2;
    header.levels[0] = 10, header.levels[1] = 5;
    snprintf(path, sizeof path, "%s/v1_4_clip.tess", where);
    OK(tsr_token_writer_open(ctx, &w, path, &header, NULL));
    OK(tsr_token_writer_clip_begin(w, &clip));
    for (uint32_t i = 0; i < GOLDEN_FRAMES; ++i) {
        const tsr_clip_frame time = golden_time(i);
        OK(tsr_token_writer_clip_add(w, golden_item(i), &time, 1, 0));
    }
    OK(tsr_token_writer_clip_end(w));
    OK(tsr_token_writer_add(w, golden_item(99)));
    OK(tsr_token_writer_close(&w));
    header = header_of(3, 9);
    snprintf(path, sizeof path, "%s/v1_4_windows.tess", where);
    OK(tsr_token_writer_open(ctx, &w, path, &header, NULL));
    write_windows(w);
    OK(tsr_token_writer_close(&w));
}

START_TEST(golden_clips_are_read_for_ever) {
    tsr_token_file *file;
    tsr_token_clip clip, want = facts;
    tsr_token_item item;
    tsr_clip_place p;
    int over_time = 0;
    want.group = 5;
    OK(tsr_token_file_open(ctx, &file, TESSERA_TESTS "/golden/tess/v1_4_clip.tess"));
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    ck_assert(info->version_minor == 4 && info->items == GOLDEN_FRAMES + 1 && info->clips == 1);
    OK(tsr_token_file_clip(file, 0, &clip));
    expect_facts(&clip, &want);
    for (uint32_t i = 0; i <= GOLDEN_FRAMES; ++i) {
        const char *coding;
        const uint32_t frame = i == GOLDEN_FRAMES ? 99 : i;
        OK(tsr_token_file_item(file, i, &item));
        ck_assert_str_eq(item.key, golden_item(frame)->key);
        ck_assert_mem_eq(item.ids, golden_item(frame)->ids, ROWS * COLUMNS * sizeof *item.ids);
        OK(tsr_token_file_item_storage(file, i, NULL, &coding));
        over_time += !strcmp(coding, "time");
        if (i == GOLDEN_FRAMES) break;
        OK(tsr_token_file_clip_frame(file, 0, i, &p));
        ck_assert(p.time.pts == golden_time(i).pts && p.time.duration == golden_time(i).duration);
    }
    ck_assert_int_ge(over_time, 6);
    tsr_token_file_close(&file);
    OK(tsr_token_file_open(ctx, &file, TESSERA_TESTS "/golden/tess/v1_4_windows.tess"));
    ck_assert(tsr_token_file_header(file)->frames == 3);
    OK(tsr_token_file_clip(file, 0, &clip));
    ck_assert(clip.items == 4 && clip.frames == 30);
    for (uint32_t i = 0; i < 4; ++i) {
        OK(tsr_token_file_item(file, i, &item));
        const tsr_token_item made = item_of("v", item.counts[0], i);
        ck_assert_mem_eq(item.ids, made.ids, item.counts[0] * sizeof *item.ids);
    }
    tsr_token_file_close(&file);
}
END_TEST

static const char *write_to; /* of --write */

START_TEST(write_files) {
    write_golden(write_to);
}
END_TEST

int main(int argc, char **argv) {
    Suite *suite = suite_create("token clips");
    TCase *tc = tcase_create("token clips");
    tcase_add_checked_fixture(tc, setup, teardown);
    write_to = argc == 3 && !strcmp(argv[1], "--write") ? argv[2] : NULL;
    if (write_to) {
        tcase_add_test(tc, write_files);
    } else {
        tcase_add_test(tc, facts_and_times_come_back);
        tcase_add_test(tc, constant_rate_costs_nothing);
        tcase_add_test(tc, what_is_on_screen);
        tcase_add_test(tc, windows_of_frames);
        tcase_add_test(tc, cut_split_and_merged);
        tcase_add_test(tc, cut_short_and_damaged);
        tcase_add_test(tc, frames_are_coded_by_the_frame_before);
        tcase_add_test(tc, still_frames_cost_nothing);
        tcase_add_test(tc, damage_within_a_group);
        tcase_add_test(tc, what_is_refused);
        tcase_add_test(tc, golden_clips_are_read_for_ever);
    }
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
