#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Chooses the golden cases that are part of this repository from the whole set.

  take-golden.py GOLDEN           writes tests/golden/FAMILY/CASE anew
  take-golden.py GOLDEN --check   says which files differ from what would be written; exit 1 if any

A case is chosen by runs and outputs (CASES below). Files are copied byte by byte. The manifest loses
the runs, outputs and inputs that were not chosen, and what no program compares with (DROPPED); its
list of SHA-256 is that of the files that are left. tests/golden/SOURCES.md says where they come from.
"""
import json, os, re, sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden")
DROPPED = ("trace", "cross_check", "made_with", "readers")
ALL = None

# Case -> run -> outputs, or ALL of either; or a pattern for the names of runs.
CASES = {
    "flextok/fsq": {
        "l8-8-8-5-5-5": ALL,
        "l2-3-4-5-6-7": ALL,
        "l33-31": ALL,
        "all-7-6-5-4-3-2": ALL,
        "ties-8-8-8-5-5-5": ALL,
        "ties-7-6-5-4-3-2": ALL,
    },
    "flextok/preprocess": {run: ALL for run in ("strip", "grey", "grey16", "pal4", "bit", "normalise")},
    "flextok/tiny-a": {
        "encode": ["vae.mean", "enc.block.1", "z", "codes", "ids", "margin"],
        "decode_apg_n4_k64_10": ["dec.null.block.2", "step.1.v", "step.4.m", "latent", "image_u8"],
        "decode_cfg_n1_k1_0": ALL,
    },
    "flextok/vae-c16": {
        "encode_64x64": ["enc.conv_in", "enc.mid.attn", "vae.mean", "vae.logvar", "sample"],
        "decode_64x64": ["dec.conv_in", "dec.mid.attn", "image", "image_u8"],
    },
    "karl/preprocess": {run: ALL for run in ("land331x200", "port199x331", "tiny40x31")},
    "karl/vqgan-tiny": {
        "t1": ["features", "halt_logits", "kept", "factors", "ids", "margin"],
        "t16": ALL,
        "drop-middle": ["kept", "factors", "ids", "margin", "decoder_out"],
    },
    "titok/ss32-vq8k-crop64": {"scene64": ["factors", "ids", "margin", "decoder_out", "image"]},
    "maskgit-vqgan/narrow-1d": {
        "enc-sceneB": ["ids", "margin", "hard_image"],
        "soft": ["soft_image"],
    },
    "taming-vqgan/taming-narrow": {"enc-wide": ALL},
    "taming-vqgan/llamagen-narrow": ALL,
    "vqtoken/attention": {"t8-k12": ALL},
    "vqtoken/clustering": {run: ALL for run in ("small", "small-empty", "hard", "k1")},
    "vqtoken/elbow": ALL,
    "vqtoken/ties": ALL,
    "cosmos/di16-tiny": {
        "pair": ["encoder.patcher", "encoder.down.1.downsample", "encoder.mid.attn_1", "decoder.conv_out", "z", "ids",
                 "margin", "image"],
        "padded": ALL,
    },
    "cosmos/dv8x16x16-tiny": {
        "t9": ["encoder.patcher3d", "encoder.conv_in.0", "encoder.down.0.downsample", "encoder.mid.attn_1.0",
               "encoder.mid.attn_1", "decoder.up.1.upsample", "decoder.conv_out", "z", "ids", "margin", "video"],
        "t1": ["z", "ids", "margin", "video"],
        "padded": ALL,
    },
    "cosmos/jit-bfloat16": ALL,
    "emu3/tiny": {
        "picture": ["encoder.down.0.downsample", "encoder.conv_out", "encoder.time_conv.0", "encoder.time_res_stack.0.norm1",
                    "decoder.mid.block_1.norm1", "decoder.up.3.attn.0", "z", "ids", "margin", "image", "image_u8"],
        "t8": ["encoder.time_conv.1", "encoder.time_res_stack.0", "post_quant_conv", "decoder.time_res_stack.0",
               "decoder.time_conv.0", "z", "ids", "margin", "video"],
        "odd": ["ids", "margin"],
    },
    "emu3/prepare": ALL,
    "pickle/valid": ALL,
    "pickle/refuse": ALL,
    "towers/clip-tiny": {
        "two": ["embeddings", "hidden.0", "hidden.3", "hidden.4", "key.2", "attention.1", "cls_attention.2",
                "last_hidden_state", "pooled", "features", "projected", "pixel_values"],
        "odd": ["positions", "embeddings", "hidden.3", "pooled"],
    },
    "towers/siglip-tiny": {
        "two": ["embeddings", "hidden.1", "key.3", "attention.3", "last_hidden_state", "pooled", "features",
                "projected"],
        "tall": ["positions", "embeddings", "pooled"],
    },
    "towers/dinov2-swiglu-tiny": {
        "two": ["embeddings", "hidden.1", "key.1", "attention.2", "last_hidden_state", "pooled"],
        "wide": ALL,
    },
    "towers/dinov2-registers-tiny": {
        "two": ["embeddings", "hidden.3", "attention.2", "last_hidden_state", "pooled"],
        "wide": ALL,
        "large": ["positions"],
    },
    "towers/siglip2-naflex-tiny": {
        "picture-1": ["embeddings", "hidden.2", "attention.1", "last_hidden_state", "pooled"],
        "picture-2": ["embeddings", "pooled"],
    },
    "towers/qwen2-vl-tiny": {"two": ["embeddings", "hidden.3", "merged"]},
    "towers/qwen2-5-vl-tiny": {
        "picture": ["hidden.2", "merged"],
        "two": ["embeddings", "hidden.1", "merged"],
    },
    "towers/preprocess": {kind + "-" + picture: ALL for kind, pictures in (
        ("clip336", "p0 p5 p8"), ("siglip60", "p1 p6 p7"), ("llava-pad336", "p1"), ("dinov2", "p0 p2"),
        ("qwen2vl", "p0 p7")) for picture in pictures.split()},
    "towers/anyres": ALL,
    "video-select/indices": re.compile(
        "(qwen|llava|every|clips|scene|key).*|.* rounding"
        "|(time-hold|ffmpeg-fps-.*) (timing/(film.mkv|delayed.mp4)|codecs/h264.ts) .*"
        "|(linspace|segment|start).* n=(1|2|33|300) .*"),
    "video-select/sizes": ALL,
    # Of each kind the smallest clip, and those whose key frames video-select asks for.
    "video-in/codecs": {run: ALL for run in (
        "h264-bframes.mp4", "h264.ts", "h264.h264", "hevc.mp4", "vp9.webm", "av1.mp4", "prores.mov",
        "odd-interlaced.y4m", "raw-rgb24-33x17.rgb")},
    "video-in/animations": {run: ALL for run in (
        "disposal.gif", "still.gif", "alpha.webp", "still.webp", "alpha.apng", "default-image.apng")},
    "video-in/timing": {run: ALL for run in (
        "ntsc.mp4", "vfr.mkv", "trimmed.mp4", "delayed.mp4", "offset-10s.mkv", "open-gop.mkv",
        "open-gop-cut.hevc", "one-frame.mp4", "long-gop.mp4", "all-key.mkv")},
    "video-in/colour": {run: ALL for run in (
        "bt709-limited.mp4", "bt601-full.mp4", "untagged.mp4", "bt2020-10bit.mkv", "vp9-444.webm",
        "h264-gbr.mkv", "vp9-alpha.webm")},
    "video-in/geometry": {run: ALL for run in (
        "rotate-90.mp4", "rotate-180.mp4", "mirror.mp4", "rotate-30.mp4", "odd-33x17-vp9.webm",
        "strip-1000x8.mp4", "column-8x600.mkv", "sar-40-33.mkv", "interlaced-tff.mp4",
        "size-change.h264", "two-videos.mkv", "audio-first.mp4")},
    "video-in/damaged": {run: ALL for run in (
        "truncated.mp4", "truncated.mkv", "no-moov.mp4", "half-header.mkv", "flipped-bytes.mp4",
        "huge-stsz.mp4", "offset-beyond-end.mp4", "zero-frames.mp4", "zero-frames.y4m", "bad-size.y4m",
        "audio-only.m4a", "cover-art.m4a", "empty.mp4", "text.mp4", "no-first-key.h264")},
}
# Folders operators/NAME, which hold no texts of others.
OPERATORS = """
    nearest-code keep-mask soft-tokens clip-codebook cluster-count query-budget cls-attention-topk
    cls-sum-topk anchor-buffer-register dominant-contextual lof-budget entropy-score diverse-maxmin
    diverse-kcentre diverse-maxsum coverage-greedy set-cover-frames bipartite-merge size-bias-attention
    halving-merge lof-merge cell-recycle dpc-knn temporal-dedupe pyramid-pool adaptive-pool weighted-pool
    pool-1d slow-fast-pool dct-lowpass frame-budget multi-position variable-positions rope-tables
    table-stretch wave-order merge-schedules shard-plan tile-plan patch-counts cell-counts error-fit
    token-transition neighbour-mask
