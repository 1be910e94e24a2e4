// SPDX-License-Identifier: MIT
// coopmat.glsl: a tile of a product on matrix units: f16 operands, rows along k on both sides, f32
// sums in cooperative matrices of the shape the device reports (CM x CN x CK). A workgroup has BM
// rows and BN columns, each of its subgroups TM and TN of them (ops/product_body.h says how they are
// chosen).
//
// Nothing but copies lies between memory and the matrices: an invocation has the 16-byte words of the
// next step in registers, asked for before the products of this step, and stores them as they are.
// The including shader defines TM, TN, BM, BN, BK, SUBGROUP, ALL_KEPT and
//   void fetch(uint step)                        fills next_x, next_w and kept_x: word word_of(n) of
//                                                row row_of(n), for the step's depth of BK
//   void store4(vec4 sum, uint row, uint col)    finishes and writes four columns from col on
// and calls coopmat_tile.
//
// Compiled by scripts/coopmat.sh: the compiler of Debian 12 does not know the extension.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

layout(constant_id = 11) const uint CM = 16;
layout(constant_id = 12) const uint CN = 16;
layout(constant_id = 13) const uint CK = 16;
const uint ACROSS = BN / TN, SUBGROUPS = BM / TM * ACROSS, THREADS = SUBGROUPS * SUBGROUP;
const uint FM = TM / CM, FN = TN / CN; // matrices of a subgroup
const uint WORDS = BK / 8, PITCH = WORDS + 1; // of a row; rows start in different banks
const uint XL = (BM * WORDS + THREADS - 1) / THREADS; // words an invocation brings for a step
const uint WL = (BN * WORDS + THREADS - 1) / THREADS;

shared uvec4 staged[(BM + BN) * PITCH]; // x, then w
shared vec4 done[SUBGROUPS * CM * CN / 4];

uvec4 next_x[XL], next_w[WL];
// False, unless ALL_KEPT says there is none: the word of x lies outside, and becomes zeros when it is
// stored. Were it made zero where it is fetched, the compiler would wait for the memory there.
bool kept_x[XL];

// THREADS is a multiple of WORDS.
uint row_of(uint n) { return gl_LocalInvocationIndex / WORDS + n * (THREADS / WORDS); }
uint word_of(uint n) { return gl_LocalInvocationIndex % WORDS; }

void coopmat_stage() {
    [[unroll]] for (uint n = 0; n < XL; ++n)
        if (BM * WORDS % THREADS == 0 || row_of(n) < BM)
            staged[row_of(n) * PITCH + word_of(n)] = ALL_KEPT || kept_x[n] ? next_x[n] : uvec4(0);
    [[unroll]] for (uint n = 0; n < WL; ++n)
        if (BN * WORDS % THREADS == 0 || row_of(n) < BN)
            staged[(BM + row_of(n)) * PITCH + word_of(n)] = next_w[n];
}

void coopmat_tile(uint steps, uint tile_row, uint tile_col) {
    uint row0 = gl_SubgroupID / ACROSS * TM, col0 = gl_SubgroupID % ACROSS * TN;
    coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator> sum[FM][FN];
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j)
            sum[i][j] = coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>(0.0);
    fetch(0);
    for (uint step = 0; step < steps; ++step) {
        coopmat_stage();
        barrier();
        fetch(min(step + 1, steps - 1)); // without a branch, the last again for nothing
        for (uint k = 0; k < BK / CK; ++k) { // software drivers had better not unroll it
            uint word = k * CK / 8;
            coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> a[FM];
            [[unroll]] for (uint i = 0; i < FM; ++i)
                coopMatLoad(a[i], staged, (row0 + i * CM) * PITCH + word, PITCH,
                            gl_CooperativeMatrixLayoutRowMajor);
            [[unroll]] for (uint j = 0; j < FN; ++j) {
                coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> b;
                coopMatLoad(b, staged, (BM + col0 + j * CN) * PITCH + word, PITCH,
                            gl_CooperativeMatrixLayoutColumnMajor);
                [[unroll]] for (uint i = 0; i < FM; ++i)
                    sum[i][j] = coopMatMulAdd(a[i], b, sum[i][j]);
            }
        }
        barrier();
    }
    // One matrix after the other through the subgroup's own piece of memory: how its elements are
    // spread over the lanes is a secret of the driver.
    uint mine = gl_SubgroupID * (CM * CN / 4);
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j) {
            coopMatStore(sum[i][j], done, mine, CN / 4, gl_CooperativeMatrixLayoutRowMajor);
            controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                           gl_SemanticsAcquireRelease);
            for (uint e = gl_SubgroupInvocationID; e < CM * CN / 4; e += SUBGROUP)
                store4(done[mine + e], tile_row + row0 + i * CM + e / (CN / 4),
                       tile_col + col0 + j * CN + e % (CN / 4) * 4);
            controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                           gl_SemanticsAcquireRelease);
        }
}
