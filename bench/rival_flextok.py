#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""FlexTok by its official classes and by tessera: same weights, same picture, same cores, turn by turn.

    bench/rival_flextok.py TESSERA OFFICIAL-CHECKOUT MODEL-FOLDER PICTURE.png [ROUNDS]

MODEL-FOLDER holds model.safetensors and config.json (made-up weights will do), PICTURE is 256x256.
Needs PyTorch and what the official code asks for; its attention is set to PyTorch's own (its
documented fallback; FlexAttention wants a compiler). PyTorch's figures are of calls in a process that
has run one before; tessera's are of whole processes, from start to closed file, and, for encode, of
one more picture in the same process.
"""
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch
from PIL import Image

tessera, checkout, folder, picture = sys.argv[1:5]
rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 5
sys.path.insert(0, checkout)
from flextok.flextok_wrapper import FlexTokFromHub  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

KEPT, GUIDANCE = 64, 7.5
began = time.time()
with open(os.path.join(folder, "config.json")) as f:
    model = FlexTokFromHub(json.load(f)).eval()
model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")))
for part in model.modules():
    if hasattr(part, "use_flex_attention"):
        part.use_flex_attention = False
    if hasattr(part, "return_materialized_mask"):
        part.return_materialized_mask = True
opened = time.time() - began
pixels = torch.from_numpy(np.array(Image.open(picture).convert("RGB"))).permute(2, 0, 1)[None].float() / 127.5 - 1
work = tempfile.mkdtemp()
token_file = os.path.join(work, "a.tess")
rows = {}


def note(name, seconds):
    rows.setdefault(name, []).append(seconds)


def timed(name, call):
    start = time.time()
    result = call()
    note(name, time.time() - start)
    return result


def program(name, *arguments):
    out = timed(name, lambda: subprocess.run([tessera, *arguments, "--device", "cpu", "--json"], check=True,
                                             capture_output=True, text=True).stdout)
    return json.loads(out)


def official_decode(name, ids, steps):
    timed(name, lambda: model.detokenize([ids[0][:, :KEPT]], timesteps=steps, guidance_scale=GUIDANCE,
                                         perform_norm_guidance=True, verbose=False))


with torch.no_grad():
    for r in range(rounds + 1):
        if r == 1:
            rows.clear()  # the first round warms both up
        ids = timed("official encode", lambda: model.tokenize(pixels))
        one = program("tessera encode, process", "encode", "-f", "-t", folder, picture, "-o", token_file, "--batch", "1")
        four = program("tessera encode of 4, process", "encode", "-f", "-t", folder, *[picture] * 4, "-o", token_file + "4", "--batch", "1")
        note("tessera encode, one more picture", (four["seconds"] - one["seconds"]) / 3)
        for steps in (1, 5):
            official_decode(f"official decode, {steps} steps", ids, steps)
            program(f"tessera decode, {steps} steps, process", "decode", "-f", token_file, "-t", folder, "-o",
                    os.path.join(work, "a.png"), "-k", str(KEPT), "--steps", str(steps), "--guidance", str(GUIDANCE))
shown = subprocess.run([tessera, "info", "--ids", token_file], capture_output=True, text=True).stdout
ours = [int(i) for i in shown.split()[-256:]]
same = sum(a == b for a, b in zip(ours, ids[0][0].tolist()))
for who, more in (("official", ""), ("tessera", ", process")):
    steps = [(b - a) / 4 for a, b in zip(rows[f"{who} decode, 1 steps{more}"], rows[f"{who} decode, 5 steps{more}"])]
    rows[f"{who}, one guided step"] = steps
print(f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}, k = {KEPT}, guidance {GUIDANCE}; ids equal: {same} of {len(ours)}")
print(f"official: opening the model takes {opened:.1f} s; resident {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
print("\n| seconds | least | median | most |\n|---|---|---|---|")
for name, values in rows.items():
    print(f"| {name} | {min(values):.2f} | {statistics.median(values):.2f} | {max(values):.2f} |")
