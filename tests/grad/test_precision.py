"""Small formats against independent implementations, loss scaling, delayed scaling."""

import numpy as np
import pytest

from picojoule.grad import ops
from picojoule.grad.optimize import Adam
from picojoule.grad.precision import (
    Delayed,
    Fp8Scaling,
    LossScale,
    cast,
    linear_fp8,
    lowered,
    rounded_by,
    scaled_step,
)
from picojoule.grad.tape import Tensor, backward
from picojoule.kernels.minifloat import FORMATS, KINDS, round_minifloat

RNG = np.random.Generator(np.random.Philox(key=[7, 0]))
SPECIAL = [0.0, -0.0, 1.0, 448.0, 464.0, 465.0, 57344.0, 61440.0, 65504.0, 65519.9, 65520.0, 1e9,
           3e38, 2.0**-9, 2.0**-10, 2.0**-16, 2.0**-17, 2.0**-24, 2.0**-25, 1e-30,
           np.inf]  # fmt: skip


def numbers(n):
    """Bits at random: every exponent, both signs, no infinities or what is no number."""
    bits = RNG.integers(0, 2**32, n, np.uint32).view(np.float32)
    near = (RNG.normal(size=n) * 2.0 ** RNG.integers(-12, 12, n)).astype(np.float32)
    special = np.array([*SPECIAL, *(-v for v in SPECIAL)], np.float32)
    return np.concatenate([bits[np.isfinite(bits)], near, special])


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_that_of_ml_dtypes(kind):
    types = pytest.importorskip("ml_dtypes")
    peers = {"e4m3": types.float8_e4m3fn, "e5m2": types.float8_e5m2,
             "float16": np.float16, "bfloat16": types.bfloat16}  # fmt: skip
    x = numbers(200_000)
    form = FORMATS.get(kind)
    limit = form.largest if form and form.saturates else np.inf
    with np.errstate(over="ignore"):
        peer = np.clip(x, -limit, limit).astype(peers[kind]).astype(np.float32)
    assert np.array_equal(round_minifloat(x, kind).view(np.int32), peer.view(np.int32))


@pytest.mark.parametrize("kind", KINDS)
def test_rounding_is_to_the_nearest_of_all_numbers_of_the_format(kind):
    fraction, lowest = {"bfloat16": (7, -126)}.get(kind) or (
        FORMATS[kind].fraction, FORMATS[kind].lowest,
    )  # fmt: skip
    x = np.abs(RNG.normal(size=2000)).astype(np.float32) * 4
    exponent = np.maximum(np.floor(np.log2(x.astype(float))), lowest)
    quantum = 2.0 ** (exponent - fraction)
    assert np.array_equal(round_minifloat(x, kind), np.rint(x / quantum) * quantum)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_number_stays_and_threads_change_nothing(kind):
    assert np.isnan(round_minifloat(np.array([np.nan, -np.nan]), kind)).all()
    x = numbers(200_000)
    one, two = (round_minifloat(x, kind, threads) for threads in (1, 2))
    assert np.array_equal(one, two)


def test_an_unknown_format_is_a_bug_of_the_caller():
    with pytest.raises(KeyError):
        round_minifloat(np.ones(1), "e3m4")


def gradient(scale):
    x = Tensor(np.ones((1, 1), np.float32), wants=True)
    out = cast(ops.scale(cast(x, "float16"), 2.0**-26), "float16")
    backward(out, np.full((1, 1), scale, np.float32))
    return x.grad / np.float32(scale)


def test_a_tiny_gradient_vanishes_unscaled_and_is_exact_when_scaled():
    assert gradient(1.0) == 0
    assert gradient(2.0**15) == 2.0**-26


