/* SPDX-License-Identifier: MIT */
/* cmd_prompt.c: token files to the prompts of language models, and replies to token files. */
#include <tessera/runner/prompt.h>
#include "id_file.h"
#include "out_file.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PICTURES = 4096 };

typedef struct prompt_options {
    common_options common;
    const char *output, *map, *template_name, *tokenizer, *form, *picture, *grid, *like;
    text_list items, texts, text_ids;
    uint32_t text_length;
    int frames, inverse, repair, begun;
} prompt_options;

#define AT(field) offsetof(prompt_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", NULL,
     "ids as .json, as .bin (u32, little-endian) or, with --form string, text; with --inverse a "
     ".tess; '-' is stdout",
     NULL, 0, 0},
    {"map", 0, OPTION_TEXT, AT(map), "MAP", NULL,
     "a vocabulary map: a name of `tessera map list`, or a file", NULL, 0, 0},
    {"template", 0, OPTION_TEXT, AT(template_name), "NAME", "the map's first",
     "the sequence that is made: `tessera map show MAP` lists them", NULL, 0, 0},
    {"item", 0, OPTION_TEXTS, AT(items), "N|KEY", "every item",
     "a picture of the prompt: number from 0 on, range or list (0,2,5-7), or key; in the order of "
     "the file; may be given several times",
     NULL, 0, 0},
    {"frames", 0, OPTION_FLAG, AT(frames), NULL, NULL,
     "join all items to the frames of one video, where the layout has frames", NULL, 0, 0},
    {"text", 0, OPTION_TEXTS, AT(texts), "KEY=TEXT", NULL,
     "text for the place KEY of the template: with --tokenizer added and special tokens alone; "
     "with --form mixed or string it stays text",
     NULL, 0, 0},
    {"text-ids", 0, OPTION_TEXTS, AT(text_ids), "KEY=IDS", NULL,
     "the same as ids, 5,17,3 (KEY= is no text)", NULL, 0, 0},
    {"text-length", 0, OPTION_UINT, AT(text_length), "N", "the map's",
     "ids of the fields that text is filled or cut to", NULL, 1, 65536},
    {"tokenizer", 0, OPTION_TEXT, AT(tokenizer), "FILE", NULL,
     "tokenizer.json, config.json or GGUF of the model: for --text, and for tokens whose ids the "
     "map "
     "does not know",
     NULL, 0, 0},
    {"form", 0, OPTION_TEXT, AT(form), "FORM", "ids",
     "ids; mixed, ids with text between them; string, texts of tokens for runners that take no ids",
     "ids|mixed|string", 0, 0},
    {"inverse", 0, OPTION_FLAG, AT(inverse), NULL, NULL,
     "read the ids (or with --form string the text) of a reply, and write its pictures", NULL, 0,
     0},
    {"picture", 0, OPTION_TEXT, AT(picture), "NAME", "the map's first",
     "--inverse: the layout to look for", NULL, 0, 0},
    {"grid", 0, OPTION_TEXT, AT(grid), "[T,]H,W", "what the reply says",
     "--inverse: frames, rows and columns that were asked for, or one number of codes", NULL, 0, 0},
    {"begun", 0, OPTION_FLAG, AT(begun), NULL, NULL,
     "--inverse: the prompt ended with the head of the picture, and the reply goes on behind it",
     NULL, 0, 0},
    {"repair", 0, OPTION_FLAG, AT(repair), NULL, NULL,
     "--inverse: repair damaged pictures, and say what was done", NULL, 0, 0},
    {"like", 0, OPTION_TEXT, AT(like), "FILE.tess", NULL,
     "--inverse: a file of the tokenizer, whose name, weights and preprocessing the new one has",
     NULL, 0, 0},
};

/* What a command holds while it runs. */
typedef struct work {
    tool *t;
    const prompt_options *o;
    tsr_vocab_map *map;
    tsr_token_table *table;
    tsr_token_file *file;
    tsr_codes *pictures; /* [count], each with its codes */
    int count;
    tsr_prompt_text texts[2 * MOST_TEXTS];
    char *keys[2 * MOST_TEXTS];
    int text_count;
} work;

static void work_free(work *w) {
    for (int i = 0; i < w->count; ++i)
        free((uint32_t *)(uintptr_t)w->pictures[i].codes);
    free(w->pictures);
    for (int i = 0; i < w->text_count; ++i) {
        free(w->keys[i]);
        free((uint32_t *)(uintptr_t)w->texts[i].ids);
    }
    tsr_token_file_close(&w->file);
    tsr_token_table_close(&w->table);
    tsr_vocab_map_close(&w->map);
}

