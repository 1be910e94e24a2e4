/* SPDX-License-Identifier: MIT */
/* Autoencoders in windows: what is planned for a memory limit, how windows are put together, and
 * how far the result is from the whole run. */
#include "nn/conv_window.h"
#include "nn/autoencoder_kl.h"
#include "compute/context.h"
#include "everywhere.h"
#include "tiny_model.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a made-up AutoencoderKL: 32, 32 and 64 channels, pictures four times as large ---- */

enum { LEVELS = 3, FACTOR = 4, Z = 4 };
static const int64_t widths[LEVELS] = {32, 32, 64};

static void add_resnet(tiny_model *m, const char *where, int64_t in, int64_t out) {
    tiny_model_norm(m, in, "%s.norm1", where);
    tiny_model_layer(m, out, in, 3, true, "%s.conv1", where);
    tiny_model_norm(m, out, "%s.norm2", where);
    tiny_model_layer(m, out, out, 3, true, "%s.conv2", where);
    if (in != out) tiny_model_layer(m, out, in, 1, true, "%s.conv_shortcut", where);
}

static void add_half(tiny_model *m, const char *half, bool decoder) {
    char where[96];
    const int64_t last = widths[LEVELS - 1];
    tiny_model_layer(m, decoder ? last : widths[0], decoder ? Z : 3, 3, true, "%s.conv_in", half);
    for (int i = 0; i < LEVELS; ++i) {
        const int level = decoder ? LEVELS - 1 - i : i;
        int64_t from = decoder ? widths[level + 1 < LEVELS ? level + 1 : level]
                               : widths[level ? level - 1 : 0];
        for (int k = 0; k < (decoder ? 2 : 1); ++k, from = widths[level]) {
            snprintf(where, sizeof where, "%s.%s.%d.resnets.%d", half,
                     decoder ? "up_blocks" : "down_blocks", i, k);
            add_resnet(m, where, from, widths[level]);
        }
        if (i + 1 < LEVELS)
            tiny_model_layer(m, widths[level], widths[level], 3, true, "%s.%s.%d.%s.0.conv", half,
                             decoder ? "up_blocks" : "down_blocks", i,
                             decoder ? "upsamplers" : "downsamplers");
    }
    for (int k = 0; k < 2; ++k) {
        snprintf(where, sizeof where, "%s.mid_block.resnets.%d", half, k);
        add_resnet(m, where, last, last);
    }
    static const char *const parts[] = {"to_q", "to_k", "to_v", "to_out.0"};
    tiny_model_norm(m, last, "%s.mid_block.attentions.0.group_norm", half);
    for (int k = 0; k < 4; ++k)
        tiny_model_layer(m, last, last, 0, true, "%s.mid_block.attentions.0.%s", half, parts[k]);
    /* random queries make the softmax nearly a choice, which a trained one is not */
    snprintf(where, sizeof where, "%s.mid_block.attentions.0.to_q.weight", half);
    for (int64_t k = 0; k < last * last; ++k)
        ((float *)tiny_model_find(m, where)->data)[k] *= 0.1f;
    tiny_model_norm(m, decoder ? widths[0] : last, "%s.conv_norm_out", half);
    tiny_model_layer(m, decoder ? 3 : 2 * Z, decoder ? widths[0] : last, 3, true, "%s.conv_out",
                     half);
}

typedef struct opened {
    tsr_context *ctx;
    tsr_device *device;
    tsr_safetensors *file;
    tsr_weights *weights;
    tsr_vae *vae;
} opened;

static opened open_vae(const char *path, uint64_t memory, int threads) {
    opened o = {0};
    tsr_context_settings s = tsr_context_settings_default();
    s.memory_limit = memory;
    s.threads = threads;
    ck_assert_int_eq(tsr_context_open(&o.ctx, &s), TSR_OK);
    tsr_device_settings d = tsr_device_settings_default();
    d.name = "cpu";
    ck_assert_int_eq(tsr_device_open(o.ctx, &o.device, &d), TSR_OK);
    ck_assert_int_eq(tsr_safetensors_open(o.ctx, path, &o.file), TSR_OK);
    ck_assert_int_eq(tsr_file_weights(o.ctx, o.file, &o.weights), TSR_OK);
    tsr_vae_config config = {0};
    ck_assert_int_eq(tsr_vae_read_shapes(o.ctx, o.weights, "", path, &config), TSR_OK);
    tsr_status status = tsr_vae_open(o.device, &config, o.weights, "", path, &o.vae);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(o.ctx));
    return o;
}

static void close_vae(opened *o) {
    tsr_vae_close(&o->vae);
    tsr_weights_close(&o->weights);
    tsr_safetensors_close(&o->file);
    tsr_device_close(&o->device);
    tsr_context_close(&o->ctx);
}

