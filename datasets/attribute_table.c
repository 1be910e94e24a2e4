/* SPDX-License-Identifier: MIT */
/* attribute_table.c: see attribute_table.h. The file stays as it is in memory; an index leads from
 * the hash of a key to its line, which is taken apart again when it is asked for. */
#include "attribute_table.h"
#include "../compute/context.h"
#include "../formats/file.h"
#include "../formats/hash.h"
#include "../formats/tokens/token_layout.h"
#include "../formats/utf8.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MOST_NAME = 255 };
/* Attributes of one row, and what may stand around them. */
static const size_t most_line = (size_t)2 * TSR_MAX_ATTRIBUTES_BYTES;

typedef struct text {
    const char *at;
    size_t size;
} text;

typedef struct row {
    uint64_t hash;
    text line;
    uint64_t number; /* of the line, from 1 */
    atomic_bool used;
} row;

struct tsr_attribute_table {
    char *name; /* begins detail texts */
    tsr_map map;
    bool json;
    text *columns; /* .tsv: [column_count] names, the first is that of the key */
    size_t column_count, column_room;
    row *rows; /* [count] in the order of the file */
    size_t count, room;
    uint32_t *slots; /* [slot_count] row + 1; 0: free */
    size_t slot_count;
};

/* Takes the text up to `end` off the front of *rest; true: `end` was there. */
static bool take(text *rest, char end, text *piece) {
    const char *found = rest->size ? memchr(rest->at, end, rest->size) : NULL;
    *piece = (text){rest->at, found ? (size_t)(found - rest->at) : rest->size};
    const size_t used = piece->size + (found != NULL);
    rest->at += used;
    rest->size -= used;
    return found != NULL;
}

/* Takes the next line, without its end. False: there are no more. */
static bool take_line(text *rest, text *line) {
    if (!rest->size) return false;
    take(rest, '\n', line);
    if (line->size && line->at[line->size - 1] == '\r') line->size--;
    return true;
}

/* ---- what a line may hold ------------------------------------------------------------------ */

typedef struct place { /* where a text stands, for messages */
    tsr_context *ctx;
    const char *name;
    uint64_t line;
} place;

#define AT(p) (p)->name, (p)->line

static tsr_status check_name(const place *p, text name) {
    bool good = name.size >= 1 && name.size <= MOST_NAME;
    for (size_t i = 0; i < name.size && good; ++i)
        good = (unsigned char)name.at[i] >= 0x20 && name.at[i] != 0x7f;
    if (good) return TSR_OK;
    return tsr_fail(p->ctx, TSR_ERROR_FORMAT,
                    "%s:%" PRIu64 ": name of an attribute: wanted 1..%d bytes without control "
                    "characters, got another",
                    AT(p), MOST_NAME);
}

static tsr_status check_size(const place *p, size_t size, size_t *all) {
    *all += size;
    if (size <= TSR_MAX_ATTRIBUTE_BYTES && *all <= TSR_MAX_ATTRIBUTES_BYTES) return TSR_OK;
    return tsr_fail(p->ctx, TSR_ERROR_TOO_LARGE,
                    "%s:%" PRIu64 ": wanted values of at most %u bytes, and %u in all, got more",
                    AT(p), TSR_MAX_ATTRIBUTE_BYTES, TSR_MAX_ATTRIBUTES_BYTES);
}

static int by_text(const void *a, const void *b) {
    const text *x = a, *y = b;
    const size_t n = x->size < y->size ? x->size : y->size;
    const int order = memcmp(x->at, y->at, n);
    return order ? order : x->size < y->size ? -1 : x->size > y->size;
}

/* Names must differ; sorts them. */
static tsr_status check_different(const place *p, text *names, size_t count) {
    if (count > TSR_MAX_ATTRIBUTES)
        return tsr_fail(p->ctx, TSR_ERROR_TOO_LARGE,
                        "%s:%" PRIu64 ": wanted at most %u attributes, got %zu", AT(p),
                        TSR_MAX_ATTRIBUTES, count);
    if (count) qsort(names, count, sizeof *names, by_text);
    for (size_t i = 1; i < count; ++i)
        if (!by_text(&names[i - 1], &names[i]))
            return tsr_fail(p->ctx, TSR_ERROR_FORMAT,
                            "%s:%" PRIu64 ": wanted each attribute once, got '%.*s' twice", AT(p),
                            (int)(names[i].size < 80 ? names[i].size : 80), names[i].at);
    return TSR_OK;
}

