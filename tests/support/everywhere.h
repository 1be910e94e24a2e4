/* SPDX-License-Identifier: MIT */
/* everywhere.h: one model function on every device there is, against the C reference. */
#ifndef TESTS_EVERYWHERE_H
#define TESTS_EVERYWHERE_H

#include "compute/device.h"
#include "testing.h"

typedef struct everywhere_case {
    const char *name;
    tsr_model_fn fn;
    void *model;
    int64_t variant;
    const tsr_tensor *in; /* host tensors */
    int in_count;
    tsr_tensor
        *out; /* shapes; data are filled with the reference's result where they are not NULL */
    int out_count;
    double tolerance;         /* of F32 outputs, as expect_close; other dtypes must be equal */
    const char *const *masks; /* extra --mask texts to run with, ended by NULL; or NULL */
    /* Compares instead of the rule above (ids with near ties); `where` names the device. */
    void (*compare)(const char *where, const struct everywhere_case *c, const tsr_tensor *got,
                    const tsr_tensor *want);
    bool cpu_only; /* no Vulkan form yet, or none wanted */
} everywhere_case;

/* Runs the case as the cpu's reference, the cpu's fast path (one and three threads: equal to the
 * bit), each with fenced activations, and on every Vulkan device the loader shows
 * (VK_DRIVER_FILES / VK_ICD_FILENAMES add more), first as it is and then once for each mask; twice,
 * so that the replay is seen too. Where there is no Vulkan device, that part is left out.
 * With TESSERA_VALIDATION=1 the Vulkan devices run under the validation layer;
 * TESSERA_TEST_DEVICE=cpu|vulkan:N keeps to one device. */
void everywhere(const everywhere_case *c);

/* An opened device for tests of their own, shared by this process: "cpu", "vulkan:0", ... NULL when
 * it is not there. Do not close. */
tsr_device *everywhere_device(const char *name, const char *mask);
/* The same with half precision allowed. */
tsr_device *everywhere_fast_device(const char *name, const char *mask);
/* How many Vulkan devices there are, for a loop over them. Says what is left out where it is none.
 */
int everywhere_vulkan_count(void);
/* Whether there are any; says nothing. */
bool everywhere_has_vulkan(void);
#define EVERYWHERE_NO_VULKAN "no Vulkan device"
tsr_context *everywhere_context(void);

#endif
