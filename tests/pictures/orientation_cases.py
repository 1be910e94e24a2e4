# SPDX-License-Identifier: MIT
"""The EXIF orientation from every carrier, 1 to 8 and nonsense, and which carrier wins."""
import struct
import zlib

from PIL import Image

import make_pictures as make_
from picture_cases import Case, picture, saved

METHODS = {2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
           5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_270, 7: Image.Transpose.TRANSVERSE,
           8: Image.Transpose.ROTATE_90}
XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"


def upright(image, orientation):
    image = image.convert("RGB")
    if orientation in METHODS:
        image = image.transpose(METHODS[orientation])
    return image.size, image.tobytes()


def webp_with(data, chunks):
    """A plain WebP file with more chunks, in the extended form."""
    body = data[12:]
    width, height = Image.open(__import__("io").BytesIO(data)).size
    flags = (8 if any(k == b"EXIF" for k, _ in chunks) else 0) | (4 if any(k == b"XMP " for k, _ in chunks) else 0)
    head = struct.pack("<4sIB3x", b"VP8X", 10, flags)
    head += struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    for kind, content in chunks:
        body += kind + struct.pack("<I", len(content)) + content + bytes(len(content) & 1)
    return b"RIFF" + struct.pack("<I", 4 + len(head) + len(body)) + b"WEBP" + head + body


def text_chunks(keyword, text):
    key = keyword.encode()
    packed = zlib.compress(text)
    return [("tEXt", key + b"\0" + text), ("zTXt", key + b"\0\0" + packed), ("iTXt", key + b"\0\0\0\0\0" + text),
            ("iTXt packed", key + b"\0\1\0en\0word\0" + packed)]


def make():
    rgb = picture("RGB", 31, 17)
    jpeg, webp = saved(rgb, "JPEG"), saved(rgb, "WEBP")
    stored = {"JPEG": Image.open(__import__("io").BytesIO(jpeg)), "WebP": Image.open(__import__("io").BytesIO(webp)),
              "PNG": rgb}

    def png(chunks=(), behind=()):
        return make_.png(31, 17, 8, 2, list(rgb.tobytes()), 0, chunks, behind)

    for o in list(range(0, 10)) + [65535]:
        for order in "<>":
            exif = make_.exif(o, order)
            name = f"{o} {order}"
            yield Case("orientation: JPEG EXIF", name, make_.jpeg_with(jpeg, 0xE1, b"Exif\0\0" + exif))
            yield Case("orientation: PNG eXIf", name, png([(b"eXIf", exif)]))
            yield Case("orientation: PNG eXIf", name + " behind IDAT", png((), [(b"eXIf", exif)]))
            yield Case("orientation: WebP EXIF", name, webp_with(webp, [(b"EXIF", exif)]))
            yield Case("orientation: WebP EXIF", name + " with JPEG's prefix",
                       webp_with(webp, [(b"EXIF", b"Exif\0\0" + exif)]))
            text = make_.profile_text(b"Exif\0\0" + exif)
            for kind, content in text_chunks("Raw profile type exif", text):
                yield Case("orientation: PNG profile text", f"{name} {kind}", png([(kind[:4].encode(), content)]))
            yield Case("orientation: PNG profile text", f"{name} behind IDAT",
                       png((), [(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))]))
            yield Case("orientation: PNG profile text", f"{name} named APP1",
                       png([(b"zTXt", b"Raw profile type APP1\0\0" + zlib.compress(text))]), "unread", upright(rgb, o))
            pieces = [rgb.tobytes()]
            yield Case("orientation: TIFF", name, make_.tiff(31, 17, pieces, (8, 8, 8), 2, order, tags=[(274, 3, [o])]))
            yield Case("orientation: TIFF", name + " big", make_.tiff(31, 17, pieces, (8, 8, 8), 2, order, True,
                                                                     tags=[(274, 3, [o])]), *big_tiff(rgb, order, o))
        for element in (False, True):
            xmp, name = make_.xmp(o, element), f"{o} element {element}"
            if o > 9:
                continue
            for kind, content in text_chunks("XML:com.adobe.xmp", xmp)[2:]:
                yield Case("orientation: PNG XMP", f"{name} {kind}", png([(b"iTXt", content)]))
            yield Case("orientation: JPEG XMP", name, make_.jpeg_with(jpeg, 0xE1, XMP_NAME + xmp), "unread",
                       upright(stored["JPEG"], o))
            yield Case("orientation: WebP XMP", name, webp_with(webp, [(b"XMP ", xmp)]), "unread",
                       upright(stored["WebP"], o))
    yield from precedence(rgb, jpeg, webp, stored, png)


def big_tiff(rgb, order, orientation):
    """This Pillow knows BigTIFF of one byte order by its first four bytes, and forgets the other."""
    return ("same", None) if order == "<" else ("unread", upright(rgb, orientation))


def precedence(rgb, jpeg, webp, stored, png):
    kind = "orientation: which carrier wins"
    xmp = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + make_.xmp(3))
    profile = (b"tEXt", b"Raw profile type exif\0" + make_.profile_text(b"Exif\0\0" + make_.exif(8)))
    none = (b"eXIf", make_.exif_without_orientation())
    six = (b"eXIf", make_.exif(6))
    for name, chunks in (("eXIf, profile, XMP", [six, profile, xmp]), ("XMP, profile, eXIf", [xmp, profile, six]),
                         ("profile, XMP", [profile, xmp]), ("XMP, profile", [xmp, profile]),
                         ("eXIf without, XMP", [none, xmp]), ("eXIf without, profile", [none, profile]),
                         ("nonsense, XMP", [(b"eXIf", make_.exif(9)), xmp])):
        yield Case(kind, "PNG: " + name, png(chunks))
    both = make_.jpeg_with(make_.jpeg_with(jpeg, 0xE1, b"Exif\0\0" + make_.exif(6)), 0xE1, XMP_NAME + make_.xmp(3))
    yield Case(kind, "JPEG: XMP, EXIF", both)
    two = make_.jpeg_with(make_.jpeg_with(jpeg, 0xE1, b"Exif\0\0" + make_.exif(6)), 0xE1, b"Exif\0\0" + make_.exif(8))
    yield Case(kind, "JPEG: the first of two EXIF blocks", two)
    lacking = make_.jpeg_with(make_.jpeg_with(jpeg, 0xE1, XMP_NAME + make_.xmp(3)), 0xE1,
                              b"Exif\0\0" + make_.exif_without_orientation())
    yield Case(kind, "JPEG: EXIF without, XMP", lacking, "unread", upright(stored["JPEG"], 3))
    yield Case(kind, "WebP: EXIF, XMP", webp_with(webp, [(b"EXIF", make_.exif(6)), (b"XMP ", make_.xmp(3))]))
