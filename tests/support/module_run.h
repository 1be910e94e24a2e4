/* SPDX-License-Identifier: MIT */
/* module_run.h: runs a compute module of SPIR-V in plain C, for modules that no driver here can
 * run: those whose matrices belong to a whole workgroup (VK_NV_cooperative_matrix2). All
 * invocations of such a workgroup do the same to its matrices, so one stands for all of them; a
 * module that asks which invocation it is is run by each in turn, which gives what all together
 * would where none reads what another has written but from matrices. Only the instructions that
 * such modules have are known. */
#ifndef TESTS_MODULE_RUN_H
#define TESTS_MODULE_RUN_H

#include <stddef.h>
#include <stdint.h>

typedef struct module_run {
    const char *variant; /* a built-in shader */
    const uint32_t *spec;
    int spec_count;
    const void *push;
    size_t push_bytes;
    struct {
        void *data; /* begins at a multiple of 16 */
        size_t bytes;
    } buffer[8];
    uint32_t groups[3];
    uint32_t invocations; /* of a workgroup; 0: the module must not ask which one it is */
} module_run;

/* Runs all workgroups, in order. Fails the test when the module reads or writes outside a buffer,
 * loads outside a tensor without a clamp mode that allows it, or has an instruction that is not
 * known. */
void module_run_all(const module_run *run);

#endif
