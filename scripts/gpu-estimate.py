#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Pictures a second that a GPU should reach by arithmetic, for the encoders that were specified.

    gpu-estimate.py [--bounds bounds.json] [--counts counts.tsv] [--out ESTIMATE.md] [--targets]

Writes a Markdown table, to standard output without --out. --targets exits 1 when the new rows miss
their targets. Nothing here was measured on a GPU. The time of one picture is a sum:

    products     floating-point operations / the rate of their kind (linear, conv2d, attention)
    others       bytes that norms, copies and element-wise ops read and write / what memory gives them
    barriers     their number x 4 us / pictures in a batch

"today" takes the rates that the specification of this work put down for the code it found; "new" takes
for each kind  0.57 x bound x peak  with the bounds of docs/gpu/bounds.json, and bytes and barriers as
counted in docs/gpu/counts.tsv. Every constant is in this file, with where it comes from."""
import argparse
import json
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DOCS = os.path.join(HERE, "..", "docs", "gpu")

# ---- constants ------------------------------------------------------------------------------------
# `stated`: in the specification. `solved`: not stated there, but the value with which its arithmetic
# gives its rows. `published`: of the device's maker.

BARRIER = 4e-6  # seconds; stated
REALISED = 0.57  # of a bound, which ggml's matrix product reaches on a 7900 XTX (0.43 of the peak of
#                  a bound of 0.76); stated
MEMORY_SHARE = 0.8  # of the published bandwidth, that reading and writing in order gets; stated
TARGET_SHARE = 0.6  # of the matrix peak; stated
JPEG_SECONDS = 5.5e-3  # reading and fitting one of 500 x 375 on one thread, serially; stated, measured
RIVAL = {"linear": 0.35, "attention": 0.35, "conv2d": 0.25}  # of the peak, for compiled PyTorch in bf16;
#                                                              stated as assumed, not measured


class Device:
    def __init__(self, name, peak, single, bandwidth, fast, f32, attention, norms, group_norms, cores, memory):
        self.name = name
        self.peak = peak  # floating-point operations a second of f16 products on matrix units; published
        self.single = single  # of f32 multiply-adds issued one at a time; published
        self.bandwidth = bandwidth  # bytes a second; published
        # Rates the specification put down for the code it found, in operations a second; stated.
        self.fast = {"linear": fast, "conv2d": fast, "attention": attention}
        self.f32 = {"linear": f32[0], "conv2d": f32[1], "attention": attention}
        # Bytes a second of norms and copies then: layer norms and copies, stated for the H200, 80 % of
        # the bandwidth elsewhere; group norms, solved for the H200 (the specification says a quarter to
        # a half of its bandwidth, for their integer divisions).
        self.norms = norms or MEMORY_SHARE * bandwidth
        self.group_norms = group_norms or MEMORY_SHARE * bandwidth
        self.cores = cores  # as its driver says, or the 32 that are taken where it does not; published
        self.memory = memory  # bytes; published


H200 = Device("H200", 989e12, 67e12, 4.8e12, 100e12, (20e12, 40e12), 10e12, 2.5e12, 1.4e12, 132, 141e9)
XTX = Device("7900 XTX", 122.8e12, 30.7e12, 0.96e12, 28.7e12, (15e12, 18e12), 4.4e12, None, None, 96, 24e9)
B580 = Device("B580", 116.7e12, 14.6e12, 0.456e12, 17e12, (5e12, 6e12), 2e12, None, None, 32, 12e9)
DEVICES = (H200, XTX, B580)


class Model:
    def __init__(self, name, flops, others, group_norm, barriers, batch, total, fused, smallest, arena, count):
        self.name = name
        self.flops = flops  # of one 256 x 256 picture, by kind, a multiply-add as 2; stated
        self.others = others  # bytes of norms and copies in f32; TiTok stated, the rest solved
        self.group_norm = group_norm  # true: those are group norms
        self.barriers = barriers  # TiTok stated; the others are taken to have a VQGAN encoder's 110
        self.batch = batch  # pictures in a batch, then; stated
        self.total = total  # bytes that all ops read and write, in f32; TiTok stated, the rest solved
        self.fused = fused  # the same in f16 with the fusions; TiTok, VQ-16 stated, FlexTok solved
        self.smallest = smallest  # rows and columns of the smallest product of its blocks, of a picture
        self.arena = arena  # bytes of activations of a picture; counted (COUNTS.md)
        self.count = count  # its name in counts.tsv


MODELS = (
    Model("TiTok S", {"linear": 19.4e9, "conv2d": 0, "attention": 2.43e9}, 63e6, False, 81, 16,
          202e6, 101e6, (385, 512), 5.5e6, "titok/s128"),
    Model("VQ-16", {"linear": 0, "conv2d": 138.0e9, "attention": 0.4e9}, 430e6, True, 110, 8,
          1145e6, 271e6, (256, 512), 100.8e6, "taming-vqgan/llamagen-full"),
    Model("FlexTok d12-d12", {"linear": 87e9, "conv2d": 252e9, "attention": 4e9}, 570e6, True, 110, 8,
          2086e6, 853e6, (1024, 512), 100.8e6, "flextok/full-d12-d12"),
    Model("KARL small", {"linear": 103e9, "conv2d": 128e9, "attention": 9e9}, 480e6, True, 110, 8,
          None, None, (256, 512), 100.8e6, "karl/small-vqgan"),
)
TARGETS = {"TiTok S": 15000, "VQ-16": 2500}  # pictures a second on an H200, for the new kernels

# What the specification's table holds, for the check that this is its arithmetic.
SPECIFIED = {
    ("H200", "target"): (27200, 4285, 1730, 2470),
    ("H200", "limit f32"): (19000, 3350, 1840, None),
    ("H200", "limit f16"): (38000, 14000, 4500, None),
    ("H200", "today fast"): (2080, 560, 235, 280),
    ("H200", "today f32"): (790, 260, 87, 104),
    ("H200", "today files"): (167, 137, 102, 110),
    ("H200", "PyTorch"): (15900, 1790, 780, 1200),
    ("7900 XTX", "target"): (3380, 532, 215, 307),
    ("7900 XTX", "today fast"): (750, 182, 74, 93),
    ("7900 XTX", "today f32"): (510, 119, 46, 60),
    ("B580", "target"): (3210, 506, 204, 292),
    ("B580", "today fast"): (390, 105, 42, 51),
    ("B580", "today f32"): (190, 41, 16, 21),
    ("B580", "limit f32"): (1800, 319, 175, None),
}


# ---- arithmetic -----------------------------------------------------------------------------------

def seconds(flops, rates, others, memory, barriers, batch):
    """Of one picture."""
    return (sum(flops[k] / rates[k] for k in flops if flops[k]) + others / memory
            + barriers * BARRIER / batch)


def today(device, model, fast):
    return 1 / seconds(model.flops, device.fast if fast else device.f32, model.others,
                       device.group_norms if model.group_norm else device.norms, model.barriers, model.batch)


def files(device, model):
    """One JPEG after the other is read by one thread while the device waits."""
    return 1 / (1 / today(device, model, True) + JPEG_SECONDS)


def target(device, model):
    return TARGET_SHARE * device.peak / sum(model.flops.values())


def limit(device, total):
    return MEMORY_SHARE * device.bandwidth / total if total else None


def rival(device, model):
    # One share for all of a transformer, one for convolutions.
    return 1 / sum(model.flops[k] / (RIVAL[k] * device.peak) for k in model.flops if model.flops[k])


def batch_from(device, model):
    """The rule of nn/batching.h: the fewest pictures whose smallest product has four tiles of 128 x 128
    for each core, where an eighth of the memory holds their activations."""
    rows, columns = model.smallest
    across, wanted, pictures = -(-columns // 128), 4 * device.cores, 1
    while -(-rows * pictures // 128) * across < wanted:
        pictures += 1
    return max(1, min(pictures, int(device.memory / 8 / model.arena)))


def with_bounds(device, model, bounds, others, barriers):
    """By bounds {kind: (per cent, on matrix units)}."""
    rates = {k: REALISED * percent / 100 * (device.peak if matrix else device.single)
             for k, (percent, matrix) in bounds.items()}
    return 1 / seconds(model.flops, rates, others, MEMORY_SHARE * device.bandwidth, barriers,
                       batch_from(device, model))


def specified_rows():
    """The specification's rows by this arithmetic, in the order of SPECIFIED."""
    rows = {}
    for d in DEVICES:
        rows[d.name, "target"] = [target(d, m) for m in MODELS]
        rows[d.name, "limit f32"] = [limit(d, m.total) for m in MODELS]
        rows[d.name, "limit f16"] = [limit(d, m.fused) for m in MODELS]
        rows[d.name, "today fast"] = [today(d, m, True) for m in MODELS]
        rows[d.name, "today f32"] = [today(d, m, False) for m in MODELS]
        rows[d.name, "today files"] = [files(d, m) for m in MODELS]
        rows[d.name, "PyTorch"] = [rival(d, m) for m in MODELS]
    return {key: rows[key] for key in SPECIFIED}


