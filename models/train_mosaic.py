# SPDX-License-Identifier: MIT
"""Trains mosaic, the bundled tokenizer, and exports it.

    python3 train_mosaic.py --data PHOTOS --out RUN fit                 # the linear codec
    python3 train_mosaic.py --data PHOTOS --out RUN train --steps 20000 # the decoder; resumes
    python3 train_mosaic.py --data PHOTOS --out RUN calibrate           # the token-count predictor
    python3 train_mosaic.py --out RUN export mosaic.safetensors
    python3 train_mosaic.py --out RUN evaluate FOLDER...                # PSNR by number of ids
    python3 train_mosaic.py --out RUN golden FILE.txt                   # what tests compare the C code with
    python3 train_mosaic.py --out CROPS crop FOLDER                     # centre crops as PNG, for scripts/prefix-table.py

PHOTOS is any folder of pictures (searched recursively); every 32nd picture by name is held out for
validation. CPU or CUDA; --seed fixes data order and initial weights; RUN/log.tsv gets the losses and
RUN/state.pt everything needed to go on after a stop. Needs torch, numpy and Pillow.
"""
import argparse
import json
import math
import os
import struct
import time

import numpy as np
import torch
from PIL import Image

import fit_mosaic
from mosaic_model import CORNER, COEFFICIENTS, LEVELS, SIZE, SLOTS, Mosaic, pixels_of, planes_of

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LINEAR = ("lead_source", "lead_codes", "source", "scale", "table")
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
DEFAULT = dict(lead=4, lead_dim=160, classes=64, dec_dim=128, dec_depth=5, dec_heads=2)
STAGES, DIGITS = fit_mosaic.STAGES, len(LEVELS)


# ---- data ---------------------------------------------------------------------------------------

def find_pictures(folder):
    found = [os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs if f.lower().endswith(SUFFIXES)]
    if not found:
        raise SystemExit(f"{folder}: wanted pictures ({', '.join(SUFFIXES)}), found none")
    return sorted(found)


def scaled(im, side):
    """The picture with a short side of `side` pixels."""
    w, h = im.size
    short = min(w, h)
    return im if short == side else im.resize((max(side, round(w * side / short)), max(side, round(h * side / short))), Image.LANCZOS)


def cut(im, x, y):
    return np.asarray(im.crop((x, y, x + SIZE, y + SIZE)))


def load(path):
    with Image.open(path) as im:
        return im.convert("RGB")


