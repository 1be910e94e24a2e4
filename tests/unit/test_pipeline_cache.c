/* SPDX-License-Identifier: MIT */
/* Compiled pipelines in a folder: the second start compiles nothing, nothing is written when
 * nothing is new, and no file and no folder makes a device fail. The layer's cache stands for the
 * driver's, which may keep nothing; it says what it is given. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "ops/ops.h"
#include "compute/run.h"
#include "fake_layer.h"
#include "testing.h"

enum { N = 64 };

static char folder[64], file[400], said[4096];

static void new_folder(void) {
    snprintf(folder, sizeof folder, "/tmp/tessera-cache-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
}

static int count_compiled(void) {
    return fake_layer_lines("compiled ");
}

static int count_from_cache(void) {
    return fake_layer_lines("from the cache ");
}

static void on_log(void *user, tsr_log_level level, const char *text) {
    (void)user, (void)level;
    const size_t used = strlen(said);
    snprintf(said + used, sizeof said - used, "%s\n", text);
}

static void two(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const int64_t *softmax = model;
    tsr_tensor *x = tsr_scale(r, in[0], 2, 0);
    out[0] = *softmax ? tsr_softmax(r, x) : tsr_unary(r, x, TSR_ACT_GELU);
}

/* Opens a device with the folder, runs a program and closes it. */
static void start(const char *where, int64_t softmax, const char *variable) {
    tsr_context *ctx = NULL;
    tsr_context_settings c = tsr_context_settings_default();
    c.cache_folder = where;
    c.log = on_log;
    c.log_level = TSR_LOG_INFO;
    said[0] = 0;
    fake_layer((const char *[]){"FAKE_CACHE=1", variable, NULL});
    ck_assert_int_eq(tsr_context_open(&ctx, &c), TSR_OK);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    tsr_device *d = NULL;
    ck_assert_msg(tsr_device_open(ctx, &d, &s) == TSR_OK, "%s", tsr_detail(ctx));
    float x[N], y[N];
    for (int i = 0; i < N; ++i)
        x[i] = (float)(i % 7);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 2, (int64_t[]){4, N / 4}), out = in;
    out.data = y;
    tsr_program p = {.fn = two, .model = &softmax, .variant = softmax, .name = "two"};
    ck_assert_msg(tsr_execute(d, &p, &in, 1, &out, 1) == TSR_OK, "%s", tsr_detail(ctx));
    tsr_device_close(&d);
    tsr_context_close(&ctx);
    /* whatever was in the folder, nothing but what is sound reached the driver */
    ck_assert_int_eq(fake_layer_lines("foreign or damaged"), 0);
}

/* The number of files in the folder; the name of the last one in `file`. */
static int files(void) {
    DIR *dir = opendir(folder);
    struct dirent *e;
    int count = 0;
    while (dir && (e = readdir(dir)))
        if (e->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", folder, e->d_name);
            ++count;
        }
    if (dir) closedir(dir);
    return count;
}

static void expect_compiled(bool some, const char *when) {
    const int compiled = count_compiled(), from = count_from_cache();
    ck_assert_msg(some ? compiled > 0 : compiled == 0 && from > 0,
                  "%s: %d compiled, %d from the cache; said: %s", when, compiled, from, said);
}

START_TEST(the_second_start_compiles_nothing) {
    new_folder();
    start(folder, 0, NULL);
    expect_compiled(true, "first");
    ck_assert_int_eq(files(), 1);
    struct stat before, after;
    ck_assert_int_eq(stat(file, &before), 0);
    start(folder, 0, NULL);
    expect_compiled(false, "second");
    ck_assert_int_eq(stat(file, &after), 0);
    ck_assert(before.st_ino == after.st_ino); /* nothing new: not written again */
    start(folder, 1, NULL);                   /* another program: one more pipeline */
    ck_assert_int_eq(count_compiled(), 1);
    ck_assert_int_eq(files(), 1);
    start(folder, 1, NULL);
    expect_compiled(false, "fourth");
    start(folder, 0, NULL);
    expect_compiled(false, "fifth");
    start(NULL, 0, NULL); /* without a folder nothing is kept */
    expect_compiled(true, "without");
    remove_folder();
}
END_TEST

/* Changes one byte of the file, or its length. */
static void damage(long at, long length) {
    int f = open(file, O_RDWR);
    unsigned char c;
    ck_assert_int_ge(f, 0);
    if (length >= 0) ck_assert_int_eq(ftruncate(f, length), 0);
    if (at >= 0) {
        ck_assert_int_eq(pread(f, &c, 1, at), 1);
        c ^= 0x40;
        ck_assert_int_eq(pwrite(f, &c, 1, at), 1);
    }
    close(f);
}

