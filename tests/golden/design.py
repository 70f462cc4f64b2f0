"""What a golden vector is made of, and how it is stored: NAME.npz and NAME.json."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

VECTORS = Path(__file__).parent / "vectors"
Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons in registers; decay_u, decay_v, v_th, bias: int (neurons,)."""

    name: str
    decay_u: Array
    decay_v: Array
    v_th: Array
    bias: Array
    bias_exponent: int = 0
    refractory: int = 1

    @property
    def neurons(self) -> int:
        return len(self.decay_u)


@dataclass(frozen=True, eq=False)
class Projection:
    """Weights int (out, in) from 'input' or a population, with one exponent and delay.

    sign 'mixed' stores 9 - bits fewer low bits of a mantissa, 'excitatory' and
    'inhibitory' 8 - bits fewer; weights are given with those bits zero
    """

    source: str
    target: str
    weight: Array
    exponent: int = 0
    delay: int = 0
    sign: str = "mixed"
    bits: int = 8

    @property
    def dropped(self) -> int:
        return 8 - self.bits + (self.sign == "mixed")


@dataclass(frozen=True, eq=False)
class SpikingNet:
    """A network of populations, its input raster bool (steps, channels), what it is for."""

    name: str
    covers: tuple[str, ...]
    note: str
    seed: int
    raster: Array
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]

    @property
    def steps(self) -> int:
        return len(self.raster)


@dataclass(frozen=True, eq=False)
class Layer:
    """A quantized 'dense' (1x1 convolution or fully connected) or 'add'; `inputs` by name.

    step, zero: of the result; activation: 'none', 'relu', 'relu6'
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    step: float
    zero: int = 0
    activation: str = "none"
    weight: Array | None = None
    step_w: Array | None = None
    bias: Array | None = None


@dataclass(frozen=True, eq=False)
class TensorNet:
    """Layers over int8 inputs {name: (samples, features)} with steps and zeros."""

    name: str
    covers: tuple[str, ...]
    note: str
    seed: int
    inputs: dict[str, Array]
    steps: dict[str, float]
    zeros: dict[str, int]
    layers: tuple[Layer, ...] = field(default=())


def population(name, neurons, decay_u, decay_v, v_th, bias=0, bias_exponent=0, refractory=1):
    """A Population from scalars or arrays."""
    rows = [
        np.broadcast_to(np.asarray(x, np.int64), neurons).copy()
        for x in (decay_u, decay_v, v_th, bias)
    ]
    return Population(name, *rows, bias_exponent, refractory)


def narrow(array: Array) -> Array:
    """The same integers in the smallest signed dtype that holds them."""
    array = np.asarray(array, np.int64)
    low, high = (int(array.min()), int(array.max())) if array.size else (0, 0)
    for dtype in (np.int8, np.int16, np.int32):
        if np.iinfo(dtype).min <= low and high <= np.iinfo(dtype).max:
            return array.astype(dtype)
    return array


def save(name: str, head: dict, arrays: dict[str, Array]) -> None:
    """Write NAME.npz and NAME.json; integers in the smallest dtype, bools as packed bits."""
    packed = {}
    for key, array in arrays.items():
        if array.dtype == bool:
            packed[key] = np.packbits(array, axis=-1)
        elif array.dtype.kind == "f":
            packed[key] = array
        else:
            packed[key] = narrow(array)
    VECTORS.mkdir(exist_ok=True)
    np.savez_compressed(VECTORS / f"{name}.npz", **packed)
    text = json.dumps({"name": name, **head}, indent=1)
    (VECTORS / f"{name}.json").write_text(text + "\n")


def spiking_head(net: SpikingNet) -> dict:
    """The parameters of a spiking vector that are not arrays."""
    return {
        "kind": "spiking",
        "covers": list(net.covers),
        "note": net.note,
        "seed": net.seed,
        "steps": net.steps,
        "channels": net.raster.shape[1],
        "populations": [
            {"name": p.name, "neurons": p.neurons, "bias_exponent": p.bias_exponent,
             "refractory": p.refractory} for p in net.populations],
        "projections": [
            {"source": s.source, "target": s.target, "exponent": s.exponent,
             "delay": s.delay, "sign": s.sign, "bits": s.bits, "dropped": s.dropped}
            for s in net.projections],
    }  # fmt: skip


def spiking_arrays(net: SpikingNet) -> dict[str, Array]:
    """The registers, weights and input of a spiking vector."""
    arrays = {"input": net.raster}
    for p in net.populations:
        for what in ("decay_u", "decay_v", "v_th", "bias"):
            arrays[f"{p.name}.{what}"] = getattr(p, what)
    for k, s in enumerate(net.projections):
        arrays[f"weight{k}"] = s.weight
    return arrays
