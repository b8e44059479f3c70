#!/usr/bin/env python3
"""Writes the tiny ONNX networks that ImageSimilarityONNXTests runs, and what onnxruntime computes with them.

    python3 Scripts/goldens/onnx_networks.py

Needs numpy, Pillow, torch, torchvision, timm, onnx, onnxscript and onnxruntime. In Tests/ImageSimilarityONNXTests/Fixtures
it writes

    <family>-<exporter>.onnx    each family of networks with a few channels and seeded weights, as torch.onnx exports it:
                                "script" through TorchScript, "dynamo" through torch.export
    <case>.onnx                 the format's corners: element types, places of data, opsets, quantisation, sizes left open,
                                and files that must be refused
    networks.safetensors        a row per picture: "pixels/<side>", RGB from 0 to 255, F16 [3, side * side * 3]; and for
                                each network NAME "NAME/output" and "NAME/embedding", F32, elements in row-major order
    index.json                  for each network its file, the side of its pictures, opset, operators, input (name, shape
                                as in the file, channelsLast), output and embedding (name and shape of the tensor);
                                for each file to refuse, parts that the error's text must have

Preprocessing is ImageNet's: (pixel / 255 - mean) / deviation. The embedding is what the last linear layer reads, or the
output where there is no classifier; quantised tensors stand as the numbers that they mean. "tolerance" is relative to the
largest magnitude of an array.
"""

import functools
import json
import pathlib
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
import onnxruntime.quantization as quantization
import timm
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image, ImageOps
from timm.models import _efficientnet_builder as builder
from torch import nn
from torchvision import models as tv
from torchvision.models import convnext, densenet, efficientnet, inception, mobilenetv2, mobilenetv3
from torchvision.models import regnet, resnet, shufflenetv2, squeezenet, swin_transformer, vgg, vision_transformer
from torchvision.models.googlenet import Inception
from torchvision.ops.misc import Conv2dNormActivation

import onnx_support as support

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "Scripts/weights"))

from state_dictionary import write_safetensors  # noqa: E402

FIXTURES = ROOT / "Tests/ImageSimilarityONNXTests/Fixtures"
PHOTOS = ["cat-tabby", "castle-chambord", "bird-macaw"]
CLASSES = 10


# Networks


class _ResNet(resnet.ResNet):
    """A 32nd of the channels after the stem."""

    def _make_layer(self, block, planes, blocks, stride=1, dilate=False):
        if planes == 64:
            self.inplanes = 4
        return super()._make_layer(block, planes // 32, blocks, stride, dilate)


def _resnet(block, layers, **settings):
    model = _ResNet(block, layers, num_classes=CLASSES, **settings)
    model.conv1 = nn.Conv2d(3, 4, 7, 2, 3, bias=False)
    model.bn1 = nn.BatchNorm2d(4)
    model.fc = nn.Linear(16 * block.expansion, CLASSES)
    return model


def _squeezenet():
    features = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), squeezenet.Fire(8, 2, 8, 8),
        nn.MaxPool2d(3, 2, ceil_mode=True), squeezenet.Fire(16, 4, 8, 8))  # fmt: skip
    classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(16, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    return nn.Sequential(features, classifier)


def _vgg():
    features = vgg.make_layers([8, "M", 8, "M", 12, "M", 16, "M"], batch_norm=True)
    classifier = nn.Sequential(nn.Linear(64, 24), nn.ReLU(), nn.Dropout(), nn.Linear(24, CLASSES))
    return nn.Sequential(features, nn.AdaptiveAvgPool2d(2), nn.Flatten(), classifier)


class _Inception(nn.Module):
    """The forms of Inception v3: kernels of 1x7 and 7x1, averages that count the padding, pictures scaled anew."""

    def __init__(self):
        super().__init__()
        unit = inception.BasicConv2d
        self.stem = nn.Sequential(unit(3, 8, kernel_size=3, stride=2), unit(8, 8, kernel_size=3, padding=1))
        self.one = unit(8, 4, kernel_size=1)
        self.wide = nn.Sequential(
            unit(8, 4, kernel_size=(1, 7), padding=(0, 3)), unit(4, 4, kernel_size=(7, 1), padding=(3, 0)))  # fmt: skip
        self.pooled = unit(8, 4, kernel_size=1)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, x):
        x = inception.Inception3._transform_input(self, x)
        x = self.stem(x)
        average = nn.functional.avg_pool2d(x, kernel_size=3, stride=1, padding=1)
        x = torch.cat([self.one(x), self.wide(x), self.pooled(average)], 1)
        x = nn.functional.max_pool2d(x, kernel_size=3, stride=2)
        x = nn.functional.adaptive_avg_pool2d(x, (1, 1))
        return self.head(torch.flatten(x, 1))

    transform_input = True


