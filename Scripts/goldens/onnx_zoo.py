#!/usr/bin/env python3
"""Exports full-size networks of torchvision and timm with seeded weights, and what onnxruntime computes with them, to
compare 'imsim embed --backbone FILE' with. It needs some 10 GB and is not part of the package.

    python3 Scripts/goldens/onnx_zoo.py FOLDER PHOTOS [NAME...]

PHOTOS is a folder of photographs. FOLDER/index.json lists, for each file, its input, operators, output and embedding,
and the arrays beside it; FOLDER/OPS.md is the table of operators and their attributes. Names (of networks, or of files
without their ending) limit what is made anew.
"""

import copy
import json
import pathlib
import sys
import time

import numpy as np
import onnx
import onnxruntime.quantization as quantization
import onnxruntime.transformers.float16 as float16
import timm
import torch
import torchvision.models as tv
from onnxruntime.quantization import shape_inference as quantization_shapes
from PIL import Image, ImageOps

import onnx_support as support

PICTURES = 4
CALIBRATION = 12


class ChannelsLast(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x.permute(0, 3, 1, 2))


def _timm(name, **settings):
    return lambda: timm.create_model(name, pretrained=False, **settings)


def _tv(constructor, **settings):
    return lambda: constructor(weights=None, **settings)


# What to export: an exporter ("script" or "dynamo") and opset; then "batch" or "size" for symbolic axes, "external" for
# an external data file, "half" for model.half(), "nhwc" for pictures with channels last.
SCRIPT = ["script-13", "script-17-batch"]
OLD = ["script-9", "script-11-batch"]
DYNAMO = ["dynamo-18", "dynamo-20-batch"]

