/* SPDX-License-Identifier: MIT */
/* measure_print.c: what was measured as tables for people. */
#include "measure_options.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* Metrics of all candidates, each once. */
typedef struct metric_list {
    tsr_metric_info at[256];
    int count;
} metric_list;

static bool measured(const tsr_measurement *m, const tsr_metric_info *info) {
    tsr_summary summary;
    tsr_set_score score;
    return info->set ? !tsr_measurement_set(m, info->name, &score)
                     : !tsr_measurement_summary(m, info->name, &summary);
}

static void find_metrics(const tsr_report *r, metric_list *list) {
    list->count = 0;
    for (int i = 0; i < tsr_metric_count() && list->count < 256; ++i) {
        tsr_metric_info *info = &list->at[list->count];
        tsr_metric_at(i, info);
        bool asked = false;
        for (int c = 0; c < tsr_report_count(r) && !asked; ++c)
            asked = measured(tsr_report_candidate(r, c), info);
        list->count += asked;
    }
}

void measure_cell(double value, int digits) {
    if (isnan(value))
        printf(" %10s", "-");
    else if (isinf(value))
        printf(" %10s", value > 0 ? "inf" : "-inf");
    else
        printf(" %10.*f", digits, value);
}

static int digits_of(const tsr_metric_info *info) {
    return !strcmp(info->unit, "dB") ? 4 : 6;
}

static void print_name(const char *name) {
    char clean[64];
    printf("%-36.60s", tool_clean(name, clean, sizeof clean));
}

static void print_overview(const tsr_report *r, const metric_list *metrics) {
    printf("%-36s %8s %10s %10s %10s %10s", "candidate", "pictures", "tokens", "bytes",
           "bits/pixel", "seconds");
    for (int k = 0; k < metrics->count; ++k)
        printf(" %10.16s", metrics->at[k].name);
    putchar('\n');
    for (int c = 0; c < tsr_report_count(r); ++c) {
        const tsr_measurement *m = tsr_report_candidate(r, c);
        tsr_measured about;
        tsr_measurement_about(m, &about);
        print_name(about.name);
        printf(" %8" PRIu64, about.compared);
        measure_cell(about.tokens, 1);
        measure_cell(about.bytes, 1);
        measure_cell(about.bits_per_pixel, 4);
        const double coding = isnan(about.encode_seconds) ? 0 : about.encode_seconds;
        measure_cell(about.decode_seconds + coding, 2);
        for (int k = 0; k < metrics->count; ++k) {
            const tsr_metric_info *info = &metrics->at[k];
            tsr_summary s = {.mean = NAN};
            tsr_set_score score = {.value = NAN};
            if (info->set)
                (void)tsr_measurement_set(m, info->name, &score);
            else
                (void)tsr_measurement_summary(m, info->name, &s);
            measure_cell(info->set ? score.value : s.mean, digits_of(info));
        }
        putchar('\n');
    }
}

static void print_summary(const tsr_report *r, const tsr_metric_info *info) {
    printf("\n%s%s%s, %s is better: %s\n", info->name, *info->unit ? " in " : "", info->unit,
           info->higher ? "more" : "less", info->protocol);
    printf("%-36s %10s %10s %10s %10s %8s %10s  %s\n", "candidate", "mean", "sd", "95 % from", "to",
           "of", "worst", "picture");
    for (int c = 0; c < tsr_report_count(r); ++c) {
        const tsr_measurement *m = tsr_report_candidate(r, c);
        const int digits = digits_of(info);
        tsr_measured about;
        tsr_summary s;
        tsr_measured_picture worst = {.name = "-"};
        tsr_measurement_about(m, &about);
        if (tsr_measurement_summary(m, info->name, &s)) continue;
        if (!isnan(s.worst_value)) (void)tsr_measurement_picture(m, s.worst, &worst);
        print_name(about.name);
        measure_cell(s.mean, digits);
        measure_cell(s.sd, digits);
        measure_cell(s.low, digits);
        measure_cell(s.high, digits);
        printf(" %8" PRIu64, s.count);
        measure_cell(s.worst_value, digits);
        char clean[256];
        printf("  %s\n", tool_clean(worst.name, clean, sizeof clean));
        char pictures[32];
        if (s.infinite)
            printf("    %s without any error, infinite and not in the mean\n",
                   tool_count(s.infinite, "picture", pictures));
        const char *why = "";
        for (uint64_t i = 0; s.missing && !*why && i < about.pictures; ++i)
            (void)tsr_measurement_value(m, info->name, i, &why);
        if (s.missing)
            printf("    %s without the number: %s\n", tool_count(s.missing, "picture", pictures),
                   why);
    }
}

