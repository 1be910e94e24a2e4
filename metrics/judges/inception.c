/* SPDX-License-Identifier: MIT */
/* inception.c: the Inception v3 (Szegedy et al. 2015) of FID (Heusel et al. 2017): the graph of
 * 2015-12-05, whose weights pt_inception-2015-12-05 holds. It differs from torchvision's network:
 * average pools do not count padding, Mixed_7c pools by maximum, there are 1008 classes.
 *
 *   picture ─► 299 x 299 ─► 5 convolutions ─► A A A ─► B ─► C C C C ─► D ─► E E ─► mean ─► classes
 *
 * A batch norm's scale is multiplied into the kernel before it, value by value as a device packs
 * it.
 */
#include "inception.h"
#include "../../compute/arena.h"
#include "../../ops/ops.h"
#include "backbone.h"
#include "folded_norm.h"

#include <stdlib.h>
#include <string.h>

/* ---- the convolutions, in the order of the walk ---- */

typedef struct row {
    const char *name;
    short out, in, rows, columns, stride, pad_rows, pad_columns;
} row;

#define ONE(name, out, in)                                                                         \
    { name, out, in, 1, 1, 1, 0, 0 }
#define SQUARE(name, out, in, size, stride, pad)                                                   \
    { name, out, in, size, size, stride, pad, pad }
#define ROW(name, out, in, size)                                                                   \
    { name, out, in, 1, size, 1, 0, size / 2 }
#define COLUMN(name, out, in, size)                                                                \
    { name, out, in, size, 1, 1, size / 2, 0 }
#define A(m, in, pool)                                                                             \
    ONE(m ".branch1x1", 64, in), ONE(m ".branch5x5_1", 48, in),                                    \
        SQUARE(m ".branch5x5_2", 64, 48, 5, 1, 2), ONE(m ".branch3x3dbl_1", 64, in),               \
        SQUARE(m ".branch3x3dbl_2", 96, 64, 3, 1, 1),                                              \
        SQUARE(m ".branch3x3dbl_3", 96, 96, 3, 1, 1), ONE(m ".branch_pool", pool, in)
#define C(m, c7)                                                                                   \
    ONE(m ".branch1x1", 192, 768), ONE(m ".branch7x7_1", c7, 768),                                 \
        ROW(m ".branch7x7_2", c7, c7, 7), COLUMN(m ".branch7x7_3", 192, c7, 7),                    \
        ONE(m ".branch7x7dbl_1", c7, 768), COLUMN(m ".branch7x7dbl_2", c7, c7, 7),                 \
        ROW(m ".branch7x7dbl_3", c7, c7, 7), COLUMN(m ".branch7x7dbl_4", c7, c7, 7),               \
        ROW(m ".branch7x7dbl_5", 192, c7, 7), ONE(m ".branch_pool", 192, 768)
#define E(m, in)                                                                                   \
    ONE(m ".branch1x1", 320, in), ONE(m ".branch3x3_1", 384, in),                                  \
        ROW(m ".branch3x3_2a", 384, 384, 3), COLUMN(m ".branch3x3_2b", 384, 384, 3),               \
        ONE(m ".branch3x3dbl_1", 448, in), SQUARE(m ".branch3x3dbl_2", 384, 448, 3, 1, 1),         \
        ROW(m ".branch3x3dbl_3a", 384, 384, 3), COLUMN(m ".branch3x3dbl_3b", 384, 384, 3),         \
        ONE(m ".branch_pool", 192, in)

