"""The kinds of node.  A real op says what a network means; an `Int` op says which integers
a machine computes for it, with every constant named."""

from __future__ import annotations

from dataclasses import dataclass

from picojoule.graph.ops_image import (
    AveragePool,
    Concat,
    Conv,
    Elu,
    GlobalAveragePool,
    LeakyRelu,
    MaxPool,
    Sigmoid,
    Softmax,
    Tanh,
)
from picojoule.graph.ops_image_int import (
    IMAGE_INTEGERS,
    IntAveragePool,
    IntConcat,
    IntConv2d,
    IntLookup,
    IntMaxPool,
    clamp_complaints,
    float_complaints,
)
from picojoule.graph.ops_spiking import (
    SYNAPSES,
    IntConv,
    IntCuba,
    IntNeuron,
    IntPool,
    IntShared,
    IntSynapse,
    Shapes,
    same_shape,
    vector,
)
from picojoule.graph.types import Kind, TensorType

__all__ = [
    "IMAGE_INTEGERS", "INTEGER_OPS", "JOINING", "OPS", "REAL_OPS", "SYNAPSES", "Add", "AveragePool",
    "BatchNorm", "Concat", "Conv", "CubaLif", "Delay", "Dense", "Elu", "Flatten",
    "GlobalAveragePool", "Input", "IntAdd", "IntAveragePool", "IntConcat", "IntConv", "IntConv2d",
    "IntCuba", "IntDense", "IntLookup", "IntMaxPool", "IntNeuron", "IntPool", "IntShared",
    "IntSynapse", "LeakyRelu", "MaxPool", "Relu", "Sigmoid", "Softmax", "Tanh",
]  # fmt: skip


def _graded(kind: Kind) -> Kind:
    """The kind of a result that is no longer 0 or 1 even where the input is."""
    return "current" if kind == "spike" else kind


@dataclass(frozen=True, kw_only=True)
class Input:
    """Where samples enter: reals, or spikes (one bool an element and step)."""

    shape: tuple[int, ...]
    kind: Kind = "real"

    CONSTANTS = ()
    ARITY = (0, 0)

    def out_type(self) -> TensorType:
        return TensorType(self.shape, self.kind)

    def shapes(self) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return (
            [f"shape must be positive, got {list(self.shape)}"]
            if min(self.shape, default=0) < 1
            else []
        )


@dataclass(frozen=True, kw_only=True)
class Dense:
    """y = W x + b.  weight (out, in); bias (out,).  Spikes in give a current."""

    weight: str
    bias: str | None = None
    features: int = 0  # out; 0 only while a graph is being built

    CONSTANTS = ("weight", "bias")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        vector("Dense", x)
        return TensorType((self.features,), "current" if x.kind == "spike" else "real")

    def shapes(self, x: TensorType) -> Shapes:
        return {"weight": (self.features, x.size), "bias": (self.features,)}

    def complaints(self) -> list[str]:
        return [] if self.features > 0 else [f"features must be positive, got {self.features}"]


@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    """y = gain (x - mean) / sqrt(variance + eps) + shift; running statistics.

    One of each for every place of the last axis: a feature, or a channel of an image.
    """

    gain: str
    shift: str
    mean: str
    variance: str
    eps: float = 1e-5

    CONSTANTS = ("gain", "shift", "mean", "variance")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType(x.shape, _graded(x.kind))

    def shapes(self, x: TensorType) -> Shapes:
        return dict.fromkeys(self.CONSTANTS, x.shape[-1:])

    def complaints(self) -> list[str]:
        return [] if self.eps > 0 else [f"eps must be positive, got {self.eps}"]


