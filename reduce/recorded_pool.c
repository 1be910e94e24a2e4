/* SPDX-License-Identifier: MIT */
/* recorded_pool.c: the low frequencies of a grid on a device: a small constant matrix for each
 * axis. Windows are recorded in pool.c, beside the rules of where they lie. */
#include "frequency.h"
#include "recorded.h"

#include <math.h>

/* Along the rows of x [count, n], a matrix [m, n]: [count, m]. */
static tsr_tensor *along_rows(tsr_recorded *x, tsr_tensor *rows, const float *matrix, int64_t m) {
    const int64_t count = tsr_rows(rows), n = tsr_cols(rows);
    tsr_tensor *b = tsr_constant(x->run, TSR_DTYPE_F32, 3, (int64_t[]){1, m, n}, matrix);
    tsr_tensor *y = tsr_attention_scores(
        x->run, tsr_reshape(x->run, rows, 3, (int64_t[]){1, count, n}), b, 1, 1);
    return tsr_reshape(x->run, y, 2, (int64_t[]){count, m});
}

/* x [frames, H, W, D] -> [frames h w, D]. */
static tsr_tensor *low_pass(tsr_recorded *x, const int64_t from[3], const int64_t to[2],
                            const float *rows, const float *columns) {
    const int64_t frames = from[0], d = x->channels;
    tsr_run *r = x->run;
    tsr_tensor *t = tsr_reshape(r, x->features, 3, (int64_t[]){frames, from[1], from[2] * d});
    t = tsr_transpose(r, t); /* [frames, W D, H] */
    t = along_rows(x, tsr_reshape(r, t, 2, (int64_t[]){frames * from[2] * d, from[1]}), rows,
                   to[0]);
    t = tsr_transpose(r, tsr_reshape(r, t, 3, (int64_t[]){frames, from[2] * d, to[0]}));
    t = tsr_reshape(r, t, 3, (int64_t[]){frames * to[0], from[2], d});
    t = tsr_transpose(r, t); /* [frames h, D, W] */
    t = along_rows(x, tsr_reshape(r, t, 2, (int64_t[]){frames * to[0] * d, from[2]}), columns,
                   to[1]);
    t = tsr_transpose(r, tsr_reshape(r, t, 3, (int64_t[]){frames * to[0], d, to[1]}));
    return tsr_reshape(r, t, 2, (int64_t[]){frames * to[0] * to[1], d});
}

void tsr_record_dct_lowpass(tsr_recorded *x) {
    const int64_t *from = x->grid;
    int count = 0;
    const double *size = tsr_operation_list(x->o, "size", &count);
    if (!from[0] || count != 2 || tsr_operation_is(x->o, "method", "fftw")) tsr_recorded_decline(x);
    for (int i = 0; i < 2 && !x->declined; ++i)
        if (size[i] != floor(size[i]) || size[i] > (double)from[i + 1]) tsr_recorded_decline(x);
    if (x->declined) return;
    const int64_t to[3] = {from[0], (int64_t)size[0], (int64_t)size[1]};
    const double gain = tsr_operation_is(x->o, "gain", "preserve")
                            ? sqrt((double)(to[1] * to[2]) / (double)(from[1] * from[2]))
                            : 1;
    const float *rows = tsr_low_pass_matrix(x->o, to[1], from[1], gain);
    const float *columns = tsr_low_pass_matrix(x->o, to[2], from[2], 1);
    int32_t *map = tsr_operation_take(x->o, x->count, sizeof *map, "map");
    if (x->o->status) {
        tsr_recorded_decline(x);
        return;
    }
    for (int64_t i = 0; i < x->count; ++i) { /* every token stands for its share of the grid */
        const int64_t column = i % from[2], row = i / from[2] % from[1], t = i / from[2] / from[1];
        map[i] = (int32_t)((t * to[1] + row * to[1] / from[1]) * to[2] + column * to[2] / from[2]);
    }
    tsr_recorded_replace(x, map, low_pass(x, from, to + 1, rows, columns), to);
}
