"""ONNX models for tests, made node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np


def channels_last(x):
    """ONNX's images as a Graph's: (n, h, w, c); anything else as it is."""
    return np.moveaxis(x, 1, -1) if x.ndim == 4 else x


class Model:
    """A model with one input 'x' of a shape (without the batch) and random weights."""

    def __init__(self, shape, seed=0, opset=17):
        self.shape, self.opset = shape, opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.arrays = [], []

    def array(self, *shape, dtype=np.float32, values=None):
        from onnx import numpy_helper

        name = f"array{len(self.arrays)}"
        found = self.rng.normal(size=shape) if values is None else np.asarray(values)
        self.arrays.append(numpy_helper.from_array(found.astype(dtype), name))
        return name

    def node(self, kind, *inputs, **attributes):
        from onnx import helper

        name = f"y{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"n {name}",
                                           **attributes))  # fmt: skip
        return name

    def gemm(self, x, n_in, n_out, **attributes):
        return self.node("Gemm", x, self.array(n_in, n_out), self.array(n_out), **attributes)

    def conv(self, x, n_in, n_out, kernel=(3, 3), bias=True, **attributes):
        group = attributes.get("group", 1)
        arrays = [self.array(n_out, n_in // group, *kernel)] + [self.array(n_out)] * bias
        return self.node("Conv", x, *arrays, **attributes)

    def batch_norm(self, x, n):
        arrays = [self.array(n) for _ in range(3)]
        return self.node("BatchNormalization", x, *arrays,
                         self.array(values=self.rng.random(n) + 0.5))  # fmt: skip

    def save(self, path: Path, last=None):
        import onnx
        from onnx import TensorProto, helper

        shape = ["batch", *(f"d{k}" if s is None else s for k, s in enumerate(self.shape))]
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)
        y = helper.make_tensor_value_info(last or f"y{len(self.nodes) - 1}", TensorProto.FLOAT,
                                          None)  # fmt: skip
        graph = helper.make_graph(self.nodes, "net", [x], [y], self.arrays)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)],
                                  ir_version=8)  # fmt: skip
        onnx.save(model, path)
        return path


def one(shape, kind, *constants, **attributes):
    """A model of one node on the input."""
    net = Model(shape)
    net.node(kind, "x", *(net.array(*c) for c in constants), **attributes)
    return net


def conv(**attributes):
    net = Model((4, 9, 8))
    kernel = attributes.pop("kernel", (3, 3))
    net.conv("x", 4, 6, kernel, attributes.pop("bias", True), **attributes)
    return net


def behind_image(kind="Flatten", wanted=None):
    """Vectors made of images meet weights, normalization and each other."""
    net = Model((3, 4, 2))
    if kind == "Flatten":
        x = net.node("Flatten", "x")
    else:
        x = net.node("Reshape", "x", net.array(values=wanted, dtype=np.int64))
    x = net.node("LeakyRelu", net.batch_norm(x, 24), alpha=0.2)
    x = net.node("Concat", x, net.node("Tanh", x), axis=1)
    net.gemm(x, 48, 5)
    return net


def computed_reshape():
    """x.view(x.size(0), -1), as exporters write it."""
    net = Model((3, 4, 2))
    size = net.node("Gather", net.node("Shape", "x"), net.array(values=0, dtype=np.int64), axis=0)
    axes = net.array(values=[0], dtype=np.int64)
    parts = net.node("Unsqueeze", size, axes), net.array(values=[-1], dtype=np.int64)
    x = net.node("Reshape", "x", net.node("Concat", *parts, axis=0))
    net.gemm(x, 24, 5)
    return net


def mean(keep):
    net = Model((3, 4, 2))
    x = net.node("ReduceMean", "x", axes=[2, 3], keepdims=keep)
    net.gemm(net.node("Flatten", x) if keep else x, 3, 5)
    return net


def global_pool():
    net = Model((3, 4, 2))
    net.gemm(net.node("Flatten", net.node("GlobalAveragePool", "x")), 3, 5)
    return net


def added(shape, *constant):
    net = Model(shape)
    net.node("Relu", net.node("Add", "x", net.array(*constant)))
    return net


def biased(order):
    net = Model((3,))
    terms = [net.node("MatMul", "x", net.array(3, 4)), net.array(4)]
    net.node("Add", *terms[::order])
    return net


POOL = {"kernel_shape": [3, 2], "strides": [2, 1]}
HELPERS = {
    "gemm": lambda: one((5,), "Gemm", (5, 3), (3,)),
    "gemm transposed": lambda: one((5,), "Gemm", (3, 5), (3,), transB=1, alpha=0.5, beta=2.0),
    "gemm without bias": lambda: one((5,), "Gemm", (3, 5), transB=1),
    "gemm with one bias": lambda: one((5,), "Gemm", (5, 3), (1,)),
    "matmul": lambda: one((5,), "MatMul", (5, 3)),
    "matmul and bias": lambda: biased(1),
    "bias and matmul": lambda: biased(-1),
    "conv": conv,
    "conv without bias": lambda: conv(bias=False),
    "conv strided": lambda: conv(strides=[2, 3], pads=[1, 0, 2, 1]),
    "conv dilated": lambda: conv(dilations=[2, 1]),
    "conv in groups": lambda: conv(group=2, pads=[1, 1, 1, 1]),
    "conv of 1": lambda: conv(kernel=(1, 1)),
    "conv same upper": lambda: conv(auto_pad="SAME_UPPER", strides=[2, 2], kernel=(4, 3)),
    "conv same lower": lambda: conv(auto_pad="SAME_LOWER", strides=[2, 2], kernel=(4, 3)),
    "conv valid": lambda: conv(auto_pad="VALID"),
    "relu": lambda: one((3, 4, 2), "Relu"),
    "leaky relu": lambda: one((4,), "LeakyRelu"),
    "elu": lambda: one((4,), "Elu", alpha=0.7),
    "sigmoid": lambda: one((4,), "Sigmoid"),
    "tanh": lambda: one((3, 4, 2), "Tanh"),
    "softmax": lambda: one((4,), "Softmax"),
    "max pool": lambda: one((3, 9, 8), "MaxPool", **POOL),
    "max pool padded": lambda: one((3, 9, 8), "MaxPool", pads=[1, 0, 2, 1], **POOL),
    "max pool ceil": lambda: one((3, 9, 8), "MaxPool", ceil_mode=1, **POOL),
    "average pool": lambda: one((3, 9, 8), "AveragePool", **POOL),
    "average pool padded": lambda: one((3, 9, 8), "AveragePool", pads=[1, 0, 2, 1], **POOL),
    "average pool counted": lambda: one(
        (3, 9, 8), "AveragePool", pads=[1, 0, 2, 1], count_include_pad=1, **POOL),
    "average pool same": lambda: one((3, 9, 8), "AveragePool", auto_pad="SAME_UPPER", **POOL),
    "global average pool": global_pool,
    "mean": lambda: mean(0),
    "mean kept": lambda: mean(1),
    "flatten": behind_image,
    "reshape": lambda: behind_image("Reshape", [-1, 24]),
    "reshape batch": lambda: behind_image("Reshape", [0, -1]),
    "reshape computed": computed_reshape,
    "add to channels": lambda: added((3, 4, 2), 3, 1, 1),
    "add to features": lambda: added((4,), 4),
    "add one": lambda: added((4,), 1),
    "dropout": lambda: one((4,), "Dropout"),
    "identity": lambda: one((4,), "Identity"),
}  # fmt: skip
