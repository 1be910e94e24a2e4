/* SPDX-License-Identifier: MIT */
/* cmd_batch.c: data sets to shards of tokens, on one machine or many. */
#include "encode_options.h"
#include "video_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct batch_options {
    common_options common;
    const char *output;
    encode_choices choices;
    uint64_t shard_size;
    const char *rank, *world;
    int overwrite, on_error;
    video_choices video;
} batch_options;

#define AT(field) offsetof(batch_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "DIR", NULL,
     "the folder of the shards; made if it is missing", NULL, 0, 0},
    {"shard-size", 0, OPTION_UINT64, AT(shard_size), "N", "10000",
     "pictures of a shard; a tar archive becomes one shard, and so does a video, whatever its size",
     NULL, 0, 0},
    {"rank", 0, OPTION_TEXT, AT(rank), "R", "from the environment, or 0",
     "with --world W: this process makes the shards whose number is R modulo W, counted from 0",
     NULL, 0, 0},
    {"world", 0, OPTION_TEXT, AT(world), "W", "from the environment, or 1",
     "number of processes that share the work", NULL, 0, 0},
    {"overwrite", 0, OPTION_FLAG, AT(overwrite), NULL, NULL,
     "make the shards of an earlier run with other settings or inputs anew; without it such a run "
     "is refused",
     NULL, 0, 0},
    {"on-error", 0, OPTION_CHOICE, AT(on_error), "E", "skip",
     "what a picture that cannot be read does: skip (a line in DIR/errors.jsonl, exit code 1), or "
     "stop (the finished shards stay)",
     "skip|stop", 0, 0},
#include "encode_options.def"
#include "video_options.def"
};

/* Variables of a launcher. `first`: the least rank it gives, when that is not 0. */
typedef struct launcher {
    const char *rank, *world, *first;
} launcher;
static const launcher launchers[] = {
    {"SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"},
    {"SLURM_PROCID", "SLURM_NTASKS", NULL},
    {"RANK", "WORLD_SIZE", NULL},
    {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", NULL},
    {"JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", NULL},
};

static bool read_number(const char *text, int *number) {
    char *end;
    errno = 0;
    const long value = text && *text ? strtol(text, &end, 10) : -1;
    if (value < 0 || value > INT32_MAX || errno || *end) return false;
    *number = (int)value;
    return true;
}

/* Rank and world of the command line, or else of the first launcher that gives both. *from names
 * where they come from. */
static int find_rank(const verb *v, const batch_options *o, int *rank, int *world,
                     const char **from) {
    *rank = 0;
    *world = 1;
    *from = NULL;
    const bool given = o->rank || o->world;
    for (size_t i = 0; i < sizeof launchers / sizeof *launchers && !given; ++i) {
        const launcher *l = &launchers[i];
        const char *r = getenv(l->rank), *w = getenv(l->world);
        const char *least = l->first ? getenv(l->first) : NULL;
        int first = 0;
        if (!r || !w) continue;
        if (!read_number(r, rank) || !read_number(w, world) ||
            (least && !read_number(least, &first)))
            return args_wrong(v, "%s, %s: wanted whole numbers, got %s, %s", l->rank, l->world, r,
                              w);
        *rank -= first;
        *from = l->rank;
        break;
    }
    if (o->rank && !o->world) return args_wrong(v, "--world W is missing: wanted with --rank");
    if (o->world && !o->rank) return args_wrong(v, "--rank R is missing: wanted with --world");
    if (given && (!read_number(o->rank, rank) || !read_number(o->world, world)))
        return args_wrong(v, "--rank, --world: wanted whole numbers, got %s, %s", o->rank,
                          o->world);
    if (*world < 1 || *rank < 0 || *rank >= *world)
        return args_wrong(v, "rank%s%s: wanted 0 to %d, got %d", *from ? " of " : "",
                          *from ? *from : "", *world - 1, *rank);
    return -1;
}

typedef struct listing {
    tool *t;
    json_out j; /* the shards, as one document; file NULL without --json */
    char *text;
    size_t size;
    uint64_t failed;
} listing;

enum { MOST_SAID = 20 };

/* tsr_batch_shard_fn */
static void made_one(void *user, const tsr_batch_shard *s) {
    listing *l = user;
    if (l->t->o->verbose) {
        char pictures[32], bytes[32];
        tool_progress_clear(l->t);
        tool_say(l->t, "%s: %s, %s, %.2f s%s", s->name, tool_count(s->items, "picture", pictures),
                 tool_bytes(s->bytes, bytes, sizeof bytes), s->seconds,
                 s->complete ? "" : ", of an archive that ends too early");
    }
    if (!l->j.file) return;
    json_object(&l->j, NULL);
    json_text(&l->j, "shard", s->name);
    json_text(&l->j, "input", s->input);
    json_uint(&l->j, "items", s->items);
    json_uint(&l->j, "tokens", s->tokens);
    json_uint(&l->j, "errors", s->errors);
    json_uint(&l->j, "bytes", s->bytes);
    json_bool(&l->j, "complete", s->complete != 0);
    json_hash(&l->j, "content_hash", s->content_hash);
    json_end(&l->j, '}');
}

/* tsr_encode_failure_fn: the first few are said here, all stand in errors.jsonl. */
static void failed_one(void *user, const tsr_encode_failure *f) {
    listing *l = user;
    char text[1200], clean[1200];
    if (++l->failed > MOST_SAID) return;
    snprintf(text, sizeof text, "%s: %s", tsr_status_text(f->status), f->detail);
    tool_progress_clear(l->t);
    tool_warn(l->t, "%s", tool_clean(text, clean, sizeof clean));
    if (l->failed == MOST_SAID)
        tool_warn(l->t, "further bad pictures are not named here; all stand in errors.jsonl");
}

static void print_json(tool *t, const batch_options *o, const tsr_batch_settings *s,
                       const tsr_batch_report *r, const char *shards) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "output", o->output);
    json_int(&j, "rank", s->rank);
    json_int(&j, "world", s->world);
    json_uint(&j, "shards", r->shards);
    json_uint(&j, "done_before", r->done_before);
    json_uint(&j, "made", r->made);
    json_uint(&j, "partial", r->partial);
    json_uint(&j, "unmade", r->unmade);
    json_uint(&j, "clips", r->clips);
    json_uint(&j, "pictures", r->pictures);
    json_uint(&j, "tiles", r->tiles);
    json_uint(&j, "tokens", r->tokens);
    json_uint(&j, "bytes", r->bytes);
    json_uint(&j, "failed", r->failed);
    json_uint(&j, "near_ties", r->near_ties);
    json_real(&j, "total_seconds", tool_seconds() - t->started);
    json_text(&j, "device", r->model.device);
    json_int(&j, "devices", r->model.devices);
    tool_stages(&j, r->model.vectors ? "encode" : "encode quantize", r->model.device,
                r->model.host_stages);
    json_text(&j, "precision", o->common.precision ? "fast" : "f32");
    json_text(&j, "tokenizer", r->model.tokenizer);
    json_hash(&j, "weights_hash", r->model.weights_hash);
    tool_unused_keys(&j, &r->unused_keys);
    if (r->made) tool_stage_seconds(&j, &r->stages);
    if (shards) json_raw(&j, "made_shards", shards);
    json_close(&j);
}

