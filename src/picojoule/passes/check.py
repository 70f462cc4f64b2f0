"""Every reason why a network does not fit a target, all at once."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.format import Format, float_format
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Graph
from picojoule.graph.faults import faults as graph_faults
from picojoule.graph.ops import (
    SYNAPSES,
    Conv,
    CubaLif,
    Dense,
    Flatten,
    Input,
    IntCuba,
    IntNeuron,
)
from picojoule.passes.bits import Bits, bits_faults, choose_bits, stored_format_faults
from picojoule.passes.freeze import register_range
from picojoule.passes.lower_tensor import overflow_faults
from picojoule.passes.move_bias import move_bias
from picojoule.passes.partition import partition
from picojoule.passes.populations import fields_of, kind_of, populations
from picojoule.passes.quantize import prepare
from picojoule.passes.quantize_tensor import INTEGERS
from picojoule.passes.support import support_faults
from picojoule.passes.tiles import ACCUMULATOR, exact_most, memory_faults
from picojoule.passes.values import late_faults, place, value_faults
from picojoule.program.verify import OPTION_RANGES
from picojoule.target import Target

LIMITS = {                  # field -> the limit of the hardware model that sets it
    "refractory": "refractory_max", "v_th": "v_th_mantissa_max", "bias": "bias_mantissa_max",
    "bias_exponent": "bias_exponent_max", "decay_u": "decay_bits", "decay_v": "decay_bits",
    "delay": "delay_max", "exponent": "weight_exponent_max",
}  # fmt: skip


def check(
    graph: Graph, target: Target, *, bits: int | None = None, activation_bits: int | None = None,
    weights: str | None = None, activations: str | None = None,
) -> list[Fault]:  # fmt: skip
    """All faults, empty where `graph` (float or quantized) fits; needs no samples.

    Sizes are judged with the bits asked for, or the most that the target offers.
    """
    asked = bits, activation_bits, weights, activations
    faults = bits_faults(target, *asked) + graph_faults(graph)
    if any(fault.code.startswith("PJ4") for fault in faults):
        return faults
    graph = prepare(graph)
    unsupported = support_faults(graph, target)
    if unsupported:
        return faults + unsupported
    faults += [*_profile_faults(graph, target), *stored_format_faults(graph, target)]
    chosen = choose_bits(target, *((None,) * 4 if faults else asked))
    judge = _spiking_faults if target.kind == "spiking" else _tensor_faults
    return faults + judge(graph, target, chosen)


def _spiking_faults(graph: Graph, target: Target, bits: Bits) -> list[Fault]:
    graph = move_bias(graph)
    faults = [
        *_neuron_faults(graph, target), *_synapse_faults(graph, target),
        *late_faults(graph, target),
    ]  # fmt: skip
    return faults + partition(populations(graph, target, bits.weight), target)[1]


def _profile_faults(graph: Graph, target: Target) -> Iterator[Fault]:
    """Integers mean what the arithmetic that they were chosen for makes of them."""
    for name in graph.names(IntCuba, IntNeuron, *INTEGERS):
        needs = target.core.profile
        has = getattr(graph[name].op, "profile", needs)  # pools and tables have none
        if has != needs:
            yield Fault(
                "PJ206",
                f"integers of node {name!r} are of profile {has!r};"
                f" {target.name!r} computes {needs!r}",
                where=target.where("core.profile"),
                fix="a target of that profile, or quantize the float network for this one",
            )


def _neuron_faults(graph: Graph, target: Target) -> Iterator[Fault]:
    """Fields of neurons that no choice of step can make fit."""
    profile = SPIKING[target.core.profile]
    for name in graph.names(CubaLif, IntCuba, IntNeuron):
        op = graph[name].op
        if isinstance(op, CubaLif):
            ranges = _real_ranges(graph, op, profile)
        else:
            ranges = _register_ranges(graph, name) | _option_ranges(graph, name)
        for field, (value, low, high) in ranges.items():
            if not low <= value <= high:
                values = graph.constants(graph[name]).get(field)
                found = ("", "") if values is None else place(graph.value(values), low, high)
                yield _field_fault(target, name, field, value, low, high, found)


Ranges = dict[str, tuple[float, int, int]]  # field -> its worst value, lowest, highest


def _real_ranges(graph: Graph, op: CubaLif, profile: SpikingProfile) -> Ranges:
    least = float(np.min(graph.value(op.v_th)))
    ranges: Ranges = {
        "refractory": (op.refractory, 1, profile.refractory_max),
        "v_th": (min(least, 0.0), 0, profile.v_th_max),
    }
    if not profile.has_bias and op.bias is not None:
        ranges["bias"] = (float(np.abs(graph.value(op.bias)).max()), 0, 0)
    return ranges


def _register_ranges(graph: Graph, name: str) -> Ranges:
    """For integers that stand already."""
    node = graph[name]
    registers, _ = fields_of(graph, name)
    limits = {field: register_range(node, field) for field in registers}
    return {
        field: (_worst(graph.value(constant), *limits[field]), *limits[field])
        for field, constant in registers.items()
    }


def _option_ranges(graph: Graph, name: str) -> Ranges:
    kind, (_, options) = kind_of(graph, name), fields_of(graph, name)
    profile = SPIKING[getattr(graph[name].op, "profile", "")]
    known = OPTION_RANGES | {
        "bias_exponent": (0, profile.bias_exponent_max),
        "refractory": (1, profile.refractory_max),
    }
    bounds = {o: known.get(f"{kind}.{o}", known.get(o)) for o in options}
    return {o: (options[o], *found) for o, found in bounds.items() if found is not None}


def _worst(values: np.ndarray, low: int, high: int) -> float:
    """The value furthest below `low`, else the largest."""
    if np.size(values) == 0:
        return low
    least = float(np.min(values))
    return least if least < low else float(np.max(values))


def _synapse_faults(graph: Graph, target: Target) -> Iterator[Fault]:
    profile = SPIKING[target.core.profile]
    exponents = profile.weight_exponent_min, profile.weight_exponent_max
    for name in graph.names(*SYNAPSES):
        op = graph[name].op
        assert isinstance(op, SYNAPSES)
        for field, value, low, high in (
            ("delay", op.delay, 0, profile.delay_max),
            ("exponent", op.exponent, *exponents),
        ):
            if not low <= value <= high:
                yield _field_fault(target, name, field, value, low, high)
        yield from value_faults(graph, target, name)
        if op.graded and profile.payload_bits == 0:
            yield Fault(
                "PJ206", f"synapses {name!r} read payloads; spikes of {target.name!r} carry none",
                where=target.where("core.profile"), fix="graded=False, or profile loihi2",
            )  # fmt: skip


def _field_fault(
    target: Target, node: str, field: str, value: float, low: int, high: int,
    where: tuple[str, str] = ("", ""),
) -> Fault:  # fmt: skip
    index, many = where
    return Fault(
        "PJ207",
        f"{field}{index} of node {node!r} is {value:g}; {target.name!r} holds {low}..{high}{many}",
        where=target.where(f"core.limits.{LIMITS.get(field, field)}"),
        fix=f"a value in {low}..{high}" if low < high else f"no {field}",
    )


def _tensor_faults(graph: Graph, target: Target, bits: Bits) -> list[Fault]:
    faults = memory_faults(graph, target, bits.form, bits.activation)
    exact = bits.kind or bits.activation_kind
    for name in graph.names(Dense, Conv) if exact else graph.names(Dense):
        faults += _sum_faults(graph, target, name, bits)
    if len(graph.names(Input, Flatten, *INTEGERS)) == len(graph.names()):
        faults += overflow_faults(graph, target)
    return faults


def _sum_faults(graph: Graph, target: Target, name: str, bits: Bits) -> list[Fault]:
    """PJ210 where inputs * largest input * largest weight could leave the accumulator."""
    source = graph.types[graph[name].inputs[0]]
    inputs = math.prod(graph[name].op.shapes(source)["weight"][1:])
    wide = 8 if isinstance(graph[graph[name].inputs[0]].op, Input) else bits.activation
    largest = Format(wide, signed=False).high
    if bits.activation_kind:
        largest = max(largest, float_format(bits.activation_kind).high)
    bound = inputs * largest * bits.form.high
    most = exact_most(target) if bits.kind or bits.activation_kind else ACCUMULATOR.high
    if bound <= most:
        return []
    return [Fault(
        "PJ210", f"sums of node {name!r} over {inputs} inputs could reach {bound}; the"
        f" accumulator holds {most}", where=target.where("accumulator_bits"),
        fix="fewer inputs to this layer, or fewer bits",
    )]  # fmt: skip
