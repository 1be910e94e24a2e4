/* SPDX-License-Identifier: MIT */
/* flextok_trace.c: intermediate arrays of a decoder step, for verification. */
#include "flextok_trace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(tsr_flextok_traced *t, const char *name, int64_t rows, tsr_tensor *out) {
    float *data = tsr_scratch_take(&t->memory, (size_t)(rows * t->dim), sizeof *data, "trace");
    if (!data) return;
    snprintf(t->name[t->count], sizeof t->name[0], "%s", name);
    t->data[t->count] = data;
    out[t->count++] = tsr_host_tensor(TSR_DTYPE_F32, data, 3, (int64_t[]){1, rows, t->dim});
}

tsr_status tsr_flextok_traced_open(tsr_flextok_traced *t, const tsr_flextok *m, int64_t pictures,
                                   int64_t patches, int64_t tokens, bool null, int *blocks,
                                   tsr_tensor *out) {
    t->memory = (tsr_scratch){.ctx = m->ctx};
    t->pictures = pictures;
    t->patches = patches;
    t->tokens = tokens;
    t->dim = m->config.decoder.trunk.dim;
    const int64_t all = pictures * (patches + tokens);
    /* The program makes the first four for either pass; of the second nobody asks for them. */
    const char *const first[] = {"dec.patch", "dec.patch_pos", "dec.block.0.q", "dec.block.0.k"};
    for (int i = 0; i < 4; ++i)
        add(t, null ? "" : first[i], i < 2 ? pictures * patches : all, out);
    for (int i = 0, n = 0; i < m->config.decoder.trunk.depth && n < 7; ++i) {
        char name[32];
        snprintf(name, sizeof name, null ? "dec.null.block.%d" : "dec.block.%d", i);
        if (!tsr_flextok_sees(t->trace, name)) continue;
        blocks[n++] = i;
        blocks[n] = -1;
        add(t, name, all, out);
    }
    return t->memory.status;
}

/* All patches, then all tokens: to picture by picture. */
static void sort_rows(const tsr_flextok_traced *t, const float *from, float *to) {
    const int64_t own[2] = {t->patches * t->dim, t->tokens * t->dim};
    for (int64_t b = 0; b < t->pictures; ++b)
        for (int i = 0; i < 2; ++i, to += own[i - 1])
            memcpy(to, from + (i ? t->pictures * own[0] : 0) + b * own[i],
                   (size_t)own[i] * sizeof *to);
}

void tsr_flextok_traced_close(tsr_flextok_traced *t, bool show) {
    for (int i = 0; i < t->count; ++i) {
        const bool sequence = i >= 2;
        const int64_t dim[3] = {t->pictures, t->patches + (sequence ? t->tokens : 0), t->dim};
        float *sorted = show && *t->name[i] && sequence
                            ? malloc((size_t)(dim[0] * dim[1] * dim[2]) * sizeof *sorted)
                            : NULL;
        if (sorted) sort_rows(t, t->data[i], sorted);
        if (show && *t->name[i] && (sorted || !sequence))
            t->trace->see(t->trace->user, t->name[i], sorted ? sorted : t->data[i], 3, dim);
        free(sorted);
    }
    tsr_scratch_free(&t->memory);
    t->count = 0;
}
