#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Rows of `tessera bench --json` as a Markdown table: everyone who did the same work side by side.

    build/release/tessera bench --json | scripts/speed-table.py > table.md
"""
import json
import sys


def rate(row):
    """The figure that means most for the row: GFLOP/s of products, GB/s of everything else."""
    if "error" in row:
        return "error: " + row["error"]
    if "skipped" in row:
        return "-"
    text = f"{row['median_ms']:.3g} ms"
    if row.get("bound") == "memory" and "gbs" in row:
        text += f", {row['gbs']:.3g} GB/s"
    elif "gflops" in row:
        text += f", {row['gflops']:.3g} GFLOP/s"
    if row["by"] == "tessera" and "peak_share" in row:
        text += f" ({100 * row['peak_share']:.0f} %)"
    return text


def main():
    document = json.load(sys.stdin)
    rows = next(v for v in document.values() if isinstance(v, list) and v and "by" in v[0])
    if not rows:
        sys.exit("speed-table: no rows on standard input")
    columns, names, cells = [], [], {}
    for row in rows:
        by = row["by"] if row["device"] == "cpu" else f"{row['by']} {row['device']}"
        if by not in columns:
            columns.append(by)
        if row["name"] not in names:
            names.append(row["name"])
        cells[row["name"], by] = rate(row)
    first = rows[0]
    devices = {r["device"]: f"{r.get('device_name', '')} ({r.get('driver', '')})" for r in rows
               if "driver" in r}
    print(f"Commit {first['commit']}, version {first['version']}, {first['threads']} threads. "
          "Median of n runs; in brackets the share of the measured peak (arithmetic or memory, "
          "whichever binds).")
    for device in sorted(devices):
        print(f"- {device}: {devices[device]}")
    print()
    print("| work | " + " | ".join(columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for name in names:
        print(f"| {name} | " + " | ".join(cells.get((name, c), "") for c in columns) + " |")


main()
