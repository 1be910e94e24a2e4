/* SPDX-License-Identifier: MIT */
/* cmd_show.c: the page of a report that was measured already. */
#include "plot_file.h"
#include "report_page.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

typedef struct show_options {
    common_options common;
    const char *output, *plot;
    int over;
    report_page_settings page;
} show_options;

#define AT(field) offsetof(show_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "DIR", "the report's folder",
     "the folder that index.html goes to; made if missing. With --plot the file of the plot, .svg "
     "or a picture",
     NULL, 0, 0},
    {"plot", 0, OPTION_TEXT, AT(plot), "NUMBER", NULL,
     "write one plot instead of the page: a metric of the report, t_acc, t_ned or f_sim", NULL, 0,
     0},
    {"over", 0, OPTION_CHOICE, AT(over), "AXIS", "bits",
     "x axis of the plot: bits per pixel, tokens a picture, or size (pixels per character, of a "
     "face)",
     "bits|tokens|size", 0, 0},
    {"pictures", 0, OPTION_UINT, AT(page.pictures), "N", "12",
     "how many pictures are in the page, the worst ones; 0 for none", NULL, 0, 100000},
    {"side", 0, OPTION_UINT, AT(page.side), "PIXELS", "512",
     "longest side of a picture in the page; larger ones are shrunk", NULL, 64, 8192},
};

/* What is written: path of index.html and its folder, or the plot. */
typedef struct show_paths {
    char json[4200], folder[4200], output[4300];
} show_paths;

static void find_paths(const show_options *o, const char *from, show_paths *p) {
    struct stat info;
    const bool in_folder = stat(from, &info) == 0 && S_ISDIR(info.st_mode);
    const char *slash = strrchr(from, '/');
    snprintf(p->json, sizeof p->json, "%s%s", from, in_folder ? "/report.json" : "");
    if (o->output)
        snprintf(p->folder, sizeof p->folder, "%s", o->output);
    else if (in_folder)
        snprintf(p->folder, sizeof p->folder, "%s", from);
    else
        snprintf(p->folder, sizeof p->folder, "%.*s", slash ? (int)(slash - from) : 1,
                 slash ? from : ".");
    if (!*p->folder) snprintf(p->folder, sizeof p->folder, "/");
    if (o->plot)
        snprintf(p->output, sizeof p->output, "%s", o->output);
    else
        snprintf(p->output, sizeof p->output, "%s/index.html", p->folder);
}

static int write_output(tool *t, const show_options *o, const show_paths *p) {
    if (o->plot && plot_file_missing(p->output))
        return tool_fail_text(t, TSR_ERROR_UNSUPPORTED, "%s: %s; a plot is also written as .svg",
                              p->output, plot_file_missing(p->output));
    if (o->plot) return report_page_plot(t, p->json, o->plot, (report_plot_over)o->over, p->output);
    if (o->output && mkdir(p->folder, 0777) != 0 && errno != EEXIST)
        return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", p->folder, strerror(errno));
    return report_page_write(t, p->json, p->folder, &o->page);
}

static void say(tool *t, const show_paths *p) {
    struct stat info;
    const uint64_t bytes = stat(p->output, &info) == 0 ? (uint64_t)info.st_size : 0;
    char size[32];
    json_out j;
    if (!t->o->json) {
        tool_say(t, "%s: %s, %.2f s", p->output, tool_bytes(bytes, size, sizeof size),
                 tool_seconds() - t->started);
        return;
    }
    tool_json(t, &j);
    json_text(&j, "report", p->json);
    json_text(&j, "output", p->output);
    json_uint(&j, "bytes", bytes);
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_close(&j);
}

static int run(const verb *v, int argc, char **argv) {
    show_options o = {.page = {REPORT_PICTURES, REPORT_SIDE}};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (o.plot && !o.output)
        return args_wrong(v, "--plot: wanted -o FILE.svg (or .png) with it, got none");
    if (o.over && !o.plot) return args_wrong(v, "--over: wanted --plot with it, got none");
    show_paths p;
    find_paths(&o, argv[0], &p);
    if ((code = tool_output(v, &o.common, p.output)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    code = write_output(&t, &o, &p);
    if (code < 0) {
        code = EXIT_DONE;
        say(&t, &p);
    }
    tool_close(&t);
    return code;
}

const verb verb_show = {
    .name = "show",
    .summary = "the page of a report: report.json to index.html",
    .usage = "tessera show REPORT [-o DIR] [--pictures N] [--side PIXELS] [-f] [--json]\n"
             "tessera show REPORT --plot NUMBER [--over bits|tokens|size] -o PLOT.svg",
    .about =
        "Draws the page of a report that was measured already. REPORT is report.json, or the "
        "folder with it. The page is one HTML file that loads nothing else: the table of "
        "candidates, quality over rate with 95 % intervals, text and faces by size, use of the "
        "codebook, the worst pictures beside their originals with maps of the error, and the "
        "protocol with every hash and command. It is light or dark as the system is, can be "
        "printed, and can be read without a mouse and without scripts. --plot writes one of its "
        "plots "
        "as a file of its own, SVG or a picture, with all candidates on the same axes.",
    .examples = "# again, with more pictures\n"
                "tessera show report/ --pictures 40 -f\n"
                "# numbers and plots alone\n"
                "tessera show report/report.json -o page/ --pictures 0\n"
                "# how much text stays readable at which rate, as a plot for a paper\n"
                "tessera show report/ --plot t_acc -o reading.svg",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "REPORT",
    .run = run,
};
