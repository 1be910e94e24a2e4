# SPDX-License-Identifier: MIT
"""The pictures of pillow_pictures.py: a list of Case, and what was left out for want of a tool."""
import io
import shutil
import struct
import subprocess
import zlib

try:
    from PIL import Image
except ImportError:
    Image = None  # computed_cases.py needs none

import make_pictures as make_
from make_pictures import noise, smooth


class Case:
    """how: "same" (as Pillow's), or a key of MEANT. want: (size, pixels), or words of a refusal."""

    def __init__(self, kind, name, data, how="same", want=None):
        self.kind, self.name, self.data, self.how, self.want = kind, name, data, how, want


SIZES = [(61, 43), (16, 16), (7, 5), (1, 1), (130, 3)]


def saved(image, format_, **options):
    out = io.BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def picture(mode, width, height, seed=1):
    bands = len(Image.new(mode, (1, 1)).getbands())
    if mode == "1":
        return Image.frombytes("L", (width, height), smooth(width, height, 1, seed)).convert("1")
    if mode == "P":
        return Image.frombytes("RGB", (width, height), smooth(width, height, 3, seed)).convert(
            "P", palette=Image.Palette.ADAPTIVE, colors=200)
    if mode in ("RGBA", "LA"):
        colours = smooth(width, height, bands - 1, seed)
        alpha = noise(width * height, seed + 7)
        out = bytearray()
        for i in range(width * height):
            out += colours[i * (bands - 1):(i + 1) * (bands - 1)] + bytes([(0, 255, alpha[i])[i % 3]])
        return Image.frombytes(mode, (width, height), bytes(out))
    return Image.frombytes(mode, (width, height), smooth(width, height, bands, seed))


def grey_to_rgb(values):
    return bytes(v for value in values for v in (value, value, value))


def composite_one(value, alpha):
    return (value * alpha + 255 * (255 - alpha) + 127) // 255


# ---- JPEG ----

def cjpeg(image, *options):
    return subprocess.run(["cjpeg", *options], input=saved(image, "PPM"), stdout=subprocess.PIPE, check=True).stdout


