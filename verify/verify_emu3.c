/* SPDX-License-Identifier: MIT */
/* verify_emu3.c: golden cases of Emu3-VisionTokenizer. Frames are encoded as the modules do it,
 * with no filling up; they are decoded from the stored ids. A picture's ids and pixels come by the
 * short way, one frame through the networks of frames; its layers, which the run stores of four
 * equal frames, by the long one. */
#include "verify_picture.h"

#include "../codec/tokenizers/emu3/emu3_model.h"
#include "../codec/view.h"
#include "../towers/vit_tower.h"

#include <stdlib.h>
#include <string.h>

typedef struct emu3_case {
    tsr_synthetic *synthetic[2]; /* with weights as they are, rounded to bf16 */
    emu3 *model[2];
} emu3_case;

static void close_case(void *model) {
    emu3_case *c = model;
    for (int i = 0; i < 2; ++i) {
        tsr_emu3_close(&c->model[i]);
        tsr_synthetic_close(&c->synthetic[i]);
    }
}

static void open_nothing(tsr_verify *v, void *model) {
    (void)v, (void)model;
}

/* The case's model, opened at first use. */
static const emu3 *get_model(tsr_verify *v) {
    emu3_case *c = tsr_verify_model(v, sizeof *c, open_nothing, close_case);
    const int rounded = cJSON_HasObjectItem(v->run, "weights");
    if (v->status || c->model[rounded]) return v->status ? NULL : c->model[rounded];
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, rounded ? TSR_DTYPE_BF16 : TSR_DTYPE_F32, &c->synthetic[rounded],
                       &weights);
    if (!v->status) v->status = tsr_emu3_open(v->device, weights, v->folder, &c->model[rounded]);
    return c->model[rounded];
}

/* ---- what a run encodes ---- */

typedef struct clip {
    bool picture;
    int64_t count, frames, height, width; /* frames: 1 of a picture */
    float *planes;                        /* [count * frames, 3, height, width] */
} clip;

/* Frames that lie one below the other in an input, to planes. */
static void add_input(tsr_verify *v, const char *name, clip *c) {
    const cJSON *entry = tsr_verify_entry(v->manifest, "inputs", name);
    int width = 0, height = 0;
    uint8_t *rgb = tsr_verify_picture(v, name, &width, &height);
    const int64_t rows = (int64_t)tsr_verify_number(entry, "height", 1), plane = rows * width;
    if (!v->status && (rows < 1 || c->frames > height / rows))
        tsr_verify_refuse(v, "inputs: wanted %lld frames of %lld rows, got %d rows",
                          (long long)c->frames, (long long)rows, height);
    if (!v->status && !c->planes) {
        c->height = rows;
        c->width = width;
        c->planes = tsr_verify_take(v, 8 * c->frames * 3 * plane, sizeof *c->planes, "pixels");
    }
    if (!v->status && (rows != c->height || width != c->width))
        tsr_verify_refuse(v, "inputs: wanted one size for all");
    float *planes = v->status ? NULL : c->planes + c->count++ * c->frames * 3 * plane;
    for (int64_t i = 0; planes && i < c->frames * plane * 3; ++i)
        planes[(i / 3 / plane * 3 + i % 3) * plane + i / 3 % plane] =
            (float)(rgb[i] / 255.0 * 2 - 1);
    free(rgb);
}

static clip read_clip(tsr_verify *v) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "inputs"), *item;
    clip c = {.frames = (int64_t)tsr_verify_number(v->run, "frames", 1)};
    c.picture = !strcmp(tsr_verify_text(v, v->run, "mode"), "picture");
    const int inputs = cJSON_GetArraySize(list);
    if (inputs < 1 || inputs > 8 || c.frames < 1 || (c.picture && c.frames > 1))
        tsr_verify_refuse(v, "inputs: wanted 1 to 8 names and a number of frames");
    cJSON_ArrayForEach(item, list) {
        const char *name = cJSON_GetStringValue(item);
        if (!v->status) add_input(v, name ? name : "", &c);
    }
    return c;
}

/* ---- comparing ---- */

static int shape_of(tsr_verify *v, const char *output, int shape[5]) {
    return tsr_verify_integers(v, tsr_verify_output(v, output), "shape", shape, 1, 5);
}

