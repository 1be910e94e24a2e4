# SPDX-License-Identifier: MIT
"""What the Python tests share: sample pictures, the program to compare with, a data set by rule."""
import os
import pathlib
import subprocess

import pytest
from made_items import HEADER, item

import tessera


@pytest.fixture(scope="session")
def program():
    """Runs the program: program("encode", ...) -> its stdout."""
    path = os.environ.get("TESSERA")
    if not path or not os.access(path, os.X_OK):
        pytest.skip("TESSERA names no program to compare with")

    def run(*arguments):
        return subprocess.run([path, *map(str, arguments)], check=True, capture_output=True, text=True).stdout
    return run


@pytest.fixture(scope="session")
def samples(tmp_path_factory):
    """Paths of the sample pictures, which the build draws."""
    make = pathlib.Path(os.environ.get("BUILD", "")) / "make_samples"
    if not make.exists():
        pytest.skip("BUILD has no make_samples to draw pictures with")
    folder = tmp_path_factory.mktemp("samples")
    subprocess.run([make, folder], check=True, capture_output=True)
    return sorted(folder.glob("*.png"))


@pytest.fixture(scope="session")
def tokenizer():
    with tessera.Tokenizer(device="cpu", threads=1) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared():
    """Folder with data sets that other libraries wrote."""
    folder = pathlib.Path(os.environ.get("SHARED", "")) / "golden" / "dataset-formats"
    if not folder.is_dir():
        pytest.skip("SHARED has no golden/dataset-formats")
    return folder


@pytest.fixture
def token_file(tmp_path):
    """A token file of 50 items."""
    path = tmp_path / "fifty.tess"
    assert tessera.write(path, HEADER, (item(i) for i in range(50))) == 50
    return path


def pytest_terminal_summary(terminalreporter):
    """Skips in the words that the suite counts."""
    for reason in sorted({report.longrepr[2].removeprefix("Skipped: ")
                          for report in terminalreporter.stats.get("skipped", [])}):
        terminalreporter.write_line(f"left out: {reason}")
