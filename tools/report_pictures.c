/* SPDX-License-Identifier: MIT */
/* report_pictures.c: see report_pictures.h. */
#include "report_pictures.h"
#include "html_out.h"
#include "sheet_layout.h"

#include <tessera/media.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct gallery {
    tool *t;
    const report_part *p;
    const char *base;
    uint32_t side;
    FILE *packed;       /* a nameless file, in which pictures get their format */
    const char *format; /* "webp" */
    int code;           /* -1 while all is well */
} gallery;

static void give_up(gallery *g, tsr_status status, const char *what, const char *why) {
    if (g->code < 0) g->code = tool_fail_text(g->t, status, "%s: %s", what, why);
}

/* ---- which pictures ---- */

typedef struct rank {
    int picture;
    double badness; /* mean over the candidates, larger is worse; NaN: none has a number */
} rank;

static int worst_first(const void *a, const void *b) {
    const rank *p = a, *q = b;
    if (isnan(p->badness) != isnan(q->badness)) return isnan(p->badness) ? 1 : -1;
    if (!isnan(p->badness) && p->badness != q->badness) return p->badness > q->badness ? -1 : 1;
    return p->picture - q->picture;
}

static double badness(const report_picture *picture, const report_metric *m) {
    double sum = 0;
    int count = 0;
    for (int i = 0; i < picture->count; ++i) {
        const double v = report_cell_value(&picture->cells[i], m->name);
        if (isnan(v)) continue;
        sum += isinf(v) ? 1000 : v; /* equal pictures: better than all others */
        count++;
    }
    return count ? (m->lower ? sum : -sum) / count : NAN;
}

static const report_metric *first_metric(const report_data *r) {
    for (int m = 0; m < r->metric_count; ++m)
        if (!r->metrics[m].set) return &r->metrics[m];
    return NULL;
}

/* ---- pictures as data ---- */

static void shrink(sheet_picture *p, uint32_t side) {
    const double scale = (double)side / (p->width > p->height ? p->width : p->height);
    if (scale >= 1) return;
    sheet_picture small = {NULL, (int)fmax(1, lrint(p->width * scale)),
                           (int)fmax(1, lrint(p->height * scale))};
    small.rgb = malloc(3 * (size_t)small.width * (size_t)small.height);
    if (small.rgb) sheet_resize(p, &small);
    free(p->rgb);
    *p = small;
}

/* Makes a picture's file; its bytes are in g->packed, from the start to where that stands. */
static void pack(gallery *g, const sheet_picture *p, int quality) {
    char path[32];
    const bool lossy = strcmp(g->format, "png") != 0;
    const tsr_picture_write_settings settings = {.format = g->format,
                                                 .quality = lossy ? quality : 0};
    const int fd = fileno(g->packed);
    snprintf(path, sizeof path, "/dev/fd/%d", fd);
    if (lseek(fd, 0, SEEK_SET) != 0 || ftruncate(fd, 0) != 0) {
        give_up(g, TSR_ERROR_IO, "temporary file", strerror(errno));
        return;
    }
    const tsr_status s = tsr_picture_write(g->t->ctx, path, p->width, p->height, p->rgb, &settings);
    if (s) give_up(g, s, "temporary file", tsr_detail(g->t->ctx));
}

static void embed_file(gallery *g) {
    uint8_t bytes[3 * 4096]; /* whole triples, so that base 64 goes on without gaps */
    size_t got;
    rewind(g->packed);
    while ((got = fread(bytes, 1, sizeof bytes, g->packed)) > 0)
        html_base64(g->p->file, bytes, got);
    if (ferror(g->packed)) give_up(g, TSR_ERROR_IO, "temporary file", strerror(errno));
}

/* Writes an <img> with the picture in it. */
static void embed(gallery *g, const sheet_picture *p, int quality, const char *class,
                  const char *alt, const char *of) {
    FILE *f = g->p->file;
    if (g->code < 0 && !p->rgb) give_up(g, TSR_ERROR_MEMORY, of, "no memory for the picture");
    if (g->code < 0) pack(g, p, quality);
    if (g->code >= 0) return;
    fprintf(f, "<img class=\"%s\" width=\"%d\" height=\"%d\" decoding=\"async\" alt=\"", class,
            p->width, p->height);
    html_text(f, alt);
    html_text(f, of);
    fprintf(f, "\" src=\"data:image/%s;base64,", strcmp(g->format, "jpg") ? g->format : "jpeg");
    embed_file(g);
    fputs("\">", f);
}

