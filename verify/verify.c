/* SPDX-License-Identifier: MIT */
/* verify.c: what every topic reads of a manifest, and how it compares and reports. */
#include "verify.h"
#include "../formats/arrays/npy.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the manifest ---- */

const char *tsr_verify_name(const cJSON *run) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(run, "name"));
    return name ? name : "(unnamed)";
}

tsr_status tsr_verify_text(tsr_verify *v, const cJSON *run, const cJSON *object, const char *field,
                           const char **text) {
    *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, field));
    return *text ? TSR_OK
                 : tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                            "%s/manifest.json: %s: %s: wanted a text, got none", v->folder,
                            tsr_verify_name(run), field);
}

/* True when the item is a whole number that an int holds. */
static bool get_int(const cJSON *item, int *value) {
    if (!cJSON_IsNumber(item)) return false;
    double d = item->valuedouble;
    if (!(d >= -2147483648.0 && d <= 2147483647.0) || d != floor(d)) return false;
    *value = (int)d;
    return true;
}

tsr_status tsr_verify_integers(tsr_verify *v, const cJSON *run, const cJSON *object,
                               const char *field, int *values, int most, int *count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, field), *item;
    int n = cJSON_GetArraySize(list), want = *count, i = 0;
    if (!cJSON_IsArray(list) || n < 1 || n > most || (want && n != want))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: %s: wanted %d to %d integers, got %d", v->folder,
                        tsr_verify_name(run), field, want ? want : 1, want ? want : most, n);
    cJSON_ArrayForEach(item, list) {
        if (!get_int(item, &values[i]))
            return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                            "%s/manifest.json: %s: %s: element %d: wanted an integer, got none",
                            v->folder, tsr_verify_name(run), field, i);
        ++i;
    }
    *count = n;
    return TSR_OK;
}

tsr_status tsr_verify_hash(tsr_verify *v, const cJSON *run, const cJSON *object, const char *field,
                           uint64_t *hash) {
    const char *text = NULL;
    tsr_status status = tsr_verify_text(v, run, object, field, &text);
    if (status) return status;
    char *end = NULL;
    if (!strncmp(text, "0x", 2) && strlen(text) == 18) *hash = strtoull(text + 2, &end, 16);
    if (!end || *end)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: %s: wanted 0x and 16 digits, got %s", v->folder,
                        tsr_verify_name(run), field, text);
    return TSR_OK;
}

tsr_status tsr_verify_path(tsr_verify *v, const cJSON *run, const char *file, char *path,
                           size_t bytes) {
    static const char beside[] = "../inputs/";
    const char *name = strncmp(file, beside, sizeof beside - 1) ? file : file + sizeof beside - 1;
    if (!*name || *name == '.' || strchr(name, '/'))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: file: wanted a name inside the folder, got \"%s\"",
                        v->folder, tsr_verify_name(run), file);
    if ((size_t)snprintf(path, bytes, "%s/%s", v->folder, file) >= bytes)
        return tsr_fail(v->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path below %zu bytes, got longer",
                        v->folder, bytes);
    return TSR_OK;
}

const cJSON *tsr_verify_entry(const cJSON *run, const char *list, const char *name) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(run, list)) {
        const char *got = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
        if (got && !strcmp(got, name)) return entry;
    }
    return NULL;
}

tsr_status tsr_verify_array(tsr_verify *v, const cJSON *run, const cJSON *entry, tsr_dtype dtype,
                            tsr_tensor *tensor) {
    const char *file = NULL;
    char path[4096];
    tsr_status status = tsr_verify_text(v, run, entry, "file", &file);
    if (!status) status = tsr_verify_path(v, run, file, path, sizeof path);
    if (!status) status = tsr_npy_read(v->ctx, path, tensor);
    if (!status && tensor->dtype != dtype) {
        status = tsr_fail(v->ctx, TSR_ERROR_FORMAT, "%s: element type: wanted %s, got %s", path,
                          tsr_dtype_name(dtype), tsr_dtype_name(tensor->dtype));
        free(tensor->data);
        tensor->data = NULL;
    }
    return status;
}

/* ---- reporting ---- */

