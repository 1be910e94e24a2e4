/* SPDX-License-Identifier: MIT */
/* Devices: the list, choosing by name, what a refusal says, sticky errors, wrong shapes,
 * forgetting. */
#include <tessera/tessera.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops/ops.h"
#include "compute/run.h"
#include "everywhere.h"
#include "needs.h"

static tsr_context *ctx;

static tsr_device *open_named(const char *name, tsr_status wanted) {
    tsr_device *d = NULL;
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    tsr_status status = tsr_device_open(ctx, &d, &s);
    ck_assert_msg(status == wanted, "%s: wanted %s, got %s (%s)", name, tsr_status_name(wanted),
                  tsr_status_name(status), tsr_detail(ctx));
    ck_assert((d != NULL) == (wanted == TSR_OK));
    return d;
}

static void setup(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static void teardown(void) {
    tsr_context_close(&ctx);
}

START_TEST(list_begins_with_cpu_and_chooses_one) {
    setup();
    tsr_device_info *list = NULL;
    int count = 0, chosen = 0;
    ck_assert_int_eq(tsr_device_list(ctx, &list, &count), TSR_OK);
    ck_assert_int_ge(count, 1);
    ck_assert_int_eq(list[0].kind, TSR_DEVICE_CPU);
    ck_assert_uint_gt(list[0].memory_bytes, 1 << 20);
    for (int i = 0; i < count; ++i) {
        const tsr_device_info *d = &list[i];
        chosen += d->chosen;
        ck_assert(d->name[0]);
        ck_assert_msg(d->reason[0], "%s has no reason", d->name);
        ck_assert(!d->chosen || (d->usable && !d->software));
        if (i == 0) continue;
        ck_assert_int_eq(d->kind, TSR_DEVICE_VULKAN);
        ck_assert_int_eq(d->index, i - 1);
        if (!d->subgroup_size) continue; /* too old to be asked */
        ck_assert_uint_ge(d->subgroup_size, d->subgroup_min);
        ck_assert_uint_le(d->subgroup_size, d->subgroup_max);
        ck_assert_uint_ge(d->max_storage_range, 1u << 27);
        printf("vulkan:%d %s: %s: %s\n", d->index, d->name, d->usable ? "usable" : "refused",
               d->reason);
    }
    ck_assert_int_eq(chosen, 1);
    free(list);
    teardown();
}
END_TEST

START_TEST(json_says_the_same) {
    setup();
    tsr_device_info *list = NULL;
    int count = 0;
    char *text = NULL;
    ck_assert_int_eq(tsr_device_list(ctx, &list, &count), TSR_OK);
    ck_assert_int_eq(tsr_devices_json(ctx, &text), TSR_OK);
    cJSON *root = cJSON_Parse(text), *array = cJSON_GetObjectItem(root, "devices");
    ck_assert_int_eq(cJSON_GetArraySize(array), count);
    for (int i = 0; i < count; ++i) {
        cJSON *o = cJSON_GetArrayItem(array, i);
        ck_assert_str_eq(cJSON_GetObjectItem(o, "name")->valuestring, list[i].name);
        ck_assert_str_eq(cJSON_GetObjectItem(o, "reason")->valuestring, list[i].reason);
        ck_assert_int_eq(cJSON_IsTrue(cJSON_GetObjectItem(o, "chosen")), list[i].chosen);
        ck_assert_int_eq(cJSON_HasObjectItem(o, "limits"), i > 0);
    }
    cJSON_Delete(root);
    free(text);
    free(list);
    teardown();
}
END_TEST

START_TEST(names_that_mean_nothing) {
    setup();
    static const char *const bad[] = {
        "",          "gpu",       "vulkan:",    "vulkan:x", "vulkan:-1",
        "vulkan:1x", "vulkan: 0", "vulkan:300", "CPU"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        char got[32];
        open_named(bad[i], TSR_ERROR_ARGUMENT);
        snprintf(got, sizeof got, "got %s", bad[i]);
        ck_assert_str_eq(strstr(tsr_detail(ctx), "got "), got);
    }
#ifdef TESSERA_WITH_VULKAN
    open_named("vulkan:200", TSR_ERROR_NO_DEVICE);
#else
    open_named("vulkan:0", TSR_ERROR_NO_DEVICE);
#endif
    ck_assert_int_eq(tsr_device_open(ctx, NULL, NULL), TSR_ERROR_ARGUMENT);
    tsr_device *none = NULL;
    tsr_device_close(&none);
    tsr_device_close(NULL);
    teardown();
}
END_TEST

START_TEST(software_is_never_taken_by_itself) {
    setup();
    tsr_device_info *list = NULL;
    int count = 0;
    ck_assert_int_eq(tsr_device_list(ctx, &list, &count), TSR_OK);
    bool hardware = false;
    for (int i = 1; i < count; ++i)
        hardware |= list[i].usable && !list[i].software;
    tsr_device *d = open_named("auto", TSR_OK);
    ck_assert(!tsr_device_properties(d)->software);
    ck_assert_int_eq(tsr_device_properties(d)->kind, hardware ? TSR_DEVICE_VULKAN : TSR_DEVICE_CPU);
    tsr_device_close(&d);
    d = open_named("vulkan", hardware ? TSR_OK : TSR_ERROR_NO_DEVICE);
    tsr_device_close(&d);
    for (int i = 1; i < count; ++i) { /* named, each works: the canary refuses only the automatic */
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", list[i].index);
        d = open_named(name, TSR_OK);
        tsr_device_close(&d);
    }
    free(list);
    teardown();
}
END_TEST

/* ---- execution ---- */

static void two_in(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *bad = tsr_binary(r, in[0], in[1], TSR_BINARY_ADD);
    bad = tsr_scale(r, bad, 2, 0); /* after a failure these do nothing */
    bad = tsr_unary(r, bad, TSR_ACT_GELU);
    tsr_scope s = tsr_scope_open(r);
    bad = tsr_scope_close(r, s, tsr_reshape(r, bad, 1, (int64_t[]){999}));
    out[0] = bad;
}

static void no_output(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)r, (void)model, (void)in, (void)out;
}

