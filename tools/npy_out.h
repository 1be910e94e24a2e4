/* SPDX-License-Identifier: MIT */
/* npy_out.h: ids as a NumPy array file (little-endian i4), complete or not at all. */
#ifndef TOOLS_NPY_OUT_H
#define TOOLS_NPY_OUT_H

#include <stdint.h>

/* Writes [rows, columns]; path "-" is stdout. 0, or errno of what failed. */
int npy_write_ids(const char *path, const uint32_t *ids, uint64_t rows, uint32_t columns);

#endif
