"""Write our layers as .tflite models, run them in LiteRT and TFLite-Micro, record both."""

from __future__ import annotations

from importlib.metadata import version

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from design import Layer, TensorNet, save
from tensor_nets import CONVOLUTIONS, FULLY_CONNECTED

TYPE = {"int8": schema.TensorType.INT8, "int32": schema.TensorType.INT32}
ACTIVATION = {
    "none": schema.ActivationFunctionType.NONE,
    "relu": schema.ActivationFunctionType.RELU,
    "relu6": schema.ActivationFunctionType.RELU6,
}


class Model:
    """A .tflite model under construction: tensors, buffers and operators in order."""

    def __init__(self) -> None:
        self.graph = schema.SubGraphT()
        self.graph.name = "main"
        self.graph.tensors, self.graph.operators = [], []
        self.buffers = [schema.BufferT()]
        self.codes: list[int] = []
        self.index: dict[str, int] = {}

    def tensor(self, name, shape, dtype, step, zero, data=None, axis=0) -> int:
        """Add a tensor; `step` per tensor or per entry of `axis`."""
        t = schema.TensorT()
        t.name, t.shape, t.type = name, list(shape), TYPE[dtype]
        t.quantization = schema.QuantizationParametersT()
        t.quantization.scale = np.atleast_1d(np.asarray(step, np.float32)).tolist()
        t.quantization.zeroPoint = [zero] * len(t.quantization.scale)
        t.quantization.quantizedDimension = axis
        t.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.asarray(data, dtype).tobytes(), np.uint8)
            t.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.graph.tensors.append(t)
        self.index[name] = len(self.graph.tensors) - 1
        return self.index[name]

    def operator(self, code, options_type, options, inputs, output) -> None:
        """Add an operator."""
        if code not in self.codes:
            self.codes.append(code)
        op = schema.OperatorT()
        op.opcodeIndex = self.codes.index(code)
        op.inputs, op.outputs = inputs, [output]
        op.builtinOptionsType, op.builtinOptions = options_type, options
        self.graph.operators.append(op)

    def content(self, inputs, outputs) -> bytes:
        """The file's bytes."""
        self.graph.inputs = [self.index[name] for name in inputs]
        self.graph.outputs = [self.index[name] for name in outputs]
        model = schema.ModelT()
        model.version, model.description = 3, "golden"
        model.subgraphs, model.buffers = [self.graph], self.buffers
        model.operatorCodes = [_code(code) for code in self.codes]
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _code(code: int) -> schema.OperatorCodeT:
    found = schema.OperatorCodeT()
    found.builtinCode, found.deprecatedBuiltinCode = code, min(code, 127)
    found.version = {schema.BuiltinOperator.FULLY_CONNECTED: 4, schema.BuiltinOperator.CONV_2D: 3,
                     schema.BuiltinOperator.ADD: 2}[code]  # fmt: skip
    return found


def _shape(convolution: bool, rows: int, columns: int) -> tuple[int, ...]:
    return (rows, 1, 1, columns) if convolution else (rows, columns)


def _add(model: Model, layer: Layer, shape) -> None:
    options = schema.AddOptionsT()
    options.fusedActivationFunction = ACTIVATION[layer.activation]
    out = model.tensor(layer.name, shape, "int8", layer.step, layer.zero)
    model.operator(schema.BuiltinOperator.ADD, schema.BuiltinOptions.AddOptions, options,
                   [model.index[i] for i in layer.inputs], out)  # fmt: skip


def _dense(model: Model, layer: Layer, step_in: float, rows: int, convolution: bool) -> None:
    features, fan_in = layer.weight.shape
    weight = model.tensor(
        f"{layer.name}.weight",
        _shape(convolution, features, fan_in),
        "int8",
        layer.step_w,
        0,
        layer.weight,
    )
    step_b = np.float32(step_in) * layer.step_w
    bias = model.tensor(f"{layer.name}.bias", (features,), "int32", step_b, 0, layer.bias)
    out = model.tensor(
        layer.name, _shape(convolution, rows, features), "int8", layer.step, layer.zero
    )
    inputs = [model.index[layer.inputs[0]], weight, bias]
    if convolution:
        options = schema.Conv2DOptionsT()
        options.strideH = options.strideW = 1
        options.padding = schema.Padding.VALID
        code, kind = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions
    else:
        options = schema.FullyConnectedOptionsT()
        code = schema.BuiltinOperator.FULLY_CONNECTED
        kind = schema.BuiltinOptions.FullyConnectedOptions
    options.fusedActivationFunction = ACTIVATION[layer.activation]
    model.operator(code, kind, options, inputs, out)


