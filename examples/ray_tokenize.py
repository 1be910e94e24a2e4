#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A folder of pictures, or WebDataset shards, to Parquet of tokens on a Ray cluster.

    ray_tokenize.py photos/ tokens/                          # every picture below photos/
    ray_tokenize.py 'shards/*.tar' tokens/ --workers 8         # WebDataset: .cls and .txt come along
    ray_tokenize.py photos/ tokens/ --address auto --gpus 1    # on a running cluster, a GPU an actor

Needs: pip install 'tessera[ray]'. The Parquet files have the columns of tessera.arrow.to_table; keys are
paths below the folder, or the keys of the samples. A picture that cannot be read is a row with empty ids
and its reason in the column "error"; the program then ends with 1.
"""
import argparse
import glob
import os
import sys

import ray
import tessera.ray

SUFFIXES = ["jpg", "jpeg", "png", "webp", "avif", "jxl", "tif", "tiff", "gif", "bmp", "ppm"]


def source_of(path: str):
    """The data set of raw bytes, and how its pictures are called."""
    if os.path.isdir(path) and not glob.glob(os.path.join(glob.escape(path), "*.tar")):
        pictures = ray.data.read_binary_files(path, include_paths=True, file_extensions=SUFFIXES)
        return pictures, {"root": os.path.abspath(path)}
    shards = sorted(glob.glob(os.path.join(glob.escape(path), "*.tar") if os.path.isdir(path) else path))
    if not shards:
        sys.exit(f"ray_tokenize: {path}: wanted a folder or .tar files, got nothing")
    samples = ray.data.read_webdataset(shards, decoder=None)  # the library decodes pictures
    columns = samples.schema().names
    attributes = {name: kind for name, kind in {"cls": int, "txt": str}.items() if name in columns}
    return samples, {"attributes": attributes}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="folder of pictures, folder of .tar shards, or a pattern of shards")
    parser.add_argument("output", help="folder for Parquet files")
    parser.add_argument("--model", help="weights, a folder of them or a name; default: the bundled tokenizer")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, help="worker threads of an actor")
    parser.add_argument("--workers", type=int, default=2, help="actors (default 2); a cluster needs a processor more")
    parser.add_argument("--gpus", type=float, default=0, help="GPUs of an actor (default 0)")
    parser.add_argument("--batch", type=int, default=64, help="pictures of a call (default 64)")
    parser.add_argument("--tokens", type=int, default=0, help="most ids of a tile")
    parser.add_argument("--fit", default="auto", choices=["auto", "crop", "pad", "stretch", "tile"])
    parser.add_argument("--address", help="of a running cluster; default: one on this machine")
    options = parser.parse_args()

    # Actors keep a processor each: reading needs one beside them.
    local = {} if options.address else {"num_cpus": max(os.cpu_count() or 1, options.workers + 1)}
    ray.init(address=options.address, **local)
    pictures, how = source_of(options.input)
    tokens = pictures.map_batches(
        tessera.ray.TokenizeBatch, batch_size=options.batch, concurrency=options.workers, num_gpus=options.gpus,
        fn_constructor_kwargs=dict(model=options.model, device=options.device, threads=options.threads,
                                   tokens=options.tokens, fit=options.fit, on_error="skip", **how))
    tokens.write_parquet(options.output)
    bad = 0
    for row in ray.data.read_parquet(options.output).filter(lambda row: row["error"] is not None).iter_rows():
        print(f"{row['key']}: {row['error']}", file=sys.stderr)
        bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
