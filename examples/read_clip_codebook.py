# SPDX-License-Identifier: MIT
# read_clip_codebook.py FILE.tess [OUT.json]: the clips of a token file, read by formats/tokens/SPEC.md alone.
# Prints what they are; OUT.json gets ids, codebook, newline and gains of each. Needs nothing but Python,
# and for zstd-coded parts the module zstandard or the program zstd.
import json, struct, subprocess, sys


def unzstd(data):
    try:
        import zstandard
        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    except ImportError:
        return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout


class Cursor:
    def __init__(self, data): self.data, self.at = data, 0
    def take(self, n): self.at += n; return self.data[self.at - n:self.at]
    def u8(self): return self.take(1)[0]
    def varint(self):
        n, shift = 0, 0
        while True:
            byte = self.u8()
            n |= (byte & 127) << shift
            if byte < 128: return n
            shift += 7


def planes(data, n, width):  # section 7.1: the lowest byte of all numbers, then the next byte ...
    return [sum(data[p * n + i] << 8 * p for p in range(width)) for i in range(n)]


def floats(bits, form): return [struct.unpack(form, struct.pack("<H" if form == "<e" else "<I", b))[0] for b in bits]


def map_coder(data, frames, rows, columns, bits):  # section 9.1
    at, span, code = 4, 2**32 - 1, int.from_bytes((data + bytes(4))[:4], "big")
    learned = {}  # context -> [p, n]

    def bit(*contexts):
        nonlocal at, span, code
        three = [learned.setdefault(c, [32768, 0]) for c in contexts]
        weights = [min(n, 15) + 1 for _, n in three]
        p = sum(w * c[0] for w, c in zip(weights, three)) // sum(weights)
        bound = (span >> 16) * min(max(p, 64), 65472)
        got = code < bound
        if got: span = bound
        else: code, span = code - bound, span - bound
        while span < 1 << 24:
            code, span, at = code << 8 | (data[at] if at < len(data) else 0), span << 8, at + 1
        for c in three:
            c[0] += (65535 - c[0]) // (c[1] + 2) if got else -(c[0] // (c[1] + 2))
            c[1] = min(c[1] + 1, 62)
        return got

    ids, widths = [], [8] * (bits // 8) + [bits % 8] * (bits % 8 > 0)

    def compare(a, b): return 0 if a is None or b is None else 1 + (a == b)
    for i in range(frames * rows * columns):
        f, r, c = i // (rows * columns), i // columns % rows, i % columns
        before = lambda step, there: ids[i - step] if there else None
        P, L, U = before(rows * columns, f), before(1, c), before(columns, r)
        still = compare(L, before(rows * columns + 1, f and c)), compare(U, before(rows * columns + columns, f and r))
        agree, asked, found = (compare(P, L), compare(P, U), compare(L, U)), set(), None
        for which, id in enumerate((P, L, U)):
            if id is None or id in asked or found is not None: continue
            asked.add(id)
            if bit(("still", which, still), ("agree", which, agree), ("id", which, id % 256)): found = id
        if found is None:
            found, left = 0, bits
            for d, width in enumerate(widths):
                left, node = left - width, 1
                p, l = (None if x is None else x >> left & (1 << width) - 1 for x in (P, L))
                for _ in range(width): node = 2 * node + bit(("digit", d, node), ("P", d, node, p), ("L", d, node, l))
                found |= (node - (1 << width)) << left
        ids.append(found)
    return ids


def read_stream(c):  # a STRM payload, section 7.1
    s = {"item": c.varint(), "number": c.varint(), "count": c.varint()}
    s["name"], s["source"] = c.take(c.u8()).decode(), c.take(c.u8()).decode()
    s["weights_hash"], flags = "%016x" % struct.unpack("<Q", c.take(8)), c.u8()
    s["grid"] = grid = [c.varint(), c.varint(), c.varint()]
    K = s["K"] = c.varint()
    D, kind = (c.varint(), c.u8()) if flags & 1 else (0, 0)
    s["D"], n, R = D, grid[0] * grid[1] * grid[2], K + (flags >> 1 & 1)
    if flags & 24: s["finer"], s["finer_grid"] = c.varint(), [c.varint() for _ in range(3)]
    if flags & 8: s["window"] = [c.varint() for _ in range(3)]

    def part(): size, coding = c.varint(), c.u8(); return coding, c.take(size)
    def content(): coding, data = part(); return unzstd(data) if coding else data
    if flags & 1:
        data = content()
        if kind == 2:
            scales = floats(planes(data, R, 4), "<f")
            x = [scales[i // D] * (q - 256 * (q > 127)) for i, q in enumerate(data[4 * R:])]
        else: x = floats(planes(data, R * D, 4 - 2 * kind), "<e" if kind else "<f")
        s["codebook"] = [x[k * D:k * D + D] for k in range(K)]
        if R > K: s["newline"] = x[K * D:]
    bits, (coding, data) = (K - 1).bit_length(), part()
    if coding == 0: big = int.from_bytes(data, "little"); s["ids"] = [big >> i * bits & (1 << bits) - 1 for i in range(n)]
    elif coding == 1: s["ids"] = planes(unzstd(data), n, (bits + 7) // 8)
    elif coding == 2: s["ids"] = map_coder(data, *grid, bits)
    else: s["ids"] = list(range(n))
    if flags & 4: s["gains"] = floats(planes(content(), n, 2), "<e")
    return s


data, at, clips = open(sys.argv[1], "rb").read(), 16, []
assert data[:8] == b"\x89TSR\r\n\x1a\n", "not a token file"
while at < len(data):
    size = struct.unpack_from("<Q", data, at + 8)[0]
    if data[at:at + 4] == b"STRM": clips.append(read_stream(Cursor(data[at + 24:at + 24 + size])))
    at += 24 + size
for s in clips:
    print("item %d, stream %s: %s cells below %d, D %d" % (s["item"], s["name"], "x".join(map(str, s["grid"])), s["K"], s["D"]))
if len(sys.argv) > 2: json.dump(clips, open(sys.argv[2], "w"))