/* The greatest and the mean difference of [h, w, c], and how much more the difference changes from
 * one column to the next where it does so most than it does on the average: a seam. */
static void differences(const float *a, const float *b, int64_t h, int64_t w, int64_t c,
                        double *worst, double *mean, double *seam) {
    double sum = 0, steps = 0, most = 0;
    *worst = 0;
    for (int64_t x = 0; x < w; ++x) {
        double step = 0;
        for (int64_t y = 0; y < h; ++y)
            for (int64_t k = 0; k < c; ++k) {
                const int64_t i = (y * w + x) * c + k;
                const double d = (double)a[i] - (double)b[i];
                sum += fabs(d);
                *worst = fmax(*worst, fabs(d));
                if (x) step += fabs(d - ((double)a[i - c] - (double)b[i - c]));
            }
        most = fmax(most, step);
        steps += step / (double)(w - 1);
    }
    *mean = sum / (double)(h * w * c);
    *seam = steps > 0 ? most / steps : 0;
}

static double deviation(const float *a, int64_t n) {
    double sum = 0, square = 0;
    for (int64_t i = 0; i < n; ++i)
        sum += (double)a[i], square += (double)a[i] * (double)a[i];
    return sqrt(square / (double)n - sum / (double)n * (sum / (double)n));
}

enum { HEIGHT = 57, WIDTH = 90, PIXELS = HEIGHT * WIDTH * FACTOR * FACTOR };
static const uint64_t PLENTY = (uint64_t)1 << 30;

/* A picture of waves and some noise, as smooth and as rough as pictures are. */
static float *make_picture(void) {
    float *rgb = malloc(PIXELS * 3 * sizeof *rgb);
    ck_assert_ptr_nonnull(rgb);
    for (int y = 0; y < HEIGHT * FACTOR; ++y)
        for (int x = 0; x < WIDTH * FACTOR; ++x)
            for (int c = 0; c < 3; ++c)
                rgb[(y * WIDTH * FACTOR + x) * 3 + c] =
                    0.6f * sinf((float)x * 0.05f + (float)c) * cosf((float)y * 0.03f) +
                    0.3f * ((float)random_below(1000) / 500.0f - 1.0f);
    return rgb;
}

START_TEST(close_to_the_whole) {
    tiny_model m = {0};
    add_half(&m, "encoder", false);
    add_half(&m, "decoder", true);
    const char *path = tiny_model_write(&m, NULL, NULL);
    float *rgb = make_picture(), *mean[3], *logvar = malloc(HEIGHT * WIDTH * Z * sizeof *logvar);
    float *picture[3];
    double worst, average, seam, line = 0;
    const uint64_t limit[3] = {PLENTY, 34u << 20, 34u << 20};
    for (int i = 0; i < 3; ++i) { /* whole; windows on one and on two threads */
        mean[i] = malloc(HEIGHT * WIDTH * Z * sizeof *mean[i]);
        picture[i] = malloc(PIXELS * 3 * sizeof *picture[i]);
        ck_assert(mean[i] && picture[i] && logvar);
        opened o = open_vae(path, limit[i], i);
        tsr_status status =
            tsr_vae_encode(o.vae, rgb, 1, HEIGHT * FACTOR, WIDTH * FACTOR, mean[i], logvar, NULL);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(o.ctx));
        const size_t encode_peak = tsr_device_peak_bytes(o.device);
        status = tsr_vae_decode(o.vae, mean[0], 1, HEIGHT, WIDTH, picture[i], NULL);
        ck_assert_msg(status == TSR_OK, "%s", tsr_detail(o.ctx));
        printf("limit %llu: peak of encode %zu, of decode %zu\n", (unsigned long long)limit[i],
               encode_peak, tsr_device_peak_bytes(o.device));
        if (i) { /* the limit is kept, and not by far too much */
            ck_assert_uint_le(encode_peak, limit[i]);
            ck_assert_uint_le(tsr_device_peak_bytes(o.device), limit[i]);
            ck_assert_uint_ge(tsr_device_peak_bytes(o.device), limit[i] / 8);
        }
        close_vae(&o);
    }
    ck_assert_mem_eq(mean[1], mean[2], HEIGHT * WIDTH * Z * sizeof *logvar);
    ck_assert_mem_eq(picture[1], picture[2], PIXELS * 3 * sizeof **picture);

    const double latents = deviation(mean[0], HEIGHT * WIDTH * Z);
    double all = 0, mid = 0;
    for (int c = 0; c < Z; ++c) {
        differences(mean[1] + c * HEIGHT * WIDTH, mean[0] + c * HEIGHT * WIDTH, HEIGHT, WIDTH, 1,
                    &worst, &average, &seam);
        all = fmax(all, worst);
        mid = fmax(mid, average);
        line = fmax(line, seam);
    }
    printf("latents: worst difference %.3g, mean %.3g of a deviation, seam %.3g\n", all / latents,
           mid / latents, line);
    ck_assert_double_gt(all, 0); /* else nothing was cut */
    /* Norms and attention see less in a window than in the whole, so nothing says how far windows
     * may be off: up to 0.95, 0.085 and 1.75 with 16 seeds. A window taken one place aside is off
     * by 5 deviations or more, a strip that is left out makes a seam of 4. */
    ck_assert_double_lt(all / latents, 2);
    ck_assert_double_lt(mid / latents, 0.13);
    ck_assert_double_lt(line, 2.2);
    const double colours = deviation(picture[0], PIXELS * 3);
    differences(picture[1], picture[0], HEIGHT * FACTOR, WIDTH * FACTOR, 3, &worst, &average,
                &seam);
    printf("pictures: worst difference %.3g, mean %.3g of a deviation, seam %.3g\n",
           worst / colours, average / colours, seam);
    ck_assert_double_gt(worst, 0);
    ck_assert_double_lt(worst / colours, 4);      /* up to 2.6 with 16 seeds */
    ck_assert_double_lt(average / colours, 0.14); /* 0.095 */
    ck_assert_double_lt(seam, 2.4);               /* 1.93 */
    for (int i = 0; i < 3; ++i)
        free(mean[i]), free(picture[i]);
    free(rgb);
    free(logvar);
    tiny_model_free(&m);
}
END_TEST

