# SPDX-License-Identifier: MIT
"""Trains mosaic, the bundled tokenizer, and exports it.

    python3 train_mosaic.py --data PHOTOS --out RUN fit                 # the linear codec, minutes
    python3 train_mosaic.py --data PHOTOS --out RUN train --steps 20000 # the transformers; resumes
    python3 train_mosaic.py --data PHOTOS --out RUN calibrate           # the token-count predictor
    python3 train_mosaic.py --out RUN export mosaic.safetensors
    python3 train_mosaic.py --out RUN evaluate FOLDER...                # PSNR by number of ids

PHOTOS is any folder of pictures (searched recursively); every 32nd picture by name is held out for
validation. CPU or CUDA; --seed fixes data order and initial weights; RUN/log.tsv gets the losses and
RUN/state.pt everything needed to go on after a stop. Needs torch, numpy and Pillow.
"""
import argparse
import heapq
import json
import math
import os
import struct
import time

import numpy as np
import torch
from PIL import Image

from mosaic_model import LEVELS, LUMA, CHROMA, SIZE, SLOTS, TOKENS, Mosaic, fsq_constants, pixels_of, planes_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DEFAULT = dict(enc_dim=192, enc_depth=2, enc_heads=3, dec_dim=192, dec_depth=6, dec_heads=3)


# ---- data ---------------------------------------------------------------------------------------

def find_pictures(folder):
    found = [os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs if f.lower().endswith(SUFFIXES)]
    if not found:
        raise SystemExit(f"{folder}: wanted pictures ({', '.join(SUFFIXES)}), found none")
    return sorted(found)


