/* SPDX-License-Identifier: MIT */
/* join_weights.c: the values of a joined weight are borrowed from its parts when they are asked
 * for. */
#include "join_weights.h"

#include <stdio.h>
#include <string.h>

/* Elements first .. first + count - 1 of the rows of both parts, one after the other. */
static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    (void)name;
    const tsr_joined *j = user;
    for (int i = 0; i < 2; ++i) {
        const int64_t size = tsr_elements(&j->part[i]->tensor);
        const int64_t here = first + count < size ? count : size - first;
        if (here > 0) {
            const float *values;
            const tsr_status status = tsr_weight_borrow(ctx, j->part[i], &values);
            if (status) return status;
            memcpy(f32, values + first, (size_t)here * sizeof *f32);
            tsr_weight_return(j->part[i], values);
            f32 += here;
            count -= here;
            first += here;
        }
        first -= size;
    }
    return TSR_OK;
}

tsr_status tsr_join_weights(tsr_context *ctx, tsr_weights *weights, const tsr_weight *first,
                            const tsr_weight *second, tsr_joined *joined, tsr_weight **weight) {
    *weight = NULL;
    if (!first && !second) return TSR_OK;
    if (!first || !second)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "joined weights: wanted two, got %s alone",
                        first ? first->name : second->name);
    const tsr_tensor *a = &first->tensor, *b = &second->tensor;
    bool fits = a->rank == b->rank;
    for (int i = 1; fits && i < a->rank; ++i)
        fits = a->dim[i] == b->dim[i];
    char wanted[64], got[64], name[512];
    if (!fits)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "weight %s: wanted rows as of %s, %s, got %s",
                        second->name, first->name, tsr_shape_text(a, wanted, sizeof wanted),
                        tsr_shape_text(b, got, sizeof got));
    *joined = (tsr_joined){.source = {.fill = fill, .user = joined}, .part = {first, second}};
    tsr_tensor both = *a;
    both.dtype = TSR_DTYPE_F32;
    both.data = NULL;
    both.dim[0] += b->dim[0];
    snprintf(name, sizeof name, "%s (and %s)", first->name, second->name);
    const tsr_status status = tsr_weights_add_lazy(ctx, weights, name, &both, &joined->source);
    if (!status) *weight = tsr_weights_find(weights, name);
    return status;
}
