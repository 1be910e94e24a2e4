/* SPDX-License-Identifier: MIT */
/* test_file.c: inputs of every kind, and outputs that appear whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <dirent.h>
#include <unistd.h>

#include "formats/file.h"
#include "testing.h"

static char folder[64];
static tsr_context *ctx;

static void setup(void) {
    strcpy(folder, "/tmp/tessera-file-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static void teardown(void) {
    tsr_context_close(&ctx);
    char command[512];
    snprintf(command, sizeof command, "chmod -R u+w '%s'; rm -rf '%s'", folder, folder);
    ck_assert_int_eq(system(command), 0);
}

static void put(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static void expect_text(const char *path, const char *text) {
    tsr_map map;
    ck_assert_int_eq(tsr_map_open(ctx, path, &map), TSR_OK);
    ck_assert_uint_eq(map.size, strlen(text));
    ck_assert_mem_eq(map.bytes, text, map.size);
    tsr_map_close(&map);
}

/* How many names the folder holds. */
static int names(void) {
    DIR *d = opendir(".");
    int n = 0;
    while (readdir(d))
        ++n;
    closedir(d);
    return n - 2;
}

START_TEST(reads_small_large_and_empty) {
    size_t sizes[] = {0, 1, 4095, 65536, 65537, (1 << 20) - 1, 1 << 20, (3 << 20) + 17};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        uint8_t *bytes = malloc(sizes[i] + 1);
        for (size_t k = 0; k < sizes[i]; ++k)
            bytes[k] = (uint8_t)(k * 7 >> 3);
        put("in", bytes, sizes[i]);
        tsr_map map;
        ck_assert_int_eq(tsr_map_open(ctx, "in", &map), TSR_OK);
        ck_assert_uint_eq(map.size, sizes[i]);
        ck_assert_int_eq(map.mapped, sizes[i] >= 1 << 20);
        if (map.size) ck_assert_mem_eq(map.bytes, bytes, map.size);
        tsr_map_close(&map);
        tsr_map_close(&map);
        free(bytes);
    }
}
END_TEST

START_TEST(refuses_by_name) {
    tsr_map map;
    ck_assert_int_eq(tsr_map_open(ctx, "absent", &map), TSR_ERROR_NOT_FOUND);
    ck_assert_str_eq(tsr_detail(ctx), "absent: open: No such file or directory");
    ck_assert_int_eq(tsr_map_open(ctx, folder, &map), TSR_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "wanted a file, got a directory"));
    ck_assert_ptr_null(map.bytes);
}
END_TEST

START_TEST(unreadable) {
    put("in", "x", 1);
    chmod("in", 0);
    tsr_map map;
    if (geteuid() == 0) ck_assert_int_eq(seteuid(65534), 0); /* root reads everything */
    tsr_status status = tsr_map_open(ctx, "in", &map);
    if (getuid() == 0) ck_assert_int_eq(seteuid(0), 0);
    ck_assert_int_eq(status, TSR_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "Permission denied"));
}
END_TEST

/* A pipe whose writer comes in drops, while signals interrupt the reader. */
static void nothing(int signal) {
    (void)signal;
}
START_TEST(pipe_in_drops) {
    struct sigaction action = {.sa_handler = nothing}; /* no SA_RESTART: read returns EINTR */
    sigaction(SIGUSR1, &action, NULL);
    ck_assert_int_eq(mkfifo("pipe", 0600), 0);
    pid_t reader = getpid(), writer = fork();
    if (writer == 0) {
        int fd = open("pipe", O_WRONLY);
        char drop[1000];
        for (int i = 0; i < 100; ++i) {
            memset(drop, i, sizeof drop);
            if (write(fd, drop, sizeof drop) != sizeof drop) _exit(1);
            if (i % 10 == 0) {
                usleep(2000);
                kill(reader, SIGUSR1);
                usleep(2000);
            }
        }
        _exit(0);
    }
    tsr_map map;
    ck_assert_int_eq(tsr_map_open(ctx, "pipe", &map), TSR_OK);
    ck_assert_uint_eq(map.size, 100000);
    for (size_t i = 0; i < map.size; ++i)
        ck_assert_int_eq(map.bytes[i], i / 1000);
    tsr_map_close(&map);
    int status;
    ck_assert_int_eq(waitpid(writer, &status, 0), writer);
    ck_assert_int_eq(status, 0);
}
END_TEST

