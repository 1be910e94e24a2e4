/* SPDX-License-Identifier: MIT */
/* report_page.c: the page around its sections; see report_page.h. */
#include "report_page.h"
#include "html_out.h"
#include "measure_options.h"
#include "out_file.h"
#include "plot_file.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern const char report_style[], report_script[]; /* page_assets.S */

/* ---- reading ---- */

/* The bytes of a file; NULL after the failure was told, with the exit code in *code. */
static char *read_all(tool *t, const char *path, size_t *size, int *code) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    char *bytes = NULL;
    *code = -1;
    if (!file || fstat(fileno(file), &info) != 0) {
        *code = tool_fail_text(t, errno == ENOENT ? TSR_ERROR_NOT_FOUND : TSR_ERROR_IO, "%s: %s",
                               path, strerror(errno));
    } else if (!S_ISREG(info.st_mode)) {
        *code = tool_fail_text(t, TSR_ERROR_ARGUMENT, "%s: wanted a file, report.json", path);
    } else if ((uint64_t)info.st_size > REPORT_MOST_BYTES) {
        *code = tool_fail_text(t, TSR_ERROR_TOO_LARGE, "%s: wanted at most %zu MiB, got %llu bytes",
                               path, REPORT_MOST_BYTES >> 20, (unsigned long long)info.st_size);
    } else if (!(bytes = malloc((size_t)info.st_size + 1))) {
        *code = tool_fail_text(t, TSR_ERROR_MEMORY, "%s: no memory for its bytes", path);
    } else {
        *size = fread(bytes, 1, (size_t)info.st_size, file);
        if (ferror(file)) *code = tool_fail_text(t, TSR_ERROR_IO, "%s: %s", path, strerror(errno));
    }
    if (file) fclose(file);
    if (*code < 0) return bytes;
    free(bytes);
    return NULL;
}

/* The folder of a file, "." for a plain name. */
static void folder_of(const char *path, char folder[4200]) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, 4200, ".");
    else if (slash == path)
        snprintf(folder, 4200, "/");
    else
        snprintf(folder, 4200, "%.*s", (int)(slash - path), path);
}

/* ---- writing ---- */

static void fact(FILE *f, const char *name, const char *value, const char *small) {
    if (!*value) return;
    fprintf(f, "<div><dt>%s</dt><dd>", name);
    html_text(f, value);
    if (*small) {
        fputs(" <small>", f);
        html_text(f, small);
        fputs("</small>", f);
    }
    fputs("</dd></div>", f);
}

static void facts(const report_part *p) {
    const report_data *r = p->r;
    FILE *f = p->file;
    char text[40], small[80];
    int kinds[3] = {0};
    for (int i = 0; i < r->candidate_count; ++i)
        kinds[r->candidates[i].kind]++;
    fputs("<section id=\"facts\" aria-label=\"Overview\"><dl class=\"facts\">", f);
    const int64_t pictures = r->originals_count >= 0 ? r->originals_count : r->picture_count;
    fact(f, "Pictures", report_whole((double)pictures, text),
         !strcmp(r->fitted, "fitted") ? "as the tokenizer saw them" : "");
    int used = snprintf(small, sizeof small, "%d of tokenizers", kinds[REPORT_TOKENIZER]);
    if (kinds[REPORT_ANCHOR])
        used += snprintf(small + used, sizeof small - (size_t)used, ", %d anchors",
                         kinds[REPORT_ANCHOR]);
    if (kinds[REPORT_FILES])
        snprintf(small + used, sizeof small - (size_t)used, ", %d of files", kinds[REPORT_FILES]);
    fact(f, "Candidates", report_whole(r->candidate_count, text), small);
    fact(f, "Metrics", report_whole(r->metric_count, text), "");
    double seconds = 0;
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_candidate *c = &r->candidates[i];
        seconds += (isnan(c->encode_seconds) ? 0 : c->encode_seconds) +
                   (isnan(c->decode_seconds) ? 0 : c->decode_seconds);
    }
    if (seconds > 0) {
        snprintf(text, sizeof text, "%.1f s", seconds);
        fact(f, "Encoding and decoding", text, "all candidates");
    }
    fact(f, "Device", r->device, "");
    fputs("</dl></section>\n", f);
}

static void link_to(FILE *f, bool there, const char *id, const char *name) {
    if (there) fprintf(f, "<a href=\"#%s\">%s</a>", id, name);
}

