/* SPDX-License-Identifier: MIT */
/* emu3_model.c: the networks, from top to bottom.
 *
 *   encoder: frame ─► conv ─► [resnets, half size] x levels ─► resnet, attention, resnet ─► norm,
 *            conv ─► features; over time: [conv of half the frames, swish] x times ─► resnets ─►
 * conv ─► nearest code decoder: codes and conv of codes, both over time: resnets ─► [frames twice,
 * conv, swish] x times; then each frame: conv ─► resnet, attention, resnet ─► [resnets, double
 * size] x levels ─► norm, conv ─► frame, with norms modulated by the codes
 *
 * Maps are [n, H, W, C], a clip's frames one after the other. Group norms have 32 groups and eps
 * 1e-6, batch norms eps 1e-5. What stands before the first frame is zeros. */
#include "emu3_model.h"
#include "../../../compute/arena.h"
#include "../../../nn/pieces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RUN_PIXELS = 1 << 18 }; /* of the frames that are computed at once */
/* Pieces of frames in one program: with many more a recording would be long, and nothing gained. */
enum { MOST_PIECES = 64 };

int64_t tsr_emu3_frames_at_once(int64_t height, int64_t width) {
    return height * width < RUN_PIXELS ? RUN_PIXELS / (height * width) : 1;
}

int64_t tsr_emu3_times(const emu3 *m, int64_t frames) {
    return frames / m->time_factor; /* halving rounded down twice is a quarter rounded down */
}

/* ---- opening ---- */

/* One of the two tables of a batch norm, whose values are the model's. */
static tsr_status add_table(emu3 *m, const tsr_weight *like, const char *what, float *values,
                            tsr_weight **where) {
    char name[200];
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, values, 1, like->tensor.dim);
    snprintf(name, sizeof name, "(%s of %.160s)", what, like->name);
    const tsr_status s = tsr_weights_add(m->ctx, m->weights, name, &t);
    return s ? s : tsr_weights_get(m->ctx, m->weights, name, 1, t.dim, where);
}

/* Makes both tables at *values, and moves it behind them. */
static tsr_status fold_batch_norm(emu3 *m, emu3_batch_norm *n, float **values) {
    const int64_t c = n->weight->tensor.dim[0];
    tsr_weight *const all[4] = {n->weight, n->bias, n->mean, n->variance};
    float *scale = *values, *shift = scale + c;
    tsr_status s = TSR_OK;
    for (int i = 0; i < 4 && !s; ++i)
        s = tsr_weight_pin(m->ctx, all[i]);
    for (int64_t i = 0; i < c && !s; ++i) {
        const double factor = n->weight->f32[i] / sqrt((double)n->variance->f32[i] + 1e-5);
        scale[i] = (float)factor;
        shift[i] = (float)(n->bias->f32[i] - n->mean->f32[i] * factor);
    }
    *values = shift + c;
    if (!s) s = add_table(m, n->weight, "scale", scale, &n->scale);
    return s ? s : add_table(m, n->weight, "shift", shift, &n->shift);
}

static tsr_status fold_batch_norms(emu3 *m) {
    emu3_half *const halves[2] = {&m->encoder, &m->decoder};
    const int resnets = m->encoder.time_resnets + m->decoder.time_resnets;
    m->tables = tsr_alloc(m->ctx, (size_t)(4 * resnets + 1), (size_t)m->channels * sizeof(float),
                          "batch norms");
    float *values = m->tables;
    tsr_status s = values ? TSR_OK : TSR_ERROR_MEMORY;
    for (int k = 0; k < 2; ++k)
        for (int i = 0; i < halves[k]->time_resnets && !s; ++i) {
            s = fold_batch_norm(m, &halves[k]->time_resnet[i].norm1, &values);
            if (!s) s = fold_batch_norm(m, &halves[k]->time_resnet[i].norm2, &values);
        }
    return s;
}

