"""lava-dl's whole networks: PilotNet with LIF and with sigma-delta neurons, and TinyNet.

Spikes, u and v of the LIF network were recorded on Loihi 2: in the step of a spike the voltage
word holds the refractory countdown (128), and layer k is reset in every step
t = k modulo tSample + 1.  Of its last layer, `fc-3`, another run was recorded: not compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from picojoule.conform.trial import Array, NotYet, Quantity, Trial
from picojoule.conform.vector import Vector
from picojoule.errors import FrontendError
from picojoule.frontend.lava_net import Layer, NetFile, network, read_net
from picojoule.graph.graph import Graph

PROFILE = "loihi2"
COUNTDOWN = 128  # what a probe of Loihi's voltage word reads in the step of a spike
SIGMA_SHIFT = 6  # a Delta sends its value times 2**6


def rows(array: Array) -> Array:
    """(width, height, channel, step) or (feature, step) as int64 (step, neuron): our order."""
    order = (3, 1, 0, 2) if array.ndim == 4 else (1, 0)
    return array.transpose(order).reshape(array.shape[-1], -1).astype(np.int64)


def in_step(vector: Vector, key: str, what: str, steps: int) -> Array:
    """`rows` of an array that must have so many steps, and 2 or 4 axes."""
    array = vector.array(key)
    if array.ndim not in (2, 4) or array.shape[-1] != steps:
        raise vector.fail(
            f"array {key!r} of shape {list(array.shape)} has not {steps} steps of {what}"
        )
    return rows(array)


def word(vector: Vector, layer: Layer, name: str, what: str, want: Array, first: int = 0,
         unit: int = 1, fired: int | None = None) -> Quantity:  # fmt: skip
    """One word of a layer's neurons, or its spikes."""
    size = int(np.prod(layer.shape))
    if want.shape[1] != size:
        raise vector.fail(
            f"array {name!r} has {want.shape[1]} neurons, layer {layer.number} {size}"
        )
    pieces = ((f"{layer.name}.{what}", np.arange(size)),)
    return Quantity(name, want, pieces, first, unit, fired)


def beside(vector: Vector, stem: str = "network") -> NetFile:
    """The `.net` file in the folder of a vector.  Raises NotYet where there is none."""
    path = vector.path.with_name(f"{stem}.net")
    if not path.is_file():
        raise NotYet(f"there is no {path.name!r} beside its arrays")
    return _read(vector, path)


def _read(vector: Vector, path: Path) -> NetFile:
    try:
        return read_net(path)
    except FrontendError as error:
        raise vector.fail(f"{path.name!r} cannot be read: {error}", "PJ801") from None


def _constant(payload: Array, steps: int) -> Array:
    """A picture (width, height, channel), shown in every step."""
    flat = payload.transpose(1, 0, 2).reshape(1, 1, -1)
    return np.broadcast_to(flat, (1, steps, flat.shape[2])).astype(np.int32)


def _picture(vector: Vector, file: NetFile, key: str) -> Array:
    height, width, channels = file.layers[0].shape
    return vector.array(key, width, height, channels)


def _cut(file: NetFile, count: int) -> NetFile:
    """The network up to and including its population number `count`."""
    last = file.populations[count].number
    return replace(file, layers=tuple(x for x in file.layers if x.number <= last))


def _graph(file: NetFile, steps: int) -> Graph:
    return replace(network(file, steps=steps, profile=PROFILE), latency=0)


# ------------------------------------------------------------------------------ PilotNet, LIF


def lif_names(file: NetFile) -> list[str]:
    """What the arrays call each population: input, conv-0, ..., fc-0, ..."""
    counts = {"conv": 0, "fc": 0}
    found = []
    for layer in file.populations:
        group = {"conv": "conv", "dense": "fc"}.get(layer.kind)
        if group is None:
            found.append("input")
            continue
        found.append(f"{group}-{counts[group]}")
        counts[group] += 1
    return found


