# SPDX-License-Identifier: MIT
"""The pictures whose pixels can be computed without Pillow: what its absence must not leave untested."""
import base64
import struct
import zlib

import make_pictures as make_
import picture_cases
import tiff_cases
from make_pictures import noise
from picture_cases import SIZES, Case

# 16x16 pixels of one colour, so that every decoder gives the same: R, G, B stored as they are with green and blue
# halved in both directions (Adobe's marker, transform 0), the same with arithmetic coding and YCbCr, and the 4:2:0
# kind that stands in a TIFF's strip.
FLAT = (200, 100, 50)
RGB_JPEG = (
    "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwACAQEBAQECAQEBAgICAgIEAwICAgIFBAQDBAYFBgYGBQYGBgcJCAYHCQcGBggLCAkKCgoK"
    "CgYICwwLCgwJCgoK/8AAEQgAEAAQA1IiAEcRAEIRAP/EABYAAQEBAAAAAAAAAAAAAAAAAAAJB//EABQQAQAAAAAAAAAAAAAAAAAA"
    "AAD/2gAMA1IARwBCAAA/AKQAMPTHf//Z")
ARITHMETIC_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU"
    "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBT/yQARCAAQABADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD92+zIWlcs/9k=")
YCC_JPEG = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAMCAgMCAgMDAwMEAwMEBQgFBQQEBQoHBwYIDAoMDAsKCwsNDhIQDQ4RDgsLEBYQERMU"
    "FRUVDA8XGBYUGBIUFRT/2wBDAQMEBAUEBQkFBQkUDQsNFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU"
    "FBQUFBQUFBT/wAARCAAQABADASIAAhEBAxEB/8QAFQABAQAAAAAAAAAAAAAAAAAAAAT/xAAUEAEAAAAAAAAAAAAAAAAAAAAA/8QA"
    "FQEBAQAAAAAAAAAAAAAAAAAABwj/xAAUEQEAAAAAAAAAAAAAAAAAAAAA/9oADAMBAAIRAxEAPwCQAHqQf//Z")
ARITHMETIC_COLOUR, YCC_COLOUR = (200, 100, 50), (200, 100, 50)


def flat(colour, width=16, height=16):
    return (width, height), bytes(colour) * (width * height)


def jpeg_kinds():
    data = base64.b64decode(RGB_JPEG)
    kind = "JPEG RGB, subsampled"
    yield Case(kind, "Adobe's marker", data, "same", flat(FLAT))
    yield Case(kind, "named 1 2 3", make_.jpeg_names(data, (1, 2, 3)), "same", flat(FLAT))
    yield Case(kind, "by its names", make_.jpeg_without(data, 0xEE), "same", flat(FLAT))
    yield Case("JPEG arithmetic", "4:2:0", base64.b64decode(ARITHMETIC_JPEG), "same", flat(ARITHMETIC_COLOUR))
    inside = base64.b64decode(YCC_JPEG)
    strip = make_.tiff(16, 16, [inside], (8, 8, 8), 6, tags=[(259, 3, [7]), (530, 3, [2, 2])])
    yield Case("TIFF, a whole JPEG in its strip", "4:2:0", strip, "same", flat(YCC_COLOUR))
    for marker, words in ((0xC3, "lossless JPEG"), (0xF7, "JPEG-LS"), (0xC5, "hierarchical JPEG")):
        yield Case("JPEG refused", words, inside.replace(b"\xff\xc0", bytes([0xFF, marker]), 1), "refused", words)
    deep = inside.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc1\0\x11\x0c", 1)
    yield Case("JPEG refused", "12 bits", deep, "refused", "12 bits a sample")
    dnl = inside.replace(b"\xff\xc0\0\x11\x08\0\x10", b"\xff\xc0\0\x11\x08\0\0", 1)
    yield Case("JPEG refused", "height behind the picture", dnl, "refused", "height behind")


def profile_texts():
    pixels = list(noise(5 * 3 * 3, 1))
    for o, order in ((6, [(x, y) for x in range(5) for y in reversed(range(3))]),
                     (3, [(x, y) for y in reversed(range(3)) for x in reversed(range(5))])):
        want = bytes(v for x, y in order for v in pixels[(y * 5 + x) * 3:(y * 5 + x) * 3 + 3])
        size = (3, 5) if o == 6 else (5, 3)
        text = make_.profile_text(b"Exif\0\0" + make_.exif(o))
        chunk = b"Raw profile type exif\0\0" + zlib.compress(text)
        yield Case("PNG profile text", str(o), make_.png(5, 3, 8, 2, pixels, 0, [(b"zTXt", chunk)]), "same", (size, want))


def strangers():
    for data, words in ((b"%PDF-1.7 and so on", "a PDF document"), (b"8BPS\0\1", "a Photoshop document"),
                        (b"\0\0\0\x18ftypisom\0\0\0\0", "an MP4 video"), (b"Pf\n3 3\n-1\n", "a floating-point PFM")):
        yield Case("no picture", words, data, "refused", words)
    yield Case("BMP refused", "JPEG inside", make_.bmp(8, 8, 24, bytes(192), compression=4), "refused", "holds a JPEG")
    yield Case("PAM refused", "depth 5", make_.pam(1, 1, 5, 255, bytes(5)), "refused", "depth 5")
    head = struct.pack("<4sI4s4sIB3x", b"RIFF", 22, b"WEBP", b"VP8X", 10, 2) + bytes(6)
    yield Case("WebP animated", "header", head, "refused", "animated WebP")


def make():
    cases = list(jpeg_kinds()) + list(profile_texts()) + list(strangers()) + list(tiff_cases.refusals())
    for width, height in SIZES:
        for some in (tiff_cases.grey_bits, tiff_cases.palettes, tiff_cases.ycbcr, tiff_cases.extra_samples,
                     picture_cases.bmp_palettes):
            cases += list(some(width, height))
    cases += list(picture_cases.pnm_cases())
    return [case for case in cases if case.want is not None]
