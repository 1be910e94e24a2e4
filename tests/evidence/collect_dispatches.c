/* SPDX-License-Identifier: MIT */
/* collect_dispatches.c: which pipelines real work asks of an AMD chip, without one. Every benchmark
 * case (each op, each bundled model) runs once on the cpu device; the linker puts the functions
 * below in place of the library's (--wrap), so that each op that is emitted is also asked how it
 * would be dispatched on a GPU. Prints one line for each different pipeline, as radv_compile
 * reads them: `variant subgroup count constants...`; modules that nothing asked for get a line with
 * their default constants. The built-in SPIR-V goes to FOLDER/<variant>.spv.
 *
 *     collect_dispatches FOLDER > pipelines.txt */
#include "bench/bench.h"
#include "compute/op.h"
#include "compute/vulkan/vulkan_shaders.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void __real_tsr_run_emit(tsr_run *r, const tsr_call *call);
void __wrap_tsr_run_emit(tsr_run *r, const tsr_call *call);
tsr_status __wrap_tsr_bench_time(tsr_bencher *b, const tsr_bench_row *row, tsr_bench_body body,
                                 void *arg);
tsr_status __wrap_tsr_bench_program(tsr_bencher *b, const tsr_bench_case *c);

static char **lines;
static int line_count, failed;

static void add(const char *text) {
    for (int i = 0; i < line_count; ++i)
        if (!strcmp(lines[i], text)) return;
    lines = realloc(lines, (size_t)(line_count + 1) * sizeof *lines);
    if (!lines || !(lines[line_count++] = strdup(text))) exit(1);
}

static bool allow_all(const void *device, const char *variant) {
    (void)device;
    (void)variant;
    return true;
}

void __wrap_tsr_run_emit(tsr_run *r, const tsr_call *call) {
    /* Wave64 is what RADV gives by itself; RDNA also runs wave32 when it is asked to. */
    static const uint32_t sizes[] = {64, 32};
    for (int k = 0; k < 4 && call->op->gpu; ++k) {
        tsr_gpu_caps caps = {.subgroup_size = sizes[k / 2],
                             .subgroup_ops = true,
                             .fp16 = k & 1,
                             .max_shared_bytes = 65536,
                             .max_workgroup = 1024,
                             .allowed = allow_all};
        tsr_gpu_dispatch dispatches[TSR_MAX_DISPATCHES];
        memset(dispatches, 0, sizeof dispatches);
        int n = call->op->gpu(call, &caps, dispatches);
        for (int i = 0; i < n; ++i) {
            char text[512];
            int at = snprintf(text, sizeof text, "%s %u %d", dispatches[i].variant, sizes[k / 2],
                              dispatches[i].spec_count);
            for (int c = 0; c < dispatches[i].spec_count; ++c)
                at += snprintf(text + at, sizeof text - (size_t)at, " %u", dispatches[i].spec[c]);
            add(text);
        }
    }
    __real_tsr_run_emit(r, call);
}

tsr_status __wrap_tsr_bench_time(tsr_bencher *b, const tsr_bench_row *row, tsr_bench_body body,
                                 void *arg) {
    tsr_status s = body(arg);
    if (s) {
        fprintf(stderr, "collect_dispatches: %s: %s\n", row->name, tsr_detail(b->ctx));
        failed = 1;
    }
    return TSR_OK;
}

tsr_status __wrap_tsr_bench_program(tsr_bencher *b, const tsr_bench_case *c) {
    tsr_device *device = tsr_bench_open(b, 0, c->name);
    if (!device) return TSR_ERROR_DEVICE;
    tsr_program program = {.fn = c->fn, .model = c->model, .variant = c->variant, .name = c->name};
    tsr_status s = tsr_execute(device, &program, c->in, c->in_count, c->out, c->out_count);
    tsr_device_forget(device, c->model);
    if (s) {
        fprintf(stderr, "collect_dispatches: %s: %s\n", c->name, tsr_detail(b->ctx));
        failed = 1;
    }
    return TSR_OK;
}

static void no_row(void *user, const char *json) {
    (void)user;
    (void)json;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Writes every module to the folder and lists those that no line names. */
static void modules(const char *folder) {
    for (int i = 0; i < tsr_shader_count; ++i) {
        char path[4096], text[512];
        const tsr_shader *shader = &tsr_shaders[i];
        snprintf(path, sizeof path, "%s/%s.spv", folder, shader->name);
        FILE *f = fopen(path, "wb");
        if (!f || fwrite(shader->words, 4, shader->count, f) != shader->count || fclose(f)) {
            perror(path);
            exit(1);
        }
        int used = snprintf(text, sizeof text, "%s ", shader->name);
        bool reached = false;
        for (int k = 0; k < line_count && !reached; ++k)
            reached = !strncmp(lines[k], text, (size_t)used);
        if (reached) continue;
        snprintf(text, sizeof text, "%s 64 0", shader->name);
        add(text);
    }
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: collect_dispatches FOLDER > pipelines.txt\n");
        return 2;
    }
    tsr_context *ctx = NULL;
    tsr_bench_settings settings = {.device = "cpu"};
    if (tsr_context_open(&ctx, NULL)) return 1;
    tsr_status s = tsr_bench(ctx, &settings, no_row, NULL);
    if (s) fprintf(stderr, "collect_dispatches: %s: %s\n", tsr_status_text(s), tsr_detail(ctx));
    tsr_context_close(&ctx);
    modules(argv[1]);
    if (lines) qsort(lines, (size_t)line_count, sizeof *lines, by_text);
    for (int i = 0; i < line_count; ++i)
        puts(lines[i]);
    return s || failed;
}
