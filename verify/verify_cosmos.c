/* SPDX-License-Identifier: MIT */
/* verify_cosmos.c: golden cases of the Cosmos tokenizers. Pictures and clips are encoded as the
 * modules do it, without the padding of the family (runs with padding pad here); they are decoded
 * from the stored ids or latents. Every layer that a run stores is compared. */
#include "verify_picture.h"

#include "../codec/tokenizers/cosmos/cosmos_model.h"
#include "../formats/weights/torch_pickle.h"
#include "../quantizer/quantizer.h"

#include <stdlib.h>
#include <string.h>

typedef struct cosmos_model {
    tsr_synthetic *synthetic[2]; /* with weights as they are, rounded to bf16 */
    cosmos *cosmos[2];
} cosmos_model;

static void close_cosmos(void *model) {
    cosmos_model *m = model;
    for (int i = 0; i < 2; ++i) {
        tsr_cosmos_close(&m->cosmos[i]);
        tsr_synthetic_close(&m->synthetic[i]);
    }
}

static void open_nothing(tsr_verify *v, void *model) {
    (void)v, (void)model;
}

/* The case's model, opened at first use. The manifest says what tensors do not. */
static const cosmos *get_model(tsr_verify *v) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    cosmos_model *m = tsr_verify_model(v, sizeof *m, open_nothing, close_cosmos);
    const int rounded = cJSON_HasObjectItem(v->run, "weights");
    if (v->status || m->cosmos[rounded]) return v->status ? NULL : m->cosmos[rounded];
    const cosmos_hints hints = {
        .groups = (int)tsr_verify_number(config, "group_norm_groups", 0),
        .space_factor = (int)tsr_verify_number(config, "spatial_compression", 0),
        .time_factor = (int)tsr_verify_number(config, "temporal_compression", 0)};
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, rounded ? TSR_DTYPE_BF16 : TSR_DTYPE_F32, &m->synthetic[rounded],
                       &weights);
    if (!v->status)
        v->status = tsr_cosmos_open(v->device, weights, v->folder, &hints, &m->cosmos[rounded]);
    return m->cosmos[rounded];
}

typedef struct clip { /* what a run encodes */
    int64_t count, frames, height, width;
    int64_t crop[3], shown[3]; /* of what was there before padding: frames, rows, columns */
    float *planes;             /* [count, frames, 3, height, width] */
} clip;

/* What a run says of its padding: [t0,y0,x0,t1,y1,x1], or without time. */
static void read_padding(tsr_verify *v, clip *c) {
    int crop[6], shape[3];
    if (!cJSON_HasObjectItem(v->run, "crop")) return;
    const int n = tsr_verify_integers(v, v->run, "crop", crop, 4, 6) / 2;
    if (tsr_verify_integers(v, v->run, "padded_shape", shape, 2, 3) != n)
        tsr_verify_refuse(v, "padded_shape: wanted as many axes as crop");
    if (v->status) return;
    for (int i = 0; i < n; ++i) {
        const int axis = 3 - n + i;
        c->crop[axis] = crop[i];
        if (crop[n + i] - crop[i] != c->shown[axis] || shape[i] < crop[n + i] || crop[i] < 0)
            tsr_verify_refuse(v, "crop: wanted the size of the input");
    }
    if (n == 3) c->frames = shape[0];
    c->height = shape[n - 2];
    c->width = shape[n - 1];
}

/* Frames of an input, one below the other, to padded planes. */
static void fill_planes(const clip *c, const uint8_t *rgb, float *planes) {
    const size_t plane = (size_t)(c->height * c->width);
    const size_t frame = (size_t)(c->shown[1] * c->shown[2] * 3);
    for (size_t i = 0; i < (size_t)c->frames * 3 * plane; ++i)
        planes[i] = -1;
    for (int64_t f = 0; f < c->frames; ++f) {
        int64_t from = f - c->crop[0];
        from = from < 0 ? 0 : from < c->shown[0] ? from : c->shown[0] - 1;
        for (int64_t i = 0; i < c->shown[1] * c->shown[2] * 3; ++i) {
            const int64_t y = i / 3 / c->shown[2] + c->crop[1],
                          x = i / 3 % c->shown[2] + c->crop[2];
            planes[(size_t)(f * 3 + i % 3) * plane + (size_t)(y * c->width + x)] =
                (float)(rgb[(size_t)from * frame + (size_t)i] / 255.0 * 2 - 1);
        }
    }
}

