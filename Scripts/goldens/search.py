"""Writes Tests/ImageSimilaritySearchTests/Goldens/search.json: what NumPy and FAISS find.

    python3 -m venv venv && venv/bin/pip install numpy faiss-cpu
    venv/bin/python Scripts/goldens/search.py

The vectors are not stored: the tests make the same ones from the same seeds.
"""

import json
import pathlib
import sys

import numpy as np

from vectors import distances, splitmix

# faiss.py beside this has the name of the package.
del sys.path[0]
import faiss  # noqa: E402


def search(metric):
    rows, dimension, count, k = 600, 24, 10, 8
    base = splitmix(1, rows * dimension).reshape(rows, dimension)
    queries = splitmix(2, count * dimension).reshape(count, dimension)
    d = distances(queries, base, metric)
    order = np.argsort(d, axis=1, kind="stable")[:, :k]
    if metric == "cosine":
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (base, queries)]
        index = faiss.IndexFlatIP(dimension)
    else:
        unit = [base, queries]
        index = faiss.IndexFlatL2(dimension)
    index.add(unit[0])
    assert (index.search(unit[1], k)[1] == order).all(), "NumPy and FAISS disagree"
    return {
        "metric": metric, "rows": rows, "dimension": dimension, "queries": count, "k": k,
        "neighbors": order.tolist(), "distances": np.take_along_axis(d, order, 1).astype(float).tolist(),
    }


def evaluation(metric, rows, dimension, classes, copies):
    """Row i has label i * i % classes; row i is its label's centre and noise, or a copy of row i // 2."""
    labels = [i * i % classes for i in range(rows)]
    centres = splitmix(3, classes * dimension).reshape(classes, dimension)
    noise = splitmix(4, rows * dimension).reshape(rows, dimension)
    x = np.array([centres[labels[i]] + noise[i] for i in range(rows)], np.float32)
    for i in range(rows):
        if copies and i % copies == copies - 1:
            x[i] = x[i // 2]
    # By columns that are computed once for all copies, so that copies are tied exactly.
    d = distances(x, x, metric)
    for i in range(rows):
        if copies and i % copies == copies - 1:
            d[:, i] = d[:, i // 2]
    p1, p5, ap = [], [], []
    for q in range(rows):
        others = np.array([i for i in range(rows) if i != q], int)
        # Stable: at equal distance the lower row first.
        order = others[np.argsort(d[q][others], kind="stable")]
        hit = np.array([labels[i] == labels[q] for i in order], bool)
        if not hit.any():
            continue
        p1.append(float(hit[0]))
        p5.append(hit[:5].sum() / 5)
        ap.append((np.cumsum(hit)[hit] / (np.flatnonzero(hit) + 1)).mean())
    mean = lambda v: float(np.mean(v)) if v else 0.0
    return {
        "metric": metric, "rows": rows, "dimension": dimension, "classes": classes, "copies": copies,
        "precision_at_1": mean(p1), "precision_at_5": mean(p5), "mean_average_precision": mean(ap),
        "labels": len(set(labels)), "left_out": rows - len(p1),
    }


def main():
    result = {
        "search": [search("cosine"), search("euclidean")],
        "evaluation": [
            evaluation(metric, *shape)
            for metric in ("cosine", "euclidean")
            for shape in ((400, 16, 12, 0), (300, 9, 40, 7), (4, 3, 3, 0), (1, 2, 1, 0), (6, 5, 6, 0))
        ],
    }
    path = pathlib.Path(__file__).parents[2] / "Tests/ImageSimilaritySearchTests/Goldens/search.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=None, separators=(",", ":")).replace("},{", "},\n{") + "\n")


main()
