#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Token operators and clip codebooks: the published formulas in PyTorch beside `tessera bench`, both warm, same
features, same cores, round by round.

    bench/rival_operators.py TESSERA [--tokens 576,2880,11664] [--rounds 5] [--seconds 0.5] [--only NAME,...]
                             [--clips 32x27x27] [--json]

A round measures PyTorch, then `tessera bench --filter "operators N NAME"`, for about as long; the ratio is that of a round's
medians, so that what else the machine does weighs on both. Printed are the median of the rounds and their range,
CPU time of all threads, and memory: the peak of a first call less what was there before it, each operator in a process
of its own. Needs PyTorch and NumPy. Both take as many threads as there are cores (TESSERA_THREADS)."""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

CHANNELS = 1024
THREADS = int(os.environ.get("TESSERA_THREADS", os.cpu_count()))
GRIDS = {576: (24, 24), 2880: (48, 60), 11664: (108, 108)}


def grid_of(n):
    if n in GRIDS:
        return GRIDS[n]
    side = int(n ** 0.5)
    while n % side:
        side -= 1
    return side, n // side


# ---- the formulas, as their authors compute them, on x [N, D] -------------------------------------------------

def bipartite_merge(torch, x, attention):
    """ToMe: even rows join the most similar odd rows, the r best pairs merge, means by size."""
    n, dim = x.shape
    r = n // 4
    unit = x / x.norm(dim=-1, keepdim=True)
    a, b = unit[::2], unit[1::2]
    best, to = (a @ b.T).max(dim=-1)
    order = best.argsort(descending=True)
    source, rest = order[:r], order[r:]
    target = to[source]
    kept, merged = x[::2][rest], x[1::2].clone()
    size = torch.ones(merged.shape[0], 1)
    merged.scatter_add_(0, target[:, None].expand(-1, dim), x[::2][source])
    size.scatter_add_(0, target[:, None], torch.ones(r, 1))
    return torch.cat([kept, merged / size])


def dpc_knn(torch, x, attention):
    """PPE / Chat-UniVi: density peaks of the k nearest, the noise left out."""
    n, dim = x.shape
    clusters, k = -(-n * 45 // 100), 5
    distance = torch.cdist(x[None], x[None])[0] / dim ** 0.5
    density = (-(distance.topk(k, largest=False).values ** 2).mean(dim=-1)).exp()
    denser = density[None, :] > density[:, None]
    far = distance.max()
    delta = torch.where(denser, distance, far).min(dim=-1).values
    centres = (delta * density).topk(clusters).indices
    label = distance[centres].min(dim=0).indices
    label[centres] = torch.arange(clusters)
    out, count = torch.zeros(clusters, dim), torch.zeros(clusters, 1)
    out.index_add_(0, label, x)
    count.index_add_(0, label, torch.ones(n, 1))
    return out / (count + 1e-6)


def diverse_maxmin(torch, x, attention):
    """DivPrune: the next token is the one furthest from all taken."""
    n = x.shape[0]
    k = round(0.098 * n)
    unit = x / x.norm(dim=-1, keepdim=True)
    distance = 1 - unit @ unit.T
    taken = torch.empty(k, dtype=torch.long)
    for i in range(k):
        if i == 0:
            score = distance.topk(2, dim=0, largest=False).values[1]
        else:
            score = distance[taken[:i]].min(dim=0).values
        taken[i] = score.argmax()
    return x[taken.sort().values]


def coverage_greedy(torch, x, attention):
    """MMTok without text: facility location on softmaxed similarities."""
    n = x.shape[0]
    k = n // 9
    unit = x / x.norm(dim=-1, keepdim=True)
    rows = torch.softmax(unit @ unit.T / 0.2, dim=-1) * (0.5 / n)
    best, taken = torch.zeros(n), []
    for _ in range(k):
        gain = (rows - best[:, None]).clamp(min=0).sum(dim=0)
        gain[taken] = -1
        pick = int(gain.argmax())
        taken.append(pick)
        best = torch.maximum(best, rows[:, pick])
    return x[sorted(taken)]


def dct_lowpass(torch, x, attention):
    """Fourier-VLM: low quarter of the DCT-II, by a complex FFT of each axis as torch-dct does it."""
    h, w = grid_of(x.shape[0])

    def dct(v):
        n = v.shape[-1]
        v = torch.cat([v[..., ::2], v[..., 1::2].flip(-1)], dim=-1)
        k = -torch.arange(n) * torch.pi / (2 * n)
        f = torch.fft.fft(v)
        out = f.real * torch.cos(k) - f.imag * torch.sin(k)
        out = out * (2 / (2 * n) ** 0.5)
        out[..., 0] /= 2 ** 0.5
        return out

    def idct(v):
        n = v.shape[-1]
        k = torch.arange(n) * torch.pi / (2 * n)
        c = v * ((2 * n) ** 0.5 / 2)
        c = torch.cat([c[..., :1] * 2 ** 0.5, c[..., 1:]], dim=-1)
        t = torch.cat([c[..., :1] * 0, -c.flip(-1)[..., :-1]], dim=-1)
        real = c * torch.cos(k) - t * torch.sin(k)
        imaginary = c * torch.sin(k) + t * torch.cos(k)
        y = torch.fft.ifft(torch.complex(real, imaginary)).real
        out = torch.empty_like(y)
        out[..., ::2] = y[..., :n - n // 2]
        out[..., 1::2] = y.flip(-1)[..., :n // 2]
        return out

    grid = x.T.reshape(-1, h, w)
    f = dct(dct(grid).transpose(1, 2)).transpose(1, 2)[:, :h // 2, :w // 2]
    y = idct(idct(f.contiguous()).transpose(1, 2)).transpose(1, 2)
    return y.reshape(x.shape[1], -1).T.contiguous()


def cls_attention_topk(torch, x, attention):
    """FasterVLM: the tokens with the highest head-mean class attention."""
    n = x.shape[0]
    index = attention.mean(dim=0).topk(n // 4).indices
    mask = torch.zeros(n, dtype=torch.bool)
    mask[index] = True
    return x[mask]


OPERATORS = {"bipartite-merge": bipartite_merge, "dpc-knn": dpc_knn, "diverse-maxmin": diverse_maxmin,
             "coverage-greedy": coverage_greedy, "dct-lowpass": dct_lowpass, "cls-attention-topk": cls_attention_topk}


# ---- VQToken's clustering, as released: cluster.py of Hai-chao-Zhang/VQToken @ 019f89f ---------------------------

def seeds(torch, x, k):
    """k-means++ that measures all distances anew for each centroid."""
    picked = [x[torch.randint(len(x), (1,)).item()]]
    while len(picked) < k:
        weight = torch.cdist(x, torch.stack(picked)).amin(dim=1).square() + 1e-6
        picked.append(x[torch.multinomial(weight / weight.sum(), 1).item()])
    return torch.stack(picked)


def kmeans(torch, x, k, passes):
    """`passes` passes: x is divided by its length in each, a mean gathers its rows."""
    centroid = seeds(torch, x, k)
    for _ in range(passes):
        unit = x / x.norm(dim=-1, keepdim=True)
        label = (1 - unit @ (centroid / centroid.norm(dim=-1, keepdim=True)).T).argmin(dim=1)
        mean = []
        for c in range(k):
            rows = x[label == c]
            mean.append(rows.mean(dim=0) if len(rows) else centroid[c])
        moved = torch.stack(mean)
        torch.linalg.norm(moved - centroid)
        centroid = moved
    return label, centroid


def clip_fixed(torch, x, passes):
    return kmeans(torch, x / x.norm(dim=-1, keepdim=True), 32, passes)


def clip_elbow(torch, x, passes):
    x = x / x.norm(dim=-1, keepdim=True)
    distortion = []
    for k in range(12, 33):
        label, centroid = kmeans(torch, x, k, passes)
        distortion.append(((x - centroid[label]) ** 2).sum().item())
    bend = [distortion[i + 2] - 2 * distortion[i + 1] + distortion[i] for i in range(len(distortion) - 2)]
    return kmeans(torch, x, 13 + max(range(len(bend)), key=bend.__getitem__), passes)


# name of the row: cells, passes, formula
CLIPS = {"2x27x27 K=32": (2 * 729, 3, clip_fixed), "2x27x27 elbow": (2 * 729, 3, clip_elbow),
         "32x27x27 K=32": (32 * 729, 10, clip_fixed), "32x27x27 elbow": (32 * 729, 10, clip_elbow)}


# ---- features by rule, as bench/bench_reduce.c makes them --------------------------------------------------------

def uniform(np, count, seed):
    """count numbers in -1..1: tsr_bench_floats."""
    h = np.arange(count, dtype=np.uint32) * np.uint32(2654435761) + np.uint32(seed * 40503)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    h ^= h >> np.uint32(16)
    return (h >> np.uint32(8)).astype(np.float32) * np.float32(2 / 16777216) - np.float32(1)


def make_features(np, n, dim, centres):
    x = uniform(np, n * dim, 1).reshape(n, dim)
    centre = uniform(np, centres * dim, 2).reshape(centres, dim)
    owner = ((uniform(np, n, 3).astype(np.float64) + 1) / 2 * centres).astype(np.int64)
    x *= np.float32(0.5)
    x += centre[owner]
    x *= np.sqrt(np.float32(3))
    return x


# ---- PyTorch in a process of its own -------------------------------------------------------------------------------

def peak_bytes():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmHWM")) * 1024


def forget_peak():
    with open("/proc/self/clear_refs", "w") as f:
        f.write("5")


def rival(name, n, seconds):
    """Answers each line of its input with a round."""
    import numpy as np
    import torch
    torch.set_num_threads(THREADS)
    if name in CLIPS:
        cells, passes, formula = CLIPS[name]
        x = torch.from_numpy(make_features(np, cells, 896, 4))
        run = lambda: formula(torch, x, passes)
    else:
        x = torch.from_numpy(make_features(np, n, CHANNELS, n // 16))
        attention = torch.from_numpy((uniform(np, 16 * n, 4).reshape(16, n) + 1) / 2)
        run = lambda: OPERATORS[name](torch, x, attention)
    with torch.inference_mode():
        torch.ones(64, 64) @ torch.ones(64, 64)  # what the library itself takes is not the operator's
        forget_peak()
        base = peak_bytes()
        run()
        used = peak_bytes() - base
        for _ in sys.stdin:
            times, cpu, start = [], time.process_time(), time.perf_counter()
            while not times or time.perf_counter() - start < seconds:
                one = time.perf_counter()
                run()
                times.append(time.perf_counter() - one)
            cpu = (time.process_time() - cpu) / len(times)
            print(json.dumps({"ms": statistics.median(times) * 1e3, "cpu_ms": cpu * 1e3, "bytes": used,
                              "n": len(times), "torch": torch.__version__}), flush=True)


class Rival:
    def __init__(self, name, n, seconds):
        self.process = subprocess.Popen([sys.executable, __file__, "rival", name, str(n), str(seconds)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("the PyTorch process ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


# ---- rounds ---------------------------------------------------------------------------------------------------------

def ours(tessera, row, seconds):
    out = subprocess.run([tessera, "bench", "--filter", row, "--device", "cpu", "--seconds", str(seconds),
                          "--threads", str(THREADS), "--json"],
                         check=True, capture_output=True, text=True).stdout
    rows = [r for r in json.loads(out)["rows"] if r["name"] == row]
    if len(rows) != 1 or "median_ms" not in rows[0]:
        sys.exit(f"no row {row}: {out}")
    r = rows[0]
    return {"ms": r["median_ms"], "cpu_ms": r["cpu_ms"], "bytes": r.get("activation_bytes", 0), "n": r["n"],
            "commit": r["commit"]}


def spread(values):
    return "%.4g (%.4g to %.4g)" % (statistics.median(values), min(values), max(values))


def compare(tessera, n, name, o):
    """A row of operators with n tokens, or with n 0 one of clips."""
    rival_process = Rival(name, n, o.seconds)
    theirs, mine = [], []
    for _ in range(o.rounds):
        theirs.append(rival_process.round())
        mine.append(ours(tessera, f"operators {n} {name}" if n else f"clips {name}", o.seconds))
    rival_process.close()
    ratio = [a["ms"] / b["ms"] for a, b in zip(theirs, mine)]
    cpu = [a["cpu_ms"] / b["cpu_ms"] for a, b in zip(theirs, mine)]
    mega = [max(r["bytes"] for r in rows) / 1e6 for rows in (theirs, mine)]
    row = {"tokens": n, "operator": name, "rounds": o.rounds, "torch": theirs, "tessera": mine, "ratio": ratio,
           "cpu_ratio": cpu}
    if o.json:
        print(json.dumps(row), flush=True)
    else:
        print(f"| {n:,} | `{name}` |" if n else f"| clip | {name} |", end="")
        print(f" {spread([r['ms'] for r in theirs])} | {spread([r['ms'] for r in mine])} | "
              f"{spread(ratio)}x | {statistics.median(cpu):.3g}x | {mega[0]:.0f} | {mega[1]:.0f} |", flush=True)


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "rival":
        return rival(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tessera")
    parser.add_argument("--tokens", default="576,2880,11664")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a round, each side")
    parser.add_argument("--only", default=",".join(OPERATORS))
    parser.add_argument("--clips", default="", help="rows of clips that begin with this, instead of operators: 2x27x27, 32x27x27")
    parser.add_argument("--json", action="store_true", help="a line of JSON a row, every round in it")
    o = parser.parse_args()
    if not o.json:
        print("| tokens | operator | PyTorch ms | tessera ms | times as fast | in CPU time | PyTorch MB | tessera MB |")
        print("|---|---|---|---|---|---|---|---|")
    for name in CLIPS if o.clips else ():
        if name.startswith(o.clips):
            compare(o.tessera, 0, name, o)
    for n in map(int, o.tokens.split(",")) if not o.clips else ():
        for name in o.only.split(","):
            compare(o.tessera, n, name, o)


if __name__ == "__main__":
    main()
