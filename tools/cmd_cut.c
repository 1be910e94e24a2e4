/* SPDX-License-Identifier: MIT */
/* cmd_cut.c: a smaller token file from a token file, without a model. */
#include "token_damage.h"
#include "tool.h"

#include <inttypes.h>
#include <string.h>

typedef struct cut_options {
    common_options common;
    const char *output;
    uint32_t tokens;
    text_list items;
} cut_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(cut_options, output), "OUT.tess", NULL,
     "where to write; '-' is stdout", NULL, 0, 0},
    {"tokens", 'k', OPTION_UINT, offsetof(cut_options, tokens), "N", NULL,
     "keep the first N ids of each tile", NULL, 1, 1u << 24},
    {"item", 0, OPTION_TEXTS, offsetof(cut_options, items), "N|KEY", "every item",
     "keep this item: its number from 0 on, a range or list of numbers (0,2,5-7), or its key; may "
     "be "
     "given several times, and without -k, for tokens of every kind",
     NULL, 0, 0},
};

/* The size of a file that was just written; 0 when it cannot be read. */
static uint64_t file_bytes(tool *t, const char *path) {
    tsr_token_file *file = NULL;
    if (tsr_token_file_open(t->ctx, &file, path)) return 0;
    const uint64_t bytes = tsr_token_file_properties(file)->bytes;
    tsr_token_file_close(&file);
    return bytes;
}

/* The end of a cut that did something, if not all. */
static int finish(tool *t, const char *input, const cut_options *o, tsr_status status,
                  token_damage *damage, const tsr_token_cut_report *report) {
    const bool pipe = tool_is_stream(o->output);
    const uint64_t size = pipe || !report->items ? 0 : file_bytes(t, o->output);
    char items[32], tokens[32], bytes[32], text[200];
    tool_count(report->items, "item", items);
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_text(&j, "input", input);
        json_text(&j, "output", o->output);
        json_uint(&j, "items", report->items);
        json_uint(&j, "tokens", report->tokens);
        json_uint(&j, "bytes", size);
        token_damage_json(damage, &j, report->recovered != 0);
        json_close(&j);
    } else if (!pipe && size) {
        tool_say(t, "%s: %s, %s, %s", o->output, items, tool_count(report->tokens, "token", tokens),
                 tool_bytes(size, bytes, sizeof bytes));
    }
    if (status)
        tool_warn(t, "%s: %s; %s written", input,
                  token_damage_text(damage, report->recovered != 0, text, sizeof text), items);
    return tool_exit_code(status);
}

static int run(const verb *v, int argc, char **argv) {
    cut_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT.tess is missing");
    if (!o.tokens && !o.items.count) return args_wrong(v, "-k N is missing");
    if ((code = tool_not_input(v, o.output, argv[0])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    token_damage damage;
    token_damage_open(&damage, &t);
    const tsr_token_cut_settings settings = {.tokens = o.tokens,
                                             .items = o.items.at,
                                             .item_count = o.items.count,
                                             .damaged = token_damage_add,
                                             .damaged_user = &damage};
    tsr_token_cut_report report = {0};
    tsr_status s = tsr_token_file_cut(t.ctx, argv[0], o.output, &settings, &report);
    code = s && s != TSR_ERROR_DAMAGED ? tool_fail(&t, s)
                                       : finish(&t, argv[0], &o, s, &damage, &report);
    token_damage_close(&damage);
    tool_close(&t);
    return code;
}

const verb verb_cut = {
    .name = "cut",
    .summary = "keep the first N ids of each tile: a coarser picture in fewer bytes",
    .usage = "tessera cut FILE.tess -o OUT.tess [-k N] [--item N|KEY] [-f] [--json]",
    .about =
        "Tokens of a nested tokenizer are ordered: any prefix decodes to the whole picture, more "
        "coarsely. Cutting needs no model and no pixels. Tiles that have fewer ids stay as they "
        "are. Files whose tokens are not ordered are refused, unless --item alone is given: whole "
        "items can be taken out of every file. Of a file that is cut or damaged every whole item "
        "is "
        "kept, and each damaged one gets a line.",
    .exits = "1 when FILE.tess is cut or damaged; what is whole was written",
    .examples = "# a preview of 16 tokens a tile\n"
                "tessera cut photo.tess -o preview.tess -k 16\n"
                "# one picture out of many, with all its tokens\n"
                "tessera cut album.tess -o beach.tess --item beach.jpg\n"
                "# straight into the decoder\n"
                "tessera cut photo.tess -k 64 -o - | tessera decode - -o preview.png",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
