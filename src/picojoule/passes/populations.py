"""A spiking network as populations and the synapse groups into them: what cores must hold."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph
from picojoule.graph.ops import (
    CubaLif,
    Dense,
    IntConv,
    IntCuba,
    IntNeuron,
    IntPool,
    IntShared,
    IntSynapse,
)
from picojoule.passes.groups import AnyGroup, Group, SharedGroup, SparseGroup, offered_bits
from picojoule.passes.shared import shared_of
from picojoule.passes.support import NEURONS, source_of
from picojoule.target import Target

DENSE_SHARE = 0.5  # groups with at most this share of weights other than 0 become sparse
# registers that a compartment has for itself; its profile holds the rest (nengo-loihi 1.1.0,
# hardware/builder.py: decays, refractory period and noise in profiles, thresholds in others)
OWN = ("bias", "bias_exponent")
THRESHOLDS = ("v_th", "v_th_high", "v_th_low")


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one node, and all synapses into them.

    profiles, thresholds  numbers of the compartment profile and the threshold that neurons use,
                          int (1,) for all of them, or (neurons,)
    """

    name: str
    size: int
    groups: tuple[AnyGroup, ...]
    profiles: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))
    thresholds: np.ndarray = field(default_factory=lambda: np.zeros(1, np.int64))

    @property
    def grain(self) -> int:
        """Neurons of one position: a core takes whole positions where it can."""
        return max((group.grain for group in self.groups), default=1)


def populations(graph: Graph, target: Target, bits: int) -> tuple[Population, ...]:
    """All populations in order of evaluation, of a float or a quantized network.

    bits  what each weight of a float network will have
    """
    names = graph.names(*NEURONS)
    kinds = [kind_of(graph, name) for name in names]
    profiles = numbered(kinds, [_profile_rows(graph, name) for name in names])
    thresholds = numbered(kinds, [_threshold_rows(graph, name) for name in names])
    return tuple(
        Population(
            name, graph.types[name].size,
            tuple(_group(graph, target, i, bits) for i in graph[name].inputs), *shared,
        )
        for name, *shared in zip(names, profiles, thresholds)
    )  # fmt: skip


def _group(graph: Graph, target: Target, name: str, bits: int) -> AnyGroup:
    op = graph[name].op
    if isinstance(op, IntConv | IntPool | IntShared):
        return _shared_group(graph, target, name, op)
    assert isinstance(op, Dense | IntSynapse)
    source, steps = source_of(graph, name)
    if op.weight in graph.sparse:
        assert isinstance(op, IntSynapse)
        return _sparse_group(graph, target, name, op)
    weight = np.asarray(graph.value(op.weight))
    present = weight != 0
    own = op.delay if isinstance(op, IntSynapse) else _own_delay(graph, target, source, steps)
    delays = delays_of(graph, name)
    share = np.count_nonzero(present) / max(1, present.size)
    return Group(
        name=name, source=source, present=present, delay=steps,
        weight_bits=op.bits if isinstance(op, IntSynapse) else bits,
        delay_bits=offered_bits(target, "delay_bits", own + longest_delay(graph, name)),
        sparse=share <= DENSE_SHARE or (isinstance(op, IntSynapse) and op.sparse),
        exponent=op.exponent if isinstance(op, IntSynapse) else 0, delays=delays,
    )  # fmt: skip


def _sparse_group(graph: Graph, target: Target, name: str, op: IntSynapse) -> SparseGroup:
    source, steps = source_of(graph, name)
    delay_bits = offered_bits(target, "delay_bits", op.delay)
    weights = graph.sparse[op.weight]
    return SparseGroup(name, source, weights, steps, op.bits, delay_bits, op.exponent)


def _shared_group(
    graph: Graph, target: Target, name: str, op: IntConv | IntPool | IntShared
) -> SharedGroup:
    source, steps = source_of(graph, name)
    constants = {field: graph.value(c) for field, c in graph.constants(graph[name]).items()}
    delay_bits = offered_bits(target, "delay_bits", op.delay)
    return SharedGroup(
        name, source, shared_of(op, constants), steps, op.bits, delay_bits, op.exponent,
        shared_slots(target),
    )  # fmt: skip


