/* SPDX-License-Identifier: MIT */
/* cmd_reduce.c: operators on token sets: select, merge, pool, order, quantise. */
#include "operator_text.h"
#include "plot_file.h"
#include "reduce_show.h"
#include "text_draw.h"

#include <tessera/clip.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct reduce_options {
    common_options common;
    const char *output, *key, *explain, *show, *stream, *into;
    text_list operations;
    uint32_t frame;
    int list, compare, trace, fit;
} reduce_options;

#define AT(field) offsetof(reduce_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", NULL,
     "where to write: token sets (.safetensors), or their column ids as streams of a token file "
     "(.tess); with --show or --compare a picture (.png ...), with --compare also .svg",
     NULL, 0, 0},
    {"stream", 0, OPTION_TEXT, AT(stream), "NAME", "ids",
     "with -o OUT.tess: what the stream of ids is called", NULL, 0, 0},
    {"into", 0, OPTION_TEXT, AT(into), "IN.tess", "none",
     "with -o OUT.tess: the token file whose items, found by key, get the stream behind those they "
     "have",
     NULL, 0, 0},
    {"op", 0, OPTION_TEXTS, AT(operations), "OPERATION", NULL,
     "NAME or NAME:KEY=VALUE,KEY=VALUE; several are applied one after the other, and so are those "
     "with '|' between",
     NULL, 0, 0},
    {"key", 0, OPTION_TEXT, AT(key), "KEY", "all",
     "only the token set of this key, of a file with several", NULL, 0, 0},
    {"show", 0, OPTION_TEXT, AT(show), "PICTURE", NULL,
     "draw the result over the picture the tokens are of: dropped tokens are dim, kept ones "
     "bright, "
     "merged ones outlined together",
     NULL, 0, 0},
    {"fit", 0, OPTION_CHOICE, AT(fit), "F", "auto",
     "with --show: how the picture became the grid of tokens: stretch (SigLIP), crop, its central "
     "square (CLIP, DINOv2), pad, a square around it (LLaVA-1.5), or auto, what 'tessera features' "
     "wrote into the file (stretch where it says nothing)",
     "auto|stretch|crop|pad", 0, 0},
    {"frame", 0, OPTION_UINT, AT(frame), "N", "0", "with --show: which frame of a clip", NULL, 0,
     1e9},
    {"compare", 0, OPTION_FLAG, AT(compare), NULL, NULL,
     "each --op is a chain of its own; print what each keeps and costs, and draw it with -o", NULL,
     0, 0},
    {"trace", 0, OPTION_FLAG, AT(trace), NULL, NULL,
     "print what the last operator found on its way: scores, order, centres", NULL, 0, 0},
    {"list", 0, OPTION_FLAG, AT(list), NULL, NULL, "list the operators", NULL, 0, 0},
    {"explain", 0, OPTION_TEXT, AT(explain), "NAME", NULL,
     "say what an operator computes, from which source, what published code does differently, and "
     "its parameters",
     NULL, 0, 0},
};

/* ---- one chain over all sets of a file ---- */

typedef struct totals {
    uint64_t sets, failed;
    int64_t source, kept, dropped;
    double seconds;
    uint64_t compared, held_sets;
    double cosine, held, error, coverage; /* sums over the sets that could be compared */
} totals;

static void add_totals(totals *sum, const tsr_token_set_comparison *c, bool compared,
                       double coverage, double seconds, const tsr_token_set *made) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    sum->sets++;
    sum->source += info.source;
    sum->kept += info.count;
    sum->seconds += seconds;
    if (!compared) return;
    sum->compared++;
    sum->coverage += coverage;
    sum->dropped += c->dropped;
    sum->cosine += c->cosine;
    sum->error += c->squared_error;
    if (!isnan(c->cosine_held)) {
        sum->held += c->cosine_held;
        sum->held_sets++;
    }
}

typedef struct work {
    tool *t;
    const reduce_options *o;
    tsr_token_sets *sets;
    tsr_token_sets_writer *writer; /* NULL: no token sets are written */
    tsr_set_streams *streams;      /* NULL: no token file is */
    json_out *j;                   /* NULL: text */
} work;

