/* SPDX-License-Identifier: MIT */
/* cmd_decode.c: a token file to pictures. */
#include "token_damage.h"
#include "tool.h"

#include <tessera/clip.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct decode_options {
    common_options common;
    const char *output, *model;
    const char *noise, *vq_attention;
    int guidance_mode;
    uint32_t tokens, batch, steps;
    double guidance;
    uint64_t seed;
    uint32_t quality, crf, clip;
    const char *codec, *preset;
    double from, to;
    int format, lossless;
    text_list items;
} decode_options;

#define AT(field) offsetof(decode_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT",
     "beside FILE.tess: FILE.png, the folder FILE/, or FILE.mp4 of a clip",
     "a picture for a file with one item, whose suffix says its format; a folder for several (made "
     "if missing; a name that ends in '/' is always a folder); a video for a clip (.mp4, .mkv, "
     ".webm, .nut, .y4m, .gif, or a folder of its frames); '-' for stdout",
     NULL, 0, 0},
    {"format", 0, OPTION_CHOICE, AT(format), "F", "auto",
     "what is written where no suffix says it: in a folder, on stdout; auto is png, and of a clip "
     "y4m on stdout and frames in a folder",
     "auto|png|jpg|webp|avif|jxl|tiff|ppm|mp4|mkv|webm|nut|y4m|gif|frames", 0, 0},
    {"picture-quality", 0, OPTION_UINT, AT(quality), "Q", "95",
     "of jpg, webp, avif and jxl: 1 is smallest, 100 nearest to the decoded pixels", NULL, 1, 100},
    {"lossless", 0, OPTION_FLAG, AT(lossless), NULL, NULL,
     "webp, avif and jxl that keep every pixel, as png, tiff and ppm always do; of a clip FFV1 in "
     "mkv "
     "and "
     "nut, and H.264 or VP9 of R, G and B in mp4 and webm, which few players show",
     NULL, 0, 0},
    {"crf", 0, OPTION_UINT, AT(crf), "Q", "18 of h264, 24 of vp9",
     "of a clip: quality, 1 to 51 of h264 and 63 of vp9; smaller is better, and larger files", NULL,
     1, 63},
    {"codec", 0, OPTION_TEXT, AT(codec), "C", "h264, in webm vp9",
     "of a clip: h264, vp9 or ffv1, as far as the container takes it", "h264|vp9|ffv1", 0, 0},
    {"preset", 0, OPTION_TEXT, AT(preset), "P", "medium",
     "of a clip in h264: x264's, from ultrafast to placebo; slower makes smaller files",
     "ultrafast|superfast|veryfast|faster|fast|medium|slow|slower|veryslow|placebo", 0, 0},
    {"from", 0, OPTION_REAL, AT(from), "SECONDS", "0",
     "of a clip: begin with the frame on screen at this time, counted from its first frame; times "
     "then begin at 0",
     NULL, 0, 1e9},
    {"to", 0, OPTION_REAL, AT(to), "SECONDS", "the end", "of a clip: frames shown before this time",
     NULL, 0, 1e9},
    {"clip", 0, OPTION_UINT, AT(clip), "N", "the only one",
     "which clip of the file becomes the video, from 1 on", NULL, 1, 1u << 30},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer the tokens were made with: a file, a folder or a name, as in encode", NULL, 0,
     0},
    {"tokens", 'k', OPTION_UINT, AT(tokens), "N", "all there are",
     "use at most the first N ids of each tile", NULL, 1, 1u << 24},
    {"item", 0, OPTION_TEXTS, AT(items), "N|KEY", "every item",
     "decode this item alone: its number from 0 on, a range or list of numbers (0,2,5-7), or its "
     "key; may be given several times",
     NULL, 0, 0},
    {"steps", 0, OPTION_UINT, AT(steps), "N", "as the file says",
     "steps of a decoder that samples (flextok): fewer are faster and coarser", NULL, 1,
     TSR_MAX_STEPS},
    {"guidance", 0, OPTION_REAL, AT(guidance), "W", "as the file says",
     "how closely the picture follows the ids; 1 is without guidance and half the work", NULL,
     TSR_MIN_GUIDANCE, TSR_MAX_GUIDANCE},
    {"guidance-mode", 0, OPTION_CHOICE, AT(guidance_mode), "M", "auto",
     "apg (normalised guidance) or cfg (plain, as it was published first); auto is as the file "
     "says",
     "auto|apg|cfg", 0, 0},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "as the file says",
     "which noise it starts from; the same on every device", NULL, 0, 0},
    {"noise", 0, OPTION_TEXT, AT(noise), "FILE.npy", "made from the seed",
     "float32 noise [tiles, channels, height, width] to start from", NULL, 0, 0},
    {"vq-attention", 0, OPTION_TEXT, AT(vq_attention), "FILE", NULL,
     "of clip codebooks: a checkpoint (.safetensors) with VQToken's attention layer, whose tokens "
     "are written as the tensor vq_tokens",
     NULL, 0, 0},
    {"batch", 0, OPTION_UINT, AT(batch), "N", "chosen from memory", "tiles computed together", NULL,
     1, TSR_MAX_BATCH},
};

