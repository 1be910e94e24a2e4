/* SPDX-License-Identifier: MIT */
/* weights.c: a list of named tensors with a hash index; 16-bit floats are widened once, here. */
#include "weights.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A tensor of the file that is no weight. */
typedef struct other {
    const char *name, *what;
} other;

struct tsr_weights {
    tsr_weight **list; /* each on its own, so that pointers stay valid while the list grows */
    int count, capacity;
    int *slots; /* open addressing: index + 1, 0 = empty */
    int slot_count;
    other *others;
    int other_count, other_room;
    void *owned;
};

/* Devices key their copies by this number, so a number is never used twice in a process. */
static atomic_int next_id = 1;

tsr_status tsr_weights_open(tsr_context *ctx, tsr_weights **weights) {
    *weights = tsr_alloc(ctx, 1, sizeof **weights, "weights");
    return *weights ? TSR_OK : TSR_ERROR_MEMORY;
}

static void weight_free(tsr_weight *w) {
    if (!w) return;
    if (w->packed && w->packed_free) w->packed_free(w->packed);
    if (w->f32 && (const void *)w->f32 != w->tensor.data) free((void *)w->f32);
    free((char *)w->name);
    free(w);
}

void tsr_weights_close(tsr_weights **weights) {
    if (!weights || !*weights) return;
    tsr_weights *s = *weights;
    for (int i = 0; i < s->count; ++i)
        weight_free(s->list[i]);
    free(s->list);
    free(s->slots);
    free(s->others);
    free(s->owned);
    free(s);
    *weights = NULL;
}

static uint32_t name_hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; ++name)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

/* The slot that holds `name`, or the empty one where it belongs. */
static int slot_of(const tsr_weights *s, const char *name) {
    int i = (int)(name_hash(name) & (uint32_t)(s->slot_count - 1));
    while (s->slots[i] && strcmp(s->list[s->slots[i] - 1]->name, name))
        i = (i + 1) & (s->slot_count - 1);
    return i;
}

static tsr_status grow(tsr_context *ctx, tsr_weights *s) {
    if (s->count < s->capacity) return TSR_OK;
    int capacity = s->capacity ? s->capacity * 2 : 64;
    tsr_weight **list = tsr_alloc(ctx, (size_t)capacity, sizeof *list, "weights");
    int *slots = tsr_alloc(ctx, (size_t)capacity * 2, sizeof *slots, "weights");
    if (!list || !slots) {
        free(list);
        free(slots);
        return TSR_ERROR_MEMORY;
    }
    if (s->count) memcpy(list, s->list, (size_t)s->count * sizeof *list);
    free(s->list);
    free(s->slots);
    s->list = list;
    s->slots = slots;
    s->capacity = capacity;
    s->slot_count = capacity * 2;
    for (int i = 0; i < s->count; ++i)
        slots[slot_of(s, list[i]->name)] = i + 1;
    return TSR_OK;
}

tsr_status tsr_weight_borrow(tsr_context *ctx, const tsr_weight *w, const float **values) {
    const tsr_tensor *t = &w->tensor;
    int64_t n = tsr_elements(t);
    bool fill = w->source && w->source->fill;
    *values = w->f32;
    if (w->f32) return TSR_OK;
    if (!fill && t->dtype == TSR_DTYPE_F32 && (uintptr_t)t->data % sizeof(float) == 0) {
        *values = t->data;
        return TSR_OK;
    }
    float *f = tsr_alloc(ctx, (size_t)n, sizeof *f, w->name);
    if (!f) return TSR_ERROR_MEMORY;
    if (fill) {
        const tsr_status status = w->source->fill(ctx, w->source->user, w->name, 0, n, f);
        if (status) {
            free(f);
            return status;
        }
    }
    const unsigned char *bytes = t->data;
    for (int64_t i = 0; i < n && !fill; ++i) {
        uint16_t h;
        if (t->dtype == TSR_DTYPE_F32) {
            memcpy(&f[i], bytes + 4 * i, 4);
            continue;
        }
        memcpy(&h, bytes + 2 * i, 2);
        f[i] = t->dtype == TSR_DTYPE_F16 ? tsr_f16_to_f32(h) : tsr_bf16_to_f32(h);
    }
    *values = f;
    return TSR_OK;
}

void tsr_weight_return(const tsr_weight *w, const float *values) {
    if (values && values != w->f32 && (const void *)values != w->tensor.data) free((void *)values);
}

