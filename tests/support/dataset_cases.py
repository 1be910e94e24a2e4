# SPDX-License-Identifier: MIT
# Data sets of other tools through the program, for tests/cli/dataset_*.sh.
#   dataset_cases.py own                 sets made by the rule below, through every format and back
#   dataset_cases.py golden FOLDER       files that the formats' own libraries wrote
#   dataset_cases.py hostile FOLDER      damaged and hostile files, each with its verdict
#   dataset_cases.py libraries           what export writes, read by the formats' own libraries
# Works in the current folder. Prints a line for each case; ends with "N checks, M failed".
import hashlib
import json
import os
import shutil
import subprocess
import sys

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
        check(os.path.basename(path)[:20] in r.err or "/%s/" % case["name"] in r.err, what, "names no file:", r.err[:300])
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


if __name__ == "__main__":
    {"own": own, "golden": golden, "hostile": hostile}[sys.argv[1]](*sys.argv[2:])
    print("%d checks, %d failed" % (checks, failed))
    sys.exit(1 if failed or not checks else 0)
