# SPDX-License-Identifier: MIT
"""Picture files made byte by byte, for kinds that Pillow cannot write. Every function returns bytes."""
import struct
import zlib


def noise(count, seed):
    """`count` bytes that look random and are the same everywhere."""
    out, state = bytearray(), seed * 2654435761 % 2**32 or 1
    while len(out) < count:
        state ^= state << 13 & 0xFFFFFFFF
        state ^= state >> 17
        state ^= state << 5 & 0xFFFFFFFF
        out += struct.pack("<I", state)
    return bytes(out[:count])


def smooth(width, height, channels, seed=1):
    """Soft colours with a little noise: what lossy formats are made for."""
    grain = noise(width * height * channels, seed)
    out = bytearray()
    for y in range(height):
        for x in range(width):
            for c in range(channels):
                v = (x * (3 + c) * 255 // max(1, width * 4) + y * (5 - c) * 255 // max(1, height * 6)
                     + seed * 37 * c) % 290 - 10
                out.append(max(0, min(255, v + grain[(y * width + x) * channels + c] // 16 - 8)))
    return bytes(out)


def pack_bits(samples, row_samples, bits, pad=1, lowest_first=False):
    """Rows of samples as bits, the highest first, each row filled up to `pad` bytes."""
    out = bytearray()
    for start in range(0, len(samples), row_samples):
        word = 0
        for v in samples[start:start + row_samples]:
            word = word << bits | v
        count = row_samples * bits
        size = (count + 7) // 8
        row = (word << size * 8 - count).to_bytes(size, "big")
        out += row + bytes(-size % pad)
    if lowest_first:
        return bytes(int(f"{b:08b}"[::-1], 2) for b in out)
    return bytes(out)


# ---- PNG ----

def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, samples, interlace=0, chunks=(), behind=()):
    """samples: width*height*channels numbers, row by row."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    passes = [(0, 0, 1, 1)]
    if interlace:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = bytearray()
    for x0, y0, dx, dy in passes:
        if x0 >= width:
            continue
        for y in range(y0, height, dy):
            row = []
            for x in range(x0, width, dx):
                at = (y * width + x) * channels
                row += samples[at:at + channels]
            raw += b"\0" + pack_bits(row, len(row), depth)
    return (b"\x89PNG\r\n\x1a\n" +
            png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)) +
            b"".join(png_chunk(*c) for c in chunks) + png_chunk(b"IDAT", zlib.compress(bytes(raw))) +
            b"".join(png_chunk(*c) for c in behind) + png_chunk(b"IEND", b""))


# ---- EXIF, XMP ----

def exif(orientation, order="<"):
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def exif_without_orientation():
    return b"II*\0" + struct.pack("<IHHHIHHI", 8, 1, 296, 3, 1, 2, 0, 0)


def xmp(orientation, element=False):
    inside = f"<tiff:Orientation>{orientation}</tiff:Orientation>" if element else ""
    attribute = "" if element else f' tiff:Orientation="{orientation}"'
    return (f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description{attribute}>{inside}'
            "</rdf:Description></rdf:RDF></x:xmpmeta>").encode()


def profile_text(block, name="exif"):
    text = block.hex()
    lines = "\n".join(text[i:i + 72] for i in range(0, len(text), 72))
    return f"\n{name}\n{len(block):8}\n{lines}\n".encode()


# ---- JPEG: changes to files that an encoder has made ----

def jpeg_segments(data):
    """(marker, start, end) of each segment up to and with the first scan header."""
    at = 2
    while True:
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def jpeg_without(data, marker):
    for m, start, end in list(jpeg_segments(data)):
        if m == marker:
            return data[:start] + data[end:]
    raise ValueError("no such segment")


def jpeg_with(data, marker, content):
    return data[:2] + b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


def jpeg_adobe(data, transform):
    """Sets the transform of Adobe's marker, which is put in where it is missing."""
    data = bytearray(data)
    for m, start, end in jpeg_segments(data):
        if m == 0xEE:
            data[start + 15] = transform
            return bytes(data)
    return jpeg_with(bytes(data), 0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))


def jpeg_names(data, names):
    """Renames the components, in the frame and in every scan."""
    data, at, old = bytearray(data), 2, []
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0, 0xFF) or 0xD0 <= data[at + 1] <= 0xD9:
            at += 1
            continue
        marker, length = data[at + 1], struct.unpack(">H", data[at + 2:at + 4])[0]
        if marker in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA):
            for i in range(data[at + 9]):
                old.append(data[at + 10 + 3 * i])
                data[at + 10 + 3 * i] = names[i]
        if marker == 0xDA:
            for i in range(data[at + 4]):
                where = at + 5 + 2 * i
                data[where] = names[old.index(data[where])]
        at += 2 + length
    return bytes(data)