static int open_map(work *w) {
    tsr_status s = tsr_vocab_map_open(w->t->ctx, w->o->map, &w->map);
    if (!s && w->o->tokenizer) {
        s = tsr_token_table_open(w->t->ctx, w->o->tokenizer, &w->table);
        if (!s) s = tsr_vocab_map_resolve(w->t->ctx, w->map, w->table);
    }
    return s ? tool_fail(w->t, s) : -1;
}

/* ---- forwards ---- */

static int read_items(work *w, const char *path) {
    uint64_t *chosen = NULL, count = 0;
    tsr_status s = tsr_token_file_open(w->t->ctx, &w->file, path);
    if (!s && w->o->items.count)
        s = tsr_token_file_select(w->file, w->o->items.at, w->o->items.count, &chosen, &count);
    else if (!s)
        count = tsr_token_file_properties(w->file)->items;
    if (!s && (!count || count > MOST_PICTURES)) {
        free(chosen);
        return tool_fail_text(w->t, TSR_ERROR_ARGUMENT, "%s: wanted 1 to %d items, got %" PRIu64,
                              path, MOST_PICTURES, count);
    }
    if (!s) w->pictures = calloc((size_t)count, sizeof *w->pictures);
    if (!s && !w->pictures) {
        free(chosen);
        return tool_fail_text(w->t, TSR_ERROR_MEMORY, "no memory for pictures");
    }
    for (uint64_t i = 0; i < count && !s; ++i) {
        tsr_token_item item;
        tsr_codes *c = &w->pictures[i];
        s = tsr_token_file_item(w->file, chosen ? chosen[i] : i, &item);
        if (!s) s = tsr_codes_of_item(w->t->ctx, tsr_token_file_header(w->file), &item, c);
        if (s) break;
        const size_t n = (size_t)c->frames * c->rows * c->columns;
        uint32_t *copy = malloc(n * sizeof *copy);
        if (!copy) {
            free(chosen);
            return tool_fail_text(w->t, TSR_ERROR_MEMORY, "no memory for codes");
        }
        memcpy(copy, c->codes, n * sizeof *copy);
        c->codes = copy;
        ++w->count;
    }
    free(chosen);
    if (!s && w->o->frames) {
        tsr_codes joined;
        s = tsr_codes_join(w->t->ctx, w->pictures, w->count, &joined);
        for (int i = 0; i < w->count && !s; ++i)
            free((uint32_t *)(uintptr_t)w->pictures[i].codes);
        if (!s) {
            w->pictures[0] = joined;
            w->count = 1;
        }
    }
    return s ? tool_fail(w->t, s) : -1;
}

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

/* KEY=VALUE of an option. */
static int add_text(work *w, const char *given, bool ids) {
    const char *name = ids ? "--text-ids" : "--text", *equals = strchr(given, '=');
    if (!equals || equals == given)
        return args_wrong(w->t->v, "%s: wanted KEY=%s, got '%s'", name, ids ? "IDS" : "TEXT",
                          given);
    char *key = strndup(given, (size_t)(equals - given));
    if (!key) return tool_fail_text(w->t, TSR_ERROR_MEMORY, "no memory for a text");
    tsr_prompt_text *text = &w->texts[w->text_count];
    w->keys[w->text_count++] = key;
    text->key = key;
    if (ids) {
        text->ids = parse_ids(equals + 1, &text->count);
        if (!text->ids)
            return args_wrong(w->t->v, "--text-ids: wanted whole numbers with commas, got '%s'",
                              equals + 1);
        return -1;
    }
    text->text = equals + 1;
    if (!w->table || w->o->form) return -1;
    uint32_t *made;
    const tsr_status s = tsr_token_table_ids(w->t->ctx, w->table, text->text, &made, &text->count);
    text->ids = made;
    return s ? tool_fail(w->t, s) : -1;
}