def lif_trials(vector: Vector) -> Iterator[Trial]:
    """The image as bias of the input layer; spikes of each layer, u and v where recorded."""
    file = beside(vector)
    named = [
        (name, layer) for name, layer in zip(lif_names(file), file.populations)
        if name in vector.arrays or name in vector.broken
    ]  # fmt: skip
    steps = vector.array("input").shape[-1]
    found = []
    for name, layer in named:
        for key, what in ((f"{name}-u", "u"), (f"{name}-v", "v"), (name, "spike")):
            if key == name or key in vector.arrays or key in vector.broken:
                want = in_step(vector, key, name, steps)
                fired = COUNTDOWN if what == "v" else None
                found.append(word(vector, layer, key, what, want, fired=fired))
    file = _cut(file, len(named) - 1)
    samples = _constant(_picture(vector, file, "image"), steps)
    yield Trial(_graph(file, steps), PROFILE, samples, tuple(found))


# ------------------------------------------------------------------------- PilotNet, sigma-delta


def sdnn_trials(vector: Vector) -> Iterator[Trial]:
    """`input` held over all steps, through NAME.net; `_square` arrays through square_network.net.

    act0 is what the input layer sends, sigmaK the sum of layer K, output that of the Sigma.
    """
    yield _sdnn(vector, beside(vector), "")
    variants = {key.partition("_")[2] for key in vector.arrays if key.startswith("sigma")} - {""}
    for variant in sorted(variants):
        yield _sdnn(vector, beside(vector, f"{variant}_network"), f"_{variant}")


def _sdnn(vector: Vector, file: NetFile, suffix: str) -> Trial:
    steps = vector.array("act0").shape[-1]
    height, width, channels = file.layers[0].shape
    x = vector.array("input", None, None, channels, None)[:width, :height, :, 0]
    if x.shape[:2] != (width, height):
        raise vector.fail(f"array 'input' is smaller than {width} x {height}")
    found = []
    layers = file.populations
    if not suffix:
        found.append(word(vector, layers[0], "act0", "spike",
                          in_step(vector, "act0", "input", steps)))  # fmt: skip
    for rank, layer in enumerate(layers[1:], start=1):
        key = f"sigma{rank}{suffix}"
        if key in vector.arrays or key in vector.broken:
            found.append(word(vector, layer, key, "sigma", in_step(vector, key, key, steps)))
    last = layers[-1]
    if not suffix and "output" in vector.arrays and last.kind == "dense":
        want = rows(vector.array("output", int(np.prod(last.shape)), None))
        found.append(word(vector, last, "output", "sigma", want))
    return Trial(_graph(file, steps), PROFILE, _constant(x, steps), tuple(found))


# ------------------------------------------------------------------------------------- TinyNet


def tiny_trials(vector: Vector) -> Iterator[Trial]:
    """`input_bias` through the network whose first kernel is the vector's.

    Arrays are (1, channel, height, width, step) in SLAYER's time: step g of layer k is our step
    g - 1 + k, its step 0 is empty; `current` is u of layer 1 in units of 64.
    """
    file = _tiny_file(vector)
    steps = vector.array("input").shape[-1]
    found = []
    layers = file.populations
    for key, rank, what, unit in (
        ("input", 0, "spike", 1), ("current", 1, "u", 64), ("layer1", 1, "spike", 1),
        ("output", 2, "spike", 1),
    ):  # fmt: skip
        array = vector.array(key, 1, None, None, None, steps)[0]
        if rank >= len(layers):
            raise vector.fail(f"array {key!r} has no layer {rank} in {file.name!r}")
        want = rows(array.transpose(2, 1, 0, 3))[1:]
        found.append(word(vector, layers[rank], key, what, want, rank, unit))
    total = steps - 1 + len(layers) - 1
    samples = _constant(_picture(vector, file, "input_bias"), total)
    yield Trial(_graph(file, total), PROFILE, samples, tuple(found))


def _tiny_file(vector: Vector) -> NetFile:
    """The `.net` in the folder or in a folder beside it whose first kernel is the recorded one."""
    kernel = vector.array("layer1_kernel", None, None, None, None)
    wanted = kernel[:, ::-1, ::-1].transpose(0, 3, 2, 1)  # the peer stores it flipped: O, x, y, C
    folder = vector.path.parent
    for path in sorted([*folder.glob("*.net"), *folder.parent.glob("*/*.net")]):
        try:
            file = read_net(path)
        except FrontendError:
            continue
        if len(file.populations) < 2 or file.populations[1].kind != "conv":
            continue
        found = file.populations[1].integers("weight").reshape(-1)
        if found.size == wanted.size and np.array_equal(found, wanted.reshape(-1)):
            return file
    raise NotYet("no .net file here or in a folder beside has its first kernel")
