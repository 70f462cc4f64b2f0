"""Array operations run on any array that speaks numpy's protocols, as CuPy's do; fused ones do not.

The stand-in refuses to become a numpy array, as CuPy's refuse, and must not mix with one.
"""

import numpy as np
import pytest
from numpy.lib.mixins import NDArrayOperatorsMixin

from picojoule.grad import activation, ops
from picojoule.grad.tape import Tensor, backward

RNG = np.random.Generator(np.random.Philox(key=[31, 0]))


class Elsewhere(NDArrayOperatorsMixin):
    """An array whose numbers numpy cannot see."""

    def __init__(self, hidden):
        self.hidden = hidden

    shape = property(lambda self: self.hidden.shape)
    ndim = property(lambda self: self.hidden.ndim)
    dtype = property(lambda self: self.hidden.dtype)
    size = property(lambda self: self.hidden.size)
    T = property(lambda self: Elsewhere(self.hidden.T))

    def __len__(self):
        return len(self.hidden)

    def __array__(self, *args, **kwargs):
        raise TypeError("implicit conversion to a numpy array is not allowed")

    def __getitem__(self, key):
        return Elsewhere(self.hidden[key])

    def __setitem__(self, key, value):
        self.hidden[key] = bare(value)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        kwargs = bare(kwargs)
        if out is not None:
            kwargs["out"] = bare(out)
        return dressed(getattr(ufunc, method)(*map(bare, inputs), **kwargs))

    def __array_function__(self, function, types, args, kwargs):
        return dressed(function(*bare(args), **bare(kwargs)))

    def __getattr__(self, name):  # methods: sum, mean, reshape, astype, ...
        if name.startswith("__"):
            raise AttributeError(name)
        method = getattr(self.hidden, name)
        return lambda *args, **kwargs: dressed(method(*bare(args), **bare(kwargs)))


def bare(value):
    if isinstance(value, Elsewhere):
        return value.hidden
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError("arrays of two kinds are mixed")
    if isinstance(value, list | tuple):
        return type(value)(map(bare, value))
    return {k: bare(v) for k, v in value.items()} if isinstance(value, dict) else value


def dressed(value):
    if isinstance(value, np.ndarray | np.generic):
        return Elsewhere(np.asarray(value))
    if isinstance(value, list | tuple):
        return type(value)(map(dressed, value))
    return value


X, W = RNG.normal(size=(5, 4)), RNG.normal(size=(3, 4))
B, TARGET = RNG.normal(size=3), np.eye(3)[[0, 2, 1, 1, 0]]
OPERATIONS = {
    "add": (lambda x, w: ops.add(x, w), X, X[0]),
    "multiply": (lambda x, w: ops.multiply(x, w), X, X[:, :1]),
    "scale": (lambda x: ops.scale(x, 2.5), X),
    "one_minus": (ops.one_minus, X),
    "total": (lambda x: ops.total(x, 1), X),
    "reshape": (lambda x: ops.reshape(x, (4, 5)), X),
    "spread": (lambda x: ops.spread(x, (5, 4)), X[0]),
    "linear": (ops.linear, X, W, B),
    "relu": (ops.relu, X),
    "batch_norm": (lambda *a: ops.batch_norm(*a, 1e-5), X, X[0], X[1]),
    "cross_entropy": (lambda z: ops.softmax_cross_entropy(z, same_kind(TARGET, z)), TARGET + 0.1),
    "leaky_relu": (activation.leaky_relu, X),
    "elu": (activation.elu, X),
    "sigmoid": (activation.sigmoid, X),
    "tanh": (activation.tanh, X),
    "softmax": (activation.softmax, X),
}


def same_kind(array, beside):
    return Elsewhere(array) if isinstance(beside.data, Elsewhere) else array


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_same_numbers_from_arrays_of_another_kind(name):
    run, *arrays = OPERATIONS[name]
    found = []
    for kind in (np.ascontiguousarray, lambda a: Elsewhere(a.copy())):
        leaves = [Tensor(kind(a), wants=True) for a in arrays]
        out = run(*leaves)
        backward(out)
        found.append([bare_array(x) for x in (out.data, *(leaf.grad for leaf in leaves))])
    for numpys, others in zip(*found, strict=True):
        np.testing.assert_allclose(others, numpys, rtol=1e-12)
    assert isinstance(out.data, Elsewhere)


def bare_array(value):
    return value.hidden if isinstance(value, Elsewhere) else np.asarray(value)
