# SPDX-License-Identifier: MIT
"""scripts/gpu-estimate.py has to give the rows of the specification it recomputes, and to find the
bounds and counts that the scripts beside it write. Needs nothing but Python."""
import importlib.util
import json
import os
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.dont_write_bytecode = True


def load(name):
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), f"{ROOT}/scripts/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def near(got, wanted, share, what):
    assert abs(got - wanted) <= share * wanted, f"{what}: wanted {wanted:,}, got {got:,.1f}"


def specified(e):
    # The specification rounds to two or three digits, and once on the way: 1.3 %.
    checked = 0
    for key, values in e.specified_rows().items():
        for model, got, wanted in zip(e.MODELS, values, e.SPECIFIED[key]):
            if wanted:
                near(got, wanted, 0.013, f"{key}, {model.name}")
                checked += 1
    assert checked == 53, checked
    # Worked once there: 0.194 + 0.243 + 0.025 + 0.020 ms.
    titok = e.MODELS[0]
    near(titok.flops["linear"] / e.H200.fast["linear"], 0.194e-3, 0.003, "linear")
    near(titok.flops["attention"] / e.H200.fast["attention"], 0.243e-3, 0.003, "attention")
    near(titok.others / e.H200.norms, 0.025e-3, 0.01, "norms")
    near(titok.barriers * e.BARRIER / titok.batch, 0.020e-3, 0.02, "barriers")
    # The rates it put down for one device are the factor times the bounds of that time.
    near(e.REALISED * 0.41 * e.XTX.peak, e.XTX.fast["linear"], 0.002, "factor")
    near(e.REALISED * 0.25 * e.XTX.single, e.XTX.fast["attention"], 0.01, "factor, attention")


def sources(e):
    rows = [("linear old", 41.0, 8, 0), ("conv2d old", 42.0, 8, 0), ("attention d64", 25.0, 0, 0)]
    new = [("linear new", 90.0, 16, 85), ("linear small", 86.0, 8, 85), ("conv2d new", 93.0, 16, 85),
           ("attention matrices", 56.0, 16, 40)]
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/bounds.json"

        def write(list_):
            with open(path, "w") as f:
                json.dump({"rows": [dict(name=n, bound=b, matrix=m, floor=fl, chip="navi31", lanes=32)
                                    for n, b, m, fl in list_]}, f)
            return e.read_bounds(path)

        bounds, names, whole = write(rows)
        assert bounds == {"linear": (41.0, True), "conv2d": (42.0, True), "attention": (25.0, False)}, bounds
        assert not whole
        bounds, names, whole = write(rows + new)
        assert bounds == {"linear": (90.0, True), "conv2d": (93.0, True), "attention": (56.0, True)}, bounds
        assert whole and names["conv2d"] == "conv2d new, 32 lanes", names
        counts = f"{folder}/counts.tsv"
        with open(counts, "w") as f:
            f.write("after\ttitok/s128\tabc\t\t*\t1\t97\t99\t81\t5000\t1\n"
                    "after\ttitok/s128\tabc\t\tlinear\t3\t3\t9\t70\t30\n"
                    "after\ttitok/s128\tabc\t\tlayer_norm\t3\t3\t0\t20\t10\n")
        counts = e.read_counts(counts)
        assert counts == {("titok/s128", "after"): [30, 130, 81]}, counts
    # 19.4 G at 0.57 x 90 % of 989 T, 2.43 G at 0.57 x 56 %, 31.5 MB at 3.84 TB/s, 81 x 4 us / 44:
    # 44 pictures have 133 x 4 tiles of 128 x 128, 43 have 130 x 4; four for each of 132 cores are 528.
    assert [e.batch_from(e.H200, m) for m in e.MODELS] == [44, 66, 17, 66]
    assert [e.batch_from(e.XTX, m) for m in e.MODELS] == [32, 29, 12, 29]
    near(e.with_bounds(e.H200, e.MODELS[0], bounds, 31.5e6, 81),
         1 / (19.4e9 / 507.4e12 + 2.43e9 / 315.7e12 + 31.5e6 / 3.84e12 + 324e-6 / 44), 0.001, "new row")


def documents(e):
    """What is checked in was written by the scripts that are checked in."""
    bounds, names, new = e.read_bounds(f"{ROOT}/docs/gpu/bounds.json")
    text = e.document(bounds, names, new, e.read_counts(f"{ROOT}/docs/gpu/counts.tsv"))
    with open(f"{ROOT}/docs/gpu/ESTIMATE.md") as f:
        assert f.read() == text, "docs/gpu/ESTIMATE.md: run scripts/gpu-estimate.py --out docs/gpu/ESTIMATE.md"


e = load("gpu-estimate")
specified(e)
sources(e)
documents(e)
print("gpu_estimate: all rows of the specification, sources and the document agree")
