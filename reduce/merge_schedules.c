/* SPDX-License-Identifier: MIT */
/* merge_schedules.c: how many tokens remain after each layer of a model that merges as it goes. */
#include "halving.h"
#include "operator.h"

#include <math.h>

enum { MOST_LAYERS = 4096 };

/* Tokens before the first layer and after each of `layers`, when r pairs merge in each: written to
 * the trace as "counts". counts [layers + 1], or NULL after a failure. */
static const int32_t *trace_counts(tsr_operation *o, int64_t tokens, int64_t r, int64_t layers,
                                   int64_t protected_tokens) {
    int32_t *counts = tsr_operation_take(o, layers + 1, sizeof *counts, "counts");
    if (o->status) return NULL;
    counts[0] = (int32_t)tokens;
    for (int64_t i = 0; i < layers; ++i) {
        const int64_t room = (counts[i] - protected_tokens) / 2;
        counts[i + 1] = (int32_t)(counts[i] - (r < room ? r : room));
    }
    tsr_operation_trace_i32(o, "counts", counts, layers + 1);
    return counts;
}

static void trace_number(tsr_operation *o, const char *name, int64_t x) {
    const int32_t number = (int32_t)x;
    tsr_operation_trace_i32(o, name, &number, 1);
}

/* Whole patches of the picture. */
static int64_t patches(tsr_operation *o) {
    const int64_t height = tsr_operation_integer(o, "height"),
                  width = tsr_operation_integer(o, "width"),
                  patch = tsr_operation_integer(o, "patch");
    if (o->status) return 0;
    const int64_t n = (height / patch) * (width / patch);
    if (n < 1 || n >= INT32_MAX)
        tsr_operation_fail(
            o, TSR_ERROR_ARGUMENT,
            "wanted a picture of 1 patch or more, below 2^31, got %lld x %lld pixels",
            (long long)height, (long long)width);
    return n;
}

static int64_t one_r(tsr_operation *o) {
    int count = 0;
    const double *r = tsr_operation_list(o, "r", &count);
    if (!o->status && (count != 1 || *r != floor(*r)))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "r: wanted one whole number, got %d", count);
    return o->status ? 0 : (int64_t)*r;
}

static void tinychart(tsr_operation *o) {
    const int64_t layers = tsr_operation_integer(o, "layers"), tokens = patches(o), r = one_r(o);
    const int32_t *counts = trace_counts(o, tokens, r, layers, 0);
    if (counts) trace_number(o, "removed", tokens - counts[layers]);
}

/* Features are taken before the last layer, so that its merge does not count. */
static void auroracap(tsr_operation *o) {
    const int64_t layers = tsr_operation_integer(o, "layers"),
                  class_token = tsr_operation_is(o, "class_token", "yes"), tokens = patches(o);
    const double keep = tsr_operation_number(o, "keep");
    const int64_t r = o->status ? 0 : (int64_t)((double)tokens * (1 - keep) / (double)layers);
    const int32_t *counts = trace_counts(o, tokens + class_token, r, layers, class_token);
    if (!counts) return;
    const int64_t used = counts[layers - 1] - class_token;
    const double share = (double)used / (double)tokens;
    trace_number(o, "r", r);
    trace_number(o, "used_tokens_without_class", used);
    tsr_operation_trace_f64(o, "used_share", &share, 1);
}

static void parse_r(tsr_operation *o) {
    const int64_t layers = tsr_operation_integer(o, "layers");
    int count = 0;
    const double *r = tsr_operation_list(o, "r", &count),
                 inflection = tsr_operation_number(o, "inflection");
    int32_t *list = tsr_operation_take(o, layers, sizeof *list, "layers");
    if (!o->status && count > layers)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "r: wanted at most one number for each of %lld layers, got %d",
                           (long long)layers, count);
    if (o->status) return;
    const double first = floor(*r * (1 - inflection)), last = 2 * *r - first;
    const double step = layers > 1 ? (last - first) / (double)(layers - 1) : 0;
    for (int64_t i = 0; i < layers; ++i)
        list[i] = (int32_t)(count == 1 ? first + step * (double)i : i < count ? r[i] : 0);
    tsr_operation_trace_i32(o, "r_per_layer", list, layers);
}

