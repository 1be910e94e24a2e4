/* SPDX-License-Identifier: MIT */
/* cmd_bench.c: how fast it is here, beside the plain C reference and beside rivals; and how many
 * ids --precision fast changes. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    common_options common;
    const char *filter, *model;
    double seconds;
    int agreement;
} bench_options;

#define AT(field) offsetof(bench_options, field)
static const option options[] = {
    {"filter", 'f', OPTION_TEXT, AT(filter), "TEXT", "all rows",
     "only rows whose name contains TEXT", NULL, 0, 0},
    {"seconds", 0, OPTION_REAL, AT(seconds), "S", "0.5", "least time spent on a row", NULL, 0,
     3600},
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
} bench_state;

static double number(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsNumber(value) ? value->valuedouble : -1;
}

static const char *text(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

static const char *cell(double value, const char *format, char *out, size_t size) {
    if (value < 0)
        snprintf(out, size, "-");
    else
        snprintf(out, size, format, value);
    return out;
}

static void print_row(const char *json) {
    cJSON *row = cJSON_Parse(json);
    const char *name = text(row, "name"), *by = text(row, "by"), *device = text(row, "device");
    const char *error = text(row, "error"), *skipped = text(row, "skipped");
    printf("%-34s %-10s %-9s ", name ? name : "?", by ? by : "?", device ? device : "?");
    if (error || skipped) {
        printf("%s: %s\n", error ? "failed" : "skipped", error ? error : skipped);
    } else {
        char a[24], b[24], c[24];
        double share = number(row, "peak_share");
        printf("%9.3f %9.3f %9.3f %8s %7s %6s\n", number(row, "min_ms"), number(row, "median_ms"),
               number(row, "p95_ms"), cell(number(row, "gflops"), "%.1f", a, sizeof a),
               cell(number(row, "gbs"), "%.2f", b, sizeof b),
               cell(share < 0 ? share : 100 * share, "%.0f%%", c, sizeof c));
    }
    fflush(stdout);
    cJSON_Delete(row);
}

static void on_row(void *user, const char *json) {
    bench_state *state = user;
    if (state->rows++ == 0 && !state->json)
        printf("%-34s %-10s %-9s %9s %9s %9s %8s %7s %6s\n", "row", "by", "device", "min ms",
               "median", "p95", "GFLOP/s", "GB/s", "peak");
    if (strstr(json, "\"error\":")) state->errors++;
    if (state->json)
        json_raw(&state->j, NULL, json);
    else
        print_row(json);
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
    bench_state state = {.json = o.common.json != 0};
    tsr_bench_settings s = {.model = o.model,
                            .device = o.common.device,
                            .filter = o.filter,
                            .mask = o.common.mask,
                            .seconds = o.seconds};
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
    code = EXIT_DONE;
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
        "tessera bench [-t MODEL] [--filter TEXT] [--device cpu|vulkan[:N]] [--seconds S] "
        "[--json]\n"
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
