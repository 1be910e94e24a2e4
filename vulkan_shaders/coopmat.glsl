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
//   void store4(inout vec4 sum, uint row, uint col)    finishes and writes four columns from col on;
//                                                sum is then what can be read there
//   STAT_ROWS, put_moments                       statistics.glsl: of how many rows a piece has
//                                                statistics, 0 for none, and what writes them. A piece
//                                                is of one subgroup, and its lanes share out each of its
//                                                matrices evenly
// and calls coopmat_tile.
//
// With PAIRS products are as exact as f32's: a number is the sum of two f16, x / 16 = h + l / 2048 and
// w 16 = h + l / 2048, and three products take the place of one, x w = hx hw + (hx lw + lx hw) / 2048,
// the second sum in matrices of its own, divided once. x is f32 and split here, w comes split, words of
// h and l by turns (TSR_BIND_PAIRS). Some units cut a sum where they should round it: hx hw is emptied
// into an f32 sum after every 256 terms. What a pair cannot hold, |x| above 524,288 or |w| above
// 4,094, is NaN, and so is what it meets; below 2^-9 and 2^-17 a number's last bits are lost, as f16
// ends there. fetch then fills next_x and kept_x by four numbers, two for each word, and two words of
// next_w.
//
// Compiled by scripts/coopmat.sh: the compiler of Debian 12 does not know the extension.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_shuffle : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require

layout(constant_id = 11) const uint CM = 16;
layout(constant_id = 12) const uint CN = 16;
layout(constant_id = 13) const uint CK = 16;
const uint ACROSS = BN / TN, SUBGROUPS = BM / TM * ACROSS, THREADS = SUBGROUPS * SUBGROUP;
const uint FM = TM / CM, FN = TN / CN; // matrices of a subgroup
const uint WORDS = BK / 8, PITCH = WORDS + 1; // of a row; rows start in different banks
const uint XL = (BM * WORDS + THREADS - 1) / THREADS; // words an invocation brings for a step
const uint WL = (BN * WORDS + THREADS - 1) / THREADS;

#ifdef PAIRS
const uint FORMS = 2, EMPTIED = 256 / BK; // h, then l; steps between two emptyings
#else
const uint FORMS = 1;
#endif
const uint LOW = (BM + BN) * PITCH; // where the l begin

shared uvec4 staged[FORMS * LOW]; // x, then w
shared vec4 done[SUBGROUPS * CM * CN / 4];

#ifdef PAIRS
vec4 next_x[2 * XL];
#else
uvec4 next_x[XL];
#endif
uvec4 next_w[FORMS * WL];
// False, unless ALL_KEPT says there is none: the word of x lies outside, and becomes zeros when it is
// stored. Were it made zero where it is fetched, the compiler would wait for the memory there.
bool kept_x[FORMS * XL];

// THREADS is a multiple of WORDS.
uint row_of(uint n) { return gl_LocalInvocationIndex / WORDS + n * (THREADS / WORDS); }
uint word_of(uint n) { return gl_LocalInvocationIndex % WORDS; }

#ifdef PAIRS
uvec4 halves_of(vec4 a, vec4 b) {
    return uvec4(packHalf2x16(a.xy), packHalf2x16(a.zw), packHalf2x16(b.xy), packHalf2x16(b.zw));
}

// However the driver rounds h, l has what is left of the number, which is below 65504 when that is up to
// 32768.
void stage_pairs(uint at, vec4 a, vec4 b) {
    a *= 0.0625, b *= 0.0625;
    uvec4 h = halves_of(a, b);
    vec4 most = max(abs(a), abs(b));
    a -= vec4(unpackHalf2x16(h.x), unpackHalf2x16(h.y));
    b -= vec4(unpackHalf2x16(h.z), unpackHalf2x16(h.w));
    if (max(max(most.x, most.y), max(most.z, most.w)) > 32768.0) h.x = 0x7E007E00u; // NaN
    staged[at] = h;
    staged[LOW + at] = halves_of(a * 2048.0, b * 2048.0);
}

void coopmat_stage() {
    [[unroll]] for (uint n = 0; n < XL; ++n)
        if (BM * WORDS % THREADS == 0 || row_of(n) < BM)
            stage_pairs(row_of(n) * PITCH + word_of(n),
                        ALL_KEPT || kept_x[2 * n] ? next_x[2 * n] : vec4(0.0),
                        ALL_KEPT || kept_x[2 * n + 1] ? next_x[2 * n + 1] : vec4(0.0));
    [[unroll]] for (uint n = 0; n < WL; ++n)
        if (BN * WORDS % THREADS == 0 || row_of(n) < BN)
            [[unroll]] for (uint form = 0; form < 2; ++form)
                staged[form * LOW + (BM + row_of(n)) * PITCH + word_of(n)] = next_w[2 * n + form];
}
#else
void coopmat_stage() {
    [[unroll]] for (uint n = 0; n < XL; ++n)
        if (BM * WORDS % THREADS == 0 || row_of(n) < BM)
            staged[row_of(n) * PITCH + word_of(n)] = ALL_KEPT || kept_x[n] ? next_x[n] : uvec4(0);
    [[unroll]] for (uint n = 0; n < WL; ++n)
        if (BN * WORDS % THREADS == 0 || row_of(n) < BN)
            staged[(BM + row_of(n)) * PITCH + word_of(n)] = next_w[n];
}
#endif

