#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Tables of what a Vulkan recording holds, for gpu-counts.sh.

    gpu-counts.py OUT                                        writes OUT/COUNTS.md from OUT/counts.tsv
    gpu-counts.py OUT LABEL MODEL COMMIT SAID [OPTION...]    first puts in what record_only said

counts.tsv has one line for each label, model and op: label, model, commit, options, op, ops, dispatches,
multiply-adds, bytes read, bytes written; and one with the op `*`: recordings, ops, dispatches,
barriers, bytes of the arena, submissions."""
import re
import sys

NAMES = {"s128": "TiTok S-128", "llamagen-full": "LlamaGen VQ-16", "full-d12-d12": "FlexTok d12-d12",
         "small-vqgan": "KARL small", "full-1d": "MaskGIT VQGAN"}
WHOLE = ("recordings", "ops", "dispatches", "barriers", "arena", "submissions")
# Ops whose time a GPU spends on arithmetic; what others move counts by bytes.
PRODUCTS = ("linear", "conv2d", "attention", "nearest_code")


def parse(path):
    """Sums over the recordings; the arena is the largest."""
    ops, whole = {}, dict.fromkeys(WHOLE, 0)
    for line in open(path, errors="replace"):
        m = re.search(r": (\w+): (\d+) ops, (\d+) dispatches, (\d+) multiply-adds, reads (\d+) bytes, "
                      r"writes (\d+)", line)
        if m:
            ops[m[1]] = [a + int(b) for a, b in zip(ops.get(m[1], [0] * 5), m.groups()[1:])]
        m = re.search(r": (\d+) ops, (\d+) dispatches, activations (\d+) bytes", line)
        if m:
            whole["ops"] += int(m[1])
            whole["dispatches"] += int(m[2])
            whole["arena"] = max(whole["arena"], int(m[3]))
        m = re.search(r": (\d+) barriers for \d+ dispatches, (\d+) submissions", line)
        if m:
            whole["recordings"] += 1
            whole["barriers"] += int(m[1])
            whole["submissions"] += int(m[2])
    if not ops or not whole["recordings"]:
        sys.exit(f"gpu-counts: {path}: not a whole recording")
    return ops, whole


def read(path):
    return [line.rstrip("\n").split("\t") for line in open(path) if line.strip()]


def million(x):
    return f"{x / 1e6:,.1f}"


def document(rows):
    models, labels, cell = [], [], {}
    for label, model, commit, options, op, *numbers in rows:
        if model not in models:
            models.append(model)
        if label not in labels:
            labels.append(label)
        cell.setdefault((model, label), {"commit": commit, "options": options, "ops": {}})
        numbers = [int(n) for n in numbers]
        if op == "*":
            cell[model, label]["whole"] = numbers
        else:
            cell[model, label]["ops"][op] = numbers
    text = ["# What encoding one picture asks of a GPU", "",
            "Written by `scripts/gpu-counts.sh`: a 256 x 256 picture, batch 1, as the Vulkan device records",
            "it. Bytes are what the dispatches read and write of activations (weights, the picture's upload and",
            "the download of the result are not in them); each operand of a dispatch counts once, however often",
            "caches are missed. `others` are norms, copies and everything else that is no product.", "",
            "| model | state | commit | recordings | ops | dispatches | barriers | submissions | arena MB | products, "
            "G multiply-adds | MB read and written | of it others, MB |",
            "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for model in models:
        for label in labels:
            c = cell.get((model, label))
            if not c:
                continue
            recordings, ops, dispatches, barriers, arena, submissions = c["whole"]
            adds = sum(o[2] for o in c["ops"].values())
            moved = sum(o[3] + o[4] for o in c["ops"].values())
            others = sum(o[3] + o[4] for name, o in c["ops"].items() if name not in PRODUCTS)
            options = f" (`{c['options']}`)" if c["options"] else ""
            text.append(f"| {NAMES.get(model.split('/')[-1], model)} | {label}{options} | {c['commit']} | {recordings} | {ops} "
                        f"| {dispatches} | {barriers} | {submissions} | {million(arena)} | {adds / 1e9:,.2f} | "
                        f"{million(moved)} | {million(others)} |")
    text += ["", "## By op", ""]
    for model in models:
        for label in labels:
            c = cell.get((model, label))
            if not c:
                continue
            text += [f"{NAMES.get(model.split('/')[-1], model)}, {label}:", "",
                     "| op | ops | dispatches | G multiply-adds | MB read | MB written |", "|---|---|---|---|---|---|"]
            for name, o in sorted(c["ops"].items(), key=lambda i: -(i[1][3] + i[1][4])):
                text.append(f"| {name} | {o[0]} | {o[1]} | {o[2] / 1e9:,.3f} | {million(o[3])} | {million(o[4])} |")
            text.append("")
    return "\n".join(text).rstrip() + "\n"


def main():
    out = sys.argv[1]
    path = f"{out}/counts.tsv"
    rows = read(path)
    if len(sys.argv) > 2:
        label, model, commit, said, *options = sys.argv[2:]
        ops, whole = parse(said)
        head = [label, model, commit, " ".join(options)]
        new = [head + ["*"] + [str(whole[k]) for k in WHOLE]]
        new += [head + [op, *map(str, numbers)] for op, numbers in ops.items()]
        at = next((i for i, r in enumerate(rows) if r[:2] == head[:2]), len(rows))
        rest = [r for r in rows if r[:2] != head[:2]]
        rows = rest[:at] + new + rest[at:]
        with open(path, "w") as f:
            f.writelines("\t".join(r) + "\n" for r in rows)
    with open(f"{out}/COUNTS.md", "w") as f:
        f.write(document(rows))


main()
