/* SPDX-License-Identifier: MIT */
/* face_network.c: opening face embedders and running them. */
#include "face_network.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

/* Counters of training, which are integers; and the heads of training. */
static const char *const ignored[] = {"module.num_batches_tracked", NULL};

static tsr_status prepare(tsr_face_network *n, const char *path) {
    tsr_status status = n->kind->read_shape(n->ctx, n->weights, path, n);
    if (status) return status;
    tsr_weight_loader l = tsr_load_all_begin(n->ctx, n->weights, path);
    n->kind->load(&l, n);
    status = tsr_load_all_end(&l, ignored);
    if (status) return status;
    n->kind->fold(&n->folder, n);
    return n->folder.made.status;
}

tsr_status tsr_face_open(tsr_device *device, const tsr_face_kind *kind, tsr_weights *weights,
                         const char *path, tsr_face_network **network) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_face_network *n = tsr_alloc(ctx, 1, kind->bytes, "face network");
    *network = NULL;
    if (!n) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    *n = (tsr_face_network){.kind = kind,
                            .ctx = ctx,
                            .device = device,
                            .weights = weights,
                            .folder = {weights, 1e-5f, {.ctx = ctx}}};
    const tsr_status status = prepare(n, path);
    if (status)
        tsr_face_close(&n);
    else
        *network = n;
    return status;
}

void tsr_face_close(tsr_face_network **network) {
    if (!network || !*network) return;
    tsr_face_network *n = *network;
    tsr_device_forget(n->device, n);
    tsr_weights_close(&n->weights);
    tsr_scratch_free(&n->folder.made);
    free(n);
    *network = NULL;
}

/* ---- running ---- */

tsr_tensor *tsr_face_prelu(tsr_run *r, tsr_tensor *x, tsr_weight *slope) {
    return tsr_binary(r, x, tsr_from_weight(r, slope), TSR_BINARY_PRELU);
}

/* Which parts are wanted: one bit each. */
typedef struct parts_wanted {
    unsigned bits;
    int64_t (*dim)[3]; /* [parts] filled with the sizes of all parts; or NULL */
} parts_wanted;

static void program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const tsr_face_network *n = model;
    const parts_wanted *wanted = tsr_run_args(r);
    tsr_tensor *part[TSR_FACE_PARTS];
    n->kind->walk(r, n, in[0], part);
    for (int i = 0; i < n->kind->parts; ++i) {
        if (wanted->bits >> i & 1) *out++ = part[i];
        for (int k = 0; wanted->dim && k < 3; ++k)
            wanted->dim[i][k] = part[i]->rank == 4 ? part[i]->dim[k + 1]
                                : k == 2           ? tsr_cols(part[i])
                                                   : 1;
    }
}

/* (value - 127.5) / deviation, in f32 as the published code computes it. */
static void scale_crops(const tsr_face_kind *kind, const uint8_t *const *crops, int count,
                        float *x) {
    const int64_t bytes = (int64_t)kind->width * kind->height * 3;
    float table[256];
    for (int v = 0; v < 256; ++v)
        table[v] = ((float)v - 127.5f) / (float)kind->deviation;
    for (int i = 0; i < count; ++i)
        for (int64_t k = 0; k < bytes; ++k)
            *x++ = table[crops[i][k]];
}

static tsr_status outline(const tsr_face_network *n, const tsr_tensor *in, int64_t dim[][3]) {
    const parts_wanted wanted = {(1u << n->kind->parts) - 1, dim};
    const tsr_program p = {
        .fn = program, .model = n, .args = &wanted, .variant = wanted.bits, .name = n->kind->name};
    return tsr_outline(n->device, &p, in, 1);
}

