/* SPDX-License-Identifier: MIT */
/* autoencoder_kl.c: names and configuration of diffusers' AutoencoderKL, and running it. The
 * network itself is conv_ae.c's. Feature maps are [B, H, W, C]. */
#include "autoencoder_kl.h"
#include "conv_layouts.h"
#include "conv_window.h"
#include "../compute/arena.h"
#include "../ops/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsr_vae {
    tsr_device *device;
    tsr_context *ctx;
    char *path;
    tsr_vae_config config;
    tsr_conv_half encoder, decoder;
    tsr_conv_layer quant, post_quant;
    int tensors;
};

const tsr_vae_config *tsr_vae_configuration(const tsr_vae *vae) {
    return &vae->config;
}

tsr_device *tsr_vae_device(const tsr_vae *vae) {
    return vae->device;
}

int tsr_vae_tensors(const tsr_vae *vae) {
    return vae->tensors;
}

int tsr_vae_factor(const tsr_vae_config *config) {
    return 1 << (config->blocks - 1);
}

/* ---- configuration ---- */

static tsr_status bad(tsr_context *ctx, const char *path, const char *key, const char *wanted,
                      const cJSON *got) {
    char *text = got ? cJSON_PrintUnformatted(got) : NULL;
    tsr_status status =
        tsr_fail(ctx, TSR_ERROR_MODEL, "%s: configuration: %s: wanted %s, got %.80s", path, key,
                 wanted, text ? text : "none");
    cJSON_free(text);
    return status;
}

tsr_status tsr_vae_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                               tsr_vae_config *c) {
    *c = (tsr_vae_config){.scaling_factor = 0.18215, .groups = 32};
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "_class_name");
    const char *class = cJSON_GetStringValue(item);
    if (!class || strcmp(class, "AutoencoderKL") != 0)
        return bad(ctx, path, "_class_name", "AutoencoderKL", item);
    static const struct {
        const char *key, *wanted;
    } fixed[] = {{"act_fn", "silu"},
                 {"down_block_types", "DownEncoderBlock2D"},
                 {"up_block_types", "UpDecoderBlock2D"}};
    for (int i = 0; i < 3; ++i) {
        const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, fixed[i].key);
        const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : list ? 1 : 0;
        for (int k = 0; k < n; ++k) {
            item = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, k) : list;
            const char *got = cJSON_GetStringValue(item);
            if (!got || strcmp(got, fixed[i].wanted) != 0)
                return bad(ctx, path, fixed[i].key, fixed[i].wanted, item);
        }
    }
    item = cJSON_GetObjectItemCaseSensitive(json, "scaling_factor");
    if (cJSON_IsNumber(item)) c->scaling_factor = item->valuedouble;
    if (item && !(c->scaling_factor > 0 && c->scaling_factor < 1e6))
        return bad(ctx, path, "scaling_factor", "a positive number", item);
    item = cJSON_GetObjectItemCaseSensitive(json, "norm_num_groups");
    if (cJSON_IsNumber(item)) c->groups = item->valueint;
    if (c->groups < 1) return bad(ctx, path, "norm_num_groups", "1 or more", item);
    return TSR_OK;
}

/* ---- tensors ---- */

tsr_status tsr_vae_read_shapes(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, tsr_vae_config *c) {
    char name[256];
    tsr_conv_shape shape;
    snprintf(name, sizeof name, "%sencoder.", prefix);
    tsr_status status =
        tsr_conv_read_shape(ctx, weights, name, path, &tsr_layout_diffusers[0], false, &shape);
    if (status) return status;
    c->blocks = shape.levels;
    c->resnets = shape.resnets;
    memcpy(c->width, shape.width, sizeof c->width);
    snprintf(name, sizeof name, "%sencoder.mid_block.attentions.0.query.weight", prefix);
    c->old_names = tsr_weights_find(weights, name) != NULL;
    snprintf(name, sizeof name, "%squant_conv.weight", prefix);
    c->quant = tsr_weights_find(weights, name) != NULL;
    snprintf(name, sizeof name, "%sdecoder.conv_in.weight", prefix);
    const tsr_weight *w = tsr_weights_find(weights, name);
    if (w && w->tensor.rank == 4 && !c->channels) c->channels = w->tensor.dim[1];
    if (!c->groups) c->groups = 32;
    for (int i = 0; i < c->blocks; ++i)
        if (c->width[i] % c->groups)
            return tsr_fail(ctx, TSR_ERROR_MODEL,
                            "%s: tensor %sencoder.down_blocks.%d.resnets.0.conv1.weight: wanted a "
                            "multiple of %d channels, got %lld",
                            path, prefix, i, c->groups, (long long)c->width[i]);
    if (c->channels < 1)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor %sdecoder.conv_in.weight: wanted [C, C, 3, 3], got none", path,
                        prefix);
    return TSR_OK;
}