static void set_json(const work *w, const char *key, const tsr_token_set *made,
                     const tsr_token_set_comparison *c, bool compared, double seconds,
                     const tsr_reduce_report *report) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    json_object(w->j, NULL);
    json_text(w->j, "key", key);
    json_int(w->j, "source", info.source);
    json_int(w->j, "tokens", info.count);
    json_int(w->j, "channels", info.channels);
    if (info.grid[0]) {
        json_array(w->j, "grid");
        for (int i = 0; i < 3; ++i)
            json_int(w->j, NULL, info.grid[i]);
        json_end(w->j, ']');
    }
    if (compared) {
        json_int(w->j, "dropped", c->dropped);
        json_real(w->j, "cosine", c->cosine);
        json_real(w->j, "cosine_held", c->cosine_held);
        json_real(w->j, "squared_error", c->squared_error);
    }
    json_real(w->j, "seconds", seconds);
    report_json(w->j, report);
    if (w->o->trace) {
        json_object(w->j, "trace");
        for (int i = 0; i < tsr_token_set_trace_count(made); ++i) {
            const tsr_token_array a = tsr_token_set_trace_at(made, i);
            operator_json(w->j, &a);
        }
        json_end(w->j, '}');
    }
    json_end(w->j, '}');
}

static void set_text(const work *w, const char *key, const tsr_token_set *made,
                     const tsr_token_set_comparison *c, bool compared) {
    tsr_token_set_info info;
    char clean[256];
    tsr_token_set_info_get(made, &info);
    if (tsr_token_sets_count(w->sets) == 1 || w->o->key || w->o->common.verbose) {
        char cosine[64] = "";
        if (compared) snprintf(cosine, sizeof cosine, ", cosine to the original %.4f", c->cosine);
        tool_say(w->t, "%s%s%" PRId64 " of %" PRId64 " tokens%s",
                 tool_clean(key, clean, sizeof clean), *key ? ": " : "", info.count, info.source,
                 cosine);
    }
    for (int i = 0; w->o->trace && i < tsr_token_set_trace_count(made); ++i) {
        const tsr_token_array a = tsr_token_set_trace_at(made, i);
        operator_print(&a, 64);
    }
}

/* Applies a chain to one set. A set that cannot be read or reduced is said and left out. */
static int reduce_one(const work *w, const chain *c, int64_t index, totals *sum, bool say) {
    tsr_token_set *set = NULL, *made = NULL;
    tsr_reduce_report report = {0};
    const tsr_reduce_settings settings = {.device = w->o->common.device, .report = &report};
    const char *key = tsr_token_sets_key(w->sets, index);
    tsr_status s = tsr_token_sets_read(w->sets, index, &set);
    const double start = tool_seconds();
    if (!s) s = tsr_token_set_reduce(set, c->at, c->count, &settings, &made);
    const double seconds = tool_seconds() - start;
    tsr_token_set_comparison comparison = {0};
    bool compared = false;
    double coverage = 0;
    int code = -1;
    if (!s) {
        tsr_token_set_info before, after;
        tsr_token_set_info_get(set, &before);
        tsr_token_set_info_get(made, &after);
        compared = before.count == after.source && before.channels == after.channels &&
                   !tsr_token_set_compare(set, made, &comparison);
        if (compared && w->o->compare) s = tsr_token_set_coverage(set, made, &settings, &coverage);
        if (!s && w->writer) s = tsr_token_sets_append(w->writer, key, made);
        if (!s && w->streams) s = tsr_set_streams_append(w->streams, *key ? key : "tokens", made);
        if (s) code = tool_fail(w->t, s);
    } else if (tsr_token_sets_count(w->sets) == 1 || w->o->key) {
        code = tool_fail(w->t, s);
    } else {
        char clean[256];
        tool_warn(w->t, "%s: %s", tool_clean(key, clean, sizeof clean), tsr_detail(w->t->ctx));
        sum->failed++;
    }
    if (!s) {
        add_totals(sum, &comparison, compared, coverage, seconds, made);
        if (say && w->j)
            set_json(w, key, made, &comparison, compared, seconds, &report);
        else if (say)
            set_text(w, key, made, &comparison, compared);
        if (say && !w->j && (w->o->trace || w->o->common.verbose))
            report_text(w->t, c->at, &report);
        if (say && w->o->show && code < 0)
            code = reduce_show(w->t, made, w->o->show, w->o->fit,
                               tsr_token_sets_metadata(w->sets, "view"), w->o->frame, w->o->output);
    }
    tsr_token_set_close(&made);
    tsr_token_set_close(&set);
    return code;
}

