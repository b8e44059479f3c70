#!/usr/bin/env python3
"""Core ML files that `imsim export` writes, against coremltools and onnxruntime, on real photographs.

    python3 Scripts/goldens/coreml_check.py IMSIM SHARED [--references 300] [--queries 60] [--validator COMMAND]

Needs coremltools, numpy, onnx, onnxruntime and Pillow. IMSIM is the built command, SHARED has data/caltech101-20 and
weights. Photographs are scaled with Pillow and stored as PNG in the networks' input size, so that the command and this
script see the same pixels. For each network, metric and kind of weights:

- coremltools parses the file, knows every field in it, and opens it as a model with the right inputs and outputs;
- Apple's validator, where COMMAND is what coreml_validator.py built, calls it valid;
- the file, translated layer by layer from coremltools' own protobuf classes to ONNX (quantised weights multiplied out),
  is run by onnxruntime. Its distances are compared with those of `imsim query`: their mean, the largest difference, for
  how many queries the nearest reference is the same, for how many the order of all is, and by how much distances differ
  where the order does not agree.

Prints a table, and fails where fp32 differs by more than 1e-3 or puts references in another order that differ by more.
"""

import argparse
import hashlib
import json
import logging
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from PIL import Image

logging.disable(logging.WARNING)

import coremltools
from coremltools.proto import FeatureTypes_pb2
from google.protobuf.unknown_fields import UnknownFieldSet

SIZE = 224
TOLERANCE = 1e-3


# Pictures