static void wrong_reshape(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_reshape(r, in[0], 2, (int64_t[]){2, 5});
}

static void wrong_new(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)in;
    const int64_t *dim = model;
    out[0] = tsr_run_new(r, TSR_DTYPE_F32, 3, dim);
}

static void twice(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    out[0] = tsr_scale(r, in[0], 2, 0);
}

static void failures_on(const char *name) {
    tsr_device *d = open_named(name, TSR_OK);
    float a[12] = {1, 2, 3}, b[12] = {0}, y[12];
    tsr_tensor in[2] = {tsr_host_tensor(TSR_DTYPE_F32, a, 2, (int64_t[]){3, 4}),
                        tsr_host_tensor(TSR_DTYPE_F32, b, 1, (int64_t[]){3})};
    tsr_tensor out = tsr_host_tensor(TSR_DTYPE_F32, y, 2, (int64_t[]){3, 4});
    /* the first failure is the one that is told */
    tsr_program p = {.fn = two_in, .name = "two_in"};
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(tsr_execute(d, &p, in, 2, &out, 1), TSR_ERROR_ARGUMENT);
        ck_assert_str_eq(tsr_detail(ctx), "binary: wanted the last dimensions of [3, 4], got [3]");
    }
    p = (tsr_program){.fn = no_output, .name = "no_output"};
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_ERROR_STATE);
    p = (tsr_program){.fn = wrong_reshape, .name = "wrong_reshape"};
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_str_eq(tsr_detail(ctx), "reshape: wanted the elements of [2, 5], got [3, 4]");
    static const int64_t sizes[][3] = {{0, 1, 1},
                                       {-1, 4, 4},
                                       {INT64_MAX, 2, 1},
                                       {1 << 30, 1 << 30, 1 << 30},
                                       {INT64_MAX / 2, 1, 1}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        p = (tsr_program){.fn = wrong_new, .model = (void *)sizes[i], .name = "wrong_new"};
        ck_assert_int_eq(tsr_execute(d, &p, NULL, 0, &out, 1), TSR_ERROR_ARGUMENT);
    }
    /* outputs of another size or type, on the first run and on the replay */
    p = (tsr_program){.fn = twice, .name = "twice"};
    tsr_tensor small = tsr_host_tensor(TSR_DTYPE_F32, y, 1, (int64_t[]){11});
    tsr_tensor ids = tsr_host_tensor(TSR_DTYPE_I32, y, 1, (int64_t[]){12});
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(tsr_execute(d, &p, in, 1, &small, 1), TSR_ERROR_ARGUMENT);
        ck_assert_str_eq(tsr_detail(ctx), "twice: output 0: wanted F32 [11], got F32 [3, 4]");
        ck_assert_int_eq(tsr_execute(d, &p, in, 1, &ids, 1), TSR_ERROR_ARGUMENT);
    }
    tsr_tensor nothing = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, (int64_t[]){12});
    ck_assert_int_eq(tsr_execute(d, &p, &nothing, 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_execute(d, &p, in, TSR_MAX_IO + 1, &out, 1), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_execute(d, NULL, in, 1, &out, 1), TSR_ERROR_ARGUMENT);
    /* after all that the device still works, and the next shape of the same program too */
    ck_assert_int_eq(tsr_execute(d, &p, in, 1, &out, 1), TSR_OK);
    ck_assert(y[0] == 2 && y[1] == 4 && y[2] == 6 && y[3] == 0);
    tsr_tensor in3 = tsr_host_tensor(TSR_DTYPE_F32, a, 1, (int64_t[]){3}), out3 = in3;
    out3.data = y;
    memset(y, 0, sizeof y);
    ck_assert_int_eq(tsr_execute(d, &p, &in3, 1, &out3, 1), TSR_OK);
    ck_assert(y[0] == 2 && y[1] == 4 && y[2] == 6);
    tsr_device_close(&d);
    ck_assert_ptr_null(d);
}

