"""Compares our extractor with onnxruntime and OpenVINO: the network alone, on prepared input, with the same weights and
the same number of threads on the same machine.

A row is a network and a batch size. Its contestants of one precision and number of threads take turns, a few seconds
each, for some rounds; the figures are medians over the rounds. With several threads a peer is measured both with one
inference on all of them and with as many inferences at the same time as there are threads, and its better way counts
("2x1" stands for two inferences of one thread each). "Ratio" is ours to the best peer of the same precision: the median
over the rounds, with the lowest and the highest.

examples:
  Benchmarks/Peers/extractors
  Benchmarks/Peers/extractors --rows resnet-50-b32 --precisions fp32 --threads 1 --json figures.jsonl
  Benchmarks/Peers/extractors --peers-only
  Benchmarks/Peers/extractors --accuracy ../shared/data/caltech101-20
"""

import argparse
import contextlib
import dataclasses
import importlib.metadata
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx.utils

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "Scripts/goldens"))

import networks  # noqa: E402
from state_dictionary import read_safetensors, write_safetensors  # noqa: E402

PRECISIONS = ["fp32", "bf16", "int8"]
# The instructions of which one makes a precision worth measuring, as Linux names them.
INSTRUCTIONS = {"fp32": set(), "bf16": {"avx512_bf16", "amx_bf16"}, "int8": {"avx512_vnni", "avx_vnni"}}
PACKAGES = ["onnxruntime", "openvino", "nncf"]
# NNCF_CI keeps NNCF from reporting its use to its makers.
ENVIRONMENT = {key: value for key, value in os.environ.items() if not key.startswith("OPENBLAS_")} | {"NNCF_CI": "1"}
SHARED = pathlib.Path(os.environ.get("IMSIM_SHARED", networks.ROOT.parent / "shared"))
SEED = 2026


@dataclasses.dataclass(frozen=True)
class Row:
    backbone: str
    layer: str
    batch: int
    wanted: dict[str, float]  # The ratio to reach, by precision.

    @property
    def name(self):
        return f"{self.backbone}-b{self.batch}"


ROWS = {
    row.name: row
    for row in [
        Row("resnet-50", "pooled", 32, {"fp32": 1.25, "bf16": 1.0, "int8": 1.0}),
        Row("resnet-50", "pooled", 1, {"fp32": 1.15, "bf16": 1.0, "int8": 0.95}),
        Row("squeezenet-1.1", "scores", 32, {"fp32": 1.25, "bf16": 1.2, "int8": 1.1}),
        Row("efficientnet-lite0", "pooled", 32, {"fp32": 1.3, "bf16": 1.3, "int8": 1.5}),
    ]
}


class Failure(Exception):
    """A child process that did not do its work."""


def run(command):
    """What a command writes to standard output."""
    command = [str(word) for word in command]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    if result.returncode != 0:
        raise Failure(f"{' '.join(command)}\n{result.stderr.strip()}")
    return result.stdout


class Networks:
    """The files that the contestants read: weights, and the graphs made of them, in a temporary folder."""

    def __init__(self, folder):
        self.folder = folder
        photos = SHARED / "data/caltech101-20"
        self.photos = photos if photos.exists() else networks.ROOT / "Sources/CDemoPhotos/photos"

    def weights(self, backbone):
        real = {
            "resnet-50": SHARED / "weights/resnet50_ktb.safetensors",
            "squeezenet-1.1": SHARED / "weights/squeezenet1_1_caffe.safetensors",
            "efficientnet-lite0": networks.BUNDLED_WEIGHTS,
        }[backbone]
        if real.exists():
            return real
        seeded = self.folder / f"{backbone}-random-seed-{SEED}.safetensors"
        if not seeded.exists():
            write_safetensors(seeded, networks.seeded_weights(backbone, SEED))
        return seeded

    def fp32(self, backbone, layer):
        """The graph that ends with this layer."""
        path = self.folder / f"{backbone}-{layer}.onnx"
        if not path.exists():
            whole = networks.model(backbone, read_safetensors(self.weights(backbone)))
            onnx.save(onnx.utils.Extractor(whole).extract_model(["images"], [layer]), path)
        return path

    def int8(self, backbone, layer):
        """The same in 8 bits, calibrated on photographs."""
        path = self.folder / f"{backbone}-{layer}-int8.xml"
        if not path.exists():
            command = [sys.executable, HERE / "quantize.py", self.fp32(backbone, layer)]
            run([*command, networks.NETWORKS[backbone][2], self.photos, path])
        return path

    def imsim_options(self, backbone):
        """What tells imsim the network; the bundled one needs no file, and brings its int8 scales."""
        weights = self.weights(backbone)
        return ["--backbone", backbone] + ([] if weights == networks.BUNDLED_WEIGHTS else ["--weights", weights])


