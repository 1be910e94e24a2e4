/* SPDX-License-Identifier: MIT */
/* picture_sizes.c: to which size a picture or a frame is resized so that it becomes a whole number
 * of tokens within bounds. */
#include "operator.h"

#include <math.h>
#include <string.h>

typedef struct size {
    double h, w;
} size;

static double floor_to(double x, double f) {
    return floor(x / f) * f;
}
static double ceil_to(double x, double f) {
    return ceil(x / f) * f;
}
static double round_to(double x, double f) { /* halves to even */
    return nearbyint(x / f) * f;
}

enum { MOST_ASPECT = 200 };

/* The test uses rounded sides, beta the original ones; a side that rounds to 0 is caught by the
 * lower bound. `vl_utils` is the order of the package qwen-vl-utils, which keeps sides from 0
 * before it looks at the bounds, and not behind the upper one. */
static size resize(size in, double f, double least, double most, bool vl_utils) {
    size s = {round_to(in.h, f), round_to(in.w, f)};
    if (vl_utils) s = (size){fmax(f, s.h), fmax(f, s.w)};
    if (s.h * s.w > most) {
        const double beta = sqrt(in.h * in.w / most);
        s = (size){floor_to(in.h / beta, f), floor_to(in.w / beta, f)};
        if (!vl_utils) s = (size){fmax(f, s.h), fmax(f, s.w)};
    } else if (s.h * s.w < least) {
        const double beta = sqrt(least / (in.h * in.w));
        s = (size){ceil_to(in.h * beta, f), ceil_to(in.w * beta, f)};
    }
    return s;
}

/* Writes sizes, resized sizes and tokens of all pictures to the trace; tokens are counted for one
 * picture times `repeat`. */
static void resize_all(tsr_operation *o, double least, double most, double repeat, bool vl_utils) {
    int count = 0;
    const double *side = tsr_operation_list(o, "sizes", &count);
    const double f = (double)tsr_operation_integer(o, "factor");
    const int64_t n = count / 2;
    int32_t *given = tsr_operation_take(o, count, sizeof *given, "sizes");
    int32_t *resized = tsr_operation_take(o, count, sizeof *resized, "sizes");
    double *tokens = tsr_operation_take(o, n, sizeof *tokens, "tokens");
    if (!o->status && (count % 2 || !count))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "sizes: wanted a width and a height for each picture, got %d numbers",
                           count);
    if (!o->status && most < least)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "max: wanted at least min, %.10g, got %.10g",
                           least, most);
    for (int64_t i = 0; i < n && !o->status; ++i) {
        const size in = {side[2 * i + 1], side[2 * i]};
        if (in.h != floor(in.h) || in.w != floor(in.w))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT, "sizes: wanted whole numbers, got %gx%g",
                               in.w, in.h);
        if (fmax(in.h, in.w) > MOST_ASPECT * fmin(in.h, in.w))
            tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                               "sizes: wanted sides within 1 to %d of each other, got %gx%g",
                               MOST_ASPECT, in.w, in.h);
        const size s = resize(in, f, least, most, vl_utils);
        given[2 * i] = (int32_t)in.w;
        given[2 * i + 1] = (int32_t)in.h;
        resized[2 * i] = (int32_t)s.w;
        resized[2 * i + 1] = (int32_t)s.h;
        tokens[i] = s.h * s.w / (f * f) * repeat;
    }
    if (o->status) return;
    tsr_operation_trace(o, "size", TSR_ARRAY_I32, 2, (int64_t[]){n, 2}, given);
    tsr_operation_trace(o, "resized", TSR_ARRAY_I32, 2, (int64_t[]){n, 2}, resized);
    tsr_operation_trace_f64(o, "tokens", tokens, n);
}

#define SIZES                                                                                      \
    {                                                                                              \
        "sizes", TSR_PARAMETER_LIST, NULL, 1, 1 << 24, NULL,                                       \
            "width and height of each picture, pixels: 640+480+1024+768"                           \
    }
#define FACTOR                                                                                     \
    { "factor", TSR_PARAMETER_INTEGER, "28", 1, 4096, NULL, "pixels of a token along a side" }
#define VARIANT                                                                                    \
    {                                                                                              \
        "variant", TSR_PARAMETER_CHOICE, "transformers", 0, 0, "transformers|qwen-vl-utils",       \
            "whose order of bounds"                                                                \
    }

static void smart_resize(tsr_operation *o) {
    resize_all(o, tsr_operation_number(o, "min"), tsr_operation_number(o, "max"), 1,
               tsr_operation_is(o, "variant", "qwen-vl-utils"));
}

const tsr_operator tsr_operator_smart_resize = {
    .info = {.name = "smart-resize",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says to which size pictures are resized so that tokens fill them",
             .formula = "h' = round(h/f) f, w' = round(w/f) f, halves to even; h'w' > max: sides "
                        "floor(side/beta/f) f, at least f, beta = sqrt(hw/max); else h'w' < min: "
                        "sides ceil(side beta/f) f, beta = sqrt(min/hw); tokens = h'w'/f^2. Sides "
                        "more than 200 to 1 are refused",
             .source = "smart_resize of transformers 5.24 and of qwen-vl-utils 0.0.14",
             .differs =
                 "qwen-vl-utils lifts rounded sides to f before it looks at the bounds, and "
                 "not behind max, so that a side can become 0; variant=qwen-vl-utils does so",
             .cost = "constant for each picture",
             .columns = NULL},
    .parameters = {SIZES,
                   FACTOR,
                   {"min", TSR_PARAMETER_NUMBER, "3136", 1, 1e12, NULL, "fewest pixels"},
                   {"max", TSR_PARAMETER_NUMBER, "12845056", 1, 1e12, NULL, "most pixels"},
                   VARIANT},
    .apply = smart_resize,
};

static void video_budget(tsr_operation *o) {
    const double frames = (double)tsr_operation_integer(o, "frames"),
                 least = tsr_operation_number(o, "min"), total = tsr_operation_number(o, "total");
    const double most =
        fmax(fmin(tsr_operation_number(o, "max"), total / frames * 2), floor(least * 1.05));
    resize_all(o, least, most, ceil(frames / 2), tsr_operation_is(o, "variant", "qwen-vl-utils"));
    tsr_operation_trace_f64(o, "max_pixels", &most, 1);
}

const tsr_operator tsr_operator_video_budget = {
    .info = {.name = "video-budget",
             .kind = TSR_OPERATOR_PLAN,
             .about = "says to which size the frames of a video are resized within a budget",
             .formula =
                 "most pixels of a frame = max(min(max, total / frames * 2), int(1.05 min)); "
                 "then smart-resize; tokens = ceil(frames / 2) h'w'/f^2, since two frames "
                 "are a token",
             .source = "qwen-vl-utils 0.0.14; its total is 0.9 * 128,000 tokens",
             .differs = NULL,
             .cost = "constant",
             .columns = NULL},
    .parameters = {SIZES,
                   {"frames", TSR_PARAMETER_INTEGER, NULL, 1, 1 << 24, NULL, "frames taken"},
                   FACTOR,
                   {"min", TSR_PARAMETER_NUMBER, "100352", 1, 1e12, NULL,
                    "fewest pixels of a frame"},
                   {"max", TSR_PARAMETER_NUMBER, "602112", 1, 1e12, NULL, "most pixels of a frame"},
                   {"total", TSR_PARAMETER_NUMBER, "90316800", 1, 1e15, NULL,
                    "pixels of all frames"},
                   VARIANT},
    .apply = video_budget,
};
