/* SPDX-License-Identifier: MIT */
/* The recorder and its planner: random op graphs give the cpu's numbers although activations share
 * memory, with the validation layer silent; the planner never lets two live tensors overlap.
 * (That the layer does speak is test_provoked_hazard's part.) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "ops/ops.h"
#include "compute/op.h"
#include "compute/vulkan/vulkan_plan.h"
#include "everywhere.h"

#ifdef TESSERA_WITH_VULKAN

/* ---- the planner alone ---- */

static void plan_and_check(vulkan_item *items, int count, size_t chunk) {
    size_t sizes[64] = {0}, high[64] = {0};
    int chunks = 0;
    ck_assert_int_eq(vulkan_plan(everywhere_context(), items, count, chunk, sizes, 64, &chunks),
                     TSR_OK);
    for (int i = 0; i < count; ++i) {
        const vulkan_item *a = &items[i];
        ck_assert(a->place.chunk >= 0 && a->place.chunk < chunks);
        ck_assert_uint_le(a->place.offset + a->size, sizes[a->place.chunk]);
        if (a->place.offset + a->size > high[a->place.chunk])
            high[a->place.chunk] = a->place.offset + a->size;
        for (int k = 0; k < i; ++k) {
            const vulkan_item *b = &items[k];
            bool together = a->first <= b->last && b->first <= a->last;
            bool overlap = a->place.chunk == b->place.chunk &&
                           a->place.offset < b->place.offset + b->size &&
                           b->place.offset < a->place.offset + a->size;
            ck_assert_msg(!together || !overlap, "items %d and %d share bytes", k, i);
        }
    }
    for (int i = 0; i < chunks; ++i) {
        ck_assert_uint_le(sizes[i], chunk);
        ck_assert_uint_eq(sizes[i], high[i]);
    }
}

START_TEST(live_items_never_overlap) {
    for (int round = 0; round < 300; ++round) {
        vulkan_item items[200];
        int count = (int)random_below(200), steps = 1 + (int)random_below(100);
        for (int i = 0; i < count; ++i) {
            int first = (int)random_below(steps);
            items[i] = (vulkan_item){.size = 256 * (1 + (size_t)random_below(round % 2 ? 4 : 60)),
                                     .first = first,
                                     .last = first + (int)random_below(round % 3 ? 5 : steps)};
        }
        plan_and_check(items, count, round % 5 ? 256 * 1000 : (size_t)1 << 40);
    }
}
END_TEST

START_TEST(a_chain_needs_two_places) {
    vulkan_item items[100];
    for (int i = 0; i < 100; ++i)
        items[i] = (vulkan_item){.size = 1024, .first = i, .last = i + 1};
    size_t sizes[4];
    int chunks;
    ck_assert_int_eq(vulkan_plan(everywhere_context(), items, 100, 1 << 20, sizes, 4, &chunks),
                     TSR_OK);
    ck_assert_int_eq(chunks, 1);
    ck_assert_uint_eq(sizes[0], 2048);
}
END_TEST

START_TEST(what_does_not_fit_is_refused) {
    vulkan_item one[] = {{.size = 512}}, many[5];
    size_t sizes[4];
    int chunks;
    ck_assert_int_eq(vulkan_plan(everywhere_context(), one, 1, 256, sizes, 4, &chunks),
                     TSR_ERROR_TOO_LARGE);
    for (int i = 0; i < 5; ++i)
        many[i] = (vulkan_item){.size = 256};
    ck_assert_int_eq(vulkan_plan(everywhere_context(), many, 5, 256, sizes, 4, &chunks),
                     TSR_ERROR_TOO_LARGE);
    ck_assert_int_eq(vulkan_plan(everywhere_context(), many, 4, 256, sizes, 4, &chunks), TSR_OK);
    ck_assert_int_eq(chunks, 4);
    ck_assert_int_eq(vulkan_plan(everywhere_context(), NULL, 0, 256, sizes, 4, &chunks), TSR_OK);
    ck_assert_int_eq(chunks, 0);
}
END_TEST