#define SUMS coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>

void coopmat_tile(uint steps, uint tile_row, uint tile_col) {
    uint row0 = gl_SubgroupID / ACROSS * TM, col0 = gl_SubgroupID % ACROSS * TN;
    SUMS sum[FM][FN];
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j) sum[i][j] = SUMS(0.0);
#ifdef PAIRS
    SUMS high[FM][FN], low[FM][FN]; // of hx hw; of the other two, times 2048
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j) high[i][j] = low[i][j] = SUMS(0.0);
#endif
    fetch(0);
    for (uint step = 0; step < steps; ++step) {
        coopmat_stage();
        barrier();
        fetch(min(step + 1, steps - 1)); // without a branch, the last again for nothing
        for (uint k = 0; k < BK / CK; ++k) { // software drivers had better not unroll it
            uint word = k * CK / 8;
#ifdef PAIRS
            coopmat<float16_t, gl_ScopeSubgroup, CK, CN, gl_MatrixUseB> b[FN], b_low[FN];
            [[unroll]] for (uint j = 0; j < FN; ++j) {
                uint at = (BM + col0 + j * CN) * PITCH + word;
                coopMatLoad(b[j], staged, at, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
                coopMatLoad(b_low[j], staged, LOW + at, PITCH, gl_CooperativeMatrixLayoutColumnMajor);
            }
            [[unroll]] for (uint i = 0; i < FM; ++i) {
                coopmat<float16_t, gl_ScopeSubgroup, CM, CK, gl_MatrixUseA> a, a_low;
                uint at = (row0 + i * CM) * PITCH + word;
                coopMatLoad(a, staged, at, PITCH, gl_CooperativeMatrixLayoutRowMajor);
                coopMatLoad(a_low, staged, LOW + at, PITCH, gl_CooperativeMatrixLayoutRowMajor);
                [[unroll]] for (uint j = 0; j < FN; ++j) {
                    high[i][j] = coopMatMulAdd(a, b[j], high[i][j]);
                    low[i][j] = coopMatMulAdd(a, b_low[j], low[i][j]);
                    low[i][j] = coopMatMulAdd(a_low, b[j], low[i][j]);
                }
            }
#else
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
#endif
        }
#ifdef PAIRS
        if (step % EMPTIED == EMPTIED - 1)
            [[unroll]] for (uint i = 0; i < FM; ++i)
                [[unroll]] for (uint j = 0; j < FN; ++j) {
                    sum[i][j] += high[i][j];
                    high[i][j] = SUMS(0.0);
                }
#endif
        barrier();
    }
#ifdef PAIRS
    [[unroll]] for (uint i = 0; i < FM; ++i)
        [[unroll]] for (uint j = 0; j < FN; ++j)
            sum[i][j] += high[i][j] + low[i][j] * (1.0 / 2048.0);
#endif
    // One matrix after the other through the subgroup's own piece of memory: how its elements are
    // spread over the lanes is a secret of the driver. A lane has the same words of columns of all.
    const uint PIECE = STAT_ROWS == 0 ? FM : STAT_ROWS / CM, QUADS_OF = CN / 4;
    uint mine = gl_SubgroupID * (CM * CN / 4);
    [[unroll]] for (uint j = 0; j < FN; ++j)
        [[unroll]] for (uint piece = 0; piece < FM; piece += PIECE) {
            Moments m = Moments(0.0, 0.0);
            uint fours = 0;
            [[unroll]] for (uint i = piece; i < piece + PIECE; ++i) {
                coopMatStore(sum[i][j], done, mine, CN / 4, gl_CooperativeMatrixLayoutRowMajor);
                controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                               gl_SemanticsAcquireRelease);
                for (uint e = gl_SubgroupInvocationID; e < CM * CN / 4; e += SUBGROUP) {
                    vec4 v = done[mine + e];
                    store4(v, tile_row + row0 + i * CM + e / QUADS_OF, tile_col + col0 + j * CN + e % QUADS_OF * 4);
                    if (STAT_ROWS != 0) moments_add(m, v, ++fours);
                }
                controlBarrier(gl_ScopeSubgroup, gl_ScopeSubgroup, gl_StorageSemanticsShared,
                               gl_SemanticsAcquireRelease);
            }
            if (STAT_ROWS != 0) {
                uint lane = gl_SubgroupInvocationID;
                float count = float(STAT_ROWS * CN / SUBGROUP);
                [[unroll]] for (uint other = QUADS_OF; other < SUBGROUP; other *= 2) {
                    Moments m2 = Moments(subgroupShuffleXor(m.mean, other), subgroupShuffleXor(m.squares, other));
                    m = moments_join(m, m2, count);
                    count *= 2.0;
                }
                if (lane < QUADS_OF)
                    put_moments(m, tile_row + row0 + piece * CM, tile_col + col0 + j * CN + lane * 4);
            }
        }
}
