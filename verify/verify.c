/* SPDX-License-Identifier: MIT */
/* verify.c: the state of a run; what topics read of a manifest; comparing and reporting. */
#include "verify.h"
#include "../formats/arrays/npy.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the state of a run ---- */

void tsr_verify_fail(tsr_verify *v, tsr_status status, const char *format, ...) {
    char text[4608];
    if (v->status) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    v->status = tsr_fail(v->ctx, status, "%s", text);
}

void tsr_verify_refuse(tsr_verify *v, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s/manifest.json: %s: %s", v->folder, tsr_verify_name(v),
                    text);
}

void tsr_verify_record(tsr_verify *v, tsr_status status) {
    if (!v->status) v->status = status;
}

void *tsr_verify_take(tsr_verify *v, int64_t count, size_t size, const char *what) {
    if (v->status) return NULL;
    void *data = tsr_scratch_take(&v->scratch, (size_t)count, size, what);
    v->status = v->scratch.status;
    return data;
}

void tsr_verify_close_later(tsr_verify *v, void *data, void (*close)(void **data)) {
    if (!data) return;
    if (v->later_count == TSR_VERIFY_LATER) {
        tsr_verify_refuse(v, "wanted at most %d things at a time, got more", TSR_VERIFY_LATER);
        close(&data);
        return;
    }
    v->later[v->later_count].data = data;
    v->later[v->later_count++].close = close;
}

void tsr_verify_run_end(tsr_verify *v) {
    while (v->later_count > 0) {
        --v->later_count;
        v->later[v->later_count].close(&v->later[v->later_count].data);
    }
    tsr_scratch_free(&v->scratch);
}

void *tsr_verify_model(tsr_verify *v, size_t size, void (*open)(tsr_verify *v, void *model),
                       void (*close)(void *model)) {
    if (v->status) return NULL;
    if (!v->model_state.data) {
        v->model_state.data = tsr_alloc(v->ctx, 1, size, "golden model");
        v->model_state.close = close;
        if (!v->model_state.data)
            v->status = TSR_ERROR_MEMORY;
        else
            open(v, v->model_state.data);
        v->model_state.opened = !v->status;
    } else if (!v->model_state.opened) {
        tsr_verify_fail(v, TSR_ERROR_MODEL, "%s: wanted a model, got none", v->folder);
    }
    return v->status ? NULL : v->model_state.data;
}

void tsr_verify_model_close(tsr_verify *v) {
    if (v->model_state.data) v->model_state.close(v->model_state.data);
    free(v->model_state.data);
    v->model_state.data = NULL;
}

/* ---- the manifest ---- */

const char *tsr_verify_name(const tsr_verify *v) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->run, "name"));
    return name ? name : "(unnamed)";
}

const char *tsr_verify_text(tsr_verify *v, const cJSON *object, const char *field) {
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, field));
    if (!text) tsr_verify_refuse(v, "%s: wanted a text, got none", field);
    return v->status ? "" : text;
}

/* True when the item is a whole number that an int holds. */
static bool get_int(const cJSON *item, int *value) {
    if (!cJSON_IsNumber(item)) return false;
    double d = item->valuedouble;
    if (!(d >= -2147483648.0 && d <= 2147483647.0) || d != floor(d)) return false;
    *value = (int)d;
    return true;
}

int tsr_verify_integers(tsr_verify *v, const cJSON *object, const char *field, int *values,
                        int least, int most) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, field), *item;
    const int n = cJSON_GetArraySize(list);
    int i = 0;
    if (!cJSON_IsArray(list) || n < least || n > most) {
        tsr_verify_refuse(v, "%s: wanted %d to %d integers, got %d", field, least, most, n);
        return 0;
    }
    cJSON_ArrayForEach(item, list) {
        if (!get_int(item, &values[i]))
            tsr_verify_refuse(v, "%s: element %d: wanted an integer, got none", field, i);
        ++i;
    }
    return v->status ? 0 : n;
}

