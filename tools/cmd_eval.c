/* SPDX-License-Identifier: MIT */
/* cmd_eval.c: how far reconstructions are from their originals. */
#include "eval_content.h"
#include "eval_video.h"
#include "measure_codes.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct eval_options {
    common_options common;
    measure_choices measure;
    content_choices content;
    const char *csv;
    int per_picture, per_frame, as_video, on_error, square;
    uint32_t clip;
} eval_options;

#define AT(field) offsetof(eval_options, field)
static const option options[] = {
    {"csv", 0, OPTION_TEXT, AT(csv), "FILE", NULL,
     "a line of comma-separated values for each candidate, with --per-picture for each picture, "
     "behind a line of names; a cell is empty where there is no number; '-' is stdout, without the "
     "table. Of clips a line for each frame, to '-' alone",
     NULL, 0, 0},
    {"per-picture", 0, OPTION_FLAG, AT(per_picture), NULL, NULL,
     "a line for each picture, too (JSON has them always)", NULL, 0, 0},
    {"on-error", 0, OPTION_CHOICE, AT(on_error), "E", "skip",
     "what a picture that cannot be compared does: skip (it is named, exit code 1), or stop",
     "skip|stop", 0, 0},
#include "measure_options.def"
#include "eval_content.def"
    {"per-frame", 0, OPTION_FLAG, AT(per_frame), NULL, NULL,
     "of clips: a line for each frame, too, and in JSON the member \"frames\"", NULL, 0, 0},
    {"as-video", 0, OPTION_FLAG, AT(as_video), NULL, NULL,
     "compare as clips what would be pictures: GIF, APNG and WebP that move, folders of numbered "
     "frames, pipes",
     NULL, 0, 0},
    {"clip", 0, OPTION_UINT, AT(clip), "N", "the only one",
     "of a token file with several clips: which one, from 1 on", NULL, 1, UINT32_MAX},
    {"square-pixels", 0, OPTION_FLAG, AT(square), NULL, NULL,
     "of a clip in a token file: it was encoded with --square-pixels", NULL, 0, 0},
};

typedef struct eval_job {
    tool *t;
    const eval_options *o;
    measure_meaning *m;
    tsr_originals *originals;
    tsr_report *report;
    const char *path; /* of the originals */
    content content;  /* text and faces */
} eval_job;

static bool is_tokens(const char *path) {
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".tess");
}

/* Measures a candidate and adds it to the report. Returns -1 or the exit code. */
static int measure(eval_job *j, const tsr_candidate *c) {
    tsr_measurement *measurement = NULL;
    tsr_measured about;
    char name[256] = "";
    measure_command command;
    tsr_status status = content_begin(&j->content);
    if (!status) status = tsr_measure(j->t->ctx, j->originals, c, &j->m->settings, &measurement);
    if (j->content.status) status = j->content.status; /* what stopped it */
    if (!status) {
        tsr_measurement_about(measurement, &about);
        snprintf(name, sizeof name, "%s", about.name);
    }
    if (!status) {
        measure_command_make(&command, "eval", j->path, c->path, NULL, c->tokens, c->anchor, j->m);
        status = tsr_report_add(j->report, &measurement, command.at, command.count);
        measure_command_free(&command);
    }
    if (!status && content_wanted(&j->o->content))
        status = content_attach(&j->content, name, j->report);
    tsr_measurement_close(&measurement);
    if (status) return tool_fail(j->t, status);
    const int index = tsr_report_count(j->report) - 1;
    if (c->anchor || !c->path || !is_tokens(c->path)) return -1; /* an anchor has no codes */
    return measure_codes(j->t, c->path, c->tokens, j->report, index);
}

