/* SPDX-License-Identifier: MIT */
/* cmd_fit.c: laws of quality against tokens from a report, and how few tokens each picture needs.
 */
#include "measure_options.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct fit_options {
    common_options common;
    const char *metric, *at_least;
    double within;
    int together;
    uint64_t seed;
    uint32_t resamples;
} fit_options;

#define AT(field) offsetof(fit_options, field)
static const option options[] = {
    {"metrics", 0, OPTION_TEXT, AT(metric), "LIST", "all of pictures in the report",
     "metrics that laws are fitted to, names with commas between", NULL, 0, 0},
    {"together", 0, OPTION_FLAG, AT(together), NULL, NULL,
     "one law over all tokenizers of the report, such as patch codebooks of several sizes (a patch "
     "sweep); else one for each series",
     NULL, 0, 0},
    {"within", 0, OPTION_REAL, AT(within), "X", NULL,
     "for each picture, the fewest tokens whose value is at most X worse than its best in the "
     "series",
     NULL, 0, 1e9},
    {"reach", 0, OPTION_TEXT, AT(at_least), "METRIC=VALUE", NULL,
     "for each picture, the fewest tokens that reach this value (at most, where less is better)",
     NULL, 0, 0},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "the report's", "seed of the bootstrap", NULL, 0, 0},
    {"resamples", 0, OPTION_UINT, AT(resamples), "N", "500",
     "samples of the bootstrap behind the 95 % intervals", NULL, 100, 100000},
};

typedef struct fit_job {
    tool *t;
    const fit_options *o;
    const tsr_report *report;
    json_out j; /* file NULL: tables */
    tsr_fewest *fewest;
} fit_job;

static int say_law(fit_job *f, const char *metric, const char *series) {
    const tsr_law_settings s = {.series = series, .seed = f->o->seed, .resamples = f->o->resamples};
    tsr_law law;
    const tsr_status status = tsr_report_law(f->report, metric, &s, &law);
    if (status == TSR_ERROR_NOT_FOUND) return -1;
    if (status) return tool_fail(f->t, status);
    char clean[64];
    if (!f->j.file && isnan(law.a)) {
        printf("%-16s %-24s %s\n", metric, tool_clean(series ? series : "all", clean, 24), law.why);
    } else if (!f->j.file) {
        printf("%-16s %-24s %6d %12.6g %12.6g %12.6g %10.3g   [%.4g, %.4g] [%.4g, %.4g] [%.4g, "
               "%.4g]\n",
               metric, tool_clean(series ? series : "all", clean, 24), law.points, law.a, law.b,
               law.d, law.rms, law.a_low, law.a_high, law.b_low, law.b_high, law.d_low, law.d_high);
        if (*law.why) printf("    %s\n", law.why);
    } else {
        json_out *j = &f->j;
        json_object(j, NULL);
        json_text(j, "metric", metric);
        json_text(j, "series", series);
        json_int(j, "points", law.points);
        const double values[] = {law.a,      law.b,     law.d,      law.a_low,
                                 law.a_high, law.b_low, law.b_high, law.d_low,
                                 law.d_high, law.rms,   law.least,  law.most};
        static const char *const names[] = {
            "a",      "b",     "d",      "a_low", "a_high",       "b_low",
            "b_high", "d_low", "d_high", "rms",   "least_tokens", "most_tokens"};
        for (size_t i = 0; i < sizeof values / sizeof *values; ++i)
            json_real(j, names[i], values[i]);
        if (*law.why) json_text(j, "why", law.why);
        json_end(j, '}');
    }
    return -1;
}

/* Series of the tokenizers, each once; `all` for --together. */
static int each_series(fit_job *f, const char *metric,
                       int (*call)(fit_job *, const char *, const char *)) {
    if (f->o->together) return call(f, metric, NULL);
    int code = -1;
    for (int i = 0; i < tsr_report_count(f->report) && code < 0; ++i) {
        tsr_measured about, before;
        tsr_measurement_about(tsr_report_candidate(f->report, i), &about);
        bool seen = strcmp(about.kind, "tokenizer") != 0;
        for (int k = 0; k < i && !seen; ++k) {
            tsr_measurement_about(tsr_report_candidate(f->report, k), &before);
            seen = !strcmp(before.kind, "tokenizer") && !strcmp(before.series, about.series);
        }
        if (!seen) code = call(f, metric, about.series);
    }
    return code;
}