def jpeg_by_pillow():
    for width, height in SIZES + [(700, 500)]:
        rgb = picture("RGB", width, height)
        for sampling in ("4:4:4", "4:2:2", "4:2:0"):
            for progressive in (False, True):
                for quality in (30, 75, 95):
                    data = saved(rgb, "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
                    yield f"JPEG {sampling}", f"{width}x{height} q{quality} progressive {progressive}", data
        yield "JPEG grey", f"{width}x{height}", saved(picture("L", width, height), "JPEG")
        yield "JPEG grey", f"{width}x{height} progressive", saved(picture("L", width, height), "JPEG", progressive=True)
        data = saved(rgb, "JPEG", quality=80, progressive=True)
        for scans in (1, 2, 4, 6):
            yield "JPEG progressive, scans missing", f"{width}x{height} {scans}", make_.jpeg_first_scans(data, scans)
        ink = saved(picture("CMYK", width, height), "JPEG", quality=90)
        yield "JPEG CMYK", f"{width}x{height}", ink
        yield "JPEG CMYK", f"{width}x{height} without Adobe's marker", make_.jpeg_without(ink, 0xEE)
        for sampling in ("4:2:2", "4:2:0"):
            coarse = saved(picture("CMYK", width, height), "JPEG", subsampling=sampling)
            yield "JPEG YCCK", f"{width}x{height} {sampling}", make_.jpeg_adobe(coarse, 2)
        yield "JPEG YCCK", f"{width}x{height}", make_.jpeg_adobe(ink, 2)
        yield "JPEG stray bytes", f"{width}x{height}", saved(rgb, "JPEG").replace(b"\xff\xda", b"\0\0\xff\xda", 1)
        yield "JPEG stray bytes", f"{width}x{height} behind", saved(rgb, "JPEG") + b"trailing"


def jpeg_by_cjpeg():
    for width, height in SIZES:
        rgb = picture("RGB", width, height, 3)
        for sampling in ("4x1", "1x2", "2x2", "2x1", "1x4", "4x2", "1x1", "2x2,1x2,2x1", "1x1,2x2,1x1"):
            for more in ([], ["-progressive"]):
                kind = {"4x1": "JPEG 4:1:1", "1x2": "JPEG 4:4:0"}.get(sampling, "JPEG other samplings")
                yield kind, f"{width}x{height} {sampling} {more}", cjpeg(rgb, "-sample", sampling, *more)
        for every in ("1", "1B", "3B"):
            yield "JPEG restart markers", f"{width}x{height} {every}", cjpeg(rgb, "-restart", every)
            yield ("JPEG restart markers", f"{width}x{height} {every} progressive",
                   cjpeg(rgb, "-restart", every, "-progressive"))
        for more in ([], ["-progressive"], ["-sample", "1x1"], ["-grayscale"], ["-restart", "1"]):
            yield "JPEG arithmetic", f"{width}x{height} {more}", cjpeg(rgb, "-arithmetic", *more)
        for sampling in ("1x1", "2x2,1x1,1x1", "4x1,1x1,1x1"):
            data = cjpeg(rgb, "-rgb", "-sample", sampling)
            yield "JPEG RGB, Adobe's marker", f"{width}x{height} {sampling}", data
            yield ("JPEG RGB, Adobe's marker", f"{width}x{height} {sampling} named 1 2 3",
                   make_.jpeg_names(data, (1, 2, 3)))
            yield ("JPEG RGB, by its names", f"{width}x{height} {sampling}", make_.jpeg_without(data, 0xEE))
            data = make_.jpeg_names(make_.jpeg_without(data, 0xEE), (1, 2, 3))
            yield "JPEG three components, no mark", f"{width}x{height} {sampling}", data
        yield "JPEG baseline tables", f"{width}x{height}", cjpeg(rgb, "-quality", "5", "-baseline")
        yield "JPEG float and fast DCT", f"{width}x{height}", cjpeg(rgb, "-dct", "fast", "-smooth", "20")


# ---- PNG ----

def png_cases():
    depths = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
    names = {0: "grey", 2: "RGB", 3: "palette", 4: "grey and alpha", 6: "RGBA"}
    for width, height in SIZES:
        for colour, list_ in depths.items():
            for depth in list_:
                for interlace in (0, 1):
                    yield from png_kind(width, height, colour, depth, interlace, f"PNG {names[colour]}")


def png_kind(width, height, colour, depth, interlace, kind):
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    raw = noise(width * height * channels * 2, depth + colour)
    values = [int.from_bytes(raw[2 * i:2 * i + 2], "big") % (1 << depth) for i in range(width * height * channels)]
    name = f"{width}x{height} {depth} bits interlace {interlace}"
    palette = [(b"PLTE", noise(3 << depth, 9))] if colour == 3 else []
    how, want = "same", None
    if colour in (4, 6):
        how = "alpha"
    if colour == 0 and depth == 16:
        how, want = "grey16", ((width, height), grey_to_rgb([v >> 8 for v in values]))
    yield Case(kind, name, make_.png(width, height, depth, colour, values, interlace, palette), how, want)
    if colour in (4, 6):
        return
    if colour == 3:
        alpha = noise(1 << depth, 5)
        clear = b"".join(palette[0][1][3 * v:3 * v + 3] + alpha[v:v + 1] for v in values)
        trns, most = alpha, 255
    else:
        key = values[:channels]
        trns, most = make_.samples16(key, ">"), (1 << depth) - 1
        clear = bytearray()
        for i in range(0, len(values), channels):
            v = values[i:i + channels]
            eight = [x >> 8 for x in v] if depth == 16 else [x * 255 // most for x in v]
            clear += bytes(eight * (3 // channels)) + bytes([0 if v == key else 255])
    want = (width, height), bytes(composite_one(clear[i + c], clear[i + 3]) for i in range(0, len(clear), 4) for c in
                                  range(3))
    data = make_.png(width, height, depth, colour, values, interlace, palette + [(b"tRNS", trns)])
    yield Case(kind + ", tRNS", name, data, "alpha", want)


# ---- WebP, GIF, JPEG 2000 ----

def webp_cases():
    for width, height in SIZES:
        rgb, rgba = picture("RGB", width, height), picture("RGBA", width, height)
        for quality in (10, 80, 100):
            yield Case("WebP lossy", f"{width}x{height} q{quality}", saved(rgb, "WEBP", quality=quality))
            yield Case("WebP alpha", f"{width}x{height} q{quality}", saved(rgba, "WEBP", quality=quality), "alpha")
        yield Case("WebP lossless", f"{width}x{height}", saved(rgb, "WEBP", lossless=True))
        yield Case("WebP lossless", f"{width}x{height} palette", saved(picture("P", width, height), "WEBP", lossless=True))
        yield Case("WebP alpha", f"{width}x{height} lossless", saved(rgba, "WEBP", lossless=True, exact=True), "alpha")
        yield Case("WebP lossy", f"{width}x{height} extended", saved(rgb, "WEBP", exif=b"Exif\0\0" + make_.exif(1)))
    frames = [picture("RGB", 20, 20, s) for s in (1, 2)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:])
    yield Case("WebP animated", "two frames", data, "refused", "animated WebP")


def gif_cases():
    for width, height in SIZES:
        for interlace in (0, 1):
            name = f"{width}x{height} interlace {interlace}"
            flat, grey = picture("P", width, height), picture("L", width, height)
            yield Case("GIF", name, saved(flat, "GIF", interlace=interlace))
            yield Case("GIF grey", name, saved(grey, "GIF", interlace=interlace))
            clear = saved(flat, "GIF", interlace=interlace, transparency=flat.getpixel((0, 0)))
            yield Case("GIF transparent", name, clear, "alpha")
            large = bytearray(saved(flat, "GIF", interlace=interlace))
            large[6:10] = struct.pack("<HH", width + 5, height + 3)
            yield Case("GIF small frame", name, bytes(large))
            small = bytearray(saved(flat, "GIF", interlace=interlace))
            small[6:10] = struct.pack("<HH", 1, 1)
            yield Case("GIF frame beyond its canvas", name, bytes(small))
        frames = [picture("P", width, height, s) for s in (1, 2, 3)]
        yield Case("GIF animated", f"{width}x{height}",
                   saved(frames[0], "GIF", save_all=True, append_images=frames[1:], loop=0))


def jpeg2000_cases():
    for width, height in SIZES:
        for mode in ("RGB", "L", "RGBA", "LA"):
            image = picture(mode, width, height)
            for options in ({}, {"irreversible": True, "quality_layers": [10]}, {"no_jp2": True},
                            {"tile_size": (32, 32)}, {"num_resolutions": 1}, {"progression": "RPCL"}):
                how = "alpha" if mode in ("RGBA", "LA") else "same"
                yield Case(f"JPEG 2000 {mode}", f"{width}x{height} {options}", saved(image, "JPEG2000", **options), how)
        values = [v * 257 for v in smooth(width, height, 1)]
        deep = Image.frombytes("I;16", (width, height), make_.samples16(values))
        want = [min(255, v + 128 >> 8) for v in values]
        yield Case("JPEG 2000 grey, 16 bits", f"{width}x{height}", saved(deep, "JPEG2000"), "grey16",
                   ((width, height), grey_to_rgb(want)))


# ---- BMP ----

def bmp_cases():
    for width, height in SIZES:
        for mode in ("1", "L", "P", "RGB"):
            yield Case("BMP by Pillow", f"{width}x{height} {mode}", saved(picture(mode, width, height), "BMP"))
        yield Case("BMP by Pillow", f"{width}x{height} RGBA", saved(picture("RGBA", width, height), "BMP"))
        yield from bmp_palettes(width, height)
        yield from bmp_colours(width, height)


def bmp_palettes(width, height):
    for bits in (1, 2, 4, 8):
        values = [v % (1 << bits) for v in noise(width * height, bits)]
        palette = b"".join(noise(3, i + 3) + b"\0" for i in range(1 << bits))
        colours = [palette[4 * i:4 * i + 3][::-1] for i in range(1 << bits)]
        pixels = make_.pack_bits(values, width, bits, 4)
        upright = make_.flip_rows(pixels, len(pixels) // height)
        want = (width, height), b"".join(colours[v] for v in values)
        how = "unread" if bits == 2 else "same"
        name = f"{width}x{height} {bits} bits"
        yield Case("BMP palette", name, make_.bmp(width, height, bits, upright, palette), how, want)
        yield Case("BMP palette", name + " top first", make_.bmp(width, height, bits, pixels, palette, top_first=True),
                   how, want)
        short = b"".join(palette[4 * i:4 * i + 3] for i in range(1 << bits))
        yield Case("BMP OS/2", name, make_.bmp(width, height, bits, upright, short, header=12), how, want)
        yield Case("BMP OS/2", name + " header 64", make_.bmp(width, height, bits, upright, palette, header=64), how, want)
        for header in (108, 124):
            yield Case("BMP palette", f"{name} header {header}",
                       make_.bmp(width, height, bits, upright, palette, header=header), how, want)
        if bits < 4:
            continue
        rows = [[v // 5 for v in values[y * width:(y + 1) * width]] for y in reversed(range(height))]
        if bits == 4:  # Pillow fills rows by runs, which may not be odd
            rows = [[row[x // 2 * 2] for x in range(width)] for row in rows]
        want = (width, height), b"".join(colours[v] for row in reversed(rows) for v in row)
        for absolute in (False, True):
            data = make_.bmp(width, height, bits, make_.rle(rows, bits == 4, absolute), palette, 3 - bits // 4)
            yield Case("BMP run-length", f"{name} absolute {absolute}", data, "same", want)
    odd = make_.bmp(3, 1, 4, b"\0\x03\x12\x30\0\1", palette[:64], 2)
    yield Case("BMP run-length", "4 bits, odd run", odd, "mended", ((3, 1), b"".join(colours[v] for v in (1, 2, 3))))


def bmp_colours(width, height):
    name = f"{width}x{height}"
    raw16 = noise(width * height * 2, 4)
    row = b"".join(raw16[y * width * 2:(y + 1) * width * 2] + bytes(width * 2 % 4) for y in range(height))
    yield Case("BMP 16 bits", name + " 5-5-5", make_.bmp(width, height, 16, row))
    for masks, how in (((0xF800, 0x7E0, 0x1F), "same"), ((0x7C00, 0x3E0, 0x1F), "same")):
        yield Case("BMP 16 bits", f"{name} {masks}",
                   make_.bmp(width, height, 16, row, compression=3, masks=struct.pack("<III", *masks)), how)
    raw32 = noise(width * height * 4, 5)
    yield Case("BMP 32 bits", name, make_.bmp(width, height, 32, raw32))
    yield Case("BMP 32 bits", name + " top first", make_.bmp(width, height, 32, raw32, top_first=True))
    for masks in ((0xFF0000, 0xFF00, 0xFF, 0), (0xFF000000, 0xFF0000, 0xFF00, 0)):
        yield Case("BMP 32 bits", f"{name} {masks}",
                   make_.bmp(width, height, 32, raw32, compression=3, masks=struct.pack("<III", *masks[:3])))
    for masks in ((0xFF000000, 0xFF0000, 0xFF00, 0xFF), (0xFF, 0xFF00, 0xFF0000, 0xFF000000),
                  (0xFF0000, 0xFF00, 0xFF, 0xFF000000)):
        for header in (108, 124):
            yield Case("BMP alpha", f"{name} {masks} header {header}",
                       make_.bmp(width, height, 32, raw32, compression=3, masks=struct.pack("<IIII", *masks),
                                 header=header), "alpha")
    raw24 = noise(width * height * 3, 6)
    row = b"".join(raw24[y * width * 3:(y + 1) * width * 3] + bytes(-width * 3 % 4) for y in range(height))
    yield Case("BMP 24 bits", name, make_.bmp(width, height, 24, row))
    yield Case("BMP OS/2", name + " 24 bits", make_.bmp(width, height, 24, row, header=12))


# ---- PNM, PAM, QOI ----

def round_even(value, maxval):
    return min(255, round(value / maxval * 255))


def pnm_cases():
    for width, height in SIZES:
        bits = [v & 1 for v in noise(width * height, 2)]
        for kind in (1, 4):
            yield Case("PBM", f"{width}x{height} P{kind}", make_.pnm(kind, width, height, 1, bits, True))
        for maxval in (1, 2, 3, 7, 15, 100, 127, 253, 254, 255, 256, 1000, 4095, 65534, 65535):
            raw = noise(width * height * 6, maxval)
            values = [int.from_bytes(raw[2 * i:2 * i + 2], "big") % (maxval + 1) for i in range(width * height * 3)]
            values[0] = maxval
            grey = values[:width * height]
            want = (width, height), grey_to_rgb([round_even(v, maxval) for v in grey])
            name = f"{width}x{height} maxval {maxval}"
            how = "grey16" if maxval > 255 else "same"
            for kind in (2, 5):
                yield Case("PGM", f"{name} P{kind}", make_.pnm(kind, width, height, maxval, grey), how, want)
            for kind in (3, 6):
                yield Case("PPM", f"{name} P{kind}", make_.pnm(kind, width, height, maxval, values, True))
            yield Case("PAM", name + " grey", make_.pam(width, height, 1, maxval, grey, "GRAYSCALE"), "unread", want)
            want = (width, height), bytes(round_even(v, maxval) for v in values)
            yield Case("PAM", name + " RGB", make_.pam(width, height, 3, maxval, values), "unread", want)
    yield from pam_alpha()


def pam_alpha():
    for width in (1, 8, 10, 100, 256):
        values = list(noise(width * 4 * 4, width))
        pixels = [values[i:i + 4] for i in range(0, len(values), 4)]
        want = bytes(composite_one(v, p[3]) for p in pixels for v in p[:3])
        data = make_.pam(width, 4, 4, 255, values, "RGB_ALPHA")
        yield Case("PAM", f"{width}x4 RGB_ALPHA", data, "unread", ((width, 4), want))
        grey = values[:width * 8]
        want = grey_to_rgb([composite_one(grey[i], grey[i + 1]) for i in range(0, len(grey), 2)])
        data = make_.pam(width, 4, 2, 255, grey, "GRAYSCALE_ALPHA")
        yield Case("PAM", f"{width}x4 GRAYSCALE_ALPHA", data, "unread", ((width, 4), want))
        data = make_.pam(width, 4, 4, 255, values, "RGB_INFRARED")
        want = bytes(v for p in pixels for v in p[:3])
        yield Case("PAM", f"{width}x4 another fourth band", data, "unread", ((width, 4), want))


def qoi_cases():
    for width, height in SIZES:
        rgba = bytearray(picture("RGBA", width, height).tobytes())
        for i in range(0, len(rgba) // 2, 4):  # runs, and small steps
            rgba[i:i + 4] = rgba[i // 64 * 64:i // 64 * 64 + 4]
        want = (width, height), bytes(composite_one(rgba[i + c], rgba[i + 3]) for i in range(0, len(rgba), 4)
                                      for c in range(3))
        yield Case("QOI", f"{width}x{height} RGBA", make_.qoi(width, height, rgba), "unread", want)
        rgb = smooth(width, height, 3)
        solid = b"".join(rgb[i:i + 3] + b"\xff" for i in range(0, len(rgb), 3))
        yield Case("QOI", f"{width}x{height} RGB", make_.qoi(width, height, solid, 3), "unread", ((width, height), rgb))


def make():
    import orientation_cases
    import tiff_cases
    import tool_cases
    cases, left_out = [], []
    cases += [Case(*one) for one in jpeg_by_pillow()]
    if shutil.which("cjpeg"):
        cases += [Case(*one) for one in jpeg_by_cjpeg()]
    else:
        left_out.append("JPEG 4:1:1, 4:4:0, arithmetic, RGB, restart markers: no cjpeg (libjpeg-turbo-progs)")
    for make_some in (png_cases, webp_cases, gif_cases, jpeg2000_cases, bmp_cases, pnm_cases, qoi_cases,
                      tiff_cases.make, orientation_cases.make):
        cases += list(make_some())
    more, missing = tool_cases.make()
    return cases + more, left_out + missing
