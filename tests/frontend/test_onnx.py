"""ONNX files, against ONNX Runtime."""

import numpy as np
import pytest
from tests.frontend.onnx_models import HELPERS, Model, channels_last

from picojoule.errors import FrontendError, UsageError
from picojoule.frontend.load import load
from picojoule.graph.interpret import interpret
from picojoule.graph.ops import AveragePool, BatchNorm, Concat, Conv, Dense, MaxPool

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


def agree(path, seed=0, samples=5):
    """The Graph of a file computes what ONNX Runtime does; returns it."""
    graph = load(path)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    shape = [samples, *entry.shape[1:]]
    x = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    (want,) = session.run(None, {entry.name: x})
    found = interpret(graph, channels_last(x))[graph.output]
    np.testing.assert_allclose(found, channels_last(want.reshape(_kept(found, want))),
                               rtol=2e-5, atol=2e-5)  # fmt: skip
    return graph


def _kept(found, want):
    """ONNX keeps axes of 1 behind a global pool."""
    return want.shape if want.ndim == found.ndim else found.shape


@pytest.mark.parametrize("name", sorted(HELPERS))
def test_every_kind_of_node(name, tmp_path):
    agree(HELPERS[name]().save(tmp_path / "net.onnx"))


def test_a_small_network(tmp_path):
    net = Model((2, 9, 7))
    x = net.conv("x", 2, 6, pads=[1, 1, 1, 1])
    x = net.batch_norm(x, 6)
    x = net.node("MaxPool", net.node("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    y = net.conv(x, 6, 6, pads=[1, 1, 1, 1])
    x = net.node("Concat", net.node("Add", x, y), x, axis=1)
    x = net.node("AveragePool", x, kernel_shape=[2, 2])
    x = net.gemm(net.node("Flatten", x), 12 * 3 * 2, 5)
    graph = agree(net.save(tmp_path / "net.onnx", net.node("Softmax", x, axis=1)))
    kinds = {type(node.op) for node in graph.nodes}
    assert {Conv, BatchNorm, MaxPool, Concat, AveragePool, Dense} <= kinds
    assert graph.encoder.shape == (9, 7, 2)


def test_weights_in_a_file_beside_the_model(tmp_path):
    net = Model((3,))
    path = net.save(tmp_path / "net.onnx", net.gemm("x", 3, 4))
    inside = load(path)
    onnx.save_model(onnx.load(path), path, save_as_external_data=True, location="net.data",
                    size_threshold=0)  # fmt: skip
    beside = agree(path)
    assert beside == inside
    (tmp_path / "net.data").write_bytes(b"short")
    with pytest.raises(FrontendError, match="weight file of 5 bytes"):
        load(path)
    (tmp_path / "net.data").unlink()
    with pytest.raises(FrontendError, match=r"'net\.data', which is no file beside the model"):
        load(path)


def test_a_bias_that_others_read_without(tmp_path):
    """MatMul + Add is a Dense, but not where the MatMul alone is read too."""
    net = Model((3,))
    product = net.node("MatMul", "x", net.array(3, 4))
    both = net.node("Add", net.node("Add", product, net.array(4)), product)
    agree(net.save(tmp_path / "net.onnx", both))


def test_all_unsupported_nodes_are_named_at_once(tmp_path):
    net = Model((3,))
    a, b = net.node("Sin", "x"), net.node("Cos", "x")
    path = net.save(tmp_path / "net.onnx", net.node("Add", net.node("Relu", a), b))
    with pytest.raises(FrontendError) as error:
        load(path)
    assert [f.code for f in error.value.faults] == ["PJ502", "PJ502"]
    assert "(Sin): it is not supported" in error.value.faults[0].what
    assert "supported: Gemm, MatMul, Conv" in error.value.faults[0].fix


REFUSED = {
    "pool that leaves the image": (
        (1, 5, 5), "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        "ceil_mode=1 makes windows that leave"),
    "flatten of the batch": ((3, 2, 2), "Flatten", {"axis": 2}, "would mix the samples"),
    "softmax of an image": ((3, 2, 2), "Softmax", {"axis": 1}, "along axis 1"),
    "unknown padding": ((1, 5, 5), "MaxPool", {"kernel_shape": [2, 2], "auto_pad": "ODD"}, "'ODD'"),
    "window too large": ((1, 5, 5), "MaxPool", {"kernel_shape": [7, 7]}, "does not fit into"),
    "no kernel": ((1, 5, 5), "MaxPool", {"kernel_shape": [2]}, "needs 2 numbers"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart(name, tmp_path):
    shape, kind, attributes, message = REFUSED[name]
    net = Model(shape)
    path = net.save(tmp_path / "net.onnx", net.node(kind, "x", **attributes))
    with pytest.raises(FrontendError, match=message):
        load(path)


def test_an_answer_in_another_order(tmp_path):
    net = Model((3, 2, 2))
    path = net.save(tmp_path / "net.onnx", net.node("Flatten", "x"))
    with pytest.raises(FrontendError, match="whose order differs here"):
        load(path)


@pytest.mark.parametrize("shape", [(None, 3, 3), (3, 3), ()])
def test_inputs_that_are_not_samples(shape, tmp_path):
    net = Model(shape)
    path = net.save(tmp_path / "net.onnx", net.node("Relu", "x"))
    with pytest.raises(FrontendError, match="samples are"):
        load(path)


def test_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    (tmp_path / "net.onnx").write_bytes(b"")
    with pytest.raises(FrontendError, match=r"pip install 'picojoule\[onnx\]'"):
        load(tmp_path / "net.onnx")


def test_attributes_of_another_type(tmp_path):
    net = Model((4,))
    path = net.save(tmp_path / "net.onnx", net.node("Flatten", "x", axis="abc"))
    with pytest.raises(FrontendError, match=r"PJ501 .*attribute 'axis' has another type"):
        load(path)


@pytest.mark.parametrize("terms", [1, 3])
def test_sums_of_another_number_of_terms(terms, tmp_path):
    net = Model((4,))
    path = net.save(tmp_path / "net.onnx", net.node("Add", *["x"] * terms))
    with pytest.raises(FrontendError, match=f"adds {terms} inputs"):
        load(path)


def test_arrays_that_are_no_real_numbers(tmp_path):
    net = Model((4,))
    weight = net.array(values=np.ones((4, 2)), dtype=np.complex64)
    path = net.save(tmp_path / "net.onnx", net.node("MatMul", "x", weight))
    with pytest.raises(FrontendError, match="its values are not real numbers"):
        load(path)


def test_steps_of_a_slice_are_not_passed_over(tmp_path):
    """Shape (batch, 2, 2, 2) in steps of 2 is (batch, 2), not all four."""
    net = Model((2, 2, 2))
    bounds = [net.array(values=[n], dtype=np.int64) for n in (0, 9, 2)]
    shape = net.node("Slice", net.node("Shape", "x"), *bounds[:2], "", bounds[2])
    path = net.save(tmp_path / "net.onnx", net.node("Reshape", "x", shape))
    with pytest.raises(FrontendError, match="only a part of a vector"):
        load(path)


def test_a_file_that_the_system_refuses(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    path = Model((4,)).save(tmp_path / "net.onnx", "x")
    monkeypatch.setattr(type(path), "read_bytes", refused)
    with pytest.raises(UsageError, match=r"PJ801 .*cannot be read: Permission denied"):
        load(path)


def test_hostile_bytes(tmp_path):
    """Cut and flipped files end in a FrontendError, or in a network."""
    net = Model((2, 6, 6))
    x = net.gemm(net.node("Flatten", net.conv("x", 2, 3)), 3 * 16, 4)
    path = net.save(tmp_path / "net.onnx", x)
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for round_ in range(300):
        data = bytearray(good)
        if round_ % 3 == 0:
            data = data[: rng.integers(len(data))]
        for place in rng.integers(0, max(len(data), 1), 3 if round_ % 3 else 0):
            data[place] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            load(path)
        except FrontendError:
            refused += 1
    assert refused > 100