static int measure_operand(eval_job *j, const char *path) {
    const bool tokens = is_tokens(path);
    int code = -1;
    for (int i = 0; code < 0 && i < (tokens && j->m->token_count ? j->m->token_count : 1); ++i) {
        tsr_candidate c = {.path = path,
                           .models = (const char *const *)j->m->models,
                           .model_count = j->m->model_count};
        if (tokens && j->m->token_count) c.tokens = j->m->tokens[i];
        code = measure(j, &c);
        const int like = tsr_report_count(j->report) - 1;
        for (int a = 0; code < 0 && tokens && a < j->m->anchors.count; ++a) {
            c.anchor = j->m->anchors.at[a];
            c.like = tsr_report_candidate(j->report, like);
            code = measure(j, &c);
        }
    }
    return code;
}

/* Of a single picture that cannot be read, that is the failure of the call. */
static int single_failure(eval_job *j) {
    tsr_measured about;
    tsr_measured_picture p;
    const tsr_measurement *m = tsr_report_candidate(j->report, 0);
    if (tsr_originals_count(j->originals) != 1 || tsr_report_count(j->report) != 1) return -1;
    tsr_measurement_about(m, &about);
    if (about.pictures != 1 || strcmp(about.kind, "files") || tsr_measurement_picture(m, 0, &p) ||
        !p.status || p.status == TSR_ERROR_ARGUMENT)
        return -1;
    return tool_fail_text(j->t, p.status, "%s", p.detail);
}

static int show(eval_job *j) {
    char *text = NULL;
    tsr_status status = TSR_OK;
    if (j->t->o->json)
        status = tsr_report_json(j->report, &text);
    else if (j->o->csv)
        status = tsr_report_csv(j->report, j->o->per_picture, &text);
    if (!status && j->t->o->json)
        fputs(text, stdout);
    else if (!status && j->o->csv)
        status = tsr_report_write(j->t->ctx, j->o->csv, text);
    free(text);
    if (status) return tool_fail(j->t, status);
    if (!j->t->o->json && !(j->o->csv && args_is_stdout(j->o->csv)))
        measure_print(j->report, j->o->per_picture);
    if (!j->t->o->json && !(j->o->csv && args_is_stdout(j->o->csv))) content_show(&j->content);
    const int code = measure_say_failures(j->t, j->report);
    return code == EXIT_DONE && j->content.problems ? EXIT_NEGATIVE : code;
}

static int run_pictures(tool *t, const eval_options *o, measure_meaning *m, int count,
                        char **paths) {
    eval_job j = {.t = t, .o = o, .m = m, .path = paths[0]};
    int code = measure_locate(t, m);
    if (code >= 0) return code;
    m->settings.on_error = o->on_error ? TSR_ON_ERROR_STOP : TSR_ON_ERROR_SKIP;
    m->settings.force = o->common.force;
    m->settings.progress = tool_progress;
    m->settings.progress_user = t;
    code = content_open(t, &o->content, &m->settings, &j.content);
    if (content_wanted(&o->content)) { /* marks are in pixels of the originals */
        m->settings.at = TSR_AT_ORIGINAL;
        m->settings.pair = content_pair;
        m->settings.pair_user = &j.content;
    }
    tsr_status status = code >= 0 ? TSR_OK : tsr_originals_open(t->ctx, paths[0], &j.originals);
    const tsr_report_head head = {.device = o->common.device, .seed = o->measure.seed};
    if (!status && code < 0)
        status = tsr_report_open(t->ctx, j.originals, paths[0], &head, &j.report);
    if (status) code = tool_fail(t, status);
    for (int i = 1; i < count && code < 0; ++i)
        code = measure_operand(&j, paths[i]);
    tool_progress_clear(t);
    if (code < 0) code = single_failure(&j);
    if (code < 0) code = show(&j);
    measure_say_cache(t, m);
    content_close(&j.content);
    tsr_report_close(&j.report);
    tsr_originals_close(&j.originals);
    return code;
}

/* What two operands are. */
typedef enum eval_kind { EVAL_PICTURES, EVAL_VIDEOS, EVAL_CLIP, EVAL_CLIPS } eval_kind;

static bool is_folder(const char *path) {
    struct stat s;
    return !stat(path, &s) && S_ISDIR(s.st_mode);
}

