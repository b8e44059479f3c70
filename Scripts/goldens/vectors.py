"""Vectors that the Swift tests make alike from the same seeds, and their distances."""

import numpy as np

MASK = (1 << 64) - 1


def splitmix(seed, count):
    """The test's SplitMix64, as numbers from -1 to 1 that are exact in fp32."""
    values, state = [], seed
    for _ in range(count):
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        z ^= z >> 31
        values.append(((z >> 40) - (1 << 23)) / (1 << 23))
    return np.array(values, np.float32)


def distances(queries, base, metric):
    a, b = queries.astype(np.float64), base.astype(np.float64)
    if metric == "euclidean":
        return np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1)).astype(np.float32)
    norms = np.sqrt((a**2).sum(1)[:, None] * (b**2).sum(1)[None])
    return np.maximum(0, 1 - a @ b.T / norms).astype(np.float32)
