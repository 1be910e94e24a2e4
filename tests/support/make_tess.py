# SPDX-License-Identifier: MIT
# make_tess.py OUT.tess [name=value ...]: a token file written by SPEC.md alone, without the library:
# a second writer, and files whose every byte the tests know. Raw coding, one layer.
import struct
import sys


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def varint(n):
    out = bytearray()
    while True:
        out.append((n & 127) | (128 if n > 127 else 0))
        n >>= 7
        if not n:
            return bytes(out)


def chunk(kind, payload, critical):
    head = kind + struct.pack("<IQI", critical, len(payload), crc32c(payload))
    return head + struct.pack("<I", crc32c(head)) + payload


def pack(ids, bits):
    value = 0
    for i, n in enumerate(ids):
        value |= n << (i * bits)
    return value.to_bytes((len(ids) * bits + 7) // 8, "little")


def xxh64(data):
    """XXH64 with seed 0, after its specification."""
    primes = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261)
    p1, p2, p3, p4, p5 = primes
    mask = (1 << 64) - 1

    def turn(x, n):
        return ((x << n) | (x >> (64 - n))) & mask

    def step(acc, lane):
        return turn((acc + lane * p2) & mask, 31) * p1 & mask

    at, size = 0, len(data)
    if size >= 32:
        acc = [(p1 + p2) & mask, p2, 0, (-p1) & mask]
        while at + 32 <= size:
            for i in range(4):
                acc[i] = step(acc[i], struct.unpack_from("<Q", data, at + 8 * i)[0])
            at += 32
        h = sum(turn(a, n) for a, n in zip(acc, (1, 7, 12, 18))) & mask
        for a in acc:
            h = ((h ^ step(0, a)) * p1 + p4) & mask
    else:
        h = p5
    h = (h + size) & mask
    while at + 8 <= size:
        h = (turn(h ^ step(0, struct.unpack_from("<Q", data, at)[0]), 27) * p1 + p4) & mask
        at += 8
    if at + 4 <= size:
        h = (turn(h ^ (struct.unpack_from("<I", data, at)[0] * p1 & mask), 23) * p2 + p3) & mask
        at += 4
    for byte in data[at:]:
        h = turn(h ^ (byte * p5 & mask), 11) * p1 & mask
    h = (h ^ (h >> 33)) * p2 & mask
    h = (h ^ (h >> 29)) * p3 & mask
    return h ^ (h >> 32)


def attr(owner, values):
    """ATTR of the file (owner 0) or of item owner - 1: text, numbers and bytes by name."""
    out = varint(owner) + varint(len(values))
    for name, value in sorted((n.encode(), v) for n, v in values.items()):
        kind = 1 if isinstance(value, int) else 2 if isinstance(value, bytes) else 0
        out += bytes([kind, len(name)]) + name
        if kind == 1:
            out += varint(2 * value if value >= 0 else -2 * value - 1)
        else:
            raw = value if kind == 2 else value.encode()
            out += varint(len(raw)) + raw
    return chunk(b"ATTR", out, 0)


def make(items=2, tiles=2, count=5, nested=1, name="mosaic-256", family=1, weights=0x0123456789ABCDEF,
         major=1, columns=256, keys=None, channels=0, half=0, attributes=0, key_index=0, split="train"):
    levels = [] if channels else [8, 8, 8, 5, 5, 5]
    size = 0 if channels else 64000
    nested = 0 if channels else nested
    out = b"\x89TSR\r\n\x1a\n" + struct.pack("<HH", major, 2 if attributes or key_index else 0)
    out += struct.pack("<I", crc32c(out))
    text = name.encode()
    head = struct.pack("<QIIIIIII", weights, family, size, 1, columns, 256, 256, 0)
    head += bytes([0, 4, 1, nested, 255, 255, 255, len(levels), len(text)]) + text
    head += b"".join(struct.pack("<I", n) for n in levels)
    if channels:  # vectors of so many numbers in place of ids
        head += struct.pack("<IB", channels, half)
    out += chunk(b"HEAD", head, 1)
    own = attr(0, {"split": split}) if attributes else b""
    out += own
    index = varint(items)
    records = []
    for item in range(items):
        key = (keys[item] if keys else "photo%d.png" % item).encode(errors="surrogateescape")
        width = 256 * tiles - 32 * (tiles - 1)
        body = varint(item) + bytes([2]) + varint(len(key)) + key
        body += varint(width) + varint(256) + bytes([1]) + varint(width) + varint(256)
        body += varint(0) + varint(0) + varint(tiles) + varint(1) + varint(32 if tiles > 1 else 0)
        body += varint(count)
        if channels:
            numbers = [(item * 100 + i) / 8 - 3 for i in range(tiles * count * channels)]
            body += bytes([0]) + b"".join(struct.pack("<e" if half else "<f", n) for n in numbers)
        else:
            ids = [(item * 7919 + (tile * 5 + i) * 104729) % size for tile in range(tiles) for i in range(count)]
            body += bytes([0]) + pack(ids, 16)
        whole = chunk(b"ITEM", body, 1)
        if attributes:
            whole += attr(item + 1, {"label": "dog \u00e4" if item % 2 else "cat", "n": -item, "blob": bytes([0, item])})
        records.append((xxh64(key), item))
        index += varint(len(own) if item == 0 else 0) + varint(len(whole)) + varint(tiles * count)
        out += whole
    if key_index:
        out += chunk(b"KEYS", b"".join(struct.pack("<QQ", h, n) for h, n in sorted(records)), 0)
    at = len(out)
    out += chunk(b"INDX", index, 0)
    out += chunk(b"TEND", struct.pack("<Q", at), 0)
    return out


if __name__ == "__main__":
    settings = {}
    for word in sys.argv[2:]:
        key, value = word.split("=", 1)
        settings[key] = value.split(",") if key == "keys" else value if key in ("name", "split") else int(value, 0)
    open(sys.argv[1], "wb").write(make(**settings))
