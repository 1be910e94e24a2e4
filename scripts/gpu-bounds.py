#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Counts what one step of a kernel's tile costs a SIMD of an AMD chip, from machine code.

    gpu-bounds.py modules TABLE VARIANTS SHADERS SPV   SPIR-V that is checked in to SPV; prints what is
                                                       to be compiled: variant, source, options
    gpu-bounds.py pipelines TABLE yes|no               lines for radv_compile in the table's order, with
                                                       or without matrices; row numbers to stderr
    gpu-bounds.py count TABLE FOLDER CHIP...    counts; FOLDER/CHIP/<n>.s and FOLDER/CHIP.tsv
                  [--json FILE] [--markdown FILE --others FILE] [--loops] [--mesa VERSION]

The table, scripts/gpu-bounds.txt, explains its columns. A basic block weighs the product of the trip
counts of the loops around it, inside the loop that makes the step; both sides of a branch count, but for
address arithmetic behind a scalar branch where the table says how rare it is. What is counted, in cycles of one SIMD for one wave:

    vector   32 for a matrix instruction; 2 for any other with 64 lanes, 1 with 32; a pair that issues
             together (v_dual_a :: v_dual_b) as one; reading or writing one lane 1 with either
    LDS      bytes / 64, the SIMD's half of 128 bytes a cycle; an instruction moves its width for
             every lane
    bound    the product's cycles / the larger of the two

Memory instructions are counted, not weighed: what they cost depends on caches no compiler knows. `waits`
are the places where a wave stops for its loads between asking for them and the step's last product: a
kernel that fetches the next step's words while it multiplies has none."""
import json
import re
import sys
from dataclasses import dataclass, field


# ---- the table ------------------------------------------------------------------------------------

@dataclass
class Kernel:
    name: str
    variant: str
    lanes: int
    constants: list
    product: str  # expression, cycles of the step's products
    step: int  # which loop around the products is the step, 0 = outermost
    trips: list  # expressions, for the loops inside the step in the order of the code
    rare: str  # expression, how often in a step blocks run that a scalar branch skips
    floor: float  # per cent; 0 = none
    beside: str  # the specification's figure
    row: int = 0


def read_table(path):
    kernels = []
    for number, line in enumerate(open(path), 1):
        line = line.split("#")[0].strip()
        if not line:
            continue
        part = [p.strip() for p in line.split("|")]
        if len(part) != 9:
            sys.exit(f"{path}:{number}: wanted 9 columns, got {len(part)}")
        trips = [t for t in part[6].split() if t != "-"]
        rare = [t[5:] for t in trips if t.startswith("rare=")]
        kernels.append(Kernel(part[0], part[1], int(part[2]), [int(c) for c in part[3].split()], part[4],
                              int(part[5]), [t for t in trips if not t.startswith("rare=")],
                              rare[0] if rare else "1", float(part[7] or 0), part[8], number))
    return kernels


def evaluate(expression, kernel):
    """Arithmetic over c0, c1, ... (the specialisation constants) and `lanes`."""
    names = {f"c{i}": value for i, value in enumerate(kernel.constants)}
    names["lanes"] = kernel.lanes
    try:
        return eval(expression, {"__builtins__": {}, "max": max, "min": min}, names)
    except Exception as e:
        sys.exit(f"{kernel.name}: {expression!r}: {e}")


# ---- modules --------------------------------------------------------------------------------------

def modules(table, variants, shaders, folder):
    """Writes the SPIR-V that is checked in; prints `variant source options` of what is to be compiled."""
    lines = {}
    for line in open(variants):
        word = line.split()
        if word and not word[0].startswith("#"):
            lines[word[0]] = word[1:]
    for variant in sorted({k.variant for k in read_table(table)}):
        if variant not in lines:
            sys.exit(f"{table}: {variant}: not in {variants}")
        try:
            made = open(f"{shaders}/coopmat/{variant}.inc").read()
        except FileNotFoundError:
            print(variant, *lines[variant])
            continue
        words = re.findall(r"0x([0-9a-f]{8})", made[made.index("{"):])
        with open(f"{folder}/{variant}.spv", "wb") as f:
            f.write(b"".join(int(w, 16).to_bytes(4, "little") for w in words))


# ---- machine code ---------------------------------------------------------------------------------

