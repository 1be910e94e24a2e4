/* SPDX-License-Identifier: MIT */
/* decode_file.c: a token file to picture files. */
#include "../formats/media/picture_write.h"
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

/* Says which pictures of the folder are there already, before any is decoded. */
static tsr_status check_pictures(tsr_context *ctx, tsr_token_file *file, const char *input,
                                 const target *to, uint64_t items) {
    tsr_item_names names = {.suffix = to->suffix};
    uint64_t there = 0;
    char *first = NULL;
    tsr_status status = TSR_OK;
    for (uint64_t i = 0; i < items && !status; ++i) {
        tsr_token_item item;
        if (tsr_token_file_item(file, i, &item)) continue; /* said when its turn comes */
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

/* Adds to the detail text what was complete when a call over several items ended early. */
static tsr_status say_done(tsr_context *ctx, tsr_status status, uint64_t done, uint64_t items) {
    if (!status || items < 2) return status;
    return tsr_fail(ctx, status, "%s; %llu of %llu pictures were done and stay", tsr_detail(ctx),
                    (unsigned long long)done, (unsigned long long)items);
}

tsr_status tsr_decode_file(tsr_context *ctx, const char *input, const char *output,
                           const tsr_decode_file_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_decode_file_settings all = settings ? *settings : tsr_decode_file_settings_default();
    const tsr_decode_settings s = all.decode;
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path, got NULL",
                        input ? "output" : "input");
    if (all.report) *all.report = (tsr_decode_report){0};
    tsr_token_file *file = NULL;
    tsr_status status = tsr_token_file_open(ctx, &file, input);
    if (status) return status;
    const tsr_token_header header = *tsr_token_file_header(file);
    const uint64_t items = tsr_token_file_properties(file)->items;
    const bool folder = strcmp(output, "-") && (items != 1 || is_folder(output));
    if (items > 1 && !strcmp(output, "-"))
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                          "%s: output: wanted a folder for %llu items, got - (stdout)", input,
                          (unsigned long long)items);
    target to = {.output = output, .folder = folder};
    if (!status) status = check_target(ctx, input, &all.picture, &to);
    if (!status && folder) status = check_pictures(ctx, file, input, &to, items);
    tsr_tokenizer *t = NULL;
    if (!status && (all.model.tile_width || all.model.tile_height))
        status =
            tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tile: wanted 0x0, as the file has it, got %ux%u",
                     all.model.tile_width, all.model.tile_height);
    if (!status) status = tsr_tokenizer_open(ctx, &t, &all.model);
    if (all.report && t) {
        tsr_decode_report *r = all.report;
        snprintf(r->device, sizeof r->device, "%s", tsr_tokenizer_device(t));
        snprintf(r->host_stages, sizeof r->host_stages, "%s", tsr_tokenizer_host_stages(t, 1));
    }
    if (!status) status = tsr_tokenizer_accepts(t, &header, all.force, input);
    if (!status && s.tokens > header.rows * header.columns)
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokens: wanted at most %u, got %u",
                          header.rows * header.columns, s.tokens);
    if (!status && folder && mkdir(output, 0777) && errno != EEXIST)
        status = tsr_fail_errno(ctx, "%s: making the folder", output);
    tsr_item_names names = {.suffix = to.suffix};
    uint64_t done = 0;
    const bool begun = !status;
    for (uint64_t i = 0; i < items && !status; ++i) {
        tsr_token_item item;
        status = tsr_token_file_item(file, i, &item);
        if (status) break;
        item_progress progress = {&s, i, items};
        tsr_decode_settings inner = s;
        inner.progress = s.progress ? show_steps : NULL;
        inner.progress_user = &progress;
        char *path = folder ? tsr_item_names_path(&names, output, item.key) : strdup(output);
        if (!path) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "decode: no memory for a name");
        if (!status) status = decode_item(t, &header, &item, &inner, &all.picture, path);
        free(path);
        if (!status) ++done;
        const bool shown = tsr_tokenizer_header(t)->hints.present; /* step by step already */
        if (!status && s.progress && !shown && s.progress(s.progress_user, "decode", i + 1, items))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", input);
    }
    if (begun) status = say_done(ctx, status, done, items);
    tsr_item_names_free(&names);
    tsr_tokenizer_close(&t);
    tsr_token_file_close(&file);
    return status;
}
