"""The vectors that search.py searches: made once and kept beside it, or the embeddings of a folder of pictures."""

import dataclasses
import hashlib

import numpy as np

CENTRES = 1000
NOISE = 0.6
QUERIES = 1000
SEED = 2026
BLOCK = 10_000


@dataclasses.dataclass
class Data:
    name: str
    vectors: np.ndarray  # fp32, [rows, dimension], of length 1
    queries: np.ndarray  # the same, of the same clusters

    def first(self, rows):
        """The same with the first rows alone."""
        return Data(f"{self.name}-first-{rows}", self.vectors[:rows], self.queries)


def normalized(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def synthetic(rows, dimension, cache):
    """Clusters: standard normal centres, each vector a centre drawn at random plus normal noise, then normalised."""
    name = f"{rows}x{dimension}"
    paths = [cache / f"{part}-{name}.npy" for part in ("vectors", "queries")]
    if not all(path.exists() for path in paths):
        cache.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng([SEED, rows, dimension])
        centres = generator.standard_normal((CENTRES, dimension), np.float32)
        for path, count in zip(paths, (rows, QUERIES)):
            vectors = np.empty((count, dimension), np.float32)
            for begin in range(0, count, BLOCK):
                size = min(BLOCK, count - begin)
                noise = np.float32(NOISE) * generator.standard_normal((size, dimension), np.float32)
                vectors[begin : begin + size] = normalized(centres[generator.integers(CENTRES, size=size)] + noise)
            unfinished = path.with_suffix(".unfinished.npy")
            np.save(unfinished, vectors)
            unfinished.rename(path)
    return Data(name, *map(np.load, paths))


def embedded(path):
    """The embeddings that `imsim embed` wrote: evenly spaced ones are the queries, a tenth or 1,000, the others are
    searched."""
    embeddings = normalized(np.load(path))
    rows = len(embeddings)
    picked = np.linspace(0, rows - 1, min(QUERIES, rows // 10), dtype=int)
    digest = hashlib.sha256(embeddings.tobytes()).hexdigest()[:12]
    return Data(f"embeddings-{digest}", np.delete(embeddings, picked, axis=0), embeddings[picked])
