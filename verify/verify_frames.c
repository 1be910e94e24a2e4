/* SPDX-License-Identifier: MIT */
/* verify_frames.c: golden cases of frame selection and of sizes: every run is put to the operator
 * that plans it. */
#include "../formats/file.h"
#include "verify.h"

#include <tessera/media.h>
#include <tessera/reduce.h>

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const cJSON *field(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* An operation that is written piece by piece; what does not fit fails the run. */
typedef struct operation {
    char text[4096];
    size_t length;
} operation;

static void TSR_PRINTF(3, 4) write_text(tsr_verify *v, operation *op, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(op->text + op->length, sizeof op->text - op->length, format, list);
    va_end(list);
    if (n < 0 || (size_t)n >= sizeof op->text - op->length)
        tsr_verify_refuse(v, "wanted a run of an operation below %zu bytes, got a longer one",
                          sizeof op->text);
    else
        op->length += (size_t)n;
}
/* ",<parameter>=<number>" where the run has the field. */
static void write_number(tsr_verify *v, operation *op, const char *parameter, const char *name) {
    const cJSON *item = field(v->run, name);
    if (cJSON_IsNumber(item)) write_text(v, op, ",%s=%.17g", parameter, item->valuedouble);
}
static void write_list(tsr_verify *v, operation *op, const char *parameter, const char *name) {
    const cJSON *item;
    const char *between = "";
    write_text(v, op, ",%s=", parameter);
    cJSON_ArrayForEach(item, field(v->run, name)) {
        write_text(v, op, "%s%.17g", between, item->valuedouble);
        between = "+";
    }
}

/* Asks for a plan; a run that is `refused` must be, and then there is no answer. */
static tsr_token_set *ask(tsr_verify *v, const operation *op) {
    tsr_token_set *made = NULL;
    if (v->status) return NULL;
    const tsr_status status = tsr_operator_plan(v->ctx, op->text, &made);
    if (!cJSON_IsTrue(field(v->run, "refused"))) {
        v->status = status;
        return made;
    }
    tsr_verify_line(v, "refused", status == TSR_ERROR_ARGUMENT, "%s",
                    status ? tsr_detail(v->ctx) : "an answer");
    tsr_token_set_close(&made);
    return NULL;
}

/* ---- frames ---- */

/* Number of places in which a list of the manifest differs from got [n], counted from `at`. */
static int64_t differ_from(const cJSON *list, const int32_t *got, int64_t n, int64_t at) {
    int64_t differ = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        differ += at < 0 || at >= n || item->valuedouble != got[at];
        ++at;
    }
    return differ;
}

static void compare_indices(tsr_verify *v, const tsr_token_set *made) {
    const tsr_token_array a = tsr_token_set_trace(made, "indices");
    const cJSON *head = field(v->run, "indices_head"), *tail = field(v->run, "indices_tail"),
                *all = field(v->run, "indices");
    const int64_t n = a.dim[0], want = head ? (int64_t)tsr_verify_number(v->run, "count", -1)
                                            : cJSON_GetArraySize(all);
    if (!a.name || a.type != TSR_ARRAY_I32) {
        tsr_verify_refuse(v, "indices: wanted them in the plan's answer, got none");
        return;
    }
    int64_t differ = differ_from(head ? head : all, a.data, n, 0);
    if (head) {
        differ += differ_from(tail, a.data, n, n - cJSON_GetArraySize(tail));
        differ += tsr_verify_hash(v, v->run, "indices_fnv1a64") !=
                  tsr_verify_fnv(a.data, (size_t)n * sizeof(int32_t));
    }
    if (!v->status)
        tsr_verify_line(v, "indices", n == want && !differ,
                        "wanted %lld frames, got %lld; %lld differ", (long long)want, (long long)n,
                        (long long)differ);
}

/* A fraction "1001/2500" of the run in units of the time base, which must divide it. */
static double in_units(tsr_verify *v, const char *name, long long up, long long down) {
    long long a = 0, b = 1;
    const char *text = tsr_verify_text(v, v->run, name);
    if (!v->status && sscanf(text, "%lld/%lld", &a, &b) < 1)
        tsr_verify_refuse(v, "%s: wanted a fraction, got \"%s\"", name, text);
    if (!v->status && (b < 1 || a * down % (b * up)))
        tsr_verify_refuse(v, "%s: wanted a multiple of the time base, got \"%s\"", name, text);
    return v->status ? 0 : (double)(a * down / (b * up));
}