@dataclass(frozen=True)
class Relu:
    """y = max(x, 0)."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Add:
    """y = a + b, elementwise: a residual path."""

    CONSTANTS = ()
    ARITY = (2, 2)

    def out_type(self, a: TensorType, b: TensorType) -> TensorType:
        return TensorType(same_shape("Add", a, b), _graded(a.kind))

    def shapes(self, a: TensorType, b: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True)
class Flatten:
    """A vector of all elements, last axis fastest."""

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return TensorType((x.size,), x.kind)

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return []


@dataclass(frozen=True, kw_only=True)
class Delay:
    """What the input was `steps` steps ago; zero before.  Every cycle contains one."""

    steps: int = 1

    CONSTANTS = ()
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        return x

    def shapes(self, x: TensorType) -> Shapes:
        return {}

    def complaints(self) -> list[str]:
        return [] if self.steps >= 1 else [f"steps must be at least 1, got {self.steps}"]


@dataclass(frozen=True, kw_only=True)
class CubaLif:
    """Current-based leaky integrate-and-fire neurons; all inputs are summed.

    u' = (1 - decay_u) u + x;  v' = (1 - decay_v) v + u' + bias
    spike and v = 0 when v' > v_th; then v stays 0 for refractory - 1 further steps.
    decay_u = 1 makes the plain LIF neuron.
    """

    decay_u: str
    decay_v: str
    v_th: str
    bias: str | None = None
    refractory: int = 1

    CONSTANTS = ("decay_u", "decay_v", "v_th", "bias")
    ARITY = (1, None)

    def out_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(same_shape("CubaLif", *inputs), "spike")

    def shapes(self, *inputs: TensorType) -> Shapes:
        return dict.fromkeys(self.CONSTANTS, inputs[0].shape)

    def complaints(self) -> list[str]:
        ok = self.refractory >= 1
        return [] if ok else [f"refractory must be at least 1, got {self.refractory}"]


# ---------------------------------------------------------------------------------- integers


@dataclass(frozen=True, kw_only=True)
class IntDense:
    """Integer matrix product with requantization (rules T1..T6 of docs/numerics.md).

    acc = sum (x - zero_in) weight + bias; out = clamp(scale(acc) + zero, low, high).
    Without `multiplier` the 32-bit accumulators themselves are the result.

    weight int (out, in); bias int32 (out,); multiplier, exponent int (out,)
    step_in, step_w, step_out name the real steps: x ~ step_in (q - zero_in), and so on
    weight_kind  a name of FLOATS where weights are no plain integers; `weight_bits` are its bits
    shift        of sums that leave an exact accumulator, before the bias (rule T14); None: 0
    result_kind  a name of FLOATS that results are rounded to (rule T15), where they are
    """

    weight: str
    bias: str
    step_in: str
    step_w: str
    multiplier: str | None = None
    exponent: str | None = None
    step_out: str | None = None
    zero_in: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127
    weight_bits: int = 8
    features: int = 0
    profile: str = "double_round"
    weight_kind: str | None = None
    shift: int | None = None
    result_kind: str | None = None

    CONSTANTS = ("weight", "bias", "multiplier", "exponent", "step_in", "step_w", "step_out")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        vector("IntDense", x)
        return TensorType((self.features,), "integer")

    def shapes(self, x: TensorType) -> Shapes:
        out = (self.features,)
        return {
            "weight": (self.features, x.size),
            "bias": out,
            "multiplier": out,
            "exponent": out,
            "step_in": (),
            "step_w": out,
            "step_out": (),
        }

    def complaints(self) -> list[str]:
        return clamp_complaints(self.low, self.high, self.profile) + float_complaints(self)


@dataclass(frozen=True, kw_only=True)
class IntAdd:
    """Integer sum of two edges of different steps (rule T7).

    scaling int (6,): multiplier and exponent of a, of b, and of the result
    """

    scaling: str
    step_a: str
    step_b: str
    step_out: str
    zero_a: int = 0
    zero_b: int = 0
    zero: int = 0
    low: int = -128
    high: int = 127
    left_shift: int = 20
    profile: str = "double_round"

    CONSTANTS = ("scaling", "step_a", "step_b", "step_out")
    ARITY = (2, 2)

    def out_type(self, a: TensorType, b: TensorType) -> TensorType:
        return TensorType(same_shape("IntAdd", a, b), "integer")

    def shapes(self, a: TensorType, b: TensorType) -> Shapes:
        return {"scaling": (6,), "step_a": (), "step_b": (), "step_out": ()}

    def complaints(self) -> list[str]:
        return clamp_complaints(self.low, self.high, self.profile)


REAL_OPS = (
    Input, Dense, BatchNorm, Relu, Add, Flatten, Delay, CubaLif, Conv, MaxPool, AveragePool,
    GlobalAveragePool, Concat, LeakyRelu, Elu, Sigmoid, Tanh, Softmax,
)  # fmt: skip
INTEGER_OPS = (IntDense, IntAdd, *IMAGE_INTEGERS, *SYNAPSES, IntCuba, IntNeuron)
JOINING = (Concat, IntConcat)  # their type takes all inputs; that of other ops any one
OPS = {op.__name__: op for op in REAL_OPS + INTEGER_OPS}
