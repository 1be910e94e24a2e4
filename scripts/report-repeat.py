#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Repeats a report by the commands it prints: report-repeat.py TESSERA REPORT [PART OF A NAME ...]

Every candidate of report.json has the command that makes its row again. This runs each of them, in the folder that it
is started in (the commands' paths begin there), and compares all numbers of the row and of its pictures: cost but for
seconds, means, deviations, intervals, worst pictures, numbers of sets, text, faces, use of codes. They have to be equal
to the last digit; on another machine or device say --tolerance SHARE. With parts of names only the candidates that have
one of them. A line for each candidate; exit code 0 when all are equal, 1 when one is not.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

PASSED_OVER = {"encode_seconds", "decode_seconds", "file", "original", "candidate", "command"}


def numbers(value, path=""):
    """Every leaf below a value, by its path."""
    if isinstance(value, dict):
        for key, v in value.items():
            if key not in PASSED_OVER:
                yield from numbers(v, "%s.%s" % (path, key) if path else key)
    elif isinstance(value, list):
        for i, v in enumerate(value):
            yield from numbers(v, "%s[%d]" % (path, i))
    else:
        yield path, value


def row(report, name):
    """All that a report says of a candidate."""
    at = [i for i, c in enumerate(report["candidates"]) if c["name"] == name]
    if not at:
        return None
    candidate = report["candidates"][at[0]]
    found = {key: candidate.get(key) for key in ("cost", "counts", "summary", "sets", "text", "faces", "codes", "model")}
    found["pictures"] = {p["name"]: v for p in report["pictures"] for v in p["values"] if v["candidate"] == at[0]}
    return dict(numbers(found))


def same(a, b, tolerance):
    if isinstance(a, (int, float)) and isinstance(b, (int, float)) and not isinstance(a, bool):
        return a == b or math.isclose(a, b, rel_tol=tolerance, abs_tol=0)
    return a == b


def repeat(program, command):
    """The report that a candidate's command makes; what it says on stderr where it makes none."""
    with tempfile.TemporaryDirectory() as folder:
        words = [program] + command[1:]
        if command[1] == "report":
            words += ["-o", os.path.join(folder, "report"), "--no-pictures", "-q"]
        else:
            words += ["--json", "-q"]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            return None, done.stderr.strip()
        if command[1] != "report":
            return json.loads(done.stdout), ""
        with open(os.path.join(folder, "report", "report.json")) as f:
            return json.load(f), ""


def main():
    words, tolerance = sys.argv[1:], 0.0
    if "--tolerance" in words:
        at = words.index("--tolerance")
        tolerance = float(words[at + 1])
        del words[at:at + 2]
    if len(words) < 2:
        raise SystemExit(__doc__)
    program, path, parts = os.path.abspath(words[0]), words[1], words[2:]
    with open(os.path.join(path, "report.json") if os.path.isdir(path) else path) as f:
        report = json.load(f)
    chosen = [c for c in report["candidates"] if not parts or any(p in c["name"] for p in parts)]
    if not chosen:
        raise SystemExit("report-repeat: no candidate has %s in its name" % " or ".join(parts))
    compared = wrong = 0
    for c in chosen:
        again, said = repeat(program, c["command"])
        first, second = row(report, c["name"]), again and row(again, c["name"])
        if second is None:
            wrong += 1
            print("FAILED %s: %s" % (c["name"], said or "its command makes no row of that name"), flush=True)
            continue
        keys = sorted(first.keys() | second.keys())
        bad = [k for k in keys if not same(first.get(k), second.get(k), tolerance)]
        count = sum(isinstance(v, (int, float)) and not isinstance(v, bool) for v in first.values())
        compared += count
        wrong += bool(bad)
        print("%s %s: %d numbers%s" % ("FAILED" if bad else "ok    ", c["name"], count, "".join(
            "; %s: %r, again %r" % (k, first.get(k), second.get(k)) for k in bad[:3])), flush=True)
    print("%d candidates, %d numbers, %d candidates differ" % (len(chosen), compared, wrong))
    return 1 if wrong else 0


sys.exit(main())
