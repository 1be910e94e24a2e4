# SPDX-License-Identifier: MIT
"""The linear part of mosaic, fitted: the codewords of the leading ids; then classes of what these leave,
and for each class the order, source, scale and table of its slots. Plain numpy; `train_mosaic.py fit`
calls it.

Leading ids: k-means, stage after stage, each on what the stages before it left. A codebook of whole
pictures wants many pictures, so it is fitted to many crops of each photo and to their mirror images.

Classes: Lloyd's algorithm with a transform coder for a centroid: fit a coder to each class, then give each
picture to the class whose coder leaves the least log error, averaged over prefixes of 8, 16 .. 256
ids (mean PSNR is what the model is judged by). It starts from k-means on the energy of frequency bands.
"""
import heapq
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

LEVELS = (8, 8, 8, 5, 5, 5)
TOKENS, CORNER, CHROMA = 256, 64, 32
SLOTS, CLASS_DIGITS = TOKENS * 6, 2
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
CHOICE, NEAR = 64, 14  # while fitting, classes are chosen by prefixes up to 64, among the 14 most alike
PIXELS = 3 * 256 * 256
BORROWED, BORROWED_WEIGHT, MOST = 60, 0.5, 6000
STAGES, BEAM = (512, 125), 16  # codewords that the digits of a leading id number: 8*8*8, 5*5*5

LEVEL = np.array(LEVELS * TOKENS)
HALF = (LEVEL - 1) * (1 + 1e-3) / 2
OFFSET = np.where(LEVEL % 2 == 0, 0.5, 0.0)


def allowed_coefficients():
    """Indices into [plane, v, u] that may be coded: 64x64 of brightness, 32x32 of colour."""
    corner = np.zeros((3, CORNER, CORNER), bool)
    corner[0] = True
    corner[1:, :CHROMA, :CHROMA] = True
    return np.flatnonzero(corner)


# ---- leading ids ----------------------------------------------------------------------------------

def distances_to(a, codes):
    """Squared distances less |a|^2: [n, codes]."""
    return np.square(codes).sum(1)[None] - 2 * (a @ codes.T)


def blocks(n, size=4000):
    return [slice(i, i + size) for i in range(0, n, size)]


def k_means(a, weight, k, rng, rounds=10):
    codes = a[rng.choice(len(a), k, replace=False, p=weight / weight.sum())].copy()
    for r in range(rounds + 1):
        owner = np.concatenate([distances_to(a[b], codes).argmin(1) for b in blocks(len(a))])
        if r == rounds:
            return codes, owner
        order, size = np.argsort(owner, kind="stable"), np.bincount(owner, minlength=k)
        start = np.concatenate([[0], np.cumsum(size)])
        for c in range(k):
            mine = order[start[c]:start[c + 1]]
            if len(mine) >= 4:
                codes[c] = weight[mine] @ a[mine] / weight[mine].sum()
            else:
                codes[c] = a[rng.choice(len(a), p=weight / weight.sum())]


def fit_lead(a, outside, mirror, ids, seed, report=print):
    """a [n, D] the coefficients that leading ids code, outside [n] the energy of all others, mirror [D]
    the sign each takes in a mirrored picture. Returns codes [ids, 637, D]."""
    rng = np.random.default_rng([seed, 99])
    left = np.concatenate([a, a * mirror])
    outside = np.concatenate([outside, outside])
    books = []
    for size in STAGES * ids:
        weight = (1 / (np.square(left).sum(1) + outside)).astype(np.float32)  # mean log error, not mean error
        codes, owner = k_means(left, weight, size, rng)
        left -= codes[owner]
        books.append(codes)
        psnr = -10 * np.log10((np.square(left).sum(1) + outside) / PIXELS).mean()
        report(f"leading stage {len(books)} of {len(STAGES) * ids}: train {psnr:.3f} dB")
    return np.concatenate(books).reshape(ids, sum(STAGES), -1)


def search_lead(a, codes):
    """The M-algorithm of quantizer/rvq_search.c for many vectors: a [n, D] -> (ids [n, lead], left [n, D])."""
    books = [book for row in codes for book in (row[:STAGES[0]], row[STAGES[0]:])]
    chains, lefts = [], []
    for b in blocks(len(a), 1000):
        n = len(a[b])
        left, error = a[b][:, None].copy(), np.square(a[b]).sum(1)[:, None]
        chain = np.zeros((n, 1, 0), np.int64)
        for book in books:
            width = left.shape[1]
            e = (error.reshape(-1, 1) + distances_to(left.reshape(n * width, -1), book)).reshape(n, -1)
            keep = min(BEAM, e.shape[1])
            best = np.argpartition(e, keep - 1, 1)[:, :keep]
            error, source, code = np.take_along_axis(e, best, 1), best // len(book), best % len(book)
            chain = np.concatenate([np.take_along_axis(chain, source[:, :, None], 1), code[:, :, None]], 2)
            left = np.take_along_axis(left, source[:, :, None], 1) - book[code]
        first = (np.arange(n), error.argmin(1))
        chains.append(chain[first])
        lefts.append(left[first])
    chain = np.concatenate(chains)
    return chain[:, ::2] + STAGES[0] * chain[:, 1::2], np.concatenate(lefts)


