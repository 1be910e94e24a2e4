/* SPDX-License-Identifier: MIT */
/* stroke_font.c: see stroke_font.h. A glyph is a text of digit pairs "xy" on a grid 5 wide:
 * capitals reach from y 0 down to the baseline at 6, small letters start at 2, descenders end at 8.
 * A blank lifts the pen; a point drawn alone is a dot. Blunt corners are rounded when drawn.
 *
 * A Latin letter with a mark is the letter and the mark; what cannot be drawn is its number in
 * hexadecimal in a box, so that two names that differ look different. */
#include "stroke_font.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

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

/* U+00C0 to U+017F: the letter, then its mark, or a second letter, or a blank; two blanks are what
 * is not drawn. */
static const char latin[] = "A`A'A^A~A:AoAEC,E`E'E^E:I`I'I^I:"   /* U+00C0 */
                            "D/N~O`O'O^O~O:x O/U`U'U^U:Y'  ss"   /* U+00D0 */
                            "a`a'a^a~a:aoaec,e`e'e^e:i`i'i^i:"   /* U+00E0 */
                            "d/n~o`o'o^o~o:  o/u`u'u^u:y'  y:"   /* U+00F0 */
                            "A-a-AuauA;a;C'c'C^c^C.c.CvcvDvdv"   /* U+0100 */
                            "D/d/E-e-EueuE.e.E;e;EvevG^g^Gugu"   /* U+0110 */
                            "G.g.G,g,H^h^H/h/I~i~I-i-IuiuI;i;"   /* U+0120 */
                            "I.i IJijJ^j^K,k,k L'l'L,l,LvlvL."   /* U+0130 */
                            "l.L/l/N'n'N,n,Nvnv'n    O-o-Ouou"   /* U+0140 */
                            "O\"o\"OEoeR'r'R,r,RvrvS's'S^s^S,s," /* U+0150 */
                            "SvsvT,t,TvtvT/t/U~u~U-u-UuuuUouo"   /* U+0160 */
                            "U\"u\"U;u;W^w^Y^y^Y:Z'z'Z.z.Zvzvs " /* U+0170 */;