uint64_t tsr_verify_hash(tsr_verify *v, const cJSON *object, const char *field) {
    const char *text = tsr_verify_text(v, object, field);
    char *end = NULL;
    uint64_t hash = 0;
    if (!strncmp(text, "0x", 2) && strlen(text) == 18) hash = strtoull(text + 2, &end, 16);
    if (!end || *end) tsr_verify_refuse(v, "%s: wanted 0x and 16 digits, got %s", field, text);
    return v->status ? 0 : hash;
}

void tsr_verify_path(tsr_verify *v, const char *file, char *path, size_t bytes) {
    static const char beside[] = "../inputs/";
    const char *name = strncmp(file, beside, sizeof beside - 1) ? file : file + sizeof beside - 1;
    if (!*name || *name == '.' || strchr(name, '/'))
        tsr_verify_refuse(v, "file: wanted a name inside the folder, got \"%s\"", file);
    if ((size_t)snprintf(path, bytes, "%s/%s", v->folder, file) >= bytes)
        tsr_verify_fail(v, TSR_ERROR_ARGUMENT, "%s: wanted a path below %zu bytes, got longer",
                        v->folder, bytes);
    if (v->status) *path = '\0';
}

const cJSON *tsr_verify_entry(const cJSON *object, const char *list, const char *name) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(object, list)) {
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
        if (got && !strcmp(got, name)) return entry;
    }
    return NULL;
}

const cJSON *tsr_verify_output(const tsr_verify *v, const char *name) {
    return tsr_verify_entry(v->run, "outputs", name);
}

/* The entry's array; its data is malloc'd, NULL after a failure. */
static tsr_tensor read_array(tsr_verify *v, const cJSON *entry, tsr_dtype dtype) {
    char path[4096];
    tsr_tensor t = {0};
    tsr_verify_path(v, tsr_verify_text(v, entry, "file"), path, sizeof path);
    if (v->status) return t;
    v->status = tsr_npy_read(v->ctx, path, &t);
    if (!v->status && t.dtype != dtype)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: element type: wanted %s, got %s", path,
                        tsr_dtype_name(dtype), tsr_dtype_name(t.dtype));
    if (!v->status) return t;
    free(t.data);
    return (tsr_tensor){0};
}

const double *tsr_verify_doubles(tsr_verify *v, const cJSON *entry, int64_t *count) {
    char path[4096];
    tsr_npy_doubles all = {0};
    tsr_verify_path(v, tsr_verify_text(v, entry, "file"), path, sizeof path);
    if (!v->status) v->status = tsr_npy_read_doubles(v->ctx, path, &all);
    *count = all.count;
    double *kept = tsr_verify_take(v, *count, sizeof *kept, "golden array");
    if (kept && all.values) memcpy(kept, all.values, (size_t)*count * sizeof *kept);
    free(all.values);
    return v->status ? NULL : kept;
}

tsr_tensor tsr_verify_array(tsr_verify *v, const cJSON *entry, tsr_dtype dtype) {
    tsr_tensor t = read_array(v, entry, dtype);
    const size_t size = tsr_dtype_bytes(dtype);
    void *data = tsr_verify_take(v, tsr_elements(&t), size, "golden array");
    if (data && t.data) memcpy(data, t.data, (size_t)tsr_elements(&t) * size);
    free(t.data);
    t.data = data;
    return v->status ? (tsr_tensor){0} : t;
}

/* ---- reporting ---- */

void tsr_verify_line(tsr_verify *v, const char *output, bool passed, const char *format, ...) {
    char text[1024], name[256];
    if (v->status) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(name, sizeof name, "%s%s%s", tsr_verify_name(v), *output ? "/" : "", output);
    if (passed)
        v->passed++;
    else
        v->failed++;
    if (v->settings.line) v->settings.line(v->settings.user, name, passed, text);
}

void tsr_verify_leave_out(tsr_verify *v, const char *output, const char *why) {
    char name[256];
    if (v->status) return;
    snprintf(name, sizeof name, "%s/%s", tsr_verify_name(v), output);
    if (v->settings.line) v->settings.line(v->settings.user, name, -1, why);
}

