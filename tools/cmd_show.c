/* SPDX-License-Identifier: MIT */
/* cmd_show.c: the page of a report that was measured already. */
#include "report_page.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef struct show_options {
    common_options common;
    const char *output;
    report_page_settings page;
} show_options;

#define AT(field) offsetof(show_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "DIR", "the report's folder",
     "the folder that index.html goes to; made if missing", NULL, 0, 0},
    {"pictures", 0, OPTION_UINT, AT(page.pictures), "N", "12",
     "how many pictures are in the page, the worst ones; 0 for none", NULL, 0, 100000},
    {"side", 0, OPTION_UINT, AT(page.side), "PIXELS", "512",
     "longest side of a picture in the page; larger ones are shrunk", NULL, 64, 8192},
};

static int run(const verb *v, int argc, char **argv) {
    show_options o = {.page = {REPORT_PICTURES, REPORT_SIDE}};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    char json[4200], folder[4200], page[4300];
    struct stat info;
    const char *from = argv[0];
    const bool in_folder = stat(from, &info) == 0 && S_ISDIR(info.st_mode);
    snprintf(json, sizeof json, "%s%s", from, in_folder ? "/report.json" : "");
    const char *slash = strrchr(from, '/');
    if (o.output)
        snprintf(folder, sizeof folder, "%s", o.output);
    else if (in_folder)
        snprintf(folder, sizeof folder, "%s", from);
    else
        snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - from) : 1,
                 slash ? from : ".");
    if (!*folder) snprintf(folder, sizeof folder, "/");
    snprintf(page, sizeof page, "%s/index.html", folder);
    if ((code = tool_output(v, &o.common, page)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    if (o.output && mkdir(folder, 0777) != 0 && errno != EEXIST)
        code = tool_fail_text(&t, TSR_ERROR_IO, "%s: %s", folder, strerror(errno));
    if (code < 0) code = report_page_write(&t, json, folder, &o.page);
    if (code < 0) {
        uint64_t bytes = stat(page, &info) == 0 ? (uint64_t)info.st_size : 0;
        char size[32];
        code = EXIT_DONE;
        if (o.common.json) {
            json_out j;
            tool_json(&t, &j);
            json_text(&j, "report", json);
            json_text(&j, "output", page);
            json_uint(&j, "bytes", bytes);
            json_real(&j, "total_seconds", tool_seconds() - t.started);
            json_close(&j);
        } else {
            tool_say(&t, "%s: %s, %.2f s", page, tool_bytes(bytes, size, sizeof size),
                     tool_seconds() - t.started);
        }
    }
    tool_close(&t);
    return code;
}

const verb verb_show = {
    .name = "show",
    .summary = "the page of a report: report.json to index.html",
    .usage = "tessera show REPORT [-o DIR] [--pictures N] [--side PIXELS] [-f] [--json]",
    .about =
        "Draws the page of a report that was measured already. REPORT is report.json, or the "
        "folder with it. The page is one HTML file that loads nothing else: the table of "
        "candidates, quality over rate with 95 % intervals, text and faces by size, use of the "
        "codebook, the worst pictures beside their originals with maps of the error, and the "
        "protocol with every hash and command. It is light or dark as the system is, can be "
        "printed, and can be read without a mouse and without scripts.",
    .examples = "# again, with more pictures\n"
                "tessera show report/ --pictures 40 -f\n"
                "# numbers and plots alone\n"
                "tessera show report/report.json -o page/ --pictures 0",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "REPORT",
    .run = run,
};
