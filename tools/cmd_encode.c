/* SPDX-License-Identifier: MIT */
/* cmd_encode.c: pictures to a token file. */
#include "encode_clip.h"
#include "encode_options.h"
#include "video_options.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct encode_options {
    common_options common;
    const char *output;
    encode_choices choices;
    clip_choices clip;
    video_choices video;
    int check, on_error;
} encode_options;

#define AT(field) offsetof(encode_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT.tess", "beside a single IN: IN.tess",
     "where to write; '-' is stdout. The file appears when it is complete", NULL, 0, 0},
#include "encode_options.def"
    {"check", 0, OPTION_FLAG, AT(check), NULL, NULL,
     "decode again and report the mean absolute error, and with --quality how many pictures kept "
     "it",
     NULL, 0, 0},
    {"on-error", 0, OPTION_CHOICE, AT(on_error), "E", "stop",
     "what a picture that cannot be read does to the others: stop (nothing is encoded when a look "
     "at the headers finds one; later, what was done is kept as OUT.partial.tess), or skip (the "
     "others are encoded, exit code 1)",
     "stop|skip", 0, 0},
    {"clip-codebook", 0, OPTION_TEXT, AT(clip.rule), "RULE", NULL,
     "IN are features of clips (token sets .safetensors with a grid, or .npy [frames, rows, "
     "columns, "
     "channels]), or with -t TOWER pictures, the frames of one clip; each clip becomes K vectors "
     "and an index map: K, a number; elbow, where the "
     "distortion bends most; or error=E, the smallest K whose mean 1 - cosine is at most E",
     NULL, 0, 0},
    {"codebook-type", 0, OPTION_CHOICE, AT(clip.type), "T", "f16",
     "how the vectors of --clip-codebook are stored; int8 has one scale a vector", "f16|f32|int8",
     0, 0},
    {"gains", 0, OPTION_FLAG, AT(clip.gains), NULL, NULL,
     "with --clip-codebook: store the length of each feature too, 2 bytes a cell before coding; "
     "without it directions come back alone",
     NULL, 0, 0},
    {"least-k", 0, OPTION_UINT, AT(clip.least), "K", "12; of error=E 1",
     "fewest vectors that elbow and error=E look at", NULL, 1, 1u << 26},
    {"most-k", 0, OPTION_UINT, AT(clip.most), "K", "32; of error=E 256",
     "most vectors that elbow and error=E look at", NULL, 1, 1u << 26},
    {"first-rows", 0, OPTION_CHOICE, AT(clip.first), "F", "max-min",
     "with --clip-codebook: the cells that clustering begins with, far from each other (max-min), "
     "or drawn by k-means++ with --seed",
     "max-min|drawn", 0, 0},
    {"project", 0, OPTION_FLAG, AT(clip.project), NULL, NULL,
     "with --clip-codebook and -t TOWER: put the features through the projector of its weights, "
     "and keep its learned newline",
     NULL, 0, 0},
    {"features-of", 0, OPTION_TEXT, AT(clip.source), "TEXT", "what the input says",
     "with --clip-codebook: what made the features (tower, layer, projector), kept in the file",
     NULL, 0, 0},
#include "video_options.def"
};

enum { MOST_REMARKS = sizeof((tsr_encode_videos_report *)0)->remarks / 240 };

typedef struct listing {
    tool *t;
    const encode_options *o;
    json_out j; /* the items, as one document; file NULL without --json */
    char *text;
    size_t size;
    json_out bad; /* the pictures that failed, likewise */
    char *bad_text;
    size_t bad_size;
    uint64_t failed;
    char first[1200]; /* said when a second one comes; a single one is said at the end */
} listing;

/* Four digits each: they are for looking at, not for computing with. */
static void write_reals(listing *l, const char *key, const float *values, uint64_t n) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) return;
    fputc('[', f);
    for (uint64_t i = 0; i < n; ++i) {
        if (i) fputs(", ", f);
        if (isfinite(values[i]))
            fprintf(f, "%.4g", (double)values[i]);
        else
            fputs("null", f);
    }
    fputc(']', f);
    if (!fclose(f)) json_raw(&l->j, key, text);
    free(text);
}