static int say_fewest(fit_job *f, const char *metric, const char *series) {
    const char *equal = f->o->at_least ? strchr(f->o->at_least, '=') : NULL;
    const double threshold = equal ? strtod(equal + 1, NULL) : f->o->within;
    const uint64_t count = tsr_report_originals(f->report);
    const tsr_status status =
        tsr_report_fewest(f->report, metric, series, !equal, threshold, f->fewest);
    if (status == TSR_ERROR_NOT_FOUND) return -1;
    if (status) return tool_fail(f->t, status);
    double sum = 0;
    uint64_t reached = 0;
    for (uint64_t i = 0; i < count; ++i)
        if (f->fewest[i].candidate >= 0) {
            sum += (double)f->fewest[i].tokens;
            reached++;
        }
    const double mean = reached ? sum / (double)reached : NAN;
    char clean[256];
    json_out *j = &f->j;
    if (j->file) {
        json_object(j, NULL);
        json_text(j, "metric", metric);
        json_text(j, "series", series);
        json_text(j, "rule", equal ? "reach" : "within");
        json_real(j, "value", threshold);
        json_uint(j, "reached", reached);
        json_real(j, "mean_tokens", mean);
        json_array(j, "pictures");
    } else {
        printf("\nfewest tokens, %s %s %g, %s: %" PRIu64 " of %" PRIu64
               " pictures reach it, with %.1f on average\n",
               metric, equal ? "to reach" : "within", threshold, series ? series : "all", reached,
               count, mean);
    }
    const tsr_measurement *m = tsr_report_candidate(f->report, 0);
    for (uint64_t i = 0; i < count; ++i) {
        const tsr_fewest *w = &f->fewest[i];
        tsr_measured_picture p;
        (void)tsr_measurement_picture(m, i, &p);
        if (j->file) {
            json_object(j, NULL);
            json_text(j, "name", p.name);
            if (w->candidate < 0)
                json_null(j, "tokens");
            else
                json_uint(j, "tokens", w->tokens);
            json_real(j, "value", w->value);
            json_end(j, '}');
        } else if (w->candidate < 0) {
            printf("%-40.60s          -\n", tool_clean(p.name, clean, sizeof clean));
        } else {
            printf("%-40.60s %10" PRIu64 " %10.4f\n", tool_clean(p.name, clean, sizeof clean),
                   w->tokens, w->value);
        }
    }
    if (j->file) {
        json_end(j, ']');
        json_end(j, '}');
    }
    return -1;
}

/* The metrics that were asked for, or all of pictures that a candidate has. */
static int each_metric(fit_job *f, int (*call)(fit_job *, const char *, const char *)) {
    int code = -1;
    for (int i = 0; i < tsr_metric_count() && code < 0; ++i) {
        tsr_metric_info info;
        tsr_summary s;
        tsr_metric_at(i, &info);
        bool wanted = false;
        for (int c = 0; !f->o->metric && c < tsr_report_count(f->report) && !wanted; ++c)
            wanted = !tsr_measurement_summary(tsr_report_candidate(f->report, c), info.name, &s);
        const size_t n = strlen(info.name);
        for (const char *p = f->o->metric; p && !wanted; p = strchr(p, ',')) {
            p += *p == ',';
            wanted = !strncmp(p, info.name, n) && (!p[n] || p[n] == ',');
        }
        if (wanted && !info.set) code = each_series(f, info.name, call);
    }
    return code;
}

