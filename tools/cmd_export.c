/* SPDX-License-Identifier: MIT */
/* cmd_export.c: token files in the formats of other tools. */
#include <tessera/datasets.h>
#include "column_names.h"
#include "token_damage.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct export_options {
    common_options common;
    const char *output, *to, *dtype, *layout, *vocabulary, *name;
    text_list columns, splits;
    uint64_t shard_items, shard_bytes;
    uint32_t group;
} export_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(export_options, output), "OUT", NULL,
     "the folder to make; '-' is stdout, for jsonl and webdataset", NULL, 0, 0},
    {"to", 0, OPTION_TEXT, offsetof(export_options, to), "FORMAT", NULL,
     "npy, npz, webdataset, jsonl, megatron, mds, datatrove, safetensors, llamagen, llamagen-t2i "
     "or "
     "titok-jsonl",
     "npy|npz|webdataset|jsonl|megatron|mds|datatrove|safetensors|llamagen|llamagen-t2i|titok-"
     "jsonl",
     0, 0},
    {"dtype", 0, OPTION_TEXT, offsetof(export_options, dtype), "TYPE", "the format's choice",
     "type of the ids: u8, u16, u32, u64, i8, i16, i32 or i64; one that cannot hold every id the "
     "tokenizer has is refused before a byte is written",
     "u8|u16|u32|u64|i8|i16|i32|i64", 0, 0},
    {"layout", 0, OPTION_TEXT, offsetof(export_options, layout), "NAME", "the first",
     "npz: auto, stacked, offsets, by-key; webdataset: npy, npy-json, json; mds: auto, static, "
     "dynamic, typed; datatrove: plain, loss",
     "auto|stacked|offsets|by-key|npy|npy-json|json|static|dynamic|typed|plain|loss", 0, 0},
    {"vocabulary", 0, OPTION_TEXT, offsetof(export_options, vocabulary), "MAP.json",
     "ids as they are",
     "the ids of a language model that the codes become, with begin, end and row ids (see "
     "docs/DATASETS.md)",
     NULL, 0, 0},
    {"column", 0, OPTION_TEXTS, offsetof(export_options, columns), "KIND=NAME", "the format's own",
     "call the column (member, suffix) of ids, key, label, caption or shape so; may be given "
     "several "
     "times",
     NULL, 0, 0},
    {"split", 0, OPTION_TEXTS, offsetof(export_options, splits), "NAME=WEIGHT", "all together",
     "a folder of its own for a share of the items, by a hash of their keys; given for each part: "
     "--split train=98 --split val=2",
     NULL, 0, 0},
    {"shard-items", 0, OPTION_UINT64, offsetof(export_options, shard_items), "N",
     "the format's own", "most items of a shard", NULL, 1, 0},
    {"shard-bytes", 0, OPTION_BYTES, offsetof(export_options, shard_bytes), "SIZE",
     "the format's own", "most bytes of a shard; 64M and 2G are understood", NULL, 1, 0},
    {"group", 0, OPTION_UINT, offsetof(export_options, group), "N", "1",
     "items that belong together: sequences of a document (megatron), views of a picture "
     "(llamagen)",
     NULL, 1, 1u << 30},
    {"name", 0, OPTION_TEXT, offsetof(export_options, name), "NAME", "the tokenizer's",
     "what datatrove's metadata and llamagen's folders call the data", NULL, 0, 0},
};

/* "train=98", into the splits; their names become texts of their own. */
static int read_splits(const verb *v, const text_list *texts, tsr_export_split *splits,
                       char (*names)[64]) {
    for (int i = 0; i < texts->count; ++i) {
        const char *equals = strchr(texts->at[i], '=');
        char *end = NULL;
        const double weight = equals ? strtod(equals + 1, &end) : 0;
        const size_t n = equals ? (size_t)(equals - texts->at[i]) : 0;
        if (!n || n > 63 || !end || *end || end == equals + 1)
            return args_wrong(v, "--split: wanted NAME=WEIGHT, got '%s'", texts->at[i]);
        snprintf(names[i], 64, "%.*s", (int)n, texts->at[i]);
        splits[i] = (tsr_export_split){names[i], weight};
    }
    return -1;
}