static int each_device(void (*test)(const char *name)) {
    test("cpu");
    int n = everywhere_vulkan_count();
    for (int i = 0; i < n; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        test(name);
    }
    return n;
}

START_TEST(failures_are_sticky_and_told_once) {
    setup();
    each_device(failures_on);
    teardown();
}
END_TEST

/* ---- weights and forgetting ---- */

typedef struct small_model {
    tsr_weights *weights;
    tsr_weight *w;
    float values[6];
} small_model;

static void add_weight(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const small_model *m = model;
    out[0] = tsr_binary(r, in[0], tsr_from_weight(r, m->w), TSR_BINARY_ADD);
    if (!tsr_run_is_failed(r)) out[1] = tsr_from_weight(r, m->w); /* a weight as an output */
    out[2] = in[0];                                               /* and an input */
}

static void load(small_model *m, float first) {
    for (int i = 0; i < 6; ++i)
        m->values[i] = first + (float)i;
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, m->values, 2, (int64_t[]){2, 3});
    ck_assert_int_eq(tsr_weights_open(ctx, &m->weights), TSR_OK);
    ck_assert_int_eq(tsr_weights_add(ctx, m->weights, "w", &t), TSR_OK);
    ck_assert_int_eq(tsr_weights_get(ctx, m->weights, "w", 2, (int64_t[]){2, -1}, &m->w), TSR_OK);
}

static void run_small(tsr_device *d, small_model *m) {
    float a[6] = {10, 20, 30, 40, 50, 60}, y[6], w[6], x[6];
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, a, 2, (int64_t[]){2, 3});
    tsr_tensor out[3] = {in, in, in};
    out[0].data = y;
    out[1].data = w;
    out[2].data = x;
    tsr_program p = {.fn = add_weight, .model = m, .variant = 0, .name = "add_weight"};
    ck_assert_msg(tsr_execute(d, &p, &in, 1, out, 3) == TSR_OK, "%s", tsr_detail(ctx));
    for (int i = 0; i < 6; ++i) {
        ck_assert_float_eq(y[i], a[i] + m->values[i]);
        ck_assert_float_eq(w[i], m->values[i]);
        ck_assert_float_eq(x[i], a[i]);
    }
}