/* Fills a model whose device, context and weights are set. */
static tsr_status load_model(emu3 *m, const char *path) {
    if (!(m->path = strdup(path)))
        return tsr_fail(m->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    const emu3_names *names = tsr_emu3_names(NULL, m->weights);
    if (!names)
        return tsr_fail(
            m->ctx, TSR_ERROR_MODEL,
            "%s: wanted tensors of Emu3-VisionTokenizer (encoder.time_conv.0.conv.conv, "
            "quantize.embedding, encoder.down.0.block.0), got another set",
            path);
    tsr_weight_loader loader = tsr_load_all_begin(m->ctx, m->weights, path);
    tsr_emu3_load(&loader, names, m);
    tsr_status s = tsr_load_part_end(&loader, names->prefix, NULL);
    if (!s) s = tsr_code_table_prepare(m->ctx, m->weights, false, false, &m->codes);
    return s ? s : fold_batch_norms(m);
}

tsr_status tsr_emu3_open(tsr_device *device, tsr_weights *weights, const char *path, emu3 **model) {
    emu3 *m = tsr_alloc(tsr_device_context(device), 1, sizeof *m, "emu3");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->device = device;
    m->ctx = tsr_device_context(device);
    m->weights = weights;
    const tsr_status status = load_model(m, path);
    if (status)
        tsr_emu3_close(&m);
    else
        *model = m;
    return status;
}

void tsr_emu3_close(emu3 **model) {
    if (!model || !*model) return;
    emu3 *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    tsr_code_table_drop(&m->codes);
    free(m->tables);
    free(m->path);
    free(m);
    *model = NULL;
}

/* ---- a walk ---- */

/* Arguments of a program. */
typedef struct arguments {
    int64_t frames, wanted; /* of a clip, as the program gets them; and as it gives them, or before
                               all over time fills it up to */
    const tsr_layer_trace *trace;
} arguments;

typedef struct walk {
    tsr_run *r;
    const emu3 *m;
    tsr_layer_view view;
    int64_t frames;          /* T of the map */
    const tsr_tensor *codes; /* [n, h, w, channels] that modulate the decoder's norms */
} walk;

/* A convolution of the codes at the size of a map with `rows` rows. One of 1x1 commutes with
 * repeating, and is cheaper before it. */
static tsr_tensor *modulation(walk *w, const tsr_conv_layer *l, int64_t rows) {
    tsr_tensor *y = tsr_conv_one(w->r, w->codes, l);
    for (int64_t have = w->codes->dim[1]; have < rows; have *= 2)
        y = tsr_double(w->r, y);
    return y;
}

/* A norm; in the decoder times what the codes say, plus what they say. */
static tsr_tensor *norm(walk *w, const tsr_tensor *x, const emu3_norm *n, tsr_activation act) {
    const bool spatial = n->scale.weight != NULL;
    const int64_t rows = x->rank == 4 ? x->dim[1] : 0; /* of a failed tensor: none */
    tsr_tensor *y = tsr_conv_norm(w->r, x, &n->norm, 32, spatial ? TSR_ACT_NONE : act);
    if (!spatial) return y;
    y = tsr_binary(w->r, y, modulation(w, &n->scale, rows), TSR_BINARY_MUL);
    y = tsr_binary(w->r, y, modulation(w, &n->shift, rows), TSR_BINARY_ADD);
    return act == TSR_ACT_NONE ? y : tsr_unary(w->r, y, act);
}

/* Norm and swish; the norm alone is what is looked at. */
static tsr_tensor *norm_swish(walk *w, const tsr_tensor *x, const emu3_norm *n, const char *name) {
    if (!w->view.trace) return norm(w, x, n, TSR_ACT_SILU);
    return tsr_unary(w->r, tsr_layer_see(&w->view, norm(w, x, n, TSR_ACT_NONE), "%s", name),
                     TSR_ACT_SILU);
}

/* ---- frames ---- */

static tsr_tensor *run_resnet(walk *w, const emu3_resnet *n, tsr_tensor *x, const char *name) {
    const tsr_scope scope = tsr_scope_open(w->r);
    char part[96];
    snprintf(part, sizeof part, "%s.norm1", name);
    tsr_tensor *y = norm_swish(w, x, &n->norm1, part);
    y = tsr_layer_see(&w->view, tsr_conv_same(w->r, y, &n->conv1, false, NULL), "%s.conv1", name);
    y = norm(w, y, &n->norm2, TSR_ACT_SILU);
    y = tsr_conv_same(w->r, y, &n->conv2, false,
                      n->shortcut.weight ? tsr_conv_one(w->r, x, &n->shortcut) : x);
    return tsr_layer_see(&w->view, tsr_layer_close(&w->view, w->r, scope, y), "%s", name);
}

/* x + attention over all places of a frame. */
static tsr_tensor *run_attention(walk *w, const emu3_attention *a, tsr_tensor *x,
                                 const char *name) {
    if (!a->parts.query.weight) return x;
    const tsr_scope scope = tsr_scope_open(w->r);
    tsr_tensor *y =
        tsr_conv_attend(w->r, &a->parts, x, norm(w, x, &a->norm, TSR_ACT_NONE), NULL, 0);
    return tsr_layer_see(&w->view, tsr_layer_close(&w->view, w->r, scope, y), "%s", name);
}

static tsr_tensor *run_middle(walk *w, const emu3_half *h, tsr_tensor *x, const char *half) {
    char name[64];
    snprintf(name, sizeof name, "%s.mid.block_1", half);
    x = run_resnet(w, &h->mid[0], x, name);
    snprintf(name, sizeof name, "%s.mid.attn_1", half);
    x = run_attention(w, &h->mid[0].attention, x, name);
    snprintf(name, sizeof name, "%s.mid.block_2", half);
    return run_resnet(w, &h->mid[1], x, name);
}

static tsr_tensor *run_level(walk *w, const emu3_half *h, int i, tsr_tensor *x, const char *level) {
    char name[64];
    for (int k = 0; k < h->resnets; ++k) {
        snprintf(name, sizeof name, "%s.%d.block.%d", level, i, k);
        x = run_resnet(w, &h->level[i].resnet[k], x, name);
        snprintf(name, sizeof name, "%s.%d.attn.%d", level, i, k);
        x = run_attention(w, &h->level[i].resnet[k].attention, x, name);
    }
    return x;
}

static tsr_tensor *run_end(walk *w, const emu3_half *h, tsr_tensor *x, const char *half) {
    char name[64];
    snprintf(name, sizeof name, "%s.norm_out", half);
    x = norm_swish(w, x, &h->norm_out, name);
    return tsr_layer_see(&w->view, tsr_conv_same(w->r, x, &h->conv_out, false, NULL), "%s.conv_out",
                         half);
}

static walk start(tsr_run *r, const emu3 *m, tsr_tensor **seen) {
    const arguments *a = tsr_run_args(r);
    return (walk){.r = r, .m = m, .view = {a->trace, seen}, .frames = a->frames};
}

/* Pixels [n, H, W, 3] of -1 .. 1 of planes [n, 3, H, W], or of bytes [n, H, W, 3]. */
static tsr_tensor *pixels_of(tsr_run *r, tsr_tensor *x) {
    float table[256];
    if (x->dtype != TSR_DTYPE_U8) {
        const int64_t n = x->dim[0], rows = x->dim[2], columns = x->dim[3];
        x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){n, 3, rows * columns}));
        return tsr_reshape(r, x, 4, (int64_t[]){n, rows, columns, 3});
    }
    for (int v = 0; v < 256; ++v)
        table[v] = ((float)v * (1.0f / 255) - 0.5f) / 0.5f;
    return tsr_from_bytes_by(r, x, table, false);
}