START_TEST(too_small_a_limit) {
    tiny_model m = {0};
    add_half(&m, "encoder", false);
    add_half(&m, "decoder", true);
    opened o = open_vae(tiny_model_write(&m, NULL, NULL), 8u << 20, 1);
    float x;
    ck_assert_int_eq(tsr_vae_encode(o.vae, &x, 1, 1 << 14, 1 << 14, &x, NULL, NULL),
                     TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(o.ctx), "encoder: wanted memory for windows of 32x32"));
    close_vae(&o);
    tiny_model_free(&m);
}
END_TEST

/* ---- putting together ---- */

typedef struct field {
    const tsr_window_plan *plan;
    int64_t scale;
    int calls;
} field;

static float value_at(int64_t y, int64_t x, int64_t c) {
    return sinf((float)(y * 3 + c)) + cosf((float)x * 0.7f);
}

/* Right everywhere but next to cuts, where there is nothing that may be used. */
static tsr_status fill(void *user, int64_t y0, int64_t x0, float *made) {
    field *f = user;
    const int64_t s = f->scale, h = f->plan->side_y * s, w = f->plan->side_x * s;
    const int64_t edge = TSR_WINDOW_MARGIN * s;
    f->calls++;
    for (int64_t y = 0; y < h; ++y)
        for (int64_t x = 0; x < w; ++x)
            for (int64_t c = 0; c < 2; ++c) {
                const bool cut = (y < edge && y0 > 0) || (x < edge && x0 > 0) ||
                                 (y >= h - edge && y0 + f->plan->side_y < f->plan->height) ||
                                 (x >= w - edge && x0 + f->plan->side_x < f->plan->width);
                made[(y * w + x) * 2 + c] = cut ? NAN : value_at(y0 * s + y, x0 * s + x, c);
            }
    return TSR_OK;
}

START_TEST(put_together) {
    tsr_context *ctx = everywhere_context();
    static const tsr_window_plan plans[] = {
        {.height = 70, .width = 100, .side_y = 32, .side_x = 40, .rows = 4, .columns = 4},
        {.height = 33, .width = 32, .side_y = 32, .side_x = 32, .rows = 2, .columns = 1},
        {.height = 9, .width = 49, .side_y = 9, .side_x = 32, .rows = 1, .columns = 3}};
    for (int i = 0; i < 3; ++i)
        for (int64_t scale = 1; scale < 4; ++scale) {
            const int64_t h = plans[i].height * scale, w = plans[i].width * scale;
            float *out = malloc((size_t)(h * w * 2) * sizeof *out);
            ck_assert_ptr_nonnull(out);
            field f = {&plans[i], scale, 0};
            ck_assert_int_eq(tsr_window_run(ctx, &plans[i], scale, 2, out, fill, &f), TSR_OK);
            ck_assert_int_eq(f.calls, plans[i].rows * plans[i].columns);
            for (int64_t y = 0; y < h; ++y)
                for (int64_t x = 0; x < w; ++x)
                    for (int64_t c = 0; c < 2; ++c)
                        ck_assert_float_eq_tol(out[(y * w + x) * 2 + c], value_at(y, x, c), 1e-5f);
            free(out);
        }
}
END_TEST

TEST_MAIN("conv_window", put_together, close_to_the_whole, too_small_a_limit)
