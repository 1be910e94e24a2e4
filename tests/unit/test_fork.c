/* SPDX-License-Identifier: MIT */
/* fork(): what a child can do with its parent's contexts, models and devices, as Python's
 * multiprocessing makes it. Each child has a deadline: the fault is one that waits for ever. */
#include <tessera/tessera.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "compute/threads.h"
#include "needs.h"
#include "open_device.h"
#include "ops/ops.h"
#include "testing.h"

/* ThreadSanitizer keeps the parent's threads in its books and ends a child that starts one at the
 * same address: there the children that need threads are left out. */
#if defined(__SANITIZE_THREAD__)
enum { CHILD_MAY_START_THREADS = 0 };
#else
enum { CHILD_MAY_START_THREADS = 1 };
#endif

enum { DEADLINE = 100 }; /* seconds; a child needs less than one, and ten under a sanitizer */

/* Ends the child, without the parent's handlers of exit, and says why on a failure. */
#define CHILD_WANTS(condition)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            dprintf(2, "child: line %d: wanted %s\n", __LINE__, #condition);                       \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void close_unused(void *arg);
static void encode_the_same(void *arg);

/* Runs body(arg) in a child, which must end well before the deadline. */
static void in_child(const char *what, void (*body)(void *), void *arg) {
    if (!CHILD_MAY_START_THREADS && body != close_unused && body != encode_the_same) {
        leave_out("under ThreadSanitizer a child starts no threads");
        return;
    }
    fflush(NULL);
    const pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        body(arg);
        _exit(0);
    }
    int status = 0;
    for (int waited = 0;; ++waited) {
        const pid_t ended = waitpid(child, &status, WNOHANG);
        if (ended == child) break;
        ck_assert(ended == 0 || errno == EINTR);
        if (waited == DEADLINE * 100) {
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            ck_abort_msg("%s: wanted an end within %d s, got none", what, DEADLINE);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s: wanted exit 0, got %s %d",
                  what, WIFEXITED(status) ? "exit" : "signal",
                  WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
}

/* ---- the pool ---- */

typedef struct meeting {
    atomic_int arrived[2];
} meeting;

/* Two threads have to be in it at once: a pool without helpers would not end, so it gives up. */
static void meet(void *arg, int64_t tile, int worker) {
    meeting *m = arg;
    (void)worker;
    atomic_store(&m->arrived[tile], 1);
    for (int i = 0; i < 20000 && !atomic_load(&m->arrived[!tile]); ++i)
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    atomic_store(&m->arrived[tile], atomic_load(&m->arrived[!tile]) ? 2 : 1);
}

static bool two_threads_work(tsr_context *ctx) {
    meeting m = {0};
    tsr_parallel(ctx, 2, meet, &m);
    return atomic_load(&m.arrived[0]) == 2 && atomic_load(&m.arrived[1]) == 2;
}

static tsr_context *open_context(int threads) {
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = threads;
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

static void use_twice_and_close(void *arg) {
    tsr_context *ctx = arg;
    CHILD_WANTS(two_threads_work(ctx));
    CHILD_WANTS(two_threads_work(ctx));
    tsr_context_close(&ctx);
    CHILD_WANTS(ctx == NULL);
}

static void close_unused(void *arg) {
    tsr_context *ctx = arg;
    tsr_context_close(&ctx);
    CHILD_WANTS(ctx == NULL);
}

static void use_in_a_grandchild(void *arg) {
    CHILD_WANTS(two_threads_work(arg));
    in_child("a grandchild", use_twice_and_close, arg);
    use_twice_and_close(arg);
}

START_TEST(the_pool_works_in_the_child) {
    tsr_context *ctx = open_context(3);
    in_child("a pool that was never started", use_twice_and_close, ctx);
    ck_assert(two_threads_work(ctx));
    for (int i = 0; i < 5; ++i) { /* at once after a job: the helpers still look out for the next */
        ck_assert(two_threads_work(ctx));
        in_child("a pool that was just used", use_twice_and_close, ctx);
    }
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL); /* now they sleep */
    in_child("a pool that sleeps", use_twice_and_close, ctx);
    in_child("closing alone", close_unused, ctx);
    in_child("two generations", use_in_a_grandchild, ctx);
    ck_assert(two_threads_work(ctx));
    tsr_context_close(&ctx);
}
END_TEST

typedef struct busy_pool {
    tsr_context *ctx;
    atomic_int stop;
} busy_pool;

static void short_tile(void *arg, int64_t tile, int worker) {
    (void)worker;
    for (volatile int i = 0; i < 200; ++i) {
    }
    atomic_fetch_add((atomic_int *)arg, (int)tile & 1);
}

static void *keep_busy(void *arg) {
    busy_pool *b = arg;
    atomic_int sum = 0;
    while (!atomic_load(&b->stop))
        tsr_parallel(b->ctx, 8, short_tile, &sum);
    return NULL;
}

/* Whatever state the pool of another thread's context is copied in, closing it does not wait; a
 * context of the forking thread works as ever. */
START_TEST(another_threads_pool_is_busy) {
    busy_pool b = {.ctx = open_context(3)};
    tsr_context *own = open_context(2);
    ck_assert(two_threads_work(own));
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, keep_busy, &b), 0);
    for (int i = 0; i < 20; ++i) {
        in_child("closing a busy pool", close_unused, b.ctx);
        in_child("a pool beside a busy one", use_twice_and_close, own);
    }
    atomic_store(&b.stop, 1);
    pthread_join(thread, NULL);
    tsr_context_close(&own);
    tsr_context_close(&b.ctx);
}
END_TEST