def fit(path, target):
    """The photograph on white, SIZE x SIZE, as PNG."""
    with Image.open(path) as file:
        picture = file.convert("RGB")
    picture.thumbnail((SIZE, SIZE), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (SIZE, SIZE), "white")
    canvas.paste(picture, ((SIZE - picture.width) // 2, (SIZE - picture.height) // 2))
    canvas.save(target)


def photographs(shared, references, queries, folder):
    """Writes references and queries, evenly spread over all classes, to two folders."""
    files = sorted((shared / "data/caltech101-20").glob("*/*.jpg"))
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, references + queries).astype(int)]
    is_query = np.zeros(len(chosen), bool)
    is_query[np.linspace(1, len(chosen) - 1, queries).astype(int)] = True
    for name in ("references", "queries"):
        (folder / name).mkdir()
    for path, query in zip(chosen, is_query):
        fit(path, folder / ("queries" if query else "references") / f"{path.parent.name}-{path.stem}.png")
    # Of the model's own pictures, one; its distance is 0.
    own = sorted((folder / "references").iterdir())[references // 2]
    (folder / "queries" / f"own-{own.name}").write_bytes(own.read_bytes())


# Specification to ONNX. Tensors lose the first of five axes, which is 1.


def weights(message, rows):
    """The numbers of a WeightParams message as fp32."""
    if message.floatValue:
        return np.array(message.floatValue, np.float32)
    if message.float16Value:
        return np.frombuffer(message.float16Value, "<f2").astype(np.float32)
    assert message.quantization.numberOfBits == 8
    linear = message.quantization.linearQuantization
    steps = np.frombuffer(message.rawValue, np.uint8).reshape(rows, -1).astype(np.float32)
    scale, bias = (np.array(x, np.float32).reshape(rows, 1) for x in (linear.scale, linear.bias))
    return (steps * scale + bias).ravel()


class Translation:
    def __init__(self, network):
        self.nodes = []
        self.initializers = []
        for layer in network.layers:
            assert len(layer.output) == 1
            getattr(self, layer.WhichOneof("layer"))(layer, list(layer.input), layer.output[0])

    def constant(self, values, shape=None):
        values = np.asarray(values)
        name = f"constant {len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(values.reshape(shape or values.shape), name))
        return name

    def add_node(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    @staticmethod
    def pads(padding):
        (top, bottom), (left, right) = (
            (edge.startEdgeSize, edge.endEdgeSize) for edge in padding.paddingAmounts.borderAmounts
        )
        return [top, left, bottom, right]

    def convolution(self, layer, inputs, output):
        p = layer.convolution
        assert p.WhichOneof("ConvolutionPaddingType") == "valid" and not p.isDeconvolution and not p.dilationFactor
        shape = (p.outputChannels, p.kernelChannels, *p.kernelSize)
        inputs.append(self.constant(weights(p.weights, p.outputChannels), shape))
        if p.hasBias:
            inputs.append(self.constant(weights(p.bias, 1)))
        self.add_node(
            "Conv", inputs, output, group=p.nGroups, strides=list(p.stride), pads=self.pads(p.valid),
            kernel_shape=list(p.kernelSize),
        )  # fmt: skip

    def pooling(self, layer, inputs, output):
        p = layer.pooling
        assert p.WhichOneof("PoolingPaddingType") == "valid"
        if p.globalPooling:
            assert p.type == p.AVERAGE
            self.add_node("GlobalAveragePool", inputs, output)
        else:
            assert p.type == p.MAX
            self.add_node(
                "MaxPool", inputs, output, kernel_shape=list(p.kernelSize), strides=list(p.stride),
                pads=self.pads(p.valid),
            )  # fmt: skip

    def activation(self, layer, inputs, output):
        if layer.activation.WhichOneof("NonlinearityType") == "ReLU":
            self.add_node("Relu", inputs, output)
            return
        linear = layer.activation.linear
        self.add_node("Mul", inputs + [self.constant(np.float32(linear.alpha))], output + " times")
        self.add_node("Add", [output + " times", self.constant(np.float32(linear.beta))], output)

    def unary(self, layer, inputs, output):
        p = layer.unary
        assert p.type == p.THRESHOLD and p.shift == 0
        self.add_node("Mul", inputs + [self.constant(np.float32(p.scale or 1))], output + " times")
        self.add_node("Max", [output + " times", self.constant(np.float32(p.alpha))], output)

    def innerProduct(self, layer, inputs, output):
        p = layer.innerProduct
        self.add_node("Flatten", inputs, output + " flat")
        matrix = weights(p.weights, p.outputChannels)
        operands = [output + " flat", self.constant(matrix, (p.outputChannels, p.inputChannels))]
        if p.hasBias:
            operands.append(self.constant(weights(p.bias, 1)))
        self.add_node("Gemm", operands, output + " product", transB=1)
        self.add_node("Reshape", [output + " product", self.constant(np.array([1, p.outputChannels, 1, 1]))], output)

    def l2normalize(self, layer, inputs, output):
        self.add_node("ReduceSumSquare", inputs + [self.constant(np.array([1, 2, 3]))], output + " square")
        epsilon = layer.l2normalize.epsilon or 1e-6
        self.add_node("Add", [output + " square", self.constant(np.float32(epsilon))], output + " sum")
        self.add_node("Sqrt", [output + " sum"], output + " length")
        self.add_node("Div", inputs + [output + " length"], output)

    def add(self, layer, inputs, output):
        assert len(inputs) == 2
        self.add_node("Add", inputs, output)

    def scale(self, layer, inputs, output):
        p = layer.scale
        assert len(p.shapeScale) == 1 and not p.hasBias
        self.add_node("Mul", inputs + [self.constant(weights(p.scale, 1), (1, p.shapeScale[0], 1, 1))], output)

    def reduce(self, layer, inputs, output):
        assert layer.reduce.mode == layer.reduce.L2 and layer.reduce.axis == layer.reduce.W
        self.add_node("ReduceL2", inputs + [self.constant(np.array([3]))], output)

    def loadConstant(self, layer, inputs, output):
        p = layer.loadConstant
        self.add_node("Identity", [self.constant(weights(p.data, p.shape[0]), (1, *p.shape))], output)

    def reshape(self, layer, inputs, output):
        assert layer.reshape.mode == layer.reshape.CHANNEL_FIRST
        self.add_node("Reshape", inputs + [self.constant(np.array([1, *layer.reshape.targetShape]))], output)

    def concat(self, layer, inputs, output):
        assert not layer.concat.sequenceConcat
        self.add_node("Concat", inputs, output, axis=1)


def session(spec):
    translation = Translation(spec.neuralNetwork)
    (image,), (result,) = spec.description.input, spec.description.output
    shape = [1, 3, image.type.imageType.height, image.type.imageType.width]
    (count,) = result.type.multiArrayType.shape
    graph = helper.make_graph(
        translation.nodes, "coreml", [helper.make_tensor_value_info(image.name, onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(result.name, onnx.TensorProto.FLOAT, [1, count, 1, 1])],
        translation.initializers,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def preprocess(spec, pixels):
    """RGB bytes [h, w, 3] to what the first layer gets."""
    (preprocessing,) = spec.neuralNetwork.preprocessing
    scaler = preprocessing.scaler
    x = pixels.astype(np.float32) * np.float32(scaler.channelScale)
    x += np.array([scaler.redBias, scaler.greenBias, scaler.blueBias], np.float32)
    if spec.description.input[0].type.imageType.colorSpace == FeatureTypes_pb2.ImageFeatureType.BGR:
        x = x[:, :, ::-1]
    return np.ascontiguousarray(x.transpose(2, 0, 1))[None]


# Checks


def check_known(message):
    """Every field of the file is one of the official schema."""
    assert not list(UnknownFieldSet(message)), f"unknown fields in {type(message).__name__}"
    for field, value in message.ListFields():
        if field.message_type and not field.message_type.GetOptions().map_entry:
            for part in value if field.is_repeated else [value]:
                check_known(part)


def load(path, output, shape):
    spec = coremltools.utils.load_spec(str(path))
    check_known(spec)
    model = coremltools.models.MLModel(spec, skip_model_load=True)
    (image,), (result,) = spec.description.input, spec.description.output
    assert spec.WhichOneof("Type") == "neuralNetwork" and image.name == "image" and result.name == output
    assert (image.type.imageType.width, image.type.imageType.height) == (SIZE, SIZE)
    assert result.type.multiArrayType.dataType == FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    assert list(result.type.multiArrayType.shape) == [shape]
    assert model.user_defined_metadata["metric"]
    return spec


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def euclidean_copy(model, target):
    """The model with another metric, which the command has no option for; the manifest ends with its own digest."""
    shutil.copytree(model, target)
    body, digest = (target / "manifest.json").read_bytes().rsplit(b',"sha256":', 1)
    assert json.loads(digest.strip()[:-1]) == hashlib.sha256(body).hexdigest()
    body = body.replace(b'"metric":"cosine"', b'"metric":"euclidean"')
    text = body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'
    (target / "manifest.json").write_bytes(text)


def queried(imsim, model, queries, count):
    """[query][reference id] -> distance."""
    distances = {}
    for line in run(imsim, "query", model, *queries, "-k", count, "--json").splitlines():
        hit = json.loads(line)
        distances.setdefault(hit["query"], {})[hit["reference"]] = hit["distance"]
    return [distances[str(query)] for query in queries]


def compare(expected, found):
    """The largest difference; queries with the same nearest reference, and with the very same order of all; the largest
    distance between two swapped references.
    """
    order, other = (np.argsort(x, axis=1, kind="stable") for x in (expected, found))
    sorted_by_other = np.take_along_axis(expected, other, axis=1)
    swapped = np.maximum.accumulate(sorted_by_other, axis=1) - sorted_by_other
    same = order == other
    return np.abs(expected - found).max(), int(same[:, 0].sum()), int(same.all(axis=1).sum()), swapped.max()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("imsim", type=pathlib.Path)
    parser.add_argument("shared", type=pathlib.Path)
    parser.add_argument("--references", type=int, default=300)
    parser.add_argument("--queries", type=int, default=60)
    parser.add_argument("--validator", type=pathlib.Path)
    arguments = parser.parse_args()
    imsim = arguments.imsim.resolve()
    given = arguments.shared / "weights"
    networks = {
        "efficientnet-lite0": [],
        "resnet-50": ["--weights", given / "resnet50_ktb.safetensors"],
        "squeezenet-1.1": ["--weights", given / "squeezenet1_1_caffe.safetensors", "--preprocessing", "caffe"],
    }
    failures = 0
    print(f"coremltools {coremltools.__version__}, onnxruntime {onnxruntime.__version__}")
    print("network              metric         weights     MB    mean  difference  same nearest  same order    swapped")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        photographs(arguments.shared, arguments.references, arguments.queries, folder)
        queries = sorted((folder / "queries").iterdir())
        pixels = [np.asarray(Image.open(path)) for path in queries]
        for network, options in networks.items():
            cosine = folder / f"{network}-cosine.imsim"
            run(imsim, "index", folder / "references", "--model", cosine, "--backbone", network, *options)
            euclidean_copy(cosine, folder / f"{network}-euclidean.imsim")
            for metric in ("cosine", "euclidean"):
                model = folder / f"{network}-{metric}.imsim"
                distances = queried(imsim, model, queries, arguments.references)
                for kind in ("fp32", "fp16", "int8"):
                    file = folder / f"{network}-{metric}-{kind}.mlmodel"
                    run(imsim, "export", model, "--coreml", file, "--coreml-weights", kind)
                    if arguments.validator:
                        run(arguments.validator.resolve(), file)
                    spec = load(file, "distance", arguments.references)
                    ids = json.loads(spec.description.metadata.userDefined["ids"])
                    assert ids == sorted(ids) and len(ids) == arguments.references
                    expected = np.array([[one[i] for i in ids] for one in distances])
                    network_session = session(spec)
                    found = np.array(
                        [network_session.run(None, {"image": preprocess(spec, x)})[0].ravel() for x in pixels]
                    )
                    difference, nearest, same, swapped = compare(expected, found)
                    size = file.stat().st_size / 1e6
                    print(
                        f"{network:20} {metric:14} {kind:7} {size:6.1f}  {expected.mean():6.2f}  {difference:10.2e}"
                        f"    {nearest:3} of {len(queries):3}  {same:3} of {len(queries):3}  {swapped:9.2e}",
                        flush=True,
                    )
                    if kind == "fp32" and max(difference, swapped) > TOLERANCE:
                        failures += 1
            file = folder / f"{network}.mlmodel"
            run(imsim, "export", cosine, file, "--features-only")
            if arguments.validator:
                run(arguments.validator.resolve(), file)
            dimension = coremltools.utils.load_spec(str(file)).description.output[0].type.multiArrayType.shape[0]
            spec = load(file, "embedding", dimension)
            # One query is one of the references.
            (own,) = [i for i, path in enumerate(queries) if path.name.startswith("own-")]
            embedding = session(spec).run(None, {"image": preprocess(spec, pixels[own])})[0].ravel()
            raw = file.with_suffix(".safetensors").read_bytes()
            start = 8 + int.from_bytes(raw[:8], "little")
            rows = np.frombuffer(raw, "<f4", offset=start).reshape(-1, dimension)
            records = [json.loads(line)["id"] for line in file.with_suffix(".jsonl").read_text().splitlines()]
            row = rows[records.index(queries[own].name.removeprefix("own-"))]
            difference = np.abs(row - embedding).max() / np.abs(row).max()
            size = file.stat().st_size / 1e6
            print(f"{network:20} embedding      fp32    {size:6.1f}          {difference:10.2e} of the largest element")
            if difference > 1e-4:
                failures += 1
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