class _GoogLeNet(nn.Module):
    """With the local response normalisation of the first one."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), nn.LocalResponseNorm(5, 0.5, 0.75, 2),
            Inception(8, 4, 4, 8, 2, 4, 4), nn.MaxPool2d(2, 2, ceil_mode=True))  # fmt: skip
        self.head = nn.Linear(20, CLASSES)

    def forward(self, x):
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(self.features(x), (1, 1)), 1))


def _mobilenet_v2():
    model = mobilenetv2.MobileNetV2(CLASSES, 0.25, [[1, 8, 1, 1], [4, 32, 2, 2], [4, 48, 1, 2]])
    model.features[-1] = Conv2dNormActivation(model.features[-1][0].in_channels, 24, 1, activation_layer=nn.ReLU6)
    model.classifier = nn.Sequential(nn.Dropout(), nn.Linear(24, CLASSES))
    return model


def _mobilenet_v3():
    block = functools.partial(mobilenetv3.InvertedResidualConfig, width_mult=1.0)
    blocks = [block(8, 3, 8, 8, True, "RE", 2, 1), block(8, 3, 16, 8, False, "HS", 1, 1), block(8, 5, 16, 8, True, "HS", 1, 1)]
    return mobilenetv3.MobileNetV3(blocks, last_channel=24, num_classes=CLASSES)


def _efficientnet():
    blocks = [
        efficientnet.MBConvConfig(1, 3, 1, 8, 8, 1), efficientnet.MBConvConfig(3, 5, 2, 8, 8, 2),
        efficientnet.FusedMBConvConfig(2, 3, 1, 8, 8, 1)]  # fmt: skip
    return efficientnet.EfficientNet(blocks, 0.2, num_classes=CLASSES, last_channel=32)


def _timm_efficientnet(blocks, **settings):
    return timm.models.efficientnet.EfficientNet(
        builder.decode_arch_def(blocks), num_classes=CLASSES, stem_size=8, act_layer=nn.ReLU6, **settings)  # fmt: skip


def _regnet(se_ratio):
    blocks = regnet.BlockParams([1, 2], [8, 16], [4, 8], [1.0, 1.0], [2, 2], se_ratio)
    return regnet.RegNet(blocks, num_classes=CLASSES, stem_width=8)


def _convnext():
    blocks = [convnext.CNBlockConfig(8, 16, 1), convnext.CNBlockConfig(16, None, 1)]
    return convnext.ConvNeXt(blocks, num_classes=CLASSES)


def _convnext_v2():
    return timm.models.convnext.ConvNeXt(
        depths=(1, 1, 1, 1), dims=(4, 8, 8, 16), use_grn=True, ls_init_value=None, num_classes=CLASSES)  # fmt: skip


def _vit():
    return vision_transformer.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=CLASSES)


def _timm_vit(**settings):
    return timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, mlp_ratio=2, **settings)  # fmt: skip


def _swin():
    return swin_transformer.SwinTransformer([4, 4], 8, [2], [2], [4, 4], mlp_ratio=2, num_classes=CLASSES)


# Family: (constructor, side of the pictures, opset through TorchScript, opset through torch.export)
FAMILIES = {
    "resnet": (lambda: _resnet(resnet.BasicBlock, [1, 1, 1, 1]), 64, 13, 18),
    "resnext": (lambda: _resnet(resnet.Bottleneck, [1, 1, 1, 1], groups=2, width_per_group=32), 64, 11, 18),
    "squeezenet": (_squeezenet, 32, 9, 18),
    "vgg": (_vgg, 32, 13, 20),
    "densenet": (lambda: densenet.DenseNet(4, (2, 2), 8, 2, num_classes=CLASSES), 64, 11, 18),
    "inception": (_Inception, 32, 13, 18),
    "googlenet": (_GoogLeNet, 32, 9, 18),
    "shufflenet": (lambda: shufflenetv2.ShuffleNetV2([1, 2, 1], [8, 16, 16, 16, 24], CLASSES), 64, 11, 20),
    "mobilenet-v1": (lambda: _timm_efficientnet([["dsa_r1_k3_s1_c8"], ["dsa_r2_k3_s2_c16"]], num_features=0), 32, 13, 18),
    "mobilenet-v2": (_mobilenet_v2, 32, 11, 18),
    "mobilenet-v3": (_mobilenet_v3, 32, 13, 20),
    "efficientnet": (_efficientnet, 32, 11, 18),
    "efficientnet-lite": (
        lambda: _timm_efficientnet(
            [["ds_r1_k3_s1_e1_c8"], ["ir_r2_k5_s2_e4_c8"]], num_features=24, pad_type="same"), 32, 13, 18),
    "regnet-x": (lambda: _regnet(None), 32, 9, 18),
    "regnet-y": (lambda: _regnet(0.25), 32, 13, 18),
    "convnext": (_convnext, 32, 13, 20),
    "convnext-v2": (_convnext_v2, 64, 17, 18),
    "vit": (_vit, 32, 14, 20),
    "deit": (lambda: _timm_vit(num_classes=CLASSES), 32, 11, 18),
    "dino": (lambda: _timm_vit(num_classes=0, init_values=1e-5, reg_tokens=2), 32, 17, 18),
    "swin": (_swin, 32, None, 18),
}  # fmt: skip
NO_CLASSIFIER = {"dino"}
SMALLEST = 0.05


class Writer:
    def __init__(self):
        FIXTURES.mkdir(parents=True, exist_ok=True)
        for old in FIXTURES.glob("*.onnx*"):
            old.unlink()
        self.tensors = {}
        self.networks = []
        self.refused = []

    @functools.cache
    def pixels(self, side):
        pictures = []
        for photo in PHOTOS:
            with Image.open(ROOT / f"Sources/CDemoPhotos/photos/{photo}.jpg") as image:
                pictures.append(np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)))
        pixels = np.stack(pictures)
        self.tensors[f"pixels/{side}"] = pixels.astype(np.float16).reshape(len(pixels), -1)
        return pixels

    def images(self, side):
        return support.preprocess(self.pixels(side))

    @functools.cache
    def network(self, family):
        constructor, side, *_ = FAMILIES[family]
        torch.manual_seed(1)
        pixels = self.pixels(side)
        # Mirrored pictures too, so that no batch norm sees a feature without variance.
        images = support.preprocess(np.concatenate([pixels, pixels[:, :, ::-1], pixels[:, ::-1]]))
        return support.randomize(constructor(), torch.from_numpy(images), seed=2)

    def export(self, family, exporter, opset, example=None, model=None, keeps_shapes=False, **options):
        """The exported model, without what only helps to debug it."""
        example = torch.from_numpy(self.images(FAMILIES[family][1])[:1]) if example is None else example
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.onnx"
            subject = self.network(family) if model is None else model
            support.export(subject, example, path, opset, exporter == "dynamo", **options)
            exported = onnx.load(path)
        del exported.metadata_props[:]
        exported.doc_string = ""
        exported.graph.doc_string = ""
        del exported.graph.metadata_props[:]
        if not keeps_shapes:
            del exported.graph.value_info[:]
        for item in [*exported.graph.node, *exported.graph.value_info, *exported.graph.initializer,
                     *exported.graph.input, *exported.graph.output]:  # fmt: skip
            item.doc_string = ""
            del item.metadata_props[:]
        return exported

    def add(self, name, model, side, tolerance=1e-4, classifier=True, channels_last=False, optimize=True, note=None,
            path=None, embedding=None):  # fmt: skip
        """Writes and runs a network that works. `path`: where it is written already."""
        file = path or FIXTURES / f"{name}.onnx"
        if path is None:
            file.write_bytes(model.SerializeToString(deterministic=True))
        images = self.images(side)[:, None]
        if channels_last:
            images = images.transpose(0, 1, 3, 4, 2)
        loaded = onnx.load(file)
        output = loaded.graph.output[0].name
        if embedding is None:
            embedding = support.classifier_input(loaded) if classifier else output
        results, shapes = support.run(loaded, embedding, images, optimize)
        rows = results[embedding]
        spread = np.abs(rows[0] - rows[1]).mean() / np.abs(rows).mean()
        if not np.isfinite(rows).all() or spread < SMALLEST:
            raise ValueError(f"{name}: pictures differ by {spread} only")
        source = loaded.graph.input[0]
        entry = {"name": name, "file": file.name, "side": side, "opset": support.opset(loaded),
                 "operators": support.operators(loaded), "tolerance": tolerance,
                 "input": {"name": source.name, "channelsLast": channels_last,
                           "shape": [str(d.dim_param or d.dim_value) for d in source.type.tensor_type.shape.dim]}}  # fmt: skip
        for key, tensor in (("output", output), ("embedding", embedding)):
            entry[key] = {"name": tensor, "shape": shapes[tensor]}
            self.tensors[f"{name}/{key}"] = results[tensor]
        if note:
            entry["note"] = note
        self.networks.append(entry)
        print(f"{name}: {file.stat().st_size} bytes, {embedding} {shapes[embedding]}, differ by {spread:.2f}", flush=True)

    def refuse(self, name, model, *parts, note):
        """Writes a file that must be refused by an error whose text has all `parts`."""
        (FIXTURES / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))
        self.refused.append({"name": name, "file": f"{name}.onnx", "error": list(parts), "note": note})

    def finish(self):
        version = {"generator": f"Scripts/goldens/onnx_networks.py, onnxruntime {onnxruntime.__version__}"}
        write_safetensors(FIXTURES / "networks.safetensors", self.tensors, version)
        index = {"photos": PHOTOS, "networks": self.networks, "refused": self.refused}
        (FIXTURES / "index.json").write_text(json.dumps(index, indent=1) + "\n")
        size = sum(path.stat().st_size for path in FIXTURES.iterdir())
        print(f"{len(self.networks)} networks, {len(self.refused)} to refuse, {size} bytes")


# Corners of the format


class _ChannelsLast(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.permute(0, 3, 1, 2))


def _float_data(model):
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            values = numpy_helper.to_array(tensor).reshape(-1)
            tensor.ClearField("raw_data")
            tensor.float_data.extend(float(v) for v in values)
    return model


def _half(model):
    """The graph in fp16: its weights, constants, inputs and outputs."""
    constants = [a.t for n in model.graph.node if n.op_type == "Constant" for a in n.attribute if a.name == "value"]
    for tensor in [*model.graph.initializer, *constants]:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), tensor.name))
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return model


def _half_in_int32_data(model):
    model = _half(model)
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            bits = numpy_helper.to_array(tensor).view(np.uint16).reshape(-1)
            tensor.ClearField("raw_data")
            tensor.int32_data.extend(int(b) for b in bits)
    return model


class _Calibration(quantization.CalibrationDataReader):
    def __init__(self, images):
        self.rows = iter([{"input": image[None]} for image in images])

    def get_next(self):
        return next(self.rows, None)


def _quantized(writer, family, form, per_channel, signed):
    side = FAMILIES[family][1]
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "float.onnx", pathlib.Path(folder) / "quantized.onnx"
        onnx.save(writer.export(family, "script", 13), source)
        kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
        quantization.quantize_static(
            str(source), str(target), _Calibration(writer.images(side)), quant_format=form, per_channel=per_channel,
            activation_type=kind, weight_type=quantization.QuantType.QInt8)  # fmt: skip
        return onnx.load(target)


def _by_hand(nodes, initializers, opset, side, features, name="network", ir=7, output="output", domains=()):
    graph = helper.make_graph(
        nodes, name, [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, side, side])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, features)],
        [numpy_helper.from_array(v, k) for k, v in initializers.items()])  # fmt: skip
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, producer_name="")


def _opset7(generator):
    """Opset 7 with IR version 3, which lists weights among the inputs; batch norm with `spatial`, Clip's bounds as
    attributes, Unsqueeze's axes too, Upsample, Dropout with a ratio."""

    def normal(*shape, scale=1.0):
        return (generator.standard_normal(shape) * scale).astype(np.float32)

    weights = {
        "c.w": normal(8, 3, 3, 3, scale=0.3), "c.b": normal(8, scale=0.2), "s": 1 + normal(8, scale=0.2),
        "b": normal(8, scale=0.2), "m": normal(8, scale=0.2), "v": 1 + 0.5 * generator.random(8).astype(np.float32),
        "g": 1 + normal(8, scale=0.3), "p": np.float32([0.25]) * np.ones([8, 1, 1], np.float32),
        "f.w": normal(8, 5, scale=0.5), "f.b": normal(5, scale=0.2), "k": np.int64([0, -1])}  # fmt: skip
    nodes = [
        helper.make_node("Conv", ["input", "c.w", "c.b"], ["1"], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_LOWER"),
        helper.make_node("BatchNormalization", ["1", "s", "b", "m", "v"], ["2"], epsilon=1e-3, momentum=0.9),
        helper.make_node("Clip", ["2"], ["3"], min=-1.5, max=6.0),
        helper.make_node("PRelu", ["3", "p"], ["4"]),
        helper.make_node("Unsqueeze", ["g"], ["5"], axes=[1, 2]),
        helper.make_node("Mul", ["4", "5"], ["6"]),
        helper.make_node("Upsample", ["6"], ["7"], mode="nearest", scales=[1.0, 1.0, 2.0, 2.0]),
        helper.make_node("LRN", ["7"], ["8"], size=3, alpha=0.1, beta=0.75, bias=1.0),
        helper.make_node("Pad", ["8"], ["9"], pads=[0, 0, 1, 2, 0, 0, 1, 0], mode="reflect"),
        helper.make_node("AveragePool", ["9"], ["10"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
        helper.make_node("LeakyRelu", ["10"], ["11"], alpha=0.1),
        helper.make_node("GlobalMaxPool", ["11"], ["12"]),
        helper.make_node("GlobalAveragePool", ["11"], ["13"]),
        helper.make_node("Sum", ["12", "13"], ["14"]),
        helper.make_node("Dropout", ["14"], ["15"], ratio=0.5),
        helper.make_node("Reshape", ["15", "k"], ["features"]),
        helper.make_node("Gemm", ["features", "f.w", "f.b"], ["16"], alpha=0.5, beta=2.0),
        helper.make_node("Softmax", ["16"], ["output"], axis=1),
    ]  # fmt: skip
    model = _by_hand(nodes, weights, 7, 32, [1, 5], ir=3)
    for name, values in weights.items():
        kind = helper.np_dtype_to_tensor_dtype(values.dtype)
        model.graph.input.append(helper.make_tensor_value_info(name, kind, values.shape))
    return model


def _shapes(generator):
    """Numbers that depend on the pictures' size, which the file leaves open, through every operator of shape
    arithmetic."""
    weights = {
        "c.w": (generator.standard_normal((8, 3, 5, 5)) * 0.2).astype(np.float32), "c": np.int64([8]),
        "zero": np.int64([0]), "one": np.int64([1]), "two": np.int64([2]), "three": np.int64([3]), "four": np.int64([4]),
        "-1": np.int64([-1]), "i2": np.int64(2), "i3": np.int64(3), "half": np.float32([1, 1, 0.5, 0.5]), "empty": np.float32([]),
        "f.w": (generator.standard_normal((6, 64)) * 0.2).astype(np.float32)}  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Conv", ["input", "c.w"], ["1"], kernel_shape=[5, 5], strides=[2, 2], pads=[2, 2, 2, 2]),
        node("Resize", ["1", "empty", "half"], ["2"], mode="linear", coordinate_transformation_mode="half_pixel"),
        node("Shape", ["2"], ["3"]),
        node("Gather", ["3", "i2"], ["4"], axis=0),
        node("Gather", ["3", "i3"], ["5"], axis=0),
        node("Mul", ["4", "5"], ["6"]),
        node("Unsqueeze", ["6", "zero"], ["7"]),
        node("Slice", ["3", "zero", "two", "zero"], ["8"]),
        node("Concat", ["8", "7"], ["9"], axis=0),
        node("Reshape", ["2", "9"], ["10"]),
        node("Transpose", ["10"], ["11"], perm=[0, 2, 1]),
        node("MatMul", ["10", "11"], ["12"]),
        node("Cast", ["7"], ["13"], to=TensorProto.FLOAT),
        node("Sqrt", ["13"], ["14"]),
        node("Div", ["12", "14"], ["15"]),
        node("Softmax", ["15"], ["16"], axis=-1),
        node("Range", ["zero0", "eight0", "one0"], ["17"]),
        node("Constant", [], ["zero0"], value=numpy_helper.from_array(np.int64(0), "z")),
        node("Constant", [], ["eight0"], value_int=8),
        node("Constant", [], ["one0"], value_int=1),
        node("Mod", ["17", "two"], ["18"]),
        node("Equal", ["18", "zero"], ["19"]),
        node("Cast", ["19"], ["20"], to=TensorProto.FLOAT),
        node("ConstantOfShape", ["c"], ["21"], value=helper.make_tensor("v", TensorProto.FLOAT, [1], [0.25])),
        node("Where", ["19", "20", "21"], ["22"]),
        node("Expand", ["22", "3of"], ["23"]),
        node("Concat", ["one", "c", "c"], ["3of"], axis=0),
        node("Mul", ["16", "23"], ["24"]),
        node("Flatten", ["24"], ["features"]),
        node("Transpose", ["f.w"], ["f.t"], perm=[1, 0]),
        node("MatMul", ["features", "f.t"], ["output"]),
    ]  # fmt: skip
    # Nodes are listed in the order of their use.
    order = {"Range": 3, "Expand": 1}
    for kind, count in order.items():
        at = next(i for i, n in enumerate(nodes) if n.op_type == kind)
        nodes[at : at + count + 1] = nodes[at + 1 : at + count + 1] + [nodes[at]]
    model = _by_hand(nodes, weights, 13, 32, [1, 6])
    for axis, name in ((0, "N"), (2, "H"), (3, "W")):
        model.graph.input[0].type.tensor_type.shape.dim[axis].dim_param = name
    return model


def corners(writer):
    generator = np.random.default_rng(3)
    base = functools.partial(writer.export, "squeezenet", "script", 13)
    writer.add("float-data", _float_data(base()), 32, note="weights in float_data")
    writer.add("half-weights", _half(writer.export("mobilenet-v2", "script", 13)), 32, tolerance=1e-2, optimize=False,
               note="weights raw fp16; fp16 in and out; onnxruntime rounds between the layers")  # fmt: skip
    writer.add("half-int32-data", _half_in_int32_data(writer.export("mobilenet-v2", "script", 13)), 32, tolerance=1e-2, optimize=False, note="the same in int32_data")
    path = FIXTURES / "external.onnx"
    onnx.save(base(), path, save_as_external_data=True, location="external.onnx.data", size_threshold=64)
    writer.add("external", None, 32, path=path, note="weights in external.onnx.data")
    outside = onnx.load(path, load_external_data=False)
    moved = next(t for t in outside.graph.initializer if t.external_data)
    next(e for e in moved.external_data if e.key == "location").value = "../Fixtures/external.onnx.data"
    writer.refuse("external-outside", outside, moved.name, "../Fixtures/external.onnx.data",
                  note="external data outside the model's folder")  # fmt: skip
    next(e for e in moved.external_data if e.key == "location").value = "missing.data"
    writer.refuse("external-missing", outside, "missing.data", note="external data that is not there")
    images = torch.from_numpy(writer.images(64)[:1]).permute(0, 2, 3, 1).contiguous()
    for exporter, opset in (("script", 13), ("dynamo", 18)):
        model = _ChannelsLast(writer.network("resnet")).eval()
        writer.add(f"channels-last-{exporter}", writer.export("resnet", exporter, opset, images, model), 64,
                   channels_last=True, note="pictures [n, h, w, 3]")  # fmt: skip
    sizes = {0: "batch", 2: "height", 3: "width"}
    writer.add("open-size", writer.export("shufflenet", "script", 13, dynamic=sizes), 64,
               note="batch, height and width are left open: 64 x 64 is the caller's choice")  # fmt: skip
    writer.add("open-batch", writer.export("vit", "script", 17, dynamic={0: "batch"}), 32, note="the batch is left open")
    writer.add("open-batch-dynamo", writer.export(
        "deit", "dynamo", 18, torch.from_numpy(writer.images(32)[:2]), dynamic={0: "batch"}), 32,
        note="the batch is left open")  # fmt: skip
    writer.add("unfolded", writer.export("densenet", "script", 13, unfolded=True), 64,
               note="batch norms and identities as the network has them")  # fmt: skip
    writer.add("opset-7", _opset7(generator), 32, note="IR version 3; attributes of old operators")
    writer.add("opset-21", writer.export("mobilenet-v3", "dynamo", 21, keeps_shapes=True), 32)
    writer.add("shapes", _shapes(generator), 32, note="shape arithmetic; height and width left open: 32 x 32")
    qdq, qoperator = quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator
    for family, form, per_channel, signed in (
        ("mobilenet-v2", qdq, False, False), ("mobilenet-v2", qoperator, True, False), ("resnet", qdq, True, True),
        ("resnet", qoperator, False, False), ("squeezenet", qdq, False, True), ("squeezenet", qoperator, False, False),
    ):  # fmt: skip
        name = f"{form.name.lower()}{'-channel' if per_channel else ''}-{family}"
        model = _quantized(writer, family, form, per_channel, signed)
        writer.add(name, model, FAMILIES[family][1], tolerance=3e-2, optimize=False,
                   note="static quantisation; rounding may fall to the other side at .5")  # fmt: skip


def refused(writer):
    generator = np.random.default_rng(4)
    node = helper.make_node

    def normal(*shape):
        return generator.standard_normal(shape).astype(np.float32)

    lstm = [
        node("Reshape", ["input", "rows"], ["x"], name="to_rows"),
        node("LSTM", ["x", "w", "r"], ["y", "h"], name="encoder_lstm", hidden_size=4),
        node("Flatten", ["h"], ["output"], name="flatten"),
    ]
    tensors = {"rows": np.int64([32, 1, 96]), "w": normal(1, 16, 96), "r": normal(1, 16, 4)}
    writer.refuse("lstm", _by_hand(lstm, tensors, 14, 32, [1, 4]), "LSTM", "encoder_lstm", "14",
                  note="an operator that no part of the engine knows")  # fmt: skip
    two = [
        node("Det", ["input"], ["d"], name="first_node"),
        node("STFT", ["d", "step"], ["output"], name="second_node"),
    ]
    writer.refuse("two-unsupported", _by_hand(two, {"step": np.int64(4)}, 17, 32, [1, 3]), "Det", "STFT", "17",
                  note="all unsupported operators are named, not only the first")  # fmt: skip
    custom = [node("Frobnicate", ["input"], ["output"], name="custom_node", domain="com.example")]
    writer.refuse("custom-domain", _by_hand(custom, {}, 13, 32, [1, 3, 32, 32], domains=["com.example"]),
                  "com.example", "Frobnicate", note="an operator of an unknown domain")  # fmt: skip
    training = [
        node("BatchNormalization", ["input", "s", "b", "m", "v"], ["y", "m2", "v2"], name="norm", training_mode=1),
        node("GlobalAveragePool", ["y"], ["output"]),
    ]
    three = {key: np.float32([1, 2, 3]) for key in "sbmv"}
    writer.refuse("training", _by_hand(training, three, 15, 32, [1, 3, 1, 1]), "norm", "training",
                  note="a batch norm in training mode: its statistics are the batch's")  # fmt: skip
    mismatch = [
        node("Conv", ["input", "w"], ["y"], name="five_channels"),
        node("GlobalAveragePool", ["y"], ["output"]),
    ]
    writer.refuse("channels", _by_hand(mismatch, {"w": normal(4, 5, 3, 3)}, 13, 32, [1, 4, 1, 1]), "five_channels",
                  note="a convolution of 5 channels on 3")  # fmt: skip
    missing = [node("Relu", ["nowhere"], ["y"], name="orphan"), node("GlobalAveragePool", ["y"], ["output"])]
    writer.refuse("missing-input", _by_hand(missing, {}, 13, 32, [1, 3, 1, 1]), "nowhere",
                  note="a tensor that nothing makes")  # fmt: skip
    cycle = [node("Add", ["input", "b"], ["a"], name="add_a"), node("Relu", ["a"], ["b"], name="relu_b"),
             node("GlobalAveragePool", ["b"], ["output"])]  # fmt: skip
    writer.refuse("cycle", _by_hand(cycle, {}, 13, 32, [1, 3, 1, 1]), note="nodes in a circle")
    text = [node("Relu", ["input"], ["y"]), node("GlobalAveragePool", ["y"], ["output"])]
    sound = _by_hand(text, {}, 13, 32, [1, 3, 1, 1])
    sound.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7
    writer.refuse("seven-channels", sound, "7", note="an input that is no RGB picture")


def main():
    writer = Writer()
    for family, (_, side, script, dynamo) in FAMILIES.items():
        for exporter, opset in (("script", script), ("dynamo", dynamo)):
            if opset is None:
                continue
            writer.add(f"{family}-{exporter}", writer.export(family, exporter, opset), side,
                       classifier=family not in NO_CLASSIFIER)  # fmt: skip
    corners(writer)
    refused(writer)
    writer.finish()


if __name__ == "__main__":
    main()
