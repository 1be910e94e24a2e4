/* SPDX-License-Identifier: MIT */
/* report_plots.c: the plots of a report page. */
#include "html_out.h"
#include "plot.h"
#include "report_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 450, HEIGHT = 320, TIP = REPORT_TIP };

/* ---- what there is ---- */

void report_looks(report_part *p) {
    const report_data *r = p->r;
    p->series_count = 0;
    for (int i = 0; i < r->candidate_count; ++i) {
        int k = 0;
        while (k < i && strcmp(r->candidates[k].series, r->candidates[i].series))
            ++k;
        p->look[i] = k < i ? p->look[k] : p->series_count++;
    }
}

bool report_has_rates(const report_data *r) {
    for (int i = 0; i < r->candidate_count; ++i)
        if (!isnan(r->candidates[i].bits_per_pixel) || !isnan(r->candidates[i].tokens)) return true;
    return false;
}
bool report_has_text(const report_data *r) {
    for (int i = 0; i < r->candidate_count; ++i)
        if (r->candidates[i].text.known) return true;
    return false;
}
bool report_has_faces(const report_data *r) {
    for (int i = 0; i < r->candidate_count; ++i)
        if (r->candidates[i].faces.known) return true;
    return false;
}
bool report_has_codes(const report_data *r) {
    for (int i = 0; i < r->candidate_count; ++i)
        if (r->candidates[i].codes.known) return true;
    return false;
}

/* ---- series of candidates over what they cost ---- */

static const char text_acc[] = "Words read right (T-ACC)",
                  text_ned[] = "Letters read right (T-NED)", face_sim[] = "Faces kept (F-Sim)";

/* `what` of a plot: a metric's place, or -1 - the other number. */
static int other(report_other number) {
    return -1 - (int)number;
}

static report_mean measured(const report_candidate *c, int what) {
    if (what < 0) return report_other_number(c, (report_other)(-1 - what));
    return (report_mean){c->summary[what].mean, c->summary[what].low, c->summary[what].high};
}

typedef struct rate_plot {
    const report_part *p;
    int what;
    bool tokens; /* the x axis, else bits per pixel */
    const char *title, *unit;
} rate_plot;

static bool parts_of(report_plot_parts *parts, size_t points, size_t series) {
    parts->points = calloc(points + 1, sizeof *parts->points);
    parts->series = calloc(series + 1, sizeof *parts->series);
    parts->tips = calloc(points + 1, sizeof *parts->tips);
    return parts->points && parts->series && parts->tips;
}

static void parts_free(report_plot_parts *parts) {
    free(parts->points);
    free(parts->series);
    free(parts->tips);
}

static double cost_of(const report_candidate *c, bool tokens) {
    return tokens ? c->tokens : c->bits_per_pixel;
}

static int by_x(const void *a, const void *b) {
    const plot_point *p = a, *q = b;
    return p->x < q->x ? -1 : p->x > q->x ? 1 : 0;
}

static void tip_of(const rate_plot *q, const report_candidate *c, const report_mean *m,
                   char tip[TIP]) {
    char value[40], range[100], cost[40];
    const double x = cost_of(c, q->tokens);
    const int at =
        snprintf(tip, TIP, "%.120s: %s %.20s", c->name, report_number(m->value, value), q->unit);
    if (at < 0 || at >= TIP) return;
    const bool interval = isfinite(m->low) && isfinite(m->high);
    snprintf(tip + at, (size_t)(TIP - at), "%s%s%s at %s %s", interval ? " (95 %: " : "",
             interval ? report_range(m->low, m->high, range) : "", interval ? ")" : "",
             q->tokens ? report_whole(x, cost) : report_number(x, cost),
             q->tokens ? "tokens" : "bits per pixel");
}

/* The points of all series; returns their number, and in *left_out what has no place on the axes.
 */