def lead_values(ids, codes):
    """What each leading id stands for: ids [n, lead] -> [n, lead, D]."""
    return np.stack([row[i % STAGES[0]] + row[STAGES[0] + i // STAGES[0]] for row, i in zip(codes, ids.T)], 1)


# ---- classes --------------------------------------------------------------------------------------

def digits_of(x, scale, j):
    return np.rint(np.tanh(x * scale) * HALF[j] - OFFSET[j]).astype(np.int64) + LEVEL[j] // 2


def fit_class(x, energy, borrowed, lead):
    """x [n, M] pictures of the class, energy [n] of the whole pictures; borrowed [b, M] others at the
    class's energy, so that rare coefficients are not fitted to a handful of pictures. Weights are one
    over the error left, so that what falls is the mean log error. Returns source, scale, table."""
    n = len(x)
    left = np.ascontiguousarray(np.concatenate([x, borrowed]).T)
    outside = energy - np.square(x).sum(1)
    outside = np.concatenate([outside, np.full(len(borrowed), outside.mean())])
    base = np.concatenate([np.ones(n), np.full(len(borrowed), BORROWED_WEIGHT)])
    error = np.square(left).sum(0) + outside

    def reweigh():
        w = (base / (error + 1e-4 * PIXELS)).astype(np.float32)
        return w / w.sum()

    weight = reweigh()
    energies = np.square(left) @ weight
    heap = [(-e, i) for i, e in enumerate(energies.tolist())]
    heapq.heapify(heap)
    source = np.full(SLOTS, -1, np.int64)
    scale = np.ones(SLOTS, np.float32)
    table = np.zeros((SLOTS, max(LEVELS)), np.float32)
    start = renew = 6 * lead + CLASS_DIGITS
    for j in range(start, SLOTS):
        if j == renew:  # weights change slowly later on
            weight = reweigh()
            heap = [(-e, i) for i, e in enumerate((np.square(left) @ weight).tolist())]
            heapq.heapify(heap)
            renew = start + int((renew - start) * 1.4) + 6
        energy_left, i = heapq.heappop(heap)
        r, levels = left[i], LEVEL[j]
        deviation = max(-energy_left, 1e-12) ** 0.5
        best = None
        for ratio in (0.45, 0.65, 0.9):
            s = np.float32(ratio / deviation)
            d = digits_of(r, s, j)
            centre = np.bincount(d, weight * r, levels) / np.maximum(np.bincount(d, weight, levels), 1e-9)
            rest = r - centre[d].astype(np.float32)
            e = float(np.square(rest) @ weight)
            if best is None or e < best[0]:
                best = (e, s, centre, rest)
        e, scale[j], centre, rest = best
        error += np.square(rest) - np.square(r)
        left[i] = rest
        table[j, :levels] = centre
        source[j] = i
        heapq.heappush(heap, (-e, i))
    return source, scale, table


def counts_after(lead, ids=TOKENS):
    return [k for k in COUNTS if lead < k <= ids]


def errors(x, energy, coder, lead, ids=TOKENS):
    """Mean squared pixel error of each picture after each of counts_after(lead, ids) ids."""
    source, scale, table = coder
    outside = energy - np.square(x).sum(1)
    left = np.ascontiguousarray(x.T)
    error = np.square(left).sum(0)
    out = []
    for j in range(6 * lead + CLASS_DIGITS, 6 * ids):
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
    return fit_class(mine, shared["energy"][members], others, shared["lead"])


def cost_one(job):
    coder, rows = job
    return np.concatenate([cost(errors(shared["x"][rows[b]], shared["energy"][rows[b]], coder, shared["lead"], CHOICE))
                           for b in blocks(len(rows))]) if len(rows) else np.zeros(0)


def fit(x, energy, lead, classes, rounds, seed=1, workers=2, report=print, checks=()):
    """x [n, M] what leading ids left of the allowed coefficients, energy [n] of whole pictures less what
    they took. checks: (name, x, energy) sets whose PSNR is reported. Returns a list of coders."""
    rng = np.random.default_rng(seed)
    began = time.time()
    features = band_features(x, allowed_coefficients())
    centres = features[rng.choice(len(x), classes, replace=False)]
    for _ in range(30):
        owner = distances(features, centres).argmin(1)
        for c in range(classes):
            mine = owner == c
            centres[c] = features[mine].mean(0) if mine.sum() >= 30 else features[rng.integers(len(x))]
    shared.update(x=x, energy=energy, lead=lead)
    with ProcessPoolExecutor(workers, mp_context=get_context("fork")) as pool:
        for r in range(rounds):
            jobs = [(c, np.flatnonzero(owner == c), [seed, r, c]) for c in range(classes)]
            coders = list(pool.map(fit_one, jobs))
            for name, cx, ce in checks:
                e = np.stack([errors(cx, ce, coder, lead) for coder in coders], 1)
                pick = np.log(e + 1e-6).mean(2).argmin(1)
                psnr = -10 * np.log10(e[np.arange(len(cx)), pick]).mean(0)
                report(f"round {r} {name} " + " ".join(f"{k}:{p:.2f}" for k, p in zip(counts_after(lead), psnr)) + f" {time.time() - began:.0f}s")
            if r + 1 == rounds:
                return coders
            centres = np.stack([features[owner == c].mean(0) if (owner == c).any() else features[rng.integers(len(x))] for c in range(classes)])
            near = np.argsort(distances(features, centres), 1)[:, :NEAR]
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