/* ---- .tsv ---------------------------------------------------------------------------------- */

/* -?(0|[1-9][0-9]*) within 64 bits: what comes back as it was when it is written again. */
static bool is_integer(text t, int64_t *value) {
    char digits[24], *end;
    const size_t sign = t.size && *t.at == '-';
    if (t.size <= sign || t.size >= sizeof digits) return false;
    for (size_t i = sign; i < t.size; ++i)
        if (t.at[i] < '0' || t.at[i] > '9') return false;
    if (t.at[sign] == '0' && (sign || t.size > 1)) return false;
    memcpy(digits, t.at, t.size);
    digits[t.size] = 0;
    errno = 0;
    *value = strtoll(digits, &end, 10);
    return !errno;
}

static tsr_status read_columns(const place *p, tsr_attribute_table *t, text line) {
    bool more = true;
    while (more) {
        tsr_status status = tsr_grow(p->ctx, &t->columns, &t->column_room, t->column_count + 1,
                                     sizeof *t->columns, "attributes");
        if (status) return status;
        more = take(&line, '\t', &t->columns[t->column_count]);
        if (t->column_count) status = check_name(p, t->columns[t->column_count]);
        if (status) return status;
        t->column_count++;
    }
    text *names = tsr_alloc(p->ctx, t->column_count, sizeof *names, "attributes");
    if (!names) return TSR_ERROR_MEMORY;
    memcpy(names, t->columns + 1, (t->column_count - 1) * sizeof *names);
    const tsr_status status = check_different(p, names, t->column_count - 1);
    free(names);
    return status;
}

static tsr_status check_fields(const place *p, const tsr_attribute_table *t, text line, text *key) {
    size_t count = 0, all = 0;
    text field;
    for (bool more = true; more; ++count) {
        more = take(&line, '\t', &field);
        if (count == 0) *key = field;
        if (count && count < t->column_count) {
            const tsr_status status = check_size(p, t->columns[count].size + field.size, &all);
            if (status) return status;
        }
    }
    if (count == t->column_count) return TSR_OK;
    return tsr_fail(p->ctx, TSR_ERROR_FORMAT,
                    "%s:%" PRIu64 ": wanted %zu fields as in the first line, got %zu", AT(p),
                    t->column_count, count);
}

static tsr_status hand_out(text name, tsr_attribute *a, tsr_attribute_fn fn, void *user) {
    char copy[MOST_NAME + 1];
    memcpy(copy, name.at, name.size);
    copy[name.size] = 0;
    a->name = copy;
    return fn(user, a);
}

static tsr_status find_fields(const tsr_attribute_table *t, text line, tsr_attribute_fn fn,
                              void *user) {
    text field;
    take(&line, '\t', &field);
    tsr_status status = TSR_OK;
    for (size_t i = 1; i < t->column_count && !status; ++i) {
        take(&line, '\t', &field);
        tsr_attribute a = {.bytes = field.at, .size = field.size};
        if (!field.size) continue;
        if (is_integer(field, &a.integer)) {
            a.type = TSR_ATTRIBUTE_INTEGER;
            a.bytes = NULL;
            a.size = 0;
        }
        status = hand_out(t->columns[i], &a, fn, user);
    }
    return status;
}

/* ---- .jsonl -------------------------------------------------------------------------------- */

static bool is_key(const cJSON *member) {
    return !strcmp(member->string, "key");
}

static const double exact = 9007199254740992.0; /* 2^53 */

static tsr_status check_member(const place *p, const cJSON *member, size_t *all) {
    const text name = {member->string, strlen(member->string)};
    tsr_status status = check_name(p, name);
    if (!status && cJSON_IsString(member))
        status = check_size(p, name.size + strlen(member->valuestring), all);
    else if (!status)
        status = check_size(p, name.size + 8, all);
    if (status || cJSON_IsString(member) || cJSON_IsNull(member)) return status;
    const double v = member->valuedouble;
    if (cJSON_IsNumber(member) && fabs(v) <= exact && v == floor(v)) return TSR_OK;
    return tsr_fail(p->ctx, TSR_ERROR_FORMAT,
                    "%s:%" PRIu64 ": %.80s: wanted a text or an integer within +-2^53, got another "
                    "value (as a text it would be kept as it is)",
                    AT(p), member->string);
}