void tsr_verify_hash_line(tsr_verify *v, const char *output, uint64_t want, uint64_t got) {
    tsr_verify_line(v, output, got == want, "wanted 0x%016llx, got 0x%016llx",
                    (unsigned long long)want, (unsigned long long)got);
}

uint64_t tsr_verify_fnv(const void *bytes, size_t size) {
    uint64_t h = 0xCBF29CE484222325u;
    for (size_t i = 0; i < size; ++i)
        h = (h ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return h;
}

/* ---- comparison ---- */

double tsr_verify_number(const cJSON *entry, const char *field, double otherwise) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, field);
    return cJSON_IsNumber(item) ? item->valuedouble : otherwise;
}

typedef struct array { /* what was made, of one of the types */
    const double *f64;
    const float *f32;
    const int32_t *i32;
    int rank;
    const int64_t *dim;
    int64_t count;
} array;

static double value_at(const array *a, int64_t i) {
    return a->f64 ? a->f64[i] : a->f32 ? (double)a->f32[i] : (double)a->i32[i];
}

/* The entry's shape must be the array's. */
static bool shape_agrees(const cJSON *entry, const array *a) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape"), *item;
    int i = 0;
    if (cJSON_GetArraySize(shape) != a->rank) return false;
    cJSON_ArrayForEach(item, shape) {
        if (!cJSON_IsNumber(item) || item->valuedouble != (double)a->dim[i]) return false;
        ++i;
    }
    return true;
}

/* A strided file shows a part of the values only; the sums speak for the rest. */
static bool sums_agree(const cJSON *entry, const array *a, double tolerance) {
    double sum = 0, squares = 0,
           largest = tsr_verify_number(entry, "max", tsr_verify_number(entry, "max_abs", 0));
    for (int64_t i = 0; i < a->count; ++i) {
        double d = value_at(a, i);
        sum += d;
        squares += d * d;
    }
    double room = tolerance * (double)a->count + 1e-9;
    return fabs(sum - tsr_verify_number(entry, "sum", NAN)) <= room &&
           fabs(squares - tsr_verify_number(entry, "sumsq", NAN)) <=
               room * (2 * largest + tolerance);
}

/* An array as a tensor, whose dimensions beyond TSR_MAX_RANK are joined to the last. */
static tsr_tensor joined(tsr_dtype dtype, const void *data, int rank, const int64_t *dim) {
    const int kept = rank < TSR_MAX_RANK ? rank : TSR_MAX_RANK;
    tsr_tensor t = tsr_host_tensor(dtype, (void *)(uintptr_t)data, kept, dim);
    for (int i = kept; i < rank; ++i)
        t.dim[kept - 1] *= dim[i];
    return t;
}

/* Path of an output's file in settings.write; false where nothing is to be written. */
static bool output_path(tsr_verify *v, const char *output, char *path, size_t bytes) {
    char name[256];
    if (!v->settings.write || v->status) return false;
    snprintf(name, sizeof name, "%s.%s", tsr_verify_name(v), output);
    for (char *c = name; *c; ++c)
        if (*c == '/') *c = '-';
    if ((size_t)snprintf(path, bytes, "%s/%s.npy", v->settings.write, name) < bytes) return true;
    tsr_verify_fail(v, TSR_ERROR_ARGUMENT, "%s: wanted a path below %zu bytes, got longer",
                    v->settings.write, bytes);
    return false;
}

/* Writes what was made, before anything is said about it. */
static void write_array(tsr_verify *v, const char *output, tsr_dtype dtype, const void *data,
                        int rank, const int64_t *dim) {
    char path[4096];
    if (!output_path(v, output, path, sizeof path)) return;
    const tsr_tensor t = joined(dtype, data, rank, dim);
    v->status = tsr_npy_write(v->ctx, path, &t);
}

/* The entry's array as float64; malloc'd, NULL after a failure. */
static double *read_doubles(tsr_verify *v, const cJSON *entry, int64_t stored) {
    char path[4096];
    tsr_npy_doubles all;
    tsr_verify_path(v, tsr_verify_text(v, entry, "file"), path, sizeof path);
    if (v->status) return NULL;
    v->status = tsr_npy_read_doubles(v->ctx, path, &all);
    if (!v->status && all.count != stored)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: wanted %lld stored values, got %lld", path,
                        (long long)stored, (long long)all.count);
    if (!v->status) return all.values;
    free(all.values);
    return NULL;
}