def written(net: TensorNet, convolution: bool, keep: list[str]) -> bytes:
    """The network as a .tflite file whose outputs are the layers `keep`."""
    model, steps = Model(), {}
    for name, x in net.inputs.items():
        model.tensor(name, _shape(convolution, *x.shape), "int8", net.steps[name], net.zeros[name])
        steps[name] = net.steps[name]
    for layer in net.layers:
        rows = len(next(iter(net.inputs.values())))
        if layer.kind == "add":
            _add(model, layer, model.graph.tensors[model.index[layer.inputs[0]]].shape)
        else:
            _dense(model, layer, steps[layer.inputs[0]], rows, convolution)
        steps[layer.name] = layer.step
    return model.content(list(net.inputs), keep)


def _litert(net: TensorNet) -> dict[str, np.ndarray]:
    """All layers by LiteRT's reference kernels, as 1x1 convolutions."""
    keep = [layer.name for layer in net.layers]
    interpreter = Interpreter(
        model_content=written(net, True, keep),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF)  # fmt: skip
    interpreter.allocate_tensors()
    for detail, x in zip(interpreter.get_input_details(), net.inputs.values()):
        interpreter.set_tensor(detail["index"], x.astype(np.int8).reshape(detail["shape"]))
    interpreter.invoke()
    details = interpreter.get_output_details()
    return {name: interpreter.get_tensor(d["index"]).reshape(d["shape"][0], -1)
            for name, d in zip(keep, details)}  # fmt: skip


def _micro(net: TensorNet, convolution: bool) -> dict[str, np.ndarray]:
    """All layers by TFLite-Micro's kernels."""
    from tflite_micro.python.tflite_micro import runtime

    keep = [layer.name for layer in net.layers]
    interpreter = runtime.Interpreter.from_bytes(written(net, convolution, keep))
    for k, x in enumerate(net.inputs.values()):
        interpreter.set_input(x.astype(np.int8).reshape(_shape(convolution, *x.shape)), k)
    interpreter.invoke()
    return {name: interpreter.get_output(k).reshape(len(interpreter.get_output(k)), -1)
            for k, name in enumerate(keep)}  # fmt: skip


def _head(net: TensorNet, peers: list[str], operator: str) -> dict:
    return {
        "peer": " and ".join(peers),
        "versions": {"ai-edge-litert": version("ai-edge-litert"),
                     "tflite-micro": version("tflite-micro"), "numpy": np.__version__},
        "kind": "tensor", "profile": "double_round", "covers": list(net.covers),
        "note": net.note, "seed": net.seed, "operator": operator,
        "inputs": [{"name": n, "step": float(np.float32(net.steps[n])), "zero": net.zeros[n]}
                   for n in net.inputs],
        "layers": [{"name": x.name, "kind": x.kind, "inputs": list(x.inputs),
                    "step": float(np.float32(x.step)), "zero": x.zero,
                    "activation": x.activation} for x in net.layers],
        "recorded": {"*": "int8 results of each layer, (samples, features)"},
    }  # fmt: skip


def _arrays(net: TensorNet, found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    arrays = {**net.inputs, **found}
    for layer in net.layers:
        if layer.kind == "dense":
            for what in ("weight", "bias", "step_w"):
                arrays[f"{layer.name}.{what}"] = getattr(layer, what)
    return arrays


def main() -> None:
    """Record every network; where both peers run it, they must agree."""
    for build in CONVOLUTIONS:
        net = build()
        found, again = _litert(net), _micro(net, convolution=True)
        differ = {k: int(np.sum(found[k] != again[k])) for k in found}
        assert not any(differ.values()), f"{net.name}: LiteRT and TFLite-Micro differ: {differ}"
        peers = ["ai-edge-litert, reference kernels", "tflite-micro"]
        save(net.name, _head(net, peers, "CONV_2D 1x1, ADD"), _arrays(net, found))
        print(net.name)
    for build in FULLY_CONNECTED:
        net = build()
        found = _micro(net, convolution=False)
        save(net.name, _head(net, ["tflite-micro"], "FULLY_CONNECTED"), _arrays(net, found))
        print(net.name)