static void print_set(const tsr_report *r, const tsr_metric_info *info) {
    printf("\n%s%s%s, %s is better, one number for all pictures: %s\n", info->name,
           *info->unit ? " in " : "", info->unit, info->higher ? "more" : "less", info->protocol);
    for (int c = 0; c < tsr_report_count(r); ++c) {
        const tsr_measurement *m = tsr_report_candidate(r, c);
        tsr_measured about;
        tsr_set_score s;
        tsr_measurement_about(m, &about);
        if (tsr_measurement_set(m, info->name, &s)) continue;
        print_name(about.name);
        measure_cell(s.value, digits_of(info));
        printf(" of %" PRIu64 "%s%s\n", s.count, *s.warning ? ": " : "", s.warning);
    }
}

static void print_pictures(const tsr_report *r, const metric_list *metrics) {
    for (int c = 0; c < tsr_report_count(r); ++c) {
        const tsr_measurement *m = tsr_report_candidate(r, c);
        tsr_measured about;
        char clean[700];
        tsr_measurement_about(m, &about);
        printf("\n%-36s", tool_clean(about.name, clean, 60));
        printf(" %10s %10s", "tokens", "bytes");
        for (int k = 0; k < metrics->count; ++k)
            if (!metrics->at[k].set) printf(" %10.16s", metrics->at[k].name);
        putchar('\n');
        for (uint64_t i = 0; i < about.pictures; ++i) {
            tsr_measured_picture p;
            (void)tsr_measurement_picture(m, i, &p);
            print_name(p.name);
            if (p.status) {
                printf(" %s\n", tool_clean(p.detail, clean, sizeof clean));
                continue;
            }
            measure_cell(p.tokens ? (double)p.tokens : NAN, 0);
            measure_cell(p.bytes ? (double)p.bytes : NAN, 0);
            for (int k = 0; k < metrics->count; ++k)
                if (!metrics->at[k].set)
                    measure_cell(tsr_measurement_value(m, metrics->at[k].name, i, NULL),
                                 digits_of(&metrics->at[k]));
            printf("%s%s\n", *p.note ? "  " : "", tool_clean(p.note, clean, sizeof clean));
        }
    }
}

void measure_print(const tsr_report *r, bool pictures) {
    metric_list metrics;
    find_metrics(r, &metrics);
    print_overview(r, &metrics);
    for (int c = 0; c < tsr_report_count(r); ++c) {
        tsr_measured about;
        char count[32];
        tsr_measurement_about(tsr_report_candidate(r, c), &about);
        if (about.floored)
            printf("# %s: %s above what was asked, at the least it can be\n", about.name,
                   tool_count(about.floored, "picture", count));
    }
    for (int k = 0; k < metrics.count; ++k)
        if (metrics.at[k].set)
            print_set(r, &metrics.at[k]);
        else
            print_summary(r, &metrics.at[k]);
    if (pictures) print_pictures(r, &metrics);
}

int measure_say_failures(tool *t, const tsr_report *r) {
    uint64_t alone = 0, sizes = 0, unreadable = 0;
    for (int c = 0; c < tsr_report_count(r); ++c) {
        const tsr_measurement *m = tsr_report_candidate(r, c);
        tsr_measured about;
        tsr_measurement_about(m, &about);
        if (!strcmp(about.kind, "anchor")) continue; /* its failures are those of its candidate */
        for (uint64_t i = 0; i < about.pictures && about.failed + about.alone; ++i) {
            tsr_measured_picture p;
            char name[256], detail[700];
            (void)tsr_measurement_picture(m, i, &p);
            if (!p.status) continue;
            const bool single =
                p.status == TSR_ERROR_NOT_FOUND &&
                (!strcmp(p.detail, "no original") || !strcmp(p.detail, "no reconstruction"));
            sizes += p.status == TSR_ERROR_ARGUMENT;
            unreadable += p.status != TSR_ERROR_ARGUMENT && !single;
            alone += single;
            tool_say(t, "%s: %s%s%s", tool_clean(p.name, name, sizeof name),
                     single || p.status == TSR_ERROR_ARGUMENT ? "" : tsr_status_text(p.status),
                     single || p.status == TSR_ERROR_ARGUMENT ? "" : ": ",
                     tool_clean(p.detail, detail, sizeof detail));
        }
    }
    if (alone + sizes + unreadable == 0) return EXIT_DONE;
    char pictures[32];
    tool_say(t,
             "tessera %s: %s without counterpart, %" PRIu64 " of different size, %" PRIu64
             " unreadable",
             t->v->name, tool_count(alone, "picture", pictures), sizes, unreadable);
    return EXIT_NEGATIVE;
}
