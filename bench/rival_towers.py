#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Towers by transformers and by tessera: same weights, same pictures, same cores, turn by turn.

    bench/rival_towers.py TESSERA FOLDER... [--rounds N] [--calls N] [--pictures 1|16] [--threads N] [--compare]

A FOLDER holds model.safetensors (or its index) and config.json of a CLIP, SigLIP or DINOv2; made-up weights
will do: `make_weights MANIFEST FOLDER/model.safetensors` of a golden case writes some. Needs PyTorch,
transformers and Pillow. Both make the usual features of 1 or 16 pictures of the tower's size: transformers in a
process of its own, which is warm, attention by PyTorch's fused kernel, without the blocks that are not needed;
tessera by `tessera bench -t`, which times the same walk, warm too. A round is --calls walks of the one, then one
`tessera bench` (two walks that are not timed, then at least --calls). Seconds are medians over the rounds, of the
wall and of the processors: on a busy machine those of the processors are the ones to trust. A row says also how
many GFLOP/s of the processors' time each side had. With --compare the features of one picture are compared.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time


def read_config(folder):
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    return config.get("vision_config", config)


# ---- transformers, in a process of its own ---------------------------------------------------------------------

def open_rival(folder, config):
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


def rival(folder, count, calls, threads, work):
    """Answers each line of its input with a round; the first line is empty and tells that it is warm."""
    import numpy as np
    import torch
    from PIL import Image
    torch.set_num_threads(threads)
    config = read_config(folder)
    kind, model = open_rival(folder, config)
    # The last block is not needed for what a language model is given.
    encoder = next(m for n, m in model.named_modules() if re.search(r"(^|\.)encoder$", n))
    layers = encoder.layers if hasattr(encoder, "layers") else encoder.layer
    if not kind.startswith("dinov2"):
        del layers[-1]
    side = config["image_size"]
    leading = (kind != "siglip_vision_model") + config.get("num_register_tokens", 0)
    mean, deviation = {"clip": ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]),
                       "sigl": ([0.5] * 3, [0.5] * 3),
                       "dino": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])}[kind[:4]]
    if kind.startswith("dinov2"):
        side = min(side, 224)
    pictures = np.random.default_rng(1).integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    Image.fromarray(pictures[0]).save(os.path.join(work, "p.png"))
    pixels = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255 - torch.tensor(mean)[None, :, None, None]
    pixels = pixels / torch.tensor(deviation)[None, :, None, None]

    def walk():
        with torch.inference_mode():
            captured = {}
            hook = layers[-1].register_forward_hook(lambda m, a, out: captured.update(x=out))
            last = model(pixel_values=pixels).last_hidden_state
            hook.remove()
            hidden = captured["x"]
            hidden = hidden[0] if isinstance(hidden, tuple) else hidden
            return (last if kind.startswith("dinov2") else hidden)[:, leading:].numpy()

    np.save(os.path.join(work, "want.npy"), walk()[0])
    print(flush=True)
    for _ in sys.stdin:
        walls, processors = [], []
        for _ in range(calls):
            began, used = time.perf_counter(), time.process_time()
            walk()
            walls.append((time.perf_counter() - began) / count)
            processors.append((time.process_time() - used) / count)
        print(json.dumps({"walls": walls, "processors": processors, "torch": torch.__version__}), flush=True)


# ---- rounds ----------------------------------------------------------------------------------------------------

def ours(folder, o):
    rows = subprocess.run([o.tessera, "bench", "-t", folder, "--device", "cpu", "--seconds", "0.01", "--threads", str(o.threads),
                           "--filter", "f32, %d picture" % o.pictures, "--json"],
                          check=True, capture_output=True, text=True).stdout
    return next(r for r in json.loads(rows)["rows"] if r.get("by") == "tessera" and "median_ms" in r)


def compare_features(folder, o, work):
    import numpy as np
    from safetensors.numpy import load_file
    output = os.path.join(work, "f.safetensors")
    subprocess.run([o.tessera, "features", os.path.join(work, "p.png"), "-t", folder, "-o", output, "-f", "-q", "--device", "cpu"],
                   check=True)
    got, want = load_file(output)["features"], np.load(os.path.join(work, "want.npy"))
    if got.shape == want.shape:
        print("largest difference %.3g, largest value %.3g" % (np.abs(got - want).max(), np.abs(want).max()))
    else:
        print("shapes differ: %s here, %s in transformers" % (got.shape, want.shape))


def measure(folder, o):
    with tempfile.TemporaryDirectory() as work:
        process = subprocess.Popen([sys.executable, __file__, "rival", folder, str(o.pictures), str(o.calls), str(o.threads), work],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        process.stdout.readline()
        theirs, mine = [], []
        for _ in range(o.rounds):
            process.stdin.write("\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                sys.exit("rival_towers: the process of transformers ended")
            theirs.append(json.loads(line))
            mine.append(ours(folder, o))
        process.stdin.close()
        process.wait()
        wall = [statistics.median(w for r in theirs for w in r["walls"]), statistics.median(r["median_ms"] / 1000 for r in mine)]
        cpu = [statistics.median(w for r in theirs for w in r["processors"]), statistics.median(r["cpu_ms"] / 1000 for r in mine)]
        flops = mine[0].get("gflops", 0) * mine[0]["median_ms"] / 1000
        print("%s, %d picture%s, %d thread%s, %d round%s, commit %s" % (
            mine[0]["name"].split(" features")[0], o.pictures, "s" * (o.pictures > 1), o.threads, "s" * (o.threads > 1), o.rounds,
            "s" * (o.rounds > 1), mine[0].get("commit")))
        for name, at in (("transformers, PyTorch " + theirs[0]["torch"], 0), ("tessera", 1)):
            print("  %-36s %7.3f s a picture, %7.3f s of the processors, %5.1f GFLOP/s of them" % (
                name, wall[at], cpu[at], flops / cpu[at]))
        print("  transformers / tessera               %7.2f              %7.2f" % (wall[0] / wall[1], cpu[0] / cpu[1]), flush=True)
        if o.compare:
            compare_features(folder, o, work)


def main():
    if len(sys.argv) > 6 and sys.argv[1] == "rival":
        return rival(sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tessera")
    parser.add_argument("folders", nargs="+", metavar="FOLDER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--calls", type=int, default=3, help="walks of transformers in a round")
    parser.add_argument("--pictures", type=int, default=1, choices=(1, 16))
    parser.add_argument("--threads", type=int, default=2, help="of both sides")
    parser.add_argument("--compare", action="store_true", help="compare the features of one picture, too")
    o = parser.parse_args()
    for folder in o.folders:
        measure(folder, o)


if __name__ == "__main__":
    main()
