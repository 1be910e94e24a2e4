/* SPDX-License-Identifier: MIT */
/* text_draw.c: see text_draw.h. */
#include "text_draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef TESSERA_WITH_PANGO

#include <fontconfig/fontconfig.h>
#include <pango/pangocairo.h>

/* Without any font pango ends the program. */
const char *text_draw_missing(void) {
    FcConfig *config = FcConfigReference(NULL);
    const FcFontSet *fonts = config ? FcConfigGetFonts(config, FcSetSystem) : NULL;
    const bool none = !fonts || !fonts->nfont;
    if (config) FcConfigDestroy(config);
    return none ? "this machine has no fonts (fontconfig knows none)" : NULL;
}

/* One paragraph that pango accepts without a word. The caller frees it with free(). */
static char *cleaned(const char *text) {
    const size_t length = strlen(text);
    char *clean = malloc(3 * length + 1), *to = clean;
    if (!clean) return NULL;
    const char *end = text + length;
    while (text < end) {
        const gunichar c = g_utf8_get_char_validated(text, end - text);
        if (c == (gunichar)-1 || c == (gunichar)-2 || c < 32 || (c >= 127 && c < 160) ||
            c == 0x2028 || c == 0x2029) {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
            text = c < 160 || c == 0x2028 || c == 0x2029 ? g_utf8_next_char(text) : text + 1;
            continue;
        }
        const char *next = g_utf8_next_char(text);
        memcpy(to, text, (size_t)(next - text));
        to += next - text;
        text = next;
    }
    *to = 0;
    return clean;
}

/* A layout of one line; the caller unrefs it. NULL: no memory. */
static PangoLayout *layout_of(cairo_t *cairo, const text_style *style, const char *text) {
    char *clean = cleaned(text);
    if (!clean) return NULL;
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_SLIGHT);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    PangoLayout *layout = pango_cairo_create_layout(cairo);
    pango_cairo_context_set_font_options(pango_layout_get_context(layout), options);
    cairo_font_options_destroy(options);
    PangoFontDescription *font = pango_font_description_new();
    pango_font_description_set_family(font, style->family ? style->family : "sans");
    pango_font_description_set_absolute_size(font, style->size * PANGO_SCALE);
    if (style->bold) pango_font_description_set_weight(font, PANGO_WEIGHT_BOLD);
    pango_layout_set_font_description(layout, font);
    pango_font_description_free(font);
    pango_layout_set_single_paragraph_mode(layout, TRUE);
    pango_layout_set_text(layout, clean, -1);
    free(clean);
    return layout;
}

double text_width(const text_style *style, const char *text) {
    if (!*text || text_draw_missing()) return 0;
    cairo_surface_t *none = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    cairo_t *cairo = cairo_create(none);
    PangoLayout *layout = layout_of(cairo, style, text);
    int width = 0;
    if (layout) {
        pango_layout_get_size(layout, &width, NULL);
        g_object_unref(layout);
    }
    cairo_destroy(cairo);
    cairo_surface_destroy(none);
    return (double)width / PANGO_SCALE;
}

/* Lays premultiplied native-endian ARGB over RGB; *box becomes what it covered. */
static void lay_over(const text_picture *on, cairo_surface_t *ink, int left, int top,
                     text_box *box) {
    int x0 = on->width, y0 = on->height, x1 = 0, y1 = 0;
    cairo_surface_flush(ink);
    const uint8_t *rows = cairo_image_surface_get_data(ink);
    const int stride = cairo_image_surface_get_stride(ink);
    const int width = cairo_image_surface_get_width(ink),
              height = cairo_image_surface_get_height(ink);
    for (int y = top < 0 ? -top : 0; y < height && y + top < on->height; ++y)
        for (int x = left < 0 ? -left : 0; x < width && x + left < on->width; ++x) {
            uint32_t pixel;
            memcpy(&pixel, rows + (size_t)y * (size_t)stride + 4 * (size_t)x, 4);
            const uint32_t through = 255 - (pixel >> 24);
            if (through == 255) continue;
            x0 = x + left < x0 ? x + left : x0;
            y0 = y + top < y0 ? y + top : y0;
            x1 = x + left >= x1 ? x + left + 1 : x1;
            y1 = y + top >= y1 ? y + top + 1 : y1;
            uint8_t *at =
                on->rgb + 3 * ((size_t)(y + top) * (size_t)on->width + (size_t)(x + left));
            for (int c = 0; c < 3; ++c) {
                const uint32_t sum = (pixel >> (16 - 8 * c) & 255) + (at[c] * through + 127) / 255;
                at[c] = (uint8_t)(sum > 255 ? 255 : sum);
            }
        }
    if (x1 > x0) *box = (text_box){x0, y0, x1, y1};
}

