# SPDX-License-Identifier: MIT
# Data sets of other tools through the program, for tests/cli/dataset_*.sh.
#   dataset_cases.py own                 sets made by the rule below, through every format and back
#   dataset_cases.py own-hostile         damaged and hostile files that are made here
#   dataset_cases.py golden FOLDER       files that the formats' own libraries wrote
#   dataset_cases.py hostile FOLDER      damaged and hostile files, each with its verdict
#   dataset_cases.py libraries light|heavy  what export writes, read by the formats' own libraries
# Works in the current folder. Prints a line for each case; ends with "N checks, M failed".
import gzip
import hashlib
import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import zipfile

TESSERA = os.environ["TESSERA"]
PEAK = 400 << 10  # kilobytes that no case may need, also under a sanitizer
M64 = (1 << 64) - 1
checks = failed = 0


def check(good, *what):
    global checks, failed
    checks += 1
    if not good:
        failed += 1
        print("FAILED:", *what)
    return good


# ---- the rule: ids of an item from the names of set and item alone ----------------------------------


def fnv(data):
    h = 0xCBF29CE484222325
    for byte in data:
        h = (h ^ byte) * 0x100000001B3 & M64
    return h


def ids_of(dataset, key, seed, codes, n):
    state = fnv((dataset + "/" + key).encode()) ^ seed
    out = []
    for i in range(n):
        z = (state + (i + 1) * 0x9E3779B97F4A7C15) & M64
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & M64
        z = (z ^ z >> 27) * 0x94D049BB133111EB & M64
        z ^= z >> 31
        out.append((z >> 32) * codes >> 32)
    if n >= 2:
        out[0], out[-1] = 0, codes - 1
    return out


def ids_hash(ids):
    return "%016x" % fnv(b"".join(i.to_bytes(4, "little") for i in ids))


# ---- the program ------------------------------------------------------------------------------------


class Result:
    def __init__(self, code, out, err, peak):
        self.code, self.out, self.err, self.peak = code, out, err, peak


def run(*args, stdin=None):
    with open("out", "wb") as out, open("err", "wb") as err:
        p = subprocess.Popen([TESSERA, *map(str, args)], stdout=out, stderr=err,
                             stdin=stdin or subprocess.DEVNULL)
        _, status, usage = os.wait4(p.pid, 0)
        p.returncode = 0
    with open("out", "rb") as out, open("err", "rb") as err:
        return Result(os.waitstatus_to_exitcode(status), out.read(),
                      err.read().decode(errors="replace"), usage.ru_maxrss)


def remove(path):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.remove(path)


def do(*args):
    r = run(*args)
    check(r.code == 0, "exit code", r.code, *args, r.err.strip()[:400])
    return r


def write_lines(path, items):
    with open(path, "w", encoding="utf-8") as f:
        for item in items:
            f.write(json.dumps(item, ensure_ascii=False) + "\n")


def read_lines(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f.read().split("\n") if line]


def records(tess):
    """The items of a token file, through the program's own JSON lines."""
    remove("records")
    r = run("export", tess, "-o", "records", "--to", "jsonl", "-q")
    if not check(r.code == 0, "export of", tess, r.code, r.err[:400]):
        return []
    return read_lines("records/part-00000.jsonl")


def make_tess(path, items, codes):
    write_lines("source.jsonl", items)
    do("import", "source.jsonl", "-o", path, "--from", "jsonl", "-k", codes, "-f", "-q")


