/* SPDX-License-Identifier: MIT */
/* cmd_merge.c: several token files to one, without a model. */
#include "shard_list.h"
#include "token_damage.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>

typedef struct merge_options {
    common_options common;
    const char *output;
    int key_index;
} merge_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(merge_options, output), "OUT.tess", NULL,
     "where to write; '-' is stdout", NULL, 0, 0},
    {"key-index", 0, OPTION_FLAG, offsetof(merge_options, key_index), NULL, NULL,
     "write an index of the keys, 16 bytes an item, so that an item is found by its key without "
     "looking at the others; without it when the first input has one",
     NULL, 0, 0},
};

/* Keys of two items of the output, which say more than their numbers. */
static void say_equal(tool *t, const char *output, const tsr_token_shard_report *r) {
    tsr_token_file *file = NULL;
    tsr_token_item item;
    char key[128] = "", clean[128];
    if (!tool_is_stream(output) && !tsr_token_file_open(t->ctx, &file, output) &&
        !tsr_token_file_item(file, r->equal_second, &item))
        snprintf(key, sizeof key, " ('%.100s')", item.key);
    tsr_token_file_close(&file);
    char items[32];
    tool_warn(t, "%s: %s with the key of one before; first item %" PRIu64 ", as item %" PRIu64 "%s",
              output, tool_count(r->equal_keys, "item", items), r->equal_second, r->equal_first,
              tool_clean(key, clean, sizeof clean));
}

static int finish(tool *t, const merge_options *o, const shard_list *inputs, tsr_status status,
                  token_damage *damage, const tsr_token_shard_report *r) {
    char items[32], tokens[32], files[32];
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_array(&j, "inputs");
        for (size_t i = 0; i < inputs->count; ++i)
            json_text(&j, NULL, inputs->at[i]);
        json_end(&j, ']');
        json_text(&j, "output", o->output);
        json_uint(&j, "items", r->items);
        json_uint(&j, "tokens", r->tokens);
        json_uint(&j, "equal_keys", r->equal_keys);
        json_uint(&j, "dropped_attributes", r->dropped);
        json_uint(&j, "damaged_files", r->damaged);
        token_damage_json(damage, &j, r->recovered != 0);
        json_close(&j);
    } else if (r->files && !tool_is_stream(o->output)) {
        tool_say(t, "%s: %s, %s from %s", o->output, tool_count(r->items, "item", items),
                 tool_count(r->tokens, "token", tokens), tool_count(inputs->count, "file", files));
    }
    if (r->equal_keys) say_equal(t, o->output, r);
    if (r->dropped)
        tool_warn(t, "%s: %s of files with another value in a file before: the first was kept",
                  o->output, tool_count(r->dropped, "attribute", items));
    if (status)
        tool_warn(t, "%" PRIu64 " of %s cut or damaged; %s written", r->damaged,
                  tool_count(inputs->count, "file", files), tool_count(r->items, "item", items));
    return tool_exit_code(status);
}

static int merge_files(tool *t, const merge_options *o, const shard_list *inputs) {
    token_damage damage;
    tsr_token_shard_report report;
    token_damage_open(&damage, t);
    const tsr_token_shard_settings settings = {.key_index = o->key_index,
                                               .damaged = token_damage_add,
                                               .damaged_user = &damage,
                                               .progress = tool_progress,
                                               .progress_user = t};
    const tsr_status s = tsr_token_file_merge(t->ctx, (const char *const *)inputs->at,
                                              (int)inputs->count, o->output, &settings, &report);
    tool_progress_clear(t);
    const int code =
        s && s != TSR_ERROR_DAMAGED ? tool_fail(t, s) : finish(t, o, inputs, s, &damage, &report);
    token_damage_close(&damage);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    merge_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT.tess is missing");
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    shard_list inputs = {0};
    for (int i = 0; i < operands && code < 0; ++i)
        code = shard_list_add(&t, &inputs, argv[i]);
    for (size_t i = 0; i < inputs.count && code < 0; ++i)
        code = tool_not_input(v, o.output, inputs.at[i]);
    if (code < 0) code = merge_files(&t, &o, &inputs);
    shard_list_free(&inputs);
    tool_close(&t);
    return code;
}

const verb verb_merge = {
    .name = "merge",
    .summary = "make one token file of several",
    .usage = "tessera merge FILE.tess|DIR... -o OUT.tess [--key-index] [-f] [--json]",
    .about =
        "Writes the items of all files, one file after the other and numbered anew, into one file. "
        "A "
        "folder stands for its shards (*.tess) in the order of their names. No model is needed, "
        "and "
        "memory does not grow with the number of items. All files must have been made by the same "
        "tokenizer in the same way: where a field of their headers differs, nothing is written, "
        "and "
        "file and field are named. Items keep their attributes; the file gets those of all files, "
        "and "
        "where two files have different values of one name, that of the first, which is said. "
        "Equal "
        "keys are kept and said. Of a damaged file every whole item is written.",
    .exits = "1 when a file is cut or damaged; what is whole was written",
    .examples = "# two files\n"
                "tessera merge monday.tess tuesday.tess -o week.tess\n"
                "# the shards of a folder, with an index to find items by their key\n"
                "tessera merge shards/ -o all.tess --key-index\n"
                "tessera info all.tess --key beach.jpg",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "FILE.tess",
    .run = run,
};
