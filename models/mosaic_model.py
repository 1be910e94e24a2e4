# SPDX-License-Identifier: MIT
"""mosaic in PyTorch: what codec/tokenizers/mosaic/mosaic.c computes, written for training.

A 256x256 tile becomes 256 ordered ids. Each has six digits. In the `lead` leading ids they number two
codewords, one of 512 and one of 125, and the codewords of all leading ids add up (residual VQ) to the
coefficients of the tile's global DCT that matter most. An id after these is one FSQ code; its digits are
*slots*. The first two slots name a class of pictures; every other slot rounds one coefficient of what
the leading ids left, and a coefficient that matters more has several slots, each rounding what the slots
before it left. Which coefficient, how finely and in which order depends on the class; the order is by
how much error a slot removes, so every prefix of the ids is a picture. fit_mosaic.py makes these tables.

That much is linear transform coding. A small ViT then takes the picture so far as 256 patches, is told
the class and the number of ids, and adds a correction in pixels. It starts at zero, so training starts
from the linear codec and only improves it.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

from fit_mosaic import CLASS_DIGITS, LEVELS, SLOTS, STAGES

SIZE, PATCH = 256, 16
CORNER = 64  # side of the DCT's kept low corner
COEFFICIENTS = 3 * CORNER * CORNER

# Rows are orthonormal: brightness, red-blue, green-magenta.
COLOUR = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 2.0, -1.0]])
COLOUR = COLOUR / COLOUR.norm(dim=1, keepdim=True)


def dct_matrix(rows, size=SIZE):
    """The first `rows` rows of the orthonormal DCT-II."""
    k = torch.arange(rows, dtype=torch.float64)[:, None]
    n = torch.arange(size, dtype=torch.float64)[None, :]
    m = torch.cos(math.pi * (2 * n + 1) * k / (2 * size)) * math.sqrt(2.0 / size)
    m[0] *= math.sqrt(0.5)
    return m.float()


def planes_of(u8):
    """[B, H, W, 3] bytes to [B, 3, H, W] opponent planes around 0."""
    return torch.einsum("bhwc,dc->bdhw", (u8.float() - 127.5) / 255.0, COLOUR.to(u8.device))


def pixels_of(planes):
    """Planes back to [B, H, W, 3] in 0..1, not clamped."""
    return torch.einsum("bdhw,dc->bhwc", planes, COLOUR.to(planes.device)) + 0.5


def patchify(x):
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, (h // PATCH) * (w // PATCH), c * PATCH * PATCH)


def unpatchify(x, c=3, h=SIZE, w=SIZE):
    x = x.reshape(x.shape[0], h // PATCH, w // PATCH, c, PATCH, PATCH)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(x.shape[0], c, h, w)


class Block(nn.Module):
    """Pre-norm transformer block: attention, then a GELU (tanh form) MLP four times as wide."""

    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        for layer in (self.proj, self.fc2):
            nn.init.normal_(layer.weight, std=0.02 / math.sqrt(8))
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(a.transpose(1, 2).reshape(b, n, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class Mosaic(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        classes, dim = config["classes"], config["dec_dim"]
        self.register_buffer("dct", dct_matrix(CORNER), persistent=False)
        self.register_buffer("source", torch.full((classes, SLOTS), -1, dtype=torch.long))
        self.register_buffer("scale", torch.ones(classes, SLOTS))
        self.register_buffer("table", torch.zeros(classes, SLOTS, max(LEVELS)))
        self.register_buffer("lead_source", torch.zeros(config["lead_dim"], dtype=torch.long))
        self.register_buffer("lead_codes", torch.zeros(config["lead"], sum(STAGES), config["lead_dim"]))
        self.patch = nn.Linear(3 * PATCH * PATCH, dim)
        self.pos = nn.Parameter(torch.randn(256, dim) * 0.02)
        self.count = nn.Linear(16, dim)
        self.class_embedding = nn.Parameter(torch.zeros(classes, dim))
        self.blocks = nn.ModuleList(Block(dim, config["dec_heads"]) for _ in range(config["dec_depth"]))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, 3 * PATCH * PATCH)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @staticmethod
    def count_features(k):
        """k [B] -> [B, 16]: cosines of log2(k)/8, so that nearby prefixes share what they learn."""
        t = torch.log2(k.float().clamp(min=0.5)) / 8
        return torch.cos(math.pi * t[:, None] * torch.arange(16, device=k.device))

    def coefficients(self, planes):
        """[B, 3, 256, 256] -> [B, 3*64*64]: the low corner of each plane's DCT, [plane, v, u]."""
        return (self.dct @ planes @ self.dct.T).flatten(1)

    def linear(self, owner, digits, k):
        """owner [B], digits [B, 1536], k [B] -> the linear codec's planes from the first k[b] ids."""
        d = digits.long()
        c = torch.zeros(len(k), COEFFICIENTS, device=k.device)
        for t in range(self.config["lead"]):
            a = d[:, 6 * t:6 * t + 6]
            first = a[:, 0] + 8 * a[:, 1] + 64 * a[:, 2]
            second = STAGES[0] + a[:, 3] + 5 * a[:, 4] + 25 * a[:, 5]
            value = self.lead_codes[t, first] + self.lead_codes[t, second]         # [B, lead_dim]
            c = c.index_add(1, self.lead_source, value * (k > t)[:, None])
        value = self.table[owner].gather(2, d[..., None])[..., 0]                  # [B, 1536]
        place = torch.arange(SLOTS, device=k.device)[None]
        keep = (place < (k * len(LEVELS))[:, None]) & (place >= self.config["lead"] * len(LEVELS) + CLASS_DIGITS)
        c = c.scatter_add(1, self.source[owner].clamp(min=0), value * keep)
        return self.dct.T @ c.reshape(-1, 3, CORNER, CORNER) @ self.dct

    def forward(self, planes, owner, k):
        """The correction: planes [B, 3, 256, 256] of the linear codec -> planes."""
        x = self.patch(patchify(planes)) + self.pos
        known = (k > self.config["lead"])[:, None]  # until then nothing says which class it is
        x = x + (self.count(self.count_features(k)) + self.class_embedding[owner] * known)[:, None]
        for block in self.blocks:
            x = block(x)
        return planes + unpatchify(self.head(self.norm(x)))
