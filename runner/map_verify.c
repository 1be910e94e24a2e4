/* SPDX-License-Identifier: MIT */
/* map_verify.c: golden files of vocabulary maps: prompts that published code built, and damaged
 * replies with the verdict a reader must give. */
#include "../formats/file.h"
#include "vocab_map.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 64 << 20, MOST_TEXTS = 16, MOST_PICTURES = 64, MOST_HEAD = 1100 };

typedef struct checker {
    tsr_context *ctx;
    const char *path;
    tsr_map_line_fn line;
    void *user;
    tsr_vocab_map *map;
    int *passed, *failed;
    tsr_status status;
    const cJSON *root;
} checker;

static void tell(checker *c, const char *what, const char *name, bool agrees, const char *format,
                 ...) TSR_PRINTF(5, 6);
static void tell(checker *c, const char *what, const char *name, bool agrees, const char *format,
                 ...) {
    char text[700], full[200];
    va_list args;
    if (c->status) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(full, sizeof full, "%s/%s", what, name);
    ++*(agrees ? c->passed : c->failed);
    if (c->line) c->line(c->user, full, agrees, text);
}

static void refuse(checker *c, const char *format, ...) TSR_PRINTF(2, 3);
static void refuse(checker *c, const char *format, ...) {
    char text[400];
    va_list args;
    if (c->status) return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->status = tsr_fail(c->ctx, TSR_ERROR_FORMAT, "%.300s: %s", c->path, text);
}

static const cJSON *get(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static const char *text_of(const cJSON *object, const char *key) {
    const char *text = cJSON_GetStringValue(get(object, key));
    return text ? text : "";
}

/* A whole number from 0 to 2^32 - 1; `otherwise` where it is not there. */
static uint32_t number(checker *c, const cJSON *item, const char *key, uint32_t otherwise) {
    if (!item) return otherwise;
    const double d = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(d >= 0 && d <= 4294967295.0) || d != floor(d)) {
        refuse(c, "%s: wanted a whole number, got another value", key);
        return 0;
    }
    return (uint32_t)d;
}

static uint32_t *ids_of(checker *c, const cJSON *list, const char *key, uint64_t *count) {
    const int n = cJSON_GetArraySize(list);
    const cJSON *item;
    uint64_t i = 0;
    *count = 0;
    if (!cJSON_IsArray(list)) return NULL;
    uint32_t *ids = tsr_alloc(c->ctx, (size_t)n + 1, sizeof *ids, "golden ids");
    if (!ids) {
        c->status = TSR_ERROR_MEMORY;
        return NULL;
    }
    cJSON_ArrayForEach(item, list) ids[i++] = number(c, item, key, 0);
    *count = i;
    return ids;
}

/* Codes by the rule (a * i + b) mod `mod`. */
static tsr_codes make_codes(checker *c, const cJSON *rule, const cJSON *grid,
                            const tsr_vocab_picture *p) {
    tsr_codes codes = {.geometry = TSR_GEOMETRY_SEQUENCE};
    const uint64_t a = number(c, get(rule, "a"), "codes.a", 0),
                   b = number(c, get(rule, "b"), "b", 0);
    const uint64_t mod = number(c, get(rule, "mod"), "codes.mod", 1);
    uint64_t count = number(c, get(rule, "count"), "codes.count", 0);
    codes.frames = codes.rows = 1;
    codes.columns = (uint32_t)count;
    if (p->geometry == TSR_MAP_GRID) {
        codes.geometry = TSR_GEOMETRY_GRID;
        codes.frames = number(c, cJSON_GetArrayItem(grid, 0), "grid", 1);
        codes.rows = number(c, cJSON_GetArrayItem(grid, 1), "grid", 1);
        codes.columns = number(c, cJSON_GetArrayItem(grid, 2), "grid", 0);
    }
    codes.kept = p->geometry == TSR_MAP_KEPT;
    if (!rule) return codes;
    const uint64_t all = (uint64_t)codes.frames * codes.rows * codes.columns;
    if (!mod || count != all || count > TSR_VOCAB_MOST_IDS) {
        refuse(c, "codes: wanted as many as the grid has, and mod above 0, got others");
        return codes;
    }
    codes.codebook_size = (uint32_t)mod;
    uint32_t *values = tsr_alloc(c->ctx, (size_t)count + 1, sizeof *values, "golden codes");
    if (!values) c->status = TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < count && values; ++i)
        values[i] = (uint32_t)((a * i + b) % mod);
    codes.codes = values;
    return codes;
}