static void list_tiles(listing *l, const tsr_encoded *e) {
    const tsr_selection_details *d = e->details;
    uint64_t at = 0;
    json_array(&l->j, "tiles_judged");
    for (uint32_t i = 0; i < e->item->tile_columns * e->item->tile_rows; ++i) {
        json_object(&l->j, NULL);
        json_uint(&l->j, "tokens", e->item->counts[i]);
        write_reals(l, "halting", d->halting + (uint64_t)i * d->positions, d->positions);
        if (d->margin)
            write_reals(l, "margin", d->margin + at, e->item->counts[i]);
        else
            json_null(&l->j, "margin"); /* vectors: nothing is nearest */
        json_end(&l->j, '}');
        at += e->item->counts[i];
    }
    json_end(&l->j, ']');
}

/* tsr_encoded_fn */
static void done_one(void *user, const tsr_encoded *e) {
    listing *l = user;
    const tsr_target *target = &e->item->target;
    const uint64_t tokens = tsr_token_item_total(e->item);
    if (target->metric && !e->reached) {
        char clean[256];
        tool_progress_clear(l->t);
        tool_say(l->t, "%s: out of reach: %s %.4g with all %" PRIu64 " tokens",
                 tool_clean(e->item->key, clean, sizeof clean), tsr_target_name(target->metric),
                 (double)target->reached, tokens);
    }
    const bool short_of = e->predicted > l->o->choices.quality;
    if (short_of && l->t->o->verbose) {
        char clean[256];
        tool_say(l->t, "%s: predicted error %.4f with its %" PRIu64 " tokens, out of reach of %g",
                 tool_clean(e->item->key, clean, sizeof clean), e->predicted, tokens,
                 l->o->choices.quality);
    }
    if (!l->j.file) return;
    json_object(&l->j, NULL);
    json_text(&l->j, "key", e->item->key);
    json_uint(&l->j, "tokens", tokens);
    if (!isnan(e->predicted)) {
        json_real(&l->j, "predicted_error", e->predicted);
        json_bool(&l->j, "out_of_reach", short_of);
    }
    if (l->o->check) json_real(&l->j, "mean_absolute_error", e->error);
    if (target->metric) {
        json_real(&l->j, "reached", (double)target->reached);
        json_bool(&l->j, "target_reached", e->reached != 0);
        json_uint(&l->j, "decodes", e->decodes);
    }
    if (e->details) {
        json_real(&l->j, "quality", (double)e->item->quality);
        json_uint(&l->j, "complexity", tokens);
        list_tiles(l, e);
    }
    json_end(&l->j, '}');
}

/* tsr_encode_failure_fn: each bad picture is one line, but a single one that ends the work is that
 * of the failure itself. */
static void failed_one(void *user, const tsr_encode_failure *f) {
    listing *l = user;
    char text[1200], clean[1200];
    snprintf(text, sizeof text, "%s: %s", tsr_status_text(f->status), f->detail);
    tool_clean(text, clean, sizeof clean);
    tool_progress_clear(l->t);
    const bool quiet = l->o->common.quiet > 1;
    if (l->failed++ == 0 && l->o->on_error == TSR_ON_ERROR_STOP)
        snprintf(l->first, sizeof l->first, "%s", clean);
    else {
        if (*l->first && !quiet) fprintf(stderr, "tessera encode: %s\n", l->first);
        *l->first = 0;
        if (!quiet) fprintf(stderr, "tessera encode: %s\n", clean);
    }
    if (!l->bad.file) return;
    json_object(&l->bad, NULL);
    json_text(&l->bad, "input", f->input);
    json_text(&l->bad, "name", tsr_status_name(f->status));
    json_text(&l->bad, "detail", f->detail);
    json_end(&l->bad, '}');
}

static void begin_list(json_out *j, char **text, size_t *size) {
    FILE *f = open_memstream(text, size);
    if (!f) return;
    *j = (json_out){.file = f};
    fputc('[', f);
}

static void end_list(json_out *j, char **text) {
    if (!j->file) return;
    fputs(j->filled[0] ? "\n  ]" : "]", j->file);
    if (!fclose(j->file)) return;
    free(*text);
    *text = NULL;
}

