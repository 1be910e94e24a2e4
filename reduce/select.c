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

static void swap(scored *a, scored *b) {
    const scored kept = *a;
    *a = *b;
    *b = kept;
}

/* Brings the k best of n to the front, in any order: quickselect, and after too many unlucky pivots
 * a sort of what is left. */
static void bring_to_front(scored *list, int64_t n, int64_t k) {
    int64_t low = 0, high = n; /* the border is within low .. high */
    int turns = 64 - __builtin_clzll((unsigned long long)n | 1);
    for (turns *= 3; high - low > 8 && turns; --turns) {
        scored a = list[low], b = list[low + (high - low) / 2], c = list[high - 1];
        if (best_first(&b, &a) < 0) swap(&a, &b);
        const scored pivot = best_first(&c, &a) < 0 ? a : best_first(&c, &b) < 0 ? c : b;
        int64_t i = low, j = high - 1;
        while (i <= j) {
            while (best_first(&list[i], &pivot) < 0)
                ++i;
            while (best_first(&pivot, &list[j]) < 0)
                --j;
            if (i <= j) swap(&list[i++], &list[j--]);
        }
        if (k <= j)
            high = j + 1;
        else if (k >= i)
            low = i;
        else
            return;
    }
    qsort(list + low, (size_t)(high - low), sizeof *list, best_first);
}

void tsr_select_top(tsr_operation *o, const float *score, int64_t n, int64_t k, int32_t *index) {
    scored *list = tsr_operation_take_raw(o, n, sizeof *list, "scores");
    uint8_t *chosen = tsr_operation_take(o, n, 1, "marks");
    if (o->status || k < 1) return;
    for (int64_t i = 0; i < n; ++i)
        list[i] = (scored){score[i], (int32_t)i};
    bring_to_front(list, n, k);
    for (int64_t i = 0; i < k; ++i)
        chosen[list[i].index] = 1;
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) {
        index[count] = (int32_t)i;
        count += chosen[i];
        if (count == k) break;
    }
}
