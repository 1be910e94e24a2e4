/* SPDX-License-Identifier: MIT */
/* cmd_cut.c: a smaller token file from a token file, without a model. */
#include "tool.h"

#include <inttypes.h>
#include <string.h>

typedef struct cut_options {
    common_options common;
    const char *output;
    uint32_t tokens;
} cut_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(cut_options, output), "OUT.tess", NULL,
     "where to write; '-' is stdout", NULL, 0, 0},
    {"tokens", 'k', OPTION_UINT, offsetof(cut_options, tokens), "N", NULL,
     "keep the first N ids of each tile", NULL, 1, 1u << 24},
};

/* Totals of a file that was just written, for the summary. */
static tsr_status measure(tool *t, const char *path, tsr_token_file_info *info) {
    tsr_token_file *file = NULL;
    tsr_status s = tsr_token_file_open(t->ctx, &file, path);
    if (s) return s;
    *info = *tsr_token_file_properties(file);
    tsr_token_file_close(&file);
    return TSR_OK;
}

static int run(const verb *v, int argc, char **argv) {
    cut_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT.tess is missing");
    if (!o.tokens) return args_wrong(v, "-k N is missing");
    const bool pipe = tool_is_stream(o.output);
    if ((code = tool_not_input(v, o.output, argv[0])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_token_file_info info = {0};
    tsr_status s = tsr_token_file_cut(t.ctx, argv[0], o.output, o.tokens);
    if (!s && !pipe) s = measure(&t, o.output, &info);
    if (s) {
        code = tool_fail(&t, s);
        tool_close(&t);
        return code;
    }
    if (o.common.json) {
        json_out j;
        tool_json(&t, &j);
        json_text(&j, "input", argv[0]);
        json_text(&j, "output", o.output);
        json_uint(&j, "items", info.items);
        json_uint(&j, "tokens", info.tokens);
        json_uint(&j, "bytes", info.bytes);
        json_close(&j);
    } else if (!pipe) {
        char bytes[32];
        tool_say(&t, "%s: %" PRIu64 " items, %" PRIu64 " tokens, %s", o.output, info.items,
                 info.tokens, tool_bytes(info.bytes, bytes, sizeof bytes));
    }
    tool_close(&t);
    return EXIT_DONE;
}

const verb verb_cut = {
    .name = "cut",
    .summary = "keep the first N ids of each tile: a coarser picture in fewer bytes",
    .usage = "tessera cut FILE.tess -o OUT.tess -k N [-f] [--json]",
    .about =
        "Tokens of a nested tokenizer are ordered: any prefix decodes to the whole picture, more "
        "coarsely. Cutting needs no model and no pixels. Tiles that have fewer ids stay as they "
        "are. Files whose tokens are not ordered are refused.",
    .exits = NULL,
    .examples = "# a preview of 16 tokens a tile\n"
                "tessera cut photo.tess -o preview.tess -k 16\n"
                "# straight into the decoder\n"
                "tessera cut photo.tess -k 64 -o - | tessera decode - -o preview.png",
    .options = options,
    .option_count = 2,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
