/* SPDX-License-Identifier: MIT */
/* projector.c: see projector.h. */
#include "projector.h"

#include <stdio.h>
#include <string.h>

/* First weight whose name ends with `suffix`, after nothing or a point. */
static tsr_weight *find_suffix(tsr_weights *weights, const char *suffix) {
    const size_t tail = strlen(suffix);
    for (int i = 0; i < tsr_weights_count(weights); ++i) {
        tsr_weight *w = tsr_weights_at(weights, i);
        const size_t size = strlen(w->name);
        if (size >= tail && !strcmp(w->name + size - tail, suffix) &&
            (size == tail || w->name[size - tail - 1] == '.'))
            return w;
    }
    return NULL;
}

void tsr_projector_load(tsr_weight_loader *l, int64_t width, tsr_projector *p) {
    static const char *const names[2][2] = {
        {"multi_modal_projector.linear_1", "multi_modal_projector.linear_2"},
        {"mm_projector.0", "mm_projector.2"}};
    char first[64];
    for (int i = 0; i < 2 && !l->status && !p->width; ++i) {
        snprintf(first, sizeof first, "%s.weight", names[i][0]);
        const tsr_weight *w = find_suffix(l->weights, first);
        if (!w) continue;
        char before[512], second[600];
        snprintf(before, sizeof before, "%.*s", (int)(strlen(w->name) - strlen(first)), w->name);
        snprintf(second, sizeof second, "%s%s.weight", before, names[i][1]);
        const tsr_weight *v = tsr_weights_find(l->weights, second);
        const int64_t inner = w->tensor.dim[0], out = v ? v->tensor.dim[0] : inner;
        tsr_load_layer(l, before, names[i][0], 2, (int64_t[]){inner, width}, &p->fc1, &p->fc1_bias);
        tsr_load_layer(l, before, names[i][1], 2, (int64_t[]){out, inner}, &p->fc2, &p->fc2_bias);
        p->width = out;
    }
    static const char *const others[] = {"mm_projector.weight", "mm_projector.4.weight"};
    for (int i = 0; i < 2 && !l->status; ++i)
        if (find_suffix(l->weights, others[i]))
            l->status =
                tsr_fail(l->ctx, TSR_ERROR_UNSUPPORTED,
                         "%s: tensor %s: wanted a projector of two layers (mlp2x_gelu), got "
                         "another kind",
                         l->path, others[i]);
    const tsr_weight *newline = find_suffix(l->weights, "image_newline");
    if (newline && p->width && !l->status)
        tsr_load_weight(l, newline->name, "", 1, &p->width, &p->newline);
}

tsr_tensor *tsr_projector_run(tsr_run *r, const tsr_projector *p, const tsr_tensor *x) {
    x = tsr_linear(r, x, p->fc1, &(tsr_epilogue){.bias = p->fc1_bias, .act = TSR_ACT_GELU});
    return tsr_linear(r, x, p->fc2, &(tsr_epilogue){.bias = p->fc2_bias});
}