def jpeg_first_scans(data, count):
    """A progressive file that ends after `count` scans, whole by its end mark."""
    at = 0
    for _ in range(count + 1):
        at = data.find(b"\xff\xda", at + 1)
    tables = data.rfind(b"\xff\xc4", 0, at)
    end = data.find(b"\xff\xda", 0) if count == 0 else at
    if tables > data.rfind(b"\xff\xda", 0, at):
        end = tables
    return data[:end] + b"\xff\xd9"


# ---- TIFF ----

def tiff(width, height, pieces, bits, photometric, order="<", big=False, tags=(), tile=None, rows=None):
    """One directory. pieces: the strips or tiles as they are stored; bits: one number for each sample.
    tags: (number, type 3 or 4, values), replacing what this function would write."""
    base = {256: (4, [width]), 257: (4, [height]), 258: (3, list(bits)), 259: (3, [1]), 262: (3, [photometric]),
            277: (3, [len(bits)])}
    offset, count = (324, 325) if tile else (273, 279)
    if tile:
        base[322], base[323] = (4, [tile[0]]), (4, [tile[1]])
    else:
        base[278] = (4, [rows or height])
    for number, kind, values in tags:
        base[number] = (kind, list(values))
    head = 16 if big else 8
    data, offsets = bytearray(), []
    for piece in pieces:
        offsets.append(head + len(data))
        data += piece + bytes(len(piece) & 1)
    base[offset], base[count] = (4, offsets), (4, [len(p) for p in pieces])
    long, entry_size, inline = ("Q", 20, 8) if big else ("I", 12, 4)
    at = head + len(data)
    behind_at = at + (8 if big else 2) + entry_size * len(base) + struct.calcsize(long)
    directory, behind = struct.pack(order + ("Q" if big else "H"), len(base)), bytearray()
    for number in sorted(base):
        kind, values = base[number]
        if isinstance(values[0], bytes):
            packed, amount = values[0], len(values[0])
        else:
            packed, amount = struct.pack(order + {3: "H", 4: "I"}[kind] * len(values), *values), len(values)
        directory += struct.pack(order + "HH" + long, number, kind, amount)
        if len(packed) <= inline:
            directory += packed + bytes(inline - len(packed))
        else:
            directory += struct.pack(order + long, behind_at + len(behind))
            behind += packed + bytes(len(packed) & 1)
    directory += struct.pack(order + long, 0)
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, at) + bytes(data) + directory + bytes(behind)
    return mark + struct.pack(order + "HI", 42, at) + bytes(data) + directory + bytes(behind)


def samples16(values, order="<"):
    return struct.pack(f"{order}{len(values)}H", *values)


def cut_strips(data, row_bytes, rows):
    return [data[i:i + row_bytes * rows] for i in range(0, len(data), row_bytes * rows)]


def cut_tiles(samples, width, height, channels, tile):
    """8-bit samples as tiles, filled up with zeros."""
    out = []
    for y in range(0, height, tile[1]):
        for x in range(0, width, tile[0]):
            piece = bytearray()
            for k in range(y, y + tile[1]):
                row = samples[(k * width + x) * channels:(k * width + min(width, x + tile[0])) * channels]
                if k >= height:
                    row = b""
                piece += row + bytes(tile[0] * channels - len(row))
            out.append(bytes(piece))
    return out


# ---- BMP ----

