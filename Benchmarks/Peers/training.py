#!/usr/bin/env python3
"""What 'imsim fit' learns from labels, beside linear discriminant analysis as scikit-learn does it.

  training.py IMSIM FOLDER [--splits 3]

FOLDER has a folder of pictures for each class. Each split is seeded:
  pictures   half of each class to learn from; evaluated on the other half
  classes    half of the classes to learn from; evaluated on the others, which were never seen
Both evaluations rank each evaluated picture against all other evaluated ones. The pictures are embedded once.
"""
import argparse
import csv
import json
import pathlib
import random
import shutil
import statistics
import subprocess
import tempfile

import numpy
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis


def parts(labels, kind, seed):
    """'learn' or 'test' for each picture."""
    shuffled = random.Random(seed)
    classes = sorted(set(labels))
    if kind == "classes":
        learnt = set(shuffled.sample(classes, len(classes) // 2))
        return ["learn" if label in learnt else "test" for label in labels]
    part = ["test"] * len(labels)
    for name in classes:
        rows = [row for row, label in enumerate(labels) if label == name]
        for row in shuffled.sample(rows, len(rows) // 2):
            part[row] = "learn"
    return part


def quality(vectors, labels):
    """Precision at 1 and mean average precision by cosine, leaving one out."""
    vectors = vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)
    similarities = vectors @ vectors.T
    numpy.fill_diagonal(similarities, -numpy.inf)
    order = numpy.argsort(-similarities, axis=1, kind="stable")[:, :-1]
    relevant = labels[order] == labels[:, None]
    wanted = relevant.sum(axis=1)
    queries = wanted > 0
    precision = numpy.cumsum(relevant, axis=1) / numpy.arange(1, relevant.shape[1] + 1)
    average = (precision * relevant).sum(axis=1)[queries] / wanted[queries]
    return relevant[queries, 0].mean(), average.mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imsim")
    parser.add_argument("folder")
    parser.add_argument("--splits", type=int, default=3)
    options = parser.parse_args()

    def imsim(*arguments):
        done = subprocess.run([options.imsim, *map(str, arguments)], check=True, capture_output=True, text=True)
        return json.loads(done.stdout) if "--json" in arguments else None

    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        raw = scratch / "raw.imsim"
        imsim("index", options.folder, "--model", raw)
        imsim("export", raw, scratch / "raw.npy")
        vectors = numpy.load(scratch / "raw.npy")
        ids = [json.loads(line)["id"] for line in open(scratch / "raw.jsonl")]
        labels = numpy.array([pathlib.PurePath(name).parts[0] for name in ids])
        print(f"{len(ids)} pictures, {len(set(labels))} classes, {vectors.shape[1]}-d")
        print(f"{'split':10} {'what':28} {'P@1':>7} {'mAP':>7} {'d':>5} {'fit s':>6}")
        for kind in ["pictures", "classes"]:
            rows = {}
            for seed in range(options.splits):
                part = parts(labels, kind, seed)
                with open(scratch / "parts.csv", "w", newline="") as file:
                    writer = csv.writer(file)
                    writer.writerow(["id", "label", "part"])
                    writer.writerows(zip(ids, labels, part))
                model = scratch / f"{kind}{seed}.imsim"
                shutil.copytree(raw, model)
                imsim("records", model, "--set", scratch / "parts.csv")
                before = imsim("evaluate", model, "--where", "metadata.part=test", "--json")
                report = imsim("fit", model, "--where", "metadata.part=learn", "--json")
                after = imsim("evaluate", model, "--where", "metadata.part=test", "--json")
                learn = numpy.array([value == "learn" for value in part])
                peer = LinearDiscriminantAnalysis(solver="eigen", shrinkage="auto").fit(vectors[learn], labels[learn])
                projected = peer.transform(vectors[~learn])
                p1, mean = quality(projected, labels[~learn])
                for name, p, m, d, seconds in [
                    ("raw", before["precision_at_1"], before["mean_average_precision"], vectors.shape[1], 0),
                    ("imsim fit", after["precision_at_1"], after["mean_average_precision"],
                     report["dimension"], report["seconds"]),
                    ("scikit-learn LDA, shrunk", p1, mean, projected.shape[1], 0),
                ]:
                    rows.setdefault(name, []).append((p, m, d, seconds))
            for name, values in rows.items():
                p, m, d, seconds = (statistics.mean(column) for column in zip(*values))
                spread = max(v[1] for v in values) - min(v[1] for v in values)
                print(f"{kind:10} {name:28} {p:7.4f} {m:7.4f} {d:5.0f} {seconds:6.2f}   mAP spread {spread:.4f}")


if __name__ == "__main__":
    main()
