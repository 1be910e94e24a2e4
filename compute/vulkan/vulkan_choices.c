/* SPDX-License-Identifier: MIT */
/* vulkan_choices.c: what is used on which device. What a driver reports is not all there is to it:
 * matrix units may be emulated, and a subgroup may have fewer threads than a constant says. The
 * lists here hold what is known of makers and drivers; nothing else in the library looks at their
 * numbers. */
#include "vulkan_internal.h"

#include <stdio.h>

enum { AMD = 0x1002, NVIDIA = 0x10DE, INTEL = 0x8086, QUALCOMM = 0x5143 };

typedef struct known_bad {
    uint32_t vendor;
    uint32_t first, last; /* device ids */
    uint32_t driver;      /* VkDriverId; 0: any */
    const char *why;
} known_bad;

/* Matrix units that are reported and must not be used. The first row that fits counts; a row
 * without a reason says that they are good. */
static const known_bad matrices[] = {
    /* Arc of the first generation (A310 to A770, Flex): products on them are slower than without.
     */
    {INTEL, 0x5690, 0x56C2, 0,
     "they are slower than plain products on Arc of the first generation"},
    /* AMD's own drivers report them on chips that have none and emulate them. Those that have
     * them: RDNA3 and RDNA4 cards, and the processors Phoenix, Strix and Strix Halo. */
    {AMD, 0x7440, 0x75FF, 0, NULL},
    {AMD, 0x1502, 0x150F, 0, NULL},
    {AMD, 0x1586, 0x1586, 0, NULL},
    {AMD, 0x15BF, 0x15C8, 0, NULL},
    {AMD, 0x1900, 0x1902, 0, NULL},
    {AMD, 0, 0xFFFF, VK_DRIVER_ID_AMD_PROPRIETARY, "its driver emulates them on this chip"},
    {AMD, 0, 0xFFFF, VK_DRIVER_ID_AMD_OPEN_SOURCE, "its driver emulates them on this chip"},
};

static const char *bad_matrices(const tsr_device_info *d) {
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; ++i) {
        const known_bad *m = &matrices[i];
        if (d->vendor_id == m->vendor && d->device_id >= m->first && d->device_id <= m->last &&
            (!m->driver || d->driver_id == m->driver))
            return m->why;
    }
    return NULL;
}

/* The number of threads that a maker's matrix units work with. The driver's own number is for
 * other work: Intel's reports 32, and its matrix units want 16. */
static uint32_t threads_of_matrices(const tsr_device_info *d) {
    uint32_t best = d->vendor_id == INTEL    ? 16
                    : d->vendor_id == AMD    ? 32
                    : d->vendor_id == NVIDIA ? 32
                                             : d->subgroup_size;
    return best < d->subgroup_min || best > d->subgroup_max ? d->subgroup_size : best;
}

static void choose_matrices(tsr_device_info *d, const vulkan_traits *t) {
    const char *why = !d->cooperative_matrix ? "its driver reports none"
                      : !d->fp16 || !t->memory_model
                          ? "its driver lacks 16-bit floats or the memory model that they need"
                      : !d->subgroup_bodies ? "its subgroups are not used"
                      : !t->full_subgroups  ? "full subgroups cannot be asked for"
                                            : bad_matrices(d);
    d->matrix_subgroup = why ? 0 : threads_of_matrices(d);
    if (why)
        snprintf(d->matrix_reason, sizeof d->matrix_reason, "not used: %.110s", why);
    else
        snprintf(d->matrix_reason, sizeof d->matrix_reason,
                 "tried with %u threads%s%.30s when fast precision or pairs are asked for",
                 d->matrix_subgroup,
                 !t->matrix2        ? ""
                 : t->matrix2_lacks ? ", not with workgroups for want of "
                                    : ", and with workgroups,",
                 t->matrix2 && t->matrix2_lacks ? t->matrix2_lacks : "");
}

void vulkan_choose(tsr_device_info *d, const vulkan_traits *t) {
    /* Without control of the size, drivers of these makers choose one for each kernel. */
    const bool varies =
        t->sizes_vary || d->vendor_id == INTEL || d->vendor_id == QUALCOMM || !d->subgroup_size;
    const char *why =
        !t->subgroup_ops                      ? "its subgroups lack operations"
        : !d->subgroup_size_control && varies ? "its subgroup size varies and cannot be set"
        : d->subgroup_size_control && !t->full_subgroups ? "full subgroups cannot be asked for"
                                                         : NULL;
    d->subgroup_bodies = !why;
    if (why)
        snprintf(d->subgroup_reason, sizeof d->subgroup_reason, "not used: %.80s", why);
    else
        snprintf(d->subgroup_reason, sizeof d->subgroup_reason, "used with %u threads",
                 d->subgroup_size);
    choose_matrices(d, t);
}
