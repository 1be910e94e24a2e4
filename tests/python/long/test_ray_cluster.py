# SPDX-License-Identifier: MIT
"""examples/ray_tokenize.py on a Ray of this machine with two workers: the ids of the program."""
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

import pytest
import ray  # noqa: F401  (its absence is told here)

import tessera
import tessera.arrow as arrow

EXAMPLE = pathlib.Path(__file__).resolve().parents[3] / "examples" / "ray_tokenize.py"


def run_example(*arguments):
    return subprocess.run([sys.executable, EXAMPLE, *map(str, arguments), "--device", "cpu", "--threads", "1",
                           "--workers", "2"], env=dict(os.environ, RAY_DATA_DISABLE_PROGRESS_BARS="1"),
                          capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def wanted(program, samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("program") / "a.tess"
    program("encode", *samples, "-o", out, "--device", "cpu", "-q")
    with tessera.open(out) as file:
        return {item.key: item.ids.tolist() for item in file}


def test_folder(samples, wanted, tmp_path):
    folder = tmp_path / "photos"
    for number in range(3):
        (folder / str(number)).mkdir(parents=True)
        for path in samples:
            shutil.copy(path, folder / str(number))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 and nothing else")
    done = run_example(folder, tmp_path / "out", "--batch", 4)
    assert done.returncode == 1 and "broken.jpg: " in done.stderr, done.stderr[-2000:]
    rows = arrow.read_table(tmp_path / "out").to_pylist()
    assert sorted(row["key"] for row in rows) == sorted(
        [f"{number}/{name}" for number in range(3) for name in wanted] + ["broken.jpg"])
    for row in rows:
        assert row["ids"] == wanted.get(row["key"][2:], []) and (row["error"] is None) == (row["key"] != "broken.jpg")


def test_webdataset(samples, wanted, tmp_path):
    for shard in range(2):
        with tarfile.open(tmp_path / f"{shard}.tar", "w") as tar:
            for number, path in enumerate(samples):
                for suffix, content in (("png", path.read_bytes()), ("cls", str(number).encode()), ("txt", path.stem.encode())):
                    member = tarfile.TarInfo(f"{shard}{number:03}.{suffix}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    done = run_example(tmp_path / "*.tar", tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    table = arrow.read_table(tmp_path / "out")
    assert arrow.table_header(table).tokenizer == "mosaic-64"
    rows = {row["key"]: row for row in table.to_pylist()}
    assert len(rows) == 2 * len(samples)
    for shard in range(2):
        for number, path in enumerate(samples):
            row = rows[f"{shard}{number:03}"]
            assert (row["ids"], row["cls"], row["txt"]) == (wanted[path.name], number, path.stem)