/* A row is one object without others in it. Asked before cJSON makes nodes, 64 bytes each, of what
 * may be millions of empty arrays; and a zero as \u0000 would end a text early. */
static bool is_flat(text line) {
    size_t nested = 0, members = 1, i = 0;
    bool inside = false;
    for (; i < line.size; ++i) {
        const char c = line.at[i];
        if (inside && c == '\\') {
            if (line.size - i >= 6 && !memcmp(line.at + i + 1, "u0000", 5)) return false;
            ++i;
        } else if (c == '"')
            inside = !inside;
        else if (!inside) {
            nested += c == '{' || c == '[';
            members += c == ',';
        }
    }
    return nested == 1 && members <= TSR_MAX_ATTRIBUTES;
}

static cJSON *parse_line(text line) {
    const char *end = NULL;
    if (!is_flat(line)) return NULL;
    cJSON *object = cJSON_ParseWithLengthOpts(line.at, line.size, &end, 0);
    while (object && end < line.at + line.size && strchr(" \t", *end))
        ++end;
    if (object && cJSON_IsObject(object) && end == line.at + line.size) return object;
    cJSON_Delete(object);
    return NULL;
}

static tsr_status check_members(const place *p, const cJSON *object, const cJSON **key) {
    size_t count = 0, all = 0, n = 0;
    *key = NULL;
    const cJSON *member;
    cJSON_ArrayForEach(member, object) {
        tsr_status status = TSR_OK;
        count++;
        if (is_key(member) && cJSON_IsString(member))
            *key = member;
        else
            status = check_member(p, member, &all);
        if (status) return status;
    }
    if (!*key)
        return tsr_fail(p->ctx, TSR_ERROR_FORMAT, "%s:%" PRIu64 ": wanted a text \"key\", got none",
                        AT(p));
    text *names = tsr_alloc(p->ctx, count, sizeof *names, "attributes");
    if (!names) return TSR_ERROR_MEMORY;
    cJSON_ArrayForEach(member, object) names[n++] = (text){member->string, strlen(member->string)};
    const tsr_status status = check_different(p, names, count);
    free(names);
    return status;
}

static tsr_status find_members(const cJSON *object, tsr_attribute_fn fn, void *user) {
    tsr_status status = TSR_OK;
    const cJSON *member;
    cJSON_ArrayForEach(member, object) {
        if (is_key(member) || cJSON_IsNull(member)) continue;
        tsr_attribute a = {.type = TSR_ATTRIBUTE_INTEGER};
        if (cJSON_IsString(member))
            a = (tsr_attribute){.bytes = member->valuestring, .size = strlen(member->valuestring)};
        else
            a.integer = (int64_t)member->valuedouble;
        const text name = {member->string, strlen(member->string)};
        status = hand_out(name, &a, fn, user);
        if (status) break;
    }
    return status;
}

/* ---- rows ---------------------------------------------------------------------------------- */

/* Is the key of the row this one? */
static bool has_key(const tsr_attribute_table *t, const row *r, const char *key, size_t size) {
    if (!t->json) {
        text line = r->line, field;
        take(&line, '\t', &field);
        return field.size == size && !memcmp(field.at, key, size);
    }
    cJSON *object = parse_line(r->line);
    const cJSON *found = object ? cJSON_GetObjectItemCaseSensitive(object, "key") : NULL;
    const bool same = cJSON_IsString(found) && !strcmp(found->valuestring, key);
    cJSON_Delete(object);
    return same;
}

/* The slot of a key: its row's, or the free one where it would be. `key` need not end with a
 * zero for .tsv. */
static size_t slot_of(const tsr_attribute_table *t, uint64_t hash, const char *key, size_t size) {
    size_t at = (size_t)hash & (t->slot_count - 1);
    for (; t->slots[at]; at = (at + 1) & (t->slot_count - 1)) {
        const row *r = &t->rows[t->slots[at] - 1];
        if (r->hash == hash && has_key(t, r, key, size)) break;
    }
    return at;
}

