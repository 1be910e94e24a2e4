/* SPDX-License-Identifier: MIT */
/* cmd_map.c: vocabulary maps: which there are, what they say, whether they fit a model. */
#include <tessera/runner/map.h>
#include <tessera/runner/server.h>
#include "out_file.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct map_options {
    common_options common;
    const char *gguf, *tokenizer, *server, *like, *name, *output;
    int all;
} map_options;

#define AT(field) offsetof(map_options, field)
#define COUNT(a)  (int)(sizeof(a) / sizeof *(a))

static const char classes[] = "ABCD";
static const char *const geometries[] = {"grid", "sequence", "kept"};

/* ---- map list ---- */

static void list_line(tool *t, json_out *j, const tsr_map_info *m) {
    (void)t;
    if (j) {
        json_object(j, NULL);
        json_text(j, "name", m->name);
        json_text(j, "model", m->model);
        char letter[2] = {classes[m->kind], 0};
        json_text(j, "class", letter);
        json_uint(j, "n_vocab", m->n_vocab);
        json_uint(j, "codebook_size", m->codebook_size);
        json_text(j, "geometry", geometries[m->geometry]);
        json_text(j, "families", m->families);
        json_bool(j, "prompts", m->pictures > 0);
        json_end(j, '}');
        return;
    }
    printf("%c  %-20s %7u codes  %s\n", classes[m->kind], m->name, m->codebook_size, m->model);
}

static int run_list(const verb *v, int argc, char **argv) {
    map_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    json_out j;
    if (o.common.json) {
        tool_json(&t, &j);
        json_array(&j, "maps");
    }
    code = EXIT_DONE;
    for (int i = 0; i < tsr_vocab_map_count() && code == EXIT_DONE; ++i) {
        tsr_vocab_map *map;
        const tsr_status s = tsr_vocab_map_open(t.ctx, tsr_vocab_map_name(i), &map);
        if (s)
            code = tool_fail(&t, s);
        else
            list_line(&t, o.common.json ? &j : NULL, tsr_vocab_map_info(map));
        tsr_vocab_map_close(&map);
    }
    if (o.common.json && code == EXIT_DONE) {
        json_end(&j, ']');
        json_close(&j);
    }
    tool_close(&t);
    return code;
}

/* ---- map show ---- */