tsr_status tsr_weight_pin(tsr_context *ctx, tsr_weight *w) {
    return w->f32 ? TSR_OK : tsr_weight_borrow(ctx, w, &w->f32);
}

tsr_status tsr_weights_note_other(tsr_context *ctx, tsr_weights *s, const char *name,
                                  const char *what) {
    if (s->other_count == s->other_room) {
        const int room = s->other_room ? s->other_room * 2 : 16;
        other *more = realloc(s->others, (size_t)room * sizeof *more);
        if (!more) return tsr_fail(ctx, TSR_ERROR_MEMORY, "weights: no memory for names");
        s->others = more;
        s->other_room = room;
    }
    s->others[s->other_count++] = (other){name, what};
    return TSR_OK;
}

const char *tsr_weights_other(const tsr_weights *s, const char *name) {
    for (int i = 0; i < s->other_count; ++i) /* only where something fails */
        if (strcmp(s->others[i].name, name) == 0) return s->others[i].what;
    return NULL;
}

void tsr_weights_own(tsr_weights *s, void *memory) {
    free(s->owned);
    s->owned = memory;
}

static tsr_status add(tsr_context *ctx, tsr_weights *s, const char *name, const tsr_tensor *tensor,
                      const tsr_weight_source *source) {
    bool data = tensor->data || (source && source->fill);
    if (!data || tensor->rank < 1 || tensor->rank > TSR_MAX_RANK)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "weight %s: wanted data of rank 1 to %d, got %s",
                        name, TSR_MAX_RANK, data ? "another rank" : "none");
    if (tensor->dtype != TSR_DTYPE_F32 && tensor->dtype != TSR_DTYPE_F16 &&
        tensor->dtype != TSR_DTYPE_BF16)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "weight %s: wanted F32, F16 or BF16, got %s", name,
                        tsr_dtype_name(tensor->dtype));
    if (tsr_weights_find(s, name))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "weight %s: wanted once, got twice", name);
    tsr_status status = grow(ctx, s);
    if (status) return status;
    tsr_weight *w = tsr_alloc(ctx, 1, sizeof *w, "weights");
    if (!w) return TSR_ERROR_MEMORY;
    w->tensor = *tensor;
    w->tensor.node = -1;
    w->id = atomic_fetch_add(&next_id, 1);
    if (!(w->name = strdup(name))) {
        weight_free(w);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "weight %s: no memory for its name", name);
    }
    w->source = source;
    if (!source && (status = tsr_weight_pin(ctx, w))) {
        weight_free(w);
        return status;
    }
    s->list[s->count] = w;
    s->slots[slot_of(s, name)] = ++s->count;
    return TSR_OK;
}

tsr_status tsr_weights_add(tsr_context *ctx, tsr_weights *s, const char *name,
                           const tsr_tensor *tensor) {
    return add(ctx, s, name, tensor, NULL);
}

tsr_status tsr_weights_add_lazy(tsr_context *ctx, tsr_weights *s, const char *name,
                                const tsr_tensor *tensor, const tsr_weight_source *source) {
    return add(ctx, s, name, tensor, source);
}

tsr_weight *tsr_weights_find(tsr_weights *s, const char *name) {
    if (!s->slot_count) return NULL;
    int slot = s->slots[slot_of(s, name)];
    return slot ? s->list[slot - 1] : NULL;
}

tsr_status tsr_weights_get(tsr_context *ctx, tsr_weights *s, const char *name, int rank,
                           const int64_t *dim, tsr_weight **weight) {
    *weight = NULL;
    tsr_weight *w = tsr_weights_find(s, name);
    tsr_tensor wanted = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    char want[64], got[64];
    tsr_shape_text(&wanted, want, sizeof want);
    if (!w)
        return tsr_fail(ctx, TSR_ERROR_MODEL, "model: tensor %s: wanted %s, got none", name, want);
    bool fits = w->tensor.rank == rank;
    for (int i = 0; fits && i < rank; ++i)
        fits = dim[i] == -1 || dim[i] == w->tensor.dim[i];
    if (!fits)
        return tsr_fail(ctx, TSR_ERROR_MODEL, "model: tensor %s: wanted %s, got %s", name, want,
                        tsr_shape_text(&w->tensor, got, sizeof got));
    *weight = w;
    return TSR_OK;
}

int tsr_weights_count(const tsr_weights *s) {
    return s->count;
}

tsr_weight *tsr_weights_at(tsr_weights *s, int index) {
    return index >= 0 && index < s->count ? s->list[index] : NULL;
}