static void load_tensors(tsr_weight_loader *loader, const tsr_vae_config *c, const char *prefix,
                         tsr_vae *vae) {
    const tsr_conv_layout *layout = &tsr_layout_diffusers[c->old_names];
    const int64_t z = c->channels;
    tsr_conv_shape shape = {.levels = c->blocks, .resnets = c->resnets, .in = 3, .out = 2 * z};
    char name[256];
    memcpy(shape.width, c->width, sizeof shape.width);
    vae->encoder.groups = vae->decoder.groups = c->groups;
    snprintf(name, sizeof name, "%sencoder.", prefix);
    tsr_conv_load(loader, name, layout, false, &shape, &vae->encoder);
    shape.resnets = c->resnets + 1;
    shape.in = z;
    shape.out = 3;
    snprintf(name, sizeof name, "%sdecoder.", prefix);
    tsr_conv_load(loader, name, layout, true, &shape, &vae->decoder);
    if (!c->quant) return;
    tsr_conv_load_one(loader, prefix, "quant_conv", 2 * z, 2 * z, 1, &vae->quant);
    tsr_conv_load_one(loader, prefix, "post_quant_conv", z, z, 1, &vae->post_quant);
}

void tsr_vae_list(tsr_weight_loader *loader, const tsr_vae_config *config, const char *prefix) {
    if (loader->status) return;
    tsr_vae *v = tsr_alloc(loader->ctx, 1, sizeof *v, "vae"); /* filled, and thrown away */
    if (v)
        load_tensors(loader, config, prefix, v);
    else
        loader->status = TSR_ERROR_MEMORY;
    free(v);
}

tsr_status tsr_vae_open(tsr_device *device, const tsr_vae_config *config, tsr_weights *weights,
                        const char *prefix, const char *path, tsr_vae **vae) {
    tsr_context *ctx = tsr_device_context(device);
    *vae = NULL;
    tsr_vae *v = tsr_alloc(ctx, 1, sizeof *v, "vae");
    if (!v) return TSR_ERROR_MEMORY;
    v->device = device;
    v->ctx = ctx;
    v->config = *config;
    v->path = strdup(path);
    tsr_weight_loader loader = {.ctx = ctx, .weights = weights, .path = path};
    if (!v->path) loader.status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    load_tensors(&loader, config, prefix, v);
    v->tensors = loader.found;
    if (loader.status)
        tsr_vae_close(&v);
    else
        *vae = v;
    return loader.status;
}

void tsr_vae_close(tsr_vae **vae) {
    if (!vae || !*vae) return;
    tsr_device_forget((*vae)->device, *vae);
    free((*vae)->path);
    free(*vae);
    *vae = NULL;
}

/* ---- the model ---- */

static tsr_tensor *run_encoder(tsr_run *r, const tsr_vae *v, tsr_tensor *x, tsr_conv_parts *parts) {
    x = tsr_conv_encode(r, &v->encoder, x, parts);
    return v->quant.weight ? tsr_conv_one(r, x, &v->quant) : x;
}

tsr_tensor *tsr_vae_encode_run(tsr_run *r, const tsr_vae *v, tsr_tensor *x) {
    return run_encoder(r, v, x, NULL);
}

