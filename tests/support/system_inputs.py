#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes into the current folder the inputs that the commands of docs/SYSTEMS.md name: token sets of random numbers
from a fixed seed, texts, ids."""
import json, random, struct

random.seed(66)


class Sets:
    """A file of token sets, docs/TOKEN_SETS.md."""

    def __init__(self, path):
        self.path, self.head, self.data = path, {"__metadata__": {"tessera.schema": "token-set/1"}}, b""

    def put(self, name, shape, values, kind="F32"):
        raw = struct.pack("<%d%s" % (len(values), "i" if kind == "I32" else "f"), *values)
        self.head[name] = {"dtype": kind, "shape": shape, "data_offsets": [len(self.data), len(self.data) + len(raw)]}
        self.data += raw

    def normal(self, name, *shape):
        self.put(name, list(shape), [random.gauss(0, 1) for _ in range(size(shape))])

    def unit(self, name, *shape):
        self.put(name, list(shape), [random.random() for _ in range(size(shape))])

    def whole(self, name, most, *shape):
        self.put(name, list(shape), [random.randrange(most) for _ in range(size(shape))], "I32")

    def grid(self, text, key=""):
        self.head["__metadata__"]["tessera.grid" + key] = text

    def write(self):
        text = json.dumps(self.head).encode()
        text += b" " * (-len(text) % 8)
        with open(self.path, "wb") as f:
            f.write(struct.pack("<Q", len(text)) + text + self.data)


def size(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def photo():
    """144 tokens of 32 channels with every column that operators on pictures read."""
    s, n, d = Sets("photo.safetensors"), 144, 32
    s.grid("1,12,12")
    s.normal("features", n, d)
    s.normal("keys", n, d)
    s.normal("queries", n, d)
    s.normal("values", n, d)
    s.normal("encoder", n, 24)
    s.normal("text", 3, d)
    s.unit("attention", 2, n)
    for name in ("scores", "attention_shallow", "attention_deep"):
        s.unit(name, n)
    s.whole("ids", 64, n)
    s.whole("ids_other", 64, n)
    s.normal("codes", 64, d)
    s.normal("logits", n, 64)
    s.normal("projector.0.weight", 24, d)
    s.normal("projector.0.bias", 24)
    s.normal("projector.2.weight", 20, 24)
    s.normal("query.weight", 16, d)
    s.normal("key.weight", 16, d)
    s.normal("value.weight", 40, d)
    s.write()


def clip():
    """8 frames of 6 x 6 tokens; frames 4 to 7 are nearly still."""
    s, t, p, d = Sets("clip.safetensors"), 8, 36, 32
    s.grid("8,6,6")
    frames = [[random.gauss(0, 1) for _ in range(p * d)] for _ in range(5)]
    s.put("features", [t * p, d], [x + random.gauss(0, 0.01) for i in range(t) for x in frames[min(i, 4)]])
    s.whole("ids", 500, t * p)
    s.unit("scores", t * p)
    s.unit("attention", 2, 5, t * p)
    s.normal("text", 2, d)
    s.unit("frame_scores", t)
    s.write()


def others():
    s = Sets("layers.safetensors")
    s.normal("features", 144, 16)
    s.unit("attention", 4, 2, 144)
    s.write()
    s = Sets("square.safetensors")
    s.normal("features", 144, 16)
    s.unit("attention", 2, 144, 144)
    s.unit("entropy", 144)
    s.write()
    s = Sets("mask.safetensors")
    s.normal("features", 144, 16)
    s.normal("logits", 144, 2)
    s.normal("codes", 32, 16)
    s.write()
    s = Sets("llm.safetensors")  # prefix 4, 144 tokens, instruction 6; two sub-layers
    s.normal("features", 144, 16)
    s.normal("transition_before", 2, 154, 16)
    s.normal("transition_after", 2, 154, 16)
    s.unit("attention", 2, 6, 144)
    s.write()
    s = Sets("queries.safetensors")
    s.normal("features", 256, 16)
    s.write()
    s = Sets("table.safetensors")
    s.normal("features", 77, 16)
    s.write()
    s = Sets("streams.safetensors")
    for key, count, rows in (("photo.semantic", 81, "1,9,9"), ("photo.pixel", 1024, "1,32,32")):
        s.normal(key + "/features", count, 8)
        s.normal(key + "/codes", 16, 8)
        s.grid(rows, "/" + key)
    s.write()


def texts():
    rows = [("Exit", "Exit", 0.05), ("Bakery", "Bakory", 0.035), ("Open daily", "Opendaily", 0.025), ("7th", "", 0.021)]
    with open("texts.jsonl", "w") as f:
        for ref, pred, ratio in rows:
            f.write(json.dumps({"ref": ref, "pred": pred, "ratio": ratio, "file": "signs"}) + "\n")


def ids():
    """4 pictures of 32 ids below 8,192."""
    head = "{'descr': '<i4', 'fortran_order': False, 'shape': (4, 32), }"
    head += " " * (-(len(head) + 11) % 64) + "\n"
    with open("seed.npy", "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())
        f.write(struct.pack("<128i", *(random.randrange(8192) for _ in range(128))))


photo()
clip()
others()
texts()
ids()
