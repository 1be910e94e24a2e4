/* SPDX-License-Identifier: MIT */
/* placing.c: other positions for the same tokens. */
#include "operator.h"

static void keep_all(tsr_operation *o) {
    int32_t *all = tsr_operation_take(o, o->in->count, sizeof *all, "tokens");
    for (int64_t i = 0; i < o->in->count && all; ++i)
        all[i] = (int32_t)i;
    tsr_operation_keep(o, all, o->in->count);
}

/* ---- scale-positions ---- */

static void scale_positions(tsr_operation *o) {
    const int64_t n = o->in->count;
    const double scale[3] = {tsr_operation_number(o, "frames"), tsr_operation_number(o, "rows"),
                             tsr_operation_number(o, "columns")};
    float *place = tsr_operation_take(o, 3 * n, sizeof *place, "positions");
    keep_all(o);
    for (int64_t i = 0; i < 3 * n && !o->status; ++i)
        place[i] = (float)((double)o->in->positions[i] * scale[i % 3]);
    tsr_operation_place(o, place);
}

const tsr_operator tsr_operator_scale_positions = {
    .info = {.name = "scale-positions",
             .kind = TSR_OPERATOR_ORDER,
             .about = "multiplies positions, so that more tokens fit into the range of a model",
             .formula = "position[axis] = position[axis] * factor of the axis",
             .source = "in the manner of Visual Context Window (a factor of their own for visual "
                       "tokens); V2PE's stride / 256 is variable-positions",
             .differs = NULL,
             .cost = "3 N multiplications",
             .columns = NULL},
    .parameters = {{"frames", TSR_PARAMETER_NUMBER, "1", 0, 1e9, NULL, "factor of frames"},
                   {"rows", TSR_PARAMETER_NUMBER, "1", 0, 1e9, NULL, "factor of rows"},
                   {"columns", TSR_PARAMETER_NUMBER, "1", 0, 1e9, NULL, "factor of columns"}},
    .apply = scale_positions,
};

/* ---- time-of-tokens ---- */

static void time_of_tokens(tsr_operation *o) {
    const int64_t n = o->in->count;
    const double fps = tsr_operation_number(o, "fps"), start = tsr_operation_number(o, "start");
    float *seconds = tsr_operation_take(o, n, sizeof *seconds, "seconds");
    keep_all(o);
    for (int64_t i = 0; i < n && !o->status; ++i)
        seconds[i] = (float)(start + (double)o->in->positions[3 * i] / fps);
    tsr_operation_attach(o, "seconds", TSR_ARRAY_F32, TSR_TOKEN_AXIS_FIRST, 1, &n, seconds);
    tsr_operation_trace_f32(o, "seconds", seconds, n);
}

const tsr_operator tsr_operator_time_of_tokens = {
    .info = {.name = "time-of-tokens",
             .kind = TSR_OPERATOR_ORDER,
             .about = "gives each token its time, which every later operator keeps or averages",
             .formula = "seconds = start + frame / fps, the column \"seconds\"",
             .source = "QTSplus (absolute time of each kept token)",
             .differs = NULL,
             .cost = "N divisions",
             .columns = NULL},
    .parameters = {{"fps", TSR_PARAMETER_NUMBER, NULL, 1e-6, 1e6, NULL,
                    "frames a second of the token grid"},
                   {"start", TSR_PARAMETER_NUMBER, "0", -1e9, 1e9, NULL, "time of frame 0"}},
    .apply = time_of_tokens,
};