def bmp(width, height, bits, pixels, palette=b"", compression=0, masks=b"", header=40, top_first=False, colours=0):
    """pixels: rows as they are stored. masks stand in the header where it has room for them."""
    if header == 12:
        info = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        info = struct.pack("<IiiHHIIiiII", header, width, -height if top_first else height, 1, bits, compression,
                           len(pixels), 2835, 2835, colours, 0)
        if header >= 52:
            info += masks.ljust(16, b"\0")[:header - 40]
            info = info.ljust(header, b"\0")
        else:
            info = info.ljust(header, b"\0") + masks
    at = 14 + len(info) + len(palette)
    return b"BM" + struct.pack("<IHHI", at + len(pixels), 0, 0, at) + info + palette + pixels


def flip_rows(data, row_bytes):
    rows = [data[i:i + row_bytes] for i in range(0, len(data), row_bytes)]
    return b"".join(reversed(rows))


def rle(rows, four, use_absolute):
    """Run-length codes for rows of indices, which are as they are stored: bottom first."""
    out = bytearray()
    for row in rows:
        at = 0
        while at < len(row):
            run = 1
            while at + run < len(row) and row[at + run] == row[at] and run < 255:
                run += 1
            if use_absolute and run == 1 and len(row) - at >= 4:
                count = min(len(row) - at, 20) // 4 * 4
                body = bytes(row[at:at + count])
                if four:
                    body = bytes(body[i] << 4 | body[i + 1] for i in range(0, count, 2))
                out += bytes([0, count]) + body + bytes(len(body) & 1)
                at += count
            else:
                out += bytes([run, row[at] << 4 | row[at] if four else row[at]])
                at += run
        out += b"\0\0"
    return bytes(out[:-2] + b"\0\1")


# ---- PNM, QOI ----

def pnm(kind, width, height, maxval, samples, comment=False):
    note = b"# a comment\n" if comment else b""
    head = b"P%d\n%s%d %d\n" % (kind, note, width, height)
    if kind not in (1, 4):
        head += b"%d\n" % maxval
    if kind <= 3:
        rows, per_row = [], len(samples) // height
        for y in range(height):
            rows.append(" ".join(str(v) for v in samples[y * per_row:(y + 1) * per_row]))
        return head + "\n".join(rows).encode() + b"\n"
    if kind == 4:
        return head + pack_bits(samples, width, 1)
    return head + (bytes(samples) if maxval < 256 else samples16(samples, ">"))


def pam(width, height, depth, maxval, samples, tuple_type=None):
    head = f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {depth}\nMAXVAL {maxval}\n"
    if tuple_type:
        head += f"TUPLTYPE {tuple_type}\n"
    return (head + "ENDHDR\n").encode() + (bytes(samples) if maxval < 256 else samples16(samples, ">"))


def qoi(width, height, rgba, channels=4):
    """Every kind of step the format has."""
    out = bytearray(b"qoif" + struct.pack(">IIBB", width, height, channels, 0))
    seen, last, run = [(0, 0, 0, 0)] * 64, (0, 0, 0, 255), 0
    for i in range(0, len(rgba), 4):
        p = tuple(rgba[i:i + 4])
        if p == last:
            run += 1
            if run == 62:
                out.append(0xC0 | run - 1)
                run = 0
            continue
        if run:
            out.append(0xC0 | run - 1)
            run = 0
        at = (p[0] * 3 + p[1] * 5 + p[2] * 7 + p[3] * 11) % 64
        r, g, b = ((p[c] - last[c] + 128) % 256 - 128 for c in range(3))
        if seen[at] == p:
            out.append(at)
        elif p[3] != last[3]:
            out += b"\xff" + bytes(p)
        elif all(-2 <= v <= 1 for v in (r, g, b)):
            out.append(0x40 | r + 2 << 4 | g + 2 << 2 | b + 2)
        elif -32 <= g <= 31 and -8 <= r - g <= 7 and -8 <= b - g <= 7:
            out += bytes([0x80 | g + 32, r - g + 8 << 4 | b - g + 8])
        else:
            out += b"\xfe" + bytes(p[:3])
        seen[at], last = p, p
    if run:
        out.append(0xC0 | run - 1)
    return bytes(out) + b"\0\0\0\0\0\0\0\1"