/* What became of each item: for people, and as the member "pictures". */
typedef struct results {
    token_damage damage;
    FILE *file; /* of `list`; NULL without --json */
    json_out list;
    char *text;
    size_t size;
} results;

static void results_open(results *r, tool *t) {
    memset(r, 0, sizeof *r);
    token_damage_open(&r->damage, t);
    if (!t->o->json || !(r->file = open_memstream(&r->text, &r->size))) return;
    r->list = (json_out){.file = r->file};
    fputc('[', r->file);
}

static void results_close(results *r) {
    token_damage_close(&r->damage);
    if (r->file) fclose(r->file);
    free(r->text);
}

/* tsr_decoded_fn */
static void add_picture(void *user, const tsr_decoded *picture) {
    results *r = user;
    if (!r->file) return;
    json_object(&r->list, NULL);
    json_uint(&r->list, "index", picture->index);
    json_text(&r->list, "key", picture->key);
    json_text(&r->list, "output", picture->path);
    json_end(&r->list, '}');
}

/* tsr_token_damage_fn */
static void add_damage(void *user, const tsr_token_damage *damage) {
    results *r = user;
    token_damage_add(&r->damage, damage);
    if (!r->file || damage->item == TSR_NO_ITEM || damage->attributes) return;
    json_object(&r->list, NULL);
    json_uint(&r->list, "index", damage->item);
    json_text(&r->list, "error", damage->detail);
    json_end(&r->list, '}');
}

static void json_video(json_out *j, const tsr_video_write_report *v) {
    json_object(j, "video");
    json_text(j, "format", v->format);
    json_text(j, "codec", v->codec);
    json_text(j, "samples", v->samples);
    json_uint(j, "width", v->coded_width);
    json_uint(j, "height", v->coded_height);
    json_uint(j, "frames", v->frames);
    json_uint(j, "repeated", v->repeated);
    json_uint(j, "dropped", v->dropped);
    json_uint(j, "moved", v->moved);
    json_uint(j, "bytes", v->bytes);
    json_end(j, '}');
}

/* What is not as in the clip, for people. */
static void say_video(tool *t, const char *output, const tsr_video_write_report *v) {
    char count[32], bytes[32];
    tool_say(t, "%s: %s of %ux%u as %s in %s%s%s", output, tool_count(v->frames, "frame", count),
             v->coded_width, v->coded_height, v->codec, v->format, v->bytes ? ", " : "",
             v->bytes ? tool_bytes(v->bytes, bytes, sizeof bytes) : "");
    if (v->repeated)
        tool_say(t, "%s: %s repeat the one before, since the rate is constant", output,
                 tool_count(v->repeated, "frame", count));
    if (v->dropped)
        tool_say(t, "%s: %s left out, too close to another one for %s", output,
                 tool_count(v->dropped, "frame", count), v->format);
    if (v->moved)
        tool_say(t, "%s: %s moved, whose times did not come after the frame before", output,
                 tool_count(v->moved, "frame", count));
}

