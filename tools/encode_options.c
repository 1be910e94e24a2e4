/* SPDX-License-Identifier: MIT */
/* encode_options.c: see encode_options.h. */
#include "encode_options.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* "320x256"; false when it is anything else. */
static bool parse_tile(const char *text, tsr_model_settings *model) {
    unsigned w = 0, h = 0, f = 0;
    int used = 0, all = 0;
    if (strlen(text) > 17 || strspn(text, "0123456789x") != strlen(text)) return false;
    const int n = sscanf(text, "%5ux%5u%nx%5u%n", &w, &h, &used, &f, &all);
    if (n < 2 || text[n == 3 ? all : used] || w < 1 || h < 1 || (n == 3 && f < 1)) return false;
    model->tile_width = w;
    model->tile_height = h;
    model->tile_frames = f;
    return true;
}

/* "psnr=24"; false when it is anything else. */
static bool parse_target(const char *text, tsr_target *target) {
    for (int m = TSR_TARGET_PSNR; m <= TSR_TARGET_L1; ++m) {
        const char *name = tsr_target_name((tsr_target_metric)m);
        const size_t n = strlen(name);
        if (strncmp(text, name, n) || text[n] != '=') continue;
        char *end;
        target->metric = (tsr_target_metric)m;
        target->threshold = strtof(text + n + 1, &end);
        return end != text + n + 1 && !*end && isfinite(target->threshold);
    }
    return false;
}

/* "vulkan:0,vulkan:1": several devices; one is the model's. */
static int read_devices(const verb *v, const char *text, encode_meaning *m) {
    if (!text || !strchr(text, ',')) return -1;
    m->device_text = strdup(text);
    if (!m->device_text) return EXIT_FILES;
    char *rest = m->device_text;
    const int most = (int)(sizeof m->device_names / sizeof *m->device_names);
    for (char *name; (name = strsep(&rest, ","));) {
        if (!*name || m->device_count == most)
            return args_wrong(v, "--device: wanted 1 to %d names with commas between, got '%s'",
                              most, text);
        m->device_names[m->device_count++] = name;
    }
    m->devices = m->device_names;
    m->model.device = m->device_names[0];
    return -1;
}

bool encode_meaning_fill(const encode_choices *o, const common_options *common, encode_meaning *m,
                         args_refusal *wrong) {
    *m = (encode_meaning){.model = tsr_model_settings_default(),
                          .encode = tsr_encode_settings_default(),
                          .file = tsr_token_writer_settings_default()};
    if (o->tokens && o->quality > 0)
        return args_refuse(wrong, "-k and --quality exclude each other: wanted one of them");
    if (o->target && o->quality > 0)
        return args_refuse(wrong, "--quality and --target exclude each other: wanted one of them");
    tsr_target target = {0};
    if (o->target && !parse_target(o->target, &target))
        return args_refuse(wrong, "--target: wanted psnr=DB, ssim=S or l1=E, like psnr=24, got %s",
                           o->target);
    if (o->tile && !parse_tile(o->tile, &m->model))
        return args_refuse(
            wrong, "--tile: wanted WIDTHxHEIGHT, like 320x256, or WIDTHxHEIGHTxFRAMES, got %s",
            o->tile);
    m->model.model = o->model;
    m->model.device = common->device;
    m->model.mask = common->mask;
    m->model.precision = (tsr_precision)common->precision;
    m->encode.fit.fit = (tsr_fit)o->fit;
    m->encode.fit.resampling = (tsr_resampling)o->resampling;
    memcpy(m->encode.fit.background, o->background, 3);
    m->encode.choice = (tsr_token_choice){.tokens = o->tokens,
                                          .quality = (float)o->quality,
                                          .target = target,
                                          .budget = o->budget,
                                          .keep_all = o->no_halt};
    m->encode.f32_latents = o->latents;
    m->encode.noise = o->noise;
    m->encode.batch = o->batch;
    m->hints = (tsr_sampling_settings){.steps = o->steps,
                                       .guidance = (float)o->guidance,
                                       .mode = (tsr_guidance_mode)o->guidance_mode,
                                       .seed = o->seed};
    m->file.layer_tokens = o->layers;
    m->file.entropy = !o->coding;
    m->file.key_index = o->key_index;
    m->source = (tsr_source_settings){.key = (tsr_key)o->key,
                                      .files_from = o->files_from,
                                      .files_from_zero = o->files_from_zero,
                                      .folder_labels = o->labels,
                                      .attributes = o->attributes};
    return true;
}

int encode_meaning_read(const verb *v, const encode_choices *choices, const common_options *common,
                        encode_meaning *m) {
    args_refusal wrong;
    return encode_meaning_fill(choices, common, m, &wrong) ? read_devices(v, common->device, m)
                                                           : args_wrong(v, "%s", wrong.text);
}

void encode_meaning_free(encode_meaning *m) {
    free(m->device_text);
    m->device_text = NULL;
}