static void show_json(tool *t, const tsr_vocab_map *map) {
    const tsr_map_info *m = tsr_vocab_map_info(map);
    char letter[2] = {classes[m->kind], 0};
    json_out j;
    tool_json(t, &j);
    json_text(&j, "name", m->name);
    json_text(&j, "model", m->model);
    json_text(&j, "class", letter);
    json_text(&j, "source", m->source);
    json_text(&j, "revision", m->revision);
    json_text(&j, "reason", m->reason);
    json_text(&j, "use", m->use);
    json_uint(&j, "n_vocab", m->n_vocab);
    json_uint(&j, "n_input", m->n_input);
    json_uint(&j, "codebook_size", m->codebook_size);
    json_text(&j, "geometry", geometries[m->geometry]);
    json_numbers(&j, "stride", m->stride, 3);
    json_text(&j, "families", m->families);
    json_text(&j, "models", m->models);
    json_array(&j, "blocks");
    for (int i = 0; i < m->blocks; ++i) {
        const tsr_map_block b = tsr_vocab_map_block(map, i);
        json_object(&j, NULL);
        json_text(&j, "name", b.name);
        json_uint(&j, "first_code", b.first_code);
        json_uint(&j, "count", b.count);
        json_uint(&j, "first_id", b.first_id);
        json_text(&j, "text", b.text);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_object(&j, "special");
    for (int i = 0; i < m->specials; ++i) {
        const tsr_map_special s = tsr_vocab_map_special_at(map, i);
        if (s.id == TSR_NO_ID)
            json_null(&j, s.name);
        else
            json_uint(&j, s.name, s.id);
    }
    json_end(&j, '}');
    json_object(&j, "templates");
    for (int i = 0; i < m->templates; ++i) {
        const tsr_map_template one = tsr_vocab_map_template(map, i);
        json_text(&j, one.name, one.parts);
    }
    json_end(&j, '}');
    json_array(&j, "notes");
    for (int i = 0; i < m->notes; ++i)
        json_text(&j, NULL, tsr_vocab_map_note(map, i));
    json_end(&j, ']');
    json_close(&j);
}

static void show_picture(const tsr_map_picture *p) {
    static const char *const sizes[] = {"", " size as text,", " size as two ids,"};
    static const char *const rows[] = {"", " between rows,", " after every row,"};
    printf("  layout    %s: block %s, %s,", p->name, p->block, geometries[p->geometry]);
    if (*p->begin) printf(" begin %s,", p->begin);
    printf("%s", sizes[p->size]);
    if (*p->start) printf(" %s,", p->start);
    if (p->rows) printf(" %s%s", p->eol, rows[p->rows]);
    if (*p->frame_separator) printf(" %s between frames,", p->frame_separator);
    if (*p->frame_end) printf(" %s,", p->frame_end);
    printf(" end %s", *p->end ? p->end : "none");
    for (int i = 0; i < p->grid_count; ++i)
        printf("%s%u x %u", i ? " or " : "; ", p->grids[i][0], p->grids[i][1]);
    if (p->most_codes && p->least_codes == p->most_codes)
        printf("; %u codes", p->most_codes);
    else if (p->most_codes)
        printf("; %u to %u codes", p->least_codes, p->most_codes);
    printf("\n");
}

static void show_text(const tsr_vocab_map *map) {
    const tsr_map_info *m = tsr_vocab_map_info(map);
    char first[160], clean[1100];
    printf("%s: %s\n", m->name, tool_clean(m->model, clean, sizeof clean));
    printf("  class     %c\n", classes[m->kind]);
    if (*m->reason)
        args_print_wrapped(tool_clean(m->reason, clean, sizeof clean), printf("  reason    "), 12);
    if (*m->use)
        args_print_wrapped(tool_clean(m->use, clean, sizeof clean), printf("  use       "), 12);
    if (*m->source) printf("  source    %s\n", tool_clean(m->source, clean, sizeof clean));
    if (*m->revision) printf("  revision  %s\n", tool_clean(m->revision, clean, sizeof clean));
    if (m->n_vocab) printf("  n_vocab   %u", m->n_vocab);
    if (m->n_input != m->n_vocab) printf(", input table of %u", m->n_input);
    if (m->n_vocab) printf("\n");
    if (m->codebook_size) {
        printf("  tokenizer %u codes, %s", m->codebook_size, geometries[m->geometry]);
        if (m->stride[0])
            printf(", %u x %u x %u frames and pixels a code", m->stride[0], m->stride[1],
                   m->stride[2]);
        printf("%s%s\n", *m->families ? "; family " : "; no family of ours", m->families);
    }
    for (int i = 0; i < m->blocks; ++i) {
        const tsr_map_block b = tsr_vocab_map_block(map, i);
        const size_t n = tsr_vocab_map_code_text(map, i, b.first_code, first, sizeof first);
        printf("  block     %s: codes %u..%u are ids %u..%u%s%s\n", b.name, b.first_code,
               b.first_code + b.count - 1, b.first_id, b.first_id + b.count - 1, n ? ", " : "",
               n ? tool_clean(first, clean, sizeof clean) : "");
    }
    for (int i = 0; i < m->specials; ++i) {
        const tsr_map_special s = tsr_vocab_map_special_at(map, i);
        if (s.id == TSR_NO_ID)
            printf("  special   %-6s        ? %s\n", s.name, tool_clean(s.text, clean, 200));
        else
            printf("  special   %-6s %8u %s\n", s.name, s.id, tool_clean(s.text, clean, 200));
    }
    for (int i = 0; i < m->pictures; ++i) {
        const tsr_map_picture p = tsr_vocab_map_picture(map, i);
        show_picture(&p);
    }
    for (int i = 0; i < m->templates; ++i) {
        const tsr_map_template one = tsr_vocab_map_template(map, i);
        printf("  template  %s: %s\n", one.name, one.parts);
    }
    for (int i = 0; i < m->notes; ++i)
        args_print_wrapped(tool_clean(tsr_vocab_map_note(map, i), clean, sizeof clean),
                           printf("  note      "), 12);
}

static int run_show(const verb *v, int argc, char **argv) {
    map_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_vocab_map *map;
    const tsr_status s = tsr_vocab_map_open(t.ctx, argv[0], &map);
    code = s ? tool_fail(&t, s) : EXIT_DONE;
    if (!s && o.common.json)
        show_json(&t, map);
    else if (!s)
        show_text(map);
    tsr_vocab_map_close(&map);
    tool_close(&t);
    return code;
}

/* ---- map check ---- */

typedef struct check_state {
    json_out *j; /* NULL: text */
} check_state;

static void on_line(void *user, const char *what, int agrees, const char *text) {
    check_state *c = user;
    char clean[1400];
    if (!c->j) {
        printf("%-8s %-16s %s\n",
               agrees > 0    ? "agrees"
               : agrees == 0 ? "DIFFERS"
                             : "left out",
               what, tool_clean(text, clean, sizeof clean));
        return;
    }
    json_object(c->j, NULL);
    json_text(c->j, "what", what);
    if (agrees < 0)
        json_null(c->j, "agrees");
    else
        json_bool(c->j, "agrees", agrees > 0);
    json_text(c->j, "text", text);
    json_end(c->j, '}');
}

static int check(tool *t, const map_options *o, const tsr_vocab_map *map, const char *path) {
    tsr_token_table *table = NULL;
    tsr_server *server = NULL;
    tsr_server_settings where = tsr_server_settings_default();
    where.url = o->server;
    tsr_status s = path ? tsr_token_table_open(t->ctx, path, &table) : TSR_OK;
    if (!s && o->server) s = tsr_server_open(t->ctx, &where, &server);
    if (s) return tool_fail(t, s);
    json_out j;
    check_state state = {o->common.json ? &j : NULL};
    int failed = 0;
    if (o->common.json) {
        tool_json(t, &j);
        json_text(&j, "map", tsr_vocab_map_info(map)->name);
        json_array(&j, "lines");
    }
    if (table || server) {
        const tsr_vocabulary vocabulary =
            server ? tsr_server_vocabulary(server) : tsr_token_table_vocabulary(table);
        s = tsr_vocab_map_check(t->ctx, map, &vocabulary, o->all, on_line, &state, &failed);
    }
    if (o->common.json) {
        json_end(&j, ']');
        json_int(&j, "failed", failed);
        json_text(&j, "error", s ? tsr_detail(t->ctx) : NULL);
        json_close(&j);
    } else if (!s) {
        printf(
            "%s: %s\n", tsr_vocab_map_info(map)->name,
            !table && !server
                ? "the map is well formed; --gguf, --tokenizer or --server compares it with a model"
            : failed ? "does not fit"
                     : "fits");
    }
    tsr_token_table_close(&table);
    tsr_server_close(&server);
    if (s && o->common.json) return tool_exit_code(s);
    return s ? tool_fail(t, s) : failed ? EXIT_NEGATIVE : EXIT_DONE;
}

static const option check_options[] = {
    {"gguf", 0, OPTION_TEXT, AT(gguf), "FILE.gguf", NULL,
     "the model file whose vocabulary is compared", NULL, 0, 0},
    {"tokenizer", 0, OPTION_TEXT, AT(tokenizer), "FILE.json", NULL,
     "a tokenizer.json, or a config.json with a vocabulary_map, to compare with", NULL, 0, 0},
    {"server", 0, OPTION_TEXT, AT(server), "URL", NULL,
     "the server whose vocabulary is compared, one request for each text", NULL, 0, 0},
    {"all", 0, OPTION_FLAG, AT(all), NULL, NULL, "compare the text of every code, not of a few",
     NULL, 0, 0},
};

static int run_check(const verb *v, int argc, char **argv) {
    map_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!!o.gguf + !!o.tokenizer + !!o.server > 1)
        return args_wrong(v, "wanted one of --gguf, --tokenizer and --server, got several");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_vocab_map *map;
    const tsr_status s = tsr_vocab_map_open(t.ctx, argv[0], &map);
    code = s ? tool_fail(&t, s) : check(&t, &o, map, o.gguf ? o.gguf : o.tokenizer);
    tsr_vocab_map_close(&map);
    tool_close(&t);
    return code;
}

