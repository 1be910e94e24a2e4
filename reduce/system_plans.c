/* SPDX-License-Identifier: MIT */
/* system_plans.c: what whole systems decide in numbers: how many tokens each layer of a language
 * model sees and what that costs, clips under a budget, a first look at a quarter of the pixels,
 * what streams of tokens weigh, which tokens stand at equal distance. */
#include "operator.h"

#include <math.h>
#include <stdlib.h>

/* The list `name` of whole numbers. NULL after a failure. */
static const double *read_whole(tsr_operation *o, const char *name, int *count) {
    const double *list = tsr_operation_list(o, name, count);
    for (int i = 0; i < *count && !o->status; ++i)
        if (list[i] != floor(list[i]))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "%s: wanted whole numbers, got %g", name,
                               list[i]);
    return o->status ? NULL : list;
}
static int64_t ceil_divide(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

/* ---- layer-schedule ---- */

/* Multiply-adds of a layer over n tokens, as FastV counts them: four projections, scores and
 * values, two matrices of the feed-forward network. */
static double layer_work(double n, double width, double ffn) {
    return 4 * n * width * width + 2 * n * n * width + 2 * n * width * ffn;
}

static void layer_schedule(tsr_operation *o) {
    int phases = 0, spans = 0;
    const double *count = read_whole(o, "counts", &phases), *span = read_whole(o, "layers", &spans);
    const double width = tsr_operation_number(o, "width"), ffn = tsr_operation_number(o, "ffn"),
                 text = tsr_operation_number(o, "text");
    if (!o->status && spans != 1 && spans != phases)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "layers: wanted one number or one for each of %d counts, got %d", phases,
                           spans);
    int64_t layers = 0;
    for (int p = 0; p < phases && !o->status; ++p)
        layers += (int64_t)span[spans == 1 ? 0 : p];
    if (layers > 65536)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "layers: wanted at most 65536 in all, got %lld",
                           (long long)layers);
    const double full = tsr_operation_has(o, "full") ? tsr_operation_number(o, "full")
                        : o->status                  ? 0
                                                     : count[0];
    int32_t *tokens = tsr_operation_take(o, layers, sizeof *tokens, "layers");
    if (o->status) return;
    double sum = 0, work = 0;
    int64_t l = 0;
    for (int p = 0; p < phases; ++p)
        for (int i = 0; i < (int)span[spans == 1 ? 0 : p]; ++i) {
            tokens[l++] = (int32_t)count[p];
            sum += count[p];
            work += layer_work(count[p] + text, width, ffn);
        }
    const double mean = sum / (double)layers,
                 share = work / ((double)layers * layer_work(full + text, width, ffn)),
                 kv = 2 * width * (sum + text * (double)layers),
                 kv_share = kv / (2 * width * (full + text) * (double)layers);
    tsr_operation_trace_i32(o, "tokens_of_layer", tokens, layers);
    tsr_operation_trace_f64(o, "mean_tokens", &mean, 1);
    tsr_operation_trace_f64(o, "multiply_adds", &work, 1);
    tsr_operation_trace_f64(o, "share_of_full", &share, 1);
    tsr_operation_trace_f64(o, "kv_values", &kv, 1);
    tsr_operation_trace_f64(o, "kv_share_of_full", &kv_share, 1);
}

const tsr_operator tsr_operator_layer_schedule = {
    .info = {.name = "layer-schedule",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says what a language model saves when its layers see fewer visual tokens",
             .formula =
                 "layer l sees n_l visual tokens; work = sum over l of 4 n d^2 + 2 n^2 d + 2 "
                 "n d m with n = n_l + text, d width, m ffn; keys and values = sum of 2 n d; "
                 "shares are of `full` tokens in every layer",
             .source =
                 "schedules of VisionDrop, TransPrune, ToDRE, ATP-LLaVA, LVLM_CSP, FLASH; the "
                 "count of work is FastV's",
             .differs = "a gated feed-forward network has three matrices: give 1.5 times its width",
             .cost = "one step for each layer",
             .columns = NULL},
    .parameters = {{"counts", TSR_PARAMETER_LIST, NULL, 0, 2147483647, NULL,
                    "visual tokens of each phase: 576+360+72"},
                   {"layers", TSR_PARAMETER_LIST, "8", 1, 65536, NULL,
                    "layers of each phase, or of all"},
                   {"full", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL,
                    "tokens without the schedule; the first count without it"},
                   {"text", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "tokens of text, which all layers see"},
                   {"width", TSR_PARAMETER_INTEGER, "4096", 1, 1 << 20, NULL, "d, channels"},
                   {"ffn", TSR_PARAMETER_INTEGER, "11008", 1, 1 << 24, NULL,
                    "m, channels inside the feed-forward network"}},
    .apply = layer_schedule,
};

