/* SPDX-License-Identifier: MIT */
/* report_tables.c: the tables of a report page, and its protocol. */
#include "html_out.h"
#include "plot.h"
#include "report_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

const char *report_number(double v, char text[40]) {
    const double size = fabs(v);
    if (isnan(v))
        snprintf(text, 40, "\xE2\x80\x93");
    else if (isinf(v))
        snprintf(text, 40, "%s\xE2\x88\x9E", v < 0 ? "-" : "");
    else if (size >= 1e7 || (size > 0 && size < 1e-4))
        snprintf(text, 40, "%.3g", v);
    else
        snprintf(text, 40, "%.*f", size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 4, v);
    return text;
}

const char *report_whole(double v, char text[40]) {
    if (!isfinite(v) || fabs(v) >= 1e15) return report_number(v, text);
    char digits[40];
    const int length = snprintf(digits, sizeof digits, "%.0f", fabs(v));
    char *to = text;
    if (v < 0) *to++ = '-';
    for (int i = 0; i < length; ++i) {
        if (i && (length - i) % 3 == 0) *to++ = ',';
        *to++ = digits[i];
    }
    *to = 0;
    return text;
}

const char *report_range(double low, double high, char text[100]) {
    char a[40], b[40];
    snprintf(text, 100, "%s\xE2\x80\x93%s", report_number(low, a), report_number(high, b));
    return text;
}

/* A cell that the script sorts by; `digits` is what people read. */
static void number_cell(FILE *f, double v, const char *digits, const char *class, const char *small,
                        int note) {
    fputs("<td", f);
    if (*class || isnan(v)) fprintf(f, " class=\"%s\"", isnan(v) ? "none" : class);
    if (!isnan(v)) fprintf(f, " data-v=\"%.9g\"", v);
    fputs(">", f);
    html_text(f, digits);
    if (note) fprintf(f, "<sup><a href=\"#note-%d\">%d</a></sup>", note, note);
    if (small && *small) {
        fputs("<small>", f);
        html_text(f, small);
        fputs("</small>", f);
    }
    fputs("</td>", f);
}

static void head_cell(FILE *f, const char *title, const char *small, bool text, bool descending) {
    fprintf(f, "<th scope=\"col\"%s%s>", text ? " class=\"name\" data-text=\"1\"" : "",
            descending ? " data-first=\"descending\"" : "");
    fputs("<span>", f);
    html_text(f, title);
    fputs("</span>", f);
    if (*small) {
        fputs("<small>", f);
        html_text(f, small);
        fputs("</small>", f);
    }
    fputs("</th>", f);
}

static void name_cell(const report_part *p, int i) {
    static const char *const kinds[] = {"tokenizer", "anchor", "files"};
    const report_candidate *c = &p->r->candidates[i];
    FILE *f = p->file;
    fputs("<th scope=\"row\" data-v=\"", f);
    html_text(f, c->name);
    fputs("\">", f);
    plot_svg_key(p->look[i], c->kind == REPORT_ANCHOR, f);
    html_text(f, c->name);
    fprintf(f, " <span class=\"kind\">%s</span></th>", kinds[c->kind]);
}

/* ---- the table of candidates ---- */

static bool metric_known(const report_data *r, int m) {
    for (int i = 0; i < r->candidate_count; ++i)
        if (r->candidates[i].summary[m].known) return true;
    return false;
}

report_mean report_other_number(const report_candidate *c, report_other what) {
    const bool known = what == REPORT_FACE_SIM ? c->faces.known : c->text.known;
    if (!known) return (report_mean){NAN, NAN, NAN};
    if (what == REPORT_FACE_SIM) return c->faces.f_sim;
    return what == REPORT_TEXT_ACC ? c->text.t_acc : c->text.t_ned;
}

/* The first of the candidates with the best mean of metric m (of other number -1 - m, where that is
 * negative), or -1. */
static int best_of(const report_data *r, int m) {
    int best = -1;
    double b = NAN;
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_candidate *c = &r->candidates[i];
        const double v =
            m < 0 ? report_other_number(c, (report_other)(-1 - m)).value : c->summary[m].mean;
        if (isnan(v) || (best >= 0 && !(m >= 0 && r->metrics[m].lower ? v < b : v > b))) continue;
        best = i;
        b = v;
    }
    return best;
}

/* What is said of numbers, each text once, below the table. */
typedef struct notes {
    char *at[64];
    int count;
} notes;