""".split()
# Large cases of them that are not taken.
LEFT_OUT = {
    "operators/adaptive-pool": ["24x24-to-12x12", "24x24-to-16x16"],
    "operators/bipartite-merge": ["t197-r8-class"],
    "operators/cell-recycle": ["27x27-cell6-keep0.2"],
    "operators/dct-lowpass": ["24x24-to-12x12", "16x16-to-16x16", "27x27-to-14x13"],
    "operators/dominant-contextual": ["enc-24x24-d162-c30"],
    "operators/dpc-knn": ["12x16-r0.45", "24x24-r0.11"],
    "operators/frame-budget": ["T8-v2-capped", "T12-v2-all-equal", "picks-N729-n100"],
    "operators/lof-merge": ["24x24", "15x16"],
    "operators/pyramid-pool": ["24x24-to-576", "24x24-to-144"],
    "operators/size-bias-attention": ["h4-d8-t20"],
    "operators/slow-fast-pool": ["T64-s1-t4-sp1-min16"],
    "operators/tile-plan": ["over-50"],
    "operators/weighted-pool": ["video-6x9x9-k233"],
}
# Pictures that a hash in the manifest stands for.
HASHED = {"flextok/preprocess"}


def words(value):
    """Every text inside a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for v in value:
            yield from words(v)