/* The encoder of a walk on pixels [n, H, W, 3]: features [n, h, w, z]. */
static tsr_tensor *run_frames_encoder(tsr_run *r, void *of_walk, tsr_tensor *x) {
    walk *w = of_walk;
    const emu3_half *h = &w->m->encoder;
    x = tsr_layer_see(&w->view, tsr_conv_first(r, x, &h->conv_in), "encoder.conv_in");
    for (int i = 0; i < h->levels; ++i) {
        const tsr_scope scope = tsr_scope_open(r);
        const tsr_conv_layer *half = &h->level[i].resize;
        x = run_level(w, h, i, x, "encoder.down");
        if (half->weight) /* a zero row below and a zero column on the right */
            x = tsr_conv2d(
                r, x, half->weight,
                &(tsr_conv_spec){.bias = half->bias, .stride = 2, .bottom = 1, .right = 1});
        x = tsr_layer_see(&w->view, tsr_layer_close(&w->view, r, scope, x),
                          "encoder.down.%d.downsample", i);
    }
    x = run_middle(w, h, x, "encoder");
    return run_end(w, h, x, "encoder");
}

/* in: planes or bytes as above. out: features [n, h, w, z]; then what is looked at. */
static void encode_frames(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    walk w = start(r, model, out + 1);
    out[0] = run_frames_encoder(r, &w, pixels_of(r, in[0]));
}