/* Compares every stride-th value of `a` with want [stored]. */
static void compare_values(tsr_verify *v, const cJSON *entry, const char *output, const array *a,
                           const array *want, int64_t stored, int64_t stride, double tolerance,
                           tsr_verify_ties ties) {
    double worst = 0, squares = 0;
    int64_t wrong = 0, first = -1, tied = 0;
    for (int64_t i = 0; i < stored; ++i) {
        int64_t at = i * stride;
        double difference = fabs(value_at(a, at) - value_at(want, i));
        if (!(difference <= tolerance) && ties.row && ties.row[at / ties.width]) {
            ++tied;
            continue;
        }
        if (!isnan(worst) && !(difference <= worst)) worst = difference; /* NaN stays */
        squares += difference * difference;
        if (!(difference <= tolerance) && wrong++ == 0) first = at;
    }
    char rest[96] = "";
    int at = 0;
    if (!a->i32 && stored > tied)
        at = snprintf(rest, sizeof rest, ", rms %.3g", sqrt(squares / (double)(stored - tied)));
    if (ties.row)
        snprintf(rest + at, sizeof rest - (size_t)at, ", %lld near ties differ", (long long)tied);
    if (wrong)
        tsr_verify_line(v, output, false,
                        "max difference %.3g, tolerance %.3g: %lld of %lld values, the first at "
                        "%lld: wanted %.9g, got %.9g%s",
                        worst, tolerance, (long long)wrong, (long long)stored, (long long)first,
                        value_at(want, first / stride), value_at(a, first), rest);
    else if (stride > 1 && !sums_agree(entry, a, tolerance))
        tsr_verify_line(v, output, false,
                        "max difference %.3g in every %lld-th value, but the sums differ", worst,
                        (long long)stride);
    else
        tsr_verify_line(v, output, true, "max difference %.3g, tolerance %.3g%s", worst, tolerance,
                        rest);
}

static void compare(tsr_verify *v, const char *output, const array *a, tsr_verify_ties ties) {
    const cJSON *entry = tsr_verify_output(v, output);
    if (v->status || !entry) return;
    double step = tsr_verify_number(entry, "stride", 1),
           tolerance = tsr_verify_number(entry, "tol", 0);
    if (!shape_agrees(entry, a)) {
        tsr_tensor t = joined(TSR_DTYPE_F32, NULL, a->rank, a->dim);
        char shape[64];
        tsr_verify_line(v, output, false, "shape: wanted the manifest's, got %s",
                        tsr_shape_text(&t, shape, sizeof shape));
        return;
    }
    if (!(step >= 1 && step <= 1e9) || step != floor(step) || !(tolerance >= 0)) {
        tsr_verify_refuse(v, "%s: stride and tol: wanted 1 or more and 0 or more, got %g and %g",
                          output, step, tolerance);
        return;
    }
    int64_t stride = (int64_t)step, stored = (a->count + stride - 1) / stride;
    if (a->f64) {
        double *values = read_doubles(v, entry, stored);
        const array w = {.f64 = values};
        if (!v->status) compare_values(v, entry, output, a, &w, stored, stride, tolerance, ties);
        free(values);
        return;
    }
    tsr_tensor want = read_array(v, entry, a->f32 ? TSR_DTYPE_F32 : TSR_DTYPE_I32);
    if (tsr_elements(&want) != stored)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: %s: wanted %lld stored values, got %lld",
                        v->folder, tsr_verify_name(v), output, (long long)stored,
                        (long long)tsr_elements(&want));
    const array w = {.f32 = a->f32 ? want.data : NULL, .i32 = a->f32 ? NULL : want.data};
    if (!v->status) compare_values(v, entry, output, a, &w, stored, stride, tolerance, ties);
    free(want.data);
}

static int64_t count_of(int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    return n;
}