/* What a case is built of. */
typedef struct parts {
    tsr_codes pictures[MOST_PICTURES];
    const tsr_vocab_picture *layouts[MOST_PICTURES];
    int picture_count;
    tsr_prompt_text texts[MOST_TEXTS];
    int text_count;
} parts;

static void add_picture(checker *c, parts *p, const cJSON *rule, const cJSON *grid,
                        const tsr_vocab_picture *layout) {
    if (p->picture_count == MOST_PICTURES) {
        refuse(c, "clips: wanted at most %d pictures, got more", MOST_PICTURES);
        return;
    }
    p->layouts[p->picture_count] = layout;
    p->pictures[p->picture_count++] = make_codes(c, rule, grid, layout);
}

/* The layout that place `n` of a template takes. */
static const tsr_vocab_picture *layout_of(const checker *c, const tsr_vocab_template *t, int n) {
    for (int i = 0; i < t->count; ++i)
        if (t->parts[i].kind == TSR_PART_PICTURE || t->parts[i].kind == TSR_PART_HEAD ||
            t->parts[i].kind == TSR_PART_BODY)
            if (n-- == 0) return &c->map->pictures[t->parts[i].index];
    return &c->map->pictures[0];
}

static void gather(checker *c, const cJSON *entry, const tsr_vocab_template *t, parts *p) {
    const cJSON *grid = get(entry, "grid"), *item;
    cJSON_ArrayForEach(item, get(entry, "clips")) {
        add_picture(c, p, get(item, "key"), NULL, layout_of(c, t, 0));
        add_picture(c, p, get(item, "motion"), NULL, layout_of(c, t, 1));
    }
    if (!p->picture_count) add_picture(c, p, get(entry, "codes"), grid, layout_of(c, t, 0));
    if (get(entry, "codes2")) add_picture(c, p, get(entry, "codes2"), grid, layout_of(c, t, 1));
    cJSON_ArrayForEach(item, get(entry, "texts")) {
        if (p->text_count == MOST_TEXTS) break;
        tsr_prompt_text *text = &p->texts[p->text_count++];
        text->key = item->string;
        text->ids = ids_of(c, item, "texts", &text->count);
    }
    cJSON_ArrayForEach(item, get(entry, "texts_plain")) if (p->text_count < MOST_TEXTS)
        p->texts[p->text_count++] =
        (tsr_prompt_text){.key = item->string, .text = cJSON_GetStringValue(item)};
}

static void drop(parts *p) {
    for (int i = 0; i < p->picture_count; ++i)
        free((uint32_t *)(uintptr_t)p->pictures[i].codes);
    for (int i = 0; i < p->text_count; ++i)
        free((uint32_t *)(uintptr_t)p->texts[i].ids);
}

/* ---- cases ---- */

static uint64_t fnv(const uint32_t *ids, uint64_t count) {
    uint64_t h = 0xCBF29CE484222325u;
    for (uint64_t i = 0; i < count; ++i)
        for (int k = 0; k < 4; ++k)
            h = (h ^ (ids[i] >> 8 * k & 255)) * 0x100000001B3u;
    return h;
}

/* Compares ids with a list, from place `first` on. */
static bool same_ids(checker *c, const cJSON *list, const uint32_t *ids, uint64_t count,
                     uint64_t first, char *text, size_t size) {
    uint64_t n;
    uint32_t *want = ids_of(c, list, "ids", &n);
    bool same = want != NULL;
    for (uint64_t i = 0; i < n && same; ++i) {
        const bool there = first + i < count;
        same = there && ids[first + i] == want[i];
        if (!same)
            snprintf(text, size, "place %llu: wanted %u, got %lld", (unsigned long long)(first + i),
                     want[i], there ? (long long)ids[first + i] : -1);
    }
    free(want);
    return same;
}