tsr_status tsr_face_embed(const tsr_face_network *n, const uint8_t *const *crops, int count,
                          tsr_face_part *parts, float *embeddings) {
    const tsr_face_kind *kind = n->kind;
    const int last = kind->parts - 1;
    const int64_t dim[4] = {count, kind->height, kind->width, 3};
    tsr_scratch s = {.ctx = n->ctx};
    float *x =
        tsr_scratch_take_raw(&s, (size_t)(dim[0] * dim[1] * dim[2] * dim[3]), sizeof *x, "crops");
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, x, 4, dim);
    parts_wanted wanted = {1u << last, NULL};
    tsr_tensor out[TSR_FACE_PARTS];
    int outs = 0;
    tsr_status status = s.status;
    if (!status && parts) {
        int64_t size[TSR_FACE_PARTS][3];
        status = outline(n, &in, size);
        for (int i = 0; i < last && !status; ++i) {
            memcpy(parts[i].dim, size[i], sizeof size[i]);
            if (!parts[i].values) continue;
            wanted.bits |= 1u << i;
            out[outs++] = tsr_host_tensor(TSR_DTYPE_F32, parts[i].values, 4,
                                          (int64_t[]){count, size[i][0], size[i][1], size[i][2]});
        }
    }
    if (!status) {
        scale_crops(kind, crops, count, x);
        out[outs++] =
            tsr_host_tensor(TSR_DTYPE_F32, embeddings, 2, (int64_t[]){count, n->channels});
        const tsr_program p = {
            .fn = program, .model = n, .args = &wanted, .variant = wanted.bits, .name = kind->name};
        status = tsr_execute(n->device, &p, &in, 1, out, outs);
    }
    tsr_scratch_free(&s);
    return status;
}

/* ---- as a judge ---- */

void tsr_face_describe(const void *model, tsr_judge_info *info) {
    const tsr_face_network *n = model;
    const tsr_face_kind *kind = n->kind;
    snprintf(info->name, sizeof info->name, "%s%s%s", kind->name, *n->variant ? "-" : "",
             n->variant);
    snprintf(info->protocol, sizeof info->protocol,
             "face embedding, %s: aligned crop %dx%d, RGB, (v - 127.5) / %g; compared by cosine",
             info->name, kind->width, kind->height, kind->deviation);
    info->abilities = TSR_JUDGE_EMBEDS;
    info->width = info->least_width = (uint32_t)kind->width;
    info->height = info->least_height = (uint32_t)kind->height;
    info->mixed = 1;
    snprintf(info->outputs[0].name, sizeof info->outputs[0].name, "embedding");
    info->outputs[0].channels = (uint32_t)n->channels;
    info->output_count = 1;
    snprintf(info->preparations[0], sizeof info->preparations[0], "crop");
    info->preparation_count = 1;
}

/* The first maps are the largest: 64 or 128 channels at the crop's size or half of it. */
tsr_tile_cost tsr_face_cost(const void *model, const tsr_picture *picture) {
    (void)model;
    const uint64_t map = (uint64_t)picture->width * (uint64_t)picture->height * 64 * sizeof(float);
    return (tsr_tile_cost){.bytes = 6 * map, .tensor_bytes = map};
}

tsr_status tsr_face_judge(const void *model, const tsr_picture *pictures, int count,
                          int preparation, const int *outputs, int output_count,
                          float *const *values) {
    const tsr_face_network *n = model;
    const uint8_t **crops = tsr_alloc(n->ctx, (size_t)count, sizeof *crops, "crops");
    (void)preparation, (void)outputs; /* there is one of each */
    if (!crops) return TSR_ERROR_MEMORY;
    for (int i = 0; i < count; ++i)
        crops[i] = pictures[i].rgb;
    tsr_status status = tsr_face_embed(n, crops, count, NULL, values[0]);
    for (int i = 1; i < output_count && !status; ++i)
        memcpy(values[i], values[0], (size_t)(count * n->channels) * sizeof **values);
    free((void *)crops);
    return status;
}

tsr_status tsr_face_open_file(tsr_device *device, const tsr_face_kind *kind,
                              const tsr_model_source *source, void **model) {
    tsr_weights *weights = NULL;
    tsr_face_network *n = NULL;
    tsr_status status = tsr_file_weights(source->ctx, source->weights, &weights);
    if (!status) status = tsr_face_open(device, kind, weights, source->path, &n);
    *model = n;
    return status;
}

void tsr_face_list(const tsr_face_kind *kind, const tsr_model_source *source,
                   tsr_weight_loader *l) {
    tsr_face_network *n = tsr_alloc(source->ctx, 1, kind->bytes, "face network");
    l->status = n ? TSR_OK : TSR_ERROR_MEMORY;
    if (n) {
        n->kind = kind;
        l->status = kind->read_shape(source->ctx, l->weights, source->path, n);
        kind->load(l, n);
    }
    free(n);
}

void tsr_face_close_file(void **model) {
    tsr_face_network *n = model ? *model : NULL;
    tsr_face_close(&n);
    if (model) *model = NULL;
}