/* in: features and codes [n, h, w, channels]. out: planes [n, 3, H, W]; then what is looked at. */
static void decode_frames(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const emu3 *m = model;
    const emu3_half *h = &m->decoder;
    walk w = start(r, m, out + 1);
    w.codes = in[1];
    tsr_tensor *x = tsr_layer_see(&w.view, tsr_conv_same(r, in[0], &h->conv_in, false, NULL),
                                  "decoder.conv_in");
    x = run_middle(&w, h, x, "decoder");
    for (int i = h->levels - 1; i >= 0; --i) {
        const tsr_scope scope = tsr_scope_open(r);
        x = run_level(&w, h, i, x, "decoder.up");
        if (i) x = tsr_conv_same(r, x, &h->level[i].resize, true, NULL);
        x = tsr_layer_see(&w.view, tsr_layer_close(&w.view, r, scope, x), "decoder.up.%d.upsample",
                          i);
    }
    x = run_end(&w, h, x, "decoder");
    const int64_t n = x->dim[0], rows = x->dim[1], columns = x->rank == 4 ? x->dim[2] : 0;
    if (columns)
        x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){n, rows * columns, x->dim[3]}));
    out[0] = columns ? tsr_reshape(r, x, 4, (int64_t[]){n, 3, rows, columns}) : x;
}

/* ---- time ---- */

/* Causal, of a kernel with one row and column, or three with zeros around. */
static tsr_tensor *conv_time(walk *w, const tsr_tensor *x, const tsr_conv_layer *l,
                             tsr_causal_spec spec) {
    const int pad = (int)(l->weight->tensor.dim[2] / 2);
    spec.frames = w->frames;
    spec.front = 2;
    spec.zeros = true;
    spec.conv.top = spec.conv.left = spec.conv.bottom = spec.conv.right = pad;
    return tsr_causal_conv(w->r, x, l, &spec);
}

static tsr_tensor *batch_norm(walk *w, const tsr_tensor *x, const emu3_batch_norm *n) {
    tsr_tensor *y = tsr_binary(w->r, x, tsr_from_weight(w->r, n->scale), TSR_BINARY_MUL);
    return tsr_binary(w->r, y, tsr_from_weight(w->r, n->shift), TSR_BINARY_ADD);
}

static tsr_tensor *run_time_resnets(walk *w, const emu3_half *h, tsr_tensor *x, const char *half) {
    for (int i = 0; i < h->time_resnets; ++i) {
        const emu3_time_resnet *n = &h->time_resnet[i];
        tsr_tensor *y = batch_norm(w, x, &n->norm1);
        tsr_layer_see(&w->view, y, "%s.time_res_stack.%d.norm1", half, i);
        y = tsr_unary(w->r, y, TSR_ACT_SILU);
        y = conv_time(w, y, &n->conv1, (tsr_causal_spec){0});
        y = tsr_unary(w->r, batch_norm(w, y, &n->norm2), TSR_ACT_SILU);
        x = conv_time(w, y, &n->conv2, (tsr_causal_spec){.conv = {.residual = x}});
        tsr_layer_see(&w->view, x, "%s.time_res_stack.%d", half, i);
    }
    return x;
}

