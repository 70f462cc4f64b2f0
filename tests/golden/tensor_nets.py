"""Our own quantized layers for the TFLite peers: each reaches the edges of some rules."""

from __future__ import annotations

import numpy as np
from design import Layer, TensorNet

EVERY = np.arange(-128, 128)  # every int8


def _single(name, covers, note, seed, x, weight, bias, step_w, step_in=1.0, zero_in=0, **out):
    layer = Layer(
        "y",
        "dense",
        ("x",),
        out.pop("step", 1.0),
        weight=np.asarray(weight),
        bias=np.asarray(bias),
        step_w=np.asarray(step_w, np.float32),
        **out,
    )
    return TensorNet(name, covers, note, seed, {"x": x}, {"x": step_in}, {"x": zero_in}, (layer,))


def ties():
    """Every int8 times +-1 and +-3 over powers of two: ties of both signs."""
    step_w = [0.5, 0.5, 0.25, 0.25, 0.125, 0.125, 0.0625, 2.0**-6, 0.75, 0.375]
    weight = np.array([1, -1, 1, -1, 1, -1, 3, 3, 1, -1])[:, None]
    return _single(
        "tfl_ties",
        ("T2", "T3", "T4", "T6"),
        ties.__doc__,
        0,
        EVERY[:, None],
        weight,
        np.zeros(10, int),
        step_w,
    )


def rounding():
    """Random multipliers of 10^-1 to 10^-4 over sums that spread over the whole int8 range."""
    rng = np.random.default_rng(2501)
    x, weight = rng.integers(-128, 128, (120, 6)), rng.integers(-127, 128, (14, 6))
    step_w = np.exp(rng.uniform(np.log(2e-3), np.log(4e-2), 14))
    bias = rng.integers(-3000, 3000, 14)
    return _single(
        "tfl_rounding",
        ("T1", "T2", "T3", "T4", "T6"),
        rounding.__doc__,
        2501,
        x,
        weight,
        bias,
        step_w,
        0.25,
        -3,
        step=0.21,
        zero=5,
    )


def exponents():
    """Multipliers from 2^-40 (which is 0) to 2^12, and one whose fraction rounds up to 1."""
    rng = np.random.default_rng(2502)
    x = np.concatenate([rng.integers(-128, 128, (60, 3)), [[0, 0, 0], [1, 0, 0], [0, 0, -1]]])
    weight = rng.integers(-127, 128, (12, 3))
    weight[6:] = np.sign(weight[6:])
    step_w = [
        2.0**-40,
        1.3 * 2.0**-33,
        0.999 * 2.0**-31,
        1.7 * 2.0**-31,
        1.1 * 2.0**-24,
        1.9 * 2.0**-10,
        1.0,
        1.5,
        2.0,
        3.99,
        37.0,
        4096.0,
    ]
    step_w = np.array(step_w, np.float32)
    bias = np.array(
        [
            2**31 - 50000,
            -(2**31) + 50000,
            2**31 - 50000,
            -(2**31) + 50000,
            -(2**30),
            40000,
            0,
            1,
            -1,
            0,
            3,
            0,
        ]
    )
    return _single(
        "tfl_exponents", ("T1", "T4", "T6"), exponents.__doc__, 2502, x, weight, bias, step_w
    )


def full_fraction():
    """Real multipliers (1 - 2^-46) / 2 and so on, whose 31-bit fraction rounds up to 1."""
    low, high = 1 - 2.0**-23, 1 + 2.0**-23
    return _single(
        "tfl_full_fraction",
        ("T4", "T8"),
        full_fraction.__doc__,
        0,
        EVERY[:, None],
        np.array([[1], [-1], [3], [127]]),
        np.zeros(4, int),
        low * np.array([0.5, 0.25, 0.125, 1.0]),
        step_in=high,
    )


def zero_points():
    """Zero points at both ends of int8 on input and output; results beyond both ends."""
    rng = np.random.default_rng(2503)
    x, weight = rng.integers(-128, 128, (60, 5)), rng.integers(-127, 128, (8, 5))
    layers = tuple(
        Layer(
            f"y{k}",
            "dense",
            ("x",),
            step,
            zero,
            activation,
            weight=np.roll(weight, k, 0),
            bias=rng.integers(-20000, 20000, 8),
            step_w=rng.uniform(0.001, 0.02, 8).astype("f4"),
        )
        for k, (step, zero, activation) in enumerate(
            [
                (0.4, -128, "none"),
                (0.4, 127, "none"),
                (0.3, -128, "relu"),
                (0.5, 13, "relu"),
                (0.05, -128, "relu6"),
                (0.1, -60, "relu6"),
                (0.3, 126, "relu"),
            ]
        )
    )
    return TensorNet(
        "tfl_zero_points",
        ("T1", "T5", "T6"),
        zero_points.__doc__,
        2503,
        {"x": x},
        {"x": 0.11},
        {"x": -128},
        layers,
    )