static const row rows[TSR_INCEPTION_CONVS] = {
    SQUARE("Conv2d_1a_3x3", 32, 3, 3, 2, 0),
    SQUARE("Conv2d_2a_3x3", 32, 32, 3, 1, 0),
    SQUARE("Conv2d_2b_3x3", 64, 32, 3, 1, 1),
    ONE("Conv2d_3b_1x1", 80, 64),
    SQUARE("Conv2d_4a_3x3", 192, 80, 3, 1, 0),
    A("Mixed_5b", 192, 32),
    A("Mixed_5c", 256, 64),
    A("Mixed_5d", 288, 64),
    SQUARE("Mixed_6a.branch3x3", 384, 288, 3, 2, 0),
    ONE("Mixed_6a.branch3x3dbl_1", 64, 288),
    SQUARE("Mixed_6a.branch3x3dbl_2", 96, 64, 3, 1, 1),
    SQUARE("Mixed_6a.branch3x3dbl_3", 96, 96, 3, 2, 0),
    C("Mixed_6b", 128),
    C("Mixed_6c", 160),
    C("Mixed_6d", 160),
    C("Mixed_6e", 192),
    ONE("Mixed_7a.branch3x3_1", 192, 768),
    SQUARE("Mixed_7a.branch3x3_2", 320, 192, 3, 2, 0),
    ONE("Mixed_7a.branch7x7x3_1", 192, 768),
    ROW("Mixed_7a.branch7x7x3_2", 192, 192, 7),
    COLUMN("Mixed_7a.branch7x7x3_3", 192, 192, 7),
    SQUARE("Mixed_7a.branch7x7x3_4", 192, 192, 3, 2, 0),
    E("Mixed_7b", 1280),
    E("Mixed_7c", 2048),
};

enum { CLASSES = 1008, POOL3 = 2048 };
static const int widths[TSR_INCEPTION_OUTPUTS] = {64, 192, 768, POOL3, CLASSES, CLASSES};
const char *const tsr_inception_output_names[TSR_INCEPTION_OUTPUTS] = {
    "64", "192", "768", "2048", "logits_unbiased", "logits"};

int tsr_inception_channels(tsr_inception_output output) {
    return widths[output];
}

/* ---- weights ---- */

typedef struct conv {
    tsr_weight *kernel;  /* the file's */
    tsr_batch_norm norm; /* likewise */
    tsr_folded folded;   /* what is run */
} conv;

struct tsr_inception {
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    tsr_folder folder;
    conv conv[TSR_INCEPTION_CONVS];
    tsr_weight *fc, *fc_bias;
};

static void load(tsr_weight_loader *l, tsr_inception *m) {
    for (int i = 0; i < TSR_INCEPTION_CONVS; ++i) {
        const row *s = &rows[i];
        conv *c = &m->conv[i];
        tsr_load_weight(l, s->name, ".conv.weight", 4,
                        (int64_t[]){s->out, s->in, s->rows, s->columns}, &c->kernel);
        tsr_load_batch_norm(l, s->name, ".bn", s->out, &c->norm);
    }
    tsr_load_layer(l, "", "fc", 2, (int64_t[]){CLASSES, POOL3}, &m->fc, &m->fc_bias);
}

static tsr_status load_tensors(tsr_inception *m, const char *path) {
    tsr_weight_loader l = tsr_load_all_begin(m->ctx, m->weights, path);
    load(&l, m);
    const tsr_status status = tsr_load_all_end(&l, NULL);
    for (int i = 0; i < TSR_INCEPTION_CONVS && !status; ++i)
        tsr_fold(&m->folder, m->conv[i].kernel, &m->conv[i].norm, &m->conv[i].folded);
    return status ? status : m->folder.made.status;
}

tsr_status tsr_inception_open(tsr_device *device, tsr_weights *weights, const char *path,
                              tsr_inception **model) {
    tsr_context *ctx = tsr_device_context(device);
    tsr_inception *m = tsr_alloc(ctx, 1, sizeof *m, "inception");
    *model = NULL;
    if (!m) {
        tsr_weights_close(&weights);
        return TSR_ERROR_MEMORY;
    }
    m->ctx = ctx;
    m->device = device;
    m->weights = weights;
    m->folder = (tsr_folder){weights, 1e-3, {.ctx = ctx}};
    const tsr_status status = load_tensors(m, path);
    if (status)
        tsr_inception_close(&m);
    else
        *model = m;
    return status;
}

void tsr_inception_close(tsr_inception **model) {
    if (!model || !*model) return;
    tsr_inception *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    tsr_scratch_free(&m->folder.made);
    free(m);
    *model = NULL;
}

tsr_context *tsr_inception_context(const tsr_inception *m) {
    return m->ctx;
}

