/* SPDX-License-Identifier: MIT */
/* encode_files.c: picture files to one token file. Pictures are read and encoded in groups, so that
 * memory does not grow with their number and small ones share batches. */
#include "../formats/media/image.h"
#include "compare.h"
#include "decode_item.h"
#include "encode_pictures.h"
#include "target.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { GROUP_PICTURES = 64 };
static const uint64_t group_pixels = (uint64_t)1 << 22;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    if (!strcmp(path, "-")) return "stdin";
    return slash ? slash + 1 : path;
}

static tsr_status check_arguments(tsr_context *ctx, const char *const *inputs, int count,
                                  const char *output, const tsr_encode_settings *s) {
    if (!inputs || count < 1)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted at least one picture, got none");
    if (!output) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "output: wanted a path, got NULL");
    if (s->tokens && s->quality > 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tokens and quality: wanted one of them, got %u and %g", s->tokens,
                        s->quality);
    if (s->target.metric && s->quality > 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "quality and target: wanted one of them, got %g and %s", s->quality,
                        tsr_target_name(s->target.metric));
    tsr_status status = tsr_target_check(ctx, &s->target);
    if (status) return status;
    struct stat out, in;
    const bool exists = strcmp(output, "-") && !stat(output, &out);
    int pipes = 0;
    for (int i = 0; i < count; ++i) {
        if (!inputs[i]) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: %d is NULL", i);
        if (!strcmp(inputs[i], "-") && pipes++)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "-: wanted once among the inputs, got twice");
        if (exists && strcmp(inputs[i], "-") && !stat(inputs[i], &in) && in.st_dev == out.st_dev &&
            in.st_ino == out.st_ino)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "%s: output: wanted a file that is not an input, got the same file",
                            output);
    }
    return TSR_OK;
}

typedef struct group {
    tsr_image images[GROUP_PICTURES];
    tsr_picture pictures[GROUP_PICTURES];
    tsr_item *items[GROUP_PICTURES];
    int count;
} group;

static void group_clear(group *g) {
    for (int i = 0; i < g->count; ++i) {
        tsr_image_free(&g->images[i]);
        tsr_item_close(&g->items[i]);
    }
    g->count = 0;
}

/* Decodes the item again and compares it with what the model was given. */
static tsr_status check_item(tsr_tokenizer *t, const tsr_token_header *header,
                             const tsr_token_item *item, const tsr_picture *picture,
                             double *error) {
    tsr_compare compare;
    tsr_status status = tsr_compare_open(t, header, picture, &compare);
    if (status) return status;
    status = tsr_compare_measure(&compare, item, 0, TSR_TARGET_L1, error);
    tsr_compare_close(&compare);
    return status;
}

static tsr_status encode_group(tsr_tokenizer *t, group *g, const tsr_token_header *header,
                               const tsr_encode_settings *s, tsr_encode_noise *noise,
                               tsr_token_writer *writer, tsr_encode_report *report) {
    tsr_encode_settings inner = *s;
    inner.progress = NULL;
    if (s->target.metric && (t->model.family->tokenizer->abilities & TSR_TOKENIZER_SELECTS))
        inner.quality = tsr_target_tolerance(&s->target);
    const double began = now();
    uint64_t near_ties = 0;
    tsr_status status =
        tsr_tokenizer_encode_drawn(t, g->pictures, g->count, &inner, noise, g->items, &near_ties);
    report->seconds += now() - began;
    report->near_ties += near_ties;
    for (int i = 0; i < g->count && !status; ++i) {
        const tsr_token_item *item = tsr_item_tokens(g->items[i]);
        tsr_encoded told = {
            .item = item, .details = tsr_item_get_details(g->items[i]), .error = NAN};
        if (s->target.metric) {
            status =
                tsr_tokenizer_search(t, header, &g->pictures[i], s, g->items[i], &told.decodes);
            if (status) break;
            told.reached = tsr_target_met(&s->target, (double)item->target.reached);
            report->target_decodes += told.decodes;
            report->target_reached += (uint64_t)told.reached;
        }
        report->pictures++;
        report->tiles += (uint64_t)item->tile_columns * item->tile_rows;
        report->tokens += tsr_token_item_total(item);
        if (s->check) {
            status = check_item(t, header, item, &g->pictures[i], &told.error);
            if (status) break;
            report->error_sum += told.error;
            report->within_quality += s->quality > 0 && told.error <= (double)s->quality;
        }
        status = tsr_token_writer_add(writer, item);
        if (!status && s->encoded) s->encoded(s->encoded_user, &told);
    }
    group_clear(g);
    return status;
}

