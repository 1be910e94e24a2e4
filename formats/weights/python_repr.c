/* SPDX-License-Identifier: MIT */
/* python_repr.c: a recursive descent over Python literals; see python_repr.h for what is accepted.
 */
#include "python_repr.h"
#include "../utf8.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT  ((size_t)1 << 20)
#define MAX_DEPTH 64
#define MAX_KEYS  4096 /* each new key is compared with all before it */

typedef struct scanner {
    tsr_context *ctx;
    const char *name, *text, *at, *end;
    int depth;
} scanner;

static tsr_status parse_value(scanner *s, cJSON **json);

static tsr_status wrong(scanner *s, const char *wanted) {
    size_t offset = (size_t)(s->at - s->text);
    if (s->at == s->end)
        return tsr_fail(s->ctx, TSR_ERROR_FORMAT, "%s: at character %zu: wanted %s, got the end",
                        s->name, offset, wanted);
    return tsr_fail(s->ctx, TSR_ERROR_FORMAT, "%s: at character %zu: wanted %s, got 0x%02x",
                    s->name, offset, wanted, (unsigned char)*s->at);
}

static tsr_status no_memory(scanner *s) {
    return tsr_fail(s->ctx, TSR_ERROR_MEMORY, "%s: no memory for its values", s->name);
}

static void skip_space(scanner *s) {
    while (s->at < s->end && strchr(" \t\r\n", *s->at) && *s->at)
        ++s->at;
}

static bool take(scanner *s, char c) {
    skip_space(s);
    if (s->at == s->end || *s->at != c) return false;
    ++s->at;
    return true;
}

static bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static bool take_word(scanner *s, const char *word) {
    size_t n = strlen(word);
    if ((size_t)(s->end - s->at) < n || memcmp(s->at, word, n) != 0) return false;
    if (s->at + n < s->end && is_word(s->at[n])) return false;
    s->at += n;
    return true;
}

static int digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

/* What follows a backslash, up to 4 bytes; *count = 0 for a line that goes on. */
static tsr_status parse_escape(scanner *s, char *to, size_t *count) {
    static const char from[] = "\\'\"abfnrtv", into[] = "\\'\"\a\b\f\n\r\t\v";
    if (s->at == s->end) return wrong(s, "an escape");
    char c = *s->at;
    const char *simple = c ? strchr(from, c) : NULL;
    *count = 0;
    if (simple || c == '\n') {
        ++s->at;
        if (simple) to[(*count)++] = into[simple - from];
        return TSR_OK;
    }
    int base = 16, digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0, most = digits;
    if (c >= '0' && c <= '7')
        base = 8, digits = 1, most = 3;
    else if (digits)
        ++s->at;
    else
        return wrong(s, "a known escape");
    uint32_t code = 0;
    int got = 0;
    for (; got < most && s->at < s->end && digit(*s->at) < base; ++got, ++s->at)
        code = code * (uint32_t)base + (uint32_t)digit(*s->at);
    if (got < digits) return wrong(s, "more digits of an escape");
    if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        return wrong(s, "an escape for a character other than U+0000 and surrogates before this");
    *count = tsr_utf8_put(code, to);
    return TSR_OK;
}

/* A string; its text is malloc'd. */
static tsr_status parse_string(scanner *s, char **result) {
    char quote = *s->at++;
    size_t count = 0;
    /* No escape is longer than its source, so the source's length is enough. */
    const char *close = s->at;
    while (close < s->end && *close != quote)
        close += *close == '\\' && s->end - close > 1 ? 2 : 1;
    char *text = malloc((size_t)(close - s->at) + 5);
    if (!text) return no_memory(s);
    tsr_status status = TSR_OK;
    while (!status) {
        if (s->at == s->end) {
            status = wrong(s, "a closing quote");
        } else if (*s->at == quote) {
            ++s->at;
            break;
        } else if (*s->at == '\0' || *s->at == '\n') {
            status = wrong(s, "a character of a string");
        } else if (*s->at == '\\') {
            size_t more;
            ++s->at;
            status = parse_escape(s, text + count, &more);
            if (!status) count += more;
        } else {
            text[count++] = *s->at++;
        }
    }
    if (status) {
        free(text);
        return status;
    }
    text[count] = '\0';
    char *fitted = realloc(text, count + 1);
    *result = fitted ? fitted : text;
    return TSR_OK;
}

/* The text of a number, copied because strtod wants an end; only characters of numbers are given
 * to it, so neither "nan(...)" nor hexadecimal floats pass. */
static tsr_status parse_number(scanner *s, double *value, char text[64]) {
    const char *start = s->at;
    size_t n = 0;
    if (s->at < s->end && (*s->at == '-' || *s->at == '+')) text[n++] = *s->at++;
    if (take_word(s, "inf")) {
        *value = text[0] == '-' && n ? -INFINITY : INFINITY;
        strcpy(text + n, "inf");
        return TSR_OK;
    }
    bool digits = false, whole = true;
    while (s->at < s->end && n < 63) {
        char c = *s->at;
        bool after_e = n && (text[n - 1] == 'e' || text[n - 1] == 'E');
        if (c >= '0' && c <= '9')
            digits = true;
        else if (c == '.' || c == 'e' || c == 'E')
            whole = false;
        else if (!((c == '+' || c == '-') && after_e))
            break;
        text[n++] = c;
        ++s->at;
    }
    text[n] = '\0';
    char *stop = NULL;
    if (digits) *value = strtod(text, &stop);
    if (!digits || *stop || (s->at < s->end && (is_word(*s->at) || *s->at == '.'))) {
        s->at = start;
        return wrong(s, "a literal");
    }
    /* 07 is no Python number; 0 and 00 are. */
    const char *first = text + (text[0] == '-' || text[0] == '+');
    if (whole && first[0] == '0' && *value != 0) {
        s->at = start;
        return wrong(s, "a number without leading zeros");
    }
    return TSR_OK;
}

