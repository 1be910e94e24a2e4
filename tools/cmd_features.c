/* SPDX-License-Identifier: MIT */
/* cmd_features.c: what a vision tower makes of pictures, as token sets. */
#include "operator_text.h"
#include "tool.h"
#include "video_options.h"

#include <tessera/features.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct features_options {
    common_options common;
    const char *output, *model, *layers, *attention, *files_from;
    int keys, project, pool, tiles, f16, key, on_error, files_from_zero;
    uint32_t batch;
    text_list operations;
    video_choices video;
    uint8_t background[3];
} features_options;

#define AT(field) offsetof(features_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", NULL,
     "where to write: F.safetensors or F.npz for all pictures; or a folder (a new one with / "
     "behind "
     "its name), which gets KEY.safetensors for each picture; '-' is safetensors on stdout",
     NULL, 0, 0},
    {"tower", 't', OPTION_MODEL, AT(model), "TOWER", NULL,
     "the tower: a safetensors file, the published folder with it (or with the index of several "
     "files) and its config.json, or an ORG/NAME of Hugging Face's that is in its cache",
     NULL, 0, 0},
    {"layer", 0, OPTION_TEXT, AT(layers), "LIST", "the tower's usual",
     "hidden layers, 0 (the input of the first block) to L (the output of the last), with commas "
     "between, at most 8; the first is called features, the others features.N. Without it: L-1 of "
     "CLIP and SigLIP, as language models take it; L after the final norm of DINOv2; L of Qwen2-VL",
     NULL, 0, 0},
    {"keys", 0, OPTION_FLAG, AT(keys), NULL, NULL,
     "also the keys of attention in the block before the first layer", NULL, 0, 0},
    {"attention", 0, OPTION_TEXT, AT(attention), "ROWS[:BLOCK]", "none",
     "also attention: 'class' is that of the class row to the patches, 'full' that of all rows; "
     "BLOCK 0 to L-1, without it the block before the first layer",
     "class|full", 0, 0},
    {"op", 0, OPTION_TEXTS, AT(operations), "OPERATION", NULL,
     "apply an operator of reduce to each token set before it is written: NAME or "
     "NAME:KEY=VALUE,...; several are applied one after the other, and so are those between '|'",
     NULL, 0, 0},
    {"project", 0, OPTION_FLAG, AT(project), NULL, NULL,
     "put the features, or the rows that --op left of them, through the projector, of weights that "
     "have one (LLaVA, Qwen2-VL)",
     NULL, 0, 0},
    {"anyres", 0, OPTION_CHOICE, AT(tiles), "A", "none",
     "cut each picture into tiles beside the whole of it: next, as LLaVA-1.6 does (2 to 4 tiles), "
     "or "
     "onevision, as LLaVA-OneVision does (1 to 36). Rows come as a language model takes them: the "
     "whole picture's, then the tiles' row by row, with --project an image_newline behind each row "
     "where the weights have one",
     "none|next|onevision", 0, 0},
    {"pool", 0, OPTION_CHOICE, AT(pool), "P", "none",
     "halve the grid of each picture, as LLaVA-OneVision does with the frames of a video: bilinear "
     "(OneVision's; 27 x 27 become 14 x 14), average or max of 2 x 2",
     "none|bilinear|average|max", 0, 0},
    {"dtype", 0, OPTION_CHOICE, AT(f16), "T", "f32",
     "how numbers are stored: f16 halves the file; positions stay f32", "f32|f16", 0, 0},
    {"key", 0, OPTION_CHOICE, AT(key), "K", "auto", "what a picture is called, as in encode",
     "name|path|stem|auto", 0, 0},
    {"files-from", 0, OPTION_TEXT, AT(files_from), "LIST", "not used",
     "also takes the inputs that this file names, one a line; '-' is stdin", NULL, 0, 0},
    {"null", '0', OPTION_FLAG, AT(files_from_zero), NULL, NULL,
     "the inputs in LIST end with a zero byte, as find -print0 writes them", NULL, 0, 0},
    {"batch", 0, OPTION_UINT, AT(batch), "N", "chosen from memory",
     "pictures computed together; never changes a number", NULL, 1, TSR_MAX_BATCH},
    {"on-error", 0, OPTION_CHOICE, AT(on_error), "E", "skip",
     "what a picture that cannot be read does: skip leaves it out and ends with exit code 1; stop "
     "ends the work",
     "skip|stop", 0, 0},
    {"background", 0, OPTION_COLOUR, AT(background), "RRGGBB", "ffffff",
     "the colour under transparent pixels of videos; pictures lose their alpha, as the towers' own "
     "processors do it",
     NULL, 0, 0},
