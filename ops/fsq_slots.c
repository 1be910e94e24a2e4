/* SPDX-License-Identifier: MIT */
/* fsq_slots.c: residual FSQ. A slot bounds and rounds one number of a row as fsq.c does (shift
 * excepted: what is bounded stands for z + shift), or what the slots before it left of that number:
 *     bounded = tanh(left * scale) * (L-1)*1.001/2 - (L even ? 0.5 : 0)
 *     digit = bounded rounded half to even + L div 2, held inside 0..L-1; NaN gives digit 0
 *     left of the next slot = left - table[slot, digit]
 * The slots of one number form a chain; a thread walks it from its head, so that nothing waits. */
#include <math.h>
#include <stdlib.h>

#include "../compute/activation.h"
#include "rowwise.h"

/* Numbers of a call. The table's words: levels, ends, then for each class its slots' sources, next
 * slots, scales and digits' values. */
enum { P_MODE, P_CLASSES, P_SLOTS, P_LEVELS, P_WIDTH, P_ENDS };
enum { ROUND, ERRORS };
enum { WORDS = 3 }; /* of a slot, beside the table's row */
/* A slot's `next`: the following slot of the chain or -1; HEAD is added to the first one's. */
enum { HEAD = 1 << 24 };

typedef struct view {
    const int32_t *levels, *ends, *source, *next;
    const float *scale, *table;
    int64_t slots, width;
    int level_count, end_count;
} view;

static view view_class(const tsr_call *c, int64_t class_) {
    const int32_t *p = c->p.i;
    const int32_t *words = c->table;
    const int64_t all = (int64_t)p[P_CLASSES] * p[P_SLOTS], first = class_ * p[P_SLOTS];
    view v = {.levels = words,
              .ends = words + p[P_LEVELS],
              .slots = p[P_SLOTS],
              .width = p[P_WIDTH],
              .level_count = p[P_LEVELS],
              .end_count = p[P_ENDS]};
    words += p[P_LEVELS] + p[P_ENDS];
    v.source = words + first;
    v.next = words + all + first;
    v.scale = (const float *)(words + 2 * all) + first;
    v.table = (const float *)(words + WORDS * all) + first * v.width;
    return v;
}

static int32_t round_slot(const view *v, int64_t slot, float left, bool exact, float *margin) {
    const int32_t level = v->levels[slot % v->level_count], middle = level / 2;
    const float half = (float)(level - 1) * 1.001f / 2.0f, offset = level % 2 ? 0.0f : 0.5f;
    const float z = left * v->scale[slot];
    const float bounded = (exact ? tanhf(z) : tsr_fast_tanh(z)) * half - offset;
    const float q = rintf(bounded), low = (float)-middle, high = (float)(level - 1 - middle);
    *margin = 0.5f - fabsf(bounded - q);
    return (int32_t)(q >= low ? q < high ? q : high : low) + middle;
}

static void round_row(const tsr_call *c, int64_t n, bool exact) {
    int64_t class_ = ((const int32_t *)c->in[1]->data)[n];
    class_ = class_ < 0 ? 0 : class_ >= c->p.i[P_CLASSES] ? c->p.i[P_CLASSES] - 1 : class_;
    const view v = view_class(c, class_);
    const float *x = (const float *)c->in[0]->data + n * tsr_cols(c->in[0]);
    int32_t *digits = (int32_t *)c->out[0]->data + n * v.slots;
    float *margin = (float *)c->out[1]->data + n * v.slots;
    for (int64_t head = 0; head < v.slots; ++head) {
        if (v.source[head] < 0) {
            digits[head] = 0;
            margin[head] = 0.5f;
        } else if (v.next[head] >= HEAD - 1) {
            float left = x[v.source[head]];
            for (int64_t j = head; j >= 0;) {
                digits[j] = round_slot(&v, j, left, exact, &margin[j]);
                left -= v.table[j * v.width + digits[j]];
                j = j == head ? v.next[j] - HEAD : v.next[j];
            }
        }
    }
}

static void errors_row(const tsr_call *c, int64_t n, bool exact) {
    const int64_t classes = c->p.i[P_CLASSES];
    const view v = view_class(c, n % classes);
    const float *x = (const float *)c->in[0]->data + n / classes * tsr_cols(c->in[0]);
    float *error = (float *)c->out[0]->data + n * v.end_count;
    double change[TSR_FSQ_MAX_ENDS] = {0};
    for (int64_t head = 0; head < v.slots; ++head) {
        if (v.source[head] < 0 || v.next[head] < HEAD - 1) continue;
        float left = x[v.source[head]], unused;
        for (int64_t j = head; j >= 0;) {
            const float after =
                left - v.table[j * v.width + round_slot(&v, j, left, exact, &unused)];
            int e = 0;
            while (e < v.end_count && j >= v.ends[e])
                ++e;
            if (e < v.end_count) change[e] += (double)after * after - (double)left * left;
            left = after;
            j = j == head ? v.next[j] - HEAD : v.next[j];
        }
    }
    double sum = ((const float *)c->in[1]->data)[n / classes];
    for (int e = 0; e < v.end_count; ++e)
        error[e] = (float)(sum += change[e]);
}