def test_an_overflow_skips_the_step_and_touches_no_state():
    flat, adam = np.ones(3, np.float32), Adam(3)
    adam.step(flat, np.ones(3, np.float32), 0.1)
    before = [flat.copy(), *(b.copy() for b in adam.buffers.values())]
    state = LossScale(scale=8.0, good=5)
    g = np.array([1, np.inf, 0], np.float32)
    state = scaled_step(state, g, lambda g: adam.step(flat, g, 0.1))
    assert state == LossScale(scale=4.0, good=0)
    assert all(np.array_equal(a, b) for a, b in zip(before, [flat, *adam.buffers.values()]))
    assert adam.count == 1


def test_a_good_step_sees_the_gradient_without_the_factor():
    seen = []
    state = scaled_step(LossScale(scale=8.0, patience=2), np.full(2, 16, np.float32), seen.append)
    assert seen[0].tolist() == [2, 2] and state.scale == 8.0
    assert scaled_step(state, np.zeros(1), seen.append) == LossScale(16.0, 0, 2)


def test_the_factor_never_falls_below_one():
    assert LossScale(scale=1.0).after(False).scale == 1.0


def test_lowered_rounds_inputs_results_and_gradients():
    x, w = (RNG.normal(size=(4, 4)).astype(np.float32) for _ in range(2))
    a, b = Tensor(x, wants=True), Tensor(w, wants=True)
    out = lowered(ops.multiply, "bfloat16")(a, b)
    rounded = [round_minifloat(v, "bfloat16") for v in (x, w)]
    assert np.array_equal(out.data, round_minifloat(rounded[0] * rounded[1], "bfloat16"))
    backward(out, np.ones((4, 4), np.float32))
    assert np.array_equal(a.grad, rounded[1])


def test_delayed_scaling_follows_the_largest_of_what_was_seen():
    state = Delayed("e4m3", length=2)
    assert state.factor == 1.0
    state = state.after(np.array([100.0]))
    assert state.factor == 4.0  # 400 still fits below 448
    state = state.after(np.array([-1e-3])).after(np.array([1e-3]))
    assert state.history == (1e-3, 1e-3) and 224 < 1e-3 * state.factor <= 448
    assert state.after(np.array([np.inf])) == state
    assert Delayed("e5m2", margin=1, history=(1.0,)).factor == 2.0**14


def test_scaling_saves_what_would_be_below_the_smallest_number():
    x = np.array([2.0**-14, 2.0**-15], np.float32)
    assert not rounded_by(x, Delayed("e4m3")).any()
    assert np.array_equal(rounded_by(x, Delayed("e4m3").after(x)), x)


def test_a_linear_layer_in_fp8_learns_as_well():
    x = RNG.normal(size=(256, 16)).astype(np.float32)
    truth = RNG.normal(size=(4, 16)).astype(np.float32) / 4
    y = x @ truth.T
    losses = []
    for state in (None, Fp8Scaling()):
        weight, bias = (Tensor(np.zeros(s, np.float32), wants=True) for s in ((4, 16), (4,)))
        for _ in range(60):
            weight.grad = bias.grad = None
            out = (
                ops.linear(Tensor(x), weight, bias)
                if state is None
                else linear_fp8(Tensor(x), weight, bias, state)
            )
            away = out.data - y
            backward(out, away / np.float32(len(x)))
            weight.data -= np.float32(0.5) * weight.grad
        losses.append(float(np.square(away).mean()))
    start = float(np.square(y).mean())
    assert losses[0] < 1e-6 * start and losses[1] < 1e-2 * start


def test_fp8_gradients_are_those_of_rounded_operands():
    x, w, g = (RNG.normal(size=s).astype(np.float32) for s in ((5, 3), (2, 3), (5, 2)))
    a, b, c = Tensor(x, wants=True), Tensor(w, wants=True), Tensor(np.zeros(2), wants=True)
    state = Fp8Scaling()
    backward(linear_fp8(a, b, c, state), g)
    small = [round_minifloat(v, k) for v, k in ((x, "e4m3"), (w, "e4m3"), (g, "e5m2"))]
    assert np.array_equal(a.grad, small[2] @ small[1])
    assert np.array_equal(b.grad, small[2].T @ small[0])
    assert len(state.x.history) == len(state.weight.history) == len(state.g.history) == 1
