/* SPDX-License-Identifier: MIT */
/* cmd_tokbench.c: the protocol of TokBench, and its table with a row of ours. */
#include "eval_content.h"

#include <tessera/media.h>
#include <tessera/tokbench.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct tokbench_options {
    common_options common;
    const char *model, *reader, *embedder, *text, *faces, *keep;
    int setting, jpeg, ignore_case, resize_only;
} tokbench_options;

#define AT(field) offsetof(tokbench_options, field)
static const option options[] = {
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer: a file, a folder or a name, as in encode", NULL, 0, 0},
    {"setting", 0, OPTION_CHOICE, AT(setting), "SIDE", "256",
     "side of the square that the tokenizer sees, in pixels", "256|512|1024", 0, 0},
    {"reader", 0, OPTION_TEXT, AT(reader), "READER", "no text",
     "what reads words: parseq:WEIGHTS (the benchmark's), or tesseract[:LANG]", NULL, 0, 0},
    {"embedder", 0, OPTION_TEXT, AT(embedder), "EMBEDDER", "no faces",
     "what compares faces: arcface:WEIGHTS (the benchmark's is an r100) or mobilefacenet:WEIGHTS",
     NULL, 0, 0},
    {"text", 0, OPTION_TEXT, AT(text), "ANNOTATIONS", "those of TokBench in DATA",
     "words of other pictures, which lie in DATA; forms as in eval --text", NULL, 0, 0},
    {"faces", 0, OPTION_TEXT, AT(faces), "ANNOTATIONS", "those of TokBench in DATA",
     "faces of other pictures, which lie in DATA; forms as in eval --faces", NULL, 0, 0},
    {"ignore-case", 0, OPTION_FLAG, AT(ignore_case), NULL, NULL,
     "compare texts in lower case, which the benchmark does not", NULL, 0, 0},
    {"resize-only", 0, OPTION_FLAG, AT(resize_only), NULL, NULL,
     "the upper bound alone, without a tokenizer", NULL, 0, 0},
    {"keep", 0, OPTION_TEXT, AT(keep), "DIR", "nothing is kept",
     "keep every picture that came back, as DIR/METHOD/SET/NAME.png", NULL, 0, 0},
    {"published-jpeg", 0, OPTION_FLAG, AT(jpeg), NULL, NULL,
     "make a JPEG of quality 75, 4:2:0, of each picture whose name is a JPEG's, as the published "
     "scripts do; without it pixels are kept",
     NULL, 0, 0},
};

enum { PATHS = 2, SETS = 8 }; /* Resize, and the tokenizer */
static const char *const sets[SETS] = {"ic13", "ic15",  "tt",        "textocr",
                                       "cord", "sroie", "infograph", "docvqa"};
static const int settings_of[] = {256, 512, 1024};

typedef struct bench_job {
    tool *t;
    const tokbench_options *o;
    const char *data;
    int setting, paths;
    tsr_tokbench_path *path[PATHS];
    tsr_reader *reader;
    tsr_embedder *embedder;
    tsr_text_result text[PATHS]; /* pooled over sets */
    tsr_face_result faces[PATHS];
    double tokens; /* of the tokenizer, over all pictures */
    uint64_t pictures, unread, problems;
} bench_job;

/* ---- a set ---- */

/* Reads a picture of the set; a picture that cannot be read is said and left out. */
static bool read_picture(bench_job *b, const char *folder, const char *name, tsr_picture *p,
                         uint8_t **rgb) {
    char path[4096], clean[1200];
    *rgb = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    const tsr_status status = tsr_picture_read(b->t->ctx, path, NULL, rgb, &p->width, &p->height);
    p->rgb = *rgb;
    if (!status) return true;
    b->unread++;
    tool_progress_clear(b->t);
    tool_warn(b->t, "%s", tool_clean(tsr_detail(b->t->ctx), clean, sizeof clean));
    return false;
}

/* The evaluations of a set, one for each path. */
typedef struct set_evals {
    tsr_text_eval *text[PATHS];
    tsr_face_eval *faces[PATHS];
} set_evals;

