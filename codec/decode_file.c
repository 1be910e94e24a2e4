/* SPDX-License-Identifier: MIT */
/* decode_file.c: a token file to picture files, or a clip of it to a video. */
#define TESSERA_EXPERIMENTAL
#include <tessera/clip.h>

#include "../media/picture_write.h"
#include "../formats/tokens/token_layout.h"
#include "decode_clip.h"
#include "item_names.h"
#include "tokenizer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool is_folder(const char *path) {
    struct stat st;
    const size_t n = strlen(path);
    return (n && path[n - 1] == '/') || (!stat(path, &st) && S_ISDIR(st.st_mode));
}

static tsr_status decode_item(tsr_tokenizer *t, const tsr_token_header *header,
                              const tsr_token_item *item, const tsr_decode_settings *s,
                              const tsr_picture_write_settings *picture, const char *path) {
    int width, height;
    tsr_item_size(header, item, &width, &height);
    const uint64_t pixels = (uint64_t)(width > 0 ? width : 0) * (uint64_t)(height > 0 ? height : 0);
    if (pixels == 0 || pixels > (uint64_t)1 << 28)
        return tsr_fail(t->model.ctx, TSR_ERROR_TOO_LARGE,
                        "%s: size: wanted 1 to %llu pixels, got %dx%d", item->key, 1ull << 28,
                        width, height);
    uint8_t *rgb = tsr_alloc(t->model.ctx, (size_t)pixels, 3, "decode: picture");
    if (!rgb) return TSR_ERROR_MEMORY;
    tsr_status status = tsr_tokenizer_decode_with(t, header, item, s, rgb);
    if (!status) status = tsr_picture_write(t->model.ctx, path, width, height, rgb, picture);
    free(rgb);
    return status;
}

/* Steps of one item as steps of the whole file. */
typedef struct item_progress {
    const tsr_decode_settings *s;
    uint64_t index, items;
} item_progress;

static int show_steps(void *user, const char *what, uint64_t done, uint64_t total) {
    const item_progress *p = user;
    return p->s->progress(p->s->progress_user, what, p->index * total + done, p->items * total);
}

/* Where pictures go, and as what. */
typedef struct target {
    const char *output;
    bool folder;
    const char *suffix; /* of the pictures in a folder, without its dot */
} target;

/* Looks at everything that could be said of the outputs when the work is done. */
static tsr_status check_target(tsr_context *ctx, const char *input,
                               const tsr_picture_write_settings *s, target *to) {
    const tsr_picture_kind *kind = NULL;
    tsr_status status = tsr_picture_kind_of(ctx, to->folder ? "-" : to->output, s, &kind);
    if (status) return status;
    to->suffix = kind->name;
    if (to->folder) return TSR_OK;
    status = tsr_out_not_input(ctx, to->output, input);
    return status ? status : tsr_out_check(ctx, to->output);
}

/* Adds to the detail text what was complete when a call over several items ended early. */
static tsr_status say_done(tsr_context *ctx, tsr_status status, uint64_t done, uint64_t items) {
    if (!status || items < 2) return status;
    return tsr_fail(ctx, status, "%s; %llu of %llu pictures were done and stay", tsr_detail(ctx),
                    (unsigned long long)done, (unsigned long long)items);
}

/* One call's work, from the token file to the pictures. */
typedef struct job {
    tsr_context *ctx;
    const tsr_decode_file_settings *s;
    tsr_token_file *file;
    tsr_token_header header;
    tsr_tokenizer *t;
    tsr_item_names names;
    target to;
    uint64_t *indexes; /* of the items that are decoded */
    uint64_t count;
    tsr_status misfit; /* of the first item that is whole but does not fit the model */
    char misfit_detail[512];
    tsr_decode_report *report;
} job;

static void tell(const job *j, const tsr_token_damage *damage) {
    if (j->s->damaged) j->s->damaged(j->s->damaged_user, damage);
}

/* Is it this item alone that cannot be decoded, or would the next one fail in the same way? */
static bool is_of_the_item(tsr_status status) {
    return status == TSR_ERROR_TOKENS || status == TSR_ERROR_TOO_LARGE;
}

static tsr_status count_bad(job *j, uint64_t index, tsr_status status, uint64_t *counter) {
    tsr_token_damage damage;
    tsr_token_file_item_damage(j->file, index, status, &damage);
    tell(j, &damage);
    ++*counter;
    return TSR_OK;
}

