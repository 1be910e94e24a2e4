#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A tower by transformers and by tessera: same weights, same pictures, same cores, turn by turn.

    bench/rival_towers.py TESSERA FOLDER [ROUNDS [PICTURES]]

FOLDER holds model.safetensors (or its index) and config.json of a CLIP, SigLIP or DINOv2; made-up weights
will do: `make_weights MANIFEST FOLDER/model.safetensors` of a golden case writes some. Needs PyTorch,
transformers and Pillow. Both make the usual features of 1 or 16 PICTURES (default 1) of the tower's size:
transformers in this process, attention by PyTorch's own fused kernel, without the blocks that are not needed;
tessera by `tessera bench -t`, which times the same walk. A round (default 3) is three calls of the one, then
one `tessera bench`. Walls are medians of all rounds, seconds of the processors those of transformers' calls:
on a busy machine they are the ones to trust. Features of one picture are compared at the end.
"""
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

tessera, folder = sys.argv[1:3]
rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
count = int(sys.argv[4]) if len(sys.argv) > 4 else 1
if count not in (1, 16):
    sys.exit("rival_towers: PICTURES: wanted 1 or 16, got %d" % count)

with open(os.path.join(folder, "config.json")) as f:
    config = json.load(f)
config = config.get("vision_config", config)


def open_rival():
    import transformers as t
    kind = config["model_type"]
    classes = {
        "clip_vision_model": (t.CLIPVisionConfig, t.CLIPVisionModel),
        "siglip_vision_model": (t.SiglipVisionConfig, t.SiglipVisionModel),
        "dinov2": (t.Dinov2Config, t.Dinov2Model),
        "dinov2_with_registers": (t.Dinov2WithRegistersConfig, t.Dinov2WithRegistersModel),
    }
    if kind not in classes:
        sys.exit("rival_towers: model_type: wanted one of %s, got %s" % (", ".join(classes), kind))
    make, model = classes[kind]
    return kind, model.from_pretrained(folder, config=make(**config), attn_implementation="sdpa").eval()


kind, model = open_rival()
# The last block is not needed for what a language model is given.
encoder = next(m for n, m in model.named_modules() if re.search(r"(^|\.)encoder$", n))
layers = encoder.layers if hasattr(encoder, "layers") else encoder.layer
if not kind.startswith("dinov2"):
    del layers[-1]
side, patch = config["image_size"], config["patch_size"]
leading = (kind != "siglip_vision_model") + config.get("num_register_tokens", 0)
mean, deviation = {"clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
                   "sigl": ([0.5] * 3, [0.5] * 3),
                   "dino": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}[kind[:4]]
if kind.startswith("dinov2"):
    side = 224 if side >= 224 else side

work = tempfile.mkdtemp()
rng = np.random.default_rng(1)
pictures = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
paths = []
for i, p in enumerate(pictures):
    paths.append(os.path.join(work, "p%03d.png" % i))
    Image.fromarray(p).save(paths[-1])
pixels = (torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - torch.tensor(mean)[None, :, None, None])
pixels = pixels / torch.tensor(deviation)[None, :, None, None]


def by_rival():
    with torch.inference_mode():
        captured = {}
        hook = layers[-1].register_forward_hook(lambda m, a, out: captured.update(x=out))
        last = model(pixel_values=pixels).last_hidden_state
        hook.remove()
        hidden = captured["x"]
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        return (last if kind.startswith("dinov2") else hidden)[:, leading:].numpy()


def by_tessera(output):
    subprocess.run([tessera, "features", paths[0], "-t", folder, "-o", output, "-f", "-q", "--device", "cpu"], check=True)


def bench():
    name = "f32, %d picture" % count
    rows = subprocess.run([tessera, "bench", "-t", folder, "--device", "cpu", "--filter", name, "--seconds", "4", "--json"],
                          check=True, capture_output=True, text=True).stdout
    return next(r for r in json.loads(rows)["rows"] if r.get("by") == "tessera" and "median_ms" in r)


want = by_rival()
walls, processors, ours = [], [], []
for _ in range(rounds):
    for _ in range(3):
        began, used = time.time(), time.process_time()
        by_rival()
        walls.append((time.time() - began) / count)
        processors.append((time.process_time() - used) / count)
    row = bench()
    ours.append(row["median_ms"] / 1000)
print("transformers   %8.3f s a picture, least %8.3f, %8.3f s of the processors" % (
    statistics.median(walls), min(walls), statistics.median(processors)))
print("tessera        %8.3f s a picture, least %8.3f, %6.1f GFLOP/s" % (
    statistics.median(ours), min(ours), row.get("gflops") or 0))
print("transformers / tessera: %.2f" % (statistics.median(walls) / statistics.median(ours)))
output = os.path.join(work, "f.safetensors")
by_tessera(output)
got = load_file(output)["features"].numpy()
if got.shape == want[0].shape:
    print("largest difference %.3g, largest value %.3g" % (np.abs(got - want[0]).max(), np.abs(want[0]).max()))
