"""lava-dl's exported networks (`.net`, HDF5) as Graphs of pinned integers.

Layers and neurons mean what lava-dl's netx module makes of them:

    LOIHI, CUBA  decay_u = iDecay - 1, decay_v = vDecay, v_th = vThMant, bias * 2**6
    SDNN         the input layer a Delta, others SigmaDelta, both exponents 6, threshold vThMant;
                 with `sigma_output` a Sigma: its sum is the word `sigma` of that node
    conv         cross-correlation with the kernel as stored (output, input, height, width)
    dense        behind a flatten the columns run over channel, height, width

Every layer acts one step after the one before.  The peer resets the neurons of the k-th layer
in every step t = k modulo tSample + 1, before it updates them.

An input layer is fed with payloads: of LOIHI neurons the bias that an image gives, of a Delta
the value itself; `transformed` computes both from values in 0..1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from picojoule.container import existing
from picojoule.errors import Fault, FrontendError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.fixed.format import Format
from picojoule.frontend.nir_file import check_size, child_output
from picojoule.graph.graph import Graph
from picojoule.graph.ops import Delay, Flatten, Input, IntConv, IntNeuron, IntShared, IntSynapse
from picojoule.graph.types import Node, Op, Pinned

EXPONENT = 6  # of biases, and of both exponents of sigma-delta neurons (netx hdf5.py)
SIGMA_WEIGHT = 64  # of an SDNN input layer that names no weight (netx hdf5.py)
KINDS = ("input", "conv", "flatten", "dense")
SPIKING, GRADED = ("LOIHI", "CUBA"), ("SDNN",)
MANTISSA = (-256, 255)
INPUT, UNIT = "in", "unit"
# kind, registers, options
Neurons = tuple[str, dict[str, np.ndarray | int], tuple[tuple[str, int], ...]]


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a file: its number, type, arrays, and its neuron's type and numbers."""

    number: int
    kind: str
    arrays: dict[str, np.ndarray]
    neuron: str = ""
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"layer{self.number}"

    def fail(self, what: str, code: str = "PJ501") -> FrontendError:
        """The error for something wrong with this layer."""
        return FrontendError(Fault(code, f"layer {self.number} ({self.kind}): {what}"))

    def whole(self, name: str, *, neuron: bool = False) -> int:
        """A whole number of the layer, or of its neuron."""
        found = (self.numbers if neuron else self.arrays).get(name)
        if found is None or found.size != 1:
            raise self.fail(f"{name!r} is missing or not one number")
        value = float(found.reshape(-1)[0])
        if value != int(value) or abs(value) > 2**31:
            raise self.fail(f"{name!r} must be a whole number, got {value:g}")
        return int(value)

    def integers(self, name: str) -> np.ndarray:
        """An array of whole numbers, int64."""
        found = self.arrays.get(name)
        if found is None:
            raise self.fail(f"{name!r} is missing")
        if (found != np.rint(found)).any() or np.abs(found).max(initial=0) > 2**31:
            raise self.fail(f"{name!r} holds numbers that are not whole")
        return found.astype(np.int64)

    def pair(self, name: str) -> tuple[int, int]:
        """Two numbers (height, width); one stands for both."""
        found = self.integers(name).reshape(-1)
        if found.size not in (1, 2):
            raise self.fail(f"{name!r} needs two numbers")
        return int(found[0]), int(found[-1])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels); lava-dl writes channels first."""
        found = [int(n) for n in self.integers("shape").reshape(-1)]
        if len(found) not in (1, 3) or min(found) < 1 or np.prod(found) > 2**28:
            raise self.fail(f"impossible shape {found}")
        channels, *image = found
        return (image[0], image[1], channels) if image else (1, 1, channels)


@dataclass(frozen=True, eq=False)
class NetFile:
    """The layers of a file, and `tSample`, steps that a sample takes (0: not given)."""

    name: str
    layers: tuple[Layer, ...]
    sample_steps: int = 0

    @property
    def populations(self) -> tuple[Layer, ...]:
        """The layers that have neurons, in order."""
        return tuple(layer for layer in self.layers if layer.kind != "flatten")


def read(path: str | os.PathLike[str], *, steps: int = 100) -> Graph:
    """A `.net` file as a frozen Graph for profile `loihi2`; its delays are scheduled.

    steps  that a sample is shown where the file names no tSample

    Raises FrontendError PJ501 for a damaged file, PJ502 for a layer or neuron that is not read.
    """
    file = read_net(existing(path))
    return network(file, steps=file.sample_steps or steps)


def read_net(path: Path) -> NetFile:
    """The content of a file, its layers and neurons of kinds that can be read."""
    check_size(path)
    head, _, rest = child_output(path, "lava_unpack").partition(b"\n")
    found = json.loads(head)
    if found["faults"]:
        raise FrontendError([Fault("PJ501", what) for what in found["faults"]])
    arrays = dict(_arrays(found["arrays"], rest))
    layers = tuple(_layer(number, arrays, found["texts"]) for number in found["layers"])
    faults = [*_unsupported(layers)]
    if faults:
        raise FrontendError(faults)
    return NetFile(path.stem, layers, _sample_steps(arrays))


def _sample_steps(arrays: dict[str, np.ndarray]) -> int:
    sample = arrays.get("simulation/tSample", np.zeros(1))
    if sample.size != 1 or not 0 <= sample.item() < 2**31 or sample.item() != int(sample.item()):
        shown = sample.reshape(-1)[:3].tolist()
        raise FrontendError(Fault("PJ501", f"tSample must be one number of steps, got {shown}"))
    return int(sample.item())


def _arrays(
    listed: list[tuple[str, str, list[int]]], data: bytes
) -> Iterator[tuple[str, np.ndarray]]:
    at = 0
    for name, dtype, shape in listed:
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(data, dtype, count, at).reshape(shape).copy()
        at += array.nbytes
        yield name, array


def _layer(number: int, arrays: dict[str, np.ndarray], texts: dict[str, str]) -> Layer:
    def within(prefix: str) -> dict[str, np.ndarray]:
        named = {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
        return {key: a for key, a in named.items() if "/" not in key}

    return Layer(
        number, texts.get(f"{number}/type", ""), within(f"{number}/"),
        texts.get(f"{number}/neuron/type", ""), within(f"{number}/neuron/"),
    )  # fmt: skip


def _unsupported(layers: tuple[Layer, ...]) -> Iterator[Fault]:
    if not layers or layers[0].kind != "input":
        yield Fault("PJ501", "the first layer is not an input layer")
    for layer in layers:
        where = f"layer {layer.number}"
        if layer.kind not in KINDS:
            yield Fault(
                "PJ502", f"{where} is a {layer.kind[:40]!r}", fix=f"read: {', '.join(KINDS)}"
            )
        elif layer.kind == "flatten":
            continue
        elif layer.neuron not in SPIKING + GRADED:
            what = f"{where} has neurons {layer.neuron[:40]!r}"
            yield Fault("PJ502", what, fix=f"read: {', '.join(SPIKING + GRADED)}")
        elif "delay" in layer.arrays:
            yield Fault("PJ502", f"{where} has synaptic delays, which lava-dl's netx ignores")
        elif layer.neuron in SPIKING and np.any(layer.numbers.get("refDelay", 1) != np.ones(1)):
            yield Fault("PJ502", f"{where} has a refractory delay other than 1")


# -------------------------------------------------------------------------------------- graphs


def network(file: NetFile, *, steps: int, profile: str = "loihi2") -> Graph:
    """The whole network as a Graph; node `layerN` holds the neurons of layer N of the file."""
    maker = _Maker(file, profile)
    for rank, layer in enumerate(file.populations):
        maker.add(layer, rank)
    first = file.populations[0]
    size = int(np.prod(first.shape))
    entry = Node(INPUT, Input(shape=(size,), kind="spike"))
    return Graph(
        name=file.name, nodes=(entry, *maker.nodes), output=file.populations[-1].name,
        encoder=Encoder(kind="events", shape=(size,), steps=steps), readout=Readout(kind="none"),
        params={UNIT: np.ones(())}, pinned=maker.pins, steps=steps,
        latency=len(file.populations) - 1,
    )  # fmt: skip


def transformed(file: NetFile, x: np.ndarray) -> np.ndarray:
    """Payloads for the input layer from values in 0..1: 2 weight x - weight + bias, to zero."""
    first = file.populations[0]
    weight = first.whole("weight") if "weight" in first.arrays else SIGMA_WEIGHT
    bias = first.whole("bias") if "bias" in first.arrays else 0
    return (2 * weight * np.asarray(x, np.float64) - weight + bias).astype(np.int32)


class _Maker:
    """Nodes and pins of a network under construction, layer by layer."""

    def __init__(self, file: NetFile, profile: str) -> None:
        self.file, self.profile = file, profile
        self.nodes: list[Node] = []
        self.pins: dict[str, Pinned] = {}
        self.before: Layer | None = None
        self.shape = (0, 0, 0)

    def add(self, layer: Layer, rank: int) -> None:
        """Synapses from the layer before, and the neurons."""
        if self.before is None:
            self.shape = layer.shape
            op: Op = self._wire(layer)
            self.nodes.append(Node(f"{layer.name}.in", op, (INPUT,)))
        else:
            late = f"{self.before.name}.late"
            if not any(node.name == late for node in self.nodes):
                self.nodes.append(Node(late, Delay(steps=1), (self.before.name,)))
            self._synapses(layer, late)
        self.nodes.append(Node(layer.name, self._neurons(layer, rank), (f"{layer.name}.in",)))
        self.before = layer

    def pin(self, name: str, values: np.ndarray | int) -> str:
        """Pin integers; returns the name."""
        array = np.asarray(values).astype(np.int64)
        low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
        bits = 1 + max(high.bit_length(), (~low if low < 0 else low).bit_length())
        self.pins[name] = Pinned(array, Format(bits))
        return name

    def _wire(self, layer: Layer) -> IntShared:
        """Each input adds its payload to the neuron of its number."""
        size = int(np.prod(layer.shape))
        lists = {
            "row": np.zeros(size), "base": np.arange(size), "indptr": np.array([0, 1]),
            "target": np.zeros(1), "weight": np.ones(1),
        }  # fmt: skip
        named = {key: self.pin(f"{layer.name}.in.{key}", values) for key, values in lists.items()}
        return IntShared(features=size, dropped=0, graded=True, **named)

    def _synapses(self, layer: Layer, source: str) -> None:
        assert self.before is not None
        graded = self.before.neuron in GRADED
        if layer.kind == "conv":
            made = self._conv(layer, graded)
            if made.complaints():
                raise layer.fail(made.complaints()[0])
            if made.out_shape != layer.shape:
                raise layer.fail(f"its windows give {made.out_shape}, it says {layer.shape}")
            self.nodes.append(Node(f"{layer.name}.in", made, (source,)))
            self.shape = made.out_shape
            return
        if self.before.kind == "conv":
            flat = f"{self.before.name}.flat"
            self.nodes.append(Node(flat, Flatten(), (source,)))
            source = flat
        weight = self._weight(layer)
        self.nodes.append(Node(f"{layer.name}.in", self._dense(layer, weight, graded), (source,)))
        self.shape = (1, 1, len(weight))

    def _conv(self, layer: Layer, graded: bool) -> IntConv:
        weight = layer.integers("weight")
        if weight.ndim == 5 and weight.shape[4] == 1:
            weight = weight[..., 0]
        if weight.ndim != 4:
            raise layer.fail(f"a kernel has 4 axes, this one has shape {list(weight.shape)}")
        self._in_range(layer, weight)
        return IntConv(
            weight=self.pin(f"{layer.name}.weight", weight), in_shape=self.shape,
            channels=len(weight), kernel=weight.shape[2:], dropped=0, graded=graded,
            stride=layer.pair("stride"), padding=layer.pair("padding"),
            dilation=layer.pair("dilation") if "dilation" in layer.arrays else (1, 1),
            groups=layer.whole("groups") if "groups" in layer.arrays else 1,
        )  # fmt: skip

    def _weight(self, layer: Layer) -> np.ndarray:
        """(out, in), columns in our order: height, width, channel."""
        size, (height, width, channels) = int(np.prod(self.shape)), self.shape
        weight = layer.integers("weight")
        weight = weight.reshape(int(np.prod(layer.shape)), -1) if weight.ndim == 1 else weight
        if weight.ndim != 2 or weight.shape[1] != size:
            raise layer.fail(f"weights {list(weight.shape)} do not read {size} neurons")
        self._in_range(layer, weight)
        ordered = weight.reshape(len(weight), channels, height, width)
        return ordered.transpose(0, 2, 3, 1).reshape(len(weight), size)

    def _in_range(self, layer: Layer, weight: np.ndarray) -> None:
        if not weight.size or weight.min() < MANTISSA[0] or weight.max() > MANTISSA[1]:
            raise layer.fail(f"weights must lie in {MANTISSA[0]}..{MANTISSA[1]}")

    def _dense(self, layer: Layer, weight: np.ndarray, graded: bool) -> IntSynapse:
        return IntSynapse(
            weight=self.pin(f"{layer.name}.weight", weight), step_w=UNIT, dropped=0,
            features=len(weight), graded=graded,
        )  # fmt: skip

    def _neurons(self, layer: Layer, rank: int) -> IntNeuron:
        kind, registers, options = (
            self._cuba(layer, rank) if layer.neuron in SPIKING else self._sigma(layer, rank)
        )
        named = tuple(
            (key, self.pin(f"{layer.name}.{key}", value)) for key, value in registers.items()
        )
        return IntNeuron(kind=kind, registers=named, options=options, step=UNIT,
                         profile=self.profile)  # fmt: skip

    def _bias(self, layer: Layer, rank: int) -> np.ndarray | int:
        """One value a neuron; the input layer's bias is part of its payloads."""
        if rank == 0 or "bias" not in layer.arrays:
            return 0
        bias = layer.integers("bias").reshape(-1)
        channels = self.shape[2]
        if bias.size not in (1, channels):
            raise layer.fail(f"{bias.size} biases for {channels} channels")
        return np.broadcast_to(bias, self.shape if layer.kind == "conv" else (channels,))

    def _cuba(self, layer: Layer, rank: int) -> Neurons:
        registers = {
            "decay_u": layer.whole("iDecay", neuron=True) - 1,
            "decay_v": layer.whole("vDecay", neuron=True),
            "v_th": layer.whole("vThMant", neuron=True), "bias": self._bias(layer, rank),
        }  # fmt: skip
        options = (("bias_exponent", EXPONENT), ("refractory", 1))
        if not self.file.sample_steps:
            return "cuba", registers, options
        period = self.file.sample_steps + 1
        reset = (("reset_interval", period), ("reset_offset", (rank + 1) % period))
        return "cuba_reset", registers, options + reset

    def _sigma(self, layer: Layer, rank: int) -> Neurons:
        registers: dict[str, np.ndarray | int] = {"v_th": layer.whole("vThMant", neuron=True)}
        options = (("spike_exponent", EXPONENT), ("state_exponent", EXPONENT))
        if rank == 0:
            return "delta", registers, options
        return "sigma_delta", {**registers, "bias": self._bias(layer, rank)}, options
