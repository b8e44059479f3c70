"""A peer with one network, prepared once: the child process of extractors.py that a measurement is asked of.

Says "ready" on standard output; from then on every line of standard input is a number of seconds to measure for, and is
answered with a line of images per second. Between the two nothing runs, and no thread spins.
"""

import argparse
import concurrent.futures
import sys
import time

import numpy as np

SHAPE = (3, 224, 224)


def onnxruntime_requests(options, images):
    """One callable for each batch of images; they may run at the same time."""
    import onnxruntime

    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session_options.inter_op_num_threads = 1
    session_options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    session_options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    session_options.add_free_dimension_override_by_name("n", options.batch)
    session_options.add_session_config_entry("session.force_spinning_stop", "1")
    session = onnxruntime.InferenceSession(options.model, session_options, providers=["CPUExecutionProvider"])

    def request(batch):
        binding = session.io_binding()
        binding.bind_ortvalue_input("images", onnxruntime.OrtValue.ortvalue_from_numpy(batch))
        binding.bind_output(session.get_outputs()[0].name)
        return lambda: session.run_with_iobinding(binding)

    return [request(batch) for batch in images]


def openvino_requests(options, images):
    """One callable for each batch of images; they may run at the same time, each on a stream of its own."""
    import openvino

    core = openvino.Core()
    model = core.read_model(options.model)
    model.reshape([options.batch, *SHAPE])
    configuration = {
        "PERFORMANCE_HINT": "LATENCY" if options.requests == 1 else "THROUGHPUT",
        "NUM_STREAMS": options.requests,
        "INFERENCE_NUM_THREADS": options.threads * options.requests,
    }
    # In an 8-bit network the runtime chooses the precision of what is not quantised.
    if options.precision != "int8":
        configuration["INFERENCE_PRECISION_HINT"] = {"fp32": "f32", "bf16": "bf16"}[options.precision]
    compiled = core.compile_model(model, "CPU", configuration)

    def request(batch):
        infer_request = compiled.create_infer_request()
        infer_request.set_input_tensor(openvino.Tensor(batch, shared_memory=True))

        def infer():
            infer_request.start_async()
            infer_request.wait()

        return infer

    return [request(batch) for batch in images]


RUNTIMES = {"onnxruntime": onnxruntime_requests, "openvino": openvino_requests}


def rate(requests, seconds):
    """Inferences per second of all requests together, each repeated for at least so long."""

    def repeat(request):
        start, count, elapsed = time.perf_counter(), 0, 0.0
        while count == 0 or elapsed < seconds:
            request()
            count += 1
            elapsed = time.perf_counter() - start
        return count / elapsed

    with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool:
        return sum(pool.map(repeat, requests))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runtime", choices=RUNTIMES)
    parser.add_argument("model", help="an ONNX or OpenVINO file")
    parser.add_argument("precision", choices=["fp32", "bf16", "int8"])
    parser.add_argument("batch", type=int)
    parser.add_argument("requests", type=int, help="inferences at the same time")
    parser.add_argument("threads", type=int, help="threads of each of them")
    options = parser.parse_args()
    generator = np.random.default_rng(1)
    images = [generator.standard_normal((options.batch, *SHAPE), np.float32) for _ in range(options.requests)]
    requests = RUNTIMES[options.runtime](options, images)
    print("ready", flush=True)
    for line in sys.stdin:
        seconds = float(line)
        rate(requests, seconds / 4)
        print(options.batch * rate(requests, seconds), flush=True)


if __name__ == "__main__":
    main()
