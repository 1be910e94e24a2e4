/* SPDX-License-Identifier: MIT */
/* text_rows.c: JSON lines of texts. */
#include "text_rows.h"
#include "../formats/file.h"
#include "../formats/utf8.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    tsr_context *ctx;
    const char *name;
    int64_t line; /* from 1 */
    tsr_text_rows *rows;
    int64_t room, used; /* rows that there is memory for; code points so far */
} reader;

static tsr_status refuse(const reader *r, const char *field, const char *wanted, const char *got) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s:%lld: %s: wanted %s, got %s", r->name,
                    (long long)r->line, field, wanted, got);
}

static const char *kind_of(const cJSON *item) {
    return !item                  ? "none"
           : cJSON_IsString(item) ? "a text"
           : cJSON_IsNumber(item) ? "a number"
           : cJSON_IsNull(item)   ? "null"
           : cJSON_IsObject(item) ? "an object"
           : cJSON_IsArray(item)  ? "a list"
                                  : "true or false";
}

/* Number of `name` in *names, appended where it is new. */
static tsr_status find_name(const reader *r, char ***names, int *count, const char *name,
                            int32_t *index) {
    for (*index = 0; *index < *count; ++*index)
        if (!strcmp((*names)[*index], name)) return TSR_OK;
    if (*count == TSR_TEXT_MOST_NAMES)
        return tsr_fail(r->ctx, TSR_ERROR_TOO_LARGE,
                        "%s:%lld: wanted at most %d different groups and names, got one more",
                        r->name, (long long)r->line, TSR_TEXT_MOST_NAMES);
    if (!*names && !(*names = tsr_alloc(r->ctx, TSR_TEXT_MOST_NAMES, sizeof **names, "names")))
        return TSR_ERROR_MEMORY;
    char *copy = tsr_alloc(r->ctx, strlen(name) + 1, 1, "name");
    if (!copy) return TSR_ERROR_MEMORY;
    strcpy(copy, name);
    (*names)[(*count)++] = copy;
    return TSR_OK;
}

/* Code points of a text that must be there. There is room: a text has no more of them than its line
 * has bytes. */
static tsr_status take_text(reader *r, const char *field, const cJSON *item, tsr_text *text) {
    const char *at = cJSON_GetStringValue(item);
    if (!at) return refuse(r, field, "a text", kind_of(item));
    const size_t size = strlen(at);
    if (!tsr_utf8_valid(at, size, NULL)) return refuse(r, field, "UTF-8", "other bytes");
    uint32_t *to = r->rows->points + r->used;
    *text = (tsr_text){.points = to};
    while (*at)
        to[text->count++] = tsr_utf8_next(&at);
    r->used += text->count;
    if (text->count > r->rows->longest) r->rows->longest = text->count;
    return TSR_OK;
}

/* A name that may be missing. */
static tsr_status take_name(const reader *r, const char *field, const cJSON *item, char ***names,
                            int *count, int32_t *index) {
    if (item && !cJSON_IsString(item)) return refuse(r, field, "a text", kind_of(item));
    return find_name(r, names, count, item ? cJSON_GetStringValue(item) : "", index);
}

