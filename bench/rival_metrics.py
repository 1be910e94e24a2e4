#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our numbers of pairs of pictures beside those of the Python programs, with the same weights.

    python -m venv V && V/bin/pip install torch torchvision scikit-image scipy torchmetrics lpips \
        torch-fidelity pytorch-fid piq DISTS-pytorch python-doctr safetensors
    V/bin/python bench/rival_metrics.py build/release/judge_files PICTURES... [--count 200]

Pairs are crops of --side pixels of all pictures below PICTURES, those at the corners where the
middles are too few, and the same crops through Pillow's JPEG at quality 30. Weights are made up once,
by a seed, so that nothing is downloaded: they go to both sides as the same file. PARSeq's are made
by its golden manifest's rule: --parseq build/release/make_weights MANIFEST; without it the row is
left out, as is a row whose package is missing.

Each row: both sides measure the same pairs in turns (--turns; what needs all pairs at once: one
turn), each in a process of its own, warm but for our judges, which are opened anew for each turn and
pack their weights in its time. Printed: the largest difference beside its bound, seconds of the
judging (wall, and the processors' as user) of both sides, and the peak of each process (reading
pictures, imports and all). Exit code 1 where a difference is beyond its bound.
"""
import argparse
import io
import itertools
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

PARSEQ_MEAN, PARSEQ_DEVIATION = (0.694, 0.695, 0.693), (0.299, 0.296, 0.301)
SEED = 20


# ---- pictures ----

def crops_of(names, side):
    """Middles of all pictures first, then their corners: the same ones in every run."""
    for place in range(5):
        for path in names:
            picture = Image.open(path).convert("RGB")
            width, height = picture.size
            if min(width, height) < side or (place and min(width, height) < side + 32):
                continue
            left = (width - side) // 2 if not place else (place % 2) * (width - side)
            top = (height - side) // 2 if not place else (place - 1) // 2 * (height - side)
            yield picture.crop((left, top, left + side, top + side))


def make_pairs(args, folder):
    names = sorted(p for root in args.pictures for p in pathlib.Path(root).rglob("*")
                   if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp"))
    for d in "ab":
        os.makedirs(os.path.join(folder, d), exist_ok=True)
    pairs = []
    for i, crop in enumerate(itertools.islice(crops_of(names, args.side), args.count)):
        jpeg = io.BytesIO()
        crop.save(jpeg, "JPEG", quality=30)
        one, two = (os.path.join(folder, d, f"{i:04d}.png") for d in "ab")
        crop.save(one)
        Image.open(jpeg).convert("RGB").save(two)
        pairs.append((one, two))
    return pairs


def make_words(pairs, folder):
    """Cut-outs of several shapes for a reader of words; what they show does not matter."""
    os.makedirs(os.path.join(folder, "words"), exist_ok=True)
    words = []
    for i, (one, _) in enumerate(pairs):
        picture = Image.open(one)
        width, height = 60 + i * 37 % 190, 20 + i * 13 % 40
        path = os.path.join(folder, "words", f"{i:04d}.png")
        picture.crop((2, i % 150, 2 + width, i % 150 + height)).save(path)
        words.append((path, path))
    return words


def pixels(path):
    return np.asarray(Image.open(path)).copy()


# ---- weights ----

def make_backbones(folder):
    """LPIPS and DISTS over torchvision's own initial values, which keep activations healthy."""
    import torch
    import torchvision
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    files = {}
    nets = {"alex": (torchvision.models.alexnet, [64, 192, 384, 256, 256]),
            "vgg": (torchvision.models.vgg16, [64, 128, 256, 512, 512]),
            "squeeze": (torchvision.models.squeezenet1_1, [64, 128, 256, 384, 384, 512, 512])}
    for net, (make, channels) in nets.items():
        state = {k: v.clone() for k, v in make(weights=None).state_dict().items()
                 if k.startswith("features.")}
        if net == "vgg":
            both = {name: torch.rand(1, 1475, 1, 1) * 0.2 for name in ("alpha", "beta")}
            files["dists"] = os.path.join(folder, "dists.safetensors")
            save_file({**state, **both}, files["dists"])
        for i, c in enumerate(channels):
            state[f"lin{i}.model.1.weight"] = torch.rand(1, c, 1, 1) * 0.2
        files["lpips-" + net] = os.path.join(folder, f"lpips-{net}.safetensors")
        save_file(state, files["lpips-" + net])
    return files