@dataclass
class Block:
    label: str
    lines: list = field(default_factory=list)
    to: list = field(default_factory=list)


def read_blocks(path):
    blocks = []
    for line in open(path):
        label = re.match(r"\s*(BB\d+):", line)
        if label:
            blocks.append(Block(label[1]))
            continue
        text = re.split(r"\s+(?://|;)", line.strip())[0].strip()
        if not text or not re.match(r"[a-z]", text):
            continue
        if not blocks:
            blocks.append(Block("entry"))
        blocks[-1].lines.append(text)
    index = {b.label: i for i, b in enumerate(blocks)}
    for i, b in enumerate(blocks):
        falls = True
        for text in b.lines:
            target = re.match(r"s_c?branch\w*\s+(BB\d+)", text)
            if target:
                b.to.append(index[target[1]])
            if re.match(r"s_branch\b|s_endpgm\b|s_setpc", text):
                falls = False
        if falls and i + 1 < len(blocks):
            b.to.append(i + 1)
    return blocks


@dataclass
class Loop:
    head: int
    body: set
    inner: list = field(default_factory=list)


def find_before(blocks):
    before = [[] for _ in blocks]
    for i, b in enumerate(blocks):
        for t in b.to:
            before[t].append(i)
    return before


def find_over(blocks):
    """For each block those that dominate it."""
    n, before = len(blocks), find_before(blocks)
    everything = set(range(n))
    over = [everything] * n
    over[0] = {0}
    changed = True
    while changed:
        changed = False
        for i in range(1, n):
            sets = [over[p] for p in before[i]]
            new = (set.intersection(*sets) if sets else set()) | {i}
            if new != over[i]:
                over[i], changed = new, True
    return over


def find_loops(blocks, over):
    """Natural loops: a branch back to a block that dominates the branch."""
    before = find_before(blocks)
    bodies = {}
    for i, b in enumerate(blocks):
        for t in b.to:
            if t in over[i]:
                body, todo = {t}, [i]
                while todo:
                    at = todo.pop()
                    if at not in body:
                        body.add(at)
                        todo += before[at]
                bodies[t] = bodies.get(t, set()) | body
    loops = [Loop(head, body) for head, body in sorted(bodies.items())]
    roots = []
    for loop in loops:
        around = [o for o in loops if o is not loop and loop.head in o.body and loop.body <= o.body]
        (min(around, key=lambda o: len(o.body)).inner if around else roots).append(loop)
    return roots


def find_rare(blocks, over, counts):
    """Blocks that a scalar branch skips and that only compute: no memory, no matrices."""
    rare = set()
    for b in blocks:
        if len(b.to) != 2 or not any(re.match(r"s_cbranch_scc", text) for text in b.lines):
            continue
        for first, other in (b.to, b.to[::-1]):
            region = {i for i in range(len(blocks)) if first in over[i]}
            if other not in region and not any(counts[i]["memory"] + counts[i]["lds"] + counts[i]["matrix"]
                                               for i in region):
                rare |= region
    return rare


# Bytes of one lane. Wider words first.
LDS_WIDTHS = [("b128", 16), ("b96", 12), ("b64", 8), ("b32", 4), ("u32", 4), ("f32", 4), ("i32", 4),
              ("b16", 2), ("u16", 2), ("i16", 2), ("b8", 1), ("u8", 1), ("i8", 1)]


def lds_bytes(name):
    if re.match(r"ds_(b?permute|swizzle)", name):
        return 4
    if re.match(r"ds_(nop|gws)", name):
        return 0
    for width, size in LDS_WIDTHS:
        if width in name:
            return size * (2 if "2addr" in name or re.match(r"ds_(read|write)2", name) else 1)
    raise ValueError(f"LDS instruction of unknown width: {name}")


def is_product(text):
    """Multiply-adds of one lane; a matrix instruction counts as one."""
    if re.match(r"v_(wmma|mfma|swmmac)", text):
        return 1
    dots = len(re.findall(r"v_(?:dual_)?dot2", text))
    return 2 * dots + len(re.findall(r"v_(?:dual_)?(?:pk_)?(?:fma|fmac|mac|mad|fmaak|fmamk)_"
                                     r"(?:mix(?:lo|hi)?_)?f(?:16|32)", text))


KINDS = ("vector_cycles", "lds_cycles", "vector", "matrix", "pairs", "products", "lds", "memory",
         "scalar")