/* Copies of each clip's last frame behind it: [B*T, ...] -> [B*filled, ...]. */
static tsr_tensor *fill_clips(walk *w, tsr_tensor *x, int64_t filled) {
    const int64_t frames = w->frames, clips = x->dim[0] / frames;
    int64_t dim[TSR_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[0] = clips * filled;
    tsr_tensor *all =
        tsr_reshape(w->r, x, 3, (int64_t[]){clips, frames, tsr_elements(x) / (clips * frames)});
    tsr_tensor *last = tsr_slice_rows(w->r, all, frames - 1, 1);
    for (; w->frames < filled; ++w->frames)
        all = tsr_concat_rows(w->r, all, last);
    return tsr_reshape(w->r, all, x->rank, dim);
}

/* in: features [B*T, h, w, z], of a picture its one frame; or bytes [B*T, H, W, 3], whose features
 * are computed here. out: vectors [N, channels], ids, margins and squared lengths [N]; then what is
 * looked at. */
static void encode_time(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const emu3 *m = model;
    const emu3_half *h = &m->encoder;
    const arguments *a = tsr_run_args(r);
    walk w = start(r, m, out + 4);
    tsr_tensor *x = in[0];
    if (x->dtype == TSR_DTYPE_U8)
        x = tsr_run_pieces(r, pixels_of(r, x), tsr_emu3_frames_at_once(x->dim[1], x->dim[2]),
                           run_frames_encoder, &w);
    if (a->wanted > w.frames && x->rank) x = fill_clips(&w, x, a->wanted);
    if (w.frames == 1) { /* a picture is so many equal frames */
        w.frames = m->time_factor;
        x = tsr_unfold_frames(
            r, x, &(tsr_frames_spec){.frames = 1, .made = w.frames, .front = (int)w.frames - 1});
    }
    for (int i = 0; i < h->times; ++i) {
        x = conv_time(&w, x, &h->time_conv[i], (tsr_causal_spec){.stride = 2});
        w.frames /= 2;
        x = tsr_unary(r, tsr_layer_see(&w.view, x, "encoder.time_conv.%d", i), TSR_ACT_SILU);
    }
    x = run_time_resnets(&w, h, x, "encoder");
    x = conv_time(&w, x, &m->quant, (tsr_causal_spec){0});
    out[0] = tsr_reshape(r, x, 2, (int64_t[]){tsr_elements(x) / m->channels, m->channels});
    tsr_code_table_search(r, &m->codes, out[0], &out[1], &out[2], &out[3]);
}

/* Frames `first` and so on of each of `clips`: [clips * frames, ...] -> [clips * count, ...]. */
static tsr_tensor *first_frames(walk *w, const tsr_tensor *x, int64_t count) {
    return tsr_unfold_frames(w->r, x, &(tsr_frames_spec){.frames = w->frames, .made = count});
}

/* in: ids [B*t, h, w]. out: features and modulation [B * wanted, h, w, channels]; then what is
 * looked at. Both are computed together, as one batch of twice as many clips. */
static void decode_time(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const emu3 *m = model;
    const emu3_half *h = &m->decoder;
    const arguments *a = tsr_run_args(r);
    walk w = start(r, m, out + 2);
    tsr_tensor *q = tsr_code_table_rows(r, &m->codes, in[0]); /* [B*t, h, w, channels] */
    tsr_tensor *p = conv_time(&w, q, &m->post_quant, (tsr_causal_spec){0});
    const int64_t n = in[0]->dim[0], frame = in[0]->dim[1] * in[0]->dim[2] * m->channels;
    const int64_t rows[3] = {1, n, frame};
    tsr_tensor *x =
        tsr_concat_rows(r, tsr_reshape(r, tsr_layer_see(&w.view, p, "post_quant_conv"), 3, rows),
                        tsr_reshape(r, q, 3, rows));
    x = tsr_reshape(r, x, 4, (int64_t[]){2 * n, in[0]->dim[1], in[0]->dim[2], m->channels});
    x = run_time_resnets(&w, h, x, "decoder");
    for (int i = 0; i < h->times; ++i) {
        x = conv_time(&w, x, &h->time_conv[i], (tsr_causal_spec){.twice = true});
        w.frames *= 2;
        x = tsr_unary(r, tsr_layer_see(&w.view, x, "decoder.time_conv.%d", i), TSR_ACT_SILU);
    }
    x = first_frames(&w, x, a->wanted); /* [2 * B * wanted, h, w, channels] */
    const int64_t half = n / a->frames * a->wanted;
    const int64_t shape[4] = {half, in[0]->dim[1], in[0]->dim[2], m->channels};
    x = tsr_reshape(r, x, 3, (int64_t[]){1, 2 * half, frame});
    out[0] = tsr_reshape(r, tsr_slice_rows(r, x, 0, half), 4, shape);
    out[1] = tsr_reshape(r, tsr_slice_rows(r, x, half, half), 4, shape);
}

/* ---- programs ---- */

static tsr_status begin(const emu3 *m, tsr_model_fn fn, const char *name, const arguments *args,
                        const tsr_tensor *in, int in_count, tsr_tensor out[TSR_MAX_IO], int count,
                        tsr_flight *flight) {
    const tsr_layer_trace *trace = args->trace;
    count = tsr_layer_trace_add(trace, out, count);
    /* A walk differs by its frames, since a batch of clips is frames alone, and by what is looked
     * at. */
    const int64_t variant =
        args->frames + (args->wanted << 20) + (trace ? trace->variant << 40 : 0);
    const tsr_program program = {.fn = fn,
                                 .model = m,
                                 .args = args,
                                 .variant = variant,
                                 .name = name,
                                 .pictures = fn == decode_time || fn == decode_frames};
    return tsr_execute_begin(m->device, &program, in, in_count, out, count, flight);
}

static tsr_status run(const emu3 *m, tsr_model_fn fn, const char *name, const arguments *args,
                      const tsr_tensor *in, int in_count, tsr_tensor out[TSR_MAX_IO], int count) {
    tsr_flight flight = {0};
    const tsr_status status = begin(m, fn, name, args, in, in_count, out, count, &flight);
    return status ? status : tsr_execute_end(m->device, &flight);
}

static tsr_status run_frames(const emu3 *m, const tsr_tensor *in, int64_t height, int64_t width,
                             float *features, const tsr_layer_trace *trace) {
    const int64_t shape[4] = {in->dim[0], height / m->factor, width / m->factor, m->channels};
    tsr_tensor out[TSR_MAX_IO] = {tsr_host_tensor(TSR_DTYPE_F32, features, 4, shape)};
    return run(m, encode_frames, "emu3 encode", &(arguments){.frames = 1, .trace = trace}, in, 1,
               out, 1);
}

tsr_status tsr_emu3_encode_frames(const emu3 *m, const float *planes, int64_t n, int64_t height,
                                  int64_t width, float *features, const tsr_layer_trace *trace) {
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)planes, 4,
                                          (int64_t[]){n, 3, height, width});
    return run_frames(m, &in, height, width, features, trace);
}

