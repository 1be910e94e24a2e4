/* SPDX-License-Identifier: MIT */
/* json_text.c: see json_text.h. */
#include "json_text.h"
#include "utf8.h"

#include <stdarg.h>
#include <stdio.h>

tsr_json tsr_json_start(const void *text, size_t size) {
    tsr_json j = {.start = text, .at = text};
    size_t bad;
    j.end = j.start ? j.start + size : NULL;
    if (!tsr_utf8_valid(text, size, &bad)) {
        j.wrong = "UTF-8";
        j.bad_at = bad;
    }
    return j;
}

void tsr_json_free(tsr_json *j) {
    tsr_bytes_free(&j->text);
    tsr_bytes_free(&j->name);
}

int tsr_json_wrong(tsr_json *j, const char *wanted) {
    if (j->wrong) return 0;
    j->wrong = wanted;
    j->bad_at = (size_t)(j->at - j->start);
    return 0;
}

static void blanks(tsr_json *j) {
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        ++j->at;
}

static bool is_digit(const tsr_json *j, const uint8_t *p) {
    return p < j->end && *p >= '0' && *p <= '9';
}

char tsr_json_peek(tsr_json *j) {
    if (j->wrong) return 0;
    blanks(j);
    if (j->at == j->end) return (char)tsr_json_wrong(j, "a value");
    const char c = (char)*j->at;
    if (c == '-' || (c >= '0' && c <= '9')) return '0';
    if (strchr("{[\"tfn", c)) return c;
    return (char)tsr_json_wrong(j, "a value");
}

bool tsr_json_enter(tsr_json *j, char bracket) {
    if (tsr_json_peek(j) != bracket)
        return tsr_json_wrong(j, bracket == '{' ? "an object" : "a list");
    if (j->depth == TSR_JSON_DEPTH) return tsr_json_wrong(j, "at most 64 levels");
    j->kind[j->depth] = bracket;
    j->first[j->depth++] = true;
    ++j->at;
    return true;
}

/* To the next entry of the level: behind a comma, unless it is the first. False at the bracket. */
static bool next_entry(tsr_json *j, char close) {
    if (j->wrong || !j->depth) return false;
    blanks(j);
    bool *first = &j->first[j->depth - 1];
    if (j->at < j->end && *j->at == (uint8_t)close) {
        ++j->at;
        --j->depth;
        return false;
    }
    if (!*first) {
        if (j->at == j->end || *j->at != ',')
            return tsr_json_wrong(j, close == '}' ? "',' or '}'" : "',' or ']'");
        ++j->at;
    }
    *first = false;
    return true;
}

bool tsr_json_element(tsr_json *j) {
    return next_entry(j, ']') && tsr_json_peek(j) != 0;
}

/* Four digits of \uXXXX; -1 for other bytes. */
static int32_t hex4(const tsr_json *j, const uint8_t *p) {
    int32_t value = 0;
    if (j->end - p < 4) return -1;
    for (int i = 0; i < 4; ++i) {
        const uint8_t c = p[i] | 0x20;
        if (p[i] >= '0' && p[i] <= '9')
            value = value << 4 | (p[i] - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (c - 'a' + 10);
        else
            return -1;
    }
    return value;
}

/* One escape behind its backslash. */
static void unescape(tsr_json *j, tsr_bytes *to) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    const char *known = j->at < j->end && *j->at ? strchr(from, *j->at) : NULL;
    if (known) {
        tsr_bytes_u8(to, (uint8_t)into[known - from]);
        ++j->at;
        return;
    }
    int32_t c = j->at < j->end && *j->at == 'u' ? hex4(j, j->at + 1) : -1;
    if (c < 0) {
        tsr_json_wrong(j, "an escape");
        return;
    }
    j->at += 5;
    if (c >= 0xD800 && c < 0xE000) {
        const bool pair = c < 0xDC00 && j->end - j->at >= 6 && j->at[0] == '\\' && j->at[1] == 'u';
        const int32_t low = pair ? hex4(j, j->at + 2) : -1;
        if (low < 0xDC00 || low > 0xDFFF) {
            tsr_json_wrong(j, "both halves of a surrogate pair");
            return;
        }
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        j->at += 6;
    }
    char utf8[4];
    tsr_bytes_put(to, utf8, tsr_utf8_put((uint32_t)c, utf8));
}

static const char *read_string(tsr_json *j, tsr_bytes *to, size_t *size) {
    *size = 0;
    to->size = 0;
    if (tsr_json_peek(j) != '"') {
        tsr_json_wrong(j, "a text");
        return "";
    }
    ++j->at;
    while (!j->wrong) {
        const uint8_t *run = j->at;
        while (j->at < j->end && *j->at >= 0x20 && *j->at != '"' && *j->at != '\\')
            ++j->at;
        if (j->at > run) tsr_bytes_put(to, run, (size_t)(j->at - run));
        if (j->at == j->end || *j->at < 0x20) {
            tsr_json_wrong(j, "the end of a text");
        } else if (*j->at++ == '"') {
            break;
        } else {
            unescape(j, to);
        }
    }
    *size = to->size;
    tsr_bytes_u8(to, 0);
    if (to->failed) tsr_json_wrong(j, "memory for a text");
    if (j->wrong) *size = 0;
    return j->wrong ? "" : (const char *)to->at;
}

