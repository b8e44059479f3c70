"""An ONNX network in 8 bits, as OpenVINO's own tool (NNCF) makes it after training.

    quantize.py NETWORK.onnx PREPROCESSING PHOTOS OUTPUT.xml

The preset is the default one, which OpenVINO recommends for networks with ReLU: symmetric weights and activations.
"""

import pathlib
import sys

import nncf
import openvino

sys.path.append(str(pathlib.Path(__file__).parents[2] / "Scripts/goldens"))

import networks  # noqa: E402
import pictures  # noqa: E402

# NNCF's default number of pictures.
PICTURES = 300


def main():
    model, preprocessing, photos, output = sys.argv[1:]
    paths = pictures.files(photos)
    # Evenly spread over the folder, and so over its classes.
    paths = paths[:: max(1, -(-len(paths) // PICTURES))]

    def load(path):
        return {"images": networks.preprocess(pictures.load(path, "squash")[None], preprocessing)}

    quantized = nncf.quantize(
        openvino.Core().read_model(model),
        nncf.Dataset(paths, load),
        preset=nncf.QuantizationPreset.PERFORMANCE,
        subset_size=len(paths),
    )
    openvino.save_model(quantized, output)


if __name__ == "__main__":
    main()
