/* SPDX-License-Identifier: MIT */
/* plot_svg.c: plots as SVG. A text has no font here, so its width is an estimate: names are cut
 * rather than overlapped. */
#include "html_out.h"
#include "plot.h"
#include "plot_pen.h"

#include <stdlib.h>
#include <string.h>

/* Colours that people with any colour vision tell apart (after Okabe and Ito), darkened until each
 * has contrast 4.5 on white. */
const char plot_svg_style[] =
    ".plot{--plot-ink:#1b1e23;--plot-muted:#5c6470;--plot-grid:#d9dde3;--plot-paper:#fff;"
    "--plot-0:#0067a5;--plot-1:#b84a00;--plot-2:#00704f;--plot-3:#a03a78;"
    "--plot-4:#7a5c00;--plot-5:#5b4fc7;--plot-6:#3d6a75;--plot-7:#8c2f39}\n"
    ".plot text{font-family:system-ui,'DejaVu Sans',sans-serif;font-size:12px}\n"
    ".plot text.title{font-size:14px;font-weight:600}\n"
    ".plot polyline{fill:none}\n"
    ".plot .ink{fill:var(--plot-ink)}.plot .muted{fill:var(--plot-muted)}\n"
    ".plot .l-ink{stroke:var(--plot-ink)}.plot .l-muted{stroke:var(--plot-muted)}\n"
    ".plot .l-grid{stroke:var(--plot-grid)}\n"
    ".plot .c0{fill:var(--plot-0)}.plot .l-c0{stroke:var(--plot-0)}\n"
    ".plot .c1{fill:var(--plot-1)}.plot .l-c1{stroke:var(--plot-1)}\n"
    ".plot .c2{fill:var(--plot-2)}.plot .l-c2{stroke:var(--plot-2)}\n"
    ".plot .c3{fill:var(--plot-3)}.plot .l-c3{stroke:var(--plot-3)}\n"
    ".plot .c4{fill:var(--plot-4)}.plot .l-c4{stroke:var(--plot-4)}\n"
    ".plot .c5{fill:var(--plot-5)}.plot .l-c5{stroke:var(--plot-5)}\n"
    ".plot .c6{fill:var(--plot-6)}.plot .l-c6{stroke:var(--plot-6)}\n"
    ".plot .c7{fill:var(--plot-7)}.plot .l-c7{stroke:var(--plot-7)}\n"
    ".plot .mark{stroke:var(--plot-paper);stroke-width:1}\n";

typedef struct svg_pen {
    plot_pen pen; /* first: pens are cast to it */
    FILE *file;
} svg_pen;

static FILE *file_of(plot_pen *pen) {
    return ((svg_pen *)pen)->file;
}

static const char *class_of(int paint, char text[8]) {
    static const char *const names[] = {"ink", "muted", "grid"};
    if (paint < PLOT_LOOK) return names[paint];
    snprintf(text, 8, "c%d", (paint - PLOT_LOOK) % PLOT_COLOURS);
    return text;
}

static void group(plot_pen *pen, const char *name, int look) {
    FILE *f = file_of(pen);
    (void)look;
    if (!name) {
        fputs("</g>", f);
        return;
    }
    fputs("<g class=\"series\"><title>", f);
    html_text(f, name);
    fputs("</title>", f);
}

static void line(plot_pen *pen, const double (*points)[2], int count, int paint, double width,
                 bool dashed) {
    FILE *f = file_of(pen);
    char name[8];
    fprintf(f, "<polyline class=\"l-%s\" stroke-width=\"%g\"%s points=\"", class_of(paint, name),
            width, dashed ? " stroke-dasharray=\"6 4\"" : "");
    for (int i = 0; i < count; ++i)
        fprintf(f, "%s%.1f,%.1f", i ? " " : "", points[i][0], points[i][1]);
    fputs("\"/>", f);
}

static void marker(plot_pen *pen, double x, double y, int look, const char *tip) {
    FILE *f = file_of(pen);
    double corners[12][2], radius;
    const int count = plot_marker(look, corners, &radius);
    if (!count) {
        fprintf(f, "<circle class=\"mark c%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\">",
                look % PLOT_COLOURS, x, y, radius);
    } else {
        fprintf(f, "<polygon class=\"mark c%d\" points=\"", look % PLOT_COLOURS);
        for (int i = 0; i < count; ++i)
            fprintf(f, "%s%.1f,%.1f", i ? " " : "", x + corners[i][0], y + corners[i][1]);
        fputs("\">", f);
    }
    if (tip) {
        fputs("<title>", f);
        html_text(f, tip);
        fputs("</title>", f);
    }
    fputs(count ? "</polygon>" : "</circle>", f);
}

static void text(plot_pen *pen, double x, double y, int anchor, int size, int paint,
                 const char *words, const char *whole) {
    FILE *f = file_of(pen);
    char name[8];
    static const char *const anchors[] = {"", " text-anchor=\"middle\"", " text-anchor=\"end\""};
    fprintf(f, "<text class=\"%s%s\" x=\"%.1f\" y=\"%.1f\"%s>", size == PLOT_TITLE ? "title " : "",
            class_of(paint, name), x, y, anchors[anchor + 1]);
    if (whole) {
        fputs("<title>", f);
        html_text(f, whole);
        fputs("</title>", f);
    }
    html_text(f, words);
    fputs("</text>", f);
}

/* Widths of letters in a common sans serif, as shares of an em; a full-width letter has one. */
static double text_width_of(plot_pen *pen, int size, const char *words) {
    (void)pen;
    double em = 0;
    for (const unsigned char *c = (const unsigned char *)words; *c; ++c) {
        if ((*c & 0xC0) == 0x80) continue;
        em += *c >= 0xE3                        ? 1.0
              : *c >= 0x80                      ? 0.62
              : strchr("mwMW@%", *c)            ? 0.88
              : strchr("iljtf.,:;'|! ()[]", *c) ? 0.34
              : (*c >= 'A' && *c <= 'Z')        ? 0.68
                                                : 0.57;
    }
    return em * size;
}

void plot_svg(const plot *p, int width, int height, FILE *file) {
    svg_pen pen = {{group, line, marker, text, text_width_of}, file};
    fprintf(file,
            "<svg class=\"plot\" xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
            "role=\"img\" aria-label=\"",
            width, height);
    html_text(file, p->title);
    fputs(": ", file);
    html_text(file, p->y_name);
    fputs(", over ", file);
    html_text(file, p->x_name);
    fputs("\">", file);
    plot_walk(p, width, height, &pen.pen);
    fputs("</svg>\n", file);
}

void plot_svg_document(const plot *p, int width, int height, FILE *file) {
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\">\n<style>%s"
            "</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n",
            width, height, plot_svg_style, width, height);
    plot_svg(p, width, height, file);
    fputs("</svg>\n", file);
}

void plot_svg_key(int look, bool dashed, FILE *file) {
    svg_pen pen = {{group, line, marker, text, text_width_of}, file};
    static const double across[2][2] = {{1, 8}, {27, 8}};
    fputs("<svg class=\"plot key\" viewBox=\"0 0 28 16\" width=\"28\" height=\"16\" "
          "aria-hidden=\"true\">",
          file);
    line(&pen.pen, across, 2, PLOT_LOOK + look % PLOT_COLOURS, 2, dashed);
    marker(&pen.pen, 14, 8, look, NULL);
    fputs("</svg>", file);
}