static void print_json(tool *t, const encode_options *o, int inputs,
                       const tsr_encode_videos_report *all, const char *items,
                       const char *failures) {
    const tsr_encode_report *r = &all->frames;
    json_out j;
    tool_json(t, &j);
    json_text(&j, "output", o->output);
    json_int(&j, "inputs", inputs);
    if (all->clips) json_uint(&j, "clips", all->clips);
    json_uint(&j, "pictures", all->clips ? all->frame_count : r->pictures);
    json_uint(&j, "tiles", r->tiles);
    json_uint(&j, "tokens", r->tokens);
    json_uint(&j, "bytes", r->bytes);
    json_uint(&j, "near_ties", r->near_ties);
    json_real(&j, "seconds", r->seconds);
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_text(&j, "device", r->model.device);
    tool_stages(&j, r->model.vectors ? "encode" : "encode quantize", r->model.device,
                r->model.host_stages);
    json_text(&j, "precision", o->common.precision ? "fast" : "f32");
    json_text(&j, "tokenizer", r->model.tokenizer);
    json_hash(&j, "weights_hash", r->model.weights_hash);
    json_uint(&j, "changed_keys", r->changed_keys);
    json_uint(&j, "equal_keys", r->equal_keys);
    tool_unused_keys(&j, &r->unused_keys);
    if (r->predicted) {
        json_uint(&j, "out_of_reach", r->out_of_reach);
        json_real(&j, "out_of_reach_share", (double)r->out_of_reach / (double)r->predicted);
    }
    if (o->choices.target) {
        json_text(&j, "target", o->choices.target);
        json_uint(&j, "target_reached", r->target_reached);
        json_uint(&j, "target_decodes", r->target_decodes);
    }
    if (o->check) {
        json_real(&j, "mean_absolute_error", r->error_sum / (double)r->pictures);
        if (o->choices.quality > 0)
            json_uint(&j, "within_quality", r->within_quality);
        else
            json_null(&j, "within_quality");
        json_text(&j, "compared_with",
                  r->model.fit == TSR_FIT_TILE ? "the picture" : "the picture as fitted");
    }
    if (r->chooses) {
        json_uint(&j, "complexity", r->tokens);
        if (r->quality_bin >= 0) {
            json_object(&j, "quality_bin");
            json_int(&j, "index", r->quality_bin);
            json_real(&j, "value", (double)r->quality_taken);
            json_end(&j, '}');
        } else
            json_null(&j, "quality_bin");
    }
    tool_stage_seconds(&j, &r->stages);
    json_uint(&j, "failed", r->failed);
    if (r->failed && failures) json_raw(&j, "failures", failures);
    if (all->clips) {
        json_array(&j, "remarks");
        for (size_t i = 0; i < MOST_REMARKS && *all->remarks[i]; ++i)
            json_text(&j, NULL, all->remarks[i]);
        json_end(&j, ']');
    }
    if (items) json_raw(&j, "items", items);
    json_close(&j);
}