static void write_json(work *w, FILE *file, const char *template_name, const tsr_prompt *prompt) {
    const tsr_map_info *m = tsr_vocab_map_info(w->map);
    const bool mixed = w->o->form && !strcmp(w->o->form, "mixed");
    uint64_t count, runs;
    const uint32_t *ids = tsr_prompt_ids(prompt, &count);
    const tsr_prompt_run *own = tsr_prompt_own_runs(prompt, &runs);
    json_out j;
    json_open(&j, file);
    json_text(&j, "map", m->name);
    json_text(&j, "revision", m->revision);
    json_text(&j, "template", template_name);
    if (!mixed) json_numbers(&j, "ids", ids, count);
    if (mixed) {
        json_array(&j, "pieces");
        for (int i = 0; i < tsr_prompt_pieces(prompt); ++i) {
            const tsr_prompt_piece p = tsr_prompt_piece_at(prompt, i);
            if (p.ids)
                json_numbers(&j, NULL, p.ids, p.count);
            else
                json_text(&j, NULL, p.text);
        }
        json_end(&j, ']');
    }
    if (runs) {
        json_array(&j, "own_table");
        for (uint64_t i = 0; i < runs; ++i) {
            json_object(&j, NULL);
            json_uint(&j, "first", own[i].first);
            json_uint(&j, "count", own[i].count);
            json_end(&j, '}');
        }
        json_end(&j, ']');
    }
    json_close(&j);
}

static int write_prompt(work *w, const char *template_name, const tsr_prompt *prompt) {
    const prompt_options *o = w->o;
    const bool string = o->form && !strcmp(o->form, "string");
    uint64_t count;
    size_t size;
    out_file out;
    const uint32_t *ids = tsr_prompt_ids(prompt, &count);
    const char *text = tsr_prompt_string(prompt, &size);
    int code = out_file_open(w->t, &out, o->output);
    if (code >= 0) return code;
    if (string)
        fwrite(text, 1, size, out.file);
    else if (id_file_ends(o->output, ".bin"))
        id_file_put(out.file, ids, count);
    else
        write_json(w, out.file, template_name, prompt);
    code = out_file_close(w->t, &out, true);
    if (code >= 0) return code;
    if (!args_is_stdout(o->output)) {
        if (o->common.json) {
            json_out j;
            tool_json(w->t, &j);
            json_text(&j, "output", o->output);
            json_text(&j, "map", tsr_vocab_map_info(w->map)->name);
            json_text(&j, "template", template_name);
            json_int(&j, "pictures", w->count);
            json_uint(&j, "ids", count);
            json_uint(&j, "bytes", string ? size : count * 4);
            json_close(&j);
        } else if (string)
            tool_say(w->t, "%s: %zu bytes; the runner must parse special tokens in it", o->output,
                     size);
        else
            tool_say(w->t, "%s: %" PRIu64 " ids of %s, template %s", o->output, count,
                     tsr_vocab_map_info(w->map)->name, template_name);
    }
    const tsr_map_class kind = tsr_vocab_map_info(w->map)->kind;
    if (kind == TSR_MAP_MASKED || kind == TSR_MAP_OWN)
        tool_warn(w->t, "%s",
                  tsr_vocab_map_runnable(w->t->ctx, w->map) ? tsr_detail(w->t->ctx) : "");
    return EXIT_DONE;
}

static int forwards(work *w, const char *path) {
    const prompt_options *o = w->o;
    int code = open_map(w);
    if (code < 0) code = read_items(w, path);
    for (int i = 0; i < o->texts.count && code < 0; ++i)
        code = add_text(w, o->texts.at[i], false);
    for (int i = 0; i < o->text_ids.count && code < 0; ++i)
        code = add_text(w, o->text_ids.at[i], true);
    if (code >= 0) return code;
    tsr_prompt_settings s = {.template_name = o->template_name,
                             .pictures = w->pictures,
                             .picture_count = w->count,
                             .texts = w->texts,
                             .text_count = w->text_count,
                             .text_length = o->text_length,
                             .form = !o->form                     ? TSR_PROMPT_IDS
                                     : !strcmp(o->form, "mixed")  ? TSR_PROMPT_MIXED
                                     : !strcmp(o->form, "string") ? TSR_PROMPT_STRING
                                                                  : TSR_PROMPT_IDS};
    if (!s.template_name && tsr_vocab_map_info(w->map)->templates)
        s.template_name = tsr_vocab_map_template(w->map, 0).name;
    else if (!s.template_name)
        s.template_name = ""; /* the map's reason is told, not this */
    tsr_prompt *prompt = NULL;
    const tsr_status status = tsr_prompt_build(w->t->ctx, w->map, &s, &prompt);
    code = status ? tool_fail(w->t, status) : write_prompt(w, s.template_name, prompt);
    tsr_prompt_close(&prompt);
    return code;
}