static int rate_points(const rate_plot *q, report_plot_parts *parts, int *series_count,
                       int *left_out) {
    const report_data *r = q->p->r;
    int count = 0;
    *series_count = *left_out = 0;
    for (int look = 0; look < q->p->series_count; ++look) {
        plot_series *s = &parts->series[*series_count];
        *s = (plot_series){.points = &parts->points[count], .look = look};
        for (int i = 0; i < r->candidate_count; ++i) {
            const report_candidate *c = &r->candidates[i];
            const report_mean m = measured(c, q->what);
            const double x = cost_of(c, q->tokens);
            if (q->p->look[i] != look || isnan(m.value)) continue;
            if (!isfinite(m.value) || !(x > 0)) {
                ++*left_out;
                continue;
            }
            tip_of(q, c, &m, parts->tips[count]);
            parts->points[count] = (plot_point){x, m.value, m.low, m.high, parts->tips[count]};
            s->name = c->series;
            s->dashed = c->kind == REPORT_ANCHOR;
            s->count++;
            count++;
        }
        if (!s->count) continue;
        qsort(&parts->points[count - s->count], (size_t)s->count, sizeof *parts->points, by_x);
        ++*series_count;
    }
    return count;
}

/* Rates that lie far apart are read on a logarithmic axis. */
static bool far_apart(const plot_point *points, int count) {
    double least = INFINITY, most = 0;
    for (int i = 0; i < count; ++i) {
        least = fmin(least, points[i].x);
        most = fmax(most, points[i].x);
    }
    return count && least > 0 && most / least > 4;
}

/* Makes the plot out of *parts, which the caller frees in any case; false: it has no point. */
static bool rate_make(const rate_plot *q, report_plot_parts *parts, plot *p, int *left_out) {
    int series = 0;
    const size_t most = (size_t)q->p->r->candidate_count;
    if (!parts_of(parts, most, most)) return false;
    const int count = rate_points(q, parts, &series, left_out);
    *p = (plot){.title = q->title,
                .x_name = q->tokens ? "tokens a picture" : "bits per pixel",
                .y_name = q->unit,
                .log_x = far_apart(parts->points, count),
                .series = parts->series,
                .count = series};
    return count > 0;
}

static void rate_figure(const rate_plot *q) {
    FILE *f = q->p->file;
    report_plot_parts parts;
    plot p;
    int left_out = 0;
    if (rate_make(q, &parts, &p, &left_out)) {
        fprintf(f, "<figure class=\"card %s\">", q->tokens ? "tokens" : "bits");
        plot_svg(&p, WIDTH, HEIGHT, f);
        if (left_out)
            fprintf(f,
                    "<figcaption>%d %s without a place on these axes (no cost of this kind, or "
                    "an infinite value) %s in the table.</figcaption>",
                    left_out, left_out == 1 ? "candidate" : "candidates",
                    left_out == 1 ? "is" : "are");
        fputs("</figure>\n", f);
    }
    parts_free(&parts);
}

static void rate_pair(const report_part *p, int what, const char *title, const char *unit) {
    rate_plot q = {p, what, false, title, unit};
    rate_figure(&q);
    q.tokens = true;
    rate_figure(&q);
}

static const char *direction(const report_metric *m, char text[160]) {
    snprintf(text, 160, "%.60s%s%s", m->unit, *m->unit ? ", " : "",
             m->lower ? "less is better" : "more is better");
    return text;
}

void report_legend(const report_part *p) {
    FILE *f = p->file;
    fputs("<ul class=\"legend\" aria-label=\"Series\">", f);
    for (int look = 0; look < p->series_count; ++look)
        for (int i = 0; i < p->r->candidate_count; ++i) {
            const report_candidate *c = &p->r->candidates[i];
            if (p->look[i] != look) continue;
            fputs("<li>", f);
            plot_svg_key(look, c->kind == REPORT_ANCHOR, f);
            html_text(f, c->series);
            fputs("</li>", f);
            break;
        }
    fputs("</ul>", f);
}

