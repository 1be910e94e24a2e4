/* SPDX-License-Identifier: MIT */
/* vae.c: the model, from top to bottom.
 *
 *   picture ─► conv ─► [resnets, half size] x blocks ─► resnet, attention, resnet ─► norm, conv
 *           ─► mean, logvar of the latents
 *   latents ─► conv ─► resnet, attention, resnet ─► [resnets, double size] x blocks ─► norm, conv
 *           ─► picture
 *
 * Feature maps are [B, H, W, C]. Group norms have eps 1e-6. Halving pads a row at the bottom and a
 * column at the right only; doubling repeats pixels, inside the convolution that follows it. */
#include "vae.h"
#include "../compute/ops.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct layer {
    tsr_weight *weight, *bias;
} layer;
typedef struct resnet {
    layer norm1, conv1, norm2, conv2, shortcut; /* shortcut: where the channels change */
} resnet;
typedef struct block {
    resnet resnet[TSR_VAE_RESNETS + 1];
    layer resize; /* all blocks but the last */
} block;
typedef struct half { /* encoder or decoder */
    layer conv_in, norm_out, conv_out;
    block block[TSR_VAE_BLOCKS];
    resnet mid[2];
    layer norm, query, key, value, out; /* attention between them */
} half;

struct tsr_vae {
    tsr_device *device;
    tsr_context *ctx;
    char *path;
    tsr_vae_config config;
    half encoder, decoder;
    layer quant, post_quant;
    bool traced; /* of the program being walked through */
};

