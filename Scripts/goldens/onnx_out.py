#!/usr/bin/env python3
"""Runs ONNX files that this package wrote with onnxruntime, and compares.

    python3 Scripts/goldens/onnx_out.py              writes files with 'swift test', checks all of them
    python3 Scripts/goldens/onnx_out.py FOLDER       checks those in a folder, written with IMSIM_ONNX_OUT=FOLDER
    python3 Scripts/goldens/onnx_out.py FILE.onnx PICTURE ...     prints the embeddings of pictures

A file is checked by onnx.checker with full shape inference, and run on three pictures at once and on each alone. Every
element has to be within 1e-4 of the embedding's largest of what the package gives. A file with fp16 weights has to give
what its fp32 twin gives whose weights were rounded here, and that to 1e-5; how far rounding the weights moves the
embedding is printed.

Needs numpy, onnx, onnxruntime and pillow.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

ROOT = pathlib.Path(__file__).parents[2]


def read_safetensors(path):
    """{name: array} and the metadata."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    metadata = header.pop("__metadata__", {})
    types = {"F32": "<f4", "U8": "u1"}
    tensors = {}
    for name, tensor in header.items():
        start, end = (8 + size + offset for offset in tensor["data_offsets"])
        tensors[name] = np.frombuffer(data[start:end], types[tensor["dtype"]]).reshape(tensor["shape"])
    return tensors, metadata


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def embed(session, pixels):
    (embeddings,) = session.run(["embedding"], {"image": pixels})
    return embeddings


def with_rounded_weights(path):
    """The bytes of a model whose layers' weights went through fp16."""
    model = onnx.load(path)
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".weight"):
            rounded = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(rounded, tensor.name))
    return model.SerializeToString()


def distance(found, expected):
    """The largest difference of an element, in units of its row's largest one."""
    return float(np.max(np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)))


def check(path):
    tensors, metadata = read_safetensors(path.with_suffix(".safetensors"))
    pixels, expected = tensors["pixels"], tensors["expected"]
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    assert (model.ir_version, model.opset_import[0].version) == (8, 17), "IR 8, opset 17"

    def dimensions(value):
        return [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]

    (image,), (embedding,) = inferred.graph.input, inferred.graph.output
    assert dimensions(image) == ["batch", *pixels.shape[1:]], dimensions(image)
    assert dimensions(embedding) == ["batch", expected.shape[1]], dimensions(embedding)

    runtime = session(str(path))
    found = embed(runtime, pixels)
    alone = np.concatenate([embed(runtime, pixels[i : i + 1]) for i in range(len(pixels))])
    far = max(distance(found, expected), distance(alone, expected))
    line = f"{path.stem}: {path.stat().st_size / 1e6:.1f} MB, {far:.1e} from the package"
    if metadata["weight_type"] == "float16":
        twin = path.parent / (path.stem.replace("-float16", "-float32").removesuffix("-fp16") + ".onnx")
        if twin != path and twin.exists():
            exact = distance(found, embed(session(with_rounded_weights(twin)), pixels))
            line += f", {exact:.1e} from its fp32 twin with rounded weights"
            assert exact < 1e-5, line
        assert far < 2e-2, line
    else:
        assert far < 1e-4, line
    print(line)


def check_all(folder):
    files = sorted(folder.glob("*.onnx"))
    assert files, f"{folder} has no ONNX files"
    for path in files:
        check(path)


def print_embeddings(path, pictures):
    from PIL import Image, ImageOps

    runtime = session(path)
    properties = runtime.get_modelmeta().custom_metadata_map
    width, height = map(int, properties["input_size"].split("x"))
    background = tuple(map(int, properties["background"].split(",")))
    for picture in pictures:
        image = ImageOps.exif_transpose(Image.open(picture)).convert("RGB")
        image = resized(image, properties["resize"], (width, height), background)
        print(picture, *embed(runtime, np.asarray(image)[np.newaxis])[0])


def resized(image, mode, target, background):
    """What the package's decoder gives for a picture of another size."""
    from PIL import Image

    (w, h), (tw, th) = image.size, target
    width_binds = tw * h <= th * w
    if mode == "squash":
        return image.resize(target, Image.BICUBIC)
    if mode == "pad":
        if width_binds:
            size = (tw, max(1, (2 * tw * h + w) // (2 * w)))
        else:
            size = (max(1, (2 * th * w + h) // (2 * h)), th)
        frame = Image.new("RGB", target, background)
        frame.paste(image.resize(size, Image.BICUBIC), ((tw - size[0]) // 2, (th - size[1]) // 2))
        return frame
    assert mode == "crop", f"there is no resize mode {mode}"
    if width_binds:
        sh = (th * 256 + 112) // 224
        size = (max(tw, sh * w // h), sh)
    else:
        sw = (tw * 256 + 112) // 224
        size = (sw, max(th, sw * h // w))
    left, top = round((size[0] - tw) / 2), round((size[1] - th) / 2)
    return image.resize(size, Image.BICUBIC).crop((left, top, left + tw, top + th))


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print_embeddings(sys.argv[1], sys.argv[2:])
    elif len(sys.argv) == 2:
        check_all(pathlib.Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as folder:
            command = ["swift", "test", "-c", "release", "--filter", "WritingExchangeTests"]
            subprocess.run(command, cwd=ROOT, env={**os.environ, "IMSIM_ONNX_OUT": folder}, check=True)
            check_all(pathlib.Path(folder))
