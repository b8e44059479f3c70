#!/usr/bin/env python3
"""Writes the PyTorch files that ImageSimilarityFilesTests reads, and what is in them (expected.json).

Run it with a Python that has torch (Debian: python3-torch):  python3 Scripts/goldens/pytorch_fixtures.py
"""

import collections
import json
import os
import pathlib
import zipfile

import torch

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "Tests/ImageSimilarityFilesTests/Fixtures"


def state():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 8
    tensors = collections.OrderedDict()
    tensors["float"] = base
    tensors["transposed"] = base.t()
    tensors["column"] = base[:, 2]
    tensors["block"] = base[1:3, 1::2]
    tensors["rows"] = base[2:]
    tensors["double"] = torch.tensor([0.1, -1e300, 1e-60], dtype=torch.float64)
    tensors["half"] = torch.tensor([1, -2.5, 65504, 6e-8, float("inf")], dtype=torch.float16)
    tensors["bfloat"] = torch.tensor([[1, -2.5], [3e38, 1e-40]], dtype=torch.bfloat16)
    tensors["scalar"] = torch.tensor(7.0)
    tensors["empty"] = torch.zeros(0, 3)
    tensors["permuted"] = (torch.arange(24.0).reshape(2, 3, 4)).permute(2, 0, 1)
    tensors["parameter"] = torch.nn.Parameter(torch.tensor([5.0, 6.0]))
    tensors["num_batches_tracked"] = torch.tensor(12345678901)
    return tensors


def expected(tensors):
    """Shapes, and elements as single precision; null where they are no floating-point numbers."""
    return {
        name: {
            "shape": list(tensor.shape),
            "values": " ".join(repr(x) for x in tensor.detach().float().flatten().tolist())
            if tensor.is_floating_point() else None,
        }
        for name, tensor in tensors.items()
    }


class Command:
    def __reduce__(self):
        return os.system, ("echo this must never run",)


def repack(source, target, compression):
    with zipfile.ZipFile(FOLDER / source) as old, zipfile.ZipFile(FOLDER / target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), old.read(entry), compression)


def main():
    FOLDER.mkdir(exist_ok=True)
    tensors, small = state(), collections.OrderedDict(weight=torch.tensor([[1.0, 2.0]]), bias=torch.tensor([3.0]))
    contents, refused = {}, {}

    def save(name, value, held, **options):
        torch.save(value, FOLDER / name, **options)
        contents[name] = expected(held)

    save("zip.pth", tensors, tensors)
    save("legacy.pth", tensors, tensors, _use_new_zipfile_serialization=False)
    save("protocol4.pth", tensors, tensors, pickle_protocol=4)
    save("wrapped.pth", {"epoch": 3, "state_dict": small, "rate": 0.1, "names": ["a", ("b", None)]}, small)
    save("wrapped-legacy.pth", {"model": {"state_dict": small}}, small, _use_new_zipfile_serialization=False)
    save("module.pth", {f"module.{name}": tensor for name, tensor in small.items()}, small)
    # A state dictionary as nn.Module makes it has the attribute _metadata.
    layer = torch.nn.BatchNorm2d(2)
    save("layer.pth", layer.state_dict(), layer.state_dict())

    torch.save(small, FOLDER / "small.pth")
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0
    repack("small.pth", "zip64.pth", zipfile.ZIP_STORED)
    zipfile.ZIP64_LIMIT = limit
    contents["zip64.pth"] = expected(small)
    repack("small.pth", "deflated.pth", zipfile.ZIP_DEFLATED)
    refused["deflated.pth"] = "compressed"
    (FOLDER / "small.pth").unlink()

    torch.save({"weight": torch.ones(1), "x": Command()}, FOLDER / "command.pth")
    refused["command.pth"] = "posix.system"
    torch.save(
        {"weight": torch.ones(1), "x": Command()}, FOLDER / "command-legacy.pth", _use_new_zipfile_serialization=False)
    refused["command-legacy.pth"] = "posix.system"
    torch.save(torch.nn.Linear(1, 1), FOLDER / "whole-module.pth")
    refused["whole-module.pth"] = "torch.nn.modules.linear.Linear"
    torch.save({"epoch": 1}, FOLDER / "no-tensors.pth")
    refused["no-tensors.pth"] = "no state dictionary"

    with open(FOLDER / "expected.json", "w") as file:
        json.dump({"contents": contents, "refused": refused}, file, indent=1)
        file.write("\n")


main()
