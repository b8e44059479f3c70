"""Index files as FAISS writes them, and a check of those that this package writes.

  python3 -m venv venv && venv/bin/pip install faiss-cpu==1.15.1 numpy
  venv/bin/python Scripts/goldens/faiss.py                  writes Tests/ImageSimilaritySearchTests/Goldens/*.faiss
  venv/bin/python Scripts/goldens/faiss.py --check FOLDER   opens each NAME.faiss there with FAISS and compares it with NAME.npy

A check searches each index for its own vectors and expects the same neighbours as a flat index over the array.
"""

import json
import pathlib
import sys

# This file has the name of the package that it imports.
sys.path = [p for p in sys.path if pathlib.Path(p or ".").resolve() != pathlib.Path(__file__).resolve().parent]
import faiss  # noqa: E402
import numpy as np  # noqa: E402

GOLDENS = pathlib.Path(__file__).resolve().parents[2] / "Tests/ImageSimilaritySearchTests/Goldens"
DIMENSION = 8


def write():
    faiss.omp_set_num_threads(1)
    random = np.random.RandomState(1)
    vectors = random.randn(60, DIMENSION).astype("float32")
    queries = random.randn(5, DIMENSION).astype("float32")
    labels = np.arange(60, dtype="int64") * 3 - 7
    indexes = {}
    for name, metric in (("ip", faiss.METRIC_INNER_PRODUCT), ("l2", faiss.METRIC_L2)):
        flat = faiss.IndexFlatIP if name == "ip" else faiss.IndexFlatL2
        indexes["flat-" + name] = flat(DIMENSION)
        indexes["idmap2-" + name] = faiss.IndexIDMap2(flat(DIMENSION))
        indexes["idmap-" + name] = faiss.IndexIDMap(flat(DIMENSION))
        indexes["hnsw-" + name] = faiss.IndexHNSWFlat(DIMENSION, 4, metric)
    indexes["idmap2-hnsw"] = faiss.IndexIDMap2(faiss.IndexHNSWFlat(DIMENSION, 4, faiss.METRIC_L2))
    indexes["empty"] = faiss.IndexFlatL2(DIMENSION)
    indexes["empty-hnsw"] = faiss.IndexHNSWFlat(DIMENSION, 16, faiss.METRIC_L2)
    goldens = {"queries": queries.ravel().tolist(), "files": {}}
    for name, index in indexes.items():
        if name.startswith("idmap"):
            index.add_with_ids(vectors, labels)
        elif not name.startswith("empty"):
            index.add(vectors)
        faiss.write_index(index, str(GOLDENS / f"{name}.faiss"))
        exact = faiss.IndexFlat(DIMENSION, index.metric_type)
        exact.add(vectors if index.ntotal else vectors[:0])
        distances, rows = exact.search(queries, 5)
        goldens["files"][name] = {"rows": index.ntotal, "neighbors": rows.tolist(), "distances": distances.tolist()
                                  if index.ntotal else []}
    (GOLDENS / "faiss.json").write_text(json.dumps(goldens, separators=(",", ":")) + "\n")


def check(folder):
    files = sorted(folder.glob("*.faiss"))
    assert files, f"{folder} has no .faiss files"
    for file in files:
        index = faiss.read_index(str(file))
        vectors = np.load(file.with_suffix(".npy")).astype("float32")
        inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else index
        if file.stem.startswith("cosine"):
            vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)
        assert index.ntotal == len(vectors) and index.d == vectors.shape[1], file
        rows = np.arange(len(vectors))
        labels = faiss.vector_to_array(index.id_map) if isinstance(index, faiss.IndexIDMap) else rows
        exact = faiss.IndexFlat(index.d, index.metric_type)
        exact.add(vectors)
        k = min(10, len(vectors))
        if k == 0:
            print(f"{file.name}: {type(inner).__name__}, empty")
            continue
        expected = exact.search(vectors, k)
        found = index.search(vectors, k)
        same = float(np.mean([len(set(labels[a]) & set(b)) / k for a, b in zip(expected[1], found[1])]))
        if isinstance(inner, faiss.IndexHNSW):
            assert same > 0.9, f"{file}: recall {same}"
        else:
            assert np.allclose(expected[0], found[0], rtol=1e-5, atol=1e-5) and same == 1, f"{file}: {same}"
        print(f"{file.name}: {type(index).__name__} over {type(inner).__name__}, {len(vectors)} x {index.d}, "
              f"recall@{k} {same:.4f}")


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        check(pathlib.Path(sys.argv[2]))
    elif len(sys.argv) == 1:
        write()
    else:
        sys.exit(__doc__)
