/* SPDX-License-Identifier: MIT */
/* conv_window.c: how large windows may be, and the picture made of them. */
#include "conv_window.h"
#include "../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- memory ---- */

/* A map's place has 4^(levels-1-i) positions at level i. What is alive at once follows from
 * conv_ae.c: a level's maps stay until it ends, a resnet's (norm, product, norm, product, shortcut)
 * until it ends, attention's five with the map they are added to. */
uint64_t tsr_window_bytes(const tsr_conv_half *h, bool decoder) {
    uint64_t peak = 0;
    const int levels = h->shape.levels;
    const int64_t *width = h->shape.width;
    for (int i = 0; i < levels; ++i) {
        const uint64_t area = (uint64_t)1 << (2 * (levels - 1 - i));
        const uint64_t out = (uint64_t)width[i];
        uint64_t held = (uint64_t)(decoder ? (i + 1 < levels ? width[i + 1] : width[i])
                                           : (i ? width[i - 1] : width[0]));
        uint64_t from = held, most = held + out + 3;
        for (int k = 0; k < h->shape.resnets; ++k, from = out) {
            const bool attends = h->level[i].resnet[k].attention.norm.weight;
            const uint64_t need = held + from + 3 * out + (from != out ? out : 0);
            held += out;
            if (need > most) most = need;
            if (attends && held + 6 * out > most) most = held + 6 * out;
            if (attends) held += 6 * out; /* not a scope of its own */
        }
        if (decoder && i && held + 4 * out > most) most = held + 4 * out;
        if (most * area > peak) peak = most * area;
    }
    const uint64_t middle = 8 * (uint64_t)width[levels - 1];
    return (middle > peak ? middle : peak) * sizeof(float);
}

/* Of the largest map, for each place. */
static uint64_t map_bytes(const tsr_conv_half *h, bool decoder) {
    uint64_t most = 0;
    for (int i = 0; i < h->shape.levels; ++i) {
        const int from = decoder && i + 1 < h->shape.levels ? i + 1 : i;
        const uint64_t wide =
            (uint64_t)(h->shape.width[from] > h->shape.width[i] ? h->shape.width[from]
                                                                : h->shape.width[i]);
        const uint64_t n = wide << (2 * (h->shape.levels - 1 - i));
        if (n > most) most = n;
    }
    return most * sizeof(float);
}

/* ---- plan ---- */

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t windows_of(int64_t whole, int64_t side) {
    const int64_t step = side - TSR_WINDOW_OVERLAP;
    return whole <= side ? 1 : (whole - TSR_WINDOW_OVERLAP + step - 1) / step;
}

/* The largest multiple of the unit that is at most `side`, or the whole. */
static int64_t trim(int64_t side, int64_t whole) {
    return side >= whole ? whole : side / TSR_WINDOW_UNIT * TSR_WINDOW_UNIT;
}

tsr_status tsr_window_plan_make(tsr_device *device, const tsr_conv_half *half, bool decoder,
                                const char *path, int64_t height, int64_t width,
                                tsr_window_plan *p) {
    tsr_context *ctx = tsr_device_context(device);
    const tsr_device_info *info = tsr_device_properties(device);
    const uint64_t each = tsr_window_bytes(half, decoder), map = map_bytes(half, decoder);
    uint64_t most = ctx->settings.memory_limit / 2;
    if (info->kind != TSR_DEVICE_CPU && info->memory_bytes / 2 < most)
        most = info->memory_bytes / 2;
    uint64_t places = most / each;
    if (info->kind != TSR_DEVICE_CPU && info->max_storage_range / map < places)
        places = info->max_storage_range / map;
    *p = (tsr_window_plan){.height = height,
                           .width = width,
                           .side_y = height,
                           .side_x = width,
                           .rows = 1,
                           .columns = 1};
    if (places >= (uint64_t)(height * width)) return TSR_OK;
    if (height <= TSR_WINDOW_LEAST && width <= TSR_WINDOW_LEAST) return TSR_OK; /* let it try */
    /* As square as the picture lets it be. */
    int64_t side = 1;
    while ((uint64_t)(side + 1) * (uint64_t)(side + 1) <= places)
        ++side;
    p->side_y = trim(least(side, height), height);
    p->side_x = p->side_y ? trim(least((int64_t)places / p->side_y, width), width) : 0;
    if (p->side_x == width && width)
        p->side_y = trim(least((int64_t)places / width, height), height);
    if (p->side_y < least(height, TSR_WINDOW_LEAST) || p->side_x < least(width, TSR_WINDOW_LEAST))
        return tsr_fail(
            ctx, TSR_ERROR_TOO_LARGE,
            "%s: %s: wanted memory for windows of %lldx%lld places, which need %llu MB, got %llu "
            "MB (half of the memory limit, or of the device)",
            path, decoder ? "decoder" : "encoder", (long long)least(width, TSR_WINDOW_LEAST),
            (long long)least(height, TSR_WINDOW_LEAST),
            (unsigned long long)(each *
                                 (uint64_t)(least(width, TSR_WINDOW_LEAST) *
                                            least(height, TSR_WINDOW_LEAST)) /
                                 1000000),
            (unsigned long long)(most / 1000000));
    p->rows = windows_of(height, p->side_y);
    p->columns = windows_of(width, p->side_x);
    return TSR_OK;
}

