"""The peers of search.py: FAISS, hnswlib and usearch behind one interface.

A search is one call with all its queries, on a given number of threads, and returns the rows of the hits: int64,
[queries, k]. Distances are inner products.
"""

import dataclasses
import importlib.metadata
import json
import time

import faiss
import hnswlib
import numpy as np
import usearch.index

M = 16
EF_CONSTRUCTION = 200
PACKAGES = ["faiss-cpu", "hnswlib", "usearch"]
SEED = 2026


class FlatFAISS:
    """IndexFlatIP: brute force."""

    name = "faiss flat"

    def __init__(self, vectors):
        self.index = faiss.IndexFlatIP(vectors.shape[1])
        self.index.add(vectors)

    def search(self, queries, k, threads):
        faiss.omp_set_num_threads(threads)
        return self.index.search(queries, k)[1]

    def neighbors(self, vectors, k, threads):
        """The k nearest of each of the index's own vectors, itself left out."""
        ids = self.search(vectors, k + 1, threads)
        others = ids != np.arange(len(ids))[:, None]
        # A vector with so many equals that it is not among its own hits has one hit too many.
        others[others.all(axis=1), k] = False
        return ids[others].reshape(len(ids), k)


class FAISSGraph:
    name = "faiss hnsw"
    package = "faiss-cpu"

    def __init__(self, dimension):
        self.index = faiss.IndexHNSWFlat(dimension, M, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION

    def build(self, vectors, threads):
        faiss.omp_set_num_threads(threads)
        self.index.add(vectors)

    def save(self, path):
        faiss.write_index(self.index, str(path))

    def load(self, path):
        self.index = faiss.read_index(str(path))

    def search(self, queries, k, threads, ef):
        faiss.omp_set_num_threads(threads)
        self.index.hnsw.efSearch = ef
        return self.index.search(queries, k)[1]


class HnswlibGraph:
    name = "hnswlib"
    package = "hnswlib"

    def __init__(self, dimension):
        self.index = hnswlib.Index("ip", dimension)

    def build(self, vectors, threads):
        self.index.init_index(len(vectors), M=M, ef_construction=EF_CONSTRUCTION, random_seed=SEED)
        self.index.set_num_threads(threads)
        self.index.add_items(vectors)

    def save(self, path):
        self.index.save_index(str(path))

    def load(self, path):
        self.index.load_index(str(path))

    def search(self, queries, k, threads, ef):
        self.index.set_num_threads(threads)
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k)[0].astype(np.int64)


class UsearchGraph:
    name = "usearch f32"
    package = "usearch"
    scalar = "f32"

    def __init__(self, dimension):
        self.index = usearch.index.Index(
            ndim=dimension, metric="ip", dtype=self.scalar, connectivity=M, expansion_add=EF_CONSTRUCTION
        )

    def build(self, vectors, threads):
        self.index.add(np.arange(len(vectors)), vectors, threads=threads)

    def save(self, path):
        self.index.save(str(path))

    def load(self, path):
        self.index.load(str(path))

    def search(self, queries, k, threads, ef):
        self.index.expansion_search = ef
        return self.index.search(queries, k, threads=threads).keys.astype(np.int64)


class UsearchInt8Graph(UsearchGraph):
    name = "usearch i8"
    scalar = "i8"


GRAPHS = {graph.name: graph for graph in [FAISSGraph, HnswlibGraph, UsearchGraph, UsearchInt8Graph]}


@dataclasses.dataclass
class Build:
    """What building a graph took: by the clock, and of processor time, without other work on the machine."""

    seconds: float
    processor_seconds: float
    is_kept: bool = False  # Built in an earlier run.


def built_graph(kind, vectors, threads, folder, rebuild):
    """A graph of a peer and what building it took; read from the folder if it has been built before."""
    version = importlib.metadata.version(kind.package)
    stem = f"{kind.name}-{version}-m{M}-efc{EF_CONSTRUCTION}-t{threads}".replace(" ", "-")
    index, record = folder / f"{stem}.index", folder / f"{stem}.json"
    graph = kind(vectors.shape[1])
    if record.exists() and not rebuild:
        graph.load(index)
        return graph, Build(**json.loads(record.read_text()), is_kept=True)
    folder.mkdir(parents=True, exist_ok=True)
    record.unlink(missing_ok=True)
    start, processor_start = time.perf_counter(), time.process_time()
    graph.build(vectors, threads)
    build = Build(time.perf_counter() - start, time.process_time() - processor_start)
    graph.save(index)
    record.write_text(json.dumps({"seconds": build.seconds, "processor_seconds": build.processor_seconds}))
    return graph, build
