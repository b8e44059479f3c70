"""What the ONNX fixtures and the ONNX zoo share: seeded networks, exports, and what onnxruntime computes.

Needs numpy, torch, onnx and onnxruntime.
"""

import contextlib
import io
import logging
import pathlib
import warnings

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper

# What stands between a classifier's linear layer and the graph's output.
_AFTER_THE_CLASSIFIER = {
    "Flatten", "Reshape", "Squeeze", "GlobalAveragePool", "AveragePool", "ReduceMean", "Relu", "Softmax", "Clip",
    "QuantizeLinear", "DequantizeLinear", "Dropout", "Identity", "Cast", "Transpose", "QLinearGlobalAveragePool",
    "QLinearSoftmax", "Min", "Max",
}  # fmt: skip
_LINEAR = {"Gemm", "MatMul", "Conv", "QLinearConv", "QLinearMatMul", "QGemm", "MatMulInteger", "ConvInteger"}

warnings.filterwarnings("ignore")
logging.getLogger("torch.onnx").setLevel(logging.ERROR)
onnxruntime.set_default_logger_severity(3)
torch.set_num_threads(1)
torch.backends.mha.set_fastpath_enabled(False)


def preprocess(pixels):
    """The input of a network from RGB pixels, uint8 [n, height, width, 3]: fp32 [n, 3, height, width], ImageNet's mean
    and deviation."""
    mean, deviation = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    values = (pixels.astype(np.float32) / 255 - mean) / deviation
    return np.ascontiguousarray(values.transpose(0, 3, 1, 2), np.float32)


def randomize(model, images, seed):
    """Gives `model` weights whose every detail shows in its outputs, and which depend on the pictures: batch norms
    with the statistics of `images` and some error on top, no scale of 1, no bias of 0, no LayerScale near 0."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(tensor, low, high):
        tensor.copy_(torch.rand(tensor.shape, generator=generator) * (high - low) + low)

    def normal(tensor, deviation):
        tensor.copy_(torch.randn(tensor.shape, generator=generator) * deviation)

    norms = (torch.nn.BatchNorm2d, torch.nn.LayerNorm, torch.nn.GroupNorm)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, norms) and module.weight is not None:
                uniform(module.weight, 0.6, 1.4)
                normal(module.bias, 0.2)
            elif isinstance(module, (torch.nn.Linear, torch.nn.Conv2d)):
                fan_in = module.weight[0].numel()
                normal(module.weight, (1.6 / fan_in) ** 0.5)
                if module.bias is not None:
                    normal(module.bias, 0.2)
        for name, parameter in model.named_parameters():
            last = name.rsplit(".", 1)[-1]
            if last in ("layer_scale", "gamma") or name.endswith(("ls1.gamma", "ls2.gamma", "grn.weight", "grn.bias")):
                uniform(parameter, 0.1, 0.5)
            elif last in ("in_proj_weight",) or name.endswith("qkv.weight"):
                normal(parameter, (4 / parameter.shape[1]) ** 0.5)
            elif last in ("in_proj_bias", "class_token", "cls_token", "reg_token", "pos_embed", "pos_embedding"):
                normal(parameter, 0.2)
            elif "relative_position_bias_table" in name:
                normal(parameter, 0.5)
        batch_norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
        if batch_norms:
            momenta = [m.momentum for m in batch_norms]
            for module in batch_norms:
                module.reset_running_stats()
                module.momentum = None
                module.train()
            model(images)
            for module, momentum in zip(batch_norms, momenta):
                module.eval()
                module.momentum = momentum
                deviation = module.running_var.sqrt()
                module.running_mean += deviation * 0.2 * torch.randn(deviation.shape, generator=generator)
                module.running_var *= 0.7 + 0.7 * torch.rand(deviation.shape, generator=generator)
    return model.eval()


def export(model, example, path, opset, dynamo, dynamic=None, external=False, unfolded=False):
    """Exports by torch.onnx; `dynamic` are the symbolic axes of the input, {axis: name}; `unfolded` keeps batch norms."""
    path = pathlib.Path(path)
    for module in model.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = dynamo or opset >= 14
    settings = {"input_names": ["input"], "output_names": ["output"], "opset_version": opset, "dynamo": dynamo}
    if dynamo:
        settings["external_data"] = external
        settings["optimize"] = not unfolded
        if dynamic:
            settings["dynamic_shapes"] = ({axis: torch.export.Dim(name) for axis, name in dynamic.items()},)
    else:
        if unfolded:
            settings |= {"do_constant_folding": False, "training": torch.onnx.TrainingMode.PRESERVE}
        if dynamic:
            settings["dynamic_axes"] = {"input": dynamic, "output": {0: dynamic[0]} if 0 in dynamic else {}}
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        torch.onnx.export(model, (example,), str(path), **settings)


def session(model, optimize=True):
    """`model`: a path or a ModelProto."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimize else level.ORT_DISABLE_ALL
    source = model.SerializeToString() if isinstance(model, onnx.ModelProto) else str(model)
    return onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def classifier_input(model):
    """The name of the tensor that the last linear layer reads, or None where the output does not come from one."""
    producers = {output: node for node in model.graph.node for output in node.output}
    constants = {tensor.name for tensor in model.graph.initializer}
    constants |= {o for node in model.graph.node if node.op_type == "Constant" for o in node.output}

    def is_constant(name):
        while name in producers and producers[name].op_type in ("DequantizeLinear", "Transpose", "Identity", "Cast"):
            name = producers[name].input[0]
        return name in constants

    name = model.graph.output[0].name
    while name in producers:
        node = producers[name]
        if node.op_type in _LINEAR:
            return node.input[0]
        if node.op_type == "Add":
            runtime = [i for i in node.input if not is_constant(i)]
            if len(runtime) != 1:
                return None
            name = runtime[0]
        elif node.op_type in _AFTER_THE_CLASSIFIER:
            name = node.input[0]
        else:
            return None
    return None


def _quantization(model, name):
    """The scale and zero point of a quantised tensor, from the node that reads it."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    inputs = next(node.input for node in model.graph.node if name in node.input)
    first = list(inputs).index(name)
    return constants[inputs[first + 1]], constants[inputs[first + 2]]


def run(model, name, images, optimize=True):
    """({tensor: fp32 [n, elements]}, {tensor: shape}) of the graph's output and of `name`, one run for each of `images`
    (fp32, with the axis of pictures, as the graph's input takes them). Quantised numbers come as what they stand for."""
    observed = onnx.ModelProto()
    observed.CopyFrom(model)
    output = observed.graph.output[0].name
    if name != output:
        observed.graph.output.append(helper.make_empty_tensor_value_info(name))
    computed = session(observed, optimize)
    kinds = {"tensor(float16)": np.float16, "tensor(float)": np.float32}
    source = computed.get_inputs()[0]
    names = sorted({output, name})
    rows = {key: [] for key in names}
    shapes = {}
    for image in images:
        values = computed.run(names, {source.name: image.astype(kinds[source.type])})
        for key, value in zip(names, values):
            if value.dtype in (np.uint8, np.int8):
                scale, zero = _quantization(model, key)
                value = (value.astype(np.float32) - zero.astype(np.float32)) * scale
            rows[key].append(value.astype(np.float32).reshape(-1))
            shapes[key] = list(value.shape)
    return {key: np.stack(values) for key, values in rows.items()}, shapes


def opset(model):
    return next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))


def operators(model):
    return sorted({(node.domain + "::" if node.domain else "") + node.op_type for node in model.graph.node})
