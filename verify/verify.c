/* SPDX-License-Identifier: MIT */
/* verify.c: reads a golden case's manifest, runs what this build knows, compares and counts. */
#include "verify.h"
#include "../formats/arrays/npy.h"
#include "../formats/sha256.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *op;
    tsr_verify_run_fn fn;
} known[] = {
    {"fsq", tsr_verify_fsq},
    {"fsq_codes", tsr_verify_fsq_codes},
    {"fsq_round", tsr_verify_fsq_round},
    {"preprocess", tsr_verify_preprocess},
    {"normalise", tsr_verify_normalise},
    {"encode", tsr_verify_encode},
    {"decode", tsr_verify_decode},
    {"vae_encode", tsr_verify_vae_encode},
    {"vae_decode", tsr_verify_vae_decode},
};
/* Families whose runs all do the same. */
static const struct {
    const char *family;
    tsr_verify_run_fn fn;
} families[] = {
    {"maskgit-vqgan", tsr_verify_grid}, {"taming-vqgan", tsr_verify_grid},
    {"titok", tsr_verify_titok},        {"karl", tsr_verify_karl},
    {"vqtoken", tsr_verify_vqtoken},
};

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

static double number(const cJSON *entry, const char *field, double otherwise) {
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
    double sum = 0, squares = 0, largest = number(entry, "max", number(entry, "max_abs", 0));
    for (int64_t i = 0; i < a->count; ++i) {
        double d = value_at(a, i);
        sum += d;
        squares += d * d;
    }
    double room = tolerance * (double)a->count + 1e-9;
    return fabs(sum - number(entry, "sum", NAN)) <= room &&
           fabs(squares - number(entry, "sumsq", NAN)) <= room * (2 * largest + tolerance);
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
    double step = number(entry, "stride", 1), tolerance = number(entry, "tol", 0);
    if (!shape_agrees(entry, a)) {
        tsr_tensor t = tsr_host_tensor(TSR_F32, NULL, a->rank, a->dim);
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
    tsr_status status = tsr_verify_array(v, run, entry, a->f32 ? TSR_F32 : TSR_I32, &want);
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
    tsr_status status = write_array(v, run, output, TSR_F32, got, rank, dim);
    return status ? status : compare(v, run, output, &a, ties);
}

tsr_status tsr_verify_i32(tsr_verify *v, const cJSON *run, const char *output, const int32_t *got,
                          int rank, const int64_t *dim, tsr_verify_ties ties) {
    array a = {.i32 = got, .rank = rank, .dim = dim, .count = count_of(rank, dim)};
    tsr_status status = write_array(v, run, output, TSR_I32, got, rank, dim);
    return status ? status : compare(v, run, output, &a, ties);
}

tsr_status tsr_verify_u8(tsr_verify *v, const cJSON *run, const char *output, const uint8_t *got,
                         int rank, const int64_t *dim) {
    const cJSON *entry = tsr_verify_entry(run, "outputs", output);
    tsr_status status = write_array(v, run, output, TSR_U8, got, rank, dim);
    if (status || !entry) return status;
    const array a = {.rank = rank, .dim = dim, .count = count_of(rank, dim)};
    const double step = number(entry, "stride", 1), tolerance = number(entry, "tol", 0);
    const double fraction = number(entry, "max_fraction", 0);
    if (!(step >= 1 && step <= 1e9) || step != floor(step))
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: %s: %s: stride: wanted 1 or more, got %g", v->folder,
                        tsr_verify_name(run), output, step);
    const int64_t stride = (int64_t)step, stored = (a.count + stride - 1) / stride;
    tsr_tensor want = {0};
    status = tsr_verify_array(v, run, entry, TSR_U8, &want);
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

/* ---- a case ---- */

static tsr_status read_manifest(tsr_context *ctx, const char *folder, cJSON **manifest) {
    char path[4096];
    tsr_map map = {0};
    *manifest = NULL;
    if ((size_t)snprintf(path, sizeof path, "%s/manifest.json", folder) >= sizeof path)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a path below %zu bytes, got longer",
                        folder, sizeof path);
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    if (map.size > 64u << 20)
        status = tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                          "%s: size: wanted at most 64 MiB, got %zu bytes", path, map.size);
    else
        *manifest = cJSON_ParseWithLength((const char *)map.bytes, map.size);
    if (!status && !cJSON_IsObject(*manifest))
        status =
            tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a JSON object, got something else", path);
    tsr_map_close(&map);
    if (!status) {
        double format = number(*manifest, "format", 0);
        if (format != 1)
            status = tsr_fail(ctx, TSR_ERROR_VERSION, "%s: format: wanted 1, got %g", path, format);
        else if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*manifest, "runs")))
            status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: runs: wanted a list, got none", path);
    }
    if (status) {
        cJSON_Delete(*manifest);
        *manifest = NULL;
    }
    return status;
}

