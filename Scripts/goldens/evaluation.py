"""Writes Tests/ImageSimilaritySearchTests/Goldens/evaluation.json: what NumPy and scikit-learn make of rankings.

    python3 -m venv venv && venv/bin/pip install numpy scikit-learn
    venv/bin/python Scripts/goldens/evaluation.py

The vectors are not stored: the tests make the same ones from the same seeds. The drawn queries follow from the definition of
the bootstrap's random numbers, SplitMix64 by position.
"""

import json
import pathlib

import numpy as np
from sklearn.metrics import average_precision_score, ndcg_score

from vectors import distances, splitmix

RANKS = [1, 3, 5, 10, 1000]
RESAMPLES = 200
SEED = 7
CONFIDENCE = 0.9
FIRST_RANKS = 10
# Differences below are rounding.
TINY = 1e-12
# Per query, only these are stored.
STORED = ["mean_average_precision", "ndcg_at_10", "recall_at_3", "map_at_r"]


def vectors(rows, dimension, centres, seed):
    """Row i is a centre and noise; every fifth row is a copy of row i // 2."""
    middle = splitmix(seed, centres * dimension).reshape(centres, dimension)
    noise = splitmix(seed + 1, rows * dimension).reshape(rows, dimension)
    x = np.array([middle[i * i % centres] + noise[i] for i in range(rows)], np.float32)
    for i in range(rows):
        if i % 5 == 4:
            x[i] = x[i // 2]
    return x


def tied_distances(x, metric):
    """By columns that are computed once for all copies, so that copies are tied exactly."""
    d = distances(x, x, metric)
    for i in range(len(x)):
        if i % 5 == 4:
            d[:, i] = d[:, i // 2]
    return d


def labels_of(rows, centres, multi):
    """One label a row, some of which only one row has; or none to three labels."""
    found = []
    for i in range(rows):
        own = [f"c{i * i % centres}"] if i % 23 != 11 else [f"alone{i}"]
        if multi:
            own = [] if i % 13 == 5 else own + ([f"c{i // 2 % centres}"] if i % 3 == 0 else [])
            own += [own[0], "rare"] if i in (3, 40) else []
        found.append(own)
    return found


def score(order, relevant):
    """All measures of one ranking: `order` are rows, `relevant` whether each row is relevant."""
    hit = relevant[order].astype(int)
    count = int(hit.sum())
    # Distinct scores in the ranking's order: scikit-learn breaks no ties.
    falling = -np.arange(len(hit), dtype=float)
    values = {}
    for k in RANKS:
        values[f"precision_at_{k}"] = hit[:k].sum() / k
        values[f"recall_at_{k}"] = hit[:k].sum() / count
        values[f"ndcg_at_{k}"] = ndcg_score([hit], [falling], k=k) if len(hit) > 1 else 1.0
    values["mean_average_precision"] = average_precision_score(hit, falling)
    values["ndcg"] = ndcg_score([hit], [falling]) if len(hit) > 1 else 1.0
    values["r_precision"] = hit[:count].mean()
    precision = np.cumsum(hit) / np.arange(1, len(hit) + 1)
    values["map_at_r"] = (precision * hit)[:count].sum() / count
    values["mean_reciprocal_rank"] = 1 / (1 + np.flatnonzero(hit)[0])
    return {name: float(value) for name, value in values.items()}


def draws(start, number, below):
    """`number` random integers under `below`, from position `start` of the sequence on."""
    with np.errstate(over="ignore"):
        z = np.uint64(SEED) + np.arange(start + 1, start + number + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    n, low = np.uint64(below), np.uint64(0xFFFFFFFF)
    return ((z >> np.uint64(32)) * n + ((z & low) * n >> np.uint64(32)) >> np.uint64(32)).astype(int)


def interval(drawn):
    return [float(np.quantile(drawn, (1 - CONFIDENCE) / 2)), float(np.quantile(drawn, (1 + CONFIDENCE) / 2))]


def macro_mean(values, classes):
    """`values` of queries, `classes` the list of those of each."""
    by_class = {}
    for value, own in zip(values, classes):
        for name in own:
            by_class.setdefault(name, []).append(value)
    return float(np.mean([np.mean(own) for own in by_class.values()]))


def evaluate(d, labels, is_query, is_ranked):
    """The queries with their measures, and what stands in the first ranks."""
    sets = [set(own) for own in labels]
    queries = []
    for q in range(len(labels)):
        if not is_query[q]:
            continue
        others = np.array([i for i in range(len(labels)) if i != q and is_ranked[i]], int)
        relevant = np.array([bool(own & sets[q]) for own in sets])
        if not relevant[others].any():
            continue
        # Stable: at equal distance the lower row first.
        order = others[np.argsort(d[q][others], kind="stable")]
        first = order[: min(FIRST_RANKS, int(relevant[others].sum()))]
        queries.append((q, score(order, relevant), [int(i) for i in first if not relevant[i]], len(first)))
    return queries


def summary(queries, labels, is_query):
    names = list(queries[0][1])
    values = {name: np.array([found[1][name] for found in queries]) for name in names}
    classes = [sorted(set(labels[found[0]])) for found in queries]
    samples = draws(0, RESAMPLES * len(queries), len(queries)).reshape(RESAMPLES, len(queries))
    result = {"overall": {}, "macro": {}, "per_class": []}
    drawn = {}
    for name in names:
        micro = values[name][samples].mean(axis=1)
        macro = np.array([macro_mean(values[name][s], [classes[i] for i in s]) for s in samples])
        drawn[name] = (micro, macro)
        result["overall"][name] = [float(values[name].mean()), *interval(micro)]
        result["macro"][name] = [macro_mean(values[name], classes), *interval(macro)]
    start = RESAMPLES * len(queries)
    for label in sorted({name for own in labels for name in own}):
        own = np.array([i for i, names_of in enumerate(classes) if label in names_of], int)
        found = {"label": label, "images": sum(label in other for other in labels), "queries": len(own), "measures": {}}
        if len(own):
            chosen = own[draws(start, RESAMPLES * len(own), len(own)).reshape(RESAMPLES, len(own))]
            start += RESAMPLES * len(own)
            for name in names:
                found["measures"][name] = [float(values[name][own].mean())]
                if len(own) > 1:
                    found["measures"][name] += interval(values[name][chosen].mean(axis=1))
        counts = {}
        for i in own:
            for row in queries[i][2]:
                for other in set(labels[row]):
                    counts[other] = counts.get(other, 0) + 1
        found["first_ranks"] = sum(queries[i][3] for i in own)
        found["confusions"] = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
        result["per_class"].append(found)
    result["images"] = len(labels)
    result["classes"] = len(result["per_class"])
    result["left_out"] = int(sum(is_query)) - len(queries)
    result["rows"] = [found[0] for found in queries]
    result["values"] = {name: values[name].tolist() for name in STORED}
    result["mistaken"] = [found[2] for found in queries]
    return result, values, drawn


def case(metric, rows, dimension, centres, multi, split):
    labels = labels_of(rows, centres, multi)
    is_query = [not split or i % 3 != 1 for i in range(rows)]
    is_ranked = [not split or i % 4 != 2 for i in range(rows)]
    x, y = vectors(rows, dimension, centres, 3), vectors(rows, dimension, centres, 13)
    result, values, drawn = summary(evaluate(tied_distances(x, metric), labels, is_query, is_ranked), labels, is_query)
    other, other_values, other_drawn = summary(
        evaluate(tied_distances(y, metric), labels, is_query, is_ranked), labels, is_query)
    differences = {}
    for name in values:
        value = float(other_values[name].mean() - values[name].mean())
        d = other_drawn[name][0] - drawn[name][0]
        opposite = (d <= TINY) if value > TINY else (d >= -TINY) if value < -TINY else np.ones(len(d), bool)
        differences[name] = [value, *interval(d), float(min(1, 2 * (1 + opposite.sum()) / (1 + len(d))))]
    return {
        "metric": metric, "dimension": dimension, "centres": centres, "labels": labels, "is_query": is_query,
        "is_ranked": is_ranked, "result": result, "differences": differences,
    }


def main():
    result = {
        "ranks": RANKS, "resamples": RESAMPLES, "seed": SEED, "confidence": CONFIDENCE,
        "cases": [
            case("cosine", 130, 8, 9, False, False),
            case("euclidean", 110, 6, 7, True, False),
            case("cosine", 120, 7, 8, True, True),
        ],
    }
    path = pathlib.Path(__file__).parents[2] / "Tests/ImageSimilaritySearchTests/Goldens/evaluation.json"
    path.write_text(json.dumps(result, separators=(",", ":")).replace('},{"label"', '},\n{"label"') + "\n")


main()