static bool compare_ids(checker *c, const cJSON *entry, const uint32_t *ids, uint64_t count,
                        char *text, size_t size) {
    const cJSON *all = get(entry, "ids"), *tail = get(entry, "ids_tail");
    const uint64_t want = all ? (uint64_t)cJSON_GetArraySize(all)
                              : number(c, get(entry, "ids_count"), "ids_count", 0);
    if (count != want) {
        snprintf(text, size, "wanted %llu ids, got %llu", (unsigned long long)want,
                 (unsigned long long)count);
        return false;
    }
    snprintf(text, size, "%llu ids", (unsigned long long)count);
    if (all) return same_ids(c, all, ids, count, 0, text, size);
    if (!same_ids(c, get(entry, "ids_head"), ids, count, 0, text, size) ||
        !same_ids(c, tail, ids, count, count - (uint64_t)cJSON_GetArraySize(tail), text, size))
        return false;
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)fnv(ids, count));
    if (strcmp(hash, text_of(entry, "ids_fnv1a64")) == 0) return true;
    snprintf(text, size, "hash: wanted %s, got %s", text_of(entry, "ids_fnv1a64"), hash);
    return false;
}

/* The runs of a mask, as [value, length] from the start. */
static bool compare_runs(checker *c, const cJSON *want, const tsr_prompt *prompt) {
    uint64_t count, ids, at = 0, run = 0, here = 0;
    const tsr_prompt_run *runs = tsr_prompt_own_runs(prompt, &count);
    tsr_prompt_ids(prompt, &ids);
    const cJSON *item;
    cJSON_ArrayForEach(item, want) {
        const uint32_t value = number(c, cJSON_GetArrayItem(item, 0), "vision_mask_runs", 2);
        const uint32_t length = number(c, cJSON_GetArrayItem(item, 1), "vision_mask_runs", 0);
        if (value) {
            if (run == count || runs[run].first != at || runs[run].count != length) return false;
            ++run;
        }
        at += length;
        here += value;
    }
    return at == ids && run == count && here == count;
}

/* Reads all pictures of a prompt back. */
static bool read_back(checker *c, const parts *p, const uint32_t *ids, uint64_t count,
                      const tsr_vocab_template *t, char *text, size_t size) {
    uint64_t at = 0;
    const bool body = t->count && t->parts[0].kind == TSR_PART_BODY;
    for (int i = 0; i < p->picture_count && p->pictures[i].codes; ++i) {
        const tsr_codes *want = &p->pictures[i];
        const bool grid = want->geometry == TSR_GEOMETRY_GRID;
        tsr_reply reply;
        const tsr_vocab_picture *layout = p->layouts[i];
        if (layout->begin < 0 && !body) /* nothing says where the codes begin: behind the texts */
            for (uint64_t k = 0; k + want->columns <= count; ++k)
                if (ids[k] == want->codes[0] + c->map->blocks[layout->block].first_id &&
                    ids[k + 1 < count ? k + 1 : k] ==
                        want->codes[1] + c->map->blocks[layout->block].first_id) {
                    at = k;
                    break;
                }
        const tsr_reply_settings s = {.picture = layout->name,
                                      .begun = body,
                                      .frames = grid ? want->frames : 0,
                                      .rows = grid ? want->rows : 0,
                                      .columns = grid ? want->columns : 0,
                                      .offset = at};
        const tsr_status status = tsr_reply_read(c->ctx, c->map, ids, count, &s, &reply);
        const uint64_t n = (uint64_t)want->frames * want->rows * want->columns;
        const bool same = !status && !reply.verdict && reply.frames == want->frames &&
                          reply.rows == want->rows && reply.columns == want->columns &&
                          !memcmp(reply.codes, want->codes, n * sizeof *ids);
        if (!same)
            snprintf(text, size, "read back: picture %d: wanted its codes, got %s", i,
                     status          ? tsr_detail(c->ctx)
                     : reply.verdict ? reply.text
                                     : "others");
        at = reply.end;
        tsr_reply_free(&reply);
        if (!same) return false;
    }
    return true;
}