def count_block(block, lanes):
    c = dict.fromkeys(KINDS, 0)
    for text in block.lines:
        name = text.split()[0]
        if name.startswith("v_"):
            c["vector"] += 1
            if re.match(r"v_(wmma|mfma|swmmac)", name):
                c["matrix"] += 1
                c["vector_cycles"] += 32
            elif "::" in text or re.match(r"v_(read|readfirst|write)lane_|v_nop", name):
                c["pairs"] += "::" in text
                c["vector_cycles"] += 1
            else:
                c["vector_cycles"] += lanes // 32
            c["products"] += is_product(text)
        elif name.startswith("ds_"):
            c["lds"] += 1
            c["lds_cycles"] += lds_bytes(name) * lanes / 64
        elif re.match(r"(buffer|global|flat|scratch|image)_", name):
            c["memory"] += 1
        elif name.startswith("s_"):
            c["scalar"] += 1
    return c


def add(a, b, times=1):
    for k in KINDS:
        a[k] += b[k] * times


def own_blocks(loop):
    return loop.body - set().union(*[o.body for o in loop.inner]) if loop.inner else loop.body


def flat(loop):
    out = []
    for inner in sorted(loop.inner, key=lambda o: o.head):
        out += [inner] + flat(inner)
    return out


def products_of(loop, counts):
    return sum(counts[i]["products"] * (1000 if counts[i]["matrix"] else 1) for i in loop.body)


def step_loop(kernel, roots, counts):
    """The loops around the products, outermost first."""
    chain, level = [], roots
    while level:
        loop = max(level, key=lambda o: products_of(o, counts))
        if not products_of(loop, counts):
            break
        chain.append(loop)
        level = loop.inner
    if kernel.step >= len(chain):
        return None, f"wanted {kernel.step + 1} loops around the products, got {len(chain)}"
    return chain[kernel.step], None


def weigh(loop, counts, trips, rare, share):
    total = dict.fromkeys(KINDS, 0)
    for i in own_blocks(loop):
        add(total, counts[i], share if i in rare else 1)
    for inner in loop.inner:
        add(total, weigh(inner, counts, trips, rare, share), trips[inner.head])
    return total


def count_waits(loop, blocks):
    """Where a wave stops for loads after they are asked for and before the last product is done."""
    lines = [text for i in sorted(loop.body) for text in blocks[i].lines]
    products = [n for n, text in enumerate(lines) if text.startswith("v_") and is_product(text)]
    asked = waits = 0
    for n, text in enumerate(lines[:products[-1]]):
        asked += bool(re.match(r"(buffer|global|flat)_load", text))
        left = re.search(r"vmcnt\((\d+)\)", text)  # that many may still be on their way
        waits += bool(left) and int(left[1]) < asked
    return waits


def show(loop, counts, blocks, depth, trips):
    c = dict.fromkeys(KINDS, 0)
    for i in own_blocks(loop):
        add(c, counts[i])
    times = trips.get(loop.head, "?")
    print(f"  {'    ' * depth}{blocks[loop.head].label} x {times}: vector {c['vector']} ({c['pairs']} pairs, "
          f"{c['matrix']} matrix), products {c['products']}, LDS {c['lds']} ({c['lds_cycles']:g} cycles), "
          f"memory {c['memory']}, scalar {c['scalar']}", file=sys.stderr)
    for inner in sorted(loop.inner, key=lambda o: o.head):
        show(inner, counts, blocks, depth + 1, trips)