def centre_tile(im):
    im = scaled(im, SIZE)
    return cut(im, (im.width - SIZE) // 2, (im.height - SIZE) // 2)


def random_tiles(im, rng, count):
    """Crops at one random scale, each mirrored or not."""
    im = scaled(im, int(SIZE * math.exp(rng.uniform(0, 0.35))))
    tiles = [cut(im, int(rng.integers(0, im.width - SIZE + 1)), int(rng.integers(0, im.height - SIZE + 1))) for _ in range(count)]
    return [t[:, ::-1] if rng.random() < 0.5 else t for t in tiles]


def load_all(paths, rng=None):
    return torch.from_numpy(np.stack([random_tiles(load(p), rng, 1)[0] if rng else centre_tile(load(p)) for p in paths]))


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

def coefficients_of(model, tiles, batch=64):
    """Tiles u8 -> (all coefficients [n, 12288], energy of the whole tile [n])."""
    c, e = [], []
    for i in range(0, len(tiles), batch):
        planes = planes_of(torch.from_numpy(np.array(tiles[i:i + batch])))
        c.append(model.coefficients(planes).numpy())
        e.append(planes.square().sum((1, 2, 3)).numpy())
    return np.concatenate(c), np.concatenate(e)


def lead_part(model, c, energy):
    """What the leading ids take: c [n, coefficients] and energy [n] are changed in place. Returns their
    ids [n, lead]."""
    source = model.lead_source.numpy()
    before = np.ascontiguousarray(c[:, source])
    ids, left = fit_mosaic.search_lead(before, model.lead_codes.numpy())
    energy += np.square(left).sum(1) - np.square(before).sum(1)
    c[:, source] = left
    return ids


def crops(args, model, source):
    """Many crops of each training photo, the centre first: (allowed coefficients of the first `whole`
    crops [whole, n, M], energy [crops, n] and the coefficients in source [crops, n, D] of all)."""
    allowed = fit_mosaic.allowed_coefficients()
    rng = np.random.default_rng([args.seed, 7])
    whole, energy, part = [], [], []
    paths = [p for i, p in enumerate(find_pictures(args.data)) if i % 32]
    for i, path in enumerate(paths):
        im = load(path)
        tiles = [centre_tile(im)] + [t for _ in range(args.scales) for t in random_tiles(im, rng, 3)]
        c, e = coefficients_of(model, np.stack(tiles))
        whole.append(c[:args.whole, allowed])
        part.append(c[:, source])
        energy.append(e)
        if i % 500 == 0:
            print(f"crops of photo {i} of {len(paths)}", flush=True)
    return np.stack(whole, 1), np.stack(energy, 1), np.stack(part, 1)


def fit(args):
    allowed = fit_mosaic.allowed_coefficients()
    model = Mosaic(args.config)
    (tiles, *_), valid = tile_cache(args, 1)
    c, e = coefficients_of(model, tiles)
    weighted = (1 / e) @ np.square(c[:, allowed])
    source = np.sort(allowed[np.argsort(-weighted)[:args.config["lead_dim"]]])
    del c
    whole, energy, part = crops(args, model, source)
    whole = whole.reshape(-1, len(allowed))
    mirror = np.where(source % 2, -1, 1).astype(np.float32)
    flat = part.reshape(-1, part.shape[2])
    codes = fit_mosaic.fit_lead(flat, energy.reshape(-1) - np.square(flat).sum(1), mirror, args.config["lead"], args.seed)
    model.lead_source.copy_(torch.from_numpy(source))
    model.lead_codes.copy_(torch.from_numpy(codes).half().float())  # as the file will hold it

    place = {int(s): i for i, s in enumerate(allowed)}
    inside = Mosaic(args.config)  # the same codes, in the numbering of `allowed`
    inside.lead_source.copy_(torch.tensor([place[int(s)] for s in source]))
    inside.lead_codes.copy_(model.lead_codes)
    left = np.ascontiguousarray(energy[:args.whole].reshape(-1))
    for b in fit_mosaic.blocks(len(whole)):
        lead_part(inside, whole[b], left[b])
    vc, ve = coefficients_of(model, valid.numpy())
    vc = np.ascontiguousarray(vc[:, allowed])
    lead_part(inside, vc, ve)
    print(f"leading ids: validation {-10 * np.log10(ve / fit_mosaic.PIXELS).mean():.2f} dB", flush=True)
    coders = fit_mosaic.fit(whole, left, args.config["lead"], args.config["classes"], args.rounds, args.seed,
                            len(os.sched_getaffinity(0)), lambda s: print(s, flush=True), [("validation", vc, ve)])
    for k, (source, scale, table) in enumerate(coders):
        model.source[k] = torch.from_numpy(np.where(source >= 0, allowed[source], -1))
        model.scale[k] = torch.from_numpy(scale)
        model.table[k] = torch.from_numpy(table).half().float()
    torch.save({"config": args.config, "model": model.state_dict(), "step": 0}, os.path.join(args.out, "state.pt"))


def code(model, tiles, screen=0):
    """The encoder: tiles u8 -> (class [n], digits [n, 1536]). With screen, only that many classes,
    the best ones after 32 ids, are tried to the end: faster, and nearly always the same."""
    c, energy = coefficients_of(model, tiles)
    lead = model.config["lead"]
    ids = lead_part(model, c, energy)
    scale, table, source = (getattr(model, n).numpy() for n in ("scale", "table", "source"))
    coders = [(source[k], scale[k], table[k]) for k in range(len(source))]
    rows = [np.arange(len(c))] * len(coders)
    if screen:
        first = np.stack([fit_mosaic.cost(fit_mosaic.errors(c, energy, coder, lead, 32)) for coder in coders], 1)
        near = np.argsort(first, 1)[:, :screen]
        rows = [np.flatnonzero((near == k).any(1)) for k in range(len(coders))]
    costs = np.full((len(c), len(coders)), np.inf)
    for k, coder in enumerate(coders):
        if len(rows[k]):
            costs[rows[k], k] = fit_mosaic.cost(fit_mosaic.errors(c[rows[k]], energy[rows[k]], coder, lead))
    owner = costs.argmin(1)
    digits = np.zeros((len(c), SLOTS), np.uint8)
    basis = np.cumprod((1,) + LEVELS[:-1])
    digits[:, :lead * DIGITS] = (ids[:, :, None] // basis % np.array(LEVELS)).reshape(len(c), -1)
    start = lead * DIGITS
    digits[:, start], digits[:, start + 1] = owner % LEVELS[0], owner // LEVELS[0]
    for k in np.unique(owner):
        mine = np.flatnonzero(owner == k)
        left = np.ascontiguousarray(c[mine].T)
        for j in range(start + fit_mosaic.CLASS_DIGITS, SLOTS):
            d = fit_mosaic.digits_of(left[source[k, j]], scale[k, j], j)
            left[source[k, j]] -= table[k, j][d]
            digits[mine, j] = d
    return owner, digits


def code_cache(args, model, tiles, name):
    path = os.path.join(args.out, f"codes-{name}.npz")
    if not os.path.exists(path):
        owner, digits = code(model, tiles, screen=0 if len(tiles) < 500 else 8)
        np.savez(path, owner=owner, digits=digits)
    z = np.load(path)
    return torch.from_numpy(z["owner"]), torch.from_numpy(z["digits"])


# ---- the decoder --------------------------------------------------------------------------------

def decode(model, owner, digits, k, learned=True):
    base = model.linear(owner, digits, k)
    return model(base, owner, k) if learned else base


def psnr_by_count(model, tiles, coded, learned=True, counts=COUNTS, batch=16):
    """Mean PSNR of 8-bit results for each number of ids."""
    totals = {k: 0.0 for k in counts}
    with torch.no_grad():
        for i in range(0, len(tiles), batch):
            u8 = tiles[i:i + batch]
            for k in counts:
                out = pixels_of(decode(model, coded[0][i:i + batch], coded[1][i:i + batch],
                                       torch.full((len(u8),), k, device=u8.device), learned))
                out = (out.clamp(0, 1) * 255).round()
                mse = (out - u8.float()).square().mean((1, 2, 3)).clamp(min=1e-9)
                totals[k] += float((10 * torch.log10(255 ** 2 / mse)).sum())
    return {k: round(t / len(tiles), 3) for k, t in totals.items()}


def train(args):
    sets, valid = tile_cache(args, args.views)
    path = os.path.join(args.out, "state.pt")
    state = torch.load(path, weights_only=True)
    args.config = {**state["config"], **{k: v for k, v in args.config.items() if k in args.given}}
    torch.manual_seed(args.seed)
    model = Mosaic(args.config)
    linear = {k: v for k, v in state["model"].items() if k in LINEAR}
    fresh = state["step"] == 0
    model.load_state_dict(linear if fresh else state["model"], strict=not fresh)
    codes = [code_cache(args, model, tiles, v) for v, tiles in enumerate(sets)]
    valid = valid[:args.valid]
    coded = tuple(t[:args.valid].to(args.device) for t in code_cache(args, model, valid.numpy(), "valid"))
    model, valid = model.to(args.device), valid.to(args.device)
    parameters = list(model.parameters())
    optimiser = torch.optim.AdamW(parameters, lr=args.lr, betas=(0.9, 0.95), weight_decay=0.02)
    average = [p.detach().clone() for p in parameters]
    if not fresh:
        optimiser.load_state_dict(state["optimiser"])
        average = [a.to(args.device) for a in state["average"]]
    else:
        print("0\t" + str(psnr_by_count(model, valid, coded, counts=(1, 4, 32, 256))), flush=True)
    log = open(os.path.join(args.out, "log.tsv"), "a", buffering=1)
    step, began, saved = state["step"], time.time(), time.time()
    first, gain_mean = step, None
    while True:
        spent = (time.time() - began) / (60 * args.minutes) if args.minutes else step / args.steps
        if spent >= 1 or step >= args.steps:
            break
        rng = np.random.default_rng([args.seed, step])  # any step's data can be made again
        pick = [(int(rng.integers(len(sets))), int(rng.integers(len(sets[0])))) for _ in range(args.batch)]
        u8 = torch.from_numpy(np.stack([sets[v][i] for v, i in pick])).to(args.device)
        owner = torch.stack([codes[v][0][i] for v, i in pick]).to(args.device)
        digits = torch.stack([codes[v][1][i] for v, i in pick]).to(args.device)
        # Nested dropout: half powers of two, half anything, so that each doubling is seen often.
        k = torch.from_numpy(np.where(rng.random(args.batch) < 0.5, 2 ** rng.integers(0, 9, args.batch),
                                      np.round(2 ** rng.uniform(0, 8, args.batch))).astype(np.int64)).to(args.device)
        rate = args.lr * min(1, (step - first + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * spent)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        planes = planes_of(u8)
        with torch.no_grad():
            base = model.linear(owner, digits, k)
        if rng.random() < 0.5:  # a mirrored picture has the mirrored linear reconstruction
            planes, base = planes.flip(3), base.flip(3)
        before = ((base - planes).square().mean((1, 2, 3)) + 1e-5).log()
        after = ((model(base, owner, k) - planes).square().mean((1, 2, 3)) + 1e-5).log()
        loss = (after - before).mean()  # mean log error is mean PSNR
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        decay = min(args.average, (step + 1) / (step + 10))
        with torch.no_grad():
            for a, p in zip(average, parameters):
                a.lerp_(p, 1 - decay)
        gain = -4.343 * loss.item()
        gain_mean = gain if gain_mean is None else 0.98 * gain_mean + 0.02 * gain
        if step % args.report == 0:
            raw = [p.detach().clone() for p in parameters]
            with torch.no_grad():
                for p, a in zip(parameters, average):
                    p.copy_(a)
            scores = psnr_by_count(model, valid, coded, counts=(1, 4, 32, 256))
            with torch.no_grad():
                for p, r in zip(parameters, raw):
                    p.copy_(r)
            line = f"{step}\tgain {gain_mean:.3f} dB\trate {rate:.2e}\t{time.time() - began:.0f} s\t" + "\t".join(f"{n}:{v:.2f}" for n, v in scores.items())
            print(line, flush=True)
            log.write(line + "\n")
        if time.time() - saved > 120:
            saved = time.time()
            save(args, model, average, optimiser, step)
    save(args, model, average, optimiser, step)


def save(args, model, average, optimiser, step):
    path = os.path.join(args.out, "state.pt")
    torch.save({"config": args.config, "model": model.state_dict(), "average": average,
                "optimiser": optimiser.state_dict(), "step": step}, path + ".part")
    os.replace(path + ".part", path)


def trained(args):
    """The model with averaged weights, on the CPU."""
    state = torch.load(os.path.join(args.out, "state.pt"), weights_only=True, map_location="cpu")
    model = Mosaic(state["config"])
    model.load_state_dict(state["model"])
    if "average" in state:
        with torch.no_grad():
            for p, a in zip(model.parameters(), state["average"]):
                p.copy_(a)
    return model.eval(), state


# ---- the number of ids for a tolerated error ------------------------------------------------------

def calibrate(args):
    """For each power of two, a line from the log L1 error of the linear codec, which the encoder can
    afford to compute, to that of the decoder. Saved in RUN/predictor.json."""
    sets, valid = tile_cache(args, args.views)
    model, _ = trained(args)
    tiles = np.concatenate([valid.numpy(), np.array(sets[0][::16])])
    owner, digits = map(torch.from_numpy, code(model, tiles))
    rows = []
    with torch.no_grad():
        for k in COUNTS:
            x, y = [], []
            for i in range(0, len(tiles), 16):
                want = torch.from_numpy(tiles[i:i + 16]).float() / 255
                count = torch.full((len(want),), k)
                base = model.linear(owner[i:i + 16], digits[i:i + 16], count)
                x += (pixels_of(base).clamp(0, 1) - want).abs().mean((1, 2, 3)).clamp(min=1e-6).log().tolist()
                out = (pixels_of(model(base, owner[i:i + 16], count)).clamp(0, 1) * 255).round() / 255
                y += (out - want).abs().mean((1, 2, 3)).clamp(min=1e-6).log().tolist()
            x, y = np.array(x), np.array(y)
            slope, offset = np.polyfit(x, y, 1)
            spread = float(np.quantile(y - (slope * x + offset), args.confidence))
            rows.append([offset + spread, slope])
            print(f"{k}\tslope {slope:.4f}\toffset {offset:.4f}\tquantile {spread:+.4f}", flush=True)
    with open(os.path.join(args.out, "predictor.json"), "w") as f:
        json.dump(rows, f)


# ---- the file -----------------------------------------------------------------------------------

def export(args):
    """model.safetensors as codec/tokenizers/mosaic/mosaic.c reads it: float16, but for what decides ids."""
    model, state = trained(args)
    path = os.path.join(args.out, "predictor.json")
    predictor = json.load(open(path)) if os.path.exists(path) else [[0.0, 1.0]] * len(COUNTS)
    k = torch.arange(257)
    tensors = {
        "slots.source": model.source.to(torch.int32),
        "slots.scale": model.scale.float(),
        "slots.table": model.table.half(),
        "lead.source": model.lead_source.to(torch.int32),
        "lead.codes": model.lead_codes.half(),
        "count.predictor": torch.tensor(predictor, dtype=torch.float32),
        "decoder.count": model.count(model.count_features(k)).detach().half(),
        "decoder.class": model.class_embedding.detach().half(),
        "decoder.pos": model.pos.detach().half(),
    }
    for name, p in model.named_parameters():
        if name.split(".")[0] in ("patch", "blocks", "norm", "head"):
            tensors["decoder." + name] = p.detach().half()
    metadata = {"tessera.family": "mosaic", "tessera.name": f"mosaic-{state['config']['classes']}",
                "tessera.config": json.dumps(state["config"], sort_keys=True), "tessera.steps": str(state["step"])}
    names = {torch.float16: "F16", torch.float32: "F32", torch.int32: "I32"}
    header, at = {"__metadata__": metadata}, 0
    for name in sorted(tensors):
        t = tensors[name] = tensors[name].contiguous()
        size = t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target = args.rest[0]
    with open(target + ".part", "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name in sorted(tensors):
            f.write(tensors[name].numpy().tobytes())
    os.replace(target + ".part", target)
    print(f"{target}: {os.path.getsize(target)} bytes, step {state['step']}")


def scene(kind):
    """The picture tests/unit/test_mosaic.c draws, from integers alone."""
    y, x, c = np.meshgrid(np.arange(SIZE), np.arange(SIZE), np.arange(3), indexing="ij")
    disc = (x - 90 - 20 * kind) ** 2 + (y - 120) ** 2
    v = 60 + (x * (c + 1) + y * (3 - c)) // 6 + 17 * kind
    v = np.where(disc < 3600, 200 - 40 * c + disc // 90, v)
    v = v + np.where(((((x >> 3) ^ (y >> (2 + kind % 3))) & 1) != 0) & (y > 170), 30, 0)
    v = v + (x * 31 + y * 17 + c * 7 + ((x * y) >> 2)) % 13 - 6
    return v.clip(0, 255).astype(np.uint8)


def golden(args):
    """Ids of two drawn pictures, and every 997th value of what 4, 32 and 256 of them decode to. The
    weights are rounded to float16 first, as in the file."""
    model, _ = trained(args)
    with torch.no_grad():
        for p in model.parameters():
            if p is not model.count.weight and p is not model.count.bias:
                p.copy_(p.half().float())
    basis = np.cumprod([1] + list(LEVELS[:-1]))
    tiles = np.stack([scene(0), scene(3)])
    owner, digits = map(torch.from_numpy, code(model, tiles))
    with open(args.rest[0], "w") as f:
        f.write("# Made by train_mosaic.py golden (PyTorch, float32) from the bundled weights.\n")
        for i, kind in enumerate((0, 3)):
            ids = (digits[i].numpy().astype(np.int64).reshape(-1, len(LEVELS)) * basis).sum(1)
            f.write(f"scene {kind}\nids " + " ".join(map(str, ids)) + "\n")
            for k in (4, 32, 256):
                with torch.no_grad():
                    out = pixels_of(decode(model, owner[i:i + 1], digits[i:i + 1], torch.tensor([k])))
                values = (out.clamp(0, 1) * 255).flatten()[::997]
                f.write(f"decode {k} " + " ".join(f"{v:.3f}" for v in values.tolist()) + "\n")


def evaluate(args):
    model, state = trained(args)
    print("step", state["step"])
    for folder in args.rest:
        tiles = load_all(find_pictures(folder))
        coded = tuple(map(torch.from_numpy, code(model, tiles.numpy())))
        for learned in (False, True):
            scores = psnr_by_count(model, tiles, coded, learned)
            print(f"{os.path.basename(os.path.normpath(folder))}\t{len(tiles)}\t{'learned' if learned else 'linear '}\t" +
                  "\t".join(f"{k}:{v:.2f}" for k, v in scores.items()), flush=True)


def crop(args):
    for path in find_pictures(args.rest[0]):
        name = os.path.splitext(os.path.basename(path))[0] + ".png"
        Image.fromarray(centre_tile(load(path))).save(os.path.join(args.out, name))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of photos")
    parser.add_argument("--out", required=True, help="folder of the run")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=3, help="crops of each photo the decoder is trained on; kept in RUN")
    parser.add_argument("--scales", type=int, default=11, help="of each photo the linear codec is fitted to; three crops each")
    parser.add_argument("--whole", type=int, default=11, help="of these crops the classes are fitted to")
    parser.add_argument("--steps", type=int, default=20000)
    parser.add_argument("--minutes", type=float, default=0, help="stop after so long, 0 = by steps")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--lr", type=float, default=6e-4)
    parser.add_argument("--average", type=float, default=0.998, help="decay of the weight average")
    parser.add_argument("--rounds", type=int, default=5, help="of fitting classes")
    parser.add_argument("--confidence", type=float, default=0.85, help="share of pictures the count should satisfy")
    parser.add_argument("--report", type=int, default=200)
    parser.add_argument("--valid", type=int, default=64, help="validation pictures at each report")
    parser.add_argument("--threads", type=int, default=0)
    for name, value in DEFAULT.items():
        parser.add_argument("--" + name.replace("_", "-"), type=int, default=None, help=f"default {value}")
    parser.add_argument("verb", choices=("fit", "train", "calibrate", "export", "evaluate", "golden", "crop"))
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