static clip read_clip(tsr_verify *v) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "inputs"), *item;
    clip c = {.frames = (int64_t)tsr_verify_number(v->run, "frames", 1)};
    const int inputs = cJSON_GetArraySize(list);
    if (inputs < 1 || inputs > 8 || c.frames < 1)
        tsr_verify_refuse(v, "inputs: wanted 1 to 8 names, got %d", inputs);
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name ? name : "");
        int width = 0, height = 0;
        uint8_t *rgb = tsr_verify_picture(v, name ? name : "", &width, &height);
        const int64_t rows = (int64_t)tsr_verify_number(entry, "height", 1);
        if (!v->status && (height % rows || c.frames > height / rows))
            tsr_verify_refuse(v, "inputs: wanted %lld frames of %lld rows, got %d rows",
                              (long long)c.frames, (long long)rows, height);
        if (!v->status && !c.planes) {
            c.shown[0] = c.frames, c.shown[1] = c.height = rows, c.shown[2] = c.width = width;
            read_padding(v, &c);
            c.planes = tsr_verify_take(v, inputs * c.frames * 3 * c.height * c.width,
                                       sizeof *c.planes, "pixels");
        }
        if (!v->status && (rows != c.shown[1] || width != c.shown[2]))
            tsr_verify_refuse(v, "inputs: wanted one size for all");
        if (!v->status)
            fill_planes(&c, rgb, c.planes + c.count++ * c.frames * 3 * c.height * c.width);
        free(rgb);
    }
    return c;
}

/* ---- comparing ---- */

/* Shape of an entry, [B, C, (T,) H, W]; returns how many axes. */
static int shape_of(tsr_verify *v, const char *output, int shape[5]) {
    return tsr_verify_integers(v, tsr_verify_output(v, output), "shape", shape, 1, 5);
}

/* Compares rows [B, T * H * W, C] with an entry [B, C, ...], whatever its axes are. */
static void compare_rows(tsr_verify *v, const char *output, const float *got, int64_t count,
                         int64_t channels, tsr_verify_ties ties) {
    int shape[5];
    if (!tsr_verify_output(v, output)) return;
    const int rank = shape_of(v, output, shape);
    int64_t places = 1, dim[5];
    for (int i = 0; i < rank; ++i) {
        dim[i] = shape[i];
        if (i > 1) places *= shape[i];
    }
    if (rank < 3 || shape[0] != count || shape[1] != channels)
        tsr_verify_refuse(v, "%s: wanted [%lld, %lld, ...]", output, (long long)count,
                          (long long)channels);
    float *turned = tsr_verify_take(v, count * places * channels, sizeof *turned, output);
    if (v->status) return;
    for (int64_t b = 0; b < count; ++b)
        for (int64_t i = 0; i < places; ++i)
            for (int64_t c = 0; c < channels; ++c)
                turned[(b * channels + c) * places + i] = got[(b * places + i) * channels + c];
    tsr_verify_f32_ties(v, output, turned, rank, dim, ties);
}

enum { TRACED = 12 }; /* outputs of a walk beside its own */

typedef struct traced { /* layers that one walk looks at */
    tsr_layer_trace trace;
    const char *names[TRACED];
    tsr_tensor out[TRACED];
} traced;

/* Whether an output is a layer of this half. */
static bool is_layer(const char *name, bool decoder) {
    return strncmp(name, decoder ? "decoder." : "encoder.", 8) == 0 ||
           (decoder && !strcmp(name, "post_quant_conv"));
}

