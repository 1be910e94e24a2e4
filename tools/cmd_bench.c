/* SPDX-License-Identifier: MIT */
/* cmd_bench.c: how fast it is here, beside the plain C reference and beside rivals; and how many
 * ids --precision fast changes. */
#include "bench_report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    common_options common;
    const char *filter, *model, *report, *batch;
    double seconds;
    int agreement, precision;
} bench_options;

#define AT(field) offsetof(bench_options, field)
static const option options[] = {
    {"filter", 'f', OPTION_TEXT, AT(filter), "TEXT", "all rows",
     "only rows whose name contains TEXT", NULL, 0, 0},
    {"seconds", 0, OPTION_REAL, AT(seconds), "S", "0.5", "least time spent on a row", NULL, 0,
     3600},
    {"precision", 0, OPTION_CHOICE, AT(precision), "P", "f32",
     "of rows of ops: f32 or fast; a model is timed in both", "f32|fast", 0, 0},
    {"batch", 0, OPTION_TEXT, AT(batch), "N[,N...]", "1,16",
     "with -t: tiles of a row, computed at once", NULL, 0, 0},
    {"report", 0, OPTION_TEXT, AT(report), "FILE", NULL,
     "write devices, versions, clocks and rows with the time of each op to FILE, as JSON, and "
     "FILE.txt to read",
     NULL, 0, 0},
    {"agreement", 0, OPTION_FLAG, AT(agreement), NULL, NULL,
     "instead: encode PICTURES in f32 and in fast precision and count equal ids", NULL, 0, 0},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "time this model's tiles to tokens and back, or a tower's pictures to features, one and 16 at "
     "once, in f32 and in fast; with "
     "--agreement: whose ids. A file, a folder or a name, as in encode",
     NULL, 0, 0},
};

typedef struct bench_state {
    json_out j;
    bool json;
    int rows, errors;
    bench_report *report; /* NULL: none is written */
} bench_state;

static void on_row(void *user, const char *json) {
    bench_state *state = user;
    if (state->rows++ == 0 && !state->json) bench_row_head(stdout);
    if (strstr(json, "\"error\":")) state->errors++;
    if (state->json)
        json_raw(&state->j, NULL, json);
    else
        bench_row_print(stdout, json);
    fflush(stdout); /* a run that is stopped has written what it had */
    if (state->report) bench_report_row(state->report, json);
}

static void agreement_json(tool *t, const tsr_agreement *a) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "tokenizer", a->tokenizer);
    json_text(&j, "device", a->device);
    json_text(&j, "fast_path", *a->fast_path ? a->fast_path : NULL);
    json_bool(&j, "fast_used", a->fast_used != 0);
    json_uint(&j, "pictures", a->pictures);
    json_uint(&j, "tiles", a->tiles);
    json_uint(&j, "ids", a->ids);
    json_uint(&j, "equal", a->equal);
    json_real(&j, "agreement", a->ids ? (double)a->equal / (double)a->ids : 1);
    json_real(&j, "tile_min", a->tile_min);
    json_real(&j, "tile_median", a->tile_median);
    json_uint(&j, "near_ties", a->near_ties);
    json_real(&j, "seconds_f32", a->seconds_f32);
    json_real(&j, "seconds_fast", a->seconds_fast);
    json_real(&j, "cpu_seconds_f32", a->cpu_seconds_f32);
    json_real(&j, "cpu_seconds_fast", a->cpu_seconds_fast);
    json_close(&j);
}

static void agreement_text(const tsr_agreement *a, bool painted) {
    printf("%s on %s\n", a->tokenizer, a->device);
    if (!*a->fast_path)
        printf("fast precision  this device has none: both runs are f32\n");
    else
        printf("fast precision  %s%s\n", a->fast_path,
               a->fast_used ? "" : "; this encoder has no such product");
    char pictures[32], tiles[32];
    printf("sample          %s%s, %s\n", tool_count(a->pictures, "picture", pictures),
           painted ? " painted in memory" : "", tool_count(a->tiles, "tile", tiles));
    printf("equal ids       %" PRIu64 " of %" PRIu64 ", %.2f %%; of a tile at least %.2f %%, "
           "median %.2f %%\n",
           a->equal, a->ids, a->ids ? 100 * (double)a->equal / (double)a->ids : 100.0,
           100 * a->tile_min, 100 * a->tile_median);
    printf("near ties       %" PRIu64 " in f32\n", a->near_ties);
    printf("seconds         %.3f in f32, %.3f in fast\n", a->seconds_f32, a->seconds_fast);
    printf("processor time  %.3f in f32, %.3f in fast\n", a->cpu_seconds_f32, a->cpu_seconds_fast);
}