static tsr_status grow_slots(tsr_context *ctx, tsr_attribute_table *t) {
    if (2 * (t->count + 1) <= t->slot_count) return TSR_OK;
    const size_t more = t->slot_count ? 2 * t->slot_count : 64;
    uint32_t *slots = tsr_alloc(ctx, more, sizeof *slots, "attributes");
    if (!slots) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < t->count; ++i) { /* all keys differ */
        size_t at = (size_t)t->rows[i].hash & (more - 1);
        while (slots[at])
            at = (at + 1) & (more - 1);
        slots[at] = (uint32_t)i + 1;
    }
    free(t->slots);
    t->slots = slots;
    t->slot_count = more;
    return TSR_OK;
}

static tsr_status add_row(const place *p, tsr_attribute_table *t, text line, const char *key,
                          size_t size) {
    if (t->count == UINT32_MAX - 1)
        return tsr_fail(p->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most 2^32 - 2 rows, got more",
                        p->name);
    tsr_status status = grow_slots(p->ctx, t);
    if (!status)
        status = tsr_grow(p->ctx, &t->rows, &t->room, t->count + 1, sizeof *t->rows, "attributes");
    if (status) return status;
    const uint64_t hash = tsr_hash64(key, size, 0);
    const size_t at = slot_of(t, hash, key, size);
    if (t->slots[at])
        return tsr_fail(p->ctx, TSR_ERROR_FORMAT,
                        "%s:%" PRIu64 ": wanted each key once, got that of line %" PRIu64 " again",
                        AT(p), t->rows[t->slots[at] - 1].number);
    row *r = &t->rows[t->count++];
    r->hash = hash;
    r->line = line;
    r->number = p->line;
    atomic_init(&r->used, false);
    t->slots[at] = (uint32_t)t->count;
    return TSR_OK;
}

static tsr_status read_line(const place *p, tsr_attribute_table *t, text line) {
    size_t bad;
    if (line.size > most_line)
        return tsr_fail(p->ctx, TSR_ERROR_TOO_LARGE,
                        "%s:%" PRIu64 ": wanted a line of at most %zu bytes, got %zu", AT(p),
                        most_line, line.size);
    if (!tsr_utf8_valid(line.at, line.size, &bad))
        return tsr_fail(p->ctx, TSR_ERROR_FORMAT, "%s:%" PRIu64 ": wanted UTF-8, got byte %02x",
                        AT(p), (uint8_t)line.at[bad]);
    if (memchr(line.at, 0, line.size))
        return tsr_fail(p->ctx, TSR_ERROR_FORMAT, "%s:%" PRIu64 ": wanted text, got a zero byte",
                        AT(p));
    if (!t->json && !t->columns) return read_columns(p, t, line);
    text key = {0};
    tsr_status status;
    if (!t->json) {
        status = check_fields(p, t, line, &key);
        return status ? status : add_row(p, t, line, key.at, key.size);
    }
    cJSON *object = parse_line(line);
    const cJSON *member;
    if (!object)
        return tsr_fail(
            p->ctx, TSR_ERROR_FORMAT,
            "%s:%" PRIu64 ": wanted a JSON object of texts and integers, got another text", AT(p));
    status = check_members(p, object, &member);
    if (!status) status = add_row(p, t, line, member->valuestring, strlen(member->valuestring));
    cJSON_Delete(object);
    return status;
}

static tsr_status read_all(tsr_context *ctx, tsr_attribute_table *t) {
    text rest = {(const char *)t->map.bytes, t->map.size}, line;
    if (rest.size >= 3 && !memcmp(rest.at, "\xef\xbb\xbf", 3)) {
        rest.at += 3;
        rest.size -= 3;
    }
    place p = {.ctx = ctx, .name = t->name};
    while (take_line(&rest, &line)) {
        p.line++;
        if (!line.size) continue;
        const tsr_status status = read_line(&p, t, line);
        if (status) return status;
    }
    if (t->json || t->columns) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a line with the names of columns, got none",
                    t->name);
}

static bool ends_with(const char *name, const char *suffix) {
    const size_t n = strlen(name), m = strlen(suffix);
    return n > m && !strcasecmp(name + n - m, suffix);
}