const char *tsr_json_string(tsr_json *j, size_t *size) {
    return read_string(j, &j->text, size);
}

bool tsr_json_member(tsr_json *j, const char **name) {
    size_t size;
    *name = "";
    if (!next_entry(j, '}')) return false;
    *name = read_string(j, &j->name, &size);
    if (!j->wrong && strlen(*name) != size) tsr_json_wrong(j, "a name without U+0000");
    blanks(j);
    if (!j->wrong && (j->at == j->end || *j->at != ':')) tsr_json_wrong(j, "':'");
    if (j->wrong) return false;
    ++j->at;
    return true;
}

/* Digits of a whole number behind its sign; false on overflow or what is no whole number. */
static bool read_digits(tsr_json *j, uint64_t *value) {
    const uint8_t *from = j->at;
    *value = 0;
    for (; is_digit(j, j->at); ++j->at) {
        const uint64_t digit = *j->at - (uint64_t)'0';
        if (*value > (UINT64_MAX - digit) / 10) return tsr_json_wrong(j, "fewer digits");
        *value = *value * 10 + digit;
    }
    if (j->at == from) return tsr_json_wrong(j, "a whole number");
    if (*from == '0' && j->at - from > 1) return tsr_json_wrong(j, "no leading zero");
    if (j->at < j->end && (*j->at == '.' || (*j->at | 0x20) == 'e'))
        return tsr_json_wrong(j, "a whole number without point or exponent");
    return true;
}

uint64_t tsr_json_unsigned(tsr_json *j) {
    uint64_t value = 0;
    if (tsr_json_peek(j) != '0') return (uint64_t)tsr_json_wrong(j, "a whole number");
    if (*j->at == '-') return (uint64_t)tsr_json_wrong(j, "a whole number from 0");
    return read_digits(j, &value) ? value : 0;
}

int64_t tsr_json_signed(tsr_json *j) {
    uint64_t value = 0;
    if (tsr_json_peek(j) != '0') return tsr_json_wrong(j, "a whole number");
    const bool minus = *j->at == '-';
    j->at += minus;
    if (!read_digits(j, &value)) return 0;
    if (value > (uint64_t)INT64_MAX + minus) return tsr_json_wrong(j, "a number of 64 bits");
    return minus ? (int64_t)(0 - value) : (int64_t)value;
}

bool tsr_json_is_signed(tsr_json *j) {
    if (tsr_json_peek(j) != '0') return false;
    const uint8_t *at = j->at;
    tsr_json_signed(j);
    const bool good = !j->wrong;
    j->at = at;
    j->wrong = NULL;
    return good;
}

/* A number of any form. */
static void skip_number(tsr_json *j) {
    j->at += *j->at == '-';
    const uint8_t *from = j->at;
    while (is_digit(j, j->at))
        ++j->at;
    bool good = j->at > from && !(*from == '0' && j->at - from > 1);
    if (good && j->at < j->end && *j->at == '.') {
        good = is_digit(j, ++j->at);
        while (is_digit(j, j->at))
            ++j->at;
    }
    if (good && j->at < j->end && (*j->at | 0x20) == 'e') {
        ++j->at;
        if (j->at < j->end && (*j->at == '+' || *j->at == '-')) ++j->at;
        good = is_digit(j, j->at);
        while (is_digit(j, j->at))
            ++j->at;
    }
    if (!good) tsr_json_wrong(j, "a number");
}

static void skip_word(tsr_json *j, const char *word) {
    const size_t n = strlen(word);
    if ((size_t)(j->end - j->at) < n || memcmp(j->at, word, n) != 0)
        tsr_json_wrong(j, "a value");
    else
        j->at += n;
}

void tsr_json_skip(tsr_json *j) {
    const int depth = j->depth;
    const char *name;
    size_t size;
    do { /* a loop, not a recursion: the depth is that of the levels' table */
        switch (tsr_json_peek(j)) {
        case '{':
            tsr_json_enter(j, '{');
            break;
        case '[':
            tsr_json_enter(j, '[');
            break;
        case '"':
            tsr_json_string(j, &size);
            break;
        case '0':
            skip_number(j);
            break;
        case 't':
            skip_word(j, "true");
            break;
        case 'f':
            skip_word(j, "false");
            break;
        case 'n':
            skip_word(j, "null");
            break;
        default:
            return;
        }
        while (!j->wrong && j->depth > depth)
            if (j->kind[j->depth - 1] == '{' ? tsr_json_member(j, &name) : tsr_json_element(j))
                break;
    } while (!j->wrong && j->depth > depth);
}

