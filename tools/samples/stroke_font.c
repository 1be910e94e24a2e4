/* SPDX-License-Identifier: MIT */
/* stroke_font.c: see stroke_font.h. A glyph is a text of digit pairs "xy" on a grid 5 wide:
 * capitals reach from y 0 down to the baseline at 6, small letters start at 2, descenders end at 8.
 * A blank lifts the pen; a point drawn alone is a dot. Blunt corners are rounded when drawn. */
#include "stroke_font.h"

#include <math.h>
#include <stddef.h>

enum { BASELINE = 6, GAP = 2, MAX_SEGMENTS = 800 };

static const char *const glyphs[95] = {
    "",                                 /* blank */
    "0004 0606",                        /* ! */
    "0001 2021",                        /* " */
    "1016 3036 0242 0444",              /* # */
    "413010010213334445361605 2026",    /* $ */
    "0010110100 4006 3545463635",       /* % */
    "4612112031320405162644",           /* & */
    "0001",                             /* ' */
    "10010516",                         /* ( */
    "00111506",                         /* ) */
    "2024 0143 4103",                   /* * */
    "2125 0343",                        /* + */
    "1607",                             /* , */
    "0333",                             /* - */
    "0606",                             /* . */
    "3006",                             /* / */
    "102031352616050110",               /* 0 */
    "011016 0626",                      /* 1 */
    "01102031320636",                   /* 2 */
    "01102031322313 233435261605",      /* 3 */
    "26200434",                         /* 4 */
    "300002223335261605",               /* 5 */
    "312010010516263534231304",         /* 6 */
    "003016",                           /* 7 */
    "13020110203132231304051626353423", /* 8 */
    "051626353120100102132332",         /* 9 */
    "0202 0606",                        /* : */
    "1212 1607",                        /* ; */
    "310335",                           /* < */
    "0232 0434",                        /* = */
    "013305",                           /* > */
    "01102031322324 2626",              /* ? */
    "4536160501103041443432222434",     /* @ */
    "062046 1333",                      /* A */
    "002031322303 233435260600",        /* B */
    "4130100105163645",                 /* C */
    "00204244260600",                   /* D */
    "30000636 0323",                    /* E */
    "300006 0323",                      /* F */
    "41301001051636454323",             /* G */
    "0006 4046 0343",                   /* H */
    "0006",                             /* I */
    "3035261605",                       /* J */
    "0006 4004 1346",                   /* K */
    "000636",                           /* L */
    "0600244046",                       /* M */
    "06004640",                         /* N */
    "103041453616050110",               /* O */
    "06003041423303",                   /* P */
    "103041453616050110 2446",          /* Q */
    "06003041423303 2346",              /* R */
    "413010010213334445361605",         /* S */
    "0040 2026",                        /* T */
    "000516364540",                     /* U */
    "002640",                           /* V */
    "0016223640",                       /* W */
    "0046 4006",                        /* X */
    "002340 2326",                      /* Y */
    "00400646",                         /* Z */
    "10000616",                         /* [ */
    "0036",                             /* \ */
    "00101606",                         /* ] */
    "022042",                           /* ^ */
    "0747",                             /* _ */
    "0011",                             /* ` */
    "3236 3322120305162635",            /* a */
    "0006 0312223335261605",            /* b */
    "3322120305162635",                 /* c */
    "3036 3322120305162635",            /* d */
    "04343322120305162635",             /* e */
    "201116 0222",                      /* f */
    "3237281807 3322120305162635",      /* g */
    "0006 0312223336",                  /* h */
    "0206 0000",                        /* i */
    "121708 1010",                      /* j */
    "0006 3205 1436",                   /* k */
    "0006",                             /* l */
    "0206 03122326 23324346",           /* m */
    "0206 0312223336",                  /* n */
    "122233352616050312",               /* o */
    "0208 0312223335261605",            /* p */
    "3238 3322120305162635",            /* q */
    "0206 031222",                      /* r */
    "33221203142435261605",             /* s */
    "101526 0222",                      /* t */
    "0205162635 3236",                  /* u */
    "022642",                           /* v */
    "0216233642",                       /* w */
    "0236 3206",                        /* x */
    "0226 4218",                        /* y */
    "02320636",                         /* z */
    "20111203141526",                   /* { */
    "0007",                             /* | */
    "00111223141506",                   /* } */
    "03122332",                         /* ~ */
};

typedef struct segment {
    double x0, y0, x1, y1;
} segment;

typedef struct outline {
    segment list[MAX_SEGMENTS];
    int count;
} outline;

static int glyph_width(const char *glyph) {
    int width = *glyph ? 0 : 1;
    for (; *glyph; glyph += *glyph == ' ' ? 1 : 2)
        if (*glyph != ' ' && *glyph - '0' > width) width = *glyph - '0';
    return width;
}

static void add(outline *o, double x0, double y0, double x1, double y1) {
    if (o->count < MAX_SEGMENTS) o->list[o->count++] = (segment){x0, y0, x1, y1};
}

/* A corner that turns by less than a right angle becomes a curve between the middles of its sides.
 */
static bool is_blunt(const double *a, const double *b, const double *c) {
    double ux = b[0] - a[0], uy = b[1] - a[1], vx = c[0] - b[0], vy = c[1] - b[1];
    return (ux * vx + uy * vy) > 0.45 * hypot(ux, uy) * hypot(vx, vy);
}