# ---- what the scripts beside this one found -------------------------------------------------------

def read_bounds(path):
    """Of each kind the kernel of an estimate: (bound in per cent, on matrix units), and its name. It is
    the best of those on matrix units that have a floor; where none has one, of all on matrix units, or
    else the f32 one. The third result: whether all kinds have kernels with floors."""
    rows = [r for r in json.load(open(path))["rows"] if r["chip"] == "navi31" and "bound" in r]
    bounds, names = {}, {}
    for kind in ("linear", "conv2d", "attention"):
        mine = [r for r in rows if r["name"].split()[0] == kind and "pairs" not in r["name"]]
        matrices = [r for r in mine if r["matrix"]]
        floors = [r for r in matrices if r["floor"]]
        chosen = floors or matrices or [r for r in mine if "d64" in r["name"]]
        best = max(chosen, key=lambda r: r["bound"])
        bounds[kind] = best["bound"], bool(best["matrix"])
        names[kind] = f"{best['name']}, {best['lanes']} lanes" + ("" if best["matrix"] else " in f32")
    return bounds, names, all(any(r["floor"] and r["name"].split()[0] == k for r in rows) for k in bounds)


PRODUCTS = ("linear", "conv2d", "attention", "nearest_code")


def read_counts(path):
    """{(model, label): [bytes of others, of all, barriers]} in the file's order."""
    found = {}
    for line in open(path):
        label, model, _, _, op, *numbers = line.rstrip("\n").split("\t")
        c = found.setdefault((model, label), [0, 0, 0])
        n = [int(x) for x in numbers]
        if op == "*":
            c[2] = n[3]  # see gpu-counts.py
        else:
            c[1] += n[3] + n[4]
            c[0] += 0 if op in PRODUCTS else n[3] + n[4]
    return found


