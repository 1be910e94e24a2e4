# SPDX-License-Identifier: MIT
"""A small report (tessera.report/1) with its pictures, for tests of the page: make_report.py FOLDER [WIDTH HEIGHT COUNT].
Pictures are painted, candidates are means of blocks of them; PSNR and its interval are computed, the numbers of
text, faces and codes follow a formula. One picture has a name that is markup, one candidate fails once, one is exact."""
import json
import math
import os
import random
import sys

folder = sys.argv[1]
width, height, count = (int(a) for a in sys.argv[2:5]) if len(sys.argv) > 4 else (96, 64, 6)
names = ["plain.ppm", "sub/Рассвет над рекой.ppm", "日本の橋.ppm", "<script>alert(1)<.ppm", "it's \"quoted\" & more.ppm",
         "emoji 🎨 cafe\u0301.ppm"]
names = (names + ["picture %02d.ppm" % i for i in range(count)])[:count]


def paint(seed):
    rng = random.Random(seed)
    shapes = [(rng.uniform(0, width), rng.uniform(0, height), rng.uniform(6, height / 2), [rng.randrange(256) for _ in range(3)])
              for _ in range(9)]
    rows = bytearray()
    for y in range(height):
        for x in range(width):
            c = [x * 200 // width + 30, y * 160 // height + 50, 200 - x * 90 // width]
            for sx, sy, r, paint_of in shapes:
                if (x - sx) ** 2 + (y - sy) ** 2 < r * r:
                    c = paint_of
            if (x // 3 + y // 3 + seed) % 7 == 0:
                c = [v * 3 // 4 for v in c]
            rows += bytes(c)
    return rows


def blocks(rgb, side):
    out = bytearray(len(rgb))
    for by in range(0, height, side):
        for bx in range(0, width, side):
            at = [3 * (y * width + x) for y in range(by, min(by + side, height)) for x in range(bx, min(bx + side, width))]
            mean = [sum(rgb[i + c] for i in at) // len(at) for c in range(3)]
            for i in at:
                out[i:i + 3] = bytes(mean)
    return out


def save(path, rgb):
    path = os.path.join(folder, path)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(b"P6\n%d %d\n255\n" % (width, height) + rgb)


def psnr(a, b):
    mse = sum((x - y) ** 2 for x, y in zip(a, b)) / len(a)
    return 10 * math.log10(255 * 255 / mse) if mse else math.inf


def clean(v):
    return "inf" if v == math.inf else v


def summary(values):
    finite = sorted(v for v in values if v is not None and v != math.inf)
    if not finite:
        return {"mean": None, "count": 0, "missing": len(values), "why": "all pictures are equal to their originals"}
    mean = sum(finite) / len(finite)
    sd = (sum((v - mean) ** 2 for v in finite) / max(len(finite) - 1, 1)) ** 0.5
    rng = random.Random(1)
    means = sorted(sum(rng.choices(finite, k=len(finite))) / len(finite) for _ in range(400))
    at = [v is not None and v == finite[0] for v in values].index(True)
    return {"mean": mean, "sd": sd, "low": means[10], "high": means[-11], "count": len(finite),
            "missing": len(values) - len(finite), "worst": {"picture": names[at], "value": finite[0]}}


def candidate(name, kind, series, side, tokens):
    cost = {"tokens": tokens, "bytes": width * height / side / side * 3, "bits_per_pixel": 24 / side / side,
            "encode_seconds": 0.5 / side, "decode_seconds": 0.2 / side}
    reading = [1 / (1 + math.exp(-(px - side) / 2)) for px in (4, 6, 8, 12, 16, 24, 32)]
    c = {"name": name, "kind": kind, "series": series, "parameters": {"side": side}, "cost": cost,
         "command": ["tessera", "encode", "it's a folder/", "-k", str(side)],
         "text": {"reader": "painted reader", "t_acc": sum(reading) / 7, "t_ned": sum(reading) / 7 * 0.8 + 0.2, "cer": None,
                  "wer": None, "words": 700,
                  "bins": [{"low": px, "high": px * 1.4, "count": 100, "t_acc": r, "t_ned": 0.2 + 0.8 * r}
                           for px, r in zip((4, 6, 8, 12, 16, 24, 32), reading)]},
         "faces": {"embedder": "painted embedder", "f_sim": 1 / (1 + side / 16), "count": 40,
                   "bins": [{"low": px, "high": px * 2, "count": 10, "f_sim": 1 / (1 + 8 * side / px)} for px in (16, 32, 64, 128)]}}
    if kind == "tokenizer":
        uses = [round(4000 / (r + 3) ** 0.9) for r in range(256)]
        bits = -sum(u / sum(uses) * math.log2(u / sum(uses)) for u in uses if u)
        c["model"] = {"name": series, "hash": "0123456789abcdef", "precision": "f32"}
        c["codes"] = {"codebook": 1024, "used": 256, "perplexity": 2 ** bits, "entropy_bits": bits,
                      "bits_by_position": [bits * (1 - 0.4 * i / 63) for i in range(64)], "histogram": uses}
    return c


candidates = [candidate("painted-a, %d tokens" % t, "tokenizer", "painted-a", s, t) for s, t in ((16, 16), (8, 64), (4, 256))]
candidates += [candidate("画家-б, %d tokens" % t, "tokenizer", "画家-б", s, t) for s, t in ((12, 32), (6, 128))]
candidates += [candidate("Blocks q%d" % s, "anchor", "Blocks", s, None) for s in (10, 5, 3)]
candidates += [candidate("exact copy", "files", "exact copy", 1, None)]
values = [[None] * count for _ in candidates]
pictures = []
for n, name in enumerate(names):
    original = paint(n)
    save("originals/%s" % name, original)
    p = {"name": name, "width": width, "height": height, "file": "originals/%s" % name, "values": []}
    for i, c in enumerate(candidates):
        side = c["parameters"]["side"]
        made = blocks(original, side)
        if i == 1 and n == 1:
            p["values"].append({"candidate": i, "status": "the painter fell ill & left"})
            continue
        file = "candidates/%d/%s" % (i, name)
        save(file, made)
        values[i][n] = psnr(original, made)
        p["values"].append({"candidate": i, "status": "ok", "psnr": clean(values[i][n]), "blur": side / 16, "file": file,
                            "tokens": c["cost"]["tokens"], "bytes": c["cost"]["bytes"]})
    pictures.append(p)
for i, c in enumerate(candidates):
    side = c["parameters"]["side"]
    c["summary"] = {"psnr": summary(values[i]), "blur": {"mean": side / 16, "low": side / 18, "high": side / 15, "count": count}}
    c["sets"] = {"distance": {"value": side * 1.7, "count": count, "warning": "fewer pictures than dimensions: biased upwards"}}
report = {
    "schema": "tessera.report/1", "program": "tessera 0.1.0", "created": "2026-12-01T03:00:00Z",
    "command": ["tessera", "report", "originals", "-o", folder], "device": "cpu (painted)", "threads": 2, "seed": 1,
    "originals": {"path": "originals", "count": count, "hash": "fedcba9876543210"}, "at": "fitted",
    "metrics": [
        {"name": "psnr", "label": "PSNR", "unit": "dB", "better": "higher", "scope": "picture",
         "protocol": "8-bit RGB, one mean of all channels", "source": "definition"},
        {"name": "blur", "label": "Blur", "unit": "", "better": "lower", "scope": "picture", "protocol": "a formula"},
        {"name": "distance", "label": "Distance", "unit": "", "better": "lower", "scope": "set", "protocol": "a formula",
         "weights": {"name": "painted", "hash": "00ff00ff00ff00ff", "licence": "none"}}],
    "candidates": candidates, "pictures": pictures}
with open(os.path.join(folder, "report.json"), "w", encoding="utf-8") as f:
    json.dump(report, f, ensure_ascii=False, indent=1)
