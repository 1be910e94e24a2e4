#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""KARL, TiTok and LlamaGen by their official classes and by tessera: same weights, same picture, same
cores, turn by turn.

    bench/rival_classes.py TESSERA karl|titok|llamagen CHECKOUT MODEL-FOLDER PICTURE.png [ROUNDS]

CHECKOUT is the family's official repository, MODEL-FOLDER holds model.safetensors (made-up weights will
do; titok: config.json too), PICTURE is 256x256. Needs PyTorch, safetensors, einops, omegaconf. Official
figures are of calls in a process that has run one before, and leave out what is for training alone;
tessera's are of one more picture in a process (five against one), and of whole processes, from start to
closed file. Both take as many threads as there are cores, unless TESSERA_THREADS says otherwise.
"""
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import types

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file

tessera, family, checkout, folder, picture = sys.argv[1:6]
rounds = int(sys.argv[6]) if len(sys.argv) > 6 else 5
tessera, checkout, folder, picture = (os.path.abspath(p) for p in (tessera, checkout, folder, picture))
threads = int(os.environ.get("TESSERA_THREADS", os.cpu_count()))
torch.set_num_threads(threads)
sys.path.insert(0, checkout)
os.chdir(checkout)  # their configurations are read from there


def inert(name, **names):
    """A module that the classes import for training alone."""
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__dict__.update(names)


def weights(model):
    other = model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")), strict=False)
    if set(other.missing_keys) - {"quantize.codebook_used"} or other.unexpected_keys:  # that one counts in training
        sys.exit(f"the weights do not fit: {other}")
    return model.eval()


def open_karl():
    """Encode ends at the codes, decode begins there: the class does both in one call."""
    inert("pytorch_lightning", LightningModule=torch.nn.Module)
    sys.path.insert(0, os.path.join(checkout, "base_tokenizers"))
    torch.Tensor.get_device = lambda self: self.device  # -1 on a cpu is no device
    from kolmogorov_tokenizers import karl_small
    base = {"id": "vqgan", "pretrained_ckpt_path": None}
    with contextlib.redirect_stdout(sys.stderr):
        model = weights(karl_small(base, quantize_latent=True))

    def encode(pixels):
        _, loss = model.sample_token_counts(1, [256], 0.05)
        _, wanted = model.get_discretized_loss_and_embedding(loss[..., 0])
        cells, _, grid = model.get_2d_tokens(pixels)
        masked, position = model.get_positional_embeddings(cells, grid)
        x = torch.cat((wanted[:, 0, 0:1], cells + position, model.latent_tokens[None, :256]), dim=1)
        x = model.encoder(model.encoder_ln_pre(x))
        factors, halt, _, mask = model.prepare_decoder_latents(x[:, 257:], 257, False)
        codes, result = model.quantize(factors, is_quantize=True)
        ids = result["min_encoding_indices"].reshape(-1)
        return ids[halt.reshape(-1) <= 0.75], (codes, mask, masked, grid)

    def decode(code):
        codes, mask, masked, grid = code
        logits = model.decoder(model.decoder_embed(codes), masked,
                               model.decoder_latent_tokens_timestep_embed[:256], attn_mask=mask)
        mixed = torch.einsum("nlc,cd->nld", logits.softmax(-1), model.base_tokenizer.vqgan.quantize.embedding.weight)
        return model.reconstruct_images(logits, mixed, grid)

    return encode, decode, 0


def open_titok():
    from modeling.titok import TiTok
    with open(os.path.join(folder, "config.json")) as f:
        model = weights(TiTok(json.load(f)))

    def encode(pixels):
        ids = model.encode(pixels)[1]["min_encoding_indices"]
        return ids.reshape(-1), ids

    return encode, lambda ids: model.decode_tokens(ids), 0


def open_llamagen():
    from tokenizer.tokenizer_image.vq_model import VQ_16
    model = weights(VQ_16(codebook_size=16384, codebook_embed_dim=8))

    def encode(pixels):
        ids = model.encode(pixels)[2][2]
        return ids.reshape(-1), ids

    return encode, lambda ids: model.decode_code(ids, [1, 8, 16, 16]), -1


began = time.time()
encode, decode, lowest = {"karl": open_karl, "titok": open_titok, "llamagen": open_llamagen}[family]()
opened = time.time() - began
source = np.array(Image.open(picture).convert("RGB"))
pixels = torch.from_numpy(source).permute(2, 0, 1)[None].float() / 255
pixels = pixels * (1 - lowest) + lowest
work = tempfile.mkdtemp()
token_file = os.path.join(work, "a.tess")
rows = {}
MORE = 5


def timed(name, call):
    start = time.time()
    result = call()
    rows.setdefault(name, []).append(time.time() - start)
    return result


def program(name, *arguments):
    return timed(name, lambda: subprocess.run(
        [tessera, *arguments, "--device", "cpu", "--batch", "1", "--threads", str(threads), "-q"], check=True))


with torch.no_grad():
    for r in range(rounds + 1):
        if r == 1:
            rows.clear()  # the first round warms both up
        ids, code = timed("official encode", lambda: encode(pixels))
        program("tessera encode, process", "encode", "-f", "-t", folder, picture, "-o", token_file)
        program(f"tessera encode of {MORE}, process", "encode", "-f", "-t", folder, *[picture] * MORE, "-o", token_file + "s")
        image = timed("official decode", lambda: decode(code))
        program("tessera decode, process", "decode", "-f", token_file, "-t", folder, "-o", os.path.join(work, "a.png"))
        program(f"tessera decode of {MORE}, process", "decode", "-f", token_file + "s", "-t", folder, "-o", os.path.join(work, "s/"))
        for half in ("encode", "decode"):
            one, more = rows[f"tessera {half}, process"], rows[f"tessera {half} of {MORE}, process"]
            rows.setdefault(f"tessera {half}, one more picture", []).append((more[-1] - one[-1]) / (MORE - 1))

shown = subprocess.run([tessera, "info", "--ids", token_file], capture_output=True, text=True, check=True).stdout
theirs = ids.tolist()
ours = [int(i.split("=")[-1]) for i in shown.split()[-len(theirs):]]  # with halting: place=id
levels = ((image[0].clamp(lowest, 1) - lowest) / (1 - lowest) * 255).permute(1, 2, 0).numpy()
far = np.abs(levels - np.array(Image.open(os.path.join(work, "a.png")))).max()
print(f"{family}: {threads} threads, PyTorch {torch.__version__}; ids equal: {sum(a == b for a, b in zip(ours, theirs))} of "
      f"{len(theirs)}; decoded pixels differ by at most {far:.2f} of 255 (0.5 is rounding)")
print(f"official: opening the model takes {opened:.1f} s; resident after both {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
print("\n| seconds | least | median | most |\n|---|---|---|---|")
for name, values in rows.items():
    print(f"| {name} | {min(values):.3f} | {statistics.median(values):.3f} | {max(values):.3f} |")
for half in ("encode", "decode"):
    a, b = rows[f"official {half}"], rows[f"tessera {half}, one more picture"]
    print(f"{half}: {min(a) / min(b):.2f} times as fast by the least, {statistics.median(a) / statistics.median(b):.2f} by the median")
