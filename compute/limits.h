/* SPDX-License-Identifier: MIT */
/* limits.h: how many processors and how much memory this process may use. That is what the machine
 * has, unless somebody gave the process less: CPU affinity (taskset, cpusets), control groups
 * (containers, systemd), resource limits (ulimit). */
#ifndef COMPUTE_LIMITS_H
#define COMPUTE_LIMITS_H

#include <stdint.h>

/* Processors this process may use at a time, 1 or more. A quota of control groups counts as many
 * processors as it pays for, rounded up. */
int tsr_limits_processors(void);
/* Bytes of memory this process may use: the least of the machine's, those of its control groups,
 * and what is left of RLIMIT_AS. 2^31 where nothing is known. */
uint64_t tsr_limits_memory(void);

/* What the control groups of this process allow, from the group itself up to the root, versions 1
 * and 2. */
typedef struct tsr_cgroup_limits {
    double processors; /* 0: no quota */
    uint64_t memory;   /* bytes; UINT64_MAX: no limit */
} tsr_cgroup_limits;
/* Reads the limits below `root`, the folder in which proc/ and the mounted groups lie: "" for those
 * of this machine. What cannot be read limits nothing. */
tsr_cgroup_limits tsr_cgroup_limits_read(const char *root);

#endif
