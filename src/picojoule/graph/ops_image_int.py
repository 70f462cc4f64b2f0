"""The kinds of node of convolutional networks, in integers: rules T9..T12 of docs/numerics.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from picojoule.fixed.format import FLOATS, Format, float_format
from picojoule.fixed.profile import TENSOR
from picojoule.graph.ops_image import (
    NONE,
    ONE,
    conv_complaints,
    convolved,
    joined,
    pool_complaints,
    pooled,
)
from picojoule.graph.ops_spiking import Shapes
from picojoule.graph.types import TensorType

TABLE_BITS = 8  # of what a table of an element function is looked up with
RESULT_KINDS = ("e4m3",)  # formats of results beside integers: each number stands alone
SHIFT_MAX = 32  # of sums that leave an exact accumulator


def weight_form(op: Any) -> Format:
    """The format of the weights of an integer layer."""
    return float_format(op.weight_kind) if op.weight_kind else Format(op.weight_bits)


def sum_unit(op: Any) -> float:
    """What one unit of the sums of an integer layer is, in units of step_in * step_w (T14)."""
    return 2.0 ** (op.shift or 0)


def result_fraction(op: Any) -> int:
    """Bits behind the leading one of results of few significant bits (T15); 0: all are kept."""
    return FLOATS[op.result_kind].fraction if op.result_kind else 0


def result_complaints(op: Any) -> list[str]:
    """What is wrong with the format of results of an integer layer or pool."""
    if op.result_kind is None:
        return []
    if op.result_kind not in RESULT_KINDS:
        return [f"results cannot be {op.result_kind!r}; known: {', '.join(RESULT_KINDS)}"]
    form = float_format(op.result_kind)
    if form.low <= op.low and op.high <= form.high:
        return []
    return [f"results in {form} lie in {form.low}..{form.high}, not {op.low}..{op.high}"]


def float_complaints(op: Any) -> list[str]:
    """What is wrong with the formats and the shift of sums of an integer layer."""
    found = result_complaints(op)
    if op.weight_kind is not None and op.weight_kind not in FLOATS:
        found.append(f"no such format: {op.weight_kind!r}; known: {', '.join(FLOATS)}")
    elif weight_form(op).bits != op.weight_bits:
        found.append(f"weights in {op.weight_kind} have no {op.weight_bits} bits")
    if not 0 <= (op.shift or 0) <= SHIFT_MAX:
        found.append(f"shift must lie in 0..{SHIFT_MAX}, got {op.shift}")
    return found


def clamp_complaints(low: int, high: int, profile: str) -> list[str]:
    """What is wrong with a range of results and a tensor profile."""
    found = [] if low < high else [f"low {low} is not below high {high}"]
    if profile not in TENSOR:
        found.append(f"no such tensor profile: {profile!r}; known: {sorted(TENSOR)}")
    return found


@dataclass(frozen=True, kw_only=True)
class IntConv2d:
    """Integer convolution with requantization (rules T9 and T6).

    acc[p, q, o] = bias[o] + sum weight[o, i, a, b] (x[...] - zero_in), 0 outside the image,
    as `Conv`; out = clamp(scale(acc) + zero, low, high)

    weight int (out, in / groups, kernel height, kernel width); bias int32 (out,);
    multiplier, exponent int (out,)
    step_in, step_w, step_out name the real steps: x ~ step_in (q - zero_in), and so on
    weight_kind, shift, result_kind  as of `IntDense`
    """

    weight: str
    bias: str
    multiplier: str
    exponent: str
    step_in: str
    step_w: str
    step_out: str
    kernel: tuple[int, ...]
    features: int
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE
    dilation: tuple[int, ...] = ONE
    groups: int = 1
    zero_in: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127
    weight_bits: int = 8
    profile: str = "double_round"
    weight_kind: str | None = None
    shift: int | None = None
    result_kind: str | None = None

    CONSTANTS = ("weight", "bias", "multiplier", "exponent", "step_in", "step_w", "step_out")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(convolved(self, x), "integer")

    def shapes(self, x: TensorType) -> Shapes:
        out = (self.features,)
        return {
            "weight": (self.features, x.shape[-1] // self.groups, *self.kernel),
            **dict.fromkeys(("bias", "multiplier", "exponent", "step_w"), out),
            "step_in": (), "step_out": (),
        }  # fmt: skip

    def complaints(self) -> list[str]:
        found = conv_complaints(self) + clamp_complaints(self.low, self.high, self.profile)
        return found + float_complaints(self)


@dataclass(frozen=True, kw_only=True)
class IntMaxPool:
    """The largest integer of each window (rule T10); step and zero are those of the input."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(pooled(self, x), "integer")

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return pool_complaints(self.kernel, self.stride, self.padding)


@dataclass(frozen=True, kw_only=True)
class IntAveragePool:
    """Sums of x - zero_in over each window, requantized (rules T11 and T6).

    Padding counts as zeros, so that every window has as many elements.
    multiplier, exponent int (): of step_in / (elements of a window * step_out)
    result_kind  as of `IntDense`
    """

    multiplier: str
    exponent: str
    step_in: str
    step_out: str
    kernel: tuple[int, ...]
    stride: tuple[int, ...] = ONE
    padding: tuple[int, ...] = NONE
    zero_in: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127
    profile: str = "double_round"
    result_kind: str | None = None

    CONSTANTS = ("multiplier", "exponent", "step_in", "step_out")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(pooled(self, x), "integer")

    def shapes(self, x: TensorType) -> Shapes:
        return dict.fromkeys(self.CONSTANTS, ())

    def complaints(self) -> list[str]:
        found = pool_complaints(self.kernel, self.stride, self.padding)
        found += clamp_complaints(self.low, self.high, self.profile)
        return found + result_complaints(self)


@dataclass(frozen=True, kw_only=True)
class IntLookup:
    """y = table[x - first], element by element (rule T12): any function of an 8-bit integer.

    table int (entries,); first: the integer that its first entry belongs to
    function, argument say what the table holds: a real op's name, and its slope or alpha
    """

    table: str
    step_in: str
    step_out: str
    function: str
    argument: float = 0.0
    first: int = -128
    entries: int = 256
    zero_in: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127

    CONSTANTS = ("table", "step_in", "step_out")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(x.shape, "integer")

    def shapes(self, x: TensorType) -> Shapes:
        return {"table": (self.entries,), "step_in": (), "step_out": ()}

    def complaints(self) -> list[str]:
        found = [] if self.low < self.high else [f"low {self.low} is not below high {self.high}"]
        if not 1 <= self.entries <= 1 << TABLE_BITS:
            found.append(f"a table has 1..{1 << TABLE_BITS} entries, got {self.entries}")
        return found


@dataclass(frozen=True)
class IntConcat:
    """All inputs one after the other along the last axis; their steps and zeros are the same."""

    CONSTANTS = ()
    ARITY = (2, None)

    def out_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(joined("IntConcat", inputs), "integer")

    def shapes(self, *inputs: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


IMAGE_INTEGERS = (IntConv2d, IntMaxPool, IntAveragePool, IntLookup, IntConcat)