/* in: pictures F32 or U8 [B, H, W, 3]. out: mean and logvar [B, h, w, 2C], then what is traced. */
static void encoder_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    const tsr_vae *v = model;
    const bool *traced = tsr_run_args(r);
    tsr_conv_parts parts = {.out = out, .made = 1};
    tsr_tensor *x = in[0];
    if (x->dtype == TSR_DTYPE_U8) x = tsr_from_bytes(r, x, 2, -1, false);
    out[0] = run_encoder(r, v, x, *traced ? &parts : NULL);
}

/* in: pictures U8 [B, H, W, 3]. out: mean and logvar [B, h, w, 2C], or the mean [B, h, w, C]. */
static void bytes_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_vae *v = model;
    const bool *means = tsr_run_args(r);
    out[0] = tsr_vae_encode_run(r, v, tsr_from_bytes(r, in[0], 2, -1, false));
    if (*means) out[0] = tsr_slice_cols(r, out[0], 0, v->config.channels);
}

/* in: latents [B, h, w, C]. out: pictures [B, H, W, 3], then what is traced. */
static void decoder_program(tsr_run *r, const void *model, tsr_tensor *const *in,
                            tsr_tensor **out) {
    const tsr_vae *v = model;
    const bool *traced = tsr_run_args(r);
    tsr_conv_parts parts = {.out = out, .made = 1};
    tsr_tensor *x = in[0];
    if (v->post_quant.weight) x = tsr_conv_one(r, x, &v->post_quant);
    if (v->post_quant.weight && *traced) out[parts.made++] = x;
    out[0] = tsr_conv_decode(r, &v->decoder, x, *traced ? &parts : NULL);
}

/* ---- running it ---- */

static tsr_status check_size(const tsr_vae *v, const char *what, int64_t height, int64_t width,
                             int64_t unit) {
    if (height >= unit && width >= unit && height % unit == 0 && width % unit == 0 &&
        height <= 1 << 14 && width <= 1 << 14)
        return TSR_OK;
    return tsr_fail(v->ctx, TSR_ERROR_ARGUMENT,
                    "%s: %s: wanted multiples of %lld up to %d, got "
                    "%lldx%lld",
                    v->path, what, (long long)unit, 1 << 14, (long long)height, (long long)width);
}

/* What the traced program gives besides its output. Sticky: after a failure, which is
 * memory.status, adding does nothing. */
typedef struct traced {
    char name[TSR_MAX_IO][24];
    float *data[TSR_MAX_IO];
    int count;
    tsr_scratch memory; /* of data */
} traced;

static void add_trace(traced *t, const tsr_vae *v, tsr_tensor *out, const char *name, int number,
                      int64_t count, int64_t height, int64_t width, int64_t channels) {
    const int64_t dim[4] = {count, height, width, channels};
    if (!t->memory.status && t->count + 1 == TSR_MAX_IO)
        t->memory.status =
            tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED, "%s: trace: too many parts", v->path);
    float *data =
        tsr_scratch_take(&t->memory, (size_t)(count * height * width * channels), 4, "trace");
    if (!data) return;
    snprintf(t->name[t->count], sizeof t->name[0], name, number);
    t->data[t->count++] = data;
    out[t->count] = tsr_host_tensor(TSR_DTYPE_F32, data, 4, dim);
}

static void trace_middle(traced *t, const tsr_vae *v, tsr_tensor *out, const char *half_name,
                         int64_t count, int64_t height, int64_t width) {
    static const char *const names[] = {"res0", "attn", "res1"};
    for (int i = 0; i < 3; ++i) {
        char name[24];
        snprintf(name, sizeof name, "%s.mid.%s", half_name, names[i]);
        add_trace(t, v, out, name, 0, count, height, width, v->config.width[v->config.blocks - 1]);
    }
}