static void say(tool *t, const batch_options *o, const tsr_batch_settings *s,
                const tsr_batch_report *r) {
    char shards[32], made[32], pictures[32], tokens[32], bytes[32], on_host[96];
    const double passed = r->stages.passed > 0 ? r->stages.passed : 1;
    if (s->world > 1)
        tool_say(t, "rank %d of %d: %s of this rank", s->rank, s->world,
                 tool_count(r->shards, "shard", shards));
    if (r->done_before)
        tool_say(t, "%s stood finished", tool_count(r->done_before, "shard", shards));
    if (!r->made && !r->unmade) {
        tool_say(t, "%s: nothing was left to do", o->output);
        return;
    }
    char clip[40] = "", number[32];
    if (r->clips) snprintf(clip, sizeof clip, "%s, ", tool_count(r->clips, "clip", number));
    tool_say(t, "%s: %s, %s%s, %s, %s, %.1f s, %.1f pictures a second", o->output,
             tool_count(r->made, "shard", made), clip, tool_count(r->pictures, "picture", pictures),
             tool_count(r->tokens, "token", tokens), tool_bytes(r->bytes, bytes, sizeof bytes),
             r->stages.passed, (double)r->pictures / passed);
    tool_say(t, "%s, weights %016" PRIx64 ", on %s%s%s", r->model.tokenizer, r->model.weights_hash,
             r->model.device,
             tool_on_host(r->model.device, r->model.host_stages, on_host, sizeof on_host),
             r->model.devices > 1 ? " and others" : "");
    if (r->failed)
        tool_say(t, "%" PRIu64 " %s no item; %s/errors.jsonl says why", r->failed,
                 r->failed == 1 ? "sample has" : "samples have", o->output);
    if (r->partial)
        tool_say(t, "%s of archives or videos that end too early: what came before is there",
                 tool_count(r->partial, "shard", shards));
    if (r->unmade)
        tool_say(t, "%s could not be made; the next run tries again",
                 tool_count(r->unmade, "shard", shards));
    if (o->common.verbose) tool_say_stages(t, &r->stages);
}