def choose(case, manifest):
    runs, chosen = [], CASES[case]
    if isinstance(chosen, re.Pattern):
        chosen = {run["name"]: ALL for run in manifest["runs"] if chosen.fullmatch(run["name"])}
    for run in manifest["runs"]:
        if chosen is not ALL and run["name"] not in chosen:
            continue
        run = {k: v for k, v in run.items() if k not in DROPPED}
        names = ALL if chosen is ALL else chosen[run["name"]]
        if names is not ALL:
            have = [o["name"] for o in run["outputs"]]
            assert set(names) <= set(have), (case, run["name"], set(names) - set(have))
            run["outputs"] = [o for o in run["outputs"] if o["name"] in names]
        if case in HASHED:
            run["outputs"] = [{k: v for k, v in o.items() if k != "file" or "fnv1a64" not in o}
                              for o in run["outputs"]]
        runs.append(run)
    assert chosen is ALL or len(runs) == len(chosen), case
    out = {k: v for k, v in manifest.items() if k not in DROPPED}
    out["runs"] = runs
    used = set(words(runs))
    if "inputs" in out:
        out["inputs"] = [i for i in out["inputs"] if i["name"] in used]
    used |= set(words(out.get("inputs", []))) | set(words(out.get("config", {}).get("file", "")))  # also an archive
    out["sha256"] = {name: sha for name, sha in manifest["sha256"].items() if name in used}
    files = sorted(out["sha256"]) + sorted(w for w in used if w.startswith("../inputs/"))
    return out, files


def text_of(manifest):
    """JSON with a line for each field, and for each element of the long lists."""
    lines = []
    for key, value in manifest.items():
        name = json.dumps(key)
        if key in ("tensors", "runs", "inputs") and value:
            rows = ",\n".join("  " + json.dumps(v, ensure_ascii=False) for v in value)
            lines.append(" %s: [\n%s\n ]" % (name, rows))
        elif key == "sha256":
            rows = ",\n".join("  %s: %s" % (json.dumps(k), json.dumps(v)) for k, v in value.items())
            lines.append(" %s: {\n%s\n }" % (name, rows))
        else:
            lines.append(" %s: %s" % (name, json.dumps(value, ensure_ascii=False)))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def without_cases(text, names):
    """The text of an operator's manifest without the cases of these names; a case is indented by two."""
    head, rest = text.split(' "cases": [\n', 1)
    cases, tail = rest.split("\n ]", 1)
    cases = [c for c in re.split(r",\n(?=  \{\n)", cases) if json.loads(c)["name"] not in names]
    return head + ' "cases": [\n' + ",\n".join(cases) + "\n ]" + tail


def wanted(golden):
    """Path below tests/golden -> bytes."""
    files = {}
    for case in CASES:
        folder = os.path.join(golden, case)
        with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as f:
            manifest, names = choose(case, json.load(f))
        files[case + "/manifest.json"] = text_of(manifest).encode()
        for name in names:
            with open(os.path.join(folder, name), "rb") as f:
                files[os.path.normpath(case + "/" + name)] = f.read()
    for case in ("operators/" + name for name in OPERATORS):
        with open(os.path.join(golden, case, "manifest.json"), encoding="utf-8") as f:
            manifest = without_cases(f.read(), LEFT_OUT.get(case, ()))
        files[case + "/manifest.json"] = manifest.encode()
        used = set(words(json.loads(manifest)))
        for name in used & set(os.listdir(os.path.join(golden, case))):
            with open(os.path.join(golden, case, name), "rb") as f:
                files[case + "/" + name] = f.read()
    return files


def present():
    families = {case.split("/")[0] for case in CASES} | {"operators"}
    for family in families:
        for folder, _, names in os.walk(os.path.join(HERE, family)):
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), HERE)


def main():
    if len(sys.argv) < 2 or sys.argv[2:] not in ([], ["--check"]):
        sys.exit(__doc__)
    files, bad = wanted(sys.argv[1]), 0
    if sys.argv[2:]:
        for name in sorted(set(files) | set(present())):
            path = os.path.join(HERE, name)
            there = open(path, "rb").read() if os.path.exists(path) else None
            if there != files.get(name):
                print("tests/golden/%s: %s" % (name, "is not in the tree" if there is None else
                                               "is not chosen" if name not in files else "differs"))
                bad += 1
    else:
        for name in set(present()) - set(files):
            os.remove(os.path.join(HERE, name))
        for name, data in files.items():
            path = os.path.join(HERE, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(data)
    print("%d cases, %d files, %d bytes%s" % (len(CASES) + len(OPERATORS), len(files), sum(map(len, files.values())),
                                            ", %d differ" % bad if sys.argv[2:] else ""))
    sys.exit(1 if bad else 0)


main()
