/* SPDX-License-Identifier: MIT */
/* laws.c: how quality depends on the number of tokens, and how few each picture needs. */
#include "../quantizer/rng.h"
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 400, REFINE = 60 };
static const double least_b = 0.001, most_b = 8;

typedef struct point {
    double tokens, quality;
} point;

/* a and d of least squares for a given b; returns the sum of squared residuals. */
static double solve(const point *p, int n, double b, double *a, double *d) {
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, rest = 0;
    for (int i = 0; i < n; ++i) {
        mean_x += pow(p[i].tokens, -b) / n;
        mean_y += p[i].quality / n;
    }
    for (int i = 0; i < n; ++i) {
        const double x = pow(p[i].tokens, -b) - mean_x;
        xx += x * x;
        xy += x * (p[i].quality - mean_y);
    }
    *a = xx > 0 ? xy / xx : 0;
    *d = mean_y - *a * mean_x;
    for (int i = 0; i < n; ++i) {
        const double r = p[i].quality - *a * pow(p[i].tokens, -b) - *d;
        rest += r * r;
    }
    return rest;
}

static double b_of(double step) {
    return least_b * pow(most_b / least_b, step / (GRID - 1));
}

/* Returns the sum of squared residuals. */
static double fit(const point *p, int n, double *a, double *b, double *d) {
    int best = 0;
    double least = INFINITY;
    for (int i = 0; i < GRID; ++i) {
        const double rest = solve(p, n, b_of(i), a, d);
        if (rest < least) least = rest, best = i;
    }
    const double golden = (sqrt(5) - 1) / 2;
    double low = best ? best - 1 : 0, high = best + 1 < GRID ? best + 1 : GRID - 1;
    for (int i = 0; i < REFINE; ++i) {
        const double x = high - golden * (high - low), y = low + golden * (high - low);
        if (solve(p, n, b_of(x), a, d) < solve(p, n, b_of(y), a, d))
            high = y;
        else
            low = x;
    }
    *b = b_of((low + high) / 2);
    return solve(p, n, *b, a, d);
}

/* Candidates of a series that have the metric. */
static int choose(const tsr_report *r, const char *metric, const char *series, int *chosen) {
    int n = 0;
    for (int i = 0; i < r->count; ++i) {
        const tsr_measurement *m = r->candidates[i].m;
        if (strcmp(m->kind, "tokenizer") || (series && strcmp(m->series, series))) continue;
        if (tsr_measurement_metric(m, metric) >= 0) chosen[n++] = i;
    }
    return n;
}

static bool has_value(const tsr_measurement *m, uint64_t i, int k, double *value) {
    *value = m->values[i * (uint64_t)m->metric_count + (uint64_t)k];
    return !m->pictures[i].status && isfinite(*value);
}

/* Mean tokens and quality of a candidate over pictures that are drawn; draw NULL: all of them. */
static bool mean_point(const tsr_measurement *m, int k, const uint64_t *draw, uint64_t count,
                       point *p) {
    double tokens = 0, quality = 0, value;
    uint64_t n = 0;
    for (uint64_t i = 0; i < count; ++i) {
        const uint64_t at = draw ? draw[i] : i;
        if (!has_value(m, at, k, &value)) continue;
        tokens += (double)m->pictures[at].tokens;
        quality += value;
        n++;
    }
    *p = (point){tokens / (double)(n ? n : 1), quality / (double)(n ? n : 1)};
    return n && p->tokens > 0;
}

static int means(const tsr_report *r, const int *chosen, int n, const char *metric,
                 const uint64_t *draw, point *points) {
    int count = 0;
    for (int i = 0; i < n; ++i) {
        const tsr_measurement *m = r->candidates[chosen[i]].m;
        const int k = tsr_measurement_metric(m, metric);
        count += mean_point(m, k, draw, r->originals, &points[count]);
    }
    return count;
}