/* The next layers of a half that the run stores, from output *at on; moves *at. */
static void next_layers(tsr_verify *v, bool decoder, int *at, traced *t) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "outputs");
    *t = (traced){.trace = {.names = t->names, .out = t->out}};
    for (; *at < cJSON_GetArraySize(list) && t->trace.count < TRACED; ++*at) {
        const char *name = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, *at), "name"));
        int shape[5];
        if (!name || !is_layer(name, decoder)) continue;
        int64_t n = 1;
        const int rank = shape_of(v, name, shape);
        for (int i = 0; i < rank; ++i)
            n *= shape[i];
        tsr_tensor *o = &t->out[t->trace.count];
        *o = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, &n);
        o->data = tsr_verify_take(v, n, sizeof(float), name);
        t->names[t->trace.count++] = name;
    }
    /* Another set of layers is another walk. */
    t->trace.variant = 1 + (decoder ? 1 : 0) + 2 * *at;
}

static void compare_layers(tsr_verify *v, int64_t count, const traced *t) {
    for (int i = 0; i < t->trace.count && !v->status; ++i) {
        int shape[5];
        if (shape_of(v, t->names[i], shape) > 1)
            compare_rows(v, t->names[i], t->out[i].data, count, shape[1], (tsr_verify_ties){0});
    }
}

/* ---- runs ---- */

static void verify_encode(tsr_verify *v, const cosmos *m, const clip *c) {
    const int64_t t = tsr_cosmos_times(m, c->frames), h = c->height / m->factor;
    const int64_t w = c->width / m->factor, n = c->count * t * h * w;
    float *z = tsr_verify_take(v, n * m->channels, sizeof *z, "latents");
    float *bounded = tsr_verify_take(v, n * m->channels, sizeof *bounded, "bounded");
    float *codes = tsr_verify_take(v, n * m->channels, sizeof *codes, "codes");
    float *margin = tsr_verify_take(v, n, sizeof *margin, "margins");
    int32_t *ids = tsr_verify_take(v, n, sizeof *ids, "ids");
    traced layers;
    for (int at = 0; !v->status;) {
        next_layers(v, false, &at, &layers);
        if (v->status || !layers.trace.count) break;
        tsr_verify_record(v, tsr_cosmos_encode(m, c->planes, c->count, c->frames, c->height,
                                               c->width, NULL, NULL, ids, &layers.trace));
        compare_layers(v, c->count, &layers);
    }
    if (v->status) return;
    v->status = tsr_cosmos_encode(m, c->planes, c->count, c->frames, c->height, c->width, z,
                                  bounded, ids, NULL);
    compare_rows(v, "z", z, c->count, m->channels, (tsr_verify_ties){0});
    if (m->continuous || v->status) return;
    for (int64_t i = 0; i < n; ++i) {
        margin[i] = tsr_levels_margin(TSR_COSMOS_FSQ, bounded + i * TSR_COSMOS_FSQ);
        tsr_levels_round(tsr_cosmos_levels, TSR_COSMOS_FSQ, bounded + i * TSR_COSMOS_FSQ,
                         codes + i * TSR_COSMOS_FSQ);
    }
    const int64_t clips[4] = {c->count, t, h, w}, pictures[3] = {c->count, h, w};
    compare_rows(v, "bounded", bounded, c->count, m->channels, (tsr_verify_ties){0});
    tsr_verify_ids(v, ids, margin, m->clip ? 4 : 3, m->clip ? clips : pictures);
    int64_t wrong = 0; /* codes and ids are two ways to say one thing */
    for (int64_t i = 0; i < n; ++i)
        wrong +=
            tsr_levels_id(tsr_cosmos_levels, TSR_COSMOS_FSQ, codes + i * TSR_COSMOS_FSQ) != ids[i];
    if (wrong) tsr_verify_line(v, "ids", false, "%lld differ from their codes", (long long)wrong);
}

