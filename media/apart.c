/* SPDX-License-Identifier: MIT */
/* apart.c: a decoder in a process of its own, see apart.h. The child has one thread and only ever
 * decodes and writes; it ends with _exit, so that nothing of the caller's is flushed or undone
 * twice. */
#include "apart.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

typedef struct answer {
    tsr_status status;
    int width, height, orientation, source_bits;
    bool had_alpha;
    char detail[1024];
} answer;

/* ---- the child ---- */

/* What decoders may take beyond what the caller holds already: 64 bytes a pixel are three planes of
 * 32 bits, twice, with room. */
static void bound_memory(uint64_t max_pixels) {
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file) return;
    if (fscanf(file, "%lu", &pages) == 1 && max_pixels < (uint64_t)1 << 50) {
        uint64_t bytes = (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE) + ((uint64_t)512 << 20) +
                         max_pixels * 64;
        struct rlimit limit;
        if (getrlimit(RLIMIT_AS, &limit) == 0 && bytes < limit.rlim_max) {
            limit.rlim_cur = bytes;
            setrlimit(RLIMIT_AS, &limit);
        }
    }
    fclose(file);
}

static void be_quiet(void) {
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT, SIGSEGV};
    for (size_t i = 0; i < sizeof signals / sizeof *signals; ++i)
        signal(signals[i], SIG_DFL); /* the caller's handlers are about the caller's files */
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    int nowhere = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; ++fd)
        if (nowhere < 0 || dup2(nowhere, fd) < 0) _exit(1);
}

static void write_all(int fd, const void *from, size_t size) {
    const char *p = from;
    while (size) {
        ssize_t count = write(fd, p, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) _exit(1);
        p += count;
        size -= (size_t)count;
    }
}

static void decode_and_send(const tsr_picture_decode *d,
                            tsr_status (*decode)(const tsr_picture_decode *d), pid_t parent,
                            int fd) {
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent) _exit(1);
    be_quiet();
    bound_memory(d->settings->max_pixels);
    answer a = {.status = decode(d)};
    const tsr_image *image = d->image;
    a.width = image->width, a.height = image->height, a.orientation = image->orientation;
    a.source_bits = image->source_bits, a.had_alpha = image->had_alpha;
    if (a.status) snprintf(a.detail, sizeof a.detail, "%s", tsr_detail(d->ctx));
    write_all(fd, &a, sizeof a);
    if (!a.status) write_all(fd, image->rgb, (size_t)a.width * (size_t)a.height * 3);
    _exit(0);
}

/* ---- the caller ---- */

static bool read_all(int fd, void *to, size_t size) {
    char *p = to;
    while (size) {
        ssize_t count = read(fd, p, size);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return false;
        p += count;
        size -= (size_t)count;
    }
    return true;
}

static tsr_status receive(const tsr_picture_decode *d, int fd) {
    answer a;
    if (!read_all(fd, &a, sizeof a))
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "wanted a picture, the decoder broke off");
    if (a.status) return tsr_fail(d->ctx, a.status, "%s", a.detail);
    tsr_status status = tsr_picture_allocate(d, (uint64_t)a.width, (uint64_t)a.height);
    if (status) return status;
    if (!read_all(fd, d->image->rgb, (size_t)a.width * (size_t)a.height * 3))
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "wanted pixels, the decoder broke off");
    d->image->orientation = a.orientation;
    d->image->source_bits = a.source_bits;
    d->image->had_alpha = a.had_alpha;
    return TSR_OK;
}

/* A pipe that no program started by the caller meanwhile keeps open, which would hold back its end.
 * Where that takes two calls, one started in between does. */
static int open_pipe(int fds[2]) {
#ifdef __linux__
    return pipe2(fds, O_CLOEXEC);
#else
    const int failed = pipe(fds);
    for (int i = 0; i < 2 && !failed; ++i)
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    return failed;
#endif
}

tsr_status tsr_decode_apart(const tsr_picture_decode *d,
                            tsr_status (*decode)(const tsr_picture_decode *d)) {
    int fds[2];
    if (open_pipe(fds)) return tsr_fail_errno(d->ctx, "%s: pipe to its decoder", d->name);
    if (fds[1] < 3) { /* the child gives 0, 1 and 2 away */
        int high = fcntl(fds[1], F_DUPFD_CLOEXEC, 3);
        close(fds[1]);
        fds[1] = high;
    }
    const pid_t parent = getpid();
    pid_t child = fds[1] < 0 ? -1 : fork();
    if (child == 0) decode_and_send(d, decode, parent, fds[1]);
    tsr_status status = TSR_OK;
    if (child < 0) status = tsr_fail_errno(d->ctx, "%s: process of its decoder", d->name);
    if (fds[1] >= 0) close(fds[1]);
    if (child > 0) {
        status = receive(d, fds[0]);
        close(fds[0]); /* a child that still writes ends */
        fds[0] = -1;
        while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (fds[0] >= 0) close(fds[0]);
    return status;
}
