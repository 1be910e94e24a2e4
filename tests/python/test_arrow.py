# SPDX-License-Identifier: MIT
"""Tables: token files to Arrow and Parquet and back, tables of other tools, hostile ones."""
import dataclasses
import json
import os
import warnings

import numpy as np
import pytest
from made_items import HEADER, item

import tessera

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
import tessera.arrow as arrow  # noqa: E402


def labelled(i, **further):
    return item(i, attributes={"label": i - 3, "caption": f"nummer {i} \u732b", "raw": bytes([i, 0])}, **further)


def test_columns(token_file):
    table = arrow.to_table(token_file)
    assert table.schema.names == ["key", "ids", "counts", "shape"]
    assert table.schema.field("ids").type == pa.list_(pa.uint16())
    for number, row in enumerate(table.to_pylist()):
        assert row == {"key": item(number).key, "ids": item(number).ids.tolist(), "counts": [16], "shape": [4, 4]}
    assert arrow.table_header(table) == HEADER
    with tessera.open(token_file) as file:
        assert arrow.to_table(file, dtype=np.uint32).schema.field("ids").type == pa.list_(pa.uint32())
        with pytest.raises(ValueError, match="dtype"):
            arrow.to_table(file, dtype=np.int64)
    large = dataclasses.replace(HEADER, codebook_size=65537)
    with pytest.raises(ValueError, match="65536"):
        arrow.items_to_table([item(0)], large, dtype=np.uint16)
    assert arrow.items_to_table([item(0)], large).schema.field("ids").type == pa.list_(pa.uint32())


def test_attributes_are_columns():
    table = arrow.items_to_table([labelled(0), item(1), labelled(2)], HEADER)
    assert table.column("label").to_pylist() == [-3, None, -1] and table.schema.field("label").type == pa.int64()
    assert table.column("caption").to_pylist() == ["nummer 0 \u732b", None, "nummer 2 \u732b"]
    assert table.column("raw").to_pylist() == [b"\0\0", None, b"\2\0"]
    with pytest.raises(ValueError, match="attribute 'label': wanted int as in other items, got str"):
        arrow.items_to_table([labelled(0), item(1, attributes={"label": "one"})], HEADER)
    with pytest.raises(ValueError, match="attribute 'ids'"):
        arrow.items_to_table([item(0, attributes={"ids": 1})], HEADER)
    with pytest.raises(ValueError, match="vectors"):
        arrow.items_to_table([item(0)], dataclasses.replace(HEADER, codebook_size=0, channels=3))


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_there_and_back(tmp_path, kind):
    items = [labelled(i) for i in range(5)] + [item(5, crop_x=-7, orientation=6)]
    tessera.write(tmp_path / "a.tess", HEADER, items)
    table = arrow.to_table(tmp_path / "a.tess", geometry=True)
    os.unlink(tmp_path / "a.tess")
    assert sorted(table.column_names) == sorted(arrow.items_to_table(items, HEADER, geometry=True).column_names)
    path = tmp_path / f"a.{kind}"
    (arrow.write_parquet if kind == "parquet" else arrow.write_arrow)(table, path)
    assert os.listdir(tmp_path) == [path.name]
    again = arrow.read_table(path)
    assert again.equals(table) and arrow.table_header(again) == HEADER
    assert list(arrow.to_items(again)) == items
    with pytest.raises(ValueError, match="geometry"):
        next(arrow.to_items(arrow.items_to_table(items, HEADER)))


def test_shapes():
    grid = dataclasses.replace(HEADER, nested=True)
    four = dataclasses.replace(item(0, 64), counts=np.full(4, 16, np.uint32), tile_columns=2, tile_rows=2)
    assert arrow.shape_of(four, grid) == [4, 4, 4] and arrow.shape_of(item(0, 7), grid) == [7]
    assert arrow.shape_of(item(0), dataclasses.replace(HEADER, geometry="sequence", rows=1, columns=16)) == [16]


def table_of(ids, keys=("a", "b"), **columns):
    return pa.table({"key": pa.array(keys, pa.string()), "ids": ids, **columns})