/* ---- backwards ---- */

static int parse_grid(const work *w, const char *text, tsr_reply_settings *s) {
    uint32_t n[3] = {0};
    int count = 0;
    const char *at = text;
    while (at && *at && count < 3) {
        char *end;
        const unsigned long value = strtoul(at, &end, 10);
        if (end == at || *at == '-' || !value || value > 1u << 26 || (*end && *end != ',')) break;
        n[count++] = (uint32_t)value;
        at = *end ? end + 1 : end;
    }
    if (at && (*at || !count))
        return args_wrong(w->t->v, "--grid: wanted [T,]H,W or one number, got '%s'", text);
    s->frames = count == 3 ? n[0] : 0;
    s->rows = count > 1 ? n[count - 2] : 0;
    s->columns = count ? n[count - 1] : 0;
    return -1;
}

/* The reply that is read: ids or a string. */
typedef struct reply_input {
    uint32_t *ids;
    char *text;
    uint64_t count;
} reply_input;

static tsr_status read_one(work *w, const reply_input *in, const tsr_reply_settings *s,
                           tsr_reply *reply) {
    return in->text
               ? tsr_reply_read_string(w->t->ctx, w->map, in->text, (size_t)in->count, s, reply)
               : tsr_reply_read(w->t->ctx, w->map, in->ids, in->count, s, reply);
}

static void reply_json(json_out *j, const tsr_reply *r) {
    json_object(j, NULL);
    json_text(j, "verdict", tsr_reply_verdict_name(r->verdict));
    json_text(j, "text", r->text);
    json_bool(j, "usable", r->usable);
    json_bool(j, "repaired", r->repaired);
    json_uint(j, "before", r->before);
    json_uint(j, "end", r->end);
    json_uint(j, "frames", r->frames);
    json_uint(j, "rows", r->rows);
    json_uint(j, "columns", r->columns);
    json_uint(j, "codes_invented", r->repairs.codes_invented);
    json_end(j, '}');
}

/* Adds the codes of a reply to the file, which is opened for the first. */
static tsr_status add_reply(work *w, tsr_token_writer **writer, tsr_token_header *header,
                            const tsr_reply *reply, int number) {
    tsr_token_item item;
    uint32_t tokens;
    char key[32];
    tsr_status s = TSR_OK;
    if (!*writer) {
        tsr_token_file *like = NULL;
        if (w->o->like) s = tsr_token_file_open(w->t->ctx, &like, w->o->like);
        if (!s)
            s = tsr_reply_header(w->t->ctx, w->map, reply,
                                 like ? tsr_token_file_header(like) : NULL, header);
        const tsr_token_writer_settings settings = tsr_token_writer_settings_default();
        if (!s) s = tsr_token_writer_open(w->t->ctx, writer, w->o->output, header, &settings);
        tsr_token_file_close(&like);
    }
    snprintf(key, sizeof key, "picture-%d", number);
    if (!s) s = tsr_reply_item(w->t->ctx, header, reply, key, &tokens, &item);
    if (!s) s = tsr_token_writer_add(*writer, &item);
    return s;
}

static int read_pictures(work *w, const reply_input *in, tsr_reply_settings *s) {
    const bool quiet_out = w->o->common.json && !args_is_stdout(w->o->output);
    tsr_token_writer *writer = NULL;
    tsr_token_header header;
    json_out j;
    int number = 0, written = 0, damaged = 0, code = -1;
    if (quiet_out) {
        tool_json(w->t, &j);
        json_array(&j, "pictures");
    }
    for (uint64_t before = UINT64_MAX; code < 0 && s->offset != before; ++number) {
        tsr_reply reply;
        before = s->offset;
        tsr_status status = read_one(w, in, s, &reply);
        /* Behind the last picture there is text, or nothing. */
        const bool over = !status && number && reply.verdict == TSR_REPLY_NO_BEGIN;
        if (!status && !over) {
            if (quiet_out)
                reply_json(&j, &reply);
            else
                tool_say(w->t, "picture %d: %s: %u x %u x %u codes", number, reply.text,
                         reply.frames, reply.rows, reply.columns);
            damaged += !reply.usable;
            if (reply.usable) status = add_reply(w, &writer, &header, &reply, number);
            written += reply.usable && !status;
        }
        s->offset = reply.end;
        s->begun = 0;
        tsr_reply_free(&reply);
        if (status) code = tool_fail(w->t, status);
        if (over || s->offset >= in->count || number > MOST_PICTURES) break;
    }
    if (code < 0 && writer) {
        const tsr_status status = tsr_token_writer_close(&writer);
        if (status) code = tool_fail(w->t, status);
    }
    tsr_token_writer_abandon(&writer);
    if (quiet_out && code < 0) {
        json_end(&j, ']');
        json_int(&j, "written", written);
        json_int(&j, "damaged", damaged);
        json_close(&j);
    }
    if (code < 0 && !written) tool_warn(w->t, "no picture could be used; nothing was written");
    return code >= 0 ? code : damaged ? EXIT_NEGATIVE : EXIT_DONE;
}

