"""The long arrays that the spiking kernel reads, filled piece by piece, each allocated once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from picojoule.errors import Fault, ProgramError
from picojoule.fixed.profile import SpikingProfile
from picojoule.kernels.delivery import TARGET_BITS
from picojoule.program import Instruction, Program, Span
from picojoule.program.sums import Readers, is_raw, readers
from picojoule.sim.layout import arguments, constants, kept, spans
from picojoule.sim.weights import Weights, bits_of, fill, trailing_zeros, weigh

Array = np.ndarray[Any, Any]
WEIGHT_BITS = (8, 16, 64)
PACKED = 1  # stands for weights of 8 bits together with their targets
PACKED_MOST = 1 << 26  # synapses: more are kept apart, where they take 3 bytes instead of 4
NEAR = 1 << 16  # targets below it take two bytes


class Pool:
    """An array of known length that is filled from the front."""

    def __init__(self, size: int, dtype: Any) -> None:
        self.array: Array = np.empty(size, dtype)
        self._used = 0

    def take(self, size: int) -> tuple[int, Array]:
        """Where the next `size` elements begin, and a view of them to write."""
        start, self._used = self._used, self._used + size
        return start, self.array[start : self._used]

    def add(self, values: Array) -> int:
        """Append values; returns where they begin."""
        start, room = self.take(values.size)
        room[:] = values.ravel()
        return start


class Placed(NamedTuple):
    """Where the synapses of a delivery lie: bits of a weight, first weight, first target, and
    first row start, row number and base, as far as it has them."""

    bits: int  # or PACKED
    weight: int
    target: int = 0
    rows: int = 0
    row: int = 0
    base: int = 0


class Synapses(NamedTuple):
    """All synapses of a program: pools by bits of a weight (or PACKED), "target" and "rows";
    where each delivery lies (by its number in the order), and the unit of each q region."""

    pools: Mapping[Any, Array]
    placed: Mapping[int, Placed]
    units: Mapping[str, int]


def part_of(program: Program, span: Span) -> Array:
    """What a constant operand holds."""
    values = constants(program).get(span.region)
    if values is None:  # learned state before the first lesson
        values = np.zeros(program.regions[span.region].shape, np.int64)
    return values[span.start : span.stop]


@kept
def _readers(program: Program) -> Readers:
    return readers(program)


def shift_of(program: Program, profile: SpikingProfile, q: Span) -> int:
    """How far weights are shifted on their way into q."""
    return 0 if is_raw(_readers(program), q) else profile.weight_shift


def place_synapses(
    program: Program, profile: SpikingProfile, order: Sequence[Instruction]
) -> Synapses:
    """Synapses of all deliveries, as the kernel reads them.  Raises ProgramError PJ603.

    All weights into one q region are multiples of 2**unit, so they are kept divided by it:
    8 bits hold what would take 32, and the neuron update multiplies the sum back, exactly.
    """
    weights: dict[int, Weights] = {}
    units: dict[str, int] = {}
    for n, i in enumerate(order):
        if not i.op.startswith("deliver") and i.op != "accumulate":
            continue
        q = spans(i)["q"]
        unit = shift = shift_of(program, profile, q)
        if i.op != "accumulate":
            exponent, most = arguments(i)["exponent"], profile.weight_limit
            shifts = profile.shifts(exponent, shift)
            weights[n] = weigh(part_of(program, spans(i)["weight"]), *shifts, most)
            unit = trailing_zeros(weights[n].values)
        units[q.region] = min(units.get(q.region, 62), unit)
    return _filled(program, {n: order[n] for n in weights}, weights, units)


def _filled(
    program: Program, listed: Mapping[int, Instruction], weights: dict[int, Weights],
    units: dict[str, int],
) -> Synapses:  # fmt: skip
    kinds = {n: bits_of(weights[n], units[spans(i)["q"].region]) for n, i in listed.items()}
    packed = [n for n, i in listed.items() if kinds[n] == 8 and _packs(program, i)]
    if sum(part_of(program, spans(listed[n])["weight"]).size for n in packed) <= PACKED_MOST:
        kinds.update(dict.fromkeys(packed, PACKED))
    pools = _pools(program, listed, kinds)
    placed = {}
    for n, i in listed.items():
        named, pool = spans(i), pools[kinds[n]]
        weight = part_of(program, named["weight"])
        start, out = pool.take(weight.size)
        fill(out, weights.pop(n), weight, units[named["q"].region])
        rest = _compressed(program, i, None if kinds[n] == PACKED else pools["target"],
                           pools["rows"])  # fmt: skip
        if kinds[n] == PACKED:
            out <<= TARGET_BITS
            out |= part_of(program, named["target"])
        placed[n] = Placed(kinds[n], start, *rest)
    arrays = {name: pool.array for name, pool in pools.items()}
    return Synapses(arrays, placed, units)


def _packs(program: Program, i: Instruction) -> bool:
    sparse = i.op == "deliver_sparse" and not arguments(i)["graded"]
    return sparse and spans(i)["q"].size <= 1 << TARGET_BITS


def _pools(
    program: Program, listed: Mapping[int, Instruction], kinds: Mapping[int, int]
) -> dict[Any, Pool]:
    """Empty pools with room for all."""
    room: dict[Any, int] = dict.fromkeys((*WEIGHT_BITS, PACKED, "target", "rows"), 0)
    near = True
    for n, i in listed.items():
        named = spans(i)
        room[kinds[n]] += part_of(program, named["weight"]).size
        room["rows"] += sum(named[x].size for x in ("indptr", "row", "base") if x in named)
        if "target" in named and kinds[n] != PACKED:
            targets = part_of(program, named["target"])
            room["target"] += targets.size
            small = "row" not in named and named["q"].size <= NEAR
            near = near and (small or int(targets.max(initial=0)) < NEAR)
    types: dict[Any, Any] = {8: np.int8, 16: np.int16, 64: np.int64, PACKED: np.int32}
    types |= {"target": np.uint16 if near else np.uint32, "rows": np.int32}
    return {name: Pool(size, types[name]) for name, size in room.items()}


def _compressed(
    program: Program, i: Instruction, target: Pool | None, rows: Pool
) -> tuple[int, ...]:
    """Add rows and targets of a delivery to their pools, checked."""
    named = spans(i)
    if i.op == "deliver_dense":
        if part_of(program, named["weight"]).size != named["axon"].size * named["q"].size:
            raise _invalid(f"deliver_dense: {named['weight'].size} rows of weights for "
                           f"{named['axon'].size} axons and {named['q'].size} neurons")  # fmt: skip
        return ()
    part = {name: part_of(program, named[name]) for name in ("indptr", "target", "row", "base")
            if name in named}  # fmt: skip
    _check_rows(named, part["indptr"].ravel(), part["target"])
    starts = (target.add(part["target"]) if target else 0, rows.add(part["indptr"]))
    more = tuple(rows.add(part[name]) for name in ("row", "base") if name in part)
    return starts + more


def _check_rows(named: Mapping[str, Span], indptr: Array, target: Array) -> None:
    """That targets lie within q only where no rows are shared: else the verifier has looked."""
    shared = "row" in named
    sizes = indptr.size - 1, target.size, named["weight"].size
    if sizes[1] != sizes[2] or (not shared and sizes[0] != named["axon"].size):
        raise _invalid(f"deliver_sparse: {sizes[0]} rows, {sizes[1]} targets and {sizes[2]} "
                       f"weights for {named['axon'].size} axons")  # fmt: skip
    if indptr[0] < 0 or indptr[-1] > target.size or (indptr[1:] < indptr[:-1]).any():
        raise _invalid("deliver_sparse: row starts must rise within the entries")
    top = named["q"].size
    if not shared and target.size and not 0 <= target.min() <= target.max() < top:
        raise _invalid(f"deliver_sparse: a target is not in 0..{top - 1}")


def _invalid(what: str) -> ProgramError:
    return ProgramError(Fault("PJ603", what))