const tsr_vae_config *tsr_vae_get_config(const tsr_vae *vae) {
    return &vae->config;
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

static const tsr_weight *find(tsr_weights *weights, const char *prefix, const char *format, int i) {
    char name[256], part[128];
    snprintf(part, sizeof part, format, i);
    snprintf(name, sizeof name, "%s%s", prefix, part);
    return tsr_weights_find(weights, name);
}

tsr_status tsr_vae_read_shapes(tsr_context *ctx, tsr_weights *weights, const char *prefix,
                               const char *path, tsr_vae_config *c) {
    const tsr_weight *w;
    c->blocks = c->resnets = 0;
    while (c->blocks < TSR_VAE_BLOCKS &&
           (w = find(weights, prefix, "encoder.down_blocks.%d.resnets.0.conv1.weight", c->blocks)))
        c->width[c->blocks++] = w->tensor.dim[0];
    while (c->resnets < TSR_VAE_RESNETS &&
           find(weights, prefix, "encoder.down_blocks.0.resnets.%d.conv1.weight", c->resnets))
        c->resnets++;
    if (!c->blocks)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: tensor %sencoder.down_blocks.0.resnets.0.conv1.weight: wanted one, "
                        "got none",
                        path, prefix);
    c->old_names = find(weights, prefix, "encoder.mid_block.attentions.%d.query.weight", 0) != NULL;
    c->quant = find(weights, prefix, "quant_conv.weight", 0) != NULL;
    w = find(weights, prefix, "decoder.conv_in.weight", 0);
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

typedef struct naming { /* a place among the names */
    const tsr_wanted *wanted;
    tsr_status status;
    char name[256];
} naming;

static void want_layer(naming *n, layer *l, const char *part, int rank, const int64_t *dim) {
    if (n->status) return;
    n->status = tsr_want_layer(n->wanted, n->name, part, rank, dim, true, &l->weight, &l->bias);
}

static void want_conv(naming *n, layer *l, const char *part, int64_t out, int64_t in, int kernel) {
    want_layer(n, l, part, 4, (int64_t[]){out, in, kernel, kernel});
}

static void want_resnet(naming *n, resnet *r, const char *where, int64_t in, int64_t out) {
    const size_t length = strlen(n->name);
    snprintf(n->name + length, sizeof n->name - length, "%s.", where);
    want_layer(n, &r->norm1, "norm1", 1, &in);
    want_conv(n, &r->conv1, "conv1", out, in, 3);
    want_layer(n, &r->norm2, "norm2", 1, &out);
    want_conv(n, &r->conv2, "conv2", out, out, 3);
    if (in != out) want_conv(n, &r->shortcut, "conv_shortcut", out, in, 1);
    n->name[length] = 0;
}

static void want_middle(naming *n, const tsr_vae_config *c, half *h, int64_t d) {
    static const char *const names[2][4] = {{"to_q", "to_k", "to_v", "to_out.0"},
                                            {"query", "key", "value", "proj_attn"}};
    layer *const parts[4] = {&h->query, &h->key, &h->value, &h->out};
    want_resnet(n, &h->mid[0], "mid_block.resnets.0", d, d);
    want_layer(n, &h->norm, "mid_block.attentions.0.group_norm", 1, &d);
    for (int i = 0; i < 4; ++i) {
        char part[64];
        snprintf(part, sizeof part, "mid_block.attentions.0.%s", names[c->old_names][i]);
        want_layer(n, parts[i], part, 2, (int64_t[]){d, d});
    }
    want_resnet(n, &h->mid[1], "mid_block.resnets.1", d, d);
}

tsr_status tsr_vae_want(const tsr_vae_config *c, const char *prefix, const tsr_wanted *wanted,
                        tsr_vae *vae) {
    const int64_t last = c->width[c->blocks - 1], z = c->channels;
    naming n = {.wanted = wanted};
    char where[64];
    snprintf(n.name, sizeof n.name, "%sencoder.", prefix);
    half *h = &vae->encoder;
    want_conv(&n, &h->conv_in, "conv_in", c->width[0], 3, 3);
    for (int i = 0; i < c->blocks; ++i) {
        for (int k = 0; k < c->resnets; ++k) {
            snprintf(where, sizeof where, "down_blocks.%d.resnets.%d", i, k);
            want_resnet(&n, &h->block[i].resnet[k], where, c->width[k || !i ? i : i - 1],
                        c->width[i]);
        }
        snprintf(where, sizeof where, "down_blocks.%d.downsamplers.0.conv", i);
        if (i + 1 < c->blocks)
            want_conv(&n, &h->block[i].resize, where, c->width[i], c->width[i], 3);
    }
    want_middle(&n, c, h, last);
    want_layer(&n, &h->norm_out, "conv_norm_out", 1, &last);
    want_conv(&n, &h->conv_out, "conv_out", 2 * z, last, 3);

    snprintf(n.name, sizeof n.name, "%sdecoder.", prefix);
    h = &vae->decoder;
    want_conv(&n, &h->conv_in, "conv_in", last, z, 3);
    want_middle(&n, c, h, last);
    for (int i = 0; i < c->blocks; ++i) { /* the widths the other way round */
        const int64_t out = c->width[c->blocks - 1 - i], in = i ? c->width[c->blocks - i] : out;
        for (int k = 0; k <= c->resnets; ++k) {
            snprintf(where, sizeof where, "up_blocks.%d.resnets.%d", i, k);
            want_resnet(&n, &h->block[i].resnet[k], where, k ? out : in, out);
        }
        snprintf(where, sizeof where, "up_blocks.%d.upsamplers.0.conv", i);
        if (i + 1 < c->blocks) want_conv(&n, &h->block[i].resize, where, out, out, 3);
    }
    want_layer(&n, &h->norm_out, "conv_norm_out", 1, &c->width[0]);
    want_conv(&n, &h->conv_out, "conv_out", 3, c->width[0], 3);

    snprintf(n.name, sizeof n.name, "%s", prefix);
    if (c->quant) want_conv(&n, &vae->quant, "quant_conv", 2 * z, 2 * z, 1);
    if (c->quant) want_conv(&n, &vae->post_quant, "post_quant_conv", z, z, 1);
    return n.status;
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
    tsr_wanted_loader loader = {.ctx = ctx, .weights = weights, .path = path};
    const tsr_wanted wanted = {tsr_wanted_load, &loader};
    tsr_status status = v->path ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", path);
    if (!status) status = tsr_vae_want(config, prefix, &wanted, v);
    if (status)
        tsr_vae_close(&v);
    else
        *vae = v;
    return status;
}

void tsr_vae_close(tsr_vae **vae) {
    if (!vae || !*vae) return;
    tsr_device_forget((*vae)->device, *vae);
    free((*vae)->path);
    free(*vae);
    *vae = NULL;
}

/* ---- the model ---- */

typedef struct walk {
    tsr_run *r;
    const tsr_vae *v;
    tsr_tensor **out;
    int made;
    tsr_scope scope;
} walk;

/* Ends a part of the model: its other activations may go; if traced, it is an output too. */
static tsr_tensor *part(walk *w, tsr_tensor *x) {
    if (w->v->traced) return w->out[w->made++] = x;
    x = tsr_scope_close(w->r, w->scope, x);
    w->scope = tsr_scope_open(w->r);
    return x;
}

static tsr_tensor *conv3(walk *w, const tsr_tensor *x, const layer *l, const tsr_tensor *residual) {
    return tsr_conv2d(
        w->r, x, l->weight,
        &(tsr_conv_spec){
            .bias = l->bias, .top = 1, .left = 1, .bottom = 1, .right = 1, .residual = residual});
}

static tsr_tensor *conv1(walk *w, const tsr_tensor *x, const layer *l) {
    return tsr_conv2d(w->r, x, l->weight, &(tsr_conv_spec){.bias = l->bias});
}

static tsr_tensor *norm(walk *w, const tsr_tensor *x, const layer *l, tsr_activation act) {
    return tsr_group_norm(w->r, x,
                          &(tsr_group_norm_spec){.gamma = l->weight,
                                                 .beta = l->bias,
                                                 .groups = w->v->config.groups,
                                                 .eps = 1e-6f,
                                                 .act = act});
}

static tsr_tensor *run_resnet(walk *w, const resnet *n, tsr_tensor *x) {
    const tsr_scope scope = tsr_scope_open(w->r);
    tsr_tensor *y = norm(w, x, &n->norm1, TSR_ACT_SILU);
    y = conv3(w, y, &n->conv1, NULL);
    y = norm(w, y, &n->norm2, TSR_ACT_SILU);
    if (n->shortcut.weight) x = conv1(w, x, &n->shortcut);
    y = conv3(w, y, &n->conv2, x);
    return w->v->traced ? y : tsr_scope_close(w->r, scope, y);
}

static tsr_tensor *project(walk *w, const tsr_tensor *x, const layer *l, const tsr_tensor *add) {
    return tsr_linear(w->r, x, l->weight, &(tsr_epilogue){.bias = l->bias, .residual = add});
}

/* One head over all positions. x [B, H, W, C] */
static tsr_tensor *run_attention(walk *w, const half *h, tsr_tensor *x) {
    const int64_t flat[3] = {x->dim[0], x->dim[1] * x->dim[2], x->dim[3]};
    const tsr_tensor whole = *x;
    tsr_tensor *y = tsr_reshape(w->r, norm(w, x, &h->norm, TSR_ACT_NONE), 3, flat);
    y = tsr_attention(w->r, project(w, y, &h->query, NULL), project(w, y, &h->key, NULL),
                      project(w, y, &h->value, NULL), &(tsr_attention_spec){.heads = 1});
    y = project(w, y, &h->out, tsr_reshape(w->r, x, 3, flat));
    return tsr_reshape(w->r, y, whole.rank, whole.dim);
}

static tsr_tensor *run_middle(walk *w, const half *h, tsr_tensor *x) {
    x = part(w, run_resnet(w, &h->mid[0], x));
    x = part(w, run_attention(w, h, x));
    return part(w, run_resnet(w, &h->mid[1], x));
}

static tsr_tensor *run_out(walk *w, const half *h, tsr_tensor *x) {
    if (w->v->traced) { /* the norm is wanted before its activation */
        x = part(w, norm(w, x, &h->norm_out, TSR_ACT_NONE));
        x = tsr_unary(w->r, x, TSR_ACT_SILU);
    } else
        x = norm(w, x, &h->norm_out, TSR_ACT_SILU);
    return conv3(w, x, &h->conv_out, NULL);
}

/* in: pictures [B, H, W, 3]. out: mean and logvar [B, h, w, 2C], then what is traced. */
static void encoder_program(tsr_run *r, void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_vae *v = model;
    const tsr_vae_config *c = &v->config;
    const half *h = &v->encoder;
    walk w = {.r = r, .v = v, .out = out, .made = 1, .scope = tsr_scope_open(r)};
    tsr_tensor *x = part(&w, conv3(&w, in[0], &h->conv_in, NULL)); /* [B, H, W, width 0] */
    for (int i = 0; i < c->blocks; ++i) {
        for (int k = 0; k < c->resnets; ++k)
            x = run_resnet(&w, &h->block[i].resnet[k], x);
        if (h->block[i].resize.weight)
            x = tsr_conv2d(r, x, h->block[i].resize.weight,
                           &(tsr_conv_spec){.bias = h->block[i].resize.bias,
                                            .stride = 2,
                                            .bottom = 1,
                                            .right = 1}); /* [B, H/2, W/2, width i] */
        x = part(&w, x);
    }
    x = run_middle(&w, h, x);
    x = run_out(&w, h, x); /* [B, h, w, 2C] */
    if (v->traced) part(&w, x);
    out[0] = v->quant.weight ? conv1(&w, x, &v->quant) : x;
}

/* in: latents [B, h, w, C]. out: pictures [B, H, W, 3], then what is traced. */
static void decoder_program(tsr_run *r, void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_vae *v = model;
    const tsr_vae_config *c = &v->config;
    const half *h = &v->decoder;
    walk w = {.r = r, .v = v, .out = out, .made = 1, .scope = tsr_scope_open(r)};
    tsr_tensor *x = in[0];
    if (v->post_quant.weight) x = part(&w, conv1(&w, x, &v->post_quant));
    x = part(&w, conv3(&w, x, &h->conv_in, NULL)); /* [B, h, w, width of the last block] */
    x = run_middle(&w, h, x);
    for (int i = 0; i < c->blocks; ++i) {
        for (int k = 0; k <= c->resnets; ++k)
            x = run_resnet(&w, &h->block[i].resnet[k], x);
        if (h->block[i].resize.weight)
            x = tsr_conv2d(r, x, h->block[i].resize.weight,
                           &(tsr_conv_spec){.bias = h->block[i].resize.bias,
                                            .top = 1,
                                            .left = 1,
                                            .bottom = 1,
                                            .right = 1,
                                            .upsample = true}); /* [B, 2h, 2w, ...] */
        x = part(&w, x);
    }
    out[0] = run_out(&w, h, x);
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

/* What the traced program gives besides its output. */
typedef struct traced {
    char name[TSR_MAX_IO][24];
    float *data[TSR_MAX_IO];
    int count;
} traced;

static void add_trace(traced *t, tsr_vae *v, tsr_status *status, tsr_tensor *out, const char *name,
                      int number, int64_t count, int64_t height, int64_t width, int64_t channels) {
    if (*status) return;
    if (t->count + 1 == TSR_MAX_IO) {
        *status = tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED, "%s: trace: too many parts", v->path);
        return;
    }
    const int64_t dim[4] = {count, height, width, channels};
    float *data = tsr_alloc(v->ctx, (size_t)(count * height * width * channels), 4, "trace");
    if (!data) {
        *status = TSR_ERROR_MEMORY;
        return;
    }
    snprintf(t->name[t->count], sizeof t->name[0], name, number);
    t->data[t->count++] = data;
    out[t->count] = tsr_host_tensor(TSR_F32, data, 4, dim);
}

static void end_trace(traced *t, const tsr_tensor *out, const tsr_vae_trace *trace, bool show) {
    for (int i = 0; i < t->count; ++i) {
        if (show) trace->see(trace->user, t->name[i], t->data[i], out[i + 1].dim);
        free(t->data[i]);
    }
}

static tsr_status trace_middle(traced *t, tsr_vae *v, tsr_tensor *out, const char *half_name,
                               int64_t count, int64_t height, int64_t width) {
    static const char *const names[] = {"res0", "attn", "res1"};
    tsr_status status = TSR_OK;
    for (int i = 0; i < 3; ++i) {
        char name[24];
        snprintf(name, sizeof name, "%s.mid.%s", half_name, names[i]);
        add_trace(t, v, &status, out, name, 0, count, height, width,
                  v->config.width[v->config.blocks - 1]);
    }
    return status;
}

static tsr_status trace_encoder(traced *t, tsr_vae *v, tsr_tensor *out, int64_t count, int64_t h,
                                int64_t w) {
    const tsr_vae_config *c = &v->config;
    tsr_status status = TSR_OK;
    add_trace(t, v, &status, out, "enc.conv_in", 0, count, h, w, c->width[0]);
    for (int i = 0; i < c->blocks; ++i) {
        if (i + 1 < c->blocks) h /= 2, w /= 2;
        add_trace(t, v, &status, out, "enc.down.%d", i, count, h, w, c->width[i]);
    }
    if (!status) status = trace_middle(t, v, out, "enc", count, h, w);
    add_trace(t, v, &status, out, "enc.norm_out", 0, count, h, w, c->width[c->blocks - 1]);
    add_trace(t, v, &status, out, "enc.conv_out", 0, count, h, w, 2 * c->channels);
    return status;
}

static tsr_status trace_decoder(traced *t, tsr_vae *v, tsr_tensor *out, int64_t count, int64_t h,
                                int64_t w) {
    const tsr_vae_config *c = &v->config;
    tsr_status status = TSR_OK;
    if (c->quant) add_trace(t, v, &status, out, "dec.post_quant", 0, count, h, w, c->channels);
    add_trace(t, v, &status, out, "dec.conv_in", 0, count, h, w, c->width[c->blocks - 1]);
    if (!status) status = trace_middle(t, v, out, "dec", count, h, w);
    for (int i = 0; i < c->blocks; ++i) {
        if (i + 1 < c->blocks) h *= 2, w *= 2;
        add_trace(t, v, &status, out, "dec.up.%d", i, count, h, w, c->width[c->blocks - 1 - i]);
    }
    add_trace(t, v, &status, out, "dec.norm_out", 0, count, h, w, c->width[0]);
    return status;
}

tsr_status tsr_vae_encode(tsr_vae *v, const float *rgb, int64_t count, int64_t height,
                          int64_t width, float *mean, float *logvar, const tsr_vae_trace *trace) {
    const int64_t factor = tsr_vae_factor(&v->config), channels = v->config.channels;
    const int64_t h = height / factor, w = width / factor, plane = h * w;
    tsr_status status = check_size(v, "picture", height, width, factor);
    if (status) return status;
    /* One by one: a picture is work enough for a device, and memory does not grow. */
    const int64_t batch = trace ? count : 1;
    float *made = tsr_alloc(v->ctx, (size_t)(batch * plane * 2 * channels), 4, "vae: latents");
    if (!made) return TSR_ERROR_MEMORY;
    for (int64_t first = 0; first < count && !status; first += batch) {
        const tsr_tensor in = tsr_host_tensor(TSR_F32, (float *)rgb + first * height * width * 3, 4,
                                              (int64_t[]){batch, height, width, 3});
        tsr_tensor out[TSR_MAX_IO] = {
            tsr_host_tensor(TSR_F32, made, 4, (int64_t[]){batch, h, w, 2 * channels})};
        traced t = {0};
        if (trace) status = trace_encoder(&t, v, out, batch, height, width);
        v->traced = trace != NULL;
        const tsr_program program = {
            .fn = encoder_program, .model = v, .variant = v->traced, .name = "vae encoder"};
        if (!status) status = tsr_execute(v->device, &program, &in, 1, out, 1 + t.count);
        end_trace(&t, out, trace, !status);
        for (int64_t i = 0; i < batch * plane && !status; ++i)
            for (int64_t c = 0; c < channels; ++c) {
                const float *from = made + i * 2 * channels;
                const int64_t to = ((first + i / plane) * channels + c) * plane + i % plane;
                mean[to] = from[c];
                if (logvar) logvar[to] = fminf(fmaxf(from[channels + c], -30.0f), 20.0f);
            }
    }
    free(made);
    return status;
}

tsr_status tsr_vae_decode(tsr_vae *v, const float *latents, int64_t count, int64_t height,
                          int64_t width, float *rgb, const tsr_vae_trace *trace) {
    const int64_t factor = tsr_vae_factor(&v->config), channels = v->config.channels;
    const int64_t plane = height * width, pixels = plane * factor * factor;
    tsr_status status = check_size(v, "latents", height, width, 1);
    if (status) return status;
    const int64_t batch = trace ? count : 1;
    float *turned = tsr_alloc(v->ctx, (size_t)(batch * plane * channels), 4, "vae: latents");
    if (!turned) return TSR_ERROR_MEMORY;
    for (int64_t first = 0; first < count && !status; first += batch) {
        for (int64_t i = 0; i < batch * plane; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[i * channels + c] =
                    latents[((first + i / plane) * channels + c) * plane + i % plane];
        const tsr_tensor in =
            tsr_host_tensor(TSR_F32, turned, 4, (int64_t[]){batch, height, width, channels});
        tsr_tensor out[TSR_MAX_IO] = {
            tsr_host_tensor(TSR_F32, rgb + first * pixels * 3, 4,
                            (int64_t[]){batch, height * factor, width * factor, 3})};
        traced t = {0};
        if (trace) status = trace_decoder(&t, v, out, batch, height, width);
        v->traced = trace != NULL;
        const tsr_program program = {
            .fn = decoder_program, .model = v, .variant = v->traced, .name = "vae decoder"};
        if (!status) status = tsr_execute(v->device, &program, &in, 1, out, 1 + t.count);
        end_trace(&t, out, trace, !status);
    }
    free(turned);
    return status;
}