START_TEST(endless_input_is_refused) {
    tsr_context *small = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.memory_limit = 3000000;
    ck_assert_int_eq(tsr_context_open(&small, &settings), TSR_OK);
    tsr_map map;
    ck_assert_int_eq(tsr_map_open(small, "/dev/zero", &map), TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(small), "/dev/zero: wanted at most 3000000 bytes"));
    tsr_context_close(&small);
}
END_TEST

START_TEST(appears_when_complete) {
    put("out", "old", 3);
    chmod("out", 0640);
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "new ", 4), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "text", 4), TSR_OK);
    ck_assert_uint_eq(out.written, 8);
    expect_text("out", "old");
    ck_assert_int_eq(names(), 2);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    tsr_out_abandon(&out);
    expect_text("out", "new text");
    ck_assert_int_eq(names(), 1);
    struct stat st;
    stat("out", &st);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(new_file_follows_the_umask) {
    umask(027);
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    struct stat st;
    stat("out", &st);
    ck_assert_int_eq(st.st_mode & 0777, 0640);
    expect_text("out", "");
}
END_TEST

START_TEST(abandoned_leaves_the_old) {
    put("out", "old", 3);
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "half", 4), TSR_OK);
    tsr_out_abandon(&out);
    tsr_out_abandon(&out);
    expect_text("out", "old");
    ck_assert_int_eq(names(), 1);
}
END_TEST

START_TEST(killed_leaves_the_old) {
    put("out", "old", 3);
    pid_t child = fork();
    if (child == 0) {
        tsr_out out;
        if (tsr_out_open(ctx, "out", &out) || tsr_out_write(ctx, &out, "half", 4)) _exit(1);
        raise(SIGKILL);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFSIGNALED(status));
    expect_text("out", "old");
}
END_TEST

/* What a full disk does, by way of the limit on file sizes: a short write, then an error. */
START_TEST(failing_write_leaves_the_old) {
    put("out", "old", 3);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit limit = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &limit);
    tsr_out out;
    static const char block[1500];
    ck_assert_int_eq(tsr_out_open(ctx, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, block, sizeof block), TSR_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "out: write at byte 1000: File too large"));
    tsr_out_abandon(&out);
    expect_text("out", "old");
    ck_assert_int_eq(names(), 1);
}
END_TEST

START_TEST(full_device) {
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "/dev/full", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "x", 1), TSR_ERROR_NO_SPACE);
    ck_assert_str_eq(tsr_detail(ctx), "/dev/full: write at byte 0: No space left on device");
    tsr_out_abandon(&out);
    struct stat st;
    ck_assert_int_eq(stat("/dev/full", &st), 0);
    ck_assert(S_ISCHR(st.st_mode));
    ck_assert_int_eq(tsr_out_open(ctx, "/dev/null", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "x", 1), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
}
END_TEST

/* A context that keeps what exists. */
static tsr_context *keeping(void) {
    tsr_context *keep = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.keep_existing = 1;
    ck_assert_int_eq(tsr_context_open(&keep, &settings), TSR_OK);
    return keep;
}