tsr_tile_cost tsr_window_cost(const tsr_conv_half *half, bool decoder,
                              const tsr_window_plan *plan) {
    const uint64_t places = (uint64_t)(plan->height * plan->width);
    return (tsr_tile_cost){.bytes = places * tsr_window_bytes(half, decoder),
                           .tensor_bytes = places * map_bytes(half, decoder),
                           .rows = places, /* of the smallest map */
                           .columns = (uint64_t)half->shape.width[half->shape.levels - 1],
                           .alone = tsr_window_plan_cuts(plan)};
}

/* ---- windows to a picture ---- */

static int64_t start_of(int64_t whole, int64_t side, int64_t count, int64_t i) {
    return count == 1 ? 0 : i * (whole - side) / (count - 1);
}

/* What row p of a window counts; a window's cut edges are those inside the picture. */
static float weight_of(int64_t start, int64_t side, int64_t whole, int64_t scale, int64_t p) {
    float d = 2 * TSR_WINDOW_OVERLAP;
    const float before = ((float)p + 0.5f) / (float)scale, after = (float)side - before;
    if (start > 0 && before < d) d = before;
    if (start + side < whole && after < d) d = after;
    d = (d - TSR_WINDOW_MARGIN) / TSR_WINDOW_FADE;
    return d <= 0 ? 0 : d >= 1 ? 1 : d;
}

/* sum[p]: what row p of the whole is divided by. */
static void sum_weights(int64_t whole, int64_t side, int64_t count, int64_t scale, float *sum) {
    memset(sum, 0, (size_t)(whole * scale) * sizeof *sum);
    for (int64_t i = 0; i < count; ++i) {
        const int64_t start = start_of(whole, side, count, i);
        for (int64_t p = 0; p < side * scale; ++p)
            sum[start * scale + p] += weight_of(start, side, whole, scale, p);
    }
}

static void add(const tsr_window_plan *w, int64_t scale, int64_t channels, int64_t y0, int64_t x0,
                const float *sum_y, const float *sum_x, const float *made, float *out) {
    for (int64_t y = 0; y < w->side_y * scale; ++y) {
        const int64_t row = y0 * scale + y;
        const float wy = weight_of(y0, w->side_y, w->height, scale, y) / sum_y[row];
        if (wy == 0) continue;
        for (int64_t x = 0; x < w->side_x * scale; ++x) {
            const int64_t column = x0 * scale + x;
            const float f = wy * (weight_of(x0, w->side_x, w->width, scale, x) / sum_x[column]);
            if (f == 0) continue;
            const float *from = made + (y * w->side_x * scale + x) * channels;
            float *to = out + (row * w->width * scale + column) * channels;
            for (int64_t c = 0; c < channels; ++c)
                to[c] += f * from[c];
        }
    }
}

void tsr_window_name(const tsr_window_plan *plan, int64_t scale, const char *base, char text[64]) {
    char name[41];
    snprintf(name, sizeof name, "%s", base);
    if (tsr_window_plan_cuts(plan))
        snprintf(text, 64, "%s/window-%lldx%lld", name, (long long)(plan->side_x * scale),
                 (long long)(plan->side_y * scale));
    else
        memmove(text, base, strnlen(base, 63) + 1);
}

tsr_status tsr_window_run(tsr_context *ctx, const tsr_window_plan *w, int64_t scale,
                          int64_t channels, float *out, tsr_window_fn fn, void *user) {
    const int64_t rows = w->height * scale, columns = w->width * scale;
    tsr_scratch s = {.ctx = ctx};
    float *made = tsr_scratch_take(&s, (size_t)(w->side_y * w->side_x * scale * scale * channels),
                                   sizeof *made, "windows: one of them");
    float *sums = tsr_scratch_take(&s, (size_t)(rows + columns), sizeof *sums, "windows: weights");
    tsr_status status = s.status;
    if (!status) {
        sum_weights(w->height, w->side_y, w->rows, scale, sums);
        sum_weights(w->width, w->side_x, w->columns, scale, sums + rows);
        memset(out, 0, (size_t)(rows * columns * channels) * sizeof *out);
    }
    for (int64_t i = 0; i < w->rows && !status; ++i)
        for (int64_t k = 0; k < w->columns && !status; ++k) {
            const int64_t y = start_of(w->height, w->side_y, w->rows, i);
            const int64_t x = start_of(w->width, w->side_x, w->columns, k);
            tsr_log(ctx, TSR_LOG_INFO, "window %lld of %lld: %lldx%lld places at %lld,%lld",
                    (long long)(i * w->columns + k + 1), (long long)(w->rows * w->columns),
                    (long long)w->side_x, (long long)w->side_y, (long long)x, (long long)y);
            status = fn(user, y, x, made);
            if (!status) add(w, scale, channels, y, x, sums, sums + rows, made, out);
        }
    tsr_scratch_free(&s);
    return status;
}