static tsr_status add_item(scanner *s, cJSON *list, cJSON *item) {
    if (cJSON_AddItemToArray(list, item)) return TSR_OK;
    cJSON_Delete(item);
    return no_memory(s);
}

/* After '[' or '('. A tuple of one needs its comma; without it, (x) is x. */
static tsr_status parse_sequence(scanner *s, char closing, cJSON **json) {
    cJSON *list = cJSON_CreateArray();
    if (!list) return no_memory(s);
    tsr_status status = TSR_OK;
    int count = 0;
    bool comma = false;
    while (!status && !take(s, closing)) {
        cJSON *item = NULL;
        if (count && !comma) {
            status = wrong(s, closing == ']' ? "',' or ']'" : "',' or ')'");
            break;
        }
        status = parse_value(s, &item);
        if (!status) status = add_item(s, list, item);
        comma = take(s, ',');
        ++count;
    }
    if (!status && closing == ')' && count == 1 && !comma) {
        *json = cJSON_DetachItemFromArray(list, 0);
        cJSON_Delete(list);
        return TSR_OK;
    }
    if (status)
        cJSON_Delete(list);
    else
        *json = list;
    return status;
}

/* After '{'. A key that comes twice keeps its last value, as in Python. */
static tsr_status parse_dict(scanner *s, cJSON **json) {
    cJSON *dict = cJSON_CreateObject();
    if (!dict) return no_memory(s);
    tsr_status status = TSR_OK;
    bool comma = true;
    int keys = 0;
    while (!status && !take(s, '}')) {
        char *key = NULL, number[64];
        double ignored;
        cJSON *item = NULL;
        if (!comma)
            status = wrong(s, "',' or '}'");
        else if (++keys > MAX_KEYS)
            status = wrong(s, "at most 4096 keys");
        else if (s->at < s->end && (*s->at == '\'' || *s->at == '"'))
            status = parse_string(s, &key);
        else if (!(status = parse_number(s, &ignored, number)) && !(key = strdup(number)))
            status = no_memory(s);
        if (!status && !take(s, ':')) status = wrong(s, "':'");
        if (!status) status = parse_value(s, &item);
        if (!status) {
            cJSON_DeleteItemFromObjectCaseSensitive(dict, key);
            if (!cJSON_AddItemToObject(dict, key, item)) {
                cJSON_Delete(item);
                status = no_memory(s);
            }
        }
        free(key);
        comma = take(s, ',');
    }
    if (status)
        cJSON_Delete(dict);
    else
        *json = dict;
    return status;
}

static tsr_status parse_atom(scanner *s, cJSON **json) {
    if (*s->at == '\'' || *s->at == '"') {
        char *text;
        tsr_status status = parse_string(s, &text);
        if (status) return status;
        *json = cJSON_CreateString(text);
        free(text);
    } else if (take_word(s, "True")) {
        *json = cJSON_CreateTrue();
    } else if (take_word(s, "False")) {
        *json = cJSON_CreateFalse();
    } else if (take_word(s, "None") || take_word(s, "nan")) {
        *json = cJSON_CreateNull();
    } else {
        double value;
        char text[64];
        tsr_status status = parse_number(s, &value, text);
        if (status) return status;
        *json = cJSON_CreateNumber(value);
    }
    return *json ? TSR_OK : no_memory(s);
}

static tsr_status parse_value(scanner *s, cJSON **json) {
    skip_space(s);
    if (s->at == s->end) return wrong(s, "a literal");
    if (s->depth == MAX_DEPTH) return wrong(s, "at most 64 levels");
    ++s->depth;
    tsr_status status;
    if (take(s, '['))
        status = parse_sequence(s, ']', json);
    else if (take(s, '('))
        status = parse_sequence(s, ')', json);
    else if (take(s, '{'))
        status = parse_dict(s, json);
    else
        status = parse_atom(s, json);
    --s->depth;
    return status;
}

tsr_status tsr_python_repr_parse(tsr_context *ctx, const char *name, const char *text, size_t size,
                                 cJSON **json) {
    *json = NULL;
    if (size > MAX_TEXT)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %zu characters, got %zu",
                        name, MAX_TEXT, size);
    scanner s = {.ctx = ctx, .name = name, .text = text, .at = text, .end = text + size};
    size_t bad = 0;
    if (!tsr_utf8_valid(text, size, &bad)) {
        s.at += bad;
        return wrong(&s, "UTF-8");
    }
    tsr_status status = parse_value(&s, json);
    if (!status) {
        skip_space(&s);
        if (s.at < s.end) {
            status = wrong(&s, "the end");
            cJSON_Delete(*json);
            *json = NULL;
        }
    }
    return status;
}