/* The number of a note; 0 where there is nothing to say. */
static int note_of(notes *n, const char *why) {
    if (!why || !*why) return 0;
    int k = 0;
    while (k < n->count && strcmp(n->at[k], why))
        ++k;
    if (k == n->count && n->count < (int)(sizeof n->at / sizeof *n->at) &&
        (n->at[n->count] = strdup(why)))
        n->count++;
    return k < n->count ? k + 1 : n->count;
}

/* The list of notes; forgets them. */
static void notes_end(notes *n, FILE *f) {
    if (n->count) fputs("<ol class=\"say notes\">", f);
    for (int k = 0; k < n->count; ++k) {
        fprintf(f, "<li id=\"note-%d\">", k + 1);
        html_text(f, n->at[k]);
        fputs("</li>", f);
        free(n->at[k]);
    }
    if (n->count) fputs("</ol>", f);
}

static void metric_cell(const report_part *p, int i, int m, bool best, notes *n) {
    const report_summary *s = &p->r->candidates[i].summary[m];
    char number[40], range[100] = "", small[200];
    if (isfinite(s->low) && isfinite(s->high)) report_range(s->low, s->high, range);
    snprintf(small, sizeof small, "%s", range);
    if (s->missing > 0)
        snprintf(small + strlen(small), sizeof small - strlen(small), "%s%lld without",
                 *range ? ", " : "", (long long)s->missing);
    number_cell(p->file, s->mean, report_number(s->mean, number), best ? "best" : "", small,
                note_of(n, s->why));
}

/* An anchor that cannot be as small as it should. */
static int floored_note(const report_candidate *c, notes *n) {
    char text[200];
    if (!c->floored) return 0;
    snprintf(
        text, sizeof text,
        "For %lld of %lld pictures even its least takes more than the tokens do: the rate is not "
        "equal there.",
        (long long)c->floored, (long long)c->compared);
    return note_of(n, text);
}

static const char *seconds(double v, char text[40]) {
    if (!(v < 1e7)) return report_number(v, text);
    snprintf(text, 40, "%.*f", v < 10 ? 2 : v < 1000 ? 1 : 0, v);
    return text;
}

static void cost_cells(const report_part *p, const report_candidate *c, bool times, notes *n) {
    char text[40];
    FILE *f = p->file;
    number_cell(f, c->tokens, report_whole(c->tokens, text), "", NULL, 0);
    number_cell(f, c->bytes, report_whole(c->bytes, text), "", NULL, floored_note(c, n));
    number_cell(f, c->bits_per_pixel, report_number(c->bits_per_pixel, text), "", NULL, 0);
    if (!times) return;
    number_cell(f, c->encode_seconds, seconds(c->encode_seconds, text), "", NULL, 0);
    number_cell(f, c->decode_seconds, seconds(c->decode_seconds, text), "", NULL, 0);
}

static void table_head(const report_part *p, bool times, const bool others[REPORT_OTHERS]) {
    static const char *const titles[REPORT_OTHERS] = {"T-ACC", "T-NED", "F-Sim"};
    static const char *const smalls[REPORT_OTHERS] = {"words read right \xE2\x86\x91",
                                                      "letters read right \xE2\x86\x91",
                                                      "face similarity \xE2\x86\x91"};
    const report_data *r = p->r;
    FILE *f = p->file;
    head_cell(f, "Candidate", "", true, false);
    head_cell(f, "Tokens", "a picture", false, false);
    head_cell(f, "Bytes", "a picture", false, false);
    head_cell(f, "Bits", "a pixel", false, false);
    if (times) {
        head_cell(f, "Encode", "s in all", false, false);
        head_cell(f, "Decode", "s in all", false, false);
    }
    for (int m = 0; m < r->metric_count; ++m) {
        char small[120];
        if (!metric_known(r, m)) continue;
        snprintf(small, sizeof small, "%.60s%s%s", r->metrics[m].unit,
                 *r->metrics[m].unit ? " " : "",
                 r->metrics[m].lower ? "\xE2\x86\x93" : "\xE2\x86\x91");
        head_cell(f, r->metrics[m].label, small, false, !r->metrics[m].lower);
    }
    for (int k = 0; k < REPORT_OTHERS; ++k)
        if (others[k]) head_cell(f, titles[k], smalls[k], false, true);
}