/* ---- error maps ---- */

/* Dark to light in even steps, so that a grey print says the same. */
void report_error_colour(double error, uint8_t rgb[3]) {
    static const uint8_t stops[][3] = {{10, 8, 28},     {54, 18, 92},   {118, 28, 109},
                                       {184, 50, 84},   {232, 98, 46},  {250, 165, 30},
                                       {250, 222, 110}, {255, 252, 220}};
    const int last = (int)(sizeof stops / sizeof *stops) - 1;
    const double at = fmin(fmax(error, 0), REPORT_ERROR_MOST) / REPORT_ERROR_MOST * last;
    const int low = at >= last ? last - 1 : (int)at;
    for (int c = 0; c < 3; ++c)
        rgb[c] = (uint8_t)lrint(stops[low][c] + (at - low) * (stops[low + 1][c] - stops[low][c]));
}

/* Half the size the pictures are shown in: an area's mean says more than single pixels. */
static void error_map(gallery *g, const sheet_picture *a, const sheet_picture *b, const char *of) {
    const size_t pixels = (size_t)a->width * (size_t)a->height;
    sheet_picture map = {malloc(3 * pixels), a->width, a->height};
    if (!map.rgb) {
        give_up(g, TSR_ERROR_MEMORY, of, "no memory for the error map");
        return;
    }
    for (size_t i = 0; i < pixels; ++i) {
        int sum = 0;
        for (size_t c = 3 * i; c < 3 * i + 3; ++c)
            sum += abs(a->rgb[c] - b->rgb[c]);
        memset(map.rgb + 3 * i, (sum + 1) / 3, 3);
    }
    shrink(&map, g->side / 2 > 64 ? g->side / 2 : 64);
    for (size_t i = 0; map.rgb && i < (size_t)map.width * (size_t)map.height; ++i)
        report_error_colour(map.rgb[3 * i], map.rgb + 3 * i);
    embed(g, &map, 75, "error", "Error map of ", of);
    free(map.rgb);
}

/* ---- one picture ---- */

static void absent(gallery *g, const char *why) {
    fputs("<div class=\"absent\">", g->p->file);
    html_text(g->p->file, why);
    fputs("</div>", g->p->file);
}

/* Reads a picture file, of a report that may come from anybody: no pipe, no device. Where it cannot
 * be read, `why` says so and the picture has no pixels. */