/* ---- clip-plan ---- */

static int ascending(const void *a, const void *b) {
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Clips around sorted anchors, joined where they touch: begin and end [count]. */
static int64_t grow(const int32_t *anchor, int64_t count, int64_t length, int64_t frames,
                    int32_t *begin, int32_t *end) {
    int64_t clips = 0;
    for (int64_t i = 0; i < count; ++i) {
        int64_t from = anchor[i] - length / 2;
        if (from > frames - length) from = frames - length;
        if (from < 0) from = 0;
        const int64_t to = from + length < frames ? from + length : frames;
        if (clips && from <= end[clips - 1]) {
            if (to > end[clips - 1]) end[clips - 1] = (int32_t)to;
            continue;
        }
        begin[clips] = (int32_t)from;
        end[clips++] = (int32_t)to;
    }
    return clips;
}

static void clip_plan(tsr_operation *o) {
    int count = 0;
    const double *list = read_whole(o, "anchors", &count);
    const int64_t frames = tsr_operation_integer(o, "frames"),
                  length = tsr_operation_integer(o, "length"), h = tsr_operation_integer(o, "rows"),
                  w = tsr_operation_integer(o, "columns"),
                  budget = tsr_operation_integer(o, "budget");
    int32_t *anchor = tsr_operation_take(o, count, sizeof *anchor, "anchors"),
            *begin = tsr_operation_take(o, count, sizeof *begin, "clips"),
            *end = tsr_operation_take(o, count, sizeof *end, "clips");
    for (int i = 0; i < count && !o->status; ++i) {
        if (list[i] >= (double)frames)
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "anchors: wanted frames below %lld, got %.10g", (long long)frames,
                               list[i]);
        else
            anchor[i] = (int32_t)list[i];
    }
    if (o->status) return;
    qsort(anchor, (size_t)count, sizeof *anchor, ascending);
    const int64_t clips = grow(anchor, count, length, frames, begin, end);
    int64_t taken = 0, side = 1;
    for (int64_t i = 0; i < clips; ++i)
        taken += end[i] - begin[i];
    if (taken > budget) {
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "budget: wanted at least a token for each of %lld frames, got %lld",
                           (long long)taken, (long long)budget);
        return;
    }
    while (ceil_divide(h, side) * ceil_divide(w, side) > budget / taken)
        ++side;
    const int32_t answer[4] = {(int32_t)ceil_divide(h, side), (int32_t)ceil_divide(w, side),
                               (int32_t)side,
                               (int32_t)(taken * ceil_divide(h, side) * ceil_divide(w, side))};
    tsr_operation_trace_i32(o, "begin", begin, clips);
    tsr_operation_trace_i32(o, "end", end, clips);
    tsr_operation_trace_i32(o, "rows", &answer[0], 1);
    tsr_operation_trace_i32(o, "columns", &answer[1], 1);
    tsr_operation_trace_i32(o, "window", &answer[2], 1);
    tsr_operation_trace_i32(o, "tokens", &answer[3], 1);
}

const tsr_operator tsr_operator_clip_plan = {
    .info = {.name = "clip-plan",
             .kind = TSR_OPERATOR_PLAN,
             .about = "grows chosen frames to clips and says how far their frames must be pooled",
             .formula = "clip of anchor a: `length` frames from a - floor(length / 2), moved into "
                        "the video; clips that touch are one; then the smallest window s with "
                        "frames * ceil(rows / s) * ceil(columns / s) <= budget",
             .source = "in the manner of F2C, whose code is not public; anchors come from "
                       "query-relevance and score-diverse",
             .differs = NULL,
             .cost = "anchors log anchors",
             .columns = NULL},
    .parameters =
        {{"frames", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "frames of the video"},
         {"anchors", TSR_PARAMETER_LIST, NULL, 0, 2147483647, NULL, "chosen frames: 12+90+400"},
         {"length", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "frames of a clip"},
         {"rows", TSR_PARAMETER_INTEGER, "24", 1, 4096, NULL, "rows of a frame's tokens"},
         {"columns", TSR_PARAMETER_INTEGER, "24", 1, 4096, NULL, "columns of a frame's tokens"},
         {"budget", TSR_PARAMETER_INTEGER, NULL, 1, 2147483647, NULL, "most tokens in all"}},
    .apply = clip_plan,
};

