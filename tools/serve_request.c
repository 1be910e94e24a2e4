/* SPDX-License-Identifier: MIT */
/* serve_request.c: see serve_request.h. */
#include "serve_request.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool serve_refuse(serve_refusal *wrong, int status, const char *format, ...) {
    char text[sizeof wrong->text];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    wrong->status = status;
    wrong->code = serve_code(status);
    tool_clean(text, wrong->text, sizeof wrong->text);
    return false;
}

const char *serve_code(int status) {
    switch (status) {
    case 400:
        return "bad_request";
    case 401:
        return "unauthorized";
    case 403:
        return "forbidden";
    case 404:
        return "not_found";
    case 405:
        return "method_not_allowed";
    case 406:
        return "not_acceptable";
    case 408:
        return "request_timeout";
    case 409:
        return "conflict";
    case 413:
        return "too_large";
    case 415:
        return "unsupported_media_type";
    case 422:
        return "unprocessable";
    case 501:
        return "not_implemented";
    case 503:
        return "busy";
    case 504:
        return "timeout";
    default:
        return "internal";
    }
}

/* ---- options ---- */

#define AT(field) offsetof(serve_request, field)
/* All that `tessera encode` has; which of them a request may set is said below. */
static const option encode_rows[] = {
#include "encode_options.def"
};
static const option own_rows[] = {
    {"format", 0, OPTION_TEXT, AT(format), "F", NULL, NULL, NULL, 0, 0},
    {"name", 0, OPTION_TEXT, AT(name), "TEXT", NULL, NULL, NULL, 0, 0},
    {"item", 0, OPTION_TEXT, AT(item), "N|KEY", NULL, NULL, NULL, 0, 0},
    {"frames", 0, OPTION_UINT, AT(frames), "N", NULL, NULL, NULL, 1, 1000000},
    {"every", 0, OPTION_UINT, AT(every), "N", NULL, NULL, NULL, 1, 1u << 30},
    {"map", 0, OPTION_TEXT, AT(map), "NAME", NULL, NULL, NULL, 0, 0},
    {"template", 0, OPTION_TEXT, AT(template_name), "NAME", NULL, NULL, NULL, 0, 0},
    {"form", 0, OPTION_TEXT, AT(form), "FORM", NULL, NULL, NULL, 0, 0},
    {"picture-quality", 0, OPTION_UINT, AT(picture_quality), "Q", NULL, NULL, NULL, 1, 100},
    {"lossless", 0, OPTION_FLAG, AT(lossless), NULL, NULL, NULL, NULL, 0, 0},
    {"force", 0, OPTION_FLAG, AT(force), NULL, NULL, NULL, NULL, 0, 0},
};
/* Who may set what. Model, tile, batch and device are the server's, and files are nobody's. */
static const struct {
    const char *name;
    int actions;
} allowed[] = {{"tokens", SERVE_ENCODE | SERVE_DECODE},
               {"quality", SERVE_ENCODE},
               {"target", SERVE_ENCODE},
               {"fit", SERVE_ENCODE},
               {"resample", SERVE_ENCODE},
               {"budget", SERVE_ENCODE},
               {"no-halt", SERVE_ENCODE},
               {"latents", SERVE_ENCODE},
               {"background", SERVE_ENCODE},
               {"layers", SERVE_ENCODE},
               {"coding", SERVE_ENCODE},
               {"key-index", SERVE_ENCODE},
               {"name", SERVE_ENCODE},
               {"frames", SERVE_ENCODE},
               {"every", SERVE_ENCODE},
               {"format", SERVE_ENCODE | SERVE_DECODE},
               {"steps", SERVE_DECODE},
               {"guidance", SERVE_DECODE},
               {"guidance-mode", SERVE_DECODE},
               {"seed", SERVE_DECODE},
               {"item", SERVE_DECODE | SERVE_PROMPT},
               {"map", SERVE_PROMPT},
               {"template", SERVE_PROMPT},
               {"form", SERVE_PROMPT},
               {"picture-quality", SERVE_DECODE},
               {"lossless", SERVE_DECODE},
               {"force", SERVE_DECODE}};
enum { ALLOWED = sizeof allowed / sizeof *allowed };

