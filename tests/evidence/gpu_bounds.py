# SPDX-License-Identifier: MIT
"""scripts/gpu-bounds.py counts a small piece of machine code as it was counted by hand, and refuses
what its table does not describe. Needs nothing but Python."""
import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("gpu_bounds_script", f"{ROOT}/scripts/gpu-bounds.py")
b = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = b
spec.loader.exec_module(b)

# A loop over tiles; in it the step; in that a staging loop whose load is skipped by a branch, and the
# products. Blocks outside the step count nothing.
CODE = """BB0:
    v_mov_b32_e32 v1, 0                                         ; 7e020280
BB1:
    s_cmp_ge_u32 s14, s7                                        ; bf09070e
    s_cbranch_scc1 BB9                                          ; bfa2045b
BB2:
    v_mov_b32_e32 v3, 0                                         ; 7e060280
BB3:
    s_cmp_ge_u32 s0, s9                                         ; bf090900
    s_cbranch_scc1 BB8                                          ; bfa202a3
BB4:
    v_add_nc_u32_e32 v21, s0, v20                               ; 4a2a2800
    s_cbranch_execz BB6                                         ; bfa00000
BB5:
    global_load_b128 v[4:7], v[8:9], off                        ; dc5e0000
    v_dual_mov_b32 v4, 0 :: v_dual_mov_b32 v5, 0                ; ca100080
BB6:
    ds_store_b64 v22, v[4:5]                                    ; d9340000
    v_readlane_b32 s4, v4, 3                                    ; d7600004
    s_cbranch_scc0 BB4                                          ; bfa1fff0
BB7:
    ds_load_2addr_b32 v[10:11], v30 offset1:4                   ; d8dc0400
    ds_load_b128 v[12:15], v30                                  ; dbfc0000
    v_fmac_f32_e32 v16, v10, v12                                ; 56201910
    v_fmac_f32_e32 v17, v10, v13                                ; 56221b0a
    v_nop                                                       ; 7e000000
    s_branch BB3                                                ; bfa0ffe0
BB8:
    v_add_f32_e32 v1, v16, v17                                  ; 06022310
    global_store_b32 v1, v16, s[0:1]                            ; dc6a0000
    s_branch BB1                                                ; bfa0ffd0
BB9:
    s_endpgm                                                    ; bfb00000
"""
MATRIX = CODE.replace("v_fmac_f32_e32 v16, v10, v12", "v_wmma_f32_16x16x16_f16 v[16:23], v[0:7], v[8:15], v[16:23]")


def measure(code, line):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()):
        with open(f"{folder}/table", "w") as f:
            f.write(f"# a comment\n{line}\n")
        with open(f"{folder}/0.s", "w") as f:
            f.write(code)
        return b.measure(b.read_table(f"{folder}/table")[0], f"{folder}/0.s", False)


def check(got, **wanted):
    for key, value in wanted.items():
        assert got.get(key) == value, f"{key}: wanted {value}, got {got}"


# 64 lanes: staging 3 x (2 + 1 pair + 1 lane), products 2 x 2 and v_nop 1; LDS 3 x 8 bytes and 24.
check(measure(CODE, "a | v | 64 | 3 | 2*2 | 1 | c0 | 10 | "), vector_cycles=17, lds_cycles=48, products=2,
      memory=3, lds=5, pairs=3, product=4, bound=8.3)