/* Compares rows, channels last, with an entry whose channels are axis `axis`. */
static void compare_rows(tsr_verify *v, const char *output, const float *got, int axis) {
    int shape[5] = {0};
    if (!tsr_verify_output(v, output)) return;
    const int rank = shape_of(v, output, shape);
    int64_t dim[5], lead = 1, places = 1;
    if (rank <= axis) tsr_verify_refuse(v, "%s: wanted more axes", output);
    for (int i = 0; i < rank; ++i) {
        dim[i] = shape[i];
        if (i < axis) lead *= shape[i];
        if (i > axis) places *= shape[i];
    }
    const int64_t channels = v->status ? 0 : shape[axis];
    float *turned = tsr_verify_take(v, lead * places * channels, sizeof *turned, output);
    for (int64_t i = 0; i < lead * places * channels && !v->status; ++i)
        turned[(i / channels / places * channels + i % channels) * places + i / channels % places] =
            got[i];
    if (!v->status) tsr_verify_f32(v, output, turned, rank, dim);
}

/* ---- layers ---- */

typedef enum stage { ENCODE_FRAMES, ENCODE_TIME, DECODE_TIME, DECODE_FRAMES, NONE } stage;

static stage stage_of(const char *name) {
    const bool encoder = !strncmp(name, "encoder.", 8), decoder = !strncmp(name, "decoder.", 8);
    const bool time = !strncmp(name + (encoder || decoder ? 8 : 0), "time_", 5);
    if (!strcmp(name, "post_quant_conv")) return DECODE_TIME;
    if (encoder) return time ? ENCODE_TIME : ENCODE_FRAMES;
    return decoder ? (time ? DECODE_TIME : DECODE_FRAMES) : NONE;
}

enum { TRACED = 10 }; /* outputs of a walk beside its own */

typedef struct traced { /* layers that one walk looks at */
    tsr_layer_trace trace;
    const char *names[TRACED];
    tsr_tensor out[TRACED];
} traced;

/* The next layers of a stage that the run stores, from output *at on; moves *at. False: there are
 * no more. */
static bool next_layers(tsr_verify *v, stage wanted, int *at, traced *t) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->run, "outputs");
    *t = (traced){.trace = {.names = t->names, .out = t->out}};
    for (; *at < cJSON_GetArraySize(list) && t->trace.count < TRACED && !v->status; ++*at) {
        const char *name = cJSON_GetStringValue(
            cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, *at), "name"));
        int shape[5];
        if (!name || stage_of(name) != wanted) continue;
        int64_t n = 1;
        for (int i = shape_of(v, name, shape); i-- > 0;)
            n *= shape[i];
        tsr_tensor *o = &t->out[t->trace.count];
        *o = tsr_host_tensor(TSR_DTYPE_F32, NULL, 1, &n);
        o->data = tsr_verify_take(v, n, sizeof(float), name);
        t->names[t->trace.count++] = name;
    }
    t->trace.variant = 1 + *at; /* another set of layers is another walk */
    return !v->status && t->trace.count > 0;
}

static void compare_layers(tsr_verify *v, const traced *t) {
    for (int i = 0; i < t->trace.count && !v->status; ++i)
        compare_rows(v, t->names[i], t->out[i].data, 1);
}

/* ---- runs ---- */

/* A picture as the official class sees it. */
static clip repeated(tsr_verify *v, const emu3 *m, const clip *c) {
    clip four = *c;
    if (!c->picture) return four;
    const size_t frame = (size_t)(3 * c->height * c->width);
    four.frames = m->time_factor;
    four.planes = tsr_verify_take(v, c->count * four.frames, frame * sizeof(float), "frames");
    for (int64_t i = 0; i < c->count * four.frames && !v->status; ++i)
        memcpy(four.planes + (size_t)i * frame, c->planes + (size_t)(i / four.frames) * frame,
               frame * sizeof(float));
    return four;
}