class Ours:
    """`imsim bench`, which makes its own warm-up, in a new process for each measurement."""

    name = "ours"

    def __init__(self, imsim, row, precision, threads, files):
        self.command = [imsim, "bench", *files.imsim_options(row.backbone), "--layer", row.layer]
        self.command += ["--batch", row.batch, "--threads", threads, "--precision", precision, "--json"]

    def measure(self, seconds):
        return float(json.loads(run([*self.command, "--seconds", seconds]))["images_per_second"])


class Peer:
    """A runtime in a child process that lives until the context ends; see peer.py."""

    def __init__(self, runtime, model, precision, batch, requests, threads):
        self.name = f"{runtime} {requests}x{threads}"
        arguments = [runtime, model, precision, batch, requests, threads]
        command = [sys.executable, HERE / "peer.py", *map(str, arguments)]
        self.process = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self):
        self._expect_line()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def measure(self, seconds):
        self.process.stdin.write(f"{seconds}\n")
        return float(self._expect_line())

    def _expect_line(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"{self.name} ended with status {self.process.wait()}")
        return line


@dataclasses.dataclass
class Result:
    """The rates of a row's contestants, images per second, one for each round."""

    row: Row
    precision: str
    threads: int
    rates: dict[str, list[float]]

    def median(self, name):
        return statistics.median(self.rates[name])

    def ratios(self):
        """Ours to the best peer, round by round; empty if ours was left out."""
        peers = self.rates.keys() - {Ours.name}
        if len(peers) == len(self.rates):
            return []
        return [our / peer for our, peer in zip(self.rates[Ours.name], self.rates[max(peers, key=self.median)])]

    def cell(self, contestant):
        """The median of ours or of a runtime, and the way that a runtime reached it."""
        names = [name for name in self.rates if name.split()[0] == contestant]
        if not names:
            return "-"
        best = max(names, key=self.median)
        return f"{self.median(best):.1f}{best.removeprefix(contestant)}"

    def line(self):
        ratios, wanted = self.ratios(), self.row.wanted[self.precision]
        ratio, verdict = "-", ""
        if ratios:
            median = statistics.median(ratios)
            ratio = f"{median:.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
            verdict = "reached" if median >= wanted else "short"
        cells = [self.cell(contestant) for contestant in (Ours.name, "onnxruntime", "openvino")]
        return TABLE.format(self.row.name, self.precision, self.threads, *cells, ratio, f"{wanted:.2f}", verdict)

    def record(self):
        ratios = self.ratios()
        record = {
            "kind": "row",
            "row": self.row.name,
            "precision": self.precision,
            "threads": self.threads,
            "images_per_second": {name: round(self.median(name), 2) for name in self.rates},
            "wanted": self.row.wanted[self.precision],
        }
        if ratios:
            record |= {"ratio": statistics.median(ratios), "ratio_min": min(ratios), "ratio_max": max(ratios)}
        return record


TABLE = "{:22} {:5} {:>7} {:>9} {:>15} {:>15} {:>18} {:>7} {}"
HEADER = TABLE.format("row", "", "threads", "ours", "onnxruntime", "openvino", "ratio", "wanted", "").rstrip()


def ways(threads):
    """(inferences at the same time, threads of each)"""
    return [(1, threads)] if threads == 1 else [(1, threads), (threads, 1)]


def measure(row, precision, threads, files, options, log):
    """Runs the rounds of one line of the table."""
    model = files.int8(row.backbone, row.layer) if precision == "int8" else files.fp32(row.backbone, row.layer)
    runtimes = ["onnxruntime", "openvino"] if precision == "fp32" else ["openvino"]
    with contextlib.ExitStack() as stack:
        contestants = [
            stack.enter_context(Peer(runtime, model, precision, row.batch, requests, each))
            for runtime in runtimes
            for requests, each in ways(threads)
        ]
        if not options.peers_only:
            contestants.insert(0, Ours(options.imsim, row, precision, threads, files))
        result = Result(row, precision, threads, {contestant.name: [] for contestant in contestants})
        for index in range(options.rounds):
            # Every other round goes backwards, so that none always follows the same one.
            for contestant in contestants[:: 1 if index % 2 == 0 else -1]:
                rate = contestant.measure(options.seconds)
                result.rates[contestant.name].append(rate)
                record = {"kind": "measurement", "row": row.name, "precision": precision, "threads": threads}
                log(record | {"round": index, "contestant": contestant.name, "images_per_second": round(rate, 2)})
    return result


def compare_speed(files, precisions, options, log):
    """Prints the table; true if every line could be measured."""
    print(f"peers' int8: calibrated on {files.photos.name}\n{HEADER}", flush=True)
    complete = True
    for row in options.rows:
        for precision in precisions:
            for threads in options.threads:
                try:
                    result = measure(row, precision, threads, files, options, log)
                except Failure as failure:
                    complete = False
                    print(f"{row.name} {precision} {threads}: {failure}", flush=True)
                    continue
                log(result.record())
                print(result.line().rstrip(), flush=True)
    return complete


