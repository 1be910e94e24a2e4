#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Clips to tokens and back, one row a clip, as a Markdown table.

    scripts/clips-table.py [--tessera build/release/tessera] [--seconds S] [-t MODEL] [--device cpu] CLIP...
    scripts/clips-table.py ../shared/data/video/*.* ../shared/data/video/y4m/*

Each clip is encoded, decoded to lossless Matroska and compared with its original; the columns are the
bytes of the token file, PSNR (pooled), SSIM, flicker, wall seconds and the most memory of encode and of
decode. Where ffprobe is there, the number of frames and their times, from the first one on, are compared
with what it finds in the original: at most one unit of Matroska (1/1000 s) apart. A .yuv file says its size
in its name (two_people_320x192_12fps_9f.yuv). --seconds takes the first S seconds. Exit code 1 when a clip
does not agree.
"""
import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

SUFFIXES = (".mp4", ".mkv", ".webm", ".264", ".265", ".y4m", ".yuv", ".avi", ".mov", ".ts", ".gif")


def run(command):
    """The JSON a command prints, its wall seconds and its most memory in MB."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.stdout.read(), process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{command[1]}: exit code {process.returncode}: {err.decode()[-300:].strip()}")
    return json.loads(out), time.monotonic() - started, usage.ru_maxrss / 1024


def probe(path, raw):
    """Times of the frames as ffprobe sees them, in seconds from the first on; None without times."""
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-of", "csv=p=0",
               "-show_entries", "frame=best_effort_timestamp_time"]
    if raw:
        command += ["-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", raw[0], "-framerate", raw[1]]
    lines = subprocess.run(command + [path], check=True, capture_output=True, text=True).stdout.split("\n")
    times = [line.strip(",") for line in lines if line.strip()]
    if not times or "N/A" in times:
        return len(times), None
    return len(times), [float(t) - float(times[0]) for t in times]


def named(path, raw, folder):
    """Samples without a header as a file that says what they are; None without ffmpeg."""
    if not shutil.which("ffmpeg"):
        return None
    copy = os.path.join(folder, "original.y4m")
    subprocess.run(["ffmpeg", "-v", "error", "-f", "rawvideo", "-pixel_format", "yuv420p", "-video_size", raw[0],
                    "-framerate", raw[1], "-i", path, copy], check=True)
    return copy


def agrees(path, raw, back, seconds):
    """What ffprobe says of the original beside what it says of the copy."""
    count, times = probe(path, raw)
    if seconds and times:
        times = [t for t in times if t < seconds]
        count = len(times)
    elif seconds:
        return "not asked", True
    copies, copy_times = probe(back, None)
    if count != copies:
        return f"{copies} of {count} frames", False
    if not times or not copy_times:
        return f"{count} frames, no times", True
    worst = max(abs(a - b) for a, b in zip(times, copy_times))
    return f"{count} frames, {1000 * worst:.2f} ms", worst <= 0.00101


def row(options, path, folder):
    tokens, back = os.path.join(folder, "clip.tess"), os.path.join(folder, "back.mkv")
    name = os.path.basename(path)
    raw = re.search(r"_(\d+x\d+)_(\d+)fps.*\.yuv$", name)
    raw = raw.groups() if raw else None
    reading = ["--raw", f"yuv420p,{raw[0]}", "--rate", raw[1]] if raw else []
    part = ["--end", str(options.seconds)] if options.seconds else []
    common = ["--device", options.device, "--json", "-f"] + (["-t", options.model] if options.model else [])
    encoded, encode_s, encode_mb = run(
        [options.tessera, "encode", path, "-o", tokens] + common + reading + part)
    decoded, decode_s, decode_mb = run([options.tessera, "decode", tokens, "-o", back, "--lossless"] + common)
    cells = [name, f"{decoded['video']['width']}x{decoded['video']['height']}", str(decoded["video"]["frames"]),
             str(encoded["tokens"]), str(os.path.getsize(tokens))]
    original = named(path, raw, folder) if raw else path
    if not original or part:  # eval reads whole files that say what they are
        cells += ["", "", ""]
    else:
        v = run([options.tessera, "eval", original, back, "--json"])[0]["video"]
        cells += [f"{v['psnr_pooled']:.2f}", f"{v['ssim_gaussian']:.4f}", f"{v['flicker']:.2f}"]
    cells += [f"{encode_s:.1f}", f"{decode_s:.1f}", f"{encode_mb:.0f}", f"{decode_mb:.0f}"]
    said, good = ("no ffprobe", True) if not shutil.which("ffprobe") else agrees(path, raw, back, options.seconds)
    return cells + [said], good


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="+")
    parser.add_argument("--tessera", default="build/release/tessera")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("-t", "--model")
    options = parser.parse_args()
    head = ["clip", "size", "frames", "tokens", "bytes", "PSNR dB", "SSIM", "flicker", "encode s", "decode s",
            "encode MB", "decode MB", "beside ffprobe"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    bad = 0
    for clip in options.clips:
        if not clip.endswith(SUFFIXES):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                cells, good = row(options, clip, folder)
            except (RuntimeError, subprocess.CalledProcessError) as error:
                cells, good = [os.path.basename(clip), f"failed: {error}"], False
        bad += not good
        print("| " + " | ".join(cells) + " |", flush=True)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