/* Decoded planes to the 8 bits of the official class, without padding. */
static void verify_bytes(tsr_verify *v, const cosmos *m, const clip *c, const float *planes) {
    const char *output = m->clip ? "video_u8" : "image_u8";
    const int64_t *s = c->shown, frame = c->height * c->width;
    const int64_t n = c->count * s[0] * s[1] * s[2] * 3;
    if (!tsr_verify_output(v, output)) return;
    uint8_t *bytes = tsr_verify_take(v, n, 1, output);
    for (int64_t i = 0; i < n && !v->status; ++i) {
        const int64_t x = i / 3 % s[2] + c->crop[2], y = i / 3 / s[2] % s[1] + c->crop[1];
        const int64_t f = i / 3 / s[2] / s[1] % s[0] + c->crop[0], b = i / 3 / s[2] / s[1] / s[0];
        const float value =
            planes[((b * c->frames + f) * 3 + i % 3) * frame + y * c->width + x] * 0.5f + 0.5f;
        bytes[i] = (uint8_t)((value < 0 ? 0 : value > 1 ? 1 : value) * 255.0f + 0.5f);
    }
    const int64_t clips[5] = {c->count, s[0], s[1], s[2], 3},
                  pictures[4] = {c->count, s[1], s[2], 3};
    tsr_verify_u8(v, output, bytes, m->clip ? 5 : 4, m->clip ? clips : pictures);
}

/* Planes [B, T, 3, H, W] with an entry [B, 3, (T,) H, W]. */
static void verify_planes(tsr_verify *v, const cosmos *m, const clip *c, const float *planes) {
    const int64_t frame = c->height * c->width, n = c->count * c->frames * 3 * frame;
    const int64_t clips[5] = {c->count, 3, c->frames, c->height, c->width};
    const int64_t pictures[4] = {c->count, 3, c->height, c->width};
    float *turned = tsr_verify_take(v, n, sizeof *turned, "pictures");
    for (int64_t i = 0; i < n && !v->status; ++i) {
        const int64_t f = i / frame % c->frames, ch = i / frame / c->frames % 3;
        const int64_t b = i / frame / c->frames / 3;
        turned[i] = planes[((b * c->frames + f) * 3 + ch) * frame + i % frame];
    }
    tsr_verify_f32(v, m->clip ? "video" : "image", turned, m->clip ? 5 : 4,
                   m->clip ? clips : pictures);
}

static void verify_decode(tsr_verify *v, const cosmos *m, const clip *c) {
    const cJSON *entry = tsr_verify_output(v, m->continuous ? "z" : "ids");
    const int64_t places =
        tsr_cosmos_times(m, c->frames) * (c->height / m->factor) * (c->width / m->factor);
    if (!entry) return;
    tsr_tensor in = tsr_verify_array(v, entry, m->continuous ? TSR_DTYPE_F32 : TSR_DTYPE_I32);
    if (tsr_elements(&in) != c->count * places * (m->continuous ? m->channels : 1))
        tsr_verify_refuse(v, "ids: wanted those of the clip");
    float *latents = tsr_verify_take(v, tsr_elements(&in), sizeof *latents, "latents");
    float *planes = tsr_verify_take(v, c->count * c->frames * 3 * c->height * c->width,
                                    sizeof *planes, "pictures");
    for (int64_t i = 0; i < tsr_elements(&in) && m->continuous && !v->status; ++i) {
        const int64_t d = m->channels, b = i / places / d, ch = i / places % d;
        latents[(b * places + i % places) * d + ch] = ((const float *)in.data)[i];
    }
    traced layers;
    for (int at = 0; !v->status;) {
        next_layers(v, true, &at, &layers);
        if (v->status || !layers.trace.count) break;
        tsr_verify_record(v, tsr_cosmos_decode(m, in.data, latents, c->count, c->frames, c->height,
                                               c->width, planes, &layers.trace));
        compare_layers(v, c->count, &layers);
    }
    if (v->status) return;
    v->status = tsr_cosmos_decode(m, in.data, latents, c->count, c->frames, c->height, c->width,
                                  planes, NULL);
    verify_planes(v, m, c, planes);
    verify_bytes(v, m, c, planes);
}

/* ---- archives ---- */

static float as_float(const char *dtype, const uint8_t *bytes) {
    uint32_t word = 0;
    int64_t whole = 0;
    float real;
    memcpy(&word, bytes, dtype[0] == 'B' ? 2 : 4);
    if (!strcmp(dtype, "I64"))
        memcpy(&whole, bytes, sizeof whole);
    else
        whole = (int32_t)word;
    if (dtype[0] == 'I') return (float)whole;
    if (dtype[0] == 'B') return tsr_bf16_to_f32((uint16_t)word);
    memcpy(&real, &word, sizeof real);
    return real;
}

