/* SPDX-License-Identifier: MIT */
/* cmd_frames.c: which frames of a video a rule takes, when they are shown, and what they look like.
 */
#include "sheet_layout.h"
#include "video_options.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct frames_options {
    common_options common;
    const char *sheet;
    uint32_t cell, columns;
    uint64_t budget;
    uint8_t background[3];
    video_choices video;
} frames_options;

#define AT(field) offsetof(frames_options, field)
static const option options[] = {
    {"sheet", 0, OPTION_TEXT, AT(sheet), "SHEET.png", NULL,
     "draw the frames on one page, with their numbers and times; the suffix says the format", NULL,
     0, 0},
    {"cell", 0, OPTION_UINT, AT(cell), "PIXELS", "240",
     "longest side of a frame on the sheet; larger ones are shrunk", NULL, 32, 4096},
    {"columns", 0, OPTION_UINT, AT(columns), "N", "6", "frames in a row of the sheet", NULL, 1, 64},
    {"budget", 0, OPTION_UINT64, AT(budget), "T", NULL,
     "also say how many of T tokens each frame gets when they are split by what changes: a half "
     "evenly, a half by the change of luma since the frame taken before",
     NULL, 0, 0},
    {"background", 0, OPTION_COLOUR, AT(background), "RRGGBB", "ffffff",
     "the colour under transparent pixels", NULL, 0, 0},
#include "video_options.def"
};

/* One frame that was taken. */
typedef struct taken {
    tsr_frame_pick pick;
    double
        change; /* mean absolute difference to the frame taken before, 0..255; 255 for the first */
    uint64_t tokens;
} taken;

typedef struct listing {
    tool *t;
    const frames_options *o;
    tsr_frames *frames;
    taken *list;
    uint64_t count, room;
    uint8_t *last; /* pixels of the frame taken before */
    size_t last_bytes;
    sheet_layout layout;
    tsr_status damage;
    char detail[1024];
} listing;

enum { MOST_ON_SHEET = 2000 };

static double change_to_last(listing *l, const tsr_video_frame *f) {
    const size_t bytes = (size_t)f->width * f->height * 3;
    uint64_t sum = 0;
    const bool compare = l->last && l->last_bytes == bytes;
    for (size_t i = 0; i < bytes && compare; ++i)
        sum += (uint64_t)abs((int)f->rgb[i] - (int)l->last[i]);
    if (l->last_bytes != bytes) {
        free(l->last);
        l->last = malloc(bytes);
        l->last_bytes = l->last ? bytes : 0;
    }
    if (l->last) memcpy(l->last, f->rgb, bytes);
    return compare ? (double)sum / (double)bytes : 255;
}

static bool take(listing *l, const tsr_video_frame *f, const tsr_frame_pick *pick) {
    if (l->count == l->room) {
        const uint64_t room = l->room ? 2 * l->room : 64;
        taken *more = realloc(l->list, room * sizeof *more);
        if (!more) return false;
        l->list = more;
        l->room = room;
    }
    const double change = l->o->budget ? change_to_last(l, f) : 0;
    l->list[l->count++] = (taken){.pick = *pick, .change = change};
    if (!l->o->sheet || l->count > MOST_ON_SHEET) return true;
    char label[64];
    snprintf(label, sizeof label, "%" PRIu64 "  %.3f s%s", pick->index, pick->seconds,
             pick->key ? "  key" : "");
    return sheet_add(&l->layout, f->rgb, (int)f->width, (int)f->height, label);
}

/* Reads all frames of the choice. Damage behind whole frames is told at the end. */
static int read_frames(listing *l) {
    for (;;) {
        const tsr_video_frame *f = NULL;
        const tsr_frame_pick *pick = NULL;
        const tsr_status s = tsr_frames_next(l->frames, &f, &pick);
        if (s == TSR_ERROR_DAMAGED && l->count) {
            l->damage = s;
            snprintf(l->detail, sizeof l->detail, "%s", tsr_detail(l->t->ctx));
            return -1;
        }
        if (s) return tool_fail(l->t, s);
        if (!f) return -1;
        if (!take(l, f, pick))
            return tool_fail_text(l->t, TSR_ERROR_MEMORY, "no memory for frames");
        if (tool_progress(l->t, "reading", l->count, 0))
            return tool_fail_text(l->t, TSR_ERROR_INTERRUPTED, "interrupted");
    }
}

