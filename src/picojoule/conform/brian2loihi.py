"""Vectors of Brian2Loihi: currents, voltages and spikes of networks that do not learn.

sign_mode 1 mixed, 2 excitatory, 3 inhibitory; a projection stores `num_weight_bits` bits and
drops 8 - bits (+ 1 if mixed) of each mantissa towards zero; an input event of step t acts at
t + delay, a neuron's spike at t + 1 + delay.  `I` is the current after input and before its
decay: our u of that step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from picojoule.conform.net import INPUT, Net, Part, gathered, matrices
from picojoule.conform.trial import Array, NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.fixed.arithmetic import effective_weight
from picojoule.fixed.profile import SPIKING

PEER = "brian2loihi"
MIXED = 1
SIZE_MAX = 1 << 20


def known(vector: Vector) -> bool:
    """Whether the sidecar is one of this format."""
    return {"groups", "syns", "n_inputs", "T"} <= vector.head.keys()


def trials(vector: Vector) -> Iterator[Trial]:
    """The network of a sidecar.  Raises NotYet where it learns."""
    if any(_kw(s).get("dw") for s in vector.listed("syns")):
        raise NotYet("it learns (dw)")
    steps = vector.steps()
    channels = vector.integer("n_inputs", low=1, high=SIZE_MAX)
    net = Net(vector.name, channels, PEER)
    cells = [
        Part(f"g{k}", np.arange(_size(vector, k)), (("refractory", _refractory(vector, k)),))
        for k in range(len(vector.listed("groups")))
    ]
    if not cells:
        raise vector.fail("the sidecar has no groups")
    for k, projection in enumerate(vector.listed("syns")):
        _projection(vector, net, cells, k, projection)
    for k, part in enumerate(cells):
        keys = {"decay_u": "decay_I", "decay_v": "decay_v", "v_th": "vth_mant"}
        net.neurons(part, "cuba", {
            ours: vector.integer("groups", k, theirs, low=0, high=2**24)
            for ours, theirs in keys.items()
        })  # fmt: skip
    yield Trial(
        net.graph("g0", steps), PEER, _raster(vector, steps, channels),
        tuple(q for k, part in enumerate(cells) for q in _recorded(vector, k, part, steps)),
    )  # fmt: skip


def _kw(projection: dict[str, Any]) -> dict[str, Any]:
    kw = projection.get("kw", {})
    return kw if isinstance(kw, dict) else {}


def _size(vector: Vector, k: int) -> int:
    return vector.integer("groups", k, "N", low=1, high=SIZE_MAX)


def _refractory(vector: Vector, k: int) -> int:
    return vector.integer("groups", k, "refractory", low=1, high=10**6, default=1)


def mantissas(weight: Array, bits: int, mixed: bool) -> tuple[Array, int]:
    """What a projection stores: the dropped bits are 0, rounded towards zero; and how many."""
    dropped = 8 - bits + mixed
    return np.sign(weight) * (np.abs(weight.astype(np.int64)) >> dropped << dropped), dropped


def _projection(
    vector: Vector, net: Net, cells: list[Part], k: int, projection: dict[str, Any]
) -> None:
    at = ("syns", k)
    source = vector.integer(*at, "src", low=-1, high=len(cells) - 1)
    target = cells[vector.integer(*at, "dst", low=0, high=len(cells) - 1)]
    external = source < 0
    shape = (target.size, net.channels if external else cells[source].size)
    bits = vector.integer(*at, "kw", "num_weight_bits", low=0, high=9, default=8)
    mixed = vector.integer(*at, "kw", "sign_mode", low=1, high=3, default=2) == MIXED
    exponent = vector.integer(*at, "kw", "w_exp", low=-63, high=40, default=0)
    delay = vector.integer(*at, "kw", "delay", low=0, high=10**6, default=0)
    weight, post, pre = _synapses(vector, k, shape)
    stored, dropped = mantissas(weight, bits, mixed)
    _check_effective(vector, k, stored, exponent)
    for n, matrix in enumerate(matrices(post, pre, stored, shape)):
        net.dense(
            f"s{k}.{n}", matrix, INPUT if external else cells[source].name, target.name,
            delay + (not external), exponent=exponent, bits=bits, dropped=dropped, delay=delay,
        )  # fmt: skip


def _synapses(vector: Vector, k: int, shape: tuple[int, int]) -> tuple[Array, Array, Array]:
    weight = vector.array(f"syn{k}_w0", None)
    places = []
    for key, top in ((f"syn{k}_j", shape[0]), (f"syn{k}_i", shape[1])):
        index = vector.array(key, len(weight))
        if index.size and not 0 <= index.min() <= index.max() < top:
            raise vector.fail(f"array {key!r} must lie in 0..{top - 1}")
        places.append(index)
    return weight, places[0], places[1]


def _check_effective(vector: Vector, k: int, stored: Array, exponent: int) -> None:
    """The effective weights that the peer reports, where it does."""
    want = vector.array(f"syn{k}_wact0", optional=True)
    if not want.size:
        return
    p = SPIKING[PEER]
    levels, which = np.unique(stored, return_inverse=True)
    ours = np.array([effective_weight(int(m), exponent, p.weight_shift, p.weight_limit)
                     for m in levels])[which]  # fmt: skip
    if ours.shape != want.shape or not np.array_equal(ours, want):
        raise vector.fail(f"array 'syn{k}_wact0' is not what its weights and bits come to")


def _raster(vector: Vector, steps: int, channels: int) -> Array:
    when = vector.array("in_t", None)
    channel = vector.array("in_idx", len(when))
    for key, index, top in (("in_t", when, steps), ("in_idx", channel, channels)):
        if index.size and not 0 <= index.min() <= index.max() < top:
            raise vector.fail(f"array {key!r} must lie in 0..{top - 1}")
    shown = np.zeros((1, steps, channels), bool)
    shown[0, when, channel] = True
    return shown


def _recorded(vector: Vector, k: int, part: Part, steps: int) -> Iterator[Quantity]:
    yield gathered(f"I{k}", "u", [part], vector.array(f"I{k}", steps, part.size))
    yield gathered(f"v{k}", "v", [part], vector.array(f"v{k}", steps, part.size))
    raster = vector.bits(f"spikes{k}", steps, part.size)
    yield gathered(f"spikes{k}", "spike", [part], raster)