static void print_json(tool *t, const char *input, const char *output, results *r,
                       const tsr_decode_report *report, double seconds) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "input", input);
    json_text(&j, "output", output);
    json_uint(&j, "item_count", report->items);
    json_uint(&j, "written", report->written);
    if (*report->video.format) json_video(&j, &report->video);
    token_damage_json(&r->damage, &j, report->recovered != 0);
    if (r->file) {
        fputs(r->list.filled[0] ? "\n  ]" : "]", r->file);
        const bool failed = fclose(r->file) != 0;
        r->file = NULL;
        if (!failed) json_raw(&j, "pictures", r->text);
    }
    json_text(&j, "device", report->device);
    tool_stages(&j, "decode", report->device, report->host_stages);
    json_real(&j, "total_seconds", seconds);
    json_close(&j);
}

/* The end of a decoding that did something, if not all. */
static int finish(tool *t, const char *input, const char *output, tsr_status status, results *r,
                  const tsr_decode_report *report) {
    const double seconds = tool_seconds() - t->started;
    char count[32], on_host[96];
    tool_progress_clear(t);
    if (t->o->json)
        print_json(t, input, output, r, report, seconds);
    else if (*report->video.format && !args_is_stdout(output))
        say_video(t, output, &report->video);
    if (!t->o->json && !status && !args_is_stdout(output))
        tool_say(t, "%s: %.2f s, on %s%s", output, seconds, report->device,
                 tool_on_host(report->device, report->host_stages, on_host, sizeof on_host));
    if (status) {
        char text[200];
        if (status == TSR_ERROR_DAMAGED)
            token_damage_text(&r->damage, report->recovered != 0, text, sizeof text);
        else
            snprintf(text, sizeof text, "%" PRIu64 " of %" PRIu64 " could not be decoded",
                     report->undecodable, report->undecodable + report->written);
        tool_warn(t, "%s: %s; %s written", input, text,
                  tool_count(report->written, "picture", count));
    }
    return tool_exit_code(status);
}

static const char *const formats[] = {NULL,  "png", "jpg",  "webp", "avif", "jxl", "tiff",  "ppm",
                                      "mp4", "mkv", "webm", "nut",  "y4m",  "gif", "frames"};
enum { FIRST_VIDEO_FORMAT = 8 };

/* Where pictures go when nobody says it: beside the token file, under its name. What cannot be
 * opened is left to the library to complain about. malloc'd; NULL: no memory. */
static char *output_beside(const char *input, const decode_options *o) {
    tsr_context *ctx = NULL;
    tsr_token_file *file = NULL;
    size_t stem = strlen(input);
    char *name = NULL;
    uint64_t items = 1, *indexes = NULL;
    const text_list *chosen = &o->items;
    const char *format = formats[o->format];
    bool video = o->format >= FIRST_VIDEO_FORMAT;
    if (stem > 5 && strcmp(input + stem - 5, ".tess") == 0) stem -= 5;
    if (tsr_context_open(&ctx, NULL)) return NULL;
    if (!tsr_token_file_open(ctx, &file, input) &&
        tsr_token_file_select(file, chosen->at, chosen->count, &indexes, &items))
        items = 1; /* the library says what is wrong with the choice */
    if (file && !o->format && !chosen->count && !o->quality)
        video = tsr_token_file_properties(file)->clips == 1;
    free(indexes);
    tsr_token_file_close(&file);
    tsr_context_close(&ctx);
    const bool folder = video ? format && !strcmp(format, "frames") : items != 1;
    const int written = folder ? asprintf(&name, "%.*s/", (int)stem, input)
                               : asprintf(&name, "%.*s.%s", (int)stem, input,
                                          format  ? format
                                          : video ? "mp4"
                                                  : "png");
    return written < 0 ? NULL : name;
}