bool tsr_json_finish(tsr_json *j) {
    blanks(j);
    if (j->at != j->end) tsr_json_wrong(j, "nothing behind the value");
    return j->wrong != NULL;
}

tsr_status tsr_json_failed(tsr_context *ctx, const char *where, const tsr_json *json) {
    const bool memory = json->wrong && !strncmp(json->wrong, "memory", 6);
    return tsr_fail(ctx, memory ? TSR_ERROR_MEMORY : TSR_ERROR_FORMAT,
                    "%s: byte %zu: wanted %s, got something else", where, json->bad_at,
                    json->wrong ? json->wrong : "JSON");
}

void tsr_json_put(tsr_bytes *to, const void *text, size_t size, bool ascii) {
    static const char hex[] = "0123456789abcdef", plain[] = "\"\\\b\f\n\r\t",
                      short_form[] = "\"\\bfnrt";
    const uint8_t *p = text, *end = p + size;
    tsr_bytes_u8(to, '"');
    while (p < end) {
        const char *known = *p ? strchr(plain, *p) : NULL;
        if (known) {
            const char escape[2] = {'\\', short_form[known - plain]};
            tsr_bytes_put(to, escape, 2);
            ++p;
        } else if (*p >= 0x20 && (*p < 0x7f || (!ascii && *p != 0x7f))) {
            const uint8_t *run = p++;
            while (p < end && *p >= 0x20 && *p != '"' && *p != '\\' && *p != 0x7f &&
                   (*p < 0x7f || !ascii))
                ++p;
            tsr_bytes_put(to, run, (size_t)(p - run));
        } else if (*p == 0x7f) {
            tsr_bytes_u8(to, *p++);
        } else {
            const int more = *p < 0x80 ? 0 : *p < 0xE0 ? 1 : *p < 0xF0 ? 2 : 3;
            uint32_t c = more ? *p & (0x3Fu >> more) : *p;
            for (int i = 0; i < more && p + 1 < end; ++i)
                c = c << 6 | (*++p & 0x3F);
            ++p;
            const uint32_t units[2] = {c < 0x10000 ? c : 0xD800 + ((c - 0x10000) >> 10),
                                       0xDC00 + ((c - 0x10000) & 0x3FF)};
            for (int i = 0; i < (c < 0x10000 ? 1 : 2); ++i) {
                const char escape[6] = {'\\',
                                        'u',
                                        hex[units[i] >> 12 & 15],
                                        hex[units[i] >> 8 & 15],
                                        hex[units[i] >> 4 & 15],
                                        hex[units[i] & 15]};
                tsr_bytes_put(to, escape, 6);
            }
        }
    }
    tsr_bytes_u8(to, '"');
}

void tsr_json_put_number(tsr_bytes *to, uint64_t number) {
    char digits[20];
    size_t n = sizeof digits;
    do
        digits[--n] = (char)('0' + number % 10);
    while (number /= 10);
    tsr_bytes_put(to, digits + n, sizeof digits - n);
}

void tsr_json_put_format(tsr_bytes *to, const char *format, ...) {
    char text[256];
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    tsr_bytes_put(to, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

static void new_line(tsr_bytes *to, int depth) {
    tsr_bytes_u8(to, '\n');
    for (int i = 0; i < depth; ++i)
        tsr_bytes_put(to, "  ", 2);
}

/* Bytes of the string, or of the list of numbers, that begins here; 0: neither. */
static size_t unbroken(const char *p) {
    size_t n = 1;
    if (*p == '[' && (p[1] == '-' || (p[1] >= '0' && p[1] <= '9'))) {
        n = strcspn(p, "]");
        return p[n] == ']' && strcspn(p + 1, "[{\"tfn") >= n ? n + 1 : 0;
    }
    if (*p != '"') return 0;
    for (; p[n] && p[n] != '"'; ++n)
        n += p[n] == '\\' && p[n + 1];
    return n + (p[n] == '"');
}

void tsr_json_put_laid_out(tsr_bytes *to, const char *compact) {
    int depth = 0;
    for (const char *p = compact; *p;) {
        const size_t whole = unbroken(p);
        const bool open = *p == '{' || *p == '[', close = *p == '}' || *p == ']';
        if (whole) {
            for (size_t i = 0; i < whole; ++i) {
                tsr_bytes_u8(to, (uint8_t)p[i]);
                if (*p == '[' && p[i] == ',') tsr_bytes_u8(to, ' ');
            }
            p += whole;
        } else if (open && p[1] == *p + 2) { /* of either kind the closing one is two further */
            tsr_bytes_put(to, p, 2);
            p += 2;
        } else {
            if (close) new_line(to, --depth);
            tsr_bytes_u8(to, (uint8_t)*p);
            if (open) ++depth;
            if (open || *p == ',') new_line(to, depth);
            if (*p == ':') tsr_bytes_u8(to, ' ');
            ++p;
        }
    }
}