/* ---- quarter-pass ---- */

static void quarter_pass(tsr_operation *o) {
    int count = 0;
    const double *side = read_whole(o, "sizes", &count);
    const int64_t cell = tsr_operation_integer(o, "patch") * tsr_operation_integer(o, "merge"),
                  n = count / 2;
    int32_t *first = tsr_operation_take(o, count, sizeof *first, "sizes");
    double *few = tsr_operation_take(o, n, sizeof *few, "tokens"),
           *all = tsr_operation_take(o, n, sizeof *all, "tokens"),
           *both = tsr_operation_take(o, n, sizeof *both, "tokens");
    if (!o->status && (count % 2 || !count))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "sizes: wanted a width and a height for each picture, got %d numbers",
                           count);
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t w = (int64_t)side[2 * i], h = (int64_t)side[2 * i + 1];
        first[2 * i] = (int32_t)ceil_divide(w, 2);
        first[2 * i + 1] = (int32_t)ceil_divide(h, 2);
        few[i] = (double)(ceil_divide(first[2 * i], cell) * ceil_divide(first[2 * i + 1], cell));
        all[i] = (double)(ceil_divide(w, cell) * ceil_divide(h, cell));
        both[i] = few[i] + all[i];
    }
    tsr_operation_trace(o, "first", TSR_ARRAY_I32, 2, (int64_t[]){n, 2}, first);
    tsr_operation_trace_f64(o, "tokens_first", few, n);
    tsr_operation_trace_f64(o, "tokens_full", all, n);
    tsr_operation_trace_f64(o, "tokens_when_asked_again", both, n);
}

const tsr_operator tsr_operator_quarter_pass = {
    .info = {.name = "quarter-pass",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says what a first look at a quarter of the pixels costs",
             .formula = "first = half of each side, rounded up; tokens = ceil(w / (patch merge)) "
                        "ceil(h / (patch merge)); who asks for the full picture pays for both",
             .source =
                 "VisionThink (dvlab-research/VisionThink): the size, not the decision, which "
                 "is the model's",
             .differs = NULL,
             .cost = "constant for each picture",
             .columns = NULL},
    .parameters = {{"sizes", TSR_PARAMETER_LIST, NULL, 1, 1 << 24, NULL,
                    "width and height of each picture, pixels: 640+480+1024+768"},
                   {"patch", TSR_PARAMETER_INTEGER, "14", 1, 1024, NULL, "side of a patch, pixels"},
                   {"merge", TSR_PARAMETER_INTEGER, "2", 1, 64, NULL,
                    "patches of a token along a side"}},
    .apply = quarter_pass,
};

/* ---- token-account ---- */

static double bits_of(double codes) {
    double bits = 0;
    while (exp2(bits) < codes)
        ++bits;
    return bits;
}

static void token_account(tsr_operation *o) {
    int streams = 0, books = 0;
    const double *tokens = read_whole(o, "tokens", &streams),
                 *codes = read_whole(o, "codes", &books);
    double *bits = tsr_operation_take(o, streams, sizeof *bits, "streams"),
           *bytes = tsr_operation_take(o, streams, sizeof *bytes, "streams"),
           *share = tsr_operation_take(o, streams, sizeof *share, "streams"),
           *of_last = tsr_operation_take(o, streams, sizeof *of_last, "streams");
    const double book = (double)tsr_operation_integer(o, "codebook_rows") *
                        (double)tsr_operation_integer(o, "codebook_channels") *
                        (double)tsr_operation_integer(o, "codebook_bits") / 8;
    if (!o->status && books != 1 && books != streams)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "codes: wanted one number or one for each of %d streams, got %d",
                           streams, books);
    if (o->status) return;
    double all = 0, sum = ceil(book);
    for (int i = 0; i < streams; ++i)
        all += tokens[i];
    for (int i = 0; i < streams; ++i) {
        bits[i] = tokens[i] * bits_of(codes[books == 1 ? 0 : i]);
        bytes[i] = ceil(bits[i] / 8);
        share[i] = all > 0 ? tokens[i] / all : 0;
        of_last[i] = tokens[streams - 1] > 0 ? tokens[i] / tokens[streams - 1] : 0;
        sum += bytes[i];
    }
    const double codebook = ceil(book);
    tsr_operation_trace_f64(o, "bits", bits, streams);
    tsr_operation_trace_f64(o, "bytes", bytes, streams);
    tsr_operation_trace_f64(o, "share_of_tokens", share, streams);
    tsr_operation_trace_f64(o, "tokens_of_last", of_last, streams);
    tsr_operation_trace_f64(o, "codebook_bytes", &codebook, 1);
    tsr_operation_trace_f64(o, "total_bytes", &sum, 1);
    if (!tsr_operation_has(o, "pixels")) return;
    const double per_pixel = 8 * sum / tsr_operation_number(o, "pixels");
    tsr_operation_trace_f64(o, "bits_per_pixel", &per_pixel, 1);
}