static tsr_status open_evals(bench_job *b, const tsr_annotations *marks, set_evals *e) {
    tsr_text_eval_settings text = {
        .by_ratio = 1, .limit_letters = 1, .ignore_case = b->o->ignore_case};
    tsr_face_eval_settings faces = {.by_ratio = 1};
    const bool words = tsr_annotations_kind(marks) == TSR_ANNOTATION_TEXT;
    tsr_status status = TSR_OK;
    tsr_size_bins_tokbench(b->setting, 0, &text.bins);
    tsr_size_bins_tokbench(b->setting, 1, &faces.bins);
    for (int i = 0; i < b->paths && !status; ++i)
        status = words ? tsr_text_eval_open(b->t->ctx, marks, b->reader, &text, &e->text[i])
                       : tsr_face_eval_open(b->t->ctx, marks, b->embedder, &faces, &e->faces[i]);
    return status;
}

/* Whether a name of the annotations stays below the folder that it is put into. */
static bool stays_below(const char *name) {
    bool good = *name && *name != '/';
    for (const char *part = name; part && good; part = strchr(part, '/')) {
        part += *part == '/';
        good = strncmp(part, "..", 2) != 0 || (part[2] && part[2] != '/');
    }
    return good;
}

/* Keeps what came back on path i. Returns -1, or the exit code. */
static int keep(bench_job *b, int i, const char *set, const char *name, const tsr_picture *p) {
    char path[4400], method[200];
    if (!b->o->keep) return -1;
    if (!stays_below(name))
        return tool_fail_text(b->t, TSR_ERROR_FORMAT,
                              "--keep: %s: wanted the name of a picture below its folder", name);
    snprintf(method, sizeof method, "%s", tsr_tokbench_path_name(b->path[i]));
    for (char *c = method; *c; ++c)
        if (*c == '/') *c = '-';
    snprintf(path, sizeof path, "%.3500s/%s/%s/%.400s.png", b->o->keep, method, set, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    const int code = tool_make_folders(b->t, path);
    *slash = '/';
    if (code >= 0) return code;
    const tsr_status status = tsr_picture_write_png(b->t->ctx, path, p->width, p->height, p->rgb);
    return status ? tool_fail(b->t, status) : -1;
}

/* Sends a picture on every path; *code becomes the exit code of a failure that was told. */
static tsr_status send(bench_job *b, set_evals *e, const char *set, const char *name,
                       const tsr_picture *p, int *code) {
    tsr_status status = TSR_OK;
    for (int i = 0; i < b->paths && !status && *code < 0; ++i) {
        uint8_t *rgb = NULL;
        uint64_t tokens = 0;
        status = tsr_tokbench_send(b->path[i], name, p, &rgb, &tokens);
        const tsr_picture back = {.rgb = rgb, .width = p->width, .height = p->height};
        if (!status && e->text[i]) status = tsr_text_eval_picture(e->text[i], name, &back);
        if (!status && e->faces[i]) status = tsr_face_eval_pair(e->faces[i], name, p, &back);
        if (!status) *code = keep(b, i, set, name, &back);
        free(rgb);
        b->tokens += (double)tokens;
    }
    b->pictures++;
    return status;
}

static tsr_status close_evals(bench_job *b, set_evals *e, tsr_status status) {
    for (int i = 0; i < b->paths; ++i) {
        tsr_text_result text;
        if (!status && e->text[i]) {
            status = tsr_text_eval_finish(e->text[i], &text);
            if (!status) tsr_text_result_add(&b->text[i], &text);
        }
        if (!status && e->faces[i]) tsr_face_eval_finish(e->faces[i], &b->faces[i]);
        tsr_text_eval_close(&e->text[i]);
        tsr_face_eval_close(&e->faces[i]);
    }
    return status;
}

static int run_set(bench_job *b, const char *annotations, tsr_annotation_kind kind,
                   const char *folder, const char *what) {
    tsr_annotations *marks = NULL;
    set_evals e = {{NULL}, {NULL}};
    int code = content_open_marks(b->t, annotations, kind, &b->problems, &marks);
    if (code >= 0) return code;
    tsr_status status = open_evals(b, marks, &e);
    const uint64_t count = tsr_annotations_count(marks);
    for (uint64_t i = 0; i < count && !status && code < 0; ++i) {
        const tsr_marked_picture *m = tsr_annotations_picture(marks, i);
        tsr_picture p = {0};
        uint8_t *rgb;
        if (read_picture(b, folder, m->name, &p, &rgb))
            status = send(b, &e, what, m->name, &p, &code);
        free(rgb);
        if (!status && code < 0 && tool_progress(b->t, what, i + 1, count)) {
            status = TSR_ERROR_INTERRUPTED;
            code = tool_fail_text(b->t, status, "stopped");
        }
    }
    status = close_evals(b, &e, status);
    tool_progress_clear(b->t);
    tsr_annotations_close(&marks);
    return code >= 0 ? code : status ? tool_fail(b->t, status) : -1;
}

/* ---- all of it ---- */

static bool exists(const char *path) {
    return access(path, R_OK) == 0;
}

/* TokBench's own folder: annotations/text_SET.json with images/text_data/SET, and
 * annotations/face_meta.json with images/face_data. */
static int run_tokbench(bench_job *b, int *found) {
    char marks[4096], folder[4096];
    int code = -1;
    for (int i = 0; i < SETS && code < 0 && b->reader && !b->o->text; ++i) {
        snprintf(marks, sizeof marks, "%s/annotations/text_%s.json", b->data, sets[i]);
        snprintf(folder, sizeof folder, "%s/images/text_data/%s", b->data, sets[i]);
        if (!exists(marks)) continue;
        ++*found;
        code = run_set(b, marks, TSR_ANNOTATION_TEXT, folder, sets[i]);
    }
    snprintf(marks, sizeof marks, "%s/annotations/face_meta.json", b->data);
    snprintf(folder, sizeof folder, "%s/images/face_data", b->data);
    if (code < 0 && b->embedder && !b->o->faces && exists(marks)) {
        ++*found;
        code = run_set(b, marks, TSR_ANNOTATION_FACES, folder, "faces");
    }
    return code;
}

static int run_all(bench_job *b) {
    int found = 0, code = run_tokbench(b, &found);
    if (code < 0 && b->o->text) {
        ++found;
        code = run_set(b, b->o->text, TSR_ANNOTATION_TEXT, b->data, "words");
    }
    if (code < 0 && b->o->faces) {
        ++found;
        code = run_set(b, b->o->faces, TSR_ANNOTATION_FACES, b->data, "faces");
    }
    if (code < 0 && !found)
        code = tool_fail_text(b->t, TSR_ERROR_NOT_FOUND,
                              "%s: wanted annotations/text_SET.json or annotations/face_meta.json, "
                              "or --text or --faces, got none",
                              b->data);
    return code;
}

/* ---- the table ---- */

static void row_of(const bench_job *b, int i, tsr_tokbench_row *row) {
    *row = (tsr_tokbench_row){.method = tsr_tokbench_path_name(b->path[i]), .factor = ""};
    for (int k = 0; k < 3; ++k) {
        row->accuracy[k] = 100 * tsr_bin_means_of(&b->text[i].accuracy, k);
        row->similarity[k] = 100 * tsr_bin_means_of(&b->text[i].similarity, k);
        row->faces[k] = tsr_bin_means_of(&b->faces[i].similarities, k);
    }
    row->accuracy[3] = 100 * tsr_bin_means_macro(&b->text[i].accuracy, 3);
    row->similarity[3] = 100 * tsr_bin_means_macro(&b->text[i].similarity, 3);
    row->faces[3] = tsr_bin_means_macro(&b->faces[i].similarities, 3);
}

/* A number, or a dash where there is none. */
static void print_number(double value, const char *format, int width) {
    if (value == value)
        printf(format, value);
    else
        printf("%*s", width, "-");
}

static void print_row(const tsr_tokbench_row *r) {
    printf("  %-20.20s %3s", r->method, r->factor);
    for (int k = 0; k < 4; ++k)
        print_number(r->accuracy[k], " %5.2f", 6);
    printf(" ");
    for (int k = 0; k < 4; ++k)
        print_number(r->similarity[k], " %5.2f", 6);
    printf(" ");
    for (int k = 0; k < 4; ++k)
        print_number(r->faces[k], " %4.2f", 5);
    printf("%s\n", r->continuous ? "  continuous" : "");
}

static void print_counts(const char *what, const uint64_t *count, uint64_t dropped) {
    printf("  %s: %llu small, %llu medium, %llu large, %llu below or above\n", what,
           (unsigned long long)count[0], (unsigned long long)count[1], (unsigned long long)count[2],
           (unsigned long long)dropped);
}

static void print_table(const bench_job *b) {
    const tsr_tokbench_row *row;
    printf("TokBench %d: LANCZOS onto a black square, back to the original size, %s\n", b->setting,
           b->o->jpeg ? "JPEG q75 where the name is a JPEG's" : "pixels kept");
    if (b->reader) printf("  text: %s\n", tsr_reader_protocol(b->reader));
    if (b->embedder) printf("  faces: %s\n", tsr_embedder_protocol(b->embedder));
    print_counts("words", b->text[0].accuracy.count, b->text[0].accuracy.dropped);
    print_counts("faces", b->faces[0].similarities.count, b->faces[0].similarities.dropped);
    printf("  %-20s %3s %-24s  %-24s  %s\n", "", "f", "T-ACC small med large mean",
           "T-NED small med large mean", "F-Sim s m l mean");
    for (int i = 0; i < b->paths; ++i) {
        tsr_tokbench_row ours;
        row_of(b, i, &ours);
        print_row(&ours);
    }
    printf(
        "published, to be compared only where pictures, annotations, PARSeq (parseq-56125471) and "
        "glintr100 are\nthe benchmark's:\n");
    for (int i = 0; (row = tsr_tokbench_published(b->setting, i)); ++i)
        print_row(row);
}

/* ---- JSON ---- */

static void json_four(json_out *j, const char *key, const double *values, double scale) {
    json_object(j, key);
    static const char *const names[4] = {"small", "medium", "large", "mean"};
    for (int k = 0; k < 4; ++k)
        json_real(j, names[k], values[k] * scale);
    json_end(j, '}');
}

static void json_row(json_out *j, const tsr_tokbench_row *r) {
    json_text(j, "method", r->method);
    json_four(j, "t_acc", r->accuracy, .01);
    json_four(j, "t_ned", r->similarity, .01);
    json_four(j, "f_sim", r->faces, 1);
}

static void print_json(bench_job *b) {
    const tsr_tokbench_row *row;
    json_out j;
    tool_json(b->t, &j);
    json_uint(&j, "setting", (uint64_t)b->setting);
    json_bool(&j, "published_jpeg", b->o->jpeg != 0);
    json_text(&j, "reader", b->reader ? tsr_reader_protocol(b->reader) : NULL);
    json_text(&j, "embedder", b->embedder ? tsr_embedder_protocol(b->embedder) : NULL);
    json_uint(&j, "pictures", b->pictures);
    json_uint(&j, "unread_pictures", b->unread);
    json_uint(&j, "marks_left_out", b->problems);
    json_array(&j, "rows");
    for (int i = 0; i < b->paths; ++i) {
        tsr_tokbench_row ours;
        row_of(b, i, &ours);
        json_object(&j, NULL);
        json_row(&j, &ours);
        json_hash(&j, "hash", tsr_tokbench_path_hash(b->path[i]));
        json_uint(&j, "words", b->text[i].totals.texts);
        json_real(&j, "t_acc_instances", b->text[i].rates.accuracy);
        json_real(&j, "t_ned_instances", b->text[i].rates.similarity);
        json_uint(&j, "faces", b->faces[i].faces);
        json_real(&j, "f_sim_instances", b->faces[i].faces ? b->faces[i].similarity : 0.0 / 0.0);
        if (i) json_real(&j, "tokens", b->pictures ? b->tokens / (double)b->pictures : 0);
        json_array(&j, "words_by_size");
        for (int k = 0; k < 3; ++k)
            json_uint(&j, NULL, b->text[i].accuracy.count[k]);
        json_end(&j, ']');
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_array(&j, "published");
    for (int i = 0; (row = tsr_tokbench_published(b->setting, i)); ++i) {
        json_object(&j, NULL);
        json_row(&j, row);
        json_text(&j, "factor", row->factor);
        json_bool(&j, "continuous", row->continuous != 0);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_close(&j);
}

static int run_job(bench_job *b) {
    tsr_model_settings model = tsr_model_settings_default();
    model.device = b->t->o->device;
    model.mask = b->t->o->mask;
    model.precision = (tsr_precision)b->t->o->precision;
    model.model = b->o->model;
    int code = -1;
    if (b->o->reader) code = content_open_reader(b->t, b->o->reader, &b->reader);
    if (code < 0 && b->o->embedder)
        code = content_open_embedder(b->t, b->o->embedder, &b->embedder);
    b->paths = b->o->resize_only ? 1 : 2;
    for (int i = 0; i < b->paths && code < 0; ++i) {
        const tsr_status status = tsr_tokbench_path_open(b->t->ctx, b->setting, i ? &model : NULL,
                                                         b->o->jpeg, &b->path[i]);
        if (status) code = tool_fail(b->t, status);
    }
    if (code < 0) code = run_all(b);
    if (code >= 0) return code;
    if (b->t->o->json)
        print_json(b);
    else
        print_table(b);
    return b->unread || b->problems ? EXIT_NEGATIVE : EXIT_DONE;
}

static int run(const verb *v, int argc, char **argv) {
    tokbench_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code < 0 && operands < 1) code = args_wrong(v, "DATA is missing");
    if (code < 0 && !o.reader && !o.embedder)
        code = args_wrong(v, "wanted --reader, --embedder or both, got neither");
    if (code < 0 && o.model && o.resize_only)
        code = args_wrong(v, "--resize-only: wanted no --model with it, got %s", o.model);
    if (code < 0 && o.text && !o.reader)
        code = args_wrong(v, "--text: wanted --reader with it, got none");
    if (code < 0 && o.faces && !o.embedder)
        code = args_wrong(v, "--faces: wanted --embedder with it, got none");
    tool t;
    if (code < 0 && (code = tool_open(&t, v, &o.common)) < 0) {
        bench_job b = {.t = &t, .o = &o, .data = argv[0], .setting = settings_of[o.setting]};
        code = run_job(&b);
        for (int i = 0; i < PATHS; ++i)
            tsr_tokbench_path_close(&b.path[i]);
        tsr_reader_close(&b.reader);
        tsr_embedder_close(&b.embedder);
        tool_close(&t);
    }
    return code;
}

const verb verb_tokbench = {
    .name = "tokbench",
    .summary = "what text and faces survive of a tokenizer, by TokBench's protocol",
    .usage =
        "tessera tokbench DATA [-t MODEL] [--setting 256|512|1024] [--reader READER]\n"
        "                 [--embedder EMBEDDER] [--text FILE] [--faces FILE] [--keep DIR] [--json]",
    .about =
        "Every picture is brought onto a black square by Lanczos, encoded and decoded, cut out and "
        "brought back to its own size; words are read and faces compared there. DATA is TokBench's "
        "folder (annotations/, images/), or a folder of pictures that --text and --faces speak of. "
        "Means are those of the three sizes of text and faces, and their unweighted mean; words "
        "below the first edge count in none. 'Resize' is the same without a tokenizer, and so the "
        "most that can be reached. The published rows stand below; they can be compared only where "
        "pictures, reader and embedder are the benchmark's (docs/TEXT_AND_FACES.md).",
    .exits = "1 when a picture could not be read or a mark could not be used",
    .examples = "# the whole protocol\n"
                "tessera tokbench TokBench/ --reader parseq:parseq.safetensors --embedder "
                "arcface:r100.safetensors\n"
                "# own pictures, with Tesseract\n"
                "tessera tokbench photos/ --text words.tsv --reader tesseract\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0,
    .most_operands = 1,
    .operands = "DATA",
    .run = run,
};
