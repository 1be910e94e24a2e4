#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Cosmos DI16x16 and DV8x16x16 in PyTorch and by tessera: same weights, same pixels, same cores, turn by turn.

    bench/rival_cosmos.py TILE_SECONDS di16|dv8 MODEL.safetensors [ROUNDS [SIDE]]

MODEL has the published widths; made-up weights will do. The networks below are written from their description in plain
PyTorch (f32, eager), since the official packages bring much that is not needed here; both sides' ids are compared, so that
they compute the same. One tile: 256x256, or a clip of 9 frames of 256x256. TILE_SECONDS is the build's program of that name,
a process of its own that has the model open; both take as many threads as there are cores, unless TESSERA_THREADS says
otherwise. Beside seconds of the clock stand seconds of processors, which other programs disturb less.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

import rival_tile

program, kind, path = sys.argv[1:4]
rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 3
side = int(sys.argv[5]) if len(sys.argv) > 5 else 256
clip = kind == "dv8"
PATCH, LEVELS = 4, (8, 8, 8, 5, 5, 5)

W = rival_tile.load(path)


def has(name):
    return name + ".weight" in W


def wavelets(x, back=False):
    """Haar packet by its own steps, as rows of a matrix made once: see `matrix`."""
    c = matrix()
    b = x.shape[0]
    p = PATCH
    if not clip:
        if back:
            y = F.conv_transpose2d(x, c[1], stride=p)
            return y
        return F.conv2d(x, c[0], stride=p)
    if back:
        return F.conv_transpose3d(x, c[1], stride=p)[:, :, p - 1:]
    return F.conv3d(torch.cat([x[:, :, :1]] * (p - 1) + [x], 2), c[0], stride=p)


def matrix(made={}):
    if made:
        return made["m"]
    axes = 3 if clip else 2
    n = PATCH ** axes
    rows = torch.zeros(n, *[PATCH] * axes)
    for band in range(n):
        for place in np.ndindex(*[PATCH] * axes):  # (t,) y, x
            sign = 1
            for step in range(2):
                bits = band >> (step * axes)
                for letter in range(axes):  # first letter is the highest bit: width, height; time, height, width
                    axis = letter if clip else 1 - letter
                    if bits >> (axes - 1 - letter) & 1 and place[axis] >> step & 1:
                        sign = -sign
            rows[(band,) + place] = sign / 2.0 ** (2 * axes)
    kernel = torch.zeros(3 * n, 3, *[PATCH] * axes)
    for band in range(n):
        for c in range(3):
            kernel[band * 3 + c, c] = rows[band]
    made["m"] = (kernel, kernel * n)
    return made["m"]


def conv(name, x, stride=1, pad=(0, 0, 0, 0), front=0):
    """pad: left, right, top, bottom of zeros; front: copies of the first frame."""
    if not clip:
        return F.conv2d(F.pad(x, pad) if any(pad) else x, W[name + ".weight"], W[name + ".bias"], stride)
    name += ".conv3d"
    if front:
        x = torch.cat([x[:, :, :1]] * front + [x], 2)
    if any(pad):
        x = F.pad(x, pad)
    return F.conv3d(x, W[name + ".weight"], W[name + ".bias"], stride)


def pair(name, x):
    if not clip:
        return F.conv2d(x, W[name + ".weight"], W[name + ".bias"], padding=1)
    return conv(name + ".1", conv(name + ".0", x, pad=(1, 1, 1, 1)), front=2)


def frames_out(x):
    return x.transpose(1, 2).flatten(0, 1)


def frames_in(x, b):
    return x.unflatten(0, (b, -1)).transpose(1, 2)


def norm(name, x):
    if not clip:
        return F.group_norm(x, 32, W[name + ".weight"], W[name + ".bias"], 1e-6)
    y = F.group_norm(frames_out(x), 1, W[name + ".norm.weight"], W[name + ".norm.bias"], 1e-6)
    return frames_in(y, x.shape[0])


def resnet(name, x):
    y = pair(name + ".conv1", F.silu(norm(name + ".norm1", x)))
    y = pair(name + ".conv2", F.silu(norm(name + ".norm2", y)))
    short = name + ".nin_shortcut"
    return y + (conv(short, x) if has(short + (".conv3d" if clip else "")) else x)