/* ---- random graphs ---- */

enum { NODES = 120, OUTPUTS = 6, INPUTS = 3 };

typedef struct graph {
    struct {
        int form, kind, a, b; /* a, b: numbers of earlier tensors, or INPUTS of them */
        bool scoped;
    } node[NODES];
    int64_t size[NODES + INPUTS]; /* of the tensors: inputs first */
    int out[OUTPUTS];
    tsr_weights *weights;
    tsr_weight *w;
} graph;

static void make_graph(graph *g, int64_t scale) {
    static const int64_t sizes[] = {1, 5, 64, 300, 1031};
    memset(g, 0, sizeof *g);
    for (int i = 0; i < INPUTS; ++i)
        g->size[i] = sizes[random_below(5)] * scale;
    for (int i = 0; i < NODES; ++i) {
        /* mostly recent operands, sometimes very old ones: short and long lives */
        int have = INPUTS + i, near = have < 8 ? have : 8;
        int a = (int)(random_below(4) ? have - 1 - random_below(near) : random_below(have));
        int b = a;
        for (int tries = 0; tries < 20; ++tries) {
            int other = (int)random_below(have);
            if (g->size[other] == g->size[a]) b = other;
        }
        g->node[i].form = (int)random_below(4);
        g->node[i].kind = (int)random_below(3);
        g->node[i].a = a;
        g->node[i].b = b;
        g->node[i].scoped = random_below(3) == 0;
        g->size[INPUTS + i] = g->size[a];
    }
    for (int i = 0; i < OUTPUTS; ++i)
        g->out[i] = INPUTS + NODES - 1 - (int)random_below(NODES);
    g->out[0] = INPUTS + NODES - 1;
    g->out[1] = 0; /* an input as an output */
    g->out[2] = g->out[0];
}

static void walk_graph(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const graph *g = model;
    tsr_tensor *t[INPUTS + NODES];
    for (int i = 0; i < INPUTS; ++i)
        t[i] = in[i];
    for (int i = 0; i < NODES; ++i) {
        tsr_tensor *a = t[g->node[i].a], *b = t[g->node[i].b], *y = NULL;
        tsr_scope s = tsr_scope_open(r);
        if (g->node[i].scoped) { /* something to throw away */
            tsr_tensor *waste = tsr_scale(r, a, 0.5f, 0.1f);
            a = tsr_scale(r, tsr_binary(r, waste, waste, TSR_BINARY_ADD), 1, -0.2f);
        }
        switch (g->node[i].form) {
        case 0:
            y = tsr_binary(r, a, b, (tsr_binary_kind)g->node[i].kind);
            break;
        case 1:
            y = tsr_unary(r, a, TSR_ACT_TANH);
            break;
        case 2:
            y = tsr_scale(r, a, 0.7f, 0.3f);
            break;
        case 3:
            y = tsr_reshape(r, tsr_unary(r, tsr_binary(r, a, b, TSR_BINARY_ADD), TSR_ACT_TANH), 2,
                            (int64_t[]){1, tsr_elements(a)});
            break;
        }
        y = tsr_unary(r, y, TSR_ACT_TANH); /* keeps the numbers small */
        y = tsr_reshape(r, y, 1, (int64_t[]){tsr_elements(a)});
        if (g->node[i].scoped) y = tsr_scope_close(r, s, y);
        t[INPUTS + i] = y;
    }
    for (int i = 0; i < OUTPUTS; ++i)
        out[i] = t[g->out[i]];
}

/* submission: as in tsr_device_settings. */
static tsr_device *open_device(tsr_context *ctx, const char *name, bool reference,
                               double submission) {
    tsr_device_settings s = tsr_device_settings_default();
    s.name = name;
    s.reference = reference;
    s.submission = submission;
    s.validation = strcmp(name, "cpu") != 0;
    tsr_device *d = NULL;
    tsr_status status = tsr_device_open(ctx, &d, &s);
    if (status == TSR_ERROR_UNSUPPORTED && s.validation) {
        printf("%s without validation: %s\n", name, tsr_detail(ctx));
        s.validation = false;
        status = tsr_device_open(ctx, &d, &s);
    }
    ck_assert_msg(status == TSR_OK, "%s: %s", name, tsr_detail(ctx));
    return d;
}