static void say(tool *t, const encode_options *o, const tsr_encode_videos_report *all) {
    const tsr_encode_report *r = &all->frames;
    const uint64_t clips = all->clips;
    char number[32], clip[40] = "", pictures[32], tiles[32], tokens[32], ties[48], bytes[32] = "";
    const bool pipe = tool_is_stream(o->output); /* its bytes are not known here */
    if (!pipe) tool_bytes(r->bytes, bytes, sizeof bytes);
    snprintf(ties, sizeof ties, "%" PRIu64 " near %s", r->near_ties,
             r->near_ties == 1 ? "tie" : "ties");
    if (clips) snprintf(clip, sizeof clip, "%s, ", tool_count(clips, "clip", number));
    tool_say(t, "%s: %s%s, %s, %s%s%s, %s, %.2f s",
             args_is_stdout(o->output) ? "stdout" : o->output, clip,
             clips ? tool_count(all->frame_count, "frame", pictures)
                   : tool_count(r->pictures, "picture", pictures),
             tool_count(r->tiles, "tile", tiles), tool_count(r->tokens, "token", tokens),
             pipe ? "" : ", ", bytes, ties, r->seconds);
    char on_host[96];
    tool_say(t, "%s, weights %016" PRIx64 ", on %s%s%s", r->model.tokenizer, r->model.weights_hash,
             r->model.device,
             tool_on_host(r->model.device, r->model.host_stages, on_host, sizeof on_host),
             o->common.precision ? ", fast precision" : "");
    if (o->common.verbose) tool_say_stages(t, &r->stages);
    if (r->failed && clips)
        tool_say(t, "%" PRIu64 " %s not read to the end, as said above", r->failed,
                 r->failed == 1 ? "video was" : "videos were");
    else if (r->failed)
        tool_say(t, "%" PRIu64 " %s left out, as said above", r->failed,
                 r->failed == 1 ? "picture was" : "pictures were");
    for (size_t i = 0; i < MOST_REMARKS && *all->remarks[i] && !o->common.verbose; ++i) {
        char line[256];
        tool_say(t, "%s", tool_clean(all->remarks[i], line, sizeof line));
    }
    if (o->common.precision)
        tool_say(t, "'tessera bench --agreement' measures how many ids are those of f32");
    if (r->predicted)
        tool_say(t,
                 "%" PRIu64 " of %" PRIu64 " pictures (%.0f %%) are predicted out of reach of "
                 "--quality %g with all their ids%s",
                 r->out_of_reach, r->predicted,
                 100 * (double)r->out_of_reach / (double)r->predicted, o->choices.quality,
                 r->out_of_reach && !o->common.verbose ? "; -v names them" : "");
    if (r->equal_keys && o->choices.key != TSR_KEY_PATH)
        tool_say(t, "%" PRIu64 " of the keys %s there before; --key path tells folders apart",
                 r->equal_keys, r->equal_keys == 1 ? "was" : "were");
    if (o->choices.target)
        tool_say(t, "%" PRIu64 " of %" PRIu64 " pictures reach %s, found by %" PRIu64 " decodes",
                 r->target_reached, r->pictures, o->choices.target, r->target_decodes);
    if (r->quality_bin >= 0)
        tool_say(t, "tolerated error %.3g: number %d of the 0 to %d this tokenizer tells apart",
                 (double)r->quality_taken, r->quality_bin, r->quality_bins - 1);
    if (r->chooses)
        tool_say(t, "complexity (KC) %.1f tokens a picture",
                 (double)r->tokens / (double)(r->pictures ? r->pictures : 1));
    if (o->check)
        tool_say(t, "mean absolute error %.4f%s", r->error_sum / (double)r->pictures,
                 r->model.fit == TSR_FIT_TILE ? "" : ", of the picture as it was fitted");
    if (o->check && o->choices.quality > 0)
        tool_say(t, "%" PRIu64 " of %" PRIu64 " pictures within %g", r->within_quality, r->pictures,
                 o->choices.quality);
}

/* Bytes of a path without its suffix, and of a folder's without the '/' behind it. */
static size_t stem_of(const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        --n;
    const bool folder = path[n] == '/';
    size_t name = n, dot = n;
    while (name && path[name - 1] != '/')
        --name;
    for (size_t i = name + 1; i < n; ++i)
        if (path[i] == '.') dot = i;
    const bool packed = dot - name > 4 && !memcmp(path + dot - 4, ".tar", 4);
    return folder ? n : packed ? dot - 4 : dot;
}

/* Finds the output, beside a single input where none is named, and refuses what must not be one.
 * *beside is malloc'd when it was made here. */
static int claim_output(const verb *v, encode_options *o, char **inputs, int count, char **beside) {
    if (!o->output) {
        if (count > 1 || o->choices.files_from)
            return args_wrong(v, "-o OUT.tess is missing: wanted with several inputs");
        if (tool_is_stream(inputs[0]))
            return args_wrong(v, "-o OUT.tess is missing: %s has no name to put it beside",
                              inputs[0]);
        if (asprintf(beside, "%.*s.tess", (int)stem_of(inputs[0]), inputs[0]) < 0) *beside = NULL;
        if (!*beside) return EXIT_FILES;
        o->output = *beside;
    }
    int code = tool_not_input(v, o->output, o->choices.model);
    if (code < 0) code = tool_not_input(v, o->output, o->choices.noise);
    if (code < 0) code = tool_not_input(v, o->output, o->choices.files_from);
    if (code < 0) code = tool_not_input(v, o->output, o->choices.attributes);
    for (int i = 0; i < count && code < 0; ++i)
        code = tool_not_input(v, o->output, inputs[i]);
    return code < 0 ? tool_output(v, &o->common, o->output) : code;
}

/* Encodes pictures, or with `videos` videos. */
static tsr_status encode(tool *t, const encode_options *o, const tsr_encode_files_settings *s,
                         const video_meaning *videos, char **inputs, int count,
                         tsr_encode_videos_report *report) {
    if (!videos)
        return tsr_encode_files(t->ctx, (const char *const *)inputs, count, o->output, s,
                                &report->frames);
    const tsr_encode_videos_settings v = {
        .files = *s, .video = videos->settings, .frames = videos->choice};
    return tsr_encode_videos(t->ctx, (const char *const *)inputs, count, o->output, &v, report);
}

