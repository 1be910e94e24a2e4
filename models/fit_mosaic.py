# SPDX-License-Identifier: MIT
"""The linear part of mosaic, fitted: classes of pictures, and for each class the order, source, scale
and table of its 1534 slots. Plain numpy; `train_mosaic.py fit` calls it.

Lloyd's algorithm with a transform coder for a centroid: fit a coder to each class, then give each
picture to the class whose coder leaves the least log error, averaged over prefixes of 1, 2, 4 .. 256
ids (mean PSNR is what the model is judged by). It starts from k-means on the energy of frequency bands.
"""
import heapq
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

LEVELS = (8, 8, 8, 5, 5, 5)
TOKENS, CORNER, CHROMA, MEAN = 256, 64, 32, 24
SLOTS, CLASS_DIGITS = TOKENS * 6, 2
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
PIXELS = 3 * 256 * 256
BORROWED, BORROWED_WEIGHT, MOST = 60, 0.5, 1500

LEVEL = np.array(LEVELS * TOKENS)
HALF = (LEVEL - 1) * (1 + 1e-3) / 2
OFFSET = np.where(LEVEL % 2 == 0, 0.5, 0.0)


def allowed_coefficients():
    """Indices into [plane, v, u] that may be coded: 64x64 of brightness, 32x32 of colour."""
    corner = np.zeros((3, CORNER, CORNER), bool)
    corner[0] = True
    corner[1:, :CHROMA, :CHROMA] = True
    return np.flatnonzero(corner)


def digits_of(x, scale, j):
    return np.rint(np.tanh(x * scale) * HALF[j] - OFFSET[j]).astype(np.int64) + LEVEL[j] // 2


def fit_class(x, borrowed, low):
    """x [n, M] pictures of the class; borrowed [b, M] others at the class's energy, so that rare
    coefficients are not fitted to a handful of pictures. Returns mean [M], source, scale, table."""
    n = len(x)
    mean = x.mean(0) * low * (n / (n + 40.0))
    left = np.ascontiguousarray(np.concatenate([x - mean, borrowed]).T)
    weight = np.concatenate([np.ones(n), np.full(len(borrowed), BORROWED_WEIGHT)]).astype(np.float32)
    weight /= weight.sum()
    heap = [(-e, i) for i, e in enumerate((np.square(left) @ weight).tolist())]
    heapq.heapify(heap)
    source = np.full(SLOTS, -1, np.int64)
    scale = np.ones(SLOTS, np.float32)
    table = np.zeros((SLOTS, max(LEVELS)), np.float32)
    for j in range(CLASS_DIGITS, SLOTS):
        energy, i = heapq.heappop(heap)
        r, levels = left[i], LEVEL[j]
        deviation = max(-energy, 1e-12) ** 0.5
        best = None
        for ratio in (0.45, 0.65, 0.9):
            s = np.float32(ratio / deviation)
            d = digits_of(r, s, j)
            centre = np.bincount(d, weight * r, levels) / np.maximum(np.bincount(d, weight, levels), 1e-6)
            rest = r - centre[d].astype(np.float32)
            error = float(np.square(rest) @ weight)
            if best is None or error < best[0]:
                best = (error, s, centre, rest)
        error, scale[j], centre, left[i] = best
        table[j, :levels] = centre
        source[j] = i
        heapq.heappush(heap, (-error, i))
    return mean.astype(np.float32), source, scale, table


def errors(x, energy, coder, ids=TOKENS):
    """Mean squared pixel error of each picture after 1, 2, 4 .. ids ids: [n, 9]."""
    mean, source, scale, table = coder
    outside = energy - np.square(x).sum(1)
    left = np.ascontiguousarray((x - mean).T)
    error = np.square(left).sum(0)
    out = []
    for j in range(CLASS_DIGITS, 6 * ids):
        r = left[source[j]]
        rest = r - table[j][digits_of(r, scale[j], j)]
        error += np.square(rest) - np.square(r)
        left[source[j]] = rest
        if (j + 1) % 6 == 0 and (j + 1) // 6 in COUNTS:
            out.append((np.maximum(error, 0) + outside) / PIXELS)
    return np.stack(out, 1)


def cost(error):
    return np.log(error + 1e-6).mean(1)