static void forgets_on(const char *name) {
    tsr_device *d = open_named(name, TSR_OK);
    small_model m = {0}, other = {0};
    load(&other, 100);
    for (int round = 0; round < 3; ++round) {
        load(&m, (float)(round * 7));
        run_small(d, &m);
        run_small(d, &other);
        run_small(d, &m);
        tsr_device_forget(d, &m); /* the same address gets other weights in the next round */
        run_small(d, &other);
        tsr_weights_close(&m.weights);
    }
    tsr_device_close(&d);
    tsr_weights_close(&other.weights);
}

START_TEST(weights_are_forgotten_with_their_model) {
    setup();
    each_device(forgets_on);
    teardown();
}
END_TEST

/* ---- limits ---- */

static void four_copies(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *a = tsr_scale(r, in[0], 1, 1), *b = tsr_scale(r, in[0], 1, 2),
               *c = tsr_scale(r, in[0], 1, 3), *e = tsr_scale(r, in[0], 1, 4);
    out[0] = tsr_binary(r, tsr_binary(r, a, b, TSR_BINARY_ADD), tsr_binary(r, c, e, TSR_BINARY_ADD),
                        TSR_BINARY_ADD);
}

static void limited_on(const char *name) {
    tsr_context *keep = ctx;
    tsr_context_settings s = tsr_context_settings_default();
    s.memory_limit = 20 << 20;
    ck_assert_int_eq(tsr_context_open(&ctx, &s), TSR_OK);
    tsr_device *d = open_named(name, TSR_OK);
    const int64_t big = 2 << 20, fits = 1 << 18; /* 8 MiB and 1 MiB */
    float *x = calloc((size_t)big, 4), *y = calloc((size_t)big, 4);
    ck_assert(x && y);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, &big),
               out = tsr_host_tensor(TSR_DTYPE_F32, y, 1, &big);
    tsr_program p = {.fn = four_copies, .name = "four_copies"};
    if (!tsr_device_properties(d)->software &&
        tsr_device_properties(d)->kind == TSR_DEVICE_VULKAN) {
        leave_out("a device whose memory the context does not limit");
    } else {
        tsr_status status = tsr_execute(d, &p, &in, 1, &out, 1);
        ck_assert_msg(status == (tsr_device_properties(d)->kind == TSR_DEVICE_CPU
                                     ? TSR_ERROR_MEMORY
                                     : TSR_ERROR_TOO_LARGE),
                      "%s: %s", name, tsr_status_name(status));
        ck_assert_msg(strstr(tsr_detail(ctx), "20971520"), "%s", tsr_detail(ctx));
    }
    in.dim[0] = out.dim[0] = fits;
    ck_assert_msg(tsr_execute(d, &p, &in, 1, &out, 1) == TSR_OK, "%s", tsr_detail(ctx));
    ck_assert_float_eq(y[fits - 1], 10);
    free(x);
    free(y);
    tsr_device_close(&d);
    tsr_context_close(&ctx);
    ctx = keep;
}

START_TEST(the_memory_limit_holds) {
    setup();
    each_device(limited_on);
    teardown();
}
END_TEST

START_TEST(a_tensor_beyond_one_binding_is_refused) {
    setup();
    int n = everywhere_vulkan_count();
    for (int i = 0; i < n; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        tsr_device *d = open_named(name, TSR_OK);
        uint64_t range = tsr_device_properties(d)->max_storage_range;
        if (range <= (uint64_t)256 << 20) {
            int64_t elements = (int64_t)(range / 4 + 1);
            float *x = calloc((size_t)elements, 4); /* never touched: costs no memory */
            ck_assert_ptr_nonnull(x);
            tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, &elements), out = in;
            tsr_program p = {.fn = twice, .name = "twice"};
            ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_ERROR_TOO_LARGE);
            ck_assert_msg(strstr(tsr_detail(ctx), "pointwise"), "%s", tsr_detail(ctx));
            free(x);
        } else
            leave_out("a device of which one binding holds more than 256 MiB");
        tsr_device_close(&d);
    }
    teardown();
}
END_TEST

/* ---- loss ---- */

