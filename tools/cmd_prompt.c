/* SPDX-License-Identifier: MIT */
/* cmd_prompt.c: token files to the prompts of language models, and replies to token files. */
#include "id_file.h"
#include "out_file.h"
#include "prompt_input.h"
#include "reply_pictures.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

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
    prompt_input in;
} work;

static void write_json(work *w, FILE *file, const char *template_name, const tsr_prompt *prompt) {
    const tsr_map_info *m = tsr_vocab_map_info(w->in.map);
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
            json_text(&j, "map", tsr_vocab_map_info(w->in.map)->name);
            json_text(&j, "template", template_name);
            json_int(&j, "pictures", w->in.count);
            json_uint(&j, "ids", count);
            json_uint(&j, "bytes", string ? size : count * 4);
            json_close(&j);
        } else if (string)
            tool_say(w->t, "%s: %zu bytes; the runner must parse special tokens in it", o->output,
                     size);
        else
            tool_say(w->t, "%s: %" PRIu64 " ids of %s, template %s", o->output, count,
                     tsr_vocab_map_info(w->in.map)->name, template_name);
    }
    const tsr_map_class kind = tsr_vocab_map_info(w->in.map)->kind;
    if (kind == TSR_MAP_MASKED || kind == TSR_MAP_OWN)
        tool_warn(w->t, "%s",
                  tsr_vocab_map_runnable(w->t->ctx, w->in.map) ? tsr_detail(w->t->ctx) : "");
    return EXIT_DONE;
}

static int forwards(work *w, const char *path) {
    const prompt_options *o = w->o;
    int code = prompt_input_map(w->t, &w->in, o->map, o->tokenizer);
    if (code < 0) code = prompt_input_items(w->t, &w->in, path, &o->items, o->frames);
    for (int i = 0; i < o->texts.count && code < 0; ++i)
        code = prompt_input_text(w->t, &w->in, o->texts.at[i], false, o->form != NULL);
    for (int i = 0; i < o->text_ids.count && code < 0; ++i)
        code = prompt_input_text(w->t, &w->in, o->text_ids.at[i], true, false);
    if (code >= 0) return code;
    tsr_prompt_settings s = {.template_name = prompt_input_template(&w->in, o->template_name),
                             .pictures = w->in.pictures,
                             .picture_count = w->in.count,
                             .texts = w->in.texts,
                             .text_count = w->in.text_count,
                             .text_length = o->text_length,
                             .form = !o->form                     ? TSR_PROMPT_IDS
                                     : !strcmp(o->form, "mixed")  ? TSR_PROMPT_MIXED
                                     : !strcmp(o->form, "string") ? TSR_PROMPT_STRING
                                                                  : TSR_PROMPT_IDS};
    tsr_prompt *prompt = NULL;
    const tsr_status status = tsr_prompt_build(w->t->ctx, w->in.map, &s, &prompt);
    code = status ? tool_fail(w->t, status) : write_prompt(w, s.template_name, prompt);
    tsr_prompt_close(&prompt);
    return code;
}

/* ---- backwards ---- */

static int read_pictures(work *w, reply_pictures *p, const tsr_reply_settings *s) {
    const bool document = w->o->common.json && !args_is_stdout(w->o->output);
    json_out j;
    if (document) {
        tool_json(w->t, &j);
        json_array(&j, "pictures");
        p->json = &j;
    }
    const tsr_status status = reply_pictures_write(w->t, p, s);
    if (status) return tool_fail(w->t, status);
    if (document) {
        json_end(&j, ']');
        json_int(&j, "written", p->written);
        json_int(&j, "damaged", p->damaged);
        json_close(&j);
    }
    if (!p->written) tool_warn(w->t, "no picture could be used; nothing was written");
    return p->damaged ? EXIT_NEGATIVE : EXIT_DONE;
}

static int backwards(work *w, const char *path) {
    tsr_reply_settings s = {.picture = w->o->picture, .begun = w->o->begun, .repair = w->o->repair};
    uint32_t *ids = NULL;
    char *text = NULL;
    uint64_t count = 0;
    size_t size = 0;
    int code = prompt_input_map(w->t, &w->in, w->o->map, w->o->tokenizer);
    if (code < 0) code = reply_grid(w->t->v, w->o->grid, &s);
    if (code < 0 && w->o->form && !strcmp(w->o->form, "string")) {
        code = id_file_bytes(w->t, path, &text, &size);
        count = size;
    } else if (code < 0) {
        code = id_file_read(w->t, path, &ids, &count);
    }
    reply_pictures p = {.map = w->in.map,
                        .ids = ids,
                        .text = text,
                        .count = count,
                        .like = w->o->like,
                        .output = w->o->output};
    if (code < 0) code = read_pictures(w, &p, &s);
    free(ids);
    free(text);
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
    prompt_input_free(&w.in);
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
