// SPDX-License-Identifier: MIT
// subgroup_rows.glsl: rows.glsl without shared memory or barriers: THREADS lanes of a subgroup share
// a row, GROUP / THREADS rows share a group. Rows beyond the last one work on it again and do not
// write. THREADS is at most 32 and the subgroup's size, GROUP a multiple of it (full_subgroups).
#include "grid.glsl"
layout(constant_id = 0) const uint THREADS = 8; // a power of two that depends on the row's length

uint row_place() { return gl_SubgroupID * gl_SubgroupSize + gl_SubgroupInvocationID; }
uint row_number() { return group_id() * (GROUP / THREADS) + row_place() / THREADS; }
uint row_lane() { return row_place() % THREADS; }

// Added crosswise: a tree of fixed order, with the same bits in every lane. Each step's distance is a
// constant, for which compilers have better than a general exchange.
float row_sum(float value) {
    if (THREADS > 16) value += subgroupShuffleXor(value, 16);
    if (THREADS > 8) value += subgroupShuffleXor(value, 8);
    if (THREADS > 4) value += subgroupShuffleXor(value, 4);
    if (THREADS > 2) value += subgroupShuffleXor(value, 2);
    if (THREADS > 1) value += subgroupShuffleXor(value, 1);
    return value;
}
