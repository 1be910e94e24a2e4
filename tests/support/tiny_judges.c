/* SPDX-License-Identifier: MIT */
/* tiny_judges.c: see tiny_judges.h. */
#include "tiny_judges.h"

#include <math.h>
#include <string.h>

#include "metrics/judges/i3d.h"
#include "metrics/judges/inception.h"

static void fire(tiny_model *m, int number, int in, int squeeze, int out) {
    tiny_model_layer(m, squeeze, in, 1, true, "features.%d.squeeze", number);
    tiny_model_layer(m, out / 2, squeeze, 1, true, "features.%d.expand1x1", number);
    tiny_model_layer(m, out / 2, squeeze, 3, true, "features.%d.expand3x3", number);
}

void tiny_squeeze(tiny_model *m) {
    static const int channels[7] = {64, 128, 256, 384, 384, 512, 512};
    *m = (tiny_model){0};
    tiny_model_layer(m, 64, 3, 3, true, "features.0");
    fire(m, 3, 64, 16, 128);
    fire(m, 4, 128, 16, 128);
    fire(m, 6, 128, 32, 256);
    fire(m, 7, 256, 32, 256);
    fire(m, 9, 256, 48, 384);
    fire(m, 10, 384, 48, 384);
    fire(m, 11, 384, 64, 512);
    fire(m, 12, 512, 64, 512);
    for (int i = 0; i < 7; ++i)
        tiny_model_add(m, 0.1f, 0.1f, 4, (int64_t[]){1, channels[i], 1, 1}, "lin%d.model.1.weight",
                       i);
}

static bool ends_in(const char *text, const char *end) {
    const size_t n = strlen(text), k = strlen(end);
    return n >= k && !strcmp(text + n - k, end);
}

/* A tensor that a family's list names: kernels keep the size of what they take, a norm is near the
 * identity. */
static tsr_status make(void *user, const char *name, int rank, const int64_t *dim,
                       tsr_weight **where) {
    static tsr_weight made; /* the list looks at it until the next one */
    int64_t fan = 1;
    for (int i = 1; i < rank; ++i)
        fan *= dim[i];
    const bool near_one = rank == 1 && !ends_in(name, "bias") && !ends_in(name, "mean");
    tiny_model_add(user, rank == 1 ? 0.1f : sqrtf(6 / (float)fan), near_one, rank, dim, "%s", name);
    made = (tsr_weight){.tensor = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim), .name = name};
    *where = &made;
    return TSR_OK;
}

static void list(tiny_model *m, void (*names)(const tsr_model_source *, tsr_weight_loader *)) {
    tsr_context *ctx = NULL;
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    *m = (tiny_model){0};
    const tsr_model_source source = {.ctx = ctx, .path = "made up"};
    tsr_weight_loader l = {.ctx = ctx, .path = "made up", .fn = make, .user = m};
    names(&source, &l);
    ck_assert_int_eq(l.status, TSR_OK);
    tsr_context_close(&ctx);
}

void tiny_inception(tiny_model *m) {
    list(m, tsr_inception_list);
}

void tiny_i3d(tiny_model *m) {
    list(m, tsr_i3d_list);
}
