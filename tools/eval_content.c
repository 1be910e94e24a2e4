/* SPDX-License-Identifier: MIT */
/* eval_content.c: text and faces of pictures that are measured. */
#include "eval_content.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

bool content_wanted(const content_choices *c) {
    return c->text || c->faces;
}

int content_check(const verb *v, const content_choices *c) {
    if (c->text && !c->reader)
        return args_wrong(v,
                          "--text: wanted --reader parseq:WEIGHTS or tesseract[:LANG], got none");
    if (c->reader && !c->text) return args_wrong(v, "--reader: wanted --text with it, got none");
    if (c->faces && !c->embedder)
        return args_wrong(v, "--faces: wanted --embedder arcface:WEIGHTS or mobilefacenet:WEIGHTS, "
                             "got none");
    if (c->embedder && !c->faces)
        return args_wrong(v, "--embedder: wanted --faces with it, got none");
    if (c->ignore_case && !c->text)
        return args_wrong(v, "--ignore-case: wanted --text with it, got none");
    return -1;
}

/* tsr_annotation_problem_fn */
typedef struct problem_list {
    tool *t;
    uint64_t *count;
} problem_list;

static void say_problem(void *user, const char *line) {
    const problem_list *p = user;
    char clean[2048];
    ++*p->count;
    tool_progress_clear(p->t);
    tool_warn(p->t, "%s", tool_clean(line, clean, sizeof clean));
}

int content_open_marks(tool *t, const char *path, tsr_annotation_kind kind, uint64_t *problems,
                       tsr_annotations **marks) {
    problem_list p = {t, problems};
    const tsr_status status = tsr_annotations_open(t->ctx, path, kind, say_problem, &p, marks);
    return status ? tool_fail(t, status) : -1;
}

/* "KIND:NAME" with the path that NAME means; the caller frees *text. Kinds without weights stay.
 * Returns -1, or the exit code. */
static int locate(tool *t, const char *given, char **text) {
    const char *colon = strchr(given, ':'), *path = NULL;
    *text = NULL;
    if (colon && strncmp(given, "tesseract", 9)) {
        const int code = tool_locate(t, colon + 1, &path);
        if (code >= 0) return code;
    }
    const size_t kind = colon ? (size_t)(colon - given) + 1 : 0;
    const size_t size = strlen(given) + (path ? strlen(path) : 0) + 1;
    *text = malloc(size);
    if (!*text) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for a name");
    snprintf(*text, size, "%.*s%s", path ? (int)kind : 0, given, path ? path : given);
    return -1;
}

static tsr_model_settings settings_of(const tool *t) {
    tsr_model_settings s = tsr_model_settings_default();
    s.device = t->o->device;
    s.mask = t->o->mask;
    s.precision = (tsr_precision)t->o->precision;
    return s;
}

int content_open_reader(tool *t, const char *given, tsr_reader **reader) {
    const tsr_model_settings s = settings_of(t);
    char *text = NULL;
    int code = locate(t, given, &text);
    if (code < 0) {
        const tsr_status status = tsr_reader_open(t->ctx, text, &s, reader);
        if (status) code = tool_fail(t, status);
    }
    free(text);
    return code;
}

int content_open_embedder(tool *t, const char *given, tsr_embedder **embedder) {
    const tsr_model_settings s = settings_of(t);
    char *text = NULL;
    int code = locate(t, given, &text);
    if (code < 0) {
        const tsr_status status = tsr_embedder_open(t->ctx, text, &s, embedder);
        if (status) code = tool_fail(t, status);
    }
    free(text);
    if (code < 0)
        tool_say(t, "weights of %s: licence %s", tsr_embedder_name(*embedder),
                 tsr_embedder_licence(*embedder));
    return code;
}

int content_open(tool *t, const content_choices *choices, const tsr_measure_settings *settings,
                 content *c) {
    int code = -1;
    *c = (content){
        .t = t, .choices = choices, .seed = settings->seed, .resamples = settings->resamples};
    if (choices->text) {
        code = content_open_marks(t, choices->text, TSR_ANNOTATION_TEXT, &c->problems, &c->words);
        if (code < 0) code = content_open_reader(t, choices->reader, &c->reader);
    }
    if (code < 0 && choices->faces) {
        code = content_open_marks(t, choices->faces, TSR_ANNOTATION_FACES, &c->problems, &c->faces);
        if (code < 0) code = content_open_embedder(t, choices->embedder, &c->embedder);
    }
    return code;
}