NETWORKS = {
    "resnet18": (_tv(tv.resnet18), 224, OLD + SCRIPT + DYNAMO + ["script-7", "script-13-size", "script-17-half",
        "script-13-nhwc", "dynamo-18-nhwc", "dynamo-18-external", "dynamo-21", "script-13-fp16", "dynamo-18-fp16", "script-13-unfolded",
        "dynamo-18-unfolded"]),
    "squeezenet1_1": (_tv(tv.squeezenet1_1), 224, OLD + SCRIPT + DYNAMO + ["script-7", "script-13-fp16"]),
    "mobilenet_v2": (_tv(tv.mobilenet_v2), 224, OLD + SCRIPT + DYNAMO + ["script-13-size", "script-17-half",
        "dynamo-18-half", "script-17-nhwc", "dynamo-18-fp16", "script-11-unfolded"]),
    "mobilenet_v3_small": (_tv(tv.mobilenet_v3_small), 224, OLD + SCRIPT + DYNAMO + ["dynamo-18-half"]),
    "mobilenet_v3_large": (_tv(tv.mobilenet_v3_large), 224, ["script-11"] + SCRIPT + DYNAMO),
    "shufflenet_v2_x1_0": (_tv(tv.shufflenet_v2_x1_0), 224, OLD + SCRIPT + DYNAMO + ["script-13-size"]),
    "efficientnet_b0": (_tv(tv.efficientnet_b0), 224, OLD + SCRIPT + DYNAMO + ["script-17-half"]),
    "vit_b_16": (_tv(tv.vit_b_16), 224, ["script-14", "script-17-batch", "dynamo-18", "dynamo-20"]),
    "convnext_tiny": (_tv(tv.convnext_tiny), 224, ["script-11", "script-13", "script-17-batch"] + DYNAMO),
    "deit_tiny_patch16_224": (_timm("deit_tiny_patch16_224"), 224, OLD + SCRIPT + DYNAMO + ["script-17-half",
        "script-17-nhwc"]),
    "efficientnet_lite0": (_timm("efficientnet_lite0"), 224, OLD + SCRIPT + DYNAMO),
    "mobilenetv1_100": (_timm("mobilenetv1_100"), 224, ["script-11"] + SCRIPT + DYNAMO),
    "densenet121": (_tv(tv.densenet121), 224, OLD + SCRIPT + ["dynamo-18", "script-13-unfolded"]),
    "inception_v3": (_tv(tv.inception_v3, init_weights=False), 299, ["script-9", "script-13", "dynamo-18"]),
    "inception_v3_transform": (_tv(tv.inception_v3, init_weights=False, transform_input=True), 299,
        ["script-13", "dynamo-18"]),
    "googlenet": (_tv(tv.googlenet, init_weights=False), 224, ["script-9", "script-13", "dynamo-18"]),
    "resnet50": (_tv(tv.resnet50), 224, ["script-13", "script-17-batch", "dynamo-18-external"]),
    "resnext50_32x4d": (_tv(tv.resnext50_32x4d), 224, ["script-11", "dynamo-18"]),
    "wide_resnet50_2": (_tv(tv.wide_resnet50_2), 224, ["script-13", "dynamo-18"]),
    "squeezenet1_0": (_tv(tv.squeezenet1_0), 224, ["script-13", "dynamo-18"]),
    "vgg11_bn": (_tv(tv.vgg11_bn), 224, ["script-13", "dynamo-18-external"]),
    "regnet_y_400mf": (_tv(tv.regnet_y_400mf), 224, SCRIPT + ["dynamo-18"]),
    "regnet_x_400mf": (_tv(tv.regnet_x_400mf), 224, ["script-11", "script-17-batch", "dynamo-18"]),
    "mnasnet1_0": (_tv(tv.mnasnet1_0), 224, SCRIPT + ["dynamo-18"]),
    "vit_small_patch14_dinov2": (_timm("vit_small_patch14_dinov2", img_size=224), 224,
        ["script-17", "dynamo-18", "dynamo-20-batch"]),
    "vit_small_patch16_224_dino": (_timm("vit_small_patch16_224.dino"), 224,
        ["script-13", "script-17-batch", "dynamo-18"]),
    "convnextv2_atto": (_timm("convnextv2_atto"), 224, ["script-13", "script-17-batch"] + DYNAMO),
    "resnetv2_50": (_timm("resnetv2_50"), 224, ["script-13", "dynamo-18"]),
    "repvgg_a0": (_timm("repvgg_a0"), 224, ["script-13", "dynamo-18"]),
    "mobilenetv4_conv_small": (_timm("mobilenetv4_conv_small"), 224, ["script-13", "script-17-batch", "dynamo-18"]),
    "mobilenetv4_hybrid_medium": (_timm("mobilenetv4_hybrid_medium"), 224, ["script-17", "dynamo-18"]),
    "ghostnet_100": (_timm("ghostnet_100"), 224, ["script-13", "dynamo-18"]),
    "lcnet_100": (_timm("lcnet_100"), 224, ["script-13", "dynamo-18"]),
    "swin_t": (_tv(tv.swin_t), 224, ["script-13", "script-17-batch", "dynamo-18"]),
    "maxvit_t": (_tv(tv.maxvit_t), 224, ["script-17", "dynamo-18"]),
    "mobilevit_s": (_timm("mobilevit_s"), 256, ["script-17", "dynamo-18"]),
}  # fmt: skip
NO_CLASSIFIER = {"vit_small_patch14_dinov2", "vit_small_patch16_224_dino"}
QUANTIZED = ["resnet18", "mobilenet_v2", "squeezenet1_1"]