/* Marks: two units high, above a letter or below the baseline; a stroke lies across its middle. */
static const struct {
    char mark;
    uint16_t combining; /* the code point that puts it on the letter before */
    char where;         /* 'a'bove, 'b'elow, 'c'rossing */
    const char *strokes;
} marks[] = {
    {'`', 0x300, 'a', "0011"},       {'\'', 0x301, 'a', "1001"},
    {'^', 0x302, 'a', "011021"},     {'~', 0x303, 'a', "01102130"},
    {'-', 0x304, 'a', "0121"},       {'u', 0x306, 'a', "000121 2120"},
    {'.', 0x307, 'a', "0101"},       {':', 0x308, 'a', "0101 2121"},
    {'o', 0x30A, 'a', "0010110100"}, {'"', 0x30B, 'a', "1001 3021"},
    {'v', 0x30C, 'a', "001120"},     {'!', 0x323, 'b', "0101"},
    {',', 0x326, 'b', "1002"},       {',', 0x327, 'b', "101102"},
    {';', 0x328, 'b', "100122"},     {'_', 0x331, 'b', "0121"},
    {'/', 0x338, 'c', "0220"},
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

/* ---- code points ---- */

/* Takes one code point off the text. A byte that is not UTF-8 comes as 0xDC00 + byte, which no text
 * has. */
static uint32_t take(const char **text) {
    const uint8_t *p = (const uint8_t *)*text;
    const int more = *p < 0x80   ? 0
                     : *p < 0xC2 ? -1
                     : *p < 0xE0 ? 1
                     : *p < 0xF0 ? 2
                     : *p < 0xF5 ? 3
                                 : -1;
    uint32_t c = more <= 0 ? *p : *p & (0x3Fu >> more);
    bool good = more >= 0;
    for (int i = 1; good && i <= more; ++i) {
        good = (p[i] & 0xC0) == 0x80; /* the 0 at the end is none */
        c = c << 6 | (p[i] & 0x3F);
    }
    *text += good ? 1 + more : 1;
    return good ? c : 0xDC00u + *p;
}

static bool is_small(char letter) { /* as high as an x */
    return letter >= 'a' && letter <= 'z' && !strchr("bdfhklt", letter);
}

static void add_mark(outline *o, size_t mark, char letter, double width) {
    const char *strokes = marks[mark].strokes, where = marks[mark].where;
    const double high = is_small(letter) ? 0 : -2;
    const double y = where == 'a' ? high : where == 'b' ? 6.5 : is_small(letter) ? 3 : 2;
    add_glyph(o, strokes, (width - glyph_width(strokes)) / 2, y, 1);
}

/* The mark a code point puts on the letter before it, or -1. */
static int mark_of(uint32_t c) {
    for (size_t i = 0; i < sizeof marks / sizeof *marks; ++i)
        if (marks[i].combining == c) return (int)i;
    return -1;
}

static double add_letter(outline *o, char letter, double x, bool dotless) {
    const char *glyph = dotless && letter == 'i'   ? "0206"
                        : dotless && letter == 'j' ? "121708"
                                                   : glyphs[letter - ' '];
    add_glyph(o, glyph, x, 0, 1);
    return glyph_width(glyph);
}

/* Two rows of digits in a box. */
static double add_box(outline *o, uint32_t c) {
    char digits[9];
    const bool byte = c >= 0xDC00 && c < 0xDE00;
    const int count = snprintf(digits, sizeof digits,
                               byte         ? "%02X"
                               : c > 0xFFFF ? "%06X"
                                            : "%04X",
                               byte ? c - 0xDC00 : c);
    const int columns = count / 2;
    const double width = 2.4 * columns + 0.9;
    const double corner[5][2] = {{0, -1}, {width, -1}, {width, 7}, {0, 7}, {0, -1}};
    for (int i = 0; i < 4; ++i)
        add(o, corner[i][0], corner[i][1], corner[i + 1][0], corner[i + 1][1]);
    for (int i = 0; i < count; ++i)
        add_glyph(o, glyphs[digits[i] - ' '], 0.9 + i % columns * 2.4, i / columns ? 3.6 : -0.1,
                  0.42);
    return width;
}

/* Takes one code point and the marks upon it off the text; returns its width. */
static double take_shape(const char **text, outline *o) {
    const uint32_t c = take(text);
    char letter = 0, second = ' ';
    o->count = 0;
    if (c >= 32 && c < 127) letter = (char)c;
    if (c >= 0xC0 && c < 0x180 && latin[2 * (c - 0xC0)] != ' ') {
        letter = latin[2 * (c - 0xC0)];
        second = latin[2 * (c - 0xC0) + 1];
    }
    if (!letter) return add_box(o, c);
    const char *after = *text;
    int own = -1, mark = **text ? mark_of(take(&after)) : -1;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; ++i)
        if (marks[i].mark == second) own = (int)i;
    const bool marked = own >= 0 || mark >= 0;
    const bool narrow = marked && strchr("Iijl", letter); /* less wide than its mark */
    const bool dotless =
        c == 0x131 || (marked && marks[own >= 0 ? own : mark].where == 'a'); /* or two dots */
    double width = add_letter(o, letter, narrow ? 1 : 0, dotless);
    if (narrow) width = 2;
    if (own >= 0) {
        add_mark(o, (size_t)own, letter, width);
        second = ' ';
    }
    if (second != ' ') width += GAP + add_letter(o, second, width + GAP, false);
    for (; **text && mark >= 0; after = *text, mark = mark_of(**text ? take(&after) : 0)) {
        add_mark(o, (size_t)mark, letter, width);
        take(text);
    }
    return width;
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
    outline o;
    while (*text)
        units += take_shape(&text, &o) + GAP;
    return units > 0 ? (units - GAP) * size / BASELINE : 0;
}

void stroke_text(const stroke_picture *picture, double x, double baseline, double size, double pen,
                 const uint8_t colour[3], const char *text) {
    double unit = size / BASELINE;
    outline o;
    while (*text) {
        const double width = take_shape(&text, &o);
        if (o.count) draw_glyph(picture, &o, x, baseline, unit, pen, colour);
        x += (width + GAP) * unit;
    }
}