static void verify_encode(tsr_verify *v, const emu3 *m, const clip *c) {
    const int64_t h = c->height / m->factor, w = c->width / m->factor, d = m->channels;
    const int64_t t = c->picture ? 1 : tsr_emu3_times(m, c->frames), n = c->count * t * h * w;
    const clip four = repeated(v, m, c);
    float *features =
        tsr_verify_take(v, c->count * four.frames * h * w * d, sizeof *features, "features");
    float *z = tsr_verify_take(v, n * d, sizeof *z, "vectors");
    float *margin = tsr_verify_take(v, n, sizeof *margin, "margins");
    int32_t *ids = tsr_verify_take(v, n, sizeof *ids, "ids");
    const emu3_codes codes = {.ids = ids, .z = z, .margin = margin};
    traced layers;
    for (int at = 0; next_layers(v, ENCODE_FRAMES, &at, &layers);) {
        tsr_verify_record(v, tsr_emu3_encode_frames(m, four.planes, c->count * four.frames,
                                                    c->height, c->width, features, &layers.trace));
        compare_layers(v, &layers);
    }
    for (int at = 0; next_layers(v, ENCODE_TIME, &at, &layers);) {
        tsr_verify_record(v, tsr_emu3_encode_frames(m, four.planes, c->count * four.frames,
                                                    c->height, c->width, features, NULL));
        if (!v->status)
            tsr_verify_record(v, tsr_emu3_encode_time(m, features, c->count, four.frames, h, w,
                                                      &codes, &layers.trace));
        compare_layers(v, &layers);
    }
    if (!v->status)
        v->status = tsr_emu3_encode_frames(m, c->planes, c->count * c->frames, c->height, c->width,
                                           features, NULL);
    if (!v->status)
        v->status = tsr_emu3_encode_time(m, features, c->count, c->frames, h, w, &codes, NULL);
    if (v->status) return;
    const int64_t clips[4] = {c->count, t, h, w}, pictures[3] = {c->count, h, w};
    compare_rows(v, "z", z, 2);
    tsr_verify_ids(v, ids, margin, c->picture ? 3 : 4, c->picture ? pictures : clips);
}

