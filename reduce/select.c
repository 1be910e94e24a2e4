/* SPDX-License-Identifier: MIT */
/* select.c: choosing tokens by score. */
#include "select.h"

#include <math.h>
#include <stdlib.h>

int64_t tsr_select_count(tsr_operation *o, int64_t n) {
    const bool k_given = tsr_operation_has(o, "k"), ratio_given = tsr_operation_has(o, "ratio");
    if (k_given == ratio_given) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "wanted either k or ratio, got %s",
                           k_given ? "both" : "none");
        return 0;
    }
    int64_t k = k_given ? tsr_operation_integer(o, "k")
                        : (int64_t)nearbyint(tsr_operation_number(o, "ratio") * (double)n);
    if (!k_given && k < 1) k = 1;
    if (k > n)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "k: wanted at most the %lld tokens there are, "
                           "got %lld",
                           (long long)n, (long long)k);
    return o->status ? 0 : k;
}

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}
void tsr_select_sort(int32_t *index, int64_t n) {
    qsort(index, (size_t)n, sizeof *index, ascending);
}

typedef struct scored {
    float score;
    int32_t index;
} scored;
static int best_first(const void *a, const void *b) {
    const scored *x = a, *y = b;
    if (x->score != y->score) return x->score < y->score ? 1 : -1;
    return x->index > y->index ? 1 : -1;
}

void tsr_select_top(tsr_operation *o, const float *score, int64_t n, int64_t k, int32_t *index) {
    scored *list = tsr_operation_take(o, n, sizeof *list, "scores");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i)
        list[i] = (scored){score[i], (int32_t)i};
    qsort(list, (size_t)n, sizeof *list, best_first);
    for (int64_t i = 0; i < k; ++i)
        index[i] = list[i].index;
    tsr_select_sort(index, k);
}
