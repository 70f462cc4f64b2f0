"""Our own shipped vectors (`tests/golden/vectors`): spiking populations, tensor layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from picojoule.conform.net import INPUT, Net, Part, gathered
from picojoule.conform.tensor import tensor_trials
from picojoule.conform.trial import NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.fixed.profile import SPIKING, SpikingProfile

SIZE_MAX = 1 << 20
PEERS = {"b2l": "brian2loihi", "nl": "nengo_loihi"}


def known(vector: Vector) -> bool:
    """Whether the sidecar is one of this format."""
    kind = vector.head.get("kind")
    if kind == "spiking":
        return {"populations", "projections", "profile", "channels"} <= vector.head.keys()
    return kind == "tensor" and {"layers", "inputs"} <= vector.head.keys()


def trials(vector: Vector) -> Iterator[Trial]:
    """The network of a sidecar; of a tensor vector one for each layer."""
    if vector.head["kind"] == "tensor":
        yield from tensor_trials(vector)
        return
    profile = vector.head["profile"]
    if profile not in SPIKING:
        raise NotYet(f"its profile is {str(profile)[:40]!r}; known: {', '.join(SPIKING)}")
    steps = vector.steps("steps")
    channels = vector.integer("channels", low=1, high=SIZE_MAX)
    net = Net(vector.name, channels, profile)
    cells = {
        p["name"]: _part(vector, k) for k, p in enumerate(vector.listed("populations"))
        if isinstance(p.get("name"), str)
    }  # fmt: skip
    for k in range(len(vector.listed("projections"))):
        _projection(vector, net, cells, k)
    for part in cells.values():
        registers = {
            what: vector.array(f"{part.name}.{what}", part.size)
            for what in ("decay_u", "decay_v", "v_th", "bias")
            if what != "bias" or net.arithmetic.has_bias
        }  # fmt: skip
        net.neurons(part, "cuba", registers)
    raster = vector.bits("input", steps, channels)[None]
    last = list(cells)[-1]
    yield Trial(net.graph(last, steps), profile, raster, tuple(_recorded(vector, cells, steps)))


def _part(vector: Vector, k: int) -> Part:
    at = ("populations", k)
    size = vector.integer(*at, "neurons", low=1, high=SIZE_MAX)
    options = {name: vector.integer(*at, name) for name in ("refractory", "bias_exponent")}
    return Part(str(vector.get(*at, "name")), np.arange(size), tuple(options.items()))


def _projection(vector: Vector, net: Net, cells: dict[str, Part], k: int) -> None:
    at = ("projections", k)
    part: dict[str, Any] = vector.get(*at)
    outside = part.get("source") == "input"
    if part.get("target") not in cells or not (outside or part.get("source") in cells):
        raise vector.fail(f"projection {k} names a population that does not exist")
    source, target = (None if outside else cells[part["source"]]), cells[part["target"]]
    weight = vector.array(f"weight{k}", target.size, source.size if source else net.channels)
    delay = vector.integer(*at, "delay", low=0, high=10**6)
    net.dense(
        f"synapse{k}", weight, source.name if source else INPUT, target.name,
        delay + _machine_delay(net.arithmetic, outside), delay=delay,
        **{name: vector.integer(*at, name, low=-63, high=63)
           for name in ("exponent", "bits", "dropped")},
    )  # fmt: skip


def _machine_delay(profile: SpikingProfile, outside: bool) -> int:
    return profile.input_delay if outside else profile.spike_delay


def _recorded(vector: Vector, cells: dict[str, Part], steps: int) -> Iterator[Quantity]:
    for part in cells.values():
        for what in ("u", "v"):
            want = vector.array(f"{part.name}.{what}", steps, part.size)
            yield gathered(f"{part.name}.{what}", what, [part], want)
        raster = vector.bits(f"{part.name}.spike", steps, part.size)
        yield gathered(f"{part.name}.spike", "spike", [part], raster)