static bool string_back(checker *c, const parts *p, const char *string, char *text, size_t size) {
    uint64_t at = 0;
    for (int i = 0; i < p->picture_count; ++i) {
        const tsr_codes *want = &p->pictures[i];
        tsr_reply reply;
        const tsr_reply_settings s = {.picture = p->layouts[i]->name, .offset = at};
        const tsr_status status =
            tsr_reply_read_string(c->ctx, c->map, string, strlen(string), &s, &reply);
        const uint64_t n = (uint64_t)want->frames * want->rows * want->columns;
        const bool same = !status && !reply.verdict && reply.rows == want->rows &&
                          reply.columns == want->columns &&
                          !memcmp(reply.codes, want->codes, n * sizeof *want->codes);
        if (!same)
            snprintf(text, size, "string: picture %d: wanted its codes, got %s", i,
                     status          ? tsr_detail(c->ctx)
                     : reply.verdict ? reply.text
                                     : "others");
        at = reply.end;
        tsr_reply_free(&reply);
        if (!same) return false;
    }
    return true;
}

static void check_string(checker *c, const cJSON *entry, const char *name, const parts *p,
                         const tsr_prompt_settings *settings) {
    const char *want = text_of(entry, "string");
    char text[512] = "";
    tsr_prompt *prompt = NULL;
    tsr_prompt_settings s = *settings;
    size_t size = 0;
    s.form = TSR_PROMPT_STRING;
    const tsr_status status = tsr_prompt_build(c->ctx, c->map, &s, &prompt);
    const char *got = prompt ? tsr_prompt_string(prompt, &size) : "";
    bool same = !status && !strcmp(got, want);
    snprintf(text, sizeof text, "%zu bytes", size);
    if (!same)
        snprintf(text, sizeof text, "wanted \"%.100s...\", got %s\"%.100s\"", want,
                 status ? tsr_detail(c->ctx) : "", got);
    if (same) same = string_back(c, p, got, text, sizeof text);
    tell(c, "string", name, same, "%s", text);
    tsr_prompt_close(&prompt);
    const cJSON *codes = get(entry, "code_ids");
    if (!codes) return;
    const tsr_vocab_block *b = &c->map->blocks[0];
    uint64_t n;
    uint32_t *ids = ids_of(c, codes, "code_ids", &n);
    bool right = ids && n == p->pictures[0].columns;
    for (uint64_t i = 0; i < n && right; ++i)
        right = ids[i] == b->first_id + p->pictures[0].codes[i] - b->first_code;
    tell(c, "code_ids", name, right, "%llu ids of codes", (unsigned long long)n);
    free(ids);
}

static void check_case(checker *c, const cJSON *entry) {
    const char *name = text_of(entry, "name"), *template_name = text_of(entry, "template");
    char text[512] = "";
    parts p = {.picture_count = 0};
    tsr_prompt *prompt = NULL;
    /* A case without a template is the picture alone. */
    const int at = tsr_vocab_template_find(c->map, *template_name ? template_name : "image");
    if (at < 0) {
        tell(c, "case", name, false, "wanted template %s in the map, got none", template_name);
        return;
    }
    const tsr_vocab_template *t = &c->map->templates[at];
    gather(c, entry, t, &p);
    tsr_prompt_settings s = {.template_name = t->name,
                             .pictures = p.pictures,
                             .picture_count = p.picture_count,
                             .texts = p.texts,
                             .text_count = p.text_count,
                             .text_length = number(c, get(get(c->root, "map"), "text_length_used"),
                                                   "text_length_used", 0)};
    if (!c->status && (get(entry, "ids") || get(entry, "ids_count"))) {
        const tsr_status status = tsr_prompt_build(c->ctx, c->map, &s, &prompt);
        uint64_t count = 0;
        const uint32_t *ids = prompt ? tsr_prompt_ids(prompt, &count) : NULL;
        bool same = !status && compare_ids(c, entry, ids, count, text, sizeof text);
        if (status) snprintf(text, sizeof text, "%s", tsr_detail(c->ctx));
        if (same && get(entry, "vision_mask_runs") &&
            !compare_runs(c, get(entry, "vision_mask_runs"), prompt)) {
            same = false;
            snprintf(text, sizeof text, "the runs of the own table differ");
        }
        if (same) same = read_back(c, &p, ids, count, t, text, sizeof text);
        tell(c, "case", name, same, "%s", text);
    }
    if (!c->status && get(entry, "string")) check_string(c, entry, name, &p, &s);
    tsr_prompt_close(&prompt);
    drop(&p);
}