/* What the file shall say about decoding. */
static tsr_status set_hints(tsr_context *ctx, tsr_token_header *header,
                            const tsr_encode_settings *s) {
    tsr_decode_hints *h = &header->hints;
    if (!h->present && (s->steps || s->guidance != 0 || s->guidance_mode || s->seed))
        return tsr_fail(
            ctx, TSR_ERROR_ARGUMENT,
            "steps, guidance, its mode and seed: wanted none with %s, whose decoder does not "
            "sample",
            header->tokenizer);
    if (s->guidance_mode) h->plain = s->guidance_mode == TSR_GUIDANCE_CFG;
    if (s->steps) h->steps = s->steps;
    if (s->guidance != 0) h->guidance = s->guidance;
    if (s->seed) h->seed = s->seed;
    if (h->present) h->fast = s->fast != 0;
    return tsr_sampling_check(ctx, h, s->guidance_mode);
}

static void report_tolerance(const tsr_tokenizer *t, const tsr_encode_settings *s,
                             tsr_encode_report *report) {
    const tsr_tolerances *tolerances = t->model.family->tokenizer->tolerances;
    report->chooses = tolerances != NULL;
    report->quality_bin = -1;
    if (!tolerances || s->target.metric) return;
    report->quality_bin = tsr_tolerance_index(tolerances, s->quality);
    report->quality_bins = tolerances->count;
    report->quality_taken = tolerances->value[report->quality_bin];
}

tsr_status tsr_encode_files(tsr_context *ctx, const char *const *inputs, int input_count,
                            const char *output, const tsr_encode_settings *settings,
                            tsr_encode_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    const tsr_encode_settings s = settings ? *settings : tsr_encode_settings_default();
    tsr_encode_report own;
    if (!report) report = &own;
    *report = (tsr_encode_report){0};
    tsr_status status = check_arguments(ctx, inputs, input_count, output, &s);
    if (status) return status;

    tsr_tokenizer *t = NULL;
    tsr_token_writer *writer = NULL;
    group *g = tsr_alloc(ctx, 1, sizeof *g, "encode: group");
    if (!g) return TSR_ERROR_MEMORY;
    status = tsr_tokenizer_open(ctx, &t,
                                &(tsr_tokenizer_settings){.model = s.model,
                                                          .device = s.device,
                                                          .mask = s.mask,
                                                          .fast = s.fast,
                                                          .tile_width = s.tile_width,
                                                          .tile_height = s.tile_height});
    tsr_token_header header = {0};
    tsr_encode_noise noise = {0};
    if (!status) status = tsr_encode_noise_open(t, &s, &noise);
    if (!status) {
        header = *tsr_tokenizer_header(t);
        if (s.fit != TSR_FIT_AUTO) header.fit = s.fit;
        status = set_hints(ctx, &header, &s);
        if (!status) status = tsr_tokenizer_set_latents(t, &header, &s);
        memcpy(header.background, s.background, 3);
        snprintf(report->device, sizeof report->device, "%s", tsr_tokenizer_device(t));
        memcpy(report->tokenizer, header.tokenizer, sizeof report->tokenizer);
        report->weights_hash = header.weights_hash;
        report->fit = header.fit;
        report_tolerance(t, &s, report);
        tsr_token_writer_settings w = tsr_token_writer_settings_default();
        w.layer_tokens = s.layer_tokens;
        if (!status) status = tsr_token_writer_open(ctx, &writer, output, &header, &w);
    }
    tsr_image_settings image_settings = tsr_image_settings_default();
    memcpy(image_settings.background, s.background, 3);
    uint64_t pixels = 0;
    for (int i = 0; i < input_count && !status; ++i) {
        tsr_image *image = &g->images[g->count];
        status = tsr_image_read(ctx, inputs[i], &image_settings, image);
        if (status) break;
        g->pictures[g->count++] = (tsr_picture){.rgb = image->rgb,
                                                .width = image->width,
                                                .height = image->height,
                                                .key = name_of(inputs[i]),
                                                .orientation = image->orientation};
        pixels += (uint64_t)image->width * (uint64_t)image->height;
        if (g->count == GROUP_PICTURES || pixels >= group_pixels || i + 1 == input_count) {
            status = encode_group(t, g, &header, &s, &noise, writer, report);
            pixels = 0;
        }
        if (!status && s.progress &&
            s.progress(s.progress_user, "encode", (uint64_t)i + 1, (uint64_t)input_count))
            status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", output);
    }
    if (!status) status = tsr_encode_noise_finish(ctx, &noise);
    group_clear(g);
    free(g);
    free(noise.tensor.data);
    if (status)
        tsr_token_writer_abandon(&writer);
    else
        status = tsr_token_writer_close(&writer);
    struct stat st;
    if (!status && strcmp(output, "-") && !stat(output, &st)) report->bytes = (uint64_t)st.st_size;
    tsr_tokenizer_close(&t);
    return status;
}
