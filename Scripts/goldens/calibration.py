#!/usr/bin/env python3
"""Calibration by scikit-learn and numpy: what the library's own isotonic regression, logistic fit, reliability curve and
precision curve are compared with.

    python3 Scripts/goldens/calibration.py

Needs numpy and scikit-learn. Writes Tests/ImageSimilaritySearchTests/Goldens/calibration.json.
"""

import json
import math
import pathlib
import statistics

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, log_loss

OUTPUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/ImageSimilaritySearchTests/Goldens/calibration.json"
BINS = 15


def population(seed, count):
    """Distances of pairs that are the same (nearer) and different, rounded so that some are equal; weights in quarters."""
    random = np.random.default_rng(seed)
    same = random.random(count) < 0.3
    distances = np.where(same, random.gamma(3, 0.05, count), random.gamma(9, 0.05, count))
    weights = random.integers(1, 9, count) / 4
    return np.round(distances, 3).astype(np.float32).astype(float), same, weights


def logistic(distances, same, weights):
    """Platt's targets as two weighted copies of each sample, without regularisation."""
    x = distances
    weights = weights / weights.mean()
    positive, negative = weights[same].sum(), weights[~same].sum()
    targets = np.where(same, (positive + 1) / (positive + 2), 1 / (negative + 2))
    fitted = LogisticRegression(C=np.inf, tol=1e-12, max_iter=10000, solver="newton-cholesky").fit(
        np.r_[x, x][:, None],
        np.r_[np.ones(len(x)), np.zeros(len(x))],
        sample_weight=np.r_[weights * targets, weights * (1 - targets)],
    )
    return {"intercept": float(fitted.intercept_[0]), "slope": float(fitted.coef_[0, 0])}


def reliability(probabilities, same, weights):
    """Bins of equal mass in the order of the probabilities, where both outcomes have half of it; those of one probability in
    the bin of the first."""
    order = np.argsort(probabilities, kind="stable")
    p, y, w = probabilities[order], same[order], weights[order] / weights.sum()
    mass = np.where(y, w / w[y].sum(), w / w[~y].sum()) / 2
    bins = np.minimum(BINS - 1, ((np.cumsum(mass) - mass / 2) * BINS).astype(int))
    first = np.searchsorted(p, p, side="left")
    bins = bins[first]
    error, found = 0, []
    for number in np.unique(bins):
        inside = bins == number
        share = w[inside].sum()
        mean, observed = np.average(p[inside], weights=w[inside]), np.average(y[inside], weights=w[inside])
        error += share * abs(observed - mean)
        found.append([float(mean), float(observed), float(share), int(inside.sum())])
    return {
        "bins": found,
        "expected_calibration_error": float(error),
        "brier_score": float(brier_score_loss(same, probabilities, sample_weight=weights)),
        "log_loss": float(log_loss(same, probabilities, sample_weight=weights)),
    }


def precision(distances, same, weights, groups, wanted, confidence):
    """The largest distance with the wanted precision, and with its lower bound by Wilson."""
    z = statistics.NormalDist().inv_cdf(confidence)
    best = [None, None]
    for distance in np.unique(distances[same]):
        inside = distances <= distance
        value = weights[inside & same].sum() / weights[inside].sum()
        by_group = np.bincount(groups[inside], weights=weights[inside])
        n = by_group.sum() ** 2 / (by_group**2).sum()
        bound = (value + z * z / (2 * n) - z * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))) / (1 + z * z / n)
        point = [
            float(distance), float(value), float(weights[inside & same].sum() / weights[same].sum()), float(n), float(bound)
        ]
        if value >= wanted:
            best[0] = point
        if bound >= wanted:
            best[1] = point
    return {"wanted": wanted, "confidence": confidence, "threshold": best[0], "bounded_threshold": best[1]}


def main():
    cases = []
    for seed, count in [(1, 12), (2, 200), (3, 480)]:
        distances, same, weights = population(seed, count)
        groups = np.arange(count) // 4
        isotonic = IsotonicRegression(increasing=False).fit_transform(
            distances, same.astype(float), sample_weight=weights
        )
        curve = logistic(distances, same, weights)
        probabilities = 1 / (1 + np.exp(-(curve["intercept"] + curve["slope"] * distances)))
        # Few values, so that there are ties.
        coarse = np.round(probabilities, 1) * 0.98 + 0.01
        cases.append(
            {
                "distances": distances.tolist(),
                "same": same.tolist(),
                "weights": weights.tolist(),
                "groups": groups.tolist(),
                "isotonic": isotonic.tolist(),
                "logistic": curve,
                "reliability": reliability(probabilities, same, weights),
                "coarse": coarse.tolist(),
                "coarse_reliability": reliability(coarse, same, weights),
                "precision": [precision(distances, same, weights, groups, w, c) for w, c in [(0.9, 0.95), (0.8, 0.9)]],
            }
        )
    OUTPUT.write_text(json.dumps({"generator": "Scripts/goldens/calibration.py", "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