/* ---- replies ---- */

/* True when field `key` of a reply is not given, or is `got`. */
static bool field(checker *c, const cJSON *entry, const char *key, int64_t got) {
    const cJSON *want = get(entry, key);
    return !want || (int64_t)number(c, want, key, 0) == got;
}

static bool pair(checker *c, const cJSON *entry, const char *key, const uint32_t got[2]) {
    const cJSON *want = get(entry, key);
    return !want || (number(c, cJSON_GetArrayItem(want, 0), key, 0) == got[0] &&
                     number(c, cJSON_GetArrayItem(want, 1), key, 0) == got[1]);
}

static bool details(checker *c, const cJSON *entry, const tsr_reply *r) {
    const cJSON *want = get(entry, "want");
    const bool range = cJSON_IsArray(want);
    const uint32_t ends[2] = {(uint32_t)r->want, (uint32_t)r->want_most};
    return field(c, entry, "row", r->row) && field(c, entry, "frame", r->frame) &&
           field(c, entry, "position", r->position) && field(c, entry, "id", r->id) &&
           field(c, entry, "got", (int64_t)r->got) &&
           (range ? pair(c, entry, "want", ends) : field(c, entry, "want", (int64_t)r->want)) &&
           pair(c, entry, "prefix", r->size) && pair(c, entry, "body", r->body);
}

static void check_reply(checker *c, const cJSON *entry) {
    const char *name = text_of(entry, "name"), *want = text_of(entry, "verdict");
    const cJSON *grid = get(entry, "grid");
    const int t = tsr_vocab_template_find(c->map, text_of(entry, "template"));
    tsr_reply reply = {0};
    uint64_t count = 0;
    if (t < 0) {
        tell(c, "reply", name, false, "wanted its template in the map, got none");
        return;
    }
    const tsr_vocab_picture *p = layout_of(c, &c->map->templates[t], 0);
    const tsr_reply_settings s = {
        .picture = p->name,
        .frames = grid ? number(c, cJSON_GetArrayItem(grid, 0), "grid", 1) : 0,
        .rows = grid ? number(c, cJSON_GetArrayItem(grid, 1), "grid", 1) : 0,
        .columns = grid ? number(c, cJSON_GetArrayItem(grid, 2), "grid", 1) : 0};
    const char *string = cJSON_GetStringValue(get(entry, "string"));
    uint32_t *ids = string ? NULL : ids_of(c, get(entry, "ids"), "ids", &count);
    if (c->status || (!string && !ids)) {
        refuse(c, "replies: %.60s: wanted ids or a string, got neither", name);
        return;
    }
    const tsr_status status =
        string ? tsr_reply_read_string(c->ctx, c->map, string, strlen(string), &s, &reply)
               : tsr_reply_read(c->ctx, c->map, ids, count, &s, &reply);
    if (status)
        tell(c, "reply", name, false, "%s", tsr_detail(c->ctx));
    else
        tell(c, "reply", name,
             !strcmp(tsr_reply_verdict_name(reply.verdict), want) && details(c, entry, &reply) &&
                 reply.usable == !strcmp(want, "ok"),
             "%s%s%s", reply.text,
             strcmp(tsr_reply_verdict_name(reply.verdict), want) != 0 ? "; wanted " : "",
             strcmp(tsr_reply_verdict_name(reply.verdict), want) != 0 ? want : "");
    tsr_reply_free(&reply);
    free(ids);
}