static sheet_picture load(gallery *g, const char *folder, const char *file, char why[300]) {
    static const uint8_t white[3] = {255, 255, 255};
    char path[8400];
    sheet_picture p = {0};
    struct stat info;
    snprintf(path, sizeof path, "%s%s%s", *file == '/' ? "" : folder, *file == '/' ? "" : "/",
             file);
    if (stat(path, &info) != 0)
        snprintf(why, 300, "no picture: %.200s: %s", file, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        snprintf(why, 300, "no picture: %.200s is no file", file);
    else if (tsr_picture_read(g->t->ctx, path, white, &p.rgb, &p.width, &p.height))
        snprintf(why, 300, "no picture: %.250s", tsr_detail(g->t->ctx));
    return p;
}

/* "24.13 dB, 0.7120 SSIM": what a cell says of its picture. */
static void cell_numbers(const report_data *r, const report_cell *c, char *text, size_t size) {
    size_t at = 0;
    text[0] = 0;
    for (int m = 0; m < r->metric_count && at < size; ++m) {
        char number[40];
        const double v = r->metrics[m].set ? NAN : report_cell_value(c, r->metrics[m].name);
        if (isnan(v)) continue;
        at += (size_t)snprintf(text + at, size - at, "%s%.30s %s%s%.20s", at ? ", " : "",
                               r->metrics[m].label, report_number(v, number),
                               *r->metrics[m].unit ? " " : "", r->metrics[m].unit);
    }
    if (at < size && !isnan(c->tokens)) {
        char number[40];
        at += (size_t)snprintf(text + at, size - at, "%s%s tokens", at ? ", " : "",
                               report_whole(c->tokens, number));
    }
    if (at < size && !isnan(c->bytes)) {
        char number[40];
        snprintf(text + at, size - at, "%s%s bytes", at ? ", " : "",
                 report_whole(c->bytes, number));
    }
}

static void figure_open(gallery *g, bool original, const char *name, const char *numbers) {
    FILE *f = g->p->file;
    fprintf(f, "<figure%s data-name=\"", original ? " class=\"original\"" : "");
    html_text(f, name);
    fputs("\" data-numbers=\"", f);
    html_text(f, numbers);
    fputs("\">", f);
}

static void shown(gallery *g, const sheet_picture *p, const char *alt, const char *of) {
    sheet_picture small = {malloc(3 * (size_t)p->width * (size_t)p->height), p->width, p->height};
    if (small.rgb) memcpy(small.rgb, p->rgb, 3 * (size_t)p->width * (size_t)p->height);
    if (small.rgb) shrink(&small, g->side);
    fputs("<button class=\"shown\" type=\"button\" aria-label=\"Enlarge: ", g->p->file);
    html_text(g->p->file, alt);
    html_text(g->p->file, of);
    fputs("\">", g->p->file);
    embed(g, &small, 82, "", alt, of);
    fputs("</button>", g->p->file);
    free(small.rgb);
}

static void candidate_figure(gallery *g, const report_picture *picture, int i,
                             const sheet_picture *original) {
    const report_data *r = g->p->r;
    const report_candidate *c = &r->candidates[i];
    const report_cell *cell = report_picture_cell(picture, i);
    FILE *f = g->p->file;
    char numbers[600] = "", why[300] = "", alt[300];
    if (!cell) return;
    cell_numbers(r, cell, numbers, sizeof numbers);
    snprintf(alt, sizeof alt, "%.200s of ", c->name);
    figure_open(g, false, c->name, numbers);
    const bool good = !strcmp(cell->status, "ok");
    if (!good) {
        fputs("<div class=\"absent bad\">", f);
        html_text(f, cell->status);
        fputs("</div>", f);
    } else if (!cell->file) {
        absent(g, "no picture kept");
    } else {
        sheet_picture p = load(g, g->base, cell->file, why);
        if (!p.rgb) {
            absent(g, why);
        } else {
            shown(g, &p, alt, picture->name);
            if (original->rgb && p.width == original->width && p.height == original->height)
                error_map(g, original, &p, picture->name);
            free(p.rgb);
        }
    }
    fputs("<figcaption><b>", f);
    html_text(f, c->name);
    fputs("</b><span>", f);
    html_text(f, numbers);
    fputs("</span></figcaption></figure>\n", f);
}

static void one_picture(gallery *g, const report_picture *picture) {
    const report_data *r = g->p->r;
    FILE *f = g->p->file;
    char why[300] = "";
    sheet_picture original = picture->file ? load(g, g->base, picture->file, why)
                                           : load(g, r->originals, picture->name, why);
    fputs("<article class=\"card picture\" data-name=\"", f);
    html_text(f, picture->name);
    fputs("\"", f);
    for (int m = 0; m < r->metric_count; ++m) {
        const double v = r->metrics[m].set ? NAN : badness(picture, &r->metrics[m]);
        if (!isnan(v)) fprintf(f, " data-m%d=\"%.9g\"", m, v);
    }
    fputs("><header><h3>", f);
    html_text(f, picture->name);
    fputs("</h3>", f);
    if (picture->width)
        fprintf(f, "<span>%d \xC3\x97 %d pixels</span>", picture->width, picture->height);
    fputs("</header><div class=\"strip\">", f);
    figure_open(g, true, "original", "");
    if (original.rgb)
        shown(g, &original, "Original: ", picture->name);
    else
        absent(g, why);
    fputs("<figcaption><b>Original</b></figcaption></figure>\n", f);
    for (int i = 0; i < r->candidate_count && g->code < 0; ++i)
        candidate_figure(g, picture, i, &original);
    fputs("</div></article>\n", f);
    free(original.rgb);
}

/* ---- the section ---- */

static void tools_bar(const gallery *g, const char *sorted_by) {
    const report_data *r = g->p->r;
    FILE *f = g->p->file;
    fputs("<div class=\"tools\"><label class=\"script-only\">Sort by <select id=\"order\">", f);
    for (int m = 0; m < r->metric_count; ++m) {
        if (r->metrics[m].set) continue;
        fprintf(f, "<option value=\"m%d\"%s>worst ", m,
                !strcmp(r->metrics[m].name, sorted_by) ? " selected" : "");
        html_text(f, r->metrics[m].label);
        fputs("</option>", f);
    }
    fputs(
        "<option value=\"name\">name</option></select></label><label class=\"script-only\"><input "
        "type=\"checkbox\" id=\"maps\" checked> error maps</label><span class=\"ramp\">error 0 <i "
        "style=\"background:linear-gradient(90deg",
        f);
    for (int k = 0; k <= 8; ++k) {
        uint8_t c[3];
        report_error_colour(k * REPORT_ERROR_MOST / 8.0, c);
        fprintf(f, ",#%02x%02x%02x", c[0], c[1], c[2]);
    }
    fprintf(f,
            ")\"></i> %d and more of 255 (mean over channels and area)</span></div>\n"
            "<div id=\"gallery\">",
            REPORT_ERROR_MOST);
}

static const char viewer[] =
    "<dialog id=\"view\" aria-label=\"Picture, enlarged\"><div class=\"view\"><div class=\"bar\">"
    "<strong></strong><button type=\"button\" class=\"before\" "
    "title=\"p\">Previous</button><button type=\"button\" class=\"next\" "
    "title=\"n\">Next</button><button type=\"button\" class=\"close\">Close</button></div>"
    "<div class=\"stage\"><img class=\"below\" alt=\"\"><img class=\"above\" alt=\"\"><div "
    "class=\"line\"></div></div><input type=\"range\" min=\"0\" max=\"100\" step=\"0.5\" "
    "aria-label=\"Share of the original that is shown\"><div class=\"ends\"><span>original</span>"
    "<span class=\"right\"></span></div><div class=\"numbers say\"></div></div></dialog>\n";

/* Takes the kind of picture that this build writes smallest. */
static void begin(gallery *g) {
    static const char *const formats[] = {"webp", "jpg", "png"};
    for (int k = 0; k < 3; ++k) {
        const tsr_picture_write_settings settings = {.format = formats[k]};
        g->format = formats[k];
        if (!tsr_picture_write_check(g->t->ctx, "-", &settings)) break;
    }
    g->packed = tmpfile();
    if (!g->packed) give_up(g, TSR_ERROR_IO, "temporary file", strerror(errno));
}

static void each_picture(gallery *g, const rank *order, int count) {
    for (int i = 0; i < count && g->code < 0; ++i) {
        if (tool_progress(g->t, "drawing", (uint64_t)i, (uint64_t)count))
            give_up(g, TSR_ERROR_INTERRUPTED, "pictures", "stopped");
        else
            one_picture(g, &g->p->r->pictures[order[i].picture]);
    }
    tool_progress_clear(g->t);
}

int report_pictures(tool *t, const report_part *p, const char *base,
                    const report_page_settings *settings) {
    const report_data *r = p->r;
    gallery g = {.t = t, .p = p, .base = base, .side = settings->side, .code = -1};
    int count = r->picture_count;
    if (!count || !settings->pictures) return -1;
    rank *order = calloc((size_t)count, sizeof *order);
    if (!order) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for %d pictures", count);
    const report_metric *m = first_metric(r);
    for (int i = 0; i < count; ++i)
        order[i] = (rank){i, m ? badness(&r->pictures[i], m) : NAN};
    qsort(order, (size_t)count, sizeof *order, worst_first);
    if ((uint32_t)count > settings->pictures) count = (int)settings->pictures;
    fprintf(p->file, "<section id=\"pictures\"><h2>Pictures</h2><p class=\"say\">");
    if (count < r->picture_count) {
        fprintf(p->file, "The %d worst of %d", count, r->picture_count);
    } else {
        fprintf(p->file, count == 1 ? "The picture" : "All %d, the worst first", count);
    }
    if (m && r->picture_count > 1) {
        fputs(" by the mean ", p->file);
        html_text(p->file, m->label);
        fputs(" of all candidates", p->file);
    }
    fprintf(p->file,
            ". Shown at most %u pixels wide or high; numbers and error maps are of the whole "
            "picture.<span class=\"script-only\"> A click compares a picture with its "
            "original.</span></p>",
            settings->side);
    begin(&g);
    tools_bar(&g, m ? m->name : "");
    each_picture(&g, order, count);
    fprintf(p->file, "</div></section>\n%s", viewer);
    if (g.packed) fclose(g.packed);
    free(order);
    return g.code;
}