def measure(kernel, path, verbose):
    blocks = read_blocks(path)
    counts = [count_block(b, kernel.lanes) for b in blocks]
    over = find_over(blocks)
    roots = find_loops(blocks, over)
    loop, wrong = step_loop(kernel, roots, counts)
    inside = flat(loop) if loop else []
    trips = {}
    if not wrong and len(inside) != len(kernel.trips):
        wrong = f"wanted trip counts of {len(inside)} loops inside the step, got {len(kernel.trips)}"
    if not wrong:
        trips = {o.head: evaluate(t, kernel) for o, t in zip(inside, kernel.trips)}
    if verbose or wrong:
        print(f"{kernel.name} ({kernel.variant}, {kernel.lanes} lanes): {path}", file=sys.stderr)
        for root in roots:
            show(root, counts, blocks, 0, {**trips, **({loop.head: "step"} if loop else {})})
    if wrong:
        return {"error": wrong}
    total = weigh(loop, counts, trips, find_rare(blocks, over, counts), evaluate(kernel.rare, kernel))
    product = evaluate(kernel.product, kernel)
    larger = max(total["vector_cycles"], total["lds_cycles"])
    if total["matrix"] and total["matrix"] * 32 != product:
        return {"error": f"wanted {product / 32:g} matrix instructions in a step, got {total['matrix']:g}"}
    most = total["products"] * kernel.lanes / 32
    if not total["matrix"] and most < product:
        return {"error": f"wanted multiply-adds for {product:g} cycles in a step, got {most:g}"}
    return {"waits": count_waits(loop, blocks), "product": int(product), "bound": round(100 * product / larger, 1),
            **{k: int(v) if v == int(v) else round(v, 2) for k, v in total.items()}}


# ---- the outcome ----------------------------------------------------------------------------------

def read_statistics(path):
    rows = []
    for line in open(path):
        if line.startswith("#") or line.startswith("variant"):
            continue
        f = line.rstrip("\n").split("\t")
        rows.append(dict(zip(("vgprs", "sgprs", "spilled_vgprs", "spilled_sgprs", "scratch", "lds_bytes",
                              "waves", "code"), (int(x) for x in f[3:11]))))
    return rows


def count(arguments):
    options = {"--json": None, "--markdown": None, "--mesa": "unknown", "--others": None}
    flags, plain = set(), []
    while arguments:
        a = arguments.pop(0)
        if a in options:
            options[a] = arguments.pop(0)
        elif a.startswith("--"):
            flags.add(a)
        else:
            plain.append(a)
    table, folder, *chips = plain
    kernels = read_table(table)
    rows, failed = [], []
    for chip in chips:
        lines = [int(x) for x in open(f"{folder}/{chip}.rows").read().split()]
        statistics = read_statistics(f"{folder}/{chip}.tsv")
        by_row = {k.row: k for k in kernels}
        if len(lines) != len(statistics):
            sys.exit(f"{folder}/{chip}.tsv: wanted {len(lines)} pipelines, got {len(statistics)}")
        for n, (row, s) in enumerate(zip(lines, statistics)):
            kernel = by_row[row]
            m = measure(kernel, f"{folder}/{chip}/{n}.s", "--loops" in flags)
            r = {"name": kernel.name, "variant": kernel.variant, "chip": chip,
                 "lanes": kernel.lanes, "constants": kernel.constants, **m, **s,
                 "floor": kernel.floor, "beside": kernel.beside}
            rows.append(r)
            where = f"{kernel.name}, {r['chip']}, {kernel.lanes} lanes"
            if "error" in m:
                failed.append(f"{where}: {m['error']}")
            elif m["bound"] < kernel.floor:
                failed.append(f"{where}: wanted at least {kernel.floor:g} %, got {m['bound']} %")
            if s["spilled_vgprs"] + s["spilled_sgprs"] + s["scratch"]:
                failed.append(f"{where}: {s['spilled_vgprs']} vector and {s['spilled_sgprs']} scalar "
                              f"registers spilled, {s['scratch']} bytes of scratch")
    if options["--markdown"]:
        with open(options["--markdown"], "w") as f:
            f.write(markdown(rows, options["--mesa"], options["--others"]))
    if options["--json"]:
        with open(options["--json"], "w") as f:
            lines = ",\n".join("  " + json.dumps(r) for r in rows)
            f.write(f'{{"mesa": {json.dumps(options["--mesa"])}, "rows": [\n{lines}\n]}}\n')
    print(plain_rows(rows))
    for f in failed:
        print(f"gpu-bounds: {f}", file=sys.stderr)
    sys.exit(1 if failed else 0)


def cells(r):
    spill = r["spilled_vgprs"] + r["spilled_sgprs"] + r["scratch"]
    if "error" in r:
        numbers = ["-"] * 7 + [r["error"]]
    else:
        numbers = [f"{r['product']:g}", f"{r['vector_cycles']:g}", f"{r['lds_cycles']:g}",
                   f"{r['matrix']:g}", f"{r['lds']:g}", f"{r['memory']:g}", f"{r['waits']:g}", f"**{r['bound']:.0f} %**"]
    return [r["name"], str(r["lanes"]), r["chip"], *numbers, f"{r['floor']:g} %" if r["floor"] else "",
            r["beside"], f"{r['vgprs']} / {r['waves']} / {r['lds_bytes']:,}",
            f"**{spill}**" if spill else "0"]


