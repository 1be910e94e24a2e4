/* SPDX-License-Identifier: MIT */
/* test_limits.c: what a process may use: control groups of both versions in made-up trees, and the
 * limits of this process as the kernel sets them. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compute/limits.h"
#include "compute/threads.h"
#include "testing.h"

static char tree[64];

static void plant(void) {
    snprintf(tree, sizeof tree, "/tmp/tessera-limits-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(tree));
}

static void fell(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -rf '%s'", tree);
    ck_assert_int_eq(system(command), 0);
}

/* Writes a file of the tree, and the folders above it. */
static void put(const char *path, const char *text) {
    char full[9000];
    const int length = snprintf(full, sizeof full, "%s%s", tree, path);
    for (int i = (int)strlen(tree) + 1; i < length; ++i)
        if (full[i] == '/') {
            full[i] = 0;
            mkdir(full, 0700);
            full[i] = '/';
        }
    FILE *f = fopen(full, "w");
    ck_assert_msg(f != NULL, "%s", full);
    fputs(text, f);
    ck_assert_int_eq(fclose(f), 0);
}

static void expect(const char *what, double processors, uint64_t memory) {
    tsr_cgroup_limits got = tsr_cgroup_limits_read(tree);
    ck_assert_msg(got.processors == processors && got.memory == memory,
                  "%s: wanted %g processors and %llu bytes, got %g and %llu", what, processors,
                  (unsigned long long)memory, got.processors, (unsigned long long)got.memory);
}

#define MOUNT_2                                                                                    \
    "22 1 0:20 / /proc rw - proc proc rw\n"                                                        \
    "30 1 0:27 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"

START_TEST(version_2) {
    plant();
    expect("no tree", 0, UINT64_MAX);
    put("/proc/self/cgroup", "0::/work.slice/job\n");
    expect("no mounts", 0, UINT64_MAX);
    put("/proc/self/mountinfo", MOUNT_2);
    expect("no files", 0, UINT64_MAX);
    put("/sys/fs/cgroup/work.slice/job/memory.max", "max\n");
    put("/sys/fs/cgroup/work.slice/job/cpu.max", "max 100000\n");
    expect("nothing is limited", 0, UINT64_MAX);
    put("/sys/fs/cgroup/work.slice/job/memory.max", "536870912\n");
    put("/sys/fs/cgroup/work.slice/job/cpu.max", "150000 100000\n");
    expect("the group's own", 1.5, 536870912);
    put("/sys/fs/cgroup/work.slice/memory.max", "1000000\n");
    put("/sys/fs/cgroup/work.slice/cpu.max", "800000 100000\n");
    expect("the memory of the group above is less", 1.5, 1000000);
    put("/sys/fs/cgroup/cpu.max", "50000 100000\n");
    expect("the quota at the top is less", 0.5, 1000000);
    put("/sys/fs/cgroup/work.slice/job/memory.high", "65536\n");
    expect("the mark where reclaim begins", 0.5, 65536);
    put("/sys/fs/cgroup/work.slice/job/memory.high", "garbage\n");
    put("/sys/fs/cgroup/cpu.max", "0 0\n");
    expect("values that mean nothing", 1.5, 1000000);
    fell();
}
END_TEST

START_TEST(version_1) {
    plant();
    put("/proc/self/cgroup", "12:pids:/a\n4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n"
                             "1:name=systemd:/x\n0::/x\n");
    put("/proc/self/mountinfo",
        "41 32 0:36 / /sys/fs/cgroup/cpu,cpuacct rw shared:20 master:3 - cgroup cgroup "
        "rw,cpu,cpuacct\n"
        "42 32 0:37 / /sys/fs/cgroup/memory rw shared:21 - cgroup cgroup rw,memory\n"
        "43 32 0:38 / /sys/fs/cgroup/cpuset rw shared:22 - cgroup cgroup rw,cpuset\n"
        "44 32 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "9223372036854771712\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us", "100000\n");
    expect("no quota, and the kernel's number for no limit", 0, 9223372036854771712u);
    put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "268435456\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us", "250000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us", "100000\n");
    expect("those of the group above", 2.5, 268435456);
    fell();
}
END_TEST

/* In a container without a namespace of its own the path is that of the machine, and the mount
 * shows the container's group alone. */