/* Decodes and writes the n-th of the items; one that cannot be is told and counted. */
static tsr_status decode_nth(job *j, uint64_t n, const char *input) {
    const uint64_t index = j->indexes[n];
    tsr_decode_settings inner = j->s->decode;
    item_progress progress = {&j->s->decode, n, j->count};
    tsr_token_item item;
    tsr_status status = tsr_token_file_item(j->file, index, &item);
    if (status == TSR_ERROR_MEMORY) return status;
    if (status) return count_bad(j, index, status, &j->report->unreadable);
    tsr_token_damage lost;
    if (tsr_token_file_item_lost(j->file, &lost)) { /* the picture is whole */
        tell(j, &lost);
        ++j->report->lost;
    }
    inner.progress = inner.progress ? show_steps : NULL;
    inner.progress_user = &progress;
    char *path = j->to.folder ? tsr_item_names_path(&j->names, j->to.output, item.key)
                              : strdup(j->to.output);
    if (!path) return tsr_fail(j->ctx, TSR_ERROR_MEMORY, "decode: no memory for a name");
    if (j->to.folder) status = tsr_item_names_make_folders(j->ctx, j->to.output, path);
    if (!status) status = decode_item(j->t, &j->header, &item, &inner, &j->s->picture, path);
    if (!status) {
        const tsr_decoded done = {.index = index, .key = item.key, .path = path};
        if (j->s->decoded) j->s->decoded(j->s->decoded_user, &done);
        j->report->written++;
    } else if (j->count > 1 && is_of_the_item(status)) {
        if (!j->misfit) {
            j->misfit = status;
            snprintf(j->misfit_detail, sizeof j->misfit_detail, "%s", tsr_detail(j->ctx));
        }
        status = count_bad(j, index, status, &j->report->undecodable);
    }
    free(path);
    const tsr_decode_settings *s = &j->s->decode;
    const bool shown = tsr_tokenizer_header(j->t)->hints.present; /* step by step already */
    if (!status && s->progress && !shown &&
        s->progress(s->progress_user, "decode", n + 1, j->count))
        status = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", input);
    return status;
}

/* Says which pictures of the folder are there already, before any is decoded. */
static tsr_status check_pictures(const job *j, const char *input) {
    tsr_context *ctx = j->ctx;
    const target *to = &j->to;
    tsr_item_names names = {.suffix = to->suffix};
    uint64_t there = 0;
    char *first = NULL;
    tsr_status status = TSR_OK;
    for (uint64_t i = 0; i < j->count && !status; ++i) {
        tsr_token_item item;
        if (tsr_token_file_item(j->file, j->indexes[i], &item))
            continue; /* said when its turn comes */
        char *path = tsr_item_names_path(&names, to->output, item.key);
        if (!path) {
            status = tsr_fail(ctx, TSR_ERROR_MEMORY, "decode: no memory for a name");
            break;
        }
        status = tsr_out_not_input(ctx, path, input);
        if (!status && tsr_out_check(ctx, path) && there++ == 0)
            first = path;
        else
            free(path);
    }
    tsr_item_names_free(&names);
    if (!status && there > 1)
        status = tsr_fail(ctx, TSR_ERROR_EXISTS,
                          "%s and %llu more: wanted new names, got those of files", first,
                          (unsigned long long)there - 1);
    else if (!status && there)
        status = tsr_out_check(ctx, first);
    free(first);
    return status;
}

/* Opens the file and says whether it has pictures. */
static tsr_status open_tokens(job *j, const char *input) {
    const tsr_status status = tsr_token_file_open(j->ctx, &j->file, input);
    if (status) return status;
    const tsr_token_file_info *info = tsr_token_file_properties(j->file);
    j->header = *tsr_token_file_header(j->file);
    if (!j->header.family && !strcmp(j->header.tokenizer, TSR_CLIP_TOKENIZER))
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted tokens of pictures, got clip codebooks: features have no "
                        "decoder to pixels (an output .safetensors gets the features)",
                        input);
    j->report->items = info->items;
    j->report->recovered = info->recovered;
    j->report->damaged = info->damaged;
    return TSR_OK;
}

