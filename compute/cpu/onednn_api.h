/* SPDX-License-Identifier: MIT */
/* onednn_api.h: what the files that call oneDNN share: its C API's 2.x and 3.x under one set of
 * names, the number of threads of a call, and the copying of weights into a primitive's layout.
 * Only onednn*.c include it. */
#ifndef COMPUTE_ONEDNN_API_H
#define COMPUTE_ONEDNN_API_H

#include "../tensor.h"

#include <dnnl.h>
#include <stdint.h>
#include <stdlib.h>

/* Debian's build runs on OpenMP. These two set and read the calling thread's own number. They are
 * declared here because <omp.h> belongs to a compiler; weak, because oneDNN may be built without.
 */
extern void omp_set_num_threads(int n) __attribute__((weak));
extern int omp_get_max_threads(void) __attribute__((weak));

typedef dnnl_memory_desc_t plain_desc;
#if DNNL_VERSION_MAJOR < 3
typedef const dnnl_memory_desc_t *const_dnnl_memory_desc_t;
#define DESC(d) (&(d))
static inline dnnl_status_t desc_make(plain_desc *d, int rank, const dnnl_dims_t dims,
                                      dnnl_data_type_t type, dnnl_format_tag_t tag) {
    return dnnl_memory_desc_init_by_tag(d, rank, dims, type, tag);
}
static inline void plain_desc_free(plain_desc *d) {
    (void)d;
}
#else
#define DESC(d) (d)
static inline dnnl_status_t desc_make(plain_desc *d, int rank, const dnnl_dims_t dims,
                                      dnnl_data_type_t type, dnnl_format_tag_t tag) {
    return dnnl_memory_desc_create_with_tag(d, rank, dims, type, tag);
}
static inline void plain_desc_free(plain_desc *d) {
    if (*d) dnnl_memory_desc_destroy(*d);
}
#endif

/* Sets OpenMP's number of threads for this thread and returns the number before, for
 * restore_threads. */
static inline int set_threads(int threads) {
    int before = omp_get_max_threads ? omp_get_max_threads() : threads;
    if (before != threads && omp_set_num_threads) omp_set_num_threads(threads);
    return before;
}
static inline void restore_threads(int before, int threads) {
    if (before != threads && omp_set_num_threads) omp_set_num_threads(before);
}

/* Executes a primitive and waits for its end. */
static inline dnnl_status_t execute_primitive(dnnl_stream_t stream, dnnl_primitive_t primitive,
                                              const dnnl_exec_arg_t *args, int count) {
    dnnl_status_t s = dnnl_primitive_execute(primitive, stream, count, args);
    return s ? s : dnnl_stream_wait(stream);
}

static inline dnnl_data_type_t type_of(bool bf16) {
    return bf16 ? dnnl_bf16 : dnnl_f32;
}

/* Returns n weights in the primitive's type: w itself, or *copy in bf16. The caller frees *copy,
 * which may be NULL, with free(). NULL: no memory. */
static inline const void *weights_in_type(bool bf16, const float *w, int64_t n, uint16_t **copy) {
    *copy = bf16 ? malloc((size_t)n * sizeof **copy) : NULL;
    if (*copy) tsr_floats_to_bf16(*copy, w, n);
    return bf16 ? (const void *)*copy : w;
}

/* Copies w, whose layout is `plain`, into `data` in the layout the primitive chose. *weights
 * becomes the memory object of `data`, which the caller destroys. */
static inline dnnl_status_t reorder(dnnl_engine_t engine, dnnl_stream_t stream, const void *w,
                                    const plain_desc *plain, const_dnnl_memory_desc_t layout,
                                    void *data, dnnl_memory_t *weights) {
    dnnl_memory_t from = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t copy = NULL;
    dnnl_status_t s = dnnl_memory_create(&from, DESC(*plain), engine, (void *)(uintptr_t)w);
    if (!s) s = dnnl_memory_create(weights, layout, engine, data);
    if (!s) s = dnnl_reorder_primitive_desc_create(&pd, DESC(*plain), engine, layout, engine, NULL);
    if (!s) s = dnnl_primitive_create(&copy, pd);
    dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, *weights}};
    if (!s) s = execute_primitive(stream, copy, args, 2);
    if (copy) dnnl_primitive_destroy(copy);
    if (pd) dnnl_primitive_desc_destroy(pd);
    if (from) dnnl_memory_destroy(from);
    return s;
}

#endif