START_TEST(a_damaged_file_is_not_used) {
    new_folder();
    start(folder, 0, NULL);
    ck_assert_int_eq(files(), 1);
    struct stat whole;
    ck_assert_int_eq(stat(file, &whole), 0);
    for (long at = 0; at < whole.st_size; ++at) { /* every byte of it */
        if (at > 40 && at % 5) continue;
        damage(at, -1);
        start(folder, 0, NULL);
        expect_compiled(true, "damaged");
        ck_assert_msg(strstr(said, "is not used: it is damaged"), "byte %ld: %s", at, said);
        start(folder, 0, NULL); /* it was written anew */
        expect_compiled(false, "mended");
    }
    for (long length = 0; length < whole.st_size; length += 1 + length / 2) {
        damage(-1, length);
        start(folder, 0, NULL);
        expect_compiled(true, "cut");
    }
    damage(-1, whole.st_size + 1000);
    start(folder, 0, NULL);
    expect_compiled(true, "longer");
    remove_folder();
}
END_TEST

START_TEST(a_foreign_file_is_not_used) {
    new_folder();
    start(folder, 0, NULL);
    ck_assert_int_eq(files(), 1);
    char own[sizeof file];
    snprintf(own, sizeof own, "%s", file);
    /* another device, maker or driver: by the name where it has it, else by what is in the file */
    static const char *const others[] = {"FAKE_UUID=9", "FAKE_DRIVER_VERSION=77",
                                         "FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x1234"};
    for (size_t i = 0; i < sizeof others / sizeof *others; ++i) {
        start(folder, 0, others[i]);
        expect_compiled(true, others[i]);
        start(folder, 0, others[i]);
        expect_compiled(false, others[i]);
    }
    /* a file of another device under this one's name */
    remove_folder();
    new_folder();
    start(folder, 0, "FAKE_UUID=9");
    ck_assert_int_eq(files(), 1);
    snprintf(own, sizeof own, "%s/%s", folder, strrchr(own, '/') + 1);
    ck_assert_int_eq(rename(file, own), 0);
    start(folder, 0, NULL);
    expect_compiled(true, "renamed");
    ck_assert_msg(strstr(said, "of another device or driver"), "%s", said);
    remove_folder();
}
END_TEST

/* What no start could use is not kept. */
START_TEST(a_driver_that_gives_less_than_it_said) {
    new_folder();
    start(folder, 0, "FAKE_CACHE=2");
    ck_assert_int_eq(files(), 0);
    ck_assert_ptr_nonnull(strstr(said, "the driver gives no cache of its own"));
    remove_folder();
}
END_TEST

START_TEST(a_folder_that_cannot_be_written) {
    new_folder();
    char under[128], deep[128];
    /* a file where the folder should be; the one above it is a file */
    snprintf(under, sizeof under, "%s/file", folder);
    int f = open(under, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_ge(f, 0);
    close(f);
    start(under, 0, NULL);
    expect_compiled(true, "a file as the folder");
    ck_assert_msg(strstr(said, "not written to"), "%s", said);
    /* folders that are not there are made */
    snprintf(deep, sizeof deep, "%s/a/b", folder);
    start(deep, 0, NULL);
    start(deep, 0, NULL);
    expect_compiled(false, "a new folder");
    /* a pipe under the file's name is not waited for */
    unlink(under);
    DIR *dir = opendir(deep);
    struct dirent *e;
    char name[400] = "";
    while ((e = readdir(dir)))
        if (e->d_name[0] != '.') snprintf(name, sizeof name, "%s/%s", deep, e->d_name);
    closedir(dir);
    unlink(name);
    ck_assert_int_eq(mkfifo(name, 0600), 0);
    start(deep, 0, NULL);
    expect_compiled(true, "a pipe");
    unlink(name);
    if (getuid() == 0) {
        leave_out("a folder that this user may not write: root may write all");
    } else {
        ck_assert_int_eq(chmod(deep, 0500), 0);
        start(deep, 0, NULL);
        expect_compiled(true, "read-only");
        ck_assert_msg(strstr(said, "not written to"), "%s", said);
        chmod(deep, 0700);
    }
    /* nowhere to write: not even root may make a file there */
    if (access("/proc/self", F_OK)) {
        leave_out("a folder that nobody may write: no /proc is mounted here");
    } else {
        start("/proc/tessera-cache", 0, NULL);
        expect_compiled(true, "/proc");
        ck_assert_msg(strstr(said, "not written to"), "%s", said);
    }
    remove_folder();
}
END_TEST

START_TEST(processes_at_once) {
    new_folder();
    pid_t children[4];
    for (int i = 0; i < 4; ++i) {
        children[i] = fork();
        ck_assert_int_ge(children[i], 0);
        if (!children[i]) {
            for (int k = 0; k < 5; ++k)
                start(folder, (i + k) % 2, NULL);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; ++i) {
        int status;
        ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
        ck_assert_int_eq(status, 0);
    }
    ck_assert_int_eq(files(), 1); /* whole, and nothing unfinished beside it */
    start(folder, 0, NULL);
    ck_assert_msg(strstr(said, "compiled pipelines from"), "%s", said);
    remove_folder();
}
END_TEST

TEST_PARTS("pipeline cache",
           PART(own, need_fake_layer, the_second_start_compiles_nothing, a_damaged_file_is_not_used,
                a_foreign_file_is_not_used, a_driver_that_gives_less_than_it_said,
                a_folder_that_cannot_be_written, processes_at_once))
