"""Compares our search with FAISS, hnswlib and usearch: the index alone, on the same vectors, with the same number of
threads on the same machine.

Rows:
  exact       100,000 x 1280 against FAISS IndexFlatIP: 1, 10 and 1,000 queries a call. The hits are compared, too.
  neighbors   the 10 nearest of each of the first 20,000 of these, against the same. The edges are compared.
  graph-1280  HNSW on 100,000 x 1280 with M=16 and efConstruction=200, against FAISS, hnswlib and usearch: the time to
  graph-128   build, and searches at recall@10 of .95 and .99 on one thread; and the same on 1,000,000 x 128.

Contestants take turns, a measurement each, for some rounds; the figures are queries per second, medians over the
rounds. A measurement is the median time of the calls that search all its queries, with the index built and in memory.
"Ratio" is ours to the best peer, the median over the rounds with the lowest and the highest. More than 1 is faster, but
for builds: there it is of times, of processor time on one thread, and the best peer is among those that reach recall@10
.95. Every peer's figure stands below a line with a choice of them.

The ratios to reach are for the vectors of full size: others are not judged. Nor are builds of an earlier run, and rows
that other work on the machine has slowed: on one thread, where the clock has run longer than the processor worked; on
two, where that was so in an earlier row.

The rate at a recall: every contestant tries growing ef until its recall is reached; then the two ef around it are timed
in all rounds, and the logarithm of the rate is interpolated between their recalls. Who is above the recall with the
lowest ef is taken there. Recall is of the rows that brute force finds, for all contestants alike.

What peers build is kept beside this script with the time that it took, and used again; --rebuild builds it anew.

examples:
  Benchmarks/Peers/search
  Benchmarks/Peers/search --quick
  Benchmarks/Peers/search --rows exact,neighbors --rounds 7 --json figures.jsonl
  Benchmarks/Peers/search --rows graph-1280 --build-threads 2 --rebuild
  Benchmarks/Peers/search --embeddings ../shared/data/caltech101-20
"""

import argparse
import contextlib
import functools
import importlib.metadata
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import search_data
import search_peers

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parents[1]
CACHE = HERE / ".build/search"
K = 10
EFS = [10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512, 768, 1024]
REPEATS = 3  # of a graph's search in one measurement
OURS = "ours"
# Two inner products of unit vectors that differ by less are one to arithmetic in fp32.
TIE = 1e-6
# So much longer by the clock than of processor time is a call that had to wait for others.
BUSY = 1.05
ROWS = ["exact", "neighbors", "graph-1280", "graph-128"]


class Failure(Exception):
    """A child process that did not do its work."""