START_TEST(what_exists_is_kept) {
    tsr_context *keep = keeping();
    tsr_out out;
    put("out", "old", 3);
    ck_assert_int_eq(tsr_out_open(keep, "out", &out), TSR_ERROR_EXISTS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(keep), "out: wanted a new name"));
    ck_assert_int_eq(tsr_out_check(keep, "out"), TSR_ERROR_EXISTS);
    ck_assert_int_eq(tsr_out_check(ctx, "out"), TSR_OK);
    ck_assert_int_eq(tsr_out_check(keep, "new"), TSR_OK);
    ck_assert_int_eq(tsr_out_check(keep, "-"), TSR_OK);
    ck_assert_int_eq(tsr_out_check(keep, "/dev/null"), TSR_OK);
    ck_assert_int_eq(symlink("nowhere", "dangling"), 0);
    ck_assert_int_eq(tsr_out_open(keep, "dangling", &out), TSR_ERROR_EXISTS);
    ck_assert_int_eq(tsr_out_open(keep, "/dev/null", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(keep, &out), TSR_OK);
    ck_assert_int_eq(tsr_out_open(keep, "new", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(keep, &out, "whole", 5), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(keep, &out), TSR_OK);
    expect_text("new", "whole");
    expect_text("out", "old");
    ck_assert_int_eq(names(), 3);
    tsr_context_close(&keep);
}
END_TEST

START_TEST(what_appears_meanwhile_is_kept) {
    tsr_context *keep = keeping();
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(keep, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(keep, &out, "mine", 4), TSR_OK);
    put("out", "theirs", 6);
    ck_assert_int_eq(tsr_out_commit(keep, &out), TSR_ERROR_EXISTS);
    ck_assert_ptr_nonnull(strstr(tsr_detail(keep), "appeared meanwhile"));
    expect_text("out", "theirs");
    ck_assert_int_eq(names(), 1);
    /* and without the setting the later one wins */
    ck_assert_int_eq(tsr_out_open(ctx, "out", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "mine", 4), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    expect_text("out", "mine");
    tsr_context_close(&keep);
}
END_TEST

START_TEST(another_name) {
    tsr_context *keep = keeping();
    static const char *const wanted[] = {"a.partial.tess", "a.partial-2.tess", "a.partial-3.tess"};
    const char *name = NULL;
    tsr_out out;
    for (int i = 0; i < 3; ++i) {
        ck_assert_int_eq(tsr_out_open(keep, "a.tess", &out), TSR_OK);
        ck_assert_int_eq(tsr_out_write(keep, &out, "part", 4), TSR_OK);
        ck_assert_int_eq(tsr_out_rename(keep, &out, ".partial", ".tess", &name), TSR_OK);
        ck_assert_str_eq(name, wanted[i]);
        ck_assert_int_eq(tsr_out_commit(keep, &out), TSR_OK);
        expect_text(wanted[i], "part");
    }
    ck_assert_int_eq(tsr_out_open(ctx, "b", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_rename(ctx, &out, ".partial", ".tess", &name), TSR_OK);
    ck_assert_str_eq(name, "b.partial.tess");
    tsr_out_abandon(&out);
    ck_assert_int_eq(names(), 3);
    ck_assert_int_eq(tsr_out_open(ctx, "/dev/null", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_rename(ctx, &out, ".partial", ".tess", &name), TSR_ERROR_STATE);
    tsr_out_abandon(&out);
    tsr_context_close(&keep);
}
END_TEST

START_TEST(descriptors_by_name) {
    tsr_out out;
    char name[64];
    int ends[2];
    char got[16] = "";
    ck_assert_int_eq(pipe(ends), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    ck_assert_int_eq(tsr_out_open(ctx, name, &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "piped", 5), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    ck_assert_int_eq((int)read(ends[0], got, sizeof got), 5);
    ck_assert_str_eq(got, "piped");
    /* a file goes on where it was */
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq((int)write(fd, "head", 4), 4);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ck_assert_int_eq(tsr_out_open(ctx, name, &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "tail", 4), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    close(fd);
    expect_text("file", "headtail");
    ck_assert_int_eq(tsr_out_open(ctx, "/dev/fd/999", &out), TSR_ERROR_IO);
    close(ends[0]);
    close(ends[1]);
}
END_TEST

START_TEST(refused_outputs) {
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "absent/out", &out), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "absent/out"));
    ck_assert_int_eq(tsr_out_open(ctx, folder, &out), TSR_ERROR_IO);
    ck_assert_int_eq(tsr_out_open(ctx, "name/", &out), TSR_ERROR_IO);
    ck_assert_int_eq(tsr_out_open(ctx, "", &out), TSR_ERROR_ARGUMENT);
    put("locked", "old", 3);
    chmod("locked", 0444);
    mkdir("closed", 0555);
    if (geteuid() == 0) {
        chown(folder, 65534, 65534);
        chown("locked", 65534, 65534);
        chown("closed", 65534, 65534);
        ck_assert_int_eq(setresuid(65534, 65534, 0), 0);
    }
    tsr_status locked = tsr_out_open(ctx, "locked", &out);
    tsr_out_abandon(&out);
    tsr_status closed = tsr_out_open(ctx, "closed/out", &out);
    tsr_out_abandon(&out);
    if (geteuid() == 65534) ck_assert_int_eq(setresuid(0, 0, 0), 0);
    ck_assert_int_eq(locked, TSR_ERROR_IO);
    ck_assert_int_eq(closed, TSR_ERROR_IO);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "closed/out"));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "Permission denied"));
    expect_text("locked", "old");
}
END_TEST

