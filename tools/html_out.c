/* SPDX-License-Identifier: MIT */
/* html_out.c: see html_out.h. */
#include "html_out.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

/* Takes one code point off the text; -1 for a byte that is no UTF-8 (overlong forms, surrogates).
 */
static int32_t take(const unsigned char **text) {
    const unsigned char *p = *text;
    const int more = *p < 0x80   ? 0
                     : *p < 0xC2 ? -1
                     : *p < 0xE0 ? 1
                     : *p < 0xF0 ? 2
                     : *p < 0xF5 ? 3
                                 : -1;
    *text += 1;
    if (more <= 0) return more ? -1 : *p;
    int32_t c = *p & (0x3F >> more);
    for (int i = 1; i <= more; ++i) {
        if ((p[i] & 0xC0) != 0x80) return -1; /* the 0 at the end is none */
        c = c << 6 | (p[i] & 0x3F);
    }
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (c < least[more] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) return -1;
    *text = p + more + 1;
    return c;
}

static int is_text(int32_t c) {
    if (c == '\n' || c == '\t') return 1;
    return c >= 32 && !(c >= 127 && c < 160) && !(c >= 0x202A && c <= 0x202E) &&
           !(c >= 0x2066 && c <= 0x2069) && c != 0xFFFE && c != 0xFFFF;
}

void html_text(FILE *file, const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        const unsigned char *from = p;
        const int32_t c = take(&p);
        if (c < 0 || !is_text(c))
            fputs("\xEF\xBF\xBD", file);
        else if (c == '&')
            fputs("&amp;", file);
        else if (c == '<')
            fputs("&lt;", file);
        else if (c == '>')
            fputs("&gt;", file);
        else if (c == '"')
            fputs("&quot;", file);
        else if (c == '\'')
            fputs("&#39;", file);
        else
            fwrite(from, 1, (size_t)(p - from), file);
    }
}

void html_format(FILE *file, const char *format, ...) {
    char text[1001];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    html_text(file, text);
}

void html_base64(FILE *file, const void *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *p = bytes;
    for (size_t i = 0; i < size; i += 3) {
        const size_t left = size - i;
        const uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                           (left > 2 ? p[i + 2] : 0);
        const char four[4] = {digits[v >> 18], digits[v >> 12 & 63],
                              left > 1 ? digits[v >> 6 & 63] : '=',
                              left > 2 ? digits[v & 63] : '='};
        fwrite(four, 1, 4, file);
    }
}