class Ours:
    """`imsim bench-search` in a process that lives until the context ends, and measures when it is asked to."""

    def __init__(self, imsim, folder, data, queries, options):
        def file(name, array):
            path = folder / f"{name}.npy"
            if not path.exists():
                np.save(path, array)
            return path

        self.ids = pathlib.Path(tempfile.mkdtemp(dir=folder)) / "ids.npy"
        command = [imsim, "bench-search", "--vectors", file(data.name, data.vectors), "--metric", "ip", "--k", K]
        if queries is not None:
            command += ["--queries", file(f"{data.name}-queries-{len(queries)}", queries)]
        command += ["--paced", "--json", "--ids", self.ids, *options]
        self.process = subprocess.Popen(
            [str(word) for word in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()

    def measure(self, ef=""):
        """The report of one measurement; the first one waits for the index to be built."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{ef}\n")
        line = self.process.stdout.readline()
        if not line:
            raise Failure(f"imsim bench-search ended with status {self.process.wait()}")
        return json.loads(line)

    def seconds(self, ef=""):
        """The median time of a call: by the clock, and of processor time."""
        report = self.measure(ef)
        return report["batch_seconds"], report["batch_cpu_seconds"]

    def hits(self):
        """The rows that the last measurement found."""
        return np.load(self.ids)


def call_seconds(search, queries, batch, repeats=1):
    """The median time of the calls that search all queries, a batch each: by the clock, and of processor time."""
    batches = [queries[begin : begin + batch] for begin in range(0, len(queries), batch)]
    times = []
    for part in batches * repeats:
        start, processor_start = time.perf_counter(), time.process_time()
        search(part)
        times.append((time.perf_counter() - start, time.process_time() - processor_start))
    return tuple(map(statistics.median, zip(*times)))


def rates(count, seconds):
    """Queries a second, by the clock and of processor time."""
    return tuple(count / value for value in seconds)


def recall(hits, truth):
    found = [np.intersect1d(some, others).size for some, others in zip(hits, truth)]
    return sum(found) / truth.size


def agreement(vectors, queries, hits, others):
    """How many hits differ from the others' at the same rank: (those that are as near but for rounding, the rest)."""
    rows, ranks = np.nonzero(hits != others)
    wide = queries[rows].astype(np.float64)
    products = [(wide * vectors[side[rows, ranks]]).sum(axis=1) for side in (hits, others)]
    ties = int((np.abs(products[0] - products[1]) <= TIE).sum())
    return ties, len(rows) - ties


TABLE = "{:12} {:26} {:>7} {:>10} {:>22} {:>18} {:>7} {}"
HEADER = TABLE.format("row", "", "threads", "ours", "best peer", "ratio", "wanted", "").rstrip()


class Report:
    """Prints a line for people and writes lines for programs."""

    def __init__(self, output, judges):
        self.output = output
        self.judges = judges  # whether the vectors are those that the ratios to reach are for
        self.was_busy = ""

    def log(self, record):
        if self.output:
            print(json.dumps(record), file=self.output, flush=True)

    def line(
        self,
        row,
        work,
        threads,
        figures,
        wanted,
        note="",
        unit="per_second",
        details=None,
        processor=None,
        is_fair=True,
    ):
        """A line of the table.

        figures: of each contestant, one for each round. More is better of "per_second", less of "seconds".
        processor: the same of processor time.
        is_fair: whether all were measured in this run.
        """
        better = max if unit == "per_second" else min
        medians = {name: statistics.median(values) for name, values in figures.items()}
        peers = {name: value for name, value in medians.items() if name != OURS}
        best = better(peers, key=peers.get) if peers else None
        record = {"kind": "row", "row": row, "work": work, "threads": threads, unit: medians, "wanted": wanted}
        if processor:
            record["processor_per_second"] = {name: statistics.median(values) for name, values in processor.items()}
        record |= {"spread": {name: [min(values), max(values)] for name, values in figures.items()}}
        ratio, verdict = "-", ""
        if best and OURS in figures:
            ratios = [our / peer for our, peer in zip(figures[OURS], figures[best])]
            median = statistics.median(ratios)
            ratio = f"{median:.2f} [{min(ratios):.2f}..{max(ratios):.2f}]"
            verdict = "reached" if (median >= wanted if unit == "per_second" else median <= wanted) else "short"
            if not is_fair:
                verdict = "not judged: peers were built in an earlier run (--rebuild)"
            elif busy := self.busy(threads, medians, processor):
                # Short calls are over before others get the processor and long ones are not, so that the faster gains.
                our, peer = (statistics.median(processor[name]) for name in (OURS, best))
                verdict = f"not judged: machine busy ({busy}); of processor time {our / peer:.2f}"
            if not self.judges and verdict in ("reached", "short"):
                verdict = ""
            record |= {"verdict": verdict, "best": best}
            record |= {"ratio": median, "ratio_min": min(ratios), "ratio_max": max(ratios)}
        self.log(record | (details or {}))
        ours = f"{medians[OURS]:.4g}" if OURS in medians else "-"
        peer = f"{best} {peers[best]:.4g}" if best else "-"
        limit = f"{'>=' if unit == 'per_second' else '<='}{wanted}"
        verdict = "; ".join(part for part in (verdict, note) if part)
        print(TABLE.format(row, work, threads, ours, peer, ratio, limit, verdict).rstrip(), flush=True)

    def busy(self, threads, medians, processor):
        """Whom other work on the machine has slowed; on several threads, whether it did so before."""
        if processor is None:
            return ""
        if threads > 1:
            return self.was_busy
        waits = {name: statistics.median(values) / medians[name] for name, values in processor.items()}
        busy = ", ".join(f"{name} {wait:.2f}x" for name, wait in waits.items() if wait > BUSY)
        self.was_busy = self.was_busy or (busy and "in an earlier row")
        return busy

    def figures(self, figures):
        """Below a line of the table: every contestant's median with the lowest and the highest, and ours to it."""
        for name, values in figures.items():
            median = statistics.median(values)
            spread = f" [{min(values):.4g}..{max(values):.4g}]" if len(values) > 1 else ""
            ratio = ""
            if OURS in figures and name != OURS:
                ratio = f", ours {statistics.median(figures[OURS]) / median:.2f} of it"
            print(f"{'':12} {name}: {median:.4g}{spread}{ratio}", flush=True)


def take_turns(contestants, rounds):
    """The figures of each contestant, by the clock and of processor time.

    The first round does not count. Every other round goes backwards.
    """
    figures = {name: [] for name in contestants}
    for measure in contestants.values():
        measure()
    for index in range(rounds):
        for name in list(contestants)[:: 1 if index % 2 == 0 else -1]:
            figures[name].append(contestants[name]())
    return tuple({name: [both[clock] for both in values] for name, values in figures.items()} for clock in (0, 1))


def compare_exact(data, options, report, folder):
    flat = search_peers.FlatFAISS(data.vectors)
    works = [(1, 100, 1, 3.0), (10, 200, 1, 8.0), (1000, 1000, 1, 2.0), (1000, 1000, 2, 2.0)]
    for batch, count, threads, wanted in works:
        queries = data.queries[:count]
        batch = min(batch, len(queries))
        contestants = {}
        with contextlib.ExitStack() as stack:
            if not options.peers_only:
                arguments = ["--mode", "exact", "--threads", threads, "--batch", batch, "--repeats", 1]
                ours = stack.enter_context(Ours(options.imsim, folder, data, queries, arguments))
                contestants[OURS] = lambda: rates(batch, ours.seconds())
            search = functools.partial(flat.search, k=K, threads=threads)
            contestants[flat.name] = lambda: rates(batch, call_seconds(search, queries, batch))
            figures, processor_figures = take_turns(contestants, options.rounds)
            details, note = compared(data.vectors, queries, options, lambda: ours.hits(), lambda: search(queries))
        work = f"{batch} queries a call" if batch > 1 else "1 query a call"
        report.line("exact", work, threads, figures, wanted, note, details=details, processor=processor_figures)


def compared(vectors, queries, options, ours, peers):
    """What a row says of the hits: (for programs, for people)"""
    if options.peers_only:
        return {}, ""
    ties, different = agreement(vectors, queries, ours(), peers())
    return {"ties": ties, "different": different}, f"{different} hits differ, {ties} ties"


def compare_neighbors(data, options, report, folder):
    flat = search_peers.FlatFAISS(data.vectors)
    rows = len(data.vectors)
    for threads in (1, 2):
        contestants = {}
        with contextlib.ExitStack() as stack:
            if not options.peers_only:
                arguments = ["--mode", "neighbors", "--threads", threads, "--repeats", 1]
                ours = stack.enter_context(Ours(options.imsim, folder, data, None, arguments))
                contestants[OURS] = lambda: rates(rows, ours.seconds())
            neighbors = functools.partial(flat.search, k=K + 1, threads=threads)
            contestants[flat.name] = lambda: rates(rows, call_seconds(neighbors, data.vectors, rows))
            figures, processor_figures = take_turns(contestants, options.rounds)
            details, note = compared(
                data.vectors,
                data.vectors,
                options,
                lambda: ours.hits(),
                lambda: flat.neighbors(data.vectors, K, threads),
            )
        work = f"{rows} x {data.vectors.shape[1]}"
        report.line("neighbors", work, threads, figures, 2.5, note, details=details, processor=processor_figures)


class GraphContestant:
    """A graph with what its efs have been found to be worth."""

    def __init__(self, name, search, seconds):
        self.name = name
        self.search = search  # ef -> hits
        self.seconds = seconds  # ef -> the median time of a call with all queries
        self.recalls = {}

    def try_until(self, target, truth):
        for ef in EFS:
            self.recalls[ef] = recall(self.search(ef), truth)
            if self.recalls[ef] >= target:
                break

    def around(self, target):
        """The efs below and above a recall; one where the lowest is above it, none where none reaches it."""
        for below, ef in zip([None, *self.recalls], self.recalls):
            if self.recalls[ef] >= target:
                return [ef] if below is None else [below, ef]
        return []

    def rate(self, target, rates):
        """Queries a second at a recall, from those of the efs around it."""
        efs = self.around(target)
        if len(efs) == 1:
            return rates[efs[0]]
        low, high = (self.recalls[ef] for ef in efs)
        weight = (target - low) / (high - low)
        return math.exp((1 - weight) * math.log(rates[efs[0]]) + weight * math.log(rates[efs[1]]))


def compare_graphs(row, data, options, report, folder):
    truth = search_peers.FlatFAISS(data.vectors).search(data.queries, K, os.cpu_count())
    count = len(data.queries)
    contestants, builds, details = [], {}, {}
    threads = options.build_threads
    with contextlib.ExitStack() as stack:
        if not options.peers_only:
            arguments = ["--mode", "graph", "--m", search_peers.M, "--ef-construction", search_peers.EF_CONSTRUCTION]
            arguments += ["--storage", options.storage, "--repeats", REPEATS]

            def our_process(threads):
                return Ours(options.imsim, folder, data, data.queries, [*arguments, "--threads", threads])

            ours = stack.enter_context(our_process(1))
            built = ours.measure(EFS[0])
            if threads > 1:
                with our_process(threads) as builder:
                    built = builder.measure(EFS[0])
            builds[OURS] = search_peers.Build(built["build_seconds"], built["build_cpu_seconds"])
            details["bytes_per_vector"] = built["bytes_per_vector"]

            def our_hits(ef):
                ours.measure(ef)
                return ours.hits()

            contestants.append(GraphContestant(OURS, our_hits, ours.seconds))
        for kind in search_peers.GRAPHS.values():
            graph, builds[kind.name] = search_peers.built_graph(
                kind, data.vectors, threads, CACHE / data.name, options.rebuild
            )

            def search(ef, graph=graph):
                return graph.search(data.queries, K, 1, ef)

            def seconds(ef, search=search):
                return call_seconds(lambda _: search(ef), data.queries, count, REPEATS)

            contestants.append(GraphContestant(kind.name, search, seconds))

        targets = [0.95, 0.99]
        for contestant in contestants:
            contestant.try_until(max(targets), truth)
            report.log({"kind": "recall", "row": row, "contestant": contestant.name, "recall": contestant.recalls})
        # On one thread, work of others on the machine while a graph is built is not in the processor time.
        times = {
            name: [build.processor_seconds if threads == 1 else build.seconds] for name, build in builds.items()
        }
        clocks = {"clock_seconds": {name: build.seconds for name, build in builds.items()}}
        # A graph that searches badly is no measure of how long building one takes.
        fit = {contestant.name for contestant in contestants if contestant.around(targets[0])}
        is_fair = not any(builds[name].is_kept for name in fit)
        compared = {name: values for name, values in times.items() if name in fit}
        report.line(row, "build, s", threads, compared, 0.9, unit="seconds", details=clocks | details, is_fair=is_fair)
        report.figures(times)

        for target in targets:
            rated = [contestant for contestant in contestants if contestant.around(target)]
            turns = {}
            for contestant in rated:

                def rate(contestant=contestant):
                    found = {ef: rates(count, contestant.seconds(ef)) for ef in contestant.around(target)}
                    record = {"kind": "measurement", "row": row, "contestant": contestant.name, "target": target}
                    report.log(record | {"per_second": found})
                    return tuple(
                        contestant.rate(target, {ef: both[clock] for ef, both in found.items()}) for clock in (0, 1)
                    )

                turns[contestant.name] = rate
            figures, processor_figures = take_turns(turns, options.rounds)
            missed = [contestant.name for contestant in contestants if contestant not in rated]
            note = f"not reached by {', '.join(missed)}" if missed else ""
            efs = {contestant.name: contestant.around(target) for contestant in rated}
            report.line(
                row, f"recall@10 {target}", 1, figures, 1.2, note, details={"efs": efs}, processor=processor_figures
            )
            report.figures(figures)


def build():
    """The path of imsim, built from this checkout."""
    subprocess.run(
        ["swift", "build", "-c", "release", "--product", "imsim"], cwd=ROOT, stdout=sys.stderr, check=True
    )
    return ROOT / ".build/release/imsim"


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown"


class Sources:
    """The data of the rows, made when it is asked for."""

    def __init__(self, options, folder):
        self.options = options
        self.folder = folder

    @functools.cache
    def _embedded(self):
        path = self.folder / "embeddings.npy"
        command = [self.options.imsim, "embed", self.options.embeddings, "--output", path]
        if subprocess.run([str(word) for word in command], stdout=sys.stderr).returncode != 0:
            raise Failure(f"imsim embed {self.options.embeddings} failed")
        return search_data.embedded(path)

    def data(self, row):
        if self.options.embeddings:
            data = self._embedded()
        else:
            full = (1_000_000, 128) if row == "graph-128" else (100_000, 1280)
            quick = (20_000, 128) if row == "graph-128" else (10_000, 1280)
            data = search_data.synthetic(*(quick if self.options.quick else full), CACHE)
        return data.first(2_000 if self.options.quick else 20_000) if row == "neighbors" else data


def parse_arguments():
    def rows(text):
        names = text.split(",")
        if unknown := [name for name in names if name not in ROWS]:
            raise argparse.ArgumentTypeError(f"expected some of {', '.join(ROWS)}; found {unknown[0]}")
        return names

    parser = argparse.ArgumentParser(
        prog="search", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=rows, help=f"default: {','.join(ROWS)}", metavar="A,B")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--build-threads", type=int, default=1, metavar="N", help="of the graphs; default: 1")
    parser.add_argument("--rebuild", action="store_true", help="build the peers' graphs anew")
    parser.add_argument(
        "--storage", default="fp32", metavar="KIND", help="of our graph: fp32, fp16 or int8; default: fp32"
    )
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write every figure as a line of JSON")
    parser.add_argument("--imsim", type=pathlib.Path, metavar="PATH", help="default: built from this checkout")
    parser.add_argument("--peers-only", action="store_true", help="leave ours out")
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--quick", action="store_true", help="a tenth of the vectors or less: does it all work?")
    data.add_argument(
        "--embeddings",
        type=pathlib.Path,
        metavar="FOLDER",
        help="the embeddings of a folder of pictures in place of synthetic vectors (and no graph-128)",
    )
    options = parser.parse_args()
    if options.embeddings and options.rows and "graph-128" in options.rows:
        parser.error("--embeddings has no row graph-128")
    options.rows = options.rows or [row for row in ROWS if not (options.embeddings and row == "graph-128")]
    return options


def main():
    options = parse_arguments()
    if options.imsim is None and (options.embeddings or not options.peers_only):
        options.imsim = build()
    versions = ", ".join(f"{package} {importlib.metadata.version(package)}" for package in search_peers.PACKAGES)
    cores = len(os.sched_getaffinity(0))
    print(f"{processor()}, {cores} cores; {versions}")

    failed = False
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        output = stack.enter_context(options.json.open("w")) if options.json else None
        report = Report(output, judges=not options.quick and options.embeddings is None)
        report.log({"kind": "machine", "processor": processor(), "cores": cores, "peers": versions})
        sources = Sources(options, folder)
        print(HEADER, flush=True)
        for row in options.rows:
            try:
                data = sources.data(row)
                report.log({"kind": "data", "row": row, "name": data.name, "shape": list(data.vectors.shape)})
                if row == "exact":
                    compare_exact(data, options, report, folder)
                elif row == "neighbors":
                    compare_neighbors(data, options, report, folder)
                else:
                    compare_graphs(row, data, options, report, folder)
            except Failure as failure:
                failed = True
                print(f"{row}: {failure}", flush=True)
    if failed:
        sys.exit("Some rows could not be measured.")


if __name__ == "__main__":
    main()
