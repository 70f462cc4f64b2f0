"""Vectors of Lava's fixed-point process models, one kind each.

Row t is the peer's time step t + 1.  Spikes of a source reach a neuron behind a Dense in the
next row, later by the synapse's delay; a neuron that is fed directly acts in the same row.
A Dense stores mantissas of its sign mode (1 mixed, 2 excitatory, 3 inhibitory; null: from the
signs that occur) and shifts the sum of a step, not each weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from picojoule.conform.lava_lif import dense_mantissas, lif_trials, resonator_scale
from picojoule.conform.net import INPUT, Net, Part
from picojoule.conform.trial import OUTPUT, Array, NotYet, Quantity, Trial, whole
from picojoule.conform.vector import Vector
from picojoule.fixed.profile import SPIKING
from picojoule.graph.ops import IntConv

PEER = "lava"
SIZE_MAX = 1 << 20
CELL = "cell"


def known(vector: Vector) -> bool:
    """Whether the sidecar is one of this format: its kind, and Lava as the peer where it says."""
    peer = vector.head.get("peer", "lava")
    return "kind" in vector.head and "T" in vector.head and str(peer).lower().startswith("lava")


def trials(vector: Vector) -> Iterator[Trial]:
    """The process of a sidecar.  Raises NotYet for a kind that is unknown, or learns."""
    kind = vector.head["kind"]
    if kind == "learn":
        raise NotYet("it learns (kind 'learn')")
    if not isinstance(kind, str) or kind not in READERS:
        raise NotYet(f"unknown kind {str(kind)[:40]!r}; known: {', '.join(READERS)}")
    return READERS[kind](vector)


def shown(vector: Vector, key: str) -> Array:
    """What an input sends: int64 (steps, n), packed bits unpacked."""
    steps = vector.steps()
    count = vector.integer("inputs", key, "n", low=1, high=SIZE_MAX)
    if vector.get("inputs", key, "kind") == "bits":
        return vector.bits(key, steps, count).astype(np.int64)
    return vector.array(key, steps, count)


def _cell(size: int, **options: int) -> Part:
    return Part(CELL, np.arange(size), tuple(options.items()))


def _done(
    vector: Vector, net: Net, samples: Array, states: dict[str, str], sent: str = "o_s"
) -> Trial:
    """The trial of a single population: its state words, and what it sends."""
    steps, size = vector.steps(), net.made[0][0].size
    found = [
        whole(key, CELL, word, vector.array(key, steps, size))
        for key, word in states.items()
        if key in vector.arrays or key in vector.broken
    ]
    want = vector.array(sent, steps, size)
    found.append(Quantity(sent, want.astype(np.int64), ((OUTPUT, np.arange(size)),)))
    return Trial(net.graph(CELL, steps), PEER, samples[None], tuple(found))


def _graded_dense(vector: Vector, net: Net, exponent: int) -> int:
    """The Dense `w` in front of a population, fed with payloads; returns its size."""
    weight = vector.array("w", None, net.channels)
    mantissa, dropped = dense_mantissas(weight, None, 8)
    net.dense("dense", mantissa, INPUT, CELL, 1, exponent=exponent, dropped=dropped, graded=True)
    return len(weight)


def _sigma_delta(vector: Vector) -> Iterator[Trial]:
    x = shown(vector, "in")
    net = Net(vector.name, x.shape[1], PEER)
    size = _graded_dense(vector, net, vector.integer("exp", low=-63, high=40, default=0))
    part = _cell(
        size, spike_exponent=vector.integer("spike_exp", low=0, high=40),
        state_exponent=vector.integer("state_exp", low=0, high=40),
        cumulative=vector.flag("cum"), corrected=vector.flag("corrected"),
    )  # fmt: skip
    bias = vector.array("bias", size) if "bias" in vector.arrays else 0
    net.neurons(part, "sigma_delta", {"v_th": vector.integer("vth"), "bias": bias})
    words = {f"o_{word}": word for word in ("sigma", "act", "residue", "error")}
    yield _done(vector, net, x, words)


def _delta(vector: Vector) -> Iterator[Trial]:
    x = shown(vector, "in")
    net = Net(vector.name, x.shape[1], PEER)
    net.one_to_one("wire", x.shape[1], CELL)
    part = _cell(
        x.shape[1], spike_exponent=vector.integer("spike_exp", low=0, high=40),
        state_exponent=vector.integer("state_exp", low=0, high=40),
    )  # fmt: skip
    net.neurons(part, "delta", {"v_th": vector.integer("vth")})
    yield _done(vector, net, x, {"o_act": "act", "o_residue": "residue"})


def _resonator(vector: Vector) -> Iterator[Trial]:
    kinds = {"RF": "resonator", "RF_IZ": "resonator_iz"}
    kind = vector.get("cls")
    if kind not in kinds:
        raise NotYet(f"unknown class {str(kind)[:40]!r}; known: {', '.join(kinds)}")
    pair = (shown(vector, "in_re"), shown(vector, "in_im"))
    threshold, exponent, scale = resonator_scale(vector.real("vth"), _state_exponent(vector))
    net = _two_inputs(vector, pair, 1 << scale)
    bits = vector.integer("decay_bits", low=1, high=40)
    part = _cell(pair[0].shape[1], decay_bits=bits, state_exponent=exponent)
    registers = {"sin": vector.integer("sin"), "cos": vector.integer("cos"), "v_th": threshold}
    net.neurons(part, kinds[kind], registers, second=1)
    yield _done(vector, net, np.hstack(pair), {"o_re": "re", "o_im": "im"})


def _state_exponent(vector: Vector) -> int:
    return vector.integer("state_exp", low=0, high=7)


def _two_inputs(vector: Vector, pair: tuple[Array, Array], weight: int = 1) -> Net:
    """A population of two currents, each fed by half of the input."""
    size = pair[0].shape[1]
    if pair[1].shape[1] != size:
        raise vector.fail("its two inputs differ in size")
    net = Net(vector.name, 2 * size, PEER)
    for k in range(2):
        net.one_to_one(f"wire{k}", size, CELL, k * size, weight)
    return net


def _product(vector: Vector) -> Iterator[Trial]:
    pair = (shown(vector, "in1"), shown(vector, "in2"))
    net = _two_inputs(vector, pair)
    part = _cell(pair[0].shape[1], exponent=vector.integer("exp", low=0, high=62))
    net.neurons(part, "product", {"v_th": vector.integer("vth")}, second=1)
    yield _done(vector, net, np.hstack(pair), {})


def _graded(vector: Vector) -> Iterator[Trial]:
    x = shown(vector, "in")
    net = Net(vector.name, x.shape[1], PEER)
    size = _graded_dense(vector, net, vector.integer("exp", low=-63, high=40, default=0))
    kind = "graded_relu" if vector.flag("relu") else "graded"
    net.neurons(_cell(size), kind, {"v_th": vector.integer("vth")})
    yield _done(vector, net, x, {})


def _atrlif(vector: Vector) -> Iterator[Trial]:
    x = shown(vector, "in")
    net = Net(vector.name, x.shape[1], PEER)
    weight = vector.array("w", None, net.channels)
    mantissa, dropped = dense_mantissas(weight, None, 8)
    net.dense("dense", mantissa, INPUT, CELL, 1, dropped=dropped,
              exponent=vector.integer("exp", low=-63, high=40, default=0))  # fmt: skip
    units = 1 << SPIKING[PEER].decay_bits
    registers: dict[str, int | Array] = {
        f"decay_{name}": int(vector.real(f"delta_{name}") * units)
        for name in ("i", "v", "theta", "r")
    }
    registers |= {name: vector.integer(name) for name in ("theta_0", "theta_step")}
    registers["bias"] = vector.integer("bias_mant", default=0)
    part = _cell(len(weight), bias_exponent=vector.integer("bias_exp", low=0, high=31, default=0))
    net.neurons(part, "atrlif", registers)
    yield _done(vector, net, x, {f"o_{word}": word for word in ("i", "v", "theta", "r")})


def _conv(vector: Vector) -> Iterator[Trial]:
    """A Conv alone: what it sums is read off graded neurons of threshold -1, which send it all.

    The peer's axes are x, y, channel, and it slides the flipped kernel.
    """
    x = vector.array("x", vector.steps(), None, None, None)
    weight = vector.array("w", None, None, None, x.shape[3])
    pairs = {
        key: tuple(vector.integer(key, k, low=low, high=1 << 16) for k in range(2))
        for key, low in (("stride", 1), ("padding", 0))
    }
    net = Net(vector.name, int(np.prod(x.shape[1:])), PEER)
    op = IntConv(
        weight=net.pin("conv.weight", weight.transpose(0, 3, 1, 2)), in_shape=x.shape[1:],
        channels=len(weight), kernel=weight.shape[1:3], dropped=0, flipped=True, graded=True,
        **pairs,
    )  # fmt: skip
    if op.complaints():
        raise vector.fail(op.complaints()[0])
    net.feed("conv", op, INPUT, CELL, 1)
    want = vector.array("o_a", len(x), *op.out_shape).reshape(len(x), -1)
    net.neurons(_cell(want.shape[1]), "graded", {"v_th": -1})
    sent = Quantity("o_a", want, ((OUTPUT, np.arange(want.shape[1])),))
    yield Trial(net.graph(CELL, len(x)), PEER, x.reshape(1, len(x), -1), (sent,))


READERS: dict[str, Callable[[Vector], Iterator[Trial]]] = {
    "lif": lif_trials, "sigmadelta": _sigma_delta, "delta": _delta, "rf": _resonator,
    "atrlif": _atrlif, "prod": _product, "gradedvec": _graded, "conv": _conv,
}  # fmt: skip