const tsr_operator tsr_operator_token_account = {
    .info = {.name = "token-account",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says what streams of ids weigh, with the codebook that goes along",
             .formula = "bits = tokens * ceil(log2 codes); bytes rounded up for each stream; the "
                        "codebook costs rows * channels * bits / 8; tokens_of_last compares with "
                        "the last stream",
             .source = "Bridge (81 semantic ids before 1,024 pixel ids), VQToken (a map and a "
                       "codebook for each clip), SEED, LaVIT, KARL",
             .differs = "VQToken's share of tokens leaves the map out; here map and codebook count",
             .cost = "constant for each stream",
             .columns = NULL},
    .parameters = {{"tokens", TSR_PARAMETER_LIST, NULL, 0, 1e15, NULL, "ids of each stream"},
                   {"codes", TSR_PARAMETER_LIST, NULL, 1, 1e15, NULL,
                    "size of each codebook, or of all"},
                   {"codebook_rows", TSR_PARAMETER_INTEGER, "0", 0, 2147483647, NULL,
                    "rows of a codebook that is stored along"},
                   {"codebook_channels", TSR_PARAMETER_INTEGER, "0", 0, 1 << 24, NULL,
                    "channels of its rows"},
                   {"codebook_bits", TSR_PARAMETER_INTEGER, "16", 1, 64, NULL,
                    "bits of its numbers"},
                   {"pixels", TSR_PARAMETER_NUMBER, NULL, 1, 1e15, NULL,
                    "pixels that the streams stand for"}},
    .apply = token_account,
};

/* ---- equal-distance ---- */

static void equal_distance(tsr_operation *o) {
    const int64_t before = tsr_operation_integer(o, "before"),
                  visual = tsr_operation_integer(o, "visual"),
                  after = tsr_operation_integer(o, "after"), n = before + visual + after;
    int32_t *group = tsr_operation_take(o, n, sizeof *group, "tokens"),
            *position = tsr_operation_take(o, n, sizeof *position, "tokens"),
            *distance = tsr_operation_take(o, n, sizeof *distance, "tokens");
    if (o->status) return;
    for (int64_t i = 0; i < n; ++i) {
        group[i] = i >= before && i < before + visual;
        position[i] = (int32_t)i;
        distance[i] = group[i] ? 0 : (int32_t)(n - 1 - i);
    }
    tsr_operation_trace_i32(o, "group", group, n);
    tsr_operation_trace_i32(o, "position", position, n);
    tsr_operation_trace_i32(o, "distance_from_last", distance, n);
    tsr_operation_trace(o, "rotary_between_groups", TSR_ARRAY_I32, 2, (int64_t[]){2, 2},
                        (int32_t[]){1, 0, 0, 1});
}

const tsr_operator tsr_operator_equal_distance = {
    .info = {.name = "equal-distance",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says which tokens see each other without a relative position",
             .formula = "group is 1 for visual tokens, 0 for text; rotary position enters a score "
                        "only where query and key are of one group, so that a text token stands at "
                        "distance 0 from every visual token",
             .source = "in the manner of Vista-LLaMA, whose code is not public",
             .differs = NULL,
             .cost = "one step for each token",
             .columns = NULL},
    .parameters = {{"before", TSR_PARAMETER_INTEGER, "0", 0, 1 << 24, NULL,
                    "text tokens before the visual ones"},
                   {"visual", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 24, NULL, "visual tokens"},
                   {"after", TSR_PARAMETER_INTEGER, "1", 1, 1 << 24, NULL,
                    "text tokens behind them"}},
    .apply = equal_distance,
};