# ---- the document ---------------------------------------------------------------------------------

def number(x):
    if x is None:
        return "-"
    digits = 3 if x >= 100 else 2
    scale = 10 ** max(0, len(str(int(x))) - digits)
    return f"{int(x / scale + 0.5) * scale:,}"


def row(name, values):
    return "| " + " | ".join([name] + [number(v) for v in values]) + " |"


def document(bounds, names, new, counts):
    labels = list(dict.fromkeys(label for _, label in counts))
    text = ["# Pictures a second, by arithmetic", "",
            "Written by `scripts/gpu-estimate.py`. **Nothing of this was measured on a GPU**: it is what follows from",
            "floating-point operations, bytes, barriers, published peaks and the [bounds](BOUNDS.md) of our inner",
            "loops. One 256 x 256 picture, encode. It says where time should go and what would be worth doing; a",
            "run on hardware ([how to report one](REPORTING.md)) replaces it.", "",
            "| pictures/s | " + " | ".join(m.name for m in MODELS) + " |", "|---|" + "---|" * len(MODELS)]
    for d in DEVICES:
        text.append(row(f"**{d.name}**: {TARGET_SHARE:.0%} of its matrix peak", [target(d, m) for m in MODELS]))
        text.append(row("limit by all bytes in f32", [limit(d, m.total) for m in MODELS]))
        text.append(row("limit by all bytes in f16, fused", [limit(d, m.fused) for m in MODELS]))
        text.append(row("before this work, fast", [today(d, m, True) for m in MODELS]))
        text.append(row("before this work, f32", [today(d, m, False) for m in MODELS]))
        if d is H200:
            text.append(row("before this work, fast, from JPEG files of 500 x 375", [files(d, m) for m in MODELS]))
        text.append(row("PyTorch in bf16, compiled, assumed shares", [rival(d, m) for m in MODELS]))
        for label in labels:
            values = [with_bounds(d, m, bounds, *(counts[m.count, label][i] for i in (0, 2)))
                      if (m.count, label) in counts else None for m in MODELS]
            text.append(row(f"**by [BOUNDS.md](BOUNDS.md), counted \"{label}\"**", values))
    text += ["", "The last rows take the bounds of " + "; ".join(
        f"{kind}: {names[kind]}, {bounds[kind][0]:.0f} %" for kind in bounds) + ".",
        "" if new else "They are the bounds of the kernels there are; new ones have not come into the table yet.",
        "", "## The arithmetic", "",
        "Time of a picture = operations / rate of their kind + bytes of norms, copies and element-wise ops / what",
        f"memory gives + barriers x {BARRIER * 1e6:g} us / batch. In the last rows a rate is {REALISED} x bound x peak"
        " of matrix units, or of f32",
        "where the kernel is in f32 (the share of its bound that ggml's matrix product reaches on a 7900",
        f"XTX); memory gives {MEMORY_SHARE:.0%} of the bandwidth; bytes and barriers are those",
        "[counted](COUNTS.md). Products are taken to hide their own bytes; the limits by bytes say when",
        "they cannot. Constants, and where each comes from:", "",
        "| device | matrix peak, TFLOP/s | f32, single issue | TB/s | before: fast | f32 linear, conv2d | attention | norms TB/s | cores | GB |",
        "|---|---|---|---|---|---|---|---|---|---|"]
    for d in DEVICES:
        text.append(f"| {d.name} | {d.peak / 1e12:g} | {d.single / 1e12:g} | {d.bandwidth / 1e12:g} | {d.fast['linear'] / 1e12:g} | "
                    f"{d.f32['linear'] / 1e12:g}, {d.f32['conv2d'] / 1e12:g} | {d.fast['attention'] / 1e12:g} | "
                    f"{d.norms / 1e12:.2f}, group norm {d.group_norms / 1e12:.2f} | "
                    f"{d.cores} | {d.memory / 1e9:g} |")
    text += ["", "Peaks and bandwidths are the makers'. Rates before this work are the specification's estimates; the",
             "rate of group norms on an H200 is the one that gives its rows. The batches of the last rows follow the",
             "rule of the library (`nn/batching.h`): the fewest pictures whose smallest product has four tiles of",
             "128 x 128 for each core, as far as an eighth of the memory goes: " + "; ".join(
                 f"{d.name} " + ", ".join(str(batch_from(d, m)) for m in MODELS) for d in DEVICES) + ".", "",
             "| model | linear, G operations | conv2d | attention | norms and copies before, MB | barriers | batch before |",
             "|---|---|---|---|---|---|---|"]
    for m in MODELS:
        text.append(f"| {m.name} | {m.flops['linear'] / 1e9:g} | {m.flops['conv2d'] / 1e9:g} | "
                    f"{m.flops['attention'] / 1e9:g} | {m.others / 1e6:g} | {m.barriers} | {m.batch} |")
    text += ["", "Operations are the specification's. Of TiTok S bytes, barriers and batch are stated there, too; of the",
             "others the bytes are those with which the arithmetic gives the specification's rows, the barriers",
             "those of a VQGAN's encoder. The test `gpu_estimate` holds all rows of the specification against this file.",
             "PyTorch's shares of the peak, "
             f"{RIVAL['linear']:.0%} of transformers and {RIVAL['conv2d']:.0%} of convolutions, are assumed."]
    return "\n".join(text) + "\n"


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--bounds", default=os.path.join(DOCS, "bounds.json"))
    p.add_argument("--counts", default=os.path.join(DOCS, "counts.tsv"))
    p.add_argument("--out")
    p.add_argument("--targets", action="store_true")
    a = p.parse_args()
    bounds, names, new = read_bounds(a.bounds)
    counts = read_counts(a.counts)
    text = document(bounds, names, new, counts)
    if a.out:
        with open(a.out, "w") as f:
            f.write(text)
    else:
        sys.stdout.write(text)
    if not a.targets:
        return 0
    missed = 0
    label = list(counts)[-1][1]  # the last state that was counted
    for m in MODELS:
        wanted = TARGETS.get(m.name)
        if not wanted:
            continue
        if (m.count, label) not in counts:
            sys.exit(f"gpu-estimate: {m.name}: not counted as \"{label}\"")
        others, _, barriers = counts[m.count, label]
        got = with_bounds(H200, m, bounds, others, barriers)
        print(f"{m.name}: wanted at least {wanted:,} pictures/s on an H200, got {got:,.0f}", file=sys.stderr)
        missed |= got < wanted
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