/* To the 8 bits of the official class: cut, not rounded. */
static void verify_bytes(tsr_verify *v, const clip *c, const float *planes, int64_t n,
                         int64_t height, int64_t width) {
    const char *output = c->picture ? "image_u8" : "video_u8";
    const int64_t plane = height * width;
    if (!tsr_verify_output(v, output)) return;
    uint8_t *bytes = tsr_verify_take(v, n * plane * 3, 1, output);
    for (int64_t i = 0; i < n * plane * 3 && !v->status; ++i) {
        const float value =
            (planes[(i / 3 / plane * 3 + i % 3) * plane + i / 3 % plane] + 1) / 2 * 255;
        bytes[i] = (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
    }
    const int64_t clips[5] = {c->count, n / c->count, height, width, 3};
    const int64_t pictures[4] = {c->count, height, width, 3};
    tsr_verify_u8(v, output, bytes, c->picture ? 4 : 5, c->picture ? pictures : clips);
}

static void verify_decode(tsr_verify *v, const emu3 *m, const clip *c) {
    const int64_t h = c->height / m->factor, w = c->width / m->factor, d = m->channels;
    const int64_t t = c->picture ? 1 : tsr_emu3_times(m, c->frames), all = t * m->time_factor;
    const int64_t shown = c->picture ? 1 : all, height = h * m->factor, width = w * m->factor;
    const tsr_tensor in = tsr_verify_array(v, tsr_verify_output(v, "ids"), TSR_DTYPE_I32);
    if (!v->status && tsr_elements(&in) != c->count * t * h * w)
        tsr_verify_refuse(v, "ids: wanted those of the clip");
    float *half[2];
    for (int i = 0; i < 2; ++i)
        half[i] = tsr_verify_take(v, c->count * all * h * w * d, sizeof(float), "features");
    float *planes =
        tsr_verify_take(v, c->count * all * 3 * height * width, sizeof *planes, "frames");
    traced layers;
    for (int at = 0; next_layers(v, DECODE_TIME, &at, &layers);) {
        tsr_verify_record(v, tsr_emu3_decode_time(m, in.data, c->count, t, h, w, all, half[0],
                                                  half[1], &layers.trace));
        compare_layers(v, &layers);
    }
    for (int at = 0; next_layers(v, DECODE_FRAMES, &at, &layers);) {
        tsr_verify_record(
            v, tsr_emu3_decode_time(m, in.data, c->count, t, h, w, all, half[0], half[1], NULL));
        if (!v->status)
            tsr_verify_record(v, tsr_emu3_decode_frames(m, half[0], half[1], c->count * all, h, w,
                                                        planes, &layers.trace));
        compare_layers(v, &layers);
    }
    if (!v->status)
        v->status =
            tsr_emu3_decode_time(m, in.data, c->count, t, h, w, shown, half[0], half[1], NULL);
    if (!v->status)
        v->status =
            tsr_emu3_decode_frames(m, half[0], half[1], c->count * shown, h, w, planes, NULL);
    const int64_t clips[5] = {c->count, shown, 3, height, width};
    const int64_t pictures[4] = {c->count, 3, height, width};
    if (!v->status)
        tsr_verify_f32(v, c->picture ? "image" : "video", planes, c->picture ? 4 : 5,
                       c->picture ? pictures : clips);
    if (!v->status) verify_bytes(v, c, planes, c->count * shown, height, width);
}

/* ---- preparation ---- */

/* The size rule; false: the official function refuses. */
static bool wanted_size(tsr_verify *v, const tsr_view *view, const tsr_picture *p,
                        uint32_t size[2]) {
    const int64_t longer = p->width > p->height ? p->width : p->height;
    const int64_t shorter = p->width > p->height ? p->height : p->width;
    size[0] = size[1] = 0;
    if (shorter < view->step || longer > 5 * shorter) return false;
    v->status = tsr_view_size(v->ctx, view, p, &size[1], &size[0]);
    return !v->status;
}

static tsr_view emu3_view(tsr_verify *v) {
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(v->manifest, "config");
    return (tsr_view){.kind = TSR_VIEW_SMART,
                      .step = (uint32_t)tsr_verify_number(config, "spatial_factor", 8),
                      .min_pixels = (uint64_t)tsr_verify_number(
                          v->run, "min_pixels", tsr_verify_number(config, "min_pixels", 0)),
                      .max_pixels = (uint64_t)tsr_verify_number(
                          v->run, "max_pixels", tsr_verify_number(config, "max_pixels", 0)),
                      .filter = TSR_RESAMPLING_BICUBIC,
                      .mean = {0.5f, 0.5f, 0.5f},
                      .deviation = {0.5f, 0.5f, 0.5f}};
}

static void verify_sizes(tsr_verify *v, const tsr_view *view) {
    static const uint8_t some[3] = {0}; /* sizes alone are looked at */
    const cJSON *entry =
        tsr_verify_entry(v->manifest, "inputs", tsr_verify_text(v, v->run, "input"));
    const tsr_tensor in = tsr_verify_array(v, entry, TSR_DTYPE_I32);
    const int64_t n = tsr_elements(&in) / 2;
    int32_t *wanted = tsr_verify_take(v, n, 2 * sizeof *wanted, "sizes");
    for (int64_t i = 0; i < n && !v->status; ++i) {
        const int32_t *given = (const int32_t *)in.data + 2 * i;
        const tsr_picture p = {
            .rgb = (uint8_t *)(uintptr_t)some, .height = given[0], .width = given[1]};
        uint32_t size[2];
        wanted_size(v, view, &p, size);
        wanted[2 * i] = (int32_t)size[0];
        wanted[2 * i + 1] = (int32_t)size[1];
    }
    if (!v->status) tsr_verify_i32(v, "wanted", wanted, 2, (int64_t[]){n, 2});
}

static void verify_resize(tsr_verify *v, const tsr_view *view) {
    int width = 0, height = 0;
    uint8_t *rgb = tsr_verify_picture(v, tsr_verify_text(v, v->run, "input"), &width, &height);
    const tsr_picture p = {.rgb = rgb, .width = width, .height = height};
    uint32_t size[2];
    float number[3][256];
    if (!v->status && !wanted_size(v, view, &p, size))
        tsr_verify_refuse(v, "input: wanted a size that is not refused");
    const int64_t plane = v->status ? 0 : (int64_t)size[0] * size[1];
    uint8_t *made = tsr_verify_take(v, plane, 3, "picture");
    float *values = tsr_verify_take(v, plane * 3, sizeof *values, "values");
    if (!v->status) v->status = tsr_view_make(v->device, view, &p, made);
    if (!v->status) {
        tsr_view_numbers(view, number);
        for (int64_t i = 0; i < plane * 3; ++i)
            values[i] = number[i / plane][made[i % plane * 3 + i / plane]];
        tsr_verify_u8(v, "resized_u8", made, 3, (int64_t[]){size[0], size[1], 3});
        tsr_verify_f32(v, "pixel_values", values, 3, (int64_t[]){3, size[0], size[1]});
    }
    free(rgb);
}

void tsr_verify_emu3(tsr_verify *v) {
    if (!cJSON_HasObjectItem(v->run, "mode")) {
        const tsr_view view = emu3_view(v);
        if (tsr_verify_output(v, "wanted"))
            verify_sizes(v, &view);
        else
            verify_resize(v, &view);
        return;
    }
    const emu3 *m = get_model(v);
    if (v->status) return;
    const clip c = read_clip(v);
    if (v->status) return;
    verify_encode(v, m, &c);
    if (!v->status) verify_decode(v, m, &c);
}
