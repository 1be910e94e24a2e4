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

static void fill(const void *user, const char *name, int64_t first, int64_t count, float *f32) {
    const tsr_synthetic *s = user;
    const entry key = {.name = name};
    const entry *e = bsearch(&key, s->list, (size_t)s->count, sizeof key, by_name);
    if (!e) return; /* cannot be: the weights were made from the list */
    fill_job job = {.e = e,
                    .s = tsr_verify_fnv(name, strlen(name)) ^ s->seed,
                    .round = s->round,
                    .first = first,
                    .count = count,
                    .f32 = f32};
    tsr_parallel(s->ctx, (count + PIECE - 1) / PIECE, fill_piece, &job);
}

void tsr_synthetic_close(tsr_synthetic **synthetic) {
    if (!synthetic || !*synthetic) return;
    free((*synthetic)->list);
    free(*synthetic);
    *synthetic = NULL;
}

/* name, shape, scale and offset of one tensor */
static tsr_status read_entry(tsr_verify *v, const cJSON *run, const cJSON *item, entry *e,
                             tsr_tensor *shape) {
    const cJSON *scale = cJSON_GetObjectItemCaseSensitive(item, "scale");
    const cJSON *offset = cJSON_GetObjectItemCaseSensitive(item, "offset");
    int dim[TSR_MAX_RANK], rank = 0;
    int64_t wide[TSR_MAX_RANK];
    tsr_status status = tsr_verify_text(v, run, item, "name", &e->name);
    if (!status) status = tsr_verify_integers(v, run, item, "shape", dim, TSR_MAX_RANK, &rank);
    if (!status && (!cJSON_IsNumber(scale) || !cJSON_IsNumber(offset)))
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                          "%s/manifest.json: %s: scale and offset: wanted numbers, got none",
                          v->folder, e->name);
    int64_t count = 1;
    for (int i = 0; i < rank && !status; ++i) {
        wide[i] = dim[i];
        if (dim[i] < 1 || __builtin_mul_overflow(count, wide[i], &count) || count > INT64_MAX / 16)
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                              "%s/manifest.json: %s: shape: wanted positive sizes, got %d",
                              v->folder, e->name, dim[i]);
    }
    if (status) return status;
    e->scale = scale->valuedouble;
    e->offset = offset->valuedouble;
    *shape = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, wide);
    return TSR_OK;
}

static tsr_status read_seed(tsr_verify *v, uint64_t *seed) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(v->manifest, "seed");
    const double d = cJSON_GetNumberValue(item);
    if (!(d >= 0 && d < 0x1p53) || d != floor(d))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: seed: wanted an integer below 2^53, got %g", v->folder,
                        d);
    *seed = (uint64_t)d;
    return TSR_OK;
}

/* Tensors of up to a million values are compared with the manifest's checksum. */
static tsr_status check(tsr_verify *v, const tsr_synthetic *s, const cJSON *item,
                        const tsr_weight *w) {
    uint64_t want = 0, sum = 0;
    if (s->round != TSR_DTYPE_F32 || tsr_elements(&w->tensor) > 1 << 20 ||
        !cJSON_HasObjectItem(item, "check"))
        return TSR_OK;
    tsr_status status = tsr_verify_hash(v, item, item, "check", &want);
    if (status) return status;
    const float *f = tsr_weight_borrow(v->ctx, w);
    if (!f) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < tsr_elements(&w->tensor); ++i) {
        uint32_t bits;
        memcpy(&bits, &f[i], sizeof bits);
        sum += (2 * (uint64_t)i + 1) * bits;
    }
    tsr_weight_return(w, f);
    if (sum == want) return TSR_OK;
    return tsr_fail(v->ctx, TSR_ERROR_CHECKSUM,
                    "%s/manifest.json: %s: check: wanted 0x%016llx, got 0x%016llx", v->folder,
                    w->name, (unsigned long long)want, (unsigned long long)sum);
}

tsr_status tsr_synthetic_open(tsr_verify *v, tsr_dtype round, tsr_synthetic **synthetic,
                              tsr_weights **weights) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(v->manifest, "tensors"), *item;
    const int count = cJSON_GetArraySize(list);
    *synthetic = NULL;
    *weights = NULL;
    if (!cJSON_IsArray(list) || count < 1)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: tensors: wanted a list, got "
                        "none",
                        v->folder);
    tsr_synthetic *s = tsr_alloc(v->ctx, 1, sizeof *s, "golden weights");
    if (!s) return TSR_ERROR_MEMORY;
    s->ctx = v->ctx;
    s->round = round;
    s->source = (tsr_weight_source){.fill = fill, .user = s};
    s->list = tsr_alloc(v->ctx, (size_t)count, sizeof *s->list, "golden weights");
    tsr_status status = s->list ? read_seed(v, &s->seed) : TSR_ERROR_MEMORY;
    if (!status) status = tsr_weights_open(v->ctx, weights);
    cJSON_ArrayForEach(item, list) {
        tsr_tensor shape;
        if (!status) status = read_entry(v, item, item, &s->list[s->count], &shape);
        if (!status)
            status =
                tsr_weights_add_lazy(v->ctx, *weights, s->list[s->count].name, &shape, &s->source);
        if (status) break;
        s->count++;
    }
    if (!status) qsort(s->list, (size_t)s->count, sizeof *s->list, by_name);
    cJSON_ArrayForEach(item, list) {
        if (status) break;
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(item, "name"));
        status = check(v, s, item, tsr_weights_find(*weights, name));
    }
    if (status) {
        tsr_weights_close(weights);
        tsr_synthetic_close(&s);
        return status;
    }
    *synthetic = s;
    return TSR_OK;
}

tsr_status tsr_synthetic_input(tsr_verify *v, const cJSON *run, const char *name,
                               tsr_tensor *tensor) {
    const cJSON *item = tsr_verify_entry(v->manifest, "inputs", name);
    tsr_synthetic s = {.ctx = v->ctx, .round = TSR_DTYPE_F32};
    entry e;
    *tensor = (tsr_tensor){0};
    if (!item)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: inputs: wanted \"%s\", got none", v->folder,
                        tsr_verify_name(run), name);
    tsr_status status = read_entry(v, run, item, &e, tensor);
    if (!status) status = read_seed(v, &s.seed);
    if (status) return status;
    tensor->data = tsr_alloc(v->ctx, (size_t)tsr_elements(tensor), sizeof(float), "golden input");
    if (!tensor->data) return TSR_ERROR_MEMORY;
    s.list = &e;
    s.count = 1;
    fill(&s, e.name, 0, tsr_elements(tensor), tensor->data);
    return TSR_OK;
}

tsr_status tsr_synthetic_units(tsr_verify *v, const char *name, int64_t count, float *units) {
    entry e = {.name = name, .scale = 0.5, .offset = 0.5}; /* (2u - 1) / 2 + 1/2, exactly */
    tsr_synthetic s = {.ctx = v->ctx, .round = TSR_DTYPE_F32, .list = &e, .count = 1};
    tsr_status status = read_seed(v, &s.seed);
    if (!status) fill(&s, name, 0, count, units);
    return status;
}
