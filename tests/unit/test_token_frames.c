/* SPDX-License-Identifier: MIT */
/* Token files whose tiles have frames: there and back, and what is refused. */
#include "testing.h"
#include "token_surgery.h"

#include <stdlib.h>
#include <string.h>

static tsr_context *ctx;

static const tsr_token_header header = {.tokenizer = "video",
                                        .codebook_size = 100,
                                        .geometry = TSR_GEOMETRY_GRID,
                                        .rows = 2,
                                        .columns = 3,
                                        .tile_width = 24,
                                        .tile_height = 16,
                                        .tile_frames = 9,
                                        .frames = 2,
                                        .fit = TSR_FIT_TILE,
                                        .hints = {.present = 1, .guidance = 1}};
static uint32_t ids[12] = {5, 4, 3, 2, 1, 0, 99, 98, 97, 96, 95, 94}, counts[1];

static tsr_token_item item_of_frames(uint32_t frames) {
    counts[0] = frames > 1 ? 12 : 6;
    return (tsr_token_item){.key = "clip",
                            .source_width = 24,
                            .source_height = 16,
                            .orientation = 1,
                            .width = 24,
                            .height = 16,
                            .tile_columns = 1,
                            .tile_rows = 1,
                            .frames = frames,
                            .counts = counts,
                            .ids = ids};
}

/* A file of two items, of nine frames and of one. */
static tsr_bytes write_file(void) {
    tsr_token_writer *w;
    tsr_bytes b = {0};
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &w, &header, NULL), TSR_OK);
    for (uint32_t frames = 9; frames; frames -= 8) {
        const tsr_token_item item = item_of_frames(frames);
        ck_assert_int_eq(tsr_token_writer_add(w, &item), TSR_OK);
        if (frames == 1) break;
    }
    ck_assert_int_eq(tsr_token_writer_close_memory(&w, &b.at, &b.size), TSR_OK);
    b.room = b.size;
    return b;
}

static tsr_status open_bytes(const tsr_bytes *b, tsr_token_file **file) {
    return tsr_token_file_parse(ctx, file, "file", b->at, b->size);
}

START_TEST(frames_round_trip) {
    surgery_open(ctx);
    tsr_bytes b = write_file();
    tsr_token_file *file;
    tsr_token_item item;
    ck_assert_int_eq(b.at[10], 4);      /* the minor version */
    for (int cut = 0; cut < 2; ++cut) { /* by the index, and by scanning */
        b.size -= (size_t)cut;
        ck_assert_msg(!open_bytes(&b, &file), "%s", tsr_detail(ctx));
        const tsr_token_header *h = tsr_token_file_header(file);
        ck_assert_uint_eq(h->tile_frames, 9);
        ck_assert_uint_eq(h->frames, 2);
        ck_assert_int_eq(h->hints.present, 1);
        ck_assert_uint_eq(tsr_token_positions(h), 12);
        ck_assert_int_eq(tsr_token_file_item(file, 0, &item), TSR_OK);
        ck_assert_uint_eq(item.frames, 9);
        ck_assert_mem_eq(item.ids, ids, sizeof ids);
        ck_assert_int_eq(tsr_token_file_item(file, 1, &item), TSR_OK);
        ck_assert_uint_eq(item.frames, 1);
        ck_assert_uint_eq(item.counts[0], 6);
        tsr_token_file_close(&file);
    }
    tsr_bytes_free(&b);
}
END_TEST

static void refused(const tsr_bytes *b, tsr_status status, const char *text) {
    tsr_token_file *file;
    ck_assert_int_eq(open_bytes(b, &file), status);
    ck_assert_msg(strstr(tsr_detail(ctx), text), "%s", tsr_detail(ctx));
}

START_TEST(bad_frames_are_refused) {
    static const struct {
        uint32_t tile_frames, frames;
        const char *text;
    } bad[] = {{0, 0, "tile frames: wanted 1..65536, got 0"},
               {70000, 2, "tile frames: wanted 0..65536, got 70000"},
               {9, 10, "frames of the grid: wanted 1..tile frames, got 10"},
               {9, 0, "frames of the grid: wanted 1..tile frames, got 0"}};
    surgery_open(ctx);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        tsr_bytes b = write_file();
        const size_t at = chunk_at(&b, TSR_TESS_FRAM, 0);
        tsr_set_u32(b.at + at + TSR_TESS_CHUNK_BYTES, bad[i].tile_frames);
        tsr_set_u32(b.at + at + TSR_TESS_CHUNK_BYTES + 4, bad[i].frames);
        refused(&b, TSR_ERROR_CHECKSUM, "frames: wanted checksum");
        sign_chunk(&b, at);
        refused(&b, TSR_ERROR_FORMAT, bad[i].text);
        tsr_bytes_free(&b);
    }
    tsr_bytes b = write_file();
    const size_t at = chunk_at(&b, TSR_TESS_FRAM, 0);
    b.at[at + 20] ^= 1;
    refused(&b, TSR_ERROR_CHECKSUM, "wanted the FRAM chunk, got damaged bytes");
    tsr_bytes_free(&b);
}
END_TEST

START_TEST(the_writer_refuses) {
    tsr_token_writer *w;
    tsr_token_header h = header;
    h.geometry = TSR_GEOMETRY_SEQUENCE, h.rows = 1;
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &w, &h, NULL), TSR_ERROR_ARGUMENT);
    h = header, h.rows = 1 << 10, h.columns = 1 << 10;
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &w, &h, NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_token_writer_open_memory(ctx, &w, &header, NULL), TSR_OK);
    tsr_token_item item = item_of_frames(9);
    item.frames = 0;
    ck_assert_int_eq(tsr_token_writer_add(w, &item), TSR_ERROR_ARGUMENT);
    item.frames = 10;
    ck_assert_int_eq(tsr_token_writer_add(w, &item), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "frames: wanted 1 to those of a tile, got 10"));
    tsr_token_writer_abandon(&w);
}
END_TEST

int main(void) {
    const TTest *const tests[] = {frames_round_trip, bad_frames_are_refused, the_writer_refuses};
    if (tsr_context_open(&ctx, NULL)) return 1;
    const int failed = run_tests("token frames", tests, 3);
    tsr_context_close(&ctx);
    return failed;
}
