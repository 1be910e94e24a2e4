# SPDX-License-Identifier: MIT
# read_clip_codebook.py FILE.tess [OUT.json]: the clips of a token file, read by formats/tokens/SPEC.md alone.
# Prints what they are; OUT.json gets ids, codebook, newline and gains of each. Needs Python and the program zstd.
import io, itertools, json, math, struct, subprocess, sys


def unzstd(data): return subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=True).stdout
def varint(f): byte = f.read(1)[0]; return byte if byte < 128 else byte - 128 + (varint(f) << 7)
# Section 7.1: the lowest bytes of all n numbers, then the next bytes: data[i::n] is number i.
def numbers(data, n, form): return [struct.unpack("<" + form, data[i::n])[0] for i in range(n)]


def map_coder(data, frames, rows, columns, bits):  # section 9.1
    source, span, code, learned, ids = itertools.chain(data, itertools.repeat(0)), 2**32 - 1, 0, {}, []
    for _ in range(4): code = code << 8 | next(source)
    def bit(*contexts):
        nonlocal span, code
        three = [learned.setdefault(c, [32768, 0]) for c in contexts]
        weights = [min(n, 15) + 1 for p, n in three]
        mean = sum(w * p for w, (p, n) in zip(weights, three)) // sum(weights)
        bound = (span >> 16) * min(max(mean, 64), 65472)
        one = code < bound
        span, code = (bound, code) if one else (span - bound, code - bound)
        while span < 1 << 24: span, code = span << 8, code << 8 | next(source)
        for c in three: c[:] = c[0] + ((65535 - c[0]) // (c[1] + 2) if one else -(c[0] // (c[1] + 2))), min(c[1] + 1, 62)
        return one
    def cell(f, r, c): return ids[(f * rows + r) * columns + c] if min(f, r, c) >= 0 else None
    def compare(a, b): return 0 if a is None or b is None else 1 + (a == b)
    for f, r, c in itertools.product(range(frames), range(rows), range(columns)):
        P, L, U = cell(f - 1, r, c), cell(f, r, c - 1), cell(f, r - 1, c)
        still = compare(L, cell(f - 1, r, c - 1)), compare(U, cell(f - 1, r - 1, c))
        agree = compare(P, L), compare(P, U), compare(L, U)
        for which, near in (("P", P), ("L", L if L != P else None), ("U", U if U not in (P, L) else None)):
            if near is not None and bit(("still", which, still), ("agree", which, agree), ("id", which, near % 256)): break
        else:
            near = 0
            for top in range(bits, 0, -8):  # a digit, whose place among the bits is its number
                left, width, node = max(top - 8, 0), min(top, 8), 1
                p, l = (None if x is None else x >> left & (1 << width) - 1 for x in (P, L))
                while node < 1 << width: node = 2 * node + bit((left, node), ("P", left, node, p), ("L", left, node, l))
                near |= node - (1 << width) << left
        ids.append(near)
    return ids


def read_stream(f):  # a STRM payload, section 7.1
    def text(): return f.read(f.read(1)[0]).decode()
    def part(): size, coding = varint(f), f.read(1)[0]; return coding, f.read(size)
    def content(): coding, data = part(); return unzstd(data) if coding else data
    s = {"item": varint(f), "number": varint(f), "count": varint(f), "name": text(), "source": text()}
    s["weights_hash"], flags, s["grid"] = f.read(8)[::-1].hex(), f.read(1)[0], [varint(f) for _ in range(3)]
    K, n = varint(f), math.prod(s["grid"])
    assert flags & 25 == 1, "not a clip's stream: no codebook, or a way to a finer stream"
    D, kind, R, bits, data = varint(f), f.read(1)[0], K + (flags >> 1 & 1), (K - 1).bit_length(), content()
    x = numbers(data[4 * R if kind == 2 else 0:], R * D, "feb"[kind])
    if kind == 2: x = [scale * q for i, scale in enumerate(numbers(data[:4 * R], R, "f")) for q in x[i * D:i * D + D]]
    s["K"], s["D"], s["codebook"], s["newline"] = K, D, [x[k * D:k * D + D] for k in range(K)], x[K * D:]
    coding, data = part()
    if coding == 0: raw = int.from_bytes(data, "little"); s["ids"] = [raw >> i * bits & (1 << bits) - 1 for i in range(n)]
    elif coding == 1: data = unzstd(data); s["ids"] = [int.from_bytes(data[i::n], "little") for i in range(n)]
    else: s["ids"] = map_coder(data, *s["grid"], bits) if coding == 2 else list(range(n))
    if flags & 4: s["gains"] = numbers(content(), n, "e")
    return s


file, clips = open(sys.argv[1], "rb"), []
assert file.read(16)[:8] == b"\x89TSR\r\n\x1a\n", "not a token file"
while head := file.read(24):
    payload = file.read(struct.unpack_from("<Q", head, 8)[0])
    if head[:4] == b"STRM": clips.append(read_stream(io.BytesIO(payload)))
for s in clips: print("item {item}, stream {name}: {0}x{1}x{2} cells below {K}, D {D}".format(*s["grid"], **s))
if len(sys.argv) > 2: json.dump(clips, open(sys.argv[2], "w"))
