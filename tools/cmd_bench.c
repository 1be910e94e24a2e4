/* SPDX-License-Identifier: MIT */
/* cmd_bench.c: how fast it is here, beside the plain C reference and beside rivals; and how many
 * ids another form of arithmetic changes. */
#include "bench_report.h"

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct bench_options {
    common_options common;
    const char *filter, *model, *report, *batch, *forms;
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
     "instead: encode PICTURES in two forms, f32 and fast precision, and count equal ids", NULL, 0,
     0},
    {"forms", 0, OPTION_TEXT, AT(forms), "A,B", "f32,fast",
     "with --agreement: the two: f32 or fast (precision), pairs (f32 products of pairs of f16), or "
     "cpu (f32 on the cpu)",
     NULL, 0, 0},
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

/* What the two words of --forms stand for. */
static const char *const form_names[] = {"f32", "fast", "pairs", "cpu"};
enum { F32, FAST, PAIRS, CPU, FORMS };

/* "f32,pairs" to two of them, NULL to f32 and fast; false where it is something else. */
static bool read_forms(const char *text, int forms[2]) {
    if (!text) text = "f32,fast";
    const char *comma = strchr(text, ',');
    const char *word[2] = {text, comma ? comma + 1 : ""};
    const size_t length[2] = {comma ? (size_t)(comma - text) : 0, strlen(word[1])};
    for (int i = 0; i < 2; ++i) {
        forms[i] = 0;
        while (forms[i] < FORMS && (strlen(form_names[forms[i]]) != length[i] ||
                                    strncmp(word[i], form_names[forms[i]], length[i]) != 0))
            ++forms[i];
        if (forms[i] == FORMS) return false;
    }
    return true;
}

/* Writes what of the mask is left and, for pairs, +pairs into mask [bytes]. */
static tsr_model_settings form_settings(const bench_options *o, int form, char *mask,
                                        size_t bytes) {
    tsr_model_settings s = tsr_model_settings_default();
    const char *others = o->common.mask ? o->common.mask : "";
    snprintf(mask, bytes, "%s%s%s", others, *others && form == PAIRS ? "," : "",
             form == PAIRS ? "+pairs" : "");
    s.model = o->model;
    s.device = form == CPU ? "cpu" : o->common.device;
    s.precision = form == FAST ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    s.mask = *mask ? mask : NULL;
    return s;
}

static void agreement_json(tool *t, const int forms[2], const tsr_agreement *a) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "tokenizer", a->tokenizer);
    json_array(&j, "forms");
    for (int i = 0; i < 2; ++i) {
        json_object(&j, NULL);
        json_text(&j, "form", form_names[forms[i]]);
        json_text(&j, "device", a->device[i]);
        json_text(&j, "path", *a->path[i] ? a->path[i] : NULL);
        json_bool(&j, "used", a->used[i] != 0);
        json_real(&j, "seconds", a->seconds[i]);
        json_real(&j, "cpu_seconds", a->cpu_seconds[i]);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_uint(&j, "pictures", a->pictures);
    json_uint(&j, "tiles", a->tiles);
    json_uint(&j, "ids", a->ids);
    json_uint(&j, "equal", a->equal);
    json_real(&j, "agreement", a->ids ? (double)a->equal / (double)a->ids : 1);
    json_real(&j, "tile_min", a->tile_min);
    json_real(&j, "tile_median", a->tile_median);
    json_uint(&j, "near_ties", a->near_ties);
    json_close(&j);
}