static int reduce_all(const work *w, const chain *c, totals *sum, bool say) {
    const int64_t count = tsr_token_sets_count(w->sets);
    bool found = false;
    for (int64_t i = 0; i < count; ++i) {
        if (w->o->key && strcmp(w->o->key, tsr_token_sets_key(w->sets, i))) continue;
        found = true;
        if (count > 1 && tool_progress(w->t, "reducing", (uint64_t)i, (uint64_t)count))
            return tool_fail_text(w->t, TSR_ERROR_INTERRUPTED, "interrupted");
        const int code = reduce_one(w, c, i, sum, say);
        if (code >= 0) return code;
    }
    tool_progress_clear(w->t);
    if (!found)
        return tool_fail_text(w->t, TSR_ERROR_NOT_FOUND, "no token set has the key '%s'",
                              w->o->key);
    if (!sum->sets) return tool_fail_text(w->t, TSR_ERROR_FORMAT, "no token set could be reduced");
    return -1;
}

/* ---- comparing chains ---- */

/* NaN where nothing was counted. */
static double mean_of(double sum, uint64_t count) {
    return count ? sum / (double)count : NAN;
}

static int compare_plot(tool *t, const reduce_options *o, const chain *chains, const totals *sums,
                        int count) {
    plot_point points[MOST_TEXTS];
    plot_series series[MOST_TEXTS];
    double least = 1, low = 1;
    for (int i = 0; i < count; ++i) {
        const totals *s = &sums[i];
        if (!s->compared)
            return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                                  "%s: -o: wanted chains that keep the channels, got one that does "
                                  "not",
                                  chains[i].text);
        points[i] = (plot_point){.x = (double)s->kept / (double)s->source,
                                 .y = mean_of(s->coverage, s->compared),
                                 .low = NAN,
                                 .high = NAN};
        series[i] =
            (plot_series){.name = chains[i].text, .points = &points[i], .count = 1, .look = i};
        if (points[i].x < least) least = points[i].x;
        if (points[i].y < low) low = points[i].y;
    }
    const plot p = {.title = "What is left of the features",
                    .x_name = "share of the tokens kept",
                    .y_name = "mean cosine of source tokens to the nearest token",
                    .x_least = exp2(floor(log2(least * 0.9))),
                    .x_most = 1,
                    .y_least = floor(low * 10 - 0.01) / 10,
                    .y_most = 1,
                    .log_x = true,
                    .series = series,
                    .count = count};
    return plot_file_write(t, &p, o->output);
}

static void compare_row(const work *w, const chain *c, const totals *s, int number) {
    const double n = (double)s->sets;
    if (!w->j) {
        printf("%3d  %8.1f  %6.2f %%  %8.4f  %8.4f  %8.4f  %9.4f  %9.2f  %s\n", number,
               (double)s->kept / n, 100.0 * (double)s->kept / (double)s->source,
               mean_of(s->coverage, s->compared), mean_of(s->cosine, s->compared),
               mean_of(s->held, s->held_sets), mean_of(s->error, s->compared), 1e3 * s->seconds / n,
               c->text);
        return;
    }
    json_object(w->j, NULL);
    json_text(w->j, "chain", c->text);
    json_uint(w->j, "sets", s->sets);
    json_uint(w->j, "failed", s->failed);
    json_real(w->j, "tokens", (double)s->kept / n);
    json_real(w->j, "share", (double)s->kept / (double)s->source);
    json_real(w->j, "dropped", mean_of((double)s->dropped, s->compared));
    json_real(w->j, "coverage", mean_of(s->coverage, s->compared));
    json_real(w->j, "cosine", mean_of(s->cosine, s->compared));
    json_real(w->j, "cosine_held", mean_of(s->held, s->held_sets));
    json_real(w->j, "squared_error", mean_of(s->error, s->compared));
    json_real(w->j, "seconds", s->seconds / n);
    json_end(w->j, '}');
}

static int compare(work *w, chain *chains, int count) {
    totals sums[MOST_TEXTS] = {{0}};
    uint64_t failed = 0;
    int code = -1;
    if (w->j)
        json_array(w->j, "chains");
    else
        puts("  #    tokens     share  coverage    cosine  of those    squared   ms a set  chain\n"
             "                                                 held      error");
    for (int i = 0; i < count && code < 0; ++i) {
        code = reduce_all(w, &chains[i], &sums[i], false);
        failed += sums[i].failed;
        if (code < 0) compare_row(w, &chains[i], &sums[i], i + 1);
    }
    if (code >= 0) return code;
    if (w->j) json_end(w->j, ']');
    if (w->o->output) code = compare_plot(w->t, w->o, chains, sums, count);
    return code >= 0 ? code : failed ? EXIT_NEGATIVE : EXIT_DONE;
}

