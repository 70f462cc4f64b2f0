"""Vectors of the NengoLoihi emulator: blocks of compartments as integer registers.

Row r is step r + 1 of the peer.  An input spike with time ti acts in row ti; a block's spike of
row r acts in row r + 1.  Weights are effective already: mantissa * 2**exponent * 64.  An axon of
a synapse group carries the weights of row `map[axon]` and of its atom onto compartments
`base[axon] + idx`; without map and base these are the axon itself, and 0; base < 0: unused.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from picojoule.conform.nengo_axons import add_axons
from picojoule.conform.net import Net, Part, bias_registers, parts
from picojoule.conform.trial import Array, NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.fixed.profile import SPIKING

PEER = "nengo_loihi"
SIZE_MAX = 1 << 20


def known(vector: Vector) -> bool:
    """Whether the sidecar is one of this format."""
    return {"blocks", "axons", "inputs", "T"} <= vector.head.keys()


def trials(vector: Vector) -> Iterator[Trial]:
    """The blocks of a sidecar.  Raises NotYet where a synapse learns."""
    blocks = vector.listed("blocks")
    if any(
        s.get("learning") for k in range(len(blocks)) for s in vector.listed("blocks", k, "syns")
    ):
        raise NotYet("it learns (PES)")
    steps, sizes = vector.steps(), _sizes(vector)
    net = Net(vector.name, max(1, sum(_inputs(vector))), PEER)
    cells = [_cells(vector, k, n) for k, n in enumerate(sizes)]
    for k in range(len(vector.listed("axons"))):
        add_axons(vector, net, cells, _inputs(vector), k)
    for k, own in enumerate(cells):
        for part in own:
            _neurons(vector, net, k, part, sizes[k])
    graph = net.graph(cells[-1][-1].name, steps)
    yield Trial(
        graph, PEER, _raster(vector, net, steps), tuple(_recorded(vector, cells, sizes, steps)),
        noise=_noise(vector, steps, sum(sizes)), noisy=_columns(cells, sizes),
    )  # fmt: skip


def _sizes(vector: Vector) -> list[int]:
    count = len(vector.listed("blocks"))
    if not count:
        raise vector.fail("the sidecar has no blocks")
    return [vector.integer("blocks", k, "n", low=1, high=SIZE_MAX) for k in range(count)]


def _inputs(vector: Vector) -> list[int]:
    listed = vector.get("inputs", default=[])
    count = len(listed) if isinstance(listed, list) else 0
    return [vector.integer("inputs", k, low=1, high=SIZE_MAX) for k in range(count)]


# --------------------------------------------------------------------------------- compartments


def _noisy(vector: Vector) -> bool:
    return "noise" in vector.arrays or "noise" in vector.broken


def _limited(vector: Vector, k: int) -> bool:
    """Whether a block's voltage limits are others than the full width."""
    top = (1 << SPIKING[PEER].v_bits) - 1
    return (vector.get("blocks", k, "vmin"), vector.get("blocks", k, "vmax")) != (-top, top)


def _kind(vector: Vector, k: int) -> str:
    return "cuba_noise" if _noisy(vector) or _limited(vector, k) else "cuba"


def _biases(vector: Vector, k: int, size: int) -> tuple[Array, Array]:
    found = bias_registers(vector.array(f"b{k}_bias", size), SPIKING[PEER])
    if found is None:
        raise vector.fail(f"array 'b{k}_bias' holds values that no mantissa and exponent give")
    return found


def _cells(vector: Vector, k: int, size: int) -> tuple[Part, ...]:
    """A block, cut where refractory periods or bias exponents differ."""
    options: dict[str, int | Array] = {
        "bias_exponent": _biases(vector, k, size)[1],
        "refractory": vector.array(f"b{k}_refract_delay", size),
    }
    if _kind(vector, k) == "cuba_noise":
        at = ("blocks", k)
        options |= {
            "noise_exponent": vector.integer(*at, "noise_exp", low=0, high=63, default=0),
            "noise_offset": vector.integer(*at, "noise_offset", default=0),
            "noise_on_v": vector.integer(*at, "noise_at_membrane", low=0, high=1, default=0),
        }
    return parts(f"b{k}", size, options)


def _neurons(vector: Vector, net: Net, k: int, part: Part, size: int) -> None:
    v_th = vector.array(f"b{k}_vth", size)
    shift = net.arithmetic.weight_shift
    if (v_th & ((1 << shift) - 1)).any():
        raise vector.fail(f"array 'b{k}_vth' holds values that are no multiples of {1 << shift}")
    registers: dict[str, int | Array] = {
        "decay_u": vector.array(f"b{k}_decay_u", size),
        "decay_v": vector.array(f"b{k}_decay_v", size),
        "v_th": v_th >> shift, "bias": _biases(vector, k, size)[0],
    }  # fmt: skip
    kind = _kind(vector, k)
    if kind == "cuba_noise":
        registers["v_low"] = vector.integer("blocks", k, "vmin")
        registers["v_high"] = vector.integer("blocks", k, "vmax")
        registers["noise_on"] = vector.array(f"b{k}_enable_noise", size) if _noisy(vector) else 0
    net.neurons(part, kind, registers)


def _columns(cells: list[tuple[Part, ...]], sizes: list[int]) -> tuple[tuple[str, Array], ...]:
    """Where the neurons of each population stand among all."""
    firsts = np.cumsum([0, *sizes])
    return tuple((p.name, first + p.index) for own, first in zip(cells, firsts) for p in own)


def _noise(vector: Vector, steps: int, neurons: int) -> Array | None:
    if not _noisy(vector):
        return None
    return vector.array("noise", steps * neurons).reshape(steps, neurons)


# ------------------------------------------------------------------------------------- samples


def _raster(vector: Vector, net: Net, steps: int) -> Array:
    shown = np.zeros((1, steps, net.channels), bool)
    first = 0
    for k, width in enumerate(_inputs(vector)):
        when = vector.array(f"in{k}_t", optional=True)
        channel = vector.array(f"in{k}_i", optional=True)
        if when.shape != channel.shape or when.ndim != 1:
            raise vector.fail(f"arrays 'in{k}_t' and 'in{k}_i' differ in shape")
        if channel.size and not 0 <= channel.min() <= channel.max() < width:
            raise vector.fail(f"array 'in{k}_i' must lie in 0..{width - 1}")
        kept = (when >= 0) & (when < steps)
        shown[0, when[kept], first + channel[kept]] = True
        first += width
    return shown


def _recorded(
    vector: Vector, cells: list[tuple[Part, ...]], sizes: list[int], steps: int
) -> Iterator[Quantity]:
    places = _columns(cells, sizes)
    for key, what in (("o_current", "u"), ("o_voltage", "v"), ("o_spiked", "spike"),
                      ("o_ref", "wait")):  # fmt: skip
        if what == "wait" and key not in vector.arrays and key not in vector.broken:
            continue
        read = vector.bits if what == "spike" else vector.array
        want = read(key, steps, sum(sizes)).astype(np.int64)
        yield Quantity(key, want, tuple((f"{name}.{what}", at) for name, at in places))