static int different_tokens(const point *p, int n, double *least, double *most) {
    int different = 0;
    *least = INFINITY;
    *most = 0;
    for (int i = 0; i < n; ++i) {
        bool seen = false;
        for (int k = 0; k < i; ++k)
            seen = seen || p[k].tokens == p[i].tokens;
        different += !seen;
        *least = fmin(*least, p[i].tokens);
        *most = fmax(*most, p[i].tokens);
    }
    return different;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void percentiles(double *values, uint32_t n, double *low, double *high) {
    qsort(values, n, sizeof *values, by_value);
    const double *at[2] = {values, values};
    double share[2] = {0.025 * (n - 1), 0.975 * (n - 1)}, got[2];
    for (int i = 0; i < 2; ++i) {
        const uint32_t place = (uint32_t)share[i], next = place + 1 < n ? place + 1 : place;
        got[i] = at[i][place] + (share[i] - place) * (at[i][next] - at[i][place]);
    }
    *low = got[0];
    *high = got[1];
}

static tsr_status intervals(const tsr_report *r, const int *chosen, int n, const char *metric,
                            uint64_t seed, uint32_t resamples, tsr_law *law) {
    uint64_t *draw = tsr_alloc(r->ctx, r->originals, sizeof *draw, "law");
    point *points = tsr_alloc(r->ctx, (size_t)n, sizeof *points, "law");
    double *fits = tsr_alloc(r->ctx, 3 * (size_t)resamples, sizeof *fits, "law");
    tsr_status status = draw && points && fits ? TSR_OK : TSR_ERROR_MEMORY;
    uint32_t good = 0;
    for (uint32_t s = 0; s < resamples && !status; ++s) {
        double least, most;
        for (uint64_t i = 0; i < r->originals; ++i)
            draw[i] = (uint64_t)(tsr_random_unit(seed, s, i) * (double)r->originals);
        const int count = means(r, chosen, n, metric, draw, points);
        if (different_tokens(points, count, &least, &most) < 3) continue;
        (void)fit(points, count, &fits[good], &fits[resamples + good],
                  &fits[2 * (size_t)resamples + good]);
        good++;
    }
    if (good > 1) {
        percentiles(fits, good, &law->a_low, &law->a_high);
        percentiles(fits + resamples, good, &law->b_low, &law->b_high);
        percentiles(fits + 2 * (size_t)resamples, good, &law->d_low, &law->d_high);
    }
    free(draw);
    free(points);
    free(fits);
    return status;
}

static tsr_status check(const tsr_report *r, const char *metric, const char *series, int **chosen,
                        int *n) {
    const tsr_metric *m = metric ? tsr_metric_named(metric) : NULL;
    if (m && m->info.set)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a metric of pictures", metric);
    *chosen = tsr_alloc(r->ctx, (size_t)r->count + 1, sizeof **chosen, "law");
    if (!*chosen) return TSR_ERROR_MEMORY;
    *n = m ? choose(r, metric, series, *chosen) : 0;
    if (*n) return TSR_OK;
    free(*chosen);
    *chosen = NULL;
    return tsr_fail(r->ctx, TSR_ERROR_NOT_FOUND,
                    "report: wanted a tokenizer's candidate with %s, got none%s%s",
                    metric ? metric : "a metric", series ? " in " : "", series ? series : "");
}

tsr_status tsr_report_law(const tsr_report *r, const char *metric, const tsr_law_settings *settings,
                          tsr_law *law) {
    const tsr_law_settings s = settings ? *settings : (tsr_law_settings){0};
    *law = (tsr_law){.a = NAN,
                     .b = NAN,
                     .d = NAN,
                     .a_low = NAN,
                     .a_high = NAN,
                     .b_low = NAN,
                     .b_high = NAN,
                     .d_low = NAN,
                     .d_high = NAN,
                     .rms = NAN};
    const uint32_t resamples = s.resamples ? s.resamples : 500;
    if (resamples > 100000)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "resamples: wanted at most 100000, got %u",
                        resamples);
    int *chosen = NULL, n = 0;
    tsr_status status = check(r, metric, s.series, &chosen, &n);
    if (status) return status;
    point *points = tsr_alloc(r->ctx, (size_t)n, sizeof *points, "law");
    if (!points) {
        free(chosen);
        return TSR_ERROR_MEMORY;
    }
    law->points = means(r, chosen, n, metric, NULL, points);
    const int different = different_tokens(points, law->points, &law->least, &law->most);
    if (different < 3) {
        snprintf(law->why, sizeof law->why, "wanted three different numbers of tokens, got %d",
                 different);
    } else {
        const double rest = fit(points, law->points, &law->a, &law->b, &law->d);
        law->rms = sqrt(rest / law->points);
        if (law->b < 1.01 * least_b)
            snprintf(law->why, sizeof law->why,
                     "b is at the least of the search: quality goes with the logarithm of the "
                     "tokens here, and a and d are not known");
        else if (law->b > 0.99 * most_b)
            snprintf(law->why, sizeof law->why,
                     "b is at the most of the search: quality no longer depends on the tokens "
                     "here, and a is not known");
        if (r->originals > 1)
            status = intervals(r, chosen, n, metric, s.seed ? s.seed : r->seed, resamples, law);
    }
    free(points);
    free(chosen);
    return status;
}

double tsr_law_at(const tsr_law *law, double tokens) {
    return law->a * pow(tokens, -law->b) + law->d;
}

tsr_status tsr_report_fewest(const tsr_report *r, const char *metric, const char *series,
                             int within, double threshold, tsr_fewest *fewest) {
    int *chosen = NULL, n = 0;
    const tsr_status status = check(r, metric, series, &chosen, &n);
    if (status) return status;
    const double sign = tsr_metric_named(metric)->info.higher ? 1 : -1;
    for (uint64_t i = 0; i < r->originals; ++i) {
        double best = -INFINITY;
        fewest[i] = (tsr_fewest){.candidate = -1, .value = NAN};
        for (int c = 0; c < n; ++c) {
            const tsr_measurement *m = r->candidates[chosen[c]].m;
            const double v = tsr_measurement_value(m, metric, i, NULL);
            if (!m->pictures[i].status && sign * v > best) best = sign * v;
        }
        const double wanted = within ? best - threshold : sign * threshold;
        for (int c = 0; c < n; ++c) {
            const tsr_measurement *m = r->candidates[chosen[c]].m;
            const double v = tsr_measurement_value(m, metric, i, NULL);
            const uint64_t tokens = m->pictures[i].tokens;
            if (m->pictures[i].status || isnan(v) || sign * v < wanted) continue;
            if (fewest[i].candidate < 0 || tokens < fewest[i].tokens)
                fewest[i] = (tsr_fewest){chosen[c], tokens, v};
        }
    }
    free(chosen);
    return TSR_OK;
}