void tsr_verify_line(tsr_verify *v, const cJSON *run, const char *output, bool passed,
                     const char *format, ...) {
    char text[1024], name[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(name, sizeof name, "%s%s%s", tsr_verify_name(run), *output ? "/" : "", output);
    if (passed)
        v->passed++;
    else
        v->failed++;
    if (v->settings.line) v->settings.line(v->settings.user, name, passed, text);
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

typedef struct array { /* what was made, of either type */
    const float *f32;
    const int32_t *i32;
    int rank;
    const int64_t *dim;
    int64_t count;
} array;

static double value_at(const array *a, int64_t i) {
    return a->f32 ? (double)a->f32[i] : (double)a->i32[i];
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

/* Keeps what was made, before anything is said about it. */
static tsr_status write_array(tsr_verify *v, const cJSON *run, const char *output, tsr_dtype dtype,
                              const void *data, int rank, const int64_t *dim) {
    char path[4096], name[256];
    if (!v->settings.write) return TSR_OK;
    snprintf(name, sizeof name, "%s.%s", tsr_verify_name(run), output);
    for (char *c = name; *c; ++c)
        if (*c == '/') *c = '-';
    if ((size_t)snprintf(path, sizeof path, "%s/%s.npy", v->settings.write, name) >= sizeof path)
        return tsr_fail(v->ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path below %zu bytes, got longer",
                        v->settings.write, sizeof path);
    const tsr_tensor t = tsr_host_tensor(dtype, (void *)(uintptr_t)data, rank, dim);
    return tsr_npy_write(v->ctx, path, &t);
}

static tsr_status compare(tsr_verify *v, const cJSON *run, const char *output, const array *a,
                          tsr_verify_ties ties) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", output);
    if (!entry) return TSR_OK;
    double step = tsr_verify_number(entry, "stride", 1),
           tolerance = tsr_verify_number(entry, "tol", 0);
    if (!shape_agrees(entry, a)) {
        tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, a->rank, a->dim);
        char shape[64];
        tsr_verify_line(v, run, output, false, "shape: wanted the manifest's, got %s",
                        tsr_shape_text(&t, shape, sizeof shape));
        return TSR_OK;
    }
    if (!(step >= 1 && step <= 1e9) || step != floor(step) || !(tolerance >= 0))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: %s: stride and tol: wanted 1 or more and 0 or more, "
                        "got %g and %g",
                        v->folder, tsr_verify_name(run), output, step, tolerance);
    int64_t stride = (int64_t)step, stored = (a->count + stride - 1) / stride;
    tsr_tensor want = {0};
    tsr_status status =
        tsr_verify_array(v, run, entry, a->f32 ? TSR_DTYPE_F32 : TSR_DTYPE_I32, &want);
    if (status) return status;
    if (tsr_elements(&want) != stored) {
        status = tsr_fail(
            v->ctx, TSR_ERROR_FORMAT, "%s: %s: %s: wanted %lld stored values, got %lld", v->folder,
            tsr_verify_name(run), output, (long long)stored, (long long)tsr_elements(&want));
        free(want.data);
        return status;
    }
    array w = {.f32 = a->f32 ? want.data : NULL, .i32 = a->f32 ? NULL : want.data};
    double worst = 0;
    int64_t wrong = 0, first = -1, tied = 0;
    for (int64_t i = 0; i < stored; ++i) {
        int64_t at = i * stride;
        double difference = fabs(value_at(a, at) - value_at(&w, i));
        if (!(difference <= tolerance) && ties.row && ties.row[at / ties.width]) {
            ++tied;
            continue;
        }
        if (!isnan(worst) && !(difference <= worst)) worst = difference; /* NaN stays */
        if (!(difference <= tolerance) && wrong++ == 0) first = at;
    }
    char near[64] = "";
    if (ties.row) snprintf(near, sizeof near, ", %lld near ties differ", (long long)tied);
    if (wrong)
        tsr_verify_line(v, run, output, false,
                        "max difference %.3g, tolerance %.3g: %lld of %lld values, the first at "
                        "%lld: wanted %.9g, got %.9g%s",
                        worst, tolerance, (long long)wrong, (long long)stored, (long long)first,
                        value_at(&w, first / stride), value_at(a, first), near);
    else if (stride > 1 && !sums_agree(entry, a, tolerance))
        tsr_verify_line(v, run, output, false,
                        "max difference %.3g in every %lld-th value, but the sums differ", worst,
                        (long long)stride);
    else
        tsr_verify_line(v, run, output, true, "max difference %.3g, tolerance %.3g%s", worst,
                        tolerance, near);
    free(want.data);
    return TSR_OK;
}

static int64_t count_of(int rank, const int64_t *dim) {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i)
        n *= dim[i];
    return n;
}

tsr_status tsr_verify_f32(tsr_verify *v, const cJSON *run, const char *output, const float *got,
                          int rank, const int64_t *dim, tsr_verify_ties ties) {
    array a = {.f32 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    tsr_status status = write_array(v, run, output, TSR_DTYPE_F32, got, rank, dim);
    return status ? status : compare(v, run, output, &a, ties);
}

tsr_status tsr_verify_i32(tsr_verify *v, const cJSON *run, const char *output, const int32_t *got,
                          int rank, const int64_t *dim, tsr_verify_ties ties) {
    array a = {.i32 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    tsr_status status = write_array(v, run, output, TSR_DTYPE_I32, got, rank, dim);
    return status ? status : compare(v, run, output, &a, ties);
}

tsr_status tsr_verify_u8(tsr_verify *v, const cJSON *run, const char *output, const uint8_t *got,
                         int rank, const int64_t *dim) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", output);
    tsr_status status = write_array(v, run, output, TSR_DTYPE_U8, got, rank, dim);
    if (status || !entry) return status;
    const array a = {.rank = rank, .dim = dim, .count = count_of(rank, dim)};
    const double step = tsr_verify_number(entry, "stride", 1),
                 tolerance = tsr_verify_number(entry, "tol", 0);
    const double fraction = tsr_verify_number(entry, "max_fraction", 0);
    if (!(step >= 1 && step <= 1e9) || step != floor(step))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: %s: stride: wanted 1 or more, got %g", v->folder,
                        tsr_verify_name(run), output, step);
    const int64_t stride = (int64_t)step, stored = (a.count + stride - 1) / stride;
    tsr_tensor want = {0};
    status = tsr_verify_array(v, run, entry, TSR_DTYPE_U8, &want);
    if (status) return status;
    if (!shape_agrees(entry, &a) || tsr_elements(&want) != stored) {
        tsr_verify_line(v, run, output, false, "shape: wanted the manifest's, got another");
    } else {
        int64_t differ = 0;
        int worst = 0;
        for (int64_t i = 0; i < stored; ++i) {
            const int d = abs((int)got[i * stride] - (int)((const uint8_t *)want.data)[i]);
            differ += d > 0;
            if (d > worst) worst = d;
        }
        const double share = (double)differ / (double)stored;
        tsr_verify_line(v, run, output, worst <= tolerance && share <= fraction,
                        "max difference %d of 255, tolerance %g; %.3g of the values differ, "
                        "tolerance %.3g",
                        worst, tolerance, share, fraction);
    }
    free(want.data);
    return TSR_OK;
}