void content_close(content *c) {
    tsr_text_eval_close(&c->text_eval);
    tsr_face_eval_close(&c->face_eval);
    tsr_reader_close(&c->reader);
    tsr_embedder_close(&c->embedder);
    tsr_annotations_close(&c->words);
    tsr_annotations_close(&c->faces);
    content_spread_clear(&c->word_spread);
    content_spread_clear(&c->face_spread);
    if (c->people) fclose(c->people);
    free(c->shown);
    c->people = NULL;
    c->shown = NULL;
}

/* ---- a candidate ---- */

static void say_left_out(void *user, const char *line) {
    content *c = user;
    problem_list p = {c->t, &c->problems};
    say_problem(&p, line);
}

tsr_status content_begin(content *c) {
    const tsr_text_eval_settings text = {.ignore_case = c->choices->ignore_case,
                                         .row = content_spread_text,
                                         .row_user = &c->word_spread,
                                         .problem = say_left_out,
                                         .problem_user = c};
    const tsr_face_eval_settings faces = {.row = content_spread_face, .row_user = &c->face_spread};
    content_spread_clear(&c->word_spread);
    content_spread_clear(&c->face_spread);
    tsr_status status = TSR_OK;
    tsr_text_eval_close(&c->text_eval);
    tsr_face_eval_close(&c->face_eval);
    c->status = TSR_OK;
    if (c->words) status = tsr_text_eval_open(c->t->ctx, c->words, c->reader, &text, &c->text_eval);
    if (!status && c->faces)
        status = tsr_face_eval_open(c->t->ctx, c->faces, c->embedder, &faces, &c->face_eval);
    return status;
}

int content_pair(void *user, uint64_t index, const char *name, const uint8_t *original,
                 const uint8_t *candidate, int width, int height) {
    content *c = user;
    const tsr_picture a = {.rgb = original, .width = width, .height = height};
    const tsr_picture b = {.rgb = candidate, .width = width, .height = height};
    (void)index;
    if (c->text_eval) c->status = tsr_text_eval_picture(c->text_eval, name, &b);
    if (!c->status && c->face_eval) c->status = tsr_face_eval_pair(c->face_eval, name, &a, &b);
    return c->status != TSR_OK;
}

/* ---- what was found ---- */

/* A bin's edges; the last is open. */
static void json_edges(json_out *j, const tsr_size_bins *b, int i) {
    json_real(j, "low", b->edges[i]);
    if (b->edges[i + 1] < 1e9)
        json_real(j, "high", b->edges[i + 1]);
    else
        json_null(j, "high");
}

/* What a number of a bin is called, in JSON and in the table, and how it is shown there. */
typedef struct bin_column {
    const char *key;
    const tsr_bin_means *means;
    double scale; /* 100: percent */
    int digits;
    const content_spread *spread;
    spread_number number;
} bin_column;

/* The 95 % interval of a number in a bin or over all: unknown where there is no memory for it. */
static void interval(const content *c, const content_spread *spread, spread_number number, int cell,
                     double *low, double *high) {
    (void)content_spread_interval(c->t->ctx, spread, number, cell, c->seed, c->resamples, low,
                                  high);
}

/* "key", "key_low" and "key_high" */
static void json_number(json_out *j, const content *c, const char *key, double value,
                        const content_spread *spread, spread_number number, int cell) {
    char name[32];
    double low, high;
    interval(c, spread, number, cell, &low, &high);
    json_real(j, key, value);
    snprintf(name, sizeof name, "%s_low", key);
    json_real(j, name, low);
    snprintf(name, sizeof name, "%s_high", key);
    json_real(j, name, high);
}

/* " (90.12 to 95.00)" behind a number; nothing where there is no interval. */
static void print_interval(const content *c, const content_spread *spread, spread_number number,
                           int cell, double scale, int digits) {
    double low, high;
    interval(c, spread, number, cell, &low, &high);
    if (isnan(low)) return;
    fprintf(c->people, " (%.*f to %.*f)", digits, scale * low, digits, scale * high);
}