def wide_sums():
    """Sums beyond 2^24, where a float32 carrier rounds, that a bias brings back to few bits."""
    rng = np.random.default_rng(2504)
    x, weight = np.full((40, 1200), 127), np.full((4, 1200), 127)
    x[:, 1160:], weight[:, 1160:] = rng.integers(-8, 9, (40, 40)), rng.integers(-2, 3, (4, 40))
    weight[1::2, :1160] = -127
    bias = -weight[:, :1160].sum(1) * 127
    return _single(
        "tfl_wide_sums", ("T1", "T6"), wide_sums.__doc__, 2504, x, weight, bias, np.ones(4)
    )


def register_wraps():
    """Sums and left shifts beyond 32 bits: the peers' int32 registers wrap."""
    rng = np.random.default_rng(2505)
    x, weight = rng.integers(-128, 128, (60, 4)), rng.integers(-127, 128, (6, 4))
    bias = np.array([2**31 - 9000, -(2**31) + 9000, 2**31 - 100, 100000, -70000, 2**24])
    step_w = np.array([4e-8, 4e-8, 5e-8, 65536.0 * 0.7, 40000.0, 300.0], np.float32)
    return _single(
        "tfl_register_wraps", ("T1", "T4"), register_wraps.__doc__, 2505, x, weight, bias, step_w
    )


def _sum(name, note, seed, steps, zeros, *outs):
    rng = np.random.default_rng(seed)
    inputs = {"a": rng.integers(-128, 128, (24, 16)), "b": rng.integers(-128, 128, (24, 16))}
    layers = tuple(Layer(f"y{k}", "add", ("a", "b"), *out) for k, out in enumerate(outs))
    return TensorNet(
        name,
        ("T2", "T3", "T4", "T5", "T7"),
        note,
        seed,
        inputs,
        dict(zip("ab", steps)),
        dict(zip("ab", zeros)),
        layers,
    )


def add_near():
    """Sums of edges of close steps, with zero points, activations and saturation."""
    return _sum(
        "tfl_add_near",
        add_near.__doc__,
        2601,
        (0.05, 0.061),
        (-7, 100),
        (0.07, 3),
        (0.07, -128, "relu"),
        (0.02, 20),
        (0.11, 0, "relu6"),
    )


def add_far():
    """Sums of edges whose steps differ by 700 times, either one the larger."""
    return _sum(
        "tfl_add_far",
        add_far.__doc__,
        2602,
        (0.0007, 0.49),
        (12, -30),
        (0.5, 0),
        (0.2, -1),
        (1.9, 60),
        (0.3, 100, "relu"),
    )


def add_ties():
    """Equal steps and an output step of 2, 4 or 8 of them: every sum ties in its turn."""
    return _sum(
        "tfl_add_ties",
        add_ties.__doc__,
        2603,
        (0.5, 0.5),
        (0, 0),
        (1.0, 0),
        (2.0, 0),
        (4.0, -5),
        (0.5, 1),
    )


def network():
    """Dense, ReLU, dense, a residual sum, dense: every layer recorded."""
    rng = np.random.default_rng(2701)

    def dense(name, source, step, zero, out, fan_in, activation="none"):
        return Layer(
            name,
            "dense",
            (source,),
            step,
            zero,
            activation,
            weight=rng.integers(-127, 128, (out, fan_in)),
            bias=rng.integers(-4000, 4000, out),
            step_w=rng.uniform(0.002, 0.006, out).astype("f4"),
        )

    layers = (
        dense("h1", "x", 0.05, -128, 24, 20, "relu"),
        dense("h2", "h1", 0.04, 10, 24, 24),
        Layer("h3", "add", ("h1", "h2"), 0.06, -20),
        dense("h4", "h3", 0.09, 0, 10, 24),
    )
    return TensorNet(
        "tfl_network",
        ("T1", "T2", "T3", "T4", "T5", "T6", "T7"),
        network.__doc__,
        2701,
        {"x": rng.integers(-128, 128, (40, 20))},
        {"x": 0.02},
        {"x": 4},
        layers,
    )


def fully_connected():
    """The same rules in a fully connected layer of TFLite-Micro, one multiplier a channel."""
    rng = np.random.default_rng(2702)
    x, weight = rng.integers(-128, 128, (60, 16)), rng.integers(-127, 128, (12, 16))
    return _single(
        "tflm_fully_connected",
        ("T1", "T4", "T6"),
        fully_connected.__doc__,
        2702,
        x,
        weight,
        rng.integers(-5000, 5000, 12),
        rng.uniform(0.003, 0.03, 12),
        0.13,
        17,
        step=0.6,
        zero=-9,
    )


CONVOLUTIONS = (
    ties,
    rounding,
    exponents,
    full_fraction,
    zero_points,
    wide_sums,
    register_wraps,
    add_near,
    add_far,
    add_ties,
    network,
)
FULLY_CONNECTED = (fully_connected,)
