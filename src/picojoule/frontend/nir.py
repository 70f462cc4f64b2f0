"""NIR files (Pedersen et al., Nature Communications 2024) to Graphs; `write` is the way back.

Every convention that the format leaves open is in a named `Dialect`, see `nir_dialect`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from picojoule.errors import Fault, FrontendError, UsageError
from picojoule.fixed.contract import Encoder, Readout
from picojoule.frontend.nir_dialect import DIALECTS, Dialect, find_dialect, step_map
from picojoule.frontend.nir_edges import Sources, cut_cycles, fold_scales, sources, without
from picojoule.frontend.nir_file import Item, NirFile, read_items
from picojoule.frontend.nir_write import write
from picojoule.graph.faults import faults, infer
from picojoule.graph.graph import Graph
from picojoule.graph.ops import CubaLif, Delay, Dense, Flatten, Input
from picojoule.graph.types import Node, Op, TensorType

__all__ = ["DIALECTS", "Dialect", "read", "write"]

Made = tuple[Op, dict[str, np.ndarray]]
NEURONS = ("LIF", "IF", "CubaLIF")
LARGEST_AXIS = 1 << 24
WHOLE = 1e-3  # a delay may miss a whole number of steps by this much: files hold float32


def read(
    path: str | os.PathLike[str],
    *,
    dt: float | None = None,
    dialect: Dialect | str = "ode-exact",
    steps: int = 100,
) -> Graph:
    """Read a NIR file as a Graph of Dense, CubaLif, Delay and Flatten nodes.

    dt     seconds a step; needed by neurons and delays unless the dialect has its own
    steps  steps that a sample is shown

    Neurons keep the file's weights: their voltage is measured from v_reset, in units of what
    one unit of input adds to it, and starts at v_reset.  Several edges into a neuron add up.
    A cycle without Delay gets the dialect's recurrent delay (one step), on the edge that
    leaves the neurons.  The shape that an Output claims is not used.

    Raises FrontendError with all faults: PJ501 the file is damaged, PJ502 a node type is not
    supported, PJ503 there is no time step or an impossible one, PJ405 a parameter is out of
    range; UsageError PJ806 for an unknown dialect or steps below 1.
    """
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise UsageError(Fault("PJ806", f"steps must be at least 1, got {steps!r}"))
    dialect = find_dialect(dialect, dt)
    path = Path(path)
    try:
        graph = _graph(read_items(path), dialect, path.stem, steps)
    except FrontendError as error:
        raise FrontendError(
            [Fault(f.code, f.what, f.where or path.name, f.fix) for f in error.faults]
        ) from None
    return graph


def _graph(file: NirFile, dialect: Dialect, name: str, steps: int) -> Graph:
    _require_dt(file, dialect)
    feeds = sources(file)
    items = {item.name: item for item in file.items}
    for wire in [n for n, item in items.items() if _is_wire(item, dialect)]:
        del items[wire]
        feeds = without(feeds, wire)
    start, output = _ends(items, feeds)
    items, feeds = fold_scales(items, feeds)
    output = feeds.pop(items.pop(output).name)[0]
    made = _convert(items, feeds, dialect)
    nodes = [Node(n, op, feeds[n]) for n, (op, _) in made.items()]
    nodes = cut_cycles(nodes, start, dialect.recurrent_delay)
    params = {k: v for _, arrays in made.values() for k, v in arrays.items()}
    shape = made[start][0].shape
    graph = Graph(name=name, nodes=nodes, output=output, params=params, steps=steps,
                  encoder=Encoder(kind="events", shape=shape, steps=steps),
                  readout=Readout(kind="count"))  # fmt: skip
    _refuse(_graph_faults(graph, items))
    return graph


def _refuse(wrong: list[Fault]) -> None:
    if wrong:
        raise FrontendError(wrong)


def _require_dt(file: NirFile, dialect: Dialect) -> None:
    timed = [item.name for item in file.items if item.kind in (*NEURONS, "Delay")]
    if dialect.dt is not None or not timed:
        return
    note = "" if file.dt_note is None else f"; its writer noted dt={file.dt_note:g}"
    what = f"NIR is continuous time and node '{timed[0]}' needs a time step"
    raise FrontendError(Fault("PJ503", what, fix=f"dt=1e-4, in seconds{note}"))


def _is_wire(item: Item, dialect: Dialect) -> bool:
    """True for markers of graphs within the graph, and for delays of 0 steps."""
    if item.kind == "Delay":
        return item.arrays["delay"].size > 0 and not np.any(np.abs(_steps(item, dialect)) > WHOLE)
    return bool(item.graph) and item.kind in ("Input", "Output")


def _ends(items: Mapping[str, Item], feeds: Sources) -> tuple[str, str]:
    """Names of the Input and the Output."""
    found, wrong = [], []
    for kind in ("Input", "Output"):
        names = [n for n, item in items.items() if item.kind == kind]
        found.append(names[0] if names else "")
        if len(names) != 1:
            wrong.append(Fault("PJ501", f"a graph needs one {kind}, found {names[:6]}"))
    for name, item in items.items():
        wrong += _arity_faults(item, feeds[name])
        if found[1] in feeds[name]:
            wrong.append(Fault("PJ501", f"Output '{found[1]}' feeds node '{name}'"))
    _refuse(wrong)
    return found[0], found[1]


def _arity_faults(item: Item, inputs: tuple[str, ...]) -> list[Fault]:
    who = f"node '{item.name}' ({item.kind})"
    if item.kind == "Input":
        return [Fault("PJ501", f"{who} is fed by '{inputs[0]}'")] if inputs else []
    if not inputs:
        return [Fault("PJ501", f"{who} is fed by no edge")]
    if len(inputs) > 1 and item.kind not in NEURONS:
        what = f"{who} adds up {len(inputs)} edges, which only neurons do here"
        return [Fault("PJ502", what, fix="one Affine or Linear for each edge")]
    return []


def _convert(items: Mapping[str, Item], feeds: Sources, dialect: Dialect) -> dict[str, Made]:
    made, wrong = {}, []
    for name, item in items.items():
        try:
            made[name] = CONVERT[item.kind](item, dialect)
        except FrontendError as error:
            wrong += [Fault(f.code, f"node '{name}': {f.what}", f.where, f.fix)
                      for f in error.faults]  # fmt: skip
    _refuse(wrong)
    return made


# ------------------------------------------------------------------------------ node by node


def _wrong(what: str, fix: str = "", code: str = "PJ501") -> FrontendError:
    return FrontendError(Fault(code, what, fix=fix))


def _input(item: Item, dialect: Dialect) -> Made:
    array = np.atleast_1d(item.arrays["shape"])
    sane = array.ndim == 1 and array.dtype.kind in "iu" and 0 < array.size <= 8
    if not sane or np.any(array < 1) or np.any(array > LARGEST_AXIS):
        raise _wrong(f"its shape is {array.tolist()!r:.60}, not positive whole numbers")
    shape = tuple(int(n) for n in array)
    if np.prod(shape, dtype=float) > LARGEST_AXIS:
        raise _wrong(f"its shape {list(shape)} has more than {LARGEST_AXIS} elements")
    return Input(shape=shape, kind="spike"), {}


def _dense(item: Item, dialect: Dialect) -> Made:
    weight = np.asarray(item.arrays["weight"], np.float64)
    if weight.ndim != 2 or 0 in weight.shape:
        raise _wrong(f"weight has shape {list(weight.shape)}, not (out, in)")
    bias = np.asarray(item.arrays.get("bias", 0.0), np.float64)
    if bias.size not in (1, len(weight)) or bias.ndim > 1:
        raise _wrong(f"bias has shape {list(bias.shape)}, weight {list(weight.shape)}")
    named = {"weight": f"{item.name}.weight"}
    params = {named["weight"]: weight}
    if np.any(bias):
        named["bias"] = f"{item.name}.bias"
        params[named["bias"]] = np.broadcast_to(bias, len(weight)).copy()
    return Dense(features=len(weight), **named), params


def _neuron(item: Item, dialect: Dialect) -> Made:
    arrays = {"v_reset": np.zeros(()), "w_in": np.ones(()), **item.arrays}
    shapes = {n: a.shape for n, a in arrays.items() if a.size != 1}
    if len(set(shapes.values())) > 1 or any(a.size == 0 for a in arrays.values()):
        listed = ", ".join(f"{n} {list(a.shape)}" for n, a in arrays.items())
        raise _wrong(f"its arrays differ in shape: {listed}")
    scalars = {n: a if n in shapes else a.reshape(()) for n, a in arrays.items()}
    fields = step_map(item.kind, scalars, dialect)
    if not np.any(fields["bias"]):
        del fields["bias"]
    if not all(np.all(np.isfinite(a)) for a in fields.values()):
        raise _wrong("its parameters are out of the range of float64")
    named = {field: f"{item.name}.{field}" for field in fields}
    return CubaLif(**named), {named[f]: np.array(a) for f, a in fields.items()}


def _delay(item: Item, dialect: Dialect) -> Made:
    steps = _steps(item, dialect)
    if steps.size == 0 or np.min(steps) != np.max(steps):
        raise _wrong("its elements have different delays, which is not supported", code="PJ502")
    wanted = float(steps.flat[0])
    if not 0 < wanted < 2**31:
        raise _wrong(f"a delay of {wanted:g} steps is impossible")
    whole = max(round(wanted), 1)
    if abs(wanted - whole) > WHOLE:
        what = f"its delay is {wanted:g} steps of {dialect.dt:g} s, not a whole number"
        raise _wrong(what, "a dt that divides it", "PJ503")
    return Delay(steps=whole), {}


def _steps(item: Item, dialect: Dialect) -> np.ndarray:
    return np.asarray(item.arrays["delay"], np.float64) * dialect.time_unit_s / dialect.dt


def _flatten(item: Item, dialect: Dialect) -> Made:
    return Flatten(), {}


CONVERT: dict[str, Callable[[Item, Dialect], Made]] = {
    "Input": _input, "Affine": _dense, "Linear": _dense, "Flatten": _flatten,
    "Delay": _delay, "IF": _neuron, "LIF": _neuron, "CubaLIF": _neuron,
}  # fmt: skip


# -------------------------------------------------------------------------------- the whole


def _graph_faults(graph: Graph, items: Mapping[str, Item]) -> list[Fault]:
    """What is wrong with the graph as a whole: names, shapes, then the axes of Flatten."""
    types, _ = infer(graph)
    wrong = [Fault("PJ501", f.what, fix=f.fix) for f in faults(graph)]
    for name in graph.names(Flatten):
        wrong += _flatten_faults(items[name], [types[i] for i in graph[name].inputs if i in types])
    return wrong


def _flatten_faults(item: Item, inputs: list[TensorType]) -> list[Fault]:
    """NIR may flatten a range of axes (the batch is not one of them); only all will do here."""
    if not inputs:
        return []
    rank = len(inputs[0].shape)
    start, end = (int(item.arrays[f].reshape(-1)[0]) for f in ("start_dim", "end_dim"))
    if rank == 1 or (start % rank == 0 and end % rank == rank - 1):
        return []
    what = (f"node '{item.name}' flattens axes {start}..{end} of {list(inputs[0].shape)}; "
            "only all axes are supported")  # fmt: skip
    return [Fault("PJ502", what, fix="start_dim=0, end_dim=-1: NIR counts no batch axis")]