def load_tile(path, rng=None):
    """Centre crop at short side 256, or with rng a random scale, crop and flip."""
    with Image.open(path) as im:
        im = im.convert("RGB")
    w, h = im.size
    side = SIZE if rng is None else int(SIZE * math.exp(rng.uniform(0, 0.35)))
    short = min(w, h)
    if short != side:
        im = im.resize((max(side, round(w * side / short)), max(side, round(h * side / short))),
                       Image.BICUBIC if rng is None and short < side else Image.LANCZOS)
    w, h = im.size
    x, y = ((w - SIZE) // 2, (h - SIZE) // 2) if rng is None else (int(rng.integers(0, w - SIZE + 1)), int(rng.integers(0, h - SIZE + 1)))
    a = np.asarray(im.crop((x, y, x + SIZE, y + SIZE)))
    return a[:, ::-1] if rng is not None and rng.random() < 0.5 else a


def load_all(paths, rng=None):
    return torch.from_numpy(np.stack([load_tile(p, rng) for p in paths]))


def tile_cache(args, views):
    """RUN/tiles-<v>.npy: view 0 is the centre crop, later ones random. Returns (train, validation)."""
    paths = find_pictures(args.data)
    valid = paths[::32]
    train = [p for i, p in enumerate(paths) if i % 32]
    sets = []
    for v in range(views):
        name = os.path.join(args.out, f"tiles-{v}.npy")
        if not os.path.exists(name):
            np.save(name + ".part.npy", load_all(train, np.random.default_rng(args.seed + v) if v else None).numpy())
            os.replace(name + ".part.npy", name)
        sets.append(np.load(name, mmap_mode="r"))
    return sets, load_all(valid)


# ---- the linear codec ---------------------------------------------------------------------------

def fit(args):
    """Greedy successive refinement: the next slot goes to the coefficient with the most energy left."""
    sets, _ = tile_cache(args, args.views)
    model = Mosaic(args.config)
    corner = torch.zeros(3, LUMA, LUMA, dtype=torch.bool)
    corner[0] = True
    corner[1:, :CHROMA, :CHROMA] = True
    allowed = corner.flatten().nonzero()[:, 0]
    rows = []
    for tiles in sets:
        for i in range(0, len(tiles), 64):
            rows.append(model.coefficients(planes_of(torch.from_numpy(tiles[i:i + 64])))[:, allowed])
    left = torch.cat(rows).T.contiguous()  # [coefficients, samples]
    levels, half, offset, shift = fsq_constants()
    heap = [(-float(e), i) for i, e in enumerate((left ** 2).mean(1))]
    heapq.heapify(heap)
    last, depth = {}, {}
    for j in range(SLOTS):
        _, i = heapq.heappop(heap)
        x, n = left[i], int(levels[j])
        best = None
        for ratio in (0.35, 0.45, 0.55, 0.65, 0.8, 0.95, 1.1, 1.3):
            scale = ratio / float(x.square().mean().sqrt())
            d = (torch.tanh(x * scale) * half[j] - offset[j]).round().long() + n // 2
            count = torch.bincount(d, minlength=n).clamp(min=1)
            centre = torch.bincount(d, x, minlength=n) / count
            error = float((x - centre[d]).square().mean())
            if best is None or error < best[0]:
                best = (error, scale, centre, d)
        error, model.scale.data[j], centre, d = best
        model.table.data[j, :n] = centre
        model.source[j] = allowed[i]
        model.previous[j] = last.get(i, -1)
        model.stage[j] = depth.get(i, 0)
        last[i], depth[i] = j, depth.get(i, 0) + 1
        left[i] = x - centre[d]
        heapq.heappush(heap, (-error, i))
    torch.save({"config": args.config, "model": model.state_dict(), "step": 0}, os.path.join(args.out, "state.pt"))
    print(f"fit: {SLOTS} slots over {len(last)} coefficients, deepest chain {max(depth.values())}")


# ---- the transformers ---------------------------------------------------------------------------

def psnr_by_count(model, tiles, learned=True, counts=COUNTS, batch=16):
    """Mean PSNR of 8-bit results for each number of ids."""
    totals = {k: 0.0 for k in counts}
    with torch.no_grad():
        for i in range(0, len(tiles), batch):
            u8 = tiles[i:i + batch]
            value, _ = model.encode(planes_of(u8), learned)
            for k in counts:
                out = pixels_of(model.decode(value, torch.full((len(u8),), k, device=u8.device), learned))
                out = (out.clamp(0, 1) * 255).round()
                mse = (out - u8.float()).square().mean((1, 2, 3)).clamp(min=1e-9)
                totals[k] += float((10 * torch.log10(255 ** 2 / mse)).sum())
    return {k: t / len(tiles) for k, t in totals.items()}


def train(args):
    sets, valid = tile_cache(args, args.views)
    path = os.path.join(args.out, "state.pt")
    state = torch.load(path, weights_only=True)
    args.config = {**state["config"], **{k: v for k, v in args.config.items() if k in args.given}}
    torch.manual_seed(args.seed)
    model = Mosaic(args.config)
    missing = model.load_state_dict(state["model"], strict=False)
    print("starting at step", state["step"], "new:", len(missing.missing_keys), "dropped:", len(missing.unexpected_keys))
    model = model.to(args.device)
    valid = valid.to(args.device)
    slow = [p for n, p in model.named_parameters() if n == "table"]
    fast = [p for n, p in model.named_parameters() if n != "table" and p.requires_grad]
    optimiser = torch.optim.AdamW([{"params": fast, "weight_decay": 0.02, "rate": 1.0},
                                   {"params": slow, "weight_decay": 0.0, "rate": 0.02}], lr=args.lr, betas=(0.9, 0.95))
    if "optimiser" in state and not missing.missing_keys and not missing.unexpected_keys:
        optimiser.load_state_dict(state["optimiser"])
    average = {n: p.detach().clone() for n, p in model.named_parameters()}
    if "average" in state:
        for n in average:
            if n in state["average"]:
                average[n].copy_(state["average"][n])
    log = open(os.path.join(args.out, "log.tsv"), "a", buffering=1)
    step, began, saved = state["step"], time.time(), time.time()
    first, loss_mean = step, None
    raw = {n: p.detach().clone() for n, p in model.named_parameters()}
    while step < args.steps and (args.minutes == 0 or time.time() - began < 60 * args.minutes):
        rng = np.random.default_rng([args.seed, step])  # any step's data can be made again
        pick = rng.integers(0, len(sets[0]), args.batch)
        tiles = np.stack([sets[int(rng.integers(0, len(sets)))][i] for i in pick])
        if rng.random() < 0.5:
            tiles = tiles[:, :, ::-1].copy()
        u8 = torch.from_numpy(tiles).to(args.device)
        # Nested dropout: half powers of two, half anything, so that each doubling is seen often.
        k = np.where(rng.random(args.batch) < 0.5, 2 ** rng.integers(0, 9, args.batch),
                     np.round(2 ** rng.uniform(0, 8, args.batch))).astype(np.int64)
        done = (time.time() - began) / (60 * args.minutes) if args.minutes else (step - first) / max(1, args.steps - first)
        rate = args.lr * min(1, (step - first + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1, done))))
        for group in optimiser.param_groups:
            group["lr"] = rate * group["rate"]
        planes = planes_of(u8)
        value, _ = model.encode(planes, learned=args.learn_encoder)
        out = model.decode(value, torch.from_numpy(k).to(args.device))
        mse = (out - planes).square().mean((1, 2, 3))
        loss = (mse + 1e-4).log().mean() + args.linear_weight * mse.mean()  # mean log error is mean PSNR
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(fast, 1.0)
        optimiser.step()
        step += 1
        decay = min(args.average, (step - first + 1) / (step - first + 10))
        with torch.no_grad():
            for n, p in model.named_parameters():
                average[n].lerp_(p, 1 - decay)
        loss_mean = float(loss) if loss_mean is None else 0.98 * loss_mean + 0.02 * float(loss)
        last_step = step >= args.steps or (args.minutes and time.time() - began >= 60 * args.minutes)
        if step % args.report == 0 or last_step:
            for n, p in model.named_parameters():
                raw[n].copy_(p.detach())
                p.data.copy_(average[n])
            scores = psnr_by_count(model, valid[:args.valid], counts=(1, 4, 32, 256))
            for n, p in model.named_parameters():
                p.data.copy_(raw[n])
            line = f"{step}\t{loss_mean:.4f}\t{rate:.2e}\t{time.time() - began:.0f}\t" + "\t".join(f"{k}:{v:.2f}" for k, v in scores.items())
            print(line, flush=True)
            log.write(line + "\n")
        if time.time() - saved > 120 or last_step:
            saved = time.time()
            torch.save({"config": args.config, "model": model.state_dict(), "average": average,
                        "optimiser": optimiser.state_dict(), "step": step, "predictor": state.get("predictor")}, path + ".part")
            os.replace(path + ".part", path)


