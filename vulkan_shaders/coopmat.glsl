// SPDX-License-Identifier: MIT
// coopmat.glsl: a tile of a product on matrix units: f16 operands in shared memory, f32 sums in
// cooperative matrices of the shape the device reports (CM x CN x CK). Four subgroups share a tile of
// BM rows and BN columns, two by two. The including shader writes stage(step), which fills xs and
// ws for one depth of BK, and calls coopmat_tile(steps); the sums are then in `done`.
//
// Compiled by scripts/coopmat.sh: the compiler of Debian 12 does not know the extension.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

layout(constant_id = 11) const uint CM = 16;
layout(constant_id = 12) const uint CN = 16;
layout(constant_id = 13) const uint CK = 16;
const uint FM = BM / (2 * CM); // matrices of a subgroup
const uint FN = BN / (2 * CN);
const uint PITCH = BK + 8; // rows start at 16 bytes, in different banks

shared float16_t xs[BM * PITCH]; // rows of x, contiguous along k
shared float16_t ws[BN * PITCH]; // columns of w, the same
shared float done[BM * BN];

void stage_x(uint at, vec4 v) { // v is rounded already: nothing is lost
    [[unroll]] for (uint i = 0; i < 4; ++i) xs[at + i] = float16_t(v[i]);
}

void coopmat_tile(uint steps) {
    uint row0 = gl_SubgroupID / 2 * FM * CM, col0 = gl_SubgroupID % 2 * FN * CN;
    coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> sum[FM][FN];
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j)
            sum[i][j] = coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>(0.0);
    for (uint step = 0; step < steps; ++step) {
        stage(step);
        barrier();
        for (uint k = 0; k < BK; k += CK) {
            coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> a[FM];
            [[unroll]] for (uint i = 0; i < FM; ++i)
                coopMatLoad(a[i], xs, (row0 + i * CM) * PITCH + k, PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0; j < FN; ++j) {
                coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> b;
                coopMatLoad(b, ws, (col0 + j * CN) * PITCH + k, PITCH,
                            gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0; i < FM; ++i)
                    sum[i][j] = coopMatMulAdd(a[i], b, sum[i][j]);
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j)
            coopMatStore(sum[i][j], done, (row0 + i * CM) * BN + col0 + j * CN, BN,
                         gl_CooperativeMatrixLayoutRowMajor);
    barrier();
}
