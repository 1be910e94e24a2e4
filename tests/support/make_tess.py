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


def make(items=2, tiles=2, count=5, nested=1, name="mosaic-256", family=1, weights=0x0123456789ABCDEF,
         major=1, columns=256, keys=None, channels=0, half=0):
    levels = [] if channels else [8, 8, 8, 5, 5, 5]
    size = 0 if channels else 64000
    nested = 0 if channels else nested
    out = b"\x89TSR\r\n\x1a\n" + struct.pack("<HH", major, 0)
    out += struct.pack("<I", crc32c(out))
    text = name.encode()
    head = struct.pack("<QIIIIIII", weights, family, size, 1, columns, 256, 256, 0)
    head += bytes([0, 4, 1, nested, 255, 255, 255, len(levels), len(text)]) + text
    head += b"".join(struct.pack("<I", n) for n in levels)
    if channels:  # vectors of so many numbers in place of ids
        head += struct.pack("<IB", channels, half)
    out += chunk(b"HEAD", head, 1)
    index = varint(items)
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
        index += varint(0) + varint(len(whole)) + varint(tiles * count)
        out += whole
    at = len(out)
    out += chunk(b"INDX", index, 0)
    out += chunk(b"TEND", struct.pack("<Q", at), 0)
    return out


if __name__ == "__main__":
    settings = {}
    for word in sys.argv[2:]:
        key, value = word.split("=", 1)
        settings[key] = value.split(",") if key == "keys" else value if key == "name" else int(value, 0)
    open(sys.argv[1], "wb").write(make(**settings))
