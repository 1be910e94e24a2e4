/* SPDX-License-Identifier: MIT */
/* verify_case.c: a golden case: its manifest, its files, its runs one by one. */
#include "verify.h"
#include "../formats/arrays/npy.h"
#include "../formats/sha256.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* By the "op" of a run, or by the "family" of the case where its runs have none. */
typedef struct topic {
    const char *name;
    tsr_verify_run_fn fn;
} topic;
static const topic ops[] = {
#define TSR_VERIFY_OP(name, topic) {name, tsr_verify_##topic},
#define TSR_VERIFY_FAMILY(name, topic)
#include "cases.def"
#undef TSR_VERIFY_OP
#undef TSR_VERIFY_FAMILY
};
static const topic families[] = {
#define TSR_VERIFY_OP(name, topic)
#define TSR_VERIFY_FAMILY(name, topic) {name, tsr_verify_##topic},
#include "cases.def"
#undef TSR_VERIFY_OP
#undef TSR_VERIFY_FAMILY
};

/* Whether a manifest is that of a token operator, whose runs are its "cases". */
static bool is_operator(const cJSON *manifest) {
    const char *format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "format"));
    return format && !strcmp(format, "golden-operator/1");
}

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
        const char *list = is_operator(*manifest) ? "cases" : "runs";
        double format = tsr_verify_number(*manifest, "format", 0);
        if (format != 1 && !is_operator(*manifest))
            status = tsr_fail(ctx, TSR_ERROR_VERSION, "%s: format: wanted 1, got %g", path, format);
        else if (!cJSON_IsArray(cJSON_GetObjectItemCaseSensitive(*manifest, list)))
            status = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted a list, got none", path, list);
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
    v->run = run;
    cJSON_ArrayForEach(item, files) {
        const char *want = cJSON_GetStringValue(item);
        tsr_map map = {0};
        v->status = TSR_OK;
        tsr_verify_path(v, item->string, path, sizeof path);
        if (!v->status) v->status = tsr_map_open(v->ctx, path, &map);
        if (!v->status) {
            v->status = tsr_sha256_of(v->ctx, map.bytes, map.size, hex);
            if (!v->status && (!want || strcmp(want, hex)))
                tsr_verify_fail(v, TSR_ERROR_CHECKSUM, "%s: SHA-256: wanted %s, got %s",
                                item->string, want ? want : "none", hex);
            tsr_map_close(&map);
        }
        good += !v->status;
        if (v->status && bad++ == 0)
            snprintf(first, sizeof first, "; the first: %.480s", tsr_detail(v->ctx));
    }
    v->status = TSR_OK;
    tsr_verify_line(v, "sha256", bad == 0, "%d files as written down, %d not%s", good, bad, first);
    v->run = NULL;
    cJSON_Delete(run);
    return TSR_OK;
}

static tsr_verify_run_fn find(const topic *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; ++i)
        if (!strcmp(name, list[i].name)) return list[i].fn;
    return NULL;
}

static void do_run(tsr_verify *v) {
    if (*v->family && !cJSON_HasObjectItem(v->run, "op")) {
        const tsr_verify_run_fn fn = find(families, sizeof families / sizeof *families, v->family);
        if (fn)
            fn(v);
        else
            tsr_verify_fail(v, TSR_ERROR_UNSUPPORTED, "not supported by this build: family %s",
                            v->family);
        return;
    }
    const char *op = tsr_verify_text(v, v->run, "op");
    const tsr_verify_run_fn fn = find(ops, sizeof ops / sizeof *ops, op);
    if (fn)
        fn(v);
    else
        tsr_verify_fail(v, TSR_ERROR_UNSUPPORTED, "not supported by this build: %s of %s", op,
                        v->model);
}

static tsr_status do_runs(tsr_verify *v, const cJSON *runs) {
    const int lines = v->passed + v->failed;
    cJSON_ArrayForEach(v->run, runs) {
        do_run(v);
        tsr_verify_run_end(v);
        const tsr_status status = v->status;
        v->status = TSR_OK;
        if (status == TSR_ERROR_MEMORY || status == TSR_ERROR_DEVICE_LOST) return status;
        if (status) tsr_verify_line(v, "", false, "%s", tsr_detail(v->ctx));
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
    tsr_verify v = {.ctx = ctx, .folder = folder, .scratch = {.ctx = ctx}};
    if (settings) v.settings = *settings;
    v.model = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "model"));
    if (!v.model) v.model = "an unnamed model";
    v.family = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(manifest, "family"));
    if (!v.family) v.family = is_operator(manifest) ? "operator" : "";
    v.id_margin = tsr_verify_number(manifest, "id_margin", 0);
    v.manifest = manifest;
    tsr_device_settings d = tsr_device_settings_default();
    if (v.settings.device) d.name = v.settings.device;
    d.mask = v.settings.mask;
    d.precision = v.settings.precision;
    if (v.settings.write && mkdir(v.settings.write, 0777) && errno != EEXIST)
        status = tsr_fail_errno(ctx, "%s: making the folder", v.settings.write);
    if (!status) status = tsr_device_open(ctx, &v.device, &d);
    if (!status) status = check_files(&v, manifest);
    if (!status)
        status = do_runs(&v, cJSON_GetObjectItemCaseSensitive(
                                 manifest, is_operator(manifest) ? "cases" : "runs"));
    tsr_verify_model_close(&v);
    tsr_device_close(&v.device);
    cJSON_Delete(manifest);
    *passed = v.passed;
    *failed = v.failed;
    return status;
}