/* Begins all over time on features, or on bytes, of clips of args->frames frames, `times` positions
 * along time, h x w places. */
static tsr_status begin_time(const emu3 *m, const tsr_tensor *in, const arguments *args,
                             int64_t times, int64_t h, int64_t w, const emu3_codes *codes,
                             tsr_flight *flight) {
    const int64_t n = in->dim[0] / args->frames * times * h * w;
    tsr_tensor out[TSR_MAX_IO] = {
        tsr_host_tensor(TSR_DTYPE_F32, codes->z, 2, (int64_t[]){n, m->channels}),
        tsr_host_tensor(TSR_DTYPE_I32, codes->ids, 1, &n),
        tsr_host_tensor(TSR_DTYPE_F32, codes->margin, 1, &n),
        tsr_host_tensor(TSR_DTYPE_F32, codes->square, 2, (int64_t[]){n, 1})};
    const bool bytes = in->dtype == TSR_DTYPE_U8;
    return begin(m, encode_time, bytes ? "emu3 encode clips" : "emu3 encode over time", args, in, 1,
                 out, 4, flight);
}

tsr_status tsr_emu3_encode_time(const emu3 *m, const float *features, int64_t count, int64_t frames,
                                int64_t h, int64_t w, const emu3_codes *codes,
                                const tsr_layer_trace *trace) {
    const int64_t t = frames == 1 ? 1 : tsr_emu3_times(m, frames), n = count * t * h * w;
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)features, 4,
                                          (int64_t[]){count * frames, h, w, m->channels});
    tsr_scratch s = {.ctx = m->ctx};
    emu3_codes all = *codes;
    if (codes->near_ties && !all.margin)
        all.margin = tsr_scratch_take(&s, (size_t)n, sizeof(float), "emu3: margins");
    if (codes->near_ties && !all.square)
        all.square = tsr_scratch_take(&s, (size_t)n, sizeof(float), "emu3: lengths");
    tsr_flight flight = {0};
    tsr_status status = s.status;
    if (!status)
        status = begin_time(m, &in, &(arguments){.frames = frames, .trace = trace}, t, h, w, &all,
                            &flight);
    if (!status) status = tsr_execute_end(m->device, &flight);
    if (!status && codes->near_ties)
        status = tsr_code_table_near_ties(m->ctx, &m->codes, all.margin, all.square, n,
                                          codes->near_ties);
    tsr_scratch_free(&s);
    return status;
}

