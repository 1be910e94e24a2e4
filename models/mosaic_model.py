# SPDX-License-Identifier: MIT
"""mosaic in PyTorch: what codec/mosaic.c computes, written for training.

A 256x256 tile becomes 256 ordered ids. Each id is one FSQ code of six scalars, so a tile has 1536
*slots*. A slot quantises one coefficient of the tile's global DCT; coefficients that matter more get
several slots, each one refining what the slots before it left (residual FSQ). Slots are ordered by
how much error they remove, so every prefix of the ids is a picture. That much is linear transform
coding; two small transformers improve on it:

  encoder  256 patches + k registers, FlexTok's causal-last mask: register t sees the patches and the
           registers before it, and moves its six values before they are rounded;
  decoder  the linear reconstruction's 256 patches, conditioned on the number of ids, to a correction
           in pixels.

Both start at zero, so training starts from the linear codec and only improves it.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

SIZE, PATCH, TOKENS = 256, 16, 256
LEVELS = (8, 8, 8, 5, 5, 5)
SLOTS = TOKENS * len(LEVELS)
LUMA, CHROMA = 64, 32  # DCT corner kept for the first and for the other two planes
EPS = 1e-3             # of FSQ's bound, as in FlexTok

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


def fsq_constants():
    """half_l, offset, shift of FSQ for each slot (Mentzer et al. 2023, eps 1e-3)."""
    levels = torch.tensor([float(l) for l in LEVELS]).repeat(TOKENS)
    half = (levels - 1) * (1 + EPS) / 2
    offset = torch.where(levels % 2 == 0, 0.5, 0.0)
    return levels, half, offset, torch.atanh(offset / half)


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

    def forward(self, x, mask=None):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.proj(a.transpose(1, 2).reshape(b, n, d))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x)), approximate="tanh"))


class Encoder(nn.Module):
    def __init__(self, dim, depth, heads):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, dim)
        self.patch_pos = nn.Parameter(torch.randn(256, dim) * 0.02)
        self.register = nn.Linear(len(LEVELS), dim)
        self.register_pos = nn.Parameter(torch.randn(TOKENS, dim) * 0.02)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, len(LEVELS))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, planes, z):
        """planes [B, 3, 256, 256], z [B, 256, 6] what the linear codec would round -> [B, 256, 6]."""
        x = torch.cat([self.patch(patchify(planes) * 2) + self.patch_pos,
                       self.register(z) + self.register_pos], 1)
        n = x.shape[1]
        i = torch.arange(n, device=x.device)
        mask = (i[None, :] < 256) | ((i[:, None] >= 256) & (i[None, :] <= i[:, None]))
        for block in self.blocks:
            x = block(x, mask)
        return self.head(self.norm(x[:, 256:]))


class Decoder(nn.Module):
    def __init__(self, dim, depth, heads):
        super().__init__()
        self.patch = nn.Linear(3 * PATCH * PATCH, dim)
        self.pos = nn.Parameter(torch.randn(256, dim) * 0.02)
        self.count = nn.Linear(16, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.head = nn.Linear(dim, 3 * PATCH * PATCH)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    @staticmethod
    def count_features(k):
        """k [B] -> [B, 16]: cosines of log2(k)/8, so that nearby prefixes share what they learn."""
        t = torch.log2(k.float().clamp(min=0.5)) / 8
        return torch.cos(math.pi * t[:, None] * torch.arange(16, device=k.device))

    def forward(self, planes, k):
        x = self.patch(patchify(planes) * 2) + self.pos + self.count(self.count_features(k))[:, None]
        for block in self.blocks:
            x = block(x)
        return planes + unpatchify(self.head(self.norm(x)))


class Mosaic(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        levels, half, offset, shift = fsq_constants()
        for name, value in (("levels", levels), ("bound", half), ("offset", offset), ("shift", shift),
                            ("dct", dct_matrix(LUMA))):
            self.register_buffer(name, value, persistent=False)
        # Slot j quantises coefficient source[j]; previous[j] is the slot that saw it before, or -1.
        self.register_buffer("source", torch.zeros(SLOTS, dtype=torch.long))
        self.register_buffer("previous", torch.full((SLOTS,), -1, dtype=torch.long))
        self.register_buffer("stage", torch.zeros(SLOTS, dtype=torch.long))
        self.scale = nn.Parameter(torch.ones(SLOTS), requires_grad=False)
        self.table = nn.Parameter(torch.zeros(SLOTS, max(LEVELS)))  # what each digit decodes to
        self.encoder = Encoder(config["enc_dim"], config["enc_depth"], config["enc_heads"]) if config["enc_depth"] else None
        self.decoder = Decoder(config["dec_dim"], config["dec_depth"], config["dec_heads"])

    # -- linear parts ---------------------------------------------------------------------------
    def coefficients(self, planes):
        """[B, 3, 256, 256] -> [B, 3*64*64]: the low corner of each plane's DCT."""
        return (self.dct @ planes @ self.dct.T).flatten(1)

    def planes_from(self, coefficients):
        c = coefficients.reshape(-1, 3, LUMA, LUMA)
        return self.dct.T @ c @ self.dct

    def residual_fsq(self, coefficients, delta=None):
        """Rounds slot after slot of each chain. Returns z (before rounding), values (what the digits
        decode to, straight-through), digits; all [B, 1536]."""
        left = coefficients[:, self.source]  # [B, 1536] what slots before left of each coefficient
        z_all, value = torch.zeros_like(left), torch.zeros_like(left)
        digits = torch.zeros_like(left, dtype=torch.long)
        for s in range(int(self.stage.max()) + 1):
            j = (self.stage == s).nonzero()[:, 0]
            if s:
                p = self.previous[j]
                left = left.index_copy(1, j, left[:, p] - value[:, p])
            z = left[:, j] * self.scale[j] - self.shift[j]
            if delta is not None:
                z = z + delta[:, j]
            bounded = torch.tanh(z + self.shift[j]) * self.bound[j] - self.offset[j]
            d = (bounded.round() + torch.div(self.levels[j], 2, rounding_mode="floor")).long()
            v = self.table[j].expand(len(left), -1, -1).gather(2, d[..., None])[..., 0]
            if delta is not None:  # straight through: a step of z is a step of 1/scale in the coefficient
                g = delta[:, j] / self.scale[j] * (bounded.detach() + self.offset[j]).abs().lt(self.bound[j] - 0.3)
                v = v + g - g.detach()
            z_all, value = z_all.index_copy(1, j, z), value.index_copy(1, j, v)
            digits = digits.index_copy(1, j, d)
        return z_all, value, digits

    def dequantise(self, value, k):
        """Values [B, 1536] of the first k[b] ids -> coefficients [B, 3*64*64]."""
        keep = torch.arange(SLOTS, device=value.device)[None] < (k * len(LEVELS))[:, None]
        out = torch.zeros(len(value), 3 * LUMA * LUMA, device=value.device)
        return out.index_add(1, self.source, value * keep)

    def encode(self, planes, learned=True):
        c = self.coefficients(planes)
        with torch.no_grad():
            z, value, digits = self.residual_fsq(c)
        if self.encoder is None or not learned:
            return value if not self.table.requires_grad else self.residual_fsq(c)[1], digits
        delta = self.encoder(planes, z.reshape(len(z), TOKENS, -1)).flatten(1)
        z, value, digits = self.residual_fsq(c, delta)
        return value, digits

    def decode(self, value, k, learned=True):
        base = self.planes_from(self.dequantise(value, k))
        return self.decoder(base, k) if learned else base