def load(args, averaged=True):
    state = torch.load(os.path.join(args.out, "state.pt"), weights_only=True, map_location="cpu")
    model = Mosaic(state["config"])
    model.load_state_dict(state["model"])
    if averaged and "average" in state:
        with torch.no_grad():
            for n, p in model.named_parameters():
                p.copy_(state["average"][n])
    return model.eval(), state


def evaluate(args):
    model, state = load(args)
    print("step", state["step"])
    for folder in args.rest:
        tiles = load_all(find_pictures(folder)) if os.path.isdir(folder) else torch.from_numpy(np.load(folder))
        for learned in (False, True):
            scores = psnr_by_count(model, tiles, learned)
            print(f"{os.path.basename(os.path.normpath(folder))}\t{len(tiles)}\t{'learned' if learned else 'linear '}\t" +
                  "\t".join(f"{k}:{v:.2f}" for k, v in scores.items()), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of photos")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=3, help="crops of each photo kept in RUN")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, 0 = by steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--average", type=float, default=0.998, help="decay of the weight average")
    parser.add_argument("--linear-weight", type=float, default=0.0, help="weight of plain squared error")
    parser.add_argument("--report", type=int, default=200)
    parser.add_argument("--valid", type=int, default=64, help="validation pictures at each report")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--learn-encoder", type=int, default=1)
    for name, value in DEFAULT.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=None, help=f"default {value}")
    parser.add_argument("verb", choices=("fit", "train", "calibrate", "export", "evaluate"))
    parser.add_argument("rest", nargs="*")
    args = parser.parse_args()
    args.given = {k for k in DEFAULT if getattr(args, k) is not None}
    args.config = {k: getattr(args, k) if k in args.given else v for k, v in DEFAULT.items()}
    if args.threads:
        torch.set_num_threads(args.threads)
    os.makedirs(args.out, exist_ok=True)
    globals()[args.verb](args)


if __name__ == "__main__":
    main()
