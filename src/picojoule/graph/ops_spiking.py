"""The kinds of node that a spiking core computes: synapse groups and populations of neurons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from picojoule.fixed.neurons import KINDS
from picojoule.fixed.profile import SPIKING
from picojoule.graph.types import TensorType

Shapes = dict[str, tuple[int, ...]]
Pairs = tuple[tuple[str, str], ...]
Numbers = tuple[tuple[str, int], ...]


def same_shape(what: str, *inputs: TensorType) -> tuple[int, ...]:
    """The one shape of all inputs.  Raises ValueError where they differ."""
    shapes = {x.shape for x in inputs}
    if len(shapes) != 1:
        listed = " and ".join(str(list(x.shape)) for x in inputs)
        raise ValueError(f"{what} needs inputs of one shape, got {listed}")
    return inputs[0].shape


def vector(what: str, x: TensorType) -> int:
    """The length of a vector.  Raises ValueError for any other shape."""
    if len(x.shape) != 1:
        raise ValueError(f"{what} needs a vector, got {list(x.shape)}: put a Flatten before it")
    return x.shape[0]


@dataclass(frozen=True, kw_only=True)
class IntSynapse:
    """Weights of a spiking core: one spike adds effective_weight(mantissa, exponent) (S9).

    weight int (out, in): mantissas, -256..255, with the least significant bits that the
    number of weight bits does not store already zero; `step_w` names the real step of
    one stored level: weight ~ step_w * mantissa / 2**dropped
    delay: synaptic delay beyond the profile's own (S10)
    delays int (out, in): of each synapse, beyond `delay`
    graded: payloads multiply the weight; else every nonzero payload counts as 1
    """

    weight: str
    step_w: str
    exponent: int = 0
    bits: int = 8
    dropped: int = 1  # least significant mantissa bits that are not stored
    delay: int = 0
    features: int = 0
    sparse: bool = False
    delays: str | None = None
    graded: bool = False

    CONSTANTS = ("weight", "step_w", "delays")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        vector("IntSynapse", x)
        return TensorType((self.features,), "current")

    def shapes(self, x: TensorType) -> Shapes:
        all_of_them = (self.features, x.size)
        return {"weight": all_of_them, "delays": all_of_them, "step_w": ()}

    def complaints(self) -> list[str]:
        return _delay_complaints(self.delay)


@dataclass(frozen=True, kw_only=True)
class IntConv:
    """Convolution of spikes (H, W, C) by one kernel: as IntSynapse, weights shared by position.

    out[y, x, o] = sum weight[o, i, a, b] in[y sy + a dy - py, x sx + b dx - px, i], with
    kernel axes a, b reversed when `flipped` (a true convolution); zero outside.
    weight int (out channels, C / groups, kernel height, kernel width)
    """

    weight: str
    in_shape: tuple[int, ...]
    channels: int
    kernel: tuple[int, ...]
    step_w: str | None = None
    exponent: int = 0
    bits: int = 8
    dropped: int = 1
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, ...] = (0, 0)
    dilation: tuple[int, ...] = (1, 1)
    groups: int = 1
    flipped: bool = False
    delay: int = 0
    graded: bool = False

    CONSTANTS = ("weight", "step_w")
    ARITY = (1, 1)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the result."""
        sizes = windows(self.in_shape, self.kernel, self.stride, self.padding, self.dilation)
        return (*sizes, self.channels)

    def out_type(self, x: TensorType) -> TensorType:
        _image(self, x, self.in_shape)
        return TensorType(self.out_shape, "current")

    def shapes(self, x: TensorType) -> Shapes:
        inputs = self.in_shape[2] // self.groups
        return {"weight": (self.channels, inputs, *self.kernel), "step_w": ()}

    def complaints(self) -> list[str]:
        found = _window_complaints(
            self.in_shape, self.kernel, self.stride, self.padding, self.dilation
        )
        if self.groups < 1 or self.channels < 1:
            found.append(f"channels {self.channels} and groups {self.groups} must be positive")
        elif len(self.in_shape) == 3 and (self.in_shape[2] % self.groups
                                          or self.channels % self.groups):  # fmt: skip
            found.append(f"{self.groups} groups do not divide {self.in_shape[2]} channels into"
                         f" {self.channels}")  # fmt: skip
        return found + _delay_complaints(self.delay)


