#!/usr/bin/env python3
"""Builds a command from the validator in coremltools' sources, Apple's own; the package on PyPI has it for macOS only.

    python3 Scripts/goldens/coreml_validator.py COREMLTOOLS OUTPUT
    OUTPUT file.mlmodel ...

COREMLTOOLS is a checkout of apple/coremltools. Needs g++, protoc and protobuf's headers (Debian: g++ protobuf-compiler
libprotobuf-dev), and takes two minutes. `coreml_check.py --validator OUTPUT` runs it on every file that it checks.
"""

import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

MAIN = """
#include "Model.hpp"
#include <fstream>
#include <iostream>

int main(int argc, char **argv) {
  int invalid = 0;
  for (int i = 1; i < argc; i++) {
    CoreML::Specification::Model model;
    std::ifstream file(argv[i], std::ios::binary);
    if (!model.ParseFromIstream(&file)) {
      std::cout << argv[i] << ": no protobuf message\\n";
      invalid++;
      continue;
    }
    const CoreML::Result result = CoreML::Model::validate(model);
    std::cout << argv[i] << ": " << (result.good() ? "valid" : result.message()) << "\\n";
    if (!result.good()) invalid++;
  }
  return invalid ? 1 : 0;
}
"""


def build(checkout, output, folder):
    root = folder / "mlmodel"
    for part in ("src", "format", "build/format"):
        shutil.copytree(checkout / "mlmodel" / part, root / part)
    # The committed code is of another version of protobuf.
    for path in (root / "build/format").glob("*.pb.*"):
        path.unlink()
    schemas = sorted(path.name for path in (root / "format").glob("*.proto"))
    generate = ["protoc", "--cpp_out=../build/format", *schemas]
    subprocess.run(generate, cwd=root / "format", check=True, stderr=subprocess.DEVNULL)
    (root / "main.cpp").write_text(MAIN)
    patterns = ("build/format/*.pb.cc", "src/*.cpp", "src/Validation/**/*.cpp", "main.cpp")
    sources = [path for pattern in patterns for path in root.glob(pattern)]
    # Needs a framework of macOS, and nothing needs it.
    sources = [path for path in sources if path.name != "HashOutputStreamBuf.cpp"]
    include = [root, root / "src", root / "build/format", checkout / "deps/nlohmann", checkout / "deps/FP16/include"]

    def compile_file(numbered):
        number, path = numbered
        target = folder / f"{number}.o"
        flags = [f"-I{directory}" for directory in include]
        subprocess.run(["g++", "-std=c++17", "-w", *flags, "-c", path, "-o", target], check=True)
        return target

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_file, enumerate(sources)))
    subprocess.run(["g++", "-o", output, *objects, "-lprotobuf", "-lpthread"], check=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with tempfile.TemporaryDirectory() as temporary:
        build(pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2]).resolve(), pathlib.Path(temporary))