/* End of the last frame by the duration that the file stores, which FFmpeg goes by: that of the
 * clip's own case beside this one, or `otherwise` where there is none. */
static double stored_end(tsr_verify *v, double otherwise) {
    char path[4096];
    tsr_map map = {0};
    const char *clip = tsr_verify_text(v, v->run, "clip"), *name = strrchr(clip, '/');
    const cJSON *pts = field(v->run, "pts");
    if (v->status || !name || strstr(clip, "..")) return otherwise;
    if ((size_t)snprintf(path, sizeof path, "%s/../../video-in/%.*s/manifest.json", v->folder,
                         (int)(name - clip), clip) >= sizeof path ||
        tsr_map_open(v->ctx, path, &map))
        return otherwise;
    cJSON *manifest = cJSON_ParseWithLength((const char *)map.bytes, map.size);
    const cJSON *durations = field(tsr_verify_entry(manifest, "runs", name + 1), "durations");
    if (cJSON_IsArray(durations))
        durations = cJSON_GetArrayItem(durations, cJSON_GetArraySize(durations) - 1);
    if (cJSON_IsNumber(durations) && cJSON_GetArraySize(pts))
        otherwise = cJSON_GetArrayItem(pts, cJSON_GetArraySize(pts) - 1)->valuedouble +
                    durations->valuedouble;
    cJSON_Delete(manifest);
    tsr_map_close(&map);
    return otherwise;
}

static void write_times(tsr_verify *v, operation *op, const char *rule) {
    long long up = 0, down = 0;
    const char *base = tsr_verify_text(v, v->run, "time_base");
    if (!v->status && sscanf(base, "%lld/%lld", &up, &down) != 2)
        tsr_verify_refuse(v, "time_base: wanted a fraction, got \"%s\"", base);
    if (v->status) return;
    double end = in_units(v, "end", up, down);
    if (strcmp(rule, "time-hold") != 0) end = stored_end(v, end);
    write_text(v, op, "frame-times:rule=%s,base=%lld+%lld,end=%.17g", rule, up, down, end);
    write_number(v, op, "rate", "rate");
    write_list(v, op, "pts", "pts");
}

/* Key frames are read from the clip, which is part of another family of cases. */
static void compare_key_frames(tsr_verify *v) {
    char path[4096];
    const char *clip = tsr_verify_text(v, v->run, "clip");
    const tsr_frame_choice choice = {.rule = TSR_FRAMES_KEYS};
    const cJSON *list = field(v->run, "indices");
    tsr_frames *frames = NULL;
    const tsr_video_frame *frame = NULL;
    const tsr_frame_pick *pick = NULL;
    int32_t count = 0, differ = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/../../video-in/%s", v->folder, clip) >=
            sizeof path ||
        strstr(clip, ".."))
        tsr_verify_refuse(v, "clip: wanted a file of ../video-in, got \"%s\"", clip);
    if (v->status) return;
    tsr_status s = tsr_frames_open(v->ctx, path, NULL, &choice, NULL, NULL, &frames);
    while (!s && !(s = tsr_frames_next(frames, &frame, &pick)) && frame) {
        const cJSON *item = cJSON_GetArrayItem(list, count++);
        differ += !cJSON_IsNumber(item) || item->valuedouble != (double)pick->index;
    }
    tsr_frames_close(&frames);
    if (s == TSR_ERROR_UNSUPPORTED)
        tsr_verify_leave_out(v, "indices", "this build was made without what reads the clip");
    else if (s)
        v->status = s;
    else
        tsr_verify_line(v, "indices", !differ && count == cJSON_GetArraySize(list),
                        "wanted %d key frames, got %d; %d differ", cJSON_GetArraySize(list), count,
                        differ);
}