/* Features of frames of 8 bits [n, height, width, 3], so many at a time as memory is meant for. */
static tsr_status frames_by_pieces(const emu3 *m, const uint8_t *rgb, int64_t n, int64_t height,
                                   int64_t width, float *features) {
    const int64_t most = tsr_emu3_frames_at_once(height, width), pixels = height * width * 3;
    const int64_t each = height / m->factor * (width / m->factor) * m->channels;
    tsr_status status = TSR_OK;
    for (int64_t at = 0, some; at < n && !status; at += some) {
        some = n - at < most ? n - at : most;
        const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb + at * pixels,
                                              4, (int64_t[]){some, height, width, 3});
        status = run_frames(m, &in, height, width, features + at * each, NULL);
    }
    return status;
}

tsr_status tsr_emu3_encode_begin(const emu3 *m, const uint8_t *rgb, int64_t count, int64_t frames,
                                 int64_t filled, int64_t height, int64_t width,
                                 const emu3_codes *codes, tsr_flight *flight) {
    const int64_t n = count * frames, h = height / m->factor, w = width / m->factor;
    const arguments args = {.frames = frames, .wanted = filled};
    const int64_t times = filled == 1 ? 1 : tsr_emu3_times(m, filled);
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)rgb, 4,
                                    (int64_t[]){n, height, width, 3});
    if (n <= MOST_PIECES * tsr_emu3_frames_at_once(height, width))
        return begin_time(m, &in, &args, times, h, w, codes, flight);
    float *features = tsr_alloc_raw(
        m->ctx, (size_t)n, (size_t)(h * w * m->channels) * sizeof *features, "emu3: features");
    if (!features) return TSR_ERROR_MEMORY;
    tsr_status status = frames_by_pieces(m, rgb, n, height, width, features);
    in = tsr_host_tensor(TSR_DTYPE_F32, features, 4, (int64_t[]){n, h, w, m->channels});
    if (!status) status = begin_time(m, &in, &args, times, h, w, codes, flight);
    free(features);
    return status;
}

tsr_status tsr_emu3_decode_time(const emu3 *m, const int32_t *ids, int64_t count, int64_t t,
                                int64_t h, int64_t w, int64_t frames, float *features,
                                float *modulation, const tsr_layer_trace *trace) {
    const int64_t shape[4] = {count * frames, h, w, m->channels};
    const tsr_tensor in =
        tsr_host_tensor(TSR_DTYPE_I32, (int32_t *)(uintptr_t)ids, 3, (int64_t[]){count * t, h, w});
    tsr_tensor out[TSR_MAX_IO] = {tsr_host_tensor(TSR_DTYPE_F32, features, 4, shape),
                                  tsr_host_tensor(TSR_DTYPE_F32, modulation, 4, shape)};
    return run(m, decode_time, "emu3 decode over time",
               &(arguments){.frames = t, .wanted = frames, .trace = trace}, &in, 1, out, 2);
}

tsr_status tsr_emu3_decode_frames(const emu3 *m, const float *features, const float *modulation,
                                  int64_t n, int64_t h, int64_t w, float *planes,
                                  const tsr_layer_trace *trace) {
    const int64_t shape[4] = {n, h, w, m->channels};
    const tsr_tensor in[2] = {
        tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)features, 4, shape),
        tsr_host_tensor(TSR_DTYPE_F32, (float *)(uintptr_t)modulation, 4, shape)};
    tsr_tensor out[TSR_MAX_IO] = {
        tsr_host_tensor(TSR_DTYPE_F32, planes, 4, (int64_t[]){n, 3, h * m->factor, w * m->factor})};
    return run(m, decode_frames, "emu3 decode", &(arguments){.frames = 1, .trace = trace}, in, 2,
               out, 1);
}