static int reduce_file(work *w, const chain *c) {
    totals sum = {0};
    if (w->j) json_array(w->j, "sets");
    int code = reduce_all(w, c, &sum, true);
    if (code >= 0) return code;
    if (w->writer) {
        const tsr_status s = tsr_token_sets_finish(&w->writer);
        if (s) return tool_fail(w->t, s);
    }
    if (w->streams) {
        const tsr_status s = tsr_set_streams_finish(&w->streams);
        if (s) return tool_fail(w->t, s);
    }
    char sets[32], failed[48] = "";
    if (sum.failed)
        snprintf(failed, sizeof failed, "; %" PRIu64 " could not be reduced", sum.failed);
    if (!w->j && sum.sets + sum.failed > 1)
        tool_say(w->t, "%s: %.1f of %.1f tokens on average%s",
                 tool_count(sum.sets, "token set", sets), (double)sum.kept / (double)sum.sets,
                 (double)sum.source / (double)sum.sets, failed);
    if (w->j) {
        json_end(w->j, ']');
        json_uint(w->j, "failed", sum.failed);
        json_text(w->j, "output", w->o->output);
    }
    return sum.failed ? EXIT_NEGATIVE : EXIT_DONE;
}

/* What `tessera features` says of all sets of a file is true of the reduced ones, too. */
static tsr_status keep_metadata(const work *w) {
    static const char *const keys[] = {"tower",   "family", "layer", "features",
                                       "weights", "view",   "tiles"};
    tsr_status s = TSR_OK;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && !s; ++i) {
        const char *value = tsr_token_sets_metadata(w->sets, keys[i]);
        if (value) s = tsr_token_sets_describe(w->writer, keys[i], value);
    }
    return s;
}

static bool is_token_file(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".tess");
}

/* The token file that ids go into; their source is the sets' tower. */
static tsr_status open_streams(work *w) {
    tsr_set_streams_settings s = tsr_set_streams_settings_default();
    const char *weights = tsr_token_sets_metadata(w->sets, "weights");
    if (w->o->stream) s.stream = w->o->stream;
    s.source = tsr_token_sets_metadata(w->sets, "tower");
    s.weights_hash = weights ? strtoull(weights, NULL, 16) : 0;
    s.into = w->o->into;
    return tsr_set_streams_create(w->t->ctx, w->o->output, &s, &w->streams);
}

/* ---- the verb ---- */

static int work_on(tool *t, const reduce_options *o, const char *input, chain *chains, int count) {
    json_out j;
    char *text = NULL; /* a document that a failure makes needless */
    size_t size = 0;
    FILE *memory = o->common.json ? open_memstream(&text, &size) : NULL;
    work w = {.t = t, .o = o, .j = memory ? &j : NULL};
    tsr_status s = tsr_token_sets_open(t->ctx, input, &w.sets);
    if (!s && o->output && (o->show || (o->compare && !plot_file_is_svg(o->output))))
        s = tsr_picture_write_check(t->ctx, o->output, NULL);
    else if (!s && o->output && !o->compare && is_token_file(o->output))
        s = open_streams(&w);
    else if (!s && o->output && !o->compare)
        s = tsr_token_sets_create(t->ctx, o->output, &w.writer);
    if (!s && w.writer) s = keep_metadata(&w);
    int code = s ? tool_fail(t, s) : -1;
    if (code < 0 && o->show && !o->key && tsr_token_sets_count(w.sets) > 1)
        code = tool_fail_text(t, TSR_ERROR_ARGUMENT,
                              "--show: wanted --key, since the file has %" PRId64 " token sets",
                              tsr_token_sets_count(w.sets));
    if (code < 0) {
        if (w.j) tool_json_to(t, w.j, memory);
        code = o->compare ? compare(&w, chains, count) : reduce_file(&w, &chains[0]);
        if (w.j && code <= EXIT_NEGATIVE) json_close(w.j);
    }
    if (memory && fclose(memory) == 0 && code <= EXIT_NEGATIVE) fputs(text, stdout);
    free(text);
    tsr_token_sets_abandon(&w.writer);
    tsr_set_streams_abandon(&w.streams);
    tsr_token_sets_close(&w.sets);
    return code;
}

