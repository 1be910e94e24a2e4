#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Reading, resampling and writing of a video: Tessera beside PyAV and Pillow.

    rival_video.py CLIP [--bench build/release/video_speed] [--width 256 --height 144] [--repeat 5] [--threads 2]

Reading: every frame of CLIP as 8-bit RGB; ours by bench/programs/video_speed.c, theirs av.open and
to_ndarray(format="rgb24"). Resampling: the same frames to WIDTH x HEIGHT by Lanczos, ours the op that fits
pictures to tiles, theirs Pillow's resize. Writing: the frames as H.264, CRF 18, preset medium, 4:2:0, four
threads of x264 each. Every figure is the median of --repeat runs, with the lowest and the highest; the runs
of all ways alternate, so that other work on the machine meets all of them. CPU time is that of all threads,
and on a machine with other work the figure to compare. Needs av and Pillow.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import av
from PIL import Image


def read_av(options, each):
    count = 0
    with av.open(options.clip) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = options.threads
        for frame in container.decode(stream):
            each(frame.to_ndarray(format="rgb24"))
            count += 1
    return count


def write_av(options, path):
    with av.open(path, "w") as out:
        made = None

        def each(rgb):
            nonlocal made
            if made is None:
                made = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": "medium"})
                made.width, made.height, made.pix_fmt = rgb.shape[1], rgb.shape[0], "yuv420p"
                made.codec_context.thread_count = 4  # as many as ours
            for packet in made.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")):
                out.mux(packet)

        count = read_av(options, each)
        for packet in made.encode():
            out.mux(packet)
    return count


def ours(options, *what):
    """Our program measures itself: {"frames", "seconds"}."""
    command = [options.bench, options.clip, str(options.threads), *what]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def timed(work):
    started, cpu = time.perf_counter(), time.process_time()
    frames = work()
    return frames, time.perf_counter() - started, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clip")
    parser.add_argument("--bench", default="build/release/video_speed")
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--height", type=int, default=144)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    size = (options.width, options.height)
    resized = [f"{options.width}", f"{options.height}"]

    def from_ours(*what):
        made = ours(options, *what)
        return made["frames"], made["seconds"], made["cpu_seconds"]

    with tempfile.TemporaryDirectory() as folder:
        ways = {
            "read: tessera": lambda: from_ours("read"),
            "read: PyAV": lambda: timed(lambda: read_av(options, lambda rgb: None)),
            "read and resize: tessera": lambda: from_ours("resize", *resized),
            "read and resize: PyAV, Pillow": lambda: timed(lambda: read_av(
                options, lambda rgb: Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))),
            "read and write: tessera": lambda: from_ours("write", os.path.join(folder, "a.mp4")),
            "read and write: PyAV": lambda: timed(lambda: write_av(options, os.path.join(folder, "b.mp4"))),
        }
        times = {name: [] for name in ways}
        cpus = {name: [] for name in ways}
        for _ in range(options.repeat):
            for name, way in ways.items():
                frames, seconds, cpu = way()
                times[name].append(frames / seconds)
                cpus[name].append(1000 * cpu / frames)
        print(f"{os.path.basename(options.clip)}, {frames} frames, {options.threads} threads, "
              f"to {size[0]}x{size[1]}, PyAV {av.__version__}")
        print("| way | frames a second | lowest | highest | CPU ms a frame | lowest | highest |\n|---|---|---|---|---|---|---|")
        for name, rates in times.items():
            c = cpus[name]
            print(f"| {name} | {statistics.median(rates):.1f} | {min(rates):.1f} | {max(rates):.1f} "
                  f"| {statistics.median(c):.2f} | {min(c):.2f} | {max(c):.2f} |")


if __name__ == "__main__":
    main()
