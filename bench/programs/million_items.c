/* SPDX-License-Identifier: MIT */
/* million_items.c: what a token file of many items costs: seconds to write it, milliseconds to open
 * it, microseconds to find a key and to read an item, and the greatest resident memory (VmHWM) of
 * the process that does it. Items have 32 ids and two attributes, a label and a number.
 *
 *     million_items FOLDER [ITEMS [RUNS]]       1000000 items, 5 runs
 *
 * Each measurement is a process of its own. A line has least, median and greatest of the runs by
 * the clock, and the median of the processor time, which a busy machine changes less. */
#include <tessera/tokens.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { IDS = 32, LOOKUPS = 20000, MOST_RUNS = 100 };

static const tsr_token_header header = {.tokenizer = "million",
                                        .codebook_size = 4096,
                                        .rows = 1,
                                        .columns = IDS,
                                        .nested = 1,
                                        .tile_width = 256,
                                        .tile_height = 256,
                                        .fit = TSR_FIT_CROP};

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double processor(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* splitmix64 */
static uint64_t mix(uint64_t z) {
    z = (z + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static void key_of(uint64_t item, char key[64]) {
    snprintf(key, 64, "n%08" PRIu64 "/%07" PRIu64 ".jpg", mix(item) % 1000, item);
}

static tsr_status write_items(tsr_context *ctx, const char *path, uint64_t items, int key_index) {
    static const char *const labels[] = {"cat", "dog", "a house by the sea"};
    const tsr_token_writer_settings settings = {.entropy = 0, .key_index = key_index};
    tsr_token_writer *writer;
    uint32_t counts[1] = {IDS}, ids[IDS];
    char key[64];
    tsr_status s = tsr_token_writer_open(ctx, &writer, path, &header, &settings);
    for (uint64_t i = 0; i < items && !s; ++i) {
        const char *label = labels[i % 3];
        const tsr_attribute two[2] = {
            {.name = "label", .bytes = label, .size = strlen(label)},
            {.name = "number", .type = TSR_ATTRIBUTE_INTEGER, .integer = (int64_t)i}};
        const tsr_token_item item = {.key = key,
                                     .source_width = 500,
                                     .source_height = 375,
                                     .orientation = 1,
                                     .width = 256,
                                     .height = 256,
                                     .tile_columns = 1,
                                     .tile_rows = 1,
                                     .counts = counts,
                                     .ids = ids,
                                     .attributes = two,
                                     .attribute_count = 2};
        key_of(i, key);
        for (uint32_t k = 0; k < IDS; ++k)
            ids[k] = (uint32_t)(mix(i * IDS + k) % 4096);
        s = tsr_token_writer_add(writer, &item);
    }
    if (!s) s = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    return s;
}

/* One measurement: seconds by the clock and of the processor, for each of *count calls. */
static tsr_status measure(tsr_context *ctx, const char *what, const char *path, uint64_t items,
                          double seconds[2], uint64_t *count) {
    tsr_token_file *file = NULL;
    tsr_token_item item;
    uint64_t index = 0;
    char key[64];
    double start = now(), busy = processor();
    *count = 1;
    if (!strncmp(what, "write", 5)) {
        const tsr_status s = write_items(ctx, path, items, strstr(what, "keys") != NULL);
        seconds[0] = now() - start;
        seconds[1] = processor() - busy;
        return s;
    }
    tsr_status s = tsr_token_file_open(ctx, &file, path);
    seconds[0] = now() - start;
    seconds[1] = processor() - busy;
    if (!strncmp(what, "open", 4)) {
        tsr_token_file_close(&file);
        return s;
    }
    start = now();
    busy = processor();
    *count = !strcmp(what, "read") ? items : !strcmp(what, "find-scan") ? 3 : LOOKUPS;
    for (uint64_t i = 0; i < *count && !s; ++i) {
        const uint64_t at = !strcmp(what, "read") ? i : mix(i) % items;
        key_of(at, key);
        s = strncmp(what, "find", 4) ? tsr_token_file_item(file, at, &item)
                                     : tsr_token_file_find(file, key, &index);
    }
    seconds[0] = now() - start;
    seconds[1] = processor() - busy;
    tsr_token_file_close(&file);
    return s;
}

/* The measurement in a process of its own: seconds, processor seconds and greatest memory in MB. */
static int apart(const char *program, const char *what, const char *path, const char *items,
                 double result[3]) {
    char command[1200];
    snprintf(command, sizeof command, "'%s' --measure %s '%s' %s", program, what, path, items);
    FILE *pipe = popen(command, "r");
    const int got = pipe ? fscanf(pipe, "%lf %lf %lf", &result[0], &result[1], &result[2]) : 0;
    return !pipe || pclose(pipe) || got != 3;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int line(const char *program, const char *what, const char *unit, double scale,
                const char *path, const char *items, int runs) {
    double values[MOST_RUNS], busy[MOST_RUNS], memory[MOST_RUNS];
    for (int i = 0; i < runs; ++i) {
        double result[3];
        if (apart(program, what, path, items, result)) return 1;
        values[i] = result[0] * scale;
        busy[i] = result[1] * scale;
        memory[i] = result[2];
    }
    qsort(values, (size_t)runs, sizeof *values, by_value);
    qsort(busy, (size_t)runs, sizeof *busy, by_value);
    qsort(memory, (size_t)runs, sizeof *memory, by_value);
    printf("%-12s %10.4g %10.4g %10.4g %10.4g %-3s %8.1f MB  n %d\n", what, values[0],
           values[runs / 2], values[runs - 1], busy[runs / 2], unit, memory[runs - 1], runs);
    fflush(stdout);
    return 0;
}

static int child(char **argv) {
    tsr_context *ctx;
    double seconds[2] = {0, 0};
    uint64_t count = 1;
    struct rusage use;
    if (tsr_context_open(&ctx, NULL)) return 1;
    const tsr_status s =
        measure(ctx, argv[2], argv[3], strtoull(argv[4], NULL, 10), seconds, &count);
    if (s) fprintf(stderr, "%s: %s\n", argv[2], tsr_detail(ctx));
    tsr_context_close(&ctx);
    if (s || getrusage(RUSAGE_SELF, &use)) return 1;
    printf("%.9g %.9g %.9g\n", seconds[0] / (double)count, seconds[1] / (double)count,
           (double)use.ru_maxrss / 1024);
    return 0;
}

int main(int argc, char **argv) {
    if (argc == 5 && !strcmp(argv[1], "--measure")) return child(argv);
    if (argc < 2 || argc > 4) {
        fprintf(stderr, "usage: million_items FOLDER [ITEMS [RUNS]]\n");
        return 2;
    }
    const char *items = argc > 2 ? argv[2] : "1000000";
    const int runs = argc > 3 ? atoi(argv[3]) : 5;
    char plain[1000], keys[1000];
    if (runs < 1 || 4 * runs > MOST_RUNS || strtoull(items, NULL, 10) < 1) return 2;
    snprintf(plain, sizeof plain, "%s/million-plain.tess", argv[1]);
    snprintf(keys, sizeof keys, "%s/million-keys.tess", argv[1]);
    printf("%s items       least     median   greatest  processor       most memory\n", items);
    const int failed = line(argv[0], "write", "s", 1, plain, items, runs) ||
                       line(argv[0], "write-keys", "s", 1, keys, items, runs) ||
                       line(argv[0], "open-plain", "ms", 1e3, plain, items, 4 * runs) ||
                       line(argv[0], "open", "ms", 1e3, keys, items, 4 * runs) ||
                       line(argv[0], "read", "us", 1e6, keys, items, runs) ||
                       line(argv[0], "random", "us", 1e6, keys, items, runs) ||
                       line(argv[0], "find", "us", 1e6, keys, items, runs) ||
                       line(argv[0], "find-scan", "us", 1e6, plain, items, runs);
    unlink(plain);
    unlink(keys);
    return failed;
}