U16 = pa.list_(pa.uint16())
FAULTS = {  # ids, keys, what the line about the row says
    "null-list": (pa.array([[1], None], U16), "ab", "row 1 (b): ids: wanted a list, got null"),
    "null-inside": (pa.array([[1], [2, None]], U16), "ab", "row 1 (b): ids: wanted integers, got null"),
    "negative": (pa.array([[1], [5, -1]], pa.list_(pa.int64())), "ab", "row 1 (b): ids: wanted 0 to 1023, got -1"),
    "beyond": (pa.array([[1024], [5]], pa.list_(pa.int32())), "ab", "row 0 (a): ids: wanted 0 to 1023, got 1024"),
    "wraps": (pa.array([[1 << 32], [5]], pa.list_(pa.uint64())), "ab", "got 4294967296"),
    "huge": (pa.array([[(1 << 64) - 1], [5]], pa.list_(pa.uint64())), "ab", "got 18446744073709551615"),
    "ragged": (pa.array([[[1, 2], [3]], [[4]]], pa.list_(U16)), "ab", "row 0 (a): ids: wanted rows of equal shape"),
    "null-row": (pa.array([[[1]], [None]], pa.list_(U16)), "ab", "row 1 (b): ids: wanted a list, got null"),
    "null-key": (pa.array([[1], [2]], U16), ["a", None], "row 1: key: wanted a text, got none"),
    "empty-key": (pa.array([[1], [2]], U16), ["", "b"], "row 0: key: wanted a text, got none"),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_rows_with_faults(tmp_path, name, kind):
    ids, keys, line = FAULTS[name]
    path = tmp_path / "t"
    (arrow.write_parquet if kind == "parquet" else arrow.write_arrow)(table_of(ids, list(keys), n=[10, 20]), path)
    with pytest.raises(tessera.FormatError) as caught:
        arrow.read_table(path, 1024)
    assert str(caught.value).startswith(f"{path}: ") and line in str(caught.value)
    failures = []
    table = arrow.read_table(path, 1024, on_error="skip", failures=failures)
    assert len(failures) == 1 and line in failures[0] and table.num_rows == 1
    left = 0 if "row 1" in failures[0] else 1
    assert table.column("n").to_pylist() == [10 * (left + 1)] and table.column("key").to_pylist() == [keys[left]]
    assert table.column("ids").to_pylist() == [np.ravel(ids.to_pylist()[left]).tolist()]


def test_refused_tables(tmp_path):
    path = tmp_path / "t"
    for table, text in (
            (table_of(pa.array([[1.0], [2.0]])), "column ids: wanted lists of integers, got list"),
            (table_of(["1", "2"]), "got string"), (table_of([1, 2]), "got int64"),
            (table_of(pa.array([[1], [2]], U16), "aa"), "key 'a': wanted once, got 2 times"),
            (pa.table({"key": ["a"]}), "column ids: wanted one, got 0 of key"),
            (pa.table({"key": [1], "ids": [[1]]}), "column key: wanted texts")):
        arrow.write_arrow(table, path)
        with pytest.raises(tessera.FormatError, match=text):
            arrow.read_table(path, on_error="skip")
    for content, text in ((b"", "begin with $"), (b"XXXX and more of it", "58 58 58 58"), (b"PAR1" + b"x" * 40, "magic"),
                          (b"ARROW1\0\0" + b"x" * 40, "Arrow file")):
        path.write_bytes(content)
        with pytest.raises(tessera.FormatError, match=text):
            arrow.read_table(path)
    arrow.write_arrow(table_of(pa.array([[1], [2]], U16), named=[1, 2]), path)
    path.write_bytes(path.read_bytes().replace(b"named", b"n\x80med"))
    with pytest.raises(tessera.FormatError, match="utf-8"):
        arrow.read_table(path)
    arrow.write_arrow(table_of(pa.array([[1], [2]], U16), ["first", "second"]), path)
    path.write_bytes(path.read_bytes().replace(b"second", b"se\x80ond"))
    with pytest.raises(tessera.FormatError, match="UTF8"):
        arrow.read_table(path)
    with pytest.raises(FileNotFoundError, match="none"):
        arrow.read_table(tmp_path / "none")
    with pytest.raises(ValueError, match="on_error"):
        arrow.read_table(path, on_error="ignore")


def test_accepted_tables(tmp_path):
    path = tmp_path / "t"
    nested = table_of(pa.array([[[1, 2], [3, 4]], [[5, 6]]], pa.list_(pa.list_(pa.int64()))))
    arrow.write_parquet(nested, path)
    table = arrow.read_table(path)
    assert table.column("ids").to_pylist() == [[1, 2, 3, 4], [5, 6]] and table.schema.field("ids").type == U16
    assert table.column("shape").to_pylist() == [[2, 2], [1, 2]]
    fixed = table_of(pa.array([[[1, 2]], [[3, 4]]], pa.list_(pa.list_(pa.uint8(), 2), 1))).slice(1)
    arrow.write_arrow(fixed, path)
    assert arrow.read_table(path).column("ids").to_pylist() == [[3, 4]]
    arrow.write_arrow(table_of(pa.array([[[1, 2]], [[3, 4], [5, 6]]], pa.list_(pa.list_(pa.uint8(), 2)))), path)
    assert arrow.read_table(path).column("ids").to_pylist() == [[1, 2], [3, 4, 5, 6]]
    for other in (pa.array([[1], [70000]], pa.large_list(pa.uint32())), pa.array([[], [70000]], pa.list_(pa.int32()))):
        arrow.write_arrow(table_of(other, pa.array(["x", "y"]).dictionary_encode().to_pylist()), path)
        assert arrow.read_table(path).schema.field("ids").type == pa.list_(pa.uint32())
        assert arrow.read_table(path).column("ids").to_pylist() == other.to_pylist()
    arrow.write_arrow(pa.table({"codes": pa.array([[1], [1]], U16)}), path)
    assert arrow.read_table(path, ids="codes", key=None).column("ids").to_pylist() == [[1], [1]]


def test_streams(tmp_path):
    path = tmp_path / "s"
    table = table_of(pa.array([[1], [2]], U16))
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)
    content = path.read_bytes()
    assert arrow.read_table(path).equals(table)
    path.write_bytes(content[:-8])
    with pytest.warns(UserWarning, match="no end marker"):
        assert arrow.read_table(path).equals(table)
    path.write_bytes(content[:-20])
    with pytest.raises(tessera.FormatError):
        arrow.read_table(path)


