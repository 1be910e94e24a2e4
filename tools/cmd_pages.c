/* SPDX-License-Identifier: MIT */
/* cmd_pages.c: pages of text with the place of every word, for what reads pictures of text. */
#include "out_file.h"
#include "page_words.h"
#include "text_draw.h"

#include <tessera/media.h>

#include <stdlib.h>
#include <string.h>

enum { MOST_SIZES = 32, MOST_FONTS = 16, KINDS = 3 };

typedef struct pages_options {
    common_options common;
    const char *output, *sizes, *kinds;
    text_list fonts;
    uint32_t count, words, width, height;
    uint64_t seed;
} pages_options;

#define AT(field) offsetof(pages_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "DIR", NULL,
     "the folder; each kind of text gets a folder in it with its pages and words.tsv", NULL, 0, 0},
    {"sizes", 0, OPTION_TEXT, AT(sizes), "LIST", "8,10,12,16,20,24,32",
     "sizes of the font in pixels of an em, at most 32", NULL, 0, 0},
    {"font", 0, OPTION_TEXTS, AT(fonts), "FAMILY", "sans and serif",
     "a family as fontconfig knows it (fc-list : family); may be given several times", NULL, 0, 0},
    {"kinds", 0, OPTION_TEXT, AT(kinds), "LIST", "natural,shuffled,random",
     "kinds of text: sentences, their words in another order, their letters in another order", NULL,
     0, 0},
    {"count", 'n', OPTION_UINT, AT(count), "N", "1", "pages of each kind, font and size", NULL, 1,
     10000},
    {"words", 0, OPTION_UINT, AT(words), "N", "80",
     "words of a page, or as many as it has room for", NULL, 1, 5000},
    {"width", 0, OPTION_UINT, AT(width), "PIXELS", "512", "of a page", NULL, 64, 8192},
    {"height", 0, OPTION_UINT, AT(height), "PIXELS", "512", "of a page", NULL, 64, 8192},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "1", "another number gives other pages", NULL, 0, 0},
};

static const char *const kind_names[KINDS] = {"natural", "shuffled", "random"};

typedef struct pages {
    tool *t;
    const pages_options *o;
    double sizes[MOST_SIZES];
    int size_count;
    bool kinds[KINDS];
    uint64_t pages, words;
} pages;

/* ---- the lists ---- */

static int parse_sizes(const verb *v, const char *text, pages *p) {
    for (const char *at = text; *at;) {
        char *end;
        const double size = strtod(at, &end);
        if (end == at || !(size >= 4 && size <= 512) || (*end && *end != ',') ||
            p->size_count == MOST_SIZES)
            return args_wrong(v,
                              "--sizes: wanted up to %d numbers of 4 to 512 pixels such as "
                              "8,12.5,16, got '%s'",
                              MOST_SIZES, text);
        p->sizes[p->size_count++] = size;
        at = *end ? end + 1 : end;
    }
    return p->size_count ? -1 : args_wrong(v, "--sizes: wanted numbers, got none");
}

static int parse_kinds(const verb *v, const char *text, pages *p) {
    for (const char *at = text; *at;) {
        const size_t length = strcspn(at, ",");
        int k = 0;
        while (k < KINDS && (strlen(kind_names[k]) != length || memcmp(at, kind_names[k], length)))
            ++k;
        if (k == KINDS)
            return args_wrong(v, "--kinds: wanted natural, shuffled or random, got '%.*s'",
                              (int)length, at);
        p->kinds[k] = true;
        at += length + (at[length] == ',');
    }
    return *text ? -1 : args_wrong(v, "--kinds: wanted at least one, got none");
}

static bool is_generic(const char *family) {
    return !strcmp(family, "sans") || !strcmp(family, "serif") || !strcmp(family, "monospace");
}

/* ---- one page ---- */

typedef struct sheet_of_words {
    text_picture picture;
    text_style style;
    const page_words *words;
    double space; /* between words */
    int *line_of; /* the line of each word, -1: the page is full */
} sheet_of_words;

/* Breaks lines where the sentences would, with room for words of other letters: all kinds of a page
 * have the same lines. */
static void break_lines(sheet_of_words *s) {
    const double room = s->picture.width - 2 * s->style.size;
    const int most = (int)((s->picture.height - 2 * s->style.size) / (1.5 * s->style.size));
    double x = 0;
    int line = 0;
    for (int i = 0; i < s->words->count; ++i) {
        const double width = text_width(&s->style, s->words->at[i]);
        if (x > 0 && (x + width) * 1.12 > room) {
            x = 0;
            line++;
        }
        s->line_of[i] = line < most ? line : -1;
        x += width + s->space;
    }
}