void report_rate_plots(const report_part *p) {
    const report_data *r = p->r;
    FILE *f = p->file;
    if (!report_has_rates(r)) return;
    fputs("<section id=\"rates\"><h2>Quality and rate</h2><p class=\"say\">Each point is a "
          "candidate, each line a series; bars are 95 % intervals of the mean over pictures, which "
          "numbers of sets do not have. Dashed lines are "
          "anchors: what a common codec, or plain resizing, gives at that size. A pointer "
          "on a point shows its numbers.</p>",
          f);
    report_legend(p);
    fputs("<input class=\"axis\" type=\"radio\" name=\"axis\" id=\"by-bits\" checked><input "
          "class=\"axis\" type=\"radio\" name=\"axis\" id=\"by-tokens\"><div class=\"tabs\"><label "
          "for=\"by-bits\">Bits per pixel</label><label for=\"by-tokens\">Tokens</label></div>"
          "<div class=\"plots\">",
          f);
    for (int m = 0; m < r->metric_count; ++m) {
        char unit[160];
        rate_pair(p, m, r->metrics[m].label, direction(&r->metrics[m], unit));
    }
    if (report_has_text(r)) {
        rate_pair(p, other(REPORT_TEXT_ACC), text_acc, "share, more is better");
        rate_pair(p, other(REPORT_TEXT_NED), text_ned, "share, more is better");
    }
    if (report_has_faces(r))
        rate_pair(p, other(REPORT_FACE_SIM), face_sim, "cosine, more is better");
    fputs("</div></section>\n", f);
}

/* The names of a plot's series in full, below it. */
static void plot_legend(FILE *f, const plot *p) {
    fputs("<ul class=\"legend\" aria-label=\"Series\">", f);
    for (int i = 0; i < p->count; ++i) {
        fputs("<li>", f);
        plot_svg_key(p->series[i].look, p->series[i].dashed, f);
        html_text(f, p->series[i].name);
        fputs("</li>", f);
    }
    fputs("</ul>", f);
}

/* ---- curves over size ---- */

/* The middle of a bin on a logarithmic axis; of one that is open, its closed end. */
static double middle(const report_bin *b) {
    if (isfinite(b->high) && b->low > 0 && b->high > b->low) return sqrt(b->low * b->high);
    return b->low > 0 ? b->low : isfinite(b->high) ? b->high / 2 : NAN;
}

typedef struct size_plot {
    const report_part *p;
    bool faces, second;
    const char *title;
    int look; /* candidates of this series alone; or one of those below */
} size_plot;
enum { ALL = -1, NO_ANCHORS = -2 };

static bool in_plot(const size_plot *q, int i) {
    if (q->look == NO_ANCHORS) return q->p->r->candidates[i].kind != REPORT_ANCHOR;
    return q->look == ALL || q->p->look[i] == q->look;
}

static const report_bins *bins_of(const report_candidate *c, bool faces) {
    return faces ? &c->faces.bins : &c->text.bins;
}

/* The points of a candidate; returns how many. */
static int size_points(const size_plot *q, const report_candidate *c, plot_point *points,
                       char (*tips)[TIP]) {
    const report_bins *bins = bins_of(c, q->faces);
    int count = 0;
    for (int k = 0; k < bins->count; ++k) {
        const report_bin *b = &bins->at[k];
        const report_mean y = q->second ? b->second : b->first;
        char value[40], range[100], seen[40];
        if (isnan(y.value) || !(middle(b) > 0)) continue;
        if (isnan(b->high))
            snprintf(range, sizeof range, "%g and more", b->low);
        else
            snprintf(range, sizeof range, "%g to %g", b->low, b->high);
        snprintf(tips[count], TIP, "%.120s: %s at %s pixels, %s seen", c->name,
                 report_number(y.value, value), range, report_whole((double)b->count, seen));
        points[count] = (plot_point){middle(b), y.value, y.low, y.high, tips[count]};
        count++;
    }
    return count;
}