static void table_row(const report_part *p, int i, bool times, const bool others[REPORT_OTHERS],
                      notes *n) {
    const report_data *r = p->r;
    const report_candidate *c = &r->candidates[i];
    char number[40];
    fputs("<tr>", p->file);
    name_cell(p, i);
    cost_cells(p, c, times, n);
    for (int m = 0; m < r->metric_count; ++m)
        if (metric_known(r, m)) metric_cell(p, i, m, best_of(r, m) == i, n);
    for (int k = 0; k < REPORT_OTHERS; ++k) {
        const report_mean v = report_other_number(c, (report_other)k);
        char range[100];
        if (others[k])
            number_cell(p->file, v.value, report_number(v.value, number),
                        best_of(r, -1 - k) == i ? "best" : "",
                        isfinite(v.low) ? report_range(v.low, v.high, range) : NULL, 0);
    }
    fputs("</tr>\n", p->file);
}

void report_table(const report_part *p) {
    const report_data *r = p->r;
    FILE *f = p->file;
    notes said = {.count = 0};
    bool times = false;
    const bool text = report_has_text(r), others[REPORT_OTHERS] = {text, text, report_has_faces(r)};
    for (int i = 0; i < r->candidate_count; ++i)
        times = times || !isnan(r->candidates[i].encode_seconds);
    fputs("<section id=\"candidates\"><h2>Candidates</h2><p class=\"say\">Means over the pictures; "
          "below each its 95 % bootstrap interval. \xE2\x86\x91: more is better, \xE2\x86\x93: "
          "less. Bold is the best of a column, at whatever rate. "
          "<span class=\"script-only\">A click on a heading sorts.</span> <span "
          "class=\"narrow\">The table goes on to the right.</span></p>"
          "<div class=\"card scroll pin\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"Table of candidates\"><table class=\"sortable\"><thead><tr>",
          f);
    table_head(p, times, others);
    fputs("</tr></thead><tbody>", f);
    for (int i = 0; i < r->candidate_count; ++i)
        table_row(p, i, times, others, &said);
    fputs("</tbody></table></div>", f);
    notes_end(&said, f);
    fputs("</section>\n", f);
}

/* ---- use of codes ---- */

void report_codes_table(const report_part *p) {
    FILE *f = p->file;
    char text[40];
    fputs("<div class=\"card scroll pin\" tabindex=\"0\" role=\"region\" "
          "aria-label=\"Table of code use\"><table class=\"sortable\"><thead><tr>",
          f);
    head_cell(f, "Candidate", "", true, false);
    head_cell(f, "Codebook", "codes", false, true);
    head_cell(f, "Used", "codes", false, true);
    head_cell(f, "Used", "%", false, true);
    head_cell(f, "Perplexity", "codes", false, true);
    head_cell(f, "Entropy", "bits an id", false, true);
    fputs("</tr></thead><tbody>", f);
    for (int i = 0; i < p->r->candidate_count; ++i) {
        const report_codes *c = &p->r->candidates[i].codes;
        if (!c->known) continue;
        const double size = c->codebook > 0 ? (double)c->codebook : NAN;
        const double share = 100.0 * (double)c->used / size;
        fputs("<tr>", f);
        name_cell(p, i);
        number_cell(f, size, report_whole(size, text), "", NULL, 0);
        number_cell(f, (double)c->used, report_whole((double)c->used, text), "", NULL, 0);
        number_cell(f, share, report_number(share, text), "", NULL, 0);
        number_cell(f, c->perplexity, report_number(c->perplexity, text), "", NULL, 0);
        number_cell(f, c->entropy_bits, report_number(c->entropy_bits, text), "", NULL, 0);
        fputs("</tr>", f);
    }
    fputs("</tbody></table></div>\n", f);
}

/* ---- protocol ---- */

/* A word as a shell reads it. */
static void shell_word(FILE *f, const char *word) {
    const bool plain =
        *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "-_./:,=+@%") == strlen(word);
    if (plain) {
        html_text(f, word);
        return;
    }
    fputs("&#39;", f);
    for (const char *c = word; *c;) {
        const char *quote = strchr(c, '\'');
        const size_t length = quote ? (size_t)(quote - c) : strlen(c);
        char *part = malloc(length + 1);
        if (part) {
            memcpy(part, c, length);
            part[length] = 0;
            html_text(f, part);
            free(part);
        }
        c += length;
        if (*c) {
            c++;
            fputs("&#39;\\&#39;&#39;", f);
        }
    }
    fputs("&#39;", f);
}