START_TEST(links_are_followed) {
    put("real", "old", 3);
    ck_assert_int_eq(symlink("real", "link"), 0);
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, "link", &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "new", 3), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    expect_text("real", "new");
    struct stat st;
    lstat("link", &st);
    ck_assert(S_ISLNK(st.st_mode));
    ck_assert(tsr_file_same("link", "real"));
    ck_assert(tsr_file_same("./real", "real"));
    put("other", "new", 3);
    ck_assert(!tsr_file_same("other", "real"));
    ck_assert(!tsr_file_same("absent", "absent"));
}
END_TEST

START_TEST(longest_name) {
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    tsr_out out;
    ck_assert_int_eq(tsr_out_open(ctx, name, &out), TSR_OK);
    ck_assert_int_eq(tsr_out_write(ctx, &out, "x", 1), TSR_OK);
    ck_assert_int_eq(tsr_out_commit(ctx, &out), TSR_OK);
    expect_text(name, "x");
}
END_TEST

/* Standard input and output through a child whose ends are pipes. */
START_TEST(standard_streams) {
    int to[2], from[2];
    ck_assert_int_eq(pipe(to) | pipe(from), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        tsr_map map;
        tsr_out out;
        if (tsr_map_open(ctx, "-", &map) || tsr_out_open(ctx, "-", &out) ||
            tsr_out_write(ctx, &out, map.bytes, map.size) || tsr_out_commit(ctx, &out))
            _exit(1);
        _exit(fcntl(1, F_GETFD) < 0); /* still open */
    }
    close(to[0]);
    close(from[1]);
    ck_assert_int_eq(write(to[1], "through", 7), 7);
    close(to[1]);
    char got[16];
    ck_assert_int_eq(read(from[0], got, sizeof got), 7);
    ck_assert_mem_eq(got, "through", 7);
    int status;
    waitpid(child, &status, 0);
    ck_assert_int_eq(status, 0);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("file");
    TCase *tc = tcase_create("file");
    tcase_add_checked_fixture(tc, setup, teardown);
    const TTest *const tests[] = {
        reads_small_large_and_empty,
        refuses_by_name,
        unreadable,
        pipe_in_drops,
        endless_input_is_refused,
        appears_when_complete,
        new_file_follows_the_umask,
        abandoned_leaves_the_old,
        killed_leaves_the_old,
        failing_write_leaves_the_old,
        full_device,
        what_exists_is_kept,
        what_appears_meanwhile_is_kept,
        another_name,
        descriptors_by_name,
        refused_outputs,
        links_are_followed,
        longest_name,
        standard_streams,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i)
        tcase_add_test(tc, tests[i]);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