/* ---- map import ---- */

static const option import_options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT.json", NULL, "the map to write; '-' is stdout",
     NULL, 0, 0},
    {"like", 0, OPTION_TEXT, AT(like), "MAP", NULL,
     "the map whose layout and templates it has; its texts are looked up in FILE", NULL, 0, 0},
    {"name", 0, OPTION_TEXT, AT(name), "NAME", "that of --like", "the name of the new map", NULL, 0,
     0},
};

static int import(tool *t, const map_options *o, const char *path) {
    tsr_vocab_map *like = NULL;
    tsr_token_table *table = NULL;
    char *text = NULL;
    out_file out;
    tsr_status s = tsr_vocab_map_open(t->ctx, o->like, &like);
    if (!s) s = tsr_token_table_open(t->ctx, path, &table);
    if (!s)
        s = tsr_vocab_map_import(t->ctx, table, like,
                                 o->name ? o->name : tsr_vocab_map_info(like)->name, &text);
    int code = s ? tool_fail(t, s) : out_file_open(t, &out, o->output);
    if (!s && code < 0) {
        fputs(text, out.file);
        code = out_file_close(t, &out, true);
        if (code < 0) code = EXIT_DONE;
    }
    if (code == EXIT_DONE && t->o->json && !args_is_stdout(o->output)) {
        json_out j;
        tool_json(t, &j);
        json_text(&j, "output", o->output);
        json_text(&j, "like", tsr_vocab_map_info(like)->name);
        json_uint(&j, "tokens", tsr_token_table_vocabulary(table).count);
        json_close(&j);
    }
    free(text);
    tsr_token_table_close(&table);
    tsr_vocab_map_close(&like);
    return code;
}

