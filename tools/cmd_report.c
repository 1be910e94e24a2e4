/* SPDX-License-Identifier: MIT */
/* cmd_report.c: a folder of pictures to a report: tokenizers, anchors and what exists already,
 * measured, with a page for people. */
#include "report_page.h"
#include "report_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct report_options {
    common_options common;
    measure_choices measure;
    content_choices content;
    const char *output;
    uint32_t pictures, side;
    int no_pictures;
} report_options;

#define AT(field) offsetof(report_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "DIR", NULL,
     "the folder of the report, made if missing; one that an earlier run began goes on", NULL, 0,
     0},
#include "measure_options.def"
#include "eval_content.def"
    {"no-pictures", 0, OPTION_FLAG, AT(no_pictures), NULL, NULL,
     "keep no decoded pictures, and show none on the page", NULL, 0, 0},
    {"pictures", 0, OPTION_UINT, AT(pictures), "N", "12", "pictures on the page, the worst of all",
     NULL, 0, 10000},
    {"side", 0, OPTION_UINT, AT(side), "PIXELS", "512",
     "longest side of a picture on the page; larger ones are shrunk there", NULL, 16, 16384},
};

/* A folder of ours has candidates/; another must be empty. */
static int check_folder(tool *t, const char *folder) {
    char path[4200];
    struct stat st;
    DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT) return -1;
    if (!dir) return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", folder, strerror(errno));
    bool empty = true;
    for (struct dirent *e; (e = readdir(dir));)
        empty = empty && (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."));
    closedir(dir);
    snprintf(path, sizeof path, "%s/candidates", folder);
    if (empty || !stat(path, &st)) return -1;
    return tool_fail_text(t, TSR_ERROR_EXISTS,
                          "%s: wanted an empty folder or one of a report, got other files", folder);
}

static void print_json(tool *t, const char *folder) {
    json_out j;
    char path[4200];
    tool_json(t, &j);
    json_text(&j, "output", folder);
    snprintf(path, sizeof path, "%s/report.json", folder);
    json_text(&j, "report", path);
    snprintf(path, sizeof path, "%s/index.html", folder);
    json_text(&j, "page", path);
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_close(&j);
}

static int run_report(tool *t, const report_options *o, measure_meaning *m, int operands,
                      char **argv, const char *const *command, int command_count) {
    char path[4200];
    int failed = EXIT_DONE;
    content content = {0};
    int code = measure_locate(t, m);
    if (code < 0) code = check_folder(t, o->output);
    if (code < 0) code = content_open(t, &o->content, &m->settings, &content);
    if (content_wanted(&o->content)) m->settings.at = TSR_AT_ORIGINAL; /* marks are in its pixels */
    const report_order order = {.originals = argv[0],
                                .folder = o->output,
                                .paths = (const char *const *)argv + 1,
                                .path_count = operands - 1,
                                .pictures = !o->no_pictures,
                                .force = o->common.force,
                                .meaning = m,
                                .content = content_wanted(&o->content) ? &content : NULL,
                                .command = command,
                                .command_count = command_count};
    if (code < 0) code = report_run(t, &order, &failed);
    if (content.problems && failed == EXIT_DONE) failed = EXIT_NEGATIVE;
    content_close(&content);
    const report_page_settings page = {.pictures = o->no_pictures ? 0 : o->pictures,
                                       .side = o->side};
    snprintf(path, sizeof path, "%s/report.json", o->output);
    if (code < 0) code = report_page_write(t, path, o->output, &page);
    tool_progress_clear(t);
    if (code < 0 && !t->o->quiet && !t->o->json) code = report_page_content(t, path);
    measure_say_cache(t, m);
    if (code >= 0) return code;
    if (t->o->json)
        print_json(t, o->output);
    else
        tool_say(t, "%s/index.html", o->output);
    return failed;
}

static int run(const verb *v, int argc, char **argv) {
    report_options o = {.pictures = REPORT_PICTURES, .side = REPORT_SIDE};
    measure_meaning m = {0};
    int operands;
    const char *command[256] = {"tessera", "report"}; /* args_parse moves what it reads */
    int command_count = 2;
    for (int i = 0; i < argc && command_count < 256; ++i)
        command[command_count++] = argv[i];
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    code = measure_read(v, &o.measure, &o.common, &m);
    m.content = &o.content;
    if (code < 0) code = content_check(v, &o.content);
    if (code < 0 && operands < 1) code = args_wrong(v, "ORIGINALS is missing");
    if (code < 0 && !o.output) code = args_wrong(v, "-o DIR is missing");
    /* Pieces of an interrupted run are replaced; what is finished is guarded by what made it. */
    o.common.replace = 1;
    tool t;
    if (code < 0 && (code = tool_open(&t, v, &o.common)) < 0) {
        /* Pieces of an interrupted run are replaced; finished ones are guarded by what made them.
         */
        code = run_report(&t, &o, &m, operands, argv, command, command_count);
        tool_close(&t);
    }
    measure_free(&m);
    return code;
}

const verb verb_report = {
    .name = "report",
    .summary = "encode, decode and measure a folder of pictures, with a page that shows it",
    .usage = "tessera report ORIGINALS [CANDIDATE...] -o DIR [-t MODEL...] [-k LIST]\n"
             "               [--metrics LIST] [--anchor LIST] [--weights METRIC=PATH...]\n"
             "               [--at fitted|original] [--no-pictures] [--json]\n"
             "               [--text FILE --reader READER] [--faces FILE --embedder EMBEDDER]",
    .about =
        "Encodes ORIGINALS (as in 'tessera eval') with each tokenizer and number of ids, decodes, "
        "measures, adds anchors and whatever CANDIDATE exists already (pictures, folders, token "
        "files), and writes DIR/index.html, report.json, report.csv (a line a candidate) and "
        "pictures.csv (a line a picture). Without -t and CANDIDATE the bundled tokenizer is "
        "measured.\n\n"
        "Each finished candidate stays in DIR/candidates/ with a text of everything that its "
        "numbers depend on. A run that was interrupted goes on with the first unfinished one when "
        "the same command is given again, and more candidates can be added to a report in this "
        "way. Finished candidates of other pictures, weights or settings are refused unless -f "
        "says that they shall be made anew; a folder with other files is always refused. Every "
        "candidate carries the command that makes its row again.",
    .exits = "1 when pictures could not be encoded or compared",
    .examples =
        "# the bundled tokenizer at several numbers of ids, beside AVIF and small pictures\n"
        "tessera report photos/ -k 16,32,64,128,256 --anchor avif,resize -o report/\n"
        "# two tokenizers, and pictures that another program decoded\n"
        "tessera report photos/ decoded/ -t titok-l32 -t flextok-d18 -o report/",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "ORIGINALS",
    .run = run,
};
