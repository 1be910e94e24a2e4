# SPDX-License-Identifier: MIT
"""TIFFs: every compression that Pillow writes, and by hand every layout: byte orders, BigTIFF, strips, tiles,
separate planes, fill order, 1 to 16 bits, palettes, extra samples, CMYK, YCbCr."""
import struct
import zlib

try:
    from PIL import features
except ImportError:
    features = None  # computed_cases.py needs none

import make_pictures as make_
from make_pictures import noise, smooth
from picture_cases import SIZES, Case, composite_one, grey_to_rgb, picture, saved


def compressions():
    for width, height in SIZES:
        name = f"{width}x{height}"
        for compression in ("raw", "tiff_lzw", "packbits", "tiff_deflate", "tiff_adobe_deflate", "lzma", "zstd"):
            for mode in ("RGB", "L", "P", "1", "CMYK"):
                data = saved(picture(mode, width, height), "TIFF", compression=compression)
                yield Case(f"TIFF {compression}", f"{name} {mode}", data)
        for mode in ("RGBA", "LA"):
            data = saved(picture(mode, width, height), "TIFF", compression="tiff_lzw")
            yield Case("TIFF alpha", f"{name} {mode}", data, "alpha")
        for compression in ("group3", "group4", "tiff_ccitt"):
            yield Case("TIFF CCITT", f"{name} {compression}", saved(picture("1", width, height), "TIFF",
                                                                   compression=compression))
        for mode in ("RGB", "L", "CMYK"):
            for quality in (50, 95):
                data = saved(picture(mode, width, height), "TIFF", compression="jpeg", quality=quality)
                yield Case("TIFF JPEG", f"{name} {mode} q{quality}", data)
        yield Case("TIFF WebP", name, saved(picture("RGB", width, height), "TIFF", compression="webp"))
        yield Case("TIFF predictor", name, saved(picture("RGB", width, height), "TIFF", compression="tiff_lzw",
                                                 tiffinfo={317: 2}))
        ycc = picture("RGB", width, height).convert("YCbCr")
        yield Case("TIFF YCbCr, LZW", name, saved(ycc, "TIFF", compression="tiff_lzw"))
        yield Case("TIFF YCbCr, JPEG", name, saved(ycc, "TIFF", compression="jpeg"))