/* The rule's checksum over the values as f32. */
static uint64_t checksum(tsr_verify *v, const tsr_torch *file, int index) {
    const tsr_torch_tensor *t = tsr_torch_at(file, index);
    const int64_t n = (int64_t)t->elements;
    uint8_t *bytes = tsr_verify_take(v, n, t->element_bytes, t->path);
    uint64_t sum = 0;
    if (v->status) return 0;
    v->status = tsr_torch_read(v->ctx, file, index, bytes);
    for (int64_t i = 0; i < n && !v->status; ++i) {
        const float value = as_float(t->dtype, bytes + (size_t)i * t->element_bytes);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        sum += (2 * (uint64_t)i + 1) * bits;
    }
    return sum;
}

static bool same_numbers(const cJSON *list, int count, const int64_t *values) {
    if (cJSON_GetArraySize(list) != count) return false;
    for (int i = 0; i < count; ++i)
        if (cJSON_GetNumberValue(cJSON_GetArrayItem(list, i)) != (double)values[i]) return false;
    return true;
}

/* What differs between an entry and the tensor, or NULL. */
static const char *compare_entry(tsr_verify *v, const cJSON *entry, const tsr_torch *file,
                                 int index) {
    static const char *const types[][2] = {
        {"float32", "F32"}, {"bfloat16", "BF16"}, {"int64", "I64"}, {"int32", "I32"}};
    const tsr_torch_tensor *t = tsr_torch_at(file, index);
    const char *type = tsr_verify_text(v, entry, "dtype");
    bool known = false;
    for (size_t i = 0; i < sizeof types / sizeof *types; ++i)
        known |= !strcmp(types[i][0], type) && !strcmp(types[i][1], t->dtype);
    if (!known) return "type";
    if (!same_numbers(cJSON_GetObjectItemCaseSensitive(entry, "shape"), t->rank, t->dim))
        return "shape";
    if (!same_numbers(cJSON_GetObjectItemCaseSensitive(entry, "strides"), t->rank, t->stride))
        return "strides";
    if (tsr_verify_number(entry, "storage_offset", -1) != (double)t->offset) return "offset";
    return checksum(v, file, index) == tsr_verify_hash(v, entry, "check") ? NULL : "values";
}

/* A TorchScript archive that must be read without Python. */
static void verify_archive(tsr_verify *v, const cJSON *config) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(config, "entries"), *entry;
    char path[4096];
    tsr_torch *file = NULL;
    tsr_verify_path(v, tsr_verify_text(v, config, "file"), path, sizeof path);
    if (!v->status) v->status = tsr_torch_open(v->ctx, path, &file);
    if (v->status) return;
    tsr_verify_line(v, "tensors", tsr_torch_count(file) == cJSON_GetArraySize(list),
                    "wanted %d, got %d", cJSON_GetArraySize(list), tsr_torch_count(file));
    cJSON_ArrayForEach(entry, list) {
        const char *name = tsr_verify_text(v, entry, "name"), *wrong = "missing";
        for (int i = 0; i < tsr_torch_count(file) && !v->status; ++i)
            if (!strcmp(tsr_torch_at(file, i)->path, name))
                wrong = compare_entry(v, entry, file, i);
        tsr_verify_line(v, name, !wrong, wrong ? "%s differs" : "as written down%s",
                        wrong ? wrong : "");
    }
    tsr_torch_close(&file);
}

void tsr_verify_cosmos(tsr_verify *v) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    if (cJSON_HasObjectItem(config, "entries")) {
        verify_archive(v, config);
        return;
    }
    const cosmos *m = get_model(v);
    if (v->status) return;
    const clip c = read_clip(v);
    if (v->status) return;
    if (c.height % m->factor || c.width % m->factor || (c.frames - 1) % m->time_factor) {
        tsr_verify_leave_out(v, "", "a size that is padded before it is encoded");
        return;
    }
    verify_encode(v, m, &c);
    verify_decode(v, m, &c);
}