def without_download(module, weights):
    """pytorch-fid's and torch-fidelity's own classes, with a state dict instead of a download."""
    import torch

    module.load_state_dict_from_url = lambda *_, **__: torch.load(weights)


def inception_shapes():
    import pytorch_fid.inception as module

    class Caught(Exception):
        pass

    nets = []
    build = module._inception_v3

    def catching(*a, **k):
        nets.append(build(*a, **k))
        return nets[-1]

    def stop(*_, **__):
        raise Caught

    keep = module.load_state_dict_from_url
    module.load_state_dict_from_url, module._inception_v3 = stop, catching
    try:
        module.fid_inception_v3()
    except Caught:
        pass
    module.load_state_dict_from_url, module._inception_v3 = keep, build
    return {k: tuple(v.shape) for k, v in nets[-1].state_dict().items()
            if "num_batches_tracked" not in k and "AuxLogits" not in k}


def make_inception(folder):
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(SEED)
    made = {}
    for name, shape in inception_shapes().items():
        if name.endswith("running_var"):
            made[name] = torch.rand(shape) * 0.5 + 0.75
        elif name.endswith("bn.weight"):
            made[name] = torch.ones(shape)
        elif len(shape) >= 2:
            made[name] = torch.randn(shape) * math.sqrt(2.0 / np.prod(shape[1:]))
        else:
            made[name] = torch.randn(shape) * 0.1
    plain, torch_file = (os.path.join(folder, "inception." + s) for s in ("safetensors", "pth"))
    save_file(made, plain)
    torch.save(made, torch_file)
    return plain


# ---- their sides: each makes a function of [pair] -> [numbers of a pair], and one of all pairs ----

def batches(pairs, size):
    import torch

    for i in range(0, len(pairs), size):
        yield [torch.from_numpy(np.stack([pixels(p[k]) for p in pairs[i:i + size]])).permute(0, 3, 1, 2)
               for k in (0, 1)]


def each(fn, size=8):
    cold = [True]

    def run(pairs):
        held = list(batches(pairs, size))
        if cold.pop():  # a first call makes what later ones have
            fn(*held[0])
        cold.append(False)
        begin = time.perf_counter(), os.times().user
        values = [v for a, b in held for v in fn(a, b)]
        return values, (time.perf_counter() - begin[0], os.times().user - begin[1])
    return run


def their_psnr(_):
    from skimage.metrics import peak_signal_noise_ratio as psnr

    return each(lambda a, b: [[psnr(a[0].numpy(), b[0].numpy(), data_range=255)]], 1)


def their_ssim(_, **settings):
    from skimage.metrics import structural_similarity as ssim

    turn = lambda x: x[0].permute(1, 2, 0).numpy()
    return each(lambda a, b: [[ssim(turn(a), turn(b), channel_axis=2, data_range=255, **settings)]], 1)


def their_structure(_, which, double):
    """In f32, as people call them, or in f64 for the agreement."""
    import torch
    if which == "piq":
        from piq import multi_scale_ssim
        fn = lambda a, b: multi_scale_ssim(a, b, data_range=255.0, reduction="none")
    else:
        from torchmetrics.functional import image
        if which == "ssim":
            fn = lambda a, b: image.structural_similarity_index_measure(
                b, a, data_range=255.0, reduction="none")
        else:
            fn = lambda a, b: image.multiscale_structural_similarity_index_measure(
                b, a, data_range=255.0, normalize="relu", reduction="none")
    kind = torch.float64 if double else torch.float32
    return each(lambda a, b: [[float(v)] for v in fn(a.to(kind), b.to(kind)).reshape(-1)])


def their_lpips(weights, net):
    import lpips
    from safetensors.torch import load_file

    model = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False).eval()
    state, names = load_file(weights), {}
    for name in model.state_dict():
        parts = name.split(".")
        if parts[0] == "net":
            names[name] = "features." + ".".join(parts[2:])
        elif parts[0] == "lins":
            names[name] = f"lin{parts[1]}.model.1.weight"
        elif parts[0].startswith("lin"):
            names[name] = name
    model.load_state_dict({k: state[v] for k, v in names.items()}, strict=False)
    return each(lambda a, b: [[float(v)] for v in
                              model(a / 255.0 * 2 - 1, b / 255.0 * 2 - 1).reshape(-1)])


