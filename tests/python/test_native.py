# SPDX-License-Identifier: MIT
"""The declarations that cffi gets are those of the headers."""
import logging
import pathlib
import re
import sys

import pytest

import tessera
from tessera._core import ffi, lib, names

SOURCE = pathlib.Path(__file__).resolve().parents[2]


def test_every_call_of_the_headers_is_there():
    declared = set()
    for header in (SOURCE / "include" / "tessera").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
        declared |= set(re.findall(r"^[a-z][^(){};]*?\b(tsr_[a-z0-9_]+)\(", text, flags=re.MULTILINE))
    assert len(declared) > 70
    assert not {name for name in declared if not hasattr(lib, name)}


def test_the_package_carries_its_marker_and_version():
    folder = pathlib.Path(tessera.__file__).parent
    assert (folder / "py.typed").exists()
    version = re.search(r"project\(tessera VERSION ([0-9.]+)", (SOURCE / "CMakeLists.txt").read_text()).group(1)
    assert tessera.__version__ == version


def test_every_status_has_an_exception():
    assert {f"TSR_{status.name}": int(status) for status in tessera.Status} == ffi.typeof("tsr_status").relements
    for status in tessera.Status:
        if status:
            error = tessera.errors.of_status(int(status), "")
            assert type(error) is not tessera.Error and error.status == status and str(error), status


def test_words_of_enumerations():
    assert list(names("tsr_fit")) == ["auto", "crop", "pad", "stretch", "tile"]
    assert names("tsr_fit") == {"auto": 0, "crop": 1, "pad": 2, "stretch": 3, "tile": 4}
    assert names("tsr_target_metric")["psnr"] == 1


def test_messages_go_to_logging(caplog, tmp_path):
    context = tessera._core.Context(threads=1)
    with caplog.at_level(logging.INFO, "tessera"):
        lib.tessera_python_log(ffi.NULL, lib.TSR_LOG_WARNING, b"something \xff odd")
    assert caplog.records[0].levelno == logging.WARNING and "something" in caplog.text
    context.close()


@pytest.mark.parametrize("text, wanted", [
    ("#ifdef TESSERA_EXPERIMENTAL\nint a(void);\n#else\nint b(void);\n#endif\n", "int a(void);"),
    ("#ifndef X\n#define X\n/* int c(void);\n */int d(void); // int e(void);\n#endif\n", "int d(void);"),
    ("#ifdef __cplusplus\nextern \"C\" {\n#endif\n#define N 16\n#define M (1u << 3)\n#define F 0.5f\nint f(int g[N]);\n",
     "#define N 16\n#define M ...\nint f(int g[N]);"),
])
def test_preprocessor(tmp_path, monkeypatch, text, wanted):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(SOURCE / "python"))
    import build_native
    (tmp_path / "x.h").write_text(text)
    reader = build_native.Preprocessor(str(tmp_path), build_native.DEFINED)
    out = reader.file(str(tmp_path / "x.h"))
    assert [line.strip() for line in out.split("\n") if line.strip()] == wanted.split("\n")


def test_preprocessor_refuses_what_it_does_not_know(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.syspath_prepend(str(SOURCE / "python"))
    import build_native
    for text in ("#if N > 3\n#endif\n", "#ifdef A\n", "#pragma once\n"):
        (tmp_path / "x.h").write_text(text)
        with pytest.raises(SystemExit, match="x.h"):
            build_native.Preprocessor(str(tmp_path), {}).file(str(tmp_path / "x.h"))
