#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Emu3-VisionTokenizer in PyTorch and by tessera: same weights, same pixels, same cores, turn by turn.

    bench/rival_emu3.py TILE_SECONDS picture|clip MODEL.safetensors [ROUNDS [SIDE]]

MODEL has the published widths and the names of the authors' class; made-up weights will do. The networks below are written
from their description in plain PyTorch (f32, eager); both sides' ids are compared, so that they compute the same. One tile
of 64x64: a clip of 4 frames, which both sides compute alike, or a picture, which the official class repeats to 4 frames and
takes through all of its networks, as is done here. TILE_SECONDS is the build's program of that name, a process of its own
that has the model open; both take as many threads as there are cores, unless TESSERA_THREADS says otherwise. Beside seconds
of the clock stand seconds of processors, which other programs disturb less.
"""
import sys

import torch
import torch.nn.functional as F

import rival_tile

program, kind, path = sys.argv[1:4]
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
side = int(sys.argv[5]) if len(sys.argv) > 5 else 64
clip = {"clip": True, "picture": False}[kind]
FRAMES = 4

W = rival_tile.load(path)


def has(name):
    return name + ".weight" in W


def conv(name, x, stride=1, pad=1):
    return F.conv2d(x, W[name + ".weight"], W[name + ".bias"], stride, pad)


def norm(name, x, codes=None):
    """Of 32 groups; in the decoder times and plus what the codes at the size of x say."""
    if codes is None:
        return F.group_norm(x, 32, W[name + ".weight"], W[name + ".bias"], 1e-6)
    y = F.group_norm(x, 32, W[name + ".norm_layer.weight"], W[name + ".norm_layer.bias"], 1e-6)
    codes = F.interpolate(codes, size=x.shape[-2:], mode="nearest")
    return y * conv(name + ".conv_y", codes, pad=0) + conv(name + ".conv_b", codes, pad=0)


def resnet(name, x, codes=None):
    y = conv(name + ".conv1", F.silu(norm(name + ".norm1", x, codes)))
    y = conv(name + ".conv2", F.silu(norm(name + ".norm2", y, codes)))
    return y + (conv(name + ".nin_shortcut", x, pad=0) if has(name + ".nin_shortcut") else x)


def attention(name, x, codes=None):
    y = norm(name + ".norm", x, codes)
    q, k, v = (conv(f"{name}.{p}", y, pad=0).flatten(2).transpose(1, 2) for p in "qkv")
    y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
    return x + conv(name + ".proj_out", y, pad=0)


def middle(half, x, codes=None):
    x = attention(half + ".mid.attn_1", resnet(half + ".mid.block_1", x, codes), codes)
    return resnet(half + ".mid.block_2", x, codes)


def level(name, x, codes=None):
    k = 0
    while has(f"{name}.block.{k}.conv1"):
        x = resnet(f"{name}.block.{k}", x, codes)
        if has(f"{name}.attn.{k}.q"):
            x = attention(f"{name}.attn.{k}", x, codes)
        k += 1
    return x


LEVELS = next(i for i in range(9) if not has(f"encoder.down.{i}.block.0.conv1"))


def conv_time(name, x, stride=1):
    """Over [b, c, t, h, w]: two frames of zeros in front, zeros around where the kernel is 3x3."""
    w = W[name + ".weight"]
    around = w.shape[-1] // 2
    return F.conv3d(F.pad(x, (around,) * 4 + (2, 0)), w, W[name + ".bias"], (stride, 1, 1))


def batch_norm(name, x):
    return F.batch_norm(x, W[name + ".running_mean"], W[name + ".running_var"], W[name + ".weight"], W[name + ".bias"])


def time_resnets(half, x):
    for k in range(2):
        name = f"{half}.time_res_stack.{k}"
        y = conv_time(name + ".conv1.conv", F.silu(batch_norm(name + ".norm1", x)))
        x = x + conv_time(name + ".conv2.conv", F.silu(batch_norm(name + ".norm2", y)))
    return x


def frames_out(x):
    return x.transpose(1, 2).flatten(0, 1)


def encode(pixels):
    if not clip:
        pixels = pixels.repeat(1, 1, FRAMES, 1, 1)
    x = conv("encoder.conv_in", frames_out(pixels))
    for i in range(LEVELS):
        x = level(f"encoder.down.{i}", x)
        if i + 1 < LEVELS:
            x = conv(f"encoder.down.{i}.downsample.conv", F.pad(x, (0, 1, 0, 1)), 2, 0)
    x = middle("encoder", x)
    x = conv("encoder.conv_out", F.silu(norm("encoder.norm_out", x)))
    x = x.unflatten(0, (1, -1)).transpose(1, 2)
    for k in range(2):
        x = F.silu(conv_time(f"encoder.time_conv.{k}.conv.conv", x, 2))
    z = conv_time("quant_conv.conv", time_resnets("encoder", x)).movedim(1, -1).flatten(0, -2)
    codes = W["quantize.embedding.weight"]
    distance = z.square().sum(1, keepdim=True) + codes.square().sum(1) - 2 * z @ codes.T
    nearest = distance.topk(2, largest=False)
    return nearest.indices[:, 0], nearest.values[:, 1] - nearest.values[:, 0]


def decode(ids):
    q = W["quantize.embedding.weight"][ids].reshape(1, -1, side // 8, side // 8, 4).movedim(-1, 1)
    x = time_resnets("decoder", torch.cat([conv_time("post_quant_conv.conv", q), q]))
    for k in range(2):
        x = F.silu(conv_time(f"decoder.time_conv.{k}.conv.conv", x.repeat_interleave(2, 2)))
    x, codes = (frames_out(half) for half in x.chunk(2))
    x = middle("decoder", conv("decoder.conv_in", x), codes)
    for i in reversed(range(LEVELS)):
        x = level(f"decoder.up.{i}", x, codes)
        if i:
            x = conv(f"decoder.up.{i}.upsample.conv", F.interpolate(x, scale_factor=2.0))
    x = conv("decoder.conv_out", F.silu(norm("decoder.norm_out", x, codes)))
    return x if clip else x[:1]


tile = rival_tile.blocks(FRAMES if clip else 1, side)
pixels = rival_tile.numbers(tile)
rival_tile.run(f"Emu3, {kind} of {side}x{side}", program, path, tile, clip, rounds, lambda: encode(pixels), decode)