@dataclass(frozen=True, kw_only=True)
class IntPool:
    """Sums of spikes (H, W, C) over windows, channel by channel, times one shared weight.

    weight int (): the mantissa
    """

    weight: str
    in_shape: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...] = (0, 0)
    step_w: str | None = None
    exponent: int = 0
    bits: int = 8
    dropped: int = 1
    delay: int = 0
    graded: bool = False

    CONSTANTS = ("weight", "step_w")
    ARITY = (1, 1)
    dilation = (1, 1)

    @property
    def out_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of the result."""
        sizes = windows(self.in_shape, self.kernel, self.stride, self.padding, self.dilation)
        return (*sizes, self.in_shape[2])

    def out_type(self, x: TensorType) -> TensorType:
        _image(self, x, self.in_shape)
        return TensorType(self.out_shape, "current")

    def shapes(self, x: TensorType) -> Shapes:
        return {"weight": (), "step_w": ()}

    def complaints(self) -> list[str]:
        found = _window_complaints(
            self.in_shape, self.kernel, self.stride, self.padding, self.dilation
        )
        return found + _delay_complaints(self.delay)


@dataclass(frozen=True, kw_only=True)
class IntShared:
    """Weights that many axons share: lists of targets, and a base for each axon (pop weights).

    A spike of input i adds weight[k] to neuron base[i] + target[k], for all k in
    indptr[row[i]] : indptr[row[i] + 1].
    row int (in,); base int (in,); indptr int (lists + 1,); target, weight int (entries,)
    """

    row: str
    base: str
    indptr: str
    target: str
    weight: str
    features: int
    step_w: str | None = None
    exponent: int = 0
    bits: int = 8
    dropped: int = 1
    delay: int = 0
    graded: bool = False

    CONSTANTS = ("row", "base", "indptr", "target", "weight", "step_w")
    ARITY = (1, 1)

    def out_type(self, x: TensorType) -> TensorType:
        vector("IntShared", x)
        return TensorType((self.features,), "current")

    def shapes(self, x: TensorType) -> Shapes:
        return {"row": (x.size,), "base": (x.size,), "step_w": ()}

    def complaints(self) -> list[str]:
        ok = self.features > 0
        found = [] if ok else [f"features must be positive, got {self.features}"]
        return found + _delay_complaints(self.delay)


@dataclass(frozen=True, kw_only=True)
class IntCuba:
    """CUBA-LIF neurons in a core's registers (rules S1..S8); all inputs are summed.

    decay_u, decay_v int: decay registers; v_th int: mantissa, times 2**weight_shift;
    bias int: mantissa, times 2**bias_exponent.  `step` names the real value of one unit of
    u and v.
    """

    decay_u: str
    decay_v: str
    v_th: str
    step: str
    bias: str | None = None
    bias_exponent: int = 0
    refractory: int = 1
    profile: str = "loihi1"

    CONSTANTS = ("decay_u", "decay_v", "v_th", "bias", "step")
    ARITY = (1, None)

    def out_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(same_shape("IntCuba", *inputs), "spike")

    def shapes(self, *inputs: TensorType) -> Shapes:
        shape = inputs[0].shape
        return {"decay_u": shape, "decay_v": shape, "v_th": shape, "bias": shape, "step": ()}

    def complaints(self) -> list[str]:
        if self.profile not in SPIKING:
            return [f"no such spiking profile: {self.profile!r}; known: {sorted(SPIKING)}"]
        top = SPIKING[self.profile].refractory_max
        ok = 1 <= self.refractory <= top
        return [] if ok else [f"refractory must lie in 1..{top}, got {self.refractory}"]


@dataclass(frozen=True, kw_only=True)
class IntNeuron:
    """Neurons of a kind of `fixed.neurons.KINDS`, which names their registers and options.

    registers  (register, constant) each: int (), or one value for each neuron
    options    (option, value): plain numbers for the whole population; absent ones are 0
    second     number of the first input that feeds the second current of kinds that have two
    """

    kind: str
    registers: Pairs = ()
    options: Numbers = ()
    second: int = 0
    step: str | None = None
    profile: str = "loihi2"

    CONSTANTS = ("step",)
    ARITY = (1, None)

    def out_type(self, *inputs: TensorType) -> TensorType:
        return TensorType(same_shape("IntNeuron", *inputs), "spike")

    def shapes(self, *inputs: TensorType) -> Shapes:
        return {"step": ()} | {name: inputs[0].shape for name, _ in self.registers}

    def complaints(self) -> list[str]:
        if self.kind not in KINDS:
            return [f"no such kind of neuron: {self.kind!r}; known: {', '.join(KINDS)}"]
        return [*_field_complaints(self), *_profile_complaints(self)]


def _field_complaints(op: IntNeuron) -> Iterator[str]:
    kind = KINDS[op.kind]
    for what, given, known in (
        ("registers", [name for name, _ in op.registers], kind.registers),
        ("options", [name for name, _ in op.options], kind.options),
    ):
        strange = sorted(set(given) - set(known))
        if strange or len(set(given)) < len(given):
            has = ", ".join(known) or "none"
            yield f"{what} of kind {op.kind!r} are {has}, each once; got {', '.join(given)}"
    lacking = [r for r in kind.registers if r not in dict(op.registers) and r != "bias"]
    if lacking:
        yield f"registers {', '.join(lacking)} are missing"
    if (op.second > 0) != (kind.currents == 2):
        needs = "the number of" if kind.currents == 2 else "0 as"
        yield (
            f"second is {op.second}; kind {op.kind!r} needs {needs} the first input of a second"
            " current"
        )


def _profile_complaints(op: IntNeuron) -> Iterator[str]:
    if op.profile not in SPIKING:
        yield f"no such spiking profile: {op.profile!r}; known: {sorted(SPIKING)}"
    elif op.kind not in SPIKING[op.profile].kinds:
        known = ", ".join(SPIKING[op.profile].kinds)
        yield f"profile {op.profile!r} has no neurons of kind {op.kind!r}; it has {known}"


SYNAPSES = (IntSynapse, IntConv, IntPool, IntShared)


def windows(
    in_shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    padding: tuple[int, ...], dilation: tuple[int, ...],
) -> tuple[int, int]:  # fmt: skip
    """How many places a window has along height and width."""
    y, x = (
        (in_shape[k] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) // stride[k] + 1
        for k in (0, 1)
    )
    return y, x


def _image(op: IntConv | IntPool, x: TensorType, shape: tuple[int, ...]) -> None:
    what = type(op).__name__
    if op.complaints():
        raise ValueError(f"{what} has no result shape")
    if x.shape not in (shape, (shape[0] * shape[1] * shape[2],)):
        raise ValueError(f"{what} takes {list(shape)}, or these as a vector; got {list(x.shape)}")


def _window_complaints(
    in_shape: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...],
    padding: tuple[int, ...], dilation: tuple[int, ...],
) -> list[str]:  # fmt: skip
    found = []
    for name, values, count, least in (
        ("in_shape", in_shape, 3, 1), ("kernel", kernel, 2, 1), ("stride", stride, 2, 1),
        ("padding", padding, 2, 0), ("dilation", dilation, 2, 1),
    ):  # fmt: skip
        if len(values) != count or min(values) < least:
            found.append(f"{name} needs {count} numbers of at least {least}, got {list(values)}")
    if not found and min(windows(in_shape, kernel, stride, padding, dilation)) < 1:
        found.append(f"a window of {list(kernel)} does not fit into {list(in_shape)}")
    return found


def _delay_complaints(delay: int) -> list[str]:
    return [] if delay >= 0 else [f"delay must not be negative, got {delay}"]