static void run_graph(tsr_device *d, graph *g, float *const *x, float *const *y) {
    tsr_tensor in[INPUTS], out[OUTPUTS];
    for (int i = 0; i < INPUTS; ++i)
        in[i] = tsr_host_tensor(TSR_DTYPE_F32, x[i], 1, &g->size[i]);
    for (int i = 0; i < OUTPUTS; ++i) {
        memset(y[i], 0xFF, (size_t)g->size[g->out[i]] * 4);
        out[i] = tsr_host_tensor(TSR_DTYPE_F32, y[i], 1, &g->size[g->out[i]]);
    }
    tsr_program p = {.fn = walk_graph, .model = g, .variant = 0, .name = "graph"};
    tsr_status status = tsr_execute(d, &p, in, INPUTS, out, OUTPUTS);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(tsr_device_context(d)));
}

/* The most submissions a recording was seen to have. */
static void count_submissions(void *user, tsr_log_level level, const char *text) {
    const char *at = strstr(text, " dispatches, ");
    int *most = user, count;
    if (level == TSR_LOG_DEBUG && at && sscanf(at, " dispatches, %d submissions", &count) == 1 &&
        count > *most)
        *most = count;
}

/* On Vulkan devices as a whole, and each op as a submission of its own. */
START_TEST(random_graphs_equal_the_cpu) {
    enum { MOST = 4 };
    tsr_context *ctx = NULL;
    int submissions = 0;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.log = count_submissions;
    settings.log_user = &submissions;
    settings.log_level = TSR_LOG_DEBUG;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    const int drivers = everywhere_vulkan_count() < MOST ? everywhere_vulkan_count() : MOST;
    const int n = 2 * drivers;
    tsr_device *reference = open_device(ctx, "cpu", true, 0), *devices[1 + 2 * MOST];
    devices[0] = open_device(ctx, "cpu", false, 0);
    for (int i = 0; i < n; ++i) {
        char name[32];
        snprintf(name, sizeof name, "vulkan:%d", i / 2);
        devices[i + 1] = open_device(ctx, name, false, i % 2);
    }
    float *x[INPUTS], *want[OUTPUTS], *got[OUTPUTS];
    const size_t most = 1031 * 7 * 4;
    for (int i = 0; i < INPUTS; ++i)
        x[i] = guarded(most);
    for (int i = 0; i < OUTPUTS; ++i)
        want[i] = guarded(most), got[i] = guarded(most);
    static graph graphs[6];
    for (int i = 0; i < 6; ++i)
        make_graph(&graphs[i], i % 2 ? 7 : 1); /* the arena must grow */
    for (int round = 0; round < 12; ++round) { /* each twice: replay */
        graph *g = &graphs[round % 6];
        for (int i = 0; i < INPUTS; ++i)
            random_normals(x[i], g->size[i]);
        run_graph(reference, g, x, want);
        for (int k = 0; k <= n; ++k) {
            run_graph(devices[k], g, x, got);
            for (int i = 0; i < OUTPUTS; ++i) {
                char what[64];
                snprintf(what, sizeof what, "round %d device %d output %d", round, k, i);
                expect_close_f32(what, got[i], want[i], g->size[g->out[i]], 2e-5);
                guarded_check(got[i]);
            }
        }
    }
    if (n) ck_assert_int_gt(submissions, NODES);
    for (int k = 0; k <= n; ++k)
        tsr_device_close(&devices[k]);
    tsr_device_close(&reference);
    for (int i = 0; i < INPUTS; ++i)
        guarded_free(x[i]);
    for (int i = 0; i < OUTPUTS; ++i)
        guarded_free(want[i]), guarded_free(got[i]);
    tsr_context_close(&ctx);
}
END_TEST