static void trace_encoder(traced *t, const tsr_vae *v, tsr_tensor *out, int64_t count, int64_t h,
                          int64_t w) {
    const tsr_vae_config *c = &v->config;
    add_trace(t, v, out, "enc.conv_in", 0, count, h, w, c->width[0]);
    for (int i = 0; i < c->blocks; ++i) {
        if (i + 1 < c->blocks) h /= 2, w /= 2;
        add_trace(t, v, out, "enc.down.%d", i, count, h, w, c->width[i]);
    }
    trace_middle(t, v, out, "enc", count, h, w);
    add_trace(t, v, out, "enc.norm_out", 0, count, h, w, c->width[c->blocks - 1]);
    add_trace(t, v, out, "enc.conv_out", 0, count, h, w, 2 * c->channels);
}

static void trace_decoder(traced *t, const tsr_vae *v, tsr_tensor *out, int64_t count, int64_t h,
                          int64_t w) {
    const tsr_vae_config *c = &v->config;
    if (c->quant) add_trace(t, v, out, "dec.post_quant", 0, count, h, w, c->channels);
    add_trace(t, v, out, "dec.conv_in", 0, count, h, w, c->width[c->blocks - 1]);
    trace_middle(t, v, out, "dec", count, h, w);
    for (int i = 0; i < c->blocks; ++i) {
        if (i + 1 < c->blocks) h *= 2, w *= 2;
        add_trace(t, v, out, "dec.up.%d", i, count, h, w, c->width[c->blocks - 1 - i]);
    }
    add_trace(t, v, out, "dec.norm_out", 0, count, h, w, c->width[0]);
}

/* What a window is cut from: pictures [H, W, 3] or latents [h, w, C]. */
typedef struct source {
    const tsr_vae *v;
    const tsr_window_plan *plan;
    tsr_model_fn fn;
    tsr_dtype dtype; /* of what it is cut from */
    const void *from;
    int64_t in_scale, in_channels, out_scale, out_channels; /* scale: rows to a place */
    void *cut;
} source;

static tsr_status run_window(void *user, int64_t y, int64_t x, float *made) {
    const source *s = user;
    const int64_t h = s->plan->side_y, w = s->plan->side_x, in = s->in_scale, out = s->out_scale;
    const int64_t row = w * in * s->in_channels, whole = s->plan->width * in * s->in_channels;
    const size_t each = tsr_dtype_bytes(s->dtype);
    for (int64_t i = 0; i < h * in; ++i)
        memcpy((char *)s->cut + (size_t)(i * row) * each,
               (const char *)s->from +
                   (size_t)((y * in + i) * whole + x * in * s->in_channels) * each,
               (size_t)row * each);
    const tsr_tensor from =
        tsr_host_tensor(s->dtype, s->cut, 4, (int64_t[]){1, h * in, w * in, s->in_channels});
    tsr_tensor to =
        tsr_host_tensor(TSR_DTYPE_F32, made, 4, (int64_t[]){1, h * out, w * out, s->out_channels});
    const bool traced = false;
    const tsr_program program = {.fn = s->fn,
                                 .model = s->v,
                                 .args = &traced,
                                 .name = "vae window",
                                 .pictures = s->fn == decoder_program};
    return tsr_execute(s->v->device, &program, &from, 1, &to, 1);
}

/* One picture or its latents window by window. */
static tsr_status run_cut(source *s, float *made) {
    const int64_t places = s->plan->side_y * s->plan->side_x * s->in_scale * s->in_scale;
    s->cut = tsr_alloc(s->v->ctx, (size_t)(places * s->in_channels), tsr_dtype_bytes(s->dtype),
                       "vae: window");
    if (!s->cut) return TSR_ERROR_MEMORY;
    const tsr_status status =
        tsr_window_run(s->v->ctx, s->plan, s->out_scale, s->out_channels, made, run_window, s);
    free(s->cut);
    return status;
}

/* Runs a batch in one piece, or cut into windows where the plan says so and nothing is traced. Ends
 * the trace. */