static void top(const report_part *p, bool pictures) {
    const report_data *r = p->r;
    FILE *f = p->file;
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
          "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src "
          "data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
          "<meta name=\"generator\" content=\"",
          f);
    html_text(f, r->program);
    fputs("\">\n<title>Report: ", f);
    html_text(f, *r->originals ? r->originals : "pictures");
    fputs("</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>\n", f);
    fputs(plot_svg_style, f);
    fputs(report_style, f);
    fputs("</style></head>\n<body><a class=\"skip\" href=\"#candidates\">Skip to the numbers</a>\n"
          "<header><div class=\"wide\"><svg class=\"mark\" viewBox=\"0 0 4 4\" "
          "aria-hidden=\"true\">",
          f);
    static const char *const tiles[] = {
        "#0b6a6a", "#2f8f8b", "#d8a24a", "#b84a00", "#2f8f8b", "#0b6a6a", "#0b6a6a", "#d8a24a",
        "#d8a24a", "#0b6a6a", "#2f8f8b", "#0b6a6a", "#b84a00", "#d8a24a", "#0b6a6a", "#2f8f8b"};
    for (int i = 0; i < 16; ++i)
        fprintf(f,
                "<rect x=\"%.2f\" y=\"%.2f\" width=\".86\" height=\".86\" rx=\".12\" "
                "fill=\"%s\"/>",
                i % 4 + 0.07, i / 4 + 0.07, tiles[i]);
    fputs("</svg><div><h1>What the tokens kept</h1><p>", f);
    html_text(f, *r->originals ? r->originals : "pictures");
    fputs(*r->created ? " \xC2\xB7 " : "", f);
    html_text(f, r->created);
    fputs(" \xC2\xB7 ", f);
    html_text(f, r->program);
    fputs("</p></div></div></header>\n<nav aria-label=\"Sections\"><div class=\"wide\"><div "
          "class=\"links\">",
          f);
    link_to(f, true, "candidates", "Candidates");
    link_to(f, report_has_rates(r), "rates", "Rates");
    link_to(f, report_has_text(r), "text", "Text");
    link_to(f, report_has_faces(r), "faces", "Faces");
    link_to(f, report_has_codes(r), "codes", "Codes");
    link_to(f, pictures, "pictures", "Pictures");
    link_to(f, true, "protocol", "Protocol");
    fputs("</div><button id=\"theme\" type=\"button\" class=\"script-only\" aria-label=\"Light or "
          "dark\">"
          "Dark</button></div></nav>\n<main class=\"wide\">\n",
          f);
}

static int write_page(tool *t, const report_data *r, const char *base,
                      const report_page_settings *settings, FILE *f) {
    report_part p = {.file = f, .r = r};
    report_looks(&p);
    top(&p, r->picture_count && settings->pictures);
    facts(&p);
    report_table(&p);
    report_rate_plots(&p);
    report_text_plots(&p);
    report_face_plots(&p);
    report_code_plots(&p);
    const int code = report_pictures(t, &p, base, settings);
    report_protocol(&p);
    fputs("</main><footer><div class=\"wide\">Written by ", f);
    html_text(f, r->program);
    fputs(". This file is complete in itself: it loads nothing. The numbers are in report.json and "
          "report.csv beside it.</div></footer>\n<script>\n",
          f);
    fputs(report_script, f);
    fputs("</script></body></html>\n", f);
    return code;
}

/* The report of a file; NULL after the failure was told, with the exit code in *code. */
static report_data *open_report(tool *t, const char *json_path, int *code) {
    char error[1200];
    size_t size = 0;
    char *bytes = read_all(t, json_path, &size, code);
    if (!bytes) return NULL;
    report_data *r = report_data_read(bytes, size, error, sizeof error);
    free(bytes);
    if (!r) *code = tool_fail_text(t, TSR_ERROR_FORMAT, "%s: %s", json_path, error);
    return r;
}

int report_page_write(tool *t, const char *json_path, const char *folder,
                      const report_page_settings *settings) {
    const report_page_settings standard = {REPORT_PICTURES, REPORT_SIDE};
    char base[4200], path[4200];
    int code;
    report_data *r = open_report(t, json_path, &code);
    if (!r) return code;
    folder_of(json_path, base);
    out_file out;
    if (snprintf(path, sizeof path, "%s/index.html", folder) >= (int)sizeof path)
        code = tool_fail_text(t, TSR_ERROR_ARGUMENT, "%s: the path is too long", folder);
    else
        code = out_file_open(t, &out, path);
    if (code < 0) {
        code = write_page(t, r, base, settings ? settings : &standard, out.file);
        const int closed = out_file_close(t, &out, code < 0);
        if (code < 0) code = closed;
    }
    report_data_free(r);
    return code;
}

int report_page_plot(tool *t, const char *json_path, const char *number, report_plot_over over,
                     const char *path) {
    int code;
    report_data *r = open_report(t, json_path, &code);
    if (!r) return code;
    report_part p = {.r = r};
    report_plot made;
    report_looks(&p);
    const char *why = report_plot_make(&p, number, over, &made);
    code = why ? tool_fail_text(t, TSR_ERROR_ARGUMENT, "--plot %s: %s", number, why)
               : plot_file_write(t, &made.plot, path);
    report_plot_free(&made);
    report_data_free(r);
    return code;
}

static void content_name(const report_candidate *c) {
    char name[64];
    printf("%-36.60s", tool_clean(c->name, name, sizeof name));
}

int report_page_content(tool *t, const char *json_path) {
    int code, texts = 0, faces = 0;
    report_data *r = open_report(t, json_path, &code);
    if (!r) return code;
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_text *x = &r->candidates[i].text;
        if (!x->known) continue;
        if (!texts++)
            printf("\ntext, read by %s\n%-36s %10s %10s %10s %10s %8s\n", x->reader, "candidate",
                   "T-ACC %", "T-NED %", "CER", "WER", "words");
        content_name(&r->candidates[i]);
        measure_cell(100 * x->t_acc.value, 2);
        measure_cell(100 * x->t_ned.value, 2);
        measure_cell(x->cer, 4);
        measure_cell(x->wer, 4);
        printf(" %8" PRId64 "\n", x->words);
    }
    for (int i = 0; i < r->candidate_count; ++i) {
        const report_faces *x = &r->candidates[i].faces;
        if (!x->known) continue;
        if (!faces++)
            printf("\nfaces, compared by %s\n%-36s %10s %10s %10s %8s\n", x->embedder, "candidate",
                   "F-Sim", "95 % from", "to", "faces");
        content_name(&r->candidates[i]);
        measure_cell(x->f_sim.value, 4);
        measure_cell(x->f_sim.low, 4);
        measure_cell(x->f_sim.high, 4);
        printf(" %8" PRId64 "\n", x->count);
    }
    report_data_free(r);
    return -1;
}
