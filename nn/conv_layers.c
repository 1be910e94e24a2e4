/* SPDX-License-Identifier: MIT */
/* conv_layers.c: see conv_layers.h. */
#include "conv_layers.h"

void tsr_conv_load_one(tsr_weight_loader *loader, const char *prefix, const char *part, int64_t out,
                       int64_t in, int kernel, tsr_conv_layer *layer) {
    tsr_load_layer(loader, prefix, part, 4, (int64_t[]){out, in, kernel, kernel}, &layer->weight,
                   &layer->bias);
}

void tsr_conv_load_attention(tsr_weight_loader *loader, const char *prefix,
                             const char *const parts[4], bool matrix, int64_t width,
                             tsr_conv_attention *a) {
    tsr_conv_layer *const layers[4] = {&a->query, &a->key, &a->value, &a->out};
    for (int i = 0; i < 4; ++i)
        tsr_load_layer(loader, prefix, parts[i], matrix ? 2 : 4, (int64_t[]){width, width, 1, 1},
                       &layers[i]->weight, &layers[i]->bias);
}

tsr_tensor *tsr_conv_one(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *layer) {
    return tsr_conv2d(r, x, layer->weight, &(tsr_conv_spec){.bias = layer->bias});
}

/* What a convolution of this kernel needs to keep the size. */
static tsr_conv_spec same_size(const tsr_conv_layer *l) {
    const int pad = (int)(l->weight->tensor.dim[2] / 2);
    return (tsr_conv_spec){.bias = l->bias, .top = pad, .left = pad, .bottom = pad, .right = pad};
}

tsr_tensor *tsr_conv_same(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *l, bool twice,
                          const tsr_tensor *residual) {
    tsr_conv_spec spec = same_size(l);
    spec.upsample = twice;
    spec.residual = residual;
    return tsr_conv2d(r, x, l->weight, &spec);
}

tsr_tensor *tsr_conv_first(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *l) {
    tsr_conv_spec spec = same_size(l);
    spec.exact = true;
    return tsr_conv2d(r, x, l->weight, &spec);
}

tsr_tensor *tsr_conv_norm(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *l, int groups,
                          tsr_activation act) {
    return tsr_group_norm(
        r, x,
        &(tsr_group_norm_spec){
            .gamma = l->weight, .beta = l->bias, .groups = groups, .eps = 1e-6f, .act = act});
}

static tsr_tensor *project(tsr_run *r, const tsr_tensor *x, const tsr_conv_layer *l,
                           const tsr_tensor *add) {
    return tsr_linear(r, x, l->weight, &(tsr_epilogue){.bias = l->bias, .residual = add});
}

tsr_tensor *tsr_conv_attend(tsr_run *r, const tsr_conv_attention *a, tsr_tensor *x,
                            tsr_tensor *normed, tsr_conv_attend_fn attend, int64_t frames) {
    const int64_t flat[3] = {x->dim[0], x->dim[1] * x->dim[2], x->dim[3]};
    const tsr_tensor whole = *x;
    tsr_tensor *y = tsr_reshape(r, normed, 3, flat);
    tsr_tensor *q = project(r, y, &a->query, NULL), *k = project(r, y, &a->key, NULL);
    tsr_tensor *v = project(r, y, &a->value, NULL);
    y = attend ? attend(r, q, k, v, frames)
               : tsr_attention(r, q, k, v, &(tsr_attention_spec){.heads = 1});
    y = project(r, y, &a->out, tsr_reshape(r, x, 3, flat));
    return tsr_reshape(r, y, whole.rank, whole.dim);
}
