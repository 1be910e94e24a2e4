/* SPDX-License-Identifier: MIT */
/* entropy_over_time.c: what coding frames by the frame before is worth. Takes token files whose
 * items are frames in order, writes each as a clip with every frame alone and with groups of 32,
 * reads both back, and prints bytes: of ids at fixed width, of the items of both files, and of the
 * same number of copies of the first frame.
 *
 *     tessera encode FRAMES -t MODEL -o FRAMES.tess && entropy_over_time FRAMES.tess...
 *
 * Exit code 1 when ids that come back differ. */
#include <tessera/tokens.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef struct totals {
    uint64_t ids, fixed, alone, grouped, still;
    double seconds;
} totals;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Writes the items as a clip; `still`: the first one again and again. */
static tsr_status write_clip(tsr_context *ctx, tsr_token_file *in, const char *path, uint32_t group,
                             int still) {
    const uint64_t items = tsr_token_file_properties(in)->items;
    tsr_token_writer *w = NULL;
    tsr_token_item item;
    tsr_status s = tsr_token_writer_open(ctx, &w, path, tsr_token_file_header(in), NULL);
    if (!s)
        s = tsr_token_writer_clip_begin(
            w, &(tsr_token_clip){.time_base = {1, 25}, .rate = {25, 1}, .group = group});
    for (uint64_t i = 0; i < items && !s; ++i) {
        s = tsr_token_file_item(in, still ? 0 : i, &item);
        if (!s) s = tsr_token_writer_clip_add(w, &item, &(tsr_clip_frame){(int64_t)i, 1}, 1, 0);
    }
    if (!s) s = tsr_token_writer_close(&w);
    tsr_token_writer_abandon(&w);
    return s;
}

/* Bytes of the items of a file, whose ids must be those of `in`. */
static tsr_status compare(tsr_context *ctx, tsr_token_file *in, const char *path, int still,
                          uint64_t *bytes, int *wrong) {
    tsr_token_file *out = NULL;
    tsr_token_item a, b;
    tsr_status s = tsr_token_file_open(ctx, &out, path);
    const uint64_t items = s ? 0 : tsr_token_file_properties(out)->items;
    for (uint64_t i = 0; i < items && !s; ++i) {
        s = tsr_token_file_item(in, still ? 0 : i, &a);
        if (!s) s = tsr_token_file_item(out, i, &b);
        if (s) break;
        const uint64_t n = tsr_token_item_total(&a);
        *wrong |=
            n != tsr_token_item_total(&b) || memcmp(a.ids, b.ids, (size_t)n * sizeof *a.ids) != 0;
    }
    if (!s) *bytes = tsr_token_file_properties(out)->payload_bytes;
    tsr_token_file_close(&out);
    return s;
}

static tsr_status look(tsr_context *ctx, const char *path, totals *sum, int *wrong) {
    tsr_token_file *in = NULL;
    char file[64];
    totals t = {0};
    tsr_status s = tsr_token_file_open(ctx, &in, path);
    snprintf(file, sizeof file, "/tmp/entropy_over_time-%ld.tess", (long)getpid());
    if (!s) s = write_clip(ctx, in, file, 1, 0);
    if (!s) s = compare(ctx, in, file, 0, &t.alone, wrong);
    if (!s) s = write_clip(ctx, in, file, 32, 0);
    const double start = now();
    if (!s) s = compare(ctx, in, file, 0, &t.grouped, wrong);
    t.seconds = now() - start;
    if (!s) s = write_clip(ctx, in, file, 32, 1);
    if (!s) s = compare(ctx, in, file, 1, &t.still, wrong);
    unlink(file);
    if (!s) {
        const tsr_token_file_info *f = tsr_token_file_properties(in);
        t.ids = f->tokens;
        t.fixed = (f->tokens * tsr_token_bits(tsr_token_file_header(in)) + 7) / 8;
        const char *name = strrchr(path, '/');
        printf("%-22s %7" PRIu64 " %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64
               "  %.3f  %.3f\n",
               name ? name + 1 : path, f->items, t.ids, t.fixed, t.alone, t.grouped,
               (double)t.grouped / (double)t.alone, (double)t.still / (double)t.fixed);
    }
    sum->ids += t.ids;
    sum->fixed += t.fixed;
    sum->alone += t.alone;
    sum->grouped += t.grouped;
    sum->still += t.still;
    sum->seconds += t.seconds;
    tsr_token_file_close(&in);
    return s;
}

int main(int argc, char **argv) {
    tsr_context *ctx;
    totals sum = {0};
    int wrong = 0;
    if (argc < 2 || tsr_context_open(&ctx, NULL)) {
        fprintf(stderr, "usage: entropy_over_time FRAMES.tess...\n");
        return 2;
    }
    printf("%-22s %7s %8s %9s %9s %9s  %5s  %5s\n", "file", "frames", "ids", "fixed", "alone",
           "grouped", "ratio", "still");
    for (int i = 1; i < argc; ++i)
        if (look(ctx, argv[i], &sum, &wrong)) {
            fprintf(stderr, "%s\n", tsr_detail(ctx));
            return 2;
        }
    printf("%-22s %7s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 " %9" PRIu64 "  %.3f  %.3f\n", "all", "",
           sum.ids, sum.fixed, sum.alone, sum.grouped, (double)sum.grouped / (double)sum.alone,
           (double)sum.still / (double)sum.fixed);
    printf("reading the grouped files: %.0f ids a millisecond\n",
           (double)sum.ids / sum.seconds / 1000);
    if (wrong) fprintf(stderr, "ids that come back differ\n");
    tsr_context_close(&ctx);
    return wrong;
}
