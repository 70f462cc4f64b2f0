"""Read a golden vector, and compute it again: by the scalar rules, or as a Program."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from picojoule.conform import own, tensor
from picojoule.conform import vector as files
from picojoule.conform.trial import Trial
from picojoule.fixed import arithmetic
from picojoule.fixed.profile import SPIKING, SpikingProfile

VECTORS = Path(__file__).resolve().parents[1] / "golden" / "vectors"
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Vector:
    """One recording: its parameters (NAME.json) and arrays (NAME.npz), integers as int64.

    Bool arrays are unpacked: input (steps, channels), NAME.spike (steps, neurons).
    `file` is the same as the package reads it.
    """

    name: str
    head: dict[str, Any]
    arrays: Arrays
    file: files.Vector

    @property
    def profile(self) -> SpikingProfile:
        return SPIKING[self.head["profile"]]

    @property
    def elements(self) -> int:
        """How many recorded integers and spikes a replay compares."""
        return sum(self.arrays[key].size for key in self.recorded)

    @property
    def recorded(self) -> list[str]:
        """Names of the arrays that the peer computed."""
        if self.head["kind"] == "tensor":
            return [layer["name"] for layer in self.head["layers"]]
        names = [p["name"] for p in self.head["populations"]]
        return [f"{name}.{what}" for name in names for what in ("u", "v", "spike")]


def names(*kinds: str) -> list[str]:
    """All shipped vectors, or those of some kinds, in order."""
    found = [path.stem for path in sorted(VECTORS.glob("*.json"))]
    return [name for name in found if not kinds or load_head(name)["kind"] in kinds]


def load_head(name: str) -> dict[str, Any]:
    """The parameters of a vector."""
    return json.loads((VECTORS / f"{name}.json").read_text())


def load(name: str) -> Vector:
    """Read one vector."""
    file = files.read_vector(VECTORS / f"{name}.npz", name)
    head = dict(file.head)
    arrays = {key: _wide(array) for key, array in file.arrays.items()}
    if head["kind"] == "spiking":
        arrays["input"] = file.bits("input", head["steps"], head["channels"])
        for p in head["populations"]:
            key = f"{p['name']}.spike"
            arrays[key] = file.bits(key, head["steps"], p["neurons"])
    return Vector(name, head, arrays, file)


def _wide(array: np.ndarray) -> np.ndarray:
    return array.astype(np.int64) if array.dtype.kind == "i" else array


def trials(vector: Vector) -> list[Trial]:
    """The networks that the package makes of a vector, for the passes and engines users get."""
    return list(own.trials(vector.file))


def first_difference(want: np.ndarray, got: np.ndarray) -> str:
    """'' if equal, else where the first differing element is and both values."""
    if want.shape != got.shape:
        return f"shape {got.shape}, recorded {want.shape}"
    differ = np.argwhere(np.asarray(want) != np.asarray(got))
    if not len(differ):
        return ""
    at = tuple(int(i) for i in differ[0])
    return f"{len(differ)} of {want.size} differ, first at {at}: {got[at]}, recorded {want[at]}"


# --------------------------------------------------------------------- the scalar rules


def effective_weights(vector: Vector, k: int) -> np.ndarray:
    """Effective weights int64 (out, in) of projection k, rule S9."""
    p, part = vector.profile, vector.head["projections"][k]
    weight = vector.arrays[f"weight{k}"]
    flat = [
        arithmetic.effective_weight(int(m), part["exponent"], p.weight_shift, p.weight_limit)
        for m in weight.ravel()
    ]
    return np.array(flat, np.int64).reshape(weight.shape)


def scalar_spiking(vector: Vector) -> Arrays:
    """Every recorded array of a spiking vector by the scalar definitions, rules S1..S10."""
    head, steps = vector.head, vector.head["steps"]
    weights = [effective_weights(vector, k) for k in range(len(head["projections"]))]
    out = {key: np.zeros_like(vector.arrays[key]) for key in vector.recorded}
    wait = {p["name"]: np.zeros(p["neurons"], np.int64) for p in head["populations"]}
    for t in range(steps):
        q = {name: np.zeros(len(w), np.int64) for name, w in wait.items()}
        for part, weight in zip(head["projections"], weights):
            q[part["target"]] += weight @ _arriving(vector, out, part, t)
        for p in head["populations"]:
            _neurons(vector, p, q[p["name"]], wait[p["name"]], out, t)
    return out


def _arriving(vector: Vector, out: Arrays, part: dict[str, Any], t: int) -> np.ndarray:
    """Bool (in,): which sources of a projection act in step t, rule S10."""
    outside = part["source"] == "input"
    p = vector.profile
    raster = vector.arrays["input"] if outside else out[f"{part['source']}.spike"]
    since = t - part["delay"] - (p.input_delay if outside else p.spike_delay)
    return raster[since] if since >= 0 else np.zeros(raster.shape[1], bool)


def _neurons(vector, p, q, wait, out, t) -> None:
    """Advance one population by one step, in place, rule S8."""
    profile, name = vector.profile, p["name"]
    for i, (keep_u, keep_v, v_th, bias) in enumerate(_registers(vector, p)):
        before = (int(out[f"{name}.{x}"][t - 1, i]) if t else 0 for x in ("u", "v"))
        u, _, v, wait[i], fired = arithmetic.cuba_neuron(
            *before, int(wait[i]), int(q[i]), bias, keep_u, keep_v, v_th, p["refractory"],
            profile.decay_bits, profile.q_mode, profile.q_bits, profile.u_mode, profile.u_bits,
            profile.v_mode, profile.v_bits,
        )  # fmt: skip
        out[f"{name}.u"][t, i], out[f"{name}.v"][t, i] = u, v
        out[f"{name}.spike"][t, i] = fired


def _registers(vector: Vector, p: dict[str, Any]) -> Iterator[tuple[int, int, int, int]]:
    """(keep_u, keep_v, threshold, bias) of each neuron of a population."""
    profile, whole = vector.profile, 1 << vector.profile.decay_bits
    rows = (vector.arrays[f"{p['name']}.{x}"] for x in ("decay_u", "decay_v", "v_th", "bias"))
    for du, dv, v_th, bias in zip(*(row.tolist() for row in rows)):
        keep_u, keep_v = whole - profile.u_decay_offset - du, whole - dv
        yield keep_u, keep_v, v_th << profile.weight_shift, bias << p["bias_exponent"]


def scalar_tensor(vector: Vector) -> Arrays:
    """Every layer of a tensor vector from the recorded inputs of that layer, rules T1..T7."""
    compute = {"dense": _dense, "add": _add}
    return {layer["name"]: compute[layer["kind"]](vector, layer)
            for layer in vector.head["layers"]}  # fmt: skip


def _dense(vector: Vector, layer: dict[str, Any]) -> np.ndarray:
    name, source = layer["name"], layer["inputs"][0]
    x = vector.arrays[source] - tensor.edge(vector.file, source)["zero"]
    acc = x @ vector.arrays[f"{name}.weight"].T + vector.arrays[f"{name}.bias"]
    m, e = (row.tolist() for row in tensor.requantizers(vector.file, layer))
    out = [
        [arithmetic.requantize(arithmetic.narrow32(a), m[c], e[c], layer["zero"],
                               *tensor.limits(layer))
         for c, a in enumerate(row)]
        for row in acc.tolist()
    ]  # fmt: skip
    return np.array(out, np.int64)


def _add(vector: Vector, layer: dict[str, Any]) -> np.ndarray:
    edges = [tensor.edge(vector.file, name) for name in layer["inputs"]]
    scaling = tensor.add_scaling(vector.file, layer).tolist()
    x, y = (vector.arrays[e["name"]] - e["zero"] for e in edges)
    out = [
        arithmetic.add_rescaled(
            a, b, tensor.LEFT_SHIFT, *scaling, layer["zero"], *tensor.limits(layer)
        )
        for a, b in zip(x.ravel().tolist(), y.ravel().tolist())
    ]
    return np.array(out, np.int64).reshape(x.shape)