/* Metrics of clips were asked for. */
static bool wants_clips(const measure_meaning *m) {
    for (int i = 0; i < m->metrics.count; ++i) {
        tsr_metric_info info;
        tsr_metric_at(tsr_metric_find(m->metrics.at[i]), &info);
        if (info.clips) return true;
    }
    return false;
}

static eval_kind kind_of(tool *t, const eval_options *o, const measure_meaning *m, int operands,
                         char **argv) {
    if (operands != 2) return EVAL_PICTURES;
    if (!o->as_video && wants_clips(m) && is_folder(argv[0]) && is_folder(argv[1]))
        return EVAL_CLIPS;
    if (eval_is_clip(t, argv[1])) return EVAL_CLIP;
    return o->as_video || tsr_video_is(argv[0]) || tsr_video_is(argv[1]) ? EVAL_VIDEOS
                                                                         : EVAL_PICTURES;
}

static int run_clips(tool *t, const eval_options *o, measure_meaning *m, eval_kind kind,
                     char **argv) {
    const int located = measure_locate(t, m);
    if (located >= 0) return located;
    const eval_clip_choices choices = {.m = m,
                                       .clip = o->clip,
                                       .square_pixels = o->square != 0,
                                       .per_frame = o->per_frame != 0,
                                       .csv = o->csv != NULL};
    const int code = kind == EVAL_CLIPS  ? eval_clip_folders(t, argv[0], argv[1], &choices)
                     : kind == EVAL_CLIP ? eval_clip(t, argv[0], argv[1], &choices)
                                         : eval_videos(t, argv[0], argv[1], &choices);
    measure_say_cache(t, m);
    return code;
}

/* Options that only one of the kinds has. Returns -1 or the exit code. */
static int check_kind(const verb *v, eval_options *o, eval_kind kind, const char *path) {
    if (o->per_frame && kind == EVAL_PICTURES)
        return args_wrong(v, "--per-frame: wanted clips (or --as-video), got pictures");
    if (kind == EVAL_CLIPS && (o->per_frame || o->csv || o->clip))
        return args_wrong(v,
                          "--per-frame, --csv and --clip: wanted two clips, got folders of them");
    if (kind != EVAL_CLIP && (o->clip || (o->square && kind != EVAL_CLIPS)))
        return args_wrong(v,
                          "--clip and --square-pixels: wanted a clip in a token file (.tess), got "
                          "%s",
                          path);
    if (kind != EVAL_PICTURES && content_wanted(&o->content))
        return args_wrong(v, "--text and --faces: wanted pictures, got clips");
    if (kind != EVAL_PICTURES && o->csv && !args_is_stdout(o->csv))
        return args_wrong(v, "--csv: wanted '-' with clips, got '%s'", o->csv);
    return o->csv && !args_is_stdout(o->csv) ? tool_output(v, &o->common, o->csv) : -1;
}

static int run(const verb *v, int argc, char **argv) {
    eval_options o = {0};
    measure_meaning m = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    code = measure_read(v, &o.measure, &o.common, &m);
    m.content = &o.content;
    if (code < 0 && operands < 2)
        code = args_wrong(v, operands ? "a candidate is missing" : "ORIGINALS is missing");
    if (code < 0 && o.csv && o.common.json && args_is_stdout(o.csv))
        code = args_wrong(v, "--json and --csv - would both write to stdout");
    if (code < 0) code = content_check(v, &o.content);
    tool t;
    if (code < 0 && (code = tool_open(&t, v, &o.common)) < 0) {
        const eval_kind kind = kind_of(&t, &o, &m, operands, argv);
        code = check_kind(v, &o, kind, argv[1]);
        if (code < 0)
            code = kind == EVAL_PICTURES ? run_pictures(&t, &o, &m, operands, argv)
                                         : run_clips(&t, &o, &m, kind, argv);
        tool_close(&t);
    }
    measure_free(&m);
    return code;
}

