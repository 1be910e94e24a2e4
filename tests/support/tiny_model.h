/* SPDX-License-Identifier: MIT */
/* tiny_model.h: model files made up inside a test: tensors by name with random values, written as
 * .safetensors; one of them can be left out, given another shape, or added. */
#ifndef TESTS_TINY_MODEL_H
#define TESTS_TINY_MODEL_H

#include "compute/tensor.h"
#include "testing.h"

enum { TINY_MODEL_TENSORS = 1024 };

typedef struct tiny_model {
    char *name[TINY_MODEL_TENSORS];
    tsr_tensor tensor[TINY_MODEL_TENSORS];
    int count;
    char path[64];
} tiny_model;

/* The name is a printf format. Values are uniform in offset +- scale. */
void tiny_model_add(tiny_model *m, float scale, float offset, int rank, const int64_t *dim,
                    const char *format, ...) __attribute__((format(printf, 6, 7)));
/* <name>.weight of [out, in, kernel, kernel] (kernel 0: [out, in]) and, with `bias`, .bias. */
void tiny_model_layer(tiny_model *m, int64_t out, int64_t in, int kernel, bool bias,
                      const char *format, ...) __attribute__((format(printf, 6, 7)));
/* <name>.weight and .bias of [n]: near 1 and near 0. */
void tiny_model_norm(tiny_model *m, int64_t n, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
tsr_tensor *tiny_model_find(tiny_model *m, const char *name); /* fails the test when absent */
/* Writes a file of its own in /tmp; metadata may be NULL. Returns its path. */
const char *tiny_model_write(tiny_model *m, const char *key, const char *value);
void tiny_model_remove(tiny_model *m, const char *name);
/* Removes the file and frees everything. */
void tiny_model_free(tiny_model *m);

#endif