HEAD = ["kernel", "lanes", "chip", "product", "vector", "LDS", "matrix instr.", "LDS instr.",
        "memory instr.", "waits", "bound", "floor", "specification", "VGPRs / waves / LDS bytes", "spills"]


def plain_rows(rows):
    lines = [HEAD] + [[c.replace("**", "") for c in cells(r)] for r in rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, width)).rstrip() for line in lines)


DOCUMENT = """# What our inner loops can reach: counted in machine code, not run

Written by `scripts/gpu-bounds.sh` with RADV of Mesa {mesa} on its null device. Nothing here ran on a
GPU: a compiler for AMD chips was asked for its code (navi31 is gfx1100, RDNA3, with matrix units;
navi21 is RDNA2, without), and the instructions of one step of a kernel's tile were counted. A bound
says what the code cannot exceed, whatever the memory, clocks and driver do; it is no speed.

Cycles are those of one SIMD for one wave and one step. **vector**: a matrix instruction 32; another
2 with 64 lanes, 1 with 32; a pair that issues together 1; reading or writing a single lane 1.
**LDS**: bytes / 64, the SIMD's half of 128 bytes a cycle. **bound** = the cycles of the products alone /
the larger of the two. Instructions are counted with the trips of the loops around them inside the
step. The f32 attention is held against single issue with 64 lanes and against pairs with 32.
**waits** are the places where a wave stops for its loads between asking for them and the step's last
product: a kernel that fetches the next step's words while it multiplies has none.
The script fails when a bound is below its floor, when registers spill or scratch memory is used.

The floors are 85 % for linear and conv2d and 40 % for attention, but in four rows whose x comes as f32
and is rounded to f16 while it is staged. That takes 7.5 instructions a number: three add half of the
last digit (by its parity) and cut, one keeps it within 65504, three let infinity and NaN through, and
half of one packs. A number is rounded once for each tile of columns, so it counts most where tiles are
narrow or products cheap: 8 numbers beside 512 multiply-adds a lane (conv2d half 64x64), 16 beside 1024
(linear half 64x64), 16 beside 256 (256x16, for at most 16 columns), 16 beside 16 matrix instructions
(linear matrices). 85 % would leave 4.3 a number to the last of them: rounding and packing alone take
3.5, with the clamp 4.5. Activations that are f16 already (PARTS 8), which they are wherever an op wrote
them under `--precision fast`, need none of it: the rows beside them.

A convolution whose channels are no multiple of 16 (the first of a picture) takes another path, with a
branch for each load, which is not counted here; nor is what is done once for a place of the kernel.
navi21 has no pairs that issue together, so that 32 lanes cannot exceed 50 % there by this measure.

## Our kernels

{ours}
The column "specification" holds what was counted by hand when the work was specified, for navi31:
vector, LDS and bound of our kernel before it, or of the sketch that asked for the new one.

## Others, and ours before

The specification's figures for our kernels before this work, for the shaders of ggml and ncnn and for
the sketches it asked ours to reach, navi31. For the twelve rows of ours this script, run on the commit
before, counted the same to the last cycle; the rest are not counted by it.

{others}"""


def table_of(head, lines):
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head)] + lines) + "\n"


def markdown(rows, mesa, others):
    return DOCUMENT.format(mesa=mesa, ours=table_of(HEAD, [cells(r) for r in rows]),
                           others=open(others).read())


def pipelines(table, matrices):
    """Lines of radv_compile, and on standard error the table's rows they stand for."""
    for k in read_table(table):
        if "coopmat" in k.variant and matrices == "no":
            continue
        print(k.variant, k.lanes, len(k.constants), *k.constants)
        print(k.row, file=sys.stderr)


if __name__ == "__main__":
    verb, arguments = (sys.argv[1] if len(sys.argv) > 1 else ""), sys.argv[2:]
    if verb == "modules":
        modules(*arguments)
    elif verb == "pipelines":
        pipelines(*arguments)
    elif verb == "count":
        count(arguments)
    else:
        sys.exit(__doc__)
