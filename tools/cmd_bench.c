/* SPDX-License-Identifier: MIT */
/* cmd_bench.c: how fast it is here, beside the plain C reference and beside rivals. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    common_options common;
    const char *filter;
    double seconds;
} bench_options;

#define AT(field) offsetof(bench_options, field)
static const option options[] = {
    {"filter", 'f', OPTION_TEXT, AT(filter), "TEXT", "all rows",
     "only rows whose name contains TEXT", NULL, 0, 0},
    {"seconds", 0, OPTION_REAL, AT(seconds), "S", "0.5", "least time spent on a row", NULL, 0,
     3600},
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

static int run(const verb *v, int argc, char **argv) {
    bench_options o = {.seconds = 0.5};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    bench_state state = {.json = o.common.json != 0};
    tsr_bench_settings s = {.device = o.common.device, .filter = o.filter, .seconds = o.seconds};
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
    .usage = "tessera bench [--filter TEXT] [--device cpu|vulkan[:N]] [--seconds S] [--json]",
    .about =
        "One row for each measurement: least, median and 95th percentile in milliseconds, GFLOP/s "
        "or GB/s of the median, and the share of this machine's measured peak. The same work done "
        "by the plain C reference and, where there is one, by a rival library stands beside ours. "
        "Close other programs first; --threads says how many cores to use.",
    .exits = NULL,
    .examples = "# everything (minutes)\n"
                "tessera bench\n"
                "# matrix products on the cpu\n"
                "tessera bench --filter linear --device cpu\n"
                "# for a record\n"
                "tessera bench --json > bench.json",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_NAME,
    .least_operands = 0,
    .most_operands = 0,
    .operands = NULL,
    .run = run,
};
