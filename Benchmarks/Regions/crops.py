"""Measures `imsim locate`: how often the picture that a crop was cut from comes first, and how well its place is found.

    python crops.py --imsim .build/release/imsim --images caltech101 --model caltech.imsim --queries 500

Makes the model where it does not exist. Crops have a seeded share of the picture's area, a seeded aspect ratio of 3/4 to 4/3
times the picture's, and a seeded place; they are written as PNG files, without loss. The pictures asked for are drawn by
seed. Caltech-101's classes Faces and Faces_easy show the same photographs in different cuts: with --twins, the default, the
picture of the same number in the other class counts as right for the rank, and never for the region.

Prints one JSON object per range of areas. Needs numpy and Pillow.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile
import time

import numpy as np
from PIL import Image

RANGES = [(0.15, 0.25), (0.25, 0.5), (0.5, 1.0)]


def crop_box(size, area, aspect, rng):
    """A box of the given share of the area, left, top, right, bottom; the aspect ratio gives way where it does not fit."""
    width = min(1.0, np.sqrt(area * aspect))
    height = min(1.0, area / width)
    width = min(1.0, area / height)
    w = min(size[0], max(8, round(width * size[0])))
    h = min(size[1], max(8, round(height * size[1])))
    x = int(rng.integers(0, size[0] - w + 1))
    y = int(rng.integers(0, size[1] - h + 1))
    return x, y, x + w, y + h


def iou(a, b):
    w = max(0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0, min(a[3], b[3]) - max(a[1], b[1]))
    return w * h / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--imsim", required=True)
    parser.add_argument("--images", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--queries", type=int, default=500, help="pictures asked for; 0 for all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--twins", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--ranges", default="0,1,2", help="which of the ranges of areas")
    parser.add_argument("--jpeg", type=int, help="write the crops as JPEG files of this quality")
    parser.add_argument("--scale", type=float, default=1.0, help="resize the crops by this factor")
    parser.add_argument("arguments", nargs="*", help="further arguments of imsim locate, after --")
    options = parser.parse_args()

    if not pathlib.Path(options.model).exists():
        subprocess.run([options.imsim, "index", options.images, "--model", options.model], check=True)
    paths = sorted(p for p in options.images.rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
    drawn = np.random.default_rng(options.seed).permutation(len(paths))
    chosen = sorted(drawn[: options.queries or len(paths)])

    def same(reference, name):
        if options.twins:
            reference, name = (t.replace("Faces_easy/", "Faces/") for t in (reference, name))
        return reference == name

    for low, high in [RANGES[int(i)] for i in options.ranges.split(",")]:
        with tempfile.TemporaryDirectory() as folder:
            truth, crops = {}, []
            for index in chosen:
                rng = np.random.default_rng([options.seed, index, round(low * 100)])
                image = Image.open(paths[index]).convert("RGB")
                aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
                box = crop_box(image.size, rng.uniform(low, high), aspect, rng)
                crop = image.crop(box)
                if options.scale != 1:
                    crop = crop.resize([max(8, round(s * options.scale)) for s in crop.size], Image.BICUBIC)
                path = f"{folder}/{index}.{'jpg' if options.jpeg else 'png'}"
                crop.save(path, quality=options.jpeg) if options.jpeg else crop.save(path)
                truth[path] = (str(paths[index].relative_to(options.images)), box)
                crops.append(path)
            hits = {path: [] for path in crops}
            start = time.monotonic()
            for first in range(0, len(crops), 500):
                command = [options.imsim, "locate", options.model, *crops[first : first + 500], "--json"]
                output = subprocess.run(command + options.arguments, check=True, capture_output=True, text=True).stdout
                for line in output.splitlines():
                    hit = json.loads(line)
                    hits[hit["query"]].append(hit)
            seconds = time.monotonic() - start
        first, among, found, overlap = [], [], [], []
        for path, (name, box) in truth.items():
            first.append(bool(hits[path]) and same(hits[path][0]["reference"], name))
            among.append(any(same(hit["reference"], name) for hit in hits[path]))
            region = next((hit["region"] for hit in hits[path] if hit["reference"] == name), None)
            value = 0.0
            if region:
                x, y = region["x"], region["y"]
                value = iou(box, (x, y, x + region["width"], y + region["height"]))
            overlap.append(value)
            # A region that belongs to a picture that is not first is no answer.
            found.append(first[-1] and value >= 0.5)
        print(
            json.dumps(
                {
                    "area": [low, high],
                    "pictures": len(paths),
                    "queries": len(crops),
                    "rank1": round(float(np.mean(first)), 4),
                    "among_hits": round(float(np.mean(among)), 4),
                    "rank1_and_iou50": round(float(np.mean(found)), 4),
                    "iou50_where_listed": round(float(np.mean([o >= 0.5 for o, a in zip(overlap, among) if a])), 4),
                    "mean_iou": round(float(np.mean(overlap)), 4),
                    "seconds_per_query": round(seconds / len(crops), 3),
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