void tsr_verify_frame_select(tsr_verify *v) {
    const char *rule = tsr_verify_text(v, v->run, "rule");
    operation op = {{0}, 0};
    if (v->status) return;
    if (!strcmp(rule, "key-frames")) {
        compare_key_frames(v);
        return;
    }
    if (!strcmp(rule, "time-hold") || !strncmp(rule, "ffmpeg-fps-", 11))
        write_times(v, &op, rule);
    else if (!strcmp(rule, "scene-change")) {
        write_text(v, &op, "frame-marks:rule=scene-change");
        write_number(v, &op, "threshold", "threshold");
        write_list(v, &op, "values", "scores");
    } else {
        const bool qwen = !strncmp(rule, "qwen-", 5);
        write_text(v, &op, "frame-select:rule=%s", rule);
        write_number(v, &op, "n", "n");
        if (!qwen) write_number(v, &op, "frames", "frames"); /* Qwen's are part of the answer */
        write_number(v, &op, "frames", "ask_nframes");
        write_number(v, &op, "frames", "ask_num_frames");
        write_number(v, &op, "fps", "fps");
        write_number(v, &op, "rate", "ask_fps");
        write_number(v, &op, "rate", "sample_fps");
        if (qwen && !field(v->run, "ask_fps")) write_text(v, &op, ",rate=2");
        write_number(v, &op, "least", "ask_min_frames");
        write_number(v, &op, "least", "min_frames");
        write_number(v, &op, "most", "ask_max_frames");
        write_number(v, &op, "most", "max_frames");
        write_number(v, &op, "most", "cap");
        write_number(v, &op, "patch", "temporal_patch_size");
        write_number(v, &op, "step", "step");
        write_number(v, &op, "clips", "clips");
        write_number(v, &op, "gap", "gap");
    }
    tsr_token_set *made = ask(v, &op);
    if (made) compare_indices(v, made);
    tsr_token_set_close(&made);
}

/* ---- sizes ---- */

/* Compares [height, width] of the run with the plan's width and height. */
static void compare_size(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_array a = tsr_token_set_trace(made, "resized");
    int want[2] = {0};
    tsr_verify_integers(v, v->run, name, want, 2, 2);
    const int32_t *got = a.data;
    if (!a.name) tsr_verify_refuse(v, "resized: wanted it in the plan's answer, got none");
    if (!v->status)
        tsr_verify_line(v, name, got[1] == want[0] && got[0] == want[1],
                        "wanted %d x %d, got %d x %d", want[1], want[0], (int)got[0], (int)got[1]);
}
static void compare_number(tsr_verify *v, const char *name, const tsr_token_set *made) {
    const tsr_token_array a = tsr_token_set_trace(made, name);
    const double want = tsr_verify_number(v->run, name, -1);
    if (!a.name || a.type != TSR_ARRAY_F64)
        tsr_verify_refuse(v, "%s: wanted it in the plan's answer, got none", name);
    if (!v->status)
        tsr_verify_line(v, name, *(const double *)a.data == want, "wanted %.10g, got %.10g", want,
                        *(const double *)a.data);
}

/* Writes the size of the run and what both kinds of run say of bounds. */
static void write_size(tsr_verify *v, operation *op, const char *name) {
    write_text(v, op, "%s:sizes=%.17g+%.17g", name, tsr_verify_number(v->run, "width", 0),
               tsr_verify_number(v->run, "height", 0));
    write_number(v, op, "factor", "factor");
    write_number(v, op, "min", "min_pixels");
}

void tsr_verify_smart_resize(tsr_verify *v) {
    operation op = {{0}, 0};
    write_size(v, &op, "smart-resize");
    write_number(v, &op, "max", "max_pixels");
    tsr_token_set *made = ask(v, &op);
    if (made) {
        compare_size(v, "resized", made);
        compare_number(v, "tokens", made);
    }
    tsr_token_set_close(&made);
    if (!field(v->run, "qwen_vl_utils_0_0_14")) return;
    write_text(v, &op, ",variant=qwen-vl-utils");
    made = ask(v, &op);
    if (made) compare_size(v, "qwen_vl_utils_0_0_14", made);
    tsr_token_set_close(&made);
}

void tsr_verify_video_budget(tsr_verify *v) {
    operation op = {{0}, 0};
    write_size(v, &op, "video-budget");
    write_number(v, &op, "frames", "frames");
    write_number(v, &op, "max", "frame_max_pixels");
    write_number(v, &op, "total", "total_pixels");
    write_text(v, &op, ",variant=qwen-vl-utils");
    tsr_token_set *made = ask(v, &op);
    if (made) {
        compare_number(v, "max_pixels", made);
        compare_size(v, "resized", made);
        compare_number(v, "tokens", made);
    }
    tsr_token_set_close(&made);
}