/* Cuts the operations into chains: with --compare each --op is one, else all are one. */
static int make_chains(tool *t, const reduce_options *o, chain *chains, int *count) {
    int code = -1;
    *count = o->compare ? o->operations.count : 1;
    for (int i = 0; i < o->operations.count && code < 0; ++i) {
        chain *c = &chains[o->compare ? i : 0];
        char *copy = strdup(o->operations.at[i]);
        if (!copy) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for the operations");
        chains[i].copy = copy; /* owned here also where all operations are one chain */
        c->text = o->operations.at[i];
        code = chain_add(t, c, copy);
    }
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    reduce_options o = {0};
    int operands, count = 0;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    const bool asks = o.list || o.explain;
    if (!asks && !operands) return args_wrong(v, "IN.safetensors is missing");
    if (!asks && !o.operations.count)
        return args_wrong(v, "--op NAME:KEY=VALUE is missing; --list names the operators");
    if (!asks && !o.output && !o.compare && !o.trace) return args_wrong(v, "-o OUT is missing");
    if (o.show && (o.compare || !o.output))
        return args_wrong(v, "--show: wanted -o OVERLAY.png and no --compare");
    if ((o.stream || o.into) && (!o.output || o.show || o.compare || !is_token_file(o.output)))
        return args_wrong(v, "--stream, --into: wanted -o OUT.tess, which they are of");
    if (o.output && operands && (code = tool_not_input(v, o.output, argv[0])) >= 0) return code;
    if (o.output && (code = tool_not_input(v, o.output, o.into)) >= 0) return code;
    if (o.output && (code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    chain *chains = calloc(MOST_TEXTS, sizeof *chains);
    if (!chains) {
        code = tool_fail_text(&t, TSR_ERROR_MEMORY, "no memory for the operations");
    } else if (o.explain) {
        code = operator_explain(&t, o.explain);
    } else if (o.list) {
        operator_list(&t, false);
        code = EXIT_DONE;
    } else if (o.compare && o.output && plot_file_missing(o.output)) {
        code = tool_fail_text(&t, TSR_ERROR_UNSUPPORTED, "%s: %s; a plot is also written as .svg",
                              o.output, plot_file_missing(o.output));
    } else {
        code = make_chains(&t, &o, chains, &count);
        if (code < 0) code = work_on(&t, &o, argv[0], chains, count);
    }
    for (int i = 0; chains && i < MOST_TEXTS; ++i)
        free(chains[i].copy);
    free(chains);
    tool_close(&t);
    return code;
}

const verb verb_reduce = {
    .name = "reduce",
    .summary = "operators on token sets: select, merge, pool, order, quantise",
    .usage =
        "tessera reduce IN.safetensors -o OUT.safetensors --op OPERATION [--op ...] [--key KEY]\n"
        "               [--trace] [--json]\n"
        "tessera reduce IN.safetensors -o OUT.tess --op OPERATION ... [--stream NAME] [--into "
        "IN.tess]\n"
        "tessera reduce IN.safetensors --op OPERATION ... --show PICTURE -o OVERLAY.png\n"
        "tessera reduce IN.safetensors --compare --op 'A:k=64' --op 'B:r=40|C' [-o PLOT.png]\n"
        "tessera reduce --list\n"
        "tessera reduce --explain NAME",
    .about =
        "Applies published operators to token sets, the features of a tower or of anything else "
        "(docs/TOKEN_SETS.md says how a file is made in five lines of NumPy). Every operator keeps "
        "the map from source tokens to tokens, so that operators can be chained in any order and "
        "measured alike: the cosine between the original features and the reduced ones painted "
        "back over their source tokens, where a dropped token counts as 0, and with --compare the "
        "coverage, the cosine of each original feature to the nearest token there is. Ties go to "
        "the lowest "
        "index; results do not depend on threads, and on the device only where a decision lies "
        "within "
        "rounding, which is counted (-v). With --device vulkan operators are steps of one program, "
        "and features stay on the GPU between them; -v, --trace and --json say where each ran. Of "
        "a file with many sets each is reduced on its own, one in memory at a time.",
    .exits = "1 when some of several sets could not be reduced; the others were written",
    .examples =
        "# a quarter of the tokens, the most different ones\n"
        "tessera reduce features.safetensors -o less.safetensors --op diverse-maxmin:ratio=0.25\n"
        "# look at it\n"
        "tessera reduce features.safetensors --op cls-attention-topk:k=64 --show cat.jpg -o "
        "cat.png\n"
        "# ids of the nearest of the codes in the file, beside the items' own ids\n"
        "tessera reduce f.safetensors -o both.tess --op nearest-code --stream semantic "
        "--into "
        "photos.tess\n"
        "# what is best for 64 tokens?\n"
        "tessera reduce features.safetensors --compare --op cls-attention-topk:k=64 \\\n"
        "    --op diverse-maxmin:k=64 --op 'pyramid-pool:target=144|diverse-maxmin:k=64' -o "
        "plot.png",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_NAME,
    .writes = true,
    .least_operands = 0,
    .most_operands = 1,
    .operands = "IN.safetensors",
    .run = run,
};