/* ---- a model on the cpu ---- */

enum { SIDE = 400 }; /* several tiles: the pool has something to do */

typedef struct encoder {
    tsr_context *ctx;
    tsr_tokenizer *tokenizer;
    uint8_t rgb[SIDE * SIDE * 3];
    uint32_t ids[4096]; /* that the parent got */
    uint64_t count;
} encoder;

static bool encode(encoder *e, uint32_t *ids, uint64_t *count) {
    tsr_picture picture = {.rgb = e->rgb, .width = SIDE, .height = SIDE};
    tsr_item *item = NULL;
    if (tsr_tokenizer_encode(e->tokenizer, &picture, 1, NULL, &item, NULL)) return false;
    const tsr_token_item *t = tsr_item_tokens(item);
    *count = tsr_token_item_total(t);
    const bool fits = *count <= sizeof e->ids / sizeof *e->ids;
    if (fits) memcpy(ids, t->ids, *count * sizeof *ids);
    tsr_item_close(&item);
    return fits;
}

static void encode_the_same(void *arg) {
    encoder *e = arg;
    static uint32_t ids[4096];
    uint64_t count = 0;
    CHILD_WANTS(encode(e, ids, &count));
    CHILD_WANTS(count == e->count && !memcmp(ids, e->ids, count * sizeof *ids));
    tsr_tokenizer_close(&e->tokenizer);
    tsr_context_close(&e->ctx);
}

START_TEST(a_tokenizer_works_in_the_child) {
    static encoder e;
    e.ctx = open_context(CHILD_MAY_START_THREADS ? 3 : 1);
    tsr_model_settings s = tsr_model_settings_default();
    s.device = "cpu";
    ck_assert_int_eq(tsr_tokenizer_open(e.ctx, &e.tokenizer, &s), TSR_OK);
    for (size_t i = 0; i < sizeof e.rgb; ++i)
        e.rgb[i] = (uint8_t)(i * i / 97 + i % 251);
    ck_assert(encode(&e, e.ids, &e.count));
    ck_assert_uint_gt(e.count, 0);
    in_child("a tokenizer that was used", encode_the_same, &e);
    ck_assert(encode(&e, e.ids, &e.count));
    in_child("a tokenizer that was used again", encode_the_same, &e);
    tsr_tokenizer_close(&e.tokenizer);
    tsr_context_close(&e.ctx);
}
END_TEST

/* ---- a device of Vulkan ---- */

static void twice(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_scale(r, in[0], 2, 0);
}

static tsr_status run_twice(tsr_device *device, float *y) {
    float x[4] = {1, 2, 3, 4};
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, (int64_t[]){4});
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 1, (int64_t[]){4});
    const tsr_program program = {.fn = twice, .name = "twice"};
    return tsr_execute(device, &program, &in, 1, &out, 1);
}

static void use_a_gpu_of_the_parent(void *arg) {
    own_device *d = arg;
    float y[4] = {0};
    for (int i = 0; i < 2; ++i) {
        CHILD_WANTS(run_twice(d->device, y) == TSR_ERROR_DEVICE_LOST);
        CHILD_WANTS(strstr(tsr_detail(d->ctx), "fork()") != NULL);
    }
    tsr_device_forget(d->device, d);
    tsr_device_close(&d->device);
    CHILD_WANTS(d->device == NULL);
    CHILD_WANTS(two_threads_work(d->ctx)); /* the context itself lives on */
    tsr_context_close(&d->ctx);
}

static void open_a_gpu_of_its_own(void *arg) {
    own_device *parents = arg;
    tsr_device *device = NULL;
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "vulkan:0";
    float y[4] = {0};
    tsr_status status = tsr_device_open(parents->ctx, &device, &s);
    CHILD_WANTS(status == TSR_OK);
    CHILD_WANTS(run_twice(device, y) == TSR_OK && y[3] == 8);
    tsr_device_close(&device);
    use_a_gpu_of_the_parent(arg);
}

START_TEST(a_gpu_does_not_follow) {
    own_device d = open_own_device("vulkan:0", 2);
    in_child("a GPU that was never used", use_a_gpu_of_the_parent, &d);
    float y[4];
    ck_assert_int_eq(run_twice(d.device, y), TSR_OK);
    in_child("a GPU of the parent", use_a_gpu_of_the_parent, &d);
    in_child("a GPU opened in the child", open_a_gpu_of_its_own, &d);
    ck_assert_int_eq(run_twice(d.device, y), TSR_OK);
    ck_assert_float_eq(y[3], 8);
    close_own_device(&d);
}
END_TEST

TEST_PARTS("fork",
           PART(own, NULL, the_pool_works_in_the_child, another_threads_pool_is_busy,
                a_tokenizer_works_in_the_child),
           PART(vulkan, need_vulkan, a_gpu_does_not_follow))