class Zoo:
    def __init__(self, folder, photos):
        self.folder = folder
        self.paths = sorted(pathlib.Path(photos).rglob("*.jpg"))[7::167][: PICTURES + CALIBRATION]
        self.index_file = folder / "index.json"
        self.index = json.loads(self.index_file.read_text()) if self.index_file.exists() else []
        (folder / "arrays").mkdir(parents=True, exist_ok=True)
        (folder / "pictures").mkdir(exist_ok=True)

    def pixels(self, side):
        pixels = []
        for path in self.paths:
            with Image.open(path) as image:
                pixels.append(np.asarray(ImageOps.fit(image.convert("RGB"), (side, side), Image.Resampling.BICUBIC)))
        for number, picture in enumerate(pixels[:PICTURES]):
            stem = self.folder / f"pictures/{side}-{number}"
            np.save(f"{stem}.npy", picture)
            pathlib.Path(f"{stem}.rgb").write_bytes(picture.tobytes())
        return np.stack(pixels)

    def add(self, name, family, side, nhwc=False, classifier=True, optimize=True, **facts):
        """Runs FOLDER/<name>.onnx and lists it."""
        path = self.folder / f"{name}.onnx"
        model = onnx.load(path)
        images = support.preprocess(self.pixels(side)[:PICTURES])[:, None]
        if nhwc:
            images = images.transpose(0, 1, 3, 4, 2)
        output = model.graph.output[0].name
        embedding = support.classifier_input(model) if classifier else output
        results, shapes = support.run(model, embedding, images, optimize)
        source = model.graph.input[0]
        dimensions = [d.dim_param or d.dim_value for d in source.type.tensor_type.shape.dim]
        entry = {"file": path.name, "family": family, "bytes": sum(p.stat().st_size for p in self.folder.glob(f"{name}.onnx*")),
            "opset": support.opset(model), "ir": model.ir_version, "operators": support.operators(model),
            "input": {"name": source.name, "shape": dimensions, "channelsLast": nhwc,
                      "elementType": source.type.tensor_type.elem_type},
            "pictures": {"height": side, "width": side,
                         "rgb": [f"pictures/{side}-{i}.rgb" for i in range(PICTURES)]}, **facts}  # fmt: skip
        for key, tensor in (("output", output), ("embedding", embedding)):
            file = f"arrays/{name}.{key}.npy"
            np.save(self.folder / file, results[tensor])
            entry[key] = {"name": tensor, "shape": shapes[tensor], "array": file}
        rows = results[embedding]
        spread = np.abs(rows[0] - rows[1]).mean() / np.abs(rows).mean()
        entry["spread"] = float(spread)
        self.index = [e for e in self.index if e["file"] != entry["file"]] + [entry]
        self.index_file.write_text(json.dumps(self.index, indent=1))
        print(f"  {name}: {embedding} {shapes[embedding]}, pictures differ by {spread:.2f}, up to {np.abs(rows).max():.3g}",
              flush=True)  # fmt: skip
        if not np.isfinite(rows).all():
            print("  NOT FINITE", flush=True)

    def wanted(self, name, names):
        return not names or name in names or name.split("-")[0] in names

    def make(self, names):
        for family, (constructor, side, variants) in NETWORKS.items():
            todo = [f"{family}-{v}" for v in variants if self.wanted(f"{family}-{v}", names)]
            if not names:
                todo = [n for n in todo if not any(e["file"] == f"{n}.onnx" for e in self.index)]
            if not todo:
                continue
            start = time.time()
            torch.manual_seed(1)
            images = torch.from_numpy(support.preprocess(self.pixels(side)))
            model = support.randomize(constructor(), images, seed=2)
            print(f"{family}: made in {time.time() - start:.0f} s", flush=True)
            for name in todo:
                try:
                    self.export(name, family, model, images, side)
                except Exception as error:
                    print(f"  {name} FAILED: {type(error).__name__}: {str(error).strip()[-300:]}", flush=True)
            self.write_table()

    def export(self, name, family, model, images, side):
        exporter, opset, *options = name.removeprefix(family + "-").split("-")
        start = time.time()
        example, subject = images[:1], model
        dynamic = None
        if "batch" in options:
            dynamic = {0: "batch"}
            if exporter == "dynamo":
                example = images[:2]
        if "size" in options:
            dynamic = {0: "batch", 2: "height", 3: "width"}
        if "half" in options:
            subject, example = copy.deepcopy(model).half(), example.half()
        if "nhwc" in options:
            subject, example = ChannelsLast(model).eval(), example.permute(0, 2, 3, 1).contiguous()
        path = self.folder / f"{name}.onnx"
        for old in self.folder.glob(f"{name}.onnx*"):
            old.unlink()
        support.export(subject, example, path, int(opset), exporter == "dynamo", dynamic, "external" in options,
                       "unfolded" in options)
        if "fp16" in options:
            converted = float16.convert_float_to_float16(onnx.load(path), keep_io_types=True)
            onnx.save(converted, path)
        self.add(name, family, side, "nhwc" in options, family not in NO_CLASSIFIER,
                 optimize="half" not in options and "fp16" not in options,
                 precision="fp16" if {"half", "fp16"} & set(options) else "fp32", exporter=exporter)  # fmt: skip
        print(f"    {time.time() - start:.0f} s", flush=True)

    def quantize(self, names):
        """Static quantisation of the exports of opset 13."""
        for family in QUANTIZED:
            source = self.folder / f"{family}-script-13.onnx"
            prepared = self.folder / f"{family}.prepared"
            images = support.preprocess(self.pixels(224))[PICTURES:]
            for form in (quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator):
                for per_channel in (False, True):
                    for signed in (False, True):
                        name = f"{family}-{form.name.lower()}" + ("-channel" if per_channel else "-tensor")
                        name += "-s8" if signed else "-u8"
                        if not self.wanted(name, names) and "quantized" not in names:
                            continue
                        try:
                            quantization_shapes.quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
                            kind = quantization.QuantType.QInt8 if signed else quantization.QuantType.QUInt8
                            quantization.quantize_static(
                                str(prepared), str(self.folder / f"{name}.onnx"), _Reader(images), quant_format=form,
                                per_channel=per_channel, activation_type=kind,
                                weight_type=quantization.QuantType.QInt8)
                            self.add(name, family, 224, optimize=False, precision="int8", exporter="quantize_static")
                        except Exception as error:
                            print(f"  {name} FAILED: {type(error).__name__}: {str(error).strip()[-300:]}", flush=True)
            prepared.unlink(missing_ok=True)
        self.write_table()

    def write_table(self):
        rows, attributes = {}, {}
        for entry in self.index:
            model = onnx.load(self.folder / entry["file"], load_external_data=False)
            column = f"{entry['exporter']} {entry['opset']}"
            for node in model.graph.node:
                kind = (node.domain + "::" if node.domain else "") + node.op_type
                rows.setdefault(kind, {}).setdefault(column, set()).add(entry["family"])
                found = attributes.setdefault(kind, {})
                for attribute in node.attribute:
                    value = onnx.helper.get_attribute_value(attribute)
                    if isinstance(value, onnx.TensorProto):
                        value = f"tensor {onnx.TensorProto.DataType.Name(value.data_type)}{list(value.dims)}"
                    elif attribute.type == onnx.AttributeProto.FLOAT:
                        value = f"{value:.6g}"
                    elif attribute.type == onnx.AttributeProto.GRAPH:
                        value = "graph"
                    values = found.setdefault(attribute.name, {})
                    values.setdefault(str(value), set()).add(f"{column} {entry['family']}")
                found.setdefault("(inputs)", {}).setdefault(
                    "".join("x" if i else "_" for i in node.input), set()).add(f"{column} {entry['family']}")
        columns = sorted({c for row in rows.values() for c in row}, key=lambda c: (c.split()[0], int(c.split()[1])))
        lines = ["# Operators of the zoo", "", f"{len(self.index)} files. Cells: number of networks.", "",
                 "| operator | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]  # fmt: skip
        for kind in sorted(rows):
            cells = [str(len(rows[kind][c])) if c in rows[kind] else "" for c in columns]
            lines.append(f"| {kind} | " + " | ".join(cells) + " |")
        lines += ["", "## Attributes and inputs seen", "", "`(inputs)`: x given, _ left out. At most 12 values each; "
                  "in brackets where a value is rare (one example)."]  # fmt: skip
        for kind in sorted(rows):
            families = sorted({f for row in rows[kind].values() for f in row})
            lines += ["", f"### {kind}", "", f"in {', '.join(families[:8])}{' ...' if len(families) > 8 else ''}", ""]
            for attribute in sorted(attributes[kind]):
                values = attributes[kind][attribute]
                shown = []
                for value, places in sorted(values.items(), key=lambda item: -len(item[1]))[:12]:
                    shown.append(f"`{value[:80]}`" + (f" ({sorted(places)[0]})" if len(places) <= 2 else ""))
                more = f", and {len(values) - 12} more" if len(values) > 12 else ""
                lines.append(f"- {attribute}: {', '.join(shown)}{more}")
        (self.folder / "OPS.md").write_text("\n".join(lines) + "\n")


class _Reader(quantization.CalibrationDataReader):
    def __init__(self, images):
        self.rows = iter([{"input": image[None]} for image in images])

    def get_next(self):
        return next(self.rows, None)


def main():
    folder, photos, *names = sys.argv[1:]
    zoo = Zoo(pathlib.Path(folder), photos)
    if names != ["table"]:
        zoo.make(names)
        zoo.quantize(names)
    zoo.write_table()


if __name__ == "__main__":
    main()
