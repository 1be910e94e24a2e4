/* SPDX-License-Identifier: MIT */
/* report_plots.c: the plots of a report page. */
#include "html_out.h"
#include "plot.h"
#include "report_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 450, HEIGHT = 320, TIP = 320 };

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

/* One number of a candidate with its interval. */
typedef struct measure {
    double value, low, high;
} measure;

/* Which number a plot shows: a metric's, or one of those below. */
enum { TEXT_ACC = -1, TEXT_NED = -2, FACE_SIM = -3 };

static measure measured(const report_candidate *c, int what) {
    measure m = {NAN, NAN, NAN};
    if (what >= 0)
        m = (measure){c->summary[what].mean, c->summary[what].low, c->summary[what].high};
    else if (what == FACE_SIM && c->faces.known)
        m.value = c->faces.f_sim;
    else if (what != FACE_SIM && c->text.known)
        m.value = what == TEXT_ACC ? c->text.t_acc : c->text.t_ned;
    return m;
}

typedef struct rate_plot {
    const report_part *p;
    int what;
    bool tokens; /* the x axis, else bits per pixel */
    const char *title, *unit;
} rate_plot;

/* What a plot is made of, freed at once. */
typedef struct plot_parts {
    plot_point *points;
    plot_series *series;
    char (*tips)[TIP];
} plot_parts;

static bool parts_of(plot_parts *parts, size_t points, size_t series) {
    parts->points = calloc(points + 1, sizeof *parts->points);
    parts->series = calloc(series + 1, sizeof *parts->series);
    parts->tips = calloc(points + 1, sizeof *parts->tips);
    return parts->points && parts->series && parts->tips;
}

static void parts_free(plot_parts *parts) {
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

static void tip_of(const rate_plot *q, const report_candidate *c, const measure *m, char tip[TIP]) {
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
static int rate_points(const rate_plot *q, plot_parts *parts, int *series_count, int *left_out) {
    const report_data *r = q->p->r;
    int count = 0;
    *series_count = *left_out = 0;
    for (int look = 0; look < q->p->series_count; ++look) {
        plot_series *s = &parts->series[*series_count];
        *s = (plot_series){.points = &parts->points[count], .look = look};
        for (int i = 0; i < r->candidate_count; ++i) {
            const report_candidate *c = &r->candidates[i];
            const measure m = measured(c, q->what);
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

static void rate_figure(const rate_plot *q) {
    FILE *f = q->p->file;
    plot_parts parts;
    int series = 0, left_out = 0;
    const size_t most = (size_t)q->p->r->candidate_count;
    if (parts_of(&parts, most, most)) {
        const int count = rate_points(q, &parts, &series, &left_out);
        const plot p = {.title = q->title,
                        .x_name = q->tokens ? "tokens a picture" : "bits per pixel",
                        .y_name = q->unit,
                        .log_x = far_apart(parts.points, count),
                        .series = parts.series,
                        .count = series};
        if (count) {
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
          "candidate, each line a series; bars are 95 % intervals of the mean, dashed lines are "
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
        rate_pair(p, TEXT_ACC, "Words read right (T-ACC)", "share, more is better");
        rate_pair(p, TEXT_NED, "Letters read right (T-NED)", "share, more is better");
    }
    if (report_has_faces(r)) rate_pair(p, FACE_SIM, "Faces kept (F-Sim)", "cosine, more is better");
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
    bool faces, second;
    const char *title, *x_name;
} size_plot;

static const report_bins *bins_of(const report_candidate *c, bool faces) {
    return faces ? &c->faces.bins : &c->text.bins;
}

static void size_figure(const report_part *part, const size_plot *q) {
    const report_data *r = part->r;
    FILE *f = part->file;
    size_t most = 0;
    for (int i = 0; i < r->candidate_count; ++i)
        most += (size_t)bins_of(&r->candidates[i], q->faces)->count;
    plot_parts parts;
    if (parts_of(&parts, most, (size_t)r->candidate_count)) {
        int count = 0, series = 0;
        for (int i = 0; i < r->candidate_count; ++i) {
            const report_candidate *c = &r->candidates[i];
            const report_bins *bins = bins_of(c, q->faces);
            plot_series *s = &parts.series[series];
            *s = (plot_series){.name = c->name,
                               .points = &parts.points[count],
                               .look = series,
                               .dashed = c->kind == REPORT_ANCHOR};
            for (int k = 0; k < bins->count; ++k) {
                const report_bin *b = &bins->at[k];
                const double y = q->second ? b->second : b->first;
                char value[40], range[100], seen[40];
                if (isnan(y) || !(middle(b) > 0)) continue;
                snprintf(parts.tips[count], TIP, "%.120s: %s at %s pixels, %s seen", c->name,
                         report_number(y, value), report_range(b->low, b->high, range),
                         report_whole((double)b->count, seen));
                parts.points[count] = (plot_point){middle(b), y, NAN, NAN, parts.tips[count]};
                count++;
                s->count++;
            }
            if (s->count) series++;
        }
        const plot p = {.title = q->title,
                        .x_name = q->x_name,
                        .y_name = q->faces ? "cosine, more is better" : "share, more is better",
                        .log_x = true,
                        .y_least = 0,
                        .y_most = q->faces ? 0 : 1.02,
                        .series = parts.series,
                        .count = series};
        if (series) {
            fputs("<figure class=\"card\">", f);
            plot_svg(&p, WIDTH, HEIGHT, f);
            plot_legend(f, &p);
            fputs("</figure>\n", f);
        }
    }
    parts_free(&parts);
}

void report_text_plots(const report_part *p) {
    if (!report_has_text(p->r)) return;
    const size_plot acc = {false, false, "Words read right (T-ACC)", "pixels per character"};
    const size_plot ned = {false, true, "Letters read right (T-NED)", "pixels per character"};
    fputs("<section id=\"text\"><h2>What a reader still reads</h2><p class=\"say\">Words by the "
          "size of their letters: how small text may be before it is lost. A word counts as read "
          "when all of it is right.</p><div class=\"plots\">",
          p->file);
    size_figure(p, &acc);
    size_figure(p, &ned);
    fputs("</div></section>\n", p->file);
}

void report_face_plots(const report_part *p) {
    if (!report_has_faces(p->r)) return;
    const size_plot sim = {true, false, "Faces kept (F-Sim)", "pixels of a face"};
    fputs("<section id=\"faces\"><h2>Who is still who</h2><p class=\"say\">Similarity of the face "
          "before and after, by the size of the face.</p><div class=\"plots\">",
          p->file);
    size_figure(p, &sim);
    fputs("</div></section>\n", p->file);
}

/* ---- codes ---- */

/* Shares of ids by rank, or bits by position; dense curves are thinned to what a plot can show. */
static void code_figure(const report_part *part, bool bits) {
    enum { MOST = 256 };
    const report_data *r = part->r;
    plot_parts parts;
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