def band_features(x, allowed):
    """Log energy of (plane kind, octave, direction) bands: [n, bands]."""
    plane, v, u = allowed // (CORNER * CORNER), allowed // CORNER % CORNER, allowed % CORNER
    radius = np.hypot(u, v)
    octave = np.clip(np.log2(np.maximum(radius, 0.5)) + 1, 0, 6.9).astype(int)
    direction = (np.arctan2(v, np.maximum(u, 1e-9)) / (np.pi / 2) * 2.999).astype(int) * (radius > 0)
    _, band = np.unique((np.minimum(plane, 1) * 7 + octave) * 3 + direction, return_inverse=True)
    onehot = np.zeros((len(allowed), band.max() + 1), np.float32)
    onehot[np.arange(len(allowed)), band] = 1
    size = onehot.sum(0)
    energy = np.concatenate([np.square(x[i:i + 1000]) @ onehot for i in range(0, len(x), 1000)]) / size
    f = np.log(energy + 1e-3 * np.square(x[:2000]).mean())
    return (f - f.mean(0)) * size ** 0.25


def distances(a, b):
    return np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2 * a @ b.T


shared = {}  # what worker processes see after the fork


def fit_one(job):
    c, members, seed = job
    x, rng = shared["x"], np.random.default_rng(seed)
    if len(members) > MOST:
        members = np.sort(rng.choice(members, MOST, replace=False))
    mine = x[members]
    others = x[rng.choice(len(x), BORROWED, replace=False)]
    others = others * np.sqrt(np.square(mine).sum(1).mean() / np.square(others).sum(1))[:, None]
    return fit_class(mine, others, shared["low"])


def cost_one(job):
    coder, rows = job
    return cost(errors(shared["x"][rows], shared["energy"][rows], coder)) if len(rows) else np.zeros(0)


def fit(x, energy, classes, rounds, seed=1, workers=2, report=print, checks=()):
    """x [n, M] allowed coefficients, energy [n] of whole pictures. checks: (name, x, energy) sets whose
    PSNR is reported. Returns a list of coders."""
    allowed = allowed_coefficients()
    rng = np.random.default_rng(seed)
    began = time.time()
    features = band_features(x, allowed)
    centres = features[rng.choice(len(x), classes, replace=False)]
    for _ in range(30):
        owner = distances(features, centres).argmin(1)
        for c in range(classes):
            mine = owner == c
            centres[c] = features[mine].mean(0) if mine.sum() >= 30 else features[rng.integers(len(x))]
    shared.update(x=x, energy=energy, low=((allowed // CORNER % CORNER < MEAN) & (allowed % CORNER < MEAN)).astype(np.float32))
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for r in range(rounds):
            jobs = [(c, np.flatnonzero(owner == c), [seed, r, c]) for c in range(classes)]
            coders = list(pool.map(fit_one, jobs))
            for name, cx, ce in checks:
                e = np.stack([errors(cx, ce, coder) for coder in coders], 1)
                pick = np.log(e + 1e-6).mean(2).argmin(1)
                psnr = -10 * np.log10(e[np.arange(len(cx)), pick]).mean(0)
                report(f"round {r} {name} " + " ".join(f"{k}:{p:.2f}" for k, p in zip(COUNTS, psnr)) + f" {time.time() - began:.0f}s")
            if r + 1 == rounds:
                return coders
            centres = np.stack([features[owner == c].mean(0) if (owner == c).any() else features[rng.integers(len(x))] for c in range(classes)])
            near = np.argsort(distances(features, centres), 1)[:, :14]
            rows = [np.flatnonzero((near == c).any(1) | (owner == c)) for c in range(classes)]
            table = np.full((len(x), classes), 1e9)
            for c, values in enumerate(pool.map(cost_one, list(zip(coders, rows)))):
                table[rows[c], c] = values
            owner = table.argmin(1)
            sizes = np.bincount(owner, minlength=classes)
            for c in np.flatnonzero(sizes < 25):  # a class that died takes part of the largest
                largest = np.flatnonzero(owner == sizes.argmax())
                owner[rng.choice(largest, min(60, len(largest) // 2), replace=False)] = c
                sizes = np.bincount(owner, minlength=classes)
            report(f"round {r} train {-4.343 * table.min(1).mean():.3f} dB, classes of {sizes.min()} to {sizes.max()} {time.time() - began:.0f}s")