static tsr_status take_row(reader *r, const cJSON *json, tsr_text_row *row) {
    const cJSON *group, *reference, *prediction, *ratio, *name = NULL;
    const char *reference_field = "reference text";
    if (cJSON_IsArray(json)) {
        group = cJSON_GetArrayItem(json, 0);
        reference = cJSON_GetArrayItem(json, 1);
        prediction = cJSON_GetArrayItem(json, 2);
        ratio = cJSON_GetArrayItem(json, 3);
    } else if (cJSON_IsObject(json)) {
        group = cJSON_GetObjectItemCaseSensitive(json, "file");
        if (!group) group = cJSON_GetObjectItemCaseSensitive(json, "set");
        reference = cJSON_GetObjectItemCaseSensitive(json, reference_field = "ref");
        if (!reference) reference = cJSON_GetObjectItemCaseSensitive(json, reference_field = "gt");
        prediction = cJSON_GetObjectItemCaseSensitive(json, "pred");
        ratio = cJSON_GetObjectItemCaseSensitive(json, "ratio");
        name = cJSON_GetObjectItemCaseSensitive(json, "reference");
    } else
        return refuse(r, "line", "an object or a list", kind_of(json));
    if (ratio && (!cJSON_IsNumber(ratio) || !isfinite(ratio->valuedouble)))
        return refuse(r, "ratio", "a finite number", kind_of(ratio));
    row->ratio = ratio ? ratio->valuedouble : NAN;
    tsr_text_rows *all = r->rows;
    tsr_status status = take_name(r, "group", group, &all->groups, &all->group_count, &row->group);
    if (!status)
        status = take_name(r, "reference", name, &all->reference_names, &all->reference_count,
                           &row->reference_name);
    if (!status) status = take_text(r, reference_field, reference, &row->reference);
    if (!status) status = take_text(r, "pred", prediction, &row->prediction);
    return status;
}

/* cJSON hands texts out up to their first 0. */
static bool has_zero(const char *line, size_t size) {
    for (size_t i = 0; i + 5 < size; ++i)
        if (line[i] == '\\') {
            if (!memcmp(line + i + 1, "u0000", 5)) return true;
            ++i; /* what is escaped */
        }
    return memchr(line, 0, size) != NULL;
}

static tsr_status take_line(reader *r, const char *line, size_t size) {
    while (size && strchr(" \t\r", line[size - 1]) && line[size - 1])
        --size;
    if (!size) return TSR_OK;
    if (has_zero(line, size)) return refuse(r, "line", "texts without code point 0", "one");
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(line, size, &end, 0);
    tsr_status status = TSR_OK;
    if (!json || end != line + size) status = refuse(r, "line", "one JSON value", "something else");
    tsr_text_rows *all = r->rows;
    if (!status && all->count == r->room) {
        const int64_t room = r->room ? 2 * r->room : 256;
        tsr_text_row *more = tsr_alloc(r->ctx, (size_t)room, sizeof *more, "rows of texts");
        if (more && all->count) memcpy(more, all->rows, (size_t)all->count * sizeof *more);
        if (more) {
            free(all->rows);
            all->rows = more;
            r->room = room;
        } else
            status = TSR_ERROR_MEMORY;
    }
    if (!status) status = take_row(r, json, &all->rows[all->count]);
    if (!status) all->count++;
    cJSON_Delete(json);
    return status;
}

tsr_status tsr_text_rows_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                               tsr_text_rows *rows) {
    reader r = {.ctx = ctx, .name = name, .rows = rows};
    *rows = (tsr_text_rows){0};
    rows->points = tsr_alloc(ctx, size + 1, sizeof *rows->points, "texts");
    tsr_status status = rows->points ? TSR_OK : TSR_ERROR_MEMORY;
    const char *at = size ? bytes : "", *end = at + size;
    while (at < end && !status) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop) stop = end;
        ++r.line;
        status = take_line(&r, at, (size_t)(stop - at));
        at = stop < end ? stop + 1 : end;
    }
    if (!status && !rows->count)
        status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted rows of texts, got none", name);
    if (status) tsr_text_rows_close(rows);
    return status;
}

tsr_status tsr_text_rows_read(tsr_context *ctx, const char *path, tsr_text_rows *rows) {
    tsr_map map = {0};
    *rows = (tsr_text_rows){0};
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (!status) status = tsr_text_rows_parse(ctx, path, map.bytes, map.size, rows);
    tsr_map_close(&map);
    return status;
}

void tsr_text_rows_close(tsr_text_rows *rows) {
    for (int i = 0; i < rows->group_count; ++i)
        free(rows->groups[i]);
    for (int i = 0; i < rows->reference_count; ++i)
        free(rows->reference_names[i]);
    free(rows->groups);
    free(rows->reference_names);
    free(rows->rows);
    free(rows->points);
    *rows = (tsr_text_rows){0};
}