/* ---- the map itself ---- */

/* The golden file's own view of blocks and special tokens is the map's. */
static void check_map(checker *c) {
    const cJSON *map = get(c->root, "map"), *item;
    const char *model = text_of(c->root, "model");
    int blocks = 0;
    bool same = true;
    char text[256] = "";
    cJSON_ArrayForEach(item, get(map, "blocks")) {
        const tsr_vocab_block *b = &c->map->blocks[blocks];
        same &= blocks < c->map->info.blocks && !strcmp(b->name, text_of(item, "name")) &&
                b->first_code == number(c, get(item, "first_code"), "first_code", 0) &&
                b->count == number(c, get(item, "count"), "count", 0) &&
                b->first_id == number(c, get(item, "first_id"), "first_id", 0);
        if (blocks < c->map->info.blocks) ++blocks;
    }
    same &= blocks == c->map->info.blocks;
    if (!same) snprintf(text, sizeof text, "the blocks differ");
    cJSON_ArrayForEach(item, get(map, "special")) {
        const uint32_t want = number(c, item, "special", 0);
        const uint32_t got = tsr_vocab_map_special(c->map, item->string);
        if (got == want) continue;
        same = false;
        snprintf(text, sizeof text, "special %.60s: wanted %u, got %d", item->string, want,
                 (int)got);
    }
    const cJSON *n = get(map, "n_vocab");
    if (cJSON_IsNumber(n) && c->map->info.kind != TSR_MAP_OWN &&
        c->map->info.n_vocab != number(c, n, "n_vocab", 0)) {
        same = false;
        snprintf(text, sizeof text, "n_vocab: wanted %u, got %u", number(c, n, "n_vocab", 0),
                 c->map->info.n_vocab);
    }
    if (same)
        snprintf(text, sizeof text, "%d blocks, %d special tokens", blocks,
                 cJSON_GetArraySize(get(map, "special")));
    tell(c, "map", model, same, "%s", text);
}

static void check_file(checker *c) {
    const cJSON *entry;
    if (strcmp(text_of(c->root, "format"), "vocabulary-map-golden 1") != 0) {
        refuse(c, "format: wanted \"vocabulary-map-golden 1\", got \"%.60s\"",
               text_of(c->root, "format"));
        return;
    }
    c->status = tsr_vocab_map_open(c->ctx, text_of(c->root, "model"), &c->map);
    if (c->status) return;
    check_map(c);
    cJSON_ArrayForEach(entry, get(c->root, "cases")) if (!c->status) check_case(c, entry);
    cJSON_ArrayForEach(entry, get(c->root, "replies")) if (!c->status) check_reply(c, entry);
}

tsr_status tsr_vocab_map_verify(tsr_context *ctx, const char *path, tsr_map_line_fn line,
                                void *user, int *passed, int *failed) {
    tsr_map map;
    if (!path || !passed || !failed)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_vocab_map_verify: wanted path, passed and failed, got NULL");
    *passed = *failed = 0;
    checker c = {
        .ctx = ctx, .path = path, .line = line, .user = user, .passed = passed, .failed = failed};
    c.status = tsr_map_open(ctx, path, &map);
    if (c.status) return c.status;
    cJSON *root =
        map.size <= MOST_BYTES ? cJSON_ParseWithLength((const char *)map.bytes, map.size) : NULL;
    tsr_map_close(&map);
    c.root = root;
    if (!cJSON_IsObject(root))
        refuse(&c, "wanted an object of JSON of at most %d bytes, got something else", MOST_BYTES);
    else
        check_file(&c);
    tsr_vocab_map_close(&c.map);
    cJSON_Delete(root);
    return c.status;
}