static tsr_status run_batch(source *s, const char *name, const tsr_tensor *in, tsr_tensor *out,
                            const tsr_vae_trace *trace, traced *t) {
    const bool traced = trace != NULL;
    const tsr_program program = {.fn = s->fn,
                                 .model = s->v,
                                 .args = &traced,
                                 .variant = traced,
                                 .name = name,
                                 .pictures = s->fn == decoder_program};
    tsr_status status = t->memory.status;
    if (!status)
        status = tsr_window_plan_cuts(s->plan) && !trace
                     ? run_cut(s, out[0].data)
                     : tsr_execute(s->v->device, &program, in, 1, out, 1 + t->count);
    for (int i = 0; i < t->count && !status; ++i)
        trace->see(trace->user, t->name[i], t->data[i], out[i + 1].dim);
    tsr_scratch_free(&t->memory);
    return status;
}

/* Plans a half for h x w places. */
static tsr_status plan_half(const tsr_vae *v, bool decoder, int64_t h, int64_t w,
                            tsr_window_plan *plan) {
    return tsr_window_plan_make(v->device, decoder ? &v->decoder : &v->encoder, decoder, v->path, h,
                                w, plan);
}

tsr_status tsr_vae_plan(const tsr_vae *v, int64_t height, int64_t width, tsr_window_plan *plan) {
    const int64_t factor = tsr_vae_factor(&v->config), h = height / factor, w = width / factor;
    tsr_status status = check_size(v, "picture", height, width, factor);
    if (!status) status = plan_half(v, true, h, w, plan);
    return status ? status : plan_half(v, false, h, w, plan);
}

tsr_tile_cost tsr_vae_cost(const tsr_vae *v, bool decoder, int64_t height, int64_t width) {
    const int64_t factor = tsr_vae_factor(&v->config);
    tsr_window_plan plan;
    if (plan_half(v, decoder, height / factor, width / factor, &plan))
        return (tsr_tile_cost){.alone = true}; /* the run will say why */
    return tsr_window_cost(decoder ? &v->decoder : &v->encoder, decoder, &plan);
}

static tsr_status encode_pictures(const tsr_vae *v, tsr_dtype dtype, const void *rgb, int64_t count,
                                  int64_t height, int64_t width, float *mean, float *logvar,
                                  const tsr_vae_trace *trace) {
    const int64_t factor = tsr_vae_factor(&v->config), channels = v->config.channels;
    const int64_t h = height / factor, w = width / factor, plane = h * w;
    tsr_window_plan plan;
    tsr_status status = check_size(v, "picture", height, width, factor);
    if (!status) status = plan_half(v, false, h, w, &plan);
    if (status) return status;
    const tsr_tile_cost cost = tsr_window_cost(&v->encoder, false, &plan);
    const int64_t most = trace ? count : tsr_tiles_in_run(v->device, &cost, count);
    float *made = tsr_alloc(v->ctx, (size_t)(most * plane * 2 * channels), 4, "vae: latents");
    if (!made) return TSR_ERROR_MEMORY;
    for (int64_t first = 0; first < count && !status; first += most) {
        const int64_t batch = count - first < most ? count - first : most;
        char *from =
            (char *)(uintptr_t)rgb + (size_t)(first * height * width * 3) * tsr_dtype_bytes(dtype);
        const tsr_tensor in = tsr_host_tensor(dtype, from, 4, (int64_t[]){batch, height, width, 3});
        tsr_tensor out[TSR_MAX_IO] = {
            tsr_host_tensor(TSR_DTYPE_F32, made, 4, (int64_t[]){batch, h, w, 2 * channels})};
        traced t = {.memory = {.ctx = v->ctx}};
        if (trace) trace_encoder(&t, v, out, batch, height, width);
        source cut = {.v = v,
                      .plan = &plan,
                      .fn = encoder_program,
                      .dtype = dtype,
                      .from = in.data,
                      .in_scale = factor,
                      .in_channels = 3,
                      .out_scale = 1,
                      .out_channels = 2 * channels};
        status = run_batch(&cut, "vae encoder", &in, out, trace, &t);
        for (int64_t i = 0; i < batch * plane && !status; ++i)
            for (int64_t c = 0; c < channels; ++c) {
                const float *from = made + i * 2 * channels;
                const int64_t to = ((first + i / plane) * channels + c) * plane + i % plane;
                mean[to] = from[c];
                if (logvar)
                    logvar[to] =
                        fminf(fmaxf(from[channels + c], TSR_VAE_LOGVAR_LEAST), TSR_VAE_LOGVAR_MOST);
            }
    }
    free(made);
    return status;
}