static void chain(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *x = in[0];
    for (int i = 0; i < 50; ++i) {
        tsr_scope s = tsr_scope_open(r);
        x = tsr_scale(r, tsr_scale(r, x, 2, 0), 0.5f, 1);
        x = tsr_scope_close(r, s, x);
    }
    out[0] = x;
}

START_TEST(a_chain_lives_in_few_tensors) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    int n = everywhere_vulkan_count();
    const int64_t size = 10000;
    float *x = calloc((size_t)size, 4), *y = calloc((size_t)size, 4);
    for (int i = -1; i < n; ++i) {
        char name[32] = "cpu";
        if (i >= 0) snprintf(name, sizeof name, "vulkan:%d", i);
        tsr_device *d = open_device(ctx, name, false, 0);
        tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, &size), out = in;
        out.data = y;
        tsr_program p = {.fn = chain, .model = NULL, .variant = 0, .name = "chain"};
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_OK);
        ck_assert_float_eq(y[size - 1], 50);
        /* the cpu keeps what each scope returned, as it lies below the next scope's mark */
        size_t most = (i < 0 ? 60 : 4) * (size_t)size * 4;
        ck_assert_msg(tsr_device_peak_bytes(d) <= most, "%s: %zu bytes at the peak", name,
                      tsr_device_peak_bytes(d));
        tsr_device_close(&d);
    }
    free(x);
    free(y);
    tsr_context_close(&ctx);
}
END_TEST

/* ---- an op that writes too much ---- */

static int long_gpu(const tsr_call *c, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    /* writes 9 elements too many */
    uint32_t push[4] = {(uint32_t)tsr_elements(c->out[0]) + 9, 1, 0, 0};
    *d = (tsr_gpu_dispatch){.variant = "pointwise",
                            .spec = {2, 0},
                            .spec_count = 2,
                            .groups = {1, 1, 1},
                            .push_bytes = sizeof push,
                            .bind = {0, 0, 8},
                            .bind_count = 3};
    memcpy(d->push, push, sizeof push);
    return 1;
}

static void long_reference(const tsr_call *c) {
    float *y = c->out[0]->data;
    memset(y, 0, (size_t)tsr_elements(c->out[0]) * 4);
    y[-1] = 1;
}

static const tsr_op too_long = {.name = "too_long", .reference = long_reference, .gpu = long_gpu};

static void overlong(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    (void)model;
    tsr_tensor *y = tsr_run_new(r, TSR_DTYPE_F32, 1, in[0]->dim);
    tsr_call c = {.op = &too_long, .in = {in[0]}, .out = {y}, .in_count = 1, .out_count = 1};
    tsr_run_emit(r, &c);
    out[0] = y;
}

START_TEST(fences_see_a_write_beyond_the_end) {
    float x[64] = {0}, y[64];
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 1, (int64_t[]){64}), out = in;
    out.data = y;
    tsr_program p = {.fn = overlong, .model = NULL, .variant = 0, .name = "overlong"};
    int n = everywhere_vulkan_count();
    for (int i = -1; i < n; ++i) {
        char name[32] = "cpu";
        if (i >= 0) snprintf(name, sizeof name, "vulkan:%d", i);
        tsr_device *d = everywhere_device(name, NULL);
        ck_assert_int_eq(tsr_execute(d, &p, &in, 1, &out, 1), TSR_ERROR_DEVICE);
        ck_assert_msg(strstr(tsr_detail(tsr_device_context(d)), "wrote"), "%s",
                      tsr_detail(tsr_device_context(d)));
    }
}
END_TEST

TEST_MAIN("recorder", live_items_never_overlap, a_chain_needs_two_places,
          what_does_not_fit_is_refused, random_graphs_equal_the_cpu, a_chain_lives_in_few_tensors,
          fences_see_a_write_beyond_the_end)
#else
int main(void) {
    skip_all("this build has no Vulkan: nothing is recorded");
}
#endif