/* Draws the words of one kind and writes the place of each; returns how many, or -1 without memory.
 */
static int draw_words(const sheet_of_words *s, const page_words *words, FILE *list,
                      const char *file) {
    static const uint8_t ink[3] = {0, 0, 0};
    int drawn = 0;
    double x = 0;
    for (int i = 0; i < words->count && s->line_of[i] >= 0; ++i) {
        if (i == 0 || s->line_of[i] != s->line_of[i - 1]) x = s->style.size;
        const double y = s->style.size * (2 + 1.5 * s->line_of[i]);
        const double width = text_width(&s->style, words->at[i]);
        text_box box;
        if (x + width + 1 > s->picture.width) continue; /* it would not be whole */
        if (!text_draw(&s->picture, &s->style, x, y, ink, words->at[i], &box)) return -1;
        x += width + s->space;
        if (box.x1 <= box.x0) continue; /* no ink: a font without these letters */
        fprintf(list, "%s\t%d,%d,%d,%d\t%s\n", file, box.x0, box.y0, box.x1, box.y1, words->at[i]);
        drawn++;
    }
    return drawn;
}

/* A page of every kind that is wanted; their lists are open. */
static int one_page(pages *p, const char *family, double size, uint32_t number,
                    FILE *lists[KINDS]) {
    const pages_options *o = p->o;
    const size_t bytes = 3 * (size_t)o->width * (size_t)o->height;
    const uint64_t seed = o->seed * 1000003 + number; /* sizes and fonts show the same text */
    page_words natural = {0}, words = {0};
    sheet_of_words s = {.picture = {malloc(bytes), (int)o->width, (int)o->height},
                        .style = {.family = family, .size = size}};
    int code = -1;
    bool good = s.picture.rgb && page_words_make(&natural, PAGE_NATURAL, seed, (int)o->words);
    s.words = &natural;
    s.line_of = good ? malloc(sizeof *s.line_of * (size_t)natural.count) : NULL;
    good = good && s.line_of;
    s.space = text_width(&s.style, "n n") - 2 * text_width(&s.style, "n");
    if (good) break_lines(&s);
    for (int k = 0; k < KINDS && good && code < 0; ++k) {
        char name[200], path[4600];
        if (!p->kinds[k]) continue;
        snprintf(name, sizeof name, "%.80s-%gpx-%03u.png", family, size, number + 1);
        for (char *c = name; *c; ++c)
            if (*c == ' ' || *c == '/' || *c == '\t') *c = '-';
        memset(s.picture.rgb, 255, bytes);
        good = page_words_make(&words, (page_kind)k, seed, (int)o->words) != 0;
        const int drawn = good ? draw_words(&s, &words, lists[k], name) : 0;
        good = good && drawn >= 0;
        free(words.at);
        if (!good) break;
        p->words += (uint64_t)drawn;
        p->pages++;
        snprintf(path, sizeof path, "%s/%s/%s", o->output, kind_names[k], name);
        const tsr_status status = tsr_picture_write_png(p->t->ctx, path, s.picture.width,
                                                        s.picture.height, s.picture.rgb);
        if (status) code = tool_fail(p->t, status);
    }
    free(s.picture.rgb);
    free(s.line_of);
    free(natural.at);
    return good || code >= 0 ? code
                             : tool_fail_text(p->t, TSR_ERROR_MEMORY, "no memory for a page");
}

/* ---- all pages ---- */

static int all_pages(pages *p, FILE *lists[KINDS]) {
    const pages_options *o = p->o;
    const uint64_t total = (uint64_t)o->fonts.count * (uint64_t)p->size_count * (uint64_t)o->count;
    uint64_t done = 0;
    for (int f = 0; f < o->fonts.count; ++f)
        for (int s = 0; s < p->size_count; ++s)
            for (uint32_t n = 0; n < o->count; ++n) {
                if (tool_progress(p->t, "drawing", done++, total))
                    return tool_fail_text(p->t, TSR_ERROR_INTERRUPTED, "%s", "");
                const int code = one_page(p, o->fonts.at[f], p->sizes[s], n, lists);
                if (code >= 0) return code;
            }
    return -1;
}

