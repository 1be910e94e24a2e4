/* SPDX-License-Identifier: MIT */
/* verify_operator.c: golden cases of token operators: inputs by rule, running, comparing. The rule
 * for inputs is the one of verify_weights.c with integers and with steps behind it: README of the
 * folder "operators". */
#include "verify_operator.h"
#include "../formats/arrays/npy.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    tsr_verify_run_fn fn;
} operators[] = {
#define OPERATOR_CASE(name, function) {name, tsr_verify_operator_##function},
#include "operator_cases.def"
#undef OPERATOR_CASE
};

void tsr_verify_operator(tsr_verify *v) {
    const char *name = tsr_verify_text(v, v->manifest, "operator");
    if (v->status) return;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; ++i)
        if (!strcmp(operators[i].name, name)) {
            operators[i].fn(v);
            return;
        }
    tsr_verify_fail(v, TSR_ERROR_UNSUPPORTED, "not supported by this build: operator %s", name);
}

static void close_set(void **set) {
    tsr_token_set *s = *set;
    tsr_token_set_close(&s);
    *set = NULL;
}

static tsr_token_set *hold(tsr_verify *v, tsr_token_set *set) {
    tsr_verify_close_later(v, set, close_set);
    return v->status ? NULL : set;
}

/* ---- inputs ---- */

