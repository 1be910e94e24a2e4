/* SPDX-License-Identifier: MIT */
/* prompt_input.c: see prompt_input.h. */
#include "prompt_input.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void free_picture(prompt_input *in, int i) {
    free((uint32_t *)(uintptr_t)in->pictures[i].codes);
    free(in->names[i]);
}

void prompt_input_free(prompt_input *in) {
    for (int i = 0; i < in->count; ++i)
        free_picture(in, i);
    free(in->pictures);
    free(in->names);
    for (int i = 0; i < in->text_count; ++i) {
        free(in->keys[i]);
        free((uint32_t *)(uintptr_t)in->texts[i].ids);
    }
    tsr_token_file_close(&in->file);
    tsr_token_table_close(&in->table);
    tsr_vocab_map_close(&in->map);
}

int prompt_input_map(tool *t, prompt_input *in, const char *map, const char *tokenizer) {
    tsr_status s = tsr_vocab_map_open(t->ctx, map, &in->map);
    if (!s && tokenizer) {
        s = tsr_token_table_open(t->ctx, tokenizer, &in->table);
        if (!s) s = tsr_vocab_map_resolve(t->ctx, in->map, in->table);
    }
    return s ? tool_fail(t, s) : -1;
}

const char *prompt_input_template(const prompt_input *in, const char *given) {
    if (given) return given;
    /* Of a map without templates the reason is told, not this. */
    return tsr_vocab_map_info(in->map)->templates ? tsr_vocab_map_template(in->map, 0).name : "";
}

/* ---- pictures ---- */

static bool make_room(prompt_input *in, uint64_t more) {
    const size_t room = (size_t)in->count + (size_t)more;
    tsr_codes *pictures = realloc(in->pictures, room * sizeof *pictures);
    if (pictures) in->pictures = pictures;
    char **names = realloc(in->names, room * sizeof *names);
    if (names) in->names = names;
    return pictures && names;
}

static tsr_status add_item(tool *t, prompt_input *in, uint64_t index) {
    tsr_token_item item;
    tsr_codes c;
    tsr_status s = tsr_token_file_item(in->file, index, &item);
    if (!s) s = tsr_codes_of_item(t->ctx, tsr_token_file_header(in->file), &item, &c);
    if (s) return s;
    const size_t n = (size_t)c.frames * c.rows * c.columns;
    uint32_t *copy = malloc(n * sizeof *copy);
    char *name = strdup(item.key);
    if (!copy || !name) {
        free(copy);
        free(name);
        return TSR_ERROR_MEMORY;
    }
    memcpy(copy, c.codes, n * sizeof *copy);
    c.codes = copy;
    in->pictures[in->count] = c;
    in->names[in->count++] = name;
    return TSR_OK;
}

static tsr_status join_frames(tool *t, prompt_input *in, int first) {
    tsr_codes joined;
    const tsr_status s = tsr_codes_join(t->ctx, in->pictures + first, in->count - first, &joined);
    if (s) return s;
    char *name = in->names[first];
    in->names[first] = NULL;
    while (in->count > first)
        free_picture(in, --in->count);
    in->pictures[first] = joined;
    in->names[first] = name;
    in->count = first + 1;
    return TSR_OK;
}

int prompt_input_items(tool *t, prompt_input *in, const char *path, const text_list *items,
                       bool frames) {
    uint64_t *chosen = NULL, count = 0;
    const int first = in->count;
    tsr_token_file_close(&in->file);
    tsr_status s = tsr_token_file_open(t->ctx, &in->file, path);
    if (!s && items->count)
        s = tsr_token_file_select(in->file, items->at, items->count, &chosen, &count);
    else if (!s)
        count = tsr_token_file_properties(in->file)->items;
    if (!s && (!count || count > (uint64_t)(MOST_PICTURES - first))) {
        free(chosen);
        return tool_fail_text(t, TSR_ERROR_ARGUMENT, "%s: wanted 1 to %d items, got %" PRIu64, path,
                              MOST_PICTURES - first, count);
    }
    const bool room = s || make_room(in, count);
    for (uint64_t i = 0; i < count && room && !s; ++i)
        s = add_item(t, in, chosen ? chosen[i] : i);
    free(chosen);
    if (!room || s == TSR_ERROR_MEMORY)
        return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: no memory for its codes", path);
    if (!s && frames) s = join_frames(t, in, first);
    return s ? tool_fail(t, s) : -1;
}

/* ---- texts ---- */

/* "5,17,3" as ids. */
static uint32_t *parse_ids(const char *text, uint64_t *count) {
    uint32_t *ids = malloc((strlen(text) + 1) * sizeof *ids);
    *count = 0;
    while (ids && *text) {
        char *end;
        const unsigned long long n = strtoull(text, &end, 10);
        if (*text < '0' || *text > '9' || n >= TSR_NO_ID || (*end && (*end != ',' || !end[1]))) {
            free(ids);
            return NULL;
        }
        ids[(*count)++] = (uint32_t)n;
        text = *end ? end + 1 : end;
    }
    return ids;
}

int prompt_input_text(tool *t, prompt_input *in, const char *given, bool ids, bool stays) {
    const char *name = ids ? "--text-ids" : "--text", *equals = strchr(given, '=');
    if (!equals || equals == given)
        return args_wrong(t->v, "%s: wanted KEY=%s, got '%s'", name, ids ? "IDS" : "TEXT", given);
    char *key = strndup(given, (size_t)(equals - given));
    if (!key) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for a text");
    tsr_prompt_text *text = &in->texts[in->text_count];
    in->keys[in->text_count++] = key;
    text->key = key;
    if (ids) {
        text->ids = parse_ids(equals + 1, &text->count);
        if (!text->ids)
            return args_wrong(t->v, "--text-ids: wanted whole numbers with commas, got '%s'",
                              equals + 1);
        return -1;
    }
    text->text = equals + 1;
    if (stays || (!in->cut && !in->table)) return -1;
    uint32_t *made = NULL;
    const tsr_status s =
        in->cut ? in->cut(in->user, text->text, &made, &text->count)
                : tsr_token_table_ids(t->ctx, in->table, text->text, &made, &text->count);
    text->ids = made;
    return s ? tool_fail(t, s) : -1;
}
