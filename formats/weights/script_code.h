/* SPDX-License-Identifier: MIT */
/* script_code.h: what the code of a TorchScript archive says that no tensor does. The code is text
 * (Python's words) and is looked through, never run. */
#ifndef FORMATS_SCRIPT_CODE_H
#define FORMATS_SCRIPT_CODE_H

#include <stddef.h>
#include <stdint.h>

typedef struct tsr_script_facts {
    uint64_t norms; /* calls torch.group_norm(input, GROUPS, ...) whose groups are a number */
    int64_t groups; /* of all of them; 0: they differ */
    uint64_t space_pools, time_pools; /* calls torch.avg_pool3d(input, [1, 2, 2], ...), [2, 1, 1] */
} tsr_script_facts;
/* Looks through one text of `size` bytes and adds what is there; *facts starts as zeros. */
void tsr_script_read(const char *text, size_t size, tsr_script_facts *facts);

#endif