#include "video_options.def"
};

/* Reads "3,12,23". Returns -1, or the exit code after a mistake. */
static int read_layers(const verb *v, const char *text, tsr_feature_request *q) {
    for (const char *p = text; p && *p;) {
        char *end;
        const unsigned long n = *p >= '0' && *p <= '9' ? strtoul(p, &end, 10) : 10000;
        if (n > 1000 || (*end && *end != ',') || q->layer_count == TSR_FEATURE_LAYERS_MOST)
            return args_wrong(v, "--layer: wanted up to %d whole numbers such as 12,23, got '%s'",
                              TSR_FEATURE_LAYERS_MOST, text);
        q->layers[q->layer_count++] = (int)n;
        p = *end ? end + 1 : end;
    }
    if (text && !q->layer_count) return args_wrong(v, "--layer: wanted numbers, got none");
    return -1;
}

/* Reads "class", "full:22". Returns -1, or the exit code after a mistake. */
static int read_attention(const verb *v, const char *text, tsr_feature_request *q) {
    char *end;
    if (!text) return -1;
    const size_t size = strcspn(text, ":");
    if (size == 5 && !strncmp(text, "class", 5))
        q->attention = TSR_ATTENTION_CLASS;
    else if (size == 4 && !strncmp(text, "full", 4))
        q->attention = TSR_ATTENTION_FULL;
    else
        return args_wrong(v, "--attention: wanted class or full, and :BLOCK, got '%s'", text);
    if (!text[size]) return -1;
    const char *number = text + size + 1;
    const unsigned long n = *number >= '0' && *number <= '9' ? strtoul(number, &end, 10) : 10000;
    if (n > 1000 || *end)
        return args_wrong(v, "--attention: wanted the number of a block behind ':', got '%s'",
                          number);
    q->attention_layer = (int)n;
    return -1;
}

/* The request that the options are. Returns -1, or the exit code after a mistake. */
static int read_request(const verb *v, const features_options *o, tsr_feature_request *q) {
    int code = read_layers(v, o->layers, q);
    q->keys = o->keys;
    q->project = o->project;
    q->pooling = (tsr_pooling)o->pool;
    q->tiling = (tsr_tiling)o->tiles;
    if (q->layer_count) /* beside a layer stands the block that makes it */
        q->key_layer = q->attention_layer = q->layers[0] ? q->layers[0] - 1 : 0;
    return code < 0 ? read_attention(v, o->attention, q) : code;
}

enum { MOST_REMARKS = sizeof((tsr_features_report *)0)->remarks / 240 };

/* The pictures that failed, as JSON. */
typedef struct failures {
    tool *t;
    json_out j; /* file NULL: not asked for */
    char *text;
    size_t size;
    uint64_t count;
    char first[1200]; /* waits for a second one: alone it may be the failure of the call */
} failures;

static void say_first(failures *l) {
    if (*l->first) tool_warn(l->t, "%s", l->first);
    *l->first = 0;
}

/* tsr_encode_failure_fn */
static void failed_one(void *user, const tsr_encode_failure *f) {
    failures *l = user;
    char text[1200], clean[1200];
    snprintf(text, sizeof text, "%s: %s", tsr_status_text(f->status), f->detail);
    tool_progress_clear(l->t);
    tool_clean(text, clean, sizeof clean);
    if (l->count++) {
        say_first(l);
        tool_warn(l->t, "%s", clean);
    } else
        snprintf(l->first, sizeof l->first, "%s", clean);
    if (!l->j.file) return;
    json_object(&l->j, NULL);
    json_text(&l->j, "input", f->input);
    json_text(&l->j, "name", tsr_status_name(f->status));
    json_text(&l->j, "detail", f->detail);
    json_end(&l->j, '}');
}

