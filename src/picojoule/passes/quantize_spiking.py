"""Give spiking neurons and their synapses integers, as derivations over live parameters."""

from __future__ import annotations

import numpy as np

from picojoule.errors import Fault
from picojoule.fixed.profile import SPIKING, SpikingProfile
from picojoule.graph import Derivation, Graph
from picojoule.graph.ops import CubaLif, Dense, IntCuba, IntSynapse
from picojoule.passes.as_real import real
from picojoule.passes.bits import Bits
from picojoule.passes.calibrate import peaks
from picojoule.passes.choose_exponents import Levels, Units, choose_units, units_of_step
from picojoule.passes.saturation import weight_faults, word_faults


def quantize_spiking(
    graph: Graph, profile_name: str, seen: dict[str, np.ndarray] | None, bits: Bits
) -> tuple[Graph, list[Fault]]:
    """Turn Dense and CubaLif into IntSynapse and IntCuba; returns also PJ211 faults to warn of.

    Each population has one real parameter `<lif>.step`; the step of each synapse group into
    it is that times a power of two.  `seen` holds float results to size the words by.
    """
    faults: list[Fault] = []
    profile, levels = SPIKING[profile_name], Levels(bits.weight)
    for name in graph.names(CubaLif):
        units = _units(graph, name, profile, levels, seen)
        groups = [i for i in graph[name].inputs if isinstance(graph[i].op, Dense)]
        graph = graph.with_params({f"{name}.step": np.array(units.step)})
        if seen is not None:
            faults += word_faults(graph, name, seen, units.step, profile)
        for group, exponent in zip(groups, units.exponents):
            graph, found = _synapse(graph, group, name, exponent, profile, levels)
            faults += found
        graph = _neurons(graph, name, units, profile)
    return graph, faults


def _units(
    graph: Graph, name: str, profile: SpikingProfile, levels: Levels,
    seen: dict[str, np.ndarray] | None,
) -> Units:  # fmt: skip
    lif = graph[name].op
    assert isinstance(lif, CubaLif)
    sources = [graph[i].op for i in graph[name].inputs]
    constants = [op.weight for op in sources if isinstance(op, Dense)]
    weights = [real(graph, constant) for constant in constants]
    bias = 0.0 if lif.bias is None else float(np.abs(real(graph, lif.bias)).max())
    fixed = _pinned_step(graph, lif, constants, profile)
    if fixed is not None:
        return units_of_step(fixed, weights, levels, profile, bias)
    v_th = float(np.abs(real(graph, lif.v_th)).max())
    return choose_units(weights, levels, profile, v_th, bias, peaks(graph, name, seen))


def _pinned_step(
    graph: Graph, lif: CubaLif, weights: list[str], profile: SpikingProfile
) -> float | None:
    """The unit that a pinned threshold, or else pinned weights, have fixed already."""
    for constant in (lif.v_th, *weights):
        pin = graph.pinned.get(constant)
        if pin is not None and pin.scale is not None:
            return pin.scale.step[0] / 2.0**profile.weight_shift
    return None


def _synapse(
    graph: Graph, name: str, lif: str, exponent: int, profile: SpikingProfile, levels: Levels
) -> tuple[Graph, list[Fault]]:
    dense = graph[name].op
    assert isinstance(dense, Dense)
    pin = graph.pinned.get(dense.weight)
    if pin is not None:
        levels = _pinned_levels(pin.values)
        exponent = _pinned_exponent(graph, lif, pin.scale.step[0], profile) if pin.scale else 0
    factor = 2.0 ** (levels.dropped + exponent + profile.weight_shift)
    step_w, weight = f"{name}.step_w", f"{name}.weight_q" if pin is None else dense.weight
    graph = graph.with_derived(
        {step_w: Derivation("times", (f"{lif}.step",), (("factor", factor),))}
    )
    if pin is None:
        options = (("low", levels.low), ("high", levels.high), ("dropped", levels.dropped))
        made = Derivation("mantissa", (dense.weight, step_w), options)
        graph = graph.with_derived({weight: made})
    op = IntSynapse(
        weight=weight, step_w=step_w, exponent=exponent, bits=levels.bits,
        dropped=levels.dropped, features=dense.features,
    )  # fmt: skip
    step = float(graph.value(step_w))
    faults = weight_faults(name, real(graph, dense.weight), step, levels.low, levels.high)
    return graph.swap(name, op), faults


def _pinned_levels(mantissas: np.ndarray) -> Levels:
    """The fewest bits that store all mantissas: their common trailing zeros are not stored."""
    joined = int(np.bitwise_or.reduce(np.abs(mantissas).astype(np.int64), axis=None))
    dropped = (joined & -joined).bit_length() - 1 if joined else 1
    return Levels(9 - min(max(dropped, 1), 7))


def _pinned_exponent(graph: Graph, lif: str, step: float, profile: SpikingProfile) -> int:
    """Pinned mantissas of real step `step` in the unit of their population."""
    unit = float(graph.value(f"{lif}.step")) * 2.0**profile.weight_shift
    wanted = int(np.rint(np.log2(step / unit)))
    return int(np.clip(wanted, profile.weight_exponent_min, profile.weight_exponent_max))


def _neurons(graph: Graph, name: str, units: Units, profile: SpikingProfile) -> Graph:
    lif, step = graph[name].op, f"{name}.step"
    assert isinstance(lif, CubaLif)
    made: dict[str, Derivation] = {}
    decays = {
        field: _register(graph, made, name, field, profile, offset)
        for field, offset in (("decay_u", profile.u_decay_offset), ("decay_v", 0))
    }
    shift, top = 2.0**profile.weight_shift, profile.bias_mantissa_max
    scaled = {"v_th": (lif.v_th, shift, 0, profile.v_th_max)}
    if lif.bias is not None:
        scaled["bias"] = (lif.bias, 2.0**units.bias_exponent, -top, top)
    for field, (constant, factor, low, high) in scaled.items():
        if constant in graph.pinned:
            decays[field] = constant
            continue
        made[f"{name}.step_{field}"] = Derivation("times", (step,), (("factor", factor),))
        made[f"{name}.{field}_q"] = Derivation(
            "quantize", (constant, f"{name}.step_{field}"), (("low", low), ("high", high))
        )
        decays[field] = f"{name}.{field}_q"
    op = IntCuba(
        step=step, bias_exponent=units.bias_exponent, refractory=lif.refractory,
        profile=profile.name, **decays,
    )  # fmt: skip
    return graph.with_derived(made).swap(name, op)


def _register(
    graph: Graph, made: dict[str, Derivation], name: str, field: str,
    profile: SpikingProfile, offset: int,
) -> str:  # fmt: skip
    """A decay's register: as pinned, or derived from the real decay."""
    constant = getattr(graph[name].op, field)
    if constant in graph.pinned:
        return str(constant)
    options = (("bits", profile.decay_bits), ("offset", offset), ("high", profile.decay_max))
    made[f"{name}.{field}_q"] = Derivation("decay_register", (constant,), options)
    return f"{name}.{field}_q"
