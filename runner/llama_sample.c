/* SPDX-License-Identifier: MIT */
#include "llama_sample.h"

#include <math.h>
#include <stdlib.h>

#include "../compute/context.h"

double tsr_llama_log_sum(const float *logits, int32_t n) {
    float most = -INFINITY;
    for (int32_t i = 0; i < n; ++i) {
        if (!(logits[i] < INFINITY)) return NAN;
        if (logits[i] > most) most = logits[i];
    }
    double sum = 0;
    for (int32_t i = 0; i < n; ++i)
        sum += exp((double)logits[i] - (double)most);
    return most == -INFINITY ? NAN : (double)most + log(sum);
}

tsr_status tsr_llama_check_sampling(tsr_context *ctx, const tsr_llama_sampling *s, int32_t n) {
    if (!(s->temperature >= 0 && s->temperature < INFINITY))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "temperature: wanted 0 or more, got %g",
                        s->temperature);
    if (s->top_k < 0)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "top_k: wanted 0 or more, got %d", s->top_k);
    if (!(s->top_p >= 0 && s->top_p <= 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "top_p: wanted 0 to 1, got %g", s->top_p);
    if (s->allowed_first < 0 || s->allowed_count < 0 || s->allowed_first > n ||
        s->allowed_count > n - s->allowed_first)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "allowed ids: wanted a range within 0..%d, got %d from %d", n,
                        s->allowed_count, s->allowed_first);
    if (s->also_count < 0 || (s->also_count && !s->also))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "further allowed ids: wanted a list, got none");
    for (int32_t i = 0; i < s->also_count; ++i)
        if (s->also[i] < 0 || s->also[i] >= n)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "further allowed ids: wanted 0 to %d, got %d at %d", n - 1, s->also[i],
                            i);
    return TSR_OK;
}

/* Number i of what may be chosen, -1 behind the last. Ids of both lists come once. */
static int32_t allowed(const tsr_llama_sampling *s, int32_t n, int32_t i) {
    const int32_t first = s->allowed_count || s->also_count ? s->allowed_first : 0;
    const int32_t count = s->allowed_count || s->also_count ? s->allowed_count : n;
    if (i < count) return first + i;
    return i - count < s->also_count ? s->also[i - count] : -1;
}

/* The greatest logits first, of equal ones the lowest id. */
static int compare(const void *a, const void *b) {
    const tsr_llama_candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit > y->logit ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static int by_id(const void *a, const void *b) {
    const tsr_llama_candidate *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static double draw(uint64_t *state) { /* SplitMix64, its upper 53 bits */
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 11) * 0x1p-53;
}

static int32_t greatest(const tsr_llama_sampling *s, const float *logits, int32_t n) {
    int32_t best = allowed(s, n, 0), id;
    for (int32_t i = 1; (id = allowed(s, n, i)) >= 0; ++i)
        if (logits[id] > logits[best] || (logits[id] == logits[best] && id < best)) best = id;
    return best;
}

int32_t tsr_llama_choose(const tsr_llama_sampling *s, const float *logits, int32_t n,
                         tsr_llama_candidate *room, uint64_t *state) {
    const int32_t best = greatest(s, logits, n);
    if (s->temperature == 0) return best;
    int32_t count = 0, kept = 0, id;
    for (int32_t i = 0; (id = allowed(s, n, i)) >= 0; ++i)
        room[count++] = (tsr_llama_candidate){logits[id], id};
    if (s->also_count) { /* an id that is in both lists counts once */
        qsort(room, (size_t)count, sizeof *room, by_id);
        for (int32_t i = 0; i < count; ++i)
            if (!kept || room[kept - 1].id != room[i].id) room[kept++] = room[i];
        count = kept;
    }
    const int sorted = s->top_k > 0 || s->top_p > 0;
    if (sorted) qsort(room, (size_t)count, sizeof *room, compare);
    if (s->top_k > 0 && count > s->top_k) count = s->top_k;
    double sum = 0;
    for (int32_t i = 0; i < count; ++i)
        sum += exp(((double)room[i].logit - (double)logits[best]) / s->temperature);
    double wanted = sum;
    if (s->top_p > 0) {
        double part = 0;
        int32_t i = 0;
        while (i < count && part < s->top_p * sum)
            part += exp(((double)room[i++].logit - (double)logits[best]) / s->temperature);
        count = i;
        wanted = part;
    }
    wanted *= draw(state);
    for (int32_t i = 0; i < count; ++i) {
        wanted -= exp(((double)room[i].logit - (double)logits[best]) / s->temperature);
        if (wanted < 0) return room[i].id;
    }
    return best; /* rounding: what was drawn was the very end */
}