static void add_curve(outline *o, const double *a, const double *b, const double *c, double *from) {
    enum { STEPS = 5 };
    double reach0 = fmin(0.5, 0.75 / hypot(b[0] - a[0], b[1] - a[1]));
    double reach1 = fmin(0.5, 0.75 / hypot(c[0] - b[0], c[1] - b[1]));
    double px = b[0] + (a[0] - b[0]) * reach0, py = b[1] + (a[1] - b[1]) * reach0;
    double qx = b[0] + (c[0] - b[0]) * reach1, qy = b[1] + (c[1] - b[1]) * reach1;
    add(o, from[0], from[1], px, py);
    from[0] = px;
    from[1] = py;
    for (int i = 1; i <= STEPS; ++i) {
        double t = (double)i / STEPS, s = 1 - t;
        double x = s * s * px + 2 * s * t * b[0] + t * t * qx;
        double y = s * s * py + 2 * s * t * b[1] + t * t * qy;
        add(o, from[0], from[1], x, y);
        from[0] = x;
        from[1] = y;
    }
}

static void add_stroke(outline *o, double (*p)[2], int n) {
    bool closed =
        n > 3 && p[0][0] == p[n - 1][0] && p[0][1] == p[n - 1][1] && is_blunt(p[n - 2], p[0], p[1]);
    double from[2] = {p[0][0], p[0][1]};
    if (closed) { /* start in the middle of the last side, so that every corner is rounded */
        from[0] = (p[n - 2][0] + p[0][0]) / 2;
        from[1] = (p[n - 2][1] + p[0][1]) / 2;
    }
    double start[2] = {from[0], from[1]};
    if (closed) add_curve(o, p[n - 2], p[0], p[1], from);
    for (int i = 1; i + 1 < n; ++i) {
        if (is_blunt(p[i - 1], p[i], p[i + 1])) {
            add_curve(o, p[i - 1], p[i], p[i + 1], from);
        } else {
            add(o, from[0], from[1], p[i][0], p[i][1]);
            from[0] = p[i][0];
            from[1] = p[i][1];
        }
    }
    if (closed)
        add(o, from[0], from[1], start[0], start[1]);
    else
        add(o, from[0], from[1], p[n - 1][0], p[n - 1][1]);
}

/* Adds the strokes of a glyph at (x, y), `scale` times as large. */
static void add_glyph(outline *o, const char *glyph, double x, double y, double scale) {
    double points[40][2];
    int n = 0;
    for (;; ++glyph) {
        if (*glyph == ' ' || !*glyph) {
            if (n) add_stroke(o, points, n);
            n = 0;
            if (!*glyph) return;
            continue;
        }
        points[n][0] = x + scale * (glyph[0] - '0');
        points[n][1] = y + scale * (glyph[1] - '0');
        n++;
        glyph++;
    }
}

/* The strokes of a character; printable ASCII alone has any. */
static const char *glyph_of(char c) {
    return c >= ' ' && c < 127 ? glyphs[c - ' '] : "";
}

static double distance(const outline *o, double x, double y) {
    double best = 1e9;
    for (int i = 0; i < o->count; ++i) {
        const segment *s = &o->list[i];
        double dx = s->x1 - s->x0, dy = s->y1 - s->y0, length = dx * dx + dy * dy;
        double t = length > 0 ? ((x - s->x0) * dx + (y - s->y0) * dy) / length : 0;
        t = t < 0 ? 0 : t > 1 ? 1 : t;
        double d = hypot(x - s->x0 - t * dx, y - s->y0 - t * dy);
        if (d < best) best = d;
    }
    return best;
}

static void draw_glyph(const stroke_picture *p, const outline *o, double x, double baseline,
                       double unit, double pen, const uint8_t colour[3]) {
    double low[2] = {1e9, 1e9}, high[2] = {-1e9, -1e9};
    for (int i = 0; i < o->count; ++i) {
        const segment *s = &o->list[i];
        low[0] = fmin(low[0], fmin(s->x0, s->x1)), low[1] = fmin(low[1], fmin(s->y0, s->y1));
        high[0] = fmax(high[0], fmax(s->x0, s->x1)), high[1] = fmax(high[1], fmax(s->y0, s->y1));
    }
    int left = (int)floor(x + low[0] * unit - pen - 1);
    int right = (int)ceil(x + high[0] * unit + pen + 1);
    int top = (int)floor(baseline + (low[1] - BASELINE) * unit - pen - 1);
    int bottom = (int)ceil(baseline + (high[1] - BASELINE) * unit + pen + 1);
    for (int py = top < 0 ? 0 : top; py < bottom && py < p->height; ++py)
        for (int px = left < 0 ? 0 : left; px < right && px < p->width; ++px) {
            double d =
                unit * distance(o, (px + 0.5 - x) / unit, (py + 0.5 - baseline) / unit + BASELINE);
            double cover = 0.5 + pen / 2 - d;
            if (cover <= 0) continue;
            if (cover > 1) cover = 1;
            uint8_t *at = p->rgb + 3 * ((size_t)py * (size_t)p->width + (size_t)px);
            for (int c = 0; c < 3; ++c)
                at[c] = (uint8_t)lrint(at[c] + (colour[c] - at[c]) * cover);
        }
}

double stroke_text_width(const char *text, double size) {
    double units = 0;
    for (; *text; ++text)
        units += glyph_width(glyph_of(*text)) + GAP;
    return units > 0 ? (units - GAP) * size / BASELINE : 0;
}

void stroke_text(const stroke_picture *picture, double x, double baseline, double size, double pen,
                 const uint8_t colour[3], const char *text) {
    const double unit = size / BASELINE;
    for (; *text; ++text) {
        const char *glyph = glyph_of(*text);
        outline o = {.count = 0};
        add_glyph(&o, glyph, 0, 0, 1);
        if (o.count) draw_glyph(picture, &o, x, baseline, unit, pen, colour);
        x += (glyph_width(glyph) + GAP) * unit;
    }
}