/* A text that grows in memory. */
typedef struct growing {
    char *text;
    size_t size;
    FILE *file;
} growing;

static bool begin_json(growing *g, json_out *j) {
    *g = (growing){0};
    g->file = open_memstream(&g->text, &g->size);
    if (g->file) json_open(j, g->file);
    return g->file != NULL;
}

/* The last member of either object, and its end: the numbers by size. */
static char *end_json(const content *c, growing *g, json_out *j, const tsr_size_bins *b,
                      const bin_column *columns, int count) {
    json_array(j, "bins");
    for (int i = 0; i < b->count; ++i) {
        json_object(j, NULL);
        json_edges(j, b, i);
        json_uint(j, "count", columns[0].means->count[i]);
        for (int k = 0; k < count; ++k)
            json_number(j, c, columns[k].key, tsr_bin_means_of(columns[k].means, i),
                        columns[k].spread, columns[k].number, i);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_close(j);
    fclose(g->file);
    return g->text;
}

/* The lines of the bins that hold anything. */
static void print_bins(const content *c, const tsr_size_bins *b, const bin_column *columns,
                       int count) {
    for (int i = 0; i < b->count; ++i) {
        const unsigned long long seen = columns[0].means->count[i];
        if (!seen) continue;
        if (b->edges[i + 1] < 1e9)
            fprintf(c->people, "  %6g to %-6g", b->edges[i], b->edges[i + 1]);
        else
            fprintf(c->people, "  %6g and more", b->edges[i]);
        fprintf(c->people, "  %9llu", seen);
        for (int k = 0; k < count; ++k) {
            const bin_column *column = &columns[k];
            fprintf(c->people, "  %6.*f", column->digits,
                    column->scale * tsr_bin_means_of(column->means, i));
            print_interval(c, column->spread, column->number, i, column->scale, column->digits);
        }
        fputc('\n', c->people);
    }
}

enum { TEXT_COLUMNS = 2, FACE_COLUMNS = 1 };

static void text_columns(const content *c, const tsr_text_result *r,
                         bin_column columns[TEXT_COLUMNS]) {
    columns[0] = (bin_column){"t_acc", &r->accuracy, 100, 2, &c->word_spread, SPREAD_FIRST};
    columns[1] = (bin_column){"t_ned", &r->similarity, 100, 2, &c->word_spread, SPREAD_SECOND};
}

static void face_columns(const content *c, const tsr_face_result *r,
                         bin_column columns[FACE_COLUMNS]) {
    columns[0] = (bin_column){"f_sim", &r->similarities, 1, 4, &c->face_spread, SPREAD_FIRST};
}

static char *text_json(const content *c, const tsr_text_result *r) {
    json_out j;
    growing g;
    bin_column columns[TEXT_COLUMNS];
    if (!begin_json(&g, &j)) return NULL;
    json_text(&j, "reader", tsr_reader_name(c->reader));
    json_text(&j, "protocol", tsr_reader_protocol(c->reader));
    json_bool(&j, "ignore_case", c->choices->ignore_case != 0);
    const double rates[] = {r->rates.accuracy, r->rates.similarity, r->rates.cer, r->rates.wer};
    static const char *const names[] = {"t_acc", "t_ned", "cer", "wer"};
    for (int i = 0; i < SPREAD_NUMBERS; ++i)
        json_number(&j, c, names[i], rates[i], &c->word_spread, (spread_number)i, SPREAD_ALL);
    json_uint(&j, "words", r->totals.texts);
    json_uint(&j, "pictures", r->pictures);
    json_uint(&j, "missing_pictures", r->missing_pictures);
    json_uint(&j, "left_out", r->left_out);
    json_uint(&j, "outside_alphabet", r->outside);
    text_columns(c, r, columns);
    return end_json(c, &g, &j, &r->bins, columns, TEXT_COLUMNS);
}

static char *faces_json(const content *c, const tsr_face_result *r) {
    json_out j;
    growing g;
    bin_column columns[FACE_COLUMNS];
    if (!begin_json(&g, &j)) return NULL;
    json_text(&j, "embedder", tsr_embedder_name(c->embedder));
    json_text(&j, "protocol", tsr_embedder_protocol(c->embedder));
    json_text(&j, "licence", tsr_embedder_licence(c->embedder));
    json_number(&j, c, "f_sim", r->similarity, &c->face_spread, SPREAD_FIRST, SPREAD_ALL);
    json_uint(&j, "count", r->faces);
    json_uint(&j, "pictures", r->pictures);
    json_uint(&j, "missing_pictures", r->missing_pictures);
    face_columns(c, r, columns);
    return end_json(c, &g, &j, &r->bins, columns, FACE_COLUMNS);
}

static void print_text(const content *c, const tsr_text_result *r) {
    bin_column columns[TEXT_COLUMNS];
    fprintf(c->people, "text: %s\n", tsr_reader_protocol(c->reader));
    fprintf(c->people,
            "  %llu words of %llu pictures: T-ACC %.2f %%, T-NED %.2f %%, CER %.4f, WER %.4f%s\n",
            (unsigned long long)r->totals.texts, (unsigned long long)r->pictures,
            100 * r->rates.accuracy, 100 * r->rates.similarity, r->rates.cer, r->rates.wer,
            c->choices->ignore_case ? ", without case" : "");
    static const char *const titles[] = {"T-ACC", "T-NED", "CER", "WER"};
    if (c->word_spread.count > 1) fputs("  95 %:", c->people);
    for (int i = 0; i < SPREAD_NUMBERS && c->word_spread.count > 1; ++i) {
        fprintf(c->people, "%s %s", i ? "," : "", titles[i]);
        print_interval(c, &c->word_spread, (spread_number)i, SPREAD_ALL, i < 2 ? 100 : 1,
                       i < 2 ? 2 : 4);
    }
    if (c->word_spread.count > 1) fputc('\n', c->people);
    if (r->outside)
        fprintf(c->people, "  %llu words have a letter that the reader lacks\n",
                (unsigned long long)r->outside);
    fprintf(c->people, "  pixels a character    words   T-ACC   T-NED\n");
    text_columns(c, r, columns);
    print_bins(c, &r->bins, columns, TEXT_COLUMNS);
}

static void print_faces(const content *c, const tsr_face_result *r) {
    bin_column columns[FACE_COLUMNS];
    fprintf(c->people, "faces: %s\n", tsr_embedder_protocol(c->embedder));
    fprintf(c->people, "  %llu faces of %llu pictures: F-Sim %.4f", (unsigned long long)r->faces,
            (unsigned long long)r->pictures, r->similarity);
    print_interval(c, &c->face_spread, SPREAD_FIRST, SPREAD_ALL, 1, 4);
    fputc('\n', c->people);
    fprintf(c->people, "  pixels of a side      faces   F-Sim\n");
    face_columns(c, r, columns);
    print_bins(c, &r->bins, columns, FACE_COLUMNS);
}

/* Ends a candidate: *text and *faces become its JSON objects, which the caller frees, or NULL. */
static tsr_status end(content *c, const char *name, char **text, char **faces) {
    *text = *faces = NULL;
    tsr_status status = c->status;
    if (!c->people) c->people = open_memstream(&c->shown, &c->shown_size);
    if (!c->people) return TSR_ERROR_MEMORY;
    char clean[512];
    fprintf(c->people, "\n%s\n", tool_clean(name, clean, sizeof clean));
    if (!status && c->text_eval) {
        tsr_text_result r;
        status = tsr_text_eval_finish(c->text_eval, &r);
        if (!status) print_text(c, &r);
        if (!status && !(*text = text_json(c, &r))) status = TSR_ERROR_MEMORY;
    }
    if (!status && c->face_eval) {
        tsr_face_result r;
        tsr_face_eval_finish(c->face_eval, &r);
        print_faces(c, &r);
        if (!(*faces = faces_json(c, &r))) status = TSR_ERROR_MEMORY;
    }
    return status;
}

tsr_status content_attach(content *c, const char *name, tsr_report *report) {
    char *text = NULL, *faces = NULL;
    const int index = tsr_report_count(report) - 1;
    tsr_status status = end(c, name, &text, &faces);
    if (!status && text) status = tsr_report_attach(report, index, "text", text);
    if (!status && faces) status = tsr_report_attach(report, index, "faces", faces);
    free(text);
    free(faces);
    return status;
}

void content_show(content *c) {
    if (!c->people) return;
    fflush(c->people);
    fwrite(c->shown, 1, c->shown_size, stdout);
}