static int split_budget(listing *l) {
    const uint64_t n = l->count;
    double *change = calloc(n ? n : 1, sizeof *change);
    uint64_t *tokens = calloc(n ? n : 1, sizeof *tokens);
    int code =
        change && tokens ? -1 : tool_fail_text(l->t, TSR_ERROR_MEMORY, "no memory for frames");
    for (uint64_t i = 0; i < n && code < 0; ++i)
        change[i] = l->list[i].change;
    const tsr_status s =
        code < 0 && n ? tsr_frames_share(l->t->ctx, n, l->o->budget, change, NULL, NULL, tokens)
                      : TSR_OK;
    if (s) code = tool_fail(l->t, s);
    for (uint64_t i = 0; i < n && code < 0; ++i)
        l->list[i].tokens = tokens[i];
    free(change);
    free(tokens);
    return code;
}

/* ---- output -------------------------------------------------------------------------------------
 */

static const char *rule_name(const video_meaning *m) {
    static const char *const names[] = {"all",       "linspace-trunc", "time-hold", "every",
                                        "keyframes", "scenes",         "cover",     "clips"};
    return m->choice.rounding ? m->choice.rounding : names[m->choice.rule];
}

static void print_json(const listing *l, const video_meaning *m, const char *input) {
    const tsr_video_info *info = tsr_video_properties(tsr_frames_video(l->frames));
    json_out j;
    tool_json(l->t, &j);
    json_text(&j, "input", input);
    json_text(&j, "rule", rule_name(m));
    json_text(&j, "container", info->container);
    json_text(&j, "codec", info->codec);
    json_int(&j, "time_base_num", info->time_base.num);
    json_int(&j, "time_base_den", info->time_base.den);
    uint64_t taken_count = 0, all = 0;
    tsr_frames_count(l->frames, &taken_count, &all);
    if (all) json_uint(&j, "video_frames", all);
    json_uint(&j, "count", l->count);
    json_array(&j, "frames");
    for (uint64_t i = 0; i < l->count; ++i) {
        const tsr_frame_pick *p = &l->list[i].pick;
        json_object(&j, NULL);
        json_uint(&j, "index", p->index);
        if (p->pts == TSR_NO_TIME)
            json_null(&j, "pts");
        else
            json_int(&j, "pts", p->pts);
        json_real(&j, "seconds", p->seconds);
        json_bool(&j, "key", p->key != 0);
        json_real(&j, "score", p->score);
        if (l->o->budget) json_uint(&j, "tokens", l->list[i].tokens);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    int remarks = 0;
    const char *const *said = tsr_video_remarks(tsr_frames_video(l->frames), &remarks);
    json_array(&j, "remarks");
    for (int i = 0; i < remarks; ++i)
        json_text(&j, NULL, said[i]);
    json_end(&j, ']');
    if (l->damage) json_text(&j, "damage", l->detail);
    if (l->o->sheet) json_text(&j, "sheet", l->o->sheet);
    json_close(&j);
}

static void print_text(const listing *l, const video_meaning *m) {
    uint64_t taken_count = 0, all = 0;
    tsr_frames_count(l->frames, &taken_count, &all);
    printf("   frame           pts    seconds  key    score%s\n", l->o->budget ? "  tokens" : "");
    for (uint64_t i = 0; i < l->count; ++i) {
        const tsr_frame_pick *p = &l->list[i].pick;
        char pts[32] = "-";
        if (p->pts != TSR_NO_TIME) snprintf(pts, sizeof pts, "%" PRId64, p->pts);
        printf("%8" PRIu64 "  %12s  %9.3f  %3s  %7.4g", p->index, pts, p->seconds,
               p->key ? "key" : "", p->score);
        if (l->o->budget) printf("  %6" PRIu64, l->list[i].tokens);
        putchar('\n');
    }
    char frames[32], of[48] = "";
    if (all) snprintf(of, sizeof of, " of %" PRIu64, all);
    tool_say(l->t, "%s%s by %s", tool_count(l->count, "frame", frames), of, rule_name(m));
    video_say_remarks(l->t, tsr_frames_video(l->frames));
}

static int write_sheet(listing *l) {
    sheet_picture page = {0};
    if (!sheet_draw(&l->layout, &page))
        return tool_fail_text(l->t, TSR_ERROR_MEMORY, "%s: no memory for the page", l->o->sheet);
    const tsr_status s =
        tsr_picture_write(l->t->ctx, l->o->sheet, page.width, page.height, page.rgb, NULL);
    free(page.rgb);
    if (l->count > MOST_ON_SHEET)
        tool_warn(l->t, "%s: the first %d frames alone are on it", l->o->sheet, MOST_ON_SHEET);
    return s ? tool_fail(l->t, s) : -1;
}

/* ---- the verb -----------------------------------------------------------------------------------
 */

static int list_frames(tool *t, const frames_options *o, const video_meaning *m,
                       const char *input) {
    listing l = {.t = t, .o = o, .layout = {.columns = (int)o->columns, .cell = (int)o->cell}};
    tsr_status s = o->sheet ? tsr_picture_write_check(t->ctx, o->sheet, NULL) : TSR_OK;
    if (!s)
        s = tsr_frames_open(t->ctx, input, &m->settings, &m->choice, tool_progress, t, &l.frames);
    int code = s ? tool_fail(t, s) : read_frames(&l);
    tool_progress_clear(t);
    if (code < 0 && o->budget) code = split_budget(&l);
    if (code < 0 && o->sheet) code = write_sheet(&l);
    if (code < 0) {
        if (o->common.json)
            print_json(&l, m, input);
        else
            print_text(&l, m);
        if (l.damage) tool_warn(t, "%s", l.detail);
        code = l.damage ? EXIT_NEGATIVE : EXIT_DONE;
    }
    tsr_frames_close(&l.frames);
    sheet_layout_free(&l.layout);
    free(l.list);
    free(l.last);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    frames_options o = {.cell = 240, .columns = 6, .background = {255, 255, 255}};
    int operands;
    video_meaning m;
    tool t;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    code = video_meaning_read(v, &o.video, &m);
    if (code < 0 && o.sheet) code = tool_not_input(v, o.sheet, argv[0]);
    if (code < 0 && o.sheet) code = tool_output(v, &o.common, o.sheet);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code >= 0) return code;
    memcpy(m.settings.background, o.background, 3);
    /* Without a sheet or a budget pixels are not looked at. */
    m.settings.facts_only = !o.sheet && !o.budget;
    code = list_frames(&t, &o, &m, argv[0]);
    tool_close(&t);
    return code;
}

