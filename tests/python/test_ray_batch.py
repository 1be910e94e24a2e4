# SPDX-License-Identifier: MIT
"""The class that Ray calls, called as Ray does; Ray itself is not needed."""
import numpy as np
import pytest

import tessera

pa = pytest.importorskip("pyarrow")
import tessera.ray as ray  # noqa: E402


@pytest.fixture(scope="module")
def batch(samples):
    return {"path": np.array([str(path) for path in samples], object),
            "bytes": np.array([path.read_bytes() for path in samples], object)}


@pytest.fixture(scope="module")
def wanted(samples):
    with tessera.Tokenizer(device="cpu") as tokenizer:
        return [item.ids.tolist() for item in tokenizer.encode_items(samples)]


def test_bytes_and_arrays(samples, batch, wanted):
    tokenize = ray.TokenizeBatch(device="cpu", threads=1, root=str(samples[0].parent.parent))
    table = tokenize(batch)
    assert table.column("ids").to_pylist() == wanted
    assert table.column("key").to_pylist() == [f"{path.parent.name}/{path.name}" for path in samples]
    pictures = np.empty(len(samples), object)
    pictures[:] = [tessera.read_picture(path) for path in samples]
    table = tokenize({"image": pictures})
    assert table.column("ids").to_pylist() == wanted
    assert table.column("key").to_pylist() == [str(i) for i in range(len(samples))]
    assert tokenize(pa.table({name: list(column) for name, column in batch.items()})).column("ids").to_pylist() == wanted


def test_samples_of_webdataset(samples, wanted):
    tokenize = ray.TokenizeBatch(device="cpu", attributes={"cls": int, "txt": str})
    table = tokenize({"__key__": ["a/1", "a/2"], "png": [path.read_bytes() for path in samples[:2]],
                      "cls": [b"3", None], "txt": [b"a cat", "två".encode()]})
    assert table.column("key").to_pylist() == ["a/1", "a/2"] and table.column("ids").to_pylist() == wanted[:2]
    assert table.column("cls").to_pylist() == [3, None] and table.column("txt").to_pylist() == ["a cat", "två"]
    with pytest.raises(ValueError, match="attributes: wanted"):
        tokenize({"png": [samples[0].read_bytes()]})


def test_bad_pictures(batch, wanted):
    broken = dict(batch, bytes=batch["bytes"].copy())
    broken["bytes"][1] = b"no picture at all"
    with pytest.raises(tessera.FormatError):
        ray.TokenizeBatch(device="cpu")(broken)
    table = ray.TokenizeBatch(device="cpu", on_error="skip")(broken)
    assert table.column("ids").to_pylist() == [wanted[0], [], *wanted[2:]]
    found = table.column("error").to_pylist()
    assert "wanted a picture" in found[1] and found[:1] + found[2:] == [None] * (len(wanted) - 1)
    assert ray.TokenizeBatch(device="cpu", on_error="skip")(batch).schema.equals(table.schema)
    with pytest.raises(ValueError, match="column: wanted image or"):
        ray.TokenizeBatch(device="cpu")({"other": [b""]})
    with pytest.raises(ValueError, match="on_error"):
        ray.TokenizeBatch(device="cpu", on_error="ignore")
