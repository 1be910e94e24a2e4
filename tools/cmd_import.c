/* SPDX-License-Identifier: MIT */
/* cmd_import.c: data sets of other tools as a token file. */
#include <tessera/datasets.h>
#include "column_names.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURES_LISTED = 10000 };

typedef struct import_options {
    common_options common;
    const char *output, *from, *tokenizer, *like, *name, *vocabulary;
    text_list columns;
    uint32_t codebook_size, rows, columns_of_tile, tile_width, tile_height;
    int on_error;
} import_options;

static const option options[] = {
    {"output", 'o', OPTION_TEXT, offsetof(import_options, output), "OUT.tess", NULL,
     "where to write; '-' is stdout", NULL, 0, 0},
    {"from", 0, OPTION_TEXT, offsetof(import_options, from), "FORMAT", NULL,
     "npy, npz, webdataset, jsonl, megatron, mds, datatrove, safetensors, llamagen, llamagen-t2i, "
     "titok-jsonl or liquid",
     "npy|npz|webdataset|jsonl|megatron|mds|datatrove|safetensors|llamagen|llamagen-t2i|titok-"
     "jsonl|"
     "liquid",
     0, 0},
    {"model", 't', OPTION_MODEL, offsetof(import_options, tokenizer), "MODEL", NULL,
     "the tokenizer that made the ids: a weights file, a folder or a published name; the file can "
     "then "
     "be decoded with it",
     NULL, 0, 0},
    {"like", 0, OPTION_TEXT, offsetof(import_options, like), "FILE.tess", NULL,
     "take tokenizer, codebook and geometry of this token file", NULL, 0, 0},
    {"codebook-size", 'k', OPTION_UINT, offsetof(import_options, codebook_size), "N", NULL,
     "every id is below; needed without --model and --like", NULL, 1, 4294967295.0},
    {"rows", 0, OPTION_UINT, offsetof(import_options, rows), "N", "by the data",
     "rows of the grid of a tile", NULL, 1, 1u << 20},
    {"columns", 0, OPTION_UINT, offsetof(import_options, columns_of_tile), "N", "by the data",
     "columns of the grid of a tile; without --rows the longest sequence", NULL, 1, 1u << 20},
    {"tile-width", 0, OPTION_UINT, offsetof(import_options, tile_width), "N", "256",
     "pixels of a tile's width", NULL, 1, 65536},
    {"tile-height", 0, OPTION_UINT, offsetof(import_options, tile_height), "N", "256",
     "pixels of a tile's height", NULL, 1, 65536},
    {"name", 0, OPTION_TEXT, offsetof(import_options, name), "NAME", "imported",
     "name of the tokenizer, where neither --model nor --like says it", NULL, 0, 0},
    {"vocabulary", 0, OPTION_TEXT, offsetof(import_options, vocabulary), "MAP.json",
     "ids are codes",
     "the map by which 'export --vocabulary' put codes into the ids of a language model; it is "
     "undone, and an id that it does not put there is a bad item",
     NULL, 0, 0},
    {"column", 0, OPTION_TEXTS, offsetof(import_options, columns), "KIND=NAME", "the format's own",
     "the column (member, suffix) of ids, key, label, caption or shape is called so; may be given "
     "several times",
     NULL, 0, 0},
    {"on-error", 0, OPTION_CHOICE, offsetof(import_options, on_error), "WHAT", "skip",
     "a bad item is told and left out, or ends the import", "skip|stop", 0, 0},
};

/* The bad items that were met: a line each, and with --json a list. */
typedef struct failures {
    tool *t;
    uint64_t count;
    FILE *file;
    json_out list;
    char *text;
    size_t size;
} failures;

static void on_failure(void *user, const tsr_import_failure *failure) {
    failures *f = user;
    char clean[900];
    if (++f->count > FAILURES_LISTED) return;
    tool_warn(f->t, "left out: %s: %s", tsr_status_text(failure->status),
              tool_clean(failure->detail, clean, sizeof clean));
    if (!f->file) return;
    json_object(&f->list, NULL);
    json_text(&f->list, "input", failure->input);
    json_uint(&f->list, "record", failure->record);
    json_text(&f->list, "status", tsr_status_name(failure->status));
    json_text(&f->list, "detail", failure->detail);
    json_end(&f->list, '}');
}

static void failures_open(failures *f, tool *t) {
    *f = (failures){.t = t};
    if (t->o->json) f->file = open_memstream(&f->text, &f->size);
    if (!f->file) return;
    f->list = (json_out){.file = f->file};
    fputc('[', f->file);
}

/* Ends the list; NULL without one. */
static const char *failures_list(failures *f) {
    if (!f->file) return NULL;
    fputs(f->list.filled[0] ? "\n  ]" : "]", f->file);
    const bool failed = fclose(f->file) != 0;
    f->file = NULL;
    return failed ? NULL : f->text;
}

/* The end of an import that did something, if not all. */
static int finish(tool *t, const import_options *o, tsr_status status, failures *f,
                  const tsr_import_report *report) {
    char items[32], tokens[32];
    tool_count(report->items, "item", items);
    tool_count(report->tokens, "token", tokens);
    if (t->o->json) {
        json_out j;
        const char *list = failures_list(f);
        tool_json(t, &j);
        json_text(&j, "output", o->output);
        json_text(&j, "format", o->from);
        json_uint(&j, "items", report->items);
        json_uint(&j, "tokens", report->tokens);
        json_uint(&j, "rows", report->rows);
        json_uint(&j, "columns", report->columns);
        json_uint(&j, "failed", report->failed);
        json_raw(&j, "failures", list ? list : "[]");
        json_close(&j);
    } else if (!tool_is_stream(o->output)) {
        tool_say(t, "%s: %s, %s", o->output, items, tokens);
    }
    if (status) tool_warn(t, "%s written, %" PRIu64 " left out", items, report->failed);
    return tool_exit_code(status);
}