/* Makes the plot out of *parts, which the caller frees in any case; false: it has no point. */
static bool size_make(const size_plot *q, report_plot_parts *parts, plot *p) {
    const report_data *r = q->p->r;
    size_t most = 0;
    double least = 0;
    int count = 0, series = 0;
    for (int i = 0; i < r->candidate_count; ++i)
        most += (size_t)bins_of(&r->candidates[i], q->faces)->count;
    if (!parts_of(parts, most, (size_t)r->candidate_count)) return false;
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_candidate *c = &r->candidates[i];
        const report_bins *bins = bins_of(c, q->faces);
        for (int k = 0; k < bins->count; ++k)
            least = fmin(least, bins->at[k].first.value); /* cosines can be below 0 */
        if (!in_plot(q, i)) continue;
        plot_series *s = &parts->series[series];
        /* a title with the series says it already */
        const size_t known = strlen(c->series);
        const bool twice = q->look >= 0 && c->kind == REPORT_ANCHOR &&
                           !strncmp(c->name, c->series, known) && c->name[known] == ' ';
        *s = (plot_series){.name = c->name + (twice ? known + 1 : 0),
                           .points = &parts->points[count],
                           .look = series,
                           .dashed = c->kind == REPORT_ANCHOR};
        s->count = size_points(q, c, &parts->points[count], &parts->tips[count]);
        count += s->count;
        series += s->count > 0;
    }
    *p = (plot){.title = q->title,
                .x_name = q->faces ? "pixels of a face" : "pixels per character",
                .y_name = q->faces ? "cosine, more is better" : "share, more is better",
                .log_x = true,
                .y_least = least, /* the same for all series, to be compared */
                .y_most = 1.02,
                .series = parts->series,
                .count = series};
    return series > 0;
}

static void size_figure(const size_plot *q) {
    report_plot_parts parts;
    plot p;
    if (size_make(q, &parts, &p)) {
        fputs("<figure class=\"card\">", q->p->file);
        plot_svg(&p, WIDTH, HEIGHT, q->p->file);
        plot_legend(q->p->file, &p);
        fputs("</figure>\n", q->p->file);
    }
    parts_free(&parts);
}

/* Plots of a group of candidates. */
static void size_group(size_plot q, int look, const char *name) {
    char text[200];
    snprintf(text, sizeof text, "%s: %.120s", q.title, name);
    q.title = text;
    q.look = look;
    size_figure(&q);
}

/* One plot where its lines can be told apart; else one of all but the anchors, or of each of their
 * series, and one of each anchor. */
static void size_figures(const report_part *p, bool faces, bool second, const char *title) {
    const report_data *r = p->r;
    int lines[2] = {0, 0};
    for (int i = 0; i < r->candidate_count; ++i)
        lines[r->candidates[i].kind == REPORT_ANCHOR] +=
            bins_of(&r->candidates[i], faces)->count > 0;
    const size_plot q = {p, faces, second, title, ALL};
    if (lines[0] + lines[1] <= PLOT_COLOURS) {
        size_figure(&q);
        return;
    }
    const bool together = lines[0] <= PLOT_COLOURS;
    if (together) size_group(q, NO_ANCHORS, "tokenizers");
    for (int look = 0; look < p->series_count; ++look) {
        int i = 0;
        while (p->look[i] != look)
            ++i;
        if (r->candidates[i].kind == REPORT_ANCHOR || !together)
            size_group(q, look, r->candidates[i].series);
    }
}

void report_text_plots(const report_part *p) {
    if (!report_has_text(p->r)) return;
    fputs("<section id=\"text\"><h2>What a reader still reads</h2><p class=\"say\">Words by the "
          "size of their letters: how small text may be before it is lost. A word counts as read "
          "when all of it is right.</p><div class=\"plots\">",
          p->file);
    size_figures(p, false, false, text_acc);
    size_figures(p, false, true, text_ned);
    fputs("</div></section>\n", p->file);
}

void report_face_plots(const report_part *p) {
    if (!report_has_faces(p->r)) return;
    fputs("<section id=\"faces\"><h2>Who is still who</h2><p class=\"say\">Similarity of the face "
          "before and after, by the size of the face.</p><div class=\"plots\">",
          p->file);
    size_figures(p, true, false, face_sim);
    fputs("</div></section>\n", p->file);
}

/* ---- one plot by itself ---- */