START_TEST(mounts_of_a_part) {
    plant();
    put("/proc/self/cgroup", "0::/docker/abc/inner\n");
    put("/proc/self/mountinfo",
        "30 1 0:27 /docker/abc /sys/fs/c\\040group rw - cgroup2 cgroup rw\n");
    put("/sys/fs/c group/inner/memory.max", "2000000\n");
    put("/sys/fs/c group/memory.max", "3000000\n");
    expect("below the mounted group", 0, 2000000);
    put("/proc/self/cgroup", "0::/docker/abc\n");
    expect("the mounted group itself", 0, 3000000);
    put("/proc/self/cgroup", "0::/docker/abcdef/inner\n");
    expect("a name that only begins alike", 0, 3000000);
    put("/proc/self/cgroup", "0::/../../elsewhere\n");
    expect("outside the namespace", 0, 3000000);
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", "30 1 0:27 / /sys/fs/c\\040group rw - cgroup2 cgroup rw\n");
    expect("a namespace of its own", 0, 3000000);
    fell();
}
END_TEST

/* Whatever stands there: no crash, and no limit out of nothing. */
START_TEST(broken_files) {
    static const char *const cgroups[] = {
        "", "\n", "0", "0:", "0::", "0::x", ":::", "0:\n::\n", "0::/a\\"};
    static const char *const mounts[] = {"",
                                         "\n",
                                         " - ",
                                         "x - cgroup2 y z",
                                         "1 2 3 / - cgroup2 c rw",
                                         "1 2 3 / /sys\\04",
                                         "- - cgroup2",
                                         "1 2 3 \\777 \\7 - cgroup2 a b"};
    plant();
    for (size_t c = 0; c < sizeof cgroups / sizeof *cgroups; ++c)
        for (size_t m = 0; m < sizeof mounts / sizeof *mounts; ++m) {
            put("/proc/self/cgroup", cgroups[c]);
            put("/proc/self/mountinfo", mounts[m]);
            expect("a broken tree", 0, UINT64_MAX);
        }
    char longest[5000] = "0::/";
    memset(longest + 4, 'a', sizeof longest - 5);
    longest[sizeof longest - 1] = 0;
    put("/proc/self/cgroup", longest);
    put("/proc/self/mountinfo", MOUNT_2);
    expect("a path that is too long", 0, UINT64_MAX);
    fell();
}
END_TEST

static tsr_context *open_default(void) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    return ctx;
}

/* A test is a process of its own, so what it does to itself stays with it. */
START_TEST(affinity_counts) {
    cpu_set_t all, one;
    ck_assert_int_eq(sched_getaffinity(0, sizeof all, &all), 0);
    tsr_context *ctx = open_default();
    ck_assert_int_ge(tsr_thread_count(ctx), 1);
    ck_assert_int_le(tsr_thread_count(ctx), CPU_COUNT(&all));
    tsr_context_close(&ctx);
    int first = 0;
    while (!CPU_ISSET(first, &all))
        ++first;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof one, &one), 0);
    ctx = open_default();
    ck_assert_int_eq(tsr_thread_count(ctx), 1);
    tsr_context_close(&ctx);
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = 3; /* who asks for more gets them */
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    ck_assert_int_eq(tsr_thread_count(ctx), 3);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(address_space_counts) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    leave_out("a sanitizer maps terabytes: no limit of the address space");
#else
    const uint64_t before = tsr_limits_memory();
    struct rlimit space = {.rlim_cur = (rlim_t)1 << 30, .rlim_max = (rlim_t)1 << 30};
    ck_assert_int_eq(setrlimit(RLIMIT_AS, &space), 0);
    const uint64_t now = tsr_limits_memory();
    ck_assert_uint_lt(now, (uint64_t)1 << 30); /* the program itself takes some */
    ck_assert_uint_le(now, before);
    tsr_context *ctx = open_default();
    ck_assert_uint_lt(ctx->settings.memory_limit, ((uint64_t)1 << 30) / 4 * 3);
    ck_assert_uint_ge(ctx->settings.memory_limit, 1 << 20);
    tsr_context_close(&ctx);
#endif
}
END_TEST

TEST_MAIN("limits", version_2, version_1, mounts_of_a_part, broken_files, affinity_counts,
          address_space_counts)
