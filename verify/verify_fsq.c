/* SPDX-License-Identifier: MIT */
/* verify_fsq.c: golden cases of finite scalar quantisation by itself. */
#include "verify.h"
#include "../quantizer/quantizer.h"

typedef struct fsq_run { /* what such a run starts with; arrays live until its end */
    int levels[TSR_FSQ_MAX_LEVELS], count;
    int64_t codebook, n;
    const float *input;     /* [n, count], NULL where the run has none */
    float *bounded, *codes; /* [n, count] */
    float *margin;          /* [n] */
    int32_t *ids;           /* [n] */
} fsq_run;

/* The run's input called `input`, [n, count]. */
static void read_input(tsr_verify *v, const char *input, fsq_run *r) {
    const cJSON *entry = tsr_verify_entry(v->run, "inputs", input);
    if (!entry) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", input);
    const tsr_tensor t = tsr_verify_array(v, entry, TSR_DTYPE_F32);
    if (t.rank != 2 || t.dim[1] != r->count) {
        char shape[64];
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: %s: wanted [rows, %d], got %s", v->folder,
                        tsr_verify_name(v), input, r->count,
                        tsr_shape_text(&t, shape, sizeof shape));
    }
    r->input = t.data;
    r->n = t.dim[0];
}

/* Levels, input and zeroed arrays of a run; with input NULL, n is the size of the codebook. */
static fsq_run read_run(tsr_verify *v, const char *input) {
    fsq_run r = {0};
    r.count = tsr_verify_integers(v, v->run, "levels", r.levels, 1, TSR_FSQ_MAX_LEVELS);
    if (!v->status) v->status = tsr_levels_check(v->ctx, r.levels, r.count, &r.codebook);
    r.n = r.codebook;
    if (input) read_input(v, input, &r);
    r.bounded = tsr_verify_take(v, r.n * r.count, sizeof(float), "fsq: bounded");
    r.codes = tsr_verify_take(v, r.n * r.count, sizeof(float), "fsq: codes");
    r.margin = tsr_verify_take(v, r.n, sizeof(float), "fsq: margins");
    r.ids = tsr_verify_take(v, r.n, sizeof(int32_t), "fsq: ids");
    return r;
}

/* z to bounded values, codes and ids. */
void tsr_verify_fsq(tsr_verify *v) {
    fsq_run r = read_run(v, "z");
    const int64_t dim[2] = {r.n, r.count};
    const uint8_t *tie = tsr_verify_near_ties(v, r.n);
    if (v->status) return;
    v->status =
        tsr_fsq_quantize(v->device, r.input, r.n, r.levels, r.count, r.bounded, r.codes, r.ids);
    for (int64_t i = 0; i < r.n && !v->status; ++i)
        r.margin[i] = tsr_levels_margin(r.count, r.bounded + i * r.count);
    tsr_verify_f32(v, "bounded", r.bounded, 2, dim);
    tsr_verify_f32_ties(v, "codes", r.codes, 2, dim, (tsr_verify_ties){tie, r.count});
    tsr_verify_i32_ties(v, "ids", r.ids, 1, dim, (tsr_verify_ties){tie, 1});
    tsr_verify_f32(v, "margin", r.margin, 1, dim);
}

/* Every id to its code and back. */
void tsr_verify_fsq_codes(tsr_verify *v) {
    fsq_run r = read_run(v, NULL);
    const int64_t dim[2] = {r.n, r.count};
    if (v->status) return;
    for (int64_t i = 0; i < r.n; ++i)
        r.ids[i] = (int32_t)i;
    v->status = tsr_fsq_dequantize(v->device, r.ids, r.n, r.levels, r.count, r.codes);
    tsr_verify_f32(v, "code_table", r.codes, 2, dim);
    const cJSON *entry = tsr_verify_output(v, "code_table");
    if (cJSON_HasObjectItem(entry, "fnv1a64"))
        tsr_verify_hash_line(v, "code_table.fnv1a64", tsr_verify_hash(v, entry, "fnv1a64"),
                             tsr_verify_fnv(r.codes, sizeof(float) * (size_t)(r.n * r.count)));
    int64_t lost = 0;
    for (int64_t i = 0; i < r.n; ++i)
        lost += tsr_levels_id(r.levels, r.count, r.codes + i * r.count) != i;
    tsr_verify_line(v, "code_table.back", lost == 0,
                    "%lld of %lld ids do not come back from their codes", (long long)lost,
                    (long long)r.n);
}

/* Bounded values that lie exactly between two levels: all exact, on the device and on the host. */
void tsr_verify_fsq_round(tsr_verify *v) {
    fsq_run r = read_run(v, "bounded");
    const int64_t dim[2] = {r.n, r.count};
    if (v->status) return;
    v->status = tsr_fsq_round_rows(v->device, r.input, r.n, r.levels, r.count, r.codes, r.ids);
    tsr_verify_i32(v, "ids", r.ids, 1, dim);
    tsr_verify_f32(v, "codes", r.codes, 2, dim);
    int64_t wrong = 0;
    for (int64_t i = 0; i < r.n; ++i)
        wrong += tsr_levels_round(r.levels, r.count, r.input + i * r.count, NULL) != r.ids[i];
    tsr_verify_line(v, "ids.host", wrong == 0, "%lld of %lld ids differ between host and device",
                    (long long)wrong, (long long)r.n);
}
