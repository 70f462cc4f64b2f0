"""Lava's LIF family with its Dense connections: LIF, LIFReset, TernaryLIF."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.conform.net import INPUT, Net, Part, bias_registers, gathered, parts
from picojoule.conform.trial import Array, NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.fixed.profile import SPIKING

PEER = "lava"
SIZE_MAX = 1 << 20
MIXED, EXCITATORY, INHIBITORY = 1, 2, 3
KINDS = {"LIF": "cuba", "LIFReset": "cuba_reset", "TernaryLIF": "ternary"}


def dense_mantissas(weight: Array, mode: int | None, bits: int) -> tuple[Array, int]:
    """What a Dense stores, and how many bits it drops: clipped to 8 bits, floored.

    Of inhibitory weights the magnitude is floored.
    """
    if mode is None:
        signs = (bool((weight < 0).any()), bool((weight > 0).any()))
        mode = MIXED if all(signs) else INHIBITORY if signs[0] else EXCITATORY
    size = -weight if mode == INHIBITORY else weight
    dropped = 8 - bits + (mode == MIXED)
    kept = np.clip(size, -256 if mode == MIXED else 0, 255) >> dropped << dropped
    return (-kept if mode == INHIBITORY else kept), dropped


def resonator_scale(threshold: float, exponent: int) -> tuple[int, int, int]:
    """(threshold register, exponent of the neurons, exponent of their weights) of resonators.

    Lava compares with int(threshold * 2**exponent).  Where that is no multiple of 2**exponent,
    the weights are scaled instead of the register: the states are the same.
    """
    scaled = int(threshold * (1 << exponent))
    if scaled % (1 << exponent) == 0:
        return scaled >> exponent, exponent, 0
    return scaled, 0, exponent


def lif_trials(vector: Vector) -> Iterator[Trial]:
    """One population with its connections from the input and from itself."""
    kind = KINDS.get(str(vector.get("cls")))
    if kind is None:
        known = ", ".join(KINDS)
        raise NotYet(f"unknown class {str(vector.get('cls'))[:40]!r}; known: {known}")
    steps, size = vector.steps(), vector.integer("n", low=1, high=SIZE_MAX)
    channels = vector.integer("inputs", "in", "n", low=1, high=SIZE_MAX)
    net = Net(vector.name, channels, PEER)
    mantissa, exponent = _bias(vector, size)
    cells = parts("lif", size, {"bias_exponent": exponent, **_options(vector, kind)})
    for k in range(len(vector.listed("conns"))):
        _connection(vector, net, cells, k, size)
    registers = {**_registers(vector, kind, size), "bias": mantissa}
    for part in cells:
        net.neurons(part, kind, registers)
    x = vector.bits("in", steps, channels) if _packed(vector) else vector.array(
        "in", steps, channels)  # fmt: skip
    found = tuple(_recorded(vector, cells, steps, size))
    yield Trial(net.graph(cells[-1].name, steps), PEER, x[None], found)


def _packed(vector: Vector) -> bool:
    return bool(vector.get("inputs", "in", "kind") == "bits")


def _parameter(vector: Vector, key: str, size: int, default: int | None = None) -> Array:
    """A parameter that may be one value, in the sidecar, or an array p_NAME, one a neuron."""
    if f"p_{key}" in vector.arrays or f"p_{key}" in vector.broken:
        return vector.array(f"p_{key}", size)
    return np.full(size, vector.integer("lif", key, default=default))


def _bias(vector: Vector, size: int) -> tuple[Array, Array]:
    """Mantissas and exponents; a negative exponent floors, and is none to a register."""
    mantissa = _parameter(vector, "bias_mant", size, 0)
    exponent = _parameter(vector, "bias_exp", size, 0)
    if np.abs(exponent).max(initial=0) > 40:
        raise vector.fail("bias_exp must lie in -40..40")
    value = (mantissa << np.maximum(exponent, 0)) >> np.maximum(-exponent, 0)
    found = bias_registers(value, SPIKING[PEER])
    if found is None:
        raise vector.fail("its biases need larger registers than the machine has")
    return found


def _options(vector: Vector, kind: str) -> dict[str, int | Array]:
    if kind == "ternary":
        return {}
    found: dict[str, int | Array] = {"refractory": 1}
    if kind == "cuba_reset":
        found["reset_interval"] = vector.integer("lif", "reset_interval", low=1)
        found["reset_offset"] = vector.integer("lif", "reset_offset", default=0)
    return found


def _registers(vector: Vector, kind: str, size: int) -> dict[str, int | Array]:
    names = {"decay_u": "du", "decay_v": "dv"}
    if kind == "ternary":
        names |= {"v_th_high": "vth_hi", "v_th_low": "vth_lo"}
    else:
        names["v_th"] = "vth"
    found: dict[str, int | Array] = {}
    for ours, theirs in names.items():
        values = _parameter(vector, theirs, size)
        found[ours] = int(values[0]) if (values == values[0]).all() else values
    return found


def _connection(vector: Vector, net: Net, cells: tuple[Part, ...], k: int, size: int) -> None:
    at = ("conns", k)
    outside = vector.get(*at, "src") == "in"
    if not outside and vector.get(*at, "src") != "rec":
        raise NotYet(f"connection {k} comes from {str(vector.get(*at, 'src'))[:40]!r}")
    shape = (size, net.channels if outside else size)
    mode = vector.get(*at, "mode")
    if mode is not None:
        mode = vector.integer(*at, "mode", low=1, high=3)
    bits = vector.integer(*at, "bits", low=1, high=8, default=8)
    weight, dropped = dense_mantissas(vector.array(f"c{k}_w", *shape), mode, bits)
    delays = vector.array(f"c{k}_delay", *shape) if vector.flag(*at, "delay") else None
    exponent = vector.integer(*at, "exp", low=-40, high=40, default=0)
    for source in (Part(INPUT, np.arange(net.channels)),) if outside else cells:
        for part in cells:
            own = np.ix_(part.index, source.index)
            net.dense(
                f"c{k}.{source.name}.{part.name}", weight[own], source.name, part.name, 1,
                delays=None if delays is None else delays[own], exponent=exponent, bits=bits,
                dropped=dropped,
            )  # fmt: skip


def _recorded(vector: Vector, cells: tuple[Part, ...], steps: int, size: int) -> Iterator[Quantity]:
    for key, what in (("o_u", "u"), ("o_v", "v"), ("o_s", "spike")):
        yield gathered(key, what, cells, vector.array(key, steps, size))