static void print_json(tool *t, const features_options *o, const tsr_features_report *r,
                       bool videos, const char *list) {
    const bool reduced = o->operations.count > 0;
    json_out j;
    tool_json(t, &j);
    json_text(&j, "output", o->output);
    json_uint(&j, "pictures", r->pictures);
    json_bool(&j, "videos", videos);
    json_uint(&j, "rows", r->rows);
    json_uint(&j, "bytes", r->bytes);
    json_text(&j, "dtype", o->f16 ? "f16" : "f32");
    json_text(&j, "device", r->device);
    json_text(&j, "precision", o->common.precision ? "fast" : "f32");
    json_object(&j, "tower");
    json_text(&j, "name", r->tower.name);
    json_text(&j, "family", r->tower.family);
    json_hash(&j, "weights_hash", r->tower.weights_hash);
    json_uint(&j, "layers", r->tower.layers);
    json_uint(&j, "channels", r->tower.channels);
    json_uint(&j, "heads", r->tower.heads);
    json_uint(&j, "patch", r->tower.patch);
    json_uint(&j, "feature_layer", r->tower.feature_layer);
    json_uint(&j, "projected", r->tower.projected);
    json_end(&j, '}');
    if (reduced) {
        json_object(&j, "operators");
        report_json(&j, &r->operators);
        json_end(&j, '}');
    }
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_uint(&j, "failed", r->failed);
    if (r->failed && list) json_raw(&j, "failures", list);
    if (videos) {
        json_array(&j, "remarks");
        for (size_t i = 0; i < MOST_REMARKS && *r->remarks[i]; ++i)
            json_text(&j, NULL, r->remarks[i]);
        json_end(&j, ']');
    }
    json_close(&j);
}

static void say(tool *t, const features_options *o, const tsr_features_settings *s,
                const tsr_features_report *r) {
    char pictures[32], rows[32], bytes[32];
    tool_say(t, "%s: %s, %s, %s, %.2f s", args_is_stdout(o->output) ? "stdout" : o->output,
             tool_count(r->pictures, s->is_video ? "frame" : "picture", pictures),
             tool_count(r->rows, "row", rows), tool_bytes(r->bytes, bytes, sizeof bytes),
             tool_seconds() - t->started);
    tool_say(t, "%s, weights %016" PRIx64 ", on %s%s", r->tower.name, r->tower.weights_hash,
             r->device, o->common.precision ? ", fast precision" : "");
    if (s->operation_count && o->common.verbose) report_text(t, s->operations, &r->operators);
    for (size_t i = 0; i < MOST_REMARKS && *r->remarks[i]; ++i) {
        char line[256];
        tool_say(t, "%s", tool_clean(r->remarks[i], line, sizeof line));
    }
    if (r->failed && s->is_video)
        tool_say(t, "%" PRIu64 " %s not read to the end, as said above", r->failed,
                 r->failed == 1 ? "video was" : "videos were");
    else if (r->failed)
        tool_say(t, "%" PRIu64 " %s left out, as said above", r->failed,
                 r->failed == 1 ? "picture was" : "pictures were");
}

/* Whether the inputs are videos, and how they are read. Returns -1, or the exit code after a
 * mistake. */
static int read_videos(const verb *v, const features_options *o, char **inputs, int count,
                       video_meaning *m, tsr_features_settings *s) {
    const int code = video_meaning_read(v, &o->video, m);
    const int videos = code < 0 ? video_inputs(&o->video, inputs, count) : 0;
    if (videos == 2)
        return args_wrong(v, "wanted either pictures or videos, got both: two calls take them");
    if (videos && o->files_from) return args_wrong(v, "--files-from: wanted pictures, got videos");
    memcpy(m->settings.background, o->background, 3);
    s->is_video = videos;
    s->video = m->settings;
    s->frames = m->choice;
    return code;
}