void tsr_verify_f32_ties(tsr_verify *v, const char *output, const float *got, int rank,
                         const int64_t *dim, tsr_verify_ties ties) {
    const array a = {.f32 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    write_array(v, output, TSR_DTYPE_F32, got, rank, dim);
    compare(v, output, &a, ties);
}

void tsr_verify_f32(tsr_verify *v, const char *output, const float *got, int rank,
                    const int64_t *dim) {
    tsr_verify_f32_ties(v, output, got, rank, dim, (tsr_verify_ties){0});
}

void tsr_verify_f64(tsr_verify *v, const char *output, const double *got, int rank,
                    const int64_t *dim) {
    const array a = {.f64 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    char path[4096];
    if (output_path(v, output, path, sizeof path))
        v->status = tsr_npy_write_doubles(v->ctx, path, got, rank, dim);
    compare(v, output, &a, (tsr_verify_ties){0});
}

void tsr_verify_i32_ties(tsr_verify *v, const char *output, const int32_t *got, int rank,
                         const int64_t *dim, tsr_verify_ties ties) {
    const array a = {.i32 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    write_array(v, output, TSR_DTYPE_I32, got, rank, dim);
    compare(v, output, &a, ties);
}

void tsr_verify_i32(tsr_verify *v, const char *output, const int32_t *got, int rank,
                    const int64_t *dim) {
    tsr_verify_i32_ties(v, output, got, rank, dim, (tsr_verify_ties){0});
}

void tsr_verify_u8(tsr_verify *v, const char *output, const uint8_t *got, int rank,
                   const int64_t *dim) {
    const cJSON *entry = tsr_verify_output(v, output);
    write_array(v, output, TSR_DTYPE_U8, got, rank, dim);
    if (v->status || !entry) return;
    const array a = {.rank = rank, .dim = dim, .count = count_of(rank, dim)};
    const double step = tsr_verify_number(entry, "stride", 1),
                 tolerance = tsr_verify_number(entry, "tol", 0),
                 fraction = tsr_verify_number(entry, "max_fraction", 0);
    if (!(step >= 1 && step <= 1e9) || step != floor(step)) {
        tsr_verify_refuse(v, "%s: stride: wanted 1 or more, got %g", output, step);
        return;
    }
    const int64_t stride = (int64_t)step, stored = (a.count + stride - 1) / stride;
    tsr_tensor want = read_array(v, entry, TSR_DTYPE_U8);
    if (v->status) return;
    if (!shape_agrees(entry, &a) || tsr_elements(&want) != stored) {
        tsr_verify_line(v, output, false, "shape: wanted the manifest's, got another");
    } else {
        int64_t differ = 0;
        int worst = 0;
        for (int64_t i = 0; i < stored; ++i) {
            const int d = abs((int)got[i * stride] - (int)((const uint8_t *)want.data)[i]);
            differ += d > 0;
            if (d > worst) worst = d;
        }
        const double share = (double)differ / (double)stored;
        tsr_verify_line(v, output, worst <= tolerance && share <= fraction,
                        "max difference %d of 255, tolerance %g; %.3g of the values differ, "
                        "tolerance %.3g",
                        worst, tolerance, share, fraction);
    }
    free(want.data);
}

const uint8_t *tsr_verify_near_ties(tsr_verify *v, int64_t n) {
    const cJSON *entry = tsr_verify_output(v, "margin");
    uint8_t *tie = tsr_verify_take(v, n, 1, "near ties");
    if (!entry) return tie;
    const tsr_tensor known = tsr_verify_array(v, entry, TSR_DTYPE_F32);
    if (tsr_elements(&known) != n)
        tsr_verify_fail(v, TSR_ERROR_FORMAT, "%s: %s: margin: wanted %lld values, got %lld",
                        v->folder, tsr_verify_name(v), (long long)n,
                        (long long)tsr_elements(&known));
    if (v->status) return NULL;
    for (int64_t i = 0; i < n; ++i)
        tie[i] = ((const float *)known.data)[i] < (float)v->id_margin;
    return tie;
}