static void bvllm(tsr_operation *o) {
    const int64_t frames = tsr_operation_integer(o, "frames"),
                  tokens = tsr_operation_integer(o, "tokens"),
                  budget = tsr_operation_integer(o, "budget");
    if (o->status) return;
    const int64_t target =
        (int64_t)fmax(1, (double)(budget / tokens) / (double)frames * (double)tokens);
    int32_t counts[64];
    int n = 1;
    counts[0] = (int32_t)tokens;
    for (int64_t r; (r = tsr_halving_step(counts[n - 1], target)) > 0; ++n)
        counts[n] = (int32_t)(counts[n - 1] - r);
    trace_number(o, "per_frame", target);
    tsr_operation_trace_i32(o, "counts", counts, n);
    trace_number(o, "total", frames * counts[n - 1]);
}

static void merge_schedules(tsr_operation *o) {
    static const struct {
        const char *name;
        void (*answer)(tsr_operation *o);
    } rules[] = {
        {"tinychart", tinychart}, {"auroracap", auroracap}, {"parse_r", parse_r}, {"bvllm", bvllm}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; ++i)
        if (tsr_operation_is(o, "rule", rules[i].name)) rules[i].answer(o);
}

const tsr_operator tsr_operator_merge_schedules = {
    .info =
        {.name = "merge-schedules",
         .kind = TSR_OPERATOR_PLAN,
         .about = "says how many tokens remain after each layer of a model that merges tokens",
         .formula =
             "each layer: t becomes t - min(r, floor((t - protected) / 2)). tinychart: r in every "
             "layer. auroracap: r = floor(patches * (1 - keep) / layers), the class token is "
             "protected, features come from the last layer but one. parse_r: r for each layer, "
             "from "
             "a list, or from floor(r * (1 - inflection)) to its mirror at 2 r. bvllm: halved "
             "while "
             "half is above floor(max(1, floor(budget / tokens) / frames * tokens)), then merged "
             "to it",
         .source =
             "TinyChart (X-PLUG/mPLUG-DocOwl @ f91a768), AuroraCap (rese1f/aurora @ 2bf68d5), "
             "ToMe (facebookresearch/ToMe @ af95e4b, parse_r), B-VLLM (zhuqiangLu/B-VLLM @ "
             "51ccbf0)",
         .differs = "The counts are the published ones; used_share is the share that is really "
                    "reached, which for AuroraCap is above `keep`, since r is rounded down and the "
                    "last layer's merge is not used",
         .cost = "one step for each layer",
         .columns = NULL},
    .parameters =
        {{"rule", TSR_PARAMETER_CHOICE, NULL, 0, 0, "tinychart|auroracap|parse_r|bvllm",
          "whose schedule"},
         {"height", TSR_PARAMETER_INTEGER, "768", 1, 1 << 24, NULL, "of the picture, pixels"},
         {"width", TSR_PARAMETER_INTEGER, "768", 1, 1 << 24, NULL, "of the picture, pixels"},
         {"patch", TSR_PARAMETER_INTEGER, "14", 1, 1 << 14, NULL, "side of a patch, pixels"},
         {"layers", TSR_PARAMETER_INTEGER, "26", 1, MOST_LAYERS, NULL, "layers that merge"},
         {"r", TSR_PARAMETER_LIST, "84", 0, 1 << 30, NULL,
          "pairs that merge in a layer; parse_r: one for each layer, the rest 0"},
         {"keep", TSR_PARAMETER_NUMBER, "0.3", 0, 1, NULL, "auroracap: share asked for"},
         {"class_token", TSR_PARAMETER_CHOICE, "yes", 0, 0, "yes|no",
          "auroracap: a token stands before the patches"},
         {"inflection", TSR_PARAMETER_NUMBER, "0", -1, 1, NULL,
          "parse_r with one r: -1 falls to 0 over the layers, 1 rises from it"},
         {"frames", TSR_PARAMETER_INTEGER, "1", 1, 1 << 20, NULL, "bvllm: frames that are left"},
         {"tokens", TSR_PARAMETER_INTEGER, "32", 1, 1 << 20, NULL, "bvllm: tokens of a frame"},
         {"budget", TSR_PARAMETER_INTEGER, "576", 1, 1 << 30, NULL, "bvllm: tokens of all frames"}},
    .apply = merge_schedules,
};