void tsr_inception_list(const tsr_model_source *source, tsr_weight_loader *l) {
    tsr_inception *m = tsr_alloc(source->ctx, 1, sizeof *m, "inception");
    if (m)
        load(l, m);
    else
        l->status = TSR_ERROR_MEMORY;
    free(m);
}

/* ---- the walk ---- */

typedef struct walker {
    tsr_run *r;
    const tsr_inception *m;
    int next; /* convolution */
} walker;

static tsr_tensor *conv_next(walker *w, const tsr_tensor *x) {
    const row *s = &rows[w->next];
    const conv *c = &w->m->conv[w->next++];
    return tsr_conv2d(w->r, x, c->folded.weight,
                      &(tsr_conv_spec){.bias = c->folded.bias,
                                       .stride = s->stride,
                                       .top = s->pad_rows,
                                       .bottom = s->pad_rows,
                                       .left = s->pad_columns,
                                       .right = s->pad_columns,
                                       .act = TSR_ACT_RELU});
}

/* `count` convolutions, one after the other. */
static tsr_tensor *chain(walker *w, const tsr_tensor *x, int count) {
    tsr_tensor *y = conv_next(w, x);
    while (--count)
        y = conv_next(w, y);
    return y;
}

static tsr_tensor *max_pool(walker *w, const tsr_tensor *x) {
    return tsr_pool2d(w->r, x, &(tsr_pool_spec){.size = 3, .stride = 2});
}

/* The pool in front of branch_pool, which keeps the size. */
static tsr_tensor *branch_pool(walker *w, const tsr_tensor *x, tsr_pool_kind kind) {
    tsr_tensor *y = tsr_pool2d(
        w->r, x,
        &(tsr_pool_spec){
            .kind = kind, .size = 3, .stride = 1, .top = 1, .left = 1, .bottom = 1, .right = 1});
    return conv_next(w, y);
}

static tsr_tensor *join(walker *w, tsr_tensor *a, tsr_tensor *b) {
    return tsr_maps_beside(w->r, a, b);
}

static tsr_tensor *block_a(walker *w, tsr_tensor *x) {
    tsr_tensor *one = chain(w, x, 1), *five = chain(w, x, 2), *three = chain(w, x, 3);
    tsr_tensor *pool = branch_pool(w, x, TSR_POOL2D_MEAN);
    return join(w, join(w, one, five), join(w, three, pool));
}

static tsr_tensor *block_b(walker *w, tsr_tensor *x) {
    tsr_tensor *three = chain(w, x, 1), *twice = chain(w, x, 3);
    return join(w, join(w, three, twice), max_pool(w, x));
}

static tsr_tensor *block_c(walker *w, tsr_tensor *x) {
    tsr_tensor *one = chain(w, x, 1), *seven = chain(w, x, 3), *twice = chain(w, x, 5);
    tsr_tensor *pool = branch_pool(w, x, TSR_POOL2D_MEAN);
    return join(w, join(w, one, seven), join(w, twice, pool));
}

static tsr_tensor *block_d(walker *w, tsr_tensor *x) {
    tsr_tensor *three = chain(w, x, 2), *seven = chain(w, x, 4);
    return join(w, join(w, three, seven), max_pool(w, x));
}

static tsr_tensor *block_e(walker *w, tsr_tensor *x, tsr_pool_kind kind) {
    tsr_tensor *one = chain(w, x, 1), *three = chain(w, x, 1);
    tsr_tensor *across = conv_next(w, three), *down = conv_next(w, three);
    three = join(w, across, down);
    tsr_tensor *twice = chain(w, x, 2);
    across = conv_next(w, twice);
    down = conv_next(w, twice);
    twice = join(w, across, down);
    return join(w, join(w, one, three), join(w, twice, branch_pool(w, x, kind)));
}

/* Means over places: [B, H, W, C] -> [B, C]. */
static tsr_tensor *spatial_mean(tsr_run *r, const tsr_tensor *x) {
    const int64_t b = x->dim[0], n = x->dim[1] * x->dim[2], c = x->dim[3];
    tsr_tensor *y = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){b, n, c}));
    return tsr_reshape(r, tsr_reduce(r, y, TSR_REDUCE_MEAN), 2, (int64_t[]){b, c});
}

