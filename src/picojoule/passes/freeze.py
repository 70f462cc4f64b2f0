"""Evaluate every derivation: from live parameters to integers that are fixed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from picojoule.errors import CheckError, Fault
from picojoule.fixed.format import Format, Scale
from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.graph import Graph, Node, Pinned
from picojoule.graph.graph import constants_used
from picojoule.graph.ops import (
    SYNAPSES,
    IntAdd,
    IntAveragePool,
    IntConv2d,
    IntCuba,
    IntDense,
    IntLookup,
    IntNeuron,
)
from picojoule.graph.ops_image_int import sum_unit, weight_form

SYNAPSE_FORMATS = {  # mantissas of mixed sign, -256..255; delays of 6 bits; else list indices
    "weight": Format(9), "delays": Format(6, signed=False),
}  # fmt: skip
STEPS = ("step", "step_in", "step_w", "step_out", "step_a", "step_b")


def freeze(graph: Graph) -> Graph:
    """The same integers, pinned with their formats; of the reals only steps remain.

    Leaves: `frozen` true; every parameter is the step of something.
    Raises CheckError PJ207 for each integer that its field cannot hold.
    """
    params: dict[str, np.ndarray] = {}
    pinned: dict[str, Pinned] = {}
    faults: list[Fault] = []
    for node, field, name in constants_used(graph):
        if name in graph.sparse:
            continue
        value = graph.value(name)
        if field in STEPS:
            params[name] = np.asarray(value, np.float64)
        elif name in graph.pinned:
            pinned[name] = graph.pinned[name]
        else:
            faults += _clipped(graph, node, field, name)
            form, scale = field_format(node, field), _scale(graph, node, field)
            pinned[name] = Pinned(np.asarray(value), form, scale)
            faults += _outside(node, field, pinned[name])
    if "input.step" in graph.params:
        params["input.step"] = graph.params["input.step"]
    if faults:
        raise CheckError(faults)
    return replace(graph, params=params, pinned=pinned, derived={})


def field_format(node: Node, field: str) -> Format:
    """The format of a register or constant of an Int node."""
    op = node.op
    if isinstance(op, IntDense | IntConv2d):
        return {"weight": weight_form(op), "exponent": Format(8)}.get(field, Format(32))
    if isinstance(op, IntAveragePool):
        return {"exponent": Format(8)}.get(field, Format(32))
    if isinstance(op, IntLookup):
        return range_format(op.low, op.high)
    if isinstance(op, IntAdd):
        return Format(32)
    if isinstance(op, SYNAPSES):
        return SYNAPSE_FORMATS.get(field, Format(32))
    assert isinstance(op, IntCuba | IntNeuron), f"{node.name} is not an integer node"
    low, high = register_range(node, field)
    if field == "bias" and not high:  # its register is there, and 0
        return Format(SPIKING[op.profile].bias_mantissa_max.bit_length() + 1)
    bits = max(high.bit_length(), (~low).bit_length() if low < 0 else 0)
    return Format(bits + (low < 0), signed=low < 0)


def range_format(low: int, high: int) -> Format:
    """The narrowest format of integers low..high."""
    if low >= 0:
        return Format(high.bit_length(), signed=False)
    return Format(1 + max((~low).bit_length(), high.bit_length()))


def register_range(node: Node, field: str) -> tuple[int, int]:
    """Lowest and highest value of a register of neurons; registers beside plain sums hold 32
    bits."""
    op = node.op
    assert isinstance(op, IntCuba | IntNeuron)
    if isinstance(op, IntNeuron) and KINDS[op.kind].raw:
        return Format(32).low, Format(32).high
    profile = SPIKING[op.profile]
    v_th, bias = profile.v_th_max, profile.bias_mantissa_max if profile.has_bias else 0
    state = 2 ** min(profile.v_bits, 62) - 1
    known = {
        **dict.fromkeys(("v_th", "v_th_high", "theta_0", "theta_step"), (0, v_th)),
        "v_th_low": (-v_th, 0), "bias": (-bias, bias), "noise_on": (0, 1),
        "v_low": (-state, state), "v_high": (-state, state),
    }  # fmt: skip
    return known.get(field, (0, profile.decay_max))


def _scale(graph: Graph, node: Node, field: str) -> Scale | None:
    """What one unit of an integer means, where it means a number of the network."""
    op = node.op
    if isinstance(op, IntDense | IntConv2d) and field in ("weight", "bias"):
        step_in = graph.value(op.step_in) * sum_unit(op) if field == "bias" else 1.0
        steps = np.broadcast_to(step_in * graph.value(op.step_w), (op.features,))
        return Scale(tuple(float(s) for s in steps), axis=0)
    if isinstance(op, SYNAPSES):
        if field != "weight" or op.step_w is None:
            return None
        return Scale((float(graph.value(op.step_w)) / 2.0**op.dropped,))
    if isinstance(op, IntCuba) and field in ("v_th", "bias"):
        shift = SPIKING[op.profile].weight_shift if field == "v_th" else op.bias_exponent
        return Scale((float(graph.value(op.step)) * 2.0**shift,))
    return None


def _clipped(graph: Graph, node: Node, field: str, name: str) -> list[Fault]:
    """A threshold or a bias that was clipped means another network."""
    made = graph.derived.get(name)
    if made is None or made.function != "quantize" or field not in ("v_th", "bias"):
        return []
    exact, step = (np.asarray(graph.value(i), np.float64) for i in made.inputs)
    options, wanted = dict(made.options), np.rint(exact / step)
    low, high = options["low"], options["high"]
    return _range_faults(node, field, wanted, low, high)


def _outside(node: Node, field: str, pin: Pinned) -> list[Fault]:
    return _range_faults(node, field, pin.values, pin.format.low, pin.format.high)


def _range_faults(
    node: Node, field: str, wanted: np.ndarray, low: float, high: float
) -> list[Fault]:
    worst = wanted.min() if wanted.min() < low else wanted.max()
    if low <= worst <= high:
        return []
    return [Fault(
        "PJ207", f"{field} of node {node.name!r} would be {worst:.0f};"
        f" its field holds {low:.0f}..{high:.0f}",
        fix=f"a larger step for {node.name!r}, or smaller values",
    )]  # fmt: skip