/* Refuses pictures and videos in one call. */
static int check_inputs(const verb *v, const encode_options *o, char **inputs, int count,
                        int *videos) {
    *videos = video_inputs(&o->video, inputs, count);
    if (*videos == 2)
        return args_wrong(v,
                          "wanted either pictures or videos, got both: encode them one after the "
                          "other and 'tessera merge' the files");
    if (*videos && o->choices.files_from)
        return args_wrong(v, "--files-from: wanted pictures, got videos");
    return -1;
}

/* --clip-codebook: of the other options those hold that are not of pictures alone. */
static int run_clips(const verb *v, encode_options *o, encode_meaning *m,
                     const video_meaning *video, int videos, char **inputs, int count) {
    tool t;
    const clip_job job = {.choices = &o->clip,
                          .common = &o->common,
                          .output = o->output,
                          .inputs = inputs,
                          .input_count = count,
                          .tower = &m->model,
                          .source = &m->source,
                          .video = video,
                          .is_video = videos,
                          .seed = o->choices.seed,
                          .file = m->file,
                          .on_error = (tsr_on_error)o->on_error};
    int code = count ? encode_clips_check(v, &job)
                     : args_wrong(v, "--clip-codebook: IN is missing on the command line");
    if (code < 0) code = tool_open(&t, v, &o->common);
    if (code >= 0) return code;
    m->model.model = o->choices.model; /* located by now */
    return encode_clips(&t, &job);
}

static int run(const verb *v, int argc, char **argv) {
    encode_options o = {.choices = ENCODE_CHOICES};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!operands && !o.choices.files_from) return args_wrong(v, "IN is missing");
    encode_meaning m;
    video_meaning video;
    int videos = 0;
    char *beside = NULL;
    tool t;
    code = encode_meaning_read(v, &o.choices, &o.common, &m);
    if (code < 0) code = video_meaning_read(v, &o.video, &video);
    if (code < 0) code = check_inputs(v, &o, argv, operands, &videos);
    if (code < 0) code = claim_output(v, &o, argv, operands, &beside);
    if (code < 0 && o.clip.rule) code = run_clips(v, &o, &m, &video, videos, argv, operands);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code >= 0) {
        free(beside);
        encode_meaning_free(&m);
        return code;
    }
    tsr_encode_files_settings s = tsr_encode_files_settings_default();
    s.model = m.model;
    s.model.model = o.choices.model; /* located by now */
    s.encode = m.encode;
    s.hints = m.hints;
    s.file = m.file;
    s.source = m.source;
    s.devices = m.devices;
    s.device_count = m.device_count;
    s.check = o.check;
    listing l = {.t = &t, .o = &o};
    if (o.common.json) {
        begin_list(&l.j, &l.text, &l.size);
        begin_list(&l.bad, &l.bad_text, &l.bad_size);
    }
    s.encoded = done_one;
    s.encoded_user = &l;
    s.on_error = (tsr_on_error)o.on_error;
    s.keep_partial = 1;
    s.failed = failed_one;
    s.failed_user = &l;
    s.encode.progress = tool_progress;
    s.encode.progress_user = &t;
    tsr_encode_videos_report report = {0};
    const tsr_status status = encode(&t, &o, &s, videos ? &video : NULL, argv, operands, &report);
    end_list(&l.j, &l.text);
    end_list(&l.bad, &l.bad_text);
    if (status)
        code = tool_fail(&t, status);
    else {
        tool_progress_clear(&t);
        if (o.common.json)
            print_json(&t, &o, operands, &report, l.text, l.bad_text);
        else
            say(&t, &o, &report);
        code = report.frames.failed ? EXIT_NEGATIVE : EXIT_DONE;
    }
    free(l.text);
    free(l.bad_text);
    free(beside);
    encode_meaning_free(&m);
    tool_close(&t);
    return code;
}