# 32 lanes: others 1.
check(measure(CODE, "a | v | 32 | 3 | 2 | 1 | c0 | | "), vector_cycles=12, lds_cycles=24, bound=8.3)
# A matrix instruction is 32 cycles with either width.
check(measure(MATRIX, "a | v | 32 | 1 | 32 | 1 | c0 | | "), matrix=1, vector_cycles=37, lds_cycles=16, bound=86.5)
check(measure(MATRIX, "a | v | 64 | 1 | 32 | 1 | c0 | | "), matrix=1, vector_cycles=39, lds_cycles=32, bound=82.1)
# A wait between a load and the products is one that hides behind nothing.
assert measure(CODE, "a | v | 64 | 3 | 4 | 1 | c0 | | ")["waits"] == 0
WAITS = CODE.replace("BB6:\n", "BB6:\n    s_waitcnt vmcnt(0)                                         ; bf8903f7\n")
assert measure(WAITS, "a | v | 64 | 3 | 4 | 1 | c0 | | ")["waits"] == 1
WAITS = CODE.replace("BB4:\n", "BB4:\n    s_waitcnt vmcnt(0)                                         ; bf8903f7\n")
assert measure(WAITS, "a | v | 64 | 3 | 4 | 1 | c0 | | ")["waits"] == 0
WAITS = CODE.replace("BB6:\n", "BB6:\n    s_waitcnt vmcnt(1)                                         ; bf8903f7\n")
assert measure(WAITS, "a | v | 64 | 3 | 4 | 1 | c0 | | ")["waits"] == 0  # for an older one
# Address arithmetic behind a scalar branch: BB5 is skipped by one, but loads; the rest is none.
SCALAR = CODE.replace("s_cbranch_execz BB6", "s_cbranch_scc1 BB6")
check(measure(SCALAR, "a | v | 64 | 3 | 4 | 1 | c0 rare=0 | | "), vector_cycles=17, memory=3)
SCALAR = SCALAR.replace("    global_load_b128 v[4:7], v[8:9], off                        ; dc5e0000\n", "")
check(measure(SCALAR, "a | v | 64 | 3 | 4 | 1 | c0 rare=0 | | "), vector_cycles=14, pairs=0)
check(measure(SCALAR, "a | v | 64 | 3 | 4 | 1 | c0 rare=1/3 | | "), vector_cycles=15, pairs=1)
# What the table says must be what the code has.
check(measure(CODE, "a | v | 64 | 3 | 4 | 1 | - | | "),
      error="wanted trip counts of 1 loops inside the step, got 0")
check(measure(CODE, "a | v | 64 | 3 | 4 | 2 | c0 | | "), error="wanted 3 loops around the products, got 2")
check(measure(CODE, "a | v | 64 | 3 | 5 | 1 | c0 | | "),
      error="wanted multiply-adds for 5 cycles in a step, got 4")
check(measure(MATRIX, "a | v | 64 | 3 | 64 | 1 | c0 | | "), error="wanted 2 matrix instructions in a step, got 1")


def outcome(line, statistics):
    """Exit status and messages of the whole script."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/navi31")
        for name, text in (("table", line + "\n"), ("navi31/0.s", CODE), ("navi31.rows", "1\n"),
                           ("navi31.tsv", "# chip\nvariant\tsubgroup\nv\t64\t3\t" + statistics + "\n")):
            with open(f"{folder}/{name}", "w") as f:
                f.write(text)
        said, status = io.StringIO(), 0
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            try:
                b.count([f"{folder}/table", folder, "navi31", "--json", f"{folder}/out.json"])
            except SystemExit as e:
                status = e.code
        rows = json.load(open(f"{folder}/out.json"))["rows"]
    assert len(rows) == 1 and rows[0]["vgprs"] == 60, rows
    return status, said.getvalue()


whole = "60\t20\t0\t0\t0\t8704\t24\t400"
assert outcome("a | v | 64 | 3 | 4 | 1 | c0 | 8 | ", whole) == (0, "")
status, said = outcome("a | v | 64 | 3 | 4 | 1 | c0 | 9 | ", whole)
assert status == 1 and "wanted at least 9 %, got 8.3 %" in said, said
status, said = outcome("a | v | 64 | 3 | 4 | 1 | c0 | | ", "60\t20\t7\t0\t64\t8704\t24\t400")
assert status == 1 and "7 vector and 0 scalar registers spilled, 64 bytes of scratch" in said, said
print("gpu_bounds: counted by hand and by the script alike")
