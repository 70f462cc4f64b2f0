"""Fake quantization: the grid, the named stand-in of its gradient, threads."""

import numpy as np
import pytest

from picojoule.grad.quantize import fake_quantize
from picojoule.grad.tape import Tensor, apply, backward, check_grads
from picojoule.kernels import fake_quantize as kernels

RNG = np.random.Generator(np.random.Philox(key=[8, 0]))


@pytest.mark.parametrize("channels", [False, True])
@pytest.mark.parametrize("shape", [(3, 7), (4, 3, 3, 3), (2, 40_000), (5,)])
def test_values_and_gradients_are_those_of_the_formulas(shape, channels):
    x, g = RNG.normal(size=(2, *shape))
    step = RNG.random(shape[0]) * 0.3 + 0.1 if channels else np.asarray(0.25)
    wide = step.reshape(-1, *(1,) * (len(shape) - 1)) if channels else step
    a, s = Tensor(x, wants=True), Tensor(step, wants=True)
    out = fake_quantize(a, s, -4, 3)
    backward(out, g)
    v = x * (1 / wide)
    level = np.clip(np.rint(v), -4, 3)
    inside = (v >= -4) & (v <= 3)
    assert np.array_equal(out.data, level * wide)
    assert np.array_equal(a.grad, g * inside)
    each = g * (level - np.where(inside, v, 0))
    axes = tuple(range(1, len(shape))) if channels else None
    expected = each.sum(axes) / np.sqrt(x.size // step.size * 3)
    assert s.grad.shape == step.shape and np.allclose(s.grad, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_float32_is_computed_in_float32(threads):
    """Where quotients lie between two levels a wider type would round some the other way."""
    step = np.asarray([0.1, 0.7, 0.3], np.float32)
    x = (np.arange(-90_000, 90_000, dtype=np.float32) + np.float32(0.5)).reshape(3, -1)
    x *= step[:, None]
    v = x * (1 / step)[:, None]
    level = np.clip(np.rint(v), -10_000, 80_000)
    assert v.dtype == level.dtype == np.float32
    out = kernels.fake_quantize(x, step, -10_000, 80_000, threads)
    assert np.array_equal(out, level * step[:, None])
    g, of_step = kernels.fake_quantize_gradients(x, x, step, -10_000, 80_000, threads)
    assert np.array_equal(g, x * ((v >= -10_000) & (v <= 80_000)))
    assert of_step.dtype == np.float32


def test_the_gradient_of_x_is_that_of_clipping():
    x = RNG.normal(size=200)
    stand_in = np.clip(x, -1.0, 0.75)

    def clip(t):
        return apply(lambda a: (np.clip(a, -1.0, 0.75), (a > -1) & (a < 0.75)),
                     lambda inside, g: (g * inside,), t)  # fmt: skip

    check_grads(clip, x)
    a, b = Tensor(x, wants=True), Tensor(x, wants=True)
    out = fake_quantize(a, Tensor(np.asarray(0.25)), -4, 3)
    backward(out, x)
    backward(clip(b), x)
    assert np.array_equal(a.grad, b.grad)
    assert np.abs(out.data - stand_in).max() <= 0.125


def test_bits_do_not_depend_on_threads():
    x, g = RNG.normal(size=(2, 300, 500)).astype(np.float32)
    for step in (np.float32(0.3), np.linspace(0.1, 0.5, 300, dtype=np.float32)):
        results = [
            (
                kernels.fake_quantize(x, step, -8, 7, threads),
                *kernels.fake_quantize_gradients(g, x, step, -8, 7, threads),
            )
            for threads in (1, 2, 3)
        ]
        for others in results[1:]:
            assert all(np.array_equal(a, b) for a, b in zip(results[0], others))
        assert all(part.dtype == np.float32 for part in results[0])
