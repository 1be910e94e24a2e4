#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Golden files of vocabulary maps by our own reading of the layouts' words, without a line of the
library: map_cases.py FOLDER writes FOLDER/<map>.json and prints how many comparisons they hold."""
import json
import sys

def rule(count, mod):
    return {"a": mod - 1, "b": 0, "mod": mod, "count": count}


def codes(r):
    return [(r["a"] * i + r["b"]) % r["mod"] for i in range(r["count"])]


def emu_size(h, w):
    return [9 if c == "*" else 15 + int(c) for c in f"{h}*{w}"]


def rows(c, w, eol, last):
    out = []
    for i in range(0, len(c), w):
        out += c[i:i + w]
        if last or i + w < len(c):
            out.append(eol)
    return out


def grid_case(model, n_vocab, first, mod, h, w, wrap, name="image", frames=1):
    r = rule(frames * h * w, mod)
    ids = wrap([first + c for c in codes(r)])
    case = {"name": f"{frames}x{h}x{w}", "template": name, "grid": [frames, h, w], "codes": r, "ids": ids}
    replies = [{"name": "whole", "template": name, "grid": [frames, h, w], "verdict": "ok", "ids": ids}]
    return {"format": "vocabulary-map-golden 1", "model": model,
            "map": {"n_vocab": n_vocab, "blocks": [{"name": "image", "first_code": 0, "count": mod,
                                                    "first_id": first}], "special": {}},
            "cases": [case], "replies": replies}


def damaged(case, name, verdict, ids, **details):
    first = case["replies"][0]
    case["replies"].append({**first, "name": name, "verdict": verdict, "ids": ids, **details})


def files():
    # Emu3: begin, size, image id, rows with their ends, end of frame, end.
    f = grid_case("emu3", 184622, 151854, 32768, 3, 11, lambda c: [151852] + emu_size(3, 11) + [151851] +
                  rows(c, 11, 151846, True) + [151847, 151853])
    ids = f["cases"][0]["ids"]
    damaged(f, "cut", "no_end", ids[:-1])
    damaged(f, "without begin", "no_begin", ids[1:])
    damaged(f, "without star", "bad_size", ids[:2] + ids[3:])
    damaged(f, "row 1 twice its separator", "extra_separator", ids[:30] + [151846] + ids[30:], row=1)
    damaged(f, "row 1 without separator", "missing_separator", ids[:29] + ids[30:], row=1)
    damaged(f, "row 2 without separator", "missing_separator", ids[:41] + ids[42:], row=2)
    damaged(f, "one code gone", "short_row", ids[:8] + ids[9:], row=0, got=10, want=11)
    damaged(f, "one code more", "long_row", ids[:9] + ids[8:], row=0, got=12, want=11)
    damaged(f, "other width", "size_disagrees", ids[:1] + emu_size(3, 12) + ids[5:], prefix=[3, 12], body=[3, 11])
    damaged(f, "last row gone", "too_few_rows", ids[:30] + ids[42:], got=2, want=3)
    damaged(f, "row more", "too_many_rows", ids[:30] + ids[18:], got=4, want=3)
    damaged(f, "no frame end", "missing_frame_end", ids[:-2] + ids[-1:])
    damaged(f, "pad inside", "outside_block", ids[:9] + [151643] + ids[10:], position=9, id=151643)
    yield f
    yield grid_case("emu3.5", 282926, 151854, 131072, 2, 5, lambda c: [151852] + emu_size(2, 5) + [151851] +
                    rows(c, 5, 151846, False) + [151853])
    f = grid_case("lumina-mgpt", 65536, 4, 8192, 4, 2, lambda c: [8197, 8804 + 2, 8804 + 1] +
                  rows(c, 2, 8803, True) + [8196])
    damaged(f, "size of nothing", "bad_size", [8197, 8804, 8805] + f["cases"][0]["ids"][3:])
    yield f
    for model in ("chameleon", "anole"):
        f = grid_case(model, 65536, 4, 8192, 32, 32, lambda c: [8197] + c + [8196])
        ids = f["cases"][0]["ids"]
        damaged(f, "one code gone", "too_few_codes", ids[:-2] + ids[-1:], got=1023, want=1024)
        damaged(f, "one code more", "too_many_codes", ids[:-1] + [4] + ids[-1:], got=1025, want=1024)
        yield f
    yield grid_case("liquid-7b", 264192, 256000, 8192, 32, 32, lambda c: [7] + c + [8])
    yield grid_case("show-o", 58498, 50305, 8192, 16, 16, lambda c: [50296] + c + [50297])
    yield grid_case("mmada", 134656, 126349, 8192, 16, 16, lambda c: [126084] + c + [126085])
    f = grid_case("cosmos-predict1-ar", 64000, 0, 64000, 2, 3, lambda c: [64000] + c, "text_to_video", 3)
    f["map"]["blocks"][0]["name"] = "video"
    yield f
    # LWM: an id behind every frame but the last, another behind that.
    f = grid_case("lwm", 8448, 0, 8192, 16, 16, lambda c: c[:256] + [8192] + c[256:] + [8193], "vision", 2)
    f["map"]["blocks"][0]["name"] = "vision"
    f["cases"][0]["vision_mask_runs"] = [[1, 514]]
    damaged(f, "first frame alone", "too_few_frames", f["cases"][0]["ids"][:256] + [8193], got=1, want=2)
    yield f
    for model, n_vocab in (("lavit", 48386), ("video-lavit", 49412)):
        r = rule(20, 16384)
        ids = [32000] + [32002 + c for c in codes(r)] + [32001]
        f = {"format": "vocabulary-map-golden 1", "model": model, "map": {"n_vocab": n_vocab, "special": {}, "blocks": [
            {"name": "image", "first_code": 0, "count": 16384, "first_id": 32002}]},
            "cases": [{"name": "20", "template": "image", "count": 20, "codes": r, "ids": ids}],
            "replies": [{"name": "whole", "template": "image", "verdict": "ok", "ids": ids},
                        {"name": "nothing", "template": "image", "verdict": "too_few_codes", "ids": [32000, 32001],
                         "got": 0, "want": [1, 256]}]}
        if model == "video-lavit":
            f["map"]["blocks"].append({"name": "motion", "first_code": 0, "count": 1024, "first_id": 48388})
            key, motion = rule(3, 16384), rule(135, 1024)
            f["cases"].append({"name": "clips", "template": "clips", "clips": [{"key": key, "motion": motion}] * 2,
                               "ids": 2 * ([32000] + [32002 + c for c in codes(key)] + [32001, 48386] +
                                           [48388 + c for c in codes(motion)] + [48387])})
        yield f
    r = rule(32, 8192)
    string = "".join(f"<img_{c:05d}>" for c in codes(r))
    yield {"format": "vocabulary-map-golden 1", "model": "seed-llama", "map": {"n_vocab": None, "special": {"bos": 1}, "blocks": [
        {"name": "image", "first_code": 0, "count": 8192, "first_id": 32000}]},
        "cases": [{"name": "caption", "template": "caption", "count": 32, "codes": r, "texts_plain": {"caption": "x"},
                   "string": "<s><img>" + string + "</img>x</s>", "code_ids": [32000 + c for c in codes(r)]}],
        "replies": [{"name": "whole", "template": "image", "verdict": "ok", "string": "<img>" + string + "</img>"},
                    {"name": "text inside", "template": "image", "verdict": "outside_block",
                     "string": "<img>" + string[:11] + " " + string[11:] + "</img>"}]}


def main():
    lines = 0
    for f in files():
        with open(f"{sys.argv[1]}/{f['model']}.json", "w", encoding="utf-8") as out:
            json.dump(f, out)
        lines += 1 + len(f["replies"]) + sum(("ids" in c) + ("string" in c) + ("code_ids" in c) for c in f["cases"])
    print(lines)


main()
