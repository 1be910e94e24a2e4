#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Our numbers of pairs of pictures beside those of the Python programs, with the same weights.

    python -m venv V && V/bin/pip install torch torchvision scikit-image torchmetrics lpips \
        torch-fidelity pytorch-fid piq safetensors
    V/bin/python bench/rival_metrics.py build/release/judge_files PICTURES [--count 200] [--side 256]

Pairs are centre crops of PICTURES and the same crops through Pillow's JPEG at quality 30. Weights are
made up once, by a seed, so that nothing is downloaded: they go to both sides as the same file. Prints
for each number the largest difference beside its bound, and seconds of the processors and peak memory
(theirs: of the whole script so far). Exit code 1 where a difference is beyond its bound.
"""
import argparse
import io
import math
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file


def make_pairs(args, folder):
    names = [p for p in sorted(pathlib.Path(args.pictures).rglob("*"))
             if p.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]
    pairs = []
    for path in names:
        if len(pairs) == args.count:
            break
        picture = Image.open(path).convert("RGB")
        if min(picture.size) < args.side:
            continue
        left, top = (picture.width - args.side) // 2, (picture.height - args.side) // 2
        crop = picture.crop((left, top, left + args.side, top + args.side))
        jpeg = io.BytesIO()
        crop.save(jpeg, "JPEG", quality=30)
        os.makedirs(os.path.join(folder, "a"), exist_ok=True)
        os.makedirs(os.path.join(folder, "b"), exist_ok=True)
        one, two = (os.path.join(folder, d, f"{len(pairs):04d}.png") for d in "ab")
        crop.save(one)
        Image.open(jpeg).convert("RGB").save(two)
        pairs.append((one, two))
    return pairs


def make_weights(folder):
    """LPIPS and Inception with values that keep activations healthy; one file each."""
    import torchvision

    torch.manual_seed(20)
    files = {}
    nets = {"alex": (torchvision.models.alexnet, [64, 192, 384, 256, 256]),
            "vgg": (torchvision.models.vgg16, [64, 128, 256, 512, 512]),
            "squeeze": (torchvision.models.squeezenet1_1, [64, 128, 256, 384, 384, 512, 512])}
    for net, (make, channels) in nets.items():
        state = {k: v.clone() for k, v in make(weights=None).state_dict().items()
                 if k.startswith("features.")}
        for i, c in enumerate(channels):
            state[f"lin{i}.model.1.weight"] = torch.rand(1, c, 1, 1) * 0.2
        files[net] = os.path.join(folder, f"lpips-{net}.safetensors")
        save_file(state, files[net])
    state = inception_shapes()
    made = {}
    for name, shape in state.items():
        if name.endswith("running_var"):
            made[name] = torch.rand(shape) * 0.5 + 0.75
        elif name.endswith("bn.weight"):
            made[name] = torch.ones(shape)
        elif len(shape) >= 2:
            made[name] = torch.randn(shape) * math.sqrt(2.0 / np.prod(shape[1:]))
        else:
            made[name] = torch.randn(shape) * 0.1
    files["inception"] = os.path.join(folder, "inception.safetensors")
    save_file(made, files["inception"])
    files["inception.pth"] = os.path.join(folder, "inception.pth")
    torch.save(made, files["inception.pth"])
    return files


def inception_shapes():
    from pytorch_fid.inception import fid_inception_v3
    import pytorch_fid.inception as module

    keep = module.load_state_dict_from_url
    caught = {}

    def no_download(*_, **__):
        raise StopIteration

    module.load_state_dict_from_url = no_download
    build = module._inception_v3

    def catching(*a, **k):
        caught["net"] = build(*a, **k)
        return caught["net"]

    module._inception_v3 = catching
    try:
        fid_inception_v3()
    except StopIteration:
        pass
    module.load_state_dict_from_url, module._inception_v3 = keep, build
    return {k: tuple(v.shape) for k, v in caught["net"].state_dict().items()
            if "num_batches_tracked" not in k and "AuxLogits" not in k}


def ours(args, weights, pairs, *more):
    text = "".join(f"{a}\t{b}\n" for a, b in pairs)
    run = subprocess.run([args.judge_files, weights, "cpu", *more], input=text, text=True,
                         capture_output=True, check=True)
    lines = run.stdout.splitlines()
    return lines[:-1], lines[-1]


def tensors(pairs):
    read = lambda path: torch.from_numpy(np.asarray(Image.open(path)).copy()).permute(2, 0, 1)
    return [(read(a), read(b)) for a, b in pairs]


def theirs_lpips(net, weights, pairs):
    import lpips

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
    values, begin = [], time.process_time()
    with torch.inference_mode():
        for a, b in tensors(pairs):
            values.append(float(model(a[None] / 255.0 * 2 - 1, b[None] / 255.0 * 2 - 1)))
    return values, time.process_time() - begin


def theirs_inception(weights, pairs, preparation):
    with torch.inference_mode():
        if preparation == "tf1":
            from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

            net = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=weights)
            take = lambda x: net(x[None])[0]
        else:
            import pytorch_fid.inception as module

            module.load_state_dict_from_url = lambda *_, **__: torch.load(weights)
            net = module.InceptionV3([3]).eval()
            take = lambda x: net(x[None] / 255.0)[0].squeeze(3).squeeze(2)
        begin = time.process_time()
        both = [(take(a), take(b)) for a, b in tensors(pairs)]
        sides = [torch.cat([p[i] for p in both]).double().numpy() for i in range(2)]
    from pytorch_fid.fid_score import calculate_frechet_distance as distance

    value = distance(sides[0].mean(0), np.cov(sides[0], rowvar=False), sides[1].mean(0),
                     np.cov(sides[1], rowvar=False))
    return float(value), time.process_time() - begin


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


worst = 0


def say(what, difference, bound, note=""):
    global worst
    good = difference <= bound
    worst |= not good
    print(f"{'ok  ' if good else 'FAIL'} {what:34} max difference {difference:9.3g}  bound {bound:g}  {note}")


def pixel_rows(args, pairs):
    import piq
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure as ms_ssim,
        structural_similarity_index_measure as ssim)

    lines, last = ours(args, "-", pairs)
    got = np.array([[float(x) for x in line.split()] for line in lines])
    want, begin = [], time.process_time()
    for a, b in tensors(pairs):
        na, nb = (x.permute(1, 2, 0).numpy() for x in (a, b))
        da, db = a[None].double(), b[None].double()
        want.append([
            peak_signal_noise_ratio(na, nb, data_range=255),
            structural_similarity(na, nb, channel_axis=2, data_range=255, gaussian_weights=True,
                                  sigma=1.5, use_sample_covariance=False),
            structural_similarity(na, nb, channel_axis=2, data_range=255),
            float(ssim(db, da, data_range=255.0)),
            float(piq.multi_scale_ssim(da, db, data_range=255.0)),
            float(ms_ssim(db, da, data_range=255.0, normalize="relu"))])
    taken = time.process_time() - begin
    names = [("PSNR, scikit-image", 1e-9), ("SSIM gaussian, scikit-image", 1e-9),
             ("SSIM 7x7, scikit-image", 1e-9), ("SSIM, torchmetrics", 1e-6),
             ("MS-SSIM, piq", 1e-9), ("MS-SSIM, torchmetrics", 1e-6)]
    for i, (name, bound) in enumerate(names):
        say(name, float(np.abs(got[:, i] - np.array(want)[:, i]).max()), bound)
    print(f"     ours: {last}; theirs, all six: cpu {taken:.3f}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("judge_files")
    p.add_argument("pictures")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--side", type=int, default=256)
    p.add_argument("--inception", type=int, default=0, help="pairs for Inception; 0: all")
    args = p.parse_args()
    torch.set_num_threads(os.cpu_count())
    with tempfile.TemporaryDirectory() as folder:
        pairs = make_pairs(args, folder)
        print(f"{len(pairs)} pairs of {args.side}x{args.side}, torch {torch.__version__}")
        pixel_rows(args, pairs)
        files = make_weights(folder)
        for net in ("alex", "squeeze", "vgg"):
            lines, last = ours(args, files[net], pairs)
            want, taken = theirs_lpips(net, files[net], pairs)
            difference = max(abs(float(x) - y) for x, y in zip(lines, want))
            say(f"LPIPS {net}, lpips", difference, 1e-5, f"values up to {max(want):.3g}")
            print(f"     ours: {last}; theirs: cpu {taken:.3f} peak_mib {peak_mib():.0f}")
        some = pairs[:args.inception] if args.inception else pairs
        for preparation, who in (("tf1", "torch-fidelity"), ("torch", "pytorch-fid")):
            lines, last = ours(args, files["inception"], some, preparation)
            want, taken = theirs_inception(files["inception.pth"], some, preparation)
            got = float(lines[0].split()[1])
            say(f"Frechet {preparation}, {who}", abs(got - want), 1e-3 * max(1.0, want),
                f"{got:.6g} and {want:.6g} ({len(some)} pairs)")
            print(f"     ours: {last}; theirs: cpu {taken:.3f} peak_mib {peak_mib():.0f}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
