"""Which numbers of bits a quantization uses."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.errors import Fault
from picojoule.graph import Graph
from picojoule.graph.ops import IntConv2d, IntDense, IntSynapse
from picojoule.target import Target

SIGNED_MIN = 2  # one bit of a mixed-sign weight is a sign and nothing else


@dataclass(frozen=True)
class Bits:
    """Bits of weights and activations of every layer; a tensor network's input has 8."""

    weight: int
    activation: int


def choose_bits(target: Target, bits: int | None, activation_bits: int | None) -> Bits:
    """What is asked for; else activations as weights, and weights the most there are, up to 8."""
    weight = max(b for b in target.weight_bits if b <= 8) if bits is None else bits
    if activation_bits is None:
        offered = [b for b in target.activation_bits if b <= 8]
        activation_bits = weight if weight in offered else max(offered)
    return Bits(weight, activation_bits)


def bits_faults(target: Target, bits: int | None, activation_bits: int | None) -> list[Fault]:
    """PJ209 for each number of bits that the target does not offer."""
    asked = (
        ("weight_bits", bits, target.weight_bits),
        ("activation_bits", activation_bits, target.activation_bits),
    )
    return [
        _fault(target, field, count, usable)
        for field, count, offered in asked
        if count is not None
        and count not in (usable := [b for b in sorted(offered) if _usable(field, b)])
    ]


def stored_bits_faults(graph: Graph, bits: int | None) -> list[Fault]:
    """PJ806 where other bits are asked for than a quantized network has already."""
    stored = {n.op.bits for n in graph.nodes if isinstance(n.op, IntSynapse)}
    stored |= {n.op.weight_bits for n in graph.nodes if isinstance(n.op, IntDense | IntConv2d)}
    if bits is None or not stored or max(stored) == bits:
        return []
    what = f"{graph.name!r} is quantized to {max(stored)} weight bits already, not {bits}"
    return [Fault("PJ806", what, fix="give the float network, or leave the bits out")]


def _usable(field: str, bits: int) -> bool:
    return bits >= SIGNED_MIN or field != "weight_bits"


def _fault(target: Target, field: str, count: int, usable: list[int]) -> Fault:
    offered = ", ".join(map(str, usable))
    return Fault(
        "PJ209", f"{count} {field.replace('_', ' ')} asked for; {target.name!r} offers {offered}",
        where=target.where(f"core.choices.{field}"), fix=f"one of {offered}",
    )  # fmt: skip
