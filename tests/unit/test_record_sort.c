/* SPDX-License-Identifier: MIT */
/* Spools and sorting in pieces: as many records as make three passes, against qsort; what a spool
 * holds in memory and in its file; that nothing of it is left behind. */
#include "testing.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "formats/record_sort.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-record-sort-XXXXXX";
static char output[64];

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    strcpy(folder + sizeof folder - 7, "XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(output, sizeof output, "%s/out", folder);
}

static void teardown(void) {
    ck_assert_int_eq(rmdir(folder), 0); /* only an empty folder can be removed */
    tsr_context_close(&ctx);
}

typedef struct seen {
    const tsr_record *want;
    size_t count, stop;
} seen;

static tsr_status see(void *user, const tsr_record *record) {
    seen *s = user;
    if (s->count == s->stop) return TSR_ERROR_INTERRUPTED;
    ck_assert_msg(record->first == s->want[s->count].first &&
                      record->second == s->want[s->count].second,
                  "record %zu", s->count);
    s->count++;
    return TSR_OK;
}

static int by_both(const void *a, const void *b) {
    const tsr_record *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->second < y->second ? -1 : x->second > y->second;
}

static void sort_of(size_t count, size_t piece, size_t most, bool in_memory) {
    tsr_record *want = malloc((count + 1) * sizeof *want);
    ck_assert_ptr_nonnull(want);
    tsr_record_sort sort = {
        .spool = {.ctx = ctx, .beside = output, .in_memory = in_memory, .most = most},
        .piece = piece};
    for (size_t i = 0; i < count; ++i) {
        want[i] = (tsr_record){random_bits() % (count / 2 + 1), i}; /* many are equal */
        ck_assert_int_eq(tsr_record_sort_add(&sort, want[i].first, want[i].second), TSR_OK);
    }
    qsort(want, count, sizeof *want, by_both);
    for (int walk = 0; walk < 2; ++walk) {
        seen s = {.want = want, .stop = count};
        ck_assert_int_eq(tsr_record_sort_walk(&sort, see, &s), TSR_OK);
        ck_assert_uint_eq(s.count, count);
    }
    if (count) {
        seen s = {.want = want, .stop = count / 2};
        ck_assert_int_eq(tsr_record_sort_walk(&sort, see, &s), TSR_ERROR_INTERRUPTED);
    }
    tsr_record_sort_free(&sort);
    free(want);
}

START_TEST(records_are_sorted) {
    sort_of(0, 8, 0, false);
    sort_of(1, 8, 0, false);
    sort_of(8, 8, 64, false);
    sort_of(9, 8, 64, false);
    sort_of(8 * 32, 8, 64, false);           /* one pass of 32 runs */
    sort_of(8 * 32 + 1, 8, 64, false);       /* two */
    sort_of(8 * 32 * 32 + 77, 8, 64, false); /* three */
    sort_of(8 * 32 * 32 + 77, 8, 64, true);
    sort_of(70000, 0, 0, false); /* the sizes that files are written with */
    for (int i = 0; i < 50; ++i)
        sort_of((size_t)random_below(3000), 1 + (size_t)random_below(40),
                1 + (size_t)random_below(500), random_below(2));
}
END_TEST

START_TEST(spools_keep_little_in_memory) {
    enum { BYTES = 100000, MOST = 1000 };
    uint8_t *want = malloc(BYTES), got[3000];
    tsr_spool spool = {.ctx = ctx, .beside = output, .most = MOST};
    ck_assert_ptr_nonnull(want);
    for (size_t i = 0; i < BYTES; ++i)
        want[i] = (uint8_t)random_bits();
    for (size_t at = 0, n; at < BYTES; at += n) {
        n = (size_t)random_below(300);
        if (n > BYTES - at) n = BYTES - at;
        ck_assert_int_eq(tsr_spool_put(&spool, want + at, n), TSR_OK);
        ck_assert_uint_le(spool.used, MOST);
    }
    ck_assert_uint_eq(spool.size, BYTES);
    ck_assert(spool.filed);
    for (int i = 0; i < 1000; ++i) {
        const size_t n = (size_t)random_below(sizeof got);
        const size_t at = i ? (size_t)random_below((int64_t)(BYTES - n)) : BYTES - n;
        ck_assert_int_eq(tsr_spool_read(&spool, at, got, n), TSR_OK);
        ck_assert_mem_eq(got, want + at, n);
    }
    tsr_spool_clear(&spool);
    ck_assert_uint_eq(spool.size, 0);
    free(want);
}
END_TEST

START_TEST(spools_without_a_place) {
    uint8_t bytes[4000] = {1};
    tsr_spool nowhere = {.ctx = ctx, .beside = "/no/such/folder/out", .most = 100};
    ck_assert_int_eq(tsr_spool_put(&nowhere, bytes, 60), TSR_OK);
    ck_assert_int_eq(tsr_spool_put(&nowhere, bytes, 60), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "/no/such/folder/out: create a temporary file"));
    tsr_spool_clear(&nowhere);
    tsr_spool memory = {.ctx = ctx, .in_memory = true, .most = 100};
    for (int i = 0; i < 10; ++i)
        ck_assert_int_eq(tsr_spool_put(&memory, bytes, sizeof bytes), TSR_OK);
    ck_assert(!memory.filed && memory.used == 10 * sizeof bytes);
    tsr_spool_clear(&memory);
    tsr_spool pipe = {.ctx = ctx, .most = 100};
    for (int i = 0; i < 10; ++i)
        ck_assert_int_eq(tsr_spool_put(&pipe, bytes, sizeof bytes), TSR_OK);
    ck_assert_uint_eq(pipe.size, 10 * sizeof bytes);
    tsr_spool_clear(&pipe);
}
END_TEST

/* A full disk. In a child, since the limit cannot be raised again. */
START_TEST(a_full_disk_is_an_error) {
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        const struct rlimit limit = {4096, 4096};
        tsr_spool spool = {.ctx = ctx, .beside = output, .most = 100};
        uint8_t bytes[90] = {1};
        tsr_status status = TSR_OK;
        signal(SIGXFSZ, SIG_IGN);
        if (setrlimit(RLIMIT_FSIZE, &limit)) _exit(9);
        for (int i = 0; i < 100 && !status; ++i)
            status = tsr_spool_put(&spool, bytes, sizeof bytes);
        if (status != TSR_ERROR_IO || !strstr(tsr_detail(ctx), "write to its temporary file"))
            _exit(8);
        tsr_spool_clear(&spool);
        _exit(0);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "child: %x", (unsigned)status);
}
END_TEST

int main(void) {
    test_seed();
    Suite *suite = suite_create("record sort");
    TCase *tc = tcase_create("sort");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, records_are_sorted);
    tcase_add_test(tc, spools_keep_little_in_memory);
    tcase_add_test(tc, spools_without_a_place);
    tcase_add_test(tc, a_full_disk_is_an_error);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
