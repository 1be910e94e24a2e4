#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Token operators: the published formulas in PyTorch and `tessera reduce`, same features, same cores, turn by turn.

    bench/rival_operators.py TESSERA [--tokens 576,2880,11664] [--channels 1024] [--rounds 3] [--only NAME,...]

Each measurement is a process of its own, so that peak memory is that operator's. Times leave out reading and
writing files and, for PyTorch, one call before. Memory is the peak of the process less what it was with the
features loaded. Needs PyTorch and NumPy. Both take as many threads as there are cores (TESSERA_THREADS)."""
import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
import time

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


OPERATORS = {
    "bipartite-merge": (bipartite_merge, lambda n: f"bipartite-merge:r={n // 4}"),
    "dpc-knn": (dpc_knn, lambda n: "dpc-knn:ratio=0.45"),
    "diverse-maxmin": (diverse_maxmin, lambda n: f"diverse-maxmin:k={round(0.098 * n)}"),
    "coverage-greedy": (coverage_greedy, lambda n: f"coverage-greedy:k={n // 9}"),
    "dct-lowpass": (dct_lowpass,
                    lambda n: "dct-lowpass:size=%d+%d,gain=ortho" % tuple(s // 2 for s in grid_of(n))),
    "cls-attention-topk": (cls_attention_topk, lambda n: f"cls-attention-topk:k={n // 4}"),
}


def make_features(path, n, dim):
    """Features around a few hundred centres, as those of pictures are; positive keys; class attention."""
    import numpy as np
    rng = np.random.default_rng(n)
    centres = rng.standard_normal((max(8, n // 16), dim), dtype=np.float32)
    x = centres[rng.integers(len(centres), size=n)] + 0.5 * rng.standard_normal((n, dim), dtype=np.float32)
    attention = rng.random((16, n), dtype=np.float32)
    head, data = {"__metadata__": {"tessera.schema": "token-set/1", "tessera.grid": "1,%d,%d" % grid_of(n)}}, b""
    for name, array in (("features", x), ("attention", attention)):
        head[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(head).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_features(torch, path):
    import numpy as np
    with open(path, "rb") as f:
        size, = struct.unpack("<Q", f.read(8))
        head = json.loads(f.read(size))
        data = f.read()
    arrays = []
    for name in ("features", "attention"):
        a, b = head[name]["data_offsets"]
        arrays.append(torch.from_numpy(np.frombuffer(data[a:b], np.float32).reshape(head[name]["shape"]).copy()))
    return arrays


def rival(name, path, rounds):
    """In a process of its own: seconds of each round, peak bytes beyond the loaded features."""
    import torch
    torch.set_num_threads(THREADS)
    x, attention = read_features(torch, path)
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with torch.inference_mode():
        OPERATORS[name][0](torch, x, attention)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = []
        for _ in range(rounds):
            start = time.perf_counter()
            OPERATORS[name][0](torch, x, attention)
            seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": seconds, "bytes": (peak - base) * 1024, "torch": torch.__version__}))


def measure(command):
    """Output and peak memory of a process."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    text = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {command}")
    return json.loads(text), usage.ru_maxrss * 1024


def main():
    if len(sys.argv) > 4 and sys.argv[1] == "rival":
        return rival(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    parser = argparse.ArgumentParser()
    parser.add_argument("tessera")
    parser.add_argument("--tokens", default="576,2880,11664")
    parser.add_argument("--channels", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(OPERATORS))
    o = parser.parse_args()
    print(f"{THREADS} threads, {o.channels} channels, median of {o.rounds} (least..most); memory beyond the features")
    with tempfile.TemporaryDirectory() as folder:
        for n in map(int, o.tokens.split(",")):
            path = os.path.join(folder, f"{n}.safetensors")
            make_features(path, n, o.channels)
            idle, base = measure([o.tessera, "reduce", path, "--op", f"cls-attention-topk:k={n}", "--trace", "--json"])
            for name in o.only.split(","):
                operation = OPERATORS[name][1](n)
                theirs, _ = measure([sys.executable, __file__, "rival", name, path, str(o.rounds)])
                ours, peaks = [], []
                for _ in range(o.rounds):
                    answer, peak = measure([o.tessera, "reduce", path, "--op", operation, "--json",
                                            "-o", os.path.join(folder, "out.safetensors"), "-f",
                                            "--threads", str(THREADS)])
                    ours.append(answer["sets"][0]["seconds"])
                    peaks.append(peak)
                a, b = statistics.median(theirs["seconds"]), statistics.median(ours)
                print(f"{n:6d} {name:20s} torch {a * 1e3:9.2f} ms ({min(theirs['seconds']) * 1e3:.2f}.."
                      f"{max(theirs['seconds']) * 1e3:.2f}) {theirs['bytes'] / 1e6:8.1f} MB   tessera {b * 1e3:9.2f} ms "
                      f"({min(ours) * 1e3:.2f}..{max(ours) * 1e3:.2f}) {max(0, max(peaks) - base) / 1e6:8.1f} MB   "
                      f"{a / b:5.1f}x", flush=True)


if __name__ == "__main__":
    main()