static int write_pages(pages *p) {
    const pages_options *o = p->o;
    out_file outs[KINDS] = {{0}};
    FILE *lists[KINDS] = {NULL};
    char paths[KINDS][4400];
    int code = tool_make_folders(p->t, o->output);
    for (int k = 0; k < KINDS && code < 0; ++k) {
        if (!p->kinds[k]) continue;
        snprintf(paths[k], sizeof paths[k], "%.4200s/%s", o->output, kind_names[k]);
        code = tool_make_folders(p->t, paths[k]);
        snprintf(paths[k], sizeof paths[k], "%.4200s/%s/words.tsv", o->output, kind_names[k]);
        if (code < 0) code = out_file_open(p->t, &outs[k], paths[k]);
        if (code < 0) lists[k] = outs[k].file;
    }
    if (code < 0) code = all_pages(p, lists);
    for (int k = 0; k < KINDS; ++k) {
        if (!lists[k]) continue;
        const int closed = out_file_close(p->t, &outs[k], code < 0);
        if (code < 0) code = closed;
    }
    return code;
}

static int check_outputs(const verb *v, pages_options *o, const pages *p) {
    for (int k = 0; k < KINDS; ++k) {
        char path[4400];
        snprintf(path, sizeof path, "%.4200s/%s/words.tsv", o->output, kind_names[k]);
        const int code = p->kinds[k] ? tool_output(v, &o->common, path) : -1;
        if (code >= 0) return code;
    }
    return -1;
}

static int check_fonts(tool *t, const pages_options *o) {
    const char *missing = text_draw_missing();
    if (missing) return tool_fail_text(t, TSR_ERROR_UNSUPPORTED, "%s", missing);
    for (int f = 0; f < o->fonts.count; ++f)
        if (!is_generic(o->fonts.at[f]) && !text_family_is(o->fonts.at[f]))
            return tool_fail_text(t, TSR_ERROR_NOT_FOUND,
                                  "--font: no family '%s' is installed (fc-list : family)",
                                  o->fonts.at[f]);
    return -1;
}

static void print_json(tool *t, const pages *p) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "output", p->o->output);
    json_array(&j, "kinds");
    for (int k = 0; k < KINDS; ++k)
        if (p->kinds[k]) json_text(&j, NULL, kind_names[k]);
    json_end(&j, ']');
    json_uint(&j, "pages", p->pages);
    json_uint(&j, "words", p->words);
    json_uint(&j, "seed", p->o->seed);
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_close(&j);
}

static int run(const verb *v, int argc, char **argv) {
    pages_options o = {.count = 1, .words = 80, .width = 512, .height = 512, .seed = 1};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o DIR is missing");
    tool t;
    pages p = {.t = &t, .o = &o};
    if ((code = parse_sizes(v, o.sizes ? o.sizes : "8,10,12,16,20,24,32", &p)) >= 0) return code;
    if ((code = parse_kinds(v, o.kinds ? o.kinds : "natural,shuffled,random", &p)) >= 0)
        return code;
    if (o.fonts.count > MOST_FONTS) return args_wrong(v, "--font: wanted at most %d", MOST_FONTS);
    if (!o.fonts.count) o.fonts = (text_list){{"sans", "serif"}, 2};
    if ((code = check_outputs(v, &o, &p)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    code = check_fonts(&t, &o);
    if (code < 0) code = write_pages(&p);
    if (code < 0) {
        char count[32], words[32];
        code = EXIT_DONE;
        tool_progress_clear(&t);
        if (o.common.json)
            print_json(&t, &p);
        else
            tool_say(&t, "%s: %s, %s, %.2f s", o.output, tool_count(p.pages, "page", count),
                     tool_count(p.words, "word", words), tool_seconds() - t.started);
    }
    tool_close(&t);
    return code;
}

const verb verb_pages = {
    .name = "pages",
    .summary = "pages of text with the place of every word, to measure what stays readable",
    .usage = "tessera pages -o DIR [--sizes LIST] [--font FAMILY ...] [--kinds LIST] [-n N] "
             "[--words N]\n"
             "              [--width PIXELS] [--height PIXELS] [--seed N] [-f] [--json]",
    .about =
        "Draws black text on white in chosen sizes and fonts. Beside the pages of each kind stands "
        "words.tsv: one line a word, the file, the box of its ink in pixels (x0,y0,x1,y1, the last "
        "two beyond it) and the word, with tabs between. The sentences come from a small grammar, "
        "so "
        "that no reader knows them by heart. The kinds of a page have the same lines, and words of "
        "as many letters at the same places: a reader that does better on sentences than on their "
        "shuffled words, or on their shuffled letters, guesses what it cannot see. The same seed "
        "gives the same words everywhere; pixels depend on the fonts that are installed.",
    .examples =
        "# seven sizes in two fonts, three kinds of text\n"
        "tessera pages -o pages/\n"
        "# small print alone, ten pages a size\n"
        "tessera pages -o small/ --sizes 6,7,8,9 -n 10 --font 'DejaVu Sans' --kinds natural",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 0,
    .most_operands = 0,
    .operands = "nothing",
    .run = run,
};