static bool draw_layout(const text_picture *on, cairo_t *measure, const text_style *style, double x,
                        double y, const uint8_t colour[3], const char *text, text_box *box) {
    PangoLayout *layout = layout_of(measure, style, text);
    if (!layout) return false;
    PangoRectangle ink;
    pango_layout_get_extents(layout, &ink, NULL);
    const double unit = 1.0 / PANGO_SCALE, base = y - pango_layout_get_baseline(layout) * unit;
    const double limit = 1e8;
    bool good = true;
    if (ink.width > 0 && ink.height > 0 && fabs(x) < limit && fabs(y) < limit) {
        /* of the ink that part which the picture shows; hinting and smooth edges take some more */
        const int border = 2;
        const int left = (int)fmax(floor(x + ink.x * unit) - border, 0),
                  top = (int)fmax(floor(base + ink.y * unit) - border, 0);
        const int right = (int)fmin(ceil(x + (ink.x + ink.width) * unit) + border, on->width),
                  bottom = (int)fmin(ceil(base + (ink.y + ink.height) * unit) + border, on->height);
        if (right > left && bottom > top) {
            cairo_surface_t *surface =
                cairo_image_surface_create(CAIRO_FORMAT_ARGB32, right - left, bottom - top);
            cairo_t *cairo = cairo_create(surface);
            cairo_set_source_rgb(cairo, colour[0] / 255.0, colour[1] / 255.0, colour[2] / 255.0);
            cairo_move_to(cairo, x - left, base - top);
            pango_cairo_show_layout(cairo, layout);
            good = cairo_status(cairo) == CAIRO_STATUS_SUCCESS;
            if (good) lay_over(on, surface, left, top, box);
            cairo_destroy(cairo);
            cairo_surface_destroy(surface);
        }
    }
    g_object_unref(layout);
    return good;
}

bool text_draw(const text_picture *on, const text_style *style, double x, double y,
               const uint8_t colour[3], const char *text, text_box *ink) {
    text_box nowhere, *box = ink ? ink : &nowhere;
    *box = (text_box){0};
    if (!*text || text_draw_missing()) return true;
    cairo_surface_t *none = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, 1, 1);
    cairo_t *cairo = cairo_create(none);
    const bool good = draw_layout(on, cairo, style, x, y, colour, text, box);
    cairo_destroy(cairo);
    cairo_surface_destroy(none);
    return good;
}

bool text_family_is(const char *family) {
    if (text_draw_missing()) return false;
    FcPattern *pattern = FcPatternCreate();
    FcObjectSet *objects = FcObjectSetBuild(FC_FAMILY, (char *)NULL);
    FcFontSet *found = NULL;
    if (pattern && objects && FcPatternAddString(pattern, FC_FAMILY, (const FcChar8 *)family))
        found = FcFontList(NULL, pattern, objects);
    const bool is = found && found->nfont > 0;
    if (found) FcFontSetDestroy(found);
    if (objects) FcObjectSetDestroy(objects);
    if (pattern) FcPatternDestroy(pattern);
    return is;
}

#else

const char *text_draw_missing(void) {
    return "this build was made without pango; -DTESSERA_PANGO=ON brings it";
}

double text_width(const text_style *style, const char *text) {
    (void)style;
    (void)text;
    return 0;
}

bool text_draw(const text_picture *on, const text_style *style, double x, double y,
               const uint8_t colour[3], const char *text, text_box *ink) {
    (void)on;
    (void)style;
    (void)colour;
    (void)text;
    (void)x;
    (void)y;
    if (ink) *ink = (text_box){0};
    return true;
}

bool text_family_is(const char *family) {
    (void)family;
    return false;
}

#endif