static int run_report(fit_job *f) {
    if (f->j.file) {
        json_array(&f->j, "laws");
    } else {
        printf("quality = a * tokens^-b + d; least squares over the candidates' means; 95 %% "
               "intervals over resampled pictures\n%-16s %-24s %6s %12s %12s %12s %10s   %s\n",
               "metric", "series", "points", "a", "b", "d", "rms", "a, b, d");
    }
    int code = each_metric(f, say_law);
    if (f->j.file) json_end(&f->j, ']');
    if (code >= 0) return code;
    if (f->j.file) json_array(&f->j, "fewest");
    const char *equal = f->o->at_least ? strchr(f->o->at_least, '=') : NULL;
    char metric[64] = "";
    if (equal)
        snprintf(metric, sizeof metric, "%.*s", (int)(equal - f->o->at_least), f->o->at_least);
    if (equal) code = each_series(f, metric, say_fewest);
    if (!equal && f->o->within >= 0) code = each_metric(f, say_fewest);
    if (f->j.file) json_end(&f->j, ']');
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    fit_options o = {.within = -1};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    const char *equal = o.at_least ? strchr(o.at_least, '=') : NULL;
    if (o.at_least) {
        char metric[64] = "", *end = NULL;
        if (equal) {
            snprintf(metric, sizeof metric, "%.*s", (int)(equal - o.at_least), o.at_least);
            (void)strtod(equal + 1, &end);
        }
        if (!equal || tsr_metric_find(metric) < 0 || end == equal + 1 || *end)
            return args_wrong(v, "--reach: wanted METRIC=VALUE, like psnr=24, got '%s'",
                              o.at_least);
    }
    if (equal && o.within >= 0)
        return args_wrong(v, "--within and --reach exclude each other: wanted one of them");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_report *report = NULL;
    char *text = NULL;
    size_t size = 0;
    fit_job f = {.t = &t, .o = &o};
    const tsr_status status = tsr_report_read(t.ctx, argv[0], &report);
    if (status) code = tool_fail(&t, status);
    f.report = report;
    f.fewest = code < 0 ? calloc(tsr_report_originals(report) + 1, sizeof *f.fewest) : NULL;
    if (code < 0 && !f.fewest) code = tool_fail_text(&t, TSR_ERROR_MEMORY, "fewest tokens");
    /* Shown when all of it is done. */
    FILE *file = code < 0 && o.common.json ? open_memstream(&text, &size) : NULL;
    if (file) tool_json_to(&t, &f.j, file);
    if (code < 0) code = run_report(&f);
    if (file) {
        json_close(&f.j);
        if (!fclose(file) && code < 0) fputs(text, stdout);
        free(text);
    }
    free(f.fewest);
    tsr_report_close(&report);
    tool_close(&t);
    return code < 0 ? EXIT_DONE : code;
}

const verb verb_fit = {
    .name = "fit",
    .summary = "laws of quality against tokens from a report, and the fewest tokens of pictures",
    .usage = "tessera fit REPORT.json [--metrics LIST] [--together] [--within X | --reach M=V]\n"
             "            [--seed N] [--resamples N] [--json]",
    .about =
        "REPORT.json is a report of 'tessera report' or 'tessera eval --json'. For each series of "
        "candidates and each metric it fits quality = a * tokens^-b + d to the candidates' means, "
        "by least squares: a and d are linear for a given b, which is searched. At least three "
        "different numbers of tokens are needed. The 95 % intervals are percentiles over samples "
        "of the pictures with replacement, all points of a sample seeing the same pictures.\n\n"
        "--within and --reach list for each picture the fewest tokens that are good enough.",
    .examples = "# the curve of one tokenizer at several numbers of ids\n"
                "tessera report photos/ -k 16,32,64,128,256 -o report/ && tessera fit "
                "report/report.json\n"
                "# the fewest ids with which each picture reaches 24 dB\n"
                "tessera fit report/report.json --reach psnr=24\n"
                "# a patch sweep: codebooks of patches of 16, 8 and 4 pixels as one curve\n"
                "tessera report photos/ -t p16.safetensors -t p8.safetensors -t p4.safetensors -o "
                "sweep/\n"
                "tessera fit sweep/report.json --together",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "REPORT.json",
    .run = run,
};