const verb verb_encode = {
    .name = "encode",
    .summary = "pictures to a token file",
    .usage =
        "tessera encode IN... [-o OUT.tess] [-f] [-t MODEL] [-k N | --quality E | --target "
        "METRIC=VALUE]\n"
        "               [--fit F] [--resample R] [--tile WxH[xF]] [--noise FILE.npy] [--on-error "
        "stop|skip]\n"
        "               [--files-from LIST [-0]] [--key K] [--labels folder] [--attributes "
        "FILE]\n"
        "               [--steps N] [--guidance W] [--guidance-mode apg|cfg] [--seed N]\n"
        "               [--device cpu|vulkan[:N]] [--precision f32|fast] [--json]\n"
        "tessera encode VIDEO... [-o OUT.tess] [-t MODEL] [--frames N[:RULE] | --fps F[:RULE]]\n"
        "               [--every N | --keyframes | --scenes [T]] [--cover N | --clips C:N[:GAP]]\n"
        "               [--start S] [--end S] ...\n"
        "tessera encode FRAMES... -t TOWER --clip-codebook RULE [--project] [--frames N] ...\n"
        "tessera encode FEATURES... --clip-codebook K|elbow|error=E [-o OUT.tess] [-f]\n"
        "               [--codebook-type f16|f32|int8] [--gains] [--least-k K] [--most-k K]\n"
        "               [--first-rows max-min|drawn] [--seed N] [--features-of TEXT] [--json]",
    .about =
        "Reads PNG, JPEG, WebP, GIF (its first frame), BMP, TIFF, PNM, QOI, JPEG 2000, AVIF, JPEG "
        "XL "
        "and HEIC by their content, honours the EXIF orientation, and writes one token file with "
        "one item for each picture, in the order given. IN is a picture; a folder, of which all "
        "pictures and archives are taken that are in it and below it, hidden ones left out, in "
        "natural order; a tar archive (.tar, .tar.gz, .tar.zst) with the keys of WebDataset, whose "
        ".txt, .caption, .cls and .json members become attributes; or '-' for stdin, or a pipe, "
        "with one picture or several, one behind the other, or an archive. The ids are the same "
        "for every --threads and --batch. Near ties are ids whose decision was so close that "
        "another device might decide otherwise.\n\n"
        "Videos become clips: a clip each, every frame an item of it with its exact time, so that "
        "any "
        "frame decodes alone. What FFmpeg reads is a video, and with --as-video also a folder of "
        "numbered pictures, a GIF or PNG that moves, and a pipe. All frames are taken unless "
        "--frames, --fps, --every, --keyframes, --scenes, --cover or --clips choose some ('tessera "
        "frames' lists which). Sound is dropped; docs/VIDEO.md has the rules.\n\n"
        "With --clip-codebook features of a clip become K vectors and an index map, as VQToken "
        "does "
        "it: an item for each token set or array. Clusters are numbered in raster order, so that "
        "equal features give equal files on every device. K vectors are few tokens, but not few "
        "bytes: the codebook is most of the file, and 'tessera info' says both.",
    .exits = "1 when pictures were skipped (--on-error skip)",
    .examples = "# one picture with the bundled tokenizer\n"
                "tessera encode photo.jpg -o photo.tess\n"
                "# with a published one, which 'tessera fetch titok-s128' has brought\n"
                "tessera encode photo.jpg -o photo.tess -t titok-s128\n"
                "# 64 ids a tile\n"
                "tessera encode photo.jpg -o photo.tess -k 64\n"
                "# as many ids as each tile needs for an error of 0.1\n"
                "tessera encode album/*.jpg -o album.tess --quality 0.1 --check\n"
                "# the fewest ids a tile that reach 24 dB, found by decoding\n"
                "tessera encode album/*.jpg -o album.tess --target psnr=24\n"
                "# what find finds, with the names of folders as labels\n"
                "find photos -name '*.jpg' | tessera encode --files-from - --labels folder -o "
                "photos.tess\n"
                "# a video, and two frames a second of it\n"
                "tessera encode film.mp4 -o film.tess\n"
                "tessera encode film.mp4 -o film.tess --fps 2\n"
                "# all frames of a clip as at most 32 vectors, found by the elbow rule\n"
                "tessera encode clip.safetensors --clip-codebook elbow --gains -o clip.tess\n"
                "# the same from its pictures\n"
                "tessera encode frames/ -t llava/ --project --frames 32 --clip-codebook elbow -o "
                "clip.tess\n"
                "# the same from a video\n"
                "tessera encode clip.mp4 -t llava/ --project --frames 32 --clip-codebook 32 -o "
                "clip.tess\n"
                "# in a pipe\n"
                "curl -s https://example.org/a.webp | tessera encode - -o - | tessera info -",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0, /* --files-from may bring them */
    .most_operands = -1,
    .operands = "IN",
    .run = run,
};
