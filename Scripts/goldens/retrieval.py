#!/usr/bin/env python3
"""Retrieval quality of the reference pipeline (Pillow, onnxruntime) on a folder of class folders, for each network
with real weights and each resize mode: the figures that `imsim evaluate` is compared with.

    python3 Scripts/goldens/retrieval.py SHARED

Needs numpy, onnx, onnxruntime and Pillow. Reads SHARED/data/caltech101-20 and SHARED/weights; writes
Tests/ImageSimilarityKitTests/Goldens/retrieval.json.
"""

import json
import pathlib
import sys

import numpy as np

import networks
import pictures
from state_dictionary import read_safetensors

OUTPUT = networks.ROOT / "Tests/ImageSimilarityKitTests/Goldens/retrieval.json"
BATCH = 16


def embed(session, preprocessing, pixels):
    """Pooled features, [n, d]."""
    batches = (pixels[start : start + BATCH] for start in range(0, len(pixels), BATCH))
    return np.concatenate(
        [session.run(["pooled"], {"images": networks.preprocess(batch, preprocessing)})[0] for batch in batches]
    )


def evaluate(features, labels):
    """Leave one out by cosine: every image queries all others, and an image of the same label is relevant.

    Average precision is the mean, over a query's relevant images, of the precision at their ranks. Equal similarities
    keep the images' order.
    """
    features = features / np.linalg.norm(features, axis=1, keepdims=True)
    similarities = features @ features.T
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :-1]
    relevant = labels[order] == labels[:, None]
    precision = np.cumsum(relevant, axis=1) / np.arange(1, relevant.shape[1] + 1)
    average_precision = (precision * relevant).sum(axis=1) / relevant.sum(axis=1)
    return {
        "precision_at_1": round(float(relevant[:, 0].mean()), 4),
        "precision_at_5": round(float(relevant[:, :5].mean()), 4),
        "mean_average_precision": round(float(average_precision.mean()), 4),
    }


def main():
    shared = pathlib.Path(sys.argv[1])
    paths = pictures.files(shared / "data/caltech101-20")
    labels = np.array([path.parent.name for path in paths])
    weights = {
        "efficientnet-lite0": networks.BUNDLED_WEIGHTS,
        "resnet-50": shared / "weights/resnet50_ktb.safetensors",
        "squeezenet-1.1": shared / "weights/squeezenet1_1_caffe.safetensors",
    }
    results = []
    for resize in pictures.RESIZE_MODES:
        pixels = np.stack([pictures.load(path, resize) for path in paths])
        for network, file in weights.items():
            session = networks.session(network, read_safetensors(file))
            figures = evaluate(embed(session, networks.NETWORKS[network][2], pixels), labels)
            results.append({"backbone": network, "weights": file.name, "resize": resize, **figures})
            print(json.dumps(results[-1]), flush=True)
    description = {
        "generator": "Scripts/goldens/retrieval.py",
        "pipeline": "Pillow bicubic, onnxruntime fp32, pooled features, cosine, leave one out",
        "data": "caltech101-20: the first 20 images of each class of Caltech-101",
        "images": len(paths),
        "classes": len(set(labels)),
        "results": results,
    }
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    OUTPUT.write_text(json.dumps(description, indent=2) + "\n")


if __name__ == "__main__":
    main()
