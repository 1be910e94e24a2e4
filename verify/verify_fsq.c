/* SPDX-License-Identifier: MIT */
/* verify_fsq.c: golden cases of finite scalar quantisation by itself. */
#include "verify.h"
#include "../quantizer/quantizer.h"

#include <stdlib.h>
#include <string.h>

typedef struct fsq_run { /* what every such run starts with */
    int levels[TSR_FSQ_MAX_LEVELS], count;
    int64_t codebook, n;
    tsr_tensor input; /* [n, count]; data is malloc'd */
    float *bounded, *codes, *margin;
    int32_t *ids;
    uint8_t *tie;
} fsq_run;

static void close_run(fsq_run *r) {
    free(r->input.data);
    free(r->bounded);
    free(r->codes);
    free(r->margin);
    free(r->ids);
    free(r->tie);
}

/* input NULL: the run has none, and n is the size of the codebook. */
static tsr_status open_run(tsr_verify *v, const cJSON *run, const char *input, fsq_run *r) {
    *r = (fsq_run){0};
    tsr_status status =
        tsr_verify_integers(v, run, run, "levels", r->levels, TSR_FSQ_MAX_LEVELS, &r->count);
    if (!status) status = tsr_levels_check(v->ctx, r->levels, r->count, &r->codebook);
    r->n = r->codebook;
    if (!status && input) {
        const cJSON *entry = tsr_verify_entry(run, "inputs", input);
        if (!entry)
            return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                            "%s/manifest.json: %s: inputs: wanted \"%s\", got none", v->folder,
                            tsr_verify_name(run), input);
        status = tsr_verify_array(v, run, entry, TSR_DTYPE_F32, &r->input);
        if (!status && (r->input.rank != 2 || r->input.dim[1] != r->count)) {
            char shape[64];
            status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: %s: wanted [rows, %d], got %s",
                              v->folder, tsr_verify_name(run), input, r->count,
                              tsr_shape_text(&r->input, shape, sizeof shape));
        }
        if (!status) r->n = r->input.dim[0];
    }
    if (status) return status;
    size_t n = (size_t)r->n, values = n * (size_t)r->count;
    if (!(r->bounded = tsr_alloc(v->ctx, values, sizeof(float), "fsq: bounded")) ||
        !(r->codes = tsr_alloc(v->ctx, values, sizeof(float), "fsq: codes")) ||
        !(r->margin = tsr_alloc(v->ctx, n, sizeof(float), "fsq: margins")) ||
        !(r->ids = tsr_alloc(v->ctx, n, sizeof(int32_t), "fsq: ids")) ||
        !(r->tie = tsr_alloc(v->ctx, n, 1, "fsq: near ties")))
        return TSR_ERROR_MEMORY;
    return TSR_OK;
}

/* z to bounded values, codes and ids. */
tsr_status tsr_verify_fsq(tsr_verify *v, const cJSON *run) {
    fsq_run r;
    tsr_status status = open_run(v, run, "z", &r);
    const int64_t dim[2] = {r.n, r.count};
    if (!status)
        status = tsr_fsq_quantize(v->device, r.input.data, r.n, r.levels, r.count, r.bounded,
                                  r.codes, r.ids);
    tsr_tensor known = {0}; /* margins of the known answer decide which rows are near ties */
    const cJSON *entry = tsr_verify_entry(run, "outputs", "margin");
    if (!status && entry) status = tsr_verify_array(v, run, entry, TSR_DTYPE_F32, &known);
    if (!status && known.data && tsr_elements(&known) != r.n)
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: %s: margin: wanted %lld values, got %lld",
                          v->folder, tsr_verify_name(run), (long long)r.n,
                          (long long)tsr_elements(&known));
    for (int64_t i = 0; i < r.n && !status; ++i) {
        r.margin[i] = tsr_levels_margin(r.count, r.bounded + i * r.count);
        r.tie[i] = known.data && ((float *)known.data)[i] < (float)v->id_margin;
    }
    const tsr_verify_ties none = {0}, rows = {r.tie, r.count}, ids = {r.tie, 1};
    if (!status) status = tsr_verify_f32(v, run, "bounded", r.bounded, 2, dim, none);
    if (!status) status = tsr_verify_f32(v, run, "codes", r.codes, 2, dim, rows);
    if (!status) status = tsr_verify_i32(v, run, "ids", r.ids, 1, dim, ids);
    if (!status) status = tsr_verify_f32(v, run, "margin", r.margin, 1, dim, none);
    free(known.data);
    close_run(&r);
    return status;
}

/* Every id to its code and back. */
tsr_status tsr_verify_fsq_codes(tsr_verify *v, const cJSON *run) {
    fsq_run r;
    tsr_status status = open_run(v, run, NULL, &r);
    const int64_t dim[2] = {r.n, r.count};
    for (int64_t i = 0; i < r.n && !status; ++i)
        r.ids[i] = (int32_t)i;
    if (!status) status = tsr_fsq_dequantize(v->device, r.ids, r.n, r.levels, r.count, r.codes);
    if (!status)
        status = tsr_verify_f32(v, run, "code_table", r.codes, 2, dim, (tsr_verify_ties){0});
    const cJSON *entry = tsr_verify_entry(run, "outputs", "code_table");
    if (!status && cJSON_HasObjectItem(entry, "fnv1a64")) {
        uint64_t want = 0;
        status = tsr_verify_hash(v, run, entry, "fnv1a64", &want);
        uint64_t got = tsr_verify_fnv(r.codes, sizeof(float) * (size_t)(r.n * r.count));
        if (!status)
            tsr_verify_line(v, run, "code_table.fnv1a64", got == want,
                            "wanted 0x%016llx, got 0x%016llx", (unsigned long long)want,
                            (unsigned long long)got);
    }
    if (!status) {
        int64_t lost = 0;
        for (int64_t i = 0; i < r.n; ++i)
            lost += tsr_levels_id(r.levels, r.count, r.codes + i * r.count) != i;
        tsr_verify_line(v, run, "code_table.back", lost == 0,
                        "%lld of %lld ids do not come back from their codes", (long long)lost,
                        (long long)r.n);
    }
    close_run(&r);
    return status;
}

/* Bounded values that lie exactly between two levels: all exact, on the device and on the host. */
tsr_status tsr_verify_fsq_round(tsr_verify *v, const cJSON *run) {
    fsq_run r;
    tsr_status status = open_run(v, run, "bounded", &r);
    const int64_t dim[2] = {r.n, r.count};
    if (!status)
        status =
            tsr_fsq_round_rows(v->device, r.input.data, r.n, r.levels, r.count, r.codes, r.ids);
    if (!status) status = tsr_verify_i32(v, run, "ids", r.ids, 1, dim, (tsr_verify_ties){0});
    if (!status) status = tsr_verify_f32(v, run, "codes", r.codes, 2, dim, (tsr_verify_ties){0});
    if (!status) {
        int64_t wrong = 0;
        for (int64_t i = 0; i < r.n; ++i)
            wrong += tsr_levels_round(r.levels, r.count, (const float *)r.input.data + i * r.count,
                                      NULL) != r.ids[i];
        tsr_verify_line(v, run, "ids.host", wrong == 0,
                        "%lld of %lld ids differ between host and device", (long long)wrong,
                        (long long)r.n);
    }
    close_run(&r);
    return status;
}
