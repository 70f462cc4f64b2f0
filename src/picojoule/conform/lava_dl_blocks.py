"""lava-dl's recordings of single blocks: Dense with LIF, with resonators, sigma-delta blocks.

Their parameters stand in the peer's own tests, not in a file; a sidecar may say others.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.conform.lava_dl_nets import PROFILE, rows
from picojoule.conform.lava_lif import dense_mantissas, resonator_scale
from picojoule.conform.net import INPUT, Net, Part
from picojoule.conform.trial import OUTPUT, Array, Quantity, Trial, whole
from picojoule.conform.vector import Vector
from picojoule.graph.ops import IntConv

CELL = "cell"
UNITS = 64  # a recorded current stands for this much of u


def _cell(size: int, **options: int) -> Part:
    return Part(CELL, np.arange(size), tuple(options.items()))


def _sent(name: str, want: Array) -> Quantity:
    return Quantity(name, want.astype(np.int64), ((OUTPUT, np.arange(want.shape[1])),))


def dense_trials(vector: Vector) -> Iterator[Trial]:
    """`weight` on `in`; `current` is u in units of 64, `out` the spikes; vth 6, du 4095, dv 415."""
    x = vector.array("in", None, None).T
    steps = len(x)
    weight = vector.array("weight", None, x.shape[1])
    net = Net(vector.name, x.shape[1], PROFILE)
    mantissa, dropped = dense_mantissas(weight, None, 8)
    net.dense("dense", mantissa, INPUT, CELL, 1, dropped=dropped)
    size = len(weight)
    net.neurons(_cell(size, refractory=1), "cuba", {
        "decay_u": vector.integer("du", default=4095), "decay_v": vector.integer("dv", default=415),
        "v_th": vector.integer("vth", default=6),
    })  # fmt: skip
    current = whole("current", CELL, "u", vector.array("current", size, steps).T)
    current = Quantity(current.name, current.want, current.pieces, unit=UNITS)
    found = (current, _sent("out", vector.array("out", size, steps).T))
    yield Trial(net.graph(CELL, steps), PROFILE, x[None], found)


def complex_trials(vector: Vector) -> Iterator[Trial]:
    """Resonators behind two Dense, and, where `current` is there, a block without synapses.

    RF: period 11, vth 25; input block RF_IZ: period 7, vth 1.1; both alpha 0.05, exponent 6.
    """
    x = vector.array("in", None, None).T
    weights = [vector.array(key, None, x.shape[1]) for key in ("weight_r", "weight_img")]
    if weights[0].shape != weights[1].shape:
        raise vector.fail("arrays 'weight_r' and 'weight_img' differ in shape")
    net = Net(vector.name, x.shape[1], PROFILE)
    size = len(weights[0])
    scale = _resonators(vector, net, size, "resonator", "", 11.0, 25.0)
    for k, weight in enumerate(weights):
        mantissa, dropped = dense_mantissas(weight, None, 8)
        net.dense(f"dense{k}", mantissa, INPUT, CELL, 1, dropped=dropped, exponent=scale)
    want = vector.array("out", size, len(x)).T
    yield Trial(net.graph(CELL, len(x)), PROFILE, x[None], (_sent("out", want),))
    if "current" in vector.arrays or "current" in vector.broken:
        yield _input_block(vector, x)


def _input_block(vector: Vector, x: Array) -> Trial:
    size = x.shape[1]
    net = Net(vector.name, size, PROFILE)
    scale = _resonators(vector, net, size, "resonator_iz", "input_", 7.0, 1.1)
    for k in range(2):  # the peer feeds real and imaginary part alike
        net.one_to_one(f"wire{k}", size, CELL, weight=1 << scale)
    want = vector.array("current", size, len(x)).T
    return Trial(net.graph(CELL, len(x)), PROFILE, x[None], (_sent("current", want),))


def _resonators(
    vector: Vector, net: Net, size: int, kind: str, prefix: str, period: float, vth: float
) -> int:
    """A population with sin, cos = int((1 - alpha) sin, cos(2 pi / period) 2**decay_bits), as
    Lava computes them; returns by how much to shift its weights."""
    bits = vector.integer(f"{prefix}decay_bits", low=1, high=30, default=12)
    state = vector.integer(f"{prefix}state_exp", low=0, high=7, default=6)
    turn = 2 * np.pi / vector.real(f"{prefix}period", default=period)
    kept = (1 - vector.real(f"{prefix}alpha", default=0.05)) * (1 << bits)
    threshold, exponent, scale = resonator_scale(vector.real(f"{prefix}vth", default=vth), state)
    registers = {"sin": int(kept * np.sin(turn)), "cos": int(kept * np.cos(turn)),
                 "v_th": threshold}  # fmt: skip
    part = _cell(size, decay_bits=bits, state_exponent=exponent)
    net.neurons(part, kind, registers, second=1)
    return scale


# ---------------------------------------------------------------------------------- sigma-delta


def sdnn_trials(vector: Vector) -> Iterator[Trial]:
    """Three blocks, each fed with the recording of the one before; vth 20, exponents 6.

    input   a Delta, fed with int(input_bias sin(2 pi t / steps))
    layer1  one step of a convolution with SigmaDelta (the peer ran no more: later columns are
            empty), so no input has arrived
    layer2  a Sigma behind a Dense that takes graded spikes for plain ones
    """
    yield _delta_block(vector)
    yield _conv_block(vector)
    yield _sigma_block(vector)


def _options(vector: Vector) -> dict[str, int]:
    return {
        "spike_exponent": vector.integer("spike_exp", low=0, high=30, default=6),
        "state_exponent": vector.integer("state_exp", low=0, high=30, default=6),
    }


def _delta_block(vector: Vector) -> Trial:
    want = rows(vector.array("input", None, None, None, None))
    steps = len(want)
    peak = vector.array("input_bias", *vector.array("input").shape[:3])
    wave = np.sin(2 * np.pi * np.arange(steps) / steps)
    x = rows((peak[..., None].astype(np.float64) * wave).astype(np.int64))
    net = Net(vector.name, want.shape[1], PROFILE)
    net.one_to_one("wire", want.shape[1], CELL)
    part = _cell(want.shape[1], **_options(vector))
    net.neurons(part, "delta", {"v_th": vector.integer("vth", default=20)})
    return Trial(net.graph(CELL, steps), PROFILE, x[None], (_sent("input", want),))


def _conv_block(vector: Vector) -> Trial:
    shape = vector.array("input", None, None, None, None).shape[:3]
    kernel = vector.array("layer1_kernel", None, None, None, shape[2])
    stride = vector.integer("stride", low=1, default=2)
    x = rows(vector.array("input"))[:1]
    net = Net(vector.name, x.shape[1], PROFILE)
    op = IntConv(
        weight=net.pin("conv.weight", kernel.transpose(0, 3, 2, 1)), channels=len(kernel),
        in_shape=(shape[1], shape[0], shape[2]), kernel=(kernel.shape[2], kernel.shape[1]),
        dropped=0, flipped=True, graded=True, stride=(stride, stride),
    )  # fmt: skip
    if op.complaints():
        raise vector.fail(op.complaints()[0])
    net.feed("conv", op, INPUT, CELL, 1)
    height, width, channels = op.out_shape
    want = rows(vector.array("layer1", width, height, channels, None)[..., :1])
    bias = np.broadcast_to(vector.array("layer1_bias", channels), op.out_shape)
    part = _cell(want.shape[1], **_options(vector))
    net.neurons(part, "sigma_delta", {"v_th": vector.integer("vth", default=20), "bias": bias})
    return Trial(net.graph(CELL, 1), PROFILE, x[None], (_sent("layer1", want),))


def _sigma_block(vector: Vector) -> Trial:
    """A Sigma keeps what SigmaDelta's word sigma keeps, and sends it."""
    flat = vector.array("layer1", None, None, None, None)
    x = flat.reshape(-1, flat.shape[3]).T
    weight = vector.array("layer2_weight", None, x.shape[1])
    want = vector.array("layer2", len(weight), len(x)).T
    net = Net(vector.name, x.shape[1], PROFILE)
    mantissa, dropped = dense_mantissas(weight, None, 8)
    net.dense("dense", mantissa, INPUT, CELL, 1, dropped=dropped)
    net.neurons(_cell(len(weight), **_options(vector)), "sigma_delta", {"v_th": 0, "bias": 0})
    found = whole("layer2", CELL, "sigma", want)
    return Trial(net.graph(CELL, len(x)), PROFILE, x[None], (found,))