static void command(FILE *f, const cJSON *words) {
    const cJSON *word;
    if (!cJSON_GetArraySize(words)) return;
    fputs("<div class=\"command\"><pre><code>", f);
    int count = 0;
    cJSON_ArrayForEach(word, words) {
        if (count++) fputc(' ', f);
        shell_word(f, word->valuestring);
    }
    fputs("</code></pre></div>", f);
}

static void entry(FILE *f, const char *name, const char *value, bool code) {
    if (!value || !*value) return;
    fprintf(f, "<dt>%s</dt><dd>%s", name, code ? "<code>" : "");
    html_text(f, value);
    fprintf(f, "%s</dd>", code ? "</code>" : "");
}

static void parameters(FILE *f, const cJSON *object) {
    const cJSON *v;
    if (!object || !object->child) return;
    fputs("<dt>parameters</dt><dd>", f);
    cJSON_ArrayForEach(v, object) {
        char *text = cJSON_PrintUnformatted(v);
        html_text(f, v->string ? v->string : "");
        fputs(" = ", f);
        html_text(f, cJSON_IsString(v) ? v->valuestring : text ? text : "?");
        if (v->next) fputs(", ", f);
        cJSON_free(text);
    }
    fputs("</dd>", f);
}

static void protocol_metric(FILE *f, const report_metric *m) {
    fputs("<div class=\"card protocol\"><h4>", f);
    html_text(f, m->label);
    fputs("</h4>", f);
    if (*m->protocol) {
        fputs("<p>", f);
        html_text(f, m->protocol);
        fputs("</p>", f);
    }
    fputs("<dl>", f);
    entry(f, "in JSON", m->name, true);
    entry(f, "unit", m->unit, false);
    entry(f, "better", m->lower ? "lower" : "higher", false);
    entry(f, "of", m->set ? "all pictures together" : "each picture, then the mean", false);
    entry(f, "source", m->source, false);
    entry(f, "weights", m->weights_name, false);
    entry(f, "hash", m->weights_hash, true);
    entry(f, "licence", m->weights_licence, false);
    fputs("</dl></div>", f);
}

static void protocol_candidate(const report_part *p, int i) {
    const report_candidate *c = &p->r->candidates[i];
    FILE *f = p->file;
    fputs("<div class=\"card protocol\"><h4>", f);
    plot_svg_key(p->look[i], c->kind == REPORT_ANCHOR, f);
    html_text(f, c->name);
    fputs("</h4><dl>", f);
    entry(f, "model", c->model_name, false);
    entry(f, "weights", c->model_hash, true);
    entry(f, "precision", c->precision, false);
    parameters(f, c->parameters);
    if (c->text.known) entry(f, "reader", c->text.reader, false);
    if (c->faces.known) entry(f, "embedder", c->faces.embedder, false);
    fputs("</dl>", f);
    command(f, c->command);
    fputs("</div>", f);
}

void report_protocol(const report_part *p) {
    const report_data *r = p->r;
    FILE *f = p->file;
    char text[40];
    fputs("<section id=\"protocol\"><h2>Protocol</h2><p class=\"say\">What every number above is, "
          "and how it is made again. Hashes are of the bytes that were used.</p>"
          "<h3>This report</h3><div class=\"card protocol\"><dl>",
          f);
    entry(f, "program", r->program, false);
    entry(f, "made", r->created, false);
    entry(f, "device", r->device, false);
    if (r->threads >= 0) entry(f, "threads", report_whole((double)r->threads, text), false);
    if (!isnan(r->seed)) {
        snprintf(text, sizeof text, "%.17g", r->seed);
        entry(f, "seed", text, true);
    }
    entry(f, "originals", r->originals, true);
    if (r->originals_count >= 0)
        entry(f, "pictures", report_whole((double)r->originals_count, text), false);
    entry(f, "their hash", r->originals_hash, true);
    entry(f, "measured at",
          !strcmp(r->fitted, "fitted")     ? "the size the tokenizer saw (fitted)"
          : !strcmp(r->fitted, "original") ? "the size of the originals"
                                           : r->fitted,
          false);
    fputs("</dl>", f);
    command(f, r->command);
    fputs("</div><h3>Metrics</h3><div class=\"two\">", f);
    for (int m = 0; m < r->metric_count; ++m)
        protocol_metric(f, &r->metrics[m]);
    fputs("</div><h3>Candidates</h3><div class=\"two\">", f);
    for (int i = 0; i < r->candidate_count; ++i)
        protocol_candidate(p, i);
    fputs("</div></section>\n", f);
}