/* A table of the bytes in `map`, which it owns from here on. */
static tsr_status open_map(tsr_context *ctx, const char *name, tsr_map *map,
                           tsr_attribute_table **table) {
    tsr_attribute_table *t = *table = tsr_alloc(ctx, 1, sizeof *t, "attributes");
    if (!t) {
        tsr_map_close(map);
        return TSR_ERROR_MEMORY;
    }
    t->map = *map;
    t->json = ends_with(name, ".jsonl");
    t->name = strdup(name);
    tsr_status status = TSR_OK;
    if (!t->name) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", name);
    if (!status) status = grow_slots(ctx, t);
    if (!status) status = read_all(ctx, t);
    if (status) tsr_attribute_table_close(table);
    return status;
}

static tsr_status check_suffix(tsr_context *ctx, const char *name) {
    if (ends_with(name, ".tsv") || ends_with(name, ".jsonl")) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted attributes in a .tsv or .jsonl file",
                    name);
}

tsr_status tsr_attribute_table_open(tsr_context *ctx, const char *path,
                                    tsr_attribute_table **table) {
    tsr_map map;
    *table = NULL;
    tsr_status status = check_suffix(ctx, path);
    if (!status) status = tsr_map_open(ctx, path, &map);
    return status ? status : open_map(ctx, path, &map, table);
}

tsr_status tsr_attribute_table_parse(tsr_context *ctx, const char *name, const void *bytes,
                                     size_t size, tsr_attribute_table **table) {
    *table = NULL;
    const tsr_status status = check_suffix(ctx, name);
    if (status) return status;
    uint8_t *copy = malloc(size + 1);
    if (!copy) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for %zu bytes", name, size);
    if (size) memcpy(copy, bytes, size);
    tsr_map map = {.bytes = copy, .size = size};
    return open_map(ctx, name, &map, table);
}

void tsr_attribute_table_close(tsr_attribute_table **table) {
    if (!table || !*table) return;
    tsr_map_close(&(*table)->map);
    free((*table)->name);
    free((*table)->columns);
    free((*table)->rows);
    free((*table)->slots);
    free(*table);
    *table = NULL;
}

uint64_t tsr_attribute_table_rows(const tsr_attribute_table *table) {
    return table->count;
}

const char *tsr_attribute_table_name(const tsr_attribute_table *table) {
    return table->name;
}

/* The row of a key, which is used from now on; NULL: there is none. */
static const row *use(const tsr_attribute_table *t, const char *key) {
    const size_t size = strlen(key), at = slot_of(t, tsr_hash64(key, size, 0), key, size);
    if (!t->slots[at]) return NULL;
    row *r = &t->rows[t->slots[at] - 1];
    atomic_store_explicit(&r->used, true, memory_order_relaxed);
    return r;
}

void tsr_attribute_table_use(const tsr_attribute_table *t, const char *key) {
    (void)use(t, key);
}

tsr_status tsr_attribute_table_find(tsr_context *ctx, const tsr_attribute_table *t, const char *key,
                                    tsr_attribute_fn fn, void *user) {
    const row *r = use(t, key);
    if (!r) return TSR_OK;
    if (!t->json) return find_fields(t, r->line, fn, user);
    cJSON *object = parse_line(r->line);
    if (!object) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a row", t->name);
    const tsr_status status = find_members(object, fn, user);
    cJSON_Delete(object);
    return status;
}

/* The key of a row, malloc'd; NULL without memory. */
static char *key_of(const tsr_attribute_table *t, const row *r) {
    if (!t->json) {
        text line = r->line, field;
        take(&line, '\t', &field);
        return strndup(field.at, field.size);
    }
    cJSON *object = parse_line(r->line);
    const cJSON *found = object ? cJSON_GetObjectItemCaseSensitive(object, "key") : NULL;
    char *key = cJSON_IsString(found) ? strdup(found->valuestring) : NULL;
    cJSON_Delete(object);
    return key;
}

uint64_t tsr_attribute_table_unused(const tsr_attribute_table *t, char **keys, int most) {
    uint64_t unused = 0;
    for (int i = 0; i < most; ++i)
        keys[i] = NULL;
    for (size_t i = 0; i < t->count; ++i) {
        if (atomic_load_explicit(&t->rows[i].used, memory_order_relaxed)) continue;
        if (unused < (uint64_t)most) keys[unused] = key_of(t, &t->rows[i]);
        ++unused;
    }
    return unused;
}