static const enum {
    STEM,
    STEM_POOL,
    BLOCK_A,
    BLOCK_B,
    BLOCK_C,
    BLOCK_D,
    BLOCK_E,
    BLOCK_E_MAX
} plan[] = {STEM,    STEM_POOL, STEM,    STEM_POOL, BLOCK_A, BLOCK_A, BLOCK_A,    BLOCK_B,
            BLOCK_C, BLOCK_C,   BLOCK_C, BLOCK_C,   BLOCK_D, BLOCK_E, BLOCK_E_MAX};
/* Output whose map stands behind each part of the plan, or -1. */
static const int tap[] = {
    -1, TSR_INCEPTION_64,  -1, TSR_INCEPTION_192, -1, -1, -1, -1, -1, -1, -1, TSR_INCEPTION_768, -1,
    -1, TSR_INCEPTION_2048};

static tsr_tensor *part(walker *w, int which, tsr_tensor *x) {
    switch (plan[which]) {
    case STEM:
        return chain(w, x, w->next ? 2 : 3);
    case STEM_POOL:
        return max_pool(w, x);
    case BLOCK_A:
        return block_a(w, x);
    case BLOCK_B:
        return block_b(w, x);
    case BLOCK_C:
        return block_c(w, x);
    case BLOCK_D:
        return block_d(w, x);
    case BLOCK_E:
        return block_e(w, x, TSR_POOL2D_MEAN);
    default:
        return block_e(w, x, TSR_POOL2D_MAX);
    }
}

typedef struct wanted {
    const tsr_inception_output *outputs;
    int count;
} wanted;

/* in: [B, 299, 299, 3], out: what is wanted. */
static void walk(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    walker w = {r, model, 0};
    const wanted *q = tsr_run_args(r);
    tsr_tensor *x = in[0], *made[TSR_INCEPTION_OUTPUTS] = {NULL};
    int last = 0;
    for (int i = 0; i < q->count; ++i)
        if ((int)q->outputs[i] > last) last = (int)q->outputs[i];
    for (unsigned i = 0; i < sizeof plan / sizeof *plan && !made[last]; ++i) {
        const tsr_scope scope = tsr_scope_open(r);
        x = tsr_scope_close(r, scope, part(&w, (int)i, x));
        if (tap[i] >= 0) made[tap[i]] = spatial_mean(r, x);
    }
    if (last >= TSR_INCEPTION_LOGITS_UNBIASED) {
        made[TSR_INCEPTION_LOGITS_UNBIASED] =
            tsr_linear(r, made[TSR_INCEPTION_2048], w.m->fc, NULL);
        made[TSR_INCEPTION_LOGITS] = tsr_binary(r, made[TSR_INCEPTION_LOGITS_UNBIASED],
                                                tsr_from_weight(r, w.m->fc_bias), TSR_BINARY_ADD);
    }
    for (int i = 0; i < q->count; ++i)
        out[i] = made[q->outputs[i]];
}

tsr_status tsr_inception_run(const tsr_inception *m, const float *x, int count,
                             const tsr_inception_output *outputs, int output_count,
                             float *const *values) {
    const wanted q = {outputs, output_count};
    const int64_t dim[4] = {count, TSR_INCEPTION_SIDE, TSR_INCEPTION_SIDE, 3};
    tsr_tensor in = tsr_host_tensor(TSR_DTYPE_F32, (void *)(uintptr_t)x, 4, dim);
    tsr_tensor out[TSR_INCEPTION_OUTPUTS];
    tsr_program program = {.fn = walk, .model = m, .args = &q, .name = "inception"};
    for (int i = 0; i < output_count; ++i) {
        out[i] =
            tsr_host_tensor(TSR_DTYPE_F32, values[i], 2, (int64_t[]){count, widths[outputs[i]]});
        program.variant = program.variant * 8 + (int64_t)outputs[i] + 1;
    }
    return tsr_execute(m->device, &program, &in, 1, out, output_count);
}