def their_dists(weights):
    import torchvision
    from safetensors.torch import load_file

    vgg = torchvision.models.vgg16
    torchvision.models.vgg16 = lambda *_, **__: vgg(weights=None)
    from DISTS_pytorch import DISTS
    model, state = DISTS(load_weights=False).eval(), load_file(weights)
    own = model.state_dict()
    for name in own:
        parts = name.split(".")
        if parts[0].startswith("stage") and parts[-1] in ("weight", "bias"):
            own[name] = state["features." + ".".join(parts[1:])]
        elif name in ("alpha", "beta"):
            own[name] = state[name]
    model.load_state_dict(own)
    return each(lambda a, b: [[float(v)] for v in
                              model(a / 255.0, b / 255.0).reshape(-1)])


def frechet(one, two):
    from pytorch_fid.fid_score import calculate_frechet_distance as distance

    return float(distance(one.mean(0), np.cov(one, rowvar=False), two.mean(0),
                          np.cov(two, rowvar=False)))


def their_inception(weights, preparation):
    import torch
    weights = weights.replace(".safetensors", ".pth")
    if preparation == "tf1":
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
        net = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=weights)
        take = lambda x: net(x)[0]
    else:
        import pytorch_fid.inception as module
        without_download(module, weights)
        net = module.InceptionV3([3]).eval()
        take = lambda x: net(x / 255.0)[0].squeeze(3).squeeze(2)

    def run(pairs):
        held = list(batches(pairs, 16))
        take(held[0][0])  # a first call makes what later ones have
        begin = time.perf_counter(), os.times().user
        both = [(take(a), take(b)) for a, b in held]
        taken = time.perf_counter() - begin[0], os.times().user - begin[1]
        value = frechet(*(torch.cat([p[i] for p in both]).double().numpy() for i in range(2)))
        return [[value]], taken
    return run


def their_parseq(weights, vocab):
    import torch
    from doctr.models.recognition import parseq
    from doctr.transforms import Resize
    from safetensors.torch import load_file
    from torchvision.transforms import Normalize

    model = parseq(pretrained=False, pretrained_backbone=False, vocab=vocab).eval()
    lost = model.load_state_dict(load_file(weights), strict=False)
    assert not lost.missing_keys, lost.missing_keys
    own_resize, normalise = Resize((32, 128), preserve_aspect_ratio=True), Normalize(
        PARSEQ_MEAN, PARSEQ_DEVIATION)
    try:  # later versions hand pictures on in an object
        from doctr.utils import Sample
        resize = lambda x: own_resize(Sample(image=x)).image
    except ImportError:
        resize = own_resize

    def run(words):
        held = [torch.from_numpy(pixels(p)).permute(2, 0, 1) / 255.0 for p, _ in words]
        model(normalise(torch.stack([resize(w) for w in held[:32]])), return_preds=True)
        begin = time.perf_counter(), os.times().user
        values = []
        for i in range(0, len(held), 32):
            x = normalise(torch.stack([resize(w) for w in held[i:i + 32]]))
            values += [[float(c), t] for t, c in model(x, return_preds=True)["preds"]]
        return values, (time.perf_counter() - begin[0], os.times().user - begin[1])
    return run


def their_frechet(_, rows):
    def run(files):
        sides = np.fromfile(files[0][0], np.float32).reshape(2, rows, -1).astype(np.float64)
        begin = time.perf_counter(), os.times().user
        value = frechet(*sides)
        return [[value]], (time.perf_counter() - begin[0], os.times().user - begin[1])
    return run


SIDES = {"psnr": their_psnr, "ssim": their_ssim, "structure": their_structure, "lpips": their_lpips,
         "dists": their_dists, "inception": their_inception, "parseq": their_parseq,
         "frechet": their_frechet}


def peak_mib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024


