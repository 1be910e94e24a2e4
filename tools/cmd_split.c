/* SPDX-License-Identifier: MIT */
/* cmd_split.c: one token file to several, without a model. */
#include "token_damage.h"
#include "tool.h"

#include <inttypes.h>

typedef struct split_options {
    common_options common;
    const char *output;
    uint64_t items;
    uint32_t parts;
    int key_index;
} split_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(split_options, output), "DIR", NULL,
     "folder for the parts, which is made if it is not there", NULL, 0, 0},
    {"items", 0, OPTION_UINT64, offsetof(split_options, items), "N", NULL,
     "put N items into each part; the last may have fewer", NULL, 0, 0},
    {"parts", 0, OPTION_UINT, offsetof(split_options, parts), "N", NULL,
     "make N parts, whose numbers of items differ by one at most", NULL, 1, 10000000},
    {"key-index", 0, OPTION_FLAG, offsetof(split_options, key_index), NULL, NULL,
     "write an index of the keys into each part; without it when FILE.tess has one", NULL, 0, 0},
};

static int finish(tool *t, const char *input, const split_options *o, tsr_status status,
                  token_damage *damage, const tsr_token_shard_report *r, bool recovered) {
    char items[32], tokens[32], files[32], text[200];
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_text(&j, "input", input);
        json_text(&j, "output", o->output);
        json_uint(&j, "files", r->files);
        json_uint(&j, "items", r->items);
        json_uint(&j, "tokens", r->tokens);
        token_damage_json(damage, &j, recovered);
        json_close(&j);
    } else {
        tool_say(t, "%s: %s, %s, %s", o->output, tool_count(r->files, "file", files),
                 tool_count(r->items, "item", items), tool_count(r->tokens, "token", tokens));
    }
    if (status)
        tool_warn(t, "%s: %s; %s written", input,
                  token_damage_text(damage, recovered, text, sizeof text),
                  tool_count(r->items, "item", items));
    return tool_exit_code(status);
}

static int run(const verb *v, int argc, char **argv) {
    split_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o DIR is missing");
    if (!o.items == !o.parts)
        return args_wrong(v, o.items ? "--items and --parts say the same thing: give one of them"
                                     : "--items N or --parts N is missing");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    token_damage damage;
    token_damage_open(&damage, &t);
    const tsr_token_shard_settings settings = {.items = o.items,
                                               .parts = o.parts,
                                               .key_index = o.key_index,
                                               .damaged = token_damage_add,
                                               .damaged_user = &damage,
                                               .progress = tool_progress,
                                               .progress_user = &t};
    tsr_token_shard_report report;
    const tsr_status s = tsr_token_file_split(t.ctx, argv[0], o.output, &settings, &report);
    tool_progress_clear(&t);
    code = s && s != TSR_ERROR_DAMAGED
               ? tool_fail(&t, s)
               : finish(&t, argv[0], &o, s, &damage, &report, report.recovered != 0);
    token_damage_close(&damage);
    tool_close(&t);
    return code;
}

const verb verb_split = {
    .name = "split",
    .summary = "make several token files of one",
    .usage = "tessera split FILE.tess -o DIR (--items N | --parts N) [--key-index] [-f] [--json]",
    .about =
        "Writes the items of a file, in their order, into FILE-00000.tess, FILE-00001.tess and so "
        "on "
        "in a folder. Each part is a token file of its own with the header and the attributes of "
        "the "
        "whole; items keep their attributes and are numbered anew. No model is needed. Parts that "
        "exist are refused before anything is written, unless -f replaces them; parts of an "
        "earlier "
        "split beyond the last one of this stay. Of a damaged file every whole item is written.",
    .exits = "1 when FILE.tess is cut or damaged; what is whole was written",
    .examples = "# shards of 10,000 pictures\n"
                "tessera split all.tess -o shards/ --items 10000\n"
                "# one shard for each of 8 workers\n"
                "tessera split all.tess -o shards/ --parts 8",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