const verb verb_eval = {
    .name = "eval",
    .summary = "measure reconstructions against originals: PSNR, SSIM ... with intervals",
    .usage =
        "tessera eval ORIGINALS CANDIDATE... [--metrics LIST] [--per-picture] [--csv FILE]\n"
        "             [-t MODEL...] [-k LIST] [--anchor LIST] [--weights METRIC=PATH...]\n"
        "             [--at fitted|original] [--resize] [--on-error skip|stop] [--json]\n"
        "             [--text FILE --reader READER] [--faces FILE --embedder EMBEDDER] [--cache "
        "DIR]\n"
        "tessera eval CLIP CLIP [--as-video] [--per-frame] [--metrics rfvd] [--json | --csv -]\n"
        "tessera eval VIDEO CLIP.tess [-t MODEL] [--clip N] [--square-pixels]\n"
        "             [--per-frame] [--metrics rfvd] [--json | --csv -]\n"
        "tessera eval CLIPS/ CLIPS/ --metrics rfvd [-t MODEL] [--square-pixels] [--json]\n"
        "tessera eval --metrics help",
    .about =
        "ORIGINALS is a picture, a folder or a tar archive; a CANDIDATE is any of these, or a "
        "token file (.tess), which is decoded on the way. Pictures of folders, with those of "
        "folders below, belong together by their paths without suffix; a name without folders "
        "also finds the only picture of that name. Token files are compared where the tokenizer "
        "worked: originals are fitted as the file says (--at).\n\n"
        "Each candidate is a row: means over its pictures, tokens and bytes a picture, bits per "
        "pixel, seconds of decoding; then for each metric its protocol, mean, standard deviation, "
        "95 % interval of the mean (percentile bootstrap, seeded) and the worst picture. PSNR of "
        "equal pictures is inf and not in the mean; a number that a picture cannot have (SSIM "
        "below its window) is null, with the reason. JSON is a report as 'tessera report' writes "
        "it (docs/EVALUATION.md).\n\n"
        "--text and --faces look at marked words and faces of the originals: T-ACC, T-NED, CER and "
        "WER of what a reader reads in the candidate, by pixels a character; F-Sim, the cosine of "
        "embeddings at the same five points, by size. Candidates are then brought to the size of "
        "the originals (--at original). docs/TEXT_AND_FACES.md has the protocols.\n\n"
        "Two clips are compared frame by frame, which must agree in size, number and time (from "
        "the first frame on, within a unit of the coarser time base, since Matroska rounds to "
        "milliseconds); what does not is named. PSNR comes pooled (of the error of all frames) and "
        "as the mean of the frames' own; the flicker is the mean absolute change of the error from "
        "frame to frame, on the 0..255 scale.\n\n"
        "A clip in a token file is decoded on the way and compared with its video: each of its "
        "frames with the video's frame of the same time, so that frames which were not chosen are "
        "passed over. Where the tokenizer crops or pads, the video's frames are fitted as they "
        "were for it, which is said.\n\n"
        "With a metric of clips (--metrics rfvd) the frames of both sides also go through its "
        "network, in windows; two folders then are sets of clips, videos on one side, videos or "
        "token files of the same names on the other, and the metric is over all of them.",
    .exits =
        "1 when pictures have no counterpart or another size, or cannot be read (in folders);\n"
        "  when clips differ in size, times or number of frames",
    .examples = "# one picture\n"
                "tessera eval photo.png back.png\n"
                "# a token file against the pictures it was made of, and AVIF at equal bytes\n"
                "tessera eval originals/ tokens.tess --anchor avif\n"
                "# two folders of decoded pictures, each picture as a line of a table\n"
                "tessera eval originals/ a/ b/ --per-picture --csv pictures.csv\n"
                "# the means alone\n"
                "tessera eval originals/ decoded/ --json | jq '.candidates[].summary'\n"
                "# a clip, and each of its frames as a table for a plot\n"
                "tessera eval clip.mp4 back.mp4\n"
                "tessera eval clip.mp4 back.mp4 --csv - > frames.csv\n"
                "# a clip in a token file, decoded on the way\n"
                "tessera encode clip.mp4 -o clip.tess && tessera eval clip.mp4 clip.tess",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "ORIGINALS CANDIDATE",
    .run = run,
};