/* Finds the output, and refuses what must not be one. */
static int claim_output(const verb *v, decode_options *o, const char *input, char **beside) {
    int code;
    if (!o->output && strcmp(input, "-") == 0)
        return args_wrong(v, "-o OUT is missing: standard input has no name to put it beside");
    if (!o->output) o->output = *beside = output_beside(input, o);
    if (!o->output) return EXIT_FILES;
    code = tool_not_input(v, o->output, input);
    if (code < 0) code = tool_not_input(v, o->output, o->model);
    if (code < 0) code = tool_not_input(v, o->output, o->noise);
    return code < 0 ? tool_output(v, &o->common, o->output) : code;
}

/* Clip codebooks to features. */
static int run_clips(const verb *v, const decode_options *o, const char *input) {
    if (o->model || o->tokens || o->steps || o->noise || o->lossless || o->format)
        return args_wrong(v, "-t, -k, --steps, --noise, --lossless and --format are of pictures, "
                             "got an output of features");
    tool t;
    int code = tool_open(&t, v, &o->common);
    if (code >= 0) return code;
    results r;
    results_open(&r, &t);
    const tsr_clip_decode_settings s = {.items = o->items.at,
                                        .item_count = o->items.count,
                                        .vq_attention = o->vq_attention,
                                        .device = o->common.device,
                                        .damaged = add_damage,
                                        .damaged_user = &r};
    tsr_clip_decode_report report;
    const tsr_status status = tsr_clip_decode_file(t.ctx, input, o->output, &s, &report);
    const double seconds = tool_seconds() - t.started;
    char clips[32];
    if (status && status != TSR_ERROR_DAMAGED) {
        code = tool_fail(&t, status);
    } else if (t.o->json) {
        json_out j;
        tool_json(&t, &j);
        json_text(&j, "input", input);
        json_text(&j, "output", o->output);
        json_uint(&j, "item_count", report.items);
        json_uint(&j, "written", report.streams);
        token_damage_json(&r.damage, &j, report.recovered != 0);
        json_real(&j, "total_seconds", seconds);
        json_close(&j);
        code = tool_exit_code(status);
    } else {
        tool_say(&t, "%s: features of %s, %.2f s", args_is_stdout(o->output) ? "stdout" : o->output,
                 tool_count(report.streams, "clip", clips), seconds);
        if (status) tool_warn(&t, "%s", tsr_detail(t.ctx));
        code = tool_exit_code(status);
    }
    results_close(&r);
    tool_close(&t);
    return code;
}

static bool is_features(const char *path) {
    const size_t n = strlen(path);
    return n > 12 && !strcmp(path + n - 12, ".safetensors");
}

static int run(const verb *v, int argc, char **argv) {
    decode_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    char *beside = NULL;
    tool t;
    code = claim_output(v, &o, argv[0], &beside);
    if (code < 0) code = tool_not_input(v, o.output, o.vq_attention);
    if (code < 0 && is_features(o.output)) code = run_clips(v, &o, argv[0]);
    if (code < 0 && o.vq_attention)
        code =
            args_wrong(v, "--vq-attention: wanted with an output .safetensors, got %s", o.output);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code >= 0) {
        free(beside);
        return code;
    }
    tsr_decode_file_settings s = tsr_decode_file_settings_default();
    s.model.model = o.model;
    s.model.device = o.common.device;
    s.model.mask = o.common.mask;
    s.model.precision = (tsr_precision)o.common.precision;
    s.force = o.common.force;
    const bool video = o.format >= FIRST_VIDEO_FORMAT;
    s.picture = (tsr_picture_write_settings){.format = video ? NULL : formats[o.format],
                                             .quality = (int)o.quality,
                                             .lossless = o.lossless};
    s.video = (tsr_video_write_settings){.format = video ? formats[o.format] : NULL,
                                         .codec = o.codec,
                                         .crf = (int)o.crf,
                                         .preset = o.preset,
                                         .lossless = o.lossless};
    s.clip = o.clip;
    s.from = o.from;
    s.to = o.to;
    s.decode.tokens = o.tokens;
    s.decode.batch = o.batch;
    s.decode.sampling = (tsr_sampling_settings){.steps = o.steps,
                                                .guidance = (float)o.guidance,
                                                .mode = (tsr_guidance_mode)o.guidance_mode,
                                                .seed = o.seed};
    s.decode.noise = o.noise;
    s.decode.progress = tool_progress;
    s.decode.progress_user = &t;
    results r;
    tsr_decode_report report = {0};
    results_open(&r, &t);
    s.items = o.items.at;
    s.item_count = o.items.count;
    s.decoded = add_picture;
    s.damaged = add_damage;
    s.decoded_user = s.damaged_user = &r;
    s.report = &report;
    tsr_status status = tsr_decode_file(t.ctx, argv[0], o.output, &s);
    code = status && status != TSR_ERROR_DAMAGED && !report.undecodable
               ? tool_fail(&t, status)
               : finish(&t, argv[0], o.output, status, &r, &report);
    results_close(&r);
    tool_close(&t);
    free(beside);
    return code;
}