static int work(tool *t, const batch_options *o, const encode_meaning *m,
                const video_meaning *video, char **inputs, int count, int rank, int world) {
    tsr_batch_settings s = tsr_batch_settings_default();
    listing l = {.t = t};
    s.model = m->model;
    s.model.model = o->choices.model; /* located by now */
    s.encode = m->encode;
    s.encode.progress = tool_progress;
    s.encode.progress_user = t;
    s.hints = m->hints;
    s.file = m->file;
    s.source = m->source;
    s.video = video->settings;
    s.frames = video->choice;
    s.as_video = o->video.as_video || o->video.raw;
    s.devices = m->devices;
    s.device_count = m->device_count;
    s.shard_size = o->shard_size;
    s.rank = rank;
    s.world = world;
    s.overwrite = o->overwrite;
    s.on_error = o->on_error ? TSR_ON_ERROR_STOP : TSR_ON_ERROR_SKIP;
    s.shard = made_one;
    s.shard_user = &l;
    s.failed = failed_one;
    s.failed_user = &l;
    if (o->common.json && (l.j.file = open_memstream(&l.text, &l.size))) fputc('[', l.j.file);
    tsr_batch_report r;
    const tsr_status status =
        tsr_batch(t->ctx, (const char *const *)inputs, count, o->output, &s, &r);
    if (l.j.file) {
        fputs(l.j.filled[0] ? "\n  ]" : "]", l.j.file);
        if (fclose(l.j.file)) *l.text = 0;
    }
    int code;
    if (status)
        code = tool_fail(t, status);
    else {
        tool_progress_clear(t);
        if (o->common.json)
            print_json(t, o, &s, &r, l.text);
        else
            say(t, o, &s, &r);
        code = r.failed || r.partial || r.unmade ? EXIT_NEGATIVE : EXIT_DONE;
    }
    free(l.text);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    batch_options o = {.choices = ENCODE_CHOICES};
    int operands, rank = 0, world = 1;
    const char *from = NULL;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!operands && !o.choices.files_from) return args_wrong(v, "IN is missing");
    if (!o.output) return args_wrong(v, "-o DIR is missing: where the shards go");
    code = find_rank(v, &o, &rank, &world, &from);
    if (code >= 0) return code;
    encode_meaning m;
    video_meaning video;
    tool t;
    code = encode_meaning_read(v, &o.choices, &o.common, &m);
    if (code < 0) code = video_meaning_read(v, &o.video, &video);
    if (code < 0) code = tool_open(&t, v, &o.common);
    if (code < 0) {
        if (from && o.common.verbose) tool_say(&t, "rank %d of %d, from %s", rank, world, from);
        code = work(&t, &o, &m, &video, argv, operands, rank, world);
        tool_close(&t);
    }
    encode_meaning_free(&m);
    return code;
}

const verb verb_batch = {
    .name = "batch",
    .summary = "data sets to a folder of token files, resumable",
    .usage = "tessera batch IN... -o DIR [--shard-size N] [--rank R --world W] [--overwrite]\n"
             "              [--on-error skip|stop] [-t MODEL] [-k N | --quality E | --target "
             "METRIC=VALUE]\n"
             "              [--files-from LIST [-0]] [--key K] [--labels folder] [--attributes "
             "FILE]\n"
             "              [--device cpu|vulkan[:N]|vulkan:all|A,B] [--precision f32|fast] "
             "[--json]\n"
             "tessera batch VIDEO... -o DIR [--frames N[:RULE] | --fps F[:RULE]]\n"
             "              [--every N | --keyframes | --scenes [T]] [--cover N | --clips "
             "C:N[:GAP]]\n"
             "              [--start S] [--end S] [--as-video] ...",
    .about =
        "Encodes folders, lists and tar archives (WebDataset, img2dataset) into shards: token "
        "files of --shard-size pictures each (000000.tess, 000001.tess, ...), and NAME.tess for "
        "each NAME.tar and each video, a clip as encode makes it (of FOLDER/NAME.mp4 in a folder "
        "FOLDER-NAME.tess). Reading, decoding, the model and writing work at the same time. The "
        "command can be repeated: finished shards stay as they are, so that a run which was "
        "stopped or killed goes on where it was; when all is done it does nothing. DIR also holds "
        "job.json (the settings), manifest.jsonl (a line for each finished shard: input, hashes, "
        "items, tokens, errors, seconds) and errors.jsonl (a line for each picture without item). "
        "The shards have the same bytes whatever the number of threads, processes and "
        "interruptions. Rank and world are taken from SLURM_ARRAY_TASK_ID and _COUNT, SLURM_PROCID "
        "and SLURM_NTASKS, RANK and WORLD_SIZE, OMPI_COMM_WORLD_RANK and _SIZE, or "
        "JOB_COMPLETION_INDEX and JOB_COMPLETIONS, when they are not given.",
    .exits = "1 when samples were left out, archives end too early or could not be read",
    .examples = "# a folder of folders, 5000 pictures a shard, the folders' names as labels\n"
                "tessera batch imagenet/train -o tokens --shard-size 5000 --labels folder\n"
                "# what find finds\n"
                "find photos -name '*.jpg' -print0 | tessera batch --files-from - -0 -o tokens\n"
                "# WebDataset shards, one of four processes\n"
                "tessera batch shards/*.tar -o tokens --rank 0 --world 4\n"
                "# two frames a second of each video in a folder, a token file each\n"
                "tessera batch films -o tokens --fps 2\n"
                "# in a Slurm array job, with a published tokenizer, on all GPUs of the node\n"
                "srun tessera batch shards/*.tar -o tokens -t titok-s128 --device vulkan:all\n"
                "# totals of the result\n"
                "tessera info tokens",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .least_operands = 0, /* --files-from may bring them */
    .most_operands = -1,
    .operands = "IN",
    .run = run,
};