static int64_t row_count(const tsr_call *c) {
    return tsr_rows(c->in[0]) * (c->p.i[P_MODE] == ERRORS ? c->p.i[P_CLASSES] : 1);
}

static void do_row(const tsr_call *c, int64_t n, bool exact) {
    if (c->p.i[P_MODE] == ERRORS)
        errors_row(c, n, exact);
    else
        round_row(c, n, exact);
}

static void reference(const tsr_call *call) {
    for (int64_t n = 0; n < row_count(call); ++n)
        do_row(call, n, true);
}

static void tile(void *arg, int64_t n, int worker) {
    (void)worker;
    do_row(arg, n, false);
}

static tsr_status cpu(tsr_device *device, const tsr_call *call) {
    tsr_parallel(tsr_device_context(device), row_count(call), tile, (void *)call);
    return TSR_OK;
}

static int gpu(const tsr_call *call, const tsr_gpu_caps *caps, tsr_gpu_dispatch *d) {
    (void)caps;
    const int32_t *p = call->p.i;
    const int64_t rows = tsr_rows(call->in[0]);
    const uint32_t push[7] = {(uint32_t)rows,         (uint32_t)tsr_cols(call->in[0]),
                              (uint32_t)p[P_CLASSES], (uint32_t)p[P_SLOTS],
                              (uint32_t)p[P_LEVELS],  (uint32_t)p[P_WIDTH],
                              (uint32_t)p[P_ENDS]};
    const bool errors = p[P_MODE] == ERRORS;
    if (p[P_SLOTS] > LOOP_LIMIT) return 0;
    *d = (tsr_gpu_dispatch){
        .variant = "fsq_slots", .spec = {GROUP_THREADS, (uint32_t)p[P_MODE]}, .spec_count = 2};
    dispatch_push(d, push, sizeof push);
    dispatch_bind(d, BIND_IN);
    dispatch_bind(d, BIND_IN + 1);
    dispatch_bind(d, BIND_OUT);
    dispatch_bind(d, BIND_OUT + !errors); /* errors have one output */
    dispatch_bind(d, BIND_TABLE);
    grid_set(d, errors ? rows * p[P_CLASSES] : tile_count(rows * p[P_SLOTS], GROUP_THREADS));
    return 1;
}

static const tsr_op op_fsq_slots = {
    .name = "fsq_slots", .reference = reference, .cpu = cpu, .gpu = gpu};

/* ---- the public functions ------------------------------------------------------------------- */

static bool check_slots(tsr_run *r, const tsr_fsq_slots *s, const int *ends, int end_count) {
    if (s->classes < 1 || s->slots < 1 || s->slots >= HEAD || s->width < 2 || s->level_count < 1 ||
        s->level_count > TSR_FSQ_MAX_LEVELS || end_count < 0 || end_count > TSR_FSQ_MAX_ENDS ||
        (int64_t)s->classes * s->slots > INT32_MAX / (WORDS + s->width) - 64) {
        tsr_run_fail(
            r, TSR_ERROR_ARGUMENT,
            "fsq_slots: wanted classes, slots, width, levels and ends in their limits, got "
            "%d, %d, %d, %d and %d",
            s->classes, s->slots, s->width, s->level_count, end_count);
        return false;
    }
    for (int i = 0; i < s->level_count; ++i)
        if (s->levels[i] < 2 || s->levels[i] > s->width) {
            tsr_run_fail(r, TSR_ERROR_ARGUMENT, "fsq_slots: level %d: wanted 2 to %d, got %d", i,
                         s->width, s->levels[i]);
            return false;
        }
    for (int i = 0; i < end_count; ++i)
        if (ends[i] < (i ? ends[i - 1] : 0) || ends[i] > s->slots) {
            tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                         "fsq_slots: end %d: wanted a rising number up to %d, got %d", i, s->slots,
                         ends[i]);
            return false;
        }
    return true;
}

/* Writes the `next` of each slot; false when a source or a link is not one, or two slots follow
 * one. */
static bool link_chains(const tsr_fsq_slots *s, int64_t columns, int32_t *next) {
    for (int64_t c = 0; c < s->classes; ++c)
        for (int64_t j = 0, first = c * s->slots; j < s->slots; ++j) {
            const int32_t source = s->source[first + j], before = s->previous[first + j];
            if (source >= columns || source < -1 || before < -1 || before >= j ||
                (before >= 0 && (s->source[first + before] != source ||
                                 (next[first + before] != HEAD - 1 && next[first + before] != -1))))
                return false;
            next[first + j] = before < 0 ? HEAD - 1 : -1;
            if (source >= 0 && before >= 0) next[first + before] += (int32_t)j + 1;
        }
    return true;
}