static int backwards(work *w, const char *path) {
    tsr_reply_settings s = {.picture = w->o->picture, .begun = w->o->begun, .repair = w->o->repair};
    reply_input in = {0};
    size_t size = 0;
    int code = open_map(w);
    if (code < 0) code = parse_grid(w, w->o->grid, &s);
    if (code < 0 && w->o->form && !strcmp(w->o->form, "string")) {
        code = id_file_bytes(w->t, path, &in.text, &size);
        in.count = size;
    } else if (code < 0) {
        code = id_file_read(w->t, path, &in.ids, &in.count);
    }
    if (code < 0) code = read_pictures(w, &in, &s);
    free(in.ids);
    free(in.text);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    prompt_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.map) return args_wrong(v, "--map MAP is missing");
    if (!o.output) return args_wrong(v, "-o OUT is missing");
    if (o.form && strcmp(o.form, "ids") != 0 && strcmp(o.form, "mixed") != 0 &&
        strcmp(o.form, "string") != 0)
        return args_wrong(v, "--form: wanted ids, mixed or string, got '%s'", o.form);
    if (o.form && !strcmp(o.form, "ids")) o.form = NULL;
    if (o.form && id_file_ends(o.output, ".bin"))
        return args_wrong(v, "--form %s: wanted ids in a .bin, got text", o.form);
    if (!o.inverse && (o.repair || o.begun || o.grid || o.picture || o.like))
        return args_wrong(v, "--repair, --begun, --grid, --picture and --like are for --inverse");
    if (o.inverse && (o.texts.count || o.text_ids.count || o.template_name || o.items.count ||
                      o.frames || o.text_length))
        return args_wrong(v, "--text, --text-ids, --text-length, --template, --item and --frames "
                             "are not for --inverse");
    if ((code = tool_not_input(v, o.output, argv[0])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    work w = {.t = &t, .o = &o};
    code = o.inverse ? backwards(&w, argv[0]) : forwards(&w, argv[0]);
    work_free(&w);
    tool_close(&t);
    return code;
}

const verb verb_prompt = {
    .name = "prompt",
    .summary = "token files to prompts of language models, and replies back",
    .usage = "tessera prompt FILE.tess --map MAP -o OUT.json|OUT.bin|OUT.txt [--template NAME]\n"
             "               [--text KEY=TEXT] [--text-ids KEY=IDS] [--item N|KEY] [-f] [--json]\n"
             "tessera prompt REPLY.json|REPLY.bin --inverse --map MAP -o OUT.tess [--repair] [-f]",
    .about =
        "Puts the codes of pictures into the ids of a language model, with the tokens around them "
        "that its template has. The tokenizer of the file must be the one the map wants: another "
        "codebook, a grid in place of a sequence, or another size is refused. Ordinary text "
        "becomes "
        "ids only by the model's own tokenizer: give its ids, or leave it as text between ids "
        "(--form mixed) for a server that takes both; --tokenizer knows added and special tokens "
        "alone.\n\n"
        "With --inverse the pictures of a reply become the items of a token file. Each gets a "
        "line: "
        "ok, or what is wrong with it and where. With --repair damage is repaired where codes are "
        "left, and the line says what was done: ids left out, separators, codes cut or invented.",
    .exits = "--inverse: 1 when a picture could not be used",
    .examples = "# a picture as Emu3 reads it, with a caption of which the ids are known\n"
                "tessera prompt photo.tess --map emu3 --template train --text-ids caption=64,2518 "
                "-o p.json\n"
                "# a string for a runner that takes no ids\n"
                "tessera prompt photo.tess --map seed-llama --form string -o p.txt\n"
                "# the picture of a reply\n"
                "tessera prompt reply.json --inverse --map emu3 -o reply.tess",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE",
    .run = run,
};