/* Finds the items and looks at the outputs, before anything is made. */
static tsr_status choose_pictures(job *j, const char *input) {
    const tsr_decode_file_settings *s = j->s;
    tsr_status status =
        tsr_token_file_select(j->file, s->items, s->item_count, &j->indexes, &j->count);
    if (status) return status;
    const bool pipe = !strcmp(j->to.output, "-");
    j->to.folder = !pipe && (j->count != 1 || is_folder(j->to.output));
    if (j->count > 1 && pipe)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "%s: output: wanted a folder for %llu items, got - (stdout)", input,
                        (unsigned long long)j->count);
    if (j->count > 1 && !is_folder(j->to.output) && tsr_picture_is_name(j->to.output))
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "%s: output: wanted a folder for %llu items, got the name of a picture, "
                        "%s (%s/ is a folder)",
                        input, (unsigned long long)j->count, j->to.output, j->to.output);
    status = check_target(j->ctx, input, &s->picture, &j->to);
    j->names.suffix = j->to.suffix;
    if (!status && j->to.folder) status = check_pictures(j, input);
    return status;
}

/* Opens the model and checks that it made the tokens. */
static tsr_status open_model(job *j, const char *input) {
    const tsr_decode_file_settings *s = j->s;
    if (s->model.tile_width || s->model.tile_height)
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "tile: wanted 0x0, as the file has it, got %ux%u", s->model.tile_width,
                        s->model.tile_height);
    tsr_status status = tsr_tokenizer_open(j->ctx, &j->t, &s->model);
    if (j->t) {
        tsr_decode_report *r = j->report;
        snprintf(r->device, sizeof r->device, "%s", tsr_tokenizer_device(j->t));
        snprintf(r->host_stages, sizeof r->host_stages, "%s", tsr_tokenizer_host_stages(j->t, 1));
    }
    if (!status) status = tsr_tokenizer_accepts(j->t, &j->header, s->force, input);
    if (!status && s->decode.tokens > j->header.rows * j->header.columns)
        status = tsr_fail(j->ctx, TSR_ERROR_ARGUMENT, "tokens: wanted at most %u, got %u",
                          j->header.rows * j->header.columns, s->decode.tokens);
    return status;
}

static tsr_status decode_all(job *j, const char *input) {
    tsr_decode_report *r = j->report;
    tsr_token_damage damage;
    for (int i = 0; i < r->damaged && !tsr_token_file_damage(j->file, i, &damage); ++i)
        tell(j, &damage);
    if (j->to.folder && j->count && mkdir(j->to.output, 0777) && errno != EEXIST)
        return tsr_fail_errno(j->ctx, "%s: making the folder", j->to.output);
    tsr_status status = TSR_OK;
    for (uint64_t n = 0; n < j->count && !status; ++n)
        status = decode_nth(j, n, input);
    if (status) return say_done(j->ctx, status, r->written, j->count);
    if (r->recovered || r->damaged || r->unreadable || r->lost)
        return tsr_fail(j->ctx, TSR_ERROR_DAMAGED,
                        "%s: the file is cut or damaged: %llu of %llu pictures written", input,
                        (unsigned long long)r->written, (unsigned long long)j->count);
    if (r->undecodable) /* the file is whole */
        return tsr_fail(j->ctx, j->misfit, "%s; %llu of %llu pictures written", j->misfit_detail,
                        (unsigned long long)r->written, (unsigned long long)j->count);
    return TSR_OK;
}

tsr_status tsr_decode_file(tsr_context *ctx, const char *input, const char *output,
                           const tsr_decode_file_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_decode_file_settings s = settings ? *settings : tsr_decode_file_settings_default();
    tsr_decode_report own, *report = s.report ? s.report : &own;
    *report = (tsr_decode_report){0};
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path, got NULL",
                        input ? "output" : "input");
    job j = {.ctx = ctx, .s = &s, .to = {.output = output}, .report = report};
    tsr_status status = open_tokens(&j, input);
    if (!status && tsr_clip_is_wanted(&s, j.file, output)) {
        tsr_clip_job clip = {.ctx = ctx,
                             .s = &s,
                             .input = input,
                             .output = output,
                             .file = j.file,
                             .header = &j.header,
                             .report = report};
        status = tsr_clip_job_open(&clip);
        if (!status) status = open_model(&j, input);
        if (!status) status = tsr_clip_job_run(&clip, j.t);
    } else if (!status) {
        status = choose_pictures(&j, input);
        if (!status) status = open_model(&j, input);
        if (!status) status = decode_all(&j, input);
    }
    tsr_item_names_free(&j.names);
    tsr_tokenizer_close(&j.t);
    tsr_token_file_close(&j.file);
    free(j.indexes);
    return status;
}