def test_folders(tmp_path):
    for i in range(11):
        arrow.write_parquet(table_of(pa.array([[i]], U16), [f"k{i}"]), tmp_path / f"part-{i}.parquet")
    table = arrow.read_table(tmp_path)
    assert table.column("key").to_pylist() == [f"k{i}" for i in range(11)]
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": "part-3.parquet"}]}))
    assert arrow.read_table(tmp_path).column("key").to_pylist() == ["k3"]
    for wrong in ({"_data_files": [{"filename": "../part-3.parquet"}]}, {"_data_files": 3}, []):
        (tmp_path / "state.json").write_text(json.dumps(wrong))
        with pytest.raises(tessera.FormatError, match="state.json"):
            arrow.read_table(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="empty"):
        arrow.read_table(tmp_path / "empty")


def fnv1a64(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % (1 << 64)
    return f"{value:016x}"


def test_files_of_other_libraries(shared):
    """Arrow, Parquet and Hugging Face's folders; ids, keys and further columns are those of the manifest."""
    cases = sorted(path for kind in ("arrow", "parquet", "hf") for path in shared.glob(f"{kind}/*/manifest.json"))
    assert len(cases) == 8
    for manifest in cases:
        case = json.loads(manifest.read_text())
        rows = arrow.read_table(manifest.parent, case["codebook_size"]).to_pylist()
        assert [row["key"] for row in rows] == [each["key"] for each in case["items"]]
        for row, each in zip(rows, case["items"]):
            assert fnv1a64(np.array(row["ids"], "<u4").tobytes()) == each["ids_fnv1a64"]
            assert all(row[name] == each[name] for name in ("shape", "label", "caption"))


def test_hostile_files_of_other_libraries(shared):
    cases = [case for case in json.loads((shared / "hostile" / "manifest.json").read_text())["cases"]
             if case["format"] in ("arrow", "parquet")]
    assert len(cases) > 20
    for case in cases:
        path, failures = shared / "hostile" / case["input"], []
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                arrow.read_table(path, case["codebook_size"], on_error="skip", failures=failures)
            verdict = "skip-item" if failures else "accept"
        except tessera.FormatError as error:
            assert str(path) in str(error)
            verdict = "refuse"
        assert verdict == case["verdict"], case["name"]