static void lost_on(const char *name) {
    tsr_device *d = open_named(name, TSR_OK);
    float a[1] = {1}, y[1];
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, a, 1, (int64_t[]){1}), out = in;
    out.data = y;
    tsr_program p = {.fn = twice, .name = "twice"};
    ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_OK);
    d->lost =
        TSR_ERROR_DEVICE_LOST; /* as vulkan_fail leaves it; no driver here can be made to do it */
    snprintf(d->lost_detail, sizeof d->lost_detail, "device %s: lost in wait; open it again", name);
    for (int i = 0; i < 2; ++i) {
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_ERROR_DEVICE_LOST);
        ck_assert_msg(strstr(tsr_detail(ctx), "open it again"), "%s", tsr_detail(ctx));
    }
    tsr_device_forget(d, NULL);
    tsr_device_close(&d);
    d = open_named(name, TSR_OK);
    y[0] = 0;
    ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_OK);
    ck_assert_float_eq(y[0], 2);
    tsr_device_close(&d);
}

START_TEST(a_lost_device_stays_lost) {
    setup();
    each_device(lost_on);
    teardown();
}
END_TEST

/* ---- masks ---- */

START_TEST(a_masked_variant_is_not_used) {
    setup();
    tsr_device_settings s = tsr_device_settings_default();
    s.mask = "subgroup,pointwise,linear_sg";
    tsr_device *d = NULL;
#ifndef TESSERA_WITH_VULKAN /* names of shaders mean something where they are built in */
    ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_ERROR_ARGUMENT);
    teardown();
    return;
#endif
    ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_OK);
    ck_assert(tsr_device_masked(d, "subgroup") && tsr_device_masked(d, "pointwise") &&
              tsr_device_masked(d, "linear_sg"));
    ck_assert(!tsr_device_masked(d, "point") && !tsr_device_masked(d, "linear") &&
              !tsr_device_masked(d, "pointwise,linear_sg") && !tsr_device_masked(d, ""));
    tsr_device_close(&d);
    int n = everywhere_vulkan_count();
    for (int i = 0; i < n; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i);
        s.name = name;
        ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_OK);
        float a[1] = {1}, y[1];
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, a, 1, (int64_t[]){1}), out = in;
        out.data = y;
        tsr_program p = {.fn = twice, .name = "twice"};
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_ERROR_UNSUPPORTED);
        ck_assert_msg(strstr(tsr_detail(ctx), "masked"), "%s", tsr_detail(ctx));
        tsr_device_close(&d);
    }
    teardown();
}
END_TEST

START_TEST(an_unknown_mask_is_refused) {
    setup();
    static const char *const bad[][2] = {{"linear_gs", "\"linear_gs\""},
                                         {"onednn,avx3", "\"avx3\""},
                                         {"avx2,", "\"\""},
                                         {"avx2, onednn", "\" onednn\""},
                                         {"AVX2", "\"AVX2\""}};
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "cpu";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        tsr_device *d = NULL;
        s.mask = bad[i][0];
        ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_ERROR_ARGUMENT);
        ck_assert_ptr_null(d);
        ck_assert_msg(strstr(tsr_detail(ctx), bad[i][1]) && strstr(tsr_detail(ctx), "onednn, "),
                      "%s: %s", bad[i][0], tsr_detail(ctx));
    }
    tsr_device *d = NULL;
    s.mask = "cpu,onednn,avx512,avx2,winograd,subgroup,coopmat,fp16,int64";
    ck_assert_int_eq(tsr_device_open(ctx, &d, &s), TSR_OK);
    tsr_device_close(&d);
    teardown();
}
END_TEST

TEST_PARTS("devices",
           PART(own, NULL, list_begins_with_cpu_and_chooses_one, json_says_the_same,
                names_that_mean_nothing, software_is_never_taken_by_itself,
                failures_are_sticky_and_told_once, weights_are_forgotten_with_their_model,
                the_memory_limit_holds, a_lost_device_stays_lost, a_masked_variant_is_not_used,
                an_unknown_mask_is_refused),
           PART(vulkan, need_vulkan, a_tensor_beyond_one_binding_is_refused))
