"""Which numbers of bits a quantization uses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.errors import Fault
from picojoule.fixed.format import FLOATS, Format, float_format
from picojoule.graph import Graph
from picojoule.graph.ops import IntConv2d, IntDense, IntSynapse
from picojoule.target import Target

SIGNED_MIN = 2  # one bit of a mixed-sign weight is a sign and nothing else


@dataclass(frozen=True)
class Bits:
    """Bits of weights and activations of every layer; a tensor network's input has 8.

    kind, activation_kind  names of FLOATS where weights, activations are no plain integers
    """

    weight: int
    activation: int
    kind: str | None = None
    activation_kind: str | None = None

    @property
    def form(self) -> Format:
        """The format of weights."""
        return float_format(self.kind) if self.kind else Format(self.weight)


def choose_bits(
    target: Target, bits: int | None, activation_bits: int | None, weights: str | None = None,
    activations: str | None = None,
) -> Bits:  # fmt: skip
    """What is asked for; else activations as weights, and weights the most there are, up to 8."""
    if weights is not None:
        bits = float_format(weights).bits
    if activations is not None:
        activation_bits = float_format(activations).bits
    weight = max(b for b in target.weight_bits if b <= 8) if bits is None else bits
    if activation_bits is None:
        offered = [b for b in target.activation_bits if b <= 8]
        activation_bits = weight if weight in offered else max(offered)
    return Bits(weight, activation_bits, weights, activations)


def bits_faults(
    target: Target, bits: int | None, activation_bits: int | None, weights: str | None = None,
    activations: str | None = None,
) -> list[Fault]:  # fmt: skip
    """PJ209 for each number of bits, PJ215 for each format that the target does not offer."""
    asked = (
        ("weight_bits", bits if weights is None else None, target.weight_bits),
        ("activation_bits", activation_bits if activations is None else None,
         target.activation_bits),
    )  # fmt: skip
    kinds = (("weight", bits, weights), ("activation", activation_bits, activations))
    found = [f for what, count, kind in kinds for f in _kind_faults(target, what, count, kind)]
    return found + [
        _fault(target, field, f"{count} {field.replace('_', ' ')} asked for", usable)
        for field, count, offered in asked
        if count is not None
        and count not in (usable := [b for b in sorted(offered) if _usable(field, b)])
    ]


def stored_bits_faults(
    graph: Graph, bits: int | None, weights: str | None = None, activations: str | None = None
) -> list[Fault]:
    """PJ806 where other bits or formats are asked for than a quantized network has already."""
    stored = {n.op.bits for n in graph.nodes if isinstance(n.op, IntSynapse)}
    stored |= {n.op.weight_bits for n in graph.nodes if isinstance(n.op, IntDense | IntConv2d)}
    if stored and (weights or activations):
        what = f"{graph.name!r} is quantized already; its formats cannot change"
        return [Fault("PJ806", what, fix="give the float network, or leave the formats out")]
    if bits is None or not stored or max(stored) == bits:
        return []
    what = f"{graph.name!r} is quantized to {max(stored)} weight bits already, not {bits}"
    return [Fault("PJ806", what, fix="give the float network, or leave the bits out")]


def stored_format_faults(graph: Graph, target: Target) -> list[Fault]:
    """What a quantized network holds and the target lacks, for each node of it.

    PJ215 for a format of weights or results, PJ209 for bits of a tensor machine's weights.
    """
    found = list[Fault]()
    for node in graph.nodes:
        pin = graph.pinned.get(getattr(node.op, "weight", ""))
        weight = getattr(node.op, "weight_kind", None) or (pin.format.kind if pin else "")
        result = getattr(node.op, "result_kind", None)
        for what, kind in (("weight", weight), ("activation", result)):
            if kind and kind not in _offered(target, what):
                told = f"node {node.name!r} has {what}s in {kind!r}"
                found.append(_format_fault(target, what, told))
        bits = None if weight else getattr(node.op, "weight_bits", None)
        if bits is not None and bits not in target.weight_bits:
            told = f"node {node.name!r} has {bits} weight bits"
            found.append(_fault(target, "weight_bits", told, sorted(target.weight_bits)))
    return found


def _offered(target: Target, what: str) -> tuple[str, ...]:
    return {"weight": target.weight_formats, "activation": target.activation_formats}[what]


def _format_fault(target: Target, what: str, told: str) -> Fault:
    offered = _offered(target, what)
    listed = ", ".join(offered)
    return Fault(
        "PJ215", f"{told}; {target.name!r} offers {listed or 'integers alone'}",
        where=target.where(f"core.{what}_formats"),
        fix=f"one of {listed}" if offered else "a machine with that format, such as 'fp8_mx'",
    )  # fmt: skip


def _kind_faults(target: Target, what: str, bits: int | None, kind: str | None) -> Iterator[Fault]:
    if kind is None:
        return
    if kind not in _offered(target, what):
        yield _format_fault(target, what, f"{what}s in {kind!r} asked for")
    elif bits not in (None, FLOATS[kind].bits):
        told = f"{bits} {what} bits asked for, and {what}s in {kind!r}, which has"
        yield Fault("PJ806", f"{told} {FLOATS[kind].bits}", fix="leave the bits out")


def _usable(field: str, bits: int) -> bool:
    return bits >= SIGNED_MIN or field != "weight_bits"


def _fault(target: Target, field: str, told: str, usable: list[int]) -> Fault:
    offered = ", ".join(map(str, usable))
    return Fault(
        "PJ209", f"{told}; {target.name!r} offers {offered}",
        where=target.where(f"core.choices.{field}"), fix=f"one of {offered}",
    )  # fmt: skip
