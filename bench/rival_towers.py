#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A tower by transformers and by tessera: same weights, same pictures, same cores, turn by turn.

    bench/rival_towers.py TESSERA FOLDER [PICTURES] [ROUNDS]

FOLDER holds model.safetensors (or its index) and config.json of a CLIP, SigLIP or DINOv2; made-up weights
will do: `make_weights MANIFEST FOLDER/model.safetensors` of a golden case writes some. Needs PyTorch,
transformers and Pillow. Both make the usual features of PICTURES (default 8) random pictures of the tower's
size: transformers in one process that has run a call before, attention by PyTorch's own fused kernel, without
the blocks that are not needed; tessera by `tessera bench -t`, which times the same walk, and by whole processes
of `tessera features`. Largest differences are printed with the times.
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
count = int(sys.argv[3]) if len(sys.argv) > 3 else 8
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3

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
    subprocess.run([tessera, "features", *paths, "-t", folder, "-o", output, "-f", "-q", "--device", "cpu"], check=True)


want = by_rival()
times = {"transformers, a call": [], "tessera features, a process": []}
output = os.path.join(work, "f.safetensors")
for _ in range(rounds):
    began = time.time()
    by_rival()
    times["transformers, a call"].append(time.time() - began)
    began = time.time()
    by_tessera(output)
    times["tessera features, a process"].append(time.time() - began)
for name, seconds in times.items():
    print("%-30s %8.1f ms a picture (median of %d)" % (name, 1000 * statistics.median(seconds) / count, rounds))
rows = subprocess.run([tessera, "bench", "-t", folder, "--device", "cpu", "--json"], check=True,
                      capture_output=True, text=True).stdout
for row in json.loads(rows)["rows"]:
    if row.get("by") == "tessera" and "median_ms" in row:
        print("%-30s %8.1f ms a picture" % ("tessera bench, " + row["name"].split(" ", 1)[1], row["median_ms"]))
got = load_file(output)
size = int(round(want.shape[1] ** 0.5))
if got[os.path.basename(paths[0]) + "/features"].shape[0] == size * size:
    far = max(float(np.abs(got[os.path.basename(p) + "/features"].numpy() - want[i]).max()) for i, p in enumerate(paths))
    print("largest difference %.3g, largest value %.3g" % (far, float(np.abs(want).max())))