const verb verb_decode = {
    .name = "decode",
    .summary = "a token file to pictures, or a clip to a video",
    .usage =
        "tessera decode FILE.tess [-o OUT.png|OUT.jpg|...|OUTDIR|-] [-k N] [-t MODEL] [-f] "
        "[--item N|KEY]\n"
        "               [--format F] [--picture-quality Q | --lossless]\n"
        "               [--steps N] [--guidance W] [--guidance-mode apg|cfg] [--seed N | "
        "--noise FILE.npy]\n"
        "               [--device cpu|vulkan[:N]] [--precision f32|fast] [--json]\n"
        "tessera decode CLIP.tess [-o OUT.mp4|.mkv|.webm|.nut|.y4m|.gif|FRAMES/|-] [--clip N]\n"
        "               [--from S] [--to S] [--codec C] [--crf Q] [--preset P] [--lossless] "
        "[-k N]\n"
        "               [-t MODEL] [-f] [--json]\n"
        "tessera decode CLIPS.tess -o FEATURES.safetensors [--item N|KEY] [--vq-attention "
        "FILE] [--json]",
    .about =
        "Writes one item as the picture OUT, in the format that its suffix says (png, jpg, webp, "
        "avif, jxl, tiff, ppm), and several into a folder, each named after the picture it came "
        "from; "
        "equal names get -2, -3 and so on. Pictures that are complete stay when it is stopped. A "
        "file made with other weights is refused; -f decodes it and warns. Of a file that is cut "
        "or "
        "damaged every whole picture is written, and each damaged one gets a line.\n\n"
        "A clip becomes a video: H.264 in mp4 (yuv420p, BT.709, index in front) or mkv, VP9 in "
        "webm, "
        "FFV1 in mkv with --lossless, y4m on stdout, GIF, or a folder of PNG frames with "
        "frames.json. Frames keep the times of their source, as exactly as the container can; y4m "
        "has a constant rate and holds frames, and GIF counts 1/100 s. Odd sizes are padded to "
        "even "
        "ones for H.264 by repeating the last row and column, which is said. There is no sound. "
        "The "
        "video appears under its name when it is complete.\n\n"
        "Clip codebooks (encode --clip-codebook) become features again, where the output ends in "
        ".safetensors: a token set for each clip, with ids, codebook and gains as columns. There "
        "is no way from features to pixels.",
    .exits = "1 when the file is cut or damaged; what is whole was written\n"
             "5 when the file was made with another tokenizer or other weights",
    .examples = "# one picture\n"
                "tessera decode photo.tess -o back.png\n"
                "# all pictures of a file, as JPEG\n"
                "tessera decode album.tess -o pictures/ --format jpg --picture-quality 90\n"
                "# the first picture, and one by its name\n"
                "tessera decode album.tess --item 0 --item beach.jpg -o pictures/\n"
                "# how it looks with 16 ids a tile\n"
                "tessera decode photo.tess -k 16 -o coarse.png\n"
                "# a clip as a video, near to lossless, and two seconds of it as frames\n"
                "tessera decode clip.tess -o clip.mp4 --crf 12\n"
                "tessera decode clip.tess -o frames/ --from 3 --to 5\n"
                "# the features of clips\n"
                "tessera decode clips.tess -o features.safetensors\n"
                "# in a pipe\n"
                "tessera decode - -o - < photo.tess > back.png",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
