"""Checkpointing: the same bits, less memory."""

import tracemalloc

import numpy as np
import pytest

from picojoule.grad import ops
from picojoule.grad.activation import dropout, tanh
from picojoule.grad.checkpoint import checkpoint, in_segments
from picojoule.grad.tape import Tensor, backward, check_grads

RNG = np.random.Generator(np.random.Philox(key=[6, 0]))


def network(depth, width, rate=0.2):
    """Layers with parameters, activations and dropout by key."""

    def layer(k):
        def run(x, weight, bias):
            return dropout(tanh(ops.linear(x, weight, bias)), rate, (3, k))

        arrays = (RNG.normal(size=(width, width)) / width**0.5, RNG.normal(size=width))
        return run, tuple(Tensor(a.astype(np.float32), wants=True) for a in arrays)

    return [layer(k) for k in range(depth)]


def gradients(layers, x, size):
    leaf = Tensor(x, wants=True)
    for _, parameters in layers:
        for p in parameters:
            p.grad = None
    out = leaf
    if size is None:
        for function, parameters in layers:
            out = function(out, *parameters)
    else:
        out = in_segments(layers, leaf, size or None)
    backward(out, np.ones(out.shape, np.float32))
    return [out.data, leaf.grad, *(p.grad for _, many in layers for p in many)]


@pytest.mark.parametrize("size", [0, 1, 2, 5, 9])
def test_gradients_have_the_same_bits_also_with_dropout(size):
    layers = network(9, 8)
    x = RNG.normal(size=(6, 8)).astype(np.float32)
    plain, replayed = gradients(layers, x, None), gradients(layers, x, size)
    assert all(np.array_equal(a, b) for a, b in zip(plain, replayed))


def test_gradients_are_those_of_central_differences():
    x, w, b = (RNG.normal(size=s) for s in ((3, 4), (4, 4), 4))
    check_grads(lambda *t: checkpoint(lambda x, w, b: tanh(ops.linear(x, w, b)), *t), x, w, b)


def test_what_wants_no_gradient_gets_none():
    x, w = Tensor(np.ones(2)), Tensor(np.full(2, 3.0), wants=True)
    backward(checkpoint(ops.multiply, x, w))
    assert x.grad is None and w.grad.tolist() == [1, 1]


def peak(layers, x, size):
    tracemalloc.start()
    gradients(layers, x, size)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def test_memory_grows_with_the_square_root_of_the_depth():
    layers, x = network(36, 4, 0.0), np.ones((4096, 4), np.float32)
    whole, parts = peak(layers, x, None), peak(layers, x, 0)
    assert parts < 0.45 * whole