def grey_bits(width, height):
    for bits in (1, 2, 4, 8):
        for photometric in (0, 1):
            for fill in (1, 2):
                values = [v % (1 << bits) for v in noise(width * height, bits)]
                data = make_.pack_bits(values, width, bits, 1, fill == 2)
                tags = [(266, 3, [fill])]
                name = f"{width}x{height} {bits} bits photometric {photometric} fill order {fill}"
                for order in "<>":
                    for big in (False, True):
                        most = (1 << bits) - 1
                        grey = [(v if photometric else most - v) * 255 // most for v in values]
                        unknown = (big and order == ">") or (bits == 8 and photometric == 0 and fill == 2)
                        how = "unread" if unknown else "same"
                        yield Case("TIFF grey", f"{name} {order} big {big}",
                                   make_.tiff(width, height, [data], [bits], photometric, order, big, tags), how,
                                   ((width, height), grey_to_rgb(grey)))
    for bits, shift in ((16, 8), (12, 4)):
        for photometric in (0, 1):
            for order in "<>":
                raw = noise(width * height * 2, bits)
                values = [int.from_bytes(raw[2 * i:2 * i + 2], "big") % (1 << bits) for i in range(width * height)]
                data = make_.samples16(values, order) if bits == 16 else make_.pack_bits(values, width, bits)
                grey = [v >> shift if photometric else 255 - (v >> shift) for v in values]
                how = "grey16" if (photometric or (bits == 16 and order == "<")) else "unread"
                if bits == 12 and order == ">":
                    how = "unread"
                yield Case(f"TIFF grey, {bits} bits", f"{width}x{height} photometric {photometric} {order}",
                           make_.tiff(width, height, [data], [bits], photometric, order), how,
                           ((width, height), grey_to_rgb(grey)))


def palettes(width, height):
    for bits in (1, 2, 4, 8):
        for fill in (1, 2):
            values = [v % (1 << bits) for v in noise(width * height, bits + 9)]
            raw = noise(6 << bits, bits)
            colours = [int.from_bytes(raw[2 * i:2 * i + 2], "big") for i in range(3 << bits)]
            data = make_.pack_bits(values, width, bits, 1, fill == 2)
            count = 1 << bits
            want = bytes(colours[v + c * count] >> 8 for v in values for c in range(3))
            yield Case("TIFF palette", f"{width}x{height} {bits} bits fill order {fill}",
                       make_.tiff(width, height, [data], [bits], 3, tags=[(320, 3, colours), (266, 3, [fill])]),
                       "unread" if fill == 2 and bits < 8 else "same", ((width, height), want))


def colours(width, height):
    name = f"{width}x{height}"
    for order in "<>":
        for bits in (8, 16):
            raw = noise(width * height * 3 * bits // 8, bits)
            row = width * 3 * bits // 8
            whole = make_.tiff(width, height, [raw], (bits,) * 3, 2, order)
            yield Case("TIFF RGB", f"{name} {bits} bits {order}", whole)
            strips = make_.cut_strips(raw, row, 2)
            yield Case("TIFF RGB", f"{name} {bits} bits {order} strips of 2",
                       make_.tiff(width, height, strips, (bits,) * 3, 2, order, rows=2))
            packed = [zlib.compress(s) for s in strips]
            yield Case("TIFF RGB", f"{name} {bits} bits {order} strips, deflate",
                       make_.tiff(width, height, packed, (bits,) * 3, 2, order, rows=2, tags=[(259, 3, [8])]))
            ink = noise(width * height * 4 * bits // 8, bits + 1)
            if bits == 8 or order == "<":
                yield Case("TIFF CMYK", f"{name} {bits} bits {order}",
                           make_.tiff(width, height, [ink], (bits,) * 4, 5, order))
    planes = [noise(width * height, i) for i in range(4)]
    for count, photometric, kind in ((3, 2, "RGB"), (4, 5, "CMYK")):
        for pack, tags in ((lambda p: p, []), (zlib.compress, [(259, 3, [8])])):
            yield Case("TIFF separate planes", f"{name} {kind} {tags}",
                       make_.tiff(width, height, [pack(p) for p in planes[:count]], (8,) * count, photometric,
                                  tags=[(284, 3, [2])] + tags))
    samples = noise(width * height * 3, 11)
    for tile in ((16, 16), (64, 32)):
        tiles = make_.cut_tiles(samples, width, height, 3, tile)
        packed = [zlib.compress(t) for t in tiles]
        yield Case("TIFF tiles", f"{name} {tile}, deflate",
                   make_.tiff(width, height, packed, (8, 8, 8), 2, tile=tile, tags=[(259, 3, [8])]))
        yield Case("TIFF tiles", f"{name} {tile}", make_.tiff(width, height, tiles, (8, 8, 8), 2, tile=tile))


def extra_samples(width, height):
    name = f"{width}x{height}"
    raw = noise(width * height * 4, 20)
    pixels = [raw[i:i + 4] for i in range(0, len(raw), 4)]
    for order in "<>":
        yield Case("TIFF extra sample", f"{name} RGB, unspecified {order}",
                   make_.tiff(width, height, [raw], (8,) * 4, 2, order, tags=[(338, 3, [0])]))
        yield Case("TIFF extra sample", f"{name} RGB, untagged {order}",
                   make_.tiff(width, height, [raw], (8,) * 4, 2, order))
        yield Case("TIFF alpha", f"{name} RGB {order}",
                   make_.tiff(width, height, [raw], (8,) * 4, 2, order, tags=[(338, 3, [2])]), "alpha")
        two = noise(width * height * 2 * 4, 21)
        yield Case("TIFF alpha", f"{name} RGB, 16 bits {order}",
                   make_.tiff(width, height, [two], (16,) * 4, 2, order, tags=[(338, 3, [2])]), "alpha")
        yield Case("TIFF extra sample", f"{name} RGB, 16 bits, unspecified {order}",
                   make_.tiff(width, height, [two], (16,) * 4, 2, order, tags=[(338, 3, [0])]))
    # Colours that were multiplied by alpha
    dark = b"".join(bytes([p[0] * p[3] // 255, p[1] * p[3] // 255, p[2] * p[3] // 255, p[3]]) for p in pixels)
    want = bytes(min(255, v + (255 * (255 - dark[i + 3]) + 127) // 255) for i in range(0, len(dark), 4)
                 for v in dark[i:i + 3])
    yield Case("TIFF alpha", f"{name} premultiplied",
               make_.tiff(width, height, [dark], (8,) * 4, 2, tags=[(338, 3, [1])]), "alpha", ((width, height), want))
    grey = noise(width * height * 2, 22)
    yield Case("TIFF extra sample", f"{name} grey, unspecified",
               make_.tiff(width, height, [grey], (8, 8), 1, tags=[(338, 3, [0])]), "unread",
               ((width, height), grey_to_rgb(grey[::2])))
    yield Case("TIFF alpha", f"{name} grey", make_.tiff(width, height, [grey], (8, 8), 1, tags=[(338, 3, [2])]), "alpha")
    five = noise(width * height * 5, 23)
    yield Case("TIFF extra sample", f"{name} CMYK and one",
               make_.tiff(width, height, [five], (8,) * 5, 5, tags=[(338, 3, [0])]))
    yield Case("TIFF extra sample", f"{name} RGB and two", make_.tiff(width, height, [five], (8,) * 5, 2,
                                                                     tags=[(338, 3, [0, 0])]))
    want = bytes(composite_one(v, five[i + 4]) for i in range(0, len(five), 5) for v in five[i:i + 3])
    yield Case("TIFF alpha", f"{name} behind an unspecified band",
               make_.tiff(width, height, [five], (8,) * 5, 2, tags=[(338, 3, [0, 2])]), "unread", ((width, height), want))


def ycc_to_rgb(y, cb, cr):
    values = (y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128))
    return bytes(max(0, min(255, int(v + 0.5) if v > 0 else 0)) for v in values)


def ycbcr(width, height):
    # Flat, so that subsampling is no matter; at values where no rounding is near
    for y, cb, cr in ((100, 128, 128), (0, 128, 128), (255, 128, 128), (120, 100, 150)):
        for across, down in ((1, 1), (2, 1), (2, 2)):
            units = -(-width // across) * -(-height // down)
            data = (bytes([y]) * across * down + bytes([cb, cr])) * units
            name = f"{width}x{height} {y} {cb} {cr} subsampled {across}x{down}"
            file = make_.tiff(width, height, [data], (8, 8, 8), 6, tags=[(530, 3, [across, down])])
            yield Case("TIFF YCbCr, no compression", name, file, "mended",
                       ((width, height), ycc_to_rgb(y, cb, cr) * (width * height)))


def refusals():
    four = struct.pack("<16f", *range(16))
    for name, data, words in (
            ("32-bit float", make_.tiff(4, 4, [four], [32], 1, tags=[(339, 3, [3])]), "32-bit floating-point"),
            ("32-bit integers", make_.tiff(4, 4, [four], [32], 1), "32-bit samples"),
            ("16-bit signed", make_.tiff(4, 4, [four], [16], 1, tags=[(339, 3, [2])]), "16-bit signed"),
            ("64-bit float", make_.tiff(4, 4, [four * 2], [64], 1, tags=[(339, 3, [3])]), "64-bit floating-point"),
            ("CIELAB", make_.tiff(4, 4, [bytes(48)], (8, 8, 8), 8), "CIELAB"),
            ("camera raw", make_.tiff(4, 4, [bytes(32)], [16], 32803), "camera raw"),
            ("JPEG 2000 inside", make_.tiff(4, 4, [bytes(48)], (8, 8, 8), 2, tags=[(259, 3, [33003])]),
             "compression 33003 (JPEG 2000)"),
            ("40 bands", make_.tiff(4, 4, [bytes(640)], (8,) * 40, 1), "40 samples"),
            ("other inks", make_.tiff(4, 4, [bytes(64)], (8,) * 4, 5, tags=[(332, 3, [2])]), "inks other than")):
        yield Case("TIFF refused", name, data, "refused", words)


def make():
    if features.check("libtiff"):
        yield from compressions()
    for width, height in SIZES:
        for some in (grey_bits, palettes, colours, extra_samples, ycbcr):
            yield from some(width, height)
    yield from refusals()