const char *report_plot_make(const report_part *p, const char *number, report_plot_over over,
                             report_plot *made) {
    static const struct {
        const char *name, *title, *unit;
    } others[REPORT_OTHERS] = {{"t_acc", text_acc, "share, more is better"},
                               {"t_ned", text_ned, "share, more is better"},
                               {"f_sim", face_sim, "cosine, more is better"}};
    const report_data *r = p->r;
    rate_plot rate = {.p = p, .tokens = over == REPORT_OVER_TOKENS};
    int left_out = 0;
    *made = (report_plot){0};
    for (int m = 0; m < r->metric_count && !rate.title; ++m) {
        if (strcmp(r->metrics[m].name, number)) continue;
        rate.what = m;
        rate.title = r->metrics[m].label;
        rate.unit = direction(&r->metrics[m], made->unit);
    }
    for (int k = 0; k < REPORT_OTHERS && !rate.title; ++k) {
        if (strcmp(others[k].name, number)) continue;
        rate.what = other((report_other)k);
        rate.title = others[k].title;
        rate.unit = others[k].unit;
    }
    if (!rate.title) return "wanted a metric of the report, t_acc, t_ned or f_sim";
    const size_plot size = {p, rate.what == other(REPORT_FACE_SIM),
                            rate.what == other(REPORT_TEXT_NED), rate.title, ALL};
    if (over == REPORT_OVER_SIZE && rate.what >= 0)
        return "wanted t_acc, t_ned or f_sim with --over size";
    const bool good = over == REPORT_OVER_SIZE
                          ? size_make(&size, &made->parts, &made->plot)
                          : rate_make(&rate, &made->parts, &made->plot, &left_out);
    return good ? NULL : "wanted a number that the report has, got one without any point";
}

void report_plot_free(report_plot *made) {
    parts_free(&made->parts);
}

/* ---- codes ---- */

/* Shares of ids by rank, or bits by position; dense curves are thinned to what a plot can show. */
static void code_figure(const report_part *part, bool bits) {
    enum { MOST = 256 };
    const report_data *r = part->r;
    report_plot_parts parts;
    if (parts_of(&parts, (size_t)r->candidate_count * MOST, (size_t)r->candidate_count)) {
        int count = 0, series = 0;
        for (int i = 0; i < r->candidate_count; ++i) {
            const report_codes *c = &r->candidates[i].codes;
            const double *values = bits ? c->bits_by_position : c->histogram;
            const int length = bits ? c->positions : c->codes;
            double sum = 0;
            for (int k = 0; k < c->codes; ++k)
                sum += c->histogram[k];
            plot_series *s = &parts.series[series];
            *s = (plot_series){.name = r->candidates[i].name,
                               .points = &parts.points[count],
                               .look = series,
                               .bare = true};
            for (int k = 0, last = -1; k < MOST && length; ++k) {
                /* ranks in equal steps of their logarithm, positions in equal steps */
                const double share = (double)k / (MOST - 1);
                const int at =
                    bits ? (int)(share * (length - 1)) : (int)lround(pow(length, share)) - 1;
                if (at <= last) continue;
                last = at;
                const double y = bits ? values[at] : sum > 0 ? 100 * values[at] / sum : NAN;
                if (!bits && !(y > 0)) continue;
                parts.points[count++] = (plot_point){at + 1, y, NAN, NAN, NULL};
                s->count++;
            }
            if (s->count) series++;
        }
        const plot p = {.title = bits ? "Bits of each position" : "How often each code is used",
                        .x_name = bits ? "position in the tile" : "rank of the code",
                        .y_name = bits ? "bits (entropy)" : "% of all ids",
                        .log_x = !bits,
                        .log_y = !bits,
                        .series = parts.series,
                        .count = series};
        if (series) {
            fputs("<figure class=\"card\">", part->file);
            plot_svg(&p, WIDTH, HEIGHT, part->file);
            plot_legend(part->file, &p);
            fputs("</figure>\n", part->file);
        }
    }
    parts_free(&parts);
}

void report_code_plots(const report_part *p) {
    if (!report_has_codes(p->r)) return;
    fputs("<section id=\"codes\"><h2>Use of the codebook</h2><p class=\"say\">A codebook is worth "
          "its size when its codes are used alike. The curve shows the codes from the most used "
          "on.</p><div class=\"plots\">",
          p->file);
    code_figure(p, false);
    code_figure(p, true);
    fputs("</div><br>", p->file);
    report_codes_table(p);
    fputs("</section>\n", p->file);
}