static void agreement_text(const int forms[2], const tsr_agreement *a, bool painted) {
    const bool one = !strcmp(a->device[0], a->device[1]);
    printf("%s on %s%s%s\n", a->tokenizer, a->device[0], one ? "" : " and ",
           one ? "" : a->device[1]);
    for (int i = 0; i < 2; ++i)
        printf("%-15s %s%s\n", form_names[forms[i]],
               *a->path[i]                             ? a->path[i]
               : forms[i] == FAST || forms[i] == PAIRS ? "this device has none: f32"
                                                       : "products in f32",
               *a->path[i] && !a->used[i] ? "; this encoder has no such product" : "");
    char pictures[32], tiles[32];
    printf("sample          %s%s, %s\n", tool_count(a->pictures, "picture", pictures),
           painted ? " painted in memory" : "", tool_count(a->tiles, "tile", tiles));
    printf("equal ids       %" PRIu64 " of %" PRIu64 ", %.2f %%; of a tile at least %.2f %%, "
           "median %.2f %%\n",
           a->equal, a->ids, a->ids ? 100 * (double)a->equal / (double)a->ids : 100.0,
           100 * a->tile_min, 100 * a->tile_median);
    printf("near ties       %" PRIu64 " in %s\n", a->near_ties, form_names[forms[0]]);
    printf("seconds         %.3f in %s, %.3f in %s\n", a->seconds[0], form_names[forms[0]],
           a->seconds[1], form_names[forms[1]]);
    printf("processor time  %.3f in %s, %.3f in %s\n", a->cpu_seconds[0], form_names[forms[0]],
           a->cpu_seconds[1], form_names[forms[1]]);
}

static int run_agreement(const verb *v, const bench_options *o, char **pictures, int count) {
    enum { MASK_BYTES = 4096 };
    tool t;
    int forms[2];
    if (!read_forms(o->forms, forms))
        return args_wrong(v,
                          "--forms %s: wanted two of f32, fast, pairs and cpu with a comma "
                          "between",
                          o->forms);
    if (o->common.mask && strlen(o->common.mask) >= MASK_BYTES - sizeof ",+pairs")
        return args_wrong(v, "--mask: wanted less than 4000 characters with --agreement");
    int code = tool_open(&t, v, &o->common);
    if (code >= 0) return code;
    char mask[2][MASK_BYTES];
    const tsr_model_settings s[2] = {form_settings(o, forms[0], mask[0], MASK_BYTES),
                                     form_settings(o, forms[1], mask[1], MASK_BYTES)};
    tsr_agreement a;
    tsr_status status = tsr_measure_agreement(t.ctx, (const char *const *)pictures, count, s,
                                              tool_progress, &t, &a);
    tool_progress_clear(&t);
    if (status)
        code = tool_fail(&t, status);
    else {
        code = EXIT_DONE;
        if (o->common.json)
            agreement_json(&t, forms, &a);
        else
            agreement_text(forms, &a, count == 0);
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
    if (o.forms && !o.agreement)
        return args_wrong(v, "--forms %s: wanted --agreement with it", o.forms);
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
    .usage = "tessera bench [-t MODEL [--batch N,...]] [--filter TEXT] [--device cpu|vulkan[:N]]\n"
             "              [--precision P] [--seconds S] [--report FILE] [--json]\n"
             "tessera bench --agreement [-t MODEL] [PICTURES...] [--forms A,B]\n"
             "              [--device cpu|vulkan[:N]] [--json]",
    .about =
        "One row for each measurement: least, median and 95th percentile in milliseconds, GFLOP/s "
        "or GB/s of the median, and the share of this machine's measured peak. The same work done "
        "by the plain C reference and, where there is one, by a rival library stands beside ours. "
        "Close other programs first; --threads says how many cores to use.\n"
        "With --agreement pictures (four painted in memory when none are named) are encoded in two "
        "forms, f32 and fast precision or what --forms names, and the ids compared position by "
        "position: how many are equal, in all and in the worst and the median tile, what the "
        "device "
        "rounds, and how long both took after a first encode that is not timed.",
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
                "tessera bench --agreement -t flextok/ album/*.jpg\n"
                "# f32 products of pairs of f16, beside the cpu\n"
                "tessera bench --agreement --forms cpu,pairs -t flextok/ album/*.jpg",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_MASK,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "PICTURES",
    .run = run,
};