static const option *find_row(const char *name) {
    for (size_t i = 0; i < sizeof own_rows / sizeof *own_rows; ++i)
        if (!strcmp(own_rows[i].name, name)) return &own_rows[i];
    for (size_t i = 0; i < sizeof encode_rows / sizeof *encode_rows; ++i)
        if (!strcmp(encode_rows[i].name, name)) return &encode_rows[i];
    return NULL;
}

static bool no_option(const serve_request *r, const char *name, serve_refusal *wrong) {
    const char *names[ALLOWED];
    int count = 0;
    for (int i = 0; i < ALLOWED; ++i)
        if (allowed[i].actions & (int)r->action) names[count++] = allowed[i].name;
    const char *near = args_suggest(name, names, count);
    return serve_refuse(wrong, 400, "%.60s: no option of this route%s%s%s", name,
                        near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static bool read_flag(const char *name, const char *value, int *target, serve_refusal *wrong) {
    *target = !*value || !strcmp(value, "1") || !strcmp(value, "true");
    if (*target || !strcmp(value, "0") || !strcmp(value, "false")) return true;
    return serve_refuse(wrong, 400, "%s: wanted true or false, got '%.60s'", name, value);
}

bool serve_request_option(serve_request *r, const char *name, const char *value,
                          serve_refusal *wrong) {
    bool may = false;
    for (int i = 0; i < ALLOWED; ++i)
        may |= !strcmp(allowed[i].name, name) && allowed[i].actions & (int)r->action;
    const option *o = may ? find_row(name) : NULL;
    if (!o) return no_option(r, name, wrong);
    if (o->kind == OPTION_FLAG)
        return read_flag(name, value, (int *)((char *)r + o->offset), wrong);
    args_refusal refusal;
    if (o->kind == OPTION_TEXT) {
        if (r->text_count == SERVE_MOST_TEXTS)
            return serve_refuse(wrong, 400, "wanted at most %d texts", SERVE_MOST_TEXTS);
        char *copy = strdup(value);
        if (!copy) return serve_refuse(wrong, 503, "no memory for %s", name);
        r->texts[r->text_count++] = copy;
        value = copy;
    }
    if (r->action == SERVE_PROMPT && !strcmp(name, "item")) {
        if (r->item_count == SERVE_MOST_PICTURES)
            return serve_refuse(wrong, 400, "item: wanted at most %d", SERVE_MOST_PICTURES);
        r->items[r->item_count++] = value;
    }
    if (!args_read_value(o, value, (char *)r + o->offset, &refusal))
        return serve_refuse(wrong, 400, "%s: %s", name, refusal.text);
    return true;
}

void serve_request_free(serve_request *r) {
    for (int i = 0; i < r->text_count; ++i)
        free(r->texts[i]);
    r->text_count = 0;
    free(r->bytes);
    r->bytes = NULL;
    for (int i = 0; i < r->ids_count; ++i) {
        free(r->ids[i].counts);
        free(r->ids[i].ids);
        free(r->ids[i].kept);
    }
    r->ids_count = 0;
}

/* ---- base 64 ---- */

static int digit(unsigned char c) {
    return c >= 'A' && c <= 'Z'   ? c - 'A'
           : c >= 'a' && c <= 'z' ? c - 'a' + 26
           : c >= '0' && c <= '9' ? c - '0' + 52
           : c == '+'             ? 62
           : c == '/'             ? 63
                                  : -1;
}

bool serve_base64(const char *text, size_t size, uint8_t **bytes, size_t *count) {
    *bytes = NULL;
    *count = 0;
    size_t padding = 0;
    while (padding < 2 && size && text[size - 1] == '=') {
        size--;
        padding++;
    }
    if ((padding && (size + padding) % 4) || size % 4 == 1) return false;
    uint8_t *out = malloc(size / 4 * 3 + 3);
    if (!out) return false;
    uint32_t word = 0;
    size_t n = 0;
    for (size_t i = 0; i < size; ++i) {
        const int d = digit((unsigned char)text[i]);
        if (d < 0) {
            free(out);
            return false;
        }
        word = word << 6 | (uint32_t)d;
        if (i % 4) out[n++] = (uint8_t)(word >> (6 - 2 * (i % 4)));
    }
    *bytes = out;
    *count = n;
    return true;
}

/* ---- JSON ---- */

/* Lists, members and elements of a document, before anything is made of it: each costs cJSON far
 * more memory than its characters. */
static bool count_values(const char *json, size_t size, serve_refusal *wrong) {
    size_t values = 0;
    bool text = false;
    for (size_t i = 0; i < size; ++i) {
        const char c = json[i];
        if (text && c == '\\')
            ++i;
        else if (c == '"')
            text = !text;
        else if (!text)
            values += c == ',' || c == '[' || c == '{';
    }
    if (values <= SERVE_MOST_VALUES) return true;
    return serve_refuse(wrong, 413, "JSON: wanted at most %d values, got %zu", SERVE_MOST_VALUES,
                        values);
}

static bool read_number(const cJSON *v, double least, double most, double *number) {
    if (!cJSON_IsNumber(v) || !(v->valuedouble >= least && v->valuedouble <= most) ||
        v->valuedouble != floor(v->valuedouble))
        return false;
    *number = v->valuedouble;
    return true;
}

static bool read_list(const cJSON *list, const char *name, double most, uint32_t **values,
                      uint64_t *count, serve_refusal *wrong) {
    if (!cJSON_IsArray(list))
        return serve_refuse(wrong, 400, "%s: wanted a list of whole numbers", name);
    const uint64_t n = (uint64_t)cJSON_GetArraySize(list);
    free(*values);
    *values = malloc((n + 1) * sizeof **values);
    if (!*values) return serve_refuse(wrong, 503, "no memory for %s", name);
    uint64_t i = 0;
    for (const cJSON *v = list->child; v; v = v->next) {
        double number;
        if (!read_number(v, 0, most, &number))
            return serve_refuse(wrong, 400, "%s: number %llu: wanted a whole number from 0 to %.0f",
                                name, (unsigned long long)i, most);
        (*values)[i++] = (uint32_t)number;
    }
    *count = n;
    return true;
}

static bool read_kept(const cJSON *v, serve_ids *ids, serve_refusal *wrong) {
    size_t count;
    free(ids->kept);
    ids->kept = NULL;
    if (!cJSON_IsString(v) ||
        !serve_base64(v->valuestring, strlen(v->valuestring), &ids->kept, &count))
        return serve_refuse(wrong, 400, "item.kept: wanted base 64");
    ids->bytes_of_kept = count;
    return true;
}

/* A choice that encode has: its place, by a row of its table. */
static bool read_named_choice(const cJSON *v, const char *name, int *target, serve_refusal *wrong) {
    args_refusal refusal;
    if (!cJSON_IsString(v)) return serve_refuse(wrong, 400, "item.%s: wanted a text", name);
    if (!args_read_value(find_row(name), v->valuestring, target, &refusal))
        return serve_refuse(wrong, 400, "item.%s: %s", name, refusal.text);
    return true;
}

static bool read_member(const cJSON *v, serve_ids *ids, serve_refusal *wrong) {
    const struct {
        const char *name;
        uint32_t *at;
        double least, most;
    } sizes[] = {{"source_width", &ids->source_width, 1, 1 << 24},
                 {"source_height", &ids->source_height, 1, 1 << 24},
                 {"orientation", &ids->orientation, 1, 8},
                 {"width", &ids->width, 1, 1 << 24},
                 {"height", &ids->height, 1, 1 << 24},
                 {"tile_width", &ids->tile_width, 1, 65536},
                 {"tile_height", &ids->tile_height, 1, 65536},
                 {"tile_columns", &ids->tile_columns, 1, 1 << 16},
                 {"tile_rows", &ids->tile_rows, 1, 1 << 16},
                 {"overlap", &ids->overlap, 0, 65535},
                 {"crop_x", (uint32_t *)&ids->crop_x, -65536, 1 << 24},
                 {"crop_y", (uint32_t *)&ids->crop_y, -65536, 1 << 24}};
    const char *name = v->string;
    double number;
    args_refusal refusal;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        if (strcmp(sizes[i].name, name)) continue;
        if (!read_number(v, sizes[i].least, sizes[i].most, &number))
            return serve_refuse(wrong, 400, "item.%s: wanted a whole number from %.0f to %.0f",
                                name, sizes[i].least, sizes[i].most);
        *sizes[i].at = (uint32_t)(int32_t)number;
        return true;
    }
    if (!strcmp(name, "fit")) return read_named_choice(v, name, &ids->fit, wrong);
    if (!strcmp(name, "resample")) return read_named_choice(v, name, &ids->filter, wrong);
    if (!strcmp(name, "kept")) return read_kept(v, ids, wrong);
    if (!strcmp(name, "counts"))
        return read_list(v, "item.counts", UINT32_MAX, &ids->counts, &ids->count_of_counts, wrong);
    if (!strcmp(name, "ids"))
        return read_list(v, "item.ids", UINT32_MAX, &ids->ids, &ids->count_of_ids, wrong);
    if (!strcmp(name, "background")) {
        if (!cJSON_IsString(v) ||
            !args_read_value(find_row(name), v->valuestring, ids->background, &refusal))
            return serve_refuse(wrong, 400, "item.background: wanted RRGGBB");
        return true;
    }
    return serve_refuse(wrong, 400, "item.%.60s: no member of an item", name);
}

/* The place of the next picture's ids; NULL: there are too many. */
static serve_ids *next_ids(serve_request *r, serve_refusal *wrong) {
    const int most = r->action == SERVE_PROMPT ? SERVE_MOST_PICTURES : 1;
    if (r->ids_count < most) {
        r->ids[r->ids_count] = (serve_ids){0};
        return &r->ids[r->ids_count++];
    }
    serve_refuse(wrong, 400, "wanted ids of %d picture%s at most, got more", most,
                 most > 1 ? "s" : "");
    return NULL;
}

static bool read_item(const cJSON *item, serve_request *r, serve_refusal *wrong) {
    if (!cJSON_IsObject(item)) return serve_refuse(wrong, 400, "item: wanted an object");
    serve_ids *ids = next_ids(r, wrong);
    if (!ids) return false;
    ids->placed = true;
    for (const cJSON *v = item->child; v; v = v->next)
        if (!read_member(v, ids, wrong)) return false;
    if (!ids->ids || !ids->counts || !ids->width || !ids->height || !ids->source_width ||
        !ids->source_height || !ids->tile_columns || !ids->tile_rows || !ids->fit ||
        !ids->tile_width || !ids->tile_height)
        return serve_refuse(wrong, 400,
                            "item: wanted ids, counts, fit and the sizes that /v1/encode gave; "
                            "\"ids\" alone are those of one tile");
    return true;
}

static bool read_hash(const cJSON *v, uint64_t *hash, serve_refusal *wrong) {
    const char *text = cJSON_IsString(v) ? v->valuestring : "";
    if (strlen(text) != 16 || strspn(text, "0123456789abcdefABCDEF") != 16)
        return serve_refuse(wrong, 400, "weights_hash: wanted 16 hexadecimal digits");
    *hash = strtoull(text, NULL, 16);
    return true;
}

/* "image" or "tess" */
static bool read_bytes(const cJSON *v, serve_request *r, serve_refusal *wrong) {
    const char *text = cJSON_IsString(v) ? v->valuestring : NULL;
    if (r->bytes) return serve_refuse(wrong, 400, "%s: wanted one picture or file", v->string);
    if (text && !strncmp(text, "data:", 5)) { /* "data:image/png;base64,..." */
        const char *comma = strstr(text, ";base64,");
        text = comma && comma - text < 128 ? comma + 8 : NULL;
    }
    if (!text || !serve_base64(text, strlen(text), &r->bytes, &r->size))
        return serve_refuse(wrong, 400,
                            "%s: wanted the bytes of a %s in base 64; paths and addresses are "
                            "never opened",
                            v->string, r->action == SERVE_ENCODE ? "picture" : "token file");
    return true;
}

/* "text": {"caption": "a house"} */
static bool read_places(const cJSON *places, serve_request *r, serve_refusal *wrong) {
    if (!cJSON_IsObject(places))
        return serve_refuse(wrong, 400, "text: wanted an object of texts by their places");
    for (const cJSON *v = places->child; v; v = v->next) {
        if (r->place_count == SERVE_MOST_PLACES || r->text_count + 2 > SERVE_MOST_TEXTS)
            return serve_refuse(wrong, 400, "text: wanted at most %d places", SERVE_MOST_PLACES);
        char *key = strdup(v->string), *text = cJSON_IsString(v) ? strdup(v->valuestring) : NULL;
        if (!key || !text) {
            free(key);
            free(text);
            return serve_refuse(wrong, 400, "text: %.60s: wanted a text", v->string);
        }
        r->text_keys[r->place_count] = r->texts[r->text_count++] = key;
        r->text_values[r->place_count++] = r->texts[r->text_count++] = text;
    }
    return true;
}

/* What an answer of /v1/encode has besides "item": it may be sent to /v1/decode as it is. */
static bool said_by_encode(const char *name) {
    static const char *const names[] = {"model", "name", "token_count", "token_bits", "id_bytes"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (!strcmp(names[i], name)) return true;
    return false;
}

static bool read_option(const cJSON *v, serve_request *r, serve_refusal *wrong) {
    char number[40];
    const char *value = number;
    if (cJSON_IsString(v))
        value = v->valuestring;
    else if (cJSON_IsBool(v))
        value = cJSON_IsTrue(v) ? "true" : "false";
    else if (cJSON_IsNumber(v))
        snprintf(number, sizeof number, "%.17g", v->valuedouble);
    else
        return serve_refuse(wrong, 400, "%.60s: wanted a number, a text, true or false", v->string);
    return serve_request_option(r, v->string, value, wrong);
}

/* Several pictures of a prompt: what /v1/encode gave, or names of items. */
static bool read_items(const cJSON *list, serve_request *r, serve_refusal *wrong) {
    bool good = true;
    for (const cJSON *v = list->child; v && good; v = v->next) {
        char number[40];
        if (cJSON_IsNumber(v)) snprintf(number, sizeof number, "%.17g", v->valuedouble);
        if (cJSON_IsObject(v))
            good = read_item(v, r, wrong);
        else if (cJSON_IsString(v) || cJSON_IsNumber(v))
            good =
                serve_request_option(r, "item", cJSON_IsString(v) ? v->valuestring : number, wrong);
        else
            good = serve_refuse(wrong, 400, "item: wanted items, numbers or keys");
    }
    return good;
}

static bool read_top(const cJSON *v, serve_request *r, serve_refusal *wrong) {
    const bool encode = r->action == SERVE_ENCODE;
    const char *name = v->string;
    if (!strcmp(name, encode ? "image" : "tess")) return read_bytes(v, r, wrong);
    if (!encode && !strcmp(name, "item") && cJSON_IsObject(v)) return read_item(v, r, wrong);
    if (r->action == SERVE_PROMPT && !strcmp(name, "item") && cJSON_IsArray(v))
        return read_items(v, r, wrong);
    if (!encode && !strcmp(name, "ids")) {
        serve_ids *ids = next_ids(r, wrong);
        return ids && read_list(v, "ids", UINT32_MAX, &ids->ids, &ids->count_of_ids, wrong);
    }
    if (r->action == SERVE_PROMPT && !strcmp(name, "text")) return read_places(v, r, wrong);
    if (!encode && !strcmp(name, "weights_hash")) return read_hash(v, &r->weights, wrong);
    if (!encode && said_by_encode(name)) return true;
    return read_option(v, r, wrong);
}

bool serve_request_json(serve_request *r, const char *json, size_t size, serve_refusal *wrong) {
    if (!count_values(json, size, wrong)) return false;
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(json, size, &end, 0);
    bool good = true;
    if (!root)
        good = serve_refuse(wrong, 400, "JSON: wanted an object, got what is no JSON at byte %zu",
                            end ? (size_t)(end - json) : 0);
    else if (!cJSON_IsObject(root))
        good = serve_refuse(wrong, 400, "JSON: wanted an object, got something else");
    while (good && end < json + size && strchr(" \t\r\n", *end) && *end)
        ++end;
    if (good && end != json + size)
        good = serve_refuse(wrong, 400, "JSON: wanted one object, got more at byte %zu",
                            (size_t)(end - json));
    for (const cJSON *v = good ? root->child : NULL; v && good; v = v->next)
        good = read_top(v, r, wrong);
    cJSON_Delete(root);
    if (!good) return false;
    if (r->ids_count && r->bytes)
        return serve_refuse(wrong, 400, "wanted either ids or a token file, got both");
    if (!r->ids_count && !r->bytes)
        return serve_refuse(wrong, 400, "wanted \"%s\"",
                            r->action == SERVE_ENCODE ? "image" : "item\", \"ids\" or \"tess");
    return true;
}