def compare_accuracy(files, precisions, options, log):
    """Prints what each precision does to our embeddings and to the retrieval; true if every one could be measured."""
    table = "{:20} {:5} {:>12} {:>12} {:>8} {:>15}"
    print(table.format("backbone", "", "mean cosine", "lowest", "mAP", "against fp32"), flush=True)
    complete = True
    for backbone in dict.fromkeys(row.backbone for row in options.rows):
        exact = None
        for precision in ["fp32", *(precision for precision in precisions if precision != "fp32")]:
            try:
                embeddings, average_precision = embed_and_evaluate(files, backbone, precision, options)
            except Failure as failure:
                complete = False
                print(f"{backbone} {precision}: {failure}", flush=True)
                if exact is None:
                    break
                continue
            exact = exact or (embeddings, average_precision)
            cosines = (embeddings * exact[0]).sum(axis=1)
            points = 100 * (average_precision - exact[1])
            record = {"kind": "accuracy", "backbone": backbone, "precision": precision}
            figures = {"mean_cosine": float(cosines.mean()), "lowest_cosine": float(cosines.min())}
            log(record | figures | {"mean_average_precision": average_precision})
            cells = [f"{cosines.mean():.5f}", f"{cosines.min():.5f}"]
            cells += [f"{average_precision:.4f}", f"{points:+.2f} points"]
            print(table.format(backbone, precision, *cells), flush=True)
    return complete


def embed_and_evaluate(files, backbone, precision, options):
    """Embeddings of length 1, and the mean average precision of `imsim evaluate`."""
    preprocessing = networks.NETWORKS[backbone][2]
    network = [*files.imsim_options(backbone), "--preprocessing", preprocessing, "--precision", precision]
    array, model = (files.folder / f"{backbone}-{precision}{suffix}" for suffix in (".npy", ".imsim"))
    run([options.imsim, "embed", options.accuracy, "--output", array, *network])
    run([options.imsim, "index", options.accuracy, "--model", model, *network])
    result = json.loads(run([options.imsim, "evaluate", model, "--json"]))
    embeddings = np.load(array)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True), result["mean_average_precision"]


def build():
    """The path of imsim, built from this checkout."""
    command = ["swift", "build", "-c", "release", "--product", "imsim"]
    subprocess.run(command, cwd=networks.ROOT, stdout=sys.stderr, check=True)
    return networks.ROOT / ".build/release/imsim"


def processor():
    """The processor's name, and what it can do as Linux names it."""
    fields = {}
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        fields.setdefault(key.strip(), value.strip())
    return fields.get("model name", "unknown"), set(fields.get("flags", "").split())


def parse_arguments():
    def choices(values):
        def parse(text):
            names = text.split(",")
            if unknown := [name for name in names if name not in values]:
                raise argparse.ArgumentTypeError(f"expected some of {', '.join(values)}; found {unknown[0]}")
            return [values[name] for name in names]

        return parse

    parser = argparse.ArgumentParser(
        prog="extractors", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows", type=choices(ROWS), default=[*ROWS.values()], help=f"default: {','.join(ROWS)}", metavar="A,B"
    )
    parser.add_argument(
        "--precisions",
        type=choices({name: name for name in PRECISIONS}),
        default=PRECISIONS,
        metavar="A,B",
        help=f"default: {','.join(PRECISIONS)}; what the processor has no instructions for is left out",
    )
    parser.add_argument(
        "--threads",
        type=lambda text: [int(number) for number in text.split(",")],
        default=[1, 2],
        metavar="N,M",
        help="default: 1,2",
    )
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement; default: 3")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every figure as a line of JSON")
    parser.add_argument("--imsim", type=pathlib.Path, metavar="PATH", help="default: built from this checkout")
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--peers-only", action="store_true", help="leave ours out")
    modes.add_argument(
        "--accuracy",
        type=pathlib.Path,
        metavar="FOLDER",
        help="instead, compare our precisions with each other on a folder of class folders",
    )
    return parser.parse_args()


def main():
    options = parse_arguments()
    if options.imsim is None and not options.peers_only:
        options.imsim = build()
    name, flags = processor()
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    print(f"{name}, {cores} cores; {versions}")
    precisions = [
        precision for precision in options.precisions if not INSTRUCTIONS[precision] or INSTRUCTIONS[precision] & flags
    ]
    for precision in options.precisions:
        if precision not in precisions:
            print(f"{precision} is left out: the processor has none of {', '.join(sorted(INSTRUCTIONS[precision]))}")

    with contextlib.ExitStack() as stack:
        files = Networks(pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory())))
        output = stack.enter_context(options.json.open("w")) if options.json else None

        def log(record):
            if output:
                print(json.dumps(record), file=output, flush=True)

        log({"kind": "machine", "processor": name, "cores": cores, "peers": versions})
        for backbone in dict.fromkeys(row.backbone for row in options.rows):
            print(f"{backbone}: weights {files.weights(backbone).name}")
        compare = compare_accuracy if options.accuracy else compare_speed
        if not compare(files, precisions, options, log):
            sys.exit("Some lines could not be measured.")


if __name__ == "__main__":
    main()