def shared_slots(target: Target) -> int:
    """Output axons that a spike into shared lists takes up where it is sent from."""
    return max(target.core.choice("out_axon_slots"), default=1)


def delays_of(graph: Graph, name: str) -> np.ndarray | None:
    """What each synapse of a group adds to its delay, int (out, in); None: nothing."""
    op = graph[name].op
    if not isinstance(op, IntSynapse) or op.delays is None:
        return None
    values = np.asarray(graph.value(op.delays))
    return values if values.any() else None


def longest_delay(graph: Graph, name: str) -> int:
    """The most that a synapse of a group adds to its delay."""
    delays = delays_of(graph, name)
    return 0 if delays is None else int(delays.max())


def _own_delay(graph: Graph, target: Target, source: str, steps: int) -> int:
    """Synaptic delay that a user's Delay will need beyond the machine's own, at most."""
    profile = SPIKING[target.core.profile]
    spikes = isinstance(graph[source].op, NEURONS)
    return max(0, steps - (profile.spike_delay if spikes else profile.input_delay))


# ------------------------------------------------------------------ what neurons have in common


def fields_of(graph: Graph, name: str) -> tuple[dict[str, str], dict[str, int]]:
    """Registers (name -> constant) and options of a population, whatever its op."""
    op = graph[name].op
    if isinstance(op, IntNeuron):
        return dict(op.registers), dict(op.options)
    assert isinstance(op, CubaLif | IntCuba)
    found = {"decay_u": op.decay_u, "decay_v": op.decay_v, "v_th": op.v_th, "bias": op.bias}
    options = {"refractory": op.refractory}
    if isinstance(op, IntCuba):
        options["bias_exponent"] = op.bias_exponent
    return {field: c for field, c in found.items() if c is not None}, options


def kind_of(graph: Graph, name: str) -> str:
    """The kind of neuron (`fixed.neurons.KINDS`) of a population."""
    op = graph[name].op
    return op.kind if isinstance(op, IntNeuron) else "cuba"


def _profile_rows(graph: Graph, name: str) -> np.ndarray:
    """What a neuron's profile holds, float64 (1 or neurons, fields)."""
    registers, options = fields_of(graph, name)
    constants = [c for field, c in registers.items() if field not in (*OWN, *THRESHOLDS)]
    numbers = [options[option] for option in sorted(options) if option not in OWN]
    return _rows([graph.value(c) for c in constants] + [np.array(n) for n in numbers])


def _threshold_rows(graph: Graph, name: str) -> np.ndarray:
    """The thresholds of a neuron, float64 (1 or neurons, fields)."""
    registers, _ = fields_of(graph, name)
    return _rows([graph.value(c) for field, c in registers.items() if field in THRESHOLDS])


def _rows(values: list[np.ndarray]) -> np.ndarray:
    flat = [np.asarray(v, np.float64).ravel() for v in values] or [np.zeros(1)]
    return np.stack(np.broadcast_arrays(*flat), axis=1)


def numbered(keys: list[str], rows: list[np.ndarray]) -> list[np.ndarray]:
    """A number for each row, equal where key and row are; int (rows,) each."""
    found: dict[int, np.ndarray] = {}
    offset = 0
    for key in dict.fromkeys(keys):
        members = [k for k, each in enumerate(keys) if each == key]
        stacked = np.concatenate([rows[k] for k in members])
        _, inverse = np.unique(stacked, axis=0, return_inverse=True)
        ids = inverse.reshape(-1) + offset
        offset = int(ids.max(initial=offset - 1)) + 1
        bounds = np.cumsum([len(rows[k]) for k in members])[:-1]
        found.update(zip(members, np.split(ids, bounds)))
    return [found[k] for k in range(len(keys))]