def attention(name, x):
    if not clip:
        y = norm(name + ".norm", x)
        q, k, v = (conv(f"{name}.{p}", y).flatten(2).transpose(1, 2) for p in "qkv")
        y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        return x + conv(name + ".proj_out", y)
    b, c, t, h, w = x.shape
    y = norm(name + ".0.norm", x)
    q, k, v = (conv(f"{name}.0.{p}", y).permute(0, 2, 3, 4, 1).reshape(b * t, h * w, c) for p in "qkv")
    y = F.scaled_dot_product_attention(q, k, v).reshape(b, t, h, w, c).permute(0, 4, 1, 2, 3)
    x = x + conv(name + ".0.proj_out", y)
    y = norm(name + ".1.norm", x)
    q, k, v = (conv(f"{name}.1.{p}", y).permute(0, 3, 4, 2, 1).reshape(b * h * w, t, c) for p in "qkv")
    y = F.scaled_dot_product_attention(q, k, v, is_causal=True).reshape(b, h, w, t, c).permute(0, 4, 3, 1, 2)
    return x + conv(name + ".1.proj_out", y)


def down(name, x):
    if not clip:
        return conv(name + ".conv", x, 2, (0, 1, 0, 1)) if has(name + ".conv") else x
    if not has(name + ".conv3.conv3d"):
        return x
    if has(name + ".conv1.conv3d"):
        padded = F.pad(x, (0, 1, 0, 1))
        x = conv(name + ".conv1", padded, (1, 2, 2)) + F.avg_pool3d(padded, (1, 2, 2), (1, 2, 2))
    if has(name + ".conv2.conv3d"):
        x = torch.cat([x[:, :, :1], x], 2)
        x = conv(name + ".conv2", x, (2, 1, 1), front=1) + F.avg_pool3d(x, (2, 1, 1), (2, 1, 1))
    return conv(name + ".conv3", x)


def up(name, x):
    if not clip:
        return pair(name + ".conv", F.interpolate(x, scale_factor=2.0)) if has(name + ".conv") else x
    if not has(name + ".conv3.conv3d"):
        return x
    if has(name + ".conv1.conv3d"):
        if x.shape[2] > 1:
            x = x.repeat_interleave(2, 2)[:, :, 1:]
        x = conv(name + ".conv1", x, front=2) + x
    if has(name + ".conv2.conv3d"):
        x = x.repeat_interleave(2, 3).repeat_interleave(2, 4)
        x = conv(name + ".conv2", x, pad=(1, 1, 1, 1)) + x
    return conv(name + ".conv3", x)


def middle(half, x):
    x = resnet(half + ".mid.block_1", x)
    return resnet(half + ".mid.block_2", attention(half + ".mid.attn_1", x))


def encode(x):
    x = pair("encoder.conv_in", wavelets(x))
    for i in range(3):
        for k in range(2):
            x = resnet(f"encoder.down.{i}.block.{k}", x)
        x = down(f"encoder.down.{i}.downsample", x)
    x = pair("encoder.conv_out", F.silu(norm("encoder.norm_out", middle("encoder", x))))
    z = conv("quant_conv", x).movedim(1, -1)
    levels = torch.tensor(LEVELS)
    half = (levels - 1) * 1.001 / 2
    offset = torch.where(levels % 2 == 0, 0.5, 0.0)
    bounded = torch.tanh(z + torch.atanh(offset / half)) * half - offset
    digits = bounded.round() + levels // 2
    basis = torch.cumprod(torch.tensor((1,) + LEVELS[:-1]), 0)
    margin = ((bounded - bounded.round()).abs() - 0.5).abs().amin(-1)
    return (digits * basis).sum(-1).long(), margin


def decode(ids):
    levels = torch.tensor(LEVELS)
    basis = torch.cumprod(torch.tensor((1,) + LEVELS[:-1]), 0)
    codes = (ids[..., None] // basis % levels - levels // 2) / (levels // 2)
    x = pair("decoder.conv_in", conv("post_quant_conv", codes.movedim(-1, 1).float()))
    x = middle("decoder", x)
    for i in (2, 1, 0):
        for k in range(3):
            x = resnet(f"decoder.up.{i}.block.{k}", x)
        x = up(f"decoder.up.{i}.upsample", x)
    return wavelets(pair("decoder.conv_out", F.silu(norm("decoder.norm_out", x))), back=True)


tile = rival_tile.blocks(9 if clip else 1, side)
pixels = rival_tile.numbers(tile)
pixels = pixels.contiguous() if clip else pixels[:, :, 0].contiguous()
rival_tile.run(f"Cosmos {kind}, {len(tile)} of {side}x{side}", program, path, tile, clip, rounds, lambda: encode(pixels), decode)
