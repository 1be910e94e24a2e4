// SPDX-License-Identifier: MIT
// grid.glsl: the one-dimensional numbering of a two-dimensional grid (more than 65,535 groups are
// laid out in rows). Groups of GROUP threads, the number in ops/rowwise.h.
#define GROUP 128
layout(local_size_x = GROUP) in;

uint group_id() { return gl_WorkGroupID.y * gl_NumWorkGroups.x + gl_WorkGroupID.x; }
uint thread_id() { return group_id() * GROUP + gl_LocalInvocationID.x; }