static int run_import(const verb *v, int argc, char **argv) {
    map_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT.json is missing");
    if (!o.like) return args_wrong(v, "--like MAP is missing");
    if ((code = tool_not_input(v, o.output, argv[0])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    code = import(&t, &o, argv[0]);
    tool_close(&t);
    return code;
}

/* ---- verbs ---- */

static const verb verb_map_list = {
    .name = "map list",
    .summary = "the maps that are part of the program",
    .usage = "tessera map list [--json]",
    .about =
        "One line for each: its class, its name, the codebook it wants, its model. Class A is "
        "one vocabulary read from left to right; B one vocabulary whose pictures are filled in "
        "by masks; C codes of a table or head of their own; D no discrete codes.",
    .examples = "# which models are known\ntessera map list",
    .run = run_list,
};
static const verb verb_map_show = {
    .name = "map show",
    .summary = "what a map says: ids, layouts, templates, sources",
    .usage = "tessera map show MAP [--json]",
    .about =
        "MAP is a name of `tessera map list` or a file of your own (docs/VOCABULARY_MAPS.md). A "
        "file with a fault is refused with its key, what was wanted and what it has.",
    .examples = "# where the codes of Emu3 stand\ntessera map show emu3",
    .least_operands = 1,
    .most_operands = 1,
    .operands = "MAP",
    .run = run_show,
};
static const verb verb_map_check = {
    .name = "map check",
    .summary = "compare a map with the vocabulary of a model",
    .usage =
        "tessera map check MAP [--gguf FILE.gguf | --tokenizer FILE.json | --server URL] [--all]\n"
        "                  [--json]",
    .about = "Compares the number of ids, the text of every special token and the texts of codes. "
             "Ids that have drifted are the worst mistake there is, since nothing complains: check "
             "before the first prompt. What has no text on one side is left out and said.",
    .exits = "1 when something differs",
    .examples = "# does a converted model have the ids of the map?\n"
                "tessera map check emu3 --gguf emu3.gguf",
    .options = check_options,
    .option_count = COUNT(check_options),
    .least_operands = 1,
    .most_operands = 1,
    .operands = "MAP",
    .run = run_check,
};
static const verb verb_map_import = {
    .name = "map import",
    .summary = "make the map of a model from its tokenizer",
    .usage = "tessera map import FILE --like MAP -o OUT.json [--name NAME] [-f] [--json]",
    .about =
        "FILE is a tokenizer.json, a config.json with a vocabulary_map, or a GGUF model. Layout "
        "and templates are those of --like; the ids of its codes and special tokens are looked "
        "up by their texts, and nothing is guessed: a text that is not there, or codes with "
        "gaps between their ids, are refused.",
    .examples = "# a model that was trained like Emu3 with a tokenizer of its own\n"
                "tessera map import config.json --like emu3 --name mine -o mine.json",
    .options = import_options,
    .writes = true,
    .option_count = COUNT(import_options),
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE",
    .run = run_import,
};
static const verb *const parts[] = {&verb_map_list, &verb_map_show, &verb_map_check,
                                    &verb_map_import, NULL};

const verb verb_map = {
    .name = "map",
    .summary = "vocabulary maps of language models: list, show, check, import",
    .usage = "tessera map list\n"
             "tessera map show MAP\n"
             "tessera map check MAP [--gguf FILE | --tokenizer FILE | --server URL]\n"
             "tessera map import FILE --like MAP -o OUT.json",
    .about = "A vocabulary map says how the codes of a visual tokenizer stand among the ids of a "
             "language model, and how pictures are laid out in its prompts. Each part has its own "
             "--help.",
    .examples = "tessera map show --help",
    .least_operands = 1,
    .most_operands = -1,
    .operands = "list, show, check or import",
    .run = args_run_part,
    .parts = parts,
};