def files_below(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            found[os.path.relpath(path, folder)] = path
    return found


def compare(what, got, items, carries):
    """Items as JSON lines against what they must be."""
    if not check(len(got) == len(items), what, "items: wanted", len(items), "got", len(got)):
        return
    if "key" in carries:
        order = {item["key"]: item for item in items}
        items = [order.get(g["key"]) for g in got]
        if not check(None not in items and len(order) == len(got), what, "keys:", [g["key"] for g in got]):
            return
    for g, item in zip(got, items):
        name = "%s: %s" % (what, item["key"])
        check(g["ids"] == item["ids"], name, "ids: wanted", item["ids"][:8], "got", g["ids"][:8])
        for field in ("shape", "label", "caption", "mode"):
            if field in carries and field in item:
                wanted = item[field]
                check(g.get(field, 0 if field == "mode" else None) == wanted, name, field,
                      "wanted", repr(wanted), "got", repr(g.get(field)))


# ---- sets of our own --------------------------------------------------------------------------------

CAPTIONS = ["a cat on a mat", "två katter, \"quoted\"", "", "line one\nline two",
            "tab\there, backslash \\ and / slash", "猫と犬 \U0001f408 \u2028 \u0085"]
LABELS = [0, 7, -1, 65536, 281, 42]


def own_set(name, codes, seed, shapes, keys):
    items = []
    for i, (key, shape) in enumerate(zip(keys, shapes)):
        n = 1
        for axis in shape:
            n *= axis
        items.append({"key": key, "shape": shape, "label": LABELS[i % 6], "caption": CAPTIONS[i % 6],
                      "mode": i % 3 - 1, "ids": ids_of(name, key, seed, codes, n)})
    return name, codes, items


def own_sets():
    keys = ["train/n01/img_0001", "猫/写真", "кот-é", "with space", "k" * 120, "A/b"]
    yield own_set("equal", 1024, 1, [[4, 4]] * 6, keys)
    yield own_set("ragged", 64000, 2, [[2, 3], [1], [2, 2, 3], [1, 5], [31], [2, 1, 1, 3]], keys)
    yield own_set("last-of-16-bits", 65536, 3, [[8]] * 6, keys)
    yield own_set("beyond-16-bits", 262144, 4, [[7], [40], [3], [1], [2], [9]], keys)
    yield own_set("beyond-31-bits", 4294967295, 5, [[6]] * 6, keys)


# format, layout, what it carries, file or folder to import, further options
ROUND_TRIPS = [
    ("jsonl", None, "key ids shape label caption mode", "part-00000.jsonl", []),
    ("npy", None, "key ids shape", "", []),
    ("npz", "auto", "key ids label caption", "data.npz", []),
    ("npz", "offsets", "key ids label caption", "data.npz", []),
    ("npz", "by-key", "key ids shape", "data.npz", []),
    ("webdataset", "npy", "key ids shape label caption mode", "", ["--shard-items", 2]),
    ("webdataset", "npy-json", "key ids shape label caption mode", "", ["--shard-items", 4]),
    ("webdataset", "json", "key ids shape label caption mode", "", []),
    ("megatron", None, "ids mode", "data.idx", []),
    ("mds", "auto", "key ids shape label caption", "", ["--shard-bytes", 600]),
    ("mds", "typed", "key ids shape label caption", "index.json", []),
    ("datatrove", "loss", "ids", "", ["--shard-items", 4]),
    ("safetensors", None, "key ids shape", "data.safetensors", []),
    ("titok-jsonl", None, "ids label", "pretokenized.jsonl", []),
    ("llamagen-t2i", None, "ids", "", []),
]


def own():
    for name, codes, items in own_sets():
        make_tess(name + ".tess", items, codes)
        compare(name + ".tess", records(name + ".tess"), items, "key ids shape label caption mode")
        for form, layout, carries, path, options in ROUND_TRIPS:
            what = "own/%s/%s%s" % (name, form, "-" + layout if layout else "")
            before = failed
            arguments = ["export", name + ".tess", "-o", "set", "--to", form, *options]
            if layout:
                arguments += ["--layout", layout]
            remove("set")
            r = run(*arguments)
            if codes > 1 << 31 and form == "megatron":  # no type of 32 bits without a sign
                check(r.code == 4 and "i32" in r.err and not os.path.exists("set"), what, r.code, r.err)
                print("ok" if failed == before else "FAILED", what, "(refused)")
                continue
            check(r.code == 0, what, r.code, r.err)
            card = json.load(open("set/tessera.json"))
            check(card["items"] == len(items) and card["codebook_size"] == codes and
                  card["tokens"] == sum(len(i["ids"]) for i in items), what, card)
            do("import", os.path.join("set", path), "-o", "back.tess", "--from", form, "-k", codes, "-f", "-q")
            compare(what, records("back.tess"), items, carries)
            print("ok" if failed == before else "FAILED", what)


# ---- files that the libraries wrote -----------------------------------------------------------------

READ = ["jsonl", "npy", "npz", "webdataset", "megatron", "mds", "datatrove", "safetensors", "llamagen",
        "llamagen-t2i", "titok-jsonl", "liquid"]


def export_options(m):
    layout, form = m["layout"], m["format"]
    codes = {"<u2": "u16", "<u4": "u32", "U16": "u16", "U32": "u32"}
    if form in ("npy", "safetensors"):
        return ["--dtype", codes[layout["dtype"]]]
    if form == "npz":
        return ["--layout", "stacked" if layout["kind"] == "deflated" else layout["kind"],
                "--dtype", codes[layout["dtype"]]]
    if form == "webdataset":
        return ["--layout", layout["kind"], "--shard-items", layout["per_shard"]]
    if form == "megatron":
        documents = layout["documents"]
        return ["--dtype", layout["dtype"], "--group", documents[1] - documents[0]]
    if form == "datatrove":
        return ["--layout", "loss" if layout["loss"] else "plain", "--name", layout["metadata_name"],
                "--shard-items", (len(m["items"]) + 1) // 2]
    if form == "mds":
        word = layout["encoding"].split(":")
        kind = "typed" if len(word) == 1 else "dynamic" if len(word) == 2 else "static"
        return ["--layout", kind, "--shard-bytes", layout["size_limit"],
                "--dtype", word[1] if len(word) > 1 else "i32"]
    if form == "llamagen":
        return ["--group", layout["augs"], "--name", "imagenet256"]
    if form == "llamagen-t2i":
        return ["--shard-items", 4]
    return []


def golden_items(m):
    items = []
    for item in m["items"]:
        wanted = ids_of(m["dataset"], item["key"], m["seed"], m["codebook_size"], item["n"])
        check(ids_hash(wanted) == item["ids_fnv1a64"], "the rule", m["dataset"], item["key"])
        items.append({**{k: v for k, v in item.items() if k not in ("n", "ids_fnv1a64")}, "ids": wanted})
    return items


def golden(folder):
    for form in READ:
        for name in sorted(os.listdir(os.path.join(folder, form))):
            place = os.path.join(folder, form, name)
            m = json.load(open(os.path.join(place, "manifest.json"), encoding="utf-8"))
            what, before = "golden/%s/%s" % (form, name), failed
            items = golden_items(m)
            codes = m["codebook_size"]
            inputs = [place]
            if form == "liquid":
                for item in items:
                    item["caption"] = item.get("caption", "")
            do("import", *inputs, "-o", "golden.tess", "--from", form, "-k", codes, "-f", "-q")
            compare(what + " read", records("golden.tess"), items, m["carries"])
            if form != "liquid":
                make_tess("items.tess", items, codes)
                remove("set")
                do("export", "items.tess", "-o", "set", "--to", form, *export_options(m))
                if m["bytes"] == "exact":
                    written = files_below("set")
                    written.pop("tessera.json", None)
                    check(sorted(written) == sorted(m["files"]), what, "files: wanted", sorted(m["files"]),
                          "got", sorted(written))
                    for path, file in m["files"].items():
                        data = open(written[path], "rb").read() if path in written else b""
                        check(hashlib.sha256(data).hexdigest() == file["sha256"], what, path,
                              "bytes differ from the library's")
                else:
                    do("import", "set", "-o", "back.tess", "--from", form, "-k", codes, "-f", "-q")
                    compare(what + " written", records("back.tess"), items, m["carries"])
            print("ok" if failed == before else "FAILED", what, "(%s)" % m["bytes"])


# ---- hostile files ----------------------------------------------------------------------------------


def no_output(what):
    left = [n for n in os.listdir(".") if n.startswith("hostile.tess") or ".tmp-" in n]
    check(not left, what, "left behind:", left)


def hostile_case(folder, case):
    what = "hostile/%s/%s" % (case["format"], case["name"])
    before = failed
    path = os.path.join(folder, case["input"])
    arguments = ["import", path, "-o", "hostile.tess", "--from", case["format"], "-k", case["codebook_size"]]
    r = run(*arguments, "--json")
    verdict = case["verdict"]
    check(0 <= r.code < 6, what, "exit code", r.code, r.err[:300])
    check(r.peak < PEAK, what, "memory:", r.peak, "kB")
    lines = r.err.splitlines()
    refused = r.code not in (0, 1)
    if verdict == "refuse" or (verdict == "either" and refused):
        check(refused, what, "wanted a refusal, got", r.code, r.err[:300])
        check("/" + case["name"] in r.err, what, "names no file:", r.err[:300])
        check([l for l in lines if l.startswith("tessera import: ")] == lines and lines, what, r.err[:300])
        no_output(what)
    else:
        wanted = {"accept": [0], "skip-item": [1], "either": [0, 1]}[verdict]
        check(r.code in wanted, what, "wanted exit code", wanted, "got", r.code, r.err[:400])
        if r.code in (0, 1) and check(os.path.exists("hostile.tess"), what, "no output"):
            got = records("hostile.tess")
            report = json.loads(r.out)
            check(report["items"] == len(got) and (report["failed"] > 0) == (r.code == 1), what, report)
            check(len(report["failures"]) == report["failed"], what, report["failures"])
            if "keys" in case and verdict != "either":
                check(sorted(g["key"] for g in got) == sorted(case["keys"]), what, "keys: wanted",
                      case["keys"], "got", [g["key"] for g in got])
            if "ids" in case:
                flat = [i for g in got for i in g["ids"]]
                check(flat == case["ids"], what, "ids: wanted", case["ids"][:8], "got", flat[:8])
            if "shape" in case:
                check([g["shape"] for g in got] == [case["shape"]], what, "shape:", [g["shape"] for g in got])
    remove("hostile.tess")
    if verdict == "skip-item":
        strict = run(*arguments, "--on-error", "stop")
        check(strict.code not in (0, 1) and 0 < strict.code < 6, what, "strict:", strict.code, strict.err[:300])
        no_output(what)
    print("ok" if failed == before else "FAILED", what, "(%s)" % verdict)


# The file of this case is a good archive: its record says 134 bytes and has them.
REALLY = {"webdataset/pax-length-lie": "accept"}


def hostile(folder):
    place = os.path.join(folder, "hostile")
    cases = json.load(open(os.path.join(place, "manifest.json"), encoding="utf-8"))["cases"]
    for case in cases:
        if case["format"] in READ:
            case["verdict"] = REALLY.get(case["format"] + "/" + case["name"], case["verdict"])
            hostile_case(place, case)


# ---- hostile files of our own: one or two of each kind, made here ---------------------------------------

GOOD = ids_of("hostile", "a", 9, 1024, 4)


def npy(ids, descr="<u2", shape=None, order="False", version=1, header=None):
    shape = shape if shape is not None else "(%d,)" % len(ids)
    text = header or "{'descr': '%s', 'fortran_order': %s, 'shape': %s, }" % (descr, order, shape)
    length = struct.Struct("<H" if version == 1 else "<I")
    text += " " * (-(len(text) + 8 + length.size + 1) % 64) + "\n"
    code = {"u": "HI"[descr[2] == "4"], "i": "q", "f": "f"}.get(descr[1], "H")
    order = ">" if descr[0] == ">" else "<"
    return (b"\x93NUMPY" + bytes([version, 0]) + length.pack(len(text)) + text.encode("latin-1") +
            struct.pack("%s%d%s" % (order, len(ids), code), *ids))


def tar(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data, *kind in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            if kind:
                info.type, info.linkname, info.size = kind[0], "b.npy", 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def pax(record):
    """A pax header with this record before a.npy, then b.npy."""
    plain = tar(("a.npy", npy(GOOD)), ("b.npy", npy(GOOD)))
    head = bytearray(plain[:512])
    head[:100] = b"././@PaxHeader".ljust(100, b"\0")
    head[156:157] = b"x"
    head[124:136] = b"%011o\0" % len(record)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + record.ljust(512, b"\0") + plain


def zipped(*members, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return out.getvalue()


def line(ids="[1, 2]", key='"a"', more=""):
    return ('{"key": %s, "ids": %s%s}\n' % (key, ids, more)).encode()


def index(lengths=(2, 2), offsets=None, documents=(0, 1, 2), code=8, magic=b"MMIDIDX\0\0", count=None):
    offsets = offsets or [4 * i for i in range(len(lengths))]
    return (magic + struct.pack("<QBQQ", 1, code, len(lengths) if count is None else count, len(documents)) +
            struct.pack("<%di" % len(lengths), *lengths) + struct.pack("<%dq" % len(offsets), *offsets) +
            struct.pack("<%dq" % len(documents), *documents))


def safetensors(header, data=b"\1\0\2\0"):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def mds(encoding="ndarray:uint16", basename="shard.00000.mds", samples=1, data=None, own=None, **more):
    columns = {"column_encodings": [encoding, "str"], "column_names": ["ids", "key"],
               "column_sizes": [None, None], "compression": None, "format": "mds", "hashes": [],
               "size_limit": 600, "version": 2}
    config = json.dumps({**columns, **(own or {})}, sort_keys=True).encode()
    ids = b"\x04\x02\1\0\2\0" if data is None else data
    sample = struct.pack("<II", len(ids), 1) + ids + b"a"
    begin = 12 + len(config)
    shard = struct.pack("<III", 1, begin, begin + len(sample)) + config + sample
    entry = {**columns, "raw_data": {"basename": basename, "bytes": len(shard), "hashes": {}},
             "samples": samples, "zip_data": None, **more}
    return {"index.json": json.dumps({"shards": [entry], "version": 2}).encode(), "shard.00000.mds": shard}


def datatrove(ends=(2, 3), metadata=b"x|2\n3\n3.00 T", data=b"\1\0\2\0\3\0"):
    files = {"00000_t.ds": data, "00000_t.ds.index": struct.pack("<%dQ" % len(ends), *ends)}
    return {**files, "00000_t.ds.metadata": metadata} if metadata else files


def zstd(data):
    """A zstd frame (RFC 8878) that stores data, at most 128 KiB, as it is."""
    return b"\x28\xb5\x2f\xfd\xa0" + struct.pack("<I", len(data)) + struct.pack("<I", 1 | len(data) << 3)[:3] + data


def own_hostile_cases():
    """format, name, files (the first is opened), verdict, keys or ids"""
    def one(form, name, data, verdict, **more):
        suffix = {"webdataset": "tar", "megatron": "idx"}.get(form, form).replace("titok-", "")
        return form, name, {"x." + suffix: data}, verdict, more
    good = npy(GOOD)
    pickle = npy([], header="{'descr': '|O', 'fortran_order': False, 'shape': (1,), }") + b"\x80\x04]\x94."
    yield one("npy", "good", good, "accept", ids=GOOD)
    yield one("npy", "big-endian", npy(GOOD, ">u2"), "accept", ids=GOOD)
    yield one("npy", "column-order", npy([1, 4, 2, 5, 3, 6], shape="(2, 3)", order="True"), "accept",
              ids=[1, 2, 3, 4, 5, 6])
    yield one("npy", "version-3", npy(GOOD, version=3), "accept", ids=GOOD)
    yield one("npy", "trailing", good + b"xyz", "accept", ids=GOOD)
    yield one("npy", "floats", npy(GOOD, "<f4"), "refuse")
    yield one("npy", "pickle", pickle, "refuse")
    yield one("npy", "negative", npy([1, -1], "<i8"), "refuse")
    yield one("npy", "wraps", npy([65539, 4294967299], "<i8"), "refuse")
    yield one("npy", "cut", good[:-1], "refuse")
    yield one("npy", "empty", b"", "refuse")
    yield one("npy", "huge", npy([1], shape="(1099511627776,)"), "refuse")
    yield one("npy", "overflow", npy([1], shape="(4294967296, 4294967296)"), "refuse")
    yield one("npy", "zero-times-huge", npy([], shape="(0, 4294967296, 4294967296)"), "refuse")
    yield one("npy", "code", npy([1], header="{'descr': '<u2', 'fortran_order': exit(), 'shape': (1,)}"), "refuse")
    yield one("npy", "more-keys", npy([1], header="{'descr': '<u2', 'fortran_order': False, 'shape': (1,), 'x': 1}"),
              "refuse")
    yield one("npz", "good", zipped(("a/b.npy", good), ("c.npy", good)), "accept", keys=["a/b", "c"])
    yield one("npz", "deflated", zipped(("a.npy", npy([7] * 4000)), method=zipfile.ZIP_DEFLATED), "accept",
              ids=[7] * 4000)
    yield one("npz", "bad-crc", zipped(("a.npy", good)).replace(good[-4:], b"\1\0\1\0"), "refuse")
    yield one("npz", "pickle", zipped(("a.npy", pickle)), "refuse")
    yield one("npz", "dotdot", zipped(("../a.npy", good)), "refuse")
    yield one("npz", "offsets-back", zipped(("ids.npy", good), ("offsets.npy", npy([0, 3, 1, 4], "<i8"))), "refuse")
    yield one("npz", "grows", zipped(("a.npy", good + bytes(4 << 20)), method=zipfile.ZIP_DEFLATED), "refuse")
    both = tar(("a.npy", good), ("a.cls", b"3"), ("b.npy", good))
    yield one("webdataset", "good", both, "accept", keys=["a", "b"])
    yield one("webdataset", "empty", tar(), "accept", keys=[])
    packed, half = gzip.compress(both), gzip.compress(both[:2600])
    yield one("webdataset", "gzip", packed, "accept", keys=["a", "b"])
    yield one("webdataset", "gzip-members", gzip.compress(both[:700]) + gzip.compress(both[700:]), "accept",
              keys=["a", "b"])
    yield one("webdataset", "zstd", zstd(both), "accept", keys=["a", "b"])
    yield one("webdataset", "zstd-frames", zstd(both[:99]) + zstd(both[99:]), "accept", keys=["a", "b"])
    yield one("webdataset", "gzip-check-sum", packed[:-8] + b"1234" + packed[-4:], "skip-item", keys=["a", "b"])
    yield one("webdataset", "gzip-no-end", packed[:-8], "skip-item", keys=["a", "b"])
    yield one("webdataset", "gzip-cut-later", half, "skip-item", keys=["a"])
    yield one("webdataset", "gzip-cut-first", packed[:40], "refuse")
    yield one("webdataset", "gzip-damaged", packed[:20] + b"\xff" * 40 + packed[60:], "refuse")
    yield one("webdataset", "zstd-cut", zstd(both)[:2600], "skip-item", keys=["a"])
    yield one("webdataset", "zstd-window", b"\x28\xb5\x2f\xfd\x00\xb0" + zstd(both)[9:], "refuse")
    yield one("webdataset", "packed-twice", gzip.compress(packed), "refuse")
    yield one("webdataset", "cut-later", both[:2600], "skip-item", keys=["a"])
    yield one("webdataset", "cut-first", both[:600], "refuse")
    yield one("webdataset", "checksum", both[:3] + b"x" + both[4:], "refuse")
    yield one("webdataset", "dotdot", tar(("../a.npy", good), ("b.npy", good)), "skip-item", keys=["b"])
    yield one("webdataset", "absolute", tar(("/etc/a.npy", good), ("b.npy", good)), "skip-item", keys=["b"])
    yield one("webdataset", "link", tar(("a.npy", b"", tarfile.SYMTYPE), ("b.npy", good)), "skip-item", keys=["b"])
    yield one("webdataset", "pickle", tar(("a.pyd", b"cos\nsystem\n."), ("b.npy", good)), "skip-item", keys=["b"])
    yield one("webdataset", "twice", tar(("a.npy", good), ("a.npy", good)), "refuse")
    yield one("webdataset", "apart", tar(("a.npy", good), ("b.npy", good), ("a.cls", b"1")), "refuse")
    yield one("webdataset", "bad-class", tar(("a.cls", b"x"), ("a.npy", good), ("b.npy", good)), "skip-item",
              keys=["b"])
    yield one("webdataset", "dotted", tar(("d.x/img.V2.NPY", good)), "accept", keys=["d.x/img"])
    yield one("webdataset", "pax", pax(b"16 path=d/a.npy\n"), "accept", keys=["d/a", "b"])
    yield one("webdataset", "pax-length", pax(b"99 path=d/a.npy\n"), "refuse")
    yield one("webdataset", "pax-no-newline", pax(b"16 path=d/a.npy!"), "refuse")
    for name, ids in [("beyond", "[1, 1024]"), ("negative", "[-1]"), ("half", "[1.5]"), ("whole-float", "[1.0]"),
                      ("exponent", "[1e2]"), ("text", '["1"]'), ("true", "[true]"), ("null", "[null]"),
                      ("nan", "[NaN]"), ("leading-zero", "[01]"), ("wraps-64", "[18446744073709551619]"),
                      ("digits", "[%s]" % ("9" * 400)), ("nested", "[[1]]"), ("comma", "[1,]"), ("cut", "[1"),
                      ("deep", "[" * 20000 + "]" * 20000)]:
        yield one("jsonl", "ids-" + name, line(ids) + line(key='"b"'), "skip-item", keys=["b"])
    yield one("jsonl", "surrogate", line(key='"\\ud800"') + line(key='"b"'), "skip-item", keys=["b"])
    yield one("jsonl", "overlong", line(key='"x"').replace(b"x", b"\xc0\xaf") + line(key='"b"'), "skip-item",
              keys=["b"])
    yield one("jsonl", "nul", line(key='"\\u0000"') + line(key='"b"'), "skip-item", keys=["b"])
    yield one("jsonl", "no-ids", b'{"key": "a"}\n' + line(key='"b"'), "skip-item", keys=["b"])
    yield one("jsonl", "ids-twice", line(more=', "ids": [3]') + line(key='"b"'), "skip-item", keys=["b"])
    yield one("jsonl", "shape", line(more=', "shape": [4294967296, 4294967296]') + line(key='"b"'), "skip-item",
              keys=["b"])
    yield one("jsonl", "key-twice", line() + line(), "refuse")
    yield one("jsonl", "blank-lines", b"\n" + line() + b" \r\n" + line(key='"b"')[:-1], "accept", keys=["a", "b"])
    yield one("jsonl", "gzip", gzip.compress(line() + line(key='"b"')), "accept", keys=["a", "b"])
    yield one("jsonl", "gzip-cut", b"\x1f\x8b\x08\0", "refuse")
    yield one("jsonl", "gzip-check-sum", gzip.compress(line())[:-8] + bytes(8), "refuse")
    yield one("jsonl", "zstd", zstd(line() + line(key='"b"')), "accept", keys=["a", "b"])
    yield one("titok-jsonl", "class-text", b'{"class_id": "3", "tokens": [1]}\n{"class_id": 3, "tokens": [2]}\n',
              "skip-item", ids=[2])
    yield one("liquid", "no", b'{"text": "x", "vqcode_512": "no"}\n{"text": "x", "vqcode_512": "[3]"}\n', "accept",
              ids=[3])
    yield one("liquid", "cut", b'{"text": "x", "vqcode_512": "[3"}\n{"text": "x", "vqcode_512": "[4]"}\n',
              "skip-item", ids=[4])
    four = b"\1\0\2\0\3\0\4\0"
    for name, head, data, verdict in [
            ("good", index(), four, "accept"), ("magic", index(magic=b"MMIDIDY\0\0"), four, "refuse"),
            ("float", index(code=7), four, "refuse"), ("count", index(count=1 << 60), four, "refuse"),
            ("length", index(lengths=(2, -1)), four, "refuse"), ("offset", index(offsets=[0, 2]), four, "refuse"),
            ("offset-far", index(offsets=[0, 1 << 40]), four, "refuse"),
            ("documents", index(documents=(0, 2, 1)), four, "refuse"),
            ("no-documents", index(documents=()), four, "refuse"), ("cut", index(), four[:-1], "refuse"),
            ("trailing", index(), four + b"\0\0", "accept"), ("beyond", index(), b"\0\4" * 4, "refuse")]:
        more = {"ids": [1, 2, 3, 4]} if verdict == "accept" else {}
        yield "megatron", name, {"x.idx": head, "x.bin": data}, verdict, more
    yield "megatron", "no-bin", {"x.idx": index()}, "refuse", {}
    for name, files, verdict in [
            ("good", mds(), "accept"), ("pickle", mds("pkl"), "refuse"), ("encoding", mds("rot13"), "refuse"),
            ("dotdot", mds(basename="../shard.00000.mds"), "refuse"), ("samples", mds(samples=9), "refuse"),
            ("type", mds(own={"column_encodings": ["ndarray:uint32", "str"]}), "refuse"),
            ("axes", mds(data=b"\xfc" + bytes(64)), "refuse"), ("shape", mds(data=b"\x04\x09\1\0\2\0"), "refuse"),
            ("version", mds(version=1), "refuse"),
            ("hash", mds(raw_data={"basename": "shard.00000.mds", "bytes": 10, "hashes": {"sha1": "00"}}), "refuse")]:
        yield "mds", name, files, verdict, {"keys": ["a"], "ids": [1, 2]} if verdict == "accept" else {}
    for name, files, verdict in [
            ("good", datatrove(), "accept"), ("no-metadata", datatrove(metadata=None), "accept"),
            ("odd", datatrove(data=b"\1\0\2\0\3"), "refuse"), ("past", datatrove(ends=(2, 4)), "refuse"),
            ("back", datatrove(ends=(3, 2)), "refuse"), ("overflow", datatrove(ends=(2, 1 << 63)), "refuse"),
            ("wide", datatrove(metadata=b"x|4\n3\n3.00 T"), "refuse")]:
        yield "datatrove", name, files, verdict, {"ids": [1, 2, 3]} if verdict == "accept" else {}
    entry = {"dtype": "U16", "shape": [2], "data_offsets": [0, 4]}
    for name, header, verdict in [
            ("good", {"a": entry}, "accept"), ("float", {"a": {**entry, "dtype": "F16"}}, "refuse"),
            ("hole", {"a": {**entry, "shape": [1], "data_offsets": [2, 4]}}, "refuse"),
            ("past", {"a": {**entry, "data_offsets": [0, 5]}}, "refuse"),
            ("negative", {"a": {**entry, "shape": [-2]}}, "refuse"), ("space", b" " + json.dumps({"a": entry}).encode(),
                                                                     "refuse"),
            ("dotdot", {"../a": entry}, "refuse"), ("deep", b"[" * 200 + b"]" * 200, "refuse")]:
        more = {"keys": ["a"], "ids": [1, 2]} if verdict == "accept" else {}
        yield "safetensors", name, {"x.safetensors": safetensors(header)}, verdict, more
    codes, label = npy([1, 2, 3, 4], "<i8", "(1, 2, 2)"), npy([3], "<i8")
    for name, files, verdict in [
            ("good", {"c_codes/0.npy": codes, "c_labels/0.npy": label}, "accept"),
            ("gap", {"c_codes/0.npy": codes, "c_codes/2.npy": codes, "c_labels/0.npy": label,
                     "c_labels/2.npy": label}, "refuse"),
            ("no-label", {"c_codes/0.npy": codes}, "refuse"),
            ("zeros", {"c_codes/0.npy": codes, "c_codes/01.npy": codes, "c_labels/0.npy": label}, "refuse"),
            ("axes", {"c_codes/0.npy": npy([1], "<i8"), "c_labels/0.npy": label}, "refuse")]:
        yield "llamagen", name, files, verdict, {"ids": [1, 2, 3, 4]} if verdict == "accept" else {}


def own_hostile():
    for form, name, files, verdict, more in own_hostile_cases():
        place = os.path.join("cases", form, name)
        for path, data in files.items():
            os.makedirs(os.path.dirname(os.path.join(place, path)), exist_ok=True)
            with open(os.path.join(place, path), "wb") as f:
                f.write(data)
        hostile_case("cases", {"format": form, "name": name, "codebook_size": 1024, "verdict": verdict,
                               "input": os.path.join(form, name, next(iter(files))), **more})


# ---- the formats' own libraries ---------------------------------------------------------------------


def has(module):
    try:
        __import__(module)
        return True
    except ImportError as e:
        print("left out: %s" % e)
        return False


def read_numpy(place, layout):
    import numpy as np
    if layout is None:
        return [{"key": p[:-4], "ids": np.load(f).ravel().tolist(), "shape": list(np.load(f).shape)}
                for p, f in files_below(place).items() if p.endswith(".npy")]
    with np.load(os.path.join(place, "data.npz")) as z:
        if layout == "by-key":
            return [{"key": k, "ids": z[k].ravel().tolist(), "shape": list(z[k].shape)} for k in z.files]
        rows = np.split(z["ids"], z["offsets"][1:-1]) if layout == "offsets" else list(z["ids"])
        return [{"key": str(k), "ids": r.ravel().tolist(), "label": int(n), "caption": str(c)}
                for k, r, n, c in zip(z["keys"], rows, z["labels"], z["captions"])]


def read_webdataset(place, layout):
    import webdataset as wds
    shards = sorted(os.path.join(place, n) for n in os.listdir(place) if n.endswith(".tar"))
    out = []
    for s in wds.WebDataset(shards, shardshuffle=False).decode():
        more = s.get("json", {})
        ids = s["npy"].ravel().tolist() if "npy" in s else more["ids"]
        out.append({"key": s["__key__"], "ids": ids, "label": s.get("cls", more.get("label")),
                    "caption": s.get("txt", more.get("caption")),
                    "shape": list(s["npy"].shape) if "npy" in s else more["shape"]})
    return out


def read_safetensors(place, layout):
    from safetensors.numpy import load_file
    return [{"key": k, "ids": v.ravel().tolist(), "shape": list(v.shape)}
            for k, v in load_file(os.path.join(place, "data.safetensors")).items()]


def read_megatron(place, layout):
    """By the layout alone: the library itself needs a GPU's stack."""
    head, data = (open(os.path.join(place, "data." + e), "rb").read() for e in ("idx", "bin"))
    version, code, n, documents = struct.unpack_from("<QBQQ", head, 9)
    check(head[:9] == b"MMIDIDX\0\0" and version == 1, "megatron head")
    lengths = struct.unpack_from("<%di" % n, head, 34)
    offsets = struct.unpack_from("<%dq" % n, head, 34 + 4 * n)
    docs = struct.unpack_from("<%dq" % documents, head, 34 + 12 * n)
    modes = head[34 + 12 * n + 8 * documents:]
    check(docs[0] == 0 and docs[-1] == n and len(modes) in (0, n), "megatron documents", docs, len(modes))
    kind = {1: "B", 2: "b", 3: "h", 4: "i", 5: "q", 8: "H"}[code]
    return [{"ids": list(struct.unpack_from("<%d%s" % (length, kind), data, at)),
             "mode": struct.unpack("b", modes[i:i + 1])[0] if modes else 0}
            for i, (length, at) in enumerate(zip(lengths, offsets))]


def read_mds(place, layout):
    from streaming import LocalDataset
    return [{"key": s["key"], "ids": s["ids"].ravel().tolist(), "shape": list(s["ids"].shape),
             "label": s["label"], "caption": s["caption"]} for s in LocalDataset(place)]


def read_datatrove(place, layout):
    import numpy as np
    from datatrove.utils.dataset import DatatroveFileDataset
    out = []
    for path in sorted(n for n in os.listdir(place) if n.endswith(".ds")):
        file = os.path.join(place, path)
        size = int(open(file + ".metadata").readline().rsplit("|", 1)[1])
        ends = [0] + np.fromfile(file + ".index", dtype="<u8").tolist()
        window = DatatroveFileDataset(file, ends[-1] - 1, token_size=size)[0]  # one window of all ids
        flat = [int(i) for i in window["input_ids"]]
        out += [{"ids": flat[a:b]} for a, b in zip(ends, ends[1:])]
    return out


LIBRARIES = {"light": [("npy", "numpy", read_numpy), ("npz", "numpy", read_numpy), ("megatron", "struct", read_megatron),
                       ("webdataset", "webdataset", read_webdataset), ("safetensors", "safetensors", read_safetensors)],
             "heavy": [("mds", "streaming", read_mds), ("datatrove", "datatrove", read_datatrove)]}


def libraries(weight):
    read = 0
    for form, module, reader in LIBRARIES[weight]:
        if not has(module):
            continue
        for name, codes, items in own_sets():
            if codes > 1 << 31 and form == "megatron":
                continue
            for trip, layout, carries, _, options in ROUND_TRIPS:
                if trip != form:
                    continue
                what, before = "library/%s/%s%s" % (form, name, "-" + layout if layout else ""), failed
                make_tess("items.tess", items, codes)
                remove("set")
                do("export", "items.tess", "-o", "set", "--to", form, *options,
                   *(["--layout", layout] if layout else []))
                if layout == "auto":
                    layout = json.load(open("set/tessera.json"))["layout"]
                fields = carries.replace("mode", "") if form == "webdataset" else carries
                compare(what, reader("set", layout), items, fields.split())
                print("ok" if failed == before else "FAILED", what)
                read += 1
    if not read:
        print("skipped: none of the libraries is installed")
        sys.exit(77)


if __name__ == "__main__":
    {"own": own, "own-hostile": own_hostile, "golden": golden, "hostile": hostile,
     "libraries": libraries}[sys.argv[1]](*sys.argv[2:])
    print("%d checks, %d failed" % (checks, failed))
    sys.exit(1 if failed or not checks else 0)