def serve():
    """Their side in a process of its own: a line of JSON asks, a line answers."""
    import torch

    torch.set_num_threads(os.cpu_count())
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what packages print is not an answer
    with torch.inference_mode():
        first = json.loads(sys.stdin.readline())
        try:
            run = SIDES[first["side"]](first["weights"], **first["settings"])
        except ImportError as error:
            print(json.dumps({"missing": str(error)}), file=answer, flush=True)
            return
        print("{}", file=answer, flush=True)
        for line in sys.stdin:
            values, taken = run(json.loads(line))
            print(json.dumps({"values": values, "seconds": taken[0], "user": taken[1],
                              "peak": peak_mib()}), file=answer, flush=True)


# ---- both sides ----

class Theirs:
    def __init__(self, side, weights, settings):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "--serve"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.missing = self.ask({"side": side, "weights": weights, "settings": settings}).get("missing")

    def ask(self, question):
        print(json.dumps(question), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def ours(args, weights, pairs, *more):
    """Lines of judge_files but its last, and that one's numbers."""
    text = "".join(f"{a}\t{b}\n" for a, b in pairs).encode()
    if more and more[0] == "frechet":
        text = pathlib.Path(pairs[0][0]).read_bytes()
    run = subprocess.run([args.judge_files, weights or "-", "cpu", *more], input=text,
                         stdout=subprocess.PIPE, check=True)
    lines = run.stdout.decode().splitlines()
    last = lines[-1].split()
    return lines[:-1], dict(zip(last[::2], map(float, last[1::2])))


failed = False


class Row:
    """One number: `columns` are those of ours to compare; bound: of the greatest difference."""

    def __init__(self, name, side, bound, more=(), weights=None, settings=None, take=None, turns=0,
                 values=None):
        self.name, self.side, self.bound, self.more = name, side, bound, more
        self.weights, self.settings, self.turns = weights, settings or {}, turns
        self.take = take or (lambda line: [float(line)])
        self.values = values  # settings of a second look at their numbers, whose time is not taken

    def differ(self, mine, other):
        """Greatest difference; texts that are not equal count 1 for each hundredth of them."""
        different = sum(a[1:] != b[1:] for a, b in zip(mine, other))
        same = [abs(a[0] - b[0]) for a, b in zip(mine, other) if a[1:] == b[1:]]
        return max(same + [100.0 * different / len(mine) if different > len(mine) / 100 else 0])

    def run(self, args, pairs):
        global failed
        theirs = Theirs(self.side, self.weights, self.settings)
        if theirs.missing:
            print(f"left out  {self.name}: {theirs.missing}")
            return theirs.close()
        turns = self.turns or args.turns
        sums, peaks, mine, other = [0.0] * 4, [0.0] * 2, [], []
        for t in range(turns):
            some = pairs[t * len(pairs) // turns:(t + 1) * len(pairs) // turns]
            if not some:
                continue
            lines, last = ours(args, self.weights, some, *self.more)
            got = theirs.ask(some)
            mine += [self.take(line) for line in lines if self.take(line) is not None]
            other += got["values"]
            for i, x in enumerate((last["seconds"], last["user"], got["seconds"], got["user"])):
                sums[i] += x
            peaks = [max(peaks[0], last["peak_mib"]), max(peaks[1], got["peak"])]
        theirs.close()
        if self.values:
            again = Theirs(self.side, self.weights, self.values)
            other = again.ask(pairs)["values"]
            again.close()
        assert len(mine) == len(other), (len(mine), len(other))
        difference = self.differ(mine, other)
        bound = self.bound if isinstance(self.bound, float) else self.bound(other)
        good = difference <= bound
        failed |= not good
        ratio = lambda a, b: f"{b / a:6.2f}" if a > 0 else "     -"
        print(f"{'ok  ' if good else 'FAIL'} {self.name:34} {difference:9.2e} {bound:8.1e} "
              f"{sums[0]:8.2f} {sums[2]:8.2f} {ratio(sums[0], sums[2])} "
              f"{sums[1]:8.2f} {sums[3]:8.2f} {ratio(sums[1], sums[3])} "
              f"{peaks[0]:6.0f} {peaks[1]:6.0f} {ratio(*peaks)}  {len(pairs)}", flush=True)


def frechet_line(line):
    return [float(line.split()[1])] if line.startswith("frechet") else None


def pixel_rows():
    column = lambda i: lambda line: [float(line.split()[i])]
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    structure = lambda name, bound, which, i: Row(
        name, "structure", bound, ("structure",), settings={"which": which, "double": False},
        take=column(i), values={"which": which, "double": True})
    return [Row("PSNR: scikit-image", "psnr", 1e-9, ("psnr",)),
            Row("SSIM, Wang: scikit-image", "ssim", 1e-9, ("ssim",), settings=gaussian),
            Row("SSIM, 7x7: scikit-image", "ssim", 1e-9, ("ssim_uniform",)),
            structure("SSIM, reflected: torchmetrics", 1e-6, "ssim", 2),
            structure("MS-SSIM: torchmetrics", 1e-6, "ms_ssim", 0),
            structure("MS-SSIM: piq", 1e-9, "piq", 1)]


def network_rows(args, folder):
    backbones = make_backbones(folder)
    rows = [Row(f"LPIPS {net}: lpips", "lpips", 1e-5, weights=backbones["lpips-" + net],
                settings={"net": net}) for net in ("alex", "squeeze", "vgg")]
    rows.append(Row("DISTS: DISTS-pytorch", "dists", 1e-5, weights=backbones["dists"]))
    inception = make_inception(folder)
    rows += [Row(f"Inception, {view}: {who}", "inception", lambda v: 1e-3 * max(1.0, v[0][0]),
                 (view,), weights=inception, settings={"preparation": view}, take=frechet_line,
                 turns=1) for view, who in (("tf1", "torch-fidelity"), ("torch", "pytorch-fid"))]
    return rows


def parseq_row(args, folder):
    if not args.parseq:
        print("left out  PARSeq: wanted --parseq MAKE_WEIGHTS MANIFEST, got none")
        return []
    weights = os.path.join(folder, "parseq.safetensors")
    subprocess.run([args.parseq[0], args.parseq[1], weights], check=True)
    vocab = json.loads(pathlib.Path(args.parseq[1]).read_text())["config"]["vocab"]

    def take(line):
        confidence, _, text = line.partition(" ")
        return [float(confidence), text]
    return [Row("PARSeq, words: docTR", "parseq", 1e-4, weights=weights, settings={"vocab": vocab},
                take=take)]


def make_features(folder, rows):
    """Two sets of as many features as Inception has, whose covariances are far from round."""
    random = np.random.default_rng(SEED)
    scale = np.geomspace(1, 1e-3, 2048).astype(np.float32)
    mix = random.standard_normal((2048, 2048), np.float32) / 45
    path = os.path.join(folder, "features.f32")
    with open(path, "wb") as f:
        for k in range(2):
            x = random.standard_normal((rows, 2048), np.float32) * scale
            f.write((np.abs(x @ mix) + np.float32(0.1) * k).tobytes())
    return [(path, path)]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("judge_files")
    p.add_argument("pictures", nargs="+")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--side", type=int, default=256)
    p.add_argument("--networks", type=int, default=0, help="pairs for networks; 0: all")
    p.add_argument("--turns", type=int, default=2)
    p.add_argument("--rows", type=int, default=3000, help="rows of the Frechet distance")
    p.add_argument("--only", default="", help="rows whose name contains this")
    p.add_argument("--parseq", nargs=2, metavar=("MAKE_WEIGHTS", "MANIFEST"))
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        pairs = make_pairs(args, folder)
        some = pairs[:args.networks] if args.networks else pairs
        print(f"{len(pairs)} pairs of {args.side}x{args.side}; load {os.getloadavg()[0]:.1f}")
        print(f"{'':39} {'differ by':>9} {'bound':>8} {'wall s: ours, theirs, ratio':>24} "
              f"{'user s: ours, theirs, ratio':>24} {'MiB':>6}  pairs", flush=True)
        wanted = [(row, pairs) for row in pixel_rows()]
        wanted += [(row, some) for row in network_rows(args, folder)]
        words = make_words(some, folder)
        wanted += [(row, words) for row in parseq_row(args, folder)]
        features = Row(f"Frechet distance, {args.rows} x 2048", "frechet",
                       lambda v: 1e-4 * max(1.0, v[0][0]), ("frechet", str(args.rows), "2048"),
                       settings={"rows": args.rows}, take=frechet_line, turns=1)
        for row, what in wanted + [(features, None)]:
            if args.only in row.name:
                row.run(args, what or make_features(folder, args.rows))
    return int(failed)


if __name__ == "__main__":
    sys.exit(serve() if sys.argv[1:] == ["--serve"] else main())