static int run_agreement(const verb *v, const bench_options *o, char **pictures, int count) {
    tool t;
    int code = tool_open(&t, v, &o->common);
    if (code >= 0) return code;
    tsr_model_settings s = tsr_model_settings_default();
    s.model = o->model;
    s.device = o->common.device;
    s.mask = o->common.mask;
    tsr_agreement a;
    tsr_status status = tsr_measure_agreement(t.ctx, (const char *const *)pictures, count, &s,
                                              tool_progress, &t, &a);
    tool_progress_clear(&t);
    if (status)
        code = tool_fail(&t, status);
    else {
        code = EXIT_DONE;
        if (o->common.json)
            agreement_json(&t, &a);
        else
            agreement_text(&a, count == 0);
    }
    tool_close(&t);
    return code;
}

/* "1,16,128"; NULL gives none. False where it is something else. */
static bool read_batches(const char *text, int *batches, int *count) {
    *count = 0;
    for (const char *at = text; at; ++at) {
        char *end;
        const long n = strtol(at, &end, 10);
        if (end == at || n < 1 || n > 4096 || *count == 32 || (*end && *end != ',')) return false;
        batches[(*count)++] = (int)n;
        if (!*end) break;
        at = end;
    }
    return true;
}

static int run(const verb *v, int argc, char **argv) {
    bench_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (o.agreement && (o.filter || o.seconds > 0))
        return args_wrong(v, "%s and --agreement exclude each other: wanted one of them",
                          o.filter ? "--filter" : "--seconds");
    if (o.agreement) return run_agreement(v, &o, argv, operands);
    if (operands)
        return args_wrong(v, "'%s' is one argument too many; wanted none without --agreement",
                          argv[0]);
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    int batches[32], batch_count = 0;
    if (!read_batches(o.batch, batches, &batch_count)) {
        tool_close(&t);
        return args_wrong(v, "--batch %s: wanted numbers from 1 to 4096 with commas between",
                          o.batch);
    }
    bench_state state = {.json = o.common.json != 0};
    bench_report report = {0};
    if (o.report) {
        if ((code = bench_report_open(&t, &report, o.report, o.model, o.filter)) >= 0) {
            tool_close(&t);
            return code;
        }
        state.report = &report;
    }
    tsr_bench_settings s = {.model = o.model,
                            .precision = o.precision ? TSR_PRECISION_FAST : TSR_PRECISION_F32,
                            .batches = batch_count ? batches : NULL,
                            .batch_count = batch_count,
                            .device = o.common.device,
                            .filter = o.filter,
                            .mask = o.common.mask,
                            .seconds = o.seconds,
                            .progress = tool_progress,
                            .progress_user = &t};
    t.bar = false; /* rows are what is seen */
    if (state.json) {
        tool_json(&t, &state.j);
        json_array(&state.j, "rows");
    }
    tsr_status status = tsr_bench(t.ctx, &s, on_row, &state);
    if (state.json) {
        json_end(&state.j, ']');
        json_text(&state.j, "error", status ? tsr_detail(t.ctx) : NULL);
        json_close(&state.j);
    }
    code = o.report ? bench_report_close(&t, &report, status ? tsr_detail(t.ctx) : NULL) : -1;
    if (code < 0) code = EXIT_DONE;
    if (status) {
        code = tool_exit_code(status);
        if (o.common.quiet < 2)
            fprintf(stderr, "tessera bench: %s: %s\n", tsr_status_text(status), tsr_detail(t.ctx));
    } else if (state.rows == 0)
        tool_say(&t, "tessera bench: no row's name contains '%s'", o.filter ? o.filter : "");
    tool_close(&t);
    return code;
}

const verb verb_bench = {
    .name = "bench",
    .summary = "time every op and model, beside the C reference and oneDNN",
    .usage =
        "tessera bench [-t MODEL [--batch N,...]] [--filter TEXT] [--device cpu|vulkan[:N]]\n"
        "              [--precision P] [--seconds S] [--report FILE] [--json]\n"
        "tessera bench --agreement [-t MODEL] [PICTURES...] [--device cpu|vulkan[:N]] [--json]",
    .about =
        "One row for each measurement: least, median and 95th percentile in milliseconds, GFLOP/s "
        "or GB/s of the median, and the share of this machine's measured peak. The same work done "
        "by the plain C reference and, where there is one, by a rival library stands beside ours. "
        "Close other programs first; --threads says how many cores to use.\n"
        "With --agreement pictures (four painted in memory when none are named) are encoded in f32 "
        "and "
        "in fast precision on one device, and the ids compared position by position: how many are "
        "equal, in all and in the worst and the median tile, what the device rounds, and how long "
        "both took after a first encode that is not timed.",
    .exits = NULL,
    .examples = "# everything (minutes)\n"
                "tessera bench\n"
                "# matrix products on the cpu\n"
                "tessera bench --filter linear --device cpu\n"
                "# a model: milliseconds a tile on every device\n"
                "tessera bench -t titok/\n"
                "# for a record\n"
                "tessera bench --json > bench.json\n"
                "# what a graphics card does, as a file to send\n"
                "tessera bench --filter gpu --device vulkan:0 --report my-card.json\n"
                "# what --precision fast does to the ids of a model\n"
                "tessera bench --agreement -t flextok/ album/*.jpg",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_MASK,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "PICTURES",
    .run = run,
};