/* The table in malloc'd memory, or NULL with the run failed. */
static void *make_table(tsr_run *r, const tsr_fsq_slots *s, int64_t columns, const int *ends,
                        int end_count, tsr_call *call) {
    if (!check_slots(r, s, ends, end_count)) return NULL;
    const size_t all = (size_t)s->classes * (size_t)s->slots,
                 head = (size_t)(s->level_count + end_count);
    const size_t words = head + all * (size_t)(WORDS + s->width);
    int32_t *table = tsr_alloc(tsr_run_context(r), words, 4, "fsq_slots: table"), *at = table;
    if (!table) {
        tsr_run_fail(r, TSR_ERROR_MEMORY, "fsq_slots: table: out of memory");
        return NULL;
    }
    for (int i = 0; i < s->level_count; ++i)
        *at++ = s->levels[i];
    for (int i = 0; i < end_count; ++i)
        *at++ = ends[i];
    memcpy(at, s->source, all * 4);
    if (!link_chains(s, columns, at + all)) {
        free(table);
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "fsq_slots: wanted sources below %lld, each linked to its last slot before, "
                     "got others",
                     (long long)columns);
        return NULL;
    }
    memcpy(at + 2 * all, s->scale, all * 4);
    memcpy(at + WORDS * all, s->table, all * (size_t)s->width * 4);
    const int32_t p[] = {0, s->classes, s->slots, s->level_count, s->width, end_count};
    memcpy(call->p.i, p, sizeof p);
    call->op = &op_fsq_slots;
    call->in_count = 2;
    call->table = table;
    call->table_bytes = words * 4;
    return table;
}

tsr_tensor *tsr_fsq_slots_round(tsr_run *r, const tsr_tensor *x, const tsr_tensor *classes,
                                const tsr_fsq_slots *slots, tsr_tensor **margin) {
    tsr_call call = {0};
    void *table = NULL;
    *margin = tsr_run_failed(r);
    if (!want_tensor(r, "fsq_slots_round: x", x, TSR_DTYPE_F32, 2) ||
        !want_tensor(r, "fsq_slots_round: classes", classes, TSR_DTYPE_I32, 1) ||
        !want_ids(r, "fsq_slots_round: classes", classes, 0, slots->classes) ||
        !(table = make_table(r, slots, tsr_cols(x), NULL, 0, &call)))
        return tsr_run_failed(r);
    const int64_t dim[2] = {tsr_rows(x), slots->slots};
    if (tsr_elements(classes) != dim[0])
        tsr_run_fail(r, TSR_ERROR_ARGUMENT, "fsq_slots_round: classes: wanted %lld, got %lld",
                     (long long)dim[0], (long long)tsr_elements(classes));
    else if (want_size(r, "fsq_slots_round", 2, dim)) {
        call.p.i[P_MODE] = ROUND;
        call.in[0] = x;
        call.in[1] = classes;
        call.out_count = 2;
        call.out[0] = tsr_run_new(r, TSR_DTYPE_I32, 2, dim);
        call.out[1] = tsr_run_new(r, TSR_DTYPE_F32, 2, dim);
        tsr_run_emit(r, &call);
    }
    free(table);
    if (tsr_run_is_failed(r)) return tsr_run_failed(r);
    *margin = call.out[1];
    return call.out[0];
}

tsr_tensor *tsr_fsq_slots_errors(tsr_run *r, const tsr_tensor *x, const tsr_tensor *energy,
                                 const tsr_fsq_slots *slots, const int *ends, int end_count) {
    tsr_call call = {0};
    void *table = NULL;
    if (!want_tensor(r, "fsq_slots_errors: x", x, TSR_DTYPE_F32, 2) ||
        !want_tensor(r, "fsq_slots_errors: energy", energy, TSR_DTYPE_F32, 1) ||
        !(table = make_table(r, slots, tsr_cols(x), ends, end_count, &call)))
        return tsr_run_failed(r);
    const int64_t dim[3] = {tsr_rows(x), slots->classes, end_count};
    if (tsr_elements(energy) != dim[0] || end_count < 1)
        tsr_run_fail(r, TSR_ERROR_ARGUMENT,
                     "fsq_slots_errors: wanted %lld energies and an end, got %lld and %d",
                     (long long)dim[0], (long long)tsr_elements(energy), end_count);
    else if (want_size(r, "fsq_slots_errors", 3, dim)) {
        call.p.i[P_MODE] = ERRORS;
        call.in[0] = x;
        call.in[1] = energy;
        call.out_count = 1;
        call.out[0] = tsr_run_new(r, TSR_DTYPE_F32, 3, dim);
        tsr_run_emit(r, &call);
    }
    free(table);
    return tsr_run_is_failed(r) ? tsr_run_failed(r) : call.out[0];
}