/* The header of a tokenizer or of a token file, where one is named. */
static tsr_status find_header(tool *t, const import_options *o, tsr_token_header *header,
                              bool *found) {
    tsr_status s = TSR_OK;
    *found = o->tokenizer || o->like;
    if (o->like) {
        tsr_token_file *file = NULL;
        s = tsr_token_file_open(t->ctx, &file, o->like);
        if (!s) *header = *tsr_token_file_header(file);
        tsr_token_file_close(&file);
    } else if (o->tokenizer) {
        tsr_model_settings model = tsr_model_settings_default();
        tsr_tokenizer *tokenizer = NULL;
        model.model = o->tokenizer;
        model.device = "cpu";
        s = tsr_tokenizer_open(t->ctx, &tokenizer, &model);
        if (!s) *header = *tsr_tokenizer_header(tokenizer);
        tsr_tokenizer_close(&tokenizer);
    }
    return s;
}

static int check_options(const verb *v, const import_options *o) {
    const bool header = o->tokenizer || o->like;
    const bool numbers = o->codebook_size || o->rows || o->columns_of_tile || o->tile_width ||
                         o->tile_height || o->name;
    if (!o->output) return args_wrong(v, "-o OUT.tess is missing");
    if (!o->from) return args_wrong(v, "--from FORMAT is missing");
    if (o->tokenizer && o->like) return args_wrong(v, "--model and --like exclude each other");
    if (header && numbers)
        return args_wrong(v, "%s says the codebook size, geometry and name already",
                          o->like ? "--like" : "--model");
    if (!header && !o->codebook_size)
        return args_wrong(v, "--model MODEL, --like FILE.tess or --codebook-size N is missing");
    if (o->rows && !o->columns_of_tile)
        return args_wrong(v, "--columns N is missing beside --rows");
    return -1;
}

static int run(const verb *v, int argc, char **argv) {
    import_options o = {0};
    tsr_dataset_names columns = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if ((code = check_options(v, &o)) >= 0) return code;
    if ((code = column_names(v, &o.columns, &columns)) >= 0) return code;
    for (int i = 0; i < operands; ++i)
        if ((code = tool_not_input(v, o.output, argv[i])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    failures f;
    failures_open(&f, &t);
    tsr_token_header header;
    bool found;
    tsr_status s = find_header(&t, &o, &header, &found);
    const tsr_import_settings settings = {.format = o.from,
                                          .header = found ? &header : NULL,
                                          .tokenizer = o.name,
                                          .codebook_size = o.codebook_size,
                                          .rows = o.rows,
                                          .columns = o.columns_of_tile,
                                          .tile_width = o.tile_width,
                                          .tile_height = o.tile_height,
                                          .vocabulary = o.vocabulary,
                                          .names = columns,
                                          .stop_on_error = o.on_error == 1,
                                          .failed = on_failure,
                                          .failed_user = &f,
                                          .progress = tool_progress,
                                          .progress_user = &t};
    tsr_import_report report = {0};
    if (!s)
        s = tsr_import(t.ctx, (const char *const *)argv, operands, o.output, &settings, &report);
    tool_progress_clear(&t);
    code = s && s != TSR_ERROR_DAMAGED ? tool_fail(&t, s) : finish(&t, &o, s, &f, &report);
    failures_list(&f);
    free(f.text);
    tool_close(&t);
    return code;
}

const verb verb_import = {
    .name = "import",
    .summary = "ids that other tools have written as a token file",
    .usage = "tessera import IN... -o OUT.tess --from FORMAT --model MODEL [--on-error stop]\n"
             "tessera import IN... -o OUT.tess --from FORMAT --like FILE.tess\n"
             "tessera import IN... -o OUT.tess --from FORMAT -k N [--rows N] [--columns N]",
    .about = "Reads data sets of ids (files, or folders of them) into one token file. Which "
             "tokenizer made the "
             "ids is not in any of the formats: --model or --like says it, or else the size of "
             "the codebook "
             "in numbers, when the file can be looked into and exported but not decoded. Labels, "
             "captions and "
             "other texts and whole numbers become attributes. An id is a whole number below the "
             "codebook size, "
             "or an error: none is rounded, wrapped or taken from a float. A bad line, sample or "
             "file gets a "
             "line and is left out; in formats of typed arrays one bad id makes the data set bad. "
             "Nothing is "
             "executed (pickles are refused), and no name becomes a path.",
    .exits = "1 when items were left out; the others were written",
    .examples = "# codes of LlamaGen, with its tokenizer\n"
                "tessera import imagenet256_codes -o codes.tess --from llamagen -t "
                "vq_ds16_c2i.safetensors\n"
                "# JSON lines of a codebook of 4096\n"
                "tessera import tokens.jsonl -o tokens.tess --from jsonl -k 4096 --columns 32\n"
                "# arrays of ids, grids of 16 x 16\n"
                "tessera import arrays/ -o arrays.tess --from npy -k 16384 --rows 16 --columns 16",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "IN",
    .run = run,
};
