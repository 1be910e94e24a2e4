/* SPDX-License-Identifier: MIT */
/* tiny_model.c: see tiny_model.h. */
#include "tiny_model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "everywhere.h"
#include "formats/weights/safetensors.h"

static void add(tiny_model *m, float scale, float offset, int rank, const int64_t *dim,
                const char *name, const char *end) {
    ck_assert_int_lt(m->count, TINY_MODEL_TENSORS);
    tsr_tensor *t = &m->tensor[m->count];
    *t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    const int64_t n = tsr_elements(t);
    float *data = malloc((size_t)n * sizeof *data);
    ck_assert_ptr_nonnull(data);
    for (int64_t i = 0; i < n; ++i)
        data[i] = offset + random_uniform(-scale, scale);
    t->data = data;
    ck_assert_int_ge(asprintf(&m->name[m->count++], "%s%s", name, end), 0);
}

#define FORMAT_NAME(name, format)                                                                  \
    char name[256];                                                                                \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    vsnprintf(name, sizeof name, format, args);                                                    \
    va_end(args)

void tiny_model_add(tiny_model *m, float scale, float offset, int rank, const int64_t *dim,
                    const char *format, ...) {
    FORMAT_NAME(name, format);
    add(m, scale, offset, rank, dim, name, "");
}

void tiny_model_layer(tiny_model *m, int64_t out, int64_t in, int kernel, bool bias,
                      const char *format, ...) {
    FORMAT_NAME(name, format);
    const int64_t dim[4] = {out, in, kernel, kernel};
    const float fan = (float)(in * (kernel ? kernel * kernel : 1));
    add(m, sqrtf(3 / fan), 0, kernel ? 4 : 2, dim, name, ".weight");
    if (bias) add(m, 0.1f, 0, 1, &out, name, ".bias");
}

void tiny_model_norm(tiny_model *m, int64_t n, const char *format, ...) {
    FORMAT_NAME(name, format);
    add(m, 0.2f, 1, 1, &n, name, ".weight");
    add(m, 0.1f, 0, 1, &n, name, ".bias");
}

static int index_of(tiny_model *m, const char *name) {
    for (int i = 0; i < m->count; ++i)
        if (!strcmp(m->name[i], name)) return i;
    ck_abort_msg("the test's model has no tensor %s", name);
    return -1;
}

tsr_tensor *tiny_model_find(tiny_model *m, const char *name) {
    return &m->tensor[index_of(m, name)];
}

void tiny_model_remove(tiny_model *m, const char *name) {
    const int i = index_of(m, name);
    free(m->name[i]);
    free(m->tensor[i].data);
    m->count--;
    m->name[i] = m->name[m->count];
    m->tensor[i] = m->tensor[m->count];
}

const char *tiny_model_write(tiny_model *m, const char *key, const char *value) {
    tsr_context *ctx = everywhere_context();
    if (!*m->path) {
        snprintf(m->path, sizeof m->path, "/tmp/tessera-model-XXXXXX");
        const int fd = mkstemp(m->path);
        ck_assert_int_ge(fd, 0);
        close(fd);
    }
    const tsr_metadata_pair pair = {key, value};
    const tsr_status status =
        tsr_safetensors_write(ctx, m->path, (const char *const *)m->name, m->tensor, m->count,
                              key ? &pair : NULL, key ? 1 : 0);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
    return m->path;
}

void tiny_model_free(tiny_model *m) {
    if (*m->path) unlink(m->path);
    for (int i = 0; i < m->count; ++i) {
        free(m->name[i]);
        free(m->tensor[i].data);
    }
    *m = (tiny_model){0};
}