/* The end of an export that did something, if not all. */
static int finish(tool *t, const export_options *o, tsr_status status, token_damage *damage,
                  const tsr_export_report *report) {
    char items[32], tokens[32], text[200];
    tool_count(report->items, "item", items);
    tool_count(report->tokens, "token", tokens);
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_text(&j, "output", o->output);
        json_text(&j, "format", o->to);
        json_text(&j, "layout", *report->layout ? report->layout : NULL);
        json_text(&j, "dtype", *report->dtype ? report->dtype : NULL);
        json_uint(&j, "items", report->items);
        json_uint(&j, "tokens", report->tokens);
        json_uint(&j, "changed_keys", report->changed_keys);
        token_damage_json(damage, &j, false);
        json_close(&j);
    } else if (!tool_is_stream(o->output) || strcmp(o->output, "-")) {
        tool_say(t, "%s: %s, %s%s%s", o->output, items, tokens, *report->dtype ? ", " : "",
                 report->dtype);
    }
    if (status)
        tool_warn(t, "%s; %s written", token_damage_text(damage, false, text, sizeof text), items);
    return tool_exit_code(status);
}

static int run(const verb *v, int argc, char **argv) {
    export_options o = {0};
    tsr_dataset_names columns = {0};
    tsr_export_split splits[MOST_TEXTS];
    char names[MOST_TEXTS][64];
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT is missing");
    if (!o.to) return args_wrong(v, "--to FORMAT is missing");
    if ((code = column_names(v, &o.columns, &columns)) >= 0) return code;
    if ((code = read_splits(v, &o.splits, splits, names)) >= 0) return code;
    if (args_is_stdout(o.output) && (code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    token_damage damage;
    token_damage_open(&damage, &t);
    const tsr_export_settings settings = {.format = o.to,
                                          .dtype = o.dtype,
                                          .layout = o.layout,
                                          .vocabulary = o.vocabulary,
                                          .names = columns,
                                          .name = o.name,
                                          .shard_items = o.shard_items,
                                          .shard_bytes = o.shard_bytes,
                                          .group = o.group,
                                          .splits = splits,
                                          .split_count = o.splits.count,
                                          .damaged = token_damage_add,
                                          .damaged_user = &damage,
                                          .progress = tool_progress,
                                          .progress_user = &t};
    tsr_export_report report = {0};
    const tsr_status s = tsr_export(t.ctx, (const char *const *)argv, operands,
                                    args_is_stdout(o.output) ? "-" : o.output, &settings, &report);
    tool_progress_clear(&t);
    code = s && s != TSR_ERROR_DAMAGED ? tool_fail(&t, s) : finish(&t, &o, s, &damage, &report);
    token_damage_close(&damage);
    tool_close(&t);
    return code;
}

const verb verb_export = {
    .name = "export",
    .summary = "token files as NumPy, WebDataset, JSON lines, Megatron, MDS and other data sets",
    .usage = "tessera export IN.tess|DIR... -o OUT --to FORMAT [--dtype TYPE] [--layout NAME]\n"
             "               [--vocabulary MAP.json] [--split NAME=WEIGHT]... [-f] [--json]",
    .about = "Writes the items of token files (of a folder: every .tess in it) as a data set that "
             "training "
             "code reads without Tessera. OUT is a folder that appears when it is complete; "
             "tessera.json in "
             "it says which tokenizer and weights the ids are of. Everything is looked at before "
             "the first "
             "byte is written: a type that cannot hold every id, a key that the format cannot "
             "keep, or a key "
             "that comes twice is refused. Labels, captions and other attributes go along where "
             "the format "
             "has a place for them; docs/DATASETS.md says what each keeps, byte for byte.",
    .exits = "1 when inputs are cut or damaged; what is whole was written",
    .examples = "# one .npy a picture, its key as path\n"
                "tessera export album.tess -o arrays --to npy\n"
                "# tar shards for a data loader, 1000 samples each\n"
                "tessera export shards/ -o wds --to webdataset --shard-items 1000\n"
                "# into the vocabulary of a language model, for Megatron\n"
                "tessera export shards/ -o mega --to megatron --vocabulary liquid.json\n"
                "# 2 of 100 items apart, the same ones every time\n"
                "tessera export album.tess -o lines --to jsonl --split train=98 --split val=2",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "IN.tess",
    .run = run,
};