/* A case that came damaged says nothing about this build: one line for all its files. */
static tsr_status check_files(tsr_verify *v, const cJSON *manifest) {
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(manifest, "sha256"), *item;
    cJSON *run = NULL;
    int good = 0, bad = 0;
    char first[512] = "", path[4096], hex[65];
    if (!files) return TSR_OK;
    run = cJSON_CreateObject();
    if (!run || !cJSON_AddStringToObject(run, "name", "files")) {
        cJSON_Delete(run);
        return tsr_fail(v->ctx, TSR_ERROR_MEMORY, "%s/manifest.json: no memory", v->folder);
    }
    cJSON_ArrayForEach(item, files) {
        const char *want = cJSON_GetStringValue(item);
        tsr_map map = {0};
        tsr_status status = tsr_verify_path(v, run, item->string, path, sizeof path);
        if (!status) status = tsr_map_open(v->ctx, path, &map);
        if (!status) {
            tsr_sha256(map.bytes, map.size, hex);
            if (!want || strcmp(want, hex))
                status = tsr_fail(v->ctx, TSR_ERROR_CHECKSUM, "%s: SHA-256: wanted %s, got %s",
                                  item->string, want ? want : "none", hex);
            tsr_map_close(&map);
        }
        good += !status;
        if (status && bad++ == 0)
            snprintf(first, sizeof first, "; the first: %.480s", tsr_detail(v->ctx));
    }
    tsr_verify_line(v, run, "sha256", bad == 0, "%d files as written down, %d not%s", good, bad,
                    first);
    cJSON_Delete(run);
    return TSR_OK;
}

static tsr_status do_run(tsr_verify *v, const cJSON *run) {
    if (!strcmp(v->family, "pickle")) return tsr_verify_pickle(v, run);
    const char *op = NULL;
    const char *family =
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(v->manifest, "family"));
    if (family && !cJSON_HasObjectItem(run, "op")) {
        for (size_t i = 0; i < sizeof families / sizeof *families; ++i)
            if (!strcmp(family, families[i].family)) return families[i].fn(v, run);
        return tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED, "not supported by this build: family %s",
                        family);
    }
    tsr_status status = tsr_verify_text(v, run, run, "op", &op);
    for (size_t i = 0; !status && i < sizeof known / sizeof *known; ++i)
        if (!strcmp(op, known[i].op)) return known[i].fn(v, run);
    if (!status)
        status = tsr_fail(v->ctx, TSR_ERROR_UNSUPPORTED, "not supported by this build: %s of %s",
                          op, v->model);
    return status;
}

static tsr_status do_runs(tsr_verify *v, const cJSON *runs) {
    const cJSON *run;
    int lines = v->passed + v->failed;
    cJSON_ArrayForEach(run, runs) {
        tsr_status status = do_run(v, run);
        if (status == TSR_ERROR_MEMORY || status == TSR_ERROR_DEVICE_LOST) return status;
        if (status) tsr_verify_line(v, run, "", false, "%s", tsr_detail(v->ctx));
    }
    /* A case that compares nothing must not look like a success. */
    if (v->passed + v->failed == lines)
        return tsr_fail(v->ctx, TSR_ERROR_FORMAT,
                        "%s/manifest.json: runs: wanted at least one output, got none", v->folder);
    return TSR_OK;
}

tsr_status tsr_verify_case(tsr_context *ctx, const char *folder,
                           const tsr_verify_settings *settings, int *passed, int *failed) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!folder || !passed || !failed)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "verify: %s: wanted an address, got NULL",
                        folder ? "result" : "folder");
    *passed = *failed = 0;
    cJSON *manifest = NULL;
    tsr_status status = read_manifest(ctx, folder, &manifest);
    if (status) return status;
    tsr_verify v = {.ctx = ctx, .folder = folder};
    if (settings) v.settings = *settings;
    v.model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "model"));
    if (!v.model) v.model = "an unnamed model";
    v.family = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "family"));
    if (!v.family) v.family = "";
    v.id_margin = number(manifest, "id_margin", 0);
    v.manifest = manifest;
    tsr_device_settings d = tsr_device_settings_default();
    if (v.settings.device) d.name = v.settings.device;
    if (v.settings.write && mkdir(v.settings.write, 0777) && errno != EEXIST)
        status = tsr_fail_errno(ctx, "%s: making the folder", v.settings.write);
    if (!status) status = tsr_device_open(ctx, &v.device, &d);
    if (!status) status = check_files(&v, manifest);
    if (!status) status = do_runs(&v, cJSON_GetObjectItemCaseSensitive(manifest, "runs"));
    if (v.close_kept) v.close_kept(v.kept);
    tsr_device_close(&v.device);
    cJSON_Delete(manifest);
    *passed = v.passed;
    *failed = v.failed;
    return status;
}
