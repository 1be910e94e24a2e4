/* SPDX-License-Identifier: MIT */
#include "everywhere.h"
#include "ops/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct opened {
    char key[256];
    tsr_context *ctx;
    tsr_device *device;
} opened;

static opened cache[64];
static int cached, vulkan_count = -1;

static void print_log(void *user, tsr_log_level level, const char *text) {
    (void)user, (void)level;
    fprintf(stderr, "log: %s\n", text);
}

static tsr_context *new_context(int threads) {
    tsr_context_settings s = tsr_context_settings_default();
    s.threads = threads;
    if (getenv("TESSERA_TEST_LOG")) {
        s.log = print_log;
        s.log_level = TSR_LOG_DEBUG;
    }
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    return ctx;
}

static tsr_device *open_cached(const char *name, const char *mask, int threads, bool reference,
                               bool fast) {
    char key[256];
    snprintf(key, sizeof key, "%s|%s|%d|%d|%d", name, mask ? mask : "", threads, reference, fast);
    for (int i = 0; i < cached; ++i)
        if (!strcmp(cache[i].key, key)) return cache[i].device;
    ck_assert_int_lt(cached, 64);
    opened *o = &cache[cached++];
    snprintf(o->key, sizeof o->key, "%s", key);
    o->ctx = new_context(threads);
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    s.mask = mask;
    s.reference = reference;
    s.guard = true;
    s.try_matrices = tsr_try_matrices;
    s.precision = fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    s.validation = getenv("TESSERA_VALIDATION") != NULL;
    tsr_status status = tsr_device_open(o->ctx, &o->device, &s);
    if (status) printf("%s: not opened: %s\n", name, tsr_detail(o->ctx));
    return o->device;
}

tsr_device *everywhere_device(const char *name, const char *mask) {
    return open_cached(name, mask, 2, false, false);
}

tsr_device *everywhere_fast_device(const char *name, const char *mask) {
    return open_cached(name, mask, 2, false, true);
}

tsr_context *everywhere_context(void) {
    return tsr_device_context(everywhere_device("cpu", NULL));
}

bool everywhere_has_vulkan(void) {
    if (vulkan_count >= 0) return vulkan_count > 0;
    tsr_device_info *list = NULL;
    int count = 0;
    tsr_context *ctx = everywhere_context();
    ck_assert_msg(tsr_device_list(ctx, &list, &count) == TSR_OK, "device list: %s",
                  tsr_detail(ctx));
    free(list);
    vulkan_count = count - 1;
    return vulkan_count > 0;
}

int everywhere_vulkan_count(void) {
    static bool said;
    if (!everywhere_has_vulkan() && !said) leave_out("%s", EVERYWHERE_NO_VULKAN);
    said = true;
    return vulkan_count;
}

static void run_once(tsr_device *d, const everywhere_case *c, const char *where, tsr_tensor *got) {
    tsr_program program = {.fn = c->fn, .model = c->model, .variant = c->variant, .name = c->name};
    for (int i = 0; i < c->out_count; ++i) {
        got[i] = c->out[i];
        got[i].data = guarded((size_t)tsr_elements(&got[i]) * tsr_dtype_bytes(got[i].dtype));
    }
    tsr_status status = tsr_execute(d, &program, c->in, c->in_count, got, c->out_count);
    ck_assert_msg(status == TSR_OK, "%s on %s: %s: %s", c->name, where, tsr_status_text(status),
                  tsr_detail(tsr_device_context(d)));
    for (int i = 0; i < c->out_count; ++i)
        guarded_check(got[i].data);
}

static void free_all(const everywhere_case *c, tsr_tensor *got) {
    for (int i = 0; i < c->out_count; ++i)
        guarded_free(got[i].data);
}

static size_t bytes_of(const tsr_tensor *t) {
    return (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
}

static void compare(const char *where, const everywhere_case *c, const tsr_tensor *got,
                    const tsr_tensor *want) {
    if (c->compare) {
        c->compare(where, c, got, want);
        return;
    }
    for (int i = 0; i < c->out_count; ++i) {
        char what[256];
        snprintf(what, sizeof what, "%s on %s, output %d", c->name, where, i);
        if (got[i].dtype == TSR_DTYPE_F32)
            expect_close_f32(what, got[i].data, want[i].data, tsr_elements(&got[i]), c->tolerance);
        else if (got[i].dtype == TSR_DTYPE_I32)
            expect_equal_i32(what, got[i].data, want[i].data, tsr_elements(&got[i]));
        else
            ck_assert_msg(!memcmp(got[i].data, want[i].data, bytes_of(&got[i])), "%s differs",
                          what);
    }
}

static void expect_same_bits(const char *where, const everywhere_case *c, const tsr_tensor *a,
                             const tsr_tensor *b) {
    for (int i = 0; i < c->out_count; ++i)
        ck_assert_msg(!memcmp(a[i].data, b[i].data, bytes_of(&a[i])),
                      "%s on %s, output %d: not the same bits", c->name, where, i);
}

static void on_vulkan(const everywhere_case *c, const char *name, const char *mask,
                      const tsr_tensor *want) {
    tsr_device *d = everywhere_device(name, mask);
    if (!d) ck_abort_msg("%s could not be opened", name);
    char where[512];
    snprintf(where, sizeof where, "%s (%s)%s%s", name, tsr_device_properties(d)->name,
             mask ? " without " : "", mask ? mask : "");
    tsr_tensor first[TSR_MAX_IO], replay[TSR_MAX_IO];
    run_once(d, c, where, first);
    compare(where, c, first, want);
    run_once(d, c, where, replay);
    expect_same_bits(where, c, first, replay);
    free_all(c, first);
    free_all(c, replay);
    tsr_device_forget(d, c->model); /* the next case may reuse the address */
}

void everywhere(const everywhere_case *c) {
    const char *only = getenv("TESSERA_TEST_DEVICE");
    tsr_tensor want[TSR_MAX_IO], one[TSR_MAX_IO], three[TSR_MAX_IO];
    run_once(open_cached("cpu", NULL, 1, true, false), c, "cpu reference", want);
    if (!only || !strcmp(only, "cpu")) {
        run_once(open_cached("cpu", NULL, 1, false, false), c, "cpu", one);
        run_once(open_cached("cpu", NULL, 3, false, false), c, "cpu", three);
        compare("cpu", c, one, want);
        expect_same_bits("cpu with 1 and 3 threads", c, one, three);
        for (const char *const *m = c->masks; m && *m; ++m) {
            tsr_tensor masked[TSR_MAX_IO];
            char where[128];
            snprintf(where, sizeof where, "cpu without %s", *m);
            tsr_device *d = open_cached("cpu", *m, 3, false, false);
#ifndef TESSERA_WITH_VULKAN
            if (!d) {
                leave_out("without Vulkan no shader can be masked");
                continue;
            }
#endif
            run_once(d, c, where, masked);
            compare(where, c, masked, want);
            free_all(c, masked);
        }
        free_all(c, one);
        free_all(c, three);
    }
    for (int i = 0; !c->cpu_only && i < everywhere_vulkan_count(); ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        if (only && strcmp(only, name)) continue;
        on_vulkan(c, name, NULL, want);
        for (const char *const *m = c->masks; m && *m; ++m)
            on_vulkan(c, name, *m, want);
    }
    for (int i = 0; i < c->out_count; ++i)
        if (c->out[i].data) memcpy(c->out[i].data, want[i].data, bytes_of(&want[i]));
    free_all(c, want);
}