/* Computes and reports. */
static int work(tool *t, const features_options *o, tsr_features_settings *s, char **inputs,
                int count) {
    tsr_features_report report;
    failures l = {.t = t};
    if (o->common.json) {
        FILE *f = open_memstream(&l.text, &l.size);
        if (f) fputc('[', f);
        l.j.file = f;
    }
    s->model = (tsr_model_settings){.model = o->model,
                                    .device = o->common.device,
                                    .mask = o->common.mask,
                                    .precision = (tsr_precision)o->common.precision};
    s->failed = failed_one;
    s->failed_user = &l;
    s->progress = tool_progress;
    s->progress_user = t;
    const tsr_status status =
        tsr_features_files(t->ctx, (const char *const *)inputs, count, o->output, s, &report);
    if (l.j.file) {
        fputc(']', l.j.file);
        if (fclose(l.j.file)) {
            free(l.text);
            l.text = NULL;
        }
    }
    tool_progress_clear(t);
    int code = report.failed ? EXIT_NEGATIVE : EXIT_DONE;
    if (!status) say_first(&l);
    if (status)
        code = tool_fail(t, status);
    else if (o->common.json)
        print_json(t, o, &report, s->is_video != 0, l.text);
    else
        say(t, o, s, &report);
    free(l.text);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    features_options o = {.key = TSR_KEY_AUTO, .background = {255, 255, 255}};
    video_meaning video;
    tsr_features_settings s = tsr_features_settings_default();
    int operands;
    tool t;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!operands && !o.files_from) return args_wrong(v, "IN is missing");
    if (!o.output) return args_wrong(v, "-o OUT is missing");
    if (!o.model) return args_wrong(v, "-t TOWER is missing");
    code = read_request(v, &o, &s.request);
    if (code < 0) code = read_videos(v, &o, argv, operands, &video, &s);
    s.source.key = (tsr_key)o.key;
    s.source.files_from = o.files_from;
    s.source.files_from_zero = o.files_from_zero;
    s.f16 = o.f16;
    s.batch = o.batch;
    s.on_error = o.on_error ? TSR_ON_ERROR_STOP : TSR_ON_ERROR_SKIP;
    if (code < 0) code = tool_not_input(v, o.output, o.model);
    if (code < 0) code = tool_not_input(v, o.output, o.files_from);
    for (int i = 0; i < operands && code < 0; ++i)
        code = tool_not_input(v, o.output, argv[i]);
    if (code < 0) code = tool_output(v, &o.common, o.output);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code >= 0) return code;
    chain c = {0};
    char *copies[MOST_TEXTS] = {0};
    for (int i = 0; i < o.operations.count && code < 0; ++i) {
        copies[i] = strdup(o.operations.at[i]);
        code = copies[i] ? chain_add(&t, &c, copies[i])
                         : tool_fail_text(&t, TSR_ERROR_MEMORY, "no memory for the operations");
    }
    s.operations = c.at;
    s.operation_count = c.count;
    if (code < 0) code = work(&t, &o, &s, argv, operands);
    for (int i = 0; i < MOST_TEXTS; ++i)
        free(copies[i]);
    tool_close(&t);
    return code;
}

const verb verb_features = {
    .name = "features",
    .summary = "features of pictures by a vision tower, as token sets",
    .usage =
        "tessera features IN... -t TOWER -o F.safetensors|F.npz|DIR/ [--layer N,...] [--keys]\n"
        "                 [--attention class|full[:BLOCK]] [--op OPERATION ...] [--project]\n"
        "                 [--anyres next|onevision] [--pool P] [--dtype f32|f16] [--key K]\n"
        "                 [--files-from LIST [-0]] [--batch N] [--on-error skip|stop] [-f]\n"
        "                 [--device cpu|vulkan[:N]] [--json]\n"
        "tessera features VIDEO... -t TOWER -o F.safetensors|F.npz|DIR/\n"
        "                 [--frames N[:RULE] | --fps F[:RULE]] [--every N | --keyframes]\n"
        "                 [--scenes [T]] [--cover N | --clips C:N[:GAP]] [--start S] [--end S] ...",
    .about =
        "Runs CLIP, SigLIP, DINOv2 or Qwen2-VL's tower over pictures and writes one row of numbers "
        "for each patch, with its position. Pictures are resized and cut as "
        "preprocessor_config.json beside the "
        "weights says, or as the family usually is. Inputs are what encode takes: pictures, "
        "folders, "
        "archives, pipes.\n"
        "With --op operators (tessera reduce --list) choose or merge the rows of each picture, and "
        "with --project the projector takes those that remain; on a GPU tower, operators and "
        "projector are one program, and the rows never leave the device in between.\n"
        "Each picture becomes a token set: KEY/features, KEY/positions, and what was asked for, "
        "KEY/class, KEY/keys, KEY/attention; with a single picture the names have no KEY/. "
        "Pictures "
        "are read one after the other, and numbers are written as they are made.\n"
        "Of videos the frames that the options choose are the pictures ('tessera frames' lists "
        "which): KEY is NAME/000012, the video's name and the number of the frame in it.",
    .exits = "1: pictures that could not be read were left out",
    .examples =
        "# the rows that LLaVA-1.5's projector takes\n"
        "tessera features photos/ -t clip-vit-large-patch14-336 -o photos.safetensors\n"
        "# with what operators look at: keys, and the class row's attention in block 22\n"
        "tessera features photo.jpg -t clip-vit-large-patch14-336 -o photo.npz --keys "
        "--attention class:22\n"
        "# the 64 rows that the class row looks at most, as LLaVA's language model takes them\n"
        "tessera features photo.jpg -t llava-1.5-7b-hf -o photo.npz --attention class:22 \\\n"
        "    --op cls-attention-topk:k=64 --project\n"
        "# 32 frames of a video, spread evenly\n"
        "tessera features clip.mp4 -t siglip-so400m-patch14-384 -o clip.safetensors --frames 32",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0, /* --files-from may bring them */
    .most_operands = -1,
    .operands = "IN",
    .run = run,
};
