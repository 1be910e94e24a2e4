/* SPDX-License-Identifier: MIT */
/* verify_weights.c: the rule by which golden cases make weights and noise.
 *
 * s = FNV-1a of the tensor's name xor the case's seed; element i is splitmix64's finaliser of
 * s + (i + 1) * 0x9E3779B97F4A7C15, its upper 24 bits as u in [0, 1), and (2u - 1) * scale +
 * offset. `check` of a tensor = sum of (2i + 1) * bits of value i. */
#include "verify_weights.h"
#include "../compute/threads.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    const char *name; /* first: entries are searched by it */
    double scale, offset;
} entry;

struct tsr_synthetic {
    tsr_context *ctx;
    uint64_t seed;
    tsr_dtype round;
    tsr_weight_source source;
    entry *list;
    int count;
};

static float value_at(uint64_t s, uint64_t i, double scale, double offset) {
    uint64_t z = s + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (float)((2.0 * ((double)(z >> 40) * 0x1p-24) - 1.0) * scale + offset);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

enum { PIECE = 1 << 16 };

typedef struct fill_job {
    const entry *e;
    uint64_t s;
    tsr_dtype round;
    int64_t first, count;
    float *f32;
} fill_job;

static void fill_piece(void *arg, int64_t piece, int worker) {
    (void)worker;
    const fill_job *j = arg;
    int64_t end = (piece + 1) * PIECE < j->count ? (piece + 1) * PIECE : j->count;
    for (int64_t i = piece * PIECE; i < end; ++i) {
        float v = value_at(j->s, (uint64_t)(j->first + i), j->e->scale, j->e->offset);
        if (j->round == TSR_DTYPE_BF16) v = tsr_bf16_to_f32(tsr_f32_to_bf16(v));
        if (j->round == TSR_DTYPE_F16) v = tsr_f16_to_f32(tsr_f32_to_f16(v));
        j->f32[i] = v;
    }
}

static tsr_status fill(tsr_context *ctx, const void *user, const char *name, int64_t first,
                       int64_t count, float *f32) {
    (void)ctx;
    const tsr_synthetic *s = user;
    const entry key = {.name = name};
    const entry *e = bsearch(&key, s->list, (size_t)s->count, sizeof key, by_name);
    if (!e) return TSR_OK; /* cannot be: the weights were made from the list */
    fill_job job = {.e = e,
                    .s = tsr_verify_fnv(name, strlen(name)) ^ s->seed,
                    .round = s->round,
                    .first = first,
                    .count = count,
                    .f32 = f32};
    tsr_parallel(s->ctx, (count + PIECE - 1) / PIECE, fill_piece, &job);
    return TSR_OK;
}

void tsr_synthetic_close(tsr_synthetic **synthetic) {
    if (!synthetic || !*synthetic) return;
    free((*synthetic)->list);
    free(*synthetic);
    *synthetic = NULL;
}

/* Name, scale and offset of one tensor into *e; returns its shape. */
static tsr_tensor read_entry(tsr_verify *v, const cJSON *item, entry *e) {
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(item, "scale");
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(item, "offset");
    enum { MOST = 8 }; /* dimensions: those beyond TSR_MAX_RANK are joined to the last */
    int dim[MOST];
    int64_t wide[TSR_MAX_RANK] = {0}, count = 1;
    e->name = tsr_verify_text(v, item, "name");
    const int rank = tsr_verify_integers(v, item, "shape", dim, 1, MOST);
    if (!cJSON_IsNumber(scale) || !cJSON_IsNumber(offset))
        tsr_verify_fail(v, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: scale and offset: wanted numbers, got none",
                        v->folder, e->name);
    for (int i = 0; i < rank; ++i) {
        if (dim[i] < 1 || __builtin_mul_overflow(count, (int64_t)dim[i], &count) ||
            count > INT64_MAX / 16)
            tsr_verify_fail(v, TSR_ERROR_FORMAT,
                            "%s/manifest.json: %s: shape: wanted positive sizes, got %d", v->folder,
                            e->name, dim[i]);
        if (v->status) break;
        if (i < TSR_MAX_RANK)
            wide[i] = dim[i];
        else
            wide[TSR_MAX_RANK - 1] *= dim[i];
    }
    if (v->status) return (tsr_tensor){0};
    e->scale = scale->valuedouble;
    e->offset = offset->valuedouble;
    return tsr_host_tensor(TSR_DTYPE_F32, NULL, rank < TSR_MAX_RANK ? rank : TSR_MAX_RANK, wide);
}

static uint64_t read_seed(tsr_verify *v) {
    const double d = cJSON_GetNumberValue(cJSON_GetObjectItemCaseSensitive(v->manifest, "seed"));
    if (d >= 0 && d < 0x1p53 && d == floor(d)) return (uint64_t)d;
    tsr_verify_fail(v, TSR_ERROR_FORMAT,
                    "%s/manifest.json: seed: wanted an integer below 2^53, got %g", v->folder, d);
    return 0;
}

/* Tensors of up to a million values are compared with the manifest's checksum. */
static void check(tsr_verify *v, const tsr_synthetic *s, const cJSON *item, const tsr_weight *w) {
    uint64_t sum = 0;
    if (s->round != TSR_DTYPE_F32 || tsr_elements(&w->tensor) > 1 << 20 ||
        !cJSON_HasObjectItem(item, "check"))
        return;
    const uint64_t want = tsr_verify_hash(v, item, "check");
    const float *f = NULL;
    if (!v->status) tsr_verify_record(v, tsr_weight_borrow(v->ctx, w, &f));
    if (!f) return;
    for (int64_t i = 0; i < tsr_elements(&w->tensor); ++i) {
        uint32_t bits;
        memcpy(&bits, &f[i], sizeof bits);
        sum += (2 * (uint64_t)i + 1) * bits;
    }
    tsr_weight_return(w, f);
    if (sum != want)
        tsr_verify_fail(v, TSR_ERROR_CHECKSUM,
                        "%s/manifest.json: %s: check: wanted 0x%016llx, got 0x%016llx", v->folder,
                        w->name, (unsigned long long)want, (unsigned long long)sum);
}

/* Reads the list of tensors into s->list, which has room for them, and adds them to `weights`. */
static void add_tensors(tsr_verify *v, const cJSON *list, tsr_synthetic *s, tsr_weights *weights) {
    const cJSON *run = v->run; /* messages name the tensor instead */
    cJSON_ArrayForEach(v->run, list) {
        entry *e = &s->list[s->count];
        const tsr_tensor shape = read_entry(v, v->run, e);
        if (v->status) break;
        v->status = tsr_weights_add_lazy(v->ctx, weights, e->name, &shape, &s->source);
        s->count++;
    }
    qsort(s->list, (size_t)s->count, sizeof *s->list, by_name);
    cJSON_ArrayForEach(v->run, list) {
        if (v->status) break;
        check(v, s, v->run, tsr_weights_find(weights, tsr_verify_name(v)));
    }
    v->run = run;
}

void tsr_synthetic_open(tsr_verify *v, tsr_dtype round, tsr_synthetic **synthetic,
                        tsr_weights **weights) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->manifest, "tensors");
    const int count = cJSON_GetArraySize(list);
    *synthetic = NULL;
    *weights = NULL;
    if (!cJSON_IsArray(list) || count < 1)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s/manifest.json: tensors: wanted a list, got none",
                        v->folder);
    if (v->status) return;
    tsr_synthetic *s = tsr_alloc(v->ctx, 1, sizeof *s, "golden weights");
    if (s) s->list = tsr_alloc(v->ctx, (size_t)count, sizeof *s->list, "golden weights");
    if (!s || !s->list) {
        v->status = TSR_ERROR_MEMORY;
    } else {
        s->ctx = v->ctx;
        s->round = round;
        s->source = (tsr_weight_source){.fill = fill, .user = s};
        s->seed = read_seed(v);
        tsr_verify_record(v, tsr_weights_open(v->ctx, weights));
        if (*weights) add_tensors(v, list, s, *weights);
    }
    if (v->status) {
        tsr_weights_close(weights);
        tsr_synthetic_close(&s);
    }
    *synthetic = s;
}

tsr_tensor tsr_synthetic_input(tsr_verify *v, const char *name) {
    const cJSON *item = tsr_verify_entry(v->manifest, "inputs", name);
    entry e = {0};
    if (!item) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name);
    tsr_tensor t = read_entry(v, item, &e);
    const tsr_synthetic s = {
        .ctx = v->ctx, .round = TSR_DTYPE_F32, .seed = read_seed(v), .list = &e, .count = 1};
    t.data = tsr_verify_take(v, tsr_elements(&t), sizeof(float), "golden input");
    if (v->status) return (tsr_tensor){0};
    fill(v->ctx, &s, e.name, 0, tsr_elements(&t), t.data);
    return t;
}

const float *tsr_synthetic_units(tsr_verify *v, const char *name, int64_t count) {
    entry e = {.name = name, .scale = 0.5, .offset = 0.5}; /* (2u - 1) / 2 + 1/2, exactly */
    const tsr_synthetic s = {
        .ctx = v->ctx, .round = TSR_DTYPE_F32, .seed = read_seed(v), .list = &e, .count = 1};
    float *units = tsr_verify_take(v, count, sizeof *units, "golden input");
    if (units) fill(v->ctx, &s, name, 0, count, units);
    return units;
}