const verb verb_frames = {
    .name = "frames",
    .summary = "which frames of a video a rule takes, and when they are shown",
    .usage =
        "tessera frames VIDEO [--frames N[:RULE] | --fps F[:RULE]]\n"
        "               [--every N | --keyframes | --scenes [T]] [--cover N | --clips C:N[:GAP]]\n"
        "               [--start S] [--end S] [--budget T] [--sheet SHEET.png] [--json]",
    .about =
        "Lists the frames that 'encode', 'features' and the rest take with the same options: their "
        "numbers from 0 on, times as the file has them (pts) and in seconds after the first frame, "
        "key frames and scores (how much the luma changed since the frame before, 0..255; with "
        "--scenes the scene score, with --cover the distance to the frames taken before). No model "
        "is needed. VIDEO is a file of any kind that FFmpeg reads, a GIF, APNG or animated WebP, a "
        "folder of numbered pictures, or '-' with YUV4MPEG2, Matroska or MPEG-TS. What the file "
        "does "
        "not say and was assumed is told.",
    .exits = "1 when the video is damaged: its whole frames were listed",
    .examples = "# 32 frames as VQToken takes them\n"
                "tessera frames clip.mp4 --frames 32\n"
                "# two a second, with times, for a program\n"
                "tessera frames clip.mp4 --fps 2 --json\n"
                "# the first frame of each scene, on one page\n"
                "tessera frames film.mkv --scenes 0.3 --sheet scenes.png\n"
                "# as Qwen's loader\n"
                "tessera frames clip.mp4 --fps 2:qwen-smart-nframes",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "VIDEO",
    .run = run,
};
