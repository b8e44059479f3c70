#!/usr/bin/env python3
"""The usual Python pipeline, timed: decode and resize a folder of images with Pillow, embed them with onnxruntime in
batches of 32. Prints one JSON object to stand beside that of `imsim index --json` on the same folder.

    Benchmarks/Peers/setup
    Benchmarks/Peers/.build/bin/python Benchmarks/Peers/index-folder.py FOLDER [--backbone NAME --weights FILE]

Imports and the making of the graph are not in `seconds`.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import sys
import time

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[2] / "Scripts/goldens"))

import networks  # noqa: E402
import pictures  # noqa: E402
from state_dictionary import read_safetensors  # noqa: E402

BATCH = 32


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--backbone", choices=networks.NETWORKS, default="efficientnet-lite0")
    parser.add_argument("--weights", default=networks.BUNDLED_WEIGHTS, help="a safetensors file")
    parser.add_argument("--resize", choices=pictures.RESIZE_MODES, default="squash")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments = parser.parse_args()
    preprocessing = networks.NETWORKS[arguments.backbone][2]
    session = networks.session(arguments.backbone, read_safetensors(arguments.weights), arguments.threads)

    def load(path):
        try:
            return pictures.load(path, arguments.resize)
        except Exception:  # Pillow's decoders raise many types for a broken file.
            return None

    indexed = skipped = 0
    decoding = 0.0
    start = time.perf_counter()
    paths = pictures.files(arguments.folder)
    with concurrent.futures.ThreadPoolExecutor(arguments.threads) as pool:
        for first in range(0, len(paths), BATCH):
            batch_start = time.perf_counter()
            batch = [pixels for pixels in pool.map(load, paths[first : first + BATCH]) if pixels is not None]
            decoding += time.perf_counter() - batch_start
            skipped += len(paths[first : first + BATCH]) - len(batch)
            if batch:
                session.run(["pooled"], {"images": networks.preprocess(np.stack(batch), preprocessing)})
                indexed += len(batch)
    seconds = time.perf_counter() - start
    result = {
        "backbone": arguments.backbone,
        "threads": arguments.threads,
        "indexed": indexed,
        "skipped": skipped,
        "seconds": round(seconds, 3),
        "decoding_seconds": round(decoding, 3),
        "images_per_second": round(indexed / seconds, 1),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
