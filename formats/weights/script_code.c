/* SPDX-License-Identifier: MIT */
/* script_code.c: calls of two functions in a text. */
#include "script_code.h"

#include <stdbool.h>
#include <string.h>

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* Behind a text in quotes that begins at p. */
static const char *skip_quoted(const char *p, const char *end) {
    const char quote = *p++;
    for (; p < end && *p != quote; ++p)
        if (*p == '\\') ++p;
    return p < end ? p + 1 : end;
}

/* Behind the comma that ends the argument at p, or NULL: brackets inside it are passed over. */
static const char *skip_argument(const char *p, const char *end) {
    for (int64_t depth = 0; p < end;) {
        if (*p == '\'' || *p == '"') {
            p = skip_quoted(p, end);
            continue;
        }
        if (*p == ',' && depth == 0) return p + 1;
        if (strchr("([{", *p) && *p)
            ++depth;
        else if (strchr(")]}", *p) && *p && depth-- == 0)
            return NULL;
        ++p;
    }
    return NULL;
}

static const char *skip_blanks(const char *p, const char *end) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r' || *p == '\n'))
        ++p;
    return p;
}

/* The whole number that the argument at p is; 0: it is none, or one beyond what a norm has. */
static int64_t read_number(const char *p, const char *end) {
    int64_t n = 0;
    for (p = skip_blanks(p, end); p < end && *p >= '0' && *p <= '9' && n < 1 << 20; ++p)
        n = n * 10 + (*p - '0');
    p = skip_blanks(p, end);
    return p < end && (*p == ',' || *p == ')') && n < 1 << 20 ? n : 0;
}

/* Whether the argument at p is a list of these three digits. */
static bool is_list(const char *p, const char *end, const char digits[3]) {
    for (int i = 0; i < 3; ++i) {
        p = skip_blanks(p, end);
        if (p == end || *p++ != (i ? ',' : '[')) return false;
        p = skip_blanks(p, end);
        if (p == end || *p++ != digits[i]) return false;
    }
    p = skip_blanks(p, end);
    return p < end && *p == ']';
}

/* Whether the name of a function that ends at `bracket` is this one, behind whatever dots. */
static bool is_call(const char *text, const char *bracket, const char *name) {
    const ptrdiff_t length = (ptrdiff_t)strlen(name);
    return bracket - text >= length && memcmp(bracket - length, name, (size_t)length) == 0 &&
           (bracket - text == length || !is_word(bracket[-length - 1]));
}

static void read_norm(const char *groups, const char *end, tsr_script_facts *f) {
    const int64_t n = read_number(groups, end);
    if (!n) return;
    if (f->norms++ == 0)
        f->groups = n;
    else if (f->groups != n)
        f->groups = 0; /* for good: no number is 0 */
}

void tsr_script_read(const char *text, size_t size, tsr_script_facts *f) {
    const char *end = text + size;
    for (const char *p = text; p < end && (p = memchr(p, '(', (size_t)(end - p))); ++p) {
        const bool norm = is_call(text, p, "group_norm"), pool = is_call(text, p, "avg_pool3d");
        const char *second = norm || pool ? skip_argument(p + 1, end) : NULL;
        if (second && norm) read_norm(second, end, f);
        if (second && pool) {
            f->space_pools += is_list(second, end, "122");
            f->time_pools += is_list(second, end, "211");
        }
    }
}
