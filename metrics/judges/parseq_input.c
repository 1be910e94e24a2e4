/* SPDX-License-Identifier: MIT */
/* parseq_input.c: a crop of any size to what PARSeq takes, and its classes to letters. */
#include "parseq.h"
#include "../../compute/arena.h"
#include "../../formats/utf8.h"

#include <math.h>
#include <string.h>

/* Triangle filter around the middle of output `at`; weight has room for 2 * scale + 3. Returns the
 * first tap. */
static int make_taps(int in, int out, int at, double *weight, int *count) {
    const double scale = (double)in / out, support = scale > 1 ? scale : 1;
    const double centre = (at + .5) * scale;
    int first = (int)(centre - support + .5), end = (int)(centre + support + .5);
    double sum = 0;
    if (first < 0) first = 0;
    if (end > in) end = in;
    for (int i = first; i < end; ++i) {
        const double x = fabs((i - centre + .5) / support);
        sum += weight[i - first] = x < 1 ? 1 - x : 0;
    }
    *count = end - first;
    for (int i = 0; i < *count; ++i)
        weight[i] /= sum;
    return first;
}

tsr_status tsr_parseq_prepare(tsr_context *ctx, const uint8_t *rgb, int width, int height,
                              float *prepared) {
    static const float mean[3] = {.694f, .695f, .693f}, deviation[3] = {.299f, .296f, .301f};
    enum { H = TSR_PARSEQ_HEIGHT, W = TSR_PARSEQ_WIDTH };
    const double ratio = (double)height / width;
    int w = W, h = H, count;
    if (ratio > .25 && (w = (int)(H / ratio)) < 1) w = 1;
    if (ratio < .25 && (h = (int)(W * ratio)) < 1) h = 1;
    tsr_scratch s = {.ctx = ctx};
    const size_t longest = (size_t)(width > height ? width : height) * 2 + 4;
    double *weight = tsr_scratch_take(&s, longest, sizeof *weight, "crop");
    float *narrow = tsr_scratch_take(&s, (size_t)height * (size_t)w * 3, sizeof *narrow, "crop");
    for (int x = 0; x < w && !s.status; ++x) {
        const int first = make_taps(width, w, x, weight, &count);
        for (int y = 0; y < height; ++y)
            for (int c = 0; c < 3; ++c) {
                double sum = 0;
                for (int i = 0; i < count; ++i)
                    sum += weight[i] *
                           (rgb[((size_t)y * (size_t)width + (size_t)(first + i)) * 3 + (size_t)c] /
                            255.0);
                narrow[((size_t)y * (size_t)w + (size_t)x) * 3 + (size_t)c] = (float)sum;
            }
    }
    for (int y = 0; y < H && !s.status; ++y) {
        const int first = y < h ? make_taps(height, h, y, weight, &count) : 0;
        for (int x = 0; x < W; ++x)
            for (int c = 0; c < 3; ++c) {
                double sum = 0; /* outside: zeros, which are normalised, too */
                for (int i = 0; i < count && x < w && y < h; ++i)
                    sum +=
                        weight[i] *
                        (double)
                            narrow[((size_t)(first + i) * (size_t)w + (size_t)x) * 3 + (size_t)c];
                prepared[(c * H + y) * W + x] = ((float)sum - mean[c]) / deviation[c];
            }
    }
    const tsr_status status = s.status;
    tsr_scratch_free(&s);
    return status;
}

void tsr_parseq_text(const float *logits, int positions, tsr_reading *reading) {
    size_t bytes = 0;
    double sum = 0;
    int kept = 0;
    for (; kept < positions; ++kept, logits += TSR_PARSEQ_CLASSES) {
        int best = 0;
        double all = 0;
        for (int i = 1; i < TSR_PARSEQ_CLASSES; ++i)
            if (logits[i] > logits[best]) best = i;
        if (best == TSR_PARSEQ_LETTERS) break; /* the end */
        for (int i = 0; i < TSR_PARSEQ_CLASSES; ++i)
            all += exp((double)logits[i] - (double)logits[best]);
        sum += 1 / all;
        if (bytes + 5 < sizeof reading->text)
            bytes += tsr_utf8_put(tsr_french_letters[best], reading->text + bytes);
    }
    reading->text[bytes] = '\0';
    reading->confidence = kept ? sum / kept : 0;
}