static const cJSON *field(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static const cJSON *find_input(const tsr_verify *v, const char *name) {
    const size_t length = strlen(name);
    const cJSON *item;
    cJSON_ArrayForEach(item, field(v->run, "inputs")) {
        const char *full = cJSON_GetStringValue(field(item, "name"));
        const size_t all = full ? strlen(full) : 0;
        if (all > length && full[all - length - 1] == '/' && !strcmp(full + all - length, name))
            return item;
    }
    return NULL;
}
bool tsr_case_has_input(const tsr_verify *v, const char *name) {
    return find_input(v, name) != NULL;
}

static double unit(uint64_t s, uint64_t i) {
    uint64_t z = s + (i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(z >> 40) * 0x1p-24;
}

static tsr_tensor make_input(tsr_verify *v, const cJSON *item);

static void softmax(float *x, int64_t rows, int64_t cols) {
    for (int64_t r = 0; r < rows; ++r) {
        float *row = x + r * cols;
        double most = -INFINITY, sum = 0;
        for (int64_t i = 0; i < cols; ++i)
            most = fmax(most, (double)row[i]);
        for (int64_t i = 0; i < cols; ++i)
            sum += exp((double)row[i] - most);
        for (int64_t i = 0; i < cols; ++i)
            row[i] = (float)(exp((double)row[i] - most) / sum);
    }
}

/* One step behind the numbers, in place. */
static void post(tsr_verify *v, const cJSON *step, tsr_tensor *t) {
    const char *op = tsr_verify_text(v, step, "op");
    const int64_t n = tsr_elements(t), cols = tsr_cols(t), first = t->dim[0], row = n / first;
    float *x = t->data;
    if (v->status) return;
    if (!strcmp(op, "softmax"))
        softmax(x, n / cols, cols);
    else if (!strcmp(op, "copy-rows")) {
        const cJSON *src = field(step, "src"), *dst = field(step, "dst");
        for (int i = 0; i < cJSON_GetArraySize(src) && i < cJSON_GetArraySize(dst); ++i) {
            const int from = cJSON_GetArrayItem(src, i)->valueint,
                      to = cJSON_GetArrayItem(dst, i)->valueint;
            if (from < 0 || from >= first || to < 0 || to >= first)
                tsr_verify_refuse(v, "copy-rows: wanted rows of the input, got %d to %d", from, to);
            else
                memmove(x + to * row, x + from * row, (size_t)row * sizeof *x);
        }
    } else if (!strcmp(op, "quantise")) {
        const double steps = tsr_verify_number(step, "steps", 1);
        for (int64_t i = 0; i < n; ++i)
            x[i] = (float)(floor((double)x[i] * steps) / steps);
    } else if (!strcmp(op, "power")) {
        const double k = tsr_verify_number(step, "k", 1);
        for (int64_t i = 0; i < n; ++i)
            x[i] = (float)copysign(pow(fabs((double)x[i]), k), (double)x[i]);
    } else if (!strcmp(op, "l2-rows")) {
        for (int64_t r = 0; r < n / cols; ++r) {
            double sum = 0;
            for (int64_t i = 0; i < cols; ++i)
                sum += (double)x[r * cols + i] * (double)x[r * cols + i];
            for (int64_t i = 0; i < cols; ++i)
                x[r * cols + i] = (float)((double)x[r * cols + i] / sqrt(sum));
        }
    } else if (!strcmp(op, "add-gather")) {
        const tsr_tensor base = make_input(v, field(step, "base"));
        if (v->status) return;
        const int64_t width = tsr_elements(&base) / base.dim[0];
        if (width != row) {
            tsr_verify_refuse(v, "add-gather: wanted rows of %lld, got %lld", (long long)row,
                              (long long)width);
            return;
        }
        for (int64_t i = 0; i < n; ++i)
            x[i] += ((const float *)base.data)[i / row % base.dim[0] * row + i % row];
    } else
        tsr_verify_refuse(v, "post: wanted a step of the rule, got \"%s\"", op);
}

static tsr_tensor make_input(tsr_verify *v, const cJSON *item) {
    const char *name = tsr_verify_text(v, item, "name"), *dtype = tsr_verify_text(v, item, "dtype");
    int small[TSR_MAX_RANK];
    int64_t dim[TSR_MAX_RANK];
    const int rank = tsr_verify_integers(v, item, "shape", small, 1, TSR_MAX_RANK);
    const uint64_t s = tsr_verify_hash(v, v->manifest, "seed") ^
                       tsr_verify_fnv(name, v->status ? 0 : strlen(name));
    for (int i = 0; i < rank; ++i)
        dim[i] = small[i];
    if (v->status) return (tsr_tensor){0};
    const bool integers = !strcmp(dtype, "int32");
    tsr_tensor t = tsr_host_tensor(integers ? TSR_DTYPE_I32 : TSR_DTYPE_F32, NULL, rank, dim);
    const int64_t n = tsr_elements(&t);
    t.data = tsr_verify_take(v, n, sizeof(float), name);
    if (!t.data) return (tsr_tensor){0};
    const double scale = tsr_verify_number(item, "scale", 0),
                 offset = tsr_verify_number(item, "offset", 0),
                 lo = tsr_verify_number(item, "lo", 0), hi = tsr_verify_number(item, "hi", 0);
    for (int64_t i = 0; i < n; ++i) {
        const double u = unit(s, (uint64_t)i);
        if (integers)
            ((int32_t *)t.data)[i] = (int32_t)(lo + floor(u * (hi - lo + 1)));
        else
            ((float *)t.data)[i] = (float)((2 * u - 1) * scale + offset);
    }
    const cJSON *step;
    cJSON_ArrayForEach(step, field(item, "post")) post(v, step, &t);
    return v->status ? (tsr_tensor){0} : t;
}

tsr_tensor tsr_case_input(tsr_verify *v, const char *name) {
    const cJSON *item = find_input(v, name);
    if (!item) tsr_verify_refuse(v, "inputs: wanted \"%s\", got none", name);
    return v->status ? (tsr_tensor){0} : make_input(v, item);
}

bool tsr_case_has(const tsr_verify *v, const char *name) {
    return cJSON_HasObjectItem(field(v->run, "params"), name);
}
double tsr_case_number(tsr_verify *v, const char *name) {
    const cJSON *item = field(field(v->run, "params"), name);
    if (!cJSON_IsNumber(item) && !cJSON_IsBool(item))
        tsr_verify_refuse(v, "params: %s: wanted a number, got none", name);
    return v->status ? 0 : cJSON_IsBool(item) ? cJSON_IsTrue(item) : item->valuedouble;
}
int64_t tsr_case_integer(tsr_verify *v, const char *name) {
    return (int64_t)tsr_case_number(v, name);
}
const char *tsr_case_text(tsr_verify *v, const char *name) {
    return tsr_verify_text(v, field(v->run, "params"), name);
}

const char *tsr_case_list(tsr_verify *v, const char *name) {
    const cJSON *list = field(field(v->run, "params"), name);
    const int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : -1;
    enum { NUMBER = 40 };
    if (n < 0) tsr_verify_refuse(v, "params: %s: wanted a list, got none", name);
    char *text = tsr_verify_take(v, (n > 0 ? n : 0) * NUMBER + 1, 1, name), *to = text;
    for (int i = 0; text && i < n; ++i)
        to += snprintf(to, NUMBER, "%s%.17g", i ? "+" : "",
                       cJSON_GetNumberValue(cJSON_GetArrayItem(list, i)));
    return v->status ? "" : text;
}
const char *tsr_case_file(tsr_verify *v, const char *name) {
    enum { PATH = 4096 };
    char *path = tsr_verify_take(v, PATH, 1, name);
    tsr_verify_path(v, tsr_case_text(v, name), path, PATH);
    return v->status ? "" : path;
}

/* ---- running ---- */

tsr_token_set *tsr_case_set(tsr_verify *v, const float *features, int64_t count, int64_t channels,
                            const int64_t *grid) {
    tsr_token_set *set = NULL;
    if (!v->status) v->status = tsr_token_set_create(v->ctx, features, count, channels, grid, &set);
    return hold(v, set);
}

tsr_token_set *tsr_case_bare_set(tsr_verify *v, int64_t count, const int64_t *grid) {
    const float *zeros = tsr_verify_take(v, count, sizeof *zeros, "features");
    return tsr_case_set(v, zeros, count, 1, grid);
}

void tsr_case_column(tsr_verify *v, tsr_token_set *set, const char *name, tsr_token_axis axis,
                     tsr_array_type type, int rank, const int64_t *dim, const void *data) {
    if (v->status) return;
    tsr_token_array a = {.name = name, .axis = axis, .type = type, .rank = rank, .data = data};
    memcpy(a.dim, dim, (size_t)rank * sizeof *dim);
    v->status = tsr_token_set_add(set, &a);
}

tsr_token_set *tsr_case_reduce(tsr_verify *v, const tsr_token_set *set, const char *format, ...) {
    char text[4096];
    const char *operations[] = {text};
    tsr_token_set *made = NULL;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    const tsr_reduce_settings settings = {.device = v->settings.device};
    if (!v->status) v->status = tsr_token_set_reduce(set, operations, 1, &settings, &made);
    return hold(v, made);
}

tsr_token_set *tsr_case_plan(tsr_verify *v, const char *format, ...) {
    char text[4096];
    tsr_token_set *made = NULL;
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (!v->status) v->status = tsr_operator_plan(v->ctx, text, &made);
    return hold(v, made);
}

void tsr_case_refuses(tsr_verify *v, const char *output, const tsr_token_set *set,
                      tsr_status status, const char *operation) {
    tsr_token_set *made = NULL;
    if (v->status) return;
    const tsr_reduce_settings settings = {.device = v->settings.device};
    const tsr_status got = set ? tsr_token_set_reduce(set, &operation, 1, &settings, &made)
                               : tsr_operator_plan(v->ctx, operation, &made);
    tsr_verify_line(v, output, got == status, "%s: wanted %s, got %s%s%s", operation,
                    tsr_status_name(status), tsr_status_name(got), got ? ": " : "",
                    got ? tsr_detail(v->ctx) : "");
    tsr_token_set_close(&made);
}

/* ---- answers ---- */

const cJSON *tsr_case_answer(const tsr_verify *v, const char *name) {
    const char *dot = strchr(name, '.');
    if (dot && (!strncmp(name, "expected.", 9) || !strncmp(name, "required.", 9))) {
        const cJSON *block = field(v->run, *name == 'e' ? "expected" : "required");
        return field(block, dot + 1);
    }
    const cJSON *required = field(field(v->run, "required"), name);
    return required ? required : field(field(v->run, "expected"), name);
}

static void count_numbers(const cJSON *item, int64_t *n) {
    if (!cJSON_IsArray(item)) {
        ++*n;
        return;
    }
    const cJSON *part;
    cJSON_ArrayForEach(part, item) count_numbers(part, n);
}
static void put_numbers(const cJSON *item, double **to) {
    if (!cJSON_IsArray(item)) {
        *(*to)++ = cJSON_IsNumber(item) ? item->valuedouble
                   : cJSON_IsBool(item) ? (double)cJSON_IsTrue(item)
                                        : NAN;
        return;
    }
    const cJSON *part;
    cJSON_ArrayForEach(part, item) put_numbers(part, to);
}

/* The numbers of an answer, inline (lists in lists are read in order) or in its file. */
static const double *numbers(tsr_verify *v, const cJSON *answer, int64_t *n) {
    *n = 0;
    if (cJSON_IsObject(answer)) {
        char path[4096];
        tsr_tensor t = {0};
        tsr_verify_path(v, tsr_verify_text(v, answer, "file"), path, sizeof path);
        if (!v->status) v->status = tsr_npy_read(v->ctx, path, &t);
        double *list = tsr_verify_take(v, tsr_elements(&t) + 1, sizeof *list, path);
        if (list) *n = tsr_elements(&t);
        for (int64_t i = 0; i < *n; ++i)
            list[i] = t.dtype == TSR_DTYPE_I32   ? (double)((const int32_t *)t.data)[i]
                      : t.dtype == TSR_DTYPE_I64 ? (double)((const int64_t *)t.data)[i]
                                                 : (double)((const float *)t.data)[i];
        free(t.data);
        return list;
    }
    count_numbers(answer, n);
    double *list = tsr_verify_take(v, *n + 1, sizeof *list, "answer"), *to = list;
    if (list) put_numbers(answer, &to);
    return list;
}

/* Reads "abs 1e-6", "rel 1e-5"; both 0 for "exact". */
static void read_tolerance(tsr_verify *v, const char *name, double *absolute, double *relative) {
    const char *text = tsr_verify_text(v, field(v->manifest, "tolerance"), name);
    *absolute = *relative = 0;
    if (!strncmp(text, "abs ", 4))
        *(strstr(text, "* value") ? relative : absolute) = strtod(text + 4, NULL);
    else if (!strncmp(text, "rel ", 4))
        *relative = strtod(text + 4, NULL);
    else if (strncmp(text, "exact", 5))
        tsr_verify_refuse(v, "tolerance: %s: wanted abs, rel or exact, got \"%s\"", name, text);
}

/* tolerance NULL: integers. Numbers that are stored as shortest decimals of f32 are compared as f32
 * where `single` is set. */
static void compare(tsr_verify *v, const char *name, const char *tolerance, const double *got,
                    int64_t n, bool single) {
    const cJSON *answer = tsr_case_answer(v, name);
    if (!answer || v->status) return;
    int64_t wanted_n = 0, differ = 0, first = -1;
    double absolute = 0, relative = 0, worst = 0;
    const double *wanted = numbers(v, answer, &wanted_n);
    if (tolerance) read_tolerance(v, tolerance, &absolute, &relative);
    if (v->status) return;
    if (n != wanted_n) {
        tsr_verify_line(v, name, false, "wanted %lld values, got %lld", (long long)wanted_n,
                        (long long)n);
        return;
    }
    for (int64_t i = 0; i < n; ++i) {
        const double want = single ? (double)(float)wanted[i] : wanted[i];
        const double d = fabs(got[i] - want);
        const bool same = (isnan(got[i]) && isnan(want)) || got[i] == want ||
                          d <= absolute + relative * fabs(want);
        if (!same && differ++ == 0) first = i;
        if (!(d <= worst)) worst = d;
    }
    if (differ)
        tsr_verify_line(v, name, false, "%lld of %lld differ; value %lld: wanted %.9g, got %.9g",
                        (long long)differ, (long long)n, (long long)first, wanted[first],
                        got[first]);
    else if (tolerance)
        tsr_verify_line(v, name, true, "%lld values, largest difference %.2g", (long long)n, worst);
    else
        tsr_verify_line(v, name, true, "%lld values, all equal", (long long)n);
}

void tsr_case_i32(tsr_verify *v, const char *name, const int32_t *got, int64_t n) {
    double *x = tsr_verify_take(v, n + 1, sizeof *x, name);
    for (int64_t i = 0; x && i < n; ++i)
        x[i] = got[i];
    compare(v, name, NULL, x, n, false);
}
void tsr_case_f32(tsr_verify *v, const char *name, const char *tolerance, const float *got,
                  int64_t n) {
    double *x = tsr_verify_take(v, n + 1, sizeof *x, name);
    for (int64_t i = 0; x && i < n; ++i)
        x[i] = (double)got[i];
    compare(v, name, tolerance, x, n, true);
}
void tsr_case_f64(tsr_verify *v, const char *name, const char *tolerance, const double *got,
                  int64_t n) {
    compare(v, name, tolerance, got, n, false);
}

void tsr_case_trace(tsr_verify *v, const char *name, const char *tolerance,
                    const tsr_token_set *made, const char *trace) {
    if (v->status || !tsr_case_answer(v, name)) return;
    const tsr_token_array a = tsr_token_set_trace(made, trace);
    int64_t n = 1;
    for (int i = 0; i < a.rank; ++i)
        n *= a.dim[i];
    if (!a.name)
        tsr_verify_line(v, name, false, "wanted the array %s of the trace, got none", trace);
    else if (a.type == TSR_ARRAY_I32)
        tsr_case_i32(v, name, a.data, n);
    else if (a.type == TSR_ARRAY_F32)
        tsr_case_f32(v, name, tolerance, a.data, n);
    else
        tsr_case_f64(v, name, tolerance, a.data, n);
}

void tsr_case_trace_near(tsr_verify *v, const char *name, double most, const tsr_token_set *made,
                         const char *trace) {
    const cJSON *answer = tsr_case_answer(v, name);
    if (v->status || !answer) return;
    const tsr_token_array a = tsr_token_set_trace(made, trace);
    const double got = !a.name                   ? NAN
                       : a.type == TSR_ARRAY_F64 ? *(const double *)a.data
                       : a.type == TSR_ARRAY_F32 ? (double)*(const float *)a.data
                                                 : (double)*(const int32_t *)a.data;
    const double wanted = cJSON_GetNumberValue(answer);
    tsr_verify_line(v, name, fabs(got - wanted) <= most, "wanted %.17g, got %.17g", wanted, got);
}

static tsr_token_set_info info_of(const tsr_token_set *made) {
    tsr_token_set_info info;
    tsr_token_set_info_get(made, &info);
    return info;
}
void tsr_case_features(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_set_info info = info_of(made);
    tsr_case_f32(v, name, "features", info.features, info.count * info.channels);
}
void tsr_case_source_map(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_set_info info = info_of(made);
    tsr_case_i32(v, name, info.source_map, info.source);
}
void tsr_case_sizes(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_set_info info = info_of(made);
    int32_t *sizes = tsr_verify_take(v, info.count + 1, sizeof *sizes, name);
    for (int64_t i = 0; sizes && i < info.count; ++i)
        sizes[i] = (int32_t)info.sizes[i];
    tsr_case_i32(v, name, sizes, info.count);
}
void tsr_case_kept(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_set_info info = info_of(made);
    int32_t *kept = tsr_verify_take(v, info.count + 1, sizeof *kept, name);
    for (int64_t i = 0; kept && i < info.source; ++i)
        if (info.source_map[i] >= 0) kept[info.source_map[i]] = (int32_t)i;
    tsr_case_i32(v, name, kept, info.count);
}