tsr_status tsr_vae_encode(const tsr_vae *v, const float *rgb, int64_t count, int64_t height,
                          int64_t width, float *mean, float *logvar, const tsr_vae_trace *trace) {
    return encode_pictures(v, TSR_DTYPE_F32, rgb, count, height, width, mean, logvar, trace);
}

tsr_status tsr_vae_encode_bytes(const tsr_vae *v, const uint8_t *rgb, int64_t count, int64_t height,
                                int64_t width, float *mean, float *logvar) {
    return encode_pictures(v, TSR_DTYPE_U8, rgb, count, height, width, mean, logvar, NULL);
}

tsr_status tsr_vae_encode_begin(const tsr_vae *v, const uint8_t *rgb, int64_t count, int64_t height,
                                int64_t width, bool means, float *values, tsr_flight *flight) {
    const int64_t factor = tsr_vae_factor(&v->config), each = v->config.channels * (means ? 1 : 2);
    tsr_status status = check_size(v, "picture", height, width, factor);
    if (status) return status;
    const tsr_program program = {
        .fn = bytes_program, .model = v, .args = &means, .variant = means, .name = "vae encoder"};
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb, 4,
                                          (int64_t[]){count, height, width, 3});
    const tsr_tensor out = tsr_host_tensor(
        TSR_DTYPE_F32, values, 4, (int64_t[]){count, height / factor, width / factor, each});
    return tsr_execute_begin(v->device, &program, &in, 1, &out, 1, flight);
}

void tsr_vae_draw(int64_t count, float *mean, const float *logvar, const float *noise) {
    for (int64_t i = 0; i < count; ++i)
        mean[i] += expf(logvar[i] / 2) * noise[i];
}

tsr_status tsr_vae_decode(const tsr_vae *v, const float *latents, int64_t count, int64_t height,
                          int64_t width, float *rgb, const tsr_vae_trace *trace) {
    const int64_t factor = tsr_vae_factor(&v->config), channels = v->config.channels;
    const int64_t plane = height * width, pixels = plane * factor * factor;
    tsr_window_plan plan;
    tsr_status status = check_size(v, "latents", height, width, 1);
    if (!status) status = plan_half(v, true, height, width, &plan);
    if (status) return status;
    const tsr_tile_cost cost = tsr_window_cost(&v->decoder, true, &plan);
    const int64_t most = trace ? count : tsr_tiles_in_run(v->device, &cost, count);
    float *turned = tsr_alloc(v->ctx, (size_t)(most * plane * channels), 4, "vae: latents");
    if (!turned) return TSR_ERROR_MEMORY;
    for (int64_t first = 0; first < count && !status; first += most) {
        const int64_t batch = count - first < most ? count - first : most;
        for (int64_t i = 0; i < batch * plane; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[i * channels + c] =
                    latents[((first + i / plane) * channels + c) * plane + i % plane];
        const tsr_tensor in =
            tsr_host_tensor(TSR_DTYPE_F32, turned, 4, (int64_t[]){batch, height, width, channels});
        tsr_tensor out[TSR_MAX_IO] = {
            tsr_host_tensor(TSR_DTYPE_F32, rgb + first * pixels * 3, 4,
                            (int64_t[]){batch, height * factor, width * factor, 3})};
        traced t = {.memory = {.ctx = v->ctx}};
        if (trace) trace_decoder(&t, v, out, batch, height, width);
        source cut = {.v = v,
                      .plan = &plan,
                      .fn = decoder_program,
                      .dtype = TSR_DTYPE_F32,
                      .from = turned,
                      .in_scale = 1,
                      .in_channels = channels,
                      .out_scale = factor,
                      .out_channels = 3};
        status = run_batch(&cut, "vae decoder", &in, out, trace, &t);
    }
    free(turned);
    return status;
}
