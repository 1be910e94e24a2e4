#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""`tessera serve` under load, beside the command line for each picture and the library in a loop.

    python3 bench/serve_load.py [--build DIR] [--pictures N] [--rounds R] [--json FILE]

One picture of 256 x 256 pixels, one tile of the bundled tokenizer, on the cpu. In each of R rounds, one after the other
so that whatever else the machine does is spread over all: the library in a loop (bench/programs/encode_loop.c), the
server with 1, 8 and 64 clients on connections that stay open, N pictures each, and the command line once for each of 5
pictures. Prints pictures a second, the 50th and 95th percentile of latency, and processor time a picture of the
process itself, without its clients. Less than two minutes with the defaults on two quiet cores.
"""
import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
p.add_argument("--build", default=os.path.join(ROOT, "build", "release"))
p.add_argument("--pictures", type=int, default=192)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--json")
o = p.parse_args()
os.environ["TESSERA"] = os.path.join(o.build, "tessera")
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import serve_cases  # noqa: E402


def process_seconds(pid):
    with open("/proc/%d/stat" % pid) as f:
        words = f.read().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def serve(server, picture, clients, count):
    """(wall seconds, processor seconds of the server, latencies)"""
    latencies, faults, each = [], [], count // clients

    def client():
        c = server.connect()
        mine = []
        for _ in range(each):
            begun = time.monotonic()
            status = server.ask("POST", "/v1/encode", picture, serve_cases.IMAGE, c)[0]
            mine.append(time.monotonic() - begun)
            if status != 200:
                faults.append(status)
        latencies.extend(mine)
    threads = [threading.Thread(target=client) for _ in range(clients)]
    before, begun = process_seconds(server.process.pid), time.monotonic()
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    wall = time.monotonic() - begun
    if faults or len(latencies) != each * clients:
        raise SystemExit("%d clients: %d answers, faults %r" % (clients, len(latencies), faults[:5]))
    return wall, process_seconds(server.process.pid) - before, latencies


def main():
    picture = serve_cases.png(256, 256)
    rows = {}

    def add(name, count, wall, cpu, latencies):
        row = rows.setdefault(name, {"rates": [], "cpu_ms": [], "latencies": []})
        row["rates"].append(count / wall)
        row["cpu_ms"].append(1e3 * cpu / count)
        row["latencies"] += latencies
    server = serve_cases.Server("-q", "--connections", "128")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.png")
        with open(path, "wb") as f:
            f.write(picture)
        serve(server, picture, 8, 16)  # warm
        for _ in range(o.rounds):
            words = subprocess.run([os.path.join(o.build, "encode_loop"), path, str(o.pictures)], stdout=subprocess.PIPE, check=True).stdout.split()
            add("library in a loop", int(words[0]), float(words[1]), float(words[2]), [float(words[1]) / int(words[0])])
            for clients in (1, 8, 64):
                wall, cpu, latencies = serve(server, picture, clients, o.pictures)
                add("server, %d client%s" % (clients, "s" if clients > 1 else ""), len(latencies), wall, cpu, latencies)
            for i in range(5):
                before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
                serve_cases.cli("encode", path, "-o", os.path.join(folder, "a.tess"), "-q", "-f", "--device", "cpu")
                wall, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
                add("command line for each", 1, wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, [wall])
    metrics = server.ask("GET", "/metrics")[2].decode()
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line and line[0] != "#")
    mean_batch = float(values["tessera_batch_size_sum"]) / float(values["tessera_batch_size_count"])
    server.stop()
    print("load average before and after is the reader's business: now %.1f, %d processors" % (os.getloadavg()[0], os.cpu_count()))
    print("%-24s %14s %22s %9s %9s %14s" % ("", "pictures/s", "least .. most", "p50 ms", "p95 ms", "CPU ms each"))
    out = {}
    for name, r in rows.items():
        l = sorted(r["latencies"])
        out[name] = {"per_second": statistics.median(r["rates"]), "least": min(r["rates"]), "most": max(r["rates"]), "n": len(r["rates"]),
                     "p50_ms": 1e3 * l[len(l) // 2], "p95_ms": 1e3 * l[min(len(l) - 1, int(0.95 * len(l)))], "cpu_ms": statistics.median(r["cpu_ms"])}
        s = out[name]
        print("%-24s %14.2f %10.2f .. %8.2f %9.1f %9.1f %14.2f" % (name, s["per_second"], s["least"], s["most"], s["p50_ms"], s["p95_ms"], s["cpu_ms"]))
    eight, loop, cli = out["server, 8 clients"], out["library in a loop"], out["command line for each"]
    print("mean batch %.2f; server with 8 clients: %.1f times the command line by rate, %.1f by CPU time; %.3f of the loop's rate, %.3f of its CPU time"
          % (mean_batch, eight["per_second"] / cli["per_second"], cli["cpu_ms"] / eight["cpu_ms"],
             eight["per_second"] / loop["per_second"], eight["cpu_ms"] / loop["cpu_ms"]))
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"rows": out, "mean_batch": mean_batch, "pictures": o.pictures, "rounds": o.rounds}, f, indent=1)


main()
