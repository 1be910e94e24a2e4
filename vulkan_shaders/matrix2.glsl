// SPDX-License-Identifier: MIT
// matrix2.glsl: a tile of a product on matrix units through VK_NV_cooperative_matrix2: matrices that
// a whole workgroup holds (BM x BK of x, BK x BN of w, BM x BN of sums), loaded and stored by tensor
// layouts. The driver stages and spreads them; nothing here knows of invocations, and all control
// flow is the same for the whole workgroup. f16 operands, f32 sums; x is f16 in memory.
//
// Only the size of a tile decides in which order a sum is made, and it is chosen from the layer alone
// (ops/product_body.h).
//
// Compiled by scripts/coopmat.sh: the compiler of Debian 12 does not know the extension.
#extension GL_KHR_cooperative_matrix : require
#extension GL_NV_cooperative_matrix2 : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

layout(local_size_x_id = 0) in;
layout(constant_id = 1) const uint BM = 64;
layout(constant_id = 2) const uint BN = 64;
layout(constant_id = 3) const uint BK = 64;

#define MATRIX_X coopmat<float16_t, gl_ScopeWorkgroup, BM, BK, gl_MatrixUseA>
#define MATRIX_W coopmat<float16_t, gl_ScopeWorkgroup, BK, BN, gl_MatrixUseB>
#define MATRIX_SUMS coopmat<float, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator>
#define MATRIX_HALVES coopmat<float16_t, gl_ScopeWorkgroup, BM, BN, gl_MatrixUseAccumulator>
// EDGES: what lies outside the tensor is read as zero and not written. INSIDE: nothing does.
#define EDGES gl_CooperativeMatrixClampModeConstantNV
#define INSIDE gl_CooperativeMatrixClampModeUndefinedNV
// Rows of w lie along k, which is down the columns of its matrix.
#define TURNED createTensorViewNV(2, false, 1, 0)
